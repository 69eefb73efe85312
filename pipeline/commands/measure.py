"""Measuring a model on labelled pairs, and the floors that it must hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kiemchung.errors import InputError
from pipeline.commands.common import AsJson, emit, say, settings_for

app = typer.Typer()


@app.command()
def evaluate(
    jsonl: Annotated[
        list[Path] | None,
        typer.Option(
            "--jsonl", help='Set of {"claim","evidence","label"}, repeatable (default: own pairs).'
        ),
    ] = None,
    field: Annotated[
        str, typer.Option("--field", help="Which field of a line holds the evidence.")
    ] = "evidence",
    model: Annotated[Path | None, typer.Option("--model", help="A model folder.")] = None,
    gate: Annotated[
        bool, typer.Option("--gates", help="Also small changes whose effect is known.")
    ] = False,
    controls: Annotated[
        Path | None, typer.Option("--controls", help="Folder of control sentences.")
    ] = None,
    floors_file: Annotated[
        Path | None, typer.Option("--floors", help="Another file of floors.")
    ] = None,
    update_floors: Annotated[
        bool, typer.Option("--update-floors", help="Raise the floors to these figures.")
    ] = False,
    lower_floors: Annotated[
        str, typer.Option("--lower-floors", help="Why floors may be lowered; kept with them.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Measure a model: macro-F1 by set and slice, flags, calibration, risk and coverage, gates.

    Without a file the pairs are made from the reference base, the path from text to flag is
    measured on the control sets as well, and with --gates the floors of the shipped model must
    hold: else the exit code is 1.
    """
    from kiemchung import reference
    from models import floors, gates, registry
    from models.verdict import cautions
    from pipeline import evaluation
    from pipeline.judging import Judge

    if update_floors and jsonl:
        raise InputError("floors are those of the own pairs", remedy="leave --jsonl out")
    if lower_floors and not update_floors:
        raise InputError("--lower-floors is told to --update-floors", remedy="give both")
    gate = gate or update_floors
    folder = model or registry.DEFAULT
    scorer = registry.load(folder)
    settings = settings_for()
    if jsonl:
        sets = {str(path): evaluation.read_set(path, field) for path in jsonl}
    else:
        base = reference.load(settings.reference_dir)
        sets = {"reference base": gates.own_pairs(base.passages)}
    for name, pairs in sets.items():
        for told in cautions((p.claim, p.evidence) for p in pairs):
            say(f"{name}: {told}")
    found = [
        evaluation.measure_set(scorer, Path(name).stem if jsonl else name, pairs, with_gates=gate)
        for name, pairs in sets.items()
    ]
    whole = found[0]
    if len(found) > 1:
        every = [p for pairs in sets.values() for p in pairs]
        whole = evaluation.measure_set(scorer, "all sets", every, with_gates=False)
    result: dict[str, Any] = {"model_id": scorer.model_id, **whole.as_dict()}
    result["sets"] = {f.name: f.as_dict() for f in found}
    lines = [f"{scorer.model_id}, flags from P(REFUTED) >= {scorer.threshold:g}"]
    for one in [*found, *([whole] if len(found) > 1 else [])]:
        lines += evaluation.table(one)
    missed: list[str] = []
    if gate and not jsonl:
        judge = Judge.load(settings, model_dir=folder, remember=False)
        path_gates = evaluation.path_gates(judge, controls or evaluation.CONTROLS)
        measured = sorted((*whole.gates, *path_gates), key=lambda g: g.name)
        result["gates"] = evaluation.gate_rows(measured)
        where = floors_file or floors.FLOORS
        if update_floors:
            moved = floors.update(measured, where, lower=lower_floors)
            result["floors_moved"] = {c.name: {"from": c.before, "to": c.after} for c in moved}
            lines += [f"floor of {c.name}: {c.before} -> {c.after}" for c in moved]
        wanted = floors.floors(where)
        missed = floors.broken(measured, wanted)
        lines += evaluation.gate_lines(measured, wanted)
    elif gate:
        for one in found:
            lines += ["", one.name, *evaluation.gate_lines(one.gates, {})[1:]]
    if gate:
        result["missed"] = missed
    emit(result, as_json=as_json, lines=lines)
    if missed:
        raise InputError("; ".join(missed), where=scorer.model_id, remedy="do not ship it")
