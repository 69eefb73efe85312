"""Nobody but the store opens DuckDB, and in the store only one function does."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("kiemchung", "crawler", "nlp", "models", "dashboards", "pipeline")
GONE_IN_2 = {"fetch_arrow_table", "fetch_record_batch", "fetch_df_chunk"}


def calls(path: Path) -> list[tuple[str, str]]:
    """Return (function that calls, dotted name called) of every call in a file."""
    found: list[tuple[str, str]] = []

    def visit(node: ast.AST, inside: str) -> None:
        for below in ast.iter_child_nodes(node):
            name = below.name if isinstance(below, ast.FunctionDef) else inside
            if isinstance(below, ast.Call):
                found.append((inside, ast.unparse(below.func)))
            visit(below, name)

    visit(ast.parse(path.read_text(encoding="utf-8")), "")
    return found


def sources() -> list[Path]:
    return [p for name in PACKAGES for p in sorted((ROOT / name).rglob("*.py"))]


def test_one_function_calls_connect() -> None:
    callers = [
        (path.relative_to(ROOT).as_posix(), function)
        for path in sources()
        for function, name in calls(path)
        if name == "duckdb.connect"
    ]
    assert callers == [("kiemchung/store/connection.py", "connect")]


def test_who_opens_a_file_holds_the_lock() -> None:
    path = ROOT / "kiemchung" / "store" / "opening.py"
    openers = [f for f, name in calls(path) if name == "connect"]
    lockers = {f for f, name in calls(path) if name == "lock.acquire"}
    # The rehearsal opens a copy of its own, while open_store holds the lock of the store.
    assert set(openers) == {"open_store", "_rehearse", "restore", "compact"}
    assert lockers == {"open_store", "restore", "compact"}


def test_duckdb_is_imported_under_its_own_name_only() -> None:
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] != "duckdb", path
            elif isinstance(node, ast.Import):
                assert not [a for a in node.names if a.name == "duckdb" and a.asname], path


def test_no_call_that_is_gone_in_duckdb_2() -> None:
    for path in (ROOT / "kiemchung" / "store").glob("*.py"):
        assert not [n for _, n in calls(path) if n.split(".")[-1] in GONE_IN_2], path


def test_the_batch_never_writes_where_people_write() -> None:
    text = (ROOT / "kiemchung" / "store" / "merge.py").read_text(encoding="utf-8")
    for table in ("review", "blind_choice", "account", "session", "audit", "correction"):
        for verb in ("INSERT INTO", "UPDATE", "DELETE FROM"):
            assert f"{verb} {table}" not in text
