"""Tables as CSV that no spreadsheet runs as formulas, and back.

One rule for every CSV that leaves the program. A text cell is looked at from its first letter and
again behind every sign at which some spreadsheet may cut it (semicolon, tab, line end: which one
depends on the country that the machine is set to). Where a formula could begin there, or where an
apostrophe stands, an apostrophe is put in front. So the way back is exact.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

Cell = str | int | float | None

_CUT: Final = r"(\A|[;\t\r\n])"
# Spreadsheets pass over some of these before they look for a formula sign.
_UNSEEN: Final = "[ \u00a0\u200b-\u200f\u2060\u3000\ufeff\x00]*"
_RISKY: Final = re.compile(_CUT + f"(?='|{_UNSEEN}[=+\\-@\\t\\r\\n＝＋－＠])")
_QUOTED: Final = re.compile('[",\r\n]')
_INERT: Final = re.compile(_CUT + "'")
BOM: Final = "\ufeff"
"""In front of a file that a person opens in a spreadsheet: without it Vietnamese turns to noise."""


def safe_cell(value: str) -> str:
    """Return ``value`` so that no spreadsheet runs it; `plain_cell` gives it back."""
    return _RISKY.sub(r"\1'", value)


def plain_cell(cell: str) -> str:
    """Return the text that `safe_cell` was given."""
    return _INERT.sub(r"\1", cell)


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    # A number holds no formula, and one with a minus in front must stay a number.
    text = safe_cell(value) if isinstance(value, str) else str(value)
    # csv.writer leaves a lone carriage return unquoted when lines end with a newline.
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a CSV with a header line, also for no rows; every text cell is inert."""
    lines = (",".join(map(_cell, row)) or '""' for row in (header, *rows))
    return "".join(f"{line}\n" for line in lines)
