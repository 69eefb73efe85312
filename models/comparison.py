"""The comparison model: what of a claim the evidence says, denies or leaves unsaid.

Encoders are nearly blind to numbers and read style for truth, so this model looks at nothing but
the two texts side by side: quantities, dates, names, negation, quantity words, conditions, the
words that the evidence lacks and what stands in their place. It never sees the claim alone: every
feature is zero or relative without the evidence, so that it cannot learn what lies look like.

The weights are plain JSON (multinomial logistic regression on standardised features, trained and
calibrated by `models.train`) and are scored in numpy; nothing here imports scikit-learn.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import LABEL_ORDER
from kiemchung.errors import ModelError
from models.cues import (
    ANTONYMS,
    CONDITIONAL,
    NEGATORS,
    STOPWORDS,
    UNIVERSAL,
    lead_in,
    normal,
)
from models.verdict import LONGEST, Verdict, failed, verdict_of
from nlp.quantities import DateValue, Extraction, Quantity, Relation, extract
from nlp.quantities import compare as compare_quantities
from nlp.sentences import sentence_spans

MAX_EVIDENCE: Final = LONGEST
MAX_CLAIM: Final = 4_000

_TOKEN: Final = re.compile(r"\d+(?:[.,:/-]\d+)*|[^\W\d_]+|\w")
_LIST_DOTS: Final = re.compile(r"(?<=\d)[.,](?=\d{3}(?!\d))")


@dataclass(frozen=True, slots=True)
class Token:
    """One syllable, number or acronym; ``text`` is the matching view, offsets the source's."""

    text: str
    start: int
    end: int
    capital: bool
    number: bool


def tokens(text: str) -> tuple[Token, ...]:
    """Return the syllables and numbers of ``text`` in order, without punctuation."""
    view = normal(text)
    return tuple(
        Token(
            text=_LIST_DOTS.sub("", m.group()) if m.group()[0].isdigit() else m.group(),
            start=m.start(),
            end=m.end(),
            capital=text[m.start()].isupper(),
            number=m.group()[0].isdigit(),
        )
        for m in _TOKEN.finditer(view)
    )


@dataclass(frozen=True, slots=True)
class Side:
    """A text made ready for comparison; made once for a passage that meets many claims."""

    text: str
    tokens: tuple[Token, ...]
    found: Extraction


@lru_cache(maxsize=4096)
def side(text: str) -> Side:
    """Return ``text`` with its syllables, quantities and dates."""
    return Side(text=text, tokens=tokens(text), found=extract(text))


def content(items: Sequence[Token]) -> list[Token]:
    """Return the tokens that carry meaning of their own."""
    return [t for t in items if t.text not in STOPWORDS and not t.number]


# --- choosing the window -------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _pieces(evidence: str) -> tuple[tuple[tuple[int, int], frozenset[str], frozenset[str]], ...]:
    """Return each sentence of the evidence: its span, content syllables and their pairs."""
    found = []
    for start, end in sentence_spans(evidence):
        listed = [t.text for t in tokens(evidence[start:end]) if t.text not in STOPWORDS]
        pairs = frozenset(f"{a} {b}" for a, b in itertools.pairwise(listed))
        found.append(((start, end), frozenset(listed), pairs))
    return tuple(found)


