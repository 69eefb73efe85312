"""A real server: backed up while it serves, asked how it stands, and restarted after a full disk."""

from __future__ import annotations

import json
import os
import re
import resource
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from dashboards.care import Caretaker
from kiemchung.config import load_settings
from kiemchung.domain import Decision
from kiemchung.errors import StoreError, StoreLockedError
from kiemchung.store import Store, insurance, open_store, restore
from kiemchung.store.inbox import write_batch
from kiemchung.store.search import catch_up
from pipeline import backup
from pipeline.drift import audit_settings
from pipeline.forget import compact_if_due, forget
from pipeline.status import overview
from tests.batches import NEW_PASSAGE, batch
from tests.dashboards.conftest import PASSWORD, enrol

ROOT = Path(__file__).resolve().parents[2]

SERVE = """
import resource, signal, sys
from pathlib import Path
from pipeline.cli import app
limit = int(sys.argv[3])
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that a write fails as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
sys.argv = ["kiemchung", "serve", "--data", sys.argv[1], "--port", sys.argv[2]]
from pipeline.cli import main
main()
"""


def command(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *arguments, "--data", str(data), "--json"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


@contextmanager
def serving(data: Path, *, limit: int = 0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    server = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SERVE), str(data), str(port), str(limit)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                if httpx.get(address + "/health", timeout=30).status_code == 200:
                    break
            except httpx.HTTPError:
                assert server.poll() is None
                time.sleep(0.05)
        yield address, server
    finally:
        if server.poll() is None:
            server.terminate()
        server.wait(60)
        if server.stderr is not None:
            server.stderr.close()


def prepared(data: Path, flags: int) -> None:
    with open_store(data / "kiemchung.duckdb", double_share=0.0) as store:
        write_batch(data / "inbox", batch(flags=flags, quiet=0))
        assert store.merge_inbox(data / "inbox")
        catch_up(store)
        enrol(store, "an")


class Reviewer:
    """A browser without a screen that concludes item after item."""

    def __init__(self, address: str) -> None:
        # A connection for each request: none is left open when the server is gone.
        self.client = httpx.Client(
            base_url=address, timeout=60, follow_redirects=True, headers={"Connection": "close"}
        )
        page = self.client.get("/login").text
        answer = self.client.post(
            "/login", data={"csrf": hidden(page, "csrf"), "name": "an", "password": PASSWORD}
        )
        assert answer.status_code == 200

    def conclude(self, note: str) -> int:
        """Return the status of the last answer; 200 means that the conclusion is kept."""
        page = self.client.get("/queue").text
        found = re.search(r"/item/(\d+)\?", page)
        assert found is not None
        key = found[1]
        page = self.client.get(f"/item/{key}").text
        if 'data-stage="choose"' in page:
            answer = self._send(page, key, "choose", note)
            if answer.status_code != 200:
                return answer.status_code
            page = answer.text
        return self._send(page, key, "decide", note).status_code

    def _send(self, page: str, key: str, stage: str, note: str) -> httpx.Response:
        fields = {name: hidden(page, name) for name in ("csrf", "token")}
        return self.client.post(
            f"/item/{key}/{stage}",
            data=fields | {"view": "queue", "decision": "NOT_ENOUGH_INFO", "note": note},
            headers={"HX-Request": "true"},
        )


def hidden(page: str, name: str) -> str:
    match = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert match is not None
    return match[1]


@pytest.mark.slow
def test_commands_work_beside_a_server(tmp_path: Path) -> None:
    prepared(tmp_path, flags=6)
    with serving(tmp_path) as (address, server):
        person = Reviewer(address)
        assert person.conclude("một") == 200
        settings = load_settings(data_dir=tmp_path)
        assert backup.store_to(settings, tmp_path / "b.duckdb") == "server"
        assert person.conclude("hai") == 200
        told = overview(settings)
        assert (told.served, told.owner, told.wrong) == (True, server.pid, ())
        assert told.counts["reviews"] == 2
        audit, why = audit_settings(settings)  # the server is asked: two flags were concluded
        assert audit is not None, why
        assert (audit.conclusions, audit.error) == (told.audit["conclusions"], None)
        whole = command(tmp_path, "backup", "--keep", "1")
        assert json.loads(whole.stdout)["by"] == "server", whole.stderr
        with pytest.raises(StoreLockedError, match=f"process {server.pid}"):
            backup.restore(settings, tmp_path / "b.duckdb")
        gone = forget(settings, "http://song-hong.example/bai-1.html", reason="đơn", who="an")
        assert (gone.mentions, gone.compacted) == (2, False)
    assert (tmp_path / "compact.due").is_file()
    compact_if_due(settings)  # as the next start does
    assert not (tmp_path / "compact.due").exists()
    with open_store(tmp_path / "kiemchung.duckdb") as store:
        assert store.problems() == []
        assert len(store.reviews()) == 2
    (_, file), *_ = insurance.kept(tmp_path / "reviews")  # written again at the end
    assert insurance.head(file).rows["review"] == 2
    restore(tmp_path / "b.duckdb", tmp_path / "back" / "k.duckdb")
    with open_store(tmp_path / "back" / "k.duckdb") as back:
        assert [r.note for r in back.reviews()] == ["một"]
        assert back.problems() == []


def fill(person: Reviewer) -> list[int]:
    """Conclude until one is not acknowledged; return the numbers of those that were."""
    kept: list[int] = []
    for number in range(100):
        try:
            if person.conclude(f"{number} " + "ghi chú dài " * 300) != 200:
                break
        except (httpx.HTTPError, AssertionError):
            break  # it says only that it cannot go on, or has ended already
        kept.append(number)
    return kept


def numbers(path: Path) -> set[int]:
    with open_store(path) as store:
        assert store.problems() == []
        return {int(r.note.split()[0]) for r in store.reviews()}


@pytest.mark.slow
def test_a_full_disk_is_told_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    prepared(tmp_path, flags=60)
    with serving(tmp_path, limit=150_000) as (address, server):
        person = Reviewer(address)
        kept = fill(person)
        assert 0 < len(kept) < 60, "the disk was never full"
        assert httpx.get(address + "/ready").json()["checks"]["store"] is False
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (2**40, resource.RLIM_INFINITY))
        assert person.conclude("777 lại có chỗ") == 200  # there is room again
        give_up = time.monotonic() + 30
        while httpx.get(address + "/ready").json()["checks"]["store"] is not True:
            assert time.monotonic() < give_up, "kept for some seconds, not for ever"
            time.sleep(0.2)
        server.kill()
        server.wait(30)
    assert numbers(tmp_path / "kiemchung.duckdb") == {*kept, 777}


