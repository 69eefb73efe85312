"""The weekly report: one HTML page without scripts or foreign parts, made to be printed and kept.

It is derived from the store and the week alone: the same rows give the same page on any day, but
for what people concluded and answered since. Pages that refuse quoting are counted, not quoted. The
same facts go out as JSON, see `as_dict`, and as an entry of the feed, see `dashboards.feed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import copy_context
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from importlib import resources
from typing import Any, Final

from markupsafe import Markup

from dashboards import charts, language, marking, words
from dashboards.figures import Estimate, weekly_estimate
from dashboards.shell import templates
from kiemchung.domain import Accounting, Decision, Difference
from kiemchung.store import EvidenceRow, FlagRow, RunRow, Store, WeekCounts
from kiemchung.store.corrections import Correction, Reversal, corrections, reversals
from kiemchung.store.decided import OPT_OUTS
from kiemchung.store.monitor import Monitor
from kiemchung.store.monitor_rows import Recurrence, Volume

WEEKS_SHOWN: Final = 12
LEDGER_WEEKS: Final = 13
"""How long an answered request stays in the ledger of the reports: a quarter of a year."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a week's report says, before it is put into words."""

    week: str
    first: date
    last: date
    runs: tuple[RunRow, ...]
    counts: WeekCounts
    found: tuple[Found, ...]
    withheld: int  # flagged claims that stand only on pages that refuse quoting
    decisions: tuple[Decision, ...]  # on the week's flagged claims, copies once
    estimate: Estimate
    volume: tuple[Volume, ...]  # the weeks up to this one
    recurrence: tuple[Recurrence, ...]
    reversals: tuple[Reversal, ...]
    answered: tuple[Correction, ...]
    open_requests: int

    @property
    def changed(self) -> list[Found]:
        """Flags to which people said something else."""
        return [f for f in self.found if f.decision not in (None, Decision.REFUTED)]

    @property
    def volume_now(self) -> Volume | None:
        """This week's row of the volume."""
        return next((v for v in self.volume if v.week == self.week), None)

    @property
    def recurrence_now(self) -> Recurrence | None:
        """This week's row of new and recurring claims."""
        return next((r for r in self.recurrence if r.week == self.week), None)


def bounds(week: str) -> tuple[datetime, datetime]:
    """Return the first moment of ``week`` in Viet Nam and the first after it."""
    year, number = (int(part) for part in week.split("-W"))
    monday = datetime.combine(date.fromisocalendar(year, number, 1), time(), words.VIETNAM)
    return monday, monday + timedelta(days=7)


def collect(store: Store, week: str, monitor: Monitor | None = None) -> Report:
    """Return what the report of ``week`` (``2026-W40``) says."""
    monitor = monitor or Monitor(store)
    start, end = bounds(week)
    every = store.flags(week)
    counts = store.week_counts(week)
    all_found = group(every)
    found = group([f for f in every if not OPT_OUTS & set(f.opt_outs)])
    decisions = tuple(f.decision for f in all_found if f.decision is not None)
    ledger = corrections(store, until=end)
    since = end - timedelta(weeks=LEDGER_WEEKS)
    return Report(
        week=week,
        first=start.date(),
        last=(end - timedelta(days=1)).date(),
        runs=tuple(store.runs(week)),
        counts=counts,
        found=tuple(found),
        withheld=len(all_found) - len(found),
        decisions=decisions,
        estimate=weekly_estimate(store, week, counts, decisions),
        volume=tuple(monitor.volume(week, weeks=WEEKS_SHOWN)),
        recurrence=tuple(monitor.recurrence(week, weeks=WEEKS_SHOWN)),
        reversals=tuple(reversals(store, start, end)),
        answered=tuple(c for c in ledger if c.resolved_at is not None and c.resolved_at >= since),
        open_requests=sum(c.resolved_at is None for c in ledger),
    )


def _charts(report: Report) -> dict[str, Markup]:
    weeks = [v.week for v in report.volume]
    return {
        "stories": charts.columns(
            "stories",
            "Câu chuyện về hợp tác xã theo tuần",
            weeks,
            [
                charts.Series(name="tất cả", values=tuple(v.stories for v in report.volume)),
                charts.Series(
                    name="có khẳng định cần xem lại",
                    values=tuple(v.flagged_stories for v in report.volume),
                ),
            ],
            stacked=False,
        ),
        "claims": charts.columns(
            "claims",
            "Khẳng định cần xem lại: mới và đã gặp",
            [r.week for r in report.recurrence],
            [
                charts.Series(
                    name="gặp lần đầu", values=tuple(r.flagged_new for r in report.recurrence)
                ),
                charts.Series(
                    name="đã gặp ở tuần trước đó",
                    values=tuple(r.flagged_recurring for r in report.recurrence),
                ),
            ],
        ),
    }


