"""An article about cooperatives is told from one that mentions one, however the name is spelt."""

from __future__ import annotations

import json
import lzma
import re
from pathlib import Path

import pytest

from nlp.topic import topic

FILLER = (
    "Người dân trong xã phấn khởi vì mùa màng thuận lợi và đường làng mới được trải nhựa. " * 12
)
ABOUT = (
    "Hợp tác xã họp đại hội thành viên và bàn việc góp vốn. Ban kiểm soát của hợp tác xã báo cáo. "
    "Các thành viên đồng ý tăng vốn điều lệ của hợp tác xã trong năm nay. "
)


def test_title_or_body_makes_an_article_about_cooperatives() -> None:
    assert topic("Hợp tác xã Bãi Sậy ra mắt", "", ABOUT).about_cooperatives
    assert topic("Chuyện ở làng", "Một buổi họp.", ABOUT * 3).about_cooperatives


def test_a_passing_mention_does_not() -> None:
    found = topic("Trời chuyển rét", "Không khí lạnh tràn về.", FILLER + "Một hợp tác xã phủ rau.")
    assert not found.about_cooperatives
    assert found.reason == "passing_mention"


def test_no_mention_and_no_text_do_not() -> None:
    assert topic("Trận cầu", "", FILLER).reason == "not_mentioned"
    assert not topic("", "", "").about_cooperatives


@pytest.mark.parametrize(
    "name", ["HTX", "H.T.X", "hợp-tác-xã", "h.ợ.p t.á.c x.ã", "HỢP TÁC XÃ", "hợp tác хã"]
)
def test_odd_spelling_does_not_hide_an_article(name: str) -> None:
    text = ABOUT.replace("hợp tác xã", name).replace("Hợp tác xã", name)
    assert topic(f"{name} Bãi Sậy ra mắt", "", text).about_cooperatives


def test_text_without_diacritics_is_read_too() -> None:
    text = (
        "Hop tac xa hop dai hoi thanh vien. Hop tac xa ban viec gop von cua cac thanh vien nam nay."
    )
    assert topic("Hop tac xa Bai Say ra mat", "", text).about_cooperatives


def test_credit_funds_and_banks_with_the_word_in_their_name_are_another_matter() -> None:
    text = "Ngân hàng Hợp tác xã và quỹ tín dụng nhân dân giảm lãi suất. " * 6
    assert not topic("Lãi suất giảm", "", text).about_cooperatives


@pytest.mark.needs_shared
def test_news_about_other_things_is_left_out(shared: Path) -> None:
    """Articles of the corpus that never name a cooperative: none may pass."""
    with lzma.open(shared / "corpus" / "vietnews_03.txt.xz", "rt", encoding="utf-8") as lines:
        blocks = [next(lines) for _ in range(4000)]
    texts = [
        b.replace("_", " ") for b in blocks if not re.search("hợp_tác_xã|HTX|tổ_hợp_tác", b, re.I)
    ]
    assert len(texts) > 1000
    assert not [t for t in texts if topic("", "", t).about_cooperatives]


@pytest.mark.needs_shared
def test_titles_that_name_a_cooperative_are_kept(shared: Path) -> None:
    with (shared / "corpus" / "vietnews_coop.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    named = [r for r in rows if re.search("hợp_tác_xã|HTX", r["title"], re.I)]
    assert named
    kept = [
        topic(*(r[k].replace("_", " ") for k in ("title", "abstract", "body"))).about_cooperatives
        for r in named
    ]
    assert sum(kept) / len(kept) >= 0.95
