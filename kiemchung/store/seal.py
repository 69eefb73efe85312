"""The side file that says what the store's files looked like: damage is found before DuckDB reads.

DuckDB has a checksum for each block and each entry of its log, and looks at it when it reads the
block. Two things stay silent: a log that was cut short opens with its last commits missing, and a
block that no query has read yet may be damaged all the while. So beside the store lies
``<store>.seal``:

- a *record* of 512 bytes, rewritten in place after every commit of people's acts: the number of the
  last checkpoint, and length and CRC-32 of the log at that moment;
- the *image*: the CRC-32 of every MiB of the file, as it was closed last.

Nothing here waits for the disk but the image, once at closing. That is safe in one direction: a
record that is older than the log lets less be found, and never refuses a log that is whole, because
the log was on disk before the record was written.

Opening compares both. A file with its image is as it was closed; after a kill the image still holds
until the first checkpoint. Where it says nothing (no seal, a checkpoint since) the whole store is
read once instead, so that DuckDB looks at every checksum.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from kiemchung.checksums import CHUNK, chunk_sums, crc32, first_difference, line, unline
from kiemchung.errors import StoreError
from kiemchung.shards import write_bytes_atomically

LOG = logging.getLogger(__name__)
RECORD: Final = 512
_ITERATIONS: Final = (4096 + 8, 8192 + 8)
"""Where the two headers of a DuckDB file hold the number of their checkpoint (little-endian)."""
_RESTORE: Final = "restore a backup with `kiemchung restore FILE`; the damaged file is kept"


class Writes:
    """Counts the commits and checkpoints of this process that have begun and ended.

    While one is under way the log may hold half of it, so nothing is noted then.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.begun = 0
        self.ended = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Something inside is being written to the log or the file."""
        with self._lock:
            self.begun += 1
        try:
            yield
        finally:
            with self._lock:
                self.ended += 1


WRITES: Final = Writes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What was last known of the open store."""

    state: str  # "open" or "closed"
    iteration: int
    log_bytes: int = 0
    log_crc: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """The file as it was closed."""

    iteration: int
    bytes: int
    chunks: tuple[int, ...]


def seal_path(store: Path) -> Path:
    """Return where the seal of a store lies."""
    return store.with_name(f"{store.name}.seal")


def log_path(store: Path) -> Path:
    """Return where DuckDB keeps the log of a store."""
    return store.with_name(f"{store.name}.wal")


def iteration_of(store: Path) -> int:
    """Return the number of the last checkpoint of a DuckDB file, -1 where it is too short."""
    with store.open("rb") as file:
        head = file.read(max(_ITERATIONS) + 8)
    if len(head) < max(_ITERATIONS) + 8:
        return -1
    return max(int(struct.unpack_from("<Q", head, place)[0]) for place in _ITERATIONS)


def image_of(store: Path) -> Image:
    """Return the image of a file; 330 MB take 0.06 s from memory."""
    iteration = iteration_of(store)
    size, chunks = chunk_sums(store)
    return Image(iteration=iteration, bytes=size, chunks=chunks)


