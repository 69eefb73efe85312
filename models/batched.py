"""Scoring in batches by torch, on a GPU for as many pairs as a whole archive holds.

The weights come from the folder's own ONNX file, whose initialisers are plain tensors: no second
copy that could differ, and no pickle. What is rebuilt must say what the file says, and is held
against it on a few sequences whenever it is loaded.

Sequences are sorted by length and batched under a token budget, padding counted. In float32 a pair
scores the same beside any neighbours to within 1e-5: padding is masked out, but the order in which
a sum is taken may change with the shape. One sequence per call by onnxruntime (`models.encoder`)
stays the reference, equal to the bit.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from kiemchung.errors import InputError, ModelError
from models import registry
from models.comparison import features, softmax
from models.encoder import (
    ONNX_FILE,
    EncoderModel,
    Layer,
    Sequences,
    form_of,
    gathered,
    onnx_logits,
    sequences,
)
from models.tokenizer import PAD, PhobertBpe
from models.verdict import Verdict, failed, verdict_of

if TYPE_CHECKING:
    import torch

LOG: Final = logging.getLogger(__name__)
DEVICES: Final = ("auto", "cpu", "cuda")
BUDGET: Final = 32_768  # tokens a batch, padding included: a few GB of activations at 768 wide
WINDOW: Final = 4_096  # pairs sorted together; more of them pad less and are answered later
EXACT: Final = 1e-4  # largest logit gap to the ONNX file in float32
NEAR: Final = 0.5  # and where the file is int8: its activations are rounded, ours are not

_REMEDY: Final = "score it on the CPU (--device cpu), or train it again"
_MATMUL: Final = re.compile(r"^/(.+)/(?:MatMul|Gemm)(?:_\d+)?(?:_quant|_MatMul_quant)?$")


# --- weights --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What an exported RoBERTa is made of: its tensors by PhoBERT's names, and its shape."""

    tensors: Mapping[str, NDArray[np.float32]]
    layers: int
    heads: int
    epsilon: float


