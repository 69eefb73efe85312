"""The seam: answered, abstained and failed are three things."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiemchung.domain import LABEL_ORDER, Label, Status
from models import registry
from models.verdict import Verdict, VerdictModel, caution, failed, verdict_of


def test_the_label_order_is_pinned() -> None:
    assert LABEL_ORDER == (Label.SUPPORTED, Label.REFUTED, Label.NOT_ENOUGH_INFO)
    assert verdict_of((0.1, 0.8, 0.1)).label is Label.REFUTED
    assert registry.LABELS == ("SUPPORTED", "REFUTED", "NOT_ENOUGH_INFO")


@given(st.lists(st.floats(0.001, 1.0), min_size=3, max_size=3))
def test_the_most_probable_label_wins(raw: list[float]) -> None:
    p = [x / sum(raw) for x in raw]
    found = verdict_of(p)
    assert found.label is not None
    given = dict(zip(LABEL_ORDER, p, strict=True))
    assert given[found.label] == max(p)
    assert found.status is Status.OK


def test_a_tie_is_never_a_refutation() -> None:
    assert verdict_of((0.0, 0.5, 0.5)).label is Label.NOT_ENOUGH_INFO


def test_below_the_floor_it_abstains_and_keeps_its_numbers() -> None:
    found = verdict_of((0.34, 0.36, 0.30), abstain_below=0.4)
    assert found.status is Status.ABSTAINED
    assert found.label is None
    assert found.p_refuted == 0.36


@pytest.mark.parametrize("p", [(0.5, 0.5), (0.5, 0.4, 0.0), (math.nan, 0.5, 0.5), (1.2, -0.2, 0.0)])
def test_what_are_no_probabilities_is_refused(p: tuple[float, ...]) -> None:
    with pytest.raises(ValueError):
        verdict_of(p)


def test_a_failure_has_no_probabilities() -> None:
    found = failed(RuntimeError("không đọc được"))
    assert found.status is Status.FAILED
    assert (found.p_supported, found.p_refuted, found.p_nei) == (None, None, None)
    assert "RuntimeError: không đọc được" in found.error


@pytest.mark.parametrize(
    ("status", "label", "p"),
    [
        (Status.OK, None, 0.3),
        (Status.FAILED, Label.REFUTED, None),
        (Status.FAILED, None, 0.3),
        (Status.ABSTAINED, Label.REFUTED, 0.3),
    ],
)
def test_mixed_states_cannot_be_made(status: Status, label: Label | None, p: float | None) -> None:
    rest = None if p is None else (1 - p) / 2
    with pytest.raises(ValueError):
        Verdict(status=status, label=label, p_supported=p, p_refuted=rest, p_nei=rest)


def test_the_shipped_model_is_a_verdict_model() -> None:
    assert isinstance(registry.load_default(), VerdictModel)


@pytest.mark.parametrize(
    ("claim", "evidence", "told"),
    [
        ("Xã có 5 hộ.", "Xã có 5 hộ.", ""),
        ("Xa co nam ho dan ngheo va ba ho kha.", "Xã có 5 hộ.", ""),
        ("HTX Nam Sơn", "NĐ 77/2019/NĐ-CP", ""),
        (" ", "Xã có 5 hộ.", "the claim is empty"),
        ("Xã có 5 hộ.", "\n", "the evidence is empty"),
        (
            "The cooperative must have at least seven members under the law.",
            "Xã có 5 hộ.",
            "claim is not in Vietnamese",
        ),
        (
            "Xã có 5 hộ.",
            "Les coopératives doivent toujours tenir leurs registres pendant cinq ans.",
            "evidence is not in Vietnamese",
        ),
        ("Xã có 5 hộ.", "Xã có 5 hộ. " * 9_000, "only the first 60000 of"),
    ],
)
def test_a_pair_that_means_little_is_told_in_one_line(claim: str, evidence: str, told: str) -> None:
    found = caution(claim, evidence)
    assert (found == "") == (told == "")
    assert told in found
    assert "\n" not in found
