"""What can be said of a checkpoint before torch is loaded: is it PhoBERT's kind, and whole?

A folder of another architecture, or one whose tokenizer belongs to another model, would fail late
and obscurely, or train on the wrong words without failing at all. Everything here is read from
``config.json`` and the two tokenizer files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kiemchung.errors import ModelError
from models.tokenizer import BOS, CODES_FILE, EOS, PAD, VOCAB_FILE, PhobertBpe

CONFIG_FILE: Final = "config.json"
SPARE: Final = 64  # rows that an embedding may have beyond its ids, from rounding its size up
_OTHER_TOKENIZERS: Final = {
    "tokenizer.model": "SentencePiece",
    "sentencepiece.bpe.model": "SentencePiece",
    "merges.txt": "byte-level BPE",
    "tokenizer.json": "tokenizers",
}
_OURS: Final = "give vinai/phobert-base, or a folder of `kiemchung train pretrain`"


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder looks like a transformers checkpoint."""
    return (folder / CONFIG_FILE).is_file()


def check(folder: Path) -> None:
    """Return when a local folder can be fine-tuned; in no other case.

    Raises:
        ModelError: no checkpoint, another architecture, other or no tokenizer files, or a tokenizer
            whose ids are not those of the embedding.
    """
    config = _config(folder)
    kind = str(config.get("model_type", "nameless"))
    if kind != "roberta":
        raise ModelError(
            f"a {kind} checkpoint; PhoBERT and its kind are roberta",
            where=str(folder),
            remedy=_OURS,
        )
    missing = [name for name in (VOCAB_FILE, CODES_FILE) if not (folder / name).is_file()]
    if missing:
        other = next((k for f, k in _OTHER_TOKENIZERS.items() if (folder / f).is_file()), "")
        told = f"; it has a {other} tokenizer, which is another" if other else ""
        raise ModelError(
            f"no {' and no '.join(missing)}{told}",
            where=str(folder),
            remedy="put PhoBERT's two tokenizer files beside the weights",
        )
    ids = PhobertBpe.of_folder(folder).size
    rows = config.get("vocab_size")
    if not isinstance(rows, int) or not ids <= rows <= ids + SPARE:
        raise ModelError(
            f"the tokenizer has {ids} ids, the embedding {rows} rows: they do not belong together",
            where=str(folder),
            remedy="take vocab.txt and bpe.codes from where the weights came from",
        )
    wanted = {"bos_token_id": BOS, "pad_token_id": PAD, "eos_token_id": EOS}
    wrong = {k: config[k] for k, v in wanted.items() if config.get(k, v) not in (v, None)}
    if wrong:
        name, value = next(iter(wrong.items()))
        raise ModelError(
            f"{name} is {value}, PhoBERT's is {wanted[name]}: its tokenizer is another",
            where=str(folder / CONFIG_FILE),
            remedy=_OURS,
        )


def _config(folder: Path) -> Mapping[str, Any]:
    path = folder / CONFIG_FILE
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            "no config.json: this is no checkpoint", where=str(folder), remedy=_OURS
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot be read: {error}", where=str(path), remedy=_OURS) from error
    if not isinstance(body, dict):
        raise ModelError("not a configuration", where=str(path), remedy=_OURS)
    return body
