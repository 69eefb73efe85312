"""Fixtures that every folder of tests shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:
    # A worker for each core: threads inside one would wait for those of the others.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Speed is measured in benchmarks/; a busy machine must not fail a property.
settings.register_profile("kiemchung", deadline=None)
settings.load_profile("kiemchung")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The development data beside the repository; a user does not have it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the development data (../shared/data) is not here")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the fast tests first, then the slow ones, then those that need a browser.

    Tests that measure time are left to a run without workers, and say so.
    """

    def cost(item: pytest.Item) -> int:
        return 2 if item.get_closest_marker("browser") else bool(item.get_closest_marker("slow"))

    items.sort(key=cost)
    if "PYTEST_XDIST_WORKER" in os.environ:
        for item in items:
            if item.get_closest_marker("alone"):
                item.add_marker(pytest.mark.skip(reason="measures time: run it without -n"))
