"""The text stage on the project's own sets: expressions, hard sentence ends, personal data.

    python benchmarks/text_sets.py

Prints JSON. What an expression is, and where a sentence ends, is read as the tests read it
(`tests/nlp`), so that the figure of the docs and the bar of CI are of the same thing.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from nlp.privacy import redact  # noqa: E402
from tests.nlp import test_expressions as expressions  # noqa: E402
from tests.nlp import test_sentences as ends  # noqa: E402


def main() -> None:
    """Print the figures as JSON."""
    wanted = right = spurious = 0
    for sentence, expected in expressions.CASES:
        want, got = Counter(expected.split(" ; ")), expressions.shown(sentence)
        wanted, right = wanted + want.total(), right + (want & got).total()
        spurious += (got - want).total()
    kept = [
        line
        for line in (ROOT / "tests/data/not_personal.txt").read_text("utf-8").split("\n")
        if line and not line.startswith("#")
    ]
    print(json.dumps({
        "expressions": wanted,
        "exact": right,
        "spurious": spurious,
        "hard_cases": len(ends.CASES),
        "hard_f1": ends.f1([ends.ends(case.split(" ¦ ")) for case in ends.CASES]) / 100,
        "not_personal": len(kept),
        "not_personal_changed": sum(redact(line).text != line for line in kept),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
