"""The stages between the crawl and the store, each a function of shards to shards.

A shard is named after the hash of what it was made from. A stage that was killed therefore finds
its finished shards by name and starts again at the first missing one; a stage whose input changed
makes new shards and removes the old. No stage holds more than the shards its workers are at; what
is kept of the whole week are ids, and of each text a fingerprint.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final, Protocol, TypeVar

from crawler.outlets import Outlet, outlet_sha256
from crawler.run import FetchedPage
from kiemchung import tombstones
from kiemchung.config import Settings
from kiemchung.domain import Article, Document, Judgement, Mention, digest
from kiemchung.shards import read_shard
from pipeline.analysing import (
    ReadContext,
    ReadJob,
    ReadTask,
    StoryJob,
    StoryTask,
    distinct,
    stories_of,
)
from pipeline.extracting import (
    ExtractContext,
    ExtractJob,
    PageOutcome,
    PageTask,
    article_of,
    clock_was_wrong,
    extractor_version,
    read_at,
)
from pipeline.handover import complete, finish, made_with, rows_of, shards_of
from pipeline.judging import Judge
from pipeline.remembered import FILE, Remembered
from pipeline.runs import RunPlan
from pipeline.verdicts import JudgeContext, JudgeJob, JudgeTask, grouped, load_job, version_of
from pipeline.workers import FEW, Alone, Crew

__all__ = [
    "PageOutcome", "article_of", "clock_was_wrong", "complete", "extractor_version", "made_with",
    "read_at",
]  # fmt: skip

T = TypeVar("T")
PAGES_PER_SHARD: Final = 50
MENTIONS_PER_SHARD: Final = 500
"""Checkable claims of a shard of judgements, a few more where a shard of articles has many."""


class Progress(Protocol):
    """Told of every step, so that a terminal can show it."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total`` units of ``stage`` are finished."""


def silent(stage: str, done: int, total: int) -> None:
    """Show nothing."""


def read_stage(folder: Path, cls: type[T]) -> list[T]:
    """Return all rows of a finished stage in order; `pipeline.handover.rows_of` yields them.

    Raises:
        AccountingError: the stage has not finished or a shard it lists is gone.
    """
    return list(rows_of(folder, cls))


# -- extract ---------------------------------------------------------------------------------


def extract(
    run: RunPlan,
    pages: Iterable[FetchedPage],
    outlets: dict[str, Outlet],
    *,
    total: int = 0,
    progress: Progress = silent,
    crew: Crew | None = None,
) -> None:
    """Turn fetched pages into articles and named outcomes; ``total`` is told to ``progress``."""
    folder = run.stage("extract")
    # A changed extractor or outlet file makes new shards of the same pages.
    program = digest(extractor_version(), *(repr(outlets[name]) for name in sorted(outlets)))
    shards: list[Path] = []
    done = 0

    def tasks() -> Iterator[PageTask]:
        nonlocal done
        for number, batch in enumerate(_batches(pages)):
            key = digest(program, *(f"{p.url} {p.raw_sha256}" for p in batch))
            stem = f"part-{number:05d}-{key[:12]}"
            articles = folder / f"{stem}.articles.parquet"
            outcomes = folder / f"{stem}.outcomes.parquet"
            shards.extend((articles, outcomes))
            if outcomes.is_file() and articles.is_file():
                done += len(batch)
                progress("extract", done, total)
            else:
                yield PageTask(pages=batch, articles=articles, outcomes=outcomes)

    context = ExtractContext(
        outlets=outlets, week=run.week, withdrawn=tombstones.hashes(run.data_dir)
    )
    for pages_done in (crew or Alone()).run(ExtractJob, context, tasks()):
        done += pages_done
        progress("extract", done, total)
    finish(
        folder,
        shards,
        extractor_version=extractor_version(),
        outlets={name: outlet_sha256(outlets[name]) for name in sorted(outlets)},
    )


def _batches(pages: Iterable[FetchedPage]) -> Iterator[tuple[FetchedPage, ...]]:
    """Yield the pages of every shard; a page that came twice counts once."""
    seen: set[bytes] = set()
    batch: list[FetchedPage] = []
    for fetched in pages:
        key = bytes.fromhex(digest(fetched.raw_sha256, fetched.url))
        if key in seen:
            continue
        seen.add(key)
        batch.append(fetched)
        if len(batch) == PAGES_PER_SHARD:
            yield tuple(batch)
            batch = []
    if batch:
        yield tuple(batch)


def outcomes_of(run: RunPlan) -> Iterator[PageOutcome]:
    """Yield where every page ended.

    A page whose article was already there (two addresses, one article) ends as duplicate.

    Raises:
        AccountingError: the stage has not finished or a shard it lists is gone.
    """
    taken: set[bytes] = set()
    for outcome in rows_of(run.stage("extract"), PageOutcome, "outcomes"):
        key = bytes.fromhex(digest(outcome.article_id)) if outcome.article_id else b""
        again = outcome.state == "stored" and key in taken
        if key:
            taken.add(key)
        yield replace(outcome, state="duplicate", reason="same_article") if again else outcome


def read_outcomes(folder: Path) -> list[PageOutcome]:
    """Return where the pages of a finished extraction ended, without reading its articles."""
    return list(rows_of(folder, PageOutcome, "outcomes"))


def articles_of(run: RunPlan) -> Iterator[Article]:
    """Yield the distinct articles as extracted, without their stories."""
    for path, rows, _ in distinct(shards_of(run.stage("extract"), "articles")):
        every = read_shard(path, Article)
        yield from (every[row] for row in rows)


