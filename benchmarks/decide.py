"""Claims against the reference base: the table of `tests/models/test_decide.py`, as counts.

    python benchmarks/decide.py

Prints JSON: how many claims of each expected label come out so, flagged or not as they should be;
the same around the changes of the law; and what becomes of every passage in its own words.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kiemchung import reference
from kiemchung.domain import Label
from tests.models import test_decide as table

NAMES = {table.S: "supported", table.R: "refuted", table.ANY: "must_not_be_refuted"}


def main() -> None:
    """Print the counts as JSON."""
    cases: Counter[str] = Counter()
    for day, claim, label, kind in table.CASES:
        found = table.said(claim, day)
        name = NAMES.get(label, label)
        cases[name] += 1
        if label == table.ANY:
            right = found.label is not Label.REFUTED and not found.flagged
        elif label == table.R:
            kinds = {str(d.kind) for d in found.differences}
            right = str(found.label) == label and found.flagged and (not kind or kind in kinds)
        else:
            right = str(found.label) == label and not found.flagged
        cases[f"{name}_right"] += right
    in_time = [str(table.said(c, day).label) == label for day, c, label in table.PAIRS_IN_TIME]
    own = Counter(str(table.said(p.text, p.valid_from).label) for p in reference.load().passages)
    print(json.dumps({
        "cases": len(table.CASES),
        "right": sum(n for name, n in cases.items() if name.endswith("_right")),
        **{name: cases[name] for name in NAMES.values()},
        "in_time": len(in_time),
        "in_time_right": sum(in_time),
        "own_words": own.total(),
        "own_words_refuted": own[str(Label.REFUTED)],
        "own_words_supported": own[str(Label.SUPPORTED)] / own.total(),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
