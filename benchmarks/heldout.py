"""The claim path on sentences written blind: nothing was tuned on them before they were measured.

    python benchmarks/heldout.py [tests/data/heldout_claims.jsonl] [--json]

Each line holds one sentence, its day of publication and how it stands to the law of that day. The
whole path of `kiemchung check` is run: claim detection, speech, the day of the claim, retrieval,
verdict and flag.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import date
from pathlib import Path

from kiemchung.config import load_settings
from pipeline.checking import check_text
from pipeline.demo.scoring import wilson_lower
from pipeline.judging import Judge

DEFAULT = Path(__file__).resolve().parents[1] / "tests" / "data" / "heldout_claims.jsonl"


def main() -> None:
    """Print precision, recall, controls and every sentence that came out wrong."""
    named = [a for a in sys.argv[1:] if not a.startswith("--")]
    path = Path(named[0]) if named else DEFAULT
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    judge = Judge.load(load_settings())
    flagged, wrong, missed, labels = 0, [], [], Counter[tuple[str, str]]()
    for row in rows:
        claims = check_text(row["text"], day=date.fromisoformat(row["date"]), judge=judge)["claims"]
        hit = any(c["flagged"] for c in claims)
        said = next((c["label"] for c in claims if c["label"]), None)
        state = said or (claims[0]["checkability"] if claims else "none")
        labels[(str(row["label"]), str(state))] += 1
        flagged += hit
        if hit and row["label"] != "REFUTED":
            wrong.append(row)
        if row["label"] == "REFUTED" and not hit:
            missed.append((row, state))
    refuted = sum(r["label"] == "REFUTED" for r in rows)
    supported = labels[("SUPPORTED", "SUPPORTED")]
    right = flagged - len(wrong)
    controls = [r for r in rows if r["label"] is None]
    if "--json" in sys.argv:
        print(json.dumps({
            "sentences": len(rows),
            "flags": flagged,
            "flags_right": right,
            "refuted": refuted,
            "refuted_found": refuted - len(missed),
            "supported": sum(r["label"] == "SUPPORTED" for r in rows),
            "supported_said": supported,
            "controls": len(controls),
            "controls_flagged": sum(r["label"] is None for r in wrong),
        }))  # fmt: skip
        return
    print(f"{len(rows)} sentences, {flagged} flags")
    if flagged:
        lower = wilson_lower(right, flagged)
        print(f"precision {right / flagged:.3f} ({right} of {flagged}, lower bound {lower:.3f})")
    print(
        f"recall {(refuted - len(missed)) / max(1, refuted):.3f}"
        f" ({refuted - len(missed)} of {refuted})"
    )
    print(f"supported and said so: {supported} of {sum(r['label'] == 'SUPPORTED' for r in rows)}")
    print(f"controls flagged: {sum(r['label'] is None for r in wrong)} of {len(controls)}")
    for row in wrong:
        print(f"  wrong  {row['kind']:18} {row['date']} {row['text']}")
    for row, state in missed:
        print(f"  missed {row['kind']:18} {row['date']} {row['text']} [{state}]")
    print(dict(sorted(labels.items())))


if __name__ == "__main__":
    main()
