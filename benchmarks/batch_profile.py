"""Where the time of a week goes, and what the floor is: `benchmarks/batch.py --profile`.

One process, no child for the pages: CPU time by cProfile, cumulative for the functions named here,
scaled to the time of the same stage without the profiler. Floors are what remains if everything but
one library call were free: libxml2 alone, trafilatura alone, the word tagger of underthesea alone,
the encoder's ONNX graph alone on the pairs that it was asked.
"""

from __future__ import annotations

import cProfile
import pstats
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import press

PARTS: Final = {
    "extract": (
        ("decode bytes", "crawler/decode.py", "decode"),
        ("parse and clean HTML", "crawler/markup.py", ""),
        ("trafilatura as second opinion", "trafilatura/core.py", ""),
        ("canonical text", "nlp/text.py", "canonical"),
        ("topic", "nlp/topic.py", "topic"),
        ("write Parquet", "kiemchung/shards.py", "write_shard"),
    ),
    "analyse": (
        ("read Parquet", "kiemchung/shards.py", "read_shard"),
        ("sentences", "nlp/sentences.py", "sentences"),
        ("checkability: cues, figures, dates", "nlp/claims.py", "_read_alone"),
        ("checkability: classifier", "nlp/checkability.py", "probabilities"),
        ("speech", "nlp/claims.py", "_speech"),
        ("day of the claim", "pipeline/reading.py", "day_of"),
        ("key of the claim", "nlp/matching.py", "claim_key"),
        ("fingerprint", "nlp/matching.py", "fingerprint"),
        ("stories", "nlp/matching.py", "place"),
        ("remember", "pipeline/remembered.py", "put"),
        ("write Parquet", "kiemchung/shards.py", "write_shard"),
    ),
    "judge": (
        ("read Parquet", "pipeline/verdicts.py", "checkable"),
        ("retrieval", "nlp/retrieval.py", "retrieve"),
        ("documents named", "nlp/timing.py", "named_documents"),
        ("rules on passages", "models/decide/reading.py", "read_passage"),
        ("encoder and comparison", "models/scoring.py", "judge"),
        ("remember", "pipeline/remembered.py", "put"),
        ("write Parquet", "kiemchung/shards.py", "write_shard"),
    ),
}


def cumulative(profile: cProfile.Profile, file: str, function: str) -> float:
    """Return the cumulative seconds of a function, or the largest of its file's functions."""
    stats: Any = pstats.Stats(profile)
    found = [
        entry[3]
        for (path, _, name), entry in stats.stats.items()
        if path.endswith(file) and (name == function or not function)
    ]
    return max(found, default=0.0)


class _Here:
    """Extracts in this process, so that the profiler sees it."""

    def extract(self, body: bytes, **given: Any) -> Any:  # noqa: ANN401
        from crawler.extract import extract_page

        return extract_page(body, **given)

    def close(self) -> None:
        """Nothing is held."""


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds of one call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def show(folder: Path, articles: int) -> None:
    """Print the table."""
    from kiemchung.config import load_settings
    from pipeline import extracting, stages
    from pipeline.judging import Judge
    from pipeline.runs import plan
    from pipeline.weeks import parse_week

    extracting.Extractor = _Here  # type: ignore[assignment, misc]
    press.write(folder, articles, seed=1)
    spent: dict[str, float] = {}
    profiles: dict[str, cProfile.Profile] = {}
    for profiled in (False, True):
        with tempfile.TemporaryDirectory() as name:
            settings = load_settings(data_dir=Path(name))
            run = plan(parse_week("2026-W40"), ["a"], settings.sha256(), Path(name))
            judge = Judge.load(settings)
            work: dict[str, Callable[[], None]] = {
                "extract": lambda run=run: stages.extract(run, press.read(folder, articles), {}),  # type: ignore[misc]
                "analyse": lambda run=run, judge=judge: stages.analyse(run, judge.documents),  # type: ignore[misc]
                "judge": lambda run=run, judge=judge: stages.judge(run, judge),  # type: ignore[misc]
            }
            for stage, do in work.items():
                if profiled:
                    profiles[stage] = cProfile.Profile()
                    profiles[stage].runcall(do)
                else:
                    spent[stage] = cpu(do)
            if profiled:
                floors = _floors(folder, articles, run, judge)
    print(f"{articles} pages, CPU ms an article, one process")
    for stage, parts in PARTS.items():
        print(f"{stage:8} {1000 * spent[stage] / articles:8.2f}")
        stats: Any = pstats.Stats(profiles[stage])
        scale = spent[stage] / stats.total_tt
        for label, file, function in parts:
            seconds = cumulative(profiles[stage], file, function) * scale
            print(f"    {label:36} {1000 * seconds / articles:6.2f}")
    print(f"{'together':8} {1000 * sum(spent.values()) / articles:8.2f}")
    for label, seconds in floors:
        print(f"floor: {label:44} {1000 * seconds / articles:6.2f}")


def _floors(
    folder: Path,
    articles: int,
    run: Any,  # noqa: ANN401
    judge: Any,  # noqa: ANN401
) -> Sequence[tuple[str, float]]:
    import lxml.html
    import trafilatura
    from underthesea import word_tokenize

    from kiemchung.domain import Article, Mention
    from models.encoder import onnx_logits, sequences
    from nlp.words import word_spans
    from pipeline.ahead import _Noting
    from pipeline.handover import rows_of
    from pipeline.reading import mentions

    bodies = [p.body for p in press.read(folder, articles)]
    found = list(rows_of(run.stage("analyse"), Article, "articles"))
    claims = list(rows_of(run.stage("analyse"), Mention, "mentions"))
    noting = _Noting(model_id="", threshold=0.5)
    from dataclasses import replace

    asking = replace(judge, model=noting)
    for mention in claims:
        if mention.checkability == "CHECKABLE":
            asking.judge(mention, run_id="r")
    model = getattr(judge.model, "model", judge.model)
    read = [sequences(model.bpe, *pair, longest=model.longest) for pair in noting.asked]
    rows = [one for r in read for one in zip(r.ids, r.types, strict=True)]
    return (
        ("libxml2 parses the page", cpu(
            lambda: [lxml.html.document_fromstring(b) for b in bodies])),
        ("trafilatura.extract", cpu(lambda: [trafilatura.extract(b) for b in bodies])),
        ("claims of the texts, no files", cpu(
            lambda: [mentions(a, judge.documents, undated=date(2026, 10, 4)) for a in found])),
        ("our tagger on every sentence (not needed)", cpu(
            lambda: word_spans([m.text for m in claims]))),
        ("underthesea.word_tokenize on them (plain chain)", cpu(
            lambda: [word_tokenize(m.text) for m in claims])),
        (f"ONNX alone on the {len(rows)} sequences asked", cpu(
            lambda: [onnx_logits(model.session, *row) for row in rows])),
    )  # fmt: skip
