"""What people concluded, as a file that needs no database: written daily, read into an empty store.

The keys of a store mean nothing elsewhere, so each row names its claim, judgement, passage and
person by their ids; in a store of the same runs those ids are the same. Claims' texts, passwords
and sessions are not in it. A file is one JSON object a line: the head with the number of rows of
every table, then the rows.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb

from kiemchung.errors import StoreError
from kiemchung.store.accounts import hash_password
from kiemchung.store.connection import transaction
from kiemchung.store.sealed import check_seal, seal, side_file
from kiemchung.store.store import Store

FORMAT: Final = 1
TABLES: Final = (
    "account", "blind_choice", "choice_correction", "choice_exception", "review",
    "review_correction", "review_citation", "review_copy", "double_review", "adjudication",
    "reopening", "correction",
)  # fmt: skip
"""In this order: what a row names comes before it."""
_LEFT_OUT: Final = {"password_hash", "must_change", "failures", "locked_until", "changed_at"}
_NAMED: Final[Mapping[str, tuple[str, str, str]]] = {
    "mention_key": ("mention", "mention", "[x.mention_id]"),
    "judgement_key": ("judgement", "judgement", "[x.judgement_id, x.content_sha256]"),
    "passage_key": ("passage", "passage", "[x.passage_id, x.sha256]"),
    "account_key": ("account", "account", "[x.name]"),
}
"""Column: its name in the file, the table it points to, and what names a row there."""
_FILE: Final = re.compile(r"reviews-(\d{4}-\d\d-\d\d)\.jsonl")
_REMEDY: Final = "merge the runs of then first: `kiemchung weekly` for their weeks, or a backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Insured:
    """What a file holds: rows by table, and the highest number of a review."""

    path: Path
    written_at: datetime
    rows: Mapping[str, int]
    last_review: int


def _columns(cursor: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    rows = cursor.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ?"
        " AND database_name = current_database() ORDER BY column_index",
        [table],
    ).fetchall()
    return {str(name): str(kind) for name, kind in rows}


def _select(cursor: duckdb.DuckDBPyConnection, table: str) -> str:
    chosen, joins = [], []
    for number, name in enumerate(_columns(cursor, table)):
        if table == "account":
            if name not in _LEFT_OUT | {"account_key"}:
                chosen.append(f"t.{name}")
        elif name in _NAMED:
            label, other, ids = _NAMED[name]
            chosen.append(
                f"CASE WHEN t.{name} IS NULL THEN NULL ELSE {ids.replace('x.', f'x{number}.')} END"
                f" AS {label}"
            )
            joins.append(f" LEFT JOIN {other} AS x{number} ON x{number}.{name} = t.{name}")
        else:
            chosen.append(f"t.{name}")
    order = next(iter(_columns(cursor, table)))
    return f"SELECT {', '.join(chosen)} FROM {table} AS t{''.join(joins)} ORDER BY t.{order}"


def write(store: Store, path: Path) -> Insured:
    """Write everything that people concluded to ``path``, whole or not at all, and seal it.

    Raises:
        StoreError: the database failed.
        OSError: ``path`` cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    temporary = path.with_name(f".{path.name}.tmp")
    now = datetime.now(UTC)

    def copy() -> tuple[dict[str, int], int]:
        with store._cursor() as cursor, transaction(cursor), temporary.open("wb") as out:
            rows = {t: _one(cursor, f"SELECT count(*) FROM {t}") for t in TABLES}
            last = _one(cursor, "SELECT coalesce(max(review_key), 0) FROM review")
            head = {"format": FORMAT, "written_at": now, "rows": rows, "last_review": last}
            out.write(_line(head))
            for table in TABLES:
                for row in _rows(cursor, _select(cursor, table)):
                    out.write(_line({"table": table} | row))
            out.flush()
            os.fsync(out.fileno())
        return rows, last

    try:
        rows, last = store._with_room(copy)  # behind a merge the memory of daily use may be taken
        temporary.chmod(0o600)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    seal(path)
    return Insured(path=path, written_at=now, rows=rows, last_review=last)


def _one(cursor: duckdb.DuckDBPyConnection, query: str) -> int:
    (found,) = cursor.execute(query).fetchone() or (0,)
    return int(found)


