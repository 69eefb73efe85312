"""Saved filters: which part of the queue somebody wants to read.

A filter asks about the claim and where it stands, never about what the machine thinks of it: the
blind sample passes it exactly as a flag does, so that its place keeps telling nothing.
"""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from kiemchung.errors import InputError
from kiemchung.priority import Novelty
from kiemchung.store.base import OpenFile
from kiemchung.store.order import Flags, Order
from kiemchung.store.rows import Account, Slot

MAX_FILTERS: Final = 30
MAX_NAME: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What an entry must be like; empty fields ask for nothing."""

    outlet: str = ""
    novelty: Novelty | None = None
    stories: int = 1  # at least so many
    words: str = ""  # that stand in the claim, whatever their case
    reopened: bool = False  # only claims that wait again

    @property
    def reads(self) -> bool:
        """Whether it asks for the claim's words or its outlet, which an order does not hold."""
        return bool(self.outlet or self.words)

    def lets_through_of(self, order: Order) -> Flags:
        """Return the same of every entry of an order; none of them waits again."""
        chosen: Flags = order.stories >= self.stories
        if self.novelty is not None:
            chosen &= order.with_novelty(self.novelty)
        return chosen & (not self.reopened)

    def lets_through(self, slot: Slot) -> bool:
        """Whether the filter lets an entry through, as far as its words do not matter."""
        return (
            self.novelty in (None, slot.novelty)
            and slot.stories >= self.stories
            and (not self.reopened or slot.reopened != "")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedFilter:
    """A filter under the name that its owner gave it."""

    key: int
    name: str
    filter: Filter
    in_use: bool


def _parsed(content: str) -> Filter:
    facts: dict[str, Any] = json.loads(content)
    novelty = facts.pop("novelty", None)
    return Filter(novelty=None if novelty is None else Novelty(novelty), **facts)


class Filters:
    """Everybody's filters; the one in use is kept in memory, because every list asks for it."""

    def __init__(self, store: OpenFile) -> None:
        self._store = store
        self._guard = threading.Lock()
        self._in_use: dict[int, Filter | None] = {}

    def saved(self, account: Account) -> list[SavedFilter]:
        """Return the filters that ``account`` keeps, by name."""
        rows = self._store._read(
            "SELECT * FROM saved_filter WHERE account_key = ? ORDER BY name", [account.key]
        )
        return [
            SavedFilter(
                key=r["filter_key"],
                name=r["name"],
                filter=_parsed(r["content"]),
                in_use=r["in_use"],
            )
            for r in rows
        ]

    def in_use(self, account: Account) -> Filter | None:
        """Return the filter that ``account`` reads through, None for the whole queue."""
        with self._guard:
            if account.key in self._in_use:
                return self._in_use[account.key]
        found = next((s.filter for s in self.saved(account) if s.in_use), None)
        with self._guard:
            self._in_use[account.key] = found
        return found

    def save(self, account: Account, name: str, wanted: Filter) -> None:
        """Keep a filter and use it; one of the same name is replaced.

        Raises:
            InputError: no name, or too many filters.
        """
        called = name.strip()[:MAX_NAME]
        if not called:
            raise InputError("a filter needs a name")
        with self._store._writing() as cursor:
            cursor.execute(
                "DELETE FROM saved_filter WHERE account_key = ? AND name = ?",
                [account.key, called],
            )
            (held,) = cursor.execute(
                "SELECT count(*) FROM saved_filter WHERE account_key = ?", [account.key]
            ).fetchone() or (0,)
            if held >= MAX_FILTERS:
                raise InputError("too many filters", remedy="remove one first")
            cursor.execute(
                "UPDATE saved_filter SET in_use = false WHERE account_key = ?", [account.key]
            )
            cursor.execute(
                "INSERT INTO saved_filter SELECT coalesce(max(filter_key), 0) + 1, ?, ?, ?, true,"
                " ? FROM saved_filter",
                [
                    account.key, called, json.dumps(asdict(wanted), ensure_ascii=False),
                    datetime.now(UTC),
                ],
            )  # fmt: skip
        self._forget(account)

    def use(self, account: Account, filter_key: int | None) -> None:
        """Read through one's own filter, or through none; an unknown key is none."""
        with self._store._writing() as cursor:
            cursor.execute(
                "UPDATE saved_filter SET in_use = (filter_key = coalesce(?, -1))"
                " WHERE account_key = ?",
                [filter_key, account.key],
            )
        self._forget(account)

    def remove(self, account: Account, filter_key: int) -> None:
        """Remove one's own filter; somebody else's stays."""
        with self._store._writing() as cursor:
            cursor.execute(
                "DELETE FROM saved_filter WHERE filter_key = ? AND account_key = ?",
                [filter_key, account.key],
            )
        self._forget(account)

    def _forget(self, account: Account) -> None:
        with self._guard:
            self._in_use.pop(account.key, None)
