"""What stands at the desk beside claim and passages, and what is kept beside a conclusion.

The history of a canonical claim, the copies that one conclusion covers, passages that a reviewer
finds, and the smallest correction. A conclusion's details are written in its transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

import duckdb

from kiemchung.domain import Decision, Passage
from kiemchung.errors import InputError
from kiemchung.store import convert, judged
from kiemchung.store.facts import ItemFacts, PlaceFacts
from kiemchung.store.rows import Account, ChoiceDetails
from kiemchung.store.standing import Standing, literals, standings
from kiemchung.store.words import FOLD, folded

if TYPE_CHECKING:
    from kiemchung.store.store import Store

MAX_CORRECTION: Final = 500
MAX_COPIES: Final = 50
"""Copies listed with a box each; a conclusion covers the rest of them, too."""
MAX_OWN: Final = 10
# Of several wordings of a passage the one that was stored last.
_LATEST: Final = (
    f"(SELECT {judged.PASSAGE} FROM passage AS p"
    " QUALIFY row_number() OVER (PARTITION BY p.passage_id ORDER BY p.passage_key DESC) = 1)"
)
_HOLDS: Final = "valid_from <= ? AND (valid_to IS NULL OR valid_to > ?)"


class CitationError(InputError):
    """A passage that cannot be cited for this claim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place(PlaceFacts):
    """Where a canonical claim appeared, and what holds there."""

    same_passages: bool  # as the mention that was asked about: one conclusion fits both
    decision: Decision | None
    as_copy: bool  # the conclusion was made at another mention


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDecision:
    """A conclusion about some mention of the claim, undone ones included."""

    review_id: int
    mention_key: int
    decision: Decision
    reviewer: str
    created_at: datetime
    as_of: date
    correction: str
    copies: int  # that it covered
    undone: bool
    settled: bool  # the mention has a conclusion that counts: no second reviewer is waited for


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Where, when and how often a claim was made, and what was concluded about it."""

    places: tuple[Place, ...]  # all mentions, the one asked about too, oldest first
    decisions: tuple[PastDecision, ...]  # latest first

    @property
    def first(self) -> datetime | None:
        """The first known moment of publication."""
        return min((p.published_at for p in self.places if p.published_at), default=None)

    @property
    def last(self) -> datetime | None:
        """The latest known moment of publication."""
        return max((p.published_at for p in self.places if p.published_at), default=None)

    @property
    def stories(self) -> int:
        """Copies of one text are one story."""
        return len({p.story_id for p in self.places})

    @property
    def outlets(self) -> int:
        """How many outlets had it."""
        return len({p.outlet for p in self.places})

    @property
    def weeks(self) -> tuple[tuple[str, int], ...]:
        """How many mentions came in which week's run."""
        found: dict[str, int] = {}
        for place in self.places:
            found[place.week] = found.get(place.week, 0) + 1
        return tuple(sorted(found.items()))


def history(store: Store, mention_key: int) -> History:
    """Return all that is known of the claim of a mention; empty for an unknown one."""
    found = store.facts.places(mention_key)
    if not found:
        return History(places=(), decisions=())
    held: dict[int, tuple[Decision, int]] = {}
    decisions: tuple[PastDecision, ...] = ()
    if touched := store.acts.reviewed(p.mention_key for p in found):
        with store._cursor() as cursor:
            stand = standings(cursor, touched)
            held = settled(cursor, touched, stand)
            decisions = _decisions(cursor, {p.mention_key: p.as_of for p in found}, stand)
    evidence = next(p.evidence_sha256 for p in found if p.mention_key == mention_key)
    return History(
        places=tuple(
            Place(
                same_passages=p.evidence_sha256 == evidence,
                decision=held[p.mention_key][0] if p.mention_key in held else None,
                as_copy=held.get(p.mention_key, (None, p.mention_key))[1] != p.mention_key,
                **{f.name: getattr(p, f.name) for f in fields(PlaceFacts)},
            )
            for p in found
        ),
        decisions=decisions,
    )


def _decisions(
    cursor: duckdb.DuckDBPyConnection, days: Mapping[int, date], stand: Mapping[int, Standing]
) -> tuple[PastDecision, ...]:
    """Return what was concluded about these mentions, latest first; a skip concludes nothing."""
    rows = convert.records(
        cursor,
        "SELECT review_key, mention_key, account_key, decision, created_at, undoes FROM review"
        f" WHERE mention_key IN ({literals(days)}) ORDER BY review_key DESC",
    )
    undone = {r["undoes"] for r in rows}
    rows = [r for r in rows if r["undoes"] is None and r["decision"] != "SKIPPED"]
    if not rows:
        return ()
    inside = literals(r["review_key"] for r in rows)
    names = dict(cursor.execute("SELECT account_key, name FROM account").fetchall())
    corrections = dict(
        cursor.execute(
            f"SELECT review_key, correction FROM review_correction WHERE review_key IN ({inside})"
        ).fetchall()
    )
    copies = dict(
        cursor.execute(
            "SELECT review_key, count(*) FROM review_copy"
            f" WHERE review_key IN ({inside}) AND covered GROUP BY review_key"
        ).fetchall()
    )
    return tuple(
        PastDecision(
            review_id=r["review_key"],
            mention_key=r["mention_key"],
            decision=Decision(r["decision"]),
            reviewer=names[r["account_key"]],
            created_at=convert.moment(r["created_at"]),
            as_of=days[r["mention_key"]],
            correction=corrections.get(r["review_key"], ""),
            copies=copies.get(r["review_key"], 0),
            undone=r["review_key"] in undone,
            settled=r["mention_key"] in stand and stand[r["mention_key"]].decision is not None,
        )
        for r in rows
    )


