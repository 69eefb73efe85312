"""Words that decide how a claim stands to a rule: negation, modality, quantity words, actors.

Lists of our own, written from the grammar of Vietnamese statutes and news. All matching is on lower
case, old-style tone marks and single spaces (`normal`), as whole syllables.
"""

from __future__ import annotations

import re
from typing import Final

from nlp.text import old_style

_SPACE: Final = re.compile(r"\s+")
UPPER: Final = "A-Z" + "".join(
    c for c in map(chr, range(0xC0, 0x1EFA)) if c.isupper() and c.isalpha()
)
"""Capitals for a character class; a range such as À-Ỹ holds the small letters too."""


def normal(text: str) -> str:
    """Return the view that every pattern here reads; same length as ``text``."""
    lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    return _SPACE.sub(lambda m: " " * len(m.group()), old_style(lowered))


def any_of(*phrases: str) -> re.Pattern[str]:
    """Return a pattern for any of the phrases as whole syllables, longest first."""
    listed = sorted({normal(p) for p in phrases}, key=lambda p: (-len(p), p))
    inner = "|".join(re.escape(p).replace(r"\ ", r"\s+") for p in listed)
    return re.compile(rf"(?<!\w)(?:{inner})(?!\w)")


NEGATORS: Final = frozenset({"không", "chưa", "chẳng", "chả", "đừng", "cấm"})

_FEELINGS: Final = "|".join(
    re.escape(x).replace(r"\ ", r"\s+")
    for x in sorted(
        (
            "sốc", "choáng", "choáng váng", "nóng", "đau lòng", "đau xót", "xót xa", "giật mình",
            "kinh hoàng", "kinh ngạc", "bất ngờ", "ngỡ ngàng", "bàng hoàng", "buồn", "tiếc",
            "phẫn nộ", "bức xúc", "tức giận", "uất ức", "căm phẫn", "vô lý", "phi lý", "nực cười",
            "buồn cười", "trời ơi", "mừng", "vui", "vui mừng", "phấn khởi", "hoan hỉ", "tin nổi",
            "tin được", "hiểu nổi", "khó tin", "khó hiểu", "hoang mang", "hết hồn", "hãi hùng",
            "thương tâm", "ngán ngẩm", "quá đáng", "quá quắt", "tệ hại", "đáng sợ", "đáng buồn",
            "đáng tiếc", "đáng mừng", "đáng giận", "đáng trách", "đáng khen", "đáng lo",
            "tuyệt vời", "trớ trêu", "nghịch lý", "chua chát", "cay đắng", "may mắn", "ôi",
        ),
        key=len,
        reverse=True,
    )
)  # fmt: skip
_WHO: Final = (
    r"(?:(?:thật|thực|quả|rất|quá|vô|cùng|hết|sức|sự|điều|đáng|không|thể|ai|cũng|mọi|người|nhiều|"
    r"dư|luận|cả|nước|một|tin|cho|đến|mức|khiến|làm|ta|bạn|đọc)\s+){0,5}"
)
_LEAD_IN: Final = re.compile(
    rf"\s*{_WHO}(?:{_FEELINGS})(?:\s+(?:quá|thay|lắm|thật|vô\s+cùng|làm\s+sao))?"
    r"(?:\s*[,:;!]+|\s+(?:là|vì|khi|rằng|thấy))\s+"
)


def lead_in(text: str) -> int:
    """Return where a feeling at the front of ``text`` ends ("Thật đáng buồn là …"), 0 for none.

    How somebody feels about a fact is an opinion beside it: what is checked is the fact. At least
    four words must follow.
    """
    found = _LEAD_IN.match(normal(text[:120]))
    if found is None or len(text[found.end() :].split()) < 4:
        return 0
    return found.end()


