"""What an operator watches of the store: counts and ages, nothing about a person or a text."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from kiemchung.errors import StoreError
from kiemchung.store.migrate import shipped
from kiemchung.store.rows import RunRow
from kiemchung.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """How much the store holds and what waits."""

    rows: dict[str, int]  # as `Store.counts`
    queue: int  # claims that wait for a conclusion
    conclusions: dict[str, int]  # claims by what was concluded last
    merged_at: datetime | None  # when a run was merged last
    latest: tuple[RunRow, ...]  # the runs of the latest week


_PEOPLE: Final = (
    "SELECT (SELECT count(*) FROM review) AS reviews,"
    " (SELECT count(*) FROM current_review WHERE decision <> 'SKIPPED') AS decided,"
    " (SELECT count(*) FROM account WHERE active) AS accounts"
)


def gauges(store: Store, before: Gauges | None = None) -> Gauges:
    """Return the gauges of an open store.

    What the batch wrote is counted anew only after a merge: at a million claims that takes a second
    of the processor, and reviewers would wait for it. ``before`` is what was returned last.

    Raises:
        StoreError: the database failed.
    """
    with store._cursor() as cursor:
        waiting = store._queue.entries(cursor, account_key=-1, view="queue", week=None)
    concluded = store._read("SELECT decision, count(*) AS n FROM current_review GROUP BY 1")
    (last,) = store._read("SELECT count(*) AS n, max(merged_at) AS at, max(week) AS week FROM run")
    same = before is not None and (before.rows["runs"], before.merged_at) == (last["n"], last["at"])
    if before is not None and same:
        (people,) = store._read(_PEOPLE)
        return replace(
            before,
            rows=before.rows | {name: int(n) for name, n in people.items()},
            queue=len(waiting),
            conclusions={str(r["decision"]): int(r["n"]) for r in concluded},
        )
    return Gauges(
        rows=store.counts(),
        queue=len(waiting),
        conclusions={str(r["decision"]): int(r["n"]) for r in concluded},
        merged_at=last["at"],
        latest=tuple(store.runs(last["week"])) if last["week"] else (),
    )


def answers(store: Store) -> bool:
    """Whether the database answers the smallest question."""
    try:
        return not store.broken and store._read("SELECT 1 AS one") == [{"one": 1}]
    except StoreError:
        return False


def schema_current(store: Store) -> bool:
    """Whether the file has been through every migration of this program and no other."""
    try:
        rows = store._read("SELECT number, sha256 FROM schema_version ORDER BY number")
    except StoreError:
        return False
    return [(r["number"], r["sha256"]) for r in rows] == [(m.number, m.sha256) for m in shipped()]
