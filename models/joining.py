"""From a pretrained encoder and pairs to a model folder: fine-tune, export, join, calibrate, gate.

The logistic layers over the encoder's values and the comparison features are fitted on held-out
source texts that the encoder was not trained on, calibrated on folds of them grouped by text, and
the threshold is chosen there; other texts are reported on. The report sets the encoder alone, the
comparison alone and both together side by side, on the same pairs: an encoder that adds nothing is
told so, and the manifest says it.
"""

from __future__ import annotations

import json
import logging
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import LABEL_ORDER, Label, sha256_hex
from kiemchung.errors import InputError, ModelError
from models import calibration, evaluate, registry
from models.comparison import features, softmax
from models.encoder import (
    ENCODED,
    FORMS,
    FUSED,
    FUSION_FILE,
    ONNX_FILE,
    WEIGHTS_FILE,
    EncoderModel,
    Layer,
    Sequences,
    form_of,
    gathered,
    held_back,
    onnx_logits,
    open_session,
    sequences,
)
from models.finetune import Course, Recipe, Row, fine_tune, widen
from models.marks import TYPES
from models.tokenizer import CODES_FILE, VOCAB_FILE, PhobertBpe
from models.weighing import balanced

if TYPE_CHECKING:
    from models.construct import Pair
    from models.train import Data

LOG: Final = logging.getLogger(__name__)
OPSET: Final = 17
NEAR: Final = 0.05  # of a probability: flips this near the threshold are counted apart
PROBES: Final = 300  # held-out pairs on which int8 is compared with fp32
DROPOUT: Final = 0.1


def _files_of(encoder: str) -> tuple[Path, Path]:
    """Return vocab.txt and bpe.codes of a local folder or a hub id."""
    folder = Path(encoder)
    if folder.is_dir():
        return folder / VOCAB_FILE, folder / CODES_FILE
    from transformers.utils.hub import cached_file

    try:
        found = [cached_file(encoder, name) for name in (VOCAB_FILE, CODES_FILE)]
    except OSError as error:
        raise ModelError(
            f"cannot be had: {error}",
            where=encoder,
            remedy="give a folder with config.json, the weights, vocab.txt and bpe.codes",
        ) from error
    return Path(str(found[0])), Path(str(found[1]))


def load_encoder(encoder: str, seed: int) -> tuple[Any, PhobertBpe, tuple[Path, Path]]:
    """Return (network with a new classifier and the marks' types, tokenizer, its two files).

    Raises:
        ModelError: it cannot be loaded, is no RoBERTa, or has fewer rows than the tokenizer ids.
    """
    import torch
    from transformers import AutoConfig, RobertaForSequenceClassification

    if "base-v2" in encoder:
        LOG.warning("%s is AGPL-3.0: what is made of it falls under that licence", encoder)
    files = _files_of(encoder)
    bpe = PhobertBpe(*files)
    torch.manual_seed(seed)
    try:
        config = AutoConfig.from_pretrained(encoder, trust_remote_code=False)
        if config.model_type != "roberta":
            raise ModelError(
                f"a {config.model_type} checkpoint; PhoBERT and its kind are roberta",
                where=encoder,
                remedy="give vinai/phobert-base, or a folder of `kiemchung train pretrain`",
            )
        config.num_labels = len(LABEL_ORDER)
        config.hidden_dropout_prob = config.attention_probs_dropout_prob = DROPOUT
        net = RobertaForSequenceClassification.from_pretrained(
            encoder, config=config, trust_remote_code=False
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"cannot be loaded: {error}", where=encoder) from error
    rows = int(net.config.vocab_size)
    if rows < bpe.size:
        raise ModelError(
            f"the tokenizer has {bpe.size} ids, the embedding {rows} rows: they do not belong "
            "together",
            where=encoder,
        )
    widen(net, TYPES)
    if not torch.cuda.is_available():
        net.set_attn_implementation("eager")  # faster than the fused kernel at such lengths
    return net, bpe, files


