"""Measuring a model whole: sets of pairs, slices, gates, and what the whole path must not flag.

A bare model answers pairs; a reader sees flags. So beside the sets the path of `kiemchung check` is
measured: opinions, criticism and rebuttals, of which none may be flagged, and sentences on the days
around a change of the law, each of which must be judged by the law of its day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from kiemchung.errors import InputError, RecordError
from models import evaluate, gates
from models.adapters.reading import pairs_of
from models.construct import Pair, pair_of
from models.floors import Gate
from models.slices import SliceReport, by_slice
from models.verdict import VerdictModel
from pipeline.checking import check_text
from pipeline.judging import Judge

CONTROLS: Final = Path(__file__).resolve().parents[1] / "tests" / "data"
"""The control sets of the repository; an installed copy without them leaves their gates out."""
DAY: Final = date(2025, 3, 1)  # on which the controls are read; any day of today's law would do
_NEVER: Final = {"opinion": "opinions", "criticism": "criticisms", "rebuttal": "rebuttals"}
_LABELS: Final = {"SUPPORTED": "S", "REFUTED": "R", "NOT_ENOUGH_INFO": "N"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SetReport:
    """What was measured on one set of pairs; ``gates`` are empty where none were asked for."""

    name: str
    report: evaluate.Report
    controls: evaluate.Controls | None
    slices: tuple[SliceReport, ...]
    gates: tuple[Gate, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        body = self.report.as_dict()
        if self.controls is not None:
            body["controls"] = {
                "shuffled_refuted": self.controls.shuffled_refuted,
                "claim_only_macro_f1": self.controls.claim_only_macro_f1,
                "gap_to_claim_only": self.report.macro_f1 - self.controls.claim_only_macro_f1,
            }
        body["slices"] = {s.name: s.as_dict() for s in self.slices}
        if self.gates:
            body["gates"] = gate_rows(self.gates)
        return body


def gate_rows(found: Sequence[Gate]) -> dict[str, dict[str, Any]]:
    """Return gates as plain values by name; one that was not measured has value null."""
    return {g.name: {"value": g.value, "n": g.n, "higher": g.higher} for g in found}


def read_set(path: Path, field: str) -> list[Pair]:
    """Return the pairs of a JSONL file, their evidence taken from ``field``.

    Raises:
        RecordError: names file and line; also where a line has no such field, or it is empty.
    """

    def pair(_: str, row: dict[str, Any]) -> Pair:
        return pair_of(row, str(row[field]), kind=path.stem)

    remedy = f'each line is {{"claim": ..., "{field}": ..., "label": ...}}'
    pairs = list(pairs_of(path, pair, remedy=remedy))
    if len(pairs) < 2:
        raise InputError("two pairs at least are needed", where=str(path))
    return pairs


def measure_set(
    model: VerdictModel, name: str, pairs: Sequence[Pair], *, with_gates: bool
) -> SetReport:
    """Return the figures of ``model`` on one set; each pair is asked once."""
    known = gates.Remembering(model=model)
    report = evaluate.evaluate(known, pairs)
    verdicts = [known.judge(p.claim, p.evidence) for p in pairs]
    return SetReport(
        name=name,
        report=report,
        controls=evaluate.controls(known, pairs) if with_gates else None,
        slices=by_slice(pairs, verdicts, threshold=model.threshold),
        gates=tuple(gates.measure(known, pairs)) if with_gates else (),
    )


# -- the whole path --------------------------------------------------------------------------


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        return []
    rows = path.read_text(encoding="utf-8").split("\n")
    return [row for row in rows if row and not row.startswith("#")]


def path_gates(judge: Judge, folder: Path = CONTROLS) -> tuple[Gate, ...]:
    """Return the gates of the path from text to flag, on the control sets of ``folder``.

    ``<name>_flagged`` is the share of sentences with a flag, ``law_in_time`` the share of sentences
    judged and flagged as the law of the day says. A set that is not there is not measured.

    Raises:
        RecordError: a line of law_in_time.txt cannot be read.
    """
    found = []
    for name, told in _NEVER.items():
        rows = _lines(folder / "controls" / f"{name}.txt")
        flagged = sum(
            any(c["flagged"] for c in check_text(row, day=DAY, judge=judge)["claims"])
            for row in rows
        )
        share = flagged / len(rows) if rows else None
        found.append(
            Gate(name=f"{told}_flagged", value=share, n=len(rows), higher=False, firm=True)
        )
    right = n = 0
    for number, row in enumerate(_lines(folder / "law_in_time.txt"), start=1):
        sentence, *days = row.split(" ¦ ")
        for told in days:
            n += 1
            try:
                day, label = date.fromisoformat(told[:10]), told[11:].strip()
            except ValueError as error:
                raise RecordError(
                    f"{told!r} is not YYYY-MM-DD LABEL",
                    where=f"{folder / 'law_in_time.txt'}, sentence {number}",
                ) from error
            claims = check_text(sentence, day=day, judge=judge)["claims"]
            said = next((_LABELS[c["label"]] for c in claims if c["label"]), "N")
            shown = any(c["flagged"] for c in claims)
            right += said == label and shown == (label == "R")
    found.append(Gate(name="law_in_time", value=right / n if n else None, n=n, firm=True))
    return tuple(found)


# -- for a reader ----------------------------------------------------------------------------


def _share(value: float | None) -> str:
    return "    -" if value is None or value != value else f"{value:.3f}"


def _figures(name: str, s: SliceReport) -> str:
    """Return one line of the table of sets and slices."""
    shown = s.shown
    precision = f"{shown.value:.3f} ({shown.low:.2f}-{shown.high:.2f})" if shown.n else "-"
    return (
        f"{name:<22}{s.n:>7}   {_share(s.macro_f1)}   {_share(s.recall_refuted)}"
        f"   {precision:<20}{shown.n:>6}{s.coverage:>8.1%}"
    )


def table(found: SetReport) -> list[str]:
    """Return the figures of one set as lines to read: the set, its slices, calibration, risk."""
    r = found.report
    whole = SliceReport(
        name=found.name, n=r.n, labels=tuple(r.f1), macro_f1=r.macro_f1,
        recall_refuted=r.recall["REFUTED"], shown=r.refuted_at_threshold, coverage=r.coverage,
    )  # fmt: skip
    lines = [
        "",
        f"{'set and slices':<22}{'n':>7}   mac-F1   recall   {'precision of shown':<20}"
        f"{'shown':>6}{'of all':>8}",
        _figures(found.name[:22], whole),
        *(_figures(f"  {s.name}", s) for s in found.slices if s.n),
        "F1 "
        + ", ".join(f"{label} {value:.3f}" for label, value in r.f1.items())
        + f"; answered {r.answered:.1%}, failed {r.failed}, ECE {_share(r.ece).strip()}",
        "error at coverage "
        + ", ".join(
            f"{c:.0%}: {risk:.3f}" for c, risk in r.risk_coverage if c in (0.2, 0.5, 0.8, 1.0)
        ),
    ]
    if found.controls is not None:
        c = found.controls
        lines.append(
            f"controls: refuted beside other evidence {c.shuffled_refuted:.1%}; from the claim"
            f" alone {c.claim_only_macro_f1:.3f}, a gap of {r.macro_f1 - c.claim_only_macro_f1:.3f}"
        )
    return lines


def gate_lines(found: Sequence[Gate], wanted: dict[str, float]) -> list[str]:
    """Return one line a gate with its floor or ceiling, those that miss it marked."""
    lines = ["", f"{'gate':<38}{'value':>8}{'n':>7}   floor or ceiling"]
    for g in found:
        floor = wanted.get(g.name)
        side = "" if floor is None else f"{'>=' if g.higher else '<='} {floor:g}"
        missed = floor is not None and (
            g.value is None or (g.value < floor if g.higher else g.value > floor)
        )
        lines.append(
            f"{g.name:<38}{_share(g.value):>8}{g.n:>7}   {side}{'   MISSED' if missed else ''}"
        )
    return lines
