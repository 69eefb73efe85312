"""How each outlet did in a run: what crawl and extraction left, set against its own past."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from crawler.health import (
    Alarm,
    ListWeek,
    OutletWeek,
    alarms,
    instant_of,
    read_history,
    write_week,
)
from crawler.ledger import Kind, Ledger, State, Visit
from crawler.outlets import Outlet
from crawler.run import ledger_path
from kiemchung.domain import OutletHealth
from pipeline.runs import RunPlan
from pipeline.stages import PageOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The health of a run: a row an outlet, and its alarms as lines."""

    rows: tuple[OutletHealth, ...]
    lines: tuple[str, ...]


def folder(data_dir: Path) -> Path:
    """Return where the weeks of all outlets lie."""
    return data_dir / "health"


@dataclass(slots=True, kw_only=True)
class _Pages:
    """What is counted of an outlet's pages while they pass."""

    articles: int = 0
    title_only: int = 0
    with_lead: int = 0
    without_date: int = 0
    cooperative: int = 0
    newest: str = ""
    quarantined: Counter[str] = field(default_factory=Counter)
    bodies: Counter[str] = field(default_factory=Counter)
    drifts: array[float] = field(default_factory=lambda: array("d"))
    lengths: array[int] = field(default_factory=lambda: array("q"))

    def add(self, outcome: PageOutcome) -> None:
        """Count one page."""
        if not outcome.extracted:
            if outcome.state == "quarantined":
                self.quarantined[outcome.reason] += 1
            return
        self.articles += 1
        self.title_only += outcome.title_only
        self.with_lead += outcome.with_lead
        self.without_date += not outcome.published
        self.cooperative += outcome.cooperative
        self.newest = _newer(self.newest, outcome.published)
        if outcome.body_sha256:
            self.bodies[outcome.body_sha256] += 1
        if outcome.drift is not None:
            self.drifts.append(outcome.drift)
        if outcome.characters:
            self.lengths.append(outcome.characters)


def _newer(one: str, other: str) -> str:
    return max(filter(None, (one, other)), default="", key=datetime.fromisoformat)


def outlet_week(
    outlet: Outlet, week: str, visits: Sequence[Visit], outcomes: Iterable[PageOutcome]
) -> OutletWeek:
    """Return the week of one outlet from its addresses and its pages."""
    counted = _Pages()
    for outcome in outcomes:
        counted.add(outcome)
    return _outlet_week(outlet, week, visits, counted)


def _outlet_week(outlet: Outlet, week: str, visits: Sequence[Visit], counted: _Pages) -> OutletWeek:
    pages = [v for v in visits if v.kind is Kind.PAGE and v.state is not State.MOVED]
    lists = [v for v in visits if v.kind is not Kind.PAGE and v.state is not State.MOVED]
    ended = Counter(v.state for v in pages)
    failed = [v.reason for v in pages if v.state in (State.FAILED, State.GONE)]
    newest = counted.newest
    for visit in lists:
        newest = _newer(newest, visit.newest)
    return OutletWeek(
        outlet=outlet.name,
        week=week,
        lists=tuple(
            ListWeek(
                url=v.url,
                kind=str(v.kind),
                state=str(v.state),
                reason=v.reason,
                items=v.items,
                newest=v.newest,
                dated=v.dated,
                fingerprint=v.fingerprint,
                new=v.fresh,
            )
            for v in lists
        ),
        discovered=len(pages),
        fetched=ended[State.FETCHED],
        unchanged=ended[State.UNCHANGED],
        refused=dict(Counter(v.reason for v in pages if v.state is State.REFUSED)),
        failed=dict(Counter(failed)),
        extracted=counted.articles,
        quarantined=dict(counted.quarantined),
        title_only=counted.title_only,
        with_lead=counted.with_lead,
        without_date=counted.without_date,
        median_characters=int(median(counted.lengths)) if counted.lengths else None,
        cooperative=counted.cooperative,
        drift=round(median(counted.drifts), 4) if counted.drifts else None,
        repeated=sum(n for n in counted.bodies.values() if n > 1),
        newest_item=newest,
        moved_to=_moved_to(outlet, lists),
    )


def _moved_to(outlet: Outlet, lists: Sequence[Visit]) -> str:
    """Return the host to which lists of the outlet were sent on, empty for none."""
    for visit in lists:
        host = urlsplit(visit.final_url).hostname or ""
        if visit.reason == "off_site" and host and host not in outlet.hosts:
            return host
    return ""


def check(run: RunPlan, outlets: Mapping[str, Outlet], outcomes: Iterable[PageOutcome]) -> Checked:
    """Return the health of every outlet of a run, and write its week down as history.

    A past week is looked at as of its end, a running one as of now; the same week again replaces
    what was written before.
    """
    ledger = Ledger(ledger_path(run.data_dir))
    visits: dict[str, list[Visit]] = {name: [] for name in outlets}
    try:
        for visit in ledger.each_visit(run.run_id):
            if visit.outlet in visits:
                visits[visit.outlet].append(visit)
    finally:
        ledger.close()
    counted = {name: _Pages() for name in outlets}
    for outcome in outcomes:
        if outcome.outlet in counted:
            counted[outcome.outlet].add(outcome)
    week = str(run.week)
    past, unreadable = read_history(folder(run.data_dir), before=week)
    at = min(instant_of(week), datetime.now(UTC))
    rows = []
    lines = [f"unreadable history: {error}" for error in unreadable]
    for name, outlet in sorted(outlets.items()):
        now = _outlet_week(outlet, week, visits[name], counted[name])
        found = alarms(now, past.get(name, []), expect=outlet.expect, at=at)
        write_week(folder(run.data_dir), now)
        rows.append(_row(now, found))
        lines += [f"{a.kind}: {a.outlet}: {a.message}" for a in found]
    return Checked(rows=tuple(rows), lines=tuple(lines))


def _row(now: OutletWeek, found: Sequence[Alarm]) -> OutletHealth:
    return OutletHealth(
        outlet=now.outlet,
        lists=len(now.lists),
        lists_read=sum(row.state in ("fetched", "unchanged") for row in now.lists),
        discovered=now.discovered,
        fetched=now.fetched,
        unchanged=now.unchanged,
        refused=sum(now.refused.values()),
        failed=sum(now.failed.values()),
        articles=now.extracted,
        cooperative=now.cooperative,
        quarantined=sum(now.quarantined.values()),
        title_only=now.title_only,
        with_lead=now.with_lead,
        without_date=now.without_date,
        median_characters=now.median_characters,
        newest=now.newest_item,
        alarms=tuple(a.kind for a in found),
    )
