"""Quantities of Vietnamese text: value, unit, bound and place, and how two of them compare.

Own grammar with `Decimal`, because number libraries read ``3.600 tỷ`` as six hundred billion and
sixteen hundred. A date or a legal reference owns its digits, so that ``65,4%`` is no date and the
2023 of a law's name no number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final

from nlp.dates import DateKind, DateRelation, DateValue, date_values
from nlp.legal import LegalRef, legal_refs
from nlp.remembered import remembered

__all__ = [
    "Bound", "DateKind", "DateRelation", "DateValue", "Extraction", "LegalRef", "Quantity",
    "QuantityKind", "Relation", "compare", "extract",
]  # fmt: skip


class Bound(StrEnum):
    """How a value limits."""

    EXACT = "exact"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    MORE_THAN = "more_than"
    LESS_THAN = "less_than"
    ABOUT = "about"
    RANGE = "range"


class QuantityKind(StrEnum):
    """What is measured."""

    COUNT = "count"
    MONEY = "money"
    PERCENT = "percent"
    PERCENTAGE_POINT = "percentage_point"
    AREA = "area"
    MASS = "mass"
    LENGTH = "length"
    DURATION = "duration"
    TIMES = "times"
    ORDINAL = "ordinal"
    AGE = "age"
    BARE = "bare"


class Relation(StrEnum):
    """How one quantity stands to another of the same thing."""

    EQUAL = "equal"
    CONTRADICTS = "contradicts"
    NARROWER = "narrower"
    WIDER = "wider"
    OTHER_UNIT = "other_unit"
    UNRELATED = "unrelated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number with its unit; offsets span number, scale and unit.

    ``place`` is the value of the last digit that was written ("2,8 tỷ": 100,000,000), which says
    how far the figure may have been rounded. ``upper`` is set for ranges.
    """

    start: int
    end: int
    text: str
    kind: QuantityKind
    value: Decimal
    upper: Decimal | None
    unit: str
    bound: Bound
    modifier: str = ""
    place: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """Everything countable in a text; the spans of the three kinds do not overlap."""

    quantities: tuple[Quantity, ...]
    dates: tuple[DateValue, ...]
    legal_refs: tuple[LegalRef, ...]


# -- units -----------------------------------------------------------------------------------

_UNITS: Final[dict[str, tuple[QuantityKind, str]]] = {}


def _unit(kind: QuantityKind, canonical: str, *forms: str) -> None:
    for form in (canonical, *forms):
        _UNITS[form] = (kind, canonical)


