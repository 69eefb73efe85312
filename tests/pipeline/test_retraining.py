"""One command from decisions to a candidate."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from kiemchung import reference
from kiemchung.config import load_settings
from kiemchung.domain import LABEL_ORDER
from kiemchung.errors import InputError
from kiemchung.store import Store, open_store
from models import gates, registry, train
from pipeline import retraining
from pipeline.cli import app
from pipeline.weekly import store_path
from tests.models import decided
from tests.models.toys import toy_data


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    own = gates.own_pairs(reference.load().passages[:60], seed=7)
    rows = decided.spoiled(
        decided.decisions(own, reviewers=5),
        "r1",
        lambda label: LABEL_ORDER[(LABEL_ORDER.index(label) + 1) % 3],
    )
    return decided.write(tmp_path_factory.mktemp("dataset"), decided.split_by_story(rows))


@pytest.fixture(autouse=True)
def small_base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "gather", lambda **_: toy_data())


def run(*given: str) -> tuple[dict[str, object], str]:
    done = CliRunner().invoke(app, ["train", "verdict", *given, "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return json.loads(done.stdout), done.stderr


def test_the_command_makes_a_candidate_and_says_the_alarm(dataset: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "k2"
    told, said = run(
        "--from-reviews", str(dataset), "--out", str(out), "--model", str(registry.PLAIN),
        "--data", str(data),
    )  # fmt: skip
    manifest = registry.verify(out)
    assert told["model_id"] == manifest.model_id
    assert "ALARM: an adjudicator should look at the batch of r1" in said
    lines = retraining.lines_of(dict(manifest.metrics))
    assert lines[0].startswith("fitted on ")
    assert "chance that it is no better" in lines[1]


def test_the_model_in_use_is_gone_on_from(dataset: Path, tmp_path: Path) -> None:
    import shutil

    home = tmp_path / "data" / "models"
    shutil.copytree(registry.PLAIN, home / "mine")
    (home / "PROMOTED").write_text("mine", encoding="utf-8")
    run(
        "--from-reviews",
        str(dataset),
        "--out",
        str(tmp_path / "k"),
        "--data",
        str(tmp_path / "data"),
    )
    made = registry.verify(tmp_path / "k")
    assert made.metrics["fitted"]["from_model"] == registry.verify(registry.PLAIN).model_id


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--head-only"], "go with --from-reviews"),
        (["--from-reviews", "x", "--head-only", "--encoder", "y"], "keeps the encoder"),
        (["--from-reviews", "nowhere"], "no such data set"),
        (["--from-reviews", "store"], "there is no store yet"),
    ],
)
def test_what_cannot_be_meant_is_told(given: list[str], says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says):
        run(*given, "--out", str(tmp_path / "out"), "--data", str(tmp_path / "data"))


def test_the_store_is_exported_beside_the_candidate(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(data_dir=tmp_path / "data")
    settings.data_dir.mkdir()
    with open_store(store_path(settings)):
        pass
    exporter = ModuleType("pipeline.dataset")

    def export_dataset(store: Store, folder: Path) -> None:
        import shutil

        assert store.counts()["reviews"] == 0
        shutil.copytree(dataset, folder)

    exporter.export_dataset = export_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pipeline.dataset", exporter)
    out = tmp_path / "k3"
    run(
        "--from-reviews", "store", "--out", str(out), "--model", str(registry.PLAIN),
        "--data", str(settings.data_dir),
    )  # fmt: skip
    assert (tmp_path / "k3-dataset" / "train.jsonl").is_file()
    with pytest.raises(InputError, match="stands there already"):
        retraining.dataset("store", settings, out)