def rows_of(
    bpe: PhobertBpe,
    pairs: Sequence[Pair],
    *,
    longest: int,
    weights: Sequence[float] | None = None,
) -> list[Row]:
    """Return one row a pair: the passage that speaks of the claim, as the encoder reads it."""
    found = []
    for p, weight in zip(pairs, weights or [1.0] * len(pairs), strict=True):
        read = sequences(bpe, p.claim, p.evidence, longest=longest)
        found.append(
            Row(
                ids=read.ids[0], types=read.types[0], label=LABEL_ORDER.index(p.label),
                weight=weight,
            )
        )  # fmt: skip
    return found


def train_verdict(
    out: Path,
    data: Data,
    *,
    encoder: str,
    recipe: Recipe | None = None,
    precision: str = "int8",
    weights: Sequence[float] | None = None,
) -> Path:
    """Fine-tune an encoder on pairs, export it, join it with the comparison; return the folder.

    ``weights`` say how much each training pair counts; without them all count alike.

    Raises:
        ModelError: the encoder cannot be used, see `load_encoder`, or its export is not exact.
        InputError: too few pairs to train, calibrate and report on.
    """
    recipe = recipe or Recipe()
    if min(len(data.train), len(data.calibration), len(data.report)) < 6:
        raise InputError(
            f"{len(data.train)} training, {len(data.calibration)} calibration and "
            f"{len(data.report)} report pairs are too few",
            where="train",
            remedy="give --corpus DIR or more --pairs",
        )
    net, bpe, tokenizer = load_encoder(encoder, recipe.seed)
    longest = min(recipe.longest, int(net.config.max_position_embeddings) - 2)
    early = data.calibration[::2]
    course = fine_tune(
        net,
        rows_of(bpe, data.train, longest=longest, weights=weights),
        rows_of(bpe, early, longest=longest),
        recipe,
    )
    return finish(
        out, data, net, bpe, tokenizer, encoder=encoder, recipe=recipe, course=course,
        longest=longest, precision=precision,
    )  # fmt: skip


def finish(
    out: Path,
    data: Data,
    net: Any,  # noqa: ANN401
    bpe: PhobertBpe,
    tokenizer: tuple[Path, Path],
    *,
    encoder: str,
    recipe: Recipe,
    course: Course,
    longest: int,
    precision: str,
) -> Path:
    """Export a fine-tuned network, join it with the comparison, measure, write the folder.

    Raises:
        ModelError: the export differs from the network.
    """
    from models import train

    with tempfile.TemporaryDirectory() as scratch:
        full = Path(scratch) / "full.onnx"
        gap = export(net, full, longest=longest)
        small = quantise(full, Path(scratch) / "int8.onnx") if precision == "int8" else full
        chosen = packed(small, Path(scratch) / "packed")
        notes: dict[str, Any] = {
            "export_gap": gap,
            "steps": course.steps,
            "held_out_loss": round(course.kept, 4),
            "parameters": sum(p.numel() for p in net.parameters()),
        }
        files = {
            ONNX_FILE: chosen.read_bytes(),
            WEIGHTS_FILE: (chosen.parent / WEIGHTS_FILE).read_bytes(),
            VOCAB_FILE: tokenizer[0].read_bytes(),
            CODES_FILE: tokenizer[1].read_bytes(),
        }
        session = open_session(chosen)
        table = Table.of(session, bpe, data.calibration, longest=longest)
        told = Table.of(session, bpe, data.tune, longest=longest)
        joined = join(table, data.calibration, told, data.tune)
        draft = EncoderModel(
            model_id="draft", abstain_below=train.ABSTAIN_BELOW, session=session, bpe=bpe,
            threshold=calibration.choose_threshold(joined.p, joined.y), layers=joined.layers,
            longest=longest,
        )  # fmt: skip
        if small is not full:
            notes |= _parity(replace(draft, session=open_session(full)), draft, data.report)
        report = Table.of(session, bpe, data.report, longest=longest)
        notes |= ablation(data, joined, table, report)
        notes |= on_people(joined, threshold=draft.threshold)
        return _written(
            out, data, joined, draft, recipe=recipe, precision=precision, encoder=encoder,
            vocabulary=int(net.config.vocab_size), notes=notes, files=files,
        )  # fmt: skip


