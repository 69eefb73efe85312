"""The stages between the crawl and the store, each a function of shards to shards.

A shard is named after the hash of what it was made from. A stage that was killed therefore finds
its finished shards by name and starts again at the first missing one; a stage whose input changed
makes new shards and removes the old.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from crawler import extract as extract_module
from crawler.extract import Page
from crawler.isolate import Extractor
from crawler.outlets import Outlet, outlet_sha256
from crawler.run import FetchedPage
from kiemchung.domain import Article, Document, Judgement, Mention, digest
from kiemchung.errors import AccountingError, BatchError, DamagedFileError, PageError
from kiemchung.sealed import read_sealed, write_sealed
from kiemchung.shards import is_sealed, read_shard, sealed, write_bytes_atomically, write_shard
from nlp.matching import content_key
from nlp.text import canonical
from nlp.topic import topic
from pipeline.ahead import judge_all
from pipeline.code import program_version
from pipeline.judging import Judge
from pipeline.reading import mentions, with_stories
from pipeline.runs import RunPlan

T = TypeVar("T")
PAGES_PER_SHARD = 50
ARTICLES_PER_SHARD = 100
MENTIONS_PER_SHARD = 2000
MADE_WITH: Final = "made_with.json"
_AGAIN: Final = "delete stage.json beside it and run the week again"


class Progress(Protocol):
    """Told of every step, so that a terminal can show it."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total`` units of ``stage`` are finished."""


def silent(stage: str, done: int, total: int) -> None:
    """Show nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOutcome:
    """Where one fetched page ended: stored, duplicate or quarantined with its reason."""

    url: str
    outlet: str
    raw_sha256: str
    state: str
    reason: str
    article_id: str
    # Of pages with an article, for the outlet's health; counts and lengths only.
    extracted: bool = False
    cooperative: bool = False
    with_lead: bool = False
    title_only: bool = False
    characters: int = 0
    published: str = ""  # ISO, empty where unknown
    drift: float | None = None
    body_sha256: str = ""


def _batches(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _tidy(folder: Path, kept: Iterable[Path]) -> None:
    """Remove shards that no longer belong to the stage's input."""
    wanted = set(kept)
    for path in folder.glob("*.parquet"):
        if path not in wanted:
            path.unlink()


def _finish(folder: Path, shards: Sequence[Path], **made_with: object) -> None:
    """Write the list of shards; a stage is complete if and only if this file is there.

    Beside it stands what the shards were made with: a stage may be run alone, by another program.
    """
    _tidy(folder, shards)
    write_sealed(folder / MADE_WITH, made_with | {"program": program_version()})
    names = json.dumps([path.name for path in shards], indent=1)
    write_bytes_atomically(folder / "stage.json", names.encode("utf-8"))


def complete(folder: Path) -> bool:
    """Return whether the stage in ``folder`` has finished."""
    return (folder / "stage.json").is_file()


def made_with(folder: Path) -> dict[str, Any]:
    """Return what the shards of a stage were made with; nothing for one of an earlier version.

    Raises:
        DamagedFileError: the file is not as it was written.
    """
    path = folder / MADE_WITH
    return read_sealed(path, remedy=_AGAIN) if path.is_file() else {}


def shard_names(folder: Path) -> list[str]:
    """Return the names of a finished stage's shards, in order.

    Raises:
        AccountingError: the stage has not finished, or a shard is gone.
        DamagedFileError: the list is not as it was written.
    """
    path = folder / "stage.json"
    if not complete(folder):
        raise AccountingError(
            f"stage {folder.name} has not finished",
            where=str(folder),
            remedy="run `kiemchung weekly` with the same arguments; it goes on where it stopped",
        )
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            raise ValueError("no list of names")
    except ValueError as error:
        raise DamagedFileError(
            f"cannot be used: {error}", where=str(path), remedy=_AGAIN
        ) from error
    for name in names:
        if not (folder / name).is_file():
            raise AccountingError(
                "a finished shard is gone, or stage.json, which lists it, is damaged",
                where=str(folder / name),
                remedy="delete stage.json beside it and run the week again",
            )
    if not (folder / MADE_WITH).is_file():
        _adopt(folder, names)
    return names


def _adopt(folder: Path, names: Iterable[str]) -> None:
    """Seal the shards of a version that did not: their pages may be gone, so none is made anew.

    What they were made with is not known, and stays so.

    Raises:
        BatchError: one is no Parquet file.
    """
    for name in names:
        data = (folder / name).read_bytes()
        try:
            if not is_sealed(data):
                write_bytes_atomically(folder / name, sealed(data))
        except ValueError as error:
            raise BatchError(str(error), where=str(folder / name), remedy=_AGAIN) from error
    write_sealed(folder / MADE_WITH, {"program": ""})


