"""Two models that share an encoder are read once."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from models import registry
from pipeline import comparing
from tests.models.toys import toy_pairs


def test_one_reading_serves_two_heads(
    tiny_models: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    int8 = tiny_models["int8"]
    shutil.copytree(int8, tmp_path / "second")
    couple = comparing.Couple.load(int8, tmp_path / "second", ("a", "b"))
    assert couple.readers == (0, 0)
    assert comparing.Couple.load(registry.PLAIN, int8, ("a", "b")).readers == (1, 1)
    assert comparing.Couple.load(int8, tiny_models["float32"], ("a", "b")).readers == (0, 1)
    read: list[object] = []
    real = comparing.values_of
    monkeypatch.setattr(comparing, "values_of", lambda *a, **k: (read.append(a), real(*a, **k))[1])
    texts = [(p.claim, p.evidence) for p in toy_pairs()]
    first, second = couple.verdicts(texts, processes=1)
    assert len(read) == 1
    model = registry.load(int8)
    assert first == second == [model.judge(*pair) for pair in texts]
    a, _ = couple.remembering()
    assert [a.judge(*pair) for pair in texts[:4]] == first[:4]
    assert a.judge("", "gì") == model.judge("", "gì")
    assert (a.model_id, a.threshold) == (model.model_id, model.threshold)
