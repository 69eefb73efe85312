"""What a batch tells machines: events in its log, and a file for node_exporter's text collector.

The weekly run is over long before anybody scrapes, so it leaves ``metrics/weekly.prom``, written
whole or not at all; counters go on from what the file said before. A start is written down at once:
a start without a later end is a run that was killed. Nothing here may fail a run.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kiemchung import __version__, logs
from kiemchung.alarms import KINDS, OTHER, kind_of, outlet_of

if TYPE_CHECKING:
    from prometheus_client import Metric

    from dashboards.operation import Operation
    from kiemchung.config import Settings
    from pipeline.stages import Progress
    from pipeline.weekly import Summary

LOG = logging.getLogger(__name__)
FAILED: Final = 1
INTERRUPTED: Final = 130
PREFIX: Final = "kiemchung_batch_"
USUAL: Final = ("off_topic", "not_article")
"""Quarantine that is the rule and no trouble: the page was read, and is not for us."""
HELP: Final = {
    "runs_total": "Times that the command ended, by exit code.",
    "last_start_timestamp_seconds": "When the command was started last.",
    "last_end_timestamp_seconds": "When it ended last, however it did.",
    "last_success_timestamp_seconds": "When it ended last with exit code 0 or 2.",
    "last_exit_code": "0 healthy, 2 with alarms, 1 failed, 130 interrupted.",
    "stage_seconds": "Time of each stage of the last run.",
    "pages": "Addresses of the last run, by where they ended.",
    "rows": "What the last run holds.",
    "alarms": "Alarms of the last run.",
    "published": "1: in the store; 0: waits in the inbox for the desk.",
    "info": "The last run.",
}
_OF_A_RUN: Final = ("stage_seconds", "pages", "rows", "alarms", "published", "info")
Key = tuple[str, tuple[tuple[str, str], ...]]


def logging_for(settings: Settings, name: str) -> AbstractContextManager[Path]:
    """Return the context in which ``name`` logs as the settings say."""
    return logs.logging_to(
        settings.data_dir / "logs", name, level=settings.log_level, form=settings.log_format
    )


def operation_of(settings: Settings) -> Operation:
    """Return how these settings run the desk."""
    from dashboards.operation import Operation
    from pipeline.judging import promoted_model

    return Operation(
        server_names=settings.server_names,
        secure_cookies=settings.secure_cookies,
        metrics=settings.metrics,
        metrics_token=settings.metrics_token.get_secret_value(),
        model_dir=promoted_model(settings.data_dir),
    )


def textfile(settings: Settings, command: str) -> Path:
    """Return where the figures of a command lie."""
    return (settings.metrics_dir or settings.data_dir / "metrics") / f"{command}.prom"


def read_figures(path: Path) -> dict[Key, float]:
    """Return what a file of figures holds, nothing of one that cannot be read."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        families = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
    found: dict[Key, float] = {}
    for family in families:
        for sample in family.samples:
            name = sample.name.removeprefix(PREFIX)
            if name in HELP:
                found[name, tuple(sorted(sample.labels.items()))] = sample.value
    return found


