"""Every sentence, word, quantity and claim leads back to the source text, whatever that is."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kiemchung.config import load_settings
from nlp.claims import detect
from nlp.quantities import extract
from nlp.sentences import sentence_spans
from nlp.text import CanonicalText, canonical, skeleton
from nlp.words import word_spans
from pipeline.checking import check_text
from pipeline.judging import Judge

PIECES = [
    "Hợp tác xã", "h.ợ.p t.á.c x.ã", "HTX", "H.T.X", "hợp-tác-xã", "5 thành viên", "30%", "1,2 tỷ đồng",
    "ngày 1/7/2024", "Điều 9 Luật Hợp tác xã 2023", "\u200b", "\ufeff", "\u202e", "&nbsp;", "&amp;", "&#7907;",
    "\ud800", "\x00", "\u00a0", "\r\n", "\n", ". ", "! ", "“", "”", "Ð", "х", "ο", "ｈｔｘ", "😂", "a\u0301\u0323",
    unicodedata.normalize("NFD", "hợp tác xã có ít nhất"), "phải", "không", "hòa bình", "hoà bình", " ",
]  # fmt: skip
raw_text = st.one_of(
    st.text(max_size=200),
    st.text(st.characters(), max_size=60),
    st.lists(st.sampled_from(PIECES), max_size=30).map("".join),
    st.lists(st.sampled_from(PIECES), max_size=30).map(" ".join),
)


def leads_back(clean: CanonicalText, raw: str, start: int, end: int) -> bool:
    """Return whether the source behind a span reads, cleaned, as the span does.

    One entity or cluster can stand for several letters; its source then covers all of them.
    """
    first, last = clean.to_source(start, end)
    return (
        0 <= first < last <= len(raw) and clean.text[start:end] in canonical(raw[first:last]).text
    )


@settings(max_examples=400, deadline=None)
@given(raw_text)
@example("&nbsp;Hợp\u200b tác xã có 5 thành viên.")
@example(unicodedata.normalize("NFD", "Điều 9 Luật Hợp tác xã năm 2023 có hiệu lực."))
def test_everything_leads_back_to_the_source(raw: str) -> None:
    clean = canonical(raw)
    spans = sentence_spans(clean.text)
    for (start, end), words in zip(
        spans, word_spans([clean.text[a:b] for a, b in spans]), strict=True
    ):
        assert leads_back(clean, raw, start, end)
        for a, b in words:
            assert leads_back(clean, raw, start + a, start + b)
    found = extract(clean.text, published=date(2025, 3, 1))
    for item in (*found.quantities, *found.dates, *found.legal_refs):
        assert leads_back(clean, raw, item.start, item.end)
    for claim in detect(clean.text):
        assert clean.text[claim.start : claim.end] == claim.text
        assert leads_back(clean, raw, claim.start, claim.end)


@settings(max_examples=300, deadline=None)
@given(raw_text)
def test_the_matching_view_leads_back_to_the_canonical_text(raw: str) -> None:
    text = canonical(raw).text
    view = skeleton(text)
    last = 0
    for i in range(len(view.text)):
        start, end = view.to_source(i, i + 1)
        assert 0 <= start < end <= len(text)
        assert start >= last or view.to_source(i - 1, i) == (start, end)
        last = start


@pytest.mark.parametrize(
    "written",
    [
        "hợp\u200b tác\u200b xã",
        unicodedata.normalize("NFD", "hợp tác xã"),
        "HỢP TÁC XÃ",
        "hợp tác xã".replace("x", "х"),
        "ｈｔｘ",
        "h.ợ.p t.á.c x.ã",
        "HTX",
        "H.T.X",
        "hợp-tác-xã",
        "hợp_tác_xã",
        "hợp&nbsp;tác&nbsp;xã",
        "\u202ehợp tác xã\u202c",
    ],
)
def test_no_spelling_evades_the_view(written: str) -> None:
    assert "hợp tác xã" in skeleton(canonical(f"Các {written} ở đây").text).text


WORDS = (
    "hợp tác xã", "liên hiệp", "thành viên", "vốn điều lệ", "đại hội", "ủy ban nhân dân",
    "quỹ tín dụng", "tài sản chung", "giám đốc", "nông nghiệp",
)  # fmt: skip
LOOKS = str.maketrans("aeopcxyi", "аеорсхуі")  # Cyrillic
DODGES: dict[str, Callable[[str], str]] = {
    "zero width in words": lambda w: "\u200b".join(w),
    "decomposed": lambda w: unicodedata.normalize("NFD", w),
    "capitals": str.upper,
    "look-alikes": lambda w: w.translate(LOOKS),
    "full width": lambda w: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in w),
    "dots in words": lambda w: " ".join(".".join(part) for part in w.split()),
    "hyphens": lambda w: w.replace(" ", "-"),
    "no-break spaces": lambda w: w.replace(" ", "\u00a0"),
    "turned and back": lambda w: f"\u202e{w}\u202c",
    "soft hyphens": lambda w: "\u00ad".join(w),
}


def seen(text: str) -> str:
    """The words that matching goes by, between blanks."""
    words = re.findall(r"[^\W_]+", skeleton(text).text)
    return f" {' '.join(words)} "


def test_dodged_words_are_found() -> None:
    """A hundred pairs of a word and its spelling; the bar is 95."""
    missed = [
        (word, kind)
        for word in WORDS
        for kind, dodge in DODGES.items()
        if seen(word) not in seen(canonical(f"Các {dodge(word)} ở đây").text)
    ]
    assert len(WORDS) * len(DODGES) == 100
    # A tone mark of the new style between dots, and a syllable of six letters.
    assert missed == [("ủy ban nhân dân", "dots in words"), ("nông nghiệp", "dots in words")]


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge.load(load_settings())


@pytest.mark.parametrize(
    "written",
    [
        "Hợp tác xã phải có ít nhất 9 thành viên.",
        "H.T.X phải có ít nhất 9 thành viên.",
        "Hợp\u200b tác xã phải có ít nhất chín thành viên.",
        unicodedata.normalize("NFD", "Hợp tác xã phải có ít nhất 9 thành viên."),
        "HỢP TÁC XÃ PHẢI CÓ ÍT NHẤT 9 THÀNH VIÊN.",
        "Hợp-tác-xã phải có ít nhất 09 (chín) thành viên.",
    ],
)
def test_a_false_claim_is_flagged_however_it_is_written(written: str, judge: Judge) -> None:
    (claim,) = check_text(written, day=date(2025, 3, 1), judge=judge)["claims"]
    assert claim["flagged"]
    assert written[claim["start"] : claim["end"]] == claim["text"]


def test_what_was_removed_and_missing_diacritics_are_named(judge: Judge) -> None:
    found = check_text(
        "Hop tac xa phai co it nhat 9 thanh vien chinh thuc.", day=date(2025, 3, 1), judge=judge
    )
    assert found["undiacritised"] is True
    found = check_text(
        "Hợp\u200b tác xã\u202e có\ud800 5 hộ.\x00", day=date(2025, 3, 1), judge=judge
    )
    assert found["undiacritised"] is False
    assert found["removed"] == {"zero_width": 1, "bidi": 1, "surrogate": 1, "control": 1}
