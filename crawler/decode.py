"""Bytes to text by evidence: what a page declares is one witness, its Vietnamese letters another."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Final

from kiemchung.errors import PageError

_META: Final = re.compile(
    rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_\-:]{2,40})", re.IGNORECASE
)
_HEADER: Final = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9_\-:]{2,40})", re.IGNORECASE)
_VIETNAMESE: Final = re.compile(r"[ăâđêôơưĂÂĐÊÔƠƯ\u1ea0-\u1ef9]")
_MOJIBAKE: Final = re.compile(r"[ÃÄÂ][\u0080-\u00bf]|áº|á»|Æ°|Ä‘|ï¿½|\ufffd")
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FALLBACKS: Final = ("utf-8", "windows-1258", "windows-1252")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """The text, its encoding and how that was decided."""

    text: str
    encoding: str
    method: str  # bom, outlet, header, meta, detected


def looks_binary(body: bytes) -> bool:
    """Return whether ``body`` is no text in any encoding that pages come in."""
    head = body[:4096]
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return False
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"%PDF", b"PK\x03\x04", b"\x1f\x8b")):
        return True
    controls = sum(b < 32 and b not in (9, 10, 12, 13) for b in head)
    wide = head[1::2].count(0) > 0.3 * max(1, len(head) // 2)
    return not wide and controls > 0.02 * max(1, len(head))


def _score(text: str) -> float:
    """Return how Vietnamese a decoding looks: letters of the language against signs of a mix-up."""
    sample = text[:200_000]
    return len(_VIETNAMESE.findall(sample)) - 4.0 * len(_MOJIBAKE.findall(sample))


def _codec(name: str) -> str:
    """Return Python's name of a charset, or an empty string for one that is none or is refused."""
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return ""
    return "" if found in ("utf-7", "idna", "punycode", "unicode_escape", "hex", "rot13") else found


def decode(body: bytes, *, content_type: str | None = None, override: str = "") -> Decoded:
    """Return the text of a page.

    A byte order mark wins, then the outlet's override; header, meta and the usual encodings are
    then tried, and the decoding that reads as Vietnamese most wins, the declared one on a tie.

    Raises:
        PageError: ``unknown_charset`` when nothing decodes it.
    """
    for mark, name in _BOMS:
        if body.startswith(mark):
            return Decoded(text=body.decode(name, "replace"), encoding=name, method="bom")
    if override and (name := _codec(override)):
        return Decoded(text=body.decode(name, "replace"), encoding=name, method="outlet")
    declared: list[tuple[str, str]] = []
    header = _HEADER.search(content_type or "")
    if header:
        declared.append(("header", header[1]))
    meta = _META.search(body[:8192])
    if meta:
        declared.append(("meta", meta[1].decode("ascii")))
    best: tuple[float, Decoded] | None = None
    tried: set[str] = set()
    for method, raw in [*declared, *(("detected", name) for name in _FALLBACKS)]:
        name = _codec(raw)
        if not name or name in tried:
            continue
        tried.add(name)
        try:
            text = body.decode(name)
        except (UnicodeDecodeError, UnicodeError):
            # One broken byte must not hand a UTF-8 page to an encoding that accepts everything.
            text = body.decode(name, "replace")
            bad = text.count("\ufffd")
            if bad > 3 + len(text) // 5000:
                continue
        score = _score(text)
        if best is None or score > best[0]:
            best = (score, Decoded(text=text, encoding=name, method=method))
    if best is None or best[1].text.count("\ufffd") > 0.01 * len(best[1].text):
        names = ", ".join(raw for _, raw in declared) or "none declared"
        raise PageError("unknown_charset", f"no encoding reads this page ({names})")
    return best[1]