def exposition(figures: dict[Key, float]) -> bytes:
    """Return the text of a file of figures."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.registry import Collector

    class Held(Collector):
        def collect(self) -> Iterable[Metric]:
            for name, text in HELP.items():
                rows = [(labels, v) for (of, labels), v in sorted(figures.items()) if of == name]
                if not rows:
                    continue
                made = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
                family = made(PREFIX + name, text, labels=[k for k, _ in rows[0][0]])
                for labels, value in rows:
                    family.add_metric([v for _, v in labels], value)
                yield family

    registry = CollectorRegistry()
    registry.register(Held())
    return generate_latest(registry)


class Watch:
    """One run of a command, while it lasts."""

    def __init__(self, settings: Settings, command: str, week: str) -> None:
        self.command = command
        self.week = week
        self._runs = settings.data_dir / "runs"
        self._path = textfile(settings, command)
        self._stage = ""
        self._entered = 0.0
        self._seconds: dict[str, float] = {}
        self._summary: Summary | None = None
        self._told = False

    # -- while it runs ---------------------------------------------------------------------------

    def over(self, progress: Progress) -> Progress:
        """Return ``progress`` with the beginning and the end of each stage written down."""

        def noted(stage: str, done: int, total: int) -> None:
            if stage != self._stage:
                self._leave()
                self._stage, self._entered = stage, time.monotonic()
                logs.event(LOG, "stage_started", command=self.command, week=self.week, stage=stage)
            progress(stage, done, total)

        return noted

    def _leave(self) -> None:
        if self._stage:
            spent = time.monotonic() - self._entered
            self._seconds[self._stage] = self._seconds.get(self._stage, 0.0) + spent
            logs.event(
                LOG, "stage_ended", command=self.command, week=self.week, stage=self._stage,
                seconds=spent,
            )  # fmt: skip
        self._stage = ""

    def finished(self, summary: Summary) -> None:
        """Take over what the run did."""
        self._summary = summary
        for line in summary.alarms:
            # The command shows the line itself; a warning would show it a second time.
            logs.event(
                LOG, "alarm", run=summary.run_id, week=self.week, kind=kind_of(line),
                outlet=outlet_of(line),
            )  # fmt: skip
        if "extract" in self._seconds or self._stage == "extract":
            self._quarantined(summary.run_id)

    def _quarantined(self, run_id: str) -> None:
        """Name the pages that nobody could read, so that each can be looked at in the archive."""
        from pipeline.stages import complete, read_outcomes

        folder = self._runs / run_id / "extract"
        if not complete(folder):
            return
        for page in read_outcomes(folder):
            if page.state == "quarantined" and page.reason not in USUAL:
                logs.event(
                    LOG, "page_quarantined", run=run_id, outlet=page.outlet, url=page.url,
                    reason=page.reason,
                )  # fmt: skip

    # -- its figures -----------------------------------------------------------------------------

    def started(self) -> None:
        """Write the start down."""
        logs.event(LOG, "started", command=self.command, week=self.week, version=__version__)
        self._write({"last_start_timestamp_seconds": time.time()})

    def ended(self, code: int, reason: str = "") -> None:
        """Write the end down."""
        self._leave()
        now = time.time()
        values: dict[str, float] = {"last_end_timestamp_seconds": now, "last_exit_code": code}
        if code in (0, 2):
            values["last_success_timestamp_seconds"] = now
        facts = logs.Facts(command=self.command, week=self.week, exit_code=code)
        if reason:
            facts["reason"] = reason
        done = self._summary
        if done is not None:
            facts |= logs.Facts(
                run=done.run_id, articles=done.articles, checkable=done.checkable,
                judgements=done.judgements, flags=done.flags, alarms=len(done.alarms),
                published=done.published,
            )  # fmt: skip
        logs.event(LOG, "ended", **facts)
        self._write(values, ended=code)

    def _write(self, values: dict[str, float], *, ended: int | None = None) -> None:
        from kiemchung.shards import write_bytes_atomically

        own = (("command", self.command),)
        try:
            figures = read_figures(self._path)
            if ended is not None:
                key = ("runs_total", (*own, ("exit", str(ended))))
                figures[key] = figures.get(key, 0.0) + 1
                figures = {k: v for k, v in figures.items() if k[0] not in _OF_A_RUN}
                figures |= self._of_the_run()
            figures |= {(name, own): value for name, value in values.items()}
            write_bytes_atomically(self._path, exposition(figures))
            self._path.chmod(0o644)  # counts only, and node_exporter is another user
        except OSError as error:
            if not self._told:  # at the end it is what it was at the start
                LOG.warning("the figures were not written: %s", error)
            self._told = True

    def _of_the_run(self) -> dict[Key, float]:
        found: dict[Key, float] = {}

        def put(name: str, value: float, **labels: str) -> None:
            found[name, tuple(sorted({"command": self.command, **labels}.items()))] = value

        for stage, seconds in self._seconds.items():
            put("stage_seconds", round(seconds, 3), stage=stage)
        done = self._summary
        if done is None:
            return found
        sums = done.accounting
        ends = {
            "discovered": sums.discovered, "fetched": sums.fetched, "unchanged": sums.unchanged,
            "refused": sum(sums.refused.values()), "failed": sum(sums.failed.values()),
            "pending": sums.pending, "stored": sums.stored, "duplicate": sums.duplicate,
            "quarantined": sum(sums.quarantined.values()),
        }  # fmt: skip
        for end, count in ends.items():
            put("pages", count, end=end)
        rows = ("articles", "mentions", "checkable", "judgements", "flags")
        for table in rows:
            put("rows", getattr(done, table), table=table)
        kinds = Counter(kind_of(line) for line in done.alarms)
        for kind in (*KINDS, OTHER):
            put("alarms", kinds[kind], kind=kind)
        put("published", float(done.published))
        put("info", 1, week=done.week, run=done.run_id, version=__version__)
        return found


@contextmanager
def watched(settings: Settings, command: str, week: str = "") -> Iterator[Watch]:
    """Log and count one run of ``command``; what it raises goes on as it is."""
    watch = Watch(settings, command, week)
    with logging_for(settings, command):
        watch.started()
        try:
            yield watch
        except KeyboardInterrupt:
            watch.ended(INTERRUPTED)
            raise
        except BaseException as error:
            # The class says what kind of failure; its text was written for the terminal.
            watch.ended(FAILED, reason=type(error).__name__)
            raise
        done = watch._summary
        watch.ended(0 if done is None else done.exit_code)
