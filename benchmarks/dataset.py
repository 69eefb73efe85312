"""The export of many decisions as a data set: seconds by part, peak memory, bytes, leaks.

    python benchmarks/dataset.py [--decisions 100000] [--store FILE]

Made-up weeks come in through the real inbox (`bigstore`), a twentieth of the decisions each; every
mention is concluded by one of seven people, and of a hundred conclusions two are undone, one is set
back, one disputed, one adjudicated, one seconded. Then the export runs in this process with a clock
at each part, and `kiemchung export --dataset` in one of its own, as a user starts it. ``--store``
keeps the store for the next time.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import bigstore  # noqa: E402
from kiemchung.store import Store, open_store  # noqa: E402

# A decision by the hash of the mention; REFUTED only where there is a passage to cite.
DECIDE = """
INSERT INTO review
SELECT row_number() OVER (ORDER BY m.mention_key), m.mention_key, c.judgement_key,
    1 + hash(m.mention_id, 1) % 7, CASE
        WHEN len(p.ids) > 0 AND hash(m.mention_id, 2) % 10 < 4 THEN 'REFUTED'
        WHEN len(p.ids) > 0 AND hash(m.mention_id, 2) % 10 < 7 THEN 'SUPPORTED'
        WHEN hash(m.mention_id, 3) % 50 = 0 THEN 'UNCHECKABLE'
        WHEN hash(m.mention_id, 3) % 50 = 1 THEN 'CONFLICTING'
        ELSE 'NOT_ENOUGH_INFO' END,
    'NOT_ENOUGH_INFO', true, CASE WHEN len(p.ids) > 0 THEN ['number'] ELSE [] END,
    coalesce(p.ids, []), 'ghi chú riêng', 20.0, 'queue', coalesce(s.reason, 'none'), s.probability,
    md5(m.mention_id), TIMESTAMPTZ '2026-01-01' + INTERVAL 1 SECOND * m.mention_key, NULL
