"""False alarms in healthy years and the failures that are noticed, on simulated outlets.

    python benchmarks/health.py [--seeds 100-119]

Every seed is 24 invented outlets of 2 to 700 articles a week, 52 weeks (tests/crawler/weeks.py).
A failure is put into five weeks of every outlet to which it applies, from week 16 on, and must be
alarmed in that very week by a kind that names it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests.crawler import weeks  # noqa: E402

AT = (16, 23, 30, 37, 44)
COUNTED_FROM = 40.0  # articles a week: below, statistics cannot tell within one week


def raised(visits: list[Any], i: int, expect: Any) -> set[str]:  # noqa: ANN401
    """Return the kinds of alarm of week ``i`` of an outlet."""
    from crawler.health import alarms

    history = [v.week for v in visits[:i]]
    return {a.kind for a in alarms(visits[i].week, history, expect=expect, at=visits[i].at)}


def main() -> None:
    """Print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", default="100-119")
    first, last = parser.parse_args().seeds.split("-")
    false_by_seed: dict[int, int] = {}
    kinds: Counter[str] = Counter()
    hit: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    for seed in range(int(first), int(last) + 1):
        false_by_seed[seed] = 0
        for profile in weeks.profiles(seed):
            visits = weeks.year(profile, seed)
            for i in range(len(visits)):
                found = raised(visits, i, profile.expect)
                false_by_seed[seed] += len(found)
                kinds.update(found)
            for failure in weeks.FAILURES:
                if not failure.applies(profile):
                    continue
                if failure.counted and profile.level < COUNTED_FROM:
                    continue
                for at in AT:
                    if weeks.holiday_near(visits[at]):
                        continue
                    broken = weeks.break_from(visits, at, failure, 1)
                    tried[failure.name] += 1
                    hit[failure.name] += bool(raised(broken, at, profile.expect) & failure.kinds)
    print(json.dumps({
        "outlets": 24, "weeks": 52, "seeds": f"{first}-{last}",
        "false_alarms_per_year_of_24_outlets": {
            "mean": sum(false_by_seed.values()) / len(false_by_seed),
            "worst": max(false_by_seed.values()),
            "by_kind": dict(kinds),
        },
        "noticed_in_the_same_week": {
            name: f"{hit[name]}/{tried[name]}" for name in sorted(tried)
        },
        "shares": {name: hit[name] / tried[name] for name in sorted(tried)},
        "kinds": len(tried),
        "kinds_nearly_always": sum(hit[name] >= 0.996 * tried[name] for name in tried),
    }, indent=1))  # fmt: skip


if __name__ == "__main__":
    main()
