"""What runs, what is due, what is wrong: the state of one data folder, also beside a server.

Nothing is changed, but for an older store, which every opening brings up to date. A server that
owns the store is asked for what only it can read, see `kiemchung.store.requests`; one that does not
answer is itself what is wrong.
"""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from crawler.ledger import Ledger
from crawler.run import ledger_path
from kiemchung.config import Settings
from kiemchung.errors import KiemchungError, StoreError, StoreLockedError
from kiemchung.locks import holder_of
from kiemchung.store import insurance, open_store, requests
from models.audited import Audit
from pipeline import backup, drift, stages
from pipeline.deliver import LOG_NAME, alarms, deliveries
from pipeline.runs import read_run
from pipeline.weekly import store_path

_STAGES = ("extract", "analyse", "judge")
LEAST_FREE: Final = 1_000_000_000
"""Bytes on the disk of the data folder below which something is wrong."""
BACKUP_AGE: Final = timedelta(days=8)
REVIEWS_AGE: Final = timedelta(days=2)
ASK_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """How far one run came."""

    run_id: str
    week: str
    outlets: int
    finished: tuple[str, ...]
    worked_by: int | None = None  # the process that works on it now


@dataclass(frozen=True, slots=True, kw_only=True)
class ListState:
    """When a list was last read, and when it is due again by its own rhythm (ISO instants)."""

    outlet: str
    url: str
    visited_at: str
    next_at: str
    gap: bool  # entries may have been missed before the last visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A backup or a daily file of reviews: the latest of its kind."""

    path: str
    written_at: str  # ISO


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreState:
    """What the store says, whoever owns it."""

    state: str  # "open", "absent", or why it cannot be read
    owner: int | None = None  # the process that has it open, None when nobody has
    served: bool = False  # that process answers requests
    schema: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    lost: str = ""  # reviews that the daily file has and the store has not
    audit: dict[str, Any] = field(default_factory=dict)  # calibration on the audited sample


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
    owner: int | None = None
    served: bool = False
    schema: int = 0
    pending: dict[str, int] = field(default_factory=dict)  # pages to be fetched, by run
    free_bytes: int = 0
    backup: Kept | None = None
    reviews: Kept | None = None
    model: str = ""  # the promoted or shipped one, with its id
    audit: dict[str, Any] = field(default_factory=dict)  # calibration on the audited sample
    drifted: tuple[str, ...] = ()  # alarms of the latest week against the weeks before
    due: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for `--json`."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the lines for a terminal."""
        found = [f"{self.data_dir}: store {self.store}"]
        if self.schema:
            found[0] += f", schema {self.schema}"
        found += [f"  {name} {count}" for name, count in self.counts.items()]
        for run in self.runs:
            stage = ", ".join(run.finished) or "not started"
            at_work = f"  (process {run.worked_by} works on it)" if run.worked_by else ""
            found.append(f"  {run.run_id}: {stage}{at_work}")
        found += [
            f"  next visit {x.next_at[:16]} {x.outlet} {x.url}" + ("  (missed items)" * x.gap)
            for x in self.lists
        ]
        found.append(f"  fetched pages: {self.archive_bytes / 1e6:.1f} MB")
        found.append(f"  free on the disk: {self.free_bytes / 1e9:.1f} GB")
        found.append(f"  model: {self.model}")
        found.append(f"  last backup: {self.backup.written_at[:16] if self.backup else 'none'}")
        found.append(f"  last reviews: {self.reviews.written_at[:16] if self.reviews else 'none'}")
        found += [f"  due: {line}" for line in self.due]
        found += [f"  WRONG: {line}" for line in self.wrong]
        return found


def overview(settings: Settings, *, now: datetime | None = None) -> Overview:
    """Return the state of the data folder of these settings; nothing is changed."""
    moment = now or datetime.now(UTC)
    data = settings.data_dir
    inbox = data / "inbox"
    waiting = sorted(p.parent.name for p in inbox.glob("*/manifest.json"))
    quarantined = sorted(p.name for p in (inbox / "quarantine").glob("*") if p.is_dir())
    store = _store(settings)
    lists, damage, pending = _crawl(settings)
    free = shutil.disk_usage(data if data.is_dir() else Path.cwd()).free
    model, model_wrong = _model(settings)
    found = Overview(
        lists=lists,
        ledger=damage,
        archive_bytes=sum(p.stat().st_size for p in (data / "archive").glob("*.warc.gz")),
        data_dir=str(data),
        runs=_runs(data / "runs"),
        waiting=tuple(waiting),
        quarantined=tuple(quarantined),
        counts=store.counts,
        store=store.state,
        undelivered=undelivered(settings),
        owner=store.owner,
        served=store.served,
        schema=store.schema,
        pending=pending,
        free_bytes=free,
        backup=_last_backup(settings),
        reviews=_last_reviews(data / "reviews"),
        model=model,
        audit=store.audit,
        drifted=drift.lines_of_latest(data),
    )
    wrong = [*_wrong(found, store, data), *([model_wrong] if model_wrong else [])]
    return replace(found, due=tuple(_due(found, moment)), wrong=tuple(wrong))


def _wrong(found: Overview, store: StoreState, data: Path) -> list[str]:
    lines = [f"crawl ledger damaged: {line}" for line in found.ledger]
    if found.store not in ("open", "absent") and not found.served:
        lines.append(f"store: {found.store}")
    lines += [f"the store contradicts itself: {line}" for line in store.problems]
    lines += [store.lost] if store.lost else []
    lines += [
        f"reviews/{name} holds conclusions that the store had lost; compare, then remove it"
        for name in insurance.witnesses(data / "reviews")
    ]
    lines += [f"quarantined batch: {name}, see its reason.txt" for name in found.quarantined]
    lines += found.undelivered
    lines += found.drifted
    if found.audit.get("drifted"):
        lines.append(Audit(**found.audit).line())
    if found.free_bytes < LEAST_FREE:
        lines.append(f"only {found.free_bytes / 1e6:.0f} MB are free on the disk")
    return lines


