"""The house: who owns our names, what the wheel holds, what is imported when, what is never stored."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("kiemchung", "crawler", "nlp", "models", "dashboards", "pipeline")
HEAVY = ("duckdb", "scrapy", "underthesea", "torch", "transformers", "sklearn", "trafilatura",
         "onnxruntime", "pyarrow", "fastapi", "numpy", "pydantic_settings", "lxml")  # fmt: skip


def sources() -> list[Path]:
    return [p for name in PACKAGES for p in (ROOT / name).rglob("*.py")]


@pytest.mark.parametrize("name", PACKAGES)
def test_nobody_else_owns_our_package_names(name: str) -> None:
    owners = set(packages_distributions().get(name, ["kiemchung"]))
    assert owners == {"kiemchung"}, f"another distribution installs {name!r}: {owners}"


def test_the_command_line_imports_nothing_heavy() -> None:
    code = f"import sys, pipeline.cli; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_only_the_store_connects_to_duckdb() -> None:
    for path in sources():
        if (ROOT / "kiemchung" / "store") in path.parents:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not any(n.split(".")[0] == "duckdb" for n in names), path


def test_no_checkpoint_brings_code_along() -> None:
    """What transformers loads by name or folder may hold Python files; they are never run."""
    loads = 0
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
                assert isinstance(node.value, ast.Constant), path
                assert node.value.value is False, path
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".from_pretrained"):
                loads += 1
                assert "trust_remote_code" in {k.arg for k in node.keywords}, path
    assert loads >= 4


def test_nothing_is_unpickled_and_nothing_evaluated() -> None:
    banned = {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not {a.name.split(".")[0] for a in node.names} & banned, path
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in banned, path
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec"}, path


def test_no_source_reads_the_development_data() -> None:
    for path in sources():
        assert "../shared" not in path.read_text(encoding="utf-8"), path


def test_no_word_on_screen_calls_a_claim_fake() -> None:
    banned = ("tin giả", "xuyên tạc", "fake news")
    screens = [p for p in (ROOT / "dashboards").rglob("*") if p.suffix in {".html", ".py", ".js"}]
    assert screens
    for path in [*screens, ROOT / "pipeline" / "screen.py"]:
        text = path.read_text(encoding="utf-8").lower()
        assert not [b for b in banned if b in text], path


@pytest.mark.slow
def test_the_wheel_holds_every_data_file(tmp_path: Path) -> None:
    pytest.importorskip("build")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    suffixes = {".sql", ".html", ".css", ".js", ".jsonl", ".json", ".toml", ".typed"}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            if path.suffix in suffixes and "__pycache__" not in path.parts:
                assert path.relative_to(ROOT).as_posix() in inside
    assert not [n for n in inside if n.startswith(("tests/", "var/", "notebooks/"))]
