"""What the store would become at a hundred times the size: tried as far as one machine can.

    python benchmarks/bigger.py [--claims 10000000] [--weeks 104] [--folder DIR]
    python benchmarks/bigger.py --postgres /usr/lib/postgresql/15/bin [--seconds 20]

First form: claims as Parquet, a folder a week, rows in the order of the queue, asked by DuckDB
without a database file: the desk's questions, best and worst of seven, two threads. Decisions of
reviewers are a small table beside them. Second form: decisions in PostgreSQL, one commit each with
synchronous_commit on, from five connections by pgbench: what a reviewer does, an append-only row
and a reading of what stands. Nothing here is part of the program; docs/scale.md says when it
would be.
"""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

MAKE = """
COPY (
    SELECT
        i AS mention_key,
        (i * {weeks}) // {claims} AS week,
        'bao-' || (hash(i) % 400) AS outlet,
        CASE WHEN hash(i * 7) % 100 < 2 THEN 'REFUTED' WHEN hash(i * 7) % 100 < 12 THEN 'SUPPORTED'
             ELSE 'NOT_ENOUGH_INFO' END AS label,
        hash(i * 7) % 100 < 1 AS flagged,
        (hash(i * 11) % 10000) / 10000.0 AS priority,
        md5((i // 3)::VARCHAR) AS claim_id,
        'luat-17-2023-' || (hash(i * 13) % 300) AS passage_id,
        'hop tac xa so ' || (hash(i) % 90000) || ' o xa ' || (hash(i * 3) % 9000)
            || ' phai co it nhat ' || (hash(i * 5) % 90) || ' thanh vien gop von theo luat'
            AS folded
    FROM range({claims}) AS r(i)
    ORDER BY week, flagged DESC, priority DESC
) TO '{folder}' (FORMAT parquet, PARTITION_BY (week), COMPRESSION zstd, ROW_GROUP_SIZE 50000)
"""
CLAIMS = "read_parquet('{folder}/*/*.parquet', hive_partitioning = true)"
ASKED = {
    "next 50 of the queue of a week": (
        "SELECT mention_key FROM {claims} ANTI JOIN decided USING (mention_key)"
        " WHERE week = {last} AND flagged ORDER BY priority DESC LIMIT 50"
    ),
    "one claim, its week known": (
        "SELECT * FROM {claims} WHERE week = {last} AND mention_key = {key}"
    ),
    "one claim, its week unknown": "SELECT * FROM {claims} WHERE mention_key = {key}",
    "a list: outlet and label, eight weeks": (
        "SELECT mention_key FROM {claims} WHERE week > {last} - 8 AND outlet = 'bao-7'"
        " AND label = 'REFUTED' ORDER BY priority DESC LIMIT 50"
    ),
    "other places of the same claim": "SELECT * FROM {claims} WHERE claim_id = md5('{third}')",
    "labels by week, all weeks": "SELECT week, label, count(*) FROM {claims} GROUP BY ALL",
    "words in a week": (
        "SELECT mention_key FROM {claims} WHERE week = {last}"
        " AND contains(folded, 'it nhat 17 thanh vien') LIMIT 50"
    ),
    "words in all weeks, counted": (
        "SELECT count(*) FROM {claims} WHERE contains(folded, 'it nhat 17 thanh vien')"
    ),
}


def parquet(folder: Path, claims: int, weeks: int) -> None:
    """Make the claims and ask the desk's questions."""
    import duckdb

    db = duckdb.connect()
    db.execute("SET threads = 2")
    db.execute("SET memory_limit = '2GB'")
    db.execute(f"SET temp_directory = '{folder}/spill'")
    began = time.perf_counter()
    target = folder / "claims"
    db.execute(MAKE.format(weeks=weeks, claims=claims, folder=target))
    size = sum(p.stat().st_size for p in target.rglob("*.parquet"))
    print(f"{claims:,} claims in {weeks} weeks: written in {time.perf_counter() - began:.0f} s,"
          f" {size / 1e6:.0f} MB")  # fmt: skip
    db.execute(
        f"CREATE TABLE decided AS SELECT i * 97 AS mention_key FROM range({claims // 97}) t(i)"
    )
    values = {
        "claims": CLAIMS.format(folder=target), "last": weeks - 1, "key": claims - 12_345,
        "third": (claims - 12_345) // 3,
    }  # fmt: skip
    for name, query in ASKED.items():
        spent = []
        for _ in range(7):
            began = time.perf_counter()
            rows = db.execute(query.format(**values)).fetchall()
            spent.append(1000 * (time.perf_counter() - began))
        print(f"{name:40} {len(rows):6} rows  best {min(spent):8.1f}  worst {max(spent):8.1f} ms")


SCHEMA = """
CREATE TABLE review (review_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mention_key bigint NOT NULL, reviewer text NOT NULL, decision text NOT NULL,
    note text NOT NULL DEFAULT '', created_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX review_of_mention ON review (mention_key, review_key DESC);
INSERT INTO review (mention_key, reviewer, decision)
    SELECT i * 10, 'r' || i % 5, 'REFUTED' FROM generate_series(1, 1000000) AS i;
ANALYZE review;
"""
DECIDE = """\\set key random(1, 10000000)
BEGIN;
SELECT decision FROM review WHERE mention_key = :key ORDER BY review_key DESC LIMIT 1;
INSERT INTO review (mention_key, reviewer, decision) VALUES (:key, 'r1', 'REFUTED');
COMMIT;
"""


def postgres(programs: Path, seconds: int) -> None:
    """Start a server of our own in a temporary folder and measure decisions a second."""
    folder = Path(tempfile.mkdtemp(prefix="kiemchung-pg-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None  # it refuses to run as root
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)

    def run(program: str, *arguments: str, text: str | None = None) -> str:
        done = subprocess.run(
            [str(programs / program), *arguments], input=text, text=True, check=True,
            capture_output=True, cwd=folder, user=user.pw_uid if user else None,
            env={"PATH": os.environ["PATH"], "PGPORT": port, "PGHOST": str(folder),
                 "PGDATABASE": "postgres"},
        )  # fmt: skip
        return done.stdout

    data = str(folder / "data")
    run("initdb", "-D", data, "-A", "trust", "-E", "UTF8")
    options = f"-p {port} -k {folder} -h ''"
    log = str(folder / "log")
    run("pg_ctl", "-D", data, "-o", options, "-l", log, "-w", "start")
    try:
        run("psql", "-q", "-v", "ON_ERROR_STOP=1", text=SCHEMA)
        (folder / "decide.sql").write_text(DECIDE, encoding="utf-8")
        for clients in (1, 5):
            told = run(
                "pgbench", "-n", "-c", str(clients), "-j", "2", "-T", str(seconds),
                "-f", str(folder / "decide.sql"), "-r",
            )  # fmt: skip
            for line in told.splitlines():
                if line.startswith(("latency average", "tps")):
                    print(f"{clients} reviewers: {line}")
        print("synchronous_commit", run("psql", "-tAc", "SHOW synchronous_commit").strip())
    finally:
        run("pg_ctl", "-D", data, "-m", "fast", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Measure one of the two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--claims", type=int, default=10_000_000)
    parser.add_argument("--weeks", type=int, default=104)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--postgres", type=Path, help="folder of initdb, pg_ctl and pgbench")
    parser.add_argument("--seconds", type=int, default=20)
    given = parser.parse_args()
    if given.postgres:
        postgres(given.postgres, given.seconds)
        return
    with tempfile.TemporaryDirectory() as name:
        parquet(given.folder or Path(name), given.claims, given.weeks)


if __name__ == "__main__":
    main()
