"""The store's seal: damage is found before anything is read, and a kill is never taken for damage."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import duckdb
import pytest

from kiemchung.errors import StoreError
from kiemchung.store import open_store, restore
from kiemchung.store.seal import CHUNK, WRITES, Seal, iteration_of, log_path, seal_path
from tests.batches import batch

ROOT = Path(__file__).resolve().parents[2]
ACTS = textwrap.dedent("""
    import os, sys, threading
    from pathlib import Path
    from kiemchung.store import open_store
    store = open_store(Path(sys.argv[1]), desk=True)
    def checkpoints():
        from kiemchung.store.connection import checkpoint
        import duckdb, time
        while True:
            with store._cursor() as cursor:
                try:
                    checkpoint(cursor)
                except duckdb.TransactionException:
                    pass
            time.sleep(0.02)
    if "checkpoints" in sys.argv:
        threading.Thread(target=checkpoints, daemon=True).start()
    n = 0
    while n < int(sys.argv[2]):
        with store._writing() as cursor:
            cursor.execute("INSERT INTO setting VALUES (?, ?)", [f"n{n}", "x" * 300])
        n += 1
        print(n, flush=True)
    os._exit(9)
""")


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def _killed(path: Path, acts: int, *more: str) -> None:
    """Let a process commit ``acts`` acts and end as by a kill."""
    command = [sys.executable, "-c", ACTS, str(path), str(acts), *more]
    subprocess.run(command, env=_environment(), check=False, stdout=subprocess.DEVNULL)


def _settings(path: Path) -> int:
    with open_store(path) as store:
        return int(store._read("SELECT count(*) AS n FROM setting")[0]["n"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "k.duckdb"
    with open_store(found) as store, store._writing() as cursor:
        cursor.execute("INSERT INTO setting SELECT range, repeat('y', 99) FROM range(3000)")
    return found


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a store whose process was killed after 30 acts."""
    folder = tmp_path_factory.mktemp("killed")
    with open_store(folder / "k.duckdb"):
        pass
    _killed(folder / "k.duckdb", 30)
    return folder


@pytest.fixture
def copy(killed: Path, tmp_path: Path) -> Path:
    for file in killed.iterdir():
        shutil.copy2(file, tmp_path / file.name)
    return tmp_path / "k.duckdb"


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 16
    path.write_bytes(data)


def test_a_closed_store_is_opened_without_being_read_whole(path: Path) -> None:
    assert Seal(path).verify() is False
    before = seal_path(path).read_bytes()
    with open_store(path) as store:
        assert store.counts()["runs"] == 0
        assert seal_path(path).read_bytes() != before  # it says "open" now
    assert seal_path(path).read_bytes() == before


def test_a_flip_anywhere_in_a_closed_store_is_refused(path: Path) -> None:
    size = path.stat().st_size
    dice = random.Random(3)
    for place in [0, 9, 4096 + 9, 8192 + 9, size - 1, *dice.sample(range(size), 20)]:
        _flip(path, place)
        with pytest.raises(StoreError, match=r"k\.duckdb"):
            open_store(path)
        _flip(path, place)
    assert _settings(path) == 3000


def test_the_error_says_where(path: Path) -> None:
    place = path.stat().st_size - 1
    _flip(path, place)
    with pytest.raises(StoreError, match=f"first in MiB {place // CHUNK + 1} of") as refused:
        open_store(path)
    assert "restore" in refused.value.remedy


def test_a_closed_store_cut_short_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"k\.duckdb: the store is damaged"):
        open_store(path)


def test_a_store_that_is_gone_is_no_new_one(path: Path, tmp_path: Path) -> None:
    with open_store(path) as store:
        store.backup(tmp_path / "b.duckdb")
    path.unlink()
    with pytest.raises(StoreError, match="gone, but its seal is there"):
        open_store(path)
    restore(tmp_path / "b.duckdb", path)
    assert _settings(path) == 3000


def test_an_older_file_put_in_place_is_refused(path: Path, tmp_path: Path) -> None:
    old = path.read_bytes()
    with open_store(path) as store:
        store.add_user("lan")
    path.write_bytes(old)
    with pytest.raises(StoreError, match="older than when it was used last"):
        open_store(path)
    seal_path(path).unlink()
    assert _settings(path) == 3000


def test_a_damaged_seal_is_named_and_may_be_deleted(path: Path) -> None:
    _flip(seal_path(path), 40)
    with pytest.raises(StoreError, match=r"k\.duckdb\.seal"):
        open_store(path)
    seal_path(path).unlink()
    assert _settings(path) == 3000
    assert seal_path(path).is_file()


