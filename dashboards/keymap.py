"""Which keys do what at the desk; each person may have their own.

Named by the browser's ``KeyboardEvent.key``. Digits, arrows and signs are the defaults, since a
Telex or VNI input method leaves them alone outside a text field; letters stand beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kiemchung.errors import InputError

DEFAULTS: Final[Mapping[str, tuple[str, ...]]] = {
    "REFUTED": ("1",),
    "SUPPORTED": ("2",),
    "NOT_ENOUGH_INFO": ("3",),
    "CONFLICTING": ("4",),
    "UNCHECKABLE": ("5",),
    "SKIPPED": ("6",),
    "keep": ("Enter",),
    "kinds": ("7", "k"),
    "passages": ("8", "c"),
    "copies": ("9", "v"),
    "note": ("0", "m"),
    "correction": ("-", "s"),
    "find": ("+", "t"),
    "next": ("ArrowRight", "n"),
    "previous": ("ArrowLeft", "p"),
    "jump": ("g",),
    "search": ("/",),
    "undo": ("u",),
    "undo_this": ("x",),
    "history": ("h",),
}
"""Every action with its keys, in the order in which they are listed."""

NAMED: Final[Mapping[str, str]] = {
    "Enter": "Enter",
    "ArrowRight": "→",
    "ArrowLeft": "←",
    "ArrowUp": "↑",
    "ArrowDown": "↓",
    "Home": "Home",
    "End": "End",
    "PageUp": "PgUp",
    "PageDown": "PgDn",
    "Insert": "Ins",
    "Delete": "Del",
    "Backspace": "⌫",
} | {f"F{n}": f"F{n}" for n in range(2, 11)}
"""Keys with a name, as they are shown. Tab and Escape keep their meaning."""

MAX_KEYS: Final = 3
MARKS: Final = tuple("1234567890")
"""Within a list that was opened by key: the first ten boxes."""


class KeyConflictError(InputError):
    """One key was given to two actions."""

    def __init__(self, key: str, first: str, second: str) -> None:
        super().__init__(f"{key!r} for both {first} and {second}", remedy="give one another key")
        self.key, self.first, self.second = key, first, second


@dataclass(frozen=True, slots=True)
class Keymap:
    """The keys of one person."""

    keys: Mapping[str, tuple[str, ...]]

    def data(self, action: str) -> str:
        """Return the keys of ``action`` for the page's attribute."""
        return " ".join(self.keys[action])

    def shown(self, action: str) -> str:
        """Return the first key of ``action`` as it is written on it, nothing when it has none."""
        keys = self.keys[action]
        return show(keys[0]) if keys else ""


STANDARD: Final = Keymap(DEFAULTS)


def show(key: str) -> str:
    """Return how ``key`` is written on a keyboard."""
    return NAMED.get(key, key)


def read(wanted: Mapping[str, str]) -> Keymap:
    """Return the keymap that ``wanted`` describes: keys by action, with blanks between.

    An action that is not named keeps its default keys; one with an empty text has none.

    Raises:
        KeyConflictError: a key stands at two actions.
        InputError: no such action, no such key, or too many.
    """
    keys: dict[str, tuple[str, ...]] = {}
    taken: dict[str, str] = {}
    for action in wanted:
        if action not in DEFAULTS:
            raise InputError(f"no action {action!r}")
    for action, default in DEFAULTS.items():
        names = tuple(dict.fromkeys(wanted[action].split())) if action in wanted else default
        if len(names) > MAX_KEYS:
            raise InputError(f"{len(names)} keys for {action}", remedy=f"up to {MAX_KEYS}")
        for name in names:
            if name not in NAMED and not (len(name) == 1 and name.isprintable()):
                raise InputError(f"{name!r} is no key", remedy="press it in the field")
            if name.lower() != name and len(name) == 1:
                raise InputError(f"{name!r} needs Shift", remedy="use the small letter")
            if name in taken:
                raise KeyConflictError(name, taken[name], action)
            taken[name] = action
        keys[action] = names
    return Keymap(keys)


def written(keymap: Keymap) -> dict[str, str]:
    """Return what `read` takes, of the actions that differ from the defaults only."""
    return {
        action: " ".join(names)
        for action, names in keymap.keys.items()
        if names != DEFAULTS[action]
    }
