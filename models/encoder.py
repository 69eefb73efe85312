"""The encoder path: PhoBERT fine-tuned on pairs, scored by ONNX Runtime, joined with comparison.

Training needs torch and transformers (the ``train`` extra) and imports them inside the functions
that use them. Scoring needs onnxruntime only: one sequence per call, one thread, no padding, so a
verdict never depends on its neighbours, which with dynamic int8 it otherwise would.

An encoder is nearly blind to numbers; its three logits therefore enter a logistic layer together
with the comparison features. The layer, the temperature and the threshold are fitted on held-out
source texts, and the manifest says whether the joint model beats the comparison model alone.
"""

from __future__ import annotations

import json
import logging
import math
import random
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import LABEL_ORDER, Label, sha256_hex
from kiemchung.errors import InputError, ModelError
from models.comparison import FEATURES, ComparisonModel, features, softmax, window
from models.tokenizer import CODES_FILE, MAX_LENGTH, PAD, VOCAB_FILE, PhobertBpe
from models.verdict import Verdict, failed, verdict_of
from nlp.sentences import sentence_spans
from nlp.words import phobert_views

if TYPE_CHECKING:
    from models.construct import Pair
    from models.registry import Manifest
    from models.train import Data

LOG: Final = logging.getLogger(__name__)
ONNX_FILE: Final = "encoder.onnx"
FUSION_FILE: Final = "fusion.json"
_FUSED: Final = (*(f"encoder_{label}" for label in LABEL_ORDER), *FEATURES)
OPSET: Final = 17


def view_of(text: str) -> str:
    """Return ``text`` as PhoBERT reads it: word-segmented, sentence by sentence, on one line."""
    return " ".join(phobert_views([text[a:b] for a, b in sentence_spans(text)]))


def pair_ids(bpe: PhobertBpe, claim: str, evidence: str, *, longest: int = MAX_LENGTH) -> list[int]:
    """Return the ids of one pair; of a long evidence only the sentences that speak of the claim."""
    near = window(claim, evidence)
    return list(bpe.encode_pair(view_of(claim), view_of(near), longest=longest).ids)


def _session(path: Path) -> Any:  # noqa: ANN401  onnxruntime has no types
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        str(path), sess_options=options, providers=["CPUExecutionProvider"]
    )


def onnx_logits(session: Any, ids: Sequence[int]) -> NDArray[np.float64]:  # noqa: ANN401
    """Return the three logits of one sequence."""
    row = np.array([ids], dtype=np.int64)
    (out,) = session.run(["logits"], {"input_ids": row})
    return np.asarray(out[0], dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderModel:
    """An exported encoder and the layer that joins it with the comparison features."""

    model_id: str
    threshold: float
    abstain_below: float
    session: Any
    bpe: PhobertBpe
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    temperature: float
    longest: int = MAX_LENGTH

    @classmethod
    def load(cls, folder: Path, manifest: Manifest) -> EncoderModel:
        """Return the model of a verified folder.

        Raises:
            ModelError: the fusion layer was made for other features or labels.
        """
        path = folder / FUSION_FILE
        try:
            body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if tuple(body["features"]) != _FUSED:
                raise ValueError("made for other features")
            if tuple(body["labels"]) != tuple(str(label) for label in LABEL_ORDER):
                raise ValueError("another label order")
            arrays = {
                name: np.array(body[name], dtype=np.float64)
                for name in ("mean", "scale", "weights", "bias")
            }
            wide = len(_FUSED)
            if arrays["weights"].shape != (3, wide) or arrays["mean"].shape != (wide,):
                raise ValueError("wrong shapes")
            bpe = PhobertBpe.of_folder(folder)
            if int(body["vocabulary"]) < bpe.size:
                raise ValueError(f"{bpe.size} ids, but the embedding has {body['vocabulary']} rows")
            return cls(
                model_id=manifest.model_id,
                threshold=manifest.threshold,
                abstain_below=manifest.abstain_below,
                session=_session(folder / ONNX_FILE),
                bpe=bpe,
                temperature=float(body["temperature"]),
                longest=int(body["longest"]),
                **arrays,
            )
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"not an encoder of this program: {error}",
                where=str(path),
                remedy="train it again: python -m models.train verdict --encoder … --out DIR",
            ) from error

    def logits(self, claim: str, evidence: str) -> NDArray[np.float64]:
        """Return the encoder's three logits alone."""
        return onnx_logits(self.session, pair_ids(self.bpe, claim, evidence, longest=self.longest))

    def probabilities(self, claim: str, evidence: str) -> NDArray[np.float64]:
        """Return three calibrated probabilities in `LABEL_ORDER`; an empty side is NEI."""
        if not claim.strip() or not evidence.strip():
            return np.array([0.0, 0.0, 1.0])
        row = np.concatenate([self.logits(claim, evidence), features(claim, evidence)])
        scaled = np.clip((row - self.mean) / self.scale, -6.0, 6.0)
        return softmax((self.weights @ scaled + self.bias) / self.temperature)

    def judge(self, claim: str, evidence: str) -> Verdict:
        """Return the verdict on one pair; a fault inside becomes status failed, never a score."""
        try:
            return verdict_of(
                self.probabilities(claim, evidence).tolist(), abstain_below=self.abstain_below
            )
        except Exception as error:  # noqa: BLE001  one bad text must not stop a weekly run
            return failed(error)


