"""Twenty templates of our own: title, lead, date and body right without any outlet file."""

from __future__ import annotations

from datetime import datetime

import pytest

from crawler.extract import extract_page
from tests.crawler import variants

URL = "https://a.vn/bai-1.htm"
SHARED_LINE = "Chia sẻ: Facebook Twitter"  # of the wordpress template: a known remainder


@pytest.mark.parametrize("place", range(len(variants.ARTICLES)))
@pytest.mark.parametrize("name", variants.TEMPLATES)
def test_an_article_comes_out_of_every_template(name: str, place: int) -> None:
    wanted = variants.ARTICLES[place]
    page = extract_page(variants.TEMPLATES[name](wanted).encode(), url=URL)
    assert page.title == wanted.title
    assert page.lead == wanted.lead
    assert page.published_at == datetime.fromisoformat(wanted.published)
    assert variants.f1(page.body, wanted.body) >= 0.98
    lines = page.body.split("\n")
    assert [line for line in lines if line in wanted.paragraphs] == list(wanted.paragraphs)
    assert [x for x in lines if x not in wanted.paragraphs and x != SHARED_LINE] == []


@pytest.mark.parametrize("name", variants.TEMPLATES)
def test_bylines_captions_and_related_links_are_not_kept(name: str) -> None:
    wanted = variants.ARTICLES[0]
    page = extract_page(variants.TEMPLATES[name](wanted).encode(), url=URL)
    kept = f"{page.title}\n{page.lead}\n{page.body}"
    for words in (wanted.byline, *wanted.captions, *wanted.related):
        assert words not in kept


def test_there_are_twenty_templates_and_the_scorer_can_fail() -> None:
    assert len(variants.TEMPLATES) >= 20
    pages = {name: make(variants.ARTICLES[0]) for name, make in variants.TEMPLATES.items()}
    assert len(set(pages.values())) == len(pages)
    body = variants.ARTICLES[0].body
    assert variants.f1(body, body) == 1
    assert variants.f1(body[: len(body) // 2], body) < 0.75
    assert variants.f1("", body) == 0
