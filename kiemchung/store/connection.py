"""The only place that opens the database file, and the lock that stands around it.

DuckDB's own lock is taken after 2.x has read the file's headers, which can lose committed rows when
several processes open one file. So an operating-system lock on a side file is held from before
``connect`` until after ``close``, for every way of opening.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

from kiemchung.errors import StoreError, StoreLockedError
from kiemchung.locks import take
from kiemchung.store.seal import WRITES

_FOREIGN_PID: Final = re.compile(r"PID (\d+)")
STORE: Final = "store"
"""The name of the attached file; every cursor has to `USE` it."""
ROW_GROUP: Final = 10_240
"""Rows of a group. A checkpoint writes the last group anew, and with 122,880 articles in one, the
default, that took 1.1 GB; a question by key reads one group, so it is answered sooner, too."""
MERGING: Final = 160
MORE: Final = 320
ROOM: Final = 1000
"""Megabytes for a merge, so that nobody's commit goes without meanwhile, and for what the memory of
daily use is too little for: first more, then much, because the database fills what it may have."""
Settings = dict[str, str | bool | int | float | list[str]]
CONFIG: Final[Settings] = {
    "autoinstall_known_extensions": "false",  # nothing is fetched in silence
    "memory_limit": f"{ROOM}MB",
}
DESK: Final[Settings] = CONFIG | {
    # Blocks in use and kept; what does not fit is read again or put aside on disk. A page needs a
    # few of them, and the operating system keeps the file at hand anyway. Merges get more.
    "memory_limit": "96MB",
    # Give freed memory back at once: by default an idle thread keeps 128 MB.
    "allocator_flush_threshold": "1MB",
    "allocator_bulk_deallocation_flush_threshold": "1MB",
    # Each question runs in the thread that asks: small ones are answered sooner. (A merge in a
    # thread of low priority is no help: it holds locks that others wait for.)
    "threads": 1,
    # The commit that fills the log writes the file, and all others wait: 0.2 s at the usual 16 MB.
    "checkpoint_threshold": "2MB",
}
"""Of the process that serves many people small questions for weeks."""


class SideLock:
    """An exclusive lock on ``<store>.lock``; the file holds the process id of its owner."""

    def __init__(self, store: Path) -> None:
        self.path = store.with_name(f"{store.name}.lock")
        self._handle: int | None = None

    def acquire(self, wait_seconds: float) -> None:
        """Take the lock.

        Raises:
            StoreLockedError: another process, or another store of this one, holds it.
        """
        # flock belongs to the open file, so a second store in this process is refused as well.
        self._handle = take(self.path, wait_seconds=wait_seconds, refused=self._refusal)

    def _refusal(self, text: str) -> StoreLockedError:
        pid = int(text) if text.isdecimal() else None
        owner = f"process {pid}" if pid is not None else "another process"
        return StoreLockedError(
            f"the store is in use by {owner}",
            pid=pid,
            where=str(self.path.with_name(self.path.name.removesuffix(".lock"))),
            remedy="stop that process (perhaps `kiemchung serve`), or wait until it has finished",
        )

    def release(self) -> None:
        """Give the lock back; the file stays, because removing it would race with the next one."""
        if self._handle is not None:
            os.ftruncate(self._handle, 0)
            fcntl.flock(self._handle, fcntl.LOCK_UN)
            os.close(self._handle)
            self._handle = None


@contextmanager
def transaction(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit what is done inside, or take all of it back."""
    cursor.execute("BEGIN TRANSACTION")
    try:
        yield
    except BaseException:
        cursor.execute("ROLLBACK")
        raise
    with WRITES.one():
        cursor.execute("COMMIT")


def checkpoint(cursor: duckdb.DuckDBPyConnection) -> None:
    """Write the log into the file.

    Raises:
        duckdb.TransactionException: a request is reading.
    """
    with WRITES.one():
        cursor.execute("CHECKPOINT")


def quoted(text: str | Path) -> str:
    """Return a text as a literal of SQL."""
    return "'" + str(text).replace("'", "''") + "'"


def is_database(path: Path) -> bool:
    """Whether the file is one of DuckDB's, or empty."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(16)
    return not head or head[8:12] == b"DUCK"


def attach(
    connection: duckdb.DuckDBPyConnection, path: Path, name: str, *, read_only: bool = False
) -> None:
    """Attach the file under ``name``, so that what is appended lies in small groups of rows."""
    options = f"ROW_GROUP_SIZE {ROW_GROUP}{', READ_ONLY' if read_only else ''}"
    connection.execute(f"ATTACH {quoted(path)} AS {name} ({options})")


def connect(
    path: Path, *, read_only: bool = False, settings: Settings = CONFIG
) -> duckdb.DuckDBPyConnection:
    """Open the file; the caller holds its `SideLock`.

    Raises:
        StoreLockedError: a program that is not kiemchung has the file open.
        StoreError: the file is damaged, no DuckDB file, or made by a newer DuckDB.
    """
    connection = duckdb.connect(config=dict(settings))
    try:
        put_aside = f"{path}.tmp"
        connection.execute(f"SET GLOBAL temp_directory = {quoted(put_aside)}")
        connection.execute("SET GLOBAL TimeZone = 'UTC'")  # the machine's zone changes no result
        attach(connection, path, STORE, read_only=read_only)
        connection.execute(f"USE {STORE}")
        return connection
    except duckdb.Error as error:
        connection.close()
        text = str(error).splitlines()[0]
        if "lock" in text and (found := _FOREIGN_PID.search(str(error))):
            raise StoreLockedError(
                f"the store is in use by process {found[1]}",
                pid=int(found[1]),
                where=str(path),
                remedy="close that program; only kiemchung may open the live file",
            ) from error
        raise StoreError(
            f"the store cannot be opened: {text}",
            where=str(path),
            remedy="restore a backup with `kiemchung restore FILE`; the damaged file is kept",
        ) from error
