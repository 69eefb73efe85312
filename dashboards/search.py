"""Search over all claims, whatever their list."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import Query, Request
from fastapi.responses import Response

from dashboards.shell import Asking, Link, Shell
from kiemchung.domain import Decision
from kiemchung.store import search

HITS: Final = 25
"""Hits of one page: each older one costs the reading of another part of the store."""


def add_routes(shell: Shell) -> None:
    """Add /search."""
    app, store = shell.app, shell.store
    shell.links.append(Link(path="/search", key="nav.search"))

    @app.get("/search")
    def find(
        request: Request,
        who: Asking,
        q: Annotated[str, Query(max_length=search.MAX_QUERY)] = "",
        outlet: Annotated[str, Query(max_length=100)] = "",
        week: Annotated[str, Query(max_length=8)] = "",
        decision: Annotated[str, Query(max_length=20)] = "",
        before: Annotated[int | None, Query(ge=1, lt=2**62)] = None,
    ) -> Response:
        known = decision if decision in (*Decision.__members__, search.WAITING) else ""
        facts = {"q": q.strip(), "outlet": outlet, "week": week, "decision": known}
        asked = any(facts.values())
        query = search.Query(
            text=q, outlet=outlet, week=week, decision=known, before=before
        )  # fmt: skip
        hits = search.search(store, query, limit=HITS + 1) if asked else []
        shown = hits[:HITS]
        older = ""
        if len(hits) > HITS:
            kept = {name: value for name, value in facts.items() if value}
            older = urlencode(kept | {"before": str(shown[-1].mention_key)})
        partial = request.headers.get("hx-request-type") == "partial"
        return shell.page_for(
            who,
            "hits.html" if partial else "search.html",
            asked=asked,
            facts=facts,
            hits=shown,
            older=older,
            later=before is not None,
            outlets=() if partial else search.outlets(store),
            weeks=() if partial else store.weeks(),
            waiting=search.WAITING,
        )
