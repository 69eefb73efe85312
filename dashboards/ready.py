"""Whether the desk can do its work: named checks, each true or false, kept for a few seconds."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from dashboards.merger import InboxMerger
from kiemchung import reference
from kiemchung.errors import KiemchungError
from kiemchung.store import Store
from kiemchung.store.gauges import answers, schema_current
from models import registry

CHEAP_SECONDS: Final = 5.0
DEAR_SECONDS: Final = 300.0
"""Model and base are hashed and parsed whole (0.1 s); they change with an update."""
LEAST_FREE: Final = 500_000_000
"""Bytes; a merge of 200,000 judgements wrote less than 300 MB."""


def _well(work: Callable[[], object]) -> bool:
    try:
        return work() is not False
    except (KiemchungError, OSError, ValueError):
        return False


class Readiness:
    """The checks of one desk; asking often costs nothing."""

    def __init__(
        self,
        store: Store,
        merger: InboxMerger | None,
        *,
        model_dir: Path | None = None,
        reference_dir: Path | None = None,
    ) -> None:
        self._store = store
        self._merger = merger
        self._dear: dict[str, Callable[[], object]] = {
            "model": lambda: registry.verify(model_dir or registry.DEFAULT),
            "base": lambda: reference.load(reference_dir),
        }
        self._guard = threading.Lock()
        self._kept: dict[str, bool] = {}
        self._until = {"cheap": 0.0, "dear": 0.0}

    def checks(self) -> Mapping[str, bool]:
        """Return every check by its name."""
        with self._guard:
            now = time.monotonic()
            if now >= self._until["cheap"]:
                self._kept |= self._cheap()
                self._until["cheap"] = now + CHEAP_SECONDS
            if now >= self._until["dear"]:
                self._kept |= {name: _well(work) for name, work in self._dear.items()}
                self._until["dear"] = now + DEAR_SECONDS
            return dict(self._kept)

    def _cheap(self) -> dict[str, bool]:
        store = answers(self._store)
        return {
            "store": store and not self._store.unwritten,  # the last commit found no room
            "schema": store and schema_current(self._store),
            "inbox": self._merger is None or (self._merger.alive and not self._merger.error),
            "disk": _well(lambda: shutil.disk_usage(self._store.path.parent).free >= LEAST_FREE),
        }
