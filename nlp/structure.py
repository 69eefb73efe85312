"""What a claim is made of: its kind, its parts, who is said to say it, and what it points back to.

All of it is read from the sentence and the few before it, at the moment it is shown: nothing here
is stored, and nothing names a person. Of a speaker only the role is kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nlp.legal import LegalRef, legal_refs
from nlp.quantities import extract


class ClaimKind(StrEnum):
    """What sort of statement a claim is; it decides what could settle it."""

    RULE = "rule"
    QUANTITY = "quantity"
    DEFINITION = "definition"
    COMPARISON = "comparison"
    QUOTATION = "quotation"
    EVENT = "event"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Who is said to say it: the verb, the role of the speaker, and where both stand.

    ``role`` is empty where only a name is given: names are never kept.
    """

    start: int
    end: int
    verb: str
    role: str
    is_direct: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """Words that point back, at ``start`` to ``end`` of the claim, and what they point to.

    ``meaning`` stands in the text word for word, ``sentences_back`` sentences before the claim.
    """

    start: int
    end: int
    text: str
    meaning: str
    sentences_back: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One of several claims of a sentence; ``subject`` is set where it is understood, not said."""

    start: int
    end: int
    text: str
    subject: str


def _words(*phrases: str) -> re.Pattern[str]:
    joined = "|".join(p.replace(" ", r"\s+") for p in sorted(phrases, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{joined})(?!\w)", re.IGNORECASE)


# -- kind ------------------------------------------------------------------------------------

_COMPARES: Final = _words(
    "so với", "gấp", "hơn hẳn", "cao hơn", "thấp hơn", "nhiều hơn", "ít hơn", "lớn hơn", "nhỏ hơn",
    "tăng", "giảm", "bằng một phần", "đứng đầu", "đứng thứ", "cao nhất cả nước", "vượt",
)  # fmt: skip
_DEFINES: Final = re.compile(
    r"(?<!\w)(?:là\s+(?:tổ\s+chức|loại\s+hình|pháp\s+nhân|cơ\s+quan|quỹ|phần|người|khoản|thành\s+viên|việc)"
    r"|được\s+(?:hiểu|gọi|coi)\s+là|có\s+tư\s+cách|gồm\s+(?:có\s+)?\d*\s*loại)(?!\w)",
    re.IGNORECASE,
)  # fmt: skip
_RULES: Final = _words(
    "phải", "không được", "được phép", "bắt buộc", "tối thiểu", "tối đa", "ít nhất", "nhiều nhất",
    "không quá", "không dưới", "quy định", "cấm", "có quyền", "có nghĩa vụ", "được miễn",
    "mức trần",
    "có hiệu lực", "hết hiệu lực", "không cần", "chỉ được", "được giảm", "theo luật", "trở lên",
)  # fmt: skip
_MAY: Final = re.compile(r"(?<!\w)được(?!\s+(?:biết|mùa|giá|khen|lòng|đánh\s+giá))(?!\w)", re.I)


def claim_kind(text: str) -> ClaimKind:
    """Return the kind of a claim; a rule stays one in whoever's mouth and with whatever figure."""
    found = extract(text)
    rule = _RULES.search(text) is not None
    if rule and (found.quantities or found.legal_refs or _MAY.search(text) or not found.dates):
        return ClaimKind.RULE
    if _COMPARES.search(text) and (found.quantities or "so với" in text.lower()):
        return ClaimKind.COMPARISON
    if _DEFINES.search(text):
        return ClaimKind.DEFINITION
    if any(q.unit for q in found.quantities):
        return ClaimKind.QUANTITY
    if rule or (_MAY.search(text) and not found.dates):
        return ClaimKind.RULE
    if attribution(text) is not None:
        return ClaimKind.QUOTATION
    return ClaimKind.EVENT


# -- attribution -----------------------------------------------------------------------------

