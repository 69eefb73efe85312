"""Pretraining by masked words: text in, an encoder that transformers loads out."""

from __future__ import annotations

import json
import lzma
import random
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiemchung.errors import InputError, ModelError, RecordError
from models import pretrain as subject
from models.pretrain import Plan, Shape
from models.tokenizer import BOS, EOS, UNK, PhobertBpe

WORDS = [
    "hợp_tác_xã",
    "thành_viên",
    "góp",
    "vốn",
    "điều_lệ",
    "đại_hội",
    "nghị_quyết",
    "năm",
    "2024",
    "tăng",
    "giảm",
    "lúa",
    "gạo",
]
TINY = Shape(layers=1, width=32, heads=2, inner=64)


def _text(seed: int, lines: int) -> str:
    draw = random.Random(seed)
    rows = []
    for number in range(lines):
        rows.append(" ".join(draw.choice(WORDS) for _ in range(12)) + " .")
        if number % 5 == 4:
            rows.append("")
    return "\n".join(rows)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> subject.Prepared:
    folder = tmp_path_factory.mktemp("pretrain")
    (folder / "text").mkdir()
    (folder / "text/a.txt").write_text(_text(1, 400), encoding="utf-8")
    with lzma.open(folder / "text/b.txt.xz", "wt", encoding="utf-8") as file:
        file.write(_text(2, 200))
    vocabulary = subject.learn_vocabulary(
        [folder / "text"], folder / "vocabulary", size=150, words=10_000
    )
    return subject.prepare([folder / "text"], vocabulary, folder / "stream")


def test_a_shape_is_read_or_refused_with_the_way_out() -> None:
    assert Shape.of("4x256") == Shape(layers=4, width=256, heads=4, inner=1024)
    assert Shape.of("6x384").heads == 6
    for bad in ("4", "x", "4x", "ax3", "0x64", "4x250"):
        with pytest.raises(InputError):
            Shape.of(bad)


