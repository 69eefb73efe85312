"""Pages as the press prints them, as many as are wanted, made of the development corpus.

    python benchmarks/press.py OUT --articles 10000 [--seed 1]

Every article is put together anew: paragraphs of three news articles of `corpus/vietnews_*`, some
of an article about cooperatives, and in half of them one sentence of the embedded sample, whose
label is known (a true claim, one of ten distortions, an opinion, a rumour). So no text is a copy of
another, and no cache answers for one, except where a sentence about cooperatives comes again on the
same day: `benchmarks/batch.py` says how often. Days of publication are spread over four years, each
on the same side of a change of the law as the planted sentence wants. Twenty page templates of our
own (tests/crawler/variants.py) wrap the articles, with ten kilobytes of menus, teasers, styles and
scripts around them, as on a real page.

OUT receives pages.bin (a line of JSON and the body behind it, for every page) and truth.jsonl.
"""

from __future__ import annotations

import argparse
import json
import lzma
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests.crawler import variants  # noqa: E402

CORPUS = ROOT.parent / "shared" / "data" / "corpus"
OUTLETS = tuple(f"bao-{n}" for n in range(20))
PLANTED = 0.5  # share of articles with a sentence whose label is known
PARAGRAPHS_A_PAGE = 11  # of the corpus, about 650 words
_CHANGES = (date(2023, 9, 1), date(2024, 7, 1))


def plain(text: str) -> str:
    """Return segmented text (``hợp_tác_xã , ...``) as it was printed."""
    text = re.sub(r"\s+([,.;:!?%)\]”…])", r"\1", text.replace("_", " "))
    return re.sub(r"([(\[“])\s+", r"\1", text).strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """What articles are put together of."""

    news: list[list[str]]  # paragraphs of each article
    cooperative: list[tuple[str, str, list[str]]]  # title, lead, paragraphs that name cooperatives
    truth: list[dict[str, Any]]


