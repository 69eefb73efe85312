"""One page to its title, lead, body and date, and which method gave each: a pure function.

Title, lead and body are three fields, because generic extractors drop the lead of Vietnamese
articles. The outlet's selectors come first, then JSON-LD and Open Graph, then well-known class names,
then a generic extractor. Bylines are counted and dropped, never kept.
"""

from __future__ import annotations

import html as htmllib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urljoin, urlsplit
from zoneinfo import ZoneInfo

from lxml import etree, html

from crawler.canonical import canonical_url
from crawler.dates import Dated, choose, read_date
from crawler.decode import decode, looks_binary
from crawler.outlets import Outlet, Selectors
from kiemchung.errors import PageError

MAX_BYTES: Final = 10_000_000
MAX_TAGS: Final = 60_000
MAX_ATTRIBUTES: Final = 3_000
"""Of one tag. lxml takes quadratic time in it (field notes: 55 s at 400 kB)."""
MAX_DEPTH: Final = 240  # libxml2 silently loses what lies deeper than 256
MIN_BODY: Final = 140  # characters; a shorter body is a stub or no article

_TITLE: Final = ("h1.title-detail", "h1.detail-title", "h1.article-title", "article h1", "main h1", "h1")
_LEAD: Final = (
    "h2.detail-sapo", ".sapo", "p.description", ".article-sapo", ".detail__summary", ".article__sapo",
    ".article-lead", ".lead", ".summary", ".chapeau", ".detail-intro", "h2.main-intro",
)  # fmt: skip
_BODY: Final = (
    "article.fck_detail", ".detail-content.afcbc-body", ".article__body", "[itemprop=articleBody]",
    ".singular-content", ".detail-content", ".article-body", ".article-content", ".content-detail",
    ".post-content", ".entry-content",
)  # fmt: skip
_DATES: Final = (
    "[itemprop=datePublished]", "article time[datetime]", "time[datetime]", ".article__meta time",
    "span.date", ".detail-time", ".publish-date", ".date", ".time",
)  # fmt: skip
_NOISE: Final = (
    "script, style, noscript, template, iframe, svg, form, button, nav, aside, footer, header, "
    "[hidden], .ads, .banner, .social, .share, .breadcrumb, .tag, .tags, .article-tags, .detail-tab, "
    ".keywords, .related, .related-news, .tin-lien-quan, .box-lien-quan, .article-relate, .relate, "
    ".comment, .comments, .box-comment, #comments, .most-read, .newsletter, .video-player, .VCSortableInPreviewMode[type=RelatedOneNews]"
)
_CAPTION: Final = "figure, figcaption, .caption, .image-caption, .Image, .PhotoCMS_Caption, .chu-thich, .desc_cation, .tplCaption, .fig-picture"
_AUTHOR: Final = ".author, .author_mail, .byline, .detail-author, .article__author, .tac-gia, [rel=author], .name-author, .author-info"
_BLOCKS: Final = frozenset(
    "p div li h2 h3 h4 h5 h6 blockquote section article table tr td th ul ol dd dt dl pre main figure".split()
)
_SOFT_404: Final = re.compile(
    r"(?:không\s+tìm\s+thấy\s+(?:trang|bài|nội\s+dung)|trang\s+không\s+tồn\s+tại|bài\s+viết\s+không\s+tồn\s+tại|"
    r"404\s*[-–:|]?\s*(?:not\s+found|không)|page\s+not\s+found)", re.IGNORECASE
)  # fmt: skip
_PAYWALL: Final = re.compile(r"(?:đăng\s+nhập|mua\s+gói|trả\s+phí)[^.]{0,60}để\s+(?:đọc|xem)\s+tiếp", re.I)
_ARTICLE_TYPES: Final = {
    "newsarticle", "article", "reportagenewsarticle", "analysisnewsarticle", "blogposting", "webpage",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What one page holds; ``*_method`` names what gave the field, "none" where nothing did."""

    title: str
    lead: str
    body: str
    published_at: datetime | None
    published_method: str
    date_precision: str
    date_conflict: bool
    canonical_url: str
    canonical_conflict: bool
    title_method: str
    lead_method: str
    body_method: str
    authors_dropped: int
    captions_dropped: int
    noarchive: bool
    paywall: bool
    language: str
    section: str
    tags: tuple[str, ...]
    encoding: str
    encoding_method: str


def _check(body: bytes) -> None:
    if not body.strip():
        raise PageError("empty", "the page has no bytes")
    if len(body) > MAX_BYTES:
        raise PageError("too_large", f"{len(body)} bytes")
    if looks_binary(body):
        raise PageError("binary", "this is no text")
    if body.count(b"<") > 2 * MAX_TAGS:
        raise PageError("too_complex", "too many tags")
    for tag in re.finditer(rb"<[A-Za-z][^<>]{20000,}", body):
        if tag[0].count(b"=") > MAX_ATTRIBUTES:
            raise PageError("too_complex", "a tag with too many attributes")
    spaces = max((m.end() - m.start() for m in re.finditer(rb"<[a-z]+(?:\s+[a-z0-9_-]+){1000,}", body)), default=0)
    if spaces > 20_000:
        raise PageError("too_complex", "a tag with too many attributes")


def _cut_off(text: str) -> bool:
    """Return whether a page ends before it ends: inside a tag, or a body that is never closed.

    Pages that leave out their closing tags on purpose end behind a closed block; a page that was cut
    ends inside a word, a tag, a script or a comment.
    """
    tail = text.rstrip()[-4000:].lower()
    if "</html>" in tail or "</body>" in tail:
        return False
    opened, closed = tail.rfind("<"), tail.rfind(">")
    if opened > closed:
        return True
    if text.lower().count("<script") > text.lower().count("</script") or tail.rfind("<!--") > tail.rfind("-->"):
        return True
    began = "<body" in text.lower() or "<html" in text.lower()
    return began and not tail.endswith(">")


def _tree(text: str) -> html.HtmlElement:
    parser = html.HTMLParser(huge_tree=False, remove_comments=True, remove_pis=True)
    try:
        tree = html.document_fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text), parser=parser)
    except (etree.ParserError, ValueError, AssertionError) as error:
        raise PageError("no_text", f"not parsed: {error}") from error
    count = 0
    for event, element in etree.iterwalk(tree, events=("start", "end")):
        count += event == "start"
        if count > MAX_TAGS:
            raise PageError("too_complex", "too many tags")
        del element
    depth = deepest = 0
    for event, _ in etree.iterwalk(tree, events=("start", "end")):
        depth += 1 if event == "start" else -1
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise PageError("too_deep", f"{deepest} elements deep")
    return tree


def _squeeze(text: str) -> str:
    return " ".join(htmllib.unescape(text).split())


def _json_ld(tree: html.HtmlElement) -> list[dict[str, Any]]:
    """Return the JSON-LD objects; raw line breaks and a stray comma are forgiven, nothing else."""
    found: list[dict[str, Any]] = []
    for script in tree.xpath("//script[@type='application/ld+json']"):
        raw = (script.text or "").strip()[:500_000]
        raw = re.sub(r"^<!\[CDATA\[|\]\]>$", "", raw)
        try:
            value = json.loads(re.sub(r",\s*([}\]])", r"\1", raw), strict=False)
        except (json.JSONDecodeError, RecursionError):
            continue
        stack = [value]
        while stack and len(found) < 50:
            item = stack.pop()
            if isinstance(item, list):
                stack.extend(item[:50])
            elif isinstance(item, dict):
                found.append(item)
                stack.extend(v for k, v in item.items() if k in ("@graph", "mainEntity"))
    return found


def _types(item: dict[str, Any]) -> set[str]:
    kinds = item.get("@type", "")
    return {str(k).lower() for k in (kinds if isinstance(kinds, list) else [kinds])}


def _meta(tree: html.HtmlElement, *names: str) -> str:
    for name in names:
        for value in tree.xpath(
            "//meta[@property=$n or @name=$n or @itemprop=$n]/@content", n=name
        ):
            if str(value).strip():
                return str(value).strip()
    return ""


def _select(tree: html.HtmlElement, selectors: Sequence[str]) -> Iterator[html.HtmlElement]:
    for selector in selectors:
        yield from tree.cssselect(selector)


def _first_text(tree: html.HtmlElement, selectors: Sequence[str]) -> str:
    for element in _select(tree, selectors):
        text = _squeeze(element.text_content())
        if text:
            return text
    return ""


def _lines(element: html.HtmlElement) -> list[str]:
    """Return the paragraphs of an element; bare text nodes and ``<br>`` make paragraphs too."""
    lines: list[list[str]] = [[]]

    def walk(node: html.HtmlElement) -> None:
        block = isinstance(node.tag, str) and node.tag in _BLOCKS
        if block or node.tag == "br":
            lines.append([])
        if node.text:
            lines[-1].append(node.text)
        for child in node:
            walk(child)
            if child.tail:
                lines[-1].append(child.tail)
        if block:
            lines.append([])

    walk(element)
    return [text for parts in lines if (text := _squeeze("".join(parts)))]


def _drop(element: html.HtmlElement, selector: str) -> int:
    """Remove what ``selector`` matches below ``element``, keeping the text behind it; count it."""
    count = 0
    for found in element.cssselect(selector):
        if found is element or found.getparent() is None:
            continue
        count += bool(found.text_content().strip())
        found.drop_tree()
    return count


def _body_of(
    tree: html.HtmlElement, selectors: Selectors, extra: Sequence[str]
) -> tuple[list[str], str, int, int]:
    """Return paragraphs, method, and how many captions and bylines were dropped."""
    for method, choices in (("selector", selectors.body), ("known_class", extra)):
        best: tuple[list[str], int, int] = ([], 0, 0)
        for element in _select(tree, choices):
            element = html.fromstring(html.tostring(element, encoding="unicode"))
            captions = _drop(element, ", ".join((_CAPTION, *selectors.caption)))
            authors = _drop(element, ", ".join((_AUTHOR, *selectors.author)))
            _drop(element, ", ".join((_NOISE, *selectors.related, *selectors.tags, *selectors.drop)))
            lines = _lines(element)
            if sum(map(len, lines)) > sum(map(len, best[0])):
                best = (lines, captions, authors)
        if sum(map(len, best[0])) >= MIN_BODY:
            return best[0], method, best[1], best[2]
    return [], "none", 0, 0


def _generic_body(text: str, url: str) -> list[str]:
    from trafilatura import extract as generic

    found = generic(text, url=url, fast=True, include_comments=False, include_tables=True)
    return [line for raw in (found or "").split("\n") if (line := _squeeze(raw))]


def _byline(line: str) -> bool:
    words = line.split()
    return 1 < len(words) <= 5 and not re.search(r"[.!?:;,\d”\"…]", line) and all(
        w[:1].isupper() for w in words
    )


def extract_page(
    body: bytes,
    *,
    url: str,
    content_type: str | None = None,
    outlet: Outlet | None = None,
) -> Page:
    """Return what the page ``body``, fetched from ``url``, holds.

    Raises:
        PageError: with the reason ``empty``, ``binary``, ``too_large``, ``too_complex``, ``too_deep``,
            ``truncated``, ``unknown_charset``, ``soft_404``, ``not_article`` or ``no_text``.
    """
    _check(body)
    decoded = decode(body, content_type=content_type, override=outlet.encoding if outlet else "")
    if _cut_off(decoded.text):
        raise PageError("truncated", "the page ends in the middle", where=url)
    tree = _tree(decoded.text)
    selectors = outlet.selectors if outlet else Selectors()
    linked = _json_ld(tree)
    articles = [i for i in linked if _types(i) & _ARTICLE_TYPES]
    zone = ZoneInfo(outlet.timezone if outlet else "Asia/Ho_Chi_Minh")
    witnesses = list(_date_witnesses(tree, selectors, articles, outlet, zone))
    title, title_method = _title(tree, selectors, articles)
    if _SOFT_404.search(title):
        raise PageError("soft_404", title, where=url)
    lead, lead_method = _lead(tree, selectors, articles, title, outlet)
    lines, body_method, captions, authors = _body_of(tree, selectors, _BODY)
    if not lines:
        lines, body_method = _generic_body(decoded.text, url), "generic"
    while lines and _byline(lines[-1]):
        lines.pop()
        authors += 1
    lines = _without(lines, title, lead)
    text = "\n".join(lines)
    kind = _meta(tree, "og:type").lower()
    if _is_list(tree, url, text, witnesses, kind):
        raise PageError("not_article", "a page of links", where=url)
    if len(text) < MIN_BODY and not (title and lead):
        raise PageError("no_text", f"{len(text)} characters of text", where=url)
    if not title:
        raise PageError("not_article", "no title", where=url)
    published, conflict = choose(witnesses)
    address, address_conflict = _canonical(tree, url)
    robots = _meta(tree, "robots").lower() + _meta(tree, "googlebot").lower()
    return Page(
        title=title,
        lead=lead,
        body=text,
        published_at=published.at if published else None,
        published_method=published.method if published else "none",
        date_precision=published.precision if published else "unknown",
        date_conflict=conflict,
        canonical_url=address,
        canonical_conflict=address_conflict,
        title_method=title_method,
        lead_method=lead_method,
        body_method=body_method,
        authors_dropped=authors,
        captions_dropped=captions,
        noarchive="noarchive" in robots,
        paywall=bool(_PAYWALL.search(text[-600:])),
        language=(tree.get("lang") or "").lower()[:5],
        section=_first_text(tree, selectors.section) or _meta(tree, "article:section"),
        tags=tuple(
            dict.fromkeys(
                t for e in _select(tree, selectors.tags) if (t := _squeeze(e.text_content()))
            )
        )[:30],
        encoding=decoded.encoding,
        encoding_method=decoded.method,
    )


def _title(
    tree: html.HtmlElement, selectors: Selectors, articles: Sequence[dict[str, Any]]
) -> tuple[str, str]:
    if text := _first_text(tree, selectors.title):
        return text, "selector"
    for item in articles:
        if isinstance(item.get("headline"), str) and item["headline"].strip():
            return _squeeze(item["headline"]), "json-ld"
    if text := _first_text(tree, _TITLE):
        return text, "heading"
    if text := _meta(tree, "og:title"):
        return _squeeze(text), "og"
    return _first_text(tree, ("title",)), "title"


def _lead(
    tree: html.HtmlElement,
    selectors: Selectors,
    articles: Sequence[dict[str, Any]],
    title: str,
    outlet: Outlet | None,
) -> tuple[str, str]:
    described = [
        _squeeze(item["description"]) for item in articles if isinstance(item.get("description"), str)
    ]  # fmt: skip
    candidates = (
        (_first_text(tree, selectors.lead), "selector"),
        (_first_text(tree, _LEAD), "known_class"),
        (_squeeze(_meta(tree, "og:description")), "og"),
        (next(iter(described), ""), "json-ld"),
        (_squeeze(_meta(tree, "description")), "meta"),
    )
    for text, method in candidates:
        text = _without_prefix(text, outlet)
        if len(text) >= 20 and text != title:
            return text, method
    return "", "none"


def _without_prefix(text: str, outlet: Outlet | None) -> str:
    for prefix in outlet.lead_prefix if outlet else ():
        text = text.removeprefix(prefix).strip()
    return re.sub(r"^\((?:[A-ZĐ][\w.]*\s?){1,4}\)\s*[-–—]\s+", "", text)


def _without(lines: list[str], title: str, lead: str) -> list[str]:
    """Return the paragraphs without a repeated title or lead at their head."""
    kept = list(lines)
    for _ in range(3):
        if kept and (kept[0] == title or (lead and (kept[0] == lead or kept[0].endswith(lead)))):
            kept.pop(0)
    return kept


def _date_witnesses(
    tree: html.HtmlElement,
    selectors: Selectors,
    articles: Sequence[dict[str, Any]],
    outlet: Outlet | None,
    zone: ZoneInfo,
) -> Iterator[Dated]:
    formats = outlet.date_formats if outlet else ()

    def read(text: str, method: str) -> Iterator[Dated]:
        found = read_date(text, method=method, zone=zone, formats=formats)
        if found:
            yield found

    for item in articles:
        if isinstance(item.get("datePublished"), str):
            yield from read(item["datePublished"], "json-ld")
    yield from read(_meta(tree, "article:published_time", "og:published_time"), "og")
    yield from read(_meta(tree, "pubdate", "datePublished", "dc.created", "its_publication"), "meta")
    for element in _select(tree, selectors.date):
        yield from read(element.get("datetime") or element.text_content(), "selector")
        break
    else:
        for element in _select(tree, _DATES):
            found = list(read(element.get("datetime") or element.get("content") or element.text_content(), "time"))
            if found:
                yield found[0]
                break


def _canonical(tree: html.HtmlElement, url: str) -> tuple[str, bool]:
    """Return the canonical address; one on another host is not believed."""
    links = [str(v) for v in tree.xpath("//link[@rel='canonical']/@href") if str(v).strip()]
    named = [urljoin(url, v) for v in (*links, *filter(None, [_meta(tree, "og:url")]))]
    own = canonical_url(url)
    folded = [canonical_url(v) for v in named if v.startswith(("http://", "https://"))]
    same = [v for v in folded if _site(v) == _site(own)]
    conflict = len(set(folded)) > 1 or len(same) < len(folded)
    chosen = next((v for v in same if urlsplit(v).path not in ("", "/")), own)
    return chosen, conflict


def _site(url: str) -> str:
    return ".".join((urlsplit(url).hostname or "").split(".")[-3:]).removeprefix("www.")


def _is_list(
    tree: html.HtmlElement, url: str, text: str, witnesses: Sequence[Dated], kind: str
) -> bool:
    """Return whether the page lists articles instead of being one."""
    if urlsplit(url).path in ("", "/") and not urlsplit(url).query:
        return True
    if kind == "website" and not witnesses:
        return True
    links = sum(len(_squeeze(a.text_content())) for a in tree.iter("a"))
    return len(text) < 400 and not witnesses and links > 4 * max(1, len(text))
