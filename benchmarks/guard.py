"""What spoiled labels do to a retrained head, with and without the guard, and its false alarms.

Ten simulated reviewers label a set of pairs whose labels are known. Poison: one of them changes
labels until 5 % of *all* labels are changed (half of his own), or as many as the kind allows. The
head of the model is fitted by folds of source texts, macro-F1 is against the true labels. False
alarms: nobody spoils anything, but one reviewer reads what the model is least sure of, or nearly
only refuted claims, or errs three times as often as the others.

```
python benchmarks/guard.py --pairs FILE [--field evidence] [--model models/plain] [--seeds 5]
python benchmarks/guard.py --pairs FILE --alarms 100
```
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import LABEL_ORDER
from models import calibration, evaluate, guard, head, registry
from models.values import values_of
from pipeline.evaluation import read_set

REVIEWERS = 10
POISON = 0.05
SLIPS = 0.04  # honest reviewers' share of wrong labels, others' in the arm "careless": a third
S, R, N = (LABEL_ORDER.index(x) for x in ("SUPPORTED", "REFUTED", "NOT_ENOUGH_INFO"))  # type: ignore[arg-type]
Labels = NDArray[np.int64]


def flip(y: Labels, draw: np.random.Generator) -> Labels:
    """Return for each label another one, at random."""
    return (y + draw.integers(1, 3, size=len(y))) % 3


KINDS: dict[str, Callable[[Labels, np.random.Generator], Labels]] = {
    "random flip": flip,
    "always SUPPORTED": lambda y, _: np.full_like(y, S),
    "REFUTED to SUPPORTED": lambda y, _: np.where(y == R, S, y),
}


def dealt(groups: Sequence[str], draw: np.random.Generator) -> NDArray[np.int64]:
    """Return the reviewer of each row; a story's rows have one."""
    names = sorted(set(groups))
    mine = dict(zip(names, draw.integers(0, REVIEWERS, size=len(names)).tolist(), strict=True))
    return np.array([mine[g] for g in groups])


def slips(y: Labels, share: NDArray[np.float64], draw: np.random.Generator) -> Labels:
    """Return the labels with honest mistakes, a share of each row's own chance."""
    return np.where(draw.random(len(y)) < share, flip(y, draw), y)


def poisoned(
    truth: Labels, honest: Labels, who: NDArray[np.int64], kind: str, draw: np.random.Generator
) -> Labels:
    """Return the labels with reviewer 0's changed until 5 % of all are wrong by will."""
    said = honest.copy()
    new = KINDS[kind](truth, draw)
    able = np.flatnonzero((who == 0) & (new != truth))
    chosen = draw.permutation(able)[: round(POISON * len(truth))]
    said[chosen] = new[chosen]
    return said


class Set:
    """One set of pairs as values of one model."""

    def __init__(self, folder: Path, path: Path, field: str, processes: int) -> None:
        pairs = read_set(path, field)
        self.model = registry.load(folder)
        texts = [(p.claim, p.evidence) for p in pairs]
        self.x = values_of(folder, texts, processes=processes).x
        self.y = np.array([LABEL_ORDER.index(p.label) for p in pairs])
        self.groups = [p.group for p in pairs]
        self.forms = head.forms_of(self.model, [p.evidence for p in pairs])
        self.logits = head.said_by(self.model, head.layers_of(self.model), self.x, self.forms)

    def watch(self, said: Labels, who: NDArray[np.int64], rows: NDArray[np.int64], seed: int):  # noqa: ANN201
        """Return what the guard finds among ``rows``."""
        return guard.watch(
            guard.Labels(
                x=self.x[rows], logits=self.logits[rows], y=said[rows], weight=np.ones(len(rows)),
                reviewers=tuple(f"r{who[i]}" for i in rows),
                stories=tuple(self.groups[i] for i in rows),
                selected=("sample",) * len(rows), tested=np.ones(len(rows), dtype=bool),
            ),
            seed=seed,
        )  # fmt: skip

    def macro_f1(
        self, said: Labels, weight_of: Callable[[NDArray[np.int64]], NDArray[np.float64]], seed: int
    ) -> float:
        """Return macro-F1 against the truth, each row by a head that saw nothing of its text."""
        fold = calibration.folds_of(self.groups, folds=5, seed=seed)
        out = self.logits.copy()
        for i in range(5):
            rows = np.flatnonzero(fold != i)
            factor = weight_of(rows)
            for form, layer in head.layers_of(self.model).items():
                kept = rows[(self.forms[rows] == form) & (factor > 0)]
                if not head.enough(said[kept]):
                    continue
                new = head.refit(
                    layer,
                    head.Rows(
                        x=self.x[kept], y=said[kept],
                        weight=factor[(self.forms[rows] == form) & (factor > 0)],
                        forms=self.forms[kept], groups=tuple(self.groups[k] for k in kept),
                        told=np.ones(len(kept), dtype=bool),
                    ),
                )  # fmt: skip
                test = np.flatnonzero((fold == i) & (self.forms == form))
                out[test] = new.linear(self.x[test])
        gold = [LABEL_ORDER[k] for k in self.y]
        return evaluate.macro_f1(gold, [LABEL_ORDER[k] for k in out.argmax(axis=1)])


