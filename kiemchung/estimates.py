"""What the flags are worth and what they miss, from the blind sample; and what an hour finds.

Flags are all selected; of the claims without a flag each is drawn with a known probability
(`selection.probability`). Everything here counts claims of one week, and every figure comes with
the interval that its sample size allows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

Z: Final = 1.959963984540054  # 95 %, two-sided


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure between two bounds; ``value`` is None where nothing was decided yet."""

    value: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekSample:
    """How the claims of one week were selected and what people concluded about them."""

    week: str
    flags: int  # flagged claims
    flags_decided: int
    flags_refuted: int
    unflagged: int  # checkable judged claims without a flag
    drawn: int  # of these, drawn blind into the queue
    decided_weights: tuple[float, ...] = ()  # 1 / probability of each drawn claim decided
    refuted_weights: tuple[float, ...] = ()  # the same of those found REFUTED

    @property
    def drawn_decided(self) -> int:
        """How many of the drawn claims somebody has concluded."""
        return len(self.decided_weights)

    @property
    def drawn_refuted(self) -> int:
        """How many of those were found REFUTED."""
        return len(self.refuted_weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekEstimate:
    """Precision and recall of the flags of one week."""

    sample: WeekSample
    precision: Estimate
    missed: Estimate  # refuted claims without a flag
    recall: Estimate


def wilson(hits: float, of: float, *, population: int | None = None) -> Estimate:
    """Return the share ``hits / of`` with its Wilson interval at 95 %.

    With ``population`` the finite population correction is applied: a sample that is the whole
    population leaves no doubt. ``of`` may be an effective size of unequal weights.

    Raises:
        ValueError: the counts contradict each other.
    """
    if not 0 <= hits <= of:
        raise ValueError(f"{hits} of {of}")
    if of == 0:
        return Estimate(value=None, low=0.0, high=1.0)
    share = hits / of
    if population is not None and population <= of:
        return Estimate(value=share, low=share, high=share)
    left = 1.0 if population is None else (population - of) / max(population - 1, 1)
    size = of / left
    middle = (share + Z * Z / (2 * size)) / (1 + Z * Z / size)
    half = Z * math.sqrt(share * (1 - share) / size + Z * Z / (4 * size * size))
    half /= 1 + Z * Z / size
    return Estimate(
        value=share,
        low=0.0 if hits == 0 else max(middle - half, 0.0),
        high=1.0 if hits == of else min(middle + half, 1.0),
    )


def weighted_share(hits: Sequence[float], of: Sequence[float], *, population: int) -> Estimate:
    """Return a share estimated from units drawn with unequal probabilities.

    ``of`` holds one weight (1 / probability) for each unit, ``hits`` those of the units that have
    the property. This is the Horvitz-Thompson sum divided by the sum of weights (the size of the
    draw is chance, that of the population is known); the interval is Wilson's at the effective
    sample size. With equal weights it is the plain share.
    """
    if not of:
        return Estimate(value=None, low=0.0, high=1.0)
    total = math.fsum(of)
    size = total * total / math.fsum(w * w for w in of)
    return wilson(min(math.fsum(hits) / total, 1.0) * size, size, population=population)


def _ratio(hits: Estimate, missed: Estimate) -> Estimate:
    """Return hits / (hits + missed), its bounds by the method of variance estimates recovery."""
    found, lost = hits.value or 0.0, missed.value or 0.0
    if found + lost == 0 or hits.value is None or missed.value is None:
        return Estimate(value=None, low=0.0, high=1.0)

    def share_at(down: float, up: float, sign: int) -> float:
        # Solves found - r (found + lost) = 0 at the edge of the joint interval of both figures.
        low, high = (0.0, found / (found + lost)) if sign < 0 else (found / (found + lost), 1.0)
        for _ in range(60):
            r = (low + high) / 2
            gap = abs(found * (1 - r) - lost * r)
            reach = math.hypot((1 - r) * down, r * up)
            outside = gap > reach
            if sign < 0:
                low, high = (r, high) if outside else (low, r)
            else:
                low, high = (low, r) if outside else (r, high)
        return (low + high) / 2

    lower = share_at(found - hits.low, missed.high - lost, -1)
    upper = share_at(hits.high - found, lost - missed.low, 1)
    return Estimate(value=found / (found + lost), low=lower, high=upper)


def week_estimate(sample: WeekSample) -> WeekEstimate:
    """Return precision, missed claims and recall of a week's flags.

    Flags and drawn claims that nobody has decided yet are taken to be like those decided.
    """
    precision = wilson(sample.flags_refuted, sample.flags_decided, population=sample.flags)
    hits = _times(precision, sample.flags) if sample.flags else _exactly(0.0)
    missed = _exactly(0.0)
    if sample.unflagged:
        rate = weighted_share(
            sample.refuted_weights, sample.decided_weights, population=sample.unflagged
        )
        missed = _times(rate, sample.unflagged)
    return WeekEstimate(
        sample=sample, precision=precision, missed=missed, recall=_ratio(hits, missed)
    )


def _times(share: Estimate, size: int) -> Estimate:
    value = None if share.value is None else share.value * size
    return Estimate(value=value, low=share.low * size, high=share.high * size)


def _exactly(value: float) -> Estimate:
    return Estimate(value=value, low=value, high=value)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeBox:
    """What so many minutes of reading should bring."""

    minutes: float
    seconds_each: float  # mean of the measured seconds of one conclusion
    measured: int  # conclusions that the mean rests on
    items: Estimate  # that can be read
    finds: Estimate  # of those read, how many will be found contrary to their passages
    waiting: int  # entries that wait in all
    unread: Estimate  # entries left
    unread_finds: float  # expected among the entries left


def time_box(
    minutes: float,
    seconds: Sequence[float],
    chances: Sequence[float],
    *,
    replicates: int = 2000,
    seed: int = 1,
) -> TimeBox | None:
    """Return what ``minutes`` bring at the measured pace, None when nothing was measured.

    ``seconds`` are measured conclusions, ``chances`` the calibrated probabilities of the waiting
    entries in reading order. Pace and finds are drawn together, so the interval holds both doubts:
    how long the next items take and how the probabilities fall out.
    """
    import numpy as np

    paces = [s for s in seconds if s > 0]
    if not paces or minutes <= 0:
        return None
    rng = np.random.default_rng(seed)
    budget = minutes * 60.0
    # Far beyond what can be read in the time, unless all of it can.
    most = min(len(chances), int(4 * budget / fmean(paces)) + 100)
    ends = rng.choice(paces, size=(replicates, most)).cumsum(axis=1) <= budget
    hits = rng.random((replicates, most)) < np.array(chances[:most])
    read = ends.sum(axis=1)
    found = (ends & hits).sum(axis=1)

    def spread(values: object) -> Estimate:
        low, high = np.quantile(values, (0.025, 0.975))  # type: ignore[call-overload]
        return Estimate(value=float(np.mean(values)), low=float(low), high=float(high))  # type: ignore[call-overload]

    return TimeBox(
        minutes=minutes,
        seconds_each=fmean(paces),
        measured=len(paces),
        items=spread(read),
        finds=spread(found),
        waiting=len(chances),
        unread=spread(len(chances) - read),
        unread_finds=float(sum(chances[round(float(read.mean())) :])),
    )
