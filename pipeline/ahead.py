"""Judging many claims with a model that answers in batches.

`models.decide` asks the model for one pair at a time, and which pair follows from claim and
passages alone, never from an answer. So the questions of a shard are noted first, answered in one
go, and then the claims are decided from those answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from kiemchung.domain import Judgement, Mention
from models.verdict import Before, Verdict, VerdictModel, verdict_of
from pipeline.judging import Judge


@runtime_checkable
class BatchModel(VerdictModel, Protocol):
    """A verdict model that is much faster when it is asked many pairs at once."""

    def judge_all(self, pairs: Sequence[tuple[str, str]]) -> list[Verdict]:
        """Return the verdicts of ``pairs`` in their order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Noting:
    """Writes the questions down; what it answers is thrown away."""

    model_id: str
    threshold: float
    asked: dict[tuple[str, str], None] = field(default_factory=dict)

    def judge(self, claim: str, evidence: str) -> Verdict:
        self.asked[claim, evidence] = None
        return verdict_of((0.0, 0.0, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answered(Before):
    """Answers from what was told, and asks the model what was not."""

    model: VerdictModel
    answers: dict[tuple[str, str], Verdict]

    def judge(self, claim: str, evidence: str) -> Verdict:
        return self.answers.get((claim, evidence)) or self.model.judge(claim, evidence)


def judge_all(judge: Judge, mentions: Sequence[Mention], *, run_id: str) -> list[Judgement]:
    """Return the judgement of every mention; the same as one by one, with fewer calls."""
    model = judge.model
    if not isinstance(model, BatchModel):
        return [judge.judge(m, run_id=run_id) for m in mentions]
    noting = _Noting(model_id=model.model_id, threshold=model.threshold)
    first = replace(judge, model=noting)
    for mention in mentions:
        first.judge(mention, run_id=run_id)
    pairs = list(noting.asked)
    answers = dict(zip(pairs, model.judge_all(pairs), strict=True))
    second = replace(judge, model=_Answered(model=model, answers=answers))
    return [second.judge(m, run_id=run_id) for m in mentions]