STOPWORDS: Final = frozenset(
    [
        "và",
        "của",
        "là",
        "có",
        "được",
        "cho",
        "trong",
        "với",
        "các",
        "những",
        "một",
        "này",
        "đó",
        "khi",
        "để",
        "từ",
        "tại",
        "đã",
        "đang",
        "sẽ",
        "thì",
        "mà",
        "ở",
        "về",
        "do",
        "bị",
        "như",
        "cũng",
        "trên",
        "theo",
        "ra",
        "vào",
        "đến",
        "vì",
        "nên",
        "rằng",
        "nhưng",
        "hay",
        "hoặc",
        "lại",
        "còn",
        "sau",
        "trước",
        "bởi",
        "nếu",
        "đây",
        "kia",
        "ấy",
        "vẫn",
        "rất",
        "hơn",
        "cùng",
        "qua",
        "lên",
        "xuống",
        "việc",
        "sự",
        "cái",
        "con",
        "chiếc",
        "người",
        "ông",
        "bà",
        "anh",
        "chị",
        "em",
        "cô",
        "chú",
        "bác",
        "cần",
        "phải",
        "đều",
        "mỗi",
        "nhiều",
        "ít",
        "chỉ",
        "thế",
        "nào",
        "gì",
        "ai",
        "đâu",
        "tới",
        "nữa",
        "rồi",
        "nhằm",
        "đối",
        "dưới",
        "giữa",
        "ngoài",
        "không",
        "chưa",
        "mình",
        "họ",
        "nó",
        "tôi",
        "ta",
        "số",
        "lúc",
        "biết",
        "hiện",
        "nay",
        "vừa",
        "mới",
        "thêm",
        "nhất",
        "ngay",
        "cả",
        "đi",
        "ngày",
        "tháng",
        "năm",
    ]
)

UNIVERSAL: Final = any_of(
    "mọi", "tất cả", "toàn bộ", "bất kỳ", "bất cứ", "bất kể", "hoàn toàn", "tuyệt đối",
    "vô điều kiện",
    "không giới hạn", "không hạn chế", "vĩnh viễn", "mãi mãi", "duy nhất", "luôn luôn",
    "trong mọi trường hợp",
    "không có ngoại lệ", "không ngoại lệ", "ai cũng", "ai cũng được", "cứ là", "100%",
    "không cần điều kiện",
    "vô thời hạn", "không kỳ hạn", "không thời hạn", "bao nhiêu cũng được", "tùy ý", "tuỳ ý",
    "tùy thích",
    "suốt đời", "hễ", "đương nhiên", "mặc nhiên", "không phân biệt", "dù là ai", "thoải mái",
    "tự do",
    "bao lâu cũng được", "không kèm điều kiện", "ở đâu cũng", "lúc nào cũng", "đều", "các loại",
    "không có giới hạn", "không bị giới hạn", "không bị hạn chế", "trọn đời", "không trừ",
)  # fmt: skip
"""Words that widen a statement to everybody, everything or for ever."""

ABSOLUTE: Final = any_of(
    "mọi", "tất cả", "toàn bộ", "bất kỳ", "bất cứ", "bất kể", "hoàn toàn", "tuyệt đối",
    "vô điều kiện",
    "không giới hạn", "không hạn chế", "vĩnh viễn", "mãi mãi", "duy nhất", "trong mọi trường hợp",
    "không có ngoại lệ", "không ngoại lệ", "ai cũng", "100%", "không cần điều kiện", "vô thời hạn",
    "không kỳ hạn", "bao nhiêu cũng được", "tùy ý", "tuỳ ý", "tùy thích", "suốt đời", "dù là ai",
    "không kèm điều kiện", "không có giới hạn", "không bị giới hạn", "không bị hạn chế", "trọn đời",
    "bao lâu cũng được", "không trừ", "không thời hạn", "thoải mái", "đương nhiên", "mặc nhiên",
    "hễ",
)  # fmt: skip
"""The narrower list: words that alone make a bounded rule absolute."""

UNBOUNDED: Final = any_of(
    "không giới hạn", "không hạn chế", "vĩnh viễn", "mãi mãi", "vô thời hạn", "không kỳ hạn",
    "không thời hạn", "bao nhiêu cũng được", "tùy ý", "tuỳ ý", "tùy thích", "suốt đời", "trọn đời",
    "không có giới hạn", "không bị giới hạn", "không bị hạn chế", "bao lâu cũng được", "thoải mái",
    "không có trần", "không cần điều kiện", "vô điều kiện", "không kèm điều kiện",
    "không quy định mức",
    "không khống chế", "không bị khống chế", "bao nhiêu tùy", "bao nhiêu tuỳ", "không còn giới hạn",
    "không còn trần", "không có mức trần", "không đặt trần", "không yêu cầu số",
)  # fmt: skip
"""Words that say that a bound does not exist."""

