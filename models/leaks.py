"""What two parts of a data set share: duplicates, rewrites, sources, contradictions, and where.

A model that has seen a test claim in training is measured on its memory. Public sets are full of
it, because they are split row by row while their rows come in families. So before a figure is
believed: `kiemchung data leaks train.jsonl test.jsonl`.

A leak is told once for each row of the later part, with the first row of an earlier part that it
meets; the order of the parts is the order in which they are given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.adapters.reading import pairs_of
from nlp import near

KINDS: Final = {
    "same_claim": "the claim has the same words",
    "near_claim": "the claim has nearly the same words and the same numbers",
    "same_story": "the same story",
    "same_claim_id": "the same canonical claim",
    "same_group": "the same source by its group",
    "same_context": "the same article",
    "near_context": "nearly the same article",
    "same_evidence": "the same evidence",
    "claim_in_evidence": "the claim stands in the other part's evidence",
    "conflict": "the same claim beside the same evidence with another label",
}
"""``conflict`` is looked for inside a part as well; all others between parts only."""
OF_A_BASE: Final = frozenset({"same_evidence", "claim_in_evidence"})
"""No leak where all evidence is one closed base that every part may cite."""
ARTICLE: Final = 40
"""Words from which two texts are compared as articles; shorter ones share too much by chance."""
ARTICLES_ALIKE: Final = 0.5
PHRASE: Final = 6
"""Words from which a claim is looked for in evidence."""
_KEYS: Final = ("story", "claim_id", "group")
_REMEDY: Final = 'each line is {"claim": ..., "evidence": ..., "label": ...}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a data set, as columns of equal length; ``keys`` name the sources of each row.

    Empty texts and keys are equal to nothing.
    """

    name: str
    where: Sequence[str]
    claims: Sequence[str]
    evidence: Sequence[str]
    contexts: Sequence[str]
    labels: Sequence[str]
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    of_a_base: bool = False  # its evidence are passages of one base


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A row of a later part, and the row of an earlier part that it meets."""

    kind: str
    where: str
    other: str
    share: float = 1.0  # how much of the words, for what is near


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All leaks, by kind in the order of `KINDS`; ``repeats`` counts equal claims inside a part."""

    parts: dict[str, int]  # rows
    leaks: dict[str, tuple[Leak, ...]]
    repeats: dict[str, int]

    @property
    def total(self) -> int:
        """Leaks of all kinds; a row can have several."""
        return sum(len(found) for found in self.leaks.values())

    def as_dict(self, *, limit: int | None = None) -> dict[str, Any]:
        """Return plain values, of each kind the first ``limit`` leaks."""
        return {
            "parts": self.parts,
            "leaks": {kind: len(found) for kind, found in self.leaks.items()},
            "repeats_inside": self.repeats,
            "where": {
                kind: [[x.where, x.other, round(x.share, 3)] for x in found[:limit]]
                for kind, found in self.leaks.items()
                if found
            },
        }