def window(claim: str, evidence: str, *, most: int = 4) -> str:
    """Return the sentences of ``evidence`` that speak of the claim, in their own order.

    Greedy cover: the sentence that adds the most unseen syllables and syllable pairs of the claim,
    until a further one adds less than a twelfth of the claim. A text of up to ``most`` sentences is
    taken whole. Linear in the evidence for a given claim.
    """
    pieces = _pieces(evidence[:MAX_EVIDENCE])
    if len(pieces) <= most and len(evidence) <= 1_200:
        return evidence
    listed = [t.text for t in tokens(claim) if t.text not in STOPWORDS]
    unseen = set(listed)
    unseen_pairs = {f"{a} {b}" for a, b in itertools.pairwise(listed)}
    whole = max(1.0, len(unseen) + 2.0 * len(unseen_pairs))
    chosen: list[int] = []
    while len(chosen) < most:
        gains = [
            (len(unseen & words) + 2.0 * len(unseen_pairs & pairs)) / (4.0 + math.sqrt(len(words)))
            if i not in chosen
            else -1.0
            for i, (_, words, pairs) in enumerate(pieces)
        ]
        best = max(range(len(pieces)), key=lambda i: (gains[i], -i))
        _, words, pairs = pieces[best]
        added = len(unseen & words) + 2.0 * len(unseen_pairs & pairs)
        if gains[best] <= 0.0 or (chosen and added / whole < 1.0 / 12.0):
            break
        chosen.append(best)
        unseen -= words
        unseen_pairs -= pairs
    if not chosen:
        chosen = [0] if pieces else []
    return " ".join(evidence[slice(*pieces[i][0])] for i in sorted(chosen))


# --- parts of the comparison ---------------------------------------------------------------------


def _runs_missing(claim: Sequence[Token], known: frozenset[str]) -> list[tuple[int, int]]:
    """Return maximal runs of claim tokens absent from the evidence, stop words inside allowed."""
    runs: list[tuple[int, int]] = []
    start = -1
    last = -1
    for i, token in enumerate(claim):
        missing = token.text not in known
        if missing and (token.text not in STOPWORDS or token.text in NEGATORS):
            if start < 0:
                start = i
            last = i
        elif not missing and token.text not in STOPWORDS and start >= 0:
            runs.append((start, last + 1))
            start = -1
    if start >= 0:
        runs.append((start, last + 1))
    return runs


def _anchor(claim: Sequence[Token], index: int, step: int) -> int:
    """Return the nearest content token beyond ``index`` in direction ``step``, or -1."""
    while 0 <= index < len(claim):
        if claim[index].text not in STOPWORDS:
            return index
        index += step
    return -1


def _lcs(a: Sequence[str], b: Sequence[str]) -> int:
    """Return the length of the longest common subsequence; rows in numpy, O(len(a) len(b))."""
    if not a or not b:
        return 0
    vocabulary: dict[str, int] = {}
    first = np.array([vocabulary.setdefault(x, len(vocabulary)) for x in a], dtype=np.int64)
    second = np.array([vocabulary.setdefault(x, len(vocabulary)) for x in b], dtype=np.int64)
    row = np.zeros(len(second) + 1, dtype=np.int64)
    for item in first:
        candidate = row.copy()
        candidate[1:] = np.maximum(candidate[1:], row[:-1] + (second == item))
        row = np.maximum.accumulate(candidate)
    return int(row[-1])


def _longest_run(a: Sequence[str], b: Sequence[str]) -> int:
    best = 0
    previous: dict[int, int] = {}
    where: dict[str, list[int]] = {}
    for j, token in enumerate(b):
        where.setdefault(token, []).append(j)
    for token in a:
        current = {j: previous.get(j - 1, 0) + 1 for j in where.get(token, ())}
        best = max(best, max(current.values(), default=0))
        previous = current
    return best


def _negated(items: Sequence[Token]) -> dict[str, bool]:
    """Return each content syllable with whether a negator stands within three tokens before it."""
    found: dict[str, bool] = {}
    for i, token in enumerate(items):
        if token.text in STOPWORDS or token.number:
            continue
        near = any(t.text in NEGATORS for t in items[max(0, i - 3) : i])
        found[token.text] = found.get(token.text, False) or near
    return found


def _negation(claim: Sequence[Token], evidence: Sequence[Token]) -> tuple[float, float]:
    """Return (negations that only the claim has, negations that only the evidence has).

    A negation counts where the two or three content syllables after it stand in the other text too:
    a negated statement about something else is no contradiction.
    """

    def one_way(a: Sequence[Token], b: Sequence[Token]) -> float:
        other = _negated(b)
        count = 0.0
        for i, token in enumerate(a):
            if token.text not in NEGATORS:
                continue
            after = [t.text for t in content(a[i + 1 : i + 6])][:3]
            shared = [w for w in after if w in other]
            if shared and len(shared) * 2 >= len(after) and not any(other[w] for w in shared):
                count += 1.0
        return count

    return one_way(claim, evidence), one_way(evidence, claim)


