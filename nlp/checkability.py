"""A small trained classifier beside the rules of `nlp.claims`: does a sentence state or judge?

Logistic regression on hashed words and pairs of words of the segmented view, calibrated by a
sigmoid fitted on held-out folds. It only ever takes a sentence away from the verdict: what the
rules call an opinion stays one. Trained by ``python benchmarks/checkability.py --write`` on the
project's own control sets and the reference base; the figures of that command are cross-validated.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from kiemchung.errors import ModelError
from nlp.words import phobert_views

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FEATURES: Final = 2**14
THRESHOLD: Final = 0.015
"""Below this probability a sentence is taken for an opinion; so low that on held-out folds 98 of
100 checkable sentences stay."""
_FILE: Final = "checkability.npz"
_NUMBER: Final = re.compile(r"\d[\d.,/]*")


@dataclass(frozen=True, slots=True)
class CheckabilityModel:
    """Weights over `FEATURES` hashed features, and the sigmoid that calibrates them."""

    weights: NDArray[np.float32]
    bias: float
    slope: float
    shift: float

    def probabilities(self, sentences: Sequence[str]) -> NDArray[np.float64]:
        """Return for each sentence the probability (0 to 1) that it states something checkable."""
        if not sentences:
            return np.zeros(0)
        scores = features(sentences) @ self.weights + self.bias
        calibrated: NDArray[np.float64] = 1 / (1 + np.exp(-(self.slope * scores + self.shift)))
        return calibrated

    def to_bytes(self) -> bytes:
        """Return the model as a NumPy archive, the same bytes for the same model."""
        held = io.BytesIO()
        rest = np.array([self.bias, self.slope, self.shift])
        np.savez_compressed(held, weights=self.weights.astype(np.float16), rest=rest)
        return held.getvalue()


def features(sentences: Sequence[str]) -> csr_matrix:
    """Return hashed words and pairs, one row a sentence; every number reads the same."""
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(
        n_features=FEATURES,
        ngram_range=(1, 2),
        alternate_sign=False,
        token_pattern=r"\S+",
        lowercase=False,
    )
    views = [_NUMBER.sub("0", view.lower()) for view in phobert_views(sentences)]
    rows: csr_matrix = hashing.transform(views)
    return rows


def read_model(data: bytes) -> CheckabilityModel:
    """Read what `CheckabilityModel.to_bytes` wrote.

    Raises:
        ModelError: the bytes are no such model.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as held:
            weights = held["weights"].astype(np.float32)
            bias, slope, shift = held["rest"].tolist()
    except (ValueError, KeyError, OSError, EOFError, BadZipFile) as error:
        raise ModelError(
            f"no checkability model ({error})", where=_FILE, remedy="install the package again"
        ) from error
    if weights.shape != (FEATURES,) or not np.isfinite(weights).all():
        raise ModelError("weights of another kind", where=_FILE, remedy="install the package again")
    return CheckabilityModel(weights, bias, slope, shift)


@lru_cache(maxsize=1)
def load_model() -> CheckabilityModel:
    """Load the model that comes with the package, once a process.

    Raises:
        ModelError: it is missing or damaged.
    """
    file = resources.files("nlp").joinpath("data", _FILE)
    try:
        return read_model(file.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(
            "missing", where=f"nlp/data/{_FILE}", remedy="install the package again"
        ) from error
