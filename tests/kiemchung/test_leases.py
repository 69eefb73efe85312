"""Two people never get the same claim by accident, and none gets lost: whatever they do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kiemchung.domain import Decision
from kiemchung.errors import LeaseError, StoreError
from kiemchung.store import Account, Store, open_store
from kiemchung.store.base import OpenFile
from kiemchung.store.connection import SideLock, connect
from kiemchung.store.inbox import write_batch
from kiemchung.store.leases import FLUSH_SECONDS, LEASE_TIME, Leases
from kiemchung.store.migrate import migrate
from tests.batches import batch

NOW = datetime(2026, 10, 5, 8, tzinfo=UTC)


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[OpenFile]:
    path = tmp_path / "k.duckdb"
    lock = SideLock(path)
    lock.acquire(1.0)
    connection = connect(path)
    migrate(connection)
    with OpenFile(path, connection, lock) as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "k.duckdb", double_share=0.0) as opened:
        write_batch(tmp_path / "inbox", batch(flags=4, copies=1, quiet=60))
        opened.merge_inbox(tmp_path / "inbox")
        yield opened


def sign_up(store: Store, name: str, role: str = "reviewer") -> Account:
    account = store.authenticate(name, store.add_user(name, role=role))
    assert account is not None
    return account


def test_a_claim_in_hand_is_nobody_elses_until_it_is_given_back(bare: OpenFile) -> None:
    leases = Leases(bare)
    assert leases.take(1, "a", now=NOW)
    assert not leases.take(2, "a", now=NOW)
    assert leases.take(1, "a", now=NOW)
    assert leases.holder("a", now=NOW) == 1
    assert leases.taken(2, now=NOW) == {"a"}
    assert leases.taken(1, now=NOW) == frozenset()
    leases.release(1, "a")
    assert leases.take(2, "a", now=NOW)


def test_taking_another_gives_the_one_before_back(bare: OpenFile) -> None:
    leases = Leases(bare)
    leases.take(1, "a", now=NOW)
    leases.take(1, "b", now=NOW)
    assert leases.holder("a", now=NOW) is None
    assert leases.first_free(2, [(5, "b"), (6, "a"), (7, "c")], now=NOW) == 6
    assert leases.first_free(3, [(5, "b"), (6, "a")], now=NOW) is None


def test_an_expired_lease_is_taken_over_and_a_sign_of_life_keeps_it(bare: OpenFile) -> None:
    leases = Leases(bare)
    leases.take(1, "a", now=NOW)
    almost = NOW + LEASE_TIME - timedelta(seconds=1)
    assert not leases.take(2, "a", now=almost)
    leases.take(1, "a", now=almost)  # renewed by activity
    assert not leases.take(2, "a", now=NOW + LEASE_TIME + timedelta(minutes=5))
    assert leases.take(2, "a", now=almost + LEASE_TIME)
    assert not leases.take(1, "a", now=almost + LEASE_TIME)


def test_a_restart_forgets_no_living_lease(bare: OpenFile) -> None:
    first = Leases(bare)
    first.take(1, "a", now=NOW)
    first.take(2, "b", now=NOW)
    first.close()
    for minutes in range(1, 30):  # renewals are written down seldom, but always in time
        moment = NOW + timedelta(minutes=minutes)
        first.take(2, "b", now=moment)
        first.close()
        again = Leases(bare)
        assert again.holder("b", now=moment + LEASE_TIME / 2 - timedelta(seconds=1)) == 2
    assert Leases(bare).holder("a", now=NOW + timedelta(minutes=30)) is None
    first.release(2)
    first.close()
    assert Leases(bare).held(now=NOW) == []


def test_leases_are_written_down_behind_the_request_and_not_with_every_one(
    bare: OpenFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("kiemchung.store.leases.time.monotonic", lambda: clock[0])
    leases = Leases(bare)
    leases.take(1, "a")
    assert Leases(bare).held() == []  # nobody waits for the disk
    leases.flush()
    assert [x.claim_id for x in Leases(bare).held()] == ["a"]
    leases.take(1, "b")
    leases.flush()  # a moment later: not again
    assert [x.claim_id for x in Leases(bare).held()] == ["a"]
    clock[0] += FLUSH_SECONDS
    leases.flush()
    assert [x.claim_id for x in Leases(bare).held()] == ["b"]


def test_a_flush_that_fails_is_made_up_for(bare: OpenFile, monkeypatch: pytest.MonkeyPatch) -> None:
    leases = Leases(bare)
    leases.take(1, "a")

    def full() -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(leases, "_write", full)
        with pytest.raises(StoreError, match="full"):
            leases.flush()
    leases.close()
    assert [x.claim_id for x in Leases(bare).held()] == ["a"]


def test_of_many_at_once_one_gets_it(bare: OpenFile) -> None:
    leases = Leases(bare)
    start = threading.Barrier(8)
    got: list[tuple[int, int]] = []

    def work(who: int) -> None:
        start.wait()
        key = leases.first_free(who, [(n, f"claim-{n}") for n in range(8)], now=NOW)
        assert key is not None
        got.append((key, who))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(key for key, _ in got) == list(range(8))
    assert {(x.claim_id, x.account_key) for x in leases.held(now=NOW)} == {
        (f"claim-{key}", who) for key, who in got
    }


def test_the_queue_of_others_passes_over_what_one_has_open(store: Store) -> None:
    one, two = sign_up(store, "an"), sign_up(store, "binh")
    first = store.queue(one)[0]
    assert store.open_item(one, first.mention_key)
    assert first.claim_id not in {e.claim_id for e in store.queue(two)}
    assert first.claim_id in {e.claim_id for e in store.queue(one)}
    assert first.claim_id in {e.claim_id for e in store.queue(two, view="flagged")}
    assert not store.open_item(two, first.mention_key)
    with pytest.raises(LeaseError):
        store.decide(two, first.mention_key, Decision.SUPPORTED, form_token="t")
    with pytest.raises(LeaseError):
        store.choose(two, first.mention_key, Decision.SUPPORTED, form_token="u")
    assert store.reviews() == []
    rest = store.behind(one, first.mention_key)
    assert rest
    store.decide(one, first.mention_key, Decision.SKIPPED, form_token="v")
    assert store.open_item(two, first.mention_key)  # skipping gave it back
    following = store.next_item(one, rest)
    assert following == rest[0]
    assert not store.open_item(two, following)


def test_a_form_sent_twice_leaves_the_next_claim_in_hand(store: Store) -> None:
    one, two = sign_up(store, "an"), sign_up(store, "binh")
    first, second = (e.mention_key for e in store.queue(one)[:2])
    assert store.choose(one, first, Decision.SUPPORTED, form_token="a")
    assert store.decide(one, first, Decision.SUPPORTED, form_token="b")
    assert store.open_item(one, second)
    assert store.decide(one, first, Decision.SUPPORTED, form_token="b") is None
    assert not store.choose(one, first, Decision.SUPPORTED, form_token="a")
    assert not store.open_item(two, second)
    assert store.open_item(two, first)


def test_a_reader_takes_nothing(store: Store) -> None:
    reader, one = sign_up(store, "xem", "reader"), sign_up(store, "an")
    key = store.queue(reader)[0].mention_key
    assert store.open_item(reader, key)
    assert store.open_item(one, key)
    assert store.open_item(reader, key)


class Office(RuleBasedStateMachine):
    """Three people who open, conclude, skip, undo, leave and fall asleep, in any order."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name)
        self.store = open_store(path / "k.duckdb", double_share=0.0)
        write_batch(path / "inbox", batch(flags=4, copies=1, quiet=0))
        self.store.merge_inbox(path / "inbox")
        self.people = [sign_up(self.store, n) for n in ("an", "binh", "chi")]
        self.claims = {e.claim_id for e in self.store.queue(self.people[0], view="flagged")}
        self.hands: dict[int, tuple[int, str]] = {}  # account -> mention, claim
        self.decided: dict[str, int] = {}  # claim -> account
        self.skipped: set[tuple[int, str]] = set()
        self.count = 0

    def teardown(self) -> None:
        self.store.close()
        self._folder.cleanup()

    who = st.integers(0, 2)

    @initialize()
    def start(self) -> None:
        assert len(self.claims) == 4

    def _next(self, account: Account) -> None:
        entries = self.store.queue(account)
        key = self.store.next_item(account, [e.mention_key for e in entries])
        self.hands.pop(account.key, None)
        if key is None:
            self.store.leases.release(account.key)
        else:
            claim = next(e.claim_id for e in entries if e.mention_key == key)
            assert claim not in {c for _, c in self.hands.values()}, "leased twice at once"
            assert claim not in self.decided, "decided and handed out again"
            self.hands[account.key] = (key, claim)

    @rule(who=who)
    def ask_for_the_next(self, who: int) -> None:
        self._next(self.people[who])

    @rule(who=who, skip=st.booleans())
    def conclude(self, who: int, skip: bool) -> None:
        account = self.people[who]
        if account.key not in self.hands:
            return
        key, claim = self.hands.pop(account.key)
        self.count += 1
        decision = Decision.SKIPPED if skip else Decision.SUPPORTED
        assert self.store.decide(account, key, decision, form_token=f"t{self.count}")
        if skip:
            self.skipped.add((account.key, claim))
        else:
            self.decided[claim] = account.key

    @rule(who=who)
    def undo(self, who: int) -> None:
        account = self.people[who]
        standing = self.store.standing_reviews(account, limit=1)
        key = self.store.undo(account)
        assert (key is None) == (standing == [])
        if key is not None:
            claim = self.store._claim_of(key)
            assert claim is not None
            if standing[0].review.decision is Decision.SKIPPED:
                self.skipped.discard((account.key, claim))
            else:
                self.decided.pop(claim)

    @rule(who=who)
    def fall_asleep(self, who: int) -> None:
        """Nothing happens for so long that the lease runs out."""
        account = self.people[who]
        if account.key in self.hands:
            del self.hands[account.key]
            self.store.leases.release(account.key)

    @rule(who=who, victim=who)
    def open_by_address(self, who: int, victim: int) -> None:
        account, other = self.people[who], self.people[victim]
        if other.key not in self.hands or other.key == account.key:
            return
        assert not self.store.open_item(account, self.hands[other.key][0])

    @invariant()
    def each_claim_is_somewhere(self) -> None:
        held = {c for _, c in self.hands.values()}
        assert {x.claim_id: x.account_key for x in self.store.leases.held()} == {
            c: a for a, (_, c) in self.hands.items()
        }
        for account in self.people:
            waiting = {e.claim_id for e in self.store.queue(account)}
            mine = {c for a, c in self.skipped if a == account.key}
            others = held - {self.hands.get(account.key, (0, ""))[1]}
            assert waiting == self.claims - set(self.decided) - mine - others


Office.TestCase.settings = settings(max_examples=6, stateful_step_count=18, deadline=None)
TestOffice = Office.TestCase
