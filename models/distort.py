"""Edits of one sentence that change what it says, as a span and what stands there instead.

`models.construct.Rewriter` makes the plain ones (number, date, actor, negation, exaggeration); here
are the others of the ten kinds: unit, merge and split, wrong source, dropped condition, expired
law. An `Edit` can be made in a claim and, mirrored, in its evidence: the pairs of both hold every
claim once with each label, so that the claim alone gives nothing away (the idea of symmetric
evaluation sets, Schuster et al. 2019).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from kiemchung.domain import Distortion
from models.construct import Rewriter
from models.cues import UPPER, any_of, normal

_WORD: Final = re.compile(r"\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """``text[start:end]`` gives way to ``new``; ``old`` and ``new`` are whole words and differ.

    ``mirrors`` says whether the sentence before the edit refutes the one after it *and* the
    reverse: "some" does not refute "all", it only falls short of it.
    """

    kind: str
    old: str
    new: str
    before: str
    after: str
    mirrors: bool = True


def edit_of(kind: str, before: str, after: str, *, mirrors: bool = True) -> Edit | None:
    """Return the edit that turns ``before`` into ``after``, or None where nothing changed.

    The span is widened to one word on each side where either side of it would be empty, so that
    it can be looked for in a reworded sentence.
    """
    a, b = before.split(), after.split()
    head = 0
    while head < min(len(a), len(b)) and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < min(len(a), len(b)) - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    if head + tail >= max(len(a), len(b)):
        return None
    if head + tail >= min(len(a), len(b)):
        head, tail = max(0, head - 1), max(0, tail - 1)
    old, new = a[head : len(a) - tail], b[head : len(b) - tail]
    return Edit(
        kind=kind,
        old=_bare(" ".join(old)),
        new=_bare(" ".join(new)),
        before=" ".join(a),
        after=" ".join(b),
        mirrors=mirrors,
    )


def _bare(words: str) -> str:
    return words.strip(" ,.;:!?()“”\"'")


# --- unit ----------------------------------------------------------------------------------------

_UNITS: Final[tuple[tuple[str, ...], ...]] = (
    ("tỷ đồng", "triệu đồng", "nghìn đồng"), ("tỉ đồng", "triệu đồng"),
    ("triệu USD", "tỷ USD", "triệu đồng"), ("USD", "đồng", "euro"), ("ha", "m2", "km2"),
    ("kg", "tấn", "tạ", "gam"), ("km", "m", "cm"), ("giờ", "phút", "ngày"), ("phút", "giây"),
    ("ngày", "tuần", "tháng"), ("tháng", "năm", "ngày"), ("người", "hộ", "gia đình"),
    ("lít", "m3"), ("triệu", "tỷ", "nghìn"), ("tuổi", "tháng tuổi"), ("%", "phần nghìn"),
    ("thành viên", "hợp tác xã", "tổ hợp tác"), ("vụ", "trường hợp"), ("xã", "huyện", "tỉnh"),
)  # fmt: skip
_NUMBER: Final = r"\d+(?:[.,]\d+)*"


def unit(text: str, r: random.Random) -> str | None:
    """Put another unit behind one number: tỷ for triệu, tấn for kg, hộ for người."""
    found = []
    for row in _UNITS:
        for one in row:
            found += [
                (m.start(1), m.end(1), [u for u in row if u != one])
                for m in re.finditer(rf"(?<![\d/-]){_NUMBER}\s?({re.escape(one)})(?!\w)", text)
                if not re.search(r"(?:ngày|tháng|lúc)\s+\d*$", text[: m.start()])
            ]
    if not found:
        return None
    start, end, others = r.choice(found)
    other = r.choice(others)
    gap = " " if text[start - 1].isdigit() and other[0].isalpha() else ""
    return text[:start] + gap + other + text[end:]


# --- merge and split ------------------------------------------------------------------------------

_COUNT: Final = re.compile(rf"(?<![\d.,/:-]){_NUMBER}(?![\d/:%-])")
_NO_COUNT: Final = re.compile(
    r"(?:ngày|tháng|năm|điều|khoản|điểm|số|lúc|quý|sn|sinh|quận|phường|thôn|tổ|lớp|lộ|ql|khóa|khoá)\s*$",
    re.IGNORECASE,
)


def merge(text: str, r: random.Random) -> str | None:
    """Give one thing's number to another and the reverse: two true parts, wrongly joined."""
    hits = [m for m in _COUNT.finditer(text) if not _NO_COUNT.search(text[: m.start()])]
    pairs = [
        (a, b) for i, a in enumerate(hits) for b in hits[i + 1 :]
        if a.group() != b.group() and _alike(text, a, b)
    ]  # fmt: skip
    if not pairs:
        return None
    a, b = r.choice(pairs)
    return text[: a.start()] + b.group() + text[a.end() : b.start()] + a.group() + text[b.end() :]


