"""A file that one process holds at a time and that names its holder.

The lock is the operating system's (``flock``): it belongs to the open file, so it ends with the
process that holds it, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kiemchung.errors import KiemchungError

_POLL_SECONDS: Final = 0.05
_REMEDY: Final = "wait for it to end, or stop it; then start this command again"


@contextmanager
def held(path: Path, *, what: str, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold ``path`` while the block lasts; it stays afterwards, as removing it would be a race.

    Raises:
        KiemchungError: after ``wait_seconds`` another process, named by its id, still holds it;
            ``what`` is what it is working on.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(handle, path, what, time.monotonic() + wait_seconds)
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode("ascii"), 0)
        yield
    finally:
        os.close(handle)


def _take(handle: int, path: Path, what: str, deadline: float) -> None:
    named = deadline + 1.0  # who has just taken it is about to write who it is
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
            if time.monotonic() >= (deadline if holder else named):
                raise KiemchungError(
                    f"{what} is being worked on by process {holder or '?'}",
                    where=str(path),
                    remedy=_REMEDY,
                ) from None
        time.sleep(_POLL_SECONDS)
