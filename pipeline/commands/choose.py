"""What to label next: one more command of `kiemchung data`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.common import AsJson, Data, emit, settings_for, store_to_read

app = typer.Typer()


@app.command("choose")
def data_choose(
    out: Annotated[Path, typer.Option("--out", help="JSON file for the list.")],
    jsonl: Annotated[
        Path | None,
        typer.Option("--jsonl", help="Pairs without labels (default: the claims of the store)."),
    ] = None,
    labelled: Annotated[
        list[Path] | None, typer.Option(help="Pairs that have a label, repeatable; left out.")
    ] = None,
    week: Annotated[str | None, typer.Option("--week", help="Claims of this week alone.")] = None,
    size: Annotated[int, typer.Option("-n", "--size", help="How many.", min=1)] = 50,
    strategy: Annotated[str, typer.Option(help="Order, see docs/experiments.md.")] = "mixed",
    random_share: Annotated[
        float, typer.Option(help="Share drawn at random.", min=0.0, max=1.0)
    ] = 0.2,
    model: Annotated[Path | None, typer.Option("--model", help="A model folder.")] = None,
    seed: int = 0,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Choose what people should label next for the model's sake; nothing is decided by it."""
    from kiemchung.sealed import write_sealed
    from models import registry
    from pipeline import choosing
    from pipeline.judging import promoted_model
    from pipeline.weeks import parse_week

    settings = settings_for(data)
    if jsonl is not None:
        waiting = choosing.read_waiting(jsonl, labelled or [])
    else:
        with store_to_read(data) as store:
            waiting = choosing.of_store(store, str(parse_week(week)) if week else None)
    folder = model or promoted_model(settings.data_dir) or registry.DEFAULT
    body = choosing.chosen(
        waiting, registry.load(folder), size,
        strategy=strategy, seed=seed, random_share=random_share,
    )  # fmt: skip
    write_sealed(out, body)
    lines = [
        f"{r.get('address') or r['id']}  {r['reason']}"
        + ("" if r["probability"] is None else f"  {r['probability']:.4f}")
        for r in body["rows"]
    ]
    lines.append(f"{len(body['rows'])} of {body['candidates']} in {out}")
    emit({"out": str(out), **body}, as_json=as_json, lines=lines)
