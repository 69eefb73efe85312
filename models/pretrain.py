"""Pretraining of a small encoder in PhoBERT's format: masked words over segmented text.

One path for a CPU and a GPU: read and segment the corpus once (`prepare`), then train in steps that
depend on nothing but the seed and their number (`pretrain`), so that a run may be killed at any
moment and goes on as if nothing had happened. What comes out is a folder that transformers loads
and `kiemchung train verdict --encoder` takes: config.json, model.safetensors, vocab.txt, bpe.codes.

- Whole words are masked (Cui et al. 2019): the pieces of a word are guessable from each other.
- Short sequences first (Devlin et al. 2019): attention costs less, and most of what is learnt early
  is local. The last tenth has the full length, since the positions have to be learnt too.
- The rate warms up, stays, and falls in the last quarter (warmup-stable-decay, Hu et al. 2024):
  the state before the fall is kept, so a later run with more tokens goes on from there.
- Embeddings may start from a factorised co-occurrence matrix (Levy & Goldberg 2014): minutes of
  counting instead of millions of tokens of training.
"""

from __future__ import annotations

import json
import logging
import lzma
import math
import shutil
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import Full, Queue
from threading import Event, Thread
from typing import IO, TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import sha256_hex
from kiemchung.errors import InputError, ModelError, RecordError
from models import transplant
from models.tokenizer import (
    BOS,
    CODES_FILE,
    EOS,
    PAD,
    UNK,
    VOCAB_FILE,
    PhobertBpe,
    neutral,
    train_files,
)
from nlp.sentences import sentence_spans
from nlp.words import phobert_views

if TYPE_CHECKING:
    from types import ModuleType

LOG: Final = logging.getLogger(__name__)

TOKENS_FILE: Final = "tokens.npy"
PREPARED_FILE: Final = "prepared.json"
STATE_FILE: Final = "state.json"
WEIGHTS_FILE: Final = "model.safetensors"
OPTIMISER_FILE: Final = "optimiser.safetensors"
MASK_SHARE: Final = 0.2
HELD_OUT: Final = 200_000  # tokens at the end of the stream that no step ever sees
MAX_IDS: Final = 65_535  # the stream is stored as uint16
IGNORED: Final = -100
_STAGES: Final = ((0.6, 64), (0.9, 128), (1.0, 256))  # up to this share of the tokens, this length
_SEGMENTED: Final = 0.03  # share of words with an underscore from which a text counts as segmented
_SUFFIXES: Final = (".txt", ".txt.xz")

Batch: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Inputs and targets of a step, both of shape (rows, length)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Size of an encoder: layers, width, heads, and width of the inner layer."""

    layers: int
    width: int
    heads: int
    inner: int

    @classmethod
    def of(cls, text: str) -> Shape:
        """Return the shape written ``LAYERSxWIDTH``, e.g. ``4x256``: heads of 64, inner of 4x.

        ``4x384/12`` names the number of heads.

        Raises:
            InputError: not two whole numbers, or a width that heads cannot share.
        """
        size, _, named = text.partition("/")
        layers, _, width = size.partition("x")
        numbers = (layers, width, named or "1")
        if not all(n.isdecimal() and int(n) for n in numbers):
            raise InputError(f"{text!r} is no shape", where="--shape", remedy="e.g. 4x256 or 6x384")
        wide = int(width)
        heads = int(named) if named else max(1, wide // 64)
        if wide % heads:
            raise InputError(f"{heads} heads do not share {wide}", where="--shape")
        return cls(layers=int(layers), width=wide, heads=heads, inner=4 * wide)


# --- text ----------------------------------------------------------------------------------------


def corpus_texts(paths: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Yield (file name, block) for every block of every text file; blank lines part the blocks.

    Raises:
        RecordError: a file cannot be read or is not UTF-8.
    """
    for path in paths:
        lines: list[str] = []
        try:
            with _opened(path) as file:
                for line in file:
                    if line.strip():
                        lines.append(line.strip())
                    elif lines:
                        yield path.name, "\n".join(lines)
                        lines = []
        except (OSError, UnicodeDecodeError, lzma.LZMAError, EOFError) as error:
            raise RecordError(f"cannot be read as text: {error}", where=str(path)) from error
        if lines:
            yield path.name, "\n".join(lines)


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".xz":
        return lzma.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def corpus_files(given: Sequence[Path]) -> list[Path]:
    """Return the text files among ``given`` and in its folders, in a fixed order.

    Raises:
        InputError: a path does not exist, or there is no text file at all.
    """
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            found += sorted(p for p in path.iterdir() if p.name.endswith(_SUFFIXES))
        elif path.is_file():
            found.append(path)
        else:
            raise InputError("no such file or folder", where=str(path))
    if not found:
        raise InputError(
            "no text files", where=", ".join(map(str, given)), remedy="give .txt or .txt.xz files"
        )
    return found


