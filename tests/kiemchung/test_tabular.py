"""CSV: inert in a spreadsheet, exact on the way back."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kiemchung.tabular import csv_text, plain_cell, safe_cell

SIGNS = "=+-@\t\r\n＝＋－＠'; \u200b\ufeff\u3000\x00|,\"aĐ1"
tricky = st.one_of(st.text(max_size=40), st.text(alphabet=SIGNS, max_size=12))


@given(tricky)
@example("=1+1")
@example("\u200b=1+1")
@example("a;=HYPERLINK(1)")
@example(";=1")
@example("''=1")
@example("a\n-b")
def test_the_way_back_is_exact(text: str) -> None:
    assert plain_cell(safe_cell(text)) == text


@given(tricky)
def test_no_cell_and_no_part_of_one_begins_as_a_formula(text: str) -> None:
    for part in re.split(r"[;\t\r\n]", safe_cell(text)):
        seen = part.lstrip(" \u00a0\u200b\u200c\u200d\u200e\u200f\u2060\u3000\ufeff\x00")
        assert not seen.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))
    assert not safe_cell(text).startswith(("\t", "\r", "\n"))


@given(st.lists(st.lists(tricky, min_size=3, max_size=3), max_size=5))
def test_a_table_comes_back_as_it_was(rows: list[list[str]]) -> None:
    written = csv_text(["a", "b", "=c"], rows)
    read = list(csv.reader(io.StringIO(written, newline="")))
    assert read[0] == ["a", "b", "'=c"]
    assert [[plain_cell(c) for c in row] for row in read[1:]] == rows


@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_stay_numbers(number: float) -> None:
    (_, row) = csv.reader(io.StringIO(csv_text(["n"], [[number]])))
    assert type(number)(row[0]) == number


@pytest.mark.parametrize("plain", ["Hợp tác xã", "5 thành viên", "a=b", "30 %", "x - y", ""])
def test_ordinary_cells_are_left_alone(plain: str) -> None:
    assert safe_cell(plain) == plain
    assert csv_text(["a"], []) == "a\n"
