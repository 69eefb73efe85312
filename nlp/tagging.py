"""underthesea's word tagger with its features cached: the same tags, several times as fast.

The library builds 43 feature strings for every token and hands them to a conditional random field
of two labels. Nearly all of that repeats: what a token, a pair or a triple adds to the score never
changes. Here the weights are read from the library's own model file once, what a token adds is
kept, and the rest is array arithmetic over many sentences at a time. `Tagger.spans` gives exactly
what the library's `word_tokenize(..., use_token_normalize=False)` gives, with offsets;
``tests/nlp/test_tagging.py`` compares them.

Format of the model file: N. Okazaki, CRFsuite (2007), chunks ``FEAT`` and ``CQDB``.
"""

from __future__ import annotations

import logging
import re
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kiemchung.errors import TaggerFileError

Span = tuple[int, int]
MAX_CACHED: Final = 150_000
"""Entries kept in each cache; memory stays flat however many articles are read."""
_FOLDER: Final = "pipeline/word_tokenize/models/ws_crf_vlsp2013_20230727"
_RUN: Final = re.compile(r"\S+")
_BITS: Final = 20
_BOS, _EOS = 0, 1
_UNIGRAMS: Final = {"T[-2]": 0, "T[-1]": 1, "T[0]": 2, "T[1]": 3, "T[2]": 4}
_BIGRAMS: Final = {"T[-2,-1]": 0, "T[-1,0]": 1, "T[0,1]": 2, "T[1,2]": 3}
_TEMPLATE: Final = ["T[0]", "T[0].lower", "T[0].isdigit", "T[0].istitle", "T[0].is_in_dict"]
"""What the library is asked of a token that stands alone; the rest is put together here."""
_TRIGRAMS: Final = {"T[-2,0]": 0, "T[-1,1]": 1, "T[0,2]": 2}


@dataclass(frozen=True, slots=True)
class _Weights:
    """How much an attribute speaks for the first label (a word begins) over the second."""

    attributes: dict[str, float]
    transitions: tuple[float, float, float, float]  # BB, BI, IB, II


def read_crf(data: bytes, *, name: str = "models.bin") -> _Weights:
    """Read a CRFsuite model of the two labels ``B-W`` and ``I-W``.

    Raises:
        TaggerFileError: the bytes are no such model.
    """
    try:
        magic, _size, kind, _version, _n, labels, attributes = struct.unpack_from(
            "<4sI4sIIII", data
        )
        at_features, at_labels, at_attributes = struct.unpack_from("<III", data, 28)
        if magic != b"lCRF" or kind != b"FOMC" or labels != 2:
            raise TaggerFileError(f"{name}: no CRFsuite model of two labels")
        if _strings(data, at_labels, 2) != ["B-W", "I-W"]:
            raise TaggerFileError(f"{name}: the labels are not B-W and I-W")
        names = _strings(data, at_attributes, attributes)
        (count,) = struct.unpack_from("<I", data, at_features + 8)
        record = np.dtype([("kind", "<u4"), ("src", "<u4"), ("dst", "<u4"), ("weight", "<f8")])
        features = np.frombuffer(data, record, count, at_features + 12)
    except (struct.error, ValueError, IndexError) as error:
        raise TaggerFileError(f"{name}: cut off or damaged ({error})") from error
    state = features[features["kind"] == 0]
    sign = np.where(state["dst"] == 0, 1.0, -1.0)
    lean = np.bincount(state["src"], state["weight"] * sign, minlength=attributes)
    moves = [0.0] * 4
    for feature in features[features["kind"] == 1]:
        moves[int(feature["src"]) * 2 + int(feature["dst"])] = float(feature["weight"])
    return _Weights(
        attributes=dict(zip(names, lean.tolist(), strict=True)),
        transitions=(moves[0], moves[1], moves[2], moves[3]),
    )


def _strings(data: bytes, at: int, count: int) -> list[str]:
    """Return the strings of a CQDB chunk by number."""
    if data[at : at + 4] != b"CQDB":
        raise ValueError(f"no CQDB chunk at {at}")
    (places,) = struct.unpack_from("<I", data, at + 20)
    out = []
    for place in struct.unpack_from(f"<{count}I", data, at + places):
        (size,) = struct.unpack_from("<I", data, at + place + 4)
        out.append(data[at + place + 8 : at + place + 8 + size - 1].decode("utf-8"))
    return out


