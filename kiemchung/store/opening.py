"""Opening, creating and restoring the file, always under the side lock."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import duckdb

from kiemchung.errors import StoreError
from kiemchung.shards import fsync_folder
from kiemchung.store.checks import problems
from kiemchung.store.connection import CONFIG, DESK, STORE, SideLock, attach, connect, is_database
from kiemchung.store.double import DOUBLE_SHARE
from kiemchung.store.migrate import applied, migrate, pending
from kiemchung.store.seal import Seal, seal_path
from kiemchung.store.sealed import check_seal, need_room, seal
from kiemchung.store.store import Store
from kiemchung.store.whole import damage_named, read_whole


def open_store(
    path: Path,
    *,
    wait_seconds: float = 10.0,
    double_share: float = DOUBLE_SHARE,
    desk: bool = False,
) -> Store:
    """Open, and where needed create or migrate, the store at ``path``.

    ``double_share`` of the claims that come into the queue is planned for two reviewers.

    With ``desk`` it takes little memory and answers many small questions soonest; without, the
    whole machine works on each.

    The side lock is held until `Store.close`; every way of opening the file goes through here.

    Raises:
        StoreLockedError: another process owns it, named by its process id.
        StoreVersionError: the file is newer than this program, or a migration was edited.
        StoreError: the file is damaged or no store.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = SideLock(path)
    lock.acquire(wait_seconds)
    connection = None
    try:
        _refuse_other_files(path)
        mark = Seal(path)
        unread = mark.verify()
        connection = connect(path, settings=DESK if desk else CONFIG)
        if unread:
            read_whole(connection, where=path)
        with damage_named(path):
            if kept := _before_migration(path, connection):
                connection.close()
                _rehearse(kept)
                connection = connect(path, settings=DESK if desk else CONFIG)
            migrate(connection, where=str(path))
        store = Store(path, connection, lock, double_share=double_share)
        store.seal(mark)
        return store
    except BaseException as error:
        if connection is not None:
            connection.close()
        lock.release()
        if isinstance(error, duckdb.Error):
            raise StoreError(
                f"the store cannot be made ready: {str(error).splitlines()[0]}",
                where=str(path),
                remedy="make room on the disk and start again; what was acknowledged is kept",
            ) from error
        raise


def _before_migration(path: Path, connection: duckdb.DuckDBPyConnection) -> Path | None:
    """Copy a store that an older program made, and return the copy; None where nothing is due."""
    done = [number for number, _, _ in applied(connection)]
    if not done or not pending(connection, where=str(path)):
        return None
    need_room(path.parent, 2 * path.stat().st_size, "a copy before the migration and a rehearsal")
    kept = path.with_name(f"{path.name}.before-schema-{max(done) + 1}")
    temporary = kept.with_name(f".{kept.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        attach(connection, temporary, "kiemchung_before")
        try:
            connection.execute(f"COPY FROM DATABASE {STORE} TO kiemchung_before")
            connection.execute("CHECKPOINT kiemchung_before")
        finally:
            connection.execute("DETACH kiemchung_before")
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o600)
        temporary.replace(kept)
    finally:
        temporary.unlink(missing_ok=True)
        temporary.with_name(f"{temporary.name}.wal").unlink(missing_ok=True)
    seal(kept)
    return kept


def _rehearse(kept: Path) -> None:
    """Run the steps on a copy of the copy: what fails there leaves the store as it was.

    Raises:
        StoreError: a step fails, or the rows contradict each other afterwards.
    """
    trial = kept.with_name(f".{kept.name}.rehearsal")
    try:
        shutil.copyfile(kept, trial)
        connection = connect(trial)
        try:
            migrate(connection, where=str(kept))
            found = problems(connection)
        finally:
            connection.close()
    except duckdb.Error as error:
        found = [str(error).splitlines()[0]]
    finally:
        for name in (trial.name, f"{trial.name}.wal"):
            trial.with_name(name).unlink(missing_ok=True)
    if found:
        raise StoreError(
            f"the new schema does not fit these rows: {found[0]}",
            where=str(kept),
            remedy="the store is as it was; go on with the older program and report this",
        )


