"""What is kept beside a conclusion: copies and exceptions, own passages, corrections, history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from kiemchung.domain import Decision, Distortion
from kiemchung.errors import InputError
from kiemchung.store import Account, Store, claims, details, open_store, search
from kiemchung.store.inbox import write_batch
from kiemchung.store.preferences import preference, set_preference
from kiemchung.store.search import Query
from tests.batches import FLAG_CLAIM, NEW_PASSAGE, OLD_PASSAGE, OTHER_PASSAGE, batch


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """One flagged claim at four places, and others."""
    with open_store(tmp_path / "k.duckdb") as opened:
        opened.double_share = 0.0
        write_batch(tmp_path / "inbox", batch(copies=3))
        opened.merge_inbox(tmp_path / "inbox")
        search.catch_up(opened)
        yield opened


def someone(store: Store, name: str = "an") -> Account:
    account = store.authenticate(name, store.add_user(name))
    assert account is not None
    return account


def copies_of(store: Store) -> list[int]:
    rows = store._read("SELECT mention_key FROM mention WHERE text = ? ORDER BY 1", [FLAG_CLAIM])
    return [int(r["mention_key"]) for r in rows]


def decide(
    store: Store,
    who: Account,
    key: int,
    decision: Decision = Decision.REFUTED,
    excepted: tuple[int, ...] = (),
    correction: str = "",
) -> int:
    token = f"{who.name}/{len(store.reviews())}"
    done = store.decide(
        who, key, decision, form_token=token, cited_passages=[NEW_PASSAGE.passage_id],
        excepted=excepted, correction=correction,
    )  # fmt: skip
    assert done is not None
    return done


def waiting(store: Store, who: Account) -> set[int]:
    return {k for e in store.queue(who) if e.text == FLAG_CLAIM for k in e.mention_keys}


def held(store: Store) -> dict[int, str]:
    return {r["mention_key"]: r["decision"] for r in store._read("SELECT * FROM decided_mention")}


def test_one_conclusion_covers_all_copies(store: Store) -> None:
    who, keys = someone(store), copies_of(store)
    assert waiting(store, who) == set(keys)
    decide(store, who, keys[1])
    assert waiting(store, who) == set()
    assert held(store) == dict.fromkeys(keys, "REFUTED")
    assert {p.mention_key: p.as_copy for p in details.history(store, keys[0]).places} == {
        k: k != keys[1] for k in keys
    }
    (hit,) = search.search(store, Query(text="luật hiện hành"))
    assert hit.decision is Decision.REFUTED
    store.undo(who)
    assert waiting(store, who) == set(keys)
    assert held(store) == {}
    assert len(store._read("SELECT * FROM review_copy")) == 3  # nothing is taken away


def test_an_exception_stays_in_the_queue_and_has_its_own_conclusion(store: Store) -> None:
    who, keys = someone(store), copies_of(store)
    decide(store, who, keys[0], excepted=(keys[2],))
    assert waiting(store, who) == {keys[2]}
    (left,) = [e for e in store.queue(who) if e.text == FLAG_CLAIM]
    assert (left.mention_key, left.decision) == (keys[2], None)
    (settled,) = store.queue(who, view="decided")
    assert settled.decision is Decision.REFUTED
    assert held(store) == dict.fromkeys([keys[0], keys[1], keys[3]], "REFUTED")
    decide(store, who, keys[2], Decision.SUPPORTED)
    assert waiting(store, who) == set()
    assert held(store)[keys[2]] == "SUPPORTED"
    assert held(store)[keys[1]] == "REFUTED", "the later conclusion covers what waited, not more"


def test_after_an_undo_only_what_it_covered_waits_again(store: Store) -> None:
    who, keys = someone(store), copies_of(store)
    first = decide(store, who, keys[0], excepted=(keys[2],))
    decide(store, who, keys[2], Decision.SUPPORTED)
    assert store.undo(who, first) == keys[0]
    assert waiting(store, who) == {keys[0], keys[1], keys[3]}
    assert held(store) == {keys[2]: "SUPPORTED"}
    decide(store, who, keys[1], Decision.CONFLICTING)
    assert waiting(store, who) == set()
    assert held(store) == dict.fromkeys([keys[0], keys[1], keys[3]], "CONFLICTING") | {
        keys[2]: "SUPPORTED"
    }


def test_what_waits_is_the_same_after_the_store_was_opened_again(store: Store) -> None:
    who, keys = someone(store), copies_of(store)
    decide(store, who, keys[0], excepted=(keys[1], keys[3]))
    before = [(e.mention_key, e.mention_keys) for e in store.queue(who)]
    path = store.path
    store.close()
    with open_store(path) as again:
        assert [(e.mention_key, e.mention_keys) for e in again.queue(who)] == before
        assert waiting(again, who) == {keys[1], keys[3]}


def test_a_copy_that_comes_later_goes_with_the_others(store: Store, tmp_path: Path) -> None:
    who, keys = someone(store), copies_of(store)
    decide(store, who, keys[0], excepted=(keys[1],))
    write_batch(tmp_path / "inbox", batch(week="2026-W41", copies=5, suffix="b"))
    store.merge_inbox(tmp_path / "inbox")
    assert len(copies_of(store)) == 6
    assert waiting(store, who) == {keys[1]}


def test_skipping_covers_nothing(store: Store) -> None:
    who, keys = someone(store), copies_of(store)
    store.decide(who, keys[0], Decision.SKIPPED, form_token="s")
    assert held(store) == {}
    assert store._read("SELECT * FROM review_copy") == []


def test_the_smallest_correction_is_kept_with_choice_and_review(store: Store) -> None:
    who, keys = someone(store), copies_of(store)
    store.choose(
        who, keys[0], Decision.SUPPORTED, form_token="c", correction=" 7 → 5 ", excepted=(keys[3],)
    )
    assert details.choice_details(store, who, keys[0]) == details.ChoiceDetails(
        correction="7 → 5", excepted=frozenset({keys[3]})
    )
    assert details.choice_details(store, who, keys[1]) == details.ChoiceDetails()
    decide(store, who, keys[0], correction="7 → 5 từ 1/7/2024" + "x" * 900)
    (past,) = details.history(store, keys[2]).decisions
    assert past.correction.startswith("7 → 5 từ 1/7/2024")
    assert len(past.correction) == details.MAX_CORRECTION
    assert (past.mention_key, past.copies, past.undone) == (keys[0], 3, False)
    store.undo(who)
    (past,) = details.history(store, keys[2]).decisions
    assert past.undone


def test_history_tells_where_when_and_how_often(store: Store, tmp_path: Path) -> None:
    keys = copies_of(store)
    told = details.history(store, keys[0])
    assert {p.mention_key for p in told.places} == set(keys)
    assert (told.stories, told.outlets) == (4, 2)
    assert told.weeks == (("2026-W40", 4),)
    assert told.first == min(p.published_at for p in told.places if p.published_at)
    assert told.last is not None
    assert told.first is not None
    assert told.first < told.last
    assert all(p.same_passages for p in told.places)
    assert details.history(store, 10**6) == details.History(places=(), decisions=())
    # The same words about a day of the old law meet other passages: one conclusion fits not both.
    given = batch(week="2026-W39", flags=1, copies=0, quiet=0, suffix="o")
    older = replace(given.mentions[0], as_of=date(2020, 1, 1))
    judged = given.judgements[0]
    shown = replace(
        judged.evidence[0], passage_id=OLD_PASSAGE.passage_id, passage_sha256=OLD_PASSAGE.sha256
    )
    moved = replace(given.articles[0], url="http://x.example/1", canonical_url="http://x.example/1")
    moved = replace(moved, article_id="f" * 32)
    older = replace(older, article_id=moved.article_id, mention_id="e" * 32)
    judged = replace(judged, mention_id=older.mention_id, judgement_id="d" * 32, evidence=(shown,))
    write_batch(
        tmp_path / "inbox",
        replace(given, articles=(moved,), mentions=(older,), judgements=(judged,)),
    )
    assert store.merge_inbox(tmp_path / "inbox") == [given.run.run_id]
    told = details.history(store, keys[0])
    assert [p.same_passages for p in told.places].count(False) == 1
    who = someone(store)
    decide(store, who, keys[0])
    assert len(held(store)) == 4


def test_own_passages_are_found_by_word_and_id_and_only_those_in_force(store: Store) -> None:
    day = date(2026, 9, 30)
    assert [p.passage_id for p in details.find_passages(store, "CHO VAY nội bộ", day)] == [
        OTHER_PASSAGE.passage_id
    ]
    assert [p.passage_id for p in details.find_passages(store, "it nhat thanh vien", day)] == [
        NEW_PASSAGE.passage_id
    ]
    old_day = date(2020, 1, 1)
    assert [p.passage_id for p in details.find_passages(store, "it nhat thanh vien", old_day)] == [
        OLD_PASSAGE.passage_id
    ]
    assert details.find_passages(store, OLD_PASSAGE.passage_id, day) == []
    (named,) = details.find_passages(store, f" {OLD_PASSAGE.passage_id} ", old_day)
    assert named == OLD_PASSAGE
    assert details.find_passages(store, "", day) == []
    assert details.find_passages(store, "' OR 1=1 --", day) == []
    assert len(details.find_passages(store, "thanh vien", day, limit=1)) == 1
    assert store.facts.successors([OLD_PASSAGE.passage_id]) == {OLD_PASSAGE.passage_id: NEW_PASSAGE}
    assert details.passages_named(store, [OTHER_PASSAGE.passage_id]) == [OTHER_PASSAGE]


def test_a_passage_out_of_force_cannot_be_cited_an_own_one_in_force_can(store: Store) -> None:
    who, keys = someone(store), copies_of(store)
    quiet = int(store._read("SELECT max(mention_key) AS k FROM mention")[0]["k"])
    with pytest.raises(InputError, match="nor in force"):
        store.decide(
            who, keys[0], Decision.REFUTED, form_token="x", cited_passages=[OLD_PASSAGE.passage_id]
        )
    done = store.decide(
        who,
        quiet,
        Decision.REFUTED,
        form_token="y",
        cited_passages=[OTHER_PASSAGE.passage_id],
        distortions=[Distortion.ACTOR],
    )
    rows = store._read("SELECT * FROM review_citation")
    key = store._read(
        "SELECT passage_key FROM passage WHERE passage_id = ?", [OTHER_PASSAGE.passage_id]
    )[0]["passage_key"]
    assert rows == [{"review_key": done, "passage_key": key, "own": True}]
    decide(store, who, keys[0])
    assert [r["own"] for r in store._read("SELECT * FROM review_citation ORDER BY review_key")] == [
        True,
        False,
    ]
    assert store.problems() == []


def test_preferences_are_appended_and_the_latest_counts(store: Store) -> None:
    an, binh = someone(store), someone(store, "binh")
    assert preference(store, an, "keys") is None
    set_preference(store, an, "keys", {"next": "j"})
    set_preference(store, an, "keys", {"next": "l"})
    set_preference(store, binh, "keys", {})
    assert preference(store, an, "keys") == {"next": "l"}
    assert preference(store, binh, "keys") == {}
    assert len(store._read("SELECT * FROM preference")) == 3
    with pytest.raises(InputError, match="too long"):
        set_preference(store, an, "keys", "x" * 5000)


def test_a_warm_store_reads_nothing_more_for_its_first_list(store: Store) -> None:
    path, keys = store.path, copies_of(store)
    store.close()
    with open_store(path) as again:
        assert again.claims._arrays is None
        claims.warm(again)
        claim_id = str(
            again._read("SELECT claim_id FROM mention WHERE mention_key = ?", keys[:1])[0][
                "claim_id"
            ]
        )
        again.claims.rebuild = None  # type: ignore[assignment, method-assign]
        with again._cursor() as cursor:
            assert again.claims.mentions(cursor, claim_id) == keys
            assert again.claims.mentions(cursor, "no such claim") == []
