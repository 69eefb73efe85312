"""The models of the data folder and the shipped one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kiemchung.errors import KiemchungError
from pipeline.commands.common import GROUP, AsJson, Data, Out, emit, output, say, settings_for

if TYPE_CHECKING:
    from models.construct import Pair

app = typer.Typer(help="The models: list, show, verify, compare, promote, roll back.", **GROUP)

Sets = Annotated[
    list[Path] | None,
    typer.Option("--jsonl", help='Set of {"claim","evidence","label"}, repeatable.'),
]


@app.command("list")
def models_list(data: Data = None, as_json: AsJson = False) -> None:
    """List the shipped model and those in the data folder."""
    from models import registry
    from pipeline import promotion
    from pipeline.judging import promoted_model

    settings = settings_for(data)
    promoted = promoted_model(settings.data_dir)
    shown = registry.verify(registry.DEFAULT)
    override = promotion.overridden(settings.data_dir)
    rows: list[dict[str, object]] = [
        {"name": "default", "model_id": shown.model_id, "promoted": promoted is None}
    ]
    for name, found in sorted(registry.available(settings.data_dir / "models").items()):
        state = str(found) if isinstance(found, KiemchungError) else found.model_id
        current = promoted is not None and promoted.name == name
        rows.append({"name": name, "model_id": state, "promoted": current})
        if current and override is not None:
            rows[-1] |= {"despite_gates": list(override.against), "reason": override.reason}
    lines = [f"{'*' if r['promoted'] else ' '} {r['name']}  {r['model_id']}" for r in rows]
    if override is not None:
        lines += [f"    promoted despite its gates: {override.reason}"]
        lines += [f"      {line}" for line in override.against]
    emit(rows, as_json=as_json, lines=lines)


def _model_folder(name: str, data: Path | None) -> Path:
    from models import registry

    if name == "default":
        return registry.DEFAULT
    folder = Path(name)
    return folder if folder.is_dir() else settings_for(data).data_dir / "models" / name


@app.command("show")
def models_show(name: str = "default", data: Data = None, as_json: AsJson = False) -> None:
    """Show a model's manifest: label order, threshold, figures, what it was trained on."""
    from models import registry

    folder = _model_folder(name, data)
    registry.verify(folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    emit(manifest, as_json=as_json, lines=[json.dumps(manifest, ensure_ascii=False, indent=1)])


@app.command("verify")
def models_verify(name: str = "default", data: Data = None, as_json: AsJson = False) -> None:
    """Compare every file of a model with its manifest."""
    from models import registry

    folder = _model_folder(name, data)
    registry.verify(folder)
    emit({"folder": name, "ok": True}, as_json=as_json, lines=[f"{name}: ok"])


@app.command("compare")
def models_compare(
    first: str,
    second: str,
    jsonl: Sets = None,
    field: Annotated[
        str, typer.Option("--field", help="Which field of a line holds the evidence.")
    ] = "evidence",
    week: Annotated[
        str | None,
        typer.Option("--week", help="Week whose flags are compared (default: the latest)."),
    ] = None,
    processes: Annotated[
        int | None, typer.Option("--processes", help="Processes (default: all cores).", min=1)
    ] = None,
    data: Data = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Set two models side by side: chance, slices, behaviour, calibration, flags of a week.

    Names are those of `models list`, or folders. Without a set the pairs of the reference base
    serve. The page is Markdown, or HTML where its name says so.
    """
    from pipeline import comparing, mdpage
    from pipeline.weeks import parse_week
    from pipeline.workers import cores

    settings = settings_for(data)
    folders = _model_folder(first, data), _model_folder(second, data)
    couple = comparing.Couple.load(*folders, (Path(first).name, Path(second).name))
    chosen = parse_week(week) if week else comparing.latest_week(settings)
    if chosen is None:
        say("no week in the data folder: the flags of articles are not compared")
    found = comparing.compare_models(
        couple, _sets(jsonl, field), settings=settings, week=chosen,
        processes=processes or cores(),
    )  # fmt: skip
    page = comparing.page(found)
    if out is not None:
        with output(out) as target:
            if out.suffix.lower() in (".html", ".htm"):
                target.write(mdpage.as_html(page, title=" and ".join(found.names)))
            else:
                target.write("\n".join(page) + "\n")
    emit(found.as_dict(), as_json=as_json, lines=page)


def _sets(jsonl: list[Path] | None, field: str) -> dict[str, list[Pair]]:
    """Return the sets that were named, by name, or the pairs of the reference base."""
    from kiemchung import reference
    from models import gates
    from pipeline import evaluation

    if jsonl:
        return {path.stem: evaluation.read_set(path, field) for path in jsonl}
    return {
        "reference base": gates.own_pairs(reference.load(settings_for().reference_dir).passages)
    }


@app.command("promote")
def models_promote(
    name: str,
    jsonl: Sets = None,
    despite_gates: Annotated[
        bool, typer.Option("--despite-gates", help="Although it fails; needs --reason.")
    ] = False,
    reason: Annotated[
        str, typer.Option("--reason", help="Why; stays in the record of promotions.")
    ] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Use a model of the data folder from the next run on; `default` goes back.

    It must hold the floors of `evaluate --gates` and be no worse than the model in use, else it is
    refused and told why.
    """
    from pipeline import promotion

    sets = _sets(jsonl, "evidence") if jsonl else None
    found = promotion.promote(
        settings_for(data), name, sets=sets, despite_gates=despite_gates, reason=reason
    )
    against = list(found.against) if found else []
    lines = [f"promoted: {name}", *(f"  despite {line}" for line in against)]
    for one in found.compared if found else ():
        boot = one.bootstrap
        lines.append(
            f"  {one.name}: macro-F1 {one.second.macro_f1:.3f}, the model before"
            f" {one.first.macro_f1:.3f} ({boot.low:+.4f} to {boot.high:+.4f})"
        )
    emit({"promoted": name, "despite": against}, as_json=as_json, lines=lines)


@app.command("rollback")
def models_rollback(
    reason: Annotated[
        str, typer.Option("--reason", help="Why; stays in the record of promotions.")
    ] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Go back to the model that was in use before the present one."""
    from pipeline import promotion

    name = promotion.rollback(settings_for(data), reason=reason)
    emit({"promoted": name}, as_json=as_json, lines=[f"promoted: {name}"])