def _rows(cursor: duckdb.DuckDBPyConnection, query: str) -> Iterator[dict[str, Any]]:
    done = cursor.execute(query)
    names = [column[0] for column in done.description or ()]
    while part := done.fetchmany(2_000):
        for row in part:
            yield dict(zip(names, row, strict=True))


def _line(value: Mapping[str, Any]) -> bytes:
    def plain(one: object) -> str:
        return one.isoformat() if isinstance(one, datetime) else str(one)

    return (json.dumps(value, ensure_ascii=False, default=plain) + "\n").encode("utf-8")


# -- every day -------------------------------------------------------------------------------------


def kept(folder: Path) -> list[tuple[date, Path]]:
    """Return the daily files, oldest first."""
    found = []
    for path in folder.glob("reviews-*.jsonl"):
        if match := _FILE.fullmatch(path.name):
            found.append((date.fromisoformat(match[1]), path))
    return sorted(found)


def write_daily(store: Store, folder: Path, *, day: date, keep_days: int) -> Insured:
    """Write the file of ``day`` anew and remove those older than ``keep_days`` (0 keeps all).

    A file that holds more reviews than the store does is the only witness of a loss: it is kept
    under a name that nothing removes.
    """
    _keep_witness(store, folder / f"reviews-{day.isoformat()}.jsonl")
    done = write(store, folder / f"reviews-{day.isoformat()}.jsonl")
    if keep_days:
        for old, path in kept(folder):
            if old < day - timedelta(days=keep_days) and path != done.path:
                path.unlink(missing_ok=True)
                side_file(path).unlink(missing_ok=True)
    return done


def _keep_witness(store: Store, path: Path) -> None:
    if not path.is_file():
        return
    try:
        wanted = head(path).rows.get("review", 0)
    except StoreError:
        return  # cut off when it was written; the days before are there
    with store._cursor() as cursor:
        if wanted <= _one(cursor, "SELECT count(*) FROM review"):
            return
    number = 1 + len(list(path.parent.glob(f"{path.stem}.lost-*.jsonl")))
    witness = path.with_name(f"{path.stem}.lost-{number}.jsonl")
    path.rename(witness)
    side_file(path).unlink(missing_ok=True)
    seal(witness)


def witnesses(folder: Path) -> list[str]:
    """Return the files that hold more reviews than the store did when they were to be replaced."""
    return sorted(p.name for p in folder.glob("reviews-*.lost-*.jsonl"))


