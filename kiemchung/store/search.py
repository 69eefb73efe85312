"""Search over the claims: every word, whatever its accents, newest first.

An inverted index in tables, made behind the merges: `catch_up` goes on where it left off, in
stretches, each a transaction of its own, so that neither a merge nor a conclusion waits for it and
a kill loses nothing but the stretch in hand. A search starts from the postings of the words that
are rare enough to be worth it and looks the rest up in the folded text, in stretches that grow,
until a page is full: words that stand in every claim cost nothing, and nobody reads a count of
800,000.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import duckdb

from kiemchung.domain import Decision
from kiemchung.errors import InputError
from kiemchung.store import convert
from kiemchung.store.store import Store
from kiemchung.store.words import FOLD, folded

STRETCH: Final = 50_000
"""Claims indexed in one transaction; larger ones want memory, smaller ones leave more stretches."""
WAITING: Final = "waiting"
MAX_QUERY: Final = 200
MAX_WORDS: Final = 12
_FIRST_LOOK: Final = 400
_GROWTH: Final = 5
_COMMON: Final = 0.2
"""A word in a larger share of the claims is looked up in the text, not in its postings."""
_PHRASE: Final = re.compile(r'"([^"]*)"?')


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is looked for; empty fields ask for nothing.

    Every word of ``text`` must stand in the claim, in any order; words in double quotes stand
    together. ``decision`` is the name of one, or ``waiting`` for what nobody has concluded.
    """

    text: str = ""
    outlet: str = ""
    week: str = ""
    decision: str = ""
    before: int | None = None  # mention key of the last hit of the page before

    def __post_init__(self) -> None:
        """Refuse a decision that there is not."""
        if self.decision not in ("", WAITING, *Decision.__members__):
            raise InputError(f"no decision {self.decision!r}", remedy="choose one of the list")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A claim that was found, as its newest mention that matches."""

    mention_key: int
    claim_id: str
    text: str
    outlet: str
    title: str
    published_at: datetime | None
    as_of: date
    decision: Decision | None


# -- the index -----------------------------------------------------------------------------------


def catch_up(store: Store) -> int:
    """Index the mentions that came since the last time and return how many; safe to call at will.

    Raises:
        StoreError: the database failed; what was indexed before is kept.
    """
    total = 0
    with store._merging:
        while True:
            with store._cursor() as cursor:
                (low, high) = cursor.execute(
                    "SELECT (SELECT coalesce(max(mention_key), 0) FROM search_claim),"
                    " (SELECT coalesce(max(mention_key), 0) FROM mention)"
                ).fetchone() or (0, 0)
                if low >= high:
                    return total
                top = min(int(high), int(low) + STRETCH)
                cursor.execute("BEGIN TRANSACTION")
                try:
                    total += _index(cursor, int(low), top)
                except BaseException:
                    cursor.execute("ROLLBACK")
                    raise
                cursor.execute("COMMIT")


def _index(cursor: duckdb.DuckDBPyConnection, low: int, high: int) -> int:
    (count,) = cursor.execute(
        f"INSERT INTO search_claim SELECT mention_key, ' ' || {FOLD.format('text')} || ' '"
        " FROM mention WHERE mention_key > ? AND mention_key <= ? ORDER BY mention_key",
        [low, high],
    ).fetchone() or (0,)
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE search_new AS SELECT DISTINCT mention_key,"
        " unnest(string_split(trim(folded), ' ')) AS term FROM search_claim"
        " WHERE mention_key > ? AND mention_key <= ?",
        [low, high],
    )
    cursor.execute("DELETE FROM search_new WHERE term = ''")
    cursor.execute(
        "INSERT INTO search_term SELECT (SELECT coalesce(max(term_key), 0) FROM search_term)"
        " + row_number() OVER (ORDER BY term), term FROM"
        " (SELECT DISTINCT term FROM search_new ANTI JOIN search_term USING (term))"
    )
    cursor.execute(
        "INSERT INTO search_posting SELECT term_key, mention_key FROM search_new"
        " JOIN search_term USING (term) ORDER BY term_key, mention_key"
    )
    cursor.execute(
        "INSERT INTO search_count SELECT term_key, count(*) FROM search_new"
        " JOIN search_term USING (term) GROUP BY term_key ORDER BY term_key"
    )
    cursor.execute("DROP TABLE search_new")
    return int(count)


def outlets(store: Store) -> list[str]:
    """Return the keys of the outlets that any run visited, in their order."""
    rows = store._read(
        "SELECT DISTINCT unnest(from_json(outlets, '[\"VARCHAR\"]')) AS outlet FROM run ORDER BY 1"
    )
    return [str(r["outlet"]) for r in rows]


# -- a search ------------------------------------------------------------------------------------


def search(store: Store, query: Query, *, limit: int = 50) -> list[Hit]:
    """Return up to ``limit`` claims, latest mention first, one hit for each claim.

    Only checkable claims that a run still holds are found. The page after is asked for with
    ``before`` set to the mention key of the last hit; a claim met on an earlier page may come again
    there with an older mention.

    Raises:
        StoreError: the database failed.
    """
    hits: dict[str, Hit] = {}
    with store._cursor() as cursor:
        for keys in _matching(cursor, query):
            for start in range(0, len(keys), 2 * limit):
                for hit in _details(cursor, keys[start : start + 2 * limit]):
                    hits.setdefault(hit.claim_id, hit)
                    if len(hits) == limit:
                        return list(hits.values())
    return list(hits.values())


def _wanted(cursor: duckdb.DuckDBPyConnection, text: str) -> tuple[list[str], list[str]]:
    """Return the words to find and the phrases of several words, both folded."""
    text = text[:MAX_QUERY]
    quoted = _PHRASE.findall(text)
    loose, *phrases = folded(cursor, [_PHRASE.sub(" ", text), *quoted])
    words = dict.fromkeys(f"{loose} {' '.join(phrases)}".split())
    return list(words)[:MAX_WORDS], [p for p in phrases[:MAX_WORDS] if " " in p]


def _matching(cursor: duckdb.DuckDBPyConnection, query: Query) -> Iterator[list[int]]:
    """Yield the keys of the mentions that match, highest first, in growing portions."""
    words, phrases = _wanted(cursor, query.text)
    if query.text.strip() and not words:
        return  # nothing but signs
    known = {
        str(term): (int(key), int(count))
        for term, key, count in cursor.execute(
            "SELECT term, term_key, sum(mentions) FROM search_term JOIN search_count"
            " USING (term_key) WHERE list_contains(?::VARCHAR[], term) GROUP BY ALL",
            [words],
        ).fetchall()
    }
    if len(known) < len(words):
        return
    (top,) = cursor.execute(
        "SELECT coalesce(max(mention_key), 0) FROM search_claim"
    ).fetchone() or (0,)
    top = int(top) if query.before is None else min(int(top), query.before - 1)
    by_count = sorted(words, key=lambda w: known[w][1])
    rare = [known[w][0] for w in by_count if known[w][1] <= max(_COMMON * top, _FIRST_LOOK)]
    common = by_count[len(rare) :]
    conditions = "".join(" AND contains(s.folded, ?)" for _ in (*common, *phrases))
    facts: list[object] = [f" {text} " for text in (*common, *phrases)]
    if query.outlet:
        conditions += (
            " AND s.mention_key IN (SELECT m.mention_key FROM mention AS m JOIN article AS a"
            " USING (article_key) WHERE a.outlet = ?)"
        )
        facts.append(query.outlet)
    if query.week:
        conditions += (
            " AND s.mention_key IN (SELECT mention_key FROM run_mention WHERE run_key IN"
            " (SELECT run_key FROM run WHERE week = ?))"
        )
        facts.append(query.week)
    if query.decision == WAITING:
        conditions += " AND s.mention_key NOT IN (SELECT mention_key FROM decided_mention)"
    decided = query.decision if query.decision in Decision.__members__ else None
    if rare or decided:
        yield from _from_candidates(cursor, rare, decided, top, conditions, facts)
    else:
        yield from _from_ranges(cursor, top, conditions, facts)


def _from_candidates(
    cursor: duckdb.DuckDBPyConnection,
    rare: Sequence[int],
    decided: str | None,
    top: int,
    conditions: str,
    facts: Sequence[object],
) -> Iterator[list[int]]:
    """The words' postings, or the conclusions, name few enough mentions to start from them."""
    parts = ["SELECT mention_key FROM search_posting WHERE term_key = ?"] * len(rare)
    values: list[object] = list(rare)
    if decided is not None:
        parts.append("SELECT mention_key FROM decided_mention WHERE decision = ?")
        values.append(decided)
    joined = f"({parts[0]}) AS p0" + "".join(
        f" SEMI JOIN ({part}) AS p{n} USING (mention_key)" for n, part in enumerate(parts[1:], 1)
    )
    candidates = [
        int(k)
        for (k,) in cursor.execute(
            f"SELECT mention_key FROM {joined} WHERE mention_key <= ? ORDER BY mention_key DESC",
            [*values, top],
        ).fetchall()
    ]
    if not conditions:
        yield candidates
        return
    start, size = 0, _FIRST_LOOK
    while start < len(candidates):
        part = candidates[start : start + size]
        yield _keys(
            cursor,
            "s.mention_key BETWEEN ? AND ? AND s.mention_key IN (SELECT unnest(?::BIGINT[]))"
            + conditions,
            [part[-1], part[0], part, *facts],
        )
        start, size = start + size, size * _GROWTH


