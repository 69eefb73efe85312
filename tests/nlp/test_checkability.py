"""Control sets and the small classifier: what must never be flagged, and what must be seen."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from kiemchung.config import load_settings
from kiemchung.domain import Checkability, Speech
from kiemchung.errors import ModelError
from nlp.checkability import FEATURES, CheckabilityModel, features, load_model, read_model
from nlp.claims import assess, assess_all, detect
from pipeline.checking import check_text
from pipeline.judging import Judge

FOLDER = Path(__file__).parents[1] / "data/controls"
SIZES = {"criticism": 200, "opinion": 200, "rebuttal": 100, "checkable": 200}


def controls(name: str) -> list[str]:
    lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").split("\n")
    return [line for line in lines if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge.load(load_settings())


@pytest.mark.parametrize("name", SIZES)
def test_each_set_has_its_size_and_no_sentence_twice(name: str) -> None:
    rows = controls(name)
    assert len(rows) >= SIZES[name]
    assert len(set(rows)) == len(rows)


@pytest.mark.parametrize("name", ["criticism", "opinion", "rebuttal"])
def test_no_criticism_opinion_or_rebuttal_is_flagged(name: str, judge: Judge) -> None:
    flagged = [
        row
        for row in controls(name)
        if any(c["flagged"] for c in check_text(row, day=date(2025, 3, 1), judge=judge)["claims"])
    ]
    assert flagged == []


def test_rebuttals_are_not_the_articles_own_words() -> None:
    missed = [
        row
        for row in controls("rebuttal")
        if any(
            c.checkability is Checkability.CHECKABLE and c.speech is not Speech.REBUTTAL
            for c in detect(row)
        )
    ]
    assert len(missed) <= 2


def test_checkable_claims_reach_the_verdict() -> None:
    rows = controls("checkable")
    kept = [c for c, _ in assess_all(rows)].count(Checkability.CHECKABLE)
    assert kept >= 0.97 * len(rows)


def test_true_statements_of_the_checkable_set_are_not_flagged(judge: Judge) -> None:
    true = [
        "Luật Hợp tác xã năm 2012 hết hiệu lực từ ngày 1/7/2024.",
        "Hợp tác xã phải có ít nhất 5 thành viên chính thức.",
        "Theo luật, mỗi thành viên góp không quá 30% vốn điều lệ.",
        "Hợp tác xã nộp thuế thu nhập doanh nghiệp 20%.",
        "Hợp tác xã lớn là hợp tác xã có từ 300 thành viên trở lên theo nghị định.",
        "Liên hiệp hợp tác xã cần ít nhất 3 hợp tác xã thành viên.",
    ]
    for sentence in true:
        claims = check_text(sentence, day=date(2025, 3, 1), judge=judge)["claims"]
        assert not any(c["flagged"] for c in claims), sentence


def test_the_classifier_only_takes_away() -> None:
    rows = controls("criticism") + controls("opinion") + controls("checkable")
    for row, (now, worth) in zip(rows, assess_all(rows), strict=True):
        before, rank = assess(row)
        assert now is before or (before, now) == (Checkability.CHECKABLE, Checkability.OPINION)
        assert worth <= rank


def test_a_sentence_with_a_figure_is_left_to_the_rules() -> None:
    rows = [r for r in controls("checkable") if any(c.isdigit() for c in r)]
    assert [c for c, _ in assess_all(rows)] == [assess(r)[0] for r in rows]


def test_probabilities_do_not_depend_on_the_company() -> None:
    rows = controls("opinion")[:20] + controls("checkable")[:20]
    model = load_model()
    together = model.probabilities(rows)
    alone = np.array([model.probabilities([r])[0] for r in rows])
    assert np.allclose(together, alone)
    assert ((together >= 0) & (together <= 1)).all()
    assert model.probabilities([]).shape == (0,)


def test_numbers_read_alike() -> None:
    a, b = features(["Hợp tác xã có 5 thành viên.", "Hợp tác xã có 1.250 thành viên."])
    assert (a != b).nnz == 0


def test_a_model_survives_being_stored() -> None:
    model = load_model()
    again = read_model(model.to_bytes())
    assert again.to_bytes() == model.to_bytes()
    assert (again.slope, again.shift) == (model.slope, model.shift)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04nothing", b"\x00" * 100])
def test_what_is_no_model_is_named(data: bytes) -> None:
    with pytest.raises(ModelError, match="checkability"):
        read_model(data)


def test_a_model_of_another_size_is_named() -> None:
    other = CheckabilityModel(np.zeros(FEATURES // 2, np.float32), 0.0, 1.0, 0.0)
    with pytest.raises(ModelError, match="another kind"):
        read_model(other.to_bytes())
