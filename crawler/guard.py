"""Nothing but public addresses: checked on the address of a request and again at connect time.

A check of the address alone is bypassed by a redirect or by a name that resolves to another host
the second time, so the resolver refuses too: the address it hands out is the one connected to.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from scrapy.resolver import CachingThreadedResolver
from twisted.internet.defer import Deferred
from twisted.internet.error import DNSLookupError

from kiemchung.errors import UnsafeAddressError

SCHEMES: Final = ("http", "https")


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
    """Return whether an address belongs to the public network, mapped IPv4 unwrapped."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address.teredo is not None:
            inner = address.teredo[1]
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


def check_url(url: str, *, allowed: Sequence[str] = ()) -> None:
    """Refuse what must never be fetched.

    Raises:
        UnsafeAddressError: another scheme than http(s), user information in the address, or a
            literal address outside the public network that is not in ``allowed``.
    """
    try:
        split = urlsplit(url)
    except ValueError as error:
        raise UnsafeAddressError(f"no address: {error}", where=url) from error
    if split.scheme.lower() not in SCHEMES:
        raise UnsafeAddressError(f"scheme {split.scheme!r} is never fetched", where=url)
    host = split.hostname or ""
    if not host or split.username is not None:
        raise UnsafeAddressError("no plain host", where=url)
    address = literal_address(host)
    if address is not None and str(address) not in allowed and not is_public(address):
        raise UnsafeAddressError(f"{address} is not public", where=url)


class GuardedResolver(CachingThreadedResolver):
    """Hands out public addresses only; exceptions are set by code, never by a file."""

    allowed: tuple[str, ...] = ()

    @classmethod
    def from_crawler(cls, crawler: Any, reactor: Any) -> GuardedResolver:  # noqa: ANN401
        """Build from a crawler, with the addresses that this run's own proxy needs."""
        resolver: GuardedResolver = super().from_crawler(crawler, reactor)
        resolver.allowed = tuple(crawler.settings.getlist("KIEMCHUNG_ALLOWED_ADDRESSES"))
        return resolver

    def getHostByName(self, name: str, timeout: Sequence[int] = ()) -> Deferred[str]:
        """Resolve ``name``; a non-public address is a failed look-up."""

        def check(found: str) -> str:
            if found not in self.allowed and not is_public(ipaddress.ip_address(found)):
                raise DNSLookupError(f"unsafe_address: {name} resolves to {found}")
            return found

        return super().getHostByName(name, timeout).addCallback(check)
