"""The audited sample: what people concluded of claims that were selected with a known chance."""

from __future__ import annotations

from typing import Final

from kiemchung.domain import LABEL_ORDER
from kiemchung.store.store import Store

WEEKS: Final = 12
Row = tuple[tuple[float, float, float], int, float]
"""The model's three probabilities, the index of the conclusion, the probability of selection."""

# A claim counts once a week. What was concluded before the suggestion was shown has the word: what
# comes after it follows the machine. Of several models the one that judged last is asked about.
_AUDITED: Final = """
WITH latest AS (SELECT arg_max(model_id, run_key) AS model_id FROM run),
weeks AS (SELECT DISTINCT week FROM run ORDER BY week DESC LIMIT ?),
chosen AS (
    SELECT r.week, m.claim_id, s.mention_key, max(s.probability) AS probability
    FROM selection AS s
    JOIN run AS r USING (run_key)
    JOIN mention AS m USING (mention_key)
    WHERE r.week IN (SELECT week FROM weeks)
    GROUP BY ALL
),
told AS (
    SELECT c.week, c.claim_id, c.mention_key, c.probability, j.p_supported, j.p_refuted, j.p_nei,
        coalesce(d.decision_before_model, d.decision) AS decision
    FROM chosen AS c
    JOIN current_review AS d USING (mention_key)
    JOIN judgement AS j ON j.judgement_key = d.judgement_key
    WHERE j.p_nei IS NOT NULL AND j.model_id = (SELECT model_id FROM latest)
)
SELECT p_supported, p_refuted, p_nei, decision, probability FROM told
WHERE decision IN ('SUPPORTED', 'REFUTED', 'NOT_ENOUGH_INFO')
QUALIFY row_number() OVER (PARTITION BY week, claim_id ORDER BY mention_key) = 1
ORDER BY week, claim_id
"""
_PLACE: Final = {str(label): i for i, label in enumerate(LABEL_ORDER)}


def audited(store: Store, *, weeks: int = WEEKS) -> list[Row]:
    """Return what people concluded of the selected claims of the latest ``weeks`` weeks.

    Conclusions that are none of the three labels stay out, and so do claims that the model failed
    on. No account is named.

    Raises:
        StoreError: the database failed.
    """
    return [
        (
            (float(r["p_supported"]), float(r["p_refuted"]), float(r["p_nei"])),
            _PLACE[str(r["decision"])],
            float(r["probability"]),
        )
        for r in store._read(_AUDITED, [weeks])
    ]
