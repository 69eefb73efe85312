"""Forty shapes of pages that make parsers slow or hungry, at any size."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Shape = Callable[[int], str]
PROSE = "Hợp tác xã mua lúa của thành viên theo hợp đồng. "


def repeated(unit: str, *, head: str = "", tail: str = "") -> Shape:
    """Return a page body of ``unit`` over and over, up to so many characters."""
    return lambda size: head + unit * max(1, size // len(unit)) + tail


def page(body: str, head: str = "") -> str:
    """Return a page with a title and a paragraph beside what is strange."""
    return (
        f'<html lang="vi"><head><title>Bài</title>{head}</head><body><h1>Hợp tác xã</h1>'
        f"<p>{PROSE * 6}</p>{body}</body></html>"
    )


def in_head(shape: Shape) -> Shape:
    return lambda size: page("", shape(size))


def in_body(shape: Shape) -> Shape:
    return lambda size: page(shape(size))


def attributes(size: int) -> str:
    return "<div " + " ".join(f"a{n}=x" for n in range(size // 9)) + ">x</div>"


def nested(tag: str) -> Shape:
    return lambda size: (
        f"<{tag}>" * (size // (2 * len(tag) + 5)) + "x" + f"</{tag}>" * (size // (2 * len(tag) + 5))
    )


def json_ld(size: int) -> str:
    return f'<script type="application/ld+json">{"[" * (size // 2)}{"]" * (size // 2)}</script>'


SHAPES: Mapping[str, Shape] = {
    "short paragraphs": in_body(repeated("<p>a</p>")),
    "line breaks": in_body(repeated("<br>")),
    "bare text and breaks": in_body(repeated("chữ<br>")),
    "100,000 attributes": in_body(attributes),
    "attributes of the same name": in_body(lambda n: "<div " + "a=x " * (n // 4) + ">x</div>"),
    "nested div": in_body(nested("div")),
    "nested span": in_body(nested("span")),
    "nested bold": in_body(nested("b")),
    "nested lists": in_body(repeated("<ul><li>")),
    "nested tables": in_body(repeated("<table><tr><td>")),
    "nested quotes": in_body(nested("blockquote")),
    "unclosed div and p": in_body(repeated("<div><p>")),
    "crossed b and i": in_body(repeated("<b><i></b></i>")),
    "less-than signs": in_body(repeated("<")),
    "open comments": in_body(repeated("<!--")),
    "many comments": in_body(repeated("<!--x-->")),
    "CDATA": in_body(repeated("<![CDATA[")),
    "entities": in_body(repeated("&amp;")),
    "unknown entities": in_body(repeated("&l9;")),
    "numeric entities": in_body(repeated("&#1057;")),
    "NUL": in_body(repeated("\x00")),
    "blanks": in_body(repeated(" ")),
    "no-break spaces": in_body(repeated("\u00a0")),
    "newlines": in_body(repeated("\n")),
    "one word": in_body(repeated("a")),
    "slashes": in_body(repeated("/")),
    "hyphens": in_body(repeated("-")),
    "a@": in_body(repeated("a@")),
    "addresses": in_body(repeated("http://a.a.")),
    "numbers with letters": in_body(repeated("a1.")),
    "combining marks": in_body(repeated("a\u0301\u0323\u0302")),
    "bidi controls": in_body(repeated("\u202e\u2066")),
    "dates": in_body(repeated("<time datetime='2026-01-02'>1/1/2024</time>")),
    "digits in metas": in_head(
        lambda n: f'<meta property="article:published_time" content="{"1" * n}">'
    ),
    "many metas": in_head(repeated('<meta property="og:title" content="x">')),
    "a long title": in_head(lambda n: f"<title>{'tựa ' * (n // 4)}</title>"),
    "JSON-LD n deep": in_head(json_ld),
    "many JSON-LD": in_head(repeated('<script type="application/ld+json">{"a":1}</script>')),
    "endless authors": in_head(
        lambda n: '<script type="application/ld+json">{"@type":"NewsArticle","author":['
        + ",".join(['{"name":"A"}'] * (n // 13)) + "]}</script>"
    ),
    "links": in_body(repeated('<a href="/x-1.htm">tin khác</a> ')),
    "links in paragraphs": in_body(repeated('<p><a href="/x">tin</a></p>')),
    "a long script": in_body(lambda n: f"<script>{'x=1;' * (n // 4)}</script>"),
    "scripts": in_body(repeated("<script>x</script>")),
    "options": in_body(repeated("<option>Hà Nội", head="<select>")),
    "pictures": in_body(repeated("<svg><g><path d='M0'/></g></svg>")),
    "templates": in_body(repeated("<template><p>x</template>")),
    "a long class": in_body(lambda n: f"<div class='{'sapo ' * (n // 5)}'>x</div>"),
    "leads": in_body(repeated("<h2 class='detail-sapo'>x</h2>")),
    "article bodies": in_body(repeated("<div class='afcbc-body' itemprop='articleBody'>x</div>")),
    "captions": in_body(repeated("<figure><img><figcaption>Ảnh</figcaption></figure>")),
    "headings": in_body(repeated("<h1>x</h1>")),
    "mixed scripts": in_body(repeated("Неợр tác хã ")),
}  # fmt: skip
