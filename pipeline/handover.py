"""How a stage hands over: shards in a folder, and the list that says that all of them are there.

A shard of analyse and judge belongs to one shard of the stage before, so every stage is read and
made a shard at a time, whatever the size of the week.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import pyarrow as pa

from kiemchung.errors import AccountingError, BatchError, DamagedFileError
from kiemchung.sealed import read_sealed, write_sealed
from kiemchung.shards import is_sealed, read_shard, read_table, sealed, write_bytes_atomically
from pipeline.code import program_version

T = TypeVar("T")
MADE_WITH: Final = "made_with.json"
_AGAIN: Final = "delete stage.json beside it and run the week again"


def tidy(folder: Path, kept: Iterable[Path]) -> None:
    """Remove shards that no longer belong to the stage's input, and what a killed worker left."""
    wanted = set(kept)
    for path in (*folder.glob("*.parquet"), *folder.glob(".*.tmp")):
        if path not in wanted:
            path.unlink(missing_ok=True)


def finish(folder: Path, shards: Sequence[Path], **made: object) -> None:
    """Write the list of shards; a stage is complete if and only if this file is there.

    Beside it stands what the shards were made with: a stage may be run alone, by another program.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tidy(folder, shards)
    write_sealed(folder / MADE_WITH, made | {"program": program_version()})
    names = json.dumps([path.name for path in shards], indent=1)
    write_bytes_atomically(folder / "stage.json", names.encode("utf-8"))


def complete(folder: Path) -> bool:
    """Return whether the stage in ``folder`` has finished."""
    return (folder / "stage.json").is_file()


def made_with(folder: Path) -> dict[str, Any]:
    """Return what the shards of a stage were made with; nothing for one of an earlier version.

    Raises:
        DamagedFileError: the file is not as it was written.
    """
    path = folder / MADE_WITH
    return read_sealed(path, remedy=_AGAIN) if path.is_file() else {}


def shards_of(folder: Path, kind: str = "") -> list[Path]:
    """Return the shards of a finished stage in order, of one ``kind`` where it has several.

    Raises:
        AccountingError: the stage has not finished or a shard it lists is gone.
        DamagedFileError: the list is not as it was written.
        BatchError: a shard of an earlier version is no Parquet file.
    """
    if not complete(folder):
        raise AccountingError(
            f"stage {folder.name} has not finished",
            where=str(folder),
            remedy="run `kiemchung weekly` with the same arguments; it goes on where it stopped",
        )
    listed = folder / "stage.json"
    try:
        names = json.loads(listed.read_text(encoding="utf-8"))
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            raise ValueError("no list of names")
    except ValueError as error:
        raise DamagedFileError(
            f"cannot be used: {error}", where=str(listed), remedy=_AGAIN
        ) from error
    every = [folder / name for name in names]
    for path in every:
        if not path.is_file():
            raise AccountingError(
                "a finished shard is gone, or stage.json, which lists it, is damaged",
                where=str(path),
                remedy=_AGAIN,
            )
    if not (folder / MADE_WITH).is_file():
        _adopt(folder, every)
    return [path for path in every if not kind or f".{kind}." in path.name]


def _adopt(folder: Path, shards: Iterable[Path]) -> None:
    """Seal the shards of a version that did not: their pages may be gone, so none is made anew.

    What they were made with is not known, and stays so.

    Raises:
        BatchError: one is no Parquet file.
    """
    for path in shards:
        data = path.read_bytes()
        try:
            if not is_sealed(data):
                write_bytes_atomically(path, sealed(data))
        except ValueError as error:
            raise BatchError(str(error), where=str(path), remedy=_AGAIN) from error
    write_sealed(folder / MADE_WITH, {"program": ""})


def rows_of(folder: Path, cls: type[T], kind: str = "") -> Iterator[T]:
    """Yield the rows of a finished stage in order, one shard in memory at a time."""
    for path in shards_of(folder, kind):
        yield from read_shard(path, cls)


def tables_of(
    folder: Path, cls: type[Any], kind: str = "", *, columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """Yield the shards of a finished stage as Arrow tables, whole or some columns of them."""
    for path in shards_of(folder, kind):
        yield read_table(path, cls, columns=columns)
