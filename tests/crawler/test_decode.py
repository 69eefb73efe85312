from __future__ import annotations

import random
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.decode import codec_name, decode, is_syllable, repair, vietnamese_share
from kiemchung.errors import PageError

TEXT = (
    "<html><head><title>Tổ hợp tác</title></head><body><p>Chín hộ nuôi ong ở Pá Chéo góp vốn mua "
    "chung thùng, quay mật từ sáng sớm. “Được mùa thì vui, mất giá thì lo”, người tổ trưởng nói. "
    "Năm nay cả tổ thu 1.240 lít mật, hơn năm ngoái khoảng một phần năm.</p></body></html>"
)
UTF8 = TEXT.encode("utf-8")


def windows_1258(text: str) -> bytes:
    tones = "\u0300\u0301\u0303\u0309\u0323"
    pieces = []
    for char in text:
        parts = unicodedata.normalize("NFD", char)
        tone = "".join(c for c in parts if c in tones)
        base = unicodedata.normalize("NFC", "".join(c for c in parts if c not in tones))
        pieces.append(base + tone if tone else char)
    return "".join(pieces).encode("cp1258")


def misread(raw: bytes, codec: str) -> str:
    return "".join(bytes([b]).decode(codec, "ignore") or chr(b) for b in raw)


@pytest.mark.parametrize(
    "claim",
    [
        *(
            None,
            "utf-8",
            "iso-8859-1",
            "windows-1252",
            "windows-1258",
            "utf-16",
            "utf-7",
            "klingon",
        ),
        *("hex", "rot13", "gb2312", "", "us-ascii", "unicode_escape"),
    ],
)
def test_utf8_is_read_whatever_is_claimed(claim: str | None) -> None:
    header = None if claim is None else f"text/html; charset={claim}"
    found = decode(UTF8, content_type=header)
    assert found.text == TEXT
    assert found.encoding == "utf-8"
    assert found.method == ("http" if claim == "utf-8" else "detected")
    assert found.conflict is (codec_name(claim or "") not in ("", "utf-8"))


@pytest.mark.parametrize("claim", [None, "utf-8", "windows-1252", "iso-8859-1", "windows-1258"])
def test_windows_1258_is_told_from_windows_1252(claim: str | None) -> None:
    header = None if claim is None else f"text/html; charset={claim}"
    found = decode(windows_1258(TEXT), content_type=header)
    assert (found.text, found.encoding) == (TEXT, "windows-1258")


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-16", "utf-8-sig", "utf-32"])
def test_wide_encodings_are_read_with_and_without_mark(codec: str) -> None:
    found = decode(TEXT.encode(codec), content_type="text/html; charset=utf-8")
    assert found.text == TEXT


def test_the_meta_element_is_a_claim_and_the_header_goes_before_it() -> None:
    page = UTF8.replace(b"<head>", b"<head><meta charset='utf-8'>")
    assert decode(page).method == "meta"
    assert decode(page, content_type='text/html; charset="UTF-8"').method == "http"
    assert decode(page, override="utf-8").method == "outlet"


@pytest.mark.parametrize("codec", ["cp1252", "cp1258", "latin-1"])
def test_mojibake_that_was_saved_is_mended(codec: str) -> None:
    found = decode(misread(UTF8, codec).encode("utf-8"))
    assert found.text == TEXT
    assert found.method == "detected+repaired"
    assert found.conflict


def test_right_text_is_left_alone_even_where_single_runs_look_wrong() -> None:
    text = "“CÔ” và “BÒ”: Ô” Ã£ là chữ gõ nhầm. " + TEXT
    assert repair(text) == (text, False)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
@settings(max_examples=200)
def test_repair_never_touches_text_that_is_no_mojibake(noise: str) -> None:
    text = TEXT + noise
    mended, changed = repair(text)
    assert mended.startswith(TEXT)
    assert changed or mended == text


