"""One experiment: a configuration and labelled pairs to figures that come out the same again.

A head (the multinomial logistic layer of `models.train`) is fitted on folds grouped by source text
and says of each pair what a head thinks that never saw its text. Seeds draw the folds anew; nothing
else in it is chance, and everything is computed in one thread and one order, so the same
configuration, data, code and packages give the same digits.

``` toml
name = "joined-head"

[data]
pairs = ["pairs.jsonl"]      # {"claim", "evidence", "label"} a line; "own": the reference base's
field = "evidence"           # which field of a line holds the evidence
limit = 0                    # of the pairs, the first by hash; 0: all

[model]
values = "joined"            # comparison, encoder, or joined: both
encoder = "default"          # folder of a model whose encoder is asked; "default": the shipped one
strength = 0.02              # inverse L2
without = ["digit_swapped"]  # an ablation: features left out, by name

[protocol]
folds = 5
seeds = [0, 1, 2, 3, 4]
curve = [50, 100, 200]       # learning curve: labels of the training folds, drawn at random
threshold = 0.9              # P(REFUTED) from which a claim would be flagged

[tracker]
call = "package.module:function"   # or the name of an entry point of kiemchung.trackers
```
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import LABEL_ORDER, Label, digest
from kiemchung.errors import ConfigError, InputError
from models import calibration, compare, curves, evaluate
from models.comparison import FEATURES, features, softmax
from models.construct import Pair
from models.encoder import ENCODED, EncoderModel
from models.slices import SLICES, by_slice
from models.verdict import verdict_of
from models.weighing import balanced

OWN: Final = "own"
ROUNDS: Final = 500  # of the bootstrap over source texts
_STRICT: Final = {"extra": "forbid", "strict": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPart:
    """Which pairs."""

    __pydantic_config__ = _STRICT
    pairs: tuple[str, ...]
    field: str = "evidence"
    limit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPart:
    """Which values the head reads, and how it is fitted."""

    __pydantic_config__ = _STRICT
    values: Literal["comparison", "encoder", "joined"] = "comparison"
    encoder: str = "default"
    strength: float = 0.02
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolPart:
    """How it is measured."""

    __pydantic_config__ = _STRICT
    folds: int = 5
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    curve: tuple[int, ...] = ()
    threshold: float = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerPart:
    """Who is told beside the run folder."""

    __pydantic_config__ = _STRICT
    call: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A configuration, checked."""

    __pydantic_config__ = _STRICT
    name: str
    data: DataPart
    model: ModelPart = field(default_factory=ModelPart)
    protocol: ProtocolPart = field(default_factory=ProtocolPart)
    tracker: TrackerPart = field(default_factory=TrackerPart)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the values that the head reads, in their order."""
        every = {"comparison": FEATURES, "encoder": ENCODED, "joined": (*ENCODED, *FEATURES)}
        return tuple(n for n in every[self.model.values] if n not in self.model.without)

    def asked(self) -> dict[str, Any]:
        """Return what can change a figure, as plain values: all but the name and the tracker."""
        body = json.loads(json.dumps(asdict(self)))
        return {key: body[key] for key in ("data", "model", "protocol")}


def read_config(path: Path) -> Experiment:
    """Return the experiment that a TOML file describes.

    Raises:
        ConfigError: no file, no TOML, an unknown or missing key, a value of another kind or out of
            bounds; file and key are named.
    """
    where = str(path)
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", where=where) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(error), where=where, remedy="correct the TOML") from error
    return parse(told, where=where)


def parse(told: dict[str, Any], *, where: str) -> Experiment:
    """Return the experiment of what a TOML file says; see `read_config`."""
    from pydantic import TypeAdapter, ValidationError

    try:
        # By way of JSON: there an array is a tuple, and yet "5" is no number.
        found = TypeAdapter(Experiment).validate_json(json.dumps(told, default=str))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        words = "unknown key" if first["type"].startswith("unexpected") else first["msg"]
        raise ConfigError(words, where=f"{where}: {key}", remedy="correct or remove it") from error
    for key, why in _out_of_bounds(found):
        raise ConfigError(why, where=f"{where}: {key}", remedy="correct it")
    return found


def _out_of_bounds(e: Experiment) -> list[tuple[str, str]]:
    known = {*ENCODED, *FEATURES}
    checks = (
        ("name", not _plain(e.name), "letters, digits and - only, 60 at most"),
        ("data.pairs", not e.data.pairs, "no file of pairs"),
        ("data.limit", e.data.limit < 0, "a negative number of pairs"),
        ("model.strength", not 1e-6 <= e.model.strength <= 1e3, "not between 1e-6 and 1000"),
        ("model.without", not set(e.model.without) <= known, "no such feature: "
         + ", ".join(sorted(set(e.model.without) - known))),
        ("model.without", not e.names, "nothing is left to read"),
        ("protocol.folds", not 2 <= e.protocol.folds <= 50, "not between 2 and 50"),
        ("protocol.seeds", not e.protocol.seeds, "no seed"),
        ("protocol.seeds", len(set(e.protocol.seeds)) < len(e.protocol.seeds), "a seed twice"),
        ("protocol.seeds", min(e.protocol.seeds, default=0) < 0, "a negative seed"),
        ("protocol.curve", min(e.protocol.curve, default=9) < 9, "fewer than 9 labels"),
        ("protocol.threshold", not 0.34 <= e.protocol.threshold <= 1.0, "not from 0.34 to 1"),
    )  # fmt: skip
    return [(key, why) for key, wrong, why in checks if wrong]


def _plain(name: str) -> bool:
    return 0 < len(name) <= 60 and all(c.isascii() and (c.isalnum() or c == "-") for c in name)


def first_by_hash(pairs: Sequence[Pair], limit: int) -> list[Pair]:
    """Return the ``limit`` pairs with the smallest hashes, in the order given; 0 for all."""
    if not limit or limit >= len(pairs):
        return list(pairs)
    rank = sorted(range(len(pairs)), key=lambda i: (digest("limit", *_texts(pairs[i])), i))
    return [pairs[i] for i in sorted(rank[:limit])]


def _texts(pair: Pair) -> tuple[str, str]:
    return pair.claim, pair.evidence


def values_of(
    experiment: Experiment,
    pairs: Sequence[Pair],
    encoder: EncoderModel | None,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> NDArray[np.float64]:
    """Return what the head reads, shape (pairs, `Experiment.names`).

    Raises:
        InputError: the experiment asks an encoder and none is given.
    """
    kind = experiment.model.values
    if kind != "comparison" and encoder is None:
        raise InputError("this model has no encoder", where=experiment.model.encoder)
    rows = []
    for number, pair in enumerate(pairs):
        parts = []
        if encoder is not None and kind != "comparison":
            parts.append(encoder.encoded(*_texts(pair)))
        if kind != "encoder":
            parts.append(features(*_texts(pair)))
        rows.append(np.concatenate(parts))
        progress(number + 1, len(pairs))
    every = {"comparison": FEATURES, "encoder": ENCODED, "joined": (*ENCODED, *FEATURES)}[kind]
    kept = [every.index(name) for name in experiment.names]
    return np.array(rows, dtype=np.float64).reshape(len(pairs), len(every))[:, kept]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an experiment found; ``p`` are the out-of-fold probabilities (seeds, n, 3)."""

    metrics: dict[str, Any]
    p: NDArray[np.float64]


