"""What the documents say of active learning is what the simulation wrote."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from models.curves import Curve, saved_at_share

DOCS = Path(__file__).resolve().parents[1] / "docs"
RESULTS = json.loads((DOCS / "pictures" / "learning-curves.json").read_text(encoding="utf-8"))


def rows(name: str) -> list[list[str]]:
    """Cells of the table behind ``<!-- figures: name -->``, in whichever document it stands."""
    mark = f"<!-- figures: {name} -->"
    (page,) = [p for p in sorted(DOCS.rglob("*.md")) if mark in p.read_text(encoding="utf-8")]
    lines = page.read_text(encoding="utf-8").split(mark)[1].strip().splitlines()
    table = lines[2:]
    found = []
    for line in table:
        if not line.startswith("|"):
            break
        found.append([cell.strip(" *") for cell in line.strip("|").split("|")])
    return found


def percent(value: float | None) -> str:
    return "never" if value is None else f"{100 * value:.0f} %"


@pytest.mark.parametrize("share", ["0.95", "0.98"])
def test_the_table_of_labels_saved_is_the_result(share: str) -> None:
    table = rows(f"labels saved at {share}")
    sets = list(RESULTS)
    assert len(table) >= 10
    for name, *cells in table:
        assert len(cells) == len(sets)
        for key, cell in zip(sets, cells, strict=True):
            row = RESULTS[key]["orders"].get(name)
            if row is None:
                assert cell == "-"
                continue
            found = row["saved_at_share"][share]
            span = (
                "" if found["low"] is None
                else f" ({100 * found['low']:.0f}…{100 * found['high']:.0f})"
            )  # fmt: skip
            assert cell == percent(found["value"]) + span, (name, key)


def test_what_is_saved_follows_from_the_curves() -> None:
    """The stored share is worked out anew from the stored means."""
    for body in RESULTS.values():
        curves = {
            name: Curve(labels=np.array(row["labels"]), f1=np.array([row["mean"]]))
            for name, row in body["orders"].items()
        }
        for name, row in body["orders"].items():
            for share, told in row.get("saved_at_share", {}).items():
                again = saved_at_share(curves[name], curves["random"], body["full"], float(share))
                if told["value"] is None or again.value is None:
                    continue
                # Means are stored to four digits.
                assert again.value == pytest.approx(told["value"], abs=0.05), (name, share)


def test_the_picture_is_of_these_curves() -> None:
    drawn = (DOCS / "pictures" / "learning-curves.svg").read_text(encoding="utf-8")
    for name in RESULTS:
        assert f">{name}<" in drawn
    assert len(re.findall("<polyline", drawn)) == 4 * len(RESULTS)
