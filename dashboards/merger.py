"""Merging what the weekly batch left, beside the requests."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from dashboards import memory
from kiemchung import logs
from kiemchung.errors import KiemchungError
from kiemchung.store import Store, claims, search

LOG = logging.getLogger(__name__)
Merged = Callable[[Store, Sequence[str]], None]
"""What is to be done once runs were merged: the reports of their weeks."""


class Meter(Protocol):
    """Counts what the merger does."""

    def merged(self, runs: int, seconds: float) -> None:
        """Runs were merged, in so many seconds together."""

    def failed(self) -> None:
        """The inbox could not be merged."""


class InboxMerger:
    """Merges the inbox every few seconds in a thread of its own, then indexes what came."""

    def __init__(
        self,
        store: Store,
        inbox: Path,
        seconds: float,
        *,
        then: Callable[[], object] | None = None,
        merged: Merged | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._store = store
        self._then = then  # done after every look at the inbox
        self._merged = merged  # done when something came
        self._meter = meter
        self._inbox = inbox
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="inbox", daemon=True)
        self.error = ""

    @property
    def alive(self) -> bool:
        """Whether the thread looks at the inbox."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch in hand."""
        self._stop.set()
        self._thread.join(timeout=30)

    def _work(self) -> None:
        try:
            claims.warm(self._store)
            memory.give_back()
        except KiemchungError as error:  # the first request will say so, too
            LOG.error("the store could not be read at the start: %s", error)
        while not self._stop.is_set():
            try:
                began = time.monotonic()
                done = self._store.merge_inbox(self._inbox)
                self._note(done, time.monotonic() - began)
                search.catch_up(self._store)
                self._store.leases.flush()
                if done:
                    memory.give_back()
                if self._then is not None:
                    self._then()
                if done and self._merged is not None:
                    self._merged(self._store, done)
                self.error = ""
            except (KiemchungError, OSError) as error:
                self.error = str(error)
                LOG.error("the inbox waits: %s", error)
                if self._meter is not None:
                    self._meter.failed()
            self._stop.wait(self._seconds)

    def _note(self, run_ids: Sequence[str], seconds: float) -> None:
        for run_id in run_ids:
            logs.event(LOG, "run_merged", run=run_id, seconds=seconds)
        if run_ids and self._meter is not None:
            self._meter.merged(len(run_ids), seconds)
