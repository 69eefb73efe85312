"""The crawl ledger: where every address stands, in SQLite, one transaction per event.

Scrapy's own job folder loses pages when it is killed. Here an address that was discovered is in
``visit`` before anything is fetched, its end is written in the same transaction as what it brought,
and a restart re-reads everything still pending. WAL with ``synchronous=FULL``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS url (
    key TEXT PRIMARY KEY,          -- canonical address
    outlet TEXT NOT NULL,
    etag TEXT NOT NULL DEFAULT '',
    last_modified TEXT NOT NULL DEFAULT '',
    content_sha256 TEXT NOT NULL DEFAULT '',
    first_run TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS visit (
    run_id TEXT NOT NULL,
    key TEXT NOT NULL,
    url TEXT NOT NULL,
    outlet TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('page', 'feed', 'sitemap', 'listing')),
    depth INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'fetched', 'unchanged', 'refused', 'failed')),
    reason TEXT NOT NULL DEFAULT '',
    status INTEGER NOT NULL DEFAULT 0,
    final_url TEXT NOT NULL DEFAULT '',
    content_type TEXT NOT NULL DEFAULT '',
    fetched_at TEXT NOT NULL DEFAULT '',
    raw_sha256 TEXT NOT NULL DEFAULT '',
    warc TEXT NOT NULL DEFAULT '',
    warc_offset INTEGER NOT NULL DEFAULT -1,
    flags TEXT NOT NULL DEFAULT '',
    items INTEGER NOT NULL DEFAULT -1,
    newest TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (run_id, key, kind),
    CHECK ((state IN ('refused', 'failed')) = (reason <> '')),
    CHECK (state <> 'fetched' OR kind <> 'page' OR warc_offset >= 0)
);
"""


class Kind(StrEnum):
    """What an address is to the crawl."""

    PAGE = "page"
    FEED = "feed"
    SITEMAP = "sitemap"
    LISTING = "listing"


class State(StrEnum):
    """Where an address stands in a run."""

    PENDING = "pending"
    FETCHED = "fetched"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One address in one run."""

    key: str
    url: str
    outlet: str
    kind: Kind
    depth: int = 0
    state: State = State.PENDING
    reason: str = ""
    status: int = 0
    final_url: str = ""
    content_type: str = ""
    fetched_at: str = ""
    raw_sha256: str = ""
    warc: str = ""
    warc_offset: int = -1
    flags: str = ""
    items: int = -1  # entries of a feed, sitemap or listing; -1 where it is none or unread
    newest: str = ""  # newest date among the entries, ISO


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What earlier runs left of an address, for conditional requests."""

    etag: str
    last_modified: str
    content_sha256: str


_COLUMNS: Final = (
    "key, url, outlet, kind, depth, state, reason, status, final_url, content_type, fetched_at,"
    " raw_sha256, warc, warc_offset, flags, items, newest"
)


def _visit(row: sqlite3.Row) -> Visit:
    values = dict(row)
    return Visit(**(values | {"kind": Kind(values["kind"]), "state": State(values["state"])}))


class Ledger:
    """The ledger of one data folder; a run's rows are its own."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _insert(self, db: sqlite3.Connection, run_id: str, visits: Sequence[Visit]) -> list[Visit]:
        new = []
        for visit in visits:
            cursor = db.execute(
                "INSERT OR IGNORE INTO visit (run_id, key, url, outlet, kind, depth)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (run_id, visit.key, visit.url, visit.outlet, visit.kind, visit.depth),
            )
            if cursor.rowcount:
                new.append(visit)
        return new

    def add(self, run_id: str, visits: Sequence[Visit]) -> list[Visit]:
        """Write down discovered addresses; return those that this run did not know yet."""
        with self._transaction() as db:
            return self._insert(db, run_id, visits)

    def finish(
        self,
        run_id: str,
        visit: Visit,
        *,
        children: Sequence[Visit] = (),
        etag: str = "",
        last_modified: str = "",
    ) -> list[Visit]:
        """Write the end of ``visit`` and what it brought, at once; return the new children.

        A visit that has already ended keeps its first end.
        """
        with self._transaction() as db:
            new = self._insert(db, run_id, children)
            done = db.execute(
                "UPDATE visit SET state=?, reason=?, status=?, final_url=?, content_type=?,"
                " fetched_at=?, raw_sha256=?, warc=?, warc_offset=?, flags=?, items=?, newest=?"
                " WHERE run_id=? AND key=? AND kind=? AND state='pending'",
                (
                    visit.state, visit.reason, visit.status, visit.final_url, visit.content_type,
                    visit.fetched_at, visit.raw_sha256, visit.warc, visit.warc_offset, visit.flags,
                    visit.items, visit.newest, run_id, visit.key, visit.kind,
                ),
            )  # fmt: skip
            if done.rowcount and visit.state is State.FETCHED:
                db.execute(
                    "INSERT INTO url (key, outlet, etag, last_modified, content_sha256, first_run)"
                    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET etag=excluded.etag,"
                    " last_modified=excluded.last_modified,"
                    " content_sha256=excluded.content_sha256",
                    (visit.key, visit.outlet, etag, last_modified, visit.raw_sha256, run_id),
                )
            return new

    def known(self, key: str) -> Known | None:
        """Return what earlier runs left of an address."""
        row = self._db.execute(
            "SELECT etag, last_modified, content_sha256 FROM url WHERE key=?", (key,)
        ).fetchone()
        return Known(**dict(row)) if row else None

    def visits(self, run_id: str) -> list[Visit]:
        """Return all addresses of a run in a fixed order."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM visit WHERE run_id=? ORDER BY outlet, key, kind", (run_id,)
        )
        return [_visit(row) for row in rows]

    def pending(self, run_id: str) -> list[Visit]:
        """Return what is still to be done, feeds before pages."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM visit WHERE run_id=? AND state='pending'"
            " ORDER BY kind='page', outlet, key",
            (run_id,),
        )
        return [_visit(row) for row in rows]
