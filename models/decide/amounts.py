"""Quantities: each of the claim with that of the same unit, subject and role in the passage."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kiemchung.domain import (
    Difference,
    Distortion,
    Passage,
    PassageKind,
)
from models.cues import normal
from models.decide.view import ClaimView, is_measure
from models.decide.words import (
    BOUND_WORDS,
    DENIED,
    FACT,
    FROM_TO,
    OLD_AFTER,
    OLD_BEFORE,
    ORG,
    RULE_NEAR,
    STEP,
    TO,
)
from nlp.quantities import Bound, Quantity, Relation, extract
from nlp.quantities import compare as compare_quantities


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """How the quantities of the claim stand to one passage."""

    differences: tuple[Difference, ...]
    explained: frozenset[int]
    contradicted: frozenset[int]
    matched: int
    only_old: bool


_SAME_UNIT: Final = ({"thành viên", "người", "xã viên", "cá nhân", "thành viên chính thức"},)
_FLOORS: Final = frozenset({Bound.AT_LEAST, Bound.MORE_THAN})
_CEILINGS: Final = frozenset({Bound.AT_MOST, Bound.LESS_THAN})


def _unit(quantity: Quantity) -> str:
    unit = quantity.unit.lower()
    for family in _SAME_UNIT:
        if unit in family:
            return "thành viên"
    return unit


def same_kind(a: Quantity, b: Quantity) -> bool:
    """Whether two quantities can be set side by side: one unit, or units that convert."""
    if _unit(a) == _unit(b):
        return True
    return compare_quantities(a, b) not in {Relation.OTHER_UNIT, Relation.UNRELATED}


def _subject(view: str, start: int, end: int) -> str:
    """Return whose quantity this is: union, group, firm, coop, or nothing known.

    "… đối với X" right behind it wins; else the nearest organisation named before it that is not
    itself the thing counted; else one named behind it.
    """
    behind = re.match(
        r"(?:(?!\d|;|\.).){0,70}?(?:đối với|với|ở|tại|của|cho)\s+(?:một |mỗi |các )?", view[end:]
    )
    if behind:
        hit = ORG.match(view, end + behind.end())
        if hit:
            return str(hit.lastgroup)
    before = [h for h in ORG.finditer(view, 0, start)]
    if before:
        return str(before[-1].lastgroup)
    after = ORG.search(view, end)
    return str(after.lastgroup) if after else ""


class Role(StrEnum):
    """Whether the claim gives a value as the rule, as the former rule, or denies it."""

    RULE = "rule"
    FORMER = "former"
    DENIED = "denied"


def _role(claim: ClaimView, index: int) -> Role:
    quantity = claim.quantities[index]
    before, after = claim.view[: quantity.start], claim.view[quantity.end :]
    clause = re.split(r"[;.](?=\s)", before)[-1]
    if index + 1 < len(claim.quantities):
        following = claim.quantities[index + 1]
        between = claim.view[quantity.end : following.start]
        if FROM_TO.search(clause) and TO.search(between):
            return Role.FORMER
    if DENIED.search(clause):
        return Role.DENIED
    if OLD_BEFORE.search(clause) or OLD_AFTER.search(after):
        return Role.FORMER
    return Role.RULE


def value_equal(ours: Quantity, theirs: Quantity) -> bool:
    """Whether two values of a rule are the same; a rule is not rounded, but a year is 12 months."""
    if ours.unit and not same_kind(ours, theirs):
        return False
    if not ours.unit or _unit(ours) == _unit(theirs):
        if theirs.upper is not None and ours.upper is None:
            return ours.value in (theirs.value, theirs.upper)
        return ours.value == theirs.value and (ours.upper is None or ours.upper == theirs.upper)
    return compare_quantities(ours, theirs) is Relation.EQUAL


_NOT_OVER: Final = re.compile(r"(?<!\w)không\s(?:\w+\s){0,6}(?:quá|vượt|hơn|lâu hơn|cao hơn)\s+$")
_AHEAD: Final = re.compile(r"\s+trước(?!\w)")
_BEFOREHAND: Final = re.compile(r"(?<!\w)trước (?:ít nhất|tối thiểu|chậm nhất)?\s*$")
_AMONG: Final = re.compile(r"(?<!\w)(?:trong đó|gồm cả|kể cả)(?!\w)")


def _bounds_clash(claim: ClaimView, ours: Quantity, theirs: Quantity) -> bool:
    if ours.bound in _FLOORS and _NOT_OVER.search(claim.view[: ours.start]):
        return False  # "không kéo dài quá 12 tháng" is a ceiling, however far its parts stand
    if _AHEAD.match(claim.view[ours.end :]) or _BEFOREHAND.search(claim.view[: ours.start]):
        return False  # "trước ít nhất 3 ngày" and "chậm nhất 3 ngày trước" are one deadline
    return (ours.bound in _FLOORS and theirs.bound in _CEILINGS) or (
        ours.bound in _CEILINGS and theirs.bound in _FLOORS
    )


def compare_amounts(
    claim: ClaimView,
    passage: Passage,
    earlier: Passage | None,
    later: Passage | None,
    siblings: Sequence[Passage],
) -> Amounts:
    """Set each stated quantity of the claim beside those of the passage.

    ``earlier`` and ``later`` are other versions of the passage: a value of theirs, told as today's
    rule, is a law expired, and told as the former rule it is none. ``siblings`` are passages of the
    same article or on point: a value of theirs is a merge.
    """
    theirs = rule_quantities(passage)
    view = normal(passage.text)
    explained: set[int] = set()
    contradicted: set[int] = set()
    differences: list[Difference] = []
    matched = former = 0
    spread = {_subject(view, q.start, q.end) for q in theirs}
    for index in sorted(claim.stated):
        ours = claim.quantities[index]
        near = [q for q in theirs if counts_the_same(claim, ours, q)]
        if not near:
            continue
        if _tells(claim, index, near):
            if any(compare_quantities(ours, q) in _WITHIN for q in near):
                explained.add(index)  # a case that keeps to the rule leaves nothing open
            continue
        whose = _subject(claim.view, ours.start, ours.end)
        mine = [
            q
            for q in near
            if len(spread) < 2 or not whose or _subject(view, q.start, q.end) == whose
        ]
        if not mine:
            continue
        role = _role(claim, index)
        if role is Role.FORMER and later is not None:
            role = Role.RULE  # the passage is the former rule itself
        if role is Role.DENIED:
            explained.add(index)
            if any(value_equal(ours, q) for q in mine) and not _old_values(ours, earlier):
                contradicted.add(index)
                differences.append(number_difference(claim, ours, mine[0], Distortion.NEGATION))
            continue
        if role is Role.FORMER:
            old = _old_values(ours, earlier)
            if (
                earlier is None
                or old
                or any(value_equal(ours, q) for q in rule_quantities(earlier))
            ):
                explained.add(index)
                former += 1
                continue
            if any(value_equal(ours, q) for q in mine):  # given as the former rule, it is today's
                contradicted.add(index)
                differences.append(number_difference(claim, ours, mine[0], Distortion.LAW_EXPIRED))
                continue
            contradicted.add(index)
            differences.append(
                number_difference(claim, ours, rule_quantities(earlier)[0], Distortion.NUMBER)
            )
            continue
        equal = [q for q in mine if value_equal(ours, q)]
        if equal and not all(_bounds_clash(claim, ours, q) for q in equal):
            explained.add(index)
            matched += 1
            continue
        if equal:
            contradicted.add(index)
            differences.append(
                number_difference(claim, ours, equal[0], Distortion.NUMBER, bounds=True)
            )
            continue
        part = matched and _AMONG.search(claim.view[: ours.start])  # "ba loại, trong đó hai ..."
        if part or not _contradicts(ours, mine) or _both_told(claim, ours, mine, later):
            explained.add(index)
            continue
        contradicted.add(index)
        differences.append(
            number_difference(claim, ours, mine[0], _kind(ours, near, earlier, later, siblings))
        )
    return Amounts(
        differences=tuple(differences),
        explained=frozenset(explained),
        contradicted=frozenset(contradicted),
        matched=matched + former,
        only_old=former > 0 and matched == 0,
    )


_WITHIN: Final = frozenset({Relation.EQUAL, Relation.NARROWER})


def _tells(claim: ClaimView, index: int, theirs: Sequence[Quantity]) -> bool:
    """Whether a quantity tells of a case ("hiện có 41 thành viên") and gives no rule."""
    ours = claim.quantities[index]
    before = re.split(r"[;:,](?=\s)|\.(?=\s)", claim.view[: ours.start])[-1]
    fact = FACT.search(before)
    if fact and not re.search(r"(?:được|phải|phép|không được)\s+$", before[: fact.start()]):
        return True
    if ours.bound is not Bound.EXACT or all(q.bound is Bound.EXACT for q in theirs):
        return False
    after = claim.view[ours.end : ours.end + 25]
    return not (RULE_NEAR.search(before) or RULE_NEAR.search(after))


def counts_the_same(claim: ClaimView, ours: Quantity, theirs: Quantity) -> bool:
    """Whether two quantities measure the same; a bare number takes the unit named before it."""
    if ours.unit:
        return same_kind(ours, theirs)
    if not STEP.search(claim.view[: ours.start]) or not theirs.unit:
        return False
    return _unit(theirs) in claim.view[: ours.start] or normal(theirs.unit) in claim.view


def _both_told(
    claim: ClaimView, ours: Quantity, mine: Sequence[Quantity], later: Passage | None
) -> bool:
    """Whether the claim tells the old rule beside the new one, held against the old passage."""
    if later is None or not _old_values(ours, later):
        return False
    return any(value_equal(q, m) for q in claim.quantities if q is not ours for m in mine)


def rule_quantities(passage: Passage) -> tuple[Quantity, ...]:
    """Return the quantities of a passage that can be a rule's value."""
    return tuple(q for q in extract(passage.text).quantities if is_measure(q))


