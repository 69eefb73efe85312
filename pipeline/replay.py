"""Derive a stored flag again from what it was made of, and say whether it comes out the same."""

from __future__ import annotations

from dataclasses import dataclass

from kiemchung.domain import Judgement, Mention
from pipeline.judging import Judge

TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The stored judgement against the one derived now."""

    mention_id: str
    same: bool
    differences: tuple[str, ...]


def replay(mention: Mention, stored: Judgement, judge: Judge) -> Replay:
    """Judge ``mention`` anew and compare label, probabilities, passages and their hashes."""
    wrong = []
    if judge.model.model_id != stored.model_id:
        wrong.append(f"model {stored.model_id} then, {judge.model.model_id} now")
    if judge.base_version != stored.base_version:
        wrong.append(f"reference base {stored.base_version} then, {judge.base_version} now")
    again = judge.judge(mention, run_id=stored.run_id)
    for name in ("status", "label", "nei_reason", "flagged"):
        then, now = getattr(stored, name), getattr(again, name)
        if then != now:
            wrong.append(f"{name}: {then} then, {now} now")
    for name in ("p_supported", "p_refuted", "p_nei"):
        then, now = getattr(stored, name), getattr(again, name)
        if (then is None) != (now is None) or (
            then is not None and now is not None and abs(then - now) > TOLERANCE
        ):
            wrong.append(f"{name}: {then} then, {now} now")
    then_seen = [(e.passage_id, e.passage_sha256) for e in stored.evidence]
    now_seen = [(e.passage_id, e.passage_sha256) for e in again.evidence]
    if then_seen != now_seen:
        wrong.append(f"passages: {then_seen} then, {now_seen} now")
    return Replay(mention_id=mention.mention_id, same=not wrong, differences=tuple(wrong))
