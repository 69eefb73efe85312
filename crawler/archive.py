"""Fetched pages as WARC, one gzip member a record, read back by offset and checked by digest."""

from __future__ import annotations

import io
import os
from datetime import UTC, datetime
from pathlib import Path

from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from kiemchung.domain import sha256_hex
from kiemchung.errors import PageError

_OF_THE_WIRE = {"content-encoding", "transfer-encoding", "content-length", "set-cookie"}


class Archive:
    """Appends to one WARC file of a run; a record is on disk before its offset is handed out."""

    def __init__(self, folder: Path, run_id: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{run_id}.warc.gz"
        self._file = self._path.open("ab")
        self._writer = WARCWriter(self._file, gzip=True)

    @property
    def name(self) -> str:
        """File name inside the archive folder."""
        return self._path.name

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def write(
        self, url: str, status: int, headers: list[tuple[str, str]], body: bytes, at: datetime
    ) -> int:
        """Append one response, flushed to disk; return the offset of its record.

        A kill between this and the ledger leaves an orphan record, which harms nobody; half a
        record at the end is skipped by readers, because the ledger never points to it.
        """
        offset = self._file.seek(0, os.SEEK_END)
        # The body is stored decoded, so headers that describe the wire are left out.
        kept = [
            (k, v) for k, v in headers
            if k.lower() not in _OF_THE_WIRE
        ]  # fmt: skip
        record = self._writer.create_warc_record(
            url,
            "response",
            payload=io.BytesIO(body),
            http_headers=StatusAndHeaders(f"{status} -", kept, protocol="HTTP/1.1"),
            warc_headers_dict={"WARC-Date": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")},
        )
        self._writer.write_record(record)
        record.raw_stream.close()  # a spooled copy that the writer leaves open
        self._file.flush()
        os.fsync(self._file.fileno())
        return offset


def read(folder: Path, name: str, offset: int, raw_sha256: str) -> bytes:
    """Return the body of one record.

    Raises:
        PageError: the record is gone or its bytes are not those that were fetched.
    """
    path = folder / name
    try:
        with path.open("rb") as file:
            file.seek(offset)
            record = next(iter(ArchiveIterator(file)))
            body: bytes = record.content_stream().read()
    except Exception as error:
        raise PageError("archive_damaged", str(error), where=f"{path}:{offset}") from error
    if sha256_hex(body) != raw_sha256:
        raise PageError("archive_damaged", "the digest differs", where=f"{path}:{offset}")
    return body
