"""How much of one sentence the other repeats, and whether that is support."""

from __future__ import annotations

from kiemchung.domain import (
    Passage,
)
from models.comparison import content, tokens
from models.decide.amounts import Amounts, rule_quantities
from models.decide.view import ClaimView
from models.decide.words import LEGAL_WORDS
from nlp.quantities import extract


def covers(claim: ClaimView, passage: Passage) -> float:
    """Return the share of the passage's content syllables that the claim repeats."""
    ours = {t.text for t in content(tokens(claim.view))}
    theirs = {t.text for t in content(tokens(passage.text))}
    return len(ours & theirs) / max(1, len(theirs))


def _covered(claim: ClaimView, passage: Passage) -> float:
    """Return the share of the claim's content syllables that the passage has."""
    ours = {t.text for t in content(tokens(claim.view[claim.body :]))} - LEGAL_WORDS
    theirs = {t.text for t in content(tokens(f"{passage.text} {passage.citation}"))}
    theirs |= {"htx"} if {"hợp", "tác", "xã"} <= theirs else set()
    return len(ours & theirs) / max(1, len(ours))


def supports(claim: ClaimView, passage: Passage, amounts: Amounts) -> tuple[bool, bool]:
    """Return (the passage says it, and says it by a value)."""
    if amounts.matched:
        return _covered(claim, passage) >= 0.3 or covers(claim, passage) >= 0.3, True
    rules = rule_quantities(passage)
    dates = extract(passage.text).dates
    if any(o.first <= d.last and d.first <= o.last for o in claim.dates if o.resolved
           for d in dates if d.resolved) and _covered(claim, passage) >= 0.4:  # fmt: skip
        return True, True
    covered = _covered(claim, passage)
    if rules and not claim.stated:
        return covered >= 0.8 and covers(claim, passage) >= 0.5, False
    if not rules and covers(claim, passage) >= 0.75:
        return True, False
    return covered >= 0.6 or (covered >= 0.45 and covers(claim, passage) >= 0.5), False
