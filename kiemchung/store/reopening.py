"""Conclusions that no longer count: withdrawn with a reason, or their evidence was replaced.

Nothing is removed. A withdrawn conclusion no longer stands; one whose evidence was replaced stays
on its author's list, marked, and the claim goes back into the queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from kiemchung.errors import InputError
from kiemchung.store.rows import Account

if TYPE_CHECKING:
    from kiemchung.store.store import Store

MAX_REASON: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """A decided mention whose evidence is not the same any more, and what changed in words."""

    mention_key: int
    reason: str


def withdraw(store: Store, account: Account, review_id: int, reason: str) -> int:
    """Withdraw a conclusion and return its mention, which waits again.

    Raises:
        InputError: no reason, no such standing conclusion, or somebody else's and no adjudicator.
    """
    wanted = reason.strip()[:MAX_REASON]
    if not wanted:
        raise InputError("a withdrawal needs a reason")
    with store._writing() as cursor:
        row = cursor.execute(
            "SELECT mention_key, account_key FROM standing_review WHERE review_key = ?"
            " AND decision <> 'SKIPPED'",
            [review_id],
        ).fetchone()
        # Somebody else's is not told apart from one that is not there.
        if row is None or (row[1] != account.key and not account.may_adjudicate):
            raise InputError("there is no such conclusion", remedy="load the list again")
        cursor.execute(
            "INSERT INTO reopening SELECT coalesce(max(reopening_key), 0) + 1, ?, ?, 'withdrawn',"
            " ?, ?, ? FROM reopening",
            [review_id, row[0], wanted, account.key, datetime.now(UTC)],
        )
    store.refresh_queue([int(row[0])])
    return int(row[0])


def reopen(store: Store, replaced: Sequence[Replaced]) -> list[int]:
    """Mark the conclusions about these mentions and return the mentions that wait again.

    The same change marks a mention once: what was concluded after the first mark stays.
    """
    opened: list[int] = []
    with store._writing() as cursor:
        now = datetime.now(UTC)
        for one in replaced:
            reason = one.reason.strip()[:MAX_REASON]
            known = cursor.execute(
                "SELECT 1 FROM reopening WHERE mention_key = ? AND cause = 'evidence_replaced'"
                " AND reason = ?",
                [one.mention_key, reason],
            ).fetchone()
            if known is not None:
                continue
            reviews = cursor.execute(
                "SELECT review_key FROM counting_review WHERE mention_key = ?"
                " AND decision <> 'SKIPPED' ORDER BY review_key",
                [one.mention_key],
            ).fetchall()
            for (review,) in reviews:
                cursor.execute(
                    "INSERT INTO reopening SELECT coalesce(max(reopening_key), 0) + 1, ?, ?,"
                    " 'evidence_replaced', ?, NULL, ? FROM reopening",
                    [review, one.mention_key, reason, now],
                )
            if reviews:
                opened.append(one.mention_key)
    if opened:
        store.refresh_queue(opened)
        store.rebuild_queue()
    return opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Why a conclusion no longer counts."""

    cause: str  # evidence_replaced or withdrawn
    reason: str
    by: str  # empty: the program
    reopened_at: datetime


def marks(store: Store, review_ids: Sequence[int]) -> dict[int, Mark]:
    """Return the marks of these conclusions, the latest of each."""
    rows = store._read(
        "SELECT o.*, coalesce(a.name, '') AS by_name FROM reopening AS o"
        " LEFT JOIN account AS a ON a.account_key = o.account_key"
        " WHERE list_contains(?::BIGINT[], o.review_key) ORDER BY o.reopening_key",
        [list(review_ids)],
    )
    return {
        r["review_key"]: Mark(
            cause=r["cause"],
            reason=r["reason"],
            by=r["by_name"],
            reopened_at=r["reopened_at"].astimezone(UTC),
        )
        for r in rows
    }
