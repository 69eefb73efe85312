"""A plain model of store and review, and a machine that does the same to it and to a real store.

The model knows no SQL, no cache and no keys: runs are batches, acts are a list, and everything that
counts is worked out of both from the beginning. After each step the store has to say what the model
says: counts, what stands, what is disputed, who waits for what, who has what open, and what is
exported. tests/kiemchung/test_stateful.py takes a few hundred steps, benchmarks/stateful.py ten
thousand.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kiemchung.domain import Batch, Checkability, Decision, Judgement, Label, Mention
from kiemchung.errors import InputError, LeaseError
from kiemchung.store import Account, Store, details, double, open_store, reopening
from kiemchung.store.conclusions import conclusions
from kiemchung.store.decided import decided, publishable
from kiemchung.store.double import Cause
from kiemchung.store.inbox import waiting, write_batch
from kiemchung.store.merge import SAMPLE_SHARE
from kiemchung.store.reopening import Replaced
from pipeline.export import export
from tests.batches import NEW_PASSAGE, OLD_PASSAGE, batch, judgement, rejudged

SKIP = Decision.SKIPPED
WEEKS = ("2026-W40", "2026-W41", "2026-W39")
PEOPLE = (("an", "reviewer"), ("binh", "reviewer"), ("chi", "adjudicator"), ("dao", "admin"))
APPENDED = (
    "review", "blind_choice", "reopening", "adjudication", "double_review", "review_copy",
    "review_citation", "review_correction", "choice_correction", "choice_exception", "audit",
    "article", "mention", "judgement", "passage",
)  # fmt: skip
"""Tables of which no row may ever change or go."""


# -- batches -----------------------------------------------------------------------------------


def variant(week: str, kind: int, size: int) -> Batch:
    """Return a batch of ``week``: as first judged, or as a later judgement of it would be."""
    given = batch(week=week, flags=3, copies=2, quiet=size, suffix=week[-1])
    if kind == 1:
        return rejudged(given, 0.83)
    if kind == 2:  # the first flag is withdrawn, beside the same passages
        return _judged(given, 0, label=Label.NOT_ENOUGH_INFO, p_refuted=0.3, shown=(NEW_PASSAGE,))
    if kind == 3:  # the second rests on another passage
        return _judged(
            given, 1, label=Label.REFUTED, p_refuted=0.9, flagged=True, shown=(OLD_PASSAGE,)
        )
    if kind == 4:  # the last copy is not there any more
        gone = given.judgements[4].mention_id
        article = next(m.article_id for m in given.mentions if m.mention_id == gone)
        return replace(
            given,
            articles=tuple(a for a in given.articles if a.article_id != article),
            mentions=tuple(m for m in given.mentions if m.article_id != article),
            judgements=tuple(j for j in given.judgements if j.mention_id != gone),
        )
    return given


def _judged(given: Batch, place: int, **values: Any) -> Batch:
    old = given.judgements[place]
    of = next(m for m in given.mentions if m.mention_id == old.mention_id)
    new = judgement(of, run_id=given.run.run_id, **values)
    kept = (*given.judgements[:place], new, *given.judgements[place + 1 :])
    return replace(given, judgements=kept)


# -- the model ---------------------------------------------------------------------------------


@dataclass(slots=True)
class Act:
    """A conclusion, or the undoing of one."""

    key: int
    mention: str
    who: str
    decision: Decision
    undoes: int | None = None
    covers: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(slots=True)
class Model:
    """All that was handed in and all that people did, in order."""

    runs: dict[str, Batch] = field(default_factory=dict)
    mentions: dict[str, Mention] = field(default_factory=dict)
    articles: set[str] = field(default_factory=set)
    acts: list[Act] = field(default_factory=list)
    marks: list[tuple[int, str, str, str]] = field(default_factory=list)  # act, mention, cause, why
    settling: set[int] = field(default_factory=set)
    planned: set[str] = field(default_factory=set)
    choices: list[tuple[str, str, Decision, tuple[str, ...]]] = field(default_factory=list)
    leases: dict[str, str] = field(default_factory=dict)  # claim -> who
    roles: dict[str, str] = field(default_factory=dict)
    active: set[str] = field(default_factory=set)
    sessions: dict[str, str] = field(default_factory=dict)  # token -> who
    double_share: float = 0.0

    # -- the machine's side

    def merge(self, given: Batch) -> None:
        """A run replaces itself as a whole; what belongs to no run any more is not forgotten."""
        self.runs[given.run.run_id] = given
        self.mentions |= {m.mention_id: m for m in given.mentions}
        self.articles |= {a.article_id for a in given.articles}
        if len([w for w in self.active if self.roles[w] != "reader"]) >= 2:
            begun = {self.mentions[a.mention].claim_id for a in self.acts}
            known = {self.mentions[m].claim_id for m in self.planned}
            drawn = {c for c in self.drawn() if _below("double review", c, self.double_share)}
            wanted = known | (drawn - begun)
            self.planned |= {m.mention_id for m in self.mentions.values() if m.claim_id in wanted}

    def drawn(self) -> set[str]:
        """Return the claims that wait for people: flags, and the sample of the rest."""
        flags = {self.claim(j.mention_id) for b in self.runs.values() for j in b.judgements if j.flagged}  # fmt: skip
        return flags | {self.claim(m) for m in self.sampled()}

    def sampled(self) -> set[str]:
        """Return the mentions drawn for the blind sample: one a claim and run, the oldest."""
        found = set()
        for given in self.runs.values():
            first: dict[str, str] = {}
            for j in given.judgements:
                claim = self.claim(j.mention_id)
                checkable = self.mentions[j.mention_id].checkability is Checkability.CHECKABLE
                if checkable and not j.flagged and _below(given.run.week, claim, SAMPLE_SHARE):
                    first.setdefault(claim, j.mention_id)
            found |= set(first.values())
        return found

    def claim(self, mention: str) -> str:
        return self.mentions[mention].claim_id

    def judged(self) -> dict[str, Judgement]:
        """Return the judgement that counts for each mention: that of the latest week's last run.

        In whichever order the weeks came in.
        """
        by_week = sorted(self.runs.values(), key=lambda b: b.run.week)
        return {j.mention_id: j for b in by_week for j in b.judgements}

    def evidence(self, mention: str) -> tuple[str, ...] | None:
        """Return the passages on point beside a mention; None where nothing judged it."""
        found = self.judged().get(mention)
        return None if found is None else tuple(e.passage_id for e in found.evidence if e.on_point)

    # -- people's side

    def standing(self) -> list[Act]:
        undone = {a.undoes for a in self.acts}
        withdrawn = {key for key, _, cause, _ in self.marks if cause == "withdrawn"}
        return [a for a in self.acts if a.undoes is None and a.key not in undone | withdrawn]

    def counting(self, mention: str) -> dict[str, Act]:
        """Return what each person says of a mention: the latest conclusion, else the skip."""
        marked = {key for key, *_ in self.marks}
        found: dict[str, Act] = {}
        mine = [a for a in self.standing() if a.mention == mention and a.key not in marked]
        for act in sorted(mine, key=lambda a: (a.decision is not SKIP, a.key)):
            found[act.who] = act
        return found

    def said(self, mention: str) -> list[Act]:
        return [a for a in self.counting(mention).values() if a.decision is not SKIP]

    def settled(self, mention: str) -> Act | None:
        """Return the conclusion that holds because it was made here."""
        said = self.said(mention)
        last_word = [a for a in said if a.key in self.settling]
        if last_word:
            return max(last_word, key=lambda a: a.key)
        if self.disputed(mention) or (mention in self.planned and len(said) < 2):
            return None
        return max(said, key=lambda a: a.key, default=None)

    def disputed(self, mention: str) -> bool:
        said = self.said(mention)
        differ = len({a.decision for a in said}) > 1
        return differ and not any(a.key in self.settling for a in said)

    def holds(self) -> dict[str, Act]:
        """Return the conclusion that holds for each mention, made there or at a copy of it."""
        own = {m: a for m in self.mentions if (a := self.settled(m)) is not None}
        held: dict[str, Act] = {}
        for act in sorted(own.values(), key=lambda a: a.key):
            held |= dict.fromkeys(act.covers, act)
        return held | own

    def left_over(self) -> set[str]:
        """Return what somebody's conclusion was once about and none holds for now."""
        about = {m for a in self.acts if a.decision is not SKIP for m in (a.mention, *a.covers, *a.left_out)}  # fmt: skip
        return about - set(self.holds())

    def copies(self, mention: str) -> list[str]:
        """Return the other mentions of the claim beside the same passages, settled nowhere else."""
        held, beside = self.holds(), self.evidence(mention)
        return [
            m
            for m in self.mentions
            if m != mention
            and self.claim(m) == self.claim(mention)
            and self.evidence(m) == beside
            and (m not in held or held[m].mention == mention)
        ]

    # -- lists

    def entries(self) -> list[tuple[list[str], bool, bool]]:
        """Return the entries: mentions of a claim beside the same passages, flagged or not."""
        sampled, judged = self.sampled(), self.judged()
        groups: dict[tuple[Any, ...], list[str]] = {}
        for mention, found in judged.items():
            key = (self.claim(mention), self.evidence(mention), found.flagged)
            groups.setdefault(key, []).append(mention)
        return [
            (keys, flagged, not flagged and bool(sampled & set(keys)))
            for (_, _, flagged), keys in groups.items()
        ]

    def reopened(self, mention: str) -> bool:
        return self.settled(mention) is None and any(m == mention for _, m, _, _ in self.marks)

    def queue(self, who: str) -> set[frozenset[str]]:
        """Return what waits for ``who``, as sets of mentions."""
        left, found = self.left_over(), set()
        elsewhere = {c for c, holder in self.leases.items() if holder != who}
        for keys, flagged, sampled in self.entries():
            if self.claim(keys[0]) in elsewhere:
                continue
            if any(self.settled(k) for k in keys):
                rest = [k for k in keys if k in left]
                if rest and self._waits(rest, who):
                    found.add(frozenset(rest))
            elif (flagged or sampled or any(map(self.reopened, keys))) and self._waits(keys, who):
                found.add(frozenset(keys))
        return found

    def _waits(self, keys: list[str], who: str) -> bool:
        deciders = {a.who for k in keys for a in self.said(k)}
        spoken = {w for k in keys for w in self.counting(k)}
        planned = self.claim(keys[0]) in {self.claim(m) for m in self.planned}
        return (
            who not in spoken
            and not any(map(self.disputed, keys))
            and len(deciders) < (2 if planned else 1)
        )


