"""The reading order: what is put before a reviewer, and where it stands.

The order is kept between conclusions, not worked out at each: it changes when a run is merged or a
decided claim is opened again, and is then built beside the old one and swapped in. What people
concluded is kept too, and read again for the mentions that a conclusion touches only.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any, Final

import duckdb

from kiemchung.domain import Decision, Distortion, Label, digest
from kiemchung.priority import (
    HARM,
    HARM_UNKNOWN,
    NOVELTY,
    SAME_EPISODE_DAYS,
    SILENCE_DAYS,
    Novelty,
    novelty_of,
)
from kiemchung.store.details import left_over
from kiemchung.store.rows import QueueEntry

VIEWS: Final = ("queue", "flagged", "all", "decided")
MAX_ENTRIES: Final = 5000
"""Longer lists are cut: nobody reads on, and a page of the rest is found by its week."""

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
WITH judged AS (
    SELECT
        m.mention_key, m.claim_id, j.evidence_sha256, j.flagged, j.p_refuted, r.week,
        s.mention_key IS NOT NULL AND NOT j.flagged AS sampled,
        o.mention_key IS NOT NULL AS touched
    FROM current_judgement AS c
    JOIN judgement AS j ON j.judgement_key = c.judgement_key
    JOIN run AS r ON r.run_key = c.run_key
    JOIN mention AS m ON m.mention_key = c.mention_key
    LEFT JOIN (SELECT DISTINCT mention_key FROM selection WHERE reason = 'sample') AS s
        ON s.mention_key = m.mention_key
    LEFT JOIN (SELECT DISTINCT mention_key FROM reopening) AS o
        ON o.mention_key = m.mention_key
),
entry AS (
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
candidate AS (
    SELECT * FROM entry WHERE flagged OR sampled OR touched
    UNION ALL
    (
        SELECT * FROM entry WHERE NOT (flagged OR sampled OR touched)
        ORDER BY p_refuted DESC NULLS LAST, mention_key LIMIT ?
    )
),
met AS (
    SELECT m.claim_id, a.story_id, CAST(a.published_at AS DATE) AS day
    FROM mention AS m
    SEMI JOIN candidate USING (claim_id)
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
    FROM current_judgement AS c
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
    ORDER BY
        e.flagged DESC, e.sampled DESC, e.touched DESC,
        (CASE WHEN e.flagged THEN urgency ELSE e.p_refuted END) DESC NULLS LAST, e.mention_key
    LIMIT ?
)
SELECT
    e.mention_key, list_sort(e.mention_keys) AS mention_keys, list_sort(e.weeks) AS weeks,
    e.claim_id, e.flagged, e.sampled, e.p_refuted, e.stories, e.latest, e.before,
    list_sort(e.kinds) AS kinds, e.urgency,
    EXISTS (SELECT 1 FROM double_review AS d WHERE d.claim_id = e.claim_id) AS doubled,
    m.mention_id, m.text, m.as_of, a.outlet, a.title, a.published_at, j.label
FROM ranked AS e
JOIN mention AS m ON m.mention_key = e.mention_key
JOIN article AS a ON a.article_key = m.article_key
JOIN current_judgement AS c ON c.mention_key = e.mention_key
JOIN judgement AS j ON j.judgement_key = c.judgement_key
ORDER BY
    e.flagged DESC, e.sampled DESC, e.touched DESC,
    (CASE WHEN e.flagged THEN e.urgency ELSE e.p_refuted END) DESC NULLS LAST, e.mention_key
"""

