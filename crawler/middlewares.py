"""Manners and caps as downloader middlewares: scope, robots, holds, redirects, bodies.

Each refusal is a `Refused` with the name of the state in which the address ends.
"""

from __future__ import annotations

import asyncio
import re
import socket
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
from w3lib.html import get_meta_refresh

from crawler.canonical import canonical_url
from crawler.guard import MAX_HEADER_BYTES, check_url, permitted
from kiemchung.errors import UnsafeAddressError
from kiemchung.tombstones import FORGOTTEN, covers

MAX_CRAWL_DELAY: Final = 120.0
MAX_ROBOTS_BYTES: Final = 500 * 1024  # RFC 9309, 2.5
MAX_HOPS: Final = 5
MAX_WAITS: Final = 2
MAX_STRIKES: Final = 5
SMALLEST_STEP: Final = 0.1  # seconds: where the delay is zero, doubling would not slow anything
MAX_REFRESH_SECONDS: Final = 5.0  # a page that says so long is meant to be read
TOKEN: Final = object()
"""Marks our own robots requests; a meta key of a page cannot be this object."""


class Refused(IgnoreRequest):
    """An address not fetched, or whose answer is not kept; ``reason`` is its named state."""

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(f"{state}: {reason}")
        self.state = state
        self.reason = reason


class ScopeMiddleware:
    """Only http(s), only public addresses, only the outlets' own hosts; sample hosts by proxy."""

    def __init__(
        self,
        hosts: frozenset[str],
        sample_proxy: str,
        allowed: tuple[str, ...],
        proxy: str = "",
        withdrawn: frozenset[str] = frozenset(),
    ) -> None:
        self._hosts = hosts
        self._withdrawn = withdrawn
        self._sample_proxy = sample_proxy
        self._allowed = allowed
        self._proxy = proxy
        self._sound: dict[str, bool] = {}

    @classmethod
    def from_crawler(cls, crawler: Any) -> ScopeMiddleware:  # noqa: ANN401
        """Build from the crawler's settings."""
        settings = crawler.settings
        return cls(
            frozenset(settings.getlist("KIEMCHUNG_HOSTS")),
            settings.get("KIEMCHUNG_SAMPLE_PROXY") or "",
            tuple(settings.getlist("KIEMCHUNG_ALLOWED_ADDRESSES")),
            settings.get("KIEMCHUNG_PROXY") or "",
            frozenset(settings.getlist("KIEMCHUNG_WITHDRAWN")),
        )

    async def process_request(self, request: Request) -> None:
        """Refuse what lies outside; a proxy set by anybody else is removed."""
        try:
            check_url(request.url, allowed=self._allowed)
        except UnsafeAddressError as error:
            raise Refused("refused", "unsafe_address") from error
        host = (urlsplit(request.url).hostname or "").lower()
        if host not in self._hosts:
            raise Refused("refused", "off_site")
        if self._withdrawn and covers(self._withdrawn, (request.url, canonical_url(request.url))):
            raise Refused("refused", FORGOTTEN)
        request.meta.pop("proxy", None)
        if host.endswith(".example") and self._sample_proxy:
            request.meta["proxy"] = self._sample_proxy
        elif self._proxy:
            # The proxy connects, so the name is looked up here first.
            if not await self._is_sound(host):
                raise Refused("refused", "unsafe_address")
            request.meta["proxy"] = self._proxy

    async def _is_sound(self, host: str) -> bool:
        """Return whether nothing private answers to ``host``; an unknown name is the proxy's."""
        if host not in self._sound:
            loop = asyncio.get_running_loop()
            try:
                found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            except OSError:
                found = []
            self._sound[host] = all(permitted(str(a[4][0]), self._allowed) for a in found)
        return self._sound[host]


