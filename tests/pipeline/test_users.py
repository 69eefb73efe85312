"""The accounts at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kiemchung.errors import InputError
from kiemchung.store import open_store
from pipeline.cli import app


def run(*arguments: str, data: Path) -> object:
    done = CliRunner().invoke(app, ["user", *arguments, "--data", str(data), "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_accounts_are_listed_changed_closed_and_opened_again(tmp_path: Path) -> None:
    added = run("add", "an", "--role", "admin", data=tmp_path)
    assert isinstance(added, dict)
    assert len(added["one_time_password"]) == 19
    run("add", "binh", data=tmp_path)
    assert run("role", "binh", "adjudicator", data=tmp_path) == {
        "user": "binh",
        "role": "adjudicator",
    }
    run("deactivate", "binh", data=tmp_path)
    listed = run("list", data=tmp_path)
    assert isinstance(listed, list)
    assert [(u["name"], u["role"], u["active"]) for u in listed] == [
        ("an", "admin", True),
        ("binh", "adjudicator", False),
    ]
    run("activate", "binh", data=tmp_path)
    for arguments in (("role", "an", "reader"), ("deactivate", "an"), ("role", "chi", "reader")):
        with pytest.raises(InputError, match=r"last administrator|no account"):
            run(*arguments, data=tmp_path)
    with open_store(tmp_path / "kiemchung.duckdb") as store:
        account = store.authenticate("an", str(added["one_time_password"]))
        assert account is not None
        acts = [(r.action, r.subject, r.before, r.after) for r in store.audit_trail(account)]
        assert acts == [
            ("account activated", "binh", "inactive", "active"),
            ("account deactivated", "binh", "active", "inactive"),
            ("role changed", "binh", "reviewer", "adjudicator"),
            ("account added", "binh", "", "reviewer"),
            ("account added", "an", "", "admin"),
        ]
