"""What carried a verdict: the places where claim and evidence part, weighed by putting them right.

The claim is aligned with the sentences of the evidence that speak of it; each place where they
part is a candidate. A candidate's weight is how far the verdict's probability falls when only that
place is put right (erasure, DeYoung et al. 2020, "ERASER"): a difference that moves nothing
carried nothing, and is not shown. For SUPPORTED the sentences of the evidence are weighed by
leaving each of them out. Works for any model, costs one verdict a candidate.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from typing import Final

from kiemchung.domain import LABEL_ORDER, Distortion, Label
from models.comparison import window
from models.cues import ANTONYMS, CONDITIONAL, NEGATORS, UNIVERSAL, any_of, normal
from models.verdict import Verdict, VerdictModel
from nlp.quantities import extract
from nlp.sentences import sentence_spans

LEAST: Final = 0.05  # a smaller move of the probability carried nothing
MOST: Final = 12  # candidates that are weighed, the shortest claim spans first
ADDED: Final = "added"  # the evidence is silent about this part
WORDING: Final = "wording"
_WORD: Final = re.compile(r"\d+(?:[.,:/-]\d+)*%?|[^\W\d_]+|%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """One place where claim and evidence part.

    ``claim[start:end]`` is the claim's side (empty where the claim leaves something out),
    ``evidence`` the other side's words, ``weight`` how far P(label) falls once it is put right.
    ``kind`` is a `Distortion` value, `ADDED` or `WORDING`.
    """

    kind: str
    claim: str
    evidence: str
    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A verdict, what carried it (the heaviest first), and whether that is the whole story.

    ``faithful``: putting all carriers right together takes the label away; for SUPPORTED, leaving
    out the carrying sentences does.
    """

    verdict: Verdict
    carriers: tuple[Carrier, ...]
    faithful: bool


@dataclass(frozen=True, slots=True)
class _Part:
    start: int
    end: int
    new: str
    kind: str


def explain(model: VerdictModel, claim: str, evidence: str) -> Explanation:
    """Return the verdict on a pair and what carried it; nothing carries an abstention."""
    verdict = model.judge(claim, evidence)
    if verdict.label is None or not evidence.strip():
        return Explanation(verdict=verdict, carriers=(), faithful=False)
    if verdict.label is Label.SUPPORTED:
        return _supported(model, claim, evidence, verdict)
    before = _p(verdict, verdict.label)
    parts = sorted(differences(claim, evidence), key=lambda x: x.end - x.start)[:MOST]
    carriers, moved = [], []
    for part in parts:
        after = _p(model.judge(_repaired(claim, [part]), evidence), verdict.label)
        if before - after >= LEAST:
            carriers.append(
                Carrier(
                    kind=part.kind, claim=claim[part.start : part.end], evidence=part.new,
                    start=part.start, end=part.end, weight=before - after,
                )
            )  # fmt: skip
            moved.append(part)
    carriers.sort(key=lambda x: (-x.weight, x.start))
    whole = model.judge(_repaired(claim, moved), evidence).label if moved else verdict.label
    return Explanation(
        verdict=verdict, carriers=tuple(carriers), faithful=whole is not verdict.label
    )


