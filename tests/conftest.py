"""Fixtures that every folder of tests shares."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

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
    """Run the fast tests first, then the slow ones, then those that need a browser."""

    def cost(item: pytest.Item) -> int:
        return 2 if item.get_closest_marker("browser") else bool(item.get_closest_marker("slow"))

    items.sort(key=cost)