def _alike(text: str, a: re.Match[str], b: re.Match[str]) -> bool:
    """Whether two counts could be confused: of the same thing, or of about the same size."""
    after = [_WORD.search(text, hit.end()) for hit in (a, b)]
    same = after[0] is not None and after[1] is not None and after[0].group() == after[1].group()
    return same or len(a.group()) == len(b.group())


# --- wrong source --------------------------------------------------------------------------------

SOURCES: Final = (
    "Bộ Nông nghiệp và Môi trường", "Bộ Tài chính", "Bộ Kế hoạch và Đầu tư", "Bộ Y tế",
    "Bộ Công Thương", "Bộ Giáo dục và Đào tạo", "Tổng cục Thống kê", "Cục Thống kê",
    "Liên minh Hợp tác xã Việt Nam", "Ngân hàng Nhà nước", "Thanh tra Chính phủ",
    "Kiểm toán Nhà nước", "Bộ Công an", "Bộ Giao thông vận tải", "Bộ Xây dựng",
    "Ngân hàng Thế giới", "Liên Hợp Quốc", "UBND tỉnh", "Bộ Khoa học và Công nghệ",
)  # fmt: skip
_ACCORDING: Final = re.compile(
    r"(?:^|(?<=, )|(?<=\. ))[Tt]heo\s+(?:thông tin từ\s+|báo cáo của\s+|số liệu của\s+)?"
    r"((?:Bộ|Cục|Tổng cục|UBND|Sở|Viện|Ban|Hội|Liên|Ngân hàng|Công an|Báo|Đài|Hãng|Thanh tra)"
    r"(?:\s(?!cho|thì|,)[^\s,.;]+){0,5}|(?!Điều|Khoản|Luật|Bộ luật|Nghị|Thông)"
    r"[A-ZĐ][\w-]+(?:\s[A-ZĐ][\w-]+){0,3})(?=[\s,.;])"
)


def source(text: str, r: random.Random) -> str | None:
    """Name another source: the figure stays, the office that is said to have given it changes."""
    hit = _ACCORDING.search(text)
    if hit is None:
        return None
    named = normal(hit.group(1))
    others = [s for s in SOURCES if normal(s) not in named and named not in normal(s)]
    return text[: hit.start(1)] + r.choice(others) + text[hit.end(1) :]


# --- actor ------------------------------------------------------------------------------------

NAMED: Final = re.compile(rf"(?<=\s)(?:[{UPPER}]\w+\s){{1,4}}[{UPPER}]\w+(?=[\s,.;)])")


def actor(text: str, names: Sequence[str], r: random.Random) -> str | None:
    """Put another name of as many syllables in the place of one of two or more."""
    hits = list(NAMED.finditer(text))
    if not hits or not names:
        return None
    hit = r.choice(hits)
    size, known = len(hit.group().split()), normal(text)
    for _ in range(12):
        other = r.choice(names)
        if len(other.split()) == size and normal(other) not in known:
            return text[: hit.start()] + other + text[hit.end() :]
    return None


# --- condition dropped ------------------------------------------------------------------------

_ALWAYS: Final = (
    "Trong mọi trường hợp, ", "Không cần điều kiện nào, ", "Ở đâu cũng vậy, ", "Bao giờ cũng thế, ",
)  # fmt: skip
_FIRST: Final = re.compile(
    r"^(?:Nếu|Trường hợp|Trong trường hợp|Chỉ khi|Với điều kiện)\s[^,;:]{6,160},\s+(?=\S)"
)
_LAST: Final = re.compile(
    r",?\s(?:nếu|trừ trường hợp|trừ khi|trong trường hợp|với điều kiện|khi đáp ứng|chỉ khi|"
    r"sau khi được)\s[^,;:]{6,160}$"
)


