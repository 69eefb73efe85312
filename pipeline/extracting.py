"""From fetched pages to articles and named outcomes: what one worker does for one shard."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from crawler import extract as extract_module
from crawler.extract import Page
from crawler.isolate import Extractor
from crawler.outlets import Outlet
from crawler.run import FetchedPage
from kiemchung.domain import Article, digest
from kiemchung.errors import PageError
from kiemchung.shards import write_shard
from nlp.text import canonical
from nlp.topic import topic


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


@functools.cache
def extractor_version() -> str:
    """Return the hash of the code that turns pages into articles."""
    folder = Path(extract_module.__file__).parent
    names = ("blocks", "canonical", "dates", "decode", "extract", "extractors", "markup")
    files = [folder / f"{name}.py" for name in names]
    return digest(*(path.read_text(encoding="utf-8") for path in files if path.is_file()))


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
class Extracted:
    """A page's outcome, and its article where it ended as one."""

    outcome: PageOutcome
    article: Article | None


def extract_one(fetched: FetchedPage, outlet: Outlet | None, extractor: Extractor) -> Extracted:
    """Return where one page ended; whatever is wrong with it has a name."""

    def ended(
        state: str,
        reason: str = "",
        article: Article | None = None,
        drift: float | None = None,
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
            )
        return Extracted(outcome=outcome, article=article if state == "stored" else None)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTask:
    """Pages that become one shard: its articles, and where each page ended."""

    pages: tuple[FetchedPage, ...]
    articles: Path
    outcomes: Path


class ExtractJob:
    """Extracts pages in a child process of its own, which a page may crash."""

    def __init__(self, outlets: Mapping[str, Outlet]) -> None:
        self._outlets = outlets
        self._extractor = Extractor()

    def __call__(self, task: PageTask, /) -> int:
        """Write the shards of one task; return how many pages it had."""
        rows = [extract_one(p, self._outlets.get(p.outlet), self._extractor) for p in task.pages]
        write_shard(task.articles, [r.article for r in rows if r.article], Article)
        write_shard(task.outcomes, [r.outcome for r in rows], PageOutcome)
        return len(task.pages)

    def close(self) -> None:
        """End the child."""
        self._extractor.close()