_STANDINGS: Final = """
WITH counting AS (SELECT * FROM counting_review WHERE {where}),
now AS (SELECT mention_key, decision FROM current_review WHERE decision <> 'SKIPPED' AND {where}),
back AS (
    SELECT mention_key, arg_max(cause, reopening_key) AS cause
    FROM reopening WHERE {where} GROUP BY mention_key
)
SELECT
    coalesce(c.mention_key, b.mention_key) AS mention_key, c.deciders, c.skipped,
    n.decision, coalesce(s.decisions > 1 AND s.adjudicated_by IS NULL, false) AS disputed,
    CASE WHEN n.decision IS NULL THEN b.cause END AS reopened
FROM (
    SELECT
        mention_key,
        list(account_key) FILTER (decision <> 'SKIPPED') AS deciders,
        list(account_key) FILTER (decision = 'SKIPPED') AS skipped
    FROM counting GROUP BY mention_key
) AS c
FULL JOIN back AS b ON b.mention_key = c.mention_key
LEFT JOIN now AS n ON n.mention_key = c.mention_key
LEFT JOIN (SELECT * FROM mention_standing WHERE {where}) AS s ON s.mention_key = c.mention_key
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """What people have done with one mention."""

    deciders: frozenset[int]  # accounts with a conclusion that counts
    skipped: frozenset[int]
    decision: Decision | None  # the one that holds; None while it is open or disputed
    disputed: bool
    reopened: str  # why it waits again, empty when it does not


def strew(flags: list[QueueEntry], sample: list[tuple[str, QueueEntry]]) -> list[QueueEntry]:
    """Return the flags in their order with the sample among them at places drawn by hash.

    ``sample`` pairs a stable id with an entry. The strongest flag stays first.
    """
    places: list[tuple[int, int, int, QueueEntry]] = [
        (2 * number, 0, number, entry) for number, entry in enumerate(flags)
    ]
    for number, (stable_id, entry) in enumerate(sample):
        draw = int(digest("place in the queue", stable_id)[:8], 16)
        behind = draw * max(len(flags), 1) >> 32  # of which flag
        places.append((2 * behind + 1, draw, number, entry))
    return [entry for _, _, _, entry in sorted(places, key=lambda p: p[:3])]


class QueueCache:
    """The lists, kept until the rows they were made of change."""

    def __init__(self) -> None:
        self._guard = threading.Lock()  # over the swap and the standings, never over a query
        self._building = threading.Lock()
        self._mixed: list[QueueEntry] | None = None
        self._place: dict[int, int] = {}  # mention key -> number in the list
        self._standings: dict[int, Standing] | None = None
        self._left: set[int] = set()  # copies that wait beside decided ones

    def rebuild(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Build the order anew and swap it in; the old one is served meanwhile."""
        with self._building:
            rows = cursor.execute(_ENTRIES, [MAX_ENTRIES, MAX_ENTRIES]).to_arrow_table()
            pairs = [(str(row["mention_id"]), _entry(row)) for row in rows.to_pylist()]
            flags = [e for _, e in pairs if e.flagged]
            sample = [(i, e) for i, e in pairs if e.sampled and not e.flagged]
            rest = [e for _, e in pairs if not e.flagged and not e.sampled]
            mixed = strew(flags, sample) + rest
            place = {key: n for n, entry in enumerate(mixed) for key in entry.mention_keys}
            with self._guard:
                self._mixed, self._place = mixed, place

    def forget_people(self) -> None:
        """Much has changed at once; read everything again when it is asked for."""
        with self._guard:
            self._standings = None

    def refresh(self, cursor: duckdb.DuckDBPyConnection, mention_keys: Iterable[int]) -> None:
        """Somebody concluded or undid something about these mentions."""
        keys = sorted(set(mention_keys))
        found = _standings(cursor, keys)
        with self._guard:
            mixed, place = self._mixed or [], self._place
        near = {m for k in keys if k in place for m in mixed[place[k]].mention_keys} | set(keys)
        left = left_over(cursor, near)
        with self._guard:
            if self._standings is not None:
                for key in keys:
                    self._standings.pop(key, None)
                self._standings.update(found)
                self._left = self._left - near | left

    def _load(
        self, cursor: duckdb.DuckDBPyConnection
    ) -> tuple[Sequence[QueueEntry], Mapping[int, Standing]]:
        with self._guard:
            mixed, standings = self._mixed, self._standings
        if mixed is None:
            self.rebuild(cursor)
            mixed = self._mixed or []
        if standings is None:
            standings = _standings(cursor, None)
            left = left_over(cursor, None)
            with self._guard:
                self._standings, self._left = standings, left
        return mixed, standings

    def claim_of(self, mention_key: int) -> str | None:
        """Return the claim of a listed mention, None for one that is not in the lists."""
        with self._guard:
            number = self._place.get(mention_key)
            return None if number is None or self._mixed is None else self._mixed[number].claim_id

    def entries(
        self,
        cursor: duckdb.DuckDBPyConnection,
        *,
        account_key: int,
        view: str,
        week: str | None,
        taken: frozenset[str] = frozenset(),
    ) -> list[QueueEntry]:
        """Return one list for one account; what others have open waits only outside ``queue``."""
        mixed, standings = self._load(cursor)
        left = self._left
        found = []
        for entry in mixed:
            if week is not None and week not in entry.weeks:
                continue
            if view == "flagged" and not entry.flagged:
                continue
            known = [s for k in entry.mention_keys if (s := standings.get(k)) is not None]
            if not known:
                if view == "decided" or (
                    view == "queue"
                    and not ((entry.flagged or entry.sampled) and entry.claim_id not in taken)
                ):
                    continue
                found.append(entry)
                continue
            decision = next((s.decision for s in known if s.decision is not None), None)
            reopened = next((s.reopened for s in known if s.reopened), "")
            if (
                decision is not None
                and view != "decided"
                and not left.isdisjoint(entry.mention_keys)
            ):
                waiting = tuple(k for k in entry.mention_keys if k in left)
                part = replace(entry, mention_key=waiting[0], mention_keys=waiting)
                theirs = [s for k in waiting if (s := standings.get(k)) is not None]
                if view != "queue" or (
                    entry.claim_id not in taken and _waits(part, theirs, None, account_key)
                ):
                    found.append(part)
            if view == "decided" and decision is None:
                continue
            if view == "queue" and (
                not (entry.flagged or entry.sampled or reopened)
                or entry.claim_id in taken
                or not _waits(entry, known, decision, account_key)
            ):
                continue
            found.append(
                replace(
                    entry,
                    # Both reviewers of a planned double review conclude the same mention.
                    mention_key=_pinned(entry, standings),
                    decision=decision,
                    reopened=reopened,
                )
            )
        return found


