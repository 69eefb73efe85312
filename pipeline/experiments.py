"""Experiments in the data folder: start, list, show, compare.

Not to be mixed up with `pipeline.runs`, the record of weekly runs: those are the production of a
week and lie under ``runs/``; experiments are a researcher's and lie under ``experiments/``:

```
experiments/<name>-<number>/
    run.json            configuration, environment, data hashes, seeds, figures, times; sealed
    config.toml         the file as it was given
    predictions.jsonl   a line a pair: its hash, text group, gold label, probabilities of each seed
```
A prediction names its pair by hash and holds no text; examples are read from the data again, which
must hash to the same.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from kiemchung import __version__
from kiemchung.config import Settings
from kiemchung.domain import LABEL_ORDER, digest, sha256_hex
from kiemchung.errors import ConfigError, InputError, KiemchungError, ModelError, RecordError
from kiemchung.locks import held
from kiemchung.sealed import read_sealed, write_sealed
from kiemchung.shards import write_bytes_atomically
from models import evaluate, experiments
from models.construct import Pair, read_pairs
from pipeline.code import code_sha256, tool_versions

if TYPE_CHECKING:
    from models.encoder import EncoderModel

RECORD: Final = "run.json"
PREDICTIONS: Final = "predictions.jsonl"
TRACKERS: Final = "kiemchung.trackers"
_REMEDY: Final = "start it again: kiemchung runs start CONFIG"
_PACKAGES: Final = ("scikit-learn", "scipy", "torch", "transformers")
Tracker = Callable[[str, Mapping[str, Any]], None]
"""Is told ``started``, ``seed`` and ``finished``, each with plain facts."""
Progress = Callable[[str, int, int], None]


def folder_of(settings: Settings) -> Path:
    """Return where experiments lie."""
    return settings.data_dir / "experiments"


# --- what it rests on -----------------------------------------------------------------------------


def read_data(experiment: experiments.Experiment, settings: Settings) -> tuple[
    list[Pair], dict[str, str]
]:  # fmt: skip
    """Return the pairs and the SHA-256 of each file that they come from.

    Raises:
        InputError: a file that is not there, a line that is no pair, fewer than two pairs.
    """
    from kiemchung import reference
    from models.gates import own_pairs

    pairs: list[Pair] = []
    hashes: dict[str, str] = {}
    for name in experiment.data.pairs:
        if name == experiments.OWN:
            base = reference.load(settings.reference_dir)
            found = own_pairs(base.passages)
            told = "\n".join(_pair_id(p) for p in found)
            hashes[name] = sha256_hex(told.encode("utf-8"))
        else:
            path = Path(name)
            try:
                hashes[name] = sha256_hex(path.read_bytes())
                found = read_pairs(path, field=experiment.data.field)
            except (OSError, UnicodeDecodeError) as error:
                raise RecordError(f"cannot be read: {error}", where=name) from error
        pairs += found
    pairs = experiments.first_by_hash(pairs, experiment.data.limit)
    if len(pairs) < 2:
        raise InputError("two pairs at least are needed", where=", ".join(experiment.data.pairs))
    return pairs, hashes


def _pair_id(pair: Pair) -> str:
    return digest(pair.claim, pair.evidence, str(pair.label), pair.group)


def environment(encoder: EncoderModel | None) -> dict[str, Any]:
    """Return what a figure can depend on beside configuration and data."""
    packages = dict(tool_versions())
    for name in _PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = ""
    return {
        "version": __version__,
        "code_sha256": code_sha256(),
        "packages": packages,
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": {
            name: os.environ.get(name, "")
            for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        },
        "encoder": encoder.model_id if encoder else "",
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), "")


def encoder_of(experiment: experiments.Experiment, settings: Settings) -> EncoderModel | None:
    """Return the model whose encoder is asked, None where the head reads the comparison alone.

    Raises:
        ModelError: no such model, or one without an encoder.
    """
    from models import registry
    from models.encoder import EncoderModel

    if experiment.model.values == "comparison":
        return None
    name = experiment.model.encoder
    own = settings.data_dir / "models" / name
    folder = registry.DEFAULT if name == "default" else own if own.is_dir() else Path(name)
    model = registry.load(folder)
    if not isinstance(model, EncoderModel):
        raise ModelError("this model has no encoder", where=str(folder))
    return model


def tracker_of(call: str) -> Tracker | None:
    """Return the function that is told of an experiment, imported only now; None for no name.

    Raises:
        ConfigError: it cannot be imported, or is nothing that can be called.
    """
    if not call:
        return None
    try:
        if ":" in call:
            module, _, name = call.partition(":")
            found: Any = importlib.import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
        else:
            (found,) = (e.load() for e in entry_points(group=TRACKERS, name=call))
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"cannot be had: {error}",
            where=f"tracker.call = {call!r}",
            remedy="module:function, or the name of an installed entry point of " + TRACKERS,
        ) from error
    if not callable(found):
        raise ConfigError("nothing that can be called", where=f"tracker.call = {call!r}")
    return found  # type: ignore[no-any-return]


# --- start ----------------------------------------------------------------------------------------


def start(config: Path, settings: Settings, *, progress: Progress = lambda *a: None) -> Path:
    """Do the experiment of a TOML file and return its folder.

    A folder without its record is an experiment that was killed, and counts for nothing. A tracker
    that fails costs the experiment nothing; what it said is kept.

    Raises:
        ConfigError: see `models.experiments.read_config`; or the tracker cannot be had.
        InputError: the pairs cannot be used, or are too few for the protocol.
    """
    experiment = experiments.read_config(config)
    tracker = tracker_of(experiment.tracker.call)
    began = datetime.now(UTC)
    clock, cpu = time.monotonic(), time.process_time()
    pairs, hashes = read_data(experiment, settings)
    encoder = encoder_of(experiment, settings)
    facts = {
        "name": experiment.name,
        "asked": experiment.asked(),
        "environment": environment(encoder),
        "data": {"files": hashes, "pairs_sha256": _hash_of(pairs)},
    }
    silent: list[str] = []

    def tell(event: str, body: Mapping[str, Any]) -> None:
        if tracker is None:
            return
        try:
            tracker(event, body)
        except Exception as error:  # noqa: BLE001  somebody else's code must not cost the figures
            silent.append(f"{event}: {type(error).__name__}: {error}")

    folder = _new_folder(folder_of(settings), experiment.name)
    try:
        tell("started", {"id": folder.name, **facts})
        x = experiments.values_of(
            experiment, pairs, encoder, progress=lambda done, of: progress("values", done, of)
        )
        scored = time.process_time() - cpu
        outcome = experiments.run(
            experiment,
            pairs,
            x,
            told=lambda seed, row: tell("seed", {"seed": seed, "figures": row}),
        )
        lines = _lines(pairs, outcome.p, experiment.protocol.seeds)
        write_bytes_atomically(folder / "config.toml", config.read_bytes())
        write_bytes_atomically(folder / PREDICTIONS, lines)
        record = {
            "format": 1,
            "id": folder.name,
            **facts,
            "metrics": outcome.metrics,
            "predictions_sha256": sha256_hex(lines),
            "started_at": began.isoformat(),
            "seconds": {
                "wall": round(time.monotonic() - clock, 3),
                "cpu": round(time.process_time() - cpu, 3),
                "cpu_of_values": round(scored, 3),
            },
        }
        tell("finished", {**record, "folder": str(folder)})
        write_sealed(folder / RECORD, record | {"tracker_failed": silent})
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _new_folder(parent: Path, name: str) -> Path:
    """Return a new numbered folder; a number is given once."""
    parent.mkdir(parents=True, exist_ok=True)
    with held(parent / ".lock", what="experiments", wait_seconds=10.0):
        numbers = [0]
        for path in parent.glob(f"{name}-*"):
            number = path.name.removeprefix(f"{name}-")
            if number.isdigit():
                numbers.append(int(number))
        folder = parent / f"{name}-{max(numbers) + 1:04d}"
        folder.mkdir()
        return folder


def _hash_of(pairs: Sequence[Pair]) -> str:
    return sha256_hex("\n".join(map(_pair_id, pairs)).encode("utf-8"))


def _lines(pairs: Sequence[Pair], p: NDArray[np.float64], seeds: Sequence[int]) -> bytes:
    """Return the predictions; floats as Python writes them, so that they come back to the bit."""
    rows = [
        {
            "pair": _pair_id(pair),
            "group": pair.group,
            "label": str(pair.label),
            "p": {str(seed): p[s, i].tolist() for s, seed in enumerate(seeds)},
        }
        for i, pair in enumerate(pairs)
    ]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8")


# --- read back ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An experiment that is on disk."""

    folder: Path
    record: dict[str, Any]

    @property
    def run_id(self) -> str:
        """Return name and number."""
        return str(self.record["id"])

    def row(self) -> dict[str, Any]:
        """Return one line of the table."""
        score = self.record["metrics"]["over_seeds"]
        seconds = self.record["seconds"]
        return {
            "id": self.run_id,
            "started_at": self.record["started_at"],
            "values": self.record["asked"]["model"]["values"],
            "without": self.record["asked"]["model"]["without"],
            "pairs": self.record["metrics"]["pairs"],
            "seeds": len(self.record["asked"]["protocol"]["seeds"]),
            "macro_f1": score["macro_f1"],
            "ece": score["ece"],
            "cpu_seconds": seconds["cpu"],
            "predictions_sha256": self.record["predictions_sha256"],
        }


