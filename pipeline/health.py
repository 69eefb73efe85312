"""How each outlet did in a run: what crawl and extraction left, set against its own past."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


def outlet_week(
    outlet: Outlet, week: str, visits: Sequence[Visit], outcomes: Sequence[PageOutcome]
) -> OutletWeek:
    """Return the week of one outlet from its addresses and its pages."""
    pages = [v for v in visits if v.kind is Kind.PAGE and v.state is not State.MOVED]
    lists = [v for v in visits if v.kind is not Kind.PAGE and v.state is not State.MOVED]
    ended = Counter(v.state for v in pages)
    failed = [v.reason for v in pages if v.state in (State.FAILED, State.GONE)]
    articles = [o for o in outcomes if o.extracted]
    bodies = Counter(o.body_sha256 for o in articles if o.body_sha256)
    drifts = [o.drift for o in articles if o.drift is not None]
    lengths = [o.characters for o in articles if o.characters]
    stamps = [*(o.published for o in articles), *(v.newest for v in lists)]
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
        extracted=len(articles),
        quarantined=dict(
            Counter(o.reason for o in outcomes if o.state == "quarantined" and not o.extracted)
        ),
        title_only=sum(o.title_only for o in articles),
        with_lead=sum(o.with_lead for o in articles),
        without_date=sum(not o.published for o in articles),
        median_characters=int(median(lengths)) if lengths else None,
        cooperative=sum(o.cooperative for o in articles),
        drift=round(median(drifts), 4) if drifts else None,
        repeated=sum(n for n in bodies.values() if n > 1),
        newest_item=max(filter(None, stamps), default="", key=datetime.fromisoformat),
        moved_to=_moved_to(outlet, lists),
    )


def _moved_to(outlet: Outlet, lists: Sequence[Visit]) -> str:
    """Return the host to which lists of the outlet were sent on, empty for none."""
    for visit in lists:
        host = urlsplit(visit.final_url).hostname or ""
        if visit.reason == "off_site" and host and host not in outlet.hosts:
            return host
    return ""


def check(run: RunPlan, outlets: Mapping[str, Outlet], outcomes: Sequence[PageOutcome]) -> Checked:
    """Return the health of every outlet of a run, and write its week down as history.

    A past week is looked at as of its end, a running one as of now; the same week again replaces
    what was written before.
    """
    ledger = Ledger(ledger_path(run.data_dir))
    try:
        visits = ledger.visits(run.run_id)
    finally:
        ledger.close()
    week = str(run.week)
    past, unreadable = read_history(folder(run.data_dir), before=week)
    at = min(instant_of(week), datetime.now(UTC))
    rows = []
    lines = [f"unreadable history: {error}" for error in unreadable]
    for name, outlet in sorted(outlets.items()):
        now = outlet_week(
            outlet,
            week,
            [v for v in visits if v.outlet == name],
            [o for o in outcomes if o.outlet == name],
        )
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
