"""Manners and caps as downloader middlewares: scope, robots, holds, redirects, bodies.

Each refusal is a `Refused` with the name of the state in which the address ends.
"""

from __future__ import annotations

import asyncio
import re
import time
import zlib
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from protego import Protego
from scrapy import Request
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Response

from crawler.guard import check_url
from kiemchung.errors import UnsafeAddressError

MAX_CRAWL_DELAY: Final = 120.0
MAX_ROBOTS_BYTES: Final = 500 * 1024  # RFC 9309, 2.5
MAX_HEADER_BYTES: Final = 64 * 1024
MAX_HOPS: Final = 5
MAX_WAITS: Final = 2
_TOKEN: Final = object()
"""Marks our own robots requests; a meta key of a page cannot be this object."""


class Refused(IgnoreRequest):
    """An address not fetched, or whose answer is not kept; ``reason`` is its named state."""

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(f"{state}: {reason}")
        self.state = state
        self.reason = reason


class ScopeMiddleware:
    """Only http(s), only public addresses, only the outlets' own hosts; sample hosts by proxy."""

    def __init__(self, hosts: frozenset[str], proxy: str, allowed: tuple[str, ...]) -> None:
        self._hosts = hosts
        self._proxy = proxy
        self._allowed = allowed

    @classmethod
    def from_crawler(cls, crawler: Any) -> ScopeMiddleware:  # noqa: ANN401
        """Build from the crawler's settings."""
        settings = crawler.settings
        return cls(
            frozenset(settings.getlist("KIEMCHUNG_HOSTS")),
            settings.get("KIEMCHUNG_SAMPLE_PROXY") or "",
            tuple(settings.getlist("KIEMCHUNG_ALLOWED_ADDRESSES")),
        )

    def process_request(self, request: Request) -> None:
        """Refuse what lies outside; a proxy set by anybody else is removed."""
        try:
            check_url(request.url, allowed=self._allowed)
        except UnsafeAddressError as error:
            raise Refused("refused", "unsafe_address") from error
        host = (urlsplit(request.url).hostname or "").lower()
        if host not in self._hosts:
            raise Refused("refused", "off_site")
        request.meta.pop("proxy", None)
        if host.endswith(".example") and self._proxy:
            request.meta["proxy"] = self._proxy


class RobotsMiddleware:
    """robots.txt per RFC 9309, fetched once a host and run, awaited by everybody who needs it.

    4xx allows all; 5xx, a timeout, HTML or a failed look-up mean that the host is not crawled in
    this run. There is no override.
    """

    def __init__(self, crawler: Any) -> None:  # noqa: ANN401
        self._crawler = crawler
        self._agent: str = crawler.settings["USER_AGENT"]
        self._tasks: dict[str, asyncio.Task[Protego | None]] = {}

    @classmethod
    def from_crawler(cls, crawler: Any) -> RobotsMiddleware:  # noqa: ANN401
        """Build from the crawler."""
        return cls(crawler)

    async def process_request(self, request: Request) -> None:
        """Hold the request until robots.txt of its host is known, and obey it."""
        if request.meta.get("kiemchung_robots") is _TOKEN:
            return
        split = urlsplit(request.url)
        origin = f"{split.scheme}://{split.netloc}"
        if origin not in self._tasks:
            self._tasks[origin] = asyncio.ensure_future(self._fetch(origin))
        rules = await asyncio.shield(self._tasks[origin])
        if rules is None:
            raise Refused("refused", "robots_unreachable")
        if not rules.can_fetch(request.url, self._agent):
            raise Refused("refused", "robots")
        delay = rules.crawl_delay(self._agent)
        if delay:
            slots = self._crawler.engine.downloader.slots
            slot = slots.get(split.hostname)
            if slot is not None:
                slot.delay = max(slot.delay, min(float(delay), MAX_CRAWL_DELAY))

    async def _fetch(self, origin: str) -> Protego | None:
        request = Request(
            f"{origin}/robots.txt", meta={"kiemchung_robots": _TOKEN, "handle_httpstatus_all": True}
        )
        try:
            response = await self._crawler.engine.download_async(request)
        except Exception:  # noqa: BLE001  whatever went wrong, the host is not crawled
            return None
        if 400 <= response.status < 500:
            return Protego.parse("")
        body = response.body[:MAX_ROBOTS_BYTES]
        if response.status != 200 or body.lstrip()[:1] == b"<":
            return None
        return Protego.parse(body.decode("utf-8", "replace"))


