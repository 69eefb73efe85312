"""Active learning, simulated: how many labels each order needs for the same macro-F1.

    python benchmarks/active.py --pools FOLDER [--set NAME ...] [--strategy NAME ...] [--seeds 10]
        [--random-share 0.2] [--head joined|comparison|wide] [--prior SET] [--rare LABEL:SHARE]
        [--growth 1.4] [--name NAME] [--out FILE.json]

FOLDER is what ``pools.py`` wrote. Every order starts from the same random labels of a seed; then
again and again a batch is chosen, labelled and added, and a logistic head is fitted anew on all
labels. Splits are by source text. A small set is measured by folds (out-of-fold labels together),
a large one on a part held out. A label costs the same whatever its claim.

``--prior`` adds another set's pairs with small weight, as the shipped model has them before the
first label. ``--rare R:0.1`` thins the pool so that REFUTED is a tenth of it, as a week's claims
are; the part measured on stays as it is.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pools import Pool, load

from kiemchung.domain import LABEL_ORDER
from models import curves
from models.active import NAMES, RANDOM_SHARE, Candidates, choose
from models.calibration import folds_of
from models.comparison import softmax
from models.encoder import ENCODED

FIRST = 20  # random labels that every order begins with
PRIOR_PAIRS = 1_000  # of the set before the first label, weighing 50 labels together
FOLDED = 1_000  # below so many pairs a set is measured by folds
PARTS = 3  # of the source texts of a larger set; one is held out
WIDE = len(ENCODED)
STRENGTH = 0.05  # inverse L2; of 0.01 … 1 the best for the random order of the smallest set


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is varied."""

    strategy: str
    head: str = "joined"
    random_share: float = RANDOM_SHARE
    growth: float = 1.4
    strength: float = STRENGTH
    prior_weight: float = 0.05
    most: int = 3_000


@dataclass(frozen=True, slots=True)
class Head:
    """A logistic layer over scaled values."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]

    def p(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities of rows."""
        scaled = np.clip((x - self.mean) / self.scale, -6.0, 6.0)
        return softmax(scaled @ self.weights.T + self.bias)


def fit(
    x: NDArray[np.float64], y: NDArray[np.int64], weight: NDArray[np.float64], strength: float
) -> Head:
    """Fit the head; labels weigh alike, and one that nobody gave yet stays at its bottom."""
    from sklearn.linear_model import LogisticRegression

    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    scaled = np.clip((x - mean) / scale, -6.0, 6.0)
    known = np.unique(y)
    weights, bias = np.zeros((3, x.shape[1])), np.full(3, -3.0)
    if len(known) == 1:
        bias[known[0]] = 0.0
        return Head(mean, scale, weights, bias)
    weight = weight.copy()
    for label in known:
        mine = y == label
        weight[mine] *= weight.sum() / (len(known) * weight[mine].sum())
    layer = LogisticRegression(C=strength, max_iter=500, tol=1e-4)
    layer.fit(scaled, y, sample_weight=weight)
    if len(known) == 2:
        weights[known] = np.stack([-layer.coef_[0], layer.coef_[0]]) / 2.0
        bias[known] = np.array([-layer.intercept_[0], layer.intercept_[0]]) / 2.0
    else:
        weights[known], bias[known] = layer.coef_, layer.intercept_
    return Head(mean, scale, weights, bias)


def values(pool: Pool, head: str) -> NDArray[np.float64]:
    """Return what the head of that name reads of a pool."""
    if head == "comparison":
        return pool.x[:, WIDE:]
    return np.concatenate([pool.x, pool.vectors], axis=1) if head == "wide" else pool.x


def f1(y: NDArray[np.int64], said: NDArray[np.int64]) -> float:
    """Return macro-F1 as `models.evaluate.macro_f1` does."""
    found = []
    for k in range(3):
        both = float(((y == k) & (said == k)).sum())
        total = float((y == k).sum() + (said == k).sum())
        found.append(2.0 * both / total if total else 0.0)
    return float(np.mean(found))


