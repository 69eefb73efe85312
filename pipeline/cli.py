"""The command line: a contract, so names, flags and JSON fields stay.

Heavy packages are imported inside the command that needs them, so that `--help` answers at once.
Results go to stdout, everything else to stderr; a mistake ends with one line that names file, line
and remedy, and exit code 1.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from kiemchung import __version__
from kiemchung.errors import InputError, KiemchungError, RecordError
from pipeline.cli_corrections import corrections_app

if TYPE_CHECKING:
    from datetime import date

    from kiemchung.config import Settings
    from kiemchung.store import Store
    from models.verdict import Verdict
    from pipeline.stages import Progress
    from pipeline.weekly import Summary

T = TypeVar("T")
_SETTINGS: dict[str, Any] = {"no_args_is_help": True, "add_completion": False}
app = typer.Typer(
    help="Set checkable claims about cooperatives beside the law in force on their day.",
    pretty_exceptions_enable=False,
    **_SETTINGS,
)
reference_app = typer.Typer(help="The reference base: check, show, import, add.", **_SETTINGS)
outlets_app = typer.Typer(help="The outlet files: list, check.", **_SETTINGS)
models_app = typer.Typer(help="The models: list, show, verify, promote.", **_SETTINGS)
user_app = typer.Typer(
    help="The accounts of the review desk: add, passwd, role, list and more.", **_SETTINGS
)
train_app = typer.Typer(help="Train a model.", **_SETTINGS)
data_app = typer.Typer(help="Data to train and measure on: construct.", **_SETTINGS)
app.add_typer(reference_app, name="reference")
app.add_typer(outlets_app, name="outlets")
app.add_typer(models_app, name="models")
app.add_typer(user_app, name="user")
app.add_typer(train_app, name="train")
app.add_typer(data_app, name="data")
app.add_typer(corrections_app, name="corrections")

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Data = Annotated[Path | None, typer.Option("--data", help="Data folder (default: var).")]
Out = Annotated[Path | None, typer.Option("--out", help="Write here instead of stdout.")]
WeekText = Annotated[str, typer.Option("--week", help="ISO week, for example 2026-W40.")]
OutletNames = Annotated[
    list[str] | None,
    typer.Option("--outlet", help="Outlet name, repeatable; `sample` is the embedded sample week."),
]


def _say(text: str) -> None:
    """Tell the person at the terminal; stdout stays for results."""
    typer.echo(text, err=True)


def _result(value: Any, *, as_json: bool, lines: Sequence[str] = ()) -> None:  # noqa: ANN401
    """Print a result for machines, or for people when stdout is a terminal."""
    if as_json:
        typer.echo(json.dumps(value, ensure_ascii=False, indent=1, default=str))
    elif sys.stdout.isatty():
        for line in lines:
            typer.echo(line)


def _settings(data: Path | None = None, **given: Any) -> Settings:  # noqa: ANN401
    from kiemchung.config import load_settings

    return load_settings(data_dir=data, **given)


@contextmanager
def _output(path: Path | None) -> Iterator[Any]:
    """Yield stdout, or a file that appears whole or not at all."""
    if path is None:
        yield sys.stdout
        return
    import io

    from kiemchung.shards import write_bytes_atomically

    held = io.StringIO()
    yield held
    try:
        write_bytes_atomically(path, held.getvalue().encode("utf-8"))
    except OSError as error:
        raise InputError(
            f"cannot be written: {error}", where=str(path), remedy="give another --out"
        ) from error


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}", where=str(path)) from error


def _decode(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecordError(
            f"not UTF-8 text (byte {error.start})", where=where, remedy="save the file as UTF-8"
        ) from error


def _parse_day(text: str, where: str) -> date:
    from datetime import date

    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise RecordError(f"{text!r} is no date", where=where, remedy="write YYYY-MM-DD") from error


@contextmanager
def _progress() -> Iterator[Progress]:
    """Yield a callback that shows progress on a terminal and a line a stage elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if not console.is_terminal:
        said: set[str] = set()

        def note(stage: str, done: int, total: int) -> None:
            if stage not in said:
                said.add(stage)
                _say(f"kiemchung: {stage} ...")

        yield note
        return
    columns = (
        TextColumn("{task.description:>8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=console) as bars:
        tasks: dict[str, Any] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total or None)
            bars.update(tasks[stage], completed=done, total=total or None)

        yield show


# -- the main job ----------------------------------------------------------------------------


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

    settings = _settings(data or Path("var/demo"), port=port)
    with _progress() as progress:
        result = main.run(settings, progress=progress)
    _result(result.as_dict(), as_json=as_json, lines=result.lines())
    if not as_json and not sys.stdout.isatty():
        for line in result.lines():
            _say(line)
    if serve_:
        main.serve(settings, result, say=_say)


def _weekly(
    week: str, outlet: list[str] | None, data: Path | None, only: Sequence[str], *, as_json: bool
) -> None:
    from pipeline.weekly import Stage, weekly
    from pipeline.weeks import parse_week

    known = [str(s) for s in Stage]
    for name in only:
        if name not in known:
            raise InputError(f"no stage is called {name!r}", remedy=f"known: {', '.join(known)}")
    stages = tuple(Stage(name) for name in only) or tuple(Stage)
    with _progress() as progress:
        summary = weekly(
            parse_week(week),
            outlets=outlet or [],
            settings=_settings(data),
            only=stages,
            progress=progress,
        )
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
    ]
    if summary.report:
        lines.append(f"  report: {summary.report}")
    _result(asdict(summary) | {"exit_code": summary.exit_code}, as_json=as_json, lines=lines)
    if not as_json and not sys.stdout.isatty():
        for line in lines:
            _say(line)


