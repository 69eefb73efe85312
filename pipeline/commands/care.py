"""The store as a whole: how it stands, backups, restoring, what was withdrawn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kiemchung.errors import InputError
from pipeline.commands.common import AsJson, Data, emit, existing_path, existing_store, settings_for

app = typer.Typer()


@app.command()
def status(data: Data = None, as_json: AsJson = False) -> None:
    """Say what runs, what is due and what is wrong. Exit 0 when well, 2 when something is wrong."""
    from pipeline.status import overview

    found = overview(settings_for(data))
    emit(found.as_dict(), as_json=as_json, lines=found.lines())
    if found.wrong:
        raise typer.Exit(2)


@app.command()
def backup(
    out: Annotated[
        Path | None, typer.Option("--out", help="Only the store, as this one file.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--to", help="Folder of whole backups (default: backups/ of the data)."),
    ] = None,
    keep: Annotated[
        int, typer.Option("--keep", min=0, help="Remove all but the newest so many; 0: none.")
    ] = 0,
    within: Annotated[
        float, typer.Option("--within", min=1, help="Seconds that a server may take.")
    ] = 600.0,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Write a consistent copy, also while people review; by default whole and named by the time."""
    from pipeline import backup as backups
    from pipeline.telemetry import watched

    settings = settings_for(data)
    existing_path(data)  # a folder named by mistake gets no log either
    if out is not None:
        if folder is not None or keep:
            raise InputError("--out is one file", remedy="leave --to and --keep out")
        with watched(settings, "backup"):
            by = backups.store_to(settings, out, within=within)
        emit({"backup": str(out), "by": by}, as_json=as_json, lines=[str(out)])
        return
    with watched(settings, "backup"):
        done = backups.back_up(
            settings, folder or backups.backups_folder(settings), keep=keep, within=within
        )
    facts = {
        "backup": str(done.path),
        "by": done.by,
        "files": len(done.files),
        "removed": list(done.removed),
    }
    lines = [str(done.path), *(f"  removed {name}" for name in done.removed)]
    emit(facts, as_json=as_json, lines=lines)


@app.command()
def restore(
    source: Annotated[
        Path | None, typer.Argument(help="A whole backup's folder, or the file of a store.")
    ] = None,
    reviews: Annotated[
        Path | None,
        typer.Option("--reviews", help="Put the conclusions of this file into a store without."),
    ] = None,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Also without, or against, its SHA-256.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Put a backup in place of the store; the store that was there is kept beside it."""
    from pipeline import backup as backups

    if (source is None) == (reviews is None):
        raise InputError("give exactly one of a backup and --reviews")
    if source is not None:
        done = backups.restore(settings_for(data), source, unverified=unverified)
        emit(done, as_json=as_json, lines=[f"{k}: {v}" for k, v in done.items()])
        return
    from kiemchung.store import insurance

    with existing_store(data) as store:
        rows = insurance.read_back(store, reviews or Path(), unverified=unverified)
    emit({"rows": rows}, as_json=as_json, lines=[f"{n} {t}" for t, n in rows.items() if n])


@app.command()
def forget(
    article: Annotated[str, typer.Argument(help="An article's address or id.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for the audit trail.")],
    by: Annotated[str, typer.Option("--by", help="Who; default: whoever runs this.")] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Withdraw an article: out of store, shards, archive and reports, and it never comes back."""
    import getpass
    from dataclasses import asdict

    from pipeline.forget import forget as withdraw

    done = withdraw(settings_for(data), article, reason=reason, who=by or getpass.getuser())
    lines = [
        f"{len(done.article_ids)} articles, {done.mentions} claims, {done.shards} shards,"
        f" {done.records} pages of the archive"
    ]
    if not done.compacted:
        lines.append("the server holds the store; its next start writes the file anew")
    emit(asdict(done), as_json=as_json, lines=lines)
