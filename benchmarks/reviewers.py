"""Five reviewers over real HTTP while a run of 200,000 judgements is published beside them.

    python benchmarks/reviewers.py [--minutes 10] [--claims 1000000] [--judgements 200000]
    python benchmarks/reviewers.py --backup --minutes 4 --store STORE

A server of its own on loopback holds the store; five browsers without a screen read the queue by
the same requests that htmx makes, fifteen more are signed in and look on. In the middle a batch is
moved into the inbox; with ``--backup`` a backup is asked for instead, as `kiemchung backup` does
beside a server. Printed: errors, latencies of the conclusions (before, during and behind it), lost
or doubled conclusions, memory of the server. Exit 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import secrets
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import httpx  # noqa: E402
import psutil  # noqa: E402

from benchmarks import bigstore  # noqa: E402
from benchmarks.desk import served  # noqa: E402
from kiemchung.store import open_store, requests  # noqa: E402
from kiemchung.store.inbox import waiting, write_batch  # noqa: E402

REVIEWERS: Final = 5
SESSIONS: Final = 20
WORST_MS: Final = 100.0
MEMORY_MB: Final = 350.0
PASSWORD: Final = secrets.token_urlsafe(12)  # of this run only


@dataclass(slots=True)
class Act:
    """One request that writes."""

    began: float
    seconds: float
    kind: str
    reviewer: str
    mention_key: int
    decided: bool  # a conclusion that the server acknowledged


@dataclass(slots=True)
class Person:
    """A browser without a screen."""

    name: str
    client: httpx.Client
    acts: list[Act] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def hidden(self, page: str, name: str) -> str:
        """Return the value of a hidden field."""
        match = re.search(rf'name="{name}" value="([^"]*)"', page)
        if match is None:
            raise ValueError(f"no {name} in the page")
        return match[1]

    def sign_in(self) -> None:
        """Begin a session."""
        page = self.client.get("/login").text
        answer = self.client.post(
            "/login",
            data={"csrf": self.hidden(page, "csrf"), "name": self.name, "password": PASSWORD},
        )
        if answer.status_code != 303:
            raise ValueError(f"{self.name} could not sign in: {answer.status_code}")

    def work(self, until: float, pause: float) -> None:
        """Conclude item after item: a blind choice, then the conclusion, as the desk sends them."""
        while time.monotonic() < until:
            try:
                self._items(until, pause)
            except (httpx.HTTPError, ValueError, TypeError) as error:
                self.errors.append(f"{self.name}: {error!r}")
                time.sleep(0.2)

    def _items(self, until: float, pause: float) -> None:
        page = self.client.get("/queue").text
        first = re.search(r'claimtext" href="/item/(\d+)', page)
        if first is None:
            raise ValueError("the queue is empty")
        answer = self.client.get(f"/item/{first[1]}")
        if answer.status_code == 409:  # somebody was quicker: as it should be
            following = re.search(r'href="/item/(\d+)\?', answer.text)
            if following is None:
                return
            answer = self.client.get(f"/item/{following[1]}")
            if answer.status_code == 409:
                return
        page = answer.text
        while time.monotonic() < until:
            key = int(re.search(r'data-item="(\d+)"', page)[1])  # type: ignore[index]
            stage = re.search(r'data-stage="(\w+)"', page)[1]  # type: ignore[index]
            time.sleep(pause)
            fields = {name: self.hidden(page, name) for name in ("csrf", "token")}
            began = time.monotonic()
            answer = self.client.post(
                f"/item/{key}/{stage}",
                data=fields | {"view": "queue", "decision": "NOT_ENOUGH_INFO"},
                headers={"HX-Request": "true"},
            )
            took = time.monotonic() - began
            done = answer.status_code in (200, 204)
            self.acts.append(
                Act(
                    began=began, seconds=took, kind=stage, reviewer=self.name, mention_key=key,
                    decided=done and stage == "decide",
                )
            )  # fmt: skip
            if answer.status_code != 200:
                if not done:
                    self.errors.append(f"{self.name}: {stage} {key} answered {answer.status_code}")
                return
            page = answer.text


def _write(folder: Path, number: int, judgements: int) -> None:
    write_batch(folder, bigstore.week_of(number, judgements, seed=2))


def prepare(path: Path, claims: int) -> list[str]:
    """Fill the store and make the accounts; return their names."""
    names = [f"duyet{n:02d}" for n in range(SESSIONS)]
    with open_store(path, double_share=0.0) as store:
        bigstore.fill(store, claims, say=True)
        known = {u.name for u in store.users()}
        for name in names:
            once = store.reset_password(name) if name in known else store.add_user(name)
            account = store.authenticate(name, once)
            assert account is not None
            assert store.change_password(account, old=once, new=PASSWORD) == ""
    return names


def _row(name: str, acts: list[Act]) -> str:
    ms = sorted(a.seconds * 1000 for a in acts)
    if not ms:
        return f"{name:32} none"
    p95 = ms[min(int(0.95 * len(ms)), len(ms) - 1)]
    middle = statistics.median(ms)
    return f"{name:32} n {len(ms):6}  p50 {middle:6.1f}  p95 {p95:6.1f}  max {ms[-1]:6.1f} ms"


def main() -> None:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--claims", type=int, default=1_000_000)
    parser.add_argument("--judgements", type=int, default=200_000)
    parser.add_argument(
        "--pause", type=float, default=1.0, help="seconds between two acts of one person"
    )
    parser.add_argument("--backup", action="store_true", help="back up instead of publishing")
    parser.add_argument("--store", type=Path, help="a copy of it is used; made anew without it")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kiemchung.duckdb"
        if given.store is not None:
            shutil.copyfile(given.store, path)
        names = prepare(path, given.claims)
        with open_store(path) as store:
            before = len(store.reviews())
            weeks = len(store.runs())
        context = multiprocessing.get_context("spawn")
        batch = Path(folder) / "batch"
        if not given.backup:
            writer = context.Process(target=_write, args=(batch, weeks + 1, given.judgements))
            writer.start()
            writer.join()
        with served(path) as (address, process):
            missed, acts = _measure(given, path, batch, address, process, names)
        code = int(missed) | _check(path, before, acts)
    raise SystemExit(code)


def _measure(
    given: argparse.Namespace,
    path: Path,
    batch: Path,
    address: str,
    process: psutil.Process,
    names: list[str],
) -> tuple[bool, list[Act]]:
    """Let them work, publish in the middle, and say whether a bar was missed."""
    people = [Person(name=n, client=httpx.Client(base_url=address, timeout=60)) for n in names]
    for person in people:
        person.sign_in()
        person.client.get("/queue")
    memory: list[tuple[float, float]] = []  # when, MB
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            memory.append((time.monotonic(), process.memory_info().rss / 1e6))

    began = time.monotonic()
    until = began + given.minutes * 60
    workers = [
        threading.Thread(target=p.work, args=(until, given.pause)) for p in people[:REVIEWERS]
    ]
    watcher = threading.Thread(target=watch)
    for thread in (watcher, *workers):
        thread.start()
    time.sleep(given.minutes * 30)
    published = time.monotonic()
    if given.backup:
        out = path.with_name("backup.duckdb")
        requests.ask(path, "backup", {"out": str(out)}, pid=process.pid, within=600)
        print(f"backup of {out.stat().st_size / 1e6:.0f} MB")
    else:
        inbox = path.parent / "inbox"
        inbox.mkdir(exist_ok=True)
        (ready,) = batch.iterdir()
        ready.rename(inbox / ready.name)
        while waiting(inbox) and time.monotonic() < until:
            time.sleep(0.02)
    merged = time.monotonic()
    for thread in workers:
        thread.join()
    stop.set()
    watcher.join()
    acts = [a for p in people for a in p.acts]
    errors = [e for p in people for e in p.errors]
    conclusions = [a for a in acts if a.kind == "decide"]
    what = "backup" if given.backup else "merge"
    print(_row(f"conclusions before the {what}", [a for a in conclusions if a.began < published]))
    beside = [a for a in conclusions if published <= a.began <= merged + 5]
    print(_row("conclusions beside and 5 s behind", beside))
    print(_row("conclusions after", [a for a in conclusions if a.began > merged + 5]))
    print(_row("blind choices", [a for a in acts if a.kind == "choose"]))
    first = min((a.began for a in acts), default=0.0)
    slow = sorted((a for a in acts if a.seconds * 1000 > WORST_MS), key=lambda a: a.began)
    for a in slow[:40]:
        when = f"{a.began - first:6.1f} s after the first act, {a.began - published:+.1f} s of the"
        print(f"  slow: {a.kind} {a.seconds * 1000:.0f} ms, {when} {what}, {a.reviewer}")
    done = "backed up" if given.backup else "taken over and merged"
    print(f"{done} in {merged - published:.1f} s")
    quiet, most = max(mb for at, mb in memory if at < published), max(mb for _, mb in memory)
    print(
        f"memory of the server with {SESSIONS} sessions: at most {quiet:.0f} MB before the {what},"
        f" {most:.0f} MB in all, {memory[-1][1]:.0f} MB at the end"
    )
    print(f"errors: {len(errors)}")
    for error, n in Counter(errors).most_common(5):
        print(f"  {n} x {error}")
    worst = max((a.seconds * 1000 for a in conclusions), default=0.0)
    missed = bool(errors) or worst > WORST_MS or most > MEMORY_MB or not conclusions
    return missed, acts


def _check(path: Path, before: int, acts: list[Act]) -> int:
    """Compare what was acknowledged with what the store holds."""
    acknowledged = [(a.reviewer, a.mention_key) for a in acts if a.decided]
    with open_store(path) as store:
        kept = [(r.reviewer, r.mention_id) for r in store.reviews()[before:]]
        keys = {
            r["mention_key"]: r["mention_id"]
            for r in store._read(
                "SELECT mention_key, mention_id FROM mention SEMI JOIN review USING (mention_key)"
            )
        }
        problems = store.problems()
    wanted = Counter((who, keys[key]) for who, key in acknowledged if key in keys)
    lost = sum((wanted - Counter(kept)).values()) + len(acknowledged) - wanted.total()
    unheard = len(kept) - (len(acknowledged) - lost)
    twice = sum(n - 1 for n in Counter(m for _, m in kept).values())
    print(
        f"conclusions: {len(acknowledged)} acknowledged, {lost} lost, {unheard} kept without an"
        f" answer, {twice} claims concluded twice, store contradictions: {problems or 'none'}"
    )
    return int(bool(lost or twice or problems))


if __name__ == "__main__":
    main()
