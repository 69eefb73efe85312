"""The models of the data folder and the shipped one."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from kiemchung.errors import InputError, KiemchungError
from pipeline.commands.common import GROUP, AsJson, Data, emit, settings_for

app = typer.Typer(help="The models: list, show, verify, promote.", **GROUP)


@app.command("list")
def models_list(data: Data = None, as_json: AsJson = False) -> None:
    """List the shipped model and those in the data folder."""
    from models import registry
    from pipeline.judging import promoted_model

    settings = settings_for(data)
    promoted = promoted_model(settings.data_dir)
    shown = registry.verify(registry.DEFAULT)
    rows = [{"name": "default", "model_id": shown.model_id, "promoted": promoted is None}]
    for name, found in sorted(registry.available(settings.data_dir / "models").items()):
        state = str(found) if isinstance(found, KiemchungError) else found.model_id
        current = promoted is not None and promoted.name == name
        rows.append({"name": name, "model_id": state, "promoted": current})
    lines = [f"{'*' if r['promoted'] else ' '} {r['name']}  {r['model_id']}" for r in rows]
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


@app.command("promote")
def models_promote(name: str, data: Data = None, as_json: AsJson = False) -> None:
    """Use a verified model of the data folder from the next run on; `default` goes back."""
    from kiemchung.shards import write_bytes_atomically
    from models import registry

    models = settings_for(data).data_dir / "models"
    pointer = models / "PROMOTED"
    if name == "default":
        pointer.unlink(missing_ok=True)
    else:
        if Path(name).name != name:
            raise InputError(f"{name!r} is no model name", remedy="see `kiemchung models list`")
        registry.verify(models / name)
        registry.load(models / name)
        write_bytes_atomically(pointer, name.encode("utf-8"))
    emit({"promoted": name}, as_json=as_json, lines=[f"promoted: {name}"])
