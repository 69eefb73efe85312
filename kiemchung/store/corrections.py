"""The corrections ledger: what was asked to be put right, and what came of it.

Anybody whom an article names, and every outlet, can ask. A request is kept as it was received and
answered once, in words that the next report prints; who wrote what down is in the audit trail. No
name and no address of who asks is kept: the ledger is about the claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from kiemchung.domain import Decision
from kiemchung.errors import InputError
from kiemchung.store import convert
from kiemchung.store.decided import OPT_OUTS

if TYPE_CHECKING:
    from kiemchung.store.rows import Account
    from kiemchung.store.store import Store

MAX_REQUEST: Final = 4000
MAX_PUBLIC_NOTE: Final = 2000


class Outcome(StrEnum):
    """What came of a request."""

    UPHELD = "upheld"  # we were wrong
    PARTLY = "partly"
    DECLINED = "declined"  # looked at again, and it stands


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """One request; ``outcome`` is None while it is open."""

    key: int
    mention_key: int
    claim: str
    outlet: str
    title: str
    url: str
    request: str
    received_at: datetime
    outcome: Outcome | None
    resolved_at: datetime | None
    public_note: str
    refused: bool  # the page's owner keeps its words out of what is published


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """A conclusion that had stood when an earlier week ended, and that people have changed."""

    mention_key: int
    claim: str
    before: Decision
    after: Decision
    changed_at: datetime
    refused: bool


def _told(text: str, most: int, what: str) -> str:
    kept = text.strip()
    if not kept:
        raise InputError(f"the {what} is empty", remedy="write what it is about")
    if len(kept) > most:
        raise InputError(
            f"the {what} has {len(kept)} letters", remedy=f"say it in {most} letters at most"
        )
    return kept


def _note(cursor: Any, account: Account | None, action: str, key: int) -> None:  # noqa: ANN401
    cursor.execute(
        "INSERT INTO audit SELECT coalesce(max(audit_key), 0) + 1, ?, ?, ?, ? FROM audit",
        [None if account is None else account.key, action, f"correction {key}", datetime.now(UTC)],
    )


def _may(account: Account | None) -> None:
    if account is not None and not account.may_review:
        raise InputError(f"{account.name} may only read", remedy="ask for another role")


def add(store: Store, account: Account | None, mention_key: int, request: str) -> int:
    """Write down a request about a mention and return its number; ``None``: the command line.

    Raises:
        InputError: no such mention, nothing said, or the account may only read.
    """
    _may(account)
    said = _told(request, MAX_REQUEST, "request")
    with store._writing() as cursor:
        if not convert.records(
            cursor, "SELECT 1 AS x FROM mention WHERE mention_key = ?", [mention_key]
        ):
            raise InputError(f"no mention {mention_key}", remedy="take it from the item's address")
        (row,) = convert.records(
            cursor, "SELECT coalesce(max(correction_key), 0) + 1 AS key FROM correction"
        )
        cursor.execute(
            "INSERT INTO correction VALUES (?, ?, ?, ?, '', NULL, '')",
            [row["key"], mention_key, said, datetime.now(UTC)],
        )
        _note(cursor, account, "correction asked", row["key"])
    return int(row["key"])


def resolve(
    store: Store, account: Account | None, key: int, outcome: Outcome, public_note: str
) -> None:
    """Answer a request, once, in words that the next report prints.

    Raises:
        InputError: no such request, it was answered before, or nothing is said to the reader.
    """
    _may(account)
    said = _told(public_note, MAX_PUBLIC_NOTE, "answer")
    with store._writing() as cursor:
        rows = convert.records(
            cursor, "SELECT resolved_at FROM correction WHERE correction_key = ?", [key]
        )
        if not rows:
            raise InputError(f"no correction {key}", remedy="see `kiemchung corrections list`")
        if rows[0]["resolved_at"] is not None:
            raise InputError(
                f"correction {key} was answered before",
                remedy="write down a new request; what was published stays as it is",
            )
        cursor.execute(
            "UPDATE correction SET outcome = ?, resolved_at = ?, public_note = ?"
            " WHERE correction_key = ?",
            [str(outcome), datetime.now(UTC), said, key],
        )
        _note(cursor, account, f"correction {outcome}", key)


def corrections(store: Store, *, until: datetime | None = None) -> list[Correction]:
    """Return the ledger as it stood at ``until`` (or now), the latest request first.

    What was answered later is open in it.
    """
    rows = store._read(
        "SELECT c.*, m.text AS claim, a.outlet, a.title, a.url,"
        " (SELECT list(o.opt_out) FROM article_opt_out AS o WHERE o.article_key = a.article_key)"
        " AS opt_outs FROM correction AS c JOIN mention AS m USING (mention_key)"
        " JOIN article AS a USING (article_key)"
        " WHERE ?::TIMESTAMPTZ IS NULL OR c.received_at < ? ORDER BY c.correction_key DESC",
        [until, until],
    )
    found = []
    for r in rows:
        received, resolved = convert.utc(r["received_at"]), convert.utc(r["resolved_at"])
        assert received is not None
        answered = resolved is not None and (until is None or resolved < until)
        found.append(
            Correction(
                key=r["correction_key"],
                mention_key=r["mention_key"],
                claim=r["claim"],
                outlet=r["outlet"],
                title=r["title"],
                url=r["url"],
                request=r["request"],
                received_at=received,
                outcome=Outcome(r["outcome"]) if answered else None,
                resolved_at=resolved if answered else None,
                public_note=r["public_note"] if answered else "",
                refused=bool(OPT_OUTS & set(r["opt_outs"] or ())),
            )
        )
    return found


_REVERSALS: Final = """
WITH before AS (
    SELECT r.mention_key, arg_max(r.decision, r.review_key) AS decision
    FROM review AS r
    WHERE r.undoes IS NULL AND r.decision <> 'SKIPPED' AND r.created_at < ?
        AND NOT EXISTS (
            SELECT 1 FROM review AS u WHERE u.undoes = r.review_key AND u.created_at < ?
        )
    GROUP BY r.mention_key
)
SELECT d.mention_key, m.text AS claim, b.decision AS before, d.decision AS after,
    d.created_at AS changed_at,
    (SELECT list(o.opt_out) FROM article_opt_out AS o WHERE o.article_key = m.article_key)
        AS opt_outs
FROM current_review AS d
JOIN before AS b ON b.mention_key = d.mention_key
JOIN mention AS m ON m.mention_key = d.mention_key
WHERE d.decision <> 'SKIPPED' AND d.decision <> b.decision
    AND d.created_at >= ? AND d.created_at < ?
ORDER BY d.review_key
"""


def reversals(store: Store, start: datetime, end: datetime) -> list[Reversal]:
    """Return the conclusions that stood at ``start`` and were changed before ``end``.

    A slip that was undone before the week ended was never published, so it is not among them.
    """
    found = []
    for r in store._read(_REVERSALS, [start, start, start, end]):
        changed = convert.utc(r["changed_at"])
        assert changed is not None
        found.append(
            Reversal(
                mention_key=r["mention_key"],
                claim=r["claim"],
                before=Decision(r["before"]),
                after=Decision(r["after"]),
                changed_at=changed,
                refused=bool(OPT_OUTS & set(r["opt_outs"] or ())),
            )
        )
    return found
