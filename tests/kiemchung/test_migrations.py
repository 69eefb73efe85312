"""Numbered steps: once each, whole or not at all, also when killed at the worst moment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import duckdb
import pytest

from kiemchung.errors import StoreVersionError
from kiemchung.store import open_store
from kiemchung.store.migrate import Migration, applied, migrate, shipped

ROOT = Path(__file__).resolve().parents[2]


def test_steps_are_numbered_without_a_gap_and_run_once(tmp_path: Path) -> None:
    names = [m.name for m in shipped()]
    assert [m.number for m in shipped()] == list(range(1, len(names) + 1))
    connection = duckdb.connect(str(tmp_path / "k.duckdb"))
    assert migrate(connection) == names
    assert migrate(connection) == []
    assert [name for _, name, _ in applied(connection)] == names
    connection.close()


def test_no_existing_table_gets_a_function_as_default() -> None:
    for step in shipped():
        for statement in step.sql.split(";"):
            if "ALTER" in statement.upper():
                assert not re.search(r"DEFAULT\s+[a-z_]+\s*\(", statement, re.IGNORECASE), step.name


def test_big_tables_have_no_keys_and_no_indexes(tmp_path: Path) -> None:
    with open_store(tmp_path / "k.duckdb") as store:
        kinds = store._read("SELECT DISTINCT constraint_type AS kind FROM duckdb_constraints()")
        assert {r["kind"] for r in kinds} <= {"CHECK", "NOT NULL"}
        assert store._read("SELECT * FROM duckdb_indexes()") == []


def test_a_newer_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    with open_store(path):
        pass
    connection = duckdb.connect(str(path))
    future = Migration(number=99, name="0099_future.sql", sql="CREATE TABLE future (x INTEGER)")
    migrate(connection, [*shipped(), future])
    connection.close()
    with pytest.raises(StoreVersionError, match=r"0099_future\.sql.*newer program"):
        open_store(path)
    with pytest.raises(StoreVersionError):  # and the lock was given back
        open_store(path, wait_seconds=0.0)


def test_a_step_edited_after_it_ran_is_refused(tmp_path: Path) -> None:
    connection = duckdb.connect(str(tmp_path / "k.duckdb"))
    first = Migration(number=1, name="0001_a.sql", sql="CREATE TABLE a (x INTEGER)")
    migrate(connection, [first])
    edited = Migration(number=1, name="0001_a.sql", sql="CREATE TABLE a (x BIGINT)")
    with pytest.raises(StoreVersionError, match="changed after"):
        migrate(connection, [edited])
    connection.close()


def test_a_step_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    connection = duckdb.connect(str(tmp_path / "k.duckdb"))
    good = Migration(number=1, name="0001_a.sql", sql="CREATE TABLE a (x INTEGER)")
    bad = Migration(
        number=2,
        name="0002_b.sql",
        sql="CREATE TABLE b (x INTEGER); INSERT INTO nowhere VALUES (1)",
    )
    with pytest.raises(duckdb.CatalogException):
        migrate(connection, [good, bad])
    assert [n for n, _, _ in applied(connection)] == [1]
    tables = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    assert ("b",) not in tables
    connection.close()


KILL = """
import os, signal, sys
import duckdb
from kiemchung.store.migrate import Migration, migrate, shipped

last = int(sys.argv[2])
extra = [
    Migration(number=len(shipped()) + 1, name="0101_add.sql",
              sql="ALTER TABLE article ADD COLUMN withdrawn BOOLEAN DEFAULT false"),
    Migration(number=len(shipped()) + 2, name="0102_rebuild.sql",
              sql="CREATE TABLE setting_2 (name VARCHAR NOT NULL, content VARCHAR NOT NULL,"
                  " noted VARCHAR);"
                  " INSERT INTO setting_2 SELECT name, content, NULL FROM setting;"
                  " DROP TABLE setting; ALTER TABLE setting_2 RENAME TO setting;"
                  " UPDATE setting SET noted = 'x'"),
]

def die(step):
    if step.number == last:
        os.kill(os.getpid(), signal.SIGKILL)

migrate(duckdb.connect(sys.argv[1]), [*shipped(), *extra], before_checkpoint=die)
print("not killed")
"""


@pytest.mark.parametrize("number", range(1, len(shipped()) + 3))
def test_killed_between_commit_and_checkpoint_the_file_opens_and_goes_on(
    tmp_path: Path, number: int
) -> None:
    path = tmp_path / "k.duckdb"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILL), str(path), str(number)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    connection = duckdb.connect(str(path))
    assert [n for n, _, _ in applied(connection)] == list(range(1, number + 1))
    if number <= len(shipped()):
        migrate(connection)
        assert connection.execute("SELECT * FROM current_judgement").fetchall() == []
    connection.close()
