"""A page of ours in Markdown shown as HTML: same words, nothing of an article becomes markup."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from pipeline.comparing import plain
from pipeline.mdpage import as_html
from tests.payloads import PAYLOADS

PAGE = [
    "# a and b",
    "",
    "First: a (`encoder-1`). <second>",
    "",
    "Another line.",
    "",
    "## Set",
    "",
    "| | a | b |",
    "|---|---|---|",
    "| macro-F1 | 0.9 | 0.8 |",
    r"| x \| y | 1 | 2 |",
    "",
    "### Gained",
    "",
    r"1. Luật \*nói\* 7 & 5",
    "   - Báo: Tin (https://a.example/1)",
    "   - beside Điều 4",
    "2. Hai",
]


def test_headings_tables_items_and_paragraphs() -> None:
    tree = html.fromstring(as_html(PAGE, title="a and b"))
    assert [e.text for e in tree.iter("h1", "h2", "h3")] == ["a and b", "Set", "Gained"]
    assert [e.text_content() for e in tree.iter("p")] == [
        "First: a (encoder-1). <second>",
        "Another line.",
    ]
    assert [e.text for e in tree.iter("code")] == ["encoder-1"]
    rows = [[c.text_content() for c in row] for row in tree.iter("tr")]
    assert rows == [["", "a", "b"], ["macro-F1", "0.9", "0.8"], ["x | y", "1", "2"]]
    (items,) = tree.iter("ol")
    assert [(i.text or "").strip() for i in items] == ["Luật *nói* 7 & 5", "Hai"]
    assert [n.text for n in items[0].iter("li")][1:] == [
        "Báo: Tin (https://a.example/1)",
        "beside Điều 4",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "<b>x</b>",
        "<script>pwn()</script>",
        "<!-- x -->",
        "&lt;b&gt;",
        "<https://a.example>",
        "[x](https://a.example)",
        "[x](javascript:pwn())",
        "![x](https://a.example/x.png)",
        "**x** *x* __x__ _x_",
        "    x",
        "> x",
        "```",
        "===",
        "---",
    ],
)
def test_no_other_sign_of_markdown_is_read(line: str) -> None:
    tree = html.fromstring(as_html(["# t", "", line], title="t"))
    body = tree.find("body")
    assert body is not None
    assert [e.tag for e in body.iter()][1:] == ["h1", "p"]
    (said,) = tree.iter("p")
    assert said.text == line.strip().replace("&lt;", "<").replace("&gt;", ">")


def test_a_title_is_text() -> None:
    page = as_html([], title='</title><script>pwn()</script>"&')
    assert html.fromstring(page).findtext("head/title") == '</title><script>pwn()</script>"&'
    assert "<script" not in page


TAGS = {"html", "head", "meta", "title", "style", "body", "ol", "li", "ul"}


def shown(text: str) -> str:
    """The words of one claim as the page shows them; any element that is not ours fails."""
    lines = [f"1. {plain(text)}", f"   - x: {plain(text)}"]
    tree = html.fromstring(as_html(lines, title="t"))
    assert {e.tag for e in tree.iter()} <= TAGS
    items = [e for e in tree.iter("li")]
    assert [i.getparent().tag for i in items] == ["ol", "ul"]
    assert (items[1].text or "").strip() == f"x: {' '.join(text.split())}".strip()
    return str(items[0].text or "").strip()


def test_no_payload_becomes_markup() -> None:
    for payload in PAYLOADS:
        assert shown(f"Luật {payload}") == " ".join(f"Luật {payload}".split())
        assert shown(payload) == " ".join(payload.split())


@pytest.mark.parametrize("text", ["1. Xã", "2024.", "12) x", "- x", "+ x", "1. 2. 3. x", "&amp; x"])
def test_a_claim_begins_no_list_of_its_own(text: str) -> None:
    assert shown(text) == text


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=60))
def test_any_words_come_through(text: str) -> None:
    assert shown(text) == " ".join(text.split())
