"""Is an article about cooperatives, or does it only mention one?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from nlp.text import fold, is_undiacritised, skeleton_text

_TERMS: Final = (
    r"hợp tác xã|liên hiệp hợp tác xã|tổ hợp tác|kinh tế tập thể|kinh tế hợp tác|xã viên|"
    r"quỹ chung không chia|tín dụng nội bộ|quỹ hỗ trợ phát triển hợp tác xã"
)
_TERM: Final = re.compile(rf"(?<!\w)(?:{_TERMS})(?!\w)")
_FOLDED_TERM: Final = re.compile(rf"(?<!\w)(?:{fold(_TERMS)})(?!\w)")
_FIELD: Final = re.compile(
    r"(?<!\w)(?:thành viên|vốn điều lệ|vốn góp|đại hội thành viên|ban quản trị|hội đồng quản trị|"
    r"ban kiểm soát|luật hợp tác xã|giám đốc hợp tác xã|hợp tác xã nông nghiệp)(?!\w)"
)
_OTHER: Final = re.compile(r"(?<!\w)(?:quỹ tín dụng nhân dân|ngân hàng hợp tác xã)(?!\w)")
MIN_HITS: Final = 3
MIN_PER_1000_WORDS: Final = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """The decision, a short key of its reason, and how many times the subject is named."""

    about_cooperatives: bool
    reason: str
    hits: int


def topic(title: str, lead: str, body: str) -> Topic:
    """Return whether an article is about cooperatives.

    It is when title or lead name them, or when the body names them at least `MIN_HITS` times and
    `MIN_PER_1000_WORDS` often. Names are matched on the skeleton, so that odd spelling does not
    hide an article; text without diacritics is matched folded.
    """
    head = f"{title}\n{lead}"
    whole = f"{head}\n{body}"
    bare = is_undiacritised(whole)
    term = _FOLDED_TERM if bare else _TERM

    def read(text: str) -> str:
        flat = skeleton_text(text)
        return _OTHER.sub(" ", fold(flat) if bare else flat)

    in_head = len(term.findall(read(head)))
    flat = read(body)
    hits = in_head + len(term.findall(flat))
    words = max(1, len(whole.split()))
    if hits == 0:
        return Topic(about_cooperatives=False, reason="not_mentioned", hits=0)
    if in_head and hits >= 2:
        return Topic(about_cooperatives=True, reason="title_or_lead", hits=hits)
    dense = hits * 1000 / words >= MIN_PER_1000_WORDS
    field = len(_FIELD.findall(flat))
    if hits >= MIN_HITS and (dense or field >= 3):
        return Topic(about_cooperatives=True, reason="body", hits=hits)
    if hits == 2 and field >= 3:
        return Topic(about_cooperatives=True, reason="body_field", hits=hits)
    return Topic(about_cooperatives=False, reason="passing_mention", hits=hits)
