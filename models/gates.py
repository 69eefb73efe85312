"""Gates: what a model must hold before it is used, measured on labelled pairs.

Beside accuracy and calibration these are small changes of a claim whose effect is known: a changed
digit, a negation or another name must take SUPPORTED away; another way to write a number, another
place for a tone mark, an emotive word, or one name for another on *both* sides must change
nothing. A model that fails one of them reads something else than the evidence. What the shipped
model must hold stands in ``floors.json``, see `models.floors`.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from kiemchung.domain import Label, Passage
from models import evaluate
from models.construct import Pair, Rewriter, pairs_of_passages
from models.cues import normal
from models.distort import NAMED, actor
from models.floors import Gate
from models.slices import by_slice
from models.verdict import Before, Verdict, VerdictModel

FEWEST: Final = 30  # pairs of a slice that make a figure of its own
_STYLES: Final = tuple(
    (old, new)
    for olds, news in (
        ("òa óa ỏa õa ọa", "oà oá oả oã oạ"),
        ("òe óe ỏe õe ọe", "oè oé oẻ oẽ oẹ"),
        ("ùy úy ủy ũy ụy", "uỳ uý uỷ uỹ uỵ"),
    )
    for old, new in zip(olds.split(), news.split(), strict=True)
)
_EMOTIVE: Final = ("Thật đáng buồn là ", "Không thể tin nổi: ", "Ai cũng phẫn nộ vì ", "Sốc: ")
_NAMES: Final = (
    "Trần Minh Quang",
    "Lê Thu Hà",
    "Bình Sơn",
    "Thanh Lâm",
    "Vĩnh Phước Đông",
    "An Phú",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembering(Before):
    """A model that is asked each pair once: the gates look at the same pairs many times."""

    model: VerdictModel
    known: dict[tuple[str, str], Verdict] = field(default_factory=dict)

    def judge(self, claim: str, evidence: str) -> Verdict:
        """Return the verdict on one pair, made the first time."""
        found = self.known.get((claim, evidence))
        if found is None:
            found = self.known[claim, evidence] = self.model.judge(claim, evidence)
        return found


def own_pairs(passages: Sequence[Passage], *, seed: int = 0) -> list[Pair]:
    """Return the pairs made from the reference base: what is measured where no file is given."""
    return pairs_of_passages(passages, Rewriter(seed))


# --- changes whose effect is known ---------------------------------------------------------------


def flip_digit(claim: str, r: random.Random) -> str | None:
    """Change one digit of a claim."""
    at = [i for i, c in enumerate(claim) if c in "0123456789"]
    if not at:
        return None
    i = r.choice(at)
    return claim[:i] + r.choice([c for c in "123456789" if c != claim[i]]) + claim[i + 1 :]


def write_otherwise(claim: str, r: random.Random) -> str | None:
    """Write a number in another way of the same value: 1.200 and 1200, 30% and 30 phần trăm."""
    options: list[str] = []
    for m in re.finditer(r"(?<![\d.,/-])(\d{1,3})\.(\d{3})(?![\d.,])", claim):
        options.append(claim[: m.start()] + m.group(1) + m.group(2) + claim[m.end() :])
    for m in re.finditer(r"(?<![\d.,/])(\d+(?:,\d+)?)\s?%", claim):
        options.append(f"{claim[: m.start()]}{m.group(1)} phần trăm{claim[m.end() :]}")
    for m in re.finditer(r"(?<![\d.,/-])([1-9])(?=\s[^\W\d_])", claim):
        if not re.search(r"(?:ngày|tháng|điều|khoản|số)\s$", claim[: m.start()].lower()):
            options.append(f"{claim[: m.start()]}0{claim[m.start() :]}")
    return r.choice(options) if options else None


def deny(claim: str, r: random.Random) -> str | None:
    """Deny what is said, or say what is denied."""
    rewriter = Rewriter(0)
    rewriter.random = r
    return rewriter.negation(claim)


def swap_name(claim: str, r: random.Random) -> str | None:
    """Put another name in the place of one."""
    return actor(claim, _NAMES, r)


def move_tones(claim: str, r: random.Random) -> str | None:
    """Set the tone marks of oa, oe and uy in the other style (hòa and hoà)."""
    changed = claim
    for a, b in _STYLES:
        if re.search(rf"{a}(?!\w)", claim):
            changed = re.sub(rf"{a}(?!\w)", b, changed)
        elif re.search(rf"(?<![qQ]){b}(?!\w)", claim):
            changed = re.sub(rf"(?<![qQ]){b}(?!\w)", a, changed)
    return changed if changed != claim else None


def add_emotion(claim: str, r: random.Random) -> str | None:
    """Put an emotive word in front, which is an opinion and changes no fact."""
    return r.choice(_EMOTIVE) + claim[:1].lower() + claim[1:]


_LEAVES: Final[tuple[tuple[str, Callable[[str, random.Random], str | None]], ...]] = (
    ("digit_flip_leaves_supported", flip_digit),
    ("negation_leaves_supported", deny),
    ("name_swap_leaves_supported", swap_name),
)
_KEEPS: Final[tuple[tuple[str, Callable[[str, random.Random], str | None]], ...]] = (
    ("format_change_flips", write_otherwise),
    ("tone_style_flips", move_tones),
    ("emotive_word_refutes", add_emotion),
)


def perturbations(model: VerdictModel, pairs: Sequence[Pair], *, seed: int = 0) -> list[Gate]:
    """Return the gates of changes whose effect is known.

    Those that must take SUPPORTED away are measured on supported pairs that the model supports,
    those that must change nothing on all pairs that it answers.
    """
    r = random.Random(seed)
    before = [model.judge(p.claim, p.evidence).label for p in pairs]
    gates = []
    for name, change in _LEAVES:
        n = left = 0
        for p, said in zip(pairs, before, strict=True):
            if p.label is not Label.SUPPORTED or said is not Label.SUPPORTED:
                continue
            changed = change(p.claim, r)
            if changed is None or normal(changed) == normal(p.claim):
                continue
            n += 1
            left += model.judge(changed, p.evidence).label is not Label.SUPPORTED
        gates.append(Gate(name=name, value=left / n if n else None, n=n))
    for name, change in _KEEPS:
        n = moved = 0
        for p, said in zip(pairs, before, strict=True):
            changed = change(p.claim, r) if said is not None else None
            if changed is None:
                continue
            after = model.judge(changed, p.evidence).label
            n += 1
            refutes = after is Label.REFUTED and said is not Label.REFUTED
            moved += refutes if name == "emotive_word_refutes" else after is not said
        gates.append(Gate(name=name, value=moved / n if n else None, n=n, higher=False))
    gates.append(_both_names(model, pairs, before, r))
    return gates


def _both_names(
    model: VerdictModel, pairs: Sequence[Pair], before: Sequence[Label | None], r: random.Random
) -> Gate:
    """Who is named must not matter: the same other name on both sides keeps the verdict."""
    n = moved = 0
    for p, said in zip(pairs, before, strict=True):
        names = [m.group() for m in NAMED.finditer(f" {p.claim}") if m.group() in p.evidence]
        if said is None or not names:
            continue
        old = r.choice(names)
        like = [x for x in _NAMES if len(x.split()) == len(old.split())]
        if not like:
            continue
        new = r.choice(like)
        after = model.judge(p.claim.replace(old, new), p.evidence.replace(old, new)).label
        n += 1
        moved += after is not said
    return Gate(
        name="same_name_on_both_sides_flips", value=moved / n if n else None, n=n, higher=False
    )


def overlap_thirds(model: VerdictModel, pairs: Sequence[Pair]) -> list[Gate]:
    """Return macro-F1 on each third of the pairs by the share of the claim's words that the
    evidence has: a model that only counts shared words fails the first and the last.

    And the recall of REFUTED in the highest third as a share of that over all pairs: a refutation
    in the evidence's own words is the dangerous one, and must be found nearly as often (0.8).
    """

    def share(p: Pair) -> float:
        ours = set(normal(p.claim).split())
        return len(ours & set(normal(p.evidence).split())) / max(1, len(ours))

    order = sorted(range(len(pairs)), key=lambda i: (share(pairs[i]), i))
    size = -(-len(order) // 3)
    gates = []
    part: list[Pair] = []
    for i, name in enumerate(("low", "middle", "high")):
        part = [pairs[j] for j in order[i * size : (i + 1) * size]]
        said = [model.judge(p.claim, p.evidence).label for p in part]
        value = evaluate.macro_f1([p.label for p in part], said) if part else None
        gates.append(Gate(name=f"macro_f1_overlap_{name}", value=value, n=len(part)))
    whole, high = _refuted_recall(model, pairs), _refuted_recall(model, part)
    ratio = high[0] / whole[0] if whole[0] and high[0] is not None else None
    gates.append(Gate(name="refuted_recall_overlap_high_ratio", value=ratio, n=high[1]))
    return gates


def _refuted_recall(model: VerdictModel, pairs: Sequence[Pair]) -> tuple[float | None, int]:
    """Return how many of the refuted pairs are found, and how many there are."""
    mine = [p for p in pairs if p.label is Label.REFUTED]
    found = sum(model.judge(p.claim, p.evidence).label is Label.REFUTED for p in mine)
    return (found / len(mine) if mine else None), len(mine)


def measure(model: VerdictModel, pairs: Sequence[Pair], *, seed: int = 0) -> list[Gate]:
    """Return every gate of ``model`` on labelled pairs, by name.

    Raises:
        ValueError: fewer than two pairs.
    """
    model = model if isinstance(model, Remembering) else Remembering(model=model)
    found = evaluate.evaluate(model, pairs)
    blind = evaluate.controls(model, pairs, seed=seed)
    shown = found.refuted_at_threshold
    half = next(risk for covered, risk in found.risk_coverage if covered == 0.5)
    gates = [
        Gate(name="macro_f1", value=found.macro_f1, n=found.n),
        Gate(name="gap_to_claim_only", value=found.macro_f1 - blind.claim_only_macro_f1, n=found.n),
        Gate(name="flag_precision", value=shown.value if shown.n else None, n=shown.n),
        Gate(name="flag_precision_lower", value=shown.low if shown.n else None, n=shown.n),
        Gate(name="flag_coverage", value=found.coverage, n=found.n),
        Gate(name="refuted_recall", value=found.recall[str(Label.REFUTED)], n=found.n),
        Gate(name="answered", value=found.answered, n=found.n),
        Gate(name="ece", value=found.ece, n=found.n, higher=False),
        Gate(name="risk_at_half_coverage", value=half, n=found.n, higher=False),
        Gate(name="shuffled_refuted", value=blind.shuffled_refuted, n=found.n, higher=False),
        *_by_kind(model, pairs),
        *_by_slice(model, pairs),
        *perturbations(model, pairs, seed=seed),
        *overlap_thirds(model, pairs),
    ]
    clean = [g if g.value is None or math.isfinite(g.value) else _without(g) for g in gates]
    return sorted(clean, key=lambda g: g.name)


def _by_slice(model: VerdictModel, pairs: Sequence[Pair]) -> list[Gate]:
    """Return macro-F1 of each slice that has enough pairs to say something."""
    verdicts = [model.judge(p.claim, p.evidence) for p in pairs]
    return [
        Gate(name=f"macro_f1_in_{s.name}", value=s.macro_f1, n=s.n)
        for s in by_slice(pairs, verdicts, threshold=model.threshold)
        if s.n >= FEWEST
    ]


def _without(gate: Gate) -> Gate:
    return Gate(name=gate.name, value=None, n=gate.n, higher=gate.higher)


def _by_kind(model: VerdictModel, pairs: Sequence[Pair]) -> list[Gate]:
    """Return the share of right labels of each kind of pair."""
    kinds: dict[str, list[bool]] = {}
    for p in pairs:
        right = model.judge(p.claim, p.evidence).label is p.label
        kinds.setdefault(p.kind, []).append(right)
    return [
        Gate(name=f"right_{kind.replace(' ', '_')}", value=sum(x) / len(x), n=len(x))
        for kind, x in kinds.items()
    ]
