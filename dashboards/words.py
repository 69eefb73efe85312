"""How values read on screen; nothing here passes judgement on a person, an outlet or an opinion.

The words themselves lie in the catalogues, see `dashboards.language`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from dashboards.language import Words, current, say
from kiemchung.domain import (
    AsOfMethod,
    Checkability,
    Decision,
    Distortion,
    Label,
    NeiReason,
    Speech,
    Status,
)
from kiemchung.store.corrections import Outcome
from nlp.structure import ClaimKind

VIETNAM: Final = timezone(timedelta(hours=7))
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip

DECISIONS: Final[Mapping[Decision, str]] = Words("decision", Decision)
"""In the order of the keys 1 to 6."""

LABELS: Final[Mapping[Label, str]] = Words("label", Label)
STATUS: Final[Mapping[Status, str]] = Words("status", Status)
REASONS: Final[Mapping[NeiReason, str]] = Words("reason", NeiReason)
DISTORTIONS: Final[Mapping[Distortion, str]] = Words("distortion", Distortion)
CHECKABILITY: Final[Mapping[Checkability, str]] = Words("checkability", Checkability)
SPEECH: Final[Mapping[Speech, str]] = Words("speech", Speech)
AS_OF: Final[Mapping[AsOfMethod, str]] = Words("as_of", AsOfMethod)
OUTCOMES: Final[Mapping[Outcome, str]] = Words("outcome", Outcome)
KINDS: Final[Mapping[ClaimKind, str]] = Words("kind", ClaimKind)


class View(StrEnum):
    """The lists of the store."""

    QUEUE = "queue"
    FLAGGED = "flagged"
    ALL = "all"
    DECIDED = "decided"


VIEWS: Final[Mapping[View, str]] = Words("view", View)


def day(value: date | None) -> str:
    """Return ``30/6/2024``, in English ``30 Jun 2024``; a dash for no day."""
    if value is None:
        return "–"
    if current() == "en":  # 6/7 would be read as June there
        return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"
    return f"{value.day}/{value.month}/{value.year}"


def moment(value: datetime | None) -> str:
    """Return day and time in Viet Nam; "không rõ" for an unknown moment."""
    if value is None:
        return say("app.unknown_moment")
    local = value.astimezone(VIETNAM)
    return f"{day(local.date())}, {local.hour:02d}:{local.minute:02d}"


def local_day(value: datetime | None) -> str:
    """Return the day in Viet Nam on which a moment lies."""
    return "–" if value is None else day(value.astimezone(VIETNAM).date())


def validity(start: date, end: date | None) -> str:
    """Return from when to when a passage held; ``end`` is its first day without force."""
    if end is None:
        return say("valid.from", start=day(start))
    return say("valid.between", start=day(start), end=day(end - timedelta(days=1)))


def share(value: float | None) -> str:
    """Return a probability as ``93 %``; a dash for none."""
    return "–" if value is None else f"{round(value * 100)} %"


def link(address: str) -> str:
    """Return ``address`` when a browser may follow it, else nothing: only http and https."""
    if any(ord(letter) <= 32 for letter in address):
        return ""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return address if parts.scheme in ("http", "https") and parts.hostname else ""


def host(address: str) -> str:
    """Return the host of ``address`` to show beside a link."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