def load(articles: int) -> Stock:
    """Read as much of the corpus as ``articles`` need, so that a paragraph is seldom used twice."""
    news: list[list[str]] = []
    for path in sorted(CORPUS.glob("vietnews_0*.txt.xz")):
        block: list[str] = []
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                if line.strip():
                    block.append(plain(line))
                    continue
                long = [p for p in block if len(p) > 60]
                if len(long) >= 4:
                    news.append(long)
                block = []
                if len(news) >= articles:
                    break
        if len(news) >= articles:
            break
    cooperative = []
    for line in (CORPUS / "vietnews_coop.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        body = [plain(p) for p in row["body"].split("\n")]
        named = [p for p in body if "hợp tác xã" in p.lower() or "HTX" in p]
        if named:
            cooperative.append((plain(row["title"]), plain(row["abstract"]), named))
    lines = (ROOT / "pipeline/demo/truth.jsonl").read_text(encoding="utf-8").splitlines()
    return Stock(news=news, cooperative=cooperative, truth=[json.loads(line) for line in lines])


def _day(random: Random, wanted: str) -> date:
    """Return a day on which the planted sentence has the label that it had on its own day."""
    if not wanted:
        return date(2022, 6, 1) + timedelta(days=random.randrange(1500))
    day = date.fromisoformat(wanted)
    low = max((c for c in _CHANGES if c <= day), default=date(2022, 1, 1))
    high = min((c for c in _CHANGES if c > day), default=date(2026, 9, 30))
    shifted = day + timedelta(days=random.randrange(0, 90))
    return shifted if low <= shifted < high else day


def _around(random: Random, stock: Stock) -> tuple[str, str]:
    """Return what stands before and behind an article on a real page: about ten kilobytes."""
    teasers = "".join(
        f'<li class="teaser"><a href="/tin-{random.randrange(10**6)}.htm" title="">'
        f"{random.choice(random.choice(stock.news))[:90]}</a><img src='/i/{n}.jpg' alt=''></li>"
        for n in range(25)
    )
    style = "".join(f".c{n}{{margin:{n}px;padding:{n % 7}px;color:#333}}" for n in range(60))
    script = "".join(f"window.q{n}=function(a){{return a+{n}}};" for n in range(50))
    before = f"<style>{style}</style><script>{script}</script>"
    behind = f'<aside class="sidebar"><ul>{teasers}</ul></aside>'
    return before, behind


def page(number: int, stock: Stock, seed: int) -> tuple[dict[str, Any], bytes]:
    """Return one page with what is known of it; the same arguments give the same page."""
    random = Random(f"{seed} {number}")
    title, lead, named = random.choice(stock.cooperative)
    paragraphs = [p for _ in range(3) for p in random.choice(stock.news)[: random.randrange(2, 6)]][
        : PARAGRAPHS_A_PAGE - 3
    ]
    for paragraph in random.sample(named, min(len(named), random.randrange(1, 4))):
        paragraphs.insert(random.randrange(len(paragraphs) + 1), paragraph)
    row = random.choice(stock.truth) if random.random() < PLANTED else None
    if row:
        paragraphs.insert(random.randrange(len(paragraphs) + 1), row["sentence"])
    day = _day(random, row["as_of"] if row else "")
    stamp = f"{day.isoformat()}T{random.randrange(6, 22):02d}:{random.randrange(60):02d}:00+07:00"
    parts = variants.Parts(
        title=f"{title} ở xã số {number}",
        lead=f"{lead} Hợp tác xã trong xã có {number % 89 + 11} hộ.",
        paragraphs=tuple(paragraphs),
        captions=("Ảnh: hợp tác xã cung cấp.", "Quang cảnh buổi họp."),
        related=tuple(random.choice(random.choice(stock.news))[:60] for _ in range(3)),
        tags=("hợp tác xã", "nông thôn", "kinh tế tập thể"),
        byline="Người Viết",
        published=stamp,
        shown=f"{day.day:02d}/{day.month:02d}/{day.year}",
    )
    kinds = list(variants.TEMPLATES.values())
    html: str = kinds[number % len(kinds)](parts)
    before, behind = _around(random, stock)
    html = html.replace("</head>", f"{before}</head>", 1).replace("</body>", f"{behind}</body>", 1)
    outlet = OUTLETS[number % len(OUTLETS)]
    facts = {
        "url": f"https://{outlet}.example/bai-{number}.htm",
        "outlet": outlet,
        "sentence": row["sentence"] if row else "",
        "label": row["label"] if row else None,
        "kind": row["kind"] if row else "",
    }
    return facts, html.encode()


def write(out: Path, articles: int, seed: int) -> None:
    """Write ``articles`` pages and what is known of them."""
    stock = load(articles)
    out.mkdir(parents=True, exist_ok=True)
    with (out / "pages.bin").open("wb") as pages, (out / "truth.jsonl").open("w") as truth:
        for number in range(articles):
            facts, body = page(number, stock, seed)
            head = {"url": facts["url"], "outlet": facts["outlet"], "bytes": len(body)}
            pages.write(json.dumps(head).encode() + b"\n" + body)
            if facts["sentence"]:
                truth.write(json.dumps(facts, ensure_ascii=False) + "\n")


def read(folder: Path, articles: int) -> Iterator[Any]:
    """Yield the first ``articles`` pages as the crawl would hand them over."""
    from crawler.run import FetchedPage
    from kiemchung.domain import sha256_hex

    with (folder / "pages.bin").open("rb") as pages:
        for _ in range(articles):
            line = pages.readline()
            if not line:
                return
            head = json.loads(line)
            body = pages.read(head["bytes"])
            yield FetchedPage(
                url=head["url"], final_url=head["url"], outlet=head["outlet"], status=200,
                content_type="text/html; charset=utf-8", body=body,
                fetched_at=datetime(2026, 10, 2, tzinfo=UTC), raw_sha256=sha256_hex(body),
            )  # fmt: skip


def main() -> None:
    """Write pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--articles", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    write(given.out, given.articles, given.seed)


if __name__ == "__main__":
    main()
