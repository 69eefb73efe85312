"""Kind, speaker, context and parts of a claim."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.structure import ClaimKind, attribution, claim_kind, parts, resolve


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Hợp tác xã phải có ít nhất 5 thành viên.", ClaimKind.RULE),
        ("Luật Hợp tác xã có hiệu lực từ ngày 1/7/2024.", ClaimKind.RULE),
        ("Thành viên được ra khỏi hợp tác xã.", ClaimKind.RULE),
        ("Bà Mai nói mỗi người được góp tối đa 30%.", ClaimKind.RULE),
        ("Tỉnh có 312 hợp tác xã.", ClaimKind.QUANTITY),
        ("Doanh thu năm 2024 đạt 45 tỷ đồng.", ClaimKind.QUANTITY),
        ("Hợp tác xã là tổ chức có tư cách pháp nhân.", ClaimKind.DEFINITION),
        ("Tổ hợp tác được hiểu là nhóm người cùng làm.", ClaimKind.DEFINITION),
        ("Số hợp tác xã tăng 12% so với năm 2022.", ClaimKind.COMPARISON),
        ("Thu nhập cao hơn năm ngoái 3 triệu đồng.", ClaimKind.COMPARISON),
        ("Ông Hùng cho biết hợp tác xã đã chuyển trụ sở.", ClaimKind.QUOTATION),
        ("Đại hội diễn ra sáng qua tại Huế.", ClaimKind.EVENT),
    ],
)
def test_the_kind_of_a_claim(text: str, kind: ClaimKind) -> None:
    assert claim_kind(text) is kind


@pytest.mark.parametrize(
    ("text", "verb", "role", "direct"),
    [
        ("Ông Nguyễn Văn Hùng, giám đốc HTX, cho biết cần 5 người.", "cho biết", "giám đốc", False),
        ("Giám đốc sở khẳng định không có chuyện đó.", "khẳng định", "giám đốc", False),
        ("Chủ nhiệm nói: “Chúng tôi có 30 hộ.”", "nói", "chủ nhiệm", True),
        ("“Luật mới nâng mức góp”, ông nói.", "nói", "", True),
        ("Theo chuyên gia kinh tế, mức này thấp.", "theo", "chuyên gia", False),
        ("Phó chủ tịch xã nhấn mạnh vai trò của tổ.", "nhấn mạnh", "phó chủ tịch", False),
        ("Kế toán trưởng thừa nhận sổ sách sai.", "thừa nhận", "kế toán trưởng", False),
    ],
)
def test_who_is_said_to_say_it(text: str, verb: str, role: str, direct: bool) -> None:
    said = attribution(text)
    assert said is not None
    assert (said.verb, said.role, said.is_direct) == (verb, role, direct)
    assert said.verb.split()[-1] in text[said.start : said.end].lower()


@pytest.mark.parametrize(
    "text",
    [
        "Theo luật, hợp tác xã cần 5 thành viên.",
        "Theo Điều 9, nhà nước hỗ trợ.",
        "Hợp tác xã có 5 thành viên.",
        "Bà con không nói gì.",
    ],
)
def test_the_articles_own_voice_has_no_speaker(text: str) -> None:
    assert attribution(text) is None


def test_no_name_is_ever_kept() -> None:
    said = attribution("Bà Trần Thị Lụa, kế toán HTX Bình Minh, chia sẻ rằng kho đã đầy.")
    assert said is not None
    assert "Lụa" not in said.role + said.verb
    assert said.role == "kế toán"


BEFORE = [
    "Quốc hội thông qua Luật Hợp tác xã năm 2023.",
    "Sáng nay HTX Nông nghiệp Bãi Sậy họp đại hội.",
    "Mỗi người góp tối đa 30% vốn điều lệ.",
]


@pytest.mark.parametrize(
    ("text", "before", "words", "meaning", "back"),
    [
        ("Luật này có 12 chương.", BEFORE, "Luật này", "Luật Hợp tác xã năm 2023", 3),
        ("Mức này cao hơn trước.", BEFORE, "Mức này", "30%", 1),
        ("Tỷ lệ đó là hợp lý.", BEFORE, "Tỷ lệ đó", "30%", 1),
        ("Hợp tác xã này có 40 hộ.", BEFORE, "Hợp tác xã này", "HTX Nông nghiệp Bãi Sậy", 2),
        (
            "Nghị định này có hiệu lực ngay.",
            ["Luật Hợp tác xã 2023 ra đời.", "Nghị định 113/2024/NĐ-CP hướng dẫn luật."],
            "Nghị định này",
            "Nghị định 113/2024/NĐ-CP",
            1,
        ),
    ],
)
def test_what_points_back_is_resolved(
    text: str, before: list[str], words: str, meaning: str, back: int
) -> None:
    (found,) = resolve(text, before)
    assert (found.text, found.meaning, found.sentences_back) == (words, meaning, back)
    assert text[found.start : found.end] == words
    assert meaning in before[-back]


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("Luật này có 12 chương.", []),
        ("Luật này có 12 chương.", ["Bà con vui mừng."]),
        ("Con số này còn thấp.", ["Có 5 xe và 6 tấn gạo."]),
        ("Hợp tác xã này có lãi.", ["HTX Bình Minh và HTX Sao Mai ký kết."]),
        ("Thời hạn này quá ngắn.", ["Phạt 5 triệu đồng."]),
        ("Luật này hay.", ["Luật Đất đai 2024 ra đời.", "Một.", "Hai.", "Ba."]),
        ("Hợp tác xã có 5 thành viên.", BEFORE),
    ],
)
def test_what_cannot_be_told_is_not_guessed(text: str, before: list[str]) -> None:
    assert resolve(text, before) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Hợp tác xã cần ít nhất 5 thành viên, còn liên hiệp cần ít nhất 3 hợp tác xã.",
            [
                ("Hợp tác xã cần ít nhất 5 thành viên", ""),
                ("liên hiệp cần ít nhất 3 hợp tác xã", ""),
            ],
        ),
        (
            "Thành viên được góp tối đa 30% vốn điều lệ; có một phiếu biểu quyết.",
            [
                ("Thành viên được góp tối đa 30% vốn điều lệ", ""),
                ("có một phiếu biểu quyết", "Thành viên"),
            ],
        ),
        (
            "Luật có hiệu lực từ 1/7/2024, nhưng khoản 3 Điều 115 có hiệu lực từ 1/9/2023.",
            [
                ("Luật có hiệu lực từ 1/7/2024", ""),
                ("khoản 3 Điều 115 có hiệu lực từ 1/9/2023", ""),
            ],
        ),
    ],
)
def test_claims_of_one_sentence_are_taken_apart(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(p.text, p.subject) for p in parts(text)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "Hợp tác xã trồng rau, hoa và cây cảnh.",
        "Hợp tác xã có 5 xe, còn mới.",
        "“HTX có 5 xe; chúng tôi có 3”, ông nói.",
        "Cả xã vui.",
    ],
)
def test_one_claim_stays_whole(text: str) -> None:
    (found,) = parts(text)
    assert found.text == text


@given(st.text(max_size=200))
def test_spans_lead_back_for_any_text(text: str) -> None:
    last = 0
    for part in parts(text):
        assert text[part.start : part.end] == part.text
        assert last <= part.start <= part.end
        last = part.end
    for found in resolve(text, [text]):
        assert text[found.start : found.end] == found.text
    said = attribution(text)
    assert said is None or 0 <= said.start < said.end <= len(text)
    claim_kind(text)
