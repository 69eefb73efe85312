"""The comparison model: what the features see, and what they must not depend on."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiemchung.domain import Label, Status
from models import registry
from models.comparison import FEATURES, ComparisonModel, features, tokens, window
from models.cues import lead_in

ROOT = Path(__file__).resolve().parents[2]
FACT = (
    "Tỉnh có 120 hợp tác xã, trong đó 45 hợp tác xã trồng chè, doanh thu đạt 36 tỷ đồng năm 2023."
)


def row(claim: str, evidence: str) -> dict[str, float]:
    return dict(zip(FEATURES, features(claim, evidence).tolist(), strict=True))


def model() -> ComparisonModel:
    found = registry.load(registry.PLAIN)
    assert isinstance(found, ComparisonModel)
    return found


def test_a_sentence_beside_itself_differs_in_nothing() -> None:
    found = row(FACT, FACT)
    assert found["coverage"] == found["lcs"] == found["longest_run"] == 1.0
    for name in (
        "missing_content", "substituted", "inserted", "numbers_contradicting", "numbers_missing",
        "digits_missing", "dates_contradicting", "names_missing", "negation_added", "negation_lost",
        "opposites", "universal_added",
    ):  # fmt: skip
        assert found[name] == 0.0, name


@pytest.mark.parametrize(
    ("old", "new", "feature"),
    [
        ("45 hợp tác xã", "54 hợp tác xã", "digits_missing"),
        ("36 tỷ đồng", "63 tỷ đồng", "money_contradicting"),
        ("năm 2023", "năm 2021", "dates_contradicting"),
        ("trồng chè", "trồng cà phê", "short_substituted"),
        ("doanh thu đạt", "doanh thu không đạt", "negation_added"),
        ("Tỉnh có", "Tỉnh Hà Giang có", "names_missing"),
        ("trong đó", "tất cả, trong đó", "universal_added"),
    ],
)
def test_each_edit_moves_its_own_feature(old: str, new: str, feature: str) -> None:
    assert row(FACT.replace(old, new), FACT)[feature] > row(FACT, FACT)[feature]


def test_a_lost_negation_is_seen() -> None:
    fact = "Thành viên liên kết không được biểu quyết tại đại hội."
    assert row(fact.replace("không ", ""), fact)["negation_lost"] > 0


def test_an_antonym_is_seen() -> None:
    fact = "Giá chè tại vùng này tăng 10% so với tháng trước."
    assert row(fact.replace("tăng", "giảm"), fact)["opposites"] > 0


def test_the_window_holds_the_sentences_that_speak_of_the_claim() -> None:
    filler = [f"Câu số {i} nói về chuyện mùa màng của một làng khác." for i in range(60)]
    article = "\n".join([*filler[:30], FACT, *filler[30:]])
    chosen = window("Trong 120 hợp tác xã của tỉnh có 45 hợp tác xã trồng chè.", article)
    assert FACT in chosen
    assert len(chosen) < len(article) / 5


def test_numbers_written_otherwise_are_the_same() -> None:
    fact = "Hợp tác xã bán 8.500.000 đồng tiền gạo."
    assert row("Hợp tác xã bán 8,5 triệu đồng tiền gạo.", fact)["money_contradicting"] == 0


def test_tone_style_and_case_do_not_matter() -> None:
    assert [t.text for t in tokens("HÒA BÌNH thủy lợi")] == [
        t.text for t in tokens("hoà bình thuỷ lợi")
    ]


@given(st.text(max_size=300), st.text(max_size=600))
@settings(max_examples=120, deadline=None)
def test_any_two_texts_get_finite_features_and_a_verdict(claim: str, evidence: str) -> None:
    found = model().judge(claim, evidence)
    assert found.status is not Status.FAILED, found.error
    assert np.isfinite(features(claim, evidence)).all()


@pytest.mark.parametrize(("claim", "evidence"), [("", FACT), (FACT, ""), ("", ""), (" \n", FACT)])
def test_an_empty_side_is_not_enough_information(claim: str, evidence: str) -> None:
    assert model().judge(claim, evidence).label is Label.NOT_ENOUGH_INFO


def test_a_verdict_does_not_depend_on_what_was_judged_before() -> None:
    pairs = [(FACT, FACT), (FACT.replace("45", "54"), FACT), ("Trời mưa.", FACT)]
    first = [model().judge(*p) for p in pairs]
    second = [model().judge(*p) for p in reversed(pairs)][::-1]
    assert first == second


def test_the_plain_cases_come_out_right() -> None:
    found = model()
    assert found.judge(FACT, FACT).label is Label.SUPPORTED
    assert found.judge(FACT.replace("36 tỷ", "63 tỷ"), FACT).label is Label.REFUTED
    assert (
        found.judge("Một đoàn khách đến thăm lễ hội đua thuyền ở bến sông.", FACT).label
        is Label.NOT_ENOUGH_INFO
    )


def test_weights_survive_json_to_the_bit() -> None:
    found = model()
    again = ComparisonModel.from_json(
        found.to_json(),
        model_id=found.model_id,
        threshold=found.threshold,
        abstain_below=found.abstain_below,
        where="test",
    )
    assert np.array_equal(found.logits(FACT, FACT), again.logits(FACT, FACT))


def test_scoring_never_imports_sklearn_or_torch() -> None:
    code = (
        "import sys; from models import registry\n"
        "registry.load(registry.PLAIN).judge('Có 5 người.', 'Có 7 người.')\n"
        "print(sorted({'sklearn', 'torch', 'underthesea', 'duckdb', 'scrapy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.alone
def test_time_grows_with_the_length_of_the_evidence_no_faster() -> None:
    sentence = "Hợp tác xã ở bản Mới trồng 12 ha lúa và bán được 36 tấn gạo trong năm 2023. "

    def cost(times: int) -> float:
        text = sentence.replace("bản Mới", "bản {}") * times
        text = text.format(*range(times))
        begun = time.process_time()
        features(FACT, text)
        return time.process_time() - begun

    grown = ((cost(100), cost(400)) for _ in range(5))
    assert any(large < 4 * 3 * max(small, 0.005) for small, large in grown)


@pytest.mark.alone
def test_a_megabyte_without_a_space_ends() -> None:
    begun = time.process_time()
    assert model().judge("Hợp tác xã có 5 thành viên.", "a" * 1_000_000).status is not Status.FAILED
    assert time.process_time() - begun < 10


@pytest.mark.parametrize(
    "front",
    [
        "Thật đáng buồn là ", "Không thể tin nổi: ", "Ai cũng phẫn nộ vì ", "Sốc: ", "Trời ơi, ",
        "Cả nước bàng hoàng vì ", "Uất ức thay, ", "Quá đáng thật, ", "May mắn là ",
    ],
)  # fmt: skip
def test_a_feeling_in_front_of_a_fact_changes_nothing(front: str) -> None:
    claim = "một hợp tác xã có ít nhất 5 thành viên chính thức."
    assert (features(front + claim, FACT) == features(claim, FACT)).all()


@pytest.mark.parametrize(
    "claim",
    [
        "Buôn bán là nghề chính của hợp tác xã này từ lâu.",
        "May là ngành nghề chính của hợp tác xã này.",
        "Ông Vui là chủ tịch của hợp tác xã Bình Sơn.",
        "Hợp tác xã không vui vì giá lúa giảm mạnh.",
        "Thật là buồn.",
        "Sốc: giá giảm mạnh.",
    ],
)
def test_what_is_no_feeling_or_leaves_too_little_stays(claim: str) -> None:
    assert lead_in(claim) == 0


@given(st.text(max_size=200))
def test_a_feeling_never_takes_the_whole_claim(text: str) -> None:
    at = lead_in(text)
    assert 0 <= at <= 120
    assert at == 0 or len(text[at:].split()) >= 4


@pytest.mark.parametrize(
    ("claim", "evidence", "misplaced"),
    [
        ("Giải ngân đợt 4 cho hợp tác xã.", "Giải ngân đợt 1 cho hợp tác xã tại 4 huyện.", True),
        ("Giải ngân đợt 1 cho hợp tác xã.", "Giải ngân đợt 1 cho hợp tác xã tại 4 huyện.", False),
        ("Kế hoạch giai đoạn 2025-2025.", "Kế hoạch giai đoạn 2023-2025.", True),
        ("Kế hoạch giai đoạn 2023-2025.", "Kế hoạch giai đoạn 2023-2025, quý 2.", False),
        # The word behind it is the claim's: said in other words, not of another thing.
        ("Xã thưởng 40 hộ.", "Xã mới thành lập; khen 40 hộ, thưởng 5 xã.", False),
        # Its word has no number in the evidence: nothing says that it is another one.
        ("Tăng 12 điểm.", "Mức tăng cao, 12 huyện tham gia.", False),
        # A day inside the date of the evidence.
        ("Họp ngày 20/3.", "Họp ngày 20/3/2025.", False),
    ],
)
def test_a_number_in_another_place_bears_nothing_out(
    claim: str, evidence: str, misplaced: bool
) -> None:
    assert (row(claim, evidence)["number_misplaced"] > 0.0) is misplaced
