"""Frozen dataclasses to Parquet and back: how stages hand over, and what the inbox is made of.

Scalars, dates and times become columns of their own type, so that a notebook can query a shard;
tuples, dictionaries and nested dataclasses become one JSON column. A shard is written under a
temporary name, flushed to disk and renamed: it is there whole or not at all. Parquet checks nothing
of what it reads, so a shard carries its own SHA-256.

Arrow is imported where it is used: the desk, which imports this for its files, does without its
35 MB.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import re
import types
import typing
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kiemchung.errors import BatchError

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
_TEMPORARY: Final = re.compile(r"\..+\.(\d+)\.tmp")
_MARK: Final = b"kiemchung-sha256"
_SEAL_BYTES: Final = len(_MARK) + 32


@functools.cache
def _optional(annotation: Any) -> tuple[Any, bool]:  # noqa: ANN401  a type hint has no narrower type
    """Return the annotation without ``None``, and whether it had it."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        rest = [a for a in typing.get_args(annotation) if a is not type(None)]
        if len(rest) == 1:
            return rest[0], True
    return annotation, False


def _arrow_type(annotation: Any) -> pa.DataType:  # noqa: ANN401
    import pyarrow as pa

    plain, _ = _optional(annotation)
    scalars = {
        str: pa.string(),
        int: pa.int64(),
        float: pa.float64(),
        bool: pa.bool_(),
        date: pa.date32(),
        datetime: pa.timestamp("us", tz="UTC"),
    }
    return scalars.get(plain, pa.string())  # enums and JSON are text


def arrow_schema(cls: type[Any]) -> pa.Schema:
    """Return the Parquet schema of a dataclass."""
    import pyarrow as pa

    hints = _hints(cls)
    return pa.schema(
        [
            pa.field(f.name, _arrow_type(hints[f.name]), nullable=_optional(hints[f.name])[1])
            for f in dataclasses.fields(cls)
        ]
    )


def _plain(value: Any) -> Any:  # noqa: ANN401
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value) if isinstance(value, StrEnum) else value


def _cell(value: Any) -> Any:  # noqa: ANN401
    if value is None or isinstance(value, bool | int | float | datetime | date):
        return value
    if isinstance(value, str):
        return str(value)
    return json.dumps(_plain(value), ensure_ascii=False, sort_keys=True)


def to_table(rows: Iterable[T], cls: type[T]) -> pa.Table:
    """Return ``rows`` as an Arrow table in their own order."""
    import pyarrow as pa

    schema = arrow_schema(cls)
    listed = list(rows)
    hints = _hints(cls)
    columns = {}
    for name in schema.names:
        values = [getattr(row, name) for row in listed]
        columns[name] = values if hints[name] in _AS_IT_IS else [_cell(v) for v in values]
    return pa.table(columns, schema=schema)


_AS_IT_IS: Final = (str, int, float, bool)


def _hints(cls: type[Any]) -> dict[str, Any]:
    if cls not in _known_hints:  # taken apart once: a row of a shard asks for them
        _known_hints[cls] = typing.get_type_hints(cls)
    return _known_hints[cls]


_known_hints: Final[dict[type[Any], dict[str, Any]]] = {}


def _revive(value: Any, annotation: Any) -> Any:  # noqa: ANN401
    plain, optional = _optional(annotation)
    if value is None and optional:
        return None
    if plain in _AS_IT_IS:
        return value
    origin = typing.get_origin(plain)
    if origin is tuple:
        item = typing.get_args(plain)[0]
        return tuple(_revive(v, item) for v in value)
    if origin is dict:
        item = typing.get_args(plain)[1]
        return {key: _revive(v, item) for key, v in value.items()}
    if dataclasses.is_dataclass(plain) and isinstance(plain, type):
        hints = _hints(plain)
        return plain(**{key: _revive(v, hints[key]) for key, v in value.items()})
    if plain is datetime:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return moment.astimezone(UTC)
    if plain is date:
        return date.fromisoformat(value) if isinstance(value, str) else value
    if isinstance(plain, type) and issubclass(plain, StrEnum):
        return plain(value)
    return value


def from_table(table: pa.Table, cls: type[T]) -> list[T]:
    """Return the rows of ``table`` as values of ``cls``; the inverse of `to_table`."""
    hints = _hints(cls)
    columns = []
    for name in table.column_names:
        cells = table.column(name).to_pylist()
        hint = hints[name]
        if hint in _AS_IT_IS:
            columns.append(cells)
        elif _is_json(hint):
            columns.append([None if c is None else _revive(json.loads(c), hint) for c in cells])
        else:
            columns.append([_revive(c, hint) for c in cells])
    names = table.column_names
    return [cls(**dict(zip(names, values, strict=True))) for values in zip(*columns, strict=True)]


