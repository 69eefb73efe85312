"""Slices follow from the texts, and their figures are those worked out by hand."""

from __future__ import annotations

import json

import pytest

from kiemchung.domain import Label
from models.construct import Pair
from models.slices import SLICES, by_slice, report_of
from models.verdict import failed, verdict_of

S, R, N = Label.SUPPORTED, Label.REFUTED, Label.NOT_ENOUGH_INFO
SURE = {S: (0.9, 0.05, 0.05), R: (0.05, 0.9, 0.05), N: (0.05, 0.05, 0.9)}


def pair(claim: str, evidence: str = "Chứng cứ.", label: Label = S) -> Pair:
    return Pair(claim=claim, evidence=evidence, label=label, kind="toy", group=claim)


@pytest.mark.parametrize(
    ("claim", "wanted"),
    [
        ("Luật Hợp tác xã năm 2023 cho phép điều đó.", {"law", "source"}),
        ("Theo Điều 5 Nghị định 113/2024/NĐ-CP, hồ sơ nộp qua mạng.", {"law", "source"}),
        ("Vụ này thu được 120 tấn lúa.", {"number"}),
        ('Bà Hoa nói: "Chúng tôi đã trả hết nợ cho bà con."', {"quote", "source"}),
        ("Ông Bình cho biết hợp tác xã đã trả hết nợ.", {"source"}),
        ("Bà con rất vui.", set()),
    ],
)
def test_what_a_claim_says_puts_it_into_its_slices(claim: str, wanted: set[str]) -> None:
    told = {name for name, test in SLICES.items() if test(pair(claim))}
    assert told & {"law", "number", "quote", "source"} == wanted
    assert ("number" in told) != ("no_number" in told)
    assert "claim_short" in told


def test_length_is_counted_in_words() -> None:
    article = pair("Một câu.", "chữ " * 121)
    assert SLICES["evidence_article"](article)
    assert not SLICES["evidence_article"](pair("Một câu.", "chữ " * 120))
    assert SLICES["claim_long"](pair("chữ " * 31))
    assert not SLICES["claim_long"](pair("chữ " * 30))


def test_figures_of_a_slice_by_hand() -> None:
    pairs = [pair("a", label=S), pair("b", label=R), pair("c", label=R), pair("d", label=S)]
    verdicts = [verdict_of(SURE[S]), verdict_of(SURE[R]), verdict_of(SURE[S]), verdict_of(SURE[R])]
    found = report_of("x", pairs, verdicts, threshold=0.8)
    assert found.labels == ("SUPPORTED", "REFUTED")  # what is not there does not pull F1 down
    assert found.macro_f1 == pytest.approx(0.5)
    assert found.recall_refuted == 0.5
    assert (found.shown.value, found.shown.n, found.coverage) == (0.5, 2, 0.5)
    sure = report_of("x", pairs, verdicts, threshold=0.95)
    assert (sure.shown.n, sure.coverage) == (0, 0.0)
    assert sure.as_dict()["shown"]["value"] is None
    json.dumps(sure.as_dict(), allow_nan=False)


def test_a_failed_verdict_is_never_shown_and_counts_against_recall() -> None:
    found = report_of("x", [pair("a", label=R)], [failed(ValueError("x"))], threshold=0.5)
    assert (found.recall_refuted, found.shown.n) == (0.0, 0)


def test_every_slice_is_named_also_an_empty_one() -> None:
    found = {
        s.name: s for s in by_slice([pair("Bà con vui.")], [verdict_of(SURE[S])], threshold=0.5)
    }
    assert set(found) == set(SLICES)
    assert (found["quote"].n, found["quote"].macro_f1) == (0, None)
    assert found["evidence_passage"].macro_f1 == 1.0
