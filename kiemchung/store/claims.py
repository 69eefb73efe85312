"""Which mentions make the same claim, and in which outlet one stands: an index in memory.

The tables are in another order. Arrays of 14 bytes a mention, 14 MB at a million; built behind each
merge and swapped in.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import duckdb
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from kiemchung.store.store import Store

_STRETCH: Final = 100_000
_OUTLETS: Final = "SELECT DISTINCT outlet FROM article ORDER BY 1"


class ClaimIndex:
    """Finds the mentions of a claim without a look at every row."""

    def __init__(self) -> None:
        self._building = threading.Lock()
        self._arrays: tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32 | np.int64]] | None = None
        self._outlets: tuple[list[str], npt.NDArray[np.uint16]] = [], np.zeros(0, dtype=np.uint16)

    def rebuild(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Read the claims again; the old index serves meanwhile."""
        with self._building:
            names = [str(o) for (o,) in cursor.execute(_OUTLETS).fetchall()]
            (top,) = cursor.execute(
                "SELECT coalesce(max(mention_key), 0) FROM mention"
            ).fetchone() or (0,)
            places = np.zeros(int(top) + 1, dtype=np.uint16)
            found = [self._stretch(cursor, names, low, places) for low in range(0, top, _STRETCH)]
            hashes = np.concatenate([np.zeros(0, dtype=np.uint64), *(h for h, _ in found)])
            size = np.uint32 if top < 2**32 else np.int64
            keys = np.concatenate([np.zeros(0, dtype=size), *(k.astype(size) for _, k in found)])
            order = np.argsort(hashes, kind="stable")
            self._outlets = names, places
            self._arrays = hashes[order], keys[order]

    @staticmethod
    def _stretch(
        cursor: duckdb.DuckDBPyConnection,
        names: list[str],
        low: int,
        places: npt.NDArray[np.uint16],
    ) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
        """Return hashes and keys of a stretch of mentions, and note their outlets.

        Numbers are handed over with the interpreter in hand: of a million at once others would
        wait 0.1 s.
        """
        columns = cursor.execute(
            "SELECT hash(m.claim_id) AS h, m.mention_key, CASE WHEN m.checkability ="
            " 'CHECKABLE' THEN list_position(?::VARCHAR[], a.outlet) ELSE 0 END::USMALLINT"
            " AS outlet FROM mention AS m SEMI JOIN run_mention AS r"
            " ON r.mention_key = m.mention_key"
            " JOIN article AS a ON a.article_key = m.article_key"
            f" WHERE m.mention_key > {low} AND m.mention_key <= {low + _STRETCH}",
            [names],
        ).fetchnumpy()
        keys = np.asarray(columns["mention_key"], dtype=np.int64)
        places[keys] = np.asarray(columns["outlet"], dtype=np.uint16)
        return np.asarray(columns["h"], dtype=np.uint64), keys

    def shown(
        self, cursor: duckdb.DuckDBPyConnection, keys: npt.NDArray[np.int64], outlet: str = ""
    ) -> npt.NDArray[np.int64]:
        """Return those of ``keys`` that are checkable claims of a run, of one outlet or of any."""
        if self._arrays is None:
            self.rebuild(cursor)
        names, places = self._outlets
        inside = keys[keys < len(places)]
        wanted = places[inside] > 0
        if outlet:
            number = names.index(outlet) + 1 if outlet in names else len(names) + 1
            wanted = places[inside] == number
        found: npt.NDArray[np.int64] = inside[wanted]
        return found

    def mentions(self, cursor: duckdb.DuckDBPyConnection, claim_id: str) -> list[int]:
        """Return the keys of the mentions that a run holds, ascending.

        Two claims in 2**64 may share a hash: whoever reads the rows asks for the claim again.
        """
        if self._arrays is None:
            self.rebuild(cursor)
        assert self._arrays is not None
        hashes, keys = self._arrays
        (wanted,) = cursor.execute("SELECT hash(?::VARCHAR)", [claim_id]).fetchone() or (0,)
        value = np.uint64(wanted)
        first, last = np.searchsorted(hashes, value), np.searchsorted(hashes, value, side="right")
        return sorted(int(k) for k in keys[first:last])


def warm(store: Store) -> None:
    """Build what the first request would wait for: the index of the claims and the reading order.

    Raises:
        StoreError: the database failed.
    """
    with store._cursor() as cursor:
        store.claims.rebuild(cursor)
    store.rebuild_queue()
