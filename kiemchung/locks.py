"""A file that one process holds at a time and that names its holder.

The lock is the operating system's (``flock``): it belongs to the open file, so it ends with the
process that holds it, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kiemchung.errors import KiemchungError

_POLL_SECONDS: Final = 0.05
_NAMED_WITHIN: Final = 1.0  # who has just taken a lock is about to write who it is
_REMEDY: Final = "wait for it to end, or stop it; then start this command again"


def take(path: Path, *, wait_seconds: float, refused: Callable[[str], KiemchungError]) -> int:
    """Return the handle of the locked file ``path``; closing it gives the lock back.

    The file stays afterwards, as removing it would be a race.

    Raises:
        KiemchungError: the one that ``refused`` makes of what the holder wrote, when another open
            file, of this process or another, still has it after ``wait_seconds``.
    """
    deadline = time.monotonic() + wait_seconds
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = _written(handle)
                if time.monotonic() >= (deadline if holder else deadline + _NAMED_WITHIN):
                    raise refused(holder) from None
            time.sleep(_POLL_SECONDS)
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode("ascii"), 0)
    except BaseException:
        os.close(handle)
        raise
    return handle


@contextmanager
def held(path: Path, *, what: str, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold ``path`` while the block lasts.

    Raises:
        KiemchungError: after ``wait_seconds`` another process, named by its id, still holds it;
            ``what`` is what it is working on.
    """

    def refused(holder: str) -> KiemchungError:
        return KiemchungError(
            f"{what} is being worked on by process {holder or '?'}",
            where=str(path),
            remedy=_REMEDY,
        )

    path.parent.mkdir(parents=True, exist_ok=True)
    handle = take(path, wait_seconds=wait_seconds, refused=refused)
    try:
        yield
    finally:
        os.close(handle)


def holder_of(path: Path) -> int | None:
    """Return the process that holds ``path``: None for nobody, 0 for one that has not said who."""
    if not path.is_file():
        return None
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _written(handle)
        return int(holder) if holder.isdecimal() else 0
    finally:
        os.close(handle)
    return None


def _written(handle: int) -> str:
    return os.pread(handle, 32, 0).decode("ascii", "replace").strip()
