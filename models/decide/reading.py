"""One passage read whole: the rules in their order, and what they come to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from kiemchung.domain import (
    Difference,
    Distortion,
    Document,
    Evidence,
    NeiReason,
    Passage,
    PassageKind,
)
from models.cues import normal
from models.decide.actors import other_actors
from models.decide.amounts import compare_amounts
from models.decide.conditions import widened
from models.decide.cover import covers, supports
from models.decide.dates import compare_dates
from models.decide.denials import one_denies, opposed, polarity
from models.decide.doubt import doubt
from models.decide.sources import wrong_source
from models.decide.statistics import read_statistic
from models.decide.types import Finding, Stance
from models.decide.view import ClaimView


def read_passage(
    claim: ClaimView,
    passage: Passage,
    evidence: Evidence,
    found: Sequence[tuple[Passage, Evidence]],
    predecessors: Mapping[str, Passage],
    documents: Mapping[str, Document],
    named: Sequence[Document],
) -> Finding:
    """Return how the rules read ``passage``; ``found`` is all that was retrieved with it."""
    if passage.kind is PassageKind.STATISTIC:
        return read_statistic(claim, passage, evidence, documents)
    if claim.beside or claim.instance:
        # a proposal, an opinion, a rumour denied, one cooperative's story: never a refutation
        return Finding(
            passage=passage, evidence=evidence, stance=Stance.SILENT, reason=NeiReason.INSUFFICIENT
        )  # fmt: skip
    earlier, later = _versions(passage, predecessors)
    siblings = [
        p for p, e in found
        if p.passage_id != passage.passage_id and (e.on_point or _article(p) & _article(passage))
    ]  # fmt: skip
    amounts = compare_amounts(claim, passage, earlier, later, siblings)
    differences = list(amounts.differences)
    hard = bool(differences)
    dates, same_days, other_days = compare_dates(claim, passage)
    if dates:
        differences += dates
        hard = True
    words: list[Difference] = []
    if not claim.narrative:
        words += polarity(claim, passage)
        words += opposed(claim, passage)
        words += other_actors(claim, passage)
        words += widened(claim, passage, siblings, amounts)
    if words and not differences:
        other = _other_version(claim, earlier, later)
        if other is not None:
            words = [
                Difference(kind=Distortion.LAW_EXPIRED, claim=d.claim, evidence=d.evidence,
                           start=d.start, end=d.end)
                for d in words[:1]
            ]  # fmt: skip
    differences += [
        d for d in words if (d.start, d.end) not in {(x.start, x.end) for x in differences}
    ]
    if differences:
        return Finding(
            passage=passage,
            evidence=evidence,
            stance=Stance.REFUTES,
            differences=tuple(_once(differences)),
            explained=amounts.explained | same_days,
            contradicted=frozenset() if words else amounts.contradicted | other_days,
            hard=hard or any(d.kind is Distortion.NEGATION for d in differences),
        )
    supported, sure = supports(claim, passage, amounts)
    if supported and (one_denies(claim, passage) or doubt(claim.view, normal(passage.text))):
        return Finding(
            passage=passage, evidence=evidence, stance=Stance.UNCLEAR,
            explained=amounts.explained | same_days,
        )  # fmt: skip
    if not supported:
        return Finding(
            passage=passage, evidence=evidence, stance=Stance.SILENT,
            explained=amounts.explained | same_days,
            reason=NeiReason.INSUFFICIENT,
        )  # fmt: skip
    source = wrong_source(claim, passage, documents, named, found)
    if source:
        return Finding(
            passage=passage, evidence=evidence, stance=Stance.REFUTES, differences=(source,),
            explained=amounts.explained, hard=True,
        )  # fmt: skip
    return Finding(
        passage=passage, evidence=evidence, stance=Stance.SUPPORTS,
        explained=amounts.explained | same_days,
        hard=sure, exact=covers(claim, passage) >= 0.85,
        witness=earlier if amounts.only_old else None,
    )  # fmt: skip


def _article(passage: Passage) -> set[str]:
    """Return the numbers of the articles that a passage is taken from, with its document."""
    return {f"{passage.doc_id} {n}" for n in re.findall(r"[Đđ]iều\s+(\d+)", passage.locator)}


def _once(differences: Iterable[Difference]) -> list[Difference]:
    seen: set[tuple[str, int, int]] = set()
    kept = []
    for difference in differences:
        key = (str(difference.kind), difference.start, difference.end)
        if key not in seen:
            seen.add(key)
            kept.append(difference)
    return kept


def _versions(
    passage: Passage, predecessors: Mapping[str, Passage]
) -> tuple[Passage | None, Passage | None]:
    """Return the version before and the version after, where the base has them."""
    mapped = predecessors.get(passage.passage_id)
    if mapped is not None and mapped.passage_id != passage.passage_id:
        earlier: Passage | None = mapped
    else:
        earlier = predecessors.get(passage.supersedes) if passage.supersedes else None
    later = next((p for p in predecessors.values() if p.supersedes == passage.passage_id), None)
    return earlier, later


def _other_version(
    claim: ClaimView, earlier: Passage | None, later: Passage | None
) -> Passage | None:
    """Return the version with which the claim's words agree, where one does."""
    for version in (earlier, later):
        if version is None:
            continue
        amounts = compare_amounts(claim, version, None, None, ())
        if (
            not amounts.differences
            and not polarity(claim, version)
            and not other_actors(claim, version)
            and supports(claim, version, amounts)[0]
        ):
            return version
    return None
