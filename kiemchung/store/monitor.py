"""What the monitor's views show: counts of stories, claims, passages, runs and conclusions.

Nothing here is a figure about a person or an outlet's merit: an outlet has its stories and claims
counted, and that is all. What the batch wrote changes only when a run is merged, what people wrote
only when somebody concludes; so each answer is kept until one of the two has changed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from kiemchung.domain import Decision, NeiReason
from kiemchung.errors import InputError
from kiemchung.store import convert
from kiemchung.store.monitor_rows import (
    Coverage,
    CrawlWeek,
    Kinds,
    Load,
    ModelFigures,
    OutletVolume,
    OwnLoad,
    Place,
    Recurrence,
    Returning,
    Spread,
    Topic,
    Unjudged,
    Volume,
)
from kiemchung.store.store import Store

T = TypeVar("T")
MAX_PLACES: Final = 2000
"""Of one claim; more dots are no picture."""


_STORY: Final = "coalesce(nullif(a.story_id, ''), a.article_id)"
_OF_WEEKS: Final = (
    "r.week IN (SELECT DISTINCT week FROM run WHERE week <= ? ORDER BY 1 DESC LIMIT ?)"
)

_VOLUME: Final = f"""
WITH art AS (
    SELECT DISTINCT r.week, a.article_key, {_STORY} AS story, a.about_cooperatives
    FROM run_article AS x JOIN run AS r USING (run_key) JOIN article AS a USING (article_key)
    WHERE {_OF_WEEKS}
),
said AS (
    SELECT m.article_key, bool_or(m.checkability = 'CHECKABLE') AS claim,
        bool_or(coalesce(j.flagged, false)) AS flagged
    FROM mention AS m
    LEFT JOIN current_judgement AS c ON c.mention_key = m.mention_key
    LEFT JOIN judgement AS j ON j.judgement_key = c.judgement_key
    WHERE m.article_key IN (SELECT article_key FROM art)
    GROUP BY m.article_key
)
SELECT week, count(DISTINCT article_key) AS articles,
    count(DISTINCT story) AS stories,
    count(DISTINCT story) FILTER (WHERE claim) AS claim_stories,
    count(DISTINCT story) FILTER (WHERE flagged) AS flagged_stories
FROM art LEFT JOIN said USING (article_key)
WHERE about_cooperatives
GROUP BY week ORDER BY week
"""
_CONTRARY_STORIES: Final = f"""
SELECT r.week, count(DISTINCT {_STORY}) AS n
FROM current_review AS d
JOIN mention AS m ON m.mention_key = d.mention_key
JOIN article AS a ON a.article_key = m.article_key
JOIN run_article AS x ON x.article_key = a.article_key
JOIN run AS r ON r.run_key = x.run_key
WHERE d.decision = 'REFUTED' AND a.about_cooperatives AND {_OF_WEEKS}
GROUP BY r.week
"""
# An article that several weekly runs hold was new once: its mentions belong to the first of them.
_FIRST_WEEKS: Final = """
SELECT x.mention_key, min(r.week) AS week
FROM run_mention AS x JOIN run AS r ON r.run_key = x.run_key
GROUP BY x.mention_key
"""
# The weeks before the shown ones count too: a claim is new only when it never was there.
_CLAIM_WEEKS: Final = f"""
WITH cw AS (
    SELECT m.claim_id, w.week, bool_or(coalesce(j.flagged, false)) AS flagged
    FROM ({_FIRST_WEEKS}) AS w
    JOIN mention AS m ON m.mention_key = w.mention_key
    LEFT JOIN current_judgement AS c ON c.mention_key = m.mention_key
    LEFT JOIN judgement AS j ON j.judgement_key = c.judgement_key
    WHERE m.checkability = 'CHECKABLE' AND w.week <= ?
    GROUP BY m.claim_id, w.week
),
first AS (SELECT claim_id, min(week) AS week FROM cw GROUP BY claim_id)
SELECT cw.week,
    count(*) FILTER (WHERE cw.week = first.week) AS new,
    count(*) FILTER (WHERE cw.week > first.week) AS recurring,
    count(*) FILTER (WHERE cw.week = first.week AND cw.flagged) AS flagged_new,
    count(*) FILTER (WHERE cw.week > first.week AND cw.flagged) AS flagged_recurring
