"""Two models side by side: on labelled sets, under small changes, and on the articles of a week."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

from kiemchung.config import Settings
from kiemchung.domain import Article, Judgement, Mention
from kiemchung.errors import InputError
from models import gates, registry
from models.compare import Compared, behaviour_table, compare, table
from models.construct import Pair
from models.floors import Gate
from models.values import Values, row_of, shares_encoder, values_of, verdicts_of
from models.verdict import Before, Verdict, VerdictModel, failed
from pipeline.handover import complete, shards_of, tables_of
from pipeline.judging import Judge
from pipeline.runs import RunPlan, read_run
from pipeline.verdicts import checkable
from pipeline.weeks import Week, parse_week

BEHAVIOUR: Final = 200  # pairs of a set that are changed; each change is a pair more to score
MEASURED: Final = (
    "digit_flip_leaves_supported", "negation_leaves_supported", "name_swap_leaves_supported",
    "format_change_flips", "tone_style_flips", "emotive_word_refutes",
    "same_name_on_both_sides_flips",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Couple:
    """Two models that answer the same questions; what both compute alike is computed once.

    ``reader`` is the folder whose values serve ``both``: the one that has an encoder.
    """

    folders: tuple[Path, Path]
    models: tuple[VerdictModel, VerdictModel]
    readers: tuple[int, int]  # whose values serve which model
    names: tuple[str, str]

    @classmethod
    def load(cls, first: Path, second: Path, names: tuple[str, str]) -> Couple:
        """Load both.

        Raises:
            ModelError: a folder is no model of this program.
        """
        if shares_encoder(first, second):
            readers = (0, 0)
        elif shares_encoder(second, first):
            readers = (1, 1)
        else:
            readers = (0, 1)
        models = (registry.load(first), registry.load(second))
        return cls(folders=(first, second), models=models, readers=readers, names=names)

    def verdicts(
        self, pairs: Sequence[tuple[str, str]], *, processes: int
    ) -> tuple[list[Verdict], list[Verdict]]:
        """Return what both say of the pairs, each pair read once where one reading serves both."""
        read: dict[int, Values] = {
            r: values_of(self.folders[r], pairs, processes=processes)
            for r in sorted(set(self.readers))
        }
        a, b = (
            verdicts_of(model, pairs, read[r])
            for model, r in zip(self.models, self.readers, strict=True)
        )
        return a, b

    def remembering(self) -> tuple[Reading, Reading]:
        """Return both as models that read each pair once, together."""
        seen: tuple[dict[tuple[str, str], Values], ...] = ({}, {})
        a, b = (
            Reading(model=model, reader=self.models[r], seen=seen[r])
            for model, r in zip(self.models, self.readers, strict=True)
        )
        return a, b


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Before):
    """A model whose values of a pair are kept, for itself and for one with the same encoder."""

    model: VerdictModel
    reader: VerdictModel
    seen: dict[tuple[str, str], Values] = field(default_factory=dict)

    def judge(self, claim: str, evidence: str) -> Verdict:
        """Return the verdict on one pair."""
        pair = (claim, evidence)
        if not claim.strip() or not evidence.strip():
            return self.model.judge(claim, evidence)
        try:
            if pair not in self.seen:
                x = row_of(self.reader, claim, evidence)
                self.seen[pair] = Values(x=x.reshape(1, -1), errors=("",))
            return verdicts_of(self.model, [pair], self.seen[pair])[0]
        except Exception as error:  # noqa: BLE001  one bad text must not stop a comparison
            return failed(error)


# --- a week ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A claim that only one of the two models flags."""

    claim: str
    as_of: date
    outlet: str
    title: str
    url: str
    citation: str
    first: str  # label and P(REFUTED) of each
    second: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What both models flag of a week's articles."""

    week: str
    claims: int  # checkable mentions
    first: int
    second: int
    gained: tuple[Changed, ...]
    lost: tuple[Changed, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""

        def rows(found: Sequence[Changed]) -> list[dict[str, Any]]:
            return [{name: str(getattr(c, name)) for name in Changed.__slots__} for c in found]

        return {
            "week": self.week, "claims": self.claims, "first": self.first, "second": self.second,
            "gained": rows(self.gained), "lost": rows(self.lost),
        }  # fmt: skip


def latest_week(settings: Settings) -> Week | None:
    """Return the latest week with claims in the data folder, None where there is none."""
    return max((run.week for run in _runs(settings, None)), default=None)


def _runs(settings: Settings, week: Week | None) -> list[RunPlan]:
    found = []
    for path in sorted((settings.data_dir / "runs").glob("*/run.json")):
        facts = read_run(path)
        run = RunPlan(
            week=parse_week(facts["week"]), outlets=tuple(facts["outlets"]),
            config_sha256=facts["config_sha256"], data_dir=settings.data_dir,
        )  # fmt: skip
        if week in (None, run.week) and complete(run.stage("analyse")):
            found.append(run)
    return found


def flags_of_week(couple: Couple, settings: Settings, week: Week) -> Flags:
    """Judge the claims of a week's articles with both models, by the law in force on their day.

    Nothing is written: neither the store nor a run learns of it. What is the same claim on the same
    day is judged once.

    Raises:
        InputError: the data folder has no claims of that week.
    """
    runs = _runs(settings, week)
    if not runs:
        raise InputError(
            f"no run of week {week} has claims here",
            where=str(settings.data_dir / "runs"),
            remedy="give another --week, or --data",
        )
    base = Judge.load(settings, model_dir=couple.folders[0], remember=False)
    judges = [
        replace(
            base, model=model,
            threshold=model.threshold if settings.flag_threshold is None else base.threshold,
        )
        for model in couple.remembering()
    ]  # fmt: skip
    known: dict[tuple[object, ...], tuple[Judgement, Judgement]] = {}
    placed: dict[str, tuple[Mention, tuple[Judgement, Judgement]]] = {}
    for mention in (m for run in runs for s in _mentions(run) for m in s):
        key = (mention.text, mention.as_of, mention.as_of_method, mention.speech)
        if key not in known:
            first, second = (j.judge(mention, run_id="comparison") for j in judges)
            known[key] = (first, second)
        placed.setdefault(mention.mention_id, (mention, known[key]))
    moved = [(m, a, b) for m, (a, b) in placed.values() if a.flagged != b.flagged]
    articles = _articles(runs, {m.article_id for m, _, _ in moved})
    both = [(_changed(base, m, a, b, articles), b.flagged) for m, a, b in moved]
    both.sort(key=lambda c: (c[0].outlet, c[0].url, c[0].claim))
    return Flags(
        week=str(week),
        claims=len(placed),
        first=sum(a.flagged for _, (a, _) in placed.values()),
        second=sum(b.flagged for _, (_, b) in placed.values()),
        gained=tuple(c for c, now in both if now),
        lost=tuple(c for c, now in both if not now),
    )


def _mentions(run: RunPlan) -> Iterator[list[Mention]]:
    for source in shards_of(run.stage("analyse"), "mentions"):
        yield checkable(source)


def _articles(runs: Sequence[RunPlan], wanted: set[str]) -> dict[str, tuple[str, str, str]]:
    """Return outlet, title and address of these articles; their texts are not read."""
    names = ["article_id", "outlet", "title", "url"]
    found = {}
    for run in runs:
        for part in tables_of(run.stage("analyse"), Article, "articles", columns=names):
            for row in part.to_pylist():
                if row["article_id"] in wanted:
                    found[row["article_id"]] = (row["outlet"], row["title"], row["url"])
    return found


def _changed(
    judge: Judge,
    mention: Mention,
    first: Judgement,
    second: Judgement,
    articles: Mapping[str, tuple[str, str, str]],
) -> Changed:
    outlet, title, url = articles.get(mention.article_id, ("", "", ""))
    evidence = (second if second.flagged else first).evidence
    cited = next((e.passage_id for e in evidence if e.on_point), "")
    passage = judge.by_id.get(cited)
    return Changed(
        claim=mention.text, as_of=mention.as_of, outlet=outlet, title=title, url=url,
        citation=passage.citation if passage else "", first=_said(first), second=_said(second),
    )  # fmt: skip


def _said(judgement: Judgement) -> str:
    label = judgement.label or judgement.status
    p = judgement.p_refuted
    return f"{label}" if p is None else f"{label}, P(REFUTED) {p:.2f}"


# --- the whole ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All that was found of two models."""

    names: tuple[str, str]
    ids: tuple[str, str]
    sets: tuple[Compared, ...]
    behaviour: tuple[tuple[Gate, ...], tuple[Gate, ...]]
    flags: Flags | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "first": {"name": self.names[0], "model_id": self.ids[0]},
            "second": {"name": self.names[1], "model_id": self.ids[1]},
            "sets": {c.name: c.as_dict() for c in self.sets},
            "behaviour": {
                a.name: {"first": a.value, "first_n": a.n, "second": b.value, "second_n": b.n}
                for a, b in zip(*self.behaviour, strict=True)
            },
            "flags": self.flags.as_dict() if self.flags else None,
        }


