"""Extract again what was fetched before, without fetching: after a template or program changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crawler import run as crawling
from crawler.outlets import load_outlets
from crawler.run import FetchedPage
from kiemchung.config import Settings
from kiemchung.errors import KiemchungError
from pipeline import backfill, stages
from pipeline.runs import RunPlan, read_run, sole
from pipeline.stages import Progress, silent
from pipeline.weeks import Week, parse_week
from pipeline.workers import crew_of


class ArchiveExpiredError(KiemchungError):
    """A page of the run is past its time in the archive; what was extracted from it stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reextracted:
    """What extracting a run again came to."""

    run_id: str
    before: int  # articles
    after: int
    new: int  # articles with another text than before
    skipped: str = ""  # why the run was left as it is, empty where it was not


def _plans(settings: Settings, since: Week) -> Iterator[RunPlan]:
    for path in sorted((settings.data_dir / "runs").glob("*/run.json")):
        facts = read_run(path)
        week = parse_week(facts["week"])
        if str(week) >= str(since):
            yield RunPlan(
                week=week,
                outlets=tuple(facts["outlets"]),
                config_sha256=facts["config_sha256"],
                data_dir=settings.data_dir,
            )


def _named(run: RunPlan) -> bool:
    kept = {k.run_id: k.named for k in backfill.kept_runs(run.data_dir)}
    return kept.get(run.run_id, True)


def _whole(pages: Iterator[FetchedPage]) -> Iterator[FetchedPage]:
    for page in pages:
        if "archive_expired" in page.flags:
            raise ArchiveExpiredError("its pages are past their time in the archive")
        yield page


def reextract(
    since: Week, settings: Settings, *, progress: Progress = silent
) -> tuple[Reextracted, ...]:
    """Extract every run of ``since`` and later again from the archive.

    A run whose pages were removed after their time keeps its articles. The later stages see the
    new articles when the week is run again.
    """
    every = load_outlets(settings.outlet_dir)
    found = []
    for run in _plans(settings, since):
        outlets = {name: every[name] for name in run.outlets if name in every}
        with sole(run):
            backfill.keep(run, outlets, named=_named(run))
            done = stages.complete(run.stage("extract"))
            before = {a.article_id for a in stages.articles_of(run)} if done else set()
            skipped = ""
            try:
                pages = crawling.fetched_pages(run.data_dir, run.run_id)
                stages.extract(
                    run, _whole(pages), outlets, progress=progress, crew=crew_of(settings.workers)
                )
                after = {a.article_id for a in stages.articles_of(run)}
            except ArchiveExpiredError as error:
                after, skipped = before, error.message
        found.append(
            Reextracted(
                run_id=run.run_id,
                before=len(before),
                after=len(after),
                new=len(after - before),
                skipped=skipped,
            )
        )
    return tuple(found)
