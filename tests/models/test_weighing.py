"""Weights against the queue's selection."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiemchung.domain import Label
from models import evaluate, weighing


@given(st.lists(st.one_of(st.none(), st.sampled_from([0.01, 0.05, 0.5, 1.0])), min_size=1))
def test_weights_have_mean_one_and_order_of_the_inverse(given_: list[float | None]) -> None:
    weights = weighing.inverse(given_)
    assert weights.mean() == pytest.approx(1.0)
    raw = np.array([1.0 if p is None else 1.0 / p for p in given_])
    order = np.argsort(raw, kind="stable")
    assert (np.diff(weights[order]) >= -1e-12).all()
    assert weights.max() <= weighing.MOST * weights.min() + 1e-9


def test_a_sampled_claim_stands_for_twenty_flags() -> None:
    weights = weighing.inverse([1.0] * 500 + [0.05] * 100)
    assert weights[-1] / weights[0] == pytest.approx(20.0)


def test_a_single_rare_draw_does_not_decide_alone() -> None:
    weights = weighing.inverse([1.0] * 99 + [1e-6])
    assert weights[-1] / weights[0] == pytest.approx(weighing.MOST)


def test_estimates_recover_the_mean_of_all_claims() -> None:
    # 4,000 claims, of which a model flags those that it gets wrong more often: what is reviewed is
    # all flags and a twentieth of the rest.
    draw = np.random.default_rng(1)
    flagged = draw.random(4_000) < 0.2
    right = draw.random(4_000) < np.where(flagged, 0.6, 0.95)
    seen = flagged | (draw.random(4_000) < 0.05)
    weights = weighing.inverse([1.0 if f else 0.05 for f in flagged[seen]])
    plain, fair = right[seen].mean(), float((weights * right[seen]).mean())
    assert abs(fair - right.mean()) < 0.03 < abs(plain - right.mean())


def test_effective_size() -> None:
    assert weighing.effective(np.ones(50)) == pytest.approx(50)
    assert weighing.effective(np.array([1.0, 0.0, 0.0])) == pytest.approx(1)
    assert weighing.effective(np.zeros(0)) == 0.0


def test_weighted_f1_is_f1_where_all_weigh_alike() -> None:
    gold = [Label.SUPPORTED, Label.REFUTED, Label.REFUTED, Label.NOT_ENOUGH_INFO]
    said = [Label.SUPPORTED, Label.REFUTED, None, Label.REFUTED]
    assert weighing.weighted_f1(gold, said, np.ones(4)) == evaluate.f1_by_label(gold, said)
    heavy = weighing.weighted_f1(gold, said, np.array([1.0, 1.0, 9.0, 1.0]))
    assert heavy["REFUTED"] < evaluate.f1_by_label(gold, said)["REFUTED"]
    assert weighing.weights_of([]).shape == (0,)


# -- labels that weigh alike -------------------------------------------------------------------

labelled = st.lists(st.tuples(st.integers(0, 2), st.floats(0.01, 50.0)), min_size=1, max_size=40)


@given(labelled)
def test_labels_weigh_alike_and_as_much_as_before(rows: list[tuple[int, float]]) -> None:
    y, weight = np.array([k for k, _ in rows]), np.array([w for _, w in rows])
    found = weighing.balanced(weight, y)
    there = sorted(set(y.tolist()))
    each = [found[y == k].sum() for k in there]
    assert each == pytest.approx([weight.sum() / 3.0] * len(there))
    for k in there:  # inside a label all keep their proportion
        mine = y == k
        assert found[mine] / found[mine].sum() == pytest.approx(weight[mine] / weight[mine].sum())
    assert weight.tolist() == [w for _, w in rows]


@given(labelled)
def test_the_digits_are_those_that_the_models_were_fitted_with(
    rows: list[tuple[int, float]],
) -> None:
    """To the last bit what stood in `joining` and `experiments`; a fit shows every one of them."""
    y, weight = np.array([k for k, _ in rows]), np.array([w for _, w in rows])
    joined, alone = weight.copy(), np.ones(len(y))
    for k in range(3):
        mine = y == k
        if mine.any():
            joined[mine] *= weight.sum() / (3.0 * weight[mine].sum())
            alone[mine] = len(y) / (3.0 * mine.sum())
    assert weighing.balanced(weight, y).tolist() == joined.tolist()
    assert weighing.balanced(np.ones(len(y)), y).tolist() == alone.tolist()


def test_a_label_without_weight_stays_without() -> None:
    found = weighing.balanced(np.array([1.0, 3.0, 0.0]), np.array([0, 1, 2]))
    assert found.tolist() == pytest.approx([4 / 3, 4 / 3, 0.0])
    assert weighing.balanced(np.zeros(0), np.zeros(0, np.int64)).tolist() == []
