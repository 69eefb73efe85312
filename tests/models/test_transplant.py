"""Carrying an encoder over to our own vocabulary: a packed file and a checkpoint, both tiny."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiemchung.errors import InputError, ModelError
from models import pretrain, transplant
from models.tokenizer import PhobertBpe, train_files

pytestmark = pytest.mark.slow

WIDTH, LAYERS, HEADS, INNER, PLACES = 32, 6, 2, 128, 40
PIECES = (
    "<s>", "<pad>", "</s>", "<unk>", "▁", "▁hợp", "▁tác", "▁xã", "▁góp", "▁vốn", "▁5", ".", "h",
    "ợ", "p", "<mask>",
)  # fmt: skip
LINES = ("hợp_tác_xã góp vốn .", "góp vốn 5 hợp_tác_xã .", "xã hợp_tác góp 5 .")


def _four_bits(values: np.ndarray) -> bytes:
    """Blocks of 32 weights: a half-precision scale, then low and high halves of 16 bytes."""
    out = b""
    for block in values.astype(np.float32).reshape(-1, 32):
        scale = np.float16(max(1e-6, float(np.abs(block).max()) / 7.0))
        steps = np.clip(np.rint(block / np.float32(scale)) + 8, 0, 15).astype(np.uint8)
        out += scale.tobytes() + (steps[:16] | (steps[16:] << 4)).tobytes()
    return out


def _tensors(draw: np.random.Generator) -> dict[str, tuple[bool, np.ndarray]]:
    def dense(*shape: int) -> np.ndarray:
        return draw.normal(size=shape).astype(np.float32)

    found: dict[str, tuple[bool, np.ndarray]] = {
        "emb.word": (True, dense(len(PIECES), WIDTH)),
        "emb.pos": (False, dense(PLACES, WIDTH)),
        "emb.type": (False, dense(2, WIDTH)),
        "emb.ln.w": (False, dense(WIDTH)),
        "emb.ln.b": (False, dense(WIDTH)),
    }
    for n in range(LAYERS):
        for name in ("q", "k", "v", "ao"):
            found |= {
                f"l{n}.{name}.w": (True, dense(WIDTH, WIDTH)),
                f"l{n}.{name}.b": (False, dense(WIDTH)),
            }
        for name in ("aln", "oln"):
            found |= {
                f"l{n}.{name}.w": (False, dense(WIDTH)),
                f"l{n}.{name}.b": (False, dense(WIDTH)),
            }
        found |= {
            f"l{n}.fi.w": (True, dense(INNER, WIDTH)), f"l{n}.fi.b": (False, dense(INNER)),
            f"l{n}.fo.w": (True, dense(WIDTH, INNER)), f"l{n}.fo.b": (False, dense(WIDTH)),
        }  # fmt: skip
    return found


def packed_bytes(seed: int = 0) -> tuple[bytes, dict[str, tuple[bool, np.ndarray]]]:
    """A packed encoder as the package writes it, and the tensors that are in it."""
    tensors = _tensors(np.random.default_rng(seed))
    blob = "".join(PIECES).encode()
    ends = np.cumsum([0, *(len(p.encode()) for p in PIECES)]).astype("<u4")
    scores = np.array([-1.0 - len(p) * 0.01 for p in PIECES], dtype="<f4")
    head = b"E5S1" + struct.pack(
        "<I7ifi5iQ", 1, WIDTH, LAYERS, HEADS, INNER, len(PIECES), PLACES, 2, 1e-12, 32,
        len(PIECES), 0, 2, 1, 3, len(blob),
    )  # fmt: skip
    head += ends.tobytes() + scores.tobytes() + blob
    normal = struct.pack("<IBI", ord("Đ"), 1, ord("Đ"))
    head += struct.pack("<iI", 1, len(normal)) + normal + struct.pack("<i", len(tensors))
    stored = {k: _four_bits(v) if four else v.tobytes() for k, (four, v) in tensors.items()}
    size = len(head) + sum(2 + len(k) + 21 for k in tensors)
    directory, body = b"", b""
    for name, (four, value) in tensors.items():
        data = stored[name]
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", int(four), value.size, size + len(body), len(data))
        body += data
    return head + directory + body, tensors


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_files(LINES, tmp_path_factory.mktemp("vocabulary"), size=60)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packed") / "encoder.bin"
    path.write_bytes(packed_bytes()[0])
    return path


def test_a_packed_file_gives_its_tensors_and_cuts_a_text(packed: Path) -> None:
    source = transplant.read_packed(packed)
    tensors = packed_bytes()[1]
    assert (source.layers, source.heads, source.inner, source.width) == (
        LAYERS,
        HEADS,
        INNER,
        WIDTH,
    )
    assert source.specials == (0, 1, 2, 3)
    assert source.mask == len(PIECES) - 1
    exact = source.tensor("encoder.layer.3.attention.output.LayerNorm.bias")
    assert (exact == tensors["l3.aln.b"][1]).all()
    rough, true = source.tensor("encoder.layer.1.intermediate.dense.weight"), tensors["l1.fi.w"][1]
    assert rough.shape == true.shape
    assert np.abs(rough - true).max() < 0.5 * np.abs(true).max() / 7.0 + 0.01
    assert [PIECES[i] for i in source.pieces("hợp tác xã")] == ["▁hợp", "▁tác", "▁xã"]


@given(st.integers(0, 99))
def test_four_bits_come_back_within_half_a_step(seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=96).astype(np.float32)
    found = transplant.unpacked(_four_bits(values), 0, 96)
    for a, b in zip(values.reshape(-1, 32), found.reshape(-1, 32), strict=True):
        assert np.abs(a - b).max() <= 0.51 * np.abs(a).max() / 7.0 + 1e-3


def test_what_is_no_packed_file_is_told(tmp_path: Path, packed: Path) -> None:
    for name, data in (("other", b"GGUF" + bytes(400)), ("cut", packed.read_bytes()[:300])):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(ModelError, match="no packed encoder"):
            transplant.read_packed(path)


def test_words_start_as_the_mean_of_their_pieces(packed: Path, vocabulary: Path) -> None:
    source, bpe = transplant.read_packed(packed), PhobertBpe.of_folder(vocabulary)
    found, carried = transplant.carried_words(source, bpe)
    at = bpe.names.index("hợp_tác_xã")
    pieces = [PIECES.index(p) for p in ("▁hợp", "▁tác", "▁xã")]
    assert np.allclose(found[at], source.words[pieces].mean(axis=0), atol=1e-6)
    assert np.allclose(found[0], source.words[0])
    assert np.allclose(found[bpe.mask_id], source.words[len(PIECES) - 1])
    assert 0 < carried <= bpe.size
    assert np.abs(found).sum(axis=1).min() > 0  # no token starts dead


@given(st.integers(1, 24), st.data())
def test_layers_are_spread_and_end_with_the_last(have: int, data: st.DataObject) -> None:
    want = data.draw(st.integers(1, have))
    kept = transplant.spread_layers(have, want)
    assert len(kept) == want
    assert list(kept) == sorted(set(kept))
    assert kept[-1] == have - 1


def test_more_layers_than_there_are_is_told() -> None:
    for want in (0, 13):
        with pytest.raises(InputError, match="cannot be kept"):
            transplant.spread_layers(12, want)


def test_transformers_loads_it_and_pretraining_goes_on_from_it(
    packed: Path, vocabulary: Path, tmp_path: Path
) -> None:
    from transformers import RobertaForMaskedLM

    out = tmp_path / "begun"
    facts = transplant.transplant(transplant.read_source(str(packed)), vocabulary, out, layers=3)
    assert facts["layers"] == [2, 4, 6]
    assert transplant.facts_of(out) == facts
    assert transplant.facts_of(tmp_path) == {}
    net = RobertaForMaskedLM.from_pretrained(out)
    tensors = packed_bytes()[1]
    kept = net.roberta.encoder.layer[1].output.LayerNorm.weight.detach().numpy()
    assert (kept == tensors["l3.oln.w"][1]).all()
    places = net.roberta.embeddings.position_embeddings.weight.detach().numpy()
    assert (places[2] == tensors["emb.pos"][1][0]).all()  # RoBERTa's first token reads row 2

    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(LINES * 200), encoding="utf-8")
    prepared = pretrain.prepare([text], vocabulary, tmp_path / "prepared")
    plan = pretrain.Plan(shape=pretrain.Shape.of("3x32/2"), tokens=3_200, batch_tokens=640)
    run = tmp_path / "run"
    pretrain.pretrain(prepared, run, plan, start=out, stop_after=1)
    state = pretrain.pretrain(prepared, run, plan, start=out, threads=1)
    assert state["done"]
    assert state["began_from"]["layers"] == [2, 4, 6]
    with pytest.raises(InputError, match="another plan"):
        pretrain.pretrain(prepared, run, plan)  # the same run without its start is another one
    with pytest.raises(ModelError, match="is no encoder of 2x32"):
        pretrain.pretrain(
            prepared, tmp_path / "other",
            pretrain.Plan(shape=pretrain.Shape.of("2x32/2"), tokens=3_200), start=out,
        )  # fmt: skip


def test_a_start_over_another_vocabulary_is_told(
    packed: Path, vocabulary: Path, tmp_path: Path
) -> None:
    other = train_files(["góp vốn xã", "vốn góp"], tmp_path / "other", size=30)
    transplant.transplant(transplant.read_packed(packed), other, tmp_path / "begun", layers=2)
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(LINES * 200), encoding="utf-8")
    prepared = pretrain.prepare([text], vocabulary, tmp_path / "prepared")
    plan = pretrain.Plan(shape=pretrain.Shape.of("2x32/2"), tokens=3_200)
    with pytest.raises(ModelError, match="another tokenizer"):
        pretrain.pretrain(prepared, tmp_path / "run", plan, start=tmp_path / "begun")


def test_a_checkpoint_is_a_source_too(vocabulary: Path, tmp_path: Path) -> None:
    import torch
    from transformers import RobertaConfig, RobertaModel

    bpe = PhobertBpe.of_folder(vocabulary)
    folder = tmp_path / "checkpoint"
    torch.manual_seed(1)
    RobertaModel(
        RobertaConfig(
            vocab_size=bpe.size, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=128, max_position_embeddings=60, type_vocab_size=1,
            pad_token_id=1, bos_token_id=0, eos_token_id=2, tokenizer_class="PhobertTokenizer",
        ),
        add_pooling_layer=False,
    ).save_pretrained(folder)  # fmt: skip
    for name in ("vocab.txt", "bpe.codes"):
        (folder / name).write_bytes((vocabulary / name).read_bytes())
    source = transplant.read_source(str(folder))
    assert source.first_position == 2
    found, _ = transplant.carried_words(source, bpe)
    at = bpe.names.index("góp")
    assert np.allclose(found[at], source.words[at])
    facts = transplant.transplant(source, vocabulary, tmp_path / "out", layers=1)
    assert facts["layers"] == [2]


def test_a_checkpoint_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be loaded"):
        transplant.read_source(str(tmp_path))
