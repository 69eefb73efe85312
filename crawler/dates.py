"""When a page was published: what each source says, which is believed, and whether they agree.

Dates are read strictly. What names no time zone is in the outlet's; what names no time is a day;
what cannot be read is unknown, never "now". In a Vietnamese date the day comes first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from email.utils import parsedate_tz
from typing import Final
from zoneinfo import ZoneInfo

from crawler.outlets import DEFAULT_ZONE

CONFLICT: Final = timedelta(minutes=5)
"""Two sources that lie further apart disagree. A saved Thanh Niên page had 62 minutes between Open
Graph and JSON-LD; systems that stamp each block on its own differ by seconds."""
FUTURE: Final = timedelta(days=1)
"""How far a date may lie behind the fetch: clocks and zones differ by less."""
_EARLIEST: Final = date(1997, 1, 1)  # no Vietnamese news page is older than the network there
_LATEST: Final = date(2100, 1, 1)  # without a fetch time: what is plainly a filler

_MAX_CHARACTERS: Final = 300  # of a string with a date in it; more is no date line

_ISO: Final = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})(?:\s*[T ,]\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d{1,9})?)?)?"
    r"\s*(Z|UTC|GMT|(?:GMT|UTC)?\s?[+-]\d{1,2}:?(?:\d{2})?)?",
    re.IGNORECASE,
)
_RFC: Final = re.compile(
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,?\s+)?\d{1,2}\s+"
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\s+\d{4}\b.*",
    re.IGNORECASE | re.DOTALL,
)
_DAY: Final = re.compile(
    r"(?<![\d/.-])(\d{1,2})\s?([/.-])\s?(\d{1,2})\s?\2\s?(\d{4})(?!\d)"
    r"|(?:ngày\s+)?(?<!\d)(\d{1,2})\s+tháng\s+(\d{1,2})\s*,?\s*(?:năm\s+)?(\d{4})(?!\d)",
    re.IGNORECASE,
)
_CLOCK: Final = re.compile(
    r"(?<![\d:/.-])(\d{1,2})\s?(?::|h|g|giờ)\s?(\d{2})(?:(?:\s?:\s?|\s?phút\s?|p)(\d{2}))?(?![\d/])"
    r"\s*(AM|PM|SA|CH)?\b",
    re.IGNORECASE,
)
_OFFSET: Final = re.compile(r"(?:GMT|UTC)?\s?([+-])\s?(\d{1,2})(?::?(\d{2}))?", re.IGNORECASE)
_NAMED_OFFSET: Final = re.compile(
    r"(?:GMT|UTC)\s?[+-]\s?\d{1,2}(?::?\d{2})?|(?<=[\s\d])[+-]\d{2}:\d{2}\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDate:
    """A date as one source gave it."""

    at: datetime  # aware; midnight of the zone where only a day is known
    precision: str  # "second", "minute" or "day"
    zone_known: bool  # False: the outlet's zone was assumed
    method: str = ""
    raw: str = ""

    @property
    def timed(self) -> bool:
        """Whether more than the day is known."""
        return self.precision != "day"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The date that is believed; ``at`` is None where no source gave a sound one."""

    at: datetime | None
    method: str  # of the source, with "+zone" where the outlet's zone was assumed; "unknown"
    precision: str  # "second", "minute", "day" or "unknown"
    conflict: bool


def parse_date(
    text: str,
    *,
    zone: ZoneInfo | None = None,
    formats: Sequence[str] = (),
    fetched_at: datetime | None = None,
) -> FoundDate | None:
    """Return the date that ``text`` gives, None where it gives none or an unsound one.

    ``formats`` (of ``strptime``) are tried before ISO 8601, RFC 822 and Vietnamese forms. A date
    before 1997, after 2100, or more than a day after ``fetched_at`` is unsound.
    """
    line = " ".join(text.split())
    if not line or len(line) > _MAX_CHARACTERS:
        return None
    home = zone or ZoneInfo(DEFAULT_ZONE)
    try:
        found = (
            _by_formats(line, formats, home)
            or _by_iso(line, home)
            or _by_rfc(line, home)
            or _by_words(line, home)
        )
        sound = found is not None and _sound(found.at, home, fetched_at)
    except (ValueError, OverflowError):  # 31/02, 25:61, year 0
        return None
    return found if sound else None


def _sound(at: datetime, home: ZoneInfo, fetched_at: datetime | None) -> bool:
    if not _EARLIEST <= at.astimezone(home).date() < _LATEST:
        return False
    return fetched_at is None or at <= fetched_at + FUTURE


def _by_formats(line: str, formats: Sequence[str], home: ZoneInfo) -> FoundDate | None:
    for form in formats:
        try:
            at = datetime.strptime(line, form)  # noqa: DTZ007  the zone follows
        except ValueError:
            continue
        known = at.tzinfo is not None
        timed = any(code in form for code in ("%H", "%I", "%X", "%c", "%T"))
        return FoundDate(
            at=at if known else at.replace(tzinfo=home),
            precision="second" if "%S" in form else "minute" if timed else "day",
            zone_known=known,
            raw=line,
        )
    return None


