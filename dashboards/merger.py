"""Merging what the weekly batch left, beside the requests."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from dashboards import memory
from kiemchung.errors import KiemchungError
from kiemchung.store import Store, claims, search

LOG = logging.getLogger(__name__)
Merged = Callable[[Store, Sequence[str]], None]
"""What is to be done once runs were merged: the reports of their weeks."""


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
    ) -> None:
        self._store = store
        self._then = then  # done after every look at the inbox
        self._merged = merged  # done when something came
        self._inbox = inbox
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="inbox", daemon=True)
        self.error = ""

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
        except KiemchungError as error:  # the first request will say so, too
            LOG.error("the store could not be read at the start: %s", error)
        while not self._stop.is_set():
            try:
                done = self._store.merge_inbox(self._inbox)
                for run_id in done:
                    LOG.info("merged %s", run_id)
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
            self._stop.wait(self._seconds)
