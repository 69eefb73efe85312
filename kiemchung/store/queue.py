"""The reading order: what is put before a reviewer, and where it stands.

The order is kept between decisions, not worked out at each: it changes only when a run is merged.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any, Final

import duckdb

from kiemchung.domain import Decision, Label, digest
from kiemchung.store.rows import QueueEntry

VIEWS: Final = ("queue", "flagged", "all", "decided")
MAX_ENTRIES: Final = 5000
"""Longer lists are cut: nobody reads on, and a page of the rest is found by its week."""

_ENTRIES: Final = """
WITH judged AS (
    SELECT
        m.mention_key, m.claim_id, m.as_of, m.check_worthiness, j.evidence_sha256, j.flagged,
        j.p_refuted, j.label, r.week, a.story_id,
        EXISTS (
            SELECT 1 FROM selection AS s
            WHERE s.mention_key = m.mention_key AND s.reason = 'sample'
        ) AND NOT j.flagged AS sampled
    FROM current_judgement AS c
    JOIN judgement AS j ON j.judgement_key = c.judgement_key
    JOIN run AS r ON r.run_key = c.run_key
    JOIN mention AS m ON m.mention_key = c.mention_key
    JOIN article AS a ON a.article_key = m.article_key
),
entry AS (
    SELECT
        arg_min(mention_key, (NOT sampled, -coalesce(p_refuted, -1), mention_key)) AS mention_key,
        list(mention_key ORDER BY mention_key) AS mention_keys,
        list(DISTINCT week ORDER BY week) AS weeks,
        flagged,
        bool_or(sampled) AS sampled,
        max(p_refuted) AS p_refuted
    FROM judged
    GROUP BY claim_id, evidence_sha256, flagged
)
SELECT
    e.mention_key, e.mention_keys, e.weeks, e.flagged, e.sampled, e.p_refuted,
    m.mention_id, m.text, m.as_of, a.outlet, a.title, a.published_at, j.label
FROM entry AS e
JOIN mention AS m ON m.mention_key = e.mention_key
JOIN article AS a ON a.article_key = m.article_key
JOIN current_judgement AS c ON c.mention_key = e.mention_key
JOIN judgement AS j ON j.judgement_key = c.judgement_key
ORDER BY e.flagged DESC, e.sampled DESC, e.p_refuted DESC NULLS LAST, e.mention_key
LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class _People:
    decided: Mapping[int, Decision]
    skipped: Mapping[int, frozenset[int]]  # account key -> mention keys


def strew(flags: list[QueueEntry], sample: list[tuple[str, QueueEntry]]) -> list[QueueEntry]:
    """Return the flags in their order with the sample among them at places drawn by hash.

    ``sample`` pairs a stable id with an entry. The strongest flag stays first.
    """
    places: list[tuple[int, int, int, QueueEntry]] = [
        (2 * number, 0, number, entry) for number, entry in enumerate(flags)
    ]
    for number, (stable_id, entry) in enumerate(sample):
        draw = int(digest("place in the queue", stable_id)[:8], 16)
        behind = draw * max(len(flags), 1) >> 32  # of which flag
        places.append((2 * behind + 1, draw, number, entry))
    return [entry for _, _, _, entry in sorted(places, key=lambda p: p[:3])]


class QueueCache:
    """The lists, kept until the rows they were made of change."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._rows: list[dict[str, Any]] | None = None
        self._mixed: list[QueueEntry] = []
        self._people: _People | None = None

    def forget_machine(self) -> None:
        """A run was merged."""
        with self._guard:
            self._rows = None

    def forget_people(self) -> None:
        """Somebody concluded or undid something."""
        with self._guard:
            self._people = None

    def _load(self, cursor: duckdb.DuckDBPyConnection) -> tuple[list[QueueEntry], _People]:
        with self._guard:
            if self._rows is None:
                self._rows = cursor.execute(_ENTRIES, [MAX_ENTRIES]).to_arrow_table().to_pylist()
                pairs = [(str(row["mention_id"]), _entry(row)) for row in self._rows]
                flags = [e for _, e in pairs if e.flagged]
                sample = [(i, e) for i, e in pairs if e.sampled and not e.flagged]
                rest = [e for _, e in pairs if not e.flagged and not e.sampled]
                self._mixed = strew(flags, sample) + rest
            if self._people is None:
                decided = cursor.execute(
                    "SELECT mention_key, decision FROM current_review WHERE decision <> 'SKIPPED'"
                ).fetchall()
                skipped = cursor.execute(
                    "SELECT account_key, list(DISTINCT mention_key) FROM standing_review"
                    " WHERE decision = 'SKIPPED' GROUP BY account_key"
                ).fetchall()
                self._people = _People(
                    decided={int(key): Decision(text) for key, text in decided},
                    skipped={int(key): frozenset(keys) for key, keys in skipped},
                )
            return self._mixed, self._people

    def entries(
        self,
        cursor: duckdb.DuckDBPyConnection,
        *,
        account_key: int,
        view: str,
        week: str | None,
    ) -> list[QueueEntry]:
        """Return one list for one account."""
        mixed, people = self._load(cursor)
        skipped = people.skipped.get(account_key, frozenset())
        found = []
        for entry in mixed:
            if week is not None and week not in entry.weeks:
                continue
            if view == "queue" and not (entry.flagged or entry.sampled):
                continue
            if view == "flagged" and not entry.flagged:
                continue
            decision = next(
                (people.decided[k] for k in entry.mention_keys if k in people.decided), None
            )
            if view == "decided" and decision is None:
                continue
            if view == "queue" and (
                decision is not None or not skipped.isdisjoint(entry.mention_keys)
            ):
                continue
            found.append(entry if decision is None else replace(entry, decision=decision))
        return found


def _entry(row: dict[str, Any]) -> QueueEntry:
    published = row["published_at"]
    return QueueEntry(
        mention_key=row["mention_key"],
        mention_keys=tuple(row["mention_keys"]),
        text=row["text"],
        outlet=row["outlet"],
        title=row["title"],
        published_at=None if published is None else published.astimezone(UTC),
        as_of=row["as_of"],
        weeks=tuple(row["weeks"]),
        flagged=row["flagged"],
        sampled=row["sampled"],
        p_refuted=row["p_refuted"],
        label=None if row["label"] is None else Label(row["label"]),
    )
