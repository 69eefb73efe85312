"""Where the marks stand: pure functions from offsets to pieces of text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby

from kiemchung.domain import Article, Difference, Distortion


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A run of text with one look; the pieces of a text joined are that text."""

    text: str
    claim: bool = False
    kind: Distortion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A paragraph of an article."""

    role: str  # title, lead or body
    pieces: tuple[Piece, ...]

    @property
    def has_claim(self) -> bool:
        """Whether the claim, or a part of it, stands here."""
        return any(p.claim for p in self.pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A stretch to be marked, in code points."""

    start: int
    end: int
    kind: Distortion


def marks(differences: Sequence[Difference]) -> tuple[Mark, ...]:
    """Return the stretches of the claim that differ; of two that overlap, the first."""
    found: list[Mark] = []
    for d in sorted(differences, key=lambda d: (d.start, d.end)):
        if 0 <= d.start < d.end and (not found or d.start >= found[-1].end):
            found.append(Mark(start=d.start, end=d.end, kind=d.kind))
    return tuple(found)


def evidence_marks(text: str, differences: Sequence[Difference]) -> tuple[Mark, ...]:
    """Return where the passage says what the claim departs from."""
    found: list[Mark] = []
    for d in differences:
        words = d.evidence.split()
        if not words:
            continue
        pattern = r"(?<!\w)" + r"\s+".join(re.escape(w) for w in words) + r"(?!\w)"
        match = re.search(pattern, text, re.IGNORECASE)
        if match:
            found.append(Mark(start=match.start(), end=match.end(), kind=d.kind))
    found.sort(key=lambda m: (m.start, -m.end))
    kept: list[Mark] = []
    for m in found:
        if not kept or m.start >= kept[-1].end:
            kept.append(m)
    return tuple(kept)


def pieces(text: str, found: Sequence[Mark], *, claim: bool = False) -> tuple[Piece, ...]:
    """Cut ``text`` at ``found``, which are in order and do not overlap."""
    cut: list[Piece] = []
    place = 0
    for mark in found:
        start, end = max(mark.start, place), min(mark.end, len(text))
        if start >= end:
            continue
        if start > place:
            cut.append(Piece(text=text[place:start], claim=claim))
        cut.append(Piece(text=text[start:end], claim=claim, kind=mark.kind))
        place = end
    if place < len(text):
        cut.append(Piece(text=text[place:], claim=claim))
    return tuple(cut)


def blocks(article: Article, start: int, end: int, found: Sequence[Mark] = ()) -> tuple[Block, ...]:
    """Return the article by paragraphs with the claim ``start``..``end`` of its text set off.

    ``found`` counts from the first letter of the claim.
    """
    whole: list[Block] = []
    place = 0
    for role, part in (("title", article.title), ("lead", article.lead), ("body", article.body)):
        if not part:
            continue
        for match in re.finditer(r"[^\n]+", part):
            line_start, line_end = place + match.start(), place + match.end()
            if not match.group().strip():
                continue
            whole.append(
                Block(
                    role=role, pieces=_line(match.group(), line_start, line_end, start, end, found)
                )
            )
        place += len(part) + 2  # the blank line between the parts, as in Article.text
    return tuple(whole)


def _line(
    text: str, line_start: int, line_end: int, start: int, end: int, found: Sequence[Mark]
) -> tuple[Piece, ...]:
    first, last = max(start, line_start), min(end, line_end)
    if first >= last:
        return (Piece(text=text),)
    inside = text[first - line_start : last - line_start]
    shift = start - first  # 0, or negative when the claim began on an earlier line
    moved = [
        Mark(start=m.start + shift, end=m.end + shift, kind=m.kind)
        for m in found
        if m.end + shift > 0 and m.start + shift < len(inside)
    ]
    before = text[: first - line_start]
    after = text[last - line_start :]
    return (
        *((Piece(text=before),) if before else ()),
        *pieces(inside, moved, claim=True),
        *((Piece(text=after),) if after else ()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A run of words of one of two wordings; the stretches of a wording joined are its text."""

    text: str
    changed: bool


def compare(old: str, new: str) -> tuple[tuple[Stretch, ...], tuple[Stretch, ...]]:
    """Return two wordings with the words marked that the other has not, or has elsewhere.

    Case and signs at the edge of a word make no difference, so that a comma that moved does not
    hide the number that changed.
    """
    left, right = re.findall(r"\S+\s*", old), re.findall(r"\S+\s*", new)
    bare_left, bare_right = [_bare(w) for w in left], [_bare(w) for w in right]
    gone: list[bool] = [False] * len(left)
    come: list[bool] = [False] * len(right)
    matcher = SequenceMatcher(None, bare_left, bare_right, autojunk=False)
    for step, a, b, c, d in matcher.get_opcodes():
        if step != "equal":
            gone[a:b] = [True] * (b - a)
            come[c:d] = [True] * (d - c)
    return _stretches(old, left, gone), _stretches(new, right, come)


def _bare(word: str) -> str:
    return word.strip().strip('.,;:()"“”').casefold()


def _stretches(text: str, words: Sequence[str], marked: Sequence[bool]) -> tuple[Stretch, ...]:
    found = []
    lead = text[: len(text) - sum(map(len, words))]
    if lead:
        found.append(Stretch(text=lead, changed=False))
    for changed, group in groupby(zip(words, marked, strict=True), key=lambda pair: pair[1]):
        joined = "".join(word for word, _ in group)
        kept = joined.rstrip() if changed else joined
        found.append(Stretch(text=kept, changed=changed))
        if kept != joined:  # the blank behind a mark is not changed itself
            found.append(Stretch(text=joined[len(kept) :], changed=False))
    return tuple(found)
