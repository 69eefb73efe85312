"""What is kept in memory of the database, and when it is let go."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from kiemchung.domain import Decision
from kiemchung.errors import StoreError, StoreMemoryError
from kiemchung.store import Account, Store, details, facts, open_store
from kiemchung.store import order as orders
from kiemchung.store.connection import MERGING, ROOM, ROW_GROUP
from kiemchung.store.filters import Filter
from kiemchung.store.inbox import write_batch
from kiemchung.store.kept import Kept
from tests.batches import batch


def sign_up(store: Store, name: str, role: str = "reviewer") -> Account:
    account = store.authenticate(name, store.add_user(name, role=role))
    assert account is not None
    return account


def test_an_answer_is_loaded_once_and_the_least_used_goes_first() -> None:
    kept, asked = Kept(2), []

    def load(name: str) -> str:
        asked.append(name)
        return name.upper()

    for name in ("a", "b", "a", "c", "a", "b"):
        assert kept.get(name, lambda name=name: load(name)) == name.upper()  # type: ignore[misc]
    assert asked == ["a", "b", "c", "b"]
    assert kept.peek("c") is None
    kept.put("c", 5)
    assert kept.peek("c") == 5
    kept.forget()
    assert kept.peek("c") is None


def test_what_was_being_read_during_a_change_is_not_kept() -> None:
    kept, reading, changed = Kept(2), threading.Event(), threading.Event()

    def slow() -> str:
        reading.set()
        assert changed.wait(10)
        return "before"

    got: list[str] = []
    thread = threading.Thread(target=lambda: got.append(kept.get("a", slow)))
    thread.start()
    assert reading.wait(10)
    kept.forget()
    changed.set()
    thread.join()
    assert got == ["before"]
    assert kept.get("a", lambda: "after") == "after"


def test_a_merge_lets_everything_go(tmp_path: Path) -> None:
    with open_store(tmp_path / "k.duckdb", double_share=0.0) as store:
        write_batch(tmp_path / "inbox", batch(flags=1, copies=0, quiet=0))
        store.merge_inbox(tmp_path / "inbox")
        key = store.queue(sign_up(store, "an"))[0].mention_key
        assert [p.week for p in store.facts.places(key)] == ["2026-W40"]
        write_batch(tmp_path / "inbox", batch(week="2026-W41", flags=1, copies=2, quiet=0))
        store.merge_inbox(tmp_path / "inbox")
        assert len(store.facts.places(key)) == 3
        item = store.item(key)
        assert item is not None
        assert item.week == "2026-W41"


def test_what_grew_old_is_handed_out_until_it_is_renewed_or_dropped() -> None:
    kept = Kept(5)
    for name in ("a", "b", "c"):
        kept.put(name, "old")
    stale = kept.grow_old()
    assert stale == ["c", "b", "a"]
    assert kept.get("a", lambda: "new") == "old"
    assert kept.get("d", lambda: "new") == "new"  # read after the change: right, and stays
    kept.renew({"b": "new"})
    kept.drop(k for k in stale if k != "b")
    assert kept.answers() == {"d": "new", "b": "new"}


def test_an_answer_that_was_read_while_things_grew_old_is_not_kept() -> None:
    kept = Kept(5)

    def load() -> str:
        kept.grow_old()
        return "old"

    assert kept.get("a", load) == "old"
    assert kept.answers() == {}


def test_behind_a_merge_open_items_are_at_hand_and_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "RENEWED", 3)
    with open_store(tmp_path / "k.duckdb", double_share=0.0) as store:
        write_batch(tmp_path / "inbox", batch(flags=3, copies=0, quiet=0))
        store.merge_inbox(tmp_path / "inbox")
        keys = [e.mention_key for e in store.queue(sign_up(store, "an"))]
        for key in keys:
            store.facts.warm(key)
        seen: list[str] = []
        rebuild = store.claims.rebuild

        def watched(cursor: duckdb.DuckDBPyConnection) -> None:
            seen.append(getattr(store.facts.item(keys[-1]), "week", ""))
            rebuild(cursor)

        monkeypatch.setattr(store.claims, "rebuild", watched)
        write_batch(tmp_path / "inbox", batch(week="2026-W41", flags=3, copies=2, quiet=0))
        store.merge_inbox(tmp_path / "inbox")
        assert seen == ["2026-W40"]  # the run was there, and whoever had it open was answered
        kept = store.facts._kept.answers()
        assert {k[1] for k in kept if k[0] == "item"} == {keys[-1]}  # type: ignore[index]
        assert kept["item", keys[-1]].week == "2026-W41"
        assert len(kept["places", keys[-1]]) == len(store.facts.places(keys[-1]))
        for key in keys:
            item = store.item(key)
            assert item is not None
            assert item.week == "2026-W41"


def test_keys_of_conclusions_follow_each_other_whatever_is_taken_back(tmp_path: Path) -> None:
    with open_store(tmp_path / "k.duckdb", double_share=0.0) as store:
        write_batch(tmp_path / "inbox", batch(flags=4, copies=0, quiet=0))
        store.merge_inbox(tmp_path / "inbox")
        an = sign_up(store, "an")
        keys = [e.mention_key for e in store.queue(an)]
        made = [store.decide(an, keys[0], Decision.SUPPORTED, form_token="a")]

        def fails() -> None:
            with store._writing(numbered=True) as cursor:
                assert store._next_key(cursor, "review", "review_key") == 2
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fails()
        made.append(store.decide(an, keys[1], Decision.SUPPORTED, form_token="b"))
        with store._writing() as cursor:  # somebody who numbers the rows alone
            cursor.execute(
                "INSERT INTO review SELECT * REPLACE (3 AS review_key, 'x' AS form_token)"
                " FROM review WHERE review_key = 2"
            )
        made.append(store.decide(an, keys[2], Decision.SUPPORTED, form_token="c"))
        assert made == [1, 2, 4]


def test_a_commit_without_room_is_told_from_one_that_failed(tmp_path: Path) -> None:
    said = "TransactionContext Error: Failed to commit: failed to pin block of size 256.0 KiB (1/1)"
    with open_store(tmp_path / "k.duckdb") as store:
        with pytest.raises(StoreMemoryError), store._cursor():
            raise duckdb.TransactionException(said)
        with pytest.raises(StoreError) as told, store._cursor():
            raise duckdb.TransactionException("TransactionContext Error: Failed to commit: no disk")
        assert not isinstance(told.value, StoreMemoryError)
        assert not store.broken


@pytest.mark.parametrize("place", ["keep_review", "behind"])
def test_a_conclusion_that_finds_no_room_is_made_once_more_and_once_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    with open_store(tmp_path / "k.duckdb", double_share=0.0) as store:
        write_batch(tmp_path / "inbox", batch(flags=2, copies=0, quiet=0))
        store.merge_inbox(tmp_path / "inbox")
        an = sign_up(store, "an")
        key = store.queue(an)[0].mention_key
        failed: list[str] = []
        owner = details if place == "keep_review" else store
        name = place if place == "keep_review" else "refresh_queue"  # the row is committed by then
        real = getattr(owner, name)

        def greedy(*args: object, **named: object) -> None:
            if not failed:
                failed.append(name)
                raise StoreMemoryError("more")
            real(*args, **named)

        monkeypatch.setattr(owner, name, greedy)
        done = store.decide(an, key, Decision.SUPPORTED, form_token="t")
        assert failed == [name]
        assert done == (1 if place == "keep_review" else None)  # None: it was there already
        assert [r.review_id for r in store.reviews()] == [1]
        assert key not in [e.mention_key for e in store.queue(an)]


def test_a_session_ends_at_once_whoever_ends_it(tmp_path: Path) -> None:
    with open_store(tmp_path / "k.duckdb") as store:
        an, admin = sign_up(store, "an"), sign_up(store, "quan", "admin")
        for end in (
            lambda: store.set_role("an", "reader", by=admin),
            lambda: store.end_sessions("an", by=admin),
            lambda: store.set_active("an", False, by=admin),
        ):
            store.set_active("an", True, by=admin)
            token = store.open_session(replace(an))
            assert store.session_account(token) is not None  # and kept
            end()
            assert store.session_account(token) is None
        token = store.open_session(admin)
        kept = store.session_account(token)
        assert kept is not None
        assert kept.must_change
        store.change_password(admin, old="", new="mật khẩu mới đủ dài")  # refused: nothing changes
        assert store.session_account(token) == kept
        store.close_session(token)
        assert store.session_account(token) is None


def test_no_flag_is_ever_cut_from_the_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "MAX_REST", 3)
    with open_store(tmp_path / "k.duckdb", double_share=0.0) as store:
        write_batch(tmp_path / "inbox", batch(flags=9, copies=0, quiet=20))
        store.merge_inbox(tmp_path / "inbox")
        an = sign_up(store, "an")
        assert len(store.queue(an, view="flagged")) == 9
        assert sum(e.flagged for e in store.queue(an)) == 9
        rest = [e for e in store.queue(an, view="all") if not e.flagged and not e.sampled]
        assert len(rest) == 3


def test_a_list_is_read_by_number_by_stretch_and_by_mention(tmp_path: Path) -> None:
    with open_store(tmp_path / "k.duckdb", double_share=0.0) as store:
        write_batch(tmp_path / "inbox", batch(flags=5, copies=2, quiet=9))
        store.merge_inbox(tmp_path / "inbox")
        an = sign_up(store, "an")
        listed = store.queue(an, view="all")
        entries = list(listed)
        assert [listed[n] for n in range(len(listed))] == entries == listed[:]
        assert listed[2:5] == entries[2:5]
        assert listed[-1] == entries[-1]
        assert listed[99:] == []
        with pytest.raises(IndexError):
            listed[len(entries)]
        for number, entry in enumerate(entries):
            assert {listed.number_of(k) for k in entry.mention_keys} == {number}
        assert listed.number_of(10**9) is None
        assert listed == entries
        assert listed != entries[1:]
        assert listed != 5
        store.decide(an, entries[1].mention_key, Decision.SUPPORTED, form_token="t")
        waiting = store.queue(an)
        assert waiting.number_of(entries[1].mention_key) is None
        assert waiting == [e for n, e in enumerate(entries) if n != 1 and (e.flagged or e.sampled)]
        flags = listed.only(lambda order: order.flagged, lambda slot: slot.flagged, once_as=1)
        assert [e.flagged for e in flags] == [True] * 5


def test_a_filter_asks_for_words_and_outlets_in_the_file(tmp_path: Path) -> None:
    with open_store(tmp_path / "k.duckdb", double_share=0.0) as store:
        write_batch(tmp_path / "inbox", batch(flags=6, copies=1, quiet=0))
        store.merge_inbox(tmp_path / "inbox")
        an = sign_up(store, "an")
        everything = list(store.queue(an))
        assert len({e.outlet for e in everything}) >= 1
        for wanted in (
            Filter(words="MỚI 3"), Filter(outlet=everything[0].outlet), Filter(words="không có"),
            Filter(outlet="không có"), Filter(words="%"),
        ):  # fmt: skip
            store.filters.save(an, "lọc", wanted)
            assert list(store.queue(an)) == [
                e
                for e in everything
                if wanted.words.casefold() in e.text.casefold() and wanted.outlet in ("", e.outlet)
            ]


def test_a_filter_in_use_lets_the_next_week_in(tmp_path: Path) -> None:
    with open_store(tmp_path / "k.duckdb", double_share=0.0) as store:
        an = sign_up(store, "an")
        store.filters.save(an, "lọc", Filter(words="mới 4"))
        for week, flags, found in (("2026-W40", 3, 0), ("2026-W41", 6, 1)):
            write_batch(tmp_path / "inbox", batch(week=week, flags=flags, copies=0, quiet=0))
            store.merge_inbox(tmp_path / "inbox")
            assert len(store.queue(an)) == found
            store.facts.forget()
            assert len(store.queue(an)) == found  # kept with the order, not with the facts


def test_what_wants_more_memory_gets_it_once_and_gives_it_back(tmp_path: Path) -> None:
    with open_store(tmp_path / "k.duckdb", desk=True) as store:

        def limit() -> str:
            return str(store._read("SELECT current_setting('memory_limit') AS x")[0]["x"])

        before, seen = limit(), []

        def greedy() -> str:
            seen.append(limit())
            if len(seen) < 3:
                raise StoreMemoryError("more")
            return "done"

        assert store._with_room(greedy) == "done"
        assert seen == [before, "305.1 MiB", "953.6 MiB"]
        seen[:] = [""]
        assert store._with_room(greedy) == "done"
        assert seen == ["", before, "305.1 MiB"]
        assert limit() == before == "91.5 MiB"

        def never() -> None:
            raise StoreMemoryError("more")

        with pytest.raises(StoreError, match="more"):
            store._with_room(never)
        with pytest.raises(StoreMemoryError):
            store._read("SELECT list(range::VARCHAR || repeat('x', 900)) FROM range(2000000)")
        with store._room(MERGING):
            with store._room(ROOM):  # two at once: the first to end takes nothing from the other
                assert limit() == "953.6 MiB"
            assert limit() == "152.5 MiB"
        assert limit() == before


def test_rows_lie_in_small_groups(tmp_path: Path) -> None:
    with open_store(tmp_path / "k.duckdb") as store:
        with store._writing() as cursor:
            cursor.execute("INSERT INTO search_claim SELECT range, 'x' FROM range(?)", [
                3 * ROW_GROUP
            ])  # fmt: skip
        with store._cursor() as cursor:
            cursor.execute("CHECKPOINT")
        rows = store._read(
            "SELECT count(DISTINCT row_group_id) AS n FROM pragma_storage_info('search_claim')"
        )
        assert rows[0]["n"] == 3
