"""Files that carry their own hash: every flipped bit is found, and older files are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiemchung import checksums
from kiemchung.domain import Sentence, sha256_hex
from kiemchung.errors import BatchError, DamagedFileError, KiemchungError, ModelError
from kiemchung.sealed import check_listed, read_sealed, write_sealed
from kiemchung.shards import read_shard, sealed, write_shard

FACTS = {"outlets": ["a", "b"], "week": "2026-W40", "tên": "hợp tác xã", "n": 1}


def test_every_single_flip_of_a_sealed_json_is_found(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_sealed(path, FACTS)
    assert read_sealed(path, remedy="r") == FACTS
    whole = path.read_bytes()
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 1 << (place % 8)
        path.write_bytes(data)
        with pytest.raises(DamagedFileError, match=r"run\.json"):
            read_sealed(path, remedy="r")


def test_a_json_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(FACTS), encoding="utf-8")
    assert read_sealed(path, remedy="r", earlier=frozenset(FACTS)) == FACTS
    with pytest.raises(DamagedFileError):
        read_sealed(path, remedy="r", earlier=frozenset({*FACTS, "more"}))


@pytest.mark.parametrize("text", ["", "[]", "{", "nothing"])
def test_what_is_no_object_is_damaged(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DamagedFileError, match="r"):
        read_sealed(path, remedy="r")


@pytest.mark.parametrize("error", [ModelError, DamagedFileError])
@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda f: (f / "a").unlink(), "a: missing: .*make it anew"),
        (lambda f: (f / "a").write_bytes(b"other"), "a: changed: SHA-256 .*make it anew"),
        (lambda f: (f / "c").touch(), "does not list: c .remove"),
        (lambda f: (f / "sub").mkdir(), "does not list: sub .remove"),
    ],
)
def test_a_folder_is_held_to_what_its_manifest_lists(
    tmp_path: Path, error: type[KiemchungError], spoil: Callable[[Path], object], told: str
) -> None:
    files = {"a": sha256_hex(b"one"), "b": sha256_hex(b"")}
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").touch()
    (tmp_path / "list.json").touch()

    def check() -> None:
        check_listed(tmp_path, files, beside={"list.json"}, error=error, remedy="make it anew")

    check()
    spoil(tmp_path)
    with pytest.raises(error, match=told):
        check()


@pytest.mark.parametrize("name", ["../x", "sub/x", "/x"])
def test_a_listed_name_stays_in_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="leaves the folder"):
        check_listed(tmp_path, {name: ""}, beside=set(), error=ModelError, remedy="")


def test_every_single_flip_of_a_shard_is_found_and_others_can_read_it(tmp_path: Path) -> None:
    rows = [Sentence(start=0, end=3, text="một"), Sentence(start=4, end=7, text="hai")]
    path = tmp_path / "part.parquet"
    write_shard(path, rows, Sentence)
    assert read_shard(path, Sentence) == rows
    assert pq.read_table(path).column("text").to_pylist() == ["một", "hai"]
    import duckdb

    found = duckdb.sql(f"SELECT text FROM read_parquet('{path}')").fetchall()
    assert found == [("một",), ("hai",)]
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        data = bytearray(whole)
        data[place] ^= 1 << (place % 8)
        path.write_bytes(data)
        with pytest.raises(BatchError, match=r"part\.parquet"):
            read_shard(path, Sentence)


@pytest.mark.parametrize("left", [0, 3, 12, -1])
def test_a_shard_cut_short_is_found(tmp_path: Path, left: int) -> None:
    path = tmp_path / "part.parquet"
    write_shard(path, [Sentence(start=0, end=3, text="một")], Sentence)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(BatchError):
        read_shard(path, Sentence)


def test_what_is_no_parquet_cannot_be_sealed() -> None:
    with pytest.raises(ValueError, match="does not end"):
        sealed(b"not a parquet file at all")


@given(st.binary(max_size=200), st.integers(0, 300))
def test_a_line_reads_back_and_says_when_it_was_cut(data: bytes, width: int) -> None:
    body = data.hex() or "-"
    made = checksums.line(body, width=width)
    assert checksums.unline(made) == body
    assert len(made) == max(width, len(body) + 10)
    with pytest.raises(ValueError, match="cut"):
        checksums.unline(made[:-1])


def test_the_sums_say_in_which_mib_a_file_differs(tmp_path: Path) -> None:
    path = tmp_path / "big"
    data = bytearray(3 * checksums.CHUNK + 5)
    path.write_bytes(data)
    size, before = checksums.chunk_sums(path)
    assert (size, len(before)) == (len(data), 4)
    data[2 * checksums.CHUNK + 9] ^= 1
    path.write_bytes(data)
    assert checksums.first_difference(checksums.chunk_sums(path)[1], before) == 2
    path.write_bytes(data[: checksums.CHUNK])
    assert checksums.first_difference(checksums.chunk_sums(path)[1], before) == 1
