"""Texts that are the same, or nearly, whoever retyped them: for leaks between sets of data.

Two texts have the same words when they differ in case, tone style, accents, blanks, punctuation,
number formats, zero-width signs or look-alike letters only. They are near when most of their pairs
of neighbouring words are shared and their numbers are equal: "7 thành viên" and "5 thành viên" are
two claims, as everywhere in this program.

The join is exact, unlike MinHash: nothing above the threshold is missed. Candidates are found by
prefix filtering (Chaudhuri, Ganti and Kaushik, "A primitive operator for similarity joins in data
cleaning", 2006; with more than one meeting: Wang, Li and Feng, "Can we beat the prefix filtering?",
2012): of two sets with a Jaccard similarity of t, the ``n - ceil(t n) + 2`` rarest members of each
must have two in common.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nlp.matching import words_of
from nlp.text import canonical, fold

RESEMBLANCE: Final = 0.6
"""Jaccard similarity of word pairs from which two texts are near: one word put in, taken out or
replaced leaves a text of ten words above it."""
_PAIRS: Final = 2_000_000  # meetings looked at in one piece, so that memory stays flat
_MEETINGS: Final = 2
_FOLD: Final = {
    code: fold(chr(code)) for code in (*range(0xC0, 0x250), *range(0x1EA0, 0x1F00))
    if chr(code).isalpha()
}  # fmt: skip


def plain_words(text: str) -> list[str]:
    """Return the words of a raw text without accents, in lower case; numbers in one format."""
    words = words_of(canonical(text, unescape=False).text)
    return " ".join(words).translate(_FOLD).split()


@dataclass(slots=True)
class Texts:
    """Texts as numbers, comparable with all others that share ``vocabulary``.

    ``same[i]`` is equal for texts with the same words, 0 for a text without any; the tokens of text
    i stand in ``tokens[starts[i]:starts[i + 1]]``, each once, shapes (n,), (t,) and (n + 1,).
    """

    same: NDArray[np.uint64]
    tokens: NDArray[np.uint64] = field(repr=False)
    starts: NDArray[np.int64] = field(repr=False)

    def __len__(self) -> int:
        return len(self.same)

    def sizes(self) -> NDArray[np.int64]:
        """Return the number of tokens of each text."""
        return np.diff(self.starts)

    def take(self, rows: NDArray[np.int64]) -> Texts:
        """Return these texts alone, in this order."""
        sizes = self.sizes()[rows]
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        at = np.repeat(self.starts[rows] - starts[:-1], sizes) + np.arange(starts[-1])
        return Texts(same=self.same[rows], tokens=self.tokens[at], starts=starts)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return well spread hashes of numbers (the finaliser of SplitMix64, Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def texts_of(texts: Iterable[str], vocabulary: dict[str, int], *, by_numbers: bool = True) -> Texts:
    """Return ``texts`` as numbers; new words are added to ``vocabulary``.

    Every pair of neighbouring words is a token. Unless ``by_numbers`` is false, which numbers the
    text holds is mixed into each, so that texts with other numbers share none.
    """
    flat = array("q")
    counts = array("q")
    for text in texts:
        words = plain_words(text)
        counts.append(len(words))
        for word in words:
            flat.append(vocabulary.setdefault(word, len(vocabulary) + 1))
    ids = np.frombuffer(flat, np.int64).astype(np.uint64) if flat else np.zeros(0, np.uint64)
    sizes = np.frombuffer(counts, np.int64) if counts else np.zeros(0, np.int64)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    numeric = np.zeros(len(vocabulary) + 1, dtype=np.bool_)
    for word, number in vocabulary.items():
        numeric[number] = word[0].isdigit()
    with np.errstate(over="ignore"):
        numbers = np.zeros(len(sizes), np.uint64)
        held = numeric[ids.astype(np.int64)] & by_numbers
        np.add.at(numbers, owner[held], _mixed(ids[held]))
        # A text of one word has that word for its only token.
        alone = np.append(owner[1:] != owner[:-1], True) if len(owner) else np.zeros(0, np.bool_)
        single = sizes[owner] == 1
        following = np.append(ids[1:], np.zeros(min(len(ids), 1), np.uint64))
        keep = ~alone | single
        following[single] = 0
        tokens = _mixed(_mixed(ids[keep]) + following[keep] * np.uint64(0x9E3779B97F4A7C15))
        tokens = _mixed(tokens + _mixed(numbers)[owner[keep]])
        same = _same(ids, owner, len(sizes))
    return _each_once(same, tokens, owner[keep])


def _same(ids: NDArray[np.uint64], owner: NDArray[np.int64], n: int) -> NDArray[np.uint64]:
    """Return a hash of the words of each text in their order; 0 for a text without words."""
    found = np.zeros(n, np.uint64)
    first = np.searchsorted(owner, np.arange(n))
    place = (np.arange(len(owner)) - first[owner]).astype(np.uint64) if n else ids
    np.add.at(found, owner, _mixed(_mixed(ids) + place * np.uint64(0x9E3779B97F4A7C15)))
    return found


def _each_once(
    same: NDArray[np.uint64], tokens: NDArray[np.uint64], owner: NDArray[np.int64]
) -> Texts:
    order = np.lexsort((tokens, owner))
    tokens, owner = tokens[order], owner[order]
    if len(tokens):
        new = np.append(True, (tokens[1:] != tokens[:-1]) | (owner[1:] != owner[:-1]))
        tokens, owner = tokens[new], owner[new]
    sizes = np.bincount(owner, minlength=len(same))
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Texts(same=same, tokens=tokens, starts=starts)


def near(
    one: Texts, other: Texts, *, threshold: float = RESEMBLANCE
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return all pairs of near texts: their places in ``one`` and in ``other``, and how near.

    Pairs with the same words are among them. Texts without a word are near to nothing.

    Raises:
        ValueError: a threshold that is not above 0 and at most 1.
    """
    if not 0.0 < threshold <= 1.0:
        raise ValueError(f"a threshold of {threshold}")
    ranks, left, right = _ranked(one, other)
    owner = np.repeat(np.arange(len(other)), np.diff(right.starts))
    members = owner * ranks + right.ranks  # ascending, as both parts are
    found = [
        _verified(left, right, members, rows, cols, ranks, threshold)
        for rows, cols in _meeting(left, right, threshold)
    ]
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float64)
    rows, cols, share = (np.concatenate([f[k] for f in found]) for k in range(3))
    return rows, cols, share


