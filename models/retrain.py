"""From decisions of people to a candidate model: one way for both kinds of model.

1. `read_decisions` reads the splits train and dev of a data set, and no other.
2. `models.guard` looks for spoiled labels among them; `models.weighing` says how much each counts.
3. `models.head` fits the last layer further (minutes), or `models.joining` fine-tunes an encoder.
   Layers, calibration and threshold come from train and dev.
4. What will be written is frozen. Only then `final_report` reads the split test, in this one place,
   and its figures go into the card. Nothing is chosen on them.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import LABEL_ORDER, Label, sha256_hex
from kiemchung.errors import InputError
from models import evaluate, guard, head, registry, weighing
from models.comparison import ComparisonModel
from models.encoder import FUSION_FILE, ONNX_FILE, WEIGHTS_FILE, EncoderModel
from models.reviewed import ReviewedPair, read_split
from models.values import values_of, verdicts_of

if TYPE_CHECKING:
    from models.construct import Pair
    from models.finetune import Recipe
    from models.train import Data
    from models.verdict import VerdictModel

FITTED_ON: Final = ("train", "dev")
HELD_BACK: Final = "test"
KIND: Final = "decided"  # of pairs that come from reviewers
BASE_WEIGHT: Final = 1.0
TOLD_WEIGHT: Final = {"short": 3.0, "long": 1.0, head.ANY: 3.0}  # as in `models.joining`
REASONS: Final = ("conflicting", "opted_out", "no_evidence")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """What a data set holds for fitting: usable pairs by split, what was left out and why."""

    folder: Path
    train: tuple[ReviewedPair, ...]
    dev: tuple[ReviewedPair, ...]
    left_out: Mapping[str, int]
    sha256: Mapping[str, str]  # of each split's file

    @property
    def all(self) -> tuple[ReviewedPair, ...]:
        """Train, then dev."""
        return (*self.train, *self.dev)


def _unusable(pair: ReviewedPair) -> str:
    """Return why a three-way model cannot learn from a pair, empty where it can."""
    if pair.label not in LABEL_ORDER:
        return "conflicting"
    if not pair.claim.strip():
        return "opted_out"
    return "" if pair.evidence.strip() else "no_evidence"


def usable(pairs: Sequence[ReviewedPair]) -> tuple[tuple[ReviewedPair, ...], Counter[str]]:
    """Return the pairs that a three-way model can learn from, and how many cannot, by reason."""
    reasons = [_unusable(p) for p in pairs]
    kept = tuple(p for p, why in zip(pairs, reasons, strict=True) if not why)
    return kept, Counter(why for why in reasons if why)


def read_decisions(folder: Path) -> Decisions:
    """Return the pairs of the splits that a model may be fitted on.

    Raises:
        InputError: a split is missing or a line is no pair; nothing usable; a story in both splits.
    """
    kept: dict[str, tuple[ReviewedPair, ...]] = {}
    left_out: Counter[str] = Counter()
    for name in FITTED_ON:
        kept[name], out = usable(read_split(folder, name))
        left_out += out
    if not kept["train"]:
        raise InputError(
            "no decision here that a model can be fitted on",
            where=str(folder / "train.jsonl"),
            remedy="review more, then write the data set anew: kiemchung export --dataset DIR",
        )
    shared = {p.story for p in kept["train"]} & {p.story for p in kept["dev"]}
    if shared:
        raise InputError(
            f"the story {min(shared)} stands in train and in dev",
            where=str(folder),
            remedy="write the data set anew: its splits must not share a story",
        )
    return Decisions(
        folder=folder,
        train=kept["train"],
        dev=kept["dev"],
        left_out={name: left_out[name] for name in REASONS},
        sha256={n: sha256_hex((folder / f"{n}.jsonl").read_bytes()) for n in FITTED_ON},
    )


# --- rows -----------------------------------------------------------------------------------------


def _labels(labels: Sequence[Label]) -> NDArray[np.int64]:
    return np.array([LABEL_ORDER.index(label) for label in labels], dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """Everything that a head is fitted on, as values of the model in use."""

    train: head.Rows
    dev: head.Rows
    guarded: guard.Guarded


def prepare(
    model: VerdictModel,
    folder: Path,
    decisions: Decisions,
    base: Sequence[Pair],
    *,
    processes: int,
    seed: int,
    watched: bool = True,
) -> _Prepared:
    """Work out the values of base pairs and decisions, and what each decision counts."""
    told = decisions.all
    texts = [*((p.claim, p.evidence) for p in base), *((p.claim, p.evidence) for p in told)]
    found = values_of(folder, texts, processes=processes)
    sound = np.array([not e for e in found.errors], dtype=np.bool_)
    forms = head.forms_of(model, [evidence for _, evidence in texts])
    y = np.concatenate([_labels([p.label for p in base]), _labels([p.label for p in told])])
    n, cut = len(base), len(base) + len(decisions.train)
    weight = np.concatenate(
        [weighing.weights_of(decisions.train), weighing.weights_of(decisions.dev)]
    )
    logits = head.said_by(model, head.layers_of(model), found.x, forms)
    guarded = guard.watch(
        guard.Labels(
            x=found.x[n:], logits=logits[n:], y=y[n:], weight=weight,
            reviewers=tuple(p.reviewer for p in told), stories=tuple(p.story for p in told),
            selected=tuple(p.selected_as for p in told),
            tested=np.array([not p.adjudicated for p in told], dtype=np.bool_),
        ),
        seed=seed,
    ) if watched else guard.unwatched(len(told))  # fmt: skip
    share = np.array([TOLD_WEIGHT[f] for f in forms[n:]])
    whole = np.concatenate([np.full(n, BASE_WEIGHT), share * weight * guarded.factor])
    rows = head.Rows(
        x=found.x, y=y, weight=np.where(sound, whole, 0.0), forms=forms,
        groups=(*(p.group for p in base), *(p.story for p in told)),
        told=np.arange(len(texts)) >= n,
    )  # fmt: skip
    first = np.arange(len(texts)) < cut
    return _Prepared(train=rows.where(first), dev=rows.where(~first), guarded=guarded)


def base_pairs(model: VerdictModel, data: Data) -> tuple[Pair, ...]:
    """Return the base that a head is fitted on beside the decisions.

    An encoder has seen the training part, so that its values there are too good: only what was
    held out from it serves. The half kept for the report stays out of both.
    """
    made = data.calibration if isinstance(model, EncoderModel) else (*data.train, *data.calibration)
    return (*made, *data.tune)


# --- the head -------------------------------------------------------------------------------------


def retrain_head(
    out: Path,
    dataset: Path,
    data: Data,
    *,
    folder: Path | None = None,
    processes: int = 1,
    seed: int = 0,
) -> Path:
    """Fit the last layer of the model in ``folder`` (default: the shipped one) on decisions.

    The same inputs give the same bytes on the same machine, whatever ``processes`` is.

    Raises:
        InputError: the data set cannot be used, or holds too few decisions for any layer.
        ModelError: the folder is no model of this program.
    """
    source = folder or registry.DEFAULT
    manifest, model = registry.verify(source), registry.load(source)
    decisions = read_decisions(dataset)
    ready = prepare(
        model, source, decisions, base_pairs(model, data), processes=processes, seed=seed
    )
    fitted = head.fit(model, ready.train, ready.dev)
    if not fitted.fitted:
        raise InputError(
            f"{len(decisions.train)} decisions are too few: {head.FEWEST} are needed for a layer,"
            f" and {head.LEAST} of each label",
            where=str(dataset),
            remedy="review more first; the model in use stays",
        )
    files, draft = _frozen(source, model, fitted)
    report = final_report(
        draft, model, decisions, files_of=source, named=ready.guarded.named,
        processes=processes, base=data.report,
    )  # fmt: skip
    notes = {
        "way": "the last layer alone" + (", the encoder as it was" * (manifest.kind == "encoder")),
        "from_model": manifest.model_id,
        "layers_fitted": list(fitted.fitted),
        "layers_calibrated_on_dev": list(fitted.calibrated),
        "threshold_from": fitted.threshold_from,
        "base_pairs": int((~ready.train.told).sum()),
    }
    return write(
        out, draft, files, kind=manifest.kind, precision=manifest.precision,
        decisions=decisions, guarded=ready.guarded, notes=notes, report=report, seed=seed,
        conformal=fitted.conformal,
        trained_on=(*manifest.trained_on, *(f"{name}, for the last layer" for name in data.names)),
    )  # fmt: skip


def _frozen(
    source: Path, model: VerdictModel, fitted: head.Fitted
) -> tuple[dict[str, bytes], ComparisonModel | EncoderModel]:
    """Return the candidate's files, and the candidate as it will be loaded from them."""
    if isinstance(model, EncoderModel):
        body = json.loads((source / FUSION_FILE).read_text(encoding="utf-8"))
        body["layers"] = {form: layer.body() for form, layer in fitted.layers.items()}
        fusion = (json.dumps(body, ensure_ascii=False, indent=1) + "\n").encode("utf-8")
        files = {
            name: (source / name).read_bytes()
            for name in sorted(registry.verify(source).files)
            if name not in (registry.CARD, FUSION_FILE)
        } | {FUSION_FILE: fusion}
        model_id = f"encoder-{sha256_hex(files[ONNX_FILE] + files[WEIGHTS_FILE] + fusion)[:12]}"
        return files, replace(
            model, model_id=model_id, threshold=fitted.threshold, layers=fitted.layers
        )
    assert isinstance(model, ComparisonModel)
    layer = fitted.layers[head.ANY]
    stored = replace(
        model, weights=layer.weights, bias=layer.bias, temperature=1.0, threshold=fitted.threshold
    ).to_json().encode("utf-8")  # fmt: skip
    return {"comparison.json": stored}, ComparisonModel.from_json(
        stored.decode("utf-8"),
        model_id=f"comparison-{sha256_hex(stored)[:12]}",
        threshold=fitted.threshold,
        abstain_below=model.abstain_below,
        where="retraining",
    )


