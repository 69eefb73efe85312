"""The store on real DuckDB files: what is kept, what cannot be doubled, what reviews survive."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pytest

from kiemchung.domain import Decision, Distortion, Judgement, Mention
from kiemchung.errors import InputError, StoreError, StoreLockedError
from kiemchung.shards import from_table, to_table
from kiemchung.store import Account, FlagRow, Store, open_store, restore
from kiemchung.store.inbox import write_batch
from kiemchung.store.merge import SAMPLE_SHARE
from tests.batches import (
    FLAG_CLAIM,
    NEW_PASSAGE,
    article,
    batch,
    flag,
    judgement,
    mention,
    rejudged,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "k.duckdb") as opened:
        yield opened


@pytest.fixture
def full(store: Store, tmp_path: Path) -> Store:
    write_batch(tmp_path / "inbox", batch())
    assert store.merge_inbox(tmp_path / "inbox") == [batch().run.run_id]
    return store


def sign_up(store: Store, name: str, role: str = "reviewer") -> Account:
    account = store.authenticate(name, store.add_user(name, role=role))
    assert account is not None
    return account


def first_flag(store: Store, account: Account) -> int:
    return store.queue(account, view="flagged")[0].mention_key


def machine_rows(store: Store) -> list[tuple[Mention, Judgement]]:
    return store.judged_mentions()


# -- what is stored comes back ------------------------------------------------------------------


def test_what_was_merged_comes_back_unchanged(full: Store) -> None:
    given = batch()
    rows = full.judged_mentions()
    assert {m.mention_id: j for m, j in rows} == {j.mention_id: j for j in given.judgements}
    checkable = {m.mention_id: m for m in given.mentions if m.checkability == "CHECKABLE"}
    assert {m.mention_id: m for m, _ in rows} == checkable
    assert full.problems() == []
    assert full.counts()["articles"] == len(given.articles)
    assert full.counts()["mentions"] == len(given.mentions)
    (run,) = full.runs("2026-W40")
    assert run.accounting == given.run.accounting
    assert run.alarms == given.run.alarms
    assert full.runs("2026-W41") == []


def test_an_item_holds_the_whole_article_and_its_passages(full: Store) -> None:
    account = sign_up(full, "an")
    item = full.item(first_flag(full, account))
    assert item is not None
    assert item.article in batch().articles
    assert item.article.text[item.mention.start : item.mention.end] == FLAG_CLAIM
    assert [p.on_point for p in item.passages] == [True, False]
    assert item.passages[0].passage == NEW_PASSAGE
    older = item.passages[0].predecessor
    assert older is not None
    assert older.valid_to == date(2024, 7, 1)
    assert {d.number for d in item.documents} == {"17/2023/QH15", "23/2012/QH13"}
    assert [c.outlet for c in item.copies] == ["pho-nho"]
    assert full.item(10**9) is None


def test_flags_hold_all_that_derives_them_again_and_round_trip_through_parquet(full: Store) -> None:
    flags = full.flags("2026-W40")
    assert [f.p_refuted for f in flags] == sorted((f.p_refuted for f in flags), reverse=True)
    assert len(flags) == 3
    assert flags[0].claim == FLAG_CLAIM
    assert flags[0].copies == 2
    assert flags[0].evidence[0].passage_sha256 == NEW_PASSAGE.sha256
    assert flags[0].evidence[0].citation == NEW_PASSAGE.citation
    assert flags[0].differences[0].kind is Distortion.NUMBER
    assert flags[0].decision is None
    assert full.flags("2026-W41") == []
    assert full.export_rows() == full.flags(None)
    assert from_table(to_table(flags, FlagRow), FlagRow) == flags
    assert not any("body" in name for name in FlagRow.__dataclass_fields__)


# -- merging twice ------------------------------------------------------------------------------


def test_merging_the_same_run_again_changes_nothing(full: Store, tmp_path: Path) -> None:
    before, counts = machine_rows(full), full.counts()
    for _ in range(2):
        write_batch(tmp_path / "inbox", batch())
        full.merge_inbox(tmp_path / "inbox")
    assert machine_rows(full) == before
    assert full.counts() == counts
    assert full.problems() == []


def test_a_run_judged_anew_replaces_its_judgements_and_leaves_reviews(
    full: Store, tmp_path: Path
) -> None:
    account = sign_up(full, "an")
    key = first_flag(full, account)
    cited = [NEW_PASSAGE.passage_id]
    full.decide(account, key, Decision.REFUTED, form_token="t", cited_passages=cited, note="rõ")
    counts, reviews = full.counts(), full.reviews()
    write_batch(tmp_path / "inbox", rejudged(batch(), 0.81))
    assert full.merge_inbox(tmp_path / "inbox") == [batch().run.run_id]
    assert {f.p_refuted for f in full.flags()} == {0.81}
    assert full.counts() == counts
    assert full.reviews() == reviews
    assert full.problems() == []
    # Back to the first wording: known by content, so nothing is added, and it counts again.
    write_batch(tmp_path / "inbox", batch())
    full.merge_inbox(tmp_path / "inbox")
    assert full.flags()[0].p_refuted == 0.95
    assert full.counts() == counts


def test_a_claim_that_a_later_extraction_no_longer_finds_leaves_the_queue(
    full: Store, tmp_path: Path
) -> None:
    given = batch()
    gone = given.judgements[0].mention_id
    smaller = replace(
        given,
        mentions=tuple(m for m in given.mentions if m.mention_id != gone),
        judgements=tuple(j for j in given.judgements if j.mention_id != gone),
    )
    write_batch(tmp_path / "inbox", smaller)
    full.merge_inbox(tmp_path / "inbox")
    assert gone not in {f.mention_id for f in full.flags()}
    assert full.counts()["mentions"] == len(smaller.mentions)
    assert full.problems() == []


def test_two_runs_may_share_articles_and_the_later_judgement_counts(
    full: Store, tmp_path: Path
) -> None:
    later = rejudged(batch(week="2026-W41"), 0.85)
    write_batch(tmp_path / "inbox", later)
    full.merge_inbox(tmp_path / "inbox")
    assert full.counts()["articles"] == len(batch().articles)
    assert full.counts()["runs"] == 2
    assert {f.week for f in full.flags()} == {"2026-W41"}
    assert full.flags("2026-W40") == []
    assert full.weeks() == ["2026-W41", "2026-W40"]


def test_a_corrected_passage_is_a_new_wording_and_the_old_flag_keeps_its_own(
    full: Store, tmp_path: Path
) -> None:
    better = replace(NEW_PASSAGE, text=NEW_PASSAGE.text.replace("lập.", "lập nên."))
    claim = FLAG_CLAIM.replace("hiện hành", "vừa ban hành")
    one = article(77, sentences=(claim,))
    said = mention(one, claim)
    run = replace(batch().run, run_id="2026-W41-x", week="2026-W41")
    judged = replace(
        flag(said, run_id=run.run_id),
        evidence=(
            replace(flag(said, run_id=run.run_id).evidence[0], passage_sha256=better.sha256),
        ),
    )
    write_batch(
        tmp_path / "inbox",
        replace(
            batch(),
            run=run,
            articles=(one,),
            mentions=(said,),
            judgements=(judged,),
            passages=(better,),
        ),
    )
    assert full.merge_inbox(tmp_path / "inbox") == [run.run_id]
    words = {f.week: f.evidence[0].text for f in full.flags()}
    assert words == {"2026-W40": NEW_PASSAGE.text, "2026-W41": better.text}


# -- the queue ----------------------------------------------------------------------------------


def test_copies_are_one_entry_and_the_strongest_flag_comes_first(full: Store) -> None:
    account = sign_up(full, "an")
    flags = full.queue(account, view="flagged")
    assert [len(e.mention_keys) for e in flags] == [2, 1]
    assert flags[0].p_refuted == 0.95
    assert full.queue(account)[0] == flags[0]


def test_the_same_words_about_another_day_are_another_entry(store: Store, tmp_path: Path) -> None:
    given = batch(flags=1, copies=1, quiet=0)
    early = replace(given.mentions[-1], as_of=date(2022, 5, 1))
    quiet = judgement(early, run_id=given.run.run_id)
    write_batch(
        tmp_path / "inbox",
        replace(
            given,
            mentions=(*given.mentions[:-1], early),
            judgements=(*given.judgements[:-1], quiet),
        ),
    )
    store.merge_inbox(tmp_path / "inbox")
    account = sign_up(store, "an")
    assert [len(e.mention_keys) for e in store.queue(account, view="all")] == [1, 1]


def test_about_five_in_a_hundred_unflagged_claims_are_drawn_and_always_the_same(
    store: Store, tmp_path: Path
) -> None:
    given = batch(flags=3, quiet=600)
    drawn = []
    for _ in range(2):
        write_batch(tmp_path / "inbox", given)
        store.merge_inbox(tmp_path / "inbox")
        rows = store._read(
            "SELECT s.*, j.flagged FROM selection AS s JOIN current_judgement USING (mention_key)"
            " JOIN judgement AS j USING (judgement_key) ORDER BY s.mention_key"
        )
        drawn.append(rows)
    assert drawn[0] == drawn[1]
    sample = [r for r in drawn[0] if r["reason"] == "sample"]
    assert 12 <= len(sample) <= 50  # 30 expected; beyond five standard deviations
    assert {r["probability"] for r in sample} == {SAMPLE_SHARE}
    assert not any(r["flagged"] for r in sample)
    assert all(r["probability"] == 1 for r in drawn[0] if r["reason"] == "flag")
    account = sign_up(store, "an")
    listed = store.queue(account)
    assert len(listed) == 3 + len(sample)
    # The place must not tell: some of the sample stands before the last flag.
    last_flag = max(n for n, e in enumerate(listed) if e.flagged)
    assert any(e.sampled for e in listed[:last_flag])


def test_a_decided_claim_leaves_the_queue_and_comes_back_when_undone(full: Store) -> None:
    account = sign_up(full, "an")
    before = full.queue(account)
    key = before[0].mention_key
    full.decide(account, key, Decision.SUPPORTED, form_token="t")
    assert full.queue(account) == before[1:]
    decided = full.queue(account, view="decided")
    assert [(e.mention_key, e.decision) for e in decided] == [(key, Decision.SUPPORTED)]
    assert full.undo(account) == key
    assert full.queue(account) == before


def test_skipping_hides_an_entry_from_oneself_only(full: Store) -> None:
    one, two = sign_up(full, "an"), sign_up(full, "binh")
    key = full.queue(one)[0].mention_key
    full.decide(one, key, Decision.SKIPPED, form_token="t")
    assert full.queue(one)[0].mention_key != key
    assert full.queue(two)[0].mention_key == key
    assert full.flags()[0].decision is None
    full.decide(two, key, Decision.NOT_ENOUGH_INFO, form_token="u")
    full.decide(one, key, Decision.SKIPPED, form_token="v")
    assert full.flags()[0].decision is Decision.NOT_ENOUGH_INFO


def test_the_week_filters_and_an_unknown_list_is_refused(full: Store) -> None:
    account = sign_up(full, "an")
    assert full.queue(account, week="2026-W40") == full.queue(account)
    assert full.queue(account, week="2026-W41") == []
    with pytest.raises(InputError, match="no list"):
        full.queue(account, view="drop table")


# -- reviews ------------------------------------------------------------------------------------


def test_reviews_are_append_only_and_the_latest_not_undone_counts(full: Store) -> None:
    account = sign_up(full, "an")
    key = first_flag(full, account)
    cited = [NEW_PASSAGE.passage_id]
    first = full.decide(
        account,
        key,
        Decision.REFUTED,
        form_token="a",
        cited_passages=cited,
        distortions=[Distortion.NUMBER],
        decision_before_model=Decision.SUPPORTED,
        shown_model=True,
        seconds=12.5,
        note="số khác",
    )
    full.decide(account, key, Decision.CONFLICTING, form_token="b")
    assert full.flags()[0].decision is Decision.CONFLICTING
    assert full.undo(account) == key
    row = full.flags()[0]
    assert row.decision is Decision.REFUTED
    assert row.decision_before_model is Decision.SUPPORTED
    assert row.distortions == (Distortion.NUMBER,)
    assert row.cited_passages == tuple(cited)
    assert full.undo(account) == key
    assert full.undo(account) is None
    assert full.flags()[0].decision is None
    rows = full.reviews()
    assert [r.review_id for r in rows] == [1, 2, 3, 4]
    assert [r.undoes for r in rows] == [None, None, 2, first]
    assert rows[0].note == "số khác"
    assert rows[0].seconds == 12.5
    assert rows[0].reviewer == "an"


def test_one_form_counts_once_however_often_it_is_sent(full: Store) -> None:
    account = sign_up(full, "an")
    key = first_flag(full, account)
    assert full.decide(account, key, Decision.SUPPORTED, form_token="same") == 1
    assert full.decide(account, key, Decision.NOT_ENOUGH_INFO, form_token="same") is None
    assert full.choose(account, key, Decision.SUPPORTED, form_token="same") is False
    assert len(full.reviews()) == 1
    with pytest.raises(InputError, match="form token"):
        full.decide(account, key, Decision.SUPPORTED, form_token="")


def test_refuted_needs_a_passage_that_was_shown(full: Store) -> None:
    account = sign_up(full, "an")
    key = first_flag(full, account)
    with pytest.raises(InputError, match="needs a cited passage"):
        full.decide(account, key, Decision.REFUTED, form_token="a")
    with pytest.raises(InputError, match="not among the passages"):
        full.decide(account, key, Decision.REFUTED, form_token="a", cited_passages=["khác"])
    with pytest.raises(InputError, match="no mention"):
        full.decide(account, 10**6, Decision.SUPPORTED, form_token="a")
    with pytest.raises(InputError, match="no conclusion"):
        full.choose(account, key, Decision.SKIPPED, form_token="a")
    with pytest.raises(InputError, match="may only read"):
        full.decide(sign_up(full, "xem", "reader"), key, Decision.SUPPORTED, form_token="a")
    assert full.reviews() == []


def test_nobody_undoes_somebody_elses_review(full: Store) -> None:
    one, two = sign_up(full, "an"), sign_up(full, "binh")
    review = full.decide(one, first_flag(full, one), Decision.SUPPORTED, form_token="a")
    assert full.undo(two, review) is None
    assert full.undo(two) is None
    assert full.flags()[0].decision is Decision.SUPPORTED
    assert [r.review.review_id for r in full.standing_reviews(one)] == [review]
    assert full.standing_reviews(two) == []


def test_a_blind_choice_holds_until_other_passages_are_shown(full: Store, tmp_path: Path) -> None:
    account = sign_up(full, "an")
    key = first_flag(full, account)
    assert full.blind_choice(account, key) is None
    full.choose(account, key, Decision.SUPPORTED, form_token="a", note="x")
    kept = full.blind_choice(account, key)
    assert kept is not None
    assert (kept.decision, kept.note) == (Decision.SUPPORTED, "x")
    write_batch(tmp_path / "inbox", rejudged(batch(), 0.9))
    full.merge_inbox(tmp_path / "inbox")
    assert full.blind_choice(account, key) is not None  # same passages
    given = batch()
    bare = tuple(
        replace(j, evidence=(), flagged=False) if j.flagged else j for j in given.judgements
    )
    write_batch(tmp_path / "inbox", replace(given, judgements=bare))
    full.merge_inbox(tmp_path / "inbox")
    assert full.blind_choice(account, key) is None


def test_week_counts_add_up(full: Store) -> None:
    account = sign_up(full, "an")
    full.decide(account, first_flag(full, account), Decision.SUPPORTED, form_token="a")
    counts = full.week_counts("2026-W40")
    given = batch()
    assert sum(counts.status.values()) == len(given.judgements)
    assert sum(counts.label.values()) == counts.status["ok"]
    assert sum(counts.checkability.values()) == len(given.mentions)
    assert sum(counts.nei_reason.values()) == counts.label["NOT_ENOUGH_INFO"]
    assert counts.flagged == 3
    assert counts.decisions == {Decision.SUPPORTED: 1}


# -- what the tables refuse ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "p_refuted = NULL",
        "label = NULL",
        "status = 'failed', error = 'x'",
        "status = 'abstained'",
        "p_nei = 0.9",
        "flagged = NULL",
        "flagged = true, label = 'SUPPORTED'",
        "error = 'x'",
        "label = 'mau_thuan'",
        "p_refuted = 'NaN'::DOUBLE",
    ],
)
def test_no_null_and_no_contradiction_slips_into_a_judgement(full: Store, change: str) -> None:
    cursor = full._take()
    with pytest.raises(duckdb.ConstraintException):
        cursor.execute(f"UPDATE judgement SET {change} WHERE flagged")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE mention SET end_char = start_char",
        "UPDATE mention SET start_char = -1",
        "UPDATE mention SET as_of = NULL",
        "UPDATE mention SET checkability = 'y_kien'",
        "UPDATE passage SET valid_to = valid_from",
        "UPDATE run SET week = '2026-40'",
        "UPDATE review SET cited_passages = NULL",
        "UPDATE review SET decision = 'REFUTED'",
        "UPDATE review SET decision = 'REFUTED', cited_passages = []",
        "UPDATE review SET undoes = review_key",
        "UPDATE account SET password_hash = 'plain'",
        "UPDATE account SET role = 'root'",
    ],
)
def test_other_holes_of_the_draft_are_closed(full: Store, statement: str) -> None:
    account = sign_up(full, "an")
    full.decide(account, first_flag(full, account), Decision.SUPPORTED, form_token="a")
    cursor = full._take()
    with pytest.raises(duckdb.ConstraintException):
        cursor.execute(statement)


def test_the_check_queries_find_what_no_key_forbids(full: Store) -> None:
    cursor = full._take()
    cursor.execute("INSERT INTO article SELECT * FROM article LIMIT 1")
    cursor.execute("DELETE FROM run_mention WHERE mention_key = 1")
    cursor.execute("DELETE FROM judgement_evidence")
    found = " | ".join(full.problems())
    assert "doubled article" in found
    assert "has lost rows" in found
    assert "without a passage" in found


def test_a_second_query_does_not_change_the_first_result(full: Store) -> None:
    with full._cursor() as one, full._cursor() as two:
        first = one.execute("SELECT 1")
        two.execute("SELECT 2").fetchall()
        assert first.fetchall() == [(1,)]


# -- accounts -----------------------------------------------------------------------------------


def test_accounts_begin_with_a_one_time_password(store: Store) -> None:
    password = store.add_user("an", role="admin")
    assert not store.has_changed_password("an")
    account = store.authenticate("an", password)
    assert account is not None
    assert account.must_change
    assert store.change_password(account, old="x", new="đủ dài để dùng") == "wrong"
    assert store.change_password(account, old=password, new="ngắn") == "length"
    assert store.change_password(account, old=password, new=password) == "same"
    assert store.change_password(account, old=password, new="đủ dài để dùng") == ""
    assert store.has_changed_password("an")
    assert store.authenticate("an", password) is None
    changed = store.authenticate("an", "đủ dài để dùng")
    assert changed is not None
    assert not changed.must_change
    again = store.reset_password("an")
    assert not store.has_changed_password("an")
    assert store.authenticate("an", again) is not None


def test_bad_names_roles_and_doubles_are_refused(store: Store) -> None:
    for name in ("", "An", "a b", "../x", "ầ", "a" * 41, "-a"):
        with pytest.raises(InputError):
            store.add_user(name)
    with pytest.raises(InputError, match="role"):
        store.add_user("an", role="root")
    store.add_user("an")
    with pytest.raises(InputError, match="exists"):
        store.add_user("an")
    with pytest.raises(InputError, match="no account"):
        store.reset_password("binh")
    assert not store.has_changed_password("binh")


def test_the_demo_user_is_made_once_and_renewed(store: Store) -> None:
    first = store.set_demo_user("bientap")
    second = store.set_demo_user("bientap")
    assert first != second
    assert store.authenticate("bientap", first) is None
    assert store.authenticate("bientap", second) is not None
    assert store.counts()["accounts"] == 1


def test_no_password_and_no_session_token_lies_in_the_file(store: Store, tmp_path: Path) -> None:
    password = store.add_user("an")
    account = store.authenticate("an", password)
    assert account is not None
    token = store.open_session(account)
    assert store.session_account(token) == account
    store.close()
    raw = b"".join(p.read_bytes() for p in tmp_path.glob("k.duckdb*"))
    assert password.encode() not in raw
    assert token.encode() not in raw


# -- backup and restore -------------------------------------------------------------------------


def test_a_backup_holds_everything_and_comes_back(full: Store, tmp_path: Path) -> None:
    account = sign_up(full, "an")
    full.decide(account, first_flag(full, account), Decision.SUPPORTED, form_token="a")
    rows, flags, reviews = full.counts(), full.flags(), full.reviews()
    copy = full.backup(tmp_path / "copies" / "one 'quoted'.duckdb")
    full.undo(account)
    path = full.path
    full.close()
    restore(copy, path)
    assert path.with_name("k.duckdb.before-restore-1").is_file()
    with open_store(path) as back:
        assert back.counts() == rows
        assert back.flags() == flags
        assert back.reviews() == reviews
        assert back.problems() == []
        assert back.undo(account) is not None  # writing goes on, constraints and views included
        with pytest.raises(duckdb.ConstraintException):
            back._take().execute("UPDATE mention SET start_char = -1")
    assert not [p for p in tmp_path.iterdir() if p.name.endswith((".tmp", ".restoring"))]


def test_a_backup_never_replaces_the_store_itself(full: Store) -> None:
    with pytest.raises(StoreError, match="beside itself"):
        full.backup(full.path)
    assert full.counts()["runs"] == 1


def test_restore_refuses_what_is_no_backup_and_keeps_the_store(full: Store, tmp_path: Path) -> None:
    path = full.path
    junk = tmp_path / "junk"
    junk.write_bytes(b"not a database at all, but long enough")
    with pytest.raises(StoreLockedError):  # also within one process
        open_store(path, wait_seconds=0.0)
    full.close()
    with pytest.raises(StoreError, match="no store"):
        restore(junk, path, unverified=True)
    with pytest.raises(StoreError, match="SHA-256 is not beside it"):
        restore(junk, path)
    with pytest.raises(StoreError, match="no such backup"):
        restore(tmp_path / "missing", path)
    other = duckdb.connect(str(tmp_path / "other.duckdb"))
    other.execute("CREATE TABLE x (y INTEGER)")
    other.close()
    with pytest.raises(StoreError, match="no backup of a store"):
        restore(tmp_path / "other.duckdb", path, unverified=True)
    with open_store(path) as back:
        assert back.counts()["runs"] == 1


def test_other_files_are_not_taken_for_a_store(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    path.write_text("năm 2026, một tệp khác hẳn", encoding="utf-8")
    with pytest.raises(StoreError, match="no store"):
        open_store(path)
    assert path.read_text(encoding="utf-8").startswith("năm 2026")


def test_a_damaged_file_is_refused_with_a_way_out(full: Store) -> None:
    path = full.path
    full.close()
    data = bytearray(path.read_bytes())
    for place in range(0, 12288, 7):  # all three headers
        if not 8 <= place < 12:
            data[place] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(StoreError, match="restore"):
        open_store(path)
    with pytest.raises(StoreError):  # the lock was given back, so this is the same refusal
        open_store(path, wait_seconds=0.0)


# -- processes ----------------------------------------------------------------------------------


def child(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


HOLD = """
import sys, time
from pathlib import Path
from kiemchung.store import open_store
with open_store(Path(sys.argv[1])) as store:
    print("open", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def test_a_second_process_is_refused_by_name_and_waits_a_bounded_time(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    owner = child(HOLD, str(path), "30")
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "open\n"
        with pytest.raises(StoreLockedError, match=str(owner.pid)) as caught:
            open_store(path, wait_seconds=0.2)
        assert caught.value.pid == owner.pid
    finally:
        owner.kill()
        owner.wait()
        assert owner.stdout is not None
        owner.stdout.close()
    with open_store(path, wait_seconds=2.0) as store:  # a killed owner leaves no lock behind
        assert store.counts()["runs"] == 0


def test_waiting_ends_as_soon_as_the_owner_has_gone(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    owner = child(HOLD, str(path), "0.6")
    assert owner.stdout is not None
    assert owner.stdout.readline() == "open\n"
    with open_store(path, wait_seconds=20.0) as store:
        assert store.counts()["runs"] == 0
    assert owner.wait(timeout=10) == 0
    owner.stdout.close()


def test_a_foreign_program_in_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    with open_store(path):
        pass
    code = (
        "import sys, time, duckdb; c = duckdb.connect(sys.argv[1]);"
        "print('open', flush=True); time.sleep(30)"
    )
    owner = child(code, str(path))
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "open\n"
        with pytest.raises(StoreLockedError) as caught:
            open_store(path)
        assert caught.value.pid == owner.pid
    finally:
        owner.kill()
        owner.wait()
        assert owner.stdout is not None
        owner.stdout.close()


ADD = """
import sys
from pathlib import Path
from kiemchung.store import open_store
for number in range(int(sys.argv[3])):
    with open_store(Path(sys.argv[1]), wait_seconds=60) as store:
        store.add_user(f"{sys.argv[2]}{number}")
"""


@pytest.mark.slow
def test_competing_processes_lose_no_acknowledged_row(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    with open_store(path):
        pass
    workers = [child(ADD, str(path), name, "8") for name in ("a", "b", "c")]
    for worker in workers:
        assert worker.wait(timeout=120) == 0
        assert worker.stdout is not None
        worker.stdout.close()
    with open_store(path) as store:
        assert store.counts()["accounts"] == 24
        assert store.problems() == []


KILL = """
import os, signal, sys
from pathlib import Path
import kiemchung.store.store as module
from kiemchung.store import open_store

def die(*arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)

real = module.merge
def merge_and_die(*arguments, **named):
    real(*arguments, **named)
    die()

if sys.argv[3] == "before commit":
    module.merge = merge_and_die
else:
    module.inbox.discard = die
with open_store(Path(sys.argv[1])) as store:
    store.merge_inbox(Path(sys.argv[2]))
"""


@pytest.mark.parametrize("moment", ["before commit", "after commit"])
def test_killed_while_merging_the_next_owner_ends_it(tmp_path: Path, moment: str) -> None:
    path, folder = tmp_path / "k.duckdb", tmp_path / "inbox"
    write_batch(folder, batch())
    worker = child(KILL, str(path), str(folder), moment)
    assert worker.wait(timeout=60) == -9
    assert worker.stdout is not None
    worker.stdout.close()
    with open_store(path) as store:
        assert store.counts()["runs"] == (0 if moment == "before commit" else 1)
        assert store.problems() == []
        assert store.merge_inbox(folder) == [batch().run.run_id]
        assert {j.mention_id: j for _, j in store.judged_mentions()} == {
            j.mention_id: j for j in batch().judgements
        }
        assert store.problems() == []
    assert list(folder.iterdir()) == []


def test_a_decision_does_not_wait_for_a_merge(full: Store) -> None:
    account = sign_up(full, "an")
    with full._merging:  # as if a large batch were being merged
        assert full.decide(account, first_flag(full, account), Decision.SUPPORTED, form_token="a")


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = open_store(tmp_path / "k.duckdb")
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.counts()
