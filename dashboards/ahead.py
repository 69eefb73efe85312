"""What nobody waits for: read while a person reads, so that the next page has it at hand."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from starlette.background import BackgroundTask

from dashboards import deskview
from kiemchung.errors import StoreError
from kiemchung.store import Store

SECONDS: Final = 0.1
"""Behind an answer, so that the browser has shown it: to read an item takes 20 to 50 ms of a
processor, and on a small machine the browser wants the same one."""


def task(store: Store, mention_key: int | None) -> BackgroundTask:
    """Return what a page sets going: leases are written down, the item behind it is read."""

    async def set_going() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(SECONDS, loop.run_in_executor, None, look, store, mention_key)

    return BackgroundTask(set_going)


def look(store: Store, mention_key: int | None) -> None:
    """Do it now; never raises a StoreError."""
    store.look_ahead(mention_key)
    with suppress(StoreError):  # whoever opens it will be told
        item = None if mention_key is None else store.item(mention_key)
        if item is not None:
            deskview.structure_of(store, item)
