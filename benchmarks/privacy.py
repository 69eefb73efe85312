"""How often personal data is found in news and in statutes, and how fast.

    python benchmarks/privacy.py [--shards 2] [--show 100] [--kind phone]

News comes segmented and is put together again, so the spaces around signs are near to the original,
not equal to it. In statutes there is next to nothing to find: what is found there is looked at one
by one. With ``--show`` finds are drawn and printed with what stands around them, to be counted by
hand; nothing is written anywhere.
"""

from __future__ import annotations

import argparse
import lzma
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from nlp.privacy import find, redact  # noqa: E402

CORPUS = ROOT.parent / "shared" / "data" / "corpus"


def together(text: str) -> str:
    """Return segmented text as it was written, as nearly as can be told."""
    text = text.replace("_", " ")
    text = re.sub(r" ([,.;:!?)\]}%…”])", r"\1", text)
    return re.sub(r"([(\[{“]) ", r"\1", text)


def blocks(path: Path) -> Iterator[str]:
    """Yield the blocks of a packed text, which blank lines part."""
    lines: list[str] = []
    with lzma.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            if line.strip():
                lines.append(line.rstrip("\n"))
            elif lines:
                yield "\n".join(lines)
                lines = []
    if lines:
        yield "\n".join(lines)


def main() -> None:
    """Read, count, and show a sample where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--show", type=int, default=0)
    parser.add_argument("--kind", default="")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    sources = {
        "news": [
            p for n in range(given.shards) for p in given.corpus.glob(f"vietnews_{n:02d}.txt.xz")
        ],
        "statutes": [given.corpus / "statutes_codified.txt.xz"],
    }
    shown = random.Random(given.seed)
    for name, paths in sources.items():
        counts: Counter[str] = Counter()
        texts = characters = touched = 0
        seconds = 0.0
        samples: list[str] = []
        for path in paths:
            for block in blocks(path):
                text = together(block) if name == "news" else block
                began = time.perf_counter()
                done = redact(text, signed=name == "news")
                seconds += time.perf_counter() - began
                texts += 1
                characters += len(text)
                touched += bool(done.counts)
                counts.update(done.counts)
                if given.show and done.counts:
                    samples += [
                        f"{s.kind}: …{text[max(0, s.start - 70) : s.start]}"
                        f"⟦{text[s.start : s.end]}⟧{text[s.end : s.end + 30]}…".replace("\n", " ¶ ")
                        for s in find(text, signed=name == "news")
                        if given.kind in ("", s.kind)
                    ]
        print(
            f"{name}: {texts} blocks, {characters / 1e6:.1f} M signs, {touched} with personal data"
            f" ({100 * touched / max(texts, 1):.2f} %), {characters / 1e6 / seconds:.2f} M signs/s"
        )
        for kind, n in sorted(counts.items()):
            print(f"  {kind:14} {n}")
        for line in shown.sample(samples, min(given.show, len(samples))):
            print(f"  {line}")


if __name__ == "__main__":
    main()
