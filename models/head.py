"""The last layer of a model, taken out, fitted further on what people decided, and put back.

The new layer begins at the old one: the logits of the layer in use are three more inputs of a
scikit-learn logistic regression, scaled so that hardly any penalty lies on them, beside the values
themselves, on which the whole penalty lies (a stacked prior, as in Tommasi et al. 2014 for linear
models). With few decisions the layer stays what it was but for its calibration; with many it
becomes theirs. As the old logits are linear in the scaled values, both fold into one layer of the
same shape: a candidate is no larger or slower than the model before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import LABEL_ORDER, Label
from kiemchung.errors import ModelError
from models import calibration
from models.comparison import ComparisonModel, softmax
from models.encoder import EncoderModel, Layer, form_of, held_back
from models.verdict import VerdictModel
from models.weighing import balanced

ANY: Final = "any"  # the form of a model that has one layer for all evidence
ANCHOR: Final = 10.0  # scale of the old logits: with strength 0.005 a penalty of a hundredth
STRENGTH: Final = 0.005  # inverse L2, as in `models.joining`
FEWEST: Final = 60  # decisions of a form without which its layer stays
LEAST: Final = 10  # of each label
FLAGS: Final = 30  # refutations on held-out decisions without which the threshold stays
PLACES: Final = 9  # digits that are written


def layers_of(model: VerdictModel) -> dict[str, Layer]:
    """Return the calibrated layers of a model by form of evidence.

    Raises:
        ModelError: a model of neither kind.
    """
    if isinstance(model, EncoderModel):
        return dict(model.layers)
    if isinstance(model, ComparisonModel):
        return {
            ANY: Layer(
                mean=model.mean,
                scale=model.scale,
                weights=model.weights / model.temperature,
                bias=model.bias / model.temperature,
            )
        }
    raise ModelError(f"{model.model_id} has no layer that can be fitted further")


def forms_of(model: VerdictModel, evidence: Sequence[str]) -> NDArray[np.str_]:
    """Return which layer answers for each text."""
    one = isinstance(model, ComparisonModel)
    return np.array([ANY if one else form_of(text) for text in evidence], dtype=str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Pairs as a layer sees them: values (n, k), labels, weights, forms and source texts.

    ``told`` marks those that a person labelled.
    """

    x: NDArray[np.float64]
    y: NDArray[np.int64]
    weight: NDArray[np.float64]
    forms: NDArray[np.str_]
    groups: tuple[str, ...]
    told: NDArray[np.bool_]

    def where(self, kept: NDArray[np.bool_]) -> Rows:
        """Return some of the rows."""
        return Rows(
            x=self.x[kept],
            y=self.y[kept],
            weight=self.weight[kept],
            forms=self.forms[kept],
            groups=tuple(g for g, k in zip(self.groups, kept, strict=True) if k),
            told=self.told[kept],
        )


def enough(y: NDArray[np.int64]) -> bool:
    """Whether so many labels can carry a layer."""
    return len(y) >= FEWEST and all((y == k).sum() >= LEAST for k in range(3))


