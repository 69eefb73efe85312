"""Canonical text and the views into it.

Quotes always come from the canonical text; everything else (lower case, old tone style, folded
look-alikes) is a view whose offsets lead back. The canonical text keeps spelling and spacing: it
only removes what no reader sees and composes what every reader sees composed.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from nlp.remembered import remembered

_ETH: Final = {"Ð": "Đ", "ð": "đ"}
_SPACES: Final = {"\u00a0", "\t", "\u2007", "\u202f", "\u2009", "\u200a", "\u3000", "\u1680",
                  "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006", "\u2008",
                  "\u205f"}  # fmt: skip
_BREAKS: Final = {"\r", "\u2028", "\u2029", "\u0085", "\x0b", "\x0c"}
_BIDI: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
_ZERO_WIDTH: Final = frozenset("\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e")
_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?")
_UNCLEAN: Final = re.compile(
    "[^\n\x20-\x7e\u00a1-\u00ac\u00ae-\u00cf\u00d1-\u00ef\u00f1-\u02ff"
    "\u1ea0-\u1ef9\u2010-\u2015\u2018-\u2027\u2030-\u205e]"
)
"""Anything outside of these blocks takes the long way; inside, nothing composes or is removed."""
MAX_MARKS: Final = 4
"""Combining marks kept on one base letter; Vietnamese needs two, long runs cost quadratic time."""
_CONTROLS: Final = re.compile(r"<(/?s|mask|pad|unk)>")


@dataclass(frozen=True, slots=True)
class CanonicalText:
    """``text`` and where each of its code points came from.

    ``starts[i]``/``ends[i]`` delimit, in the raw text, what became ``text[i]``.
    """

    text: str
    removed: dict[str, int]
    _starts: Sequence[int] = field(repr=False)
    _ends: Sequence[int] = field(repr=False)

    def to_source(self, start: int, end: int) -> tuple[int, int]:
        """Return the span of the raw text that became ``text[start:end]``."""
        if start >= end:
            at = self._starts[start] if start < len(self._starts) else self._source_end()
            return at, at
        return self._starts[start], self._ends[end - 1]

    def _source_end(self) -> int:
        return self._ends[-1] if self._ends else 0


@dataclass(frozen=True, slots=True)
class View:
    """A rewritten text whose offsets lead back to the text it is a view of."""

    text: str
    _starts: Sequence[int] = field(repr=False)
    _ends: Sequence[int] = field(repr=False)

    def to_source(self, start: int, end: int) -> tuple[int, int]:
        """Return the span of the viewed text behind ``text[start:end]``."""
        if start >= end:
            at = (
                self._starts[start]
                if start < len(self._starts)
                else (self._ends[-1] if self._ends else 0)
            )
            return at, at
        return self._starts[start], self._ends[end - 1]


def _unescaped(raw: str) -> Iterator[tuple[str, int, int]]:
    """Yield characters with the raw span of each, entities resolved."""
    at = 0
    for match in _ENTITY.finditer(raw):
        for i in range(at, match.start()):
            yield raw[i], i, i + 1
        value = html.unescape(match[0])
        if value == match[0]:
            for i in range(match.start(), match.end()):
                yield raw[i], i, i + 1
        else:
            # A name without semicolon can resolve in part ("&notit;"): every letter of the value
            # then covers the whole entity, which is exact enough to quote the source.
            for character in value:
                yield character, match.start(), match.end()
        at = match.end()
    for i in range(at, len(raw)):
        yield raw[i], i, i + 1


def _reason(character: str) -> str:
    """Return why a character is removed, or an empty string when it stays."""
    if character in _ZERO_WIDTH:
        return "zero_width"
    if character in _BIDI:
        return "bidi"
    category = unicodedata.category(character)
    if category == "Cs":
        return "surrogate"
    if category == "Cf":
        return "format"
    if category == "Cc" and character != "\n":
        return "control"
    return ""


def canonical(raw: str, *, unescape: bool = True) -> CanonicalText:
    """Return ``raw`` as canonical text.

    HTML entities are resolved (unless ``unescape`` is false); zero-width, format and control
    characters and lone surrogates are removed and counted by reason; every kind of blank becomes a
    space and every line break ``\\n``; letters are composed (NFC); eth becomes Đ/đ.
    """
    if not (unescape and _ENTITY.search(raw)) and not _UNCLEAN.search(raw):
        # Clean text is the rule, and the long way takes a hundred times as long.
        return CanonicalText(raw, {}, range(len(raw)), range(1, len(raw) + 1))
    removed: Counter[str] = Counter()
    pieces: list[tuple[str, int, int]] = []
    source = _unescaped(raw) if unescape else ((c, i, i + 1) for i, c in enumerate(raw))
    carriage = False
    for character, start, end in source:
        if character == "\n" and carriage:
            carriage = False
            continue  # the second half of \r\n
        carriage = character == "\r"
        if character in _SPACES:
            character = " "
        elif character in _BREAKS:
            character = "\n"
        else:
            reason = _reason(character)
            if reason:
                removed[reason] += 1
                continue
            character = _ETH.get(character, character)
        pieces.append((character, start, end))
    return _composed(pieces, removed)


def _composed(pieces: list[tuple[str, int, int]], removed: Counter[str]) -> CanonicalText:
    """Compose each base letter with its marks; a cluster's letters all cover the whole cluster."""
    out: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    i = 0
    while i < len(pieces):
        j = i + 1
        while j < len(pieces) and (
            unicodedata.combining(pieces[j][0]) or _joins(pieces[j - 1][0], pieces[j][0])
        ):
            j += 1
        if j == i + 1 and pieces[i][0] < "\u0300":
            out.append(pieces[i][0])
            starts.append(pieces[i][1])
            ends.append(pieces[i][2])
        else:
            cluster = pieces[i:j]
            if len(cluster) > MAX_MARKS + 1:
                removed["excess_marks"] += len(cluster) - MAX_MARKS - 1
                cluster = cluster[: MAX_MARKS + 1]
            composed = unicodedata.normalize("NFC", "".join(c for c, _, _ in cluster))
            if len(composed) > MAX_MARKS + 1:  # NFC takes some letters apart (U+0958)
                removed["excess_marks"] += len(composed) - MAX_MARKS - 1
                composed = composed[: MAX_MARKS + 1]
            start, end = pieces[i][1], pieces[j - 1][2]
            for character in composed:
                out.append(_ETH.get(character, character))
                starts.append(start)
                ends.append(end)
        i = j
    return CanonicalText("".join(out), dict(removed), tuple(starts), tuple(ends))


