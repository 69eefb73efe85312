"""Which program it was: a hash of the files that decide, and the versions of what they stand on.

A user may have no git, so the program hashes its own files. A file decides when a flag can depend
on it: from the bytes of a page to the probabilities. The crawl, the store, the desk and the command
line do not. `tests/pipeline/test_code.py` follows the imports and fails where one leads out of it.
"""

from __future__ import annotations

import functools
import hashlib
import platform
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from kiemchung.domain import digest

ROOT: Final = Path(__file__).resolve().parents[1]
DECIDES: Final = (
    "kiemchung/domain.py",
    "kiemchung/reference/*.py",
    "nlp/*.py",
    "nlp/data/*",
    "models/*.py",
    "models/decide/*.py",
    "crawler/blocks.py",
    "crawler/canonical.py",
    "crawler/dates.py",
    "crawler/decode.py",
    "crawler/extract.py",
    "crawler/extractors.py",
    "crawler/isolate.py",
    "crawler/markup.py",
    "crawler/outlets.py",
    "pipeline/ahead.py",
    "pipeline/analysing.py",
    "pipeline/extracting.py",
    "pipeline/judging.py",
    "pipeline/reading.py",
    "pipeline/stages.py",
    "pipeline/verdicts.py",
)
"""Paths from the program's folder. Models, base and outlet files have hashes of their own."""
TOOLS: Final = (
    "underthesea", "underthesea_core", "onnxruntime", "numpy", "tokenizers", "lxml", "parsel",
    "trafilatura",
)  # fmt: skip
"""Packages whose version can change a sentence, a word, an article's text or a probability."""


def deciding_files() -> Iterator[Path]:
    """Yield the files that `code_sha256` is made of, in a fixed order."""
    for pattern in DECIDES:
        yield from sorted(p for p in ROOT.glob(pattern) if p.is_file() and p.suffix != ".typed")


@functools.cache
def code_sha256() -> str:
    """Return the hash of the deciding files, names and contents, as 64 hex digits."""
    return hash_of_files(ROOT, deciding_files())


def hash_of_files(root: Path, files: Iterable[Path]) -> str:
    """Return a hash of names below ``root`` and contents, in the order given, as 64 hex digits."""
    hasher = hashlib.sha256()
    for path in files:
        name = path.relative_to(root).as_posix().encode("utf-8")
        content = hashlib.sha256(path.read_bytes()).digest()
        hasher.update(len(name).to_bytes(4, "big") + name + content)
    return hasher.hexdigest()


@functools.cache
def tool_versions() -> dict[str, str]:
    """Return the version of Python and of each package of `TOOLS`; empty where it is absent."""
    found = {"python": platform.python_version()}
    for name in TOOLS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


@functools.cache
def program_version() -> str:
    """Return one name of deciding files and packages; under another, shards are made anew."""
    return digest(code_sha256(), *(f"{k}={v}" for k, v in sorted(tool_versions().items())))
