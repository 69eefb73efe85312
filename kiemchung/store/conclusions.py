"""The standing conclusions as columns, with what lay before the reviewer: the base of a data set.

Every row of ``review`` ends in exactly one named state, so that the sums of a data set can be held
against the store. Nothing here leaves the house by itself: names stay behind, the form tokens are
only there to be hashed, and `pipeline.dataset` decides what is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import duckdb

from kiemchung.store import convert
from kiemchung.store.connection import ROOM, quoted
from kiemchung.store.decided import OPT_OUTS, cited_wording
from kiemchung.store.forgetting import PREFIX

if TYPE_CHECKING:
    import pyarrow as pa

    from kiemchung.store.store import Store

STANDS: Final = "stands"
STATES: Final = {
    "undo": "the undoing of another one",
    "undone": "taken back by the one who made it",
    "withdrawn": "withdrawn with a reason",
    "evidence_replaced": "the passages that it rested on were replaced",
    "changed": "the same person concluded anew later",
    "skipped": "skipped: no conclusion",
    "before_adjudication": "one of the opinions between which an adjudicator decided",
    "disputed": "reviewers differ and nobody has decided",
    "awaits_second": "planned for two people, of whom one has concluded",
    "seconded": "an equal second conclusion on the same mention",
    STANDS: "stands",
}
"""Where a row of ``review`` can end; each in exactly one of them."""

_STATES: Final = f"""
SELECT r.review_key, CASE
    WHEN r.undoes IS NOT NULL THEN 'undo'
    WHEN u.undoes IS NOT NULL THEN 'undone'
    WHEN b.withdrawn THEN 'withdrawn'
    WHEN b.review_key IS NOT NULL THEN 'evidence_replaced'
    WHEN c.review_key IS NULL THEN 'changed'
    WHEN c.decision = 'SKIPPED' THEN 'skipped'
    WHEN n.review_key IS NOT NULL THEN '{STANDS}'
    WHEN s.adjudicated_by IS NOT NULL THEN 'before_adjudication'
    WHEN s.decisions > 1 THEN 'disputed'
    WHEN s.doubled AND s.conclusions < 2 THEN 'awaits_second'
    ELSE 'seconded' END AS state
FROM review AS r
LEFT JOIN (SELECT DISTINCT undoes FROM review WHERE undoes IS NOT NULL) AS u
    ON u.undoes = r.review_key
LEFT JOIN (
    SELECT review_key, bool_or(cause = 'withdrawn') AS withdrawn FROM reopening GROUP BY review_key
) AS b ON b.review_key = r.review_key
LEFT JOIN counting_review AS c ON c.review_key = r.review_key
LEFT JOIN current_review AS n ON n.review_key = r.review_key
LEFT JOIN mention_standing AS s ON s.mention_key = r.mention_key
"""
_OPTED: Final = ", ".join(quoted(o) for o in sorted(OPT_OUTS))
# An article that several weekly runs hold was new once: its mentions belong to the first of them.
# The selection is the one that was written down with the conclusion.
_ROWS: Final = f"""
SELECT r.review_key, r.account_key, r.decision, r.decision_before_model, r.shown_model,
    r.distortions, r.selected_as, r.probability, r.form_token,
    epoch_us(r.created_at) AS created_us,
    m.mention_id, m.claim_id, m.text, m.as_of::VARCHAR AS as_of,
    coalesce(nullif(a.story_id, ''), a.article_id) AS story,
    coalesce(nullif(a.canonical_url, ''), a.url) AS page,
    starts_with(a.url, {quoted(PREFIX)}) AS forgotten,
    a.noarchive OR o.article_key IS NOT NULL AS refused,
    w.week, j.label AS model_label, j.p_refuted,
    x.review_key IS NOT NULL AS adjudicated, coalesce(k.copies, 0) AS copies
FROM n_stands AS n
JOIN review AS r ON r.review_key = n.review_key
JOIN mention AS m ON m.mention_key = r.mention_key
JOIN article AS a ON a.article_key = m.article_key
LEFT JOIN (
    SELECT DISTINCT article_key FROM article_opt_out WHERE opt_out IN ({_OPTED})
) AS o ON o.article_key = a.article_key
LEFT JOIN (
    SELECT x.mention_key, min(r.week) AS week
    FROM run_mention AS x JOIN run AS r USING (run_key) GROUP BY x.mention_key
) AS w ON w.mention_key = r.mention_key
LEFT JOIN judgement AS j ON j.judgement_key = r.judgement_key
LEFT JOIN (SELECT DISTINCT review_key FROM adjudication) AS x ON x.review_key = r.review_key
LEFT JOIN (
    SELECT review_key, count(*) FILTER (covered) AS copies FROM review_copy GROUP BY review_key
) AS k ON k.review_key = r.review_key
ORDER BY r.review_key
"""
_WORDING: Final = cited_wording(
    "w.review_key, w.place, p.passage_key", "SEMI JOIN n_stands USING (review_key)"
)
_CITED: Final = (
    "SELECT review_key, list(passage_key ORDER BY place) AS passages"
    f" FROM ({_WORDING}) GROUP BY review_key"
)
# What lay before somebody who cited nothing: the passages on point, else all that were shown.
_SHOWN: Final = """
SELECT r.review_key, coalesce(
        list(e.passage_key ORDER BY e.rank) FILTER (e.on_point),
        list(e.passage_key ORDER BY e.rank)
    ) AS passages