class Seal:
    """The seal of one store; its owner holds the side lock."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._path = seal_path(store)
        self._log = log_path(store)
        self._image: Image | None = None
        self._lock = threading.Lock()
        self._handle = -1
        self._record = Record(state="open", iteration=-1)
        self._file = -1  # of the store, to look at its headers

    # -- opening -------------------------------------------------------------------------------

    def verify(self) -> bool:
        """Compare the files with the seal; return whether the store has still to be read whole.

        Raises:
            StoreError: the file, its log or the seal is not as it was written.
        """
        if not self._store.exists():
            if self._path.exists():
                raise StoreError(
                    "the store is gone, but its seal is there",
                    where=str(self._store),
                    remedy="put it back, or a backup with `kiemchung restore FILE`; to begin a new"
                    f" one, delete {self._path.name}",
                )
            return False
        read = self._read()
        if read is None:
            return True
        record, self._image = read
        now = iteration_of(self._store)
        if now < max(record.iteration, self._image.iteration if self._image else -1):
            raise StoreError(
                f"the file is older than when it was used last (checkpoint {now},"
                f" {record.iteration} was seen)",
                where=str(self._store),
                remedy=f"{_RESTORE}; to use it all the same, delete {self._path.name}",
            )
        if record.iteration == now:
            self._check_log(record)
        if self._image is None or self._image.iteration != now:
            if record.state == "closed":
                LOG.warning("%s was written by another program; it is read whole", self._store)
            self._image = None
            return True
        return self._check_image(record, self._image)

    def _read(self) -> tuple[Record, Image | None] | None:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            record = Record(**json.loads(unline(data[:RECORD])))
            image = None
            if len(data) > RECORD:
                values = json.loads(unline(data[RECORD:]))
                image = Image(**values | {"chunks": tuple(values["chunks"])})
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(
                f"the seal of the store is damaged: {error}",
                where=str(self._path),
                remedy="delete it: the store is then read whole once, and sealed anew",
            ) from error
        return record, image

    def _check_log(self, record: Record) -> None:
        """Refuse a log that is shorter than, or not as, it was after the last commit noted."""
        if not record.log_bytes:
            return
        crc, left = 0, record.log_bytes
        with suppress(FileNotFoundError), self._log.open("rb") as file:
            while left and (piece := file.read(min(left, CHUNK))):
                crc = crc32(piece, crc)
                left -= len(piece)
        if left:
            raise StoreError(
                f"the write-ahead log was cut short: {record.log_bytes} bytes were committed,"
                f" {record.log_bytes - left} are there",
                where=str(self._log),
                remedy=f"{_RESTORE}; to go on without its last commits, delete {self._path.name}",
            )
        if crc != record.log_crc:
            raise StoreError(
                "the write-ahead log is damaged: its bytes are not those that were committed",
                where=str(self._log),
                remedy=_RESTORE,
            )

    def _check_image(self, record: Record, image: Image) -> bool:
        found = image_of(self._store)
        if found == image:
            # A log beside a file that was closed: a process was killed before its first note.
            return record.state == "closed" and self._log.exists()
        if record.state == "open":
            self._image = None
            return True  # killed within a checkpoint: what it wrote is not in use yet
        first = first_difference(found.chunks, image.chunks)
        raise StoreError(
            f"the store is damaged: not as it was closed, first in MiB {first + 1} of"
            f" {len(image.chunks)} ({found.bytes} bytes, {image.bytes} when it was closed)",
            where=str(self._store),
            remedy=_RESTORE,
        )

    # -- while it is open ----------------------------------------------------------------------

    def begin(self) -> None:
        """Say that the store is open; from here on `note` follows it."""
        image = b"" if self._image is None else line(json.dumps(asdict(self._image)))
        self._file = os.open(self._store, os.O_RDONLY | os.O_CLOEXEC)
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        self._record = Record(state="open", iteration=self._iteration())
        temporary.write_bytes(self._as_record(self._record) + image)
        temporary.replace(self._path)
        self._handle = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        self.note()

    @staticmethod
    def _as_record(record: Record) -> bytes:
        return line(json.dumps(asdict(record)), width=RECORD)

    def _iteration(self) -> int:
        found = [os.pread(self._file, 8, place) for place in _ITERATIONS]
        return max((struct.unpack("<Q", f)[0] for f in found if len(f) == 8), default=-1)

    def note(self) -> None:
        """Write down how long the log is and what it holds; called after a commit.

        While another commit or a checkpoint is under way nothing is written: the next call does it.
        """
        with self._lock:
            if self._handle < 0:
                return
            begun = WRITES.begun
            if begun != WRITES.ended:
                return
            record = self._look()
            if WRITES.begun != begun or record == self._record:
                return
            os.pwrite(self._handle, self._as_record(record), 0)
            self._record = record

    def _look(self) -> Record:
        iteration, known = self._iteration(), self._record
        try:
            with self._log.open("rb", buffering=0) as log:
                size = os.fstat(log.fileno()).st_size
                start, crc = known.log_bytes, known.log_crc
                if iteration != known.iteration or size < start:
                    start, crc = 0, 0
                while start < size:
                    piece = os.pread(log.fileno(), min(size - start, CHUNK), start)
                    if not piece:
                        break
                    crc = crc32(piece, crc)
                    start += len(piece)
        except FileNotFoundError:
            start, crc = 0, 0
        return Record(state="open", iteration=iteration, log_bytes=start, log_crc=crc)

    # -- closing -------------------------------------------------------------------------------

    def finish(self) -> None:
        """Seal the closed file; where its log is still there, the next owner looks at it."""
        with self._lock:
            if self._handle < 0:
                return
            try:
                iteration = self._iteration()
                if self._log.exists():
                    return
                size = os.fstat(self._file).st_size
                image = self._image
                if image is None or (image.iteration, image.bytes) != (iteration, size):
                    image = image_of(self._store)
                if image.iteration != iteration:
                    return  # somebody writes; the next one reads it whole
                record = self._as_record(Record(state="closed", iteration=iteration))
                write_bytes_atomically(self._path, record + line(json.dumps(asdict(image))))
            finally:
                os.close(self._handle)
                os.close(self._file)
                self._handle = self._file = -1
