"""The notebooks: run from a fresh clone on the sample week, stored without output, letters drawn."""

from __future__ import annotations

import ast
import asyncio
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import psutil
import pytest

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


def test_nothing_imports_the_notebooks() -> None:
    for package in ("kiemchung", "crawler", "nlp", "models", "dashboards", "pipeline"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not {n.split(".")[0] for n in names} & {"common", "notebooks"}, path


def test_the_own_model_takes_at_most_thirty_lines() -> None:
    tree = ast.parse("\n".join(code(FOLDER / "your_own_model.ipynb")))
    (own,) = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    assert own.end_lineno is not None
    assert own.end_lineno - own.decorator_list[0].lineno + 1 <= 30


def test_the_font_of_the_plots_has_every_vietnamese_letter() -> None:
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


class Kernel:
    """One kernel for all notebooks, which pays for the imports once; emptied before each."""

    def __init__(self, folder: Path, sockets: str) -> None:
        from jupyter_client.manager import AsyncKernelManager

        # Socket files and no TCP; a short path, since a socket's name has 107 letters at most.
        self.manager = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=f"{sockets}/k")
        self.runner = asyncio.Runner()
        self.folder = folder

    def close(self) -> None:
        self.runner.run(self.manager.shutdown_kernel(now=True))
        self.runner.close()

    def seconds(self) -> float:
        """Processor time of the kernel so far."""
        if not self.manager.has_kernel:
            return 0.0
        spent = psutil.Process(self.manager.provisioner.pid).cpu_times()
        return float(spent.user + spent.system)

    def run(self, found: Any) -> Any:
        """Return the notebook with its outputs, the first cell's name space empty."""
        return self.runner.run(self._run(found))

    async def _run(self, found: Any) -> Any:
        found.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
        resources = {"metadata": {"path": str(self.folder)}}
        client = nbclient.NotebookClient(found, km=self.manager, timeout=300, resources=resources)
        try:
            return await client.async_execute()
        finally:
            if client.kc is not None:
                client.kc.stop_channels()


@pytest.fixture(scope="module")
def kernel(finished_week: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    folder = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as sockets:
        for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "JUPYTER_CONFIG_DIR"):
            patch.setenv(name, str(folder / name.lower()))
        patch.setenv("KIEMCHUNG_DATA_DIR", str(finished_week))
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.delenv("KIEMCHUNG_PHOBERT", raising=False)
        patch.setenv("OMP_NUM_THREADS", "1")
        kernel = Kernel(FOLDER, sockets)
        yield kernel
        kernel.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs_on_the_sample(path: Path, kernel: Kernel) -> None:
    """Every cell; on stderr nothing, so no warning, and with it no letter that the font lacks."""
    before = kernel.seconds()
    done = kernel.run(read(path))
    spent = kernel.seconds() - before
    outputs = [o for cell in done.cells for o in cell.get("outputs", [])]
    assert not [o.text for o in outputs if o.output_type == "stream" and o.name == "stderr"]
    assert [o for o in outputs if "image/png" in o.get("data", {})], "a notebook without a plot"
    said = "".join(o.text for o in outputs if o.output_type == "stream")
    assert said
    if path.stem == "load_the_real_phobert":
        assert "NOTHING BELOW SAYS HOW GOOD PhoBERT IS" in said
    assert spent < MOST_SECONDS