# --- the encoder ----------------------------------------------------------------------------------


def retrain_encoder(
    out: Path,
    dataset: Path,
    data: Data,
    *,
    encoder: str,
    recipe: Recipe,
    precision: str = "int8",
    folder: Path | None = None,
    processes: int = 1,
) -> Path:
    """Fine-tune an encoder on base pairs and decisions; its layers are fitted on the split dev.

    The guard looks at the decisions through the model in ``folder`` (default: the shipped one),
    which the candidate is also measured against.

    Raises:
        InputError: the data set cannot be used, or there are too few pairs.
        ModelError: the encoder or the model in use cannot be used.
    """
    from models import joining
    from models.construct import Pair

    source = folder or registry.DEFAULT
    model = registry.load(source)
    decisions = read_decisions(dataset)
    ready = prepare(model, source, decisions, (), processes=processes, seed=recipe.seed)
    weight = np.concatenate([ready.train.weight, ready.dev.weight])
    made = [
        Pair(claim=p.claim, evidence=p.evidence, label=p.label, kind=KIND, group=p.story)
        for p in decisions.all
    ]
    n = len(decisions.train)
    kept = [i for i in range(len(made)) if weight[i] > 0.0]
    first = [i for i in kept if i < n]
    mean = float(np.mean([weight[i] for i in first])) if first else 1.0
    more = replace(
        data,
        train=(*data.train, *(made[i] for i in first)),
        tune=(*data.tune, *(made[i] for i in kept if i >= n)),
    )
    weights = [*([1.0] * len(data.train)), *(weight[i] / mean for i in first)]
    with tempfile.TemporaryDirectory() as scratch:
        drafted = joining.train_verdict(
            Path(scratch) / "model", more, encoder=encoder, recipe=recipe, precision=precision,
            weights=weights,
        )  # fmt: skip
        before = registry.verify(drafted)
        draft = registry.load(drafted)
        assert isinstance(draft, EncoderModel)
        report = final_report(
            draft, model, decisions, files_of=drafted, named=ready.guarded.named,
            processes=processes, base=data.report, before=source,
        )  # fmt: skip
        files = {
            name: (drafted / name).read_bytes() for name in before.files if name != registry.CARD
        }
        notes = {"way": "an encoder fine-tuned", "from_model": model.model_id, **before.metrics}
        return write(
            out, draft, files, kind="encoder", precision=precision, decisions=decisions,
            guarded=ready.guarded, notes=notes, report=report, seed=recipe.seed,
            conformal=before.calibration.get("conformal") or {}, trained_on=before.trained_on,
        )  # fmt: skip