_unit(QuantityKind.PERCENT, "%", "phần trăm")
_unit(QuantityKind.PERCENTAGE_POINT, "điểm phần trăm", "điểm %")
_unit(QuantityKind.MONEY, "đồng", "đ", "vnđ", "vnd", "đồng việt nam")
_unit(QuantityKind.MONEY, "USD", "usd", "đô la mỹ", "đô la", "đôla")
_unit(QuantityKind.AREA, "ha", "hecta", "héc ta", "héc-ta")
_unit(QuantityKind.AREA, "m2", "m²", "mét vuông", "m vuông")
_unit(QuantityKind.AREA, "km2", "km²", "ki lô mét vuông")
_unit(QuantityKind.AREA, "sào")
_unit(QuantityKind.MASS, "tấn")
_unit(QuantityKind.MASS, "tạ")
_unit(QuantityKind.MASS, "kg", "ki lô gam", "kilôgam", "cân", "ký")
_unit(QuantityKind.MASS, "g", "gam", "gram")
_unit(QuantityKind.LENGTH, "km", "ki lô mét", "cây số")
_unit(QuantityKind.LENGTH, "m", "mét")
_unit(QuantityKind.LENGTH, "cm")
_unit(QuantityKind.DURATION, "ngày làm việc")
_unit(QuantityKind.DURATION, "ngày")
_unit(QuantityKind.DURATION, "tuần")
_unit(QuantityKind.DURATION, "tháng")
_unit(QuantityKind.DURATION, "quý")
_unit(QuantityKind.DURATION, "năm")
_unit(QuantityKind.DURATION, "giờ", "tiếng")
_unit(QuantityKind.DURATION, "phút")
_unit(QuantityKind.AGE, "tuổi")
_unit(QuantityKind.TIMES, "lần")
_unit(QuantityKind.COUNT, "thành viên", "xã viên", "hội viên")
_unit(QuantityKind.COUNT, "liên hiệp hợp tác xã", "liên hiệp htx", "liên hiệp")
_unit(QuantityKind.COUNT, "tổ hợp tác")
_unit(QuantityKind.COUNT, "hợp tác xã", "htx")
_unit(QuantityKind.COUNT, "phiếu", "phiếu bầu", "phiếu biểu quyết", "lá phiếu")
_unit(QuantityKind.COUNT, "hộ", "hộ dân", "hộ gia đình")
_unit(QuantityKind.COUNT, "lao động", "người lao động")
_unit(QuantityKind.COUNT, "người")
_unit(QuantityKind.COUNT, "đại biểu")
_unit(QuantityKind.COUNT, "cá nhân")
_unit(QuantityKind.COUNT, "pháp nhân")
_unit(QuantityKind.COUNT, "tổ chức")
_unit(QuantityKind.COUNT, "doanh nghiệp")
_unit(QuantityKind.COUNT, "nhiệm kỳ")
for _noun in (
    "con", "cây", "xe", "tỉnh", "huyện", "thôn", "lớp", "dự án", "cơ sở", "sản phẩm", "học viên", "giám đốc",
    "kiểm soát viên", "kế toán", "cán bộ", "nông dân", "hộ nghèo", "chi nhánh", "cửa hàng", "điểm bán",
    "mô hình", "công trình", "hợp đồng", "hồ sơ", "bộ hồ sơ", "văn bản", "nghị quyết", "cuộc họp", "hội nghị",
    "trang trại", "nhà máy", "siêu thị", "nhà kho", "tài khoản", "bài viết", "vụ việc", "trường hợp", "địa phương",
    "quốc gia", "phụ lục", "phần mềm", "loại", "thị trường", "tiêu chí", "nhóm", "đơn vị", "đảng viên", "phụ nữ", "thanh niên", "bản", "làng",
    "suất", "gian hàng", "công ty", "ngân hàng", "kỳ họp", "chương", "điều khoản", "quỹ tín dụng nhân dân",
):  # fmt: skip
    _unit(QuantityKind.COUNT, _noun)
_UNIT: Final = "|".join(
    re.escape(u).replace(r"\ ", r"\s+") for u in sorted(_UNITS, key=len, reverse=True)
)
_MODIFIERS: Final = (
    r"chính\s+thức|liên\s+kết\s+không\s+góp\s+vốn|liên\s+kết\s+góp\s+vốn|liên\s+kết|nông\s+nghiệp|"
    r"phi\s+nông\s+nghiệp|trở\s+thành|sáng\s+lập|nước\s+ngoài|tham\s+dự|thường\s+xuyên|làm\s+việc"
)
_BASE: Final[dict[str, tuple[str, Decimal]]] = {
    "ha": ("m2", Decimal(10_000)),
    "m2": ("m2", Decimal(1)),
    "km2": ("m2", Decimal(1_000_000)),
    "tấn": ("kg", Decimal(1000)),
    "tạ": ("kg", Decimal(100)),
    "kg": ("kg", Decimal(1)),
    "g": ("kg", Decimal("0.001")),
    "km": ("m", Decimal(1000)),
    "m": ("m", Decimal(1)),
    "cm": ("m", Decimal("0.01")),
    "năm": ("tháng", Decimal(12)),
    "quý": ("tháng", Decimal(3)),
    "tháng": ("tháng", Decimal(1)),
    "tuần": ("ngày", Decimal(7)),
}
_PEOPLE: Final = frozenset({"người", "thành viên", "cá nhân", "đại biểu", "lao động"})

# -- numbers ---------------------------------------------------------------------------------

