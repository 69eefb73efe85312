"""What a command asks of the process that owns the store, by files beside it.

The server holds the file, so nobody else can back it up or count in it. A command puts a small JSON
file into ``requests/`` beside the store, the owner takes it by renaming it, does it and renames the
answer into place. Who may write in the data folder may ask; nothing listens on the network for it
and no secret stands on a command line. The folder is readable and writable by its owner only.

A request that is not taken within the time that the command gives is withdrawn, so it is never done
behind somebody's back later.
"""

from __future__ import annotations

import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from kiemchung.errors import KiemchungError, StoreError, StoreLockedError
from kiemchung.shards import write_bytes_atomically
from kiemchung.store.connection import SideLock

LOG = logging.getLogger(__name__)
FOLDER: Final = "requests"
POLL_SECONDS: Final = 0.1
TAKEN_WITHIN: Final = 20.0
"""The owner looks every second; one that has not taken a request by then is none of ours."""
OWNER_SECONDS: Final = 3.0
"""After so long without an answer it is looked whether there still is an owner."""
STALE_SECONDS: Final = 86_400.0

Facts = dict[str, Any]
Handler = Callable[[Mapping[str, Any]], Facts]


def folder_of(store: Path) -> Path:
    """Return where requests to the owner of ``store`` lie."""
    return store.with_name(FOLDER)


def _made(store: Path) -> Path:
    folder = folder_of(store)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def ask(
    store: Path,
    action: str,
    facts: Mapping[str, Any],
    *,
    pid: int | None,
    within: float,
    taken_within: float = TAKEN_WITHIN,
) -> Facts:
    """Ask the owner of ``store`` and return its answer.

    ``within`` seconds are given for the work once the owner has taken the request, for which it
    has ``taken_within`` seconds. ``pid`` is the owner's process.

    Raises:
        StoreLockedError: the owner takes no requests: it is no server, or ended meanwhile.
        StoreError: the owner could not do it, or did not in time.
    """
    if pid == os.getpid():
        raise _not_taken(store, pid)
    folder = _made(store)
    name = f"{action}-{uuid.uuid4().hex}"
    asked, taken, answer = (folder / f"{name}{s}" for s in (".json", ".taken", ".answer"))
    text = json.dumps({"action": action, "by": os.getpid(), **facts}, ensure_ascii=False)
    write_bytes_atomically(asked, text.encode("utf-8"))
    began, waited = time.monotonic(), 0.0
    try:
        while not answer.is_file():
            waited = time.monotonic() - began
            if waited > taken_within and asked.is_file():
                raise _not_taken(store, pid)
            if waited > OWNER_SECONDS and not _owned(store):
                raise StoreLockedError(
                    f"process {pid} gave the store up before it answered",
                    pid=pid,
                    where=str(store),
                    remedy="start this command again",
                )
            if waited > within + taken_within:
                raise StoreError(
                    f"{action}: the owner of the store, process {pid}, gave no answer",
                    where=str(store),
                    remedy="look at its log; `kiemchung status` says whether it runs",
                )
            time.sleep(POLL_SECONDS)
        done: Facts = json.loads(answer.read_text(encoding="utf-8"))
    finally:
        for path in (asked, answer):
            path.unlink(missing_ok=True)
        if waited > OWNER_SECONDS and not _owned(store):
            taken.unlink(missing_ok=True)
    if "error" in done:
        raise StoreError(done["error"], where=done.get("where", ""), remedy=done.get("remedy", ""))
    return done


def _not_taken(store: Path, pid: int | None) -> StoreLockedError:
    return StoreLockedError(
        f"the store is in use by process {pid}, which takes no requests",
        pid=pid,
        where=str(store),
        remedy="wait until that process has finished, then start this command again",
    )


def _owned(store: Path) -> bool:
    """Whether a process holds the store; its number would say nothing across containers."""
    lock = SideLock(store)
    try:
        lock.acquire(0.0)
    except StoreLockedError:
        return True
    lock.release()
    return False


def _taken(folder: Path) -> Iterator[tuple[Path, Facts]]:
    for path in sorted(folder.glob("*.json")):
        taken = path.with_suffix(".taken")
        try:
            path.rename(taken)
        except FileNotFoundError:
            continue  # withdrawn this very moment
        try:
            facts = json.loads(taken.read_text(encoding="utf-8"))
            if not isinstance(facts, dict):
                raise TypeError("no object")
        except (OSError, ValueError, TypeError) as error:
            LOG.error("a request that cannot be read is thrown away: %s: %s", path, error)
            taken.unlink(missing_ok=True)
            continue
        yield taken, facts


def serve_once(store: Path, handlers: Mapping[str, Handler]) -> list[str]:
    """Do every request that waits and return the actions done; called by the owner only.

    What goes wrong is the answer; the owner goes on.
    """
    folder = folder_of(store)
    if not folder.is_dir():
        return []
    _sweep(folder)
    done = []
    for taken, facts in _taken(folder):
        action = str(facts.get("action", ""))
        handler = handlers.get(action)
        try:
            if handler is None:
                raise StoreError(f"this server knows no request {action!r}")
            answer = handler(facts)
        except KiemchungError as error:
            LOG.error("%s failed: %s", action, error)
            answer = {"error": error.message, "where": error.where, "remedy": error.remedy}
        except (OSError, ValueError, KeyError, TypeError) as error:
            LOG.error("%s failed: %r", action, error)
            answer = {"error": f"{action}: {error}"}
        with suppress(OSError):  # a full disk: whoever asked is told by the time that runs out
            text = json.dumps(answer, ensure_ascii=False, default=str)
            write_bytes_atomically(taken.with_suffix(".answer"), text.encode("utf-8"))
        taken.unlink(missing_ok=True)
        done.append(action)
    return done


def _sweep(folder: Path) -> None:
    """Remove what nobody waits for any more: a command or an owner was killed."""
    now = time.time()
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            if now - path.stat().st_mtime > STALE_SECONDS:
                path.unlink()
