"""What feeds, sitemaps and listings list: pure parsing, strict about what is a feed and a date.

Feeds lie: a wrong encoding, an HTML page in place of a feed, dates that are none. An unknown date
stays unknown with its reason; nothing is ever dated "now".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urljoin

from lxml import etree, html

from crawler.outlets import Outlet
from kiemchung.errors import PageError

MAX_ENTRIES: Final = 50_000
_ROOTS: Final = {"rss", "feed", "rdf", "urlset", "sitemapindex"}
_DECLARATION: Final = re.compile(rb"^\s*<\?xml[^>]*\?>")
_ISO: Final = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?\s?"
    r"(Z|[+-]\d{2}:?\d{2})?)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry; ``published`` is None with the reason in ``date_reason``."""

    url: str
    published: datetime | None
    date_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What one feed, sitemap or listing page holds; ``more`` are addresses of further lists."""

    entries: tuple[Entry, ...]
    more: tuple[str, ...] = ()


def strict_date(text: str, *, fetched: datetime) -> tuple[datetime | None, str]:
    """Return the instant of an RFC 822 or ISO 8601 date with time zone, or None and the reason.

    A date without zone is unknown rather than guessed; one more than a day after ``fetched`` is
    refused.
    """
    text = text.strip()
    if not text:
        return None, "empty"
    found: datetime | None = None
    match = _ISO.fullmatch(text)
    if match:
        if match[4] is None:
            return None, "no_time"
        if match[7] is None:
            return None, "no_zone"
        try:
            found = datetime.fromisoformat(text.replace(" ", "T", 1).replace(" ", ""))
        except ValueError:
            return None, "not_a_date"
    else:
        if re.search(r"GMT[+-]\d", text):
            return None, "odd_zone"  # read as UTC by common parsers, seven hours off
        try:
            found = parsedate_to_datetime(text)
        except (ValueError, TypeError, OverflowError):
            return None, "not_a_date"
        if found.tzinfo is None:
            return None, "no_zone"
    if not 1990 <= found.year <= 2200:
        return None, "out_of_range"
    if found > fetched + timedelta(days=1):
        return None, "future"
    return found.astimezone(UTC), ""


def _root(body: bytes) -> etree._Element:
    """Parse XML by its content: a declared encoding that the bytes contradict is dropped."""
    if not body.strip():
        raise PageError("empty_feed")
    declaration = _DECLARATION.match(body)
    wide = body[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in body[:200]
    if declaration and not wide and re.search(rb"encoding=.utf-?16", declaration[0], re.I):
        body = body[declaration.end() :]  # says utf-16, is not
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=True
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise PageError("not_a_feed", str(error)) from error
    if root is None or _local(root) not in _ROOTS:
        raise PageError("not_a_feed", f"root element {_local(root) if root is not None else None}")
    return root


def _local(element: etree._Element) -> str:
    tag = element.tag
    return tag.rsplit("}", 1)[-1].lower() if isinstance(tag, str) else ""


def _children(element: etree._Element, *names: str) -> Iterator[etree._Element]:
    for child in element:
        if _local(child) in names:
            yield child


def _text(element: etree._Element, *names: str) -> str:
    for child in _children(element, *names):
        return "".join(child.itertext()).strip()
    return ""


def parse_xml(body: bytes, *, base: str, fetched: datetime) -> Listing:
    """Return the entries of an RSS, Atom or sitemap document.

    Raises:
        PageError: ``empty_feed`` or ``not_a_feed``.
    """
    root = _root(body)
    kind = _local(root)
    if kind == "sitemapindex":
        more = [
            urljoin(base, _text(s, "loc")) for s in _children(root, "sitemap") if _text(s, "loc")
        ]
        return Listing(entries=(), more=tuple(more[:MAX_ENTRIES]))
    entries: list[Entry] = []
    for element in root.iter():
        name = _local(element)
        if name not in ("item", "entry", "url") or len(entries) >= MAX_ENTRIES:
            continue
        link = _link(element, name)
        if not link:
            continue
        published, reason = strict_date(_date_text(element), fetched=fetched)
        entries.append(Entry(url=urljoin(base, link), published=published, date_reason=reason))
    return Listing(entries=tuple(entries))


def _link(element: etree._Element, name: str) -> str:
    if name == "url":
        return _text(element, "loc")
    if name == "entry":
        for child in _children(element, "link"):
            if child.get("rel", "alternate") == "alternate" and child.get("href"):
                return str(child.get("href"))
    return _text(element, "link") or next(
        (
            t for c in _children(element, "guid")
            if c.get("isPermaLink", "true") == "true"
            and (t := (c.text or "").strip()).startswith("http")
        ),
        "",
    )  # fmt: skip


def _date_text(element: etree._Element) -> str:
    direct = _text(element, "pubdate", "published", "date", "updated", "lastmod")
    for news in _children(element, "news"):
        return _text(news, "publication_date") or direct
    return direct


def parse_listing(body: bytes, *, base: str, outlet: Outlet, encoding: str = "utf-8") -> Listing:
    """Return the article links of a listing page and the link to the next one.

    Raises:
        PageError: ``not_a_listing`` where nothing can be parsed.
    """
    if not body.strip():
        raise PageError("empty_listing")
    parser = html.HTMLParser(encoding=encoding, huge_tree=False)
    try:
        tree = html.document_fromstring(body, parser=parser)
    except (etree.ParserError, ValueError) as error:
        raise PageError("not_a_listing", str(error)) from error
    seen: dict[str, None] = {}
    for href in tree.xpath("//a/@href"):
        url = urljoin(base, str(href).strip())
        if url.startswith(("http://", "https://")) and outlet.is_article(url):
            seen.setdefault(url.split("#")[0], None)
    following = tree.xpath("//a[@rel='next']/@href | //link[@rel='next']/@href")
    for selector in outlet.listing_next:
        following = [e.get("href") for e in tree.cssselect(selector)] or following
    more = [urljoin(base, str(h)) for h in following if h][:1]
    return Listing(
        entries=tuple(
            Entry(url=u, published=None, date_reason="listing") for u in list(seen)[:MAX_ENTRIES]
        ),
        more=tuple(more),
    )
