"""The same sentence on two days: which law was in force decides.

    python benchmarks/law_in_time.py [--json]

Pairs of ``tests/data/law_in_time.txt`` around 2013-07-01, 2023-09-01 and 2024-07-01, through the
whole path of `kiemchung check`. A pair is right when both days come out as written.
"""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path

from kiemchung.config import load_settings
from pipeline.checking import check_text
from pipeline.judging import Judge

FILE = Path(__file__).resolve().parents[1] / "tests" / "data" / "law_in_time.txt"
LABELS = {"SUPPORTED": "S", "REFUTED": "R", "NOT_ENOUGH_INFO": "N"}


def pairs() -> list[tuple[str, list[tuple[date, str]]]]:
    """Return each sentence with its days and what it is on each."""
    found = []
    for line in FILE.read_text(encoding="utf-8").split("\n"):
        if line and not line.startswith("#"):
            text, *days = line.split(" ¦ ")
            found.append((text, [(date.fromisoformat(d[:10]), d[11:]) for d in days]))
    return found


def outcome(text: str, day: date, judge: Judge) -> str:
    """Return S, R or N as shown to a reviewer: R only where it is flagged."""
    claims = check_text(text, day=day, judge=judge)["claims"]
    label = next((LABELS[c["label"]] for c in claims if c["label"]), "N")
    if any(c["flagged"] for c in claims):
        return "R"
    return "N" if label == "R" else label


def main() -> None:
    """Print how many pairs are right, and every day that is not."""
    judge = Judge.load(load_settings())
    right = harmful = 0
    wrong = []
    for text, days in pairs():
        got = [outcome(text, day, judge) for day, _ in days]
        right += all(g == want for g, (_, want) in zip(got, days, strict=True))
        for g, (day, want) in zip(got, days, strict=True):
            harmful += g == "R" != want
            if g != want:
                wrong.append(f"  {day} wanted {want}, got {g}: {text}")
    if "--json" in sys.argv:
        print(json.dumps({"pairs": len(pairs()), "right": right, "wrongly_flagged_days": harmful}))
        return
    for line in wrong:
        print(line)
    print(f"{right} of {len(pairs())} pairs right; wrongly flagged days: {harmful}")


if __name__ == "__main__":
    main()
