"""The fast BPE against the slow tokenizer of transformers, and what no page may inject."""

from __future__ import annotations

import json
import lzma
import random
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiemchung.errors import ModelError
from models.tokenizer import BOS, EOS, PAD, UNK, PhobertBpe, neutral, train_files

TEXT = (
    "hợp_tác_xã cần ít_nhất 5 thành_viên chính_thức",
    "hợp_tác_xã và liên_hiệp hợp_tác_xã",
    "thành_viên liên_kết không biểu_quyết",
    "quỹ chung không chia của hợp_tác_xã",
)
RANGES = ((1, 0x24F), (0x300, 0x36F), (0x1E00, 0x1EFF), (0x2000, 0x20FF), (0x3000, 0x303F),
          (0x1F600, 0x1F64F))  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> PhobertBpe:
    return PhobertBpe.of_folder(train_files(TEXT, tmp_path_factory.mktemp("bpe"), size=140))


@pytest.fixture(scope="module")
def real(shared: Path) -> PhobertBpe:
    return PhobertBpe.of_folder(shared / "phobert")


def test_known_words_come_back_as_few_tokens(small: PhobertBpe) -> None:
    ids = small.ids("hợp_tác_xã hợp_tác_xã")
    assert len(ids) == 2
    assert ids[0] == ids[1] > UNK


def test_training_the_same_text_gives_the_same_files(tmp_path: Path) -> None:
    one, two = (train_files(TEXT, tmp_path / name, size=120) for name in "ab")
    for name in ("vocab.txt", "bpe.codes"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_the_small_format_equals_the_slow_tokenizer(tmp_path: Path) -> None:
    from transformers import PhobertTokenizer

    folder = train_files(TEXT, tmp_path, size=140)
    fast = PhobertBpe.of_folder(folder)
    slow = PhobertTokenizer(str(folder / "vocab.txt"), str(folder / "bpe.codes"))
    for line in (*TEXT, "một từ lạ hoàn_toàn", "hợp tác 5 5 55"):
        assert list(fast.encode(line).ids) == list(slow(line)["input_ids"])


@given(st.text(max_size=60))
@settings(max_examples=150)
def test_no_id_leaves_the_vocabulary(text: str) -> None:
    bpe = _shared_small()
    assert all(UNK <= i <= bpe.mask_id for i in bpe.ids(text))
    assert not {BOS, PAD, EOS, bpe.mask_id} & set(bpe.ids(text))


_CACHE: list[PhobertBpe] = []


def _shared_small() -> PhobertBpe:
    if not _CACHE:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            _CACHE.append(PhobertBpe.of_folder(train_files(TEXT, Path(folder), size=140)))
    return _CACHE[0]


@pytest.mark.parametrize("literal", ["<s>", "</s>", "<mask>", "<unk>", "<pad>", "<MASK>"])
def test_control_literals_in_running_text_stay_text(small: PhobertBpe, literal: str) -> None:
    ids = small.encode(f"hợp_tác_xã {literal} thành_viên").ids
    assert ids[0] == BOS
    assert ids[-1] == EOS
    assert not {BOS, PAD, EOS, small.mask_id} & set(ids[1:-1])
    assert literal not in neutral(f"a {literal} b")


def test_white_space_of_any_kind_is_one_space(small: PhobertBpe) -> None:
    assert small.ids("hợp_tác_xã\nthành_viên\x1c \t") == small.ids("hợp_tác_xã thành_viên")


def test_a_pair_is_cut_from_the_longer_side(small: PhobertBpe) -> None:
    long = " ".join(["thành_viên"] * 100)
    cut = small.encode_pair("hợp_tác_xã", long, longest=32)
    whole = small.encode_pair("hợp_tác_xã", "thành_viên", longest=32)
    assert cut.truncated
    assert not whole.truncated
    assert len(cut.ids) == 32
    assert cut.ids[:4] == whole.ids[:4]


@given(st.integers(0, 60), st.integers(0, 60), st.integers(8, 64))
@settings(max_examples=100)
def test_a_pair_never_exceeds_its_length(first: int, second: int, longest: int) -> None:
    bpe = _shared_small()
    pair = bpe.encode_pair("xã " * first, "chia " * second, longest=longest)
    assert len(pair.ids) <= longest
    assert pair.ids.count(EOS) == 3


@pytest.mark.parametrize(
    ("vocab", "codes", "message"),
    [("", "a b 1\n", "empty"), ("alone\n", "a b 1\n", "COUNT"), ("a 1\n", "", "no merges"),
     ("a 1\na 2\n", "a b 1\n", "twice")],
)  # fmt: skip
def test_files_of_another_format_are_refused(
    tmp_path: Path, vocab: str, codes: str, message: str
) -> None:
    (tmp_path / "vocab.txt").write_text(vocab, encoding="utf-8")
    (tmp_path / "bpe.codes").write_text(codes, encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        PhobertBpe.of_folder(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"vocab\.txt"):
        PhobertBpe.of_folder(tmp_path)


@pytest.mark.needs_shared
def test_the_published_files_give_the_published_ids(real: PhobertBpe) -> None:
    assert (real.size, real.merges, real.dropped_codes, real.extra_ids) == (
        64_001, 63_978, 22, 2_118
    )  # fmt: skip
    line = "Tôi là sinh_viên trường đại_học Công_nghệ ."
    assert list(real.encode(line).ids) == [0, 218, 8, 649, 212, 956, 2413, 5, 2]
    for word in ("hợp_tác_xã", "Hợp_tác_xã", "HTX", "xã_viên"):
        assert len(real.ids(word)) == 1


@pytest.mark.slow
@pytest.mark.needs_shared
def test_it_equals_the_slow_tokenizer_on_news_and_on_noise(real: PhobertBpe, shared: Path) -> None:
    from transformers import PhobertTokenizer

    folder = shared / "phobert"
    slow = PhobertTokenizer(str(folder / "vocab.txt"), str(folder / "bpe.codes"))
    lines = []
    with lzma.open(shared / "corpus" / "vietnews_01.txt.xz", "rt", encoding="utf-8") as corpus:
        for line in corpus:
            if line.strip():
                lines.append(line.strip())
            if len(lines) == 10_000:
                break
    lines += [line.replace("_", " ") for line in lines[:1_000]]
    lines += [line.upper() for line in lines[:1_000]]
    r = random.Random(7)
    for _ in range(400):
        noise = "".join(chr(r.randint(*r.choice(RANGES))) for _ in range(40))
        lines.append(" ".join(noise.split()))
    different = [
        line
        for line in lines
        if list(slow(line)["input_ids"]) != list(real.encode(line, longest=10**6).ids)
    ]  # fmt: skip
    assert not different, json.dumps(different[:3], ensure_ascii=False)


def test_random_bytes_never_stop_it(small: PhobertBpe) -> None:
    r = random.Random(1)
    for _ in range(50):
        small.encode("".join(r.choice(string.printable) for _ in range(200)))
