"""One batch into the tables, in SQL over its Parquet files.

A large commit holds up every other one while it is written, and reviewers work meanwhile. So rows
that mean nothing yet (articles, mentions, judgements that belong to no run) are worked out in
temporary tables and copied in stretches, each a small transaction; then one transaction says which
of them the run is made of. Killed before that, nothing is seen, and the next try finds the rows by
their ids and goes on.

Merging is idempotent by id: articles, mentions, passages and documents known by id are not doubled,
a judgement is known by its content, and what belongs to a run is replaced as a whole. Tables that
people write are not named in this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb

from kiemchung.errors import BatchError
from kiemchung.store.connection import quoted, transaction
from kiemchung.store.inbox import ReadBatch

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE_SHARE: Final = 0.05
"""Share of the claims without a flag that goes blind into the queue (notes: miss estimate)."""

# 2**32 * 0.05, as hex digits: a hash below it is in the sample on every machine and in every run.
_SAMPLE_BELOW: Final = f"{int(SAMPLE_SHARE * 2**32):08x}"

ROWS_AT_ONCE: Final = 5_000
ARTICLES_AT_ONCE: Final = 500
"""Rows of one transaction: a commit of more would hold up a reviewer's for longer than 100 ms."""
STRETCH: Final = 4_000
"""Articles that are laid out at once; fewer take less memory and look through the store more often.
"""

_RUNS_A_WEEK: Final = 10_000

_JUDGED: Final = ("judgement", "judgement_evidence", "judgement_difference")

_STRETCHED: Final = ("article", "mention", "judgement")
"""Laid out a stretch at a time, as b_...; the whole of them is called w_..."""
_DERIVED: Final = (
    "b_wording", "b_evidence", "b_judged", "b_judged_all", "b_mention", "b_judgement", "b_first",
)  # fmt: skip

_ARTICLE_TEXT: Final = (
    "concat_ws(chr(10) || chr(10), nullif(a.title, ''), nullif(a.lead, ''), nullif(a.body, ''))"
)
_PASSAGE_SHA: Final = (
    "sha256(citation || chr(31) || text || chr(31) || valid_from::VARCHAR || chr(31)"
    " || coalesce(valid_to::VARCHAR, ''))"
)
_EVIDENCE: Final = (
    '[{"passage_id": "VARCHAR", "passage_sha256": "VARCHAR", "rank": "BIGINT",'
    ' "score": "DOUBLE", "on_point": "BOOLEAN"}]'
)
_DIFFERENCES: Final = (
    '[{"kind": "VARCHAR", "claim": "VARCHAR", "evidence": "VARCHAR", "start": "BIGINT",'
    ' "end": "BIGINT"}]'
)

_ARTICLE_COLUMNS: Final = (
    "outlet, url, canonical_url, title, lead, body, published_at, published_method, fetched_at,"
    " raw_sha256, title_method, lead_method, body_method, noarchive, about_cooperatives,"
    " topic_reason, story_id, copied_from"
)
# What a later extraction may know better; address and text are part of the id and cannot change.
_ARTICLE_UPDATES: Final = (
    "published_at", "published_method", "title_method", "lead_method", "body_method", "noarchive",
    "about_cooperatives", "topic_reason", "story_id", "copied_from",
)  # fmt: skip
# Where and when it was fetched; the text that came is the same.
_ARTICLE_FETCHED: Final = ("url", "fetched_at", "raw_sha256")
_MENTION_UPDATES: Final = (
    "claim_id", "checkability", "check_worthiness", "speech", "as_of", "as_of_method",
)  # fmt: skip
_DOCUMENT_COLUMNS: Final = (
    "number", "title", "short_names", "kind", "publisher", "issued", "valid_from", "valid_to",
    "url", "snapshot_as_of",
)  # fmt: skip
_PASSAGE_COLUMNS: Final = (
    "passage_id, sha256, doc_id, kind, locator, text, citation, valid_from, valid_to, url, topic,"
    " cues, excludes, conditions, supersedes, series, unit, as_of, checked"
)
_PASSAGE_UPDATES: Final = (
    "doc_id", "kind", "locator", "url", "topic", "cues", "excludes", "conditions", "supersedes",
    "series", "unit", "as_of", "checked",
)  # fmt: skip


def _twice(table: str, name: str) -> str:
    return f"SELECT {name} FROM {table} GROUP BY 1 HAVING count(*) > 1"


