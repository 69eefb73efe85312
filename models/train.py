"""Training: one entry point for both kinds of model, the same data rules for both.

```
python -m models.train comparison --out DIR [--corpus DIR] [--lexicon DIR] [--pairs FILE ...]
python -m models.train verdict --encoder ID_OR_FOLDER --pairs FILE ... --out DIR
```
The first needs scikit-learn and makes its pairs from the reference base and the corpus folder; the
second fine-tunes an encoder (PhoBERT by its hub id or from a local folder) with torch and
transformers and joins it with the comparison features. Both hold out whole source texts, calibrate
and choose the threshold there, and write a folder that `models.registry` verifies.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kiemchung import reference
from kiemchung.domain import LABEL_ORDER, Passage, digest, sha256_hex
from kiemchung.errors import InputError, KiemchungError, RecordError
from models import calibration, construct, evaluate, registry
from models.comparison import FEATURES, ComparisonModel, features, softmax
from models.construct import Pair, Rewriter

STRENGTH: Final = 0.02  # inverse L2; swept 0.002 … 0.5 on held-out pairs, flat between 0.01 and 0.1
PAIRS_SHARE: Final = 0.3  # weight of all pairs from files, as a share of the constructed ones
TUNED: Final = "for the layers and their calibration only"  # marks such a source in the card
ABSTAIN_BELOW: Final = 0.40  # of three labels, 0.33 is a blind guess


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Pairs for training and the two held-out parts: calibration and report.

    ``tune`` are pairs labelled by people that fit the layers of a joined model and calibrate it,
    never the encoder; they are reported on by folds of their source texts.
    """

    train: tuple[Pair, ...]
    calibration: tuple[Pair, ...]
    report: tuple[Pair, ...]
    names: tuple[str, ...]
    tune: tuple[Pair, ...] = ()


def read_lexicon(folder: Path | None, name: str) -> list[tuple[str, str]]:
    """Return the word pairs of ``<name>_vi.txt`` (two columns, ``_`` for a space), or nothing.

    Word lists are loose, so a line of one word is passed over and a third word ignored; a file
    that yields nothing is an error.

    Raises:
        RecordError: no such file, or no line of it holds two words.
    """
    if folder is None:
        return []
    path = folder / f"{name}_vi.txt"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise RecordError(f"no word list: {error}", where=str(path)) from error
    parts = [line.split() for line in lines]
    found = [(p[0].replace("_", " "), p[1].replace("_", " ")) for p in parts if len(p) >= 2]
    if not found:
        raise RecordError("no line holds two words", where=str(path), remedy="word SPACE word")
    return found


def gather(
    *,
    passages: Sequence[Passage],
    corpus: Path | None,
    lexicon: Path | None,
    files: Sequence[Path],
    seed: int,
    limit: int,
    per_text: int = 6,
    sources: Sequence[str] = (),
    tune: Sequence[Path] = (),
) -> Data:
    """Return all pairs, split by source text into train, calibration and report (80/10/10).

    The pairs of the files ``tune`` are kept apart, see `Data`.
    """
    rewriter = Rewriter(
        seed,
        synonyms=read_lexicon(lexicon, "synonyms"),
        antonyms=read_lexicon(lexicon, "antonyms"),
    )
    names: list[str] = []
    made: list[Pair] = []
    if corpus is not None:
        texts = construct.read_texts(corpus, limit=limit, seed=seed)
        made += construct.pairs_of_texts(texts, rewriter, per_text=per_text)
        read_from = ", ".join(p.name for p in construct.corpus_files(corpus))
        names.append(f"{len(made)} pairs constructed from {len(texts)} texts of {read_from}")
    own = construct.pairs_of_passages(passages, rewriter)
    if own:
        names.append(f"{len(own)} pairs constructed from {len(passages)} passages of the base")
    made += own
    for path in files:
        read = construct.read_pairs(path)
        names.append(
            f"{len(read)} pairs of {path.name} (SHA-256 {sha256_hex(path.read_bytes())[:12]})"
        )
        made += read
    human: list[Pair] = []
    for path in tune:
        read = construct.read_pairs(path)
        long = construct.read_pairs(path, field="context")
        human += read if read == long else [*read, *long]
        names.append(
            f"{len(read)} pairs of {path.name} (SHA-256 {sha256_hex(path.read_bytes())[:12]}), "
            f"{TUNED}"
        )
    if lexicon is not None:
        names.append(f"word lists of {lexicon.name}/ (synonyms, antonyms) as replacements in them")
    names += sources
    if not made:
        raise InputError(
            "nothing to train on", where="train", remedy="give --corpus DIR or --pairs FILE"
        )
    train, held = construct.split(made)
    half = [int(digest("half", p.group)[:2], 16) % 2 == 0 for p in held]
    return Data(
        train=tuple(train),
        calibration=tuple(p for p, first in zip(held, half, strict=True) if first),
        report=tuple(p for p, first in zip(held, half, strict=True) if not first),
        names=tuple(names),
        tune=tuple(human),
    )


