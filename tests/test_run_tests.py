"""The whole suite as CI runs it: two parts, one closing line, nothing lost between them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from tools import run_tests

INI = "[pytest]\nmarkers =\n    alone: by itself\n"
TESTS = """
import os
import pytest

def test_in_a_worker():
    assert os.environ["PYTEST_XDIST_WORKER"]

@pytest.mark.alone
def test_by_itself():
    assert "PYTEST_XDIST_WORKER" not in os.environ

@pytest.mark.skip
def test_left_out(): ...

@pytest.mark.parametrize("n", range(4))
def test_some(n):
    assert n != WRONG
"""


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(run_tests, "ROOT", tmp_path)
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "pytest.ini").write_text(INI, encoding="utf-8")
    return run_tests


@pytest.mark.slow
@pytest.mark.parametrize(("wrong", "code", "ends"), [(9, 0, "6 passed, 1 skipped"),
                                                     (2, 1, "1 failed, 5 passed, 1 skipped")])  # fmt: skip
def test_both_parts_run_and_are_counted_together(
    runner: ModuleType,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    wrong: int,
    code: int,
    ends: str,
) -> None:
    text = TESTS.replace("WRONG", str(wrong))
    (tmp_path / "test_it.py").write_text(text, encoding="utf-8")
    assert runner.main(["--jobs", "1", "-p", "no:cacheprovider"]) == code
    *before, last = capfd.readouterr().out.rstrip("\n").split("\n")
    assert last.startswith(f"{ends} in ")
    assert ("FAILED test_it.py::test_some[2]" in before) is (code == 1)


@pytest.mark.slow
def test_a_suite_that_cannot_be_read_is_no_success(
    runner: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test_it.py").write_text("import nothing_of_this_name\n", encoding="utf-8")
    assert runner.main(["--jobs", "1", "-p", "no:cacheprovider"]) != 0
    assert "error" in capfd.readouterr().out


def test_the_closing_line_is_pytests_own(runner: ModuleType) -> None:
    found = Counter({"passed": 2900, "skipped": 30, "failed": 1})
    assert runner.closing(found, 301.5) == "1 failed, 2900 passed, 30 skipped in 301.50s"
    assert runner.closing(Counter(), 0.1) == "no tests ran in 0.10s"


def test_one_worker_more_than_cores_up_to_a_few(runner: ModuleType) -> None:
    assert [runner.jobs(n) for n in (1, 2, 3, 8, 64)] == [2, 3, 4, 4, 4]
