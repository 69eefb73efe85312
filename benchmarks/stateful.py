"""Thousands of steps of batches and people in any order, beside a plain model (tests/office.py).

    python benchmarks/stateful.py --steps 10000 --seed 1

Merges of new, repeated, changed and broken batches, conclusions with copies left out, blind
choices, undo, withdrawal, superseded evidence, double review, adjudication, leases, accounts and
restarts. After each step counts, conclusions, disputes, queues, leases and sessions have to be the
model's, and no written row may have changed; at the end of each of the runs so have the exports.
"""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.office import Office


def main() -> int:
    """Run and print how often each rule had its turn."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=50, help="steps of one store")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--shrink", action="store_true", help="look for the shortest way to a fault"
    )
    parser.add_argument("--log", type=Path, help="where the refused batches are logged")
    given = parser.parse_args()
    logging.basicConfig(filename=given.log, level=logging.WARNING if given.log else logging.ERROR)
    phases = [Phase.generate, Phase.shrink] if given.shrink else [Phase.generate]
    wanted = settings(
        max_examples=max(1, given.steps // given.at_once),
        stateful_step_count=given.at_once,
        deadline=None,
        database=None,
        phases=phases,
        verbosity=Verbosity.normal,
        suppress_health_check=list(HealthCheck),
    )
    begun, spent = time.monotonic(), time.process_time()
    run_state_machine_as_test(seed(given.seed)(Office), settings=wanted)
    for rule, count in sorted(Office.steps.items()):
        print(f"{rule:28}{count:8}")
    print(
        f"{sum(Office.steps.values())} steps, seed {given.seed}, 0 violations,"
        f" {time.monotonic() - begun:.0f} s, {time.process_time() - spent:.0f} s of processor"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