# Each finds rows that must not be there; the words say what is wrong with the batch. These ask
# about the ids of the whole batch ...
_REFUSALS: Final = (
    ("twice in the batch: article {}", _twice("w_article", "article_id")),
    ("twice in the batch: mention {}", _twice("w_mention", "mention_id")),
    ("judged twice: mention {}", _twice("w_judgement", "mention_id")),
    ("twice in the batch: passage {}", _twice("b_passage", "passage_id")),
    ("twice in the batch: document {}", _twice("b_document", "doc_id")),
    (
        "mention {} names an article that is not in the batch",
        "SELECT mention_id FROM w_mention ANTI JOIN w_article USING (article_id)",
    ),
    (
        "judgement {} names a mention that is not in the batch",
        "SELECT judgement_id FROM w_judgement ANTI JOIN w_mention USING (mention_id)",
    ),
    (
        "passage {} names a document that is not in the batch",
        "SELECT passage_id FROM b_passage ANTI JOIN b_document USING (doc_id)",
    ),
    (
        "judgement {} belongs to another run",
        "SELECT judgement_id FROM w_judgement WHERE run_id <> (SELECT run_id FROM b_run)",
    ),
)  # fmt: skip
# ... and these about the rows of a stretch. What was withdrawn has no words left to compare.
_NOT_WITHDRAWN: Final = "NOT starts_with(a.url, 'forgotten:')"
_REFUSALS_OF_ROWS: Final = (
    (
        "judgement {} names a passage, or a wording of it, that is not in the batch",
        "SELECT e.judgement_id FROM b_evidence AS e ANTI JOIN b_wording AS w"
        " ON w.passage_id = e.passage_id AND w.sha256 = e.passage_sha256",
    ),
    (
        "judgement {} is a flag without a passage",
        "SELECT judgement_id FROM b_judgement WHERE flagged AND judgement_id NOT IN"
        " (SELECT judgement_id FROM b_evidence)",
    ),
    (
        "article {} has another text than the one stored under its id",
        "SELECT article_id FROM b_article AS b JOIN article AS a USING (article_id)"
        f" WHERE {_NOT_WITHDRAWN} AND (a.title <> b.title OR a.lead <> b.lead OR a.body <> b.body)",
    ),
    (
        "mention {} has another place than the one stored under its id",
        "SELECT mention_id FROM b_mention AS b JOIN mention AS m USING (mention_id)"
        f" JOIN article AS a USING (article_key) WHERE {_NOT_WITHDRAWN} AND (m.text <> b.text"
        ' OR m.start_char <> b.start OR m.end_char <> b."end" OR a.article_id <> b.article_id)',
    ),
    (
        "mention {} does not stand at its place in the article",
        "SELECT m.mention_id FROM b_mention AS m JOIN b_article AS a USING (article_id)"
        f" WHERE substring({_ARTICLE_TEXT}, m.start + 1, m.\"end\" - m.start) <> m.text",
    ),
)  # fmt: skip


def _differs(names: tuple[str, ...], old: str, new: str) -> str:
    return " OR ".join(f"{old}.{n} IS DISTINCT FROM {new}.{n}" for n in names)


def _assign(names: tuple[str, ...], new: str) -> str:
    return ", ".join(f"{n} = {new}.{n}" for n in names)


def _stage(cursor: duckdb.DuckDBPyConnection) -> None:
    """Derive from the rows of a stretch what several statements need."""
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE b_evidence AS SELECT judgement_id, e.* FROM ("
        f"SELECT judgement_id, unnest(from_json(evidence, '{_EVIDENCE}')) AS e FROM b_judgement)"
    )
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE b_judged AS SELECT j.*,"
        " sha256(concat_ws(chr(31), mention_id, model_id, base_version, threshold::VARCHAR, status,"
        " coalesce(label, ''), coalesce(nei_reason, ''), coalesce(p_supported::VARCHAR, ''),"
        " coalesce(p_refuted::VARCHAR, ''), coalesce(p_nei::VARCHAR, ''), flagged::VARCHAR,"
        " error, evidence, differences)) AS content_sha256,"
        " coalesce(s.evidence_sha256, '') AS evidence_sha256"
        " FROM b_judgement AS j LEFT JOIN (SELECT judgement_id,"
        " sha256(string_agg(passage_sha256, chr(31) ORDER BY passage_sha256)) AS evidence_sha256"
        " FROM b_evidence WHERE on_point GROUP BY judgement_id) AS s USING (judgement_id)"
    )


