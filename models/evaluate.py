"""Figures of a verdict model: F1, calibration, risk against coverage, precision of what is flagged.

A probability is no precision: what counts is how many of the claims *shown* were rightly refuted,
with an interval. Every figure here is a pure function of labels and probabilities.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import LABEL_ORDER, Label, Status
from kiemchung.errors import KiemchungError
from models.construct import Pair, label_of
from models.verdict import Verdict, VerdictModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A share of ``n`` cases with its 95 % Wilson interval; ``value`` is NaN where n is 0."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What `evaluate` found; ``f1`` and ``recall`` are by label.

    ``refuted_at_threshold`` is the precision of what would be shown as a flag, ``coverage`` the
    share of all pairs that would be; ``risk_coverage`` pairs a share answered with its error rate.
    """

    n: int
    macro_f1: float
    f1: Mapping[str, float]
    recall: Mapping[str, float]
    accuracy: float
    answered: float
    ece: float
    refuted_precision: Interval
    refuted_at_threshold: Interval
    coverage: float
    threshold: float
    risk_coverage: tuple[tuple[float, float], ...]
    failed: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON: a share of nothing is null, not NaN."""
        body = asdict(self)
        for name in ("refuted_precision", "refuted_at_threshold", "recall"):
            body[name] = {k: None if math.isnan(v) else v for k, v in body[name].items()}
        body["ece"] = None if math.isnan(self.ece) else self.ece
        return body

    def short(self) -> dict[str, Any]:
        """Return what a model's manifest says of itself, in four digits."""
        return {
            "pairs": self.n,
            "macro_f1": round(self.macro_f1, 4),
            "f1": {label: round(value, 4) for label, value in self.f1.items()},
            "ece": round(self.ece, 4),
        }


def wilson(right: int, n: int, *, z: float = 1.959964) -> Interval:
    """Return the share ``right / n`` with the Wilson score interval (Wilson 1927)."""
    if n == 0:
        return Interval(value=math.nan, low=0.0, high=1.0, n=0)
    share = right / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Interval(
        value=share,
        low=max(0.0, min(share, middle - half)),
        high=min(1.0, max(share, middle + half)),
        n=n,
    )


def f1_by_label(gold: Sequence[Label], said: Sequence[Label | None]) -> dict[str, float]:
    """Return F1 of each label; saying nothing is wrong for recall and harmless for precision."""
    found = {}
    for label in LABEL_ORDER:
        both = sum(g is label and s is label for g, s in zip(gold, said, strict=True))
        total = sum(g is label for g in gold) + sum(s is label for s in said)
        found[str(label)] = 2 * both / total if total else 0.0
    return found


def macro_f1(gold: Sequence[Label], said: Sequence[Label | None]) -> float:
    """Return the mean F1 of the three labels."""
    return sum(f1_by_label(gold, said).values()) / len(LABEL_ORDER)


def calibration_error(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], *, bins: int = 15
) -> float:
    """Return the expected calibration error over ``bins`` of equal mass (Naeini et al. 2015)."""
    if len(confidence) == 0:
        return math.nan
    order = np.argsort(confidence, kind="stable")
    parts = [p for p in np.array_split(order, bins) if len(p)]
    gaps = [len(p) * abs(float(confidence[p].mean()) - float(right[p].mean())) for p in parts]
    return float(sum(gaps) / len(confidence))


def risk_coverage(
    confidence: NDArray[np.float64], right: NDArray[np.bool_]
) -> tuple[tuple[float, float], ...]:
    """Return (coverage, error rate) at each tenth, the most certain answers first."""
    order = np.argsort(-confidence, kind="stable")
    points = []
    for tenth in range(1, 11):
        kept = order[: max(1, round(len(order) * tenth / 10))]
        points.append(
            (tenth / 10, 1.0 - float(right[kept].mean())) if len(order) else (tenth / 10, 0.0)
        )
    return tuple(points)


def paired_bootstrap(
    gold: Sequence[Label],
    first: Sequence[Label | None],
    second: Sequence[Label | None],
    *,
    rounds: int = 1_000,
    seed: int = 0,
) -> float:
    """Return the share of resamples in which ``second`` does not beat ``first`` in macro-F1."""
    r = random.Random(seed)
    n = len(gold)
    losses = 0
    for _ in range(rounds):
        chosen = [r.randrange(n) for _ in range(n)]
        g = [gold[i] for i in chosen]
        losses += macro_f1(g, [second[i] for i in chosen]) <= macro_f1(
            g, [first[i] for i in chosen]
        )
    return losses / rounds


def evaluate(
    model: VerdictModel, rows: Sequence[Pair | Mapping[str, Any]], *, field: str = "evidence"
) -> Report:
    """Return the figures of ``model`` on labelled pairs.

    ``rows`` are `Pair` values or records with ``claim``, ``label`` and the evidence under
    ``field``. An abstention counts against recall, a failure is counted apart.

    Raises:
        ValueError: an unknown label or no rows.
    """
    if not rows:
        raise ValueError("no rows to evaluate on")
    pairs = [_row(row, field) for row in rows]
    verdicts = [model.judge(claim, evidence) for claim, evidence, _ in pairs]
    return report([label for _, _, label in pairs], verdicts, threshold=model.threshold)


