"""How much a decision counts: the queue shows what it chose to show, and not a fair draw of claims.

Every flag goes before a reviewer, of the rest a share drawn by hash (``SAMPLE_SHARE`` of
`kiemchung.store.merge`, 0.05). A model fitted on decisions as they come would learn from the flags
of the model before it. So each decision counts by the inverse of the probability with which its
claim was selected (Horvitz and Thompson 1952): one of the sample stands for twenty.

Which estimator, and why. Self-normalised (Hajek 1971): the weights are divided by their mean, so a
sum of losses or of right answers never depends on how many claims there were, at a bias of order
1/n. Truncated at mean(w) * sqrt(n) (Ionides 2008), a cut that vanishes as n grows and leaves the
estimate consistent, and at `MOST` whatever n is: where one draw of tiny probability makes up the
mean, the first cut would let it decide alone. The queue's own twenty is cut by neither. What was
opened by hand
(selected as "none") has no probability. For training it stands for itself alone, with the weight of
a certain draw; in an estimate for all claims it is left out, because nothing says for whom it
speaks.

`balanced` is another matter: it makes up for labels that are rare among the rows of a fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import LABEL_ORDER, Label
from models.reviewed import ReviewedPair

MOST: Final = 50.0


def inverse(probabilities: Sequence[float | None]) -> NDArray[np.float64]:
    """Return weights of mean 1, shape (n,): inverse, truncated, self-normalised.

    None weighs like a certain draw.
    """
    if not probabilities:
        return np.zeros(0)
    raw = np.array([1.0 if p is None else 1.0 / p for p in probabilities])
    cut = np.minimum(raw, min(MOST, raw.mean() * math.sqrt(len(raw))))
    return np.asarray(cut / cut.mean(), dtype=np.float64)


def balanced(weight: NDArray[np.float64], y: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the weights with the three labels weighing alike, their sum as it was.

    ``weight`` and ``y``, label indices, are of shape (n,); a label that weighs nothing stays so.
    """
    found = weight.copy()
    for label in range(len(LABEL_ORDER)):
        mine = y == label
        if weight[mine].sum() > 0.0:
            found[mine] *= weight.sum() / (3.0 * weight[mine].sum())
    return found


def weights_of(pairs: Sequence[ReviewedPair]) -> NDArray[np.float64]:
    """Return how much each decision counts in training, mean 1, see `inverse`."""
    return inverse([p.probability for p in pairs])


def effective(weights: NDArray[np.float64]) -> float:
    """Return the number of equally weighted rows that tell as much (Kish 1965)."""
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def weighted_f1(
    gold: Sequence[Label], said: Sequence[Label | None], weights: NDArray[np.float64]
) -> dict[str, float]:
    """Return F1 of each label where row i counts ``weights[i]``; see `models.evaluate`."""
    found = {}
    for label in LABEL_ORDER:
        truly = np.array([g is label for g in gold], dtype=bool)
        told = np.array([s is label for s in said], dtype=bool)
        total = float(weights[truly].sum() + weights[told].sum())
        found[str(label)] = 2.0 * float(weights[truly & told].sum()) / total if total else 0.0
    return found