def _refuse(
    cursor: duckdb.DuckDBPyConnection, run_id: str, refusals: Sequence[tuple[str, str]]
) -> None:
    for words, query in refusals:
        found = cursor.execute(f"SELECT * FROM ({query}) LIMIT 1").fetchone()
        if found is not None:
            raise BatchError(
                words.format(found[0]),
                where=run_id,
                remedy="publish that run again with the same version of the program",
            )


def _merge_run(cursor: duckdb.DuckDBPyConnection, now: datetime) -> int:
    """Replace the row of the run and return its key.

    Keys ascend with the week, then with the merges of a week: where the latest run has the word, a
    week that is run later than its successors does not take it from them. Keys of stores that were
    filled before it was so are smaller than any of these.
    """
    known = cursor.execute("SELECT run_key FROM run JOIN b_run USING (run_id)").fetchone()
    if known is None:
        (least,) = cursor.execute(
            f"SELECT {_RUNS_A_WEEK} * (week[1:4]::BIGINT * 100 + week[7:8]::BIGINT) FROM b_run"
        ).fetchone() or (0,)
        (top,) = cursor.execute(
            "SELECT coalesce(max(run_key), ?) FROM run WHERE run_key >= ? AND run_key < ?",
            [least, least, least + _RUNS_A_WEEK],
        ).fetchone() or (least,)
        key = int(top) + 1
    else:
        key = int(known[0])
        cursor.execute("DELETE FROM run WHERE run_key = ?", [key])
    cursor.execute(
        "INSERT INTO run (run_key, run_id, week, outlets, config_sha256, code_version,"
        " base_version, model_id, accounting, alarms, articles, mentions, judgements, merged_at)"
        " SELECT ?, run_id, week, outlets, config_sha256, code_version,"
        " base_version, model_id, accounting, alarms, (SELECT count(*) FROM w_article),"
        " (SELECT count(*) FROM w_mention), (SELECT count(*) FROM w_judgement), ? FROM b_run",
        [key, now],
    )
    cursor.execute("DELETE FROM run_health WHERE run_key = ?", [key])
    cursor.execute("INSERT INTO run_health SELECT ?, health FROM b_run", [key])
    cursor.execute("DELETE FROM run_provenance WHERE run_key = ?", [key])
    cursor.execute("INSERT INTO run_provenance SELECT ?, provenance FROM b_run", [key])
    return key


def _merge_documents(cursor: duckdb.DuckDBPyConnection) -> None:
    columns = ", ".join(_DOCUMENT_COLUMNS)
    cursor.execute(
        f"UPDATE document SET {_assign(_DOCUMENT_COLUMNS, 'b')} FROM b_document AS b"
        f" WHERE document.doc_id = b.doc_id AND ({_differs(_DOCUMENT_COLUMNS, 'document', 'b')})"
    )
    cursor.execute(
        f"INSERT INTO document (document_key, doc_id, {columns})"
        " SELECT (SELECT coalesce(max(document_key), 0) FROM document)"
        f" + row_number() OVER (ORDER BY doc_id), doc_id, {columns}"
        " FROM b_document ANTI JOIN document USING (doc_id)"
    )
    same = "p.passage_id = b.passage_id AND p.sha256 = b.sha256"
    cursor.execute(
        f"UPDATE passage AS p SET {_assign(_PASSAGE_UPDATES, 'b')} FROM b_wording AS b"
        f" WHERE {same} AND ({_differs(_PASSAGE_UPDATES, 'p', 'b')})"
    )
    cursor.execute(
        f"INSERT INTO passage (passage_key, {_PASSAGE_COLUMNS})"
        " SELECT (SELECT coalesce(max(passage_key), 0) FROM passage)"
        f" + row_number() OVER (ORDER BY passage_id, sha256), {_PASSAGE_COLUMNS}"
        " FROM b_wording AS b ANTI JOIN passage USING (passage_id, sha256)"
    )


def _twin(cursor: duckdb.DuckDBPyConnection, table: str) -> None:
    """Make an empty temporary table with the columns and CHECKs of ``table``."""
    row = cursor.execute(
        "SELECT sql FROM duckdb_tables() WHERE table_name = ? AND NOT temporary"
        " AND database_name = current_database()",
        [table],
    ).fetchone()
    assert row is not None
    cursor.execute(f"DROP TABLE IF EXISTS temp.n_{table}")
    cursor.execute(
        str(row[0]).replace(f"CREATE TABLE {table}(", f"CREATE TEMP TABLE n_{table}(", 1)
    )


