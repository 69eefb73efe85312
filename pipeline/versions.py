"""What decides a result besides the text: a hash of the code and of the libraries behind it.

A shard and a remembered result carry it in their key, so that a changed grammar, rule or library
makes new ones and never meets the old. A comment changes it, too: work done again costs less than
a result that nobody can derive.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Final

from kiemchung.domain import digest
from pipeline.code import ROOT, hash_of_files

_TEXT: Final = ("kiemchung/domain.py", "kiemchung/reference/*.py", "nlp/*.py", "nlp/data/*",
                "pipeline/reading.py", "pipeline/analysing.py")  # fmt: skip
_VERDICT: Final = ("models/*.py", "models/decide/*.py", "pipeline/judging.py", "pipeline/ahead.py",
                   "pipeline/verdicts.py")  # fmt: skip
PATTERNS: Final = (*_TEXT, *_VERDICT)
_LIBRARIES: Final = ("numpy", "scipy", "underthesea", "underthesea_core", "onnxruntime")


def hash_of(root: Path, patterns: Iterable[str]) -> str:
    """Return a hash of names and contents of the files under ``root`` that ``patterns`` name."""
    files = {p for pattern in patterns for p in root.glob(pattern) if p.is_file()}
    return hash_of_files(root, sorted(files))


@functools.cache
def _libraries() -> str:
    found = [f"{name} {metadata.version(name)}" for name in _LIBRARIES]
    return digest(f"python {sys.version_info[0]}.{sys.version_info[1]}", *found)


@functools.cache
def text_version() -> str:
    """Return the version of all that turns a text into claims and fingerprints."""
    return digest(hash_of(ROOT, _TEXT), _libraries())


@functools.cache
def verdict_version() -> str:
    """Return the version of all that turns a claim into a judgement, weights and base aside."""
    return digest(text_version(), hash_of(ROOT, _VERDICT))