_ANTONYM_OF: Final[dict[str, frozenset[str]]] = {}


def _antonyms() -> dict[str, frozenset[str]]:
    if not _ANTONYM_OF:
        table: dict[str, set[str]] = {}
        for a, b in ANTONYMS:
            table.setdefault(normal(a), set()).add(normal(b))
            table.setdefault(normal(b), set()).add(normal(a))
        _ANTONYM_OF.update({k: frozenset(v) for k, v in table.items()})
    return _ANTONYM_OF


def _phrases(items: Sequence[Token]) -> frozenset[str]:
    words = [t.text for t in items]
    pairs = [f"{a} {b}" for a, b in itertools.pairwise(words)]
    return frozenset(words) | frozenset(pairs)


def _opposites(claim: Sequence[Token], evidence: Sequence[Token]) -> float:
    """Count antonyms: a word of the claim that the evidence lacks while its opposite is there."""
    ours, theirs = _phrases(claim), _phrases(evidence)
    count = 0.0
    for phrase in ours - theirs:
        for opposite in _antonyms().get(phrase, ()):
            if opposite in theirs and opposite not in ours:
                count += 1.0
                break
    return count


_NUMBER_WORDS: Final = {
    "một": "1", "hai": "2", "ba": "3", "bốn": "4", "tư": "4", "năm": "5", "sáu": "6", "bảy": "7",
    "bẩy": "7", "tám": "8", "chín": "9", "mười": "10",
}  # fmt: skip


def _bare(token: Token) -> list[str]:
    """Return the numbers inside a token: dates and ranges taken apart, leading zeros dropped."""
    return [p.lstrip("0") or "0" for p in re.split(r"[:/-]", token.text) if p]


def _digit_parts(items: Sequence[Token]) -> list[str]:
    """Return the bare numbers of a text."""
    parts: list[str] = []
    for token in items:
        if token.number:
            parts.extend(_bare(token))
    return parts


def _beside(items: Sequence[Token], i: int, step: int) -> str:
    """Return the word before or after the number at ``i``, empty where there is none."""
    j = i + step
    return items[j].text if 0 <= j < len(items) and not items[j].number else ""


def _misplaced(claim: Sequence[Token], evidence: Sequence[Token]) -> int:
    """Count numbers of the claim that the evidence has, but in another place.

    "đợt 4" beside an evidence of "đợt 1" and "4 huyện": the number is there, yet neither behind its
    word nor before it, and its word has another one. And "2025-2025" beside "2023-2025": a range of
    which one end is another. Of ViFactCheck's half it holds of 15 whole articles, 12 REFUTED and 3
    NOT ENOUGH INFO; of 3,908 constructed pairs of 46, 2 of them SUPPORTED.
    """
    behind: dict[str, set[str]] = {}
    around: dict[str, set[tuple[int, str]]] = {}
    ranges: list[list[str]] = []
    for i, token in enumerate(evidence):
        if not token.number:
            continue
        values = _bare(token)
        if "-" in token.text and len(values) == 2:
            ranges.append(values)
        before, after = _beside(evidence, i, -1), _beside(evidence, i, 1)
        behind.setdefault(before, set()).update(values)
        for value in values:
            around.setdefault(value, set()).update({(-1, before), (1, after)})
    count = 0
    for i, token in enumerate(claim):
        if not token.number:
            continue
        values = _bare(token)
        if "-" in token.text and len(values) == 2:
            half = any((r[0] == values[0]) != (r[1] == values[1]) for r in ranges)
            count += half and values not in ranges
            continue
        before, after = _beside(claim, i, -1), _beside(claim, i, 1)
        if len(values) != 1 or not before or values[0] not in around:
            continue
        beside = {(-1, before), (1, after)} if after else {(-1, before)}
        count += before in behind and not beside & around[values[0]]
    return count


