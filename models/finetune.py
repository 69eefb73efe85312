"""Fine-tuning of an encoder on pairs: one loop for CPU and GPU, batches by tokens, not by rows.

Padding costs two to four times the work, so rows of like length share a batch of at most
``batch_tokens`` tokens. The loss is cross-entropy with per-class weights and label smoothing, or
R-Drop (Liang et al. 2021: two dropout passes held together by their divergence). The state with
the lowest held-out loss is kept. Nothing here knows what the pairs are about.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kiemchung.errors import InputError
from models.tokenizer import MAX_LENGTH, PAD

LOG: Final = logging.getLogger(__name__)
LABELS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One sequence of ids, the index of its label in `LABEL_ORDER`, and how much it counts.

    ``types`` are its marks of agreement (`models.marks`), empty for none.
    """

    ids: tuple[int, ...]
    label: int
    weight: float = 1.0
    types: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to fine-tune. ``rate`` None is 3e-5, or 3e-4 for encoders narrower than 512.

    ``smoothing`` and ``r_drop`` (the weight of the divergence, 0 for none) can be combined;
    ``steps`` bounds the whole training, for tests; ``threads`` None leaves torch's own number.
    """

    epochs: int = 3
    batch_tokens: int = 4_096
    rate: float | None = None
    warm_up: float = 0.1
    decay: float = 0.01
    smoothing: float = 0.05
    r_drop: float = 0.0
    class_weights: bool = True
    longest: int = MAX_LENGTH
    checks: int = 6
    patience: int = 4
    steps: int | None = None
    seed: int = 0
    threads: int | None = None

    def rate_for(self, width: int) -> float:
        """Return the peak learning rate for an encoder of this width."""
        if self.rate is not None:
            return self.rate
        return 3e-5 if width >= 512 else 3e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a training did: steps taken, the held-out loss at each check, the one that was kept."""

    steps: int
    held_out_losses: tuple[float, ...]
    kept: float


def batches(rows: Sequence[Row], batch_tokens: int, r: random.Random | None) -> Iterator[list[Row]]:
    """Yield batches of like length, padded at most ``batch_tokens`` wide in all.

    With a generator lengths are jittered and the order of the batches is random; without, the
    order is fixed. A row longer than the budget is a batch of its own.
    """
    jitter = [r.random() * 8 if r else 0.0 for _ in rows]
    order = sorted(range(len(rows)), key=lambda i: (len(rows[i].ids) + jitter[i], i))
    parts: list[list[int]] = []
    widest = 0
    for i in order:
        widest = max(widest, len(rows[i].ids)) if parts else len(rows[i].ids)
        if not parts or widest * (len(parts[-1]) + 1) > batch_tokens:
            parts.append([])
            widest = len(rows[i].ids)
        parts[-1].append(i)
    if r:
        r.shuffle(parts)
    for part in parts:
        yield [rows[i] for i in part]


def label_weights(rows: Sequence[Row]) -> list[float]:
    """Return a weight per class that makes the three count alike; 1 where a class is missing."""
    mass = np.zeros(LABELS)
    for row in rows:
        mass[row.label] += row.weight
    total = float(mass.sum())
    return [total / (LABELS * m) if m > 0 else 1.0 for m in mass.tolist()]


