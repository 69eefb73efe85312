"""Charts as SVG made on the server: no scripts, no colours that grey would swallow.

Every chart is a picture of a `Table` that stands beside it, has a title and a description for
screen readers, and tells its series apart by hatching and labels, not by colour. Numbers that are
no numbers (NaN, infinite) are refused here, before they become a broken picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup, escape

from kiemchung.tabular import Cell

WIDTH: Final = 720
_INK, _SOFT, _LINE = "#1c2426", "#4a5559", "#c3cccd"
_FILLS: Final = ("#1f4f4a", "#d98032", "#8fa6b8", "#5d4a7a")
# Hatchings, one for each series: the first is solid, so that one series alone needs none.
_HATCHES: Final = ("", "M0 6L6 0", "M0 3H6", "M0 0L6 6M0 6L6 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One row of values, None where there is nothing to show."""

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What a chart shows, for readers and for download; the first column names the row."""

    key: str  # of its address and its file name
    title: str
    note: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def numeric(self) -> frozenset[int]:
        """The columns that hold numbers, which stand to the right."""
        return frozenset(
            k
            for k in range(len(self.header))
            for row in self.rows
            if isinstance(row[k], int | float)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """Something at a moment in one of the rows."""

    at: datetime
    row: int
    text: str


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be drawn")
    return value


def _n(value: float) -> str:
    """A coordinate: two decimals, no exponent, no minus zero."""
    return f"{_finite(value) + 0.0:.2f}".rstrip("0").rstrip(".")


def number(value: float, *, percent: bool = False) -> str:
    """Return a value as it reads: ``1 234``, ``12,5``, ``3 %``."""
    if percent:
        shown = f"{value * 100:.1f}".rstrip("0").rstrip(".")
        return shown.replace(".", ",") + " %"
    if value == int(value):
        return f"{int(value):,}".replace(",", " ")
    return f"{value:,.1f}".replace(",", " ").replace(".", ",")


def ticks(top: float, *, whole: bool = False) -> list[float]:
    """Return round values from 0 to at least ``top``, at most six; ``whole``: no fractions."""
    if _finite(top) <= 0:
        return [0.0, 1.0]
    raw = max(top / 4, 1.0) if whole else top / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    count = max(1, math.ceil(top / step - 1e-9))
    return [step * k for k in range(count + 1)]


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: float = 12, bold: bool = False
) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}" font-size="{_n(size)}"'
        f' fill="{_INK}"{weight}>{escape(text)}</text>'
    )


def _frame(key: str, title: str, description: str, height: float, body: Sequence[str]) -> Markup:
    """Return the picture; its ids begin with ``key``, so that several share a page."""
    hatches = "".join(
        f'<pattern id="{escape(key)}-h{k}" width="6" height="6" patternUnits="userSpaceOnUse">'
        f'<rect width="6" height="6" fill="#ffffff"/><path d="{path}" stroke="{_FILLS[k]}"'
        ' stroke-width="2" fill="none"/></pattern>'
        for k, path in enumerate(_HATCHES)
        if path
    )
    return Markup(
        f'<svg class="chart" role="img" aria-labelledby="{escape(key)}-t {escape(key)}-d"'
        f' viewBox="0 0 {WIDTH} {_n(height)}" width="{WIDTH}" height="{_n(height)}"'
        ' preserveAspectRatio="xMinYMin meet" font-family="system-ui, sans-serif">'
        f'<title id="{escape(key)}-t">{escape(title)}</title>'
        f'<desc id="{escape(key)}-d">{escape(description)}</desc>'
        f"<defs>{hatches}</defs>{''.join(body)}</svg>"
    )  # everything foreign went through escape()


def _fill(key: str, series: int) -> str:
    k = series % len(_FILLS)
    paint = f"url(#{escape(key)}-h{k})" if _HATCHES[k] else _FILLS[k]
    return f'fill="{paint}" stroke="{_FILLS[k]}" stroke-width="1"'


def _legend(key: str, series: Sequence[Series], y: float) -> list[str]:
    """One entry a series, side by side, on as many lines as they need."""
    parts, x = [], 0.0
    for k, one in enumerate(series):
        wide = 34 + 7.2 * len(_short(one.name, 60))
        if x and x + wide > WIDTH:
            x, y = 0.0, y + 20
        parts.append(
            f'<rect x="{_n(x)}" y="{_n(y)}" width="14" height="12" {_fill(key, k)}/>'
            + _text(x + 20, y + 10.5, _short(one.name, 60))
        )
        x += wide
    return parts


def _legend_height(series: Sequence[Series]) -> float:
    lines, x = 1, 0.0
    for one in series:
        wide = 34 + 7.2 * len(_short(one.name, 60))
        if x and x + wide > WIDTH:
            x, lines = 0.0, lines + 1
        x += wide
    return 20.0 * lines + 6


def columns(
    key: str,
    title: str,
    categories: Sequence[str],
    series: Sequence[Series],
    *,
    percent: bool = False,
    stacked: bool = True,
) -> Markup:
    """Return a column chart over ``categories``, the series on one another or side by side.

    Raises:
        ValueError: a value is negative or no number, or a series has another length.
    """
    for one in series:
        if len(one.values) != len(categories):
            raise ValueError(f"{one.name}: {len(one.values)} values, {len(categories)} categories")
        if any(_finite(v) < 0 for v in one.values if v is not None):
            raise ValueError(f"{one.name}: a negative value has no column")
    sums = [
        (sum if stacked else max)([s.values[k] or 0.0 for s in series] or [0.0])
        for k in range(len(categories))
    ]
    scale = ticks(max(sums, default=0.0), whole=not percent)
    head = _legend_height(series) if len(series) > 1 else 6.0
    left, right, plot = 64.0, 8.0, 190.0
    base, wide = head + plot, WIDTH - left - right
    body = _legend(key, series, 0) if len(series) > 1 else []
    for mark in scale:
        y = base - plot * mark / scale[-1]
        body.append(
            f'<path d="M{_n(left)} {_n(y)}H{_n(WIDTH - right)}" stroke="{_LINE}" fill="none"/>'
            + _text(left - 6, y + 4, number(mark, percent=percent), anchor="end")
        )
    slot = wide / max(len(categories), 1)
    thick = min(slot * 0.72, 46.0)
    every = max(1, math.ceil(52 / slot)) if categories else 1
    for k, name in enumerate(categories):
        x = left + slot * k + (slot - thick) / 2
        y = base
        for n, one in enumerate(series):
            value = one.values[k]
            if not value:
                continue
            tall = plot * value / scale[-1]
            if stacked:
                y -= tall
                place, width = x, thick
            else:
                y = base - tall
                width = thick / len(series)
                place = x + width * n
            told = f"{name}, {one.name}: {number(value, percent=percent)}"
            body.append(
                f'<rect x="{_n(place)}" y="{_n(y)}" width="{_n(width)}" height="{_n(tall)}"'
                f" {_fill(key, n)}><title>{escape(told)}</title></rect>"
            )
        if (len(categories) - 1 - k) % every == 0:
            body.append(_text(x + thick / 2, base + 16, _short(name, 12), anchor="middle", size=11))
    body.append(f'<path d="M{_n(left)} {_n(base)}H{_n(WIDTH - right)}" stroke="{_SOFT}"/>')
    return _frame(key, title, _told(title, categories, series, percent), base + 24, body)


def bars(
    key: str,
    title: str,
    names: Sequence[str],
    series: Sequence[Series],
    *,
    percent: bool = False,
) -> Markup:
    """Return a bar chart, one group of bars for each name, in the order given.

    Raises:
        ValueError: a value is negative or no number, or a series has another length.
    """
    for one in series:
        if len(one.values) != len(names):
            raise ValueError(f"{one.name}: {len(one.values)} values, {len(names)} names")
        if any(_finite(v) < 0 for v in one.values if v is not None):
            raise ValueError(f"{one.name}: a negative value has no bar")
    top = max((v for s in series for v in s.values if v is not None), default=0.0)
    scale = ticks(top, whole=not percent)
    head = _legend_height(series) if len(series) > 1 else 4.0
    left, right, thick = 268.0, 56.0, 14.0
    group = thick * len(series) + 12
    body = _legend(key, series, 0) if len(series) > 1 else []
    for k, name in enumerate(names):
        y = head + group * k
        middle = y + thick * len(series) / 2 + 4
        body.append(_text(left - 8, middle, _short(name, 40), anchor="end"))
        for n, one in enumerate(series):
            shown = one.values[k]
            if shown is None:
                continue
            long = (WIDTH - left - right) * shown / scale[-1]
            at = y + thick * n
            body.append(
                f'<rect x="{_n(left)}" y="{_n(at)}" width="{_n(long)}" height="{_n(thick - 2)}"'
                f" {_fill(key, n)}><title>{escape(name)}, {escape(one.name)}</title></rect>"
                + _text(left + long + 6, at + 10.5, number(shown, percent=percent), size=11)
            )
    tall = head + group * len(names)
    body.append(
        f'<path d="M{_n(left)} {_n(head - 4)}V{_n(max(tall - 4, head))}" stroke="{_SOFT}"/>'
    )
    return _frame(key, title, _told(title, names, series, percent), max(tall, head + 12), body)


def dots(key: str, title: str, rows: Sequence[str], found: Sequence[Dot]) -> Markup:
    """Return where each dot lies in time, one line for each of ``rows``.

    Raises:
        ValueError: a dot names a row that is not there.
    """
    if any(not 0 <= d.row < len(rows) for d in found):
        raise ValueError("a dot outside the rows")
    left, right, step, head = 188.0, 24.0, 26.0, 10.0
    base = head + step * max(len(rows), 1)
    moments = [d.at.timestamp() for d in found]
    first, last = (min(moments), max(moments)) if moments else (0.0, 0.0)
    span = max(last - first, 1.0)
    body = []
    for k, name in enumerate(rows):
        y = head + step * k + step / 2
        body.append(
            f'<path d="M{_n(left)} {_n(y)}H{_n(WIDTH - right)}" stroke="{_LINE}" fill="none"/>'
            + _text(left - 8, y + 4, _short(name, 26), anchor="end")
        )
    for d in found:
        share = (d.at.timestamp() - first) / span if last > first else 0.5
        x = left + 8 + (WIDTH - left - right - 16) * share
        y = head + step * d.row + step / 2
        body.append(
            f'<circle cx="{_n(x)}" cy="{_n(y)}" r="5" fill="{_FILLS[0]}" fill-opacity="0.7"'
            f' stroke="#ffffff"><title>{escape(d.text)}</title></circle>'
        )
    for at, anchor, x in _ends(first, last, left, WIDTH - right) if moments else ():
        body.append(_text(x, base + 14, at, anchor=anchor, size=11))
    told = f"{title}. " + "; ".join(
        f"{name}: {sum(d.row == k for d in found)}" for k, name in enumerate(rows)
    )
    return _frame(key, title, told, base + 22, body)


def _ends(first: float, last: float, left: float, right: float) -> list[tuple[str, str, float]]:
    from dashboards import words

    days = [words.day(datetime.fromtimestamp(t, UTC).astimezone(words.VIETNAM).date())
            for t in (first, last)]  # fmt: skip
    if days[0] == days[1]:
        return [(days[0], "middle", (left + right) / 2)]
    return [(days[0], "start", left + 4), (days[1], "end", right)]


def _told(title: str, names: Sequence[str], series: Sequence[Series], percent: bool) -> str:
    """The picture in words: of every series its latest value and its highest."""
    parts = []
    for one in series:
        known = [(v, n) for v, n in zip(one.values, names, strict=True) if v is not None]
        if known:
            high, where = max(known, key=lambda pair: pair[0])
            parts.append(f"{one.name}: {number(high, percent=percent)} ({where})")
    return f"{title}. {'; '.join(parts)}"
