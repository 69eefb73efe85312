"""Claims that still wait for a conclusion, with what they were made of: what is judged anew.

Whatever a person has touched stays out: a conclusion that counts (a first one of a planned double
review and an open dispute, too), a copy that one covers, a claim that somebody has open now. So a
new judgement never stands under an old conclusion, and what lies before a reviewer stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from kiemchung.domain import Article, Mention, Provenance
from kiemchung.store import convert, judged
from kiemchung.store.base import OpenFile

_ARTICLE: Final = (
    "outlet", "url", "canonical_url", "title", "lead", "body", "published_method", "raw_sha256",
    "title_method", "lead_method", "body_method", "noarchive", "about_cooperatives",
    "topic_reason", "story_id", "copied_from",
)  # fmt: skip

_OPEN: Final = """
FROM current_judgement AS c
JOIN judgement AS j ON j.judgement_key = c.judgement_key
JOIN run AS r ON r.run_key = c.run_key
LEFT JOIN run_provenance AS w ON w.run_key = c.run_key
JOIN mention AS m ON m.mention_key = c.mention_key
JOIN article AS a ON a.article_key = m.article_key
WHERE m.checkability = 'CHECKABLE'
    AND NOT starts_with(a.url, 'forgotten:') -- withdrawn, see forgetting.py
    AND c.mention_key NOT IN (SELECT mention_key FROM decided_mention)
    AND c.mention_key NOT IN (
        SELECT mention_key FROM counting_review WHERE decision <> 'SKIPPED'
    )
"""
_IN_HAND: Final = "(m.claim_id IN (SELECT claim_id FROM lease WHERE until > ?))"
_SAME: Final = """(
    j.model_id = ? AND j.base_version = ? AND j.threshold = ?
    AND coalesce(json_extract_string(w.provenance, '$.model_sha256'), '') = ?
)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeBy:
    """What judgements follow from; those that were made by it already are left as they are."""

    model_id: str
    base_version: str
    threshold: float
    model_sha256: str

    @property
    def _values(self) -> list[object]:
        return [self.model_id, self.base_version, self.threshold, self.model_sha256]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How many claims wait: to be judged anew, in somebody's hands, judged so already."""

    again: int
    in_hand: int
    same: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """Open mentions whose judgement is one run's, in the order of the store, and their articles."""

    run_id: str
    week: str
    outlets: tuple[str, ...]
    provenance: Provenance
    articles: tuple[Article, ...]
    mentions: tuple[Mention, ...]
    flagged: frozenset[str]  # ids of the mentions that are flags now


def waiting(store: OpenFile, made_by: MadeBy, *, now: datetime | None = None) -> Waiting:
    """Return how many checkable mentions wait for a conclusion."""
    rows = store._read(
        f"SELECT count(*) FILTER (NOT {_SAME} AND NOT {_IN_HAND}) AS again,"
        f" count(*) FILTER (NOT {_SAME} AND {_IN_HAND}) AS in_hand,"
        f" count(*) FILTER ({_SAME}) AS same {_OPEN}",
        [
            *made_by._values, now or datetime.now(UTC),
            *made_by._values, now or datetime.now(UTC), *made_by._values,
        ],
    )  # fmt: skip
    return Waiting(**{k: int(v) for k, v in rows[0].items()})


def open_runs(
    store: OpenFile, made_by: MadeBy, *, now: datetime | None = None
) -> Iterator[OpenRun]:
    """Yield what is to be judged anew, by the run whose judgement counts now, the oldest first."""
    moment = now or datetime.now(UTC)
    given = [*made_by._values, moment]
    chosen = f"{_OPEN} AND NOT {_SAME} AND NOT {_IN_HAND}"
    runs = store._read(
        f"SELECT DISTINCT c.run_key, r.run_id, r.week, r.outlets, w.provenance {chosen}"
        " ORDER BY c.run_key",
        given,
    )
    for run in runs:
        with store._cursor() as cursor:
            rows = convert.records(
                cursor,
                f"SELECT {judged.MENTION}, j.flagged, a.article_key {chosen} AND c.run_key = ?"
                " ORDER BY m.mention_key",
                [*given, run["run_key"]],
            )
            articles = convert.records(
                cursor,
                f"SELECT a.*, {judged.OPT_OUTS} AS opt_outs FROM article AS a"
                " WHERE list_contains(?::BIGINT[], a.article_key) ORDER BY a.article_key",
                [sorted({r["article_key"] for r in rows})],
            )
        yield OpenRun(
            run_id=run["run_id"],
            week=run["week"],
            outlets=tuple(json.loads(run["outlets"])),
            provenance=convert.provenance(run["provenance"]),
            articles=tuple(map(_article, articles)),
            mentions=tuple(convert.mention(r) for r in rows),
            flagged=frozenset(r["mention_id"] for r in rows if r["flagged"]),
        )


def closed_since(
    store: OpenFile, mention_ids: Sequence[str], *, now: datetime | None = None
) -> set[str]:
    """Return which of these mentions are not open any more, or in somebody's hands."""
    rows = store._read(
        f"SELECT m.mention_id {_OPEN} AND NOT {_IN_HAND} AND list_contains(?::VARCHAR[],"
        " m.mention_id)",
        [now or datetime.now(UTC), list(mention_ids)],
    )
    return set(mention_ids) - {str(r["mention_id"]) for r in rows}


def _article(row: dict[str, Any]) -> Article:
    return Article(
        article_id=row["article_id"],
        published_at=convert.utc(row["published_at"]),
        fetched_at=convert.moment(row["fetched_at"]),
        opt_outs=tuple(row["opt_outs"] or ()),
        **{name: row[name] for name in _ARTICLE},
    )
