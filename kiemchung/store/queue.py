"""The reading order: what is put before a reviewer, and where it stands.

The order is kept between conclusions, not worked out at each: it changes when a run is merged or a
decided claim is opened again, and is then built beside the old one and swapped in. What people
concluded is kept too, and read again for the mentions that a conclusion touches only.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, TypeVar, overload

import duckdb
import numpy as np
import numpy.typing as npt

from kiemchung.domain import Decision, Distortion, digest
from kiemchung.priority import (
    HARM,
    HARM_UNKNOWN,
    NOVELTY,
    SAME_EPISODE_DAYS,
    SILENCE_DAYS,
    Novelty,
    novelty_of,
)
from kiemchung.store.acts import Acts
from kiemchung.store.details import left_over
from kiemchung.store.kept import Kept
from kiemchung.store.rows import QueueEntry, Slot
from kiemchung.store.standing import Standing, standings

T = TypeVar("T")
Words = Callable[[Sequence[Slot]], list[QueueEntry]]
"""Reads the words of entries."""
VIEWS: Final = ("queue", "flagged", "all", "decided")
MAX_REST: Final = 5000
"""How many claims that are neither flagged nor drawn for the sample stand in the list of all,
those nearest to a flag first. What waits for a person is never cut, and search finds every one."""

_KEPT: Final = 40  # two for each filter in use
_STRETCH: Final = 500
_PORTION: Final = 2048  # rows turned into entries at once
_HARM: Final = " ".join(f"WHEN '{kind}' THEN {weight}" for kind, weight in HARM.items())

# The product of `kiemchung.priority.urgency`, for all flags at once; a test holds both together.
_URGENCY: Final = f"""
coalesce(e.p_refuted, 0) * coalesce(h.harm, {HARM_UNKNOWN})
* (1 + log2(greatest(c.stories, 1)) / 4)
* CASE
    WHEN c.latest IS NULL OR c.before IS NULL THEN {NOVELTY[Novelty.NEW]}
    WHEN date_diff('day', c.before, c.latest) >= {SILENCE_DAYS} THEN {NOVELTY[Novelty.RETURNED]}
    ELSE {NOVELTY[Novelty.RECURRING]}
END
"""

_ENTRIES: Final = f"""
WITH drawn AS (SELECT DISTINCT mention_key FROM selection WHERE reason = 'sample'),
back AS (SELECT DISTINCT mention_key FROM reopening),
-- The mentions that matter first: what follows is about their claims only, not about all.
asked AS MATERIALIZED (
    SELECT mention_key FROM judgement WHERE flagged
    UNION SELECT mention_key FROM drawn
    UNION SELECT mention_key FROM back
    UNION (
        SELECT mention_key FROM judgement WHERE NOT flagged
        ORDER BY p_refuted DESC NULLS LAST, mention_key LIMIT 2 * ?
    )
),
near AS MATERIALIZED (
    SELECT mention_key, claim_id, article_key, mention_id FROM mention
    WHERE claim_id IN (SELECT claim_id FROM mention SEMI JOIN asked USING (mention_key))
),
now AS MATERIALIZED (
    SELECT mention_key, max(run_key) AS run_key, arg_max(judgement_key, run_key) AS judgement_key
    FROM run_judgement SEMI JOIN near USING (mention_key) GROUP BY mention_key
),
judged AS (
    SELECT
        m.mention_key, m.claim_id, j.evidence_sha256, j.flagged, j.p_refuted, r.week,
        s.mention_key IS NOT NULL AND NOT j.flagged AS sampled,
        o.mention_key IS NOT NULL AS touched
    FROM now AS c
    JOIN judgement AS j ON j.judgement_key = c.judgement_key
    JOIN run AS r ON r.run_key = c.run_key
    JOIN near AS m ON m.mention_key = c.mention_key
    LEFT JOIN drawn AS s ON s.mention_key = m.mention_key
    LEFT JOIN back AS o ON o.mention_key = m.mention_key
),
entry AS MATERIALIZED (
    SELECT
        claim_id, evidence_sha256, flagged,
        arg_min(mention_key, (NOT sampled, -coalesce(p_refuted, -1), mention_key)) AS mention_key,
        list(mention_key) AS mention_keys,
        list(DISTINCT week) AS weeks,
        bool_or(sampled) AS sampled,
        bool_or(touched) AS touched,
        max(p_refuted) AS p_refuted
    FROM judged
    GROUP BY claim_id, evidence_sha256, flagged
),
candidate AS MATERIALIZED (
    SELECT * FROM entry WHERE flagged OR sampled OR touched
    UNION ALL
    (
        SELECT * FROM entry WHERE NOT (flagged OR sampled OR touched)
        ORDER BY p_refuted DESC NULLS LAST, mention_key LIMIT ?
    )
),
met AS MATERIALIZED (
    SELECT m.claim_id, a.story_id, CAST(a.published_at AS DATE) AS day
    FROM near AS m
    SEMI JOIN run_mention USING (mention_key)
    JOIN article AS a ON a.article_key = m.article_key
),
newest AS (
    SELECT claim_id, count(DISTINCT story_id) AS stories, max(day) AS latest
    FROM met GROUP BY claim_id
),
claim AS (
    SELECT n.claim_id, n.stories, n.latest, max(met.day) AS before
    FROM newest AS n
    LEFT JOIN met ON met.claim_id = n.claim_id AND met.day < n.latest - {SAME_EPISODE_DAYS}
    GROUP BY ALL
),
difference AS (
    SELECT c.mention_key, list(DISTINCT d.kind) AS kinds,
        max(CASE d.kind {_HARM} END) AS harm
    FROM now AS c
    JOIN judgement_difference AS d ON d.judgement_key = c.judgement_key
    GROUP BY c.mention_key
),
ranked AS (
    SELECT
        e.*, c.stories, c.latest, c.before, coalesce(h.kinds, []) AS kinds,
        {_URGENCY} AS urgency
    FROM candidate AS e
    JOIN claim AS c ON c.claim_id = e.claim_id
    LEFT JOIN difference AS h ON h.mention_key = e.mention_key
)
SELECT
    e.mention_key, list_sort(e.mention_keys) AS mention_keys, list_sort(e.weeks) AS weeks,
    e.claim_id, e.flagged, e.sampled, e.p_refuted, e.stories, e.latest, e.before,
    list_sort(e.kinds) AS kinds,
    EXISTS (SELECT 1 FROM double_review AS d WHERE d.claim_id = e.claim_id) AS doubled,
    m.mention_id
