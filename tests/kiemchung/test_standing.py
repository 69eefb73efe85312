"""What is said of a few mentions from the rows, against what the views say of the whole store."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kiemchung.domain import Decision
from kiemchung.errors import InputError
from kiemchung.store import Account, Store, details, double, open_store, reopening
from kiemchung.store.double import Cause
from kiemchung.store.inbox import write_batch
from kiemchung.store.queue import VIEWS
from kiemchung.store.reopening import Replaced
from kiemchung.store.standing import few, literals, standings
from tests.batches import FLAG_CLAIM, NEW_PASSAGE, batch

CONCLUSIONS = st.sampled_from([d for d in Decision if d is not Decision.REFUTED])


def sign_up(store: Store, name: str, role: str) -> Account:
    account = store.authenticate(name, store.add_user(name, role=role))
    assert account is not None
    return account


class Acts(RuleBasedStateMachine):
    """Anything that people can do, in any order, by three of them."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.path = Path(self._folder.name) / "k.duckdb"
        self.store = open_store(self.path, double_share=0.5)
        write_batch(self.path.parent / "inbox", batch(flags=3, copies=2, quiet=3))
        self.store.merge_inbox(self.path.parent / "inbox")
        self.people = [
            sign_up(self.store, name, role)
            for name, role in (("an", "reviewer"), ("binh", "reviewer"), ("chi", "adjudicator"))
        ]
        rows = self.store._read("SELECT mention_key FROM run_judgement ORDER BY 1")
        self.keys = [int(r["mention_key"]) for r in rows]
        self.count = 0

    def teardown(self) -> None:
        self.store.close()
        self._folder.cleanup()

    who = st.integers(0, 2)
    number = st.integers(0, 7)

    def _token(self) -> str:
        self.count += 1
        return f"t{self.count}"

    @rule(who=who, number=number, decision=CONCLUSIONS, leave_out=st.booleans())
    def conclude(self, who: int, number: int, decision: Decision, leave_out: bool) -> None:
        key = self.keys[number % len(self.keys)]
        others = [p.mention_key for p in self.store.facts.places(key) if p.mention_key != key]
        self.store.leases.release(self.people[0].key)
        self.store.leases.release(self.people[1].key)
        self.store.leases.release(self.people[2].key)
        self.store.decide(
            self.people[who],
            key,
            decision,
            form_token=self._token(),
            excepted=others[:1] if leave_out else (),
        )

    @rule(who=who)
    def undo(self, who: int) -> None:
        self.store.undo(self.people[who])

    @rule(who=who, number=number)
    def withdraw(self, who: int, number: int) -> None:
        mine = self.store.standing_reviews(self.people[who])
        if mine:
            chosen = mine[number % len(mine)].review.review_id
            with suppress(InputError):  # a skip cannot be withdrawn
                reopening.withdraw(self.store, self.people[who], chosen, "nhầm")

    @rule(number=number)
    def replace_the_evidence(self, number: int) -> None:
        key = self.keys[number % len(self.keys)]
        one = Replaced(mention_key=key, reason=f"đổi {self.count}")
        reopening.reopen(self.store, [one])

    @rule(decision=CONCLUSIONS.filter(lambda d: d is not Decision.SKIPPED))
    def settle(self, decision: Decision) -> None:
        for dispute in double.disputes(self.store)[:1]:
            with suppress(InputError):  # the adjudicator may be one of the parties
                double.adjudicate(
                    self.store,
                    self.people[2],
                    dispute.mention_key,
                    decision,
                    cause=Cause.SLIP,
                    form_token=self._token(),
                )

    @invariant()
    def the_rows_say_what_the_views_say(self) -> None:
        with self.store._cursor() as cursor:
            everything = standings(cursor, None)
            assert standings(cursor, self.keys) == everything
            for key in self.keys:
                one = {k: s for k, s in everything.items() if k == key}
                assert standings(cursor, [key]) == one
            held = {
                k: (Decision(d), at)
                for k, d, at in cursor.execute(
                    "SELECT d.mention_key, d.decision, r.mention_key FROM decided_mention AS d"
                    " JOIN review AS r USING (review_key)"
                ).fetchall()
            }
            assert details.settled(cursor, self.keys) == held
            left = details.left_over(cursor, None)
            assert details.left_over(cursor, self.keys) == left
            current = dict(
                cursor.execute("SELECT mention_key, review_key FROM current_review").fetchall()
            )
        for key in self.keys:
            item = self.store.item(key)
            assert item is not None
            shown = None if item.decision is None else item.decision.review_id
            assert shown == current.get(key)
            told = details.history(self.store, key)
            assert {p.mention_key: p.decision for p in told.places if p.decision} == {
                p.mention_key: held[p.mention_key][0] for p in told.places if p.mention_key in held
            }

    @invariant()
    def the_kept_lists_are_those_of_a_fresh_start(self) -> None:
        kept = {(a.key, v): list(self.store.queue(a, view=v)) for a in self.people for v in VIEWS}
        fresh = Store(self.path, self.store._connection, self.store._lock, double_share=0.5)
        # The order itself is made again after a reopening only; a restart makes it, too.
        self.store.rebuild_queue()
        for account in self.people:
            for view in VIEWS:
                again = list(fresh.queue(account, view=view))
                assert list(self.store.queue(account, view=view)) == again
                assert sorted(e.mention_key for e in kept[account.key, view]) == sorted(
                    e.mention_key for e in again
                )


