"""The store: one process owns the file, each request has its cursor, reviews are append-only."""

from __future__ import annotations

import json
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime
from functools import wraps
from itertools import chain, islice
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

import duckdb

from kiemchung.domain import (
    Accounting,
    Decision,
    Distortion,
    Judgement,
    Label,
    Mention,
    NeiReason,
    Review,
    Status,
)
from kiemchung.errors import BatchError, InputError, LeaseError, StoreError
from kiemchung.store import accounts, convert, details, forgetting, inbox, judged
from kiemchung.store.acts import Acts, Chosen
from kiemchung.store.checks import problems
from kiemchung.store.claims import ClaimIndex
from kiemchung.store.connection import (
    MERGING,
    STORE,
    SideLock,
    attach,
    checkpoint,
    is_database,
    transaction,
)
from kiemchung.store.double import DOUBLE_SHARE, draw, keep_drawn
from kiemchung.store.facts import Facts, ItemFacts, appearances, current, evidence_hashes
from kiemchung.store.filters import Filter, Filters
from kiemchung.store.leases import Leases
from kiemchung.store.merge import merge, prepared
from kiemchung.store.people import People
from kiemchung.store.queue import VIEWS, Listing, QueueCache
from kiemchung.store.rows import (
    Account,
    BlindChoice,
    ChoiceDetails,
    Copy,
    DecidedPassage,
    FlagRow,
    Item,
    ItemReview,
    QueueEntry,
    RunRow,
    Slot,
    WeekCounts,
)
from kiemchung.store.sealed import need_room, seal, written_back
from kiemchung.store.standing import Standing, literals, standings

LOG = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
_BEHIND: Final = 100
_APPEARANCE: Final = ("claim_id", "text", "as_of", "outlet", "title", "published_at")
MAX_NOTE: Final = 4000
MAX_SECONDS: Final = 4 * 3600.0  # a page left open over lunch says nothing about effort

# These say that the rows are wrong, not that the machine is: the batch is set aside.
_BAD_ROWS: Final = (
    BatchError,
    duckdb.IntegrityError,
    duckdb.DataError,
    duckdb.ProgrammingError,
)

_REVIEWS: Final = (
    "SELECT r.*, m.mention_id, m.text, j.judgement_id, a.name AS reviewer FROM {} AS r"
    " JOIN mention AS m USING (mention_key) JOIN account AS a USING (account_key)"
    " LEFT JOIN judgement AS j ON j.judgement_key = r.judgement_key"
)


