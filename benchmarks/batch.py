"""A week after fetching: extract, analyse and judge against a plain chain, in one run.

    python benchmarks/batch.py [--articles 10000] [--plain 200] [--workers 0] [--growth 1000,10000]
    python benchmarks/batch.py --articles 1000 --profile

Ours: the very stages of the weekly run, from pages to judgements on disk, in a new data folder.
Plain: `trafilatura.extract`, `underthesea.sent_tokenize` and `word_tokenize`, and the
text-classification pipeline of transformers with the shipped encoder's weights (int8 turned back
into floats), one pair a call, on the first --plain pages, all libraries with their own threads
(--threads sets torch's: on a busy machine its default of one a core makes it wait for itself).

Pairs: every checkable claim beside the passage that retrieval puts first; the plain chain gets
retrieval, claims and their segmentation for nothing. Ours decides the same pairs with rules first
and asks its encoder where a passage is on point: the fewer pairs are told, and the ratio for the
plain chain on those pairs alone beside the other. Both are seconds of the clock an article on all
cores, and CPU seconds, which a busy machine changes less. Flags: of the planted sentences, see
benchmarks/press.py. Memory: the largest sum over the process tree, proportional (PSS) and resident.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import press  # noqa: E402


def _cpu() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


# -- ours ------------------------------------------------------------------------------------


def ours(given: argparse.Namespace) -> dict[str, Any]:
    """Run the stages over the pages in ``given.folder``; return seconds and counts."""
    from kiemchung.config import load_settings
    from kiemchung.domain import Judgement
    from pipeline import publishing, stages
    from pipeline.engines import crew_for
    from pipeline.handover import tables_of
    from pipeline.judging import Judge
    from pipeline.runs import plan
    from pipeline.weeks import parse_week
    from pipeline.workers import crew_of

    data = given.folder / f"data-{given.articles}"
    settings = load_settings(data_dir=data, workers=given.workers, engine=given.engine)
    run = plan(parse_week("2026-W40"), list(press.OUTLETS), settings.sha256(), data)
    crew = crew_for(settings)
    seconds: dict[str, float] = {}
    cpu: dict[str, float] = {}

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        began, used = time.perf_counter(), _cpu()
        yield
        seconds[name], cpu[name] = time.perf_counter() - began, _cpu() - used

    with timed("load"):
        judge = Judge.load(settings)
    with timed("extract"):
        local = crew_of(settings.workers)
        stages.extract(run, press.read(given.folder, given.articles), {}, crew=local)
    with timed("analyse"):
        stages.analyse(run, judge.documents, crew=crew)
    with timed("judge"):
        stages.judge(run, judge, crew=crew, settings=settings)
    counted = publishing.counts(run)
    found = {
        "pages": given.articles, "seconds": seconds, "cpu": cpu, "run": str(run.folder),
        **counted, "known": counted["judgements"] - _entries(data / "remembered.sqlite"),
        "asked": _rows(data / "verdicts.sqlite", "SELECT count(*) FROM checked_verdicts"),
    }  # fmt: skip
    evidence = tables_of(run.stage("judge"), Judgement, columns=["evidence"])
    found["on_point"] = sum(
        '"on_point": true' in row for part in evidence for row in part["evidence"].to_pylist()
    )
    if given.again:
        with timed("repeat"):
            stages.extract(run, press.read(given.folder, given.articles), {}, crew=local)
            stages.analyse(run, judge.documents, crew=crew)
            stages.judge(run, judge, crew=crew, settings=settings)
    return found


def _rows(path: Path, query: str) -> int:
    db = sqlite3.connect(path)
    try:
        return int(db.execute(query).fetchone()[0])
    finally:
        db.close()


def _entries(path: Path) -> int:
    return _rows(
        path,
        "SELECT count(*) FROM entry WHERE version IN"
        " (SELECT n FROM version WHERE kind = 'outcome')",
    )


def judged(run: Path, pages: int, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return, by page of the first ``pages``, its judged claims with the passage put first."""
    from kiemchung import reference
    from kiemchung.domain import Article, Judgement, Mention
    from pipeline.handover import rows_of

    wanted = {p.url for p in press.read(folder, pages)}
    texts = {p.passage_id: p.text for p in reference.load().passages}
    urls = {
        a.article_id: a.url for a in rows_of(run / "analyse", Article, "articles")
        if a.url in wanted
    }  # fmt: skip
    claims = {
        m.mention_id: m for m in rows_of(run / "analyse", Mention, "mentions")
        if m.article_id in urls
    }  # fmt: skip
    found: dict[str, list[dict[str, Any]]] = {url: [] for url in urls.values()}
    for judgement in rows_of(run / "judge", Judgement):
        mention = claims.get(judgement.mention_id)
        if mention is None:
            continue
        first = judgement.evidence[0] if judgement.evidence else None
        found[urls[mention.article_id]].append({
            "claim": mention.text,
            "evidence": texts[first.passage_id] if first else "",
            "asked": any(e.on_point for e in judgement.evidence),
            "flagged": judgement.flagged,
        })  # fmt: skip
    return found


