"""Which claims are the same claim, and which articles are copies of one story."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import digest
from nlp.quantities import Quantity, extract, in_base
from nlp.sentences import sentence_spans
from nlp.text import skeleton

_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
_GROUPED: Final = re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?")
_WORD: Final = re.compile(r"\d+(?:,\d+)?%?|[^\W\d_]+|[%<>]")
MIN_WORDS: Final = 6
"""A shorter sentence is a stock phrase and proves no copying."""
CONTAINMENT: Final = 0.5
"""Share of a text's sentences that stand in another: found by measurement in the field notes."""


_OPENING: Final = re.compile(
    r"^(?:(?:tuy nhiên|thế nhưng|nhưng|song|ngoài ra|bên cạnh đó|cụ thể|được biết|cũng|"
    r"đáng chú ý|trong khi đó|theo đó|như vậy|hiện nay|hiện|đến nay|"
    r"đồng thời|mặt khác|thực tế|như thế)\b[\s,:]*)+"
)
_TELLING: Final = re.compile(
    r"^(?:(?:ông|bà|anh|chị|vị|đại diện|lãnh đạo|cán bộ|phóng viên|người|chủ tịch|giám đốc|"
    r"chủ nhiệm|phó)\b[^,.;:\d]{0,60}?\s)?"
    r"(?:cho biết|cho hay|nói|khẳng định|nêu rõ|nhấn mạnh|chia sẻ|thông tin|cho rằng)"
    r"(?: rằng| thêm| là)*\s*[,:]?\s*[\"“]?"
)
_BOUND_WORDS: Final = re.compile(
    r"(?:\s|^)(?:(?:là|phải|cần|có|đạt|từ|gồm|ở mức|mức)\s+)*"
    r"(?:ít nhất|tối thiểu|tối đa|nhiều nhất|không (?:được )?(?:vượt )?quá|không (?:được )?dưới|"
    r"không (?:được )?ít hơn|không (?:được )?vượt|trên|hơn|dưới|khoảng|gần|xấp xỉ|chừng|từ đủ|từ)"
    r"(?:\s+(?:là|phải|có|từ|khoảng))*\s*$"
)
_AFTER: Final = re.compile(r"(?:\s*(?:trở lên|trở xuống))?")
_SYNONYMS: Final = tuple(
    (re.compile(rf"\b(?:{pattern})\b"), word)
    for pattern, word in (
        ("(?:trên |trong )?(?:toàn quốc|(?:phạm vi )?cả nước(?: ta)?)", "cả nước"),
        ("cần phải có|bắt buộc phải có|bắt buộc có|phải có|cần có|cần", "phải"),
        ("quy định rằng|quy định là", "quy định"),
        ("năm tài khóa", "năm tài chính"),
        ("luật htx", "luật hợp tác xã"),
        ("bị cấm|bị nghiêm cấm|không được phép", "không được"),
    )
)  # fmt: skip
_EMPTY: Final = frozenset((
    "là", "thì", "mà", "rằng", "của", "các", "những", "cũng", "đều", "đang", "đã", "này", "ở",
    "tại", "có", "và", "với", "về", "hiện", "ra",
))  # fmt: skip
"""Words that a reader may leave out without another thing being said."""
SHINGLE: Final = 5
PERMUTATIONS: Final = 64
BANDS: Final = 16
RESEMBLANCE: Final = 0.5
"""Shingles of five syllables; the share of equal minima that makes a light rewrite a copy. Broder,
"On the resemblance and containment of documents", 1997; the threshold from the field notes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryPlace:
    """The story of an article; ``copied_from`` is empty for the first article of a story."""

    story_id: str
    copied_from: str
    containment: float


def _one_number_format(match: re.Match[str]) -> str:
    text = match[0]
    if _GROUPED.fullmatch(text):
        text = text.replace(".", "")
    head, comma, tail = text.partition(",")
    head = head.lstrip("0") or "0"
    return f"{head}{comma}{tail}" if comma else head


def _words(text: str) -> list[str]:
    return _WORD.findall(_NUMBER.sub(_one_number_format, skeleton(text).text))


def content_key(text: str) -> str:
    """Return a hash of the words of ``text`` that ignores case, tone style, blanks and marks."""
    return digest(*_words(text))


def claim_key(text: str) -> str:
    """Return the id of the canonical claim: what is said, of whom, with which figures.

    Claims that differ in a number, a unit, a bound, a date, an actor, a source, the order of what
    is said or a negation never share a key. How it is written does not count: case, punctuation,
    tone style, ``HTX`` for ``hợp tác xã``, number and date formats ("05 (năm)", "2,5 nghìn tỷ"),
    ways to say a bound, who reports it, and words that carry no content.
    """
    return digest("claim", *claim_terms(text))


def claim_terms(text: str) -> tuple[str, ...]:
    """Return the terms that make up the canonical claim of ``text``, in its order."""
    view = " ".join(skeleton(text).text.split())
    view = _TELLING.sub("", _OPENING.sub("", view.strip(" \"“”'.,;:–-")))
    found = extract(view)
    items = sorted(
        [(q.start, q.end, _quantity_term(q)) for q in found.quantities if q.unit]
        + [(d.start, d.end, f"<{d.first}:{d.last}>") for d in found.dates if d.resolved]
    )
    terms: list[str] = []
    at = 0
    for start, end, term in [*items, (len(view), len(view), "")]:
        if start < at:
            continue
        words = _WORD.findall(
            _NUMBER.sub(_one_number_format, _plain_words(view[at:start], before=term))
        )
        terms += [w for w in words if w not in _EMPTY]
        if term:
            terms.append(term)
        at = end
        if term.startswith("<q"):
            at += len(_AFTER.match(view[end:])[0])  # type: ignore[index]
    return tuple(terms)


def _plain_words(part: str, *, before: str) -> str:
    """Return ``part`` with synonyms alike; a bound that the next quantity holds already is cut."""
    if before.startswith("<q"):
        part = _BOUND_WORDS.sub(" ", part)
    for pattern, word in _SYNONYMS:
        part = pattern.sub(word, part)
    return part


def _quantity_term(quantity: Quantity) -> str:
    unit, factor = in_base(quantity)
    value = format((quantity.value * factor).normalize(), "f")
    if quantity.upper is not None:
        value += ".." + format((quantity.upper * factor).normalize(), "f")
    return f"<q{quantity.bound}:{value}:{unit}:{quantity.modifier}>"


def _sentence_keys(text: str) -> tuple[str, ...]:
    keys = []
    for start, end in sentence_spans(text):
        words = _words(text[start:end])
        if len(words) >= MIN_WORDS:
            keys.append(digest(*words))
    return tuple(dict.fromkeys(keys))


def stories(items: Sequence[tuple[str, str]]) -> dict[str, StoryPlace]:
    """Return the story of each ``(article_id, text)``, given in reading order.

    A text is a copy of the earliest text that shares at least `CONTAINMENT` of the sentences of the
    shorter of the two, and at least two, or all of its words; failing that, of the earliest text
    whose shingles it resembles by at least `RESEMBLANCE` (a light rewrite).
    """
    rewrites = _Rewrites()
    places: dict[str, StoryPlace] = {}
    exact: dict[str, str] = {}
    holders: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    order: dict[str, int] = {}
    for article_id, text in items:
        if article_id in places:
            continue
        keys = _sentence_keys(text)
        whole = content_key(text)
        origin, share = exact.get(whole, ""), 1.0
        if not origin:
            origin, share = _closest(keys, holders, sizes, order)
        signature = _signature(text)
        if not origin and signature is not None:
            origin, share = rewrites.closest(signature)
        if signature is not None:
            rewrites.add(article_id, signature)
        order[article_id] = len(order)
        sizes[article_id] = len(keys)
        if text.strip():
            exact.setdefault(whole, article_id)
        for key in keys:
            holders.setdefault(key, []).append(article_id)
        if origin:
            first = places[origin].copied_from or origin
            places[article_id] = StoryPlace(
                story_id=places[first].story_id, copied_from=first, containment=share
            )
        else:
            places[article_id] = StoryPlace(
                story_id=digest("story", article_id), copied_from="", containment=0.0
            )
    return places


def _closest(
    keys: Sequence[str],
    holders: dict[str, list[str]],
    sizes: dict[str, int],
    order: dict[str, int],
) -> tuple[str, float]:
    shared: Counter[str] = Counter()
    for key in keys:
        shared.update(holders.get(key, ()))
    best = ("", 0.0)
    for other, count in sorted(shared.items(), key=lambda item: order[item[0]]):
        smaller = min(len(keys), sizes[other])
        share = count / smaller if smaller else 0.0
        if count >= min(2, smaller) and share >= CONTAINMENT and share > best[1]:
            best = (other, share)
    return best


def _permutations() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    random = np.random.default_rng(20_240_701)
    odd = random.integers(1, 2**32, PERMUTATIONS, dtype=np.uint64) | np.uint64(1)
    return odd, random.integers(0, 2**32, PERMUTATIONS, dtype=np.uint64)


_FACTORS, _OFFSETS = _permutations()


def _signature(text: str) -> NDArray[np.uint64] | None:
    """Return the MinHash signature of a text, shape (PERMUTATIONS,); None where it is too short."""
    words = _words(text)
    if len(words) < 8 * SHINGLE:
        return None
    hashes = np.array([crc32(w.encode()) for w in words], np.uint64)
    shingles = np.zeros(len(words) - SHINGLE + 1, np.uint64)
    for k in range(SHINGLE):
        shingles = shingles * np.uint64(1_000_003) + hashes[k : k + len(shingles)]
    shingles = np.unique(shingles)
    least = np.full(PERMUTATIONS, np.iinfo(np.uint64).max, np.uint64)
    for at in range(0, len(shingles), 4096):  # in pieces: memory stays flat for any length
        part = shingles[at : at + 4096, None] * _FACTORS + _OFFSETS
        part ^= part >> np.uint64(29)
        least = np.minimum(least, part.min(axis=0))
    return least


class _Rewrites:
    """Texts by the bands of their signatures: only those that share a band are compared."""

    def __init__(self) -> None:
        self._bands: dict[tuple[int, bytes], list[int]] = {}
        self._ids: list[str] = []
        self._signatures: list[NDArray[np.uint64]] = []

    def _keys(self, signature: NDArray[np.uint64]) -> list[tuple[int, bytes]]:
        rows = PERMUTATIONS // BANDS
        return [(b, signature[b * rows : (b + 1) * rows].tobytes()) for b in range(BANDS)]

    def add(self, article_id: str, signature: NDArray[np.uint64]) -> None:
        """Remember a text."""
        for key in self._keys(signature):
            self._bands.setdefault(key, []).append(len(self._ids))
        self._ids.append(article_id)
        self._signatures.append(signature)

    def closest(self, signature: NDArray[np.uint64]) -> tuple[str, float]:
        """Return the earliest of the most alike texts, and how alike, or nothing."""
        near = sorted({n for key in self._keys(signature) for n in self._bands.get(key, ())})
        best = ("", 0.0)
        for n in near:
            share = float((self._signatures[n] == signature).mean())
            if share >= RESEMBLANCE and share > best[1]:
                best = (self._ids[n], share)
        return best