def _same_date(a: DateValue, b: DateValue) -> bool:
    return a.first == b.first and a.last == b.last


def _covers_date(claim: DateValue, evidence: DateValue) -> bool:
    """Whether the evidence's day lies inside the claim's period ("tháng 3" against "25/3")."""
    return claim.first <= evidence.first and evidence.last <= claim.last


@dataclass(frozen=True, slots=True)
class Numbers:
    """How the quantities of a claim stand to those of the evidence."""

    total: int
    equal: int
    contradicting: int
    missing: int
    other_unit: int


def numbers(claim: Sequence[Quantity], evidence: Sequence[Quantity]) -> Numbers:
    """Sort each quantity of the claim by its best relation to any quantity of the evidence."""
    counts = {"equal": 0, "contradicting": 0, "missing": 0, "other_unit": 0}
    for ours in claim:
        relations = {compare_quantities(ours, theirs) for theirs in evidence}
        values = {theirs.value for theirs in evidence}
        if relations & {Relation.EQUAL, Relation.WIDER, Relation.NARROWER}:
            counts["equal"] += 1
        elif ours.value in values:
            counts["other_unit"] += 1
        elif Relation.CONTRADICTS in relations:
            counts["contradicting"] += 1
        else:
            counts["missing"] += 1
    return Numbers(total=len(claim), **counts)


# --- features ------------------------------------------------------------------------------------

FEATURES: Final[tuple[str, ...]] = (
    "coverage", "pair_coverage", "coverage_whole", "pair_coverage_whole", "reverse_coverage",
    "best_sentence", "lcs", "longest_run", "missing_content", "missing_share", "longest_missing",
    "substituted", "inserted", "edge_missing", "short_substituted", "substituted_share",
    "numbers_equal", "numbers_contradicting", "numbers_missing", "numbers_other_unit",
    "digits_missing",
    "digits_missing_whole", "digits_unused", "digit_swapped", "number_misplaced",
    "dates_missing", "dates_contradicting",
    "percent_contradicting", "money_contradicting",
    "names_missing", "names_missing_whole", "name_swapped", "name_added",
    "negation_added", "negation_lost", "opposites", "opposites_near",
    "universal_added", "universal_lost", "condition_lost", "only_added",
    "claim_length", "evidence_length", "length_ratio", "one_edit_away", "all_known",
    "near_copy_with_change", "addition_to_copy",
)  # fmt: skip


_PERCENT: Final = re.compile(r"(?<=\d)\s*phần\s+trăm(?!\w)", re.IGNORECASE)
_LEADING: Final = re.compile(r"(?<![\d.,/:-])0+(?=[1-9]\d*(?![\d/:-]))")


def plain_numbers(text: str) -> str:
    """Return ``text`` with 05 as 5 and "30 phần trăm" as 30%; dates and decimals as they are."""
    return _LEADING.sub("", _PERCENT.sub("%", text))


def plain_claim(claim: str) -> str:
    """Return ``claim`` as both parts of a model read it: no feeling in front, numbers plain."""
    return plain_numbers(claim[lead_in(claim) :])


def features(claim: str, evidence: str) -> NDArray[np.float64]:
    """Return the comparison of ``claim`` with ``evidence`` as one row, in the order of `FEATURES`.

    Every value is finite; counts are damped by ``log1p`` so that long claims do not run away.
    """
    said, told = plain_claim(claim[:MAX_CLAIM]), plain_numbers(evidence[:MAX_EVIDENCE])
    row = _features(side(said), side(window(said, told)), side(told))
    values = np.array([row[name] for name in FEATURES], dtype=np.float64)
    if not np.isfinite(values).all():
        bad = [name for name, value in row.items() if not math.isfinite(value)]
        raise ModelError(f"features {bad} are not finite", where="comparison")
    return values


def _pairs_of(words: Sequence[str]) -> set[str]:
    return {f"{a} {b}" for a, b in itertools.pairwise(words)}


