"""From the findings of all passages and the model's probabilities to one outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from kiemchung.domain import (
    Checkability,
    Document,
    Evidence,
    Label,
    NeiReason,
    Passage,
    Speech,
    Status,
)
from models.decide.reading import read_passage
from models.decide.types import Finding, Outcome, Stance
from models.decide.view import ClaimView
from models.verdict import Verdict, VerdictModel
from nlp.retrieval import Retrieved

# How far a rule finding is trusted beside the model, as a noisy-or. Chosen, not fitted: a value
# aligned by unit, subject and role is as good as arithmetic; the other kinds rest on word lists.
TRUST_HARD: Final = 0.97
TRUST_SOFT: Final = 0.93
TRUST_SILENT: Final = 0.90
VETO: Final = 0.97  # a soft refutation yields to a model this sure of the opposite


def decide(
    text: str,
    *,
    speech: Speech,
    checkability: Checkability,
    retrieved: Retrieved,
    predecessors: Mapping[str, Passage],
    documents: Mapping[str, Document],
    named: Sequence[Document],
    model: VerdictModel,
    threshold: float,
) -> Outcome:
    """Return how the claim ``text`` stands to the passages that were retrieved for its day.

    ``predecessors`` maps a passage id to the version that it superseded; a plain index of all
    passages by their own id serves as well, the link is then read from ``supersedes``.
    ``named`` are the documents that the claim names. A flag needs a CHECKABLE claim that is no
    rebuttal, a passage on point, label REFUTED, P(REFUTED) >= ``threshold`` and a named difference.
    A fault inside ends in status failed with its text; nothing is raised.
    """
    try:
        return _decide(
            text, speech, checkability, retrieved, predecessors, documents, named, model, threshold
        )
    except Exception as error:  # noqa: BLE001  one bad claim must not stop a run, nor pass for a score
        return Outcome(
            status=Status.FAILED,
            label=None,
            nei_reason=None,
            p_supported=None,
            p_refuted=None,
            p_nei=None,
            flagged=False,
            error=f"{type(error).__name__}: {error}"[:500],
        )


def _decide(
    text: str,
    speech: Speech,
    checkability: Checkability,
    retrieved: Retrieved,
    predecessors: Mapping[str, Passage],
    documents: Mapping[str, Document],
    named: Sequence[Document],
    model: VerdictModel,
    threshold: float,
) -> Outcome:
    shown = tuple(evidence for _, evidence in retrieved.found)
    if checkability is not Checkability.CHECKABLE:
        return _abstained(shown)
    on_point = [(p, e) for p, e in retrieved.found if e.on_point]
    if not on_point:
        return Outcome(
            status=Status.OK,
            label=Label.NOT_ENOUGH_INFO,
            nei_reason=retrieved.reason or NeiReason.NOT_FOUND,
            p_supported=0.0,
            p_refuted=0.0,
            p_nei=1.0,
            flagged=False,
            evidence=shown,
        )
    claim = ClaimView.of(text)
    findings = [
        read_passage(claim, p, e, retrieved.found, predecessors, documents, named)
        for p, e in on_point
    ]
    best = _choose(findings, claim)
    verdict = model.judge(text, best.passage.text)
    if verdict.status is Status.FAILED:
        raise RuntimeError(f"the model failed: {verdict.error}")
    if best.witness is not None and best.witness.passage_id not in {e.passage_id for e in shown}:
        shown = (*shown, Evidence(passage_id=best.witness.passage_id,
                                  passage_sha256=best.witness.sha256,
                                  rank=len(shown) + 1, score=0.0, on_point=False))  # fmt: skip
    return _settle(best, verdict, shown, speech, threshold)


def _settle(
    best: Finding, verdict: Verdict, shown: tuple[Evidence, ...], speech: Speech, threshold: float
) -> Outcome:
    prior = (verdict.p_supported or 0.0, verdict.p_refuted or 0.0, verdict.p_nei or 0.0)
    if best.stance is Stance.UNCLEAR:
        return replace(_abstained(shown), p_supported=prior[0], p_refuted=prior[1], p_nei=prior[2])
    if best.stance is Stance.REFUTES and not best.hard and prior[0] >= VETO:
        return replace(_abstained(shown), p_supported=prior[0], p_refuted=prior[1], p_nei=prior[2])
    index = {Stance.SUPPORTS: 0, Stance.REFUTES: 1, Stance.SILENT: 2}[best.stance]
    trust = TRUST_SILENT if index == 2 else TRUST_HARD if best.hard else TRUST_SOFT
    p = _noisy_or(prior, index, trust)
    label = (Label.SUPPORTED, Label.REFUTED, Label.NOT_ENOUGH_INFO)[index]
    refuted = label is Label.REFUTED
    flagged = (
        refuted
        and bool(best.differences)
        and p[1] >= threshold
        and speech is not Speech.REBUTTAL
        and best.evidence.on_point
    )
    return Outcome(
        status=Status.OK,
        label=label,
        nei_reason=(best.reason or NeiReason.INSUFFICIENT) if index == 2 else None,
        p_supported=p[0],
        p_refuted=p[1],
        p_nei=p[2],
        flagged=flagged,
        evidence=shown,
        differences=best.differences if refuted else (),
    )


def _noisy_or(prior: Sequence[float], index: int, trust: float) -> tuple[float, float, float]:
    """Return ``prior`` after a second witness for ``index`` who is right with chance ``trust``."""
    rest = 1.0 - prior[index]
    raised = 1.0 - rest * (1.0 - trust)
    out = [
        raised if i == index else (prior[i] / rest * (1.0 - raised) if rest > 0.0 else 0.0)
        for i in range(3)
    ]
    total = sum(out)
    return out[0] / total, out[1] / total, out[2] / total


def _abstained(shown: tuple[Evidence, ...]) -> Outcome:
    return Outcome(
        status=Status.ABSTAINED,
        label=None,
        nei_reason=None,
        p_supported=None,
        p_refuted=None,
        p_nei=None,
        flagged=False,
        evidence=shown,
    )


def _choose(findings: Sequence[Finding], claim: ClaimView) -> Finding:
    """Return the finding that speaks for all: what one passage explains, no other contradicts."""
    explained = frozenset().union(*(f.explained for f in findings))
    refuting = [
        f for f in findings
        if f.stance is Stance.REFUTES and not (f.contradicted and f.contradicted <= explained)
    ]  # fmt: skip
    supporting = [f for f in findings if f.stance is Stance.SUPPORTS]
    exact = [f for f in supporting if f.exact and not claim.stated - f.explained]
    if exact:
        return exact[0]
    if refuting:
        hard = [f for f in refuting if f.hard]
        if supporting and not hard:
            return replace(refuting[0], stance=Stance.UNCLEAR)
        return max(hard or refuting, key=lambda f: (f.evidence.score, -f.evidence.rank))
    if supporting:
        open_ = claim.stated - explained
        if open_:
            return replace(supporting[0], stance=Stance.SILENT, reason=NeiReason.INSUFFICIENT)
        return max(supporting, key=lambda f: (len(f.explained), f.hard, -f.evidence.rank))
    unclear = [f for f in findings if f.stance is Stance.UNCLEAR]
    if unclear:
        return unclear[0]
    other = [f for f in findings if f.reason is NeiReason.OTHER_SERIES]
    return (other or list(findings))[0]
