"""The ledger at rest is sealed; open, killed or shared it is not, and never refused for that."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
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


def test_the_last_of_several_seals(path: Path) -> None:
    first, second = Ledger(path), Ledger(path)
    first.add(RUN, [_visit(100)])
    first.close()
    assert not _seal(path).exists()
    second.add(RUN, [_visit(101)])
    second.close()
    third = Ledger(path)
    assert len(third.visits(RUN)) == 52
    third.close()


def test_after_a_kill_the_file_is_looked_through_and_nothing_is_refused(path: Path) -> None:
    script = textwrap.dedent("""
        import os, sys
        from pathlib import Path
        from crawler.ledger import Kind, Ledger, Visit
        ledger = Ledger(Path(sys.argv[1]))
        for n in range(100, 130):
            ledger.add("2026-W40-x", [Visit(key=f"k{n}", url=f"https://a.example/{n}", outlet="a",
                                            kind=Kind.PAGE)])
        os._exit(9)
    """)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script, str(path)], env=environment, check=False)
    assert not _seal(path).exists()
    ledger = Ledger(path)
    assert len(ledger.visits(RUN)) == 80
    ledger.close()
    data = bytearray(path.read_bytes())
    _seal(path).unlink()
    data[4096 + 5] ^= 64  # of a page's own head: SQLite's check finds it
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match="cannot be used"):
        Ledger(path)


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
