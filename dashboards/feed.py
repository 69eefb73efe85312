"""The reports as RSS 2.0: an entry for each week and for each answered request.

An entry's guid depends on the week or the number of the request alone, so a report that is written
again is the same entry, and its day is that of the run and not of the writing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from email.utils import format_datetime
from typing import Final
from xml.etree import ElementTree

from dashboards import language, words
from dashboards.charts import number
from kiemchung.store import Store
from kiemchung.store.corrections import corrections
from kiemchung.store.monitor import Monitor

MAX_WEEKS: Final = 26
MAX_CORRECTIONS: Final = 50
_ATOM: Final = "http://www.w3.org/2005/Atom"  # a name of a vocabulary, never fetched
_NO_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of the feed."""

    guid: str
    title: str
    text: str
    link: str  # empty where nothing is published
    at: datetime


def entries(store: Store, *, public_url: str = "", monitor: Monitor | None = None) -> list[Entry]:
    """Return what the feed holds, latest first."""
    monitor = monitor or Monitor(store)
    before = language.current()
    language.use("vi")
    try:
        weeks = monitor.weeks()[:MAX_WEEKS]
        found = [_week(store, monitor, week, public_url) for week in weeks]
        answered = [c for c in corrections(store) if c.resolved_at is not None and c.outcome]
        for c in answered[:MAX_CORRECTIONS]:
            assert c.resolved_at is not None
            assert c.outcome is not None
            about = "ở trang không cho trích dẫn" if c.refused else f"“{c.claim}”"
            found.append(
                Entry(
                    guid=f"urn:kiemchung:correction:{c.key}",
                    title=f"Đính chính số {c.key}: {words.OUTCOMES[c.outcome].lower()}",
                    text=f"Khẳng định {about}. {c.public_note}",
                    link=_address(public_url, _week_of(c.resolved_at)),
                    at=c.resolved_at,
                )
            )
    finally:
        language.use(before)
    return sorted(found, key=lambda e: (e.at, e.guid), reverse=True)


def _week_of(moment: datetime) -> str:
    year, week, _ = moment.astimezone(words.VIETNAM).date().isocalendar()
    return f"{year:04d}-W{week:02d}"


def _address(public_url: str, week: str) -> str:
    return f"{public_url.rstrip('/')}/{week}.html" if public_url else ""


def _week(store: Store, monitor: Monitor, week: str, public_url: str) -> Entry:
    (volume,) = monitor.volume(week, weeks=1) or (None,)
    counts = store.week_counts(week)
    year, of = (int(part) for part in week.split("-W"))
    first, last = (words.day(date.fromisocalendar(year, of, n)) for n in (1, 7))
    decided = sum(n for d, n in counts.decisions.items() if d != "SKIPPED")
    stories = number(volume.stories if volume else 0)
    text = (
        f"Từ {first} đến {last}: {stories} câu chuyện về hợp tác xã,"
        f" {number(counts.checkability.get('CHECKABLE', 0))} khẳng định kiểm chứng được,"
        f" {number(counts.flagged)} chỗ cần xem lại, {number(decided)} chỗ có kết luận của người"
        " duyệt. “Cần xem lại” là gợi ý của máy về một khẳng định đặt cạnh một căn cứ, không phải"
        " kết luận."
    )
    return Entry(
        guid=f"urn:kiemchung:report:{week}",
        title=f"Báo cáo tuần {week}",
        text=text,
        link=_address(public_url, week),
        at=monitor.merged_at(week),
    )


def as_rss(found: list[Entry], *, publisher: str = "", link: str, public_url: str = "") -> str:
    """Return the feed; ``link`` is the page that it belongs to."""
    ElementTree.register_namespace("atom", _ATOM)
    rss = ElementTree.Element("rss", {"version": "2.0"})
    channel = ElementTree.SubElement(rss, "channel")
    name = "Báo cáo tuần về khẳng định liên quan đến hợp tác xã"
    _add(channel, "title", f"{name} · {publisher}" if publisher else name)
    _add(channel, "link", public_url or link)
    _add(channel, "description", "Khẳng định đặt cạnh căn cứ còn hiệu lực vào ngày nói tới.")
    _add(channel, "language", "vi")
    if public_url:
        address = f"{public_url.rstrip('/')}/feed.xml"
        ElementTree.SubElement(
            channel,
            f"{{{_ATOM}}}link",
            {"href": address, "rel": "self", "type": "application/rss+xml"},
        )
    for entry in found:
        item = ElementTree.SubElement(channel, "item")
        _add(item, "title", entry.title)
        if entry.link:
            _add(item, "link", entry.link)
        _add(item, "guid", entry.guid).set("isPermaLink", "false")
        _add(item, "pubDate", format_datetime(entry.at))
        _add(item, "description", entry.text)
    ElementTree.indent(rss, " ")
    body = ElementTree.tostring(rss, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _add(parent: ElementTree.Element, name: str, text: str) -> ElementTree.Element:
    child = ElementTree.SubElement(parent, name)
    child.text = _NO_XML.sub("", text)  # XML has no way to write these
    return child
