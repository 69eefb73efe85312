"""Reading a store whole, so that DuckDB looks at the checksum of every block that is in use."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

from kiemchung.errors import StoreError
from kiemchung.store.connection import STORE

_REMEDY: Final = "restore a backup with `kiemchung restore FILE`; the damaged file is kept"


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn what the database finds wrong with its file into an error that names the file.

    Raises:
        StoreError: a block or an entry is damaged.
    """
    try:
        yield
    except duckdb.Error as error:
        text = str(error).splitlines()[0]
        raise StoreError(
            f"the store cannot be read: {text}", where=str(path), remedy=_REMEDY
        ) from error


def read_whole(connection: duckdb.DuckDBPyConnection, *, where: Path) -> float:
    """Read every value of every table and return the seconds that it took.

    Blocks that are not in use, and those that hold deleted rows alone, are not looked at: nothing
    that is shown comes from them.

    Raises:
        StoreError: a block is damaged, or a run has not the rows that it was merged with.
    """
    began = time.monotonic()
    with damage_named(where):
        tables = connection.execute(
            "SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns()"
            " WHERE database_name = ? AND table_name IN (SELECT table_name FROM duckdb_tables()"
            " WHERE database_name = ?) GROUP BY 1 ORDER BY 1",
            [STORE, STORE],
        ).fetchall()
        for table, columns in tables:
            listed = ", ".join(f'"{name}"' for name in columns)
            connection.execute(f'SELECT bit_xor(hash({listed})) FROM "{table}"').fetchone()
        if "run" in {name for name, _ in tables}:
            lost = connection.execute(_LOST).fetchone()
            if lost is not None:
                raise StoreError(
                    f"rows of the run {lost[0]} are gone", where=str(where), remedy=_REMEDY
                )
    return time.monotonic() - began


_LOST: Final = (
    "SELECT run_id FROM run AS r WHERE"
    " articles <> (SELECT count(*) FROM run_article AS x WHERE x.run_key = r.run_key)"
    " OR mentions <> (SELECT count(*) FROM run_mention AS x WHERE x.run_key = r.run_key)"
    " OR judgements <> (SELECT count(*) FROM run_judgement AS x WHERE x.run_key = r.run_key)"
    " LIMIT 1"
)
