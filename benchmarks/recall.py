"""Whether the passage that settles a claim is found, and what the whole path makes of the claim.

    python benchmarks/recall.py [--misses] [--json]

Claims of ``tests/data/retrieval_claims.txt``, each with the topic of its passage, on one day.
Beside it the same claims against BM25 alone, without cues.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

from kiemchung import reference
from kiemchung.config import load_settings
from nlp.retrieval import PassageIndex
from pipeline.checking import check_text
from pipeline.judging import Judge

FILE = Path(__file__).resolve().parents[1] / "tests" / "data" / "retrieval_claims.txt"
DAY = date(2025, 3, 1)


def rows() -> list[tuple[str, str]]:
    """Return (topic, claim)."""
    lines = FILE.read_text(encoding="utf-8").split("\n")
    parts = [line.split(" ¦ ") for line in lines if line and not line.startswith("#")]
    return [(topic, claim) for topic, _, claim in parts]


def truths() -> list[bool]:
    """Return whether each claim is true."""
    lines = FILE.read_text(encoding="utf-8").split("\n")
    return [" ¦ true ¦ " in line for line in lines if line and not line.startswith("#")]


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
    whole: dict[str, dict[str, float]] = {}
    for name, ranked in (("cues and BM25", ranks(index)), ("BM25 alone", ranks(blind))):
        count = len(ranked)
        whole[name] = {
            "claims": count,
            "recall_1": sum(r == 1 for r, _ in ranked) / count,
            "recall_5": sum(r > 0 for r, _ in ranked) / count,
            "on_point": sum(p for _, p in ranked) / count,
        }
    judge = Judge.load(load_settings())
    flags, said = [], []
    for _, claim in rows():
        claims = check_text(claim, day=DAY, judge=judge)["claims"]
        flags.append(any(c["flagged"] for c in claims))
        said.append(any(c["label"] == "SUPPORTED" for c in claims))
    true = truths()
    wrong = [c for (_, c), f, t in zip(rows(), flags, true, strict=True) if f and t]
    false_said = [c for (_, c), s, t in zip(rows(), said, true, strict=True) if s and not t]
    if "--json" in sys.argv:
        print(json.dumps({
            "with_cues": whole["cues and BM25"],
            "without_cues": whole["BM25 alone"],
            "false_claims": true.count(False),
            "false_flagged": sum(flags) - len(wrong),
            "false_supported": len(false_said),
            "true_claims": true.count(True),
            "true_supported": sum(said) - len(false_said),
            "true_flagged": len(wrong),
        }))  # fmt: skip
        return
    for name, row in whole.items():
        print(f"{name:14} {row['claims']} claims: recall@1 {row['recall_1']:.3f}, "
              f"@5 {row['recall_5']:.3f}, on point {row['on_point']:.3f}")  # fmt: skip
    print(f"{true.count(False)} false claims: {sum(flags) - len(wrong)} flagged, "
          f"{len(false_said)} called supported")  # fmt: skip
    print(f"{true.count(True)} true claims: {sum(said) - len(false_said)} supported, "
          f"{len(wrong)} flagged")  # fmt: skip
    for claim in wrong + false_said:
        print(f"  wrong: {claim}")
    if "--misses" in sys.argv:
        for (topic, claim), (rank, point) in zip(rows(), ranks(index), strict=True):
            if not point:
                print(f"  {rank} {topic}: {claim}")


if __name__ == "__main__":
    main()
