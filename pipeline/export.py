"""Flags and conclusions out of the store, for spreadsheets, notebooks, programs and editors.

An export holds addresses, the claim's own words, hashes and decisions; never a whole article. What
stands on pages whose owner refuses archiving, quoting or text mining is left out, and its number is
told. Cells that a spreadsheet would run as a formula are made inert. ClaimReview and drafts are
made of what a person concluded, never of the machine's suggestion.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kiemchung.errors import InputError
from kiemchung.shards import to_table, write_bytes_atomically
from kiemchung.tabular import Cell, csv_text

if TYPE_CHECKING:
    from kiemchung.store import FlagRow, Store

FORMATS: Final = ("csv", "parquet", "jsonl", "claimreview", "draft")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """How many records were written, and how many were held back and why."""

    rows: int
    left_out: int  # their pages refuse
    disputed: int = 0  # reviewers differ, nobody has adjudicated


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Imprint:
    """Who publishes, for the formats that name a publisher."""

    publisher: str = ""
    public_url: str = ""
    outlet_names: Mapping[str, str] = dataclasses.field(default_factory=dict)


def _row(flag: FlagRow) -> dict[str, Any]:
    return json.loads(json.dumps(dataclasses.asdict(flag), default=str, ensure_ascii=False))  # type: ignore[no-any-return]


def _cell(value: Any) -> Cell:  # noqa: ANN401
    if value is None or isinstance(value, str | int | float):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def as_csv(flags: Sequence[FlagRow], names: Sequence[str]) -> str:
    """Return a CSV with a header line, also for no flags."""
    return csv_text(names, ([_cell(row[n]) for n in names] for row in map(_row, flags)))


def _parquet(flags: Sequence[FlagRow], out: Path | None) -> bytes:
    if out is None:
        raise InputError("Parquet needs a file", remedy="give --out")
    import pyarrow as pa
    import pyarrow.parquet as pq

    from kiemchung.store import FlagRow

    sink = pa.BufferOutputStream()
    pq.write_table(to_table(flags, FlagRow), sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def export(
    store: Store,
    format_: str,
    *,
    out: Path | None,
    week: str | None = None,
    mention: str | None = None,
    imprint: Imprint | None = None,
) -> Exported:
    """Write what ``format_`` asks for, of ``week`` or all, of one ``mention`` or all.

    Raises:
        InputError: an unknown format, Parquet without a file to write to, or no such mention.
    """
    import sys

    if format_ not in FORMATS:
        raise InputError(f"no format {format_!r}", remedy=f"known: {', '.join(FORMATS)}")
    if format_ in ("claimreview", "draft"):
        data, done = _concluded(store, format_, week, mention, imprint or Imprint())
    else:
        data, done = _flagged(store, format_, week, mention, out)
    if out is None:
        sys.stdout.write(data.decode("utf-8"))
    else:
        write_bytes_atomically(out, data)
    return done


def _flagged(
    store: Store, format_: str, week: str | None, mention: str | None, out: Path | None
) -> tuple[bytes, Exported]:
    from kiemchung.store import FlagRow
    from kiemchung.store.decided import OPT_OUTS

    every = [f for f in store.flags(week) if mention in (None, f.mention_id)]
    if mention is not None and not every:
        raise InputError(f"no flag has the mention id {mention!r}", remedy="leave --mention out")
    flags = [f for f in every if not OPT_OUTS & set(f.opt_outs)]
    done = Exported(rows=len(flags), left_out=len(every) - len(flags))
    if format_ == "parquet":
        return _parquet(flags, out), done
    if format_ == "csv":
        text = as_csv(flags, [f.name for f in dataclasses.fields(FlagRow)])
    else:
        text = "".join(json.dumps(_row(f), ensure_ascii=False) + "\n" for f in flags)
    return text.encode("utf-8"), done


def _concluded(
    store: Store, format_: str, week: str | None, mention: str | None, imprint: Imprint
) -> tuple[bytes, Exported]:
    from kiemchung.store.decided import decided, publishable

    rows = decided(store, week=week)
    if mention is not None:
        wanted = {r.claim_id for r in rows if r.mention_id == mention}
        rows = [r for r in rows if r.claim_id in wanted]
        if not rows:
            raise InputError(
                f"nobody has concluded a mention with the id {mention!r}",
                remedy="decide it at the desk first, or see `kiemchung export --format jsonl`",
            )
    found = publishable(rows)
    if format_ == "claimreview":
        from pipeline.claimreview import claim_review

        reviews = [r for p in found.found if (r := claim_review(p, imprint)) is not None]
        text = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in reviews)
        count = len(reviews)
    else:
        from dashboards.draft import draft

        drafts = [
            d for p in found.found if (d := draft(p, outlet_names=imprint.outlet_names)) is not None
        ]
        text, count = f"\n{'=' * 72}\n\n".join(drafts), len(drafts)
    done = Exported(rows=count, left_out=found.opted_out, disputed=found.disputed)
    return text.encode("utf-8"), done