def test_every_token_of_the_text_is_in_the_stream(prepared: subject.Prepared) -> None:
    bpe = PhobertBpe.of_folder(prepared.folder)
    expected: dict[int, int] = {}
    for block in [*_text(1, 400).split("\n\n"), *_text(2, 200).split("\n\n")]:
        if block.strip():
            for i in [*(i for line in block.split("\n") for i in bpe.ids(line)), EOS]:
                expected[i] = expected.get(i, 0) + 1
    values, counts = np.unique(prepared.tokens, return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == expected
    assert any("b.txt.xz" in source for source in prepared.sources)


def test_text_that_is_not_segmented_is_segmented() -> None:
    assert subject.segmented_lines("hợp_tác_xã họp\nhôm nay") == ["hợp_tác_xã họp", "hôm nay"]
    (line,) = subject.segmented_lines("Hợp tác xã có quyền kết nạp thành viên.")
    assert "thành_viên" in line.lower()
    assert "hợp_tác_xã" in line.lower()


def test_a_stream_and_a_changed_tokenizer_do_not_mix(
    prepared: subject.Prepared, tmp_path: Path
) -> None:
    shutil.copytree(prepared.folder, tmp_path / "copy")
    assert len(subject.load_prepared(tmp_path / "copy").tokens) == len(prepared.tokens)
    with (tmp_path / "copy/vocab.txt").open("a", encoding="utf-8") as file:
        file.write("khác 1\n")
    with pytest.raises(InputError, match="belong together"):
        subject.load_prepared(tmp_path / "copy")
    with pytest.raises(InputError, match="no prepared text"):
        subject.load_prepared(tmp_path)


def test_bad_text_is_named(tmp_path: Path, prepared: subject.Prepared) -> None:
    with pytest.raises(InputError, match="no such file"):
        subject.corpus_files([tmp_path / "none"])
    with pytest.raises(InputError, match="no text files"):
        subject.corpus_files([tmp_path])
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(RecordError, match=r"bad\.txt"):
        list(subject.corpus_texts([tmp_path / "bad.txt"]))
    (tmp_path / "cut.txt.xz").write_bytes(lzma.compress(b"a b c\n" * 900)[:-20])
    with pytest.raises(RecordError, match=r"cut\.txt"):
        list(subject.corpus_texts([tmp_path / "cut.txt.xz"]))
    (tmp_path / "bad.txt").write_text("một hai ba", encoding="utf-8")
    with pytest.raises(InputError, match="too few"):
        subject.prepare([tmp_path / "bad.txt"], prepared.folder, tmp_path / "out")


def test_whole_words_are_hidden_and_nothing_else(prepared: subject.Prepared) -> None:
    bpe = PhobertBpe.of_folder(prepared.folder)
    starts = subject.word_starts(prepared.folder)
    assert len(starts) == bpe.size
    rows = subject.sequences(prepared.tokens, step=0, length=32, count=64, seed=3)
    inputs, targets = subject.masked(
        rows, starts, mask_id=bpe.mask_id, draw=np.random.default_rng(1)
    )
    hidden = targets != subject.IGNORED
    assert (targets[hidden] == rows[hidden]).all()
    assert (inputs[~hidden] == rows[~hidden]).all()
    assert (rows[hidden] > UNK).all()
    begins = np.ones(rows.shape, dtype=bool)
    begins[:, 1:] = starts[rows[:, :-1]]
    inside = ~begins[:, 1:] & (rows[:, 1:] > UNK) & (rows[:, :-1] > UNK)
    assert (hidden[:, 1:][inside] == hidden[:, :-1][inside]).all()
    share = hidden.sum() / (rows > UNK).sum()
    assert 0.12 < share < 0.28
    shown = inputs[hidden] == bpe.mask_id
    assert 0.65 < shown.mean() < 0.92


@given(size=st.integers(1, 500), seed=st.integers(0, 9))
def test_one_pass_visits_every_place_once(size: int, seed: int) -> None:
    seen = subject._scattered(np.arange(size), size, seed=seed)
    assert sorted(seen.tolist()) == list(range(size))


@given(step=st.integers(0, 60), count=st.integers(1, 9), size=st.integers(40, 400))
def test_a_step_takes_the_places_of_its_numbers_one_by_one(
    step: int, count: int, size: int
) -> None:
    """Row after row as the permutation says, across the end of a pass over the stream too."""
    tokens = np.arange(4, size + 4, dtype=np.uint16)
    rows = subject.sequences(tokens, step=step, length=10, count=count, seed=2)
    places = (size - 1) // 8
    for row, told in enumerate(rows):
        turn, index = divmod(step * count + row, places)
        shift = int(np.random.default_rng((2, turn)).integers(0, 8))
        (at,) = subject._scattered(np.array([index]), places, seed=2 + turn)
        first = min(int(at) * 8 + shift, size - 8)
        assert told[1:-1].tolist() == tokens[first : first + 8].tolist()


def test_batches_made_ahead_are_the_same_and_in_order() -> None:
    made = [(np.full((1, 2), n), np.zeros((1, 2), dtype=np.int64)) for n in range(40)]
    found = list(subject.ahead(iter(made), waiting=3))
    assert [int(one[0, 0]) for one, _ in found] == list(range(40))


def test_what_breaks_while_batches_are_made_is_raised_where_they_are_used() -> None:
    def broken() -> Iterator[subject.Batch]:
        yield np.zeros((1, 2), dtype=np.int64), np.zeros((1, 2), dtype=np.int64)
        raise OSError("the stream is gone")

    ready = subject.ahead(broken())
    next(ready)
    with pytest.raises(OSError, match="gone"):
        next(ready)


def test_a_run_that_stops_early_leaves_no_thread() -> None:
    def endless() -> Iterator[subject.Batch]:
        while True:
            yield np.zeros((1, 2), dtype=np.int64), np.zeros((1, 2), dtype=np.int64)

    ready = subject.ahead(endless(), waiting=2)
    next(ready)
    assert any(t.name == "batches" for t in threading.enumerate())
    ready.close()
    assert not any(t.name == "batches" for t in threading.enumerate())


def test_sequences_depend_on_seed_and_step_alone(prepared: subject.Prepared) -> None:
    first = subject.sequences(prepared.tokens, step=5, length=16, count=4, seed=1)
    again = subject.sequences(prepared.tokens, step=5, length=16, count=4, seed=1)
    other = subject.sequences(prepared.tokens, step=6, length=16, count=4, seed=1)
    assert (first == again).all()
    assert (first != other).any()
    assert (first[:, 0] == BOS).all()
    assert (first[:, -1] == EOS).all()
    assert first.shape == (4, 16)


def test_short_sequences_come_first() -> None:
    lengths = [subject.length_at(i / 100) for i in range(101)]
    assert lengths == sorted(lengths)
    assert lengths[0] == 64
    assert lengths[-1] == 256


def test_the_rate_rises_stays_and_falls() -> None:
    plan = Plan(shape=TINY, tokens=1_000_000, batch_tokens=1_000)
    rates = [plan.rate_at(step) for step in range(plan.steps)]
    assert rates[0] < 0.1
    assert max(rates) == 1.0
    assert rates[plan.trunk - 1] == 1.0
    assert rates[plan.trunk + 2] < 1.0
    assert 0.0 < rates[-1] < 0.01


def test_words_used_alike_start_near_each_other() -> None:
    """Two tokens with the same neighbours end closer than two with different ones."""
    draw = np.random.default_rng(0)
    stream = []
    for _ in range(4_000):
        if draw.random() < 0.5:
            stream += [10, int(draw.choice([20, 21])), 11]
        else:
            stream += [30, int(draw.choice([40, 41])), 31]
    found = subject.cooccurrence_embeddings(np.array(stream, dtype=np.uint16), size=64, width=8)

    def near(a: int, b: int) -> float:
        return float(found[a] @ found[b] / np.linalg.norm(found[a]) / np.linalg.norm(found[b]))

    assert near(20, 21) > 0.9 > near(20, 40) + 0.3
    assert not found[50].any()


@given(n=st.integers(1, 12), ids=st.integers(2, 40), scale=st.floats(0.1, 60.0))
def test_the_fast_loss_is_the_library_s(n: int, ids: int, scale: float) -> None:
    import torch

    from models.fastloss import mean_cross_entropy

    draw = torch.Generator().manual_seed(n * 100 + ids)
    scores = (torch.randn(n, ids, generator=draw) * scale).requires_grad_()
    truth = torch.randint(0, ids, (n,), generator=draw)
    ours = mean_cross_entropy(scores, truth)
    (mine,) = torch.autograd.grad(ours, scores)
    wanted = torch.nn.functional.cross_entropy(scores, truth)
    (theirs,) = torch.autograd.grad(wanted, scores)
    assert torch.allclose(ours, wanted, rtol=1e-5, atol=1e-6)
    assert torch.allclose(mine, theirs, atol=1e-6)
    half = mean_cross_entropy(scores.detach().bfloat16().requires_grad_(), truth)
    assert half.dtype == torch.float32


@pytest.mark.parametrize("text", ["4", "x256", "0x64", "4x256/0", "4x100/3", "axb"])
def test_what_is_no_shape_is_told(text: str) -> None:
    with pytest.raises(InputError):
        Shape.of(text)


def test_a_shape_may_name_its_heads() -> None:
    assert Shape.of("4x384/12") == Shape(layers=4, width=384, heads=12, inner=1536)
    assert Shape.of("4x256") == Shape(layers=4, width=256, heads=4, inner=1024)


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_a_stopped_run_ends_with_the_weights_of_an_unbroken_one(
    prepared: subject.Prepared, tmp_path: Path, optimiser: str
) -> None:
    plan = Plan(shape=TINY, tokens=6_400, batch_tokens=640, optimiser=optimiser)
    whole = subject.pretrain(prepared, tmp_path / "whole", plan, threads=1)
    assert whole["done"]
    assert whole["step"] == 10
    for _ in range(4):
        part = subject.pretrain(prepared, tmp_path / "part", plan, threads=1, stop_after=3)
    assert part["done"]
    one = (tmp_path / "whole/encoder/model.safetensors").read_bytes()
    assert one == (tmp_path / "part/encoder/model.safetensors").read_bytes()


def test_it_learns_and_transformers_loads_it(prepared: subject.Prepared, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, RobertaForMaskedLM

    before = subject.pretrain(
        prepared, tmp_path / "run", Plan(shape=TINY, tokens=64_000, batch_tokens=640), stop_after=1
    )
    after = subject.pretrain(
        prepared, tmp_path / "run", Plan(shape=TINY, tokens=64_000, batch_tokens=640)
    )
    assert after["held_out_loss"] < before["held_out_loss"] - 0.3
    net = RobertaForMaskedLM.from_pretrained(tmp_path / "run/encoder")
    slow = AutoTokenizer.from_pretrained(tmp_path / "run/encoder")
    bpe = PhobertBpe.of_folder(tmp_path / "run/encoder")
    assert net.config.vocab_size == bpe.size
    assert slow("hợp_tác_xã góp vốn .")["input_ids"] == list(bpe.encode("hợp_tác_xã góp vốn .").ids)
    facts = json.loads((tmp_path / "run/encoder/pretraining.json").read_text(encoding="utf-8"))
    assert facts["sources"]
    assert facts["plan"]["shape"]["layers"] == 1


def test_a_longer_run_goes_on_from_before_the_fall(
    prepared: subject.Prepared, tmp_path: Path
) -> None:
    short = Plan(shape=TINY, tokens=12_800, batch_tokens=640)
    subject.pretrain(prepared, tmp_path / "run", short, threads=1)
    longer = Plan(shape=TINY, tokens=25_600, batch_tokens=640)
    state = subject.pretrain(prepared, tmp_path / "run", longer, threads=1, stop_after=1)
    assert state["step"] == short.trunk + 1


def test_another_plan_or_a_damaged_checkpoint_is_refused(
    prepared: subject.Prepared, tmp_path: Path
) -> None:
    plan = Plan(shape=TINY, tokens=6_400, batch_tokens=640)
    subject.pretrain(prepared, tmp_path / "run", plan, stop_after=2)
    other = Plan(shape=TINY, tokens=6_400, batch_tokens=640, seed=1)
    with pytest.raises(InputError, match="another plan"):
        subject.pretrain(prepared, tmp_path / "run", other)
    weights = tmp_path / "run/last/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ModelError, match="damaged"):
        subject.pretrain(prepared, tmp_path / "run", plan)
