"""The columns of mentions, judgements and passages, and what stands beside a judgement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import duckdb

from kiemchung.domain import Difference, Distortion
from kiemchung.store import convert

MENTION: Final = (
    "m.mention_key, m.mention_id, a.article_id, m.claim_id, m.start_char AS start,"
    ' m.end_char AS "end", m.text, m.checkability, m.check_worthiness, m.speech, m.as_of,'
    " m.as_of_method"
)
JUDGEMENT: Final = (
    "j.judgement_key, j.judgement_id, j.model_id, j.base_version, j.threshold,"
    " j.status, j.label, j.nei_reason, j.p_supported, j.p_refuted, j.p_nei, j.flagged, j.error"
)
PASSAGE: Final = (
    "p.passage_key, p.passage_id, p.doc_id, p.kind, p.locator, p.text, p.citation, p.valid_from,"
    " p.valid_to, p.url, p.topic, p.cues, p.excludes, p.conditions, p.supersedes, p.series,"
    " p.unit, p.as_of, p.checked"
)
OPT_OUTS: Final = (
    "(SELECT list(o.opt_out ORDER BY o.opt_out) FROM article_opt_out AS o"
    " WHERE o.article_key = a.article_key)"
)


def evidence(
    cursor: duckdb.DuckDBPyConnection, where: str, parameters: Sequence[object] = ()
) -> dict[int, list[dict[str, Any]]]:
    """Return the passages beside each judgement that ``where`` names, in their order."""
    rows = convert.records(
        cursor,
        "SELECT e.judgement_key, e.rank, e.score, e.on_point, p.sha256 AS passage_sha256,"
        f" {PASSAGE} FROM judgement_evidence AS e JOIN passage AS p USING (passage_key)"
        f" WHERE {where} ORDER BY e.judgement_key, e.rank",
        parameters,
    )
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["judgement_key"]].append(row)
    return found


def differences(
    cursor: duckdb.DuckDBPyConnection, where: str, parameters: Sequence[object] = ()
) -> dict[int, list[Difference]]:
    """Return the differences of each judgement that ``where`` names, in their order."""
    rows = convert.records(
        cursor,
        f"SELECT * FROM judgement_difference WHERE {where} ORDER BY judgement_key, ordinal",
        parameters,
    )
    found: dict[int, list[Difference]] = defaultdict(list)
    for row in rows:
        found[row["judgement_key"]].append(
            Difference(
                kind=Distortion(row["kind"]),
                claim=row["claim"],
                evidence=row["evidence"],
                start=row["start_char"],
                end=row["end_char"],
            )
        )
    return found
