"""Backup beside reviewers, requests to the owner, the daily reviews, migrations with rows."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from datetime import date
from pathlib import Path

import duckdb
import pytest

from kiemchung.domain import Decision
from kiemchung.errors import InputError, StoreError, StoreLockedError, StoreMemoryError
from kiemchung.store import Account, Store, forgetting, insurance, open_store, requests, restore
from kiemchung.store import opening as opening_module
from kiemchung.store.checks import problems
from kiemchung.store.inbox import write_batch
from kiemchung.store.migrate import Migration, applied, migrate, shipped
from kiemchung.store.sealed import check_seal, seal, sha256_of, side_file
from kiemchung.store.search import Query, catch_up, search
from tests.batches import FLAG_CLAIM, NEW_PASSAGE, batch

ROOT = Path(__file__).resolve().parents[2]


def filled(path: Path, **given: int) -> Store:
    store = open_store(path, double_share=0.0)
    write_batch(path.parent / "inbox", batch(**given))  # type: ignore[arg-type]
    assert store.merge_inbox(path.parent / "inbox")
    return store


def sign_up(store: Store, name: str) -> Account:
    account = store.authenticate(name, store.add_user(name))
    assert account is not None
    return account


def decide(store: Store, account: Account, key: int, token: str) -> None:
    store.decide(
        account, key, Decision.REFUTED, cited_passages=[NEW_PASSAGE.passage_id],
        note=f"ghi chú {token}", form_token=token,
    )  # fmt: skip


# -- backup --------------------------------------------------------------------------------------


def test_a_backup_beside_people_has_all_that_was_acknowledged_and_nothing_half(
    tmp_path: Path,
) -> None:
    with filled(tmp_path / "k.duckdb", flags=60) as store:
        people = [sign_up(store, f"nguoi{n}") for n in range(3)]
        keys = [e.mention_key for e in store.queue(people[0])]
        acknowledged: list[tuple[float, str]] = []
        errors: list[Exception] = []
        stop = threading.Event()

        def work(person: Account, mine: list[int]) -> None:
            try:
                for number, key in enumerate(mine):
                    if stop.is_set():
                        return
                    token = f"{person.name}-{number}"
                    decide(store, person, key, token)
                    acknowledged.append((time.monotonic(), token))
            except Exception as error:  # noqa: BLE001  whatever it is, the test says so
                errors.append(error)

        workers = [
            threading.Thread(target=work, args=(p, keys[n::3])) for n, p in enumerate(people)
        ]
        for worker in workers:
            worker.start()
        while len(acknowledged) < 5:
            time.sleep(0.005)
        began = time.monotonic()
        copy = store.backup(tmp_path / "copy" / "b.duckdb")
        stop.set()
        for worker in workers:
            worker.join()
        assert errors == []
        must = {token for at, token in acknowledged if at < began}
    check_seal(copy)
    restore(copy, tmp_path / "back" / "k.duckdb")
    with open_store(tmp_path / "back" / "k.duckdb") as back:
        there = back._read("SELECT form_token, note, review_key FROM review")
        assert must <= {r["form_token"] for r in there}
        assert all(r["note"] == f"ghi chú {r['form_token']}" for r in there)
        cited = {r["review_key"] for r in back._read("SELECT review_key FROM review_citation")}
        assert cited == {r["review_key"] for r in there}  # written in the same transaction
        assert back.problems() == []


def test_nobody_waits_for_a_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decision is made while the copy is being written, not behind it."""
    inside, go_on = threading.Event(), threading.Event()

    class Held:
        def __init__(self, path: Path) -> None: ...
        def __enter__(self) -> None:
            inside.set()
            assert go_on.wait(20)

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr("kiemchung.store.store.written_back", Held)
    with filled(tmp_path / "k.duckdb") as store:
        account = sign_up(store, "an")
        worker = threading.Thread(target=store.backup, args=(tmp_path / "b.duckdb",))
        worker.start()
        assert inside.wait(20)
        try:
            decide(store, account, store.queue(account)[0].mention_key, "a")
            assert store.counts()["reviews"] == 1
        finally:
            go_on.set()
            worker.join()


