"""The outlet files: list, check, draft."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kiemchung.errors import InputError
from pipeline.commands.common import GROUP, AsJson, Data, Out, emit, output, settings_for

app = typer.Typer(help="The outlet files: list, check.", **GROUP)


@app.command("list")
def outlets_list(as_json: AsJson = False) -> None:
    """List the outlets, and who verified each when."""
    from dataclasses import asdict

    from crawler.outlets import load_outlets

    known = load_outlets(settings_for().outlet_dir)
    lines = [
        f"{o.name:24} {'mẫu' if o.sample else (o.verified_on or 'chưa kiểm tra')}"
        f"  {', '.join(o.hosts)}"
        for o in known.values()
    ]
    emit([asdict(o) for o in known.values()], as_json=as_json, lines=lines)


@app.command("check")
def outlets_check(
    name: Annotated[list[str] | None, typer.Argument(help="Outlets to look at.")] = None,
    folder: Annotated[Path | None, typer.Option("--folder", help="Own outlet files.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write the verified mark.")] = False,
    by: Annotated[str, typer.Option("--by", help="Who looked, for the mark.")] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Read every outlet file; with names, fetch a list and three articles and show what came out.

    Exit 0 when all is sound, 2 when something stands against the mark.
    """
    from pipeline.outlet_check import check_files, look_at

    settings = settings_for(data)
    if folder is not None:
        settings = settings.model_copy(update={"outlet_dir": folder})
    if not name:
        if write:
            raise InputError("name the outlets to be marked")
        known, broken = check_files(settings)
        emit(
            {"outlets": known, "broken": broken},
            as_json=as_json,
            lines=[f"{len(known)} outlet files"],
        )
        for error in broken:
            typer.echo(error, err=True)
        raise typer.Exit(1 if broken else 0)
    done = look_at(name, settings, write=write, by=by)
    emit([d.as_dict() for d in done], as_json=as_json, lines=[x for d in done for x in d.lines])
    raise typer.Exit(0 if all(d.probe.sound for d in done) else 2)


@app.command("new")
def outlets_new(
    url: Annotated[str, typer.Argument(help="Address of one article.")],
    name: Annotated[str, typer.Option("--name", help="Name of the outlet.")] = "",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Draft an outlet file from one article of a site; correct it, then `outlets check NAME`."""
    from pipeline.outlet_check import draft_of

    made = draft_of(url, settings_for(), name=name)
    if as_json:
        emit({"toml": made.toml, "doubts": list(made.doubts)}, as_json=True)
        return
    with output(out) as target:
        target.write(made.toml)
    for doubt in made.doubts:
        typer.echo(f"doubtful: {doubt}", err=True)
