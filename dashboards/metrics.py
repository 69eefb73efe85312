"""What Prometheus reads: counts, times and ages, in a registry of this one application.

No claim, no address, no account and no reviewer is a label or a value. Outlets have their pages
counted by where they ended, which is the crawl's health and no mark for an outlet. What comes from
the store is asked for at most every `KEPT_SECONDS`.
"""

from __future__ import annotations

import platform
import shutil
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from kiemchung import __version__
from kiemchung.alarms import KINDS, OTHER, kind_of
from kiemchung.domain import Decision
from kiemchung.errors import StoreError
from kiemchung.store import Store
from kiemchung.store.audited import audited
from kiemchung.store.gauges import Gauges, gauges
from kiemchung.store.inbox import QUARANTINE, waiting
from kiemchung.store.rows import RunRow
from models.audited import Audit, audit_of

# A time of birth beside every series would double them for nothing.
disable_created_metrics()  # type: ignore[no-untyped-call]
CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
KEPT_SECONDS: Final = 15.0
AUDIT_SECONDS: Final = 900.0
REQUEST_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
MERGE_BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
ENDS: Final = ("fetched", "unchanged", "refused", "failed", "quarantined", "articles",
               "cooperative", "without_date")  # fmt: skip
"""Where the pages of an outlet ended, and what the fetched ones held."""


