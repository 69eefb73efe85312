"""Matching of claims and articles: how well, how fast, and how memory grows.

    python benchmarks/matching.py [--pairs-only] [--json]

Pairs of ``tests/data/same_claims.txt``; then mentions and articles made from its claims. CPU time.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
import time
import tracemalloc
from pathlib import Path

from nlp.matching import claim_key, stories

FILE = Path(__file__).resolve().parents[1] / "tests" / "data" / "same_claims.txt"


def main() -> None:
    """Print pairwise F1, mentions a second and articles a second."""
    groups: list[list[tuple[str, str]]] = []
    for line in FILE.read_text(encoding="utf-8").split("\n"):
        if line.startswith("* "):
            groups.append([])
        if line[:2] in ("* ", "= ", "! "):
            groups[-1].append((line[0], line[2:]))
    pairs = right = wrong = missed = 0
    for group in groups:
        for (x, a), (y, b) in itertools.combinations(group, 2):
            if x == y == "!":
                continue
            same, together = "!" not in (x, y), claim_key(a) == claim_key(b)
            pairs, right = pairs + 1, right + (same and together)
            wrong, missed = wrong + (together and not same), missed + (same and not together)
    f1 = 2 * right / (2 * right + wrong + missed)
    if "--json" in sys.argv:
        print(json.dumps({"pairs": pairs, "f1": f1, "wrongly_merged": wrong}))
    else:
        print(f"{pairs} pairs: F1 {f1:.3f}, wrongly merged {wrong}")
    if "--pairs-only" in sys.argv:
        return
    dice = random.Random(0)
    claims = [text for group in groups for _, text in group]
    mentions = [f"{dice.choice(claims)[:-1]} ở xã {dice.randrange(5000)}." for _ in range(100_000)]
    began = time.process_time()
    keys = {claim_key(m) for m in mentions}
    spent = time.process_time() - began
    print(f"100,000 mentions, {len(keys):,} claims: {spent:.1f} s of CPU")
    for count in (1000, 4000):
        texts = [(str(n), "\n".join(dice.choices(mentions, k=12))) for n in range(count)]
        tracemalloc.start()
        began = time.process_time()
        stories(texts)
        spent = time.process_time() - began
        peak = tracemalloc.get_traced_memory()[1] / count / 1024
        tracemalloc.stop()
        print(f"{count:,} articles into stories: {spent:.1f} s, {peak:.1f} kB an article")


if __name__ == "__main__":
    sys.exit(main())
