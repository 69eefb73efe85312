"""Drift: the week beside the weeks before, and calibration on the audited sample."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.commands.common import AsJson, Data, emit, settings_for

app = typer.Typer()


@app.command()
def drift(
    week: Annotated[
        str | None, typer.Option("--week", help="ISO week (default: the latest).")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Set a week beside the weeks before it, and the model beside what people concluded.

    Exit code 2 where something has shifted.
    """
    from pipeline import drift as drifting
    from pipeline.weeks import parse_week

    found = drifting.look(settings_for(data), str(parse_week(week)) if week else None)
    emit(found.as_dict(), as_json=as_json, lines=drifting.table(found))
    if found.alarms:
        raise typer.Exit(2)
