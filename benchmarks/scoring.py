"""Scoring speed and memory: our path against the plain transformers pipeline, in one run.

    python benchmarks/scoring.py [--pairs 48] [--shape 12x768] [--model DIR]

Random weights of PhoBERT-base's shape (12 layers of 768, 64,001 ids) and a tokenizer trained on the
fly in PhoBERT's two files; pairs are made from the reference base. Each way runs in a process of
its own with one thread, on text that is already word-segmented; work per second of CPU time, memory
as the high-water mark of the process. The ratio is what counts; texts and weights are the same for
both. With --model a folder's whole path (marks, features and layer included) is timed as well.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from kiemchung import reference
from models import registry

IDS = 64_001


def pairs(n: int) -> list[tuple[str, str]]:
    """Return ``n`` pairs of two or three passages each, about 117 subwords long as in the press."""
    texts = [p.text for p in reference.load().passages]
    ring = list(islice(cycle(texts), n + 3))
    return [(ring[i], f"{ring[i + 1]} {ring[i + 2]}") for i in range(n)]


def build(folder: Path, shape: str) -> None:
    """Write the checkpoint that transformers loads and the int8 file that we load."""
    import torch
    from transformers import RobertaConfig, RobertaForSequenceClassification

    from models.finetune import widen
    from models.joining import export, packed, quantise
    from models.marks import TYPES
    from models.tokenizer import PhobertBpe, train_files
    from nlp.words import phobert_view

    layers, width = map(int, shape.split("x"))
    texts = [phobert_view(p.text) for p in reference.load().passages]
    train_files(texts, folder, size=4_000)
    torch.manual_seed(0)
    net = RobertaForSequenceClassification(
        RobertaConfig(
            vocab_size=IDS, hidden_size=width, num_hidden_layers=layers,
            num_attention_heads=width // 64, intermediate_size=4 * width,
            max_position_embeddings=258, type_vocab_size=1, pad_token_id=1, num_labels=3,
            tokenizer_class="PhobertTokenizer",
        )
    ).eval()  # fmt: skip
    assert PhobertBpe.of_folder(folder).size <= IDS
    net.save_pretrained(folder)
    widen(net, TYPES)
    export(net, folder / "full.onnx", longest=256)
    packed(quantise(folder / "full.onnx", folder / "int8.onnx"), folder)
    for name in ("full", "int8"):
        (folder / f"{name}.onnx").unlink()


def ours(folder: Path, n: int) -> int:
    """Score one pair a call with int8; return the number of subwords."""
    from models.encoder import onnx_logits, open_session
    from models.marks import marks
    from models.tokenizer import PhobertBpe

    bpe, session = PhobertBpe.of_folder(folder), open_session(folder / "encoder.onnx")
    views = json.loads((folder / "views.json").read_text(encoding="utf-8"))

    def one(claim: str, evidence: str) -> int:
        ids = bpe.encode_pair(claim, evidence).ids
        onnx_logits(session, ids, marks(bpe, ids))
        return len(ids)

    one(*views[0])
    began, total = time.process_time(), 0
    for claim, evidence in views:
        total += one(claim, evidence)
    print(json.dumps({"seconds": time.process_time() - began, "tokens": total, "mb": _peak()}))
    return total


def theirs(folder: Path, n: int) -> None:
    """Score one pair a call with the transformers pipeline on fp32 torch."""
    import torch
    from transformers import PhobertTokenizer, RobertaForSequenceClassification, pipeline

    torch.set_num_threads(1)
    net = RobertaForSequenceClassification.from_pretrained(folder)
    tokenizer = PhobertTokenizer(str(folder / "vocab.txt"), str(folder / "bpe.codes"))
    run = pipeline("text-classification", model=net, tokenizer=tokenizer, device=-1)
    told = json.loads((folder / "views.json").read_text(encoding="utf-8"))
    views = [{"text": c, "text_pair": e} for c, e in told]
    run(views[0], truncation=True, max_length=256)
    began = time.process_time()
    for view in views:
        run(view, truncation=True, max_length=256)
    print(json.dumps({"seconds": time.process_time() - began, "mb": _peak()}))


def shipped(folder: Path, n: int) -> None:
    """Score pairs with a model folder, everything included."""
    model = registry.load(folder)
    rows = pairs(n)
    model.judge(*rows[0])
    began = time.process_time()
    for row in rows:
        model.judge(*row)
    print(json.dumps({"seconds": time.process_time() - began, "mb": _peak()}))


def _peak() -> float:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(x for x in status.splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _child(way: str, folder: Path, n: int) -> dict[str, float]:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, "--way", way, "--folder", str(folder), "--pairs", str(n)],
        capture_output=True, text=True, env=env, check=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    """Print pairs per CPU second and peak memory of both ways, and their ratio."""
    from models.encoder import view_of

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=48)
    parser.add_argument("--shape", default="12x768")
    parser.add_argument("--model", type=Path, default=registry.DEFAULT)
    parser.add_argument("--way", choices=("ours", "theirs", "shipped"))
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.way:
        {"ours": ours, "theirs": theirs, "shipped": shipped}[given.way](given.folder, given.pairs)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(folder, given.shape)
        views = [[view_of(c), view_of(e)] for c, e in pairs(given.pairs)]
        (folder / "views.json").write_text(json.dumps(views), encoding="utf-8")
        plain = _child("theirs", folder, given.pairs)
        quick = _child("ours", folder, given.pairs)
    n = given.pairs
    print(f"{n} pairs of {quick['tokens'] / n:.0f} subwords, shape {given.shape}, one thread")
    print(f"transformers pipeline {n / plain['seconds']:7.2f} pairs/CPU s  {plain['mb']:5.0f} MB")
    print(f"ours, int8            {n / quick['seconds']:7.2f} pairs/CPU s  {quick['mb']:5.0f} MB")
    print(f"ratio                 {plain['seconds'] / quick['seconds']:7.2f}")
    own = _child("shipped", given.model, 500)
    size = sum(p.stat().st_size for p in given.model.iterdir()) / 1e6
    print(
        f"{given.model.name}: {500 / own['seconds']:.0f} pairs/CPU s, {own['mb']:.0f} MB, ", end=""
    )
    print(f"folder {size:.1f} MB")


if __name__ == "__main__":
    main()