class Metrics:
    """The registry of one desk."""

    def __init__(
        self,
        store: Store,
        *,
        inbox: Path | None = None,
        ready: Callable[[], Mapping[str, bool]] | None = None,
    ) -> None:
        self.registry = CollectorRegistry()
        build = Gauge(
            "kiemchung_build_info", "The program that answers.",
            ("version", "python"), registry=self.registry,
        )  # fmt: skip
        build.labels(version=__version__, python=platform.python_version()).set(1)
        self._seconds = Histogram(
            "kiemchung_request_seconds", "Time from a request to the end of its answer.",
            ("method", "route"), buckets=REQUEST_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self._requests = Counter(
            "kiemchung_requests", "Requests answered.",
            ("method", "route", "status"), registry=self.registry,
        )  # fmt: skip
        self._merges = Histogram(
            "kiemchung_merge_seconds", "Time to merge what waited in the inbox.",
            buckets=MERGE_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self._merged = Counter(
            "kiemchung_merged_runs", "Runs merged since the start.", registry=self.registry
        )
        self._failures = Counter(
            "kiemchung_merge_failures", "Looks at the inbox that failed.", registry=self.registry
        )
        self.registry.register(_Kept(store, inbox, ready))

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._seconds.labels(method=method, route=route).observe(seconds)
        self._requests.labels(method=method, route=route, status=str(status)).inc()

    def merged(self, runs: int, seconds: float) -> None:
        """Count merged runs and the time that they took together."""
        self._merges.observe(seconds)
        self._merged.inc(runs)

    def failed(self) -> None:
        """Count a look at the inbox that failed."""
        self._failures.inc()

    def text(self) -> bytes:
        """Return the exposition."""
        return generate_latest(self.registry)


def _gauge(name: str, help_: str, values: Mapping[str, float], label: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"kiemchung_{name}", help_, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family


class _Kept(Collector):
    """What is asked of the store and the disk when somebody scrapes."""

    def __init__(
        self, store: Store, inbox: Path | None, ready: Callable[[], Mapping[str, bool]] | None
    ) -> None:
        self._store = store
        self._inbox = inbox
        self._ready = ready
        self._guard = threading.Lock()
        self._found: Gauges | None = None
        self._until = 0.0
        self._audit: tuple[tuple[object, ...], Audit] | None = None
        self._audit_until = 0.0

    def describe(self) -> Iterable[Metric]:
        """Name nothing before the first scrape: describing would ask the store."""
        return ()

    def _gauges(self) -> Gauges | None:
        with self._guard:
            if time.monotonic() >= self._until:
                try:
                    self._found = gauges(self._store, self._found)
                except StoreError:
                    self._found = None
                self._until = time.monotonic() + KEPT_SECONDS
            return self._found

    def _audited(self, found: Gauges) -> Audit | None:
        """Return the calibration on the audited sample, not more often than `AUDIT_SECONDS`.

        Its intervals are drawn, which takes a third of a second at 3,000 conclusions: reviewers
        would feel it at every scrape.
        """
        key = (found.merged_at, found.rows["runs"], found.rows["reviews"])
        with self._guard:
            known = self._audit
            if known is None or (known[0] != key and time.monotonic() >= self._audit_until):
                try:
                    self._audit = (key, audit_of(audited(self._store)))
                except StoreError:
                    return None
                self._audit_until = time.monotonic() + AUDIT_SECONDS
            return self._audit[1] if self._audit else None

    def collect(self) -> Iterator[Metric]:
        """Yield what is there now; without a store that answers, everything else."""
        path = self._store.path
        if path.is_file():
            log = path.with_name(f"{path.name}.wal")
            size = path.stat().st_size + (log.stat().st_size if log.is_file() else 0)
            yield GaugeMetricFamily("kiemchung_store_bytes", "Size of the store.", value=size)
        free = shutil.disk_usage(path.parent).free
        yield GaugeMetricFamily("kiemchung_disk_free_bytes", "Room left for the data.", value=free)
        if self._inbox is not None:
            aside = self._inbox / QUARANTINE
            states = {
                "waiting": waiting(self._inbox),
                "quarantined": sum(p.is_dir() for p in aside.iterdir()) if aside.is_dir() else 0,
            }
            yield _gauge("inbox_batches", "Batches that are not in the store.", states, "state")
        if self._ready is not None:
            checks = {name: float(well) for name, well in self._ready().items()}
            yield _gauge("ready", "Whether a check of /ready passes.", checks, "check")
        found = self._gauges()
        yield GaugeMetricFamily(
            "kiemchung_store_answers", "Whether the store could be asked.", value=found is not None
        )
        if found is not None:
            yield from _of_store(found)
            audit = self._audited(found)
            if audit is not None:
                yield from _of_audit(audit)


def _of_store(found: Gauges) -> Iterator[Metric]:
    yield _gauge("store_rows", "Rows of a table as the runs stand now.", found.rows, "table")
    yield GaugeMetricFamily(
        "kiemchung_queue_claims", "Claims that wait for a conclusion.", value=found.queue
    )
    concluded = {str(d): found.conclusions.get(str(d), 0) for d in Decision}
    yield _gauge("conclusions", "Claims by what was concluded last.", concluded, "decision")
    if found.merged_at is not None:
        yield GaugeMetricFamily(
            "kiemchung_last_merge_timestamp_seconds", "When a run was merged last.",
            value=found.merged_at.timestamp(),
        )  # fmt: skip
    yield from _of_runs(found.latest)


def _of_audit(audit: Audit) -> Iterator[Metric]:
    """Yield the calibration; without enough conclusions there is no figure, and none is made up."""
    yield GaugeMetricFamily(
        "kiemchung_audited_claims", "Conclusions about flags and the blind sample.",
        value=audit.conclusions,
    )  # fmt: skip
    if audit.error is not None and audit.by_chance is not None:
        error = {"measured": audit.error, "by_chance": audit.by_chance}
        yield _gauge("calibration_error", "Calibration error on the audited sample.", error, "of")
        yield GaugeMetricFamily(
            "kiemchung_calibration_alarm", "Whether it is beyond chance and the bar.",
            value=float(audit.drifted),
        )  # fmt: skip


def _of_runs(runs: tuple[RunRow, ...]) -> Iterator[Metric]:
    """Yield the runs of the latest week: what they held, their alarms, each outlet's pages."""
    info = GaugeMetricFamily(
        "kiemchung_latest_run_info", "The runs of the latest week in the store.",
        labels=("week", "run", "code_version", "base_version", "model_id"),
    )  # fmt: skip
    for run in runs:
        info.add_metric((run.week, run.run_id, run.code_version, run.base_version, run.model_id), 1)
    yield info
    sums = Tally[str]()
    alarms = Tally[str]({kind: 0 for kind in (*KINDS, OTHER)})
    pages = GaugeMetricFamily(
        "kiemchung_outlet_pages", "Pages of an outlet in the latest week, by where they ended.",
        labels=("outlet", "end"),
    )  # fmt: skip
    lists = GaugeMetricFamily(
        "kiemchung_outlet_lists", "Feeds, sitemaps and listings asked and read.",
        labels=("outlet", "state"),
    )  # fmt: skip
    for run in runs:
        sums.update(articles=run.articles, mentions=run.mentions, judgements=run.judgements)
        alarms.update(kind_of(line) for line in run.alarms)
        for row in run.health:
            for end in ENDS:
                pages.add_metric((row.outlet, end), getattr(row, end))
            lists.add_metric((row.outlet, "asked"), row.lists)
            lists.add_metric((row.outlet, "read"), row.lists_read)
    yield _gauge("latest_run_rows", "What the latest week's runs held.", sums, "table")
    yield _gauge("alarms", "Alarms of the latest week's runs.", alarms, "kind")
    yield pages
    yield lists
