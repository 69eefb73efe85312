"""Marks of agreement: for each token of a pair, whether the other side has it too.

An encoder is nearly blind to which number stands where; finding equal words across two texts is
also what a small one learns last. The marks say it outright, as reading-comprehension models did
with an exact-match input (Chen et al. 2017, "Reading Wikipedia to Answer Open-Domain Questions").
They enter as token types, so that any RoBERTa-shaped checkpoint takes them: PhoBERT has one token
type, and `models.finetune.widen` gives it the others, at first equal to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from models.cues import normal
from models.tokenizer import BOS, EOS, PhobertBpe

NONE: Final = 0  # specials, punctuation, or no other side
IN_PLACE: Final = 1  # the other side has the word, after the same word
ELSEWHERE: Final = 2  # the other side has the word, after another one
ABSENT: Final = 3
NUMBER_THERE: Final = 4
NUMBER_ABSENT: Final = 5
_KINDS: Final = 5
TYPES: Final = 1 + 2 * _KINDS  # NONE, and the five for the claim and again for the evidence
_ZEROS: Final = re.compile(r"(?<![\d.,])0+(?=\d)")
_THOUSANDS: Final = re.compile(r"(?<=\d)\.(?=\d{3}(?!\d))")


def _surface(word: str) -> str:
    plain = normal(word.replace("_", " ")).strip()
    if any(c.isdigit() for c in plain):
        return _THOUSANDS.sub("", _ZEROS.sub("", plain))
    return plain


def _words(names: Sequence[str], ids: Sequence[int], start: int) -> list[tuple[int, int, str]]:
    """Return (first token, past the last token, surface) of each word; ``start`` is an offset."""
    found = []
    begin, text = 0, ""
    for i, token in enumerate(ids):
        name = names[token] if token < len(names) else ""
        text += name.removesuffix("@@")
        if not name.endswith("@@"):
            found.append((start + begin, start + i + 1, _surface(text)))
            begin, text = i + 1, ""
    if text:
        found.append((start + begin, start + len(ids), _surface(text)))
    return found


def marks(bpe: PhobertBpe, ids: Sequence[int]) -> list[int]:
    """Return one mark in [0, `TYPES`) for each id of ``<s> claim </s></s> evidence </s>``.

    Words are compared without case and over the borders of segmentation ("hợp_tác xã" has
    "hợp_tác_xã"); numbers without leading zeros and thousands dots.
    """
    found = [NONE] * len(ids)
    inner = [i for i, token in enumerate(ids) if token == EOS]
    if len(inner) < 3 or not ids or ids[0] != BOS:
        return found
    first, last = inner[0], inner[-1]
    claim = _words(bpe.names, ids[1:first], 1)
    evidence = _words(bpe.names, ids[first + 2 : last], first + 2)
    for ours, theirs, base in ((claim, evidence, 0), (evidence, claim, _KINDS)):
        told = f" {' '.join(text for _, _, text in theirs if text)} "
        before = ""
        for start, end, text in ours:
            if not any(c.isalnum() for c in text):
                continue
            # Two words that the vocabulary lacks are not therefore the same word.
            there = f" {text} " in told and "<unk>" not in text
            if any(c.isdigit() for c in text):
                mark = NUMBER_THERE if there else NUMBER_ABSENT
            elif not there:
                mark = ABSENT
            else:
                mark = IN_PLACE if f" {before} {text} " in told else ELSEWHERE
            found[start:end] = [base + mark] * (end - start)
            before = text
    return found
