"""Sentences and words against plain underthesea, and how time grows: ratios of one run.

    python benchmarks/text_stage.py [TEXT_FILE]

Without a file the text is the sample week's articles. CPU time of this process.
"""

from __future__ import annotations

import math
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

from nlp.quantities import extract
from nlp.sentences import sentence_spans
from nlp.text import canonical
from nlp.words import segment_words, word_spans

ARTICLES = Path(__file__).resolve().parents[1] / "pipeline" / "demo" / "articles"


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds of one call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def ours(text: str) -> int:
    """Sentences, words and quantities of ``text``; return how many words."""
    clean = canonical(text).text
    extract(clean)
    return sum(map(len, word_spans([clean[a:b] for a, b in sentence_spans(clean)])))


def main() -> None:
    """Print the ratio to the plain library and the growth exponents."""
    if len(sys.argv) > 1:
        text = Path(sys.argv[1]).read_text(encoding="utf-8")
    else:
        files = sorted(ARTICLES.glob("*/*.toml"))
        text = "\n\n".join(
            tomllib.loads(f.read_text(encoding="utf-8"))["body"].replace("\n\n", "\n")
            for f in files
        )
    from underthesea import word_tokenize

    articles = [a for a in text.split("\n\n") if a.strip()]
    paragraphs = [p for p in text.split("\n") if p.strip()]
    segment_words("khởi động")
    word_tokenize("khởi động")
    words = 0
    began = time.process_time()
    for paragraph in paragraphs:
        words += len(word_tokenize(paragraph))
    plain = time.process_time() - began
    print(f"{len(text):,} characters, {words:,} words; plain: {words / plain:,.0f} words/s")
    for name in ("caches cold", "caches warm"):
        whole = cpu_seconds(lambda: [ours(article) for article in articles])
        print(f"{name}: whole text stage {words / whole:,.0f} words/s, {plain / whole:.2f}x plain")
    cut = [[a[i:j] for i, j in sentence_spans(a)] for a in articles]
    only = cpu_seconds(lambda: [word_spans(sentences) for sentences in cut])
    print(f"words alone, caches warm: {words / only:,.0f} words/s, {plain / only:.2f}x plain")
    shapes = {"ordinary": text, "a1.": "a1.", "one run": "a", "marks": "a\u0301", "digits": "1 "}
    for name, shape in shapes.items():
        times = []
        for size in (10_000, 100_000, 1_000_000):
            piece = (shape * (size // len(shape) + 1))[:size]
            times.append(max(1e-3, cpu_seconds(lambda piece=piece: ours(piece))))  # type: ignore[misc]
        growth = math.log10(times[2] / times[1])
        print(f"{name:9} 10 kB {times[0]:.2f} s, 100 kB {times[1]:.2f} s, 1 MB {times[2]:.2f} s,"
              f" growth exponent {growth:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
