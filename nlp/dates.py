"""Dates, months, quarters, years and periods, absolute and relative, with what relates to them."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final


class DateKind(StrEnum):
    """How fine a date is."""

    DAY = "day"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    PERIOD = "period"


class DateRelation(StrEnum):
    """How the sentence relates to the date."""

    ON = "on"
    FROM = "from"
    BEFORE = "before"
    UNTIL = "until"
    AFTER = "after"
    ABOUT = "about"


@dataclass(frozen=True, slots=True, kw_only=True)
class DateValue:
    """A date with its first and last day.

    ``resolved`` is false where the day depends on something unknown (no publication day for "hôm
    qua", a lunar date); first and last then span all time.
    """

    start: int
    end: int
    text: str
    kind: DateKind
    first: date
    last: date
    relation: DateRelation
    resolved: bool


_Found = tuple[int, int, DateKind, date, date, bool]
_ROMAN: Final = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "1": 1, "2": 2, "3": 3, "4": 4}
_D: Final = r"(?P<d>0?[1-9]|[12]\d|3[01])"
_M: Final = r"(?P<m>0?[1-9]|1[0-2])"
_COUNT: Final = r"(?:\d{1,2}|một|hai|ba|bốn|năm|sáu|bảy|tám|chín|mười)"
_COUNTED: Final = re.compile(
    r"(?:\d|(?<!\w)(?:một|hai|ba|bốn|năm|sáu|bảy|tám|chín|mười|mươi|vài|mấy|nhiều))\s+$",
    re.IGNORECASE,
)
"""Before "năm sau", "tháng trước": a span of time, and no name of a year."""
_Y: Final = r"(?P<y>(?:19|20)\d\d)"
_RELATION: Final = re.compile(
    r"(?<!\w)(?P<word>kể\s+từ|tính\s+từ|bắt\s+đầu\s+từ|từ\s+sau|từ|đến\s+trước|trước|sau|tính\s+đến|"
    r"cho\s+đến|đến\s+hết|hết|cho\s+tới|đến|tới|khoảng)"
    r"(?:\s+(?:ngày|tháng|năm|đầu|cuối|giữa|hết|mốc|thời\s+điểm))*\s*$",
    re.IGNORECASE,
)
_DIGIT: Final = re.compile(r"\d")
_RELATIONS: Final = {
    "kể từ": DateRelation.FROM, "tính từ": DateRelation.FROM, "bắt đầu từ": DateRelation.FROM,
    "từ": DateRelation.FROM, "từ sau": DateRelation.AFTER, "đến trước": DateRelation.BEFORE,
    "trước": DateRelation.BEFORE, "sau": DateRelation.AFTER, "khoảng": DateRelation.ABOUT,
}  # fmt: skip


def _month(year: int, month: int) -> tuple[date, date]:
    return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])


def _year(year: int) -> tuple[date, date]:
    return date(year, 1, 1), date(year, 12, 31)


def _nearest_year(day: int, month: int, published: date) -> date | None:
    """Return the day with that number nearest to the publication day."""
    candidates = []
    for year in (published.year - 1, published.year, published.year + 1):
        try:
            candidates.append(date(year, month, day))
        except ValueError:
            continue
    return min(candidates, key=lambda c: abs((c - published).days), default=None)


_Read = Callable[[re.Match[str], date | None], tuple[DateKind, date, date] | None]


def _day(match: re.Match[str], published: date | None) -> tuple[DateKind, date, date] | None:
    year = match.groupdict().get("y")
    try:
        if year:
            found: date | None = date(int(year), int(match["m"]), int(match["d"]))
        elif published:
            found = _nearest_year(int(match["d"]), int(match["m"]), published)
        else:
            return None
    except ValueError:
        return None
    return (DateKind.DAY, found, found) if found else None


def _of_month(match: re.Match[str], published: date | None) -> tuple[DateKind, date, date] | None:
    year = match.groupdict().get("y")
    if year:
        return (DateKind.MONTH, *_month(int(year), int(match["m"])))
    if published is None:
        return None
    near = _nearest_year(15, int(match["m"]), published)
    return (DateKind.MONTH, *_month(near.year, near.month)) if near else None


def _of_quarter(match: re.Match[str], published: date | None) -> tuple[DateKind, date, date] | None:
    year = int(match["y"]) if match["y"] else (published.year if published else 0)
    if not year:
        return None
    # "İ" matches "i", and is two signs in lower case.
    roman = match["q"].lower().replace("\u0307", "")
    first = 3 * (_ROMAN[roman] - 1) + 1
    return DateKind.QUARTER, date(year, first, 1), _month(year, first + 2)[1]


def _of_months(match: re.Match[str], published: date | None) -> tuple[DateKind, date, date] | None:
    year = int(match["y"]) if match["y"] else (published.year if published else 0)
    count = int(match["n"])
    if not year or not 1 <= count <= 12:
        return None
    if match["part"].lower() == "đầu":
        return DateKind.PERIOD, date(year, 1, 1), _month(year, count)[1]
    return DateKind.PERIOD, date(year, 13 - count, 1), date(year, 12, 31)


def _of_period(match: re.Match[str], published: date | None) -> tuple[DateKind, date, date] | None:
    first, last = int(match["y"]), int(match["z"])
    return (DateKind.PERIOD, date(first, 1, 1), date(last, 12, 31)) if first <= last else None


def _of_year(match: re.Match[str], published: date | None) -> tuple[DateKind, date, date] | None:
    groups = match.groupdict()
    word = " ".join((groups.get("rel") or "").lower().split())
    if groups.get("y"):
        year = int(match["y"])
    elif published is None:
        return None
    else:
        year = published.year + {"nay": 0, "này": 0, "ngoái": -1, "trước": -1, "qua": -1, "kia": -2,
                                 "sau": 1, "tới": 1}[word]  # fmt: skip
    part = " ".join((groups.get("part") or "").lower().split())
    if part == "đầu":
        return DateKind.PERIOD, date(year, 1, 1), date(year, 3, 31)
    if part == "giữa":
        return DateKind.PERIOD, date(year, 5, 1), date(year, 8, 31)
    if part == "cuối":
        return DateKind.PERIOD, date(year, 10, 1), date(year, 12, 31)
    return (DateKind.YEAR, *_year(year))


def _of_relative(
    match: re.Match[str], published: date | None
) -> tuple[DateKind, date, date] | None:
    if published is None:
        return None
    word = " ".join(match[0].lower().split())
    days = {
        "hôm nay": 0,
        "sáng nay": 0,
        "chiều nay": 0,
        "hôm qua": -1,
        "hôm kia": -2,
        "ngày mai": 1,
    }
    if word in days:
        day = published + timedelta(days=days[word])
        return DateKind.DAY, day, day
    if word.startswith("tuần"):
        monday = published - timedelta(days=published.weekday())
        shift = {"tuần này": 0, "tuần trước": -7, "tuần qua": -7, "tuần rồi": -7, "tuần tới": 7,
                 "tuần sau": 7}[word]  # fmt: skip
        first = monday + timedelta(days=shift)
        return DateKind.PERIOD, first, first + timedelta(days=6)
    index = published.year * 12 + published.month - 1
    index += {"tháng này": 0, "tháng trước": -1, "tháng qua": -1, "tháng rồi": -1, "tháng tới": 1,
              "tháng sau": 1}[word]  # fmt: skip
    return (DateKind.MONTH, *_month(index // 12, index % 12 + 1))


_COUNTS: Final = {"một": 1, "hai": 2, "ba": 3, "bốn": 4, "năm": 5, "sáu": 6, "bảy": 7, "tám": 8,
                  "chín": 9, "mười": 10}  # fmt: skip


def _ago(match: re.Match[str], published: date | None) -> tuple[DateKind, date, date] | None:
    """Read "cách đây 3 năm", "hai tháng trước"; the unit says how fine the day is known."""
    if published is None:
        return None
    word = (match["n"] or match["n2"]).lower()
    count = _COUNTS.get(word) or int(word)
    unit = (match["unit"] or match["unit2"]).lower()
    if unit == "năm":
        year = published.year - count
        return (DateKind.YEAR, *_year(year)) if year >= 1900 else None
    if unit == "tháng":
        index = published.year * 12 + published.month - 1 - count
        return (DateKind.MONTH, *_month(index // 12, index % 12 + 1)) if index > 22800 else None
    day = published - timedelta(days=count * (7 if unit == "tuần" else 1))
    return DateKind.DAY, day, day


def _until_now(match: re.Match[str], published: date | None) -> tuple[DateKind, date, date] | None:
    first = date(int(match["y"]), 1, 1)
    if published is None or first > published:
        return None
    return DateKind.PERIOD, first, published


def _of_decade(match: re.Match[str], published: date | None) -> tuple[DateKind, date, date]:
    year = int(match["y"])
    return DateKind.PERIOD, date(year, 1, 1), date(year + 9, 12, 31)


def _never(match: re.Match[str], published: date | None) -> None:
    """A lunar date has no day without a lunar calendar."""


_PATTERNS: Final[tuple[tuple[re.Pattern[str], DateKind, _Read, bool, frozenset[str]], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind, read, digit, frozenset(needs))
    for pattern, kind, read, digit, needs in (
        (r"(?<!\w)(?:(?:mùng|mồng|ngày)\s+\d{1,2}|rằm)\s+tháng\s+(?:giêng|chạp|\d{1,2}\s+âm\s+lịch)(?!\w)"
         r"|(?<!\w)tháng\s+(?:giêng|chạp)(?!\w)|(?<!\w)(?:mùng|mồng)\s+\d{1,2}\s+tết(?!\w)"
         r"|(?<!\w)ngày\s+\d{1,2}[/.-]\d{1,2}\s+âm\s+lịch(?!\w)", DateKind.DAY, _never, False, ("giêng", "chạp", "âm lịch", "mùng", "mồng", "rằm")),
        (rf"(?<![\w/.,])(?:ngày\s+)?{_D}\s?[/.\-]\s?{_M}\s?[/.\-]\s?{_Y}(?![\w/])", DateKind.DAY, _day, True, ()),
        (rf"(?<!\w)(?:ngày\s+|mùng\s+|mồng\s+)?{_D}\s+tháng\s+{_M}\s*,?\s*năm\s+{_Y}(?!\w)", DateKind.DAY, _day, True, ("tháng",)),
        (rf"(?<!\w)(?:ngày|mùng|mồng)\s+{_D}\s+tháng\s+{_M}(?![\w/])", DateKind.DAY, _day, True, ("tháng",)),
        (rf"(?<!\w)(?:ngày|sáng|chiều|tối|trưa|đêm|hôm)\s+{_D}\s?[/\-]\s?{_M}(?![\w/%,.]\d|[\w/])", DateKind.DAY, _day, True, ("ngày", "sáng", "chiều", "tối", "trưa", "đêm", "hôm")),
        (rf"(?<!\w)tháng\s+{_M}\s*(?:/|-|\s+năm\s+)\s*{_Y}(?!\w)", DateKind.MONTH, _of_month, True, ("tháng",)),
        (rf"(?<![\w/.,]){_M}/{_Y}(?![\w/])", DateKind.MONTH, _of_month, True, ("/",)),
        (rf"(?<!\w)quý\s+(?P<q>iv|iii|ii|i|[1-4])(?:\s*(?:/|-|\s+năm)\s*{_Y})?(?!\w)", DateKind.QUARTER, _of_quarter, False, ("quý",)),
        (rf"(?<!\w)(?P<n>\d{{1,2}})\s+tháng\s+(?P<part>đầu|cuối)\s+năm(?:\s+{_Y}|\s+nay)?(?!\w)", DateKind.PERIOD, _of_months, True, ("tháng",)),
        (rf"(?<!\w)từ\s+(?:năm\s+)?{_Y}\s+(?:đến|tới)\s+nay(?!\w)", DateKind.PERIOD, _until_now, True, ("nay",)),
        (r"(?<!\w)(?:thập\s+niên|thập\s+kỷ|những\s+năm|các\s+năm)\s+(?P<y>(?:19|20)\d0)(?![\w/-])", DateKind.PERIOD, _of_decade, True, ("thập", "năm")),
        (rf"(?<!\w)(?:cách\s+đây\s+(?P<n>{_COUNT})\s+(?P<unit>năm|tháng|tuần|ngày)"
         rf"|(?P<n2>{_COUNT})\s+(?P<unit2>năm|tháng|tuần|ngày)\s+trước)(?!\s+(?:đó|khi|ngày|thời|lúc|hạn))(?!\w)", DateKind.PERIOD, _ago, False, ("cách đây", "trước")),
        (rf"(?<!\w)(?:giai\s+đoạn|thời\s+kỳ|nhiệm\s+kỳ|những\s+năm|(?<!\d\s)năm)?\s*(?<![\d/.,-]){_Y}\s?[-–]\s?(?P<z>(?:19|20)\d\d)(?![\w/-])", DateKind.PERIOD, _of_period, True, ("19", "20")),
        (rf"(?<!\w)từ\s+năm\s+{_Y}\s+(?:đến|tới)\s+(?:năm\s+)?(?P<z>(?:19|20)\d\d)(?!\w)", DateKind.PERIOD, _of_period, True, ("năm",)),
        (rf"(?<!\w)(?:(?P<part>đầu|giữa|cuối)\s+)?năm\s+{_Y}(?![\w/-])", DateKind.YEAR, _of_year, True, ("năm",)),
        (r"(?<!\w)(?:(?P<part>đầu|giữa|cuối)\s+)?năm\s+(?P<rel>nay|này|ngoái|trước|qua|kia|sau|tới)(?!\w)", DateKind.YEAR, _of_year, False, ("năm",)),
        (r"(?<!\w)tháng\s+(?P<m>0?[1-9]|1[0-2])(?!\s*(?:tuổi|năm\s+tuổi|lần|âm)|[\w/.,]\d|\w)", DateKind.MONTH, _of_month, True, ("tháng",)),
        (r"(?<!\w)(?:hôm\s+nay|sáng\s+nay|chiều\s+nay|hôm\s+qua|hôm\s+kia|ngày\s+mai|"
         r"tuần\s+(?:này|trước|qua|rồi|tới|sau)|tháng\s+(?:này|trước|qua|rồi|tới|sau))(?!\w)", DateKind.DAY, _of_relative, False, ("nay", "qua", "kia", "mai", "tuần", "tháng")),
    )
)  # fmt: skip
_NEEDED: Final = tuple(sorted({word for *_, words in _PATTERNS for word in words}))


def _relation(text: str, start: int) -> DateRelation:
    before = _RELATION.search(text[max(0, start - 40) : start])
    if before is None:
        return DateRelation.ON
    word = " ".join(before["word"].lower().split())
    return _RELATIONS.get(word, DateRelation.UNTIL)


def date_values(text: str, *, published: date | None = None) -> tuple[DateValue, ...]:
    """Return the dates of ``text`` in order; the finer pattern owns its span."""
    taken = bytearray(len(text))
    found = sorted(_matches(text, taken, published))
    return tuple(
        DateValue(
            start=start,
            end=end,
            text=text[start:end],
            kind=kind,
            first=first,
            last=last,
            relation=DateRelation.FROM
            if kind is DateKind.PERIOD and text[start:end].lower().startswith("từ")
            else _relation(text, start),
            resolved=resolved,
        )
        for start, end, kind, first, last, resolved in found
    )


def _matches(text: str, taken: bytearray, published: date | None) -> Iterator[_Found]:
    for start, end in _lines(text):
        line = text[start:end].lower()
        digit = _DIGIT.search(line) is not None
        # Fifteen searches cost much more than asking for the word that each needs.
        absent = frozenset([word for word in _NEEDED if word not in line])
        for pattern, kind, read, needs_digit, words in _PATTERNS:
            if (needs_digit and not digit) or (words and words <= absent):
                continue
            yield from _matches_of(pattern, kind, read, text, start, end, taken, published)


def _is_span(match: re.Match[str], text: str, start: int) -> bool:
    """Return whether "4 năm sau" was met, which counts years and names none."""
    if match[0].strip()[:1] in "0123456789" or match.groupdict().get("y"):
        return False
    return _COUNTED.search(text[max(0, start - 8) : start]) is not None


def _lines(text: str) -> Iterator[tuple[int, int]]:
    at = 0
    for line in text.split("\n"):
        if line:
            yield at, at + len(line)
        at += len(line) + 1


def _matches_of(
    pattern: re.Pattern[str],
    kind: DateKind,
    read: _Read,
    text: str,
    begin: int,
    stop: int,
    taken: bytearray,
    published: date | None,
) -> Iterator[_Found]:
    for match in pattern.finditer(text, begin, stop):
        start = match.start() + len(match[0]) - len(match[0].lstrip())
        if any(taken[start : match.end()]):
            continue
        if read in (_of_year, _of_relative) and _is_span(match, text, start):
            continue
        value = read(match, published)
        if value is None and kind is DateKind.DAY and match.groupdict().get("y"):
            continue  # 31/2/2024 is no date
        taken[start : match.end()] = b"\x01" * (match.end() - start)
        if value is None:
            yield start, match.end(), kind, date.min, date.max, False
        else:
            yield start, match.end(), *value, True
