"""One text, one page, one pair: no crawl, no store."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kiemchung.errors import InputError, RecordError
from pipeline.commands.common import (
    AsJson,
    Device,
    Out,
    decode,
    output,
    parse_day,
    read_file,
    say,
    settings_for,
)

if TYPE_CHECKING:
    from models.verdict import Verdict

app = typer.Typer()


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
    judge = Judge.load(settings_for())
    if jsonl is not None:
        records = (
            check_text(
                _read_by_model(r["text"], f"{jsonl} id {r['id']}"),
                day=parse_day(r["date"], f"{jsonl} id {r['id']}"),
                judge=judge,
                record_id=r["id"],
            )
            for r in read_records(jsonl, ("id", "text", "date"))
        )
        with output(out) as target:
            write_records(target, records)
        return
    published = (
        parse_day(day, "--date") if day else datetime.now(VIETNAM).date()  # shown in the result
    )
    body = text if text is not None else decode(read_file(file or Path()), str(file))
    if not body.strip():
        raise RecordError("there is no text", where=str(file or "--text"))
    result = check_text(_read_by_model(body, str(file or "--text")), day=published, judge=judge)
    if as_json or out:
        with output(out) as target:
            target.write(to_json(result, indent=1) + "\n")
        return
    if sys.stdout.isatty():
        from pipeline.screen import claim_lines

        for line in claim_lines(result):
            typer.echo(line)


def _read_by_model(text: str, where: str) -> str:
    """Return ``text``; say on stderr when it is in a language that nothing here reads."""
    from models.verdict import is_vietnamese

    if not is_vietnamese(text):
        say(f"{where}: not in Vietnamese, so nothing can be found in it")
    return text


@app.command()
def verdict(
    jsonl: Annotated[Path, typer.Option("--jsonl", help='Lines of {"id","claim","evidence"}.')],
    out: Out = None,
    model: Annotated[Path | None, typer.Option("--model", help="A model folder.")] = None,
    processes: Annotated[int, typer.Option(help="Worker processes.", min=1)] = 1,
    explain: Annotated[bool, typer.Option(help="Say what carried each verdict.")] = False,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Score claim and evidence pairs with the bare model, for evaluation."""
    from pipeline.records import read_records, write_records

    records = read_records(jsonl, ("id", "claim", "evidence"))
    with output(out) as target:
        if explain:
            if device not in (None, "cpu"):
                raise InputError("--explain scores on the CPU", remedy="leave --device out")
            write_records(target, _explained(records, model))
        else:
            write_records(target, _scored(records, model, processes, device or "cpu"))


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
    records: Iterator[dict[str, Any]], model: Path | None, processes: int, device: str
) -> Iterator[dict[str, Any]]:
    from models.scoring import score

    asked, paired = tee(records)
    pairs = ((str(r["claim"]), str(r["evidence"])) for r in paired)
    verdicts = score(pairs, folder=model, processes=processes, device=device)
    for record, found in zip(asked, verdicts, strict=True):
        _caution(record)
        yield _verdict_fields(record, found)


def _caution(record: dict[str, Any]) -> str:
    """Say on stderr why a verdict means little; return it."""
    from models.verdict import caution

    told = caution(str(record["claim"]), str(record["evidence"]))
    if told:
        say(f"{record['id']}: {told}")
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
            text = _read_by_model(record["text"], f"{jsonl} id {record['id']}")
            ((checkability, worthiness),) = assess_all([canonical(text).text])
            yield {
                "id": record["id"],
                "check_worthiness": worthiness,
                "checkability": str(checkability),
            }

    with output(out) as target:
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

    known = load_outlets(settings_for().outlet_dir)
    if outlet is not None and outlet not in known:
        raise UnknownOutletError(
            f"no outlet is called {outlet!r}", remedy=f"known: {', '.join(sorted(known))}"
        )
    host = (urlsplit(url).hostname or "").lower()
    chosen = known[outlet] if outlet else next((o for o in known.values() if host in o.hosts), None)
    found = extract_page(read_file(file), url=url, outlet=chosen)
    row = asdict(found)
    if found.published_at is not None:
        row["published_at"] = found.published_at.isoformat()
    row["date_method"] = found.published_method
    text = json.dumps(row, ensure_ascii=False, indent=1, default=str)
    if as_json or out:
        with output(out) as target:
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

    with output(out) as target:
        write_records(target, rows())