def _waits(
    entry: QueueEntry, known: Sequence[Standing], decision: Decision | None, account_key: int
) -> bool:
    """Whether an entry still waits for a conclusion of this account."""
    deciders = {a for s in known for a in s.deciders}
    if decision is not None or any(s.disputed for s in known) or account_key in deciders:
        return False
    if any(account_key in s.skipped for s in known):
        return False
    return len(deciders) < (2 if entry.doubled else 1)


def _pinned(entry: QueueEntry, standings: Mapping[int, Standing]) -> int:
    begun = (k for k in entry.mention_keys if (s := standings.get(k)) is not None and s.deciders)
    return next(begun, entry.mention_key)


def _standings(
    cursor: duckdb.DuckDBPyConnection, keys: Sequence[int] | None
) -> dict[int, Standing]:
    where = "true" if keys is None else f"mention_key IN ({', '.join(str(int(k)) for k in keys)})"
    if keys is not None and not keys:
        return {}
    rows = cursor.execute(_STANDINGS.format(where=where)).fetchall()
    return {
        int(key): Standing(
            deciders=frozenset(deciders or ()),
            skipped=frozenset(skipped or ()),
            decision=None if decision is None else Decision(decision),
            disputed=bool(disputed),
            reopened=reopened or "",
        )
        for key, deciders, skipped, decision, disputed, reopened in rows
    }


def _entry(row: dict[str, Any]) -> QueueEntry:
    published = row["published_at"]
    return QueueEntry(
        mention_key=row["mention_key"],
        mention_keys=tuple(row["mention_keys"]),
        claim_id=row["claim_id"],
        text=row["text"],
        outlet=row["outlet"],
        title=row["title"],
        published_at=None if published is None else published.astimezone(UTC),
        as_of=row["as_of"],
        weeks=tuple(row["weeks"]),
        flagged=row["flagged"],
        sampled=row["sampled"],
        p_refuted=row["p_refuted"],
        label=None if row["label"] is None else Label(row["label"]),
        stories=row["stories"],
        novelty=novelty_of(row["latest"], row["before"]),
        kinds=tuple(Distortion(k) for k in row["kinds"]),
        doubled=row["doubled"],
    )