def stylesheet() -> str:
    """Return the style of the report; the page carries it, the desk serves it as a file."""
    return (resources.files("dashboards") / "static" / "report.css").read_text(encoding="utf-8")


def as_html(
    report: Report,
    *,
    outlet_names: Mapping[str, str] | None = None,
    contact: str = "",
    standalone: bool = True,
) -> str:
    """Return the page in Vietnamese: whole in itself, or with the style as the desk's own file."""
    names = dict(outlet_names or {})

    def render() -> str:
        language.use("vi")
        pages = templates()
        pages.globals["outlet"] = lambda key: names.get(key, key)
        pages.filters["alarm"] = alarm_text
        drawn = _charts(report) if report.volume else {}
        return pages.get_template("report.html").render(
            r=report,
            css=Markup(stylesheet()) if standalone else "",  # our own file, no foreign text
            accounts=[(run, account_lines(run.accounting), run.accounting.mismatches())
                      for run in report.runs],
            health=[h for run in report.runs for h in run.health],
            charts=drawn,
            contact=contact,
            claims={c.week: c for c in report.recurrence},
        )  # fmt: skip

    return copy_context().run(render)


def weekly_report(store: Store, week: str, *, outlet_names: Mapping[str, str] | None = None) -> str:
    """Return the report of ``week`` (``2026-W40``) as one HTML page in Vietnamese."""
    return as_html(collect(store, week), outlet_names=outlet_names)


def as_dict(report: Report) -> dict[str, Any]:
    """Return the report as plain values, in the order of the page; see docs/report.md."""
    now, seen = report.volume_now, report.recurrence_now
    return {
        "format": "kiemchung-report/1",
        "week": report.week,
        "first_day": report.first.isoformat(),
        "last_day": report.last.isoformat(),
        "note": (
            "Mỗi mục là gợi ý của máy về một khẳng định đặt cạnh một căn cứ được dẫn, không phải"
            " kết luận về người viết, tờ báo hay ý kiến của ai. Chỉ người duyệt kết luận."
        ),
        "stories": {
            "about_cooperatives": now.stories if now else 0,
            "with_checkable_claims": now.claim_stories if now else 0,
            "with_flags": now.flagged_stories if now else 0,
            "found_contrary": now.contrary_stories if now else 0,
        },
        "claims": {
            "new": seen.new if seen else 0,
            "recurring": seen.recurring if seen else 0,
            "returned": seen.returned if seen else 0,
            "flagged": len(report.found) + report.withheld,
            "withheld": report.withheld,
        },
        "coverage": {
            "labels": {str(k): n for k, n in sorted(report.counts.label.items())},
            "status": {str(k): n for k, n in sorted(report.counts.status.items())},
            "not_enough_because": {str(k): n for k, n in sorted(report.counts.nei_reason.items())},
        },
        "estimate": report.estimate.as_dict(),
        "flags": [_flag_dict(f) for f in report.found],
        "wrong": {
            "flags_decided_otherwise": [
                {"claim": f.flag.claim, "decision": str(f.decision)} for f in report.changed
            ],
            "conclusions_changed": [
                {
                    "claim": None if r.refused else r.claim,
                    "before": str(r.before),
                    "after": str(r.after),
                }
                for r in report.reversals
            ],
            "corrections": [
                {
                    "number": c.key,
                    "claim": None if c.refused else c.claim,
                    "received": c.received_at.astimezone(words.VIETNAM).date().isoformat(),
                    "outcome": str(c.outcome),
                    "answer": c.public_note,
                }
                for c in report.answered
            ],
            "open_requests": report.open_requests,
        },
        "runs": [
            {
                "run": run.run_id,
                "model": run.model_id,
                "base": run.base_version,
                "program": run.code_version,
                "alarms": list(run.alarms),
            }
            for run in report.runs
        ],
    }


def _flag_dict(found: Found) -> dict[str, Any]:
    return {
        "claim": found.flag.claim,
        "about": found.flag.as_of.isoformat(),
        "probability": round(found.flag.p_refuted, 4),
        "decision": None if found.decision is None else str(found.decision),
        "evidence": [
            {
                "citation": e.citation,
                "text": e.text,
                "valid_from": e.valid_from.isoformat(),
                "valid_until": None
                if e.valid_to is None
                else (e.valid_to - timedelta(days=1)).isoformat(),
                "url": words.link(e.url) or None,
            }
            for e, _ in found.evidence
        ],
        "differences": [
            {"kind": str(d.kind), "claim": d.claim, "evidence": d.evidence}
            for d in found.differences
        ],
        "places": [
            {
                "outlet": p.outlet,
                "title": p.title,
                "url": words.link(p.url) or None,
                "published": None
                if p.published_at is None
                else p.published_at.astimezone(words.VIETNAM).date().isoformat(),
            }
            for p in found.places
        ],
    }