def read(settings: Settings, name: str) -> Kept:
    """Return one experiment by its id.

    Raises:
        InputError: there is none of that id.
        DamagedFileError: its record is not as it was written.
    """
    folder = folder_of(settings) / name
    if Path(name).name != name or not (folder / RECORD).is_file():
        raise InputError(f"no experiment {name!r}", remedy="see `kiemchung runs list`")
    return Kept(folder=folder, record=read_sealed(folder / RECORD, remedy=_REMEDY))


def table(settings: Settings) -> tuple[list[Kept], list[KiemchungError]]:
    """Return every experiment by id, and those whose record cannot be read."""
    found, bad = [], []
    for path in sorted(folder_of(settings).glob(f"*/{RECORD}")):
        try:
            found.append(read(settings, path.parent.name))
        except KiemchungError as error:
            bad.append(error)
    return found, bad


def predictions(kept: Kept) -> tuple[list[str], list[str], NDArray[np.float64]]:
    """Return the pairs' hashes, their gold labels and the probabilities (seeds, n, 3).

    Raises:
        RecordError: the file is not as it was written.
    """
    path = kept.folder / PREDICTIONS
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecordError(f"cannot be read: {error}", where=str(path), remedy=_REMEDY) from error
    if sha256_hex(data) != kept.record["predictions_sha256"]:
        raise RecordError("not as it was written", where=str(path), remedy=_REMEDY)
    rows = [json.loads(line) for line in data.decode("utf-8").splitlines()]
    seeds = [str(s) for s in kept.record["asked"]["protocol"]["seeds"]]
    p = np.array([[row["p"][seed] for row in rows] for seed in seeds], dtype=np.float64)
    return [row["pair"] for row in rows], [row["label"] for row in rows], p


