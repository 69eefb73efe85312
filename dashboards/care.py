"""What the owner of the store does beside the requests of browsers: backups, the daily reviews.

Commands cannot open the store while the server has it, so they ask by files, see
`kiemchung.store.requests`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from dashboards.words import VIETNAM
from kiemchung.errors import KiemchungError, StoreError
from kiemchung.store import Store, insurance, requests
from kiemchung.store.audited import audited
from kiemchung.store.requests import Facts, Handler

LOG = logging.getLogger(__name__)
LOOK_SECONDS: Final = 0.5
REVIEWS_SECONDS: Final = 3600.0
"""Between two writings of the reviews of a day on which people work."""
Clock = Callable[[], datetime]


class Caretaker:
    """Answers commands and writes the reviews down, in a thread of its own."""

    def __init__(
        self,
        store: Store,
        *,
        reviews: Path,
        keep_days: int,
        extra: Mapping[str, Handler] | None = None,
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._reviews = reviews
        self._keep_days = keep_days
        self._clock = clock
        self._due = threading.Event()
        self._stop = threading.Event()
        self._written = (0.0, "", -1)  # monotonic seconds, day, acts
        self._handlers: dict[str, Handler] = {
            "backup": self._backup,
            "status": self._status,
            "audit": self._audit,
        } | dict(extra or {})
        self._thread = threading.Thread(target=self._work, name="care", daemon=True)
        self.error = ""

    def start(self) -> None:
        """Begin; the reviews are written at once."""
        self._due.set()
        self._thread.start()

    def stop(self) -> None:
        """End after what is in hand, and write the reviews once more."""
        self._stop.set()
        self._thread.join(timeout=60)
        if not self._store.broken:
            self._try(self._write_reviews)

    def merged(self) -> None:
        """A batch was merged: the reviews are written soon."""
        self._due.set()

    def look(self) -> None:
        """Do what is due now."""
        self._try(lambda: requests.serve_once(self._store.path, self._handlers))
        if self._is_due():
            self._try(self._write_reviews)

    def _work(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            if self._store.broken:
                return
            self.look()

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except (KiemchungError, OSError) as error:
            self.error = str(error)
            LOG.error("store care: %s", error)

    def _is_due(self) -> bool:
        at, day, acts = self._written
        if self._due.is_set() or day != self._today():
            return True
        return time.monotonic() - at > REVIEWS_SECONDS and acts != self._acts()

    def _today(self) -> str:
        return self._clock().astimezone(VIETNAM).date().isoformat()

    def _acts(self) -> int:
        return int(self._store.counts()["reviews"])

    def _write_reviews(self) -> None:
        self._due.clear()
        day = self._clock().astimezone(VIETNAM).date()
        # Noted first: what fails is tried again in an hour, not twice a second.
        self._written = (time.monotonic(), day.isoformat(), -1)
        done = insurance.write_daily(self._store, self._reviews, day=day, keep_days=self._keep_days)
        self._written = (time.monotonic(), day.isoformat(), done.rows["review"])
        self.error = ""

    # -- answers to commands -------------------------------------------------------------------

    def _backup(self, facts: Mapping[str, Any]) -> Facts:
        out = Path(str(facts["out"]))
        if not out.is_absolute():
            raise StoreError("the file has to be named from the root", where=str(out))
        began = time.monotonic()
        self._store.backup(out)
        return {"backup": str(out), "seconds": round(time.monotonic() - began, 3)}

    def _audit(self, _: Mapping[str, Any]) -> Facts:
        from models.audited import audit_of

        # One level down: an answer with a field "error" of its own would be taken for a failure.
        return {"audit": audit_of(audited(self._store)).as_dict()}

    def _status(self, _: Mapping[str, Any]) -> Facts:
        return {
            "counts": self._store.counts(),
            "schema": self._store.schema(),
            "problems": self._store.problems(),
            "lost": insurance.lost(self._store, self._reviews),
            **self._audit({}),
        }
