"""From a claim to the passages that it can be set beside.

Two questions are kept apart. *Is a passage on point?* is answered by its cues, its dates and, for a
statistic, its series, place and year; only such a passage can support or contradict. *How near is
it?* is answered by BM25 (Robertson and Zaragoza 2009; k1 1.5, b 0.75, the IDF of Lucene) over
syllables and pairs of syllables without diacritics; it orders what is on point and fills the rest
of the list with what a reader may want to see.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from itertools import pairwise
from operator import ne
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import Document, Evidence, NeiReason, Passage, PassageKind
from kiemchung.reference.cues import CueIndex, PhraseTrie, bit_set, members, strip_marks, tokens
from nlp.text import is_undiacritised, old_style, skeleton

K1: Final = 1.5
B: Final = 0.75
MAX_SHARE: Final = 0.5
"""A term of more than this share of the passages ("hợp tác xã") carries no order and is left out;
its IDF would be under 0.7 of at most 7, and its postings are most of the work."""

MAX_TOKENS: Final = 400
"""Words of a claim that are read; a sentence has under 150, and a longer run is no sentence."""

PUBLISHERS: Final[dict[str, tuple[str, ...]]] = {
    "mpi": (
        "bộ kế hoạch và đầu tư",
        "bộ kế hoạch đầu tư",
        "bộ khđt",
        "bộ kh đt",
        "cục kinh tế hợp tác",
        "ban chỉ đạo",
    ),
    "vca": ("liên minh hợp tác xã", "vca"),
    "gso": (
        "tổng cục thống kê",
        "cục thống kê",
        "sách trắng",
        "niên giám thống kê",
        "tổng điều tra",
    ),
    "mof": ("bộ tài chính", "tổng cục thuế", "cục thuế"),
    "mard": ("bộ nông nghiệp", "cục kinh tế hợp tác và phát triển nông thôn"),
    "press": ("theo báo cáo của tỉnh", "sở kế hoạch", "sở nông nghiệp", "chi cục"),
}
"""Who counts cooperatives, and how a journalist names them. They count differently (enterprises'
register, members' reports, a census), so a figure of one is no contradiction of another's."""

_PLACE_WORDS: Final = (
    "tỉnh",
    "huyện",
    "thị xã",
    "thị trấn",
    "quận",
    "phường",
    "thành phố",
    "tp",
    "địa bàn",
    "địa phương",
    "toàn xã",
    "xã này",
    "trong xã",
    "của xã",
    "ở xã",
    "tại xã",
    "trong thôn",
    "của thôn",
    "ở thôn",
    "đồng bằng sông hồng",
    "đồng bằng sông cửu long",
    "đbscl",
    "tây nguyên",
    "tây bắc",
    "đông nam bộ",
    "đông bắc",
    "miền trung",
    "miền núi phía bắc",
    "trung du",
    "bắc trung bộ",
    "nam bộ",
)
# fmt: off
_PROVINCES: Final = (
    "an giang", "bà rịa", "bắc giang", "bắc kạn", "bạc liêu", "bắc ninh", "bến tre",
    "bình định", "bình dương", "bình phước", "bình thuận", "cà mau", "cần thơ", "cao bằng",
    "đà nẵng", "đắk lắk", "đắc lắc", "đắk nông", "đắc nông", "điện biên", "đồng nai",
    "đồng tháp", "gia lai", "hà giang", "hà nam", "hà nội", "hà tĩnh", "hải dương",
    "hải phòng", "hậu giang", "hòa bình", "hưng yên", "khánh hòa", "kiên giang", "kon tum",
    "lai châu", "lâm đồng", "lạng sơn", "lào cai", "long an", "nam định", "nghệ an",
    "ninh bình", "ninh thuận", "phú thọ", "phú yên", "quảng bình", "quảng nam",
    "quảng ngãi", "quảng ninh", "quảng trị", "sóc trăng", "sơn la", "tây ninh",
    "thái bình", "thái nguyên", "thanh hóa", "thừa thiên huế", "tiền giang", "hồ chí minh",
    "tp hcm", "tphcm", "trà vinh", "tuyên quang", "vĩnh long", "vĩnh phúc", "yên bái",
)
# fmt: on
_KIND_WORDS: Final = (
    "nông nghiệp|nông lâm nghiệp|dịch vụ|sản xuất|thương mại|kinh doanh|tổng hợp|thủy sản|vận tải|"
    "chăn nuôi|trồng trọt|rau|quả|chè|lúa|gạo|cà phê|muối|xây dựng|môi trường|du lịch|chợ|"
    "cây ăn quả|công nghệ cao|hữu cơ|an toàn|và|kiểu mới|dnnn|dvnn|nn|dv|sx|tm"
)
_CAPITALS: Final = "A-Z" + "".join(c for c in map(chr, range(0xC0, 0x1EFA)) if c.isupper())
_ONE_COOPERATIVE: Final = re.compile(
    r"(?<!luật )(?<!liên minh )\b(?:htx|hợp tác xã)(?:"
    r"\s+(?:này|chúng tôi|mình|nhà|hiện có|hiện nay có|"
    r"của (?:ông|bà|anh|chị|tôi|họ|thôn|xã|làng|bản))\b"
    rf"|(?:[\s,\-–]+(?:{_KIND_WORDS})\b){{0,8}}+"
    r"[\s\-–]+[\"“]?(?!Việt Nam|Luật|Nghị|Điều|Thông tư|Quốc|Bộ|Chính|Đảng)"
    rf"(?-i:[{_CAPITALS}](?![{_CAPITALS}])[^\W\d_]+))",
    re.IGNORECASE,
)
"""One cooperative, by its name or pointed at: what it did is no statement of a rule."""

_RULE_WORDS: Final = (
    "luật",
    "quy định",
    "nghị định",
    "thông tư",
    "bắt buộc",
    "được phép",
    "không được",
)
_YEAR: Final = re.compile(r"\b(?:19|20)\d{2}\b")
_LAW_YEAR: Final = re.compile(
    r"(?:luật|nghị định|thông tư|nghị quyết)[^.;:!?]{0,60}?(?:năm\s*)?(?:19|20)\d{2}(?:/[\w\-]+)?",
    re.IGNORECASE,
)
_SCALES: Final = {
    "nghìn": Decimal(10**3),
    "ngàn": Decimal(10**3),
    "triệu": Decimal(10**6),
    "tỷ": Decimal(10**9),
    "tỉ": Decimal(10**9),
}
_FIGURE: Final = re.compile(
    r"(?<![\w.,/])(?P<digits>\d{1,3}(?:\.\d{3})+(?:,\d+)?|\d{1,15}(?:,\d{1,9})?)(?![\w/]|[.,]\d)"
    r"(?:\s+(?P<scale>(?:(?:nghìn|ngàn|triệu|tỷ|tỉ)\b\s*)+))?",
    re.IGNORECASE,
)
_COMPARED: Final = re.compile(
    r"so với\s+(?:[^\W\d]+\s+){0,4}(?:\d{1,2}/)*(?:19|20)\d{2}", re.IGNORECASE
)
_UNUSUAL: Final = re.compile(
    r"[^\x20-\x7e\nÀ-ÃÈ-ÊÌÍÒ-ÕÙÚÝà-ãè-êìíò-õùúýĂăĐđĨĩŨũƠơƯưẠ-ỹ–—…“”‘’]"
    r"|[^\W\d_][.\-_*·]+[^\W\d_]"
)
_NEW_STYLE: Final = re.compile("[òóỏõọ][ae]|[ùúủũụ]y")
_SHORT: Final = re.compile(r"\bhtx\b")
_REASONS: Final = (NeiReason.NOT_FOUND, NeiReason.NOT_IN_FORCE, NeiReason.OTHER_SERIES)
STALE_DAYS: Final = 400
"""Statistics are yearly and appear within weeks of the year's end: a claim that names no year
speaks of the latest figure, and after this long there is a later one that is not in the base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """What was found for a claim on a day, on-point passages first.

    ``reason`` is set if and only if nothing found is on point.
    """

    found: tuple[tuple[Passage, Evidence], ...]
    reason: NeiReason | None


class PassageIndex:
    """An index over a reference base; what it answers never changes once it is built."""

    __slots__ = (
        "_cues",
        "_edges",
        "_figures",
        "_held_in",
        "_in_force",
        "_passages",
        "_phrases",
        "_places",
        "_postings",
        "_publisher",
        "_sha256",
        "_statistics",
    )

    def __init__(self, passages: Sequence[Passage], documents: Sequence[Document]) -> None:
        self._passages = tuple(passages)
        self._sha256 = tuple(p.sha256 for p in self._passages)
        self._cues = CueIndex(self._passages, _view)
        self._statistics = bit_set(
            (i for i, p in enumerate(self._passages) if p.kind is PassageKind.STATISTIC),
            len(self._passages),
        )
        self._edges, self._in_force = _intervals(self._passages)
        self._held_in: dict[int, NDArray[np.bool_]] = {}
        self._phrases = (_Phrases(bare=False), _Phrases(bare=True))
        self._publisher: dict[int, frozenset[str]] = {}
        self._places: dict[int, frozenset[str]] = {}
        self._figures: dict[int, frozenset[Decimal]] = {}
        by_id = {d.doc_id: d for d in documents}
        for i in members(self._statistics):
            passage = self._passages[i]
            document = by_id.get(passage.doc_id)
            publisher = f"{document.publisher if document else ''} . {passage.series}"
            cues = " . ".join(cue for group in passage.cues for cue in group)
            self._publisher[i] = self._phrases[0].named(tokens(_view(publisher))).publishers
            self._places[i] = self._phrases[0].named(tokens(_view(cues))).places
            self._figures[i] = _figures(passage.text)
        self._postings = _postings(self._passages)

    def retrieve(self, text: str, day: date, *, k: int = 3) -> Retrieved:
        """Return up to ``k`` passages in force on ``day``, on-point ones first, each by BM25.

        Ties keep the order of the base, so the same claim always gives the same list.

        Raises:
            ValueError: ``k`` is below 1.
        """
        if k < 1:
            raise ValueError(f"k is {k}, at least 1 passage is needed")
        words = tokens(_view(text))[:MAX_TOKENS]
        bare_words = strip_marks(" ".join(words)).split(" ")
        # Text with marks on more than one word in twenty is no text without marks: the exact
        # question costs as much as the rest and is asked for the others only.
        marked = sum(map(ne, words, bare_words))
        bare = marked * 20 < len(words) and is_undiacritised(text)
        at = bisect_right(self._edges, day)
        cued = self._cues.on_point(bare_words if bare else words, bare=bare)
        right, reason_off = self._right(text, bare_words if bare else words, cued, day, bare=bare)
        scores = self._scores(bare_words)
        found = members(right & self._in_force[at])
        found = sorted(found, key=lambda i: (-scores[i], i))[:k]
        reason = None
        if not found:
            reason = NeiReason.NOT_IN_FORCE if right else reason_off
        near = _nearest(scores, self._held(at), k - len(found), right)
        ranked = [*((i, True) for i in found), *((i, False) for i in near)]
        return Retrieved(
            found=tuple(
                (
                    self._passages[i],
                    Evidence(
                        passage_id=self._passages[i].passage_id,
                        passage_sha256=self._sha256[i],
                        rank=rank,
                        score=round(float(scores[i]), 6),
                        on_point=pointed,
                    ),
                )
                for rank, (i, pointed) in enumerate(ranked, 1)
            ),
            reason=reason,
        )

    def _right(
        self, text: str, words: Sequence[str], cued: int, day: date, *, bare: bool
    ) -> tuple[int, NeiReason]:
        """Return which of ``cued`` speak of the same thing, and why not if none does.

        A rule says nothing about what one named cooperative did, a national figure nothing about a
        province. A figure without its publisher may come from another series: it can be confirmed
        by the same figure, never contradicted by another one.
        """
        if not cued:
            return 0, NeiReason.NOT_FOUND
        named = self._phrases[bare].named(words)
        one_cooperative = _ONE_COOPERATIVE.search(text) is not None
        right = 0 if one_cooperative and not named.rule else cued & ~self._statistics
        statistics = cued & self._statistics
        if not statistics or one_cooperative:
            return right, NeiReason.NOT_FOUND
        years = {int(y) for y in _YEAR.findall(_COMPARED.sub(" ", _LAW_YEAR.sub(" ", text)))}
        figures = _figures(text)
        reason = NeiReason.NOT_FOUND
        for i in members(statistics):
            as_of = self._passages[i].as_of
            if named.places - self._places[i] or as_of is None:
                continue
            if as_of.year not in years if years else (day - as_of).days > STALE_DAYS:
                reason = max(reason, NeiReason.NOT_IN_FORCE, key=_REASONS.index)
                continue
            if named.publishers:
                same = bool(named.publishers & self._publisher[i])
            else:
                same = any(_confirms(f, known) for f in figures for known in self._figures[i])
            if same:
                right |= 1 << i
            else:
                reason = NeiReason.OTHER_SERIES
        return right, reason

    def _held(self, at: int) -> NDArray[np.bool_]:
        """Return what is in force in interval ``at``, one truth value a passage."""
        held = self._held_in.get(at)
        if held is None:
            size = len(self._passages)
            octets = np.frombuffer(self._in_force[at].to_bytes((size + 7) // 8, "little"), np.uint8)
            held = np.unpackbits(octets, count=size, bitorder="little").astype(np.bool_)
            self._held_in[at] = held
        return held

    def _scores(self, words: Sequence[str]) -> NDArray[np.float64]:
        """Return the BM25 score of every passage for a claim given as words without diacritics."""
        size = len(self._passages)
        known = self._postings.places
        spans = [span for term in set(_terms(words)) if (span := known.get(term))]
        if not spans:
            return np.zeros(size)
        table = self._postings.table
        ids, weights = np.concatenate([table[:, span] for span in spans], axis=1)
        return np.bincount(ids.astype(np.intp), weights, minlength=size).astype(
            np.float64, copy=False
        )


@dataclass(frozen=True, slots=True)
class _Named:
    """What a claim names beside its figures."""

    publishers: frozenset[str]
    places: frozenset[str]
    rule: bool


class _Phrases:
    """Finds publishers, places and words of law in a list of words."""

    __slots__ = ("_meaning", "_trie")

    def __init__(self, *, bare: bool) -> None:
        self._trie = PhraseTrie()
        self._meaning: dict[int, tuple[str, str]] = {}
        kinds = [("publisher", code, p) for code, names in PUBLISHERS.items() for p in names]
        kinds += [("place", p, p) for p in (*_PLACE_WORDS, *_PROVINCES)]
        kinds += [("rule", p, p) for p in _RULE_WORDS]
        for kind, code, phrase in kinds:
            words = tokens(_view(phrase))
            number = self._trie.add([strip_marks(w) for w in words] if bare else words)
            self._meaning[number] = (kind, code)

    def named(self, words: Sequence[str]) -> _Named:
        """Return what ``words`` name."""
        found = [self._meaning[n] for n in self._trie.find(words)]
        return _Named(
            publishers=frozenset(code for kind, code in found if kind == "publisher"),
            places=frozenset(code for kind, code in found if kind == "place"),
            rule=any(kind == "rule" for kind, _ in found),
        )


def _view(text: str) -> str:
    """Return the matching view of ``text``; text in plain letters takes a short way to the same."""
    if _UNUSUAL.search(text):
        return skeleton(text).text
    view = text.lower()
    if _NEW_STYLE.search(view):
        view = old_style(view)
    return _SHORT.sub("hợp tác xã", view) if "htx" in view else view


def _figures(text: str) -> frozenset[Decimal]:
    """Return the figures of a text in units; years and figures of one digit tell nothing."""
    found = set()
    for match in _FIGURE.finditer(text):
        digits = match["digits"]
        if _YEAR.fullmatch(digits) or len(digits) < 2:
            continue
        groups = digits.replace(".", "").partition(",")
        value = Decimal(f"{groups[0]}.{groups[2] or 0}")
        for word in (match["scale"] or "").lower().split():
            value *= _SCALES[word]
        found.add(value.normalize())
    return frozenset(found)


def _confirms(claimed: Decimal, known: Decimal) -> bool:
    """Whether ``claimed`` is ``known``, or ``known`` cut or rounded to fewer digits."""
    if claimed == known:
        return True
    step = Decimal(1).scaleb(int(claimed.normalize().as_tuple().exponent))
    cut = known.quantize(step, rounding=ROUND_DOWN)
    return claimed in (cut, known.quantize(step, rounding=ROUND_HALF_UP))


def _intervals(passages: Sequence[Passage]) -> tuple[list[date], list[int]]:
    """Return the days of change, and what is in force before, between and after them."""
    toggled: dict[date, list[int]] = {}
    for i, passage in enumerate(passages):
        toggled.setdefault(passage.valid_from, []).append(i)
        if passage.valid_to is not None:
            toggled.setdefault(passage.valid_to, []).append(i)
    edges = sorted(toggled)
    masks = [0]
    for day in edges:
        masks.append(masks[-1] ^ bit_set(toggled[day], len(passages)))
    return edges, masks


def _terms(words: Sequence[str]) -> list[str]:
    """Return syllables and pairs of neighbours: Vietnamese words are mostly two syllables long."""
    return [*words, *map(" ".join, pairwise(words))]


@dataclass(frozen=True, slots=True)
class _Postings:
    """For each term its columns of ``table``: the passages that hold it, and what it adds there."""

    places: dict[str, slice]
    table: NDArray[np.float64]  # two rows: passage, weight; one array, as joining two costs double


def _postings(passages: Sequence[Passage]) -> _Postings:
    """Return the BM25 weights of all terms but the most common ones."""
    numbers: dict[str, int] = {}
    terms, holders, counts = array("i"), array("i"), array("i")
    lengths = np.zeros(len(passages))
    for i, passage in enumerate(passages):
        words = tokens(strip_marks(_view(f"{passage.text} {passage.citation}")))
        counted = Counter(_terms(words))
        lengths[i] = counted.total()
        terms.extend(numbers.setdefault(term, len(numbers)) for term in counted)
        holders.extend([i] * len(counted))
        counts.extend(counted.values())
    if not numbers:
        return _Postings({}, np.zeros((2, 0)))
    term, holder = np.asarray(terms, np.int32), np.asarray(holders, np.int32)
    frequency = np.asarray(counts, np.float64)
    held_by = np.bincount(term)
    idf = np.log1p((len(passages) - held_by + 0.5) / (held_by + 0.5))
    norms = K1 * (1 - B + B * lengths / lengths.mean())
    weights = idf[term] * frequency / (frequency + norms[holder])
    order = np.argsort(term, kind="stable")
    ends = np.cumsum(held_by).tolist()
    rare = (held_by <= max(2.0, MAX_SHARE * len(passages))).tolist()
    return _Postings(
        {t: slice(ends[n - 1] if n else 0, ends[n]) for t, n in numbers.items() if rare[n]},
        np.stack((holder[order].astype(np.float64), weights[order])),
    )


def _nearest(
    scores: NDArray[np.float64], held: NDArray[np.bool_], count: int, without: int
) -> list[int]:
    """Return the ``count`` best of ``held`` that score at all, the earlier of equals first.

    The bit set ``without`` is left out. A list is short, so the best is looked for that many times.
    """
    if count < 1 or not len(scores):
        return []
    left = scores * held
    for i in members(without):
        left[i] = 0.0
    found = []
    for _ in range(count):
        best = int(left.argmax())
        if left[best] <= 0.0:
            break
        found.append(best)
        left[best] = 0.0
    return found