def _features(ours: Side, chosen: Side, whole: Side) -> dict[str, float]:
    claim, near = ours.tokens, chosen.tokens
    c_words = [t.text for t in content(claim)]
    w_words = [t.text for t in content(near)]
    c_set, w_set = frozenset(c_words), frozenset(w_words)
    near_all = frozenset(t.text for t in near)
    whole_all = near_all if whole is chosen else frozenset(t.text for t in whole.tokens)
    whole_words = w_words if whole is chosen else [t.text for t in content(whole.tokens)]
    c_pairs = _pairs_of(c_words)
    size = max(1, len(c_set))
    pair_size = max(1, len(c_pairs))

    missing = [t for t in content(claim) if t.text not in near_all]
    runs = _runs_missing(claim, near_all)
    place: dict[str, list[int]] = {}
    for j, token in enumerate(near):
        place.setdefault(token.text, []).append(j)
    substituted = inserted = edges = short_sub = name_swap = digit_swap = near_opposite = 0.0
    name_add = 0.0
    substituted_tokens = 0
    longest_missing = 0
    claim_all = frozenset(t.text for t in claim)
    for start, end in runs:
        longest_missing = max(longest_missing, len(content(claim[start:end])))
        names_here = [t for t in claim[start:end] if t.capital and t.start > 0]
        left, right = _anchor(claim, start - 1, -1), _anchor(claim, end, 1)
        if left < 0 or right < 0:
            edges += 1.0
            if left < 0 and right < 0:
                continue
        gap = _gap(claim, near, place, left, right)
        if gap is None:
            continue
        fresh = [t for t in gap if t.text not in claim_all and t.text not in STOPWORDS]
        if fresh:
            substituted += 1.0
            substituted_tokens += end - start
            if end - start <= 4 and len(fresh) <= 4:
                short_sub += 1.0
            if names_here and any(t.capital for t in fresh):
                name_swap += 1.0
            if any(t.number for t in claim[start:end]) and any(t.number for t in fresh):
                digit_swap += 1.0
            if _opposites(claim[start:end], fresh):
                near_opposite += 1.0
        else:
            inserted += 1.0
            if names_here:
                name_add += 1.0

    amounts = numbers(ours.found.quantities, chosen.found.quantities)
    percent = numbers(
        [q for q in ours.found.quantities if q.unit == "%"],
        [q for q in chosen.found.quantities if q.unit == "%"],
    )
    money = numbers(
        [q for q in ours.found.quantities if str(q.kind) == "money"],
        [q for q in chosen.found.quantities if str(q.kind) == "money"],
    )
    digits = _digit_parts(claim)
    near_digits = set(_digit_parts(near)) | {_NUMBER_WORDS.get(t, "") for t in near_all}
    whole_digits = set(_digit_parts(whole.tokens)) | {_NUMBER_WORDS.get(t, "") for t in whole_all}
    dates_missing = dates_contradicting = 0.0
    for ours_day in ours.found.dates:
        theirs = chosen.found.dates
        if any(_same_date(ours_day, d) or _covers_date(ours_day, d) for d in theirs):
            continue
        same_kind = any(d.kind == ours_day.kind for d in theirs)
        dates_contradicting += float(same_kind)
        dates_missing += float(not same_kind)

    names = [t for t in claim if t.capital and t.start > 0 and not t.number]
    negation_added, negation_lost = _negation(claim, near)
    claim_view, near_view = normal(ours.text), normal(chosen.text)
    universal_ours = {m.group() for m in UNIVERSAL.finditer(claim_view)}
    universal_theirs = {m.group() for m in UNIVERSAL.finditer(near_view)}
    conditions_ours = {m.group() for m in CONDITIONAL.finditer(claim_view)}
    conditions_theirs = {m.group() for m in CONDITIONAL.finditer(near_view)}
    sentence_best = 0.0
    for _, words, _ in _pieces(chosen.text):
        sentence_best = max(sentence_best, len(c_set & words) / size)
    coverage = len(c_set & w_set) / size
    changed = (
        amounts.contradicting + name_swap + digit_swap + negation_added + negation_lost
        + near_opposite + dates_contradicting
    )  # fmt: skip
    whole_pairs = _pairs_of(whole_words)
    return {
        "coverage": coverage,
        "pair_coverage": len(c_pairs & _pairs_of(w_words)) / pair_size,
        "coverage_whole": len(c_set & whole_all) / size,
        "pair_coverage_whole": len(c_pairs & whole_pairs) / pair_size,
        "reverse_coverage": len(c_set & w_set) / max(1, len(w_set)),
        "best_sentence": sentence_best,
        "lcs": _lcs([t.text for t in claim], [t.text for t in near]) / max(1, len(claim)),
        "longest_run": _longest_run([t.text for t in claim], [t.text for t in near])
        / max(1, len(claim)),
        "missing_content": math.log1p(len(missing)),
        "missing_share": len(missing) / max(1, len(c_words)),
        "longest_missing": math.log1p(longest_missing),
        "substituted": math.log1p(substituted),
        "inserted": math.log1p(inserted),
        "edge_missing": edges,
        "short_substituted": math.log1p(short_sub),
        "substituted_share": substituted_tokens / max(1, len(claim)),
        "numbers_equal": math.log1p(amounts.equal),
        "numbers_contradicting": math.log1p(amounts.contradicting),
        "numbers_missing": math.log1p(amounts.missing),
        "numbers_other_unit": math.log1p(amounts.other_unit),
        "digits_missing": math.log1p(sum(d not in near_digits for d in digits)),
        "digits_missing_whole": math.log1p(sum(d not in whole_digits for d in digits)),
        "digits_unused": float(bool(digits) and bool(set(_digit_parts(near)) - set(digits))),
        "digit_swapped": math.log1p(digit_swap),
        "number_misplaced": math.log1p(_misplaced(claim, whole.tokens)),
        "dates_missing": math.log1p(dates_missing),
        "dates_contradicting": math.log1p(dates_contradicting),
        "percent_contradicting": float(percent.contradicting > 0),
        "money_contradicting": float(money.contradicting > 0),
        "names_missing": math.log1p(sum(t.text not in near_all for t in names)),
        "names_missing_whole": math.log1p(sum(t.text not in whole_all for t in names)),
        "name_swapped": math.log1p(name_swap),
        "name_added": math.log1p(name_add),
        "negation_added": math.log1p(negation_added),
        "negation_lost": math.log1p(negation_lost),
        "opposites": math.log1p(_opposites(claim, near)),
        "opposites_near": math.log1p(near_opposite),
        "universal_added": math.log1p(len(universal_ours - universal_theirs)),
        "universal_lost": math.log1p(len(universal_theirs - universal_ours)),
        "condition_lost": math.log1p(len(conditions_theirs - conditions_ours)),
        "only_added": float("chỉ" in claim_all and "chỉ" not in near_all),
        "claim_length": math.log1p(len(claim)),
        "evidence_length": math.log1p(len(near)),
        "length_ratio": math.log((len(claim) + 5) / (len(near) + 5)),
        "one_edit_away": float(len(runs) == 1 and coverage >= 0.75),
        "all_known": float(not runs),
        "near_copy_with_change": float(changed > 0) * coverage * coverage,
        "addition_to_copy": float(inserted + edges > 0 and changed == 0) * coverage,
    }


