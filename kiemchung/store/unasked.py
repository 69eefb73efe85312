"""Claims that nobody is asked about yet: what a choice for the model's sake is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kiemchung.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Unasked:
    """A claim beside the passage that the model read; of its origin nothing is told."""

    mention_key: int
    mention_id: str
    claim_id: str
    text: str
    passage_id: str
    passage: str


# What is flagged or drawn for the sample waits for a person anyway. Where no passage was on point
# the model was asked nothing, and a label would teach it nothing.
_UNASKED: Final = """
WITH shown AS (
    SELECT judgement_key, arg_min(passage_key, rank) AS passage_key
    FROM judgement_evidence WHERE on_point GROUP BY judgement_key
)
SELECT m.mention_key, m.mention_id, m.claim_id, m.text, p.passage_id, p.text AS passage
FROM current_judgement AS c
JOIN run AS r ON r.run_key = c.run_key
JOIN judgement AS j ON j.judgement_key = c.judgement_key
JOIN mention AS m ON m.mention_key = c.mention_key
JOIN shown AS s ON s.judgement_key = c.judgement_key
JOIN passage AS p ON p.passage_key = s.passage_key
WHERE m.checkability = 'CHECKABLE' AND NOT j.flagged AND j.p_nei IS NOT NULL
    AND (?::VARCHAR IS NULL OR r.week = ?)
    AND NOT EXISTS (
        SELECT 1 FROM current_review AS d JOIN mention AS o ON o.mention_key = d.mention_key
        WHERE o.claim_id = m.claim_id AND d.decision <> 'SKIPPED'
    )
    AND NOT EXISTS (
        SELECT 1 FROM selection AS w JOIN mention AS o ON o.mention_key = w.mention_key
        WHERE o.claim_id = m.claim_id
    )
QUALIFY row_number() OVER (PARTITION BY m.claim_id ORDER BY m.mention_key) = 1
ORDER BY m.claim_id
"""


def unasked(store: Store, *, week: str | None = None) -> list[Unasked]:
    """Return one mention of each checkable claim that was judged, not flagged, drawn or decided.

    Raises:
        StoreError: the database failed.
    """
    return [Unasked(**row) for row in store._read(_UNASKED, [week, week])]
