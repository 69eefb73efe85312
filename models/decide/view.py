"""The claim as the rules see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.cues import normal
from models.decide.guards import (
    ABROAD,
    ATTRIBUTION,
    DISPUTED,
    GENERIC,
    NAMED_ORG,
    NARRATIVE,
    OWN_ORG,
    PERSON,
    PROPOSED,
    RULE_FOLLOWS,
    STRICT_NORM,
)
from models.decide.words import STEP
from nlp.quantities import DateValue, LegalRef, Quantity, extract


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimView:
    """A claim with what the rules need: its matching view, quantities and the guards."""

    text: str
    view: str
    body: int  # where the statement begins, behind "Theo …," and "… cho biết"
    quantities: tuple[Quantity, ...]
    dates: tuple[DateValue, ...]
    refs: tuple[LegalRef, ...]
    stated: frozenset[int]  # indices of quantities that a rule could settle
    beside: bool  # proposes, judges, denies, asks, speaks of another country
    instance: bool  # tells of one named cooperative or person
    narrative: bool  # tells what happened, without a word of law

    @classmethod
    def of(cls, text: str) -> ClaimView:
        """Return the view of ``text``."""
        found = extract(text)
        view = normal(text)
        head = ATTRIBUTION.match(view)
        law = bool(STRICT_NORM.search(view))
        named = bool(NAMED_ORG.search(text) or OWN_ORG.search(view)) or bool(
            PERSON.search(text[head.end() if head else 0 :])
        )
        beside = (
            bool(DISPUTED.search(view))
            or view.rstrip().endswith("?")
            or bool(ABROAD.search(text))
            or _proposes(view, found.quantities)
        )
        stated = frozenset(
            i
            for i, q in enumerate(found.quantities)
            if is_measure(q) and (q.unit or STEP.search(view[: q.start]))
        )
        return cls(
            text=text,
            view=view,
            body=head.end() if head and head.end() < len(view) * 0.7 else 0,
            quantities=tuple(found.quantities),
            dates=tuple(found.dates),
            refs=tuple(found.legal_refs),
            stated=stated,
            beside=beside,
            instance=named and not (law and GENERIC.search(view) is not None),
            narrative=bool(NARRATIVE.search(view)) and not law,
        )

    def words(self, start: int, end: int) -> str:
        """Return the claim's own words at these offsets."""
        return self.text[start:end]


def _proposes(view: str, quantities: Sequence[Quantity]) -> bool:
    """Whether what follows is wished for; a rule cited after the wish is stated all the same."""
    hit = PROPOSED.search(view)
    if hit is None or RULE_FOLLOWS.search(view, hit.end()):
        return False
    last = max((q.end for q in quantities if is_measure(q)), default=len(view))
    return hit.start() < last and not view[: hit.start()].endswith(("mức ", "tỷ lệ ", "con số "))


def is_measure(quantity: Quantity) -> bool:
    """Whether a quantity can be a rule's value; "1 lần" and a bare number are none."""
    kind = str(quantity.kind)
    whole = quantity.value == quantity.value.to_integral_value()
    return kind != "ordinal" and not (kind == "times" and whole)
