"""JSONL of pairs: one reader, so that every command means the same line by the same number."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from kiemchung.errors import RecordError
from models import leaks
from models.adapters.reading import pairs_of, rows_of
from models.construct import read_pairs
from pipeline import choosing, evaluation

ODD = "một\u2028hai\u2029ba\x85bốn"
"""The signs at which `str.splitlines` breaks and that JSON leaves as they are."""


def claims(path: Path) -> list[str]:
    return [str(row["claim"]) for _, row in rows_of(path)]


READERS: dict[str, Callable[[Path], Sequence[str]]] = {
    "any rows": claims,
    "leaks": lambda path: leaks.read_part(path).claims,
    "choose": lambda path: [w.claim for w in choosing.read_waiting(path)],
    "evaluate": lambda path: [p.claim for p in evaluation.read_set(path, "evidence")],
    "train": lambda path: [p.claim for p in read_pairs(path)],
}
each = pytest.mark.parametrize("read", READERS.values(), ids=READERS)


def line(claim: str) -> str:
    """One pair with nothing escaped, as other programs write it."""
    row = {"claim": claim, "evidence": f"Theo {claim}", "label": "SUPPORTED"}
    return json.dumps(row, ensure_ascii=False)


@each
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_only_a_newline_ends_a_line(
    tmp_path: Path, read: Callable[[Path], Sequence[str]], end: str, start: str
) -> None:
    path = tmp_path / "set.jsonl"
    lines = [line(ODD), "", " \u2028\x85 ", line("hai"), ""]
    path.write_bytes((start + end.join(lines)).encode("utf-8"))
    assert list(read(path)) == [ODD, "hai"]


@each
@pytest.mark.parametrize("bad", ["{", "[1]", '{"claim": "a', "[" * 100_000, "9" * 5_000])
def test_a_line_that_cannot_be_read_is_named_by_the_number_an_editor_shows(
    tmp_path: Path, read: Callable[[Path], Sequence[str]], bad: str
) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text("\n".join([line(ODD), "", bad, line("hai")]), encoding="utf-8")
    with pytest.raises(RecordError) as told:
        read(path)
    assert told.value.where == f"{path}:3"


@pytest.mark.parametrize(
    ("name", "row", "remedy"),
    [
        ("leaks", {"evidence": "b"}, "evidence"),
        ("leaks", {"claim": 3}, "evidence"),
        ("choose", {"claim": "a"}, '"id"'),
        ("choose", {"claim": "a", "evidence": 1}, '"id"'),
        ("evaluate", {"claim": "a", "evidence": "b"}, "label"),
        ("evaluate", {"claim": "a", "label": "NEI"}, "evidence"),
        ("train", {"claim": "a", "label": "NEI"}, "evidence"),
        ("train", {"claim": "a", "evidence": "b", "label": "MAYBE"}, "label"),
    ],
)
def test_a_record_that_is_no_pair_is_named_with_what_a_line_is(
    tmp_path: Path, name: str, row: dict[str, object], remedy: str
) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text(f"{line(ODD)}\n\n{json.dumps(row)}\n", encoding="utf-8")
    with pytest.raises(RecordError, match="not a pair") as told:
        READERS[name](path)
    assert told.value.where == f"{path}:3"
    assert remedy in told.value.remedy


@each
def test_a_file_that_is_gone_or_no_text_is_named(
    tmp_path: Path, read: Callable[[Path], Sequence[str]]
) -> None:
    (tmp_path / "set.jsonl").write_bytes(b"\xff\xfe")
    for name in ("set.jsonl", "none.jsonl"):
        with pytest.raises(RecordError, match="cannot be read") as told:
            read(tmp_path / name)
        assert told.value.where == str(tmp_path / name)


def test_a_pair_without_a_name_is_called_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text(f"\n{line('a')}\n\n{line('b')}\n", encoding="utf-8")
    assert [w.name for w in choosing.read_waiting(path)] == ["2", "4"]


def test_pairs_come_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text(f"{line('a')}\n{{\n", encoding="utf-8")
    found = pairs_of(path, lambda where, row: (where, row["claim"]), remedy="")
    assert next(found) == (f"{path}:1", "a")
    with pytest.raises(RecordError, match=":2: no JSON"):
        next(found)
