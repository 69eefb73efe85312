"""Values once, verdicts as the model's own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from kiemchung.domain import Status
from kiemchung.errors import ModelError
from models import registry, values
from models.comparison import FEATURES
from models.encoder import FUSED
from tests.models.toys import toy_pairs

PAIRS = [(p.claim, p.evidence) for p in toy_pairs()] + [("", "gì đó"), ("Có 5 người.", " ")]


@pytest.mark.parametrize("kind", ["plain", "int8", "float32"])
def test_a_verdict_made_of_values_is_the_models_own(
    tiny_models: Mapping[str, Path], kind: str
) -> None:
    folder = registry.PLAIN if kind == "plain" else tiny_models[kind]
    model = registry.load(folder)
    found = values.values_of(folder, [*PAIRS, *PAIRS[:3]])
    assert found.x.shape == (len(PAIRS) + 3, len(FEATURES if kind == "plain" else FUSED))
    assert values.verdicts_of(model, PAIRS, values.Values(x=found.x[: len(PAIRS)], errors=found.errors[: len(PAIRS)])) == [
        model.judge(*pair) for pair in PAIRS
    ]  # fmt: skip


def test_a_comparison_reads_an_encoders_values(tiny_models: Mapping[str, Path]) -> None:
    plain = registry.load(registry.PLAIN)
    found = values.values_of(tiny_models["int8"], PAIRS)
    assert values.verdicts_of(plain, PAIRS, found) == [plain.judge(*pair) for pair in PAIRS]


def test_processes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = values.values_of(registry.PLAIN, PAIRS)
    monkeypatch.setattr(values, "FEW", 1)
    monkeypatch.setattr(values, "CHUNK", 5)
    assert np.array_equal(values.values_of(registry.PLAIN, PAIRS, processes=2).x, alone.x)


def test_one_bad_text_is_a_failed_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(claim: str, evidence: str) -> np.ndarray:
        if "5" in claim:
            raise ValueError("no")
        return np.zeros(len(FEATURES))

    monkeypatch.setattr(values, "features", broken)
    found = values.values_of(registry.PLAIN, PAIRS)
    said = values.verdicts_of(registry.load(registry.PLAIN), PAIRS, found)
    assert {v.status for (c, e), v in zip(PAIRS, said, strict=True) if "5" in c and e.strip()} == {
        Status.FAILED
    }
    assert any(v.status is Status.OK for v in said)
    assert next(v for v in said if v.status is Status.FAILED).error == "ValueError: no"


def test_which_models_share_an_encoder(tiny_models: Mapping[str, Path], tmp_path: Path) -> None:
    int8, full = tiny_models["int8"], tiny_models["float32"]
    shutil.copytree(int8, tmp_path / "copy")
    assert values.shares_encoder(int8, tmp_path / "copy")
    assert values.shares_encoder(int8, registry.PLAIN)
    assert not values.shares_encoder(registry.PLAIN, int8)
    assert not values.shares_encoder(int8, full)


def test_a_model_of_another_kind_is_refused() -> None:
    class Other:
        model_id = "other"
        threshold = 0.5

        def judge(self, claim: str, evidence: str) -> object:
            raise NotImplementedError

    with pytest.raises(ModelError, match="no layer"):
        values.width_of(Other())  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="no layer"):
        values.verdicts_of(Other(), [], values.Values(x=np.zeros((0, 3)), errors=()))  # type: ignore[arg-type]
