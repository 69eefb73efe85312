"""How long it takes to retrain the head on decisions, and to fine-tune an encoder a little.

```
python benchmarks/retrain.py [--decisions 10000] [--model models/default] [--processes 2]
python benchmarks/retrain.py --encoder FOLDER --steps 0     # 0: all steps; fewer for an estimate
```
The decisions are pairs made from the reference base with seeds of their own, so that no two are
alike; ten reviewers, half of them flags. One JSON object is printed.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from kiemchung import reference
from models import construct, gates, registry, retrain
from models.finetune import Recipe
from models.train import Data, gather
from tests.models import decided


def decisions(n: int) -> list[construct.Pair]:
    """Return ``n`` different pairs of the reference base."""
    passages = reference.load().passages
    found: dict[tuple[str, str], construct.Pair] = {}
    for seed in range(1, 60):
        for pair in gates.own_pairs(passages, seed=seed):
            found.setdefault((pair.claim, pair.evidence), pair)
        if len(found) >= n:
            break
    return list(found.values())[:n]


def base() -> Data:
    """Return the base that the command takes without further files."""
    return gather(
        passages=reference.load().passages, corpus=None, lexicon=None, files=[], seed=0, limit=1
    )


def cpu() -> float:
    """Return the CPU seconds of this process and its workers."""
    both = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(r.ru_utime + r.ru_stime for r in both)


def main(argv: Sequence[str] | None = None) -> int:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=10_000)
    parser.add_argument("--model", type=Path, default=registry.DEFAULT)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--encoder", default="")
    parser.add_argument("--steps", type=int, default=40)
    given = parser.parse_args(argv)
    pairs = decisions(given.decisions)
    with tempfile.TemporaryDirectory() as scratch:
        rows = decided.decisions(pairs, reviewers=10)
        folder = decided.write(Path(scratch) / "dataset", decided.split_by_story(rows))
        data, out = base(), Path(scratch) / "model"
        began, spent = time.monotonic(), cpu()
        if given.encoder:
            recipe = Recipe(steps=given.steps, checks=1)
            retrain.retrain_encoder(
                out, folder, data, encoder=given.encoder, recipe=recipe, folder=given.model,
                processes=given.processes,
            )  # fmt: skip
        else:
            retrain.retrain_head(out, folder, data, folder=given.model, processes=given.processes)
        told = registry.verify(out).metrics
        found = {
            "model": given.model.name, "encoder": given.encoder, "decisions": len(pairs),
            "wall_s": round(time.monotonic() - began, 1), "cpu_s": round(cpu() - spent, 1),
            "macro_f1": told["test"]["candidate"]["macro_f1"],
            "macro_f1_before": told["test"]["before"]["macro_f1"],
            "batches_to_look_at": len(told["guard"]["batches_to_look_at"]),
        }  # fmt: skip
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
