"""The ledger at rest is sealed; open, killed or shared it is not, and never refused for that."""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from crawler.ledger import Kind, Ledger, Visit
from kiemchung.errors import DamagedFileError

ROOT = Path(__file__).resolve().parents[2]
RUN = "2026-W40-x"


def _visit(n: int) -> Visit:
    return Visit(key=f"https://a.example/{n}", url=f"https://a.example/{n}", outlet="a",
                 kind=Kind.PAGE)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "ledger.sqlite"
    ledger = Ledger(found)
    ledger.add(RUN, [_visit(n) for n in range(50)])
    ledger.close()
    return found


def _seal(path: Path) -> Path:
    return path.with_name(f"{path.name}.seal")


def test_a_flipped_bit_is_refused_with_its_place(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match=r"ledger\.sqlite: .*MiB 1 of 1"):
        Ledger(path)
    with pytest.raises(DamagedFileError):  # and still at the next try
        Ledger(path)


def test_a_damaged_seal_is_named_and_can_be_deleted(path: Path) -> None:
    _seal(path).write_bytes(_seal(path).read_bytes()[:-3])
    with pytest.raises(DamagedFileError, match=r"sqlite\.seal"):
        Ledger(path)
    _seal(path).unlink()
    Ledger(path).close()
    assert _seal(path).is_file()


def test_a_ledger_that_is_gone_is_no_new_one(path: Path) -> None:
    path.unlink()
    with pytest.raises(DamagedFileError, match="gone"):
        Ledger(path)


def _rows(path: Path) -> int:
    ledger = Ledger(path)
    try:
        return len(ledger.visits(RUN))
    finally:
        ledger.close()


def test_several_may_have_it_open_and_close_in_any_order(path: Path) -> None:
    first, second = Ledger(path), Ledger(path)
    first.add(RUN, [_visit(100)])
    first.close()
    second.add(RUN, [_visit(101)])
    third = Ledger(path)
    second.close()
    third.add(RUN, [_visit(102)])
    third.close()
    assert _rows(path) == 53


def test_one_that_is_let_go_unclosed_is_no_damage(path: Path) -> None:
    ledger = Ledger(path)
    ledger.add(RUN, [_visit(n) for n in range(200, 260)])
    del ledger
    gc.collect()
    assert _rows(path) == 110
    script = f"from crawler.ledger import *; l = Ledger(Path({str(path)!r})); l.add({RUN!r}, [{_visit(300)!r}])"
    script = script.replace("<Kind.PAGE: 'page'>", "Kind.PAGE")
    script = script.replace("<State.DISCOVERED: 'discovered'>", "State.DISCOVERED")
    _python(script)
    assert _rows(path) == 111


def _python(script: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode in (0, 9)


KILLED = textwrap.dedent("""
    import os, sys
    from pathlib import Path
    from crawler import ledger as module
    from crawler.ledger import Kind, Ledger, Visit
    module.COMMITS_IN_LOG = int(sys.argv[2])
    ledger = Ledger(Path(sys.argv[1]))
    for n in range(100, 130):
        ledger.add("2026-W40-x", [Visit(key=f"k{n}", url=f"https://a.example/{n}", outlet="a",
                                        kind=Kind.PAGE)])
    os._exit(9)
""")


@pytest.mark.parametrize("commits_in_log", [2000, 7])
def test_after_a_kill_the_seal_still_says_what_the_file_holds(
    path: Path, commits_in_log: int
) -> None:
    _python(KILLED, str(path), str(commits_in_log))
    whole = path.read_bytes()
    data = bytearray(whole)
    data[len(data) - 9] ^= 2
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match="not as it was written"):
        Ledger(path)
    path.write_bytes(whole)
    assert _rows(path) == 80


def test_without_a_seal_sqlite_looks_at_the_file(path: Path) -> None:
    _seal(path).unlink()
    whole = path.read_bytes()
    data = bytearray(whole)
    data[4096 + 5] ^= 64  # of a page's own head
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match="cannot be used"):
        Ledger(path)
    assert not _seal(path).exists()
    path.write_bytes(whole)
    assert _rows(path) == 50
    assert _seal(path).is_file()


@pytest.mark.slow
def test_kills_at_random_instants_are_never_taken_for_damage(path: Path) -> None:
    """Two processes write, with a checkpoint every few commits; both are killed, again and again."""
    script = KILLED.replace("range(100, 130)", "range(10**9)").replace(
        'f"k{n}"', 'f"k{os.getpid()}-{n}"'
    )
    dice = random.Random(2)
    before = 50
    for _ in range(6):
        children = [
            subprocess.Popen(
                [sys.executable, "-c", script, str(path), "3"],
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
            for _ in range(2)
        ]
        time.sleep(0.5 + dice.uniform(0, 0.3))
        for child in children:
            child.kill()
            child.wait()
        found = _rows(path)
        assert found >= before
        before = found
    assert before > 50


def test_pages_are_found_by_their_digest(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    ledger.add(RUN, [_visit(n) for n in range(3)])
    ledger.close()
    _seal(path).unlink()
    raw = sqlite3.connect(path)
    raw.execute(
        "UPDATE visit SET state='fetched', warc_offset=7, raw_sha256='d' || substr(key, -1)"
    )
    raw.commit()
    raw.close()
    ledger = Ledger(path)
    found = ledger.pages_of(["d1", "d2", "unknown"])
    assert {digest for digest, _ in found} == {"d1", "d2"}
    assert found["d1", "https://a.example/1"].warc_offset == 7
    assert ledger.pages_of([]) == {}
    ledger.close()


def test_another_process_that_closes_leaves_the_log_of_this_one(tmp_path: Path) -> None:
    """Whoever closes a handle of a file loses all locks on it: then the other took itself for last."""
    path = tmp_path / "ledger.sqlite"
    code = textwrap.dedent("""
        import sys
        from pathlib import Path
        from crawler.ledger import Ledger
        ledger = Ledger(Path(sys.argv[1]))
        ledger.runs()
        ledger.close()
    """)
    first = Ledger(path)
    second = Ledger(path)  # two in one process share the handle
    first.add(RUN, [_visit(0)])
    second.close()
    for n in range(1, 4):
        subprocess.run([sys.executable, "-c", code, str(path)], check=True, cwd=ROOT)
        assert path.with_name("ledger.sqlite-wal").is_file()
        first.add(RUN, [_visit(n)])
    first.close()
    again = Ledger(path)
    assert len(again.visits(RUN)) == 4
    again.close()


def test_a_ledger_that_was_replaced_is_not_read_by_its_old_handle(path: Path) -> None:
    ledger = Ledger(path)
    ledger.close()
    kept = path.read_bytes()
    path.unlink()
    path.write_bytes(kept)  # the same bytes in another file: as it was sealed
    again = Ledger(path)
    assert len(again.visits(RUN)) == 50
    again.close()
