"""What takes a "supported" back: shared words are no proof."""

from __future__ import annotations

import pytest

from models.cues import normal
from models.decide.doubt import doubt

ONLINE = "Đại hội thành viên được họp trực tiếp, trực tuyến hoặc kết hợp trực tiếp và trực tuyến."
FILED = "Hồ sơ được nộp trực tiếp, qua bưu chính hoặc qua hệ thống thông tin điện tử."
FUND = "Hợp tác xã không được dùng quỹ chung không chia để thành lập doanh nghiệp."
CHARTER = "Điều lệ Liên minh hợp tác xã Việt Nam do Thủ tướng Chính phủ phê duyệt."
PROVINCE = "Điều lệ liên minh cấp tỉnh do Chủ tịch Ủy ban nhân dân cấp tỉnh phê duyệt."
BOARD = "Hội đồng quản trị hợp tác xã họp định kỳ ít nhất 3 tháng 1 lần."
FULL = "Hợp tác xã quy mô nhỏ, vừa, lớn phải tổ chức quản trị đầy đủ."


@pytest.mark.parametrize(
    ("claim", "passage", "why"),
    [
        ("Luật cấm hợp tác xã họp đại hội trực tuyến.", ONLINE, "forbids"),
        ("Đại hội không được họp trực tuyến.", ONLINE, "forbids"),
        ("Hợp tác xã được lấy quỹ chung không chia lập công ty.", FUND, "forbids"),
        ("Hồ sơ bắt buộc nộp trực tiếp.", FILED, "narrows"),
        ("Hồ sơ chỉ được nộp qua bưu chính.", FILED, "narrows"),
        ("Điều lệ Liên minh do Quốc hội phê duyệt.", CHARTER, "agent"),
        ("Điều lệ liên minh cấp tỉnh do hội đồng nhân dân phê duyệt.", PROVINCE, "agent"),
        ("Hội đồng quản trị họp hằng tháng một lần.", BOARD, "frequency"),
        ("Hội đồng quản trị họp 6 tháng một lần.", BOARD, "frequency"),
        ("Hợp tác xã quy mô lớn được tổ chức quản trị rút gọn.", FULL, "opposite"),
        ("Hợp tác xã siêu nhỏ phải tổ chức quản trị đầy đủ.", FULL, "size"),
        ("Con của giám đốc cũng được nộp qua bưu chính.", FILED, "kinship"),
    ],
)
def test_a_doubt_is_named(claim: str, passage: str, why: str) -> None:
    assert why in doubt(normal(claim), normal(passage))


@pytest.mark.parametrize(
    ("claim", "passage"),
    [
        ("Đại hội thành viên được họp trực tuyến.", ONLINE),
        ("Có thể nộp hồ sơ qua bưu chính.", FILED),
        ("Không ai được dùng quỹ chung không chia lập doanh nghiệp.", FUND),
        ("Hợp tác xã bị cấm dùng quỹ chung không chia để thành lập doanh nghiệp.", FUND),
        ("Điều lệ Liên minh do Thủ tướng phê duyệt.", CHARTER),
        ("Điều lệ liên minh cấp tỉnh do Chủ tịch Ủy ban nhân dân tỉnh phê duyệt.", PROVINCE),
        ("Hội đồng quản trị họp ít nhất 3 tháng một lần.", BOARD),
        ("Hội đồng quản trị họp mỗi quý.", BOARD),
        ("Hợp tác xã quy mô lớn phải tổ chức quản trị đầy đủ.", FULL),
        ("Vốn góp không được vượt quá 30%.", "Vốn góp không quá 30% vốn điều lệ."),
    ],
)
def test_what_the_passage_says_is_not_doubted(claim: str, passage: str) -> None:
    assert doubt(normal(claim), normal(passage)) == ""
