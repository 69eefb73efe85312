"""The crawl ledger: where every address stands, in SQLite, one transaction per event.

Scrapy's own job folder loses pages when it is killed. Here an address that was discovered is in
``visit`` before anything is fetched, its end is written in the same transaction as what it brought,
and a restart re-reads everything still open. WAL with ``synchronous=FULL``; only leases, which a
restart takes back anyway, are written without waiting for the disk.

```
discovered -> leased -> fetched | unchanged | moved | gone | refused | failed
     ^__________|        (taken back after a kill, or to try once more)
```
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from crawler.ledger_seal import REMEDY, LedgerSeal
from kiemchung.errors import DamagedFileError, KiemchungError

VERSION: Final = 1
MAX_LEASES: Final = 25
"""An address that was in the crawler's hands at so many crashes is taken for their cause."""
TRANSIENT: Final = frozenset(
    {"timeout", "connection", "broken_response", "dns", "truncated", "bad_gzip", "host_down"}
    | {"retry_after", "robots_unreachable", "http_429", "http_500", "http_502", "http_503"}
    | {"http_504", "page_budget"}
)
"""Ends that a later run tries to mend; the others are answers."""
MAX_CARRIED: Final = 3
"""Runs in a row that try a transient end again."""
COMMITS_IN_LOG: Final = 2000
"""Commits of a process after which the log is written into the file: some ten MB of it."""
SHORTEST: Final = timedelta(hours=1)
LONGEST: Final = timedelta(days=7)

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS url (
    key TEXT PRIMARY KEY,          -- canonical address
    outlet TEXT NOT NULL,
    kind TEXT NOT NULL DEFAULT 'page',
    url TEXT NOT NULL DEFAULT '',
    etag TEXT NOT NULL DEFAULT '',
    last_modified TEXT NOT NULL DEFAULT '',
    content_sha256 TEXT NOT NULL DEFAULT '',
    version INTEGER NOT NULL DEFAULT 0,  -- how many different contents were fetched
    fetched_at TEXT NOT NULL DEFAULT '',
    first_run TEXT NOT NULL,
    last_run TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    failures INTEGER NOT NULL DEFAULT 0  -- transient ends in a row
);
CREATE INDEX IF NOT EXISTS url_failed ON url (outlet) WHERE failures > 0;
CREATE TABLE IF NOT EXISTS visit (
    run_id TEXT NOT NULL,
    key TEXT NOT NULL,
    url TEXT NOT NULL,
    outlet TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('page', 'feed', 'sitemap', 'listing', 'search')),
    depth INTEGER NOT NULL,
    published TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    leases INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'discovered' CHECK (state IN ('discovered', 'leased', 'fetched',
        'unchanged', 'moved', 'gone', 'refused', 'failed')),
    reason TEXT NOT NULL DEFAULT '',
    status INTEGER NOT NULL DEFAULT 0,
    final_url TEXT NOT NULL DEFAULT '',
    content_type TEXT NOT NULL DEFAULT '',
    fetched_at TEXT NOT NULL DEFAULT '',
    raw_sha256 TEXT NOT NULL DEFAULT '',
    warc TEXT NOT NULL DEFAULT '',
    warc_offset INTEGER NOT NULL DEFAULT -1,
    flags TEXT NOT NULL DEFAULT '',
    version INTEGER NOT NULL DEFAULT 0,
    items INTEGER NOT NULL DEFAULT -1,
    dated INTEGER NOT NULL DEFAULT 0,
    old INTEGER NOT NULL DEFAULT 0,
    foreign_items INTEGER NOT NULL DEFAULT 0,
    fresh INTEGER NOT NULL DEFAULT 0,
    newest TEXT NOT NULL DEFAULT '',
    fingerprint TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (run_id, key, kind),
    CHECK ((state IN ('refused', 'failed', 'moved', 'gone')) = (reason <> '')),
    CHECK (state <> 'fetched' OR kind <> 'page' OR warc_offset >= 0)
);
CREATE INDEX IF NOT EXISTS visit_open ON visit (run_id, outlet, kind <> 'page', published)
    WHERE state = 'discovered';
