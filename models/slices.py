"""Slices: parts of a set on which a model may do worse than its mean says.

Which slice a pair is in follows from its two texts alone, so any set can be cut without labels
beyond SUPPORTED, REFUTED and NOT ENOUGH INFO. Slices overlap: one claim can quote, count and cite.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Final

from kiemchung.domain import LABEL_ORDER, Label, Status
from models.construct import Pair
from models.cues import any_of, normal
from models.evaluate import Interval, f1_by_label, wilson
from models.verdict import Verdict
from nlp.quantities import QuantityKind, extract
from nlp.structure import attribution

ARTICLE: Final = 120  # words of evidence above which it is an article, as in models.encoder
LONG_CLAIM: Final = 30  # words

_LAW: Final = any_of(
    "luật", "bộ luật", "nghị định", "thông tư", "nghị quyết", "quyết định số", "quy định",
    "pháp luật", "hiệu lực", "hiến pháp",
)  # fmt: skip
_QUOTED: Final = re.compile(r'"[^"\s][^"]{8,}"|“[^”]{9,}”|«[^»]{9,}»')


# A claim stands beside several evidences, and in several slices.
_read = lru_cache(maxsize=20_000)(extract)
_said = lru_cache(maxsize=20_000)(attribution)


def _is_law(pair: Pair) -> bool:
    return bool(_read(pair.claim).legal_refs or _LAW.search(normal(pair.claim)))


def _has_number(pair: Pair) -> bool:
    return any(q.kind is not QuantityKind.ORDINAL for q in _read(pair.claim).quantities)


def _is_quote(pair: Pair) -> bool:
    if _QUOTED.search(pair.claim):
        return True
    said = _said(pair.claim)
    return said is not None and said.is_direct


def _names_source(pair: Pair) -> bool:
    return _said(pair.claim) is not None or bool(_read(pair.claim).legal_refs)


def _is_article(pair: Pair) -> bool:
    return len(pair.evidence.split()) > ARTICLE


def _is_long(pair: Pair) -> bool:
    return len(pair.claim.split()) > LONG_CLAIM


SLICES: Final[Mapping[str, Callable[[Pair], bool]]] = {
    "law": _is_law,
    "number": _has_number,
    "no_number": lambda pair: not _has_number(pair),
    "quote": _is_quote,
    "source": _names_source,
    "evidence_passage": lambda pair: not _is_article(pair),
    "evidence_article": _is_article,
    "claim_short": lambda pair: not _is_long(pair),
    "claim_long": _is_long,
}
"""Name of each slice and the test that puts a pair into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceReport:
    """Figures of one slice; ``macro_f1`` is over the labels that the slice has, in ``labels``.

    ``shown`` is the precision of what would be flagged, ``coverage`` the share of the slice that
    would be; ``recall_refuted`` is None where nothing in the slice is refuted.
    """

    name: str
    n: int
    labels: tuple[str, ...]
    macro_f1: float | None
    recall_refuted: float | None
    shown: Interval
    coverage: float

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON; a share of nothing is null."""
        body = asdict(self) | {"labels": list(self.labels)}
        if self.shown.n == 0:
            body["shown"]["value"] = None
        return body


def report_of(
    name: str, pairs: Sequence[Pair], verdicts: Sequence[Verdict], *, threshold: float
) -> SliceReport:
    """Return the figures of ``pairs``, whose verdicts were already given."""
    gold = [p.label for p in pairs]
    said = [v.label for v in verdicts]
    present = [label for label in LABEL_ORDER if label in gold]
    by_label = f1_by_label(gold, said)
    refuted = [s for g, s in zip(gold, said, strict=True) if g is Label.REFUTED]
    shown = [
        g
        for g, v in zip(gold, verdicts, strict=True)
        if v.status is Status.OK and v.label is Label.REFUTED and (v.p_refuted or 0.0) >= threshold
    ]
    return SliceReport(
        name=name,
        n=len(pairs),
        labels=tuple(str(label) for label in present),
        macro_f1=sum(by_label[str(x)] for x in present) / len(present) if present else None,
        recall_refuted=refuted.count(Label.REFUTED) / len(refuted) if refuted else None,
        shown=wilson(shown.count(Label.REFUTED), len(shown)),
        coverage=len(shown) / len(pairs) if pairs else 0.0,
    )


def by_slice(
    pairs: Sequence[Pair], verdicts: Sequence[Verdict], *, threshold: float
) -> tuple[SliceReport, ...]:
    """Return the figures of every slice; one without pairs has n 0 and no figures."""
    found = []
    for name, test in SLICES.items():
        mine = [i for i, pair in enumerate(pairs) if test(pair)]
        found.append(
            report_of(
                name, [pairs[i] for i in mine], [verdicts[i] for i in mine], threshold=threshold
            )
        )
    return tuple(found)
