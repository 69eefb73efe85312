"""The rows of the monitor's views: counts, never a figure about a person or an outlet's merit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from kiemchung.domain import Decision, NeiReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """The stories about cooperatives of one week, copies counted once, and what stands in them."""

    week: str
    articles: int
    stories: int
    claim_stories: int  # with at least one checkable claim
    flagged_stories: int  # with at least one claim that the machine wants looked at
    contrary_stories: int  # with at least one claim that a person found contrary to a passage


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """The different claims of one week: seen for the first time, seen before, come back.

    ``returned`` are those that a person had found contrary to a passage before the week began;
    they are part of ``recurring``.
    """

    week: str
    new: int
    recurring: int
    returned: int
    flagged_new: int
    flagged_recurring: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutletVolume:
    """How much of an outlet was read; no more is said about it."""

    outlet: str
    articles: int
    stories: int
    claims: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A rule or series of the reference base, and the different claims set beside it."""

    topic: str
    text: str  # of the latest wording
    citation: str
    claims: int
    flagged: int
    contrary: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinds:
    """A kind of difference: marked by the machine in flags, named by reviewers in conclusions."""

    kind: str
    flagged: int
    concluded: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The checkable claims of a week by what the base could say about them."""

    week: str
    judged: int
    reasons: dict[NeiReason | None, int]  # None: it did not say why
    abstained: int
    failed: int

    @property
    def total(self) -> int:
        """All checkable claims that were set beside the base."""
        return self.judged + sum(self.reasons.values()) + self.abstained + self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Unjudged:
    """A claim that the base could not judge, with the number of stories that made it."""

    mention_key: int
    text: str
    reason: NeiReason | None
    stories: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlWeek:
    """Where the addresses of a week ended."""

    week: str
    discovered: int
    fetched: int
    refused: int
    failed: int
    quarantined: int  # pages that could not be used; off-topic pages are not among them
    alarms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much was concluded in one week of the calendar in Viet Nam."""

    week: str
    conclusions: int
    reviewers: int
    hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnLoad:
    """How much one account concluded in a week: for sharing the work out, never as a mark."""

    name: str
    conclusions: int
    hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFigures:
    """What one model on one version of the base did, and what people said to it."""

    model_id: str
    base_version: str
    first_week: str
    last_week: str
    judged: int
    flagged: int
    abstained: int
    failed: int
    flags_decided: int
    flags_agreed: int
    sample_decided: int
    sample_contrary: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Returning:
    """A flagged claim of a week that was there before."""

    mention_key: int
    text: str
    first_week: str
    weeks: int
    stories: int
    decision: Decision | None
    returned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One mention of a claim."""

    mention_key: int
    outlet: str
    title: str
    url: str
    published_at: datetime | None
    as_of: date
    week: str
    decision: Decision | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A claim over time and outlets."""

    claim_id: str
    text: str
    places: tuple[Place, ...]
    total: int  # of which at most MAX_PLACES are listed
