"""What people should label next for the model's sake: pairs of a file, or claims of the store.

The list is a file; no claim is decided, hidden or put forward by it, and the desk's order stays. A
chosen claim of the store is opened at the desk by its address; what is concluded there is
``selected_as`` none, so that no estimate for all claims is made of it. The random part and the
order ``weighted`` have the probability of their selection beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kiemchung.domain import digest
from kiemchung.errors import InputError
from models.active import Candidates, Pick, choose
from models.adapters.reading import pairs_of
from models.comparison import softmax
from models.values import row_of

if TYPE_CHECKING:
    from kiemchung.store import Store
    from models.verdict import VerdictModel

MOST = 5_000
"""Candidates that are scored, the first by hash: half a minute with the shipped model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A pair that waits for a label, with what names it."""

    name: str
    claim: str
    evidence: str
    facts: dict[str, Any]


def read_waiting(path: Path, labelled: Sequence[Path] = ()) -> list[Waiting]:
    """Return the pairs of a JSONL file that no file of ``labelled`` holds.

    Raises:
        RecordError: names file and line.
    """
    known = {digest(w.claim, w.evidence) for other in labelled for w in _lines(other)}
    return [w for w in _lines(path) if digest(w.claim, w.evidence) not in known]


def _lines(path: Path) -> list[Waiting]:
    remedy = 'each line is {"id": ..., "claim": ..., "evidence": ...}'
    return list(pairs_of(path, _waiting, remedy=remedy))


def _waiting(where: str, row: dict[str, Any]) -> Waiting:
    claim, evidence = row["claim"], row["evidence"]
    if not (isinstance(claim, str) and isinstance(evidence, str)):
        raise TypeError("claim and evidence are texts")
    name = str(row.get("id", where.rpartition(":")[2]))  # else the number of its line
    return Waiting(name=name, claim=claim, evidence=evidence, facts={"id": name})


def of_store(store: Store, week: str | None) -> list[Waiting]:
    """Return the claims of an open store that nobody is asked about."""
    from kiemchung.store.unasked import unasked

    return [
        Waiting(
            name=u.mention_id,
            claim=u.text,
            evidence=u.passage,
            facts={
                "mention_id": u.mention_id,
                "claim_id": u.claim_id,
                "passage_id": u.passage_id,
                "address": f"/item/{u.mention_key}?view=all",
            },
        )
        for u in unasked(store, week=week)
    ]


def candidates_of(waiting: Sequence[Waiting], model: VerdictModel) -> Candidates:
    """Return what the choice may know: the model's values and probabilities, and no text.

    Raises:
        InputError: the model fails on a pair.
    """
    from models import registry
    from models.encoder import EncoderModel, form_of

    plain = registry.load(registry.PLAIN) if isinstance(model, EncoderModel) else None
    p, x, other = [], [], []
    for w in waiting:
        x.append(row_of(model, w.claim, w.evidence))
        if isinstance(model, EncoderModel):
            p.append(softmax(model.layers[form_of(w.evidence)].logits(x[-1])))
        else:
            p.append(_asked(model, w))
        if plain is not None:
            other.append(_asked(plain, w))
    return Candidates(
        p=np.array(p).reshape(len(waiting), 3),
        x=np.array(x).reshape(len(waiting), -1) if waiting else np.zeros((0, 1)),
        other=np.array(other).reshape(len(waiting), 3) if plain is not None else None,
    )


def _asked(model: VerdictModel, w: Waiting) -> np.ndarray[Any, np.dtype[np.float64]]:
    v = model.judge(w.claim, w.evidence)
    if v.p_supported is None or v.p_refuted is None or v.p_nei is None:
        raise InputError(f"{model.model_id} fails on it: {v.error}", where=w.name)
    return np.array([v.p_supported, v.p_refuted, v.p_nei])


def chosen(
    waiting: Sequence[Waiting],
    model: VerdictModel,
    n: int,
    *,
    strategy: str,
    seed: int,
    random_share: float,
) -> dict[str, Any]:
    """Return the list: what it was made with and a row for each chosen pair, in reading order.

    Raises:
        InputError: nothing waits, or see `models.active.choose`.
    """
    if not waiting:
        raise InputError("no pair waits for a label", remedy="another file or week")
    rank = sorted(range(len(waiting)), key=lambda i: digest("choose", str(seed), waiting[i].name))
    scored = [waiting[i] for i in sorted(rank[:MOST])]
    share = len(scored) / len(waiting)
    picks = choose(
        candidates_of(scored, model), n, strategy=strategy, seed=seed, random_share=random_share
    )
    # Random and chosen ones are mixed, so that whoever reads cannot tell them apart by their place.
    picks = sorted(picks, key=lambda q: digest("order", str(seed), scored[q.place].name))
    return {
        "format": 1,
        "model_id": model.model_id,
        "strategy": strategy,
        "seed": seed,
        "random_share": random_share,
        "candidates": len(waiting),
        "scored": len(scored),
        "rows": [_row(q, scored[q.place], share) for q in picks],
    }


def _row(pick: Pick, of: Waiting, share: float) -> dict[str, Any]:
    chance = None if pick.probability is None else pick.probability * share
    return {**of.facts, "reason": pick.reason, "probability": chance}
