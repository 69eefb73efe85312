"""Precision, recall and the hour: known values, and intervals that hold the truth as they say."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiemchung.estimates import (
    WeekSample,
    time_box,
    week_estimate,
    weighted_share,
    wilson,
)


def sample(**facts: object) -> WeekSample:
    base = {
        "week": "2026-W40", "flags": 20, "flags_decided": 20, "flags_refuted": 18,
        "unflagged": 1000, "drawn": 50,
    }  # fmt: skip
    return WeekSample(**(base | facts))  # type: ignore[arg-type]


def test_wilson_against_known_values() -> None:
    found = wilson(8, 10)  # 0.4902 to 0.9433 in the usual tables
    assert (round(found.low, 4), round(found.high, 4)) == (0.4902, 0.9433)
    assert wilson(0, 10).low == 0.0
    assert round(wilson(0, 10).high, 4) == 0.2775
    nothing = wilson(0, 0)
    assert (nothing.value, nothing.low, nothing.high) == (None, 0.0, 1.0)
    whole = wilson(3, 7, population=7)
    assert whole.low == whole.high == 3 / 7
    with pytest.raises(ValueError):
        wilson(4, 3)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 200))
def test_an_interval_holds_its_value_and_shrinks_with_the_population(
    hits: int, more: int, rest: int
) -> None:
    of = hits + more
    wide, narrow = wilson(hits, of), wilson(hits, of, population=of + rest)
    if of:
        assert wide.value is not None
        assert 0 <= wide.low <= wide.value + 1e-12 <= wide.high + 2e-12 <= 1 + 3e-12
        assert narrow.high - narrow.low <= wide.high - wide.low + 1e-12


def test_equal_weights_are_the_plain_share() -> None:
    found = weighted_share([20.0] * 3, [20.0] * 50, population=1000)
    plain = wilson(3, 50, population=1000)
    assert found.value == pytest.approx(plain.value)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high))


def test_unequal_probabilities_are_weighed_by_their_inverse() -> None:
    # One refuted claim drawn with 1/10 stands for ten, nine quiet ones drawn surely for themselves.
    found = weighted_share([10.0], [10.0, *[1.0] * 9], population=100)
    assert found.value == pytest.approx(10 / 19)


def test_all_known_leaves_no_doubt() -> None:
    found = week_estimate(
        sample(unflagged=40, drawn=40, decided_weights=(1.0,) * 40, refuted_weights=(1.0,) * 2)
    )
    assert found.precision.value == found.precision.low == found.precision.high == 0.9
    assert found.missed.value == pytest.approx(2.0)
    assert found.recall.value == pytest.approx(18 / 20)
    assert found.recall.low == pytest.approx(0.9, abs=1e-6)
    assert found.recall.high == pytest.approx(0.9, abs=1e-6)


def test_nothing_decided_says_nothing() -> None:
    found = week_estimate(sample(flags_decided=0, flags_refuted=0))
    assert found.precision.value is None
    assert found.recall.value is None
    assert (found.recall.low, found.recall.high) == (0.0, 1.0)


def test_a_sample_without_a_find_bounds_what_was_missed() -> None:
    found = week_estimate(sample(decided_weights=(20.0,) * 50))
    assert found.missed.value == 0
    assert found.missed.low == 0
    assert 60 < found.missed.high < 80  # 7 % of a thousand: 50 quiet draws prove no more
    assert found.recall.value == 1.0
    assert found.recall.low < 0.25


@pytest.mark.parametrize(("rate", "probability"), [(0.02, 0.05), (0.05, 0.1), (0.1, 0.05)])
def test_the_recall_interval_holds_the_truth_about_95_times_in_100(
    rate: float, probability: float
) -> None:
    draw = random.Random(11)
    held = 0
    rounds = 400
    for _ in range(rounds):
        unflagged = 2000
        missed = sum(draw.random() < rate for _ in range(unflagged))
        hits, flags = 90, 100
        drawn = [draw.random() < probability for _ in range(unflagged)]
        n = sum(drawn)
        refuted = sum(drawn[:missed])  # which of them are refuted does not matter to the draw
        found = week_estimate(
            sample(
                flags=flags, flags_decided=flags, flags_refuted=hits, unflagged=unflagged, drawn=n,
                decided_weights=(1 / probability,) * n, refuted_weights=(1 / probability,) * refuted,
            )
        ).recall  # fmt: skip
        held += found.low <= hits / (hits + missed) <= found.high
    assert 0.92 <= held / rounds <= 0.99


def test_half_read_flags_widen_the_interval() -> None:
    weights = {"decided_weights": (20.0,) * 50, "refuted_weights": (20.0,)}
    all_read = week_estimate(sample(**weights))
    half = week_estimate(sample(flags_decided=10, flags_refuted=9, **weights))
    assert half.precision.high - half.precision.low > 0.1
    assert all_read.precision.high - all_read.precision.low == 0


def test_an_hour_at_a_steady_pace() -> None:
    found = time_box(60, [60.0] * 5, [0.5] * 100)
    assert found is not None
    assert found.items.value == found.items.low == found.items.high == 60
    assert found.finds.value == pytest.approx(30, abs=1)
    assert 18 <= found.finds.low < 30 < found.finds.high <= 42
    assert found.unread.value == 40
    assert found.unread_finds == pytest.approx(20)
    assert time_box(60, [], [0.5]) is None
    short = time_box(60, [60.0], [0.9] * 3)
    assert short is not None
    assert short.items.value == 3
    assert short.unread.value == 0


def test_the_hour_is_foretold_within_its_interval_about_95_times_in_100() -> None:
    draw = random.Random(5)
    held = 0
    for turn in range(120):
        seconds = [draw.lognormvariate(3.5, 0.6) for _ in range(200)]
        chances = [draw.random() for _ in range(300)]
        found = time_box(60, seconds, chances, replicates=300, seed=turn)
        assert found is not None
        left, hits = 3600.0, 0
        for chance in chances:
            left -= draw.lognormvariate(3.5, 0.6)
            if left < 0:
                break
            hits += draw.random() < chance
        held += found.finds.low <= hits <= found.finds.high
    assert 105 <= held <= 120
