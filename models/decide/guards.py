"""Words that say what kind of sentence a claim is: told, wished for, disputed, about one case.

What they find keeps a sentence from being refuted; they find no difference themselves.
"""

from __future__ import annotations

import re
from typing import Final

from models.cues import UPPER, any_of

NARRATIVE: Final = any_of(
    "đã", "vừa", "vừa qua", "hiện có", "năm qua", "tuần qua", "tháng qua", "hôm qua", "hôm nay",
    "sáng nay", "chiều nay", "diễn ra", "năm ngoái", "mới đây", "đang có", "gần đây", "trong năm",
    "mùa này", "vụ này",
)  # fmt: skip
"""A sentence that tells what happened; without a word of law it states no rule."""

STRICT_NORM: Final = any_of(
    "phải", "tối thiểu", "tối đa", "ít nhất", "nhiều nhất", "không quá", "không vượt quá",
    "không được", "quy định", "luật", "nghị định", "thông tư", "chỉ cần", "bắt buộc", "mức trần",
    "theo quy định", "pháp luật", "nghị quyết",
)  # fmt: skip

PROPOSED: Final = any_of(
    "đề xuất", "kiến nghị", "đề nghị", "dự thảo", "dự kiến", "phương án", "mong muốn", "mong",
    "hy vọng", "ước gì", "giá như", "giá mà", "lẽ ra", "đáng lẽ", "nên chăng", "cần sửa", "nên sửa",
    "nên nâng", "nên giảm", "nên hạ", "nên quy định", "nên để", "nên cho", "nên được",
    "đang cân nhắc", "đang xem xét", "lấy ý kiến", "không nên",
)  # fmt: skip
"""What somebody would like the rule to be; counts where it stands before the statement."""

DISPUTED: Final = any_of(
    "theo tôi", "tôi cho rằng", "tôi nghĩ", "có lẽ", "tin đồn", "đồn", "đồn thổi", "không đúng",
    "sai sự thật", "không chính xác", "chưa chính xác", "hiểu lầm", "hiểu nhầm", "nhầm lẫn",
    "nhầm tưởng", "lầm tưởng", "bác bỏ", "là sai", "hiểu sai", "phủ nhận", "bịa", "ngộ nhận",
    "không có chuyện", "làm gì có", "chẳng lẽ", "liệu", "phải chăng", "hợp lý hơn", "thì hơn",
    "quá cao", "quá thấp", "quá ít", "quá nhiều", "quá chặt", "quá khắt khe", "quá rộng", "hợp lý",
    "vô lý",
)  # fmt: skip

RULE_FOLLOWS: Final = re.compile(
    r"(?:luật|quy định|pháp luật|nghị định|thông tư)(?:\s\w+){0,6}?\s(?:cho phép|quy định|yêu cầu|"
    r"buộc|cấm|không cho)"
    r"|theo (?:luật|quy định|nghị định|thông tư|pháp luật)"
)

ABROAD: Final = re.compile(
    r"(?<!\w)(?:Nhật Bản|Hàn Quốc|Thái Lan|Trung Quốc|Đài Loan|Hoa Kỳ|Hà Lan|Đan Mạch|Ấn Độ|"
    r"châu Âu|Châu Âu|Lào|"
    r"Campuchia|Tây Ban Nha|Canada|Israel|Indonesia|Malaysia|Philippines|Singapore|Thụy Điển|Na Uy|"
    r"Phần Lan|"
    r"(?:ở|tại|Ở|Tại|nước|của|như) (?:Đức|Pháp|Mỹ|Ý|Anh|Nga|Úc|Nhật))(?!\w)"
)

NAMED_ORG: Final = re.compile(
    r"(?:HTX|[Hh]ợp tác xã|HỢP TÁC XÃ|[Ll]iên hiệp (?:HTX|hợp tác xã)|[Tt]ổ hợp tác)\s+"
    r"(?:(?:[Nn]ông nghiệp|[Dd]ịch vụ|[Ss]ản xuất|[Tt]hương mại|[Vv]ận tải|[Tt]hủy sản|[Tt]huỷ sản|"
    r"[Tt]iêu dùng|"
    r"[Xx]ây dựng|[Mm]ôi trường|[Cc]hăn nuôi|[Rr]au|[Cc]hè|[Ll]úa|[Tt]rái cây|[Dd]u lịch|"
    r"[Tt]ổng hợp|"
    r"và|[Kk]inh doanh|[Hh]ữu cơ|[Cc]à phê|[Ss]ạch|an toàn|[Nn]uôi|[Tt]rồng|[Tt]ôm|[Hh]oa|[Cc]á|"
    r"[Nn]ấm|"
    r"[Bb]ưởi|[Cc]am|[Mm]ía|[Mm]uối|[Tt]iểu thủ công nghiệp|[Tt]hanh long)\s+)*"
    r"(?!(?:Việt|Nam|Luật|Theo|Theo|Nghị|Điều|Mỗi|Khi|Nếu|Thành|Đại|Hội|Ban|Chính|Quốc|Trung|Ủy|"
    r"Uỷ)\b)"
    rf"[{UPPER}](?![{UPPER}])[^\W\d_]+"
)

OWN_ORG: Final = re.compile(
    r"(?:hợp tác xã|htx|liên hiệp|tổ hợp tác|tổ)\s+(?:của (?:ông|bà|anh|chị|tôi|chúng tôi|mình|họ|"
    r"gia đình)|"
    r"này|kia|nọ|ấy|chúng tôi|mình)(?!\w)"
)

PERSON: Final = re.compile(rf"(?<!\w)(?:[Bb]à|[Ôô]ng|[Cc]hị|[Aa]nh)\s+[{UPPER}]")

ATTRIBUTION: Final = re.compile(
    r"^(?:theo|tại|trao đổi với|trả lời|phát biểu (?:tại|với)|thông tin từ|"
    r"báo cáo của)\s[^,]{3,120},\s*"
    r"|^[^,:]{3,110}?\s(?:cho biết|cho hay|khẳng định|thông tin|nhấn mạnh|giải thích|nêu rõ|lưu ý|"
    r"nói|viết|dẫn)"
    r"(?:\s(?:rằng|là|thêm))?[,:]?\s*",
)

GENERIC: Final = any_of(
    "mọi", "tất cả", "các hợp tác xã", "các htx", "mỗi hợp tác xã", "mỗi htx", "theo luật",
    "luật quy định", "luật hợp tác xã", "luật htx", "pháp luật quy định",
)  # fmt: skip
