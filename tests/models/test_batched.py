"""Scoring by torch: the ONNX file's own weights, the same verdicts, whatever stands beside a pair.

Everything runs on the CPU here; on a GPU the same code runs with another device name.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiemchung.domain import Status
from kiemchung.errors import InputError, ModelError
from models import batched, encoder, registry, scoring
from models.batched import BatchedModel
from models.encoder import EncoderModel
from tests.models.toys import SENTENCES, toy_pairs

ARTICLE = " ".join(
    [*(f"Bà con ở xã số {i} vừa thu hoạch xong vụ lúa." for i in range(80)), SENTENCES[2]]
)
PAIRS = [
    *((p.claim, p.evidence) for p in toy_pairs()),
    (SENTENCES[2], ARTICLE),
    ("", SENTENCES[0]),
    (SENTENCES[0], " "),
]


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 600))
def test_batches_hold_every_sequence_once_and_keep_to_the_budget(
    lengths: list[int], budget: int
) -> None:
    found = list(batched.batches(lengths, budget))
    assert sorted(i for batch in found for i in batch) == list(range(len(lengths)))
    for batch in found:
        longest = max(lengths[i] for i in batch)
        assert len(batch) == 1 or len(batch) * longest <= budget


@pytest.fixture(scope="module")
def exact(tiny_models: Mapping[str, Path]) -> BatchedModel:
    return batched.load(tiny_models["float32"], device="cpu", budget=600)


@pytest.mark.slow
def test_logits_are_those_of_the_onnx_file(
    exact: BatchedModel, tiny_models: Mapping[str, Path]
) -> None:
    assert exact.gap < 1e-4
    reference = registry.load(tiny_models["float32"])
    assert isinstance(reference, EncoderModel)
    for claim, evidence in PAIRS[:-2]:
        read = encoder.sequences(exact.bpe, claim, evidence, longest=exact.longest)
        ours = exact.raw(read.ids, read.types)
        theirs = [
            encoder.onnx_logits(reference.session, *one)
            for one in zip(read.ids, read.types, strict=True)
        ]
        assert np.abs(ours - np.stack(theirs)).max() < 1e-4


@pytest.mark.slow
def test_verdicts_are_those_of_one_at_a_time(
    exact: BatchedModel, tiny_models: Mapping[str, Path]
) -> None:
    reference = registry.load(tiny_models["float32"])
    for ours, pair in zip(exact.judge_all(PAIRS), PAIRS, strict=True):
        theirs = reference.judge(*pair)
        assert (ours.status, ours.label) == (theirs.status, theirs.label)
        assert ours.p_refuted == pytest.approx(theirs.p_refuted, abs=1e-4)
    assert exact.model_id == f"{reference.model_id}+torch"  # remembered apart, named in each flag


@pytest.mark.slow
def test_a_pair_scores_the_same_beside_any_neighbours(exact: BatchedModel) -> None:
    pairs = PAIRS[:-2]
    together = exact.judge_all(pairs)
    turned = exact.judge_all(pairs[::-1])[::-1]
    small = dataclasses.replace(exact, budget=60).judge_all(pairs)
    for pair, *found in zip(pairs, together, turned, small, strict=True):
        alone = exact.judge(*pair)
        for one in found:
            assert one.p_refuted == pytest.approx(alone.p_refuted, abs=1e-5)
            assert one.p_supported == pytest.approx(alone.p_supported, abs=1e-5)


@pytest.mark.slow
def test_int8_weights_become_the_floats_they_stand_for(tiny_models: Mapping[str, Path]) -> None:
    model = batched.load(tiny_models["int8"], device="cpu")
    assert 0.0 < model.gap < batched.NEAR
    full = batched.read_weights(tiny_models["float32"] / encoder.ONNX_FILE)
    assert set(model.weights.tensors) == set(full.tensors)
    for name, tensor in full.tensors.items():
        step = np.ptp(tensor) / 255 + 1e-6
        assert np.abs(model.weights.tensors[name] - tensor).max() <= 1.01 * step, name


@pytest.mark.slow
def test_weights_that_do_not_say_what_the_file_says_are_refused(
    tiny_models: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = batched.read_weights(tiny_models["float32"] / encoder.ONNX_FILE)
    name = "roberta.encoder.layer.1.attention.self.value.weight"
    turned = dict(right.tensors) | {name: np.ascontiguousarray(right.tensors[name].T)}
    wrong = dataclasses.replace(right, tensors=turned)
    monkeypatch.setattr(batched, "read_weights", lambda path: wrong)
    with pytest.raises(ModelError, match="differ from the file by"):
        batched.load(tiny_models["float32"], device="cpu")


@pytest.mark.slow
def test_a_graph_of_another_make_is_refused(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    one = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Erf", ["x"], ["y"])], "g", [one], [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    ])  # fmt: skip
    onnx.save(helper.make_model(graph), str(tmp_path / "x.onnx"))
    with pytest.raises(ModelError, match="no RoBERTa classifier of this program"):
        batched.read_weights(tmp_path / "x.onnx")


@pytest.mark.slow
def test_what_does_not_fit_into_memory_is_halved_and_one_that_never_fits_fails_alone(
    exact: BatchedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    whole = exact.judge_all(PAIRS)
    real, tried = batched.logits, []

    def small(weights, tensors, ids, types):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        tried.append(ids.shape)
        if ids.shape[0] > 2 or ids.shape[1] > 100:
            raise torch.OutOfMemoryError("no room")
        return real(weights, tensors, ids, types)

    monkeypatch.setattr(batched, "logits", small)
    found = exact.judge_all(PAIRS)
    assert max(shape[0] for shape in tried) > 2
    for pair, before, after in zip(PAIRS, whole, found, strict=True):
        if pair[1] == ARTICLE:  # its passages are longer than the room there is
            assert after.status is Status.FAILED
            assert "does not fit" in after.error
        else:
            assert after.p_refuted == pytest.approx(before.p_refuted, abs=1e-5)


@pytest.mark.slow
def test_readers_in_other_processes_change_nothing(
    exact: BatchedModel, tiny_models: Mapping[str, Path]
) -> None:
    here = list(batched.score_all(exact, PAIRS, folder=tiny_models["float32"]))
    there = list(batched.score_all(exact, PAIRS, folder=tiny_models["float32"], processes=2))
    assert here == there
    assert len(here) == len(PAIRS)


@pytest.mark.slow
def test_a_text_that_cannot_be_read_fails_alone(
    exact: BatchedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = batched.features

    def broken(claim: str, evidence: str) -> np.ndarray:
        if claim == SENTENCES[1]:
            raise ValueError("hỏng")
        return real(claim, evidence)

    monkeypatch.setattr(batched, "features", broken)
    bad, good = exact.judge_all([(SENTENCES[1], SENTENCES[1]), (SENTENCES[0], SENTENCES[0])])
    assert (bad.status, "hỏng" in bad.error) == (Status.FAILED, True)
    assert good.status is not Status.FAILED


def test_a_device_that_cannot_be_had_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = [(SENTENCES[0], SENTENCES[0])]
    with pytest.raises(InputError, match="no device 'tpu'"):
        list(scoring.score(pair, device="tpu"))
    with pytest.raises(InputError, match="has no encoder"):
        list(scoring.score(pair, folder=registry.PLAIN, device="cuda"))
    assert list(scoring.score(pair, device="auto")) == list(scoring.score(pair))
    monkeypatch.setitem(sys.modules, "torch", None)
    assert batched.choose_device("auto", has_encoder=True) == "cpu"
    with pytest.raises(InputError, match=r"torch is not installed .*--device cpu"):
        batched.choose_device("cuda", has_encoder=True)


@pytest.mark.slow
def test_torch_without_a_gpu_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert batched.choose_device("auto", has_encoder=True) == "cpu"
    with pytest.raises(InputError, match="sees no GPU"):
        batched.choose_device("cuda", has_encoder=True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert batched.choose_device("auto", has_encoder=True) == "cuda"
    assert batched.choose_device("cpu", has_encoder=True) == "cpu"


def test_a_folder_without_an_encoder_is_refused() -> None:
    with pytest.raises(ModelError, match="no encoder in it"):
        batched.load(registry.PLAIN, device="cpu")