CREATE TABLE IF NOT EXISTS rhythm (
    key TEXT PRIMARY KEY,          -- address of a feed, sitemap, listing or search
    outlet TEXT NOT NULL,
    visited_at TEXT NOT NULL,
    hours REAL NOT NULL,           -- until the next visit
    span_hours REAL NOT NULL,      -- how far back its entries reach; 0 where undated
    gap INTEGER NOT NULL           -- 1: nothing of the visit before was left in it
);
"""
_OLD_COLUMNS: Final = (
    "run_id, key, url, outlet, kind, depth, reason, status, final_url, content_type, fetched_at,"
    " raw_sha256, warc, warc_offset, flags, items, newest"
)


class Kind(StrEnum):
    """What an address is to the crawl."""

    PAGE = "page"
    FEED = "feed"
    SITEMAP = "sitemap"
    LISTING = "listing"
    SEARCH = "search"


class State(StrEnum):
    """Where an address stands in a run."""

    DISCOVERED = "discovered"
    LEASED = "leased"
    FETCHED = "fetched"
    UNCHANGED = "unchanged"
    MOVED = "moved"
    GONE = "gone"
    REFUSED = "refused"
    FAILED = "failed"


OPEN: Final = (State.DISCOVERED, State.LEASED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One address in one run."""

    key: str
    url: str
    outlet: str
    kind: Kind
    depth: int = 0
    published: str = ""  # of the entry that named it, ISO; newer pages are fetched first
    attempts: int = 0
    state: State = State.DISCOVERED
    reason: str = ""
    status: int = 0
    final_url: str = ""
    content_type: str = ""
    fetched_at: str = ""
    raw_sha256: str = ""
    warc: str = ""
    warc_offset: int = -1
    flags: str = ""
    version: int = 0  # of a page: its n-th content
    items: int = -1  # entries of a feed, sitemap or listing; -1 where it is none or unread
    dated: int = 0  # of them with a sound date
    old: int = 0  # of them too old to be fetched
    foreign_items: int = 0  # of them no article address of this outlet
    fresh: int = 0  # of them never seen by an earlier run
    newest: str = ""  # newest date among the entries, ISO
    fingerprint: str = ""  # of the set of entries


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What earlier runs left of an address."""

    etag: str
    last_modified: str
    content_sha256: str
    version: int
    fetched_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """When a list was visited and when it should be again."""

    key: str
    outlet: str
    visited_at: str
    hours: float
    span_hours: float
    gap: bool

    @property
    def next_at(self) -> datetime:
        """The next visit."""
        return datetime.fromisoformat(self.visited_at) + timedelta(hours=self.hours)


_FIELDS: Final = tuple(f.name for f in fields(Visit))
_COLUMNS: Final = ", ".join(_FIELDS)
_RESULT: Final = tuple(
    n for n in _FIELDS
    if n not in ("key", "url", "outlet", "kind", "depth", "published", "attempts")
)  # fmt: skip
_FINISH: Final = (
    f"UPDATE visit SET {', '.join(f'{n}=?' for n in _RESULT)}"
    " WHERE run_id=? AND key=? AND kind=? AND state IN ('discovered', 'leased')"
)


def _visit(row: sqlite3.Row) -> Visit:
    values = dict(row)
    return Visit(**(values | {"kind": Kind(values["kind"]), "state": State(values["state"])}))


def _migrate(db: sqlite3.Connection) -> None:
    """Bring an older ledger to this schema, all at once or not at all."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise KiemchungError(
            f"the ledger has schema {version}, this program knows {VERSION}",
            remedy="update the program",
        )
    db.execute("BEGIN IMMEDIATE")
    try:
        names = {r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        columns = {r[1] for r in db.execute("PRAGMA table_info(visit)")}
        old = "visit" in names and "leases" not in columns
        if old:
            db.execute("ALTER TABLE visit RENAME TO visit_0")
            db.execute("ALTER TABLE url RENAME TO url_0")
        for statement in SCHEMA.split(";\n"):
            if statement.strip():
                db.execute(statement)
        if old:
            db.execute(
                f"INSERT INTO visit ({_OLD_COLUMNS}, state) SELECT {_OLD_COLUMNS},"
                " CASE state WHEN 'pending' THEN 'discovered' ELSE state END FROM visit_0"
            )
            db.execute(
                "INSERT INTO url (key, outlet, etag, last_modified, content_sha256, version,"
                " first_run, last_run) SELECT key, outlet, etag, last_modified, content_sha256, 1,"
                " first_run, first_run FROM url_0"
            )
            db.execute("DROP TABLE visit_0")
            db.execute("DROP TABLE url_0")
        db.execute(f"PRAGMA user_version={VERSION}")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _shut(db: sqlite3.Connection, seal: LedgerSeal) -> None:
    with seal.closing():
        db.close()


class Ledger:
    """The ledger of one data folder; a run's rows are its own.

    Raises:
        DamagedFileError: the file is damaged.
        KiemchungError: it was made by a newer program.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._seal = LedgerSeal(path)
        self._commits = 0
        try:
            with self._seal.opening() as unsealed:
                self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
                self._db.row_factory = sqlite3.Row
                self._db.execute("PRAGMA wal_autocheckpoint=0")  # the seal knows when
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=FULL")
                if unsealed:
                    self._look_through()
                _migrate(self._db)
        except BaseException as error:
            with suppress(AttributeError):  # it may not have come so far
                self._db.close()
            self._seal.abandon()
            if not isinstance(error, sqlite3.DatabaseError) or isinstance(
                error, sqlite3.OperationalError
            ):
                raise  # locked for too long, a full disk, or a newer program's
            raise DamagedFileError(
                f"the ledger cannot be used: {error}", where=str(path), remedy=REMEDY
            ) from error

        # A ledger that is let go without being closed would be written behind the seal's back.
        self._shut = weakref.finalize(self, _shut, self._db, self._seal)

    def _look_through(self) -> None:
        """Look at a file without a seal: SQLite's own check, and whether every value is a value.

        Raises:
            sqlite3.DatabaseError: something is damaged. Not everything that may be shows.
        """
        if damage := self.check():
            raise sqlite3.DatabaseError(damage[0])
        for table in ("visit", "url", "rhythm"):
            try:
                for _ in self._db.execute(f"SELECT * FROM {table}"):
                    pass
            except sqlite3.OperationalError as error:
                if "no such table" not in str(error):
                    raise sqlite3.DatabaseError(str(error)) from error

    def close(self) -> None:
        """Close the file; whoever does it last seals it."""
        self._shut()

    @contextmanager
    def _transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        if not durable:
            self._db.execute("PRAGMA synchronous=NORMAL")
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        finally:
            if not durable:
                self._db.execute("PRAGMA synchronous=FULL")
        self._commits += 1
        if self._commits % COMMITS_IN_LOG == 0:
            with self._seal.checkpoint():
                self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    # -- discovery ---------------------------------------------------------------------------

    def _insert(self, db: sqlite3.Connection, run_id: str, visits: Iterable[Visit]) -> int:
        new = 0
        for visit in visits:
            cursor = db.execute(
                "INSERT OR IGNORE INTO visit (run_id, key, url, outlet, kind, depth, published,"
                " state, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    run_id, visit.key, visit.url, visit.outlet, visit.kind, visit.depth,
                    visit.published, visit.state, visit.reason,
                ),
            )  # fmt: skip
            new += cursor.rowcount
        return new

    def add(self, run_id: str, visits: Iterable[Visit]) -> int:
        """Write down discovered addresses; return how many this run did not know yet."""
        with self._transaction() as db:
            return self._insert(db, run_id, visits)

    def carry_over(self, run_id: str, outlets: Sequence[str]) -> int:
        """Take pages into this run that ended for a passing cause in earlier ones.

        An address is tried in at most ``MAX_CARRIED`` runs; pages that an earlier run never came
        to are taken as well. Returns how many were added.
        """
        marks = ", ".join("?" * len(outlets))
        with self._transaction() as db:
            cursor = db.execute(
                "INSERT OR IGNORE INTO visit (run_id, key, url, outlet, kind, depth)"
                f" SELECT ?, key, url, outlet, 'page', 0 FROM url WHERE outlet IN ({marks})"
                " AND failures BETWEEN 1 AND ? AND kind='page' AND url<>'' AND last_run < ?",
                (run_id, *outlets, MAX_CARRIED, run_id),
            )
            return cursor.rowcount

    def reopen(self, run_id: str, keys: Sequence[str]) -> int:
        """Make ended lists of this run due again; return how many there were."""
        with self._transaction() as db:
            return sum(
                db.execute(
                    "UPDATE visit SET state='discovered', reason='', attempts=0 WHERE run_id=?"
                    " AND key=? AND kind<>'page'"
                    " AND state IN ('fetched', 'unchanged', 'failed', 'gone')",
                    (run_id, key),
                ).rowcount
                for key in keys
            )

    # -- leases ------------------------------------------------------------------------------

    def release(self, run_id: str) -> int:
        """Take back what a killed crawl held; return how many addresses that were.

        One that was held at ``MAX_LEASES`` crashes ends as ``failed: crawler_crashed``.
        """
        with self._transaction() as db:
            held = db.execute(
                "UPDATE visit SET state='discovered', leases=leases+1"
                " WHERE run_id=? AND state='leased'",
                (run_id,),
            ).rowcount
            db.execute(
                "UPDATE visit SET state='failed', reason='crawler_crashed'"
                " WHERE run_id=? AND state='discovered' AND leases>=?",
                (run_id, MAX_LEASES),
            )
            return held

    def lease(self, run_id: str, visit: Visit) -> None:
        """Note that ``visit`` is being fetched now."""
        with self._transaction(durable=False) as db:
            db.execute(
                "UPDATE visit SET state='leased' WHERE run_id=? AND key=? AND kind=?"
                " AND state='discovered'",
                (run_id, visit.key, visit.kind),
            )

    def again(self, run_id: str, visit: Visit) -> None:
        """Put ``visit`` back, to be tried once more after the others."""
        with self._transaction() as db:
            db.execute(
                "UPDATE visit SET state='discovered', attempts=attempts+1 WHERE run_id=? AND key=?"
                " AND kind=? AND state IN ('discovered', 'leased')",
                (run_id, visit.key, visit.kind),
            )

    def open(self, run_id: str, outlet: str, limit: int) -> list[Visit]:
        """Return what is to be fetched next of an outlet: lists, then the newest pages."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM visit WHERE run_id=? AND outlet=? AND state='discovered'"
            " ORDER BY attempts, kind='page', published DESC, key LIMIT ?",
            (run_id, outlet, limit),
        )
        return [_visit(row) for row in rows]

    def close_rest(self, run_id: str, outlet: str, reason: str) -> int:
        """End all pages of an outlet that are still to be fetched as refused for ``reason``."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO url (key, outlet, url, first_run, last_run, state, reason, failures)"
                " SELECT key, outlet, url, run_id, run_id, 'refused', ?, 1 FROM visit"
                " WHERE run_id=? AND outlet=? AND kind='page' AND state='discovered'"
                " ON CONFLICT (key) DO UPDATE SET state='refused', reason=excluded.reason,"
                " url=excluded.url, failures=failures+1, last_run=excluded.last_run",
                (reason, run_id, outlet),
            )
            return db.execute(
                "UPDATE visit SET state='refused', reason=? WHERE run_id=? AND outlet=?"
                " AND kind='page' AND state='discovered'",
                (reason, run_id, outlet),
            ).rowcount

    # -- ends --------------------------------------------------------------------------------

    def finish(
        self,
        run_id: str,
        visit: Visit,
        *,
        children: Iterable[Visit] = (),
        etag: str = "",
        last_modified: str = "",
        rhythm: Rhythm | None = None,
    ) -> int:
        """Write the end of ``visit`` and what it brought, at once; return the new children.

        A visit that has already ended keeps its first end.
        """
        with self._transaction() as db:
            new = self._insert(db, run_id, children)
            values = [getattr(visit, name) for name in _RESULT]
            done = db.execute(_FINISH, (*values, run_id, visit.key, visit.kind))
            if done.rowcount:
                self._remember(db, run_id, visit, etag, last_modified)
                if rhythm is not None:
                    db.execute(
                        "INSERT INTO rhythm VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE"
                        " SET visited_at=excluded.visited_at, hours=excluded.hours,"
                        " span_hours=excluded.span_hours, gap=excluded.gap",
                        (
                            rhythm.key, rhythm.outlet, rhythm.visited_at, rhythm.hours,
                            rhythm.span_hours, int(rhythm.gap),
                        ),
                    )  # fmt: skip
            return new

    def _remember(
        self, db: sqlite3.Connection, run_id: str, visit: Visit, etag: str, last_modified: str
    ) -> None:
        passing = visit.state in (State.FAILED, State.REFUSED) and visit.reason in TRANSIENT
        db.execute(
            "INSERT INTO url (key, outlet, kind, url, first_run, last_run, state, reason, failures)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET"
            " url=excluded.url, last_run=excluded.last_run, state=excluded.state,"
            " reason=excluded.reason,"
            " failures=CASE WHEN excluded.failures=0 THEN 0 ELSE failures+1 END",
            (
                visit.key, visit.outlet, visit.kind, visit.url, run_id, run_id, visit.state,
                visit.reason, int(passing),
            ),
        )  # fmt: skip
        if visit.state is State.FETCHED:
            db.execute(
                "UPDATE url SET etag=?, last_modified=?, fetched_at=?, content_sha256=?,"
                " version=version + (content_sha256<>?) WHERE key=?",
                (
                    etag, last_modified, visit.fetched_at, visit.raw_sha256, visit.raw_sha256,
                    visit.key,
                ),
            )  # fmt: skip
            db.execute(
                "UPDATE visit SET version=(SELECT version FROM url WHERE key=?)"
                " WHERE run_id=? AND key=? AND kind=?",
                (visit.key, run_id, visit.key, visit.kind),
            )

    # -- what is known -----------------------------------------------------------------------

    def known(self, key: str) -> Known | None:
        """Return what earlier runs fetched at an address; None where they fetched nothing."""
        row = self._db.execute(
            "SELECT etag, last_modified, content_sha256, version, fetched_at FROM url"
            " WHERE key=? AND content_sha256<>''",
            (key,),
        ).fetchone()
        return Known(**dict(row)) if row else None

    def seen_before(self, run_id: str, key: str) -> bool:
        """Return whether an earlier run has ended this address."""
        row = self._db.execute(
            "SELECT 1 FROM url WHERE key=? AND first_run<>?", (key, run_id)
        ).fetchone()
        return row is not None

    def state_of(self, run_id: str, key: str, kind: Kind) -> Visit | None:
        """Return one address of a run."""
        row = self._db.execute(
            f"SELECT {_COLUMNS} FROM visit WHERE run_id=? AND key=? AND kind=?",
            (run_id, key, kind),
        ).fetchone()
        return _visit(row) if row else None

    def rhythms(self) -> dict[str, Rhythm]:
        """Return the rhythm of every list that was ever read."""
        rows = self._db.execute("SELECT * FROM rhythm ORDER BY key")
        return {
            r["key"]: Rhythm(**(dict(r) | {"gap": bool(r["gap"])}))
            for r in rows
        }  # fmt: skip

    def asked(self, run_id: str, outlet: str) -> int:
        """Return how many pages of an outlet have been asked for in a run."""
        row = self._db.execute(
            "SELECT count(*) FROM visit WHERE run_id=? AND outlet=? AND kind='page'"
            " AND state NOT IN ('discovered', 'leased') AND reason<>'page_budget'",
            (run_id, outlet),
        ).fetchone()
        return int(row[0])

    def visits(self, run_id: str) -> list[Visit]:
        """Return all addresses of a run in a fixed order; `each_visit` yields them."""
        return list(self.each_visit(run_id))

    def each_visit(self, run_id: str) -> Iterator[Visit]:
        """Yield all addresses of a run in a fixed order, few in memory at a time."""
        rows = self._db.cursor().execute(
            f"SELECT {_COLUMNS} FROM visit WHERE run_id=? ORDER BY outlet, key, kind", (run_id,)
        )
        yield from map(_visit, rows)

    def runs(self) -> list[str]:
        """Return the runs of this ledger."""
        return [r[0] for r in self._db.execute("SELECT DISTINCT run_id FROM visit ORDER BY 1")]

    def pages_of(self, digests: Iterable[str]) -> dict[tuple[str, str], Visit]:
        """Return where the pages with these SHA-256 lie, by digest and address; the latest visit.

        One reading of the table, however many are asked for.
        """
        with self._transaction(durable=False) as db:
            db.execute("CREATE TEMP TABLE IF NOT EXISTS wanted (raw_sha256 TEXT PRIMARY KEY)")
            db.execute("DELETE FROM wanted")
            db.executemany("INSERT OR IGNORE INTO wanted VALUES (?)", ((d,) for d in digests))
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM visit JOIN wanted USING (raw_sha256)"
                " WHERE kind='page' AND state='fetched' ORDER BY run_id"
            ).fetchall()
        return {(row["raw_sha256"], row["url"]): _visit(row) for row in rows}

    def pending(self) -> dict[str, int]:
        """Return how many pages of each run are still to be fetched; runs without any are absent.

        Addresses that a later run took over count in that run only.
        """
        rows = self._db.execute(
            "SELECT run_id, count(*) FROM visit AS v WHERE kind=? AND state IN (?, ?)"
            " AND NOT EXISTS (SELECT 1 FROM visit AS later WHERE later.key=v.key"
            " AND later.kind=v.kind AND later.run_id>v.run_id) GROUP BY run_id",
            (Kind.PAGE, *OPEN),
        )
        return {str(run): int(n) for run, n in rows}

    def check(self) -> list[str]:
        """Return what is damaged in the file, empty when nothing is."""
        rows = [str(r[0]) for r in self._db.execute("PRAGMA integrity_check(20)")]
        return [] if rows == ["ok"] else rows


def next_visit(
    *,
    key: str,
    outlet: str,
    at: datetime,
    newest: datetime | None,
    oldest: datetime | None,
    items: int,
    fresh: int,
    before: Rhythm | None,
) -> Rhythm:
    """Return when a list is due again, from its own rhythm.

    Half the time in which its dated entries turn over; where they have no dates, half as long as
    last time when more than half of the entries were new, twice as long when none was, a day to
    begin with. Between one hour and seven days. ``gap`` is set where ten entries or more, all new,
    followed an earlier visit: what stood between may have been missed.
    """
    span = (newest - oldest).total_seconds() / 3600 if newest and oldest and items >= 5 else 0.0
    hours = before.hours if before else 24.0
    if span > 0:
        hours = span / 2
    elif items > 0 and before is not None:
        hours = hours / 2 if fresh > items / 2 else hours * 2 if fresh == 0 else hours
    bounds = (SHORTEST.total_seconds() / 3600, LONGEST.total_seconds() / 3600)
    return Rhythm(
        key=key,
        outlet=outlet,
        visited_at=at.isoformat(),
        hours=min(max(hours, bounds[0]), bounds[1]),
        span_hours=span,
        gap=before is not None and items >= 10 and fresh == items,
    )
