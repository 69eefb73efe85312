"""The one spider for all outlets: it walks what is pending and writes down every end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, Final

import scrapy
from scrapy import Request
from scrapy.exceptions import DownloadTimeoutError
from scrapy.http import Response
from twisted.internet import error as net
from twisted.web.client import ResponseFailed

from crawler.archive import Archive
from crawler.canonical import canonical_url
from crawler.feeds import Listing, parse_listing, parse_xml
from crawler.ledger import Kind, Ledger, State, Visit
from crawler.middlewares import Refused
from crawler.outlets import Outlet
from kiemchung.domain import sha256_hex
from kiemchung.errors import PageError

MAX_DEPTH: Final = 4  # index of a sitemap index, and a listing's own pages count apart
MAX_LISTS: Final = 200  # sitemaps and listing pages of one outlet in one run


class OutletSpider(scrapy.Spider):
    """Feeds, sitemaps and listings first, then the pages they name."""

    name = "outlets"
    custom_settings = None

    def __init__(
        self,
        outlets: Mapping[str, Outlet],
        ledger: Ledger,
        archive: Archive,
        run_id: str,
        day: date,
        **kwargs: Any,  # noqa: ANN401  Scrapy's own
    ) -> None:
        super().__init__(**kwargs)
        self._day = day  # of the run's week: which month's sitemaps are due
        self._outlets = outlets
        self._ledger = ledger
        self._archive = archive
        self._run_id = run_id
        self._lists: dict[str, int] = {}

    async def start(self) -> AsyncIterator[Any]:
        """Seed the run (a repeat adds nothing) and yield everything that is still pending."""
        seeds = []
        for outlet in self._outlets.values():
            for kind, urls in (
                (Kind.FEED, outlet.feeds),
                (Kind.SITEMAP, outlet.sitemaps_of(self._day)),
                (Kind.LISTING, outlet.listings),
            ):
                seeds += [Visit(key=u, url=u, outlet=outlet.name, kind=kind) for u in urls]
        self._ledger.add(self._run_id, seeds)
        for visit in self._ledger.pending(self._run_id):
            yield self._request(visit)

    def _request(self, visit: Visit) -> Request:
        headers = {}
        known = self._ledger.known(visit.key) if visit.kind is Kind.PAGE else None
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

    def _finish(
        self,
        visit: Visit,
        *,
        children: Sequence[Visit] = (),
        etag: str = "",
        last_modified: str = "",
    ) -> Iterator[Request]:
        for child in self._ledger.finish(
            self._run_id, visit, children=children, etag=etag, last_modified=last_modified
        ):
            yield self._request(child)

    def failed(self, failure: Any) -> Iterator[Request]:  # noqa: ANN401  a Twisted Failure
        """Write down why an address brought nothing."""
        visit: Visit = failure.request.meta["visit"]
        state, reason = reason_of(failure.value)
        yield from self._finish(replace(visit, state=State(state), reason=reason))

    def parse(self, response: Response, **kwargs: Any) -> Iterator[Request]:  # noqa: ANN401
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
        if response.status == 304:
            yield from self._finish(replace(visit, state=State.UNCHANGED, raw_sha256=""))
        elif response.status in (401, 402, 403, 451):
            yield from self._finish(
                replace(visit, state=State.REFUSED, reason=f"http_{response.status}")
            )
        elif response.status != 200:
            yield from self._finish(
                replace(visit, state=State.FAILED, reason=f"http_{response.status}")
            )
        elif visit.kind is Kind.PAGE:
            yield from self._page(visit, response, at)
        else:
            yield from self._list(visit, response, at)

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
        offset = self._archive.write(visit.url, response.status, headers, response.body, at)
        yield from self._finish(
            replace(visit, state=State.FETCHED, warc=self._archive.name, warc_offset=offset),
            etag=(response.headers.get("ETag") or b"").decode("latin-1"),
            last_modified=(response.headers.get("Last-Modified") or b"").decode("latin-1"),
        )

    def _list(self, visit: Visit, response: Response, at: datetime) -> Iterator[Request]:
        outlet = self._outlets[visit.outlet]
        try:
            if visit.kind is Kind.LISTING:
                found = parse_listing(
                    response.body, base=response.url, outlet=outlet,
                    encoding=outlet.encoding or "utf-8",
                )  # fmt: skip
            else:
                found = parse_xml(response.body, base=response.url, fetched=at)
        except PageError as error:
            yield from self._finish(replace(visit, state=State.FAILED, reason=error.reason))
            return
        newest = max((e.published for e in found.entries if e.published), default=None)
        yield from self._finish(
            replace(
                visit,
                state=State.FETCHED,
                items=len(found.entries) + len(found.more),
                newest=newest.isoformat() if newest else "",
            ),
            children=[*self._pages(visit, outlet, found), *self._more(visit, outlet, found)],
        )

    def _pages(self, visit: Visit, outlet: Outlet, found: Listing) -> Iterator[Visit]:
        for entry in found.entries:
            if outlet.is_article(entry.url):
                key = canonical_url(entry.url)
                yield Visit(key=key, url=entry.url, outlet=outlet.name, kind=Kind.PAGE)

    def _more(self, visit: Visit, outlet: Outlet, found: Listing) -> Iterator[Visit]:
        cap = outlet.max_listing_pages if visit.kind is Kind.LISTING else MAX_DEPTH
        for url in found.more:
            self._lists[outlet.name] = self._lists.get(outlet.name, 0) + 1
            if visit.depth + 1 < cap and self._lists[outlet.name] <= MAX_LISTS:
                yield Visit(
                    key=url, url=url, outlet=outlet.name, kind=visit.kind, depth=visit.depth + 1
                )


def reason_of(error: BaseException) -> tuple[str, str]:
    """Return the state and the reason in which an address ends after ``error``."""
    if isinstance(error, Refused):
        return error.state, error.reason
    text = repr(error)
    if "unsafe_address" in text:
        return "refused", "unsafe_address"
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
