"""How long `models compare` takes on many items: two heads of one encoder, or two models apart.

```
python benchmarks/compare.py [--items 10000] [--first DIR] [--second DIR] [--processes 2]
```
Without --second the first's head is changed a little: the common case after `train verdict
--from-reviews`, in which one reading of the encoder serves both. One JSON object is printed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.retrain import cpu, decisions
from kiemchung.config import load_settings
from models import registry
from models.encoder import FUSION_FILE
from pipeline import comparing


def another_head(folder: Path, out: Path) -> Path:
    """Return a copy of an encoder's folder whose last layer is a little surer."""
    manifest = registry.verify(folder)
    body = json.loads((folder / FUSION_FILE).read_text(encoding="utf-8"))
    for layer in body["layers"].values():
        layer["bias"] = [b * 1.1 for b in layer["bias"]]
    shutil.copytree(folder, out, ignore=shutil.ignore_patterns("__pycache__"))
    files = {n: (folder / n).read_bytes() for n in manifest.files}
    files[FUSION_FILE] = json.dumps(body).encode("utf-8")
    return registry.write(out, replace(manifest, model_id="encoder-another-head"), files)


def main(argv: Sequence[str] | None = None) -> int:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--first", type=Path, default=registry.DEFAULT)
    parser.add_argument("--second", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args(argv)
    pairs = decisions(given.items)
    with tempfile.TemporaryDirectory() as scratch:
        second = given.second or another_head(given.first, Path(scratch) / "second")
        settings = load_settings(data_dir=Path(scratch) / "data")
        began, spent = time.monotonic(), cpu()
        couple = comparing.Couple.load(given.first, second, ("first", "second"))
        found = comparing.compare_models(
            couple, {"made": pairs}, settings=settings, processes=given.processes
        )
        page = comparing.page(found)
        row = {
            "items": len(pairs), "read_once": couple.readers != (0, 1),
            "wall_s": round(time.monotonic() - began, 1), "cpu_s": round(cpu() - spent, 1),
            "lines": len(page), "difference": round(found.sets[0].bootstrap.difference, 4),
        }  # fmt: skip
    sys.stdout.write(json.dumps(row) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
