"""What else befalls a weekly run: a full disk, a taken store, a wrong clock, a second run.

    nice python benchmarks/disturbed.py [--seed N]

Every case begins where those of kills.py begin, and afterwards the same must hold. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.killed_weeks import (
    KILLED,
    Ready,
    Violations,
    check,
    conclude,
    in_memory,
    opened,
    outcome,
    ready,
    review,
    run,
)
from benchmarks.killing import Starter

CLOCKS = {
    "years back": "2001-01-01T00:00+00:00",
    "years ahead": "2037-12-31T23:59+00:00",
    "week 53": "2026-12-31T23:59+07:00",
    "other side of midnight": "2026-10-04T17:00+00:00",
    "an hour that summer time skips": "2026-03-29T02:30+01:00",
}


class Told(dict[str, Any]):
    """Tells each result as it comes, and how many violations there have been by then."""

    def __init__(self, violations: Violations) -> None:
        super().__init__()
        self._violations = violations

    def __setitem__(self, case: str, result: Any) -> None:  # noqa: ANN401
        super().__setitem__(case, result)
        count = sum(self._violations.counts.values())
        sys.stderr.write(f"{case}: {result}, {count} violations\n")


def ends(at: Ready, data: Path, violations: Violations) -> None:
    """Review, start once more, undisturbed, and look at what there is."""
    review(
        data, at.plain.later
    )  # before the run, as in the undisturbed one: its report counts them
    run(at.starters[0], at.sites.job(data, KILLED))
    found = outcome(data, at.folder / "found", KILLED)
    check(data, KILLED, found, at.plain.wanted[KILLED], at.sites, violations)


def refused(starter: Starter, job: Any) -> str:  # noqa: ANN401
    """Return "" for a run that says in one line why it failed, with exit code 1; else what is odd.

    Beside that line stand those of its progress, and warnings of log lines or figures not written.
    """
    _, err = job.told()
    beside = re.compile(r"kiemchung: \w+ \.\.\.|\S+ warning .*|no log file: .*")
    lines = [line for line in err.splitlines() if not beside.fullmatch(line)]
    plain = len(lines) == 1 and lines[0].startswith("kiemchung: ")
    return "" if starter.code == 1 and plain else f"code {starter.code}: {err[-400:]}"


@contextmanager
def small_disk(data: Path, room: int) -> Iterator[Callable[[], None]]:
    """Lay ``data`` on a disk that has ``room`` bytes left; what is yielded makes more."""
    size = sum(p.stat().st_size for p in data.rglob("*") if p.is_file())
    kept = data.with_name(f"{data.name}.kept")
    data.rename(kept)
    data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size + 60_000_000}", "tmpfs", str(data)]
    subprocess.run(mount, check=True)
    ballast = data / "ballast"
    try:
        shutil.copytree(kept, data, dirs_exist_ok=True)
        shutil.rmtree(kept)
        free = shutil.disk_usage(data).free
        with ballast.open("wb") as file:
            for start in range(0, free - room, 1 << 20):
                file.write(b"\0" * min(1 << 20, free - room - start))
        yield ballast.unlink
    finally:
        subprocess.run(["umount", str(data)], check=True)
        data.rmdir()


def full_disk(at: Ready, violations: Violations, rooms: list[int]) -> dict[str, Any]:
    """Run with so many bytes left; what fails says so, and with room the run goes on."""
    told: dict[str, int] = {"failed": 0, "finished": 0}
    odd = []
    for number, room in enumerate(rooms):
        data = at.folder / f"full-{number}"
        shutil.copytree(at.plain.base, data)
        with small_disk(data, room) as make_room:
            job = at.sites.job(data, KILLED)
            at.starters[0].start(job)
            finished = at.starters[0].end() in (0, 2)
            told["finished" if finished else "failed"] += 1
            if not finished and (strange := refused(at.starters[0], job)):
                odd.append(f"{room} bytes: {strange}")
            make_room()
            ends(at, data, violations)
    return {"disks": len(rooms), **told, "not_told_in_one_line": odd}


def file_limit(at: Ready, violations: Violations, limits: list[int]) -> dict[str, Any]:
    """The same by RLIMIT_FSIZE, which needs no rights: no file may be longer than ``limits``."""
    told: dict[str, int] = {"failed": 0, "finished": 0}
    odd = []
    for number, limit in enumerate(limits):
        data = at.folder / f"limit-{number}"
        shutil.copytree(at.plain.base, data)
        job = at.sites.job(data, KILLED, file_limit=limit)
        at.starters[0].start(job)
        finished = at.starters[0].end() in (0, 2)
        told["finished" if finished else "failed"] += 1
        if not finished and (strange := refused(at.starters[0], job)):
            odd.append(f"{limit} bytes: {strange}")
        ends(at, data, violations)
        shutil.rmtree(data)
    return {"limits": len(limits), **told, "not_told_in_one_line": odd}


def taken_store(at: Ready, violations: Violations) -> dict[str, Any]:
    """Run while this process owns the store, and conclude claims meanwhile."""
    data = at.folder / "taken"
    shutil.copytree(at.plain.base, data)
    job = at.sites.job(data, KILLED)
    with opened(data) as store:
        begun = time.monotonic()
        at.starters[0].start(job)
        at.starters[0].until("open")
        conclude(store, at.plain.later)
        code = at.starters[0].end()
        seconds = time.monotonic() - begun
        out = json.loads(job.told()[0])
        assert store.counts()["runs"] == 1
    named = any(str(os.getpid()) in note for note in out["notes"])
    violations.add("next_runs_failed", int(code not in (0, 2) or out["published"] or not named))
    ends(at, data, violations)
    return {"exit_code": code, "published": out["published"], "names_the_process": named,
            "seconds": round(seconds, 1)}  # fmt: skip


def wrong_clocks(at: Ready, violations: Violations) -> dict[str, Any]:
    """Run with the clock elsewhere: week and run stay, nothing is lost, the alarm names it."""
    told = {}
    for number, (name, now) in enumerate(CLOCKS.items()):
        data = at.folder / f"clock-{number}"
        shutil.copytree(at.plain.base, data)
        job = at.sites.job(data, KILLED, now=now)
        run(at.starters[0], job)
        out = json.loads(job.told()[0])
        review(data, at.plain.later)
        found = outcome(data, at.folder / "found", KILLED)
        masked = Violations()
        check(data, KILLED, found, at.plain.wanted[KILLED], at.sites, masked)
        same = masked.counts.pop("exports_unlike_undisturbed")
        same += masked.counts.pop("reports_unlike_undisturbed")  # both tell when it was fetched
        rows = masked.counts.pop("rows_unlike_undisturbed")
        for kind, count in masked.counts.items():
            violations.add(kind, count, f"clock {name}: {masked.told}")
        told[name] = {
            "week": out["week"],
            "run": out["run_id"].startswith(f"{KILLED}-"),
            "flags": out["flags"],
            "rows_as_with_the_right_clock": rows == 0,
            "alarms": [a for a in out["alarms"] if "clock" in a],
        }
        shutil.rmtree(data)
    return told


def two_at_once(
    at: Ready, violations: Violations, dice: random.Random, times: int
) -> dict[str, Any]:
    """Start the same week twice at once, the second at a random moment of the first."""
    told = {"refused_by_name": 0, "both_finished": 0}
    for number in range(times):
        data = at.folder / f"two-{number}"
        shutil.copytree(at.plain.base, data)
        first, second = at.sites.job(data, KILLED), at.sites.job(data, KILLED)
        at.starters[0].start(first)
        at.starters[0].until("start")
        at.starters[0].for_seconds(dice.uniform(0.0, 0.8) * sum(at.plain.seconds.values()))
        shutil.copyfile(first.out, f"{data}.first")
        at.starters[1].start(second)
        code = at.starters[1].end()
        if code == 1 and str(at.starters[0].pid) in second.told()[1]:
            told["refused_by_name"] += 1
        elif code in (0, 2):
            told["both_finished"] += 1  # the first had ended by then
        else:
            violations.add("next_runs_failed", 1, str(second.told()))
        at.starters[0].end()
        ends(at, data, violations)
        shutil.rmtree(data)
    return {"times": times, **told}


def disturb(at: Ready, *, seed: int, few: bool = False) -> dict[str, Any]:
    """Go through all cases; with ``few`` only one of those that are quick and need no rights."""
    violations = Violations()
    found = Told(violations)
    sizes = [60_000] if few else [2_000, 20_000, 60_000, 200_000, 1_000_000, 3_000_000]
    found["file_limit"] = file_limit(at, violations, sizes)
    found["taken_store"] = taken_store(at, violations)
    if not few:
        found["two_at_once"] = two_at_once(at, violations, random.Random(seed), 8)
        found["clocks"] = wrong_clocks(at, violations)
        if os.geteuid() == 0:
            rooms = [0, 5_000, 40_000, 100_000, 200_000, 400_000, 800_000, 3_000_000]
            found["full_disk"] = full_disk(at, violations, rooms)
    return dict(found) | {"violations": violations.counts, "told": violations.told[:20]}


def main() -> None:
    """Print what each case came to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=in_memory()) as folder,
        ready(Path(folder), servers=2) as at,
    ):
        print(json.dumps(disturb(at, seed=given.seed), indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
