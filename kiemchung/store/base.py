"""The open file: its life, a cursor for each request, one writer of people's rows at a time."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import duckdb

from kiemchung.errors import StoreError, StoreMemoryError
from kiemchung.store import convert
from kiemchung.store.connection import MORE, ROOM, STORE, SideLock, transaction
from kiemchung.store.seal import Seal

T = TypeVar("T")
IDLE_CURSORS: Final = 16
_NO_ROOM: Final = re.compile(r"Failed to commit: (failed to (pin|allocate)|could not allocate)")
"""A commit that found none; the database calls that a failed transaction."""


class OpenFile:
    """An open database file under its side lock; `kiemchung.store.store.Store` is the whole."""

    def __init__(self, path: Path, connection: duckdb.DuckDBPyConnection, lock: SideLock) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock
        self._seal = Seal(path)
        self._people = threading.RLock()  # ascending keys: one writer of people's rows at a time
        self._merging = threading.Lock()  # a decision never waits for a merge
        self._roomy = threading.Lock()
        self._asked: list[int] = []  # what those want who work with more memory now
        (daily,) = connection.execute(
            "SELECT ceil(parse_formatted_bytes(value) / 1000000) FROM duckdb_settings()"
            " WHERE name = 'memory_limit'"
        ).fetchone() or (ROOM,)
        self._daily = round(daily)
        self._closed = False
        self._idle: list[duckdb.DuckDBPyConnection] = []
        self._highest: dict[str, int] = {}  # keys of what people append, under ``_people``
        self.unwritten = ""  # why the latest write failed; empty when it did not
        self.broken = ""  # why the database cannot go on; the owner process has to end then

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, then give the lock back."""
        if self._closed:
            return
        self._closed = True
        try:
            while self._idle:
                self._idle.pop().close()
            self._connection.close()
            self._seal.finish()
        finally:
            self._lock.release()

    def seal(self, seal: Seal) -> None:
        """Follow the files of the open store with ``seal`` from here on."""
        self._seal = seal
        seal.begin()

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of its own: results of a shared one are replaced by the next execute.

        Raises:
            StoreError: the database says that it cannot go on (disk full, damaged file).
        """
        if self._closed:
            raise StoreError("the store is closed", where=str(self.path))
        if self.broken:  # its answers mean nothing any more
            raise self._failed(self.broken)
        cursor: duckdb.DuckDBPyConnection | None = None
        fit = False
        try:
            cursor = self._take()  # refused as well once a checkpoint has failed
            yield cursor
            fit = True
        except (duckdb.OperationalError, duckdb.InternalError, duckdb.FatalException) as error:
            text = str(error).splitlines()[0]
            if isinstance(error, duckdb.OutOfMemoryException) or _NO_ROOM.search(text):
                raise StoreMemoryError(
                    f"the database wants more memory: {text}",
                    where=str(self.path),
                    remedy="give the machine more memory, or split the batch",
                ) from error
            fatal = isinstance(error, duckdb.FatalException | duckdb.InternalException)
            if fatal or "has been invalidated" in text:  # of a checkpoint that found no room
                self.broken = text
            raise self._failed(text) from error
        finally:
            if cursor is not None:
                if fit and len(self._idle) < IDLE_CURSORS:
                    self._idle.append(cursor)
                else:  # a transaction may hang in one that failed
                    cursor.close()

    def _failed(self, text: str) -> StoreError:
        return StoreError(
            f"the database failed: {text}",
            where=str(self.path),
            remedy="make room on the disk and start again; what was acknowledged is kept",
        )

    def _take(self) -> duckdb.DuckDBPyConnection:
        """Return a cursor that nobody else has; a list's pop and append are atomic."""
        try:
            return self._idle.pop()
        except IndexError:
            cursor = self._connection.cursor()
            cursor.execute(f"USE {STORE}")
            return cursor

    @contextmanager
    def _writing(self, *, numbered: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """One transaction on people's tables, durable when it returns.

        ``numbered`` says that what is appended inside has its keys from `_next_key`, or has none.

        A commit that finds no room is taken back whole; the next one may have room again.
        """
        try:
            with self._people, self._cursor() as cursor:
                known = False
                try:
                    with transaction(cursor):
                        yield cursor
                    known = numbered
                finally:
                    if not known:
                        self._highest.clear()  # asked for again: rows were taken back, or others'
                self._seal.note()
        except StoreError as error:
            if isinstance(error.__cause__, duckdb.Error):
                self.unwritten = error.message
            raise
        self.unwritten = ""

    def _next_key(self, cursor: duckdb.DuckDBPyConnection, table: str, column: str) -> int:
        """Return the key of a row that is about to be appended inside `_writing`.

        Only this process writes, so the highest one is known after the first time; to ask for it
        took half a millisecond of every conclusion.
        """
        highest = self._highest.get(table)
        if highest is None:
            (found,) = cursor.execute(
                f"SELECT coalesce(max({column}), 0) FROM {table}"
            ).fetchone() or (0,)
            highest = int(found)
        self._highest[table] = highest + 1
        return highest + 1

    def _read(self, query: str, parameters: Sequence[object] = ()) -> list[dict[str, Any]]:
        def ask() -> list[dict[str, Any]]:
            with self._cursor() as cursor:
                return convert.records(cursor, query, parameters)

        return self._with_room(ask)

    def _with_room(self, work: Callable[[], T]) -> T:
        """Do ``work``; where the memory of daily use is too little for it, again with more.

        A rare question must not fail, and need not be paid for all day.
        """
        with suppress(StoreMemoryError):
            return work()
        with suppress(StoreMemoryError), self._room(MORE):
            return work()
        with self._room(ROOM):
            return work()

    @contextmanager
    def _room(self, megabytes: int) -> Iterator[None]:
        """Give the database more memory for a while; of several who ask the greediest counts."""
        with self._roomy:
            self._asked.append(megabytes)
            self._limit()
        try:
            yield
        finally:
            with self._roomy:
                self._asked.remove(megabytes)
                self._limit()

    def _limit(self) -> None:
        most = max([self._daily, *self._asked])
        with self._cursor() as cursor:
            cursor.execute(f"SET GLOBAL memory_limit = '{most}MB'")
