"""What there is: runs, how far each came, what lies in the store and in the inbox."""

from __future__ import annotations

import sqlite3
from dataclasses import asdict, dataclass
from typing import Any

from crawler.ledger import Ledger
from crawler.run import ledger_path
from kiemchung.config import Settings
from kiemchung.errors import KiemchungError, StoreError
from kiemchung.store import open_store
from pipeline import stages
from pipeline.deliver import LOG_NAME, alarms, deliveries
from pipeline.runs import read_run
from pipeline.weekly import store_path

_STAGES = ("extract", "analyse", "judge")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """How far one run came."""

    run_id: str
    week: str
    outlets: int
    finished: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListState:
    """When a list was last read, and when it is due again by its own rhythm (ISO instants)."""

    outlet: str
    url: str
    visited_at: str
    next_at: str
    gap: bool  # entries may have been missed before the last visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The state of one data folder."""

    data_dir: str
    runs: tuple[RunState, ...]
    waiting: tuple[str, ...]  # batches in the inbox that no store has merged
    quarantined: tuple[str, ...]
    counts: dict[str, int]
    store: str  # "open", "absent", or why it cannot be read
    lists: tuple[ListState, ...]  # feeds, sitemaps, listings and searches, the next due first
    ledger: tuple[str, ...]  # what is damaged in the crawl ledger
    archive_bytes: int
    undelivered: tuple[str, ...] = ()  # reports whose last delivery failed, by channel

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for `--json`."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the lines for a terminal."""
        found = [f"{self.data_dir}: store {self.store}"]
        found += [f"  {name} {count}" for name, count in self.counts.items()]
        found += [f"  {r.run_id}: {', '.join(r.finished) or 'not started'}" for r in self.runs]
        found += [
            f"  next visit {x.next_at[:16]} {x.outlet} {x.url}" + ("  (missed items)" * x.gap)
            for x in self.lists
        ]
        found += [f"  crawl ledger damaged: {line}" for line in self.ledger]
        found.append(f"  fetched pages: {self.archive_bytes / 1e6:.1f} MB")
        found += [f"  waiting in the inbox: {name}" for name in self.waiting]
        found += [f"  quarantined batch: {name}" for name in self.quarantined]
        found += [f"  {line}" for line in self.undelivered]
        return found


def overview(settings: Settings) -> Overview:
    """Return the state of the data folder of these settings; nothing is changed."""
    runs = []
    for path in sorted((settings.data_dir / "runs").glob("*/run.json")):
        facts = read_run(path)
        runs.append(
            RunState(
                run_id=facts["run_id"],
                week=facts["week"],
                outlets=len(facts["outlets"]),
                finished=tuple(s for s in _STAGES if stages.complete(path.parent / s)),
            )
        )
    inbox = settings.data_dir / "inbox"
    waiting = sorted(p.parent.name for p in inbox.glob("*/manifest.json"))
    quarantined = sorted(p.name for p in (inbox / "quarantine").glob("*") if p.is_dir())
    counts: dict[str, int] = {}
    path = store_path(settings)
    state = "absent"
    if path.is_file():
        try:
            with open_store(path, wait_seconds=1.0) as store:
                counts = dict(store.counts())
            state = "open"
        except StoreError as error:
            state = str(error)
    lists: list[ListState] = []
    damage: list[str] = []
    if ledger_path(settings.data_dir).is_file():
        try:
            ledger = Ledger(ledger_path(settings.data_dir))
            try:
                rhythms = sorted(ledger.rhythms().values(), key=lambda r: (r.next_at, r.key))
                damage = ledger.check()
            finally:
                ledger.close()
            lists = [
                ListState(
                    outlet=r.outlet,
                    url=r.key,
                    visited_at=r.visited_at,
                    next_at=r.next_at.isoformat(),
                    gap=r.gap,
                )
                for r in rhythms
            ]
        except (sqlite3.DatabaseError, KiemchungError) as error:
            damage = [str(error)]
    return Overview(
        lists=tuple(lists),
        ledger=tuple(damage),
        archive_bytes=sum(
            p.stat().st_size for p in (settings.data_dir / "archive").glob("*.warc.gz")
        ),
        data_dir=str(settings.data_dir),
        runs=tuple(runs),
        waiting=tuple(waiting),
        quarantined=tuple(quarantined),
        counts=counts,
        store=state,
        undelivered=undelivered(settings),
    )


def undelivered(settings: Settings) -> tuple[str, ...]:
    """Return a line for each report whose last delivery by a channel failed."""
    latest = {(d.week, d.channel): d for d in deliveries(settings.data_dir / "reports" / LOG_NAME)}
    return tuple(f"{d.week}: {line}" for d in latest.values() for line in alarms([d]))
