"""The review desk as one application: the parts are put together here.

Sync endpoints in the thread pool, one worker, because this process owns the store. Every page works
without scripts; htmx swaps the desk after a conclusion, `keys.js` presses the buttons.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Final

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

from dashboards import (
    admin,
    desk,
    files,
    keys,
    ledger,
    lists,
    mistakes,
    people,
    plan,
    probes,
    recheck,
    search,
    signin,
    views,
)
from dashboards.language import LanguageOfRequest
from dashboards.merger import InboxMerger, Merged
from dashboards.metrics import Metrics
from dashboards.operation import Operation
from dashboards.ready import Readiness
from dashboards.requests import RequestLog
from dashboards.security import SecurityHeaders, Tokens
from dashboards.shell import Shell
from kiemchung import reference
from kiemchung.store import Store

THREADS: Final = 8
"""Requests worked on at once. Each takes milliseconds, and each thread keeps memory of its own."""


def create_app(
    store: Store,
    *,
    secret: bytes,
    inbox: Path | None = None,
    outlet_names: Mapping[str, str] | None = None,
    allowed_hosts: Sequence[str] = ("*",),
    merge_seconds: float = 3.0,
    reference_dir: Path | None = None,
    merged: Merged | None = None,
    operation: Operation | None = None,
) -> FastAPI:
    """Return the application over an open store.

    ``outlet_names`` gives the names to show for outlets; without one the outlet's own key is shown.
    ``reference_dir`` is the base that conclusions are held against, the shipped one without it.
    ``merged`` is called after the inbox was merged, with the ids of the runs.
    ``operation`` says how the desk is run; without it nothing is opened beyond the pages.

    Raises:
        InputError: the secret is too short.
    """
    tokens = Tokens(secret)
    run_as = operation or Operation()

    @cache
    def base() -> reference.ReferenceBase:
        return reference.load(reference_dir)

    def then() -> None:
        recheck.recheck_when_new(store, base())

    metrics = Metrics(store, inbox=inbox, ready=lambda: ready.checks())
    merger = (
        None
        if inbox is None
        else InboxMerger(store, inbox, merge_seconds, then=then, merged=merged, meter=metrics)
    )
    ready = Readiness(store, merger, model_dir=run_as.model_dir, reference_dir=reference_dir)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = THREADS
        if merger is not None:
            merger.start()
        yield
        if merger is not None:
            merger.stop()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=life)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts))
    app.add_middleware(LanguageOfRequest)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestLog, observe=metrics.request)  # added last, so it stands outermost

    shell = Shell(
        app=app,
        store=store,
        tokens=tokens,
        inbox=inbox,
        outlet_names=dict(outlet_names or {}),
        secure_cookies=run_as.secure_cookies,
    )
    mistakes.add_handlers(shell)
    signin.add_routes(shell)
    lists.add_routes(shell)
    desk.add_routes(shell)
    search.add_routes(shell)
    keys.add_routes(shell)
    people.add_routes(shell)
    plan.add_routes(shell)
    admin.add_routes(shell)
    recheck.add_routes(shell, base)
    views.add_routes(shell)
    ledger.add_routes(shell)
    files.add_routes(shell)
    probes.add_routes(shell, run_as, ready, metrics)
    return app
