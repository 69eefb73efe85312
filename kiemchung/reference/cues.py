"""Cues: which passages a claim is about, decided by phrases and never by figures.

A cue is a phrase of whole words. ``#`` stands for a number ("30", "05", "ba mươi", "năm"), ``%``
also for "phần trăm", and ``~`` for up to `GAP` words of any kind. A passage is on point for a claim
when every group of its cues has a phrase in the claim and none of its excludes has. A wrong number,
a wrong actor or a dropped condition does not take a claim off the point, so it can be noticed.

All passages are matched at once: the phrases form one trie over words, and what a phrase means for
the passages is a bit set, one bit a passage. The cost grows with the length of the claim, hardly
with the number of passages.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from kiemchung.domain import Passage

GAP: Final = 6
"""Most words that ``~`` stands for; the clauses of the codified law that part a rule's actor from
its bound ("của hợp tác xã, liên hiệp hợp tác xã") have up to six."""

MAX_NUMBER_WORDS: Final = 5
"""Most words of one number: "hai mươi lăm nghìn tỷ" has five."""

_TOKEN: Final = re.compile(r"\d+(?:[.,/]\d+)*|%|[^\W\d_]+")
_NUMBER_WORDS: Final = frozenset(
    {"một", "hai", "ba", "bốn", "tư", "lăm", "sáu", "bảy", "bẩy", "tám", "chín", "mười", "mươi"}
    | {"mốt", "trăm", "nghìn", "ngàn", "triệu", "tỷ", "tỉ", "rưỡi", "nửa"}
)
_FOLDED_NUMBER_WORDS: Final = frozenset(
    {"mot", "hai", "ba", "bon", "lam", "sau", "bay", "tam", "chin", "muoi", "tram", "nghin", "ngan"}
    | {"trieu", "ty", "ti", "ruoi", "nua"}
)
_BEFORE_YEARS: Final = frozenset(
    {"năm", "nam", "điều", "dieu", "khoản", "khoan", "luật", "luat", "số", "so", "nghị", "thông"}
    | {"mỗi", "moi", "hằng", "hàng", "hang", "trong", "cuối", "cuoi", "đầu", "dau", "cả", "ca"}
    | {"vài", "vai", "nhiều", "nhieu", "việt", "viet"}
)
_PERCENT: Final = re.compile(r"phần trăm|phan tram")
_SHORT: Final = re.compile(r"\bh\.?t\.?x\b")


def plain_view(text: str) -> str:
    """Return ``text`` in lower case, HTX spelled out: enough for text of our own."""
    return _SHORT.sub("hợp tác xã", unicodedata.normalize("NFC", text).lower())


_MARKED: Final = {
    ord(c): "d" if c == "đ" else unicodedata.normalize("NFD", c)[0]
    for c in map(chr, range(0xC0, 0x1EFA))
    if c.islower() and (c == "đ" or unicodedata.normalize("NFD", c)[0].isascii())
}


def strip_marks(view: str) -> str:
    """Return a lower-case NFC text without diacritics, đ as d, at the same length."""
    return view.translate(_MARKED)


def tokens(view: str) -> list[str]:
    """Return the words, numbers and percent signs of a normalised text."""
    if " tr" in view:
        view = _PERCENT.sub("%", view)
    return _TOKEN.findall(view)


def _is_number(words: Sequence[str], i: int, number_words: frozenset[str]) -> bool:
    """Whether word ``i`` can begin or go on a number; a year or an article is none."""
    word = words[i]
    before = words[i - 1] if i else ""
    if word[0].isdigit():
        return before not in _BEFORE_YEARS or not (len(word) == 4 and word.isdigit())
    if word in ("năm", "nam"):  # five, or a year
        after = words[i + 1] if i + 1 < len(words) else ""
        counted = before not in _BEFORE_YEARS and not before[:1].isdigit()
        return counted and before not in number_words and not after[:1].isdigit() and bool(after)
    return word in number_words


@dataclass(slots=True)
class _Node:
    """A node of the word trie."""

    next: dict[str, _Node] = field(default_factory=dict)
    phrase: int = -1
    forked: bool = False  # a sign follows, so there may be more ways on than the next word's


class PhraseTrie:
    """Finds which of many phrases occur in a list of words."""

    __slots__ = ("_number_words", "_root", "_size", "_starts")

    def __init__(self, number_words: frozenset[str] = _NUMBER_WORDS) -> None:
        self._root = _Node()
        self._size = 0
        self._number_words = number_words
        self._starts = number_words | {"năm", "nam"}

    def add(self, words: Sequence[str]) -> int:
        """Return the number of the phrase made of ``words``; the same phrase has one number."""
        node = self._root
        for word in words:
            node.forked |= word in ("#", "~")
            node = node.next.setdefault(word, _Node())
        if node.phrase < 0:
            node.phrase = self._size
            self._size += 1
        return node.phrase

    def find(self, words: Sequence[str]) -> set[int]:
        """Return the numbers of the phrases that occur in ``words``."""
        found: set[int] = set()
        first = self._root.next
        numbered = first.get("#")
        count = len(words)
        for i, word in enumerate(words):
            node = first.get(word)
            j = i + 1
            while node is not None:
                if node.phrase >= 0:
                    found.add(node.phrase)
                if node.forked:
                    self._walk(node, words, j, found)
                    break
                node = node.next.get(words[j]) if j < count else None
                j += 1
            if numbered is not None and (word[0].isdigit() or word in self._starts):
                self._number(numbered, words, i, found)
        return found

    def _walk(self, node: _Node, words: Sequence[str], i: int, found: set[int]) -> None:
        if node.phrase >= 0:
            found.add(node.phrase)
        ways = node.next
        if not ways or i >= len(words):
            return
        child = ways.get(words[i])
        if child is not None:
            self._walk(child, words, i + 1, found)
        child = ways.get("#")
        if child is not None:
            self._number(child, words, i, found)
        child = ways.get("~")
        if child is not None:
            after = child.next
            for j in range(i, min(i + GAP + 1, len(words))):
                if words[j] in after or "#" in after:
                    self._walk(child, words, j, found)

    def _number(self, node: _Node, words: Sequence[str], i: int, found: set[int]) -> None:
        for j in range(i, min(i + MAX_NUMBER_WORDS, len(words))):
            if not _is_number(words, j, self._number_words):
                return
            self._walk(node, words, j + 1, found)


def bit_set(members: Iterable[int], size: int) -> int:
    """Return a number whose bit ``i`` says whether ``i``, under ``size``, is a member."""
    octets = bytearray((size + 7) // 8)
    for i in members:
        octets[i >> 3] |= 1 << (i & 7)
    return int.from_bytes(octets, "little")


def members(bits: int) -> list[int]:
    """Return the members of a bit set in ascending order."""
    found = []
    while bits:
        lowest = bits & -bits
        found.append(lowest.bit_length() - 1)
        bits ^= lowest
    return found


class _Table:
    """Phrases of one spelling (accented or not) and what each says about the passages."""

    __slots__ = ("_excluding", "_meeting", "_trie")

    def __init__(
        self, entries: Iterable[tuple[int, int, Sequence[str]]], size: int, numbers: frozenset[str]
    ) -> None:
        """Take (passage, group, words) of every cue; group -1 is an exclude."""
        self._trie = PhraseTrie(numbers)
        collected: dict[tuple[int, int], list[int]] = {}
        for passage, slot, words in entries:
            collected.setdefault((self._trie.add(words), slot), []).append(passage)
        self._excluding: dict[int, _Set] = {}
        self._meeting: dict[int, list[tuple[int, _Set]]] = {}
        for (phrase, slot), passages in collected.items():
            # Few members are kept as they are: a bit set of 100,000 passages has 12.5 kB.
            few = len(passages) * 32 < size
            held: _Set = tuple(passages) if few else bit_set(passages, size)
            if slot < 0:
                self._excluding[phrase] = held
            else:
                self._meeting.setdefault(phrase, []).append((slot, held))

    def on_point(self, words: Sequence[str], lacking: Sequence[int]) -> int:
        """Return the passages all of whose groups are met, as bits."""
        met = list(lacking)
        excluded = 0
        for phrase in self._trie.find(words):
            for slot, held in self._meeting.get(phrase, ()):
                met[slot] = _joined(met[slot], held)
            if phrase in self._excluding:
                excluded = _joined(excluded, self._excluding[phrase])
        result = met[0] if met else 0
        for bits in met:
            result &= bits
        return result & ~excluded


_Set: TypeAlias = int | tuple[int, ...]
"""A bit set, or its few members."""


def _joined(bits: int, held: _Set) -> int:
    if isinstance(held, int):
        return bits | held
    for i in held:
        bits |= 1 << i
    return bits


class CueIndex:
    """The cues of a sequence of passages; ``on_point`` answers for all of them at once.

    ``normalise`` is applied to every cue. Whoever asks has to apply the same to the claim.
    """

    __slots__ = ("_accented", "_bare", "_lacking")

    def __init__(
        self, passages: Sequence[Passage], normalise: Callable[[str], str] = plain_view
    ) -> None:
        size = len(passages)
        known: dict[str, list[str]] = {}
        entries: list[tuple[int, int, list[str]]] = []
        for i, passage in enumerate(passages):
            for slot, phrases in [*enumerate(passage.cues), (-1, passage.excludes)]:
                for phrase in phrases:
                    if phrase not in known:
                        known[phrase] = cue_words(phrase, normalise)
                    entries.append((i, slot, known[phrase]))
        bare = {p: [strip_marks(w) for w in words] for p, words in known.items()}
        by_words = {id(words): bare[p] for p, words in known.items()}
        self._accented = _Table(entries, size, _NUMBER_WORDS)
        self._bare = _Table(
            ((i, slot, by_words[id(words)]) for i, slot, words in entries),
            size,
            _FOLDED_NUMBER_WORDS,
        )
        slots = max((len(p.cues) for p in passages), default=0)
        # A passage with fewer groups has nothing to meet in the others; one with none is never met.
        self._lacking = [
            bit_set((i for i, p in enumerate(passages) if 0 < len(p.cues) <= slot), size)
            for slot in range(slots)
        ]

    def on_point(self, words: Sequence[str], *, bare: bool = False) -> int:
        """Return the passages on point as bits; ``bare``: the words have no diacritics."""
        return (self._bare if bare else self._accented).on_point(words, self._lacking)


def cue_words(phrase: str, normalise: Callable[[str], str] = plain_view) -> list[str]:
    """Return a cue as words, its ``#`` and ``~`` kept."""
    words: list[str] = []
    for part in re.split(r"([#~])", phrase):
        words.extend([part] if part in ("#", "~") else tokens(normalise(part)))
    return words
