"""Calibration on the audited sample: no alarm by chance, one where the model is off."""

from __future__ import annotations

import numpy as np
import pytest

from models.audited import FEWEST, audit, audit_of, weighted_error
from models.evaluate import calibration_error


def sample(n: int, seed: int, *, sharpen: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Claims of a model that is calibrated where ``sharpen`` is 1; a third are flags."""
    r = np.random.default_rng(seed)
    truth = r.dirichlet((1.2, 1.2, 1.2), n)
    y = np.array([r.choice(3, p=row) for row in truth])
    p = truth**sharpen
    chance = np.where(np.arange(n) % 3 == 0, 1.0, 0.25)
    return p / p.sum(axis=1, keepdims=True), y, chance


def test_equal_weights_are_the_plain_error_over_bins_of_equal_mass() -> None:
    r = np.random.default_rng(0)
    confidence, right = r.random(300), r.random(300) < 0.5
    ours = weighted_error(confidence, right.astype(float), np.ones(300), bins=15)
    assert ours == pytest.approx(calibration_error(confidence, right, bins=15))


def test_a_calibrated_model_raises_no_alarm_and_the_figures_hold_the_truth() -> None:
    for seed in range(12):
        found = audit(*sample(500, seed))
        assert not found.drifted
        assert found.error is not None
        assert found.by_chance is not None
        assert (found.error_low or 1.0) <= (found.error_high or 0.0)
        assert (found.brier_low or 9.0) <= (found.brier or 0.0) <= (found.brier_high or 0.0)


def test_a_model_that_is_too_sure_is_found() -> None:
    for seed in range(6):
        found = audit(*sample(500, seed, sharpen=3.0))
        assert found.drifted
        assert (found.too_sure or 0.0) > 0.05
        assert found.line().startswith("calibration: error 0.")
        assert "too sure by" in found.line()


def test_below_the_smallest_sample_nothing_is_claimed() -> None:
    p, y, chance = sample(120, 1, sharpen=5.0)
    found = audit(p, y, chance)  # 120 conclusions, unequal weights: fewer than 100 count
    assert found.effective < FEWEST
    assert (found.error, found.drifted) == (None, False)
    assert audit_of([]).conclusions == 0
    assert audit_of([((1.0, 0.0, 0.0), 0, 1.0)]).effective == 1.0


def test_weights_bring_back_what_selection_took_away() -> None:
    """The model is off on rare draws alone: the plain mean hardly sees it, the weighted does."""
    p = np.tile([0.9, 0.05, 0.05], (1_000, 1))
    rare = np.arange(1_000) < 300
    y = np.where(rare & (np.arange(1_000) % 2 == 0), 1, 0)
    chance = np.where(rare, 0.05, 1.0)
    found = audit(p, y, chance)
    # Of the 6,700 claims that they stand for 6,000 are like the rare draws, half of those right.
    assert found.too_sure == pytest.approx(0.9 - 3_700 / 6_700)
    assert (found.error or 0.0) > 0.34
    assert 0.9 - (y == 0).mean() == pytest.approx(0.05)  # all that the plain mean would see
    with pytest.raises(ValueError, match="selection"):
        audit(p, y, np.zeros(1_000))
