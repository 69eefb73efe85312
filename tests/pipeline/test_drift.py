"""Drift of a data folder: profiles of real runs, alarms in every place, no text kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kiemchung.alarms import kind_of, outlet_of
from kiemchung.config import Settings, load_settings
from kiemchung.domain import Decision, Mention
from kiemchung.errors import InputError
from kiemchung.sealed import write_sealed
from kiemchung.store import open_store
from models import audited, drift
from pipeline import drift as drifting
from pipeline import weekly as running
from pipeline.cli import app
from pipeline.demo import main as demo
from pipeline.handover import rows_of
from pipeline.judging import Judge
from pipeline.runs import RunPlan
from pipeline.status import overview
from pipeline.weekly import make_plan, store_path, summarise


@pytest.fixture(scope="module")
def settings(week_of_its_own: Callable[[str], Settings]) -> Settings:
    return week_of_its_own("drift")


@pytest.fixture(scope="module")
def run(settings: Settings) -> RunPlan:
    return make_plan(demo.WEEK, ["sample"], settings)


def stored(settings: Settings) -> drift.Profile:
    every, bad = drifting.read_profiles(settings.data_dir)
    assert not bad
    return next(p for p in every if p.week == str(demo.WEEK))


def test_a_weekly_run_leaves_its_profile_and_no_text(settings: Settings, run: RunPlan) -> None:
    found = stored(settings)
    assert {m.name for m in drift.MEASURES} == set(found.bins)
    assert found.run_id == run.run_id
    for name, bins in found.bins.items():
        assert sum(bins.values()) == pytest.approx(found.stories[name], abs=1e-3)
    (path,) = (settings.data_dir / "drift").glob("*/*.json")
    kept = path.read_text(encoding="utf-8")
    claims = [m.text for m in rows_of(run.stage("analyse"), Mention, "mentions")]
    assert claims
    assert not [text for text in claims if len(text) > 20 and text in kept]


@pytest.mark.slow
def test_the_profile_follows_from_the_run(settings: Settings, run: RunPlan) -> None:
    made = drifting.profile_of(run, Judge.load(settings))
    assert drift.Profile.of(made.as_dict()) == stored(settings)


def test_a_run_of_many_claims_is_looked_at_by_whole_stories(
    settings: Settings, run: RunPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    stories = {
        m.article_id: m.article_id for m in rows_of(run.stage("analyse"), Mention, "mentions")
    }
    everything = drifting._drawn(stories, run.stage("analyse"))
    monkeypatch.setattr(drifting, "MOST", 100)
    some = drifting._drawn(stories, run.stage("analyse"))
    assert some < everything
    assert some == drifting._drawn(stories, run.stage("analyse"))


@pytest.fixture
def shifted(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Six earlier weeks like this one, but that nobody quoted anybody then."""
    monkeypatch.setattr(drift, "FEWEST", 20)
    now = stored(settings)
    quoted = sum(now.bins["speech"].values())
    for n in range(34, 40):
        past = replace(
            now, week=f"2026-W{n}", run_id=f"2026-W{n}-x",
            bins={**now.bins, "speech": {"rebuttal": quoted}},
        )  # fmt: skip
        write_sealed(drifting.folder(settings.data_dir) / past.week / "x.json", past.as_dict())
    return settings


def test_a_shift_is_told_by_run_status_and_command(shifted: Settings, run: RunPlan) -> None:
    (line,) = drifting.lines_of(run)
    assert line.startswith("input_drift: speech: PSI ")
    assert kind_of(line) == "input_drift"
    assert outlet_of(line) == ""
    done = summarise(run, shifted, stages_run=(), published=False)
    assert line in done.alarms
    assert line in overview(shifted).wrong
    told = CliRunner().invoke(app, ["drift", "--data", str(shifted.data_dir), "--json"])
    assert told.exit_code == 2
    body = json.loads(told.stdout)
    assert body["alarms"] == [line]
    assert [f["measure"] for f in body["findings"] if f["shifted"]] == ["speech"]
    assert len(body["reference"]) == 6
    assert "SHIFTED" in "\n".join(drifting.table(drifting.look(shifted, "2026-W40")))
    earlier = CliRunner().invoke(
        app, ["drift", "--week", "2026-W35", "--data", str(shifted.data_dir)]
    )
    assert earlier.exit_code == 0, earlier.output


@pytest.mark.slow
def test_a_run_reads_its_sums_and_its_drift_once(
    shifted: Settings, run: RunPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(name: str, of: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object, **named: object) -> object:
            read.append(name)
            return of(*given, **named)

        return call

    monkeypatch.setattr(running, "accounting", counted("sums", running.accounting))
    monkeypatch.setattr(drifting, "read_profiles", counted("drift", drifting.read_profiles))
    only, judge = (running.Stage.PUBLISH,), Judge.load(shifted)
    done = running.weekly(demo.WEEK, outlets=["sample"], settings=shifted, only=only, judge_=judge)
    assert sorted(read) == ["drift", "sums"]
    alone = summarise(run, shifted, stages_run=only, published=True)
    assert sorted(read) == ["drift", "drift", "sums", "sums"]
    assert (done.accounting, done.alarms) == (alone.accounting, alone.alarms)
    assert any(line.startswith("input_drift: speech") for line in done.alarms)


def test_a_damaged_profile_is_an_alarm_and_counts_no_more(
    settings: Settings, tmp_path: Path
) -> None:
    other = load_settings(data_dir=tmp_path)
    good = stored(settings)
    write_sealed(drifting.folder(tmp_path) / good.week / "a.json", good.as_dict())
    write_sealed(drifting.folder(tmp_path) / good.week / "b.json", {"week": good.week})
    path = drifting.folder(tmp_path) / good.week / "c.json"
    write_sealed(path, good.as_dict())
    path.write_text(path.read_text("utf-8").replace('"claims": ', '"claims": 1', 1), "utf-8")
    found, bad = drifting.read_profiles(tmp_path)
    assert found == [good]
    assert [kind_of(line) for line in bad] == ["unreadable_history"] * 2
    assert drifting.look(other, None).alarms == tuple(bad)
    with pytest.raises(InputError, match="2026-W01"):
        drifting.look(other, "2026-W01")


def test_calibration_off_on_what_people_concluded_is_told(
    week_of_its_own: Callable[[str], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The flags are concluded against the machine, so it is far too sure of itself."""
    settings = week_of_its_own("calibration")
    monkeypatch.setattr(audited, "FEWEST", 10.0)
    with open_store(store_path(settings), double_share=0.0) as store:
        person = store.authenticate("an", store.add_user("an", role="reviewer"))
        assert person is not None
        for number, entry in enumerate(store.queue(person)):
            if entry.flagged:
                store.decide(
                    person, entry.mention_key, Decision.NOT_ENOUGH_INFO, form_token=str(number)
                )
        found = drifting.audit_store(store)
    assert found.drifted
    assert found.conclusions >= 20
    line = found.line()
    assert kind_of(line) == "calibration"
    assert "too sure by" in line
    assert line in overview(settings).wrong
    told = CliRunner().invoke(app, ["drift", "--data", str(settings.data_dir), "--json"])
    assert told.exit_code == 2
    assert line in json.loads(told.stdout)["alarms"]
