"""Weeks are ISO weeks or a clear refusal."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiemchung.errors import WeekError
from pipeline.weeks import Week, parse_week


def test_week_40_of_2026_runs_from_monday_to_sunday() -> None:
    week = parse_week("2026-W40")
    assert (week.monday, week.sunday) == (date(2026, 9, 28), date(2026, 10, 4))


@pytest.mark.parametrize(
    "text",
    ["", "2026", "2026-40", "2026-W4", "2026-W54", "2026-W00", "W40-2026", "2026-w40", "2025-W53",
     "２０２６-W40x", "2026-W40\n2026-W41", "0000-W01"],
)  # fmt: skip
def test_anything_else_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(WeekError, match="2026-W40"):
        parse_week(text)


def test_a_year_with_53_weeks_has_its_last_one() -> None:
    assert parse_week("2026-W53").sunday == date(2027, 1, 3)


@given(st.dates(min_value=date(1900, 1, 1), max_value=date(2900, 1, 1)))
def test_every_day_lies_in_the_week_it_names(day: date) -> None:
    iso = day.isocalendar()
    week = Week(year=iso.year, number=iso.week)
    assert week.monday <= day <= week.sunday
    assert week.sunday - week.monday == timedelta(days=6)
    assert parse_week(str(week)) == week
