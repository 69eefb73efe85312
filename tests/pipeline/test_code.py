"""What the hash of the program is made of: nothing that decides may be left out."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from pipeline import code, versions

ROOT = Path(__file__).resolve().parents[2]
SEEDS = ("pipeline.judging", "pipeline.reading", "pipeline.stages", "crawler.isolate")
OWN = ("kiemchung", "crawler", "nlp", "models", "pipeline", "dashboards")
NOT_DECIDING = {
    "kiemchung": "the version number",
    "kiemchung.config": "settings have a hash of their own",
    "kiemchung.errors": "words of errors",
    "kiemchung.sealed": "how a file is kept",
    "kiemchung.shards": "how rows are kept",
    "kiemchung.checksums": "how a file is checked",
    "crawler.archive": "bytes by their digest",
    "crawler.ledger": "where a page lies",
    "crawler.ledger_seal": "how the ledger is checked",
    "crawler.run": "how pages are fetched and handed on",
    "kiemchung.tombstones": "which addresses were withdrawn",
    "pipeline.code": "this hash",
    "pipeline.handover": "how a stage lists its shards",
    "pipeline.remembered": "results under the hash of all that they follow from",
    "pipeline.versions": "parts of this hash",
    "pipeline.workers": "which process does it",
    "pipeline.runs": "names and folders of runs",
    "pipeline.weeks": "the calendar",
}


def _file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    for found in (path.with_suffix(".py"), path / "__init__.py"):
        if found.is_file():
            return found
    return None


def _imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] in OWN and _file(name)}


def test_every_module_that_a_flag_can_depend_on_is_hashed() -> None:
    hashed = set(code.deciding_files())
    left, seen = list(SEEDS), set[str]()
    while left:
        module = left.pop()
        path = _file(module)
        if module in seen or path is None or module in NOT_DECIDING:
            continue
        seen.add(module)
        if path.read_text(encoding="utf-8").strip():  # an empty __init__.py decides nothing
            assert path in hashed, f"{module} decides, and pipeline/code.py does not hash it"
        left += _imported(path)
    assert len(seen) > 40


def test_remembered_results_know_every_file_that_they_follow_from() -> None:
    """Pages are extracted before anything is remembered; all that decides after that counts."""
    known = {p for pattern in versions.PATTERNS for p in code.ROOT.glob(pattern)}
    before = ("crawler/", "pipeline/extracting.py", "pipeline/stages.py")
    for path in code.deciding_files():
        name = path.relative_to(code.ROOT).as_posix()
        assert path in known or name.startswith(before), name


def test_data_files_are_hashed_and_models_are_not() -> None:
    names = {p.relative_to(ROOT).as_posix() for p in code.deciding_files()}
    assert "nlp/data/checkability.npz" in names
    assert not any(name.startswith(("models/default", "models/plain")) for name in names)
    assert not any(name.endswith(".jsonl") for name in names)  # the base has its own version


def test_a_changed_file_is_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nlp").mkdir()
    (tmp_path / "nlp" / "a.py").write_text("x = 1\n")
    monkeypatch.setattr(code, "ROOT", tmp_path)
    hashes = []
    for name, text in (("a.py", "x = 1\n"), ("a.py", "x = 2\n"), ("b.py", "x = 2\n")):
        (tmp_path / "nlp" / name).write_text(text)
        code.code_sha256.cache_clear()
        hashes.append(code.code_sha256())
    code.code_sha256.cache_clear()
    assert len(set(hashes)) == 3


def test_the_packages_are_named_with_their_versions() -> None:
    found = code.tool_versions()
    assert set(code.TOOLS) < set(found)
    assert found["underthesea"][0].isdigit()
    assert found["python"].startswith("3.")
