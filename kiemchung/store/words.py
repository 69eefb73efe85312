"""Folding in SQL: words in lower case without accents, ``đ`` as ``d``, single blanks between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import duckdb

# One expression for what is kept and for what is looked for, so that both are folded alike.
# The database's strip_accents leaves đ and ð.
FOLD: Final = (
    "trim(regexp_replace(translate(strip_accents(lower(nfc_normalize({}))), 'đð', 'dd'),"
    " '[^\\p{{L}}\\p{{N}}]+', ' ', 'g'))"
)


def folded(cursor: duckdb.DuckDBPyConnection, texts: Sequence[str]) -> list[str]:
    """Return ``texts`` folded."""
    clean = [t.encode("utf-8", "ignore").decode() for t in texts]  # no lone surrogates
    rows = cursor.execute(
        f"SELECT {FOLD.format('t')} FROM (SELECT unnest(?::VARCHAR[]) AS t)", [clean]
    ).fetchall()
    return [str(text) for (text,) in rows]