FROM cw JOIN first USING (claim_id)
GROUP BY cw.week ORDER BY cw.week
"""
# The Monday on which an ISO week begins, midnight in Viet Nam.
_MONDAY: Final = "(strptime(r.week || '-1', '%G-W%V-%u') - INTERVAL 7 HOUR)::TIMESTAMPTZ"
_RETURNED: Final = f"""
SELECT r.week, count(DISTINCT m.claim_id) AS n
FROM (
    SELECT m.claim_id, min(d.created_at) AS since
    FROM current_review AS d JOIN mention AS m USING (mention_key)
    WHERE d.decision = 'REFUTED' GROUP BY m.claim_id
) AS f
JOIN mention AS m ON m.claim_id = f.claim_id
JOIN ({_FIRST_WEEKS}) AS r ON r.mention_key = m.mention_key
WHERE m.checkability = 'CHECKABLE' AND f.since < {_MONDAY} AND {_OF_WEEKS}
GROUP BY r.week
"""
_OUTLETS: Final = f"""
SELECT a.outlet, count(DISTINCT a.article_key) AS articles, count(DISTINCT {_STORY}) AS stories,
    count(DISTINCT m.claim_id) AS claims
FROM run_article AS x
JOIN run AS r ON r.run_key = x.run_key
JOIN article AS a ON a.article_key = x.article_key
LEFT JOIN mention AS m ON m.article_key = a.article_key AND m.checkability = 'CHECKABLE'
WHERE r.week = ? AND a.about_cooperatives
GROUP BY a.outlet ORDER BY a.outlet
"""
_TOPICS: Final = """
WITH beside AS (
    SELECT DISTINCT p.topic, m.claim_id, m.mention_key, j.flagged
    FROM current_judgement AS c
    JOIN run AS r ON r.run_key = c.run_key
    JOIN judgement AS j ON j.judgement_key = c.judgement_key
    JOIN mention AS m ON m.mention_key = c.mention_key
    JOIN judgement_evidence AS e ON e.judgement_key = c.judgement_key AND e.on_point
    JOIN passage AS p ON p.passage_key = e.passage_key
    WHERE r.week = ?
),
latest AS (
    SELECT topic, arg_max(text, (valid_from, passage_key)) AS text,
        arg_max(citation, (valid_from, passage_key)) AS citation
    FROM passage GROUP BY topic
)
SELECT b.topic, any_value(l.text) AS text, any_value(l.citation) AS citation,
    count(DISTINCT b.claim_id) AS claims,
    count(DISTINCT b.claim_id) FILTER (WHERE b.flagged) AS flagged,
    count(DISTINCT b.claim_id) FILTER (WHERE d.decision = 'REFUTED') AS contrary
FROM beside AS b JOIN latest AS l USING (topic)
LEFT JOIN current_review AS d ON d.mention_key = b.mention_key
GROUP BY b.topic ORDER BY claims DESC, b.topic LIMIT ?
"""
_KINDS: Final = """
WITH marked AS (
    SELECT x.kind, count(DISTINCT m.claim_id) AS n
    FROM current_judgement AS c
    JOIN run AS r ON r.run_key = c.run_key
    JOIN judgement AS j ON j.judgement_key = c.judgement_key
    JOIN judgement_difference AS x ON x.judgement_key = c.judgement_key
    JOIN mention AS m ON m.mention_key = c.mention_key
    WHERE r.week = ? AND j.flagged GROUP BY x.kind
),
named AS (
    SELECT kind, count(DISTINCT claim_id) AS n FROM (
        SELECT unnest(d.distortions) AS kind, m.claim_id
        FROM current_review AS d JOIN mention AS m USING (mention_key)
        WHERE d.decision = 'REFUTED' AND d.mention_key IN (
            SELECT x.mention_key FROM run_mention AS x JOIN run AS r USING (run_key)
            WHERE r.week = ?
        )
    ) GROUP BY kind
)
SELECT coalesce(marked.kind, named.kind) AS kind, coalesce(marked.n, 0) AS flagged,
    coalesce(named.n, 0) AS concluded