def read_weights(path: Path) -> Weights:
    """Return the weights of an exported encoder; int8 ones as the floats that they stand for.

    Raises:
        ModelError: the graph is not that of a RoBERTa classifier as this program exports it.
        InputError: the `onnx` package is not installed.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise _not_installed(error) from error
    try:
        graph = onnx.load(str(path)).graph
        raw = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        tensors = {_plain(name): _floats(raw, name) for name in raw if _is_weight(name)}
        for node in graph.node:
            found = _MATMUL.match(node.name)
            if found is None or len(node.input) < 2 or node.input[1] not in raw:
                continue
            name = _plain(found[1].replace("/", ".")) + ".weight"
            matrix = _floats(raw, node.input[1])
            turned = any(a.name == "transB" and a.i for a in node.attribute)
            tensors[name] = matrix if turned else np.ascontiguousarray(matrix.T)
        if not any(node.op_type == "Erf" for node in graph.node):
            raise ValueError("another activation than gelu")
        wide = tensors["roberta.embeddings.word_embeddings.weight"].shape[1]
        layers = len({n.split(".")[3] for n in tensors if n.startswith("roberta.encoder.layer.")})
        weights = Weights(
            tensors=tensors,
            layers=layers,
            heads=wide // _head_width(graph),
            epsilon=_epsilon(graph),
        )
        missing = [name for name in _names(layers) if name not in tensors]
        if missing or not layers:
            raise ValueError(f"{len(missing)} tensors are missing, the first {missing[:1]}")
    except (OSError, KeyError, ValueError, IndexError, TypeError) as error:
        raise ModelError(
            f"no RoBERTa classifier of this program: {error}", where=str(path), remedy=_REMEDY
        ) from error
    return weights


def _is_weight(name: str) -> bool:
    return name.startswith("inner.") and not name.endswith(("_scale", "_zero_point"))


def _plain(name: str) -> str:
    return name.removeprefix("inner.").removesuffix("_quantized").removesuffix("_Transposed")


def _floats(raw: Mapping[str, NDArray[Any]], name: str) -> NDArray[np.float32]:
    """Return a tensor as float32, an int8 one by its scale and zero point."""
    stem = name.removesuffix("_quantized")
    values = raw[name].astype(np.float32)
    if stem != name:
        zero = raw[f"{stem}_zero_point"].astype(np.float32)
        values = (values - zero) * raw[f"{stem}_scale"].astype(np.float32)
    return np.ascontiguousarray(values)


def _head_width(graph: Any) -> int:  # noqa: ANN401  onnx has no types
    """Return the width of one head: the last figure of the shape that queries are cut into."""
    from onnx import numpy_helper

    made = {out: node for node in graph.node for out in node.output}
    query = next(
        n for n in graph.node
        if n.op_type == "Reshape" and n.input[0].endswith("/attention/self/query/Add_output_0")
    )  # fmt: skip
    shape = made[query.input[1]]
    last = made[shape.input[-1]] if shape.op_type == "Concat" else shape
    value = next(a.t for a in last.attribute if a.name == "value")
    return int(np.atleast_1d(numpy_helper.to_array(value))[-1])


def _epsilon(graph: Any) -> float:  # noqa: ANN401
    node = next(n for n in graph.node if n.op_type == "LayerNormalization")
    return float(next(a.f for a in node.attribute if a.name == "epsilon"))


def _names(layers: int) -> Iterator[str]:
    """Yield the name of every tensor that `logits` reads."""
    for table in ("word", "position", "token_type"):
        yield f"roberta.embeddings.{table}_embeddings.weight"
    parts = ["roberta.embeddings.LayerNorm", "classifier.dense", "classifier.out_proj"]
    for i in range(layers):
        at = f"roberta.encoder.layer.{i}"
        parts += [f"{at}.attention.self.{x}" for x in ("query", "key", "value")]
        parts += [f"{at}.attention.output.{x}" for x in ("dense", "LayerNorm")]
        parts += [f"{at}.intermediate.dense", f"{at}.output.dense", f"{at}.output.LayerNorm"]
    for part in parts:
        yield f"{part}.weight"
        yield f"{part}.bias"


# --- the network ----------------------------------------------------------------------------------


def logits(
    weights: Weights,
    tensors: Mapping[str, torch.Tensor],
    ids: torch.Tensor,
    types: torch.Tensor,
) -> torch.Tensor:
    """Return the logits (batch, 3) of padded sequences (batch, length); `PAD` ids are masked."""
    from torch.nn import functional as f

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return f.linear(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"])

    def normed(x: torch.Tensor, name: str) -> torch.Tensor:
        scale, shift = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        return f.layer_norm(x, (x.shape[-1],), scale, shift, weights.epsilon)

    real = ids != PAD
    places = real.long().cumsum(1) * real + PAD
    at = "roberta.embeddings"
    x = (
        f.embedding(ids, tensors[f"{at}.word_embeddings.weight"])
        + f.embedding(types, tensors[f"{at}.token_type_embeddings.weight"])
        + f.embedding(places, tensors[f"{at}.position_embeddings.weight"])
    )
    x = normed(x, f"{at}.LayerNorm")
    rows, length, wide = x.shape
    mask = real[:, None, None, :]

    def heads(y: torch.Tensor) -> torch.Tensor:
        return y.view(rows, length, weights.heads, -1).transpose(1, 2)

    for i in range(weights.layers):
        at = f"roberta.encoder.layer.{i}"
        query, key, value = (
            heads(linear(x, f"{at}.attention.self.{name}")) for name in ("query", "key", "value")
        )
        mixed = f.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        mixed = mixed.transpose(1, 2).reshape(rows, length, wide)
        x = normed(
            x + linear(mixed, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm"
        )
        inner = f.gelu(linear(x, f"{at}.intermediate.dense"))
        x = normed(x + linear(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    first = linear(x[:, 0], "classifier.dense").tanh()
    return linear(first, "classifier.out_proj")


# --- batches --------------------------------------------------------------------------------------


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Yield indices in batches of like length: rows times the longest is at most ``budget``.

    A sequence longer than the budget stands alone; every index comes exactly once.
    """
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        if batch and (len(batch) + 1) * lengths[i] > budget:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """One pair ready to be scored: its sequences and features, or why it cannot be."""

    form: str
    read: Sequences | None
    features: NDArray[np.float64] | None
    error: str = ""


