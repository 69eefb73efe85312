"""Assertion queries: what keys and constraints would promise, checked instead of enforced."""

from __future__ import annotations

from typing import Final

import duckdb

_CHECKS: Final = (
    ("doubled run {}", "SELECT run_id FROM run GROUP BY 1 HAVING count(*) > 1"),
    ("doubled article {}", "SELECT article_id FROM article GROUP BY 1 HAVING count(*) > 1"),
    ("doubled mention {}", "SELECT mention_id FROM mention GROUP BY 1 HAVING count(*) > 1"),
    ("doubled document {}", "SELECT doc_id FROM document GROUP BY 1 HAVING count(*) > 1"),
    (
        "doubled passage {}",
        "SELECT passage_id FROM passage GROUP BY passage_id, sha256 HAVING count(*) > 1",
    ),
    (
        "doubled judgement {}",
        "SELECT judgement_id FROM judgement GROUP BY judgement_id, content_sha256"
        " HAVING count(*) > 1",
    ),
    ("doubled account {}", "SELECT name FROM account GROUP BY 1 HAVING count(*) > 1"),
    ("doubled review {}", "SELECT review_key FROM review GROUP BY 1 HAVING count(*) > 1"),
    (
        "mention {} without its article",
        "SELECT mention_id FROM mention ANTI JOIN article USING (article_key)",
    ),
    (
        "judgement {} without its mention",
        "SELECT judgement_id FROM judgement ANTI JOIN mention USING (mention_key)",
    ),
    (
        "judgement {} names a passage that is not there",
        "SELECT judgement_key FROM judgement_evidence ANTI JOIN passage USING (passage_key)",
    ),
    (
        "flag {} without a passage",
        "SELECT judgement_id FROM judgement WHERE flagged AND judgement_key NOT IN"
        " (SELECT judgement_key FROM judgement_evidence)",
    ),
    (
        "review {} without its mention",
        "SELECT review_key FROM review ANTI JOIN mention USING (mention_key)",
    ),
    (
        "review {} cites a passage that is not there",
        "SELECT review_key FROM (SELECT review_key, unnest(cited_passages) AS passage_id"
        " FROM review) ANTI JOIN passage USING (passage_id)",
    ),
    ("claim {} is in two hands", "SELECT claim_id FROM lease GROUP BY 1 HAVING count(*) > 1"),
    (
        "mention {} is planned twice for two reviewers",
        "SELECT mention_key FROM double_review GROUP BY 1 HAVING count(*) > 1",
    ),
    (
        "adjudication {} without its review",
        "SELECT adjudication_key FROM adjudication ANTI JOIN review USING (review_key)",
    ),
    (
        "reopening {} without its review",
        "SELECT reopening_key FROM reopening ANTI JOIN review USING (review_key)",
    ),
    (
        "run {} has lost rows",
        "SELECT run_id FROM run AS r WHERE"
        " articles <> (SELECT count(*) FROM run_article AS x WHERE x.run_key = r.run_key)"
        " OR mentions <> (SELECT count(*) FROM run_mention AS x WHERE x.run_key = r.run_key)"
        " OR judgements <> (SELECT count(*) FROM run_judgement AS x WHERE x.run_key = r.run_key)",
    ),
)


def problems(cursor: duckdb.DuckDBPyConnection) -> list[str]:
    """Return one line for each kind of row that must not be there; empty when all is well."""
    found = []
    for words, query in _CHECKS:
        row = cursor.execute(f"SELECT * FROM ({query}) LIMIT 1").fetchone()
        if row is not None:
            found.append(words.format(row[0]))
    return found
