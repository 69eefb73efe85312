"""Word lists of the rules, grouped by the rule that reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from models.cues import any_of

OLD_BEFORE: Final = re.compile(
    r"(?:thay vì|thay cho|trước đây|trước kia|trước đó|luật cũ|quy định cũ|mức cũ|so với|khác với|"
    r"chứ không(?: phải| còn)?(?: là)?|không còn(?: là)?|không phải(?: là)?|không còn yêu cầu|"
    r"bỏ (?:mức|ngưỡng|trần)|"
    r"luật (?:hợp tác xã |htx )?(?:năm )?2012|năm 2012|giai đoạn trước|trước năm \d{4}|"
    r"trước ngày [\d/.\- ]+,)"
    r"[^,;.]{0,60}$"
)

OLD_AFTER: Final = re.compile(
    r"^[^,;.]{0,40}?(?:như trước|trước đây|trước kia|như luật cũ|của luật cũ|theo luật cũ|"
    r"như quy định cũ|"
    r"(?:của|theo|như|trong|ở) (?:luật|quy định) (?:hợp tác xã |htx )?(?:cũ|năm 2012|2012|trước)|"
    r"cũ(?!\w))"
)

FROM_TO: Final = re.compile(
    r"(?<!\w)từ(?:\s(?:mức|ngưỡng|con số|tối thiểu|ít nhất|không quá|tối đa))*\s*$"
)

TO: Final = re.compile(
    r"^[^;.]{0,40}?(?<!\w)(?:xuống|lên|còn|thành)(?:\s(?:mức|còn|thành|tối thiểu|ít nhất|tối đa|"
    r"không quá))*\s*$"
)

DENIED: Final = re.compile(
    r"(?:chứ không(?: phải| còn)?(?: là)?|không phải(?: là)?|không còn(?: là)?)\s[^,;.]{0,30}$"
)

FACT: Final = re.compile(
    r"(?:mới có|hiện có|đang có|mới chỉ(?: có)?|chiếm(?: tới)?|đã có|đã góp|góp được|đạt|có được|"
    r"còn thiếu|thiếu|với)\s+"
    r"(?:khoảng |gần |hơn |trên )?$"
)

RULE_NEAR: Final = any_of(
    "phải", "cần", "đủ", "tối thiểu", "tối đa", "ít nhất", "nhiều nhất", "không quá", "vượt quá",
    "không vượt", "được", "được phép", "cho phép", "quy định", "yêu cầu", "đòi hỏi", "buộc",
    "chỉ cần", "mới được", "mức", "trần", "ngưỡng", "giới hạn", "thời hạn", "nhiệm kỳ", "hạn",
    "luật", "lên tới", "trở lên", "là", "do", "gồm", "chậm nhất", "trong", "không dưới",
    "không thấp hơn", "xuống", "lên", "còn", "bằng", "thay vì", "có thể", "trích", "loại", "mỗi",
    "nghị định", "tỷ lệ", "định kỳ", "chia làm", "chia thành", "thuế suất", "theo",
)  # fmt: skip

STEP: Final = re.compile(
    r"(?:tối thiểu|ít nhất|tối đa|từ|xuống|lên|còn|là|mức|thay vì)(?:\s(?:còn|là|mức|tới))?\s+$"
)

BOUND_WORDS: Final = re.compile(
    r"(?:(?:ít nhất|tối thiểu|tối đa|nhiều nhất|không quá|không vượt quá|không dưới|từ đủ|từ|trên|"
    r"dưới|hơn|chỉ cần|"
    r"chỉ|cần|là)\s+)+$"
)

ORG: Final = re.compile(
    r"(?<!\w)(?P<union>liên hiệp(?: các)?(?: hợp tác xã| htx)?)(?!\w)|(?<!\w)(?P<group>tổ hợp tác|"
    r"tổ hợp tác xã|tht)(?!\w)"
    r"|(?<!\w)(?P<firm>doanh nghiệp|công ty)(?!\w)"
    r"|(?<!luật )(?<!liên minh )(?<!liên minh các )(?<!hỗ trợ phát triển )(?<!hỗ trợ )(?<!\w)"
    r"(?P<coop>hợp tác xã|htx)(?!\w)"
)

CATEGORIES: Final[Mapping[str, tuple[tuple[str, re.Pattern[str]], ...]]] = {
    "cơ quan nhà nước": (
        ("quốc hội", any_of("quốc hội")),
        ("thủ tướng", any_of("thủ tướng", "thủ tướng chính phủ")),
        ("chính phủ", any_of("chính phủ")),
        ("ubnd cấp tỉnh", any_of(
            "ủy ban nhân dân cấp tỉnh", "ubnd cấp tỉnh", "ubnd tỉnh", "ủy ban nhân dân tỉnh",
            "uỷ ban nhân dân cấp tỉnh", "uỷ ban nhân dân tỉnh")),
        ("ubnd cấp huyện", any_of(
            "ủy ban nhân dân cấp huyện", "ubnd cấp huyện", "ubnd huyện", "ủy ban nhân dân huyện",
            "uỷ ban nhân dân cấp huyện", "uỷ ban nhân dân huyện", "phòng tài chính - kế hoạch",
            "phòng tài chính-kế hoạch")),
        ("ubnd cấp xã", any_of(
            "ủy ban nhân dân cấp xã", "ubnd cấp xã", "ubnd xã", "ủy ban nhân dân xã",
            "uỷ ban nhân dân cấp xã", "uỷ ban nhân dân xã")),
        ("sở", any_of("sở kế hoạch và đầu tư", "sở tài chính", "sở nông nghiệp")),
        ("liên minh", any_of("liên minh hợp tác xã", "liên minh htx")),
        ("ngân hàng nhà nước", any_of("ngân hàng nhà nước")),
    ),
    "cơ quan của hợp tác xã": (
        ("chủ tịch", any_of("chủ tịch hội đồng quản trị", "chủ tịch hđqt")),
        ("đại hội", any_of(
            "đại hội thành viên", "đại hội toàn thể", "đại hội đại biểu", "đại hội xã viên")),
        ("hội đồng quản trị", any_of("hội đồng quản trị", "hđqt")),
        ("ban kiểm soát", any_of("ban kiểm soát", "kiểm soát viên")),
        ("giám đốc", any_of("giám đốc", "tổng giám đốc")),
    ),
    "loại thành viên": (
        ("liên kết không góp vốn", any_of(
            "thành viên liên kết không góp vốn", "liên kết không góp vốn")),
        ("liên kết góp vốn", any_of("thành viên liên kết góp vốn", "liên kết góp vốn")),
        ("liên kết", any_of("thành viên liên kết")),
        ("chính thức", any_of("thành viên chính thức")),
        ("người ngoài", any_of(
            "người ngoài", "không phải thành viên", "không phải là thành viên",
            "khách hàng ngoài", "người không phải thành viên", "cá nhân bên ngoài",
            "tổ chức bên ngoài")),
    ),
}  # fmt: skip

# Negative words that are part of a term or of a bound, and deny nothing.
TERMS: Final = any_of(
    "quỹ chung không chia", "tài sản chung không chia", "tài sản không chia", "quỹ không chia",
    "liên kết không góp vốn", "thành viên không góp vốn", "không góp vốn", "không quá",
    "không vượt quá", "không vượt", "không dưới", "không ít hơn", "không thấp hơn",
    "không nhiều hơn", "không cao hơn", "không hơn", "không chỉ", "không những", "không chia",
    "không ít", "không kể", "không phải ai", "không tính", "không tách riêng", "không tách bạch",
    "không giới hạn", "không hạn chế", "không phân biệt", "không thời hạn",
    "không xác định thời hạn", "không kỳ hạn", "không có ngoại lệ", "không ngoại lệ",
    "không bao gồm", "có hay không", "hay không", "không cần điều kiện", "không kèm điều kiện",
    "không có giới hạn", "không bị giới hạn", "không bị hạn chế", "không ngừng", "không khống chế",
    "không có mức trần", "không có trần",
)  # fmt: skip

NEGATIVE: Final = any_of(
    "không được phép", "không được", "không có quyền", "không có", "không phải là", "không phải",
    "không bắt buộc", "không nhất thiết", "không cần phải", "không cần", "không thể",
    "không cho phép", "không bị", "không còn", "không", "chưa được", "chưa", "cấm", "nghiêm cấm",
    "bị cấm", "miễn", "được miễn", "khỏi", "không còn được", "phải chấm dứt", "phải dừng",
    "phải ngừng",
)  # fmt: skip

DOUBLE: Final = any_of("không thể không", "không phải không", "không được không")

MASKED: Final = any_of(
    "không", "chưa", "cấm", "miễn", "khỏi", "trừ", "chẳng", "chấm dứt", "dừng", "ngừng", "thôi",
    "bãi bỏ", "hết",
)  # fmt: skip

POSITIVE: Final = any_of(
    "được", "có quyền", "được phép", "phải", "bắt buộc", "có thể", "có nghĩa vụ", "có", "là",
    "cho phép", "buộc", "cần", "được quyền", "vẫn được", "thu", "đều", "dùng", "cho", "vẫn", "bị",
)  # fmt: skip

OPPOSED: Final = (
    (any_of("còn hiệu lực", "vẫn có hiệu lực", "đang có hiệu lực", "còn nguyên hiệu lực"),
     any_of("hết hiệu lực", "không còn hiệu lực")),
    (any_of("tiếp tục", "được duy trì", "vẫn duy trì"), any_of("phải chấm dứt", "chấm dứt")),
    (any_of("bắt buộc", "buộc phải"), any_of("khuyến khích", "không bắt buộc", "tự nguyện")),
    (any_of("phiếu kín", "bỏ phiếu kín"), any_of("biểu quyết công khai", "giơ tay")),
    (any_of("coi là giao dịch nội bộ", "coi là thu nhập từ giao dịch nội bộ",
            "coi là từ giao dịch nội bộ"),
     any_of("coi là giao dịch bên ngoài", "coi là thu nhập từ giao dịch bên ngoài",
            "coi là từ giao dịch bên ngoài")),
)  # fmt: skip

UNIVERSAL_DENIED: Final = re.compile(
    r"(?:không phải|chưa phải|không|chưa chắc|đâu phải|chưa hẳn)\s+$"
)

RELAXED: Final = any_of(
    "kể cả", "bất kể", "ngay cả", "cho cả", "mọi người", "người dân", "bất cứ ai", "ai cũng",
    "không cần", "không cần điều kiện", "không kèm điều kiện", "vô điều kiện", "dù", "người ngoài",
    "mà không cần",
)  # fmt: skip

WHOLE: Final = any_of("toàn bộ", "hoàn toàn", "tất cả", "tuyệt đối", "100%")

PART: Final = any_of(
    "một phần", "chỉ", "tối thiểu", "ít nhất", "tối đa", "không quá", "có thể", "trong phạm vi"
)

DISMISSED: Final = re.compile(
    r"(?<!\w)(?:không kể|bất kể|dù|cho dù|mặc dù|không phân biệt|kể cả|ngay cả khi|"
    r"không cần)\s[^,.;]{2,90}"
)
"""What a claim brushes aside is no condition that it keeps."""

CONDITION_CLAUSE: Final = re.compile(
    r"(?:(?<!\w)trừ(?: trường hợp| khi)?|với điều kiện|nếu|(?<!\w)chỉ(?: khi)?|khi (?:có|"
    r"được))\s[^,.;]{4,90}"
)

SOURCE_LINK: Final = re.compile(
    r"(?:theo|căn cứ(?: vào)?|quy định (?:tại|ở|trong)|tại|nêu (?:tại|trong)|chiếu theo|dựa (?:vào|"
    r"trên|theo)|"
    r"viện dẫn|trong)\s*(?:quy định (?:tại|của)\s*)?$"
)

SOURCE_VERB: Final = re.compile(
    r"^[^,.;]{0,50}?(?<!\w)(?:quy định|nêu|yêu cầu|cho phép|cấm|ghi|ấn định|buộc|đặt ra|nói|"
    r"khống chế)(?!\w)"
)

EFFECT: Final = any_of(
    "hiệu lực", "thi hành", "áp dụng", "chấm dứt", "ban hành", "thông qua", "thay thế", "bắt đầu",
    "kể từ", "hết hiệu lực", "hạn", "chậm nhất", "ra đời", "tính đến",
)  # fmt: skip

PUBLISHERS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("mpi", any_of("bộ kế hoạch và đầu tư", "bộ kế hoạch đầu tư", "bộ kh&đt", "bộ kh-đt", "bộ khđt",
    "ban chỉ đạo")),
    ("vca", any_of("liên minh hợp tác xã việt nam", "liên minh htx việt nam",
    "liên minh hợp tác xã", "liên minh htx", "vca")),
    ("gso", any_of("tổng cục thống kê", "cục thống kê", "sách trắng", "gso")),
    ("mard", any_of("bộ nông nghiệp", "bộ nn&ptnt", "bộ nông nghiệp và phát triển nông thôn",
    "bộ nông nghiệp và môi trường",
                    "cục kinh tế hợp tác")),
    ("mof", any_of("bộ tài chính")),
)  # fmt: skip

LEGAL_WORDS: Final = frozenset(
    [
        "luật",
        "nghị",
        "định",
        "thông",
        "tư",
        "quy",
        "định",
        "điều",
        "khoản",
        "điểm",
        "hành",
        "hiện",
        "theo",
        "pháp",
    ]
)
