"""Permitted and forbidden: what one side denies and the other states."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kiemchung.domain import (
    Difference,
    Distortion,
    Passage,
)
from models.comparison import content, tokens
from models.cues import normal
from models.decide.cover import covers
from models.decide.view import ClaimView
from models.decide.words import DOUBLE, MASKED, NEGATIVE, OPPOSED, POSITIVE, TERMS


@dataclass(frozen=True, slots=True)
class _Denial:
    cue: str
    start: int
    end: int
    predicate: tuple[str, ...]


_NO_ONE: Final = re.compile(
    r"(?<!\w)không (?:một |có )?(?:[^\W\d_]+ ){1,5}nào (?:được phép|được|phải|có quyền|"
    r"có thể)(?!\w)"
)


def _denials(view: str) -> list[_Denial]:
    """Return each negation that denies something, with the syllables that it denies."""
    masked = TERMS.sub(lambda m: "\x00" * len(m.group()), view)
    masked = DOUBLE.sub(lambda m: "\x00" * len(m.group()), masked)
    found = []
    for none in _NO_ONE.finditer(masked):
        words = tuple(
            t.text for t in content(tokens(re.split(r"[,;.:]", view[none.end() :])[0]))[:4]
        )
        if words:
            found.append(_Denial("không được", none.start(), none.end(), words))
    masked = _NO_ONE.sub(lambda m: "\x00" * len(m.group()), masked)
    for hit in NEGATIVE.finditer(masked):
        clause = re.split(r"[,;.:]| nhưng | mà | song | thì ", view[hit.end() :])[0]
        words = tuple(t.text for t in content(tokens(clause))[:6])
        if words[:2] in _LIGHT and len(words) > 3:
            words = words[2:]  # "không được hoạt động tín dụng": the credit is what is denied
        if words:
            found.append(_Denial(hit.group(), hit.start(), hit.end(), words[:4]))
    return found


_LIGHT: Final = (("hoạt", "động"), ("thực", "hiện"), ("tiến", "hành"), ("triển", "khai"))


def _occurrences(view: str, predicate: Sequence[str]) -> list[tuple[int, int]]:
    """Return where the first two syllables of a predicate stand together, function words aside."""
    listed = [t for t in tokens(view)]
    if len(predicate) == 1:
        return [(t.start, t.end) for t in listed if t.text == predicate[0]]
    first, second = predicate[:2]
    found = []
    for i, token in enumerate(listed):
        if token.text != first:
            continue
        for other in listed[i + 1 : i + 3]:
            if other.text == second:
                found.append((token.start, other.end))
                break
    return found


def polarity(claim: ClaimView, passage: Passage) -> list[Difference]:
    """Find what one side denies and the other states of the same predicate."""
    body, rule = claim.view, normal(passage.text)
    ours, theirs = _denials(body), _denials(rule)
    clear_body, clear_rule = _without_terms(body), _without_terms(rule)
    found: list[Difference] = []
    for denial in theirs:
        if _denied_too(denial, ours) or len(_occurrences(rule, denial.predicate)) > 1:
            continue
        for start, end in _occurrences(body, denial.predicate):
            if start < claim.body or not _stated(clear_body, start, ours, denial):
                continue
            if _STOPPED.match(body, end):
                continue  # "hoạt động ... phải dừng lại" denies it as well
            if _shared_frame(body, rule, denial):
                left = _lead_start(body, start)
                found.append(
                    Difference(
                        kind=Distortion.NEGATION,
                        claim=claim.words(left, end),
                        evidence=_quote(passage.text, denial.start),
                        start=left,
                        end=end,
                    )
                )
                break
    for denial in [d for one in ours for d in _causative(claim.view, one)]:
        if denial.start < claim.body or _denied_too(denial, theirs):
            continue
        if len(_occurrences(body, denial.predicate)) > 1:
            continue
        for start, _ in _occurrences(rule, denial.predicate):
            if not _stated(clear_rule, start, theirs, denial) or not _shared_frame(
                body, rule, denial
            ):
                continue
            stop = _end_of(claim.view, denial)
            found.append(
                Difference(
                    kind=Distortion.NEGATION,
                    claim=claim.words(denial.start, stop),
                    evidence=_quote(passage.text, _lead_start(rule, start)),
                    start=denial.start,
                    end=stop,
                )
            )
            break
    return found[:2]


_STOPPED: Final = re.compile(
    r"[^,;.:]{0,60}?(?<!\w)(?:dừng|chấm dứt|ngừng|bị cấm|bị bãi bỏ|không còn)(?!\w)"
)


def _denied_too(denial: _Denial, others: Sequence[_Denial]) -> bool:
    """Whether the other side denies the same predicate as well."""
    return any(d.predicate[:2] == denial.predicate[:2] for d in others)


def one_denies(claim: ClaimView, passage: Passage) -> bool:
    """Whether one side denies what the other only mentions: too little to refute, or to support."""
    rule = normal(passage.text)
    ours = [d for d in _denials(claim.view) if d.start >= claim.body]
    theirs = _denials(rule)
    for mine, others, view in ((ours, theirs, rule), (theirs, ours, claim.view)):
        for denial in mine:
            if len(denial.predicate) < 2 or _denied_too(denial, others):
                continue
            for start, _ in _occurrences(view, denial.predicate):
                lead = view[max(0, start - 20) : start]
                if not _under(view, start, others) and not MASKED.search(lead):
                    return True
    return False


def _under(view: str, start: int, denials: Sequence[_Denial]) -> bool:
    """Whether a negation of the same clause stands within forty letters before ``start``."""
    return any(
        d.end <= start <= d.end + 40 and not re.search(r"[,;.:]| thì ", view[d.end : start])
        for d in denials
    )


def _causative(view: str, denial: _Denial) -> list[_Denial]:
    """Return a denial; of "không cho phép A làm B" also that of each later pair of syllables."""
    if denial.cue not in {"không cho phép", "cấm", "nghiêm cấm"}:
        return [denial]
    clause = re.split(r"[,;.:]", view[denial.end :])[0]
    words = [t.text for t in content(tokens(clause))[:9]]
    return [
        _Denial(denial.cue, denial.start, denial.end, tuple(words[i : i + 2]))
        for i in range(max(1, len(words) - 1))
    ]


def opposed(claim: ClaimView, passage: Passage) -> list[Difference]:
    """Find a predicate of the claim whose opposite stands in the passage."""
    rule = normal(passage.text)
    for pair in OPPOSED:
        for one, other in (pair, pair[::-1]):
            ours, theirs = one.search(claim.view, claim.body), other.search(rule)
            if not ours or not theirs or other.search(claim.view) or one.search(rule):
                continue
            if MASKED.search(claim.view[max(0, ours.start() - 10) : ours.start()]):
                continue
            if covers(claim, passage) < 0.4:
                continue
            return [
                Difference(
                    kind=Distortion.NEGATION,
                    claim=claim.words(*ours.span()),
                    evidence=passage.text[theirs.start() : theirs.end()],
                    start=ours.start(),
                    end=ours.end(),
                )
            ]
    return []


def _without_terms(view: str) -> str:
    return TERMS.sub(lambda m: "\x00" * len(m.group()), view)


def _stated(clear: str, start: int, denials: Sequence[_Denial], denial: _Denial) -> bool:
    """Whether the predicate at ``start`` is stated there, and not denied in its turn."""
    if _under(clear, start, denials):
        return False
    lead = re.split(r"[,;.:]", clear[max(0, start - 40) : start])[-1]
    cues = list(POSITIVE.finditer(lead))
    if not cues:
        return denial.cue == "không" and not MASKED.search(lead)
    cue = cues[-1]
    before = lead[: cue.start()].rstrip()
    denied = any(m.end() == len(before) for m in MASKED.finditer(before))
    return not denied and not MASKED.search(lead[cue.end() :])


def _quote(text: str, start: int) -> str:
    """Return up to eight words of the passage from ``start``, to its next comma."""
    return " ".join(re.split(r"[,;.]", text[start:])[0].split()[:8])


def _lead_start(view: str, start: int) -> int:
    hits = list(POSITIVE.finditer(view, max(0, start - 25), start))
    return hits[-1].start() if hits else start


def _end_of(view: str, denial: _Denial) -> int:
    end = denial.end
    for word in denial.predicate[:2]:
        at = view.find(word, end)
        if 0 <= at <= end + 25:
            end = at + len(word)
    return end


def _shared_frame(claim: str, passage: str, denial: _Denial) -> bool:
    """Whether both sentences speak of the same thing beside the predicate itself."""
    ours = {t.text for t in content(tokens(claim))} - set(denial.predicate)
    theirs = {t.text for t in content(tokens(passage))} - set(denial.predicate)
    least = 4 if denial.cue == "không" else 2
    return len(ours & theirs) >= max(least, min(len(ours), len(theirs)) // 4)
