"""A line that cannot be used names file and line; what is written is read back."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiemchung.errors import RecordError
from pipeline.records import parse_line, read_records, write_records


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_records_come_in_order_and_blank_lines_are_skipped(tmp_path: Path) -> None:
    file = write(tmp_path / "in.jsonl", '{"id": 1, "text": "a"}\n\n{"id": "x", "text": "b"}\n')
    assert list(read_records(file, ("id", "text"))) == [
        {"id": "1", "text": "a"},
        {"id": "x", "text": "b"},
    ]


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("not json", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"id": "1"}', "'text'"),
        ('{"id": "1", "text": null}', "'text'"),
        ('{"id": true, "text": "a"}', "'id'"),
        ('{"id": 1.5, "text": "a"}', "'id'"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, part: str) -> None:
    file = write(tmp_path / "in.jsonl", '{"id": "1", "text": "a"}\n' + line + "\n")
    with pytest.raises(RecordError) as caught:
        list(read_records(file, ("id", "text")))
    assert caught.value.where == f"{file}:2"
    assert part in str(caught.value)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    file.write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    with pytest.raises(RecordError, match="cannot be read"):
        list(read_records(file, ("id",)))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be read"):
        list(read_records(tmp_path / "none.jsonl", ("id",)))


def test_a_byte_order_mark_does_not_matter(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + b'{"id": "1"}\n')
    assert list(read_records(file, ("id",))) == [{"id": "1"}]


@given(st.lists(st.dictionaries(st.just("id"), st.text(), min_size=1), max_size=5))
def test_what_is_written_is_read_back(rows: list[dict[str, str]]) -> None:
    out = io.StringIO()
    assert write_records(out, rows) == len(rows)
    lines = out.getvalue().split("\n")[:-1]
    assert [parse_line(line, "x", ("id",)) for line in lines] == rows
    assert [json.loads(line) for line in lines] == rows
