"""The accounts of the review desk."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pipeline.commands.common import (
    GROUP,
    AsJson,
    Data,
    emit,
    existing_store,
    say,
    settings_for,
    store_to_read,
)

app = typer.Typer(
    help="The accounts of the review desk: add, passwd, role, list and more.", **GROUP
)


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


@app.command("list")
def user_list(data: Data = None, as_json: AsJson = False) -> None:
    """List the accounts with role and state."""
    from dataclasses import asdict

    with store_to_read(data) as store:
        users = store.users()
    lines = [
        f"{u.name:20} {u.role:12} {'active' if u.active else 'inactive':9}"
        f" {u.sessions} sessions{' (locked)' if u.locked else ''}"
        for u in users
    ]
    emit([asdict(u) for u in users], as_json=as_json, lines=lines or ["no account yet"])


@app.command("role")
def user_role(
    name: Annotated[str, typer.Argument(help="Account name.")],
    role: Annotated[str, typer.Argument(help="reader, reviewer, adjudicator or admin.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Give an account another role; its sessions end, and the last admin stays one."""
    with existing_store(data) as store:
        store.set_role(name, role)
    emit({"user": name, "role": role}, as_json=as_json, lines=[f"{name}: {role}"])


@app.command("deactivate")
def user_deactivate(
    name: Annotated[str, typer.Argument(help="Account name.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Close an account and end its sessions; what it concluded stays."""
    with existing_store(data) as store:
        store.set_active(name, False)
    emit({"user": name, "active": False}, as_json=as_json, lines=[f"{name}: deactivated"])


@app.command("activate")
def user_activate(
    name: Annotated[str, typer.Argument(help="Account name.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Open a closed account again."""
    with existing_store(data) as store:
        store.set_active(name, True)
    emit({"user": name, "active": True}, as_json=as_json, lines=[f"{name}: active"])
