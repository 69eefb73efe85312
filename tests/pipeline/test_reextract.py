"""Extracting again from the archive: nothing fetched, changes found, expired pages left alone."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from crawler import archive
from kiemchung.config import Settings
from pipeline import stages
from pipeline.reextract import reextract
from pipeline.status import overview
from pipeline.weekly import expire_pages, make_plan
from pipeline.weeks import parse_week
from tests.commands import in_this_process

ROOT = Path(__file__).resolve().parents[2]
WEEK = parse_week("2026-W40")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def settings(week_of_its_own: Callable[[str], Settings]) -> Settings:
    return week_of_its_own("again")


def test_the_same_program_finds_the_same_and_makes_no_new_shard(settings: Settings) -> None:
    folder = make_plan(WEEK, ["sample"], settings).stage("extract")
    before = {p.name: p.stat().st_mtime_ns for p in folder.glob("*.parquet")}
    (done,) = reextract(WEEK, settings)
    assert done.before == done.after > 40
    assert (done.new, done.skipped) == (0, "")
    assert {p.name: p.stat().st_mtime_ns for p in folder.glob("*.parquet")} == before
    assert reextract(parse_week("2026-W41"), settings) == ()


def test_a_changed_outlet_file_gives_other_articles(settings: Settings, tmp_path: Path) -> None:
    own = (ROOT / "crawler/outlets/song-hong.toml").read_text(encoding="utf-8")
    assert "[selectors]" in own
    (tmp_path / "song-hong.toml").write_text(
        own.replace("[selectors]", '[selectors]\ndrop = ["p:first-of-type"]'), encoding="utf-8"
    )
    (done,) = reextract(WEEK, settings.model_copy(update={"outlet_dir": tmp_path}))
    assert done.new > 0
    (back,) = reextract(WEEK, settings)
    assert back.after == done.before


def test_the_command_takes_one_of_week_and_since(settings: Settings) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        given = ("extract", *arguments, "--data", str(settings.data_dir), "--json")
        return in_this_process(*given, cwd=ROOT)

    done = run("--since", "2026-W39")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["new"] == 0
    assert "exactly one" in run().stderr
    assert "exactly one" in run("--since", "2026-W39", "--week", "2026-W40").stderr


def test_pages_are_removed_after_their_time_and_their_articles_stay(settings: Settings) -> None:
    run = make_plan(WEEK, ["sample"], settings)
    folder = settings.data_dir / "archive"
    files = sorted(folder.glob("*.warc.gz"))
    assert files
    assert overview(settings).archive_bytes > 0
    assert expire_pages(run, settings) == []  # no retention is set
    short = settings.model_copy(update={"keep_pages_days": 30})
    assert expire_pages(run, short) == []  # written after the week, far from 30 days before it
    old = time.mktime(date(2026, 1, 1).timetuple())
    for path in files:
        os.utime(path, (old, old))
    assert archive.expire(folder, before=date(2026, 9, 1), keep=[run.run_id]) == []
    assert expire_pages(run, short) == [p.name for p in files]
    articles = stages.read_extracted(run)[0]
    (done,) = reextract(WEEK, settings)
    assert "past their time" in done.skipped
    assert stages.read_extracted(run)[0] == articles


def test_the_overview_says_when_each_list_is_due(settings: Settings) -> None:
    found = overview(settings)
    assert found.ledger == ()
    assert {x.outlet for x in found.lists} >= {"song-hong", "dong-xanh", "pho-nho"}
    assert [x.next_at for x in found.lists] == sorted(x.next_at for x in found.lists)
    assert all(x.next_at > x.visited_at for x in found.lists)
    assert any("next visit" in line for line in found.lines())
    (settings.data_dir / "ledger.sqlite").write_bytes(b"no database" * 100)
    assert overview(settings).ledger
