"""How a stage hands over: shards in a folder, and the list that says that all of them are there.

A shard of analyse and judge belongs to one shard of the stage before, so every stage is read and
made a shard at a time, whatever the size of the week.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from kiemchung.errors import AccountingError
from kiemchung.shards import read_shard, read_table, write_bytes_atomically

T = TypeVar("T")


def tidy(folder: Path, kept: Iterable[Path]) -> None:
    """Remove shards that no longer belong to the stage's input, and what a killed worker left."""
    wanted = set(kept)
    for path in (*folder.glob("*.parquet"), *folder.glob(".*.tmp")):
        if path not in wanted:
            path.unlink(missing_ok=True)


def finish(folder: Path, shards: Sequence[Path]) -> None:
    """Write the list of shards; a stage is complete if and only if this file is there."""
    folder.mkdir(parents=True, exist_ok=True)
    tidy(folder, shards)
    names = json.dumps([path.name for path in shards], indent=1)
    write_bytes_atomically(folder / "stage.json", names.encode("utf-8"))


def complete(folder: Path) -> bool:
    """Return whether the stage in ``folder`` has finished."""
    return (folder / "stage.json").is_file()


def shards_of(folder: Path, kind: str = "") -> list[Path]:
    """Return the shards of a finished stage in order, of one ``kind`` where it has several.

    Raises:
        AccountingError: the stage has not finished or a shard it lists is gone.
    """
    if not complete(folder):
        raise AccountingError(
            f"stage {folder.name} has not finished",
            where=str(folder),
            remedy="run `kiemchung weekly` with the same arguments; it goes on where it stopped",
        )
    names = json.loads((folder / "stage.json").read_text(encoding="utf-8"))
    paths = [folder / name for name in names if not kind or f".{kind}." in name]
    for path in paths:
        if not path.is_file():
            raise AccountingError(
                "a finished shard is gone",
                where=str(path),
                remedy="delete stage.json beside it and run the week again",
            )
    return paths


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