def _refuse_other_files(path: Path) -> None:
    """A file of another kind is named as such; DuckDB would call it damaged, or replace it."""
    if path.exists() and not is_database(path):
        raise StoreError(
            "this file is no store",
            where=str(path),
            remedy="name another file, or restore a backup with `kiemchung restore FILE`",
        )


def restore(source: Path, path: Path, *, unverified: bool = False) -> None:
    """Put the backup ``source`` in place of the store at ``path``; the old one is kept beside it.

    Its SHA-256 has to lie beside it, unless ``unverified``. An older schema is brought up to date
    in the copy, so the backup stays as it is.

    Raises:
        StoreLockedError: a process owns the store.
        StoreError: the backup is missing, not as its hash says, damaged or no store.
        StoreVersionError: it was made by a newer program.
    """
    if not source.is_file():
        raise StoreError("there is no such backup", where=str(source), remedy="name another file")
    if not unverified:
        check_seal(source)
    path.parent.mkdir(parents=True, exist_ok=True)
    need_room(path.parent, source.stat().st_size, "the restored store")
    lock = SideLock(path)
    lock.acquire(10.0)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.restoring")
    try:
        with source.open("rb") as old, temporary.open("wb") as new:
            while chunk := old.read(1 << 20):
                new.write(chunk)
            new.flush()
            os.fsync(new.fileno())
        _refuse_other_files(temporary)
        connection = connect(temporary)
        try:
            if not applied(connection):
                raise StoreError(
                    "this file is no backup of a store",
                    where=str(source),
                    remedy="name a file that `kiemchung backup` wrote",
                )
            read_whole(connection, where=source)
            migrate(connection, where=str(source))
            found = problems(connection)
            if found:
                raise StoreError(
                    f"the backup contradicts itself: {found[0]}",
                    where=str(source),
                    remedy="use another backup",
                )
        finally:
            connection.close()
        set_aside(path)
        seal_path(path).unlink(missing_ok=True)  # of the store that was there
        temporary.replace(path)
        fsync_folder(path.parent)
    finally:
        for name in (temporary.name, f"{temporary.name}.wal"):
            temporary.with_name(name).unlink(missing_ok=True)
        lock.release()


def compact(path: Path) -> None:
    """Write the store anew, so that what was overwritten is in no freed block of the file either.

    Raises:
        StoreLockedError: a process owns the store.
        StoreError: there is no room for a second one.
    """
    lock = SideLock(path)
    lock.acquire(10.0)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.compacting")
    try:
        need_room(path.parent, path.stat().st_size, "a compacted store")
        connection = connect(path)
        try:
            connection.execute("CHECKPOINT")
            attach(connection, temporary, "kiemchung_compact")
            connection.execute(f"COPY FROM DATABASE {STORE} TO kiemchung_compact")
            connection.execute("CHECKPOINT kiemchung_compact")
            connection.execute("DETACH kiemchung_compact")
        finally:
            connection.close()
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)  # checkpointed: nothing in it
        seal_path(path).unlink(missing_ok=True)  # of the file that is replaced
        temporary.replace(path)
        fsync_folder(path.parent)
    finally:
        for name in (temporary.name, f"{temporary.name}.wal"):
            temporary.with_name(name).unlink(missing_ok=True)
        lock.release()


def set_aside(path: Path, logs: Sequence[str] = (".wal",)) -> Path | None:
    """Rename the database that was there, its logs with it, and return where it is now."""
    if not path.exists():
        for suffix in logs:
            path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
        return None
    taken = re.compile(re.escape(path.name) + r"\.before-restore-(\d+)")
    numbers = [int(m[1]) for p in path.parent.iterdir() if (m := taken.fullmatch(p.name))]
    kept = path.with_name(f"{path.name}.before-restore-{max(numbers, default=0) + 1}")
    for suffix in logs:
        log = path.with_name(f"{path.name}{suffix}")
        if log.exists():
            log.rename(kept.with_name(f"{kept.name}{suffix}"))
    path.rename(kept)
    return kept
