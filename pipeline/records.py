"""JSONL in and out for the commands that take a file; errors name the line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from kiemchung.errors import RecordError


def parse_line(line: str, where: str, fields: Sequence[str]) -> dict[str, str]:
    """Return the text fields of one line; ``id`` may be a number and is kept as text.

    Raises:
        RecordError: no JSON object, or a field is missing or no text.
    """
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise RecordError(
            f"not JSON: {error.msg} at column {error.colno}",
            where=where,
            remedy="one object a line",
        ) from error
    except (RecursionError, ValueError) as error:  # nested too deep, or a number of 5,000 digits
        raise RecordError(f"not JSON that can be read: {error}", where=where) from error
    if not isinstance(row, dict):
        raise RecordError("not a JSON object", where=where, remedy="one object a line")
    values = {}
    for name in fields:
        value = row.get(name)
        if name == "id" and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise RecordError(
                f"field {name!r} is missing or no text", where=where, remedy=f"give {list(fields)}"
            )
        values[name] = value
    return values


def read_records(path: Path, fields: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield the records of a JSONL file; blank lines are skipped.

    Raises:
        RecordError: the file cannot be read, is not UTF-8 or a line cannot be used.
    """
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield parse_line(line, f"{path}:{number}", fields)
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(
            f"cannot be read: {error}", where=str(path), remedy="give a UTF-8 JSONL file"
        ) from error


def to_json(value: object, *, indent: int | None = None) -> str:
    """Return JSON with its letters readable, and only lone surrogates escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=str)
    return re.sub("[\ud800-\udfff]", lambda m: f"\\u{ord(m[0]):04x}", text)


def write_records(out: IO[str], rows: Iterable[object]) -> int:
    """Write one JSON object a line; return how many.

    A lone surrogate, which no UTF-8 file can hold, is written as its JSON escape.
    """
    count = 0
    for row in rows:
        out.write(to_json(row) + "\n")
        count += 1
    return count