# -- the plain chain -------------------------------------------------------------------------


def checkpoint(folder: Path) -> None:
    """Write the shipped encoder as transformers loads it."""
    import torch
    from transformers import RobertaConfig, RobertaForSequenceClassification

    from models.network import read_weights
    from models.registry import DEFAULT

    weights = read_weights(DEFAULT / "encoder.onnx")
    tensors = {name: torch.from_numpy(t) for name, t in weights.tensors.items()}
    word = tensors["roberta.embeddings.word_embeddings.weight"]
    config = RobertaConfig(
        vocab_size=word.shape[0], hidden_size=word.shape[1], num_hidden_layers=weights.layers,
        num_attention_heads=weights.heads, layer_norm_eps=weights.epsilon,
        intermediate_size=tensors["roberta.encoder.layer.0.intermediate.dense.bias"].shape[0],
        max_position_embeddings=tensors["roberta.embeddings.position_embeddings.weight"].shape[0],
        type_vocab_size=tensors["roberta.embeddings.token_type_embeddings.weight"].shape[0],
        pad_token_id=1, num_labels=3, tokenizer_class="PhobertTokenizer",
        id2label={0: "SUPPORTED", 1: "REFUTED", 2: "NOT_ENOUGH_INFO"},
    )  # fmt: skip
    net = RobertaForSequenceClassification(config)
    missing, unknown = net.load_state_dict(tensors, strict=False)
    if [m for m in missing if not m.endswith(("position_ids", "token_type_ids"))] or unknown:
        raise SystemExit(f"not this encoder: missing {missing}, unknown {unknown}")
    net.save_pretrained(folder)


def theirs(given: argparse.Namespace) -> dict[str, Any]:
    """Run the plain chain over the first pages; return seconds by part and what it flags."""
    import trafilatura
    from transformers import PhobertTokenizer, RobertaForSequenceClassification, pipeline
    from underthesea import sent_tokenize, word_tokenize

    from models.registry import DEFAULT

    net = RobertaForSequenceClassification.from_pretrained(given.folder / "checkpoint").eval()
    tokenizer = PhobertTokenizer(str(DEFAULT / "vocab.txt"), str(DEFAULT / "bpe.codes"))
    if given.threads:
        import torch

        torch.set_num_threads(given.threads)
    classify = pipeline("text-classification", model=net, tokenizer=tokenizer, device=-1)
    pairs = json.loads((given.folder / "pairs.json").read_text(encoding="utf-8"))
    views = {
        text: word_tokenize(text, format="text")
        for rows in pairs.values() for row in rows for text in (row["claim"], row["evidence"])
    }  # fmt: skip
    word_tokenize("khởi động")
    classify({"text": "khởi động", "text_pair": "khởi động"})
    seconds: dict[str, float] = defaultdict(float)
    words = scored = 0
    flagged: list[list[str]] = []
    used = _cpu()
    parts = {"cpu_text": 0.0, "cpu_pairs": 0.0}
    for page in press.read(given.folder, given.plain):
        at = time.perf_counter()
        text = trafilatura.extract(page.body) or ""
        seconds["trafilatura"] += time.perf_counter() - at
        at = time.perf_counter()
        words += sum(len(word_tokenize(sentence)) for sentence in sent_tokenize(text))
        seconds["underthesea"] += time.perf_counter() - at
        now = _cpu()
        parts["cpu_text"] += now - used
        for row in pairs.get(page.url, []):
            if not row["evidence"]:
                continue
            at = time.perf_counter()
            answer = classify(
                {"text": views[row["claim"]], "text_pair": views[row["evidence"]]},
                truncation=True, max_length=256,
            )  # fmt: skip
            spent = time.perf_counter() - at
            seconds["transformers"] += spent
            seconds["transformers on asked pairs"] += spent if row["asked"] else 0.0
            scored += 1
            best = answer[0] if isinstance(answer, list) else answer
            if best["label"] == "REFUTED" and best["score"] >= given.threshold:
                flagged.append([page.url, row["claim"]])
        used = _cpu()
        parts["cpu_pairs"] += used - now
    return {
        "seconds": seconds, "words": words, "pairs": scored, "flagged": flagged, **parts,
    }  # fmt: skip