FROM ranked AS e
JOIN near AS m ON m.mention_key = e.mention_key
ORDER BY
    e.flagged DESC, e.sampled DESC, e.touched DESC,
    (CASE WHEN e.flagged THEN e.urgency ELSE e.p_refuted END) DESC NULLS LAST, e.mention_key
"""


def strew(flags: Sequence[T], sample: Sequence[tuple[str, T]]) -> list[T]:
    """Return the flags in their order with the sample among them at places drawn by hash.

    ``sample`` pairs a stable id with an entry. The strongest flag stays first.
    """
    places: list[tuple[int, int, int, T]] = [
        (2 * number, 0, number, entry) for number, entry in enumerate(flags)
    ]
    for number, (stable_id, entry) in enumerate(sample):
        draw = int(digest("place in the queue", stable_id)[:8], 16)
        behind = draw * max(len(flags), 1) >> 32  # of which flag
        places.append((2 * behind + 1, draw, number, entry))
    return [entry for _, _, _, entry in sorted(places, key=lambda p: p[:3])]


@dataclass(frozen=True, slots=True)
class _Order:
    """The entries as a merge left them, with what the lists ask of each as arrays beside them."""

    slots: Sequence[Slot]
    place: Mapping[int, int]  # mention key -> number
    claims: Mapping[int, tuple[int, ...]]  # hash of the claim -> numbers
    flagged: npt.NDArray[np.bool_]
    asked: npt.NDArray[np.bool_]  # flagged, or drawn for the sample
    weeks: Mapping[str, npt.NDArray[np.bool_]]
    kept: Kept  # what was worked out of it


def _order(mixed: list[Slot]) -> _Order:
    claims: dict[int, tuple[int, ...]] = {}
    weeks: dict[str, npt.NDArray[np.bool_]] = {}
    for number, slot in enumerate(mixed):
        claims[slot.claim] = (*claims.get(slot.claim, ()), number)
        for week in slot.weeks:
            weeks.setdefault(week, np.zeros(len(mixed), dtype=np.bool_))[number] = True
    return _Order(
        slots=mixed,
        place={key: n for n, slot in enumerate(mixed) for key in slot.mention_keys},
        claims=claims,
        flagged=np.array([s.flagged for s in mixed], dtype=np.bool_),
        asked=np.array([s.flagged or s.sampled for s in mixed], dtype=np.bool_),
        weeks=weeks,
        kept=Kept(_KEPT),
    )


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
        self._held: _Order | None = None
        self._standings: dict[int, Standing] | None = None
        self._left: set[int] = set()  # copies that wait beside decided ones
        self._touched: set[int] = set()  # numbers of the entries with a standing
        self._closed: set[int] = set()  # of these the ones that wait for nobody

    def rebuild(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Build the order anew and swap it in; the old one is served meanwhile."""
        with self._building:
            reader = cursor.execute(_ENTRIES, [MAX_REST, MAX_REST]).to_arrow_reader(_PORTION)
            pairs = [
                (str(row["mention_id"]), _slot(row))
                for portion in reader
                for row in portion.to_pylist()
            ]
            flags = [e for _, e in pairs if e.flagged]
            sample = [(i, e) for i, e in pairs if e.sampled and not e.flagged]
            rest = [e for _, e in pairs if not e.flagged and not e.sampled]
            order = _order(strew(flags, sample) + rest)
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
        for number in {order.place[k] for k in keys if k in order.place}:
            entry = order.slots[number]
            known = [s for k in entry.mention_keys if (s := standings.get(k)) is not None]
            closed = any(s.decision is not None for s in known) and self._left.isdisjoint(
                entry.mention_keys
            )
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
            for key in keys:
                if key in order.place:
                    near.update(order.slots[order.place[key]].mention_keys)
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
        size = len(order.slots)
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
                theirs = list(order.claims.get(hash(claim), ()))
                plain[theirs] = special[theirs] = False
        elif view == "decided":
            plain[:] = False
        numbers = np.flatnonzero(plain)
        parts: list[Slot] = []
        behind: list[int] = []  # the entry of the order from which each part was made
        for number in np.flatnonzero(special).tolist():
            made = _touched(order.slots[number], known, left, account_key=account_key, view=view)
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
        order: _Order,
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
        return self._order.slots[self._numbers[wanted]] if part < 0 else self._parts[part]

    def slots(self) -> Iterator[Slot]:
        """Yield what is known of every entry without reading anything."""
        return (self.slot(n) for n in range(len(self)))

    def number_of(self, mention_key: int) -> int | None:
        """Return at which place a mention's entry stands, None when it is not in the list."""
        number = self._order.place.get(mention_key)
        if number is None:
            return None
        first, last = np.searchsorted(self._numbers, [number, number + 1])
        places = range(int(first), int(last))
        return next((n for n in places if mention_key in self.slot(n).mention_keys), None)

    def mentions(self) -> list[int]:
        """Return the mentions of the whole order, those of other lists too."""
        return list(self._order.place)

    def once(self, key: Hashable, load: Callable[[], T]) -> T:
        """Return what ``load`` answers, asked once for as long as the order stands."""
        return self._order.kept.get(key, load)

    def only(self, wanted: Callable[[Slot], bool], *, once_as: Hashable | None = None) -> Listing:
        """Return the list of the entries that ``wanted`` lets through.

        With ``once_as`` its answers about untouched entries are kept under that key.
        """

        def answers() -> npt.NDArray[np.bool_]:
            slots = self._order.slots
            return np.fromiter((wanted(s) for s in slots), dtype=np.bool_, count=len(slots))

        every = answers() if once_as is None else self.once(("only", once_as), answers)
        chosen = every[self._numbers]
        for n in np.flatnonzero(self._part >= 0).tolist():
            chosen[n] = wanted(self.slot(n))
        return Listing(
            self._order, self._numbers[chosen], self._part[chosen], self._parts, self._words
        )


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


@lru_cache(maxsize=4096)
def _shared(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return one tuple for all that are alike: few weeks and kinds stand in very many entries."""
    return tuple(sys.intern(v) for v in values)


@lru_cache(maxsize=4096)
def _kinds(values: tuple[str, ...]) -> tuple[Distortion, ...]:
    return tuple(Distortion(v) for v in values)


def _slot(row: dict[str, Any]) -> Slot:
    return Slot(
        mention_key=row["mention_key"],
        mention_keys=tuple(row["mention_keys"]),
        claim=hash(row["claim_id"]),
        weeks=_shared(tuple(row["weeks"])),
        flagged=row["flagged"],
        sampled=row["sampled"],
        p_refuted=row["p_refuted"],
        stories=row["stories"],
        novelty=novelty_of(row["latest"], row["before"]),
        kinds=_kinds(tuple(row["kinds"])),
        doubled=row["doubled"],
    )
