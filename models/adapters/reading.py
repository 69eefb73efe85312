"""Rows of CSV, JSON lines, JSON and Parquet, each with its place in the file."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from kiemchung.errors import RecordError

T = TypeVar("T")
_WRONG: Final = (ValueError, KeyError, TypeError, AttributeError)
"""What a line raises that is JSON and no pair."""


def rows_of(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every row with ``file:line`` (CSV, JSON lines) or ``file, record key`` before it.

    A JSON file holds a list of records or a dictionary of them; the ending says what a file is.

    Raises:
        RecordError: the file cannot be read, its ending is unknown, or a row is no record.
    """
    reader = {
        ".csv": _csv, ".tsv": _csv, ".jsonl": _jsonl, ".json": _json, ".parquet": _parquet,
    }.get(path.suffix.lower())  # fmt: skip
    if reader is None:
        raise RecordError(
            f"cannot tell what {path.suffix or 'a file without ending'} is",
            where=str(path),
            remedy="csv, tsv, jsonl, json or parquet",
        )
    try:
        yield from reader(path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecordError(f"cannot be read: {error}", where=str(path)) from error


def pairs_of(path: Path, make: Callable[[str, dict[str, Any]], T], *, remedy: str) -> Iterator[T]:
    """Yield what ``make`` makes of each line of a JSONL file, given its place and its record.

    A line ends with a newline and nothing else: U+2028 and U+0085, which JSON leaves as they are,
    may stand in a claim. Blank lines are passed over. The file may be called anything.

    Raises:
        RecordError: the file cannot be read, or a line is no pair; names file and line.
    """
    try:
        for where, row in _jsonl(path, remedy=remedy):
            try:
                yield make(where, row)
            except _WRONG as error:
                raise RecordError(f"not a pair: {error!r}", where=where, remedy=remedy) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"cannot be read: {error}", where=str(path)) from error


def _csv(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    before = csv.field_size_limit(1 << 24)  # an article in one cell is longer than the default
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            sign = "\t" if path.suffix.lower() == ".tsv" else ","
            rows = csv.DictReader(text, delimiter=sign, strict=True)
            at = 2  # the line on which a record begins, which quoted breaks push down
            for row in rows:
                where = f"{path}:{at}"
                if None in row or None in row.values():
                    raise RecordError("more or fewer cells than the header", where=where)
                yield where, row
                at = rows.line_num + 1
    finally:
        csv.field_size_limit(before)


def _record(value: object, where: str, remedy: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RecordError(f"a {type(value).__name__}, not a record", where=where, remedy=remedy)
    return value


def _jsonl(path: Path, *, remedy: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="\n") as lines:
        for number, line in enumerate(lines, start=1):
            where = f"{path}:{number}"
            if line.strip():
                try:
                    value = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise RecordError(f"no JSON: {error}", where=where, remedy=remedy) from error
                yield where, _record(value, where, remedy)


def _json(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        body = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise RecordError(f"no JSON: {error}", where=str(path)) from error
    if isinstance(body, dict):
        for key, value in body.items():
            where = f"{path}, record {key!r}"
            yield where, {"id": key} | _record(value, where)
    elif isinstance(body, list):
        for number, value in enumerate(body, start=1):
            where = f"{path}, record {number}"
            yield where, _record(value, where)
    else:
        raise RecordError("neither a list nor a dictionary of records", where=str(path))


def _parquet(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        number = 0
        for batch in pq.ParquetFile(path).iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield f"{path}, row {number}", row
    except pa.ArrowException as error:
        raise RecordError(f"no Parquet: {error}", where=str(path)) from error
