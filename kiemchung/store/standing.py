"""How mentions stand after all that people concluded, undid, withdrew and settled.

The views of the migrations say the same of the whole store, in ten milliseconds of planning; this
says it of a few mentions in one, from the rows themselves. A test holds both together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

import duckdb

from kiemchung.domain import Decision

_ALL: Final = """
WITH now AS (SELECT mention_key, review_key, decision FROM current_review),
back AS (
    SELECT mention_key, arg_max(cause, reopening_key) AS cause
    FROM reopening GROUP BY mention_key
)
SELECT
    coalesce(c.mention_key, b.mention_key) AS mention_key, c.deciders, c.skipped,
    n.review_key, n.decision,
    coalesce(s.decisions > 1 AND s.adjudicated_by IS NULL, false) AS disputed,
    CASE WHEN n.decision IS NULL OR n.decision = 'SKIPPED' THEN b.cause END AS reopened
FROM (
    SELECT
        mention_key,
        list(account_key) FILTER (decision <> 'SKIPPED') AS deciders,
        list(account_key) FILTER (decision = 'SKIPPED') AS skipped
    FROM counting_review GROUP BY mention_key
) AS c
FULL JOIN back AS b ON b.mention_key = c.mention_key
LEFT JOIN now AS n ON n.mention_key = c.mention_key
LEFT JOIN mention_standing AS s ON s.mention_key = c.mention_key
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """What people have done with one mention."""

    deciders: frozenset[int]  # accounts with a conclusion that counts
    skipped: frozenset[int]
    holds: int | None  # the review that counts, a lone "skipped" too; None while there is none
    decision: Decision | None  # the one that holds; None while it is open or disputed
    disputed: bool
    reopened: str  # why it waits again, empty when it does not


@dataclass(frozen=True, slots=True)
class _Row:
    key: int
    mention: int
    account: int
    decision: str

    @property
    def rank(self) -> tuple[bool, int]:
        """Somebody's latest conclusion counts, and "skipped" never covers one."""
        return self.decision != "SKIPPED", self.key


def literals(keys: Iterable[int]) -> str:
    """Return keys, our own integers, as literals: so the scans skip the blocks without them."""
    return ", ".join(str(int(k)) for k in keys) or "-1"


_NEAR: Final = 10_000


def few(select: str, column: str, keys: Iterable[int]) -> str:
    """Return ``select`` for these few ``keys`` of a big table, as a query of one part a stretch.

    One list of keys from all over a table makes DuckDB read the texts of whole blocks: 25 mentions
    of a million took 26 ms of processor, in stretches of 10,000 keys 9 ms.
    """
    parts: list[list[int]] = []
    for key in sorted({int(k) for k in keys}):
        if parts and key - parts[-1][0] < _NEAR:
            parts[-1].append(key)
        else:
            parts.append([key])
    return " UNION ALL ".join(
        f"({select} WHERE {column} BETWEEN {p[0]} AND {p[-1]} AND {column} IN ({literals(p)}))"
        for p in parts or [[-1]]
    )


def standings(
    cursor: duckdb.DuckDBPyConnection, keys: Collection[int] | None
) -> dict[int, Standing]:
    """Return how these mentions stand, or all; those that nobody touched are left out."""
    if keys is None:
        return {int(row[0]): _standing(*row[1:]) for row in cursor.execute(_ALL).fetchall()}
    if not keys:
        return {}
    inside = literals(keys)
    rows = cursor.execute(
        "SELECT review_key, mention_key, account_key, decision, undoes FROM review"
        f" WHERE mention_key IN ({inside})"
    ).fetchall()
    # A mark needs a review, so where there is no review there is nothing at all.
    if not rows:
        return {}
    undone = {int(r[4]) for r in rows if r[4] is not None}
    reviews = [_Row(*r[:4]) for r in rows if r[4] is None and r[0] not in undone]
    marked: set[int] = set()
    back: dict[int, str] = {}
    doubled: set[int] = set()
    for review, mention, cause, _ in cursor.execute(
        "SELECT review_key, mention_key, cause, reopening_key FROM reopening"
        f" WHERE mention_key IN ({inside})"
        " UNION ALL SELECT NULL, mention_key, NULL, 0 FROM double_review"
        f" WHERE mention_key IN ({inside}) ORDER BY reopening_key"
    ).fetchall():
        if review is None:
            doubled.add(int(mention))
        else:
            marked.add(int(review))
            back[int(mention)] = str(cause)
    latest: dict[tuple[int, int], _Row] = {}
    for row in sorted((r for r in reviews if r.key not in marked), key=lambda r: r.rank):
        latest[row.mention, row.account] = row
    counting: dict[int, list[_Row]] = defaultdict(list)
    for row in latest.values():
        counting[row.mention].append(row)
    settling: set[int] = set()
    if any(len(rows) > 1 for rows in counting.values()):  # only then was there something to settle
        settling = {
            int(r)
            for (r,) in cursor.execute(
                f"SELECT review_key FROM adjudication WHERE mention_key IN ({inside})"
            ).fetchall()
        }
    return {
        key: _of(counting[key], settling, doubled=key in doubled, back=back.get(key, ""))
        for key in sorted({*counting, *back})
    }


def _of(rows: list[_Row], settling: set[int], *, doubled: bool, back: str) -> Standing:
    said = [r for r in rows if r.decision != "SKIPPED"]
    skips = [r for r in rows if r.decision == "SKIPPED"]
    settled = max((r.key for r in said if r.key in settling), default=None)
    disputed = settled is None and len({r.decision for r in said}) > 1
    if settled is not None:
        holds: int | None = settled
    elif disputed or (doubled and len(said) == 1):
        holds = None
    else:
        holds = max((r.key for r in said or skips), default=None)
    decision = next((Decision(r.decision) for r in said if r.key == holds), None)
    return Standing(
        deciders=frozenset(r.account for r in said),
        skipped=frozenset(r.account for r in skips),
        holds=holds,
        decision=decision,
        disputed=disputed,
        reopened=back if decision is None else "",
    )


def _standing(
    deciders: list[int] | None,
    skipped: list[int] | None,
    holds: int | None,
    decision: str | None,
    disputed: bool,
    reopened: str | None,
) -> Standing:
    return Standing(
        deciders=frozenset(deciders or ()),
        skipped=frozenset(skipped or ()),
        holds=holds,
        decision=Decision(decision) if decision not in (None, "SKIPPED") else None,
        disputed=bool(disputed),
        reopened=reopened or "",
    )
