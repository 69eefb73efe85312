"""The ledger at its edges: limits, defaults, durability, and what is asked of it between runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crawler import ledger as module
from crawler.ledger import Kind, Ledger, Rhythm, State, Visit, next_visit
from kiemchung.errors import DamagedFileError

NOW = datetime(2026, 10, 1, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=300)


def visit(n: int, **given: object) -> Visit:
    values: dict[str, object] = {
        "key": f"http://a.example/{n}", "url": f"u{n}", "outlet": "a", "kind": Kind.PAGE,
    }  # fmt: skip
    return Visit(**(values | given))  # type: ignore[arg-type]


def fetched(n: int, digest: str = "h") -> Visit:
    return visit(n, state=State.FETCHED, warc="w", warc_offset=0, raw_sha256=digest, fetched_at="t")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(tmp_path / "new" / "folder" / "ledger.sqlite")
    yield made
    made.close()


def test_the_limits_are_those_that_the_documentation_names() -> None:
    assert (module.MAX_LEASES, module.MAX_CARRIED) == (25, 3)
    assert (timedelta(hours=1), timedelta(days=7)) == (module.SHORTEST, module.LONGEST)
    assert {
        "timeout", "connection", "broken_response", "dns", "truncated", "bad_gzip", "host_down",
        "retry_after", "robots_unreachable", "http_429", "http_500", "http_502", "http_503",
        "http_504", "page_budget",
    } == module.TRANSIENT  # fmt: skip


def test_a_discovered_address_has_nothing_yet() -> None:
    assert asdict(visit(1)) == {
        "key": "http://a.example/1", "url": "u1", "outlet": "a", "kind": "page", "depth": 0,
        "published": "", "attempts": 0, "state": "discovered", "reason": "", "status": 0,
        "final_url": "", "content_type": "", "fetched_at": "", "raw_sha256": "", "warc": "",
        "warc_offset": -1, "flags": "", "version": 0, "items": -1, "dated": 0, "old": 0,
        "foreign_items": 0, "fresh": 0, "newest": "", "fingerprint": "",
    }  # fmt: skip


def test_every_field_of_an_end_is_kept(ledger: Ledger) -> None:
    ledger.add("r", [visit(1, depth=2, published="p", kind=Kind.LISTING)])
    whole = visit(
        1, depth=2, published="p", kind=Kind.LISTING, state=State.FETCHED, status=200,
        final_url="f", content_type="c", fetched_at="t", raw_sha256="s", warc="w", warc_offset=7,
        flags="partial", version=1, items=9, dated=8, old=7, foreign_items=6, fresh=5,
        newest="n", fingerprint="x",
    )  # fmt: skip
    ledger.finish("r", whole)
    assert ledger.visits("r") == [whole]
    assert ledger.state_of("r", whole.key, Kind.LISTING) == whole
    assert ledger.state_of("r", whole.key, Kind.PAGE) is None
    assert ledger.state_of("s", whole.key, Kind.LISTING) is None
    assert ledger.state_of("r", "other", Kind.LISTING) is None


def test_only_leases_are_written_without_waiting_for_the_disk(ledger: Ledger) -> None:
    said: list[str] = []
    ledger._db.set_trace_callback(said.append)
    ledger.add("r", [visit(1)])
    assert not [s for s in said if "synchronous" in s]
    said.clear()
    ledger.lease("r", visit(1))
    wanted = ["PRAGMA synchronous=NORMAL", "BEGIN IMMEDIATE", "COMMIT", "PRAGMA synchronous=FULL"]
    assert [s for s in said if not s.startswith("UPDATE")] == wanted
    assert ledger._db.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert ledger._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_the_ledger_opens_again_in_its_folder(ledger: Ledger, tmp_path: Path) -> None:
    ledger.add("r", [visit(1)])
    again = Ledger(tmp_path / "new" / "folder" / "ledger.sqlite")
    assert again.visits("r") == [visit(1)]
    assert again._db.execute("PRAGMA user_version").fetchone()[0] == module.VERSION == 1
    again.close()
    with pytest.raises(sqlite3.ProgrammingError):
        again.runs()


def test_a_failure_half_way_leaves_nothing_and_the_ledger_usable(ledger: Ledger) -> None:
    bad = visit(2, reason="a reason without an end")
    ledger._db.execute("CREATE TRIGGER t BEFORE INSERT ON visit WHEN new.key LIKE '%3' BEGIN"
                       " SELECT RAISE(ABORT, 'no'); END")  # fmt: skip
    with pytest.raises(sqlite3.IntegrityError):
        ledger.add("r", [visit(1), visit(3)])
    assert ledger.visits("r") == []
    assert ledger.add("r", [visit(1), bad]) == 1  # what breaks a CHECK is not known to the run
    assert ledger.visits("r") == [visit(1)]


def test_what_ended_is_counted_as_asked_and_what_was_never_reached_is_not(ledger: Ledger) -> None:
    ledger.add("r", [*(visit(n) for n in range(6)), visit(9, outlet="b"), visit(8, kind=Kind.FEED)])
    assert ledger.asked("r", "a") == 0
    ledger.finish("r", fetched(0))
    ledger.finish("r", visit(1, state=State.GONE, reason="http_404"))
    ledger.finish("r", visit(8, kind=Kind.FEED, state=State.FETCHED))
    ledger.lease("r", visit(2))
    assert ledger.asked("r", "a") == 2
    assert ledger.asked("r", "b") == ledger.asked("s", "a") == 0
    assert ledger.close_rest("r", "a", "page_budget") == 3
    assert ledger.asked("r", "a") == 2


def test_runs_are_named_once_in_order(ledger: Ledger) -> None:
    assert ledger.runs() == []
    for run in ("2026-W41-x", "2026-W40-x"):
        ledger.add(run, [visit(1), visit(2)])
    assert ledger.runs() == ["2026-W40-x", "2026-W41-x"]


def test_an_address_was_seen_before_by_another_run_only(ledger: Ledger) -> None:
    ledger.add("r1", [visit(1)])
    assert not ledger.seen_before("r2", visit(1).key)
    ledger.finish("r1", fetched(1))
    assert not ledger.seen_before("r1", visit(1).key)
    assert ledger.seen_before("r2", visit(1).key)
    assert not ledger.seen_before("r2", visit(2).key)


def test_what_is_known_of_a_page_is_its_last_content(ledger: Ledger) -> None:
    ledger.add("r1", [visit(1)])
    ledger.finish("r1", fetched(1), etag="e1", last_modified="m1")
    ledger.add("r2", [visit(1)])
    ledger.finish("r2", visit(1, state=State.UNCHANGED), etag="ignored")
    found = ledger.known(visit(1).key)
    assert found is not None
    assert asdict(found) == {
        "etag": "e1", "last_modified": "m1", "content_sha256": "h", "version": 1,
        "fetched_at": "t",
    }  # fmt: skip
    assert ledger.known("other") is None


@pytest.mark.parametrize(
    ("state", "reason", "carried"),
    [
        (State.FAILED, "timeout", 1),
        (State.REFUSED, "page_budget", 1),
        (State.REFUSED, "robots", 0),
        (State.FAILED, "too_large", 0),
        (State.MOVED, "http_503", 0),  # an answer, whatever its word
        (State.GONE, "timeout", 0),
    ],
)
def test_only_passing_failures_are_carried(
    ledger: Ledger, state: State, reason: str, carried: int
) -> None:
    ledger.add("2026-W40-x", [visit(1)])
    ledger.finish("2026-W40-x", visit(1, state=state, reason=reason))
    assert ledger.carry_over("2026-W40-x", ["a"]) == 0  # never into its own run
    assert ledger.carry_over("2026-W41-x", ["a", "b"]) == carried
    assert ledger.visits("2026-W41-x") == [visit(1)] * carried


def test_a_lease_counts_its_crashes_and_a_second_try_comes_behind(ledger: Ledger) -> None:
    ledger.add("r", [visit(1), visit(2)])
    ledger.lease("r", visit(1))
    assert ledger.release("other") == 0
    assert ledger.release("r") == 1
    assert ledger.release("r") == 0
    ledger.again("r", visit(1))
    assert [v.key for v in ledger.open("r", "a", 9)] == [visit(2).key, visit(1).key]
    assert [v.attempts for v in ledger.open("r", "a", 9)] == [0, 1]
    assert len(ledger.open("r", "a", 1)) == 1
    ledger.finish("r", fetched(1))
    ledger.again("r", visit(1))  # too late: it has ended
    ledger.lease("r", visit(1))
    assert ledger.visits("r")[0].state is State.FETCHED


def test_a_list_that_is_due_begins_anew(ledger: Ledger) -> None:
    lists = [visit(n, kind=Kind.FEED) for n in range(5)]
    ledger.add("r", lists)
    ends = [
        (State.FETCHED, ""), (State.UNCHANGED, ""), (State.FAILED, "timeout"),
        (State.GONE, "http_410"), (State.REFUSED, "robots"),
    ]  # fmt: skip
    for one, (state, reason) in zip(lists, ends, strict=True):
        ledger.again("r", one)
        ledger.finish("r", replace(one, state=state, reason=reason))
    assert ledger.reopen("r", [v.key for v in lists]) == 4
    assert [(v.state, v.reason, v.attempts) for v in ledger.visits("r")] == [
        *[(State.DISCOVERED, "", 0)] * 4, (State.REFUSED, "robots", 1),
    ]  # fmt: skip


def test_the_rhythm_of_a_list_is_kept_and_replaced(ledger: Ledger) -> None:
    feed = visit(1, kind=Kind.FEED)
    first = Rhythm(key=feed.key, outlet="a", visited_at=NOW.isoformat(), hours=5.0,
                   span_hours=10.0, gap=True)  # fmt: skip
    later = replace(first, visited_at=LONG_AGO.isoformat(), hours=6.5, span_hours=0.0, gap=False)
    for run, rhythm in (("r1", first), ("r2", later)):
        ledger.add(run, [feed])
        ledger.finish(run, replace(feed, state=State.FETCHED), rhythm=rhythm)
        assert ledger.rhythms() == {feed.key: rhythm}
        ledger.finish(run, replace(feed, state=State.FETCHED), rhythm=first)  # ended before
        assert ledger.rhythms() == {feed.key: rhythm}
    assert later.next_at == LONG_AGO + timedelta(hours=6.5)


def test_damage_in_the_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    made = Ledger(path)
    made.add("r", [visit(n) for n in range(400)])
    assert made.check() == []
    made.close()
    data = bytearray(path.read_bytes())
    for at in range(5 * 4096 + 40, 6 * 4096 - 40):
        data[at] ^= 0x5A
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match=r"l\.sqlite: the ledger"):
        Ledger(path)


# -- rhythm ------------------------------------------------------------------------------------


def rhythm(**given: object) -> Rhythm:
    values: dict[str, object] = {
        "key": "k", "outlet": "a", "at": NOW, "newest": None, "oldest": None, "items": 20,
        "fresh": 5, "before": None,
    }  # fmt: skip
    return next_visit(**(values | given))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("items", "fresh", "hours"),
    [(20, 10, 24.0), (20, 11, 12.0), (20, 1, 24.0), (20, 0, 48.0), (0, 0, 24.0), (1, 1, 12.0),
     (1, 0, 48.0), (3, 2, 12.0)],
)  # fmt: skip
def test_more_than_half_new_halves_and_none_new_doubles(
    items: int, fresh: int, hours: float
) -> None:
    before = rhythm()
    assert before.hours == 24.0
    assert rhythm(before=before, items=items, fresh=fresh).hours == hours
    slow = replace(before, hours=10.0)
    assert rhythm(before=slow, items=items, fresh=fresh).hours == hours * 10 / 24
    assert rhythm(items=items, fresh=fresh).hours == 24.0  # the first visit says nothing yet


def test_few_or_turned_dates_are_no_rhythm() -> None:
    ten = {"newest": NOW, "oldest": NOW - timedelta(hours=10)}
    assert rhythm(items=5, **ten).span_hours == 10.0
    assert rhythm(items=4, **ten).span_hours == 0.0
    assert rhythm(items=4, **ten).hours == 24.0
    assert rhythm(newest=NOW - timedelta(hours=10), oldest=NOW).hours == 24.0
    assert rhythm(newest=NOW, oldest=NOW).hours == 24.0
    assert rhythm(newest=NOW).span_hours == rhythm(oldest=NOW).span_hours == 0.0
    assert rhythm(newest=NOW, oldest=NOW - timedelta(hours=1)).hours == 1.0
    assert rhythm(newest=NOW, oldest=LONG_AGO).hours == 168.0


def test_a_gap_needs_ten_entries_all_new_after_an_earlier_visit() -> None:
    first = rhythm(items=10, fresh=10)
    assert not first.gap
    assert rhythm(before=first, items=10, fresh=10).gap
    assert not rhythm(before=first, items=9, fresh=9).gap
    assert not rhythm(before=first, items=10, fresh=9).gap
    assert (first.key, first.outlet, first.visited_at) == ("k", "a", NOW.isoformat())
