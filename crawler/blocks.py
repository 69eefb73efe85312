"""The body of an article: paragraphs in, captions, related links, tags, bylines and comments out.

What is dropped is counted by kind. Names of authors are never kept: only that there was a line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from crawler.markup import Element, plain, squeeze


class Drop(StrEnum):
    """Why a piece of a page is no part of its text."""

    CAPTION = "caption"
    RELATED = "related"
    TAGS = "tags"
    AUTHOR = "author"
    COMMENT = "comment"
    NOISE = "noise"
    NAMED = "named"  # by the outlet file
    REPEATED = "repeated"  # title, lead or date again


_WORDS: Final = {
    Drop.COMMENT: "comments? comment-list comment-box fb-comments binh-luan y-kien y-kien-ban-doc "
    "disqus cmt",
    Drop.RELATED: "related relate relates related-news related-box lien-quan tin-lien-quan "
    "tinlienquan tin-khac xem-them doc-them read-more readmore see-more more-news list-news "
    "recommend recommended recommendation suggest suggestions cung-chuyen-muc same-category "
    "most-read doc-nhieu article-relate",
    Drop.CAPTION: "captions? tplcaption figcaption chu-thich photo-desc image-desc pic-desc "
    "img-desc desc-cation photo-credit",
    Drop.TAGS: "tags tag-list taglist tag-box keywords? tu-khoa hashtags?",
    Drop.AUTHOR: "authors? byline tac-gia nguoi-viet but-danh writer author-name name-author",
    Drop.NOISE: "share sharing social breadcrumbs? pagination paging newsletter subscribe ads? "
    "advert advertisement adsbygoogle banner sponsor sponsored sidebar navbar menu popup toolbar "
    "survey rating audio-player video-player player quang-cao footer chan-trang cuoi-trang cookie "
    "hidden sr-only d-none",
}
_CLASSES: Final = {
    kind: re.compile(rf"(?<![a-z0-9])(?:{'|'.join(words.split())})(?![a-z0-9])")
    for kind, words in _WORDS.items()
}
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|[_\s]+")
_NOISE_TAGS: Final = frozenset(
    {"script", "style", "noscript", "template", "iframe", "form", "button", "select", "input"}
    | {"svg", "canvas", "video", "audio", "object", "embed", "nav", "footer", "dialog", "map"}
)
_BLOCK_TAGS: Final = frozenset(
    {"p", "div", "section", "article", "main", "li", "ul", "ol", "dl", "dt", "dd", "blockquote"}
    | {"h1", "h2", "h3", "h4", "h5", "h6", "table", "tbody", "thead", "tfoot", "tr", "caption"}
    | {"pre", "hr", "header", "aside", "figure", "figcaption", "center", "address", "details"}
    | {"summary", "fieldset", "body", "html"}
)
_STRONG: Final = frozenset({"b", "strong", "em", "i"})
_WRAPPER_SHARE: Final = 0.5
"""An element that holds more of the text than this is no side matter, whatever its class says."""

_SPACED_RIGHT: Final = re.compile(r"text-align\s*:\s*(?:right|end)", re.IGNORECASE)
_HIDDEN: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)

_RELATED_START: Final = re.compile(
    r"^(?:[>»+*•\-–\s]*(?:xem|đọc|nghe)\s+(?:thêm|tiếp|lại)\b|(?:tin|bài)\s+(?:bài\s+)?liên\s+quan"
    r"|mời\s+(?:bạn\s+đọc|độc\s+giả|quý\s+vị)?\s*xem|[>»]{1,3}\s)",
    re.IGNORECASE,
)
_CREDIT: Final = re.compile(
    r"(?:^|[.!?…)]\s*|\s[-–(]\s*)(?:ảnh|hình|video|clip|đồ họa)(?:\s+(?:minh họa|tư liệu|chụp))?"
    r"\s*[:;/]\s*[^.!?]{2,70}[.)]?$",
    re.IGNORECASE,
)
_SOURCE: Final = re.compile(
    r"^\(?(?:theo|nguồn|bài(?:\s+(?:và|,|-)\s*ảnh|,\s*ảnh)?|tin,?\s*ảnh|ảnh|thực hiện|biên tập"
    r"|tác giả|người viết|phóng viên)\s*:?\s+(?=\S)",
    re.IGNORECASE,
)
_SENTENCE_END: Final = re.compile(r"[.!?…:;][\"”’)]*$")
_BYLINE_WORDS: Final = 8
_CAPTION_WORDS: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One paragraph and what its markup says about it; shares lie in 0..1."""

    text: str
    link_share: float = 0.0
    strong_share: float = 0.0
    right: bool = False
    after_image: bool = False
    heading: bool = False