# -- both ------------------------------------------------------------------------------------


class Watch(threading.Thread):
    """Samples the memory of a process and all below it twice a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.pss, self.rss, self.stopped = pid, 0, 0, threading.Event()

    def run(self) -> None:
        """Sample until it is stopped."""
        import psutil

        while not self.stopped.wait(0.5):
            pss = rss = 0
            try:
                root = psutil.Process(self.pid)
                for process in (root, *root.children(recursive=True)):
                    info = process.memory_full_info()
                    pss, rss = pss + info.pss, rss + info.rss
            except (psutil.Error, OSError):
                continue  # one ended while it was looked at
            self.pss, self.rss = max(self.pss, pss), max(self.rss, rss)


def child(way: str, given: argparse.Namespace, **changed: object) -> dict[str, Any]:
    """Run one way in a process of its own; return what it printed, with the tree's memory."""
    values = vars(given) | changed
    command = [sys.executable, __file__, "--way", way]
    for name in ("articles", "plain", "workers", "engine", "folder", "threshold", "threads"):
        command += [f"--{name}", str(values[name])]
    command += ["--again"] if values["again"] else []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ})
    watch = Watch(process.pid)
    watch.start()
    out, _ = process.communicate()
    watch.stopped.set()
    if process.returncode:
        raise SystemExit(f"{way} ended with code {process.returncode}")
    found: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return found | {"pss_mb": watch.pss / 1e6, "rss_mb": watch.rss / 1e6}


def flags(truth: Path, pages: set[str], flagged: set[tuple[str, str]]) -> str:
    """Return precision and recall over the planted sentences of ``pages``."""
    right = wrong = refuted = planted = 0
    for line in truth.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["url"] not in pages:
            continue
        planted += 1
        is_refuted = row["label"] == "REFUTED"
        refuted += is_refuted
        if (row["url"], row["sentence"]) in flagged:
            right += is_refuted
            wrong += not is_refuted
    precision = f"{right / (right + wrong):.3f}" if right + wrong else "none"
    recall = f"{right / refuted:.3f}" if refuted else "none"
    rest = len([f for f in flagged if f[0] in pages]) - right - wrong
    return (
        f"{planted} planted, {refuted} to flag: precision {precision}, recall {recall},"
        f" {wrong} wrong; {rest} flags on sentences that were not planted"
    )


