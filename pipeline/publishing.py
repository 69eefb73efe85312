"""A finished run as the store takes it, read a shard at a time."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kiemchung.domain import Article, Document, Judgement, Mention, Passage
from kiemchung.errors import AccountingError
from kiemchung.shards import arrow_schema, to_table
from kiemchung.store.inbox import joined
from pipeline import stages
from pipeline.handover import tables_of
from pipeline.runs import RunPlan

if TYPE_CHECKING:
    from pipeline.judging import Judge

ARTICLES_AT_ONCE: Final = 5_000
"""Articles that are held while they are put in order: some 30 MB."""


def passages_seen(run: RunPlan) -> set[str]:
    """Return the ids of all passages that a claim of the run was set beside.

    Raises:
        AccountingError: the judgements are not those of the checkable claims, one each, in order.
    """
    seen: set[str] = set()
    claims = _column(run.stage("analyse"), Mention, "mentions", "mention_id", checkable=True)
    judged = _column(run.stage("judge"), Judgement, "", "mention_id")
    pairs = enumerate(zip_longest(claims, judged))
    wrong = next((n for n, (claim, judgement) in pairs if claim != judgement), None)
    if wrong is not None:
        raise AccountingError(
            f"checkable claims and judgements differ from the {wrong + 1}. on",
            where=run.run_id,
            remedy="run the stages analyse and judge of this week again",
        )
    for evidence in _column(run.stage("judge"), Judgement, "", "evidence"):
        seen.update(str(e["passage_id"]) for e in json.loads(evidence))
    return seen


def base_tables(run: RunPlan, judge: Judge) -> dict[str, list[pa.Table]]:
    """Return the passages that a claim of the run was set beside, and their documents, as tables.

    The version before a rule is shown beside it, so it travels along.

    Raises:
        AccountingError: see `passages_seen`.
    """
    seen = passages_seen(run)
    seen |= {judge.by_id[p].supersedes for p in seen if judge.by_id[p].supersedes}
    passages = [p for p in judge.passages if p.passage_id in seen]
    needed = {p.doc_id for p in passages}
    documents = [d for d in judge.documents if d.doc_id in needed]
    return {"document": [to_table(documents, Document)], "passage": [to_table(passages, Passage)]}


def _column(
    folder: Path, cls: type[Any], kind: str, name: str, *, checkable: bool = False
) -> Iterator[str]:
    """Yield one column of a finished stage, a shard in memory at a time."""
    columns = [name, "checkability"] if checkable else [name]
    for table in tables_of(folder, cls, kind, columns=columns):
        kept = table.filter(pc.equal(table["checkability"], "CHECKABLE")) if checkable else table
        yield from kept.column(name).to_pylist()


def articles_in_reading_order(run: RunPlan) -> Iterator[pa.Table]:
    """Yield the articles of a run by publication, undated ones last, as a reader met them.

    The store numbers what it takes in, so an original has a lower number than its copies. More
    than `ARTICLES_AT_ONCE` are dealt out to files by their place first.
    """
    folder = run.stage("analyse")
    order: list[tuple[str, str]] = []
    for table in tables_of(folder, Article, "articles", columns=["published_at", "canonical_url"]):
        stamps = table["published_at"].to_pylist()
        when = (stamp.isoformat() if stamp else "9999" for stamp in stamps)
        order.extend(zip(when, table["canonical_url"].to_pylist(), strict=True))
    rank = np.empty(len(order), np.int64)
    rank[sorted(range(len(order)), key=order.__getitem__)] = np.arange(len(order))
    if len(order) <= ARTICLES_AT_ONCE:
        tables = list(tables_of(folder, Article, "articles"))
        if tables:
            yield pa.concat_tables(tables).take(pa.array(np.argsort(rank)))
        return
    dealt = run.folder / ".articles-in-order"
    shutil.rmtree(dealt, ignore_errors=True)  # of a publication that was killed
    dealt.mkdir()
    try:
        yield from _dealt_out(tables_of(folder, Article, "articles"), rank, dealt)
    finally:
        shutil.rmtree(dealt, ignore_errors=True)


def _dealt_out(tables: Iterator[pa.Table], rank: np.ndarray, folder: Path) -> Iterator[pa.Table]:
    """Yield the rows of ``tables`` by ``rank``: one pass into files, one out of each."""
    files = range(-(-len(rank) // ARTICLES_AT_ONCE))
    paths = [folder / f"{n:05d}.parquet" for n in files]
    schema = arrow_schema(Article).append(pa.field("rank", pa.int64()))
    at = 0
    with ExitStack() as stack:
        writers = [stack.enter_context(pq.ParquetWriter(path, schema)) for path in paths]
        for table in joined(tables, ARTICLES_AT_ONCE):
            own = rank[at : at + table.num_rows]
            at += table.num_rows
            ranked = table.append_column("rank", pa.array(own)).cast(schema)
            for n in np.unique(own // ARTICLES_AT_ONCE):
                rows = np.flatnonzero(own // ARTICLES_AT_ONCE == n)
                writers[n].write_table(ranked.take(pa.array(rows)))
    for path in paths:
        yield pq.read_table(path).sort_by("rank").drop_columns("rank")


def counts(run: RunPlan) -> Counter[str]:
    """Return how much of everything the finished stages hold."""
    found: Counter[str] = Counter()
    analysed, judged = run.stage("analyse"), run.stage("judge")
    if stages.complete(analysed):
        for table in tables_of(analysed, Article, "articles", columns=["article_id"]):
            found["articles"] += table.num_rows
        for table in tables_of(analysed, Mention, "mentions", columns=["checkability"]):
            found["mentions"] += table.num_rows
            found["checkable"] += table["checkability"].to_pylist().count("CHECKABLE")
    if stages.complete(judged):
        for table in tables_of(judged, Judgement, columns=["flagged"]):
            found["judgements"] += table.num_rows
            found["flags"] += table["flagged"].to_pylist().count(True)
    return found
