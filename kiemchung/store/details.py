"""What stands at the desk beside claim and passages, and what is kept beside a conclusion.

The history of a canonical claim, the copies that one conclusion covers, passages that a reviewer
finds, and the smallest correction. A conclusion's details are written in its transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

import duckdb

from kiemchung.domain import Decision, Passage
from kiemchung.errors import InputError
from kiemchung.store import convert
from kiemchung.store.rows import Account
from kiemchung.store.words import FOLD, folded

if TYPE_CHECKING:
    from kiemchung.store.store import Store

MAX_CORRECTION: Final = 500
MAX_COPIES: Final = 50
"""Copies listed with a box each; a conclusion covers the rest of them, too."""
MAX_OWN: Final = 10
_PASSAGE: Final = (
    "p.passage_key, p.passage_id, p.doc_id, p.kind, p.locator, p.text, p.citation, p.valid_from,"
    " p.valid_to, p.url, p.topic, p.cues, p.excludes, p.conditions, p.supersedes, p.series,"
    " p.unit, p.as_of, p.checked"
)
# Of several wordings of a passage the one that was stored last.
_LATEST: Final = (
    f"(SELECT {_PASSAGE} FROM passage AS p"
    " QUALIFY row_number() OVER (PARTITION BY p.passage_id ORDER BY p.passage_key DESC) = 1)"
)
_NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)
_HOLDS: Final = "valid_from <= ? AND (valid_to IS NULL OR valid_to > ?)"


class CitationError(InputError):
    """A passage that cannot be cited for this claim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a canonical claim appeared."""

    mention_key: int
    outlet: str
    title: str
    url: str
    story_id: str
    published_at: datetime | None
    as_of: date
    week: str
    same_passages: bool  # as the mention that was asked about: one conclusion fits both
    decision: Decision | None
    as_copy: bool  # the conclusion was made at another mention


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDecision:
    """A conclusion about some mention of the claim, undone ones included."""

    review_id: int
    mention_key: int
    decision: Decision
    reviewer: str
    created_at: datetime
    as_of: date
    correction: str
    copies: int  # that it covered
    undone: bool
    settled: bool  # the mention has a conclusion that counts: no second reviewer is waited for


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Where, when and how often a claim was made, and what was concluded about it."""

    places: tuple[Place, ...]  # all mentions, the one asked about too, oldest first
    decisions: tuple[PastDecision, ...]  # latest first

    @property
    def first(self) -> datetime | None:
        """The first known moment of publication."""
        return min((p.published_at for p in self.places if p.published_at), default=None)

    @property
    def last(self) -> datetime | None:
        """The latest known moment of publication."""
        return max((p.published_at for p in self.places if p.published_at), default=None)

    @property
    def stories(self) -> int:
        """Copies of one text are one story."""
        return len({p.story_id for p in self.places})

    @property
    def outlets(self) -> int:
        """How many outlets had it."""
        return len({p.outlet for p in self.places})

    @property
    def weeks(self) -> tuple[tuple[str, int], ...]:
        """How many mentions came in which week's run."""
        found: dict[str, int] = {}
        for place in self.places:
            found[place.week] = found.get(place.week, 0) + 1
        return tuple(sorted(found.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceDetails:
    """What a blind choice said beside decision, kinds, passages and note."""

    correction: str = ""
    excepted: frozenset[int] = frozenset()


def history(store: Store, mention_key: int) -> History:
    """Return all that is known of the claim of a mention; empty for an unknown one."""
    with store._cursor() as cursor:
        found = cursor.execute(
            "SELECT claim_id FROM mention WHERE mention_key = ?", [mention_key]
        ).fetchone()
        if found is None:
            return History(places=(), decisions=())
        claim_id = str(found[0])
        inside = _list({mention_key, *store.claims.mentions(cursor, claim_id)})
        mentions = convert.records(
            cursor,
            "SELECT mention_key, article_key, as_of FROM mention"
            f" WHERE mention_key IN ({inside}) AND claim_id = ?",
            [claim_id],
        )
        inside = _list(m["mention_key"] for m in mentions)
        articles = {
            a["article_key"]: a
            for a in convert.records(
                cursor,
                "SELECT article_key, outlet, title, url, story_id, published_at FROM article"
                f" WHERE article_key IN ({_list(m['article_key'] for m in mentions)})",
            )
        }
        judged = _judged(cursor, inside)
        weeks = dict(cursor.execute("SELECT run_key, week FROM run").fetchall())
        settled = _settled(cursor, [m["mention_key"] for m in mentions])
        decisions = convert.records(
            cursor,
            "SELECT r.review_key, r.mention_key, r.decision, a.name AS reviewer, r.created_at,"
            " m.as_of, coalesce(k.correction, '') AS correction,"
            " (SELECT count(*) FROM review_copy AS c WHERE c.review_key = r.review_key"
            "  AND c.covered) AS copies,"
            " EXISTS (SELECT 1 FROM review AS u WHERE u.undoes = r.review_key) AS undone,"
            " r.mention_key IN (SELECT mention_key FROM current_review"
            f"  WHERE mention_key IN ({inside}) AND decision <> 'SKIPPED') AS settled"
            f" FROM (SELECT * FROM review WHERE mention_key IN ({inside}) AND undoes IS NULL) AS r"
            f" JOIN (SELECT mention_key, as_of, claim_id FROM mention"
            f"  WHERE mention_key IN ({inside})) AS m USING (mention_key)"
            " JOIN account AS a USING (account_key)"
            " LEFT JOIN review_correction AS k ON k.review_key = r.review_key"
            " WHERE m.claim_id = ? AND r.decision <> 'SKIPPED' ORDER BY r.review_key DESC",
            [claim_id],
        )
    evidence = judged.get(mention_key, (0, ""))[1]
    places = [
        Place(
            mention_key=m["mention_key"],
            outlet=articles[m["article_key"]]["outlet"],
            title=articles[m["article_key"]]["title"],
            url=articles[m["article_key"]]["url"],
            story_id=articles[m["article_key"]]["story_id"],
            published_at=convert.utc(articles[m["article_key"]]["published_at"]),
            as_of=m["as_of"],
            week=str(weeks.get(judged.get(m["mention_key"], (0, ""))[0], "")),
            same_passages=judged.get(m["mention_key"], (0, ""))[1] == evidence,
            decision=settled[m["mention_key"]][0] if m["mention_key"] in settled else None,
            as_copy=settled.get(m["mention_key"], (None, m["mention_key"]))[1] != m["mention_key"],
        )
        for m in mentions
    ]
    places.sort(key=lambda p: (p.published_at is None, p.published_at or _NEVER, p.mention_key))
    return History(
        places=tuple(places),
        decisions=tuple(
            PastDecision(
                review_id=d["review_key"],
                decision=Decision(d["decision"]),
                created_at=convert.moment(d["created_at"]),
                **{
                    name: d[name]
                    for name in (
                        "mention_key", "reviewer", "as_of", "correction", "copies", "undone",
                        "settled",
                    )
                },
            )
            for d in decisions
        ),
    )  # fmt: skip


# -- passages ------------------------------------------------------------------------------------


def find_passages(store: Store, text: str, day: date, *, limit: int = 8) -> list[Passage]:
    """Return the passages in force on ``day`` that hold every word of ``text``, or have that id.

    Accents make no difference. No words, no passages.
    """
    with store._cursor() as cursor:
        (words,) = folded(cursor, [text])
        if not words:
            return []
        rows = convert.records(
            cursor,
            f"SELECT * FROM {_LATEST} AS p WHERE {_HOLDS} AND (passage_id = ? OR list_bool_and("
            "list_transform(string_split(?, ' '), lambda w: contains(' ' || "
            f"{FOLD.format('citation || chr(32) || text || chr(32) || passage_id')} || ' ',"
            " ' ' || w || ' ')))) ORDER BY passage_id <> ?, passage_key LIMIT ?",
            [day, day, text.strip(), words, text.strip(), limit],
        )
    return [convert.passage(r) for r in rows]


def passages_named(store: Store, ids: Collection[str]) -> list[Passage]:
    """Return the latest wording of these passages, in the order of the base."""
    if not ids:
        return []
    rows = store._read(
        f"SELECT * FROM {_LATEST} AS p WHERE list_contains(?::VARCHAR[], passage_id)"
        " ORDER BY passage_key",
        [sorted(ids)],
    )
    return [convert.passage(r) for r in rows]


def successors(store: Store, ids: Collection[str]) -> dict[str, Passage]:
    """Return what came after these passages, by the id of the one before."""
    if not ids:
        return {}
    rows = store._read(
        f"SELECT {_PASSAGE} FROM passage AS p WHERE list_contains(?::VARCHAR[], supersedes)"
        " ORDER BY passage_key",  # of several wordings the one that was stored last
        [sorted(ids)],
    )
    return {r["supersedes"]: convert.passage(r) for r in rows}


def check_citations(
    cursor: duckdb.DuckDBPyConnection,
    mention_key: int,
    judgement_key: int | None,
    cited: Sequence[str],
) -> None:
    """Refuse what nobody could cite.

    Raises:
        CitationError: a passage that was neither shown nor is in force on the day of the claim, or
            too many of one's own.
    """
    wanted = set(cited)
    shown = {
        str(p)
        for (p,) in cursor.execute(
            "SELECT p.passage_id FROM judgement_evidence AS e JOIN passage AS p USING (passage_key)"
            " WHERE e.judgement_key = ?",
            [judgement_key],
        ).fetchall()
    }
    own = wanted - shown
    if not own:
        return
    held = {
        str(p)
        for (p,) in cursor.execute(
            "SELECT passage_id FROM passage JOIN mention AS m ON m.mention_key = ?"
            " WHERE list_contains(?::VARCHAR[], passage_id)"
            " AND valid_from <= m.as_of AND (valid_to IS NULL OR valid_to > m.as_of)",
            [mention_key, sorted(own)],
        ).fetchall()
    }
    for passage_id in sorted(own - held):
        raise CitationError(
            f"{passage_id!r} is not among the passages shown, nor in force on that day",
            remedy="look it up again from the desk",
        )
    if len(own) > MAX_OWN:
        raise CitationError(f"{len(own)} passages of one's own", remedy=f"cite up to {MAX_OWN}")


# -- beside a conclusion -------------------------------------------------------------------------


def keep_choice(
    cursor: duckdb.DuckDBPyConnection,
    choice_key: int,
    *,
    correction: str,
    excepted: Collection[int],
) -> None:
    """Keep what a blind choice said beside its decision, in its transaction."""
    if correction.strip():
        cursor.execute(
            "INSERT INTO choice_correction VALUES (?, ?)",
            [choice_key, correction.strip()[:MAX_CORRECTION]],
        )
    cursor.execute(
        "INSERT INTO choice_exception SELECT ?, unnest(?::BIGINT[])", [choice_key, sorted(excepted)]
    )


def choice_details(store: Store, account: Account, mention_key: int) -> ChoiceDetails:
    """Return what the latest blind choice of ``account`` about a mention said beside it."""
    rows = store._read(
        "WITH c AS (SELECT max(choice_key) AS choice_key FROM blind_choice"
        "  WHERE mention_key = ? AND account_key = ?)"
        " SELECT (SELECT correction FROM choice_correction SEMI JOIN c USING (choice_key))"
        "  AS correction,"
        " (SELECT list(mention_key) FROM choice_exception SEMI JOIN c USING (choice_key))"
        "  AS excepted",
        [mention_key, account.key],
    )
    return ChoiceDetails(
        correction=rows[0]["correction"] or "", excepted=frozenset(rows[0]["excepted"] or ())
    )


def keep_review(
    cursor: duckdb.DuckDBPyConnection,
    store: Store,
    review_key: int,
    *,
    correction: str,
    excepted: Collection[int],
) -> None:
    """Keep what belongs to a review that was just added, in its transaction.

    A conclusion covers every other mention of the claim with the same passages beside it, but those
    ``excepted`` and those that a conclusion at another mention holds; somebody who skips covers
    nothing.
    """
    if correction.strip():
        cursor.execute(
            "INSERT INTO review_correction VALUES (?, ?)",
            [review_key, correction.strip()[:MAX_CORRECTION]],
        )
    row = cursor.execute(
        "SELECT r.mention_key, r.decision, r.judgement_key, r.cited_passages, m.claim_id"
        " FROM review AS r JOIN mention AS m USING (mention_key) WHERE r.review_key = ?",
        [review_key],
    ).fetchone()
    assert row is not None
    mention_key, decision, judgement_key, cited, claim_id = row
    cursor.execute(
        "INSERT INTO review_citation SELECT ?, coalesce(max(s.passage_key), max(p.passage_key)),"
        " count(s.passage_key) = 0 FROM passage AS p LEFT JOIN (SELECT passage_key FROM"
        " judgement_evidence WHERE judgement_key = ?) AS s USING (passage_key)"
        " WHERE list_contains(?::VARCHAR[], p.passage_id) GROUP BY p.passage_id ORDER BY 2",
        [review_key, judgement_key, list(cited)],
    )
    if decision == "SKIPPED":
        return
    others = [k for k in store.claims.mentions(cursor, claim_id) if k != mention_key]
    if not others:
        return
    settled = _settled_elsewhere(cursor, others, mention_key)
    judged = _judged(cursor, _list([mention_key, *others]))
    evidence = judged.get(mention_key, (0, ""))[1]
    same = [k for k in others if judged.get(k, (0, ""))[1] == evidence and k not in settled]
    cursor.execute(
        "INSERT INTO review_copy SELECT ?, mention_key, NOT list_contains(?::BIGINT[], mention_key)"
        f" FROM mention WHERE mention_key IN ({_list(same)}) AND claim_id = ? ORDER BY mention_key",
        [review_key, sorted(excepted), claim_id],
    )


def _list(keys: Iterable[int]) -> str:
    """Return keys, our own integers, as literals: so the scans skip the blocks without them."""
    return ", ".join(str(int(k)) for k in keys) or "-1"


def _judged(cursor: duckdb.DuckDBPyConnection, inside: str) -> dict[int, tuple[int, str]]:
    """Return the run and the hash of the passages that count for each of these mentions."""
    rows = cursor.execute(
        "SELECT mention_key, max(run_key), arg_max(judgement_key, run_key) FROM run_judgement"
        f" WHERE mention_key IN ({inside}) GROUP BY mention_key"
    ).fetchall()
    hashes = dict(
        cursor.execute(
            "SELECT judgement_key, evidence_sha256 FROM judgement"
            f" WHERE judgement_key IN ({_list(j for _, _, j in rows)})"
        ).fetchall()
    )
    return {int(k): (int(run), str(hashes.get(j, ""))) for k, run, j in rows}


def _settled_elsewhere(
    cursor: duckdb.DuckDBPyConnection, keys: Collection[int], mention_key: int
) -> set[int]:
    """Return which of ``keys`` have a conclusion that was made at another mention than this one."""
    return {key for key, (_, at) in _settled(cursor, keys).items() if at != mention_key}


def _settled(
    cursor: duckdb.DuckDBPyConnection, keys: Collection[int]
) -> dict[int, tuple[Decision, int]]:
    """Return the conclusion that holds for each of ``keys``, and at which mention it was made.

    The same as the view ``decided_mention``, for few mentions in a store of many reviews.
    """
    if not keys:
        return {}
    inside = ", ".join(str(int(k)) for k in keys)
    copies = cursor.execute(
        "SELECT c.review_key, c.mention_key, r.mention_key FROM review_copy AS c"
        f" JOIN review AS r USING (review_key) WHERE c.mention_key IN ({inside}) AND c.covered"
        " ORDER BY c.review_key",
    ).fetchall()
    places = ", ".join(str(int(k)) for k in {*keys, *(at for _, _, at in copies)})
    current = {
        int(key): (int(review), Decision(decision))
        for key, review, decision in cursor.execute(
            "SELECT mention_key, review_key, decision FROM current_review"
            f" WHERE mention_key IN ({places}) AND decision <> 'SKIPPED'"
        ).fetchall()
    }
    found: dict[int, tuple[Decision, int]] = {}
    for review, key, at in copies:
        if int(at) in current and current[int(at)][0] == review:
            found[int(key)] = (current[int(at)][1], int(at))
    wanted = set(keys)
    return found | {k: (d, k) for k, (_, d) in current.items() if k in wanted}


# -- copies that still wait ----------------------------------------------------------------------


def left_over(cursor: duckdb.DuckDBPyConnection, keys: Collection[int] | None) -> set[int]:
    """Return the mentions among ``keys``, or all, that a conclusion was once about and none is now.

    Beside decided copies of the same claim these still wait: they were left out by name, or the
    conclusion that covered them was undone. A copy that came later was never asked about; it goes
    with the others.
    """
    if keys is None:
        rows = cursor.execute(
            "SELECT mention_key FROM (SELECT mention_key FROM review_copy UNION"
            " SELECT mention_key FROM review WHERE decision <> 'SKIPPED')"
            " ANTI JOIN decided_mention USING (mention_key)"
        ).fetchall()
        return {int(k) for (k,) in rows}
    if not keys:
        return set()
    inside = ", ".join(str(int(k)) for k in keys)
    rows = cursor.execute(
        f"SELECT mention_key FROM review_copy WHERE mention_key IN ({inside}) UNION"
        f" SELECT mention_key FROM review WHERE mention_key IN ({inside})"
        " AND decision <> 'SKIPPED'"
    ).fetchall()
    touched = {int(k) for (k,) in rows}
    return touched - set(_settled(cursor, touched))
