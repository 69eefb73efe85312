"""HTML as far as every field needs it: caps, cut pages, the tree, metadata, selectors.

``scan`` looks at the text before any parser does, in one pass whose cost grows with the length
alone. lxml and trafilatura take quadratic time on one tag with many attributes (55 s at 400 kB) and
on many tiny tags, and libxml2 loses what lies deeper than 256 elements without a word.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from lxml import etree

from kiemchung.errors import PageError

MAX_BYTES: Final = 10_000_000
"""As the crawler's own cap; the saved pages have 0.2-0.3 MB."""
MAX_TAGS: Final = 50_000
"""Opening and closing ones together. Four saved pages have 630 to 2,600; the largest page allowed
by this cap takes well under the limit of ten seconds."""
MAX_ATTRIBUTES: Final = 300
"""Of one tag. The saved pages have up to 8."""
MAX_DEPTH: Final = 200
"""Below libxml2's 256, behind which text is lost; the saved pages have up to 13."""

Element = etree._Element

_OPEN: Final = re.compile(r"<(?:/?[a-zA-Z]|!--|!|\?)")
_NAME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9:-]{0,30}")
_TAG_END: Final = re.compile(r"(?:[^\"'>]++|\"[^\"]*+\"|'[^']*+')*+>")
_QUOTED_TAG: Final = (4_000, 200_000)  # characters within which a tag's quotes are paired
_LONG_TAGS: Final = 20  # so many tags may need the second reach, or time would grow with its square
_QUOTES: Final = re.compile(r"\"[^\"]*+\"|'[^']*+'")
_RAW: Final = {
    name: re.compile(rf"</{name}\b", re.IGNORECASE)
    for name in ("script", "style", "textarea", "title", "xmp", "iframe", "noframes")
}
_BLOCKS: Final = frozenset(
    {"div", "section", "article", "main", "aside", "table", "ul", "ol", "form", "figure"}
)
_FLAT: Final = frozenset(  # void elements, and those whose end tag may be left out
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source"}
    | {"track", "wbr", "p", "li", "td", "th", "tr", "dd", "dt", "option", "optgroup", "thead"}
    | {"tbody", "tfoot", "colgroup", "html", "head", "body", "rp", "rt", "path", "use", "circle"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a page looks like from outside."""

    tags: int
    attributes: int  # the most that one tag has
    depth: int
    open_blocks: int  # blocks that are never closed
    has_root: bool  # <html> or <body> is opened
    closed: bool  # </html> or </body> is there
    ended_in: str  # "", "text", "tag", "comment", or the name of a raw element


def scan(text: str) -> Shape:
    """Return the shape of ``text``.

    Raises:
        PageError: ``too_complex``, as soon as a cap is passed.
    """
    tags = attributes = depth = deepest = 0
    opened = dict.fromkeys(_BLOCKS, 0)
    has_root = closed = False
    ended_in = ""
    position = 0
    budget = _LONG_TAGS
    while (match := _OPEN.search(text, position)) is not None:
        start = match.start()
        if match.group() == "<!--":
            end = text.find("-->", start + 4)
            if end < 0:
                ended_in = "comment"
                break
            position = end + 3
            continue
        end = _tag_end(text, start, _QUOTED_TAG[0])
        if end < 0 and budget:
            budget -= 1
            end = _tag_end(text, start, _QUOTED_TAG[1])
        if end < 0:
            end = text.find(">", start) + 1 or -1
        if end < 0:
            ended_in = "tag"
            break
        position = end
        if text[start + 1] in "!?":
            continue
        closing = text[start + 1] == "/"
        named = _NAME.match(text, start + 1 + closing)
        name = named.group().lower() if named else ""
        tags += 1
        attributes = max(attributes, _attributes(text, start, end))
        if closing:
            closed = closed or name in ("html", "body")
            if name in opened:
                opened[name] -= 1
            if name not in _FLAT:
                depth = max(0, depth - 1)
            continue
        has_root = has_root or name in ("html", "body")
        if name in opened:
            opened[name] += 1
        if name not in _FLAT and text[end - 2] != "/":
            depth += 1
            deepest = max(deepest, depth)
        _cap(tags, attributes, deepest)
        if name in _RAW and text[end - 2] != "/":
            finish = _RAW[name].search(text, end)
            if finish is None:
                ended_in = name
                break
            position = finish.start()
    if not ended_in and not text.rstrip().endswith(">"):
        ended_in = "text"
    return Shape(
        tags=tags,
        attributes=attributes,
        depth=deepest,
        open_blocks=sum(max(0, n) for n in opened.values()),
        has_root=has_root,
        closed=closed,
        ended_in=ended_in,
    )


def _cap(tags: int, attributes: int, depth: int) -> None:
    for count, limit, what in (
        (tags, MAX_TAGS, "tags"),
        (attributes, MAX_ATTRIBUTES, "attributes in one tag"),
        (depth, MAX_DEPTH, "elements inside each other"),
    ):
        if count > limit:
            raise PageError("too_complex", f"more than {limit} {what}")


def _tag_end(text: str, start: int, reach: int) -> int:
    """Return where a tag ends, -1 if not within ``reach``; a ``>`` in quotes does not end it."""
    match = _TAG_END.match(text, start, start + reach)
    return match.end() if match else -1


def _attributes(text: str, start: int, end: int) -> int:
    if end - start < MAX_ATTRIBUTES:  # too short to have that many
        return 0
    bare = _QUOTES.sub('""', text[start:end])
    return max(len(bare.split()) - 1, bare.count("="), bare.count("/") - 1)


def truncation(shape: Shape, *, cut_letter: bool) -> str:
    """Return how it is seen that a page was cut, empty for a whole one.

    HTML allows to leave out ``</body>`` and ``</html>``, so their absence alone says nothing. With
    it, the page must end inside a tag, comment, script or letter, with blocks left open, or in the
    middle of text although it opened ``<html>`` or ``<body>``.
    """
    if shape.closed:
        return ""
    if shape.ended_in not in ("", "text"):
        return f"ends inside a {shape.ended_in}"
    if cut_letter:
        return "ends inside a letter"
    if shape.open_blocks:
        return f"{shape.open_blocks} blocks are left open, and so is the page"
    if shape.has_root and shape.ended_in == "text":
        return "ends in text, and the page is left open"
    return ""


def parse(text: str) -> Element:
    """Return the tree of a page, without comments.

    Raises:
        PageError: ``no_text`` where there is none, ``too_complex`` where the parser gave up.
    """
    parser = etree.HTMLParser(
        encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True, huge_tree=False
    )
    try:
        root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise PageError("no_text", f"no HTML: {error}") from error
    if root is None:
        raise PageError("no_text", "no HTML")
    if any("depth" in entry.message.lower() for entry in parser.error_log):
        raise PageError("too_complex", "elements inside each other")
    return root


# -- selecting -------------------------------------------------------------------------------


@lru_cache(maxsize=2_000)
def _css(selector: str) -> etree.XPath:
    from cssselect import HTMLTranslator

    return etree.XPath(HTMLTranslator().css_to_xpath(selector, prefix="descendant-or-self::"))


def select(root: Element, selectors: Iterable[str]) -> Iterator[Element]:
    """Yield the elements that any of the CSS ``selectors`` hits, selector by selector."""
    for selector in selectors:
        for element in _css(selector)(root):
            if isinstance(element, etree._Element):
                yield element


def plain(element: Element) -> str:
    """Return the text of an element on one line, without that of scripts and styles."""
    pieces = [
        piece
        for piece, owner in _pieces(element)
        if owner not in ("script", "style", "noscript", "template")
    ]
    return squeeze("".join(pieces))


def _pieces(element: Element) -> Iterator[tuple[str, str]]:
    stack: list[tuple[Element, bool]] = [(element, False)]
    while stack:
        node, done = stack.pop()
        if done:
            parent = node.getparent()
            yield node.tail or "", str(parent.tag) if parent is not None else ""
            continue
        if node is not element:
            stack.append((node, True))
        name = node.tag if isinstance(node.tag, str) else "script"
        if name in ("br", "p", "div", "li", "td"):
            yield " ", ""
        if name in ("script", "style", "noscript", "template"):
            continue
        yield node.text or "", name
        stack.extend((child, False) for child in reversed(node))


def squeeze(text: str) -> str:
    """Return ``text`` with single blanks and none around; no-break spaces count as blanks."""
    return " ".join(text.split())


def unescaped(text: str) -> str:
    """Undo HTML entities, also those that were escaped twice, on one line."""
    once = html.unescape(text)
    return squeeze(html.unescape(once) if "&" in once else once)


# -- metadata --------------------------------------------------------------------------------


def metadata(root: Element) -> dict[str, tuple[str, ...]]:
    """Return the contents of ``<meta>`` by their property, name or itemprop in lower case."""
    found: dict[str, list[str]] = {}
    for element in root.iter("meta"):
        content = unescaped(element.get("content") or "")
        if not content:
            continue
        for key in ("property", "name", "itemprop"):
            for name in (element.get(key) or "").lower().split():
                values = found.setdefault(name, [])
                if content not in values and len(values) < 50:
                    values.append(content)
    return {name: tuple(values) for name, values in found.items()}


_ARTICLE_TYPE: Final = re.compile(r"(?:\w*NewsArticle|Article|BlogPosting|Report|LiveBlogPosting)")
_MAX_LD: Final = 1_000_000
_MAX_NODES: Final = 20_000
_LD_FIELD: Final = re.compile(
    r'"(headline|description|datePublished|articleSection)"\s*:\s*"((?:[^"\\]|\\.){1,2000})"'
)


def json_ld(root: Element) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the articles that JSON-LD describes, and everything else it describes.

    Raw line breaks in texts, comment marks, trailing commas and entities are forgiven: strict JSON
    loses the date of some outlets. What is broken beyond that gives its plain fields only.
    """
    articles: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for script in root.iter("script"):
        if "ld+json" not in (script.get("type") or "").lower():
            continue
        raw = "".join(script.itertext())[:_MAX_LD]
        for node in _nodes(_lenient(raw)):
            kinds = node.get("@type")
            names = kinds if isinstance(kinds, list) else [kinds]
            is_article = any(isinstance(n, str) and _ARTICLE_TYPE.fullmatch(n) for n in names)
            (articles if is_article else others).append(node)
    return articles, others


def _lenient(raw: str) -> Any:  # noqa: ANN401  JSON holds any type
    text = re.sub(r"^\s*(?:<!--|/\*.*?\*/|//\s*<!\[CDATA\[|<!\[CDATA\[)", "", raw, flags=re.DOTALL)
    text = re.sub(r"(?:-->|//\s*\]\]>|\]\]>)\s*;?\s*$", "", text).strip().rstrip(";")
    for attempt in (text, re.sub(r",(\s*[}\]])", r"\1", text)):
        try:
            return json.loads(attempt, strict=False)
        except (ValueError, RecursionError):
            continue
    fields = {name: value for name, value in reversed(_LD_FIELD.findall(text))}
    return {"@type": "NewsArticle", **fields} if "datePublished" in fields else None


def _nodes(value: object) -> Iterator[dict[str, Any]]:
    stack: list[object] = [value]
    for _ in range(_MAX_NODES):
        if not stack:
            return
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(reversed(node[:1_000]))
        elif isinstance(node, dict):
            yield node
            stack.extend(v for k, v in reversed(node.items()) if k in ("@graph", "mainEntity"))


def ld_text(node: Mapping[str, Any], key: str) -> str:
    """Return a text field of a JSON-LD node on one line, empty where it is none."""
    value = node.get(key)
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict):
        value = value.get("name") or value.get("@value")
    return unescaped(value) if isinstance(value, str) else ""