def _copy(cursor: duckdb.DuckDBPyConnection, key: str, tables: Sequence[str], rows: int) -> None:
    """Copy what lies in the twins of ``tables`` in stretches of ``rows`` keys, each durable."""
    low, high = cursor.execute(f"SELECT min({key}), max({key}) FROM n_{tables[0]}").fetchone() or (
        None,
        None,
    )
    if low is None:
        return
    for start in range(int(low), int(high) + 1, rows):
        with transaction(cursor):
            for table in tables:
                cursor.execute(
                    f"INSERT INTO {table} SELECT * FROM n_{table} WHERE {key} >= ? AND {key} < ?",
                    [start, start + rows],
                )


def _copy_articles(cursor: duckdb.DuckDBPyConnection, part: pa.Table) -> None:
    for start in range(0, part.num_rows, ARTICLES_AT_ONCE):
        cursor.register("b_rows", part.slice(start, ARTICLES_AT_ONCE))
        try:
            with transaction(cursor):
                cursor.execute(
                    f"INSERT INTO article (article_key, article_id, {_ARTICLE_COLUMNS})"
                    " SELECT (SELECT coalesce(max(article_key), 0) FROM article)"
                    f" + row_number() OVER (), article_id, {_ARTICLE_COLUMNS} FROM b_rows"
                    " WHERE article_id NOT IN (SELECT article_id FROM article"
                    " SEMI JOIN (SELECT article_id FROM b_rows) USING (article_id))"
                )
        finally:
            cursor.unregister("b_rows")


def _stretches(cursor: duckdb.DuckDBPyConnection, articles: Path | pa.Table) -> Iterator[pa.Table]:
    """Lay out the batch in stretches of articles with their mentions and judgements, staged.

    So a batch of any size takes the memory of a stretch, and no join sees all the texts.
    """
    for part in _articles(articles):
        cursor.register("b_article", part)
        try:
            for table, of, key in (
                ("mention", "article", "article_id"), ("judgement", "mention", "mention_id")
            ):  # fmt: skip
                cursor.execute(
                    f"CREATE OR REPLACE TEMP TABLE b_{table} AS SELECT * FROM w_{table}"
                    f" SEMI JOIN b_{of} USING ({key})"
                )
            _stage(cursor)
            yield part
        finally:
            cursor.unregister("b_article")


def _articles(table: Path | pa.Table) -> Iterator[pa.Table]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if isinstance(table, pa.Table):
        yield from (pa.Table.from_batches([b]) for b in table.to_batches(STRETCH))
        return
    with pq.ParquetFile(table) as file:
        for part in file.iter_batches(STRETCH):
            yield pa.Table.from_batches([part])


def _copy_mentions(cursor: duckdb.DuckDBPyConnection) -> None:
    _twin(cursor, "mention")
    cursor.execute(
        "INSERT INTO n_mention (mention_key, mention_id, article_key, claim_id, start_char,"
        " end_char, text, checkability, check_worthiness, speech, as_of, as_of_method)"
        " SELECT (SELECT coalesce(max(mention_key), 0) FROM mention)"
        ' + row_number() OVER (ORDER BY a.article_key, b.start, b."end", b.mention_id),'
        ' b.mention_id, a.article_key, b.claim_id, b.start, b."end", b.text, b.checkability,'
        " b.check_worthiness, b.speech, b.as_of, b.as_of_method"
        " FROM b_mention AS b JOIN article AS a USING (article_id)"
        " ANTI JOIN (SELECT mention_id FROM mention SEMI JOIN b_mention USING (mention_id)) AS m"
        " ON m.mention_id = b.mention_id"
    )
    _copy(cursor, "mention_key", ("mention",), ROWS_AT_ONCE)


