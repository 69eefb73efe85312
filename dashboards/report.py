"""The weekly report: one HTML page without scripts or foreign parts, made to be printed and kept.

It is derived from the store and the week alone: the same rows give the same page on any day.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from dashboards import marking, words
from dashboards.shell import templates
from kiemchung.domain import Accounting, Decision, Difference, Distortion
from kiemchung.store import EvidenceRow, FlagRow, Store

_Z95: Final = 1.959964
_ENDS: Final = {
    "robots": "robots.txt không cho phép",
    "robots_unreachable": "không đọc được robots.txt",
    "off_topic": "không nói về hợp tác xã",
    "not_article": "không phải bài viết",
    "truncated": "trang bị cắt giữa chừng",
    "partial": "tải về chưa trọn",
    "empty": "trang trống",
    "binary": "không phải văn bản",
    "no_text": "không có nội dung bài",
    "unknown_charset": "không rõ bảng mã",
    "soft_404": "trang báo không tìm thấy",
    "too_large": "quá lớn",
    "too_complex": "cấu trúc quá phức tạp",
    "timeout": "quá thời gian",
    "archive_damaged": "bản lưu hỏng",
    "off_site": "ngoài trang của nguồn",
    "unsafe_address": "địa chỉ không an toàn",
    "redirect_loop": "chuyển hướng vòng",
    "http_404": "không còn trang (404)",
    "http_500": "máy chủ lỗi (500)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of the accounting table; ``part`` is set in."""

    text: str
    count: int
    part: bool = False
    total: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Flags of one canonical claim that rest on the same passages."""

    flag: FlagRow  # the most certain one
    places: tuple[FlagRow, ...]
    claim: tuple[marking.Piece, ...]
    evidence: tuple[tuple[EvidenceRow, tuple[marking.Piece, ...]], ...]
    differences: tuple[Difference, ...]
    decision: Decision | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share with its 95 % interval after Wilson; None for no cases."""

    count: int
    of: int

    @property
    def interval(self) -> tuple[float, float] | None:
        """Return lower and upper bound."""
        if self.of == 0:
            return None
        p, n, z = self.count / self.of, self.of, _Z95
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        """Return the words for the page."""
        bounds = self.interval
        if bounds is None:
            return "chưa có"
        return (
            f"{self.count}/{self.of} = {words.share(self.count / self.of)}"
            f" (khoảng tin cậy 95 %: {words.share(bounds[0])} đến {words.share(bounds[1])})"
        )


def account_lines(sums: Accounting) -> list[Line]:
    """Return the table of where every address and page ended."""

    def parts(counts: Mapping[str, int]) -> list[Line]:
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return [Line(text=_ENDS.get(name, name), count=n, part=True) for name, n in ordered]

    return [
        Line(text="Địa chỉ bài viết phát hiện", count=sums.discovered, total=True),
        Line(text="tải về", count=sums.fetched),
        Line(text="không đổi so với lần trước", count=sums.unchanged),
        Line(text="không tải", count=sum(sums.refused.values())),
        *parts(sums.refused),
        Line(text="tải hỏng", count=sum(sums.failed.values())),
        *parts(sums.failed),
        Line(text="còn chờ", count=sums.pending),
        Line(text="Trang đã tải", count=sums.fetched, total=True),
        Line(text="lưu thành bài", count=sums.stored),
        Line(text="trùng nội dung", count=sums.duplicate),
        Line(text="để riêng, không dùng", count=sum(sums.quarantined.values())),
        *parts(sums.quarantined),
    ]


