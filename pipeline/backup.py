"""A backup of what cannot be made again, beside a running server or without one, and its return.

A whole backup is a folder: the store, the crawl ledger, own models, own outlet files, an own
reference base, the histories that health and drift are told from, and experiments, with a manifest
of their hashes. Not in it: fetched pages (append-only files, copied
by rsync), shards of the runs (made again from the pages), `kiemchung.toml` (may hold a password)
and the secret that signs sessions (whoever has it can sign in).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from crawler.run import ledger_path
from kiemchung import __version__
from kiemchung.config import Settings
from kiemchung.errors import InputError, StoreError, StoreLockedError
from kiemchung.locks import held
from kiemchung.shards import fsync_folder, write_bytes_atomically
from kiemchung.store import Store, open_store, requests
from kiemchung.store import restore as restore_store
from kiemchung.store.opening import set_aside
from kiemchung.store.sealed import sha256_of
from pipeline.weekly import store_path

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
WITHIN_SECONDS: Final = 600.0
_DATED: Final = re.compile(r"kiemchung-\d{8}-\d{6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp:
    """What was written, by whom, and which older backups went."""

    path: Path
    by: str  # "server" or "command"
    files: Mapping[str, str]  # name in the backup -> SHA-256
    removed: tuple[str, ...] = ()


def backups_folder(settings: Settings) -> Path:
    """Return where whole backups lie when no other folder is given."""
    return settings.data_dir / "backups"


def existing_path(settings: Settings) -> Path:
    """Return where the store lies.

    Raises:
        InputError: there is none.
    """
    path = store_path(settings)
    if not path.is_file():
        raise InputError(
            "there is no store yet",
            where=str(path),
            remedy="run `kiemchung demo` or `kiemchung weekly` first, or give --data",
        )
    return path


@contextmanager
def store_to_read(
    settings: Settings, *, told: Callable[[str], None] = lambda line: None
) -> Iterator[Store]:
    """Yield the store to read it only, also where a server owns it.

    Then it is a copy of this moment, which the server makes as it makes a backup; reviewers go on,
    and the copy is gone afterwards, with whatever was written into it. ``told`` hears of it.

    Raises:
        InputError: there is no store.
        StoreLockedError: another process than a server holds the store all the time.
        StoreError: no copy could be made.
    """
    path = existing_path(settings)
    with ExitStack() as opened:
        try:
            store = opened.enter_context(open_store(path, wait_seconds=0.5))
        except StoreLockedError as error:
            told(f"process {error.pid} has the store: read from a copy of this moment")
            folder = backups_folder(settings).resolve()
            folder.mkdir(parents=True, exist_ok=True)
            _sweep(folder)
            temporary = folder / f".kiemchung-to-read.{os.getpid()}.tmp"
            temporary.mkdir(mode=0o700)  # it holds accounts
            opened.callback(shutil.rmtree, temporary, ignore_errors=True)
            _by_owner(path, temporary / path.name, error)
            store = opened.enter_context(open_store(temporary / path.name))
        yield store


def store_to(settings: Settings, out: Path, *, within: float = WITHIN_SECONDS) -> str:
    """Back the store up to ``out``, by the server where one owns it; return who did it.

    Raises:
        StoreLockedError: another process than a server holds the store all the time.
        StoreError: it failed, or was not done ``within`` seconds.
    """
    path = existing_path(settings)
    out = out.resolve()
    try:
        with open_store(path, wait_seconds=0.5) as store:
            store.backup(out)
        return "command"
    except StoreLockedError as error:
        return _by_owner(path, out, error, within=within)


def _by_owner(
    path: Path, out: Path, locked: StoreLockedError, *, within: float = WITHIN_SECONDS
) -> str:
    """Have the owner of the store at ``path`` back it up, or do so when it is free again."""
    try:
        requests.ask(path, "backup", {"out": str(out)}, pid=locked.pid, within=within)
    except StoreLockedError:
        # A weekly run, not a server; perhaps it has finished by now.
        with open_store(path, wait_seconds=10.0) as store:
            store.backup(out)
        return "command"
    return "server"


def back_up(
    settings: Settings,
    folder: Path,
    *,
    keep: int = 0,
    within: float = WITHIN_SECONDS,
    now: datetime | None = None,
) -> BackedUp:
    """Write a whole backup under ``folder``, named by the moment; keep the newest ``keep`` only.

    Raises:
        StoreError: as `store_to`; nothing is left then, and nothing older is removed.
    """
    moment = (now or datetime.now(UTC)).strftime("%Y%m%d-%H%M%S")
    target = folder / f"kiemchung-{moment}"
    temporary = folder / f".{target.name}.{os.getpid()}.tmp"
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    temporary.mkdir(mode=0o700)
    try:
        by = store_to(settings, temporary / "store.duckdb", within=within)
        if ledger_path(settings.data_dir).is_file():
            _copy_ledger(ledger_path(settings.data_dir), temporary / "ledger.sqlite")
        for name, source in _own_folders(settings).items():
            if source.is_dir():
                shutil.copytree(source, temporary / name, symlinks=False)
        files = _hashes(temporary)
        facts = {
            "format": FORMAT,
            "written_at": moment,
            "code_version": __version__,
            "files": files,
        }
        text = json.dumps(facts, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        for name in files:
            _flush(temporary / name)
        write_bytes_atomically(temporary / MANIFEST, text.encode("utf-8"))
        temporary.rename(target)
        fsync_folder(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    removed = _rotate(folder, keep) if keep else ()
    return BackedUp(path=target, by=by, files=files, removed=removed)


def _own_folders(settings: Settings) -> dict[str, Path]:
    """Return what an operator has of their own; what is shipped comes with the program."""
    found = {
        name: settings.data_dir / name for name in ("models", "health", "drift", "experiments")
    }
    if settings.outlet_dir is not None:
        found["outlets"] = settings.outlet_dir
    if settings.reference_dir is not None:
        found["reference"] = settings.reference_dir
    return found


def _copy_ledger(source: Path, target: Path) -> None:
    """Copy with SQLite's own online backup: a crawl may write meanwhile."""
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=30)) as old,
        closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new, pages=1_000, sleep=0.01)
        # One file: in WAL mode the mere reading of a backup would put files beside it.
        new.execute("PRAGMA journal_mode=DELETE")
        (found,) = new.execute("PRAGMA integrity_check").fetchone()
    if found != "ok":
        raise StoreError(
            f"the crawl ledger is damaged: {found}",
            where=str(source),
            remedy="`kiemchung status` says more; back the store up alone with --out",
        )
    target.chmod(0o600)


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def kept(folder: Path) -> list[Path]:
    """Return the whole backups under ``folder``, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and _DATED.fullmatch(p.name))


def _rotate(folder: Path, keep: int) -> tuple[str, ...]:
    gone = []
    for path in kept(folder)[:-keep]:
        hidden = path.with_name(f".{path.name}.removing.tmp")
        path.rename(hidden)  # at once: half a backup must not look like one
        shutil.rmtree(hidden, ignore_errors=True)
        gone.append(path.name)
    return tuple(gone)


def _sweep(folder: Path) -> None:
    """Remove what a killed backup or rotation left; one that is at work has a living process."""
    for path in folder.glob(".kiemchung-*.tmp"):
        pid = path.name.split(".")[-2]
        if not (pid.isdecimal() and Path(f"/proc/{pid}").exists()):
            shutil.rmtree(path, ignore_errors=True)


# -- back again ------------------------------------------------------------------------------------


def manifest(folder: Path) -> dict[str, str]:
    """Return the hashes of a whole backup after checking every file against them.

    Raises:
        StoreError: the manifest or a file is missing, changed or left over.
    """
    path = folder / MANIFEST
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            raise StoreError(
                f"format {facts['format']}, this program reads {FORMAT}",
                where=str(path),
                remedy="use the program that wrote it",
            )
        files = {str(k): str(v) for k, v in facts["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"this is no backup: {error!r}", where=str(path), remedy="name another folder"
        ) from error
    found = _hashes(folder)
    for name in sorted(files.keys() | found.keys()):
        if files.get(name) != found.get(name):
            what = "is missing" if name not in found else "is not as the manifest says"
            raise StoreError(
                f"{what}: {name}", where=str(folder), remedy="use another backup or copy it again"
            )
    return files


def restore(settings: Settings, source: Path, *, unverified: bool = False) -> dict[str, str]:
    """Put a backup back, a whole one or the file of a store; return what lies where now.

    What was there is kept beside it under ``.before-restore-N``. What is the same stays.

    Raises:
        StoreLockedError: a server or a run owns the store.
        StoreError: the backup is not as its hashes say, damaged, or newer than this program.
        KiemchungError: a run works in the data folder.
    """
    path = store_path(settings)
    if not source.is_dir():
        restore_store(source, path, unverified=unverified)
        return {"store": str(path)}
    if not unverified:
        manifest(source)
    with _no_run(settings):
        restore_store(source / "store.duckdb", path, unverified=unverified)
        done = {"store": str(path)}
        ledger = ledger_path(settings.data_dir)
        if (source / "ledger.sqlite").is_file():
            set_aside(ledger, ("-wal", "-shm", ".seal"))
            _copy_ledger(source / "ledger.sqlite", ledger)
            done["ledger"] = str(ledger)
        for name, target in _own_folders(settings).items():
            if (source / name).is_dir() and _put_back(source / name, target):
                done[name] = str(target)
    return done


def _put_back(source: Path, target: Path) -> bool:
    if target.is_dir():
        if _hashes(source) == _hashes(target):
            return False
        set_aside(target, ())
    fresh = target.with_name(f".{target.name}.restoring")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(source, fresh)
    fresh.rename(target)
    return True


@contextmanager
def _no_run(settings: Settings) -> Iterator[None]:
    """Hold the lock of every run, so that none writes into a ledger that is being replaced."""
    with ExitStack() as locks:
        for path in sorted((settings.data_dir / "runs").glob("*/.lock")):
            locks.enter_context(held(path, what=f"run {path.parent.name}"))
        yield
