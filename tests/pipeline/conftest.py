"""The sample week, run once for all tests that only look at what it left behind."""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kiemchung.config import Settings, load_settings


@pytest.fixture(scope="session")
def finished_week(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a finished sample week; one for all worker processes, to be copied."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, done = shared / "finished-week", shared / "finished-week.done"
    with (shared / "finished-week.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the second worker waits for the first
        if not done.exists():
            from pipeline.demo import main as demo

            demo.run(load_settings(data_dir=folder, port=0))
            done.touch()
    return folder


@pytest.fixture(scope="session")
def week_of_its_own(
    finished_week: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Settings]:
    """Returns settings of a copy of the finished sample week, which a module may change."""

    def copied(name: str) -> Settings:
        target = tmp_path_factory.mktemp(name) / "data"
        gc.collect()  # a ledger that some test let go is closed now, and not while it is copied
        shutil.copytree(finished_week, target)
        return load_settings(data_dir=target, port=0)

    return copied
