"""From claims to judgements: what one worker does for one shard, and what it remembers.

An outcome follows from the claim, its day, who speaks, the base in force and the model; where the
claim stood is no part of it. So a claim that comes again, in a copy or in a repeated week, is
looked up and not worked out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow.compute as pc

from kiemchung.config import Settings
from kiemchung.domain import (
    AsOfMethod,
    Checkability,
    Difference,
    Distortion,
    Evidence,
    Judgement,
    Label,
    Mention,
    NeiReason,
    Status,
    digest,
)
from kiemchung.errors import WorkerError
from kiemchung.shards import from_table, read_table, write_shard
from models.decide import Outcome
from pipeline.ahead import judge_all
from pipeline.judging import Judge
from pipeline.remembered import Remembered, key_of
from pipeline.versions import verdict_version

KIND: Final = "outcome"


def version_of(judge: Judge) -> str:
    """Return the version of all that a judgement follows from besides the claim."""
    return digest(
        verdict_version(),
        judge.model.model_id,
        judge.model_sha256,
        judge.base_version,
        repr(judge.threshold),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeContext:
    """What a worker needs to judge: the settings to load base and model from.

    ``version`` is what the parent loaded; a worker that would load something else says so.
    """

    run_id: str
    settings: Settings
    version: str
    remembered: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeTask:
    """Shards of mentions that become one shard of judgements."""

    sources: tuple[Path, ...]
    judgements: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeDone:
    """What one shard came to; ``known`` of its claims were judged before."""

    judged: int
    known: int


class JudgeJob:
    """Sets claims beside the passages in force on their day."""

    def __init__(self, judge: Judge, *, run_id: str, remembered: Path | None) -> None:
        self._judge, self._run_id = judge, run_id
        self._known = Remembered(remembered, KIND, version_of(judge)) if remembered else None

    def __call__(self, task: JudgeTask, /) -> JudgeDone:
        """Write one shard of judgements, in the order of the mentions."""
        found = [m for source in task.sources for m in checkable(source)]
        keys = [_key(m) for m in found]
        before = self._known.get(keys) if self._known else {}
        fresh: dict[bytes, Mention] = {}
        for key, mention in zip(keys, found, strict=True):
            if key not in before:
                fresh.setdefault(key, mention)
        made = dict(
            zip(
                fresh,
                judge_all(self._judge, list(fresh.values()), run_id=self._run_id),
                strict=True,
            )
        )
        known = {key: _unpack(packed) for key, packed in before.items()}
        rows = [
            self._judge.judgement(m, made[key] if key in made else known[key], run_id=self._run_id)
            for key, m in zip(keys, found, strict=True)
        ]
        write_shard(task.judgements, rows, Judgement)
        if self._known:
            # A failure is tried again the next time.
            self._known.put({k: _pack(j) for k, j in made.items() if j.status is not Status.FAILED})
        return JudgeDone(judged=len(rows), known=len(rows) - len(made))

    def close(self) -> None:
        """Close the file of remembered results."""
        if self._known:
            self._known.close()


def load_job(context: JudgeContext) -> JudgeJob:
    """Return the job of a worker process, base and model loaded there.

    Raises:
        WorkerError: base, model or program changed while the run was under way.
    """
    judge = Judge.load(context.settings)
    if version_of(judge) != context.version:
        raise WorkerError(
            "base, model or program changed while the run was under way",
            where=context.run_id,
            remedy="start the same command again",
        )
    return JudgeJob(judge, run_id=context.run_id, remembered=context.remembered)


def checkable(source: Path) -> list[Mention]:
    """Return the checkable claims of one shard of mentions."""
    table = read_table(source, Mention)
    return from_table(table.filter(pc.equal(table["checkability"], "CHECKABLE")), Mention)


def count_checkable(source: Path) -> int:
    """Return how many checkable claims a shard of mentions has."""
    column = read_table(source, Mention, columns=["checkability"])["checkability"]
    return int(pc.sum(pc.equal(column, str(Checkability.CHECKABLE))).as_py() or 0)


def grouped(sources: Sequence[Path], size: int) -> list[tuple[tuple[Path, ...], int]]:
    """Return neighbouring shards together, with how many claims they have, ``size`` or a bit more.

    A model that answers in batches wants many at once, a worker wants its share of the shards.
    """
    groups: list[tuple[tuple[Path, ...], int]] = []
    now: list[Path] = []
    claims = 0
    for source in sources:
        now.append(source)
        claims += count_checkable(source)
        if claims >= size:
            groups.append((tuple(now), claims))
            now, claims = [], 0
    if now:
        groups.append((tuple(now), claims))
    return groups


def _key(mention: Mention) -> bytes:
    unknown = mention.as_of_method is AsOfMethod.UNKNOWN
    return key_of(
        mention.text,
        "unknown" if unknown else mention.as_of.isoformat(),
        mention.speech,
        mention.checkability,
    )


def _pack(judgement: Judgement) -> bytes:
    values = {name: getattr(judgement, name) for name in _OUTCOME if name != "error"}
    values["evidence"] = [asdict(e) for e in judgement.evidence]
    values["differences"] = [asdict(d) for d in judgement.differences]
    return json.dumps(values, ensure_ascii=False).encode()


_OUTCOME: Final = (
    "status", "label", "nei_reason", "p_supported", "p_refuted", "p_nei", "flagged", "evidence",
    "differences", "error",
)  # fmt: skip


def _unpack(packed: bytes) -> Outcome:
    values: dict[str, Any] = json.loads(packed)
    return Outcome(
        status=Status(values["status"]),
        label=Label(values["label"]) if values["label"] else None,
        nei_reason=NeiReason(values["nei_reason"]) if values["nei_reason"] else None,
        p_supported=values["p_supported"],
        p_refuted=values["p_refuted"],
        p_nei=values["p_nei"],
        flagged=values["flagged"],
        evidence=tuple(Evidence(**e) for e in values["evidence"]),
        differences=tuple(
            Difference(**d | {"kind": Distortion(d["kind"])}) for d in values["differences"]
        ),
    )
