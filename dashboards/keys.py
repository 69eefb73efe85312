"""The page on which a person gives the keys of the desk other actions."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from dashboards import keymap
from dashboards.language import say
from dashboards.shell import Asking, Link, Shell, Visitor, Writing
from kiemchung.errors import InputError
from kiemchung.store.preferences import set_preference


async def posted(request: Request) -> FormData:
    """The fields of the form, whatever their names."""
    return await request.form()


Posted = Annotated[FormData, Depends(posted)]


def add_routes(shell: Shell) -> None:
    """Add /keys."""
    app, store = shell.app, shell.store
    shell.links.append(Link(path="/keys", key="nav.keys"))

    def keys_page(who: Visitor, texts: dict[str, str], problem: str, status: int = 200) -> Response:
        return shell.page_for(
            who, "keys.html", status, actions=keymap.DEFAULTS, texts=texts, problem=problem,
            named=keymap.NAMED,
        )  # fmt: skip

    @app.get("/keys")
    def keys_form(who: Asking) -> Response:
        held = shell.keymap_of(who.account)
        texts = {action: held.data(action) for action in keymap.DEFAULTS}
        return keys_page(who, texts, "")

    @app.post("/keys")
    def keys_save(who: Writing, fields: Posted) -> Response:
        sent = {name: str(value)[:60] for name, value in fields.items()}
        given = {action: sent[action] for action in keymap.DEFAULTS if action in sent}
        texts = {a: given.get(a, " ".join(keys)) for a, keys in keymap.DEFAULTS.items()}
        try:
            wanted = keymap.STANDARD if "standard" in sent else keymap.read(given)
        except keymap.KeyConflictError as error:
            return keys_page(who, texts, say(
                "keys.conflict", key=keymap.show(error.key),
                first=say(f"action.{error.first}"), second=say(f"action.{error.second}"),
            ), 422)  # fmt: skip
        except InputError as error:
            return keys_page(who, texts, say("keys.no_key", problem=str(error)), 422)
        set_preference(store, who.account, "keys", keymap.written(wanted))
        shell.keymaps[who.account.key] = wanted
        return RedirectResponse("/keys", 303)
