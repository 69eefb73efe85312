"""Conditions and absolutes: a rule made wider than it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from kiemchung.domain import (
    Difference,
    Distortion,
    Passage,
    PassageKind,
)
from models.comparison import content, tokens
from models.cues import ABSOLUTE, UNBOUNDED, normal
from models.decide.amounts import Amounts, rule_quantities, same_kind, value_equal
from models.decide.cover import covers
from models.decide.view import ClaimView
from models.decide.words import (
    CONDITION_CLAUSE,
    DISMISSED,
    MASKED,
    PART,
    RELAXED,
    UNIVERSAL_DENIED,
    WHOLE,
)
from nlp.quantities import Bound


def widened(
    claim: ClaimView, passage: Passage, siblings: Sequence[Passage], amounts: Amounts
) -> list[Difference]:
    """Find a rule that the claim makes absolute or states without its condition."""
    passage_view = normal(passage.text)
    for hit in UNBOUNDED.finditer(claim.view):
        if UNBOUNDED.search(passage_view) or UNIVERSAL_DENIED.search(claim.view[: hit.start()]):
            continue
        bounded = [q for q in rule_quantities(passage) if q.bound is not Bound.EXACT]
        if bounded and not amounts.matched:
            return [_wide(claim, hit, bounded[0].text, Distortion.EXAGGERATION)]
    dropped = _dropped(claim.view, passage)
    for hit in ABSOLUTE.finditer(claim.view):
        if hit.group() in passage_view or UNIVERSAL_DENIED.search(claim.view[: hit.start()]):
            continue
        if dropped and _attaches(claim.view, hit, dropped):
            return [_wide(claim, hit, dropped, Distortion.CONDITION_DROPPED)]
        if amounts.matched and _decisions(claim.view, hit) and _rivals(passage, siblings):
            rival = _rivals(passage, siblings)[0]
            return [_wide(claim, hit, rival.text, Distortion.MERGE_SPLIT)]
        part = PART.search(passage_view)
        if (
            part
            and not amounts.matched
            and WHOLE.match(hit.group())
            and covers(claim, passage) >= 0.3
        ):
            words = passage.text[part.start() : part.end() + 20].strip()
            return [_wide(claim, hit, words, Distortion.EXAGGERATION)]
    if dropped:
        for hit in RELAXED.finditer(claim.view):
            before = claim.view[max(0, hit.start() - 10) : hit.start()]
            if hit.group() not in passage_view and not MASKED.search(before):
                return [_wide(claim, hit, dropped, Distortion.CONDITION_DROPPED)]
    return []


_PERSONS: Final = re.compile(r"\s*(?:người|ai|cá nhân|tổ chức|đối tượng|thành viên|xã viên)(?!\w)")


def _attaches(view: str, hit: re.Match[str], condition: str) -> bool:
    """Whether the absolute word widens what the condition narrows, and not something beside it."""
    if not normal(condition).startswith(("thành viên", "chỉ đối với thành viên")):
        return not _PERSONS.match(view, hit.end())
    if hit.group() in {"ai cũng", "dù là ai", "không trừ"}:
        return True
    return bool(_PERSONS.match(view, hit.end()))


def _decisions(view: str, hit: re.Match[str]) -> bool:
    """Whether the absolute word stands before what a meeting decides."""
    return bool(
        re.match(
            r"\s*(?:các |những )?(?:quyết định|vấn đề|nội dung|nghị quyết|việc|quyết sách)",
            view[hit.end() :],
        )
    )


def _rivals(passage: Passage, siblings: Sequence[Passage]) -> list[Passage]:
    """Return passages of the same document that give another value of the same measure."""
    mine = rule_quantities(passage)
    return [
        s for s in siblings
        if s.kind is PassageKind.STATUTE and s.doc_id == passage.doc_id
        and any(
            same_kind(x, y) and not value_equal(x, y) for x in rule_quantities(s) for y in mine
        )
    ]  # fmt: skip


def _wide(claim: ClaimView, hit: re.Match[str], evidence: str, kind: Distortion) -> Difference:
    return Difference(
        kind=kind, claim=claim.words(hit.start(), hit.end()), evidence=evidence,
        start=hit.start(), end=hit.end(),
    )  # fmt: skip


def _dropped(view: str, passage: Passage) -> str:
    """Return a condition of the passage of which the claim has not a trace, or ""."""
    own = {t.text for t in content(tokens(DISMISSED.sub(" ", view)))}
    for phrase in passage.conditions:
        words = {t.text for t in content(tokens(phrase))}
        if words and len(words & own) / len(words) < 0.75:
            return phrase
    if passage.conditions:
        return ""
    hit = CONDITION_CLAUSE.search(normal(passage.text))
    if hit is None:
        return ""
    words = {t.text for t in content(tokens(hit.group()))}
    if not words or len(words & own) / len(words) >= 0.5:
        return ""
    return passage.text[hit.start() : hit.end()].strip(" ,.;")
