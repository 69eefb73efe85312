"""Dates: the days on which a rule begins or ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from kiemchung.domain import (
    Difference,
    Distortion,
    Passage,
)
from models.cues import normal
from models.decide.view import ClaimView
from models.decide.words import EFFECT
from nlp.quantities import DateRelation, DateValue, extract

_DAYS: Final = 10_000  # indices of dates stand behind those of quantities


def compare_dates(
    claim: ClaimView, passage: Passage
) -> tuple[list[Difference], frozenset[int], frozenset[int]]:
    """Compare the days on which a rule begins or ends; other dates of a claim are its setting.

    Returns the differences, and which of the claim's dates agree and which do not.
    """
    theirs = [d for d in extract(passage.text).dates if d.resolved]
    view = normal(passage.text)
    anchored = [d for d in theirs if _begins(view, d)]
    found: list[Difference] = []
    same: set[int] = set()
    other: set[int] = set()
    for index, ours in enumerate(claim.dates):
        if not ours.resolved or not anchored or not _begins(claim.view, ours):
            continue
        fits = any(ours.first <= d.last and d.first <= ours.last for d in theirs)
        if fits or _day_before(ours, theirs):
            same.add(_DAYS + index)
            continue
        if ours.first <= passage.valid_from <= ours.last:
            continue
        other.add(_DAYS + index)
        found.append(
            Difference(
                kind=Distortion.DATE,
                claim=claim.words(ours.start, ours.end),
                evidence=anchored[0].text,
                start=ours.start,
                end=ours.end,
            )
        )
    return found, frozenset(same), frozenset(other)


def _begins(view: str, day: DateValue) -> bool:
    """Whether a date says from when something holds, and is not merely when something was said."""
    return day.relation is DateRelation.FROM or bool(
        EFFECT.search(view[max(0, day.start - 60) : day.start])
    )


def _day_before(ours: DateValue, theirs: Sequence[DateValue]) -> bool:
    """ "đến hết ngày 30/6/2024" says the same as "từ ngày 1/7/2024"."""
    return any(abs((ours.last - d.first).days) == 1 and d.first != date.max for d in theirs)
