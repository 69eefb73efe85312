"""From decisions to a candidate: what it is fitted on, what it never sees, what it says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kiemchung import reference
from kiemchung.domain import LABEL_ORDER, Label
from kiemchung.errors import InputError
from models import gates, head, registry, retrain
from models.construct import Pair
from models.reviewed import SPLITS, ReviewedPair
from models.train import Data
from tests.models import decided
from tests.models.toys import toy_data, toy_pairs


@pytest.fixture(scope="module")
def own() -> list[Pair]:
    """Pairs of some passages of the base, a few hundred."""
    return gates.own_pairs(reference.load().passages[:60], seed=7)


@pytest.fixture(scope="module")
def base() -> Data:
    pairs = tuple(toy_pairs())
    return Data(train=pairs, calibration=pairs, report=pairs, names=("toy pairs",))


@pytest.fixture(scope="module")
def rows(own: list[Pair]) -> list[ReviewedPair]:
    made = decided.decisions(own, reviewers=5)
    extra = [
        replace(made[0], label=Label.CONFLICTING, pair_id="x1"),
        replace(made[1], claim="", pair_id="x2"),
        replace(made[2], evidence=" ", pair_id="x3"),
    ]
    return [*made, *extra]


@pytest.fixture(scope="module")
def dataset(rows: list[ReviewedPair], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    return decided.write(folder, decided.split_by_story(rows))


@pytest.fixture(scope="module")
def small(own: list[Pair], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So many decisions as a layer needs."""
    parts = decided.split_by_story(decided.decisions(own[:240], reviewers=2))
    return decided.write(tmp_path_factory.mktemp("small"), parts)


