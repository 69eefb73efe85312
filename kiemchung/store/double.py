"""Planned double review: which claims two people conclude, where they disagree, who settles it.

Claims are drawn by hash, so the draw can be repeated and nobody chooses them; only claims that
nobody has concluded yet are drawn. Until two have concluded, the first conclusion holds nowhere
(`current_review`), so the second reviewer cannot meet it in any list, page or export.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import duckdb

from kiemchung.domain import Decision, Distortion
from kiemchung.errors import InputError
from kiemchung.store import convert
from kiemchung.store.rows import Account

if TYPE_CHECKING:
    from kiemchung.store.store import Store

DOUBLE_SHARE: Final = 0.1
"""Share of the claims in the queue that two people conclude; `double_review_share` changes it."""
MAX_REASON: Final = 2000


class Cause(StrEnum):
    """Why two reviewers concluded differently; a closed list, so that causes can be counted."""

    OTHER_READING = "other_reading"
    OTHER_DAY = "other_day"
    VAGUE_CLAIM = "vague_claim"
    SLIP = "slip"
    EVIDENCE_MISSING = "evidence_missing"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What one reviewer concluded about a disputed mention."""

    review_id: int
    reviewer: str
    decision: Decision
    decision_before_model: Decision | None
    distortions: tuple[Distortion, ...]
    cited_passages: tuple[str, ...]
    note: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A mention about which reviewers disagree and nobody has settled it."""

    mention_key: int
    text: str
    as_of: date
    outlet: str
    opinions: tuple[Opinion, ...]  # oldest first


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubleUnit:
    """A claim of the planned sample with everybody's own conclusion, by account name."""

    claim_id: str
    final: Mapping[str, str]
    blind: Mapping[str, str]  # before the suggestion was shown, where it was


def draw(cursor: duckdb.DuckDBPyConnection, share: float, *, now: datetime) -> list[dict[str, Any]]:
    """Return the mentions to plan for two among the claims in the queue; a repeat draws the same.

    Nothing is drawn while fewer than two people may review: the first conclusion would wait for a
    second for ever. Later copies of a claim that was drawn before are added to it. Only reads,
    because it looks through all claims: nobody's conclusion waits for it.
    """
    below = "g" if share >= 1.0 else f"{int(share * 2**32):08x}"  # "g": above every hex digit
    return convert.records(
        cursor,
        "WITH claim AS (SELECT DISTINCT m.claim_id FROM selection AS s"
        "  JOIN mention AS m USING (mention_key)"
        "  WHERE substring(sha256('double review' || chr(31) || m.claim_id), 1, 8) < ?"
        "  AND (SELECT count(*) FROM account WHERE active AND role <> 'reader') >= 2),"
        " known AS (SELECT DISTINCT claim_id FROM double_review),"
        " begun AS (SELECT DISTINCT m.claim_id FROM review AS r JOIN mention AS m"
        "  USING (mention_key))"
        " SELECT m.mention_key, m.claim_id, ?::DOUBLE AS probability, ?::TIMESTAMPTZ AS drawn_at"
        " FROM mention AS m ANTI JOIN double_review AS d ON d.mention_key = m.mention_key"
        " WHERE m.claim_id IN (FROM known) OR (m.claim_id IN (FROM claim)"
        "  AND m.claim_id NOT IN (FROM begun)) ORDER BY m.mention_key",
        [below, max(share, 1e-12), now],
    )


def keep_drawn(cursor: duckdb.DuckDBPyConnection, drawn: Sequence[Mapping[str, Any]]) -> None:
    """Write down what was drawn."""
    columns = ("mention_key", "claim_id", "probability", "drawn_at")
    cursor.execute(
        "INSERT INTO double_review SELECT unnest(?::BIGINT[]), unnest(?::VARCHAR[]),"
        " unnest(?::DOUBLE[]), unnest(?::TIMESTAMPTZ[])",
        [[row[name] for row in drawn] for name in columns],
    )


def disputes(store: Store) -> list[Dispute]:
    """Return what waits for an adjudicator, oldest disagreement first."""
    rows = store._read(
        "SELECT c.*, m.text, m.as_of, a.outlet, who.name AS reviewer FROM disputed AS d"
        " JOIN counting_review AS c ON c.mention_key = d.mention_key"
        " JOIN mention AS m ON m.mention_key = d.mention_key"
        " JOIN article AS a ON a.article_key = m.article_key"
        " JOIN account AS who ON who.account_key = c.account_key"
        " WHERE c.decision <> 'SKIPPED' ORDER BY c.review_key"
    )
    found: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["mention_key"], []).append(row)
    return [
        Dispute(
            mention_key=key,
            text=held[0]["text"],
            as_of=held[0]["as_of"],
            outlet=held[0]["outlet"],
            opinions=tuple(
                Opinion(
                    review_id=r["review_key"],
                    reviewer=r["reviewer"],
                    decision=Decision(r["decision"]),
                    decision_before_model=convert.optional(Decision, r["decision_before_model"]),
                    distortions=tuple(Distortion(d) for d in r["distortions"]),
                    cited_passages=tuple(r["cited_passages"]),
                    note=r["note"],
                    created_at=r["created_at"].astimezone(UTC),
                )
                for r in held
            ),
        )
        for key, held in found.items()
    ]