class _Table:
    """Weights by a whole-number key; a key that is not there weighs nothing."""

    __slots__ = ("_keys", "_values")

    def __init__(self, entries: dict[int, list[float]], width: int) -> None:
        order = sorted(entries)
        self._keys = np.array([*order, np.iinfo(np.int64).max], np.int64)
        self._values = np.array([*(entries[k] for k in order), [0.0] * width], np.float64)

    def rows(self, keys: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return one row of weights a key, shape (len(keys), width)."""
        at = np.searchsorted(self._keys, keys)
        at[self._keys[at] != keys] = len(self._keys) - 1
        return self._values[at]


class Tagger:
    """Cuts many texts into words at once; one instance a process, not safe across threads."""

    def __init__(self, weights: _Weights, dictionary: frozenset[str], library: _Library) -> None:
        self._library = library  # tokenises and describes what was not seen before
        self._moves = weights.transitions
        self._attributes = weights.attributes
        self.dictionary = dictionary
        self._raw: dict[str, int] = {}
        self._low: dict[str, int] = {}
        self._build()
        self._forget()

    # -- tables ------------------------------------------------------------------------------

    def _number(self, numbers: dict[str, int], token: str) -> int:
        # 0 is for what the model never saw; BOS and EOS are no tokens and need no number.
        return numbers.setdefault(token, len(numbers) + 1)

    def _build(self) -> None:
        raw2: dict[int, list[float]] = {}
        low2: dict[int, list[float]] = {}
        raw3: dict[int, list[float]] = {}
        for attribute, weight in self._attributes.items():
            head, _, value = attribute.partition("=")
            place, _, suffix = head.partition(".")
            parts = value.split(" ")
            if place in _BIGRAMS and len(parts) == 2 and suffix in ("", "lower"):
                numbers, table = (self._low, low2) if suffix else (self._raw, raw2)
                key = self._key([self._number(numbers, p) for p in parts])
                table.setdefault(key, [0.0] * 4)[_BIGRAMS[place]] += weight
            elif place in _TRIGRAMS and len(parts) == 3 and not suffix:
                key = self._key([self._number(self._raw, p) for p in parts])
                raw3.setdefault(key, [0.0] * 3)[_TRIGRAMS[place]] += weight
        known2: set[int] = set()
        known3: set[int] = set()
        for entry in self.dictionary:
            parts = entry.split(" ")
            if len(parts) in (2, 3):
                key = self._key([self._number(self._low, p) for p in parts])
                (known2 if len(parts) == 2 else known3).add(key)
        if max(len(self._raw), len(self._low)) >= 1 << _BITS:
            raise TaggerFileError("the model has more syllables than a key can hold")
        self._raw2, self._raw3 = _Table(raw2, 4), _Table(raw3, 3)
        self._low2 = _Table(low2, 4)
        self._known2 = _Table({k: [1.0] for k in known2}, 1)
        self._known3 = _Table({k: [1.0] for k in known3}, 1)
        get = self._attributes.get

        def flags(names: dict[str, int], kind: str, value: str) -> NDArray[np.float64]:
            return np.array([get(f"{place}.{kind}={value}", 0.0) for place in names])

        self._dict2 = np.array([flags(_BIGRAMS, "is_in_dict", v) for v in ("False", "True")])
        self._dict3 = np.array([flags(_TRIGRAMS, "is_in_dict", v) for v in ("False", "True")])
        self._title2 = np.array([flags(_BIGRAMS, "istitle", v) for v in ("False", "True")])
        self._title3 = np.array([flags(_TRIGRAMS, "istitle", v) for v in ("False", "True")])

        def edge(names: dict[str, int], value: str) -> NDArray[np.float64]:
            kinds = ("lower", "isdigit", "istitle", "is_in_dict")
            plain = np.array([get(f"{place}={value}", 0.0) for place in names])
            return plain + sum(flags(names, kind, value) for kind in kinds)

        self._edges1 = [edge(_UNIGRAMS, "BOS"), edge(_UNIGRAMS, "EOS")]
        self._edges2 = [edge(_BIGRAMS, "BOS"), edge(_BIGRAMS, "EOS")]
        self._edges3 = [edge(_TRIGRAMS, "BOS"), edge(_TRIGRAMS, "EOS")]

    @staticmethod
    def _key(numbers: Sequence[int]) -> int:
        key = 0
        for number in numbers:
            key = key << _BITS | number
        return key

    # -- caches ------------------------------------------------------------------------------

    def _forget(self) -> None:
        self._runs: dict[str, tuple[tuple[int, int, int], ...] | None] = {}
        self._tokens: dict[str, int] = {}
        self._rows: list[list[float]] = [list(self._edges1[_BOS]), list(self._edges1[_EOS])]
        self._ids: list[tuple[int, int, bool]] = [(0, 0, False), (0, 0, False)]
        self._array = np.zeros((0, 5))
        self._numbers = np.zeros((0, 3), np.int64)

    def _token(self, token: str) -> int:
        """Return the row of a token, described by the library when it is new."""
        at = self._tokens.get(token)
        if at is not None:
            return at
        features = self._library.describe(token)
        lower = features["T[0].lower"]
        get = self._attributes.get
        row = []
        for place in _UNIGRAMS:
            score = get(f"{place}={token}", 0.0) + get(f"{place}.lower={lower}", 0.0)
            for kind in ("isdigit", "istitle", "is_in_dict"):
                score += get(f"{place}.{kind}={features[f'T[0].{kind}']}", 0.0)
            row.append(score)
        at = self._tokens[token] = len(self._rows)
        self._rows.append(row)
        self._ids.append(
            (self._raw.get(token, 0), self._low.get(lower, 0), features["T[0].istitle"] == "True")
        )
        return at

    def _run(self, run: str, last: bool) -> tuple[tuple[int, int, int], ...] | None:
        """Return (start, end, row) of the tokens of a run without blanks; None: cannot be placed.

        The tokeniser looks past a run only to see whether anything follows.
        """
        found = []
        at = 0
        for token in self._library.tokens(run if last else f"{run} x")[: None if last else -1]:
            start = run.find(token, at)
            if start != at:
                return None
            at = start + len(token)
            found.append((start, at, self._token(token)))
        return tuple(found) if at == len(run) else None

    # -- tagging -----------------------------------------------------------------------------

    def spans(self, texts: Sequence[str]) -> list[list[list[Span]] | None]:
        """Return for each text its words, each as the spans of its tokens.

        ``texts`` are canonical and in old tone style. None stands for a text whose tokens cannot be
        found in it, because the tokeniser rewrites one of its characters.
        """
        if max(len(self._runs), len(self._rows)) > MAX_CACHED:
            self._forget()
        rows: list[int] = []
        places: list[list[Span] | None] = []
        runs = self._runs
        for text in texts:
            spans: list[Span] | None = []
            began = len(rows)
            rows += (_BOS, _BOS)
            for match in _RUN.finditer(text):
                run, start, end = match[0], match.start(), match.end()
                # A space in front tells a run at the end of its text, which may be cut otherwise.
                key = run if end < len(text) else " " + run
                tokens = runs.get(key, ())
                if tokens == ():
                    tokens = runs[key] = self._run(run, last=end == len(text))
                if tokens is None or spans is None:
                    spans = None
                    break
                for a, b, row in tokens:
                    spans.append((start + a, start + b))
                    rows.append(row)
            if spans:
                rows += (_EOS, _EOS)
            else:
                del rows[began:]
            places.append(spans)
        scores = self._scores(rows)
        out: list[list[list[Span]] | None] = []
        at = 0
        for spans in places:
            if not spans:
                out.append(None if spans is None else [])
                continue
            out.append(self._words(spans, scores[at + 2 : at + 2 + len(spans)]))
            at += len(spans) + 4
        return out

    def _scores(self, rows: Sequence[int]) -> list[float]:
        """Return for each row how much its own features speak for the beginning of a word."""
        if not rows:
            return []
        if len(self._array) != len(self._rows):
            # The tail only: copying everything for each new token would be quadratic.
            new = len(self._array)
            self._array = np.concatenate([self._array, np.array(self._rows[new:])])
            self._numbers = np.concatenate([self._numbers, np.array(self._ids[new:], np.int64)])
        at = np.array(rows)
        one = self._array[at]
        raw, low, title = self._numbers[at].T
        begins, ends = at == _BOS, at == _EOS
        shape = len(rows)
        total = np.zeros(shape + 4)
        for k in range(5):
            total[4 - k : 4 - k + shape] += one[:, k]
        pair_raw, pair_low = raw[:-1] << _BITS | raw[1:], low[:-1] << _BITS | low[1:]
        # A syllable that the model never saw has the number 0 and is in no table.
        two = self._raw2.rows(pair_raw) + self._low2.rows(pair_low)
        two += self._dict2[self._known2.rows(pair_low)[:, 0].astype(np.intp)]
        two += self._title2[title[:-1] & title[1:]]
        begins2, ends2 = begins[:-1] | begins[1:], ends[:-1] | ends[1:]
        two[ends2] = self._edges2[_EOS]
        two[begins2] = self._edges2[_BOS]
        for k in range(4):
            total[4 - k : 4 - k + shape - 1] += two[:, k]
        triple_raw = pair_raw[:-1] << _BITS | raw[2:]
        triple_low = pair_low[:-1] << _BITS | low[2:]
        three = self._raw3.rows(triple_raw)
        three += self._dict3[self._known3.rows(triple_low)[:, 0].astype(np.intp)]
        three += self._title3[title[:-2] & title[1:-1] & title[2:]]
        three[ends2[:-1] | ends[2:]] = self._edges3[_EOS]
        three[begins2[:-1] | begins[2:]] = self._edges3[_BOS]
        for k in range(3):
            total[4 - k : 4 - k + shape - 2] += three[:, k]
        scores: list[float] = total[2 : 2 + shape].tolist()
        return scores

    def _words(self, spans: list[Span], scores: list[float]) -> list[list[Span]]:
        """Return the best cut (Viterbi): of two labels only the lead of the first is needed."""
        bb, bi, ib, ii = self._moves
        lead = scores[0]
        back: list[tuple[bool, bool]] = []
        for score in scores[1:]:
            stay_b, stay_i = lead + bb, lead + bi
            back.append((stay_b >= ib, stay_i >= ii))
            lead = score + (stay_b if stay_b >= ib else ib) - (stay_i if stay_i >= ii else ii)
        first = lead >= 0
        firsts = [first]
        for from_b, from_i in reversed(back):
            first = from_b if first else from_i
            firsts.append(first)
        words: list[list[Span]] = []
        for span, begins in zip(spans, reversed(firsts), strict=True):
            if begins or not words:
                words.append([span])
            else:
                words[-1].append(span)
        return words


_NEURAL: Final = ("torch", "transformers")


class _Library:
    """The parts of underthesea that are used as they are."""

    def __init__(self, dictionary: set[str]) -> None:
        from underthesea.pipeline.word_tokenize.regex_tokenize import tokenize
        from underthesea_core import CRFFeaturizer

        self._featurizer = CRFFeaturizer(_TEMPLATE, dictionary)
        self._tokenize = tokenize

    def describe(self, token: str) -> dict[str, str]:
        """Return the library's features of a token that stands alone."""
        found = self._featurizer.process([[[token]]])[0][0]
        return dict(f.split("=", 1) for f in found)

    def tokens(self, text: str) -> list[str]:
        """Return the tokens of ``text`` by the library's own expressions."""
        found: list[str] = self._tokenize(text, use_token_normalize=False)
        return found


def quietly_import() -> None:
    """Import underthesea without its neural parts, and undo what it does to the root logger.

    It imports torch and transformers where they are installed, three seconds and 400 MB of every
    worker process, for parts that are not used here; it goes without them where they are missing.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hidden = [name for name in _NEURAL if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: cannot be imported
    try:
        import underthesea  # noqa: F401
    finally:
        for name in hidden:
            del sys.modules[name]
        root.handlers[:] = handlers
        root.setLevel(level)


@lru_cache(maxsize=1)
def load_tagger() -> Tagger:
    """Load the tagger of the installed underthesea, once a process.

    Raises:
        TaggerFileError: the installed version ships another kind of model.
    """
    quietly_import()
    folder = Path(str(resources.files("underthesea"))) / _FOLDER
    try:
        data = (folder / "models.bin").read_bytes()
        words = (
            resources.files("underthesea.corpus").joinpath("data/Viet74K.txt").read_text("utf-8")
        )
    except OSError as error:
        raise TaggerFileError(f"{folder.name}: {error}") from error
    # The pickled dictionary beside the model holds exactly the lines of this list in lower case,
    # blanks at their ends included; a pickle is never opened here.
    dictionary = {word.lower() for word in words.split("\n") if word}
    weights = read_crf(data, name=f"{folder.name}/models.bin")
    return Tagger(weights, frozenset(dictionary), _Library(dictionary))


def plain_words(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield what the library itself makes of each text: the standard that `Tagger` is held to."""
    quietly_import()
    from underthesea import word_tokenize

    for text in texts:
        yield list(word_tokenize(text, use_token_normalize=False))
