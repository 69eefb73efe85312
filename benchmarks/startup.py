"""How long `kiemchung --help` takes against a bare interpreter: a ratio of one run.

python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time


def median_seconds(*arguments: str, repeats: int = 9) -> float:
    """Return the median wall time of ``python arguments`` in seconds."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    """Print the two medians and their ratio."""
    bare = median_seconds("-c", "pass")
    for name in ("--help", "check --help", "weekly --help"):
        ours = median_seconds("-m", "pipeline.cli", *name.split())
        print(f"kiemchung {name}: {ours:.3f} s, {ours / bare:.1f} x bare Python ({bare:.3f} s)")


if __name__ == "__main__":
    main()
