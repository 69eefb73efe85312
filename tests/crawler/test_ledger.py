"""The ledger as a state machine: one end an address, nothing lost at a kill, old files readable."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from crawler.ledger import (
    MAX_CARRIED,
    MAX_LEASES,
    OPEN,
    Kind,
    Ledger,
    Rhythm,
    State,
    Visit,
    next_visit,
)
from kiemchung.errors import KiemchungError

NOW = datetime(2026, 10, 1, tzinfo=UTC)


def visit(n: int, **given: object) -> Visit:
    values: dict[str, object] = {
        "key": f"http://a.example/{n}",
        "url": f"http://a.example/{n}?utm_source=x",
        "outlet": "a",
        "kind": Kind.PAGE,
    }
    return Visit(**(values | given))  # type: ignore[arg-type]


def fetched(n: int, digest: str = "h", **given: object) -> Visit:
    return visit(
        n, state=State.FETCHED, warc="x", warc_offset=0, raw_sha256=digest,
        fetched_at=NOW.isoformat(), **given,
    )  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(tmp_path / "ledger.sqlite")
    yield made
    made.close()


def states(ledger: Ledger, run: str = "r") -> list[State]:
    return [v.state for v in ledger.visits(run)]


def test_an_address_is_added_once_and_ends_once(ledger: Ledger) -> None:
    assert ledger.add("r", [visit(1), visit(2), visit(1)]) == 2
    assert ledger.add("r", [visit(2)]) == 0
    ledger.finish("r", visit(1, state=State.GONE, reason="http_404"))
    ledger.finish("r", visit(1, state=State.REFUSED, reason="robots"))
    first, second = ledger.visits("r")
    assert (first.state, first.reason) == (State.GONE, "http_404")
    assert ledger.open("r", "a", 9) == [second]
    assert ledger.check() == []


def test_a_list_and_its_children_are_written_together(ledger: Ledger) -> None:
    feed = visit(0, kind=Kind.FEED)
    ledger.add("r", [feed])
    with pytest.raises(sqlite3.IntegrityError):  # a failure without a reason cannot be written
        ledger.finish("r", replace(feed, state=State.FAILED), children=[visit(1)])
    assert ledger.visits("r") == [feed]
    assert ledger.finish("r", replace(feed, state=State.FETCHED, items=1), children=[visit(1)]) == 1
    assert states(ledger) == [State.FETCHED, State.DISCOVERED]


def test_a_fetched_page_needs_its_place_in_the_archive(ledger: Ledger) -> None:
    ledger.add("r", [visit(1)])
    with pytest.raises(sqlite3.IntegrityError):
        ledger.finish("r", visit(1, state=State.FETCHED))
    assert ledger.known(visit(1).key) is None
    ledger.finish("r", fetched(1), etag="e")
    known = ledger.known(visit(1).key)
    assert known is not None
    assert (known.etag, known.content_sha256, known.version) == ("e", "h", 1)
    assert ledger.visits("another run") == []


def test_a_changed_page_is_a_new_version_and_the_same_one_is_not(ledger: Ledger) -> None:
    versions = []
    for run, digest in (("r1", "h"), ("r2", "h"), ("r3", "other"), ("r4", "h")):
        ledger.add(run, [visit(1)])
        ledger.finish(run, fetched(1, digest))
        versions.append(ledger.visits(run)[0].version)
    assert versions == [1, 1, 2, 3]


def test_a_lease_is_taken_back_after_a_kill(tmp_path: Path) -> None:
    first = Ledger(tmp_path / "l.sqlite")
    first.add("r", [visit(1), visit(2)])
    first.lease("r", visit(1))
    assert [v.key for v in first.open("r", "a", 9)] == [visit(2).key]
    first.close()
    second = Ledger(tmp_path / "l.sqlite")
    assert second.release("r") == 1
    assert len(second.open("r", "a", 9)) == 2
    second.close()


def test_an_address_that_the_crawler_always_dies_of_is_named(ledger: Ledger) -> None:
    ledger.add("r", [visit(1)])
    for _ in range(MAX_LEASES):
        assert ledger.open("r", "a", 9)
        ledger.lease("r", visit(1))
        ledger.release("r")
    assert ledger.open("r", "a", 9) == []
    assert ledger.visits("r")[0].reason == "crawler_crashed"


def test_lists_come_first_then_the_newest_pages_then_second_attempts(ledger: Ledger) -> None:
    ledger.add("r", [
        visit(1, published="2026-09-01T00:00:00+00:00"), visit(2),
        visit(3, published="2026-09-30T00:00:00+00:00"), visit(4, kind=Kind.FEED),
    ])  # fmt: skip
    ledger.again("r", visit(4, kind=Kind.FEED))
    assert [v.key[-1] for v in ledger.open("r", "a", 9)] == ["3", "1", "2", "4"]
    assert ledger.open("r", "other", 9) == []


def test_a_passing_failure_is_carried_into_later_runs_and_not_for_ever(ledger: Ledger) -> None:
    ledger.add("2026-W40-x", [visit(1), visit(2), visit(3)])
    ledger.finish("2026-W40-x", visit(1, state=State.FAILED, reason="timeout"))
    ledger.finish("2026-W40-x", visit(2, state=State.GONE, reason="http_404"))
    assert ledger.close_rest("2026-W40-x", "a", "page_budget") == 1
    assert ledger.carry_over("2026-W39-x", ["a"]) == 0  # an earlier week knows nothing of it
    carried = 0
    for week in range(41, 50):
        run = f"2026-W{week}-x"
        carried += (added := ledger.carry_over(run, ["a"]))
        assert ledger.carry_over(run, ["b"]) == 0
        for left in ledger.open(run, "a", 9):
            ledger.finish(run, replace(left, state=State.FAILED, reason="timeout"))
        assert added in (0, 2)
    assert carried == 2 * MAX_CARRIED


def test_a_page_that_came_at_last_is_no_longer_carried(ledger: Ledger) -> None:
    ledger.add("2026-W40-x", [visit(1)])
    ledger.finish("2026-W40-x", visit(1, state=State.FAILED, reason="http_503"))
    assert ledger.carry_over("2026-W41-x", ["a"]) == 1
    ledger.finish("2026-W41-x", fetched(1))
    assert ledger.carry_over("2026-W42-x", ["a"]) == 0


def test_a_due_list_is_read_again_within_its_week_and_pages_are_not(ledger: Ledger) -> None:
    feed = visit(0, kind=Kind.FEED)
    ledger.add("r", [feed, visit(1)])
    ledger.finish("r", replace(feed, state=State.FETCHED, items=1))
    ledger.finish("r", fetched(1))
    assert ledger.reopen("r", [feed.key, visit(1).key]) == 1
    assert [v.kind for v in ledger.open("r", "a", 9)] == [Kind.FEED]


def test_a_ledger_of_the_first_schema_is_carried_over(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    old = sqlite3.connect(path)
    old.executescript("""
        CREATE TABLE url (key TEXT PRIMARY KEY, outlet TEXT NOT NULL,
            etag TEXT NOT NULL DEFAULT '', last_modified TEXT NOT NULL DEFAULT '',
            content_sha256 TEXT NOT NULL DEFAULT '', first_run TEXT NOT NULL);
        CREATE TABLE visit (run_id TEXT NOT NULL, key TEXT NOT NULL, url TEXT NOT NULL,
            outlet TEXT NOT NULL, kind TEXT NOT NULL, depth INTEGER NOT NULL,
            state TEXT NOT NULL DEFAULT 'pending', reason TEXT NOT NULL DEFAULT '',
            status INTEGER NOT NULL DEFAULT 0, final_url TEXT NOT NULL DEFAULT '',
            content_type TEXT NOT NULL DEFAULT '', fetched_at TEXT NOT NULL DEFAULT '',
            raw_sha256 TEXT NOT NULL DEFAULT '', warc TEXT NOT NULL DEFAULT '',
            warc_offset INTEGER NOT NULL DEFAULT -1, flags TEXT NOT NULL DEFAULT '',
            items INTEGER NOT NULL DEFAULT -1, newest TEXT NOT NULL DEFAULT '',
            PRIMARY KEY (run_id, key, kind));
        INSERT INTO url VALUES ('http://a.example/1', 'a', 'e', '', 'h', 'r');
        INSERT INTO visit (run_id, key, url, outlet, kind, depth, state, warc, warc_offset)
            VALUES ('r', 'http://a.example/1', 'u', 'a', 'page', 0, 'fetched', 'w', 7);
        INSERT INTO visit (run_id, key, url, outlet, kind, depth)
            VALUES ('r', 'http://a.example/2', 'u', 'a', 'page', 0);
    """)
    old.close()
    for _ in range(2):  # the second opening finds nothing to do
        ledger = Ledger(path)
        assert states(ledger) == [State.FETCHED, State.DISCOVERED]
        assert ledger.visits("r")[0].warc_offset == 7
        known = ledger.known("http://a.example/1")
        assert known is not None
        assert known.etag == "e"
        ledger.close()


def test_a_ledger_of_a_later_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    later = sqlite3.connect(path)
    later.execute("PRAGMA user_version=99")
    later.close()
    with pytest.raises(KiemchungError, match="update the program"):
        Ledger(path)


def test_an_upgrade_that_is_cut_leaves_the_old_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test_a_ledger_of_the_first_schema_is_carried_over(tmp_path)
    path = tmp_path / "l.sqlite"
    path.with_name("l.sqlite.seal").unlink()  # the program of then knew none
    raw = sqlite3.connect(path)
    raw.execute("ALTER TABLE visit DROP COLUMN leases")
    raw.execute("PRAGMA user_version=0")
    raw.close()
    monkeypatch.setattr("crawler.ledger.SCHEMA", "CREATE TABLE visit (x);\nNONSENSE;\n")
    with pytest.raises(sqlite3.OperationalError):
        Ledger(path)
    raw = sqlite3.connect(path)
    assert raw.execute("SELECT count(*) FROM visit").fetchone() == (2,)
    raw.close()


# -- rhythm ------------------------------------------------------------------------------------


def rhythm(**given: object) -> Rhythm:
    values: dict[str, object] = {
        "key": "k", "outlet": "a", "at": NOW, "newest": None, "oldest": None, "items": 20,
        "fresh": 5, "before": None,
    }  # fmt: skip
    return next_visit(**(values | given))  # type: ignore[arg-type]


def test_a_dated_list_is_due_when_half_of_it_has_turned_over() -> None:
    found = rhythm(newest=NOW, oldest=NOW - timedelta(hours=10))
    assert (found.hours, found.span_hours) == (5.0, 10.0)
    assert found.next_at == NOW + timedelta(hours=5)
    assert rhythm(newest=NOW, oldest=NOW - timedelta(minutes=20)).hours == 1.0
    assert rhythm(newest=NOW, oldest=NOW - timedelta(days=90)).hours == 168.0


def test_an_undated_list_is_asked_more_often_when_it_is_all_new() -> None:
    first = rhythm()
    assert first.hours == 24.0
    assert rhythm(before=first, fresh=15).hours == 12.0
    assert rhythm(before=first, fresh=5).hours == 24.0
    assert rhythm(before=first, fresh=0).hours == 48.0


def test_a_gap_is_a_list_of_which_nothing_was_known() -> None:
    first = rhythm(fresh=20)
    assert not first.gap
    assert rhythm(before=first, fresh=20).gap
    assert not rhythm(before=first, fresh=19).gap
    assert not rhythm(before=first, items=3, fresh=3).gap


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0, 5000), st.none() | st.floats(1, 168))
def test_the_next_visit_is_always_within_an_hour_and_a_week(
    items: int, fresh: int, span: float, hours: float | None
) -> None:
    before = None if hours is None else replace(rhythm(), hours=hours)
    found = rhythm(
        items=items, fresh=min(items, fresh), newest=NOW, oldest=NOW - timedelta(hours=span),
        before=before,
    )  # fmt: skip
    assert 1.0 <= found.hours <= 168.0


# -- the machine -------------------------------------------------------------------------------

ENDS = [
    (State.UNCHANGED, ""), (State.MOVED, "http_301"), (State.GONE, "http_410"),
    (State.REFUSED, "robots"), (State.FAILED, "timeout"), (State.FAILED, "too_large"),
]  # fmt: skip


class Frontier(RuleBasedStateMachine):
    """Any order of events and kills: every address known, one end each, none taken back."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self._folder = tempfile.TemporaryDirectory()
        self.path = Path(self._folder.name) / "l.sqlite"
        self.ledger = Ledger(self.path)
        self.known: set[str] = set()
        self.ended: dict[str, State] = {}

    def teardown(self) -> None:
        self.ledger.close()
        self._folder.cleanup()

    @rule(n=st.integers(0, 9))
    def discover(self, n: int) -> None:
        self.ledger.add("r", [visit(n)])
        self.known.add(visit(n).key)

    @rule(n=st.integers(0, 9))
    def lease(self, n: int) -> None:
        self.ledger.lease("r", visit(n))

    @rule(n=st.integers(0, 9))
    def again(self, n: int) -> None:
        self.ledger.again("r", visit(n))

    @rule(n=st.integers(0, 9), end=st.sampled_from(ENDS))
    def finish(self, n: int, end: tuple[State, str]) -> None:
        self.ledger.finish("r", visit(n, state=end[0], reason=end[1]))
        if visit(n).key in self.known:
            self.ended.setdefault(visit(n).key, end[0])

    @rule(n=st.integers(0, 9), digest=st.sampled_from("ab"))
    def fetch(self, n: int, digest: str) -> None:
        self.ledger.finish("r", fetched(n, digest))
        if visit(n).key in self.known:
            self.ended.setdefault(visit(n).key, State.FETCHED)

    @rule()
    def kill(self) -> None:
        self.ledger.close()
        self.ledger = Ledger(self.path)
        self.ledger.release("r")

    @invariant()
    def every_address_has_one_place(self) -> None:
        found = {v.key: v.state for v in self.ledger.visits("r")}
        assert set(found) == self.known
        assert {k: s for k, s in found.items() if s not in OPEN} == self.ended


TestFrontier = Frontier.TestCase
TestFrontier.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
