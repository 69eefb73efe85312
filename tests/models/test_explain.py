"""What carried a verdict: the right place, the right kind, and a verdict that moves without it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiemchung.domain import Label
from models import registry
from models.explain import ADDED, LEAST, MOST, _repaired, differences, explain
from models.verdict import Verdict, VerdictModel, failed

RULE = (
    "Mỗi thành viên góp không quá 30% vốn điều lệ của hợp tác xã, "
    "trừ trường hợp điều lệ quy định khác."
)


@pytest.fixture(scope="module")
def model() -> VerdictModel:
    return registry.load(registry.PLAIN)


@pytest.mark.parametrize(
    ("claim", "kind", "ours", "theirs"),
    [
        ("Mỗi thành viên góp không quá 40% vốn điều lệ của hợp tác xã.", "number", "40%", "30%"),
        ("Mỗi thành viên được góp quá 30% vốn điều lệ.", "negation", "", "không"),
    ],
)
def test_a_refutation_names_the_difference_and_falls_with_it(
    model: VerdictModel, claim: str, kind: str, ours: str, theirs: str
) -> None:
    found = explain(model, claim, RULE)
    assert found.verdict.label is Label.REFUTED
    assert found.faithful
    first = found.carriers[0]
    assert (first.kind, first.claim, first.evidence) == (kind, ours, theirs)
    assert claim[first.start : first.end] == ours
    assert first.weight >= LEAST
    weights = [c.weight for c in found.carriers]
    assert weights == sorted(weights, reverse=True)


@pytest.mark.parametrize(
    ("claim", "evidence", "kind"),
    [
        ("Có 5 thành viên.", "Có 7 thành viên.", "number"),
        ("Họp ngày 5/6/2023 tại xã.", "Họp ngày 5/7/2023 tại xã.", "date"),
        ("Ông Nguyễn Văn Bình nói vậy.", "Ông Trần Thị Lan nói vậy.", "actor"),
        ("Hợp tác xã được vay vốn.", "Hợp tác xã không được vay vốn.", "negation"),
        ("Mọi hộ đều có lãi.", "Một số hộ đều có lãi.", "exaggeration"),
        ("Xã có 5 hộ và rất giàu có.", "Xã có 5 hộ.", ADDED),
        ("Đã bán 1.200 tấn.", "Đã bán 1200 tấn.", None),
        ("Có 05 hộ.", "Có 5 hộ.", None),
        ("Luật có hiệu lực từ năm 2026.", "Luật có hiệu lực từ năm 2024.", "date"),
        ("Giá lúa tăng mạnh.", "Giá lúa giảm mạnh.", "negation"),
        ("Trong mọi trường hợp, hợp tác xã được vay.", "Hợp tác xã được vay.", "exaggeration"),
        (
            "Trong mọi trường hợp, hợp tác xã được vay.",
            "Hợp tác xã được vay, nếu đại hội đồng ý.",
            "condition_dropped",
        ),
    ],
)
def test_the_kind_follows_from_both_sides(claim: str, evidence: str, kind: str | None) -> None:
    kinds = [part.kind for part in differences(claim, evidence)]
    assert kinds[:1] == ([] if kind is None else [kind])


def test_a_long_claim_with_a_dropped_condition_is_told() -> None:
    claim = "Thành viên được rút vốn và được trả lãi."
    evidence = "Thành viên được rút vốn nếu đại hội đồng ý và được trả lãi."
    (part,) = differences(claim, evidence)
    assert part.kind == "condition_dropped"
    assert part.start == part.end
    assert _repaired(claim, [part]) == evidence


def test_what_supports_is_the_sentence_that_says_it(model: VerdictModel) -> None:
    article = f"Trời hôm nay nhiều mây và có gió nhẹ. {RULE} Bà con vui mừng gặt lúa sớm."
    found = explain(model, "Mỗi thành viên góp không quá 30% vốn điều lệ.", article)
    assert found.verdict.label is Label.SUPPORTED
    assert [c.evidence for c in found.carriers] == [RULE]
    assert found.faithful


def test_nothing_carries_a_verdict_on_nothing(model: VerdictModel) -> None:
    found = explain(model, "Hợp tác xã có 5 thành viên.", "")
    assert found.carriers == ()
    assert not found.faithful


class Constant:
    """A model that never changes its mind: whatever is put right carried nothing."""

    model_id = "constant"
    threshold = 0.5

    def __init__(self) -> None:
        self.asked = 0

    def judge(self, claim: str, evidence: str) -> Verdict:
        self.asked += 1
        from models.verdict import verdict_of

        return verdict_of([0.1, 0.8, 0.1])


def test_differences_that_move_nothing_are_not_shown() -> None:
    found = explain(Constant(), "Mọi hộ ở xã này có 40 con bò.", "Mỗi hộ ở xã kia có 30 con bò.")
    assert found.verdict.label is Label.REFUTED
    assert found.carriers == ()
    assert not found.faithful


def test_it_costs_a_bounded_number_of_verdicts() -> None:
    model = Constant()
    claim = " ".join(f"a{i} {i} b{i}" for i in range(60))
    evidence = " ".join(f"a{i} {i + 500} b{i}" for i in range(60))
    explain(model, claim, evidence)
    assert model.asked <= MOST + 2


def test_a_failure_is_explained_by_nothing() -> None:
    class Broken(Constant):
        def judge(self, claim: str, evidence: str) -> Verdict:
            return failed(ValueError("x"))

    found = explain(Broken(), "Có 5 hộ.", "Có 7 hộ.")
    assert found.verdict.error == "ValueError: x"
    assert found.carriers == ()


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["xã", "có", "5", "7", "30%", "không", "mọi", "nếu", "Lan", "Bình", ".", ",", "và"]
        ),
        max_size=14,
    ),
    st.lists(
        st.sampled_from(
            ["xã", "có", "5", "7", "30%", "không", "mọi", "nếu", "Lan", "Bình", ".", ",", "và"]
        ),
        max_size=14,
    ),
)
def test_spans_lie_in_the_claim_in_order_and_apart(left: list[str], right: list[str]) -> None:
    claim, evidence = " ".join(left), " ".join(right)
    end = 0
    for part in differences(claim, evidence):
        assert end <= part.start <= part.end <= len(claim)
        end = part.end
    assert _repaired(claim, differences(claim, evidence)) is not None
