"""Shares with their intervals; the one place where a week's precision and misses come from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dashboards import words
from kiemchung import estimates
from kiemchung.domain import Decision
from kiemchung.estimates import WeekEstimate, week_estimate
from kiemchung.store import Store, WeekCounts
from kiemchung.store.outlook import week_samples

_Z95: Final = 1.959964


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share with its 95 % interval after Wilson; None for no cases."""

    count: int
    of: int

    @property
    def value(self) -> float | None:
        """Return the share, None for no cases."""
        return self.count / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Return lower and upper bound."""
        if self.of == 0:
            return None
        p, n, z = self.count / self.of, self.of, _Z95
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return max(0.0, middle - half), min(1.0, middle + half)

    def as_dict(self) -> dict[str, object]:
        """Return the fields of the JSON report."""
        bounds = self.interval
        return {
            "count": self.count,
            "of": self.of,
            "share": None if self.value is None else round(self.value, 4),
            "interval_95": None if bounds is None else [round(b, 4) for b in bounds],
        }

    def __str__(self) -> str:
        """Return the words for the page."""
        bounds = self.interval
        if bounds is None:
            return "chưa có"
        return (
            f"{self.count}/{self.of} = {words.share(self.count / self.of)}"
            f" (khoảng tin cậy 95 %: {words.share(bounds[0])} đến {words.share(bounds[1])})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What is known of how well a week's flags hold, from people's conclusions alone."""

    precision: Share  # of the flagged claims that were concluded: contrary to the passage
    missed: Share  # of the random sample of unflagged claims that was concluded: contrary
    whole: WeekEstimate | None  # recall and missed claims of the week; None: no judged claims

    def as_dict(self) -> dict[str, object]:
        """Return the fields of the JSON report."""
        whole = self.whole
        return {
            "precision_of_flags": self.precision.as_dict(),
            "contrary_in_unflagged_sample": self.missed.as_dict(),
            "missed_claims": None if whole is None else _bounded(whole.missed),
            "recall": None if whole is None else _bounded(whole.recall),
        }


def _bounded(found: estimates.Estimate) -> dict[str, object]:
    """A figure with its interval; without a decided claim there is no figure, only the bounds."""
    return {
        "estimate": None if found.value is None else round(found.value, 4),
        "interval_95": [round(found.low, 4), round(found.high, 4)],
    }


def weekly_estimate(
    store: Store, week: str, counts: WeekCounts, concluded: Sequence[Decision]
) -> Estimate:
    """Return the estimate of ``week``; views and report ask here and nowhere else.

    ``concluded`` are the conclusions on the week's flagged claims, copies counted once.
    """
    sample = next((s for s in week_samples(store) if s.week == week), None)
    return Estimate(
        whole=None if sample is None else week_estimate(sample),
        precision=Share(count=sum(d is Decision.REFUTED for d in concluded), of=len(concluded)),
        missed=Share(count=counts.sample_refuted, of=counts.sample_decided),
    )