_SAYS: Final = (
    r"cho\s+biết|cho\s+hay|nói\s+rằng|nói\s+thêm|nói|khẳng\s+định|nêu\s+rõ|nhấn\s+mạnh|chia\s+sẻ|cho\s+rằng|thừa\s+nhận|"
    r"giải\s+thích|trả\s+lời|phát\s+biểu|thông\s+tin|dẫn\s+lời|nhận\s+định|tuyên\s+bố|xác\s+nhận|quả\s+quyết|viết|kể|"
    r"phản\s+ánh|đề\s+nghị|lý\s+giải|tiết\s+lộ|lưu\s+ý|nhắc"
)  # fmt: skip
_ROLE: Final = (
    r"(?:phó\s+)?(?:chủ\s+tịch|giám\s+đốc|chủ\s+nhiệm|bí\s+thư|bộ\s+trưởng|thứ\s+trưởng|cục\s+trưởng|vụ\s+trưởng|"
    r"trưởng\s+phòng|trưởng\s+ban|trưởng\s+thôn|tổng\s+giám\s+đốc|tổng\s+thư\s+ký)|kế\s+toán(?:\s+trưởng)?|luật\s+sư|"
    r"chuyên\s+gia|thành\s+viên|xã\s+viên|nông\s+dân|cán\s+bộ|đại\s+diện|lãnh\s+đạo|phóng\s+viên|đại\s+biểu|cử\s+tri|"
    r"người\s+dân|báo\s+cáo|liên\s+minh|sở|bộ|cục|hội|trang\s+mạng|bài\s+viết|người\s+này|vị\s+này|tờ\s+báo|tiến\s+sĩ|giáo\s+sư"
)  # fmt: skip
_ATTRIBUTED: Final = re.compile(
    rf"(?P<who>(?:(?<=^)|(?<=[,.;:”\"“\s–-]))(?:(?:theo|cũng|một|các|nhiều|vị|ông|bà|anh|chị)\s+)*"
    rf"(?:(?P<role>{_ROLE})(?!\w))?[^,;:“”\"]{{0,70}}?)(?<!\w)(?P<verb>{_SAYS})(?!\w)",
    re.IGNORECASE,
)
_APPOSITION: Final = re.compile(
    rf"(?<!\w)(?:ông|bà|anh|chị)\s+[^,;:“”\"]{{2,40}},\s*(?P<role>{_ROLE})(?!\w)[^;:“”\"]{{0,60}}?,\s*"
    rf"(?P<verb>{_SAYS})(?!\w)",
    re.IGNORECASE,
)
_ACCORDING: Final = re.compile(
    rf"(?<!\w)theo\s+(?:lời\s+|ông\s+|bà\s+|một\s+|các\s+)*(?P<role>{_ROLE})?(?!\w)", re.IGNORECASE
)
_HAS_SPEAKER: Final = re.compile(
    rf"(?:^|\s)(?:ông|bà|anh|chị|vị|người|{_ROLE}|tôi|chúng\s+tôi|họ)(?!\w)", re.IGNORECASE
)
_NO_SPEECH: Final = re.compile(r"(?:không|chưa|chẳng|hay|tiếng|giọng)\s+$", re.IGNORECASE)


def attribution(text: str) -> Attribution | None:
    """Return who is said to say what ``text`` says, or None for the article's own voice.

    The first speaking verb with a speaker before it counts; "theo ..." counts only before a person
    or an office, since "theo luật" names a source and no speaker.
    """
    for match in (*_APPOSITION.finditer(text), *_ATTRIBUTED.finditer(text)):
        if _NO_SPEECH.search(text[: match.start("verb")]):
            continue
        if not _HAS_SPEAKER.search(text[match.start() : match.start("verb")]):
            continue
        quoted = text[match.end() : match.end() + 12].lstrip(" :,") + text[: match.start()]
        return Attribution(
            start=match.start(),
            end=match.end(),
            verb=" ".join(match["verb"].lower().split()),
            role=" ".join((match["role"] or "").lower().split()),
            is_direct=quoted[:1] in '“"«' or text[: match.start()].rstrip(" ,–-").endswith("”"),
        )
    according = _ACCORDING.search(text)
    if according and according["role"]:
        role = " ".join(according["role"].lower().split())
        return Attribution(
            start=according.start(), end=according.end(), verb="theo", role=role, is_direct=False
        )
    return None