def _copy_judgements(cursor: duckdb.DuckDBPyConnection) -> None:
    for table in _JUDGED:
        _twin(cursor, table)
    columns = (
        "model_id, base_version, threshold, status, label, nei_reason, p_supported, p_refuted,"
        " p_nei, flagged, error"
    )
    cursor.execute(
        "INSERT INTO n_judgement (judgement_key, judgement_id, content_sha256, evidence_sha256,"
        f" mention_key, {columns}) SELECT (SELECT coalesce(max(judgement_key), 0) FROM judgement)"
        " + row_number() OVER (ORDER BY m.mention_key),"
        f" b.judgement_id, b.content_sha256, b.evidence_sha256, m.mention_key, {columns}"
        " FROM b_judged AS b JOIN (SELECT mention_id, mention_key FROM mention"
        "  SEMI JOIN b_judged USING (mention_id)) AS m USING (mention_id)"
        " ANTI JOIN (SELECT judgement_id, content_sha256 FROM judgement"
        "  SEMI JOIN b_judged USING (judgement_id)) AS j"
        " ON j.judgement_id = b.judgement_id AND j.content_sha256 = b.content_sha256"
    )
    cursor.execute(
        "INSERT INTO n_judgement_evidence SELECT j.judgement_key, e.rank, p.passage_key, e.score,"
        " e.on_point FROM n_judgement AS j JOIN b_evidence AS e USING (judgement_id)"
        " JOIN passage AS p ON p.passage_id = e.passage_id AND p.sha256 = e.passage_sha256"
        " ORDER BY 1, 2"
    )
    cursor.execute(
        "INSERT INTO n_judgement_difference SELECT judgement_key, ordinal, d.kind, d.claim,"
        ' d.evidence, d.start, d."end" FROM (SELECT j.judgement_key,'
        f" unnest(from_json(b.differences, '{_DIFFERENCES}')) AS d,"
        " generate_subscripts(from_json(b.differences,"
        f" '{_DIFFERENCES}'), 1) AS ordinal"
        " FROM n_judgement AS j JOIN b_judged AS b USING (judgement_id)) ORDER BY 1, 2"
    )
    _copy(cursor, "judgement_key", _JUDGED, ROWS_AT_ONCE)


def _update(cursor: duckdb.DuckDBPyConnection, run_key: int) -> None:
    """Write what this batch knows better about rows that are there already.

    Of the weeks that hold a row, the latest says how it is read and the first says when and where
    it was fetched, in whatever order the weeks are merged.
    """
    later = "(SELECT {0}_key FROM run_{0} WHERE run_key > ?)"
    latest = f"a.article_key NOT IN {later.format('article')}"
    cursor.execute(
        f"UPDATE article AS a SET {_assign(_ARTICLE_UPDATES, 'b')} FROM w_article AS b"
        f" WHERE a.article_id = b.article_id AND ({_differs(_ARTICLE_UPDATES, 'a', 'b')})"
        f" AND {latest}",
        [run_key],
    )
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE b_first AS"
        f" SELECT a.article_key, {', '.join(f'b.{n}' for n in _ARTICLE_FETCHED)}"
        " FROM article AS a JOIN w_article AS b USING (article_id)"
        f" WHERE {_differs(_ARTICLE_FETCHED, 'a', 'b')}"
    )
    cursor.execute(
        f"UPDATE article AS a SET {_assign(_ARTICLE_FETCHED, 'b')} FROM b_first AS b"
        " WHERE a.article_key = b.article_key AND a.article_key NOT IN"
        " (SELECT article_key FROM run_article SEMI JOIN b_first USING (article_key)"
        " WHERE run_key < ?)",
        [run_key],
    )
    cursor.execute(
        "DELETE FROM article_opt_out WHERE article_key IN"
        " (SELECT a.article_key FROM article AS a JOIN w_article USING (article_id)"
        f" WHERE {latest})",
        [run_key],
    )
    cursor.execute(
        "INSERT INTO article_opt_out SELECT a.article_key,"
        " unnest(from_json(b.opt_outs, '[\"VARCHAR\"]'))"
        f" FROM w_article AS b JOIN article AS a USING (article_id) WHERE {latest}",
        [run_key],
    )
    cursor.execute(
        f"UPDATE mention AS m SET {_assign(_MENTION_UPDATES, 'b')} FROM w_mention AS b"
        f" WHERE m.mention_id = b.mention_id AND ({_differs(_MENTION_UPDATES, 'm', 'b')})"
        f" AND m.mention_key NOT IN {later.format('mention')}",
        [run_key],
    )


