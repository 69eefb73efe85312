"""The reference base: check, seal, show, import, add."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from kiemchung.errors import InputError
from pipeline.commands.common import (
    GROUP,
    AsJson,
    Data,
    Out,
    emit,
    existing_store,
    output,
    parse_day,
    say,
    settings_for,
    store_to_read,
)

app = typer.Typer(help="The reference base: check, show, import, add.", **GROUP)


@app.command("check")
def reference_check(
    folder: Annotated[Path | None, typer.Option("--folder", help="Another base.")] = None,
    as_json: AsJson = False,
) -> None:
    """Validate the base; every problem names its file and line. Exit 1 when there is one."""
    from dataclasses import asdict

    from kiemchung import reference

    chosen = folder or settings_for().reference_dir
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
    emit(summary, as_json=as_json, lines=lines)
    if problems:
        for line in lines:
            say(line)
        raise typer.Exit(1)


@app.command("seal")
def reference_seal(
    folder: Annotated[Path | None, typer.Option("--folder", help="Another base.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write down the hashes of the base's files, after you changed them; other bytes are refused.

    A base with a line that cannot be used is not sealed.
    """
    from kiemchung import reference

    chosen = folder or settings_for().reference_dir
    path = reference.seal(chosen)
    version = reference.load(chosen).version
    emit({"sealed": str(path), "version": version}, as_json=as_json, lines=[f"{version}: {path}"])


@app.command("show")
def reference_show(
    query: Annotated[str, typer.Argument(help="A passage id, a topic, or words.")],
    day: Annotated[str | None, typer.Option("--date", help="Only what is in force then.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show passages with their citation and the days on which they held."""
    from dataclasses import asdict

    from kiemchung import reference
    from nlp.text import fold

    base = reference.load(settings_for().reference_dir)
    passages = list(base.passages)
    if day is not None:
        passages = reference.in_force(passages, parse_day(day, "--date"))
    words = fold(query).split()
    found = [p for p in passages if query in (p.passage_id, p.topic)] or [
        p for p in passages if all(w in fold(f"{p.citation} {p.text}") for w in words)
    ]
    lines = [
        f"{p.passage_id}  {p.valid_from}..{p.valid_to or ''}\n  {p.text}\n  {p.citation}"
        for p in found
    ]
    emit([asdict(p) for p in found], as_json=as_json, lines=lines)
    if not found:
        raise InputError(f"nothing matches {query!r}")


@app.command("reviews")
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

    base = reference.load(settings_for().reference_dir)
    with (existing_store if reopen else store_to_read)(data) as store:
        found = touched(store.decided_passages(), base.passages, base.documents)
        if reopen:
            from dashboards.recheck import recheck

            say(f"kiemchung: {len(recheck(store, base))} claims wait again")
    lines = [
        f"{t.mention_key}  {t.decision}  {t.passage_id} {t.change}\n  {t.text}\n"
        f"  before: {t.before or '-'}\n  now: {t.now or '-'}"
        for t in found
    ]
    emit(
        [asdict(t) for t in found],
        as_json=as_json,
        lines=lines or ["no decision is touched by the base as it is now"],
    )


@app.command("import")
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
    with output(out) as target:
        write_records(target, (json.loads(json.dumps(asdict(p), default=str)) for p in found))
    say(f"kiemchung: {len(found)} candidates")


@app.command("add")
def reference_add(
    fact: Annotated[Path, typer.Argument(help="A JSON file with one passage.")],
    folder: Annotated[Path | None, typer.Option("--folder", help="Another base.")] = None,
    as_json: AsJson = False,
) -> None:
    """Validate one fact and append it to the base."""
    from kiemchung.reference import convert

    passage = convert.add_fact(fact, folder or settings_for().reference_dir)
    emit({"added": passage.passage_id}, as_json=as_json, lines=[passage.passage_id])
