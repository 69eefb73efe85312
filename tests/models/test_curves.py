"""Labels saved: on curves whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from models.curves import Curve, labels_for, monotone, saved_at_labels, saved_at_share, spread

LABELS = np.array([10.0, 20.0, 40.0, 80.0])


def straight(slope: float, seeds: int = 3) -> Curve:
    """F1 that grows by ``slope`` a label, a little above or below it for each seed."""
    noise = np.linspace(-0.001, 0.001, seeds)[:, None]
    return Curve(labels=LABELS, f1=slope * LABELS[None, :] + noise)


def test_twice_as_steep_saves_half_by_both_measures() -> None:
    fast, slow = straight(0.010), straight(0.005)
    saved = saved_at_share(fast, slow, full=0.4, share=0.95)
    assert saved.value == pytest.approx(0.5)
    assert (saved.ours, saved.random) == (pytest.approx(38.0), pytest.approx(76.0))
    assert saved.low is not None
    assert saved.low <= 0.5 <= (saved.high or 0.0)
    assert saved_at_labels(fast, slow, 30).value == pytest.approx(0.5)
    assert saved_at_share(slow, slow, full=0.4, share=0.9).value == pytest.approx(0.0)
    assert saved_at_share(slow, fast, full=0.4, share=0.9).value == pytest.approx(-1.0)


def test_what_is_never_reached_has_no_value() -> None:
    saved = saved_at_share(straight(0.005), straight(0.010), full=0.8, share=0.98)
    assert (saved.value, saved.low, saved.ours) == (None, None, None)
    assert saved.random is not None
    assert saved.as_dict()["value"] is None


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30))
def test_the_monotone_curve_is_the_isotonic_regression(values: list[float]) -> None:
    ours = monotone(np.array(values))
    theirs = IsotonicRegression().fit_transform(np.arange(len(values)), values)
    assert ours == pytest.approx(theirs, abs=1e-9)
    assert (np.diff(ours) >= -1e-12).all()


def test_labels_are_interpolated_and_plateaus_do_not_divide_by_nothing() -> None:
    curve = np.array([0.2, 0.4, 0.4, 0.8])
    assert labels_for(LABELS, curve, 0.3) == pytest.approx(15.0)
    assert labels_for(LABELS, curve, 0.4) == pytest.approx(20.0)
    assert labels_for(LABELS, curve, 0.1) == 10.0
    assert labels_for(LABELS, curve, 0.81) is None


def test_a_spread_over_seeds_is_students() -> None:
    found = spread([0.1, 0.2, 0.3])
    assert (found.mean, found.sd, found.n) == (pytest.approx(0.2), pytest.approx(0.1), 3)
    assert found.high - found.mean == pytest.approx(4.302653 * 0.1 / 3**0.5, rel=1e-5)
    assert np.isnan(spread([0.5]).low)
    with pytest.raises(ValueError, match="no values"):
        spread([])


def test_curves_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(ValueError, match="ascend"):
        Curve(labels=np.array([2.0, 1.0]), f1=np.zeros((1, 2)))
    with pytest.raises(ValueError, match="points"):
        Curve(labels=LABELS, f1=np.zeros((0, 4)))
