"""Splits by time: nothing on two sides, nothing lost, the same rows in any order the same split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.splits import DEV, NAMES, OUTSIDE, TEST, TRAIN, cuts, split

ROWS = st.lists(
    st.tuples(
        st.integers(30, 39).map(lambda n: f"2026-W{n}"),
        st.integers(0, 12).map(lambda n: f"s{n}"),
        st.integers(0, 20).map(lambda n: f"c{n}"),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=80)
@given(rows=ROWS, seed=st.randoms(use_true_random=False))
def test_no_story_and_no_claim_stands_on_two_sides(
    rows: list[tuple[str, str, str]], seed: object
) -> None:
    weeks, stories, claims = ([r[n] for r in rows] for n in range(3))
    found = split(weeks, stories, {"story": stories, "claim": claims})
    sides = [{s for s in range(3) for r, of in zip(rows, found.of, strict=True) if of == s and r[n] == v} for n in (1, 2) for v in {r[n] for r in rows}]  # fmt: skip
    assert all(len(side) <= 1 for side in sides)
    assert int((found.of == OUTSIDE).sum()) == sum(found.why.values())
    if found.rule == "time":
        last = ""
        for name in NAMES[:3]:
            if name in found.weeks:
                assert last < found.weeks[name][0]
                last = found.weeks[name][1]
    order = list(range(len(rows)))
    seed.shuffle(order)  # type: ignore[attr-defined]
    again = split(
        [weeks[i] for i in order],
        [stories[i] for i in order],
        {"story": [stories[i] for i in order], "claim": [claims[i] for i in order]},
    )
    assert again.of.tolist() == found.of[order].tolist()


def test_what_is_near_leaves_the_later_side_too() -> None:
    weeks = [f"2026-W{n}" for n in (30, 31, 32, 33)]
    asked = []

    def near(earlier: np.ndarray, later: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        asked.append((earlier.tolist(), later.tolist()))
        return later

    found = split(weeks, list("abcd"), {}, near)
    assert found.of.tolist() == [TRAIN, TRAIN, OUTSIDE, OUTSIDE]
    assert asked == [([0, 1], [2]), ([0, 1], [3])]  # what has left keeps nobody out
    assert found.why == {"nearly_the_same_words": 2}


@pytest.mark.parametrize(
    ("counts", "wanted"),
    [
        ([1, 1, 1], (1, 2)),
        ([10] * 20, (14, 17)),
        ([98, 1, 1], (1, 2)),
        ([1, 1, 98], (1, 2)),
        ([70, 15, 15], (1, 2)),
        ([0, 0, 0, 0], (1, 2)),
    ],
)
def test_weeks_are_cut_nearest_to_the_shares(counts: list[int], wanted: tuple[int, int]) -> None:
    assert cuts(counts) == wanted


def test_two_weeks_cannot_be_cut() -> None:
    with pytest.raises(ValueError, match="2 weeks"):
        cuts([1, 1])
    one = split(["2026-W30"] * 9, [f"s{n}" for n in range(9)], {})
    assert one.rule == "story"
    assert set(one.of.tolist()) <= {TRAIN, DEV, TEST}