def test_a_changed_or_cut_backup_is_refused(tmp_path: Path) -> None:
    with filled(tmp_path / "k.duckdb") as store:
        copy = store.backup(tmp_path / "b.duckdb")
    target = tmp_path / "other" / "k.duckdb"
    whole = copy.read_bytes()
    copy.write_bytes(whole[:-4096])
    with pytest.raises(StoreError, match=r"SHA-256 is .* says"):
        restore(copy, target)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    copy.write_bytes(flipped)
    with pytest.raises(StoreError, match=r"SHA-256 is .* says"):
        restore(copy, target)
    side_file(copy).write_text("không phải\n", encoding="utf-8")
    with pytest.raises(StoreError, match="no SHA-256 line"):
        restore(copy, target)
    copy.write_bytes(whole)
    side_file(copy).unlink()
    with pytest.raises(StoreError, match="not beside it"):
        restore(copy, target)
    assert not target.exists()
    restore(copy, target, unverified=True)
    assert target.is_file()


def test_the_side_file_is_one_of_sha256sum(tmp_path: Path) -> None:
    path = tmp_path / "a b.bin"
    path.write_bytes(b"abc")
    seal(path)
    done = subprocess.run(
        ["sha256sum", "-c", side_file(path).name], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_backup_refuses_to_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with filled(tmp_path / "k.duckdb") as store:
        monkeypatch.setattr("kiemchung.store.sealed.SPARE_BYTES", 10**18)
        with pytest.raises(StoreError, match="are free"):
            store.backup(tmp_path / "b.duckdb")
        (tmp_path / "letter.txt").write_text("một tệp khác hẳn ở đây", encoding="utf-8")
        with pytest.raises(StoreError, match="no backup"):
            store.backup(tmp_path / "letter.txt")
    assert sorted(p.name for p in tmp_path.iterdir() if "b.duckdb" in p.name) == []


def test_restore_refuses_a_newer_schema(tmp_path: Path) -> None:
    with filled(tmp_path / "k.duckdb") as store:
        copy = store.backup(tmp_path / "b.duckdb")
    connection = duckdb.connect(str(copy))
    future = Migration(number=99, name="0099_future.sql", sql="CREATE TABLE future (x INTEGER)")
    migrate(connection, [*shipped(), future])
    connection.close()
    seal(copy)
    before = sha256_of(tmp_path / "k.duckdb")
    with pytest.raises(StoreError, match="newer program"):
        restore(copy, tmp_path / "k.duckdb")
    assert sha256_of(tmp_path / "k.duckdb") == before


# -- requests ------------------------------------------------------------------------------------


def test_a_request_is_answered_once_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    seen: list[str] = []

    def answer(facts: requests.Mapping[str, object]) -> dict[str, object]:
        seen.append(str(facts["x"]))
        if facts["x"] == "bad":
            raise InputError("not so", where="here", remedy="otherwise")
        return {"got": facts["x"]}

    stop = threading.Event()

    def own() -> None:
        while not stop.wait(0.02):
            requests.serve_once(path, {"try": answer})

    owner = threading.Thread(target=own)
    owner.start()
    try:
        told = requests.ask(path, "try", {"x": "ờ"}, pid=os.getppid(), within=10)
        assert told == {"got": "ờ"}
        with pytest.raises(StoreError, match=r"here: not so \(otherwise\)"):
            requests.ask(path, "try", {"x": "bad"}, pid=os.getppid(), within=10)
        with pytest.raises(StoreError, match="knows no request"):
            requests.ask(path, "else", {}, pid=os.getppid(), within=10)
        (tmp_path / "requests" / "junk.json").write_text("{", encoding="utf-8")
        time.sleep(0.2)
    finally:
        stop.set()
        owner.join()
    assert seen == ["ờ", "bad"]
    assert list((tmp_path / "requests").iterdir()) == []
    assert (tmp_path / "requests").stat().st_mode & 0o077 == 0


def test_an_owner_that_goes_away_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "OWNER_SECONDS", 0.1)
    with pytest.raises(StoreLockedError, match="gave the store up"):
        requests.ask(tmp_path / "k.duckdb", "backup", {}, pid=1, within=60)
    assert list((tmp_path / "requests").iterdir()) == []


