"""One saved page to title, lead, body, date and address: a pure function of bytes and address.

The order for each field is the outlet's selectors, then JSON-LD and Open Graph, then class names
that Vietnamese systems share, then trafilatura. The method that gave a field is part of the result:
a field that comes from another method than last week shows that a site has changed.

Title, lead (sapo) and body are three fields because generic extractors lose the lead: on four of
four Vietnamese pages tried it stood outside of what they took for the article.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from crawler.blocks import Block, Drop, class_kind, collect, fold, paragraphs, prune, without
from crawler.canonical import canonical_url, is_home, resolve, same_site
from crawler.dates import FoundDate, Published, choose, parse_date
from crawler.decode import Decoded, decode, vietnamese_share
from crawler.extractors import REGISTRY, Found, Parsed
from crawler.markup import (
    MAX_BYTES,
    Element,
    Shape,
    json_ld,
    ld_text,
    metadata,
    parse,
    plain,
    scan,
    select,
    squeeze,
    truncation,
    unescaped,
)
from crawler.outlets import DEFAULT_ZONE, Outlet, Selectors
from kiemchung.errors import PageError, UnsafeAddressError

_TITLE_TAIL: Final = re.compile(r"\s+(?:[-–—|]|::|»)\s+")
_LEAD_CLASS: Final = re.compile(
    r"(?<![a-z0-9])(?:sapo|chapeau|lead|main-intro|detail-intro|tom-tat|mo-dau|standfirst|summary"
    r"|description|excerpt)(?![a-z0-9])"
)
_LEAD_TAGS: Final = frozenset({"p", "h2", "h3", "h4", "div", "strong", "span", "section"})
_LEAD_CHARACTERS: Final = range(30, 1_200)
_CONTAINERS: Final = (
    "[itemprop=articleBody]",
    ".afcbc-body",
    ".fck_detail",
    ".cms-body",
    ".article__body",
    ".article-body",
    ".article-content",
    ".singular-content",
    ".detail-content",
    ".detail__content",
    ".content-detail",
    ".post-content",
    ".entry-content",
    ".news-content",
    "#article-body",
)
_MIN_BODY: Final = 200
"""Letters below which a body is looked for elsewhere, and a page without title and lead is none."""
_FALLBACK_TAGS: Final = 15_000
"""trafilatura needs 1.6 s for 12,500 paragraphs and its time grows with the square."""
_RIVAL: Final = 1.6
"""A generic body this many times longer than the one in a well-known container is preferred."""
_SOFT_404: Final = re.compile(
    r"\b404\b|không tìm thấy (?:trang|bài|nội dung|đường dẫn)|(?:trang|bài viết|nội dung|đường dẫn)"
    r"[^.]{0,40}(?:không tồn tại|đã bị (?:xóa|xoá|gỡ)|không còn)|page not found|not found$",
    re.IGNORECASE,
)
_SOFT_404_LETTERS: Final = 800  # a page about such a page is longer
_PAYWALL: Final = re.compile(
    r"(?<![a-z0-9])(?:paywall|premium-lock|content-lock|subscribers?-only|locked-content)(?![a-z0-9])"
)
_LONG_LINE: Final = 60  # letters; shorter ones between two paragraphs are buttons and labels
_LISTING_HEADLINES: Final = 10
_PREFIX: Final = re.compile(r"^\(([^()]{2,40})\)\s*[-–—.:]*\s*")
_DATE_CLASSES: Final = (
    "time",
    ".date",
    ".detail-time",
    ".publish-date",
    ".post-date",
    ".article-date",
    ".ngay-dang",
    ".time",
    ".datetime",
)
_DATE_METAS: Final = (
    ("og", ("article:published_time", "og:published_time", "og:article:published_time")),
    ("meta", ("datepublished", "pubdate", "publishdate", "publish_date", "date", "dc.date.issued")),
)


_BOTS: Final = ("robots", "googlebot", "bingbot", "news", "googlebot-news", "kiemchung")
_OPT_OUTS: Final = frozenset({"noarchive", "nosnippet", "noai", "noimageai"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page says; every ``..._method`` names where the field was read, "none" for nowhere."""

    title: str
    lead: str
    body: str  # paragraphs joined by one line break
    published_at: datetime | None  # aware; None is "unknown", never "now"
    published_method: str
    date_precision: str  # second, minute, day or unknown
    date_conflict: bool  # two sources disagree; ``dates`` has both
    dates: tuple[str, ...]  # "json-ld 2026-08-02T19:30:00+07:00", in order of trust
    canonical_url: str
    canonical_method: str  # link, og or url
    canonical_conflict: bool  # link, og:url and the address fetched name different articles
    title_method: str
    lead_method: str
    body_method: str
    authors_dropped: int
    captions_dropped: int
    related_dropped: int
    comments_dropped: int
    noarchive: bool
    opt_outs: tuple[str, ...]  # noai, noarchive, noimageai, nosnippet, tdm; sorted
    drift: float | None  # disagreement of selector body and trafilatura's, 0..1; None: not both
    extractor_failed: str  # what broke in the outlet's own function, empty for nothing
    paywall: bool
    language: str  # "vi", "en", ...; empty where unknown
    section: str
    tags: tuple[str, ...]
    encoding: str
    encoding_method: str
    encoding_conflict: bool  # a claim about the encoding was wrong


