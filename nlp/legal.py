"""Legal references: documents by number or name, their articles, and what points back to them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from nlp.remembered import remembered


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
    rf"(?<!\w)(?:(?:điểm\s+(?P<point3>[a-zđ])\s*,?\s*)?khoản\s+(?P<clause3>\d{{1,2}})\s+điều\s+(?P<pointer3>này)"
    rf"|(?:{_LOCATOR})\s+(?P<pointer4>nói\s+trên|nêu\s+trên|vừa\s+nêu|kể\s+trên)"
    rf"|(?:{_LOCATOR.replace('<point>', '<point5>').replace('<clause>', '<clause5>').replace('<article>', '<article5>')})(?:\s*,?\s*(?:(?:của|trong|tại)\s+)?(?:{_ANAPHOR}|{_DOCUMENT}))?"
    rf"|{_ANAPHOR.replace('<akind>', '<akind2>').replace('<pointer>', '<pointer2>')}(?!\s+(?:năm\s+)?\d)"
    rf"|{_DOCUMENT.replace('<kind>', '<kind2>').replace('<name>', '<name2>').replace('<number>', '<number2>').replace('<year>', '<year2>')}"
    rf"|(?P<bare>{_NUMBER}))(?!\w)",
    re.IGNORECASE,
)
_LIST: Final = re.compile(
    r"(?<!\w)điều\s+(?P<list>\d{1,3}[a-z]?(?:\s*,\s*\d{1,3}[a-z]?)*\s*(?:,|và|hoặc)\s*\d{1,3}[a-z]?)"
    rf"(?=\s+(?:(?:của|trong|tại)\s+)?(?:{_KIND})(?!\w))", re.IGNORECASE
)  # fmt: skip
_AND: Final = re.compile(r"\s*(?:,|và|hoặc|;)\s*", re.IGNORECASE)
_MENTIONED_NUMBER: Final = re.compile(r"\d{4}")


@remembered(4096)  # one sentence is read for its cues, its day and its sources
def legal_refs(text: str) -> tuple[LegalRef, ...]:
    """Return the legal references of ``text`` in order.

    A kind of document alone ("luật", "nghị quyết của đại hội") is no reference: it needs a number, a
    name with a year or an article, or a pointing word.
    """
    found: list[LegalRef] = []
    listed: list[tuple[int, list[re.Match[str]]]] = []
    shown = text
    for several in _LIST.finditer(text):
        numbers = list(re.finditer(r"\d{1,3}[a-z]?", several["list"]))
        begin, last = several.start("list"), several.start("list") + numbers[-1].start()
        shown = shown[:begin] + " " * (last - begin) + shown[last:]
        listed.append((begin, numbers[:-1]))
    for match in _REFERENCE.finditer(shown):
        groups = match.groupdict()

        def got(*names: str, groups: dict[str, str | None] = groups) -> str:
            return next((" ".join(v.split()) for n in names if (v := groups[n])), "")

        pointer = got("pointer", "pointer2", "pointer3", "pointer4").lower()
        number = got("number", "number2", "bare").replace(" ", "")
        name = got("name", "name2").lower()
        year_text = got("year", "year2")
        year = int(year_text) if year_text else _year_of(number)
        article = got("article", "article5")
        if not (number or article or pointer or name):
            continue
        found.append(
            LegalRef(
                start=match.start(),
                end=match.end(),
                text=text[match.start() : match.end()],
                kind=got("akind", "akind2", "kind", "kind2").lower(),
                number=number.upper().replace("TTG", "TTg") if number else "",
                name="hợp tác xã" if re.fullmatch(r"h\.?t\.?x", name) else (pointer or name),
                year=year,
                article=article,
                clause=got("clause", "clause3", "clause5"),
                point=got("point", "point3", "point5").lower(),
                anaphoric=bool(pointer),
            )
        )
    return _completed(text, found, listed)


def _completed(
    text: str, found: list[LegalRef], listed: list[tuple[int, list[re.Match[str]]]]
) -> tuple[LegalRef, ...]:
    """Give articles named together the document that follows the last of them."""
    for begin, numbers in listed:
        whole = next((r for r in found if r.start <= begin < r.end), None)
        if whole is None:
            continue
        last = begin + numbers[-1].end()
        at = found.index(whole)
        own = last + len(text[last : whole.end]) - len(text[last : whole.end].lstrip(" ,vàhoặ"))
        found[at] = replace(whole, start=own, text=text[own : whole.end])
        for number in reversed(numbers):
            start, end = begin + number.start(), begin + number.end()
            one = replace(
                whole,
                start=start,
                end=end,
                text=text[start:end],
                article=number[0],
                clause="",
                point="",
            )
            found.insert(at, one)
    for i in range(len(found) - 2, -1, -1):
        ref, after = found[i], found[i + 1]
        bare = ref.article and not (ref.number or ref.name or ref.kind)
        if bare and after.article and _AND.fullmatch(text[ref.end : after.start]):
            found[i] = replace(
                ref, kind=after.kind, number=after.number, name=after.name, year=after.year
            )
    return tuple(found)


def _year_of(number: str) -> int | None:
    parts = number.split("/")
    if len(parts) == 3 and _MENTIONED_NUMBER.fullmatch(parts[1]):
        return int(parts[1])
    return None