def _below(word: str, claim: str, share: float) -> bool:
    drawn = hashlib.sha256(f"{word}\x1f{claim}".encode()).hexdigest()[:8]
    return share >= 1.0 or drawn < f"{int(share * 2**32):08x}"


# -- the machine -------------------------------------------------------------------------------

_template: list[Path] = []


def _prepared() -> Path:
    """Return a folder with a store in which four people have accounts; made once."""
    if not _template:
        folder = Path(tempfile.mkdtemp(prefix="kiemchung-office-"))
        with open_store(folder / "k.duckdb") as store:
            for name, role in PEOPLE:
                store.add_user(name, role=role)
        _template.append(folder)
    return _template[0]


DECISIONS = st.sampled_from([d for d in Decision if d is not SKIP])
WHO = st.sampled_from([name for name, _ in PEOPLE])
NUMBER = st.integers(0, 11)


class Office(RuleBasedStateMachine):
    """Batches and people, in any order, with a model beside them."""

    steps: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="kiemchung-office-")
        self.home = Path(self._folder.name)
        shutil.copytree(_prepared(), self.home, dirs_exist_ok=True)
        self.model = Model(roles=dict(PEOPLE), active={name for name, _ in PEOPLE})
        self.model.double_share = 0.4
        self.tokens = 0
        self.looked = 0
        self.kept: dict[str, Counter[Any]] = {}
        self._open()

    def _open(self) -> None:
        self.store: Store = open_store(self.home / "k.duckdb", double_share=0.4)
        keys = {u.name: u.key for u in self.store.users()}
        self.keys = keys
        self.names = {key: name for name, key in keys.items()}
        self.names_in_order = [name for name, _ in PEOPLE]

    def _who(self, name: str) -> Account:
        role = self.model.roles[name]
        return Account(key=self.keys[name], name=name, role=role, must_change=False)

    def teardown(self) -> None:
        self.the_rest()
        self.exports_say_what_the_model_says()
        self.store.close()
        self._folder.cleanup()

    def _token(self) -> str:
        self.tokens += 1
        return f"form-{self.tokens}"

    def _ids(self) -> dict[str, int]:
        rows = self.store._read("SELECT mention_id, mention_key FROM mention")
        return {r["mention_id"]: int(r["mention_key"]) for r in rows}

    def _pick(self, number: int) -> tuple[str, int]:
        judged = sorted(self.model.judged(), key=lambda m: (self.model.claim(m), m))
        # Flags and their copies are few among the quiet ones: half of the picks are theirs.
        flags = [m for m in judged if self.model.judged()[m].flagged]
        chosen = flags if number % 2 and flags else judged
        mention = chosen[number // 2 % len(chosen)]
        return mention, self._ids()[mention]

    def _note(self, what: str) -> None:
        Office.steps[what] += 1
        note(what)

    # -- rules: few, because hypothesis leaves some out of each run; what is done is drawn inside

    @rule(
        week=st.sampled_from(WEEKS),
        kind=st.integers(0, 4),
        size=st.integers(1, 8),
        how=st.sampled_from(["one", "one", "one", "two", "again", "broken", "restart"]),
    )
    def batches(self, week: str, kind: int, size: int, how: str) -> None:
        match how:
            case "one":
                self.merge_a_week(week, kind, size)
            case "two":
                self.merge_two_at_once(kind, size)
            case "again":
                self.hand_in_the_same_again(size)
            case "broken":
                self.hand_in_something_broken()
            case _:
                self.restart()

    @rule(who=WHO, number=NUMBER, decision=DECISIONS, mark=st.integers(0, 7))
    def conclusions(self, who: str, number: int, decision: Decision, mark: int) -> None:
        self.conclude(who, number, decision, skip=mark == 0, leave_out=mark % 2 == 1)

    @rule(who=WHO, number=NUMBER, decision=DECISIONS, mark=st.integers(0, 7))
    def two_about_one(self, who: str, number: int, decision: Decision, mark: int) -> None:
        """A second person concludes what the first just did: agreement or a dispute."""
        other = PEOPLE[(self.names_in_order.index(who) + 1 + mark % 2) % len(PEOPLE)][0]
        self.conclude(who, number, decision, skip=False, leave_out=False)
        self.conclude(other, number, Decision.SUPPORTED, skip=False, leave_out=mark > 4)

    @rule(
        who=WHO,
        number=NUMBER,
        decision=DECISIONS.filter(lambda d: d is not Decision.REFUTED),
        what=st.sampled_from(
            ["undo", "withdraw", "supersede", "adjudicate", "adjudicate", "choose"]
        ),
    )
    def second_thoughts(self, who: str, number: int, decision: Decision, what: str) -> None:
        match what:
            case "undo":
                self.undo(who)
            case "withdraw":
                self.withdraw(who, number)
            case "supersede":
                self.supersede(number, number % 4)
            case "adjudicate":
                self.adjudicate(who, decision)
            case _:
                self.choose_blind(who, number, decision)

    @rule(who=WHO, number=NUMBER, what=st.sampled_from(["open", "next", "leave"]))
    def desk(self, who: str, number: int, what: str) -> None:
        match what:
            case "open":
                self.open_item(who, number)
            case "next":
                self.ask_for_the_next(who)
            case _:
                self.leave(who)

    @rule(
        who=WHO,
        number=NUMBER,
        role=st.sampled_from(["reader", "reviewer", "adjudicator", "adjudicator", "admin"]),
        what=st.sampled_from(["sign in", "sign in", "sign out", "role", "active", "inactive"]),
    )
    def accounts(self, who: str, number: int, role: str, what: str) -> None:
        match what:
            case "sign in":
                self.sign_in(who)
            case "sign out":
                self.sign_out(number)
            case "role":
                self.change_role(who, role)
            case _:
                self.change_active(who, what == "active")

    # -- batches

    @initialize(size=st.integers(1, 8))
    def first_week(self, size: int) -> None:
        self._merge([variant(WEEKS[0], 0, size)])

    def _merge(self, given: list[Batch]) -> None:
        for one in given:
            write_batch(self.home / "inbox", one)
        in_turn = {b.run.run_id: b for b in given}
        merged = self.store.merge_inbox(self.home / "inbox")
        assert merged == sorted(in_turn)
        for run_id in merged:
            self.model.merge(in_turn[run_id])
        assert waiting(self.home / "inbox") == 0

    def merge_a_week(self, week: str, kind: int, size: int) -> None:
        self._note("merge")
        self._merge([variant(week, kind, size)])

    def merge_two_at_once(self, kind: int, size: int) -> None:
        self._note("merge two")
        self._merge([variant(WEEKS[1], kind, size), variant(WEEKS[2], 0, size)])

    def hand_in_the_same_again(self, number: int) -> None:
        self._note("merge again")
        runs = list(self.model.runs.values())
        self._merge([runs[number % len(runs)]])

    def hand_in_something_broken(self) -> None:
        self._note("merge broken")
        folder = write_batch(self.home / "inbox", variant("2026-W38", 0, 2))
        (folder / "mention.parquet").write_bytes(b"PAR1")
        assert self.store.merge_inbox(self.home / "inbox") == []

    def restart(self) -> None:
        self._note("restart")
        self.store.close()
        self._open()

    # -- conclusions

    def conclude(
        self, who: str, number: int, decision: Decision, skip: bool, leave_out: bool
    ) -> None:
        wanted = SKIP if skip and number % 3 == 0 else decision
        mention, key = self._pick(number)
        model, ids = self.model, self._ids()
        covered = [] if wanted is SKIP else model.copies(mention)
        out = covered[:1] if leave_out else []
        shown = model.evidence(mention) or ()
        given: dict[str, Any] = {
            "form_token": self._token(),
            "excepted": [ids[m] for m in out],
            "cited_passages": shown[:1],
        }
        account, claim = self._who(who), model.claim(mention)
        if model.roles[who] == "reader":
            self._note("reader refused")
            self._refused(account, key, wanted, given)
        elif model.leases.get(claim, who) != who:
            self._note("lease refused")
            self._refused(account, key, wanted, given, LeaseError)
        elif wanted is Decision.REFUTED and not shown:
            self._note("citation refused")
            self._refused(account, key, wanted, given)
            self._take(who, claim)
        else:
            self._note("conclude")
            review = self.store.decide(account, key, wanted, **given)
            assert review == len(model.acts) + 1
            assert self.store.decide(account, key, wanted, **given) is None  # the form sent twice
            act = Act(review, mention, who, wanted, None, tuple(m for m in covered if m not in out))
            act.left_out = tuple(out)
            model.acts.append(act)
            model.leases = {c: w for c, w in model.leases.items() if w != who}

    def _refused(
        self, account: Account, key: int, decision: Decision, given: Any, error: Any = InputError
    ) -> None:
        try:
            self.store.decide(account, key, decision, **given)
        except error:
            return
        raise AssertionError("not refused")

    def _take(self, who: str, claim: str) -> None:
        self.model.leases = {c: w for c, w in self.model.leases.items() if w != who} | {claim: who}

    def choose_blind(self, who: str, number: int, decision: Decision) -> None:
        mention, key = self._pick(number)
        claim = self.model.claim(mention)
        if self.model.roles[who] == "reader" or self.model.leases.get(claim, who) != who:
            return
        self._note("choose blind")
        assert self.store.choose(self._who(who), key, decision, form_token=self._token())
        beside = self.model.evidence(mention) or ()
        self.model.choices.append((who, mention, decision, beside))
        self._take(who, claim)

    def undo(self, who: str) -> None:
        self._note("undo")
        mine = [a for a in self.model.standing() if a.who == who]
        key = self.store.undo(self._who(who))
        if not mine:
            assert key is None
            return
        last = max(mine, key=lambda a: a.key)
        assert key == self._ids()[last.mention]
        number = len(self.model.acts) + 1
        self.model.acts.append(Act(number, last.mention, who, last.decision, last.key))

    def withdraw(self, who: str, number: int) -> None:
        may_all = self.model.roles[who] in ("adjudicator", "admin")
        acts = [a for a in self.model.standing() if a.decision is not SKIP]
        if not acts:
            return
        act = acts[number % len(acts)]
        try:
            reopening.withdraw(self.store, self._who(who), act.key, "nhầm")
        except InputError:
            assert act.who != who
            assert not may_all
            self._note("withdrawal refused")
            return
        assert act.who == who or may_all
        self._note("withdraw")
        self.model.marks.append((act.key, act.mention, "withdrawn", "nhầm"))

    def supersede(self, number: int, change: int) -> None:
        self._note("supersede")
        mention, key = self._pick(number)
        why = f"thay căn cứ {change}"
        opened = reopening.reopen(self.store, [Replaced(mention_key=key, reason=why)])
        known = {(m, w) for _, m, cause, w in self.model.marks if cause == "evidence_replaced"}
        said = [] if (mention, why) in known else self.model.said(mention)
        assert opened == ([key] if said else [])
        self.model.marks += [(a.key, mention, "evidence_replaced", why) for a in said]

    def adjudicate(self, who: str, decision: Decision) -> None:
        open_cases = double.disputes(self.store)
        if not open_cases:
            return
        key = open_cases[0].mention_key
        mention = next(m for m, k in self._ids().items() if k == key)
        parties = {a.who for a in self.model.said(mention)}
        may = self.model.roles[who] in ("adjudicator", "admin") and who not in parties
        try:
            review = double.adjudicate(
                self.store, self._who(who), key, decision, cause=Cause.SLIP,
                form_token=self._token(),
            )  # fmt: skip
        except InputError:
            assert not may
            self._note("adjudication refused")
            return
        assert may
        self._note("adjudicate")
        assert review is not None
        self.model.acts.append(Act(review, mention, who, decision))
        self.model.settling.add(review)

    # -- leases and accounts

    def open_item(self, who: str, number: int) -> None:
        self._note("open")
        mention, key = self._pick(number)
        claim = self.model.claim(mention)
        got = self.store.open_item(self._who(who), key)
        if self.model.roles[who] == "reader":
            assert got
            return
        assert got == (self.model.leases.get(claim, who) == who)
        if got:
            self._take(who, claim)

    def ask_for_the_next(self, who: str) -> None:
        self._note("next")
        account = self._who(who)
        listed = [e.mention_key for e in self.store.queue(account)]
        key = self.store.next_item(account, listed)
        assert key == (listed[0] if listed else None)
        if key is not None and self.model.roles[who] != "reader":
            self._take(who, self.model.claim(next(m for m, k in self._ids().items() if k == key)))

    def leave(self, who: str) -> None:
        self._note("leave")
        self.store.leases.release(self.keys[who])
        self.model.leases = {c: w for c, w in self.model.leases.items() if w != who}

    def sign_in(self, who: str) -> None:
        self._note("sign in")
        if who in self.model.active:
            self.model.sessions[self.store.open_session(self._who(who))] = who

    def change_role(self, who: str, role: str) -> None:
        before = self.model.roles[who]
        last = self._is_last_admin(who) and role != "admin"
        try:
            self.store.set_role(who, role)
        except InputError:
            assert last
            self._note("last administrator kept")
            return
        assert not last
        self._note("role")
        self.model.roles[who] = role
        if role != before:
            self._end_sessions(who)

    def change_active(self, who: str, active: bool) -> None:
        last = self._is_last_admin(who) and not active
        try:
            self.store.set_active(who, active)
        except InputError:
            assert last
            self._note("last administrator kept")
            return
        assert not last
        self._note("active")
        if active:
            self.model.active.add(who)
        elif who in self.model.active:
            self.model.active.discard(who)
            self._end_sessions(who)

    def _is_last_admin(self, who: str) -> bool:
        admins = {w for w in self.model.active if self.model.roles[w] == "admin"}
        return admins == {who}

    def _end_sessions(self, who: str) -> None:
        self.model.sessions = {t: ("" if w == who else w) for t, w in self.model.sessions.items()}

    def sign_out(self, number: int) -> None:
        living = sorted(t for t, w in self.model.sessions.items() if w)
        if not living:
            return
        self._note("sign out")
        token = living[number % len(living)]
        self.store.close_session(token)
        self.model.sessions[token] = ""

    # -- what must hold

    @invariant()
    def all_is_as_the_model_says(self) -> None:
        """What a step can break at once is looked at after each, the dear rest after each fourth."""
        self.conclusions_are_those_of_the_model()
        self.the_queue_holds_what_waits_and_nothing_else()
        self.nobody_shares_and_nobody_holds_two()
        self.sessions_live_and_end()
        self.looked += 1
        if self.looked % 4 == 0:
            self.the_rest()

    def the_rest(self) -> None:
        self.counts_are_those_of_the_model()
        self.disputes_are_those_of_the_model()
        self.blind_choices_count_for_their_passages()
        self.what_was_written_never_changes()

    def counts_are_those_of_the_model(self) -> None:
        if not self.model.runs:
            return
        model, judged = self.model, self.model.judged()
        counts = self.store.counts()
        runs = list(model.runs.values())
        assert counts["runs"] == len(runs)
        assert counts["articles"] == len({a.article_id for b in runs for a in b.articles})
        members = {m.mention_id for b in runs for m in b.mentions}
        assert counts["mentions"] == len(members)
        assert counts["claims"] == len({model.claim(m) for m in members})
        assert counts["flags"] == sum(j.flagged for j in judged.values())
        assert counts["reviews"] == len(model.acts)
        assert counts["decided"] == sum(model.settled(m) is not None for m in model.mentions)
        assert counts["accounts"] == len(model.active)
        assert len(self._ids()) == len(model.mentions)

    def conclusions_are_those_of_the_model(self) -> None:
        ids = self._ids()
        held = {ids[m]: a for m, a in self.model.holds().items()}
        with self.store._cursor() as cursor:
            found = details.settled(cursor, list(ids.values()))
        assert found == {k: (a.decision, ids[a.mention]) for k, a in held.items()}

    def disputes_are_those_of_the_model(self) -> None:
        ids = self._ids()
        disputes = {d.mention_key: d for d in double.disputes(self.store)}
        assert set(disputes) == {ids[m] for m in self.model.mentions if self.model.disputed(m)}
        for mention, key in ids.items():
            if key in disputes:
                said = sorted(self.model.said(mention), key=lambda a: a.key)
                assert [(o.review_id, o.reviewer, o.decision) for o in disputes[key].opinions] == [
                    (a.key, a.who, a.decision) for a in said
                ]

    def the_queue_holds_what_waits_and_nothing_else(self) -> None:
        ids = self._ids()
        for who in self.keys:
            listed = self.store.queue(self._who(who))
            found = [frozenset(s.mention_keys) for s in listed.slots()]
            assert len(found) == len(set(found)), "an entry stands twice"
            wanted = {frozenset(ids[m] for m in keys) for keys in self.model.queue(who)}
            assert set(found) == wanted, f"{who}: {set(found) ^ wanted}"

    def nobody_shares_and_nobody_holds_two(self) -> None:
        held = {x.claim_id: self.names[x.account_key] for x in self.store.leases.held()}
        assert held == self.model.leases
        assert len(set(held.values())) == len(held)

    def sessions_live_and_end(self) -> None:
        for token, who in self.model.sessions.items():
            account = self.store.session_account(token)
            assert (account.name if account else "") == who
            assert account is None or account.role == self.model.roles[who]

    def blind_choices_count_for_their_passages(self) -> None:
        ids = self._ids()
        for who, mention in {(w, m) for w, m, _, _ in self.model.choices}:
            beside = self.model.evidence(mention) or ()
            mine = [d for w, m, d, e in self.model.choices if (w, m, e) == (who, mention, beside)]
            kept = self.store.blind_choice(self._who(who), ids[mention])
            assert (kept.decision if kept else None) == (mine[-1] if mine else None)

    def what_was_written_never_changes(self) -> None:
        with self.store._cursor() as cursor:
            there = {n for (n,) in cursor.execute("SELECT table_name FROM duckdb_tables()").fetchall()}  # fmt: skip
            for table in APPENDED:
                if table not in there:
                    continue
                rows = cursor.execute(f"SELECT hash(COLUMNS(*)) FROM {table}").fetchall()
                now = Counter(rows)
                lost = self.kept.get(table, Counter()) - now
                assert not lost, f"{table}: a row changed or went"
                self.kept[table] = now

    def exports_say_what_the_model_says(self) -> None:
        """Every format holds the flags with the conclusion that stands; nothing is wrong inside."""
        assert self.store.problems() == []
        model = self.model
        held = model.holds()
        wanted = {
            m: (j.run_id, j.p_refuted, str(held[m].decision) if m in held else None)
            for m, j in model.judged().items()
            if j.flagged
        }
        out = self.home / "out"
        export(self.store, "jsonl", out=out)
        rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        found = {r["mention_id"]: (r["run_id"], r["p_refuted"], r["decision"]) for r in rows}
        assert found == wanted
        assert len(rows) == len(wanted)
        export(self.store, "csv", out=out)
        table = csv.DictReader(io.StringIO(out.read_text(encoding="utf-8"), newline=""))
        assert {r["mention_id"]: r["decision"] or None for r in table} == {
            m: d for m, (_, _, d) in wanted.items()
        }
        ids = {k: m for m, k in self._ids().items()}
        every = decided(self.store)
        assert {ids[d.mention_key]: d.decision for d in every if not d.disputed} == {
            m: a.decision for m, a in held.items()
        }
        places = [ids[d.mention_key] for p in publishable(every).found for d in p.places]
        assert sorted(places) == sorted(held)  # every decided place once, and no other
        data = conclusions(self.store)
        assert sum(data.states.values()) == data.reviews == len(model.acts)
        own = {m: model.settled(m) for m in model.mentions}
        assert dict(
            zip(data.rows["mention_id"].to_pylist(), data.rows["decision"].to_pylist(), strict=True)
        ) == {m: str(a.decision) for m, a in own.items() if a is not None}