def grid(size: int, growth: float, most: int) -> list[int]:
    """Return the numbers of labels at which the head is fitted: `FIRST`, then ever larger steps."""
    points = [FIRST]
    while points[-1] < min(size, most):
        points.append(min(size, max(points[-1] + 10, round(points[-1] * growth))))
    return points


def thinned(pool: Pool, rare: str, r: np.random.Generator) -> Pool:
    """Return the pool with one label cut down to a share of it, the others as they are."""
    letter, share = rare.split(":")
    label = [str(x)[0] for x in LABEL_ORDER].index(letter)
    mine, others = np.flatnonzero(pool.y == label), np.flatnonzero(pool.y != label)
    kept = min(len(mine), round(float(share) * len(others) / (1.0 - float(share))))
    return pool.where(np.sort(np.concatenate([others, r.permutation(mine)[:kept]])))


def walk(
    plan: Plan, points: Sequence[int], pool: Pool, held: Pool, prior: Pool | None, seed: int
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield, at each number of labels, that number and what the head says of ``held``."""
    x, told = values(pool, plan.head), values(held, plan.head)
    r = np.random.default_rng(seed)
    order = r.permutation(len(x))
    seen = order[: points[0]]
    before = (np.zeros((0, x.shape[1])), np.zeros(0, dtype=np.int64))
    if prior is not None:
        before = (values(prior, plan.head), prior.y)

    def trained(part: slice) -> Head:
        weight = np.concatenate([np.full(len(before[1]), plan.prior_weight), np.ones(len(seen))])
        return fit(
            np.concatenate([before[0], x[seen]])[:, part],
            np.concatenate([before[1], pool.y[seen]]), weight, plan.strength,
        )  # fmt: skip

    for number, point in enumerate(points):
        head = trained(slice(None))
        yield point, head.p(told).argmax(axis=1)
        if number + 1 == len(points):
            return
        rest = np.setdiff1d(np.arange(len(x)), seen)
        other = None
        p = head.p(x[rest])
        if plan.strategy in ("disagreement", "cluster", "weighted") and plan.head != "comparison":
            apart = slice(WIDE, WIDE + 48)
            other = trained(apart).p(x[rest][:, apart])
            if plan.strategy == "disagreement":
                p = trained(slice(0, WIDE)).p(x[rest][:, :WIDE])
        picks = choose(
            Candidates(p=p, x=x[rest], other=other, labelled=x[seen]),
            points[number + 1] - point, strategy=plan.strategy, seed=seed * 1_000 + number,
            random_share=plan.random_share,
        )  # fmt: skip
        seen = np.concatenate([seen, rest[[q.place for q in picks]]])


def parts(pool: Pool, seed: int, rare: str) -> Iterator[tuple[Pool, Pool]]:
    """Yield the pairs to choose from and those measured on: five folds, or one part held out."""
    folds = 5 if len(pool.y) < FOLDED else 0
    fold = folds_of(pool.groups.tolist(), folds=folds or PARTS, seed=seed)
    for i in range(folds or 1):
        train = pool.where(fold != i)
        yield (
            thinned(train, rare, np.random.default_rng(seed)) if rare else train,
            pool.where(fold == i),
        )


def measured(plan: Plan, pool: Pool, prior: Pool | None, seeds: int, rare: str) -> curves.Curve:
    """Return the learning curve of one order on one set."""
    rows = []
    every = [list(parts(pool, seed, rare)) for seed in range(seeds)]
    least = min(len(train.y) for found in every for train, _ in found)
    points = grid(least, plan.growth, plan.most)
    for seed, found in enumerate(every):
        said: dict[int, list[NDArray[np.int64]]] = {n: [] for n in points}
        for train, held in found:
            for point, answer in walk(plan, points, train, held, prior, seed):
                said[point].append(answer)
        truth = np.concatenate([held.y for _, held in found])
        rows.append([f1(truth, np.concatenate(said[n])) for n in points])
    return curves.Curve(labels=np.array(points, dtype=np.float64), f1=np.array(rows))


def with_all(plan: Plan, pool: Pool, prior: Pool | None, seeds: int, rare: str) -> float:
    """Return the mean macro-F1 of a head that has every label of its pool."""
    found = []
    for seed in range(seeds):
        truth, said = [], []
        for train, held in parts(pool, seed, rare):
            (answer,) = (a for _, a in walk(plan, [len(train.y)], train, held, prior, seed))
            truth.append(held.y)
            said.append(answer)
        found.append(f1(np.concatenate(truth), np.concatenate(said)))
    return float(np.mean(found))


def compared(found: dict[str, curves.Curve], full: float) -> dict[str, dict[str, Any]]:
    """Return, by order, its curve and what it saves against the random one."""
    random = found["random"]
    body: dict[str, dict[str, Any]] = {}
    for name, curve in found.items():
        row: dict[str, Any] = {
            "labels": curve.labels.tolist(),
            "mean": [round(float(v), 6) for v in curve.f1.mean(axis=0)],
            "sd": [round(float(v), 4) for v in curve.f1.std(axis=0)],
        }
        if name != "random":
            row["saved_at_share"] = {
                f"{share:.2f}": curves.saved_at_share(curve, random, full, share).as_dict()
                for share in curves.SHARES
            }
            row["saved_at_labels"] = {
                str(int(n)): curves.saved_at_labels(curve, random, n).as_dict()
                for n in curve.labels[1:-1]
            }
        body[name] = row
    return body


def main() -> None:
    """Simulate, print the table, write JSON; ``curve_picture.py`` draws it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pools", type=Path, required=True)
    parser.add_argument("--set", nargs="*", default=["vifactcheck"], dest="sets")
    parser.add_argument("--strategy", nargs="*", default=list(NAMES))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--random-share", type=float, default=RANDOM_SHARE)
    parser.add_argument("--head", choices=("joined", "comparison", "wide"), default="joined")
    parser.add_argument("--strength", type=float, default=STRENGTH)
    parser.add_argument("--growth", type=float, default=1.4)
    parser.add_argument("--most", type=int, default=3_000)
    parser.add_argument("--prior", default="")
    parser.add_argument("--rare", default="")
    parser.add_argument("--name", default="", help="of the set in --out, where it is asked twice")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*failed to converge.*")
    prior = None
    if given.prior:
        every = load(given.pools, given.prior)
        prior = every.where(np.arange(len(every.y)) < PRIOR_PAIRS)
    whole: dict[str, Any] = {}
    for name in given.sets:
        pool = load(given.pools, name)
        plan = Plan(
            strategy="random", head=given.head, random_share=given.random_share,
            strength=given.strength, growth=given.growth, most=given.most,
        )  # fmt: skip
        found = {}
        began = time.process_time()
        for strategy in dict.fromkeys(["random", *given.strategy]):
            if strategy == "disagreement" and given.head == "comparison":
                continue
            found[strategy] = measured(
                replace(plan, strategy=strategy), pool, prior, given.seeds, given.rare
            )
        full = with_all(plan, pool, prior, given.seeds, given.rare)
        body = compared(found, full)
        whole[given.name or name] = {
            "pairs": len(pool.y),
            "sha256": pool.sha256,
            "full": full,
            "orders": body,
        }
        print(f"\n{name}: {len(pool.y)} pairs, macro-F1 with every label {full:.4f}, "
              f"{time.process_time() - began:.0f} s")  # fmt: skip
        print(f"{'order':<14}" + "".join(f"{f'saved at {s:.0%}':>24}" for s in curves.SHARES))
        for strategy, row in body.items():
            if strategy != "random":
                print(f"{strategy:<14}" + "".join(map(_cell, row["saved_at_share"].values())))
    if given.out:
        facts = {k: v for k, v in vars(given).items() if k not in ("out", "pools", "sets", "name")}
        given.out.write_text(json.dumps({"asked": facts, "sets": whole}, indent=1) + "\n", "utf-8")


def _cell(saved: dict[str, Any]) -> str:
    if saved["value"] is None:
        return f"{'never':>24}"
    low, high = saved["low"], saved["high"]
    span = "" if low is None else f" ({low:.0%}…{high:.0%})"
    return f"{saved['value']:.0%}{span} {saved['ours']:.0f}/{saved['random']:.0f}".rjust(24)


if __name__ == "__main__":
    main()
