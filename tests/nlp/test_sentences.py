"""Sentence boundaries: our own hard cases, line ends, and the treebank."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.sentences import sentence_spans, sentences

CASES = [
    line
    for line in (Path(__file__).parents[1] / "data/sentences_hard.txt")
    .read_text(encoding="utf-8")
    .split("\n")
    if line and not line.startswith("#")
]


def ends(parts: list[str]) -> tuple[str, set[int]]:
    """Join sentences by a blank; return the text and where each ends."""
    text, found = "", set()
    for part in parts:
        text += (" " if text else "") + part
        found.add(len(text))
    return text, found


def f1(cases: list[tuple[str, set[int]]]) -> float:
    """Return the F1 of sentence ends, in per cent, the end of the text among them."""
    right = found = wanted = 0
    for text, gold in cases:
        ours = {b for _, b in sentence_spans(text)}
        right, found, wanted = right + len(ours & gold), found + len(ours), wanted + len(gold)
    return 200 * right / (found + wanted)


def test_the_hard_set_has_its_size_and_its_score() -> None:
    assert len(CASES) >= 150
    assert f1([ends(case.split(" ¦ ")) for case in CASES]) >= 97.5


@pytest.mark.parametrize(
    "case",
    [
        "PGS.TS. Lê Minh Hà trình bày trước. ¦ GS.TSKH. Vũ Đức Anh nói sau.",
        "HTX trồng rau, hoa, nấm, v.v. ¦ Khách mua tại vườn.",
        "Chúng tôi về lại TP. ¦ Nhưng chợ đã tan.",
        "Anh N. V. Hậu nhận tiền. ¦ Công an lập biên bản.",
        "Luật có hiệu lực từ 1.7.2024. ¦ Trước đó áp dụng luật cũ.",
        "“Được!” ông đáp. ¦ Việc xong trong buổi sáng.",
    ],
)
def test_boundaries_that_readers_of_the_queue_see_most(case: str) -> None:
    text, _ = ends(case.split(" ¦ "))
    assert [s.text for s in sentences(text)] == case.split(" ¦ ")


@pytest.mark.parametrize(
    "lines",
    [
        ["HTX rau sạch mở rộng sản xuất", "Sáng nay, HTX khởi công nhà kho."],
        ["Kho mới xong.", "Ảnh: Minh Hà/TTXVN", "Bà con ra xem."],
        ["Tin liên quan một", "Tin liên quan hai", "Tin liên quan ba"],
        ["Điều 1. Phạm vi", "Luật này quy định về hợp tác xã.", "1. Hợp tác xã;", "2. Liên hiệp."],
    ],
)
def test_every_line_end_is_a_boundary(lines: list[str]) -> None:
    assert [s.text for s in sentences("\n".join(lines))] == lines


@given(st.text(max_size=300))
def test_sentences_cover_what_is_visible_once_and_in_order(text: str) -> None:
    last, seen = 0, []
    for start, end in sentence_spans(text):
        assert last <= start < end <= len(text)
        assert not text[last:start].strip()
        assert "\n" not in text[start:end]
        seen.append(text[start:end])
        last = end
    assert not text[last:].strip()
    assert "".join("".join(seen).split()) == "".join(text.split())


def test_treebank_sentences_joined_in_tens(shared: Path) -> None:
    gold = json.loads((shared / "segmentation/vtb_dev.json").read_text(encoding="utf-8"))
    written = []
    for words in gold:
        text = ""
        for word in words:
            text += "" if not text or word[0] in ",.:;!?)”…" or text[-1] in "(“" else " "
            text += word
        written.append(text)
    tens = [ends(written[i : i + 10]) for i in range(0, len(written), 10)]
    assert f1(tens) >= 98
