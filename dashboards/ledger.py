"""The corrections ledger at the desk, and the editor's draft of a decided item."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, HTTPException
from fastapi.responses import RedirectResponse, Response

from dashboards import words
from dashboards.draft import draft
from dashboards.language import say
from dashboards.shell import Adjudicating, Asking, Link, Reviewing, Shell, Visitor, reaches
from kiemchung.errors import InputError
from kiemchung.store.corrections import (
    MAX_PUBLIC_NOTE,
    MAX_REQUEST,
    Outcome,
    add,
    corrections,
    resolve,
)
from kiemchung.store.decided import decided, publishable


def draft_of(shell: Shell, mention_key: int) -> str | None:
    """Return the draft about the claim of a mention, None where there is nothing to publish."""
    one = decided(shell.store, mention_key=mention_key)
    if not one:
        return None
    every = [d for d in decided(shell.store) if d.claim_id == one[0].claim_id]
    for published in publishable(every).found:
        if any(p.mention_key == mention_key for p in published.places):
            return draft(published, outlet_names=shell.outlet_names)
    return None


def add_routes(shell: Shell) -> None:
    """Add /corrections and /item/{key}/draft."""
    app, store = shell.app, shell.store
    shell.links.append(Link(path="/corrections", key="nav.corrections"))

    def ledger(who: Visitor, *, problem: str = "", about: int | None = None) -> Response:
        found = corrections(store)
        return shell.page_for(
            who,
            "corrections.html",
            422 if problem else 200,
            problem=problem,
            about=about,
            waiting=[c for c in found if c.outcome is None],
            answered=[c for c in found if c.outcome is not None][:200],
            may_answer=reaches(who.account, "adjudicator"),
            outcomes=words.OUTCOMES,
            most_request=MAX_REQUEST,
            most_note=MAX_PUBLIC_NOTE,
        )

    @app.get("/corrections")
    def listed(who: Asking, item: int | None = None) -> Response:
        return ledger(who, about=item if item is not None and 0 < item < 2**62 else None)

    @app.post("/corrections")
    def ask(
        who: Reviewing,
        item: Annotated[int, Form(ge=1, lt=2**62)],
        request: Annotated[str, Form(max_length=2 * MAX_REQUEST)] = "",
    ) -> Response:
        try:
            add(store, who.account, item, request)
        except InputError as error:
            return ledger(who, problem=say("corrections.refused", why=error.message))
        return RedirectResponse("/corrections", 303)

    @app.post("/corrections/{key}/resolve")
    def answer(
        key: int,
        who: Adjudicating,
        outcome: Annotated[Outcome, Form()],
        note: Annotated[str, Form(max_length=2 * MAX_PUBLIC_NOTE)] = "",
    ) -> Response:
        if not 0 < key < 2**62:
            raise HTTPException(404)
        try:
            resolve(store, who.account, key, outcome, note)
        except InputError as error:
            return ledger(who, problem=say("corrections.refused", why=error.message))
        return RedirectResponse("/corrections", 303)

    @app.get("/item/{mention_key}/draft")
    def draft_page(mention_key: int, who: Asking) -> Response:
        if not 0 < mention_key < 2**62 or store.item(mention_key) is None:
            raise HTTPException(404)
        text = draft_of(shell, mention_key)
        return shell.page_for(who, "draft.html", mention_key=mention_key, text=text)

    @app.get("/item/{mention_key}/draft.txt")
    def draft_file(mention_key: int, who: Asking) -> Response:
        text = draft_of(shell, mention_key) if 0 < mention_key < 2**62 else None
        if text is None:
            raise HTTPException(404)
        name = f'attachment; filename="kiemchung-draft-{mention_key}.txt"'
        return Response(
            text,
            media_type="text/plain; charset=utf-8",
            headers={"Content-Disposition": name},
        )
