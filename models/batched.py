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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Final

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
from models.network import Weights, logits, not_installed, read_weights
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
        raise not_installed(error) from error
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
        raise not_installed(error) from error
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