def _due(found: Overview, now: datetime) -> list[str]:
    lines = [f"waiting in the inbox: {name}" for name in found.waiting]
    lines += [
        f"{r.run_id} has not finished: start `kiemchung weekly --week {r.week}` again"
        for r in found.runs
        if len(r.finished) < len(_STAGES) and r.worked_by is None
    ]
    lines += [f"{n} addresses of {run} are to be fetched" for run, n in found.pending.items()]
    visits = sum(datetime.fromisoformat(x.next_at) <= now for x in found.lists)
    if visits:
        lines.append(f"{visits} of {len(found.lists)} lists are due for a visit")
    if found.counts.get("reviews"):
        for kept, age, what in (
            (found.backup, BACKUP_AGE, "backup, see `kiemchung backup`"),
            (found.reviews, REVIEWS_AGE, "file of reviews; a server or a weekly run writes it"),
        ):
            if kept is None:
                lines.append(f"there is no {what}")
            elif now - datetime.fromisoformat(kept.written_at) > age:
                lines.append(f"since {kept.written_at[:10]} no {what}")
    return lines


def _runs(folder: Path) -> tuple[RunState, ...]:
    runs = []
    for path in sorted(folder.glob("*/run.json")):
        facts = read_run(path)
        runs.append(
            RunState(
                run_id=facts["run_id"],
                week=facts["week"],
                outlets=len(facts["outlets"]),
                finished=tuple(s for s in _STAGES if stages.complete(path.parent / s)),
                worked_by=holder_of(path.parent / ".lock"),
            )
        )
    return tuple(runs)


def _store(settings: Settings) -> StoreState:
    path = store_path(settings)
    if not path.is_file():
        return StoreState(state="absent")
    try:
        with open_store(path, wait_seconds=1.0) as store:
            return StoreState(
                state="open",
                schema=store.schema(),
                counts=store.counts(),
                problems=tuple(store.problems()),
                lost=insurance.lost(store, settings.data_dir / "reviews"),
                audit=drift.audit_store(store).as_dict(),
            )
    except StoreLockedError as error:
        return _of_owner(path, error)
    except StoreError as error:
        return StoreState(state=str(error))


def _of_owner(path: Path, locked: StoreLockedError) -> StoreState:
    try:
        told = requests.ask(
            path, "status", {}, pid=locked.pid, within=ASK_SECONDS, taken_within=3.0
        )
    except StoreLockedError:
        return StoreState(state=str(locked), owner=locked.pid)
    except StoreError as error:
        return StoreState(state=str(error), owner=locked.pid)
    return StoreState(
        state=f"served by process {locked.pid}",
        owner=locked.pid,
        served=True,
        schema=int(told["schema"]),
        counts={str(k): int(v) for k, v in told["counts"].items()},
        problems=tuple(map(str, told["problems"])),
        lost=str(told["lost"]),
        audit=dict(told.get("audit", {})),
    )


def _crawl(
    settings: Settings,
) -> tuple[tuple[ListState, ...], tuple[str, ...], dict[str, int]]:
    if not ledger_path(settings.data_dir).is_file():
        return (), (), {}
    try:
        ledger = Ledger(ledger_path(settings.data_dir))
        try:
            rhythms = sorted(ledger.rhythms().values(), key=lambda r: (r.next_at, r.key))
            damage, pending = ledger.check(), ledger.pending()
        finally:
            ledger.close()
    except (sqlite3.DatabaseError, KiemchungError) as error:
        return (), (str(error),), {}
    lists = tuple(
        ListState(
            outlet=r.outlet,
            url=r.key,
            visited_at=r.visited_at,
            next_at=r.next_at.isoformat(),
            gap=r.gap,
        )
        for r in rhythms
    )
    return lists, tuple(damage), pending


def _last_backup(settings: Settings) -> Kept | None:
    """Return the newest whole backup in the usual folder, told by its name."""
    kept = backup.kept(backup.backups_folder(settings))
    if not kept:
        return None
    at = datetime.strptime(kept[-1].name, "kiemchung-%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    return Kept(path=str(kept[-1]), written_at=at.isoformat())


def _last_reviews(folder: Path) -> Kept | None:
    files = insurance.kept(folder)
    if not files:
        return None
    try:
        newest = insurance.head(files[-1][1])
    except StoreError:
        return None
    return Kept(path=str(newest.path), written_at=newest.written_at.isoformat())


def _model(settings: Settings) -> tuple[str, str]:
    """Return the model in use, and what is wrong with it."""
    from models import registry
    from pipeline import promotion
    from pipeline.judging import promoted_model

    try:
        folder = promoted_model(settings.data_dir)
        manifest = registry.verify(folder or registry.DEFAULT)
        used = promotion.state(settings.data_dir)
    except KiemchungError as error:
        return "none that can be used", f"model: {error}"
    wrong = f"model: {used.name} is not the one that was promoted" if used.replaced else ""
    noted = f", {used.note}" if used.note else ""
    return f"{used.name} {manifest.model_id}{noted}", wrong


def undelivered(settings: Settings) -> tuple[str, ...]:
    """Return a line for each report whose last delivery by a channel failed."""
    latest = {(d.week, d.channel): d for d in deliveries(settings.data_dir / "reports" / LOG_NAME)}
    return tuple(f"{d.week}: {line}" for d in latest.values() for line in alarms([d]))
