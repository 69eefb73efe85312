"""Is the model still calibrated? Asked of what people concluded blind, by selection probability.

Flags are all selected and of the other claims a random part, so each conclusion counts 1 over its
probability of selection (Horvitz and Thompson 1952). A calibration error is never nought on a
sample: what a perfectly calibrated model would show on the same claims and weights is drawn, and
only an error beyond that, and beyond `ERROR`, is called one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
FEWEST: Final = 100.0
"""Effective number of conclusions (Kish 1965) below which nothing is claimed: a perfectly
calibrated model shows an error of 0.06 to 0.10 there by chance alone."""
ERROR: Final = 0.08
"""Calibration error that is too much; the floor of the model's own gates (docs/evaluation.md)."""
RARE: Final = 0.002  # chance of a false alarm at each look
BINS: Final = 10
DRAWS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Calibration on the audited sample, with 95 % intervals; figures None below `FEWEST`.

    ``error`` is the weighted expected calibration error of the likeliest label, ``by_chance`` what
    a calibrated model would exceed once in 1/`RARE` looks; ``brier`` the weighted mean over
    claims of the squared distance to the conclusion, in [0, 2]; ``too_sure`` mean confidence less
    share right.
    """

    conclusions: int
    effective: float
    error: float | None = None
    error_low: float | None = None
    error_high: float | None = None
    by_chance: float | None = None
    brier: float | None = None
    brier_low: float | None = None
    brier_high: float | None = None
    too_sure: float | None = None
    drifted: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)

    def line(self) -> str:
        """Return the alarm as a line for people."""
        way = "too sure" if (self.too_sure or 0.0) > 0 else "not sure enough"
        return (
            f"calibration: error {self.error or 0.0:.3f} ({self.error_low or 0.0:.3f} to"
            f" {self.error_high or 0.0:.3f}) on {self.conclusions} audited claims, chance reaches"
            f" {self.by_chance or 0.0:.3f}; {way} by {abs(self.too_sure or 0.0):.3f}"
        )


def weighted_error(confidence: Values, right: Values, weight: Values, *, bins: int = BINS) -> float:
    """Return the expected calibration error over ``bins`` of equal weight."""
    order = np.argsort(confidence, kind="stable")
    c, r, w = confidence[order], right[order], weight[order]
    ends = np.cumsum(w)
    place = np.minimum((bins * (ends - w / 2.0) / ends[-1]).astype(np.int64), bins - 1)
    gap = np.bincount(place, weights=w * (c - r), minlength=bins)
    return float(np.abs(gap).sum() / ends[-1])


def audit(p: Values, y: NDArray[np.int64], probability: Values, *, seed: int = 0) -> Audit:
    """Return the calibration of probabilities (n, 3) on conclusions (n,).

    ``probability`` is the chance with which each claim was selected.

    Raises:
        ValueError: a probability of selection outside (0, 1].
    """
    if len(probability) and not ((probability > 0.0) & (probability <= 1.0)).all():
        raise ValueError("a probability of selection is in (0, 1]")
    weight = 1.0 / probability
    effective = float(weight.sum() ** 2 / (weight**2).sum()) if len(y) else 0.0
    if effective < FEWEST:
        return Audit(conclusions=len(y), effective=effective)
    r = np.random.default_rng(seed)
    said, confidence = p.argmax(axis=1), p.max(axis=1)
    right = (said == y).astype(np.float64)
    error = weighted_error(confidence, right, weight)
    squares = ((p - np.eye(3)[y]) ** 2).sum(axis=1)
    calm = [
        weighted_error(confidence, (r.random(len(y)) < confidence).astype(np.float64), weight)
        for _ in range(DRAWS)
    ]
    errors, briers = [], []
    for _ in range(DRAWS // 2):
        i = r.integers(0, len(y), len(y))
        errors.append(weighted_error(confidence[i], right[i], weight[i]))
        briers.append(float(np.average(squares[i], weights=weight[i])))
    by_chance = float(np.quantile(calm, 1.0 - RARE))
    error_low, error_high = np.quantile(errors, (0.025, 0.975))
    brier_low, brier_high = np.quantile(briers, (0.025, 0.975))
    return Audit(
        conclusions=len(y),
        effective=effective,
        error=error,
        error_low=float(error_low),
        error_high=float(error_high),
        by_chance=by_chance,
        brier=float(np.average(squares, weights=weight)),
        brier_low=float(brier_low),
        brier_high=float(brier_high),
        too_sure=float(np.average(confidence - right, weights=weight)),
        drifted=error > ERROR and error > by_chance,
    )


def audit_of(rows: Sequence[tuple[tuple[float, float, float], int, float]]) -> Audit:
    """Return `audit` of rows (probabilities, index of the conclusion, selection probability)."""
    return audit(
        np.array([p for p, _, _ in rows], dtype=np.float64).reshape(len(rows), 3),
        np.array([y for _, y, _ in rows], dtype=np.int64),
        np.array([w for _, _, w in rows], dtype=np.float64),
    )