# --- the report -----------------------------------------------------------------------------------


def final_report(
    draft: ComparisonModel | EncoderModel,
    model: VerdictModel,
    decisions: Decisions,
    *,
    files_of: Path,
    named: Sequence[guard.Named] = (),
    processes: int = 1,
    base: Sequence[Pair] = (),
    before: Path | None = None,
) -> dict[str, Any]:
    """Return the figures of a frozen candidate and of the model before it on the split test.

    The one place that reads that split. The rows of batches that the guard named are left out and
    counted; ``files_of`` holds the candidate's encoder, ``before`` the model in use where its
    encoder is another. Estimates for all claims use the selection's probabilities.

    Raises:
        InputError: no such split, a line is no pair, or a story of it was trained on.
    """
    pairs, left_out = usable(read_split(decisions.folder, HELD_BACK))
    leaked = {p.story for p in pairs} & {p.story for p in decisions.all}
    if leaked:
        raise InputError(
            f"the story {min(leaked)} stands in {HELD_BACK} and in what was fitted on",
            where=str(decisions.folder / f"{HELD_BACK}.jsonl"),
            remedy="write the data set anew: its splits must not share a story",
        )
    batches = {n.reviewer for n in named}
    kept = [p for p in pairs if p.reviewer not in batches]
    found: dict[str, Any] = {
        "sha256": sha256_hex((decisions.folder / f"{HELD_BACK}.jsonl").read_bytes()),
        "decisions": len(kept),
        "left_out": {name: left_out[name] for name in REASONS},
        "of_batches_to_look_at": len(pairs) - len(kept),
    }
    if kept:
        found |= _on_decisions(draft, model, kept, files_of, before, processes)
    if base:
        texts = [(p.claim, p.evidence) for p in base]
        gold = [p.label for p in base]
        values = values_of(files_of, texts, processes=processes)
        old = values if before is None else values_of(before, texts, processes=processes)
        both = {"candidate": (draft, values), "before": (model, old)}
        found["held_out_base_pairs"] = {"pairs": len(gold)} | {
            name: round(evaluate.macro_f1(gold, [v.label for v in verdicts_of(one, texts, x)]), 4)
            for name, (one, x) in both.items()
        }
    return found


