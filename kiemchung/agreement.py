"""How far reviewers agree on labels: pure functions over what they concluded.

The figures are about the labels, so that their wording can be mended. They are worked out when a
page is shown and never stored; none of them is a mark for a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

REPLICATES: Final = 1000
"""Bootstrap samples behind an interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alpha:
    """Krippendorff's alpha for nominal labels, with a percentile interval over the units."""

    value: float | None  # None: fewer than two labels on every unit, or only one label ever used
    low: float | None
    high: float | None
    units: int  # with at least two labels
    labels: int  # on those units


@dataclass(frozen=True, slots=True, kw_only=True)
class Kappa:
    """Cohen's kappa of two reviewers over the units that both concluded."""

    one: str
    other: str
    value: float | None  # None: nothing in common, or chance alone would agree on everything
    agreed: int
    of: int


def alpha(units: Sequence[Sequence[str]]) -> float | None:
    """Return Krippendorff's alpha for nominal labels, None where it is not defined.

    ``units`` holds the labels that each unit received, one from each reviewer; units with fewer
    than two tell nothing about agreement and are left out. 1 is perfect, 0 what chance would give,
    below 0 is systematic disagreement.
    """
    return _alpha([Counter(u) for u in units if len(u) >= 2])


def _alpha(units: Sequence[Counter[str]]) -> float | None:
    totals: Counter[str] = Counter()
    disagreeing = 0.0
    for unit in units:
        size = unit.total()
        totals.update(unit)
        disagreeing += (size * size - sum(n * n for n in unit.values())) / (size - 1)
    pairable = totals.total()
    expected = pairable * pairable - sum(n * n for n in totals.values())
    if pairable < 2 or expected == 0:
        return None
    return 1.0 - (pairable - 1) * disagreeing / expected


def alpha_interval(
    units: Sequence[Sequence[str]], *, replicates: int = REPLICATES, seed: int = 1
) -> Alpha:
    """Return alpha with a 95 % percentile interval by drawing units with replacement.

    Equal units give equal intervals: the seed is fixed and their order does not matter. The
    bounds are None where half of the draws leave alpha undefined.
    """
    import numpy as np

    held = [Counter(u) for u in units if len(u) >= 2]
    value = _alpha(held)
    low = high = None
    if value is not None and len(held) > 1:
        labels = sorted({label for unit in held for label in unit})
        patterns = Counter(tuple(unit[label] for label in labels) for unit in held)
        counts = np.array(sorted(patterns), dtype=float)
        often = np.array([patterns[p] for p in sorted(patterns)], dtype=float)
        sizes = counts.sum(axis=1)
        disagreeing = (sizes**2 - (counts**2).sum(axis=1)) / (sizes - 1)
        drawn = np.random.default_rng(seed).multinomial(
            len(held), often / often.sum(), size=replicates
        )
        totals = drawn @ counts
        pairable = totals.sum(axis=1)
        expected = pairable**2 - (totals**2).sum(axis=1)
        defined = expected > 0
        if defined.sum() > replicates / 2:
            found = 1.0 - ((pairable - 1) * (drawn @ disagreeing))[defined] / expected[defined]
            low, high = (float(q) for q in np.quantile(found, (0.025, 0.975)))
    return Alpha(
        value=value, low=low, high=high, units=len(held), labels=sum(c.total() for c in held)
    )


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Return Cohen's kappa of paired labels, None where it is not defined."""
    if not pairs:
        return None
    size = len(pairs)
    observed = sum(a == b for a, b in pairs) / size
    ones, others = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(n * others[label] for label, n in ones.items()) / (size * size)
    return None if chance == 1.0 else (observed - chance) / (1.0 - chance)


def kappas(units: Sequence[Mapping[str, str]]) -> list[Kappa]:
    """Return kappa for each pair of reviewers with units in common, by name.

    ``units`` maps the reviewer to the label, unit by unit.
    """
    names = sorted({name for unit in units for name in unit})
    found = []
    for one, other in combinations(names, 2):
        pairs = [(u[one], u[other]) for u in units if one in u and other in u]
        if pairs:
            agreed = sum(a == b for a, b in pairs)
            found.append(
                Kappa(one=one, other=other, value=kappa(pairs), agreed=agreed, of=len(pairs))
            )
    return found
