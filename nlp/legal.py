"""Legal references: documents by number or name, their articles, and what points back to them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalRef:
    """A reference to a document or a part of one; empty text where a part is not named.

    ``anaphoric`` marks "luật này", "luật mới" and the like, whose document the context names.
    """

    start: int
    end: int
    text: str
    kind: str  # luật, nghị định, thông tư, nghị quyết, quyết định, ... or "" for a bare article
    number: str  # 17/2023/QH15
    name: str  # hợp tác xã; for an anaphor the pointing word: này, mới, cũ, hiện hành
    year: int | None
    article: str
    clause: str
    point: str
    anaphoric: bool = False


_KIND: Final = (
    r"bộ\s+luật|luật|nghị\s+định|thông\s+tư\s+liên\s+tịch|thông\s+tư|nghị\s+quyết|quyết\s+định|"
    r"chỉ\s+thị|pháp\s+lệnh|hiến\s+pháp|kết\s+luận"
)
_NUMBER: Final = (
    r"\d{1,5}\s?(?:/\s?\d{4})?\s?/\s?(?:QH\d{1,2}|UBTVQH\d{1,2}|NĐ-CP|NQ-CP|NQ-HĐND|NQ/TW|"
    r"(?:QĐ|TT|TTLT|CT|NQ|KL|L)-[A-ZĐ]{2,12}(?:-[A-ZĐ]{2,12})*)"
    r"|\d{1,4}-(?:NQ|CT|KL|QĐ)/(?:TW|T\.?Ư\.?|TU)"
)
_NAMES: Final = (
    r"hợp\s+tác\s+xã|h\.?t\.?x|thuế\s+thu\s+nhập\s+doanh\s+nghiệp|thuế\s+tndn|quản\s+lý\s+thuế|"
    r"hỗ\s+trợ\s+doanh\s+nghiệp\s+nhỏ\s+và\s+vừa|các\s+tổ\s+chức\s+tín\s+dụng|ngân\s+sách\s+nhà\s+nước|"
    r"bảo\s+hiểm\s+xã\s+hội|doanh\s+nghiệp|đất\s+đai|đầu\s+tư|phá\s+sản|kế\s+toán|thủy\s+lợi|thuỷ\s+lợi|"
    r"lao\s+động|dân\s+sự|hình\s+sự|việc\s+làm|chứng\s+khoán|trồng\s+trọt|chăn\s+nuôi|thủy\s+sản|thuỷ\s+sản"
)
_LOCATOR: Final = (
    r"(?:điểm\s+(?P<point>[a-zđ])\s*,?\s*)?(?:khoản\s+(?P<clause>\d{1,2}[a-z]?)\s*,?\s*)?"
    r"điều\s+(?P<article>\d{1,3}[a-z]?)"
)
_DOCUMENT: Final = (
    rf"(?P<kind>{_KIND})(?:\s+(?P<name>{_NAMES}))?(?:\s+\(?(?:sửa\s+đổi|mới|cũ)\)?)?"
    rf"(?:,?\s*(?:số\s*:?\s*)?(?P<number>{_NUMBER}))?"
    r"(?:\s*,?\s*(?:ban\s+hành\s+|được\s+thông\s+qua\s+|sửa\s+đổi\s+)?\(?(?:năm\s+)?(?P<year>(?:19|20)\d\d)\)?(?!\s?/|[.,]?\d))?"
)
_ANAPHOR: Final = (
    r"(?P<akind>luật|nghị\s+định|thông\s+tư|nghị\s+quyết|văn\s+bản|quy\s+định|đạo\s+luật)\s+"
    r"(?:(?:hợp\s+tác\s+xã|htx)\s+)?"
    r"(?P<pointer>này|nói\s+trên|nêu\s+trên|vừa\s+nêu|kể\s+trên|trên|đó|ấy|mới|cũ|hiện\s+hành|"
    r"hiện\s+nay|đang\s+có\s+hiệu\s+lực|đang\s+áp\s+dụng|trước\s+đây|trước\s+đó|sửa\s+đổi)"
)
_REFERENCE: Final = re.compile(
    rf"(?<!\w)(?:(?:{_LOCATOR})(?:\s*,?\s*(?:(?:của|trong|tại)\s+)?(?:{_ANAPHOR}|{_DOCUMENT}))?"
    rf"|{_ANAPHOR.replace('<akind>', '<akind2>').replace('<pointer>', '<pointer2>')}(?!\s+(?:năm\s+)?\d)"
    rf"|{_DOCUMENT.replace('<kind>', '<kind2>').replace('<name>', '<name2>').replace('<number>', '<number2>').replace('<year>', '<year2>')}"
    rf"|(?P<bare>{_NUMBER}))(?!\w)",
    re.IGNORECASE,
)
_MENTIONED_NUMBER: Final = re.compile(r"\d{4}")


def legal_refs(text: str) -> tuple[LegalRef, ...]:
    """Return the legal references of ``text`` in order.

    A kind of document alone ("luật", "nghị quyết của đại hội") is no reference: it needs a number, a
    name with a year or an article, or a pointing word.
    """
    found = []
    for match in _REFERENCE.finditer(text):
        groups = match.groupdict()

        def got(*names: str, groups: dict[str, str | None] = groups) -> str:
            return next((" ".join(v.split()) for n in names if (v := groups[n])), "")

        pointer = got("pointer", "pointer2").lower()
        number = got("number", "number2", "bare").replace(" ", "")
        name = got("name", "name2").lower()
        year_text = got("year", "year2")
        year = int(year_text) if year_text else _year_of(number)
        article = got("article")
        if not (number or article or pointer or name):
            continue
        found.append(
            LegalRef(
                start=match.start(),
                end=match.end(),
                text=match[0],
                kind=got("akind", "akind2", "kind", "kind2").lower(),
                number=number.upper().replace("TTG", "TTg") if number else "",
                name="hợp tác xã" if re.fullmatch(r"h\.?t\.?x", name) else (pointer or name),
                year=year,
                article=article,
                clause=got("clause"),
                point=got("point").lower(),
                anaphoric=bool(pointer),
            )
        )
    return tuple(found)


def _year_of(number: str) -> int | None:
    parts = number.split("/")
    if len(parts) == 3 and _MENTIONED_NUMBER.fullmatch(parts[1]):
        return int(parts[1])
    return None
