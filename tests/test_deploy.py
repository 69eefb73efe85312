"""Units, cron, container, rules and the administrator's commands name only what exists."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml

from dashboards.app import create_app
from dashboards.metrics import Metrics
from kiemchung.config import Settings, load_settings
from kiemchung.domain import OutletHealth
from kiemchung.store import open_store
from kiemchung.store.inbox import write_batch
from pipeline.telemetry import HELP, PREFIX
from tests.batches import batch
from tests.commands import kiemchung_calls, wrong_with

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
HOME = "/srv/kiemchung"
SERVICES = sorted((DEPLOY / "systemd").glob("*.service"))
TIMERS = sorted((DEPLOY / "systemd").glob("*.timer"))
OPERATING = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
HEALTH = OutletHealth(
    outlet="song-hong", lists=2, lists_read=1, discovered=9, fetched=8, unchanged=0, refused=1,
    failed=0, articles=8, cooperative=3, quarantined=0, title_only=0, with_lead=8, without_date=0,
    median_characters=900, newest="",
)  # fmt: skip
TOOLS = {"apt-get", "useradd", "git", "cd", "python3", "install", "cp", "systemctl", "sudo", "curl",
         "podman", "promtool", ".venv/bin/python", ".venv/bin/kiemchung", "make"}  # fmt: skip
"""What an administrator's line may begin with."""


def unit(path: Path) -> dict[str, list[str]]:
    """The settings of a unit; some stand several times."""
    found: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#[":
            key, equals, value = line.partition("=")
            assert equals, line
            found.setdefault(key, []).append(value)
    return found


def as_run(line: str) -> str:
    """What the shell gets of a unit's line: systemd reads %% and $$ as one."""
    return line.replace("%%", "%").replace("$$", "$")


# -- systemd and cron ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", SERVICES, ids=lambda p: p.name)
def test_a_service_runs_what_exists_and_no_more_than_it_needs(path: Path) -> None:
    options = unit(path)
    one = {key: values[-1] for key, values in options.items()}
    calls = [c for line in options["ExecStart"] for c in kiemchung_calls(
        re.sub(r"^/bin/sh -c '(?:exec )?(.*)'$", r"\1", as_run(line)))]  # fmt: skip
    assert len(calls) == 1
    assert wrong_with(calls[0]) == ""
    assert one["User"] == one["Group"] == "kiemchung"
    assert one["WorkingDirectory"] == HOME
    assert one["ProtectSystem"] == "strict"
    assert one["ReadWritePaths"] == f"{HOME}/{load_settings().data_dir}"
    assert one["CapabilityBoundingSet"] == ""
    for option in ("NoNewPrivileges", "PrivateTmp", "PrivateDevices", "ProtectHome",
                   "ProtectKernelTunables", "RestrictNamespaces", "RestrictSUIDSGID"):  # fmt: skip
        assert one[option] == "true", option
    assert re.fullmatch(r"00[27]7", one["UMask"])
    assert re.fullmatch(r"\d+[MG]", one["MemoryMax"])
    text = path.read_text(encoding="utf-8")
    for found in re.findall(rf"{HOME}/([\w./-]+)", text):
        first = found.split("/")[0]
        assert first in (".venv", "var") or (ROOT / found).exists(), found
    for name, value in re.findall(r"KIEMCHUNG_([A-Z_]+)=(\S+)", " ".join(options["Environment"])):
        load_settings(**{name.lower(): value})


def test_exit_code_two_is_no_failure_and_a_failed_week_goes_on_by_itself() -> None:
    week = unit(DEPLOY / "systemd" / "kiemchung-weekly.service")
    assert week["SuccessExitStatus"] == ["2"]
    assert week["Restart"] == ["on-failure"]
    assert "finished with alarms" in week["ExecStopPost"][0]
    desk = unit(DEPLOY / "systemd" / "kiemchung.service")
    assert desk["Restart"] == ["on-failure"]


@pytest.mark.parametrize("path", TIMERS, ids=lambda p: p.name)
def test_a_timer_starts_a_service_of_its_name(path: Path) -> None:
    options = unit(path)
    assert path.with_suffix(".service") in SERVICES
    assert options["WantedBy"] == ["timers.target"]
    assert options["Persistent"] == ["true"]
    assert options["OnCalendar"][0].endswith("Asia/Ho_Chi_Minh")


