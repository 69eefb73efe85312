"""The report of a week as files beside one another: page, JSON and the feed of all weeks."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboards.feed import as_rss, entries
from dashboards.report import as_dict, as_html, collect
from kiemchung.config import Settings
from kiemchung.shards import write_bytes_atomically
from kiemchung.store import Store
from kiemchung.store.monitor import Monitor
from pipeline.runs import AGAIN

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenReport:
    """What was written where, and the facts for whoever delivers it."""

    week: str
    html: Path
    json: Path
    feed: Path
    facts: dict[str, Any]
    page: bytes


def write_report(
    store: Store,
    week: str,
    settings: Settings,
    *,
    outlet_names: dict[str, str],
    out: Path | None = None,
) -> WrittenReport:
    """Write the report of ``week``, each file whole or not at all.

    ``out`` names the page, the others lie beside it; without it, ``reports/`` of the data folder.
    """
    html = out or settings.data_dir / "reports" / f"{week}.html"
    monitor = Monitor(store)
    report = collect(store, week, monitor)
    facts = as_dict(report)
    page = as_html(report, outlet_names=outlet_names, contact=settings.contact).encode("utf-8")
    feed = as_rss(
        entries(store, public_url=settings.public_url, monitor=monitor),
        publisher=settings.publisher,
        link=settings.project_url,
        public_url=settings.public_url,
    )
    data = json.dumps(facts, ensure_ascii=False, indent=1) + "\n"
    written = WrittenReport(
        week=week,
        html=html,
        json=html.with_suffix(".json"),
        feed=html.with_name("feed.xml"),
        facts=facts,
        page=page,
    )
    write_bytes_atomically(written.html, page)
    write_bytes_atomically(written.json, data.encode("utf-8"))
    write_bytes_atomically(written.feed, feed.encode("utf-8"))
    return written


def after_merge(
    store: Store, run_ids: Sequence[str], settings: Settings, *, outlet_names: dict[str, str]
) -> None:
    """Write and deliver the reports of the weeks whose runs the server has just merged.

    What fails is logged and written down with the deliveries; the server goes on.
    """
    from crawler.outlets import load_outlets
    from pipeline.deliver import alarms, deliver

    samples = {o.name for o in load_outlets(settings.outlet_dir).values() if o.sample}
    merged = [r for r in store.runs() if r.run_id in run_ids]
    for week in sorted({r.week for r in merged}):
        written = write_report(store, week, settings, outlet_names=outlet_names)
        ran = [r for r in merged if r.week == week and AGAIN not in r.run_id]
        if any(set(r.outlets) - samples for r in ran):  # what is only judged anew is no news
            for line in alarms(deliver(written, settings)):
                LOG.error("%s", line)
