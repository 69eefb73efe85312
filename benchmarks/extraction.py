"""Body F1, title, lead and date on twenty templates of our own, beside trafilatura alone.

    python benchmarks/extraction.py

Word-shingle F1 over invented articles (tests/crawler/variants.py), without any outlet file, in one
run. What it says about real sites is limited: the templates are ours.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests.crawler import variants  # noqa: E402


def main() -> None:
    """Print JSON."""
    import trafilatura

    from crawler.extract import extract_page

    ours: list[float] = []
    theirs: list[float] = []
    right = {"title": 0, "lead": 0, "date": 0}
    spent = {"ours": 0.0, "trafilatura": 0.0}
    extract_page(variants.TEMPLATES["vccorp"](variants.ARTICLES[0]).encode(), url="http://a.vn/a")
    for make in variants.TEMPLATES.values():
        for wanted in variants.ARTICLES:
            html = make(wanted)
            begun = time.process_time()
            page = extract_page(html.encode(), url="https://a.vn/bai-1.htm")
            between = time.process_time()
            other = trafilatura.extract(html, include_comments=False, with_metadata=False) or ""
            spent["ours"] += between - begun
            spent["trafilatura"] += time.process_time() - between
            ours.append(variants.f1(page.body, wanted.body))
            theirs.append(variants.f1(other, wanted.body))
            right["title"] += page.title == wanted.title
            right["lead"] += page.lead == wanted.lead
            right["date"] += page.published_at == datetime.fromisoformat(wanted.published)
    print(json.dumps({
        "pages": len(ours),
        "body_f1": round(statistics.mean(ours), 4),
        "worst": round(min(ours), 4),
        "trafilatura_body_f1": round(statistics.mean(theirs), 4),
        "right": right,
        "cpu_ratio": round(spent["ours"] / spent["trafilatura"], 2),
    }, indent=1))  # fmt: skip


if __name__ == "__main__":
    main()
