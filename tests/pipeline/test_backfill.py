"""A week that is run later: the outlets of then, the base in force then, the same run again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

import crawler.outlets
from crawler.outlets import load_outlets
from kiemchung.config import Settings, load_settings
from kiemchung.errors import DamagedFileError, OutletFileError, UnknownOutletError
from kiemchung.sealed import write_sealed
from pipeline import backfill, stages
from pipeline.judging import Judge
from pipeline.weekly import Stage, make_plan, outlets_then, weekly
from pipeline.weeks import Week

W38, W39, W40, W41 = (Week(year=2026, number=n) for n in (38, 39, 40, 41))
OUTLET = """
name = "{name}"
display = "Báo {name}"
hosts = ["{name}.example.net"]
feeds = ["{feed}"]
article_pattern = '-\\d+\\.htm$'
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "outlets").mkdir()
    return load_settings(data_dir=tmp_path / "var", outlet_dir=tmp_path / "outlets", contact="a@b")


def write(settings: Settings, name: str, *, feed: str = "/rss", verified: str = "") -> None:
    assert settings.outlet_dir is not None
    text = OUTLET.format(name=name, feed=feed)
    if verified:
        text += f'verified_on = "{verified}"\nverified_by = "An"\n'
    (settings.outlet_dir / f"{name}.toml").write_text(text, encoding="utf-8")


def gone(settings: Settings, name: str) -> None:
    assert settings.outlet_dir is not None
    (settings.outlet_dir / f"{name}.toml").unlink()


def begin(settings: Settings, week: Week, *names: str, now: bool = False) -> tuple[str, ...]:
    """Begin a run without any of its stages; return its notes."""
    return weekly(week, outlets=names, settings=settings, only=(), outlets_now=now).notes


def feeds(settings: Settings, week: Week, *names: str, now: bool = False) -> list[tuple[str, ...]]:
    return [o.feeds for o in outlets_then(week, names, settings, now=now).outlets.values()]


def test_a_run_keeps_its_outlets_as_it_used_them(settings: Settings) -> None:
    write(settings, "a")
    begin(settings, W40, "a")
    (kept,) = backfill.kept_runs(settings.data_dir)
    assert (kept.week, kept.named) == (W40, True)
    present = load_outlets(settings.outlet_dir)
    assert backfill.kept_outlets(settings.data_dir, kept) == {"a": present["a"]}
    assert backfill.of_run(make_plan(W40, ["a"], settings), {}) == {"a": present["a"]}


def test_every_shipped_outlet_comes_back_from_what_is_kept(settings: Settings) -> None:
    every = load_outlets()
    run = make_plan(W40, ["sample"], settings)
    backfill.keep(run, every, named=True)
    write_sealed(run.folder / "run.json", {"week": "2026-W40"})
    (kept,) = backfill.kept_runs(settings.data_dir)
    assert backfill.kept_outlets(settings.data_dir, kept) == every


def test_a_backfill_has_the_outlet_of_then_and_says_that_its_file_differs(
    settings: Settings,
) -> None:
    write(settings, "a", feed="/then")
    begin(settings, W39, "a")
    write(settings, "a", feed="/now")
    assert begin(settings, W41, "a") == ()
    (note,) = begin(settings, W40, "a")
    assert "a as run 2026-W39-" in note
    assert "changed since" in note
    assert feeds(settings, W40, "a") == [("https://a.example.net/then",)]
    assert feeds(settings, W41, "a") == [("https://a.example.net/now",)]
    assert feeds(settings, W40, "a", now=True) == [("https://a.example.net/now",)]


def test_a_week_before_all_runs_has_the_oldest_outlet_that_is_known(settings: Settings) -> None:
    write(settings, "a", feed="/first")
    begin(settings, W40, "a")
    write(settings, "a", feed="/now")
    begin(settings, W41, "a")
    assert feeds(settings, W38, "a") == [("https://a.example.net/first",)]


def test_the_latest_week_has_the_files_of_now_until_another_is_run(settings: Settings) -> None:
    write(settings, "a", feed="/wrong")
    begin(settings, W40, "a")
    write(settings, "a", feed="/corrected")
    assert begin(settings, W40, "a") == ()
    begin(settings, W41, "a")
    assert feeds(settings, W40, "a") == [("https://a.example.net/corrected",)]


