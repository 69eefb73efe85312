"""Drift: does this week's input, or what the model says of it, look like the weeks before?

A week is kept as histograms, never as texts. Every story counts once, whatever the number of its
claims and copies: claims of one text are alike, and would make chance look like a shift. A finding
needs all of these:

- a shift that matters: population stability index >= `PSI`, or for ordered values a
  Kolmogorov-Smirnov distance >= `KS`;
- a shift beyond chance: under no shift PSI / (1/n + 1/m) is chi-squared with bins - 1 degrees
  (Yurdakul and Naranjo 2020), and sqrt(nm / (n + m)) times the distance is Kolmogorov's;
- a shift beyond what weeks do: what the reference weeks, each against the others, show beyond
  chance widens both (a variance component between weeks), with Fisher's F for how few weeks it was
  learned from. Seasons are in it where the reference reaches back to them.

Below `FEWEST` stories or `WEEKS_NEEDED` reference weeks nothing is claimed. What the model says is
set only against weeks of the same model and base: another model is no drift. Nothing here is about
an outlet or a person: no histogram is split by either.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
PSI: Final = 0.2
"""From which a shift is called significant: 0.1 moderate, 0.25 large by the rule of thumb of
credit scoring (Siddiqi 2006)."""
KS: Final = 0.15
RARE: Final = 2e-4
"""The tail of one measure in one week: ten measures in 52 weeks by two tests make 0.2 false alarms
in a year where the tests hold exactly (benchmarks/drift.py measures it)."""
RARE_WEEK: Final = 1e-3  # the same for how far a restless week goes beyond the others
FEWEST: Final = 60  # stories of a week
WEEKS_NEEDED: Final = 4
WEEKS: Final = 12
LEAST_EXPECTED: Final = 5.0  # stories of a bin, as for the chi-squared test (Cochran 1954)
Kind = Literal["input", "output"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One histogram: ``edges`` for ordered values, none for names."""

    name: str
    kind: Kind
    edges: tuple[float, ...] = ()

    def bin_of(self, value: float) -> str:
        """Return the name of the bin that a value falls into, its lower edge."""
        at = int(np.searchsorted(self.edges, value, side="right")) - 1
        return f"{self.edges[max(at, 0)]:g}"


