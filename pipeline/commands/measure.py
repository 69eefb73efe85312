"""Measuring a model on labelled pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kiemchung.errors import InputError
from pipeline.commands.common import AsJson, emit, settings_for

app = typer.Typer()


@app.command()
def evaluate(
    jsonl: Annotated[
        Path | None,
        typer.Option("--jsonl", help='Lines of {"claim","evidence","label"} (default: own pairs).'),
    ] = None,
    model: Annotated[Path | None, typer.Option("--model", help="A model folder.")] = None,
    gate: Annotated[
        bool, typer.Option("--gates", help="Also small changes whose effect is known.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure a model on labelled pairs: macro-F1, calibration, risk and coverage, gates.

    Without a file the pairs are made from the reference base, and with --gates the floors of the
    shipped model must hold: else the exit code is 1.
    """
    from kiemchung import reference
    from models import gates, registry
    from models.construct import read_pairs
    from models.evaluate import evaluate as measure

    scorer = registry.load(model) if model else registry.load_default()
    if jsonl is None:
        rows = gates.own_pairs(reference.load(settings_for().reference_dir).passages)
    else:
        rows = read_pairs(jsonl)
    if not rows:
        raise InputError("no pairs to evaluate on", where=str(jsonl))
    report = measure(scorer, rows).as_dict()
    lines = [f"{name}: {value}" for name, value in report.items()]
    missed: list[str] = []
    if gate:
        found = gates.measure(scorer, rows)
        report["gates"] = {g.name: {"value": g.value, "n": g.n} for g in found}
        lines += [
            f"  {g.name}: {'not measured' if g.value is None else f'{g.value:.4f}'} (n {g.n})"
            for g in found
        ]
        missed = gates.broken(found, gates.floors()) if jsonl is None else []
        report["missed"] = missed
    emit(report, as_json=as_json, lines=lines)
    if missed:
        raise InputError("; ".join(missed), where=scorer.model_id, remedy="do not ship it")