def fine_tune(
    net: Any,  # noqa: ANN401  a transformers model
    train: Sequence[Row],
    held: Sequence[Row],
    recipe: Recipe,
) -> Course:
    """Train ``net`` in place and leave it, on the CPU, as it was at its lowest held-out loss.

    bf16 on hardware that has it; the same seed gives the same model on one machine and thread
    count. Stops early after ``patience`` checks without a better held-out loss.

    Raises:
        InputError: nothing to train on, or the loss is no longer a number.
    """
    import torch

    if not train or not held:
        raise InputError(
            f"{len(train)} training and {len(held)} held-out rows are too few", where="fine-tuning"
        )
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net.to(device)
    weights = label_weights(train) if recipe.class_weights else [1.0] * LABELS
    classes = torch.tensor(weights, dtype=torch.float32, device=device)
    r = random.Random(recipe.seed)
    per_epoch = sum(1 for _ in batches(train, recipe.batch_tokens, random.Random(recipe.seed)))
    total = max(1, recipe.epochs * per_epoch)
    total = min(total, recipe.steps) if recipe.steps else total
    peak = recipe.rate_for(int(net.config.hidden_size))
    optimiser = torch.optim.AdamW(_groups(net, recipe.decay), lr=peak, betas=(0.9, 0.98))
    warm = max(1, round(total * recipe.warm_up))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / warm, max(0.0, (total - step) / total * 1.1))
    )
    every = max(1, total // recipe.checks)
    best: dict[str, Any] | None = None
    losses: list[float] = []
    done, stale = 0, 0
    while done < total and stale < recipe.patience:
        for part in batches(train, recipe.batch_tokens, r):
            net.train()
            loss = _loss(net, part, classes, recipe, device)
            if not math.isfinite(float(loss.detach())):
                raise InputError(
                    f"the loss is {float(loss.detach())} after {done} steps", where="fine-tuning",
                    remedy="lower the rate",
                )  # fmt: skip
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad(set_to_none=True)
            done += 1
            if done % every == 0 or done == total:
                losses.append(held_out_loss(net, held, recipe.batch_tokens))
                LOG.info("%d of %d steps: held-out loss %.4f", done, total, losses[-1])
                if losses[-1] <= min(losses):
                    stale = 0
                    best = {k: v.detach().cpu().clone() for k, v in net.state_dict().items()}
                else:
                    stale += 1
            if done >= total or stale >= recipe.patience:
                break
    if best is not None:
        net.load_state_dict(best)
    net.to("cpu").eval()
    return Course(steps=done, held_out_losses=tuple(losses), kept=min(losses, default=math.nan))


def _groups(net: Any, decay: float) -> list[dict[str, Any]]:  # noqa: ANN401
    """Weights decay; biases, norms and embeddings of positions do not."""
    wide = [p for n, p in net.named_parameters() if p.ndim >= 2 and "position" not in n]
    rest = [p for n, p in net.named_parameters() if p.ndim < 2 or "position" in n]
    return [{"params": wide, "weight_decay": decay}, {"params": rest, "weight_decay": 0.0}]


def widen(net: Any, types: int, *, seed: int = 0) -> None:  # noqa: ANN401
    """Give ``net`` room for ``types`` token types, type 0 as it was.

    The others start as far apart as words do: in a pretrained net, small marks beside large word
    vectors would stay unread for most of a short training.
    """
    import torch

    inner = net.roberta.embeddings
    old, words = inner.token_type_embeddings, inner.word_embeddings
    new = torch.nn.Embedding(types, old.embedding_dim)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        spread = float(words.weight.std())
        noise = torch.randn(new.weight.shape, generator=draw) * spread
        noise[0] = 0.0
        new.weight.copy_(old.weight[:1].expand(types, -1) + noise)
    inner.token_type_embeddings = new
    net.config.type_vocab_size = types


def padded(part: Sequence[Row], device: Any) -> tuple[Any, Any, Any]:  # noqa: ANN401
    """Return (ids, attention mask, token types), all of shape (rows, longest row)."""
    import torch

    width = max(len(row.ids) for row in part)
    ids = torch.tensor(
        [[*row.ids, *([PAD] * (width - len(row.ids)))] for row in part], device=device
    )
    types = torch.tensor(
        [[*(row.types or [0] * len(row.ids)), *([0] * (width - len(row.ids)))] for row in part],
        device=device,
    )
    return ids, (ids != PAD).long(), types


def _forward(net: Any, part: Sequence[Row], device: Any) -> Any:  # noqa: ANN401
    import torch

    ids, mask, types = padded(part, device)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        return net(input_ids=ids, attention_mask=mask, token_type_ids=types).logits.float()


def _loss(net: Any, part: Sequence[Row], classes: Any, recipe: Recipe, device: Any) -> Any:  # noqa: ANN401
    import torch
    from torch.nn import functional

    truth = torch.tensor([row.label for row in part], device=device)
    weight = torch.tensor([row.weight for row in part], device=device) * classes[truth]
    passes = 2 if recipe.r_drop else 1
    logits = [_forward(net, part, device) for _ in range(passes)]
    each = sum(
        functional.cross_entropy(
            x, truth, reduction="none", label_smoothing=recipe.smoothing
        )
        for x in logits
    ) / passes  # fmt: skip
    if recipe.r_drop:
        a, b = (functional.log_softmax(x, dim=-1) for x in logits)
        gap = functional.kl_div(a, b, log_target=True, reduction="none").sum(-1)
        gap = gap + functional.kl_div(b, a, log_target=True, reduction="none").sum(-1)
        each = each + recipe.r_drop * gap / 4.0
    return (each * weight).sum() / weight.sum().clamp_min(1e-6)


def held_out_loss(net: Any, rows: Sequence[Row], batch_tokens: int) -> float:  # noqa: ANN401
    """Return the mean cross-entropy, weighted by the rows' weights, without smoothing."""
    logits = logits_of(net, rows, batch_tokens)
    top = logits.max(axis=1, keepdims=True)
    logp = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    truth = np.array([row.label for row in rows])
    weight = np.array([row.weight for row in rows])
    return float(-(logp[np.arange(len(rows)), truth] * weight).sum() / max(1e-9, weight.sum()))


def logits_of(net: Any, rows: Sequence[Row], batch_tokens: int) -> NDArray[np.float64]:  # noqa: ANN401
    """Return the logits of all rows in their own order, shape (n, 3); on whatever ``net`` is on."""
    import torch

    net.eval()
    device = next(net.parameters()).device
    found = np.zeros((len(rows), LABELS))
    place = {id(row): i for i, row in enumerate(rows)}
    with torch.no_grad():
        for part in batches(rows, batch_tokens * 2, None):
            out = _forward(net, part, device).cpu().numpy()
            for row, values in zip(part, out, strict=True):
                found[place[id(row)]] = values
    return found