FROM marked FULL JOIN named ON named.kind = marked.kind ORDER BY 1
"""
_COVERAGE: Final = f"""
SELECT r.week, j.status, j.label, j.nei_reason, count(DISTINCT m.claim_id) AS n
FROM current_judgement AS c
JOIN run AS r ON r.run_key = c.run_key
JOIN judgement AS j ON j.judgement_key = c.judgement_key
JOIN mention AS m ON m.mention_key = c.mention_key
WHERE {_OF_WEEKS}
GROUP BY ALL ORDER BY ALL
"""
_UNJUDGED: Final = f"""
SELECT min(m.mention_key) AS mention_key, arg_min(m.text, m.mention_key) AS text,
    arg_min(j.nei_reason, m.mention_key) AS reason, count(DISTINCT {_STORY}) AS stories
FROM current_judgement AS c
JOIN run AS r ON r.run_key = c.run_key
JOIN judgement AS j ON j.judgement_key = c.judgement_key
JOIN mention AS m ON m.mention_key = c.mention_key
JOIN article AS a ON a.article_key = m.article_key
WHERE r.week = ? AND (j.label = 'NOT_ENOUGH_INFO' OR j.status = 'abstained')
GROUP BY m.claim_id
ORDER BY stories DESC, mention_key LIMIT ?
"""
_LOAD_WEEK: Final = "strftime((created_at + INTERVAL 7 HOUR)::TIMESTAMP, '%G-W%V')"
_MODELS: Final = """
WITH did AS (
    SELECT j.model_id, j.base_version, min(r.week) AS first_week, max(r.week) AS last_week,
        count(DISTINCT x.judgement_key) AS judged,
        count(DISTINCT x.judgement_key) FILTER (WHERE j.flagged) AS flagged,
        count(DISTINCT x.judgement_key) FILTER (WHERE j.status = 'abstained') AS abstained,
        count(DISTINCT x.judgement_key) FILTER (WHERE j.status = 'failed') AS failed
    FROM run_judgement AS x
    JOIN run AS r ON r.run_key = x.run_key
    JOIN judgement AS j ON j.judgement_key = x.judgement_key
    GROUP BY j.model_id, j.base_version
),
answered AS (
    SELECT j.model_id, j.base_version,
        count(*) FILTER (WHERE j.flagged) AS flags_decided,
        count(*) FILTER (WHERE j.flagged AND d.decision = 'REFUTED') AS flags_agreed,
        count(*) FILTER (WHERE d.selected_as = 'sample') AS sample_decided,
        count(*) FILTER (WHERE d.selected_as = 'sample' AND d.decision = 'REFUTED')
            AS sample_contrary
    FROM current_review AS d JOIN judgement AS j ON j.judgement_key = d.judgement_key
    WHERE d.decision <> 'SKIPPED'
    GROUP BY j.model_id, j.base_version
)
SELECT did.*, coalesce(flags_decided, 0) AS flags_decided,
    coalesce(flags_agreed, 0) AS flags_agreed, coalesce(sample_decided, 0) AS sample_decided,
    coalesce(sample_contrary, 0) AS sample_contrary
