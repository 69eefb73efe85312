"""Which claims are the same claim, and which articles are copies of one story."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import digest
from nlp.quantities import Quantity, extract, in_base
from nlp.sentences import sentence_spans
from nlp.text import skeleton_text

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
    (re.compile(rf"\b(?:{pattern})\b"), word, needs)
    for pattern, word, needs in (  # what each needs is asked for first: it is seldom there
        ("(?:trên |trong )?(?:toàn quốc|(?:phạm vi )?cả nước(?: ta)?)", "cả nước",
         ("toàn quốc", "cả nước")),
        ("cần phải có|bắt buộc phải có|bắt buộc có|phải có|cần có|cần", "phải",
         ("cần", "phải có", "bắt buộc")),
        ("quy định rằng|quy định là", "quy định", ("quy định rằng", "quy định là")),
        ("năm tài khóa", "năm tài chính", ("năm tài khóa",)),
        ("luật htx", "luật hợp tác xã", ("luật htx",)),
        ("bị cấm|bị nghiêm cấm|không được phép", "không được",
         ("bị cấm", "bị nghiêm cấm", "không được phép")),
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


def words_of(text: str) -> list[str]:
    """Return the words of canonical ``text``: no case, tone style, blanks or number formats."""
    return _WORD.findall(_NUMBER.sub(_one_number_format, skeleton_text(text)))


def content_key(text: str) -> str:
    """Return a hash of the words of ``text`` that ignores case, tone style, blanks and marks."""
    return digest(*words_of(text))


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
    view = " ".join(skeleton_text(text).split())
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
    for pattern, word, needs in _SYNONYMS:
        if any([need in part for need in needs]):  # a list: twice as fast as a generator here
            part = pattern.sub(word, part)
    return part


def _quantity_term(quantity: Quantity) -> str:
    unit, factor = in_base(quantity)
    value = format((quantity.value * factor).normalize(), "f")
    if quantity.upper is not None:
        value += ".." + format((quantity.upper * factor).normalize(), "f")
    return f"<q{quantity.bound}:{value}:{unit}:{quantity.modifier}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What is kept of a text in order to find its copies; the text itself is not needed.

    ``sentences`` are hashes of the distinct sentences of `MIN_WORDS` words or more, in order (n,);
    ``whole`` is a hash of all words, empty for a blank text; ``signature`` are the minima of the
    shingles (PERMUTATIONS,), None where the text is too short.
    """

    sentences: NDArray[np.uint64]
    whole: bytes
    signature: NDArray[np.uint64] | None


def fingerprint(text: str) -> Fingerprint:
    """Return the fingerprint of a text."""
    words = words_of(text)
    return Fingerprint(
        sentences=_sentence_keys(text),
        whole=_hash(words, 16) if text.strip() else b"",
        signature=_signature(words),
    )


def _hash(words: Sequence[str], size: int) -> bytes:
    return hashlib.blake2b("\x1f".join(words).encode(), digest_size=size).digest()


def _sentence_keys(text: str) -> NDArray[np.uint64]:
    keys = []
    for start, end in sentence_spans(text):
        words = words_of(text[start:end])
        if len(words) >= MIN_WORDS:
            keys.append(_hash(words, 8))
    return np.frombuffer(b"".join(dict.fromkeys(keys)), np.uint64)


def stories(items: Sequence[tuple[str, str]]) -> dict[str, StoryPlace]:
    """Return the story of each ``(article_id, text)``, given in reading order; see `place`."""
    first = dict(reversed(items))  # an id that is given twice counts where it stands first
    ids = list(dict.fromkeys(article_id for article_id, _ in items))
    return dict(zip(ids, place(ids, [fingerprint(first[i]) for i in ids]), strict=True))


def place(ids: Sequence[str], prints: Sequence[Fingerprint]) -> list[StoryPlace]:
    """Return the story of each text, given by id and fingerprint in reading order.

    A text is a copy of the earliest text that shares at least `CONTAINMENT` of the sentences of the
    shorter of the two, and at least two, or all of its words; failing that, of the earliest text
    whose shingles it resembles by at least `RESEMBLANCE` (a light rewrite).
    """
    shared = _Shared([p.sentences for p in prints])
    rewrites = _Rewrites([p.signature for p in prints])
    exact: dict[bytes, int] = {}
    origins: list[int] = []
    places: list[StoryPlace] = []
    for n, own in enumerate(prints):
        origin, share = exact.get(own.whole, -1), 1.0
        if origin < 0:
            origin, share = shared.closest(n)
        if origin < 0:
            origin, share = rewrites.closest(n)
        shared.add(n)
        rewrites.add(n)
        if own.whole:
            exact.setdefault(own.whole, n)
        first = n if origin < 0 else origins[origin]
        origins.append(first)
        places.append(
            StoryPlace(
                story_id=digest("story", ids[first]),
                copied_from="" if first == n else ids[first],
                containment=0.0 if first == n else share,
            )
        )
    return places


