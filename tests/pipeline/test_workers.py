"""Workers: results in order, a kill costs one shard, an error comes through, nobody is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from kiemchung.errors import RecordError, WorkerError
from pipeline.workers import FEW, TRIES, Alone, Processes, cores, crew_of
from tests.jobs import Note, Notes, broken

ROOT = Path(__file__).resolve().parents[2]


def notes(folder: Path, count: int, **of: dict[str, object]) -> list[Note]:
    return [Note(number=n, folder=folder, **of.get(f"n{n}", {})) for n in range(count)]  # type: ignore[arg-type]


def numbers(folder: Path) -> list[int]:
    return sorted(int(p.name.removeprefix("done-")) for p in folder.glob("done-*"))


def test_a_crew_of_one_is_this_process_and_0_is_a_process_a_core(tmp_path: Path) -> None:
    assert crew_of(1) == Alone()
    assert crew_of(3) == Processes(count=3)
    assert crew_of(0) == (Processes(count=cores()) if cores() > 1 else Alone())
    found = list(Alone().run(Notes, tmp_path, notes(tmp_path, 3)))
    assert found == [(n, os.getpid()) for n in range(3)]


def test_few_tasks_are_done_here(tmp_path: Path) -> None:
    found = list(Processes(count=2).run(Notes, tmp_path, iter(notes(tmp_path, FEW - 1))))
    assert {pid for _, pid in found} == {os.getpid()}
    assert list(Processes(count=2).run(Notes, tmp_path, [])) == []


@pytest.mark.slow
def test_results_come_in_order_and_each_worker_makes_its_job_once(tmp_path: Path) -> None:
    tasks = notes(tmp_path, 12, n0={"seconds": 0.5})
    found = list(Processes(count=2).run(Notes, tmp_path, iter(tasks)))
    assert [n for n, _ in found] == list(range(12))
    workers = {pid for _, pid in found}
    assert os.getpid() not in workers
    assert len(list(tmp_path.glob("made-*"))) in (len(workers), 2)
    assert not any(psutil.pid_exists(pid) for pid in workers)


@pytest.mark.slow
def test_a_killed_worker_loses_and_doubles_nothing(tmp_path: Path) -> None:
    tasks = notes(tmp_path, 10, n0={"kills": 1}, n5={"kills": 2}, n9={"kills": 1})
    found = list(Processes(count=2).run(Notes, tmp_path, iter(tasks)))
    assert [n for n, _ in found] == list(range(10))
    assert numbers(tmp_path) == list(range(10))
    assert len(list(tmp_path.glob("died-*"))) == 4


@pytest.mark.slow
def test_a_task_that_kills_every_worker_is_named(tmp_path: Path) -> None:
    tasks = notes(tmp_path, 8, n5={"kills": 99})
    done = []
    with pytest.raises(WorkerError, match=rf"died {TRIES} times") as caught:
        done.extend(Processes(count=2).run(Notes, tmp_path, tasks))
    assert "number=5" in caught.value.where
    assert "workers = 1" in caught.value.remedy
    assert numbers(tmp_path)[:5] == list(range(5))


@pytest.mark.slow
@pytest.mark.parametrize("make", [Notes, broken])
def test_an_error_comes_through_with_its_words(
    tmp_path: Path, make: Callable[[Path], Notes]
) -> None:
    tasks = notes(tmp_path, 6, n2={"raises": "no such claim"})
    with pytest.raises(RecordError if make is Notes else ValueError) as caught:
        list(Processes(count=2).run(make, tmp_path, tasks))
    if isinstance(caught.value, RecordError):
        assert (caught.value.message, caught.value.where) == ("no such claim", "note 2")
        assert caught.value.remedy == "none"
    else:
        assert str(caught.value) == f"no job in {tmp_path.name}"


SCRIPT = """
import signal
import sys
from pathlib import Path
from pipeline.workers import Processes
from tests.jobs import Note, Notes
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    folder = Path(sys.argv[1])
    tasks = (Note(number=n, folder=folder, seconds=0.2) for n in range(1000))
    try:
        for _ in Processes(count=2).run(Notes, folder, tasks):
            pass
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.slow
@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_its_parent(tmp_path: Path, blow: signal.Signals) -> None:
    script = tmp_path / "parent.py"
    script.write_text(SCRIPT, encoding="utf-8")
    parent = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
        stderr=subprocess.PIPE,
    )
    until(lambda: len(list(tmp_path.glob("done-*"))) >= 3)
    workers = psutil.Process(parent.pid).children(recursive=True)
    assert len(workers) >= 2
    if blow is signal.SIGINT:
        os.killpg(parent.pid, blow)  # as a terminal sends it: to all of them
    else:
        os.kill(parent.pid, blow)
    try:
        _, told = parent.communicate(timeout=60)
    finally:
        parent.kill()
    assert parent.returncode == (130 if blow is signal.SIGINT else -9)
    assert b"Traceback" not in told
    until(lambda: not any(w.is_running() and w.status() != "zombie" for w in workers))


def until(true: Callable[[], bool], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)
