"""What five trainings of one recipe reached, from their manifests: mean and spread.

    python benchmarks/seeds.py

Each manifest of ``docs/figures/seeds`` is that of a whole training (`kiemchung train verdict`, the
chain in docs/measurements-model.md with ``--seed 0`` to ``4``), with what `models.joining` measured
by folds on pairs labelled by people. Number 1 is the shipped model's. A manifest carries a hash of
itself, so that none was edited; the weights of the other four are not kept. The spread is the
standard deviation between the five.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kiemchung.sealed import canonical_sha256

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "figures" / "seeds"
FORMS = {"gold": "short", "article": "long"}


def mean_of(name: str) -> Callable[[Mapping[str, Any]], float]:
    """Return how to read a figure that a training has as the mean of its ways to draw folds."""
    return lambda part: float(part[name]["mean"])


FIGURES: Mapping[str, Callable[[Mapping[str, Any]], float]] = {
    "joined": mean_of("joined_macro_f1"),
    "comparison": mean_of("comparison_macro_f1"),
    "encoder": mean_of("encoder_macro_f1"),
    "ece": mean_of("ece"),
    "flags": mean_of("flags"),
    "flags_right": mean_of("flags_right"),
    "zero_shot": lambda part: float(part["zero_shot_macro_f1"]),
    "zero_shot_ece": lambda part: float(part["zero_shot_ece"]),
    "zero_shot_flags": lambda part: float(part["zero_shot_flags"]),
    "zero_shot_flags_right": lambda part: float(part["zero_shot_flags_right"]),
}


def read(path: Path) -> dict[str, Any]:
    """Return a manifest.

    Raises:
        ValueError: it was changed after it was written.
    """
    body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    claimed = body.pop("manifest_sha256")
    if canonical_sha256(body) != claimed:
        raise ValueError(f"{path}: the manifest was changed after it was written")
    return body


def main() -> None:
    """Print JSON."""
    trainings = [read(path) for path in sorted(FOLDER.glob("*.json"))]
    found: dict[str, Any] = {"trainings": len(trainings)}
    for told, form in FORMS.items():
        parts = [t["metrics"]["labelled_by_people"][form] for t in trainings]
        found[f"{told}_pairs"] = parts[0]["pairs"]
        for name, figure in FIGURES.items():
            values = [figure(part) for part in parts]
            found[f"{told}_{name}"] = statistics.fmean(values)
            found[f"{told}_{name}_spread"] = statistics.pstdev(values)
        for name in ("flags", "zero_shot_flags"):
            share = found[f"{told}_{name}_right"] / found[f"{told}_{name}"]
            found[f"{told}_{name}_precision"] = share
    json.dump(found, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