def differences(claim: str, evidence: str) -> list[_Part]:
    """Return the places where the claim parts from the near sentences of the evidence."""
    near = window(claim, evidence)
    ours, theirs = list(_WORD.finditer(claim)), list(_WORD.finditer(near))
    a, b = [_key(m.group()) for m in ours], [_key(m.group()) for m in theirs]
    bounded = bool(CONDITIONAL.search(normal(near)))
    found = []
    for tag, i, j, k, m in SequenceMatcher(a=a, b=b, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        told = near[theirs[k].start() : theirs[m - 1].end()] if m > k else ""
        if i == j and (j in (0, len(a)) or len(told.split()) > 12 or not _weighty(told)):
            continue  # the evidence says more: no difference, unless it bounds or denies
        if i < j and m > k and m - k > 2 * (j - i) + 4:
            told = ""  # a stretch of the evidence is no counterpart of a word
        start = ours[i].start() if i < j else ours[i - 1].end()
        end = ours[j - 1].end() if i < j else start
        kind = _kind(claim[start:end], told)
        rest = normal(f"{claim[:start]} {claim[end:]}")
        if kind == Distortion.EXAGGERATION and bounded and not CONDITIONAL.search(rest):
            kind = str(Distortion.CONDITION_DROPPED)  # "always" stands where "if" was
        found.append(_Part(start, end, told, kind))
    return found


_YEAR: Final = re.compile(r"(?:năm )?(?:19|20)\d{2}")
_ABSOLUTE: Final = any_of("không có ngoại lệ", "không cần điều kiện nào", "trong mọi trường hợp")


@cache
def _antonyms() -> frozenset[tuple[str, str]]:
    return frozenset(
        pair for a, b in ANTONYMS for pair in ((normal(a), normal(b)), (normal(b), normal(a)))
    )


def _opposite(ours: str, theirs: str) -> bool:
    return bool(ours and theirs) and (ours, theirs) in _antonyms()


def _key(word: str) -> str:
    plain = normal(word)
    return plain.replace(".", "").lstrip("0") or plain if plain[:1].isdigit() else plain


def _weighty(words: str) -> bool:
    view = normal(words)
    return bool(CONDITIONAL.search(view) or NEGATORS & set(view.split()) or re.search(r"\d", words))


def _kind(ours: str, theirs: str) -> str:
    """Return the kind of a difference from the words on both sides."""
    view, other = normal(ours), normal(theirs)
    if _ABSOLUTE.search(view) and not theirs:
        return str(Distortion.EXAGGERATION)
    if UNIVERSAL.search(view) and not UNIVERSAL.search(other):
        return str(Distortion.EXAGGERATION)
    if _opposite(view, other):
        return str(Distortion.NEGATION)
    if bool(NEGATORS & set(view.split())) != bool(NEGATORS & set(other.split())):
        return str(Distortion.NEGATION)
    if CONDITIONAL.search(other) and not CONDITIONAL.search(view):
        return str(Distortion.CONDITION_DROPPED)
    if not ours:
        return WORDING
    if re.search(r"\d", ours) or re.search(r"\d", theirs):
        years = _YEAR.fullmatch(ours) and _YEAR.fullmatch(theirs)
        dated = years or extract(ours).dates or re.search(r"\d[/-]\d", ours)
        return str(Distortion.DATE if dated else Distortion.NUMBER) if theirs else ADDED
    if not theirs:
        return ADDED
    if ours[:1].isupper() and theirs[:1].isupper():
        return str(Distortion.ACTOR)
    return WORDING


def _repaired(claim: str, parts: Sequence[_Part]) -> str:
    text = claim
    for part in sorted(parts, key=lambda x: -x.start):
        new = f" {part.new}" if part.start == part.end and part.new else part.new
        text = text[: part.start] + new + text[part.end :]
    return re.sub(r"\s+([,.;])", r"\1", " ".join(text.split())) or claim


def _supported(model: VerdictModel, claim: str, evidence: str, verdict: Verdict) -> Explanation:
    near = window(claim, evidence)
    spans = [near[a:b] for a, b in sentence_spans(near)]
    before = _p(verdict, Label.SUPPORTED)
    weighed = []
    for i, sentence in enumerate(spans[:MOST]):
        rest = " ".join(s for j, s in enumerate(spans) if j != i)
        weighed.append((before - _p(model.judge(claim, rest), Label.SUPPORTED), sentence))
    carrying = [(w, s) for w, s in weighed if w >= LEAST]
    rest = " ".join(s for s in spans if s not in {x for _, x in carrying})
    carriers = tuple(
        Carrier(kind="said", claim=claim, evidence=s, start=0, end=len(claim), weight=w)
        for w, s in sorted(carrying, reverse=True)
    )
    changed = bool(carrying) and model.judge(claim, rest).label is not Label.SUPPORTED
    return Explanation(verdict=verdict, carriers=carriers, faithful=changed)


def _p(verdict: Verdict, label: Label) -> float:
    values = (verdict.p_supported, verdict.p_refuted, verdict.p_nei)
    return values[LABEL_ORDER.index(label)] or 0.0