def test_nobody_is_watched_before_he_was_verified(settings: Settings) -> None:
    write(settings, "a", verified="2026-09-01")
    begin(settings, W39)
    write(settings, "b", verified="2026-09-30")  # in week 40
    write(settings, "c", verified="2026-10-06")  # in week 41
    begin(settings, W41)
    assert list(outlets_then(W41, (), settings).outlets) == ["a", "b", "c"]
    assert list(outlets_then(W40, (), settings).outlets) == ["a", "b"]
    assert list(outlets_then(W38, (), settings).outlets) == ["a"]
    assert list(outlets_then(W38, (), settings, now=True).outlets) == ["a", "b", "c"]
    with pytest.raises(UnknownOutletError, match="2026-W10"):
        outlets_then(Week(year=2026, number=10), (), settings)


def test_an_outlet_that_is_gone_was_still_watched_then(settings: Settings) -> None:
    write(settings, "a", verified="2026-09-01")
    write(settings, "b", verified="2026-09-01")
    begin(settings, W39)
    gone(settings, "b")
    begin(settings, W41)
    then = outlets_then(W40, (), settings)
    assert list(then.outlets) == ["a", "b"]
    assert ["b as run" in n and "is gone" in n for n in then.notes] == [True]
    assert list(outlets_then(W41, (), settings).outlets) == ["a"]
    with pytest.raises(UnknownOutletError, match="'z'"):
        outlets_then(W40, ["z"], settings)


def test_a_week_that_was_begun_stays_one_run_when_more_is_verified(settings: Settings) -> None:
    write(settings, "a", verified="2026-09-01")
    begin(settings, W40)
    write(settings, "b", verified="2026-10-01")
    begin(settings, W40)
    assert [p.name for p in (settings.data_dir / "runs").iterdir()] == [
        make_plan(W40, (), settings).run_id
    ]


@pytest.mark.parametrize("damage", ["gone", "changed", "list"])
def test_what_was_kept_and_is_damaged_is_named(settings: Settings, damage: str) -> None:
    write(settings, "a", feed="/then")
    begin(settings, W39, "a")
    write(settings, "a", feed="/now")
    begin(settings, W40, "a")
    (kept, _) = backfill.kept_runs(settings.data_dir)
    path = settings.data_dir / "outlets" / f"{kept.hashes['a']}.json"
    if damage == "gone":
        path.unlink()
    elif damage == "changed":
        path.write_text(path.read_text().replace("/then", "/thin"))
    else:
        path = settings.data_dir / "runs" / kept.run_id / backfill.NAME
        path.write_text(path.read_text()[:-5])
    with pytest.raises((OutletFileError, DamagedFileError), match="--outlets-now") as caught:
        outlets_then(W39, ["a"], settings)
    assert caught.value.where == str(path)
    assert feeds(settings, W39, "a", now=True) == [("https://a.example.net/now",)]


@pytest.mark.slow
def test_extraction_of_a_past_week_uses_the_selectors_of_then(
    week_of_its_own: Callable[[str], Settings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = week_of_its_own("backfill")
    run = make_plan(W40, ["sample"], settings)
    before = stages.read_extracted(run)[0]
    shipped = tmp_path / "shipped"
    shutil.copytree(crawler.outlets.SHIPPED, shipped)
    path = shipped / "pho-nho.toml"
    path.write_text(path.read_text("utf-8").replace("div.post-content", "h2.main-intro"), "utf-8")
    monkeypatch.setattr("crawler.outlets.SHIPPED", shipped)
    begin(settings, W41, "sample")
    summary = weekly(W40, outlets=["sample"], settings=settings, only=[Stage.EXTRACT])
    assert stages.read_extracted(run)[0] == before
    assert ["pho-nho as run 2026-W40" in n for n in summary.notes] == [True]
    now = weekly(W40, outlets=["sample"], settings=settings, only=[Stage.EXTRACT], outlets_now=True)
    assert now.notes == ()
    assert stages.read_extracted(run)[0] != before


def test_a_past_day_meets_the_passages_in_force_on_it(tmp_path: Path) -> None:
    """The day of the claim decides, whenever the week is run."""
    judge = Judge.load(load_settings(data_dir=tmp_path), remember=False)
    claim = "Theo Luật Hợp tác xã, hợp tác xã do ít nhất 5 thành viên thành lập."
    met = []
    for day in (date(2023, 6, 1), date(2026, 9, 25)):
        found = [passage for passage, _ in judge.index.retrieve(claim, day).found]
        assert found
        for passage in found:
            assert passage.valid_from <= day
            assert passage.valid_to is None or day < passage.valid_to
        met.append({p.passage_id for p in found})
    assert met[0] != met[1]


def test_run_json_names_the_outlets_as_before(settings: Settings) -> None:
    write(settings, "a")
    begin(settings, W40, "a")
    (path,) = (settings.data_dir / "runs").glob("*/run.json")
    assert json.loads(path.read_text("utf-8"))["outlets"] == ["a"]