_SCALES: Final = {
    "trăm": Decimal(100), "nghìn": Decimal(1000), "ngàn": Decimal(1000), "vạn": Decimal(10_000),
    "triệu": Decimal(10) ** 6, "tỷ": Decimal(10) ** 9, "tỉ": Decimal(10) ** 9,
}  # fmt: skip
_WORDS: Final = {
    "không": 0, "một": 1, "mốt": 1, "hai": 2, "ba": 3, "bốn": 4, "tư": 4, "năm": 5, "lăm": 5,
    "nhăm": 5, "sáu": 6, "bảy": 7, "bẩy": 7, "tám": 8, "chín": 9,
}  # fmt: skip
_DIGITS: Final = (
    r"\d{1,3}(?:\.\d{3})+(?:,\d+)?(?![\d])|\d{1,3}(?:,\d{3}){2,}(?:\.\d+)?(?!\d)|\d+(?:[.,]\d+)?"
)
_SCALE: Final = r"nghìn\s+tỷ|nghìn\s+tỉ|ngàn\s+tỷ|ngàn\s+tỉ|triệu\s+tỷ|trăm\s+triệu|trăm\s+nghìn|trăm\s+ngàn|nghìn|ngàn|vạn|triệu|tỷ|tỉ"
_WORD: Final = r"một|mốt|hai|ba|bốn|tư|năm|lăm|nhăm|sáu|bảy|bẩy|tám|chín|mười|mươi|chục|trăm|linh|lẻ|nghìn|ngàn|vạn|triệu|tỷ|tỉ|rưỡi|không"
_NUMBER: Final = rf"(?:{_DIGITS})(?:\s?(?:{_SCALE})(?!\w)(?:\s+(?:rưỡi(?!\w)|\d+(?:,\d+)?\s+(?:{_SCALE})(?!\w)))?)?"
_WORDED: Final = rf"(?:{_WORD})(?!\w)(?:\s+(?:{_WORD})(?!\w)){{0,14}}"
_QUANTITY: Final = re.compile(
    r"(?<!\w)(?P<fraction>một\s+nửa|(?:một|hai|ba|bốn|năm|sáu|bảy|tám|chín)\s+phần\s+(?:hai|ba|tư|năm|sáu|bảy|tám|chín|mười)|hai\s+phần\s+ba|một\s+phần\s+(?:ba|tư|hai)|ba\s+phần\s+tư|quá\s+bán|quá\s+nửa)(?!\w)"
    rf"|(?<!\w)(?:hàng|cả|vài|mấy|dăm)\s+(?P<vague>chục|trăm|nghìn|ngàn|vạn|triệu|tỷ|tỉ)(?:\s+(?P<vague_scale>nghìn|ngàn|vạn|triệu|tỷ|tỉ))?"
    rf"\s+(?P<unit3>{_UNIT})(?!\w)"
    r"|(?<![\w/.,])(?P<over>[1-9]\d?)\s?/\s?(?P<under>[1-9]\d?)(?=\s+(?:tổng\s+số|số|thành\s+viên|xã\s+viên|đại\s+biểu|vốn|diện\s+tích|"
    r"hộ|phiếu|phần|trong\s+số|tài\s+sản|thu\s+nhập|lợi\s+nhuận|người|htx|hợp\s+tác\s+xã|doanh\s+thu|lao\s+động|quân\s+số)(?!\w))"
    rf"|(?<![\w.,/])(?P<low>{_NUMBER})(?:\s*\((?P<echo>[^()\d\x00]{{2,40}})\))?"
    rf"(?:\s?(?:[-–]|đến|tới)\s?(?P<high>{_NUMBER}))?"
    rf"(?:(?P<scale>\s+(?:{_SCALE})(?!\w)))?(?:(?P<gap>\s?)(?P<unit>{_UNIT})(?!\w)(?:\s+(?P<modifier>{_MODIFIERS})(?!\w))?)?"
    rf"|(?<!\w)(?P<words>{_WORDED})(?:\s+(?:đến|tới)\s+(?P<words_high>{_WORDED}))?"
    rf"\s+(?P<unit2>{_UNIT})(?!\w)(?:\s+(?P<modifier2>{_MODIFIERS})(?!\w))?"
    r"|(?<!\w)gấp\s+(?P<fold>đôi|ba|bốn|rưỡi|\d+(?:,\d+)?(?=\s+lần))(?:\s+lần)?(?!\w)",
    re.IGNORECASE,
)
_FRACTIONS: Final = {
    "một nửa": Decimal("0.5"), "quá bán": Decimal("0.5"), "quá nửa": Decimal("0.5"),
    "hai phần ba": Decimal(2) / 3, "một phần ba": Decimal(1) / 3, "một phần tư": Decimal("0.25"),
    "một phần hai": Decimal("0.5"), "ba phần tư": Decimal("0.75"),
}  # fmt: skip
_BEFORE_YEAR: Final = re.compile(
    r"(?<!\w)(?:mỗi|hằng|hàng|cả|trong|nhiều|vài|đầu|cuối|giữa|các|những|suốt|từng|mấy|quanh|hết|"
    r"thường|sang|qua|từ|đến|trước|sau|của|theo|vào|một|hai|ba|bốn|sáu|bảy|tám|chín|mười|mươi|\d)\s*$",
    re.IGNORECASE,
)


