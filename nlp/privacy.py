"""Personal data out of a text before anybody keeps it: each piece becomes a word in brackets.

Found are e-mail addresses, phone numbers, identity papers, bank accounts, tax codes of persons,
the street level of somebody's home, and the author's line at the end. What a claim needs stays:
amounts, counts, dates, document numbers, communes and provinces, tax codes and short numbers of
organisations. A phone number of an office cannot be told from a person's and goes as well.

The forms are those of the national numbering plan (mobile prefixes 03, 05, 07, 08, 09 with ten
digits, area codes 02 with eleven), of identity cards (twelve digits, nine on the older ones) and of
tax codes (ten digits); a number without a telling form needs a word before it that says what it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What was taken out; in the order in which overlapping finds win."""

    EMAIL = "email"
    IDENTITY = "identity"
    BANK = "bank_account"
    TAX = "tax_code"
    PHONE = "phone"
    ADDRESS = "address"
    AUTHOR = "author"


MARKS: Final = {
    Kind.EMAIL: "[thư điện tử]",
    Kind.IDENTITY: "[số giấy tờ]",
    Kind.BANK: "[số tài khoản]",
    Kind.TAX: "[mã số thuế]",
    Kind.PHONE: "[số điện thoại]",
    Kind.ADDRESS: "[địa chỉ]",
    Kind.AUTHOR: "[tên tác giả]",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One piece of personal data; offsets count code points of the text given."""

    start: int
    end: int
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Redacted:
    """A text without personal data, and how many pieces of each kind were taken out."""

    text: str
    counts: dict[str, int]


_UPPER: Final = "A-Z" + "".join(
    chr(c) for block in (range(0xC0, 0x1B1), range(0x1E00, 0x1F00)) for c in block
    if chr(c).isupper()
)  # fmt: skip
_SEP: Final = r"[ .\-–]"
Windows = list[tuple[int, int]]
_RUN: Final = re.compile(r"\d(?:[ .\-–()]{0,2}\d){5}")
_BEFORE: Final = 120
_BEHIND: Final = 80
_UNIT: Final = (
    r"(?-i:đồng|đ\b|vnđ|vnd|usd|VNĐ|VND|USD|triệu|tỷ|tỉ|nghìn|ngàn|trăm|%|tấn|tạ|kg|ha\b|m2|m²|m3"
    r"|km|lít|thẻ|người|máy|chiếc|cái|thuê bao|hộ|thành viên|hợp tác xã|htx|tài khoản|lượt"
    r"|giao dịch|khách|cuộc|con|bộ|sản phẩm|đơn|hồ sơ|công dân|cổ phiếu|cp\b|lao động|cây"
    r"|trường hợp|số\b|đô la)(?!\w)"
)
_NO_UNIT: Final = rf"(?!\s?{_UNIT})"
_LEFT: Final = r"(?<![\w/@])(?<!\w-)(?<!\d[.,\-–])"
_RIGHT: Final = r"(?![\w/@])(?![.,\-–]\d)"

_EMAIL: Final = re.compile(
    r"(?<![\w.+\-])[A-Za-z0-9][A-Za-z0-9._%+\-]{0,63}"
    r"(?:@|\s?[\[(](?:at|a còng|@)[\])]\s?)"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?\.){1,5}[A-Za-z]{2,12}(?![\w@])",
    re.IGNORECASE,
)

_MOBILE: Final = r"(?:3[2-9]|5[2-9]|7[06-9]|8[1-9]|9\d)"
_AREA: Final = r"2(?:0[3-9]|1[0-689]|2[0-25-9]|3[2-9]|5[124-9]|6[0-3]|7[0-7]|9[0-46-9])"
_PHONE: Final = re.compile(
    rf"{_LEFT}(?:"
    # 0912 345 678, (0)912..., 01234 567 890 until 2018
    rf"\(?0{_MOBILE}\)?(?:{_SEP}?\d){{7}}|0?\(0\){_MOBILE}(?:{_SEP}?\d){{7}}"
    rf"|01(?:2\d|6[2-9]|86|88|99)(?:{_SEP}?\d){{7}}"
    # 024 3825 1234, (0243) 825 1234
    rf"|\(?02[48]\)?(?:{_SEP}?\d){{8}}|\(?0{_AREA}\)?(?:{_SEP}?\d){{7}}"
    # (04) 3825 1234: old area codes, told by their brackets
    rf"|\(0\d{{1,3}}\){_SEP}?\d{{2,4}}(?:{_SEP}?\d{{2,4}}){{1,2}}"
    # +84 912 345 678, (+84)24..., 0084...
    rf"|(?:\(?\+\s?84\)?|\(84\)|0084){_SEP}?(?:\(0\)|0)?{_SEP}?[2-9](?:{_SEP}?\d){{8,9}}"
    r")(?![\w@])(?!/(?:\d{4}/|[A-ZĐ]))(?![.,]\d)"
)
_PHONE_WORD: Final = re.compile(
    r"(?<!\w)(?:số\s+)?(?:điện\s+thoại|đtdđ|đt|sđt|sdt|tel|phone|di\s+động|zalo|viber|fax|hotline"
    r"|đường\s+dây\s+nóng|số\s+máy|liên\s+hệ|máy\s+bàn)(?!\w)"
    r"(?:[ \t]*(?:số|qua|theo|bàn|di\s+động|cố\s+định|zalo|liên\s+hệ|cá\s+nhân|của\s+[^\d\n.]{1,30}"
    r"|là|điện\s+thoại|[:.()\-–/]))*[ \t]*",
    re.IGNORECASE,
)
_LOCAL: Final = re.compile(
    rf"\(?\+?\d{{1,5}}\)?(?:{_SEP}?\d{{2,5}}){{1,4}}+(?![\d%@])(?!/\d)(?![.,]\d)" + _NO_UNIT,
    re.IGNORECASE,
)
_NEXT_LOCAL: Final = re.compile(r"[ \t]*(?:[,;/–\-]|hoặc|và)[ \t]*")
_PERIOD: Final = re.compile(
    r"(?:19|20)\d\d\s?[\-–]\s?(?:19|20)\d\d|\d{1,2}[.\-]\d{1,2}[.\-]\d{4}|\d{4}-\d\d-\d\d"
)
_THOUSANDS: Final = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+")
_SHORT_NUMBER: Final = re.compile(r"1[89]00")
_REGISTERED: Final = re.compile(
    r"(?:mã\s+số\s+(?:thuế|doanh\s+nghiệp|htx|hợp\s+tác\s+xã|liên\s+hiệp|chi\s+nhánh)|\bmst\b|đkkd"
    r"|giấy\s+chứng\s+nhận|giấy\s+phép|mã\s+(?:vùng|số|hồ\s+sơ|vạch|đơn)|\bisbn\b|\bgtin\b"
    r"|t[oọ][ạa]\s+độ)"
    r"[^\d\n]{0,40}$",
    re.IGNORECASE,
)

_IDENTITY_WORD: Final = re.compile(
    r"(?<!\w)(?:cmnd|cmtnd|cmt|cccd|chứng\s+minh(?:\s+nhân\s+dân|\s+thư)?|căn\s+cước(?:\s+công\s+dân)?"
    r"|số\s+định\s+danh(?:\s+cá\s+nhân)?|hộ\s+chiếu|passport)(?!\w)[^\d\n.;]{0,40}?"
    r"(?=[A-Za-z]?\d)",
    re.IGNORECASE,
)
_IDENTITY_NUMBER: Final = re.compile(
    r"(?:0\d{2}(?:[ .]?\d{3}){3}|\d{12}|\d{9}|\d{3} \d{3} \d{3}|[A-Z]\d{7,8})(?![\w/@])(?![.,]\d)"
    + _NO_UNIT,
    re.IGNORECASE,
)
# Twelve digits as on the card: province 001-096, century and sex 0-3, two digits of the year.
_BARE_CARD: Final = re.compile(
    rf"{_LEFT}0(?:0[1-9]|[1-8]\d|9[0-6])[0-3]\d{{8}}{_RIGHT}" + _NO_UNIT, re.IGNORECASE
)

_BANK_WORD: Final = re.compile(
    r"(?<!\w)(?:số\s+(?:tài\s+khoản|tk)|(?:tài\s+khoản|tk)\s+số|stk|tài\s+khoản(?:\s+ngân\s+hàng)?(?=\s*:)"
    r"|tk(?=\s*:)|account(?:\s+(?:no|number))?)(?!\w)"
    r"(?:[ \t]*(?:số|là|của\s+[^\d\n.;]{1,40}|ngân\s+hàng|tại\s+[^\d\n.;]{1,40}"
    r"|[:.()\-–]|[A-Z][A-Za-z]{2,15}))*[ \t]*",
    re.IGNORECASE,
)
_BANK_NUMBER: Final = re.compile(
    r"\d(?:[ .\-]?\d){5,18}+(?![\w/@%])(?![.,]\d)" + _NO_UNIT, re.IGNORECASE
)

_TAX_WORD: Final = re.compile(
    r"(?<!\w)(?:mã\s+số\s+thuế|mst)(?P<person>(?:\s+thu\s+nhập)?\s+(?:cá\s+nhân|"
    r"của\s+(?:ông|bà|anh|chị)\s+[^\d\n.;:]{1,40}))?(?!\w)[ \t]*(?:số|là|:)?[ \t]*",
    re.IGNORECASE,
)
_TAX_NUMBER: Final = re.compile(r"(?:\d{12}|\d{10}(?:-\d{3})?)(?![\w/@])(?![.,]\d)")

_HOME_HINT: Final = re.compile(
    r"[Tt]rú|TRÚ|[Nn]gụ|NGỤ|[Hh]ộ khẩu|HỘ KHẨU|[Nn]hà (?:riêng|ông|bà|anh|chị)|chỉ nhà|HKT"
)
_HOME_WORD: Final = re.compile(
    r"(?<!\w)(?:thường\s+trú|tạm\s+trú|trú\s+quán|trú\s+(?:tại|ở)|cư\s+trú|trú|hkt?tt|hộ\s+khẩu(?:\s+thường"
    r"\s+trú)?|ngụ|nhà\s+riêng|nhà\s+(?:ông|bà|anh|chị)\s+[^\d\n.;,]{1,30}|địa\s+chỉ\s+nhà(?:\s+riêng)?"
    r")(?!\w)(?:[ \t]*(?:tại|ở|là|[:(]))*[ \t]*",
    re.IGNORECASE,
)
_NAME: Final = rf"(?-i:[{_UPPER}]\w*)(?:[ ](?-i:[{_UPPER}0-9]\w*)){{0,5}}"
_HOME_PART: Final = re.compile(
    rf"(?:(?:số\s+nhà|nhà\s+số|số|căn\s+hộ|phòng|lô)\s+[A-Z]?\d+[A-Z0-9]*(?:[/\-]\d+[A-Z]?)*"
    rf"|\d+[A-Z]?(?:/\d+[A-Z]?)*(?=\s*,?\s*(?:đường|phố|ngõ|ngách|hẻm|kiệt|đại\s+lộ|quốc\s+lộ|{_NAME}\s*,))"
    r"|(?:ngõ|ngách|hẻm|kiệt|tổ(?:\s+dân\s+phố)?|khu(?:\s+phố|\s+dân\s+cư)?|cụm|đội|xóm|thôn|ấp|bản|buôn"
    rf"|làng|tổ\s+nhân\s+dân|tdp|kp)\s+(?:số\s+)?(?:\d+\w*(?:/\d+\w*)*|{_NAME})"
    rf"|(?:đường|phố|đại\s+lộ)\s+(?:số\s+\d+|{_NAME}|\d+/\d+))(?!\w)",
    re.IGNORECASE,
)
_HOME_COMMA: Final = re.compile(r"\s*,?\s*(?:thuộc\s+)?")
_STREET_NAME: Final = re.compile(rf"\s*,?\s*{_NAME}(?=\s*,)")


def _set(words: str, sign: str = " ") -> frozenset[str]:
    return frozenset(words.split(sign))


_SURNAMES: Final = _set(
    "nguyễn trần lê phạm hoàng huỳnh phan vũ võ đặng bùi đỗ hồ ngô dương lý đinh đoàn trịnh mai"
    " đào cao lâm hà tạ lưu tô châu thái trương phùng quách kiều chu lương vương nông triệu hứa la"
    " tống từ khuất giang văn thạch đàm tăng tôn bạch nghiêm lã quản khổng ninh doãn thân lục vi"
    " hoa"
)
_PLACES: Final = _set(
    "hà nội,hà nam,hà giang,hà tĩnh,hồ chí minh,thái bình,thái nguyên,cao bằng,lâm đồng,hà tiên"
    ",đỗ xá,hồ tây,hà đông,lý sơn,đặng xá,mai châu,từ sơn,lục nam,lục ngạn,ninh bình,ninh thuận"
    ",giang thành,cao lãnh,dương nội",
    ",",
)
_WORD: Final = rf"[{_UPPER}][\w'’]*"
_PERSON: Final = rf"{_WORD}(?:[ ]{_WORD}){{0,3}}"
_LABELLED: Final = re.compile(
    r"^(?P<head>\(?\s*(?:(?:bài(?:\s+viết)?|tin|ảnh|clip|video|đồ\s+họa)(?:\s*(?:,|và|&|-|–)\s*(?:ảnh|clip"
    r"|video|tin|đồ\s+họa))*|thực\s+hiện|tác\s+giả|phóng\s+viên|nhóm\s+(?:pv|phóng\s+viên)|pv|người\s+viết"
    r"|biên\s+(?:tập|soạn)|tổng\s+hợp|lược\s+(?:ghi|dịch))\s*[:–-]\s*)"
    rf"(?P<name>(?-i:{_PERSON}(?:\s*(?:,|&|và|-|–)\s*{_PERSON}){{0,4}}))(?P<tail>\s*[).]*\s*)$",
    re.IGNORECASE,
)
_SIGNED: Final = re.compile(
    rf"^(?P<head>\(?\s*(?:[Tt]heo\s+|THEO\s+)?)(?P<name>{_PERSON}(?:\s*(?:,|&|-|–)\s*{_PERSON}){{0,3}})"
    r"(?P<tail>\s*(?:\((?:t/?h|tổng hợp|ghi|thực hiện)\)|\s*/\s*[\w .]{2,30})?\s*[).]*\s*)$"
)
_JOINTS: Final = re.compile(r"\s*(?:[,&–-]|\bvà\b)\s*")
_OUTLETS: Final = _set(
    "báo news media tạp đài truyền tv getty reuters times post online agency facebook công ban sở"
    " images guardian mail youtube twitter express thông kênh cục bộ trung hãng"
)
_LAST_LINES: Final = 3


def _digits(text: str) -> int:
    return sum(c.isdigit() for c in text)


def _grouped(text: str, least: int) -> bool:
    """Whether the digits stand in groups as people write them, not one by one."""
    groups = re.findall(r"\d+", text)
    return all(len(g) >= least for g in groups[1:]) and len(groups) <= 5


def _emails(text: str) -> Iterator[Span]:
    if "@" in text or "(" in text or "[" in text:
        for m in _EMAIL.finditer(text):
            yield Span(start=m.start(), end=m.end(), kind=Kind.EMAIL)


def _windows(text: str) -> Iterator[tuple[int, int]]:
    """Yield the stretches around long runs of digits; most of a text has none."""
    start = end = -1
    for m in _RUN.finditer(text):
        if m.start() - _BEFORE > end:
            if end >= 0:
                yield start, end
            start = max(0, m.start() - _BEFORE)
        end = min(len(text), m.end() + _BEHIND)
    if end >= 0:
        yield start, end


def _seen(text: str, pattern: re.Pattern[str], windows: Windows) -> Iterator[re.Match[str]]:
    for start, end in windows:
        yield from pattern.finditer(text, start, end)


def _after_word(
    text: str, windows: Windows, word: re.Pattern[str], number: re.Pattern[str], kind: Kind,
    fits: Callable[[str], bool],
) -> Iterator[Span]:  # fmt: skip
    for m in _seen(text, word, windows):
        found = number.match(text, m.end())
        if found and fits(found[0]):
            yield Span(start=found.start(), end=found.end(), kind=kind)


def _identities(text: str, windows: Windows) -> Iterator[Span]:
    def fits(number: str) -> bool:
        return not (_THOUSANDS.fullmatch(number))

    yield from _after_word(text, windows, _IDENTITY_WORD, _IDENTITY_NUMBER, Kind.IDENTITY, fits)
    for m in _seen(text, _BARE_CARD, windows):
        if not _REGISTERED.search(text[max(0, m.start() - 70) : m.start()]):
            yield Span(start=m.start(), end=m.end(), kind=Kind.IDENTITY)


def _banks(text: str, windows: Windows) -> Iterator[Span]:
    def fits(number: str) -> bool:
        return not _THOUSANDS.fullmatch(number) and not _PERIOD.fullmatch(number)

    yield from _after_word(text, windows, _BANK_WORD, _BANK_NUMBER, Kind.BANK, fits)


def _taxes(text: str, windows: Windows) -> Iterator[Span]:
    for m in _seen(text, _TAX_WORD, windows):
        found = _TAX_NUMBER.match(text, m.end())
        # Since July 2025 the twelve digits of a person's card are the tax code.
        if found and (m["person"] or _digits(found[0]) == 12):
            yield Span(start=found.start(), end=found.end(), kind=Kind.TAX)


def _phones(text: str, windows: Windows) -> Iterator[Span]:
    for m in _seen(text, _PHONE, windows):
        number, end = m[0], m.end()
        if number.count(")") > number.count("("):
            continue
        joint = re.search(r"[.\-–]", number)
        if joint and text[end : end + 2].startswith(joint[0]) and text[end + 1 : end + 2].isdigit():
            continue
        if not _grouped(number, 2) or _REGISTERED.search(text[max(0, m.start() - 70) : m.start()]):
            continue
        start = m.start() + (number.startswith("(") and ")" not in number)
        yield Span(start=start, end=end, kind=Kind.PHONE)
    for m in _seen(text, _PHONE_WORD, windows):
        at = m.end()
        for _ in range(4):
            found = _LOCAL.match(text, at)
            if found is None or not _is_local(found[0]):
                break
            yield Span(start=found.start(), end=found.end(), kind=Kind.PHONE)
            joint_ = _NEXT_LOCAL.match(text, found.end())
            if joint_ is None:
                break
            at = joint_.end()


def _is_local(number: str) -> bool:
    plain = number.lstrip("(+")
    return (
        7 <= _digits(number) <= 12
        and not _SHORT_NUMBER.match(plain)
        and not _THOUSANDS.fullmatch(number)
        and not _PERIOD.fullmatch(number)
        and (_digits(number) <= 9 or plain.startswith(("0", "84")))
    )


def _homes(text: str) -> Iterator[Span]:
    if not _HOME_HINT.search(text):
        return
    for m in _HOME_WORD.finditer(text):
        at, first, last = m.end(), -1, -1
        while found := _HOME_PART.match(text, at):
            first = found.start() if first < 0 else first
            last = found.end()
            if found[0][-1].isdigit() and (street := _STREET_NAME.match(text, last)):
                last = street.end()  # "số 12 Trần Phú, phường ..."
            comma = _HOME_COMMA.match(text, last)
            at = comma.end() if comma else last
        if first >= 0:
            yield Span(start=first, end=last, kind=Kind.ADDRESS)


def _line_spans(text: str) -> list[tuple[int, int]]:
    spans, at = [], 0
    for line in text.split("\n"):
        if line.strip():
            spans.append((at, at + len(line)))
        at += len(line) + 1
    return spans


def _is_name(name: str) -> bool:
    """Whether these capitalised words begin with a surname and are no place known to do so."""
    words = name.casefold().split()
    return 2 <= len(words) <= 4 and words[0] in _SURNAMES and " ".join(words) not in _PLACES


def _may_be_person(name: str) -> bool:
    """Whether the words behind "Ảnh:" may name somebody; agencies and newspapers do not."""
    words = name.split()
    shouted = name.isupper() and _is_name(name)
    return 2 <= len(words) <= 4 and (
        shouted or not any(w.isupper() or w.casefold() in _OUTLETS for w in words)
    )


def _authors(text: str) -> Iterator[Span]:
    lines = _line_spans(text)
    for start, end in lines[1:][-_LAST_LINES:]:
        line = text[start:end]
        if len(line) > 120:
            continue
        found = _LABELLED.match(line)
        if found and not any(_may_be_person(n) for n in _JOINTS.split(found["name"])):
            continue
        if found is None:
            found = _SIGNED.match(line)
            if found and not all(_is_name(n) for n in _JOINTS.split(found["name"])):
                found = None
        if found:
            at = start + found.start("name")
            yield Span(start=at, end=start + found.end("name"), kind=Kind.AUTHOR)


_NUMBERS: Final = (_identities, _banks, _taxes, _phones)


def find(text: str, *, signed: bool = False) -> list[Span]:
    """Return the personal data in ``text``, in order and without overlap.

    With ``signed`` the last lines are looked at for the author, as in the body of an article.
    """
    order = list(Kind)
    windows = list(_windows(text))
    every = [*_emails(text), *_homes(text)]
    for finder in _NUMBERS:
        every += finder(text, windows)
    if signed:
        every += _authors(text)
    every.sort(key=lambda s: (order.index(s.kind), s.start, -s.end))
    taken: list[Span] = []
    for span in every:
        if all(span.end <= t.start or span.start >= t.end for t in taken):
            taken.append(span)
    return sorted(taken, key=lambda s: s.start)


def redact(text: str, *, signed: bool = False) -> Redacted:
    """Return ``text`` with every find replaced by its mark; offsets count from the new text."""
    parts, at = [], 0
    counts: Counter[str] = Counter()
    for span in find(text, signed=signed):
        parts += [text[at : span.start], MARKS[span.kind]]
        at = span.end
        counts[str(span.kind)] += 1
    parts.append(text[at:])
    return Redacted(text="".join(parts), counts=dict(sorted(counts.items())))
