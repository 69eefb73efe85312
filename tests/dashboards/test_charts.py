"""Charts: inside their frame, readable without colour and without eyes, no number that is none."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from dashboards.charts import WIDTH, Dot, Series, bars, columns, dots, number, ticks

SVG = "{http://www.w3.org/2000/svg}"
names = st.text(max_size=60)
values = st.one_of(
    st.none(),
    st.integers(0, 10**9).map(float),
    st.floats(0, 1e12, allow_nan=False, allow_subnormal=False),
)


@st.composite
def charted(draw: st.DrawFn) -> tuple[list[str], list[Series]]:
    categories = draw(st.lists(names, max_size=12))
    series = [
        Series(
            name=draw(names),
            values=tuple(
                draw(st.lists(values, min_size=len(categories), max_size=len(categories)))
            ),
        )
        for _ in range(draw(st.integers(1, 4)))
    ]
    return categories, series


def parsed(picture: Markup) -> ElementTree.Element:
    """Read the picture as XML: escaping that is wrong would not parse."""
    text = re.sub("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", str(picture))
    return ElementTree.fromstring(text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" '))


def check(picture: Markup, title: str) -> ElementTree.Element:
    root = parsed(picture)
    assert root.get("role") == "img"
    ids = {e.get("id") for e in root.iter() if e.get("id")}
    assert set((root.get("aria-labelledby") or "").split()) <= ids
    assert root.findtext(f"{SVG}title") == title
    assert root.findtext(f"{SVG}desc")
    height = float(root.get("height") or "nan")
    assert height > 0
    for word in ("nan", "inf", "none", "e+", "e-"):
        for element in root.iter():
            for key in ("x", "y", "width", "height", "cx", "cy", "r", "d", "viewBox"):
                assert word not in (element.get(key) or "").lower()
    for element in root.iter(f"{SVG}rect"):
        x, y, w, h = (float(element.get(k) or 0) for k in ("x", "y", "width", "height"))
        assert -0.01 <= x <= x + w <= WIDTH + 0.01
        assert -0.01 <= y <= y + h <= height + 0.01
        assert w >= 0
        assert h >= 0
    for element in root.iter(f"{SVG}circle"):
        assert 0 <= float(element.get("cx") or "nan") <= WIDTH
        assert 0 <= float(element.get("cy") or "nan") <= height
    for element in root.iter(f"{SVG}text"):
        assert 0 <= float(element.get("x") or "nan") <= WIDTH
        assert 0 <= float(element.get("y") or "nan") <= height
    for element in root.iter():
        assert "style" not in element.attrib  # a strict policy forbids it
        assert not [k for k in element.attrib if k.startswith("on") or k.endswith("href")]
        assert element.tag not in (f"{SVG}script", f"{SVG}style", f"{SVG}foreignObject")
    return root


@settings(max_examples=60)
@given(charted(), st.booleans(), st.booleans())
def test_every_column_stands_in_the_frame(
    given_: tuple[list[str], list[Series]], percent: bool, stacked: bool
) -> None:
    categories, series = given_
    root = check(columns("k", "Tên", categories, series, percent=percent, stacked=stacked), "Tên")
    drawn = sum(e.find(f"{SVG}title") is not None for e in root.iter(f"{SVG}rect"))
    assert drawn == sum(bool(v) for s in series for v in s.values)


@settings(max_examples=60)
@given(charted(), st.booleans())
def test_every_bar_stands_in_the_frame(
    given_: tuple[list[str], list[Series]], percent: bool
) -> None:
    rows, series = given_
    root = check(bars("k", "Tên", rows, series, percent=percent), "Tên")
    drawn = sum(e.find(f"{SVG}title") is not None for e in root.iter(f"{SVG}rect"))
    assert drawn == sum(v is not None for s in series for v in s.values)


@settings(max_examples=40)
@given(st.lists(names, min_size=1, max_size=6), st.lists(st.integers(0, 10**6), max_size=10))
def test_every_dot_stands_in_the_frame(rows: list[str], hours: list[int]) -> None:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    found = [
        Dot(at=start + timedelta(hours=h), row=k % len(rows), text="<b>")
        for k, h in enumerate(hours)
    ]
    root = check(dots("k", "Tên", rows, found), "Tên")
    assert len(list(root.iter(f"{SVG}circle"))) == len(found)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, -1.0])
def test_what_is_no_number_is_refused(wrong: float) -> None:
    series = [Series(name="a", values=(1.0, wrong))]
    with pytest.raises(ValueError, match=r"drawn|negative"):
        columns("k", "t", ["x", "y"], series)
    with pytest.raises(ValueError, match=r"drawn|negative"):
        bars("k", "t", ["x", "y"], series)
    with pytest.raises(ValueError, match="categories"):
        columns("k", "t", ["x"], [Series(name="a", values=(1.0, 2.0))])
    with pytest.raises(ValueError, match="outside"):
        dots("k", "t", ["x"], [Dot(at=datetime.now(UTC), row=1, text="")])


def test_heights_are_in_proportion() -> None:
    root = parsed(columns("k", "t", ["a", "b"], [Series(name="n", values=(10.0, 30.0))]))
    tall = [
        float(e.get("height") or 0)
        for e in root.iter(f"{SVG}rect")
        if e.find(f"{SVG}title") is not None
    ]
    assert tall[1] == pytest.approx(3 * tall[0], abs=0.02)


def test_series_are_told_apart_without_colour() -> None:
    series = [Series(name=str(k), values=(1.0,)) for k in range(4)]
    root = parsed(columns("k", "t", ["a"], series))
    fills = {e.get("fill") for e in root.iter(f"{SVG}rect") if e.find(f"{SVG}title") is not None}
    assert len(fills) == 4
    patterns = {e.get("id"): e.find(f"{SVG}path") for e in root.iter(f"{SVG}pattern")}
    shapes = {p.get("d") for p in patterns.values() if p is not None}
    assert len(shapes) == 3  # and one is solid
    assert {f"url(#{name})" for name in patterns} == fills - {"#1f4f4a"}


@given(st.floats(0, 1e12, allow_nan=False, allow_subnormal=False), st.booleans())
def test_ticks_are_round_and_reach_the_top(top: float, whole: bool) -> None:
    found = ticks(top, whole=whole)
    assert found[0] == 0
    assert found[-1] >= top * (1 - 1e-9)
    assert 2 <= len(found) <= 6
    if whole:
        assert all(v == int(v) for v in found)


def test_numbers_read_as_in_vietnamese() -> None:
    assert [number(1234567), number(12.5), number(0.934, percent=True), number(0)] == [
        "1 234 567",
        "12,5",
        "93,4 %",
        "0",
    ]