def examples(kept: Kept, settings: Settings, *, slice_: str, limit: int) -> list[dict[str, Any]]:
    """Return the surest mistakes with their texts, read from the data again.

    Raises:
        InputError: the data is gone or another than then; no such slice.
    """
    experiment = experiments.parse(
        {"name": kept.record["name"], **kept.record["asked"]}, where=str(kept.folder)
    )
    pairs, _ = read_data(experiment, settings)
    if _hash_of(pairs) != kept.record["data"]["pairs_sha256"]:
        raise InputError(
            "the data is another than it was then",
            where=", ".join(experiment.data.pairs),
            remedy="restore the files, or start the experiment again",
        )
    _, _, p = predictions(kept)
    return [
        {
            "pair": m.number, "slices": list(m.slices), "label": str(m.gold), "said": str(m.said),
            "probability": m.sure, "claim": m.claim, "evidence": m.evidence[:1_000],
        }
        for m in experiments.mistakes(pairs, p[0], slice_=slice_, limit=limit)
    ]  # fmt: skip


# --- compare --------------------------------------------------------------------------------------


def _flat(value: Any, path: str = "") -> dict[str, Any]:  # noqa: ANN401
    if isinstance(value, Mapping):
        return {k: v for name, x in value.items() for k, v in _flat(x, f"{path}.{name}").items()}
    return {path.lstrip("."): value}


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return every value that is not the same in both, by its dotted name."""
    a, b = _flat(one), _flat(other)
    return {key: [a.get(key), b.get(key)] for key in sorted({*a, *b}) if a.get(key) != b.get(key)}


def compare(one: Kept, other: Kept) -> dict[str, Any]:
    """Return what two experiments have in common and how their figures part.

    ``same`` says that every figure and prediction is the same to the last digit. Where both saw the
    same pairs, macro-F1 is compared pair by pair: a paired bootstrap and McNemar's exact test, on
    the first seed.
    """
    parts = {
        part: differences(one.record[part], other.record[part])
        for part in ("asked", "data", "environment", "metrics")
    }
    body: dict[str, Any] = {
        "first": one.run_id,
        "second": other.run_id,
        "same": not parts["metrics"]
        and one.record["predictions_sha256"] == other.record["predictions_sha256"],
        "asked": parts["asked"],
        "data": parts["data"],
        "environment": parts["environment"],
        "figures": {k: v for k, v in parts["metrics"].items() if k.startswith("over_seeds.")},
    }
    if parts["data"].get("pairs_sha256") is None:
        body["paired"] = _paired(one, other)
    return body


def _paired(one: Kept, other: Kept) -> dict[str, Any]:
    from models.compare import mcnemar

    _, labels, first = predictions(one)
    _, _, second = predictions(other)
    gold = [next(x for x in LABEL_ORDER if str(x) == label) for label in labels]
    a = [LABEL_ORDER[i] for i in first[0].argmax(axis=1)]
    b = [LABEL_ORDER[i] for i in second[0].argmax(axis=1)]
    test = mcnemar(gold, a, b)
    rounds = 500 if len(gold) <= 5_000 else 100
    return {
        "macro_f1": [evaluate.macro_f1(gold, a), evaluate.macro_f1(gold, b)],
        "second_alone_right": test.only_second,
        "first_alone_right": test.only_first,
        "mcnemar_p": test.p,
        "chance_that_second_is_not_better": evaluate.paired_bootstrap(gold, a, b, rounds=rounds),
    }