# -- passages ------------------------------------------------------------------------------------


def find_passages(store: Store, text: str, day: date, *, limit: int = 8) -> list[Passage]:
    """Return the passages in force on ``day`` that hold every word of ``text``, or have that id.

    Accents make no difference. No words, no passages.
    """
    with store._cursor() as cursor:
        (words,) = folded(cursor, [text])
        if not words:
            return []
        rows = convert.records(
            cursor,
            f"SELECT * FROM {_LATEST} AS p WHERE {_HOLDS} AND (passage_id = ? OR list_bool_and("
            "list_transform(string_split(?, ' '), lambda w: contains(' ' || "
            f"{FOLD.format('citation || chr(32) || text || chr(32) || passage_id')} || ' ',"
            " ' ' || w || ' ')))) ORDER BY passage_id <> ?, passage_key LIMIT ?",
            [day, day, text.strip(), words, text.strip(), limit],
        )
    return [convert.passage(r) for r in rows]


def passages_named(store: Store, ids: Collection[str]) -> list[Passage]:
    """Return the latest wording of these passages, in the order of the base."""
    if not ids:
        return []
    rows = store._read(
        f"SELECT * FROM {_LATEST} AS p WHERE list_contains(?::VARCHAR[], passage_id)"
        " ORDER BY passage_key",
        [sorted(ids)],
    )
    return [convert.passage(r) for r in rows]


def check_citations(
    cursor: duckdb.DuckDBPyConnection, known: ItemFacts, cited: Sequence[str]
) -> None:
    """Refuse what nobody could cite.

    Raises:
        CitationError: a passage that was neither shown nor is in force on the day of the claim, or
            too many of one's own.
    """
    own = set(cited).difference(known.passage_keys)
    if not own:
        return
    day = known.mention.as_of
    held = {
        str(p)
        for (p,) in cursor.execute(
            "SELECT passage_id FROM passage WHERE list_contains(?::VARCHAR[], passage_id)"
            f" AND {_HOLDS}",
            [sorted(own), day, day],
        ).fetchall()
    }
    for passage_id in sorted(own - held):
        raise CitationError(
            f"{passage_id!r} is not among the passages shown, nor in force on that day",
            remedy="look it up again from the desk",
        )
    if len(own) > MAX_OWN:
        raise CitationError(f"{len(own)} passages of one's own", remedy=f"cite up to {MAX_OWN}")


# -- beside a conclusion -------------------------------------------------------------------------


def keep_choice(
    cursor: duckdb.DuckDBPyConnection,
    choice_key: int,
    *,
    correction: str,
    excepted: Collection[int],
) -> None:
    """Keep what a blind choice said beside its decision, in its transaction."""
    if correction.strip():
        cursor.execute(
            "INSERT INTO choice_correction VALUES (?, ?)",
            [choice_key, correction.strip()[:MAX_CORRECTION]],
        )
    if excepted:
        cursor.execute(
            "INSERT INTO choice_exception SELECT ?, unnest(?::BIGINT[])",
            [choice_key, sorted(excepted)],
        )


def choice_details(store: Store, account: Account, mention_key: int) -> ChoiceDetails:
    """Return what the latest blind choice of ``account`` about a mention said beside it."""
    kept = store.acts.latest(account.key, mention_key)
    if kept is not None:
        return kept.details
    with store._cursor() as cursor:
        (choice,) = cursor.execute(
            "SELECT max(choice_key) FROM blind_choice WHERE mention_key = ? AND account_key = ?",
            [mention_key, account.key],
        ).fetchone() or (None,)
        if choice is None:
            return ChoiceDetails()
        corrected = cursor.execute(
            "SELECT correction FROM choice_correction WHERE choice_key = ?", [choice]
        ).fetchone()
        excepted = cursor.execute(
            "SELECT mention_key FROM choice_exception WHERE choice_key = ?", [choice]
        ).fetchall()
    return ChoiceDetails(
        correction=str(corrected[0]) if corrected else "",
        excepted=frozenset(int(k) for (k,) in excepted),
    )


