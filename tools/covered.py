"""Lines and branches that the tests reached, by package, out of coverage's JSON report."""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

COUNTED = ("num_statements", "covered_lines", "num_branches", "covered_branches")


def table(report: Path) -> list[str]:
    """Return a line for each package and one for all, and the ten files with the most missed."""
    files = json.loads(report.read_text(encoding="utf-8"))["files"]
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for name, found in files.items():
        row = [int(found["summary"].get(key, 0)) for key in COUNTED]
        for group in (Path(name).parts[0], "all"):
            sums[group] = [a + b for a, b in zip(sums[group], row, strict=True)]
    lines = [f"{'package':12}{'lines':>8}{'reached':>9}{'branches':>10}{'reached':>9}"]
    for group in sorted(sums, key=lambda g: (g == "all", g)):
        lines_, hit, branches, taken = sums[group]
        lines.append(
            f"{group:12}{lines_:8}{hit / max(lines_, 1):9.1%}{branches:10}"
            f"{taken / max(branches, 1):9.1%}"
        )
    most = sorted(files, key=lambda n: -files[n]["summary"]["missing_lines"])[:10]
    lines += [f"  {files[n]['summary']['missing_lines']:4} lines not reached: {n}" for n in most]
    return lines


def main() -> int:
    """Print the table of the report that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    sys.stdout.write("\n".join(table(parser.parse_args().report)) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