_GROUPED: Final = re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?")
_GROUPED_BY_COMMAS: Final = re.compile(r"\d{1,3}(?:,\d{3}){2,}(?:\.\d+)?")
_ONE_COMMA: Final = re.compile(r"[1-9]\d{0,2},\d{3}")
_SCALED: Final = re.compile(rf"(?P<n>{_DIGITS})\s?(?P<s>{_SCALE})?|rưỡi", re.IGNORECASE)
_SCALE_LAST: Final = re.compile(rf"(?:{_SCALE})\s*$", re.IGNORECASE)
_ORDINAL_BEFORE: Final = re.compile(r"(?:thứ|lần|số|kỳ|khóa|khoá|cấp|hạng|tập|vụ)\s+$")
_WORD_BEHIND: Final = re.compile(r"\s([^\W\d_]+)")
_CLAUSE_END: Final = re.compile(r"[,;:.!?()]\s")


def _plain_number(text: str, *, counted: bool) -> tuple[Decimal, Decimal]:
    """Return value and place of digits in Vietnamese or, where unambiguous, English format."""
    if _GROUPED.fullmatch(text):
        plain = text.replace(".", "").replace(",", ".")
    elif _GROUPED_BY_COMMAS.fullmatch(text):
        plain = text.replace(",", "")
    elif counted and _ONE_COMMA.fullmatch(text):
        plain = text.replace(",", "")  # "29,378 hợp tác xã": nobody counts thousandths
    else:
        plain = text.replace(",", ".")
    value = Decimal(plain)
    exponent = value.as_tuple().exponent
    place = Decimal(1).scaleb(int(exponent)) if isinstance(exponent, int) else Decimal(1)
    if place == 1 and value >= 1000:
        zeros = len(plain) - len(plain.rstrip("0"))
        place = Decimal(1).scaleb(zeros)
    return value, place


@remembered(4096)
def _scaled(text: str, *, counted: bool) -> tuple[Decimal, Decimal]:
    """Return value and place of digits with scale words: ``1 tỷ 200 triệu``, ``2 triệu rưỡi``."""
    total, place, last_scale = Decimal(0), Decimal(1), Decimal(1)
    for match in _SCALED.finditer(text):
        if match["n"] is None:
            total += last_scale / 2
            place = last_scale / 10
            continue
        scale = Decimal(1)
        for word in (match["s"] or "").lower().split():
            scale *= _SCALES[word]
        value, own_place = _plain_number(match["n"], counted=counted and scale == 1)
        total += value * scale
        place, last_scale = own_place * scale, scale
    return total, place


def _worded(text: str) -> tuple[Decimal, Decimal] | None:
    """Return value and place of a number in words, or None where the words are no number."""
    total, group, unit = Decimal(0), Decimal(0), None  # type: Decimal, Decimal, Decimal | None
    last = Decimal(1)
    for word in text.lower().split():
        if word in _WORDS:
            if unit is not None:
                return None
            unit = Decimal(_WORDS[word])
            continue
        if word in ("linh", "lẻ"):
            continue
        if word == "mười":
            if unit is not None:
                return None
            group += 10
            last = Decimal(10)
            continue
        if word in ("mươi", "chục"):
            if unit is None:
                return None
            group, unit, last = group + unit * 10, None, Decimal(10)
        elif word == "rưỡi":
            total += group + (unit or 0)
            return total + last / 2, last / 10
        elif word == "trăm":
            if unit is None:
                return None
            group, unit, last = group + unit * 100, None, Decimal(100)
        else:
            scale = _SCALES[word]
            group += unit or 0
            if not group and not total:
                return None
            if scale >= Decimal(10) ** 9 and not group:
                total *= scale
            else:
                total += group * scale
            group, unit, last = Decimal(0), None, scale
    if unit is not None and last > 10 and text.lower().split()[-2:-1] not in (["linh"], ["lẻ"]):
        short = text.lower().split()[-2:-1]
        if short and short[0] in _SCALES:  # "hai triệu tư", "một trăm hai"
            return total + group + unit * last / 10, last / 10
    return total + group + (unit or 0), Decimal(1)


# -- bounds ----------------------------------------------------------------------------------

