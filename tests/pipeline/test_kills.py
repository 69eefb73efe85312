"""The weekly run killed at every stage, without room, with the store taken: nothing is lost.

The code is that of benchmarks/kills.py and benchmarks/disturbed.py, which do it a thousand times.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.disturbed import disturb
from benchmarks.killed_weeks import Ready, in_memory, ready
from benchmarks.killing import STAGES
from benchmarks.kills import kill_weeks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),  # a busy machine is no fault
    pytest.mark.skipif(sys.platform != "linux", reason="orphans are reaped by a Linux call"),
]
KILLS = int(os.environ.get("KIEMCHUNG_KILLS", "40"))
"""Three or four of each stage; below twelve some stages have none."""


@pytest.fixture(scope="module")
def at() -> Iterator[Ready]:
    with tempfile.TemporaryDirectory(dir=in_memory()) as folder, ready(Path(folder)) as made:
        yield made


@pytest.mark.slow(40)
def test_kills_lose_nothing_and_double_nothing(at: Ready) -> None:
    found = kill_weeks(at, KILLS, seed=40, a_trial=20)
    assert found["kills"] == KILLS
    assert found["told"] == []
    assert not any(found["violations"].values())
    # Where a kill hits is a matter of the machine; that its run had come to the stage is not.
    aimed = found["aimed_at"]
    assert set(aimed) == set(STAGES)
    assert min(aimed.values()) >= KILLS // len(STAGES)
    assert sum(aimed.values()) == KILLS + found["runs_that_ended_before_the_kill"]
    assert set(found["exit_codes"]) <= {"0", "2"}


def test_without_room_and_with_the_store_taken_nothing_is_lost(at: Ready) -> None:
    found = disturb(at, seed=1, few=True)
    assert found["told"] == []
    assert not any(found["violations"].values())
    limited = found["file_limit"]
    assert (limited["failed"], limited["not_told_in_one_line"]) == (1, [])
    assert found["taken_store"]["names_the_process"]
    assert not found["taken_store"]["published"]
    assert found["taken_store"]["seconds"] < 60
