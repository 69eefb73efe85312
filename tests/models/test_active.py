"""What is chosen for a label next, and that it is chosen from numbers alone."""

from __future__ import annotations

import dataclasses
import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiemchung.errors import InputError
from models import active
from models.active import Candidates, Pick, choose, divergence, entropy, inclusion, margin


def some(n: int, seed: int = 0, width: int = 4) -> Candidates:
    r = np.random.default_rng(seed)
    return Candidates(
        p=r.dirichlet((1.0, 1.0, 1.0), n),
        other=r.dirichlet((1.0, 1.0, 1.0), n),
        x=r.normal(size=(n, width)),
        labelled=r.normal(size=(5, width)),
    )


@pytest.mark.parametrize("strategy", active.NAMES)
@settings(max_examples=15)
@given(n=st.integers(0, 40), size=st.integers(1, 60), seed=st.integers(0, 2**31),
       share=st.sampled_from([0.0, 0.2, 1.0]))  # fmt: skip
def test_a_batch_is_of_its_size_without_repeats_and_comes_again(
    strategy: str, n: int, size: int, seed: int, share: float
) -> None:
    candidates = some(size, seed % 7)
    picks = choose(candidates, n, strategy=strategy, seed=seed, random_share=share)
    assert len(picks) == min(n, size) == len({p.place for p in picks})
    assert all(0 <= p.place < size for p in picks)
    assert picks == choose(candidates, n, strategy=strategy, seed=seed, random_share=share)
    for pick in picks:
        by_design = pick.reason in ("random", "weighted")
        assert (pick.probability is not None) == by_design
        assert pick.probability is None or 0.0 < pick.probability <= 1.0


def test_uncertainty_has_the_ends_that_it_should() -> None:
    p = np.array([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0.0]])
    assert margin(p) == pytest.approx([0.0, 1.0, 1.0])
    assert entropy(p) == pytest.approx([0.0, 1.0, np.log(2) / np.log(3)], abs=1e-9)
    other = np.array([[0.0, 1.0, 0.0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0.0]])
    assert divergence(p, other) == pytest.approx([1.0, 0.0, 0.0], abs=1e-9)


def test_each_strategy_takes_what_its_name_says() -> None:
    p = np.array([[0.98, 0.01, 0.01], [0.4, 0.35, 0.25], [0.34, 0.33, 0.33], [0.05, 0.9, 0.05]])
    other = np.array([[0.97, 0.02, 0.01], [0.4, 0.35, 0.25], [0.34, 0.33, 0.33], [0.9, 0.05, 0.05]])
    x = np.array([[0.0], [0.1], [0.2], [9.0]])
    four = Candidates(p=p, other=other, x=x, labelled=np.array([[0.0]]))

    def one(strategy: str) -> int:
        (pick,) = choose(four, 1, strategy=strategy, seed=1, random_share=0.0)
        return pick.place

    assert one("margin") == one("entropy") == 2
    assert one("disagreement") == 3
    assert one("diverse") == 3
    assert one("badge") == 2  # the largest gradient
    in_turn = choose(four, 2, strategy="balanced", seed=1, random_share=0.0)
    assert {p.place for p in in_turn} == {2, 3}  # one for each label that the model says


def test_a_cluster_is_asked_once() -> None:
    r = np.random.default_rng(0)
    x = np.repeat(np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]]), 20, axis=0)
    x = x + r.normal(scale=0.01, size=x.shape)
    p = np.full((60, 3), 1 / 3)
    picks = choose(Candidates(p=p, x=x), 3, strategy="cluster", seed=0, random_share=0.0)
    assert {pick.place // 20 for pick in picks} == {0, 1, 2}


@settings(max_examples=30)
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40), st.integers(1, 40),
       st.sampled_from([0.05, 0.2, 1.0]))  # fmt: skip
def test_chances_sum_to_the_batch_and_nobody_is_left_out(
    score: list[float], n: int, floor: float
) -> None:
    n = min(n, len(score))
    chance = inclusion(np.array(score), n, floor=floor)
    assert chance.sum() == pytest.approx(n)
    assert (chance > 0.0).all()
    assert (chance <= 1.0 + 1e-9).all()


def test_the_share_of_refuted_is_estimated_without_bias_from_weighted_picks() -> None:
    """The Horvitz-Thompson mean over many draws is the truth; the plain mean is not."""
    candidates = some(200, 3)
    truth = margin(candidates.p) > 0.6  # what is asked is what the design prefers
    plain, weighted = [], []
    for seed in range(400):
        picks = choose(candidates, 20, strategy="weighted", seed=seed)
        places = [p.place for p in picks]
        plain.append(truth[places].mean())
        weighted.append(sum(truth[p.place] / (p.probability or 0.0) for p in picks) / 200)
    error = np.std(weighted) / 20.0  # of the mean of 400
    assert abs(np.mean(weighted) - truth.mean()) < 4.0 * error
    assert np.mean(plain) - truth.mean() > 4.0 * np.std(plain) / 20.0


def test_the_random_part_is_drawn_from_all() -> None:
    candidates = some(50, 1)
    drawn = np.zeros(50)
    for seed in range(500):
        for pick in choose(candidates, 10, strategy="margin", seed=seed):
            if pick.reason == "random":
                assert pick.probability == pytest.approx(2 / 50)
                drawn[pick.place] += 1
    assert abs(drawn / 500 - 2 / 50).max() < 5.0 * (0.04 * 0.96 / 500) ** 0.5


def test_nothing_but_numbers_can_be_asked_for() -> None:
    """No person and no outlet has a way in: the candidates have four arrays and nothing else."""
    assert [f.name for f in dataclasses.fields(Candidates)] == ["p", "x", "other", "labelled"]
    assert [f.name for f in dataclasses.fields(Pick)] == ["place", "reason", "probability"]
    assert set(inspect.signature(choose).parameters) == {
        "candidates", "n", "strategy", "seed", "random_share",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("p", "x", "other"),
    [
        (np.ones((2, 2)) / 2, np.ones((2, 1)), None),
        (np.ones((2, 3)) / 3, np.ones((3, 1)), None),
        (np.ones((2, 3)) / 3, np.array([[1.0], [np.nan]]), None),
        (np.ones((2, 3)) / 3, np.ones((2, 1)), np.ones((1, 3)) / 3),
    ],
)
def test_rows_that_do_not_fit_are_refused(
    p: np.ndarray, x: np.ndarray, other: np.ndarray | None
) -> None:
    with pytest.raises(InputError):
        Candidates(p=p, x=x, other=other)


def test_what_cannot_be_chosen_is_said() -> None:
    alone = Candidates(p=np.full((4, 3), 1 / 3), x=np.zeros((4, 1)))
    with pytest.raises(InputError, match="comparison"):
        choose(alone, 2, strategy="disagreement", seed=0, random_share=0.0)
    with pytest.raises(InputError, match="one of random"):
        choose(alone, 2, strategy="outlet", seed=0)
    with pytest.raises(InputError):
        choose(alone, 2, strategy="margin", seed=0, random_share=1.5)
    everything_alike = choose(alone, 3, strategy="badge", seed=0, random_share=0.0)
    assert len({p.place for p in everything_alike}) == 3
