"""The store: one process owns the file, each request has its cursor, reviews are append-only."""

from __future__ import annotations

import json
import logging
import os
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from kiemchung.domain import (
    Accounting,
    Article,
    Decision,
    Difference,
    Distortion,
    Document,
    Judgement,
    Label,
    Mention,
    NeiReason,
    Review,
    Status,
)
from kiemchung.errors import BatchError, InputError, LeaseError, StoreError
from kiemchung.store import convert, details, inbox
from kiemchung.store.checks import problems
from kiemchung.store.claims import ClaimIndex
from kiemchung.store.connection import SideLock
from kiemchung.store.double import DOUBLE_SHARE, draw, keep_drawn
from kiemchung.store.filters import Filters
from kiemchung.store.leases import Leases
from kiemchung.store.merge import merge, prepared
from kiemchung.store.people import People
from kiemchung.store.queue import VIEWS, QueueCache
from kiemchung.store.rows import (
    Account,
    BlindChoice,
    Copy,
    DecidedPassage,
    FlagRow,
    Item,
    ItemReview,
    QueueEntry,
    RunRow,
    ShownPassage,
    WeekCounts,
)

LOG = logging.getLogger(__name__)
MAX_NOTE: Final = 4000
MAX_SECONDS: Final = 4 * 3600.0  # a page left open over lunch says nothing about effort

# These say that the rows are wrong, not that the machine is: the batch is set aside.
_BAD_ROWS: Final = (
    BatchError,
    duckdb.IntegrityError,
    duckdb.DataError,
    duckdb.ProgrammingError,
)

_MENTION: Final = (
    "m.mention_key, m.mention_id, a.article_id, m.claim_id, m.start_char AS start,"
    ' m.end_char AS "end", m.text, m.checkability, m.check_worthiness, m.speech, m.as_of,'
    " m.as_of_method"
)
_JUDGEMENT: Final = (
    "j.judgement_key, j.judgement_id, m.mention_id, j.model_id, j.base_version, j.threshold,"
    " j.status, j.label, j.nei_reason, j.p_supported, j.p_refuted, j.p_nei, j.flagged, j.error"
)
_PASSAGE: Final = (
    "p.passage_key, p.passage_id, p.doc_id, p.kind, p.locator, p.text, p.citation, p.valid_from,"
    " p.valid_to, p.url, p.topic, p.cues, p.excludes, p.conditions, p.supersedes, p.series,"
    " p.unit, p.as_of, p.checked"
)

_OPT_OUTS: Final = (
    "(SELECT list(o.opt_out ORDER BY o.opt_out) FROM article_opt_out AS o"
    " WHERE o.article_key = a.article_key)"
)
_REVIEWS: Final = (
    "SELECT r.*, m.mention_id, m.text, j.judgement_id, a.name AS reviewer FROM {} AS r"
    " JOIN mention AS m USING (mention_key) JOIN account AS a USING (account_key)"
    " LEFT JOIN judgement AS j ON j.judgement_key = r.judgement_key"
)


def _current(mention_key: int) -> str:
    """Return the current judgement of one mention as a table, not made of all mentions."""
    return f"(SELECT * FROM current_judgement WHERE mention_key = {int(mention_key)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Beside:
    judgement: Judgement | None = None
    passages: tuple[ShownPassage, ...] = ()
    documents: tuple[Document, ...] = ()
    week: str = ""


