"""The notebooks: run from a fresh clone on the sample week, stored without output, letters drawn."""

from __future__ import annotations

import ast
import asyncio
import re
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_SECONDS = 60.0  # of one notebook; of processor time, since a busy machine is no fault of it
ALPHABET = (
    "aàáảãạăằắẳẵặâầấẩẫậbcdđeèéẻẽẹêềếểễệghiìíỉĩịklmnoòóỏõọôồốổỗộơờớởỡợpqrstuùúủũụưừứửữựvxyỳýỷỹỵ"
)


def read(path: Path) -> Any:
    return nbformat.read(path, 4)


def code(path: Path) -> list[str]:
    return [cell.source for cell in read(path).cells if cell.cell_type == "code"]


def test_all_eight_are_there() -> None:
    assert [p.stem for p in NOTEBOOKS] == [
        "claims_over_time", "compare_encoders", "error_analysis", "explore_a_week",
        "from_a_page_to_a_flag", "load_the_real_phobert", "train_and_calibrate", "your_own_model",
    ]  # fmt: skip


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_is_valid_and_keeps_no_output(path: Path) -> None:
    found = read(path)
    nbformat.validate(found)
    assert (found.nbformat, found.nbformat_minor) == (4, 5)
    assert found.cells[0].cell_type == "markdown"
    for cell in found.cells:
        assert cell.metadata == {}, cell.id
        if cell.cell_type == "code":
            assert not cell.outputs, cell.id
            assert cell.execution_count is None, cell.id


@pytest.mark.parametrize("path", [*NOTEBOOKS, FOLDER / "common.py"], ids=lambda p: p.stem)
def test_nothing_in_it_points_outside_the_repository(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "shared" not in text, "development data"
    assert not re.search(r"""["'(]/(?:home|work|tmp|Users|root|var)/""", text)
    assert not re.search(r"https?://(?!.*\.example)", text)
    assert "%pip" not in text
    assert "!pip" not in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_every_name_that_is_imported_is_used(path: Path) -> None:
    tree = ast.parse("\n".join(code(path)))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                name = (alias.asname or alias.name).split(".")[0]
                assert name in used, f"{name} is imported for nothing"


def test_the_own_model_takes_at_most_thirty_lines() -> None:
    tree = ast.parse("\n".join(code(FOLDER / "your_own_model.ipynb")))
    (own,) = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    assert own.end_lineno is not None
    assert own.end_lineno - own.decorator_list[0].lineno + 1 <= 30


def test_the_font_of_the_plots_has_every_vietnamese_letter() -> None:
    pytest.importorskip("matplotlib")
    from matplotlib import font_manager, ft2font

    style = (FOLDER / "common.py").read_text(encoding="utf-8")
    name = re.search(r'^FONT: Final = "(.*)"$', style, re.MULTILINE)
    assert name
    for weight in ("regular", "bold"):
        properties = font_manager.FontProperties(family=name.group(1), weight=weight)
        path = font_manager.findfont(properties, fallback_to_default=False)
        drawn = ft2font.FT2Font(path).get_charmap()
        wanted = ALPHABET + ALPHABET.upper() + "“”–…≥≤±×%₫"
        assert len(set(ALPHABET)) == 29 + 12 * 5
        assert not [letter for letter in wanted if ord(letter) not in drawn]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs_on_the_sample(
    path: Path, finished_week: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every cell; on stderr nothing, so no warning, and with it no letter that the font lacks."""
    client = pytest.importorskip("nbclient")
    pytest.importorskip("matplotlib")
    if path.stem == "load_the_real_phobert":
        pytest.importorskip("torch")
    for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("KIEMCHUNG_DATA_DIR", str(finished_week))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("KIEMCHUNG_PHOBERT", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = read(path)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = asyncio.run(executed(client, found))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    outputs = [o for cell in done.cells for o in cell.get("outputs", [])]
    assert not [o.text for o in outputs if o.output_type == "stream" and o.name == "stderr"]
    assert [o for o in outputs if "image/png" in o.get("data", {})], "a notebook without a plot"
    said = "".join(o.text for o in outputs if o.output_type == "stream")
    assert said
    if path.stem == "load_the_real_phobert":
        assert "NOTHING BELOW SAYS HOW GOOD PhoBERT IS" in said
    assert spent < MOST_SECONDS, f"{spent:.0f} s of processor, {time.monotonic() - began:.0f} s"


async def executed(client: Any, found: Any) -> Any:
    """Run all cells in a kernel of its own, which talks over socket files and not over TCP."""
    from jupyter_client.manager import AsyncKernelManager

    with tempfile.TemporaryDirectory() as sockets:  # a short path: a socket's name has 107 letters
        manager = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=f"{sockets}/k")
        resources = {"metadata": {"path": str(FOLDER)}}
        worker = client.NotebookClient(found, km=manager, timeout=300, resources=resources)
        try:
            return await worker.async_execute(cleanup_kc=True)
        finally:
            await manager.shutdown_kernel(now=True)
