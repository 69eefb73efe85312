"""Failed sign-ins counted by address, beside the lock on each account.

The lock on an account stops guessing at one name; this stops one machine from trying many. An
office shares an address, so the limit is higher, and only failures count.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import deque
from typing import Final

MAX_FAILURES: Final = 40
WINDOW_SECONDS: Final = 15 * 60.0
MAX_ADDRESSES: Final = 10_000
"""Kept in memory; beyond it the oldest are forgotten."""


class Throttle:
    """Counts failures of the last quarter of an hour by address."""

    def __init__(self, *, most: int = MAX_FAILURES, seconds: float = WINDOW_SECONDS) -> None:
        self._most = most
        self._seconds = seconds
        self._guard = threading.Lock()
        self._failures: dict[str, deque[float]] = {}

    def blocked(self, address: str, *, now: float | None = None) -> bool:
        """Whether this address has failed too often to be heard now."""
        moment = time.monotonic() if now is None else now
        with self._guard:
            held = self._failures.get(group(address))
            if held is None:
                return False
            while held and held[0] <= moment - self._seconds:
                held.popleft()
            return len(held) >= self._most

    def failed(self, address: str, *, now: float | None = None) -> None:
        """Count a failure."""
        moment = time.monotonic() if now is None else now
        key = group(address)
        with self._guard:
            held = self._failures.pop(key, None) or deque(maxlen=self._most)
            held.append(moment)
            self._failures[key] = held  # now the youngest
            while len(self._failures) > MAX_ADDRESSES:
                self._failures.pop(next(iter(self._failures)))


def group(address: str) -> str:
    """Return what is counted together: an IPv4 address, or the /64 that one line is given."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