def _on_decisions(
    draft: VerdictModel,
    model: VerdictModel,
    kept: Sequence[ReviewedPair],
    files_of: Path,
    before: Path | None,
    processes: int,
) -> dict[str, Any]:
    texts = [(p.claim, p.evidence) for p in kept]
    gold = [p.label for p in kept]
    drawn = np.array([p.probability is not None for p in kept], dtype=np.bool_)
    weight = weighing.inverse([p.probability for p in kept if p.probability is not None])
    values = values_of(files_of, texts, processes=processes)
    old = values if before is None else values_of(before, texts, processes=processes)
    found: dict[str, Any] = {}
    said: dict[str, list[Label | None]] = {}
    for name, one, x in (("candidate", draft, values), ("before", model, old)):
        verdicts = verdicts_of(one, texts, x)
        report = evaluate.report(gold, verdicts, threshold=one.threshold)
        said[name] = [v.label for v in verdicts]
        shown = report.refuted_at_threshold
        figures: dict[str, Any] = {
            "macro_f1": round(report.macro_f1, 4),
            "f1": {k: round(v, 4) for k, v in report.f1.items()},
            "ece": round(report.ece, 4),
            "flags": shown.n,
            "flags_right": None if shown.n == 0 else round(shown.value, 4),
            "flags_right_lower": round(shown.low, 4),
            "failed": report.failed,
        }
        if drawn.any():
            labels = [g for g, d in zip(gold, drawn, strict=True) if d]
            answers = [s for s, d in zip(said[name], drawn, strict=True) if d]
            f1 = weighing.weighted_f1(labels, answers, weight)
            figures["for_all_claims"] = {
                "macro_f1": round(sum(f1.values()) / len(f1), 4),
                "decisions": int(drawn.sum()),
                "effective": round(weighing.effective(weight), 1),
            }
        found[name] = figures
    found["chance_that_it_is_no_better"] = evaluate.paired_bootstrap(
        gold, said["before"], said["candidate"], rounds=500
    )
    return found


