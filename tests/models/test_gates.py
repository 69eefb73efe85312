"""The gates of the shipped model, and that each gate can fail."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiemchung import reference
from kiemchung.domain import Label
from kiemchung.errors import ModelError
from models import gates, registry
from models.comparison import plain_numbers
from models.construct import Pair
from models.gates import Gate
from models.verdict import Verdict, verdict_of

R = random.Random


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


def test_floors_only_rise(tmp_path: Path) -> None:
    path = tmp_path / "floors.json"

    def written(steps: list[float], *, higher: bool) -> Path:
        body = {"x": {"higher": higher, "steps": steps}}
        path.write_text(json.dumps(body), encoding="utf-8")
        return path

    assert gates.floors(written([0.5, 0.6], higher=True)) == {"x": 0.6}
    assert gates.floors(written([0.2, 0.1], higher=False)) == {"x": 0.1}
    for steps, higher in (([0.6, 0.5], True), ([0.1, 0.2], False), ([], True)):
        with pytest.raises(ModelError, match="no floors"):
            gates.floors(written(steps, higher=higher))
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(ModelError, match="no floors"):
        gates.floors(path)
    with pytest.raises(ModelError, match="no floors"):
        gates.floors(tmp_path / "none.json")


def test_a_missed_floor_is_told_with_both_figures() -> None:
    found = [
        Gate(name="a", value=0.9, n=10),
        Gate(name="b", value=0.3, n=10, higher=False),
        Gate(name="c", value=None, n=0),
    ]
    assert gates.broken(found, {"a": 0.9, "b": 0.3}) == []
    lines = gates.broken(found, {"a": 0.95, "b": 0.2, "c": 0.1, "d": 0.1})
    assert len(lines) == 4
    assert "a: 0.9000 of 10 is below the floor 0.95" in lines
    assert "b: 0.3000 of 10 is above the ceiling 0.2" in lines
    assert sum("not measured" in line for line in lines) == 2


@pytest.mark.slow
def test_the_shipped_model_holds_its_floors() -> None:
    pairs = gates.own_pairs(reference.load().passages)
    found = gates.measure(registry.load_default(), pairs)
    assert gates.broken(found, gates.floors()) == []
    assert len(gates.floors()) >= 15