def robots_rules(body: bytes) -> Protego | None:
    """Return the rules of a robots.txt as far as it is read, None of what is none."""
    body = body[:MAX_ROBOTS_BYTES]
    if body.lstrip()[:1] == b"<":
        return None
    return Protego.parse(body.decode("utf-8-sig", "replace"))


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
        if request.meta.get("kiemchung_robots") is TOKEN:
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
            f"{origin}/robots.txt", meta={"kiemchung_robots": TOKEN, "handle_httpstatus_all": True}
        )
        try:
            response = await self._crawler.engine.download_async(request)
        except Exception:  # noqa: BLE001  whatever went wrong, the host is not crawled
            return None
        if 400 <= response.status < 500 and response.status != 429:
            return Protego.parse("")  # 429 is no answer: "not now", as 5xx
        return robots_rules(response.body) if response.status == 200 else None


class PaceMiddleware:
    """How fast a host is asked: Retry-After obeyed, slower after trouble, left alone after much.

    429 and 503 with Retry-After (seconds or a date) make the whole host wait. Every sign of trouble
    (429, 5xx, a timeout, a broken connection) doubles the delay, every good answer takes a quarter
    off what was added. After ``MAX_STRIKES`` in a row, or a Retry-After above the cap, the host is
    left alone for the rest of this run: its addresses end as ``host_down`` or ``retry_after`` and
    are taken up by the next run.
    """

    def __init__(self, crawler: Any) -> None:  # noqa: ANN401
        self._crawler = crawler
        self._cap = crawler.settings.getfloat("KIEMCHUNG_MAX_HOLD")
        self._until: dict[str, float] = {}
        self._strikes: dict[str, int] = {}
        self._base: dict[str, float] = {}
        self._closed: dict[str, str] = {}

    @classmethod
    def from_crawler(cls, crawler: Any) -> PaceMiddleware:  # noqa: ANN401
        """Build from the crawler."""
        return cls(crawler)

    async def process_request(self, request: Request) -> None:
        """Wait while the host asked to be left alone; then note that the address is in hand."""
        host = urlsplit(request.url).hostname or ""
        while (wait := self._until.get(host, 0.0) - time.monotonic()) > 0:
            await asyncio.sleep(min(wait, 5.0))
        if host in self._closed:
            raise Refused("failed", self._closed[host])
        lease = getattr(self._crawler.spider, "lease", None)
        if lease is not None and "visit" in request.meta:
            lease(request.meta["visit"])

    async def process_response(self, request: Request, response: Response) -> Request | Response:
        """Slow down or speed up; ask again after a Retry-After, at most twice."""
        host = urlsplit(request.url).hostname or ""
        if response.status != 429 and response.status < 500:
            self._relax(host)
            return response
        if request.meta.get("kiemchung_robots") is TOKEN:
            return response
        self._strike(host)
        if response.status not in (429, 503):
            return response
        seconds = retry_after((response.headers.get("Retry-After") or b"").decode("latin-1"))
        if seconds is None:
            return response
        if seconds > self._cap:
            self._closed[host] = "retry_after"
            return response
        waits = request.meta.get("kiemchung_waits", 0)
        self._until[host] = time.monotonic() + seconds
        if waits >= MAX_WAITS:
            return response
        return request.replace(dont_filter=True, meta=request.meta | {"kiemchung_waits": waits + 1})

    def process_exception(self, request: Request, exception: Exception) -> None:
        """Slow down after trouble on the way."""
        if not isinstance(exception, IgnoreRequest):
            self._strike(urlsplit(request.url).hostname or "")

    def _slot(self, host: str) -> Any:  # noqa: ANN401
        return self._crawler.engine.downloader.slots.get(host)

    def _strike(self, host: str) -> None:
        strikes = self._strikes.get(host, 0) + 1
        self._strikes[host] = strikes
        slot = self._slot(host)
        if slot is not None:
            base = self._base.setdefault(host, slot.delay)
            slot.delay = min(MAX_CRAWL_DELAY, max(base, SMALLEST_STEP) * 2.0**strikes)
        if strikes >= MAX_STRIKES:
            self._closed.setdefault(host, "host_down")

    def _relax(self, host: str) -> None:
        self._strikes.pop(host, None)
        slot = self._slot(host)
        if slot is not None and host in self._base:
            base = self._base[host]
            slot.delay = base + (slot.delay - base) * 0.75
            if slot.delay - base < 0.05:
                slot.delay = base
                del self._base[host]


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
    """Redirects one hop at a time: every hop is a request of its own that scope and robots see.

    A permanent redirect (301, 308) is left to the spider, which writes down that the address has
    moved. A page that refreshes to another at once is a redirect too.
    """

    def process_response(self, request: Request, response: Response) -> Request | Response:
        """Follow, or end in ``redirect_loop``."""
        target = redirect_target(request, response)
        if target is None or (permanent(response) and "visit" in request.meta):
            return response
        seen = [*request.meta.get("kiemchung_hops", ()), request.url]
        if target in seen or len(seen) > MAX_HOPS:
            raise Refused("failed", "redirect_loop")
        try:
            return request.replace(
                url=target, dont_filter=True, meta=request.meta | {"kiemchung_hops": seen}
            )
        except ValueError as error:
            raise Refused("failed", "bad_redirect") from error


