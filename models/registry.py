"""Models on disk: a folder, its manifest, and nothing loaded that the manifest does not vouch for.

Neither JSON nor ONNX carries a checksum, and a flipped bit loads in silence; so every file stands
in ``manifest.json`` with its SHA-256, and the manifest carries a hash of itself. No file is a
pickle, and none runs code when it is loaded.

```
manifest.json     kind, model_id, label order, threshold, calibration, metrics, training texts
MODEL_CARD.md     the same for a reader
comparison.json   weights of the comparison model
encoder.onnx …    an encoder, its tokenizer files and the fusion layer, where there is one
```
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from kiemchung.domain import LABEL_ORDER, sha256_hex
from kiemchung.errors import ModelError
from kiemchung.sealed import canonical_sha256, check_listed
from kiemchung.shards import write_bytes_atomically
from models.comparison import ComparisonModel
from models.verdict import VerdictModel

MANIFEST: Final = "manifest.json"
CARD: Final = "MODEL_CARD.md"
DEFAULT: Final = Path(__file__).parent / "default"
PLAIN: Final = Path(__file__).parent / "plain"
"""The comparison model alone: what every encoder is measured against."""
LABELS: Final = tuple(str(label) for label in LABEL_ORDER)
KINDS: Final = ("comparison", "encoder")

_REMEDY: Final = "restore the folder from where it came, or train it again; nothing was loaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a model folder says of itself; ``files`` maps each name to its SHA-256."""

    kind: str
    model_id: str
    threshold: float
    abstain_below: float
    precision: str
    calibration: Mapping[str, Any]
    metrics: Mapping[str, Any]
    trained_on: tuple[str, ...]
    files: Mapping[str, str]

    def body(self) -> dict[str, Any]:
        """Return the manifest as it is written, without the hash of itself."""
        return {
            "format": 1,
            "kind": self.kind,
            "model_id": self.model_id,
            "label_order": list(LABELS),
            "threshold": self.threshold,
            "abstain_below": self.abstain_below,
            "precision": self.precision,
            "calibration": dict(self.calibration),
            "metrics": dict(self.metrics),
            "trained_on": list(self.trained_on),
            "files": dict(sorted(self.files.items())),
        }


def write(folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Path:
    """Write a model folder, the manifest last, and return it; ``manifest.files`` is filled in.

    A folder without its manifest is no model, so a run that is cut off leaves nothing loadable.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    for name, data in files.items():
        write_bytes_atomically(folder / name, data)
    body = manifest.body() | {"files": {n: sha256_hex(d) for n, d in sorted(files.items())}}
    body["manifest_sha256"] = canonical_sha256(body)
    text = json.dumps(body, ensure_ascii=False, indent=2) + "\n"
    write_bytes_atomically(folder / MANIFEST, text.encode("utf-8"))
    return folder


def verify(folder: Path) -> Manifest:
    """Return the manifest of a model folder after every file was hashed.

    Raises:
        ModelError: no manifest, a manifest that was edited, a file that is missing, changed or not
            listed, another label order.
    """
    where = folder / MANIFEST
    try:
        text = where.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        if (folder / "config.json").is_file():
            raise ModelError(
                "a checkpoint, and no model of this program yet",
                where=str(folder),
                remedy="fine-tune it: kiemchung train verdict --encoder FOLDER --out DIR",
            ) from error
        raise ModelError(f"no model here: {error}", where=str(where), remedy=_REMEDY) from error
    try:
        body = json.loads(text)
        claimed = body.pop("manifest_sha256")
        if text != _written(body, claimed) or claimed != canonical_sha256(body):
            raise ValueError("the manifest was changed after it was written")
        if body["format"] != 1 or body["kind"] not in KINDS:
            raise ValueError(f"format {body['format']}, kind {body['kind']!r}")
        if tuple(body["label_order"]) != LABELS:
            raise ValueError(f"label order {body['label_order']}")
        manifest = Manifest(
            kind=str(body["kind"]),
            model_id=str(body["model_id"]),
            threshold=float(body["threshold"]),
            abstain_below=float(body["abstain_below"]),
            precision=str(body["precision"]),
            calibration=body["calibration"],
            metrics=body["metrics"],
            trained_on=tuple(body["trained_on"]),
            files=body["files"],
        )
        if not 0.5 <= manifest.threshold <= 1.0 or not 0.0 <= manifest.abstain_below < 1.0:
            raise ValueError("a threshold out of bounds")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{error}", where=str(where), remedy=_REMEDY) from error
    check_listed(
        folder,
        manifest.files,
        beside={MANIFEST, "__pycache__"},
        error=ModelError,
        remedy=_REMEDY,
    )
    return manifest


def fingerprint(folder: Path) -> str:
    """Return the hash that the manifest of ``folder`` carries of itself: with it, of every file.

    The files are not hashed again; `load` and `verify` do that.

    Raises:
        ModelError: there is no manifest that can be read.
    """
    where = folder / MANIFEST
    try:
        return str(json.loads(where.read_text(encoding="utf-8"))["manifest_sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"no model here: {error}", where=str(where), remedy=_REMEDY) from error


def _written(body: Mapping[str, Any], claimed: str) -> str:
    whole = dict(body) | {"manifest_sha256": claimed}
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def load(folder: Path) -> VerdictModel:
    """Return the model of a folder, verified first.

    Raises:
        ModelError: see `verify`; or the weights belong to another version of this program.
    """
    manifest = verify(folder)
    if manifest.kind == "encoder":
        from models.encoder import EncoderModel

        return EncoderModel.load(folder, manifest)
    path = folder / "comparison.json"
    return ComparisonModel.from_json(
        path.read_text(encoding="utf-8"),
        model_id=manifest.model_id,
        threshold=manifest.threshold,
        abstain_below=manifest.abstain_below,
        where=str(path),
    )


@lru_cache(maxsize=1)
def load_default() -> VerdictModel:
    """Return the model that ships with the program.

    Raises:
        ModelError: the shipped files were changed.
    """
    return load(DEFAULT)


def available(folder: Path) -> dict[str, Manifest | ModelError]:
    """Return each sub-folder with a manifest, by name: what it is, or what is wrong with it."""
    found: dict[str, Manifest | ModelError] = {}
    if not folder.is_dir():
        return found
    for path in sorted(folder.iterdir()):
        if (path / MANIFEST).is_file():
            try:
                found[path.name] = verify(path)
            except ModelError as error:
                found[path.name] = error
    return found
