"""The weekly run killed at every stage, on a full disk, with the store taken, twice at once.

The code is that of benchmarks/kills.py and benchmarks/disturbed.py, which do it a thousand times.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.disturbed import disturb
from benchmarks.killing import STAGES
from benchmarks.kills import kill_weeks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="orphans are reaped by a Linux call"),
]
KILLS = 40


def test_forty_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    found = kill_weeks(KILLS, seed=40, folder=tmp_path, a_trial=20)
    assert found["kills"] == KILLS
    assert found["told"] == []
    assert not any(found["violations"].values())
    assert len(set(STAGES) & set(found["kills_by_stage"])) >= len(STAGES) - 2
    assert set(found["exit_codes"]) <= {"0", "2"}


def test_a_full_disk_a_taken_store_and_a_second_run_lose_nothing(tmp_path: Path) -> None:
    found = disturb(tmp_path, seed=1, few=True)
    assert found["told"] == []
    assert not any(found["violations"].values())
    assert found["file_limit"] == {
        "limits": 1, "failed": 1, "finished": 0, "not_told_in_one_line": []
    }  # fmt: skip
    assert found["taken_store"]["names_the_process"]
    assert found["taken_store"]["seconds"] < 60
    assert sum(found["two_at_once"].values()) == 2
