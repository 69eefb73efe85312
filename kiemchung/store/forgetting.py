"""An article that was withdrawn: its words leave every row, its rows stay, so that sums match.

Title, text and addresses of the article, the claims' words, what the machine compared and what
reviewers noted about them are overwritten; labels and decisions stay as numbers about nothing that
can be read. No flag is left, so no list, report, export or training set shows it. The rows are
found again by the hash that stands where the address was, also after a later merge.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import duckdb

from kiemchung.errors import InputError
from kiemchung.store.connection import quoted

ACTION: Final = "article forgotten"
PREFIX: Final = "forgotten:"
MARK: Final = "[đã gỡ theo yêu cầu]"
_NOT_YET: Final = f"NOT starts_with(url, {quoted(PREFIX)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What was found and overwritten; addresses only as hashes."""

    url_sha256: tuple[str, ...]
    article_ids: tuple[str, ...]
    mentions: int
    weeks: tuple[str, ...]


def hashes_of(cursor: duckdb.DuckDBPyConnection, article: str) -> tuple[str, ...]:
    """Return the hashes of the addresses of an article, named by its id or an address of it."""
    rows = cursor.execute(
        "SELECT DISTINCT url, canonical_url FROM article"
        " WHERE article_id = ? OR url = ? OR canonical_url = ?",
        [article, article, article],
    ).fetchall()
    found: set[str] = set()
    for pair in rows:
        for url in pair:
            if str(url).startswith(PREFIX):
                found.add(str(url).removeprefix(PREFIX))
            elif url:
                (sha,) = cursor.execute("SELECT sha256(?)", [url]).fetchone() or ("",)
                found.add(str(sha))
    return tuple(sorted(found))


def withdrawn(cursor: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """Return the hashes of all withdrawn addresses, as the audit trail has them."""
    rows = cursor.execute(f"SELECT DISTINCT subject FROM audit WHERE action = '{ACTION}'")
    return tuple(sorted(str(subject) for (subject,) in rows.fetchall()))


def forget(
    cursor: duckdb.DuckDBPyConnection,
    hashes: Sequence[str],
    *,
    reason: str,
    by: int | None,
    who: str,
) -> Forgotten:
    """Overwrite what there is of ``hashes`` and write it down in the audit trail.

    The caller has begun a transaction. A repeat finds the same rows and writes nothing down twice.

    Raises:
        InputError: there is no reason, or nothing to withdraw.
    """
    if not reason.strip():
        raise InputError("no reason is given", remedy="--reason says why, for the audit trail")
    if not hashes:
        raise InputError("nothing is known by this name", remedy="give the address in full")
    known = set(withdrawn(cursor))
    now = datetime.now(UTC)
    for sha in sorted(set(hashes) - known):
        (key,) = cursor.execute("SELECT coalesce(max(audit_key), 0) + 1 FROM audit").fetchone() or (
            1,
        )
        cursor.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?)", [key, by, ACTION, sha, now])
        after = json.dumps({"reason": reason, "by": who}, ensure_ascii=False)
        cursor.execute("INSERT INTO audit_change VALUES (?, '', ?)", [key, after])
    apply(cursor)
    places = f"list_contains(?::VARCHAR[], substr(url, {len(PREFIX) + 1}))"
    rows = cursor.execute(
        "SELECT DISTINCT a.article_id, r.week FROM article AS a LEFT JOIN run_article AS x"
        f" USING (article_key) LEFT JOIN run AS r USING (run_key) WHERE {places}",
        [list(hashes)],
    ).fetchall()
    (mentions,) = cursor.execute(
        f"SELECT count(*) FROM mention JOIN article USING (article_key) WHERE {places}",
        [list(hashes)],
    ).fetchone() or (0,)
    return Forgotten(
        url_sha256=tuple(sorted(set(hashes))),
        article_ids=tuple(sorted({str(a) for a, _ in rows})),
        mentions=int(mentions),
        weeks=tuple(sorted({str(w) for _, w in rows if w})),
    )


def apply(cursor: duckdb.DuckDBPyConnection) -> None:
    """Overwrite every row of a withdrawn article that is not yet; done inside each merge, too."""
    hashes = withdrawn(cursor)
    if not hashes:
        return
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE gone_article AS SELECT article_key,"
        f" CASE WHEN NOT {_NOT_YET} THEN substr(url, {len(PREFIX) + 1})"
        " WHEN list_contains($1::VARCHAR[], sha256(canonical_url)) THEN sha256(canonical_url)"
        " ELSE sha256(url) END AS sha"
        f" FROM article WHERE NOT {_NOT_YET} OR list_contains($1::VARCHAR[], sha256(canonical_url))"
        " OR list_contains($1::VARCHAR[], sha256(url))",
        [list(hashes)],
    )
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE gone_mention AS SELECT mention_key FROM mention"
        " SEMI JOIN gone_article USING (article_key)"
    )
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE gone_judgement AS SELECT judgement_key FROM judgement"
        " SEMI JOIN gone_mention USING (mention_key)"
    )
    for statement in _STATEMENTS:
        cursor.execute(statement)
    for name in ("gone_article", "gone_mention", "gone_judgement"):
        cursor.execute(f"DROP TABLE temp.{name}")


_MENTIONS: Final = "mention_key IN (SELECT mention_key FROM gone_mention)"
_JUDGEMENTS: Final = "judgement_key IN (SELECT judgement_key FROM gone_judgement)"
_REVIEWS: Final = f"review_key IN (SELECT review_key FROM review WHERE {_MENTIONS})"
_CHOICES: Final = f"choice_key IN (SELECT choice_key FROM blind_choice WHERE {_MENTIONS})"
_STATEMENTS: Final = (
    f"UPDATE article SET title = {quoted(MARK)}, lead = '', body = '', topic_reason = '',"
    f" url = {quoted(PREFIX)} || g.sha, canonical_url = {quoted(PREFIX)} || g.sha"
    f" FROM gone_article AS g WHERE article.article_key = g.article_key AND ({_NOT_YET}"
    " OR article.title <> " + quoted(MARK) + ")",
    f"UPDATE mention SET text = {quoted(MARK)} WHERE {_MENTIONS} AND text <> {quoted(MARK)}",
    f"UPDATE judgement SET flagged = false WHERE {_JUDGEMENTS} AND flagged",
    "UPDATE judgement_difference SET claim = '', evidence = '', start_char = -1, end_char = -1"
    f" WHERE {_JUDGEMENTS} AND (claim <> '' OR evidence <> '')",
    f"DELETE FROM selection WHERE {_MENTIONS}",
    f"DELETE FROM double_review WHERE {_MENTIONS}",
    "INSERT INTO search_count SELECT term_key, -count(*) FROM search_posting"
    f" WHERE {_MENTIONS} GROUP BY term_key",
    f"DELETE FROM search_posting WHERE {_MENTIONS}",
    f"UPDATE search_claim SET folded = ' ' WHERE {_MENTIONS} AND folded <> ' '",
    f"UPDATE review SET note = '' WHERE {_MENTIONS} AND note <> ''",
    f"UPDATE blind_choice SET note = '' WHERE {_MENTIONS} AND note <> ''",
    f"UPDATE review_correction SET correction = '' WHERE {_REVIEWS} AND correction <> ''",
    f"UPDATE choice_correction SET correction = '' WHERE {_CHOICES} AND correction <> ''",
    f"UPDATE adjudication SET reason = '' WHERE {_MENTIONS} AND reason <> ''",
    f"UPDATE correction SET request = {quoted(MARK)}, public_note = ''"
    f" WHERE {_MENTIONS} AND request <> {quoted(MARK)}",
)