def segmented_lines(block: str) -> list[str]:
    """Return the sentences of a block in PhoBERT's view; segmented text is taken as it is."""
    words = block.split()
    marked = sum("_" in word.strip("_") for word in words)
    if marked >= _SEGMENTED * len(words):
        return [neutral(line) for line in block.split("\n")]
    parts = [block[a:b] for a, b in sentence_spans(block)]
    return [neutral(view) for view in phobert_views(parts) if view.strip()]


def learn_vocabulary(given: Sequence[Path], out: Path, *, size: int, words: int) -> Path:
    """Learn a BPE of about ``size`` ids from the first ``words`` words; return its folder.

    Every file gives the same share of the words, so that one long file does not decide alone.

    Raises:
        InputError: no text, or a size that cannot hold an alphabet.
    """
    files = corpus_files(given)
    lines: list[str] = []
    for path in files:
        room = words // len(files)
        for _, block in corpus_texts([path]):
            rows = segmented_lines(block)
            lines += rows
            room -= sum(row.count(" ") + 1 for row in rows)
            if room <= 0:
                break
    if not lines:
        raise InputError("no words to learn from", where=", ".join(map(str, files)))
    return train_files(lines, out, size=size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A token stream ready for training: ids of uint16, and where they come from."""

    tokens: NDArray[np.uint16]
    folder: Path
    sources: tuple[str, ...]
    vocabulary: str


def prepare(
    given: Sequence[Path], vocabulary: Path, out: Path, *, limit: int | None = None
) -> Prepared:
    """Segment and encode a corpus once; return the stream, stored in ``out``.

    Every block becomes its ids and one ``</s>``; the blocks of all files are shuffled together with
    a fixed seed, so any prefix of the stream is a fair sample. ``limit`` is in tokens, shared out
    evenly among the files.

    Raises:
        InputError: no text, or too little of it to hold anything out.
        ModelError: more ids than the stream can store.
    """
    bpe = PhobertBpe.of_folder(vocabulary)
    if bpe.size > MAX_IDS:
        raise ModelError(f"{bpe.size} ids, at most {MAX_IDS} can be stored", where=str(vocabulary))
    files = corpus_files(given)
    blocks: list[NDArray[np.uint16]] = []
    sources: list[str] = []
    for path in files:
        share = limit // len(files) if limit else None
        count, number = 0, 0
        for _, block in corpus_texts([path]):
            ids = [i for line in segmented_lines(block) for i in bpe.ids(line)]
            blocks.append(np.array([*ids, EOS], dtype=np.uint16))
            count += len(ids) + 1
            number += 1
            if share and count >= share:
                break
        sources.append(f"{path.name}: {number} blocks, {count} tokens")
        LOG.info("%s", sources[-1])
    np.random.default_rng(0).shuffle(blocks)
    tokens = np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.uint16)
    if len(tokens) < 2_000:
        raise InputError(f"{len(tokens)} tokens are too few", where=", ".join(map(str, files)))
    out.mkdir(parents=True, exist_ok=True)
    np.save(out / TOKENS_FILE, tokens)
    for name in (VOCAB_FILE, CODES_FILE):
        if (vocabulary / name).resolve() != (out / name).resolve():
            shutil.copyfile(vocabulary / name, out / name)
    body = {"sources": sources, "vocabulary": _vocabulary_hash(out), "tokens": len(tokens)}
    (out / PREPARED_FILE).write_text(
        json.dumps(body, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    return load_prepared(out)


def load_prepared(folder: Path) -> Prepared:
    """Return a stored stream.

    Raises:
        InputError: not a folder of `prepare`, or its tokenizer was changed since.
    """
    try:
        body = json.loads((folder / PREPARED_FILE).read_text(encoding="utf-8"))
        tokens = np.load(folder / TOKENS_FILE, mmap_mode="r", allow_pickle=False)
        if body["vocabulary"] != _vocabulary_hash(folder) or len(tokens) != body["tokens"]:
            raise ValueError("stream and tokenizer do not belong together")
        return Prepared(
            tokens=tokens,
            folder=folder,
            sources=tuple(body["sources"]),
            vocabulary=body["vocabulary"],
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"no prepared text: {error}", where=str(folder), remedy="kiemchung train prepare"
        ) from error


def _vocabulary_hash(folder: Path) -> str:
    return sha256_hex((folder / VOCAB_FILE).read_bytes() + (folder / CODES_FILE).read_bytes())


# --- batches -------------------------------------------------------------------------------------


def length_at(share: float) -> int:
    """Return the sequence length at this share of all tokens."""
    return next(length for until, length in _STAGES if share < until or until == 1.0)


def sequences(
    tokens: NDArray[np.uint16], *, step: int, length: int, count: int, seed: int
) -> NDArray[np.int64]:
    """Return the ``count`` sequences of a step, shape (count, length), each ``<s> … </s>``.

    Places are drawn without replacement inside a pass over the stream, by a permutation that the
    seed and the pass decide; no state is carried from step to step.
    """
    inner = length - 2
    places = (len(tokens) - 1) // inner
    rows = np.empty((count, length), dtype=np.int64)
    rows[:, 0], rows[:, -1] = BOS, EOS
    number = step * count + np.arange(count, dtype=np.int64)
    turn, index = np.divmod(number, places)
    at = np.empty(count, dtype=np.int64)
    for now in np.unique(turn).tolist():
        mine = turn == now
        shift = int(np.random.default_rng((seed, now)).integers(0, inner))
        at[mine] = _scattered(index[mine], places, seed=seed + now) * inner + shift
    at = np.minimum(at, len(tokens) - inner)
    rows[:, 1:-1] = tokens[at[:, None] + np.arange(inner)]
    return rows


def _scattered(index: NDArray[np.int64], size: int, *, seed: int) -> NDArray[np.int64]:
    """Return where each ``index`` lands in a permutation of ``range(size)`` that is never stored.

    A step of the multiplicative group: index * a + b modulo size, a prime to size, which visits
    every place once and sends neighbours far apart.
    """
    a = max(1, int(size * 0.6180339887))
    while math.gcd(a, size) != 1:
        a += 1
    return (index * a + seed * 7_919) % size


def masked(
    rows: NDArray[np.int64],
    starts: NDArray[np.bool_],
    *,
    mask_id: int,
    draw: np.random.Generator,
    share: float = MASK_SHARE,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return inputs and targets: whole words hidden, 80 % as mask, 10 % another, 10 % as is.

    Args:
        rows: ids, shape (n, length).
        starts: for every id, whether a token after it begins a word, shape (ids,).
        mask_id: id of ``<mask>``, the last one.
        draw: randomness of this step.
        share: of the words that are hidden.
    """
    begins = np.ones(rows.shape, dtype=bool)
    begins[:, 1:] = starts[rows[:, :-1]]
    word = np.cumsum(begins.ravel()) - 1
    chosen = (draw.random(int(word[-1]) + 1) < share)[word].reshape(rows.shape)
    chosen &= rows > UNK
    how = draw.random(rows.shape)
    inputs = np.where(chosen & (how < 0.8), mask_id, rows)
    other = draw.integers(UNK + 1, mask_id, size=rows.shape)
    inputs = np.where(chosen & (how >= 0.9), other, inputs)
    return inputs, np.where(chosen, rows, IGNORED)


def word_starts(folder: Path) -> NDArray[np.bool_]:
    """Return for every id whether the token after it begins a word, shape (ids,)."""
    lines = (folder / VOCAB_FILE).read_text(encoding="utf-8").split("\n")
    names = [line.rstrip().rpartition(" ")[0] for line in lines if line.strip()]
    found = np.ones(len(names) + 5, dtype=bool)
    found[4:-1] = [not name.endswith("@@") for name in names]
    return found


# --- warm start ----------------------------------------------------------------------------------


def cooccurrence_embeddings(
    tokens: NDArray[np.uint16],
    *,
    size: int,
    width: int,
    reach: int = 4,
    most: int = 20_000_000,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Return embeddings from the stream alone, shape (size, width), root mean square 1 a row.

    Positive pointwise mutual information of tokens within ``reach`` of each other, near ones
    counted more, context counts raised to 0.75, factorised by a randomised singular value
    decomposition with the square root of the values (Levy & Goldberg 2014; Levy et al. 2015).
    Tokens that never occur get zeros.
    """
    from scipy import sparse
    from sklearn.utils.extmath import randomized_svd

    stream = tokens[:most].astype(np.int64)
    counts: Any = sparse.csr_matrix(np.zeros((1, 1), dtype=np.float32))
    counts.resize(size, size)
    piece = 4_000_000
    for start in range(0, len(stream), piece):
        part = stream[start : start + piece]
        for gap in range(1, reach + 1):
            if len(part) <= gap:
                continue
            key, times = np.unique(part[:-gap] * size + part[gap:], return_counts=True)
            weight = (times / gap).astype(np.float32)
            counts = counts + sparse.csr_matrix(
                (weight, (key // size, key % size)), shape=(size, size)
            )
    counts = (counts + counts.T).tocoo()
    row = np.asarray(counts.sum(axis=1)).ravel()
    column = np.asarray(counts.sum(axis=0)).ravel() ** 0.75
    total = max(float(column.sum()), 1e-9)
    value = np.log(
        np.maximum(counts.data * total / (row[counts.row] * column[counts.col]), 1e-9)
    ).astype(np.float32)
    keep = (value > 0) & (counts.row > UNK) & (counts.col > UNK)
    ppmi = sparse.csr_matrix(
        (value[keep], (counts.row[keep], counts.col[keep])), shape=(size, size)
    )
    rank = min(width, size - 1)
    left, values, _ = randomized_svd(ppmi, rank, n_iter=3, random_state=seed)
    found = np.zeros((size, width), dtype=np.float32)
    found[:, :rank] = left * np.sqrt(values)
    turned = np.linalg.qr(np.random.default_rng(seed).normal(size=(width, width)))[0]
    found = found @ turned.astype(np.float32)  # no axis is to be more important than another
    norm = np.sqrt((found**2).mean(axis=1, keepdims=True))
    return np.where(norm > 1e-6, found / np.maximum(norm, 1e-6), 0.0).astype(np.float32)


# --- training ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is: two runs of one plan, seed and stream give the same weights on one device."""

    shape: Shape
    tokens: int
    batch_tokens: int = 8_192
    rate: float = 2e-3
    seed: int = 0
    warm_start: bool = True
    decay: float = 0.25
    optimiser: str = "adamw"
    start: str = ""  # hash of the weights that the run starts from, empty for none

    @property
    def steps(self) -> int:
        """Steps in all; at least one."""
        return max(1, self.tokens // self.batch_tokens)

    def rate_at(self, step: int) -> float:
        """Return the factor on the rate: up over 2 % of the steps, flat, down to zero."""
        rise = max(1, min(self.steps // 50, 500))
        fall = max(1, int(self.steps * self.decay))
        left = self.steps - step
        return min(1.0, (step + 1) / rise, left / fall)

    @property
    def trunk(self) -> int:
        """The step at which the rate begins to fall; a longer run may go on from there."""
        return self.steps - max(1, int(self.steps * self.decay))


def pretrain(
    prepared: Prepared,
    out: Path,
    plan: Plan,
    *,
    start: Path | None = None,
    save_every: float = 300.0,
    stop_after: int | None = None,
    threads: int | None = None,
) -> dict[str, Any]:
    """Train an encoder by masked words, or go on where an earlier run stopped; return its state.

    ``start`` is a folder of `models.transplant` (or any encoder of the plan's shape over the
    stream's vocabulary) whose weights the run begins with. Checkpoints are written beside and
    renamed, every ``save_every`` seconds and at the end, so a killed run loses that much at most.
    ``stop_after`` ends the run after so many steps of this call, as a kill would, for tests.
    ``out/encoder`` is the folder for fine-tuning.

    Raises:
        InputError: ``out`` holds a run of another plan, another stream or another start.
        ModelError: ``start`` has another shape, another tokenizer, or cannot be read.
    """
    import torch

    if threads:
        torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bpe = PhobertBpe.of_folder(prepared.folder)
    starts = word_starts(prepared.folder)
    held_out = min(HELD_OUT, len(prepared.tokens) // 10)
    seen, held = prepared.tokens[:-held_out], prepared.tokens[-held_out:]
    if start is not None:
        plan = replace(
            plan, start=sha256_hex((start / WEIGHTS_FILE).read_bytes()), warm_start=False
        )
    net = _network(torch, plan, bpe.size)
    if start is not None:
        _begin_from(net, start, plan, prepared)
    if device.type == "cpu":
        # At these lengths the fused kernel costs more than two products: 8,000 tokens per CPU
        # second with it, 10,600 without (4x256, one AMX core, the loss of models.fastloss).
        net.set_attn_implementation("eager")
    optimisers = _optimisers(torch, net, plan)
    step, history = _resume(out, plan, prepared, net, optimisers, device)
    if step == 0 and plan.warm_start:
        started = cooccurrence_embeddings(seen, size=bpe.size, width=plan.shape.width)
        with torch.no_grad():
            table = net.roberta.embeddings.word_embeddings.weight
            known = torch.from_numpy(started)
            table.copy_(torch.where(known.abs().sum(1, keepdim=True) > 0, 0.02 * known, table))
            table[PAD].zero_()
    net.to(device)
    last_save = since = time.monotonic()
    losses: list[Any] = []
    trained = 0
    end = plan.steps if stop_after is None else min(plan.steps, step + stop_after)
    ready = _batches(seen, starts, plan, range(step, end), mask_id=bpe.mask_id)
    if device.type == "cuda":
        ready = ahead(ready)  # or the device waits for the drawing of words to hide
    for inputs, targets in ready:
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["base"] * plan.rate_at(step)
        net.train()
        loss = _loss(torch, net, inputs, targets, device)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        step += 1
        trained += inputs.size
        losses.append(loss.detach())  # read when it is written down: a look waits for the device
        if step == plan.trunk:
            _save(out / "trunk", plan, prepared, net, optimisers, step, history)
        if time.monotonic() - last_save >= save_every and step < plan.steps:
            history.append(
                {
                    "step": step,
                    "loss": round(float(torch.stack(losses).mean()), 4),
                    "held_out_loss": round(_held_loss(torch, net, held, starts, bpe, device), 4),
                    "tokens_per_second": round(trained / (time.monotonic() - since)),
                }
            )
            LOG.info("%s of %d steps: %s", step, plan.steps, history[-1])
            _save(out / "last", plan, prepared, net, optimisers, step, history)
            last_save, losses = time.monotonic(), []
    held_loss = _held_loss(torch, net, held, starts, bpe, device)
    history.append({"step": step, "held_out_loss": round(held_loss, 4)})
    _save(out / "last", plan, prepared, net, optimisers, step, history)
    state = {
        "step": step,
        "steps": plan.steps,
        "done": step >= plan.steps,
        "held_out_loss": round(held_loss, 4),
        "held_out_perplexity": round(math.exp(held_loss), 2),
        "parameters": sum(p.numel() for p in net.parameters()),
        "began_from": {} if start is None else dict(transplant.facts_of(start)),
    }
    if state["done"]:
        _encoder_folder(out / "encoder", plan, prepared, net, state)
    return state


def _batches(
    tokens: NDArray[np.uint16],
    starts: NDArray[np.bool_],
    plan: Plan,
    steps: range,
    *,
    mask_id: int,
) -> Iterator[Batch]:
    """Yield inputs and targets of each step, which seed and step alone decide."""
    for step in steps:
        length = length_at(step / plan.steps)
        count = max(1, plan.batch_tokens // length)
        rows = sequences(tokens, step=step, length=length, count=count, seed=plan.seed)
        draw = np.random.default_rng((plan.seed, 1, step))
        yield masked(rows, starts, mask_id=mask_id, draw=draw)


def ahead(batches: Iterator[Batch], *, waiting: int = 8) -> Generator[Batch, None, None]:
    """Yield the same batches, made by a thread while the ones before are worked on.

    What goes wrong there is raised here; a caller that stops early ends the thread.
    """
    made: Queue[Batch | BaseException | None] = Queue(maxsize=waiting)
    stop = Event()

    def put(one: Batch | BaseException | None) -> None:
        while not stop.is_set():
            with suppress(Full):
                return made.put(one, timeout=0.1)

    def work() -> None:
        try:
            for batch in batches:
                put(batch)
                if stop.is_set():
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001  the thread has nobody else to tell
            put(error)

    thread = Thread(target=work, name="batches", daemon=True)
    thread.start()
    try:
        while (one := made.get()) is not None:
            if isinstance(one, BaseException):
                raise one
            yield one
    finally:
        stop.set()
        thread.join()


def _network(torch: ModuleType, plan: Plan, ids: int) -> Any:  # noqa: ANN401
    from transformers import RobertaConfig, RobertaForMaskedLM

    torch.manual_seed(plan.seed)
    config = RobertaConfig(
        vocab_size=ids,
        hidden_size=plan.shape.width,
        num_hidden_layers=plan.shape.layers,
        num_attention_heads=plan.shape.heads,
        intermediate_size=plan.shape.inner,
        max_position_embeddings=258,
        type_vocab_size=1,
        hidden_dropout_prob=0.0,  # one pass over little text: nothing to overfit
        attention_probs_dropout_prob=0.0,
        layer_norm_eps=1e-5,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
        tokenizer_class="PhobertTokenizer",
    )
    return RobertaForMaskedLM(config)


def _begin_from(net: Any, start: Path, plan: Plan, prepared: Prepared) -> None:  # noqa: ANN401
    """Load the weights of ``start`` into ``net``; the head's own layers may be missing there."""
    from safetensors.torch import load_file

    if _vocabulary_hash(start) != prepared.vocabulary:
        raise ModelError(
            "another tokenizer than the prepared text's",
            where=str(start),
            remedy="transplant with the --vocabulary that `train prepare` was given",
        )
    try:
        given = load_file(start / WEIGHTS_FILE)
        left = net.load_state_dict(given, strict=False)
    except Exception as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise ModelError(
            f"cannot be begun from: {' '.join(lines[:2])}",
            where=str(start),
            remedy="give the --shape that it has, or transplant it again",
        ) from error
    missing = [k for k in left.missing_keys if not k.startswith("lm_head.")]
    if missing or left.unexpected_keys:
        raise ModelError(
            f"is no encoder of {plan.shape.layers}x{plan.shape.width}: "
            f"{[*missing, *left.unexpected_keys][:3]} do not fit",
            where=str(start),
            remedy="give the --shape that it has",
        )


def _optimisers(torch: ModuleType, net: Any, plan: Plan) -> list[Any]:  # noqa: ANN401
    """AdamW for all; or Muon (Jordan et al. 2024) for the matrices inside the layers."""
    inside = plan.optimiser == "muon"
    matrices, decayed, plain = [], [], []
    for name, parameter in net.named_parameters():
        if parameter.ndim < 2:
            plain.append(parameter)
        elif inside and ".layer." in name:
            matrices.append(parameter)
        else:
            decayed.append(parameter)
    groups = [
        {"params": decayed, "weight_decay": 0.01, "base": plan.rate},
        {"params": plain, "weight_decay": 0.0, "base": plan.rate},
    ]
    fused = torch.cuda.is_available()
    adam = torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.98), eps=1e-6, fused=fused)
    if not matrices:
        return [adam]
    muon = torch.optim.Muon(
        [{"params": matrices, "base": 10.0 * plan.rate}], lr=plan.rate, weight_decay=0.01
    )
    return [adam, muon]


def _loss(
    torch: ModuleType,
    net: Any,  # noqa: ANN401
    inputs: NDArray[np.int64],
    targets: NDArray[np.int64],
    device: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Mean cross-entropy of the hidden tokens; the head runs on those places only."""
    from models.fastloss import mean_cross_entropy

    wanted = torch.from_numpy(targets).to(device)
    places = wanted != IGNORED
    with torch.autocast(device.type, dtype=torch.bfloat16):
        hidden = net.roberta(input_ids=torch.from_numpy(inputs).to(device)).last_hidden_state
        scores = net.lm_head(hidden[places])
    return mean_cross_entropy(scores, wanted[places])


def _held_loss(
    torch: ModuleType,
    net: Any,  # noqa: ANN401
    held: NDArray[np.uint16],
    starts: NDArray[np.bool_],
    bpe: PhobertBpe,
    device: Any,  # noqa: ANN401
) -> float:
    """Mean loss on the held-out end of the stream, the same places hidden every time."""
    net.eval()
    total, number = 0.0, 0
    length = 64  # the first stage: longer positions are still untrained for most of a run
    count = min(32, len(held) // length)
    with torch.no_grad():
        for step in range(max(1, min(12, len(held) // (length * count)))):
            rows = sequences(held, step=step, length=length, count=count, seed=0)
            inputs, targets = masked(
                rows, starts, mask_id=bpe.mask_id, draw=np.random.default_rng((7, step))
            )
            places = int((targets != IGNORED).sum())
            if places:
                total += float(_loss(torch, net, inputs, targets, device)) * places
                number += places
    net.train()
    return total / max(1, number)


def _identity(plan: Plan, prepared: Prepared) -> dict[str, Any]:
    """What must agree for one run to go on from another: everything but the number of tokens."""
    body = asdict(plan)
    del body["tokens"]
    return {**body, "vocabulary": prepared.vocabulary, "stream": list(prepared.sources)}


def _save(
    folder: Path,
    plan: Plan,
    prepared: Prepared,
    net: Any,  # noqa: ANN401
    optimisers: Sequence[Any],
    step: int,
    history: Sequence[dict[str, Any]],
) -> None:
    from safetensors.torch import save_file

    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    # the decoder shares the embedding and the bias: stored once
    weights = {k: v for k, v in net.state_dict().items() if not k.startswith("lm_head.decoder.")}
    save_file({k: v.detach().cpu().contiguous() for k, v in weights.items()}, fresh / WEIGHTS_FILE)
    flat: dict[str, Any] = {}
    for number, optimiser in enumerate(optimisers):
        for index, values in optimiser.state_dict()["state"].items():
            for name, value in values.items():
                flat[f"{number}/{index}/{name}"] = value.detach().cpu().contiguous()
    save_file(flat, fresh / OPTIMISER_FILE)
    body = {
        "identity": _identity(plan, prepared),
        "tokens": plan.tokens,
        "trunk": plan.trunk,
        "step": step,
        "history": list(history),
    }
    (fresh / STATE_FILE).write_text(
        json.dumps(body, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _resume(
    out: Path,
    plan: Plan,
    prepared: Prepared,
    net: Any,  # noqa: ANN401
    optimisers: Sequence[Any],
    device: Any,  # noqa: ANN401
) -> tuple[int, list[dict[str, Any]]]:
    """Load the newest usable checkpoint; return its step and history."""
    from safetensors.torch import load_file

    names = (
        "last",
        "last.old",
        "last.new",
    )  # a kill between two renames leaves the second or third
    folder = next((out / n for n in names if (out / n / STATE_FILE).is_file()), None)
    if folder is None:
        return 0, []
    body = _state(folder)
    if body["tokens"] != plan.tokens and body["step"] > body["trunk"]:
        folder = out / "trunk"  # the rate had begun to fall for another end
        body = _state(folder)
    if body["identity"] != _identity(plan, prepared) or body["step"] > plan.steps:
        raise InputError(
            "holds a run of another plan or another text",
            where=str(out),
            remedy="give another --out, or the same shape, seed, rate, batch and text",
        )
    try:
        weights = load_file(folder / WEIGHTS_FILE)
        net.load_state_dict(weights, strict=False)
        states: list[dict[int, dict[str, Any]]] = [{} for _ in optimisers]
        for key, value in load_file(folder / OPTIMISER_FILE).items():
            number, index, name = key.split("/")
            states[int(number)].setdefault(int(index), {})[name] = value
    except Exception as error:
        raise ModelError(
            f"a damaged checkpoint: {error}", where=str(folder), remedy="delete that folder"
        ) from error
    net.to(device)
    for optimiser, state in zip(optimisers, states, strict=True):
        base = [group["base"] for group in optimiser.param_groups]
        whole = optimiser.state_dict()
        optimiser.load_state_dict({"state": state, "param_groups": whole["param_groups"]})
        for group, rate in zip(optimiser.param_groups, base, strict=True):
            group["base"] = rate
    LOG.info("going on from step %d of %d", body["step"], plan.steps)
    return int(body["step"]), list(body["history"])


def _state(folder: Path) -> dict[str, Any]:
    try:
        body: dict[str, Any] = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
        if not {"identity", "tokens", "trunk", "step", "history"} <= body.keys():
            raise ValueError("fields are missing")
    except (OSError, ValueError) as error:
        raise ModelError(
            f"a damaged checkpoint: {error}", where=str(folder), remedy="delete that folder"
        ) from error
    return body


def _encoder_folder(
    folder: Path,
    plan: Plan,
    prepared: Prepared,
    net: Any,  # noqa: ANN401
    state: dict[str, Any],
) -> None:
    """Write what transformers loads: config, weights, the two tokenizer files, and the facts."""
    folder.mkdir(parents=True, exist_ok=True)
    net.to("cpu").save_pretrained(folder)
    for name in (VOCAB_FILE, CODES_FILE):
        shutil.copyfile(prepared.folder / name, folder / name)
    facts = {**state, "plan": asdict(plan), "sources": list(prepared.sources)}
    (folder / "pretraining.json").write_text(
        json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
