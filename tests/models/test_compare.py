"""Two models on the same pairs."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiemchung.domain import LABEL_ORDER, Label
from models import compare, evaluate, experiments
from models.construct import Pair
from models.verdict import Verdict, verdict_of

S, R, N = Label.SUPPORTED, Label.REFUTED, Label.NOT_ENOUGH_INFO


def said(label: Label, p: float = 0.8) -> Verdict:
    rest = (1 - p) / 2
    return verdict_of([p if x is label else rest for x in LABEL_ORDER])


def pairs(n: int, group: int = 1) -> list[Pair]:
    return [
        Pair(claim=f"Có {i} người.", evidence="Có 5 người.", label=LABEL_ORDER[i % 3], kind="x", group=f"g{i // group}")
        for i in range(n)
    ]  # fmt: skip


@given(
    st.lists(
        st.tuples(st.sampled_from(LABEL_ORDER), st.sampled_from([*LABEL_ORDER, None])),
        min_size=1,
        max_size=40,
    )
)
def test_macro_f1_of_counts_is_macro_f1(rows: list[tuple[Label, Label | None]]) -> None:
    gold, answers = [g for g, _ in rows], [s for _, s in rows]
    counts = compare.counts_of(gold, answers, np.zeros(len(rows), dtype=np.int64), 1)
    assert compare.macro_f1_of(counts)[0] == pytest.approx(evaluate.macro_f1(gold, answers))


def test_the_bootstrap_knows_a_better_model_from_an_equal_one() -> None:
    gold = [p.label for p in pairs(300)]
    r = random.Random(0)
    worse = [g if r.random() < 0.6 else r.choice(LABEL_ORDER) for g in gold]
    better = [g if r.random() < 0.8 else s for g, s in zip(gold, worse, strict=True)]
    groups = [f"g{i // 3}" for i in range(300)]
    found = compare.bootstrap(gold, worse, better, groups)
    assert found.texts == 100
    assert 0 < found.low < found.difference < found.high
    assert found.difference == pytest.approx(
        evaluate.macro_f1(gold, better) - evaluate.macro_f1(gold, worse)
    )
    assert found.chance_no_better == 0.0
    back = compare.bootstrap(gold, better, worse, groups)
    assert back.chance_no_worse == 0.0
    assert compare.bootstrap(gold, worse, worse, groups).difference == 0.0
    assert compare.bootstrap(gold, worse, better, groups) == found


def test_pairs_of_one_text_are_one_witness() -> None:
    gold = [S, R, N] * 60
    first, second = [S, R, S] * 60, [S, R, N] * 30 + [S, R, S] * 90
    second = second[:180]
    single = compare.bootstrap(gold, first, second, [str(i) for i in range(180)])
    copied = compare.bootstrap(gold, first, second, [str(i // 30) for i in range(180)])
    assert copied.high - copied.low > 1.5 * (single.high - single.low)


def test_mcnemar_is_exact_for_few_and_close_for_many() -> None:
    gold: list[Label] = [S] * 20
    first: list[Label | None] = [S] * 8 + [R] * 12
    second: list[Label | None] = [R] * 2 + [S] * 18
    found = compare.mcnemar(gold, first, second)
    assert (found.only_first, found.only_second, found.method) == (2, 12, "exact")
    assert found.p == pytest.approx(0.01293, abs=1e-5)  # binomial, 2 of 14, two-sided
    assert compare.mcnemar(gold, first, first).p == 1.0
    many = compare.mcnemar([S] * 2_000, [S] * 1_100 + [R] * 900, [R] * 1_100 + [S] * 900)
    assert many.method == "chi2"
    assert many.p == pytest.approx(8.6e-6, rel=0.1)


def test_flags_gained_and_lost_are_counted_with_how_many_are_right() -> None:
    rows = pairs(6)  # S R N S R N
    first = [said(x) for x in (R, S, N, S, R, N)]
    second = [said(x) for x in (S, R, N, R, R, N)]
    found = compare.compare("set", rows, first, second, thresholds=(0.5, 0.5))
    assert found.flags_gained == (2, 1)
    assert found.flags_lost == (1, 0)
    assert found.as_dict()["slices"]["number"]["first"]["n"] == 6
    strict = compare.compare("set", rows, first, second, thresholds=(0.5, 0.9))
    assert strict.flags_lost == (2, 1)
    text = "\n".join(compare.table(found, ("a", "b")))
    assert "Flags gained 2, 1 of them right; lost 1, 0 of them right." in text
    assert "| macro-F1 |" in text
    with pytest.raises(ValueError, match="no pairs"):
        compare.compare("set", [], [], [], thresholds=(0.5, 0.5))


def test_the_interval_of_an_experiment_is_to_the_last_bit_what_it_was() -> None:
    """Kept experiments hold it; worked out by hand here, text by text."""
    rng = np.random.default_rng(5)
    y, groups = rng.integers(0, 3, 90), [f"t{n}" for n in rng.integers(0, 25, 90)]
    p = rng.dirichlet((1.0, 1.0, 1.0), 90)
    names = sorted(set(groups))
    table = np.zeros((len(names), 3, 3))  # of each text: gold by said
    np.add.at(table, (np.array([names.index(g) for g in groups]), y, p.argmax(axis=1)), 1.0)
    drawn = np.random.default_rng(7).integers(0, len(names), (experiments.ROUNDS, len(names)))
    found = []
    for draw in drawn:
        counts = table[draw].sum(axis=0)
        total = counts.sum(axis=0) + counts.sum(axis=1)
        found.append(float(np.mean(2.0 * np.diag(counts) / np.where(total > 0, total, 1.0))))
    low, high = np.quantile(found, (0.025, 0.975))
    assert experiments.over_texts(p, y, groups, seed=7) == {
        "low": float(low), "high": float(high), "texts": len(names)
    }  # fmt: skip
