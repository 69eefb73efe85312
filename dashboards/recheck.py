"""Conclusions held against the reference base as it is now: what changed goes back to the queue."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import groupby

from fastapi.responses import RedirectResponse, Response

from dashboards.shell import Administering, Shell
from dashboards.touched import Touched, touched
from kiemchung.reference.loader import ReferenceBase
from kiemchung.store import Account, Store
from kiemchung.store.reopening import Replaced, reopen

LOG = logging.getLogger(__name__)


def reason(changes: list[Touched]) -> str:
    """Say which passages changed and how, one a line."""
    lines = [
        f"{c.passage_id} {c.change}: {c.before or '–'} → {c.now or '–'}"
        for c in sorted(changes, key=lambda c: c.passage_id)
    ]
    return "\n".join(lines)


def recheck(store: Store, base: ReferenceBase, *, by: Account | None = None) -> list[int]:
    """Mark every conclusion whose evidence is not the same in ``base``; return what waits again.

    Doing it twice with the same base marks nothing twice.
    """
    found = touched(store.decided_passages(), base.passages, base.documents)
    opened = reopen(
        store,
        [
            Replaced(mention_key=key, reason=reason(list(group)))
            for key, group in groupby(found, key=lambda t: t.mention_key)
        ],
    )
    store.note_recheck(base.version, len(opened), by=by)
    return opened


def recheck_when_new(store: Store, base: ReferenceBase) -> list[int]:
    """Recheck when the base has another version than at the last time."""
    if store.rechecked_version() == base.version:
        return []
    opened = recheck(store, base)
    if opened:
        LOG.info("%d decided claims wait again: their evidence was replaced", len(opened))
    return opened


def add_routes(shell: Shell, base: Callable[[], ReferenceBase]) -> None:
    """Add /admin/recheck."""

    @shell.app.post("/admin/recheck")
    def again(who: Administering) -> Response:
        recheck(shell.store, base(), by=who.account)
        return RedirectResponse("/admin/audit?action=base_rechecked", 303)
