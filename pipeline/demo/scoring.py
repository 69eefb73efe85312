"""The demo's figures against the truth of the sample week."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources

from kiemchung.domain import Article, Judgement, Mention
from kiemchung.errors import RecordError

NEVER_FLAGGED = ("opinion", "criticism", "praise", "rebuttal", "forecast", "experience")


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthRow:
    """One sentence of the sample whose standing its writer knows."""

    outlet: str
    slug: str
    sentence: str
    kind: str
    label: str | None
    as_of: str
    law_pair: str | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Counts and the figures that follow from them; a rate without cases is None, never 0."""

    rows: int
    found: int
    missing: tuple[str, ...]  # truth sentences that no mention of a stored article matches
    flags: int
    flags_on_truth: int
    true_flags: int
    false_flags: tuple[str, ...]
    refuted: int
    flagged_refuted: int
    missed: tuple[str, ...]
    control_flags: tuple[str, ...]
    controls: int
    pairs: int
    pairs_right: int
    pairs_wrong: tuple[str, ...]
    by_kind: dict[str, tuple[int, int]]

    @property
    def precision(self) -> float | None:
        """Share of flags that the truth calls REFUTED; a flag outside the truth counts as wrong."""
        return self.true_flags / self.flags if self.flags else None

    @property
    def recall(self) -> float | None:
        """Share of the REFUTED sentences of fetched articles that were flagged."""
        return self.flagged_refuted / self.refuted if self.refuted else None

    @property
    def precision_lower(self) -> float | None:
        """Lower end of the 95 % Wilson interval of the precision."""
        return wilson_lower(self.true_flags, self.flags) if self.flags else None


def wilson_lower(good: int, total: int, z: float = 1.959964) -> float:
    """Return the lower end of Wilson's score interval (Wilson 1927) for ``good`` of ``total``."""
    share = good / total
    centre = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return (centre - spread) / (1 + z * z / total)


def load_truth() -> tuple[TruthRow, ...]:
    """Return the truth file of the embedded sample.

    Raises:
        RecordError: a line cannot be used.
    """
    source = resources.files("pipeline.demo").joinpath("truth.jsonl")
    rows = []
    for number, line in enumerate(source.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            rows.append(TruthRow(**json.loads(line)))
        except (TypeError, ValueError) as error:
            raise RecordError(str(error), where=f"truth.jsonl:{number}") from error
    return tuple(rows)


def _normal(text: str) -> str:
    return " ".join(text.split()).strip(" \"“”'.…!?")


def score(
    truth: Sequence[TruthRow],
    articles: Iterable[Article],
    mentions: Iterable[Mention],
    judgements: Iterable[Judgement],
) -> Score:
    """Compare the flags of a run with the truth, sentence by sentence.

    A truth row whose article was not stored (disallowed, off topic, half a page) is left out, and
    counted. A mention stands for a truth sentence when one contains the other.
    """
    by_article = {a.article_id: a for a in articles}
    judged = {j.mention_id: j for j in judgements}
    places: dict[str, list[Mention]] = {a.article_id: [] for a in by_article.values()}
    for mention in mentions:
        places[mention.article_id].append(mention)

    def matches(row: TruthRow) -> list[Mention] | None:
        # Outlets put the slug anywhere in the address, with or without a number behind it.
        form = re.compile(rf"/{re.escape(row.slug)}(?=[-./]|$)")
        stored = [
            a
            for a in by_article.values()
            if a.outlet == row.outlet and form.search(a.canonical_url)
        ]
        if not stored:
            return None
        wanted = _normal(row.sentence)
        return [
            m
            for a in stored
            for m in places[a.article_id]
            if wanted in _normal(m.text) or _normal(m.text) in wanted
        ]

    flags = {j.mention_id for j in judged.values() if j.flagged}
    explained: set[str] = set()
    found_rows, missing, missed, false_flags, control_flags = 0, [], [], [], []
    refuted = flagged_refuted = controls = 0
    kinds: Counter[str] = Counter()
    kinds_right: Counter[str] = Counter()
    pair_right: dict[str, bool] = {}
    pairs_wrong = []
    for row in truth:
        at = matches(row)
        if at is None:
            continue  # the article was rightly not stored
        if not at:
            missing.append(f"{row.outlet}/{row.slug}: {row.sentence}")
            continue
        found_rows += 1
        hit = [m for m in at if m.mention_id in flags]
        right = bool(hit) == (row.label == "REFUTED" and row.kind not in NEVER_FLAGGED)
        kinds[row.kind] += 1
        kinds_right[row.kind] += right
        if row.kind in NEVER_FLAGGED:
            controls += 1
            if hit:
                control_flags.append(f"{row.kind}: {row.sentence}")
        if row.label == "REFUTED" and row.kind not in NEVER_FLAGGED:
            refuted += 1
            flagged_refuted += bool(hit)
            explained |= {m.mention_id for m in hit}
            if not hit:
                missed.append(f"{row.kind}: {row.sentence}")
        elif hit:
            false_flags.append(f"{row.kind}: {row.sentence}")
        if row.law_pair:
            labels = {str(judged[m.mention_id].label) for m in at if m.mention_id in judged}
            good = right and (row.label in labels if row.label else not hit)
            pair_right[row.law_pair] = pair_right.get(row.law_pair, True) and good
            if not good:
                pairs_wrong.append(
                    f"{row.law_pair}: {row.label} != {sorted(labels)}: {row.sentence}"
                )
    text_of = {m.mention_id: m.text for ms in places.values() for m in ms}
    on_truth = {m.mention_id for row in truth for m in (matches(row) or [])}
    false_flags += [f"not in the truth: {text_of[i]}" for i in sorted(flags - on_truth)]
    return Score(
        rows=len(truth),
        found=found_rows,
        missing=tuple(missing),
        flags=len(flags),
        flags_on_truth=len(flags & on_truth),
        true_flags=len(flags & explained),
        false_flags=tuple(false_flags),
        refuted=refuted,
        flagged_refuted=flagged_refuted,
        missed=tuple(missed),
        control_flags=tuple(control_flags),
        controls=controls,
        pairs=len(pair_right),
        pairs_right=sum(pair_right.values()),
        pairs_wrong=tuple(pairs_wrong),
        by_kind={k: (kinds_right[k], n) for k, n in sorted(kinds.items())},
    )
