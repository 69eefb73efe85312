"""Decisions of reviewers as a data set would hold them, made of pairs whose labels are known."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kiemchung.domain import Label, sha256_hex
from models.construct import Pair
from models.reviewed import SPLITS, ReviewedPair, lines_of


def decision(pair: Pair, number: int, reviewer: str, *, flagged: bool) -> ReviewedPair:
    """Return ``pair`` as ``reviewer`` concluded it, drawn as a flag or for the sample."""
    return ReviewedPair(
        pair_id=f"p{number:05d}",
        claim=pair.claim,
        claim_sha256=sha256_hex(pair.claim.encode("utf-8")),
        evidence=pair.evidence,
        passages=(f"passage-{pair.group}",),
        label=pair.label,
        distortions=(),
        reviewer=reviewer,
        week=f"2026-W{10 + number % 30:02d}",
        story=pair.group,
        claim_id=f"c{number:05d}",
        as_of="2026-09-01",
        selected_as="flag" if flagged else "sample",
        probability=1.0 if flagged else 0.05,
        decision_before_model=str(pair.label),
        shown_model=True,
        adjudicated=False,
        model_label=None,
        p_refuted=None,
    )


def decisions(pairs: Sequence[Pair], *, reviewers: int = 5, seed: int = 0) -> list[ReviewedPair]:
    """Return the pairs dealt out among ``reviewers`` at random; half are flags."""
    r = random.Random(seed)
    return [
        decision(p, n, f"r{r.randrange(reviewers)}", flagged=n % 2 == 0)
        for n, p in enumerate(pairs)
    ]


def split_by_story(pairs: Sequence[ReviewedPair]) -> dict[str, list[ReviewedPair]]:
    """Return train, dev and test, 3:1:1 by story."""
    place = {s: i % 5 for i, s in enumerate(sorted({p.story for p in pairs}))}
    names = {0: "train", 1: "train", 2: "train", 3: "dev", 4: "test"}
    found: dict[str, list[ReviewedPair]] = {name: [] for name in SPLITS}
    for p in pairs:
        found[names[place[p.story]]].append(p)
    return found


def write(folder: Path, parts: Mapping[str, Sequence[ReviewedPair]]) -> Path:
    """Write a data set's splits and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SPLITS:
        (folder / f"{name}.jsonl").write_bytes(lines_of(parts[name]))
    return folder


def spoiled(
    pairs: Sequence[ReviewedPair], reviewer: str, change: Callable[[Label], Label]
) -> list[ReviewedPair]:
    """Return the pairs with ``change`` applied to the labels of one reviewer."""
    return [replace(p, label=change(p.label)) if p.reviewer == reviewer else p for p in pairs]
