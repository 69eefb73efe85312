"""The encoder at work: an exported RoBERTa joined with the comparison features, one pair per call.

Scoring needs onnxruntime only: one sequence per call, one thread, no padding, so a verdict never
depends on its neighbours, which with dynamic int8 it otherwise would. `models.joining` trains what
is loaded here.

An encoder is nearly blind to numbers; it is given marks of agreement (`models.marks`), and its
logits enter a logistic layer together with the comparison features. Evidence longer than the model
reads is scored in passages: first the sentences that speak of the claim, then the runs of
sentences nearest to it; the layer sees the first one's logits and the strongest of all. Articles
have a layer of their own: they hold many numbers and names that are no counterpart of the claim's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import LABEL_ORDER
from kiemchung.errors import ModelError
from models.comparison import (
    FEATURES,
    MAX_EVIDENCE,
    features,
    plain_claim,
    plain_numbers,
    softmax,
    tokens,
    window,
)
from models.marks import TYPES, marks
from models.tokenizer import MAX_LENGTH, PhobertBpe
from models.verdict import Verdict, failed, verdict_of
from nlp.sentences import sentence_spans
from nlp.words import phobert_views

if TYPE_CHECKING:
    from models.registry import Manifest

ONNX_FILE: Final = "encoder.onnx"
WEIGHTS_FILE: Final = "encoder.onnx.data"  # mapped into memory, not copied
FUSION_FILE: Final = "fusion.json"
LONG: Final = 120  # words of evidence from which the layer for articles answers
FORMS: Final = ("short", "long")
PASSAGES: Final = 4  # at most so many of one evidence text are scored
ENCODED: Final = (
    *(f"encoder_{label}" for label in LABEL_ORDER),
    "encoder_most_supporting",
    "encoder_most_refuting",
)
FUSED: Final = (*ENCODED, *FEATURES)
_LARGEST: Final = 6.0  # standard deviations at which a feature is cut, as in training
_WRONG_NUMBER: Final = tuple(
    FUSED.index(name)
    for name in (
        "digits_missing_whole",
        "digit_swapped",
        "number_misplaced",
        "numbers_contradicting",
    )
)
MARGIN: Final = 0.7  # by which SUPPORTED stands below the best other label then


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequences:
    """One pair as the encoder reads it: ids and marks of each passage, the nearest first."""

    ids: tuple[tuple[int, ...], ...]
    types: tuple[tuple[int, ...], ...]


@lru_cache(maxsize=50_000)
def _sentence_view(sentence: str) -> str:
    return phobert_views([sentence])[0]


def view_of(text: str) -> str:
    """Return ``text`` as PhoBERT reads it: word-segmented, sentence by sentence, on one line."""
    return " ".join(_sentence_view(text[a:b]) for a, b in sentence_spans(text))


def passages_of(claim: str, evidence: str, *, words: int) -> list[str]:
    """Return the parts of ``evidence`` to score, the most telling first, `PASSAGES` at most.

    The first holds the sentences that speak of the claim; where that is not the whole text, runs
    of whole sentences of up to ``words`` words follow, those that share most with the claim.
    """
    near = window(claim, evidence)
    if len(near) >= len(evidence.strip()):
        return [near]
    runs: list[str] = []
    for a, b in sentence_spans(evidence[:MAX_EVIDENCE]):
        sentence = evidence[a:b]
        if runs and len(runs[-1].split()) + len(sentence.split()) <= words:
            runs[-1] = f"{runs[-1]} {sentence}"
        else:
            runs.append(sentence)
    ours = {t.text for t in tokens(claim)}
    shared = [len(ours & {t.text for t in tokens(run)}) for run in runs]
    best = sorted(range(len(runs)), key=lambda i: (-shared[i], i))[: PASSAGES - 1]
    return [near, *(runs[i] for i in best if runs[i] != near)]


def sequences(
    bpe: PhobertBpe, claim: str, evidence: str, *, longest: int = MAX_LENGTH
) -> Sequences:
    """Return the passages of one pair as ids, each at most ``longest`` long, with their marks."""
    claim, evidence = plain_claim(claim), plain_numbers(evidence[:MAX_EVIDENCE])
    ours = view_of(claim)
    room = max(20, longest - 4 - len(bpe.ids(ours)))
    found = [
        bpe.encode_pair(ours, view_of(part), longest=longest).ids
        for part in passages_of(claim, evidence, words=int(room * 0.8))
    ]
    return Sequences(ids=tuple(found), types=tuple(tuple(marks(bpe, ids)) for ids in found))


def open_session(path: Path) -> Any:  # noqa: ANN401  onnxruntime has no types
    """Return a session of one thread on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        str(path), sess_options=options, providers=["CPUExecutionProvider"]
    )


def onnx_logits(session: Any, ids: Sequence[int], types: Sequence[int]) -> NDArray[np.float64]:  # noqa: ANN401
    """Return the three logits of one sequence."""
    row = {
        "input_ids": np.array([ids], dtype=np.int64),
        "token_type_ids": np.array([types], dtype=np.int64),
    }
    (out,) = session.run(["logits"], row)
    return np.asarray(out[0], dtype=np.float64)