def head(path: Path) -> Insured:
    """Return what the first line of a file says.

    Raises:
        StoreError: it is no such file.
    """
    try:
        with path.open(encoding="utf-8") as file:
            facts = json.loads(file.readline())
        if facts["format"] != FORMAT:
            raise StoreError(
                f"format {facts['format']}, this program reads {FORMAT}",
                where=str(path),
                remedy="use the program that wrote it",
            )
        return Insured(
            path=path,
            written_at=datetime.fromisoformat(facts["written_at"]),
            rows={str(k): int(v) for k, v in facts["rows"].items()},
            last_review=int(facts["last_review"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"this is no file of reviews: {error!r}", where=f"{path}:1", remedy="name another file"
        ) from error


def lost(store: Store, folder: Path) -> str:
    """Say how many reviews the newest daily file has and the store has not; empty for none.

    A write-ahead log that was cut short opens in silence with its last rows missing; this is what
    notices it.
    """
    files = kept(folder)
    if not files:
        return ""
    newest = head(files[-1][1])
    with store._cursor() as cursor:
        has = _one(cursor, "SELECT count(*) FROM review")
    wanted = newest.rows.get("review", 0)
    if has >= wanted:
        return ""
    return (
        f"the store holds {has} reviews, {newest.path.name} {wanted}: {wanted - has} are lost;"
        " restore the last backup, then `kiemchung restore --reviews` into a store without reviews"
    )


# -- back into a store -----------------------------------------------------------------------------


def read_back(store: Store, path: Path, *, unverified: bool = False) -> dict[str, int]:
    """Put what people concluded back into a store of the same runs that holds no review yet.

    Accounts that are missing come back inactive, without a password. All rows or none.

    Raises:
        StoreError: the file is changed or damaged, the store has reviews, or a row names a claim,
            a judgement or a passage that the store has not.
    """
    if not path.is_file():
        raise StoreError("there is no such file", where=str(path), remedy="name another file")
    if not unverified:
        check_seal(path)
    facts = head(path)
    rows = _parsed(path)
    for table, wanted in facts.rows.items():
        if len(rows.get(table, ())) != wanted:
            raise StoreError(
                f"{len(rows.get(table, ()))} rows of {table}, its head says {wanted}",
                where=str(path),
                remedy="use another file; this one was cut off",
            )
    with store._writing() as cursor:
        for table in ("review", "blind_choice", "adjudication", "reopening"):
            if there := _one(cursor, f"SELECT count(*) FROM {table}"):
                raise StoreError(
                    f"the store holds {there} rows of {table} already",
                    where=str(store.path),
                    remedy="a file of reviews goes into a store that has none",
                )
        cursor.execute("DELETE FROM double_review")  # drawn anew at the merge; the file has it
        _add_accounts(cursor, rows.get("account", []))
        known = {column: _keys(cursor, column) for column in _NAMED}
        for table in TABLES[1:]:
            _insert(cursor, table, rows.get(table, []), known, path)
    return dict(facts.rows)


def _parsed(path: Path) -> dict[str, list[tuple[int, dict[str, Any]]]]:
    found: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if number == 1:
                continue
            try:
                row = json.loads(line)
                table = row.pop("table")
            except (ValueError, KeyError, AttributeError) as error:
                raise StoreError(f"no row: {error!r}", where=f"{path}:{number}") from error
            if table not in TABLES:
                raise StoreError(
                    f"no table {table!r} here",
                    where=f"{path}:{number}",
                    remedy="use the program that wrote it",
                )
            found.setdefault(table, []).append((number, row))
    return found


def _add_accounts(
    cursor: duckdb.DuckDBPyConnection, rows: Sequence[tuple[int, dict[str, Any]]]
) -> None:
    there = {str(n) for (n,) in cursor.execute("SELECT name FROM account").fetchall()}
    nobody = hash_password(secrets.token_hex(32))  # the same for all: nobody has it
    for _, row in rows:
        if row["name"] not in there:
            cursor.execute(
                "INSERT INTO account SELECT coalesce(max(account_key), 0) + 1, ?, ?, ?, true, 0,"
                " NULL, false, ?, NULL FROM account",
                [row["name"], row["role"], nobody, row["created_at"]],
            )


def _keys(cursor: duckdb.DuckDBPyConnection, column: str) -> dict[tuple[str, ...], int]:
    _, table, ids = _NAMED[column]
    rows = cursor.execute(f"SELECT {ids} AS ids, x.{column} FROM {table} AS x").fetchall()
    return {tuple(names): int(key) for names, key in rows}


def _insert(
    cursor: duckdb.DuckDBPyConnection,
    table: str,
    rows: Sequence[tuple[int, dict[str, Any]]],
    known: Mapping[str, Mapping[tuple[str, ...], int]],
    path: Path,
) -> None:
    if not rows:
        return
    columns = _columns(cursor, table)
    made = []
    for number, row in rows:
        values: dict[str, Any] = {}
        for column in columns:
            label = _NAMED[column][0] if column in _NAMED else column
            value: Any = row.get(label)
            if column in _NAMED and value is not None:
                try:
                    value = known[column][tuple(value)]
                except KeyError:
                    raise StoreError(
                        f"the {label} {value[0]} is not in this store",
                        where=f"{path}:{number}",
                        remedy=_REMEDY,
                    ) from None
            values[column] = value
        made.append(values)
    import pyarrow as pa  # the desk reads no such file back

    kinds = {
        "BIGINT": pa.int64(), "VARCHAR": pa.string(), "BOOLEAN": pa.bool_(),
        "DOUBLE": pa.float64(), "VARCHAR[]": pa.list_(pa.string()),
        "BIGINT[]": pa.list_(pa.int64()),
    }  # fmt: skip
    schema = pa.schema([(c, kinds.get(kind, pa.string())) for c, kind in columns.items()])
    cursor.register("insured_rows", pa.Table.from_pylist(made, schema=schema))
    try:
        cast = ", ".join(f'"{c}"::{kind}' for c, kind in columns.items())
        cursor.execute(f"INSERT INTO {table} SELECT {cast} FROM insured_rows")
    finally:
        with suppress(duckdb.Error):
            cursor.unregister("insured_rows")
