"""What every page shares: the templates, who asks and what they may, and the answers around a page.

Routes live in modules of their own, each with ``add_routes(shell)``. An endpoint says in its
signature who may call it: `Asking` is anybody who has signed in, `Reviewing`, `Adjudicating` and
`Administering` are for what writes and refuse a POST that another site could have sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, cast
from urllib.parse import urlencode

import jinja2
from fastapi import Depends, FastAPI, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response

from dashboards import keymap, language, words
from dashboards.security import SESSION_COOKIE, VISIT_COOKIE, Tokens, foreign_origin
from kiemchung.domain import Decision, Distortion
from kiemchung.errors import InputError
from kiemchung.reference.exceptions import charter_decides, exceptions
from kiemchung.store import Account, Store
from kiemchung.store.accounts import ROLES
from kiemchung.store.preferences import preference

PAGE_LENGTH: Final = 50
"""Rows on one page of a list."""


class NotSignedInError(Exception):
    """The request has no living session."""


class MustChangeError(Exception):
    """The one-time password has to be changed before anything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who asks, with the session token that the forms are bound to."""

    account: Account
    session: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The list that an item was opened from."""

    view: str
    week: str | None

    @property
    def query(self) -> str:
        """Return the part of an address that leads back here."""
        facts = {"view": self.view} | ({"week": self.week} if self.week else {})
        return urlencode(facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An entry of the navigation, shown to accounts of ``role`` and above."""

    path: str
    key: str  # of the catalogue
    role: str = "reader"


def templates() -> jinja2.Environment:
    """Return the environment of the pages: everything is escaped, a missing name is an error."""
    folder = resources.files("dashboards") / "templates"
    sources = {e.name: e.read_text(encoding="utf-8") for e in folder.iterdir()}
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({n: s for n, s in sources.items() if n.endswith(".html")}),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(words=words, Decision=Decision, Distortion=Distortion)
    environment.globals.update(t=language.say, language=language.current)
    environment.globals.update(languages=language.LANGUAGES)
    environment.globals.update(exceptions=exceptions, charter_decides=charter_decides)
    environment.filters.update(
        day=words.day, moment=words.moment, share=words.share, link=words.link, host=words.host
    )
    return environment


def reaches(account: Account, role: str) -> bool:
    """Whether ``account`` may do what ``role`` may; the roles stand in order, reader to admin."""
    return ROLES.index(account.role) >= ROLES.index(role)


@dataclass(frozen=True, kw_only=True)
class Shell:
    """One application over one open store."""

    app: FastAPI
    store: Store
    tokens: Tokens
    inbox: Path | None = None
    outlet_names: Mapping[str, str] = field(default_factory=dict)
    secure_cookies: bool = False
    links: list[Link] = field(default_factory=list)
    pages: jinja2.Environment = field(default_factory=templates)
    keymaps: dict[int, keymap.Keymap] = field(default_factory=dict)
    """Of the accounts that were here since the start; the store has the word."""

    def __post_init__(self) -> None:
        """Let the dependencies find the shell, and the pages its names."""
        self.app.state.shell = self
        self.pages.globals["outlet"] = self.outlet
        self.pages.globals["links_for"] = self.links_for

    def outlet(self, key: str) -> str:
        """Return the name to show for an outlet."""
        return self.outlet_names.get(key, key)

    def links_for(self, account: Account) -> list[Link]:
        """Return the navigation of ``account``."""
        return [link for link in self.links if reaches(account, link.role)]

    def keymap_of(self, account: Account) -> keymap.Keymap:
        """Return the keys of ``account``: its own, where it has chosen any that can be read."""
        if account.key not in self.keymaps:
            kept = preference(self.store, account, "keys")
            try:
                held = keymap.read(kept) if isinstance(kept, dict) else keymap.STANDARD
            except InputError:  # kept by another version, with other actions
                held = keymap.STANDARD
            self.keymaps[account.key] = held
        return self.keymaps[account.key]

    # -- answers ---------------------------------------------------------------------------------

    def page(self, name: str, status: int = 200, **facts: object) -> HTMLResponse:
        """Return a page; ``visitor`` and ``csrf`` are among ``facts`` where it has any."""
        return HTMLResponse(self.pages.get_template(name).render(**facts), status_code=status)

    def page_for(self, who: Visitor, name: str, status: int = 200, **facts: object) -> HTMLResponse:
        """Return a page for somebody, with the token that its forms carry."""
        csrf = self.tokens.csrf(who.session)
        keys = self.keymap_of(who.account)
        return self.page(name, status, visitor=who, csrf=csrf, keys=keys, **facts)

    def message(self, status: int, text: str) -> HTMLResponse:
        """Return a page that says one thing."""
        return self.page(
            "message.html", status, title=language.say("app.name"), text=text, visitor=None
        )

    def cookie(
        self, request: Request, answer: Response, name: str, value: str, seconds: int | None = None
    ) -> None:
        """Set a cookie that scripts and other sites cannot use, for the visit or for a time."""
        answer.set_cookie(
            name, value, httponly=True, samesite="strict", path="/", max_age=seconds,
            secure=self.secure_cookies or request.url.scheme == "https",
        )  # fmt: skip

    def sign_in(self, request: Request, answer: Response, account: Account) -> None:
        """Begin a session and give its cookie to the browser."""
        token = self.store.open_session(account)
        self.cookie(request, answer, SESSION_COOKIE, self.tokens.sign(token))

    def forget(self, answer: Response, name: str) -> None:
        """Take a cookie back."""
        answer.delete_cookie(name, path="/", httponly=True, samesite="strict")

    # -- who asks --------------------------------------------------------------------------------

    def session_of(self, request: Request) -> str:
        """Return the session token of the request, empty for none or a forged one."""
        return self.tokens.unsign(request.cookies.get(SESSION_COOKIE, ""))

    def somebody(self, request: Request) -> Visitor:
        """Return who asks, also before the one-time password was changed.

        Raises:
            NotSignedInError: nobody known.
        """
        session = self.session_of(request)
        account = self.store.session_account(session) if session else None
        if account is None:
            raise NotSignedInError
        return Visitor(account=account, session=session)


# What looks at the request is a coroutine: a plain function is handed to another thread first, and
# a form with seven of them waits seven times for one. Sessions are kept in memory; one that is not
# costs the loop two questions by key, once.


def shell_of(request: Request) -> Shell:
    """Return the shell of the application that was asked."""
    return cast("Shell", request.app.state.shell)


async def somebody(request: Request) -> Visitor:
    """Whoever has signed in, even with a one-time password."""
    return shell_of(request).somebody(request)


async def visitor(request: Request) -> Visitor:
    """Whoever has signed in and chosen a password."""
    found = await somebody(request)
    if found.account.must_change:
        raise MustChangeError
    return found


async def guarded(request: Request, csrf: Annotated[str, Form()] = "") -> None:
    """Refuse a POST that another site could have sent, before anything else is looked at."""
    shell = shell_of(request)
    given = csrf or request.headers.get("x-csrf-token", "")
    # The sign-in form is bound to the visit, every other one to the session.
    visit = request.cookies.get(VISIT_COOKIE, "")
    session = shell.session_of(request)
    at_the_door = request.url.path == "/login" or (request.url.path == "/language" and not session)
    bound = visit if at_the_door else session
    if foreign_origin(request) or not shell.tokens.right_csrf(bound, given):
        raise HTTPException(403, language.say("refused.form"))


def reading_as(role: str) -> Callable[..., Awaitable[Visitor]]:
    """Return a dependency for a page (a GET) that asks for ``role`` or more."""

    async def check(found: Annotated[Visitor, Depends(visitor)]) -> Visitor:
        if not reaches(found.account, role):
            raise HTTPException(403, language.say(f"refused.{role}"))
        return found

    return check


def writing_as(role: str) -> Callable[..., Awaitable[Visitor]]:
    """Return a dependency for a form (a POST) that asks for ``role`` or more."""

    async def check(
        _: Annotated[None, Depends(guarded)], found: Annotated[Visitor, Depends(visitor)]
    ) -> Visitor:
        if not reaches(found.account, role):
            raise HTTPException(403, language.say(f"refused.{role}"))
        return found

    return check


async def place(
    view: Annotated[str, Query(max_length=10)] = "queue",
    week: Annotated[str, Query(max_length=8)] = "",
) -> Place:
    """The list named in the address."""
    return Place(view=view if view in words.VIEWS else "queue", week=week or None)


async def posted_place(
    view: Annotated[str, Form(max_length=10)] = "queue",
    week: Annotated[str, Form(max_length=8)] = "",
) -> Place:
    """The list named in the form."""
    return await place(view, week)


Asking = Annotated[Visitor, Depends(visitor)]
ReadingAdjudicator = Annotated[Visitor, Depends(reading_as("adjudicator"))]
ReadingAdmin = Annotated[Visitor, Depends(reading_as("admin"))]
Writing = Annotated[Visitor, Depends(writing_as("reader"))]
Reviewing = Annotated[Visitor, Depends(writing_as("reviewer"))]
Adjudicating = Annotated[Visitor, Depends(writing_as("adjudicator"))]
Administering = Annotated[Visitor, Depends(writing_as("admin"))]
AskedPlace = Annotated[Place, Depends(place)]
PostedPlace = Annotated[Place, Depends(posted_place)]
