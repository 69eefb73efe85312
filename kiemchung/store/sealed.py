"""Files that have to be believed later: written whole, flushed, with their SHA-256 beside them.

The side file has the form of ``sha256sum``, so that it can be checked without this program.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from kiemchung.errors import StoreError
from kiemchung.shards import write_bytes_atomically

SUFFIX: Final = ".sha256"
SPARE_BYTES: Final = 200_000_000
"""Left free on the disk: the store that people work with needs room for its log."""
_FLUSH_SECONDS: Final = 0.25
_LINE: Final = re.compile(r"([0-9a-f]{64}) [ *](.+)\n?")


def side_file(path: Path) -> Path:
    """Return where the hash of ``path`` stands."""
    return path.with_name(f"{path.name}{SUFFIX}")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(path: Path) -> str:
    """Write the hash of ``path`` beside it and return it."""
    found = sha256_of(path)
    write_bytes_atomically(side_file(path), f"{found}  {path.name}\n".encode())
    return found


def check_seal(path: Path) -> None:
    """Check ``path`` against the hash beside it.

    Raises:
        StoreError: there is none, it cannot be read, or the file is another.
    """
    side = side_file(path)
    try:
        line = _LINE.fullmatch(side.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StoreError(
            "its SHA-256 is not beside it",
            where=str(side),
            remedy="copy both files, or give --unverified to use it all the same",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"cannot be read: {error}", where=str(side)) from error
    if line is None:
        raise StoreError("this is no SHA-256 line", where=str(side), remedy="copy both files again")
    found = sha256_of(path)
    if found != line[1]:
        raise StoreError(
            f"SHA-256 is {found}, {side.name} says {line[1]}",
            where=str(path),
            remedy="copy it again or use another; it was changed, damaged or cut off",
        )


def need_room(folder: Path, size: int, what: str) -> None:
    """Refuse to fill the disk on which people work.

    Raises:
        StoreError: ``size`` bytes and a reserve do not fit.
    """
    free = shutil.disk_usage(folder).free
    if free < size + SPARE_BYTES:
        raise StoreError(
            f"{what} needs {size / 1e6:.0f} MB and {SPARE_BYTES / 1e6:.0f} MB of reserve,"
            f" {free / 1e6:.0f} MB are free",
            where=str(folder),
            remedy="make room, or name another disk",
        )


@contextmanager
def written_back(path: Path) -> Iterator[None]:
    """Flush ``path`` to disk bit by bit while it grows.

    Flushed at once at the end, half a gigabyte holds up the commit of everybody else on that disk.
    """
    stop = threading.Event()

    def flush() -> None:
        while not stop.wait(_FLUSH_SECONDS):
            with suppress(OSError):
                handle = os.open(path, os.O_RDONLY)
                try:
                    os.fdatasync(handle) if hasattr(os, "fdatasync") else os.fsync(handle)
                finally:
                    os.close(handle)

    worker = threading.Thread(target=flush, name="write back", daemon=True)
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join()