def _gap(
    claim: Sequence[Token],
    near: Sequence[Token],
    place: Mapping[str, list[int]],
    left: int,
    right: int,
    *,
    reach: int = 9,
) -> Sequence[Token] | None:
    """Return what the evidence has between the two anchors of a missing run, the shortest such.

    With one anchor only, the three tokens beyond it. None where the anchors do not stand together
    in the evidence: then nothing can be said about what was replaced.
    """
    lefts = place.get(claim[left].text, []) if left >= 0 else []
    rights = place.get(claim[right].text, []) if right >= 0 else []
    if left >= 0 and right >= 0:
        spans = [(r - l, l, r) for l in lefts for r in rights if 0 < r - l <= reach]  # noqa: E741
        if not spans:
            return None
        _, first, last = min(spans)
        return near[first + 1 : last]
    if left >= 0 and lefts:
        return near[lefts[-1] + 1 : lefts[-1] + 4]
    if right >= 0 and rights:
        return near[max(0, rights[0] - 3) : rights[0]]
    return None


# --- the model -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonModel:
    """Standardised features, a linear layer with pairwise products, a temperature.

    ``weights`` has shape (3, n) over `expand` of the features; rows in `LABEL_ORDER`.
    """

    model_id: str
    threshold: float
    abstain_below: float
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    temperature: float

    def logits(self, claim: str, evidence: str) -> NDArray[np.float64]:
        """Return three uncalibrated scores in `LABEL_ORDER`."""
        scaled = np.clip((features(claim, evidence) - self.mean) / self.scale, -6.0, 6.0)
        return np.asarray(self.weights @ scaled + self.bias, dtype=np.float64)

    def probabilities(self, claim: str, evidence: str) -> NDArray[np.float64]:
        """Return three calibrated probabilities in `LABEL_ORDER`; an empty side is NEI."""
        if not claim.strip() or not evidence.strip():
            return np.array([0.0, 0.0, 1.0])
        return softmax(self.logits(claim, evidence) / self.temperature)

    def judge(self, claim: str, evidence: str) -> Verdict:
        """Return the verdict on one pair; a fault inside becomes status failed, never a score."""
        try:
            return verdict_of(
                self.probabilities(claim, evidence).tolist(), abstain_below=self.abstain_below
            )
        except Exception as error:  # noqa: BLE001  one bad text must not stop a weekly run
            return failed(error)

    def to_json(self) -> str:
        """Return the weights as JSON text; the thresholds belong to the manifest."""
        body = {
            "kind": "comparison",
            "format": 1,
            "features": list(FEATURES),
            "labels": [str(label) for label in LABEL_ORDER],
            "mean": _rounded(self.mean),
            "scale": _rounded(self.scale),
            "weights": [_rounded(row) for row in self.weights],
            "bias": _rounded(self.bias),
            "temperature": self.temperature,
        }
        return json.dumps(body, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(
        cls, text: str, *, model_id: str, threshold: float, abstain_below: float, where: str
    ) -> ComparisonModel:
        """Return the model of a weights file.

        Raises:
            ModelError: no JSON, other features or labels than this program computes, wrong shapes.
        """
        try:
            body: dict[str, Any] = json.loads(text)
            if body["kind"] != "comparison" or tuple(body["features"]) != FEATURES:
                raise ValueError("made for other features")
            if tuple(body["labels"]) != tuple(str(label) for label in LABEL_ORDER):
                raise ValueError("another label order")
            model = cls(
                model_id=model_id,
                threshold=threshold,
                abstain_below=abstain_below,
                mean=np.array(body["mean"], dtype=np.float64),
                scale=np.array(body["scale"], dtype=np.float64),
                weights=np.array(body["weights"], dtype=np.float64),
                bias=np.array(body["bias"], dtype=np.float64),
                temperature=float(body["temperature"]),
            )
            wide = len(FEATURES)
            shapes = (model.mean.shape, model.scale.shape, model.weights.shape, model.bias.shape)
            if shapes != ((wide,), (wide,), (3, wide), (3,)):
                raise ValueError(f"shapes {shapes}")
            if not all(
                np.isfinite(part).all() for part in (model.mean, model.scale, model.weights)
            ):
                raise ValueError("weights that are not finite")
            if not (model.scale > 0).all() or not model.temperature > 0:
                raise ValueError("a scale or temperature that is not positive")
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"not a comparison model of this program: {error}",
                where=where,
                remedy="train it again: python -m models.train comparison --out DIR",
            ) from error
        return model


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities along the last axis, safe against overflow."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    raised = np.exp(shifted)
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True), dtype=np.float64)


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [float(f"{value:.9g}") for value in values]