def compare_models(
    couple: Couple,
    sets: Mapping[str, Sequence[Pair]],
    *,
    settings: Settings,
    week: Week | None = None,
    processes: int = 1,
    behaviour: int = BEHAVIOUR,
    seed: int = 0,
) -> Comparison:
    """Compare two models on every set, on small changes of the first, and on a week's articles.

    Raises:
        InputError: the data folder has no claims of ``week``.
    """
    texts = [(p.claim, p.evidence) for pairs in sets.values() for p in pairs]
    both = couple.verdicts(texts, processes=processes)
    a, b = couple.models
    compared, start = [], 0
    for name, pairs in sets.items():
        part = slice(start, start + len(pairs))
        start += len(pairs)
        compared.append(
            compare(
                name, pairs, both[0][part], both[1][part],
                thresholds=(a.threshold, b.threshold), seed=seed,
            )
        )  # fmt: skip
    probed = _probes([p for pairs in sets.values() for p in pairs], behaviour)
    found = [
        tuple(g for g in gates.perturbations(gates.Remembering(model=m), probed, seed=seed))
        for m in couple.remembering()
    ] if probed else [(), ()]  # fmt: skip
    return Comparison(
        names=couple.names,
        ids=(a.model_id, b.model_id),
        sets=tuple(compared),
        behaviour=(found[0], found[1]),
        flags=flags_of_week(couple, settings, week) if week else None,
    )