def gathered(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the `ENCODED` values of the passages' logits, shape (passages, 3) to (5,).

    The first passage's three, and over all passages the largest margins of SUPPORTED and of
    REFUTED above NOT ENOUGH INFO: one passage that speaks is enough.
    """
    margins = (logits[:, :2] - logits[:, 2:]).max(axis=0)
    return np.concatenate([logits[0], margins])


def held_back(x: NDArray[np.float64], logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``logits`` with SUPPORTED below the others where a number of the claim is not there.

    A number that the evidence does not have at all, or has another one for in the same place, is
    not borne out by it: of ViFactCheck's half 5 of 80 such pairs are labelled SUPPORTED for the
    first, none of 31 and 28 for the others (beside whole articles 2 of 55, none of 24, 1 of 29). A
    linear layer lets a long agreement in words outweigh one wrong digit. ``x`` are the `FUSED`
    values, one row (n,) or many (m, n).
    """
    found = logits.copy()
    best = logits[..., 1:].max(axis=-1) - MARGIN
    found[..., 0] = np.where(
        (x[..., _WRONG_NUMBER] > 0.0).any(axis=-1), np.minimum(logits[..., 0], best), logits[..., 0]
    )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A calibrated logistic layer over the `FUSED` values: (3, n) weights on scaled values."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]

    def linear(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the layer itself says of one row (n,) or of many (m, n)."""
        scaled = np.clip((x - self.mean) / self.scale, -_LARGEST, _LARGEST)
        return np.asarray(scaled @ self.weights.T + self.bias, dtype=np.float64)

    def logits(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the logits of one row of `FUSED` values (n,) or of many, see `held_back`."""
        return held_back(x, self.linear(x))

    @classmethod
    def of(cls, body: dict[str, Any]) -> Layer:
        """Read a layer back.

        Raises:
            ValueError: other shapes than this program's.
        """
        arrays = {
            name: np.array(body[name], dtype=np.float64)
            for name in ("mean", "scale", "weights", "bias")
        }
        wide = len(FUSED)
        shapes = {"mean": (wide,), "scale": (wide,), "weights": (3, wide), "bias": (3,)}
        if any(arrays[name].shape != shape for name, shape in shapes.items()):
            raise ValueError("wrong shapes")
        return cls(**arrays)

    def body(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {n: getattr(self, n).tolist() for n in ("mean", "scale", "weights", "bias")}


def form_of(evidence: str) -> str:
    """Return which layer answers: an article says much beside what a claim is about."""
    return FORMS[len(evidence.split()) > LONG]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderModel:
    """An exported encoder and the two layers that join it with the comparison features."""

    model_id: str
    threshold: float
    abstain_below: float
    session: Any
    bpe: PhobertBpe
    layers: Mapping[str, Layer]
    longest: int = MAX_LENGTH

    @classmethod
    def load(cls, folder: Path, manifest: Manifest) -> EncoderModel:
        """Return the model of a verified folder.

        Raises:
            ModelError: the layer was made for other features, labels or marks, or the tokenizer
                does not fit the encoder.
        """
        path = folder / FUSION_FILE
        try:
            body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if tuple(body["features"]) != FUSED:
                raise ValueError("made for other features")
            if tuple(body["labels"]) != tuple(str(label) for label in LABEL_ORDER):
                raise ValueError("another label order")
            if int(body["marks"]) != TYPES:
                raise ValueError(f"made for {body['marks']} marks, not {TYPES}")
            layers = {form: Layer.of(body["layers"][form]) for form in FORMS}
            bpe = PhobertBpe.of_folder(folder)
            if int(body["vocabulary"]) < bpe.size:
                raise ValueError(f"{bpe.size} ids, but the embedding has {body['vocabulary']} rows")
            return cls(
                model_id=manifest.model_id,
                threshold=manifest.threshold,
                abstain_below=manifest.abstain_below,
                session=open_session(folder / ONNX_FILE),
                bpe=bpe,
                layers=layers,
                longest=int(body["longest"]),
            )
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"not an encoder of this program: {error}",
                where=str(path),
                remedy="train it again: kiemchung train verdict --encoder … --out DIR",
            ) from error

    def encoded(self, claim: str, evidence: str) -> NDArray[np.float64]:
        """Return what the encoder alone says, the five values of `ENCODED`."""
        read = sequences(self.bpe, claim, evidence, longest=self.longest)
        return gathered(
            np.stack(
                [onnx_logits(self.session, *one) for one in zip(read.ids, read.types, strict=True)]
            )
        )

    def probabilities(self, claim: str, evidence: str) -> NDArray[np.float64]:
        """Return three calibrated probabilities in `LABEL_ORDER`; an empty side is NEI."""
        if not claim.strip() or not evidence.strip():
            return np.array([0.0, 0.0, 1.0])
        row = np.concatenate([self.encoded(claim, evidence), features(claim, evidence)])
        return softmax(self.layers[form_of(evidence)].logits(row))

    def judge(self, claim: str, evidence: str) -> Verdict:
        """Return the verdict on one pair; a fault inside becomes status failed, never a score."""
        try:
            return verdict_of(
                self.probabilities(claim, evidence).tolist(), abstain_below=self.abstain_below
            )
        except Exception as error:  # noqa: BLE001  one bad text must not stop a weekly run
            return failed(error)