def refit(layer: Layer, rows: Rows, *, strength: float = STRENGTH) -> Layer:
    """Return ``layer`` fitted further on ``rows``; all three labels must be among them."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    scaled = np.clip((rows.x - layer.mean) / layer.scale, -6.0, 6.0)
    said = scaled @ layer.weights.T + layer.bias
    model = LogisticRegression(C=strength, max_iter=4_000)
    weight = balanced(rows.weight, rows.y)
    with threadpool_limits(1):  # the same digits whatever the machine does beside
        model.fit(np.hstack([ANCHOR * said, scaled]), rows.y, sample_weight=weight)
    mixed, added = ANCHOR * model.coef_[:, :3], model.coef_[:, 3:]
    return replace(
        layer,
        weights=mixed @ layer.weights + added,
        bias=mixed @ layer.bias + model.intercept_,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """Layers by form, which of them were fitted, and what the held-out decisions were used for."""

    layers: Mapping[str, Layer]
    fitted: tuple[str, ...]
    calibrated: tuple[str, ...]
    threshold: float
    threshold_from: str
    conformal: Mapping[str, float]  # see `calibration.conformal`, of ``dev``; empty where too small


def fit(model: VerdictModel, train: Rows, dev: Rows) -> Fitted:
    """Fit every layer that has decisions enough, calibrate it and choose the threshold on ``dev``.

    A layer without enough decisions stays as it is; one without enough held-out decisions is
    calibrated on its own, by folds of their source texts.
    """
    layers = layers_of(model)
    fitted, calibrated = [], []
    for form, old in layers.items():
        mine, held = train.where(train.forms == form), dev.where(dev.forms == form)
        if not enough(mine.y[mine.told & (mine.weight > 0.0)]):
            continue
        new = refit(old, mine.where(mine.weight > 0.0))
        held = held.where(held.weight > 0.0)
        if enough(held.y):
            z, y, groups, weight = new.linear(held.x), held.y, held.groups, held.weight
            calibrated.append(form)
        else:
            told = mine.where(mine.told & (mine.weight > 0.0))
            z, y, groups, weight = _out_of_fold(old, told), told.y, told.groups, told.weight
        factors, shifts = calibration.fit_scaling(z, y, groups, weight=weight)
        layers[form] = _rounded(
            replace(new, weights=new.weights * factors[:, None], bias=new.bias * factors + shifts)
        )
        fitted.append(form)
    held = dev.where(dev.weight > 0.0)
    p = softmax(said_by(model, layers, held.x, held.forms)) if len(held.y) else np.zeros((0, 3))
    threshold, told_by = _threshold(model, p, held)
    return Fitted(
        layers=layers, fitted=tuple(fitted), calibrated=tuple(calibrated), threshold=threshold,
        threshold_from=told_by,
        conformal=calibration.conformal(p, held.y) if enough(held.y) else {},
    )  # fmt: skip


def _out_of_fold(old: Layer, rows: Rows, *, folds: int = 5) -> NDArray[np.float64]:
    fold = calibration.folds_of(rows.groups, folds=folds)
    found = old.linear(rows.x)
    for i in range(folds):
        out = fold == i
        if out.any() and set(rows.y[~out].tolist()) == {0, 1, 2}:
            found[out] = refit(old, rows.where(~out)).linear(rows.x[out])
    return found


def said_by(
    model: VerdictModel,
    layers: Mapping[str, Layer],
    x: NDArray[np.float64],
    forms: NDArray[np.str_],
) -> NDArray[np.float64]:
    """Return the logits (n, 3) of rows by the layer of their form, as ``model`` would answer."""
    found = np.zeros((len(x), 3))
    for form, layer in layers.items():
        mine = forms == form
        z = layer.linear(x[mine])
        found[mine] = held_back(x[mine], z) if isinstance(model, EncoderModel) else z
    return found


def _threshold(model: VerdictModel, p: NDArray[np.float64], dev: Rows) -> tuple[float, str]:
    refuted = LABEL_ORDER.index(Label.REFUTED)
    flags = int(((p.argmax(axis=1) == refuted) & (p[:, refuted] >= 0.5)).sum()) if len(p) else 0
    if flags < FLAGS:
        return model.threshold, f"the model before it: {flags} refutations on held-out decisions"
    chosen = calibration.choose_threshold(p, dev.y, weight=dev.weight)
    return chosen, f"{flags} refutations on held-out decisions"


def _rounded(layer: Layer) -> Layer:
    """Cut to the digits that are written: what is measured is then what is loaded."""

    def cut(values: NDArray[np.float64]) -> NDArray[np.float64]:
        flat = [float(f"{v:.{PLACES}g}") for v in values.ravel()]
        return np.array(flat).reshape(values.shape)

    return replace(layer, weights=cut(layer.weights), bias=cut(layer.bias))
