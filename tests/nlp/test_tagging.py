"""The cached tagger gives exactly what the library gives, whatever the text."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nlp.tagging as tagging
from kiemchung.errors import TaggerFileError
from nlp.tagging import Tagger, load_tagger, plain_words, read_crf
from nlp.text import canonical, old_style
from nlp.words import phobert_view, phobert_views, segment_batch, segment_words

ROOT = Path(__file__).resolve().parents[2]

SENTENCES = [
    "Hợp tác xã nông nghiệp Anh Đào có 1.250 thành viên, tăng 3,5 lần so với năm 2012.",
    "UỶ BAN NHÂN DÂN TỈNH đã ban hành Quyết định số 1804/QĐ-TTg ngày 13/11/2020.",
    "“Chúng tôi rất lo!” - bà Lan nói với PGS.TS. Trần Đình Thiên ở TP. HCM.",
    "Website: vca.org.vn, email: lienhe@vca.org.vn, điện thoại 024-3845-6789.",
    "Chưa có quỹ chung không chia… nhưng vẫn báo cáo đạt :D",
    "BOS EOS BOS", "EOS", "a", "½ ٣ ǅ đ²", "A.", "Tổ A. B. họp xong A.",
    "tốt 😂 OCOP fintech 8h30 Q.1 kinh tế-xã hội 20-NQ/TW 17/2023/QH15 5-10 3x4 H&M",
]  # fmt: skip
pieces = st.sampled_from(
    [
        "hợp",
        "tác",
        "xã",
        "thành",
        "viên",
        "Hợp",
        "HTX",
        "12",
        "3,5",
        "%",
        ".",
        ",",
        "(",
        ")",
        "“",
        "”",
        "A.",
        "TP.",
        "v.v.",
        "…",
        "-",
        "không",
        "phải",
        "được",
        "ủy",
        "uỷ",
        "BOS",
        "EOS",
        ":D",
        "http://a.vn/b_c",
        "a@b.vn",
        "5/4",
        "x²",
        "😂",
        "H'Mông",
        "N’Thôn",
        "==>",
        "..",
        "hoà",
    ]
)


def cut(texts: list[str]) -> list[list[str] | None]:
    """Return words as the library writes them, from the cached tagger."""
    return [
        None if words is None else [" ".join(text[a:b] for a, b in word) for word in words]
        for text, words in zip(texts, load_tagger().spans(texts), strict=True)
    ]


def plain(texts: list[str]) -> list[list[str]]:
    return list(plain_words(texts))


def test_the_cached_tagger_cuts_as_the_library_does() -> None:
    texts = [old_style(s) for s in SENTENCES]
    assert cut(texts) == plain(texts)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(pieces, min_size=1, max_size=12).map(" ".join), min_size=1, max_size=4))
def test_it_does_so_for_any_mixture_in_any_batch(texts: list[str]) -> None:
    assert cut(texts) == plain(texts)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80))
def test_it_does_so_for_any_unicode_or_says_that_it_cannot(raw: str) -> None:
    text = old_style(canonical(raw).text).strip()
    (found,) = cut([text])
    # None: the library rewrites a character, so its words cannot be found in the text.
    assert found is None or of_letters(found) == of_letters(plain([text])[0])


def of_letters(words: list[str]) -> list[str]:
    """Part what is not made of letters, where two cuts can weigh exactly the same.

    Which of them wins then hangs on the last bit of a sum; the guard cuts there in any case.
    """
    return [p for w in words for p in (w.split(" ") if not w.replace(" ", "").isalpha() else [w])]


def test_forgetting_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [old_style(s) for s in SENTENCES]
    before = cut(texts)
    monkeypatch.setattr(tagging, "MAX_CACHED", 3)
    for text, words in zip(texts, before, strict=True):
        assert cut([text]) == [words]
    assert len(load_tagger()._rows) < 200


def test_a_batch_gives_what_single_sentences_give() -> None:
    texts = [*SENTENCES, "", "   ", "x" * 500, "dài " * 900]
    assert segment_batch(texts) == [segment_words(t) for t in texts]
    assert phobert_views(texts) == [phobert_view(t) for t in texts]
    for text, words in zip(texts, segment_batch(texts), strict=True):
        assert "".join(text.split()) == "".join("".join(w.text.split()) for w in words)
        assert all(text[w.start : w.end] == w.text for w in words)


@pytest.mark.parametrize("compound", ["xã viên", "con gái", "người ta", "xuyên tạc"])
def test_compounds_of_every_dictionary_are_whole(compound: str) -> None:
    words = [w.text for w in segment_words(f"Họ nói về {compound} ở đây.")]
    assert compound in words


@pytest.mark.parametrize(
    ("phrase", "whole"),
    [
        ("hoà bình", "hoà bình"),
        ("hòa bình", "hòa bình"),
        ("văn hóa", "văn hóa"),
        ("sức khỏe", "sức khỏe"),
        ("cụ thể hóa", "cụ thể hóa"),
        ("hủy bỏ", "hủy bỏ"),
        ("hợp tác xã", "hợp tác xã"),
    ],
)
def test_both_tone_styles_stay_whole_words(phrase: str, whole: str) -> None:
    assert whole in [w.text for w in segment_words(f"Đây là {phrase} mới.")]


def model_bytes() -> bytes:
    file = Path(str(resources.files("underthesea"))) / tagging._FOLDER / "models.bin"
    return file.read_bytes()


def test_the_model_file_is_read_whole() -> None:
    weights = read_crf(model_bytes())
    assert len(weights.attributes) == 50_671
    assert "T[-1]=BOS" in weights.attributes
    assert all(weights.transitions)


@pytest.mark.parametrize("size", [0, 3, 40, 200, 100_000, 3_000_000])
def test_a_model_that_is_cut_off_is_named(size: int) -> None:
    with pytest.raises(TaggerFileError, match=r"models\.bin"):
        read_crf(model_bytes()[:size])


def test_another_kind_of_model_is_named() -> None:
    data = bytearray(model_bytes())
    struct.pack_into("<I", data, 20, 3)
    with pytest.raises(TaggerFileError, match="two labels"):
        read_crf(bytes(data))


def test_missing_model_files_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tagging, "_FOLDER", "no/such/folder")
    load_tagger.cache_clear()
    try:
        with pytest.raises(TaggerFileError, match="folder"):
            load_tagger()
    finally:
        monkeypatch.undo()
        load_tagger.cache_clear()


def test_the_tagger_holds_the_dictionary_it_was_trained_with() -> None:
    tagger = load_tagger()
    assert isinstance(tagger, Tagger)
    assert "hợp tác xã" in tagger.dictionary
    assert len(tagger.dictionary) == 72_547


def spans_of(words: list[str]) -> tuple[str, set[tuple[int, int]]]:
    """Write gold words as a reader would see them, with the span of each."""
    text, spans = "", set()
    for word in words:
        if text and word[0] not in ",.:;!?)”…" and text[-1] not in "(“":
            text += " "
        spans.add((len(text), len(text) + len(word)))
        text += word
    return text, spans


def test_treebank_words(shared: Path) -> None:
    gold = json.loads((shared / "segmentation/vtb_dev.json").read_text(encoding="utf-8"))
    written = [spans_of(words) for words in gold]
    found = [{(w.start, w.end) for w in ws} for ws in segment_batch([t for t, _ in written])]
    right = sum(len(f & g) for f, (_, g) in zip(found, written, strict=True))
    f1 = 2 * right / (sum(map(len, found)) + sum(len(g) for _, g in written))
    assert f1 >= 0.964


def test_words_are_single_tokens_of_phobert(shared: Path) -> None:
    vocabulary = {
        line.split(" ")[0]
        for line in (shared / "phobert/vocab.txt").read_text(encoding="utf-8").split("\n")
    }
    lines = (shared / "corpus/vietnews_coop.jsonl").read_text(encoding="utf-8").split("\n")
    bodies = [json.loads(line)["body"].replace("_", " ") for line in lines[:60] if line]
    sentences = [line for body in bodies for line in body.split("\n") if line.strip()]
    words = [w for view in phobert_views(sentences) for w in view.split(" ")]
    assert sum(w in vocabulary for w in words) >= 0.97 * len(words)


def test_it_cuts_news_as_the_library_does(shared: Path) -> None:
    lines = (shared / "corpus/vietnews_coop.jsonl").read_text(encoding="utf-8").split("\n")
    bodies = [json.loads(line)["body"].replace("_", " ") for line in lines[:60] if line]
    texts = [old_style(canonical(line).text.strip()) for b in bodies for line in b.split("\n")]
    texts = [t for t in texts if t]
    assert len(texts) > 500
    assert cut(texts) == plain(texts)


@pytest.mark.slow
def test_words_are_found_without_loading_what_is_not_used_and_torch_still_loads() -> None:
    script = (
        "import sys; from nlp.words import segment_words; words = segment_words('hợp tác xã họp');"
        " assert not {'torch', 'transformers'} & set(sys.modules), 'loaded';"
        " import importlib.util as u; assert u.find_spec('torch') is None or __import__('torch');"
        " print(len(words))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "2"
