"""Personal data goes, everything that a claim needs stays."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.privacy import MARKS, Kind, find, redact

DATA = Path(__file__).resolve().parents[1] / "data"
PLANTED = re.compile("⟦(.*?)⟧")


def lines(name: str) -> list[str]:
    text = (DATA / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def planted() -> list[tuple[str, str]]:
    kind, found = "", []
    for line in lines("personal_data.txt"):
        if match := re.fullmatch(r"\[(\w+)\]", line):
            kind = match[1]
        else:
            found.append((kind, line))
    return found


def test_there_are_enough_of_both() -> None:
    assert sum(len(PLANTED.findall(line)) for _, line in planted()) >= 100
    assert len(lines("not_personal.txt")) >= 150


@pytest.mark.parametrize(("kind", "line"), planted())
def test_what_is_planted_goes_and_nothing_else(kind: str, line: str) -> None:
    plain = PLANTED.sub(r"\1", line)
    done = redact(plain)
    assert done.text == PLANTED.sub(lambda _: MARKS[Kind(kind)], line)
    assert done.counts == {kind: len(PLANTED.findall(line))}


@pytest.mark.parametrize("line", lines("not_personal.txt"))
def test_what_a_claim_needs_stays(line: str) -> None:
    assert redact(line).text == line


def test_all_of_it_in_one_text() -> None:
    """Neither hides the other when they stand side by side."""
    personal = [PLANTED.sub(r"\1", line) for _, line in planted()]
    other = lines("not_personal.txt")
    text = "\n".join(p + "\n" + o for p, o in zip(personal, other, strict=False))
    done = redact(text)
    assert sum(done.counts.values()) == sum(
        len(PLANTED.findall(line)) for _, line in planted()[: len(other)]
    )
    for line in other[: len(personal)]:
        assert line in done.text


BODY = "Hợp tác xã Sen Vàng vừa họp.\nBà con đã góp đủ vốn.\n"


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("Nguyễn Văn An", "[tên tác giả]"),
        ("NGUYỄN VĂN AN", "[tên tác giả]"),
        ("Trần Lê Minh Anh", "[tên tác giả]"),
        ("Bài, ảnh: Minh Anh", "Bài, ảnh: [tên tác giả]"),
        ("Bài và ảnh: Hồng Nhung", "Bài và ảnh: [tên tác giả]"),
        ("(Theo Nguyễn An/Báo Xã)", "(Theo [tên tác giả]/Báo Xã)"),
        ("Tác giả: Lê Thị Hồng", "Tác giả: [tên tác giả]"),
        ("Thực hiện: Minh Anh - Hải Yến", "Thực hiện: [tên tác giả]"),
        ("Phạm Hải (ghi)", "[tên tác giả] (ghi)"),
        # no authors
        ("Hà Nội", "Hà Nội"),
        ("Ảnh: TTXVN", "Ảnh: TTXVN"),
        ("Nguồn: Liên minh Hợp tác xã", "Nguồn: Liên minh Hợp tác xã"),
        ("Bà Lan cho biết.", "Bà Lan cho biết."),
        ("Hợp Tác Xã Sen Vàng", "Hợp Tác Xã Sen Vàng"),
    ],
)
def test_the_author_at_the_end(line: str, kept: str) -> None:
    assert redact(BODY + line, signed=True).text == BODY + kept
    assert redact(BODY + line).text == BODY + line  # only where a body ends


def test_a_name_inside_the_text_is_no_author() -> None:
    text = "Nguyễn Văn An\n" + BODY * 3
    assert redact(text, signed=True).text == text
    assert redact("Nguyễn Văn An", signed=True).text == "Nguyễn Văn An"


@given(st.text(alphabet="0123456789 .-()+/đồngCMNDSTKĐTtrúngụ@a:,\n", max_size=200))
def test_any_text_is_redacted_once_and_for_all(text: str) -> None:
    spans = find(text, signed=True)
    assert all(0 <= s.start < s.end <= len(text) for s in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    once = redact(text, signed=True)
    assert sum(once.counts.values()) == len(spans)
    kept, at = [], 0
    for span in spans:
        kept.append(text[at : span.start])
        at = span.end
    kept.append(text[at:])
    rest = once.text
    for piece in kept:  # what is no find stands there as it stood, in its order
        place = rest.find(piece)
        assert place >= 0
        rest = rest[place + len(piece) :]


@pytest.mark.parametrize(
    "piece",
    ["0912 ", "trú ", "a@", "ĐT: ", "số tài khoản ", "CCCD ", "1.234.", "ngõ 1 ", "((("],
)
def test_long_texts_take_time_in_proportion(piece: str) -> None:
    def seconds(length: int) -> float:
        text = (piece * (length // len(piece) + 1))[:length]
        began = time.perf_counter()
        redact(text, signed=True)
        return time.perf_counter() - began

    seconds(1_000)
    assert seconds(200_000) < 10.0
