"""The main job: the sample week, a week, its stages alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kiemchung.errors import InputError
from pipeline.commands.common import (
    AsJson,
    Data,
    Device,
    Engine,
    OutletNames,
    WeekText,
    Workers,
    emit,
    existing_path,
    progress_bars,
    say,
    settings_for,
)

if TYPE_CHECKING:
    from pipeline.weekly import Summary

app = typer.Typer()


@app.command()
def demo(
    data: Data = None,
    serve_: Annotated[
        bool, typer.Option("--serve/--no-serve", help="Leave the review page open.")
    ] = True,
    port: Annotated[int | None, typer.Option(help="Port of the review page.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run the whole main job on the embedded sample week, then open the review page."""
    from pipeline.demo import main

    settings = settings_for(data or Path("var/demo"), port=port)
    with progress_bars() as progress:
        result = main.run(settings, progress=progress)
    emit(result.as_dict(), as_json=as_json, lines=result.lines())
    if not as_json and not sys.stdout.isatty():
        for line in result.lines():
            say(line)
    if serve_:
        main.serve(settings, result, say=say)


def _weekly(
    week: str,
    outlet: list[str] | None,
    data: Path | None,
    only: Sequence[str],
    *,
    as_json: bool,
    device: str | None = None,
    outlets_now: bool = False,
    engine: str | None = None,
    workers: int | None = None,
) -> None:
    from pipeline.telemetry import watched
    from pipeline.weekly import Stage, weekly
    from pipeline.weeks import parse_week

    known = [str(s) for s in Stage]
    for name in only:
        if name not in known:
            raise InputError(f"no stage is called {name!r}", remedy=f"known: {', '.join(known)}")
    stages = tuple(Stage(name) for name in only) or tuple(Stage)
    chosen = parse_week(week)
    settings = settings_for(data, device=device, engine=engine, workers=workers)
    command = stages[0] if len(stages) == 1 else "weekly"
    with watched(settings, command, str(chosen)) as watch, progress_bars() as progress:
        summary = weekly(
            chosen,
            outlets=outlet or [],
            settings=settings,
            only=stages,
            progress=watch.over(progress),
            outlets_now=outlets_now,
        )
        watch.finished(summary)
    _show(summary, as_json=as_json)
    raise typer.Exit(summary.exit_code)


def _show(summary: Summary, *, as_json: bool) -> None:
    from dataclasses import asdict

    sums = summary.accounting
    lines = [
        f"run {summary.run_id}: {', '.join(summary.stages)}",
        f"  discovered {sums.discovered} = fetched {sums.fetched} + unchanged {sums.unchanged}"
        f" + refused {sums.refused or 0} + failed {sums.failed or 0} + pending {sums.pending}",
        f"  fetched {sums.fetched} = stored {sums.stored} + duplicate {sums.duplicate}"
        f" + quarantined {sums.quarantined or 0}",
        f"  {summary.mentions} sentences, {summary.checkable} checkable claims,"
        f" {summary.judgements} judged, {summary.flags} to review",
        *(f"  alarm: {alarm}" for alarm in summary.alarms),
        *(f"  note: {note}" for note in summary.notes),
    ]
    if summary.report:
        lines.append(f"  report: {summary.report}")
    emit(asdict(summary) | {"exit_code": summary.exit_code}, as_json=as_json, lines=lines)
    if not as_json and not sys.stdout.isatty():
        for line in lines:
            say(line)


@app.command()
def weekly(
    week: WeekText,
    outlet: OutletNames = None,
    data: Data = None,
    stage: Annotated[
        list[str] | None, typer.Option("--stage", help="Only this stage, repeatable.")
    ] = None,
    device: Device = None,
    outlets_now: Annotated[
        bool,
        typer.Option("--outlets-now", help="A past week, too, with the outlet files of today."),
    ] = False,
    engine: Engine = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Run one week: crawl, extract, analyse, judge, publish. Exit 0 healthy, 2 with alarms."""
    _weekly(
        week, outlet, data, stage or (), as_json=as_json, device=device, outlets_now=outlets_now,
        engine=engine, workers=workers,
    )  # fmt: skip


def _stage_command(name: str, text: str) -> None:
    def command(
        week: WeekText, outlet: OutletNames = None, data: Data = None, as_json: AsJson = False
    ) -> None:
        _weekly(week, outlet, data, (name,), as_json=as_json)

    app.command(name=name, help=text)(command)


_stage_command("crawl", "Only fetch: the first stage of a week.")


@app.command()
def extract(
    week: Annotated[str | None, typer.Option("--week", help="Such as 2026-W47.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="This week and all later ones, from the archive.")
    ] = None,
    outlet: OutletNames = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Extract fetched pages: of a week, or again with --since; nothing is fetched."""
    from dataclasses import asdict

    if (week is None) == (since is None):
        raise InputError("give exactly one of --week and --since")
    if week is not None:
        _weekly(week, outlet, data, ("extract",), as_json=as_json)
        return
    if outlet:
        raise InputError("--since takes every outlet of a run", remedy="leave --outlet out")
    from pipeline.reextract import reextract
    from pipeline.weeks import parse_week

    with progress_bars() as progress:
        done = reextract(parse_week(str(since)), settings_for(data), progress=progress)
    lines = [
        f"{d.run_id}: {d.before} articles before, {d.after} now, {d.new} new"
        + (f"; left as it is: {d.skipped}" if d.skipped else "")
        for d in done
    ]
    if any(d.new for d in done):
        lines.append("run `kiemchung weekly` for these weeks to judge the new articles")
    emit([asdict(d) for d in done], as_json=as_json, lines=lines)


@app.command()
def analyse(
    week: WeekText,
    outlet: OutletNames = None,
    data: Data = None,
    engine: Engine = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Only find the claims of a week's articles."""
    _weekly(week, outlet, data, ("analyse",), as_json=as_json, engine=engine, workers=workers)


@app.command()
def judge(
    week: WeekText,
    outlet: OutletNames = None,
    data: Data = None,
    device: Device = None,
    engine: Engine = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Only set a week's claims beside the passages in force."""
    _weekly(
        week, outlet, data, ("judge",),
        as_json=as_json, device=device, engine=engine, workers=workers,
    )  # fmt: skip


@app.command()
def rejudge(
    data: Data = None,
    device: Device = None,
    engine: Engine = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Judge what still waits for a conclusion with the model in use; decisions stay as they are.

    The new judgements come as a run of their own through the inbox, also beside a server.
    """
    from pipeline.rejudging import rejudge as again

    settings = settings_for(data, device=device, engine=engine, workers=workers)
    existing_path(data)
    with progress_bars() as progress:
        done = again(settings, progress=progress)
    lines = [
        f"{done.judged} open claims judged anew in {len(done.runs)} runs: {done.gained} flags"
        f" gained, {done.lost} lost",
        f"left as they are: {done.in_hand} that somebody has open, {done.same} judged so already",
    ]
    if not done.merged:
        lines.append("the server merges them from its inbox")
    emit(done.as_dict(), as_json=as_json, lines=lines)


_stage_command("publish", "Only hand a week's results to the store.")
