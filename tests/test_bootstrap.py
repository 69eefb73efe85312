"""Setting up says what is missing instead of failing with a trace."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tools import bootstrap as tool

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(tool, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(tool, "STAMP", tmp_path / ".venv" / "kiemchung.stamp")
    (tmp_path / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    return tool


def test_an_old_python_is_named(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 8, 10))
    with pytest.raises(SystemExit):
        bootstrap.check_machine("run")
    assert "Python 3.8 is too old" in capsys.readouterr().out


def test_a_full_disk_is_named(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = type("Usage", (), {"free": 5e8})
    monkeypatch.setattr(bootstrap.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(SystemExit):
        bootstrap.check_machine("run")
    assert "only 0.5 GB free" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        ("... NewConnectionError: Failed to establish ...", "check the network"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("error: subprocess-exited-with-error", "the lines above say why"),
    ],
)
def test_a_failed_install_is_explained(
    bootstrap: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stderr: str,
    said: str,
) -> None:
    done = subprocess.CompletedProcess(args=[], returncode=1, stderr=stderr)
    monkeypatch.setattr(bootstrap.subprocess, "run", lambda *a, **k: done)
    with pytest.raises(SystemExit):
        bootstrap.pip(["x"], "x")
    assert said in capsys.readouterr().out


def test_a_second_call_installs_nothing(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(bootstrap.python()).parent.mkdir(parents=True)
    Path(bootstrap.python()).symlink_to(sys.executable)
    bootstrap.STAMP.write_text(bootstrap.fingerprint("test"))
    monkeypatch.setattr(bootstrap.subprocess, "run", lambda *a, **k: pytest.fail("it installed"))
    bootstrap.make_environment("test")
    bootstrap.make_environment("run")  # the development set holds the light one
    assert capsys.readouterr().out.count("up to date") == 2


def test_a_changed_pyproject_installs_again(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(bootstrap.python()).parent.mkdir(parents=True)
    Path(bootstrap.python()).symlink_to(sys.executable)
    bootstrap.STAMP.write_text(bootstrap.fingerprint("run"))
    (bootstrap.ROOT / "pyproject.toml").write_text("[project]\nname = 'x'\n", encoding="utf-8")
    asked: list[str] = []
    monkeypatch.setattr(bootstrap, "pip", lambda arguments, what: asked.append(what))
    bootstrap.make_environment("run")
    assert asked == ["kiemchung's packages (a minute or two)", "kiemchung itself"]
    assert bootstrap.STAMP.read_text() == bootstrap.fingerprint("run")


def test_it_is_plain_enough_for_an_old_python_to_read() -> None:
    import ast

    text = (ROOT / "tools" / "bootstrap.py").read_text(encoding="utf-8")
    ast.parse(text, feature_version=(3, 7))


def test_ci_runs_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text(encoding="utf-8")
