"""The day that a claim is about: its own words first, the publication day otherwise.

A sentence of 2022 is not wrong for disagreeing with a law of 2024, and a sentence of 2025 that says
"theo Luật Hợp tác xã năm 2012" is judged by that law.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from kiemchung.domain import AsOfMethod, Document
from nlp.quantities import DateKind, DateRelation, DateValue, LegalRef, extract

_DAY: Final = timedelta(days=1)
_PAST: Final = re.compile(
    r"(?<!\w)(?:trước\s+đây|trước\s+kia|trước\s+đó|luật\s+cũ|quy\s+định\s+cũ|luật\s+trước)(?!\w)",
    re.I,
)
_NOW: Final = re.compile(
    r"(?<!\w)(?:nay|hiện\s+nay|hiện\s+tại|hiện|hiện\s+hành|luật\s+mới|bây\s+giờ|giờ\s+đây|còn|xuống)(?!\w)",
    re.I,
)
_FORCE: Final = re.compile(
    r"(?<!\w)(?:có\s+hiệu\s+lực|hết\s+hiệu\s+lực|thay\s+thế|ban\s+hành|thông\s+qua|thay\s+luật)(?!\w)",
    re.I,
)
_STILL: Final = re.compile(
    r"(?<!\w)(?:còn|đang\s+có|vẫn\s+có|vẫn\s+đang|đang\s+còn|vẫn\s+còn)\s+(?:có\s+|nguyên\s+)?hiệu\s+lực(?!\w)",
    re.I,
)
"""Whether a law is in force is asked of the day of publication, whatever law is named."""
_EVENT: Final = re.compile(
    r"(?<!\w)(?:ký|ký\s+kết|thành\s+lập|đăng\s+ký|được\s+cấp|cấp|phát\s+sinh|góp|gia\s+nhập|vay|hoạt\s+động|"
    r"ra\s+đời|có\s+từ|lập|tồn\s+tại)\s+(?:từ\s+)?(?:trước|sau|từ|kể\s+từ)?\s*(?:ngày|thời\s+điểm|năm|tháng)?\s*$",
    re.I,
)
"""A date behind one of these says when something else happened ("hợp đồng ký trước ngày ...")."""
_FOUNDED: Final = re.compile(
    r"(?<!\w)(?:thành\s+lập|lập|đăng\s+ký|ra\s+đời|hoạt\s+động|ký|ký\s+kết)\s+theo\s+$", re.I
)
"""A law behind one of these says under which law something arose, not which law the claim is of."""
_RULE: Final = re.compile(
    r"(?<!\w)(?:phải|được|không\s+được|tối\s+thiểu|tối\s+đa|ít\s+nhất|không\s+quá|mức\s+trần|trần|quy\s+định|"
    r"cần|chỉ|cho\s+phép|bắt\s+buộc|áp\s+dụng)(?!\w)", re.I
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimDay:
    """The day, where it was read from, and the words that named it (empty for publication)."""

    day: date
    method: AsOfMethod
    words: str


def _matches(ref: LegalRef, document: Document) -> bool:
    if ref.number:
        return ref.number.casefold() == document.number.casefold()
    if ref.anaphoric or ref.name not in document.title.lower():
        return False
    if ref.kind and ref.kind != _kind_word(document):
        return False
    if ref.year is None:
        return False
    years = {document.issued.year} if document.issued else set()
    years |= {int(y) for n in document.short_names for y in re.findall(r"(?:19|20)\d\d", n)}
    return ref.year in years


def _kind_word(document: Document) -> str:
    words = {
        "law": "luật",
        "decree": "nghị định",
        "circular": "thông tư",
        "resolution": "nghị quyết",
    }
    return words.get(document.kind, document.title.lower().split(" ")[0])


def named_documents(sentence: str, documents: Sequence[Document]) -> tuple[Document, ...]:
    """Return the documents that ``sentence`` names by number or by name and year, in its order."""
    found: list[Document] = []
    for ref in extract(sentence).legal_refs:
        found += [d for d in documents if _matches(ref, d) and d not in found]
    return tuple(found)


def _day_of_document(document: Document, published: date) -> date:
    """Return a day on which ``document`` was in force, as near to ``published`` as there is."""
    if published < document.valid_from:
        return document.valid_from
    if document.valid_to is not None and published >= document.valid_to:
        return document.valid_to - _DAY
    return published


def _day_of_date(value: DateValue, published: date) -> date | None:
    if value.relation is DateRelation.BEFORE:
        return value.first - _DAY
    if value.relation in (DateRelation.FROM, DateRelation.AFTER):
        later = value.relation is DateRelation.AFTER and value.kind is not DateKind.DAY
        start = value.last + _DAY if later else value.first
        # A rule "from 2013 on" is still spoken of on the day of publication.
        return max(start, published) if start <= published else start
    if value.kind is DateKind.DAY:
        return (
            None if value.relation is DateRelation.ON and value.first > published else value.first
        )
    return min(value.last, published) if value.first <= published else None


def _cooperative_law(documents: Sequence[Document]) -> list[Document]:
    laws = [d for d in documents if d.kind == "law" and "hợp tác xã" in d.title.lower()]
    return sorted(laws, key=lambda d: d.valid_from)


def _pointed(ref: LegalRef, documents: Sequence[Document], published: date) -> Document | None:
    """Return the cooperative law that "luật cũ", "luật mới" points to on the publication day."""
    laws = _cooperative_law(documents)
    begun = [d for d in laws if d.issued is None or d.issued <= published]
    if not begun or ref.kind not in ("luật", "đạo luật", "quy định", "văn bản"):
        return None
    if ref.name in ("mới", "sửa đổi"):
        return begun[-1]
    if ref.name in ("cũ", "trước đây", "trước đó"):
        ended = [d for d in laws if d.valid_to is not None and d.valid_to <= published]
        if ended:
            return ended[-1]
        return begun[-2] if len(begun) > 1 else None
    return None


def claim_day(
    sentence: str,
    *,
    published: date,
    documents: Sequence[Document],
    context: str = "",
) -> ClaimDay:
    """Return the day that the claim in ``sentence`` is about.

    In this order: a document named by number or by name and year gives a day on which it was in
    force (the publication day where that is one, else its last day, or its first day when it had
    not begun); a named date gives the day before it ("trước"), the day itself ("từ", "kể từ"; the
    publication day when that lies later), or the last day of its period ("năm 2022"), never after
    publication; "luật cũ" and "luật mới" point to the cooperative law before and after; "luật này"
    points to the document last named in ``context``. Where old and new stand side by side in one
    sentence ("trước đây ... nay ..."), or two documents are named, the newer one decides. A sentence
    about when a law takes effect is judged on the day of publication by that law's own facts.
    """
    found = extract(sentence, published=published)
    contrast = bool(_PAST.search(sentence) and _NOW.search(sentence))
    named = list(named_documents(sentence, documents))
    if not named:
        for ref in found.legal_refs:
            if not ref.anaphoric or _FOUNDED.search(sentence[: ref.start]):
                continue
            pointed = _pointed(ref, documents, published)
            if pointed is None and ref.name in (
                "này",
                "nói trên",
                "nêu trên",
                "vừa nêu",
                "đó",
                "ấy",
            ):
                before = named_documents(context, documents)
                pointed = before[-1] if before else None
            if pointed is not None:
                named.append(pointed)
    if named and _STILL.search(sentence):
        return ClaimDay(day=published, method=AsOfMethod.PUBLICATION, words="")
    if named:
        newest = max(named, key=lambda d: d.valid_from)
        return ClaimDay(
            day=_day_of_document(newest, published),
            method=AsOfMethod.NAMED_LAW,
            words=newest.number or newest.title,
        )
    dates = [
        d
        for d in found.dates
        if d.resolved and not _EVENT.search(sentence[max(0, d.start - 40) : d.start])
    ]
    if contrast or not dates:
        return ClaimDay(day=published, method=AsOfMethod.PUBLICATION, words="")
    limits = [
        d for d in dates
        if d.relation in (DateRelation.BEFORE, DateRelation.FROM, DateRelation.AFTER)
    ]  # fmt: skip
    for value in limits or dates:
        if _FORCE.search(sentence) and not _RULE.search(sentence):
            break
        day = _day_of_date(value, published)
        if day is not None and _plausible(day):
            return ClaimDay(day=day, method=AsOfMethod.NAMED_DATE, words=value.text)
    return ClaimDay(day=published, method=AsOfMethod.PUBLICATION, words="")


def _plausible(day: date) -> bool:
    return date(1950, 1, 1) <= day <= date(2100, 1, 1)
