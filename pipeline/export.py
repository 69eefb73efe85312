"""Flags out of the store, for spreadsheets, notebooks, other programs and ClaimReview readers.

An export holds addresses, the claim's own words, hashes and decisions; never a whole article. Flags
of pages whose owner refuses archiving, quoting or text mining are left out, and their number is
told. Cells that a spreadsheet would run as a formula are made inert.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kiemchung.errors import InputError
from kiemchung.shards import to_table, write_bytes_atomically

if TYPE_CHECKING:
    from kiemchung.store import FlagRow, Store

FORMATS: Final = ("csv", "parquet", "jsonl", "claimreview")
OPT_OUTS: Final = frozenset({"noarchive", "nosnippet", "noai", "tdm"})
"""What a page can say that keeps its words out of every export; noimageai is about pictures."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
_RATING: Final = {
    "REFUTED": "Trái với căn cứ được dẫn",
    "SUPPORTED": "Phù hợp với căn cứ được dẫn",
    "CONFLICTING": "Căn cứ mâu thuẫn nhau",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """How many rows were written, and how many flags were left out for an opt-out."""

    rows: int
    left_out: int


def safe_cell(value: str) -> str:
    """Return ``value`` so that no spreadsheet runs it: a formula sign gets an apostrophe."""
    return f"'{value}" if value.startswith(_FORMULA) else value


def _plain(value: Any) -> Any:  # noqa: ANN401
    return (
        json.dumps(value, ensure_ascii=False, default=str)
        if isinstance(value, list | dict)
        else value
    )


def _row(flag: FlagRow) -> dict[str, Any]:
    return json.loads(json.dumps(dataclasses.asdict(flag), default=str, ensure_ascii=False))  # type: ignore[no-any-return]


def as_csv(flags: Sequence[FlagRow], names: Sequence[str]) -> str:
    """Return a CSV with a header line, also for no flags."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for flag in flags:
        row = _row(flag)
        writer.writerow(["" if row[n] is None else safe_cell(str(_plain(row[n]))) for n in names])
    return out.getvalue()


def claim_review(flag: FlagRow) -> dict[str, Any] | None:
    """Return the schema.org ClaimReview of a flag that a person concluded, else None.

    Only a person's conclusion is ever published; the machine's suggestion is not part of it, and
    the author of the claim is left out on purpose.
    """
    row = _row(flag)
    decision = row.get("decision")
    if decision not in _RATING:
        return None
    return {
        "@context": "https://schema.org",
        "@type": "ClaimReview",
        "claimReviewed": row["claim"],
        "datePublished": row["decided_at"],
        "inLanguage": "vi",
        "itemReviewed": {
            "@type": "Claim",
            "appearance": {"@type": "CreativeWork", "url": row["url"]},
            "datePublished": row["published_at"],
        },
        "reviewRating": {"@type": "Rating", "alternateName": _RATING[decision]},
        "citation": [p["citation"] for p in row["evidence"]],
    }


def export(store: Store, format_: str, *, out: Path | None, week: str | None = None) -> Exported:
    """Write the flags of ``week``, or all, whose pages do not refuse it; return the counts.

    Raises:
        InputError: an unknown format, or Parquet without a file to write to.
    """
    import sys

    from kiemchung.store import FlagRow

    if format_ not in FORMATS:
        raise InputError(f"no format {format_!r}", remedy=f"known: {', '.join(FORMATS)}")
    every = store.flags(week)
    flags = [f for f in every if not OPT_OUTS & set(f.opt_outs)]
    left_out = len(every) - len(flags)
    names = [f.name for f in dataclasses.fields(FlagRow)]
    if format_ == "parquet":
        if out is None:
            raise InputError("Parquet needs a file", remedy="give --out")
        import pyarrow as pa
        import pyarrow.parquet as pq

        sink = pa.BufferOutputStream()
        pq.write_table(to_table(flags, FlagRow), sink, compression="zstd")
        write_bytes_atomically(out, sink.getvalue().to_pybytes())
        return Exported(rows=len(flags), left_out=left_out)
    if format_ == "csv":
        text, count = as_csv(flags, names), len(flags)
    else:
        rows: list[dict[str, Any]] = [_row(f) for f in flags]
        if format_ == "claimreview":
            rows = [r for f in flags if (r := claim_review(f)) is not None]
        text = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)
        count = len(rows)
    if out is None:
        sys.stdout.write(text)
    else:
        write_bytes_atomically(out, text.encode("utf-8"))
    return Exported(rows=count, left_out=left_out)
