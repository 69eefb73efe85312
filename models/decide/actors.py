"""Actors: an organ, office or kind of member in another's place."""

from __future__ import annotations

from kiemchung.domain import (
    Difference,
    Distortion,
    Passage,
)
from models.cues import normal
from models.decide.view import ClaimView
from models.decide.words import CATEGORIES, MASKED


def _mentions(view: str, category: str) -> dict[str, tuple[int, int]]:
    """Return the actors of one category with their first place; longer names are taken first."""
    taken = view
    found: dict[str, tuple[int, int]] = {}
    for name, pattern in CATEGORIES[category]:
        for hit in pattern.finditer(taken):
            found.setdefault(name, hit.span())
        taken = pattern.sub(lambda m: "\x00" * len(m.group()), taken)
    return found


def other_actors(claim: ClaimView, passage: Passage) -> list[Difference]:
    """Find an organ, office or kind of member that stands in another's place."""
    body = "\x00" * claim.body + claim.view[claim.body :]
    passage_view = normal(passage.text)
    found = []
    for category in CATEGORIES:
        ours, theirs = _mentions(body, category), _mentions(passage_view, category)
        if not ours or not theirs or set(ours) & set(theirs):
            continue
        if category == "loại thành viên" and _related(set(ours), set(theirs)):
            continue
        (_, (start, end)) = next(iter(ours.items()))
        (_, (left, right)) = next(iter(theirs.items()))
        if MASKED.search(claim.view[max(0, start - 12) : start]):
            continue
        found.append(
            Difference(
                kind=Distortion.ACTOR,
                claim=claim.words(start, end),
                evidence=passage.text[left:right],
                start=start,
                end=end,
            )
        )
    return found


def _related(ours: set[str], theirs: set[str]) -> bool:
    return ("liên kết" in ours and any("liên kết" in name for name in theirs)) or (
        "liên kết" in theirs and any("liên kết" in name for name in ours)
    )