def permanent(response: Response) -> bool:
    """Return whether the answer says that its address is another for good."""
    return response.status in (301, 308)


def redirect_target(request: Request, response: Response) -> str | None:
    """Return where a response sends its reader, by Location or by an immediate meta refresh."""
    location = response.headers.get("Location")
    if response.status in (301, 302, 303, 307, 308) and location is not None:
        try:
            return urljoin(request.url, location.decode("utf-8", "replace"))
        except ValueError as error:
            raise Refused("failed", "bad_redirect") from error
    if response.status != 200 or b"http-equiv" not in response.body[:4096].lower():
        return None
    # Not after <noscript>: a page asks there for JavaScript, which is no redirect.
    head = response.body[:4096].decode("latin-1")
    seconds, target = get_meta_refresh(head, request.url, ignore_tags=("noscript", "script"))
    if seconds is None or target is None or seconds > MAX_REFRESH_SECONDS:
        return None
    return None if target == request.url else str(target)


class BodyMiddleware:
    """Header cap, and gzip decoded here: a cut stream and a bomb are recognised.

    A body that is not whole keeps its bytes and gets the flag ``truncated``.
    """

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
        flags = ["truncated" if f == "dataloss" else f for f in response.flags]
        codings = codings_of(response)
        if not codings:
            return response.replace(flags=flags) if flags else response
        if len(codings) > MAX_CODINGS:
            raise Refused("failed", "decompression_bomb")
        body = response.body
        for coding in reversed(codings):
            if coding not in ("gzip", "x-gzip", "deflate"):
                raise Refused("failed", "unknown_coding")
            body, whole = gunzip(body, self._cap)
            if not whole and "truncated" not in flags:
                flags.append("truncated")
        headers = response.headers.copy()
        headers.pop("Content-Encoding", None)
        return response.replace(body=body, headers=headers, flags=flags)


MAX_CODINGS: Final = 2


def codings_of(response: Response) -> list[str]:
    """Return the codings of a body in the order in which they were applied."""
    told = b",".join(response.headers.getlist("Content-Encoding")).decode("latin-1")
    return [c for part in told.split(",") if (c := part.strip().lower()) not in ("", "identity")]


def gunzip(data: bytes, cap: int) -> tuple[bytes, bool]:
    """Return the decoded body of a gzip or zlib stream, and whether the stream was whole.

    Raises:
        Refused: ``decompression_bomb`` above ``cap`` bytes, ``bad_gzip`` when it is none.
    """
    parts: list[bytes] = []
    total = 0
    while data:
        decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            part = decoder.decompress(data, cap - total + 1)
        except zlib.error as error:
            if parts:  # rubbish behind a whole stream
                return b"".join(parts), False
            raise Refused("failed", "bad_gzip") from error
        total += len(part)
        if total > cap:
            raise Refused("failed", "decompression_bomb")
        parts.append(part)
        if not decoder.eof:
            return b"".join(parts), False
        data = decoder.unused_data
    return b"".join(parts), True
