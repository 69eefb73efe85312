"""Only through the gates, on the record, and back."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kiemchung import reference
from kiemchung.config import Settings, load_settings
from kiemchung.errors import DamagedFileError, InputError, ModelError
from models import floors, gates, registry
from models.comparison import ComparisonModel
from pipeline import evaluation, promotion
from pipeline.cli import app
from pipeline.status import overview

NOW = datetime(2026, 11, 26, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A data folder with three models, and gates on a few pairs of the base."""
    own = gates.own_pairs(reference.load().passages[:25])
    monkeypatch.setattr(gates, "own_pairs", lambda *_, **__: own)
    monkeypatch.setattr(evaluation, "CONTROLS", tmp_path / "none")
    low = tmp_path / "floors.json"
    low.write_text(json.dumps({"macro_f1": {"higher": True, "steps": [0.6]}}), encoding="utf-8")
    monkeypatch.setattr(floors, "FLOORS", low)
    monkeypatch.setattr(registry, "DEFAULT", registry.PLAIN)  # quick
    made = load_settings(data_dir=tmp_path / "data")
    good = registry.load(registry.PLAIN)
    assert isinstance(good, ComparisonModel)
    manifest = registry.verify(registry.PLAIN)
    home = made.data_dir / "models"
    for name, model in {
        "good": replace(good, temperature=good.temperature * 1.01),
        "other": replace(good, temperature=good.temperature * 1.02),
        "blind": replace(good, weights=good.weights * 0.0),
    }.items():
        stored = model.to_json().encode("utf-8")
        registry.write(
            home / name,
            replace(manifest, model_id=f"comparison-{name}"),
            {"comparison.json": stored, registry.CARD: b"# a test's\n"},
        )
    return made


def names(settings: Settings) -> list[str]:
    return [a.name for a in promotion.record(settings.data_dir)]


def test_a_model_that_holds_is_promoted_and_recorded(settings: Settings) -> None:
    found = promotion.promote(settings, "good", now=NOW)
    assert found is not None
    assert found.against == ()
    assert promotion.in_use(settings.data_dir) == "good"
    (act,) = promotion.record(settings.data_dir)
    assert (act.act, act.name, act.model_id) == ("promote", "good", "comparison-good")
    assert act.at == "2026-11-26T00:00:00+00:00"
    assert promotion.state(settings.data_dir).note == ""


def test_a_failing_model_is_refused_with_named_reasons(settings: Settings) -> None:
    with pytest.raises(InputError) as caught:
        promotion.promote(settings, "blind")
    told = str(caught.value)
    assert "gate macro_f1:" in told
    assert "worse than the model in use on reference base" in told
    assert promotion.in_use(settings.data_dir) == "default"
    assert promotion.record(settings.data_dir) == []


def test_an_override_needs_a_reason_and_is_seen_for_as_long_as_it_is_in_use(
    settings: Settings,
) -> None:
    with pytest.raises(InputError, match="needs a reason"):
        promotion.promote(settings, "blind", despite_gates=True, reason="  ")
    promotion.promote(settings, "blind", despite_gates=True, reason="a drill", now=NOW)
    shown = overview(settings)
    assert "despite its gates (a drill): gate macro_f1" in shown.model
    listed = CliRunner().invoke(app, ["models", "list", "--data", str(settings.data_dir), "--json"])
    (row,) = [r for r in json.loads(listed.stdout) if r["promoted"]]
    assert row["reason"] == "a drill"
    assert row["despite_gates"]
    promotion.promote(settings, "default")
    assert "despite" not in overview(settings).model


def test_the_state_of_the_model_in_use_is_one_reading_of_the_record(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    promotion.promote(settings, "blind", despite_gates=True, reason="a drill", now=NOW)
    read: list[Path] = []
    of = promotion.record
    monkeypatch.setattr(promotion, "record", lambda path: (read.append(path), of(path))[1])
    found = promotion.state(settings.data_dir)
    assert read == [settings.data_dir]
    assert (found.name, found.reason, found.replaced) == ("blind", "a drill", False)
    assert found.despite
    assert found.despite == promotion.overridden(settings.data_dir).against


def test_rollback_goes_back_over_what_was_in_use(settings: Settings) -> None:
    promotion.promote(settings, "good")
    promotion.promote(settings, "other")
    assert promotion.rollback(settings, reason="too many flags") == "good"
    assert promotion.rollback(settings) == "default"
    assert not (settings.data_dir / "models" / "PROMOTED").exists()
    with pytest.raises(InputError, match="no model was in use before"):
        promotion.rollback(settings)
    assert names(settings) == ["good", "other", "good", "default"]
    promotion.promote(settings, "other")
    promotion.promote(settings, "default")
    assert promotion.rollback(settings) == "other"


def test_a_model_that_is_gone_is_not_gone_back_to(settings: Settings) -> None:
    promotion.promote(settings, "good")
    promotion.promote(settings, "other")
    shutil.rmtree(settings.data_dir / "models" / "good")
    with pytest.raises(ModelError):
        promotion.rollback(settings)
    assert promotion.in_use(settings.data_dir) == "other"


def test_an_older_programs_promotion_has_no_line(settings: Settings) -> None:
    (settings.data_dir / "models" / "PROMOTED").write_text("good", encoding="utf-8")
    assert promotion.trail(settings.data_dir) == ["default", "good"]
    assert promotion.rollback(settings) == "default"


def test_killed_between_line_and_pointer_nothing_came_into_use(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    promotion.promote(settings, "good")
    with monkeypatch.context() as patched:
        patched.setattr(promotion, "write_bytes_atomically", killed)
        with pytest.raises(KeyboardInterrupt):
            promotion.promote(settings, "other")
    assert promotion.in_use(settings.data_dir) == "good"
    assert promotion.trail(settings.data_dir) == ["default", "good"]
    promotion.promote(settings, "other")
    assert promotion.rollback(settings) == "good"


@pytest.mark.parametrize("harm", ["changed", "taken out", "cut off"])
def test_a_record_that_was_changed_is_noticed(settings: Settings, harm: str) -> None:
    promotion.promote(settings, "blind", despite_gates=True, reason="a drill")
    promotion.promote(settings, "good")
    path = settings.data_dir / "models" / promotion.RECORD
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    lines = {
        "changed": [lines[0].replace("a drill", "a thrill"), lines[1]],
        "taken out": lines[1:],
        "cut off": [lines[0], lines[1][:-5]],
    }[harm]
    path.write_text("".join(lines), encoding="utf-8")
    with pytest.raises(DamagedFileError):
        promotion.record(settings.data_dir)
    with pytest.raises(DamagedFileError):
        promotion.promote(settings, "default")
    assert any(line.startswith("model:") for line in overview(settings).wrong)


def test_a_folder_that_was_exchanged_after_its_promotion_is_told(settings: Settings) -> None:
    promotion.promote(settings, "good")
    home = settings.data_dir / "models"
    shutil.rmtree(home / "good")
    shutil.copytree(home / "blind", home / "good")
    assert "model: good is not the one that was promoted" in overview(settings).wrong


def test_the_commands(settings: Settings) -> None:
    data = ["--data", str(settings.data_dir)]
    run = CliRunner()
    refused = run.invoke(app, ["models", "promote", "blind", *data])
    assert isinstance(refused.exception, InputError)
    done = run.invoke(app, ["models", "promote", "good", *data, "--json"])
    assert json.loads(done.stdout) == {"promoted": "good", "despite": []}
    back = run.invoke(app, ["models", "rollback", *data, "--json"])
    assert json.loads(back.stdout) == {"promoted": "default"}
