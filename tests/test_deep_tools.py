"""The tools behind the figures of deep tests: mutants that differ, counts that add up."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from tools import covered, mutate

ROOT = Path(__file__).resolve().parents[1]
SOURCE = '''"""A module."""

from __future__ import annotations

import re

LIMIT: int = 3
WORDS = re.compile(r"một|hai|ba")


def within(n: int) -> bool:
    """Whether it is."""
    if n < 0:
        raise ValueError("below nothing")
    return n <= LIMIT
'''
TESTS = """
import pytest
from watched import within


def test_the_limit():
    assert within(3)
    assert not within(4)
"""


def test_every_mutant_is_another_module_and_one_place_is_changed() -> None:
    found = mutate.mutants(SOURCE)
    plain = ast.unparse(ast.parse(SOURCE))
    assert len({m.source for m in found}) == len(found)
    assert plain not in {m.source for m in found}
    changes = {m.change for m in found}
    assert {"n <= LIMIT  ->  n < LIMIT", "n < 0  ->  n <= 0", "3  ->  4", "0  ->  1"} <= changes
    assert "'một|hai|ba'  ->  'một|ba'" in changes
    assert "if n < 0  ->  if not n < 0" in changes
    assert "raise ValueError('below nothing')  ->  pass" in changes
    assert not [c for c in changes if "XXbelow" in c or "A module" in c or "int" in c]


def test_the_draw_is_the_same_for_a_seed() -> None:
    every = mutate.mutants(SOURCE)
    assert mutate.drawn(every, 5, 1) == mutate.drawn(every, 5, 1)
    assert mutate.drawn(every, 5, 1) != mutate.drawn(every, 5, 2)
    assert mutate.drawn(every, 0, 1) == mutate.drawn(every, 999, 1) == every
    lines = [m.line for m in mutate.drawn(every, 8, 3)]
    assert lines == sorted(lines)


def test_the_interval_is_wilsons() -> None:
    low, high = mutate.wilson(51, 60)
    assert (round(low, 4), round(high, 4)) == (0.7389, 0.9190)
    assert mutate.wilson(0, 0) == (0.0, 1.0)


@pytest.mark.slow
def test_what_the_tests_notice_counts_and_what_they_do_not_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "watched.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "test_watched.py").write_text(TESTS, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n", encoding="utf-8")
    monkeypatch.setattr(mutate, "TARGETS", {"watched.py": ("test_watched.py",)})
    unread = ('WORDS = re.compile(r"một|hai|ba")', "'một|hai|ba'  ->  'XXmột|hai|baXX'")
    known = {"watched.py": {unread, ("elsewhere", "3  ->  4")}}
    monkeypatch.setattr(mutate, "equivalents", lambda: known)
    chosen = (
        "n <= LIMIT  ->  n < LIMIT", "3  ->  4", "n < 0  ->  n <= 0",
        "raise ValueError('below nothing')  ->  pass", unread[1],
    )  # fmt: skip
    monkeypatch.setattr(mutate, "drawn", lambda every, *_: [m for m in every if m.change in chosen])
    found = mutate.measure(tmp_path, "watched.py", sample=0, seed=1, wall=120.0)
    survivors = {s["change"] for s in found["survivors"]}
    assert "n <= LIMIT  ->  n < LIMIT" not in survivors
    assert "3  ->  4" not in survivors
    assert "n < 0  ->  n <= 0" in survivors
    assert "raise ValueError('below nothing')  ->  pass" in survivors
    assert found["equivalent"] == 1
    assert (found["killed"], found["of"], found["drawn"], len(survivors)) == (2, 4, 5, 2)
    assert (tmp_path / "watched.py").read_text(encoding="utf-8") == SOURCE


def test_every_equivalent_mutant_names_a_line_of_its_module_and_a_reason() -> None:
    import tomllib

    for module, entries in tomllib.loads(mutate.EQUIVALENT.read_text(encoding="utf-8")).items():
        lines = (ROOT / module).read_text(encoding="utf-8").splitlines()
        for entry in entries:
            (line,) = {line.strip() for line in lines} & {entry["at"]}
            assert "  ->  " in entry["change"], line
            assert len(entry["why"]) > 10
        assert len({(e["at"], e["change"]) for e in entries}) == len(entries)
        assert module in mutate.TARGETS


def test_coverage_is_summed_by_package(tmp_path: Path) -> None:
    def summary(*values: int) -> dict[str, object]:
        names = (
            "num_statements", "covered_lines", "num_branches", "covered_branches", "missing_lines",
        )  # fmt: skip
        return {"summary": dict(zip(names, values, strict=True))}

    report = tmp_path / "coverage.json"
    files = {
        "nlp/a.py": summary(10, 5, 4, 1, 5),
        "nlp/b/c.py": summary(10, 10, 0, 0, 0),
        "models/d.py": summary(20, 10, 0, 0, 10),
    }
    report.write_text(json.dumps({"files": files}), encoding="utf-8")
    lines = [" ".join(line.split()) for line in covered.table(report)]
    assert lines == [
        "package lines reached branches reached",
        "models 20 50.0% 0 0.0%",
        "nlp 20 75.0% 4 25.0%",
        "all 40 62.5% 4 25.0%",
        "10 lines not reached: models/d.py",
        "5 lines not reached: nlp/a.py",
        "0 lines not reached: nlp/b/c.py",
    ]