def sources_of(encoder: str) -> tuple[str, ...]:
    """Return what the card must say of an encoder: its name, or what it was pretrained on here."""
    path = Path(encoder) / "pretraining.json"
    if not path.is_file():
        return (f"encoder {Path(encoder).name if Path(encoder).is_dir() else encoder}",)
    body = json.loads(path.read_text(encoding="utf-8"))
    plan = body["plan"]
    layers, width = plan["shape"]["layers"], plan["shape"]["width"]
    began = body.get("began_from") or {}
    start = (
        f"begun with layers {began['layers']} and the word vectors of {began['source']}"
        if began
        else "random start"
    )
    return (
        f"own encoder {layers}x{width}, {plan['tokens'] / 1e6:g} M tokens of masked words, "
        f"held-out perplexity {body.get('held_out_perplexity', 'unknown')}, {start}",
        *(f"pretraining text: {name}" for name in body["sources"]),
    )


# --- export ---------------------------------------------------------------------------------------


def export(net: Any, path: Path, *, longest: int) -> float:  # noqa: ANN401
    """Write ``net`` as ONNX with free batch and length; return the largest logit gap to torch.

    The wrapper is put into eval mode itself: else the export trains, and dropout is compared.

    Raises:
        ModelError: the exported graph differs from torch by more than 1e-4 on one of three shapes.
    """
    import torch

    class Logits(torch.nn.Module):
        def __init__(self, inner: Any) -> None:  # noqa: ANN401
            super().__init__()
            self.inner = inner

        def forward(self, input_ids: Any, token_type_ids: Any) -> Any:  # noqa: ANN401
            mask = torch.ones_like(input_ids)
            return self.inner(
                input_ids=input_ids, attention_mask=mask, token_type_ids=token_type_ids
            ).logits

    wrapper = Logits(net.to("cpu"))
    wrapper.eval()
    net.set_attn_implementation("sdpa")  # training may have used another; the graph is one
    top, kinds = int(net.config.vocab_size), int(net.config.type_vocab_size)
    draw = np.random.default_rng(0)
    shapes = ((2, 12), (5, min(31, longest)), (1, 7))
    samples = [
        tuple(torch.tensor(draw.integers(low, high, size=s), dtype=torch.int64)
              for low, high in ((4, top), (0, kinds)))
        for s in shapes
    ]  # fmt: skip
    free = {0: "batch", 1: "length"}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecation
        torch.onnx.export(
            wrapper,
            samples[0],
            str(path),
            input_names=["input_ids", "token_type_ids"],
            output_names=["logits"],
            dynamic_axes={"input_ids": free, "token_type_ids": free, "logits": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )
        session = open_session(path)
        gap = 0.0
        for ids, types in samples:
            given = {"input_ids": ids.numpy(), "token_type_ids": types.numpy()}
            (ours,) = session.run(["logits"], given)
            gap = max(gap, float(np.abs(ours - wrapper(ids, types).numpy()).max()))
    if gap > 1e-4:
        raise ModelError(f"the export differs from torch by {gap:.2g}", where=str(path))
    return gap


def quantise(source: Path, target: Path) -> Path:
    """Write the dynamic int8 form of an ONNX file (weights QInt8, activations by sequence)."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = logging.getLogger()
        level = root.level
        root.setLevel(logging.ERROR)  # it advises pre-processing on every call
        try:
            quantize_dynamic(str(source), str(target), weight_type=QuantType.QInt8)
        finally:
            root.setLevel(level)
    return target


def packed(source: Path, folder: Path) -> Path:
    """Write ``source`` as a small graph and its weights beside it; return the graph.

    Weights in a file of their own are mapped, not copied: 163 MB instead of 241 MB at the peak for
    PhoBERT-base's shape in int8 (onnxruntime 1.23).
    """
    import onnx

    folder.mkdir(parents=True, exist_ok=True)
    target = folder / ONNX_FILE
    onnx.save_model(
        onnx.load(str(source)), str(target), save_as_external_data=True,
        all_tensors_to_one_file=True, location=WEIGHTS_FILE, size_threshold=1024,
    )  # fmt: skip
    return target


def _parity(full: EncoderModel, small: EncoderModel, pairs: Sequence[Pair]) -> dict[str, Any]:
    """Return how far int8 moves logits and verdicts on real pairs, and where it flips one."""
    chosen = pairs[:: max(1, len(pairs) // PROBES)][:PROBES]
    refuted = LABEL_ORDER.index(Label.REFUTED)
    gaps, flips, near = [], 0, 0
    for p in chosen:
        gap = np.abs(full.encoded(p.claim, p.evidence) - small.encoded(p.claim, p.evidence))
        gaps.append(float(gap[:3].max()))
        a, b = (m.probabilities(p.claim, p.evidence) for m in (full, small))
        flips += int(a.argmax() != b.argmax())
        crossed = (a[refuted] >= full.threshold) != (b[refuted] >= full.threshold)
        near += int(crossed and abs(a[refuted] - full.threshold) <= NEAR)
    return {
        "int8_largest_drift": round(max(gaps), 4),
        "int8_mean_drift": round(float(np.mean(gaps)), 4),
        "int8_label_flips": flips,
        "int8_flips_near_threshold": near,
        "int8_pairs": len(chosen),
    }


# --- the layer over both --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Pairs as the layer sees them: shape (n, `FUSED`), and the index of each label."""

    x: NDArray[np.float64]
    y: NDArray[np.int64]

    @classmethod
    def of(cls, session: Any, bpe: PhobertBpe, pairs: Sequence[Pair], *, longest: int) -> Table:  # noqa: ANN401
        """Score ``pairs`` one sequence at a time, as they are scored at work."""

        def row(p: Pair) -> NDArray[np.float64]:
            read: Sequences = sequences(bpe, p.claim, p.evidence, longest=longest)
            logits = [onnx_logits(session, *s) for s in zip(read.ids, read.types, strict=True)]
            return np.concatenate([gathered(np.stack(logits)), features(p.claim, p.evidence)])

        return cls(
            x=np.array([row(p) for p in pairs]).reshape(len(pairs), len(FUSED)),
            y=np.array([LABEL_ORDER.index(p.label) for p in pairs], dtype=np.int64),
        )


STRENGTH: Final = 0.005  # inverse L2 of the layers; flat between 0.005 and 0.02
FOLDS: Final = 5
REPEATS: Final = 5
FEWEST: Final = 60  # rows of a form that can carry a layer of its own
TUNE_WEIGHT: Final = {"short": 3.0, "long": 1.0}
"""How much a pair labelled by people counts against a constructed one; of 1, 3, 10 and 30 the best
by macro-F1 on folds of ViFactCheck's half (benchmarks/verdict.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What a layer is fitted on: values (n, k), labels, texts, kinds, weights; which are tuned."""

    x: NDArray[np.float64]
    y: NDArray[np.int64]
    groups: tuple[str, ...]
    kinds: tuple[str, ...]
    weight: NDArray[np.float64]
    tuned: NDArray[np.bool_]

    def columns(self, part: slice) -> Rows:
        """Return the same rows with some of the values."""
        return replace(self, x=self.x[:, part])

    def where(self, kept: NDArray[np.bool_]) -> Rows:
        """Return some of the rows."""
        return Rows(
            x=self.x[kept],
            y=self.y[kept],
            groups=tuple(g for g, k in zip(self.groups, kept, strict=True) if k),
            kinds=tuple(kind for kind, k in zip(self.kinds, kept, strict=True) if k),
            weight=self.weight[kept],
            tuned=self.tuned[kept],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """The layers of both forms, and what they say of rows they were not fitted on."""

    layers: dict[str, Layer]
    rows: dict[str, Rows]
    p: NDArray[np.float64]
    y: NDArray[np.int64]


def rows_for(
    form: str, table: Table, pairs: Sequence[Pair], tune_table: Table, tune: Sequence[Pair]
) -> Rows:
    """Return the rows of the layer for ``form``.

    Balanced pairs train the encoder, not the layers: their mix of labels and differences is made to
    be hard, and a layer fitted on it expects that mix. Where a form has too few rows of its own,
    those of the other serve it too.
    """
    natural = np.array([not p.balanced for p in pairs], dtype=np.bool_)
    natural = natural if _enough(table.y[natural]) else np.ones(len(pairs), dtype=np.bool_)
    mine = natural & np.array([form_of(p.evidence) == form for p in pairs], dtype=np.bool_)
    first = np.flatnonzero(mine if _enough(table.y[mine]) else natural)
    second = np.flatnonzero([form_of(p.evidence) == form for p in tune])
    chosen = [*(pairs[int(i)] for i in first), *(tune[int(i)] for i in second)]
    tuned = np.arange(len(chosen)) >= len(first)
    return Rows(
        x=np.concatenate([table.x[first], tune_table.x[second]]),
        y=np.concatenate([table.y[first], tune_table.y[second]]),
        groups=tuple(p.group for p in chosen),
        kinds=tuple(str(p.kind) for p in chosen),
        weight=np.where(tuned, TUNE_WEIGHT[form], 1.0),
        tuned=tuned,
    )


def join(
    table: Table, pairs: Sequence[Pair], tune_table: Table | None = None, tune: Sequence[Pair] = ()
) -> Joined:
    """Fit one layer for short evidence and one for articles, and calibrate both.

    Each layer is fitted on all its rows. What calibrates it are the pairs labelled by people, by
    folds of their source texts; where there are not enough of them, see `scaling_for_others`.
    """
    told = tune_table or Table(x=np.zeros((0, table.x.shape[1])), y=np.zeros(0, dtype=np.int64))
    layers: dict[str, Layer] = {}
    kept: dict[str, Rows] = {}
    found = []
    for form in FORMS:
        rows = kept[form] = rows_for(form, table, pairs, told, tune)
        layer = _layer(rows)
        out = out_of_fold(rows)
        real = rows.tuned
        if _enough(rows.y[real]):
            factors, shifts = calibration.fit_scaling(
                out[real], rows.y[real], [g for g, r in zip(rows.groups, real, strict=True) if r]
            )
        else:
            factors, shifts = scaling_for_others(rows)
        layers[form] = replace(
            layer, weights=layer.weights * factors[:, None], bias=layer.bias * factors + shifts
        )
        found.append((softmax(held_back(rows.x, out * factors + shifts)), rows.y))
    return Joined(
        layers=layers,
        rows=kept,
        p=np.concatenate([p for p, _ in found]),
        y=np.concatenate([y for _, y in found]),
    )


def _enough(y: NDArray[np.int64]) -> bool:
    return len(y) >= FEWEST and all((y == k).sum() >= FEWEST // 6 for k in range(3))


def _layer(rows: Rows) -> Layer:
    """Fit a logistic layer; the three labels weigh alike."""
    from models import train

    weight = balanced(rows.weight, rows.y)
    mean, scale, weights, bias = train.fit(rows.x, rows.y, weight, strength=STRENGTH)
    return Layer(mean=mean, scale=scale, weights=weights, bias=bias)


def out_of_fold(rows: Rows, *, seed: int = 0) -> NDArray[np.float64]:
    """Return logits of each row by a layer that saw no row of its source text.

    With so few texts that a fold would lack a label, the logits of the layer fitted on all rows.
    """
    fold = calibration.folds_of(rows.groups, folds=FOLDS, seed=seed)
    parts = [fold == i for i in range(min(FOLDS, len(set(rows.groups))))]
    if len(parts) < FOLDS or any(set(rows.y[~part].tolist()) != {0, 1, 2} for part in parts):
        return _layer(rows).linear(rows.x)
    out = np.zeros((len(rows.y), 3))
    for part in parts:
        out[part] = _layer(rows.where(~part)).linear(rows.x[part])
    return out


def scaling_for_others(rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the (factors (3,), shifts (3,)) of a layer that will meet other kinds of pairs.

    Constructed pairs are of a few kinds, and a layer is surer of a kind that it was fitted on than
    of what people write. So each kind is scored by a layer that saw none of it, and one temperature
    is fitted to that. By folds of texts alone the layers were too sure of ViFactCheck's pairs by
    0.06 and 0.09, by kinds by less than 0.01 (seed 1, neither fitted on them).
    """
    kinds = np.array(rows.kinds)
    out = out_of_fold(rows)
    for kind in sorted(set(rows.kinds)):
        mine = kinds == kind
        if set(rows.y[~mine].tolist()) == {0, 1, 2}:
            out[mine] = _layer(rows.where(~mine)).linear(rows.x[mine])
    factor = 1.0 / calibration.fit_temperature(out, rows.y)
    return np.full(3, factor), np.zeros(3)


def on_people(joined: Joined, *, threshold: float) -> dict[str, Any]:
    """Return the report on the pairs labelled by people, and whether the encoder earns its place.

    Where there are such pairs they decide: the joined layers against the comparison alone, by the
    same folds, over both forms; a paired bootstrap over the pairs says how sure that is.
    """
    report = tuned_report(joined, threshold=threshold)
    if not report:
        return {}
    wide = len(ENCODED)
    gold: list[Label] = []
    compared: list[Label | None] = []
    together: list[Label | None] = []
    for form in report:
        rows = joined.rows[form]
        kept = rows.tuned
        both = held_back(rows.x[kept], out_of_fold(rows)[kept])
        other = out_of_fold(rows.columns(slice(wide, None)))[kept]
        gold += [LABEL_ORDER[i] for i in rows.y[kept]]
        together += [LABEL_ORDER[i] for i in both.argmax(axis=1)]
        compared += [LABEL_ORDER[i] for i in other.argmax(axis=1)]
    chance = evaluate.paired_bootstrap(gold, compared, together, rounds=500)
    return {
        "labelled_by_people": report,
        "beats_comparison": bool(chance < 0.05),
        "beats_comparison_on": "pairs labelled by people, by folds of their texts",
        "chance_that_it_does_not": chance,
    }


def tuned_report(joined: Joined, *, threshold: float) -> dict[str, Any]:
    """Return, by form, how the layers do on the pairs labelled by people, by folds of their texts.

    Mean and spread over `REPEATS` ways to draw the folds, calibrated inside each; beside them the
    encoder's values alone and the comparison alone, fitted the same way.
    """
    wide = len(ENCODED)
    refuted = LABEL_ORDER.index(Label.REFUTED)
    found: dict[str, Any] = {}
    for form, rows in joined.rows.items():
        if not _enough(rows.y[rows.tuned]):
            continue
        gold = [LABEL_ORDER[i] for i in rows.y[rows.tuned]]
        figures: dict[str, list[float]] = {}
        for seed in range(REPEATS):
            parts = {"joined": slice(None), "encoder": slice(wide), "comparison": slice(wide, None)}
            for name, part in parts.items():
                out = out_of_fold(rows.columns(part), seed=seed)[rows.tuned]
                if name == "joined":
                    out = held_back(rows.x[rows.tuned], out)
                said: list[Label | None] = [LABEL_ORDER[i] for i in out.argmax(axis=1)]
                figures.setdefault(f"{name}_macro_f1", []).append(evaluate.macro_f1(gold, said))
                if name != "joined":
                    continue
                groups = [g for g, t in zip(rows.groups, rows.tuned, strict=True) if t]
                p = softmax(
                    held_back(
                        rows.x[rows.tuned],
                        calibration.scaled_out_of_fold(out, rows.y[rows.tuned], groups, seed=seed),
                    )
                )
                right = p.argmax(axis=1) == rows.y[rows.tuned]
                figures.setdefault("ece", []).append(
                    evaluate.calibration_error(p.max(axis=1), right)
                )
                shown = (p.argmax(axis=1) == refuted) & (p[:, refuted] >= threshold)
                figures.setdefault("flags", []).append(float(shown.sum()))
                figures.setdefault("flags_right", []).append(float(right[shown].sum()))
        found[form] = {
            "pairs": int(rows.tuned.sum()),
            "texts": len(set(groups)),
            **_untuned(rows, gold, threshold=threshold),
        } | {
            name: {"mean": round(float(np.mean(v)), 4), "spread": round(float(np.std(v)), 4)}
            for name, v in figures.items()
        }
    return found


def _untuned(rows: Rows, gold: Sequence[Label], *, threshold: float) -> dict[str, float]:
    """Return how a layer does on the tuned rows that was fitted and calibrated without them."""
    made = rows.where(~rows.tuned)
    if not _enough(made.y):
        return {}
    factors, shifts = scaling_for_others(made)
    x = rows.x[rows.tuned]
    p = softmax(held_back(x, _layer(made).linear(x) * factors + shifts))
    said: list[Label | None] = [LABEL_ORDER[i] for i in p.argmax(axis=1)]
    right = p.argmax(axis=1) == rows.y[rows.tuned]
    refuted = LABEL_ORDER.index(Label.REFUTED)
    shown = (p.argmax(axis=1) == refuted) & (p[:, refuted] >= threshold)
    return {
        "zero_shot_macro_f1": round(evaluate.macro_f1(gold, said), 4),
        "zero_shot_ece": round(evaluate.calibration_error(p.max(axis=1), right), 4),
        "zero_shot_flags": int(shown.sum()),
        "zero_shot_flags_right": int(right[shown].sum()),
    }


def ablation(data: Data, joined: Joined, table: Table, report: Table) -> dict[str, Any]:
    """Return macro-F1 of the encoder alone, the comparison alone and both, on the report pairs.

    The encoder alone has a layer over its five values on the rows that the joined layers have; the
    comparison alone one over its features on all that the encoder was trained on as well: neither
    is handicapped.
    """
    from models import train

    gold = [p.label for p in data.report]
    wide = len(ENCODED)
    own = _layer(
        Rows(
            x=table.x[:, :wide], y=table.y, groups=("",) * len(table.y),
            kinds=("",) * len(table.y), weight=np.ones(len(table.y)),
            tuned=np.zeros(len(table.y), dtype=np.bool_),
        )
    )  # fmt: skip
    x, y = train.matrix((*data.train, *data.calibration))
    other = Layer(**dict(zip(
        ("mean", "scale", "weights", "bias"),
        train.fit(x, y, np.ones(len(y)), strength=train.STRENGTH), strict=True,
    )))  # fmt: skip
    forms = [form_of(p.evidence) for p in data.report]
    both = np.array([
        joined.layers[form].logits(row) for form, row in zip(forms, report.x, strict=True)
    ])  # fmt: skip

    def said(logits: NDArray[np.float64]) -> list[Label | None]:
        return [LABEL_ORDER[i] for i in logits.argmax(axis=1)]

    alone = said(own.linear(report.x[:, :wide]))
    compared, together = said(other.linear(report.x[:, wide:])), said(both)
    chance = evaluate.paired_bootstrap(gold, compared, together, rounds=500)
    return {
        "encoder_alone_macro_f1": round(evaluate.macro_f1(gold, alone), 4),
        "comparison_alone_macro_f1": round(evaluate.macro_f1(gold, compared), 4),
        "joined_macro_f1": round(evaluate.macro_f1(gold, together), 4),
        "beats_comparison": bool(chance < 0.05),
        "beats_comparison_on": "held-out constructed pairs",
        "chance_that_it_does_not": chance,
    }


def _written(
    out: Path,
    data: Data,
    joined: Joined,
    draft: EncoderModel,
    *,
    recipe: Recipe,
    precision: str,
    encoder: str,
    vocabulary: int,
    notes: dict[str, Any],
    files: dict[str, bytes],
) -> Path:
    from models import train

    body = {
        "kind": "encoder",
        "format": 3,
        "features": list(FUSED),
        "labels": [str(label) for label in LABEL_ORDER],
        "marks": TYPES,
        "layers": {form: layer.body() for form, layer in draft.layers.items()},
        "longest": draft.longest,
        "vocabulary": vocabulary,
    }
    fusion = (json.dumps(body, ensure_ascii=False, indent=1) + "\n").encode("utf-8")
    model_id = f"encoder-{sha256_hex(files[ONNX_FILE] + files[WEIGHTS_FILE] + fusion)[:12]}"
    model = replace(draft, model_id=model_id)
    found = evaluate.evaluate(model, data.report)
    metrics = {
        "on": "held-out pairs, other source texts than the training's",
        **found.short(),
        **notes,
    }
    manifest = registry.Manifest(
        kind="encoder",
        model_id=model_id,
        threshold=model.threshold,
        abstain_below=model.abstain_below,
        precision=precision,
        calibration={
            "method": "of pairs labelled by people: temperature or vector scaling, whichever has "
            "the lower log loss on folds grouped by source text; without them one temperature on "
            "kinds of pairs left out in turn; folded into the layer",
            "pairs": len(joined.y),
            "threshold_rule": "lowest P(REFUTED) with a Wilson lower bound of 0.90",
            "conformal": calibration.conformal(joined.p, joined.y),
            "seed": recipe.seed,
        },
        metrics=metrics,
        trained_on=(*sources_of(encoder), *data.names),
        files={},
    )
    card = train.card(manifest).encode("utf-8")
    return registry.write(out, manifest, {**files, FUSION_FILE: fusion, registry.CARD: card})
