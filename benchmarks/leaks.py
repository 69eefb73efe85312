"""The leak check at size: 10,000 rows against 10,000, planted leaks found, none where none is.

    python benchmarks/leaks.py [--rows 10000] [--planted 1000] [SET.jsonl …]

Rows are made up like those of `bigstore`: a claim and two sentences of evidence. A part of the
second file is taken from the first: retyped (case, accents, tone style, blanks), with one word
changed, with the same evidence, or contradicted. Files that are named are looked at as well.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.bigstore import _claim, _words  # noqa: E402
from models import leaks  # noqa: E402
from nlp.text import fold  # noqa: E402

KINDS = ("same_claim", "near_claim", "same_evidence", "conflict")
LABELS = ("SUPPORTED", "REFUTED", "NOT_ENOUGH_INFO")


def _row(rnd: random.Random) -> dict[str, str]:
    evidence = f"{_claim(rnd)} {_words(rnd, 30).capitalize()}."
    return {"claim": _claim(rnd), "evidence": evidence, "label": rnd.choice(LABELS)}


def _leaking(kind: str, rnd: random.Random, old: dict[str, str]) -> dict[str, str]:
    new = _row(rnd)
    if kind == "same_claim":
        changed = rnd.choice([str.upper, fold, lambda t: t.replace(" ", "\u00a0 ")])
        return new | {"claim": changed(old["claim"])}
    if kind == "near_claim":
        words = old["claim"].split()
        plain = [n for n, w in enumerate(words) if w.isalpha()]
        words[rnd.choice(plain)] = "khác"
        return new | {"claim": " ".join(words)}
    if kind == "same_evidence":
        return new | {"evidence": old["evidence"].upper()}
    other = next(label for label in LABELS if label != old["label"])
    return {"claim": old["claim"], "evidence": old["evidence"], "label": other}


def _part(name: str, rows: list[dict[str, str]]) -> leaks.Part:
    return leaks.Part(
        name=name,
        where=[f"{name}:{n}" for n in range(1, len(rows) + 1)],
        claims=[r["claim"] for r in rows],
        evidence=[r["evidence"] for r in rows],
        contexts=[""] * len(rows),
        labels=[r["label"] for r in rows],
    )


def _clocked(parts: list[leaks.Part]) -> tuple[leaks.Report, float]:
    began = time.process_time()
    return leaks.find(parts), round(time.process_time() - began, 1)


def main() -> None:
    """Plant, look, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("sets", type=Path, nargs="*")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--planted", type=int, default=1_000, help="Of each kind.")
    given = parser.parse_args()
    rnd = random.Random(1)
    train = [_row(rnd) for _ in range(given.rows)]
    test = [_row(rnd) for _ in range(given.rows)]
    clean, seconds = _clocked([_part("train", train), _part("test", test)])
    at = rnd.sample(range(given.rows), given.planted * len(KINDS))
    planted: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}
    for n, place in enumerate(at):
        kind, source = KINDS[n % len(KINDS)], rnd.randrange(given.rows)
        test[place] = _leaking(kind, rnd, train[source])
        planted[kind][f"test:{place + 1}"] = f"train:{source + 1}"
    found, with_leaks = _clocked([_part("train", train), _part("test", test)])
    told = {k: {x.where: x.other for x in leak} for k, leak in found.leaks.items()}
    result: dict[str, Any] = {
        "rows": [given.rows, given.rows],
        "clean": {"leaks": clean.total, "cpu_seconds": seconds},
        "planted": {
            kind: {
                "planted": len(wanted),
                "found": sum(where in told[kind] for where in wanted),
                "with_its_source": sum(told[kind].get(w) == s for w, s in wanted.items()),
            }
            for kind, wanted in planted.items()
        },
        "cpu_seconds": with_leaks,
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    if given.sets:
        report, spent = _clocked([leaks.read_part(p) for p in given.sets])
        result["sets"] = report.as_dict(limit=3) | {"cpu_seconds": spent}
    print(json.dumps(result, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
