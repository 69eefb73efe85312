"""Claim detection: opinions, forecasts, experiences and rebuttals are told from checkable claims."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiemchung.domain import Checkability, Speech
from nlp.claims import assess, detect

CHECKABLE = [
    "Hợp tác xã phải có ít nhất 5 thành viên chính thức.",
    "Theo Luật Hợp tác xã năm 2012, phần vốn góp của một thành viên không quá 20% vốn điều lệ.",
    "Đến cuối năm 2024, cả nước có 33.557 hợp tác xã.",
    "Luật Hợp tác xã số 17/2023/QH15 có hiệu lực từ ngày 1/7/2024.",
    "Mỗi thành viên chính thức có một phiếu biểu quyết, không phụ thuộc vốn góp.",
    "Thành viên liên kết không được biểu quyết tại đại hội thành viên.",
    "HTX bị thu hồi giấy chứng nhận đăng ký nếu thiếu thành viên trong 12 tháng liên tục.",
    "Hội đồng quản trị hợp tác xã có từ 3 đến 15 người.",
    "Từ ngày 1/7/2024, hợp tác xã sẽ phải có tối thiểu 5 thành viên.",
    "Năm 2022, khu vực này có 5,935 triệu thành viên.",
]
OPINION = [
    "Theo tôi, mức trần 30% là quá thấp.",
    "Tôi cho rằng luật mới rất tiến bộ.",
    "Cần sớm sửa quy định về đất đai cho hợp tác xã.",
    "Thật đáng tiếc khi nhiều hợp tác xã vẫn trông chờ vào hỗ trợ.",
    "Chính quyền xã quá chậm chạp trong việc giải quyết hồ sơ.",
    "Ban giám đốc làm việc thật tận tụy.",
    "Chính sách hỗ trợ hợp tác xã còn nửa vời.",
    "Lẽ ra ngân hàng phải chủ động hơn.",
    "Các hợp tác xã nên liên kết với doanh nghiệp.",
]
FORECAST = [
    "Dự kiến năm tới hợp tác xã xuất khẩu 200 tấn xoài.",
    "Phấn đấu đến năm 2030 có 50.000 hợp tác xã.",
    "Giá lúa sẽ tăng trong những tháng cuối năm.",
]
EXPERIENCE = [
    "Tôi vào hợp tác xã từ năm 1998, ngày ấy còn gánh phân bằng đôi quang.",
    "Gia đình tôi góp 10 triệu đồng và làm việc ở đây đã tám năm.",
    "Bà kể hồi đó cả làng chỉ có một cái máy bơm.",
]
UNDERSPECIFIED = ["Ảnh: Phóng viên.", "Xem thêm.", "Vì sao hợp tác xã phải có 5 thành viên?"]
REBUTTALS = [
    "Thông tin cho rằng hợp tác xã phải có ít nhất 7 thành viên là không đúng.",
    "Cơ quan đăng ký bác bỏ tin hợp tác xã phải đăng ký lại từ đầu.",
    "Nhiều người lầm tưởng rằng thành viên góp nhiều vốn thì có nhiều phiếu hơn.",
    "Cách hiểu rằng luật mới xóa bỏ quỹ chung không chia là sai.",
    "Không có chuyện hợp tác xã bị buộc giải thể sau ngày 1/7/2024.",
]


@pytest.mark.parametrize("text", CHECKABLE)
def test_rules_and_figures_are_checkable(text: str) -> None:
    checkability, worth = assess(text)
    assert checkability is Checkability.CHECKABLE
    assert worth >= 0.3


@pytest.mark.parametrize("text", OPINION)
def test_opinions_are_not(text: str) -> None:
    assert assess(text)[0] is Checkability.OPINION


@pytest.mark.parametrize("text", FORECAST)
def test_forecasts_are_not(text: str) -> None:
    assert assess(text)[0] is Checkability.FORECAST


@pytest.mark.parametrize("text", EXPERIENCE)
def test_experiences_are_not(text: str) -> None:
    assert assess(text)[0] is Checkability.EXPERIENCE


@pytest.mark.parametrize("text", UNDERSPECIFIED)
def test_scraps_and_questions_are_not(text: str) -> None:
    assert assess(text)[0] is Checkability.UNDERSPECIFIED


@pytest.mark.parametrize("text", REBUTTALS)
def test_a_claim_repeated_to_be_contradicted_is_a_rebuttal(text: str) -> None:
    (claim,) = detect(text)
    assert claim.speech is Speech.REBUTTAL


@pytest.mark.parametrize(
    "answer",
    [
        "Thông tin này không chính xác.",
        "Tuy nhiên, thông tin trên là sai.",
        "Điều này hoàn toàn không đúng với luật hiện hành.",
        "Thực tế không phải như vậy.",
        "Theo cơ quan đăng ký kinh doanh, cách hiểu này là nhầm lẫn.",
    ],
)
def test_a_claim_contradicted_by_the_next_sentence_is_a_rebuttal(answer: str) -> None:
    text = f"Trên mạng có người viết rằng hợp tác xã phải có ít nhất 7 thành viên. {answer}"
    assert detect(text)[0].speech is Speech.REBUTTAL


def test_the_sentence_after_a_plain_claim_does_not_make_it_a_rebuttal() -> None:
    text = "Hợp tác xã phải có ít nhất 7 thành viên. Quy định này áp dụng từ năm 2013."
    assert detect(text)[0].speech is Speech.OWN_VOICE


def test_title_quote_and_report_are_told_apart() -> None:
    title = "Hợp tác xã phải có ít nhất 5 thành viên"
    body = (
        "Luật quy định tối thiểu 5 thành viên.\n"
        "“Mỗi thành viên có một phiếu biểu quyết như nhau.”\n"
        "Đại diện cơ quan đăng ký cho biết hợp tác xã không phải đăng ký lại."
    )
    claims = detect(f"{title}\n\n{body}", title_end=len(title))
    assert [c.speech for c in claims] == [
        Speech.HEADLINE,
        Speech.OWN_VOICE,
        Speech.DIRECT_QUOTE,
        Speech.INDIRECT_QUOTE,
    ]


def test_a_quotation_mark_left_open_ends_with_its_paragraph() -> None:
    text = "“Chúng tôi làm theo luật\nHợp tác xã phải có ít nhất 5 thành viên chính thức."
    assert detect(text)[-1].speech is Speech.OWN_VOICE


def test_a_rule_with_a_figure_ranks_over_a_bare_figure() -> None:
    rule = assess("Luật quy định hợp tác xã phải có ít nhất 5 thành viên chính thức.")[1]
    figure = assess("Vụ này thu hoạch 120 tấn lúa.")[1]
    assert rule > figure


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300))
def test_every_sentence_is_returned_and_slices_to_its_text(text: str) -> None:
    for claim in detect(text):
        assert text[claim.start : claim.end] == claim.text
        assert 0.0 <= claim.check_worthiness <= 1.0


@pytest.mark.alone
def test_time_grows_with_the_text_and_no_faster() -> None:
    import time

    def cost(n: int) -> float:
        text = "Thông tin cho rằng hợp tác xã có 5 thành viên. " * n
        begin = time.process_time()
        detect(text)
        return time.process_time() - begin

    cost(20)
    grown = ((cost(200), cost(1600)) for _ in range(5))
    assert any(large < 8 * small * 3 for small, large in grown)  # one slow try proves nothing


@pytest.mark.parametrize(
    "text",
    [
        "Cần nâng mức góp vốn tối đa của một thành viên lên 40% vốn điều lệ.",
        "Phải sớm sửa quy định về số thành viên tối thiểu là 5 người.",
        "Họ mong giảm số thành viên tối thiểu xuống còn 3 người.",
    ],
)
def test_a_wish_about_a_rule_is_not_the_rule(text: str) -> None:
    assert assess(text)[0] is Checkability.OPINION


def test_a_sentence_of_absurd_length_is_no_claim_and_costs_little() -> None:
    for shape in ("không ", "rất ", "phải được ", "5% "):
        text = shape * 20_000
        (claim,) = detect(text.strip())
        assert claim.checkability is Checkability.UNDERSPECIFIED
        assert claim.check_worthiness == 0.0