def _with_claim(where: str, row: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if not isinstance(row["claim"], str):
        raise TypeError(f"a claim that is {type(row['claim']).__name__}")
    return where, row


def read_part(path: Path) -> Part:
    """Return a JSONL file of pairs as a part: lines of `reviewed`, or of ``claim``, ``evidence`` …

    Raises:
        RecordError: the file cannot be read, or a line has no claim.
    """
    places, rows = [], []
    for where, row in pairs_of(path, _with_claim, remedy=_REMEDY):
        places.append(where)
        rows.append(row)

    def column(name: str) -> list[str]:
        return [str(value) if (value := row.get(name)) is not None else "" for row in rows]

    return Part(
        name=str(path),
        where=places,
        claims=column("claim"),
        evidence=column("evidence"),
        contexts=column("context"),
        labels=column("label"),
        keys={name: column(name) for name in _KEYS},
        of_a_base=bool(rows) and all("passages" in row for row in rows),
    )


@dataclass(slots=True)
class _All:
    """The rows of all parts, one behind the other."""

    part: NDArray[np.int64]
    where: list[str]
    claims: near.Texts
    evidence: near.Texts
    contexts: near.Texts


def find(
    parts: Sequence[Part], *, shared_evidence: bool = False, claims: near.Texts | None = None
) -> Report:
    """Return what ``parts`` share; ``shared_evidence`` says that all evidence is one closed base.

    ``claims`` are those of all parts, one behind the other, where they have been taken apart.

    Raises:
        ValueError: columns of different lengths.
    """
    for part in parts:
        columns = (part.claims, part.evidence, part.contexts, part.labels, *part.keys.values())
        if any(len(c) != len(part.where) for c in columns):
            raise ValueError(f"{part.name}: columns of different lengths")
    vocabulary: dict[str, int] = {}
    rows = _All(
        part=np.repeat(np.arange(len(parts)), [len(p.where) for p in parts]),
        where=[w for p in parts for w in p.where],
        claims=claims or near.texts_of((c for p in parts for c in p.claims), vocabulary),
        evidence=_each_once([e for p in parts for e in p.evidence], vocabulary),
        contexts=_each_once([c for p in parts for c in p.contexts], vocabulary, by_numbers=False),
    )
    found: dict[str, list[Leak]] = {kind: [] for kind in KINDS}
    found["same_claim"] = _same(rows, rows.claims.same, "same_claim")
    found["near_claim"] = _near(rows, rows.claims, "near_claim", near.RESEMBLANCE)
    for name in _KEYS:
        values = [v for p in parts for v in p.keys.get(name, [""] * len(p.where))]
        found[f"same_{name}"] = _same(rows, _numbered(values), f"same_{name}")
    found["same_context"] = _same(rows, rows.contexts.same, "same_context")
    found["near_context"] = _near(
        rows, rows.contexts, "near_context", ARTICLES_ALIKE, least=ARTICLE
    )
    if not (shared_evidence or (parts and all(p.of_a_base for p in parts))):
        found["same_evidence"] = _same(rows, rows.evidence.same, "same_evidence")
        found["claim_in_evidence"] = _inside(rows, parts)
    found["conflict"] = _conflicts(rows, [label for p in parts for label in p.labels])
    return Report(
        parts={p.name: len(p.where) for p in parts},
        leaks={kind: tuple(leaks) for kind, leaks in found.items()},
        repeats={p.name: _repeats(rows.claims.same[rows.part == n]) for n, p in enumerate(parts)},
    )


def _each_once(
    texts: list[str], vocabulary: dict[str, int], *, by_numbers: bool = True
) -> near.Texts:
    """Return texts as numbers, each different one taken apart once: evidence recurs."""
    place: dict[str, int] = {}
    at = np.array([place.setdefault(t, len(place)) for t in texts], dtype=np.int64)
    return near.texts_of(place, vocabulary, by_numbers=by_numbers).take(at)


def _numbered(values: Sequence[str]) -> NDArray[np.uint64]:
    """Return equal numbers for equal values, 0 for an empty one."""
    known: dict[str, int] = {"": 0}
    return np.array([known.setdefault(v, len(known)) for v in values], dtype=np.uint64)


def _same(rows: _All, keys: NDArray[np.uint64], kind: str) -> list[Leak]:
    """Return the rows whose key stands in an earlier part, with its first row there."""
    if not len(keys):
        return []
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    origin = first[inverse]  # parts stand in their order, so the first row is of the first part
    late = np.flatnonzero((rows.part[origin] < rows.part) & (keys != 0))
    return [
        Leak(kind=kind, where=rows.where[n], other=rows.where[origin[n]]) for n in late.tolist()
    ]


def _near(
    rows: _All, texts: near.Texts, kind: str, threshold: float, *, least: int = 1
) -> list[Leak]:
    """Return the rows that are near to one of an earlier part and the same as none there."""
    long = texts.sizes() >= least
    # Each wording once a part: what is the same was told already.
    _, once = np.unique(np.stack([rows.part.astype(np.uint64), texts.same]), axis=1,
                        return_index=True)  # fmt: skip
    chosen = np.zeros(len(rows.part), np.bool_)
    chosen[once] = True
    chosen &= long & (texts.same != 0)
    found: list[Leak] = []
    for number in range(1, int(rows.part.max(initial=0)) + 1):
        later = np.flatnonzero(chosen & (rows.part == number))
        earlier = np.flatnonzero(chosen & (rows.part < number))
        if not (len(later) and len(earlier)):
            continue
        left, right, share = near.near(texts.take(earlier), texts.take(later), threshold=threshold)
        known = np.isin(texts.same[later], texts.same[earlier])
        best: dict[int, tuple[float, int]] = {}
        for a, b, s in zip(left.tolist(), right.tolist(), share.tolist(), strict=True):
            if not known[b] and s > best.get(b, (0.0, 0))[0]:
                best[b] = s, a
        copies = _places(texts.same, np.flatnonzero(rows.part == number))
        for b, (s, a) in best.items():
            found += [
                Leak(kind=kind, where=rows.where[n], other=rows.where[earlier[a]], share=s)
                for n in copies[int(texts.same[later[b]])]
            ]
    return found


def _places(same: NDArray[np.uint64], rows: NDArray[np.int64]) -> dict[int, list[int]]:
    places: dict[int, list[int]] = {}
    for n in rows.tolist():
        places.setdefault(int(same[n]), []).append(n)
    return places


def _inside(rows: _All, parts: Sequence[Part]) -> list[Leak]:
    """Return the claims that stand word for word in the evidence or context of another part."""
    words = [near.plain_words(c) for p in parts for c in p.claims]
    phrases = _telling(words)
    firsts = {phrase[0] for phrase in phrases}
    found: dict[int, Leak] = {}
    at = 0
    for number, part in enumerate(parts):
        seen: set[str] = set()
        for n, (evidence, context) in enumerate(zip(part.evidence, part.contexts, strict=True)):
            for text in (evidence, context):
                if not text or text in seen:
                    continue
                seen.add(text)
                for claim in _claims_in(near.plain_words(text), words, phrases, firsts):
                    if rows.part[claim] != number:
                        found.setdefault(
                            claim,
                            Leak(
                                kind="claim_in_evidence",
                                where=rows.where[claim],
                                other=rows.where[at + n],
                            ),
                        )
        at += len(part.where)
    return [found[n] for n in sorted(found)]


_Phrases = dict[tuple[str, ...], list[tuple[int, int]]]


def _telling(words: list[list[str]]) -> _Phrases:
    """Return each claim, and where it begins, by the rarest of its phrases of `PHRASE` words.

    Claims begin alike ("theo luật, hợp tác xã phải có …"), so their beginnings would find too many.
    """
    often = Counter(p for said in words for p in _phrases(said))
    found: _Phrases = {}
    for n, said in enumerate(words):
        phrases = list(_phrases(said))
        if phrases:
            start = min(range(len(phrases)), key=lambda i: often[phrases[i]])
            found.setdefault(phrases[start], []).append((n, start))
    return found


def _phrases(words: list[str]) -> Iterator[tuple[str, ...]]:
    return zip(*(words[k:] for k in range(PHRASE)), strict=False)


def _claims_in(
    text: list[str], words: list[list[str]], phrases: _Phrases, firsts: set[str]
) -> set[int]:
    return {
        n
        for at, word in enumerate(text)
        if word in firsts
        for n, start in phrases.get(tuple(text[at : at + PHRASE]), ())
        if at >= start and text[at - start : at - start + len(words[n])] == words[n]
    }


def _conflicts(rows: _All, labels: Sequence[str]) -> list[Leak]:
    first: dict[tuple[int, int], int] = {}
    found = []
    pairs = zip(rows.claims.same.tolist(), rows.evidence.same.tolist(), strict=True)
    for n, key in enumerate(pairs):
        if not key[0] or not labels[n]:
            continue
        other = first.setdefault(key, n)
        if labels[other] != labels[n]:
            found.append(Leak(kind="conflict", where=rows.where[n], other=rows.where[other]))
    return found


def _repeats(same: NDArray[np.uint64]) -> int:
    known = same[same != 0]
    return len(known) - len(np.unique(known))
