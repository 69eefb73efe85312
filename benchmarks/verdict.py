"""The verdict model on real pairs: zero-shot, by folds, part by part, seed by seed, and controls.

    python benchmarks/verdict.py --data DATA [--model DIR ...] [--folds 5] [--repeats 5] [--json]

DATA holds ``verdicts/`` with ViFactCheck's half and XNLI in Vietnamese. Each --model is one trained
folder (several seeds of one recipe: mean and spread are printed); without one, the shipped model.

zero-shot    layers fitted and calibrated without a row of the half
by folds     layers fitted with the rows of the other folds too, calibrated there; folds by article
controls     measured on the folder as it is

A folder that was tuned on the half (`train verdict --tune`) wrote the first two into its manifest;
for any other folder they are measured here.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import LABEL_ORDER
from models import evaluate, registry
from models.comparison import features
from models.construct import label_of
from models.encoder import ENCODED, EncoderModel
from models.train import STRENGTH, fit
from models.verdict import VerdictModel

Row = dict[str, Any]
FORMS = {"evidence": ("gold", "short"), "context": ("article", "long")}


def read(path: Path) -> list[Row]:
    """Return the records of a JSONL file."""
    return [json.loads(x) for x in path.read_text(encoding="utf-8").splitlines() if x.strip()]


def table(model: VerdictModel, rows: Sequence[Row], field: str) -> NDArray[np.float64]:
    """Return what the layer sees: the encoder's values where there is one, then the features."""
    found = []
    for row in rows:
        claim, evidence = str(row["claim"]), str(row[field])
        parts = [features(claim, evidence)]
        if isinstance(model, EncoderModel):
            parts.insert(0, model.encoded(claim, evidence))
        found.append(np.concatenate(parts))
    return np.array(found)


def grouped(
    x: NDArray[np.float64], y: NDArray[np.int64], groups: Sequence[str], folds: int, repeats: int
) -> list[float]:
    """Return macro-F1 of each repeat: out-of-fold labels, folds by group."""
    from sklearn.model_selection import GroupKFold

    scores = []
    for seed in range(repeats):
        said = np.zeros(len(y), dtype=np.int64)
        for train, held in GroupKFold(folds, shuffle=True, random_state=seed).split(x, y, groups):
            weight = np.array([len(train) / (3.0 * (y[train] == k).sum()) for k in y[train]])
            mean, scale, w, b = fit(x[train], y[train], weight, strength=STRENGTH)
            said[held] = (np.clip((x[held] - mean) / scale, -6, 6) @ w.T + b).argmax(axis=1)
        labels = [LABEL_ORDER[i] for i in y]
        scores.append(evaluate.macro_f1(labels, [LABEL_ORDER[i] for i in said]))
    return scores


def stored(folder: Path) -> Mapping[str, Any]:
    """Return what a folder's manifest says of the pairs labelled by people, by form."""
    found = registry.verify(folder).metrics.get("labelled_by_people", {})
    return dict(found)


def spread(values: Sequence[float]) -> str:
    """Return mean and standard deviation."""
    return f"{np.mean(values):.3f} ± {np.std(values):.3f} (n {len(values)})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, nargs="*", default=[registry.DEFAULT])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = read(given.data / "verdicts" / "vifactcheck_dev_a.jsonl")
    other = read(given.data / "verdicts" / "xnli_vi_test.jsonl")
    y = np.array([LABEL_ORDER.index(label_of(r["label"])) for r in rows], dtype=np.int64)
    groups = [str(r["context"]) for r in rows]
    found: dict[str, list[float]] = {}

    def note(name: str, value: float | Sequence[float]) -> None:
        found.setdefault(name, []).extend([value] if isinstance(value, float) else value)

    for folder in given.model:
        model = registry.load(folder)
        tuned = stored(folder)
        for field, (told, form) in FORMS.items():
            blind = evaluate.controls(model, rows, field=field)
            if form in tuned:
                part = tuned[form]
                for name in ("zero_shot_macro_f1", "zero_shot_ece"):
                    note(f"{told}: {name}", float(part[name]))
                for name in ("joined_macro_f1", "encoder_macro_f1", "comparison_macro_f1", "ece"):
                    note(f"{told}: by folds, {name}", float(part[name]["mean"]))
                    note(f"{told}: by folds, spread of {name}", float(part[name]["spread"]))
                shown, right = (part[name]["mean"] for name in ("flags", "flags_right"))
                note(f"{told}: by folds, flags", float(shown))
                note(f"{told}: by folds, share of them that is right", right / max(1.0, shown))
                macro_f1 = float(part["joined_macro_f1"]["mean"])
            else:
                report = evaluate.evaluate(model, rows, field=field)
                shown_ = report.refuted_at_threshold
                macro_f1 = report.macro_f1
                note(f"{told}: zero_shot_macro_f1", report.macro_f1)
                note(f"{told}: zero_shot_ece", report.ece)
                note(f"{told}: share that is right of {shown_.n} flags", shown_.value)
                x = table(model, rows, field)
                wide = len(ENCODED) if isinstance(model, EncoderModel) else 0
                parts = {"comparison": x[:, wide:]}
                if wide:
                    parts |= {"encoder": x[:, :wide], "joined": x}
                for name, values in parts.items():
                    scores = grouped(values, y, groups, given.folds, given.repeats)
                    note(f"{told}: by folds, {name}_macro_f1", scores)
            note(f"{told}: still refuted when shuffled", blind.shuffled_refuted)
            note(f"{told}: gap to claim only", macro_f1 - blind.claim_only_macro_f1)
            note(f"{told}: digit flip leaves supported", blind.flip_leaves_supported)
        note("XNLI-vi test: macro-F1", evaluate.evaluate(model, other).macro_f1)
    if given.json:
        means = {
            n: {"mean": float(np.mean(v)), "spread": float(np.std(v))} for n, v in found.items()
        }
        print(json.dumps(means))
        return
    for name, values in found.items():
        print(f"{name:58} {spread(values)}")


if __name__ == "__main__":
    main()
