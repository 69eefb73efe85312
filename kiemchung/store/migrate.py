"""Numbered SQL files, each run once, in one transaction, with a checkpoint behind it.

A migration never gives an existing table a function as default (``ALTER ... DEFAULT now()``): with
DuckDB 1.5 a process killed before the checkpoint leaves a file that cannot be opened again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import Final

import duckdb

from kiemchung.domain import sha256_hex
from kiemchung.errors import StoreVersionError
from kiemchung.store.connection import checkpoint, transaction

_NAME: Final = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step of the schema."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Hash of the SQL text, so that an edited step is noticed."""
        return sha256_hex(self.sql.encode("utf-8"))


def shipped() -> tuple[Migration, ...]:
    """Return the migrations of this program in their order, numbered from 1 without a gap."""
    folder = resources.files("kiemchung.store") / "migrations"
    found = []
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        match = _NAME.fullmatch(entry.name)
        if match:
            text = entry.read_text(encoding="utf-8")
            found.append(Migration(number=int(match[1]), name=entry.name, sql=text))
    if [m.number for m in found] != list(range(1, len(found) + 1)):
        raise StoreVersionError(
            f"migrations {[m.name for m in found]} are not numbered without a gap",
            where="kiemchung/store/migrations",
            remedy="install the program again",
        )
    return tuple(found)


def applied(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, str, str]]:
    """Return number, name and hash of what this file has been through."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_version ("
        "number BIGINT NOT NULL, name VARCHAR NOT NULL, sha256 VARCHAR NOT NULL,"
        " applied_at TIMESTAMPTZ NOT NULL)"
    )
    rows = connection.execute("SELECT number, name, sha256 FROM schema_version ORDER BY number")
    return [(int(n), str(name), str(sha)) for n, name, sha in rows.fetchall()]


def pending(
    connection: duckdb.DuckDBPyConnection,
    steps: Sequence[Migration] | None = None,
    *,
    where: str = "",
) -> list[Migration]:
    """Return the steps that this file has not been through.

    Raises:
        StoreVersionError: the file is newer than this program, or a step was edited after it ran.
    """
    known = shipped() if steps is None else steps
    done = applied(connection)
    by_number = {m.number: m for m in known}
    for number, name, sha256 in done:
        step = by_number.get(number)
        if step is None:
            raise StoreVersionError(
                f"the store has schema {number} ({name}), this program knows {len(known)}",
                where=where,
                remedy="use the newer program, or restore a backup made by this one",
            )
        if step.sha256 != sha256:
            raise StoreVersionError(
                f"migration {name} was changed after this store went through it",
                where=where,
                remedy="put the file back as released; a change of the schema is a new migration",
            )
    return [step for step in known if step.number not in {number for number, _, _ in done}]


def migrate(
    connection: duckdb.DuckDBPyConnection,
    steps: Sequence[Migration] | None = None,
    *,
    where: str = "",
    before_checkpoint: Callable[[Migration], None] | None = None,
) -> list[str]:
    """Bring the schema up to date and return the names of the steps run.

    ``before_checkpoint`` is called between commit and checkpoint, where a kill hurts most; tests
    use it.

    Raises:
        StoreVersionError: the file is newer than this program, or a step was edited after it ran.
    """
    ran = []
    for step in pending(connection, steps, where=where):
        with transaction(connection):
            connection.execute(step.sql)
            connection.execute(
                "INSERT INTO schema_version VALUES (?, ?, ?, ?)",
                [step.number, step.name, step.sha256, datetime.now(UTC)],
            )
        if before_checkpoint is not None:
            before_checkpoint(step)
        checkpoint(connection)
        ran.append(step.name)
    return ran
