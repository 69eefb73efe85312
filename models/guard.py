"""A guard against labels that somebody spoils, before a model is fitted on them.

What it does is an alarm about a batch of labels: "an adjudicator should look at these". Nothing of
it is stored, no person gets a score, and a reviewer's name is the pseudonym of one data set.

Each label is held against what two models expect that did not see it: one fitted without this
reviewer, one fitted without this story. The disagreement of a label is how far its probability lies
below the largest, by the model that thinks better of it. A reviewer who alone reads a kind of claim
is expected by the second model, one who wrote most labels by the first.

Disagreement alone proves nothing: claims are hard, flags are where the model errs, and whoever
criticises much is often right. So a label is compared with the *same* label of others in its
stratum (how sure the models are, how the claim was selected): who refutes much is held against the
refutations of others, and a mix of labels is no evidence against anybody. A reviewer's mean excess
is compared with
what it would be had the same labels been dealt out among the reviewers anew: a permutation test
within strata, one label a story and reviewer, corrected for the number of reviewers by the largest
excess of each round (Westfall and Young 1993, step-down by naming one at a time). An excess must be
significant *and* large: as if a seventh of the labels had been replaced by others. Honest reviewers
differ, and with enough labels any difference is significant. Conclusions of adjudicators are not
tested: somebody has looked there.

The rows of a named batch are left out. Of reviewers near to the line (p < `NEAR` uncorrected) the
labels count half where another label is confidently expected (confident learning, Northcutt et al.
2021); nobody else's do, because a label that surprises the model is the one that teaches it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.calibration import folds_of
from models.comparison import softmax

ALPHA: Final = 0.02  # chance that any honest reviewer of a data set is named
SHARE: Final = 0.15  # of a reviewer's labels that look replaced, below which nothing is said
FEWEST: Final = 8  # stories of a reviewer below which nothing is said
NEAR: Final = 0.05
DOUBTED: Final = 0.5
ROUNDS: Final = 1_000
FOLDS: Final = 5
MOST_FITS: Final = 20  # reviewers left out one at a time up to so many, else in so many parts
STRENGTH: Final = 0.01
ANCHOR: Final = 10.0  # the model in use is hardly shrunk: with few labels it is what is expected
SMALLEST: Final = 12  # labels of a stratum; smaller ones are joined


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What people said, n rows: values, what the model in use says (n, 3), and where from.

    ``tested`` is False for conclusions of adjudicators.
    """

    x: NDArray[np.float64]
    logits: NDArray[np.float64]
    y: NDArray[np.int64]
    weight: NDArray[np.float64]
    reviewers: tuple[str, ...]
    stories: tuple[str, ...]
    selected: tuple[str, ...]
    tested: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A batch that an adjudicator should look at.

    ``share`` is how many of its labels look replaced by another one: the excess of disagreement as
    a part of what labels other than the expected ones would make. ``p`` is corrected for all
    reviewers.
    """

    reviewer: str
    labels: int
    stories: int
    share: float
    p: float

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "batch_of": self.reviewer,
            "labels": self.labels,
            "stories": self.stories,
            "share_that_looks_replaced": round(self.share, 4),
            "p_corrected": round(self.p, 4),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """What the guard found: factors (n,) for the weights, the batches named, who was not tested."""

    factor: NDArray[np.float64]
    named: tuple[Named, ...]
    reviewers: int
    too_few: int  # reviewers with fewer than `FEWEST` stories
    doubted: int  # labels that count half

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "reviewers": self.reviewers,
            "reviewers_with_too_few_stories": self.too_few,
            "batches_to_look_at": [n.as_dict() for n in self.named],
            "labels_left_out": int((self.factor == 0.0).sum()),
            "labels_counted_half": self.doubted,
            "chance_of_a_false_alarm": ALPHA,
        }


def watch(labels: Labels, *, seed: int = 0) -> Guarded:
    """Return which batches of labels look spoiled, and what each label may count.

    With fewer than three reviewers nobody can be told from the rest and nothing is said.
    """
    names = sorted(set(labels.reviewers))
    factor = np.ones(len(labels.y))
    if len(names) < 3 or set(labels.y.tolist()) != {0, 1, 2}:
        return Guarded(factor=factor, named=(), reviewers=len(names), too_few=len(names), doubted=0)
    by_story = expected(labels, labels.stories, folds=FOLDS)
    by_reviewer = expected(labels, labels.reviewers, folds=min(MOST_FITS, len(names)))
    gap = np.minimum(gaps(by_story, labels.y), gaps(by_reviewer, labels.y))
    other = np.minimum(_of_others(by_story), _of_others(by_reviewer))
    strata = _strata(by_story, labels.y, labels.selected)
    draw = np.random.default_rng(seed)
    alive = labels.tested.copy()
    named: list[Named] = []
    near: list[str] = []
    too_few = 0
    while True:
        found = _test(labels, gap, other, strata, alive, draw)
        too_few = max(too_few, found.too_few)
        if found.worst is None or found.p > ALPHA:
            near = [n for n, p in found.single.items() if p < NEAR]
            break
        mine = np.array([r == found.worst for r in labels.reviewers])
        named.append(
            Named(
                reviewer=found.worst, labels=int(mine.sum()), stories=found.stories,
                share=found.share, p=found.p,
            )
        )  # fmt: skip
        alive &= ~mine
        factor[mine] = 0.0
    doubtful = _doubtful(by_story, labels.y, factor)
    doubtful &= np.array([r in near for r in labels.reviewers]) & labels.tested
    factor[doubtful] = DOUBTED
    return Guarded(
        factor=factor, named=tuple(named), reviewers=len(names), too_few=too_few,
        doubted=int(doubtful.sum()),
    )  # fmt: skip


def unwatched(rows: int) -> Guarded:
    """Return what stands where the guard was not asked: every label counts."""
    return Guarded(factor=np.ones(rows), named=(), reviewers=0, too_few=0, doubted=0)


def expected(labels: Labels, groups: Sequence[str], *, folds: int) -> NDArray[np.float64]:
    """Return the label probabilities (n, 3) by models that saw nothing of a row's group.

    Multinomial logistic regression over the values and the model in use; where a fit would lack a
    label, the model in use itself. The selection counts by its root only: what people think is
    asked here, not how common it is, and large weights are noise.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    spread = labels.x.std(axis=0)
    z = np.clip((labels.x - labels.x.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0), -6, 6)
    wide = np.hstack([ANCHOR * labels.logits, z])
    found = softmax(labels.logits)
    fold = folds_of(groups, folds=max(2, min(folds, len(set(groups)))))
    for i in sorted(set(fold.tolist())):
        out = fold == i
        if set(labels.y[~out].tolist()) != {0, 1, 2}:
            continue
        model = LogisticRegression(C=STRENGTH, max_iter=2_000)
        with threadpool_limits(1):  # the same digits whatever the machine does beside
            model.fit(wide[~out], labels.y[~out], sample_weight=np.sqrt(labels.weight[~out]))
        found[out] = model.predict_proba(wide[out])
    return found


