"""The open file: its life, a cursor for each request, one writer of people's rows at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb

from kiemchung.errors import StoreError
from kiemchung.store import convert
from kiemchung.store.connection import SideLock


class OpenFile:
    """An open database file under its side lock; `kiemchung.store.store.Store` is the whole."""

    def __init__(self, path: Path, connection: duckdb.DuckDBPyConnection, lock: SideLock) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock
        self._people = threading.RLock()  # ascending keys: one writer of people's rows at a time
        self._merging = threading.Lock()  # a decision never waits for a merge
        self._closed = False
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
            self._connection.close()
        finally:
            self._lock.release()

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of its own: results of a shared one are replaced by the next execute.

        Raises:
            StoreError: the database says that it cannot go on (disk full, damaged file).
        """
        if self._closed:
            raise StoreError("the store is closed", where=str(self.path))
        cursor = self._connection.cursor()
        try:
            yield cursor
        except (duckdb.OperationalError, duckdb.InternalError, duckdb.FatalException) as error:
            text = str(error).splitlines()[0]
            if isinstance(error, duckdb.FatalException | duckdb.InternalException):
                self.broken = text
            raise StoreError(
                f"the database failed: {text}",
                where=str(self.path),
                remedy="make room on the disk and start again; what was acknowledged is kept",
            ) from error
        finally:
            cursor.close()

    @contextmanager
    def _writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """One transaction on people's tables, durable when it returns."""
        with self._people, self._cursor() as cursor:
            cursor.execute("BEGIN TRANSACTION")
            try:
                yield cursor
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")

    def _read(self, query: str, parameters: Sequence[object] = ()) -> list[dict[str, Any]]:
        with self._cursor() as cursor:
            return convert.records(cursor, query, parameters)
