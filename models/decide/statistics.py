"""Statistics: a figure against one published series."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from kiemchung.domain import (
    Distortion,
    Document,
    Evidence,
    NeiReason,
    Passage,
)
from models.cues import normal
from models.decide.amounts import counts_the_same, number_difference, rule_quantities
from models.decide.types import Finding, Stance
from models.decide.view import ClaimView
from models.decide.words import PUBLISHERS
from nlp.quantities import Quantity, Relation
from nlp.quantities import compare as compare_quantities


def _publishers(text: str) -> set[str]:
    view = normal(text)
    return {name for name, pattern in PUBLISHERS if pattern.search(view)}


def read_statistic(
    claim: ClaimView, passage: Passage, evidence: Evidence, documents: Mapping[str, Document]
) -> Finding:
    """Hold a figure against one series; only the same publisher, day and unit can refute it."""
    theirs = rule_quantities(passage)
    ours = [claim.quantities[i] for i in sorted(claim.stated)]
    document = documents.get(passage.doc_id)
    publisher = f"{document.publisher} {document.title}" if document else ""
    known = _publishers(f"{publisher} {passage.citation} {passage.series} {passage.text}")
    said = _publishers(claim.view)
    other = Finding(
        passage=passage, evidence=evidence, stance=Stance.SILENT, reason=NeiReason.OTHER_SERIES
    )
    silent = replace(other, reason=NeiReason.INSUFFICIENT)
    if claim.beside or not ours:
        return silent
    if said and known and not said & known:
        return other
    years = {d.last.year for d in claim.dates if d.resolved}
    as_of = passage.as_of
    same_year = as_of is not None and as_of.year in years
    if years and as_of is not None and not same_year:
        return other
    if claim.instance:
        return silent
    explained: set[int] = set()
    contradicted: list[tuple[int, Quantity]] = []
    for index in sorted(claim.stated):
        quantity = claim.quantities[index]
        if _NOT_SO.search(claim.view[: quantity.start]):
            return silent
        near = [q for q in theirs if _same_measure(quantity, q)]
        if not near and not quantity.unit:
            bare = [q for q in theirs if counts_the_same(claim, quantity, q)]
            if any(q.value == quantity.value for q in bare):
                explained.add(index)
            continue
        if not near:
            continue
        relations = {compare_quantities(quantity, q) for q in near}
        if relations & {Relation.EQUAL, Relation.WIDER, Relation.NARROWER}:
            explained.add(index)
        elif Relation.CONTRADICTS in relations:
            contradicted.append((index, near[0]))
    if contradicted and (said & known) and same_year and not claim.instance:
        return Finding(
            passage=passage, evidence=evidence, stance=Stance.REFUTES,
            differences=tuple(
                number_difference(claim, claim.quantities[i], q, Distortion.NUMBER)
                for i, q in contradicted
            ),
            explained=frozenset(explained), contradicted=frozenset(i for i, _ in contradicted),
            hard=True,
        )  # fmt: skip
    if contradicted:
        return other
    if explained:
        return Finding(
            passage=passage, evidence=evidence, stance=Stance.SUPPORTS,
            explained=frozenset(explained), hard=True,
        )  # fmt: skip
    return silent


_NOT_SO: Final = re.compile(
    r"(?<!\w)(?:không|chưa|chẳng)\s(?:có|phải|phải là|đạt|tới|đến|còn)\s+(?:\w+\s+)?$"
)


def _same_measure(a: Quantity, b: Quantity) -> bool:
    return compare_quantities(a, b) not in {Relation.OTHER_UNIT, Relation.UNRELATED}
