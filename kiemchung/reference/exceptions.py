"""Exceptions of a fact, read from its own words so that the two can never part."""

from __future__ import annotations

import re
from typing import Final

_EXCEPT: Final = re.compile(
    r"(?<!\w)(?<!khấu )(?<!Khấu )(?P<what>"
    r"(?:trừ(?:\s+(?:trường\s+hợp|khi))?|không\s+kể|không\s+bao\s+gồm)\s+[^.;]+)",
    re.IGNORECASE,
)
_CHARTER: Final = re.compile(
    r"(?<!\w)(?:do\s+điều\s+lệ\s+quy\s+định|theo\s+điều\s+lệ|theo\s+quy\s+định\s+của\s+điều\s+lệ|điều\s+lệ\s+quy\s+định\s+khác)"
    r"(?!\w)",
    re.IGNORECASE,
)  # fmt: skip


def exceptions(text: str) -> tuple[str, ...]:
    """Return what a fact excepts ("trừ ...", "không kể ..."), each to the end of its clause."""
    return tuple(" ".join(m["what"].split()).rstrip(" ,") for m in _EXCEPT.finditer(text))


def charter_decides(text: str) -> bool:
    """Return whether the charter of a cooperative may set it otherwise or fills it in."""
    return _CHARTER.search(text) is not None