class Store(People):
    """An open store; use it as a context manager, made by `open_store`."""

    def __init__(
        self,
        path: Path,
        connection: duckdb.DuckDBPyConnection,
        lock: SideLock,
        *,
        double_share: float = DOUBLE_SHARE,
    ) -> None:
        super().__init__(path, connection, lock)
        self.double_share = double_share
        self._queue = QueueCache()
        self.claims = ClaimIndex()
        self.leases = Leases(self)
        self.filters = Filters(self)

    # -- the batch -------------------------------------------------------------------------------

    def merge_inbox(self, folder: Path) -> list[str]:
        """Merge every waiting batch, one transaction each, and return their run ids.

        A damaged batch goes to ``quarantine/`` with its reason; the others are merged all the same.

        Raises:
            StoreError: the database failed; the batch stays and is merged at the next call.
        """
        merged = []
        with self._merging:
            while taken := inbox.take_over(folder):
                for path in taken:
                    try:
                        run_id = self._merge(inbox.read_batch(path))
                    except _BAD_ROWS as error:
                        target = inbox.quarantine(folder, path, str(error))
                        LOG.warning("batch %s refused: %s", target, error)
                        continue
                    finally:  # its tables may have been larger than all the rest
                        pa.default_memory_pool().release_unused()
                    inbox.discard(path)
                    merged.append(run_id)
        return merged

    def _merge(self, batch: inbox.ReadBatch) -> str:
        with self._cursor() as cursor:
            with prepared(cursor, batch):
                cursor.execute("BEGIN TRANSACTION")
                try:
                    merge(cursor, now=datetime.now(UTC))
                except BaseException:
                    cursor.execute("ROLLBACK")
                    raise
                cursor.execute("COMMIT")
            self.claims.rebuild(cursor)
            drawn = draw(cursor, self.double_share, now=datetime.now(UTC))
            if drawn.num_rows:
                with self._writing() as people:
                    keep_drawn(people, drawn)
            self._queue.rebuild(cursor)
            try:
                cursor.execute("CHECKPOINT")
            except duckdb.TransactionException:
                LOG.info("checkpoint put off: a request is reading")
        return batch.run_id

    # -- reading ---------------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """Return how many rows there are; machine rows as their runs stand now."""
        (row,) = self._read(
            "SELECT (SELECT count(*) FROM run) AS runs,"
            " (SELECT count(DISTINCT article_key) FROM run_article) AS articles,"
            " (SELECT count(DISTINCT mention_key) FROM run_mention) AS mentions,"
            " (SELECT count(DISTINCT claim_id) FROM mention SEMI JOIN run_mention"
            "  USING (mention_key)) AS claims,"
            " (SELECT count(DISTINCT judgement_key) FROM run_judgement) AS judgements,"
            " (SELECT count(*) FROM current_judgement JOIN judgement USING (judgement_key)"
            "  WHERE flagged) AS flags,"
            " (SELECT count(*) FROM document) AS documents,"
            " (SELECT count(*) FROM passage) AS passages,"
            " (SELECT count(*) FROM review) AS reviews,"
            " (SELECT count(*) FROM current_review WHERE decision <> 'SKIPPED') AS decided,"
            " (SELECT count(*) FROM account WHERE active) AS accounts"
        )
        return {name: int(value) for name, value in row.items()}

    def problems(self) -> list[str]:
        """Return what the check queries find wrong: doubled ids, dangling keys, lost rows."""
        with self._cursor() as cursor:
            return problems(cursor)

    def runs(self, week: str | None = None) -> list[RunRow]:
        """Return the merged runs, of one week or all, oldest first."""
        rows = self._read(
            "SELECT * FROM run LEFT JOIN run_health USING (run_key)"
            " WHERE ?::VARCHAR IS NULL OR week = ? ORDER BY run_key",
            [week, week],
        )
        return [
            RunRow(
                run_id=r["run_id"],
                week=r["week"],
                outlets=tuple(json.loads(r["outlets"])),
                code_version=r["code_version"],
                base_version=r["base_version"],
                model_id=r["model_id"],
                accounting=Accounting(**json.loads(r["accounting"])),
                alarms=tuple(json.loads(r["alarms"])),
                health=convert.health(r["health"]),
                articles=r["articles"],
                mentions=r["mentions"],
                judgements=r["judgements"],
            )
            for r in rows
        ]

    def weeks(self) -> list[str]:
        """Return the weeks that have runs, latest first."""
        return [r["week"] for r in self._read("SELECT DISTINCT week FROM run ORDER BY week DESC")]

    def _evidence(
        self, cursor: duckdb.DuckDBPyConnection, where: str, parameters: Sequence[object]
    ) -> dict[int, list[dict[str, Any]]]:
        rows = convert.records(
            cursor,
            "SELECT e.judgement_key, e.rank, e.score, e.on_point, p.sha256 AS passage_sha256,"
            f" {_PASSAGE} FROM judgement_evidence AS e JOIN passage AS p USING (passage_key)"
            f" WHERE {where} ORDER BY e.judgement_key, e.rank",
            parameters,
        )
        found: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            found[row["judgement_key"]].append(row)
        return found

    def _differences(
        self, cursor: duckdb.DuckDBPyConnection, where: str, parameters: Sequence[object]
    ) -> dict[int, list[Difference]]:
        rows = convert.records(
            cursor,
            f"SELECT * FROM judgement_difference WHERE {where} ORDER BY judgement_key, ordinal",
            parameters,
        )
        found: dict[int, list[Difference]] = defaultdict(list)
        for row in rows:
            found[row["judgement_key"]].append(
                Difference(
                    kind=Distortion(row["kind"]),
                    claim=row["claim"],
                    evidence=row["evidence"],
                    start=row["start_char"],
                    end=row["end_char"],
                )
            )
        return found

    def judged_mentions(self, *, flagged_only: bool = False) -> list[tuple[Mention, Judgement]]:
        """Return every judged mention with its current judgement, in the order of the store."""
        chosen = (
            "judgement_key IN (SELECT c.judgement_key FROM current_judgement AS c"
            " JOIN judgement AS x ON x.judgement_key = c.judgement_key"
            f"{' AND x.flagged' if flagged_only else ''})"
        )
        with self._cursor() as cursor:
            rows = convert.records(
                cursor,
                f"SELECT {_MENTION}, {_JUDGEMENT.replace('m.mention_id, ', '')}, r.run_id"
                " FROM current_judgement AS c JOIN judgement AS j"
                " ON j.judgement_key = c.judgement_key"
                " JOIN run AS r ON r.run_key = c.run_key"
                " JOIN mention AS m ON m.mention_key = c.mention_key"
                " JOIN article AS a ON a.article_key = m.article_key"
                f"{' WHERE j.flagged' if flagged_only else ''} ORDER BY m.mention_key",
            )
            evidence = self._evidence(cursor, f"e.{chosen}", [])
            differences = self._differences(cursor, chosen, [])
        return [
            (
                convert.mention(r),
                convert.judgement(
                    r,
                    r["run_id"],
                    evidence.get(r["judgement_key"], []),
                    differences.get(r["judgement_key"], []),
                ),
            )
            for r in rows
        ]

    def flags(self, week: str | None = None) -> list[FlagRow]:
        """Return the flagged mentions of ``week``, or all: most certain first.

        The week is that of the run whose judgement counts now.
        """
        with self._cursor() as cursor:
            rows = convert.records(
                cursor,
                f"SELECT {_MENTION}, {_JUDGEMENT.replace('m.mention_id, ', '')}, r.run_id, r.week,"
                " r.config_sha256, r.code_version, a.outlet, a.url, a.title, a.published_at,"
                " a.fetched_at, a.raw_sha256, a.story_id,"
                f" {_OPT_OUTS} AS opt_outs,"
                " (SELECT count(*) FROM mention AS c SEMI JOIN run_mention USING (mention_key)"
                "  WHERE c.claim_id = m.claim_id) AS copies,"
                " d.decision, d.created_at AS decided_at, d.decision_before_model,"
                " d.distortions, d.cited_passages, d.note"
                " FROM current_judgement AS q JOIN judgement AS j"
                " ON j.judgement_key = q.judgement_key"
                " JOIN run AS r ON r.run_key = q.run_key"
                " JOIN mention AS m ON m.mention_key = q.mention_key"
                " JOIN article AS a ON a.article_key = m.article_key"
                " LEFT JOIN current_review AS d ON d.mention_key = m.mention_key"
                "  AND d.decision <> 'SKIPPED'"
                " WHERE j.flagged AND (?::VARCHAR IS NULL OR r.week = ?)"
                " ORDER BY j.p_refuted DESC, m.mention_key",
                [week, week],
            )
            keys = [r["judgement_key"] for r in rows]
            inside = "list_contains(?::BIGINT[], judgement_key)"
            evidence = self._evidence(cursor, inside.replace("judg", "e.judg"), [keys])
            differences = self._differences(cursor, inside, [keys])
        return [
            convert.flag(
                r,
                evidence.get(r["judgement_key"], []),
                differences.get(r["judgement_key"], []),
            )
            for r in rows
        ]

    export_rows = flags

    def week_counts(self, week: str) -> WeekCounts:
        """Return how the claims of ``week`` stand; a claim of two runs counts once."""
        of_week = "run_key IN (SELECT run_key FROM run WHERE week = ?)"
        with self._cursor() as cursor:
            kinds = convert.records(
                cursor,
                "SELECT m.checkability, count(*) AS n FROM mention AS m WHERE m.mention_key IN"
                f" (SELECT mention_key FROM run_mention WHERE {of_week}) GROUP BY 1",
                [week],
            )
            judged = convert.records(
                cursor,
                "SELECT j.status, j.label, j.nei_reason, j.flagged, d.decision, count(*) AS n"
                " FROM current_judgement AS c JOIN judgement AS j USING (judgement_key)"
                " LEFT JOIN current_review AS d ON d.mention_key = c.mention_key"
                f" WHERE c.{of_week} GROUP BY ALL",
                [week],
            )
            sample = convert.records(
                cursor,
                "SELECT d.decision, count(*) AS n FROM (SELECT DISTINCT mention_key FROM selection"
                f" WHERE reason = 'sample' AND {of_week}) AS s"
                " LEFT JOIN current_review AS d USING (mention_key) GROUP BY 1",
                [week],
            )
        status: dict[Status, int] = defaultdict(int)
        label: dict[Label, int] = defaultdict(int)
        reason: dict[NeiReason, int] = defaultdict(int)
        decisions: dict[Decision, int] = defaultdict(int)
        flagged = 0
        for row in judged:
            status[Status(row["status"])] += row["n"]
            if row["label"] is not None:
                label[Label(row["label"])] += row["n"]
            if row["nei_reason"] is not None and row["label"] == Label.NOT_ENOUGH_INFO:
                reason[NeiReason(row["nei_reason"])] += row["n"]
            if row["decision"] is not None:
                decisions[Decision(row["decision"])] += row["n"]
            flagged += row["n"] if row["flagged"] else 0
        concluded = [r for r in sample if r["decision"] not in (None, "SKIPPED")]
        return WeekCounts(
            checkability={r["checkability"]: r["n"] for r in kinds},
            status=dict(status),
            label=dict(label),
            nei_reason=dict(reason),
            flagged=flagged,
            decisions=dict(decisions),
            sample_size=sum(r["n"] for r in sample),
            sample_decided=sum(r["n"] for r in concluded),
            sample_refuted=sum(r["n"] for r in concluded if r["decision"] == "REFUTED"),
        )

    # -- the queue and one item ------------------------------------------------------------------

    def queue(
        self, account: Account, *, view: str = "queue", week: str | None = None
    ) -> list[QueueEntry]:
        """Return the entries of a list in their order.

        ``queue`` holds what waits for a conclusion: flags by falling probability, with the blind
        sample strewn in at places drawn by hash, so that its place does not tell. ``flagged``
        holds all flags, ``decided`` what somebody concluded, ``all`` the judged claims.

        Raises:
            InputError: there is no such list.
        """
        if view not in VIEWS:
            raise InputError(f"no list {view!r}", remedy=f"known: {', '.join(VIEWS)}")
        with self._cursor() as cursor:
            found = self._queue.entries(
                cursor,
                account_key=account.key,
                view=view,
                week=week,
                taken=self.leases.taken(account.key),
            )
        chosen = self.filters.in_use(account) if view == "queue" else None
        return found if chosen is None else [e for e in found if chosen.lets_through(e)]

    def behind(
        self, account: Account, mention_key: int, *, view: str = "queue", week: str | None = None
    ) -> list[tuple[int, str]]:
        """Return mention and claim of the entries behind a mention; the list goes round.

        What others have open is left out. Asked before a conclusion, for `next_item` after it.
        """
        taken = self.leases.taken(account.key) if account.may_review else frozenset()
        found = self.queue(account, view=view, week=week)
        here = next((n for n, e in enumerate(found) if mention_key in e.mention_keys), None)
        rest = found if here is None else [*found[here + 1 :], *found[:here]]
        return [(e.mention_key, e.claim_id) for e in rest if e.claim_id not in taken]

    def next_item(self, account: Account, rest: Sequence[tuple[int, str]]) -> int | None:
        """Take the first of these entries that nobody else has open and return its mention."""
        if not account.may_review:
            return rest[0][0] if rest else None
        return self.leases.first_free(account.key, rest)

    def open_item(self, account: Account, mention_key: int) -> bool:
        """Take the claim of a mention in hand; False when somebody else has it open.

        A reader takes nothing and always may look.
        """
        if not account.may_review:
            return True
        claim_id = self._queue.claim_of(mention_key) or self._claim_of(mention_key)
        return claim_id is None or self.leases.take(account.key, claim_id)

    def _claim_of(self, mention_key: int) -> str | None:
        rows = self._read("SELECT claim_id FROM mention WHERE mention_key = ?", [mention_key])
        return str(rows[0]["claim_id"]) if rows else None

    def _hold(self, account: Account, mention_key: int) -> str | None:
        """Renew the lease behind a conclusion and return the claim.

        Raises:
            LeaseError: it ran out, and somebody else has the claim open now.
        """
        claim_id = self._claim_of(mention_key)
        mine = claim_id is None or not account.may_review or self.leases.take(account.key, claim_id)
        if not mine:
            raise LeaseError("somebody else has this claim open", remedy="go on to the next")
        return claim_id

    def refresh_queue(self, mention_keys: Sequence[int]) -> None:
        """Read again how these mentions stand, after a change of what people concluded."""
        with self._cursor() as cursor:
            self._queue.refresh(cursor, mention_keys)

    def rebuild_queue(self) -> None:
        """Build the reading order anew; the old one is served until it is ready."""
        with self._cursor() as cursor:
            self._queue.rebuild(cursor)

    def item(self, mention_key: int) -> Item | None:
        """Return a mention with all that stands beside it, None when there is no such mention."""
        with self._cursor() as cursor:
            found = convert.records(
                cursor,
                f"SELECT {_MENTION}, a.* EXCLUDE (article_key, article_id),"
                f" {_OPT_OUTS} AS opt_outs, c.judgement_key AS jk,"
                " c.run_key AS rk FROM mention AS m JOIN article AS a USING (article_key)"
                f" LEFT JOIN {_current(mention_key)} AS c ON c.mention_key = m.mention_key"
                " WHERE m.mention_key = ?",
                [mention_key],
            )
            if not found:
                return None
            row = found[0]
            mention = convert.mention(row)
            beside = _Beside()
            if row["jk"] is not None:
                beside = self._beside(cursor, row["jk"], row["rk"])
            others = ", ".join(map(str, self.claims.mentions(cursor, mention.claim_id))) or "0"
            copies = convert.records(
                cursor,
                "SELECT m.mention_key, a.outlet, a.title, a.url, a.published_at, m.as_of,"
                f" d.decision FROM (SELECT * FROM mention WHERE mention_key IN ({others})) AS m"
                " JOIN article AS a USING (article_key)"
                f" LEFT JOIN (SELECT * FROM current_review WHERE mention_key IN ({others})) AS d"
                " ON d.mention_key = m.mention_key"
                " WHERE m.claim_id = ? AND m.mention_key <> ?"
                " ORDER BY a.published_at NULLS LAST, m.mention_key LIMIT 50",
                [mention.claim_id, mention_key],
            )
            reviews = convert.records(
                cursor,
                _REVIEWS.format("current_review") + " WHERE r.mention_key = ?",
                [mention_key],
            )
        fetched = convert.utc(row["fetched_at"])
        assert fetched is not None
        article = Article(
            article_id=row["article_id"],
            published_at=convert.utc(row["published_at"]),
            fetched_at=fetched,
            opt_outs=tuple(row["opt_outs"] or ()),
            **{
                name: row[name]
                for name in (
                    "outlet", "url", "canonical_url", "title", "lead", "body", "published_method",
                    "raw_sha256", "title_method", "lead_method", "body_method", "noarchive",
                    "about_cooperatives", "topic_reason", "story_id", "copied_from",
                )
            },
        )  # fmt: skip
        return Item(
            mention_key=mention_key,
            mention=mention,
            article=article,
            week=beside.week,
            judgement=beside.judgement,
            passages=beside.passages,
            documents=beside.documents,
            copies=tuple(
                Copy(
                    mention_key=c["mention_key"],
                    outlet=c["outlet"],
                    title=c["title"],
                    url=c["url"],
                    published_at=convert.utc(c["published_at"]),
                    as_of=c["as_of"],
                    decision=convert.optional(Decision, c["decision"]),
                )
                for c in copies
            ),
            decision=convert.review(reviews[0]) if reviews else None,
        )

    def _beside(
        self, cursor: duckdb.DuckDBPyConnection, judgement_key: int, run_key: int
    ) -> _Beside:
        (row,) = convert.records(
            cursor,
            f"SELECT {_JUDGEMENT}, r.run_id, r.week FROM judgement AS j"
            " JOIN mention AS m USING (mention_key), run AS r"
            " WHERE j.judgement_key = ? AND r.run_key = ?",
            [judgement_key, run_key],
        )
        evidence = self._evidence(cursor, "e.judgement_key = ?", [judgement_key]).get(
            judgement_key, []
        )
        differences = self._differences(cursor, "judgement_key = ?", [judgement_key])
        judgement = convert.judgement(
            row, row["run_id"], evidence, differences.get(judgement_key, [])
        )
        before = [e["supersedes"] for e in evidence if e["supersedes"]]
        # Of several wordings of the version before, the one stored last.
        older = {
            r["passage_id"]: convert.passage(r)
            for r in convert.records(
                cursor,
                f"SELECT {_PASSAGE} FROM passage AS p WHERE list_contains(?::VARCHAR[],"
                " p.passage_id) ORDER BY p.passage_key",
                [before],
            )
        }
        shown = tuple(
            ShownPassage(
                passage=convert.passage(e),
                rank=e["rank"],
                on_point=e["on_point"],
                predecessor=older.get(e["supersedes"]),
            )
            for e in evidence
        )
        wanted = sorted({s.passage.doc_id for s in shown} | {p.doc_id for p in older.values()})
        documents = tuple(
            Document(
                short_names=tuple(json.loads(d["short_names"])),
                **{k: v for k, v in d.items() if k not in ("document_key", "short_names")},
            )
            for d in convert.records(
                cursor,
                "SELECT * FROM document WHERE list_contains(?::VARCHAR[], doc_id)"
                " ORDER BY document_key",
                [wanted],
            )
        )
        return _Beside(judgement=judgement, passages=shown, documents=documents, week=row["week"])

    # -- conclusions -----------------------------------------------------------------------------

    def blind_choice(self, account: Account, mention_key: int) -> BlindChoice | None:
        """Return what ``account`` concluded before it saw the suggestion, None if it has not.

        It counts for the passages that were shown: after new ones the item is blind again.
        """
        rows = self._read(
            "SELECT b.* FROM blind_choice AS b LEFT JOIN judgement AS j"
            " ON j.judgement_key = b.judgement_key"
            f" LEFT JOIN {_current(mention_key)} AS c ON c.mention_key = b.mention_key"
            " LEFT JOIN judgement AS k ON k.judgement_key = c.judgement_key"
            " WHERE b.mention_key = ? AND b.account_key = ?"
            " AND coalesce(j.evidence_sha256, '-') = coalesce(k.evidence_sha256, '-')"
            " ORDER BY b.choice_key DESC LIMIT 1",
            [mention_key, account.key],
        )
        if not rows:
            return None
        row = rows[0]
        return BlindChoice(
            decision=Decision(row["decision"]),
            distortions=tuple(Distortion(d) for d in row["distortions"]),
            cited_passages=tuple(row["cited_passages"]),
            note=row["note"],
        )

    def choose(
        self,
        account: Account,
        mention_key: int,
        decision: Decision,
        *,
        form_token: str,
        distortions: Sequence[Distortion] = (),
        cited_passages: Sequence[str] = (),
        note: str = "",
        seconds: float = 0.0,
        correction: str = "",
        excepted: Collection[int] = (),
    ) -> bool:
        """Keep the first, blind conclusion; False when this form was sent before.

        ``correction`` is the smallest one that would do, ``excepted`` the copies it does not mean.

        Raises:
            InputError: unknown mention, nothing cited for REFUTED, or a passage not shown.
        """
        if decision is Decision.SKIPPED:
            raise InputError("to skip is no conclusion", remedy="use decide()")
        self._hold(account, mention_key)
        with self._writing() as cursor:
            key = self._check(cursor, account, mention_key, decision, cited_passages)
            if self._sent_before(cursor, form_token):
                return False
            cursor.execute(
                "INSERT INTO blind_choice SELECT coalesce(max(choice_key), 0) + 1, ?, ?, ?, ?,"
                " ?::VARCHAR[], ?::VARCHAR[], ?, ?, ?, ? FROM blind_choice",
                [
                    mention_key,
                    key,
                    account.key,
                    str(decision),
                    [str(d) for d in distortions],
                    list(cited_passages),
                    note[:MAX_NOTE],
                    min(max(seconds, 0.0), MAX_SECONDS),
                    form_token,
                    datetime.now(UTC),
                ],
            )
            (made,) = cursor.execute("SELECT max(choice_key) FROM blind_choice").fetchone() or (0,)
            details.keep_choice(cursor, int(made), correction=correction, excepted=excepted)
        return True

    def decide(
        self,
        account: Account,
        mention_key: int,
        decision: Decision,
        *,
        form_token: str,
        decision_before_model: Decision | None = None,
        shown_model: bool = False,
        distortions: Sequence[Distortion] = (),
        cited_passages: Sequence[str] = (),
        note: str = "",
        seconds: float = 0.0,
        opened_from: str = "queue",
        correction: str = "",
        excepted: Collection[int] = (),
    ) -> int | None:
        """Add a review and return its id, None when this form was sent before.

        It covers the other mentions of the claim with the same passages, but those ``excepted``.

        Raises:
            LeaseError: somebody else has the claim open.
            InputError: unknown mention, nothing cited for REFUTED, or a passage not shown.
        """
        claim_id = self._hold(account, mention_key)
        with self._writing() as cursor:
            key = self._check(cursor, account, mention_key, decision, cited_passages)
            if self._sent_before(cursor, form_token):
                return None
            chosen = cursor.execute(
                "SELECT reason, probability FROM selection WHERE mention_key = ?"
                " ORDER BY reason, run_key DESC LIMIT 1",
                [mention_key],
            ).fetchone()
            review = self._append(
                cursor,
                mention_key=mention_key,
                judgement_key=key,
                account=account,
                decision=str(decision),
                before=None if decision_before_model is None else str(decision_before_model),
                shown_model=shown_model,
                distortions=[str(d) for d in distortions],
                cited=list(cited_passages),
                note=note[:MAX_NOTE],
                seconds=min(max(seconds, 0.0), MAX_SECONDS),
                opened_from=opened_from,
                selected=chosen or ("none", None),
                form_token=form_token,
                undoes=None,
            )
            details.keep_review(cursor, self, review, correction=correction, excepted=excepted)
        self.refresh_queue([mention_key])
        self.leases.release(account.key, claim_id)
        return review

    def undo(self, account: Account, review_id: int | None = None) -> int | None:
        """Undo the account's latest standing review, or the named one of its own.

        Returns the key of the mention, None when there is nothing to undo.
        """
        with self._writing() as cursor:
            rows = convert.records(
                cursor,
                "SELECT * FROM standing_review WHERE account_key = ?"
                " AND (?::BIGINT IS NULL OR review_key = ?) ORDER BY review_key DESC LIMIT 1",
                [account.key, review_id, review_id],
            )
            if not rows:
                return None
            row = rows[0]
            self._append(
                cursor,
                mention_key=row["mention_key"],
                judgement_key=row["judgement_key"],
                account=account,
                decision=row["decision"],
                before=row["decision_before_model"],
                shown_model=row["shown_model"],
                distortions=row["distortions"],
                cited=row["cited_passages"],
                note="",
                seconds=0.0,
                opened_from=row["opened_from"],
                selected=(row["selected_as"], row["probability"]),
                form_token="",
                undoes=row["review_key"],
            )
        self.refresh_queue([row["mention_key"]])
        return int(row["mention_key"])

    @staticmethod
    def _append(
        cursor: duckdb.DuckDBPyConnection,
        *,
        mention_key: int,
        judgement_key: int | None,
        account: Account,
        decision: str,
        before: str | None,
        shown_model: bool,
        distortions: list[str],
        cited: list[str],
        note: str,
        seconds: float,
        opened_from: str,
        selected: tuple[str, float | None],
        form_token: str,
        undoes: int | None,
    ) -> int:
        row = cursor.execute("SELECT coalesce(max(review_key), 0) + 1 FROM review").fetchone()
        assert row is not None
        cursor.execute(
            "INSERT INTO review VALUES (?, ?, ?, ?, ?, ?, ?, ?::VARCHAR[], ?::VARCHAR[], ?, ?, ?,"
            " ?, ?, ?, ?, ?)",
            [
                row[0], mention_key, judgement_key, account.key, decision, before, shown_model,
                distortions, cited, note, seconds, opened_from, selected[0], selected[1],
                form_token, datetime.now(UTC), undoes,
            ],
        )  # fmt: skip
        return int(row[0])

    @staticmethod
    def _sent_before(cursor: duckdb.DuckDBPyConnection, form_token: str) -> bool:
        if not form_token:
            raise InputError("no form token", remedy="load the page again")
        row = cursor.execute(
            "SELECT 1 FROM review WHERE form_token = ?"
            " UNION ALL SELECT 1 FROM blind_choice WHERE form_token = ?",
            [form_token, form_token],
        ).fetchone()
        return row is not None

    @staticmethod
    def _check(
        cursor: duckdb.DuckDBPyConnection,
        account: Account,
        mention_key: int,
        decision: Decision,
        cited_passages: Sequence[str],
    ) -> int | None:
        """Return the key of the judgement that the reviewer has before them."""
        if not account.may_review:
            raise InputError(f"{account.name} may only read", remedy="ask for another role")
        row = cursor.execute(
            f"SELECT c.judgement_key FROM mention AS m LEFT JOIN {_current(mention_key)} AS c"
            " ON c.mention_key = m.mention_key WHERE m.mention_key = ?",
            [mention_key],
        ).fetchone()
        if row is None:
            raise InputError(f"no mention {mention_key}", remedy="load the queue again")
        if decision is Decision.REFUTED and not cited_passages:
            raise InputError("a REFUTED needs a cited passage", remedy="tick at least one")
        details.check_citations(cursor, mention_key, row[0], cited_passages)
        return None if row[0] is None else int(row[0])

    def reviews(self) -> list[Review]:
        """Return every act of every reviewer, undone ones and undos included, oldest first."""
        rows = self._read(_REVIEWS.format("review") + " ORDER BY r.review_key")
        return [convert.review(r) for r in rows]

    def standing_reviews(self, account: Account, *, limit: int = 100) -> list[ItemReview]:
        """Return what ``account`` has concluded and not undone, latest first."""
        rows = self._read(
            _REVIEWS.format("standing_review")
            + " WHERE r.account_key = ? ORDER BY r.review_key DESC LIMIT ?",
            [account.key, limit],
        )
        return [
            ItemReview(review=convert.review(r), mention_key=r["mention_key"], text=r["text"])
            for r in rows
        ]

    def decided_passages(self) -> list[DecidedPassage]:
        """Return what stood on point beside each claim that is decided now, as it was then."""
        rows = self._read(
            "SELECT r.mention_key, m.text, m.as_of, r.decision, p.passage_id, p.sha256,"
            " p.text AS passage_text FROM current_review AS r JOIN mention AS m USING (mention_key)"
            " JOIN judgement AS j ON j.judgement_key = r.judgement_key"
            " JOIN judgement_evidence AS e ON e.judgement_key = r.judgement_key AND e.on_point"
            " JOIN passage AS p ON p.passage_key = e.passage_key"
            " WHERE r.decision <> 'SKIPPED' ORDER BY r.mention_key, e.rank"
        )
        return [DecidedPassage(**(r | {"decision": Decision(r["decision"])})) for r in rows]

    # -- backup ----------------------------------------------------------------------------------

    def backup(self, dest: Path) -> Path:
        """Write a consistent copy of everything to ``dest``, whole or not at all.

        Raises:
            StoreError: ``dest`` is the store itself, or cannot be written.
        """
        if dest.resolve() in (self.path.resolve(), self._lock.path.resolve()):
            raise StoreError(
                "a backup beside itself is none", where=str(dest), remedy="name another file"
            )
        dest.parent.mkdir(parents=True, exist_ok=True)
        temporary = dest.with_name(f".{dest.name}.{os.getpid()}.tmp")
        temporary.unlink(missing_ok=True)
        try:
            with self._people, self._merging, self._cursor() as cursor:
                (row,) = cursor.execute("SELECT current_database()").fetchall()
                quoted = str(temporary).replace("'", "''")
                cursor.execute(f"ATTACH '{quoted}' AS kiemchung_backup")
                try:
                    name = str(row[0]).replace('"', '""')
                    cursor.execute(f'COPY FROM DATABASE "{name}" TO kiemchung_backup')
                    cursor.execute("CHECKPOINT kiemchung_backup")
                finally:
                    cursor.execute("DETACH kiemchung_backup")
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(dest)
        finally:
            temporary.unlink(missing_ok=True)
            temporary.with_name(f"{temporary.name}.wal").unlink(missing_ok=True)
        return dest