def gaps(p: NDArray[np.float64], y: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how far each label's probability lies below the largest, shape (n,), in [0, 1]."""
    return np.asarray(p.max(axis=1) - p[np.arange(len(y)), y], dtype=np.float64)


def _of_others(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean gap of the two labels that are not the expected one, shape (n,)."""
    top = p.max(axis=1)
    return np.asarray(top - (1.0 - top) / 2.0, dtype=np.float64)


def _strata(
    p: NDArray[np.float64], y: NDArray[np.int64], selected: Sequence[str]
) -> NDArray[np.int64]:
    """Return the stratum of each row: the label given, how it was selected, third of certainty."""
    top = p.max(axis=1)
    third = np.searchsorted(np.quantile(top, [1 / 3, 2 / 3]), top)
    fine = [f"{a}|{s}|{t}" for a, s, t in zip(y, selected, third, strict=True)]
    for cut in (2, 1, 0):  # what is rare is joined, the least telling part first
        names, counts = np.unique(fine, return_counts=True)
        rare = {n for n, c in zip(names, counts, strict=True) if c < SMALLEST}
        fine = ["|".join(f.split("|")[:cut]) if f in rare else f for f in fine]
    return np.unique(fine, return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    worst: str | None
    share: float
    p: float
    stories: int
    single: dict[str, float]
    too_few: int


def _test(
    labels: Labels,
    gap: NDArray[np.float64],
    other: NDArray[np.float64],
    strata: NDArray[np.int64],
    alive: NDArray[np.bool_],
    draw: np.random.Generator,
) -> _Found:
    """Return the reviewer with the largest excess, of the ``alive`` rows, and a large share."""
    value, place, owner, names = _units(labels, gap, strata, alive)
    replaced = _units(labels, other, strata, alive)[0]
    counts = np.bincount(owner, minlength=len(names))
    able = counts >= FEWEST
    few = int((~able).sum())
    if not able.any() or len(names) < 3:
        return _Found(worst=None, share=0.0, p=1.0, stories=0, single={}, too_few=few)
    size = np.bincount(place)
    mean = np.bincount(place, weights=value) / size
    residual = value - mean[place]
    spread = np.bincount(place, weights=residual**2) / np.maximum(1, size - 1)
    scale = np.sqrt(np.maximum(np.bincount(owner, weights=spread[place]), 1e-12))

    def scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
        z = np.bincount(owner, weights=values, minlength=len(names)) / scale
        return np.asarray(np.where(able, z, -np.inf))

    # Against the mean of all others, not of all: one's own labels pull the stratum's mean up.
    pair = owner * len(size) + place
    part = np.bincount(pair, minlength=len(names) * len(size))[pair] / size[place]
    excess = residual / np.maximum(1.0 - part, 0.05)
    room = replaced - (value - excess)  # up to what replaced labels would make
    share = np.bincount(owner, weights=excess) / np.maximum(
        np.bincount(owner, weights=room), 1e-9
    )  # fmt: skip
    seen = scores(residual)
    suspect = np.where(share >= SHARE, seen, -np.inf)
    worst = int(suspect.argmax())
    # Within a stratum the values are dealt out anew: sorted by stratum, then at random.
    home = np.argsort(place, kind="stable")
    dealt = np.empty_like(residual)
    largest, above = 0, np.zeros(len(names))
    for _ in range(ROUNDS):
        dealt[home] = residual[np.lexsort((draw.random(len(place)), place))]
        again = scores(dealt)
        largest += bool(again.max() >= seen[worst])
        above += again >= seen
    return _Found(
        worst=names[worst] if np.isfinite(suspect[worst]) else None,
        share=float(share[worst]),
        p=(largest + 1) / (ROUNDS + 1),
        stories=int(counts[worst]),
        single={
            n: float((a + 1) / (ROUNDS + 1)) for n, a, ok in zip(names, above, able, strict=True)
            if ok
        },
        too_few=few,
    )  # fmt: skip


def _units(
    labels: Labels,
    gap: NDArray[np.float64],
    strata: NDArray[np.int64],
    alive: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], list[str]]:
    """Return value, stratum and owner of each (reviewer, story), and the reviewers' names.

    Copies of one claim get one label: counted singly they would look like many witnesses.
    """
    rows = np.flatnonzero(alive)
    keys = [(labels.reviewers[i], labels.stories[i]) for i in rows]
    order = {k: n for n, k in enumerate(dict.fromkeys(keys))}
    unit = np.array([order[k] for k in keys], dtype=np.int64)
    size = np.bincount(unit, minlength=len(order))
    value = np.bincount(unit, weights=gap[rows], minlength=len(order)) / np.maximum(1, size)
    first = np.full(len(order), -1)
    for n, u in zip(rows.tolist(), unit.tolist(), strict=True):
        if first[u] < 0:
            first[u] = n
    place = np.unique(strata[first], return_inverse=True)[1].astype(np.int64)
    names = sorted({r for r, _ in order})
    at = {r: n for n, r in enumerate(names)}
    return value, place, np.array([at[r] for r, _ in order], dtype=np.int64), names


def _doubtful(
    p: NDArray[np.float64], y: NDArray[np.int64], factor: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return which labels stand where another is confidently expected (Northcutt et al. 2021).

    Confident is at least the mean probability of a label among the rows that carry it.
    """
    edges = np.array(
        [p[(y == k) & (factor > 0), k].mean() if ((y == k) & (factor > 0)).any() else 1.0
         for k in range(3)]
    )  # fmt: skip
    sure = np.where(p >= edges, p, -1.0)
    best = sure.argmax(axis=1)
    return np.asarray((sure.max(axis=1) > 0.0) & (best != y) & (factor > 0.0))