TestActs = Acts.TestCase
TestActs.settings = settings(max_examples=2, stateful_step_count=12, deadline=None)


@given(st.lists(st.integers(-3, 90_000), max_size=30))
def test_few_keys_in_stretches_find_what_one_list_finds(keys: list[int]) -> None:
    with duckdb.connect() as memory:
        memory.execute("CREATE TABLE t AS SELECT range AS k, range % 7 AS v FROM range(80000)")
        asked = few("SELECT k, v FROM t", "k", keys)
        found = memory.execute(f"SELECT * FROM ({asked}) ORDER BY k").fetchall()
    assert found == [(k, k % 7) for k in sorted({k for k in keys if 0 <= k < 80_000})]
    assert asked.count("BETWEEN") <= 1 + 90_000 // 10_000


def test_no_keys_are_no_question(tmp_path: Path) -> None:
    with open_store(tmp_path / "k.duckdb") as store, store._cursor() as cursor:
        assert standings(cursor, []) == {}
        assert literals([]) == "-1"


def test_a_blind_choice_counts_for_its_passages_only(tmp_path: Path) -> None:
    with open_store(tmp_path / "k.duckdb", double_share=0.0) as store:
        write_batch(tmp_path / "inbox", batch(flags=1, copies=0, quiet=0))
        store.merge_inbox(tmp_path / "inbox")
        an, binh = sign_up(store, "an", "reviewer"), sign_up(store, "binh", "reviewer")
        key = store.queue(an)[0].mention_key
        assert store.blind_choice(an, key) is None
        store.choose(
            an, key, Decision.REFUTED, form_token="t", cited_passages=[NEW_PASSAGE.passage_id],
            note="ghi chú", correction=" 7 → 5 ", excepted=[99],
        )  # fmt: skip
        kept = store.blind_choice(an, key)
        beside = details.choice_details(store, an, key)
        assert kept is not None
        assert (kept.decision, kept.note) == (Decision.REFUTED, "ghi chú")
        assert (beside.correction, beside.excepted) == ("7 → 5", frozenset({99}))
        assert store.blind_choice(binh, key) is None
        assert not store.choose(an, key, Decision.SUPPORTED, form_token="t")  # sent twice
        # What memory says is what the file says: after a restart it is the same.
    with open_store(tmp_path / "k.duckdb", double_share=0.0) as store:
        assert store.blind_choice(an, key) == kept
        assert details.choice_details(store, an, key) == beside
        assert not store.choose(an, key, Decision.SUPPORTED, form_token="t")
        assert store.queue(an)[0].text == FLAG_CLAIM
        with store._writing() as cursor:
            cursor.execute("UPDATE judgement SET evidence_sha256 = 'others'")
        store.facts.forget()
        assert store.blind_choice(an, key) == kept  # both are of the same judgement
        with store._writing() as cursor:
            cursor.execute(
                "INSERT INTO judgement SELECT judgement_key + 1000, judgement_id || 'x',"
                " content_sha256, 'newer', mention_key, * EXCLUDE (judgement_key, judgement_id,"
                " content_sha256, evidence_sha256, mention_key) FROM judgement"
            )
            cursor.execute(
                "INSERT INTO judgement_evidence SELECT judgement_key + 1000, * EXCLUDE"
                " (judgement_key) FROM judgement_evidence"
            )
            cursor.execute(
                "INSERT INTO run_judgement SELECT run_key + 1, mention_key, judgement_key + 1000"
                " FROM run_judgement"
            )
            cursor.execute(
                "INSERT INTO run SELECT run_key + 1, run_id || 'x', * EXCLUDE (run_key, run_id)"
                " FROM run"
            )
        store.facts.forget()
        assert store.blind_choice(an, key) is None  # other passages: blind again
