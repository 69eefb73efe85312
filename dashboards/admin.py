"""Accounts and the audit trail, for administrators."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Annotated, Final

from fastapi import Form, Query
from fastapi.responses import RedirectResponse, Response

from dashboards import language, words
from dashboards.shell import Administering, Link, ReadingAdmin, Shell, Visitor
from kiemchung.errors import InputError
from kiemchung.store.accounts import ROLES

ACTIONS: Final = {
    action.replace(" ", "_").replace("-", "_"): action
    for action in (
        "signed in", "sign-in refused", "password changed", "account added", "password reset",
        "role changed", "account deactivated", "account activated", "sessions ended",
        "base rechecked", "concluded", "skipped", "undone", "adjudicated", "withdrawn",
        "evidence_replaced", "article forgotten",
    )
}  # fmt: skip
"""What the trail can hold, by its key in the catalogue, in the order of the filter."""
PAGE: Final = 100

Name = Annotated[str, Form(max_length=60)]


def add_routes(shell: Shell) -> None:
    """Add /admin/users and /admin/audit."""
    app, store = shell.app, shell.store
    shell.links.append(Link(path="/admin/users", key="nav.users", role="admin"))
    shell.links.append(Link(path="/admin/audit", key="nav.audit", role="admin"))

    def users(
        who: Visitor, *, once: tuple[str, str] | None = None, problem: str = "", status: int = 200
    ) -> Response:
        return shell.page_for(
            who, "users.html", status, users=store.users(), roles=ROLES, once=once, problem=problem
        )

    def done(who: Visitor, error: InputError | None) -> Response:
        if error is None:
            return RedirectResponse("/admin/users", 303)
        return users(who, problem=_words(error), status=422)

    @app.get("/admin/users")
    def list_users(who: ReadingAdmin) -> Response:
        return users(who)

    @app.post("/admin/users/add")
    def add(
        who: Administering, name: Name, role: Annotated[str, Form(max_length=20)] = "reviewer"
    ) -> Response:
        try:
            password = store.add_user(name.strip().lower(), role=role, by=who.account)
        except InputError as error:
            return users(who, problem=_words(error), status=422)
        # Shown in this answer only: a redirect would have to keep it somewhere.
        return users(who, once=(name.strip().lower(), password))

    @app.post("/admin/users/password")
    def password(who: Administering, name: Name) -> Response:
        try:
            given = store.reset_password(name, by=who.account)
        except InputError as error:
            return users(who, problem=_words(error), status=422)
        return users(who, once=(name, given))

    @app.post("/admin/users/role")
    def role(who: Administering, name: Name, role: Annotated[str, Form(max_length=20)]) -> Response:
        try:
            store.set_role(name, role, by=who.account)
        except InputError as error:
            return done(who, error)
        return done(who, None)

    @app.post("/admin/users/active")
    def active(who: Administering, name: Name, active: Annotated[bool, Form()]) -> Response:
        try:
            store.set_active(name, active, by=who.account)
        except InputError as error:
            return done(who, error)
        return done(who, None)

    @app.post("/admin/users/sessions")
    def sessions(who: Administering, name: Name) -> Response:
        try:
            store.end_sessions(name, by=who.account)
        except InputError as error:
            return done(who, error)
        return done(who, None)

    @app.get("/admin/audit")
    def audit(
        who: ReadingAdmin,
        name: Annotated[str, Query(max_length=60)] = "",
        action: Annotated[str, Query(max_length=40)] = "",
        since: Annotated[str, Query(max_length=10)] = "",
        until: Annotated[str, Query(max_length=10)] = "",
        part: Annotated[int, Query(ge=1, le=10_000)] = 1,
    ) -> Response:
        first, last = _day(since), _day(until)
        rows = store.audit_trail(
            who.account,
            who=name or None,
            action=ACTIONS.get(action),
            since=_midnight(first),
            until=_midnight(None if last is None else last + timedelta(days=1)),
            most=PAGE + 1,
            skip=(part - 1) * PAGE,
        )
        chosen = {"name": name, "action": action, "since": first or "", "until": last or ""}
        return shell.page_for(
            who,
            "audit.html",
            rows=rows[:PAGE],
            more=len(rows) > PAGE,
            part=part,
            chosen=chosen,
            actions=list(ACTIONS),
            key_of={action: key for key, action in ACTIONS.items()},
            names=[u.name for u in store.users()],
            roles=ROLES,
        )


def _words(error: InputError) -> str:
    """Say what was refused; the store's own words are for the command line."""
    known = {
        "exists": "taken",
        "no account name": "bad_name",
        "last administrator": "last_admin",
        "no role": "bad_role",
    }
    found = next((key for part, key in known.items() if part in error.message), "unknown")
    return language.say(f"users.{found}")


def _day(given: str) -> date | None:
    try:
        return date.fromisoformat(given)
    except ValueError:
        return None


def _midnight(day: date | None) -> datetime | None:
    """Return the first moment of a day in Viet Nam."""
    if day is None or not date(2000, 1, 1) <= day <= date(2200, 1, 1):
        return None
    return datetime.combine(day, time(), words.VIETNAM)
