"""Scoring many pairs: worker processes of one thread each, and verdicts remembered by content.

One sequence per call and one thread per worker make a verdict a function of the model, the claim
and the evidence alone; so it can be computed anywhere, in any order, and kept under the hash of
the three. A failed verdict is never kept.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from threading import Lock
from typing import Final

from kiemchung.domain import Label, Status
from models import registry
from models.verdict import Before, Verdict, VerdictModel, failed

LOG: Final = logging.getLogger(__name__)
CHUNK: Final = 64  # pairs handed to a worker at a time

_worker: VerdictModel | None = None


def key_of(model_id: str, claim: str, evidence: str) -> bytes:
    """Return the 16 bytes under which a verdict is kept; the lengths keep the parts apart."""
    head = f"{model_id}\n{len(claim)}\n{len(evidence)}\n"
    return hashlib.sha256((head + claim + evidence).encode("utf-8", "surrogatepass")).digest()[:16]


def _sum(key: bytes, *values: object) -> bytes:
    """Return eight bytes that change with every bit of a row; a float as its exact digits."""
    return hashlib.sha256(key + repr(values).encode("utf-8", "surrogatepass")).digest()[:8]


class Cached(Before):
    """A model whose verdicts are remembered in a SQLite file, across runs and threads.

    A file that cannot be read or written is told once and done without: the verdicts are the same,
    only slower. So is a row that is not as it was written: SQLite has no checksums of its own. Rows
    of other models stay; `forget_others` drops them. ``code`` stands for the program that makes
    the verdicts: those of another are not used.
    """

    def __init__(self, model: VerdictModel, path: Path, *, code: str = "") -> None:
        self.model = model
        self.path = path
        self.code = code
        self.hits = 0
        self.misses = 0
        self._lock = Lock()
        self._db: sqlite3.Connection | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                path, timeout=30, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=OFF")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS checked_verdicts (key BLOB PRIMARY KEY,"
                " model TEXT NOT NULL, status TEXT NOT NULL, label TEXT, s REAL NOT NULL,"
                " r REAL NOT NULL, n REAL NOT NULL, sum BLOB NOT NULL) WITHOUT ROWID"
            )
        except (sqlite3.Error, OSError) as error:
            self._without(error)

    def judge(self, claim: str, evidence: str) -> Verdict:
        """Return the verdict on one pair, remembered or made."""
        key = key_of(f"{self.model_id} {self.code}", claim, evidence)
        with self._lock:
            found = self._read(key)
            self.hits += found is not None
            self.misses += found is None
        if found is not None:
            return found
        made = self.model.judge(claim, evidence)
        if made.status is not Status.FAILED:
            with self._lock:
                self._keep(key, made)
        return made

    def forget_others(self) -> int:
        """Drop the verdicts of every other model; return how many."""
        if self._db is None:
            return 0
        done = self._db.execute("DELETE FROM checked_verdicts WHERE model <> ?", (self.model_id,))
        return done.rowcount

    def close(self) -> None:
        """Close the file; the model goes on without it."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _read(self, key: bytes) -> Verdict | None:
        if self._db is None:
            return None
        try:
            row = self._db.execute(
                "SELECT status, label, s, r, n, sum FROM checked_verdicts WHERE key = ?", (key,)
            ).fetchone()
            if row is None or row[5] != _sum(key, *row[:5]):
                return None
            return Verdict(
                status=Status(row[0]),
                label=Label(row[1]) if row[1] else None,
                p_supported=row[2],
                p_refuted=row[3],
                p_nei=row[4],
            )
        except (sqlite3.Error, ValueError, TypeError) as error:
            self._without(error)
            return None

    def _keep(self, key: bytes, made: Verdict) -> None:
        if self._db is None:
            return
        label = str(made.label) if made.label else None
        values = (str(made.status), label, made.p_supported, made.p_refuted, made.p_nei)
        try:
            self._db.execute(
                "INSERT OR REPLACE INTO checked_verdicts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (key, self.model_id, *values, _sum(key, *values)),
            )
        except sqlite3.Error as error:
            self._without(error)

    def _without(self, error: Exception) -> None:
        LOG.warning("%s: not used as a cache of verdicts: %s", self.path, error)
        self.close()


def _start(folder: str | None) -> None:
    global _worker
    _worker = registry.load(Path(folder)) if folder else registry.load_default()


def _chunk(pairs: Sequence[tuple[str, str]]) -> list[Verdict]:
    if _worker is None:
        raise RuntimeError("the worker has no model")
    return [_worker.judge(claim, evidence) for claim, evidence in pairs]


def score(
    pairs: Iterable[tuple[str, str]],
    *,
    folder: Path | None = None,
    processes: int = 1,
    device: str = "cpu",
) -> Iterator[Verdict]:
    """Yield the verdict of each (claim, evidence) pair, in order.

    ``folder`` None is the shipped model. With more than one process, a chunk whose worker died is
    scored again here, one pair at a time; the pairs are read as they are needed. ``device`` is
    "cpu" (onnxruntime, one sequence a call), "cuda" (torch, in batches: see `models.batched`) or
    "auto"; with a GPU the processes read the texts for it.

    Raises:
        ModelError: the folder is no model of this program.
        InputError: the device cannot be had.
    """
    if device != "cpu":
        from models import batched

        chosen = folder or registry.DEFAULT
        has_encoder = registry.verify(chosen).kind == "encoder"
        if batched.choose_device(device, has_encoder=has_encoder) == "cuda":
            on_gpu = batched.load(chosen, device="cuda")
            yield from batched.score_all(on_gpu, pairs, folder=chosen, processes=processes)
            return
    model = registry.load(folder) if folder else registry.load_default()
    if processes < 2:
        for claim, evidence in pairs:
            yield model.judge(claim, evidence)
        return
    waiting = iter(pairs)
    pool = ProcessPoolExecutor(
        processes,
        mp_context=get_context("spawn"),
        initializer=_start,
        initargs=(str(folder) if folder else None,),
    )
    alive = True
    with pool:
        while batch := list(islice(waiting, CHUNK * processes * 4)):
            chunks = [batch[i : i + CHUNK] for i in range(0, len(batch), CHUNK)]
            try:
                jobs = [pool.submit(_chunk, chunk) for chunk in chunks] if alive else []
            except BrokenProcessPool:
                jobs, alive = [], False
            for i, chunk in enumerate(chunks):
                try:
                    if i >= len(jobs):
                        raise BrokenProcessPool("no workers left")
                    yield from jobs[i].result()
                except BrokenProcessPool as error:
                    if alive:
                        LOG.warning("a scoring process died (%s); going on in this one", error)
                    alive = False
                    yield from (_alone(model, *pair) for pair in chunk)


def _alone(model: VerdictModel, claim: str, evidence: str) -> Verdict:
    try:
        return model.judge(claim, evidence)
    except Exception as error:  # noqa: BLE001  one bad text must not stop a run
        return failed(error)
