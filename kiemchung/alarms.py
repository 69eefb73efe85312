"""The kinds of alarm: one name each, for logs, metrics and the administrator's table.

An alarm is a line for people that begins with its kind. `kind_of` reads it back, so that alarms of
runs that are long in the store have a kind, too.
"""

from __future__ import annotations

import re
from typing import Final

OTHER: Final = "other"
_LISTS: Final = "(?:feed|sitemap|listing|search)"
_FORMS: Final[tuple[tuple[str, str], ...]] = (
    # Of the crawl, once per list or outlet.
    ("dead_list", f"dead {_LISTS}: "),
    ("refused_list", f"refused {_LISTS}: "),
    ("empty_list", f"empty {_LISTS}: "),
    ("missed_items", "missed items: "),
    ("robots_unreachable", "robots unreachable: "),
    ("page_budget", "page budget used up: "),
    # Of the run.
    ("pages_quarantined", r"\d+ of \d+ pages quarantined"),
    ("pending", r"\d+ addresses still pending"),
    ("wrong_clock", "the clock was wrong: "),
    ("other_configuration", "the week was run with another configuration before"),
    ("other_outlet_file", "the run was begun with another file of the outlet "),
    ("unreadable_history", "unreadable history: "),
    ("not_delivered", "report not delivered by "),
    # Of what was read and what the model said of it (models.drift, models.audited).
    ("input_drift", "input_drift: "),
    ("output_drift", "output_drift: "),
    ("calibration", "calibration: "),
    # Of an outlet beside its own past (crawler.health).
    *(
        (kind, f"{kind}: ")
        for kind in (
            "dead_feed", "empty_feed", "frozen_feed", "default_feed", "moved_host", "refused",
            "unreachable", "sudden_silence", "sudden_flood", "cooperative_share", "empty_bodies",
            "truncated", "redesign", "dates_missing", "repeated_text",
        )
    ),
)  # fmt: skip
KINDS: Final = tuple(kind for kind, _ in _FORMS)
_PATTERNS: Final = tuple((kind, re.compile(form)) for kind, form in _FORMS)
_OUTLET: Final = re.compile(r"[a-z_ ]+: ([a-z0-9][a-z0-9-]*)(?=[: ])")
_OF_AN_OUTLET: Final = frozenset(KINDS) - {
    "pages_quarantined", "pending", "wrong_clock", "other_configuration", "other_outlet_file",
    "unreadable_history", "not_delivered", "input_drift", "output_drift", "calibration",
}  # fmt: skip


def kind_of(line: str) -> str:
    """Return the kind of an alarm, `OTHER` for one that has no name here."""
    return next((kind for kind, form in _PATTERNS if form.match(line)), OTHER)


def outlet_of(line: str) -> str:
    """Return the outlet that an alarm is about, empty where it is about the whole run."""
    if kind_of(line) not in _OF_AN_OUTLET:
        return ""
    found = _OUTLET.match(line)
    return found[1] if found else ""