def _replace_membership(cursor: duckdb.DuckDBPyConnection, run_key: int) -> None:
    for table in ("run_article", "run_mention", "run_judgement", "selection"):
        cursor.execute(f"DELETE FROM {table} WHERE run_key = ?", [run_key])
    cursor.execute(
        "INSERT INTO run_article SELECT ?, article_key FROM article"
        " SEMI JOIN w_article USING (article_id) ORDER BY article_key",
        [run_key],
    )
    cursor.execute(
        "INSERT INTO run_mention SELECT ?, mention_key FROM mention"
        " SEMI JOIN w_mention USING (mention_id) ORDER BY mention_key",
        [run_key],
    )
    cursor.execute(
        "INSERT INTO run_judgement SELECT ?, j.mention_key, j.judgement_key FROM judgement AS j"
        " JOIN b_judged_all AS b USING (judgement_id, content_sha256) ORDER BY j.mention_key",
        [run_key],
    )
    cursor.execute(
        "INSERT INTO selection SELECT ?, r.mention_key, 'flag', 1.0 FROM run_judgement AS r"
        " JOIN judgement AS j USING (judgement_key)"
        " WHERE r.run_key = ? AND j.flagged ORDER BY r.mention_key",
        [run_key, run_key],
    )
    # One mention for each claim, drawn by the hash of week and claim: a repeat draws the same.
    cursor.execute(
        "INSERT INTO selection SELECT ?, min(r.mention_key), 'sample', ?"
        " FROM run_judgement AS r JOIN judgement AS j USING (judgement_key)"
        " JOIN mention AS m ON m.mention_key = r.mention_key"
        " WHERE r.run_key = ? AND NOT j.flagged AND m.checkability = 'CHECKABLE'"
        " AND substring(sha256((SELECT week FROM b_run) || chr(31) || m.claim_id), 1, 8) < ?"
        " GROUP BY m.claim_id ORDER BY 2",
        [run_key, SAMPLE_SHARE, run_key, _SAMPLE_BELOW],
    )


def _pattern(path: Path) -> str:
    """Return a path as a literal; read_parquet takes it for a pattern, so its signs count."""
    plain = re.sub(r"[\[*?]", r"[\g<0>]", str(path))
    return quoted(plain)


@contextmanager
def prepared(cursor: duckdb.DuckDBPyConnection, batch: ReadBatch) -> Iterator[None]:
    """Check ``batch`` and copy its new rows; inside the block, `merge` makes a run of them.

    Raises:
        BatchError: rows contradict each other; nothing was copied then.
        duckdb.Error: a row breaks a CHECK, or the database cannot go on.
    """
    views = {n: f"{'w' if n in _STRETCHED else 'b'}_{n}" for n in batch.tables}
    try:
        for name, table in batch.tables.items():
            if isinstance(table, Path):  # Arrow would hold all of it in memory
                cursor.execute(
                    f"CREATE OR REPLACE TEMP VIEW {views[name]} AS"
                    f" SELECT * FROM read_parquet({_pattern(table)})"
                )
            else:
                cursor.register(views[name], table)
        cursor.execute(
            "CREATE OR REPLACE TEMP TABLE b_wording AS"
            f" SELECT *, {_PASSAGE_SHA} AS sha256 FROM b_passage"
        )
        _refuse(cursor, batch.run_id, _REFUSALS)
        for _ in _stretches(cursor, batch.tables["article"]):
            _refuse(cursor, batch.run_id, _REFUSALS_OF_ROWS)
        with transaction(cursor):
            _merge_documents(cursor)
        cursor.execute(
            "CREATE OR REPLACE TEMP TABLE b_judged_all (judgement_id VARCHAR,"
            " content_sha256 VARCHAR)"
        )
        for part in _stretches(cursor, batch.tables["article"]):
            _copy_articles(cursor, part)
            _copy_mentions(cursor)
            _copy_judgements(cursor)
            cursor.execute(
                "INSERT INTO b_judged_all SELECT judgement_id, content_sha256 FROM b_judged"
            )
        yield
    finally:
        with suppress(duckdb.Error):  # the error on its way says more than one of tidying up
            for name in ("n_mention", *(f"n_{t}" for t in _JUDGED), *_DERIVED):
                cursor.execute(f"DROP TABLE IF EXISTS temp.{name}")
            for name, table in batch.tables.items():
                if isinstance(table, Path):
                    cursor.execute(f"DROP VIEW IF EXISTS temp.{views[name]}")
                else:
                    cursor.unregister(views[name])


def merge(cursor: duckdb.DuckDBPyConnection, *, now: datetime) -> None:
    """Make a run of the batch that is `prepared`; the caller has begun a transaction and ends it.

    Raises:
        duckdb.Error: the database cannot go on.
    """
    run_key = _merge_run(cursor, now)
    _update(cursor, run_key)
    _replace_membership(cursor, run_key)
