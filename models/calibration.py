"""Calibration on held-out pairs: one temperature, and the threshold of a flag.

Temperature scaling (Guo et al. 2017) keeps the ranking and the label and only says how sure to be;
with few held-out pairs it is the calibration that cannot overfit. The threshold of a flag is the
smallest P(REFUTED) at which the flags on held-out pairs are right often enough, by the lower end of
the Wilson interval and not by the point estimate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import LABEL_ORDER, Label
from models.comparison import softmax
from models.evaluate import wilson


def log_loss(logits: NDArray[np.float64], truth: NDArray[np.int64], temperature: float) -> float:
    """Return the mean negative log probability of the true label."""
    p = softmax(logits / temperature)
    return float(-np.log(np.clip(p[np.arange(len(truth)), truth], 1e-12, 1.0)).mean())


def fit_temperature(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
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
        if log_loss(logits, truth, float(np.exp(a))) <= log_loss(logits, truth, float(np.exp(b))):
            high = b
        else:
            low = a
    return float(f"{np.exp((low + high) / 2):.6g}")


def choose_threshold(
    p: NDArray[np.float64],
    truth: NDArray[np.int64],
    *,
    precision: float = 0.90,
    least: int = 30,
) -> float:
    """Return the smallest P(REFUTED) whose flags have a Wilson lower bound of ``precision``.

    Swept over 0.50, 0.51 … 0.99. Where none of them reaches it on at least ``least`` flags, 0.99:
    then the model alone flags next to nothing and the rules decide.
    """
    refuted = LABEL_ORDER.index(Label.REFUTED)
    said = p.argmax(axis=1) == refuted
    for cut in np.arange(0.50, 1.0, 0.01):
        shown = said & (p[:, refuted] >= cut)
        n = int(shown.sum())
        if n < least:
            break
        if wilson(int((truth[shown] == refuted).sum()), n).low >= precision:
            return round(float(cut), 2)
    return 0.99
