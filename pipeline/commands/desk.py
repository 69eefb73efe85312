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
    say,
    settings_for,
    store_to_read,
)

if TYPE_CHECKING:
    from kiemchung.store import Store
    from kiemchung.store.requests import Handler

app = typer.Typer()


@app.command()
def serve(
    data: Data = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Open the review desk; this process owns the store and merges the inbox."""
    from dashboards.serve import serve as serve_app
    from pipeline.forget import compact_if_due
    from pipeline.telemetry import logging_for, operation_of
    from pipeline.weekly import outlet_names, store_path

    settings = settings_for(data, host=host, port=port)
    names = outlet_names(settings)

    def merged(store: Store, run_ids: Sequence[str]) -> None:
        from pipeline.reporting import after_merge

        after_merge(store, run_ids, settings, outlet_names=names)

    def requests(store: Store) -> dict[str, Handler]:
        from pipeline import forget, rejudging

        return forget.handlers(store, settings) | rejudging.handlers(store, settings)

    compact_if_due(settings)
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
            keep_reviews_days=settings.keep_reviews_days,
            requests=requests,
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
        with store_to_read(data) as store:
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
    dataset: Annotated[
        Path | None,
        typer.Option("--dataset", help="Folder: the decisions as a data set to train on."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="With --dataset: up to this week or day.")
    ] = None,
    with_text: Annotated[
        bool,
        typer.Option("--with-text", help="With --dataset: the sentences around, for the house."),
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Export flags with evidence and decisions, conclusions, or a data set; no whole articles."""
    if dataset is not None:
        if out is not None or mention is not None:
            raise InputError("--dataset writes a folder of its own", remedy="no --out, --mention")
        _export_dataset(dataset, week, until, data, with_text=with_text, as_json=as_json)
        return
    if until is not None or with_text:
        raise InputError("--until and --with-text are for --dataset", remedy="give --dataset")
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
    with store_to_read(data) as store:
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


def _export_dataset(
    folder: Path,
    week: str | None,
    until: str | None,
    data: Path | None,
    *,
    with_text: bool,
    as_json: bool,
) -> None:
    from pipeline.dataset import export_dataset
    from pipeline.weeks import parse_week, week_of

    if week is not None and until is not None:
        raise InputError("give --week or --until, not both")
    with store_to_read(data) as store:
        made = export_dataset(
            store,
            folder,
            week=str(parse_week(week)) if week else None,
            until=str(week_of(until)) if until else None,
            with_text=with_text,
        )
    emit(
        {"folder": str(folder)} | made,
        as_json=as_json,
        lines=[
            f"{made['pairs']} pairs, version {made['version']}, in {folder}",
            *(
                f"{name}: {c['pairs']} pairs, {c['trainable']} trainable"
                for name, c in made["counts"].items()
            ),
        ],
    )
    for name, n in made["left_out"].items():
        if n:
            say(f"{n} left out: {name.replace('_', ' ')}")
    if with_text:
        say("context.jsonl holds text of articles: for training in the house, not to be passed on")
    if made["splits"]["rule"] != "time":
        say("fewer than three weeks: split by story alone, no split is later than another")


@app.command()
def replay(
    flag: Annotated[
        str | None,
        typer.Argument(help="Id of a flag as exported, its first digits, or its number; or `all`."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All flags, with a summary.")] = False,
    week: Annotated[str | None, typer.Option("--week", help="Only flags of this week.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Derive a stored flag again from the archived page and compare; exit 1 on a difference."""
    from dataclasses import asdict

    from kiemchung.store.sources import flag_sources
    from pipeline.replay import Replayer, summary
    from pipeline.weeks import parse_week

    if every == (flag is not None):
        raise InputError("give exactly one of a flag's id and --all")
    wanted = None if flag in (None, "all") else flag
    chosen = str(parse_week(week)) if week else None
    with store_to_read(data) as store:
        found = flag_sources(store, flag=wanted, week=chosen)
    found = [f for f in found if str(f.mention_key) == wanted] or found
    if wanted is not None and len(found) > 1:
        raise InputError(
            f"{len(found)} flags begin with {wanted!r}",
            remedy=f"give more digits: {', '.join(f.mention.mention_id for f in found[:3])}",
        )
    if wanted is not None and not found:
        raise InputError(f"no flag has the id {wanted!r}", remedy="see `kiemchung export`")
    results = list(Replayer(settings_for(data)).run(found))
    lines = [
        line
        for r in results
        for line in (
            f"{r.mention_id}: {'same' if r.same else 'different'}, from the {r.source}",
            *(f"  {text}" for text in r.differences),
            *(f"  note: {text}" for text in r.notes),
            *([] if every else [f"  now another: {text}" for text in r.changed]),
        )
        if not (every and r.same and not r.notes)
    ]
    if every:
        sums = summary(results)
        lines += [f"now another, of {n} flags: {line}" for line, n in sums["changed"].items()]
        lines.append(
            f"{sums['flags']} flags: {sums['same']} same, {sums['different']} different;"
            f" {sums['from_archive']} from the archive,"
            f" {sums['from_stored_article']} from the stored article"
        )
        emit(sums | {"results": [asdict(r) for r in results]}, as_json=as_json, lines=lines)
    else:
        emit([asdict(r) for r in results], as_json=as_json, lines=lines)
    if not all(r.same for r in results):
        raise typer.Exit(1)
