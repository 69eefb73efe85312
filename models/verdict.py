"""The one seam of the model layer: what every verdict model answers, and how it says it.

A verdict is about the relation of two texts. It names no person and no outlet, and it keeps apart
the three things that other systems mix up: a model that answered, one that abstained and one that
failed. The order of the probabilities is `kiemchung.domain.LABEL_ORDER` everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from kiemchung.domain import LABEL_ORDER, Label, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a model says of one claim beside one evidence text.

    ``label`` is None exactly when the model abstained or failed; the probabilities are None only
    when it failed, so that an abstention can still be looked into.
    """

    status: Status
    label: Label | None
    p_supported: float | None
    p_refuted: float | None
    p_nei: float | None
    error: str = ""

    def __post_init__(self) -> None:
        """Refuse a verdict that mixes up answered, abstained and failed."""
        given = (self.p_supported, self.p_refuted, self.p_nei)
        if (self.status is Status.OK) != (self.label is not None):
            raise ValueError(f"status {self.status} with label {self.label}")
        if (self.status is Status.FAILED) != (None in given):
            raise ValueError(f"status {self.status} with probabilities {given}")
        if None not in given and abs(sum(p for p in given if p is not None) - 1.0) > 1e-6:
            raise ValueError(f"probabilities {given} do not sum to 1")


@runtime_checkable
class VerdictModel(Protocol):
    """Anything that can set a claim beside an evidence text."""

    @property
    def model_id(self) -> str:
        """Name of the exact model: kind, version and the first digits of its hash."""
        ...

    @property
    def threshold(self) -> float:
        """The smallest P(REFUTED) at which a claim may be flagged, chosen on held-out pairs."""
        ...

    def judge(self, claim: str, evidence: str) -> Verdict:
        """Return how ``claim`` stands to ``evidence`` (a passage or a whole article)."""
        ...


def verdict_of(probabilities: Sequence[float], *, abstain_below: float = 0.0) -> Verdict:
    """Return the verdict of three probabilities in `LABEL_ORDER`.

    The most probable label wins; below ``abstain_below`` the model says nothing. A tie goes to the
    later label, so that doubt never becomes a refutation.

    Raises:
        ValueError: not three finite numbers that sum to 1.
    """
    values = [float(p) for p in probabilities]
    if len(values) != len(LABEL_ORDER) or not all(math.isfinite(p) for p in values):
        raise ValueError(f"not three probabilities: {values}")
    total = sum(values)
    if abs(total - 1.0) > 1e-6 or min(values) < 0.0:
        raise ValueError(f"probabilities {values} do not sum to 1")
    best = max(range(3), key=lambda i: (values[i], i))
    sure = values[best] >= abstain_below
    return Verdict(
        status=Status.OK if sure else Status.ABSTAINED,
        label=LABEL_ORDER[best] if sure else None,
        p_supported=values[0],
        p_refuted=values[1],
        p_nei=values[2],
    )


def failed(error: BaseException) -> Verdict:
    """Return the verdict of a model that could not answer; never a low score."""
    return Verdict(
        status=Status.FAILED,
        label=None,
        p_supported=None,
        p_refuted=None,
        p_nei=None,
        error=f"{type(error).__name__}: {error}"[:500],
    )
