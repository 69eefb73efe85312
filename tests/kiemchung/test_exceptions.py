"""Exceptions of a fact are read from its words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiemchung import reference
from kiemchung.reference.exceptions import charter_decides, exceptions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Phải họp mỗi năm, trừ trường hợp bất khả kháng.", ("trừ trường hợp bất khả kháng",)),
        ("Hạn là 6 tháng, không kể thời gian vận chuyển.", ("không kể thời gian vận chuyển",)),
        (
            "Được vay; trừ khi nợ quá hạn. Không bao gồm lãi.",
            ("trừ khi nợ quá hạn", "Không bao gồm lãi"),
        ),
        ("Hợp tác xã có tư cách pháp nhân.", ()),
    ],
)
def test_what_is_excepted(text: str, expected: tuple[str, ...]) -> None:
    assert exceptions(text) == expected


def test_a_deduction_is_no_exception() -> None:
    assert exceptions("Cơ quan chi trả khấu trừ thuế tại nguồn.") == ()


@pytest.mark.parametrize(
    ("text", "decides"),
    [
        ("Số lượng do Điều lệ quy định.", True),
        ("Được phân phối theo Điều lệ.", True),
        ("Sửa đổi Điều lệ cần 65% phiếu.", False),
    ],
)
def test_whether_the_charter_decides(text: str, decides: bool) -> None:
    assert charter_decides(text) is decides


def test_the_base_has_both() -> None:
    texts = [p.text for p in reference.load().passages]
    assert sum(bool(exceptions(t)) for t in texts) >= 10
    assert sum(map(charter_decides, texts)) >= 5


@given(st.text(max_size=120))
def test_any_text_can_be_asked(text: str) -> None:
    assert all(e.strip() for e in exceptions(text))
    assert charter_decides(text) in (True, False)
