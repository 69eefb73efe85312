"""Drift: how often weeks of one kind ring, and how many planted shifts are found.

    python benchmarks/drift.py [--years 20] [--shifts 40] [--seed 0]

Weeks are resampled from one distribution of stories with claims that are alike within a story, with
a swing of its own each week and a season; sizes from 15 to 600 stories. Every week of a year is set
against what came before it, as at work. Then a shift is planted into single weeks of several sizes.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Callable

import numpy as np

from models.drift import Counting, Profile, findings

TOPICS = ("thanh-vien", "von-gop", "vay", "dai-hoi", "dat-dai", "thue", "none")
SHARES = np.array([0.16, 0.12, 0.07, 0.08, 0.05, 0.05, 0.47])
LABELS = ("NOT_ENOUGH_INFO", "SUPPORTED", "REFUTED", "abstained", "failed")
VERDICTS = np.array([0.62, 0.17, 0.05, 0.155, 0.005])
SPEECH = ("own_voice", "direct_quote", "indirect_quote", "headline", "rebuttal")
SPOKEN = np.array([0.72, 0.12, 0.11, 0.045, 0.005])
KINDS = ("CHECKABLE", "OPINION", "FORECAST", "EXPERIENCE", "UNDERSPECIFIED")
KIND = np.array([0.34, 0.24, 0.12, 0.1, 0.2])
Draw = np.random.Generator


def tilted(shares: np.ndarray, at: int, by: float) -> np.ndarray:
    """Return shares with one of them raised by ``by``, the others lowered in proportion."""
    rest = 1.0 - shares[at]
    found = shares * (rest - by) / rest
    found[at] = shares[at] + by
    return found


def week(number: int, stories: int, r: Draw, *, swing: float = 0.06, shift: str = "") -> Profile:
    """Return the profile of one week."""
    counting = Counting()
    season = 0.04 * math.sin(2 * math.pi * number / 52)
    own = r.normal(0.0, swing, 6)
    topics = tilted(SHARES, 3, max(-0.05, min(0.1, season + own[0] / 3)))
    said, spoken, kinds, words, unknown, numbers = VERDICTS, SPOKEN, KIND, 2.95, 0.03, 1.0
    if shift == "topic":
        topics = tilted(topics, 4, 0.25)
    elif shift == "longer":
        words += 0.35
    elif shift == "abstained":
        said = tilted(VERDICTS, 3, 0.25)
    elif shift == "garbled":
        unknown = 0.12
    elif shift == "quotes":
        spoken = tilted(SPOKEN, 1, 0.3)
    elif shift == "numbers":
        numbers = 0.4
    for story in range(stories):
        base = r.normal(words + own[1] / 2, 0.2)
        mine = {
            name: r.dirichlet(np.clip(shares, 1e-4, None) * 3.0)
            for name, shares in (("t", topics), ("v", said), ("s", spoken), ("k", kinds))
        }
        k = 1 + int(r.poisson(5))
        drawn = {
            name: np.minimum(np.searchsorted(np.cumsum(p), r.random(k)), len(p) - 1)
            for name, p in mine.items()
        }
        columns = {
            "claim_words": np.exp(r.normal(base, 0.35, k)).tolist(),
            "speech": [SPEECH[i] for i in drawn["s"]],
            "checkability": [KINDS[i] for i in drawn["k"]],
            "check_worthiness": r.beta(2.0 + own[2], 3.0, k).tolist(),
            "quantities": r.poisson(numbers * math.exp(own[3]), k).astype(float).tolist(),
            "unknown_words": r.beta(1.2, 1.2 / unknown, k).tolist(),
            "topic": [TOPICS[i] for i in drawn["t"]],
            "evidence_words": np.exp(r.normal(4.0 + own[4], 0.6, k)).tolist(),
            "verdict": [LABELS[i] for i in drawn["v"]],
            "p_refuted": r.beta(1.3, 6.0, k).tolist(),
        }
        for i in range(k):
            counting.add(str(story), {name: values[i] for name, values in columns.items()})
    return counting.profile(
        week=f"{2024 + number // 52}-W{number % 52 + 1:02d}", run_id=str(number), outlets=("a",),
        made_with="m",
    )  # fmt: skip


def quiet(years: int, seed: int, size: Callable[[Draw], int], swing: float) -> Counter[str]:
    """Return the alarms of so many quiet years by measure; "weeks" are those that were asked."""
    found: Counter[str] = Counter()
    for year in range(years):
        r = np.random.default_rng([seed, year])
        weeks = [week(n, size(r), r, swing=swing) for n in range(52)]
        for n in range(4, 52):
            found["weeks"] += 1
            told = findings(weeks[n], weeks[:n])
            found["measured"] += sum(f.psi is not None for f in told)
            for f in told:
                found[f.measure] += f.shifted
                found["alarms"] += f.shifted
    return found


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, default=20)
    parser.add_argument("--shifts", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    kinds: dict[str, tuple[Callable[[Draw], int], float]] = {
        "small weeks (15 to 120 stories)": (lambda r: int(r.integers(15, 121)), 0.06),
        "mixed weeks (15 to 600)": (lambda r: int(r.integers(15, 601)), 0.06),
        "mixed weeks, restless (swing 0.2)": (lambda r: int(r.integers(15, 601)), 0.2),
    }
    for name, (size, swing) in kinds.items():
        found = quiet(given.years, given.seed, size, swing)
        rang = {k: n for k, n in found.items() if n and k not in ("weeks", "measured", "alarms")}
        print(f"{name}: {found['alarms']} alarms in {given.years} years,"
              f" {found['measured']} comparisons; {rang}")  # fmt: skip
    print(f"\n{'planted shift':<14}" + "".join(f"{n:>8}" for n in (80, 150, 300, 600)))
    r = np.random.default_rng(given.seed)
    past = [week(n, int(r.integers(60, 401)), r) for n in range(12)]
    wanted = {"topic": "topic", "longer": "claim_words", "abstained": "verdict",
              "garbled": "unknown_words", "quotes": "speech", "numbers": "quantities"}  # fmt: skip
    for shift, measure in wanted.items():
        row = []
        for stories in (80, 150, 300, 600):
            hits = 0
            for _ in range(given.shifts):
                told = findings(week(13, stories, r, shift=shift), past)
                hits += any(f.shifted and f.measure == measure for f in told)
            row.append(hits / given.shifts)
        print(f"{shift:<14}" + "".join(f"{x:>8.0%}" for x in row))


if __name__ == "__main__":
    main()