FROM did LEFT JOIN answered USING (model_id, base_version)
ORDER BY last_week DESC, first_week DESC, model_id, base_version
"""
_RETURNING: Final = f"""
WITH came AS ({_FIRST_WEEKS}),
now AS (
    SELECT m.claim_id, min(m.mention_key) AS mention_key
    FROM current_judgement AS c
    JOIN came AS r ON r.mention_key = c.mention_key
    JOIN judgement AS j ON j.judgement_key = c.judgement_key
    JOIN mention AS m ON m.mention_key = c.mention_key
    WHERE r.week = ? AND j.flagged GROUP BY m.claim_id
),
past AS (
    SELECT m.claim_id, min(r.week) AS first_week, count(DISTINCT r.week) AS weeks,
        count(DISTINCT {_STORY}) AS stories
    FROM mention AS m
    SEMI JOIN now USING (claim_id)
    JOIN article AS a ON a.article_key = m.article_key
    JOIN came AS r ON r.mention_key = m.mention_key
    WHERE r.week <= ? GROUP BY m.claim_id
),
said AS (
    SELECT m.claim_id, arg_max(d.decision, d.review_key) AS decision,
        min(d.created_at) FILTER (WHERE d.decision = 'REFUTED') AS since
    FROM current_review AS d JOIN mention AS m USING (mention_key)
    WHERE d.decision <> 'SKIPPED' GROUP BY m.claim_id
)
SELECT now.mention_key, m.text, past.first_week, past.weeks, past.stories, said.decision,
    coalesce(said.since < {_MONDAY.replace("r.week", "?::VARCHAR")}, false) AS returned
FROM now JOIN past USING (claim_id) JOIN mention AS m ON m.mention_key = now.mention_key
LEFT JOIN said ON said.claim_id = now.claim_id
WHERE past.first_week < ?
ORDER BY returned DESC, past.stories DESC, now.mention_key LIMIT ?
"""
_PLACES: Final = """
SELECT m.mention_key, a.outlet, a.title, a.url, a.published_at, m.as_of, min(r.week) AS week,
    any_value(d.decision) AS decision
