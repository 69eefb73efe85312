"""Bytes to text: what a page claims about its encoding is one witness, its bytes are the judge.

UTF-8 is recognised by its own strictness, UTF-16 by its zero bytes. Everything else is a guess
among eight-bit code pages, decided by the share of accented words that are Vietnamese syllables:
letters alone do not tell windows-1258 (``hợp`` as ``ơ`` and a dot) from windows-1252 (``hõòp``),
where both letters are Vietnamese but the syllable is not.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from kiemchung.errors import PageError

_SAMPLE_CHARACTERS: Final = 300_000
_SAMPLE_WORDS: Final = 3_000
_PLAUSIBLE: Final = 0.6
"""Smallest share of Vietnamese syllables among accented words. Right decodings of the sample and of
three saved pages reach 0.996 and more; windows-1258 read as 1252 has 0.54 there (0.76 on a page of
60 words: the best share decides, not the bound), UTF-8 read so 0.08."""
_FEW_ACCENTS: Final = 0.02
"""Share of accented words below which a page is no Vietnamese text, and its claim is believed."""
_BROKEN_UTF8: Final = 0.02
"""Share of non-ASCII sequences that may be broken in a page that is UTF-8 all the same."""
_CONTROL_SHARE: Final = 0.005

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MAGIC: Final = (
    *(b"%PDF-", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"PK\x03\x04", b"\x1f\x8b", b"Rar!"),
    *(b"\x7fELF", b"OggS", b"ID3", b"wOFF", b"wOF2", b"\x00\x01\x00\x00", b"BZh", b"7z\xbc\xaf"),
    *(b"\xd0\xcf\x11\xe0", b"\x28\xb5\x2f\xfd", b"MZ\x90"),
)
_META: Final = re.compile(rb"<meta[^<>]{0,300}?charset\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.I)
_XML: Final = re.compile(rb"^\s*<\?xml[^<>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{2,40})", re.I)
_HEADER: Final = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.I)
_TEXT_CODEC: Final = re.compile(
    r"utf-(?:8|16(?:-[lb]e)?|32(?:-[lb]e)?)|cp125\d|iso8859-\d+|ascii|gb2312|gbk|gb18030|big5"
    r"|big5hkscs|euc_jp|euc_kr|shift_jis|cp932|cp949|koi8-[ru]|cp874|tis-620|mac-roman"
)
_MULTIBYTE: Final = re.compile(r"gb|big5|euc_|shift_jis|cp9[34]|koi8|cp1251|cp874|tis-")
# The encoding standard of the web: these two labels mean windows-1252.
_WEB_NAMES: Final = {"iso8859-1": "cp1252", "ascii": "cp1252"}

_TAG: Final = re.compile(r"<[^<>]{0,2000}>")
_WORD_BREAK: Final = re.compile(r"[\s\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e“”‘’„…–—•\u00a0]+")
_SYLLABLE: Final = re.compile(
    r"(?:ngh|ng|nh|gh|gi|kh|ph|th|tr|ch|qu|[bcdđghklmnprstvx])?"  # longest first
    r"(?:[iou]?[aăâeêioôơuưy]{1,2}|uyê|uya|iê|yê|ươ|uô|oai|oay|oeo|uây|uôi|ươi|ươu|iêu|yêu)"
    r"(?:ch|ng|nh|[cmnpt])?"
)
_TONES: Final = frozenset("\u0300\u0301\u0303\u0309\u0323")
_VIETNAMESE_MARKS: Final = _TONES | frozenset("\u0302\u0306\u031b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """A text in NFC without control characters, and where its encoding was read from.

    ``method`` is bom, outlet, http, meta or detected; ``repaired`` is added where the text had
    been decoded wrongly before it was sent. ``conflict``: a claim that the bytes contradict.
    """

    text: str
    encoding: str
    method: str
    conflict: bool = False
    replaced: int = 0  # broken sequences, each now U+FFFD
    cut: bool = False  # the last character is incomplete


def decode(body: bytes, *, content_type: str | None = None, override: str = "") -> Decoded:
    """Return the text of ``body``.

    Raises:
        PageError: ``empty``, ``binary`` or ``unknown_charset``.
    """
    if not body.strip(b"\x00\t\n\f\r \xef\xbb\xbf\xff\xfe"):
        raise PageError("empty", "the page has no bytes but white space")
    if body.startswith(_MAGIC):
        raise PageError("binary", "the bytes of an image, archive, font or document")
    claims = _claims(body, content_type, override)
    found = _by_mark(body) or _by_zeros(body)
    if found is None:
        _refuse_binary(body)
        found = _as_utf8(body) or _as_code_page(body, claims)
    text, encoding, method, replaced, cut = found
    named = [origin for origin, name in claims if name == encoding]
    text, mended = repair(text)
    how = named[0] if method == "detected" and named else method
    return Decoded(
        text=_cleaned(text),
        encoding=_public_name(encoding),
        method=f"{how}+repaired" if mended else how,
        conflict=any(name != encoding for _, name in claims) or mended,
        replaced=replaced,
        cut=cut,
    )


_Found = tuple[str, str, str, int, bool]  # text, codec, method, replaced, cut


def codec_name(label: str) -> str:
    """Return Python's name of a text encoding; empty for none, or one that no page comes in."""
    try:
        name = codecs.lookup(label.strip().lower().replace("tis-620", "cp874")).name
    except (LookupError, ValueError):
        return ""
    return _WEB_NAMES.get(name, name) if _TEXT_CODEC.fullmatch(name) else ""