def test_a_request_that_nobody_takes_is_withdrawn(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    with pytest.raises(StoreLockedError, match="takes no requests"):
        requests.ask(path, "backup", {}, pid=os.getppid(), within=1, taken_within=0.3)
    assert list((tmp_path / "requests").iterdir()) == []
    assert requests.serve_once(path, {}) == []
    with pytest.raises(StoreLockedError):  # nobody waits for themselves
        requests.ask(path, "backup", {}, pid=os.getpid(), within=1)


# -- the daily reviews ---------------------------------------------------------------------------


def reviewed(folder: Path) -> tuple[Path, Path]:
    """A store with decisions of every kind, and the file of its reviews."""
    with filled(folder / "k.duckdb", flags=4) as store:
        an, binh = sign_up(store, "an"), sign_up(store, "binh")
        keys = [e.mention_key for e in store.queue(an)]
        decide(store, an, keys[0], "a0")
        decide(store, an, keys[1], "a1")
        assert store.undo(an) is not None
        store.choose(binh, keys[1], Decision.SUPPORTED, form_token="b1")
        store.decide(binh, keys[1], Decision.SUPPORTED, form_token="b2")
        done = insurance.write_daily(store, folder / "reviews", day=date(2026, 11, 25), keep_days=3)
        assert done.rows["review"] == len(store.reviews()) == 4
        return store.path, done.path


def standing(path: Path) -> object:
    with open_store(path, double_share=0.0) as store:
        assert store.problems() == []
        return [
            store.reviews(),
            store._read("SELECT * FROM review_citation ORDER BY ALL"),
            store._read("SELECT * FROM review_copy ORDER BY ALL"),
            store._read("SELECT * EXCLUDE (account_key) FROM blind_choice ORDER BY ALL"),
            store._read("SELECT mention_key, decision, review_key FROM current_review ORDER BY 1"),
        ]


def test_reviews_come_back_into_an_empty_store_of_the_same_runs(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    old, file = reviewed(tmp_path / "one")
    text = file.read_text(encoding="utf-8")
    assert FLAG_CLAIM not in text
    assert "argon2" not in text
    assert file.stat().st_mode & 0o077 == 0
    with filled(tmp_path / "two" / "k.duckdb", flags=4, quiet=41) as store:
        sign_up(store, "khac")  # so that the keys of people differ
        rows = insurance.read_back(store, file)
        assert rows["review"] == 4
        assert {u.name: u.active for u in store.users()} == {
            "an": False, "binh": False, "khac": True,
        }  # fmt: skip
        with pytest.raises(StoreError, match="already"):
            insurance.read_back(store, file)
    new = standing(tmp_path / "two" / "k.duckdb")
    assert new == standing(old)


def test_reviews_of_unknown_claims_and_damaged_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    _, file = reviewed(tmp_path / "one")
    with open_store(tmp_path / "empty.duckdb") as store:
        with pytest.raises(StoreError, match=r"jsonl:\d+: the \w+ \w+ is not in this store"):
            insurance.read_back(store, file)
        assert store.counts()["reviews"] == store.counts()["accounts"] == 0  # all or none
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:-1]), encoding="utf-8")
    with open_store(tmp_path / "empty.duckdb") as store:
        with pytest.raises(StoreError, match="SHA-256"):
            insurance.read_back(store, file)
        with pytest.raises(StoreError, match="its head says"):
            insurance.read_back(store, file, unverified=True)
        file.write_text("{}\n", encoding="utf-8")
        with pytest.raises(StoreError, match="no file of reviews"):
            insurance.read_back(store, file, unverified=True)


