"""What people concluded, with the passages that they cited: the base of all that is published.

Only here it is said when a conclusion may leave the house: a person made it, it stands, and no
other reviewer stands against it without an adjudicator having had the last word.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from kiemchung.domain import Decision, Difference, Distortion
from kiemchung.store import convert, judged

if TYPE_CHECKING:
    from kiemchung.store.store import Store

OPT_OUTS: Final = frozenset({"noarchive", "nosnippet", "noai", "tdm"})
"""What a page can say that keeps its words from being published; noimageai is about pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CitedPassage:
    """A passage that the reviewer cited, as it was worded then, and the version before it."""

    passage_id: str
    text: str
    citation: str
    valid_from: date
    valid_to: date | None
    url: str
    as_of: date | None
    before: CitedPassage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A mention with the conclusion that stands; no name of a person."""

    mention_key: int
    mention_id: str
    claim_id: str
    claim: str
    as_of: date
    outlet: str
    url: str
    title: str
    published_at: datetime | None
    decision: Decision
    decided_at: datetime
    distortions: tuple[Distortion, ...]
    cited: tuple[CitedPassage, ...]
    correction: str  # the smallest one, in the reviewer's words; empty where none was written
    differences: tuple[Difference, ...]  # as the machine marked them, shown to the reviewer
    opt_outs: tuple[str, ...]
    disputed: bool  # reviewers differ and no adjudicator has decided

    @property
    def refused(self) -> bool:
        """Whether the page's owner keeps its words out of what is published."""
        return bool(OPT_OUTS & set(self.opt_outs))


# A conclusion covers the copies that its reviewer left ticked. Of an open dispute the latest voice
# stands in the row, which is only counted.
_DECIDED: Final = """
WITH said AS (
    SELECT mention_key, review_key, false AS disputed FROM decided_mention
    UNION ALL
    SELECT d.mention_key, max(c.review_key) AS review_key, true AS disputed
    FROM disputed AS d JOIN counting_review AS c ON c.mention_key = d.mention_key
    WHERE c.decision <> 'SKIPPED'
    GROUP BY d.mention_key
)
SELECT
    s.mention_key, s.disputed, d.review_key, d.judgement_key, d.decision, d.created_at,
    d.distortions, m.mention_id, m.claim_id, m.text, m.as_of, a.outlet, a.url, a.title,
    a.published_at, coalesce(k.correction, '') AS correction,
    (SELECT list(o.opt_out ORDER BY o.opt_out) FROM article_opt_out AS o
     WHERE o.article_key = a.article_key) AS opt_outs
FROM said AS s
JOIN review AS d ON d.review_key = s.review_key
JOIN mention AS m ON m.mention_key = s.mention_key
JOIN article AS a ON a.article_key = m.article_key
LEFT JOIN review_correction AS k ON k.review_key = s.review_key
WHERE (?::VARCHAR IS NULL OR s.mention_key IN (
        SELECT x.mention_key FROM run_mention AS x JOIN run AS r USING (run_key) WHERE r.week = ?
    ))
    AND (?::BIGINT IS NULL OR s.mention_key = ?)
    AND NOT starts_with(a.url, 'forgotten:') -- withdrawn, see forgetting.py
ORDER BY s.mention_key
"""


def cited_wording(columns: str, of: str) -> str:
    """Return the query for what these reviews cited: w is the citation, p the passage's wording.

    The wording that was cited; a conclusion of an older program names the passage only, and then
    it is the wording that lay before the reviewer. ``of`` picks the rows of ``review``.
    """
    return f"""
    SELECT {columns}
    FROM (
        SELECT review_key, judgement_key, unnest(cited_passages) AS passage_id,
            generate_subscripts(cited_passages, 1) AS place
        FROM review {of}
    ) AS w
    JOIN passage AS p ON p.passage_id = w.passage_id
    LEFT JOIN review_citation AS c
        ON c.review_key = w.review_key AND c.passage_key = p.passage_key
    LEFT JOIN judgement_evidence AS e
        ON e.judgement_key = w.judgement_key AND e.passage_key = p.passage_key
    QUALIFY row_number() OVER (
        PARTITION BY w.review_key, w.place
        ORDER BY (c.passage_key IS NULL)::INTEGER, (e.passage_key IS NULL)::INTEGER,
            p.passage_key DESC
    ) = 1
    """


