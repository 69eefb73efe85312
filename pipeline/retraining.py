"""From the store to a candidate model: one command, whatever the model in use is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kiemchung.errors import InputError
from models import registry
from pipeline import dataset as dataset_
from pipeline.backup import store_to_read
from pipeline.judging import promoted_model

if TYPE_CHECKING:
    from kiemchung.config import Settings
    from models.finetune import Recipe
    from models.train import Data

STORE: Final = "store"  # instead of a folder: the decisions of the data folder, exported first


def export_dataset(settings: Settings, folder: Path) -> None:
    """Write the decisions of the store into ``folder`` in the form of `models.reviewed`.

    Raises:
        InputError: there is no store.
        StoreLockedError: another process than a server holds the store all the time.
    """
    with store_to_read(settings) as store:
        dataset_.export_dataset(store, folder)


def dataset(given: str, settings: Settings, out: Path) -> Path:
    """Return the data set's folder: the one that was named, or one exported beside ``out``.

    It is kept, so that the candidate can be made again.

    Raises:
        InputError: no such folder, or one stands where the export would go.
    """
    if given != STORE:
        folder = Path(given)
        if not folder.is_dir():
            raise InputError(
                "no such data set", where=given, remedy=f"give a folder, or the word {STORE}"
            )
        return folder
    folder = out.with_name(f"{out.name}-dataset")
    if folder.exists():
        raise InputError(
            "a data set stands there already",
            where=str(folder),
            remedy="give it by --from-reviews, or another --out",
        )
    export_dataset(settings, folder)
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How a candidate is to be made; ``encoder`` empty: the last layer alone."""

    encoder: str = ""
    recipe: Recipe | None = None
    precision: str = "int8"
    processes: int = 1
    seed: int = 0


def retrain(
    out: Path, given: str, data: Data, wish: Wish, settings: Settings, *, model: Path | None = None
) -> Path:
    """Make a candidate of the model in use (or ``model``) and decisions; return its folder.

    Raises:
        InputError: the data set cannot be used.
        ModelError: the model or the encoder cannot be used.
    """
    from models import retrain as retraining

    source = model or promoted_model(settings.data_dir) or registry.DEFAULT
    folder = dataset(given, settings, out)
    if not wish.encoder:
        return retraining.retrain_head(
            out, folder, data, folder=source, processes=wish.processes, seed=wish.seed
        )
    assert wish.recipe is not None
    return retraining.retrain_encoder(
        out, folder, data, encoder=wish.encoder, recipe=wish.recipe, folder=source,
        precision=wish.precision, processes=wish.processes,
    )  # fmt: skip


def lines_of(metrics: dict[str, Any]) -> Sequence[str]:
    """Return what a person should read of a candidate's figures before anything else."""
    told, guard, test = metrics["decisions"], metrics["guard"], metrics["test"]
    lines = [
        f"fitted on {told['train']} decisions, calibrated on {told['dev']}; left out "
        + ", ".join(f"{n} {why.replace('_', ' ')}" for why, n in told["left_out"].items()),
    ]
    if "candidate" in test:
        new, old = test["candidate"], test["before"]
        lines.append(
            f"on {test['decisions']} decisions never used: macro-F1 {new['macro_f1']:.3f}, the"
            f" model before {old['macro_f1']:.3f} (chance that it is no better"
            f" {test['chance_that_it_is_no_better']:.3f})"
        )
    lines += [
        f"ALARM: an adjudicator should look at the batch of {n['batch_of']}: beside the labels of"
        f" others on like claims {n['share_that_looks_replaced']:.0%} of its {n['labels']} look"
        f" replaced (p = {n['p_corrected']:.3f}); they were left out"
        for n in guard["batches_to_look_at"]
    ]
    return lines