def test_the_days_reviews_are_written_where_the_memory_of_daily_use_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a merge of 200,000 judgements it was, and the next try would be an hour later."""
    asked: list[str] = []
    plain = insurance._select

    def select(cursor: duckdb.DuckDBPyConnection, table: str) -> str:
        asked.append(str(cursor.execute("SELECT current_setting('memory_limit')").fetchall()[0][0]))
        if len(asked) == 2:
            raise StoreMemoryError("the database wants more memory")
        return plain(cursor, table)

    monkeypatch.setattr(insurance, "_select", select)
    with filled(tmp_path / "k.duckdb") as opened:
        daily = opened._daily
        with monkeypatch.context() as small:
            small.setattr(opened, "_daily", 64)
            opened._limit()
            done = insurance.write(opened, tmp_path / "reviews.jsonl")
        opened._daily = daily
    assert asked[0] == asked[1] == "61.0 MiB"
    assert set(asked[2:]) == {"305.1 MiB"}
    lines = (tmp_path / "reviews.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + sum(done.rows.values())  # what the first try wrote is not in it


def test_days_are_kept_and_a_loss_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    path, file = reviewed(tmp_path / "one")
    folder = file.parent
    with open_store(path) as store:
        for day in (26, 27, 28, 29):
            insurance.write_daily(store, folder, day=date(2026, 11, day), keep_days=3)
        assert [d.day for d, _ in insurance.kept(folder)] == [26, 27, 28, 29]
        assert not side_file(file).exists()
        assert insurance.lost(store, folder) == ""
        with store._writing() as cursor:  # as a log that was cut short would leave it
            cursor.execute("DELETE FROM review WHERE review_key = 4")
        assert "1 are lost" in insurance.lost(store, folder)
        insurance.write_daily(store, folder, day=date(2026, 11, 29), keep_days=3)
        (witness,) = insurance.witnesses(folder)
        assert insurance.head(folder / witness).rows["review"] == 4
        check_seal(folder / witness)


# -- migrations ----------------------------------------------------------------------------------

ROWS = {
    1: [
        "INSERT INTO run VALUES (1, 'r', '2026-W01', '[]', 'c', '0', 'b', 'm', '{}', '[]', 1, 1, 1,"
        " now())",
        "INSERT INTO article VALUES (1, 'a', 'o', 'http://o.example/1', 'http://o.example/1', 't',"
        " 'l', 'b', now(), 'meta', now(), 'x', 'h1', 'h1', 'h1', false, true, '', 's', '')",
        "INSERT INTO mention VALUES (1, 'm', 1, 'c', 0, 1, 't', 'CHECKABLE', 0.5, 'own_voice',"
        " DATE '2026-01-01', 'publication')",
        "INSERT INTO document VALUES (1, 'd', '1/2', 't', '[]', 'luật', 'p', NULL,"
        " DATE '2024-01-01', NULL, 'http://d.example', DATE '2026-01-01')",
        "INSERT INTO passage VALUES (1, 'p', repeat('0', 64), 'd', 'statute', 'Điều 1', 't', 'c',"
        " DATE '2024-01-01', NULL, 'http://d.example', 't', '[]', '[]', '[]', '', '', '', NULL,"
        " 'x')",
        "INSERT INTO judgement VALUES (1, 'j', repeat('0', 64), '', 1, 'm', 'b', 0.8, 'ok',"
        " 'REFUTED', NULL, 0.1, 0.8, 0.1, true, '')",
        "INSERT INTO judgement_evidence VALUES (1, 1, 1, 0.5, true)",
        "INSERT INTO run_article VALUES (1, 1)",
        "INSERT INTO run_mention VALUES (1, 1)",
        "INSERT INTO run_judgement VALUES (1, 1, 1)",
        "INSERT INTO selection VALUES (1, 1, 'flag', 1.0)",
    ],
    2: [
        "INSERT INTO account VALUES (1, 'an', 'reviewer', '$argon2id$x', false, 0, NULL, true,"
        " now(), now())",
        "INSERT INTO review VALUES (1, 1, 1, 1, 'REFUTED', NULL, true, [], ['p'], 'n', 1.0, '',"
        " 'flag', 1.0, 't1', now(), NULL)",
        "INSERT INTO audit VALUES (1, 1, 'signed in', 'an', now())",
    ],
    3: [
        "INSERT INTO article_opt_out VALUES (1, 'noai')",
        "INSERT INTO run_health VALUES (1, '[]')",
    ],
    4: [
        "INSERT INTO review_correction VALUES (1, '7 -> 5')",
        "INSERT INTO review_citation VALUES (1, 1, false)",
        "INSERT INTO review_copy VALUES (1, 1, true)",
    ],
    5: ["INSERT INTO double_review VALUES (1, 'c', 0.1, now())"],
}


def at_schema(path: Path, number: int) -> dict[str, int]:
    """Make a store as the program of schema ``number`` left it, with rows in its tables."""
    connection = duckdb.connect(str(path))
    migrate(connection, shipped()[:number])
    for step in range(1, number + 1):
        for statement in ROWS.get(step, []):
            connection.execute(statement)
    tables = [t for (t,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
    counts = {
        t: connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0]  # type: ignore[index]
        for t in tables
        if t != "schema_version"
    }
    connection.close()
    return counts


@pytest.mark.parametrize("number", range(1, len(shipped())))
def test_every_earlier_schema_with_rows_comes_up_to_date(tmp_path: Path, number: int) -> None:
    path = tmp_path / "k.duckdb"
    before = at_schema(path, number)
    with open_store(path, double_share=0.0) as store:
        assert store.schema() == len(shipped())
        assert store.problems() == []
        after = {t: store._read(f"SELECT count(*) AS n FROM {t}")[0]["n"] for t in before}
        assert after == before
        assert len(store.flags()) == 1
        if number >= 2:
            # planned for two at schema 5, so one conclusion alone does not show there
            assert store.counts()["reviews"] == 1
            assert store.counts()["decided"] == (0 if number >= 5 else 1)
    kept = tmp_path / f"k.duckdb.before-schema-{number + 1}"
    check_seal(kept)
    old = duckdb.connect(str(kept))
    assert [n for n, _, _ in applied(old)] == list(range(1, number + 1))
    old.close()
    restore(kept, tmp_path / "back.duckdb")  # which brings it up to date as well
    assert sorted(p.name for p in tmp_path.glob(".*")) == []


def test_a_step_that_does_not_fit_the_rows_is_found_in_the_rehearsal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "k.duckdb"
    at_schema(path, len(shipped()))
    bad = Migration(
        number=len(shipped()) + 1, name="0099_bad.sql", sql="DELETE FROM passage WHERE true"
    )
    monkeypatch.setattr("kiemchung.store.migrate.shipped", lambda: (*real, bad))
    real = shipped()
    with pytest.raises(StoreError, match="does not fit these rows: judgement 1 names a passage"):
        open_store(path)
    connection = duckdb.connect(str(path))
    assert [n for n, _, _ in applied(connection)] == [m.number for m in real]
    assert problems(connection) == []
    connection.close()


KILL = """
import os, signal, sys
from pathlib import Path
from kiemchung.store import opening, open_store
def die(step):
    def at(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)
    return at
