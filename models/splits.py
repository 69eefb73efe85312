"""Train, dev and test by time, with nothing that stands on two sides.

**Rule.** Whole weeks, in their order: train is the oldest part, test the latest (70, 15 and 15 % of
the rows, cut where a week ends). A model is used on weeks that it has not seen, and a random split
flatters it: Søgaard, Ebert, Bastings and Filippova, "We Need to Talk About Random Splits", 2021;
Gorman and Bedrick, "We Need to Talk about Standard Splits", 2019, for the variance of one split.

Then everything that a later split shares with an earlier one leaves the later one: the same story
(copies and rewrites), the same page in another version, the same claim come back (``claim_id``),
the same words, nearly the same words. What leaves stays countable as ``outside``: it is in no
split, and an estimate over all claims still needs it. The earlier side keeps its rows because that
is what a model trained at that time would have had; connected groups are not moved whole, because
a claim that returns every month would chain half of the weeks into one group.

With fewer than three weeks there is no time to split by: stories are then dealt out by the hash of
their id, and the data set says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import digest

SHARES: Final = (0.70, 0.15, 0.15)
TRAIN, DEV, TEST, OUTSIDE = range(4)
NAMES: Final = ("train", "dev", "test", "outside")
Near = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64]]
"""Given the rows of earlier splits and those of a later one, the later rows that are too near."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Where each row went; ``why`` says for those outside what they share with an earlier split."""

    rule: str  # "time", or "story" where there are fewer than three weeks
    of: NDArray[np.int8]  # (n,) TRAIN, DEV, TEST or OUTSIDE
    why: dict[str, int]
    weeks: dict[str, tuple[str, str]]  # first and last week of each split that has rows


def cuts(counts: Sequence[int], shares: Sequence[float] = SHARES) -> tuple[int, int]:
    """Return behind how many weeks train and dev end; each split has at least one week.

    The cut is where the rows so far come nearest to the share; of two alike, the earlier.

    Raises:
        ValueError: fewer than three weeks.
    """
    if len(counts) < 3:
        raise ValueError(f"{len(counts)} weeks cannot be cut into three")
    so_far = np.cumsum(counts) / max(sum(counts), 1)
    first = int(np.argmin(np.abs(so_far[:-2] - shares[0]))) + 1
    rest = np.abs(so_far[first:-1] - (shares[0] + shares[1]))
    return first, first + int(np.argmin(rest)) + 1


def split(
    weeks: Sequence[str],
    stories: Sequence[str],
    shared: Mapping[str, Sequence[str]],
    near: Near | None = None,
) -> Split:
    """Return the split of n rows, see above; the same rows in any order give the same one.

    ``shared`` holds under a name what may not stand on two sides, one value a row; ``near`` finds
    what is nearly the same.
    """
    names, at = np.unique(np.asarray(weeks, dtype=np.str_), return_inverse=True)
    if len(names) >= 3:
        train, dev = cuts(np.bincount(at, minlength=len(names)).tolist())
        of = np.where(at < train, TRAIN, np.where(at < dev, DEV, TEST)).astype(np.int8)
        rule = "time"
    else:
        dealt = {s: _dealt(s) for s in set(stories)}
        of = np.array([dealt[s] for s in stories], dtype=np.int8)
        rule = "story"
    keys = {
        name: np.unique(np.asarray(values, dtype=np.str_), return_inverse=True)[1]
        for name, values in shared.items()
    }
    why: dict[str, int] = {}
    for later in (DEV, TEST):
        for name, key in keys.items():
            seen = np.zeros(int(key.max(initial=0)) + 1, dtype=np.bool_)
            seen[key[of < later]] = True
            _leave(of, np.flatnonzero((of == later) & seen[key]), f"same_{name}", why)
        if near is not None:
            found = near(np.flatnonzero(of < later), np.flatnonzero(of == later))
            _leave(of, found, "nearly_the_same_words", why)
    return Split(rule=rule, of=of, why=why, weeks=_ranges(names, at, of))


def _leave(of: NDArray[np.int8], rows: NDArray[np.int64], name: str, why: dict[str, int]) -> None:
    of[rows] = OUTSIDE
    if len(rows):
        why[name] = why.get(name, 0) + len(rows)


def _dealt(story: str) -> int:
    share = int(digest("split", story)[:8], 16) / 2**32
    return TRAIN if share < SHARES[0] else DEV if share < SHARES[0] + SHARES[1] else TEST


def _ranges(
    names: NDArray[np.str_], at: NDArray[np.int64], of: NDArray[np.int8]
) -> dict[str, tuple[str, str]]:
    found = {}
    for number, name in enumerate(NAMES):
        inside = at[of == number]
        if len(inside):
            found[name] = (str(names[inside.min()]), str(names[inside.max()]))
    return found
