"""Review, report, export, and the store as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kiemchung.errors import InputError
from pipeline.commands.common import (
    AsJson,
    Data,
    Out,
    WeekText,
    emit,
    existing_path,
    existing_store,
    say,
    settings_for,
)

if TYPE_CHECKING:
    from kiemchung.store import Store

app = typer.Typer()


@app.command()
def serve(
    data: Data = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Open the review desk; this process owns the store and merges the inbox."""
    from dashboards.serve import serve as serve_app
    from pipeline.telemetry import logging_for, operation_of
    from pipeline.weekly import outlet_names, store_path

    settings = settings_for(data, host=host, port=port)
    names = outlet_names(settings)

    def merged(store: Store, run_ids: Sequence[str]) -> None:
        from pipeline.reporting import after_merge

        after_merge(store, run_ids, settings, outlet_names=names)

    say(f"kiemchung: http://{settings.host}:{settings.port}")
    with logging_for(settings, "desk"):
        serve_app(
            store_path(settings),
            settings.data_dir / "inbox",
            host=settings.host,
            port=settings.port,
            outlet_names=names,
            merged=merged,
            reference_dir=settings.reference_dir,
            double_share=settings.double_review_share,
            operation=operation_of(settings),
        )


@app.command()
def report(
    week: WeekText,
    data: Data = None,
    out: Out = None,
    deliver: Annotated[
        bool, typer.Option("--deliver", help="Send it by mail and webhook, as configured.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Also when the same report was sent before.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the report of a week as one HTML page, with JSON and the feed beside it."""
    from pipeline import deliver as delivering
    from pipeline.reporting import write_report
    from pipeline.weekly import outlet_names
    from pipeline.weeks import parse_week

    chosen = parse_week(week)
    settings = settings_for(data)
    if deliver and not (settings.mail_host or settings.webhook_url):
        raise InputError(
            "nothing is set to deliver by",
            where="kiemchung.toml",
            remedy="set mail_host or webhook_url, see docs/report.md",
        )
    try:
        with existing_store(data) as store:
            done = write_report(
                store, str(chosen), settings, outlet_names=outlet_names(settings), out=out
            )
    except OSError as error:
        raise InputError(
            f"cannot be written: {error}", where=str(out), remedy="give another --out"
        ) from error
    made = delivering.deliver(done, settings, again=again) if deliver else []
    failed = delivering.alarms(made)
    emit(
        {
            "report": str(done.html),
            "json": str(done.json),
            "feed": str(done.feed),
            "delivered": [d.channel for d in made if d.done],
            "alarms": failed,
        },
        as_json=as_json,
        lines=[str(done.html), str(done.json), str(done.feed)],
    )
    for line in failed:
        say(f"kiemchung: {line}")
    if failed:
        raise typer.Exit(2)


@app.command()
def export(
    format_: Annotated[
        str, typer.Option("--format", help="csv, parquet, jsonl, claimreview or draft.")
    ] = "jsonl",
    out: Annotated[Path | None, typer.Option("--out", help="File to write.")] = None,
    week: Annotated[str | None, typer.Option("--week", help="Only this week.")] = None,
    mention: Annotated[
        str | None, typer.Option("--mention", help="Only this claim, by a mention's id.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Export flags with evidence and decisions, or conclusions; never whole articles."""
    from pipeline import export as exporting
    from pipeline.weekly import outlet_names
    from pipeline.weeks import parse_week

    chosen = str(parse_week(week)) if week else None
    settings = settings_for(data)
    imprint = exporting.Imprint(
        publisher=settings.publisher,
        public_url=settings.public_url,
        outlet_names=outlet_names(settings),
    )
    with existing_store(data) as store:
        done = exporting.export(
            store, format_, out=out, week=chosen, mention=mention, imprint=imprint
        )
    emit(
        {"rows": done.rows, "left_out": done.left_out, "disputed": done.disputed, "out": str(out)},
        as_json=as_json and out is not None,
        lines=[f"{done.rows} rows"] if out else [],
    )
    if done.left_out:
        why = "their pages refuse archiving, quoting or text mining"
        typer.echo(f"{done.left_out} left out: {why}", err=True)
    if done.disputed:
        why = "reviewers differ and no adjudicator has decided"
        typer.echo(f"{done.disputed} held back: {why}", err=True)


@app.command()
def replay(
    flag: Annotated[str, typer.Argument(help="Mention id of a flag, or `all`.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Derive a stored flag again and compare; exit 1 when it comes out differently."""
    from dataclasses import asdict

    from pipeline.judging import Judge
    from pipeline.replay import replay as derive

    judge = Judge.load(settings_for(data))
    with existing_store(data) as store:
        wanted = store.judged_mentions(flagged_only=True)
    chosen = [(m, j) for m, j in wanted if flag in ("all", m.mention_id)]
    if not chosen:
        raise InputError(f"no flag has the id {flag!r}", remedy="see `kiemchung export`")
    results = [derive(m, j, judge) for m, j in chosen]
    lines = [f"{r.mention_id}: {'same' if r.same else '; '.join(r.differences)}" for r in results]
    emit([asdict(r) for r in results], as_json=as_json, lines=lines)
    if not all(r.same for r in results):
        raise typer.Exit(1)


@app.command()
def status(data: Data = None, as_json: AsJson = False) -> None:
    """Say which runs there are, how far each came, and what lies in the store."""
    from pipeline.status import overview

    settings = settings_for(data)
    found = overview(settings)
    emit(found.as_dict(), as_json=as_json, lines=found.lines())


@app.command()
def backup(
    out: Annotated[Path, typer.Option("--out", help="Backup file to write.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Write a consistent copy of the store, reviews included."""
    from pipeline.telemetry import watched

    existing_path(data)  # a folder named by mistake gets no log either
    with watched(settings_for(data), "backup"), existing_store(data) as store:
        store.backup(out)
    emit({"backup": str(out)}, as_json=as_json, lines=[str(out)])


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="A backup file.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Put a backup in place of the store; the store that was there is kept beside it."""
    from kiemchung.store import restore as put_back
    from pipeline.weekly import store_path

    path = store_path(settings_for(data))
    put_back(source, path)
    emit({"store": str(path)}, as_json=as_json, lines=[str(path)])
