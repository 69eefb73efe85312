"""Public sets of claims and evidence, read into the one form that this program trains on.

Which column holds what, and which label is which of ours, is pinned here and nowhere guessed: two
sets use 0, 1 and 2 in different orders. A label that is not in the map is an error that names file
and line; a row that gives no pair ends in a named state, and the states sum to the rows.

None of the sets comes with the program, and each has terms of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kiemchung.domain import Label
from kiemchung.errors import AccountingError, InputError
from models.adapters.formats import FORMATS, Format
from models.adapters.reading import rows_of
from nlp.matching import content_key

PAIR: Final = "pairs"
CONFLICTING: Final = "conflicting"
STATES: Final = {
    PAIR: "a pair with one of the three labels",
    CONFLICTING: "a pair whose evidence contradicts itself, which a three-way model cannot learn",
    "other_label": "a label that the set has and we have not",
    "no_consensus": "the annotators did not agree",
    "no_label": "of a hidden test part",
    "no_claim": "without a claim",
    "no_evidence": "without evidence of the kind asked for",
}
"""Where a row can end."""
EVIDENCE: Final = ("gold", "context")


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapted:
    """A public set as lines for `evaluate --jsonl` and `train --pairs`.

    ``pairs`` and ``conflicting`` are plain rows of JSON; ``states`` counts every row of the file.
    """

    pairs: tuple[dict[str, str], ...]
    conflicting: tuple[dict[str, str], ...]
    states: dict[str, int]
    labels: dict[str, int]

    @property
    def rows(self) -> int:
        """Rows of the file."""
        return sum(self.states.values())


def adapt(path: Path, name: str, *, evidence: str | None = None) -> Adapted:
    """Return the pairs of a file of the format ``name``.

    ``evidence`` is "gold" (the sentences that annotators marked) or "context" (the whole text
    around them); None takes what every label of the set has.

    Raises:
        InputError: no such format, the format has no evidence of that kind, or no pair came out.
        RecordError: the file cannot be read; a missing column or an unknown label, with its place.
    """
    if name not in FORMATS:
        raise InputError(f"no format {name!r}", remedy=f"known: {', '.join(FORMATS)}")
    chosen = FORMATS[name]
    kind = evidence or chosen.default
    if kind not in chosen.evidence_kinds:
        raise InputError(
            f"{name} has no evidence of the kind {kind!r}",
            remedy=f"it has: {', '.join(chosen.evidence_kinds)}",
        )
    states = dict.fromkeys(STATES, 0)
    found: dict[str, list[dict[str, str]]] = {PAIR: [], CONFLICTING: []}
    labels: dict[str, int] = {}
    read = 0
    for where, row in rows_of(path):
        read += 1
        state, made = _row(chosen, row, where, kind, fallback=str(read))
        states[state] += 1
        if made is not None:
            found[state].append(made)
            labels[made["label"]] = labels.get(made["label"], 0) + 1
    if sum(states.values()) != read:
        raise AccountingError(f"{read} rows, {sum(states.values())} states", where=str(path))
    if not (found[PAIR] or found[CONFLICTING]):
        told = ", ".join(f"{n} {s}" for s, n in states.items() if n) or "it is empty"
        raise InputError(f"no pair came out: {told}", where=str(path), remedy=chosen.hint)
    return Adapted(
        pairs=tuple(found[PAIR]),
        conflicting=tuple(found[CONFLICTING]),
        states=states,
        labels=dict(sorted(labels.items())),
    )


def _row(
    chosen: Format, row: dict[str, Any], where: str, kind: str, *, fallback: str
) -> tuple[str, dict[str, str] | None]:
    """Return where a row ends, and its pair where it gives one."""
    label = chosen.label(row, where)
    if not isinstance(label, Label):
        return label, None
    claim = chosen.text(row, chosen.claim, where)
    if not claim:
        return "no_claim", None
    context = chosen.text(row, chosen.context, where) if chosen.context else ""
    beside = context if kind == "context" else chosen.gold(row, where)
    if not beside:
        return "no_evidence", None
    source = chosen.text(row, chosen.source, where, optional=True) or context or beside
    made = {
        "id": chosen.text(row, chosen.id, where, optional=True) or fallback,
        "claim": claim,
        "evidence": beside,
        "label": str(label),
        "kind": chosen.name,
        "group": content_key(source),
    }
    if context and "context" in chosen.evidence_kinds:
        made["context"] = context
    return (CONFLICTING if label is Label.CONFLICTING else PAIR), made


def lines_of(rows: tuple[dict[str, str], ...]) -> Iterator[bytes]:
    """Yield rows as lines of JSON."""
    for row in rows:
        yield (json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8")
