"""The words on screen; nothing here passes judgement on a person, an outlet or an opinion."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Final
from urllib.parse import urlsplit

from kiemchung.domain import (
    AsOfMethod,
    Checkability,
    Decision,
    Distortion,
    Label,
    NeiReason,
    Speech,
    Status,
)
from nlp.structure import ClaimKind

VIETNAM: Final = timezone(timedelta(hours=7))

DECISIONS: Final[dict[Decision, str]] = {
    Decision.REFUTED: "Trái với căn cứ",
    Decision.SUPPORTED: "Phù hợp với căn cứ",
    Decision.NOT_ENOUGH_INFO: "Chưa đủ căn cứ",
    Decision.CONFLICTING: "Căn cứ mâu thuẫn nhau",
    Decision.UNCHECKABLE: "Không kiểm chứng được",
    Decision.SKIPPED: "Bỏ qua",
}
"""In the order of the keys 1 to 6."""

LABELS: Final[dict[Label, str]] = {
    Label.SUPPORTED: "phù hợp với căn cứ",
    Label.REFUTED: "trái với căn cứ",
    Label.NOT_ENOUGH_INFO: "chưa đủ căn cứ",
    Label.CONFLICTING: "căn cứ mâu thuẫn nhau",
}
STATUS: Final[dict[Status, str]] = {
    Status.OK: "máy có gợi ý",
    Status.ABSTAINED: "máy không kết luận",
    Status.FAILED: "máy chưa xét được (lỗi)",
}
REASONS: Final[dict[NeiReason, str]] = {
    NeiReason.NOT_FOUND: "cơ sở căn cứ không có điều nói về việc này",
    NeiReason.NOT_IN_FORCE: "căn cứ không còn hoặc chưa có hiệu lực vào ngày đó",
    NeiReason.INSUFFICIENT: "căn cứ chỉ nói một phần",
    NeiReason.OTHER_SERIES: "số liệu của chuỗi thống kê khác",
}
DISTORTIONS: Final[dict[Distortion, str]] = {
    Distortion.NUMBER: "Số liệu",
    Distortion.DATE: "Thời điểm",
    Distortion.ACTOR: "Chủ thể",
    Distortion.NEGATION: "Đảo nghĩa",
    Distortion.CONDITION_DROPPED: "Bỏ điều kiện",
    Distortion.EXAGGERATION: "Cường điệu",
    Distortion.MERGE_SPLIT: "Gộp hoặc tách",
    Distortion.OUT_OF_CONTEXT: "Ngoài bối cảnh",
    Distortion.WRONG_SOURCE: "Dẫn nguồn khác",
    Distortion.LAW_EXPIRED: "Luật hết hiệu lực",
}
CHECKABILITY: Final[dict[Checkability, str]] = {
    Checkability.CHECKABLE: "kiểm chứng được",
    Checkability.OPINION: "ý kiến",
    Checkability.FORECAST: "dự báo",
    Checkability.EXPERIENCE: "trải nghiệm riêng",
    Checkability.UNDERSPECIFIED: "thiếu thông tin",
}
SPEECH: Final[dict[Speech, str]] = {
    Speech.OWN_VOICE: "lời của bài",
    Speech.DIRECT_QUOTE: "trích dẫn trực tiếp",
    Speech.INDIRECT_QUOTE: "dẫn lại lời người khác",
    Speech.HEADLINE: "tiêu đề",
    Speech.REBUTTAL: "nhắc lại để bác bỏ",
}
AS_OF: Final[dict[AsOfMethod, str]] = {
    AsOfMethod.PUBLICATION: "theo ngày đăng bài",
    AsOfMethod.NAMED_DATE: "câu tự nêu ngày",
    AsOfMethod.NAMED_LAW: "câu tự nêu văn bản",
    AsOfMethod.UNKNOWN: "không rõ ngày đăng, nên máy không xét",
}
VIEWS: Final[dict[str, str]] = {
    "queue": "Chờ duyệt",
    "flagged": "Cần xem lại",
    "all": "Tất cả",
    "decided": "Đã duyệt",
}


def day(value: date | None) -> str:
    """Return ``30/6/2024``; a dash for no day."""
    return "–" if value is None else f"{value.day}/{value.month}/{value.year}"


def moment(value: datetime | None) -> str:
    """Return day and time in Viet Nam; the words "không rõ" for an unknown moment."""
    if value is None:
        return "không rõ"
    local = value.astimezone(VIETNAM)
    return f"{day(local.date())}, {local.hour:02d}:{local.minute:02d}"


def validity(start: date, end: date | None) -> str:
    """Return from when to when a passage held; ``end`` is its first day without force."""
    if end is None:
        return f"hiệu lực từ {day(start)}"
    return f"hiệu lực từ {day(start)} đến {day(end - timedelta(days=1))}"


def share(value: float | None) -> str:
    """Return a probability as ``93 %``; a dash for none."""
    return "–" if value is None else f"{round(value * 100)} %"


def link(address: str) -> str:
    """Return ``address`` when a browser may follow it, else nothing: only http and https."""
    if any(ord(letter) <= 32 for letter in address):
        return ""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return address if parts.scheme in ("http", "https") and parts.hostname else ""


def host(address: str) -> str:
    """Return the host of ``address`` to show beside a link."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


KINDS: Final = {
    ClaimKind.RULE: "quy định",
    ClaimKind.QUANTITY: "số liệu",
    ClaimKind.DEFINITION: "định nghĩa",
    ClaimKind.COMPARISON: "so sánh",
    ClaimKind.QUOTATION: "lời dẫn",
    ClaimKind.EVENT: "sự việc",
}