# A table of keys and no list_contains: that goes through the whole list for every row.
_THESE: Final = "IN (SELECT unnest(?::{kind}[]))"
_KEYS: Final = _THESE.format(kind="BIGINT")
_IDS: Final = _THESE.format(kind="VARCHAR")
_CITED: Final = (
    cited_wording("w.review_key, w.place, p.*", f"WHERE review_key {_KEYS}")
    + " ORDER BY w.review_key, w.place"
)


def _passage(row: dict[str, Any], older: dict[str, dict[str, Any]]) -> CitedPassage:
    before = older.get(row["supersedes"])
    return CitedPassage(
        passage_id=row["passage_id"],
        text=row["text"],
        citation=row["citation"],
        valid_from=row["valid_from"],
        valid_to=row["valid_to"],
        url=row["url"],
        as_of=row["as_of"],
        before=None if before is None else _passage(before, {}),
    )


def decided(
    store: Store, *, week: str | None = None, mention_key: int | None = None
) -> list[Decided]:
    """Return what stands as concluded, of ``week``, of one mention or all, in the store's order."""
    with store._cursor() as cursor:
        rows = convert.records(cursor, _DECIDED, [week, week, mention_key, mention_key])
        cited = convert.records(cursor, _CITED, [[r["review_key"] for r in rows]])
        older = {
            r["passage_id"]: r
            for r in convert.records(
                cursor,
                f"SELECT * FROM passage WHERE passage_id {_IDS} ORDER BY passage_key",
                [sorted({c["supersedes"] for c in cited if c["supersedes"]})],
            )
        }
        differences = judged.differences(
            cursor,
            f"judgement_key {_KEYS}",
            [[r["judgement_key"] for r in rows if r["judgement_key"] is not None]],
        )
    passages: dict[int, list[CitedPassage]] = defaultdict(list)
    for c in cited:
        passages[c["review_key"]].append(_passage(c, older))
    return [
        _decided(r, passages.get(r["review_key"], ()), differences.get(r["judgement_key"], ()))
        for r in rows
    ]


def _decided(
    r: dict[str, Any], cited: Sequence[CitedPassage], differences: Sequence[Difference]
) -> Decided:
    at = convert.utc(r["created_at"])
    assert at is not None
    return Decided(
        mention_key=r["mention_key"],
        mention_id=r["mention_id"],
        claim_id=r["claim_id"],
        claim=r["text"],
        as_of=r["as_of"],
        outlet=r["outlet"],
        url=r["url"],
        title=r["title"],
        published_at=convert.utc(r["published_at"]),
        decision=Decision(r["decision"]),
        decided_at=at,
        distortions=tuple(Distortion(d) for d in r["distortions"]),
        cited=tuple(cited),
        correction=r["correction"],
        differences=tuple(differences),
        opt_outs=tuple(r["opt_outs"] or ()),
        disputed=bool(r["disputed"]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A claim with one conclusion on the same passages, and every place where it stands."""

    first: Decided
    places: tuple[Decided, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishable:
    """What may leave the house, and how many conclusions may not, and why."""

    found: tuple[Published, ...]
    opted_out: int
    disputed: int


def _when(row: Decided) -> tuple[bool, float, int]:
    """Earliest first; what has no date comes last, in the store's order."""
    at = row.published_at
    return at is None, 0.0 if at is None else at.timestamp(), row.mention_key


def publishable(rows: Sequence[Decided]) -> Publishable:
    """Return the conclusions by claim; pages that refuse and open disputes stay out, counted."""
    opted_out = [r for r in rows if r.refused]
    disputed = [r for r in rows if r.disputed and not r.refused]
    together: dict[tuple[object, ...], list[Decided]] = {}
    for r in rows:
        if r.refused or r.disputed:
            continue
        key = (r.claim_id, r.decision, tuple(sorted(p.passage_id for p in r.cited)))
        together.setdefault(key, []).append(r)
    ordered = [sorted(same, key=_when) for same in together.values()]
    return Publishable(
        found=tuple(Published(first=same[0], places=tuple(same)) for same in ordered),
        opted_out=len(opted_out),
        disputed=len(disputed),
    )
