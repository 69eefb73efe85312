"""CRC-32 of every MiB of a file: finds every flipped bit, says where, and costs little to take.

A CRC finds each single flip and each burst of up to 32 bits for certain, anything else but one time
in four thousand million. It is no defence against somebody who changes a file on purpose; models,
bases, shards and pages have SHA-256 for that.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from isal import isal_zlib

CHUNK: Final = 1 << 20


def crc32(data: bytes | memoryview, value: int = 0) -> int:
    """Return the CRC-32 of ``data``, going on from ``value``."""
    return int(isal_zlib.crc32(data, value))


def chunk_sums(path: Path) -> tuple[int, tuple[int, ...]]:
    """Return the size of a file in bytes and the CRC-32 of each MiB."""
    with path.open("rb", buffering=0) as file:
        return chunk_sums_of(file.fileno())


def chunk_sums_of(handle: int) -> tuple[int, tuple[int, ...]]:
    """Return the same of an open file, wherever it stands; see `chunk_sums`."""
    sums = []
    size = 0
    buffer = bytearray(CHUNK)
    view = memoryview(buffer)
    while count := os.preadv(handle, [buffer], size):
        while count < CHUNK and (more := os.preadv(handle, [view[count:]], size + count)):
            count += more
        sums.append(crc32(view[:count]))
        size += count
    return size, tuple(sums)


def first_difference(found: tuple[int, ...], wanted: tuple[int, ...]) -> int:
    """Return the number of the first MiB that differs, counted from 0."""
    both = enumerate(zip(found, wanted, strict=False))
    return next((n for n, (a, b) in both if a != b), min(len(found), len(wanted)))


def line(body: str, *, width: int = 0) -> bytes:
    """Return a line of ASCII with its own CRC-32 before it, filled up with blanks to ``width``."""
    data = body.encode("ascii")
    return (b"%08x %s" % (crc32(data), data)).ljust(width - 1) + b"\n"


def unline(text: bytes) -> str:
    """Return the body of a line that `line` made.

    Raises:
        ValueError: it is cut short or not as it was written.
    """
    if text[-1:] != b"\n":
        raise ValueError("it is cut short")
    body = text[9:].rstrip(b" \n")
    if text[:9] != b"%08x " % crc32(body):
        raise ValueError("its checksum differs")
    return body.decode("ascii")
