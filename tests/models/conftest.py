"""A tiny random encoder and the model folders made of it, once for all tests of encoders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.models.toys import SENTENCES, toy_data


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random 2x32 RoBERTa with a vocabulary of its own in the two-file format."""
    import torch
    from transformers import RobertaConfig, RobertaForSequenceClassification

    from models.tokenizer import PhobertBpe, train_files
    from nlp.words import phobert_view

    folder = tmp_path_factory.mktemp("tiny")
    train_files([phobert_view(s) for s in SENTENCES], folder, size=200)
    bpe = PhobertBpe.of_folder(folder)
    torch.manual_seed(3)
    config = RobertaConfig(
        vocab_size=bpe.size,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=130,
        type_vocab_size=1,
        num_labels=3,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    RobertaForSequenceClassification(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_models(
    tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Path]:
    """Model folders of the tiny encoder by precision, trained a few steps by the real code."""
    from models import joining
    from models.finetune import Recipe

    recipe = Recipe(steps=4, batch_tokens=400, seed=1, threads=1)
    return {
        precision: joining.train_verdict(
            tmp_path_factory.mktemp(f"out-{precision}") / "model",
            toy_data(),
            encoder=str(tiny_checkpoint),
            recipe=recipe,
            precision=precision,
        )
        for precision in ("float32", "int8")
    }
