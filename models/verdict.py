"""The one seam of the model layer: what every verdict model answers, and how it says it.

A verdict is about the relation of two texts. It names no person and no outlet, and it keeps apart
the three things that other systems mix up: a model that answered, one that abstained and one that
failed. The order of the probabilities is `kiemchung.domain.LABEL_ORDER` everywhere.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

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


class Before:
    """What stands before a model and answers in its name; whoever is one holds the ``model``."""

    __slots__ = ()
    model: VerdictModel

    @property
    def model_id(self) -> str:
        """Name of the model behind it."""
        return self.model.model_id

    @property
    def threshold(self) -> float:
        """Threshold of the model behind it."""
        return self.model.threshold


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


_SYLLABLE: Final = re.compile(
    r"(?:b|ch?|d|gh?|gi|h|kh?|l|m|n|ngh?|nh|ph?|qu|r|s|th?|tr|v|x)?[aeiouy]{1,3}"
    r"(?:ch?|m|n|ng|nh|p|t)?"
)
_LETTERS: Final = re.compile(r"[^\W\d_]+")
LONGEST: Final = 60_000  # code points of evidence that are read; a longer text is no article


def is_vietnamese(text: str) -> bool:
    """Whether ``text`` could be Vietnamese: half of its words are syllables of it, marks aside.

    Six words at least are needed to say no: names and abbreviations are in no language.
    """
    plain = "".join(
        c for c in unicodedata.normalize("NFD", text.lower().replace("đ", "d"))
        if not unicodedata.combining(c)
    )  # fmt: skip
    words = _LETTERS.findall(plain)
    if len(words) < 6:
        return True
    return sum(bool(_SYLLABLE.fullmatch(w)) for w in words) >= 0.5 * len(words)


def caution(claim: str, evidence: str) -> str:
    """Return in one line why a verdict on this pair means little, or an empty string."""
    if not claim.strip():
        return "the claim is empty"
    if not evidence.strip():
        return "the evidence is empty: nothing can be said"
    if not is_vietnamese(claim):
        return "the claim is not in Vietnamese: the model reads no other language"
    if not is_vietnamese(evidence):
        return "the evidence is not in Vietnamese: the model reads no other language"
    if len(evidence) > LONGEST:
        return f"only the first {LONGEST} of {len(evidence)} letters of the evidence were read"
    return ""


_COUNTED: Final = re.compile(r"\d+(?= (?:letters|of)\b)")


def cautions(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return, a line for each reason, how many pairs mean little and which is the first."""
    found: dict[str, list[int]] = {}
    total = 0
    for total, (claim, evidence) in enumerate(pairs, start=1):
        told = caution(claim, evidence)
        if told:
            found.setdefault(_COUNTED.sub("…", told), []).append(total)
    return [f"{len(at)} of {total} pairs, the first is {at[0]}: {why}" for why, at in found.items()]
