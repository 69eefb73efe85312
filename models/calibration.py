"""Calibration on held-out pairs: one temperature, and the threshold of a flag.

Temperature scaling (Guo et al. 2017) keeps the ranking and the label and only says how sure to be;
with few held-out pairs it is the calibration that cannot overfit. The threshold of a flag is the
smallest P(REFUTED) at which the flags on held-out pairs are right often enough, by the lower end of
the Wilson interval and not by the point estimate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import LABEL_ORDER, Label
from models.comparison import softmax
from models.evaluate import wilson


def log_loss(
    logits: NDArray[np.float64],
    truth: NDArray[np.int64],
    temperature: float,
    weight: NDArray[np.float64] | None = None,
) -> float:
    """Return the mean negative log probability of the true label, weighted or all alike."""
    p = softmax(logits / temperature)
    each = -np.log(np.clip(p[np.arange(len(truth)), truth], 1e-12, 1.0))
    return float(np.average(each, weights=weight))


def fit_temperature(
    logits: NDArray[np.float64],
    truth: NDArray[np.int64],
    weight: NDArray[np.float64] | None = None,
) -> float:
    """Return the temperature in [0.25, 8] with the smallest log loss on held-out pairs.

    Golden-section search on the logarithm; the loss is convex in 1/T.

    Raises:
        ValueError: no pairs.
    """
    if len(truth) == 0:
        raise ValueError("no held-out pairs to calibrate on")
    low, high = np.log(0.25), np.log(8.0)
    golden = (np.sqrt(5.0) - 1.0) / 2.0
    for _ in range(60):
        a, b = high - golden * (high - low), low + golden * (high - low)
        left, right = (log_loss(logits, truth, float(np.exp(t)), weight) for t in (a, b))
        if left <= right:
            high = b
        else:
            low = a
    return float(f"{np.exp((low + high) / 2):.6g}")


def fit_scaling(
    logits: NDArray[np.float64],
    truth: NDArray[np.int64],
    groups: Sequence[str],
    *,
    folds: int = 5,
    weight: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (factors (3,), shifts (3,)) that calibrate ``logits * factors + shifts``.

    One temperature for all three, or a factor and a shift for each (vector scaling, Guo et al.
    2017): whichever has the lower log loss on folds grouped by source text; the temperature where
    there are fewer groups than folds. ``weight`` (n,) says how many claims a pair stands for.

    Raises:
        ValueError: no pairs.
    """
    each = np.ones(len(truth)) if weight is None else weight
    plain = fit_temperature(logits, truth, weight)
    one = (np.full(3, 1.0 / plain), np.zeros(3))
    names = sorted(set(groups))
    if len(names) < 2 * folds or set(truth.tolist()) != {0, 1, 2}:
        return one
    fold = np.array([names.index(g) % folds for g in groups])
    losses = np.zeros(2)
    for i in range(folds):
        out = fold == i
        if set(truth[~out].tolist()) != {0, 1, 2}:
            return one
        temperature = fit_temperature(logits[~out], truth[~out], each[~out])
        factors, shifts = _vector(logits[~out], truth[~out], each[~out])
        share = float(each[out].sum())
        losses[0] += share * log_loss(logits[out], truth[out], temperature, each[out])
        losses[1] += share * log_loss(logits[out] * factors + shifts, truth[out], 1.0, each[out])
    return one if losses[0] <= losses[1] else _vector(logits, truth, each)


def folds_of(groups: Sequence[str], *, folds: int, seed: int = 0) -> NDArray[np.int64]:
    """Return the fold of each row, shape (n,): all rows of a source text are in one."""
    names = sorted(set(groups))
    draw = np.random.default_rng(seed).permutation(len(names))
    place = dict(zip(names, (draw % folds).tolist(), strict=True))
    return np.array([place[g] for g in groups], dtype=np.int64)


def scaled_out_of_fold(
    logits: NDArray[np.float64],
    truth: NDArray[np.int64],
    groups: Sequence[str],
    *,
    folds: int = 5,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Return logits, each row calibrated by `fit_scaling` on the folds without its text.

    With too few source texts for that, the logits are taken as they are.
    """
    fold = folds_of(groups, folds=folds, seed=seed)
    found = logits.copy()
    for i in range(folds):
        out = fold == i
        rest = [g for g, o in zip(groups, out, strict=True) if not o]
        if not out.any() or set(truth[~out].tolist()) != {0, 1, 2}:
            continue
        factors, shifts = fit_scaling(logits[~out], truth[~out], rest, folds=folds)
        found[out] = logits[out] * factors + shifts
    return found


def _vector(
    logits: NDArray[np.float64], truth: NDArray[np.int64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the factors and shifts with the lowest log loss; factors stay positive."""
    from scipy.optimize import minimize

    rows = np.arange(len(truth))

    def loss(v: NDArray[np.float64]) -> float:
        z = logits * np.exp(v[:3]) + v[3:]
        z = z - z.max(axis=1, keepdims=True)
        gap = np.log(np.exp(z).sum(axis=1)) - z[rows, truth]
        return float(np.average(gap, weights=weight) + 1e-3 * (v @ v))

    found = minimize(loss, np.zeros(6), method="L-BFGS-B").x
    return np.exp(found[:3]), found[3:] - found[3:].mean()


def conformal(
    p: NDArray[np.float64], truth: NDArray[np.int64], *, alpha: float = 0.1
) -> dict[str, float]:
    """Return, by label, the smallest probability at which that label belongs to a claim's set.

    Class-conditional split conformal prediction (Vovk 2012): under exchangeability the true label
    is in the set with probability 1 - ``alpha`` *for each label*. A label with fewer than
    1/alpha - 1 pairs gets 0.0: it is in every set, because nothing is known about it.
    """
    found = {}
    for i, label in enumerate(LABEL_ORDER):
        mine = np.sort(1.0 - p[truth == i, i])
        n = len(mine)
        rank = int(np.ceil((n + 1) * (1.0 - alpha)))
        found[str(label)] = round(float(1.0 - mine[rank - 1]), 6) if 0 < rank <= n else 0.0
    return found


def label_set(p: NDArray[np.float64], edges: Mapping[str, float]) -> tuple[Label, ...]:
    """Return the labels that cannot be ruled out; more than one means that a person must look."""
    return tuple(x for i, x in enumerate(LABEL_ORDER) if p[i] >= edges[str(x)])


def choose_threshold(
    p: NDArray[np.float64],
    truth: NDArray[np.int64],
    *,
    precision: float = 0.90,
    least: int = 30,
    weight: NDArray[np.float64] | None = None,
) -> float:
    """Return the smallest P(REFUTED) whose flags have a Wilson lower bound of ``precision``.

    With ``weight`` the flags count as many as their effective number is, (sum w)^2 / sum w^2 (Kish
    1965). Swept over 0.50, 0.51 … 0.99. Where none of them reaches it on at least ``least`` flags,
    0.99: then the model alone flags next to nothing and the rules decide.
    """
    refuted = LABEL_ORDER.index(Label.REFUTED)
    said = p.argmax(axis=1) == refuted
    for cut in np.arange(0.50, 1.0, 0.01):
        shown = said & (p[:, refuted] >= cut)
        mine = np.ones(int(shown.sum())) if weight is None else weight[shown]
        n = int(mine.sum() ** 2 / (mine**2).sum() + 1e-9) if len(mine) else 0
        if n < least:
            break
        share = float(mine[truth[shown] == refuted].sum() / mine.sum())
        if wilson(round(share * n), n).low >= precision:
            return round(float(cut), 2)
    return 0.99
