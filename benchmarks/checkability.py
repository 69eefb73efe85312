"""Train and measure the checkability classifier on the project's own control sets.

    python benchmarks/checkability.py [--write] [--json]

Every figure is of held-out folds (5, seed 0): the sentence that is judged was not trained on.
Checkable sentences against criticism, opinion and praise; the texts of the reference base and of
``checkable_rules`` help in training only. ``--write`` trains on all of them and stores the model in
``nlp/data``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import vstack
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from kiemchung import reference
from kiemchung.domain import Checkability
from nlp.checkability import THRESHOLD, CheckabilityModel, features
from nlp.claims import assess
from nlp.quantities import extract

ROOT = Path(__file__).resolve().parents[1]


def sentences(name: str) -> list[str]:
    """Return the sentences of one control set."""
    lines = (ROOT / f"tests/data/controls/{name}.txt").read_text(encoding="utf-8").split("\n")
    return [line for line in lines if line and not line.startswith("#")]


def fitted(x: object, y: NDArray[np.int64]) -> LogisticRegression:
    """Return a balanced logistic regression; C was chosen among 1, 4 and 16 on the same folds."""
    return LogisticRegression(C=16, class_weight="balanced", max_iter=1000).fit(x, y)


def main() -> None:
    """Print the held-out figures, and store the model when asked."""
    positive = sentences("checkable")
    negative = sentences("criticism") + sentences("opinion")
    texts = positive + negative
    y = np.array([1] * len(positive) + [0] * len(negative))
    by_rule = np.array([assess(t)[0] is Checkability.CHECKABLE for t in texts])
    found = [extract(t) for t in texts]
    definite = np.array([bool(f.quantities or f.legal_refs or f.dates) for f in found])
    x = features(texts)
    base = [p.text for p in reference.load().passages]
    extra = features(base + sentences("checkable_rules"))
    ones = np.ones(extra.shape[0], dtype=np.int64)
    scores = np.zeros(len(texts))
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(texts, y):
        model = fitted(vstack([x[train], extra]), np.concatenate([y[train], ones]))
        scores[test] = model.decision_function(x[test])
    sigmoid = LogisticRegression(C=1e6).fit(scores[:, None], y)
    slope, shift = float(sigmoid.coef_[0, 0]), float(sigmoid.intercept_[0])
    p = 1 / (1 + np.exp(-(slope * scores + shift)))
    bins = [(p >= a) & (p < a + 0.1) for a in np.arange(0, 1, 0.1)]
    error = sum(abs(p[b].mean() - y[b].mean()) * b.sum() for b in bins if b.any()) / len(y)
    area = float(roc_auc_score(y, p))
    kept_by: dict[str, dict[str, int]] = {}
    for name, kept in (
        ("rules alone", by_rule),
        ("classifier alone", p >= THRESHOLD),
        ("both, as shipped", by_rule & (definite | (p >= THRESHOLD))),
    ):
        right, wrong = int((kept & (y == 1)).sum()), int((kept & (y == 0)).sum())
        kept_by[name] = {"checkable_kept": right, "others_through": wrong}
    if "--json" in sys.argv:
        print(json.dumps({
            "checkable": len(positive), "others": len(negative), "area_under_curve": area,
            "calibration_error": float(error), "kept_by": kept_by,
        }))  # fmt: skip
    else:
        print(f"{len(positive)} checkable, {len(negative)} criticism, opinion and praise")
        print(f"area under the curve {area:.3f}, calibration error {error:.3f}")
        for name, row in kept_by.items():
            print(
                f"{name:17} keeps {row['checkable_kept']} of {len(positive)} checkable,"
                f" lets {row['others_through']} of {len(negative)} through"
            )
    if "--write" in sys.argv:
        whole = fitted(vstack([x, extra]), np.concatenate([y, ones]))
        out = CheckabilityModel(
            whole.coef_[0].astype(np.float32), float(whole.intercept_[0]), slope, shift
        )
        (ROOT / "nlp/data/checkability.npz").write_bytes(out.to_bytes())


if __name__ == "__main__":
    main()
