"""Seconds to read what people concluded, at growing numbers of decisions, and how they grow.

    python benchmarks/decided.py [--sizes 12500 25000 50000 100000] [--rounds 3] [--store DIR]

`kiemchung.store.decided.decided` is what `export --format claimreview` and drafts are made of. A
store of made-up weeks (`bigstore`) has as many claims as the largest size; more and more of them
are concluded as in `benchmarks/dataset.py`. Of the rounds the fastest counts; the exponent is the
slope of the logarithms between the ends, 1 for linear. ``--store`` is an empty folder, or one that
holds such claims and no decisions; it keeps both.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import bigstore, dataset  # noqa: E402
from kiemchung.store import Store, open_store  # noqa: E402
from kiemchung.store.decided import decided  # noqa: E402


def concluded(store: Store, wanted: int) -> None:
    """Let people conclude claims until ``wanted`` decisions are there."""
    have = store.counts()["reviews"]
    if have < wanted:
        with store._writing() as cursor:
            cursor.execute(dataset.DECIDE.format(decisions=wanted - have, have=have))


def seconds(store: Store, rounds: int) -> tuple[float, int]:
    """Return the fastest reading and how many conclusions it gave."""
    best, rows = math.inf, 0
    for _ in range(rounds):
        began = time.perf_counter()
        rows = len(decided(store))
        best = min(best, time.perf_counter() - began)
    return best, rows


def main() -> None:
    """Print JSON: seconds and rows by number of decisions, and the exponent of their growth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--sizes", type=int, nargs="+", default=[12_500, 25_000, 50_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--store", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kiemchung-decided-") as scratch:
        home = given.store or Path(scratch)
        home.mkdir(parents=True, exist_ok=True)
        with open_store(home / "kiemchung.duckdb", double_share=0.0) as store:
            most = max(given.sizes)
            bigstore.fill(store, most, a_week=max(most // 20, 100))
            dataset.people(store)
            found = {}
            for size in sorted(given.sizes):
                concluded(store, size)
                spent, rows = seconds(store, given.rounds)
                found[size] = {"seconds": round(spent, 3), "rows": rows}
    ends = sorted(found)[0], sorted(found)[-1]
    growth = math.log(found[ends[1]]["seconds"] / found[ends[0]]["seconds"])
    exponent = growth / math.log(ends[1] / ends[0]) if ends[0] < ends[1] else None
    print(json.dumps({"decisions": found, "exponent": exponent}, indent=1))


if __name__ == "__main__":
    main()
