"""SIGKILLs of the weekly run at random instants of every stage: what is lost, what is doubled.

    nice python benchmarks/kills.py [--kills 1000] [--seed N] [--minutes M] [--cold K] [--folder D]

A trial begins in a folder where a week has been published and reviewed. The next week is started,
killed and started again, sixteen times at random instants of stages drawn in turn, reviews are made
in between, and then it is left to end. What must hold afterwards is compared with a folder in which
nothing was killed, down to the bytes of the exports and of the report. The clock stands still, so
that the hour of fetching is the same in both. Every tenth kill hits the main process alone and
leaves its children behind; the first ``--cold`` kills hit runs of fresh interpreters. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.killed_weeks import (
    KILLED,
    NEXT,
    Ready,
    Violations,
    check,
    in_memory,
    next_wanted,
    outcome,
    ready,
    review,
    run,
)
from benchmarks.killing import STAGES, Cold, Starter

A_TRIAL = 16
"""Kills of one week; an address in hand at 25 of them would be taken for their cause."""
ALONE = 0.1
OUT_OF_ORDER = 0.2
"""Share of kills in a stage that the run had passed, or has not come to, when it is drawn."""


@dataclass(slots=True)
class Tally:
    """What was done, and what came of it."""

    by_stage: Counter[str] = field(default_factory=Counter)  # where the killed runs stood
    aimed_at: Counter[str] = field(default_factory=Counter)
    alone: int = 0
    cold: int = 0
    trials: int = 0
    completed_by_itself: int = 0  # a kill came too late: the run had ended
    next_runs: int = 0
    exit_codes: Counter[str] = field(default_factory=Counter)
    violations: Violations = field(default_factory=Violations)

    @property
    def kills(self) -> int:
        """How many runs were killed."""
        return sum(self.by_stage.values())


class Deck:
    """Draws stages so that each gets its share."""

    def __init__(self, dice: random.Random) -> None:
        self._dice, self._cards = dice, [""] * 0

    def hand(self, count: int) -> list[str]:
        """Return ``count`` stages, mostly in the order in which a run comes to them."""
        drawn = []
        for _ in range(count):
            if not self._cards:
                self._cards = list(STAGES)
                self._dice.shuffle(self._cards)
            drawn.append(self._cards.pop())
        drawn.sort(key=STAGES.index)
        for place in range(count):
            if self._dice.random() < OUT_OF_ORDER:
                other = self._dice.randrange(count)
                drawn[place], drawn[other] = drawn[other], drawn[place]
        return drawn


def strike(starter: Starter, stage: str, seconds: float, *, group: bool) -> str | None:
    """Kill the run that was started in ``stage``; return where it stood, None if it had ended."""
    if not (starter.until(stage) and starter.for_seconds(seconds)):
        return None
    where = starter.stage
    return where if starter.kill(group=group) else None


def trial(at: Ready, starter: Starter, stages: list[str], dice: random.Random,
          tally: Tally) -> None:  # fmt: skip
    """Kill one week as often as there are ``stages``, let it end and look at what it left."""
    sites, plain, folder = at.sites, at.plain, at.folder
    number = tally.trials + 1
    data = folder / f"trial-{number}"
    shutil.copytree(plain.base, data)
    gaps = sorted(dice.sample(range(len(stages)), min(len(stages), len(plain.later))))
    reviews = dict(zip(gaps, plain.later, strict=False))
    job = sites.job(data, KILLED)
    for place, stage in enumerate(stages):
        group = dice.random() >= ALONE
        tally.aimed_at[stage] += 1
        starter.start(job)
        where = strike(starter, stage, dice.uniform(0, 1.1) * plain.seconds[stage], group=group)
        if where is None:
            tally.completed_by_itself += 1
        else:
            tally.by_stage[where] += 1
            tally.alone += not group
            tally.cold += isinstance(starter, Cold)
        if place in reviews:
            review(data, [reviews[place]])
    review(data, plain.later)  # what the gaps had no room for: the last run's report tells them
    starter.start(job)
    code = starter.end()
    tally.exit_codes[str(code)] += 1
    tally.trials += 1
    if code not in (0, 2):
        tally.violations.add("next_runs_failed", 1, str(job.told()))
        return
    found = outcome(data, folder / "found", KILLED)
    check(data, KILLED, found, plain.wanted[KILLED], sites, tally.violations)
    if number % 5 == 0:
        run(starter, sites.job(data, NEXT))
        tally.next_runs += 1
        found = outcome(data, folder / "found", NEXT)
        check(data, NEXT, found, next_wanted(at), sites, tally.violations)
    if not tally.violations.told:
        for left in folder.glob(f"trial-{number}*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def kill_weeks(at: Ready, kills: int, *, seed: int, cold: int = 0, a_trial: int = A_TRIAL,
               minutes: float = 0.0) -> dict[str, Any]:  # fmt: skip
    """Kill until there are ``kills``, or ``minutes`` have gone by; return the figures."""
    dice, tally, cold_starter = random.Random(seed), Tally(), Cold()
    deck = Deck(dice)
    begun = time.monotonic()
    try:
        while tally.kills < kills and not (minutes and time.monotonic() - begun > 60 * minutes):
            icy = min(cold - tally.cold, a_trial)
            stages = deck.hand(min(icy if icy > 0 else a_trial, kills - tally.kills))
            starter = cold_starter if icy > 0 else at.starters[0]
            trial(at, starter, stages, dice, tally)
            said = sum(tally.violations.counts.values())
            _tell(f"{tally.kills} kills, {tally.trials} weeks, {said} violations")
    finally:
        cold_starter.close()
    return {
        "kills": tally.kills,
        "kills_by_stage": {s: tally.by_stage[s] for s in ("forked", *STAGES) if tally.by_stage[s]},
        "aimed_at": {s: tally.aimed_at[s] for s in STAGES},
        "of_main_process_alone": tally.alone,
        "of_fresh_interpreters": tally.cold,
        "runs_that_ended_before_the_kill": tally.completed_by_itself,
        "weeks_completed": tally.trials,
        "exit_codes": dict(tally.exit_codes),
        "next_weeks_run": tally.next_runs,
        "violations": tally.violations.counts,
        "told": tally.violations.told[:20],
        "seconds_a_kill": round((time.monotonic() - begun) / max(1, tally.kills), 2),
        "seconds": round(time.monotonic() - begun, 1),
        "seed": seed,
    }


def _tell(line: str) -> None:
    sys.stderr.write(f"\r{line}   ")
    sys.stderr.flush()


def main() -> None:
    """Print the figures; the folder of a trial in which something did not hold is kept."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--cold", type=int, default=6)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kills-", dir=given.folder or in_memory()))
    with ready(folder) as at:
        found = kill_weeks(at, given.kills, seed=given.seed, cold=given.cold, minutes=given.minutes)
    if found["told"]:
        found["kept"] = str(folder)
    else:
        shutil.rmtree(folder)
    print(json.dumps(found, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
