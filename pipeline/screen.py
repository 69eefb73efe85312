"""What `check` shows a person: Vietnamese, calm, evidence first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

LABELS: Final = {
    "SUPPORTED": "phù hợp với căn cứ",
    "REFUTED": "trái với căn cứ",
    "NOT_ENOUGH_INFO": "chưa đủ căn cứ",
    "CONFLICTING": "căn cứ mâu thuẫn nhau",
    None: "máy không kết luận",
}


def claim_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines for one result of `check_text`."""
    for claim in result["claims"]:
        if claim["checkability"] != "CHECKABLE":
            continue
        mark = "▲ cần xem lại" if claim["flagged"] else LABELS[claim["label"]]
        yield f"[{mark}] {claim['text']}"
        for difference in claim["differences"]:
            yield f"    khác: «{difference['claim']}» / «{difference['evidence']}»"
        for passage in claim["evidence"]:
            end = f" đến trước {passage['valid_to']}" if passage["valid_to"] else ""
            yield f"    căn cứ: {passage['text']}"
            yield f"      {passage['citation']}, hiệu lực từ {passage['valid_from']}{end}"