# -- context ---------------------------------------------------------------------------------

_POINTS: Final = re.compile(
    r"(?<!\w)(?P<head>mức|con\s+số|tỷ\s+lệ|tỉ\s+lệ|khoản|số\s+tiền|số\s+vốn|thời\s+hạn|hợp\s+tác\s+xã|htx|liên\s+hiệp|quỹ|"
    r"đơn\s+vị|tổ\s+chức|cơ\s+quan|chính\s+sách|chương\s+trình|địa\s+phương|tỉnh|huyện|xã)\s+"
    r"(?P<this>này|đó|ấy|trên|nói\s+trên|nêu\s+trên)(?!\w)",
    re.IGNORECASE,
)
_FIGURES: Final = frozenset(
    {"mức", "con số", "tỷ lệ", "tỉ lệ", "khoản", "số tiền", "số vốn", "thời hạn"}
)
_NAMED: Final = re.compile(
    r"(?<!\w)(?P<name>(?:hợp\s+tác\s+xã|htx|liên\s+hiệp(?:\s+hợp\s+tác\s+xã)?|quỹ|tỉnh|huyện|xã|sở|bộ|liên\s+minh|"
    r"chương\s+trình|ngân\s+hàng)(?:\s+(?:nông\s+nghiệp|dịch\s+vụ|rau|hỗ\s+trợ|phát\s+triển|hợp\s+tác\s+xã|tín\s+dụng|"
    r"nhân\s+dân|vận\s+tải|thủy\s+sản|sản\s+xuất|và|tổng\s+hợp))*(?:\s+(?-i:[A-ZĐÀ-Ỹ])[\w-]*){1,6})",
    re.IGNORECASE,
)
MAX_BACK: Final = 3
"""Sentences looked back; farther off, what "này" means is a guess."""


def resolve(text: str, before: Sequence[str]) -> tuple[Resolved, ...]:
    """Return what the pointing words of ``text`` mean, read from the sentences ``before`` it.

    ``before`` is in reading order. "Luật này" is the document last named; "mức này" the figure last
    given, of the same kind of thing; "hợp tác xã này", "tỉnh này" the last one named. What cannot
    be told is left out: no guess is shown.
    """
    found: list[Resolved] = []
    back = [(i, s) for i, s in enumerate(reversed(before[-MAX_BACK:]), 1)]
    for ref in legal_refs(text):
        if ref.anaphoric and ref.name not in ("mới", "cũ", "hiện hành", "sửa đổi"):
            meant = _last_document(ref, back)
            if meant:
                found.append(_resolved(text, ref.start, ref.end, *meant))
    taken = [(r.start, r.end) for r in found]
    for match in _POINTS.finditer(text):
        if any(a < match.end() and match.start() < b for a, b in taken):
            continue
        head = " ".join(match["head"].lower().split())
        meant = _last_figure(head, back) if head in _FIGURES else _last_named(head, back)
        if meant:
            found.append(_resolved(text, match.start(), match.end(), *meant))
    return tuple(sorted(found, key=lambda r: r.start))


def _resolved(text: str, start: int, end: int, meaning: str, distance: int) -> Resolved:
    return Resolved(
        start=start, end=end, text=text[start:end], meaning=meaning, sentences_back=distance
    )


def _last_document(ref: LegalRef, back: Sequence[tuple[int, str]]) -> tuple[str, int] | None:
    for distance, sentence in back:
        named = [
            r
            for r in legal_refs(sentence)
            if not r.anaphoric
            and (r.number or r.year or r.name)
            and (ref.kind in ("văn bản", "quy định", "") or r.kind == ref.kind)
        ]
        if named:
            return named[-1].text, distance
    return None


