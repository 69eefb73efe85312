"""Torch in batches against onnxruntime one sequence at a time, on the same pairs and folder.

    python benchmarks/batched.py --model DIR --jsonl PAIRS [--device cuda] [--pairs 20000]
                                 [--budget 32768] [--alone 200]

Reading (words, sub-words, features) is timed apart from the network: it is the same for both, runs
on the CPU, and `--processes` of `kiemchung verdict` spreads it. Wall time, so on a quiet machine.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from models import batched, registry
from pipeline.records import read_records


def main() -> None:
    """Print pairs a second of each part, and how far the verdicts are apart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--jsonl", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--budget", type=int, default=batched.BUDGET)
    parser.add_argument("--alone", type=int, default=200, help="pairs scored one at a time")
    given = parser.parse_args()
    rows = list(read_records(given.jsonl, ("id", "claim", "evidence")))
    pairs = [(str(r["claim"]), str(r["evidence"])) for r in rows]
    pairs = (pairs * (given.pairs // len(pairs) + 1))[: given.pairs]
    model = batched.load(given.model, device=given.device, budget=given.budget)
    print(f"{model.model_id} on {model.device}, {model.gap:.1e} from the ONNX file")

    begun = time.perf_counter()
    prepared = [batched.prepare(model.bpe, *p, longest=model.longest) for p in pairs]
    reading = time.perf_counter() - begun
    model.score(prepared[:256])  # the first batch pays for what is made once
    begun = time.perf_counter()
    found = model.score(prepared)
    scoring = time.perf_counter() - begun
    tokens = sum(len(ids) for one in prepared if one.read for ids in one.read.ids)
    print(f"read   {len(pairs) / reading:10.1f} pairs/s (one process)")
    print(f"score  {len(pairs) / scoring:10.1f} pairs/s, {tokens / scoring:,.0f} tokens/s")

    reference = registry.load(given.model)
    few = pairs[: given.alone]
    begun = time.perf_counter()
    told = [reference.judge(*pair) for pair in few]
    alone = time.perf_counter() - begun
    print(f"one at a time, reading included: {len(few) / alone:.1f} pairs/s")
    gaps = [abs((a.p_refuted or 0) - (b.p_refuted or 0)) for a, b in zip(found, told, strict=False)]
    flips = sum(a.label is not b.label for a, b in zip(found, told, strict=False))
    print(f"P(REFUTED) differs by {np.max(gaps):.1e} at most, {flips} of {len(few)} labels flip")


if __name__ == "__main__":
    main()