FROM mention AS m
JOIN article AS a ON a.article_key = m.article_key
JOIN run_mention AS x ON x.mention_key = m.mention_key
JOIN run AS r ON r.run_key = x.run_key
LEFT JOIN current_review AS d ON d.mention_key = m.mention_key AND d.decision <> 'SKIPPED'
WHERE m.claim_id = ?
GROUP BY ALL
ORDER BY a.published_at NULLS LAST, m.mention_key
"""


class Monitor:
    """The counts over one open store, kept until a run is merged or somebody concludes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._guard = threading.Lock()
        self._kept: dict[tuple[object, ...], tuple[tuple[object, ...], Any]] = {}

    def _version(self, *, people: bool) -> tuple[object, ...]:
        query = "SELECT (SELECT count(*) FROM run) AS n, (SELECT max(merged_at) FROM run) AS at"
        if people:
            query += ", (SELECT count(*) FROM review) AS reviews"
        (row,) = self._store._read(query)
        return tuple(row.values())

    def _kept_until(
        self, name: str, asked: Sequence[object], make: Callable[[], T], *, people: bool = False
    ) -> T:
        key = (name, *asked)
        with self._guard:  # two people who open the same page make its figures once
            version = self._version(people=people)
            known = self._kept.get(key)
            if known is None or known[0] != version:
                if len(self._kept) > 400:
                    self._kept.clear()
                known = (version, make())
                self._kept[key] = known
            found: T = known[1]
            return found

    def weeks(self) -> list[str]:
        """Return the weeks that have runs, latest first."""
        return self._kept_until("weeks", (), self._store.weeks)

    def merged_at(self, week: str) -> datetime:
        """Return when the latest run of ``week`` was merged.

        Raises:
            InputError: the week has no run.
        """
        (row,) = self._store._read("SELECT max(merged_at) AS at FROM run WHERE week = ?", [week])
        at = convert.utc(row["at"])
        if at is None:
            raise InputError(f"no run of {week}", remedy="see `kiemchung status`")
        return at

    def volume(self, week: str, *, weeks: int) -> list[Volume]:
        """Return the ``weeks`` weeks up to ``week``, oldest first."""
        machine = self._kept_until(
            "volume", (week, weeks), lambda: self._store._read(_VOLUME, [week, weeks])
        )
        people = self._kept_until(
            "contrary",
            (week, weeks),
            lambda: {
                r["week"]: r["n"] for r in self._store._read(_CONTRARY_STORIES, [week, weeks])
            },
            people=True,
        )
        return [Volume(**row, contrary_stories=people.get(row["week"], 0)) for row in machine]

    def recurrence(self, week: str, *, weeks: int) -> list[Recurrence]:
        """Return new, recurring and returned claims of the weeks up to ``week``, oldest first."""
        machine = self._kept_until(
            "claims", (week,), lambda: self._store._read(_CLAIM_WEEKS, [week])
        )
        people = self._kept_until(
            "returned",
            (week, weeks),
            lambda: {r["week"]: r["n"] for r in self._store._read(_RETURNED, [week, weeks])},
            people=True,
        )
        return [Recurrence(**row, returned=people.get(row["week"], 0)) for row in machine[-weeks:]]

    def outlets(self, week: str) -> list[OutletVolume]:
        """Return how much of each outlet was read in ``week``, by the outlet's key."""
        return self._kept_until(
            "outlets",
            (week,),
            lambda: [OutletVolume(**r) for r in self._store._read(_OUTLETS, [week])],
        )

    def topics(self, week: str, *, limit: int = 20) -> list[Topic]:
        """Return the rules that most claims of ``week`` are about."""
        return self._kept_until(
            "topics",
            (week, limit),
            lambda: [Topic(**r) for r in self._store._read(_TOPICS, [week, limit])],
            people=True,
        )

    def kinds(self, week: str) -> list[Kinds]:
        """Return the kinds of difference of ``week``."""
        return self._kept_until(
            "kinds",
            (week,),
            lambda: [Kinds(**r) for r in self._store._read(_KINDS, [week, week])],
            people=True,
        )

    def coverage(self, week: str, *, weeks: int) -> list[Coverage]:
        """Return what the base could say about the claims of the weeks up to ``week``."""
        return self._kept_until(
            "coverage",
            (week, weeks),
            lambda: _coverage(self._store._read(_COVERAGE, [week, weeks])),
        )

    def unjudged(self, week: str, *, limit: int = 20) -> list[Unjudged]:
        """Return the claims that most stories made and that the base could not judge."""
        return self._kept_until(
            "unjudged",
            (week, limit),
            lambda: [
                Unjudged(**(r | {"reason": convert.optional(NeiReason, r["reason"])}))
                for r in self._store._read(_UNJUDGED, [week, limit])
            ],
        )

    def crawl(self, week: str, *, weeks: int) -> list[CrawlWeek]:
        """Return where the addresses of the weeks up to ``week`` ended."""
        query = f"SELECT r.week, r.accounting, r.alarms FROM run AS r WHERE {_OF_WEEKS}"
        return self._kept_until(
            "crawl", (week, weeks), lambda: _crawl(self._store._read(query, [week, weeks]))
        )

    def load(self, *, weeks: int) -> list[Load]:
        """Return how much was concluded in the latest weeks that had conclusions, oldest first."""
        query = (
            f"SELECT {_LOAD_WEEK} AS week, count(*) AS conclusions,"
            " count(DISTINCT account_key) AS reviewers, sum(seconds) / 3600 AS hours"
            " FROM standing_review WHERE decision <> 'SKIPPED'"
            " GROUP BY 1 ORDER BY 1 DESC LIMIT ?"
        )
        return self._kept_until(
            "load",
            (weeks,),
            lambda: [Load(**r) for r in reversed(self._store._read(query, [weeks]))],
            people=True,
        )

    def own_load(self, week: str) -> list[OwnLoad]:
        """Return how much each account concluded in ``week``, by name."""
        query = (
            "SELECT a.name, count(*) AS conclusions, sum(r.seconds) / 3600 AS hours"
            " FROM standing_review AS r JOIN account AS a USING (account_key)"
            f" WHERE r.decision <> 'SKIPPED' AND {_LOAD_WEEK.replace('created_at', 'r.created_at')}"
            " = ? GROUP BY a.name ORDER BY a.name"
        )
        return self._kept_until(
            "own load",
            (week,),
            lambda: [OwnLoad(**r) for r in self._store._read(query, [week])],
            people=True,
        )

    def models(self) -> list[ModelFigures]:
        """Return what each model on each version of the base did, the latest first."""
        return self._kept_until(
            "models",
            (),
            lambda: [ModelFigures(**r) for r in self._store._read(_MODELS)],
            people=True,
        )

    def returning(self, week: str, *, limit: int = 50) -> list[Returning]:
        """Return the flagged claims of ``week`` that were there before, the returned ones first."""
        return self._kept_until(
            "returning",
            (week, limit),
            lambda: [
                Returning(**(r | {"decision": convert.optional(Decision, r["decision"])}))
                for r in self._store._read(_RETURNING, [week, week, week, week, limit])
            ],
            people=True,
        )

    def spread(self, mention_key: int) -> Spread | None:
        """Return every place of the claim that ``mention_key`` makes, None for no such mention."""
        found = self._store._read(
            "SELECT claim_id, text FROM mention WHERE mention_key = ?", [mention_key]
        )
        if not found:
            return None
        claim_id = found[0]["claim_id"]
        rows = self._kept_until(
            "places", (claim_id,), lambda: self._store._read(_PLACES, [claim_id]), people=True
        )
        return Spread(
            claim_id=claim_id,
            text=found[0]["text"],
            total=len(rows),
            places=tuple(
                Place(
                    **(
                        r
                        | {
                            "published_at": convert.utc(r["published_at"]),
                            "decision": convert.optional(Decision, r["decision"]),
                        }
                    )
                )
                for r in rows[:MAX_PLACES]
            ),
        )


