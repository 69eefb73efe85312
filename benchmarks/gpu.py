"""Scoring and judging on a GPU: pairs per second, how far from the CPU's answers, actors of Ray.

    python benchmarks/press.py PAGES --articles 1000
    python benchmarks/gpu.py [--pages PAGES --articles 1000] [--pairs 20000] [--readers 0] [--json]

scoring   the shipped model on distinct pairs of passages of the reference base: onnxruntime in one
          thread, torch on the device alone (texts read before), and everything included; largest
          difference of a probability and labels that differ, over the pairs that both scored
base      PhoBERT-base's shape (12x768, 64,001 ids) on random weights, device alone
judging   the stage of the weekly run over --pages, extracted and analysed here first: one process
          and onnxruntime; one process and the GPU; an actor of Ray that holds the GPU, whose bytes
          have to be those of the process; and the same with an actor killed in the middle

Without a GPU it says so and ends with 1. Seconds are of the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import press  # noqa: E402
import scoring  # noqa: E402

from kiemchung import reference  # noqa: E402
from models import batched, registry  # noqa: E402
from models.network import Weights  # noqa: E402
from models.verdict import Verdict  # noqa: E402

ON_CPU = 1_000  # pairs that onnxruntime scores as well


@contextmanager
def timed(into: dict[str, Any], name: str) -> Iterator[None]:
    """Note the seconds of what is done inside."""
    began = time.perf_counter()
    yield
    into[name] = round(time.perf_counter() - began, 3)


def distinct(n: int) -> list[tuple[str, str]]:
    """Return ``n`` distinct pairs: a passage beside two others of the base."""
    texts = [p.text for p in reference.load().passages]
    every = (
        (a, f"{b} {c}") for (a, b), c in zip(product(texts, texts), texts * len(texts), strict=True)
    )
    return list(islice((pair for pair in every if pair[0] not in pair[1]), n))


def gap(one: Sequence[Verdict], other: Sequence[Verdict]) -> dict[str, float]:
    """Return the largest difference of a probability, and how many labels differ."""
    p, q = (np.array([(v.p_supported, v.p_refuted, v.p_nei) for v in x]) for x in (one, other))
    return {
        "largest_difference": float(np.abs(p - q).max()),
        "mean_difference": float(np.abs(p - q).mean()),
        "labels_that_differ": int((p.argmax(axis=1) != q.argmax(axis=1)).sum()),
        "pairs": len(p),
    }


def score(pairs: Sequence[tuple[str, str]], readers: int) -> dict[str, Any]:
    """Score the pairs with the shipped model in three ways."""
    import torch

    found: dict[str, Any] = {"pairs": len(pairs), "readers": readers}
    model = batched.load(registry.DEFAULT, device="cuda")
    found["logit_gap_at_the_start"] = model.gap
    few = pairs[: max(1, len(pairs) // 10)]
    with timed(found, "read_a_tenth_here"):
        ready = [batched.prepare(model.bpe, *p, longest=model.longest) for p in few]
    found["tokens_a_pair"] = float(np.mean([sum(map(len, r.read.ids)) for r in ready if r.read]))
    model.score(ready)  # kernels are chosen at the first call
    many = [ready[i % len(ready)] for i in range(len(pairs))]
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    with timed(found, "device_and_layer"):
        for at in range(0, len(many), batched.WINDOW):
            model.score(many[at : at + batched.WINDOW])
    found["device_mb"] = round(torch.cuda.max_memory_allocated() / 1e6)
    found["device_alone"] = round(_device_alone(model, _sequences(many)), 3)
    with timed(found, "everything"):
        told = list(batched.score_all(model, pairs, folder=registry.DEFAULT, processes=readers))
    plain = registry.load_default()
    with timed(found, "onnxruntime"):
        ours = [plain.judge(*p) for p in pairs[:ON_CPU]]
    found["against_onnxruntime"] = gap(told[:ON_CPU], ours)
    again = list(batched.score_all(model, pairs[::-1], folder=registry.DEFAULT, processes=readers))
    found["in_another_order"] = gap(told, again[::-1])
    n = len(pairs)
    found["pairs_per_second"] = {
        "device alone": round(n / found["device_alone"]),
        "device and layer": round(n / found["device_and_layer"]),
        "everything": round(n / found["everything"]),
        "onnxruntime, one thread": round(len(ours) / found["onnxruntime"]),
    }
    return found


def _sequences(prepared: Sequence[batched.Prepared]) -> list[tuple[Any, Any]]:
    """Return ids and marks of every sequence of these pairs."""
    return [one for p in prepared if p.read for one in zip(p.read.ids, p.read.types, strict=True)]


def _device_alone(model: batched.BatchedModel, ids: Sequence[tuple[Any, Any]]) -> float:
    """Return the seconds of the forward passes over sequences, sorted and batched."""
    import torch

    parts = list(batched.batches([len(x) for x, _ in ids], model.budget))
    model.raw([ids[j][0] for j in parts[-1]], [ids[j][1] for j in parts[-1]])
    torch.cuda.synchronize()
    began = time.perf_counter()
    for part in parts:
        model.raw([ids[j][0] for j in part], [ids[j][1] for j in part])
    torch.cuda.synchronize()
    return time.perf_counter() - began


def base(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Score sequences of the same lengths with PhoBERT-base's shape, random weights."""
    import torch
    from transformers import RobertaConfig, RobertaForSequenceClassification

    from models.finetune import widen
    from models.marks import TYPES

    torch.manual_seed(0)
    net = RobertaForSequenceClassification(
        RobertaConfig(
            vocab_size=scoring.IDS, max_position_embeddings=258, type_vocab_size=1, num_labels=3
        )
    )  # its other sizes are the base shape's
    widen(net, TYPES)
    shape = net.config
    weights = Weights(
        tensors={n: t.numpy() for n, t in net.state_dict().items()},
        layers=shape.num_hidden_layers, heads=shape.num_attention_heads,
        epsilon=shape.layer_norm_eps,
    )  # fmt: skip
    model = batched.load(registry.DEFAULT, device="cuda")
    own = [batched.prepare(model.bpe, *p, longest=model.longest) for p in pairs]
    ids = _sequences(own)
    shaped = replace(
        model,
        weights=weights,
        tensors={n: torch.from_numpy(t).to("cuda") for n, t in weights.tensors.items()},
    )
    seconds = _device_alone(shaped, ids)
    return {
        "shape": "12x768, random weights, float32",
        "pairs": len(own),
        "sequences": len(ids),
        "seconds": round(seconds, 3),
        "pairs_per_second": round(len(own) / seconds),
    }


