"""Flags with all that they were made of: what a replay starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kiemchung.domain import Article, Judgement, Mention, Provenance
from kiemchung.store import convert, judged
from kiemchung.store.base import OpenFile

_ARTICLE: Final = (
    "outlet", "url", "canonical_url", "title", "lead", "body", "published_method", "raw_sha256",
    "title_method", "lead_method", "body_method", "noarchive", "about_cooperatives",
    "topic_reason", "story_id", "copied_from",
)  # fmt: skip
SHORTEST_ID: Final = 6
"""Digits of an id that are enough to name a flag, where no other begins with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagSource:
    """A flag, its article as stored, and the run whose judgement counts."""

    mention_key: int
    mention: Mention
    judgement: Judgement
    article: Article
    week: str
    config_sha256: str
    code_version: str
    provenance: Provenance


def flag_sources(
    store: OpenFile, *, flag: str | None = None, week: str | None = None
) -> list[FlagSource]:
    """Return the flags in the order of their articles, of a ``week`` or all.

    ``flag`` names one as it stands in an export (``mention_id`` or ``judgement_id``, or the first
    six digits or more of one) or in the address of a page of the desk (its number).
    """
    where, given = ["j.flagged"], list[object]()
    if week is not None:
        where.append("r.week = ?")
        given.append(week)
    if flag is not None:
        number = int(flag) if flag.isascii() and flag.isdecimal() and len(flag) < 19 else -1
        start = flag if len(flag) >= SHORTEST_ID else "?"  # no id holds a question mark
        where.append(
            "(m.mention_key = ? OR starts_with(m.mention_id, ?) OR starts_with(j.judgement_id, ?))"
        )
        given += [number, start, start]
    with store._cursor() as cursor:
        rows = convert.records(
            cursor,
            f"SELECT {judged.MENTION}, {judged.JUDGEMENT}, r.run_id, r.week, r.config_sha256,"
            f" r.code_version, w.provenance, a.published_at, a.fetched_at,"
            f" {', '.join(f'a.{name}' for name in _ARTICLE)}"
            " FROM current_judgement AS q JOIN judgement AS j ON j.judgement_key = q.judgement_key"
            " JOIN run AS r ON r.run_key = q.run_key"
            " LEFT JOIN run_provenance AS w ON w.run_key = q.run_key"
            " JOIN mention AS m ON m.mention_key = q.mention_key"
            " JOIN article AS a ON a.article_key = m.article_key"
            f" WHERE {' AND '.join(where)} ORDER BY a.article_key, m.mention_key",
            given,
        )
        keys = [r["judgement_key"] for r in rows]
        inside = "list_contains(?::BIGINT[], judgement_key)"
        evidence = judged.evidence(cursor, inside.replace("judg", "e.judg"), [keys])
        differences = judged.differences(cursor, inside, [keys])
    return [
        FlagSource(
            mention_key=r["mention_key"],
            mention=convert.mention(r),
            judgement=convert.judgement(
                r,
                r["run_id"],
                evidence.get(r["judgement_key"], []),
                differences.get(r["judgement_key"], []),
            ),
            article=Article(
                article_id=r["article_id"],
                published_at=convert.utc(r["published_at"]),
                fetched_at=convert.moment(r["fetched_at"]),
                **{name: r[name] for name in _ARTICLE},
            ),
            week=r["week"],
            config_sha256=r["config_sha256"],
            code_version=r["code_version"],
            provenance=convert.provenance(r["provenance"]),
        )
        for r in rows
    ]
