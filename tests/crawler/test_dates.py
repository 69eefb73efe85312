from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.dates import FoundDate, choose, parse_date

HOME = ZoneInfo("Asia/Ho_Chi_Minh")
SEVEN = timezone(timedelta(hours=7))
EVENING = datetime(2025, 10, 22, 19, 25, tzinfo=SEVEN)


@pytest.mark.parametrize(
    ("text", "precision", "zone_known"),
    [
        ("2025-10-22T19:25:00+07:00", "second", True),
        ("2025-10-22T12:25:00Z", "second", True),
        ("2025-10-22T19:25:00.123+0700", "second", True),
        ("2025-10-22 19:25", "minute", False),
        ("Wed, 22 Oct 2025 19:25:00 +0700", "second", True),
        ("Wed, 22 Oct 2025 19:25:00 GMT+7", "second", True),
        ("22 Oct 2025 12:25 GMT", "minute", True),
        ("Thứ Tư, 22/10/2025, 19:25 (GMT+7)", "minute", True),
        ("Thứ tư, ngày 22/10/2025 - 19:25", "minute", False),
        ("19:25 | 22.10.2025", "minute", False),
        ("19h25 ngày 22-10-2025", "minute", False),
        ("7:25 PM 22/10/2025", "minute", False),
        ("7:25 CH, 22/10/2025", "minute", False),
        ("Cập nhật lúc 19 giờ 25 phút, ngày 22 tháng 10 năm 2025", "minute", False),
        ("22/10/2025\u00a019:25\n", "minute", False),
        ("19:25, 22/10/2025 +07:00", "minute", True),
    ],
)
def test_one_evening_in_many_spellings(text: str, precision: str, zone_known: bool) -> None:
    found = parse_date(text)
    assert found is not None
    assert found.at == EVENING
    assert (found.precision, found.zone_known) == (precision, zone_known)


@pytest.mark.parametrize(
    "text", ["2025-10-22", "22/10/2025", "ngày 22 tháng 10 năm 2025", "22.10.2025"]
)
def test_a_day_is_a_day(text: str) -> None:
    found = parse_date(text)
    assert found is not None
    assert found.precision == "day"
    assert found.at == datetime(2025, 10, 22, tzinfo=HOME)
    assert not found.zone_known


def test_the_day_comes_before_the_month() -> None:
    found = parse_date("10:00 | 3/4/2026")
    assert found is not None
    assert (found.at.day, found.at.month) == (3, 4)


def test_an_outlet_may_say_otherwise() -> None:
    found = parse_date("4/3/2026 5:06:07 PM", formats=["%m/%d/%Y %I:%M:%S %p"])
    assert found is not None
    assert found.at == datetime(2026, 4, 3, 17, 6, 7, tzinfo=HOME)


def test_a_naive_date_stands_in_the_zone_of_the_outlet() -> None:
    found = parse_date("2025-10-22T19:25:00", zone=ZoneInfo("Europe/Berlin"))
    assert found is not None
    assert found.at.astimezone(UTC) == datetime(2025, 10, 22, 17, 25, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        *("", "hôm nay", "2 giờ trước", "12", "1761135952", "1/1/24", "31/02/2024", "2024-02-30"),
        *("22/13/2025", "22/10/2025 25:61", "2025-10-22T19:25:52+99:00", "0001-01-01"),
        *("9999-12-31", "Thu, 01 Jan 1970 00:00:00 GMT", "8:00 03/04/2026 đến 04/04/2026"),
        *("1.240.2025", "0,5", "ngày 22 tháng 10", "2099-99-99", "22/10/2025 " * 40, "12/2025"),
    ],
)
def test_what_is_no_sound_date_is_unknown(text: str) -> None:
    assert parse_date(text) is None


def test_a_date_after_the_fetch_is_refused_a_day_later() -> None:
    fetched = datetime(2025, 10, 22, 0, 0, tzinfo=UTC)
    assert parse_date("2025-10-22T19:25:00+07:00", fetched_at=fetched) is not None
    assert parse_date("2025-10-23T07:00:00Z", fetched_at=fetched) is None


@given(st.text(max_size=80))
@settings(max_examples=200)
def test_any_text_is_a_sound_date_or_none(text: str) -> None:
    found = parse_date(text)
    assert found is None or (found.at.tzinfo is not None and 1997 <= found.at.year < 2101)


@given(st.integers(min_value=0, max_value=90 * 365 * 24 * 60))
@settings(max_examples=100)
def test_vietnamese_dates_come_back(minutes: int) -> None:
    at = datetime(2000, 1, 1, tzinfo=HOME) + timedelta(minutes=minutes)
    found = parse_date(at.strftime("%H:%M, %d/%m/%Y"))
    assert found is not None
    assert found.at == at


def found(text: str, method: str) -> FoundDate:
    date = parse_date(text)
    assert date is not None
    return FoundDate(
        at=date.at, precision=date.precision, zone_known=date.zone_known, method=method
    )


def test_sources_an_hour_apart_disagree_and_the_trusted_one_counts() -> None:
    dates = [found("2023-09-13T16:39:41+07:00", "json-ld"), found("2023-09-13T17:42:00", "og")]
    published = choose(dates, HOME)
    assert (published.method, published.conflict) == ("json-ld", True)
    assert published.at == dates[0].at


def test_sources_minutes_apart_agree() -> None:
    dates = [found("2023-09-13T16:39:41+07:00", "json-ld"), found("2023-09-13T16:42:00", "og")]
    assert not choose(dates, HOME).conflict


def test_a_later_source_of_the_same_day_gives_the_time() -> None:
    dates = [found("13/9/2023", "selector"), found("2023-09-13T16:39:41+07:00", "json-ld")]
    published = choose(dates, HOME)
    assert (published.method, published.precision, published.conflict) == (
        "json-ld",
        "second",
        False,
    )


def test_a_time_of_another_day_does_not() -> None:
    dates = [found("12/9/2023", "selector"), found("2023-09-13T16:39:41+07:00", "json-ld")]
    published = choose(dates, HOME)
    assert (published.method, published.conflict) == ("selector+zone", True)


def test_no_source_is_unknown() -> None:
    published = choose([], HOME)
    assert (published.at, published.method, published.precision) == (None, "unknown", "unknown")
