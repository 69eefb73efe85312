"""The ledger's seal: SQLite checks nothing of what it reads, so a file at rest has its checksums.

Whoever opens the ledger first compares it with ``ledger.sqlite.seal`` and takes the seal away;
whoever closes it last seals it again. In between, and after a kill, there is no seal: then SQLite's
own ``integrity_check`` looks at the file, which finds most damage and not all. What a log that was
cut short loses is fetched again, because an address without its end is open.

Several processes may have the ledger open; a lock on a file beside it tells who is the first and
the last.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Final

from kiemchung.checksums import chunk_sums, first_difference, line, unline
from kiemchung.errors import DamagedFileError
from kiemchung.shards import write_bytes_atomically

REMEDY: Final = (
    "put back a copy of it; without one move it away: the next crawl fetches anew what it knew. If"
    " another program wrote to it, delete its seal"
)


class LedgerSeal:
    """The seal of one open ledger."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._path = ledger.with_name(f"{ledger.name}.seal")
        self._lock = os.open(
            ledger.with_name(f"{ledger.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )

    def enter(self) -> bool:
        """Compare the file with its seal; return whether it has still to be looked at.

        Raises:
            DamagedFileError: the file or its seal is not as it was written.
        """
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(self._lock, fcntl.LOCK_SH)  # others have it open, and looked at it
            return False
        try:
            sealed = self._verify()
            if sealed:
                self._path.unlink()
                _fsync(self._path.parent)  # else a power cut would bring the old seal back
        except BaseException:
            self.abandon()
            raise
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        return not sealed

    def _verify(self) -> bool:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return False
        try:
            wanted = json.loads(unline(data))
            size, sums = int(wanted["bytes"]), tuple(wanted["chunks"])
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedFileError(
                f"the seal of the ledger is damaged: {error}",
                where=str(self._path),
                remedy="delete it: the ledger is then looked at by SQLite, and sealed anew",
            ) from error
        if not self._ledger.is_file():
            raise DamagedFileError(
                "the ledger is gone, but its seal is there",
                where=str(self._ledger),
                remedy=f"put it back, or delete {self._path.name} to begin a new one",
            )
        found_size, found = chunk_sums(self._ledger)
        if (found_size, found) != (size, sums):
            raise DamagedFileError(
                "the ledger is damaged: not as it was closed, first in MiB"
                f" {first_difference(found, sums) + 1} of {len(sums)}",
                where=str(self._ledger),
                remedy=REMEDY,
            )
        return True

    def leave(self) -> None:
        """Seal the closed file, if nobody else has it open and no log is left."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.abandon()
            return
        try:
            if not self._ledger.with_name(f"{self._ledger.name}-wal").exists():
                size, sums = chunk_sums(self._ledger)
                body = json.dumps({"bytes": size, "chunks": sums})
                write_bytes_atomically(self._path, line(body))
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Give the lock back without sealing."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _fsync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
