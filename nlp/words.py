"""Word segmentation with offsets: underthesea on old tone style, then a guard.

The library rewrites tone marks to the new style before a tagger that was trained on the old one,
and its rewriting loses offsets; both are switched off here. The guard removes merges that no
dictionary knows and cuts that run across punctuation.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from typing import Final

from kiemchung.domain import Word
from nlp.text import neutralise_controls, old_style

MAX_RUN: Final = 200
"""Longest run without white space that the tagger sees; its tokeniser takes quadratic time."""
MAX_CHUNK: Final = 2000
"""Longest text, in characters, that goes to the tagger at once: it takes 2 GB for a megabyte."""
_RUN: Final = re.compile(r"\S+")
_LETTER_END: Final = re.compile(r"[^\W\d_]\Z")
_LETTER_START: Final = re.compile(r"[^\W\d_]")


@lru_cache(maxsize=1)
def _tagger() -> Callable[[str], list[str]]:
    """Load underthesea once, and undo what its import does to the root logger."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    from underthesea import word_tokenize

    root.handlers[:] = handlers
    root.setLevel(level)

    def tag(text: str) -> list[str]:
        return list(word_tokenize(text, use_token_normalize=False))

    return tag


@lru_cache(maxsize=1)
def _dictionary() -> frozenset[str]:
    """Return underthesea's shipped list of 73,901 entries, lower-cased, in old tone style."""
    lines = resources.files("underthesea.corpus").joinpath("data/Viet74K.txt").read_text("utf-8")
    return frozenset(
        old_style(unicodedata.normalize("NFC", w.strip().lower())) for w in lines.split("\n")
    )


def _chunks(text: str) -> Iterator[tuple[int, int]]:
    """Yield spans of at most `MAX_CHUNK` characters, cut at white space, over-long runs alone."""
    start = end = 0
    for run in _RUN.finditer(text):
        if run.end() - run.start() > MAX_RUN:
            if end > start:
                yield start, end
            yield run.start(), run.end()
            start = end = run.end()
        elif run.end() - start > MAX_CHUNK:
            if end > start:
                yield start, end
            start, end = run.start(), run.end()
        else:
            end = run.end()
    if end > start:
        yield start, end


def segment_words(sentence: str) -> tuple[Word, ...]:
    """Return the words of ``sentence``, which is canonical text, in order.

    A run of more than `MAX_RUN` characters without a blank is one word. Words cover every
    character that is no white space.
    """
    words: list[Word] = []
    for start, end in _chunks(sentence):
        piece = sentence[start:end]
        if len(piece) > MAX_RUN and not any(c.isspace() for c in piece):
            words.append(Word(start=start, end=end, text=piece))
            continue
        words.extend(
            Word(start=start + a, end=start + b, text=sentence[start + a : start + b])
            for a, b in _spans(piece)
        )
    return tuple(words)


@lru_cache(maxsize=4096)
def _spans(text: str) -> tuple[tuple[int, int], ...]:
    """Return word spans; syndicated sentences repeat, so the last few thousand are kept."""
    styled = old_style(text)
    spans: list[tuple[int, int]] = []
    at = 0
    for token in _tagger()(styled):
        syllables: list[tuple[int, int]] = []
        for syllable in token.split():
            found = styled.find(syllable, at)
            if found < 0 or styled[at:found].strip():
                return tuple(_by_blanks(text))  # cannot be aligned: never a wrong offset
            if found > at and syllables and not styled[at:found].isspace():
                return tuple(_by_blanks(text))
            syllables.append((found, found + len(syllable)))
            at = found + len(syllable)
        spans.extend(_guarded(styled, syllables))
    if styled[at:].strip():
        return tuple(_by_blanks(text))
    return tuple(spans)


def _by_blanks(text: str) -> Iterator[tuple[int, int]]:
    for run in _RUN.finditer(text):
        yield run.start(), run.end()


def _guarded(text: str, syllables: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Cut a merged word where no writer would have meant one word."""
    if len(syllables) < 2:
        return syllables
    whole = text[syllables[0][0] : syllables[-1][1]]
    known = " ".join(whole.lower().split()) in _dictionary()
    groups = [[syllables[0]]]
    for left, right in pairwise(syllables):
        if _cut_between(text[left[0] : left[1]], text[right[0] : right[1]], known=known):
            groups.append([right])
        else:
            groups[-1].append(right)
    spans: list[tuple[int, int]] = []
    for group in groups:
        spans.extend(_recut(text, group))
    return spans


def _cut_between(left: str, right: str, *, known: bool) -> bool:
    if not _LETTER_END.search(left) or not _LETTER_START.match(right):
        return True
    left_capital, right_capital = left[:1].isupper(), right[:1].isupper()
    if right_capital and not left_capital:
        return True
    if left_capital and not right_capital:
        pair = f"{left} {right}".lower()
        return not known and pair not in _dictionary()
    return False


def _recut(text: str, group: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Re-cut an all-lower-case merge that the dictionary does not know, longest match first."""
    whole = text[group[0][0] : group[-1][1]]
    if len(group) == 1 or whole != whole.lower() or " ".join(whole.split()) in _dictionary():
        return [(group[0][0], group[-1][1])]
    spans = []
    i = 0
    while i < len(group):
        for j in range(len(group), i, -1):
            part = " ".join(text[group[i][0] : group[j - 1][1]].split())
            if j == i + 1 or part in _dictionary():
                spans.append((group[i][0], group[j - 1][1]))
                i = j
                break
    return spans


def phobert_view(sentence: str) -> str:
    """Return the words joined by ``_`` inside and a blank between, in old tone style.

    White space is collapsed and literal control tokens are neutralised: both would become control
    tokens or unknowns in PhoBERT's tokenizer.
    """
    plain = old_style(neutralise_controls(sentence))
    words = segment_words(plain)
    return " ".join("_".join(plain[w.start : w.end].split()) for w in words)
