"""Sources: a true rule ascribed to a document or article that does not hold it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from kiemchung.domain import (
    Difference,
    Distortion,
    Document,
    Evidence,
    Passage,
)
from models.cues import normal
from models.decide.view import ClaimView
from models.decide.words import SOURCE_LINK, SOURCE_VERB
from nlp.quantities import LegalRef

_VALIDITY: Final = re.compile(
    r"(?<!\w)(?:có|hết|còn|mất|nguyên)\s+hiệu\s+lực(?!\w)|(?<!\w)(?:được|bị)\s+(?:thay\s+thế|bãi\s+bỏ)(?!\w)"
)


def wrong_source(
    claim: ClaimView,
    passage: Passage,
    documents: Mapping[str, Document],
    named: Sequence[Document],
    found: Sequence[tuple[Passage, Evidence]],
) -> Difference | None:
    """Return the difference where a true rule is ascribed to a document or article not its own."""
    refs = [r for r in claim.refs if not r.anaphoric]
    if not refs:
        return None
    told = [r for r in refs if SOURCE_LINK.search(claim.view[: r.start])
            or SOURCE_VERB.search(claim.view[r.end :])
            or r.start == 0]  # fmt: skip
    ids = {d.doc_id for d in named}
    of_same = {p.doc_id for p, e in found if e.on_point}
    own_words = normal(f"{passage.text} {passage.citation}")
    if _VALIDITY.search(claim.view) or any(_names(r, own_words) for r in told):
        told = []  # the sentence, or the rule itself, speaks of that document
    if told and ids and passage.doc_id not in ids and not ids & of_same:
        ref = told[0]
        return Difference(
            kind=Distortion.WRONG_SOURCE, claim=claim.words(ref.start, ref.end),
            evidence=passage.citation, start=ref.start, end=ref.end,
        )  # fmt: skip
    own = re.findall(r"[Đđ]iều\s+(\d+)", passage.locator)
    for ref in told:
        article = str(ref.article or "")
        if not article or not own or article in own or (ids and passage.doc_id not in ids):
            continue
        elsewhere = {
            n for p, e in found if e.on_point for n in re.findall(r"[Đđ]iều\s+(\d+)", p.locator)
        }
        if article in elsewhere:
            continue
        return Difference(
            kind=Distortion.WRONG_SOURCE, claim=claim.words(ref.start, ref.end),
            evidence=passage.citation, start=ref.start, end=ref.end,
        )  # fmt: skip
    return None


def _names(ref: LegalRef, view: str) -> bool:
    """Return whether a text names the document of a reference, by number or by its year."""
    if ref.number:
        return normal(ref.number) in view
    year = re.search(r"(?:19|20)\d{2}", ref.text)
    return bool(year) and not ref.article and f"năm {year.group()}" in view if year else False