_TENTHS: Final = tuple(i / 10 for i in range(10))
MEASURES: Final = (
    Measure(name="claim_words", kind="input", edges=(0, 6, 9, 12, 15, 18, 22, 27, 33, 45)),
    Measure(name="speech", kind="input"),
    Measure(name="checkability", kind="input"),
    Measure(name="check_worthiness", kind="input", edges=_TENTHS),
    Measure(name="quantities", kind="input", edges=(0, 1, 2, 3, 4, 6)),
    Measure(name="unknown_words", kind="input", edges=(0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)),
    Measure(name="topic", kind="input"),
    Measure(name="evidence_words", kind="input", edges=(0, 1, 20, 40, 60, 90, 130, 200, 300)),
    Measure(name="verdict", kind="output"),
    Measure(name="p_refuted", kind="output", edges=_TENTHS),
)
"""``unknown_words`` is the share of a claim's syllables that the model's vocabulary lacks;
``verdict`` the label, or that the model abstained or failed; ``topic`` that of the first passage on
point."""
BY_NAME: Final = {m.name: m for m in MEASURES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The histograms of one run: by measure and bin, the stories in it (shares of a story add up).

    ``stories`` counts those that have the measure at all; ``made_with`` names model and base.
    """

    week: str
    run_id: str
    outlets: tuple[str, ...]
    made_with: str
    claims: int
    stories: Mapping[str, int]
    bins: Mapping[str, Mapping[str, float]]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "week": self.week, "run_id": self.run_id, "outlets": list(self.outlets),
            "made_with": self.made_with, "claims": self.claims, "stories": dict(self.stories),
            "bins": {m: {b: round(v, 6) for b, v in bins.items()} for m, bins in self.bins.items()},
        }  # fmt: skip

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Profile:
        """Read a profile back.

        Raises:
            ValueError, KeyError, TypeError: it is none.
        """
        return cls(
            week=str(body["week"]),
            run_id=str(body["run_id"]),
            outlets=tuple(map(str, body["outlets"])),
            made_with=str(body["made_with"]),
            claims=int(body["claims"]),
            stories={str(k): int(v) for k, v in body["stories"].items()},
            bins={
                str(m): {str(b): float(v) for b, v in bins.items()}
                for m, bins in body["bins"].items()
            },
        )


class Counting:
    """Histograms while the claims of one run pass by; each story counts once for each measure."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, dict[str, int]]] = {}
        self.claims = 0

    def add(self, story: str, values: Mapping[str, str | float]) -> None:
        """Count one claim: the measures that it has."""
        self.claims += 1
        for name, value in values.items():
            key = value if isinstance(value, str) else BY_NAME[name].bin_of(value)
            bins = self._seen.setdefault(name, {}).setdefault(story, {})
            bins[key] = bins.get(key, 0) + 1

    def profile(self, **about: Any) -> Profile:  # noqa: ANN401
        """Return what was counted; ``about`` are the other fields of `Profile`."""
        bins: dict[str, dict[str, float]] = {}
        for name, stories in self._seen.items():
            into = bins.setdefault(name, {})
            for counts in stories.values():
                total = sum(counts.values())
                for key, n in counts.items():
                    into[key] = into.get(key, 0.0) + n / total
        return Profile(
            claims=self.claims,
            stories={name: len(stories) for name, stories in self._seen.items()},
            bins=bins,
            **about,
        )


def psi(now: Values, before: Values) -> float:
    """Return the population stability index of two histograms over the same bins.

    Half a story is added to each bin, so that an empty one is rare and not infinite.
    """
    p = (now + 0.5) / (now + 0.5).sum()
    q = (before + 0.5) / (before + 0.5).sum()
    return float(((p - q) * np.log(p / q)).sum())


def distance(now: Values, before: Values) -> float:
    """Return the Kolmogorov-Smirnov distance of two histograms over the same ordered bins."""
    return float(
        np.abs(np.cumsum(now) / max(now.sum(), 1e-12)
               - np.cumsum(before) / max(before.sum(), 1e-12)).max()
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How far one measure of a week is from its reference.

    ``psi`` is None where nothing is claimed, and ``why`` says so. ``noise`` is the PSI that chance
    and the weeks' own restlessness reach, ``beyond`` the part of it that is restlessness; ``moved``
    are the bins that moved most, with their share before and now.
    """

    measure: str
    kind: Kind
    stories: int
    weeks: int
    psi: float | None = None
    noise: float | None = None
    ks: float | None = None
    ks_noise: float | None = None
    beyond: float = 0.0
    shifted: bool = False
    why: str = ""
    moved: tuple[tuple[str, float, float], ...] = ()

    def line(self) -> str:
        """Return the alarm as a line for people."""
        moved = ", ".join(f"{name} {a:.0%} -> {b:.0%}" for name, a, b in self.moved)
        ks = "" if self.ks is None else f", KS {self.ks:.2f}"
        return (
            f"{self.kind}_drift: {self.measure}: PSI {self.psi or 0.0:.2f}{ks} against"
            f" {self.weeks} weeks (chance reaches {self.noise or 0.0:.2f});"
            f" {self.stories} stories; {moved}"
        )


def _table(measure: Measure, profiles: Sequence[Profile]) -> tuple[list[str], Values]:
    """Return the bins in their order and the counts, shape (profiles, bins)."""
    found = {b for p in profiles for b in p.bins.get(measure.name, {})}
    names = sorted(found, key=float) if measure.edges else sorted(found)
    return names, np.array([[p.bins.get(measure.name, {}).get(b, 0.0) for b in names]
                            for p in profiles]).reshape(len(profiles), len(names))  # fmt: skip


def _merged(measure: Measure, names: list[str], counts: Values, n: float) -> tuple[
    list[str], Values
]:  # fmt: skip
    """Join bins in which fewer than `LEAST_EXPECTED` of ``n`` stories are expected.

    Neighbours are joined where there is an order, names into one rest. Expected is by all weeks
    together, this one too: a topic that only this week has must not vanish in the rest unseen.
    """
    share = counts.sum(axis=0) / max(counts.sum(), 1e-12)
    need = LEAST_EXPECTED / n
    if not measure.edges:
        kept = [i for i in range(len(names)) if share[i] >= need]
        rest = [i for i in range(len(names)) if share[i] < need]
        parts = [[i] for i in kept] + ([rest] if rest else [])
        told = [names[i] for i in kept] + (["rest"] if rest else [])
    else:
        parts, told = [], []
        open_: list[int] = []
        for i in range(len(names)):
            open_.append(i)
            if share[open_].sum() >= need:
                parts.append(open_)
                told.append(names[open_[0]])
                open_ = []
        if open_ and parts:
            parts[-1] += open_
        elif open_:
            parts, told = [open_], [names[0]]
    return told, np.stack([counts[:, part].sum(axis=1) for part in parts], axis=1)


def _beyond(found: Values, expected: Values, error: Values) -> float:
    """Return how far squared shifts go beyond chance at most, once in 1 / `RARE_WEEK` weeks.

    What is beyond chance on average times the tail of Fisher's F with one degree and as many as
    there are weeks (Kish's effective number: large weeks weigh more).
    """
    from scipy.stats import f as fisher

    weight = 1.0 / error
    total = float(weight.sum())
    mean = float(np.average(found - expected, weights=weight))
    effective = total**2 / float((weight**2).sum())
    return max(0.0, mean) * float(fisher.isf(RARE_WEEK, 1, effective))


def compare(measure: Measure, now: Profile, before: Sequence[Profile]) -> Finding:
    """Return how far one measure of a week is from the reference weeks."""
    from scipy.stats import chi2, kstwobign

    n = now.stories.get(measure.name, 0)
    weeks = [
        p for p in before
        if p.stories.get(measure.name, 0) >= FEWEST
        and (measure.kind == "input" or p.made_with == now.made_with)
        and (measure.name != "unknown_words" or p.made_with == now.made_with)
    ]  # fmt: skip
    blank = Finding(measure=measure.name, kind=measure.kind, stories=n, weeks=len(weeks))
    if n < FEWEST or len(weeks) < WEEKS_NEEDED:
        why = f"{n} stories" if n < FEWEST else f"{len(weeks)} weeks to compare with"
        return replace(blank, why=f"{why}: nothing is claimed")
    names, counts = _table(measure, [now, *weeks])
    names, counts = _merged(measure, names, counts, n)
    if len(names) < 2:
        return replace(blank, psi=0.0, noise=0.0, why="one bin holds everything")
    sizes = np.array([p.stories[measure.name] for p in weeks], dtype=np.float64)
    past, whole = counts[1:], counts[1:].sum(axis=0)
    m = float(sizes.sum())
    free = len(names) - 1
    chances = 1.0 / sizes + 1.0 / (m - sizes)
    against = np.array([psi(row, whole - row) for row in past])
    # What a week does beyond chance comes on top of chance, whatever the week's size; weeks of many
    # stories tell more of it. A week moves all bins at once: one degree of freedom, learned from as
    # many as there are weeks.
    beyond = _beyond(against, free * chances, math.sqrt(2.0 * free) * chances)
    chance = 1.0 / n + 1.0 / m
    noise = chance * float(chi2.isf(RARE, free)) + beyond
    found = psi(counts[0], whole)
    shifted = found >= PSI and found > noise
    ks = ks_noise = None
    if measure.edges:
        ks = distance(counts[0], whole)
        gaps = np.array([distance(row, whole - row) ** 2 for row in past])
        # Mean and standard deviation of the square of Kolmogorov's variable: pi^2 / 12 and 0.520.
        extra = _beyond(gaps, math.pi**2 / 12.0 * chances, 0.520 * chances)
        ks_noise = math.sqrt(float(kstwobign.isf(RARE)) ** 2 * chance + extra)
        shifted = shifted or (ks >= KS and ks > ks_noise)
    was, is_ = whole / whole.sum(), counts[0] / counts[0].sum()
    top = np.argsort(-np.abs(is_ - was), kind="stable")[:3]
    return replace(
        blank, psi=found, noise=noise, ks=ks, ks_noise=ks_noise, beyond=beyond, shifted=shifted,
        moved=tuple((names[i], float(was[i]), float(is_[i])) for i in top),
    )  # fmt: skip


def alike(one: Profile, other: Profile) -> bool:
    """Whether two runs read much the same outlets (four fifths of all): else it is no drift."""
    a, b = set(one.outlets), set(other.outlets)
    return len(a & b) >= 0.8 * len(a | b)


def reference(now: Profile, every: Sequence[Profile]) -> list[Profile]:
    """Return the weeks that ``now`` is set against: the last `WEEKS`, and the season a year ago.

    Weeks before it with much the same outlets; of several runs of a week the largest.
    """
    best: dict[str, Profile] = {}
    for p in every:
        if p.week < now.week and alike(now, p):
            known = best.get(p.week)
            if known is None or (p.claims, p.run_id) > (known.claims, known.run_id):
                best[p.week] = p
    year, number = int(now.week[:4]), int(now.week[6:])
    season = {
        f"{year - 1:04d}-W{w:02d}" for w in range(max(1, number - 2), min(53, number + 2) + 1)
    }
    weeks = sorted(best)
    kept = {*weeks[-WEEKS:], *(season & set(weeks))}
    return [best[w] for w in sorted(kept)]


def findings(now: Profile, every: Sequence[Profile]) -> list[Finding]:
    """Return one finding a measure for a week, set against what came before it."""
    before = reference(now, every)
    return [compare(measure, now, before) for measure in MEASURES]
