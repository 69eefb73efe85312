"""When a page was published: several witnesses, a time zone, and never a guess at "now"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_DMY: Final = re.compile(
    r"(?<!\d)(?P<d>\d{1,2})\s?[/.\-]\s?(?P<m>\d{1,2})\s?[/.\-]\s?(?P<y>(?:19|20)\d{2})(?!\d)"
    r"|ngày\s+(?P<d2>\d{1,2})\s+tháng\s+(?P<m2>\d{1,2})\s*,?\s*năm\s+(?P<y2>(?:19|20)\d{2})",
    re.IGNORECASE,
)
_TIME: Final = re.compile(r"(?<![\d/])(?P<h>[01]?\d|2[0-3])\s?[:hg]\s?(?P<min>[0-5]\d)(?!\d)", re.IGNORECASE)
_ZONE: Final = re.compile(r"(?:GMT|UTC)\s?(?P<sign>[+-])\s?(?P<h>\d{1,2})(?::?(?P<m>\d{2}))?", re.IGNORECASE)
_ISO: Final = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})(?:[T ](?P<time>\d{1,2}:\d{2}(?::\d{2})?)(?:\.\d+)?\s?(?P<zone>Z|[+-]\d{2}:?\d{2})?)?"
)
CONFLICT: Final = timedelta(minutes=10)
"""Two witnesses further apart than this are recorded as disagreeing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dated:
    """One witness of the publication date."""

    at: datetime
    method: str
    precision: str  # "minute" or "day"
    had_zone: bool


def read_date(
    text: str, *, method: str, zone: ZoneInfo, formats: Sequence[str] = ()
) -> Dated | None:
    """Return the date in ``text``, or None where there is none.

    ISO 8601, the outlet's own formats and Vietnamese date strings (day first). A date without time
    zone is in ``zone``; one without time stands at its midnight with precision "day".
    """
    text = " ".join(text.split())
    if not text:
        return None
    for form in formats:
        try:
            return _placed(datetime.strptime(text, form), method, zone, precision="minute")  # noqa: DTZ007
        except ValueError:
            continue
    iso = _ISO.search(text)
    try:
        if iso:
            return _from_iso(iso, method, zone)
        return _from_words(text, method, zone)
    except (ValueError, OverflowError):
        return None


def _placed(naive: datetime, method: str, zone: ZoneInfo, *, precision: str) -> Dated:
    return Dated(
        at=naive.replace(tzinfo=zone), method=method, precision=precision, had_zone=False
    )


def _from_iso(match: re.Match[str], method: str, zone: ZoneInfo) -> Dated:
    if match["time"] is None:
        naive = datetime.fromisoformat(match["date"])
        return _placed(naive, method, zone, precision="day")
    clock = match["time"] if len(match["time"].split(":")[0]) == 2 else f"0{match['time']}"
    naive = datetime.fromisoformat(f"{match['date']}T{clock}")
    if match["zone"] is None:
        return _placed(naive, method, zone, precision="minute")
    at = datetime.fromisoformat(f"{match['date']}T{clock}{match['zone']}")
    return Dated(at=at, method=method, precision="minute", had_zone=True)


def _from_words(text: str, method: str, zone: ZoneInfo) -> Dated | None:
    day = _DMY.search(text)
    if day is None:
        return None
    groups = day.groupdict()
    year, month, number = (int(groups[k] or groups[f"{k}2"]) for k in ("y", "m", "d"))
    rest = f"{text[: day.start()]} {text[day.end() :]}"
    clock = _TIME.search(rest)
    if clock is None:
        return _placed(datetime(year, month, number), method, zone, precision="day")  # noqa: DTZ001
    naive = datetime(year, month, number, int(clock["h"]), int(clock["min"]))  # noqa: DTZ001
    named = _ZONE.search(rest)
    if named is None:
        return _placed(naive, method, zone, precision="minute")
    shift = timedelta(hours=int(named["h"]), minutes=int(named["m"] or 0))
    utc = naive - shift if named["sign"] == "+" else naive + shift
    at = utc.replace(tzinfo=UTC).astimezone(zone)
    return Dated(at=at, method=method, precision="minute", had_zone=True)


def choose(witnesses: Sequence[Dated]) -> tuple[Dated | None, bool]:
    """Return the witness to believe and whether others contradict it.

    One with a time zone and a time is believed before one without; the order given decides the
    rest. Years before 1995 or after 2100 are refused.
    """
    sound = [w for w in witnesses if 1995 <= w.at.year <= 2100]
    if not sound:
        return None, False
    best = min(sound, key=lambda w: (w.precision != "minute", not w.had_zone, sound.index(w)))
    conflict = any(
        abs(w.at - best.at) > CONFLICT
        if w.precision == best.precision == "minute"
        else w.at.astimezone(best.at.tzinfo).date() != best.at.date()
        for w in sound
    )
    return best, conflict