def poison(data: Set, seeds: int) -> list[dict[str, object]]:
    """Return a row a kind of poison: macro-F1 clean, spoiled, guarded, and how often it is named.

    "named" counts seeds in which the guard, on all labels at once, names reviewer 0; "others" those
    in which it names anybody else.
    """
    found = []
    for kind in KINDS:
        rows: dict[str, list[float]] = {
            k: []
            for k in ("clean", "clean+guard", "spoiled", "guarded", "changed", "named", "others")
        }
        for seed in range(seeds):
            draw = np.random.default_rng(seed)
            who = dealt(data.groups, draw)
            honest = slips(data.y, np.full(len(data.y), SLIPS), draw)
            said = poisoned(data.y, honest, who, kind, draw)
            every = np.arange(len(data.y))
            ones = lambda r: np.ones(len(r))  # noqa: E731
            with_guard = lambda labels: lambda r: data.watch(labels, who, r, seed).factor  # noqa: E731,B023
            rows["clean"].append(data.macro_f1(honest, ones, seed))
            rows["clean+guard"].append(data.macro_f1(honest, with_guard(honest), seed))
            rows["spoiled"].append(data.macro_f1(said, ones, seed))
            rows["guarded"].append(data.macro_f1(said, with_guard(said), seed))
            rows["changed"].append(float((said != honest).mean()))
            named = {n.reviewer for n in data.watch(said, who, every, seed).named}
            rows["named"].append(float("r0" in named))
            rows["others"].append(float(bool(named - {"r0"})))
        moved = {
            f"worst_move_{arm}": max(a - b for a, b in zip(rows["clean"], rows[arm], strict=True))
            for arm in ("spoiled", "guarded")
        }
        means = {k: float(np.mean(v)) for k, v in rows.items()} | moved
        found.append({"kind": kind, "seeds": seeds} | {k: round(v, 4) for k, v in means.items()})
    return found


def alarms(data: Set, seeds: int) -> list[dict[str, object]]:
    """Return how often an honest reviewer is named, by what reviewer 0 works on."""
    n = len(data.y)
    sure = np.exp(data.logits).max(axis=1) / np.exp(data.logits).sum(axis=1)
    arms: dict[str, NDArray[np.float64] | None] = {
        "all alike": None,
        "reads what the model is least sure of": -sure,
        "reads refuted claims": (data.y == R).astype(float),
        "reads supported claims": (data.y == S).astype(float),
        "three times as many slips": None,
    }
    found = []
    for name, taste in arms.items():
        first = anybody = 0
        for seed in range(seeds):
            draw = np.random.default_rng(1_000 + seed)
            who = dealt(data.groups, draw)
            if taste is not None:  # of what suits him he takes a tenth of the set
                noise = taste + draw.normal(0, 0.1, size=n)
                who = np.where(who == 0, draw.integers(1, REVIEWERS, size=n), who)
                who[np.argsort(-noise)[: n // REVIEWERS]] = 0
            share = np.full(n, SLIPS)
            if name.startswith("three"):
                share[who == 0] = 3 * SLIPS
            said = slips(data.y, share, draw)
            named = {x.reviewer for x in data.watch(said, who, np.arange(n), seed).named}
            first += "r0" in named
            anybody += bool(named)
        found.append({"honest": name, "seeds": seeds, "he_named": first, "anybody_named": anybody})
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Print one JSON object a row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--field", default="evidence")
    parser.add_argument("--model", type=Path, default=registry.PLAIN)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--alarms", type=int, default=0, help="seeds of the honest arms instead")
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args(argv)
    data = Set(given.model, given.pairs, given.field, given.processes)
    rows = alarms(data, given.alarms) if given.alarms else poison(data, given.seeds)
    for row in rows:
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