def compare(given: argparse.Namespace) -> None:
    """Print the table of both ways, and how ours grows."""
    sizes = sorted({*given.growth, given.articles})
    press.write(given.folder, max(sizes), seed=1)
    done = {size: child("ours", given, articles=size, again=size == sizes[0]) for size in sizes}
    print(
        "articles  extract  analyse    judge    total  ms/article  CPU ms/article  PSS MB  RSS MB"
    )
    for size, own in done.items():
        s, total = own["seconds"], _total(own["seconds"])
        print(
            f"{size:8} {s['extract']:8.1f} {s['analyse']:8.1f} {s['judge']:8.1f} {total:8.1f}"
            f" {1000 * total / size:11.2f} {1000 * _total(own['cpu']) / size:15.2f}"
            f" {own['pss_mb']:7.0f} {own['rss_mb']:7.0f}"
        )
    first = done[sizes[0]]
    print(f"the same {sizes[0]} again: {first['seconds']['repeat']:.2f} s")
    for name, measure in (("clock", "seconds"), ("CPU", "cpu")):
        if len(sizes) > 1:
            a, b = done[sizes[0]], done[sizes[-1]]
            growth = math.log(_total(b[measure]) / _total(a[measure])) / math.log(
                sizes[-1] / sizes[0]
            )
            print(f"growth exponent from {sizes[0]} to {sizes[-1]} ({name}): {growth:.3f}")
    own = done[given.articles]
    print(
        f"{own['pages']} pages, {own['articles']} articles, {own['mentions']} sentences,"
        f" {own['checkable']} checkable claims, {own['flags']} flags; {own['known']} claims had"
        f" been judged before (the same sentence on the same day); {own['on_point']} had a passage"
        f" on point, for which the encoder was asked {own['asked']} different pairs"
    )
    if not given.plain:
        return
    found = judged(Path(own["run"]), given.plain, given.folder)
    text = json.dumps(found, ensure_ascii=False)
    (given.folder / "pairs.json").write_text(text, encoding="utf-8")
    checkpoint(given.folder / "checkpoint")
    other = child("theirs", given)
    s, n = other["seconds"], given.plain
    print(f"plain chain on {n} pages, {other['words']} words, {other['pairs']} pairs:")
    for name in ("trafilatura", "underthesea", "transformers"):
        print(f"  {name:13} {1000 * s[name] / n:8.2f} ms/article")
    asked = s["transformers on asked pairs"]
    text_part = s["trafilatura"] + s["underthesea"]
    per = _total(own["seconds"]) / own["pages"]
    cpu = _total(own["cpu"]) / own["pages"]
    whole_cpu = (other["cpu_text"] + other["cpu_pairs"]) / n
    print(f"  PSS {other['pss_mb']:.0f} MB, CPU {1000 * whole_cpu:.2f} ms/article")
    print(f"ratio, articles a second: {(text_part + s['transformers']) / n / per:.2f}")
    print(f"ratio, CPU seconds:       {whole_cpu / cpu:.2f}")
    print(f"ratio where the plain chain scores only pairs on point:"
          f" {(text_part + asked) / n / per:.2f}")  # fmt: skip
    pages = {p.url for p in press.read(given.folder, n)}
    mine = {(url, row["claim"]) for url, rows in found.items() for row in rows if row["flagged"]}
    truth = given.folder / "truth.jsonl"
    print(f"flags, ours:  {flags(truth, pages, mine)}")
    print(f"flags, plain: {flags(truth, pages, {(u, c) for u, c in other['flagged']})}")


def _total(parts: dict[str, float]) -> float:
    return sum(parts[name] for name in ("extract", "analyse", "judge"))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=int, default=10_000)
    parser.add_argument("--plain", type=int, default=200, help="pages of the plain chain; 0: none")
    parser.add_argument("--growth", default="1000", help="further sizes, with commas")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--engine", default="local")
    parser.add_argument("--threads", type=int, default=0, help="of torch in the plain chain")
    parser.add_argument("--threshold", type=float, default=0.75, help="the shipped model's")
    parser.add_argument("--profile", action="store_true", help="where the time goes, one process")
    parser.add_argument("--folder", type=Path, help="keep pages and results here")
    parser.add_argument("--again", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--way", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.growth = [int(size) for size in given.growth.split(",") if size]
    if given.way:
        print(json.dumps({"ours": ours, "theirs": theirs}[given.way](given)))
        return
    with tempfile.TemporaryDirectory() as name:
        given.folder = given.folder or Path(name)
        if given.profile:
            import batch_profile

            batch_profile.show(given.folder, given.articles)
        else:
            compare(given)


if __name__ == "__main__":
    main()
