"""Signing in and out, and the choice of a password."""

from __future__ import annotations

import secrets
from typing import Annotated, Final

from fastapi import Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from dashboards import language
from dashboards.language import say
from dashboards.security import SESSION_COOKIE, VISIT_COOKIE, local_path
from dashboards.shell import NotSignedInError, Shell, Visitor, guarded, somebody
from dashboards.throttle import Throttle
from kiemchung.store.accounts import MIN_PASSWORD

_YEAR: Final = 365 * 24 * 3600


def add_routes(shell: Shell) -> None:
    """Add /login, /logout and /password."""
    app, store, tokens = shell.app, shell.store, shell.tokens
    throttle = Throttle()

    def login_page(request: Request, next_: str, *, wrong: bool, status: int = 200) -> Response:
        visit = request.cookies.get(VISIT_COOKIE) or secrets.token_urlsafe(24)
        answer = shell.page(
            "login.html", status, csrf=tokens.csrf(visit), next=next_, wrong=wrong, visitor=None
        )
        shell.cookie(request, answer, VISIT_COOKIE, visit)
        shell.forget(answer, SESSION_COOKIE)
        return answer

    @app.get("/login")
    def login_form(
        request: Request, next: Annotated[str, Query(max_length=200)] = "/queue"
    ) -> Response:
        try:
            shell.somebody(request)
        except NotSignedInError:
            return login_page(request, local_path(next), wrong=False)
        return RedirectResponse("/queue", 303)

    @app.post("/login", dependencies=[Depends(guarded)])
    def login(
        request: Request,
        name: Annotated[str, Form(max_length=100)] = "",
        password: Annotated[str, Form(max_length=1000)] = "",
        next: Annotated[str, Form(max_length=200)] = "/queue",
    ) -> Response:
        address = "" if request.client is None else request.client.host
        if throttle.blocked(address):
            return shell.message(429, say("people.throttled"))
        account = store.authenticate(name.strip().lower(), password)
        if account is None:
            throttle.failed(address)
            return login_page(request, local_path(next), wrong=True, status=401)
        old = shell.session_of(request)
        if old:
            store.close_session(old)
        answer = RedirectResponse(local_path(next), 303)
        shell.sign_in(request, answer, account)
        shell.forget(answer, VISIT_COOKIE)
        return answer

    @app.post("/logout", dependencies=[Depends(guarded)])
    def logout(request: Request) -> Response:
        session = shell.session_of(request)
        if session:
            account = store.session_account(session)
            if account is not None:
                store.leases.release(account.key)
            store.close_session(session)
        answer = RedirectResponse("/login", 303)
        shell.forget(answer, SESSION_COOKIE)
        return answer

    @app.post("/language", dependencies=[Depends(guarded)])
    def choose_language(
        request: Request,
        wanted: Annotated[str, Form(max_length=5, alias="language")],
        back: Annotated[str, Form(max_length=200)] = "/queue",
    ) -> Response:
        answer = RedirectResponse(local_path(back), 303)
        known = wanted if wanted in language.LANGUAGES else language.DEFAULT
        shell.cookie(request, answer, language.COOKIE, known, seconds=_YEAR)
        return answer

    def password_page(who: Visitor, refused: str, status: int = 200) -> Response:
        text = say(f"password.{refused}", minimum=MIN_PASSWORD) if refused else ""
        return shell.page_for(who, "password.html", status, refused=text, minimum=MIN_PASSWORD)

    @app.get("/password")
    def password_form(who: Annotated[Visitor, Depends(somebody)]) -> Response:
        return password_page(who, "")

    @app.post("/password", dependencies=[Depends(guarded)])
    def password(
        request: Request,
        who: Annotated[Visitor, Depends(somebody)],
        old: Annotated[str, Form(max_length=1000)] = "",
        new: Annotated[str, Form(max_length=1000)] = "",
        again: Annotated[str, Form(max_length=1000)] = "",
    ) -> Response:
        if new != again:
            return password_page(who, "repeat", 422)
        wrong = store.change_password(who.account, old=old, new=new)
        if wrong:
            return password_page(who, wrong, 422)
        answer = RedirectResponse("/queue", 303)
        # Every old session has ended, this one too: whoever took it over is out.
        shell.sign_in(request, answer, who.account)
        return answer