def _by_iso(line: str, home: ZoneInfo) -> FoundDate | None:
    match = _ISO.fullmatch(line)
    if match is None:
        return None
    year, month, day, hour, minute, second, offset = match.groups()
    if hour is None:
        return _found(line, (int(year), int(month), int(day)), None, None, home)
    clock = (int(hour), int(minute), int(second) if second else None)
    return _found(line, (int(year), int(month), int(day)), clock, _offset(offset), home)


def _by_rfc(line: str, home: ZoneInfo) -> FoundDate | None:
    if not _RFC.fullmatch(line):
        return None
    named = _NAMED_OFFSET.search(line)  # common parsers read "GMT+7" as GMT, seven hours off
    parts = parsedate_tz(line[: named.start()] if named else line)
    if parts is None:
        return None
    year, month, day, hour, minute, second = parts[:6]
    offset: timezone | None = None
    if named:
        offset = _offset(named.group())
    elif re.search(r"(?:[+-]\d{4}|GMT|UTC?|Z|[ECMP][SD]T)\)?$", line) and parts[9] is not None:
        offset = timezone(timedelta(seconds=parts[9]))
    seconds = second if re.search(r"\d:\d\d:\d\d", line) else None
    return _found(line, (year, month, day), (hour, minute, seconds), offset, home)


def _by_words(line: str, home: ZoneInfo) -> FoundDate | None:
    """Read ``Thứ Hai, 05/08/2024, 09:30 (GMT+7)`` and its many relatives; two days are none."""
    days = list(_DAY.finditer(line))
    if len({m.group() for m in days}) != 1:
        return None
    groups = days[0].groups()
    day, month, year = (groups[0], groups[2], groups[3]) if groups[0] else groups[4:]
    rest = f"{line[: days[0].start()]} | {line[days[0].end() :]}"
    named = _NAMED_OFFSET.search(rest)
    if named:
        rest = rest[: named.start()] + rest[named.end() :]
    clocks = list(_CLOCK.finditer(rest))
    clock: tuple[int, int, int | None] | None = None
    if clocks:
        hour = int(clocks[0][1])
        half = (clocks[0][4] or "").upper()
        if half in ("PM", "CH") and hour < 12:
            hour += 12
        elif half in ("AM", "SA") and hour == 12:
            hour = 0
        clock = (hour, int(clocks[0][2]), int(clocks[0][3]) if clocks[0][3] else None)
    offset = _offset(named.group()) if named else None
    return _found(line, (int(year), int(month), int(day)), clock, offset, home)


def _offset(text: str | None) -> timezone | None:
    """Return the zone that an offset names; None where it is missing or absurd."""
    if not text:
        return None
    if text.upper() in ("Z", "UTC", "GMT"):
        return UTC
    match = _OFFSET.fullmatch(text.strip())
    if match is None:
        return None
    shift = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
    if shift > timedelta(hours=14):  # no place on earth
        raise ValueError(f"offset {text!r}")
    return timezone(shift if match[1] == "+" else -shift)


def _found(
    raw: str,
    day: tuple[int, int, int],
    clock: tuple[int, int, int | None] | None,
    offset: timezone | None,
    home: ZoneInfo,
) -> FoundDate:
    hour, minute, second = clock or (0, 0, None)
    zone = offset or home
    # 2024-01-02T24:00 is refused like every other impossible time: ValueError.
    at = datetime(*day, hour, minute, second or 0, tzinfo=zone)
    precision = "day" if clock is None else "minute" if second is None else "second"
    known = offset is not None and clock is not None
    return FoundDate(at=at, precision=precision, zone_known=known, raw=raw)


def choose(found: Sequence[FoundDate], zone: ZoneInfo) -> Published:
    """Return the date to believe of those given in order of trust.

    The first one counts; where it is a mere day, a later source of the same day gives the time.
    Sources whose times lie more than ``CONFLICT`` apart, or whose days differ, disagree.
    """
    if not found:
        return Published(at=None, method="unknown", precision="unknown", conflict=False)
    first = found[0]
    day = first.at.astimezone(zone).date()
    best = first
    if not first.timed:
        same = [f for f in found if f.timed and f.at.astimezone(zone).date() == day]
        best = same[0] if same else first
    return Published(
        at=best.at,
        method=best.method if best.zone_known else f"{best.method}+zone",
        precision=best.precision,
        conflict=any(_disagree(best, other, zone) for other in found),
    )


def _disagree(one: FoundDate, other: FoundDate, zone: ZoneInfo) -> bool:
    if one.timed and other.timed:
        return abs(one.at - other.at) > CONFLICT
    return one.at.astimezone(zone).date() != other.at.astimezone(zone).date()