def adjudicate(
    store: Store,
    account: Account,
    mention_key: int,
    decision: Decision,
    *,
    cause: Cause,
    form_token: str,
    reason: str = "",
    distortions: Sequence[Distortion] = (),
    cited_passages: Sequence[str] = (),
    seconds: float = 0.0,
) -> int | None:
    """Settle a disagreement and return the review that holds, None when this form was sent before.

    The conclusions of the reviewers stay as they are; undoing the review opens the case again.

    Raises:
        InputError: no adjudicator, one of the parties, nothing to settle, or a skip.
    """
    if not account.may_adjudicate:
        raise InputError(f"{account.name} is no adjudicator", remedy="ask for another role")
    if decision is Decision.SKIPPED:
        raise InputError("to skip settles nothing")
    with store._writing() as cursor:
        known = store._check(cursor, account, mention_key, decision, cited_passages)
        if store._sent_before(cursor, form_token):
            return None
        parties = cursor.execute(
            "SELECT c.review_key, c.account_key FROM disputed AS d"
            " JOIN counting_review AS c ON c.mention_key = d.mention_key"
            " WHERE d.mention_key = ? AND c.decision <> 'SKIPPED' ORDER BY c.review_key",
            [mention_key],
        ).fetchall()
        if not parties:
            raise InputError("there is nothing to settle here", remedy="load the list again")
        if account.key in {a for _, a in parties}:
            raise InputError("one of the parties cannot settle it", remedy="ask somebody else")
        review = store._append(
            cursor,
            mention_key=mention_key,
            judgement_key=known.judgement_key,
            account=account,
            decision=str(decision),
            before=None,
            shown_model=True,
            distortions=[str(d) for d in distortions],
            cited=list(cited_passages),
            note=reason[:MAX_REASON],
            seconds=max(seconds, 0.0),
            opened_from="adjudication",
            selected=("none", None),
            form_token=form_token,
            undoes=None,
        )
        cursor.execute(
            "INSERT INTO adjudication SELECT coalesce(max(adjudication_key), 0) + 1, ?, ?, ?, ?,"
            " ?::BIGINT[], ? FROM adjudication",
            [
                review, mention_key, str(cause), reason[:MAX_REASON], [r for r, _ in parties],
                datetime.now(UTC),
            ],
        )  # fmt: skip
    store.refresh_queue([mention_key])
    return review


def double_units(store: Store) -> list[DoubleUnit]:
    """Return the planned claims with what each reviewer concluded; adjudications are left out.

    The sample was planned, so it stands for the queue; claims that two happened to open do not.
    """
    rows = store._read(
        "SELECT d.claim_id, a.name, arg_max(r.decision, r.review_key) AS final,"
        " arg_max(coalesce(r.decision_before_model, r.decision), r.review_key) AS blind"
        " FROM standing_review AS r JOIN double_review AS d USING (mention_key)"
        " JOIN account AS a USING (account_key)"
        " ANTI JOIN adjudication AS j ON j.review_key = r.review_key"
        " WHERE r.decision <> 'SKIPPED' GROUP BY d.claim_id, a.name ORDER BY d.claim_id, a.name"
    )
    finals: dict[str, dict[str, str]] = {}
    blinds: dict[str, dict[str, str]] = {}
    for row in rows:
        finals.setdefault(row["claim_id"], {})[row["name"]] = row["final"]
        blinds.setdefault(row["claim_id"], {})[row["name"]] = row["blind"]
    return [DoubleUnit(claim_id=c, final=finals[c], blind=blinds[c]) for c in finals]


def causes(store: Store) -> dict[Cause, int]:
    """Return how often each cause of disagreement was named in adjudications that stand."""
    rows = store._read(
        "SELECT j.cause, count(*) AS n FROM adjudication AS j"
        " SEMI JOIN standing_review AS r ON r.review_key = j.review_key GROUP BY 1"
    )
    return {Cause(r["cause"]): int(r["n"]) for r in rows}


def waiting_for_second(store: Store) -> int:
    """Return how many planned claims one person has concluded and a second has not."""
    (row,) = store._read(
        "SELECT count(DISTINCT d.claim_id) AS n FROM mention_standing AS s"
        " JOIN double_review AS d USING (mention_key)"
        " WHERE s.conclusions < 2 AND s.adjudicated_by IS NULL"
    )
    return int(row["n"])
