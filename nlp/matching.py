"""Which claims are the same claim, and which articles are copies of one story."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kiemchung.domain import digest
from nlp.sentences import sentence_spans
from nlp.text import skeleton

_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
_GROUPED: Final = re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?")
_WORD: Final = re.compile(r"\d+(?:,\d+)?%?|[^\W\d_]+|[%<>]")
MIN_WORDS: Final = 6
"""A shorter sentence is a stock phrase and proves no copying."""
CONTAINMENT: Final = 0.5
"""Share of a text's sentences that stand in another: found by measurement in the field notes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryPlace:
    """The story of an article; ``copied_from`` is empty for the first article of a story."""

    story_id: str
    copied_from: str
    containment: float


def _one_number_format(match: re.Match[str]) -> str:
    text = match[0]
    if _GROUPED.fullmatch(text):
        text = text.replace(".", "")
    head, comma, tail = text.partition(",")
    head = head.lstrip("0") or "0"
    return f"{head}{comma}{tail}" if comma else head


def _words(text: str) -> list[str]:
    return _WORD.findall(_NUMBER.sub(_one_number_format, skeleton(text).text))


def content_key(text: str) -> str:
    """Return a hash of the words of ``text`` that ignores case, tone style, blanks and marks."""
    return digest(*_words(text))


def claim_key(text: str) -> str:
    """Return the id of the canonical claim: the same words, numbers, units and negations.

    Case, punctuation, tone style, ``HTX`` for ``hợp tác xã`` and number formats do not count.
    """
    return digest("claim", *_words(text))


def _sentence_keys(text: str) -> tuple[str, ...]:
    keys = []
    for start, end in sentence_spans(text):
        words = _words(text[start:end])
        if len(words) >= MIN_WORDS:
            keys.append(digest(*words))
    return tuple(dict.fromkeys(keys))


def stories(items: Sequence[tuple[str, str]]) -> dict[str, StoryPlace]:
    """Return the story of each ``(article_id, text)``, given in reading order.

    A text is a copy of the earliest text that shares at least `CONTAINMENT` of the sentences of the
    shorter of the two, and at least two, or all of its words.
    """
    places: dict[str, StoryPlace] = {}
    exact: dict[str, str] = {}
    holders: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    order: dict[str, int] = {}
    for article_id, text in items:
        if article_id in places:
            continue
        keys = _sentence_keys(text)
        whole = content_key(text)
        origin, share = exact.get(whole, ""), 1.0
        if not origin:
            origin, share = _closest(keys, holders, sizes, order)
        order[article_id] = len(order)
        sizes[article_id] = len(keys)
        if text.strip():
            exact.setdefault(whole, article_id)
        for key in keys:
            holders.setdefault(key, []).append(article_id)
        if origin:
            first = places[origin].copied_from or origin
            places[article_id] = StoryPlace(
                story_id=places[first].story_id, copied_from=first, containment=share
            )
        else:
            places[article_id] = StoryPlace(
                story_id=digest("story", article_id), copied_from="", containment=0.0
            )
    return places


def _closest(
    keys: Sequence[str],
    holders: dict[str, list[str]],
    sizes: dict[str, int],
    order: dict[str, int],
) -> tuple[str, float]:
    shared: Counter[str] = Counter()
    for key in keys:
        shared.update(holders.get(key, ()))
    best = ("", 0.0)
    for other, count in sorted(shared.items(), key=lambda item: order[item[0]]):
        smaller = min(len(keys), sizes[other])
        share = count / smaller if smaller else 0.0
        if count >= min(2, smaller) and share >= CONTAINMENT and share > best[1]:
            best = (other, share)
    return best
