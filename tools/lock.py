"""Write the lock files of `requirements/`: every package of every set, pinned and with its hashes.

`uv pip compile` resolves once for all systems and Pythons from 3.11 on; what it names no index by
goes into the files as it is. torch is split off. Its Linux files on the package index are CUDA
builds, which need eighteen more packages; the CPU builds that most people want have another name
and other hashes. So `torch.txt` holds the CPU builds and the files of other systems,
`torch-cuda.txt` the CUDA builds with what only they need; `tools/bootstrap.py` asks pip which of
them it would take.

    python tools/lock.py             as pinned, changing only what pyproject.toml makes necessary
    python tools/lock.py --upgrade   everything to its newest version
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = ROOT / "requirements"
OLDEST: Final = "3.11"
TORCH: Final = "torch==2.13.0"
CPU_WHEELS: Final = (
    # torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl
    "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",
)
"""Of PyTorch's CPU builds, which lie on an index of their own; others are added by hand."""
BUILD: Final = "hatchling>=1.27\neditables>=0.5\n"
"""What installs the checkout itself, so that pip need not fetch it unseen."""
AUDIT: Final = "pip-audit>=2.10\nbandit>=1.9\ncyclonedx-bom>=7.2\n"
_CUDA: Final = re.compile(r"(nvidia-|cuda-|triton\b)")
_BLOCK: Final = re.compile(r"^(?=[A-Za-z0-9])", re.MULTILINE)
_HEAD: Final = "# Written by `python tools/lock.py` (make lock); do not edit.\n"


def uv() -> str:
    """Return the path of uv, or end with what to do."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.is_file() else shutil.which("uv")
    if not found:
        raise SystemExit("kiemchung: uv is missing; `pip install uv` into any environment")
    return found


def compile_set(target: Path, sources: list[str], *extra: str) -> list[str]:
    """Resolve ``sources`` and return the blocks of the lock, one a package and marker.

    What ``target`` pins already stays where it still fits.
    """
    command = [uv(), "pip", "compile", *sources, "--universal", "--python-version", OLDEST]
    command += ["--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
    command += ["--no-emit-index-url", "--output-file", str(target), *extra]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"kiemchung: uv could not resolve {target.name}:\n{done.stderr}")
    return [block for block in _BLOCK.split(target.read_text(encoding="utf-8")) if block.strip()]


def torch_files(work: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of torch on the package index, by file name."""
    source, target = work / "torch.in", work / "pylock.torch.toml"
    source.write_text(TORCH + "\n", encoding="utf-8")
    compile_set(target, [str(source)], "--format", "pylock.toml")
    packages = tomllib.loads(target.read_text(encoding="utf-8"))["packages"]
    (torch,) = (p for p in packages if p["name"] == "torch")
    return {w["url"].rsplit("/", 1)[1]: w["hashes"]["sha256"] for w in torch["wheels"]}


def block_of(hashes: Iterable[str]) -> str:
    """Return the block of torch that accepts these files."""
    return " \\\n    ".join([TORCH, *(f"--hash=sha256:{h}" for h in sorted(hashes))]) + "\n"


def main() -> None:
    """Write all lock files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--upgrade", action="store_true", help="everything to its newest version")
    upgrade = ["--upgrade"] if parser.parse_args().upgrade else []
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)

        def made(name: str, sources: list[str], *extra: str) -> list[str]:
            kept = FOLDER / f"{name}.txt"
            if kept.is_file():  # uv keeps the pins that it finds in its output file
                (work / kept.name).write_bytes(kept.read_bytes())
            return compile_set(work / kept.name, sources, *extra, *upgrade)

        def write(name: str, blocks: list[str]) -> None:
            text = _HEAD + "".join(blocks)
            (FOLDER / f"{name}.txt").write_text(text, encoding="utf-8")

        write("default", made("default", ["pyproject.toml"]))
        pinned = work / "pinned.txt"
        pinned.write_text(TORCH + "\n", encoding="utf-8")
        together = ["-c", str(FOLDER / "default.txt"), "-c", str(pinned)]
        everything = made(
            "dev", ["pyproject.toml"], "--extra", "dev", "--extra", "train", *together
        )
        files = torch_files(work)
        cuda = {digest for name, digest in files.items() if "linux" in name}
        write("torch", [block_of({*files.values(), *CPU_WHEELS} - cuda)])
        write("torch-cuda", [block_of(cuda), *(b for b in everything if _CUDA.match(b))])
        write("dev", [b for b in everything if not b.startswith("torch==") and not _CUDA.match(b)])
        for name, wanted in (("build", BUILD), ("audit", AUDIT)):
            source = work / f"{name}.in"
            source.write_text(wanted, encoding="utf-8")
            limits = ["-c", str(FOLDER / "dev.txt")] if name == "build" else []
            write(name, made(name, [str(source)], *limits))


if __name__ == "__main__":
    main()
