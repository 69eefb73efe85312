"""Texts that are the same or nearly: exact against a plain comparison of all pairs."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp.near import RESEMBLANCE, Texts, near, plain_words, texts_of

CLAIM = "Theo luật, hợp tác xã phải có ít nhất 7 thành viên ở hoà bình"


@pytest.mark.parametrize(
    "other",
    [
        CLAIM.upper(),
        CLAIM.replace("hoà", "hòa"),
        "Theo luat, hop tac xa phai co it nhat 7 thanh vien o hoa binh",
        f"  {CLAIM.replace(' ', chr(0xA0))}.",
        CLAIM.replace("thành", "thà\u200bnh"),
        unicodedata.normalize("NFD", CLAIM),
        CLAIM.replace("hợp tác xã", "HTX"),
        CLAIM.replace("7", "07").replace(",", " –"),
        CLAIM.replace("a", "а"),  # Cyrillic
    ],
)
def test_another_way_to_type_it_has_the_same_words(other: str) -> None:
    assert plain_words(other) == plain_words(CLAIM)
    one = texts_of([CLAIM, other, "khác hẳn"], {})
    assert one.same[0] == one.same[1] != one.same[2]


def pairs(one: list[str], other: list[str], threshold: float = RESEMBLANCE) -> set[tuple[int, int]]:
    known: dict[str, int] = {}
    rows, cols, share = near(texts_of(one, known), texts_of(other, known), threshold=threshold)
    assert ((share >= threshold - 1e-9) & (share <= 1)).all()
    return set(zip(rows.tolist(), cols.tolist(), strict=True))


def plainly(one: list[str], other: list[str], threshold: float) -> set[tuple[int, int]]:
    def tokens(text: str) -> set[object]:
        words = plain_words(text)
        numbers = tuple(sorted(w for w in words if w[0].isdigit()))
        both = pairwise(words) if len(words) > 1 else [(w,) for w in words]
        return {(pair, numbers) for pair in both}

    found = set()
    for i, a in enumerate(map(tokens, one)):
        for j, b in enumerate(map(tokens, other)):
            if a and b and len(a & b) / len(a | b) >= threshold - 1e-9:
                found.add((i, j))
    return found


TEXTS = st.lists(
    st.lists(st.sampled_from(["xã", "hộ", "lúa", "vốn", "5", "7", "12", "được"]), max_size=9).map(
        " ".join
    ),
    max_size=14,
)


@settings(max_examples=60)
@given(one=TEXTS, other=TEXTS, threshold=st.sampled_from((0.3, 0.5, 0.6, 0.75, 1.0)))
def test_the_join_finds_what_a_look_at_all_pairs_finds(
    one: list[str], other: list[str], threshold: float
) -> None:
    assert pairs(one, other, threshold) == plainly(one, other, threshold)


def test_the_join_is_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    from nlp import near as module

    texts = [f"{a} {b} hộ dân trồng lúa ở xã {a}" for a in ("anh", "bắc", "cao") for b in "xyz"]
    whole = pairs(texts, texts)
    monkeypatch.setattr(module, "_PAIRS", 3)
    assert pairs(texts, texts) == whole == plainly(texts, texts, RESEMBLANCE)


def test_one_word_more_less_or_other_is_near_and_another_number_is_not() -> None:
    said = "hợp tác xã được vay vốn từ quỹ hỗ trợ của tỉnh năm 2025"
    words = said.split()
    assert len(words) >= 10
    for edited in (
        [*words[:4], "mới", *words[4:]],
        [*words[:4], *words[5:]],
        [*words[:4], "xin", *words[5:]],
    ):
        assert pairs([" ".join(words)], [" ".join(edited)]) == {(0, 0)}
    other_year = [w.replace("2025", "2026") for w in words]
    assert not pairs([" ".join(words)], [" ".join(other_year)])
    known: dict[str, int] = {}
    both = [texts_of([" ".join(w)], known, by_numbers=False) for w in (words, other_year)]
    assert len(near(*both)[0]) == 1


def test_texts_without_words_are_near_to_nothing() -> None:
    assert pairs(["", "…"], ["", "!"]) == set()
    assert texts_of(["", "?"], {}).same.tolist() == [0, 0]
    assert pairs([], ["một hai"]) == set()
    assert pairs(["một"], ["Một."]) == {(0, 0)}


def test_some_of_the_texts_are_those_texts() -> None:
    texts = ["một hai ba", "", "bốn", "năm sáu bảy tám"]
    some = texts_of(texts, {}).take(np.array([3, 0, 1]))
    known: dict[str, int] = {}
    texts_of(texts, known)
    again = texts_of([texts[n] for n in (3, 0, 1)], known)
    assert isinstance(some, Texts)
    assert some.same.tolist() == again.same.tolist()
    assert some.starts.tolist() == again.starts.tolist()
    assert some.tokens.tolist() == again.tokens.tolist()


@pytest.mark.parametrize("threshold", [0.0, -0.5, 1.1])
def test_a_threshold_out_of_bounds_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        near(texts_of(["a"], {}), texts_of(["a"], {}), threshold=threshold)
