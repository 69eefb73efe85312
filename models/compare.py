"""Two models on the same pairs: how sure it is that one is better, where, and at what price.

Both answer each pair once; everything here is worked out of their verdicts. The unit of chance is
the source text, not the pair: pairs of one text are alike, and counted singly they would promise
more than they tell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import LABEL_ORDER, Label, Status
from models import evaluate
from models.construct import Pair
from models.slices import SliceReport, by_slice
from models.verdict import Verdict

ROUNDS: Final = 2_000
EXACT: Final = 1_000  # pairs on which the models differ up to which McNemar is exact
_SAID: Final = 4  # the three labels, and nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """A difference in macro-F1, second less first, with its 95 % interval over source texts.

    ``chance_no_better`` is the share of resamples in which the second is not better,
    ``chance_no_worse`` that in which it is not worse.
    """

    difference: float
    low: float
    high: float
    chance_no_better: float
    chance_no_worse: float
    texts: int
    rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """Pairs that only one of the two gets right, and the two-sided p of an even split.

    ``method`` is "exact" (binomial) or "chi2" (with continuity correction, Edwards 1948).
    """

    only_first: int
    only_second: int
    p: float
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Two models on one set."""

    name: str
    n: int
    first: evaluate.Report
    second: evaluate.Report
    bootstrap: Bootstrap
    mcnemar: McNemar
    slices: tuple[tuple[SliceReport, SliceReport], ...]
    flags_gained: tuple[int, int]  # pairs that only the second flags, and how many rightly
    flags_lost: tuple[int, int]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "n": self.n,
            "first": self.first.as_dict(),
            "second": self.second.as_dict(),
            "bootstrap": asdict(self.bootstrap),
            "mcnemar": asdict(self.mcnemar),
            "slices": {a.name: {"first": a.as_dict(), "second": b.as_dict()}
                       for a, b in self.slices if a.n},
            "flags_gained": {"n": self.flags_gained[0], "right": self.flags_gained[1]},
            "flags_lost": {"n": self.flags_lost[0], "right": self.flags_lost[1]},
        }  # fmt: skip


def compare(
    name: str,
    pairs: Sequence[Pair],
    first: Sequence[Verdict],
    second: Sequence[Verdict],
    *,
    thresholds: tuple[float, float],
    seed: int = 0,
) -> Compared:
    """Return how the second model stands to the first on one set of labelled pairs.

    Raises:
        ValueError: no pairs, or verdicts of another number.
    """
    if not pairs:
        raise ValueError("no pairs to compare on")
    gold = [p.label for p in pairs]
    said = ([v.label for v in first], [v.label for v in second])
    shown = (flagged(first, thresholds[0]), flagged(second, thresholds[1]))
    wrong = np.array([g is Label.REFUTED for g in gold], dtype=np.bool_)
    gained, lost = ~shown[0] & shown[1], shown[0] & ~shown[1]
    return Compared(
        name=name,
        n=len(pairs),
        first=evaluate.report(gold, first, threshold=thresholds[0]),
        second=evaluate.report(gold, second, threshold=thresholds[1]),
        bootstrap=bootstrap(gold, *said, [p.group for p in pairs], seed=seed),
        mcnemar=mcnemar(gold, *said),
        slices=tuple(
            zip(
                by_slice(pairs, first, threshold=thresholds[0]),
                by_slice(pairs, second, threshold=thresholds[1]),
                strict=True,
            )
        ),
        flags_gained=(int(gained.sum()), int((gained & wrong).sum())),
        flags_lost=(int(lost.sum()), int((lost & wrong).sum())),
    )


def flagged(verdicts: Sequence[Verdict], threshold: float) -> NDArray[np.bool_]:
    """Return which verdicts would be shown, shape (n,)."""
    return np.array(
        [
            v.status is Status.OK and v.label is Label.REFUTED and (v.p_refuted or 0.0) >= threshold
            for v in verdicts
        ],
        dtype=np.bool_,
    )


# --- chance ---------------------------------------------------------------------------------------


def counts_of(
    gold: Sequence[Label], said: Sequence[Label | None], place: NDArray[np.int64], texts: int
) -> NDArray[np.float64]:
    """Return how often each text has (true label, label said): shape (texts, 3 * 4)."""
    truth = np.array([LABEL_ORDER.index(g) for g in gold])
    told = np.array([_SAID - 1 if s is None else LABEL_ORDER.index(s) for s in said])
    cell = place * 3 * _SAID + truth * _SAID + told
    found = np.bincount(cell, minlength=texts * 3 * _SAID).astype(np.float64)
    return found.reshape(texts, 3 * _SAID)


