"""Results that were worked out before, by the hash of all that they follow from.

One SQLite file in the data folder, shared by every worker and every run; a shard asks for its keys
at once and writes what was missing in one transaction. What cannot be read is done without: the
results are the same, only slower. A value carries a hash of itself and of its key, so that a
damaged one is worked out anew and never shown.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

LOG: Final = logging.getLogger(__name__)
FILE: Final = "remembered.sqlite"
VERSIONS: Final = 3
"""So many versions of a kind are kept: now, before the last update, and a base beside."""
_CHECK: Final = 8  # bytes of the hash before a value
_AT_ONCE: Final = 500  # keys of one question; SQLite takes 999 at least

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS version (
    n INTEGER PRIMARY KEY, kind TEXT NOT NULL, version TEXT NOT NULL, used INTEGER NOT NULL,
    UNIQUE (kind, version));
CREATE TABLE IF NOT EXISTS entry (
    version INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (version, key)) WITHOUT ROWID;
"""


class Remembered:
    """The remembered results of one kind under one version.

    ``kind`` says what the values are, ``version`` all that they follow from besides the key.
    """

    def __init__(self, path: Path, kind: str, version: str) -> None:
        self.path, self.kind, self.version = path, kind, version
        self._db: sqlite3.Connection | None = None
        self._number = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=OFF")  # a lost value is worked out again
            self._open()
        except (sqlite3.Error, OSError) as error:
            self._without(error)

    def _open(self) -> None:
        assert self._db is not None
        self._db.executescript(_SCHEMA)
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute(
            "INSERT INTO version (kind, version, used) VALUES (?, ?,"
            " (SELECT coalesce(max(used), 0) + 1 FROM version))"
            " ON CONFLICT (kind, version) DO UPDATE SET used ="
            " (SELECT max(used) + 1 FROM version)",
            (self.kind, self.version),
        )
        old = self._db.execute(
            "SELECT n FROM version WHERE kind = ? ORDER BY used DESC LIMIT -1 OFFSET ?",
            (self.kind, VERSIONS),
        ).fetchall()
        for (n,) in old:
            self._db.execute("DELETE FROM entry WHERE version = ?", (n,))
            self._db.execute("DELETE FROM version WHERE n = ?", (n,))
        self._number = self._db.execute(
            "SELECT n FROM version WHERE kind = ? AND version = ?", (self.kind, self.version)
        ).fetchone()[0]
        self._db.execute("COMMIT")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the values of those of ``keys`` that are known and whole."""
        found: dict[bytes, bytes] = {}
        for at in range(0, len(keys), _AT_ONCE):
            if self._db is None:
                return {}
            part = list(keys[at : at + _AT_ONCE])
            marks = ",".join("?" * len(part))
            try:
                rows = self._db.execute(
                    f"SELECT key, value FROM entry WHERE version = ? AND key IN ({marks})",
                    (self._number, *part),
                ).fetchall()
            except sqlite3.Error as error:
                self._without(error)
                return {}
            for key, packed in rows:
                value = _unpacked(key, packed)
                if value is not None:
                    found[key] = value
        return found

    def put(self, values: Mapping[bytes, bytes]) -> None:
        """Remember ``values``; one that is there already is written over."""
        if self._db is None or not values:
            return
        rows = [(self._number, key, _packed(key, value)) for key, value in values.items()]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR REPLACE INTO entry VALUES (?, ?, ?)", rows)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._without(error)

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _without(self, error: Exception) -> None:
        LOG.warning("%s: done without remembered results: %s", self.path, error)
        self.close()
        # Locked or full is somebody else's moment; anything else is a file that is of no use.
        damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(
            error, sqlite3.OperationalError
        )
        if damaged:
            for suffix in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)


def key_of(*parts: str) -> bytes:
    """Return 16 bytes that depend on ``parts`` and their boundaries."""
    hasher = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        hasher.update(len(encoded).to_bytes(8, "big"))
        hasher.update(encoded)
    return hasher.digest()[:16]


def _check_of(key: bytes, body: bytes) -> bytes:
    return hashlib.sha256(key + body).digest()[:_CHECK]


def _packed(key: bytes, value: bytes) -> bytes:
    body = zlib.compress(value, 1)
    return _check_of(key, body) + body


def _unpacked(key: bytes, packed: bytes) -> bytes | None:
    check, body = packed[:_CHECK], packed[_CHECK:]
    return zlib.decompress(body) if check == _check_of(key, body) else None
