"""The lists: what is put before a reviewer, and where it stands.

The order is kept between conclusions, not worked out at each: it changes when a run is merged or a
decided claim is opened again, and is then built beside the old one and swapped in. What people
concluded is kept too, and read again for the mentions that a conclusion touches only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar, overload

import duckdb
import numpy as np
import numpy.typing as npt

from kiemchung.domain import Decision
from kiemchung.store.acts import Acts
from kiemchung.store.details import left_over
from kiemchung.store.order import Flags, Order, read_order
from kiemchung.store.rows import QueueEntry, Slot
from kiemchung.store.standing import Standing, standings

T = TypeVar("T")
Words = Callable[[Sequence[Slot]], list[QueueEntry]]
"""Reads the words of entries."""
VIEWS: Final = ("queue", "flagged", "all", "decided")
_STRETCH: Final = 500


class QueueCache:
    """The lists, kept until the rows they were made of change.

    Most entries are untouched: those go into a list as the arrays say, thousands in a fraction of a
    millisecond, and only those that somebody concluded, skipped or has open are looked at.
    """

    def __init__(self, acts: Acts, words: Words) -> None:
        self._acts = acts
        self._words = words
        self._guard = threading.Lock()  # over the swap and the standings, never over a query
        self._building = threading.Lock()
        self._reading = threading.Lock()  # what people concluded is read by one thread at a time
        self._held: Order | None = None
        self._standings: dict[int, Standing] | None = None
        self._left: set[int] = set()  # copies that wait beside decided ones
        self._touched: set[int] = set()  # numbers of the entries with a standing
        self._closed: set[int] = set()  # of these the ones that wait for nobody

    def rebuild(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Build the order anew and swap it in; the old one is served meanwhile."""
        with self._building:
            order = read_order(cursor)
            with self._guard:
                self._held = order
                self._number(None)

    def _number(self, mention_keys: Iterable[int] | None) -> None:
        """Note again which entries somebody touched, of these mentions or of all; under the guard.

        A mention that changes may close or open its own entry only.
        """
        order, standings = self._held, self._standings
        if order is None or standings is None:
            return
        if mention_keys is None:
            self._touched, self._closed = set(), set()
            keys: Iterable[int] = standings
        else:
            keys = mention_keys
        for number in order.numbers_of(keys):
            mentions = order.mentions(number)
            known = [s for k in mentions if (s := standings.get(k)) is not None]
            closed = any(s.decision is not None for s in known) and self._left.isdisjoint(mentions)
            (self._touched.add if known else self._touched.discard)(number)
            (self._closed.add if closed else self._closed.discard)(number)

    def refresh(self, cursor: duckdb.DuckDBPyConnection, mention_keys: Iterable[int]) -> None:
        """Somebody concluded or undid something about these mentions."""
        with self._reading:
            self._refresh(cursor, sorted(set(mention_keys)))

    def _refresh(self, cursor: duckdb.DuckDBPyConnection, keys: Sequence[int]) -> None:
        with self._guard:
            order = self._held
        near = set(keys)
        if order is not None:
            for number in order.numbers_of(keys):
                near.update(order.mentions(number))
        touched = self._acts.reviewed(near)
        found = standings(cursor, touched)
        decided = {k for k, s in found.items() if s.decision is not None}
        left = left_over(cursor, set(touched) - decided, found)
        with self._guard:
            if self._standings is not None:
                for key in near:
                    self._standings.pop(key, None)
                self._standings.update(found)
                self._left = self._left - near | left
                self._number(near)

    def _load(self, cursor: duckdb.DuckDBPyConnection) -> None:
        if self._held is None:
            self.rebuild(cursor)
        if self._standings is None:
            with self._reading:
                if self._standings is None:
                    everything = standings(cursor, None)
                    left = left_over(cursor, None)
                    with self._guard:
                        self._standings, self._left = everything, left
                        self._number(None)

    def entries(
        self,
        cursor: duckdb.DuckDBPyConnection,
        *,
        account_key: int,
        view: str,
        week: str | None,
        taken: frozenset[str] = frozenset(),
    ) -> Listing:
        """Return one list for one account; what others have open waits only outside ``queue``."""
        self._load(cursor)
        with self._guard:  # the numbers are those of this order, another may be swapped in
            order = self._held
            assert order is not None
            known = self._standings or {}
            left = frozenset(self._left)
            touched = np.fromiter(self._touched, dtype=np.int64, count=len(self._touched))
            closed = np.fromiter(self._closed, dtype=np.int64, count=len(self._closed))
        size = len(order)
        inside = np.ones(size, dtype=np.bool_)
        if week is not None:
            inside = order.weeks.get(week, np.zeros(size, dtype=np.bool_)).copy()
        if view == "flagged":
            inside &= order.flagged
        special = np.zeros(size, dtype=np.bool_)
        special[touched] = True
        plain = inside & ~special
        special &= inside
        if view == "queue":
            plain &= order.asked
            special[closed] = False
            for claim in taken:
                theirs = order.of_claim(hash(claim))
                plain[theirs] = special[theirs] = False
        elif view == "decided":
            plain[:] = False
        numbers = np.flatnonzero(plain)
        parts: list[Slot] = []
        behind: list[int] = []  # the entry of the order from which each part was made
        for number in np.flatnonzero(special).tolist():
            made = _touched(order.slot(number), known, left, account_key=account_key, view=view)
            parts += made
            behind += [number] * len(made)
        both = _strewn(numbers, np.array(behind, dtype=np.int64))
        return Listing(order, *both, parts, self._words)