def test_decomposed_letters_are_composed() -> None:
    assert decode(unicodedata.normalize("NFD", TEXT).encode("utf-8")).text == TEXT


def test_controls_are_dropped_and_lines_kept() -> None:
    assert (
        decode("<p>hợp\x00 tác\x08 xã\nmới\t\x85</p>".encode()).text == "<p>hợp tác xã\nmới\t</p>"
    )


def test_a_broken_byte_does_not_hand_the_page_to_another_encoding() -> None:
    at = UTF8.index(b"<p>")
    found = decode(UTF8[:at] + b"\xff" + UTF8[at:], content_type="text/html; charset=windows-1252")
    assert (found.encoding, found.replaced) == ("utf-8", 1)
    assert "quay mật từ sáng sớm" in found.text


def test_a_page_cut_inside_a_letter_says_so() -> None:
    at = UTF8.index("mật".encode())
    found = decode(UTF8[: at + 2])
    assert found.cut
    assert found.text.endswith("quay m")


def test_a_foreign_page_is_read_as_it_says() -> None:
    text = "<p>" + "合作社的成员可以自由加入。" * 20 + "</p>"
    assert decode(text.encode("gb18030"), content_type="text/html; charset=gb2312").text == text
    english = "<p>The café's £5 — a co-operative price. " + "plain words " * 60
    assert decode(english.encode("cp1252"), content_type="text/html; charset=iso-8859-1").text == (
        english
    )


@pytest.mark.parametrize("body", [b"", b"  \n\t ", b"\x00\x00", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_nothing_is_empty(body: bytes) -> None:
    with pytest.raises(PageError) as caught:
        decode(body)
    assert caught.value.reason == "empty"


@pytest.mark.parametrize(
    "body",
    [
        b"%PDF-1.7 ...",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0 JFIF",
        b"PK\x03\x04zip",
        b"\x1f\x8b\x08 gzip",
        bytes(range(256)) * 40,
        random.Random(7).randbytes(20_000),
    ],
)
def test_other_formats_are_binary(body: bytes) -> None:
    with pytest.raises(PageError) as caught:
        decode(body, content_type="text/html; charset=utf-8")
    assert caught.value.reason == "binary"


def test_what_fits_no_code_page_is_an_unknown_charset() -> None:
    turned = UTF8.translate(bytes.maketrans(bytes(range(128, 256)), bytes(range(255, 127, -1))))
    for body in (turned, ("Привет, это текст о колхозе. " * 30).encode("koi8-r")):
        with pytest.raises(PageError) as caught:
            decode(body)
        assert caught.value.reason == "unknown_charset"


@given(st.binary(max_size=400))
@settings(max_examples=200)
def test_any_bytes_are_read_or_refused_by_name(body: bytes) -> None:
    outcome = ""
    try:
        found = decode(body, content_type="text/html; charset=windows-1258")
        found.text.encode("utf-8")  # no lone surrogate
        assert "\x00" not in found.text
    except PageError as error:
        outcome = error.reason
    assert outcome in ("", "empty", "binary", "unknown_charset")


@pytest.mark.parametrize(
    "word",
    ["nghiệp", "hợp", "xã", "Đoàn", "khuya", "thuyền", "quốc", "giữa", "uỷ", "yêu", "oằn", "ƯỚC"],
)
def test_syllables(word: str) -> None:
    assert is_syllable(word)


@pytest.mark.parametrize("word", ["hõòp", "Há»£p", "tÃ¡c", "naïve", "Köln", "ượợ", "ñ"])
def test_no_syllables(word: str) -> None:
    assert not is_syllable(word)


def test_the_share_tells_right_from_wrong() -> None:
    assert vietnamese_share(TEXT)[0] > 0.95
    assert vietnamese_share(windows_1258(TEXT).decode("cp1252", "replace"))[0] < 0.8
    assert vietnamese_share(misread(UTF8, "cp1252"))[0] < 0.3
    assert vietnamese_share("plain words") == (1.0, 0.0)
