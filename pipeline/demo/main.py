"""`kiemchung demo`: the whole main job on the embedded sample week, then the review page."""

from __future__ import annotations

import resource
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from kiemchung.config import Settings
from kiemchung.errors import InputError
from kiemchung.store import open_store
from pipeline import stages
from pipeline.demo.scoring import Score, load_truth, score
from pipeline.stages import Progress, silent
from pipeline.weekly import SAMPLE, Summary, make_plan, outlet_names, store_path, weekly
from pipeline.weeks import Week

WEEK: Final = Week(year=2026, number=40)
USER: Final = "bientap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the demo did and how it stands to the truth of the sample."""

    summary: Summary
    score: Score
    seconds: float
    peak_mb: float
    address: str
    user: str
    password: str  # empty when the account was there before

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for `--json`."""
        return asdict(self) | {
            "precision": self.score.precision,
            "precision_lower": self.score.precision_lower,
            "recall": self.score.recall,
        }

    def lines(self) -> list[str]:
        """Return the lines for a terminal."""

        def share(value: float | None) -> str:
            return "-" if value is None else f"{value:.3f}"

        s, sums = self.score, self.summary.accounting
        access = f"one-time password {self.password}" if self.password else "your own password"
        return [
            f"week {self.summary.week}: {sums.discovered} addresses, {sums.fetched} pages,"
            f" {self.summary.articles} articles about cooperatives,"
            f" {self.summary.checkable} checkable claims, {self.summary.flags} to review",
            f"against the sample's truth ({s.found} sentences found of {s.rows}):"
            f" precision {share(s.precision)} ({s.true_flags} of {s.flags} flags,"
            f" lower bound {share(s.precision_lower)}), recall {share(s.recall)}"
            f" ({s.flagged_refuted} of {s.refuted})",
            f"opinions, criticism, praise, rebuttals, forecasts, experiences flagged:"
            f" {len(s.control_flags)} of {s.controls}; law-in-time pairs right:"
            f" {s.pairs_right} of {s.pairs}",
            f"{self.seconds:.1f} s, peak {self.peak_mb:.0f} MB",
            f"report: {self.summary.report}",
            f"review: {self.address}  user {self.user}, {access}",
        ]


def _free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _peak_mb() -> float:
    """Return the largest resident set of this process or a child, in MB (Linux counts kB)."""
    unit = 1 if sys.platform == "darwin" else 1024
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(own, child) * unit / 1e6


def run(settings: Settings, *, progress: Progress = silent) -> Result:
    """Crawl, extract, analyse, judge and publish the sample week, and score it."""
    if not _free(settings.host, settings.port):
        raise InputError(
            f"port {settings.port} is taken",
            remedy=(
                f"stop what listens there, or choose another: --port {settings.port + 1},"
                f" or make run PORT={settings.port + 1}"
            ),
        )
    began = time.monotonic()
    summary = weekly(WEEK, outlets=[SAMPLE], settings=settings, progress=progress)
    plan = make_plan(WEEK, [SAMPLE], settings)
    articles, mentions = stages.read_analysed(plan)
    scored = score(load_truth(), articles, mentions, stages.read_judged(plan))
    with open_store(store_path(settings), double_share=settings.double_review_share) as store:
        password = "" if store.has_changed_password(USER) else store.set_demo_user(USER)
    return Result(
        summary=summary,
        score=scored,
        seconds=time.monotonic() - began,
        peak_mb=_peak_mb(),
        address=f"http://{settings.host}:{settings.port}",
        user=USER,
        password=password,
    )


def serve(settings: Settings, result: Result, *, say: Callable[[str], None]) -> None:
    """Leave the review page open until interrupted."""
    from dashboards.serve import serve as serve_app

    say(f"\nkiemchung: the review page is open at {result.address} (Ctrl+C ends it)")
    if result.password:
        say(f"kiemchung: user {result.user}, one-time password {result.password}")
    serve_app(
        store_path(settings),
        settings.data_dir / "inbox",
        host=settings.host,
        port=settings.port,
        outlet_names=outlet_names(settings),
    )
