"""Whether the passage that settles a claim is found: recall at 1 and at 5.

    python benchmarks/recall.py [--misses]

Claims of ``tests/data/retrieval_claims.txt``, each with the topic of its passage, on one day.
Beside it the same claims against BM25 alone, without cues.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

from kiemchung import reference
from nlp.retrieval import PassageIndex

FILE = Path(__file__).resolve().parents[1] / "tests" / "data" / "retrieval_claims.txt"
DAY = date(2025, 3, 1)


def rows() -> list[tuple[str, str]]:
    """Return (topic, claim)."""
    lines = FILE.read_text(encoding="utf-8").split("\n")
    parts = [line.split(" ¦ ") for line in lines if line and not line.startswith("#")]
    return [(topic, claim) for topic, claim in parts]


def ranks(index: PassageIndex) -> list[tuple[int, bool]]:
    """Return for each claim the rank of its topic's passage (0: not among 5), and if on point."""
    out = []
    for topic, claim in rows():
        found = index.retrieve(claim, DAY, k=5).found
        hits = [(e.rank, e.on_point) for p, e in found if p.topic == topic]
        out.append(hits[0] if hits else (0, False))
    return out


def main() -> None:
    """Print recall with cues and without."""
    base = reference.load()
    index = PassageIndex(base.passages, base.documents)
    blind = PassageIndex([replace(p, cues=()) for p in base.passages], base.documents)
    for name, found in (("cues and BM25", ranks(index)), ("BM25 alone", ranks(blind))):
        count = len(found)
        first, five = sum(r == 1 for r, _ in found), sum(r > 0 for r, _ in found)
        point = sum(p for _, p in found)
        print(f"{name:14} {count} claims: recall@1 {first / count:.3f}, @5 {five / count:.3f}, "
              f"on point {point / count:.3f}")  # fmt: skip
    if "--misses" in sys.argv:
        for (topic, claim), (rank, point) in zip(rows(), ranks(index), strict=True):
            if not point:
                print(f"  {rank} {topic}: {claim}")


if __name__ == "__main__":
    main()