def keep_review(
    cursor: duckdb.DuckDBPyConnection,
    store: Store,
    review_key: int,
    *,
    mention_key: int,
    known: ItemFacts,
    decision: Decision,
    cited: Sequence[str],
    correction: str,
    excepted: Collection[int],
) -> None:
    """Keep what belongs to a review that was just added, in its transaction.

    A conclusion covers every other mention of the claim with the same passages beside it, but those
    ``excepted`` and those that a conclusion at another mention holds; somebody who skips covers
    nothing.
    """
    if correction.strip():
        cursor.execute(
            "INSERT INTO review_correction VALUES (?, ?)",
            [review_key, correction.strip()[:MAX_CORRECTION]],
        )
    _keep_citations(cursor, review_key, known, cited)
    if decision is Decision.SKIPPED:
        return
    others = [p for p in store.facts.places(mention_key) if p.mention_key != mention_key]
    if not others:
        return
    touched = store.acts.reviewed(p.mention_key for p in others)
    elsewhere = _settled_elsewhere(cursor, touched, mention_key)
    same = [
        p.mention_key
        for p in others
        if p.evidence_sha256 == known.evidence_sha256 and p.mention_key not in elsewhere
    ]
    if not same:
        return
    store.acts.note_review(same)
    cursor.execute(
        "INSERT INTO review_copy SELECT ?, k, NOT list_contains(?::BIGINT[], k)"
        " FROM (SELECT unnest(?::BIGINT[]) AS k)",
        [review_key, sorted(excepted), sorted(same)],
    )


def _keep_citations(
    cursor: duckdb.DuckDBPyConnection, review_key: int, known: ItemFacts, cited: Sequence[str]
) -> None:
    """Keep which wordings were cited: those that were shown, the latest of one's own."""
    wordings = [(known.passage_keys[p], False) for p in set(cited) if p in known.passage_keys]
    own = sorted(set(cited).difference(known.passage_keys))
    if own:
        wordings += [
            (int(key), True)
            for (key,) in cursor.execute(
                "SELECT max(passage_key) FROM passage"
                " WHERE list_contains(?::VARCHAR[], passage_id) GROUP BY passage_id",
                [own],
            ).fetchall()
        ]
    if wordings:
        cursor.execute(
            "INSERT INTO review_citation VALUES "
            + ", ".join(f"({review_key}, {key}, {mine})" for key, mine in sorted(wordings))
        )


def _settled_elsewhere(
    cursor: duckdb.DuckDBPyConnection, keys: Collection[int], mention_key: int
) -> set[int]:
    """Return which of ``keys`` have a conclusion that was made at another mention than this one."""
    return {key for key, (_, at) in settled(cursor, keys).items() if at != mention_key}


def settled(
    cursor: duckdb.DuckDBPyConnection,
    keys: Collection[int],
    known: Mapping[int, Standing] | None = None,
) -> dict[int, tuple[Decision, int]]:
    """Return the conclusion that holds for each of ``keys``, and at which mention it was made.

    The same as the view ``decided_mention``, for few mentions in a store of many reviews.
    ``known`` is how ``keys`` stand, where the caller knows it.
    """
    if not keys:
        return {}
    covered = cursor.execute(
        "SELECT review_key, mention_key FROM review_copy"
        f" WHERE mention_key IN ({literals(keys)}) AND covered ORDER BY review_key"
    ).fetchall()
    at = dict(
        cursor.execute(
            "SELECT review_key, mention_key FROM review"
            f" WHERE review_key IN ({literals(r for r, _ in covered)})"
        ).fetchall()
        if covered
        else ()
    )
    stand = dict(standings(cursor, keys) if known is None else known)
    stand |= standings(cursor, {int(k) for k in at.values()}.difference(keys))
    found: dict[int, tuple[Decision, int]] = {}
    for review, key in covered:
        there = stand.get(at[review])
        if there is not None and there.decision is not None and there.holds == review:
            found[int(key)] = (there.decision, int(at[review]))
    return found | {
        k: (s.decision, k) for k in keys if (s := stand.get(k)) is not None and s.decision
    }


# -- copies that still wait ----------------------------------------------------------------------


def left_over(
    cursor: duckdb.DuckDBPyConnection,
    keys: Collection[int] | None,
    known: Mapping[int, Standing] | None = None,
) -> set[int]:
    """Return the mentions among ``keys``, or all, that a conclusion was once about and none is now.

    Beside decided copies of the same claim these still wait: they were left out by name, or the
    conclusion that covered them was undone. A copy that came later was never asked about; it goes
    with the others.
    """
    if keys is None:
        rows = cursor.execute(
            "SELECT mention_key FROM (SELECT mention_key FROM review_copy UNION"
            " SELECT mention_key FROM review WHERE decision <> 'SKIPPED')"
            " ANTI JOIN decided_mention USING (mention_key)"
        ).fetchall()
        return {int(k) for (k,) in rows}
    if not keys:
        return set()
    inside = literals(keys)
    rows = cursor.execute(
        f"SELECT mention_key FROM review_copy WHERE mention_key IN ({inside}) UNION"
        f" SELECT mention_key FROM review WHERE mention_key IN ({inside})"
        " AND decision <> 'SKIPPED'"
    ).fetchall()
    touched = {int(k) for (k,) in rows}
    return touched - set(settled(cursor, touched, known))
