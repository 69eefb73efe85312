"""Opening, creating and restoring the file, always under the side lock."""

from __future__ import annotations

import os
import re
from pathlib import Path

import duckdb

from kiemchung.errors import StoreError
from kiemchung.store.checks import problems
from kiemchung.store.connection import CONFIG, DESK, SideLock, connect
from kiemchung.store.double import DOUBLE_SHARE
from kiemchung.store.migrate import applied, migrate
from kiemchung.store.store import Store


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
        connection = connect(path, settings=DESK if desk else CONFIG)
        migrate(connection, where=str(path))
        return Store(path, connection, lock, double_share=double_share)
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


def _refuse_other_files(path: Path) -> None:
    """A file of another kind is named as such; DuckDB would call it damaged, or replace it."""
    if not path.exists():
        return
    with path.open("rb") as file:
        head = file.read(16)
    if head and head[8:12] != b"DUCK":
        raise StoreError(
            "this file is no store",
            where=str(path),
            remedy="name another file, or restore a backup with `kiemchung restore FILE`",
        )


def restore(source: Path, path: Path) -> None:
    """Put the backup ``source`` in place of the store at ``path``; the old one is kept beside it.

    Raises:
        StoreLockedError: a process owns the store.
        StoreError: the backup is missing, damaged or no store.
        StoreVersionError: it was made by a newer program.
    """
    if not source.is_file():
        raise StoreError("there is no such backup", where=str(source), remedy="name another file")
    path.parent.mkdir(parents=True, exist_ok=True)
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
        _set_aside(path)
        temporary.replace(path)
    finally:
        for name in (temporary.name, f"{temporary.name}.wal"):
            temporary.with_name(name).unlink(missing_ok=True)
        lock.release()


def _set_aside(path: Path) -> None:
    """Rename the store that was there, its write-ahead log with it: both or none."""
    if not path.exists():
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
        return
    taken = re.compile(re.escape(path.name) + r"\.before-restore-(\d+)")
    numbers = [int(m[1]) for p in path.parent.iterdir() if (m := taken.fullmatch(p.name))]
    kept = path.with_name(f"{path.name}.before-restore-{max(numbers, default=0) + 1}")
    log = path.with_name(f"{path.name}.wal")
    if log.exists():
        log.rename(kept.with_name(f"{kept.name}.wal"))
    path.rename(kept)
