"""What the pages about the work ask: pace, waiting flags, and each week's blind sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kiemchung.estimates import Estimate, TimeBox, WeekSample, time_box, weighted_share
from kiemchung.priority import Urgency, urgency
from kiemchung.store.rows import Account, QueueEntry

if TYPE_CHECKING:
    from kiemchung.store.store import Store

ENOUGH: Final = 20
"""Own conclusions that make an own pace; with fewer that of everybody together is used."""
LATEST: Final = 500
PRIOR_RATE: Final = 0.02
"""Expected share of finds in the blind sample before anybody has concluded any of it."""


def pace(store: Store, account: Account) -> tuple[list[float], bool]:
    """Return measured seconds of conclusions, and whether they are ``account``'s own.

    Both steps count: the blind choice and the conclusion behind it. Nothing of it is stored as a
    figure of a person.
    """
    query = (
        "SELECT r.account_key = ? AS own, r.seconds + coalesce(b.seconds, 0) AS seconds"
        " FROM standing_review AS r LEFT JOIN ("
        "  SELECT mention_key, account_key, arg_max(seconds, choice_key) AS seconds"
        "  FROM blind_choice GROUP BY ALL) AS b"
        " ON b.mention_key = r.mention_key AND b.account_key = r.account_key"
        " WHERE r.decision <> 'SKIPPED' AND r.opened_from <> 'adjudication'"
        " AND r.seconds + coalesce(b.seconds, 0) BETWEEN 1 AND 1800"
        " ORDER BY r.review_key DESC LIMIT ?"
    )
    rows = store._read(query, [account.key, 20 * LATEST])
    own = [float(r["seconds"]) for r in rows if r["own"]][:LATEST]
    if len(own) >= ENOUGH:
        return own, True
    return [float(r["seconds"]) for r in rows][:LATEST], False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What so many minutes bring, and what would stay unread."""

    box: TimeBox | None  # None: nobody's pace was measured yet
    own_pace: bool
    waiting: int
    missed: Estimate | None  # refuted claims without a flag in a week, from the sample


def outlook(store: Store, account: Account, minutes: float) -> Outlook:
    """Return what ``minutes`` of reading bring to ``account`` in the order of its queue."""
    entries = store.queue(account)
    samples = week_samples(store)
    decided = sum(s.drawn_decided for s in samples)
    refuted = sum(s.drawn_refuted for s in samples)
    # One find more than seen in fifty more: a week without a find is no proof of none.
    rate = (refuted + 1) / (decided + 1 / PRIOR_RATE)
    chances = entries.chances(rate)
    seconds, own = pace(store, account)
    missed = None
    if decided:
        a_week = sum(s.unflagged for s in samples) / len(samples)
        share = weighted_share(
            [w for s in samples for w in s.refuted_weights],
            [w for s in samples for w in s.decided_weights],
            population=sum(s.unflagged for s in samples),
        )
        missed = Estimate(
            value=(share.value or 0.0) * a_week, low=share.low * a_week, high=share.high * a_week
        )
    return Outlook(
        box=time_box(minutes, seconds, chances),
        own_pace=own,
        waiting=len(entries),
        missed=missed,
    )


def week_samples(store: Store) -> list[WeekSample]:
    """Return for each week how its claims were selected and decided, latest week first.

    Everything is counted by canonical claim. A claim counts as flagged when any of its mentions of
    that week is; a conclusion about one of its mentions counts for the claim.
    """
    rows = store._read(
        "WITH decided AS (SELECT mention_key, decision FROM current_review"
        "  WHERE decision <> 'SKIPPED'),"
        " judged AS (SELECT r.week, m.claim_id, bool_or(j.flagged) AS flagged,"
        "   bool_or(d.mention_key IS NOT NULL) AS decided,"
        "   bool_or(coalesce(d.decision = 'REFUTED', false)) AS refuted"
        "  FROM current_judgement AS c JOIN judgement AS j ON j.judgement_key = c.judgement_key"
        "  JOIN run AS r ON r.run_key = c.run_key"
        "  JOIN mention AS m ON m.mention_key = c.mention_key"
        "  LEFT JOIN decided AS d ON d.mention_key = c.mention_key"
        "  WHERE m.checkability = 'CHECKABLE' GROUP BY ALL),"
        " drawn AS (SELECT r.week, m.claim_id, max(s.probability) AS probability,"
        "   bool_or(d.mention_key IS NOT NULL) AS decided,"
        "   bool_or(coalesce(d.decision = 'REFUTED', false)) AS refuted"
        "  FROM selection AS s JOIN run AS r USING (run_key) JOIN mention AS m USING (mention_key)"
        "  LEFT JOIN decided AS d ON d.mention_key = s.mention_key"
        "  WHERE s.reason = 'sample' GROUP BY ALL)"
        " SELECT j.week, count(*) FILTER (j.flagged) AS flags,"
        "  count(*) FILTER (j.flagged AND j.decided) AS flags_decided,"
        "  count(*) FILTER (j.flagged AND j.refuted) AS flags_refuted,"
        "  count(*) FILTER (NOT j.flagged) AS unflagged,"
        "  count(d.claim_id) FILTER (NOT j.flagged) AS drawn,"
        "  coalesce(list(1 / d.probability) FILTER (NOT j.flagged AND d.decided), []) AS decided,"
        "  coalesce(list(1 / d.probability) FILTER (NOT j.flagged AND d.refuted), []) AS refuted"
        " FROM judged AS j LEFT JOIN drawn AS d ON d.week = j.week AND d.claim_id = j.claim_id"
        " GROUP BY j.week ORDER BY j.week DESC"
    )
    return [
        WeekSample(
            week=r["week"],
            flags=r["flags"],
            flags_decided=r["flags_decided"],
            flags_refuted=r["flags_refuted"],
            unflagged=r["unflagged"],
            drawn=r["drawn"],
            decided_weights=tuple(r["decided"]),
            refuted_weights=tuple(r["refuted"]),
        )
        for r in rows
    ]


def urgency_of(entry: QueueEntry) -> Urgency:
    """Return the factors behind the place of an entry."""
    return urgency(
        p_refuted=entry.p_refuted,
        kinds=entry.kinds,
        stories=entry.stories,
        novelty=entry.novelty,
    )