def read_stage(folder: Path, cls: type[T]) -> list[T]:
    """Return all rows of a finished stage in order.

    Raises:
        AccountingError: the stage has not finished or a shard it lists is gone.
        DamagedFileError: the list of shards is not as it was written.
        BatchError: a shard is not as it was written.
    """
    rows: list[T] = []
    for name in shard_names(folder):
        rows.extend(read_shard(folder / name, cls))
    return rows


def _staged(
    folder: Path,
    batches: Iterable[tuple[str, Callable[[], Sequence[T]]]],
    cls: type[T],
) -> list[Path]:
    """Make every missing shard; ``batches`` yields the key of a shard and what makes its rows."""
    paths = []
    for number, (key, make) in enumerate(batches):
        path = folder / f"part-{number:05d}-{key[:12]}.parquet"
        if not path.is_file():
            write_shard(path, make(), cls)
        paths.append(path)
    return paths


# -- extract ---------------------------------------------------------------------------------


def article_of(page: Page, fetched: FetchedPage) -> Article:
    """Return the article that a page holds, its texts made canonical."""
    title = canonical(page.title).text.strip()
    lead = canonical(page.lead).text.strip()
    body = canonical(page.body).text.strip()
    return Article(
        article_id=digest(page.canonical_url, title, lead, body),
        outlet=fetched.outlet,
        url=fetched.url,
        canonical_url=page.canonical_url,
        title=title,
        lead=lead,
        body=body,
        published_at=page.published_at,
        published_method=page.published_method,
        fetched_at=fetched.fetched_at,
        raw_sha256=fetched.raw_sha256,
        title_method=page.title_method,
        lead_method=page.lead_method,
        body_method=page.body_method,
        noarchive=page.noarchive,
        opt_outs=page.opt_outs,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extracted:
    outcome: PageOutcome
    article: Article | None


def _extract_one(fetched: FetchedPage, outlet: Outlet | None, extractor: Extractor) -> _Extracted:
    def ended(
        state: str,
        reason: str = "",
        article: Article | None = None,
        drift: float | None = None,
    ) -> _Extracted:
        outcome = PageOutcome(
            url=fetched.url,
            outlet=fetched.outlet,
            raw_sha256=fetched.raw_sha256,
            state=state,
            reason=reason,
            article_id=article.article_id if article and state == "stored" else "",
        )
        if article is not None:
            outcome = replace(
                outcome,
                extracted=True,
                cooperative=article.about_cooperatives,
                with_lead=bool(article.lead),
                title_only=not article.body,
                characters=len(article.body),
                published=article.published_at.isoformat() if article.published_at else "",
                drift=drift,
                body_sha256=digest(article.body) if article.body else "",
            )
        return _Extracted(outcome=outcome, article=article if state == "stored" else None)

    if fetched.flags:
        return ended("quarantined", fetched.flags[0])
    try:
        page = extractor.extract(
            fetched.body,
            url=fetched.final_url,
            content_type=fetched.content_type,
            outlet=outlet,
            fetched_at=fetched.fetched_at,
            headers=fetched.headers,
        )
    except PageError as error:
        return ended("quarantined", error.reason)
    article = article_of(page, fetched)
    found = topic(article.title, article.lead, article.body)
    drift = page.drift
    if not found.about_cooperatives:
        return ended("quarantined", "off_topic", article, drift)
    article = replace(article, about_cooperatives=True, topic_reason=found.reason)
    return ended("stored", "", article, drift)


def extract(
    run: RunPlan,
    pages: Iterable[FetchedPage],
    outlets: dict[str, Outlet],
    *,
    progress: Progress = silent,
) -> None:
    """Turn fetched pages into articles and named outcomes.

    Pages stream through in shards, so that no more than one shard of bodies is in memory.
    """
    folder = run.stage("extract")
    # A changed extractor or outlet file makes new shards of the same pages.
    program = digest(extractor_version(), *(repr(outlets[name]) for name in sorted(outlets)))
    shards: list[Path] = []
    seen: set[str] = set()
    done = 0
    with Extractor() as extractor:
        batch: list[FetchedPage] = []

        def flush() -> None:
            nonlocal done
            key = digest(program, *(f"{p.url} {p.raw_sha256}" for p in batch))
            stem = f"part-{len(shards) // 2:05d}-{key[:12]}"
            articles = folder / f"{stem}.articles.parquet"
            outcomes = folder / f"{stem}.outcomes.parquet"
            if not outcomes.is_file() or not articles.is_file():
                rows = [_extract_one(p, outlets.get(p.outlet), extractor) for p in batch]
                write_shard(articles, [r.article for r in rows if r.article], Article)
                write_shard(outcomes, [r.outcome for r in rows], PageOutcome)
            shards.extend((articles, outcomes))
            done += len(batch)
            progress("extract", done, 0)
            batch.clear()

        for fetched in pages:
            if fetched.raw_sha256 + fetched.url in seen:
                continue
            seen.add(fetched.raw_sha256 + fetched.url)
            batch.append(fetched)
            if len(batch) == PAGES_PER_SHARD:
                flush()
        if batch:
            flush()
    folder.mkdir(parents=True, exist_ok=True)
    _finish(
        folder,
        shards,
        extractor_version=extractor_version(),
        outlets={name: outlet_sha256(outlets[name]) for name in sorted(outlets)},
    )


@functools.cache
def extractor_version() -> str:
    """Return the hash of the code that turns pages into articles."""
    folder = Path(extract_module.__file__).parent
    names = ("blocks", "canonical", "dates", "decode", "extract", "extractors", "markup")
    files = [folder / f"{name}.py" for name in names]
    return digest(*(path.read_text(encoding="utf-8") for path in files if path.is_file()))


def read_extracted(run: RunPlan) -> tuple[list[Article], list[PageOutcome]]:
    """Return the distinct articles and where every page ended.

    A page whose article was already there (two addresses, one article) ends as duplicate.
    """
    folder = run.stage("extract")
    names = shard_names(folder)
    articles: dict[str, Article] = {}
    outcomes: list[PageOutcome] = []
    taken: set[str] = set()
    for name in names:
        if ".articles." in name:
            for article in read_shard(folder / name, Article):
                articles.setdefault(article.article_id, article)
        else:
            for outcome in read_shard(folder / name, PageOutcome):
                again = outcome.state == "stored" and outcome.article_id in taken
                if outcome.article_id:
                    taken.add(outcome.article_id)
                outcomes.append(
                    replace(outcome, state="duplicate", reason="same_article") if again else outcome
                )
    return list(articles.values()), outcomes


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


def analyse(run: RunPlan, documents: Sequence[Document], *, progress: Progress = silent) -> None:
    """Find the claims of every article, and which articles are copies."""
    articles, _ = read_extracted(run)
    articles = with_stories(articles)
    folder = run.stage("analyse")
    base = digest(program_version(), *(repr(asdict(d)) for d in documents))
    batches = list(_batches(articles, ARTICLES_PER_SHARD))

    def make(batch: Sequence[Article]) -> list[Mention]:
        return [m for a in batch for m in mentions(a, documents, undated=run.week.sunday)]

    shards: list[Path] = []
    for number, batch in enumerate(batches):
        key = digest(base, *(f"{a.article_id} {content_key(a.text)}" for a in batch))
        stories_key = digest(key, *(f"{a.story_id} {a.copied_from}" for a in batch))
        path = folder / f"part-{number:05d}-{stories_key[:12]}.articles.parquet"
        claims = folder / f"part-{number:05d}-{key[:12]}.mentions.parquet"
        if not path.is_file():
            write_shard(path, batch, Article)
        if not claims.is_file():
            write_shard(claims, make(batch), Mention)
        shards.extend((path, claims))
        progress("analyse", min((number + 1) * ARTICLES_PER_SHARD, len(articles)), len(articles))
    folder.mkdir(parents=True, exist_ok=True)
    _finish(folder, shards)


def _read_kind(folder: Path, kind: str, cls: type[T]) -> list[T]:
    names = shard_names(folder)
    return [row for n in names if f".{kind}." in n for row in read_shard(folder / n, cls)]


def read_analysed(run: RunPlan) -> tuple[list[Article], list[Mention]]:
    """Return the articles with their stories, and all mentions."""
    folder = run.stage("analyse")
    return _read_kind(folder, "articles", Article), _read_kind(folder, "mentions", Mention)


# -- judge -----------------------------------------------------------------------------------


def judge(run: RunPlan, judge_: Judge, *, progress: Progress = silent) -> None:
    """Set every checkable claim beside the passages in force on its day."""
    _, found = read_analysed(run)
    wanted = [m for m in found if m.checkability == "CHECKABLE"]
    folder = run.stage("judge")
    version = digest(
        program_version(),
        judge_.model.model_id,
        judge_.model_sha256,
        judge_.base_version,
        repr(judge_.threshold),
    )
    total = len(wanted)

    def make(batch: Sequence[Mention]) -> list[Judgement]:
        return judge_all(judge_, batch, run_id=run.run_id)

    def batches() -> Iterator[tuple[str, Callable[[], Sequence[Judgement]]]]:
        for number, batch in enumerate(_batches(wanted, MENTIONS_PER_SHARD)):
            key = digest(version, *(f"{m.mention_id} {m.as_of}" for m in batch))
            yield key, lambda batch=batch: make(batch)  # type: ignore[misc]
            progress("judge", min((number + 1) * MENTIONS_PER_SHARD, total), total)

    shards = _staged(folder, batches(), Judgement)
    folder.mkdir(parents=True, exist_ok=True)
    _finish(
        folder,
        shards,
        model_sha256=judge_.model_sha256,
        base_version=judge_.base_version,
        threshold=judge_.threshold,
    )


def read_judged(run: RunPlan) -> list[Judgement]:
    """Return the judgements of the run."""
    return read_stage(run.stage("judge"), Judgement)
