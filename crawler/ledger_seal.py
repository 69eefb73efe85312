"""The ledger's seal: SQLite checks nothing of what it reads, so its file has checksums beside it.

In WAL mode the file itself changes in a checkpoint alone, and here a checkpoint happens at known
moments: every few thousand commits, and when the last process closes the ledger. Around each the
seal is taken away and made anew; at all other times ``ledger.sqlite.seal`` says what the file
holds, also after a kill. Without a seal SQLite's own ``integrity_check`` looks at the file, which
finds most damage and not all. The log has checksums of its own: from a damaged entry on it is left
out, and what its commits said is done again, because an address without its end is open.

Several processes may have the ledger open. A lock on ``ledger.sqlite.lock`` is shared by all who
have; opening, closing and checkpoints happen behind the gate, ``ledger.sqlite.gate``, one at a
time: so who finds nobody else in is the only one whose closing SQLite takes for the last.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from kiemchung.checksums import chunk_sums_of, first_difference, line, unline
from kiemchung.errors import DamagedFileError
from kiemchung.shards import fsync_folder, write_bytes_atomically

REMEDY: Final = (
    "put back a copy of it; without one move it away: the next crawl fetches anew what it knew. If"
    " another program wrote to it, delete its seal"
)


class _Handles:
    """One handle of each ledger in this process, open as long as anybody has that ledger open.

    POSIX gives up every lock that a process has on a file when it closes any handle of it, SQLite's
    among them. Another process would then take itself for the last one, and remove the log into
    which this one goes on writing.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._open: dict[Path, int] = {}
        self._users: Counter[Path] = Counter()

    def join(self, path: Path) -> None:
        """One more has the ledger open."""
        with self._guard:
            self._users[path] += 1

    def leave(self, path: Path) -> None:
        """One less; with the last the handle is closed, when SQLite has let go."""
        with self._guard:
            self._users[path] -= 1
            if self._users[path] <= 0:
                del self._users[path]
                if path in self._open:
                    os.close(self._open.pop(path))

    def of(self, path: Path) -> int:
        """Return the handle of a ledger that is open here.

        Raises:
            FileNotFoundError: it is gone.
        """
        with self._guard:
            there = path.stat()
            handle = self._open.get(path, -1)
            if handle >= 0:
                known = os.fstat(handle)
                if (known.st_dev, known.st_ino) == (there.st_dev, there.st_ino):
                    return handle
                os.close(handle)  # of a file that was replaced
            self._open[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            return self._open[path]


_HANDLES: Final = _Handles()


class LedgerSeal:
    """The seal of one ledger, in the hands of one who opens it."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._path = ledger.with_name(f"{ledger.name}.seal")
        self._gate = _opened(ledger.with_name(f"{ledger.name}.gate"))
        self._lock = _opened(ledger.with_name(f"{ledger.name}.lock"))
        self._key = ledger.absolute()
        _HANDLES.join(self._key)

    @contextmanager
    def opening(self) -> Iterator[bool]:
        """Compare the file with its seal; inside, open it. Yields whether it has to be looked at.

        Raises:
            DamagedFileError: the file or its seal is not as it was written.
        """
        with self._behind_the_gate():
            unsealed = self._alone() and not self._verify()
            fcntl.flock(self._lock, fcntl.LOCK_SH)
            try:
                yield unsealed
            except BaseException:
                self._break()  # what was opened half way may write its log when it is let go
                raise
            if unsealed:
                self._make()

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Inside, close the file; whoever does it last seals it."""
        with self._behind_the_gate():
            log = self._ledger.with_name(f"{self._ledger.name}-wal")
            written = self._alone() and log.is_file() and log.stat().st_size > 0
            if written:
                self._break()
            yield
            if written and not log.exists():
                self._make()
        self.abandon()

    @contextmanager
    def checkpoint(self) -> Iterator[None]:
        """Inside, write the log into the file."""
        with self._behind_the_gate():
            self._break()
            yield
            self._make()

    def abandon(self) -> None:
        """Give the locks back, after SQLite has closed the file."""
        if self._lock < 0:
            return
        for handle in (self._lock, self._gate):
            os.close(handle)
        self._lock = self._gate = -1
        _HANDLES.leave(self._key)

    @contextmanager
    def _behind_the_gate(self) -> Iterator[None]:
        fcntl.flock(self._gate, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)

    def _alone(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

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
        found_size, found = chunk_sums_of(_HANDLES.of(self._key))
        if (found_size, found) != (size, sums):
            raise DamagedFileError(
                "the ledger is damaged: not as it was written, first in MiB"
                f" {first_difference(found, sums) + 1} of {len(sums)}",
                where=str(self._ledger),
                remedy=REMEDY,
            )
        return True

    def _break(self) -> None:
        with suppress(FileNotFoundError):
            self._path.unlink()
            fsync_folder(self._path.parent)  # else a power cut would bring the old seal back

    def _make(self) -> None:
        size, sums = chunk_sums_of(_HANDLES.of(self._key))
        write_bytes_atomically(self._path, line(json.dumps({"bytes": size, "chunks": sums})))


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