@dataclass(slots=True)
class _Sets:
    """Texts whose tokens are ranks, the rarest first within each text."""

    ranks: NDArray[np.int64]
    starts: NDArray[np.int64]


def _ranked(one: Texts, other: Texts) -> tuple[int, _Sets, _Sets]:
    """Return both sides with each token as its rank by frequency, the rarest 0."""
    every = np.concatenate([one.tokens, other.tokens])
    _, inverse, counts = np.unique(every, return_inverse=True, return_counts=True)
    rank = np.empty(len(counts), np.int64)
    rank[np.argsort(counts, kind="stable")] = np.arange(len(counts))
    ranks = rank[inverse]
    sides = []
    for texts, part in ((one, ranks[: len(one.tokens)]), (other, ranks[len(one.tokens) :])):
        owner = np.repeat(np.arange(len(texts)), texts.sizes())
        sides.append(_Sets(ranks=part[np.lexsort((part, owner))], starts=texts.starts))
    return len(counts), sides[0], sides[1]


def _needed(sets: _Sets, threshold: float) -> NDArray[np.int64]:
    """Return how many tokens each text must share with a near one, whatever that one's size is."""
    return np.ceil(threshold * np.diff(sets.starts) - 1e-9).astype(np.int64)


def _prefixes(sets: _Sets, threshold: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the ranks that could decide, and the text of each, in the order of the texts."""
    sizes = np.diff(sets.starts)
    take = np.minimum(sizes - _needed(sets, threshold) + _MEETINGS, sizes)
    owner = np.repeat(np.arange(len(sizes)), take)
    begin = np.cumsum(take) - take
    return sets.ranks[np.arange(len(owner)) - begin[owner] + sets.starts[owner]], owner


def _meeting(
    left: _Sets, right: _Sets, threshold: float
) -> Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the pairs whose prefixes have enough in common, some of the left texts at a time."""
    a_ranks, a_owner = _prefixes(left, threshold)
    b_ranks, b_owner = _prefixes(right, threshold)
    order = np.argsort(b_ranks, kind="stable")
    b_ranks, b_owner = b_ranks[order], b_owner[order]
    first = np.searchsorted(b_ranks, a_ranks, side="left")
    count = np.searchsorted(b_ranks, a_ranks, side="right") - first
    total = np.cumsum(count)
    ends = np.cumsum(np.bincount(a_owner, minlength=len(left.starts) - 1))  # of each left text
    enough = np.minimum(_needed(left, threshold), _MEETINGS)
    width = len(right.starts) - 1
    at = 0
    while at < len(count):
        done = int(total[at - 1]) if at else 0
        row = int(np.searchsorted(total[ends - 1], done + _PAIRS, side="right"))
        end = int(ends[min(max(row - 1, int(a_owner[at])), len(ends) - 1)])
        here = count[at:end]
        owner = np.repeat(np.arange(at, end), here)
        begin = np.cumsum(here) - here
        cols = b_owner[np.arange(len(owner)) - np.repeat(begin, here) + first[owner]]
        pairs, met = np.unique(a_owner[owner] * width + cols, return_counts=True)
        pairs = pairs[met >= enough[pairs // width]]
        yield pairs // width, pairs % width
        at = end


def _verified(
    left: _Sets,
    right: _Sets,
    members: NDArray[np.int64],
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    ranks: int,
    threshold: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the pairs whose similarity reaches the threshold, and the similarity of each."""
    a, b = np.diff(left.starts)[rows], np.diff(right.starts)[cols]
    fits = np.minimum(a, b) >= threshold * np.maximum(a, b) - 1e-9
    rows, cols, a, b = rows[fits], cols[fits], a[fits], b[fits]
    owner = np.repeat(np.arange(len(rows)), a)
    begin = np.cumsum(a) - a
    mine = left.ranks[np.arange(len(owner)) - begin[owner] + left.starts[rows[owner]]]
    wanted = cols[owner] * ranks + mine
    place = np.minimum(np.searchsorted(members, wanted), len(members) - 1)
    there = members[place] == wanted
    shared = np.bincount(owner[there], minlength=len(rows))
    share = shared / np.maximum(a + b - shared, 1)
    close = share >= threshold - 1e-9
    return rows[close], cols[close], share[close]
