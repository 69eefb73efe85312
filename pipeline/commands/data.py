"""Data sets: what they share, whether they are as written, and public ones in our form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kiemchung.errors import InputError
from pipeline.commands.common import AsJson, emit, say
from pipeline.commands.train import data_app

app = data_app


@data_app.command("verify")
def data_verify(
    folder: Annotated[Path, typer.Argument(help="Folder of `export --dataset`.")],
    as_json: AsJson = False,
) -> None:
    """Hash every file of an exported data set; exit 1 when one is not as it was written."""
    from models import reviewed

    body = reviewed.verify(folder)
    emit(
        {"folder": str(folder), "version": body["version"], "pairs": body["pairs"]},
        as_json=as_json,
        lines=[f"{folder}: version {body['version']}, {body['pairs']} pairs, as it was written"],
    )


@data_app.command("leaks")
def data_leaks(
    parts: Annotated[
        list[Path], typer.Argument(help="JSONL files of pairs, train first; or an exported folder.")
    ],
    shared_evidence: Annotated[
        bool,
        typer.Option("--shared-evidence", help="All evidence is one base: no leak when it recurs."),
    ] = False,
    limit: Annotated[int, typer.Option(help="Places to show of each kind.", min=0)] = 20,
    as_json: AsJson = False,
) -> None:
    """Find what the parts of a data set share, and where; exit 1 when they share something."""
    from models import leaks, reviewed

    files: list[Path] = []
    for path in parts:
        if path.is_dir():
            reviewed.verify(path)
            files += [path / f"{name}.jsonl" for name in reviewed.SPLITS]
        else:
            files.append(path)
    if len(set(files)) < len(files):
        raise InputError("the same file twice", remedy="name each part once")
    report = leaks.find([leaks.read_part(f) for f in files], shared_evidence=shared_evidence)
    lines = []
    for kind, found in report.leaks.items():
        if found:
            lines.append(f"{len(found)} rows: {leaks.KINDS[kind]}")
            lines += [f"  {x.where} <- {x.other}" for x in found[:limit]]
    lines.append(f"{report.total} leaks in {sum(report.parts.values())} rows")
    emit(report.as_dict(limit=limit), as_json=as_json, lines=lines)
    for name, n in report.repeats.items():
        if n:
            say(f"{name}: {n} rows repeat a claim of the same file")
    if report.total:
        say(f"{report.total} leaks")
        raise typer.Exit(1)


@data_app.command("adapt")
def data_adapt(
    file: Annotated[Path, typer.Argument(help="A file of the set, as its makers give it out.")],
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            help="vifactcheck, isedsc01, viwikifc, vihallu, vinli, fever or averitec.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="JSONL to write, for evaluate and train.")],
    evidence: Annotated[
        str | None,
        typer.Option("--evidence", help="gold or context (default: what every label has)."),
    ] = None,
    conflicting: Annotated[
        Path | None,
        typer.Option("--conflicting", help="JSONL for pairs whose evidence contradicts itself."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read a public set into pairs with our labels; every row ends in a named state."""
    from kiemchung.shards import write_pieces_atomically
    from models import adapters

    made = adapters.adapt(file, format_, evidence=evidence)
    write_pieces_atomically(out, adapters.lines_of(made.pairs))
    if conflicting is not None:
        write_pieces_atomically(conflicting, adapters.lines_of(made.conflicting))
    emit(
        {"out": str(out), "rows": made.rows, "states": made.states, "labels": made.labels},
        as_json=as_json,
        lines=[f"{len(made.pairs)} of {made.rows} rows in {out}"],
    )
    for state, n in made.states.items():
        if n and state != adapters.PAIR:
            say(f"{n} rows: {adapters.STATES[state]}")