def _joins(left: str, right: str) -> bool:
    """Return whether NFC may compose two letters neither of which is a mark (Hangul)."""
    return "\u1160" <= right <= "\u11ff" and "\u1100" <= left <= "\ud7a3"


# -- tone style ------------------------------------------------------------------------------

_NEW: Final = [
    "òa",
    "óa",
    "ỏa",
    "õa",
    "ọa",
    "òe",
    "óe",
    "ỏe",
    "õe",
    "ọe",
    "ùy",
    "úy",
    "ủy",
    "ũy",
    "ụy",
]
_OLD: Final = [
    "oà",
    "oá",
    "oả",
    "oã",
    "oạ",
    "oè",
    "oé",
    "oẻ",
    "oẽ",
    "oẹ",
    "uỳ",
    "uý",
    "uỷ",
    "uỹ",
    "uỵ",
]
_TO_OLD: Final = {n: o for n, o in zip(_NEW, _OLD, strict=True)}
# The pairs of `_NEW` as classes of letters, which are found in an eighth of the time of a list.
_NEW_STYLE: Final = re.compile(r"(?:[òóỏõọÒÓỎÕỌ][aeAE]|[ùúủũụÙÚỦŨỤ][yY])(?!\w)")


def _recase(match: re.Match[str]) -> str:
    old = _TO_OLD[match[0].lower()]
    return "".join(o.upper() if m.isupper() else o for m, o in zip(match[0], old, strict=True))


def old_style(text: str) -> str:
    """Return NFC ``text`` with tone marks in the old style (hoà, uỷ), at the same length.

    PhoBERT's vocabulary and underthesea's CRF know the old style only.
    """
    return _NEW_STYLE.sub(_recase, text)


# -- folding ---------------------------------------------------------------------------------

_LOOKALIKES: Final = dict(
    zip(
        "аеорсухіјѕԁһԛԝкмтвнгАЕОРСУХІЈЅВНКМТΑΒΕΖΗΙΚΜΝΟΡΤΥΧαοινρτυκхɡıⅼ",
        "aeopcyxijsdhqwkmtbhrAEOPCYXIJSBHKMTABEZHIKMNOPTYXaoivptukxgil",
        strict=True,
    )
)


