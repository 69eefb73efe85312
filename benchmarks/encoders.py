"""Several encoders and seeds on the same pairs: one table, on a GPU where there is one.

    python benchmarks/encoders.py --pairs FILE ... --held FILE --out DIR
        [--encoder ID_OR_FOLDER ...] [--shape LAYERSxWIDTH ...] [--seeds N] [--epochs 3] [--limit N]

Every encoder is fine-tuned with every seed on the same pairs and measured alone (no comparison
beside it) on the held ones. ``--shape`` is an encoder from a random start in the tokenizer of the
shipped model; without any encoder named the shapes are 4x256, 6x384 and 12x768 on a GPU and 2x128
on a CPU, with five seeds there and two here. A row says which; rows that are there stay.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from kiemchung.domain import LABEL_ORDER, sha256_hex
from kiemchung.errors import InputError
from models import construct, curves, evaluate, experiments, registry
from models.finetune import Recipe, Row, fine_tune, widen
from models.joining import load_encoder, rows_of
from models.marks import TYPES
from models.tokenizer import PhobertBpe

TABLE = "runs.jsonl"


def fresh(shape: str, seed: int) -> tuple[Any, PhobertBpe]:
    """Return an encoder of random weights with the shipped tokenizer."""
    import torch
    from transformers import RobertaConfig, RobertaForSequenceClassification

    layers, _, width = shape.partition("x")
    if not (layers.isdigit() and width.isdigit()):
        raise InputError(f"no shape {shape!r}", where="--shape", remedy="LAYERSxWIDTH, as 4x256")
    bpe = PhobertBpe.of_folder(registry.DEFAULT)
    torch.manual_seed(seed)
    net = RobertaForSequenceClassification(
        RobertaConfig(
            vocab_size=bpe.size, hidden_size=int(width), num_hidden_layers=int(layers),
            num_attention_heads=max(1, int(width) // 64), intermediate_size=4 * int(width),
            max_position_embeddings=258, type_vocab_size=1, pad_token_id=1, bos_token_id=0,
            eos_token_id=2, num_labels=3,
        )
    )  # fmt: skip
    widen(net, TYPES)
    if not torch.cuda.is_available():
        net.set_attn_implementation("eager")
    return net, bpe


def asked(net: Any, rows: list[Row]) -> np.ndarray:  # noqa: ANN401
    """Return the logits of each row, one sequence at a time: no padding, no neighbours."""
    import torch

    net.eval()
    device = next(net.parameters()).device
    found = []
    with torch.no_grad():
        for row in rows:
            ids = torch.tensor([row.ids], device=device)
            types = torch.tensor([row.types], device=device)
            told = net(input_ids=ids, attention_mask=torch.ones_like(ids), token_type_ids=types)
            found.append(told.logits[0].float().cpu().numpy())
    return np.array(found)


def measured(
    name: str, seed: int, train: list[construct.Pair], held: list[construct.Pair], recipe: Recipe
) -> dict[str, Any]:
    """Fine-tune one encoder with one seed and return its row."""
    import torch

    cuda = torch.cuda.is_available()
    shaped = name.removeprefix("shape:")
    net, bpe = fresh(shaped, seed) if shaped != name else load_encoder(name, seed)[:2]
    longest = min(recipe.longest, int(net.config.max_position_embeddings) - 2)
    kept = max(6, len(train) // 10)
    began, cpu = time.monotonic(), time.process_time()
    course = fine_tune(
        net, rows_of(bpe, train[kept:], longest=longest),
        rows_of(bpe, train[:kept], longest=longest), recipe,
    )  # fmt: skip
    taken = time.monotonic() - began
    said = asked(net, rows_of(bpe, held, longest=longest)).argmax(axis=1)
    gold = [p.label for p in held]
    answers = [LABEL_ORDER[i] for i in said]
    return {
        "encoder": name,
        "seed": seed,
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "torch": torch.__version__,
        "parameters": sum(p.numel() for p in net.parameters()),
        "pairs": len(train),
        "held": len(held),
        "steps": course.steps,
        "held_out_loss": course.kept,
        "macro_f1": evaluate.macro_f1(gold, answers),
        "f1": evaluate.f1_by_label(gold, answers),
        "seconds": round(taken, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "recipe": asdict(recipe),
    }


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """Return a line an encoder: mean and spread over its seeds."""
    lines = []
    for name in dict.fromkeys(r["encoder"] for r in rows):
        mine = [r for r in rows if r["encoder"] == name]
        s = curves.spread([r["macro_f1"] for r in mine])
        interval = f" ({s.low:.3f} to {s.high:.3f})" if s.n > 1 else ""
        lines.append(
            f"{name:<24}{mine[0]['parameters'] / 1e6:>7.1f} M  macro-F1 {s.mean:.3f} ± {s.sd:.3f}"
            f"{interval}, {s.n} seeds, {np.mean([r['seconds'] for r in mine]):.0f} s each on"
            f" {mine[0]['device']}"
        )
    return lines


def main(argv: list[str] | None = None) -> int:
    """Train what is missing in the table and print it."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=Path, nargs="+", required=True)
    parser.add_argument("--held", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--encoder", nargs="*", default=[])
    parser.add_argument("--shape", nargs="*", default=[])
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--threads", type=int)
    given = parser.parse_args(argv)
    cuda = torch.cuda.is_available()
    shapes = given.shape or ([] if given.encoder else
                             ["4x256", "6x384", "12x768"] if cuda else ["2x128"])  # fmt: skip
    names = [*given.encoder, *(f"shape:{s}" for s in shapes)]
    seeds = given.seeds or (5 if cuda else 2)
    print(f"{'GPU: ' + torch.cuda.get_device_name() if cuda else 'CPU: the compact shape'},"
          f" {seeds} seeds, {', '.join(names)}")  # fmt: skip
    train = [p for path in given.pairs for p in construct.read_pairs(path)]
    train = experiments.first_by_hash(train, given.limit)
    held = experiments.first_by_hash(construct.read_pairs(given.held), given.limit)
    common = {p.group for p in train} & {p.group for p in held}
    if common:
        raise InputError(f"{len(common)} source texts stand in both", where=str(given.held))
    told = "\n".join(f"{p.claim}\t{p.evidence}\t{p.label}" for p in (*train, *held))
    data = sha256_hex(told.encode("utf-8"))[:16]
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / TABLE
    rows = [json.loads(x) for x in path.read_text("utf-8").splitlines()] if path.is_file() else []
    for name in names:
        for seed in range(seeds):
            key = (name, seed, data, given.epochs, cuda)
            if key in {(r["encoder"], r["seed"], r["data"], r["epochs"], r["cuda"]) for r in rows}:
                continue
            recipe = Recipe(epochs=given.epochs, seed=seed, threads=given.threads)
            row = measured(name, seed, train, held, recipe)
            rows.append(row | {"data": data, "epochs": given.epochs, "cuda": cuda})
            with path.open("a", encoding="utf-8") as table:
                table.write(json.dumps(rows[-1]) + "\n")
    mine = [r for r in rows if r["data"] == data and r["encoder"] in names and r["cuda"] == cuda]
    print("\n".join(summary(mine)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
