"""Seconds and memory that the extraction child takes for strange pages of 1 MB, and how they grow.

python benchmarks/shapes.py [--bytes 1000000]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests.crawler import shapes  # noqa: E402


def measured(text: str) -> tuple[float, str, int]:
    """Return seconds, how the page ended, and the most memory of the child in MB."""
    from crawler.isolate import Extractor
    from kiemchung.errors import PageError

    with Extractor() as extractor:
        child = extractor._ready()
        begun = time.perf_counter()
        try:
            end = extractor.extract(text.encode("utf-8"), url="http://a.example/a").body_method
        except PageError as error:
            end = error.reason
        seconds = time.perf_counter() - begun
        status = Path(f"/proc/{child.pid}/status")
        peak = 0
        if child.poll() is None and status.is_file():
            line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
            peak = int(line.split()[1]) // 1000
    return seconds, end, peak


def main() -> None:
    """Print a row a shape."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bytes", type=int, default=1_000_000)
    size = parser.parse_args().bytes
    rows: dict[str, dict[str, Any]] = {}
    for name, make in shapes.SHAPES.items():
        small, _, _ = measured(make(size // 4))
        seconds, end, peak = measured(make(size))
        growth = math.log(max(seconds, 0.01) / max(small, 0.01)) / math.log(4)
        rows[name] = {
            "seconds": round(seconds, 2), "end": end, "peak_mb": peak, "exponent": round(growth, 2),
        }  # fmt: skip
    worst = max(r["seconds"] for r in rows.values())
    hungriest = max(r["peak_mb"] for r in rows.values())
    print(json.dumps({
        "shapes": rows, "count": len(rows), "worst_seconds": worst, "worst_mb": hungriest,
    }, indent=1, ensure_ascii=False))  # fmt: skip


if __name__ == "__main__":
    main()
