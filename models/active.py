"""Active learning: which claims a person should label next, for the model's sake.

The reading order of the desk serves the reader; this one serves the next training. What goes in are
numbers about a pair of claim and evidence and nothing else: probabilities, and the values that the
model's layer reads. No person, no outlet and no text can be asked for, because none is given.

==============  ====================================================================================
`random`        every candidate alike
`margin`        smallest gap between the two likeliest labels (Scheffer et al. 2001)
`entropy`       largest entropy of the three probabilities
`disagreement`  largest Jensen-Shannon divergence between the encoder's verdict and the comparison's
                (query by committee, Seung et al. 1992; two members)
`diverse`       k-center greedy: furthest from everything labelled or chosen (Sener, Savarese 2018)
`cluster`       the most uncertain tenfold, then one from each k-means cluster, weighted by
                uncertainty (Zhdanov 2019)
`badge`         k-means++ over the gradients that a label would send to the last layer (Ash 2020)
`information`   what lowers the variance of the head over all candidates most: greedy A-optimal
                design by Fisher information (Zhang and Oles 2000; Ash et al. 2021)
`mixed`         half by `margin`, half by `information`: one fails where labels are noise, the
                other where doubt is all that is left to learn from
`balanced`      smallest margin within each label that the model says, in turn
`weighted`      drawn with probability proportional to uncertainty plus a floor: every candidate
                keeps a known, positive probability
==============  ====================================================================================

A share of each batch is drawn at random from *all* candidates, before the strategy chooses among
the rest; its selection probabilities are kept, so that it estimates the whole without bias. With
`weighted` the share is the floor instead, and every pick has its probability.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kiemchung.errors import InputError

Values = NDArray[np.float64]
Places = NDArray[np.int64]
NARROWED: Final = 10  # of the most uncertain so many times the batch go into clusters
PRIOR: Final = 20.0  # precision of the head's weights before any label: 1 / 0.05, see benchmarks
RANDOM_SHARE: Final = 0.2
"""Of a batch; at 20 % a batch of 50 estimates a share of one half to within 0.31."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """What may be known of the pairs that wait for a label; rows are pairs.

    ``p`` are the model's probabilities (n, 3), ``other`` those of the comparison alone (n, 3),
    ``x`` values in which near means alike (n, k), ``labelled`` the same values of what is labelled
    already (m, k).

    Raises:
        InputError: rows that do not fit together, or values that are no finite numbers.
    """

    p: Values
    x: Values
    other: Values | None = None
    labelled: Values | None = None

    def __post_init__(self) -> None:
        """Refuse what would choose nonsense without a word."""
        n = len(self.p)
        others = (self.p,) if self.other is None else (self.p, self.other)
        if any(q.shape != (n, 3) for q in others):
            raise InputError("probabilities of three labels a pair are needed", where="candidates")
        if self.x.ndim != 2 or len(self.x) != n:
            raise InputError(f"{len(self.x)} rows of values for {n} pairs", where="candidates")
        if self.labelled is not None and self.labelled.shape[1:] != self.x.shape[1:]:
            raise InputError("labelled pairs have other values", where="candidates")
        for values in (*others, self.x, *(() if self.labelled is None else (self.labelled,))):
            if not np.isfinite(values).all():
                raise InputError("a value is no finite number", where="candidates")

    def __len__(self) -> int:
        """How many pairs wait."""
        return len(self.p)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """One chosen candidate.

    ``probability`` is that of the design, in (0, 1]; None where the strategy took it for certain,
    so that no estimate for all claims can be made of it.
    """

    place: int  # row of the candidates
    reason: str  # "random" or the strategy
    probability: float | None


def margin(p: Values) -> Values:
    """Return how unsure the first place is: 1 minus its lead over the second, in [0, 1]."""
    ranked = np.sort(p, axis=1)
    return np.asarray(1.0 - (ranked[:, 2] - ranked[:, 1]), dtype=np.float64)


def entropy(p: Values) -> Values:
    """Return the entropy of each row as a share of the largest possible, in [0, 1]."""
    q = np.clip(p, 1e-12, 1.0)
    return np.asarray(-(q * np.log(q)).sum(axis=1) / np.log(3.0), dtype=np.float64)


def divergence(p: Values, q: Values) -> Values:
    """Return the Jensen-Shannon divergence of each pair of rows in bits, in [0, 1]."""
    a, b = np.clip(p, 1e-12, 1.0), np.clip(q, 1e-12, 1.0)
    middle = (a + b) / 2.0
    both = a * np.log2(a / middle) + b * np.log2(b / middle)
    return np.asarray(np.clip(both.sum(axis=1) / 2.0, 0.0, 1.0), dtype=np.float64)


def _scaled(x: Values, *others: Values) -> tuple[Values, ...]:
    """Return the values in standard deviations of ``x``, cut at six, so that no unit rules."""
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    return tuple(np.clip((y - mean) / scale, -6.0, 6.0) for y in (x, *others))


def _top(score: Values, n: int, r: np.random.Generator) -> Places:
    """Return the ``n`` largest, ties in the order of a draw."""
    return np.lexsort((r.random(len(score)), -score))[:n].astype(np.int64)


def _farthest(x: Values, labelled: Values | None, n: int, r: np.random.Generator) -> Places:
    chosen: list[int] = []
    if labelled is None or not len(labelled):
        first = int(r.integers(len(x)))
        chosen.append(first)
        (x,) = _scaled(x)
        near = ((x - x[first]) ** 2).sum(axis=1)
    else:
        x, labelled = _scaled(x, labelled)
        near = np.full(len(x), np.inf)
        for row in labelled:
            near = np.minimum(near, ((x - row) ** 2).sum(axis=1))
    while len(chosen) < n:
        near[chosen] = -1.0
        chosen.append(int(near.argmax()))
        near = np.minimum(near, ((x - x[chosen[-1]]) ** 2).sum(axis=1))
    return np.array(chosen, dtype=np.int64)


def _clustered(x: Values, weight: Values, n: int, r: np.random.Generator) -> Places:
    from sklearn.cluster import KMeans

    kept = _top(weight, min(len(x), NARROWED * n), r)
    if len(kept) <= n:
        return kept[:n]
    (scaled,) = _scaled(x[kept])
    scaled = scaled + 1e-9 * r.standard_normal(scaled.shape)  # n clusters even among equals
    found = KMeans(n, n_init=1, max_iter=50, random_state=int(r.integers(2**31))).fit(
        scaled, sample_weight=np.clip(weight[kept], 1e-6, None)
    )
    chosen = []
    for cluster in range(n):
        mine = np.flatnonzero(found.labels_ == cluster)
        if len(mine):
            gap = ((scaled[mine] - found.cluster_centers_[cluster]) ** 2).sum(axis=1)
            chosen.append(int(kept[mine[gap.argmin()]]))
    rest = [int(k) for k in kept if int(k) not in set(chosen)]
    return np.array([*chosen, *rest][:n], dtype=np.int64)


def _gradients(p: Values, x: Values, n: int, r: np.random.Generator) -> Places:
    """Draw by k-means++; the gradient is (p - its own label) times the values, never laid out.

    The squared distance of two outer products needs only the two factors' products.
    """
    (scaled,) = _scaled(x)
    scaled = np.concatenate([scaled, np.ones((len(x), 1))], axis=1)
    slope = p.copy()
    slope[np.arange(len(p)), p.argmax(axis=1)] -= 1.0
    size = (slope**2).sum(axis=1) * (scaled**2).sum(axis=1)
    chosen = [int(size.argmax())]
    near = np.full(len(p), np.inf)
    while len(chosen) < n:
        last = chosen[-1]
        both = (slope @ slope[last]) * (scaled @ scaled[last])
        near = np.minimum(near, np.clip(size + size[last] - 2.0 * both, 0.0, None))
        near[chosen] = 0.0
        total = near.sum()
        if total <= 0.0:  # nothing differs any more
            left = np.setdiff1d(np.arange(len(p)), chosen)
            chosen += r.permutation(left)[: n - len(chosen)].tolist()
            break
        chosen.append(int(r.choice(len(p), p=near / total)))
    return np.array(chosen[:n], dtype=np.int64)


def _informative(
    p: Values, x: Values, labelled: Values | None, n: int, r: np.random.Generator
) -> Places:
    """Choose one after the other what lowers trace(M^-1 I) most; I is the candidates' information.

    A pair tells w x x^T with w the mean of p(1 - p): a doubtful pair tells more, and one unlike
    those known tells more; what is doubtful by nature, like many others, does not tell more again.
    Labels are kept three apart in the head and one here, which leaves out how they hang together.
    """
    if labelled is None or not len(labelled):
        (scaled,) = _scaled(x)
        known = np.zeros((0, x.shape[1] + 1))
    else:
        scaled, before = _scaled(x, labelled)
        known = np.concatenate([before, np.ones((len(before), 1))], axis=1)
    scaled = np.concatenate([scaled, np.ones((len(x), 1))], axis=1)
    w = (p * (1.0 - p)).mean(axis=1) + 1e-6
    whole = (scaled * w[:, None]).T @ scaled / len(x)
    have = PRIOR * np.eye(scaled.shape[1]) + w.mean() * known.T @ known
    near = np.linalg.solve(have, scaled.T).T  # rows M^-1 x
    felt = near @ whole  # rows I M^-1 x
    chosen: list[int] = []
    free = np.ones(len(x), dtype=np.bool_)
    tie = 1e-12 * r.random(len(x))
    while len(chosen) < n:
        size = 1.0 + w * (scaled * near).sum(axis=1)
        gain = w * (felt * near).sum(axis=1) / size
        best = int(np.where(free, gain + tie, -np.inf).argmax())
        chosen.append(best)
        free[best] = False
        along = w[best] / size[best] * (scaled @ near[best])
        near, felt = near - np.outer(along, near[best]), felt - np.outer(along, felt[best])
    return np.array(chosen, dtype=np.int64)


def _in_turn(p: Values, n: int, r: np.random.Generator) -> Places:
    unsure, said = margin(p), p.argmax(axis=1)
    lines = []
    for label in range(3):
        mine = np.flatnonzero(said == label)
        lines.append(mine[_top(unsure[mine], len(mine), r)].tolist())
    chosen: list[int] = []
    while len(chosen) < n:
        for line in lines:
            if line:
                chosen.append(line.pop(0))
    return np.array(chosen[:n], dtype=np.int64)


def inclusion(score: Values, n: int, *, floor: float) -> Values:
    """Return the chance of each candidate to be among ``n``, in [0, 1], summing to ``n``.

    The share ``floor`` is spread evenly, the rest in proportion to ``score``; what would exceed 1
    is certain, and its surplus goes to the others.
    """
    size = len(score)
    if n >= size:
        return np.ones(size)
    total = float(score.sum())
    even = np.full(size, 1.0 / size)
    share = even if total <= 0.0 else floor * even + (1.0 - floor) * score / total
    chance = np.zeros(size)
    free = np.ones(size, dtype=np.bool_)
    while True:
        left = n - int((~free).sum())
        chance[free] = left * share[free] / share[free].sum()
        over = free & (chance >= 1.0)
        if not over.any():
            return chance
        chance[over] = 1.0
        free &= ~over


def _systematic(chance: Values, r: np.random.Generator) -> Places:
    """Draw by equal steps through the chances in a drawn order: exactly the chances, fixed size."""
    order = r.permutation(len(chance))
    ends = np.cumsum(chance[order])
    n = round(float(ends[-1]))
    steps = np.arange(n) + r.random()
    found = np.searchsorted(ends, np.minimum(steps, ends[-1] - 1e-12), side="right")
    return np.sort(order[found]).astype(np.int64)


def _half_and_half(c: Candidates, n: int, r: np.random.Generator) -> Places:
    first = _top(margin(c.p), n - n // 2, r)
    rest = np.setdiff1d(np.arange(len(c)), first)
    x = c.x[first] if c.labelled is None else np.concatenate([c.labelled, c.x[first]])
    second = _informative(c.p[rest], c.x[rest], x, n // 2, r)
    return np.concatenate([first, rest[second]])


Strategy = Callable[[Candidates, int, np.random.Generator], Places]


def _disagreement(c: Candidates, n: int, r: np.random.Generator) -> Places:
    if c.other is None:
        raise InputError(
            "the comparison's probabilities are missing",
            where="disagreement",
            remedy="choose another strategy, or a model with an encoder",
        )
    return _top(divergence(c.p, c.other), n, r)


def _unsure(c: Candidates) -> Values:
    """Return the uncertainty, and where both are known half of it the disagreement."""
    return margin(c.p) if c.other is None else (margin(c.p) + divergence(c.p, c.other)) / 2.0


STRATEGIES: Final[Mapping[str, Strategy]] = {
    "random": lambda c, n, r: r.permutation(len(c))[:n].astype(np.int64),
    "margin": lambda c, n, r: _top(margin(c.p), n, r),
    "entropy": lambda c, n, r: _top(entropy(c.p), n, r),
    "disagreement": _disagreement,
    "diverse": lambda c, n, r: _farthest(c.x, c.labelled, n, r),
    "cluster": lambda c, n, r: _clustered(c.x, _unsure(c), n, r),
    "badge": lambda c, n, r: _gradients(c.p, c.x, n, r),
    "information": lambda c, n, r: _informative(c.p, c.x, c.labelled, n, r),
    "mixed": _half_and_half,
    "balanced": lambda c, n, r: _in_turn(c.p, n, r),
}
WEIGHTED: Final = "weighted"
NAMES: Final = (*STRATEGIES, WEIGHTED)


def choose(
    candidates: Candidates,
    n: int,
    *,
    strategy: str,
    seed: int,
    random_share: float = RANDOM_SHARE,
) -> list[Pick]:
    """Return ``n`` candidates, or all of them where there are fewer; the same seed, the same list.

    The random part comes first: it has probability r/N for every candidate.

    Raises:
        InputError: an unknown strategy, a share outside [0, 1], or what the strategy needs is
            missing.
    """
    if strategy not in NAMES:
        raise InputError(f"no strategy {strategy!r}", remedy=f"one of {', '.join(NAMES)}")
    if n < 0 or not 0.0 <= random_share <= 1.0:
        raise InputError(f"{n} of which a share of {random_share} at random")
    r = np.random.default_rng(seed)
    size, n = len(candidates), min(n, len(candidates))
    if n == 0:
        return []
    if strategy == WEIGHTED:
        chance = inclusion(_unsure(candidates), n, floor=random_share)
        return [
            Pick(place=int(i), reason=strategy, probability=min(1.0, float(chance[i])))
            for i in _systematic(chance, r)
        ]
    by_chance = n if strategy == "random" or n == size else round(random_share * n)
    order = r.permutation(size)
    first, rest = np.sort(order[:by_chance]), np.sort(order[by_chance:])
    picks = [Pick(place=int(i), reason="random", probability=by_chance / size) for i in first]
    if by_chance == n:
        return picks
    left = Candidates(
        p=candidates.p[rest],
        x=candidates.x[rest],
        other=None if candidates.other is None else candidates.other[rest],
        labelled=candidates.labelled,
    )
    chosen = STRATEGIES[strategy](left, n - by_chance, r)
    return picks + [Pick(place=int(rest[i]), reason=strategy, probability=None) for i in chosen]
