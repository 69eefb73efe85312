"""What feeds, sitemaps and listings list: pure parsing, strict about what is a feed and a date.

Feeds lie: a wrong encoding, an HTML page in place of a feed, dates that are none. An unknown date
stays unknown with its reason; nothing is ever dated "now".
"""

from __future__ import annotations

import contextlib
import itertools
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urljoin
from zoneinfo import ZoneInfo

from lxml import etree, html

from crawler.dates import parse_date
from crawler.outlets import Outlet
from kiemchung.errors import PageError

MAX_ENTRIES: Final = 50_000
MAX_XML_BYTES: Final = 52_428_800  # decoded; the limit of the sitemap protocol
MAX_ITEM_ELEMENTS: Final = 5_000
_STRAY: Final = re.compile(rb"<(?![A-Za-z/!?_:])")
_PIECE: Final = 64 * 1024
_ITEMS: Final = frozenset({"item", "entry", "url", "sitemap"})
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


def entry_date(
    text: str, *, fetched: datetime, zone: ZoneInfo | None = None, formats: Sequence[str] = ()
) -> tuple[datetime | None, str]:
    """Return the date of an entry, by the outlet's own formats first, else by `strict_date`."""
    if formats and text.strip():
        found = parse_date(text, zone=zone, formats=formats, fetched_at=fetched)
        if found is not None and found.timed:
            return found.at.astimezone(UTC), ""
    return strict_date(text, fetched=fetched)


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


def _chunks(body: bytes, *, cap: int = MAX_XML_BYTES) -> Iterator[bytes]:
    """Yield the document in pieces, a gzip file decoded on the way.

    Raises:
        PageError: ``decompression_bomb`` above ``cap`` bytes, ``bad_gzip``, ``truncated``.
    """
    if body[:2] != b"\x1f\x8b":
        for start in range(0, len(body), _PIECE):
            yield body[start : start + _PIECE]
        return
    total = 0
    data: bytes | memoryview = body
    while data:
        decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)
        while data and not decoder.eof:
            try:
                piece = decoder.decompress(data, _PIECE)
            except zlib.error as error:
                raise PageError("bad_gzip", str(error)) from error
            data = decoder.unconsumed_tail
            total += len(piece)
            if total > cap:
                raise PageError("decompression_bomb", f"more than {cap} bytes")
            if piece:
                yield piece
        if not decoder.eof:
            raise PageError("truncated", "the gzip stream ends early")
        data = decoder.unused_data.lstrip(b"\x00")


