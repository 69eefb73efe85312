"""Control sets: what must never be flagged, and what must reach the verdict.

    python benchmarks/controls.py [--misses] [--json]

Our own sentences in the manner of the press (tests/data/controls), each run alone through the whole
path of `kiemchung check`: detection, speech, day, retrieval, verdict, flag.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import date
from pathlib import Path

from kiemchung.config import load_settings
from kiemchung.domain import Checkability, Speech
from nlp.claims import detect
from pipeline.checking import check_text
from pipeline.judging import Judge

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "data" / "controls"
DAY = date(2025, 3, 1)


def sentences(name: str) -> list[str]:
    """Return the sentences of one control set."""
    lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").split("\n")
    return [line for line in lines if line and not line.startswith("#")]


def as_wanted(name: str, sentence: str) -> bool:
    """Return whether detection puts ``sentence`` where its set says."""
    claims = detect(sentence)
    checkable = any(
        c.checkability is Checkability.CHECKABLE and c.speech is not Speech.REBUTTAL for c in claims
    )
    if name == "rebuttal":
        return all(
            c.speech is Speech.REBUTTAL or c.checkability is not Checkability.CHECKABLE
            for c in claims
        )
    return checkable == (name == "checkable")


def main() -> None:
    """Print, for each set, how many were detected as wanted and how many flagged."""
    judge = Judge.load(load_settings())
    found: dict[str, dict[str, object]] = {}
    for name in ("criticism", "opinion", "rebuttal", "checkable"):
        rows = sentences(name)
        right = [as_wanted(name, row) for row in rows]
        flags, labels = [], Counter[str]()
        for row in rows:
            claims = check_text(row, day=DAY, judge=judge)["claims"]
            labels[next((str(c["label"]) for c in claims if c["label"]), "none")] += 1
            flags.append(any(c["flagged"] for c in claims))
        found[name] = {
            "sentences": len(rows), "as_wanted": sum(right), "flagged": sum(flags),
            "to_the_verdict": sum(n for label, n in labels.items() if label != "none"),
        }  # fmt: skip
        if "--json" in sys.argv:
            continue
        print(f"{name:10} {len(rows)} sentences, as wanted {sum(right)}, flagged {sum(flags)}")
        print(f"           {dict(labels)}")
        if "--misses" in sys.argv:
            for row, ok, flag in zip(rows, right, flags, strict=True):
                if not ok or (flag and name != "checkable"):
                    print(f"  {'FLAG' if flag else 'seen'} {row}")
                elif flag:
                    print(f"  flag {row}")
    if "--json" in sys.argv:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