def with_room(
    work: Callable[Concatenate[Store, P], T],
) -> Callable[Concatenate[Store, P], T]:
    """Let ``work``, which does nothing when it is done twice, find room beside a merge."""

    @wraps(work)
    def once_more(store: Store, /, *args: P.args, **named: P.kwargs) -> T:
        return store._with_room(lambda: work(store, *args, **named))

    return once_more


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
        self.claims = ClaimIndex()
        self.facts = Facts(self, self.claims)
        self.acts = Acts(self)
        self._queue = QueueCache(self.acts, self._words)
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
                        read = inbox.read_batch(path)
                        run_id = self._merge(read)
                    except _BAD_ROWS as error:
                        target = inbox.quarantine(folder, path, str(error))
                        LOG.warning("batch %s refused: %s", target, error)
                        continue
                    finally:
                        inbox.release()
                    inbox.discard(path)
                    merged.append(run_id)
        return merged

    def _merge(self, batch: inbox.ReadBatch) -> str:
        with (
            self._room(MERGING),
            self._cursor() as cursor,
            prepared(cursor, batch),
            transaction(cursor),
        ):
            merge(cursor, now=datetime.now(UTC))
            forgetting.apply(cursor)
        with self._room(MERGING):
            self._with_room(self._follow)
        return batch.run_id

    def _follow(self) -> None:
        """Bring what is kept in memory, and the planned double reviews, behind a merge."""
        with self._cursor() as cursor:
            self.claims.rebuild(cursor)
            self.facts.renew()  # behind the index, which says where the copies are
            drawn = draw(cursor, self.double_share, now=datetime.now(UTC))
            if drawn:
                with self._writing() as people:
                    keep_drawn(people, drawn)
            self._queue.rebuild(cursor)
            try:
                checkpoint(cursor)
            except duckdb.TransactionException:
                LOG.info("checkpoint put off: a request is reading")
            self._seal.note()

    def forget(
        self, names: Sequence[str], hashes: Sequence[str] = (), *, reason: str, who: str
    ) -> forgetting.Forgotten:
        """Overwrite an article that was withdrawn, named by its id or an address of it.

        ``hashes`` of addresses are kept, too, for batches that bring the article later.

        Raises:
            InputError: no reason, or nothing is known by those names.
        """
        with self._merging, self._writing() as cursor:
            found = {*hashes}.union(*(forgetting.hashes_of(cursor, name) for name in names))
            account = accounts.find(cursor, who)
            done = forgetting.forget(
                cursor,
                sorted(found),
                reason=reason,
                by=None if account is None else account.key,
                who=who,
            )
        with self._merging, self._cursor() as cursor:
            self.facts.forget()
            self.claims.rebuild(cursor)
            self.facts.forget()
            self._queue.rebuild(cursor)
            with suppress(duckdb.TransactionException):  # somebody is reading; the next one will
                checkpoint(cursor)
            self._seal.note()
        return done

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

    def schema(self) -> int:
        """Return the number of the schema's last step."""
        return int(self._read("SELECT max(number) AS n FROM schema_version")[0]["n"])

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
                f"SELECT {judged.MENTION}, {judged.JUDGEMENT}, r.run_id"
                " FROM current_judgement AS c JOIN judgement AS j"
                " ON j.judgement_key = c.judgement_key"
                " JOIN run AS r ON r.run_key = c.run_key"
                " JOIN mention AS m ON m.mention_key = c.mention_key"
                " JOIN article AS a ON a.article_key = m.article_key"
                f"{' WHERE j.flagged' if flagged_only else ''} ORDER BY m.mention_key",
            )
            evidence = judged.evidence(cursor, f"e.{chosen}", [])
            differences = judged.differences(cursor, chosen, [])
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
        """Return the flagged mentions of ``week``, or all: most certain first, then by address.

        The week is that of the run whose judgement counts now.
        """
        with self._cursor() as cursor:
            rows = convert.records(
                cursor,
                f"SELECT {judged.MENTION}, {judged.JUDGEMENT}, r.run_id, r.week,"
                " r.config_sha256, r.code_version, w.provenance, a.outlet, a.url, a.title,"
                " a.published_at,"
                " a.fetched_at, a.raw_sha256, a.story_id,"
                f" {judged.OPT_OUTS} AS opt_outs,"
                " (SELECT count(*) FROM mention AS c SEMI JOIN run_mention USING (mention_key)"
                "  WHERE c.claim_id = m.claim_id) AS copies,"
                " d.decision, d.created_at AS decided_at, d.decision_before_model,"
                " d.distortions, d.cited_passages, d.note"
                " FROM current_judgement AS q JOIN judgement AS j"
                " ON j.judgement_key = q.judgement_key"
                " JOIN run AS r ON r.run_key = q.run_key"
                " LEFT JOIN run_provenance AS w ON w.run_key = q.run_key"
                " JOIN mention AS m ON m.mention_key = q.mention_key"
                " JOIN article AS a ON a.article_key = m.article_key"
                " LEFT JOIN decided_mention AS h ON h.mention_key = m.mention_key"
                " LEFT JOIN review AS d ON d.review_key = h.review_key"
                " WHERE j.flagged AND (?::VARCHAR IS NULL OR r.week = ?)"
                # By address, not by key: keys tell in which order the weeks were merged.
                " ORDER BY j.p_refuted DESC, a.canonical_url, m.start_char, m.mention_id",
                [week, week],
            )
            keys = [r["judgement_key"] for r in rows]
            inside = "list_contains(?::BIGINT[], judgement_key)"
            evidence = judged.evidence(cursor, inside.replace("judg", "e.judg"), [keys])
            differences = judged.differences(cursor, inside, [keys])
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

    def queue(self, account: Account, *, view: str = "queue", week: str | None = None) -> Listing:
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
        if chosen is None:
            return found
        return self._filtered(found, chosen)

    def _words(self, slots: Sequence[Slot]) -> list[QueueEntry]:
        """Return the entries of a list with their words."""
        return self._with_room(lambda: self._worded(slots)) if slots else []

    def _worded(self, slots: Sequence[Slot]) -> list[QueueEntry]:
        with self._cursor() as cursor:
            told = {
                r["mention_key"]: r for r in appearances(cursor, {s.mention_key for s in slots})
            }
            latest = current(cursor, list(told))
            labels = dict(
                cursor.execute(
                    "SELECT judgement_key, label FROM judgement"
                    f" WHERE judgement_key IN ({literals(j for _, j in latest.values())})"
                ).fetchall()
            )
        found = []
        for slot in slots:
            row = told[slot.mention_key]
            label = labels.get(latest.get(slot.mention_key, (0, 0))[1])
            found.append(
                QueueEntry(
                    label=convert.optional(Label, label),
                    **{n: row[n] for n in _APPEARANCE},
                    **{f.name: getattr(slot, f.name) for f in fields(Slot) if f.name != "claim"},
                )
            )
        return found

    def _filtered(self, listed: Listing, chosen: Filter) -> Listing:
        """Return what a filter lets through; the words are looked through once an order."""
        if not chosen.reads:
            return listed.only(chosen.lets_through_of, chosen.lets_through, once_as=chosen)

        def load() -> frozenset[int]:
            rows = self._read(
                "SELECT mention_key FROM mention JOIN article AS a USING (article_key)"
                " WHERE mention_key IN (SELECT unnest(?::BIGINT[])) AND (? = '' OR a.outlet = ?)"
                " AND contains(lower(text), lower(?))",
                [listed.mentions(), chosen.outlet, chosen.outlet, chosen.words],
            )
            return frozenset(r["mention_key"] for r in rows)

        right = listed.once(("words", chosen.outlet, chosen.words), load)
        return listed.only(
            lambda order: chosen.lets_through_of(order) & order.with_mentions(right),
            lambda slot: slot.mention_key in right and chosen.lets_through(slot),
            once_as=chosen,
        )

    def behind(
        self, account: Account, mention_key: int, *, view: str = "queue", week: str | None = None
    ) -> list[int]:
        """Return the mentions of the next entries behind a mention; the list goes round.

        What others have open is left out. Asked before a conclusion, for `next_item` after it; so
        many that the others, who have one claim each, cannot take them all in the meantime.
        """
        held = self.leases.taken(account.key) if account.may_review else frozenset()
        taken = {hash(claim) for claim in held}
        found = self.queue(account, view=view, week=week)
        here = found.number_of(mention_key)
        places = range(len(found))
        rest = places if here is None else chain(places[here + 1 :], places[:here])
        slots = (found.slot(n) for n in rest)
        return list(islice((s.mention_key for s in slots if s.claim not in taken), _BEHIND))

    def next_item(self, account: Account, rest: Sequence[int]) -> int | None:
        """Take the first of these mentions that nobody else has open and return it."""
        if not account.may_review:
            return rest[0] if rest else None
        claims = ((key, self._claim_of(key) or "") for key in rest)
        return self.leases.first_free(account.key, claims)

    def open_item(self, account: Account, mention_key: int) -> bool:
        """Take the claim of a mention in hand; False when somebody else has it open.

        A reader takes nothing and always may look.
        """
        if not account.may_review:
            return True
        claim_id = self._claim_of(mention_key)
        return claim_id is None or self.leases.take(account.key, claim_id)

    def look_ahead(self, mention_key: int | None) -> None:
        """Do what need not be waited for, while a page is being read; never raises.

        The leases are written down, and what the page of ``mention_key`` will show is read.
        """
        try:
            self.leases.flush()
            if mention_key is not None:
                self.facts.warm(mention_key)
        except StoreError as error:  # whoever needs it will be told
            LOG.warning("could not look ahead: %s", error)

    def close(self) -> None:
        """Write the leases down and close the file."""
        if not self._closed and not self.broken:
            with suppress(StoreError):  # a full disk must not keep the file open
                self.leases.close()
        super().close()

    def _claim_of(self, mention_key: int) -> str | None:
        known = self.facts.item(mention_key)
        return None if known is None else known.mention.claim_id

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

        def build() -> None:
            with self._cursor() as cursor:
                self._queue.rebuild(cursor)

        self._with_room(build)

    def item(self, mention_key: int) -> Item | None:
        """Return a mention with all that stands beside it, None when there is no such mention."""
        known = self.facts.item(mention_key)
        if known is None:
            return None
        others = [p for p in self.facts.places(mention_key) if p.mention_key != mention_key]
        others = others[: details.MAX_COPIES]
        stand: dict[int, Standing] = {}
        decision = None
        touched = self.acts.reviewed([mention_key, *(p.mention_key for p in others)])
        with self._cursor() as cursor:
            if touched:
                stand = standings(cursor, touched)
            own = stand.get(mention_key)
            if own is not None and own.holds is not None:
                (row,) = convert.records(
                    cursor,
                    "SELECT r.*, a.name AS reviewer FROM review AS r JOIN account AS a"
                    f" USING (account_key) WHERE r.review_key = {own.holds}",
                )
                judgement = cursor.execute(
                    "SELECT judgement_id FROM judgement WHERE judgement_key = ?",
                    [row["judgement_key"]],
                ).fetchone()
                decision = convert.review(
                    row
                    | {
                        "mention_id": known.mention.mention_id,
                        "judgement_id": judgement[0] if judgement else "",
                    }
                )
        return Item(
            mention_key=mention_key,
            mention=known.mention,
            article=known.article,
            week=known.week,
            judgement=known.judgement,
            passages=known.passages,
            documents=known.documents,
            copies=tuple(
                Copy(
                    mention_key=p.mention_key,
                    outlet=p.outlet,
                    title=p.title,
                    url=p.url,
                    published_at=p.published_at,
                    as_of=p.as_of,
                    decision=stand[p.mention_key].decision if p.mention_key in stand else None,
                )
                for p in others
            ),
            decision=decision,
        )

    # -- conclusions -----------------------------------------------------------------------------

    def blind_choice(self, account: Account, mention_key: int) -> BlindChoice | None:
        """Return what ``account`` concluded before it saw the suggestion, None if it has not.

        It counts for the passages that were shown: after new ones the item is blind again.
        """
        if not self.acts.chosen(mention_key):
            return None
        known = self.facts.item(mention_key)
        kept = self.acts.latest(account.key, mention_key)
        if kept and known and kept.judgement_key == known.judgement_key:
            return kept.choice
        rows = self._read(
            "SELECT * FROM blind_choice WHERE mention_key = ? AND account_key = ?"
            " ORDER BY choice_key DESC",
            [mention_key, account.key],
        )
        now = None if known is None or known.judgement_key is None else known.evidence_sha256
        with self._cursor() as cursor:
            before = evidence_hashes(cursor, {r["judgement_key"] for r in rows} - {None})
        rows = [r for r in rows if before.get(r["judgement_key"]) == now]
        if not rows:
            return None
        row = rows[0]
        return BlindChoice(
            decision=Decision(row["decision"]),
            distortions=tuple(Distortion(d) for d in row["distortions"]),
            cited_passages=tuple(row["cited_passages"]),
            note=row["note"],
        )

    @with_room
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
        if self._repeated(form_token):
            return False
        self._hold(account, mention_key)
        with self._writing(numbered=True) as cursor:
            known = self._check(cursor, account, mention_key, decision, cited_passages)
            if self._sent_before(cursor, form_token):
                return False
            made = self._next_key(cursor, "blind_choice", "choice_key")
            cursor.execute(
                "INSERT INTO blind_choice VALUES (?, ?, ?, ?, ?, ?::VARCHAR[], ?::VARCHAR[], ?, ?,"
                " ?, ?)",
                [
                    made,
                    mention_key,
                    known.judgement_key,
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
            details.keep_choice(cursor, made, correction=correction, excepted=excepted)
            self.acts.note_choice(mention_key, form_token)
        self.acts.keep(
            account.key,
            mention_key,
            Chosen(
                choice=BlindChoice(
                    decision=decision,
                    distortions=tuple(distortions),
                    cited_passages=tuple(cited_passages),
                    note=note[:MAX_NOTE],
                ),
                details=ChoiceDetails(
                    correction=correction.strip()[: details.MAX_CORRECTION],
                    excepted=frozenset(excepted),
                ),
                judgement_key=known.judgement_key,
            ),
        )
        return True

    @with_room
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
        if self._repeated(form_token):
            self.refresh_queue([mention_key])  # it may have failed the first time
            return None
        claim_id = self._hold(account, mention_key)
        with self._writing(numbered=True) as cursor:
            known = self._check(cursor, account, mention_key, decision, cited_passages)
            if self._sent_before(cursor, form_token):
                return None
            review = self._append(
                cursor,
                mention_key=mention_key,
                judgement_key=known.judgement_key,
                account=account,
                decision=str(decision),
                before=None if decision_before_model is None else str(decision_before_model),
                shown_model=shown_model,
                distortions=[str(d) for d in distortions],
                cited=list(cited_passages),
                note=note[:MAX_NOTE],
                seconds=min(max(seconds, 0.0), MAX_SECONDS),
                opened_from=opened_from,
                selected=(known.selected_as, known.probability),
                form_token=form_token,
                undoes=None,
            )
            details.keep_review(
                cursor,
                self,
                review,
                mention_key=mention_key,
                known=known,
                decision=decision,
                cited=cited_passages,
                correction=correction,
                excepted=excepted,
            )
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

    def _append(
        self,
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
        key = self._next_key(cursor, "review", "review_key")
        self.acts.note_review([mention_key], form_token)
        # Our own numbers and words as literals: seventeen parameters cost a millisecond more.
        numbers = [
            "NULL" if n is None else repr(n) for n in (key, mention_key, judgement_key, account.key)
        ]
        known = ["NULL" if w is None else f"'{Decision(w)}'" for w in (decision, before)]
        cursor.execute(
            f"INSERT INTO review VALUES ({', '.join(numbers + known)}, {bool(shown_model)},"
            " ?::VARCHAR[], ?::VARCHAR[], ?, ?, ?, ?, ?, ?, ?,"
            f" {'NULL' if undoes is None else int(undoes)})",
            [
                distortions, cited, note, seconds, opened_from, selected[0], selected[1],
                form_token, datetime.now(UTC),
            ],
        )  # fmt: skip
        return key

    def _repeated(self, form_token: str) -> bool:
        """Whether this form was sent before, asked before a lease is touched.

        Somebody who sends a form twice has the next claim open already and keeps it.
        """
        if not self.acts.sent(form_token):
            return False
        with self._cursor() as cursor:
            return self._sent_before(cursor, form_token)

    def _sent_before(self, cursor: duckdb.DuckDBPyConnection, form_token: str) -> bool:
        if not form_token:
            raise InputError("no form token", remedy="load the page again")
        if not self.acts.sent(form_token):
            return False
        row = cursor.execute(
            "SELECT 1 FROM review WHERE form_token = ?"
            " UNION ALL SELECT 1 FROM blind_choice WHERE form_token = ?",
            [form_token, form_token],
        ).fetchone()
        return row is not None

    def _check(
        self,
        cursor: duckdb.DuckDBPyConnection,
        account: Account,
        mention_key: int,
        decision: Decision,
        cited_passages: Sequence[str],
    ) -> ItemFacts:
        """Return what the reviewer has before them."""
        if not account.may_review:
            raise InputError(f"{account.name} may only read", remedy="ask for another role")
        known = self.facts.item(mention_key)
        if known is None:
            raise InputError(f"no mention {mention_key}", remedy="load the queue again")
        if decision is Decision.REFUTED and not cited_passages:
            raise InputError("a REFUTED needs a cited passage", remedy="tick at least one")
        details.check_citations(cursor, known, cited_passages)
        return known

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

        Nobody waits for it: it is the state of one moment, and what is written meanwhile is not in
        it. Batches are merged afterwards. Its SHA-256 is written beside it.

        Raises:
            StoreError: ``dest`` is the store itself, or there is no room for it.
        """
        if dest.resolve() in (self.path.resolve(), self._lock.path.resolve()):
            raise StoreError(
                "a backup beside itself is none", where=str(dest), remedy="name another file"
            )
        if dest.exists() and not is_database(dest):
            raise StoreError(
                "there is a file that is no backup", where=str(dest), remedy="name another file"
            )
        dest.parent.mkdir(parents=True, exist_ok=True)
        need_room(dest.parent, self.path.stat().st_size, "a backup")
        temporary = dest.with_name(f".{dest.name}.{os.getpid()}.tmp")

        def copy() -> None:
            temporary.unlink(missing_ok=True)
            with self._cursor() as cursor:
                attach(cursor, temporary, "kiemchung_backup")
                try:
                    with written_back(temporary):
                        cursor.execute(f"COPY FROM DATABASE {STORE} TO kiemchung_backup")
                        cursor.execute("CHECKPOINT kiemchung_backup")
                finally:
                    cursor.execute("DETACH kiemchung_backup")

        try:
            with self._merging:
                self._with_room(copy)
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.chmod(0o600)  # it holds accounts
            temporary.replace(dest)
            seal(dest)
        finally:
            temporary.unlink(missing_ok=True)
            temporary.with_name(f"{temporary.name}.wal").unlink(missing_ok=True)
        return dest
