"""A file that one process holds at a time and that names its holder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kiemchung.errors import KiemchungError
from kiemchung.locks import held

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys, time
from pathlib import Path
from kiemchung.locks import held
with held(Path(sys.argv[1]), what="it"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_holder_is_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / ".lock"
    with held(path, what="run 7"):
        named = rf"run 7 .* process {os.getpid()}"
        with pytest.raises(KiemchungError, match=named) as caught, held(path, what="run 7"):
            pass
        assert caught.value.where == str(path)
        assert caught.value.remedy
    with held(path, what="run 7"):
        pass


def test_a_killed_holder_gives_it_back_and_waiting_ends_then(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        begun = time.monotonic()
        refused = pytest.raises(KiemchungError, match=str(other.pid))
        with refused, held(path, what="it", wait_seconds=0.2):
            pass
        assert 0.2 <= time.monotonic() - begun < 10
        other.send_signal(signal.SIGKILL)
        with held(path, what="it", wait_seconds=20):
            assert path.read_text() == str(os.getpid())
    finally:
        other.kill()
        other.communicate()


def test_who_has_just_taken_it_is_given_time_to_say_who_it_is(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with held(path, what="it"):
        path.write_text("")
        with pytest.raises(KiemchungError, match=r"process \?"), held(path, what="it"):
            pass
