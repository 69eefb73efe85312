"""Explanations: how many verdicts have one, move without it, and name the edit that was made.

    python benchmarks/explanations.py [--model DIR] [--pairs FILE] [--json]

Pairs of the reference base, or of a file of `kiemchung data construct`; only right verdicts count.
"Faithful": with all carriers put right, the label goes. "Named": the heaviest carrier is of the
kind of the edit. As a control, as many words of the claim are dropped at random instead.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from pathlib import Path

from kiemchung import reference
from kiemchung.domain import Label
from models import gates, registry
from models.construct import read_pairs
from models.explain import explain


def main() -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=registry.DEFAULT)
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--most", type=int, default=800)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    model = registry.load(given.model)
    rows = read_pairs(given.pairs) if given.pairs else gates.own_pairs(reference.load().passages)
    r = random.Random(0)
    r.shuffle(rows)
    count: Counter[str] = Counter()
    for p in rows[: given.most]:
        if p.label is Label.NOT_ENOUGH_INFO:
            continue
        found = explain(model, p.claim, p.evidence)
        if found.verdict.label is not p.label:
            continue
        side = str(p.label)
        count[f"{side} right"] += 1
        count[f"{side} explained"] += bool(found.carriers)
        count[f"{side} faithful"] += found.faithful
        if p.label is Label.REFUTED and found.carriers:
            kind = p.kind.removeprefix("base ")
            count["named"] += found.carriers[0].kind == kind
            words = p.claim.split()
            for _ in found.carriers:
                words.pop(r.randrange(len(words)))
            after = model.judge(" ".join(words), p.evidence).label
            count["moved by chance"] += after is not Label.REFUTED
    if given.json:
        told: dict[str, object] = {
            side: {
                "right": count[f"{side} right"],
                "explained": count[f"{side} explained"] / max(1, count[f"{side} right"]),
                "faithful": count[f"{side} faithful"] / max(1, count[f"{side} right"]),
            }
            for side in ("REFUTED", "SUPPORTED")
        }
        n = max(1, count["REFUTED explained"])
        told["named"] = count["named"] / n
        told["moved_by_chance"] = count["moved by chance"] / n
        print(json.dumps(told))
        return
    for side in ("REFUTED", "SUPPORTED"):
        n = max(1, count[f"{side} right"])
        print(f"{side:10} right {n}, explained {count[f'{side} explained'] / n:.3f}, "
              f"faithful {count[f'{side} faithful'] / n:.3f}")  # fmt: skip
    n = max(1, count["REFUTED explained"])
    print(f"heaviest carrier is of the edit's kind: {count['named'] / n:.3f}")
    print(f"as many words dropped at random move the label: {count['moved by chance'] / n:.3f}")


if __name__ == "__main__":
    main()
