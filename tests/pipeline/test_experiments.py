"""An experiment is repeated to the digit, and what is other is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kiemchung.config import Settings, load_settings
from kiemchung.errors import ConfigError, DamagedFileError, InputError, RecordError
from models import experiments as one
from pipeline import experiments
from pipeline.cli import app

TOLD: list[tuple[str, Mapping[str, Any]]] = []

CONFIG = """
name = "{name}"
[data]
pairs = ["{pairs}"]
limit = 180
[model]
values = "comparison"
without = [{without}]
[protocol]
folds = 3
seeds = [0, 1]
curve = [40]
threshold = 0.6
[tracker]
call = "{call}"
"""


def recorder(event: str, facts: Mapping[str, Any]) -> None:
    TOLD.append((event, dict(facts)))


def broken(event: str, facts: Mapping[str, Any]) -> None:
    raise RuntimeError("no such host")


def config(folder: Path, *, name: str = "head", pairs: str = "own", without: str = "",
           call: str = "") -> Path:  # fmt: skip
    path = folder / f"{name}.toml"
    path.write_text(CONFIG.format(name=name, pairs=pairs, without=without, call=call), "utf-8")
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings, Path]:
    """A data folder with one experiment on a file of pairs made from the reference base."""
    folder = tmp_path_factory.mktemp("experiments")
    settings = load_settings(data_dir=folder / "var")
    asked = one.parse({"name": "x", "data": {"pairs": ["own"], "limit": 180}}, where="test")
    pairs, _ = experiments.read_data(asked, settings)
    file = folder / "pairs.jsonl"
    rows = [
        {"claim": p.claim, "evidence": p.evidence, "label": str(p.label), "group": p.group}
        for p in pairs
    ]
    file.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    experiments.start(config(folder, pairs=str(file)), settings)
    return folder, settings, file


def test_twice_the_same_is_the_same_to_the_digit(world: tuple[Path, Settings, Path]) -> None:
    """The second one runs in a process of its own."""
    folder, settings, file = world
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "runs", "start",
         str(config(folder, pairs=str(file))), "--data", str(settings.data_dir), "--json"],
        env=dict(os.environ), capture_output=True, text=True, check=True,
    )  # fmt: skip
    second = json.loads(done.stdout)["id"]
    assert second == "head-0002"
    found = experiments.compare(
        experiments.read(settings, "head-0001"), experiments.read(settings, second)
    )
    assert found["same"]
    assert [found[part] for part in ("asked", "data", "figures")] == [{}, {}, {}]
    assert found["paired"]["mcnemar_p"] == 1.0
    assert (settings.data_dir / "experiments" / second / "config.toml").is_file()


def test_a_changed_byte_of_the_data_shows(world: tuple[Path, Settings, Path]) -> None:
    folder, settings, file = world
    other = folder / "other.jsonl"
    text = file.read_text(encoding="utf-8")
    at = text.index("claim") + 30
    while not text[at].isalpha():
        at += 1
    other.write_text(text[:at] + "q" + text[at + 1 :], "utf-8")
    made = experiments.start(config(folder, name="other", pairs=str(other)), settings)
    found = experiments.compare(
        experiments.read(settings, "head-0001"), experiments.read(settings, made.name)
    )
    assert not found["same"]
    assert "pairs_sha256" in found["data"]
    assert "paired" not in found  # not the same pairs


def test_an_ablation_is_compared_pair_by_pair(world: tuple[Path, Settings, Path]) -> None:
    folder, settings, file = world
    made = experiments.start(
        config(folder, name="without", pairs=str(file), without='"digit_swapped"'), settings
    )
    found = experiments.compare(
        experiments.read(settings, "head-0001"), experiments.read(settings, made.name)
    )
    assert found["asked"] == {"model.without": [[], ["digit_swapped"]]}
    assert found["figures"]
    assert not found["same"]
    assert 0.0 <= found["paired"]["mcnemar_p"] <= 1.0


def test_the_record_holds_what_it_rests_on(world: tuple[Path, Settings, Path]) -> None:
    _, settings, file = world
    record = experiments.read(settings, "head-0001").record
    assert set(record["data"]["files"]) == {str(file)}
    assert record["environment"]["packages"]["numpy"]
    assert len(record["environment"]["code_sha256"]) == 64
    assert record["metrics"]["over_seeds"]["macro_f1"]["seeds"] == 2
    assert record["metrics"]["curve"]["40"]["mean"] <= 1.0
    interval = record["metrics"]["macro_f1_over_texts"]
    assert interval["low"] < record["metrics"]["by_seed"]["0"]["macro_f1"] < interval["high"]
    assert record["seconds"]["cpu"] > 0
    lines = (settings.data_dir / "experiments" / "head-0001" / "predictions.jsonl").read_text()
    assert "claim" not in lines  # a prediction holds no text


def test_examples_are_real_and_of_their_slice(world: tuple[Path, Settings, Path]) -> None:
    _, settings, file = world
    done = CliRunner().invoke(
        app, ["runs", "show", "head-0001", "--slice", "number", "--examples", "3", "--json",
              "--data", str(settings.data_dir)],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)["examples"]
    assert shown
    texts = file.read_text(encoding="utf-8")
    for row in shown:
        assert "number" in row["slices"]
        assert row["label"] != row["said"]
        assert json.dumps(row["claim"], ensure_ascii=False) in texts


def test_examples_of_data_that_changed_are_refused(
    world: tuple[Path, Settings, Path], tmp_path: Path
) -> None:
    _, settings, file = world
    copy = tmp_path / "pairs.jsonl"
    copy.write_bytes(file.read_bytes())
    made = experiments.start(config(tmp_path, name="moved", pairs=str(copy)), settings)
    lines = copy.read_text(encoding="utf-8").splitlines(keepends=True)
    copy.write_text("".join(reversed(lines)), "utf-8")
    with pytest.raises(InputError, match="another than it was"):
        experiments.examples(experiments.read(settings, made.name), settings, slice_="", limit=2)


def test_the_table_and_a_damaged_record(world: tuple[Path, Settings, Path], tmp_path: Path) -> None:
    _, settings, _ = world
    done = CliRunner().invoke(app, ["runs", "list", "--json", "--data", str(settings.data_dir)])
    assert done.exit_code == 0, done.output
    assert "head-0001" in [row["id"] for row in json.loads(done.stdout)]
    broken_at = load_settings(data_dir=tmp_path)
    folder = tmp_path / "experiments" / "x-0001"
    folder.mkdir(parents=True)
    record = (settings.data_dir / "experiments" / "head-0001" / "run.json").read_text("utf-8")
    (folder / "run.json").write_text(record.replace('"seeds": 2', '"seeds": 3', 1), "utf-8")
    with pytest.raises(DamagedFileError):
        experiments.read(broken_at, "x-0001")
    assert CliRunner().invoke(app, ["runs", "list", "--data", str(tmp_path)]).exit_code == 1


def test_changed_predictions_are_refused(
    world: tuple[Path, Settings, Path], tmp_path: Path
) -> None:
    folder, _, file = world
    settings = load_settings(data_dir=tmp_path)
    made = experiments.start(config(folder, name="kept", pairs=str(file)), settings)
    path = made / "predictions.jsonl"
    path.write_bytes(path.read_bytes().replace(b"0.1", b"0.2", 1))
    with pytest.raises(RecordError, match="not as it was written"):
        experiments.predictions(experiments.read(settings, made.name))


def test_a_tracker_is_told_and_costs_nothing_when_it_fails(
    world: tuple[Path, Settings, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _, file = world
    settings = load_settings(data_dir=tmp_path)
    monkeypatch.setitem(sys.modules, "own_tracker", sys.modules[__name__])
    TOLD.clear()
    made = experiments.start(
        config(folder, name="told", pairs=str(file), call="own_tracker:recorder"), settings
    )
    assert [event for event, _ in TOLD] == ["started", "seed", "seed", "finished"]
    assert (
        TOLD[-1][1]["metrics"]["over_seeds"]
        == (experiments.read(settings, made.name).record["metrics"]["over_seeds"])
    )
    made = experiments.start(
        config(folder, name="untold", pairs=str(file), call="own_tracker:broken"), settings
    )
    failed = experiments.read(settings, made.name).record["tracker_failed"]
    assert failed[0] == "started: RuntimeError: no such host"
    assert len(failed) == 4


@pytest.mark.parametrize("call", ["no_such_module:f", "json:no_such", "json:__name__", "nobody"])
def test_a_tracker_that_cannot_be_had_stops_the_start(tmp_path: Path, call: str) -> None:
    settings = load_settings(data_dir=tmp_path)
    with pytest.raises(ConfigError, match=r"tracker\.call"):
        experiments.start(config(tmp_path, call=call), settings)
    assert not (tmp_path / "experiments").exists()


@pytest.mark.parametrize(
    ("told", "key"),
    [
        ({"data": {"pairs": ["own"]}}, "name"),
        ({"name": "x"}, "data"),
        ({"name": "x", "data": {"pairs": []}}, "data.pairs"),
        ({"name": "x", "data": {"pairs": ["own"], "fold": 3}}, "data.fold"),
        ({"name": "x", "data": {"pairs": ["own"]}, "modell": {}}, "modell"),
        ({"name": "x", "data": {"pairs": ["own"]}, "model": {"strength": "0.1"}}, "model.strength"),
        ({"name": "x", "data": {"pairs": ["own"]}, "model": {"strength": 0.0}}, "model.strength"),
        ({"name": "x", "data": {"pairs": ["own"]}, "model": {"values": "all"}}, "model.values"),
        ({"name": "x", "data": {"pairs": ["own"]}, "model": {"without": ["age"]}}, "model.without"),
        ({"name": "x", "data": {"pairs": ["own"]}, "protocol": {"folds": 1}}, "protocol.folds"),
        ({"name": "x", "data": {"pairs": ["own"]}, "protocol": {"seeds": [1, 1]}}, "protocol.seeds"),
        ({"name": "x", "data": {"pairs": ["own"]}, "protocol": {"seeds": [1.5]}}, "protocol.seeds"),
        ({"name": "../x", "data": {"pairs": ["own"]}}, "name"),
    ],
)  # fmt: skip
def test_a_wrong_key_is_named_with_its_file(told: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as error:
        one.parse(told, where="head.toml")
    assert error.value.where.startswith(f"head.toml: {key}")


def test_no_toml_and_no_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        one.read_config(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("name = ", "utf-8")
    with pytest.raises(ConfigError, match=r"bad\.toml"):
        one.read_config(tmp_path / "bad.toml")
    with pytest.raises(InputError, match="runs list"):
        experiments.read(load_settings(data_dir=tmp_path), "none-0001")


def test_the_configurations_of_the_documents_can_be_read() -> None:
    docs = Path(__file__).resolve().parents[2] / "docs"
    files = sorted((docs / "experiments").glob("*.toml"))
    assert len(files) == 3
    for path in files:
        assert one.read_config(path).data.pairs == ("own",)
    shown = (docs / "experiments.md").read_text(encoding="utf-8").split("```toml\n")[1]
    told = one.parse(tomllib.loads(shown.split("```")[0]), where="experiments.md")
    assert told.model.without == ("digit_swapped",)
    assert told.tracker.call == "my_lab:record"
