"""What a person prefers: append-only, the latest row of a name has the word."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final

from kiemchung.errors import InputError
from kiemchung.store.rows import Account
from kiemchung.store.store import Store

MAX_CONTENT: Final = 4000


def preference(store: Store, account: Account, name: str) -> object:
    """Return what ``account`` keeps under ``name``, None when nothing."""
    rows = store._read(
        "SELECT content FROM preference WHERE account_key = ? AND name = ?"
        " ORDER BY preference_key DESC LIMIT 1",
        [account.key, name],
    )
    return json.loads(rows[0]["content"]) if rows else None


def set_preference(store: Store, account: Account, name: str, content: object) -> None:
    """Keep ``content`` (JSON) under ``name``.

    Raises:
        InputError: it is longer than anybody's preference.
    """
    text = json.dumps(content, ensure_ascii=False, sort_keys=True)
    if len(text) > MAX_CONTENT:
        raise InputError(f"the preference {name!r} is too long")
    with store._writing() as cursor:
        cursor.execute(
            "INSERT INTO preference SELECT coalesce(max(preference_key), 0) + 1, ?, ?, ?, ?"
            " FROM preference",
            [account.key, name, text, datetime.now(UTC)],
        )
