"""One line and one observation for every request: method, route, status, time.

No address of whoever asked, no query, no cookie and no account: who concluded what stands in the
store, who signed in in its audit trail, and nothing here needs to know. Addresses belong into the
log of the reverse proxy, with the retention that its operator answers for.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kiemchung import logs

LOG = logging.getLogger(__name__)
Observe = Callable[[str, str, int, float], None]
QUIET: Final = frozenset({"/health", "/ready", "/metrics", "/static/{name}"})
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestLog:
    """Watches what the application answers."""

    def __init__(self, app: ASGIApp, observe: Observe) -> None:
        self.app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            # The pattern, never the address: it is one of some forty, whatever was asked for.
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in METHODS else "other"
            seconds = time.perf_counter() - began
            self._observe(method, route, status, seconds)
            level = logging.INFO
            if status >= 500:
                level = logging.ERROR
            elif route in QUIET:
                level = logging.DEBUG
            logs.event(
                LOG, "request", level, method=method, route=route, status=status, seconds=seconds
            )
