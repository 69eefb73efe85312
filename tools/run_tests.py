"""Run the whole test suite: most of it in worker processes, then what needs the machine alone.

A test marked `alone` measures time or how time grows; beside other tests it would measure them. The
closing line is the sum of both parts, in pytest's own form. Further arguments go to pytest.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOST = 4  # more workers than this wait for the slowest test
NOTHING_CHOSEN = 5  # pytest's exit code when no test was selected


def jobs(cores: int) -> int:
    """Return how many worker processes: one more than cores, for crawls and pages often wait."""
    return max(2, min(MOST, cores + 1))


def read(report: Path) -> tuple[Counter[str], list[str]]:
    """Return how many tests ended how, and the names of those that failed, of a JUnit file."""
    found: Counter[str] = Counter()
    wrong = []
    for case in ET.parse(report).getroot().iter("testcase"):
        ends = {child.tag for child in case} & {"failure", "error", "skipped"}
        end = next((e for e in ("failure", "error", "skipped") if e in ends), "passed")
        found[{"failure": "failed", "error": "errors"}.get(end, end)] += 1
        if end in ("failure", "error"):
            wrong.append(f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}")
    return found, wrong


def closing(found: Counter[str], seconds: float) -> str:
    """Return the line with which pytest would have closed."""
    order = ("failed", "passed", "skipped", "errors")
    parts = [f"{found[name]} {name}" for name in order if found[name]]
    return f"{', '.join(parts) or 'no tests ran'} in {seconds:.2f}s"


def run(arguments: Sequence[str], report: Path) -> int:
    """Run pytest once, its report written to ``report``; return its exit code."""
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *arguments]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    return 0 if code == NOTHING_CHOSEN else code


def main(argv: Sequence[str] | None = None) -> int:
    """Run both parts; return 0 when both passed, else the first exit code that says otherwise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=jobs(os.cpu_count() or 2))
    given, rest = parser.parse_known_args(argv)
    begun = time.monotonic()
    codes: list[int] = []
    found: Counter[str] = Counter()
    wrong: list[str] = []
    side_by_side = ["-n", str(given.jobs), "--dist", "loadfile", "--no-loadscope-reorder"]
    side_by_side += ["-m", "not alone"]
    with tempfile.TemporaryDirectory() as folder:
        for number, chosen in enumerate((side_by_side, ["-m", "alone"])):
            report = Path(folder) / f"{number}.xml"
            codes.append(run([*chosen, *rest], report))
            if report.is_file():
                here, names = read(report)
                found += here
                wrong += names
    sys.stdout.write("".join(f"FAILED {name}\n" for name in wrong))
    sys.stdout.write(f"{closing(found, time.monotonic() - begun)}\n")
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    raise SystemExit(main())
