"""What a batch leaves for machines: its figures, its events, also of a run that failed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from kiemchung.config import Settings, load_settings
from kiemchung.domain import Accounting
from kiemchung.errors import ConfigError, InputError, KiemchungError
from kiemchung.store import open_store
from pipeline.cli import app
from pipeline.telemetry import operation_of, read_figures, textfile, watched
from pipeline.weekly import Summary

ROOT = Path(__file__).resolve().parents[2]
DONE = Summary(
    run_id="2026-W40-abc", week="2026-W40", outlets=("song-hong",), stages=("crawl", "publish"),
    accounting=Accounting(discovered=5, fetched=3, refused={"robots": 2}, stored=3),
    articles=3, mentions=20, checkable=9, judgements=9, flags=2,
    alarms=("dead feed: song-hong http://x.example/rss (http_500)", "3 addresses still pending"),
    published=True, report="",
)  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path / "var")


def parsed(path: Path) -> dict[tuple[str, tuple[str, ...]], float]:
    found = {}
    for family in text_string_to_metric_families(path.read_text(encoding="utf-8")):
        for sample in family.samples:
            labels = dict(sample.labels)
            assert labels.pop("command") == path.stem
            found[sample.name.removeprefix("kiemchung_batch_"), tuple(labels.values())] = (
                sample.value
            )
    return found


def events(settings: Settings, command: str = "weekly") -> list[dict[str, object]]:
    text = (settings.data_dir / "logs" / f"{command}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def run_once(settings: Settings) -> None:
    with watched(settings, "weekly", "2026-W40") as watch:
        progress = watch.over(lambda stage, done, total: None)
        for stage in ("crawl", "judge"):
            for done in (0, 1, 2):
                progress(stage, done, 2)
        watch.finished(DONE)


def test_a_run_leaves_figures_that_the_official_parser_reads(settings: Settings) -> None:
    run_once(settings)
    found = parsed(textfile(settings, "weekly"))
    assert found["runs_total", ("2",)] == 1
    assert found["last_exit_code", ()] == 2
    assert found["last_end_timestamp_seconds", ()] >= found["last_start_timestamp_seconds", ()]
    assert found["last_success_timestamp_seconds", ()] == found["last_end_timestamp_seconds", ()]
    assert {k[1] for k in found if k[0] == "stage_seconds"} == {("crawl",), ("judge",)}
    assert found["pages", ("discovered",)] == 5
    assert found["pages", ("refused",)] == 2
    assert found["rows", ("flags",)] == 2
    assert found["alarms", ("dead_list",)] == 1
    assert found["alarms", ("pending",)] == 1
    assert found["alarms", ("redesign",)] == 0
    assert found["published", ()] == 1


def test_counters_go_on_and_a_failed_run_keeps_the_last_success(settings: Settings) -> None:
    run_once(settings)
    run_once(settings)
    before = parsed(textfile(settings, "weekly"))
    with pytest.raises(KiemchungError), watched(settings, "weekly", "2026-W41"):
        raise KiemchungError("no room", where="var")
    with pytest.raises(KeyboardInterrupt), watched(settings, "weekly", "2026-W41"):
        raise KeyboardInterrupt
    found = parsed(textfile(settings, "weekly"))
    assert [found["runs_total", (code,)] for code in ("2", "1", "130")] == [2, 1, 1]
    assert found["last_exit_code", ()] == 130
    success = ("last_success_timestamp_seconds", ())
    assert found[success] == before[success]
    # What the run before held is no figure of one that held nothing.
    assert not [k for k in found if k[0] in ("rows", "pages", "alarms", "info")]


def test_a_killed_run_shows_a_start_without_an_end(settings: Settings) -> None:
    run_once(settings)
    with watched(settings, "weekly", "2026-W41"):
        found = parsed(textfile(settings, "weekly"))  # all that a SIGKILL here would leave
    start = found["last_start_timestamp_seconds", ()]
    assert start > found["last_end_timestamp_seconds", ()]


def test_events_name_run_stage_and_kind_and_no_address(settings: Settings) -> None:
    run_once(settings)
    found = events(settings)
    names = [x["event"] for x in found]
    assert names == ["started", "stage_started", "stage_ended", "stage_started", "alarm", "alarm",
                     "stage_ended", "ended"]  # fmt: skip
    assert found[4] | {"time": ""} == {
        "time": "", "level": "info", "event": "alarm", "logger": "pipeline.telemetry",
        "run": "2026-W40-abc", "week": "2026-W40", "kind": "dead_list", "outlet": "song-hong",
    }  # fmt: skip
    assert found[-1]["exit_code"] == 2
    assert "x.example" not in json.dumps(found)


def test_a_failure_is_told_by_its_class(settings: Settings) -> None:
    with pytest.raises(ConfigError), watched(settings, "crawl", "2026-W40"):
        raise ConfigError("mật khẩu hunter2 is wrong")
    last = events(settings, "crawl")[-1]
    assert (last["event"], last["exit_code"], last["reason"]) == ("ended", 1, "ConfigError")
    assert "hunter2" not in json.dumps(last)


def test_a_damaged_file_is_begun_anew_and_a_folder_that_is_none_stops_nothing(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = textfile(settings, "weekly")
    path.parent.mkdir(parents=True)
    path.write_text('kiemchung_batch_runs_total{command="weekly" 4\n\x00', encoding="utf-8")
    run_once(settings)
    assert parsed(path)["runs_total", ("2",)] == 1
    (tmp_path / "taken").write_text("", encoding="utf-8")
    elsewhere = load_settings(data_dir=tmp_path / "var", metrics_dir=tmp_path / "taken")
    run_once(elsewhere)
    assert capsys.readouterr().err.count("figures were not written") == 1


def test_a_stage_of_the_command_line_leaves_both_and_names_pages_by_hash(
    week_of_its_own: Callable[[str], Settings],
) -> None:
    own = week_of_its_own("telemetry")
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "extract", "--week", "2026-W40",
         "--outlet", "sample", "--data", str(own.data_dir)],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(own.data_dir),
             "KIEMCHUNG_LOG_FORMAT": "json", "KIEMCHUNG_PORT": "0"},
        cwd=own.data_dir, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    figures = read_figures(textfile(own, "extract"))
    assert {dict(k[1])["stage"] for k in figures if k[0] == "stage_seconds"} == {"extract"}
    lines = events(own, "extract")
    (page,) = [x for x in lines if x["event"] == "page_quarantined"]
    assert (page["reason"], len(str(page["url"]))) == ("truncated", 16)
    told = [x for x in done.stderr.splitlines() if x.startswith("{")]
    assert [json.loads(x)["event"] for x in told] == [x["event"] for x in lines]
    assert "hợp tác xã" not in json.dumps(lines, ensure_ascii=False).lower()


def test_a_backup_leaves_figures_and_a_folder_named_by_mistake_nothing(tmp_path: Path) -> None:
    with open_store(tmp_path / "var" / "kiemchung.duckdb"):
        pass
    invoke = CliRunner().invoke
    good = ["backup", "--out", str(tmp_path / "b.duckdb"), "--data", str(tmp_path / "var")]
    assert invoke(app, good).exit_code == 0
    figures = read_figures(tmp_path / "var" / "metrics" / "backup.prom")
    assert figures["runs_total", (("command", "backup"), ("exit", "0"))] == 1
    wrong = invoke(app, ["backup", "--out", str(tmp_path / "c.duckdb"), "--data",
                         str(tmp_path / "typo")])  # fmt: skip
    assert isinstance(wrong.exception, InputError)
    assert not (tmp_path / "typo").exists()


def test_settings_reach_the_desk(tmp_path: Path) -> None:
    made = operation_of(
        load_settings(
            data_dir=tmp_path, metrics="token", metrics_token="x" * 16,
            server_names=("desk.example.org",), secure_cookies=True,
        )
    )  # fmt: skip
    assert (made.metrics, made.metrics_token) == ("token", "x" * 16)
    assert (made.server_names, made.secure_cookies) == (("desk.example.org",), True)
    with pytest.raises(ConfigError, match="metrics_token"):
        load_settings(metrics="token")
    with pytest.raises(ConfigError, match="16 signs"):
        load_settings(metrics="token", metrics_token="short")


def test_how_the_desk_is_run_changes_no_run_id(tmp_path: Path) -> None:
    plain = load_settings(data_dir=tmp_path)
    other = load_settings(
        data_dir=tmp_path, metrics="loopback", log_format="json", log_level="debug",
        metrics_dir=tmp_path, server_names=("a.example",), secure_cookies=True,
    )  # fmt: skip
    assert plain.sha256() == other.sha256()