def extract_page(
    body: bytes,
    *,
    url: str,
    content_type: str | None = None,
    outlet: Outlet | None = None,
    fetched_at: datetime | None = None,
    headers: Sequence[tuple[str, str]] = (),
) -> Page:
    """Return what the page ``body``, fetched from ``url``, says.

    ``content_type`` is the HTTP header, ``headers`` are the others, for opt-outs. Dates more than a day after ``fetched_at`` are refused.

    Raises:
        PageError: ``empty``, ``binary``, ``too_large``, ``unknown_charset``, ``truncated``,
            ``too_complex``, ``soft_404``, ``not_article`` or ``no_text``.
    """
    if len(body) > MAX_BYTES:
        raise PageError("too_large", f"{len(body)} bytes, the cap is {MAX_BYTES}", where=url)
    try:
        decoded = decode(
            body, content_type=content_type, override=outlet.encoding if outlet else ""
        )
        shape = scan(decoded.text)
        if how := truncation(shape, cut_letter=decoded.cut):
            raise PageError("truncated", how)
        return _Reader(decoded, shape, url, outlet, fetched_at, headers).page()
    except PageError as error:
        raise PageError(error.reason, error.message, where=url) from error


_Collected = tuple[list[Block], Counter[Drop]]


class _Reader:
    """The parts of one page that several fields look at."""

    def __init__(
        self,
        decoded: Decoded,
        shape: Shape,
        url: str,
        outlet: Outlet | None,
        fetched_at: datetime | None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.decoded = decoded
        self.shape = shape
        self.url = url
        self.outlet = outlet
        self.fetched_at = fetched_at
        self.selectors = outlet.selectors if outlet else Selectors()
        self.zone = outlet.zone if outlet else ZoneInfo(DEFAULT_ZONE)
        self.root = parse(decoded.text)
        self.meta = metadata(self.root)
        self.articles, self.others = json_ld(self.root)
        self.dropped: Counter[Drop] = Counter()
        self.headers = headers
        self.own, self.own_failed = self._own()

    def first(self, *names: str) -> str:
        """Return the first metadata of these names, empty for none."""
        return next((self.meta[n][0] for n in names if n in self.meta), "")

    def page(self) -> Page:
        address, address_method, address_conflict = self._address()
        title, title_method = self._title()
        lead, lead_method, lead_element = self._lead(title)
        blocks, body_method = self._body(title, lead_element)
        drift = self._drift(blocks) if body_method == "selector" else None
        blocks, pruned = prune(blocks)
        self.dropped += pruned
        blocks = self._without_dates(blocks)
        blocks, _ = without(blocks, [title])
        lead, lead_method, blocks = self._settled(lead, lead_method, blocks)
        if self.own.title is not None:
            title, title_method = self.own.title, "outlet"
        if self.own.lead is not None:
            lead, lead_method = self.own.lead, "outlet"
        if self.own.paragraphs is not None:
            blocks, body_method = [Block(text=t) for t in self.own.paragraphs], "outlet"
        published, dates = self._published()
        body = "\n".join(block.text for block in blocks)
        body_method = body_method if body else "none"
        self._refuse(address, title, lead, lead_method, body, body_method, published)
        return Page(
            title=title,
            lead=lead,
            body=body,
            published_at=_fixed(published.at),
            published_method=published.method,
            date_precision=published.precision,
            date_conflict=published.conflict,
            dates=tuple(f"{d.method} {d.at.isoformat()}" for d in dates),
            canonical_url=address,
            canonical_method=address_method,
            canonical_conflict=address_conflict,
            title_method=title_method,
            lead_method=lead_method,
            body_method=body_method,
            authors_dropped=self.dropped[Drop.AUTHOR],
            captions_dropped=self.dropped[Drop.CAPTION],
            related_dropped=self.dropped[Drop.RELATED],
            comments_dropped=self.dropped[Drop.COMMENT],
            noarchive="noarchive" in (opt_outs := self._opt_outs()),
            opt_outs=opt_outs,
            drift=drift,
            extractor_failed=self.own_failed,
            paywall=self._paywall(),
            language=self._language(body or lead),
            section=self._section(),
            tags=self._tags(),
            encoding=self.decoded.encoding,
            encoding_method=self.decoded.method,
            encoding_conflict=self.decoded.conflict,
        )

    # -- address -----------------------------------------------------------------------------

    def _address(self) -> tuple[str, str, bool]:
        """Return the canonical address; one on another site is recorded as a conflict only."""
        try:
            own = canonical_url(self.url)
        except UnsafeAddressError:
            own = self.url
        links = [
            resolve(self.url, link.get("href") or "")
            for link in self.root.iter("link")
            if (link.get("rel") or "").lower() == "canonical" and link.get("href")
        ]
        named = [
            *((link, "link") for link in links),
            *((resolve(self.url, og), "og") for og in self.meta.get("og:url", ())),
        ]
        sound = [(a, m) for a, m in named if a and self._ours(a, own)]
        usable = [(a, m) for a, m in sound if not is_home(a) or is_home(own)]
        chosen = usable[0] if usable else (own, "url")
        conflict = any(a != chosen[0] for a, _ in named if a)
        return chosen[0], chosen[1], conflict

    def _ours(self, address: str, own: str) -> bool:
        return same_site(address, own) or bool(self.outlet and self.outlet.owns(address))

    # -- title -------------------------------------------------------------------------------

    def _title(self) -> tuple[str, str]:
        for element in select(self.root, self.selectors.title):
            if text := plain(element):
                return text, "selector"
        headline = next((t for a in self.articles if (t := ld_text(a, "headline"))), "")
        social = self._bare_title(self.first("og:title"))
        tab = self._bare_title(next((plain(e) for e in self.root.iter("title")), ""))
        known = [fold(t) for t in (headline, social, tab) if t]
        headings = [
            (plain(e), e) for e in self.root.iter("h1") if class_kind(e) is None and plain(e)
        ]
        for text, _ in headings:
            if any(_alike(fold(text), other) for other in known):
                return text, "heading"
        for text, method in ((headline, "json-ld"), (social, "og")):
            if text:
                return text, method
        if len(headings) == 1:
            return headings[0][0], "heading"
        return (tab, "title-tag") if tab else ("", "none")

    def _bare_title(self, text: str) -> str:
        """Return a title without the name of the site behind (or before) it."""
        text = squeeze(text)
        site = {fold(self.first("og:site_name"))} | (
            {fold(self.outlet.display)} if self.outlet else set()
        )
        for pieces in (_TITLE_TAIL.split(text), text.rsplit(" | ", 1), text.split(" :: ", 1)):
            if len(pieces) > 1 and fold(pieces[-1]) in site - {""}:
                return text[: text.rindex(pieces[-1])].rstrip(" -–—|:»")
            if len(pieces) > 1 and fold(pieces[0]) in site - {""}:
                return text[len(pieces[0]) :].lstrip(" -–—|:»")
        return text

    # -- lead --------------------------------------------------------------------------------

    def _lead(self, title: str) -> tuple[str, str, Element | None]:
        """Return lead, method and element; whether the body repeats it is settled later."""
        for element in select(self.root, self.selectors.lead):
            if text := self._lead_text(element):
                return text, "selector", element
        social = self._described(title)
        found = self._lead_by_class(title, social)
        if found is not None:
            return self._bare_lead(plain(found)), "class", found
        if social:
            return social, "og", None
        return "", "none", None

    def _lead_text(self, element: Element) -> str:
        blocks, dropped = collect(element)
        kept = [b.text for b in blocks if b.link_share < 0.95]
        self.dropped += dropped
        return self._bare_lead(" ".join(kept))

    def _described(self, title: str) -> str:
        """Return the description that the page gives of itself, if it is one of the article."""
        texts = [self.first("og:description"), *(ld_text(a, "description") for a in self.articles)]
        texts.append(self.first("description") if self.articles or self.outlet else "")
        for text in texts:
            bare = self._bare_lead(self._bare_title(text))
            if len(bare) >= 30 and fold(bare) != fold(title):
                return bare
        return ""

    def _bare_lead(self, text: str) -> str:
        """Return a lead without the outlet's mark before it, ``(Chinhphu.vn) - ``."""
        text = squeeze(text)
        for prefix in self.outlet.lead_prefix if self.outlet else ():
            text = text.removeprefix(squeeze(prefix)).lstrip(" -–—")
        match = _PREFIX.match(text)
        if match:
            names = [self.first("og:site_name"), self.outlet.display if self.outlet else ""]
            host = fold(canonical_host(self.url))
            mark = fold(match[1]).removesuffix("online")
            known = [fold(n) for n in names if n]
            if mark and (mark in host or any(mark in n or n in mark for n in known)):
                text = text[match.end() :]
        return text

    def _lead_by_class(self, title: str, social: str) -> Element | None:
        """Return the element that a class name shows to be the lead of the article with ``title``.

        It follows the title, is no link, and where the page describes itself, has words in common.
        """
        seen_title = not title
        for element in self.root.iter():
            if not isinstance(element.tag, str):
                continue
            if not seen_title:
                seen_title = element.tag in ("h1", "h2") and fold(plain(element)) == fold(title)
                continue
            if element.tag not in _LEAD_TAGS or not element.get("class"):
                continue
            names = re.sub(r"(?<=[a-z])(?=[A-Z])|[_\s]+", "-", element.get("class") or "").lower()
            if not _LEAD_CLASS.search(names):
                continue
            text = plain(element)
            linked = sum(len(plain(a)) for a in element.iter("a"))
            if len(text) not in _LEAD_CHARACTERS or linked > 0.3 * len(text):
                continue
            if self._aside(element) or (social and _shared(text, social) < 0.5):
                continue
            return element
        return None

    def _aside(self, element: Element) -> bool:
        for parent in element.iterancestors():
            if parent.tag in ("a", "nav", "aside", "footer", "li"):
                return True
            kind = class_kind(parent) if parent.tag not in ("body", "html") else None
            if kind in (Drop.RELATED, Drop.COMMENT, Drop.CAPTION):
                return True
        return False

    def _settled(self, lead: str, method: str, blocks: list[Block]) -> tuple[str, str, list[Block]]:
        """Take the lead out of the body, and complete one that was cut off with dots.

        A lead that metadata gives is often the start of the first paragraph: then the whole
        paragraph is the lead, so that no words are lost and none stand twice.
        """
        if method == "og" and blocks:
            stem = fold(re.sub(r"(?:\.{2,}|…)\s*$", "", lead))
            first = next((b for b in blocks[:2] if not b.heading), blocks[0])
            cut = lead.rstrip().endswith(("...", "…"))
            if len(stem) >= 20 and fold(first.text).startswith(stem):
                kept = [b for b in blocks if b is not first]
                if kept:
                    return self._bare_lead(first.text), "body", kept
                return "", "none", blocks
            if any(stem in fold(b.text) for b in blocks[2:]) or cut:
                # It stands in the text already, or is a stump of words that stand nowhere.
                return (
                    (lead, method, blocks)
                    if not any(stem in fold(b.text) for b in blocks)
                    else ("", "none", blocks)
                )
        kept, _ = without(blocks, [lead])
        if not kept and lead:
            return lead, method, []
        return lead, method, kept

    # -- body --------------------------------------------------------------------------------

    def _body(self, title: str, lead: Element | None) -> tuple[list[Block], str]:
        named = self._named(lead)
        chosen = self._longest(self.selectors.body, named)
        if chosen is not None and _letters(chosen[0]) >= _MIN_BODY:
            self.dropped += chosen[1]
            return chosen[0], "selector"
        held = self._longest(_CONTAINERS, named)
        generic = self._generic(named, title)
        best = [
            (found, counts, method)
            for (found, counts), method in (
                (chosen or ([], Counter()), "selector"),
                (held or ([], Counter()), "container"),
                (generic, "trafilatura"),
            )
            if found
        ]
        if not best:
            return self._last_resort(named)
        blocks, counts, method = best[0]
        for rival, rival_counts, rival_method in best[1:]:
            factor = 1.0 if _letters(blocks) < _MIN_BODY else _RIVAL
            if _letters(rival) > factor * _letters(blocks):
                blocks, counts, method = rival, rival_counts, rival_method
        if _letters(blocks) < _MIN_BODY:
            other, other_method = self._last_resort(named)
            if _letters(other) > 2 * _letters(blocks):
                return other, other_method
        self.dropped += counts
        return blocks, method

    def _named(self, lead: Element | None) -> list[tuple[Element, Drop]]:
        parts = (
            (self.selectors.drop, Drop.NAMED),
            (self.selectors.caption, Drop.CAPTION),
            (self.selectors.related, Drop.RELATED),
            (self.selectors.author, Drop.AUTHOR),
            (self.selectors.tags, Drop.TAGS),
            (self.selectors.title, Drop.REPEATED),
            (self.selectors.date, Drop.REPEATED),
        )
        named = [(e, kind) for several, kind in parts for e in select(self.root, several)]
        return [*named, (lead, Drop.REPEATED)] if lead is not None else named

    def _longest(
        self, selectors: Sequence[str], named: Sequence[tuple[Element, Drop]]
    ) -> _Collected | None:
        """Return the paragraphs of the selected element that has the most text."""
        best: _Collected | None = None
        seen: set[int] = set()
        for element in select(self.root, selectors):
            if id(element) in seen or len(seen) >= 20:
                continue
            seen.add(id(element))
            found = collect(element, named=[(e, k) for e, k in named if e is not element])
            if best is None or _letters(found[0]) > _letters(best[0]):
                best = found
        return best

    def _generic(self, named: Sequence[tuple[Element, Drop]], title: str) -> _Collected:
        """Return the paragraphs that trafilatura takes for the article, as our own walk sees them.

        trafilatura finds the article, but keeps captions, link lines and bylines and glues bare
        text nodes; the walk knows those, but not where the article is. Paragraphs that only the
        walk has are kept where they stand between two that both have.
        """
        if self.shape.tags > _FALLBACK_TAGS:
            return [], Counter()
        text = self._trafilatura()
        lines = [Block(text=re.sub(r"^- (?=\S)", "", block.text)) for block in paragraphs(text)]
        if not lines:
            return [], Counter()
        blocks, counts = collect(self.root, named=named)
        start = next((n for n, b in enumerate(blocks) if fold(b.text) == fold(title)), -1)
        after = blocks[start + 1 :]
        key = fold(" ".join(b.text for b in lines))
        common = {n for n, b in enumerate(after) if b.link_share < 0.5 and fold(b.text) in key}
        first, last = min(common, default=0), max(common, default=-1)
        kept = [
            b
            for n, b in enumerate(after[: last + 1])
            if n in common or (n > first and len(b.text) >= _LONG_LINE and b.link_share < 0.5)
        ]
        # Far less than trafilatura has: the walk took the article for side matter.
        sound = _letters(kept) >= min(_letters(lines), max(_MIN_BODY, _letters(lines) // 4))
        return (kept, counts) if sound else (lines, Counter())

    def _trafilatura(self) -> str:
        from trafilatura import extract

        text = extract(
            self.decoded.text,
            url=self.url,
            fast=True,
            include_comments=False,
            include_tables=True,
            output_format="txt",
        )
        return text or ""

    def _last_resort(self, named: Sequence[tuple[Element, Drop]]) -> tuple[list[Block], str]:
        """Return the element with the densest text, or the text that JSON-LD carries."""
        element = _densest(self.root)
        blocks: list[Block] = []
        if element is not None:
            blocks, counts = collect(element, named=named)
            blocks = [b for b in blocks if b.link_share < 0.7]
            self.dropped += counts
        carried = next((t for a in self.articles if (t := _article_body(a))), "")
        if len(carried) > 2 * _letters(blocks):
            return list(paragraphs(carried)), "json-ld"
        return blocks, "densest" if blocks else "none"

    def _without_dates(self, blocks: list[Block]) -> list[Block]:
        """Drop lines of the head that are a date and little else."""
        return [
            block
            for place, block in enumerate(blocks)
            if not (
                place < 3
                and len(block.text) <= 60
                and len(re.findall(r"[^\W\d_]{2,}", block.text)) <= 7
                and not re.search(r"[.!?]$", block.text)
                and parse_date(block.text, zone=self.zone) is not None
            )
        ]

    # -- date --------------------------------------------------------------------------------

    def _published(self) -> tuple[Published, tuple[FoundDate, ...]]:
        formats = self.outlet.date_formats if self.outlet else ()
        found: list[FoundDate] = []
        for method, text in self._date_texts():
            date = parse_date(text, zone=self.zone, formats=formats, fetched_at=self.fetched_at)
            if date is not None and not any(f.method == method for f in found):
                found.append(
                    FoundDate(
                        at=date.at,
                        precision=date.precision,
                        zone_known=date.zone_known,
                        method=method,
                    )
                )
        # A date read off the page by its class is believed only where nothing else gives one:
        # the same classes carry the dates of related articles.
        stated = [f for f in found if f.method != "text"]
        if not stated and self.own.published is not None:
            found = [self.own.published]
        used = stated or found
        return choose(used, self.zone), tuple(used)

    def _date_texts(self) -> Iterator[tuple[str, str]]:
        """Yield (method, text) of every place that may hold the date, in order of trust."""
        for element in select(self.root, self.selectors.date):
            yield "selector", element.get("datetime") or element.get("content") or plain(element)
        for article in self.articles:
            yield "json-ld", ld_text(article, "datePublished")
        for method, names in _DATE_METAS:
            for name in names:
                for text in self.meta.get(name, ()):
                    yield method, text
        for element in self.root.iter("time"):
            if element.get("datetime") and not self._aside(element):
                yield "time", element.get("datetime") or ""
        for element in select(self.root, _DATE_CLASSES):
            if not self._aside(element):
                yield "text", plain(element)[:200]

    # -- the rest ----------------------------------------------------------------------------

    def _own(self) -> tuple[Found, str]:
        """Return what the outlet's own function knows, and what broke in it."""
        name = self.outlet.extractor if self.outlet else ""
        if name not in REGISTRY:
            return Found(), ""
        parsed = Parsed(
            url=self.url,
            root=self.root,
            meta=self.meta,
            articles=tuple(self.articles),
            zone=self.zone,
        )
        try:
            return REGISTRY[name](parsed), ""
        except Exception as error:  # noqa: BLE001  one outlet's function must not lose its pages
            return Found(), f"{name}: {type(error).__name__}: {error}"[:300]

    def _drift(self, blocks: Sequence[Block]) -> float | None:
        """Return 1 - F1 of the words of the selector body against those that trafilatura finds."""
        if self.shape.tags > _FALLBACK_TAGS:
            return None
        theirs = Counter(re.findall(r"\w+", self._trafilatura().lower()))
        ours = Counter(re.findall(r"\w+", " ".join(b.text for b in blocks).lower()))
        if not theirs or not ours:
            return None
        both = sum((ours & theirs).values())
        return round(1 - 2 * both / (sum(ours.values()) + sum(theirs.values())), 4)

    def _opt_outs(self) -> tuple[str, ...]:
        """Return what the page's owner asks for, in meta elements and headers.

        Robots meta and X-Robots-Tag for everybody, for the large crawlers or for us; the TDM
        Reservation Protocol in both places.
        """
        said = [t for b in _BOTS for t in self.meta.get(b, ())]
        found = set()
        for name, value in self.headers:
            key, text = name.lower(), value.lower().strip()
            if key == "x-robots-tag":
                agent, colon, rest = text.partition(":")
                if not colon or agent.strip() in _OPT_OUTS:
                    said.append(text)
                elif agent.strip() in _BOTS:
                    said.append(rest)
            elif key == "tdm-reservation" and text == "1":
                found.add("tdm")
        if "1" in (text.strip() for text in self.meta.get("tdm-reservation", ())):
            found.add("tdm")
        for text in said:
            found |= {w for w in re.split(r"[\s,;]+", text.lower()) if w in _OPT_OUTS}
        return tuple(sorted(found))

    def _paywall(self) -> bool:
        for article in self.articles:
            free = article.get("isAccessibleForFree")
            if free is False or (isinstance(free, str) and free.strip().lower() == "false"):
                return True
        if self.first("article:content_tier").lower() in ("locked", "metered"):
            return True
        return any(
            _PAYWALL.search((element.get("class") or "").lower().replace("_", "-"))
            for element in self.root.iter("div", "section", "aside")
        )

    def _language(self, text: str) -> str:
        share, accented = vietnamese_share(text)
        if share > 0.8 and accented > 0.2:
            return "vi"
        declared = self.root.get("lang") or self.first("og:locale")
        return re.split(r"[-_]", declared.strip().lower())[0][:3]

    def _section(self) -> str:
        for element in select(self.root, self.selectors.section):
            if text := plain(element):
                return text
        for article in self.articles:
            if text := ld_text(article, "articleSection"):
                return text
        if text := self.first("article:section"):
            return text
        for node in self.others:
            if node.get("@type") == "BreadcrumbList":
                return _last_crumb(node)
        return ""

    def _tags(self) -> tuple[str, ...]:
        found = [plain(e) for e in select(self.root, self.selectors.tags)]
        if not found:
            several = [
                *self.meta.get("article:tag", ()),
                *self.meta.get("news_keywords", ()),
            ]
            found = [squeeze(t) for text in several for t in text.split(",")]
        named: dict[str, str] = {}
        for tag in found:
            if tag and len(tag) <= 80:
                named.setdefault(fold(tag), tag)
        return tuple(named.values())[:30]

    # -- refusals ----------------------------------------------------------------------------

    def _refuse(
        self,
        address: str,
        title: str,
        lead: str,
        lead_method: str,
        body: str,
        body_method: str,
        published: Published,
    ) -> None:
        """Raise where the page is no article.

        Raises:
            PageError: ``soft_404``, ``not_article`` or ``no_text``.
        """
        letters = len(body) + len(lead)
        heads = [title, *(plain(e) for e in self.root.iter("h1", "title"))]
        if letters < _SOFT_404_LETTERS and any(_SOFT_404.search(h) for h in heads):
            raise PageError("soft_404", "the page says that it was not found")
        if is_home(address) or is_home(self.url):
            raise PageError("not_article", "a front page")
        stated = bool(self.articles) or published.at is not None
        if self.outlet and self.outlet.article_pattern and not stated:
            addresses = (address, self.url)
            if self.outlet.owns(address) and not any(map(self.outlet.is_article, addresses)):
                raise PageError("not_article", "the address has not the shape of an article")
        if body_method != "selector" and not self.articles and self._lists():
            kind = self.first("og:type").lower()
            if published.at is None or kind == "website" or len(body) < 2 * _MIN_BODY:
                raise PageError("not_article", "a list of headlines")
        if not body and lead_method not in ("selector", "class"):
            raise PageError("no_text", "neither body nor lead")
        if len(body) < _MIN_BODY and not (title and lead):
            raise PageError("no_text", f"{len(body)} characters without title and lead")

    def _lists(self) -> bool:
        """Tell whether the page is made of headlines: links of some words in headings or lists."""
        count = 0
        for link in self.root.iter("a"):
            parent = link.getparent()
            tags = {parent.tag if parent is not None else "", *(c.tag for c in link)}
            if tags & {"h2", "h3", "h4", "li"} and len(plain(link).split()) >= 5:
                count += 1
        return count >= _LISTING_HEADLINES


def canonical_host(url: str) -> str:
    """Return the host of an address without ``www.``; empty for none."""
    try:
        return canonical_url(url).split("/")[2].removeprefix("www.")
    except UnsafeAddressError:
        return ""


def _fixed(at: datetime | None) -> datetime | None:
    """Return the same instant and offset without a named zone, which JSON cannot carry."""
    return datetime.fromisoformat(at.isoformat()) if at else None


def _letters(blocks: Sequence[Block]) -> int:
    return sum(len(b.text) for b in blocks)


def _alike(one: str, other: str) -> bool:
    """Tell whether two folded titles are of one article: one holds the other, or nearly."""
    return bool(one and other) and (
        one == other or (min(len(one), len(other)) >= 12 and (one in other or other in one))
    )


def _shared(one: str, other: str) -> float:
    """Return the share of the words of the shorter text that the other one has."""
    words = [set(re.findall(r"\w+", t.casefold())) for t in (one, other)]
    return len(words[0] & words[1]) / max(1, min(map(len, words)))


def _densest(root: Element) -> Element | None:
    """Return the element with the most text in its own paragraphs, after Readability's idea.

    Each paragraph of 25 characters or more counts for its parent, half for the parent's parent;
    what stands in links does not count.
    """
    scores: dict[Element, float] = {}
    for element in root.iter("p", "td", "pre", "div"):
        own = [element.text, *(child.tail for child in element)]
        text = plain(element) if element.tag in ("p", "pre") else " ".join(filter(None, own))
        linked = sum(len("".join(a.itertext())) for a in element.iter("a"))
        weight = len(squeeze(text)) - 2 * linked
        if weight < 25 or class_kind(element) is not None:
            continue
        parent = element if element.tag in ("div", "td") else element.getparent()
        for share in (1.0, 0.5):
            if parent is None or parent.tag == "html":
                break
            scores[parent] = scores.get(parent, 0.0) + share * weight
            parent = parent.getparent()
    return max(scores, key=lambda e: scores[e], default=None)


def _article_body(node: Mapping[str, Any]) -> str:
    text = node.get("articleBody")
    if not isinstance(text, str):
        return ""
    return "\n".join(unescaped(line) for line in text.split("\n") if line.strip())


def _last_crumb(node: Mapping[str, Any]) -> str:
    items = node.get("itemListElement")
    last = items[-1] if isinstance(items, list) and items else None
    if not isinstance(last, dict):
        return ""
    inner = last.get("item")
    return ld_text(last, "name") or (ld_text(inner, "name") if isinstance(inner, dict) else "")
