"""The monitor's views over many claims: first answer after a merge, and every later one.

    python benchmarks/views.py [--claims 1000000] [--weeks 26]

Rows are made by SQL in an empty store, so that a million claims take a minute and not a day. For
each page: seconds to make its figures for the first time, seconds once they are kept, and seconds
after somebody concluded something.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from kiemchung.store import Store, open_store
from kiemchung.store.inbox import write_batch
from kiemchung.store.monitor import Monitor
from tests.batches import batch


def fill(store: Store, claims: int, weeks: int) -> None:
    """Spread ``claims`` mentions over ``weeks`` weeks: a tenth of the claims come back."""
    with store._cursor() as cursor:
        cursor.execute(
            "INSERT INTO run SELECT 1000 + i, 'run-' || i,"
            " '2025-W' || lpad((i + 1)::VARCHAR, 2, '0'), outlets, config_sha256, code_version,"
            " base_version, model_id, accounting, alarms, 0, 0, 0, merged_at"
            " FROM run, range(?) AS t(i) WHERE run_key = (SELECT min(run_key) FROM run)",
            [weeks],
        )
        cursor.execute(
            "INSERT INTO article SELECT 10000000 + i, 'bench-' || i, 'outlet-' || (i % 40), url,"
            " canonical_url, title, lead, body, published_at, published_method, fetched_at,"
            " raw_sha256, title_method, lead_method, body_method, noarchive, true, topic_reason,"
            " md5((i // 3)::VARCHAR), copied_from FROM article, range(?) AS t(i)"
            " WHERE article_key = 1",
            [claims // 10],
        )
        cursor.execute(
            "INSERT INTO mention SELECT 10000000 + i, 'bench-' || i, 10000000 + i // 10,"
            " md5((i % ?)::VARCHAR), start_char, end_char, text, 'CHECKABLE', check_worthiness,"
            " speech, as_of, as_of_method FROM mention, range(?) AS t(i) WHERE mention_key = 1",
            [max(claims * 9 // 10, 1), claims],
        )
        cursor.execute(
            "INSERT INTO judgement SELECT 10000000 + i, 'bench-' || i, content_sha256,"
            " evidence_sha256, 10000000 + i, model_id, base_version, threshold, 'ok',"
            " CASE WHEN i % 50 = 0 THEN 'REFUTED' WHEN i % 3 = 0 THEN 'SUPPORTED'"
            " ELSE 'NOT_ENOUGH_INFO' END,"
            " CASE WHEN i % 50 <> 0 AND i % 3 <> 0 THEN 'not_found' END, 0.1, 0.8, 0.1,"
            " i % 50 = 0, '' FROM judgement, range(?) AS t(i) WHERE flagged AND judgement_key ="
            " (SELECT min(judgement_key) FROM judgement WHERE flagged)",
            [claims],
        )
        cursor.execute(
            "INSERT INTO judgement_evidence SELECT 10000000 + i, 1, 1 + i % 3, 1.0, true"
            " FROM range(?) AS t(i) WHERE i % 3 = 0 OR i % 50 = 0",
            [claims],
        )
        run = "1000 + ((i // 10) * ? // ?)"
        cursor.execute(
            f"INSERT INTO run_article SELECT DISTINCT {run}, 10000000 + i // 10"
            " FROM range(?) AS t(i)",
            [weeks, claims // 10, claims],
        )
        cursor.execute(
            f"INSERT INTO run_mention SELECT {run}, 10000000 + i FROM range(?) AS t(i)",
            [weeks, claims // 10, claims],
        )
        cursor.execute(
            f"INSERT INTO run_judgement SELECT {run}, 10000000 + i, 10000000 + i"
            " FROM range(?) AS t(i)",
            [weeks, claims // 10, claims],
        )
        cursor.execute("CHECKPOINT")


def timed(make: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    make()
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--claims", type=int, default=1_000_000)
    parser.add_argument("--weeks", type=int, default=26)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "k.duckdb") as store:
        write_batch(Path(folder) / "inbox", batch(week="2024-W01", flags=1, copies=0, quiet=1))
        store.merge_inbox(Path(folder) / "inbox")
        fill(store, asked.claims, asked.weeks)
        monitor = Monitor(store)
        week = monitor.weeks()[0]
        pages: dict[str, Callable[[], object]] = {
            "volume": lambda: monitor.volume(week, weeks=26),
            "recurrence": lambda: monitor.recurrence(week, weeks=26),
            "returning": lambda: monitor.returning(week),
            "topics": lambda: monitor.topics(week),
            "kinds": lambda: monitor.kinds(week),
            "outlets": lambda: monitor.outlets(week),
            "coverage": lambda: monitor.coverage(week, weeks=26),
            "unjudged": lambda: monitor.unjudged(week),
            "crawl": lambda: monitor.crawl(week, weeks=26),
            "load": lambda: monitor.load(weeks=26),
            "models": lambda: monitor.models(),
            "spread": lambda: monitor.spread(10_000_000),
        }
        print(f"{asked.claims} claims, {asked.weeks} weeks\n")
        print("| view | first | kept | after a conclusion |\n|---|---|---|---|")
        first = {name: timed(make) for name, make in pages.items()}
        kept = {name: timed(make) for name, make in pages.items()}
        with store._writing() as cursor:
            cursor.execute(
                "INSERT INTO review SELECT 1, 10000000, 10000000, 1, 'SUPPORTED', NULL, false,"
                " [], [], '', 1.0, 'queue', 'flag', 1.0, 'x', now(), NULL"
            )
        after = {name: timed(make) for name, make in pages.items()}
        for name in pages:
            print(f"| {name} | {first[name]:.3f} s | {kept[name]:.4f} s | {after[name]:.3f} s |")


if __name__ == "__main__":
    main()