def condition(text: str, r: random.Random) -> str | None:
    """Drop the condition of a rule and say that it always holds."""
    bare = text.rstrip(" .;")
    hit = _FIRST.search(bare)
    rest = bare[hit.end() :] if hit else ""
    if hit is None:
        hit = _LAST.search(bare)
        rest = bare[: hit.start()] if hit else ""
    if len(rest.split()) < 5 or rest.count("(") != rest.count(")"):
        return None
    return r.choice(_ALWAYS) + rest[:1].lower() + rest[1:] + "."


# --- expired law ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """A rule in two versions with the day that parts them, and how claims date themselves."""

    text: str
    before: str
    after: str

    @classmethod
    def of(cls, old: str, new: str, r: random.Random) -> Versions:
        """Return both versions in one evidence text, and the two claim heads."""
        turn = date(2000, 1, 1) + timedelta(days=r.randrange(365 * 25))
        last = turn - timedelta(days=1)
        a, b = _written(last, r), _written(turn, r)
        old, new = old.rstrip(" .;"), new.rstrip(" .;")
        texts = (
            f"Có hiệu lực đến hết {a}: {old}. Có hiệu lực từ {b}: {new}.",
            f"Từ {b} áp dụng quy định: {new}. Trước đó, đến hết {a}: {old}.",
            f"{old} (hết hiệu lực từ {b}). {new} (có hiệu lực từ {b}).",
        )
        earlier, later = turn.year - r.randrange(1, 4), turn.year + r.randrange(1, 4)
        heads = ("Năm {}, ", "Theo quy định áp dụng năm {}, ", "Tính đến năm {}, ")
        head = r.choice(heads)
        return cls(text=r.choice(texts), before=head.format(earlier), after=head.format(later))


def _written(day: date, r: random.Random) -> str:
    return r.choice(
        (
            f"ngày {day.day}/{day.month}/{day.year}",
            f"ngày {day.day:02d}/{day.month:02d}/{day.year}",
            f"ngày {day.day} tháng {day.month} năm {day.year}",
        )
    )


# --- all kinds -----------------------------------------------------------------------------------

_ONE_WAY: Final = frozenset({str(Distortion.EXAGGERATION), str(Distortion.CONDITION_DROPPED)})
_ABSOLUTE: Final = any_of(
    "một số", "phần lớn", "đa số", "hầu hết", "một phần", "có thể", "một trong những", "một trong"
)


def edits(text: str, rewriter: Rewriter) -> list[Edit]:
    """Return one edit of each kind that ``text`` admits, in the order of the kinds' names."""
    r = rewriter.random

    def exaggerate(sentence: str) -> str | None:
        # "nearly 40" made "exactly 40" is refuted by nobody who reads news: only clear bounds.
        return rewriter.exaggerate(sentence) if _ABSOLUTE.search(normal(sentence)) else None

    makers: tuple[tuple[str, Callable[[str], str | None]], ...] = (
        (Distortion.NUMBER, rewriter.number),
        ("unit", lambda t: unit(t, r)),
        (Distortion.DATE, rewriter.date),
        (Distortion.ACTOR, lambda t: actor(t, rewriter.names, r)),
        (Distortion.NEGATION, rewriter.negation),
        ("antonym", rewriter.antonym),
        (Distortion.CONDITION_DROPPED, lambda t: condition(t, r)),
        (Distortion.EXAGGERATION, exaggerate),
        (Distortion.MERGE_SPLIT, lambda t: merge(t, r)),
        (Distortion.WRONG_SOURCE, lambda t: source(t, r)),
    )
    found = []
    for kind, make in makers:
        after = make(text)
        if not after:
            continue
        edit = edit_of(str(kind), text, after, mirrors=str(kind) not in _ONE_WAY)
        if edit is not None and normal(edit.old) != normal(edit.new):
            found.append(edit)
    return found