def _probes(pairs: Sequence[Pair], most: int) -> list[Pair]:
    """Return ``most`` pairs at even distances, so that every set has its share."""
    if most <= 0:
        return []
    step = max(1, -(-len(pairs) // most))
    return list(pairs[::step])


# --- the page -------------------------------------------------------------------------------------

_SIGNS: Final = re.compile(r"([\\`*_{}\[\]()#+!|~>-])")
_NUMBERED: Final = re.compile(r"\A([0-9]{1,9})\.(?= |\Z)")  # would begin a list of its own


def plain(text: str) -> str:
    """Return text of an article so that Markdown and HTML show it and do nothing else."""
    shown = _SIGNS.sub(r"\\\1", html.escape(" ".join(text.split()), quote=False))
    return _NUMBERED.sub(r"\1\.", shown)


def page(found: Comparison) -> list[str]:
    """Return the comparison as lines of Markdown."""
    first, second = found.names
    lines = [
        f"# {first} and {second}",
        "",
        f"First: {first} (`{found.ids[0]}`). Second: {second} (`{found.ids[1]}`).",
    ]
    for one in found.sets:
        lines += ["", *table(one, found.names)]
    if found.behaviour[0]:
        values = [{g.name: (g.value, g.n) for g in side} for side in found.behaviour]
        lines += ["", *behaviour_table(values[0], values[1], found.names)]
    if found.flags:
        lines += ["", *_flag_lines(found.flags, found.names)]
    return lines


def _flag_lines(flags: Flags, names: tuple[str, str]) -> list[str]:
    lines = [
        f"## Flags of week {flags.week}",
        "",
        f"{flags.claims} checkable claims; {names[0]} flags {flags.first}, {names[1]}"
        f" {flags.second}: {len(flags.gained)} gained, {len(flags.lost)} lost. Nobody has looked at"
        " these yet: a flag gained may be right or wrong. The page quotes articles and is not for"
        " publication.",
    ]
    for title, rows in (("Gained", flags.gained), ("Lost", flags.lost)):
        lines += ["", f"### {title}", ""]
        lines += ["None."] if not rows else []
        for n, c in enumerate(rows, start=1):
            lines += [
                f"{n}. {plain(c.claim)}",
                f"   - {plain(c.outlet)}: {plain(c.title)} ({plain(c.url)})",
                f"   - beside {plain(c.citation)}, on {c.as_of}",
                f"   - {names[0]}: {c.first}; {names[1]}: {c.second}",
            ]
    return lines