@functools.cache
def _is_json(hint: Any) -> bool:  # noqa: ANN401
    plain = _optional(hint)[0]
    return typing.get_origin(plain) in (tuple, dict) or dataclasses.is_dataclass(plain)


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` so that ``path`` is never seen half written, also after a power cut."""
    write_pieces_atomically(path, (data,))


def write_pieces_atomically(path: Path, pieces: Iterable[bytes]) -> str:
    """Write ``pieces`` one behind the other, as `write_bytes_atomically` does; return the SHA-256.

    What is made while it is written never stands in memory as a whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    hasher = hashlib.sha256()
    try:
        with temporary.open("wb") as out:
            for piece in pieces:
                hasher.update(piece)
                out.write(piece)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_folder(path.parent)
    return hasher.hexdigest()


def fsync_folder(folder: Path) -> None:
    """Make what was renamed or removed in ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_leftovers(folder: Path, *, below: bool = True) -> list[Path]:
    """Remove what writers that were killed have left in ``folder`` and ``below``; return the files.

    A temporary file bears the id of its process, so that of a living one stays.
    """
    gone = []
    for path in folder.rglob(".*.tmp") if below else folder.glob(".*.tmp"):
        found = _TEMPORARY.fullmatch(path.name)
        if found and not _alive(int(found[1])):
            path.unlink(missing_ok=True)
            gone.append(path)
    return gone


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True


def sealed(data: bytes) -> bytes:
    """Return a Parquet file with the hash of itself between its last page and its footer.

    A footer names its pages by their place from the start of the file, and readers find the footer
    from the end; so whatever reads Parquet reads this, and nothing of it has to be written twice.
    """
    at = _footer(data)
    digest = hashlib.sha256(data).digest()
    return data[:at] + _MARK + digest + data[at:]


def is_sealed(data: bytes) -> bool:
    """Return whether a Parquet file carries the hash of itself, whatever it says.

    Raises:
        ValueError: it is no Parquet file.
    """
    start = _footer(data) - _SEAL_BYTES
    return start >= 0 and data[start : start + len(_MARK)] == _MARK


def check_seal(data: bytes | memoryview) -> None:
    """Refuse a Parquet file that is not as `sealed` made it.

    Raises:
        ValueError: it is cut short, carries no hash, or another one.
    """
    at = _footer(data)
    start = at - _SEAL_BYTES
    if start < 0 or data[start : start + len(_MARK)] != _MARK:
        raise ValueError("it carries no hash of itself, or a damaged one")
    hasher = hashlib.sha256(data[:start])
    hasher.update(data[at:])
    if hasher.digest() != data[start + len(_MARK) : at]:
        raise ValueError("not as it was written: its SHA-256 differs")


def _footer(data: bytes | memoryview) -> int:
    """Return where the footer of a Parquet file begins."""
    if len(data) < 12 or data[-4:] != b"PAR1":
        raise ValueError("it does not end as a Parquet file does")
    at = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    if at < 4:
        raise ValueError("its footer is longer than the file")
    return at


def write_shard(path: Path, rows: Sequence[T], cls: type[T]) -> None:
    """Write ``rows`` to one Parquet file with the hash of itself, whole or not at all."""
    write_table(path, to_table(rows, cls))


def read_table(path: Path, cls: type[Any], *, columns: Sequence[str] | None = None) -> pa.Table:
    """Return one Parquet file as an Arrow table, whole or some ``columns`` of it.

    Raises:
        BatchError: the file is not as it was written, or holds other columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = arrow_schema(cls).names if columns is None else list(columns)
    try:
        data = path.read_bytes()
        check_seal(data)
        table = pq.read_table(pa.BufferReader(data), columns=names)
        if table.column_names != names:
            raise ValueError(f"columns {table.column_names}, expected {names}")
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise _unreadable(path, cls, error) from error
    return table


def read_shard(path: Path, cls: type[T]) -> list[T]:
    """Return the rows of one Parquet file that `write_shard` wrote.

    Raises:
        BatchError: the file is not as it was written, or holds other columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        data = path.read_bytes()
        check_seal(data)
        return from_table(pq.read_table(pa.BufferReader(data)), cls)
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(path, cls, error) from error


def _unreadable(path: Path, cls: type[Any], error: Exception) -> BatchError:
    return BatchError(
        f"not a readable shard of {cls.__name__}: {error}",
        where=str(path),
        remedy="delete the file and start the stage again; it is made anew",
    )


def write_table(path: Path, table: pa.Table) -> None:
    """Write an Arrow table to one Parquet file with the hash of itself, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_bytes_atomically(path, sealed(sink.getvalue().to_pybytes()))