def prepare(bpe: PhobertBpe, claim: str, evidence: str, *, longest: int) -> Prepared:
    """Return a pair as encoder and layer read it; a fault is kept in ``error``, not raised."""
    form = form_of(evidence)
    if not claim.strip() or not evidence.strip():
        return Prepared(form=form, read=None, features=None)
    try:
        return Prepared(
            form=form,
            read=sequences(bpe, claim, evidence, longest=longest),
            features=features(claim, evidence),
        )
    except Exception as error:  # noqa: BLE001  one bad text must not stop a run
        return Prepared(form=form, read=None, features=None, error=failed(error).error)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchedModel:
    """An encoder in torch on one device, joined with the comparison as in the model folder."""

    model_id: str
    threshold: float
    abstain_below: float
    weights: Weights
    tensors: Mapping[str, torch.Tensor]
    bpe: PhobertBpe
    layers: Mapping[str, Layer]
    longest: int
    device: str
    gap: float  # largest logit gap to the ONNX file on the sequences of the check
    budget: int = BUDGET

    def judge(self, claim: str, evidence: str) -> Verdict:
        """Return the verdict on one pair, a batch of its own."""
        return self.judge_all([(claim, evidence)])[0]

    def judge_all(self, pairs: Sequence[tuple[str, str]]) -> list[Verdict]:
        """Return the verdicts of ``pairs`` in their order."""
        return self.score([prepare(self.bpe, c, e, longest=self.longest) for c, e in pairs])

    def score(self, prepared: Sequence[Prepared]) -> list[Verdict]:
        """Return the verdicts of prepared pairs; a fault becomes status failed, never a score."""
        owner: list[int] = []
        ids: list[tuple[int, ...]] = []
        types: list[tuple[int, ...]] = []
        for i, one in enumerate(prepared):
            if one.read is not None:
                owner += [i] * len(one.read.ids)
                ids += one.read.ids
                types += one.read.types
        found: dict[int, list[NDArray[np.float64]]] = {}
        wrong: dict[int, Exception] = {}
        out: list[NDArray[np.float64] | None] = [None] * len(ids)
        for batch in batches([len(x) for x in ids], self.budget):
            try:
                rows = self.raw([ids[j] for j in batch], [types[j] for j in batch])
            except RuntimeError as error:
                wrong |= {owner[j]: error for j in batch}
                continue
            for j, row in zip(batch, rows, strict=True):
                out[j] = row
        for i, row in zip(owner, out, strict=True):
            if row is not None:
                found.setdefault(i, []).append(row)
        return [
            self._verdict(one, found.get(i, []), wrong.get(i)) for i, one in enumerate(prepared)
        ]

    def _verdict(
        self, one: Prepared, rows: Sequence[NDArray[np.float64]], wrong: Exception | None
    ) -> Verdict:
        if one.error:
            return replace(failed(ValueError()), error=one.error)
        if wrong is not None:
            return failed(wrong)
        if one.read is None or one.features is None:
            return verdict_of((0.0, 0.0, 1.0), abstain_below=self.abstain_below)
        try:
            if not np.isfinite(rows).all():
                raise MemoryError("a sequence does not fit into the memory of the device")
            values = np.concatenate([gathered(np.stack(rows)), one.features])
            p = softmax(self.layers[one.form].logits(values))
            return verdict_of(p.tolist(), abstain_below=self.abstain_below)
        except (ValueError, MemoryError) as error:
            return failed(error)

    def raw(
        self, ids: Sequence[Sequence[int]], types: Sequence[Sequence[int]]
    ) -> NDArray[np.float64]:
        """Return the logits (n, 3) of one batch; what does not fit into memory is halved.

        A single sequence that does not fit has NaN for logits.
        """
        import torch

        longest = max(len(x) for x in ids)
        block = np.full((2, len(ids), longest), PAD, dtype=np.int64)
        block[1] = 0
        for i, (x, y) in enumerate(zip(ids, types, strict=True)):
            block[0, i, : len(x)], block[1, i, : len(y)] = x, y
        try:
            with torch.inference_mode():
                given = torch.from_numpy(block).to(self.device)
                answer = logits(self.weights, self.tensors, given[0], given[1])
                return np.asarray(answer.double().cpu().numpy(), dtype=np.float64)
        except torch.OutOfMemoryError:
            if len(ids) == 1:
                return np.full((1, 3), np.nan)
            torch.cuda.empty_cache()
            half = len(ids) // 2
            parts = (self.raw(ids[:half], types[:half]), self.raw(ids[half:], types[half:]))
            return np.concatenate(parts)


# --- loading --------------------------------------------------------------------------------------


def _not_installed(error: ImportError) -> InputError:
    return InputError(
        f"{error.name} is not installed",
        where="--device",
        remedy="install the train extra (see CONTRIBUTING), or score on the CPU with --device cpu",
    )