def _needed(size: int) -> int:
    """Return how many of the ``size`` sentences of the shorter text must stand in the other."""
    return max(min(2, size), math.ceil(CONTAINMENT * size))


class _Shared:
    """Texts by the sentences that stand in more than one of them.

    Two texts are compared only if they share a sentence that could decide: of the shorter one's
    sentences, the rarest first, all but the last ``needed - 1`` (prefix filtering: Chaudhuri,
    Ganti and Kaushik, "A primitive operator for similarity joins in data cleaning", 2006). So a
    stock phrase in every text of an outlet does not set each beside all others.
    """

    def __init__(self, texts: Sequence[NDArray[np.uint64]]) -> None:
        self._sizes = [len(t) for t in texts]
        every = np.concatenate([*texts, np.empty(0, np.uint64)])
        _, inverse, counts = np.unique(every, return_inverse=True, return_counts=True)
        self._keys: list[NDArray[np.int32]] = []
        at = 0
        for size in self._sizes:
            keys = inverse[at : at + size].astype(np.int32)
            at += size
            often = counts[keys]
            # A sentence that stands nowhere else is rarest; it finds nobody and is left out.
            order = np.lexsort((keys, often))
            self._keys.append(keys[order][int((often == 1).sum()) :])
        self._holders: dict[int, list[int]] = {}
        self._heads: dict[int, list[int]] = {}

    def _head(self, n: int) -> list[int]:
        """Return the sentences of a text of which one at least must be shared, the rarest first."""
        alone = self._sizes[n] - len(self._keys[n])
        deciding = self._sizes[n] - _needed(self._sizes[n]) + 1
        return self._keys[n][: max(0, deciding - alone)].tolist()  # type: ignore[no-any-return]

    def add(self, n: int) -> None:
        """Remember a text."""
        for key in self._keys[n].tolist():
            self._holders.setdefault(key, []).append(n)
        for key in self._head(n):
            self._heads.setdefault(key, []).append(n)

    def closest(self, n: int) -> tuple[int, float]:
        """Return the earliest of the texts that hold most, and the share, or (-1, 0)."""
        keys = self._keys[n].tolist()
        near = {m for key in self._head(n) for m in self._holders.get(key, ())}
        near.update(m for key in keys for m in self._heads.get(key, ()))
        ours = set(keys)
        best = (-1, 0.0)
        for m in sorted(near):
            smaller = min(self._sizes[n], self._sizes[m])
            count = sum(key in ours for key in self._keys[m].tolist())
            share = count / smaller
            if count >= min(2, smaller) and share >= CONTAINMENT and share > best[1]:
                best = (m, share)
        return best


def _permutations() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    random = np.random.default_rng(20_240_701)
    odd = random.integers(1, 2**32, PERMUTATIONS, dtype=np.uint64) | np.uint64(1)
    return odd, random.integers(0, 2**32, PERMUTATIONS, dtype=np.uint64)


_FACTORS, _OFFSETS = _permutations()


def _signature(words: Sequence[str]) -> NDArray[np.uint64] | None:
    """Return the MinHash signature of a text, shape (PERMUTATIONS,); None where it is too short."""
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

    def __init__(self, signatures: Sequence[NDArray[np.uint64] | None]) -> None:
        self._signatures = signatures
        rows = PERMUTATIONS // BANDS
        known = [n for n, s in enumerate(signatures) if s is not None]
        self._bands: list[list[int]] = [[] for _ in signatures]
        self._holders: dict[int, list[int]] = {}
        if not known:
            return
        every = np.stack([s for s in signatures if s is not None]).reshape(len(known), BANDS, rows)
        mixed = np.arange(BANDS, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.zeros(
            (len(known), 1), np.uint64
        )
        for row in range(rows):  # one number a band; a chance meeting is undone by the comparison
            mixed = (mixed ^ every[:, :, row]) * np.uint64(0xD6E8FEB86659FD93)
            mixed ^= mixed >> np.uint64(32)
        _, inverse, counts = np.unique(mixed, return_inverse=True, return_counts=True)
        inverse = inverse.reshape(mixed.shape)
        for n, bands in zip(known, inverse, strict=True):
            self._bands[n] = bands[counts[bands] > 1].tolist()

    def add(self, n: int) -> None:
        """Remember a text."""
        for band in self._bands[n]:
            self._holders.setdefault(band, []).append(n)

    def closest(self, n: int) -> tuple[int, float]:
        """Return the earliest of the most alike texts, and how alike, or (-1, 0)."""
        near = sorted({m for band in self._bands[n] for m in self._holders.get(band, ())})
        best = (-1, 0.0)
        for m in near:
            share = float(np.mean(self._signatures[m] == self._signatures[n]))
            if share >= RESEMBLANCE and share > best[1]:
                best = (m, share)
        return best