def weeks_named() -> list[str]:
    """The shell expressions by which unit and cron line name the week."""
    service = as_run(unit(DEPLOY / "systemd" / "kiemchung-weekly.service")["ExecStart"][0])
    cron = (DEPLOY / "kiemchung.cron").read_text(encoding="utf-8").replace("\\%", "%")
    return [
        re.search(r"--week \"\$\((date [^)]*)\)\"", text)[1]  # type: ignore[index]
        for text in (service, cron)
    ]


@pytest.mark.parametrize("friday", ["2026-11-27", "2026-01-02", "2027-01-01", "2021-01-01"])
def test_the_week_is_that_of_the_friday_also_when_the_timer_comes_late(friday: str) -> None:
    day = date.fromisoformat(friday)
    year, number, weekday = day.isocalendar()
    assert weekday == 5
    for expression in weeks_named():
        for late in range(7):
            now = (day + timedelta(days=late)).isoformat()
            # "4 days ago" of that day, at 18:00, as date would work it out then.
            asked = re.sub(r"4 days ago", f"{now} 18:00 4 days ago", expression)
            done = subprocess.run(["sh", "-c", asked], capture_output=True, text=True, check=True)
            assert done.stdout.strip() == f"{year}-W{number:02d}", (now, expression)


def test_the_cron_lines_run_what_exists() -> None:
    text = (DEPLOY / "kiemchung.cron").read_text(encoding="utf-8")
    lines = [x for x in text.splitlines() if re.match(r"[\d*]", x)]
    assert len(lines) == 2
    for line in lines:
        assert not re.search(r"(?<!\\)%", line), "cron reads a bare % as the end of the line"
        minute, hour, *_, user = line.split()[:6]
        assert (minute.isdecimal(), hour.isdecimal(), user) == (True, True, "kiemchung")
        (call,) = kiemchung_calls(line.replace("\\%", "%"))
        assert wrong_with(call) == ""


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd on this machine")
def test_systemd_itself_finds_nothing_wrong(tmp_path: Path) -> None:
    home = tmp_path / "home"
    program = home / ".venv" / "bin" / "kiemchung"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    units = []
    for path in (*SERVICES, *TIMERS):
        copy = tmp_path / path.name
        copy.write_text(path.read_text("utf-8").replace(HOME, str(home)), encoding="utf-8")
        units.append(str(copy))
    done = subprocess.run(
        ["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False
    )
    ours = [x for x in done.stderr.splitlines() if "kiemchung" in x]
    assert ours == []


# -- container -----------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return [(x.split()[0], x.split(None, 1)[1]) for x in text.splitlines() if x.strip()]


def test_the_container_is_small_without_root_and_asks_whether_it_is_ready() -> None:
    steps = instructions()
    names = [name for name, _ in steps]
    assert names.count("FROM") == 2
    last = steps[len(names) - names[::-1].index("FROM") :]
    assert ("USER", "10001:10001") in last
    kept = [rest for name, rest in last if name == "COPY"]
    assert kept == ["--from=build /opt/kiemchung /opt/kiemchung"]  # no sources, no build tools
    (health,) = [rest for name, rest in last if name == "HEALTHCHECK"]
    assert "/ready'" in health
    (entry,) = [rest for name, rest in last if name == "ENTRYPOINT"]
    (command,) = [rest for name, rest in last if name == "CMD"]
    assert entry == '["kiemchung"]'
    assert wrong_with(yaml.safe_load(command)) == ""
    set_ = " ".join(rest for name, rest in last if name == "ENV")
    for name, value in re.findall(r"KIEMCHUNG_([A-Z_]+)=(\S+)", set_):
        load_settings(**{name.lower(): value})


def test_what_the_container_copies_exists_and_is_not_ignored() -> None:
    allowed = re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE)
    assert all((ROOT / name).exists() for name in allowed)
    for name, rest in instructions():
        if name == "COPY" and not rest.startswith("--from"):
            *sources, _ = rest.split()
            for source in sources:
                assert (ROOT / source).exists()
                assert source == "." or source.split("/")[0] in allowed
        if name == "RUN":
            done = subprocess.run(["sh", "-n", "-c", rest], capture_output=True, check=False)
            assert done.returncode == 0, rest
            for lock in re.findall(r"requirements/[\w-]+\.txt", rest):
                assert (ROOT / lock).is_file()
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert set(packages["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= set(allowed)


# -- what is documented --------------------------------------------------------------------------


def shell_lines() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", OPERATING, re.MULTILINE | re.DOTALL)
    return [x for block in blocks for x in block.splitlines() if x.strip()]


@pytest.mark.parametrize("line", sorted(set(shell_lines())))
def test_every_line_of_the_administrators_page_would_run(line: str) -> None:
    first = line.split()[0]
    assert first in TOOLS, line
    calls = kiemchung_calls(line)
    assert bool(calls) is bool(re.search(r"(bin/|exec desk )kiemchung\b", line))
    for call in calls:
        assert wrong_with(call) == "", line
    for path in re.findall(r"(?<![\w/])(?:deploy|tools|requirements)/[\w./-]+", line):
        assert (ROOT / path).exists(), path
    for target in re.findall(r"^make (\w+)", line):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def test_every_command_named_in_running_text_exists() -> None:
    named = re.findall(r"`kiemchung ((?:[a-z]+ ?)+)(?=[ `A-Z-])", OPERATING)
    assert len(named) > 10
    for words in named:
        problem = wrong_with(words.split())
        assert "has no command" not in problem, problem


def test_the_settings_shown_are_settings() -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```", OPERATING, re.MULTILINE | re.DOTALL)
    for text in (block, (DEPLOY / "kiemchung.toml").read_text(encoding="utf-8")):
        shown = tomllib.loads(text)
        assert shown
        for key, value in shown.items():
            assert key in Settings.model_fields, key
            load_settings(**{key: tuple(value) if isinstance(value, list) else value})


def test_rules_and_pages_name_only_metrics_that_are_there(tmp_path: Path) -> None:
    with open_store(tmp_path / "k.duckdb") as store:
        made = batch()
        run = replace(made.run, health=(HEALTH,))
        write_batch(tmp_path / "inbox", replace(made, run=run))
        store.merge_inbox(tmp_path / "inbox")
        metrics = Metrics(store, inbox=tmp_path / "inbox", ready=lambda: {"store": True})
        metrics.request("GET", "/queue", 200, 0.1)
        text = metrics.text().decode("utf-8")
    known = set(re.findall(r"^(kiemchung_\w+)", text, re.MULTILINE))
    known |= {n.removesuffix("_bucket") for n in known} | {PREFIX + name for name in HELP}
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
    alerts = [r for g in rules["groups"] for r in g["rules"]]
    assert len(alerts) == 13
    for rule in alerts:
        assert rule["annotations"]["summary"]
        named = set(re.findall(r"\bkiemchung_\w+", rule["expr"]))
        assert named <= known, (rule["alert"], named - known)
        assert named or rule["alert"] == "KiemchungDeskDown"
    shown = set(re.findall(r"`(kiemchung_\w+)`", OPERATING))
    assert len(shown) > 15
    assert shown <= known, shown - known


def test_every_check_of_ready_is_explained(tmp_path: Path) -> None:
    from fastapi.testclient import TestClient

    with open_store(tmp_path / "k.duckdb") as store:
        app = create_app(store, secret=bytes(range(48)))
        checks = TestClient(app).get("/ready").json()["checks"]
    for check in checks:
        assert re.search(rf"^\| {check} \|", OPERATING, re.MULTILINE), check


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool on this machine")
def test_prometheus_itself_accepts_the_rules() -> None:
    for verb, name in (("check", "alerts.yml"), ("test", "alerts.test.yml")):
        path = DEPLOY / "prometheus" / name
        done = subprocess.run(
            ["promtool", verb, "rules", str(path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_no_deploy_file_names_another_place() -> None:
    places = re.compile(r"(?<![\w.%])/(?:home|root|opt|work|usr/local|mnt)/")
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert not places.search(text) or path.name == "Containerfile", path