FROM mention AS m
JOIN current_judgement AS c ON c.mention_key = m.mention_key
LEFT JOIN (
    SELECT e.judgement_key, list(p.passage_id ORDER BY e.rank) AS ids
    FROM judgement_evidence AS e JOIN passage AS p USING (passage_key)
    WHERE e.on_point GROUP BY e.judgement_key
) AS p ON p.judgement_key = c.judgement_key
LEFT JOIN (
    SELECT mention_key, min(reason) AS reason, arg_min(probability, reason) AS probability
    FROM selection GROUP BY mention_key
) AS s ON s.mention_key = m.mention_key
ORDER BY m.mention_key LIMIT {decisions} OFFSET {have}
"""


def people(store: Store) -> None:
    """Make sure that the seven who conclude have accounts."""
    with store._writing() as cursor:
        known = {n for (n,) in cursor.execute("SELECT name FROM account").fetchall()}
    for number in range(1, 8):
        if f"ba-{number}" not in known:
            store.add_user(f"ba-{number}")


def decide(store: Store, decisions: int) -> None:
    """Conclude ``decisions`` mentions, and let people change their minds about some."""
    people(store)
    copy = "SELECT {cols} FROM review AS r WHERE undoes IS NULL AND review_key % 100 = {n}"
    columns = [
        "mention_key", "judgement_key", "account_key", "decision", "decision_before_model",
        "shown_model", "distortions", "cited_passages", "note", "seconds", "opened_from",
        "selected_as", "probability", "form_token", "created_at", "undoes",
    ]  # fmt: skip

    def more(n: int, **changed: str) -> str:
        cols = ", ".join(changed.get(c, c) for c in columns)
        return (
            "INSERT INTO review SELECT (SELECT max(review_key) FROM review) + row_number() OVER"
            f" (ORDER BY review_key), * EXCLUDE (review_key) FROM"
            f" ({copy.format(cols='review_key, ' + cols, n=n)})"
        )

    other = "1 + account_key % 7"
    with store._writing() as cursor:
        cursor.execute(DECIDE.format(decisions=decisions, have=0))
        for n in (0, 1):
            cursor.execute(more(n, undoes="review_key", form_token="''"))
        cursor.execute(
            "INSERT INTO reopening SELECT row_number() OVER (), review_key, mention_key,"
            " 'evidence_replaced', 'thay', NULL, created_at FROM review"
            " WHERE undoes IS NULL AND review_key % 100 = 2"
        )
        for n in (3, 4):
            cursor.execute(more(n, account_key=other, decision="'CONFLICTING'"))
        (last,) = cursor.execute("SELECT max(review_key) FROM review").fetchone() or (0,)
        cursor.execute(more(4, account_key="1 + (account_key + 1) % 7"))
        cursor.execute(
            "INSERT INTO adjudication SELECT row_number() OVER (), review_key, mention_key,"
            f" 'slip', '', [1, 2], created_at FROM review WHERE review_key > {last}"
            " QUALIFY row_number() OVER (PARTITION BY mention_key) = 1"
        )
        cursor.execute(more(5, account_key=other))


def _timed(store: Store, folder: Path) -> dict[str, float]:
    """Export once in this process and return the seconds of each part."""
    import pipeline.dataset as exporting
    from kiemchung.store import conclusions
    from models import leaks, splits
    from nlp import near

    spent: dict[str, float] = {}

    def clocked(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **given: Any) -> Any:  # noqa: ANN401
            began = time.perf_counter()
            try:
                return call(*args, **given)
            finally:
                spent[name] = spent.get(name, 0.0) + time.perf_counter() - began

        return run

    parts = (
        (conclusions, "conclusions", "read the store"),
        (near, "texts_of", "take claims apart (the split's and the check's)"),
        (splits, "split", "split"),
        (leaks, "find", "check for leaks"),
        (exporting, "_write", "check, write and hash"),
    )
    kept = [(module, name, getattr(module, name)) for module, name, _ in parts]
    for module, name, label in parts:
        setattr(module, name, clocked(label, getattr(module, name)))
    began = time.perf_counter()
    try:
        exporting.export_dataset(store, folder)
    finally:
        for module, name, call in kept:
            setattr(module, name, call)
    spent["whole"] = time.perf_counter() - began
    return {name: round(value, 2) for name, value in spent.items()}


def main() -> None:
    """Fill the store where it is not full yet, export, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--decisions", type=int, default=100_000)
    parser.add_argument("--store", type=Path, help="Data folder to keep (default: a new one).")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kiemchung-dataset-") as scratch:
        home = given.store or Path(scratch) / "var"
        home.mkdir(parents=True, exist_ok=True)
        path = home / "kiemchung.duckdb"
        with open_store(path, double_share=0.0) as store:
            if not store.counts()["reviews"]:
                bigstore.fill(store, given.decisions, a_week=max(given.decisions // 20, 100))
                decide(store, given.decisions)
            parts = _timed(store, Path(scratch) / "inside")
        out = Path(scratch) / "out"
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.cli", "export", "--dataset", str(out), "--data",
             str(home), "--json"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        body = json.loads(done.stdout)
        same = all(
            (out / p.name).read_bytes() == p.read_bytes()
            for p in (Path(scratch) / "inside").iterdir()
        )
        print(
            json.dumps(
                {
                    "reviews": body["reviews"],
                    "states": body["states"],
                    "pairs": body["pairs"],
                    "split": {n: c["pairs"] for n, c in body["counts"].items()},
                    "outside": body["splits"]["outside"],
                    "seconds": round(seconds, 1),
                    "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
                    "peak_mb": round(used.ru_maxrss / 1024),
                    "megabytes": round(sum(p.stat().st_size for p in out.iterdir()) / 1e6, 1),
                    "parts": parts,
                    "the_same_bytes_twice": same,
                },
                indent=1,
            )
        )


if __name__ == "__main__":
    main()
