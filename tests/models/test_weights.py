"""The estimator of docs/dataset.md, run as it stands there: unbiased on simulated weeks."""

from __future__ import annotations

import random
import re
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

from kiemchung.domain import Label
from models import reviewed
from models.reviewed import ReviewedPair

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "dataset.md"
DRAWS = 400
CLAIMS = 400


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """The names that the block of the document defines."""
    (block,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    return names


def pair(number: int, label: Label, selected: str, probability: float | None) -> ReviewedPair:
    return ReviewedPair(
        pair_id=f"p{number}", claim=f"câu {number}", claim_sha256="0" * 64, evidence="căn cứ",
        passages=("x",), label=label, distortions=(), reviewer="r-0", week="2026-W36",
        story=f"s{number}", claim_id=f"c{number}", as_of="2026-09-01", selected_as=selected,
        probability=probability, decision_before_model=None, shown_model=True, adjudicated=False,
        model_label=None, p_refuted=None,
    )  # fmt: skip


def population(rnd: random.Random) -> list[tuple[Label, float]]:
    """Claims with their label and the probability of being shown: flags 1, the others a share."""
    found = []
    for _ in range(CLAIMS):
        flagged = rnd.random() < 0.1
        refuted = rnd.random() < (0.8 if flagged else 0.05)
        found.append(
            (
                Label.REFUTED if refuted else Label.NOT_ENOUGH_INFO,
                1.0 if flagged else rnd.choice([0.1, 0.2]),
            )
        )
    return found


def test_the_weighted_figures_are_unbiased_and_counting_is_not(
    shown: dict[str, Any], tmp_path: Path
) -> None:
    rnd = random.Random(11)
    claims = population(rnd)
    truth = sum(label is Label.REFUTED for label, _ in claims)
    totals, shares, errors, plain = [], [], [], []
    for _ in range(DRAWS):
        seen = [
            pair(n, label, "flag" if p == 1.0 else "sample", p)
            for n, (label, p) in enumerate(claims)
            if rnd.random() < p
        ]
        totals.append(shown["total"](seen, "REFUTED"))
        value, error = shown["share"](seen, "REFUTED")
        shares.append(value)
        errors.append(error)
        plain.append(fmean(p.label is Label.REFUTED for p in seen))
    assert abs(fmean(totals) - truth) < 4 * stdev(totals) / sqrt(DRAWS)
    # A ratio is unbiased up to the order of 1 / n.
    assert abs(fmean(shares) - truth / CLAIMS) < 4 * stdev(shares) / sqrt(DRAWS) + 1 / CLAIMS
    assert fmean(errors) == pytest.approx(stdev(shares), rel=0.25)
    assert fmean(plain) > 2 * truth / CLAIMS


def test_a_folder_is_read_whole_and_each_claim_once_a_week(
    shown: dict[str, Any], tmp_path: Path
) -> None:
    rows = {
        "train": [pair(1, Label.REFUTED, "flag", 1.0), pair(2, Label.REFUTED, "none", None)],
        "dev": [],
        "test": [pair(3, Label.SUPPORTED, "sample", 0.05)],
        reviewed.OUTSIDE: [
            pair(4, Label.REFUTED, "flag", 1.0),
            pair(3, Label.REFUTED, "flag", 1.0),
        ],
    }
    for name, pairs in rows.items():
        (tmp_path / f"{name}.jsonl").write_bytes(reviewed.lines_of(pairs))
    found = shown["drawn"](tmp_path)
    assert [p.pair_id for p in found] == ["p1", "p3", "p4"]
    assert shown["total"](found, "REFUTED") == 2
    value, error = shown["share"](found, "SUPPORTED")
    assert value == pytest.approx(20 / 22)
    assert error > 0
