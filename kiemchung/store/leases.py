"""Who has which claim open, so that two people do not conclude the same one by accident.

The leases live in memory, under one lock, because one process owns the store. Soon afterwards each
is written down, so that a restart does not hand an open claim to somebody else. A lease ends by
itself: the time is counted from the last sign of life, and whoever asks first afterwards takes it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from kiemchung.store.base import OpenFile

LEASE_TIME: Final = timedelta(minutes=10)
"""From the last sign of life; long enough for a long article, short enough for a lunch."""
FLUSH_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One claim in front of one person."""

    claim_id: str
    account_key: int
    until: datetime
    written_until: datetime  # what a restart would know


class Leases:
    """The leases of an open store; every method may be called by several threads at once."""

    def __init__(self, store: OpenFile, *, lease_time: timedelta = LEASE_TIME) -> None:
        self._store = store
        self._time = lease_time
        self._guard = threading.Lock()
        self._held: dict[str, Lease] = {}
        self._unwritten = False
        self._flushed = -FLUSH_SECONDS
        for row in store._read("SELECT claim_id, account_key, until FROM lease"):
            until = row["until"].astimezone(UTC)
            self._held[row["claim_id"]] = Lease(
                claim_id=row["claim_id"],
                account_key=row["account_key"],
                until=until,
                written_until=until,
            )

    def take(self, account_key: int, claim_id: str, *, now: datetime | None = None) -> bool:
        """Take or renew the lease of a claim; False when somebody else has it now.

        One person has one claim in hand: taking another gives the one before back.
        """
        moment = now or datetime.now(UTC)
        with self._guard:
            held = self._held.get(claim_id)
            if held is not None and held.account_key != account_key and held.until > moment:
                return False
            gone = [
                k
                for k, lease in self._held.items()
                if lease.until <= moment or (lease.account_key == account_key and k != claim_id)
            ]
            for key in gone:
                del self._held[key]
            until = moment + self._time
            # A renewal is written down only when a restart would otherwise forget it soon.
            mine = held is not None and held.account_key == account_key
            written = held.written_until if mine and held is not None else moment
            stale = bool(gone) or written - moment <= self._time / 2
            self._held[claim_id] = Lease(
                claim_id=claim_id,
                account_key=account_key,
                until=until,
                written_until=until if stale else written,
            )
            self._unwritten |= stale
        return True

    def first_free(
        self, account_key: int, claims: Iterable[tuple[int, str]], *, now: datetime | None = None
    ) -> int | None:
        """Take the first claim that nobody else holds; return what stands beside its id.

        ``claims`` are (anything, claim id) in reading order. None when all are in other hands.
        """
        moment = now or datetime.now(UTC)
        taken = self.taken(account_key, now=moment)
        for key, claim_id in claims:
            if claim_id not in taken and self.take(account_key, claim_id, now=moment):
                return key
        return None

    def release(self, account_key: int, claim_id: str | None = None) -> None:
        """Give one claim back, or all that this person holds."""
        with self._guard:
            gone = [
                k
                for k, lease in self._held.items()
                if lease.account_key == account_key and claim_id in (None, k)
            ]
            for key in gone:
                del self._held[key]
            self._unwritten |= bool(gone)

    def holder(self, claim_id: str, *, now: datetime | None = None) -> int | None:
        """Return the key of the account that has a claim open, None for nobody."""
        moment = now or datetime.now(UTC)
        with self._guard:
            held = self._held.get(claim_id)
            return held.account_key if held is not None and held.until > moment else None

    def taken(self, account_key: int, *, now: datetime | None = None) -> frozenset[str]:
        """Return the claims that others than ``account_key`` have open."""
        moment = now or datetime.now(UTC)
        with self._guard:
            return frozenset(
                k
                for k, lease in self._held.items()
                if lease.account_key != account_key and lease.until > moment
            )

    def held(self, *, now: datetime | None = None) -> list[Lease]:
        """Return the living leases, by claim."""
        moment = now or datetime.now(UTC)
        with self._guard:
            return sorted(
                (lease for lease in self._held.values() if lease.until > moment),
                key=lambda lease: lease.claim_id,
            )

    def flush(self, *, at_once: bool = False) -> None:
        """Write all leases down as they are now, where any has changed, but not too often.

        Asked behind a request, because nobody needs to wait for it: a process that is killed before
        has forgotten who took a claim in the last seconds, no more.

        Raises:
            StoreError: the database failed; the next flush tries again.
        """
        now = time.monotonic()
        with self._guard:
            due = at_once or now - self._flushed >= FLUSH_SECONDS
            wanted = self._unwritten and due
            if wanted:
                self._unwritten, self._flushed = False, now
        if not wanted:
            return
        try:
            self._write()
        except BaseException:
            self._unwritten = True
            raise

    def close(self) -> None:
        """Write down what no flush has written yet."""
        self.flush(at_once=True)

    def _write(self) -> None:
        # The guard is taken inside the transaction and never the other way round, so that a slow
        # disk holds up those who write and not those who only ask.
        with self._store._writing(numbered=True) as cursor:
            with self._guard:
                rows = [(x.claim_id, x.account_key, x.until) for x in self._held.values()]
            cursor.execute("DELETE FROM lease")
            for row in rows:
                cursor.execute("INSERT INTO lease VALUES (?, ?, ?)", row)