def test_what_another_program_wrote_is_read_whole_and_told(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    connection = duckdb.connect(str(path))
    connection.execute("INSERT INTO setting VALUES ('a', 'b')")
    connection.close()
    assert _settings(path) == 3001
    assert "another program" in caplog.text
    assert Seal(path).verify() is False


def test_after_a_kill_every_act_is_there(copy: Path) -> None:
    assert log_path(copy).is_file()
    assert Seal(copy).verify() is False  # the image of before still holds: no checkpoint since
    assert _settings(copy) == 30
    assert not log_path(copy).exists()


def test_a_log_cut_anywhere_is_refused(copy: Path) -> None:
    whole = log_path(copy).read_bytes()
    for left in [0, 1, len(whole) // 2, len(whole) - 1]:
        log_path(copy).write_bytes(whole[:left])
        with pytest.raises(StoreError, match=rf"wal: .*cut short: {len(whole)} .* {left} are"):
            open_store(copy)
    log_path(copy).unlink()
    with pytest.raises(StoreError, match="cut short"):
        open_store(copy)
    log_path(copy).write_bytes(whole)
    assert _settings(copy) == 30


def test_a_flip_in_the_log_is_refused(copy: Path) -> None:
    size = log_path(copy).stat().st_size
    for place in [0, size // 3, size - 1]:
        _flip(log_path(copy), place)
        with pytest.raises(StoreError, match=r"wal: .*damaged"):
            open_store(copy)
        _flip(log_path(copy), place)
    assert _settings(copy) == 30


def test_acts_behind_the_last_note_are_no_damage(copy: Path) -> None:
    """A kill between a commit and its note leaves a log that is longer than the note says."""
    seal = seal_path(copy).read_bytes()
    _killed(copy, 5)  # opens, merges the log into the file, goes on
    assert _settings(copy) == 35
    with open_store(copy) as store:
        store._seal.note = lambda: None  # type: ignore[method-assign]
        before = seal_path(copy).read_bytes()
        store.add_user("lan")
        assert seal_path(copy).read_bytes() == before != seal
        copied = [copy, log_path(copy), seal_path(copy)]
        for file in copied:
            shutil.copy2(file, file.with_name(f"x{file.name}"))
    assert len(open_store(copy.with_name(f"x{copy.name}")).users()) == 1


def test_nothing_is_noted_while_a_commit_is_under_way(path: Path) -> None:
    with open_store(path) as store:
        before = seal_path(path).read_bytes()
        with WRITES.one():
            store._seal._record = store._seal._record.__class__(state="open", iteration=-5)
            store._seal.note()
        assert seal_path(path).read_bytes() == before
        store._seal.note()
        assert b'"iteration": -5' not in seal_path(path).read_bytes()


def test_a_merge_is_followed(tmp_path: Path) -> None:
    from kiemchung.store.inbox import write_batch

    path = tmp_path / "k.duckdb"
    write_batch(tmp_path / "inbox", batch())
    with open_store(path) as store:
        store.merge_inbox(tmp_path / "inbox")
        assert f'"iteration": {iteration_of(path)}'.encode() in seal_path(path).read_bytes()
        store.add_user("lan")
        size = log_path(path).stat().st_size
        assert f'"log_bytes": {size}'.encode() in seal_path(path).read_bytes()
    assert Seal(path).verify() is False


def test_a_backup_with_a_flipped_bit_is_not_restored(path: Path, tmp_path: Path) -> None:
    backup = tmp_path / "b.duckdb"
    with open_store(path) as store:
        store.backup(backup)
    data = backup.read_bytes()
    marks = data.find(b"yyyyyyyyyy")
    _flip(backup, marks)
    with pytest.raises(StoreError, match=r"b\.duckdb"):
        restore(backup, path)
    backup.write_bytes(data)
    restore(backup, path)
    assert _settings(path) == 3000


@pytest.mark.slow
def test_kills_at_random_instants_are_never_taken_for_damage(path: Path) -> None:
    """Commits in one thread, checkpoints in another; every act that was acknowledged is there."""
    acknowledged = 3000
    dice = random.Random(5)
    for _ in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", ACTS, str(path), "100000", "checkpoints"],
            env=_environment(), stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        said: list[int] = []

        def listen(child: subprocess.Popen[str] = child, said: list[int] = said) -> None:
            assert child.stdout is not None
            said.extend(int(line) for line in child.stdout if line.endswith("\n"))

        listener = threading.Thread(target=listen)
        listener.start()
        while not said:
            time.sleep(0.01)
        time.sleep(dice.uniform(0.0, 0.25))
        child.send_signal(signal.SIGKILL)
        child.wait()
        listener.join()
        assert child.stdout is not None
        child.stdout.close()
        acknowledged += said[-1]
        found = _settings(path)
        assert found in (acknowledged, acknowledged + 1)
        acknowledged = found