@dataclass(slots=True)
class _Open:
    """A paragraph that is being collected."""

    pieces: list[str] = field(default_factory=list)
    letters: int = 0
    linked: int = 0
    strong: int = 0
    right: bool = False
    heading: bool = False


def class_kind(element: Element) -> Drop | None:
    """Return what the class, id or type of an element says that it is."""
    names = f"{element.get('class') or ''} {element.get('id') or ''}"
    if "related" in (element.get("type") or "").lower():
        return Drop.RELATED
    if element.get("rel") == "author" or element.get("itemprop") == "author":
        return Drop.AUTHOR
    if not names.strip():
        return None
    normal = _CAMEL.sub("-", names).lower()
    for kind, pattern in _CLASSES.items():
        if pattern.search(normal):
            return kind
    if element.tag == "p" and (element.get("class") or "").strip().lower() == "image":
        return Drop.CAPTION
    return None


def _length(element: Element) -> int:
    return sum(len(piece) - piece.count(" ") for piece in element.itertext())


def collect(
    container: Element, *, named: Collection[tuple[Element, Drop]] = ()
) -> tuple[list[Block], Counter[Drop]]:
    """Return the paragraphs of ``container`` and how many pieces were dropped, by kind.

    Bare text and ``<br>`` make paragraphs like ``<p>`` does. ``named`` are elements that an outlet
    file names to be dropped.
    """
    return _Collector(container, {id(e): kind for e, kind in named}).run()


class _Collector:
    def __init__(self, container: Element, named: dict[int, Drop]) -> None:
        self._container = container
        self._named = named
        self._whole = max(1, _length(container))
        self._blocks: list[Block] = []
        self._dropped: Counter[Drop] = Counter()
        self._open = _Open()
        self._image = False

    def run(self) -> tuple[list[Block], Counter[Drop]]:
        self._visit(self._container, linked=False, strong=False)
        self._close()
        return self._blocks, self._dropped

    def _close(self, *, right: bool = False, heading: bool = False) -> None:
        """End the paragraph that is open, and begin one with the properties given."""
        piece = self._open
        text = squeeze("".join(piece.pieces))
        if text:
            letters = max(1, piece.letters)
            self._blocks.append(
                Block(
                    text=text,
                    link_share=piece.linked / letters,
                    strong_share=piece.strong / letters,
                    right=piece.right,
                    after_image=self._image,
                    heading=piece.heading,
                )
            )
            self._image = False
        self._open = _Open(right=right, heading=heading)

    def _text(self, text: str | None, *, linked: bool, strong: bool) -> None:
        if not text:
            return
        self._open.pieces.append(text)
        letters = len(text.strip())
        self._open.letters += letters
        self._open.linked += letters if linked else 0
        self._open.strong += letters if strong else 0

    def _visit(self, element: Element, *, linked: bool, strong: bool) -> None:
        """Walk one element; libxml2's depth cap of 256 bounds the recursion."""
        name = element.tag
        if not isinstance(name, str):
            return
        if element is not self._container and self._drops(element, name):
            return
        if name == "br":
            self._close(right=self._open.right)
            return
        if name == "img":
            self._image = True
            return
        block = name in _BLOCK_TAGS
        cell = name in ("td", "th")
        if block:
            self._close(right=_is_right(element), heading=name in ("h2", "h3", "h4", "h5", "h6"))
        elif cell:
            self._text(" ", linked=False, strong=False)
        linked = linked or name == "a"
        strong = strong or name in _STRONG
        self._text(element.text, linked=linked, strong=strong)
        for child in element:
            self._visit(child, linked=linked, strong=strong)
            self._text(child.tail, linked=linked, strong=strong)
        if block:
            self._close()

    def _drops(self, element: Element, name: str) -> bool:
        kind = self._named.get(id(element))
        if kind is None:
            kind = self._kind(element, name)
        if kind is None:
            return False
        text = plain(element)
        if (
            kind is not Drop.NOISE
            and len(text) > self._whole * _WRAPPER_SHARE
            and (id(element) not in self._named)
        ):
            return False
        if element.find(".//img") is not None or name in ("img", "figure"):
            self._image = kind is not Drop.CAPTION  # its caption may still follow
        if text:
            self._dropped[kind] += 1
        return True

    def _kind(self, element: Element, name: str) -> Drop | None:
        if name in _NOISE_TAGS or name == "aside":
            kind = class_kind(element)
            return kind if kind in (Drop.RELATED, Drop.COMMENT) else Drop.NOISE
        if element.get("hidden") is not None or _HIDDEN.search(element.get("style") or ""):
            return Drop.NOISE
        if name == "figure":
            holds_text = element.find(".//table") is not None or (
                element.find(".//blockquote") is not None
            )
            return None if holds_text and element.find(".//img") is None else Drop.CAPTION
        if name == "figcaption":
            return Drop.CAPTION
        if name == "table" and element.find(".//img") is not None and _length(element) < 400:
            return Drop.CAPTION  # a picture with its caption, laid out as a table
        kind = class_kind(element)
        if kind is Drop.NOISE and len(plain(element)) > self._whole * _WRAPPER_SHARE:
            return None
        if kind is None and name in ("ul", "ol") and _all_links(element):
            return Drop.RELATED
        return kind


