"""Figures that are checked against ones worked out by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiemchung.domain import LABEL_ORDER, Label
from models import calibration, evaluate
from models.comparison import softmax
from models.construct import Pair, label_of
from models.evaluate import wilson
from models.verdict import Verdict, failed, verdict_of

S, R, N = LABEL_ORDER


class Table:
    """A model that answers from a table."""

    model_id = "table"
    threshold = 0.7

    def __init__(self, answers: dict[str, Verdict]) -> None:
        self.answers = answers

    def judge(self, claim: str, evidence: str) -> Verdict:
        return self.answers[claim]


def pair(claim: str, label: Label) -> Pair:
    return Pair(claim=claim, evidence="e", label=label, kind="test", group=claim)


def test_macro_f1_by_hand() -> None:
    gold = [S, S, R, N]
    said = [S, R, R, None]
    assert evaluate.f1_by_label(gold, said) == {
        "SUPPORTED": pytest.approx(2 / 3),
        "REFUTED": pytest.approx(2 / 3),
        "NOT_ENOUGH_INFO": 0.0,
    }
    assert evaluate.macro_f1(gold, said) == pytest.approx(4 / 9)


def test_wilson_by_hand() -> None:
    found = wilson(9, 10)  # 0.5958 … 0.9821, the textbook example
    assert (round(found.low, 4), round(found.high, 4)) == (0.5958, 0.9821)
    assert math.isnan(wilson(0, 0).value)


@given(st.integers(0, 300), st.integers(1, 300))
def test_wilson_holds_its_share(right: int, n: int) -> None:
    right = min(right, n)
    found = wilson(right, n)
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0


def test_a_report_counts_abstentions_and_failures_apart() -> None:
    model = Table(
        {
            "a": verdict_of((0.9, 0.05, 0.05)),
            "b": verdict_of((0.1, 0.8, 0.1)),
            "c": verdict_of((0.2, 0.6, 0.2)),
            "d": verdict_of((0.34, 0.33, 0.33), abstain_below=0.5),
            "e": failed(ValueError("x")),
        }
    )
    rows = [pair("a", S), pair("b", R), pair("c", N), pair("d", N), pair("e", R)]
    found = evaluate.evaluate(model, rows)
    assert found.n == 5
    assert found.failed == 1
    assert found.answered == pytest.approx(3 / 5)
    assert (found.refuted_precision.n, found.refuted_precision.value) == (2, 0.5)
    assert (found.refuted_at_threshold.n, found.refuted_at_threshold.value) == (1, 1.0)
    assert found.recall["NOT_ENOUGH_INFO"] == 0.0
    assert found.as_dict()["threshold"] == 0.7


def test_records_may_name_their_evidence_field() -> None:
    model = Table({"a": verdict_of((0.9, 0.05, 0.05))})
    row = {"claim": "a", "context": "dài", "label": "0"}
    assert evaluate.evaluate(model, [row], field="context").accuracy == 1.0
    with pytest.raises(ValueError, match="no rows"):
        evaluate.evaluate(model, [])


def test_calibration_error_of_a_known_gap() -> None:
    confidence = np.full(150, 0.9)
    right = np.arange(150) % 2 == 0
    assert evaluate.calibration_error(confidence, right) == pytest.approx(0.4, abs=0.03)
    assert evaluate.calibration_error(np.ones(30), np.ones(30, dtype=bool)) == 0.0


def test_risk_falls_when_certainty_means_something() -> None:
    confidence = np.linspace(0.4, 1.0, 100)
    curve = evaluate.risk_coverage(confidence, confidence > 0.6)
    assert curve[0] == (0.1, 0.0)
    assert curve[-1][1] == pytest.approx(0.34, abs=0.02)
    assert [c for c, _ in curve] == [i / 10 for i in range(1, 11)]


def test_paired_bootstrap_tells_better_from_equal() -> None:
    gold = [S, R, N] * 30
    worse: list[Label | None] = [S if i % 4 == 0 else g for i, g in enumerate(gold)]
    assert evaluate.paired_bootstrap(gold, worse, list(gold), rounds=200) == 0.0
    assert evaluate.paired_bootstrap(gold, worse, worse, rounds=50) == 1.0


@given(st.floats(0.4, 4.0), st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_the_temperature_that_was_put_in_comes_out(true: float, seed: int) -> None:
    r = np.random.default_rng(seed)
    logits = r.normal(size=(4_000, 3)) * 2
    truth = np.array([r.choice(3, p=p) for p in softmax(logits)])
    assert calibration.fit_temperature(logits * true, truth) == pytest.approx(true, rel=0.15)


def test_the_threshold_holds_its_precision() -> None:
    r = np.random.default_rng(1)
    sure = r.uniform(0.5, 1.0, 3_000)
    p = np.stack([(1 - sure) / 2, sure, (1 - sure) / 2], axis=1)
    truth = np.where(r.uniform(size=3_000) < sure, 1, 0)
    cut = calibration.choose_threshold(p, truth, precision=0.9)
    shown = p[:, 1] >= cut
    assert wilson(int((truth[shown] == 1).sum()), int(shown.sum())).low >= 0.9
    assert 0.75 < cut < 0.9


def test_no_threshold_is_good_enough_for_noise() -> None:
    p = np.tile([0.1, 0.8, 0.1], (200, 1))
    assert calibration.choose_threshold(p, np.arange(200) % 3) == 0.99


@pytest.mark.parametrize(
    ("word", "label"),
    [("SUPPORTS", S), ("refuted", R), ("NEI", N), ("NOT ENOUGH INFO", N), (0, S), (1, R), (2, N)],
)
def test_spellings_of_data_sets(word: object, label: Label) -> None:
    assert label_of(word) is label


def test_an_unknown_spelling_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown label"):
        label_of("3")


class Parrot:
    """Refutes whatever it is shown: the controls must give it away."""

    model_id = "parrot"
    threshold = 0.7

    def judge(self, claim: str, evidence: str) -> Verdict:
        return verdict_of((0.9, 0.05, 0.05) if "đúng" in claim else (0.05, 0.9, 0.05))


def test_controls_give_a_blind_model_away_and_clear_a_seeing_one() -> None:
    from models import registry

    rows = [
        Pair(
            claim=f"Xã thứ {i} có {10 + i} hợp tác xã đúng kế hoạch.",
            evidence=f"Xã thứ {i} có {10 + i} hợp tác xã đúng kế hoạch.",
            label=S,
            kind="test",
            group=str(i),
        )
        for i in range(12)
    ] + [pair("Sai.", R), pair("Nhầm.", R)]
    blind = evaluate.controls(Parrot(), rows)
    assert blind.flip_leaves_supported == 0.0
    assert blind.claim_only_macro_f1 == pytest.approx(2 / 3)
    seeing = evaluate.controls(registry.load_default(), rows)
    assert seeing.flips >= 10
    assert seeing.flip_leaves_supported >= 0.9
    assert seeing.claim_only_macro_f1 < 0.4
    with pytest.raises(ValueError, match="two rows"):
        evaluate.controls(Parrot(), rows[:1])


def test_the_command_line_measures_and_names_its_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pairs.jsonl"
    row = {"claim": "Có 5 xã.", "evidence": "Có 5 xã.", "label": "SUPPORTED"}
    path.write_text((json.dumps(row) + "\n") * 3, encoding="utf-8")
    assert evaluate.main(["--pairs", str(path)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["n"] == 3
    assert "shuffled_refuted" in printed["controls"]
    assert evaluate.main(["--pairs", str(tmp_path / "none.jsonl")]) == 1
    assert evaluate.main(["--pairs", str(path), "--field", "context"]) == 1
    assert "context" in capsys.readouterr().err