def choose_device(wanted: str, *, has_encoder: bool) -> str:
    """Return ``cpu`` (onnxruntime) or ``cuda`` (torch) for what a person asked for.

    Raises:
        InputError: no such device, torch or a GPU is missing, or the model has no encoder.
    """
    if wanted not in DEVICES:
        raise InputError(
            f"no device {wanted!r}", where="--device", remedy=f"one of {', '.join(DEVICES)}"
        )
    if wanted == "cpu" or (wanted == "auto" and not has_encoder):
        return "cpu"
    if not has_encoder:
        raise InputError(
            "this model has no encoder, so a GPU has nothing to do",
            where="--device cuda",
            remedy="leave --device out, or name an encoder with --model",
        )
    try:
        import torch
    except ImportError as error:
        if wanted == "auto":
            return "cpu"
        raise _not_installed(error) from error
    if torch.cuda.is_available():
        return "cuda"
    if wanted == "auto":
        return "cpu"
    raise InputError(
        f"torch {torch.__version__} sees no GPU",
        where="--device cuda",
        remedy="install its CUDA build and the driver, or score on the CPU with --device cpu",
    )


def load(folder: Path, *, device: str, budget: int = BUDGET) -> BatchedModel:
    """Return the model of a verified folder in torch on ``device`` ("cuda", or "cpu").

    Raises:
        ModelError: see `models.registry.verify`; the folder holds no encoder; or the rebuilt
            network does not say what the ONNX file says.
        InputError: torch is not installed.
    """
    manifest = registry.verify(folder)
    if manifest.kind != "encoder":
        raise ModelError("no encoder in it", where=str(folder), remedy="score it on the CPU")
    try:
        import torch
    except ImportError as error:
        raise _not_installed(error) from error
    torch.backends.cuda.matmul.allow_tf32 = False  # its 10 bits would show in the third digit
    torch.backends.cudnn.allow_tf32 = False
    reference = EncoderModel.load(folder, manifest)
    weights = read_weights(folder / ONNX_FILE)
    model = BatchedModel(
        model_id=f"{manifest.model_id}+torch",
        threshold=manifest.threshold,
        abstain_below=manifest.abstain_below,
        weights=weights,
        tensors={n: torch.from_numpy(t).to(device) for n, t in weights.tensors.items()},
        bpe=reference.bpe,
        layers=reference.layers,
        longest=reference.longest,
        device=device,
        gap=0.0,
        budget=budget,
    )
    gap = _gap(model, reference)
    if gap > (EXACT if manifest.precision == "float32" else NEAR):
        raise ModelError(
            f"the weights read from it differ from the file by {gap:.2g} in a logit",
            where=str(folder / ONNX_FILE),
            remedy=_REMEDY,
        )
    return replace(model, gap=gap)


def _gap(model: BatchedModel, reference: EncoderModel) -> float:
    """Return the largest logit difference on drawn sequences, scored in one padded batch."""
    draw = np.random.default_rng(0)
    tables = model.weights.tensors
    kinds = tables["roberta.embeddings.token_type_embeddings.weight"].shape[0]
    ids, types = [], []
    for length in (7, min(31, model.longest), min(64, model.longest)):
        ids.append([0, *draw.integers(4, model.bpe.size - 1, size=length - 2).tolist(), 2])
        types.append(draw.integers(0, kinds, size=length).tolist())
    told = np.stack([onnx_logits(reference.session, x, y) for x, y in zip(ids, types, strict=True)])
    return float(np.abs(model.raw(ids, types) - told).max())


# --- many pairs -----------------------------------------------------------------------------------

_reader: tuple[PhobertBpe, int] | None = None


def _start(folder: str, longest: int) -> None:
    global _reader
    _reader = (PhobertBpe.of_folder(Path(folder)), longest)


def _prepare_one(pair: tuple[str, str]) -> Prepared:
    if _reader is None:
        raise RuntimeError("the worker has no tokenizer")
    return prepare(_reader[0], *pair, longest=_reader[1])


def score_all(
    model: BatchedModel, pairs: Iterable[tuple[str, str]], *, folder: Path, processes: int = 1
) -> Iterator[Verdict]:
    """Yield the verdict of each pair, in order; ``processes`` read the texts for the one device.

    Reading (words, sub-words, features) is what a GPU waits for. A reader that dies is done
    without: the rest is read here.
    """
    waiting = iter(pairs)
    pool = None
    if processes > 1:
        pool = ProcessPoolExecutor(
            processes,
            mp_context=get_context("spawn"),
            initializer=_start,
            initargs=(str(folder), model.longest),
        )
    try:
        while window := list(islice(waiting, WINDOW)):
            prepared: list[Prepared] = []
            if pool is not None:
                try:
                    prepared = list(pool.map(_prepare_one, window, chunksize=64))
                except BrokenProcessPool as error:
                    LOG.warning("a reading process died (%s); going on in this one", error)
                    pool.shutdown(cancel_futures=True)
                    pool = None
            if not prepared:
                prepared = [prepare(model.bpe, *p, longest=model.longest) for p in window]
            yield from model.score(prepared)
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)