def judge(folder: Path, articles: int, workers: int) -> dict[str, Any]:
    """Judge one week's pages in each way, from the same analysed shards."""
    from kiemchung.config import load_settings
    from pipeline import publishing, stages
    from pipeline.judging import Judge
    from pipeline.runs import plan
    from pipeline.scale import ray_crew
    from pipeline.weeks import parse_week
    from pipeline.workers import Alone, crew_of

    stages.MENTIONS_PER_SHARD = 100  # shards enough for actors, from a small week
    found: dict[str, Any] = {"articles": articles}
    scratch = Path(tempfile.mkdtemp())
    week = parse_week("2026-W40")
    first = scratch / "first"
    settings = load_settings(data_dir=first)
    run = plan(week, list(press.OUTLETS), settings.sha256(), first)
    many = crew_of(workers)
    with timed(found, "extract_and_analyse"):
        stages.extract(run, press.read(folder, articles), {}, crew=many)
        stages.analyse(run, Judge.load(settings).documents, crew=many)
    written: dict[str, dict[str, bytes]] = {}

    def one(name: str, *, killed: bool = False, **given: Any) -> None:  # noqa: ANN401
        data = scratch / name
        shutil.copytree(first, data)
        own = load_settings(data_dir=data, **given)
        mine = plan(week, list(press.OUTLETS), own.sha256(), data)
        judge_ = Judge.load(own)
        on_ray = given.get("engine") == "ray"
        crew = ray_crew(own, encoder=True) if on_ray else Alone()
        watcher = threading.Thread(target=_kill_one, args=(found,), daemon=True)
        if killed:
            watcher.start()
        with timed(found, name):
            stages.judge(mine, judge_, crew=crew, settings=own if on_ray else None)
        counted = publishing.counts(mine)
        found[f"{name}: judgements"] = counted["judgements"]
        written[name] = {
            p.relative_to(mine.stage("judge")).as_posix(): p.read_bytes()
            for p in sorted(mine.stage("judge").rglob("*"))
            if p.is_file()
        }

    one("cpu")
    one("gpu", device="cuda")
    one("ray", device="cuda", engine="ray", workers=2)
    one("ray_killed", killed=True, device="cuda", engine="ray", workers=2)
    found["shards"] = len(written["gpu"])
    found["ray_writes_the_bytes_of_the_process"] = written["ray"] == written["gpu"]
    found["and_so_with_a_killed_actor"] = written["ray_killed"] == written["gpu"]
    shutil.rmtree(scratch)
    return found


def _kill_one(found: dict[str, Any]) -> None:
    """Kill the process of the first actor seen at work, once."""
    import psutil

    began = time.monotonic()
    while time.monotonic() - began < 120:
        for process in psutil.process_iter(["cmdline", "pid"]):
            line = " ".join(process.info["cmdline"] or [])
            if line.startswith("ray::Hand") and ".do" in line:
                time.sleep(0.5)
                os.kill(process.info["pid"], signal.SIGKILL)
                found["killed"] = line
                return
        time.sleep(0.05)


def main() -> int:
    """Measure and print."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--readers", type=int, default=0, help="processes that read; 0: the cores")
    parser.add_argument("--pages", type=Path, help="a folder of benchmarks/press.py")
    parser.add_argument("--articles", type=int, default=1_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print(f"torch {torch.__version__} sees no GPU: nothing was measured")
        return 1
    readers = given.readers or len(os.sched_getaffinity(0))
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name(), "torch": torch.__version__, "cores": readers
    }  # fmt: skip
    pairs = distinct(given.pairs)
    for name, part in (
        ("scoring", lambda: score(pairs, readers)),
        ("base", lambda: base(pairs[: max(1, len(pairs) // 10)])),
        ("judging", lambda: judge(given.pages, given.articles, readers) if given.pages else {}),
    ):
        found[name] = part()
        text = json.dumps(found[name], ensure_ascii=False, indent=None if given.json else 1)
        print(name, text, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
