"""Why a passage that speaks of the same thing in the same words may still not bear a claim out.

"Hồ sơ được nộp trực tiếp hoặc qua mạng" shares nearly every word with "hồ sơ bắt buộc phải nộp trực
tiếp" and does not say it. Each doubt here only takes a "supported" back to "not enough"; none of
them refutes anything.
"""

from __future__ import annotations

import re
from typing import Final

_TERM: Final = re.compile(r"chung không chia")
_FORBIDS: Final = re.compile(
    r"(?<!\w)(?:cấm|nghiêm cấm|không chia cho|không có quyền|phải chấm dứt|phải dừng|"
    r"phải ngừng|(?:không cho(?: phép)?|không được)"
    r"(?! (?:\w+ ){0,4}?(?:quá|vượt|dưới|thấp hơn|ít hơn)(?!\w)))(?!\w)"
)
_NEGATIVE: Final = re.compile(r"(?<!\w)(?:không|chưa|cấm|trừ|chấm dứt|dừng|ngừng|chỉ)(?!\w)")
_ONLY: Final = re.compile(r"(?<!\w)(?:chỉ được|chỉ cho|chỉ phải|bắt buộc)(?!\w)")
_NARROWS: Final = re.compile(
    r"(?<!\w)(?:chỉ|duy nhất|bắt buộc|phải|tối đa|tối thiểu|ít nhất|không quá|mới|từ đủ|luôn)(?!\w)"
)
_MUST: Final = re.compile(r"(?<!\w)bắt buộc(?!\w)")
_BOUND_TO: Final = re.compile(r"(?<!\w)(?:bắt buộc|phải|buộc)(?!\w)")
_AGENT: Final = re.compile(
    r"(?<!\w)do ((?:\w+ ){1,8}?)(?:phê duyệt|bầu|bổ nhiệm|ban hành|cấp|quyết định|"
    r"quy định|chỉ định|thông qua)(?!\w)"
)
_SIZE: Final = re.compile(
    r"(?<!\w)(siêu nhỏ|quy mô nhỏ|quy mô vừa|quy mô lớn|xã nhỏ|xã vừa|xã lớn)(?!\w)"
)
_PAIRS: Final = (("đầy đủ", "rút gọn"), ("trực tiếp", "gián tiếp"), ("trong nước", "nước ngoài"))
_FREQUENCY: Final = re.compile(
    r"(?<!\w)(?:(hằng|hàng|mỗi) (tuần|tháng|quý|năm)"
    r"|(\d+) (tuần|tháng|quý|năm) (?:một|1) lần)(?!\w)"
)
_KIN: Final = re.compile(r"(?<!\w)(?:vợ|chồng|con|cha|mẹ|anh|chị|em) (?:của|ruột|rể|dâu)(?!\w)")
_MONTHS: Final = {"tuần": 0.25, "tháng": 1.0, "quý": 3.0, "năm": 12.0}


def doubt(claim: str, passage: str) -> str:
    """Return why ``passage`` may not bear ``claim`` out, or an empty string.

    Both are in lower case with single blanks, as `models.decide` sees them.
    """
    claim, passage = _TERM.sub("chung", claim), _TERM.sub("chung", passage)
    for one, other in ((claim, passage), (passage, claim)):
        if _FORBIDS.search(one) and not _NEGATIVE.search(other):
            return "one side forbids"
    if _ONLY.search(claim) and not _NARROWS.search(passage):
        return "the claim narrows"
    if _MUST.search(claim) and not _BOUND_TO.search(passage):
        return "the claim compels"
    ours, theirs = _AGENT.search(claim), _AGENT.search(passage)
    if ours and theirs:
        mine, known = set(ours[1].split()), set(theirs[1].split())
        if len(mine & known) <= 0.5 * min(len(mine), len(known)):
            return "another agent"
    if {_size(s) for s in _SIZE.findall(claim)} - {_size(s) for s in _SIZE.findall(passage)} and (
        not all(_size(s) in passage for s in _SIZE.findall(claim))
    ):
        return "another size"
    for a, b in _PAIRS:
        for x, y in ((a, b), (b, a)):
            if x in claim and y not in claim and y in passage and x not in passage:
                return "the opposite kind"
    often = _frequencies(claim)
    if often and (known := _frequencies(passage)) and not often & known:
        return "another frequency"
    if _KIN.search(claim) and not _KIN.search(passage):
        return "an exception by kinship"
    return ""


def _size(found: str) -> str:
    return found.replace("quy mô ", "").replace("xã ", "")


def _frequencies(view: str) -> set[float]:
    """Return the periods, in months, at which something is said to recur."""
    found = set()
    for match in _FREQUENCY.finditer(view):
        every = _MONTHS[match[2] or match[4]]
        found.add(every * int(match[3]) if match[3] else every)
    return found
