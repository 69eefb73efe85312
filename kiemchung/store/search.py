"""Search over the claims: every word, whatever its accents, newest first.

An inverted index in tables, made behind the merges: `catch_up` goes on where it left off, in
stretches of small transactions, so that neither a merge nor a conclusion waits for it and a kill
loses nothing but the stretch in hand. A search starts from the postings of the rare words
and drops what lacks a common one, by a bit for each claim. Where no word is rare, it looks through
the newest claims' text in stretches that grow, until a page is full. Phrases are looked up in the
text of what is left.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt

from kiemchung.domain import Decision
from kiemchung.errors import InputError
from kiemchung.store import details
from kiemchung.store.connection import MERGING, transaction
from kiemchung.store.facts import appearances
from kiemchung.store.standing import few
from kiemchung.store.store import Store
from kiemchung.store.words import FOLD, folded

Keys = npt.NDArray[np.int64]
STRETCH: Final = 25_000
"""Claims indexed at once; more want memory, fewer leave more stretches to look through."""
POSTINGS_AT_ONCE: Final = 50_000
WAITING: Final = "waiting"
MAX_QUERY: Final = 200
MAX_WORDS: Final = 12
_FIRST_LOOK: Final = 400
_GROWTH: Final = 5
_COMMON: Final = 0.2
"""Where every word stands in a larger share of the claims, the newest hold a page full soon."""
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
        (row,) = store._read(
            "SELECT (SELECT coalesce(max(mention_key), 0) FROM search_claim) AS low,"
            " (SELECT coalesce(max(mention_key), 0) FROM mention) AS high"
        )
        if row["low"] >= row["high"]:
            return 0
        with store._room(MERGING), store._cursor() as cursor:
            for low in range(row["low"], row["high"], STRETCH):
                total += _index(cursor, low, min(row["high"], low + STRETCH))
    return total


def _index(cursor: duckdb.DuckDBPyConnection, low: int, high: int) -> int:
    """Index a stretch in small transactions; the last one makes it count.

    A large commit holds up every other one. What a kill left half way stands above the highest key
    of ``search_claim``, so no search sees it, and is taken away here before it is made again.
    """
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE search_part AS SELECT mention_key,"
        f" ' ' || {FOLD.format('text')} || ' ' AS folded FROM mention"
        " WHERE mention_key > ? AND mention_key <= ? ORDER BY mention_key",
        [low, high],
    )
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE search_new AS SELECT DISTINCT mention_key,"
        " unnest(string_split(trim(folded), ' ')) AS term FROM search_part"
    )
    cursor.execute("DELETE FROM search_new WHERE term = ''")
    cursor.execute("DELETE FROM search_posting WHERE mention_key > ?", [low])
    cursor.execute(
        "INSERT INTO search_term SELECT (SELECT coalesce(max(term_key), 0) FROM search_term)"
        " + row_number() OVER (ORDER BY term), term FROM"
        " (SELECT DISTINCT term FROM search_new ANTI JOIN search_term USING (term))"
    )
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE search_sorted AS SELECT term_key, mention_key FROM search_new"
        " JOIN search_term USING (term) ORDER BY term_key, mention_key"
    )
    (rows,) = cursor.execute("SELECT count(*) FROM search_sorted").fetchone() or (0,)
    for start in range(0, int(rows), POSTINGS_AT_ONCE):
        cursor.execute(
            "INSERT INTO search_posting SELECT term_key, mention_key FROM search_sorted"
            " WHERE rowid >= ? AND rowid < ? ORDER BY rowid",
            [start, start + POSTINGS_AT_ONCE],
        )
    with transaction(cursor):
        (count,) = cursor.execute("INSERT INTO search_claim FROM search_part").fetchone() or (0,)
        cursor.execute(
            "INSERT INTO search_count SELECT term_key, count(*) FROM search_sorted"
            " GROUP BY term_key ORDER BY term_key"
        )
    for name in ("search_part", "search_new", "search_sorted"):
        cursor.execute(f"DROP TABLE temp.{name}")
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
        for keys in _matching(cursor, store, query):
            for start in range(0, len(keys), limit):
                for hit in _details(cursor, store, keys[start : start + limit]):
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


def _matching(cursor: duckdb.DuckDBPyConnection, store: Store, query: Query) -> Iterator[list[int]]:
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
    indexed = int(top)
    top = indexed if query.before is None else min(indexed, query.before - 1)
    by_count = sorted(words, key=lambda w: known[w][1])
    fits = _fitting(cursor, store, query)
    decided = query.decision if query.decision in Decision.__members__ else None
    rare = [w for w in by_count if known[w][1] <= max(_COMMON * top, _FIRST_LOOK)]
    if rare or decided:
        keys = fits(_candidates(cursor, [known[w][0] for w in rare], decided, top))
        for word in by_count[len(rare) :]:
            bits = _bits(cursor, store, known[word][0], indexed)
            keys = keys[(bits[keys >> 3] >> (7 - (keys & 7)).astype(np.uint8)) & 1 == 1]
        start, size = 0, _FIRST_LOOK
        while start < len(keys):
            part = [int(k) for k in keys[start : start + size]]
            yield _holding(cursor, part, phrases) if phrases else part
            start, size = start + size, size * _GROWTH
        return
    size = _FIRST_LOOK
    while top > 0:
        low = max(top - size + 1, 1)
        within = "s.mention_key BETWEEN ? AND ?"
        found = _keys(cursor, "search_claim", within, [*by_count, *phrases], [low, top])
        yield [int(k) for k in fits(np.array(found, dtype=np.int64))]
        top, size = low - 1, size * _GROWTH


def _fitting(
    cursor: duckdb.DuckDBPyConnection, store: Store, query: Query
) -> Callable[[Keys], Keys]:
    """Return what keeps of some mentions those that are shown, and of the outlet and week asked."""
    of_week: Keys | None = None
    if query.week:
        of_week = cursor.execute(
            "SELECT DISTINCT mention_key FROM run_mention WHERE run_key IN"
            " (SELECT run_key FROM run WHERE week = ?)",
            [query.week],
        ).fetchnumpy()["mention_key"]
    settled: Keys | None = None
    if query.decision == WAITING:
        settled = cursor.execute("SELECT mention_key FROM decided_mention").fetchnumpy()[
            "mention_key"
        ]

    def fits(keys: Keys) -> Keys:
        found = store.claims.shown(cursor, keys, query.outlet)
        if of_week is not None:
            found = found[np.isin(found, of_week)]
        if settled is not None:
            found = found[~np.isin(found, settled)]
        return found

    return fits


def _candidates(
    cursor: duckdb.DuckDBPyConnection, terms: Sequence[int], decided: str | None, top: int
) -> Keys:
    """Return the mentions that hold all these words, the rarest first; the newest mention first."""
    parts = [f"SELECT mention_key FROM search_posting WHERE term_key = {t}" for t in terms]
    values: list[object] = []
    if decided is not None:
        parts.insert(0, "SELECT mention_key FROM decided_mention WHERE decision = ?")
        values.append(decided)
    joined = f"({parts[0]}) AS p0" + "".join(
        f" SEMI JOIN ({part}) AS p{n} USING (mention_key)" for n, part in enumerate(parts[1:], 1)
    )
    found: Keys = cursor.execute(
        f"SELECT mention_key FROM {joined} WHERE mention_key <= ? ORDER BY mention_key DESC",
        [*values, top],
    ).fetchnumpy()["mention_key"]
    return found


def _bits(
    cursor: duckdb.DuckDBPyConnection, store: Store, term: int, top: int
) -> npt.NDArray[np.uint8]:
    """Return a bit for each mention: whether a common word stands in it. 125 kB at a million."""

    def load() -> npt.NDArray[np.uint8]:
        keys = cursor.execute(
            f"SELECT mention_key FROM search_posting WHERE term_key = {term}"
            f" AND mention_key <= {top}"
        ).fetchnumpy()["mention_key"]
        holds = np.zeros(top + 1, dtype=np.bool_)
        holds[keys] = True
        return np.packbits(holds)

    return store.facts.once(("word", term, top), load)


def _holding(
    cursor: duckdb.DuckDBPyConnection, keys: Sequence[int], phrases: Sequence[str]
) -> list[int]:
    """Return those of ``keys`` in whose text the phrases stand."""
    here = few("SELECT mention_key, folded FROM search_claim", "mention_key", keys)
    return _keys(cursor, f"({here})", "true", phrases, [])


def _keys(
    cursor: duckdb.DuckDBPyConnection,
    claims: str,
    where: str,
    texts: Sequence[str],
    values: Sequence[object],
) -> list[int]:
    """Return the mentions among ``claims`` in whose folded text all of ``texts`` stand."""
    rows = cursor.execute(
        f"SELECT s.mention_key FROM {claims} AS s WHERE {where}"
        + " AND contains(s.folded, ?)" * len(texts)
        + " ORDER BY 1 DESC",
        [*values, *(f" {text} " for text in texts)],
    ).fetchall()
    return [int(key) for (key,) in rows]


def _details(cursor: duckdb.DuckDBPyConnection, store: Store, keys: Sequence[int]) -> list[Hit]:
    """Return what is shown of these mentions, in their order."""
    if not keys:
        return []
    decided = details.settled(cursor, store.acts.reviewed(keys))
    return [
        Hit(
            decision=decided[r["mention_key"]][0] if r["mention_key"] in decided else None,
            **{f.name: r[f.name] for f in fields(Hit) if f.name != "decision"},
        )
        for r in appearances(cursor, keys)
    ]
