"""Remembered results: found again by all that they follow from, damaged ones never shown."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.remembered import VERSIONS, Remembered, key_of
from pipeline.versions import hash_of, text_version, verdict_version

KEYS = [key_of("a", str(n)) for n in range(1200)]


def test_what_is_put_is_found_under_its_kind_and_version_only(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with Remembered(path, "analysis", "1") as known:
        known.put({key: f"value {n}".encode() for n, key in enumerate(KEYS)})
    with Remembered(path, "analysis", "1") as known:
        assert known.get([*KEYS, key_of("b")]) == {
            key: f"value {n}".encode() for n, key in enumerate(KEYS)
        }
    for kind, version in (("analysis", "2"), ("outcome", "1")):
        with Remembered(path, kind, version) as other:
            assert other.get(KEYS) == {}


def test_old_versions_are_dropped_the_latest_used_stay(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    for version in range(VERSIONS):
        with Remembered(path, "k", str(version)) as known:
            known.put({KEYS[0]: str(version).encode()})
    Remembered(path, "k", "0").close()  # used again
    Remembered(path, "k", "new").close()
    left = {}
    for version in ("0", "2", "1"):  # to ask for one is to use it
        with Remembered(path, "k", version) as known:
            left[version] = known.get(KEYS[:1])
    assert left == {"0": {KEYS[0]: b"0"}, "2": {KEYS[0]: b"2"}, "1": {}}


def test_two_at_once_write_and_read(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with Remembered(path, "k", "1") as one, Remembered(path, "k", "1") as two:
        one.put({KEYS[0]: b"one"})
        two.put({KEYS[0]: b"one", KEYS[1]: b"two"})
        assert one.get(KEYS[:3]) == {KEYS[0]: b"one", KEYS[1]: b"two"}


def test_a_flipped_bit_is_worked_out_again(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with Remembered(path, "k", "1") as known:
        known.put({key: b"x" * 200 + key for key in KEYS[:50]})
    rng = random.Random(5)
    db = sqlite3.connect(path)
    for key, value in db.execute("SELECT key, value FROM entry").fetchall():
        at, bit = rng.randrange(len(value)), 1 << rng.randrange(8)
        flipped = value[:at] + bytes([value[at] ^ bit]) + value[at + 1 :]
        db.execute("UPDATE entry SET value = ? WHERE key = ?", (flipped, key))
    db.commit()
    db.close()
    with Remembered(path, "k", "1") as known:
        assert known.get(KEYS[:50]) == {}


@pytest.mark.parametrize("content", [b"no database at all" * 100, b""])
def test_a_file_that_is_none_costs_time_only(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r.sqlite"
    path.write_bytes(content)
    with Remembered(path, "k", "1") as known:
        known.put({KEYS[0]: b"x"})
        assert known.get(KEYS[:1]) in ({}, {KEYS[0]: b"x"})
    with Remembered(path, "k", "1") as known:  # made anew where it was damaged
        known.put({KEYS[0]: b"x"})
        assert known.get(KEYS[:1]) == {KEYS[0]: b"x"}


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_keys_keep_the_parts_apart(one: list[str], other: list[str]) -> None:
    assert (key_of(*one) == key_of(*other)) == (one == other)


def test_versions_depend_on_names_and_bytes_of_the_files_and_on_no_other(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.py").write_text("1", encoding="utf-8")
    first = hash_of(tmp_path, ["a/*.py"])
    (tmp_path / "a" / "x.txt").write_text("1", encoding="utf-8")
    assert hash_of(tmp_path, ["a/*.py", "a/x.*y"]) == first
    (tmp_path / "a" / "x.py").write_text("2", encoding="utf-8")
    second = hash_of(tmp_path, ["a/*.py"])
    (tmp_path / "a" / "x.py").rename(tmp_path / "a" / "y.py")
    assert len({first, second, hash_of(tmp_path, ["a/*.py"])}) == 3
    assert text_version() != verdict_version()