def read_extracted(run: RunPlan) -> tuple[list[Article], list[PageOutcome]]:
    """Return the distinct articles and where every page ended, all at once."""
    return list(articles_of(run)), list(outcomes_of(run))


def count_outcomes(outcomes: Iterable[PageOutcome]) -> tuple[int, int, dict[str, int]]:
    """Return stored, duplicate and quarantined by reason."""
    states: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for outcome in outcomes:
        states[outcome.state] += 1
        if outcome.state == "quarantined":
            reasons[outcome.reason] += 1
    return states["stored"], states["duplicate"], dict(sorted(reasons.items()))


# -- analyse ---------------------------------------------------------------------------------


def analyse(
    run: RunPlan,
    documents: Sequence[Document],
    *,
    progress: Progress = silent,
    crew: Crew | None = None,
) -> None:
    """Find the claims of every article, and which articles are copies."""
    folder = run.stage("analyse")
    workers = crew or Alone()
    parts = list(distinct(shards_of(run.stage("extract"), "articles")))
    total = sum(len(rows) for _, rows, _ in parts)
    context = ReadContext(
        documents=tuple(documents), undated=run.week.sunday, remembered=_remembered(run)
    )
    stems = [
        f"part-{number:05d}-{digest(context.version, key)[:12]}"
        for number, (_, _, key) in enumerate(parts)
    ]
    tasks = [
        ReadTask(
            source=path,
            rows=rows,
            mentions=folder / f"{stem}.mentions.parquet",
            prints=folder / f"{stem}.prints.parquet",
        )
        for (path, rows, _), stem in zip(parts, stems, strict=True)
    ]
    missing = [t for t in tasks if not (t.mentions.is_file() and t.prints.is_file())]
    done = total - sum(len(t.rows) for t in missing)
    progress("analyse", done, total)
    for read in workers.run(ReadJob, context, missing):
        done += read.articles
        progress("analyse", done, total)
    articles = _write_stories(run, parts, tasks, workers)
    finish(
        folder,
        [
            path
            for task, own in zip(tasks, articles, strict=True)
            for path in (own, task.mentions, task.prints)
        ],
    )


def _write_stories(
    run: RunPlan,
    parts: Sequence[tuple[Path, tuple[int, ...], str]],
    tasks: Sequence[ReadTask],
    crew: Crew,
) -> list[Path]:
    """Write every shard of articles with the stories of the whole week; return the shards."""
    found = stories_of(task.prints for task in tasks)
    placed = iter(found)  # in the order of the shards
    made: list[Path] = []
    writing: list[StoryTask] = []
    for number, (path, rows, key) in enumerate(parts):
        own = list(islice(placed, len(rows)))
        stories = tuple(s.story_id for s in own)
        originals = tuple(s.copied_from for s in own)
        name = digest(key, *stories, *originals)[:12]
        target = run.stage("analyse") / f"part-{number:05d}-{name}.articles.parquet"
        made.append(target)
        if not target.is_file():
            writing.append(
                StoryTask(
                    source=path, rows=rows, stories=stories, originals=originals, articles=target
                )
            )
    for _ in crew.run(StoryJob, None, writing):
        pass
    return made


def _remembered(run: RunPlan) -> Path:
    """Return the file of remembered results, made here, so that workers only open it."""
    path = run.data_dir / FILE
    Remembered(path, "file", "").close()
    return path


def read_analysed(run: RunPlan) -> tuple[list[Article], list[Mention]]:
    """Return the articles with their stories, and all mentions, all at once."""
    folder = run.stage("analyse")
    return (
        list(rows_of(folder, Article, "articles")),
        list(rows_of(folder, Mention, "mentions")),
    )


# -- judge -----------------------------------------------------------------------------------


def judge(
    run: RunPlan,
    judge_: Judge,
    *,
    progress: Progress = silent,
    crew: Crew | None = None,
    settings: Settings | None = None,
) -> None:
    """Set every checkable claim beside the passages in force on its day.

    Workers load base and model by ``settings``; without them all is judged here.
    """
    folder = run.stage("judge")
    version = version_of(judge_)
    groups = grouped(shards_of(run.stage("analyse"), "mentions"), MENTIONS_PER_SHARD)
    total = sum(claims for _, claims in groups)
    tasks = [
        JudgeTask(
            sources=sources,
            judgements=folder
            / f"part-{number:05d}-{digest(version, *(p.name for p in sources))[:12]}.parquet",
        )
        for number, (sources, _) in enumerate(groups)
    ]
    missing = [t for t in tasks if not t.judgements.is_file()]
    absent = {t.judgements for t in missing}
    done = sum(
        claims
        for task, (_, claims) in zip(tasks, groups, strict=True)
        if task.judgements not in absent
    )
    progress("judge", done, total)
    remembered = _remembered(run)
    if crew is None or settings is None or len(missing) < FEW:
        results = Alone().run(
            lambda own: JudgeJob(own, run_id=run.run_id, remembered=remembered), judge_, missing
        )
    else:
        context = JudgeContext(
            run_id=run.run_id, settings=settings, version=version, remembered=remembered
        )
        results = crew.run(load_job, context, missing)
    for found in results:
        done += found.judged
        progress("judge", done, total)
    finish(
        folder,
        [t.judgements for t in tasks],
        model_sha256=judge_.model_sha256,
        base_version=judge_.base_version,
        threshold=judge_.threshold,
    )


def read_judged(run: RunPlan) -> list[Judgement]:
    """Return the judgements of the run, all at once."""
    return read_stage(run.stage("judge"), Judgement)