CONDITIONAL: Final = any_of(
    "trừ", "trừ trường hợp", "nếu", "với điều kiện", "khi", "theo điều lệ", "chỉ", "chỉ khi",
    "trường hợp",
    "phải đáp ứng", "đáp ứng", "đủ điều kiện", "có đủ", "sau khi", "được đại hội", "theo quy định",
    "không bao gồm", "ngoại trừ", "ngoài ra", "đối với",
)  # fmt: skip

HEDGE: Final = any_of(
    "có thể", "một số", "một phần", "phần lớn", "đa số", "hầu hết", "khoảng", "gần", "nhiều",
    "thường",
)  # fmt: skip

ANTONYMS: Final[tuple[tuple[str, str], ...]] = (
    ("tăng", "giảm"), ("cao", "thấp"), ("nhiều", "ít"), ("lớn", "nhỏ"), ("mở", "đóng"), ("trước",
    "sau"),
    ("trên", "dưới"), ("trong", "ngoài"), ("tốt", "xấu"), ("tốt", "kém"), ("mạnh", "yếu"), ("nhanh",
    "chậm"),
    ("dài", "ngắn"), ("rộng", "hẹp"), ("sớm", "muộn"), ("cũ", "mới"), ("nặng", "nhẹ"), ("khó",
    "dễ"),
    ("đúng", "sai"), ("thắng", "thua"), ("thắng", "bại"), ("mua", "bán"), ("nhập", "xuất"), ("vào",
    "ra"),
    ("lên", "xuống"), ("đồng ý", "phản đối"), ("ủng hộ", "phản đối"), ("chấp nhận", "từ chối"),
    ("thành công", "thất bại"), ("bắt đầu", "kết thúc"), ("tối đa", "tối thiểu"), ("ít nhất",
    "nhiều nhất"),
    ("cho phép", "cấm"), ("được phép", "bị cấm"), ("bắt buộc", "tự nguyện"), ("miễn", "thu"),
    ("miễn phí", "thu phí"), ("công khai", "bí mật"), ("hợp pháp", "bất hợp pháp"), ("hiệu lực",
    "vô hiệu"),
    ("có", "không"), ("đầu", "cuối"), ("nam", "nữ"), ("sống", "chết"), ("già", "trẻ"), ("thấp nhất",
    "cao nhất"),
    ("đắt", "rẻ"), ("lãi", "lỗ"), ("lợi", "hại"), ("thuận lợi", "khó khăn"), ("tích cực",
    "tiêu cực"),
    ("dễ dàng", "khó khăn"), ("an toàn", "nguy hiểm"), ("tăng cường", "hạn chế"), ("phát triển",
    "suy giảm"),
    ("ổn định", "bất ổn"), ("mở rộng", "thu hẹp"), ("tiếp tục", "dừng"), ("tiếp tục", "chấm dứt"),
    ("thành lập", "giải thể"), ("bổ nhiệm", "miễn nhiệm"), ("vay", "cho vay"), ("nông thôn",
    "thành thị"),
    ("trong nước", "nước ngoài"), ("nội bộ", "bên ngoài"), ("chính thức", "liên kết"), ("trực tiếp",
    "gián tiếp"),
    ("sáng", "chiều"), ("sáng", "tối"), ("ngày", "đêm"), ("nóng", "lạnh"), ("khỏe", "yếu"), ("giàu",
    "nghèo"),
    ("nhận", "từ chối"), ("khen", "chê"), ("thường xuyên", "hiếm khi"), ("đầy đủ", "thiếu"), ("còn",
    "hết"),
    ("thừa", "thiếu"), ("vượt", "dưới"), ("sạch", "bẩn"), ("vui", "buồn"), ("hơn", "kém"), ("đông",
    "vắng"),
    ("xa", "gần"), ("đầu tiên", "cuối cùng"), ("nhất", "cuối"), ("chủ tịch", "phó chủ tịch"),
    ("phù hợp", "bất hợp lý"), ("bình đẳng", "phân biệt"), ("tự nguyện", "ép buộc"),
    ("phi lợi nhuận", "lợi nhuận"),
    ("khẳng định", "phủ nhận"), ("xác nhận", "bác bỏ"), ("đông đảo", "ít ỏi"), ("tạm thời",
    "vĩnh viễn"),
    ("độc lập", "phụ thuộc"), ("toàn bộ", "một phần"), ("tất cả", "một số"), ("mọi", "một số"),
    ("siết chặt", "nới lỏng"), ("siết", "nới"), ("khẩn trương", "từ từ"), ("nghiêm ngặt",
    "lỏng lẻo"),
)  # fmt: skip
