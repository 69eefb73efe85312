"""What machines ask: /health, /ready and /metrics, without an account and telling as little.

/health says that the process answers, /ready which named checks pass. /metrics is closed unless the
operator opens it, to this machine or to who knows a token; closed, it looks like no page at all.
"""

from __future__ import annotations

import hmac
import ipaddress
from typing import Final

from fastapi import HTTPException, Request
from fastapi.responses import JSONResponse, Response

from dashboards.metrics import CONTENT_TYPE, Metrics
from dashboards.operation import Operation
from dashboards.ready import Readiness
from dashboards.shell import Shell

_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


def from_this_machine(request: Request) -> bool:
    """Whether a program on this machine asks for itself, and no proxy for somebody else."""
    if any(name in request.headers for name in _FORWARDED) or request.client is None:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def may_read_metrics(request: Request, operation: Operation) -> bool:
    """Whether this request may read the metrics."""
    if operation.metrics == "loopback":
        return from_this_machine(request)
    if operation.metrics != "token" or not operation.metrics_token:
        return False
    given = request.headers.get("authorization", "")
    wanted = f"Bearer {operation.metrics_token}"
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode("utf-8"))


def add_routes(shell: Shell, operation: Operation, ready: Readiness, metrics: Metrics) -> None:
    """Add /health, /ready and /metrics."""
    app = shell.app

    @app.get("/health")
    async def health() -> Response:
        # No thread and no store: it answers as long as the process can.
        return JSONResponse({"status": "ok"})

    @app.get("/ready")
    def readiness() -> Response:
        checks = ready.checks()
        well = all(checks.values())
        facts = {"status": "ok" if well else "failing", "checks": checks}
        return JSONResponse(facts, status_code=200 if well else 503)

    @app.get("/metrics")
    def exposition(request: Request) -> Response:
        if not may_read_metrics(request, operation):
            raise HTTPException(404)
        return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE})
