"""The store: the only importer of duckdb, and the only place where a review is written down."""

import os

# Read by DuckDB's allocator when it is loaded; without it, it keeps what was freed for ten seconds
# of work, which an idle desk never does: 110 MB in a store of a million claims.
os.environ.setdefault("DUCKDB_JE_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")

from kiemchung.store.opening import open_store, restore
from kiemchung.store.queue import Listing
from kiemchung.store.rows import (
    Account,
    BlindChoice,
    ChoiceDetails,
    Copy,
    DecidedPassage,
    EvidenceRow,
    FlagRow,
    Item,
    QueueEntry,
    RunRow,
    ShownPassage,
    WeekCounts,
)
from kiemchung.store.store import Store

__all__ = [
    "Account",
    "BlindChoice",
    "ChoiceDetails",
    "Copy",
    "DecidedPassage",
    "EvidenceRow",
    "FlagRow",
    "Item",
    "Listing",
    "QueueEntry",
    "RunRow",
    "ShownPassage",
    "Store",
    "WeekCounts",
    "open_store",
    "restore",
]