def _is_right(element: Element) -> bool:
    style = element.get("style") or ""
    names = (element.get("class") or "").lower().split()
    return (
        bool(_SPACED_RIGHT.search(style))
        or (element.get("align") or "").lower() == "right"
        or "text-right" in names
        or "align-right" in names
    )


def _all_links(element: Element) -> bool:
    """Tell whether a list consists of links, each an item of some words."""
    whole = len(plain(element))
    linked = sum(len(plain(a)) for a in element.iter("a"))
    return whole > 0 and linked >= 0.9 * whole


# -- paragraphs --------------------------------------------------------------------------------


def prune(blocks: Sequence[Block]) -> tuple[list[Block], Counter[Drop]]:
    """Drop what only its wording or place shows to be no text: credits, link lines, bylines."""
    dropped: Counter[Drop] = Counter()
    kept = []
    for block in blocks:
        kind = _line_kind(block)
        if kind is None:
            kept.append(block)
        else:
            dropped[kind] += 1
    while kept and _is_byline(kept[-1], last=True):
        kept.pop()
        dropped[Drop.AUTHOR] += 1
    while kept and _is_byline(kept[0], last=False):
        kept.pop(0)
        dropped[Drop.AUTHOR] += 1
    while kept and kept[-1].heading:  # a heading of what was dropped behind it
        kept.pop()
        dropped[Drop.RELATED] += 1
    return kept, dropped


def _line_kind(block: Block) -> Drop | None:
    words = block.text.split()
    if block.link_share >= 0.95 and (len(words) >= 3 or _RELATED_START.search(block.text)):
        return Drop.RELATED
    if _RELATED_START.search(block.text) and (block.link_share >= 0.4 or len(words) <= 4):
        return Drop.RELATED
    if len(words) > _CAPTION_WORDS:
        return None
    if _CREDIT.search(block.text):
        return Drop.CAPTION
    if block.after_image and block.strong_share >= 0.95 and not block.heading and len(words) <= 60:
        return Drop.CAPTION  # in italics under a picture
    return None


def _is_byline(block: Block, *, last: bool) -> bool:
    """Tell whether the first or last paragraph names who wrote it.

    Either it says so (``Theo ...``, ``Bài, ảnh: ...``), or it is a few capitalised words without a
    full stop, set to the right or in bold: how Vietnamese pages sign an article.
    """
    words = block.text.split()
    if not words or len(words) > _BYLINE_WORDS or _SENTENCE_END.search(block.text):
        return False
    if block.heading:
        return False
    if last and _SOURCE.search(block.text):
        return True
    set_apart = block.right or block.strong_share >= 0.95
    names = [w for w in words if w[0].isalpha()]
    return (
        set_apart
        and bool(names)
        and (block.right or all(w[0].isupper() for w in names))
        and not any(c.isdigit() for c in block.text)
    )


def without(blocks: Sequence[Block], repeated: Sequence[str]) -> tuple[list[Block], int]:
    """Remove the texts ``repeated`` (title, lead) where they stand again among the first blocks.

    A paragraph that begins with the lead and goes on keeps the rest.
    """
    kept = list(blocks)
    count = 0
    for text in repeated:
        key = fold(text)
        if not key:
            continue
        for place, block in enumerate(kept[:3]):
            if fold(block.text) == key:
                del kept[place]
                count += 1
                break
            if len(key) > 40 and block.text.startswith(text):
                rest = block.text[len(text) :].strip(" -–—|")
                kept[place : place + 1] = [replace(block, text=rest)] if rest else []
                count += 1
                break
    return kept, count


def fold(text: str) -> str:
    """Return the letters and digits of ``text`` in lower case, to compare two printings of it."""
    return "".join(c for c in text.casefold() if c.isalnum())


def paragraphs(text: str) -> Iterator[Block]:
    """Yield the lines of a plain text as blocks."""
    for line in text.split("\n"):
        if clean := squeeze(line):
            yield Block(text=clean)
