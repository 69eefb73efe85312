"""The reading order itself: every entry of the lists, without its words, in arrays.

Seventy thousand entries as objects took 38 MB and half a second of the interpreter whenever the
collector looked through them; as arrays they are 5 MB and nothing to look through.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt

from kiemchung.domain import Distortion, digest
from kiemchung.priority import (
    HARM,
    HARM_UNKNOWN,
    NOVELTY,
    SAME_EPISODE_DAYS,
    SILENCE_DAYS,
    Novelty,
    novelty_of,
)
from kiemchung.store.kept import Kept
from kiemchung.store.rows import Slot

Flags = npt.NDArray[np.bool_]
Keys = npt.NDArray[np.int64]
MAX_REST: Final = 5000
"""How many claims that are neither flagged nor drawn for the sample stand in the list of all,
those nearest to a flag first. What waits for a person is never cut, and search finds every one."""

_KEPT: Final = 40  # two for each filter in use
_PORTION: Final = 2048  # rows taken from the database at once
_NOVELTIES: Final = tuple(Novelty)
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


@dataclass(frozen=True, slots=True)
class Order:
    """The entries as a merge left them; each array holds one fact of all of them."""

    mention_key: Keys  # the mention that stands for the entry
    members: Keys  # the mentions of the first entry, ascending, then those of the second ...
    starts: Keys  # where in ``members`` those of an entry begin; one more than there are entries
    claim: Keys  # hash of the claim's id in this process
    flagged: Flags
    sampled: Flags
    doubled: Flags
    p_refuted: npt.NDArray[np.float64]  # NaN: none
    stories: npt.NDArray[np.int64]
    novelty: npt.NDArray[np.int8]  # place in the enumeration
    week: npt.NDArray[np.int32]  # place in ``week_sets``
    kind: npt.NDArray[np.int32]  # place in ``kind_sets``
    week_sets: tuple[tuple[str, ...], ...]  # few weeks and kinds stand in very many entries
    kind_sets: tuple[tuple[Distortion, ...], ...]
    asked: Flags  # flagged, or drawn for the sample
    weeks: Mapping[str, Flags]  # whether an entry is of that week
    kept: Kept  # what was worked out of it
    _sorted: Keys  # ``members`` ascending
    _owner: npt.NDArray[np.int32]  # the entry of each of these
    _claims: Keys  # ``claim`` ascending
    _claimed: npt.NDArray[np.int32]  # the entry of each of these

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self.mention_key)

    def slot(self, number: int) -> Slot:
        """Return an entry."""
        p = float(self.p_refuted[number])
        return Slot(
            mention_key=int(self.mention_key[number]),
            mention_keys=tuple(self.mentions(number)),
            claim=int(self.claim[number]),
            weeks=self.week_sets[self.week[number]],
            flagged=bool(self.flagged[number]),
            sampled=bool(self.sampled[number]),
            p_refuted=None if np.isnan(p) else p,
            stories=int(self.stories[number]),
            novelty=_NOVELTIES[self.novelty[number]],
            kinds=self.kind_sets[self.kind[number]],
            doubled=bool(self.doubled[number]),
        )

    def mentions(self, number: int) -> list[int]:
        """Return the mentions of an entry, ascending."""
        found: list[int] = self.members[self.starts[number] : self.starts[number + 1]].tolist()
        return found

    def number_of(self, mention_key: int) -> int | None:
        """Return which entry holds a mention, None for none."""
        at = int(np.searchsorted(self._sorted, mention_key))
        if at == len(self._sorted) or self._sorted[at] != mention_key:
            return None
        return int(self._owner[at])

    def numbers_of(self, mention_keys: Iterable[int]) -> list[int]:
        """Return the entries that hold any of these mentions, ascending."""
        keys = np.fromiter(mention_keys, dtype=np.int64)
        at = np.searchsorted(self._sorted, keys)
        at = at[at < len(self._sorted)] if len(self._sorted) else at[:0]
        found: list[int] = np.unique(self._owner[at[np.isin(self._sorted[at], keys)]]).tolist()
        return found

    def of_claim(self, claim: int) -> npt.NDArray[np.int32]:
        """Return the entries of the claims with this hash."""
        first = np.searchsorted(self._claims, claim)
        last = np.searchsorted(self._claims, claim, side="right")
        return self._claimed[first:last]

    def with_novelty(self, novelty: Novelty) -> Flags:
        """Return for each entry whether it is of that novelty."""
        found: Flags = self.novelty == _NOVELTIES.index(novelty)
        return found

    def with_mentions(self, mention_keys: Iterable[int]) -> Flags:
        """Return for each entry whether one of these mentions stands for it."""
        return np.isin(self.mention_key, np.fromiter(mention_keys, dtype=np.int64))


def strewn(flags: int, draws: Keys) -> Keys:
    """Return in which order so many flags and the sample behind them stand: a permutation.

    The flags keep their order, and the sample stands among them at places that ``draws``, numbers
    below 2**32, say. The strongest flag stays first.
    """
    behind = draws * max(flags, 1) >> 32  # of which flag
    place = np.concatenate([2 * np.arange(flags), 2 * behind + 1])
    tie = np.concatenate([np.zeros(flags, dtype=np.int64), draws])
    return np.lexsort((tie, place)).astype(np.int64)


class _Reading:
    """Takes the rows in; an array holds a number in its eight bytes."""

    def __init__(self) -> None:
        self.key, self.claim, self.stories = array("q"), array("q"), array("q")
        self.members, self.lengths, self.draws = array("q"), array("q"), array("q")
        self.flagged, self.sampled, self.doubled = array("b"), array("b"), array("b")
        self.novelty, self.week, self.kind = array("b"), array("i"), array("i")
        self.p_refuted = array("d")
        self.weeks: dict[tuple[str, ...], int] = {}
        self.kinds: dict[tuple[str, ...], int] = {}

    def add(self, row: tuple[object, ...]) -> None:
        (
            key, members, weeks, claim, flagged, sampled, p, stories, latest, before, kinds,
            doubled, mention_id,
        ) = row  # fmt: skip
        self.key.append(key)  # type: ignore[arg-type]
        self.members.extend(members)  # type: ignore[arg-type]
        self.lengths.append(len(members))  # type: ignore[arg-type]
        self.claim.append(hash(claim))
        self.flagged.append(bool(flagged))
        self.sampled.append(bool(sampled))
        self.doubled.append(bool(doubled))
        self.p_refuted.append(float("nan") if p is None else p)  # type: ignore[arg-type]
        self.stories.append(stories)  # type: ignore[arg-type]
        self.novelty.append(_NOVELTIES.index(novelty_of(latest, before)))  # type: ignore[arg-type]
        self.week.append(self.weeks.setdefault(tuple(weeks), len(self.weeks)))  # type: ignore[arg-type]
        self.kind.append(self.kinds.setdefault(tuple(kinds), len(self.kinds)))  # type: ignore[arg-type]
        if sampled and not flagged:
            self.draws.append(int(digest("place in the queue", str(mention_id))[:8], 16))

    def order(self) -> Order:
        """Put the rows, flags first and the sample behind them, into the order of reading."""
        flagged = np.array(self.flagged, dtype=np.bool_)
        mixed = np.arange(len(flagged), dtype=np.int64)
        front = int(flagged.sum()) + len(self.draws)
        mixed[:front] = strewn(int(flagged.sum()), np.array(self.draws, dtype=np.int64))
        flagged, sampled = flagged[mixed], np.array(self.sampled, dtype=np.bool_)[mixed]
        lengths = np.array(self.lengths, dtype=np.int64)
        before = np.concatenate([[0], np.cumsum(lengths)])
        starts = np.concatenate([[0], np.cumsum(lengths[mixed])])
        owner = np.repeat(np.arange(len(mixed), dtype=np.int32), lengths[mixed])
        taken = np.arange(len(owner)) - starts[owner] + before[mixed[owner]]
        members = np.array(self.members, dtype=np.int64)[taken]
        by_member = np.argsort(members, kind="stable")
        claim = np.array(self.claim, dtype=np.int64)[mixed]
        by_claim = np.argsort(claim, kind="stable")
        week = np.array(self.week, dtype=np.int32)[mixed]
        return Order(
            mention_key=np.array(self.key, dtype=np.int64)[mixed],
            members=members,
            starts=starts,
            claim=claim,
            flagged=flagged,
            sampled=sampled,
            doubled=np.array(self.doubled, dtype=np.bool_)[mixed],
            p_refuted=np.array(self.p_refuted, dtype=np.float64)[mixed],
            stories=np.array(self.stories, dtype=np.int64)[mixed],
            novelty=np.array(self.novelty, dtype=np.int8)[mixed],
            week=week,
            kind=np.array(self.kind, dtype=np.int32)[mixed],
            week_sets=tuple(self.weeks),
            kind_sets=tuple(tuple(Distortion(k) for k in kinds) for kinds in self.kinds),
            asked=flagged | sampled,
            weeks={
                one: np.isin(week, [n for weeks, n in self.weeks.items() if one in weeks])
                for one in sorted({w for weeks in self.weeks for w in weeks})
            },
            kept=Kept(_KEPT),
            _sorted=members[by_member],
            _owner=owner[by_member],
            _claims=claim[by_claim],
            _claimed=by_claim.astype(np.int32),
        )


def read_order(cursor: duckdb.DuckDBPyConnection) -> Order:
    """Return the reading order of the rows as they are now.

    Raises:
        duckdb.Error: the database failed.
    """
    rows = cursor.execute(_ENTRIES, [MAX_REST, MAX_REST])
    reading = _Reading()
    while portion := rows.fetchmany(_PORTION):
        for row in portion:
            reading.add(row)
    return reading.order()
