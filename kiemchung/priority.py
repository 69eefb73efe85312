"""In which order flags are read: one formula of four factors, each explained in docs/queue.md.

    urgency = p_refuted x harm x reach x novelty

The parts are about a claim and its passages, never about who wrote or published it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from kiemchung.domain import Distortion


class Novelty(StrEnum):
    """Whether a claim was met before."""

    NEW = "new"
    RECURRING = "recurring"
    RETURNED = "returned"  # after a silence of four weeks


SAME_EPISODE_DAYS: Final = 7
"""Stories within so many days of the latest one are one wave, not a recurrence."""
SILENCE_DAYS: Final = 28
"""A claim that was not met for so long has returned."""

HARM: Final[Mapping[Distortion, float]] = {
    Distortion.NEGATION: 1.0,
    Distortion.LAW_EXPIRED: 1.0,
    Distortion.CONDITION_DROPPED: 0.9,
    Distortion.NUMBER: 0.9,
    Distortion.ACTOR: 0.8,
    Distortion.DATE: 0.8,
    Distortion.OUT_OF_CONTEXT: 0.7,
    Distortion.MERGE_SPLIT: 0.6,
    Distortion.EXAGGERATION: 0.6,
    Distortion.WRONG_SOURCE: 0.5,
}
"""What a reader who acts on the claim could lose, relative to the worst kind; docs/queue.md."""
HARM_UNKNOWN: Final = 0.7
"""A flag whose difference has no kind: the middle of the list, so that it is not buried."""
NOVELTY: Final[Mapping[Novelty, float]] = {
    Novelty.RETURNED: 1.2,
    Novelty.NEW: 1.0,
    Novelty.RECURRING: 0.8,
}
"""A returned claim shows that it lives on; a recurring one was in front of somebody already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Urgency:
    """The four factors and their product."""

    p_refuted: float  # calibrated, 0..1
    harm: float
    reach: float
    novelty: float

    @property
    def value(self) -> float:
        """The place in the reading order: larger is earlier."""
        return self.p_refuted * self.harm * self.reach * self.novelty


def reach(stories: int) -> float:
    """Return the factor for the number of stories; copies of one text are one story.

    Logarithmic: a second independent story tells more than the eleventh.
    """
    return 1.0 + math.log2(max(stories, 1)) / 4.0


def harm(kinds: Iterable[Distortion]) -> float:
    """Return the factor of the gravest kind named, `HARM_UNKNOWN` for none."""
    return max((HARM[k] for k in kinds), default=HARM_UNKNOWN)


def novelty_of(latest: date | None, before: date | None) -> Novelty:
    """Return the novelty of a claim from two days.

    ``latest`` is the day of its latest story, ``before`` that of the latest story older than the
    present wave (`SAME_EPISODE_DAYS`), None when there is none.
    """
    if latest is None or before is None:
        return Novelty.NEW
    return Novelty.RETURNED if (latest - before).days >= SILENCE_DAYS else Novelty.RECURRING


def urgency(
    *, p_refuted: float | None, kinds: Iterable[Distortion], stories: int, novelty: Novelty
) -> Urgency:
    """Return the factors of one entry; a judgement without probability counts as 0."""
    return Urgency(
        p_refuted=0.0 if p_refuted is None else p_refuted,
        harm=harm(kinds),
        reach=reach(stories),
        novelty=NOVELTY[novelty],
    )
