"""A checkpoint that is not PhoBERT's kind is named before anything is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kiemchung.errors import ModelError
from models import checkpoint, registry
from models.tokenizer import PhobertBpe, train_files
from tests.models.toys import SENTENCES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    train_files([s.replace("hợp tác xã", "hợp_tác_xã") for s in SENTENCES], tmp_path, size=200)
    return tmp_path


def config(folder: Path, **given: Any) -> None:
    size = PhobertBpe.of_folder(folder).size
    body = {"model_type": "roberta", "vocab_size": size, "bos_token_id": 0, "pad_token_id": 1,
            "eos_token_id": 2}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(body | given), encoding="utf-8")


def test_phoberts_kind_passes_also_with_rows_rounded_up(folder: Path) -> None:
    config(folder)
    checkpoint.check(folder)
    size = PhobertBpe.of_folder(folder).size
    config(folder, vocab_size=size + 13)
    checkpoint.check(folder)
    config(folder, bos_token_id=None)
    checkpoint.check(folder)


@pytest.mark.parametrize("kind", ["bert", "distilbert", "xlm-roberta", "gpt2", "t5"])
def test_another_architecture_is_named(folder: Path, kind: str) -> None:
    config(folder, model_type=kind)
    with pytest.raises(ModelError, match=rf"a {kind} checkpoint; PhoBERT and its kind are roberta"):
        checkpoint.check(folder)


@pytest.mark.parametrize("more", [-1, 65, 50_000])
def test_a_tokenizer_of_another_model_is_told_with_both_sizes(folder: Path, more: int) -> None:
    size = PhobertBpe.of_folder(folder).size
    config(folder, vocab_size=size + more)
    with pytest.raises(ModelError, match=rf"has {size} ids, the embedding {size + more} rows"):
        checkpoint.check(folder)


def test_other_special_ids_are_another_tokenizer(folder: Path) -> None:
    config(folder, pad_token_id=0)
    with pytest.raises(ModelError, match=r"pad_token_id is 0, PhoBERT's is 1"):
        checkpoint.check(folder)


def test_missing_tokenizer_files_are_named_and_what_is_there_instead(folder: Path) -> None:
    config(folder)
    (folder / "bpe.codes").unlink()
    (folder / "merges.txt").write_text("", encoding="utf-8")
    with pytest.raises(ModelError, match=r"no bpe\.codes; it has a byte-level BPE tokenizer"):
        checkpoint.check(folder)


@pytest.mark.parametrize("text", ["{", "[]", None])
def test_a_folder_without_a_readable_configuration_is_refused(
    folder: Path, text: str | None
) -> None:
    if text is not None:
        (folder / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=r"config"):
        checkpoint.check(folder)


def test_a_checkpoint_given_as_a_model_says_what_to_do(folder: Path) -> None:
    config(folder)
    with pytest.raises(ModelError, match="kiemchung train verdict --encoder"):
        registry.verify(folder)
