"""Sentences and pairs small enough to train on in a second."""

from __future__ import annotations

from kiemchung.domain import Label
from models.construct import Pair
from models.train import Data

SENTENCES = (
    "Hợp tác xã cần ít nhất 5 thành viên chính thức.",
    "Liên hiệp hợp tác xã cần ít nhất 3 hợp tác xã.",
    "Mỗi thành viên góp không quá 30% vốn điều lệ của hợp tác xã.",
    "Đại hội thành viên họp thường niên mỗi năm một lần.",
    "Ban kiểm soát có từ 1 đến 7 người do đại hội bầu ra.",
    "Thành viên liên kết được phát biểu nhưng không được biểu quyết.",
    "Quỹ chung không chia không được dùng để lập doanh nghiệp.",
    "Khoản vay nội bộ có thời hạn tối đa 12 tháng.",
)


def toy_pairs() -> list[Pair]:
    """Return three pairs of each sentence, one a label."""
    made = []
    for i, sentence in enumerate(SENTENCES):
        other = SENTENCES[(i + 3) % len(SENTENCES)]
        for label, claim, evidence in (
            (Label.SUPPORTED, sentence, sentence),
            (Label.REFUTED, sentence.replace("không ", "").replace("5", "9"), sentence),
            (Label.NOT_ENOUGH_INFO, other, sentence),
        ):
            made.append(
                Pair(claim=claim, evidence=evidence, label=label, kind="toy", group=f"g{i}")
            )
    return made


def toy_data() -> Data:
    """Return the pairs as all three parts: nothing is measured on them."""
    pairs = tuple(toy_pairs())
    return Data(train=pairs, calibration=pairs, report=pairs, names=("toy pairs",))
