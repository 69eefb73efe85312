"""From fetched pages to articles and named outcomes: what one worker does for one shard."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from crawler import extract as extract_module
from crawler.extract import Page
from crawler.isolate import Extractor
from crawler.outlets import Outlet
from crawler.run import FetchedPage
from kiemchung.domain import Article, digest
from kiemchung.errors import PageError
from kiemchung.shards import write_shard
from kiemchung.tombstones import FORGOTTEN, covers
from nlp import privacy
from nlp.privacy import redact
from nlp.text import canonical
from nlp.topic import topic
from pipeline.weeks import Week


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
    redactions: dict[str, int] = field(default_factory=dict)  # personal data taken out, by kind


@functools.cache
def extractor_version() -> str:
    """Return the hash of the code that turns pages into articles."""
    folder = Path(extract_module.__file__).parent
    names = ("blocks", "canonical", "dates", "decode", "extract", "extractors", "markup")
    files = [folder / f"{name}.py" for name in names] + [Path(privacy.__file__)]
    return digest(*(path.read_text(encoding="utf-8") for path in files if path.is_file()))


def article_of(page: Page, fetched: FetchedPage) -> tuple[Article, dict[str, int]]:
    """Return the article that a page holds, and how much personal data was taken out, by kind.

    Its texts are canonical and redacted: every offset and every hash is of what is kept.
    """
    title, lead, body = (
        redact(canonical(text).text.strip(), signed=signed)
        for text, signed in ((page.title, False), (page.lead, False), (page.body, True))
    )
    taken: Counter[str] = Counter()
    for part in (title, lead, body):
        taken.update(part.counts)
    article = _article(page, fetched, title.text, lead.text, body.text)
    return article, dict(sorted(taken.items()))


def _article(page: Page, fetched: FetchedPage, title: str, lead: str, body: str) -> Article:
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
class Extracted:
    """A page's outcome, and its article where it ended as one."""

    outcome: PageOutcome
    article: Article | None


def clock_was_wrong(at: datetime, week: Week) -> bool:
    """Return whether the clock stood before the week that was being crawled."""
    return at.date() < week.monday - timedelta(days=1)  # a day for the zones


def read_at(fetched: FetchedPage, week: Week) -> datetime:
    """Return when the page came, against which its dates are held; a wrong clock refuses none."""
    if clock_was_wrong(fetched.fetched_at, week):
        return datetime.combine(week.sunday, time.max, UTC)
    return fetched.fetched_at


def page_of(fetched: FetchedPage, outlet: Outlet | None, extractor: Extractor, week: Week) -> Page:
    """Return what a fetched page of a run of ``week`` holds.

    Raises:
        PageError: it is no article, or cannot be read.
    """
    return extractor.extract(
        fetched.body,
        url=fetched.final_url,
        content_type=fetched.content_type,
        outlet=outlet,
        fetched_at=read_at(fetched, week),
        headers=fetched.headers,
    )


def extract_one(
    fetched: FetchedPage,
    outlet: Outlet | None,
    extractor: Extractor,
    week: Week,
    withdrawn: frozenset[str] = frozenset(),
) -> Extracted:
    """Return where one page ended; whatever is wrong with it has a name."""

    def ended(
        state: str,
        reason: str = "",
        article: Article | None = None,
        drift: float | None = None,
        redactions: dict[str, int] | None = None,
    ) -> Extracted:
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
                redactions=redactions or {},
            )
        return Extracted(outcome=outcome, article=article if state == "stored" else None)

    if fetched.flags:
        return ended("quarantined", fetched.flags[0])
    try:
        page = page_of(fetched, outlet, extractor, week)
    except PageError as error:
        return ended("quarantined", error.reason)
    if covers(withdrawn, (fetched.url, fetched.final_url, page.canonical_url)):
        return ended("quarantined", FORGOTTEN)
    article, taken = article_of(page, fetched)
    found = topic(article.title, article.lead, article.body)
    drift = page.drift
    if not found.about_cooperatives:
        return ended("quarantined", "off_topic", article, drift, taken)
    article = replace(article, about_cooperatives=True, topic_reason=found.reason)
    return ended("stored", "", article, drift, taken)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTask:
    """Pages that become one shard: its articles, and where each page ended."""

    pages: tuple[FetchedPage, ...]
    articles: Path
    outcomes: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractContext:
    """What a worker needs to extract: outlets, the week, and the hashes of withdrawn addresses."""

    outlets: Mapping[str, Outlet]
    week: Week
    withdrawn: frozenset[str]


class ExtractJob:
    """Extracts pages in a child process of its own, which a page may crash."""

    def __init__(self, context: ExtractContext) -> None:
        self._context = context
        self._extractor = Extractor()

    def __call__(self, task: PageTask, /) -> int:
        """Write the shards of one task; return how many pages it had."""
        own = self._context
        rows = [
            extract_one(p, own.outlets.get(p.outlet), self._extractor, own.week, own.withdrawn)
            for p in task.pages
        ]
        write_shard(task.articles, [r.article for r in rows if r.article], Article)
        write_shard(task.outcomes, [r.outcome for r in rows], PageOutcome)
        return len(task.pages)

    def close(self) -> None:
        """End the child."""
        self._extractor.close()
