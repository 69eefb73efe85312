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
    onnx_logits,
    open_session,
    sequences,
)
from models.finetune import Recipe, Row, fine_tune, widen
from models.marks import TYPES
from models.tokenizer import CODES_FILE, VOCAB_FILE, PhobertBpe

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
    return net, bpe, files


def rows_of(bpe: PhobertBpe, pairs: Sequence[Pair], *, longest: int) -> list[Row]:
    """Return one row a pair: the passage that speaks of the claim, as the encoder reads it."""
    found = []
    for p in pairs:
        read = sequences(bpe, p.claim, p.evidence, longest=longest)
        found.append(Row(ids=read.ids[0], types=read.types[0], label=LABEL_ORDER.index(p.label)))
    return found


def train_verdict(
    out: Path, data: Data, *, encoder: str, recipe: Recipe | None = None, precision: str = "int8"
) -> Path:
    """Fine-tune an encoder on pairs, export it, join it with the comparison; return the folder.

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
    net, bpe, (vocab, codes) = load_encoder(encoder, recipe.seed)
    longest = min(recipe.longest, int(net.config.max_position_embeddings) - 2)
    from models import train

    early = data.calibration[::2]
    course = fine_tune(
        net,
        rows_of(bpe, data.train, longest=longest),
        rows_of(bpe, early, longest=longest),
        recipe,
    )
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
            VOCAB_FILE: vocab.read_bytes(),
            CODES_FILE: codes.read_bytes(),
        }
        session = open_session(chosen)
        table = Table.of(session, bpe, data.calibration, longest=longest)
        joined = join(table, data.calibration)
        draft = EncoderModel(
            model_id="draft", abstain_below=train.ABSTAIN_BELOW, session=session, bpe=bpe,
            threshold=calibration.choose_threshold(joined.p, joined.y), layers=joined.layers,
            longest=longest,
        )  # fmt: skip
        if small is not full:
            notes |= _parity(replace(draft, session=open_session(full)), draft, data.report)
        report = Table.of(session, bpe, data.report, longest=longest)
        notes |= ablation(data, joined, table, report)
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
    return (
        f"own encoder {layers}x{width}, {plan['tokens'] / 1e6:g} M tokens of masked words, "
        f"held-out perplexity {body.get('held_out_perplexity', 'unknown')}, random start",
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
            x=np.array([row(p) for p in pairs]),
            y=np.array([LABEL_ORDER.index(p.label) for p in pairs], dtype=np.int64),
        )


STRENGTH: Final = 0.005  # inverse L2 of the layers; flat between 0.005 and 0.02
FOLDS: Final = 5
FEWEST: Final = 60  # rows of a form that can carry a layer of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """The layers of both forms, and what they say of rows they were not fitted on."""

    layers: dict[str, Layer]
    p: NDArray[np.float64]
    y: NDArray[np.int64]


def join(table: Table, pairs: Sequence[Pair]) -> Joined:
    """Fit, on ``pairs``, one layer for short evidence and one for articles, and calibrate both.

    Balanced pairs train the encoder, not the layers: their mix of labels and differences is made to
    be hard, and a layer fitted on it expects that mix. Each layer is fitted on all its rows; what
    calibrates it comes from folds grouped by source text.
    """
    natural = np.array([not p.balanced for p in pairs])
    natural = natural if _enough(table.y[natural]) else np.ones(len(pairs), dtype=np.bool_)
    forms = np.array([form_of(p.evidence) for p in pairs])
    layers: dict[str, Layer] = {}
    held = np.full((len(pairs), 3), 1.0 / 3.0)
    for form in FORMS:
        mine = natural & (forms == form)
        mine = mine if _enough(table.y[mine]) else natural
        rows = np.flatnonzero(mine)
        groups = [pairs[int(i)].group for i in rows]
        layer = _layer(table.x[rows], table.y[rows])
        out = _out_of_fold(table.x[rows], table.y[rows], groups)
        factors, shifts = calibration.fit_scaling(out, table.y[rows], groups)
        layers[form] = replace(
            layer, weights=layer.weights * factors[:, None], bias=layer.bias * factors + shifts
        )
        here = forms[rows] == form
        held[rows[here]] = softmax(out[here] * factors + shifts)
    return Joined(layers=layers, p=held[natural], y=table.y[natural])


def _enough(y: NDArray[np.int64]) -> bool:
    return len(y) >= FEWEST and all((y == k).sum() >= FEWEST // 6 for k in range(3))


def _layer(x: NDArray[np.float64], y: NDArray[np.int64]) -> Layer:
    from models import train

    weight = np.array([len(y) / (3.0 * (y == k).sum()) for k in y])
    mean, scale, weights, bias = train.fit(x, y, weight, strength=STRENGTH)
    return Layer(mean=mean, scale=scale, weights=weights, bias=bias)


def _out_of_fold(
    x: NDArray[np.float64], y: NDArray[np.int64], groups: Sequence[str]
) -> NDArray[np.float64]:
    """Return logits of each row by a layer that saw no row of its source text.

    With so few texts that a fold would lack a label, the logits of the layer fitted on all rows.
    """
    names = sorted(set(groups))
    fold = np.array([names.index(g) % FOLDS for g in groups])
    parts = [fold == i for i in range(min(FOLDS, len(names)))]
    if len(parts) < FOLDS or any(set(y[~part].tolist()) != {0, 1, 2} for part in parts):
        return _layer(x, y).logits(x)
    out = np.zeros((len(y), 3))
    for part in parts:
        out[part] = _layer(x[~part], y[~part]).logits(x[part])
    return out


def ablation(data: Data, joined: Joined, table: Table, report: Table) -> dict[str, Any]:
    """Return macro-F1 of the encoder alone, the comparison alone and both, on the report pairs.

    The encoder alone has a layer over its five values on the rows that the joined layers have; the
    comparison alone one over its features on all that the encoder was trained on as well: neither
    is handicapped.
    """
    from models import train

    gold = [p.label for p in data.report]
    wide = len(ENCODED)
    own = _layer(table.x[:, :wide], table.y)
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

    alone = said(own.logits(report.x[:, :wide]))
    compared, together = said(other.logits(report.x[:, wide:])), said(both)
    chance = evaluate.paired_bootstrap(gold, compared, together, rounds=500)
    return {
        "encoder_alone_macro_f1": round(evaluate.macro_f1(gold, alone), 4),
        "comparison_alone_macro_f1": round(evaluate.macro_f1(gold, compared), 4),
        "joined_macro_f1": round(evaluate.macro_f1(gold, together), 4),
        "beats_comparison": bool(chance < 0.05),
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
        "pairs": found.n,
        "macro_f1": round(found.macro_f1, 4),
        "f1": {k: round(v, 4) for k, v in found.f1.items()},
        "ece": round(found.ece, 4),
        **notes,
    }
    manifest = registry.Manifest(
        kind="encoder",
        model_id=model_id,
        threshold=model.threshold,
        abstain_below=model.abstain_below,
        precision=precision,
        calibration={
            "method": "temperature or vector scaling, whichever has the lower log loss on folds "
            "grouped by source text; folded into the layer",
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
