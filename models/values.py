"""What a model computes of a pair before its last layer, once for many pairs and many layers.

Nearly all time goes into the encoder and the comparison features; the layer over them is a product
of small matrices. So the values are worked out once: a layer is fitted on them, and models that
share an encoder are compared on them. A verdict made of values is the model's own, to the bit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import Status
from kiemchung.errors import ModelError
from models import registry
from models.comparison import FEATURES, ComparisonModel, features, softmax
from models.encoder import FUSED, FUSION_FILE, EncoderModel, form_of
from models.verdict import Verdict, VerdictModel, failed, verdict_of

CHUNK: Final = 64  # pairs handed to a worker at a time
FEW: Final = 256  # pairs below which starting a process costs more than it saves


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """One row a pair: `FUSED` wide, or `FEATURES` wide where no encoder was asked.

    ``errors`` names what went wrong with a pair, empty where nothing did; such a row is all zero
    and stands for no verdict.
    """

    x: NDArray[np.float64]
    errors: tuple[str, ...]

    @property
    def compared(self) -> NDArray[np.float64]:
        """The comparison features alone, shape (n, `FEATURES`)."""
        return self.x[:, -len(FEATURES) :]


_model: VerdictModel | None = None


def _start(folder: str) -> None:
    global _model
    _model = registry.load(Path(folder))


def row_of(model: VerdictModel, claim: str, evidence: str) -> NDArray[np.float64]:
    """Return the values of one pair, as ``model`` computes them."""
    compared = features(claim, evidence)
    if isinstance(model, EncoderModel):
        return np.concatenate([model.encoded(claim, evidence), compared])
    return compared


def _rows(
    model: VerdictModel, pairs: Sequence[tuple[str, str]], width: int
) -> list[tuple[NDArray[np.float64], str]]:
    found = []
    for claim, evidence in pairs:
        try:
            if not claim.strip() or not evidence.strip():  # such a pair is never scored
                found.append((np.zeros(width), ""))
                continue
            found.append((row_of(model, claim, evidence), ""))
        except Exception as error:  # noqa: BLE001  one bad text must not stop a comparison
            found.append((np.zeros(width), failed(error).error))
    return found


def _chunk(pairs: Sequence[tuple[str, str]], width: int) -> list[tuple[NDArray[np.float64], str]]:
    if _model is None:
        raise RuntimeError("the worker has no model")
    return _rows(_model, pairs, width)


def width_of(model: VerdictModel) -> int:
    """Return how many values ``model`` computes of a pair.

    Raises:
        ModelError: a model of neither kind has no layer over values.
    """
    if isinstance(model, EncoderModel):
        return len(FUSED)
    if isinstance(model, ComparisonModel):
        return len(FEATURES)
    raise ModelError(f"{model.model_id} has no layer that can be set apart")


def values_of(folder: Path, pairs: Sequence[tuple[str, str]], *, processes: int = 1) -> Values:
    """Return the values of each (claim, evidence) pair, in order; equal pairs are asked once.

    The same for any number of ``processes``: one sequence a call, one thread each.

    Raises:
        ModelError: the folder is no model of this program.
    """
    model = registry.load(folder)
    width = width_of(model)
    asked = list(dict.fromkeys(pairs))
    if processes < 2 or len(asked) < FEW:
        rows = _rows(model, asked, width)
    else:
        with ProcessPoolExecutor(
            processes,
            mp_context=get_context("spawn"),
            initializer=_start,
            initargs=(str(folder),),
        ) as pool:
            chunks = [asked[i : i + CHUNK] for i in range(0, len(asked), CHUNK)]
            rows = [r for part in pool.map(_chunk, chunks, [width] * len(chunks)) for r in part]
    known = dict(zip(asked, rows, strict=True))
    found = [known[pair] for pair in pairs]
    return Values(
        x=np.array([x for x, _ in found]).reshape(len(pairs), width),
        errors=tuple(error for _, error in found),
    )


def verdicts_of(
    model: VerdictModel, pairs: Sequence[tuple[str, str]], values: Values
) -> list[Verdict]:
    """Return what ``model`` says of the pairs whose values these are: what `judge` would answer.

    A comparison model takes its own columns out of an encoder's values.

    Raises:
        ModelError: a model of neither kind.
    """
    if not isinstance(model, EncoderModel | ComparisonModel):
        raise ModelError(f"{model.model_id} has no layer that can be set apart")
    x = values.x if isinstance(model, EncoderModel) else values.compared
    found = []
    for (claim, evidence), row, error in zip(pairs, x, values.errors, strict=True):
        if error:
            found.append(_failed(error))
            continue
        if not claim.strip() or not evidence.strip():
            p = np.array([0.0, 0.0, 1.0])
        elif isinstance(model, EncoderModel):
            p = softmax(model.layers[form_of(evidence)].logits(row))
        else:
            scaled = np.clip((row - model.mean) / model.scale, -6.0, 6.0)
            p = softmax((model.weights @ scaled + model.bias) / model.temperature)
        found.append(verdict_of(p.tolist(), abstain_below=model.abstain_below))
    return found


def _failed(error: str) -> Verdict:
    return Verdict(
        status=Status.FAILED, label=None, p_supported=None, p_refuted=None, p_nei=None, error=error
    )


def shares_encoder(first: Path, second: Path) -> bool:
    """Whether the values of ``first`` serve ``second`` too: one encoder, or none in the second.

    Raises:
        ModelError: a folder is no model of this program.
    """
    a, b = registry.verify(first), registry.verify(second)
    if b.kind == "comparison":
        return True
    own = (registry.CARD, FUSION_FILE)
    same = all(a.files.get(n) == b.files[n] for n in b.files if n not in own)
    return a.kind == "encoder" and same and _longest(first) == _longest(second)


def _longest(folder: Path) -> int:
    return int(json.loads((folder / FUSION_FILE).read_text(encoding="utf-8"))["longest"])