def macro_f1_of(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return macro-F1 of confusion counts, shape (m, 3 * 4) to (m,); see `models.evaluate`."""
    table = counts.reshape(-1, 3, _SAID)
    both = table[:, range(3), range(3)]
    total = table.sum(axis=2) + table[:, :, :3].sum(axis=1)
    return np.asarray(
        np.where(total > 0, 2 * both / np.where(total > 0, total, 1), 0.0).mean(axis=1)
    )


def bootstrap(
    gold: Sequence[Label],
    first: Sequence[Label | None],
    second: Sequence[Label | None],
    groups: Sequence[str],
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Bootstrap:
    """Return the paired bootstrap of macro-F1 over source texts (Efron and Tibshirani 1993).

    A resample draws texts with replacement and takes all their pairs, the same for both models.
    """
    names = {g: i for i, g in enumerate(dict.fromkeys(groups))}
    place = np.array([names[g] for g in groups], dtype=np.int64)
    n = len(names)
    a, b = counts_of(gold, first, place, n), counts_of(gold, second, place, n)
    draw = np.random.default_rng(seed)
    gaps = []
    step = max(1, 2_000_000 // n)  # resamples held in memory at once
    for start in range(0, rounds, step):
        times = draw.multinomial(n, np.full(n, 1.0 / n), size=min(step, rounds - start))
        gaps.append(macro_f1_of(times @ b) - macro_f1_of(times @ a))
    gap = np.concatenate(gaps)
    whole = macro_f1_of(b.sum(axis=0)) - macro_f1_of(a.sum(axis=0))
    low, high = np.quantile(gap, [0.025, 0.975])
    return Bootstrap(
        difference=float(whole[0]),
        low=float(low),
        high=float(high),
        chance_no_better=float((gap <= 0).mean()),
        chance_no_worse=float((gap >= 0).mean()),
        texts=n,
        rounds=rounds,
    )


def mcnemar(
    gold: Sequence[Label], first: Sequence[Label | None], second: Sequence[Label | None]
) -> McNemar:
    """Return McNemar's test (1947) of the pairs that only one model gets right."""
    from scipy.stats import binomtest, chi2

    right = [(a is g, b is g) for g, a, b in zip(gold, first, second, strict=True)]
    one, two = right.count((True, False)), right.count((False, True))
    if one + two <= EXACT:
        p = 1.0 if one + two == 0 else float(binomtest(one, one + two).pvalue)
        return McNemar(only_first=one, only_second=two, p=p, method="exact")
    value = (abs(one - two) - 1) ** 2 / (one + two)
    return McNemar(only_first=one, only_second=two, p=float(chi2.sf(value, 1)), method="chi2")


# --- for a reader ---------------------------------------------------------------------------------


def _share(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"


def table(found: Compared, names: tuple[str, str]) -> list[str]:
    """Return the figures of one set as Markdown."""
    a, b, boot, test = found.first, found.second, found.bootstrap, found.mcnemar
    rows: list[tuple[str, str, str]] = [
        ("macro-F1", _share(a.macro_f1), _share(b.macro_f1)),
        *((f"F1 {label}", _share(a.f1[label]), _share(b.f1[label])) for label in a.f1),
        ("answered", f"{a.answered:.1%}", f"{b.answered:.1%}"),
        ("failed", str(a.failed), str(b.failed)),
        ("flags", str(a.refuted_at_threshold.n), str(b.refuted_at_threshold.n)),
        ("flags that are right", _interval(a), _interval(b)),
        ("calibration error", _share(a.ece), _share(b.ece)),
        *(
            (f"error at {int(c * 100)} % coverage", _share(x), _share(y))
            for (c, x), (_, y) in zip(a.risk_coverage, b.risk_coverage, strict=True)
            if c in (0.2, 0.5, 0.8, 1.0)
        ),
    ]
    lines = [
        f"## {found.name} ({found.n} pairs of {boot.texts} texts)",
        "",
        f"| | {names[0]} | {names[1]} |",
        "|---|---|---|",
        *(f"| {what} | {x} | {y} |" for what, x, y in rows),
        "",
        f"Difference in macro-F1: {boot.difference:+.4f}, 95 % interval {boot.low:+.4f} to"
        f" {boot.high:+.4f} (paired bootstrap over texts, {boot.rounds} rounds); chance that the"
        f" second is no better {boot.chance_no_better:.3f}.",
        "",
        f"McNemar ({test.method}): only the first right {test.only_first}, only the second"
        f" {test.only_second}, p {_chance(test.p)}.",
        "",
        f"Flags gained {found.flags_gained[0]}, {found.flags_gained[1]} of them right; lost"
        f" {found.flags_lost[0]}, {found.flags_lost[1]} of them right.",
        "",
        "| slice | n | macro-F1 | | recall of REFUTED | | flags right | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for x, y in found.slices:
        if x.n:
            lines.append(
                f"| {x.name} | {x.n} | {_share(x.macro_f1)} | {_share(y.macro_f1)}"
                f" | {_share(x.recall_refuted)} | {_share(y.recall_refuted)}"
                f" | {_shown(x)} | {_shown(y)} |"
            )
    return lines


def _chance(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"= {p:.4f}"


def _interval(report: evaluate.Report) -> str:
    shown = report.refuted_at_threshold
    return f"{shown.value:.3f} ({shown.low:.2f}-{shown.high:.2f})" if shown.n else "-"


def _shown(s: SliceReport) -> str:
    return f"{s.shown.value:.2f} of {s.shown.n}" if s.shown.n else "-"


def behaviour_table(
    first: Mapping[str, tuple[float | None, int]],
    second: Mapping[str, tuple[float | None, int]],
    names: tuple[str, str],
) -> list[str]:
    """Return the behaviour tests of both models as Markdown; each value with its cases."""
    lines = [
        "## Behaviour: small changes whose effect is known",
        "",
        f"| test | {names[0]} | {names[1]} |",
        "|---|---|---|",
    ]
    for name in sorted({*first, *second}):
        cells = [
            f"{_share(v)} of {n}"
            for v, n in (first.get(name, (None, 0)), second.get(name, (None, 0)))
        ]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    return lines
