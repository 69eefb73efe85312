"""The text stage on hostile shapes of text, and its memory over many articles.

    python benchmarks/text_shapes.py [--only NAME ...]

Each shape is cut to 100 kB and 1 MB, each in a process of its own: CPU seconds of canonical text,
sentences, words, quantities and claims, the growth exponent between the two, and the highest memory
of that process. Then the sample's articles are read ten and fifty times over in one process,
changed a little each time.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import random
import time
import tomllib
from pathlib import Path

from crawler.run import peak_bytes
from nlp.claims import detect
from nlp.matching import claim_key
from nlp.quantities import extract
from nlp.sentences import sentence_spans
from nlp.text import canonical, skeleton
from nlp.words import word_spans

ARTICLES = Path(__file__).resolve().parents[1] / "pipeline" / "demo" / "articles"
SHAPES = {
    "a1.": "a1.", "a.": "a.", "letters": "a", "combining marks": "a\u0301",
    "marks alone": "\u0301", "digits": "1", "numbers": "1 ", "years": "2024 ", "dots": ".",
    "stops": ". ", "ellipses": "… ", "quotes open": "“a ", "quotes": "”", "brackets": "((((",
    "entities": "&amp;", "half entities": "&am", "zero width": "\u200b", "bidi": "\u202e",
    "newlines": "\n", "blanks": " ", "tabs": "\t", "initials": "A. ", "abbreviations": "TP. ",
    "markers": "1. ", "slashes": "1/", "percents": "1% ", "words for numbers": "hai mươi ",
    "năm": "năm ", "mười": "mười ", "Điều": "Điều 9 ", "lists": "Điều 8, 9, ",
    "luật này": "luật này ", "giai đoạn": "2021-", "cho biết": "ông cho biết ",
    "không": "không ", "theo": "theo ", "commas": "a, ", "semicolons": "có a b c; ",
    "emoji": "😂", "hangul": "ᄀ", "surrogates": "\ud800", "dotted": "h.ợ.p ",
    "capitals": "HỢP TÁC XÃ ", "hyphens": "a-", "urls": "http://a.vn/", "mails": "a@b.vn ",
    "tone": "hòa ", "thin space": "a\u2009",
}  # fmt: skip


def stage(text: str) -> int:
    """Run the whole text stage; return the number of claims."""
    clean = canonical(text).text
    word_spans([clean[a:b] for a, b in sentence_spans(clean)])
    extract(clean)
    skeleton(clean)
    claims = detect(clean)
    for claim in claims[:200]:
        claim_key(claim.text)
    return len(claims)


def seconds(text: str) -> float:
    """Return the CPU seconds of one run."""
    began = time.process_time()
    stage(text)
    return max(1e-3, time.process_time() - began)


def measured(name: str) -> tuple[float, float, float, str]:
    """Return CPU seconds of 1 MB, growth exponent, peak in MB and name of a shape."""
    shape = SHAPES[name]
    small, large = (seconds((shape * (n // len(shape) + 1))[:n]) for n in (100_000, 1_000_000))
    growth = math.log10(large / small) if large > 0.3 else 0.0
    return large, growth, peak_bytes() / 2**20, name


def main() -> None:
    """Print the slowest shapes and the memory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="+", choices=SHAPES, default=list(SHAPES), metavar="NAME")
    chosen = parser.parse_args().only
    stage("Hợp tác xã có 5 thành viên.")
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        rows = sorted(pool.map(measured, chosen, chunksize=1), reverse=True)
    for large, growth, peak, name in rows[:12]:
        print(f"{name:18} 1 MB {large:6.2f} s, growth exponent {growth:.2f}, {peak:.0f} MB")
    growth, peak = max(r[1] for r in rows), max(r[2] for r in rows)
    quick = sum(r[0] <= 10 for r in rows)
    print(
        f"{len(rows)} shapes, {quick} within 10 s, worst {rows[0][0]:.1f} s,"
        f" growth exponent at most {growth:.2f}, memory at most {peak:.0f} MB"
    )
    files = sorted(ARTICLES.glob("*/*.toml"))
    bodies = [tomllib.loads(f.read_text(encoding="utf-8"))["body"] for f in files]
    dice = random.Random(0)
    for rounds in (10, 50):
        for _ in range(rounds):
            for body in bodies:
                stage(body.replace("hợp tác xã", f"hợp tác xã số {dice.randrange(10**6)}"))
        print(
            f"{rounds * len(bodies):,} articles more: {peak_bytes() / 2**20:.0f} MB at most so far"
        )


if __name__ == "__main__":
    main()