# --- the folder -----------------------------------------------------------------------------------


def write(
    out: Path,
    draft: ComparisonModel | EncoderModel,
    files: Mapping[str, bytes],
    *,
    kind: str,
    precision: str,
    decisions: Decisions,
    guarded: guard.Guarded,
    notes: Mapping[str, Any],
    report: Mapping[str, Any],
    seed: int,
    trained_on: tuple[str, ...],
    conformal: Mapping[str, float],
) -> Path:
    """Write the candidate's folder and return it."""
    from models import train

    counts = Counter(p.selected_as for p in decisions.all)
    told = {
        "train": len(decisions.train),
        "dev": len(decisions.dev),
        "left_out": dict(decisions.left_out),
        "selected_as": dict(sorted(counts.items())),
        "effective": round(weighing.effective(weighing.weights_of(decisions.train)), 1),
        "sha256": dict(decisions.sha256),
    }
    metrics = {
        "on": "decisions of the split test, read once after everything was fixed",
        **report.get("candidate", {}),
        "decisions": told,
        "guard": guarded.as_dict(),
        "fitted": dict(notes),
        "test": dict(report),
    }
    how: dict[str, Any] = {
        "method": "temperature or vector scaling on the decisions of the split dev, weighted by the"
        " inverse of their selection; by folds of train where dev is too small",
        "pairs": len(decisions.dev),
        "threshold_rule": "lowest P(REFUTED) with a Wilson lower bound of 0.90 on dev",
        "seed": seed,
    }
    if conformal:
        how["conformal"] = dict(conformal)
    hashes = ", ".join(f"{n} {h[:12]}" for n, h in decisions.sha256.items())
    manifest = registry.Manifest(
        kind=kind,
        model_id=draft.model_id,
        threshold=draft.threshold,
        abstain_below=draft.abstain_below,
        precision=precision,
        calibration=how,
        metrics=metrics,
        trained_on=(
            *trained_on,
            f"{len(decisions.all)} decisions of reviewers (SHA-256 {hashes}), {train.TUNED}",
        ),
        files={},
    )
    text = train.card(manifest) + _alarm(guarded)
    return registry.write(out, manifest, {**files, registry.CARD: text.encode("utf-8")})


def _alarm(guarded: guard.Guarded) -> str:
    """Return the card's part on batches of labels that somebody should look at."""
    if not guarded.named:
        return (
            f"\n## Labels\nThe labels of {guarded.reviewers} reviewers were compared; no batch"
            " stands out. That is no proof that all of them are right.\n"
        )
    lines = [
        f"- batch of `{n.reviewer}`: {n.labels} labels of {n.stories} stories; beside those"
        f" of others on like claims {n.share:.0%} look replaced by another label (p = {n.p:.3f})"
        for n in guarded.named
    ]
    return (
        "\n## Labels: an adjudicator should look\n" + "\n".join(lines) + "\n\nThe names are"
        " pseudonyms of this data set. These labels were left out. The test cannot say why they"
        " differ: a slip of the desk, another reading of the rules, or bad faith. It is an alarm"
        " about labels and no judgement of a person, and it is stored nowhere but in this card.\n"
    )
