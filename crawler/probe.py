"""Look at an outlet file's site: one list, three articles, what came out and where it is doubtful.

The way in which an operator turns an outlet on: fetch through the real crawl (robots, pace, guard),
read what was found beside the site itself, correct the file, and let the mark be written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from crawler.decode import vietnamese_share
from crawler.extract import Page
from crawler.isolate import Extractor
from crawler.ledger import Kind, Ledger, State, Visit
from crawler.outlets import Outlet, read_outlet
from crawler.run import crawl, fetched_pages, ledger_path
from kiemchung.config import Settings
from kiemchung.errors import OutletFileError, PageError
from kiemchung.shards import write_bytes_atomically

PAGES: Final = 3
STALE: Final = timedelta(days=14)
DRIFT: Final = 0.3
_MARK: Final = re.compile(
    r"^(?:verified_on|verified_by)\s*=.*\n|^# (?:Not verified|once you).*\n", re.M
)
_NAME: Final = re.compile(r"^name\s*=.*\n", re.M)


class Weight(StrEnum):
    """Whether a doubt stands against the mark."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """What is doubtful, and what to do about it."""

    weight: Weight
    field: str  # key of the outlet file
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenList:
    """What one list answered."""

    url: str
    kind: str
    state: str
    reason: str
    items: int
    dated: int
    articles: int  # entries that look like articles of the outlet
    newest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPage:
    """What one article page gave; ``reason`` says why it gave nothing."""

    url: str
    reason: str
    page: Page | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What came out of a look at one outlet."""

    outlet: str
    lists: tuple[SeenList, ...]
    pages: tuple[SeenPage, ...]
    doubts: tuple[Doubt, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing stands against the mark."""
        return all(d.weight is not Weight.ERROR for d in self.doubts)

    def lines(self) -> list[str]:
        """Return the lines for a terminal, to be read beside the site."""
        found = [self.outlet]
        for x in self.lists:
            end = f"{x.state} {x.reason}".strip()
            found.append(
                f"  {x.kind} {x.url}: {end}, {max(x.items, 0)} entries, {x.articles} articles,"
                f" {x.dated} dated, newest {x.newest or 'unknown'}"
            )
        for seen in self.pages:
            found.append(f"  page {seen.url} {seen.reason}".rstrip())
            page = seen.page
            if page is None:
                continue
            when = page.published_at.isoformat() if page.published_at else "unknown"
            found += [
                f"    title ({page.title_method}): {page.title}",
                f"    lead ({page.lead_method}): {page.lead[:160]}",
                f"    body ({page.body_method}), {len(page.body)} characters:"
                f" {page.body[:80]!r} ... {page.body[-80:]!r}",
                f"    date ({page.published_method}): {when}",
                f"    section: {page.section or 'none'}; tags: {', '.join(page.tags) or 'none'}",
            ]
        found += [f"  {d.weight}: {d.field}: {d.message}" for d in self.doubts]
        if self.sound:
            found.append("  nothing stands against the mark: compare with the site, then --write")
        return found


def probe(
    outlet: Outlet,
    *,
    settings: Settings,
    data_dir: Path,
    day: date,
    sample_proxy: str | None = None,
    allowed_addresses: Sequence[str] = (),
) -> Probe:
    """Fetch the outlet's lists, one after the other until one names articles, and three of them.

    ``data_dir`` is a folder of its own, ``day`` decides which month's sitemaps are asked for.

    Raises:
        ConfigError: a real outlet, and no contact in the settings.
    """
    year, number, _ = day.isocalendar()
    lists: list[SeenList] = []
    pages: list[SeenPage] = []
    for step, single in enumerate(_singles(outlet)):
        run_id = f"{year}-W{number:02}-probe{step}"
        crawl(
            [single], data_dir=data_dir, run_id=run_id, settings=settings,
            sample_proxy=sample_proxy, allowed_addresses=allowed_addresses, max_pages=PAGES,
        )  # fmt: skip
        ledger = Ledger(ledger_path(data_dir))
        try:
            visits = ledger.visits(run_id)
        finally:
            ledger.close()
        lists += [_seen(v, visits) for v in visits if v.kind is not Kind.PAGE]
        pages = _pages(data_dir, run_id, single, visits)
        if any(p.page for p in pages):
            break
    doubts = [*_about_lists(outlet, lists, day), *_about_pages(outlet, pages)]
    return Probe(outlet=outlet.name, lists=tuple(lists), pages=tuple(pages), doubts=tuple(doubts))


def _singles(outlet: Outlet) -> Iterator[Outlet]:
    """Yield the outlet with one of its lists at a time."""
    bare = replace(outlet, feeds=(), sitemaps=(), listings=(), search="", max_listing_pages=1)
    for feed in outlet.feeds:
        yield replace(bare, feeds=(feed,))
    for sitemap in outlet.sitemaps:
        yield replace(bare, sitemaps=(sitemap,))
    for listing in outlet.listings:
        yield replace(bare, listings=(listing,))
    if outlet.search:
        yield replace(bare, search=outlet.search, search_words=outlet.search_words[:1])


def _seen(visit: Visit, visits: Sequence[Visit]) -> SeenList:
    named = visit.items - visit.foreign_items - visit.old if visit.items > 0 else 0
    return SeenList(
        url=visit.url,
        kind=str(visit.kind),
        state=str(visit.state),
        reason=visit.reason,
        items=visit.items,
        dated=visit.dated,
        articles=min(named, sum(v.kind is Kind.PAGE for v in visits)),
        newest=visit.newest,
    )


def _pages(data_dir: Path, run_id: str, outlet: Outlet, visits: Sequence[Visit]) -> list[SeenPage]:
    found = [
        SeenPage(url=v.url, reason=f"{v.state}: {v.reason}", page=None)
        for v in visits
        if v.kind is Kind.PAGE and v.state in (State.FAILED, State.GONE, State.REFUSED)
        and v.reason != "page_budget"
    ]  # fmt: skip
    with Extractor() as extractor:
        for fetched in fetched_pages(data_dir, run_id):
            if fetched.flags:
                found.append(SeenPage(url=fetched.url, reason=fetched.flags[0], page=None))
                continue
            try:
                page = extractor.extract(
                    fetched.body, url=fetched.final_url, content_type=fetched.content_type,
                    outlet=outlet, fetched_at=fetched.fetched_at,
                    headers=fetched.headers,
                )  # fmt: skip
            except PageError as error:
                found.append(SeenPage(url=fetched.url, reason=error.reason, page=None))
            else:
                found.append(SeenPage(url=fetched.url, reason="", page=page))
    return found


# -- doubts ------------------------------------------------------------------------------------


def _error(field: str, message: str) -> Doubt:
    return Doubt(weight=Weight.ERROR, field=field, message=message)


def _warning(field: str, message: str) -> Doubt:
    return Doubt(weight=Weight.WARNING, field=field, message=message)


def _about_lists(outlet: Outlet, lists: Sequence[SeenList], day: date) -> Iterator[Doubt]:
    key = {"feed": "feeds", "sitemap": "sitemaps", "listing": "listings", "search": "search"}
    if not lists:
        yield _error("feeds", "the file names no list: add a feed, sitemap, listing or search")
    elif not any(x.articles for x in lists):
        yield _error("article_pattern", "no list names an address that article_pattern takes")
    for x in lists:
        field = key[x.kind]
        if x.state in ("failed", "gone", "refused") and x.reason != "list_limit":
            yield _warning(field, f"{x.url} ended as {x.state}: {x.reason}")
        elif x.state == "fetched" and x.items <= 0:
            yield _warning(field, f"{x.url} has no entry")
        elif x.items > 0 and x.articles == 0:
            yield _warning("article_pattern", f"none of {x.items} entries of {x.url} matches it")
        if x.kind == "feed" and x.items > 0 and x.dated == 0:
            yield _warning("date_formats", f"no entry of {x.url} has a sound date")
        if (
            x.newest
            and datetime.combine(day, datetime.max.time(), UTC) - datetime.fromisoformat(x.newest)
            > STALE
        ):
            yield _warning(field, f"{x.url}: its newest entry is of {x.newest[:10]}")


def _about_pages(outlet: Outlet, pages: Sequence[SeenPage]) -> Iterator[Doubt]:
    read = [(p.url, p.page) for p in pages if p.page is not None]
    if not read:
        reasons = ", ".join(sorted({p.reason for p in pages})) or "none was fetched"
        yield _error("selectors", f"no article could be read: {reasons}")
        return
    for seen in pages:
        if seen.page is None:
            yield _warning("selectors", f"{seen.url} could not be read: {seen.reason}")
    bodies = [page.body for _, page in read]
    if len(bodies) > 1 and len(set(bodies)) == 1:
        yield _error("selectors.body", "all pages have the same body: the selector catches a box")
    for url, page in read:
        yield from _about_page(outlet, url, page)


def _about_page(outlet: Outlet, url: str, page: Page) -> Iterator[Doubt]:
    selectors = outlet.selectors
    for name, given, method, text in (
        ("title", selectors.title, page.title_method, page.title),
        ("lead", selectors.lead, page.lead_method, page.lead),
        ("body", selectors.body, page.body_method, page.body),
    ):
        if not text:
            weight = _warning if name == "lead" else _error
            yield weight(f"selectors.{name}", f"{url}: nothing found")
        elif given and method != "selector":
            yield _error(f"selectors.{name}", f"{url}: no selector matches, read by {method}")
    if page.published_at is None:
        yield _error("selectors.date", f"{url}: no date found")
    elif page.published_method.endswith("+zone"):
        yield _warning("timezone", f"{url}: the date names no zone, {outlet.timezone} is assumed")
    if page.date_conflict:
        yield _warning("selectors.date", f"{url}: dates disagree: {', '.join(page.dates)}")
    if page.extractor_failed:
        yield _error("extractor", f"{url}: {page.extractor_failed}")
    drift = page.drift
    if drift is not None and drift > DRIFT:
        yield _warning("selectors.body", f"{url}: generic extraction disagrees by {drift:.0%}")
    share, accented = vietnamese_share(page.body or page.lead)
    if share < 0.8 or accented < 0.2:  # whatever the page says about itself
        yield _error("selectors.body", f"{url}: the text is hardly Vietnamese ({share:.0%})")
    if page.paywall:
        yield _warning("note", f"{url}: behind a paywall; only what is free is read")
    if page.noarchive:
        yield _warning("note", f"{url}: asks not to be archived; exports leave it out")
    if page.encoding_conflict:
        yield _warning("encoding", f"{url}: claims another encoding than {page.encoding}")
    if page.canonical_conflict:
        yield _warning("hosts", f"{url}: calls itself {page.canonical_url}")


# -- the mark ----------------------------------------------------------------------------------


def write_verified(path: Path, *, day: date, by: str) -> None:
    """Write who looked at the outlet and when into its file; comments and order stay.

    Raises:
        OutletFileError: no name was given, or the file cannot be changed without changing more.
    """
    if not by.strip() or any(c in by for c in '"\\\n'):
        raise OutletFileError("who looked at it?", where=str(path), remedy='--by "Your Name"')
    old = read_outlet(path)
    text = _MARK.sub("", path.read_text(encoding="utf-8"))
    line = _NAME.search(text)
    if line is None:
        raise OutletFileError("no line name = ...", where=str(path), remedy="add it on top")
    mark = f'verified_on = "{day.isoformat()}"\nverified_by = "{by}"\n'
    new = text[: line.end()] + mark + text[line.end() :]
    beside = path.with_name(f".{path.stem}.new.toml")
    try:
        write_bytes_atomically(beside, new.encode("utf-8"))
        made = read_outlet(beside)
        same = replace(made, verified_on="", verified_by="") == replace(
            old, verified_on="", verified_by=""
        )
        if not same or made.verified_by != by:
            raise OutletFileError(
                "the mark cannot be added by itself", where=str(path),
                remedy=f"write these lines yourself: {mark!r}",
            )  # fmt: skip
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
