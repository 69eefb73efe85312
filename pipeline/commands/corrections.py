"""`kiemchung corrections`: the ledger of what was asked to be put right."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from kiemchung.errors import InputError
from pipeline.commands.common import GROUP, AsJson, Data, emit, existing_store, store_to_read

if TYPE_CHECKING:
    from kiemchung.store import Store

app = typer.Typer(help="The corrections ledger: list, add, resolve.", **GROUP)


def _mention_key(store: Store, text: str) -> int:
    """Return the key of a mention named by its item number or by its id."""
    if text.isascii() and text.isdecimal() and len(text) < 19:
        return int(text)
    rows = store._read("SELECT mention_key FROM mention WHERE mention_id = ?", [text])
    if not rows:
        raise InputError(f"no mention {text!r}", remedy="take the number of /item/NUMBER, or an id")
    return int(rows[0]["mention_key"])


@app.command("list")
def corrections_list(
    open_only: Annotated[bool, typer.Option("--open", help="Only what waits.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List what was asked to be put right, and what came of it."""
    from kiemchung.store.corrections import corrections

    with store_to_read(data) as store:
        found = [c for c in corrections(store) if not (open_only and c.outcome)]
    lines = [f"{c.key}  {c.outcome or 'open'}  item {c.mention_key}: {c.claim}" for c in found]
    emit([asdict(c) for c in found], as_json=as_json, lines=lines)


@app.command("add")
def corrections_add(
    mention: Annotated[str, typer.Argument(help="Item number or mention id.")],
    request: Annotated[str, typer.Option("--request", help="What is asked; no personal data.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Write down a request about a claim and print its number."""
    from kiemchung.store.corrections import add

    with existing_store(data) as store:
        key = add(store, None, _mention_key(store, mention), request)
    emit({"correction": key}, as_json=as_json, lines=[str(key)])


@app.command("resolve")
def corrections_resolve(
    number: Annotated[int, typer.Argument(help="Number of the request.")],
    outcome: Annotated[str, typer.Option("--outcome", help="upheld, partly or declined.")],
    answer: Annotated[str, typer.Option("--answer", help="What the next report prints.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Answer a request, once; the answer stands in the next report."""
    from kiemchung.store.corrections import Outcome, resolve

    if outcome not in set(Outcome):
        raise InputError(f"no outcome {outcome!r}", remedy=f"known: {', '.join(Outcome)}")
    with existing_store(data) as store:
        resolve(store, None, number, Outcome(outcome), answer)
    emit({"correction": number, "outcome": outcome}, as_json=as_json, lines=[f"{number}"])
