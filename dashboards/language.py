"""The words on screen, by language: Vietnamese by default, English by switch.

A catalogue is the folder ``catalogue/<language>`` of TOML files, one for each group of pages; a
text is asked for by its table and name, ``desk.undo``. Both languages hold the same keys with the
same ``{places}``: a test compares them. The language of a request is a context variable, so that
nothing has to be handed down to the pages.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from enum import StrEnum
from functools import cache
from http.cookies import CookieError, SimpleCookie
from importlib import resources
from typing import Any, Final, TypeVar

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

LANGUAGES: Final[dict[str, str]] = {"vi": "Tiếng Việt", "en": "English"}
"""Each under the name that its readers give it."""
DEFAULT: Final = "vi"
COOKIE: Final = "kiemchung_language"
_current: ContextVar[str] = ContextVar("language", default=DEFAULT)

K = TypeVar("K", bound=StrEnum)


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Return every text of a language by its key.

    Raises:
        ValueError: two files hold the same key, or a value is no text.
    """
    texts: dict[str, str] = {}
    folder = resources.files("dashboards") / "catalogue" / language
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if not entry.name.endswith(".toml"):
            continue
        for key, text in _flat(tomllib.loads(entry.read_text(encoding="utf-8"))):
            if key in texts or not isinstance(text, str):
                raise ValueError(f"catalogue/{language}/{entry.name}: {key} twice, or no text")
            texts[key] = text
    return texts


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, object]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def current() -> str:
    """Return the language of this request."""
    return _current.get()


def use(language: str) -> None:
    """Speak ``language`` from here on, in this context; an unknown one is the default."""
    _current.set(language if language in LANGUAGES else DEFAULT)


def say(key: str, /, **facts: object) -> str:
    """Return a text in the language of this request, with ``facts`` put into its places.

    Raises:
        KeyError: there is no such text; the tests ask for every one that the pages name.
    """
    text = catalogue(_current.get())[key]
    return text.format(**facts) if facts else text


class Words(Mapping[K, str]):
    """The texts of an enumeration, in an order; ``Words("decision", Decision)``."""

    def __init__(self, group: str, keys: Sequence[K] | type[K]) -> None:
        self._group = group
        self._keys = tuple(keys)

    def __getitem__(self, key: K) -> str:
        """Return the text of ``key`` in the language of this request."""
        if key not in self._keys:
            raise KeyError(key)
        return say(f"{self._group}.{key}")

    def __iter__(self) -> Iterator[K]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


class LanguageOfRequest:
    """Reads the language from its cookie before anything is answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http":
            try:
                cookie = SimpleCookie(Headers(scope=scope).get("cookie", "")).get(COOKIE)
            except CookieError:
                cookie = None
            use(DEFAULT if cookie is None else cookie.value)
        await self.app(scope, receive, send)
