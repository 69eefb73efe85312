"""How a run's result reaches the store: a folder of Parquet files and a manifest.

The batch never opens the database. It writes ``inbox/<run>/`` under a temporary name, flushes it
to disk and renames it; the owner of the store takes a folder over by renaming it, too, so neither
ever sees the other half way.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kiemchung.domain import (
    Article,
    Batch,
    Document,
    Judgement,
    Mention,
    Passage,
    Run,
    digest,
)
from kiemchung.errors import BatchError
from kiemchung.shards import arrow_schema, fsync_folder, to_table, write_bytes_atomically
from kiemchung.store.sealed import sha256_of

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
QUARANTINE: Final = "quarantine"
REASON: Final = "reason.txt"
TABLES: Final[Mapping[str, type[Any]]] = {
    "run": Run,
    "document": Document,
    "passage": Passage,
    "article": Article,
    "mention": Mention,
    "judgement": Judgement,
}
ROWS_OF_A_GROUP: Final = 10_000
"""Rows of a Parquet row group: a merge in stretches reads the groups that it needs."""
_SAFE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TAKEN: Final = ".merging-"
_MERGED: Final = ".merged-"
_REMEDY: Final = "publish that run again; its shards are still there"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBatch:
    """A batch whose files are all there, unchanged and of the right shape."""

    run_id: str
    tables: Mapping[str, Path | pa.Table]
    """Files of the very columns, read by the database itself; a table where a cast was needed."""


def folder_name(run_id: str) -> str:
    """Return a folder name for ``run_id`` that cannot lead out of the inbox."""
    plain = _SAFE.fullmatch(run_id) and run_id != QUARANTINE
    return run_id if plain else f"run-{digest(run_id)}"


def write_batch(inbox: Path, batch: Batch) -> Path:
    """Put ``batch`` into ``inbox`` and return its folder; see `write_tables`."""
    rows: dict[str, tuple[Any, ...]] = {
        "run": (batch.run,),
        "document": batch.documents,
        "passage": batch.passages,
        "article": batch.articles,
        "mention": batch.mentions,
        "judgement": batch.judgements,
    }
    tables = {name: [to_table(rows[name], cls)] for name, cls in TABLES.items()}
    return write_tables(inbox, batch.run.run_id, tables)


def write_tables(inbox: Path, run_id: str, tables: Mapping[str, Iterable[pa.Table]]) -> Path:
    """Put the tables of a run into ``inbox``, a part in memory at a time; return the folder.

    ``tables`` gives the parts of every table of `TABLES` in their order. A batch of the same run
    that still waits there is replaced as a whole; one that was merged before does no harm, because
    merging is idempotent.
    """
    inbox.mkdir(parents=True, exist_ok=True)
    name = folder_name(run_id)
    for left_over in inbox.glob(f".tmp-{name}-*"):
        shutil.rmtree(left_over, ignore_errors=True)  # of a writer that was killed
    temporary = inbox / f".tmp-{name}-{os.getpid()}"
    temporary.mkdir()
    files = {
        table: _write_parts(temporary / f"{table}.parquet", tables[table], cls)
        for table, cls in TABLES.items()
    }
    manifest = {"format": FORMAT, "run_id": run_id, "files": files}
    text = json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    write_bytes_atomically(temporary / MANIFEST, text.encode("utf-8"))
    fsync_folder(temporary)
    target = inbox / name
    replaced = inbox / f".tmp-{name}-{os.getpid()}-replaced"
    with suppress(FileNotFoundError):  # none waits, or the store's owner has just taken it over
        target.rename(replaced)
    temporary.rename(target)
    fsync_folder(inbox)
    shutil.rmtree(replaced, ignore_errors=True)
    return target


def _write_parts(path: Path, parts: Iterable[pa.Table], cls: type[Any]) -> dict[str, Any]:
    """Write the parts of one table to one file, flushed to disk; return its manifest entry."""
    import pyarrow.parquet as pq

    rows = 0
    schema = arrow_schema(cls)
    with path.open("wb") as out:
        with pq.ParquetWriter(out, schema, compression="zstd") as writer:
            for part in joined(parts, ROWS_OF_A_GROUP):
                rows += part.num_rows
                writer.write_table(part.cast(schema))
        out.flush()
        os.fsync(out.fileno())
    return {"file": path.name, "rows": rows, "sha256": sha256_of(path)}


def joined(parts: Iterable[pa.Table], size: int) -> Iterator[pa.Table]:
    """Yield ``parts`` together, at least ``size`` rows each but for the last."""
    import pyarrow as pa

    waiting: list[pa.Table] = []
    rows = 0
    for part in parts:
        waiting.append(part)
        rows += part.num_rows
        if rows >= size:
            yield pa.concat_tables(waiting)
            waiting, rows = [], 0
    if waiting:
        yield pa.concat_tables(waiting)


def take_over(inbox: Path) -> list[Path]:
    """Rename every waiting batch, so that no writer replaces it under our hands.

    Those that an earlier owner had taken and not finished come first.
    """
    if not inbox.is_dir():
        return []
    for merged in inbox.glob(f"{_MERGED}*"):  # of an owner that was killed while removing it
        shutil.rmtree(merged, ignore_errors=True)
    taken = sorted(inbox.glob(f"{_TAKEN}*"))
    busy = {p.name for p in taken}
    for path in sorted(p for p in inbox.iterdir() if p.is_dir()):
        if path.name.startswith(".") or path.name == QUARANTINE:
            continue
        claimed = inbox / f"{_TAKEN}{path.name}"
        if claimed.name in busy:
            continue  # its older version first; this one at the next call
        try:
            path.rename(claimed)
        except FileNotFoundError:
            continue  # replaced this very moment; the new one comes at the next call
        taken.append(claimed)
    return taken


def waiting(inbox: Path) -> int:
    """Return how many batches wait to be merged."""
    if not inbox.is_dir():
        return 0
    names = [p.name for p in inbox.iterdir() if p.is_dir() and p.name != QUARANTINE]
    return sum(1 for n in names if not n.startswith(".") or n.startswith(_TAKEN))


def _manifest(folder: Path) -> tuple[str, dict[str, Any]]:
    path = folder / MANIFEST
    try:
        parsed = json.loads(path.read_text(encoding="utf-8"))
        run_id, form, files = parsed["run_id"], parsed["format"], parsed["files"]
    except FileNotFoundError as error:
        raise BatchError("no manifest", where=str(path), remedy=_REMEDY) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BatchError(f"unreadable manifest: {error!r}", where=str(path)) from error
    if form != FORMAT:
        raise BatchError(
            f"manifest format {form!r}, this program reads {FORMAT}",
            where=str(path),
            remedy="use the same version of the program on both sides",
        )
    if not isinstance(run_id, str) or not isinstance(files, dict) or set(files) != set(TABLES):
        raise BatchError("the manifest does not name all tables", where=str(path), remedy=_REMEDY)
    return run_id, files


def _checked(path: Path, entry: object, cls: type[Any]) -> Path | pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not isinstance(entry, dict) or set(entry) != {"file", "rows", "sha256"}:
        raise BatchError(
            f"{MANIFEST} has to say file, rows and sha256, and no more",
            where=str(path),
            remedy=_REMEDY,
        )
    if entry["file"] != path.name:
        raise BatchError(f"{MANIFEST} says {entry['file']!r}", where=str(path), remedy=_REMEDY)
    try:
        found = sha256_of(path)
    except OSError as error:
        raise BatchError(f"missing: {error.strerror}", where=str(path), remedy=_REMEDY) from error
    if found != entry["sha256"]:
        raise BatchError(
            f"SHA-256 is {found}, {MANIFEST} says {entry['sha256']}",
            where=str(path),
            remedy=_REMEDY,
        )
    try:
        with pq.ParquetFile(path) as file:
            rows, schema = file.metadata.num_rows, file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise BatchError(f"no Parquet: {error}", where=str(path), remedy=_REMEDY) from error
    if rows != entry["rows"]:
        raise BatchError(
            f"{rows} rows, {MANIFEST} says {entry['rows']}", where=str(path), remedy=_REMEDY
        )
    wanted = arrow_schema(cls)
    if schema.names != wanted.names:
        raise BatchError(
            f"columns {schema.names}, expected {wanted.names}",
            where=str(path),
            remedy="use the same version of the program on both sides",
        )
    if schema.types == wanted.types:
        return path
    try:
        return pq.read_table(path).cast(wanted)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BatchError(f"other column types: {error}", where=str(path)) from error


def read_batch(folder: Path) -> ReadBatch:
    """Check a batch; its rows are read when it is merged.

    Raises:
        BatchError: a file is missing, changed, no Parquet, or of another shape.
    """
    import pyarrow.parquet as pq

    run_id, files = _manifest(folder)
    # The table's own name makes the path: a name in the manifest could lead anywhere.
    tables = {t: _checked(folder / f"{t}.parquet", files[t], c) for t, c in TABLES.items()}
    ids = pq.read_table(folder / "run.parquet", columns=["run_id"]).column(0).to_pylist()
    if ids != [run_id]:
        raise BatchError(
            f"the run table holds {ids}, {MANIFEST} names {run_id!r}",
            where=str(folder),
            remedy=_REMEDY,
        )
    return ReadBatch(run_id=run_id, tables=tables)


def release() -> None:
    """Give back what Arrow keeps; the tables of a batch may have been larger than all the rest."""
    if arrow := sys.modules.get("pyarrow"):
        arrow.default_memory_pool().release_unused()


def discard(folder: Path) -> None:
    """Remove a batch that was merged; killed half way, it is not taken for a damaged one."""
    name = folder.name.removeprefix(_TAKEN)
    merged = folder.with_name(f"{_MERGED}{name}")
    shutil.rmtree(merged, ignore_errors=True)  # of an owner that was killed while removing it
    folder.rename(merged)
    shutil.rmtree(merged, ignore_errors=True)


def quarantine(inbox: Path, folder: Path, reason: str) -> Path:
    """Set a damaged batch aside with the reason in a file; nothing of it is deleted."""
    home = inbox / QUARANTINE
    home.mkdir(parents=True, exist_ok=True)
    name = folder.name.removeprefix(_TAKEN)
    target, number = home / name, 1
    while target.exists():
        number += 1
        target = home / f"{name}-{number}"
    folder.rename(target)
    write_bytes_atomically(target / REASON, (reason + "\n").encode("utf-8"))
    return target
