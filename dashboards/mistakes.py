"""What is answered when something cannot be done: a page in plain words, never a trace."""

from __future__ import annotations

import logging
from urllib.parse import urlencode

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from dashboards.language import say
from dashboards.security import HEADERS, local_path
from dashboards.shell import MustChangeError, NotSignedInError, Shell
from kiemchung.errors import InputError, KiemchungError, LeaseError

LOG = logging.getLogger(__name__)


def add_handlers(shell: Shell) -> None:
    """Answer every exception."""
    app = shell.app

    @app.exception_handler(NotSignedInError)
    def not_signed_in(request: Request, _: Exception) -> Response:
        if request.headers.get("hx-request"):
            return Response(status_code=401, headers={"HX-Redirect": "/login"})
        path = request.url.path
        if request.method != "GET" or path == "/":
            return RedirectResponse("/login", 303)
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse("/login?" + urlencode({"next": local_path(path + query)}), 303)

    @app.exception_handler(MustChangeError)
    def must_change(request: Request, _: Exception) -> Response:
        return RedirectResponse("/password", 303)

    @app.exception_handler(StarletteHTTPException)
    def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, StarletteHTTPException)
        text = {404: say("refused.missing"), 405: say("refused.method")}
        return shell.message(error.status_code, text.get(error.status_code, str(error.detail)))

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: Exception) -> Response:
        return shell.message(422, say("refused.invalid"))

    @app.exception_handler(KiemchungError)
    def failed(_: Request, error: Exception) -> Response:
        if isinstance(error, LeaseError):
            return shell.message(409, say("people.taken_unsaved"))
        if isinstance(error, InputError):
            return shell.message(422, say("refused.unsaved"))
        LOG.error("the store failed: %s", error)
        return shell.message(503, say("refused.store"))

    @app.exception_handler(Exception)
    def unforeseen(_: Request, error: Exception) -> Response:
        answer = shell.message(500, say("refused.unforeseen"))
        for name, value in HEADERS.items():  # this answer is made outside every middleware
            answer.headers[name] = value
        answer.headers["Cache-Control"] = "no-store"
        return answer
