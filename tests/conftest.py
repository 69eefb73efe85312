"""Fixtures that every folder of tests shares."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:
    # A worker for each core: threads inside one would wait for those of the others.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Speed is measured in benchmarks/; a busy machine must not fail a property. The draws follow from the
# test's own source, so that a change is judged by itself and not by luck; new ground is for
# `make fuzz`, and for the suite under KIEMCHUNG_RANDOM=1.
settings.register_profile("kiemchung", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None)
settings.load_profile("random" if os.environ.get("KIEMCHUNG_RANDOM") else "kiemchung")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The development data beside the repository; a user does not have it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the development data (../shared/data) is not here")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files of fast tests first, then the others, the dearest of them first.

    A file runs in one worker, in its own order: what its tests share is made once, and what one of
    them left behind is there for the next. The dearest file must not be the last that begins.
    Tests that measure time are left to a run without workers, and say so.
    """

    def seconds(item: pytest.Item) -> float:
        slow = item.get_closest_marker("slow")
        if slow is None:
            return 0.0
        return float(slow.args[0]) if slow.args else 2.0

    cost: Counter[Path] = Counter()
    for item in items:
        cost[item.path] += seconds(item)  # type: ignore[assignment]
    items.sort(key=lambda item: (cost[item.path] > 0, -cost[item.path]))
    if "PYTEST_XDIST_WORKER" in os.environ:
        for item in items:
            if item.get_closest_marker("alone"):
                item.add_marker(pytest.mark.skip(reason="measures time: run it without -n"))
