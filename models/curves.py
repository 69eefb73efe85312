"""Learning curves: macro-F1 against the number of labels, and how many labels an order saves.

Two questions, and both are answered, because they differ on a curve that bends:

*saved at n*: the labels m that the random order needs to reach the F1 that the strategy has with
n; saved is 1 - n/m.

*saved at a share*: the labels that each order needs to reach 90, 95 or 98 % of the F1 that all
labels give; saved is 1 - n/m of those two numbers.

Curves are means over seeds, made monotone by isotonic regression (more labels do not hurt a mean
curve, they hurt a draw) and interpolated linearly; the interval is the bootstrap over seeds
(percentiles, 95 %), the same seeds drawn for both orders because they share splits and first
labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
SHARES: Final = (0.90, 0.95, 0.98)
ROUNDS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Figures of one order: ``labels`` ascending (k,), ``f1`` of each seed and point (seeds, k)."""

    labels: Values
    f1: Values

    def __post_init__(self) -> None:
        """Refuse curves that cannot be read."""
        if self.f1.ndim != 2 or self.f1.shape[1] != len(self.labels) or not len(self.f1):
            raise ValueError(f"{self.f1.shape} figures at {len(self.labels)} points")
        if (np.diff(self.labels) <= 0).any() or not np.isfinite(self.f1).all():
            raise ValueError("labels must ascend and figures be numbers")

    def mean(self, seeds: NDArray[np.int64] | None = None) -> Values:
        """Return the monotone mean of all or some seeds, shape (k,)."""
        return monotone((self.f1 if seeds is None else self.f1[seeds]).mean(axis=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A share of labels saved with its interval; None where an order never gets there."""

    value: float | None
    low: float | None
    high: float | None
    ours: float | None  # labels
    random: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, rounded for reading."""
        return {
            name: None if (x := getattr(self, name)) is None else round(float(x), 3 if i < 3 else 1)
            for i, name in enumerate(("value", "low", "high", "ours", "random"))
        }


def monotone(values: Values) -> Values:
    """Return the nearest non-decreasing curve in least squares (pool adjacent violators)."""
    blocks: list[tuple[float, int]] = []
    for v in values.tolist():
        mean, size = float(v), 1
        while blocks and blocks[-1][0] > mean:
            before, many = blocks.pop()
            mean, size = (before * many + mean * size) / (many + size), many + size
        blocks.append((mean, size))
    return np.concatenate([np.full(size, mean) for mean, size in blocks])


def labels_for(labels: Values, curve: Values, target: float) -> float | None:
    """Return the labels at which a monotone curve first has ``target``, None where it never does.

    A target that the first point has already needs that many labels at most, and is given them.
    """
    if target > curve[-1] + 1e-12:
        return None
    at = int(np.searchsorted(curve, target - 1e-12, side="left"))
    if at == 0:
        return float(labels[0])
    low, high = curve[at - 1], curve[at]
    share = 1.0 if high <= low else (target - low) / (high - low)
    return float(labels[at - 1] + share * (labels[at] - labels[at - 1]))


def _ratio(ours: float | None, random: float | None) -> float | None:
    return None if ours is None or random is None else 1.0 - ours / random


def saved_at_share(
    ours: Curve, random: Curve, full: float, share: float, *, seed: int = 0
) -> Saved:
    """Return the labels saved on the way to ``share`` of the F1 ``full``."""
    target = share * full

    def both(seeds: NDArray[np.int64] | None) -> tuple[float | None, float | None]:
        return (
            labels_for(ours.labels, ours.mean(seeds), target),
            labels_for(random.labels, random.mean(seeds), target),
        )

    return _with_interval(both, len(ours.f1), seed)


def saved_at_labels(ours: Curve, random: Curve, n: float, *, seed: int = 0) -> Saved:
    """Return what random order would have needed more for what the strategy has at ``n`` labels."""

    def both(seeds: NDArray[np.int64] | None) -> tuple[float | None, float | None]:
        reached = float(np.interp(n, ours.labels, ours.mean(seeds)))
        return n, labels_for(random.labels, random.mean(seeds), reached)

    return _with_interval(both, len(ours.f1), seed)


def _with_interval(both: Any, seeds: int, seed: int) -> Saved:  # noqa: ANN401
    mine, theirs = both(None)
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(ROUNDS if seeds > 1 else 0):
        value = _ratio(*both(draw.integers(0, seeds, size=seeds)))
        if value is not None:
            found.append(value)
    # A draw in which an order never arrives says nothing of how many labels it would take.
    enough = len(found) >= 0.9 * ROUNDS
    low, high = np.quantile(found, (0.025, 0.975)) if enough else (None, None)
    return Saved(
        value=_ratio(mine, theirs),
        low=None if low is None else float(low),
        high=None if high is None else float(high),
        ours=mine,
        random=theirs,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Mean, standard deviation and 95 % interval of the mean over seeds (Student's t)."""

    mean: float
    sd: float
    low: float
    high: float
    n: int


def spread(values: Sequence[float]) -> Spread:
    """Return how a figure lies over seeds; with one seed the interval is not known (NaN).

    Raises:
        ValueError: no values.
    """
    from scipy.stats import t

    found = np.array(values, dtype=np.float64)
    if not len(found):
        raise ValueError("no values")
    n = len(found)
    mean = float(found.mean())
    if n == 1:
        return Spread(mean=mean, sd=0.0, low=float("nan"), high=float("nan"), n=1)
    sd = float(found.std(ddof=1))
    half = float(t.ppf(0.975, n - 1)) * sd / n**0.5
    return Spread(mean=mean, sd=sd, low=mean - half, high=mean + half, n=n)
