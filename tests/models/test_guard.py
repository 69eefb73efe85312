"""The guard finds spoiled labels, names nobody who is honest, and lets the rest be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models import guard

REVIEWERS = 8


def labels(
    seed: int,
    *,
    n: int = 600,
    slips: float = 0.05,
    hard_for: str = "",
    refuted_for: str = "",
) -> tuple[guard.Labels, NDArray[np.int64]]:
    """Return labels of honest reviewers, and the truth; a story has two claims of one reviewer.

    ``hard_for`` reads what the model is unsure of, ``refuted_for`` almost only refuted claims.
    """
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, 3, size=n)
    clear = draw.random(n) < 0.7
    signal = np.where(clear, 3.0, 0.8)
    logits = draw.normal(0, 0.7, size=(n, 3))
    logits[np.arange(n), truth] += signal
    x = np.hstack([logits + draw.normal(0, 0.5, size=(n, 3)), draw.normal(size=(n, 4))])
    said = np.where(draw.random(n) < slips, (truth + draw.integers(1, 3, size=n)) % 3, truth)
    who = np.repeat(draw.integers(0, REVIEWERS, size=n // 2), 2)
    names = np.array([f"r{w}" for w in who])
    for name, mine in ((hard_for, ~clear), (refuted_for, truth == 1)):
        if name:
            names = np.where(names == name, "r7" if name != "r7" else "r6", names)
            names[np.flatnonzero(mine)[: n // 10]] = name
    return guard.Labels(
        x=x, logits=logits, y=said, weight=np.ones(n), reviewers=tuple(names.tolist()),
        stories=tuple(f"s{i // 2}" for i in range(n)), selected=("flag", "sample") * (n // 2),
        tested=np.ones(n, dtype=bool),
    ), truth  # fmt: skip


def spoil(given: guard.Labels, who: str, new: NDArray[np.int64], share: float) -> guard.Labels:
    """Return the labels with ``share`` of those of ``who`` replaced."""
    mine = np.flatnonzero(np.array(given.reviewers) == who)
    chosen = mine[: round(len(mine) * share)]
    y = given.y.copy()
    y[chosen] = new[chosen]
    return replace(given, y=y)


def test_a_reviewer_who_flips_labels_is_named_and_left_out() -> None:
    for seed in range(1):
        honest, truth = labels(seed)
        for new in ((truth + 1) % 3, np.zeros_like(truth)):  # turned round; always SUPPORTED
            found = guard.watch(spoil(honest, "r2", new, 0.6))
            assert [n.reviewer for n in found.named] == ["r2"]
            mine = np.array(honest.reviewers) == "r2"
            assert (found.factor[mine] == 0.0).all()
            assert (found.factor[~mine] > 0.0).all()
            (named,) = found.named
            assert named.labels == mine.sum()
            assert 0.3 < named.share < 1.0
            assert named.p <= guard.ALPHA


def test_two_are_named_one_after_the_other() -> None:
    honest, truth = labels(5)
    both = spoil(spoil(honest, "r1", (truth + 1) % 3, 0.8), "r4", (truth + 2) % 3, 0.8)
    assert sorted(n.reviewer for n in guard.watch(both).named) == ["r1", "r4"]


def test_nobody_honest_is_named() -> None:
    for seed in range(2):
        for case in ({}, {"hard_for": "r3"}, {"refuted_for": "r3"}):
            found = guard.watch(labels(100 + seed, **case)[0])  # type: ignore[arg-type]
            assert found.named == (), (seed, case)
            assert (found.factor > 0.0).all()


def test_conclusions_of_adjudicators_are_not_tested() -> None:
    honest, truth = labels(0)
    spoiled = spoil(honest, "r2", (truth + 1) % 3, 0.6)
    settled = np.array([r == "r2" for r in spoiled.reviewers])
    found = guard.watch(replace(spoiled, tested=~settled))
    assert found.named == ()
    assert (found.factor[settled] == 1.0).all()


def test_copies_of_one_label_are_one_witness() -> None:
    # Six stories of a hundred copies each, all judged otherwise: six labels, too few to say more.
    honest, truth = labels(0)
    rows = np.flatnonzero(np.array(honest.reviewers) == "r2")[:60]
    stories = list(honest.stories)
    y = honest.y.copy()
    for n, i in enumerate(rows):
        stories[i] = f"copied{n % 6}"
        y[i] = (truth[i] + 1) % 3
    names = ["r2" if i in set(rows.tolist()) else r.replace("r2", "r5")
             for i, r in enumerate(honest.reviewers)]  # fmt: skip
    found = guard.watch(replace(honest, y=y, stories=tuple(stories), reviewers=tuple(names)))
    assert found.named == ()
    assert found.too_few == 1


def test_with_two_reviewers_or_a_label_missing_nothing_is_said() -> None:
    honest, _ = labels(0)
    two = replace(honest, reviewers=tuple("ab"[len(r) % 2] for r in honest.reviewers))
    assert guard.watch(two).named == ()
    assert guard.watch(replace(honest, y=np.ones_like(honest.y))).factor.min() == 1.0


def test_the_same_labels_give_the_same_answer() -> None:
    honest, truth = labels(3)
    spoiled = spoil(honest, "r2", (truth + 1) % 3, 0.6)
    first, second = guard.watch(spoiled, seed=4), guard.watch(spoiled, seed=4)
    assert first.as_dict() == second.as_dict()
    assert (first.factor == second.factor).all()
    assert guard.unwatched(3).factor.tolist() == [1.0, 1.0, 1.0]
