"""Random and changed inputs through everything that reads what strangers write.

    python benchmarks/fuzz.py --inputs 1000000 --seconds 28800 --seed 1

Extraction, charsets, text, sentences and words, the grammar, claims, feeds, listings, outlet files,
the reference base and JSONL records (tests/fuzzing.py). Each input is made of the seed and its
number: `--only page --first 4711 --inputs 1` runs one again. The exit code is 1 where a fault
was found: an error that is not one of kiemchung's own, a span that does not lead back to the
source, a text that is cleaned differently the second time, or a time that is not linear.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from tests.fuzzing import SURFACES, run


def main() -> int:
    """Run and print one line a surface."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after these")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[], choices=sorted(SURFACES))
    parser.add_argument("--out", type=Path, help="write the result as JSON")
    given = parser.parse_args()
    begun = time.monotonic()
    numbers = range(given.first, given.first + given.inputs)
    found = run(numbers, given.seed, only=tuple(given.only), until=begun + given.seconds)
    print(f"{'surface':12}{'inputs':>9}{'refused':>9}{'ms each':>9}{'slowest s':>11}")
    for name, count in sorted(found.inputs.items()):
        each = 1000 * found.seconds[name] / count
        print(f"{name:12}{count:9}{found.refused[name]:9}{each:9.2f}{found.slowest[name]:11.2f}")
    total, spent = sum(found.inputs.values()), sum(found.seconds.values())
    print(
        f"{total} inputs, seed {given.seed}, {spent:.1f} s of processor, {len(found.faults)} faults"
    )
    for kind, what in sorted(found.faults.items()):
        print(f"FAULT {kind}: {what}")
    if given.out:
        given.out.write_text(json.dumps({"inputs": dict(found.inputs), "faults": found.faults}))
    return 1 if found.faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
