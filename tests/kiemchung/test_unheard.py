"""A commit whose answer was never heard; a write-ahead log that is not what was written."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import duckdb
import pytest

from kiemchung.domain import Decision
from kiemchung.errors import StoreError
from kiemchung.store import open_store
from kiemchung.store.inbox import write_batch
from tests.batches import NEW_PASSAGE, batch
from tests.dashboards.conftest import PASSWORD, enrol

ROOT = Path(__file__).resolve().parents[2]
FLIPS = 20

DECIDE = """
import os, signal, sys
from pathlib import Path
from kiemchung.domain import Decision
from kiemchung.store import open_store
with open_store(Path(sys.argv[1])) as store:
    account = store.authenticate("an", sys.argv[2])
    key = store.queue(account, view="flagged")[0].mention_key
    store.refresh_queue = lambda keys: os.kill(os.getpid(), signal.SIGKILL)
    store.decide(account, key, Decision.REFUTED, form_token="once", cited_passages=[sys.argv[3]])
"""


def filled(folder: Path) -> Path:
    path = folder / "k.duckdb"
    with open_store(path) as store:
        write_batch(folder / "inbox", batch())
        store.merge_inbox(folder / "inbox")
        enrol(store, "an")
    return path


def test_a_conclusion_committed_and_not_acknowledged_counts_once(tmp_path: Path) -> None:
    path = filled(tmp_path)
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(DECIDE), str(path), PASSWORD,
         NEW_PASSAGE.passage_id],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=120, check=False,
    )  # fmt: skip
    assert killed.returncode == -9
    with open_store(path) as store:
        assert len(store.reviews()) == 1
        account = store.authenticate("an", PASSWORD)
        assert account is not None
        key = store.queue(account, view="flagged")[0].mention_key
        again = store.decide(
            account, key, Decision.REFUTED, form_token="once",
            cited_passages=[NEW_PASSAGE.passage_id],
        )  # fmt: skip
        assert again is None
        assert len(store.reviews()) == 1
        assert store.problems() == []


def test_a_flipped_write_ahead_log_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    path = filled(tmp_path)
    log = path.with_name(f"{path.name}.wal")
    with open_store(path) as store:
        for number in range(20):
            store.add_user(f"person{number}")
        before = store.counts()
        copies = tmp_path / "copy.duckdb", tmp_path / "copy.wal"
        shutil.copyfile(path, copies[0])
        shutil.copyfile(log, copies[1])  # as a kill would leave it
    assert copies[1].stat().st_size > 1000
    dice, remedies = random.Random(1), []
    place = tmp_path / "flipped.duckdb"
    for _ in range(FLIPS):
        shutil.copyfile(copies[0], place)
        data = bytearray(copies[1].read_bytes())
        at = dice.randrange(len(data))
        data[at] ^= 1 << dice.randrange(8)
        place.with_name(f"{place.name}.wal").write_bytes(data)
        try:
            with open_store(place) as store:
                assert store.counts() == before, f"byte {at} of {len(data)}"
        except StoreError as error:
            remedies.append(error.remedy)
    assert len(remedies) >= FLIPS // 2
    assert all("restore" in remedy for remedy in remedies)


def test_a_checkpoint_without_room_ends_the_store_in_our_words(tmp_path: Path) -> None:
    """After it DuckDB refuses the file to every new cursor, not only to the one that wrote."""
    store = open_store(tmp_path / "k.duckdb")
    text = 'IO Error: Database "store" has been invalidated because checkpointing failed.'

    class Refused:
        def cursor(self) -> object:
            raise duckdb.IOException(text)

    real, store._connection = store._connection, Refused()  # type: ignore[assignment]
    store._idle.clear()
    try:
        with pytest.raises(StoreError, match="invalidated") as caught:
            store.counts()
        assert "make room" in caught.value.remedy
        assert "invalidated" in store.broken  # so that a server ends and is started again
    finally:
        store._connection = real
        store.close()