setattr(opening, sys.argv[2], die(sys.argv[2]))
open_store(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("step", ["seal", "_rehearse", "problems", "migrate"])
def test_killed_while_preparing_the_store_is_the_old_one(tmp_path: Path, step: str) -> None:
    path = tmp_path / "k.duckdb"
    at_schema(path, 2)
    assert hasattr(opening_module, step)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILL), str(path), step],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == -9
    connection = duckdb.connect(str(path))
    assert [n for n, _, _ in applied(connection)] == [1, 2]
    connection.close()
    with open_store(path) as store:
        assert store.problems() == []
        assert store.counts()["reviews"] == 1


# -- withdrawn -----------------------------------------------------------------------------------


def test_a_withdrawn_article_is_gone_and_stays_gone(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    with filled(path) as store:
        catch_up(store)
        an = sign_up(store, "an")
        flag = store.flags()[0]
        key = next(
            r["mention_key"]
            for r in store._read("SELECT mention_key, mention_id FROM mention")
            if r["mention_id"] == flag.mention_id
        )
        decide(store, an, key, "a")
        before, others = store.counts(), len(store.flags())
        assert search(store, Query(text="ít nhất 7 thành viên"))
        with pytest.raises(InputError, match="no reason"):
            store.forget([flag.url], reason=" ", who="an")
        with pytest.raises(InputError, match="nothing is known"):
            store.forget(["không có"], reason="đơn", who="an")
        done = store.forget([flag.url], reason="đơn của người viết", who="an")
        assert (len(done.article_ids), done.mentions) == (1, 2)
        again = store.forget([done.article_ids[0]], reason="đơn của người viết", who="an")
        assert again == done
        write_batch(tmp_path / "inbox", batch())  # the same run once more
        assert store.merge_inbox(tmp_path / "inbox")
        write_batch(tmp_path / "inbox", batch(week="2026-W41", suffix="x"))
        assert store.merge_inbox(tmp_path / "inbox")
        catch_up(store)
        assert store.problems() == []
        assert len(store.flags()) == others - 1
        counts = store.counts()
        assert {k: counts[k] for k in ("articles", "mentions", "reviews")} == {
            k: before[k] for k in ("articles", "mentions", "reviews")
        }
        (row,) = store._read(
            "SELECT title, lead, body, url FROM article WHERE article_id = ?",
            [done.article_ids[0]],
        )
        assert (row["title"], row["lead"], row["body"]) == (forgetting.MARK, "", "")
        assert row["url"] == forgetting.PREFIX + done.url_sha256[0]
        assert key not in {e.mention_key for e in store.queue(an)}
        assert key not in {h.mention_key for h in search(store, Query(text="ít nhất 7"))}
        assert store.item(key) is not None  # a bookmark shows the mark and does not fail
        (act,) = store.audit_trail(an, action=forgetting.ACTION)
        assert act.who == "an"
        assert "đơn của người viết" in act.after
        assert flag.url not in act.subject + act.after
    opening_module.compact(path)
    raw = path.read_bytes()
    assert flag.url.encode() not in raw
    with open_store(path) as store:
        assert store.problems() == []
        assert store.counts() == counts