def _contradicts(ours: Quantity, theirs: Sequence[Quantity]) -> bool:
    """Whether a value given as the rule is another one; "khoảng" and wider ranges are not."""
    if ours.bound is Bound.ABOUT:
        return all(compare_quantities(ours, q) is Relation.CONTRADICTS for q in theirs)
    for q in theirs:
        if ours.upper is not None and q.upper is None and ours.value <= q.value <= ours.upper:
            return False
        if (
            ours.upper is None
            and q.upper is not None
            and ours.bound in _FLOORS | _CEILINGS
            and (q.value <= ours.value <= q.upper)
        ):
            return False  # a narrower limit inside the range may be another case's rule
    return True


def _old_values(ours: Quantity, earlier: Passage | None) -> bool:
    return earlier is not None and any(
        same_kind(ours, q) and value_equal(ours, q) for q in rule_quantities(earlier)
    )


def _kind(
    ours: Quantity,
    near: Sequence[Quantity],
    earlier: Passage | None,
    later: Passage | None,
    siblings: Sequence[Passage],
) -> Distortion:
    if _old_values(ours, earlier) or _old_values(ours, later):
        return Distortion.LAW_EXPIRED
    if any(value_equal(ours, q) for q in near):
        return Distortion.MERGE_SPLIT
    for sibling in siblings:
        if sibling.kind is PassageKind.STATUTE and _old_values(ours, sibling):
            return Distortion.MERGE_SPLIT
    if ours.unit == "%" and ours.value == 100:
        return Distortion.EXAGGERATION
    return Distortion.NUMBER


def _span(view: str, quantity: Quantity, text: str) -> tuple[int, int]:
    """Return the quantity with its bound words and the first letters of what is counted."""
    head = BOUND_WORDS.search(view[: quantity.start])
    start = head.start() if head else quantity.start
    return start, quantity.end


def number_difference(
    claim: ClaimView, ours: Quantity, theirs: Quantity, kind: Distortion, *, bounds: bool = False
) -> Difference:
    """Return the difference of two values; with ``bounds`` its span takes in "ít nhất" and such."""
    start, end = (ours.start, ours.end)
    if bounds:
        start, end = _span(claim.view, ours, claim.text)
    return Difference(
        kind=kind, claim=claim.words(start, end), evidence=theirs.text, start=start, end=end
    )
