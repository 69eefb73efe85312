"""Word segmentation with offsets: underthesea on old tone style, then a guard.

The library rewrites tone marks to the new style before a tagger that was trained on the old one,
and its rewriting loses offsets; both are switched off here. The guard removes merges that no
dictionary knows and cuts that run across punctuation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

from kiemchung.domain import Word
from nlp.tagging import Span, load_tagger
from nlp.text import neutralise_controls, old_style

MAX_RUN: Final = 200
"""Longest run without white space that the tagger sees; its tokeniser takes quadratic time."""
MAX_CHUNK: Final = 2000
"""Longest text, in characters, that goes to the tagger at once."""
MAX_BATCH: Final = 500
"""Sentences tagged at once: enough to make array arithmetic pay, few enough to keep memory flat."""
MAX_BATCH_TEXT: Final = 100_000
"""The same in characters, for an article that is one endless sentence in pieces of `MAX_CHUNK`."""
_COMPOUNDS: Final = frozenset({"xã viên", "xuyên tạc", "con gái", "con trai", "người ta"})
_SECOND: Final = frozenset(c.split()[1] for c in _COMPOUNDS)
_RUN: Final = re.compile(r"\S+")
_LETTER_END: Final = re.compile(r"[^\W\d_]\Z")
_LETTER_START: Final = re.compile(r"[^\W\d_]")


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

    Raises:
        TaggerFileError: the installed underthesea ships another kind of model.
    """
    return segment_batch((sentence,))[0]


def segment_batch(sentences: Sequence[str]) -> list[tuple[Word, ...]]:
    """Return the words of many sentences; what each gets does not depend on the others.

    Some hundred at a time is several times as fast as one by one.
    """
    return [
        tuple(Word(start=a, end=b, text=sentence[a:b]) for a, b in spans)
        for sentence, spans in zip(sentences, word_spans(sentences), strict=True)
    ]


def word_spans(sentences: Sequence[str]) -> list[list[Span]]:
    """Return the spans of the words of many sentences, as `segment_batch` does."""
    pieces: list[str] = []
    owners: list[tuple[int, int]] = []
    out: list[list[Span]] = [[] for _ in sentences]
    for number, sentence in enumerate(sentences):
        if len(sentence) <= MAX_RUN:
            if sentence and not sentence.isspace():
                pieces.append(old_style(sentence))
                owners.append((number, 0))
            continue
        for start, end in _chunks(sentence):
            pieces.append(old_style(sentence[start:end]))
            owners.append((number, start))
    tagged = iter(_tagged([p for p in pieces if not _is_long_run(p)]))
    for piece, (number, start) in zip(pieces, owners, strict=True):
        if _is_long_run(piece):
            out[number].append((start, start + len(piece)))
            continue
        words = next(tagged)
        if words is None:
            spans = [(run.start(), run.end()) for run in _RUN.finditer(piece)]
        else:
            spans = _joined(piece, [span for word in words for span in _guarded(piece, word)])
        out[number] += [(start + a, start + b) for a, b in spans] if start else spans
    return out


def _joined(text: str, spans: list[Span]) -> list[Span]:
    """Join the few compounds that every dictionary has and the tagger still cuts."""
    out: list[Span] = []
    for span in spans:
        if out and text[span[0] : span[1]] in _SECOND:
            whole = text[out[-1][0] : span[1]]
            if " ".join(whole.lower().split()) in _COMPOUNDS:
                out[-1] = (out[-1][0], span[1])
                continue
        out.append(span)
    return out


def _is_long_run(piece: str) -> bool:
    return len(piece) > MAX_RUN and not any(map(str.isspace, piece))


def _tagged(pieces: Sequence[str]) -> list[list[list[Span]] | None]:
    tagger = load_tagger()
    out: list[list[list[Span]] | None] = []
    batch: list[str] = []
    size = 0
    for piece in pieces:
        if batch and (len(batch) == MAX_BATCH or size + len(piece) > MAX_BATCH_TEXT):
            out += tagger.spans(batch)
            batch, size = [], 0
        batch.append(piece)
        size += len(piece)
    return out + tagger.spans(batch) if batch else out


def _guarded(text: str, syllables: list[Span]) -> list[Span]:
    """Cut a merged word where no writer would have meant one word."""
    if len(syllables) == 1:
        return syllables
    word = tuple([text[a:b] for a, b in syllables])
    if (
        "".join(word).islower()
        and " ".join(word) in load_tagger().dictionary
        and _letters_only(word)
    ):
        return [(syllables[0][0], syllables[-1][1])]
    return [(syllables[i][0], syllables[j - 1][1]) for i, j in _cuts(word)]


def _letters_only(word: tuple[str, ...]) -> bool:
    return all(map(str.isalpha, word))


@lru_cache(maxsize=50_000)
def _cuts(word: tuple[str, ...]) -> tuple[Span, ...]:
    """Return where to cut a merged word, as ranges of its syllables."""
    known = " ".join(word).lower() in load_tagger().dictionary
    bounds = [0]
    for i, (left, right) in enumerate(pairwise(word), 1):
        if _cut_between(left, right, known=known):
            bounds.append(i)
    return tuple(
        (i + a, i + b) for i, j in pairwise([*bounds, len(word)]) for a, b in _recut(word[i:j])
    )


def _cut_between(left: str, right: str, *, known: bool) -> bool:
    if not _LETTER_END.search(left) or not _LETTER_START.match(right):
        return True
    left_capital, right_capital = left[:1].isupper(), right[:1].isupper()
    if right_capital and not left_capital:
        return True
    if left_capital and not right_capital:
        return not known and f"{left} {right}".lower() not in load_tagger().dictionary
    return False


def _recut(part: tuple[str, ...]) -> list[Span]:
    """Re-cut an all-lower-case merge that the dictionary does not know, longest match first."""
    whole = " ".join(part)
    dictionary = load_tagger().dictionary
    if len(part) == 1 or whole != whole.lower() or whole in dictionary:
        return [(0, len(part))]
    spans = []
    i = 0
    while i < len(part):
        j = next(
            j for j in range(len(part), i, -1) if j == i + 1 or " ".join(part[i:j]) in dictionary
        )
        spans.append((i, j))
        i = j
    return spans


def phobert_view(sentence: str) -> str:
    """Return the words joined by ``_`` inside and a blank between, in old tone style.

    White space is collapsed and literal control tokens are neutralised: both would become control
    tokens or unknowns in PhoBERT's tokenizer.
    """
    return phobert_views((sentence,))[0]


def phobert_views(sentences: Sequence[str]) -> list[str]:
    """Return `phobert_view` of many sentences at once."""
    plain = [old_style(neutralise_controls(sentence)) for sentence in sentences]
    return [
        " ".join("_".join(text[a:b].split()) for a, b in spans)
        for text, spans in zip(plain, word_spans(plain), strict=True)
    ]