def _sound(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the document without what would stop a parser: a wrong encoding, a stray ``<``."""
    wide: bool | None = None
    held = b""
    for piece in pieces:
        if wide is None:
            piece = piece.lstrip(b" \t\r\n")
            if not piece:
                continue
            wide = piece[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in piece[:200]
            declaration = _DECLARATION.match(piece)
            if declaration and not wide and re.search(rb"encoding=.utf-?16", declaration[0], re.I):
                piece = piece[declaration.end() :]  # says utf-16, is not
        if wide:
            yield piece
            continue
        held += piece
        whole, held = (held[:-1], b"<") if held.endswith(b"<") else (held, b"")
        if whole:
            yield _STRAY.sub(b"&lt;", whole)
    if held:
        yield b"&lt;"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubList:
    """A sitemap that an index names."""

    url: str
    modified: datetime | None


def read_xml(
    body: bytes,
    *,
    base: str,
    fetched: datetime,
    zone: ZoneInfo | None = None,
    formats: Sequence[str] = (),
) -> Iterator[Entry | SubList]:
    """Yield the entries of an RSS, Atom or sitemap document one by one, in constant memory.

    ``formats`` and ``zone`` are the outlet's own, for dates that no standard knows. gzip files are
    decoded. External entities and DTDs are never read.

    Raises:
        PageError: ``empty_feed``, ``not_a_feed``, ``too_many_entries`` after ``MAX_ENTRIES``, or
            what is wrong with the gzip.
    """
    parser = etree.XMLPullParser(
        events=("start", "end"), resolve_entities=False, no_network=True, load_dtd=False,
        huge_tree=False, recover=True,
    )  # fmt: skip
    root: etree._Element | None = None
    fed = False
    count = 0
    within = 0  # elements of the item that is being read
    try:
        for piece in itertools.chain(_sound(_chunks(body)), [b""]):
            if piece:
                fed = True
                parser.feed(piece)
            elif fed:
                _close(parser)
            for event, element in parser.read_events():
                if root is None:
                    root = element
                    if _local(root) not in _ROOTS:
                        raise PageError("not_a_feed", f"root element {_local(root)}")
                item = _local(element) in _ITEMS
                if event == "start":
                    within += item or within > 0
                    if within > MAX_ITEM_ELEMENTS:
                        raise PageError("too_complex", "an entry of too many elements")
                    continue
                if not item:
                    if not within and element is not root:
                        _forget(element)
                    continue
                found = _item(element, base, fetched, zone, formats)
                _forget(element)
                within = 0
                if found is None:
                    continue
                count += 1
                if count > MAX_ENTRIES:
                    raise PageError("too_many_entries", f"more than {MAX_ENTRIES}")
                yield found
    except etree.XMLSyntaxError as error:
        if root is None:
            raise PageError("not_a_feed", str(error)) from error
    if not fed:
        raise PageError("empty_feed")
    if root is None:
        raise PageError("not_a_feed", "no element")


def _close(parser: etree.XMLPullParser) -> None:
    with contextlib.suppress(etree.XMLSyntaxError):  # cut off: what came whole has been read
        parser.close()


def _forget(element: etree._Element) -> None:
    """Drop an element that has been read, and those before it."""
    element.clear()
    parent = element.getparent()
    if parent is not None:
        while element.getprevious() is not None:
            del parent[0]


def _item(
    element: etree._Element,
    base: str,
    fetched: datetime,
    zone: ZoneInfo | None,
    formats: Sequence[str],
) -> Entry | SubList | None:
    name = _local(element)
    link = _link(element, name)
    if not link:
        return None
    url = _joined(base, link)
    published, reason = entry_date(_date_text(element), fetched=fetched, zone=zone, formats=formats)
    if name == "sitemap":
        return SubList(url=url, modified=published)
    return Entry(url=url, published=published, date_reason=reason)


def _joined(base: str, link: str) -> str:
    try:
        return urljoin(base, link)
    except ValueError:  # "http://[": kept as it is, and refused by name later
        return link


def parse_xml(
    body: bytes,
    *,
    base: str,
    fetched: datetime,
    zone: ZoneInfo | None = None,
    formats: Sequence[str] = (),
) -> Listing:
    """Return all entries of an RSS, Atom or sitemap document at once.

    Raises:
        PageError: as for ``read_xml``.
    """
    entries: list[Entry] = []
    more: list[str] = []
    for found in read_xml(body, base=base, fetched=fetched, zone=zone, formats=formats):
        if isinstance(found, Entry):
            entries.append(found)
        else:
            more.append(found.url)
    return Listing(entries=tuple(entries), more=tuple(more))


def _link(element: etree._Element, name: str) -> str:
    if name in ("url", "sitemap"):
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
        url = _joined(base, str(href).strip())
        if url.startswith(("http://", "https://")) and outlet.is_article(url):
            seen.setdefault(url.split("#")[0], None)
    following = tree.xpath("//a[@rel='next']/@href | //link[@rel='next']/@href")
    for selector in outlet.listing_next:
        following = [e.get("href") for e in tree.cssselect(selector)] or following
    more = [_joined(base, str(h)) for h in following if h][:1]
    return Listing(
        entries=tuple(
            Entry(url=u, published=None, date_reason="listing") for u in list(seen)[:MAX_ENTRIES]
        ),
        more=tuple(more),
    )