@pytest.fixture(scope="module")
def candidate(dataset: Path, base: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("candidate") / "model"
    return retrain.retrain_head(out, dataset, base, folder=registry.PLAIN)


def test_the_candidate_is_a_model_with_a_card(candidate: Path, dataset: Path) -> None:
    manifest, model = registry.verify(candidate), registry.load(candidate)
    assert manifest.kind == "comparison"
    assert model.model_id == manifest.model_id != registry.verify(registry.PLAIN).model_id
    told = manifest.metrics
    assert told["decisions"]["left_out"] == {"conflicting": 1, "opted_out": 1, "no_evidence": 1}
    assert told["decisions"]["sha256"].keys() == {"train", "dev"}
    assert told["guard"]["batches_to_look_at"] == []
    assert told["fitted"]["layers_fitted"] == [head.ANY]
    assert told["test"]["candidate"]["macro_f1"] >= told["test"]["before"]["macro_f1"]
    assert told["test"]["candidate"]["for_all_claims"]["effective"] < told["test"]["decisions"]
    card = (candidate / registry.CARD).read_text(encoding="utf-8")
    assert "decisions of reviewers" in card
    assert "no batch stands out" in " ".join(card.split())
    assert not list(candidate.glob("*.pkl"))


def test_the_same_inputs_give_the_same_bytes(
    candidate: Path, dataset: Path, base: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.values.FEW", 1)
    again = retrain.retrain_head(
        tmp_path / "again", dataset, base, folder=registry.PLAIN, processes=2
    )
    assert {p.name: p.read_bytes() for p in again.iterdir()} == {
        p.name: p.read_bytes() for p in candidate.iterdir()
    }


def test_nothing_is_chosen_on_the_test_split(
    candidate: Path, rows: list[ReviewedPair], base: Data, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    # With all labels of the test split turned round the model is the same to the bit; only the
    # figures are others. And the split is read after everything was frozen.
    parts = decided.split_by_story(rows)
    parts["test"] = [
        p if p.label not in LABEL_ORDER
        else replace(p, label=LABEL_ORDER[(LABEL_ORDER.index(p.label) + 1) % 3])
        for p in parts["test"]
    ]  # fmt: skip
    order: list[str] = []
    real_read, real_freeze = retrain.read_split, retrain._frozen
    monkeypatch.setattr(
        retrain, "read_split", lambda f, name: (order.append(name), real_read(f, name))[1]
    )
    monkeypatch.setattr(
        retrain, "_frozen", lambda *given: (order.append("frozen"), real_freeze(*given))[1]
    )
    other = retrain.retrain_head(
        tmp_path / "other", decided.write(tmp_path / "set", parts), base, folder=registry.PLAIN
    )
    assert order == ["train", "dev", "frozen", "test"]
    first, second = registry.verify(candidate), registry.verify(other)
    assert first.files["comparison.json"] == second.files["comparison.json"]
    assert (first.model_id, first.threshold) == (second.model_id, second.threshold)
    assert second.metrics["test"]["candidate"]["macro_f1"] < 0.5


def test_a_spoiled_batch_is_named_and_moves_little(
    candidate: Path, rows: list[ReviewedPair], base: Data, tmp_path: Path
) -> None:
    def turned(label: Label) -> Label:
        if label not in LABEL_ORDER:
            return label
        return LABEL_ORDER[(LABEL_ORDER.index(label) + 1) % 3]

    clean = decided.split_by_story(rows)
    parts = decided.split_by_story(decided.spoiled(rows, "r3", turned))
    parts["test"] = clean["test"]
    made = retrain.retrain_head(
        tmp_path / "model", decided.write(tmp_path / "set", parts), base, folder=registry.PLAIN
    )
    told = registry.verify(made).metrics
    (named,) = told["guard"]["batches_to_look_at"]
    assert named["batch_of"] == "r3"
    assert told["guard"]["labels_left_out"] == named["labels"]
    assert told["test"]["of_batches_to_look_at"] > 0
    good = registry.verify(candidate).metrics["test"]["candidate"]["macro_f1"]
    assert abs(told["test"]["candidate"]["macro_f1"] - good) <= 0.03  # other rows are in the test
    card = (made / registry.CARD).read_text(encoding="utf-8")
    assert "an adjudicator should look" in card
    assert "no judgement of a person" in " ".join(card.split())


def test_few_decisions_leave_the_model_as_it_is(
    rows: list[ReviewedPair], base: Data, tmp_path: Path
) -> None:
    parts = {name: part[:15] for name, part in decided.split_by_story(rows).items()}
    folder = decided.write(tmp_path / "few", parts)
    with pytest.raises(InputError, match="too few"):
        retrain.retrain_head(tmp_path / "out", folder, base, folder=registry.PLAIN)
    assert not (tmp_path / "out").exists()


def test_a_story_in_two_splits_is_refused(
    rows: list[ReviewedPair], base: Data, tmp_path: Path
) -> None:
    parts = decided.split_by_story(rows)
    folder = decided.write(tmp_path / "a", parts | {"dev": [*parts["dev"], parts["train"][0]]})
    with pytest.raises(InputError, match="train and in dev"):
        retrain.read_decisions(folder)
    folder = decided.write(tmp_path / "b", parts | {"test": [*parts["test"], parts["train"][0]]})
    with pytest.raises(InputError, match="in what was fitted on"):
        retrain.retrain_head(tmp_path / "out", folder, base, folder=registry.PLAIN)
    assert not (tmp_path / "out" / registry.MANIFEST).exists()
    with pytest.raises(InputError, match="no decision"):
        retrain.read_decisions(decided.write(tmp_path / "c", {name: [] for name in SPLITS}))


def test_the_head_of_an_encoder_is_retrained_and_its_encoder_kept(
    tiny_models: Mapping[str, Path], small: Path, base: Data, tmp_path: Path
) -> None:
    source = tiny_models["int8"]
    made = retrain.retrain_head(tmp_path / "model", small, base, folder=source)
    before, after = registry.verify(source), registry.verify(made)
    assert after.kind == "encoder"
    assert after.files["encoder.onnx.data"] == before.files["encoder.onnx.data"]
    assert after.files["fusion.json"] != before.files["fusion.json"]
    told = after.metrics["fitted"]
    assert told["layers_fitted"] == ["short"]
    old, new = registry.load(source), registry.load(made)
    # The layer without decisions stays as it was.
    assert np.array_equal(old.layers["long"].weights, new.layers["long"].weights)  # type: ignore[attr-defined]
    test = after.metrics["test"]
    assert test["candidate"]["macro_f1"] > test["before"]["macro_f1"]


def test_an_encoder_is_fine_tuned_on_decisions(
    tiny_checkpoint: Path, small: Path, tmp_path: Path
) -> None:
    from models.finetune import Recipe

    made = retrain.retrain_encoder(
        tmp_path / "model", small, toy_data(), encoder=str(tiny_checkpoint),
        recipe=Recipe(steps=3, batch_tokens=400, seed=1, threads=1), folder=registry.PLAIN,
    )  # fmt: skip
    manifest = registry.verify(made)
    registry.load(made)
    assert manifest.kind == "encoder"
    assert manifest.metrics["fitted"]["way"] == "an encoder fine-tuned"
    assert manifest.metrics["test"]["before"]["macro_f1"] > 0
    assert json.dumps(dict(manifest.metrics))


def test_a_layer_that_is_fitted_further_begins_at_the_old_one(own: list[Pair]) -> None:
    model = registry.load(registry.PLAIN)
    layer = head.layers_of(model)[head.ANY]
    from models.values import values_of

    texts = [(p.claim, p.evidence) for p in own]
    x = values_of(registry.PLAIN, texts).x
    y = np.array([LABEL_ORDER.index(p.label) for p in own])
    few = head.Rows(
        x=x[:60], y=y[:60], weight=np.ones(60), forms=np.full(60, head.ANY),
        groups=tuple(p.group for p in own[:60]), told=np.ones(60, dtype=bool),
    )  # fmt: skip
    old, new = layer.linear(x), head.refit(layer, few).linear(x)
    assert (old.argmax(axis=1) == new.argmax(axis=1)).mean() > 0.8
    other = head.refit(layer, few, strength=1e-9).linear(
        x
    )  # all penalty: nothing but the intercept
    assert np.ptp(other - other.mean(axis=0)) < 0.5
