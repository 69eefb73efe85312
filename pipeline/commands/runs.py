"""Experiments: start one, list them, show one, compare two. Weekly runs are `kiemchung weekly`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.commands.common import GROUP, AsJson, Data, emit, progress_bars, say, settings_for

app = typer.Typer(
    help="Experiments of researchers (not the weekly runs): start, list, show, compare.", **GROUP
)


def _figure(found: dict[str, Any] | None) -> str:
    if found is None:
        return "-"
    if found["low"] is None:
        return f"{found['mean']:.4f}"
    return f"{found['mean']:.4f} ± {found['sd']:.4f}"


@app.command("start")
def runs_start(
    config: Annotated[Path, typer.Argument(help="TOML file of the experiment.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Do the experiment of a TOML file; its folder holds all that is needed to repeat it."""
    from pipeline import experiments

    settings = settings_for(data)
    with progress_bars() as progress:
        folder = experiments.start(config, settings, progress=progress)
    kept = experiments.read(settings, folder.name)
    for line in kept.record["tracker_failed"]:
        say(f"the tracker failed: {line}")
    row = kept.row()
    emit(
        {"folder": str(folder), **row},
        as_json=as_json,
        lines=[f"{row['id']}: macro-F1 {_figure(row['macro_f1'])}; {folder}"],
    )


@app.command("list")
def runs_list(data: Data = None, as_json: AsJson = False) -> None:
    """List the experiments: what the head read, pairs, seeds, figures, time."""
    from pipeline import experiments

    found, bad = experiments.table(settings_for(data))
    for error in bad:
        say(str(error))
    rows = [kept.row() for kept in found]
    lines = [
        f"{'experiment':<28}{'values':<12}{'pairs':>7}{'seeds':>6}  {'macro-F1':<18}{'CPU s':>7}"
    ]
    lines += [
        f"{r['id']:<28}{r['values']:<12}{r['pairs']:>7}{r['seeds']:>6}"
        f"  {_figure(r['macro_f1']):<18}{r['cpu_seconds']:>7.1f}"
        for r in rows
    ]
    emit(rows, as_json=as_json, lines=lines)
    if bad:
        raise typer.Exit(1)


@app.command("show")
def runs_show(
    run: Annotated[str, typer.Argument(help="Id of the experiment, as `runs list` says it.")],
    examples: Annotated[
        int, typer.Option("--examples", min=0, help="So many of the surest mistakes.")
    ] = 0,
    slice_: Annotated[
        str, typer.Option("--slice", help="Mistakes of this slice alone: law, number, quote …")
    ] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show an experiment: figures over seeds, learning curve, slices, the surest mistakes."""
    from pipeline import experiments

    settings = settings_for(data)
    kept = experiments.read(settings, run)
    body: dict[str, Any] = dict(kept.record)
    if examples or slice_:
        body["examples"] = experiments.examples(kept, settings, slice_=slice_, limit=examples or 5)
    emit(body, as_json=as_json, lines=_lines(body))


def _lines(body: dict[str, Any]) -> list[str]:
    metrics = body["metrics"]
    lines = [
        f"{body['id']}: {metrics['pairs']} pairs of {metrics['texts']} texts,"
        f" code {body['environment']['code_sha256'][:12]}"
    ]
    lines += [f"  {name:<24}{_figure(found)}" for name, found in metrics["over_seeds"].items()]
    low, high = (metrics["macro_f1_over_texts"][k] for k in ("low", "high"))
    lines.append(f"  macro-F1 over texts, 95 %: {low:.4f} to {high:.4f}")
    lines += [f"  {n:>6} labels: {_figure(found)}" for n, found in metrics["curve"].items()]
    lines += [
        f"  {name:<18}{s['n']:>6}  "
        + ("-" if s["macro_f1"] is None else f"macro-F1 {s['macro_f1']:.4f}")
        for name, s in metrics["slices"].items()
    ]
    for m in body.get("examples", ()):
        lines += [
            "",
            f"  {m['label']} called {m['said']} at {m['probability']:.2f}"
            f" ({', '.join(m['slices'])})",
            f"    claim:    {m['claim']}",
            f"    evidence: {m['evidence'][:300]}",
        ]
    return lines


@app.command("compare")
def runs_compare(
    first: Annotated[str, typer.Argument(help="Id of an experiment.")],
    second: Annotated[str, typer.Argument(help="Id of another.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Compare two experiments: what was asked, data, environment, figures, pair by pair."""
    from pipeline import experiments

    settings = settings_for(data)
    found = experiments.compare(
        experiments.read(settings, first), experiments.read(settings, second)
    )
    lines = [f"{first} and {second}: " + ("the same to the last digit" if found["same"] else "")]
    for part in ("asked", "data", "environment", "figures"):
        lines += [f"  {part}: {key}: {a} -> {b}" for key, (a, b) in found[part].items()]
    if "paired" in found:
        p = found["paired"]
        lines.append(
            f"  macro-F1 {p['macro_f1'][0]:.4f} and {p['macro_f1'][1]:.4f} on the same pairs;"
            f" McNemar p {p['mcnemar_p']:.4f}, chance that the second is not better"
            f" {p['chance_that_second_is_not_better']:.3f}"
        )
    emit(found, as_json=as_json, lines=lines)