@pytest.mark.slow
def test_after_a_fatal_error_the_server_ends_and_can_be_started_again(tmp_path: Path) -> None:
    """The disk fills up in a checkpoint, after which DuckDB cannot go on."""
    prepared(tmp_path, flags=20)
    with serving(tmp_path, limit=1_000_000) as (address, server):
        person = Reviewer(address)
        assert [person.conclude(f"{n} x") for n in range(3)] == [200, 200, 200]
        write_batch(tmp_path / "inbox", batch(week="2026-W41", flags=300, suffix="x", quiet=300))
        assert server.wait(60) == 1
        assert server.stderr is not None
        said = server.stderr.read()
    last = said.strip().splitlines()[-1]
    assert last.startswith("kiemchung: ")
    assert "make room on the disk and start again" in last
    assert "Traceback" not in said
    assert numbers(tmp_path / "kiemchung.duckdb") == {0, 1, 2}
    with serving(tmp_path) as (address, _):
        assert Reviewer(address).conclude("3 sau đó") == 200


def test_a_broken_store_never_answers_again(store: Store) -> None:
    store.broken = "FATAL Error: as after a full disk"
    with pytest.raises(StoreError, match="FATAL"):
        store.counts()
    with pytest.raises(StoreError, match="FATAL"):
        store.add_user("binh")


def test_the_reviews_are_written_once_a_day_and_after_each_merge(
    store: Store, tmp_path: Path
) -> None:
    now = [datetime(2026, 11, 25, 3, tzinfo=UTC)]
    folder = tmp_path / "reviews"
    caretaker = Caretaker(store, reviews=folder, keep_days=1, clock=lambda: now[0])

    def rows() -> dict[str, int]:
        return {p.name: insurance.head(p).rows["review"] for _, p in insurance.kept(folder)}

    caretaker.look()
    assert rows() == {"reviews-2026-11-25.jsonl": 0}
    enrol(store, "an")
    account = store.authenticate("an", PASSWORD)
    assert account is not None
    store.decide(
        account, store.queue(account)[0].mention_key, Decision.REFUTED,
        cited_passages=[NEW_PASSAGE.passage_id], form_token="a",
    )  # fmt: skip
    caretaker.look()
    assert rows() == {"reviews-2026-11-25.jsonl": 0}  # not at every look
    caretaker.merged()
    caretaker.look()
    assert rows() == {"reviews-2026-11-25.jsonl": 1}
    now[0] += timedelta(hours=15)  # past midnight in Việt Nam
    caretaker.look()
    assert rows() == {"reviews-2026-11-25.jsonl": 1, "reviews-2026-11-26.jsonl": 1}
    now[0] += timedelta(days=2)
    caretaker.start()
    caretaker.stop()
    assert list(rows()) == ["reviews-2026-11-28.jsonl"]
    assert caretaker.error == ""


def test_a_folder_that_cannot_be_written_does_not_stop_the_desk(
    store: Store, tmp_path: Path
) -> None:
    (tmp_path / "reviews").write_text("một tệp", encoding="utf-8")
    caretaker = Caretaker(store, reviews=tmp_path / "reviews", keep_days=1)
    caretaker.look()
    assert caretaker.error
    assert store.counts()["runs"] == 1