def _from_ranges(
    cursor: duckdb.DuckDBPyConnection, top: int, conditions: str, facts: Sequence[object]
) -> Iterator[list[int]]:
    """Nothing is rare: the newest mentions hold a page full soon."""
    size = _FIRST_LOOK
    while top > 0:
        low = max(top - size + 1, 1)
        yield _keys(cursor, "s.mention_key BETWEEN ? AND ?" + conditions, [low, top, *facts])
        top, size = low - 1, size * _GROWTH


def _keys(cursor: duckdb.DuckDBPyConnection, where: str, facts: Sequence[object]) -> list[int]:
    rows = cursor.execute(
        f"SELECT s.mention_key FROM search_claim AS s WHERE {where} ORDER BY 1 DESC", list(facts)
    ).fetchall()
    return [int(key) for (key,) in rows]


def _details(cursor: duckdb.DuckDBPyConnection, keys: Sequence[int]) -> list[Hit]:
    """Return what is shown of these mentions, in their order, without gone and uncheckable ones."""
    if not keys:
        return []
    # Literal keys let the scans skip the blocks that hold none of them; they are our own integers.
    inside = ", ".join(map(str, keys))
    rows = convert.records(
        cursor,
        "SELECT m.mention_key, m.claim_id, m.text, m.as_of, a.outlet, a.title, a.published_at,"
        f" d.decision FROM (SELECT * FROM mention WHERE mention_key IN ({inside})) AS m"
        " JOIN article AS a USING (article_key)"
        " LEFT JOIN decided_mention AS d ON d.mention_key = m.mention_key"
        " WHERE m.checkability = 'CHECKABLE' AND EXISTS (SELECT 1 FROM run_mention AS r"
        f" WHERE r.mention_key = m.mention_key AND r.mention_key IN ({inside}))"
        " ORDER BY m.mention_key DESC",
    )
    return [
        Hit(
            mention_key=r["mention_key"],
            claim_id=r["claim_id"],
            text=r["text"],
            outlet=r["outlet"],
            title=r["title"],
            published_at=convert.utc(r["published_at"]),
            as_of=r["as_of"],
            decision=convert.optional(Decision, r["decision"]),
        )
        for r in rows
    ]
