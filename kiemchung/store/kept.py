"""Answers of the database kept in memory while nothing changes them.

One process owns the file, so whoever writes here knows what it made stale.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class Kept:
    """The answers asked for last; several threads may ask at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._guard = threading.Lock()
        self._answers: OrderedDict[Hashable, Any] = OrderedDict()
        self._changes = 0

    def forget(self) -> None:
        """Something has changed: what is read from now on is new. To be called after the commit."""
        with self._guard:
            self._changes += 1
            self._answers.clear()

    def get(self, key: Hashable, load: Callable[[], T]) -> T:
        """Return the kept answer, else load and keep it.

        An answer that was being read while something changed is handed out and not kept.
        """
        with self._guard:
            if key in self._answers:
                self._answers.move_to_end(key)
                found: T = self._answers[key]
                return found
            changes = self._changes
        made = load()
        with self._guard:
            if changes == self._changes:
                self._put(key, made)
        return made

    def grow_old(self) -> list[Hashable]:
        """Something has changed; return what is stale now, asked for last first.

        It is handed out until `renew` or `drop`; what is loaded from now on is new and is kept.
        """
        with self._guard:
            self._changes += 1
            return list(reversed(self._answers))

    def answers(self) -> dict[Hashable, Any]:
        """Return all that is kept, the latest last."""
        with self._guard:
            return dict(self._answers)

    def renew(self, answers: Mapping[Hashable, object]) -> None:
        """Keep these answers, read after a change, at once."""
        with self._guard:
            for key, answer in answers.items():
                self._put(key, answer)

    def drop(self, keys: Iterable[Hashable]) -> None:
        """Let these go."""
        with self._guard:
            for key in keys:
                self._answers.pop(key, None)

    def put(self, key: Hashable, answer: object) -> None:
        """Keep an answer that the caller has just made true."""
        with self._guard:
            self._put(key, answer)

    def peek(self, key: Hashable) -> object | None:
        """Return the kept answer, None when there is none."""
        with self._guard:
            return self._answers.get(key)

    def _put(self, key: Hashable, answer: object) -> None:
        self._answers[key] = answer
        self._answers.move_to_end(key)
        while len(self._answers) > self._most:
            self._answers.popitem(last=False)