# --- training ------------------------------------------------------------------------------------


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


def train_verdict(
    out: Path,
    data: Data,
    *,
    encoder: str,
    epochs: int = 4,
    seed: int = 0,
    precision: str = "int8",
    batch: int = 16,
    rate: float | None = None,
    longest: int = MAX_LENGTH,
    steps: int | None = None,
) -> Path:
    """Fine-tune an encoder on pairs, export it, join it with the comparison; return the folder.

    Cross-entropy with label smoothing 0.05 and early stopping on half of the held-out texts; the
    learning rate is 3e-5, or 3e-4 for encoders narrower than 512. ``steps`` bounds the whole
    training, for tests.

    Raises:
        ModelError: the encoder cannot be loaded, or its vocabulary exceeds its embedding.
        InputError: too few pairs to train, calibrate and report on.
    """
    import torch
    from transformers import RobertaForSequenceClassification

    if min(len(data.train), len(data.calibration), len(data.report)) < 6:
        raise InputError(
            f"{len(data.train)} training, {len(data.calibration)} calibration and "
            f"{len(data.report)} report pairs are too few",
            where="train",
            remedy="give --corpus DIR or more --pairs",
        )
    if "base-v2" in encoder:
        LOG.warning("%s is AGPL-3.0: what is made of it falls under that licence", encoder)
    vocab, codes = _files_of(encoder)
    bpe = PhobertBpe(vocab, codes)
    torch.manual_seed(seed)
    try:
        net = RobertaForSequenceClassification.from_pretrained(
            encoder, num_labels=3, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot be loaded: {error}", where=encoder) from error
    rows = int(net.config.vocab_size)
    if rows < bpe.size:
        raise ModelError(
            f"the tokenizer has {bpe.size} ids, the embedding {rows} rows", where=encoder
        )
    longest = min(longest, int(net.config.max_position_embeddings) - 2)
    fuse, check = _halves(data.calibration)
    _fine_tune(
        net, bpe, data.train, check, epochs=epochs, seed=seed, batch=batch,
        rate=rate or (3e-5 if net.config.hidden_size >= 512 else 3e-4), longest=longest,
        steps=steps,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        full = Path(scratch) / "full.onnx"
        export_gap = export(net, full, longest=longest)
        chosen = full
        drift: dict[str, Any] = {}
        probe = [pair_ids(bpe, p.claim, p.evidence, longest=longest) for p in data.report[:200]]
        if precision == "int8":
            chosen = quantise(full, Path(scratch) / "int8.onnx")
            drift = _drift(_session(full), _session(chosen), probe)
        session = _session(chosen)
        return _finish(
            out, data, fuse, check, session, bpe, longest=longest, vocabulary=rows, seed=seed,
            onnx=chosen.read_bytes(), vocab=vocab.read_bytes(), codes=codes.read_bytes(),
            precision=precision, encoder=encoder, notes={"export_gap": export_gap, **drift},
        )  # fmt: skip


def _halves(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Split held-out pairs by source text: one half fits the layer, one chooses and calibrates."""
    groups = sorted({p.group for p in pairs})
    first = set(groups[::2])
    return [p for p in pairs if p.group in first], [p for p in pairs if p.group not in first]


def _batches(
    rows: Sequence[tuple[list[int], int]], size: int, r: random.Random
) -> Iterable[list[tuple[list[int], int]]]:
    """Yield batches of like length, so that little is padded, in random order."""
    order = sorted(range(len(rows)), key=lambda i: (len(rows[i][0]) + r.random() * 8, i))
    parts = [order[i : i + size] for i in range(0, len(order), size)]
    r.shuffle(parts)
    for part in parts:
        yield [rows[i] for i in part]


def _fine_tune(
    net: Any,  # noqa: ANN401
    bpe: PhobertBpe,
    train: Sequence[Pair],
    check: Sequence[Pair],
    *,
    epochs: int,
    seed: int,
    batch: int,
    rate: float,
    longest: int,
    steps: int | None,
) -> None:
    """Train ``net`` in place and leave it at the epoch with the lowest held-out loss."""
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net.to(device)
    ready = [
        (pair_ids(bpe, p.claim, p.evidence, longest=longest), LABEL_ORDER.index(p.label))
        for p in train
    ]
    held = [
        (pair_ids(bpe, p.claim, p.evidence, longest=longest), LABEL_ORDER.index(p.label))
        for p in check
    ]
    total = max(1, epochs * math.ceil(len(ready) / batch))
    total = min(total, steps) if steps else total
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min(1.0, (step + 1) / max(1, total // 10)) * max(0.0, 1.0 - step / total),
    )
    smooth = torch.nn.CrossEntropyLoss(label_smoothing=0.05)
    r = random.Random(seed)
    best, best_loss, done = None, math.inf, 0
    for _ in range(epochs):
        net.train()
        for part in _batches(ready, batch, r):
            ids, mask, labels = _padded(part, device)
            loss = smooth(net(input_ids=ids, attention_mask=mask).logits, labels)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad(set_to_none=True)
            done += 1
            if done >= total:
                break
        held_loss = _loss(net, held, batch, device)
        LOG.info("after %d steps: held-out loss %.4f", done, held_loss)
        if held_loss < best_loss:
            best_loss = held_loss
            best = {k: v.detach().cpu().clone() for k, v in net.state_dict().items()}
        if done >= total:
            break
    if best is not None:
        net.load_state_dict(best)
    net.to("cpu").eval()


def _padded(part: Sequence[tuple[list[int], int]], device: Any) -> tuple[Any, Any, Any]:  # noqa: ANN401
    import torch

    width = max(len(ids) for ids, _ in part)
    ids = torch.tensor([ids + [PAD] * (width - len(ids)) for ids, _ in part], device=device)
    labels = torch.tensor([label for _, label in part], device=device)
    return ids, (ids != PAD).long(), labels


def _loss(net: Any, rows: Sequence[tuple[list[int], int]], batch: int, device: Any) -> float:  # noqa: ANN401
    import torch

    net.eval()
    total = 0.0
    with torch.no_grad():
        for start in range(0, len(rows), batch):
            ids, mask, labels = _padded(rows[start : start + batch], device)
            logits = net(input_ids=ids, attention_mask=mask).logits
            total += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
    return total / max(1, len(rows))


def export(net: Any, path: Path, *, longest: int = MAX_LENGTH) -> float:  # noqa: ANN401
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

        def forward(self, input_ids: Any) -> Any:  # noqa: ANN401
            mask = torch.ones_like(input_ids)
            return self.inner(input_ids=input_ids, attention_mask=mask).logits

    wrapper = Logits(net.to("cpu"))
    wrapper.eval()
    top = int(net.config.vocab_size)
    draw = np.random.default_rng(0)
    shapes = ((2, 12), (5, min(31, longest)), (1, 7))
    samples = [torch.tensor(draw.integers(4, top, size=s), dtype=torch.int64) for s in shapes]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecation
        torch.onnx.export(
            wrapper,
            (samples[0],),
            str(path),
            input_names=["input_ids"],
            output_names=["logits"],
            dynamic_axes={"input_ids": {0: "batch", 1: "length"}, "logits": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )
        session = _session(path)
        gap = 0.0
        for sample in samples:
            (ours,) = session.run(["logits"], {"input_ids": sample.numpy()})
            gap = max(gap, float(np.abs(ours - wrapper(sample).numpy()).max()))
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


def _drift(full: Any, small: Any, rows: Sequence[Sequence[int]]) -> dict[str, Any]:  # noqa: ANN401
    """Return how far int8 moves the logits, and how many labels it flips."""
    gaps, flips = [], 0
    for ids in rows:
        a, b = onnx_logits(full, ids), onnx_logits(small, ids)
        gaps.append(float(np.abs(a - b).max()))
        flips += int(a.argmax() != b.argmax())
    return {
        "int8_largest_drift": max(gaps, default=0.0),
        "int8_flips": flips,
        "int8_pairs": len(rows),
    }


def _finish(
    out: Path,
    data: Data,
    fuse: Sequence[Pair],
    check: Sequence[Pair],
    session: Any,  # noqa: ANN401
    bpe: PhobertBpe,
    *,
    longest: int,
    vocabulary: int,
    seed: int,
    onnx: bytes,
    vocab: bytes,
    codes: bytes,
    precision: str,
    encoder: str,
    notes: dict[str, Any],
) -> Path:
    from models import calibration, evaluate, registry, train

    def rows(pairs: Sequence[Pair]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        joined = [
            np.concatenate(
                [
                    onnx_logits(session, pair_ids(bpe, p.claim, p.evidence, longest=longest)),
                    features(p.claim, p.evidence),
                ]
            )
            for p in pairs
        ]
        labels = [LABEL_ORDER.index(p.label) for p in pairs]
        return np.array(joined), np.array(labels, dtype=np.int64)

    x, y = rows(fuse)
    mean, scale, weights, bias = train.fit(x, y, np.ones(len(y)), strength=train.STRENGTH)
    held_x, held_y = rows(check)
    logits = np.clip((held_x - mean) / scale, -6.0, 6.0) @ weights.T + bias
    temperature = calibration.fit_temperature(logits, held_y)
    threshold = calibration.choose_threshold(softmax(logits / temperature), held_y)
    body = {
        "kind": "encoder",
        "format": 1,
        "features": list(_FUSED),
        "labels": [str(label) for label in LABEL_ORDER],
        "mean": mean.tolist(),
        "scale": scale.tolist(),
        "weights": weights.tolist(),
        "bias": bias.tolist(),
        "temperature": temperature,
        "longest": longest,
        "vocabulary": vocabulary,
    }
    fusion = (json.dumps(body, ensure_ascii=False, indent=1) + "\n").encode("utf-8")
    model_id = f"encoder-{sha256_hex(onnx + fusion)[:12]}"
    model = EncoderModel(
        model_id=model_id, threshold=threshold, abstain_below=train.ABSTAIN_BELOW, session=session,
        bpe=bpe, mean=mean, scale=scale, weights=weights, bias=bias,
        temperature=temperature, longest=longest,
    )  # fmt: skip
    found = evaluate.evaluate(model, data.report)
    alone = _comparison_alone(data, fuse, threshold)
    gold = [p.label for p in data.report]
    ours: list[Label | None] = [model.judge(p.claim, p.evidence).label for p in data.report]
    theirs: list[Label | None] = [alone.judge(p.claim, p.evidence).label for p in data.report]
    chance = evaluate.paired_bootstrap(gold, theirs, ours, rounds=500, seed=seed)
    metrics = {
        "on": "held-out pairs, other source texts than the training's",
        "pairs": found.n,
        "macro_f1": round(found.macro_f1, 4),
        "f1": {k: round(v, 4) for k, v in found.f1.items()},
        "ece": round(found.ece, 4),
        "comparison_alone_macro_f1": round(evaluate.macro_f1(gold, theirs), 4),
        "beats_comparison": bool(chance < 0.05),
        "chance_that_it_does_not": chance,
        **notes,
    }
    manifest = registry.Manifest(
        kind="encoder",
        model_id=model_id,
        threshold=threshold,
        abstain_below=train.ABSTAIN_BELOW,
        precision=precision,
        calibration={
            "method": "logistic layer over logits and comparison features, then temperature",
            "temperature": temperature,
            "pairs": len(check),
            "seed": seed,
        },
        metrics=metrics,
        trained_on=(f"encoder {encoder}", *data.names),
        files={},
    )
    return registry.write(
        out,
        manifest,
        {
            ONNX_FILE: onnx,
            VOCAB_FILE: vocab,
            CODES_FILE: codes,
            FUSION_FILE: fusion,
            registry.CARD: train.card(manifest).encode("utf-8"),
        },
    )


def _comparison_alone(data: Data, fuse: Sequence[Pair], threshold: float) -> ComparisonModel:
    """Return a comparison model from the same pairs, to be beaten."""
    from models import train

    x, y = train.matrix((*data.train, *fuse))
    mean, scale, weights, bias = train.fit(x, y, np.ones(len(y)), strength=train.STRENGTH)
    return ComparisonModel(
        model_id="comparison-alone", threshold=threshold, abstain_below=train.ABSTAIN_BELOW,
        mean=mean, scale=scale, weights=weights, bias=bias, temperature=1.0,
    )  # fmt: skip