def _fitted(
    x: NDArray[np.float64], y: NDArray[np.int64], strength: float
) -> tuple[NDArray[np.float64], ...]:
    from models.train import fit

    return fit(x, y, balanced(np.ones(len(y)), y), strength=strength)


def _said(layer: tuple[NDArray[np.float64], ...], x: NDArray[np.float64]) -> NDArray[np.float64]:
    mean, scale, weights, bias = layer
    return softmax(np.clip((x - mean) / scale, -6.0, 6.0) @ weights.T + bias)


def out_of_fold(
    x: NDArray[np.float64],
    y: NDArray[np.int64],
    groups: Sequence[str],
    *,
    folds: int,
    seed: int,
    strength: float,
    labels: int = 0,
) -> NDArray[np.float64]:
    """Return the probabilities of each pair by a head that saw no pair of its text, shape (n, 3).

    With ``labels`` each head is fitted on so many pairs of its folds, drawn by ``seed``.

    Raises:
        InputError: fewer texts than folds, or a head would lack a label.
    """
    fold = calibration.folds_of(groups, folds=folds, seed=seed)
    if len(set(fold.tolist())) < folds:
        raise InputError(f"fewer than {folds} source texts", where="protocol.folds")
    p = np.zeros((len(y), 3))
    for i in range(folds):
        train = np.flatnonzero(fold != i)
        if labels:
            if labels > len(train):
                raise InputError(
                    f"{labels} labels asked for, {len(train)} are in the folds",
                    where="protocol.curve",
                )
            train = np.sort(np.random.default_rng([seed, i]).permutation(train)[:labels])
        if set(np.unique(y[train]).tolist()) != {0, 1, 2}:
            raise InputError(
                f"{len(train)} pairs of the folds lack a label",
                where="protocol.curve" if labels else "data.pairs",
                remedy="more pairs, or fewer folds",
            )
        held = fold == i
        p[held] = _said(_fitted(x[train], y[train], strength), x[held])
    return p


def figures(
    p: NDArray[np.float64], y: NDArray[np.int64], *, threshold: float
) -> dict[str, float | None]:
    """Return the figures of one seed by name; a share of nothing is None."""
    said = p.argmax(axis=1)
    gold = [LABEL_ORDER[i] for i in y]
    by_label = evaluate.f1_by_label(gold, [LABEL_ORDER[i] for i in said])
    refuted = LABEL_ORDER.index(Label.REFUTED)
    flagged = (said == refuted) & (p[:, refuted] >= threshold)
    right = said == y
    truth = np.eye(3)[y]
    return {
        "macro_f1": sum(by_label.values()) / 3.0,
        **{f"f1_{label}": value for label, value in by_label.items()},
        "accuracy": float(right.mean()),
        "log_loss": float(-np.log(np.clip(p[np.arange(len(y)), y], 1e-12, 1.0)).mean()),
        "brier": float(((p - truth) ** 2).sum(axis=1).mean()),
        "ece": evaluate.calibration_error(p.max(axis=1), right),
        "flags": float(flagged.sum()),
        "flags_right": float(right[flagged].mean()) if flagged.any() else None,
    }


