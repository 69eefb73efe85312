"""Headers on every answer, tokens that bind a form to its session, and who may ask.

Nothing is kept in the browser but a signed random token; the store can end its session.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import Final

from itsdangerous import BadSignature, Signer, URLSafeSerializer
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kiemchung.errors import InputError

SESSION_COOKIE: Final = "kiemchung"
VISIT_COOKIE: Final = "kiemchung_visit"
MIN_SECRET: Final = 32
FORM_SECONDS: Final = 12 * 3600

HEADERS: Final[dict[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';"
        " img-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none';"
        " base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": with it browsers send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class SecurityHeaders:
    """Sets the headers on whatever the application answers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, with_headers)


class Tokens:
    """Signs cookies and forms with one secret.

    Raises:
        InputError: the secret is too short to be one.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < MIN_SECRET or len(set(secret)) < 8:
            raise InputError(
                "the secret that signs sessions is too short or no secret",
                remedy=f"give at least {MIN_SECRET} random bytes",
            )
        self._secret = secret
        self._cookie = Signer(secret, salt=b"kiemchung.session", digest_method=hashlib.sha256)
        self._form = URLSafeSerializer(
            secret, salt=b"kiemchung.form", signer_kwargs={"digest_method": hashlib.sha256}
        )

    def sign(self, token: str) -> str:
        """Return the cookie for a session token."""
        return self._cookie.sign(token).decode("ascii")

    def unsign(self, cookie: str) -> str:
        """Return the session token of a cookie, empty for a forged one."""
        try:
            return self._cookie.unsign(cookie).decode("ascii")
        except (BadSignature, UnicodeError):
            return ""

    def csrf(self, bound_to: str) -> str:
        """Return the token that a form of this session, or this visitor, must carry."""
        return hmac.new(self._secret, f"csrf|{bound_to}".encode(), hashlib.sha256).hexdigest()

    def right_csrf(self, bound_to: str, given: str) -> bool:
        """Compare without telling by the time it takes."""
        return bool(bound_to) and hmac.compare_digest(
            self.csrf(bound_to).encode("ascii"), given.encode("utf-8", "replace")
        )

    def form(self, session: str, mention_key: int, stage: str) -> str:
        """Return a token that works once: for this session, item and stage."""
        facts = [
            hashlib.sha256(session.encode()).hexdigest()[:16],
            mention_key,
            stage,
            int(time.time()),
            secrets.token_hex(8),
        ]
        return str(self._form.dumps(facts))

    def read_form(self, token: str, session: str, mention_key: int, stage: str) -> float | None:
        """Return the seconds since the form was made, None when it is not of this place."""
        try:
            facts = self._form.loads(token)
            owner, key, at_stage, made, _ = facts
            age = time.time() - float(made)
        except (BadSignature, ValueError, TypeError):
            return None
        right = (
            owner == hashlib.sha256(session.encode()).hexdigest()[:16]
            and key == mention_key
            and at_stage == stage
            and -5 <= age <= FORM_SECONDS
        )
        return max(age, 0.0) if right else None


def foreign_origin(request: Request) -> bool:
    """Whether a browser says that another site sent this request."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = request.headers.get("origin")
    if origin is None:
        return False
    return origin != f"{request.url.scheme}://{request.headers.get('host', '')}"


def local_path(path: str) -> str:
    """Return ``path`` when it is one of ours to go on to after the sign-in, else the queue."""
    plain = path.startswith("/") and not path.startswith("//")
    safe = plain and all(32 < ord(c) < 127 and c not in "\\@" for c in path)
    head = path.split("?")[0]
    known = head in ("/queue", "/mine") or (
        head.startswith("/item/") and head.removeprefix("/item/").isdecimal()
    )
    return path if safe and known else "/queue"