def fold(text: str) -> str:
    """Return ``text`` in lower case without diacritics, ``đ`` as ``d``: for search, not display.

    Accent-stripping functions of databases leave ``đ``, so it is replaced here.
    """
    plain = unicodedata.normalize("NFD", text.lower().replace("đ", "d").replace("ð", "d"))
    return unicodedata.normalize("NFC", "".join(c for c in plain if not unicodedata.combining(c)))


def _fold_letter(character: str) -> str:
    if "\uff01" <= character <= "\uff5e":
        character = chr(ord(character) - 0xFEE0)
    return _LOOKALIKES.get(character, character)


_FOLDED: Final = {
    code: _fold_letter(chr(code)) for code in (*range(0xFF01, 0xFF5F), *map(ord, _LOOKALIKES))
}
_ODD: Final = re.compile("[" + "".join(map(re.escape, map(chr, _FOLDED))) + "]")
_DOTTED: Final = re.compile(r"(?<!\w)(?:\w[.\-_·*]){1,4}\w(?!\w)")
_COOPERATIVE: Final = re.compile(
    r"(?<!\w)(?:h\W?t\W?x|hợp[\s\-_.·*]+tác[\s\-_.·*]+xã)(?!\w)", re.IGNORECASE
)


def skeleton(text: str) -> View:
    """Return the view that matching works on; what evades a filter by eye-alike spelling is folded.

    Lower case, old tone style, Cyrillic, Greek and full-width look-alikes as Latin letters, dots or
    hyphens between the letters of a syllable removed, and every way to write ``hợp tác xã`` alike.
    """
    lower = (text.translate(_FOLDED) if _ODD.search(text) else text).lower()
    starts = list(range(len(text)))
    if len(lower) != len(text) or "Σ" in text:
        lower, starts = _letter_by_letter(text)
    flat = old_style(lower)
    ends = [s + 1 for s in starts]
    flat, starts, ends = _rewrite(flat, starts, ends, _DOTTED, _undotted)
    flat, starts, ends = _rewrite(flat, starts, ends, _COOPERATIVE, lambda m: "hợp tác xã")
    return View(flat, tuple(starts), tuple(ends))


@remembered(1024)  # the sentences of an article are asked for twice
def skeleton_text(text: str) -> str:
    """Return the text of `skeleton` without the way back, in a fraction of the time."""
    lower = (text.translate(_FOLDED) if _ODD.search(text) else text).lower()
    if len(lower) != len(text) or "Σ" in text:
        lower, _ = _letter_by_letter(text)
    return _COOPERATIVE.sub("hợp tác xã", _DOTTED.sub(_undotted, old_style(lower)))


def _letter_by_letter(text: str) -> tuple[str, list[int]]:
    """Fold where lower case has another length or depends on the neighbours (İ, Σ)."""
    letters: list[str] = []
    starts: list[int] = []
    for i, character in enumerate(text):
        for folded in _fold_letter(character).lower():
            letters.append(folded)
            starts.append(i)
    return "".join(letters), starts


def _undotted(match: re.Match[str]) -> str:
    kept = "".join(c for c in match[0] if c.isalnum())
    return kept if kept.isalpha() else match[0]


def _rewrite(
    text: str,
    starts: list[int],
    ends: list[int],
    pattern: re.Pattern[str],
    replace: object,
) -> tuple[str, list[int], list[int]]:
    out: list[str] = []
    new_starts: list[int] = []
    new_ends: list[int] = []
    at = 0
    for match in pattern.finditer(text):
        out.append(text[at : match.start()])
        new_starts += starts[at : match.start()]
        new_ends += ends[at : match.start()]
        value = replace(match)  # type: ignore[operator]
        out.append(value)
        new_starts += [starts[match.start()]] * len(value)
        new_ends += [ends[match.end() - 1]] * len(value)
        at = match.end()
    out.append(text[at:])
    return "".join(out), new_starts + starts[at:], new_ends + ends[at:]


def is_undiacritised(text: str) -> bool:
    """Return whether ``text`` reads as Vietnamese typed without diacritics.

    At least eight letters words, of which less than 1 in 20 carries a mark; ordinary Vietnamese has
    marks on about three syllables of four.
    """
    words = re.findall(r"[^\W\d_]+", text)
    if len(words) < 8:
        return False
    marked = 0
    for word in words:
        marked += not word.isascii() and fold(word) != word.lower()
        if marked >= 0.05 * len(words):
            return False
    return True


def neutralise_controls(text: str) -> str:
    """Return ``text`` in which the five literal control tokens of the encoder are plain words."""
    return _CONTROLS.sub(lambda m: f"< {m[1]} >", text)