def report(gold: Sequence[Label], verdicts: Sequence[Verdict], *, threshold: float) -> Report:
    """Return the figures of verdicts that were already given."""
    said = [v.label for v in verdicts]
    kept = [i for i, v in enumerate(verdicts) if v.status is not Status.FAILED]
    p = np.array(
        [[verdicts[i].p_supported, verdicts[i].p_refuted, verdicts[i].p_nei] for i in kept],
        dtype=np.float64,
    ).reshape(-1, 3)
    truth = np.array([LABEL_ORDER.index(gold[i]) for i in kept], dtype=np.int64)
    confidence = p.max(axis=1) if len(p) else np.zeros(0)
    right = p.argmax(axis=1) == truth if len(p) else np.zeros(0, dtype=np.bool_)
    shown = [i for i in kept if said[i] is Label.REFUTED]
    sure = [i for i in shown if (verdicts[i].p_refuted or 0.0) >= threshold]
    recalls = {}
    for label in LABEL_ORDER:
        mine = [i for i, g in enumerate(gold) if g is label]
        recalls[str(label)] = sum(said[i] is label for i in mine) / len(mine) if mine else math.nan
    return Report(
        n=len(gold),
        macro_f1=macro_f1(gold, said),
        f1=f1_by_label(gold, said),
        recall=recalls,
        accuracy=sum(g is s for g, s in zip(gold, said, strict=True)) / len(gold),
        answered=sum(s is not None for s in said) / len(gold),
        ece=calibration_error(confidence, right),
        refuted_precision=wilson(sum(gold[i] is Label.REFUTED for i in shown), len(shown)),
        refuted_at_threshold=wilson(sum(gold[i] is Label.REFUTED for i in sure), len(sure)),
        coverage=len(sure) / len(gold),
        threshold=threshold,
        risk_coverage=risk_coverage(confidence, right),
        failed=len(gold) - len(kept),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """Whether a model reads the evidence: shares of verdicts where it should have changed its mind.

    ``shuffled_refuted``: still REFUTED beside another row's evidence (should be near 0).
    ``claim_only_macro_f1``: what the claim alone gives away (should be near chance).
    ``flip_leaves_supported``: of supported claims with a digit, those that one changed digit takes
    out of SUPPORTED (should be near 1), out of ``flips``.
    """

    shuffled_refuted: float
    claim_only_macro_f1: float
    flip_leaves_supported: float
    flips: int


def controls(
    model: VerdictModel,
    rows: Sequence[Pair | Mapping[str, Any]],
    *,
    field: str = "evidence",
    seed: int = 0,
) -> Controls:
    """Return the evidence-blind controls of ``model`` on labelled pairs.

    Raises:
        ValueError: fewer than two rows.
    """
    if len(rows) < 2:
        raise ValueError("two rows at least, to shuffle their evidence")
    pairs = [_row(row, field) for row in rows]
    n, step = len(pairs), max(1, len(pairs) // 3)
    shuffled = [
        model.judge(claim, pairs[(i + step) % n][1]).label for i, (claim, _, _) in enumerate(pairs)
    ]
    alone = [model.judge(claim, "").label for claim, _, _ in pairs]
    r = random.Random(seed)
    flips = left = 0
    for claim, evidence, label in pairs:
        digits = [i for i, c in enumerate(claim) if c in "0123456789"]
        if label is not Label.SUPPORTED or not digits:
            continue
        if model.judge(claim, evidence).label is not Label.SUPPORTED:
            continue
        at = r.choice(digits)
        other = r.choice([c for c in "123456789" if c != claim[at]])
        flips += 1
        changed = model.judge(claim[:at] + other + claim[at + 1 :], evidence)
        left += changed.label is not Label.SUPPORTED
    return Controls(
        shuffled_refuted=shuffled.count(Label.REFUTED) / n,
        claim_only_macro_f1=macro_f1([label for _, _, label in pairs], alone),
        flip_leaves_supported=left / flips if flips else math.nan,
        flips=flips,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure a model folder on a file of labelled pairs; the figures go out as JSON."""
    from models import registry
    from models.adapters.reading import pairs_of

    parser = argparse.ArgumentParser(prog="python -m models.evaluate", description=main.__doc__)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=registry.DEFAULT)
    parser.add_argument("--field", default="evidence", help="which field holds the evidence")
    given = parser.parse_args(argv)
    try:
        model = registry.load(given.model)
        rows = list(pairs_of(given.pairs, lambda _, row: row, remedy="one object a line"))
        found = evaluate(model, rows, field=given.field).as_dict()
        found["controls"] = asdict(controls(model, rows, field=given.field))
    except (KiemchungError, OSError, ValueError, KeyError) as error:
        sys.stderr.write(f"{given.pairs}: {error}\n")
        return 1
    sys.stdout.write(json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    return 0


def _row(row: Pair | Mapping[str, Any], field: str) -> tuple[str, str, Label]:
    if isinstance(row, Pair):
        return row.claim, row.evidence, row.label
    label = row["label"]
    return (
        str(row["claim"]),
        str(row[field]),
        label if isinstance(label, Label) else label_of(label),
    )


if __name__ == "__main__":
    raise SystemExit(main())
