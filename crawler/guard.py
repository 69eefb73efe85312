"""Nothing but public addresses: checked on the address of a request and again at connect time.

A check of the address alone is bypassed by a redirect or by a name that resolves to another host
the second time. So the resolver refuses too (the address that it hands out is the one connected
to), and a connection whose other end is not public is cut before a byte is sent over it.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from scrapy.core.downloader.handlers.http11 import HTTP11DownloadHandler
from scrapy.resolver import CachingHostnameResolver, HostResolution
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IResolutionReceiver,
)
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer  # type: ignore[import-untyped]

from kiemchung.errors import UnsafeAddressError

SCHEMES: Final = ("http", "https")
MAX_HEADER_BYTES: Final = 64 * 1024


class HeaderFloodError(Exception):
    """A response whose headers go on and on."""


class UnsafePeerError(Exception):
    """A connection whose other end is not on the public network."""


def literal_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that ``host`` writes out in any form a resolver understands, else None.

    Dotted, decimal (2130706433), hexadecimal (0x7f000001), octal, short (127.1) and IPv6 forms.
    """
    bare = host.strip("[]").split("%")[0]
    try:
        return ipaddress.ip_address(bare)
    except ValueError:
        pass
    try:
        return ipaddress.ip_address(socket.inet_aton(bare))
    except (OSError, ValueError):
        return None


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Return whether an address belongs to the public network, embedded IPv4 unwrapped."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address.teredo is not None:
            inner = address.teredo[1]
        if address in _NAT64:
            inner = ipaddress.IPv4Address(address.packed[-4:])
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def permitted(host: str, allowed: Sequence[str]) -> bool:
    """Return whether the literal address ``host`` may be connected to."""
    address = literal_address(host)
    return address is not None and (str(address) in allowed or is_public(address))


def check_url(url: str, *, allowed: Sequence[str] = ()) -> None:
    """Refuse what must never be fetched.

    Raises:
        UnsafeAddressError: another scheme than http(s), user information in the address, or a
            literal address outside the public network that is not in ``allowed``.
    """
    try:
        split = urlsplit(url)
        _ = split.port
    except ValueError as error:
        raise UnsafeAddressError(f"no address: {error}", where=url) from error
    if split.scheme.lower() not in SCHEMES:
        raise UnsafeAddressError(f"scheme {split.scheme!r} is never fetched", where=url)
    host = split.hostname or ""
    if not host or split.username is not None:
        raise UnsafeAddressError("no plain host", where=url)
    if literal_address(host) is not None and not permitted(host, allowed):
        raise UnsafeAddressError(f"{host} is not public", where=url)


@implementer(IResolutionReceiver)
class _Sifter:
    """Passes addresses on when all of them are permitted; one that is not spoils the name."""

    def __init__(self, receiver: Any, resolver: GuardedResolver, name: str) -> None:  # noqa: ANN401
        self._receiver = receiver
        self._resolver = resolver
        self._name = name
        self._found: list[IAddress] = []

    def resolutionBegan(self, resolution: IHostResolution) -> None:
        """Pass on."""
        self._receiver.resolutionBegan(resolution)

    def addressResolved(self, address: Any) -> None:  # noqa: ANN401
        """Keep until the last has come."""
        self._found.append(address)

    def resolutionComplete(self) -> None:
        """Pass all on, or none."""
        hosts = [str(getattr(a, "host", "")) for a in self._found]
        if all(permitted(h, self._resolver.allowed) for h in hosts):
            for address in self._found:
                self._receiver.addressResolved(address)
        else:
            self._resolver.unsafe.add(self._name)
        self._receiver.resolutionComplete()