def _coverage(rows: Sequence[dict[str, Any]]) -> list[Coverage]:
    weeks: dict[str, dict[str, Any]] = {}
    for r in rows:
        into = weeks.setdefault(
            r["week"], {"judged": 0, "reasons": {}, "abstained": 0, "failed": 0}
        )
        if r["status"] == "failed":
            into["failed"] += r["n"]
        elif r["status"] == "abstained":
            into["abstained"] += r["n"]
        elif r["label"] != "NOT_ENOUGH_INFO":
            into["judged"] += r["n"]
        else:
            reason = convert.optional(NeiReason, r["nei_reason"])
            into["reasons"][reason] = into["reasons"].get(reason, 0) + r["n"]
    return [Coverage(week=week, **found) for week, found in sorted(weeks.items())]


def _crawl(rows: Sequence[dict[str, Any]]) -> list[CrawlWeek]:
    weeks: dict[str, dict[str, int]] = {}
    names = ("discovered", "fetched", "refused", "failed", "quarantined", "alarms")
    for r in rows:
        sums = json.loads(r["accounting"])
        into = weeks.setdefault(r["week"], dict.fromkeys(names, 0))
        into["discovered"] += sums["discovered"]
        into["fetched"] += sums["fetched"]
        into["refused"] += sum(sums["refused"].values())
        into["failed"] += sum(sums["failed"].values())
        into["quarantined"] += sum(
            n
            for reason, n in sums["quarantined"].items()
            if reason not in ("off_topic", "not_article")
        )
        into["alarms"] += len(json.loads(r["alarms"]))
    return [CrawlWeek(week=week, **found) for week, found in sorted(weeks.items())]