@app.command()
def weekly(
    week: WeekText,
    outlet: OutletNames = None,
    data: Data = None,
    stage: Annotated[
        list[str] | None, typer.Option("--stage", help="Only this stage, repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run one week: crawl, extract, analyse, judge, publish. Exit 0 healthy, 2 with alarms."""
    _weekly(week, outlet, data, stage or (), as_json=as_json)


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

    with _progress() as progress:
        done = reextract(parse_week(str(since)), _settings(data), progress=progress)
    lines = [
        f"{d.run_id}: {d.before} articles before, {d.after} now, {d.new} new"
        + (f"; left as it is: {d.skipped}" if d.skipped else "")
        for d in done
    ]
    if any(d.new for d in done):
        lines.append("run `kiemchung weekly` for these weeks to judge the new articles")
    _result([asdict(d) for d in done], as_json=as_json, lines=lines)


_stage_command("analyse", "Only find the claims of a week's articles.")
_stage_command("judge", "Only set a week's claims beside the passages in force.")
_stage_command("publish", "Only hand a week's results to the store.")


# -- one text, one page, one pair ------------------------------------------------------------


@app.command()
def check(
    text: Annotated[str | None, typer.Option("--text", help="The text itself.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="A UTF-8 text file.")] = None,
    jsonl: Annotated[
        Path | None, typer.Option("--jsonl", help='Lines of {"id","text","date"}.')
    ] = None,
    day: Annotated[
        str | None, typer.Option("--date", help="Day of publication, YYYY-MM-DD (default: today).")
    ] = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Check a text without crawl and store: its claims, evidence in force and differences."""
    from datetime import datetime

    from pipeline.checking import check_text
    from pipeline.judging import Judge
    from pipeline.reading import VIETNAM
    from pipeline.records import read_records, to_json, write_records

    given = [
        name
        for name, value in (("text", text), ("file", file), ("jsonl", jsonl))
        if value is not None
    ]
    if len(given) != 1:
        raise InputError("give exactly one of --text, --file and --jsonl")
    judge = Judge.load(_settings())
    if jsonl is not None:
        records = (
            check_text(
                r["text"],
                day=_parse_day(r["date"], f"{jsonl} id {r['id']}"),
                judge=judge,
                record_id=r["id"],
            )
            for r in read_records(jsonl, ("id", "text", "date"))
        )
        with _output(out) as target:
            write_records(target, records)
        return
    published = (
        _parse_day(day, "--date") if day else datetime.now(VIETNAM).date()  # shown in the result
    )
    body = text if text is not None else _decode(_read_file(file or Path()), str(file))
    if not body.strip():
        raise RecordError("there is no text", where=str(file or "--text"))
    result = check_text(body, day=published, judge=judge)
    if as_json or out:
        with _output(out) as target:
            target.write(to_json(result, indent=1) + "\n")
        return
    if sys.stdout.isatty():
        from pipeline.screen import claim_lines

        for line in claim_lines(result):
            typer.echo(line)


@app.command()
def verdict(
    jsonl: Annotated[Path, typer.Option("--jsonl", help='Lines of {"id","claim","evidence"}.')],
    out: Out = None,
    model: Annotated[Path | None, typer.Option("--model", help="A model folder.")] = None,
    processes: Annotated[int, typer.Option(help="Worker processes.", min=1)] = 1,
    explain: Annotated[bool, typer.Option(help="Say what carried each verdict.")] = False,
    as_json: AsJson = False,
) -> None:
    """Score claim and evidence pairs with the bare model, for evaluation."""
    from pipeline.records import read_records, write_records

    records = read_records(jsonl, ("id", "claim", "evidence"))
    with _output(out) as target:
        if explain:
            write_records(target, _explained(records, model))
        else:
            write_records(target, _scored(records, model, processes))


def _verdict_fields(record: dict[str, Any], found: Verdict) -> dict[str, Any]:
    return {
        "id": record["id"],
        "status": str(found.status),
        "label": str(found.label) if found.label else None,
        "p_supported": found.p_supported,
        "p_refuted": found.p_refuted,
        "p_nei": found.p_nei,
    }


def _scored(
    records: Iterator[dict[str, Any]], model: Path | None, processes: int
) -> Iterator[dict[str, Any]]:
    from models.scoring import score

    asked, paired = tee(records)
    pairs = ((str(r["claim"]), str(r["evidence"])) for r in paired)
    verdicts = score(pairs, folder=model, processes=processes)
    for record, found in zip(asked, verdicts, strict=True):
        _caution(record)
        yield _verdict_fields(record, found)


def _caution(record: dict[str, Any]) -> str:
    """Say on stderr why a verdict means little; return it."""
    from models.verdict import caution

    told = caution(str(record["claim"]), str(record["evidence"]))
    if told:
        _say(f"{record['id']}: {told}")
    return told


def _explained(records: Iterator[dict[str, Any]], model: Path | None) -> Iterator[dict[str, Any]]:
    from dataclasses import asdict

    from models import registry
    from models.explain import explain

    scorer = registry.load(model) if model else registry.load_default()
    for record in records:
        found = explain(scorer, str(record["claim"]), str(record["evidence"]))
        yield _verdict_fields(record, found.verdict) | {
            "carriers": [asdict(c) for c in found.carriers],
            "faithful": found.faithful,
            "caution": _caution(record),
        }


@app.command()
def claims(
    jsonl: Annotated[
        Path, typer.Option("--jsonl", help='Lines of {"id","text"}, a sentence each.')
    ],
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Say of single sentences whether they can be checked, and how much it would matter."""
    from nlp.claims import assess_all
    from nlp.text import canonical
    from pipeline.records import read_records, write_records

    def rows() -> Iterator[dict[str, Any]]:
        for record in read_records(jsonl, ("id", "text")):
            ((checkability, worthiness),) = assess_all([canonical(record["text"]).text])
            yield {
                "id": record["id"],
                "check_worthiness": worthiness,
                "checkability": str(checkability),
            }

    with _output(out) as target:
        write_records(target, rows())


@app.command()
def page(
    file: Annotated[Path, typer.Argument(help="A saved page.")],
    url: Annotated[str, typer.Option("--url", help="The address it was saved from.")],
    outlet: Annotated[str | None, typer.Option("--outlet", help="Use this outlet's file.")] = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Extract one saved page: title, lead, body, date and the method that gave each field."""
    from dataclasses import asdict
    from urllib.parse import urlsplit

    from crawler.extract import extract_page
    from crawler.outlets import load_outlets
    from kiemchung.errors import UnknownOutletError

    known = load_outlets(_settings().outlet_dir)
    if outlet is not None and outlet not in known:
        raise UnknownOutletError(
            f"no outlet is called {outlet!r}", remedy=f"known: {', '.join(sorted(known))}"
        )
    host = (urlsplit(url).hostname or "").lower()
    chosen = known[outlet] if outlet else next((o for o in known.values() if host in o.hosts), None)
    found = extract_page(_read_file(file), url=url, outlet=chosen)
    row = asdict(found)
    if found.published_at is not None:
        row["published_at"] = found.published_at.isoformat()
    row["date_method"] = found.published_method
    text = json.dumps(row, ensure_ascii=False, indent=1, default=str)
    if as_json or out:
        with _output(out) as target:
            target.write(text + "\n")
    elif sys.stdout.isatty():
        typer.echo(
            f"{found.title}\n{found.published_at or '(không rõ ngày)'}\n\n"
            f"{found.lead}\n\n{found.body}"
        )


@app.command()
def segment(
    jsonl: Annotated[Path, typer.Option("--jsonl", help='Lines of {"id","text"}.')],
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Cut texts into sentences and words with offsets into the text as given."""
    from nlp.sentences import sentences
    from nlp.text import canonical
    from nlp.words import segment_words
    from pipeline.records import read_records, write_records

    def rows() -> Iterator[dict[str, Any]]:
        for record in read_records(jsonl, ("id", "text")):
            clean = canonical(record["text"])

            def place(start: int, end: int, clean: Any = clean) -> dict[str, Any]:  # noqa: ANN401
                source_start, source_end = clean.to_source(start, end)
                return {"start": source_start, "end": source_end, "text": clean.text[start:end]}

            yield {
                "id": record["id"],
                "sentences": [
                    place(s.start, s.end)
                    | {
                        "words": [
                            place(s.start + w.start, s.start + w.end) for w in segment_words(s.text)
                        ]
                    }
                    for s in sentences(clean.text)
                ],
            }

    with _output(out) as target:
        write_records(target, rows())


# -- review, report, export ------------------------------------------------------------------


@contextmanager
def _store(data: Path | None) -> Iterator[Store]:
    from kiemchung.store import open_store
    from pipeline.weekly import store_path

    path = store_path(_settings(data))
    if not path.is_file():
        raise InputError(
            "there is no store yet",
            where=str(path),
            remedy="run `kiemchung demo` or `kiemchung weekly` first, or give --data",
        )
    with open_store(path) as store:
        yield store


@app.command()
def serve(
    data: Data = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Open the review desk; this process owns the store and merges the inbox."""
    from dashboards.serve import serve as serve_app
    from pipeline.weekly import outlet_names, store_path

    settings = _settings(data, host=host, port=port)
    names = outlet_names(settings)

    def merged(store: Store, run_ids: Sequence[str]) -> None:
        from pipeline.reporting import after_merge

        after_merge(store, run_ids, settings, outlet_names=names)

    _say(f"kiemchung: http://{settings.host}:{settings.port}")
    serve_app(
        store_path(settings),
        settings.data_dir / "inbox",
        host=settings.host,
        port=settings.port,
        outlet_names=names,
        merged=merged,
        reference_dir=settings.reference_dir,
        double_share=settings.double_review_share,
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
    settings = _settings(data)
    if deliver and not (settings.mail_host or settings.webhook_url):
        raise InputError(
            "nothing is set to deliver by",
            where="kiemchung.toml",
            remedy="set mail_host or webhook_url, see docs/report.md",
        )
    try:
        with _store(data) as store:
            done = write_report(
                store, str(chosen), settings, outlet_names=outlet_names(settings), out=out
            )
    except OSError as error:
        raise InputError(
            f"cannot be written: {error}", where=str(out), remedy="give another --out"
        ) from error
    made = delivering.deliver(done, settings, again=again) if deliver else []
    failed = delivering.alarms(made)
    _result(
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
        _say(f"kiemchung: {line}")
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
    settings = _settings(data)
    imprint = exporting.Imprint(
        publisher=settings.publisher,
        public_url=settings.public_url,
        outlet_names=outlet_names(settings),
    )
    with _store(data) as store:
        done = exporting.export(
            store, format_, out=out, week=chosen, mention=mention, imprint=imprint
        )
    _result(
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

    judge = Judge.load(_settings(data))
    with _store(data) as store:
        wanted = store.judged_mentions(flagged_only=True)
    chosen = [(m, j) for m, j in wanted if flag in ("all", m.mention_id)]
    if not chosen:
        raise InputError(f"no flag has the id {flag!r}", remedy="see `kiemchung export`")
    results = [derive(m, j, judge) for m, j in chosen]
    lines = [f"{r.mention_id}: {'same' if r.same else '; '.join(r.differences)}" for r in results]
    _result([asdict(r) for r in results], as_json=as_json, lines=lines)
    if not all(r.same for r in results):
        raise typer.Exit(1)


@app.command()
def status(data: Data = None, as_json: AsJson = False) -> None:
    """Say which runs there are, how far each came, and what lies in the store."""
    from pipeline.status import overview

    settings = _settings(data)
    found = overview(settings)
    _result(found.as_dict(), as_json=as_json, lines=found.lines())


@app.command()
def backup(
    out: Annotated[Path, typer.Option("--out", help="Backup file to write.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Write a consistent copy of the store, reviews included."""
    with _store(data) as store:
        store.backup(out)
    _result({"backup": str(out)}, as_json=as_json, lines=[str(out)])


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="A backup file.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Put a backup in place of the store; the store that was there is kept beside it."""
    from kiemchung.store import restore as put_back
    from pipeline.weekly import store_path

    path = store_path(_settings(data))
    put_back(source, path)
    _result({"store": str(path)}, as_json=as_json, lines=[str(path)])


# -- reference -------------------------------------------------------------------------------


@reference_app.command("check")
def reference_check(
    folder: Annotated[Path | None, typer.Option("--folder", help="Another base.")] = None,
    as_json: AsJson = False,
) -> None:
    """Validate the base; every problem names its file and line. Exit 1 when there is one."""
    from dataclasses import asdict

    from kiemchung import reference

    chosen = folder or _settings().reference_dir
    problems = reference.check(chosen)
    lines = [f"{p.where}: {p.message}" for p in problems]
    summary: dict[str, Any] = {"problems": [asdict(p) for p in problems]}
    if not problems:
        base = reference.load(chosen)
        summary |= {
            "version": base.version,
            "documents": len(base.documents),
            "passages": len(base.passages),
        }
        lines = [f"{base.version}: {len(base.documents)} documents, {len(base.passages)} passages"]
    _result(summary, as_json=as_json, lines=lines)
    if problems:
        for line in lines:
            _say(line)
        raise typer.Exit(1)


@reference_app.command("show")
def reference_show(
    query: Annotated[str, typer.Argument(help="A passage id, a topic, or words.")],
    day: Annotated[str | None, typer.Option("--date", help="Only what is in force then.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show passages with their citation and the days on which they held."""
    from dataclasses import asdict

    from kiemchung import reference
    from nlp.text import fold

    base = reference.load(_settings().reference_dir)
    passages = list(base.passages)
    if day is not None:
        passages = reference.in_force(passages, _parse_day(day, "--date"))
    words = fold(query).split()
    found = [p for p in passages if query in (p.passage_id, p.topic)] or [
        p for p in passages if all(w in fold(f"{p.citation} {p.text}") for w in words)
    ]
    lines = [
        f"{p.passage_id}  {p.valid_from}..{p.valid_to or ''}\n  {p.text}\n  {p.citation}"
        for p in found
    ]
    _result([asdict(p) for p in found], as_json=as_json, lines=lines)
    if not found:
        raise InputError(f"nothing matches {query!r}")


@reference_app.command("reviews")
def reference_reviews(
    data: Data = None,
    reopen: Annotated[
        bool, typer.Option("--reopen", help="Mark them and put their claims back into the queue.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List past decisions whose evidence has changed in the base since."""
    from dataclasses import asdict

    from dashboards.touched import touched
    from kiemchung import reference

    base = reference.load(_settings().reference_dir)
    with _store(data) as store:
        found = touched(store.decided_passages(), base.passages, base.documents)
        if reopen:
            from dashboards.recheck import recheck

            _say(f"kiemchung: {len(recheck(store, base))} claims wait again")
    lines = [
        f"{t.mention_key}  {t.decision}  {t.passage_id} {t.change}\n  {t.text}\n"
        f"  before: {t.before or '-'}\n  now: {t.now or '-'}"
        for t in found
    ]
    _result(
        [asdict(t) for t in found],
        as_json=as_json,
        lines=lines or ["no decision is touched by the base as it is now"],
    )


@reference_app.command("import")
def reference_import(
    source: Annotated[Path, typer.Argument(help="Codified statutes as JSON.")],
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Turn codified statutes into candidate passages for a person to complete."""
    from dataclasses import asdict

    from kiemchung.reference import convert
    from pipeline.records import write_records

    found = convert.convert_file(source)
    with _output(out) as target:
        write_records(target, (json.loads(json.dumps(asdict(p), default=str)) for p in found))
    _say(f"kiemchung: {len(found)} candidates")


@reference_app.command("add")
def reference_add(
    fact: Annotated[Path, typer.Argument(help="A JSON file with one passage.")],
    folder: Annotated[Path | None, typer.Option("--folder", help="Another base.")] = None,
    as_json: AsJson = False,
) -> None:
    """Validate one fact and append it to the base."""
    from kiemchung.reference import convert

    passage = convert.add_fact(fact, folder or _settings().reference_dir)
    _result({"added": passage.passage_id}, as_json=as_json, lines=[passage.passage_id])


# -- outlets ---------------------------------------------------------------------------------


@outlets_app.command("list")
def outlets_list(as_json: AsJson = False) -> None:
    """List the outlets, and who verified each when."""
    from dataclasses import asdict

    from crawler.outlets import load_outlets

    known = load_outlets(_settings().outlet_dir)
    lines = [
        f"{o.name:24} {'mẫu' if o.sample else (o.verified_on or 'chưa kiểm tra')}"
        f"  {', '.join(o.hosts)}"
        for o in known.values()
    ]
    _result([asdict(o) for o in known.values()], as_json=as_json, lines=lines)


@outlets_app.command("check")
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

    settings = _settings(data)
    if folder is not None:
        settings = settings.model_copy(update={"outlet_dir": folder})
    if not name:
        if write:
            raise InputError("name the outlets to be marked")
        known, broken = check_files(settings)
        _result(
            {"outlets": known, "broken": broken},
            as_json=as_json,
            lines=[f"{len(known)} outlet files"],
        )
        for error in broken:
            typer.echo(error, err=True)
        raise typer.Exit(1 if broken else 0)
    done = look_at(name, settings, write=write, by=by)
    _result([d.as_dict() for d in done], as_json=as_json, lines=[x for d in done for x in d.lines])
    raise typer.Exit(0 if all(d.probe.sound for d in done) else 2)


@outlets_app.command("new")
def outlets_new(
    url: Annotated[str, typer.Argument(help="Address of one article.")],
    name: Annotated[str, typer.Option("--name", help="Name of the outlet.")] = "",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Draft an outlet file from one article of a site; correct it, then `outlets check NAME`."""
    from pipeline.outlet_check import draft_of

    made = draft_of(url, _settings(), name=name)
    if as_json:
        _result({"toml": made.toml, "doubts": list(made.doubts)}, as_json=True)
        return
    with _output(out) as target:
        target.write(made.toml)
    for doubt in made.doubts:
        typer.echo(f"doubtful: {doubt}", err=True)


# -- models ----------------------------------------------------------------------------------


@models_app.command("list")
def models_list(data: Data = None, as_json: AsJson = False) -> None:
    """List the shipped model and those in the data folder."""
    from models import registry
    from pipeline.judging import promoted_model

    settings = _settings(data)
    promoted = promoted_model(settings.data_dir)
    shown = registry.verify(registry.DEFAULT)
    rows = [{"name": "default", "model_id": shown.model_id, "promoted": promoted is None}]
    for name, found in sorted(registry.available(settings.data_dir / "models").items()):
        state = str(found) if isinstance(found, KiemchungError) else found.model_id
        current = promoted is not None and promoted.name == name
        rows.append({"name": name, "model_id": state, "promoted": current})
    lines = [f"{'*' if r['promoted'] else ' '} {r['name']}  {r['model_id']}" for r in rows]
    _result(rows, as_json=as_json, lines=lines)


def _model_folder(name: str, data: Path | None) -> Path:
    from models import registry

    if name == "default":
        return registry.DEFAULT
    folder = Path(name)
    return folder if folder.is_dir() else _settings(data).data_dir / "models" / name


@models_app.command("show")
def models_show(name: str = "default", data: Data = None, as_json: AsJson = False) -> None:
    """Show a model's manifest: label order, threshold, figures, what it was trained on."""
    from models import registry

    folder = _model_folder(name, data)
    registry.verify(folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    _result(manifest, as_json=as_json, lines=[json.dumps(manifest, ensure_ascii=False, indent=1)])


@models_app.command("verify")
def models_verify(name: str = "default", data: Data = None, as_json: AsJson = False) -> None:
    """Compare every file of a model with its manifest."""
    from models import registry

    folder = _model_folder(name, data)
    registry.verify(folder)
    _result({"folder": name, "ok": True}, as_json=as_json, lines=[f"{name}: ok"])


@models_app.command("promote")
def models_promote(name: str, data: Data = None, as_json: AsJson = False) -> None:
    """Use a verified model of the data folder from the next run on; `default` goes back."""
    from kiemchung.shards import write_bytes_atomically
    from models import registry

    models = _settings(data).data_dir / "models"
    pointer = models / "PROMOTED"
    if name == "default":
        pointer.unlink(missing_ok=True)
    else:
        if Path(name).name != name:
            raise InputError(f"{name!r} is no model name", remedy="see `kiemchung models list`")
        registry.verify(models / name)
        registry.load(models / name)
        write_bytes_atomically(pointer, name.encode("utf-8"))
    _result({"promoted": name}, as_json=as_json, lines=[f"promoted: {name}"])


# -- training --------------------------------------------------------------------------------

Corpus = Annotated[
    Path | None, typer.Option("--corpus", help="Folder of plain or segmented texts.")
]
Lexicon = Annotated[
    Path | None, typer.Option("--lexicon", help="Folder with antonyms_vi.txt and synonyms_vi.txt.")
]
PairFiles = Annotated[
    list[Path] | None, typer.Option("--pairs", help="Labelled pairs as JSONL, repeatable.")
]


@train_app.command("comparison")
def train_comparison(
    out: Annotated[Path, typer.Option("--out", help="Model folder to write.")],
    corpus: Corpus = None,
    lexicon: Lexicon = None,
    pairs: PairFiles = None,
    seed: int = 0,
    limit: Annotated[int, typer.Option(help="Texts of the corpus.")] = 3_000,
    as_json: AsJson = False,
) -> None:
    """Train the comparison model on constructed pairs."""
    from models.train import train_comparison as train

    folder = train(out, corpus=corpus, lexicon=lexicon, files=pairs or [], seed=seed, limit=limit)
    _trained(folder, as_json=as_json)


@train_app.command("vocabulary")
def train_vocabulary(
    text: Annotated[list[Path], typer.Option("--text", help="Text file or folder, repeatable.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for vocab.txt and bpe.codes.")],
    size: Annotated[int, typer.Option(help="Ids at most.")] = 16_000,
    words: Annotated[int, typer.Option(help="Words to learn from.")] = 9_000_000,
    as_json: AsJson = False,
) -> None:
    """Learn an own tokenizer in PhoBERT's two-file format from word-segmented text."""
    from models.pretrain import learn_vocabulary
    from models.tokenizer import PhobertBpe

    bpe = PhobertBpe.of_folder(learn_vocabulary(text, out, size=size, words=words))
    _result(
        {"folder": str(out), "ids": bpe.size, "merges": bpe.merges},
        as_json=as_json,
        lines=[f"{bpe.size} ids, {bpe.merges} merges in {out}"],
    )


@train_app.command("prepare")
def train_prepare(
    text: Annotated[list[Path], typer.Option("--text", help="Text file or folder, repeatable.")],
    vocabulary: Annotated[Path, typer.Option("--vocabulary", help="Folder of the tokenizer.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the token stream.")],
    limit: Annotated[int | None, typer.Option(help="Tokens at most, shared by the files.")] = None,
    as_json: AsJson = False,
) -> None:
    """Segment and encode a corpus once, for `train pretrain`."""
    from models.pretrain import prepare

    found = prepare(text, vocabulary, out, limit=limit)
    _result(
        {"folder": str(out), "tokens": len(found.tokens), "sources": list(found.sources)},
        as_json=as_json,
        lines=[*found.sources, f"{len(found.tokens)} tokens in {out}"],
    )


@train_app.command("pretrain")
def train_pretrain(
    prepared: Annotated[Path, typer.Option("--prepared", help="Folder of `train prepare`.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for checkpoints and the encoder.")],
    tokens: Annotated[int, typer.Option(help="Tokens to train on, in all.")] = 50_000_000,
    shape: Annotated[str, typer.Option(help="LAYERSxWIDTH.")] = "4x256",
    batch_tokens: Annotated[int, typer.Option(help="Tokens a step.")] = 8_192,
    rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 2e-3,
    optimiser: Annotated[str, typer.Option(help="adamw or muon.")] = "adamw",
    warm_start: Annotated[bool, typer.Option(help="Start from co-occurrence vectors.")] = True,
    seed: int = 0,
    threads: Annotated[int | None, typer.Option(help="CPU threads (default: all).")] = None,
    save_every: Annotated[float, typer.Option(help="Seconds between checkpoints.")] = 300.0,
    as_json: AsJson = False,
) -> None:
    """Pretrain an encoder by masked words, on a GPU if there is one; goes on where it stopped."""
    from models.pretrain import Plan, Shape, load_prepared, pretrain

    if optimiser not in ("adamw", "muon"):
        raise InputError(f"no optimiser {optimiser!r}", remedy="adamw or muon")
    plan = Plan(
        shape=Shape.of(shape),
        tokens=tokens,
        batch_tokens=batch_tokens,
        rate=rate,
        seed=seed,
        warm_start=warm_start,
        optimiser=optimiser,
    )
    try:
        state = pretrain(load_prepared(prepared), out, plan, save_every=save_every, threads=threads)
    except ImportError as error:
        raise InputError(
            f"{error.name} is not installed", remedy="install the train extra; see CONTRIBUTING"
        ) from error
    _result(
        {"folder": str(out / "encoder"), **state},
        as_json=as_json,
        lines=[
            f"step {state['step']} of {state['steps']}: held-out perplexity "
            f"{state['held_out_perplexity']}; {out / 'encoder'}"
        ],
    )


@data_app.command("construct")
def data_construct(
    corpus: Annotated[Path, typer.Option("--corpus", help="Folder of .txt, .txt.xz, .jsonl.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for train and held_out.jsonl.")],
    lexicon: Lexicon = None,
    size: Annotated[int, typer.Option(help="Pairs, about.", min=30)] = 30_000,
    seed: int = 0,
    as_json: AsJson = False,
) -> None:
    """Make balanced pairs of claim and evidence whose claims alone give nothing away."""
    from kiemchung import reference
    from models import construct, dataset
    from models.train import read_lexicon

    try:
        made = dataset.build(
            corpus,
            passages=reference.load(_settings().reference_dir).passages,
            size=size,
            seed=seed,
            synonyms=read_lexicon(lexicon, "synonyms"),
            antonyms=read_lexicon(lexicon, "antonyms"),
        )
    except ImportError as error:
        raise InputError(
            f"{error.name} is not installed", remedy="install the train extra; see CONTRIBUTING"
        ) from error
    sources = [path.name for path in construct.corpus_files(corpus)]
    body = dataset.write(out, made, seed=seed, sources=sources)
    lines = [f"{name}: {value}" for name, value in body.items() if name != "kinds"]
    lines += [f"  {kind}: {n}" for kind, n in body["kinds"].items()]
    _result({"folder": str(out), **body}, as_json=as_json, lines=lines)


@train_app.command("verdict")
def train_verdict(
    out: Annotated[Path, typer.Option("--out", help="Model folder to write.")],
    encoder: Annotated[
        str | None, typer.Option("--encoder", help="Hub id or folder (default: the settings').")
    ] = None,
    corpus: Corpus = None,
    lexicon: Lexicon = None,
    pairs: PairFiles = None,
    epochs: int = 3,
    rate: Annotated[
        float | None, typer.Option(help="Highest learning rate (default: by width).")
    ] = None,
    batch_tokens: Annotated[int, typer.Option(help="Tokens a batch, padding included.")] = 4_096,
    r_drop: Annotated[float, typer.Option(help="Weight of R-Drop; 0 for none.")] = 0.0,
    smoothing: Annotated[float, typer.Option(help="Label smoothing.")] = 0.05,
    threads: Annotated[int | None, typer.Option(help="CPU threads (default: all).")] = None,
    precision: Annotated[str, typer.Option(help="int8 or float32.")] = "int8",
    seed: int = 0,
    limit: Annotated[int, typer.Option(help="Texts of the corpus.")] = 3_000,
    as_json: AsJson = False,
) -> None:
    """Fine-tune an encoder in PhoBERT's format; needs the `train` extra."""
    from kiemchung import reference

    if precision not in ("int8", "float32"):
        raise InputError(f"no precision {precision!r}", remedy="int8 or float32")
    try:
        from models.finetune import Recipe
        from models.joining import train_verdict as train
        from models.train import gather
    except ImportError as error:
        raise InputError(
            f"{error.name} is not installed", remedy="install the train extra; see CONTRIBUTING"
        ) from error
    settings = _settings()
    data = gather(
        passages=reference.load(settings.reference_dir).passages,
        corpus=corpus,
        lexicon=lexicon,
        files=pairs or [],
        seed=seed,
        limit=limit,
    )
    folder = train(
        out,
        data,
        encoder=encoder or settings.encoder,
        recipe=Recipe(
            epochs=epochs,
            rate=rate,
            batch_tokens=batch_tokens,
            r_drop=r_drop,
            smoothing=smoothing,
            threads=threads,
            seed=seed,
        ),
        precision=precision,
    )
    _trained(folder, as_json=as_json)


def _trained(folder: Path, *, as_json: bool) -> None:
    from models import registry

    manifest = registry.verify(folder)
    shown = {"folder": str(folder), "model_id": manifest.model_id, "threshold": manifest.threshold}
    lines = [f"{manifest.model_id} in {folder}"]
    _result(shown | {"metrics": dict(manifest.metrics)}, as_json=as_json, lines=lines)


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
        rows = gates.own_pairs(reference.load(_settings().reference_dir).passages)
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
    _result(report, as_json=as_json, lines=lines)
    if missed:
        raise InputError("; ".join(missed), where=scorer.model_id, remedy="do not ship it")


# -- accounts --------------------------------------------------------------------------------


@user_app.command("add")
def user_add(
    name: Annotated[str, typer.Argument(help="Account name.")],
    role: Annotated[str, typer.Option(help="reader, reviewer, adjudicator or admin.")] = "reviewer",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Add an account and print its one-time password."""
    from kiemchung.store import open_store
    from pipeline.weekly import store_path

    with open_store(store_path(_settings(data))) as store:
        password = store.add_user(name, role=role)
    shown = {"user": name, "one_time_password": password}
    _result(shown, as_json=as_json, lines=[f"{name}: one-time password {password}"])
    if not as_json and not sys.stdout.isatty():
        _say(f"{name}: one-time password {password}")


@user_app.command("passwd")
def user_passwd(
    name: Annotated[str, typer.Argument(help="Account name.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Give an account a new one-time password."""
    with _store(data) as store:
        password = store.reset_password(name)
    shown = {"user": name, "one_time_password": password}
    _result(shown, as_json=as_json, lines=[f"{name}: one-time password {password}"])
    if not as_json and not sys.stdout.isatty():
        _say(f"{name}: one-time password {password}")


@user_app.command("list")
def user_list(data: Data = None, as_json: AsJson = False) -> None:
    """List the accounts with role and state."""
    from dataclasses import asdict

    with _store(data) as store:
        users = store.users()
    lines = [
        f"{u.name:20} {u.role:12} {'active' if u.active else 'inactive':9}"
        f" {u.sessions} sessions{' (locked)' if u.locked else ''}"
        for u in users
    ]
    _result([asdict(u) for u in users], as_json=as_json, lines=lines or ["no account yet"])


@user_app.command("role")
def user_role(
    name: Annotated[str, typer.Argument(help="Account name.")],
    role: Annotated[str, typer.Argument(help="reader, reviewer, adjudicator or admin.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Give an account another role; its sessions end, and the last admin stays one."""
    with _store(data) as store:
        store.set_role(name, role)
    _result({"user": name, "role": role}, as_json=as_json, lines=[f"{name}: {role}"])


@user_app.command("deactivate")
def user_deactivate(
    name: Annotated[str, typer.Argument(help="Account name.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Close an account and end its sessions; what it concluded stays."""
    with _store(data) as store:
        store.set_active(name, False)
    _result({"user": name, "active": False}, as_json=as_json, lines=[f"{name}: deactivated"])


@user_app.command("activate")
def user_activate(
    name: Annotated[str, typer.Argument(help="Account name.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Open a closed account again."""
    with _store(data) as store:
        store.set_active(name, True)
    _result({"user": name, "active": True}, as_json=as_json, lines=[f"{name}: active"])


# -- entry -----------------------------------------------------------------------------------


@app.command(hidden=True)
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run the command line; a known error is one line on stderr and exit code 1."""
    try:
        app()
    except KiemchungError as error:
        _say(f"kiemchung: {error}")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        _say("kiemchung: interrupted; the same command goes on where it stopped")
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
