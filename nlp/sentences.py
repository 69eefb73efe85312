"""Sentences with offsets: lines first, then terminators that really end something.

Own rules, because the library at hand cuts ``PGS.TS. Trần``, crosses line ends and pushes closing
quotes into the next sentence. One pass, linear in the length of the text.
"""

from __future__ import annotations

import re
from typing import Final

from kiemchung.domain import Sentence

_TERMINATOR: Final = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s|$)")
_ABBREVIATIONS: Final = frozenset(
    [
        "tp",
        "ts",
        "ths",
        "th.s",
        "pgs",
        "gs",
        "bs",
        "ks",
        "cn",
        "st",
        "tx",
        "tt",
        "nxb",
        "đ/c",
        "q",
        "p",
        "ô",
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "st",
        "vd",
        "tr",
        "ths.bs",
        "ncs",
        "nsnd",
        "nsưt",
        "pgs.ts",
        "gs.ts",
        "gs.tskh",
        "pgs.tskh",
        "tskh",
        "ts.bs",
        "bs.ckii",
        "bs.cki",
        "bs.ck2",
        "bs.ck1",
        "ls",
        "thạc.sĩ",
        "đ.c",
        "đc",
        "kts",
        "gđ",
        "pgđ",
        "cb",
        "cbcnv",
        "no",
        "vs",
        "jr",
        "sr",
        "inc.ltd",
        "co.ltd",
        "h",
        "tc",
        "ng",
        "kcn",
        "ccn",
        "ql",
        "đt",
        "tl",
        "v",
        "co",
    ]
)
"""Lower-cased, without their last dot; they stand before a name, so a sentence never ends there
unless nothing but a common word in capitals follows (see `_ends`)."""
_PLACES: Final = frozenset({"tp", "tx", "tt"})
_FUNCTION_WORDS: Final = frozenset(
    [
        "nhưng",
        "và",
        "tuy",
        "song",
        "do",
        "vì",
        "nên",
        "khi",
        "nếu",
        "theo",
        "đây",
        "đó",
        "các",
        "những",
        "một",
        "ông",
        "bà",
        "anh",
        "chị",
        "tôi",
        "chúng",
        "họ",
        "năm",
        "trong",
        "tại",
        "từ",
        "đến",
        "với",
        "cũng",
        "điều",
        "việc",
        "sau",
        "trước",
        "hiện",
        "ngoài",
        "bên",
    ]
)
"""Words that begin a sentence and no place name: ``Tôi đến TP. Nhưng không gặp ai.``"""
_MARKER: Final = re.compile(r"(?:\d{1,3}|[IVXLC]{1,6}|[a-zđ])[.)]")
_UNIT_BEFORE_NUMBER: Final = frozenset(
    {"điều", "khoản", "số", "mục", "chương", "phần", "bài", "tập", "bước"}
)
_NEAR: Final = 48
_INITIAL: Final = re.compile(r"[^\W\d_]\.")
_OPENERS: Final = "\"'“‘«([-–—•*"


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return the spans of the sentences of ``text``, without white space around them.

    Every character that is no white space lies in exactly one span.
    """
    spans: list[tuple[int, int]] = []
    at = 0
    for line in text.split("\n"):
        spans.extend((at + a, at + b) for a, b in _line_spans(line))
        at += len(line) + 1
    return spans


def sentences(text: str) -> tuple[Sentence, ...]:
    """Return the sentences of ``text`` in order."""
    return tuple(Sentence(start=a, end=b, text=text[a:b]) for a, b in sentence_spans(text))


def _line_spans(line: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _TERMINATOR.finditer(line):
        if _ends(line, start, match):
            _add(spans, line, start, match.end())
            start = match.end()
    _add(spans, line, start, len(line))
    return spans


def _add(spans: list[tuple[int, int]], line: str, start: int, end: int) -> None:
    while start < end and line[start].isspace():
        start += 1
    while end > start and line[end - 1].isspace():
        end -= 1
    if start < end:
        spans.append((start, end))


def _next_visible(line: str, at: int) -> str:
    """Return up to 24 characters from the first visible one after ``at``."""
    while at < len(line) and line[at].isspace():
        at += 1
    return line[at : at + 24]


def _ends(line: str, start: int, match: re.Match[str]) -> bool:
    after = _next_visible(line, match.end())
    if not after:
        return True
    mark = match[0]
    first = after.lstrip(_OPENERS)[:1]
    begins = first.isupper() or first.isdigit() or after[0] in '"“‘«-–—•'
    if mark[0] in "!?":
        return begins and not _speaker_follows(mark, after)
    if "…" in mark or mark.startswith(".."):
        return first.isupper() and not first.isdigit()
    if not begins or _speaker_follows(mark, after):
        return False
    if mark != ".":  # a closing quote or bracket follows the full stop
        return first.isupper() or after[0] in '"“‘«' or first.isdigit()
    return _full_stop_ends(line, start, match.start(), after, first)


def _speaker_follows(mark: str, after: str) -> bool:
    """Return whether a dash or a lower-case word names the speaker of the quote just closed."""
    closed = mark[-1] in '"”’»'
    return closed and (after[0] in "-–—," or after[:1].islower())


def _full_stop_ends(line: str, start: int, dot: int, after: str, first: str) -> bool:
    word_start = dot
    # Abbreviations are short; a bound keeps a megabyte without blanks linear.
    while word_start > start and dot - word_start < 24 and not line[word_start - 1].isspace():
        word_start -= 1
    word = line[word_start:dot].lstrip("\"'“‘«([").rstrip(",;")
    lower = word.lower()
    # What stands far back is no list marker; a bound keeps a line of initials linear.
    is_first = word_start - start <= _NEAR and not line[start:word_start].strip(" \"'“‘«([-–—•")
    if is_first and _MARKER.fullmatch(f"{word}."):
        return False  # "1. Hợp tác xã": a list marker
    if lower in _ABBREVIATIONS:
        if lower in _PLACES:
            following = re.match(r"[^\W\d_]+", after)
            return bool(following and following[0].lower() in _FUNCTION_WORDS)
        return False
    if len(word) == 1 and word.isalpha() and word.isupper():
        # An initial: "Nguyễn Văn B. Nhưng ..." ends a sentence, "H. Trần" does not.
        before = line[max(start, word_start - _NEAR) : word_start].split()
        if before and _INITIAL.fullmatch(before[-1]):
            return _begins_with_function_word(after)  # "N. V. Hậu": a name in initials
        return bool(before) and before[-1][:1].isupper() and _is_sentence_start(after)
    if re.fullmatch(r"(?:[^\W\d_]\.){1,6}[^\W\d_]", word) and word.isupper():
        return not first.isdigit() and _is_sentence_start(after)
    if word.isdigit() or _MARKER.fullmatch(f"{word}."):
        previous = line[max(start, word_start - _NEAR) : word_start].split()[-1:] or [""]
        if previous[0].lower() in _UNIT_BEFORE_NUMBER and first.isupper():
            return False  # "Điều 9. Quyền của ..."
        if previous[0].endswith(":") or previous[0].endswith(";"):
            return False  # "kết luận: 1. Tăng vốn; 2. Giảm nợ"
    return True


def _begins_with_function_word(after: str) -> bool:
    following = re.match(r"[^\W\d_]+", after.lstrip(_OPENERS))
    return bool(following and following[0].lower() in _FUNCTION_WORDS)


def _is_sentence_start(after: str) -> bool:
    """Return whether what follows reads as a new sentence and not as the rest of a name."""
    following = re.match(r"([^\W\d_]+)(?:\s+([^\W\d_]+))?", after.lstrip(_OPENERS))
    if following is None:
        return after[0] in '"“‘«'
    second = following[2] or ""
    return following[1].lower() in _FUNCTION_WORDS or (bool(second) and second[0].islower())
