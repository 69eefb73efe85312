"""Frozen dataclasses to Parquet and back: how stages hand over, and what the inbox is made of.

Scalars, dates and times become columns of their own type, so that a notebook can query a shard;
tuples, dictionaries and nested dataclasses become one JSON column. A shard is written under a
temporary name, flushed to disk and renamed: it is there whole or not at all.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import types
import typing
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from kiemchung.errors import BatchError

T = TypeVar("T")


@functools.cache
def _optional(annotation: Any) -> tuple[Any, bool]:  # noqa: ANN401  a type hint has no narrower type
    """Return the annotation without ``None``, and whether it had it."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        rest = [a for a in typing.get_args(annotation) if a is not type(None)]
        if len(rest) == 1:
            return rest[0], True
    return annotation, False


def _arrow_type(annotation: Any) -> pa.DataType:  # noqa: ANN401
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
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_shard(path: Path, rows: Sequence[T], cls: type[T]) -> None:
    """Write ``rows`` to one Parquet file, whole or not at all."""
    write_table(path, to_table(rows, cls))


def read_table(path: Path, cls: type[Any], *, columns: Sequence[str] | None = None) -> pa.Table:
    """Return one Parquet file as an Arrow table, whole or some ``columns`` of it.

    Raises:
        BatchError: the file is damaged or holds other columns.
    """
    names = arrow_schema(cls).names if columns is None else list(columns)
    try:
        table = pq.read_table(path, columns=names)
        if table.column_names != names:
            raise ValueError(f"columns {table.column_names}, expected {names}")
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise _unreadable(path, cls, error) from error
    return table


def read_shard(path: Path, cls: type[T]) -> list[T]:
    """Return the rows of one Parquet file.

    Raises:
        BatchError: the file is damaged or holds other columns.
    """
    try:
        return from_table(pq.read_table(path), cls)
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(path, cls, error) from error


def _unreadable(path: Path, cls: type[Any], error: Exception) -> BatchError:
    return BatchError(
        f"not a readable shard of {cls.__name__}: {error}",
        where=str(path),
        remedy="delete the file and start the stage again; it is made anew",
    )


def write_table(path: Path, table: pa.Table) -> None:
    """Write an Arrow table to one Parquet file, whole or not at all."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_bytes_atomically(path, sink.getvalue().to_pybytes())
