"""Temperature or vector scaling, and the sets of labels that cannot be ruled out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiemchung.domain import LABEL_ORDER, Label
from models import calibration
from models.comparison import softmax


def _drawn(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels drawn from them: calibrated as they are."""
    r = np.random.default_rng(seed)
    logits = r.normal(0.0, 1.5, size=(n, 3))
    p = softmax(logits)
    truth = np.array([r.choice(3, p=row) for row in p], dtype=np.int64)
    return logits, truth


def _groups(n: int) -> list[str]:
    return [f"g{i // 4}" for i in range(n)]


def test_too_sure_is_cooled_by_one_temperature() -> None:
    logits, truth = _drawn(3_000, 1)
    factors, shifts = calibration.fit_scaling(logits * 3.0, truth, _groups(3_000))
    assert factors == pytest.approx([1 / 3] * 3, rel=0.1)
    assert np.abs(shifts).max() < 0.1


def test_a_shifted_label_takes_vector_scaling() -> None:
    logits, truth = _drawn(3_000, 2)
    moved = logits + np.array([0.0, 2.0, 0.0])
    factors, shifts = calibration.fit_scaling(moved, truth, _groups(3_000))
    assert shifts[1] - shifts[0] == pytest.approx(-2.0, abs=0.3)
    after = calibration.log_loss(moved * factors + shifts, truth, 1.0)
    plain = calibration.log_loss(moved, truth, calibration.fit_temperature(moved, truth))
    assert after < plain - 0.1


def test_few_groups_or_a_missing_label_leave_the_temperature() -> None:
    logits, truth = _drawn(60, 3)
    for groups, labels in ((["one"] * 60, truth), (_groups(60), np.minimum(truth, 1))):
        factors, shifts = calibration.fit_scaling(logits, labels, groups)
        assert len(set(factors.tolist())) == 1
        assert not shifts.any()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.05, 0.1, 0.2]))
def test_each_label_is_in_its_own_sets_as_often_as_promised(seed: int, alpha: float) -> None:
    logits, truth = _drawn(4_000, seed)
    p = softmax(logits)
    edges = calibration.conformal(p[:2_000], truth[:2_000], alpha=alpha)
    for i, label in enumerate(LABEL_ORDER):
        mine = p[2_000:][truth[2_000:] == i]
        covered = np.mean([label in calibration.label_set(row, edges) for row in mine])
        # Both halves are samples: five deviations of the difference of two shares.
        known = int((truth[:2_000] == i).sum())
        chance = 5 * (alpha * (1 - alpha) * (1 / known + 1 / len(mine))) ** 0.5
        assert covered >= 1.0 - alpha - chance


def test_a_label_never_seen_is_in_every_set() -> None:
    p = np.array([[0.7, 0.2, 0.1]] * 30)
    edges = calibration.conformal(p, np.zeros(30, dtype=np.int64))
    assert edges[str(Label.REFUTED)] == 0.0
    assert Label.REFUTED in calibration.label_set(np.array([1.0, 0.0, 0.0]), edges)
    assert calibration.label_set(np.array([0.7, 0.2, 0.1]), edges) == LABEL_ORDER