FROM review AS r SEMI JOIN n_stands AS n ON n.review_key = r.review_key
JOIN judgement_evidence AS e ON e.judgement_key = r.judgement_key
WHERE len(r.cited_passages) = 0
GROUP BY r.review_key
"""

WINDOW: Final = 600
"""Letters before and behind a claim within which its neighbours are looked for."""
_AROUND: Final = f"""
SELECT r.review_key, substring(t.text, greatest(m.start_char - {WINDOW}, 0) + 1,
        least(m.start_char, {WINDOW})) AS before,
    substring(t.text, m.end_char + 1, {WINDOW}) AS after
FROM n_stands AS n
JOIN review AS r ON r.review_key = n.review_key
JOIN mention AS m ON m.mention_key = r.mention_key
JOIN (
    SELECT article_key,
        concat_ws(E'\n\n', nullif(title, ''), nullif(lead, ''), nullif(body, '')) AS text
    FROM article
) AS t ON t.article_key = m.article_key
ORDER BY r.review_key
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusions:
    """All standing conclusions, and where every other act of a reviewer ended.

    ``rows`` has one row a standing conclusion, in the order in which they were made; ``evidence``
    the keys of the passages beside each, in their order, and ``passages`` the id and wording of
    each key. ``states`` counts every row of ``review`` by its state and sums to ``reviews``.
    """

    rows: pa.Table
    evidence: dict[int, tuple[int, ...]]  # review_key -> passage keys; absent: nothing lay there
    passages: dict[int, tuple[str, str]]  # passage_key -> (passage_id, wording)
    states: dict[str, int]
    reviews: int


def conclusions(store: Store) -> Conclusions:
    """Return the standing conclusions of ``store`` and the states of all others."""
    with store._room(ROOM), store._cursor() as cursor:
        states = cursor.execute(_STATES).to_arrow_table()
        (reviews,) = cursor.execute("SELECT count(*) FROM review").fetchone() or (0,)
        cursor.register("n_states", states)
        try:
            stands = cursor.execute(
                f"SELECT review_key FROM n_states WHERE state = {quoted(STANDS)}"
            ).to_arrow_table()
            counted = dict(
                cursor.execute("SELECT state, count(*) FROM n_states GROUP BY state").fetchall()
            )
        finally:
            cursor.unregister("n_states")
        cursor.register("n_stands", stands)
        try:
            rows = cursor.execute(_ROWS).to_arrow_table()
            evidence = _lists(cursor, _CITED) | _lists(cursor, _SHOWN)
        finally:
            cursor.unregister("n_stands")
        wordings = convert.records(cursor, "SELECT passage_key, passage_id, text FROM passage")
    return Conclusions(
        rows=rows,
        evidence=evidence,
        passages={int(p["passage_key"]): (p["passage_id"], p["text"]) for p in wordings},
        states={name: int(counted.get(name, 0)) for name in STATES},
        reviews=int(reviews),
    )


def around(store: Store, review_keys: pa.Table) -> dict[int, tuple[str, str]]:
    """Return what stands before and behind the claim of each conclusion, at most `WINDOW` letters.

    ``review_keys`` has one column of that name in the singular. It is text of the article: only for
    whoever may use it, and never for a page that reserves its words.
    """
    with store._room(ROOM), store._cursor() as cursor:
        cursor.register("n_stands", review_keys)
        try:
            table = cursor.execute(_AROUND).to_arrow_table()
        finally:
            cursor.unregister("n_stands")
    columns = (table[name].to_pylist() for name in ("review_key", "before", "after"))
    return {key: (before, after) for key, before, after in zip(*columns, strict=True)}


def _lists(cursor: duckdb.DuckDBPyConnection, query: str) -> dict[int, tuple[int, ...]]:
    """Return the passage keys of each review, each once, in their order."""
    found: dict[int, tuple[int, ...]] = {}
    shared: dict[tuple[Any, ...], tuple[int, ...]] = {}  # a few hundred lists for all reviews
    table = cursor.execute(query).to_arrow_table()
    for key, passages in zip(
        table["review_key"].to_pylist(), table["passages"].to_pylist(), strict=True
    ):
        found[key] = shared.setdefault(tuple(passages), tuple(dict.fromkeys(passages)))
    return found