_FILLER: Final = r"(?:\s+(?:là|phải|có|được|cũng|chỉ|đạt|bằng|gồm|tới|đến|mức|ở\s+mức|đủ|cả|tổng\s+số|từ|khoảng))*\s*$"
_PREFIXES: Final[tuple[tuple[Bound, re.Pattern[str]], ...]] = tuple(
    (bound, re.compile(rf"(?<!\w)(?:{words}){_FILLER}", re.IGNORECASE))
    for bound, words in (
        (Bound.AT_MOST, r"tối\s+đa|nhiều\s+nhất|không\s+(?:được\s+)?(?:vượt\s+)?quá|không\s+(?:cho\s+)?ai(?:\s+\w+){1,3}\s+quá|không\s+(?:được\s+)?vượt|"
                        r"chưa\s+(?:vượt\s+)?quá|cao\s+nhất|không\s+(?:nhiều\s+|cao\s+|lớn\s+)?hơn|chậm\s+nhất|"
                        r"mức\s+trần|trần|giới\s+hạn|khống\s+chế|dài\s+nhất|trong\s+vòng|trong\s+thời\s+hạn|"
                        r"được\s+(?:phép\s+)?(?:góp\s+)?(?:lên\s+)(?:đến|tới)|không\s+được\s+lớn\s+hơn"),
        (Bound.AT_LEAST, r"ít\s+nhất|tối\s+thiểu|không\s+(?:được\s+)?dưới|không\s+(?:được\s+)?ít\s+hơn|"
                         r"không\s+(?:được\s+)?thấp\s+hơn|chí\s+ít|thấp\s+nhất|từ\s+đủ|ngắn\s+nhất|"
                         r"không\s+(?:được\s+)?nhỏ\s+hơn"),
        (Bound.LESS_THAN, r"dưới|chưa\s+đến|chưa\s+tới|chưa\s+đầy|thấp\s+hơn|ít\s+hơn|nhỏ\s+hơn|không\s+đến|không\s+tới"),
        (Bound.MORE_THAN, r"hơn|trên|vượt\s+quá|vượt|nhiều\s+hơn|cao\s+hơn|lớn\s+hơn|quá"),
        (Bound.ABOUT, r"gần|khoảng|chừng|xấp\s+xỉ|ước\s+khoảng|ước\s+tính|ước|cỡ|độ|tầm|vào\s+khoảng|ngót|suýt\s+soát"),
        (Bound.AT_LEAST, r"chỉ\s+cần|cần\s+có|cần|phải\s+có|phải\s+đủ|phải\s+đạt|bắt\s+buộc\s+có|có\s+đủ|đủ|đòi\s+hỏi|yêu\s+cầu"),
    )
)  # fmt: skip
_SUFFIXES: Final[tuple[tuple[Bound, re.Pattern[str]], ...]] = (
    (Bound.AT_LEAST, re.compile(r"\s*(?:[^\s,.;]+\s+){0,4}?(?:trở\s+lên|là\s+tối\s+thiểu|là\s+ít\s+nhất)(?!\w)", re.I)),
    (Bound.AT_MOST, re.compile(r"\s*(?:[^\s,.;]+\s+){0,4}?(?:trở\s+xuống|là\s+tối\s+đa|là\s+nhiều\s+nhất|là\s+cùng)(?!\w)", re.I)),
)  # fmt: skip


_LETTER: Final = re.compile(r"[^\W\d_]")


def _bound(text: str, start: int, end: int) -> Bound:
    before = text[max(0, start - 48) : start]
    if _LETTER.search(before):  # a column of bare figures has no bounds to look for
        clause = _CLAUSE_END.split(before)[-1]
        for bound, pattern in _PREFIXES:
            if pattern.search(clause):
                return bound
    after = text[end : end + 60]
    if _LETTER.search(after):
        for bound, pattern in _SUFFIXES:
            if pattern.match(after):
                return bound
    return Bound.EXACT


# -- extraction ------------------------------------------------------------------------------


def extract(text: str, *, published: date | None = None) -> Extraction:
    """Return quantities, dates and legal references of ``text``, with offsets into it.

    ``published`` resolves relative dates. Legal references own their digits before dates do, and
    dates before quantities.
    """
    refs = legal_refs(text)
    hidden = _hide(text, [(r.start, r.end) for r in refs])
    dates = date_values(hidden, published=published)
    hidden = _hide(hidden, [(d.start, d.end) for d in dates])
    dates = tuple(d for d in dates if d.text.strip())
    quantities = _all_quantities(hidden, text)
    return Extraction(quantities=quantities, dates=dates, legal_refs=refs)


@remembered(4096)  # a sentence is read several times, the dates of it by another day each
def _all_quantities(hidden: str, text: str) -> tuple[Quantity, ...]:
    return _ranges(text, list(_quantities(hidden, text)))


