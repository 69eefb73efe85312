"""The reading lists, and what somebody has concluded."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import RedirectResponse, Response

from dashboards import words
from dashboards.shell import PAGE_LENGTH, AskedPlace, Asking, Link, Place, Shell, Visitor
from kiemchung.store import Listing, reopening


def entries(shell: Shell, who: Visitor, where: Place) -> Listing:
    """Return the list at ``where`` as it stands for ``who``."""
    return shell.store.queue(who.account, view=where.view, week=where.week)


def add_routes(shell: Shell) -> None:
    """Add /queue and /mine."""
    app, store = shell.app, shell.store
    shell.links.append(Link(path="/queue", key="nav.queue"))
    shell.links.append(Link(path="/mine", key="nav.mine"))

    @app.get("/")
    def start() -> Response:
        return RedirectResponse("/queue", 303)

    @app.get("/queue")
    def queue(
        who: Asking, where: AskedPlace, part: Annotated[int, Query(ge=1, le=1000)] = 1
    ) -> Response:
        found = entries(shell, who, where)
        views = [
            (name, text, len(entries(shell, who, Place(view=name, week=where.week))))
            for name, text in words.VIEWS.items()
        ]
        first = (part - 1) * PAGE_LENGTH
        return shell.page_for(
            who,
            "queue.html",
            place=where,
            views=views,
            weeks=store.weeks(),
            entries=found[first : first + PAGE_LENGTH],
            first=first,
            total=len(found),
            part=part,
            filtered=where.view == "queue" and store.filters.in_use(who.account) is not None,
            more=len(found) > first + PAGE_LENGTH,
        )

    @app.get("/mine")
    def mine(who: Asking) -> Response:
        reviews = store.standing_reviews(who.account)
        return shell.page_for(
            who,
            "mine.html",
            place=Place(view="decided", week=None),
            reviews=reviews,
            marks=reopening.marks(store, [r.review.review_id for r in reviews]),
        )
