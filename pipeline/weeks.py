"""ISO weeks: a run is given its week as an argument and never asks the clock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

from kiemchung.errors import WeekError

_FORM = re.compile(r"(\d{4})-W(\d{2})")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Week:
    """One ISO 8601 week, Monday to Sunday."""

    year: int
    number: int

    @property
    def monday(self) -> date:
        """First day."""
        return date.fromisocalendar(self.year, self.number, 1)

    @property
    def sunday(self) -> date:
        """Last day."""
        return self.monday + timedelta(days=6)

    def __str__(self) -> str:
        """Return the form that `parse_week` reads."""
        return f"{self.year:04d}-W{self.number:02d}"


def parse_week(text: str) -> Week:
    """Return the week written as ``2026-W40``.

    Raises:
        WeekError: another form, or a week that its year does not have.
    """
    match = _FORM.fullmatch(text.strip())
    remedy = "write an ISO week such as 2026-W40"
    if match is None:
        raise WeekError(f"{text!r} is no ISO week", remedy=remedy)
    year, number = int(match[1]), int(match[2])
    try:
        date.fromisocalendar(year, number, 1)
    except ValueError as error:
        raise WeekError(f"{year} has no week {number}", where=text, remedy=remedy) from error
    return Week(year=year, number=number)


def week_of(text: str) -> Week:
    """Return the week written as ``2026-W40``, or the one of the day ``2026-09-30``.

    Raises:
        WeekError: neither.
    """
    try:
        year, number, _ = date.fromisoformat(text.strip()).isocalendar()
    except ValueError:
        return parse_week(text)
    return Week(year=year, number=number)
