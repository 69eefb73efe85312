"""The one spider for all outlets: it walks what is open and writes down every end."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import scrapy
from scrapy import Request
from scrapy.exceptions import DownloadTimeoutError
from scrapy.http import Response
from twisted.internet import error as net
from twisted.web.client import ResponseFailed

from crawler.archive import Archive
from crawler.canonical import canonical_url
from crawler.feeds import Entry, SubList, parse_listing, read_xml
from crawler.ledger import TRANSIENT, Kind, Ledger, Rhythm, State, Visit, next_visit
from crawler.middlewares import MAX_HOPS, Refused, permanent
from crawler.outlets import Outlet
from kiemchung.domain import sha256_hex
from kiemchung.errors import PageError, UnsafeAddressError

MAX_DEPTH: Final = 4  # index of a sitemap index; a listing's own pages count apart
MAX_LISTS: Final = 200  # sitemaps and listing pages of one outlet in one run
MAX_ATTEMPTS: Final = 2
QUEUE: Final = 2  # requests of one outlet in Scrapy's hands; the rest waits in the ledger
PIECE: Final = 500  # entries between two breaths of the event loop
_AGAIN: Final = TRANSIENT - {"host_down", "retry_after", "robots_unreachable", "page_budget"}
_CHALLENGE: Final = re.compile(
    rb"cf-chl|challenge-platform|_cf_chl|captcha|"
    rb"document\.cookie\s*=[\s\S]{0,2000}(?:location\.(?:reload|href|replace)|window\.location)",
    re.IGNORECASE,
)
_MAX_CHALLENGE_BYTES: Final = 20_000  # an article is longer than a challenge page


@dataclass(slots=True)
class _Count:
    """What is counted while a list is read."""

    items: int = 0
    dated: int = 0
    old: int = 0
    foreign: int = 0
    fresh: int = 0
    newest: datetime | None = None
    oldest: datetime | None = None
    marks: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)

    def date(self, published: datetime | None) -> None:
        """Note the date of one entry."""
        if published is None:
            return
        self.dated += 1
        self.newest = max(self.newest or published, published)
        self.oldest = min(self.oldest or published, published)

    @property
    def fingerprint(self) -> str:
        """Hash of the set of entries, empty for none."""
        if not self.marks:
            return ""
        return hashlib.sha256("\n".join(sorted(set(self.marks))).encode()).hexdigest()[:16]


class OutletSpider(scrapy.Spider):
    """Feeds, sitemaps, listings and searches first, then the pages that they name."""

    name = "outlets"
    custom_settings = None

    def __init__(
        self,
        outlets: Mapping[str, Outlet],
        ledger: Ledger,
        archive: Archive,
        run_id: str,
        day: date,
        max_pages: int,
        max_age_days: int,
        pages: Sequence[str] = (),
        **kwargs: Any,  # noqa: ANN401  Scrapy's own
    ) -> None:
        super().__init__(**kwargs)
        self._day = day  # of the run's week: which month's sitemaps are due
        self._outlets = outlets
        self._ledger = ledger
        self._archive = archive
        self._run_id = run_id
        self._max_pages = max_pages
        self._pages_asked = pages
        self._oldest = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(
            days=max_age_days
        )
        self._lists: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()
        self._queued: dict[str, set[tuple[str, Kind]]] = {name: set() for name in outlets}
        self._rhythms: dict[str, Rhythm] = {}

    def _seeds(self) -> Iterator[Visit]:
        for outlet in self._outlets.values():
            for kind, urls in (
                (Kind.FEED, outlet.feeds),
                (Kind.SITEMAP, outlet.sitemaps_of(self._day)),
                (Kind.LISTING, outlet.listings),
                (Kind.SEARCH, outlet.searches()),
            ):
                for url in urls:
                    yield Visit(key=url, url=url, outlet=outlet.name, kind=kind)

        for url in self._pages_asked:
            owner = next((o for o in self._outlets.values() if o.owns(url)), None)
            if owner is not None:
                key = canonical_url(url)
                yield Visit(key=key, url=url, outlet=owner.name, kind=Kind.PAGE)

    async def start(self) -> AsyncIterator[Any]:
        """Seed the run (a repeat adds nothing) and yield what is open, a handful an outlet."""
        ledger, run = self._ledger, self._run_id
        ledger.release(run)
        ledger.add(run, self._seeds())
        ledger.carry_over(run, list(self._outlets))
        self._rhythms = ledger.rhythms()
        now = datetime.now(UTC)
        if now.date() <= self._day:  # a week that is over is not read again
            due = [
                k for k, r in self._rhythms.items()
                if r.outlet in self._outlets and r.next_at <= now
            ]  # fmt: skip
            ledger.reopen(run, due)
        for name in self._outlets:
            self._asked[name] = ledger.asked(run, name)
        for name in self._outlets:
            for request in self._refill(name):
                yield request

    def lease(self, visit: Visit) -> None:
        """Note that an address is about to be fetched; called before every request goes out."""
        self._ledger.lease(self._run_id, visit)

    def _refill(self, outlet: str) -> Iterator[Request]:
        queued = self._queued[outlet]
        if len(queued) > QUEUE // 2:
            return
        limit = self._outlets[outlet].max_pages or self._max_pages
        for visit in self._ledger.open(self._run_id, outlet, QUEUE + len(queued)):
            mark = (visit.key, visit.kind)
            if len(queued) >= QUEUE or mark in queued:
                continue
            if visit.kind is Kind.PAGE and visit.attempts == 0:
                if self._asked[outlet] >= limit:
                    continue
                self._asked[outlet] += 1
            queued.add(mark)
            yield self._request(visit)
        if not queued and self._asked[outlet] >= limit:
            self._ledger.close_rest(self._run_id, outlet, "page_budget")

    def _request(self, visit: Visit) -> Request:
        headers = {}
        known = self._ledger.known(visit.key)
        if known and known.etag:
            headers["If-None-Match"] = known.etag
        if known and known.last_modified:
            headers["If-Modified-Since"] = known.last_modified
        return Request(
            visit.url,
            headers=headers,
            dont_filter=True,  # the ledger knows what is new; a silent filter would lose an end
            priority=10 if visit.kind is not Kind.PAGE else 0,
            meta={"visit": visit, "handle_httpstatus_all": True},
            callback=self.parse,
            errback=self.failed,
        )

    def _finish(self, visit: Visit, **more: Any) -> Iterator[Request]:  # noqa: ANN401
        """Write an end, or put the address back once where the cause may pass."""
        self._queued[visit.outlet].discard((visit.key, visit.kind))
        if visit.reason in _AGAIN and visit.attempts + 1 < MAX_ATTEMPTS:
            self._ledger.again(self._run_id, visit)
        else:
            self._ledger.finish(self._run_id, visit, **more)
        yield from self._refill(visit.outlet)

    def failed(self, failure: Any) -> Iterator[Request]:  # noqa: ANN401  a Twisted Failure
        """Write down why an address brought nothing."""
        visit: Visit = failure.request.meta["visit"]
        state, reason = reason_of(failure.value)
        resolver = getattr(self.crawler, "kiemchung_resolver", None)
        if reason == "dns" and resolver is not None:
            host = urlsplit(failure.request.url).hostname or ""
            if host in resolver.unsafe:
                state, reason = "refused", "unsafe_address"
        yield from self._finish(
            replace(visit, state=State(state), reason=reason, final_url=failure.request.url)
        )

    async def parse(self, response: Response, **kwargs: Any) -> AsyncIterator[Request]:  # noqa: ANN401
        """Write down what an address brought, and go on with what it names."""
        visit: Visit = response.meta["visit"]
        at = datetime.now(UTC)
        visit = replace(
            visit,
            status=response.status,
            final_url=response.url,
            content_type=(response.headers.get("Content-Type") or b"").decode("latin-1"),
            fetched_at=at.isoformat(),
            raw_sha256=sha256_hex(response.body),
            flags=",".join(response.flags),
        )
        state, reason = answer(response)
        if permanent(response) and response.headers.get("Location"):
            requests = self._moved(visit, response)
        elif state is not State.FETCHED:
            requests = self._finish(
                replace(visit, state=state, reason=reason),
                **({"rhythm": self._same_rhythm(visit, at)} if state is State.UNCHANGED else {}),
            )
        elif "truncated" in response.flags and visit.attempts + 1 < MAX_ATTEMPTS:
            requests = self._finish(replace(visit, state=State.FAILED, reason="truncated"))
        elif visit.kind is Kind.PAGE:
            requests = self._page(visit, response, at)
        else:
            async for request in self._list(visit, response, at):
                yield request
            return
        for request in requests:
            yield request

    def _moved(self, visit: Visit, response: Response) -> Iterator[Request]:
        location = (response.headers.get("Location") or b"").decode("utf-8", "replace")
        try:
            target = urljoin(response.url, location)
            key = canonical_url(target) if visit.kind is Kind.PAGE else target
        except (ValueError, UnsafeAddressError):
            yield from self._finish(
                replace(visit, state=State.REFUSED, reason="unsafe_address", final_url=location)
            )
            return
        outlet = self._outlets[visit.outlet]
        reason = ""
        if not outlet.owns(target):
            reason = "off_site"
        elif visit.depth >= MAX_HOPS or key == visit.key or self._leads_back(visit, key):
            reason = "redirect_loop"
        if reason:
            state = State.REFUSED if reason == "off_site" else State.FAILED
            yield from self._finish(replace(visit, state=state, reason=reason, final_url=target))
            return
        child = Visit(
            key=key,
            url=target,
            outlet=visit.outlet,
            kind=visit.kind,
            depth=visit.depth + 1,
            published=visit.published,
        )
        moved = replace(
            visit, state=State.MOVED, reason=f"http_{response.status}", final_url=target
        )
        yield from self._finish(moved, children=[child])

    def _leads_back(self, visit: Visit, key: str) -> bool:
        """Return whether the addresses that ``key`` moved to end at ``visit``."""
        for _ in range(MAX_HOPS + 1):
            there = self._ledger.state_of(self._run_id, key, visit.kind)
            if there is None or there.state is not State.MOVED:
                return False
            key = canonical_url(there.final_url) if visit.kind is Kind.PAGE else there.final_url
            if key == visit.key:
                return True
        return True

    def _page(self, visit: Visit, response: Response, at: datetime) -> Iterator[Request]:
        known = self._ledger.known(visit.key)
        if known and known.content_sha256 == visit.raw_sha256:
            yield from self._finish(replace(visit, state=State.UNCHANGED))
            return
        headers = [
            (k.decode("latin-1"), v.decode("latin-1"))
            for k, vs in response.headers.items()
            for v in vs
        ]
        name, offset = self._archive.write(
            visit.url, response.status, headers, response.body, at, visit.raw_sha256
        )
        yield from self._finish(
            replace(visit, state=State.FETCHED, warc=name, warc_offset=offset),
            etag=(response.headers.get("ETag") or b"").decode("latin-1"),
            last_modified=(response.headers.get("Last-Modified") or b"").decode("latin-1"),
        )

    # -- lists -------------------------------------------------------------------------------

    def _same_rhythm(self, visit: Visit, at: datetime) -> Rhythm | None:
        """Return the rhythm of a list that has nothing new: twice as slow."""
        before = self._rhythms.get(visit.key)
        if before is None:
            return None
        return next_visit(
            key=visit.key, outlet=visit.outlet, at=at, newest=None, oldest=None, items=1, fresh=0,
            before=before,
        )  # fmt: skip

    async def _list(self, visit: Visit, response: Response, at: datetime) -> AsyncIterator[Request]:
        """Read a list piece by piece; what it names is in the ledger before the list is done."""
        outlet = self._outlets[visit.outlet]
        count = _Count()
        piece: list[Visit] = []
        try:
            for found in self._entries(visit, response, outlet, at):
                child = self._child(visit, outlet, found, count)
                if child is not None:
                    piece.append(child)
                if len(piece) >= PIECE:
                    self._ledger.add(self._run_id, piece)
                    piece.clear()
                    await asyncio.sleep(0)
        except PageError as error:
            if error.reason != "too_many_entries":
                for request in self._finish(
                    replace(visit, state=State.FAILED, reason=error.reason)
                ):
                    yield request
                return
            count.flags.append(error.reason)
        rhythm = next_visit(
            key=visit.key, outlet=visit.outlet, at=at, newest=count.newest, oldest=count.oldest,
            items=count.items, fresh=count.fresh, before=self._rhythms.get(visit.key),
        )  # fmt: skip
        if rhythm.gap:
            count.flags.append("gap")
        done = replace(
            visit,
            state=State.FETCHED,
            flags=",".join([*filter(None, [visit.flags]), *sorted(set(count.flags))]),
            items=count.items,
            dated=count.dated,
            old=count.old,
            foreign_items=count.foreign,
            fresh=count.fresh,
            newest=count.newest.isoformat() if count.newest else "",
            fingerprint=count.fingerprint,
        )
        for request in self._finish(
            done,
            children=piece,
            etag=(response.headers.get("ETag") or b"").decode("latin-1"),
            last_modified=(response.headers.get("Last-Modified") or b"").decode("latin-1"),
            rhythm=rhythm if visit.depth == 0 else None,
        ):
            yield request

    def _entries(
        self, visit: Visit, response: Response, outlet: Outlet, at: datetime
    ) -> Iterator[Entry | SubList]:
        if visit.kind not in (Kind.LISTING, Kind.SEARCH):
            yield from read_xml(
                response.body, base=response.url, fetched=at, zone=outlet.zone,
                formats=outlet.date_formats,
            )  # fmt: skip
            return
        found = parse_listing(
            response.body, base=response.url, outlet=outlet, encoding=outlet.encoding or "utf-8"
        )
        yield from found.entries
        for url in found.more:
            yield SubList(url=url, modified=None)

    def _child(
        self, visit: Visit, outlet: Outlet, found: Entry | SubList, count: _Count
    ) -> Visit | None:
        """Return the address that an entry brings into the run, None where it brings none."""
        if isinstance(found, SubList):
            return self._further(visit, outlet, found, count)
        count.items += 1
        count.date(found.published)
        try:
            key = canonical_url(found.url)
        except UnsafeAddressError:
            count.foreign += 1
            return None
        count.marks.append(key)
        if not outlet.is_article(found.url):
            count.foreign += 1
            return None
        count.fresh += not self._ledger.seen_before(self._run_id, key)
        published = found.published
        state = State.DISCOVERED
        if visit.kind is Kind.SITEMAP and published is not None and not outlet.sample:
            known = self._ledger.known(key)
            if (
                known is not None
                and known.fetched_at
                and published <= datetime.fromisoformat(known.fetched_at)
            ):
                state = State.UNCHANGED  # the sitemap says so; nobody need ask
            elif published < self._oldest:
                count.old += 1
                return None
        return Visit(
            key=key,
            url=found.url,
            outlet=outlet.name,
            kind=Kind.PAGE,
            published=published.isoformat() if published else "",
            state=state,
        )

    def _further(self, visit: Visit, outlet: Outlet, found: SubList, count: _Count) -> Visit | None:
        count.items += visit.kind is Kind.SITEMAP
        if found.modified is not None and found.modified < self._oldest and not outlet.sample:
            count.old += 1
            return None
        paged = visit.kind in (Kind.LISTING, Kind.SEARCH)
        cap = outlet.max_listing_pages if paged else MAX_DEPTH
        self._lists[outlet.name] += 1
        fits = visit.depth + 1 < cap and self._lists[outlet.name] <= MAX_LISTS
        if not fits:
            count.flags.append("list_limit")
            if paged or self._lists[outlet.name] > 2 * MAX_LISTS:
                return None
        return Visit(
            key=found.url,
            url=found.url,
            outlet=outlet.name,
            kind=visit.kind,
            depth=visit.depth + 1,
            state=State.DISCOVERED if fits else State.REFUSED,
            reason="" if fits else "list_limit",
        )


def answer(response: Response) -> tuple[State, str]:
    """Return the state and reason that a status code and a challenge page mean."""
    status = response.status
    challenged = len(response.body) <= _MAX_CHALLENGE_BYTES and _CHALLENGE.search(response.body)
    if status == 304:
        return State.UNCHANGED, ""
    if "challenge" in (response.headers.get("cf-mitigated") or b"").decode("latin-1"):
        return State.REFUSED, "challenge"
    if challenged and status in (200, 403, 429, 503) and b"<p" not in response.body.lower():
        return State.REFUSED, "challenge"
    if status in (401, 402, 403, 451):
        return State.REFUSED, f"http_{status}"
    if status in (404, 410):
        return State.GONE, f"http_{status}"
    return (State.FETCHED, "") if status == 200 else (State.FAILED, f"http_{status}")


def reason_of(error: BaseException) -> tuple[str, str]:
    """Return the state and the reason in which an address ends after ``error``."""
    if isinstance(error, Refused):
        return error.state, error.reason
    text = repr(error) + repr(getattr(error, "reasons", ""))
    for reason in getattr(error, "reasons", None) or ():
        text += repr(getattr(reason, "value", reason))
    if "unsafe_address" in text:
        return "refused", "unsafe_address"
    if "HeaderFlood" in text:
        return "failed", "header_flood"
    if isinstance(
        error, net.TimeoutError | net.TCPTimedOutError | TimeoutError | DownloadTimeoutError
    ):
        return "failed", "timeout"
    if "DNSLookup" in text or "CannotResolveHost" in text:
        return "failed", "dns"
    if "DataLoss" in text:
        return "failed", "truncated"
    if "DownloadCancelled" in text or "maxsize" in text.lower():
        return "failed", "too_large"
    if "ssl" in text.lower() or "certificate" in text.lower():
        return "failed", "tls"
    if isinstance(error, ResponseFailed) or "DownloadFailed" in text:
        return "failed", "broken_response"
    if isinstance(error, net.ConnectError | net.ConnectionLost | net.ConnectionDone):
        return "failed", "connection"
    return "failed", f"error_{type(error).__name__}"