_UP_TO: Final = re.compile(r"\s*(?:đến|tới|-|–)\s*", re.IGNORECASE)
_FROM: Final = re.compile(r"(?<!tăng\s)(?<!giảm\s)(?<!\w)từ\s+$", re.IGNORECASE)


def _ranges(text: str, found: list[Quantity]) -> tuple[Quantity, ...]:
    """Join "từ 5 triệu đồng đến 10 triệu đồng" to one range; "tăng từ" names two figures."""
    out: list[Quantity] = []
    for quantity in found:
        low = out[-1] if out else None
        if (
            low is not None
            and low.unit == quantity.unit != ""
            and low.upper is None
            and quantity.upper is None
            and low.value < quantity.value
            and _UP_TO.fullmatch(text[low.end : quantity.start])
            and _FROM.search(text[max(0, low.start - 10) : low.start])
        ):
            out[-1] = replace(
                low,
                end=quantity.end,
                text=text[low.start : quantity.end],
                upper=quantity.value,
                bound=Bound.RANGE,
            )
        else:
            out.append(quantity)
    return tuple(out)


def _hide(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """Return ``text`` with spans blotted out at the same length, so that nothing matches there."""
    parts, at = [], 0
    for start, end in spans:
        parts += [text[at:start], "\x00" * (end - start)]
        at = end
    return "".join([*parts, text[at:]])


def _quantities(hidden: str, text: str) -> Iterator[Quantity]:
    last = -1
    for match in _QUANTITY.finditer(hidden):
        found = _read(match, hidden)
        if found is None:
            continue
        per = (
            bool(match["words"])
            and found[2] == 1
            and not hidden[max(0, last) : match.start()].strip()
        )
        if last >= 0 and per:
            continue  # "2 triệu đồng một năm": the year is what the money is for
        last = match.end()
        kind, unit, value, upper, place, bound, modifier = found
        yield Quantity(
            start=match.start(),
            end=match.end(),
            text=text[match.start() : match.end()],
            kind=kind,
            value=value,
            upper=upper,
            unit=unit,
            bound=bound,
            modifier=modifier,
            place=place,
        )


_Parts = tuple[QuantityKind, str, Decimal, Decimal | None, Decimal, Bound, str]


def _read(match: re.Match[str], hidden: str) -> _Parts | None:
    if match["fraction"]:
        word = " ".join(match["fraction"].lower().split())
        bound = Bound.MORE_THAN if word.startswith("quá") else _bound(hidden, *match.span())
        if word not in _FRACTIONS:
            above, _, below = word.partition(" phần ")
            part = Decimal(_WORDS[above]) / Decimal(_WORDS.get(below, 10)) * 100
            return (
                QuantityKind.PERCENT,
                "%",
                part,
                None,
                Decimal(1),
                _bound(hidden, *match.span()),
                "",
            )
        return QuantityKind.PERCENT, "%", _FRACTIONS[word] * 100, None, Decimal(1), bound, ""
    if match["fold"]:
        word = match["fold"].lower()
        named = {"đôi": "2", "ba": "3", "bốn": "4", "rưỡi": "1.5"}
        value = Decimal(named.get(word, word.replace(",", ".")))
        return QuantityKind.TIMES, "lần", value, None, Decimal(1), Bound.EXACT, ""
    if match["over"]:
        over, under = Decimal(match["over"]), Decimal(match["under"])
        if over >= under:
            return None
        bound = _bound(hidden, *match.span())
        return QuantityKind.PERCENT, "%", over / under * 100, None, Decimal(1), bound, ""
    if match["vague"]:
        return _read_vague(match)
    if match["words"]:
        return _read_words(match, hidden)
    return _read_digits(match, hidden)


def _kind_of(form: str | None) -> tuple[QuantityKind, str]:
    if not form:
        return QuantityKind.BARE, ""
    return _UNITS[" ".join(form.lower().split())]


def _read_vague(match: re.Match[str]) -> _Parts:
    """Read "hàng trăm", "vài chục nghìn" as the range that a reader takes it for."""
    step = Decimal(10) if match["vague"].lower() == "chục" else _SCALES[match["vague"].lower()]
    if match["vague_scale"]:
        step *= _SCALES[match["vague_scale"].lower()]
    few = match[0].split()[0].lower() in ("vài", "mấy", "dăm")
    kind, unit = _kind_of(match["unit3"])
    return kind, unit, step * 2 if few else step, step * 10, step, Bound.RANGE, ""


def _read_words(match: re.Match[str], hidden: str) -> _Parts | None:
    words = match["words"]
    before = hidden[max(0, match.start() - 16) : match.start()]
    low = words.lower().split()
    may_be_year = low[0] == "năm" and low[1:2] not in [
        [w] for w in ("mươi", "trăm", "chục", *_SCALES)
    ]
    ranged = low == ["năm"] and bool(match["words_high"])
    if may_be_year and not ranged and _BEFORE_YEAR.search(before):
        return None  # "mỗi năm hợp tác xã ..."
    if low[0] in ("không", "trăm", "mươi", "chục", "rưỡi", "linh", "lẻ", "mốt", "lăm", "nhăm"):
        return None
    if low == ["tư"] or (low == ["ba"] and before.rstrip().lower().endswith(("ông", "bà"))):
        return None
    value = _worded(words)
    if value is None:
        return None
    kind, unit = _kind_of(match["unit2"])
    bound = _bound(hidden, *match.span())
    if value[0] == 1 and bound is Bound.EXACT and kind is QuantityKind.COUNT and unit != "phiếu":
        return None  # "một hợp tác xã" is an article, not a count
    upper = _worded(match["words_high"]) if match["words_high"] else None
    modifier = " ".join((match["modifier2"] or "").lower().split())
    if upper:
        return kind, unit, value[0], upper[0], value[1], Bound.RANGE, modifier
    return kind, unit, value[0], None, value[1], bound, modifier


def _read_digits(match: re.Match[str], hidden: str) -> _Parts | None:
    kind, unit = _kind_of(match["unit"])
    if match["unit"] and not match["gap"] and len(match["unit"]) > 3:
        kind, unit = QuantityKind.BARE, ""
    counted = kind is QuantityKind.COUNT and not match["scale"]
    value, place = _scaled(match["low"], counted=counted)
    upper = None
    if match["high"]:
        upper, place = _scaled(match["high"], counted=counted)
        low_scaled = re.search(r"[^\W\d]", match["low"])
        high_scale = _SCALE_LAST.search(match["high"])
        if high_scale and not low_scaled:  # "2-3 triệu"
            for word in high_scale[0].lower().split():
                value *= _SCALES[word]
    if match["scale"]:
        for word in match["scale"].lower().split():
            value, place = value * _SCALES[word], place * _SCALES[word]
            upper = upper * _SCALES[word] if upper is not None else None
    modifier = " ".join(match["modifier"].lower().split()) if match["modifier"] else ""
    if kind is QuantityKind.BARE:
        before = hidden[max(0, match.start() - 12) : match.start()].lower()
        if _ORDINAL_BEFORE.search(before):
            kind = QuantityKind.ORDINAL
    if kind is QuantityKind.BARE:
        following = _WORD_BEHIND.match(hidden[match.end() : match.end() + 20])
        if following and following[1].lower() not in _NOT_COUNTED and following[1].islower():
            unit = following[1].lower()
    if upper is not None and upper > value:
        return kind, unit, value, upper, place, Bound.RANGE, modifier
    return kind, unit, value, None, place, _bound(hidden, *match.span()), modifier


_NOT_COUNTED: Final = frozenset(
    [
        "là",
        "và",
        "của",
        "thì",
        "ở",
        "tại",
        "trong",
        "đến",
        "trở",
        "so",
        "với",
        "cho",
        "từ",
        "hoặc",
        "nhưng",
        "đã",
        "được",
        "đang",
        "sẽ",
        "cũng",
        "như",
        "khi",
        "nếu",
        "mà",
        "để",
        "do",
        "vì",
        "trên",
        "dưới",
        "hơn",
        "bằng",
        "còn",
        "nên",
        "này",
        "đó",
        "ấy",
        "kia",
        "theo",
        "về",
        "ra",
        "vào",
        "lên",
        "xuống",
    ]
)

# -- comparison ------------------------------------------------------------------------------

_LOWER: Final = (Bound.AT_LEAST, Bound.MORE_THAN)
_UPPER: Final = (Bound.AT_MOST, Bound.LESS_THAN)
_SLACK: Final = Decimal("0.10")
"""How far above "hơn X" a figure may lie and still be called that; "gần" and "khoảng" allow half."""


def in_base(quantity: Quantity) -> tuple[str, Decimal]:
    """Return the base unit of a quantity and how many of it one of its own unit is."""
    return _BASE.get(quantity.unit, (quantity.unit, Decimal(1)))


def compare(a: Quantity, b: Quantity) -> Relation:
    """Return how ``a`` stands to ``b``, both said of the same thing.

    Rounding: two plain figures are equal when the coarser is the finer rounded to its last written
    digit. "Hơn X" covers figures up to a tenth above X, "gần" and "khoảng" a twentieth around it.
    Bounds: two limits of one direction agree only at the same threshold; a plain figure inside a
    limit is narrower, outside it contradicts.
    """
    if a.kind is not b.kind and not {a.kind, b.kind} <= {QuantityKind.COUNT, QuantityKind.BARE}:
        return Relation.UNRELATED
    (unit_a, factor_a), (unit_b, factor_b) = in_base(a), in_base(b)
    if unit_a != unit_b and not {unit_a, unit_b} <= _PEOPLE:
        return Relation.OTHER_UNIT
    x, y = a.value * factor_a, b.value * factor_b
    place = max(a.place * factor_a, b.place * factor_b)
    if a.bound is Bound.RANGE or b.bound is Bound.RANGE:
        return _compare_ranges(a, b, factor_a, factor_b)
    if a.bound in _LOWER + _UPPER and b.bound in _LOWER + _UPPER:
        return _compare_limits(a, b, x, y)
    if a.bound in (Bound.EXACT, Bound.ABOUT) and b.bound in (Bound.EXACT, Bound.ABOUT):
        about = Bound.ABOUT in (a.bound, b.bound)
        return Relation.EQUAL if _same(x, y, place, about=about) else Relation.CONTRADICTS
    if b.bound in (Bound.EXACT, Bound.ABOUT):
        return _mirror(_figure_in_limit(y, x, a.bound, place))
    return _figure_in_limit(x, y, b.bound, place)


def _same(x: Decimal, y: Decimal, place: Decimal, *, about: bool) -> bool:
    if x == y:
        return True
    if about:
        return abs(x - y) <= max(abs(x), abs(y)) * _SLACK / 2
    small = (
        place <= 1 and max(abs(x), abs(y)) < 1000 and x == x.to_integral() and y == y.to_integral()
    )
    return not small and abs(x - y) <= place / 2


def _figure_in_limit(figure: Decimal, limit: Decimal, bound: Bound, place: Decimal) -> Relation:
    """Return how a plain figure stands to a limit."""
    inside = {
        Bound.AT_LEAST: figure >= limit,
        Bound.MORE_THAN: figure >= limit,
        Bound.AT_MOST: figure <= limit,
        Bound.LESS_THAN: figure <= limit,
    }[bound]
    if not inside:
        return Relation.CONTRADICTS
    loose = bound is Bound.MORE_THAN and limit <= figure <= limit * (1 + _SLACK)
    tight = bound is Bound.LESS_THAN and limit * (1 - _SLACK) <= figure <= limit
    large = limit >= 100  # "hơn 33.000" describes a figure; "trên 50" is a limit
    return Relation.EQUAL if large and (loose or tight) else Relation.NARROWER


def _mirror(relation: Relation) -> Relation:
    return {Relation.NARROWER: Relation.WIDER, Relation.WIDER: Relation.NARROWER}.get(
        relation, relation
    )


def _compare_limits(a: Quantity, b: Quantity, x: Decimal, y: Decimal) -> Relation:
    same_way = (a.bound in _LOWER) == (b.bound in _LOWER)
    if same_way:
        return Relation.EQUAL if x == y else Relation.CONTRADICTS
    return Relation.CONTRADICTS if x == y else Relation.UNRELATED


def _compare_ranges(a: Quantity, b: Quantity, factor_a: Decimal, factor_b: Decimal) -> Relation:
    if a.bound is not Bound.RANGE:
        return _mirror(_compare_ranges(b, a, factor_b, factor_a))
    low, high = a.value * factor_a, (a.upper or a.value) * factor_a
    if b.bound is Bound.RANGE:
        same = (low, high) == (b.value * factor_b, (b.upper or b.value) * factor_b)
        return Relation.EQUAL if same else Relation.CONTRADICTS
    y = b.value * factor_b
    if b.bound in _LOWER:
        return Relation.NARROWER if y == low else Relation.CONTRADICTS
    if b.bound in _UPPER:
        return Relation.NARROWER if y == high else Relation.CONTRADICTS
    return Relation.WIDER if low <= y <= high else Relation.CONTRADICTS
