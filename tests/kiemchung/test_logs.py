"""One line an event, and nothing in it that should not leave the machine."""

from __future__ import annotations

import json
import logging
import multiprocessing
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiemchung import logs
from kiemchung.logs import MAX_TEXT, event, logging_to, scrub, url_hash

LOG = logging.getLogger("pipeline.test")


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_an_event_is_one_json_line_with_time_level_and_facts(tmp_path: Path) -> None:
    with logging_to(tmp_path, "weekly") as path:
        event(LOG, "stage_ended", run="2026-W40-abc", stage="judge", seconds=1.23456789)
        LOG.warning("the inbox waits: %s", "disk full")
    assert path.stat().st_mode & 0o077 == 0
    first, second = lines(path)
    time = str(first.pop("time"))
    assert time.endswith("+00:00")
    assert first == {
        "level": "info", "event": "stage_ended", "logger": "pipeline.test",
        "run": "2026-W40-abc", "stage": "judge", "seconds": 1.2346,
    }  # fmt: skip
    assert (second["level"], second["event"]) == ("warning", "message")
    assert second["message"] == "the inbox waits: disk full"


def test_an_address_is_hashed_and_the_same_address_found_again(tmp_path: Path) -> None:
    address = "https://bao.example/hop-tac-xa?nguoi=an"
    with logging_to(tmp_path, "weekly") as path:
        event(LOG, "page_quarantined", url=address, reason="truncated")
        LOG.warning("cannot read %s", address)
    text = path.read_text(encoding="utf-8")
    assert "bao.example" not in text
    assert text.count(url_hash(address)) == 2


@pytest.mark.parametrize(
    ("said", "gone"),
    [
        ("mail to nguyen.an@hoptacxa.example failed", "nguyen.an"),
        ("call 0912 345 678 now", "345"),
        ("account 012345678901", "012345678901"),
        ("password=hunter2hunter2", "hunter2"),
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ('Could not convert string "' + "Hợp tác xã phải có ít nhất bảy thành viên" + '"', "bảy"),
        ("value " + repr("Luật quy định hợp tác xã phải có ít nhất 7 thành viên."), "thành viên"),
    ],
)
def test_free_text_loses_people_secrets_and_quotations(said: str, gone: str) -> None:
    assert gone in said
    assert gone not in scrub(said)


def test_what_an_operator_needs_stays() -> None:
    said = "batch var/inbox/quarantine/2026-W40-48ef35e4858c refused: 12 rows, 14 named"
    assert scrub(said) == said
    assert scrub("2026-11-25 18:00 port 8000") == "2026-11-25 18:00 port 8000"


@given(st.text(max_size=2000))
def test_scrubbed_text_is_one_short_line(said: str) -> None:
    line = scrub(said)
    assert len(line) <= MAX_TEXT + 1
    assert "\n" not in line
    assert "\r" not in line


def test_an_exception_is_told_by_class_and_place_not_by_its_text(tmp_path: Path) -> None:
    with logging_to(tmp_path, "desk") as path:
        try:
            raise RuntimeError("bí mật ở dòng 12")
        except RuntimeError:
            LOG.exception("unforeseen")
    (line,) = lines(path)
    assert line["error"] == "RuntimeError"
    assert any("test_logs.py" in str(at) for at in line["at"])  # type: ignore[attr-defined]
    assert "bí mật" not in path.read_text(encoding="utf-8")


def test_stderr_shows_warnings_as_text_or_everything_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with logging_to(tmp_path, "a"):
        event(LOG, "quiet", count=1)
        LOG.warning("loud")
    said = capsys.readouterr().err
    assert "quiet" not in said
    assert said.split()[1:] == ["warning", "loud"]
    with logging_to(tmp_path, "b", form="json"):
        event(LOG, "quiet", count=1)
    assert json.loads(capsys.readouterr().err)["count"] == 1


def test_the_level_is_the_operators_and_other_packages_stay_silent(tmp_path: Path) -> None:
    with logging_to(tmp_path, "a", level="error") as path:
        event(LOG, "not_written")
        LOG.error("written")
        logging.getLogger("elsewhere").info("not ours")
    assert [x["event"] for x in lines(path)] == ["message"]
    before = logging.getLogger().handlers[:]
    with logging_to(tmp_path, "a"):
        pass
    assert logging.getLogger().handlers == before


def test_a_folder_that_cannot_be_written_is_told_and_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be", encoding="utf-8")
    with logging_to(tmp_path / "logs", "weekly"):
        LOG.warning("goes on")
    said = capsys.readouterr().err
    assert "no log file" in said
    assert "goes on" in said


def _log_without_room(folder: Path) -> None:
    with logging_to(folder, "weekly"):
        event(LOG, "first")
        kept = (folder / "weekly.jsonl").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (kept + 20, resource.RLIM_INFINITY))
        for count in range(3):
            event(LOG, "lost", count=count)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        event(LOG, "room again")
        resource.setrlimit(resource.RLIMIT_FSIZE, (kept, resource.RLIM_INFINITY))
        event(LOG, "lost at the end")


def test_without_room_lines_are_lost_which_is_told_once_and_stops_nobody(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    worker = multiprocessing.get_context("fork").Process(target=_log_without_room, args=(tmp_path,))
    worker.start()
    worker.join(60)
    assert worker.exitcode == 0
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("no log file: ")
    first, half, last = (tmp_path / "weekly.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(first)["event"] == "first"
    assert len(half) == 20
    assert json.loads(last)["event"] == "room again"


def _write(folder: Path, number: int) -> None:
    logs.MAX_BYTES = 20_000  # type: ignore[misc]
    with logging_to(folder, "weekly"):
        for count in range(300):
            event(LOG, "tick", done=number, count=count)


def test_two_processes_rotate_one_file_and_lose_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "KEPT_FILES", 20)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_write, args=(tmp_path, n)) for n in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    files = sorted(tmp_path.glob("weekly.jsonl*"))
    assert len(files) > 2
    assert all(p.stat().st_mode & 0o077 == 0 for p in files)
    found = [(x["done"], x["count"]) for p in files for x in lines(p)]
    assert sorted(found) == [(n, c) for n in range(2) for c in range(300)]  # type: ignore[type-var]
