"""A store of many claims for the benchmarks: made-up weeks that come in through the real inbox.

    python benchmarks/bigstore.py STORE [--claims 1000000]

Ten claims an article, 100,000 a week; one in fifty is a flag with the passages of the shipped base
beside it, one in thirty a copy of an earlier claim. The words are Vietnamese syllables with the
frequencies of a text: "hợp tác xã" stands in nearly every claim, most others are rare.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kiemchung.domain import (  # noqa: E402
    Accounting,
    Article,
    AsOfMethod,
    Batch,
    Checkability,
    Difference,
    Distortion,
    Evidence,
    Judgement,
    Label,
    Mention,
    NeiReason,
    Passage,
    Run,
    Speech,
    Status,
    digest,
)
from kiemchung.reference import loader as reference  # noqa: E402
from kiemchung.store import Store, open_store, search  # noqa: E402
from kiemchung.store.inbox import write_batch  # noqa: E402

A_WEEK: Final = 100_000
AN_ARTICLE: Final = 10
OUTLETS: Final = tuple(f"bao-{n:02d}" for n in range(24))
_ONSETS: Final = "b|c|ch|d|đ|g|gi|h|kh|l|m|n|ng|nh|ph|qu|r|s|t|th|tr|v|x"
_RIMES: Final = (
    "anh|ong|ước|ành|ộng|iên|uôn|ài|ơi|ăm|ệt|ích|ung|ường|ôi|ấp|ầu|ậm|ẻo|ịnh|oan|uyết|ớt|ửa|ằng|ập"
    "|ũng|ịch|ổng|ỏi"
)
SYLLABLES: Final = [a + b for a in _ONSETS.split("|") for b in _RIMES.split("|")]
_WEIGHTS: Final = list(accumulate(1 / (n + 3) for n in range(len(SYLLABLES))))
_HEADS: Final = (
    "Theo luật, hợp tác xã phải có ít nhất {n} thành viên",
    "Hợp tác xã {a} có {n} hộ tham gia",
    "Mức góp vốn của một thành viên hợp tác xã không quá {n}% vốn điều lệ",
    "Doanh thu của hợp tác xã {a} đạt {n} tỷ đồng",
    "Toàn tỉnh hiện có {n} hợp tác xã nông nghiệp",
)


def _words(rnd: random.Random, count: int) -> str:
    return " ".join(rnd.choices(SYLLABLES, cum_weights=_WEIGHTS, k=count))


def _claim(rnd: random.Random) -> str:
    head = rnd.choice(_HEADS).format(n=rnd.randrange(2, 4000), a=_words(rnd, 2).title())
    return f"{head}, {_words(rnd, rnd.randrange(8, 18))}."


def _judged(
    rnd: random.Random, mention: Mention, run_id: str, base: tuple[Passage, ...]
) -> Judgement:
    flagged = rnd.random() < 0.02
    shown = rnd.sample(base, 2) if flagged or rnd.random() < 0.3 else []
    p = rnd.uniform(0.8, 1.0) if flagged else rnd.uniform(0.0, 0.5)
    start = mention.text.index("hợp") if "hợp" in mention.text else 0
    number = Difference(
        kind=rnd.choice(list(Distortion)), claim=mention.text[start : start + 11],
        evidence="thành viên", start=start, end=start + 11,
    )  # fmt: skip
    return Judgement(
        judgement_id=digest(mention.mention_id, run_id),
        mention_id=mention.mention_id,
        run_id=run_id,
        model_id="benchmark",
        base_version="benchmark",
        threshold=0.8,
        status=Status.OK,
        label=Label.REFUTED if flagged else Label.NOT_ENOUGH_INFO,
        nei_reason=None if flagged else NeiReason.NOT_FOUND,
        p_supported=(1 - p) / 2,
        p_refuted=p,
        p_nei=(1 - p) / 2,
        flagged=flagged,
        evidence=tuple(
            Evidence(
                passage_id=x.passage_id,
                passage_sha256=x.sha256,
                rank=n,
                score=1 / n,
                on_point=n == 1,
            )
            for n, x in enumerate(shown, 1)
        ),
        differences=(number,) if flagged else (),
    )  # fmt: skip


def week_of(number: int, claims: int, *, seed: int = 1) -> Batch:
    """Return made-up week ``number`` with so many claims; the same every time."""
    rnd = random.Random(f"{seed}/{number}")
    shipped = reference.load()
    held = tuple(reference.in_force(shipped.passages, datetime(2026, 1, 1).date()))  # noqa: DTZ001
    monday = datetime(2025, 1, 6, 8, tzinfo=UTC) + timedelta(weeks=number)
    year, week, _ = monday.isocalendar()
    run_id = f"{year}-W{week:02d}-benchmark"
    articles, mentions, judgements = [], [], []
    earlier = [_claim(random.Random(f"{seed}/returning/{n}")) for n in range(2000)]
    while len(mentions) < claims:
        said = [
            rnd.choice(earlier) if rnd.random() < 0.033 else _claim(rnd)
            for _ in range(min(AN_ARTICLE, claims - len(mentions)))
        ]
        said = list(dict.fromkeys(said))
        title = _words(rnd, 9).capitalize()
        outlet = rnd.choice(OUTLETS)
        url = f"http://{outlet}.example/{number}-{len(articles)}.html"
        body = "\n\n".join(f"{text} {_words(rnd, 30).capitalize()}." for text in said)
        published = monday + timedelta(minutes=rnd.randrange(6 * 24 * 60))
        one = Article(
            article_id=digest(url, title, "", body),
            outlet=outlet, url=url, canonical_url=url, title=title, lead="", body=body,
            published_at=published, published_method="meta", fetched_at=published,
            raw_sha256="0" * 64, title_method="h1", lead_method="none", body_method="selector",
            about_cooperatives=True, topic_reason="title", story_id=digest(url),
        )  # fmt: skip
        articles.append(one)
        text = one.text
        for words in said:
            start = text.index(words)
            mention = Mention(
                mention_id=digest(one.article_id, str(start)),
                article_id=one.article_id,
                claim_id=digest("claim", words),
                start=start,
                end=start + len(words),
                text=words,
                checkability=Checkability.CHECKABLE,
                check_worthiness=0.7,
                speech=Speech.OWN_VOICE,
                as_of=published.date(),
                as_of_method=AsOfMethod.PUBLICATION,
            )
            mentions.append(mention)
            judgements.append(_judged(rnd, mention, run_id, held))
    run = Run(
        run_id=run_id, week=f"{year}-W{week:02d}", outlets=OUTLETS, config_sha256="0" * 64,
        code_version="benchmark", base_version="benchmark", model_id="benchmark",
        accounting=Accounting(
            discovered=len(articles), fetched=len(articles), stored=len(articles)
        ),
    )  # fmt: skip
    return Batch(
        run=run,
        articles=tuple(articles),
        mentions=tuple(mentions),
        judgements=tuple(judgements),
        passages=shipped.passages,
        documents=shipped.documents,
    )


def fill(store: Store, claims: int, *, a_week: int = A_WEEK, say: bool = False) -> None:
    """Merge weeks until the store holds ``claims`` claims, then index them."""
    inbox = store.path.parent / "inbox"
    number = len(store.runs())
    have = store.counts()["mentions"]
    while have < claims:
        began = time.perf_counter()
        write_batch(inbox, week_of(number, min(a_week, claims - have)))
        made = time.perf_counter()
        store.merge_inbox(inbox)
        merged = time.perf_counter()
        search.catch_up(store)
        number, have = number + 1, store.counts()["mentions"]
        if say:
            print(
                f"week {number}: {have:,} claims; made {made - began:.1f} s, merged"
                f" {merged - made:.1f} s, indexed {time.perf_counter() - merged:.1f} s",
                flush=True,
            )


def main() -> None:
    """Build the store, or go on with it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("store", type=Path)
    parser.add_argument("--claims", type=int, default=1_000_000)
    given = parser.parse_args()
    with open_store(given.store) as store:
        fill(store, given.claims, say=True)
        print(store.counts(), f"{given.store.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
