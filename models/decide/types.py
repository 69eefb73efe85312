"""What is said of a claim, and how the rules read one passage."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kiemchung.domain import (
    Difference,
    Evidence,
    Label,
    NeiReason,
    Passage,
    Status,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is said of one claim; the fields are those of a judgement.

    ``differences`` are set for REFUTED only. ``error`` is set if and only if the status is failed.
    """

    status: Status
    label: Label | None
    nei_reason: NeiReason | None
    p_supported: float | None
    p_refuted: float | None
    p_nei: float | None
    flagged: bool
    evidence: tuple[Evidence, ...] = ()
    differences: tuple[Difference, ...] = ()
    error: str = ""


class Stance(StrEnum):
    """What one passage says of the claim."""

    SUPPORTS = "supports"
    REFUTES = "refutes"
    SILENT = "silent"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How the rules read one passage; ``explained``: the claim's quantities it accounts for."""

    passage: Passage
    evidence: Evidence
    stance: Stance
    differences: tuple[Difference, ...] = ()
    explained: frozenset[int] = frozenset()
    contradicted: frozenset[int] = frozenset()
    reason: NeiReason | None = None
    hard: bool = False
    exact: bool = False  # the claim says nearly all that the passage says, and nothing against it
    witness: Passage | None = None  # an earlier version that the claim was held against
