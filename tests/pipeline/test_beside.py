"""Commands that only read the store, beside the process that owns it: a copy, and gone again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboards.care import Caretaker
from kiemchung.config import load_settings
from kiemchung.domain import Decision
from kiemchung.errors import InputError, StoreError, StoreLockedError
from kiemchung.store import Store
from models import registry
from pipeline import backup, retraining
from pipeline.weekly import store_path
from tests.batches import NEW_PASSAGE
from tests.commands import in_this_process
from tests.pipeline.test_choosing import filled, judged

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = """
import json, sys
from pathlib import Path
from kiemchung.config import load_settings
from pipeline import retraining
from tests.commands import in_this_process
data, out, *asked = sys.argv[1:]
retraining.dataset("store", load_settings(data_dir=Path(data)), Path(out, "candidate"))
done = [in_this_process(*json.loads(a), "--data", data, cwd=Path(out)) for a in asked]
print(json.dumps([[d.returncode, d.stdout, d.stderr] for d in done]))
"""
ASKED = (
    ("export", "--dataset", "set", "--json"),
    ("data", "choose", "--out", "next.json", "-n", "5", "--model", str(registry.PLAIN), "--json"),
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with filled(tmp_path, judged(flags=6, copies=2, quiet=30)) as made:
        person = made.authenticate("an", made.add_user("an", role="reviewer"))
        assert person is not None
        for number, entry in enumerate(list(made.queue(person, view="all"))[:5]):
            made.decide(
                person, entry.mention_key, (Decision.REFUTED, Decision.SUPPORTED)[number % 2],
                form_token=f"t{number}", cited_passages=[NEW_PASSAGE.passage_id],
            )  # fmt: skip
        yield made


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def asked(out: Path, data: Path) -> list[list[object]]:
    out.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, str(data), str(out), *map(json.dumps, ASKED)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: list[list[object]] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_what_only_reads_says_beside_a_server_what_it_says_without(
    store: Store, tmp_path: Path
) -> None:
    caretaker = Caretaker(store, reviews=tmp_path / "reviews", keep_days=1)
    caretaker.start()
    try:
        beside = asked(tmp_path / "beside", tmp_path)
    finally:
        caretaker.stop()
    assert store.problems() == []
    assert [u.name for u in store.users()] == ["an"]
    store.close()
    assert list((tmp_path / "backups").iterdir()) == []
    alone = asked(tmp_path / "alone", tmp_path)
    assert [code for code, _, _ in beside] == [0] * len(beside), beside
    for (code, out, err), (code_alone, out_alone, err_alone) in zip(beside, alone, strict=True):
        assert (code, out) == (code_alone, out_alone)
        assert f"process {os.getpid()} has the store: read from a copy" in str(err)
        assert "copy" not in str(err_alone)
    ours, theirs = files(tmp_path / "beside"), files(tmp_path / "alone")
    assert {"next.json", "set/dataset.json", "candidate-dataset/dataset.json"} <= set(ours)
    assert ours == theirs


def test_a_copy_that_cannot_be_made_leaves_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(data_dir=tmp_path)
    heard: list[str] = []

    def full(_: Path, action: str, facts: dict[str, str], **__: object) -> None:
        assert action == "backup"
        Path(facts["out"]).write_bytes(b"half")
        raise StoreError("no room")

    monkeypatch.setattr(backup.requests, "ask", full)
    with (
        pytest.raises(StoreError, match="no room"),
        backup.store_to_read(settings, told=heard.append),
    ):
        raise AssertionError("there is nothing to read")
    assert list((tmp_path / "backups").iterdir()) == []
    assert len(heard) == 1


def test_an_owner_that_is_no_server_is_named(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = backup.open_store
    monkeypatch.setattr(backup, "open_store", lambda path, **_: opening(path, wait_seconds=0.0))
    settings = load_settings(data_dir=tmp_path)
    with pytest.raises(StoreLockedError, match=f"process {os.getpid()}"):
        retraining.export_dataset(settings, tmp_path / "set")
    assert not (tmp_path / "set").exists()
    assert list((tmp_path / "backups").iterdir()) == []


def test_without_an_owner_no_copy_is_made(store: Store, tmp_path: Path) -> None:
    counts = store.counts()
    store.close()
    settings = load_settings(data_dir=tmp_path)
    with backup.store_to_read(settings, told=pytest.fail) as opened:
        assert opened.path == store_path(settings)
        assert opened.counts() == counts
    assert not (tmp_path / "backups").exists()


def test_a_folder_without_a_store_is_a_mistake(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="there is no store yet"),
        backup.store_to_read(load_settings(data_dir=tmp_path)),
    ):
        pass
    done = in_this_process("export", "--data", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 1
    assert "there is no store yet" in done.stderr
