"""Marks of agreement and the fine-tuning loop, on a tiny random network."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiemchung.errors import InputError
from models import finetune
from models.finetune import Recipe, Row, batches, fine_tune, label_weights
from models.marks import (
    ABSENT,
    ELSEWHERE,
    IN_PLACE,
    NONE,
    NUMBER_ABSENT,
    NUMBER_THERE,
    TYPES,
    marks,
)
from models.tokenizer import PAD, PhobertBpe, train_files
from nlp.words import phobert_view

SENTENCES = (
    "Hợp tác xã có 5 thành viên và bán 1.200 tấn gạo.",
    "Năm nay hợp tác xã có 05 thành viên, đã bán 1300 tấn gạo ở Hà Nội.",
    "Ban kiểm soát do đại hội bầu ra và không được vay vốn.",
    "hợp_tác_xã có hợp_tác xã , thành_viên vốn .",
)


@pytest.fixture(scope="module")
def bpe(tmp_path_factory: pytest.TempPathFactory) -> PhobertBpe:
    folder = tmp_path_factory.mktemp("bpe")
    train_files([phobert_view(s) for s in SENTENCES], folder, size=400)
    return PhobertBpe.of_folder(folder)


def _marked(bpe: PhobertBpe, claim: str, evidence: str) -> dict[str, int]:
    """The mark of each word of the claim, by the word."""
    ids = bpe.encode_pair(claim, evidence).ids
    found: dict[str, int] = {}
    word, first = "", 0
    for i, mark in zip(ids, marks(bpe, ids), strict=True):
        name = bpe.names[i]
        if name == "</s>":
            break
        word, first = (word, first) if word else ("", mark)
        word += name.removesuffix("@@")
        if not name.endswith("@@"):
            found[word] = first
            word = ""
    return found


def test_marks_say_what_the_other_side_has(bpe: PhobertBpe) -> None:
    found = _marked(
        bpe, "hợp_tác_xã có 5 thành_viên và bán 1.200 tấn .", "bán 1300 tấn , hợp_tác xã có 05 vốn"
    )
    assert found["hợp_tác_xã"] == ELSEWHERE
    assert found["có"] == IN_PLACE
    assert found["5"] == NUMBER_THERE
    assert found["thành_viên"] == ABSENT
    assert found["1.200"] == NUMBER_ABSENT
    assert found["tấn"] == ELSEWHERE
    assert found["."] == NONE


def test_marks_of_the_evidence_are_types_of_their_own(bpe: PhobertBpe) -> None:
    ids = bpe.encode_pair("có 5", "có 5").ids
    found = marks(bpe, ids)
    ends = [i for i, token in enumerate(ids) if token == ids[-1]]
    claim, evidence = set(found[1 : ends[0]]), set(found[ends[1] + 1 : -1])
    assert not claim & evidence
    assert max(found) < TYPES
    assert found[0] == found[-1] == NONE


@given(st.lists(st.integers(0, 420), max_size=40))
def test_any_ids_have_a_mark_each(ids: list[int]) -> None:
    from tempfile import TemporaryDirectory

    global _BPE
    if _BPE is None:
        with TemporaryDirectory() as name:
            train_files([phobert_view(s) for s in SENTENCES], Path(name), size=400)
            _BPE = PhobertBpe.of_folder(Path(name))
    found = marks(_BPE, ids)
    assert len(found) == len(ids)
    assert all(0 <= m < TYPES for m in found)


_BPE: PhobertBpe | None = None


@settings(max_examples=60)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(10, 120), st.booleans())
def test_batches_hold_every_row_once_within_the_budget(
    lengths: list[int], budget: int, shuffled: bool
) -> None:
    rows = [Row(ids=(5,) * n, label=i % 3) for i, n in enumerate(lengths)]
    parts = list(batches(rows, budget, random.Random(1) if shuffled else None))
    assert sorted(id(r) for part in parts for r in part) == sorted(map(id, rows))
    for part in parts:
        assert len(part) == 1 or max(len(r.ids) for r in part) * len(part) <= budget


def test_label_weights_make_the_classes_count_alike() -> None:
    rows = [Row(ids=(4,), label=0)] * 6 + [Row(ids=(4,), label=1, weight=2.0)] * 2
    weights = label_weights(rows)
    assert weights[0] * 6 == pytest.approx(weights[1] * 4)
    assert weights[2] == 1.0


def _net(vocabulary: int = 60) -> Any:
    import torch
    from transformers import RobertaConfig, RobertaForSequenceClassification

    torch.manual_seed(0)
    return RobertaForSequenceClassification(
        RobertaConfig(
            vocab_size=vocabulary, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=64, max_position_embeddings=66, type_vocab_size=1, pad_token_id=PAD,
            num_labels=3,
        )
    )  # fmt: skip


def _rows(n: int, seed: int) -> list[Row]:
    """Rows whose label is told by one id."""
    r = random.Random(seed)
    made = []
    for _ in range(n):
        label = r.randrange(3)
        ids = [r.randrange(20, 60) for _ in range(r.randrange(4, 12))]
        ids[r.randrange(len(ids))] = 10 + label
        made.append(Row(ids=(0, *ids, 2), label=label))
    return made


@pytest.mark.slow
@pytest.mark.parametrize("r_drop", [0.0, 1.0])
def test_it_learns_what_can_be_learned_and_again_the_same(r_drop: float) -> None:
    train, held = _rows(400, 1), _rows(100, 2)
    recipe = Recipe(epochs=12, batch_tokens=256, rate=2e-3, r_drop=r_drop, threads=1, patience=9)
    losses = []
    for _ in range(2):
        net = _net()
        before = finetune.held_out_loss(net, held, 256)
        course = fine_tune(net, train, held, recipe)
        assert course.kept < 0.5 * before
        assert course.kept == min(course.held_out_losses)
        assert finetune.held_out_loss(net, held, 256) == pytest.approx(course.kept, abs=1e-6)
        losses.append(course.held_out_losses)
    assert losses[0] == losses[1]


@pytest.mark.slow
def test_it_stops_early_when_nothing_more_is_learned_and_keeps_the_best() -> None:
    r = random.Random(5)
    blind = [Row(ids=(0, r.randrange(20, 60), 2), label=r.randrange(3)) for _ in range(60)]
    recipe = Recipe(epochs=60, batch_tokens=128, rate=5e-3, checks=40, patience=3, threads=1)
    course = fine_tune(_net(), blind, _rows(40, 3), recipe)
    assert len(course.held_out_losses) < 40
    best = course.held_out_losses.index(course.kept)
    assert len(course.held_out_losses) - 1 - best == 3


@pytest.mark.slow
def test_widened_types_leave_unmarked_rows_as_they_were() -> None:
    net = _net().eval()
    row = Row(ids=(0, 21, 22, 2), label=0, types=(0, 3, 5, 0))
    plain = Row(ids=row.ids, label=0)
    before = finetune.logits_of(net, [plain], 64)
    finetune.widen(net, TYPES)
    assert net.config.type_vocab_size == TYPES
    assert np.array_equal(finetune.logits_of(net, [plain], 64), before)
    assert not np.array_equal(finetune.logits_of(net, [row], 64), before)


@pytest.mark.slow
def test_a_loss_that_is_no_number_is_told() -> None:
    net = _net()
    with pytest.raises(InputError, match="loss is"):
        fine_tune(net, _rows(50, 1), _rows(9, 2), Recipe(rate=math.inf, steps=9, batch_tokens=64))
    with pytest.raises(InputError, match="too few"):
        fine_tune(net, [], _rows(9, 2), Recipe())


def test_the_rate_follows_the_width() -> None:
    assert Recipe().rate_for(768) == 3e-5
    assert Recipe().rate_for(256) == 3e-4
    assert Recipe(rate=1e-4).rate_for(256) == 1e-4
