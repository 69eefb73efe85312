"""Which mentions people have acted on, in memory, so that untouched ones cost no question.

Nearly every claim that is opened is new to everybody: nothing was concluded about it or its copies,
and its form was never sent. Sets of keys say so, at 200 bytes a conclusion. They hold too much
after a rolled back write and never too little: a key goes in before its row is committed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from kiemchung.store.base import OpenFile
from kiemchung.store.kept import Kept
from kiemchung.store.rows import BlindChoice, ChoiceDetails


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A blind choice, what was said beside it, and the judgement that lay before the reviewer."""

    choice: BlindChoice
    details: ChoiceDetails
    judgement_key: int | None


class Acts:
    """The keys of an open store's choices and conclusions."""

    def __init__(self, store: OpenFile) -> None:
        self._store = store
        self._guard = threading.Lock()
        self._reviewed: set[int] | None = None
        self._chosen: set[int] | None = None
        self._sent: set[int] = set()  # the hashes of the forms' tokens
        self._latest = Kept(500)

    def _load(self) -> tuple[set[int], set[int]]:
        with self._guard:
            if self._reviewed is None or self._chosen is None:
                with self._store._cursor() as cursor:
                    rows = cursor.execute(
                        "SELECT mention_key FROM review UNION SELECT mention_key FROM review_copy"
                    ).fetchall()
                    chosen = cursor.execute("SELECT DISTINCT mention_key FROM blind_choice")
                    self._chosen = {int(k) for (k,) in chosen.fetchall()}
                    sent = cursor.execute(
                        "SELECT form_token FROM review UNION ALL"
                        " SELECT form_token FROM blind_choice"
                    )
                    while part := sent.fetchmany(10_000):
                        self._sent.update(hash(token) for (token,) in part)
                    self._reviewed = {int(k) for (k,) in rows}
            return self._reviewed, self._chosen

    def reviewed(self, mention_keys: Iterable[int]) -> list[int]:
        """Return which of these mentions some conclusion was ever about, as a copy too."""
        known, _ = self._load()
        return [k for k in mention_keys if k in known]

    def chosen(self, mention_key: int) -> bool:
        """Whether somebody ever chose blind about a mention."""
        return mention_key in self._load()[1]

    def sent(self, form_token: str) -> bool:
        """Whether a form with this token may have been sent; False is certain."""
        self._load()
        return hash(form_token) in self._sent

    def note_review(self, mention_keys: Iterable[int], form_token: str = "") -> None:
        """A conclusion about these mentions is about to be committed."""
        self._load()[0].update(mention_keys)
        self._sent.add(hash(form_token))

    def note_choice(self, mention_key: int, form_token: str) -> None:
        """A blind choice about this mention is about to be committed."""
        self._load()[1].add(mention_key)
        self._sent.add(hash(form_token))

    def keep(self, account_key: int, mention_key: int, chosen: Chosen) -> None:
        """Keep the latest choice of somebody, which was committed."""
        self._latest.put((account_key, mention_key), chosen)

    def latest(self, account_key: int, mention_key: int) -> Chosen | None:
        """Return somebody's latest choice where it was made since the start, else None."""
        found = self._latest.peek((account_key, mention_key))
        return found if isinstance(found, Chosen) else None
