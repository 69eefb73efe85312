"""The store: the only importer of duckdb, and the only place where a review is written down."""

from kiemchung.store.opening import open_store, restore
from kiemchung.store.rows import (
    Account,
    BlindChoice,
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
    "Copy",
    "DecidedPassage",
    "EvidenceRow",
    "FlagRow",
    "Item",
    "QueueEntry",
    "RunRow",
    "ShownPassage",
    "Store",
    "WeekCounts",
    "open_store",
    "restore",
]