def _over_seeds(rows: Sequence[dict[str, float | None]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in rows[0]:
        values = [v for row in rows if (v := row[name]) is not None]
        if not values:
            found[name] = None
            continue
        s = curves.spread(values)
        known = s.n > 1
        found[name] = {
            "mean": s.mean, "sd": s.sd, "low": s.low if known else None,
            "high": s.high if known else None, "seeds": s.n,
        }  # fmt: skip
    return found


def over_texts(
    p: NDArray[np.float64], y: NDArray[np.int64], groups: Sequence[str], *, seed: int = 0
) -> dict[str, float]:
    """Return the 95 % interval of macro-F1 by the bootstrap over source texts, of one seed."""
    gold, said = ([LABEL_ORDER[i] for i in row] for row in (y, p.argmax(axis=1)))
    names = {name: i for i, name in enumerate(sorted(set(groups)))}
    table = compare.counts_of(gold, said, np.array([names[g] for g in groups]), len(names))
    draws = np.random.default_rng(seed).integers(0, len(names), size=(ROUNDS, len(names)))
    found = compare.macro_f1_of(np.stack([table[draw].sum(axis=0) for draw in draws]))
    low, high = np.quantile(found, (0.025, 0.975))
    return {"low": float(low), "high": float(high), "texts": len(names)}


def run(
    experiment: Experiment, pairs: Sequence[Pair], x: NDArray[np.float64],
    *, told: Callable[[int, dict[str, float | None]], None] = lambda seed, row: None,
) -> Outcome:  # fmt: skip
    """Fit and measure; ``told`` hears of each seed.

    Raises:
        InputError: too few pairs or texts for what the protocol asks.
    """
    y = np.array([LABEL_ORDER.index(p.label) for p in pairs], dtype=np.int64)
    groups = [p.group for p in pairs]
    asked = experiment.protocol
    every, rows = [], []
    for seed in asked.seeds:
        p = out_of_fold(
            x, y, groups, folds=asked.folds, seed=seed, strength=experiment.model.strength
        )
        every.append(p)
        rows.append(figures(p, y, threshold=asked.threshold))
        told(seed, rows[-1])
    curve = {}
    for labels in asked.curve:
        found = [
            figures(
                out_of_fold(
                    x, y, groups, folds=asked.folds, seed=seed, labels=labels,
                    strength=experiment.model.strength,
                ),
                y, threshold=asked.threshold,
            )
            for seed in asked.seeds
        ]  # fmt: skip
        curve[str(labels)] = _over_seeds(found)["macro_f1"]
    verdicts = [verdict_of(row) for row in (every[0] / every[0].sum(axis=1, keepdims=True))]
    metrics = {
        "pairs": len(pairs),
        "texts": len(set(groups)),
        "labels": {str(label): int((y == i).sum()) for i, label in enumerate(LABEL_ORDER)},
        "over_seeds": _over_seeds(rows),
        "by_seed": {str(s): row for s, row in zip(asked.seeds, rows, strict=True)},
        "macro_f1_over_texts": over_texts(every[0], y, groups),
        "curve": curve,
        "slices": {
            s.name: s.as_dict() for s in by_slice(pairs, verdicts, threshold=asked.threshold)
        },
    }
    return Outcome(metrics=metrics, p=np.array(every))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A pair that the head got wrong, with how sure it was."""

    number: int
    slices: tuple[str, ...]
    gold: Label
    said: Label
    sure: float
    claim: str
    evidence: str


def mistakes(
    pairs: Sequence[Pair], p: NDArray[np.float64], *, slice_: str = "", limit: int = 5
) -> list[Mistake]:
    """Return the surest mistakes, of one slice or of all; texts are those of the pairs.

    Raises:
        InputError: no such slice.
    """
    if slice_ and slice_ not in SLICES:
        raise InputError(f"no slice {slice_!r}", remedy=f"one of {', '.join(SLICES)}")
    y = np.array([LABEL_ORDER.index(pair.label) for pair in pairs], dtype=np.int64)
    said = p.argmax(axis=1)
    wrong = np.flatnonzero(said != y)
    found = []
    for i in wrong[np.lexsort((wrong, -p[wrong].max(axis=1)))].tolist():
        mine = tuple(name for name, test in SLICES.items() if test(pairs[i]))
        if slice_ and slice_ not in mine:
            continue
        found.append(
            Mistake(
                number=i, slices=mine, gold=pairs[i].label, said=LABEL_ORDER[said[i]],
                sure=float(p[i].max()), claim=pairs[i].claim, evidence=pairs[i].evidence,
            )
        )  # fmt: skip
        if len(found) == limit:
            break
    return found
