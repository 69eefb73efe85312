"""The gates of the shipped model, and that each gate can fail."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiemchung import reference
from kiemchung.domain import Label
from models import floors, gates, registry
from models.comparison import plain_numbers
from models.construct import Pair
from models.floors import Gate
from models.verdict import Verdict, verdict_of

R = random.Random
OF_THE_PATH = {"opinions_flagged", "criticisms_flagged", "rebuttals_flagged", "law_in_time"}
"""Measured from text to flag, in tests/pipeline/test_evaluation.py."""


def _pair(claim: str, evidence: str, label: Label) -> Pair:
    return Pair(claim=claim, evidence=evidence, label=label, kind="toy", group=evidence)


PAIRS = [
    _pair("Xã có 5 hộ.", "Xã có 5 hộ.", Label.SUPPORTED),
    _pair("Ông Lê Thu Hà có 1.200 ha.", "Ông Lê Thu Hà có 1.200 ha.", Label.SUPPORTED),
    _pair("Xã đã có 7 hộ, chiếm 30% dân.", "Xã có 5 hộ.", Label.REFUTED),
    _pair("Bà con rất vui.", "Xã có 5 hộ ở Hoà Bình.", Label.NOT_ENOUGH_INFO),
    _pair("Xã Hoà Bình đã có đường.", "Xã Hoà Bình đã có đường.", Label.SUPPORTED),
]


class Fixed:
    """A model that answers by a rule of the test."""

    model_id = "toy"
    threshold = 0.5

    def __init__(self, rule: str) -> None:
        self.rule = rule

    def judge(self, claim: str, evidence: str) -> Verdict:
        if self.rule == "same":
            label = 0 if claim == evidence else 1
        elif self.rule == "blind":
            label = 0
        else:
            label = len(claim) % 3
        return verdict_of([0.9 if i == label else 0.05 for i in range(3)])


def _by_name(found: list[Gate]) -> dict[str, Gate]:
    return {g.name: g for g in found}


def test_a_blind_model_fails_what_must_move_and_holds_what_must_not() -> None:
    found = _by_name(gates.measure(Fixed("blind"), PAIRS))
    assert found["digit_flip_leaves_supported"].value == 0.0
    assert found["name_swap_leaves_supported"].value == 0.0
    assert found["format_change_flips"].value == 0.0
    assert found["tone_style_flips"].value == 0.0
    assert found["macro_f1"].value == pytest.approx(0.25)


def test_a_model_of_letters_fails_what_must_not_move() -> None:
    found = _by_name(gates.measure(Fixed("same"), PAIRS))
    assert found["digit_flip_leaves_supported"].value == 1.0
    assert found["format_change_flips"].value is not None
    assert found["format_change_flips"].value > 0.3
    assert found["tone_style_flips"].value == 1.0
    assert found["emotive_word_refutes"].value is not None
    assert found["emotive_word_refutes"].value > 0.5
    assert found["same_name_on_both_sides_flips"].value == 0.0


def test_the_changes_change_what_they_say() -> None:
    assert gates.flip_digit("Có 5 hộ.", R(0)) not in (None, "Có 5 hộ.")
    assert gates.flip_digit("Không có số.", R(0)) is None
    assert gates.write_otherwise("Có 1.200 hộ.", R(0)) == "Có 1200 hộ."
    assert gates.write_otherwise("Chiếm 30% vốn.", R(0)) == "Chiếm 30 phần trăm vốn."
    assert gates.write_otherwise("Có 5 hộ.", R(0)) == "Có 05 hộ."
    assert gates.write_otherwise("Theo Điều 5 của luật.", R(0)) is None
    assert gates.move_tones("Hòa Bình hóa ra khỏe.", R(0)) == "Hoà Bình hoá ra khoẻ."
    assert gates.move_tones("Hoà Bình.", R(0)) == "Hòa Bình."
    assert gates.move_tones("quý hơn.", R(0)) is None
    assert gates.swap_name("Hôm qua ông Lê Văn Hùng nói.", R(0)) not in (None, "")
    changed = gates.add_emotion("Xã có 5 hộ.", R(1))
    assert changed is not None
    assert changed.endswith("xã có 5 hộ.")


@given(st.integers(1, 999), st.booleans())
def test_numbers_written_otherwise_are_the_same_numbers(n: int, zero: bool) -> None:
    written = f"0{n}" if zero else str(n)
    text = f"Có {written} hộ và {written} phần trăm vốn."
    assert plain_numbers(text) == f"Có {n} hộ và {n}% vốn."


def test_dates_and_decimals_stay_as_they_are() -> None:
    for text in ("Ngày 05/06/2023.", "Tăng 0,05 điểm.", "Số 007/QĐ.", "Lúc 08:05.", "Có 100 hộ."):
        assert plain_numbers(text) == text


def test_a_pair_is_asked_once_however_many_gates_look_at_it() -> None:
    asked: list[tuple[str, str]] = []

    class Counting(Fixed):
        def judge(self, claim: str, evidence: str) -> Verdict:
            asked.append((claim, evidence))
            return super().judge(claim, evidence)

    gates.measure(Counting("same"), PAIRS)
    assert len(asked) == len(set(asked))


def test_a_model_blind_to_refutations_in_the_evidences_own_words_is_told() -> None:
    close = [_pair(f"Xã có {i} hộ nghèo.", "Xã có 5 hộ nghèo.", Label.REFUTED) for i in (6, 7, 8)]
    far = [_pair(f"Thị trấn thu {i} tỷ.", "Năm nay mất mùa.", Label.REFUTED) for i in range(6)]

    class Far(Fixed):
        def judge(self, claim: str, evidence: str) -> Verdict:
            return verdict_of((0.05, 0.9, 0.05) if "tỷ" in claim else (0.9, 0.05, 0.05))

    ratio = _by_name(gates.overlap_thirds(Far("x"), [*close, *far]))
    assert ratio["refuted_recall_overlap_high_ratio"].value == 0.0
    even = _by_name(gates.overlap_thirds(Fixed("same"), [*close, *far]))
    assert even["refuted_recall_overlap_high_ratio"].value == 1.0
    none = _by_name(gates.overlap_thirds(Fixed("same"), PAIRS[:2]))
    assert none["refuted_recall_overlap_high_ratio"].value is None


def test_a_slice_with_too_few_pairs_gives_no_gate() -> None:
    assert not [g for g in gates.measure(Fixed("same"), PAIRS) if g.name.startswith("macro_f1_in_")]
    many = [_pair(f"Xã có {i} hộ.", f"Xã có {i} hộ.", Label.SUPPORTED) for i in range(gates.FEWEST)]
    found = _by_name(gates.measure(Fixed("same"), many))
    assert found["macro_f1_in_number"].value == 1.0
    assert "macro_f1_in_quote" not in found


@pytest.mark.slow(45)
def test_the_shipped_model_holds_its_floors() -> None:
    pairs = gates.own_pairs(reference.load().passages)
    found = gates.measure(registry.load_default(), pairs)
    wanted = {name: floor for name, floor in floors.floors().items() if name not in OF_THE_PATH}
    assert floors.broken(found, wanted) == []
    assert len(wanted) >= 35
