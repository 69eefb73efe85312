"""The time box and the saved filters: what an hour brings, and which part of the queue to read."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Form, Query
from fastapi.responses import RedirectResponse, Response

from dashboards.shell import Asking, Link, Shell, Writing
from kiemchung.priority import Novelty
from kiemchung.store import search
from kiemchung.store.filters import Filter
from kiemchung.store.outlook import outlook

MINUTES: Final = (15, 30, 60, 120, 240)


def add_routes(shell: Shell) -> None:
    """Add /plan and /filters."""
    app, store = shell.app, shell.store
    shell.links.append(Link(path="/plan", key="nav.plan"))

    @app.get("/plan")
    def plan(who: Asking, minutes: Annotated[float, Query(ge=1, le=1440)] = 60) -> Response:
        saved = store.filters.saved(who.account)
        return shell.page_for(
            who,
            "plan.html",
            minutes=minutes,
            choices=MINUTES,
            outlook=outlook(store, who.account, minutes),
            filters=saved,
            outlets=search.outlets(store),
            novelties=list(Novelty),
        )

    @app.post("/filters")
    def save(
        who: Writing,
        name: Annotated[str, Form(min_length=1, max_length=60)],
        outlet: Annotated[str, Form(max_length=100)] = "",
        novelty: Annotated[str, Form(max_length=20)] = "",
        stories: Annotated[int, Form(ge=1, le=1000)] = 1,
        words: Annotated[str, Form(max_length=200)] = "",
        reopened: Annotated[bool, Form()] = False,
    ) -> Response:
        wanted = Filter(
            outlet=outlet,
            novelty=Novelty(novelty) if novelty in list(Novelty) else None,
            stories=stories,
            words=words.strip(),
            reopened=reopened,
        )
        store.filters.save(who.account, name, wanted)
        return RedirectResponse("/queue", 303)

    @app.post("/filters/use")
    def use(
        who: Writing,
        filter: Annotated[int, Form(ge=0, lt=2**62)] = 0,
    ) -> Response:
        store.filters.use(who.account, filter or None)
        return RedirectResponse("/queue", 303)

    @app.post("/filters/remove")
    def remove(who: Writing, filter: Annotated[int, Form(ge=1, lt=2**62)]) -> Response:
        store.filters.remove(who.account, filter)
        return RedirectResponse("/plan", 303)