def _last_figure(head: str, back: Sequence[tuple[int, str]]) -> tuple[str, int] | None:
    kinds = {
        "tỷ lệ": {"percent"}, "tỉ lệ": {"percent"}, "số tiền": {"money"}, "số vốn": {"money"},
        "khoản": {"money"}, "thời hạn": {"duration"},
    }.get(head)  # fmt: skip
    for distance, sentence in back:
        figures = [
            q
            for q in extract(sentence).quantities
            if q.unit and (kinds is None or str(q.kind) in kinds)
        ]
        if len(figures) == 1:
            return figures[0].text, distance
        if figures:
            return None  # two figures: which one is meant cannot be told
    return None


def _last_named(head: str, back: Sequence[tuple[int, str]]) -> tuple[str, int] | None:
    word = {"htx": "hợp tác xã"}.get(head, head)
    for distance, sentence in back:
        names = [" ".join(m["name"].split()) for m in _NAMED.finditer(sentence)]
        fitting = [
            n for n in names
            if n.lower().replace("htx", "hợp tác xã").startswith(word)
            or (word in ("đơn vị", "tổ chức", "cơ quan", "địa phương"))
        ]  # fmt: skip
        if len(set(fitting)) == 1:
            return fitting[0], distance
        if fitting:
            return None
    return None


# -- parts -----------------------------------------------------------------------------------

_CUT: Final = re.compile(
    r"\s*;\s+(?:còn\s+|và\s+|đồng\s+thời\s+)?|\s*,\s+(?:còn|trong\s+khi(?:\s+đó)?|đồng\s+thời|nhưng|song|và|trong\s+đó)\s+"
    r"|\s+(?:còn|trong\s+khi)\s+",
    re.IGNORECASE,
)
_PREDICATE: Final = re.compile(
    r"(?<!\w)(?:phải|được|có|là|không|cần|chỉ|gồm|đạt|góp|tăng|giảm|bị|do|chiếm|cấm|thuộc|nộp|họp|vay|"
    r"miễn|áp\s+dụng|quy\s+định)(?!\w)",
    re.IGNORECASE,
)
_SUBJECT: Final = re.compile(
    r"^(?:theo\s+[^,]{2,60},\s*)?(?P<subject>[^,;:]{2,60}?)\s+(?:(?:không|chỉ|cũng|đều|đã|sẽ|vẫn)\s+)*"
    r"(?:phải|được|có|là|cần|gồm|đạt|bị|do|thuộc|nộp|góp)(?!\w)",
    re.IGNORECASE,
)
MIN_PART: Final = 3


def parts(text: str) -> tuple[Part, ...]:
    """Return the claims of one sentence, each with its span; a single claim is one part.

    A cut is made only where both sides state something of their own (a predicate and at least
    `MIN_PART` words). A part that begins with its predicate takes the subject of the one before.
    """
    cuts = [0]
    ends = []
    for match in _CUT.finditer(text):
        left, right = text[cuts[-1] : match.start()], text[match.end() :]
        follows = _CUT.split(right)[0]
        if (
            _states(left)
            and _states(follows)
            and text.count("“", 0, match.start()) == text.count("”", 0, match.start())
        ):
            ends.append(match.start())
            cuts.append(match.end())
    ends.append(len(text.rstrip(' .!…”"')) if len(cuts) > 1 else len(text))
    out: list[Part] = []
    subject = ""
    for start, end in zip(cuts, ends, strict=True):
        piece = text[start:end]
        own = _SUBJECT.match(piece)
        starts_bare = _PREDICATE.match(piece) is not None
        out.append(Part(start=start, end=end, text=piece, subject=subject if starts_bare else ""))
        if own and not starts_bare:
            subject = own["subject"]
    return tuple(out)


def _states(piece: str) -> bool:
    return len(piece.split()) >= MIN_PART and _PREDICATE.search(piece) is not None
