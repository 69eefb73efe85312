"""Decisions of people as pairs for training: the one form in which they leave the store.

A data set is a folder (written by ``kiemchung export --dataset``):

```
dataset.json      format, version, counts, splits, licence notes, SHA-256 of each file and of itself
DATA_CARD.md      the same for a reader
train.jsonl       one `ReviewedPair` a line; the same for dev.jsonl and test.jsonl
```
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kiemchung.domain import Distortion, Label
from kiemchung.errors import InputError

SPLITS: Final = ("train", "dev", "test")
SELECTED: Final = ("flag", "sample", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedPair:
    """A claim, the wording that a person set beside it, and what they concluded.

    ``reviewer`` is a pseudonym that holds within one data set only. ``probability`` is that of the
    selection into review, in (0, 1]; None where nobody had drawn it (opened by hand), so that an
    estimate for all claims cannot be made of it. ``story`` groups copies and rewrites of one text.
    ``week`` is the ISO week of the article's run. Of an article it holds the span alone;
    where its owner reserves text mining, ``claim`` is empty and the hash stands for it.
    """

    pair_id: str
    claim: str
    claim_sha256: str
    evidence: str  # the passages' wordings, joined as the model reads them
    passages: tuple[str, ...]
    label: Label  # CONFLICTING is possible; a three-way trainer leaves it out and counts it
    distortions: tuple[Distortion, ...]
    reviewer: str
    week: str
    story: str
    claim_id: str
    as_of: str  # ISO date that the claim is about
    selected_as: str  # one of SELECTED
    probability: float | None
    decision_before_model: str | None
    shown_model: bool
    adjudicated: bool
    model_label: str | None  # what the machine had suggested; None: abstained, failed, not judged
    p_refuted: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values in the order of the fields, for one line of JSON."""
        return dataclasses.asdict(self)


def from_dict(row: Mapping[str, Any], *, where: str) -> ReviewedPair:
    """Return the pair of one line.

    Raises:
        InputError: a field is missing, unknown or of another kind; ``where`` names file and line.
    """
    names = {f.name for f in dataclasses.fields(ReviewedPair)}
    if set(row) != names:
        odd = sorted(names ^ set(row))
        raise InputError(
            f"missing or unknown fields: {', '.join(odd)}",
            where=where,
            remedy="write the data set anew: kiemchung export --dataset DIR",
        )
    try:
        probability = row["probability"]
        if probability is not None and not 0.0 < float(probability) <= 1.0:
            raise ValueError(f"a selection probability of {probability}")
        if row["selected_as"] not in SELECTED:
            raise ValueError(f"selected as {row['selected_as']!r}")
        return ReviewedPair(
            **{
                **row,
                "label": Label(row["label"]),
                "passages": tuple(map(str, row["passages"])),
                "distortions": tuple(Distortion(d) for d in row["distortions"]),
                "probability": None if probability is None else float(probability),
            }
        )
    except (ValueError, TypeError) as error:
        raise InputError(str(error), where=where, remedy="write the data set anew") from error


def read_split(folder: Path, name: str) -> list[ReviewedPair]:
    """Return the pairs of one split; that the files are as written is `verify`'s business.

    Raises:
        InputError: no such split, or a line that is no pair.
    """
    path = folder / f"{name}.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"no split here: {error}", where=str(path), remedy="kiemchung export --dataset DIR"
        ) from error
    found = []
    for number, line in enumerate(lines, start=1):
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"no JSON: {error}", where=where) from error
        if not isinstance(row, dict):
            raise InputError("no JSON object", where=where)
        found.append(from_dict(row, where=where))
    return found


def lines_of(pairs: Sequence[ReviewedPair]) -> bytes:
    """Return the bytes of one split, a line a pair, in the order given."""
    text = "".join(json.dumps(p.as_dict(), ensure_ascii=False) + "\n" for p in pairs)
    return text.encode("utf-8")