def _strewn(
    numbers: npt.NDArray[np.int64], behind: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Put the parts among the plain entries: their numbers in order, and which part stands where.

    -1 says that the entry stands there as it is.
    """
    at = np.searchsorted(numbers, behind)
    return (
        np.insert(numbers, at, behind),
        np.insert(np.full(len(numbers), -1), at, np.arange(len(behind))),
    )


class Listing(Sequence[QueueEntry]):
    """One list for one account: thousands of entries, of which a page shows fifty.

    An entry's words are read when it is asked for, many at once for a stretch.
    """

    def __init__(
        self,
        order: Order,
        numbers: npt.NDArray[np.int64],
        part: npt.NDArray[np.int64],
        parts: list[Slot],
        words: Words,
    ) -> None:
        self._order = order
        self._numbers = numbers  # ascending
        self._part = part
        self._parts = parts
        self._words = words

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self._numbers)

    @overload
    def __getitem__(self, wanted: int) -> QueueEntry: ...
    @overload
    def __getitem__(self, wanted: slice) -> list[QueueEntry]: ...
    def __getitem__(self, wanted: int | slice) -> QueueEntry | list[QueueEntry]:
        """Return an entry, or a list of some, with the words."""
        if isinstance(wanted, slice):
            return self._words([self.slot(n) for n in range(*wanted.indices(len(self)))])
        (entry,) = self._words([self.slot(wanted)])
        return entry

    def __iter__(self) -> Iterator[QueueEntry]:
        """Yield every entry with its words, read in stretches."""
        for start in range(0, len(self), _STRETCH):
            yield from self[start : start + _STRETCH]

    def __eq__(self, other: object) -> bool:
        """Whether another sequence holds the same entries."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def slot(self, wanted: int) -> Slot:
        """Return what is known of an entry without reading anything.

        Raises:
            IndexError: there are not so many.
        """
        part = int(self._part[wanted])
        return self._order.slot(int(self._numbers[wanted])) if part < 0 else self._parts[part]

    def slots(self) -> Iterator[Slot]:
        """Yield what is known of every entry without reading anything."""
        return (self.slot(n) for n in range(len(self)))

    def number_of(self, mention_key: int) -> int | None:
        """Return at which place a mention's entry stands, None when it is not in the list."""
        number = self._order.number_of(mention_key)
        if number is None:
            return None
        first, last = np.searchsorted(self._numbers, [number, number + 1])
        places = range(int(first), int(last))
        return next((n for n in places if mention_key in self.slot(n).mention_keys), None)

    def mentions(self) -> list[int]:
        """Return the mentions of the whole order, those of other lists too."""
        found: list[int] = self._order.members.tolist()
        return found

    def once(self, key: Hashable, load: Callable[[], T]) -> T:
        """Return what ``load`` answers, asked once for as long as the order stands."""
        return self._order.kept.get(key, load)

    def chances(self, rate: float) -> list[float]:
        """Return how likely each entry is refuted: ``rate`` for those of the blind sample."""
        order = self._order
        every = np.where(order.sampled, rate, np.nan_to_num(order.p_refuted))[self._numbers]
        for n in np.flatnonzero(self._part >= 0).tolist():
            slot = self.slot(n)
            every[n] = rate if slot.sampled else slot.p_refuted or 0.0
        found: list[float] = every.tolist()
        return found

    def only(
        self,
        untouched: Callable[[Order], Flags],
        touched: Callable[[Slot], bool],
        *,
        once_as: Hashable,
    ) -> Listing:
        """Return the list of the entries that are let through.

        ``untouched`` says it of all entries of an order at once and is asked once an order, under
        the key ``once_as``; ``touched`` of one that is not as the order has it.
        """
        order = self._order
        chosen = self.once(("only", once_as), lambda: untouched(order))[self._numbers]
        for n in np.flatnonzero(self._part >= 0).tolist():
            chosen[n] = touched(self.slot(n))
        return Listing(order, self._numbers[chosen], self._part[chosen], self._parts, self._words)


def _touched(
    entry: Slot,
    standings: Mapping[int, Standing],
    left: frozenset[int],
    *,
    account_key: int,
    view: str,
) -> list[Slot]:
    """Return what a list shows of an entry that somebody touched: nothing, it, a part, or both."""
    known = [s for k in entry.mention_keys if (s := standings.get(k)) is not None]
    decision = next((s.decision for s in known if s.decision is not None), None)
    reopened = next((s.reopened for s in known if s.reopened), "")
    found = []
    if decision is not None and view != "decided" and not left.isdisjoint(entry.mention_keys):
        waiting = tuple(k for k in entry.mention_keys if k in left)
        part = replace(entry, mention_key=waiting[0], mention_keys=waiting)
        theirs = [s for k in waiting if (s := standings.get(k)) is not None]
        if view != "queue" or _waits(part, theirs, None, account_key):
            found.append(part)
    if view == "decided" and decision is None:
        return found
    if view == "queue" and (
        not (entry.flagged or entry.sampled or reopened)
        or not _waits(entry, known, decision, account_key)
    ):
        return found
    # Both reviewers of a planned double review conclude the same mention.
    begun = (k for k in entry.mention_keys if (s := standings.get(k)) is not None and s.deciders)
    pinned = next(begun, entry.mention_key)
    return [*found, replace(entry, mention_key=pinned, decision=decision, reopened=reopened)]


def _waits(
    entry: Slot, known: Sequence[Standing], decision: Decision | None, account_key: int
) -> bool:
    """Whether an entry still waits for a conclusion of this account."""
    deciders = {a for s in known for a in s.deciders}
    if decision is not None or any(s.disputed for s in known) or account_key in deciders:
        return False
    if any(account_key in s.skipped for s in known):
        return False
    return len(deciders) < (2 if entry.doubled else 1)
