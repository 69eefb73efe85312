"""A few flipped bits in every kind of file; benchmarks/flips.py does 200 of each."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import flips
from kiemchung.config import Settings

DEAR = ("store after a kill", "store after a checkpoint and a kill")
"""Read whole at every try, so fewer of them."""
LEDGER_LOG = "ledger's log after a kill"
pytestmark = pytest.mark.slow


@pytest.mark.slow(20)
def test_no_flipped_bit_is_missed(
    week_of_its_own: Callable[[str], Settings], tmp_path: Path
) -> None:
    dice = random.Random(11)
    data = week_of_its_own("flips").data_dir
    found = {}
    for kind in flips.kinds(data, tmp_path):
        row = flips.measure(kind, 4 if kind.name in DEAR else 12, dice)
        found[kind.name] = row
        assert row["missed"] == 0, row
        if kind.name not in ("configuration", "outlet files", "archive", *DEAR, LEDGER_LOG):
            assert row["refused"] == row["flips"], row
    assert len(found) == 16
    assert found["configuration"]["refused"] > 0
    assert found["outlet files"]["told"] > 0