class HoldMiddleware:
    """429 and 503 with Retry-After, in seconds or as a date: the whole host waits that long."""

    def __init__(self, cap: float) -> None:
        self._cap = cap
        self._until: dict[str, float] = {}

    @classmethod
    def from_crawler(cls, crawler: Any) -> HoldMiddleware:  # noqa: ANN401
        """Build from the crawler's settings."""
        return cls(crawler.settings.getfloat("KIEMCHUNG_MAX_HOLD"))

    async def process_request(self, request: Request) -> None:
        """Wait while the host asked to be left alone."""
        host = urlsplit(request.url).hostname or ""
        while (wait := self._until.get(host, 0.0) - time.monotonic()) > 0:
            await asyncio.sleep(min(wait, 5.0))

    async def process_response(self, request: Request, response: Response) -> Request | Response:
        """Ask again after the hold, at most twice."""
        if response.status not in (429, 503):
            return response
        seconds = retry_after((response.headers.get("Retry-After") or b"").decode("latin-1"))
        waits = request.meta.get("kiemchung_waits", 0)
        if seconds is None or seconds > self._cap or waits >= MAX_WAITS:
            return response
        self._until[urlsplit(request.url).hostname or ""] = time.monotonic() + seconds
        return request.replace(dont_filter=True, meta=request.meta | {"kiemchung_waits": waits + 1})


def retry_after(value: str) -> float | None:
    """Return the seconds that a Retry-After header asks for, or None without a usable one."""
    value = value.strip()
    if re.fullmatch(r"\d{1,6}", value):
        return float(value)
    try:
        then = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    if then.tzinfo is None:
        return None
    return max(0.0, (then - datetime.now(UTC)).total_seconds())  # a wait, not a result


class RedirectMiddleware:
    """Redirects one hop at a time: every hop is a request of its own that scope and robots see."""

    def process_response(self, request: Request, response: Response) -> Request | Response:
        """Follow, or end in ``redirect_loop``."""
        location = response.headers.get("Location")
        if response.status not in (301, 302, 303, 307, 308) or location is None:
            return response
        target = urljoin(request.url, location.decode("utf-8", "replace"))
        seen = [*request.meta.get("kiemchung_hops", ()), request.url]
        if target in seen or len(seen) > MAX_HOPS:
            raise Refused("failed", "redirect_loop")
        try:
            return request.replace(
                url=target, dont_filter=True, meta=request.meta | {"kiemchung_hops": seen}
            )
        except ValueError as error:
            raise Refused("failed", "bad_redirect") from error


class BodyMiddleware:
    """Header cap, and gzip decoded here: a cut stream and a bomb are recognised."""

    def __init__(self, cap: int) -> None:
        self._cap = cap

    @classmethod
    def from_crawler(cls, crawler: Any) -> BodyMiddleware:  # noqa: ANN401
        """Build from the crawler's settings."""
        return cls(crawler.settings.getint("DOWNLOAD_MAXSIZE"))

    def process_request(self, request: Request) -> None:
        """Ask for what can be decoded."""
        request.headers["Accept-Encoding"] = "gzip"

    def process_response(self, request: Request, response: Response) -> Response:
        """Return the response with its body decoded."""
        size = sum(len(k) + sum(len(v) for v in vs) for k, vs in response.headers.items())
        if size > MAX_HEADER_BYTES:
            raise Refused("failed", "header_flood")
        coding = (response.headers.get("Content-Encoding") or b"").decode("latin-1").strip().lower()
        if coding in ("", "identity"):
            return response
        if coding not in ("gzip", "x-gzip", "deflate"):
            raise Refused("failed", "unknown_coding")
        headers = response.headers.copy()
        headers.pop("Content-Encoding", None)
        return response.replace(body=gunzip(response.body, self._cap), headers=headers)


def gunzip(data: bytes, cap: int) -> bytes:
    """Return the decoded body of a gzip or zlib stream.

    Raises:
        Refused: ``truncated`` when the stream ends early, ``decompression_bomb`` above ``cap``
            bytes, ``bad_gzip`` when it is none.
    """
    parts, total = [], 0
    while data:
        decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            part = decoder.decompress(data, cap - total + 1)
        except zlib.error as error:
            raise Refused("failed", "bad_gzip") from error
        total += len(part)
        if total > cap:
            raise Refused("failed", "decompression_bomb")
        parts.append(part)
        if not decoder.eof:
            raise Refused("failed", "truncated")
        data = decoder.unused_data
    return b"".join(parts)
