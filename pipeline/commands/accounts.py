"""The accounts of the review desk."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pipeline.commands.common import GROUP, AsJson, Data, emit, existing_store, say, settings_for

app = typer.Typer(help="The accounts of the review desk: add, passwd.", **GROUP)


@app.command("add")
def user_add(
    name: Annotated[str, typer.Argument(help="Account name.")],
    role: Annotated[str, typer.Option(help="reader, reviewer, adjudicator or admin.")] = "reviewer",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Add an account and print its one-time password."""
    from kiemchung.store import open_store
    from pipeline.weekly import store_path

    with open_store(store_path(settings_for(data))) as store:
        password = store.add_user(name, role=role)
    shown = {"user": name, "one_time_password": password}
    emit(shown, as_json=as_json, lines=[f"{name}: one-time password {password}"])
    if not as_json and not sys.stdout.isatty():
        say(f"{name}: one-time password {password}")


@app.command("passwd")
def user_passwd(
    name: Annotated[str, typer.Argument(help="Account name.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Give an account a new one-time password."""
    with existing_store(data) as store:
        password = store.reset_password(name)
    shown = {"user": name, "one_time_password": password}
    emit(shown, as_json=as_json, lines=[f"{name}: one-time password {password}"])
    if not as_json and not sys.stdout.isatty():
        say(f"{name}: one-time password {password}")