@implementer(IHostnameResolver)
class GuardedResolver(CachingHostnameResolver):
    """Hands out public addresses only, IPv4 and IPv6; exceptions are set by code, never by a file.

    A name with one private address among public ones is refused as a whole.
    """

    allowed: tuple[str, ...] = ()

    def __init__(self, reactor: Any, cache_size: int) -> None:  # noqa: ANN401
        super().__init__(reactor, cache_size)
        self.unsafe: set[str] = set()

    @classmethod
    def from_crawler(cls, crawler: Any, reactor: Any) -> GuardedResolver:  # noqa: ANN401
        """Build from a crawler, with the addresses that this run's own proxy needs."""
        resolver: GuardedResolver = super().from_crawler(crawler, reactor)
        resolver.allowed = tuple(crawler.settings.getlist("KIEMCHUNG_ALLOWED_ADDRESSES"))
        crawler.kiemchung_resolver = resolver  # for the name of the state in which a refusal ends
        return resolver

    def resolveHostName(
        self,
        resolutionReceiver: Any,  # noqa: ANN401
        hostName: str,
        portNumber: int = 0,
        addressTypes: Any = None,  # noqa: ANN401
        transportSemantics: str = "TCP",
    ) -> Any:  # noqa: ANN401
        """Resolve ``hostName``; nothing comes back for a name that is not public."""
        sifter = _Sifter(resolutionReceiver, self, hostName)
        literal = literal_address(hostName)
        if literal is not None and not permitted(hostName, self.allowed):
            self.unsafe.add(hostName)
            resolutionReceiver.resolutionBegan(HostResolution(hostName))
            resolutionReceiver.resolutionComplete()
            return sifter
        return super().resolveHostName(
            sifter,  # type: ignore[arg-type]
            hostName,
            portNumber,
            addressTypes,
            transportSemantics,
        )


def guarded_protocol(base: type[Any], allowed: Sequence[str]) -> type[Any]:
    """Return ``base`` (Twisted's HTTP client protocol) that checks the peer and caps headers."""

    class Guarded(base):  # type: ignore[misc]
        _head = 0
        _unsafe = ""

        def connectionMade(self) -> None:
            """Look at who is at the other end, before anything is sent."""
            host = str(getattr(self.transport.getPeer(), "host", ""))
            if host and not permitted(host, allowed):
                self._unsafe = host
            super().connectionMade()

        def request(self, request: Any) -> Deferred[Any]:  # noqa: ANN401
            """Send nothing to an unsafe peer."""
            if self._unsafe:
                self.transport.abortConnection()
                return fail(UnsafePeerError(f"unsafe_address: connected to {self._unsafe}"))
            self._head = 0
            return super().request(request)  # type: ignore[no-any-return]

        def dataReceived(self, data: bytes) -> None:
            """Give up when the headers exceed the cap; the body has its own."""
            parser = self._parser
            if parser is not None and parser.state != "BODY":
                self._head += len(data)
                # One piece may hold the end of the headers and much of the body.
                if self._head > MAX_HEADER_BYTES + 65_536:
                    self._giveUp(Failure(HeaderFloodError()))  # type: ignore[no-untyped-call]
                    return
            super().dataReceived(data)

    return Guarded


class GuardedHandler(HTTP11DownloadHandler):
    """Scrapy's HTTP handler over connections that are looked at."""

    def __init__(self, crawler: Any) -> None:  # noqa: ANN401
        super().__init__(crawler)
        allowed = tuple(crawler.settings.getlist("KIEMCHUNG_ALLOWED_ADDRESSES"))
        inner = self._pool._factory

        class Factory(inner):  # type: ignore[misc,valid-type]
            def buildProtocol(self, addr: Any) -> Protocol:  # noqa: ANN401
                made = super().buildProtocol(addr)
                made.__class__ = _of(type(made))
                return made  # type: ignore[no-any-return]

        cache: dict[type[Any], type[Any]] = {}

        def _of(base: type[Any]) -> type[Any]:
            if base not in cache:
                cache[base] = guarded_protocol(base, allowed)
            return cache[base]

        self._pool._factory = Factory
