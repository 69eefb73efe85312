"""Time of one retrieval, at 1,000 and at 100,000 passages, as ratios measured in one run.

    python benchmarks/retrieval.py [--large]

The passages are synthetic: random syllables, four cue groups of three phrases each, a tenth of the
phrases shared by all. The claims are cut from the passages, so that some are on point. The unit of
the ratios is one `str.lower` and split of the same claims, so that machines can be compared.
"""

from __future__ import annotations

import argparse
import random
import resource
import time
from collections.abc import Callable
from datetime import date, timedelta

from kiemchung.domain import Passage, PassageKind
from kiemchung.reference.cues import tokens
from nlp.retrieval import PassageIndex, _view

SYLLABLES = [
    first + vowel + last
    for first in ("b", "ch", "d", "đ", "g", "h", "kh", "l", "m", "nh", "ph", "th", "tr", "v", "x")
    for vowel in ("a", "ă", "ê", "i", "ơ", "ư", "á", "ề", "ộ", "ứ")
    for last in ("", "n", "ng", "m", "c", "t", "i")
]
DAY = date(2025, 1, 1)


def passages(count: int, r: random.Random) -> list[Passage]:
    """Return ``count`` passages of 30 syllables, most of them in force on `DAY`."""
    made = []
    for i in range(count):
        words = r.choices(SYLLABLES, k=26)
        text = "hợp tác xã " + " ".join(words) + " 7 %"
        groups = [("hợp tác xã", "liên hiệp")]
        for at in (0, 8, 16):
            groups.append(tuple(f"{r.choice(SYLLABLES)} {words[at + j]}" for j in range(3)))
        groups[1] = (*groups[1], f"{words[0]} {words[1]}")
        groups[2] = (*groups[2], "# %")
        groups[3] = (*groups[3], f"{words[20]} ~ 7")
        made.append(
            Passage(
                passage_id=f"p{i}",
                doc_id="d",
                kind=PassageKind.STATUTE,
                locator="",
                text=text,
                citation=f"Điều {i % 115}",
                valid_from=DAY - timedelta(days=400 * (1 + i % 9)),
                valid_to=None if i % 10 else DAY,
                url="https://example.org/",
                topic=f"t{i}",
                cues=tuple(groups),
            )
        )
    return made


def claims(base: list[Passage], count: int, r: random.Random) -> list[str]:
    """Return ``count`` claims of about 25 words; every second one keeps its passage's cues."""
    found = []
    for i in range(count):
        words = r.choice(base).text.split()
        kept = words if i % 2 else r.sample(words, k=len(words) - 6)
        found.append((" ".join(kept)).capitalize() + ".")
    return found


def per_call(run: Callable[[str], object], texts: list[str], repeats: int) -> float:
    """Return the best mean of ``repeats`` passes, in milliseconds a call."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        for text in texts:
            run(text)
        best = min(best, time.perf_counter() - start)
    return best / len(texts) * 1000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="also at 100,000 passages")
    arguments = parser.parse_args()
    r = random.Random(7)
    print(f"{'passages':>9} {'build s':>8} {'ms a claim':>11} {'x lower+split':>14} {'x view':>7}")
    for count in (1_000, 100_000) if arguments.large else (1_000,):
        base = passages(count, r)
        texts = claims(base, 400, r)
        start = time.perf_counter()
        index = PassageIndex(base, ())
        built = time.perf_counter() - start
        unit = per_call(lambda text: text.lower().split(), texts, 5)
        view = per_call(lambda text: tokens(_view(text)), texts, 5)
        time_each = per_call(lambda text, i=index: i.retrieve(text, DAY), texts, 5)  # type: ignore[misc]
        print(
            f"{count:>9} {built:>8.2f} {time_each:>11.4f} {time_each / unit:>14.0f} "
            f"{time_each / view:>7.1f}"
        )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {memory:.0f} MB")


if __name__ == "__main__":
    main()