def matrix(pairs: Iterable[Pair]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the features, shape (n, `FEATURES`), and the index of each label in `LABEL_ORDER`."""
    rows = [(features(p.claim, p.evidence), LABEL_ORDER.index(p.label)) for p in pairs]
    if not rows:
        return np.zeros((0, len(FEATURES))), np.zeros(0, dtype=np.int64)
    return np.array([x for x, _ in rows]), np.array([y for _, y in rows], dtype=np.int64)


def weights_of(pairs: Sequence[Pair], files: Sequence[Path]) -> NDArray[np.float64]:
    """Return sample weights: balanced labels, and pairs from files at `PAIRS_SHARE` of the rest."""
    stems = {path.stem for path in files}
    outside = np.array([p.kind in stems for p in pairs])
    weight = np.ones(len(pairs))
    if outside.any() and not outside.all():
        weight[outside] = PAIRS_SHARE * (~outside).sum() / outside.sum()
    labels = np.array([LABEL_ORDER.index(p.label) for p in pairs])
    # Not `weighing.balanced`: each label is held against the sum that those before it have left, so
    # the three weigh alike only where they nearly did (10, 20 and 70 % come to weigh as 33, 41 and
    # 48). The shipped models were fitted so, and their figures would move with another sum.
    for index in range(len(LABEL_ORDER)):
        mine = labels == index
        if mine.any():
            weight[mine] *= weight.sum() / (3.0 * weight[mine].sum())
    return weight


def fit(
    x: NDArray[np.float64], y: NDArray[np.int64], weight: NDArray[np.float64], *, strength: float
) -> tuple[NDArray[np.float64], ...]:
    """Return (mean, scale, weights (3, n), bias (3,)) of a multinomial logistic regression.

    Raises:
        InputError: one of the three labels is missing from the pairs.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    if set(np.unique(y)) != {0, 1, 2}:
        raise InputError("a label has no pairs at all", where="train", remedy="give more pairs")
    scaler = StandardScaler().fit(x, sample_weight=weight)
    scale = np.where(scaler.scale_ > 1e-9, scaler.scale_, 1.0)
    scaled = np.clip((x - scaler.mean_) / scale, -6.0, 6.0)
    layer = LogisticRegression(C=strength, max_iter=4_000).fit(scaled, y, sample_weight=weight)
    return scaler.mean_, scale, layer.coef_, layer.intercept_


def train_comparison(
    out: Path,
    *,
    corpus: Path | None = None,
    lexicon: Path | None = None,
    files: Sequence[Path] = (),
    passages: Sequence[Passage] | None = None,
    seed: int = 0,
    limit: int = 3_000,
    sources: Sequence[str] = (),
) -> Path:
    """Train, calibrate and write the comparison model; return its folder.

    Same inputs and seed give the same weights to the ninth digit. ``passages`` default to the
    reference base of the program.

    Raises:
        InputError: nothing to train on, or a label without pairs.
        RecordError: a line of a pairs file or lexicon cannot be used.
    """
    base = reference.load().passages if passages is None else tuple(passages)
    data = gather(
        passages=base, corpus=corpus, lexicon=lexicon, files=files, seed=seed, limit=limit,
        sources=sources,
    )  # fmt: skip
    x, y = matrix(data.train)
    mean, scale, weights, bias = fit(x, y, weights_of(data.train, files), strength=STRENGTH)
    return finish(out, data, mean, scale, weights, bias, seed=seed)


def finish(
    out: Path,
    data: Data,
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    weights: NDArray[np.float64],
    bias: NDArray[np.float64],
    *,
    seed: int,
) -> Path:
    """Calibrate the layer on held-out pairs, choose the threshold, measure, write the folder."""
    held_x, held_y = matrix(data.calibration)
    logits = np.clip((held_x - mean) / scale, -6.0, 6.0) @ weights.T + bias
    temperature = calibration.fit_temperature(logits, held_y)
    threshold = calibration.choose_threshold(softmax(logits / temperature), held_y)
    draft = ComparisonModel(
        model_id="draft",
        threshold=threshold,
        abstain_below=ABSTAIN_BELOW,
        mean=mean,
        scale=scale,
        weights=weights,
        bias=bias,
        temperature=temperature,
    )
    stored = draft.to_json().encode("utf-8")
    model_id = f"comparison-{sha256_hex(stored)[:12]}"
    model = ComparisonModel.from_json(
        stored.decode("utf-8"),
        model_id=model_id,
        threshold=threshold,
        abstain_below=ABSTAIN_BELOW,
        where="training",
    )
    found = evaluate.evaluate(model, data.report)
    metrics = {
        "on": "held-out constructed pairs of other source texts; no human labels",
        **found.short(),
        "answered": round(found.answered, 4),
        "refuted_at_threshold": _interval(found.refuted_at_threshold),
        "train_pairs": len(data.train),
        "train_kinds": dict(sorted(Counter(p.kind for p in data.train).items())),
    }
    manifest = registry.Manifest(
        kind="comparison",
        model_id=model_id,
        threshold=threshold,
        abstain_below=ABSTAIN_BELOW,
        precision="float64",
        calibration={
            "method": "temperature on held-out pairs, grouped by source text",
            "temperature": temperature,
            "pairs": len(data.calibration),
            "threshold_rule": "lowest P(REFUTED) with a Wilson lower bound of 0.90",
            "seed": seed,
        },
        metrics=metrics,
        trained_on=data.names,
        files={},
    )
    return registry.write(
        out,
        manifest,
        {"comparison.json": stored, registry.CARD: card(manifest).encode("utf-8")},
    )


def _interval(share: evaluate.Interval) -> dict[str, Any]:
    value = None if share.n == 0 else round(share.value, 4)
    return {"value": value, "low": round(share.low, 4), "high": round(share.high, 4), "n": share.n}


def card(manifest: registry.Manifest) -> str:
    """Return the model card: what it is, what it was made from, what it can and cannot do."""
    own = any(name.startswith("own encoder") for name in manifest.trained_on)
    if manifest.kind == "comparison":
        encoder = (
            "There is **no encoder** in it: no pretrained language model, and no weights of "
            "VinAI's PhoBERT or of anybody else."
        )
    elif own:
        encoder = (
            "It holds a compact encoder in PhoBERT's format (RoBERTa over word-segmented text, the "
            "same tokenizer format), pretrained and fine-tuned by this project on the texts below. "
            "It is **not** PhoBERT and holds no weights of VinAI's."
        )
    else:
        encoder = (
            "It holds an encoder in PhoBERT's format, fine-tuned by this project; the encoder's "
            "own licence applies to it (`vinai/phobert-base`: MIT; `-base-v2`: AGPL-3.0)."
        )
    tuned = [name for name in manifest.trained_on if TUNED in name]
    people = (
        "People labelled the pairs that fit and calibrate the layers; the encoder never saw them, "
        "and figures on them are by folds of their source texts."
        if tuned
        else "No pair of them was labelled by a person to fit the layers."
    )
    sources = "\n".join(f"- {name}" for name in manifest.trained_on)
    figures = json.dumps(manifest.metrics, ensure_ascii=False, indent=2)
    return f"""# {manifest.model_id}

Says how a claim stands to an evidence text: SUPPORTED, REFUTED, NOT_ENOUGH_INFO, or nothing.
It speaks of two texts, never of a person or an outlet, and it is a suggestion to a reviewer.

## What it is
Kind `{manifest.kind}`. {encoder}
The comparison part is a multinomial logistic regression over {len(FEATURES)} features of the pair
(quantities, dates, names, negation, quantity words, conditions, what the evidence lacks and what
stands in its place); it sees no claim without its evidence.

## What it was trained on
{sources}

Constructed pairs are made by a program: a true sentence reworded, the smallest edit that changes
its meaning, a clause that the evidence is silent about. Their labels follow from how they were
made, and a word list may put in a word that no journalist would write. {people}

## Figures
{figures}

Threshold of a flag: P(REFUTED) >= {manifest.threshold}. It abstains below {manifest.abstain_below}.
Calibration: {json.dumps(dict(manifest.calibration), ensure_ascii=False)}

## Limits
Paraphrase with other words looks to it like missing information; world knowledge, arithmetic and
irony are beyond it. It must not be used without the passages it was given being shown.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Train from the command line; the manifest's key figures go to standard output as JSON."""
    parser = argparse.ArgumentParser(prog="python -m models.train", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    own = kinds.add_parser("comparison", help="the comparison model; needs scikit-learn only")
    other = kinds.add_parser("verdict", help="an encoder joined with the comparison features")
    for command in (own, other):
        command.add_argument("--out", type=Path, required=True)
        command.add_argument("--corpus", type=Path)
        command.add_argument("--lexicon", type=Path)
        command.add_argument("--pairs", type=Path, nargs="*", default=[])
        command.add_argument(
            "--source", action="append", default=[], help="a line for the card: what the texts are"
        )
        command.add_argument("--seed", type=int, default=0)
        command.add_argument("--limit", type=int, default=3_000, help="texts of the corpus")
    other.add_argument("--encoder", required=True, help="hub id or folder, e.g. vinai/phobert-base")
    other.add_argument("--epochs", type=int, default=3)
    other.add_argument("--precision", choices=("int8", "float32"), default="int8")
    given = parser.parse_args(argv)
    try:
        if given.kind == "comparison":
            folder = train_comparison(
                given.out,
                corpus=given.corpus,
                lexicon=given.lexicon,
                files=given.pairs,
                seed=given.seed,
                limit=given.limit,
                sources=given.source,
            )
        else:
            from models.finetune import Recipe
            from models.joining import train_verdict

            data = gather(
                passages=reference.load().passages,
                corpus=given.corpus,
                lexicon=given.lexicon,
                files=given.pairs,
                seed=given.seed,
                limit=given.limit,
                sources=given.source,
            )
            folder = train_verdict(
                given.out,
                data,
                encoder=given.encoder,
                recipe=Recipe(epochs=given.epochs, seed=given.seed),
                precision=given.precision,
            )
        manifest = registry.verify(folder)
    except (KiemchungError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    shown = {"folder": str(folder), "model_id": manifest.model_id, "threshold": manifest.threshold}
    sys.stdout.write(json.dumps(shown | dict(manifest.metrics), ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
