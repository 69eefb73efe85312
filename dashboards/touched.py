"""Which past decisions a change of the reference base touches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from kiemchung.domain import Decision, Document, Passage
from kiemchung.store import DecidedPassage
from nlp.retrieval import PassageIndex


class Change(StrEnum):
    """What happened to the evidence of a decision since."""

    CHANGED = "changed"
    REMOVED = "removed"
    NO_LONGER_ON_POINT = "no_longer_on_point"
    NEW = "new"


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """A decision whose evidence would not be the same today."""

    mention_key: int
    text: str
    decision: Decision
    passage_id: str
    change: Change
    before: str
    now: str


def touched(
    decided: Sequence[DecidedPassage], passages: Sequence[Passage], documents: Sequence[Document]
) -> list[Touched]:
    """Return, for each decided claim, what of its evidence has changed; nothing decides again.

    A passage is compared by its hash, so that a changed validity counts as well as changed words.
    What is on point for the claim on its day is looked up anew: a passage added since may matter.
    """
    by_id = {p.passage_id: p for p in passages}
    index = PassageIndex(passages, documents)
    found: list[Touched] = []
    for _, group in groupby(decided, key=lambda d: d.mention_key):
        held = list(group)
        first = held[0]
        today = {
            p.passage_id: p
            for p, e in index.retrieve(first.text, first.as_of, k=max(3, len(held))).found
            if e.on_point
        }
        for old in held:
            now = by_id.get(old.passage_id)
            if now is None:
                change = Change.REMOVED
            elif now.sha256 != old.sha256:
                change = Change.CHANGED
            elif old.passage_id not in today:
                change = Change.NO_LONGER_ON_POINT
            else:
                continue
            found.append(_touched(old, old.passage_id, change, old.passage_text, now))
        for passage_id in today.keys() - {d.passage_id for d in held}:
            found.append(_touched(first, passage_id, Change.NEW, "", today[passage_id]))
    return sorted(found, key=lambda t: (t.mention_key, t.passage_id))


def _touched(
    of: DecidedPassage, passage_id: str, change: Change, before: str, now: Passage | None
) -> Touched:
    return Touched(
        mention_key=of.mention_key,
        text=of.text,
        decision=of.decision,
        passage_id=passage_id,
        change=change,
        before=before,
        now=now.text if now else "",
    )