def group(flags: list[FlagRow]) -> list[Found]:
    """Return the flags by canonical claim and passages, in the order of the strongest."""
    together: dict[tuple[object, ...], list[FlagRow]] = {}
    for flag in flags:
        beside = tuple(sorted(e.passage_sha256 for e in flag.evidence if e.on_point))
        together.setdefault((flag.claim_id, beside), []).append(flag)
    found = []
    for same in together.values():
        first = same[0]
        shown = tuple(e for e in first.evidence if e.on_point)
        found.append(
            Found(
                flag=first,
                places=tuple(same),
                claim=marking.pieces(first.claim, marking.marks(first.differences)),
                evidence=tuple(
                    (
                        e,
                        marking.pieces(e.text, marking.evidence_marks(e.text, first.differences)),
                    )
                    for e in shown
                ),
                differences=first.differences,
                decision=next((f.decision for f in same if f.decision is not None), None),
            )
        )
    return found


_ALARMS: Final = {
    "dead search": "trang tìm kiếm không đọc được",
    "empty search": "trang tìm kiếm rỗng",
    "refused search": "trang tìm kiếm không cho tải",
    "missed items": "có thể đã sót bài",
    "page budget used up": "đã dùng hết số trang cho phép, phần còn lại để lượt sau",
    "dead_feed": "nguồn tin không đọc được",
    "frozen_feed": "nguồn tin đứng yên",
    "empty_feed": "nguồn tin rỗng",
    "default_feed": "nhiều nguồn tin trả về cùng một danh sách",
    "redesign": "trang có thể đã đổi giao diện",
    "empty_bodies": "nhiều trang không có nội dung",
    "sudden_silence": "bỗng dưng ít bài",
    "sudden_flood": "bỗng dưng nhiều bài",
    "refused": "trang không cho tải",
    "truncated": "nhiều trang tải dở hoặc sai bảng mã",
    "dates_missing": "nhiều trang không rõ ngày",
    "repeated_text": "nhiều trang cùng một nội dung",
    "moved_host": "trang đã chuyển tên miền",
    "cooperative_share": "không còn bài về hợp tác xã",
    "unreachable": "không kết nối được",
    "dead feed": "nguồn tin không đọc được",
    "dead sitemap": "sơ đồ trang không đọc được",
    "dead listing": "trang danh mục không đọc được",
    "empty feed": "nguồn tin rỗng",
    "empty sitemap": "sơ đồ trang rỗng",
    "empty listing": "trang danh mục rỗng",
    "refused feed": "nguồn tin không cho tải",
    "refused sitemap": "sơ đồ trang không cho tải",
    "refused listing": "trang danh mục không cho tải",
    "robots unreachable": "không đọc được robots.txt, tuần này không tải",
}


def alarm_text(alarm: str) -> str:
    """Return an alarm with its kind in Vietnamese; what it names stays as it is."""
    kind, colon, rest = alarm.partition(": ")
    return f"{_ALARMS.get(kind, kind)}{colon}{rest}"


def weekly_report(store: Store, week: str, *, outlet_names: Mapping[str, str] | None = None) -> str:
    """Return the report of ``week`` (``2026-W40``) as one HTML page in Vietnamese."""
    runs = store.runs(week)
    flags = store.flags(week)
    counts = store.week_counts(week)
    names = dict(outlet_names or {})
    found = group(flags)
    concluded = [f.decision for f in found if f.decision is not None]
    year, number = (int(part) for part in week.split("-W"))
    pages = templates()
    pages.globals["outlet"] = lambda key: names.get(key, key)
    pages.filters["alarm"] = alarm_text
    return pages.get_template("report.html").render(
        week=week,
        first=date.fromisocalendar(year, number, 1),
        last=date.fromisocalendar(year, number, 7),
        runs=[(run, account_lines(run.accounting), run.accounting.mismatches()) for run in runs],
        counts=counts,
        found=found,
        flags=flags,
        agreed=Share(count=sum(d is Decision.REFUTED for d in concluded), of=len(concluded)),
        missed=Share(count=counts.sample_refuted, of=counts.sample_decided),
        changed=[d for d in concluded if d is not Decision.REFUTED],
        corrections=store.corrections(week),
        health=[h for run in runs for h in run.health],
        kinds=[k for k in Distortion if any(d.kind is k for f in flags for d in f.differences)],
    )