def _public_name(codec: str) -> str:
    return re.sub(r"^cp(125\d)$", r"windows-\1", codec)


def _claims(body: bytes, content_type: str | None, override: str) -> list[tuple[str, str]]:
    """Return who claims which encoding, in the order in which they are believed."""
    claims = [("outlet", override)]
    if header := _HEADER.search(content_type or ""):
        claims.append(("http", header[1]))
    head = body[:16_384]
    if meta := _META.search(head) or _XML.search(head):
        claims.append(("meta", meta[1].decode("ascii")))
    return [(origin, name) for origin, label in claims if (name := codec_name(label))]


def _by_mark(body: bytes) -> _Found | None:
    for mark, name in _BOMS:
        if body.startswith(mark):
            text = body[len(mark) :].decode(name, "replace")
            if text.count("\ufffd") <= len(text) * _BROKEN_UTF8:
                return text, name, "bom", text.count("\ufffd"), False
    return None


def _by_zeros(body: bytes) -> _Found | None:
    """Recognise UTF-16 without a mark: in Western text every other byte of the tags is zero."""
    sample = body[:20_000]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    half = max(1, len(sample) // 2)
    if max(even, odd) < 0.25 * half or min(even, odd) > 0.05 * half:
        return None
    name = "utf-16-le" if odd > even else "utf-16-be"
    text = body.decode(name, "replace")
    return text, name, "detected", text.count("\ufffd"), len(body) % 2 == 1


def _refuse_binary(body: bytes) -> None:
    sample = body[:200_000]
    controls = len(sample.translate(None, _NOT_CONTROLS))
    limit = max(3.0, len(sample) * _CONTROL_SHARE)
    # Zero bytes alone, even a run of them, are a flaw of a text; with others, another format.
    flawed = controls - sample.count(0) <= limit and b"<" in sample
    if controls > limit and not flawed:
        raise PageError("binary", f"{controls} control bytes in {len(sample)}")


_NOT_CONTROLS: Final = bytes(b for b in range(256) if b >= 32 or b in b"\t\n\f\r\x1b")


def _as_utf8(body: bytes) -> _Found | None:
    try:
        return body.decode("utf-8"), "utf-8", "detected", 0, False
    except UnicodeDecodeError as error:
        if error.start >= len(body) - 3 and error.end == len(body):
            return body[: error.start].decode("utf-8"), "utf-8", "detected", 0, True
    text = body.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    wide = sum(map(len, re.findall(r"[^\x00-\x7f]+", text)))
    if broken > max(4, wide * _BROKEN_UTF8) or wide <= 4 * broken:
        return None
    return text, "utf-8", "detected", broken, False


def _as_code_page(body: bytes, claims: list[tuple[str, str]]) -> _Found:
    """Choose among what is claimed and the two Western code pages that Vietnamese pages use."""
    best: tuple[float, str, str, str] | None = None
    claimed = [(o, n) for o, n in claims if not n.startswith("utf-")]
    for origin, name in (*claimed, ("detected", "cp1258"), ("detected", "cp1252")):
        text = _sloppy(body, name)
        if text is None:
            continue
        share, accented = vietnamese_share(text)
        if accented < _FEW_ACCENTS or (_MULTIBYTE.match(name) and origin != "detected"):
            share = max(share, _PLAUSIBLE)  # a foreign page, as it says of itself
        if best is None or share > best[0]:
            best = (share, text, name, origin)
    if best is None or best[0] < _PLAUSIBLE:
        names = ", ".join(f"{o}: {_public_name(n)}" for o, n in claims) or "none claimed"
        raise PageError("unknown_charset", f"neither UTF-8 nor a known code page ({names})")
    return best[1], best[2], best[3], 0, False


def _sloppy(body: bytes, name: str) -> str | None:
    """Decode as browsers do: what a code page leaves undefined is a control character."""
    try:
        return body.decode(name)
    except UnicodeDecodeError as error:
        if not name.startswith("cp125"):
            return None
        if error.reason.startswith("character maps"):
            return "".join(_HIGH[name].get(b, chr(b)) for b in body)
        return None


def _high_table(name: str) -> dict[int, str]:
    table = {}
    for byte in range(0x80, 0x100):
        table[byte] = bytes([byte]).decode(name, "ignore") or chr(byte)
    return table


_HIGH: Final = {f"cp125{n}": _high_table(f"cp125{n}") for n in range(9)}


def vietnamese_share(text: str) -> tuple[float, float]:
    """Return the share of Vietnamese syllables among accented words, and of those among all words.

    Both lie in 0..1; a text without accented words has shares 1 and 0.
    """
    plain = _TAG.sub(" ", text[:_SAMPLE_CHARACTERS])
    words = [w for w in _WORD_BREAK.split(plain) if w]
    accented = [w for w in words if not w.isascii()][:_SAMPLE_WORDS]
    if not accented:
        return 1.0, 0.0
    good = sum(map(is_syllable, accented))
    return good / len(accented), sum(not w.isascii() for w in words) / len(words)


@lru_cache(maxsize=20_000)  # the language has fewer
def is_syllable(word: str) -> bool:
    """Tell whether an accented word has the form of one Vietnamese syllable: at most one tone."""
    if len(word) > 14:
        return False
    parts = unicodedata.normalize("NFD", word.lower())
    marks = [c for c in parts if unicodedata.combining(c)]
    if sum(c in _TONES for c in marks) > 1 or not set(marks) <= _VIETNAMESE_MARKS:
        return False
    base = unicodedata.normalize("NFC", "".join(c for c in parts if c not in _TONES))
    return _SYLLABLE.fullmatch(base) is not None


# -- text that was decoded wrongly before it was sent ------------------------------------------


_BYTES: Final = (
    {char: byte for byte, char in _HIGH["cp1252"].items()},
    {char: byte for byte, char in _HIGH["cp1258"].items()},
    {chr(byte): byte for byte in range(0x80, 0x100)},
)
_RUNS: Final = tuple(
    re.compile("[" + re.escape("".join(sorted(table))) + "]{2,}") for table in _BYTES
)
_LEAD_SIGNS: Final = re.compile(r"[ÃÄÂÆĂá][^\x00-\x7f]|áº|á»")
_MENDED_SHARE: Final = 0.5
"""Of all runs of non-ASCII characters, this share must turn into valid UTF-8. In right text single
runs do (a capital ``Ô`` before a closing quotation mark), in mojibake nearly all do."""


def repair(text: str) -> tuple[str, bool]:
    """Undo UTF-8 that was read as windows-1252, windows-1258 or iso-8859-1 and saved again.

    Returns the text and whether it was mended; text that was right comes back as it is.
    """
    if len(_LEAD_SIGNS.findall(text[:_SAMPLE_CHARACTERS])) < 3:
        return text, False
    before = vietnamese_share(text)[0]
    best, best_share = text, before
    for table, runs in zip(_BYTES, _RUNS, strict=True):
        mended = _mended(text, table, runs)
        if mended is not None and (share := vietnamese_share(mended)[0]) > best_share + 0.2:
            best, best_share = mended, share
    return best, best is not text


def _mended(text: str, table: dict[str, int], runs: re.Pattern[str]) -> str | None:
    good = bad = 0

    def turned(match: re.Match[str]) -> str:
        nonlocal good, bad
        raw = bytes(table[c] for c in match.group())
        try:
            right = raw.decode("utf-8")
        except UnicodeDecodeError:
            bad += 1
            return match.group()
        good += 1
        return right

    mended = runs.sub(turned, text)
    return mended if good >= 3 and good >= _MENDED_SHARE * (good + bad) else None


_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\ufeff]+")


def _cleaned(text: str) -> str:
    """Drop control characters, which crash the steps behind, and compose letters (NFC)."""
    clean = _CONTROLS.sub("", text)  # ten times faster than str.translate on a clean page
    return clean if unicodedata.is_normalized("NFC", clean) else unicodedata.normalize("NFC", clean)
