"""Agreement against published examples worked by hand, and against its own definition."""

from __future__ import annotations

import random
from collections import Counter
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiemchung.agreement import alpha, alpha_interval, kappa, kappas

# Krippendorff, "Computing Krippendorff's alpha-reliability": four observers, twelve units, with
# missing values; his nominal alpha is 0.743.
FOUR_OBSERVERS = (
    "1 1 . 1", "2 2 3 2", "3 3 3 3", "3 3 3 3", "2 2 2 2", "1 2 3 4",
    "4 4 4 4", "1 1 2 1", "2 2 2 2", ". 5 5 5", ". . 1 1", ". . 3 .",
)  # fmt: skip
# The same text: two observers, ten units, binary; alpha is 0.095.
TWO_OBSERVERS = list(zip("0100000010", "1110010000", strict=True))


def test_krippendorffs_own_examples() -> None:
    units = [[v for v in row.split() if v != "."] for row in FOUR_OBSERVERS]
    found = alpha(units)
    assert found is not None
    assert round(found, 3) == 0.743
    two = alpha(TWO_OBSERVERS)
    assert two is not None
    assert round(two, 3) == 0.095


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        # yes/yes, yes/no, no/yes, no/no of 50 and 100 applications: the usual textbook tables.
        ((20, 5, 10, 15), 0.4),
        ((45, 15, 25, 15), 0.1304),
        ((25, 35, 5, 35), 0.2593),
    ],
)
def test_cohens_kappa_of_textbook_tables(table: tuple[int, int, int, int], expected: float) -> None:
    cells = (("y", "y"), ("y", "n"), ("n", "y"), ("n", "n"))
    pairs = [cell for cell, n in zip(cells, table, strict=True) for _ in range(n)]
    found = kappa(pairs)
    assert found is not None
    assert round(found, 4) == expected


def test_what_cannot_be_worked_out_is_none_and_no_number() -> None:
    assert alpha([]) is None
    assert alpha([["a"], ["b"]]) is None  # nothing was labelled twice
    assert alpha([["a", "a"], ["a", "a"]]) is None  # one label only: chance agrees on everything
    assert kappa([]) is None
    assert kappa([("a", "a")]) is None
    assert alpha_interval([["a", "b"]]).low is None


def test_pairs_count_only_what_both_concluded() -> None:
    units = [
        {"an": "x", "binh": "x"},
        {"an": "x", "chi": "y"},
        {"an": "y", "binh": "x"},
        {"an": "x"},
    ]
    found = kappas(units)
    assert [(k.one, k.other, k.agreed, k.of) for k in found] == [
        ("an", "binh", 1, 2),
        ("an", "chi", 0, 1),
    ]


labels = st.sampled_from("abc")
units_of = st.lists(st.lists(labels, min_size=0, max_size=4), max_size=12)


@given(units_of)
def test_alpha_is_observed_over_expected_disagreement(units: list[list[str]]) -> None:
    """The definition by coincidences, pair by pair, beside the formula by counts."""
    held = [u for u in units if len(u) >= 2]
    coincidences: Counter[tuple[str, str]] = Counter()
    for unit in held:
        for a, b in permutations(unit, 2):
            coincidences[a, b] += 1 / (len(unit) - 1)  # type: ignore[assignment]
    n = sum(coincidences.values())
    totals: Counter[str] = Counter()
    for (a, _), w in coincidences.items():
        totals[a] += w
    observed = sum(w for (a, b), w in coincidences.items() if a != b)
    expected = sum(totals[a] * totals[b] for a in totals for b in totals if a != b)
    found = alpha(units)
    if found is None:
        assert n < 2 or expected == 0
    else:
        assert found == pytest.approx(1 - (n - 1) * observed / expected)
        assert found <= 1.0


@given(units_of, st.permutations("abc"))
def test_names_of_labels_and_the_order_do_not_matter(
    units: list[list[str]], renamed: list[str]
) -> None:
    names = dict(zip("abc", renamed, strict=True))
    other = [[names[v] for v in reversed(u)] for u in reversed(units)]
    assert alpha(other) == pytest.approx(alpha(units))


def test_the_interval_holds_the_truth_about_95_times_in_100() -> None:
    """Two reviewers who each err independently: the alpha of a huge sample is the truth."""
    draw = random.Random(7)

    def sample(n: int) -> list[list[str]]:
        found = []
        for _ in range(n):
            right = draw.choice("rs")
            found.append([right if draw.random() < 0.85 else draw.choice("rs") for _ in "12"])
        return found

    truth = alpha(sample(20_000))
    assert truth is not None
    held = 0
    for _ in range(150):
        found = alpha_interval(sample(60), replicates=200)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= truth <= found.high
    assert 132 <= held <= 150  # 142 expected
