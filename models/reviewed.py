"""Decisions of people as pairs for training: the one form in which they leave the store.

A data set is a folder (written by ``kiemchung export --dataset``):

```
dataset.json      format, version, counts, splits, licence notes, SHA-256 of each file and of itself
DATA_CARD.md      the same for a reader
train.jsonl       one `ReviewedPair` a line; the same for dev.jsonl and test.jsonl
outside.jsonl     pairs that no split may hold, because an earlier one has the same; for estimates
```

docs/dataset.md explains it to researchers.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kiemchung.domain import LABEL_ORDER, Distortion, Label
from kiemchung.errors import DamagedFileError, InputError
from kiemchung.sealed import canonical_sha256, check_listed
from kiemchung.shards import write_bytes_atomically

SPLITS: Final = ("train", "dev", "test")
OUTSIDE: Final = "outside"
MANIFEST: Final = "dataset.json"
CARD: Final = "DATA_CARD.md"
FORMAT: Final = 1
KIND: Final = "kiemchung reviewed pairs"
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
        return {name: getattr(self, name) for name in _NAMES}

    @property
    def trainable(self) -> bool:
        """Whether a three-way model can learn from it: both texts there, and one of its labels."""
        return bool(self.claim and self.evidence) and self.label in LABEL_ORDER


_NAMES: Final = tuple(f.name for f in dataclasses.fields(ReviewedPair))


def from_dict(row: Mapping[str, Any], *, where: str) -> ReviewedPair:
    """Return the pair of one line.

    Raises:
        InputError: a field is missing, unknown or of another kind; ``where`` names file and line.
    """
    if set(row) != set(_NAMES):
        odd = sorted(set(_NAMES) ^ set(row))
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
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"no split here: {error}", where=str(path), remedy="kiemchung export --dataset DIR"
        ) from error
    found = []
    # Not splitlines(): a claim may hold a line separator (U+2028), which JSON leaves as it is.
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else (), start=1):
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
    return "".join(map(line_of, pairs)).encode("utf-8")


def line_of(pair: ReviewedPair) -> str:
    """Return one pair as a line of JSON."""
    return json.dumps(pair.as_dict(), ensure_ascii=False) + "\n"


# -- the folder as a whole -------------------------------------------------------------------------

_REMEDY: Final = "restore the folder from where it came, or write it anew: kiemchung export"


def _written(body: Mapping[str, Any]) -> str:
    whole = {**body, "manifest_sha256": canonical_sha256(body)}
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


def write_manifest(folder: Path, body: Mapping[str, Any]) -> None:
    """Write dataset.json with a hash of itself; last of all, so that half a set has none."""
    write_bytes_atomically(folder / MANIFEST, _written(body).encode("utf-8"))


def verify(folder: Path) -> dict[str, Any]:
    """Return the manifest of a data set after every file was hashed.

    Raises:
        DamagedFileError: no manifest, one that was edited, a file that is missing, changed or not
            listed.
    """
    where = folder / MANIFEST
    try:
        text = where.read_text(encoding="utf-8")
        body: dict[str, Any] = json.loads(text)
        body.pop("manifest_sha256")
        if text != _written(body):
            raise ValueError("the manifest was changed after it was written")
        if (body["kind"], body["format"]) != (KIND, FORMAT):
            raise ValueError(f"{body['kind']!r}, format {body['format']}")
        files = {str(name): str(facts["sha256"]) for name, facts in body["files"].items()}
        if missing := {f"{name}.jsonl" for name in SPLITS} - set(files):
            raise ValueError(f"no {', '.join(sorted(missing))} is listed")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedFileError(f"no data set: {error}", where=str(where), remedy=_REMEDY) from error
    check_listed(folder, files, beside={MANIFEST}, error=DamagedFileError, remedy=_REMEDY)
    return body
