"""Fetched pages as WARC 1.1, one gzip member a record, read back by offset and checked by digest.

Pages are private working material: the folder is readable by its owner only, and `expire` removes
what is older than the operator keeps it.
"""

from __future__ import annotations

import io
import os
import re
import struct
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import BinaryIO, Final

from isal import igzip, isal_zlib
from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from kiemchung import __version__
from kiemchung.domain import sha256_hex
from kiemchung.errors import PageError
from kiemchung.tombstones import FORGOTTEN

MAX_FILE_BYTES: Final = 1_000_000_000
"""A file is closed above this size and the next one begun; the WARC guidelines' own figure."""
_PIECE: Final = 1 << 16
_LEVEL: Final = 2  # of isal: a seventh of the time of zlib's level 6 for 4 % more bytes
_OF_THE_WIRE: Final = {"content-encoding", "transfer-encoding", "content-length", "set-cookie"}
_NAME: Final = re.compile(r"(?P<run>.+)-(?P<number>\d{5})\.warc\.gz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A record read back."""

    body: bytes
    headers: tuple[tuple[str, str], ...]


class Archive:
    """Appends to the WARC files of a run; a record is on disk before its offset is handed out."""

    def __init__(self, folder: Path, run_id: str, *, max_bytes: int = MAX_FILE_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._folder = folder
        self._run_id = run_id
        self._max = max_bytes
        self._number = max(
            (int(m["number"]) for m in _files(folder) if m["run"] == run_id), default=0
        )
        self._open()

    def _open(self) -> None:
        self._path = self._folder / f"{self._run_id}-{self._number:05d}.warc.gz"
        self._file = self._path.open("ab")
        if self._file.tell() == 0:
            writer, out = _writer()
            facts = {"software": f"kiemchung/{__version__}", "format": "WARC file version 1.1"}
            writer.write_record(writer.create_warcinfo_record(self._path.name, facts))
            self._file.write(_member(out.getvalue()))

    @property
    def name(self) -> str:
        """Name of the file that is being written."""
        return self._path.name

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def write(
        self,
        url: str,
        status: int,
        headers: list[tuple[str, str]],
        body: bytes,
        at: datetime,
        raw_sha256: str,
    ) -> tuple[str, int]:
        """Append one response, flushed to disk; return the file's name and the record's offset.

        A kill between this and the ledger leaves an orphan record, which harms nobody; half a
        record at the end is skipped by readers, because the ledger never points to it.
        """
        if self._file.tell() > self._max:
            self._file.close()
            self._number += 1
            self._open()
        offset = self._file.seek(0, os.SEEK_END)
        # The body is stored decoded, so headers that describe the wire are left out.
        kept = [
            (k, v) for k, v in headers
            if k.lower() not in _OF_THE_WIRE
        ]  # fmt: skip
        writer, out = _writer()
        record = writer.create_warc_record(
            url,
            "response",
            payload=io.BytesIO(body),
            length=len(body),
            http_headers=StatusAndHeaders(f"{status} -", kept, protocol="HTTP/1.1"),
            warc_headers_dict={
                "WARC-Date": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "WARC-Payload-Digest": f"sha256:{raw_sha256}",
            },
        )
        writer.write_record(record)
        self._file.write(_member(out.getvalue()))
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._path.name, offset


def _writer() -> tuple[WARCWriter, io.BytesIO]:
    out = io.BytesIO()
    return WARCWriter(out, gzip=False, warc_version="1.1"), out


def _member(data: bytes) -> bytes:
    return igzip.compress(data, compresslevel=_LEVEL, mtime=0)


def _whole_member(file: BinaryIO) -> tuple[bytes, int]:
    """Return what one gzip member holds, and how many bytes of the file it takes.

    Its checksum is compared, which covers the headers, too.

    Raises:
        ValueError: the member is cut short.
        isal_zlib.error: it is damaged.
    """
    inflate = isal_zlib.decompressobj(wbits=31)
    pieces = []
    taken = 0
    while not inflate.eof:
        data = file.read(_PIECE)
        if not data:
            raise ValueError("the record is cut short")
        pieces.append(inflate.decompress(data))
        taken += len(data)
    return b"".join(pieces), taken - len(inflate.unused_data)


def _files(folder: Path) -> list[re.Match[str]]:
    return [m for p in sorted(folder.glob("*.warc.gz")) if (m := _NAME.fullmatch(p.name))]


def read(folder: Path, name: str, offset: int, raw_sha256: str) -> Stored:
    """Return the body and headers of one record.

    Raises:
        PageError: ``forgotten`` where it was withdrawn, ``archive_expired`` where the file was
            removed after its time, ``archive_damaged`` where the record is gone or its bytes are
            not those fetched.
    """
    path = folder / name
    if (name, offset) in forgotten(folder):
        raise PageError(FORGOTTEN, "withdrawn and overwritten", where=f"{path}:{offset}")
    if not path.exists() and name in expired(folder):
        raise PageError("archive_expired", "removed after its time", where=str(path))
    try:
        with path.open("rb") as file:
            file.seek(offset)
            whole, _ = _whole_member(file)
            record = next(iter(ArchiveIterator(io.BytesIO(whole))))
            body: bytes = record.content_stream().read()
            headers = tuple((str(k), str(v)) for k, v in record.http_headers.headers)
    except Exception as error:
        raise PageError("archive_damaged", str(error), where=f"{path}:{offset}") from error
    if sha256_hex(body) != raw_sha256:
        raise PageError("archive_damaged", "the digest differs", where=f"{path}:{offset}")
    return Stored(body=body, headers=headers)


# -- withdrawn -------------------------------------------------------------------------------------

_FORGOTTEN: Final = "forgotten.txt"
_STUB: Final = (
    b"WARC/1.1\r\nWARC-Type: metadata\r\nWARC-Record-ID: <urn:kiemchung:forgotten>\r\n"
    b"WARC-Date: 2000-01-01T00:00:00Z\r\nContent-Length: 0\r\n\r\n\r\n\r\n"
)
_WITH_COMMENT: Final = 0x10  # flag of RFC 1952: a comment of any length stands in the header


def forgotten(folder: Path) -> dict[tuple[str, int], int]:
    """Return the length of every record that was withdrawn, by its file and offset."""
    path = folder / _FORGOTTEN
    if not path.is_file():
        return {}
    rows = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return {(row[0], int(row[1])): int(row[2]) for row in rows if len(row) == 3}


def forget(folder: Path, name: str, offset: int) -> bool:
    """Overwrite one record in its place with an empty one of the same length.

    The records behind it keep their offsets, and the file stays a WARC. Length and place are
    written down first, so a repeat after a crash finishes what was begun. Returns whether there
    was something to overwrite: a file that `expire` removed has nothing.
    """
    path = folder / name
    if not path.is_file():
        return False
    length = forgotten(folder).get((name, offset))
    if length is None:
        length = _member_length(path, offset)
        with (folder / _FORGOTTEN).open("a", encoding="utf-8") as file:
            file.write(f"{name} {offset} {length}\n")
            file.flush()
            os.fsync(file.fileno())
    stub = _stub(length)
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(stub)
        file.flush()
        os.fsync(file.fileno())
    return True


def _member_length(path: Path, offset: int) -> int:
    """Return the bytes of the gzip member at ``offset``."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return _whole_member(file)[1]
    except (ValueError, isal_zlib.error) as error:  # type: ignore[misc]  # its stub has no class
        raise PageError("archive_damaged", str(error), where=f"{path}:{offset}") from error


def _stub(length: int) -> bytes:
    """Return a gzip member of exactly ``length`` bytes that holds an empty record."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(_STUB) + packer.flush()
    tail = struct.pack("<II", zlib.crc32(_STUB), len(_STUB))
    padding = length - (10 + 1 + len(body) + len(tail))
    if padding < 0:  # shorter than any record with headers; nothing may be read there
        return b"\0" * length
    head = struct.pack("<BBBBIBB", 0x1F, 0x8B, 8, _WITH_COMMENT, 0, 0, 255)
    return head + b"x" * padding + b"\0" + body + tail


_EXPIRED: Final = "expired.txt"


def expired(folder: Path) -> frozenset[str]:
    """Return the names of the files that `expire` removed."""
    path = folder / _EXPIRED
    return frozenset(path.read_text(encoding="utf-8").split()) if path.is_file() else frozenset()


def expire(folder: Path, *, before: date, keep: Collection[str] = ()) -> list[str]:
    """Remove the files last written before ``before``, and return their names.

    Files of the runs in ``keep`` stay. The name is noted first, so that a page that is asked for
    later is known to have been removed, not lost.
    """
    gone = []
    for match in _files(folder):
        path = folder / match.string
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
        if written >= before or match["run"] in keep:
            continue
        with (folder / _EXPIRED).open("a", encoding="utf-8") as file:
            file.write(f"{path.name}\n")
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
        gone.append(path.name)
    return gone
