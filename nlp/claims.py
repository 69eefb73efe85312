"""Claim detection: which sentences state something that a statute or a statistic could settle.

Rules over surface cues, first version. The aim is lopsided on purpose: an opinion, a forecast, a
personal experience or a sentence repeated in order to be contradicted must never reach the verdict
model as a checkable claim of the article's own, so in doubt a sentence is *not* checkable. What a
sentence is about (a rule, a figure, an event) decides only how high it ranks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kiemchung.domain import Checkability, Claim, Sentence, Speech
from nlp.checkability import THRESHOLD, load_model
from nlp.quantities import Extraction, extract
from nlp.sentences import sentences


def _any_of(*phrases: str) -> re.Pattern[str]:
    """Match any phrase as whole words of a lower-case text, whatever white space parts syllables.

    Searching a text in lower case takes half of the time of searching without regard to case.
    """
    alternatives = "|".join(p.replace(" ", r"\s+") for p in sorted(phrases, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)")


_FIRST_PERSON: Final = _any_of(
    "tôi", "chúng tôi", "chúng ta", "mình", "gia đình tôi", "bản thân tôi", "nhà tôi", "tụi tôi",
    "bọn tôi", "vợ chồng tôi", "bà con chúng tôi", "anh em chúng tôi",
)  # fmt: skip
_STANCE: Final = _any_of(
    "theo tôi", "tôi nghĩ", "tôi cho rằng", "tôi tin", "tôi thấy", "chúng tôi cho rằng",
    "theo quan điểm", "theo ý kiến", "quan điểm của", "có lẽ", "dường như", "hình như", "phải chăng",
    "lẽ ra", "đáng lẽ", "đáng ra", "giá như", "thiết nghĩ", "nói thật", "thú thật", "công bằng mà nói",
    "không thể phủ nhận", "tiếc là", "đáng tiếc", "đáng buồn", "đáng mừng", "đáng lo", "đáng ngại",
    "đáng trách", "đáng khen", "đáng quý", "đáng ghi nhận", "đáng biểu dương", "may thay", "tiếc rằng",
    "mong rằng", "mong muốn", "hy vọng", "hi vọng", "ước gì", "thật khó", "thật sự cần", "cá nhân tôi",
    "đánh giá cao", "bày tỏ lo ngại", "bày tỏ băn khoăn", "băn khoăn", "trăn trở", "chê", "khen ngợi",
    "xứng đáng", "không đáng", "chưa xứng", "khó chấp nhận", "không thể chấp nhận", "khó hiểu",
)  # fmt: skip
# What people say of a thing when they judge it; "là/thì/còn/quá/rất/..." before it makes a predicate.
_EVALUATION: Final = re.compile(
    r"(?<!\w)(?:(?:là|thì|vẫn|còn|quá|rất|khá|hơi|thật|thật\s+sự|thực\s+sự|hết\s+sức|vô\s+cùng|cực\s+kỳ|"
    r"quả\s+là|đúng\s+là|tỏ\s+ra|trở\s+nên|ngày\s+càng|một\s+cách|chưa|không|kém|đầy|mang\s+tính|"
    r"đã\s+quá)\s+){1,5}"
    r"(?:hợp\s+lý|vô\s+lý|bất\s+hợp\s+lý|bất\s+cập|cứng\s+nhắc|máy\s+móc|rườm\s+rà|phức\s+tạp|hình\s+thức|"
    r"tiến\s+bộ|lạc\s+hậu|lỗi\s+thời|công\s+bằng|bất\s+công|nhân\s+văn|đúng\s+đắn|sáng\s+suốt|kịp\s+thời|"
    r"chậm\s+chạp|trì\s+trệ|yếu\s+kém|mờ\s+nhạt|manh\s+mún|nửa\s+vời|thiếu\s+minh\s+bạch|minh\s+bạch|"
    r"hiệu\s+quả|lãng\s+phí|tốt|tốt\s+đẹp|xấu|tệ|kém|dở|hay|giỏi|đáng\s+\w+|tuyệt\s+vời|xuất\s+sắc|"
    r"ấn\s+tượng|thất\s+vọng|đau\s+lòng|xót\s+xa|tự\s+hào|vui|buồn|mệt\s+mỏi|nặng\s+nề|"
    r"khó\s+khăn|dễ\s+dàng|thuận\s+lợi|hấp\s+dẫn|thiếu\s+thực\s+tế|xa\s+rời|sát\s+thực\s+tế|cần\s+thiết|"
    r"quan\s+trọng|bổ\s+ích|thiết\s+thực|ý\s+nghĩa|thấp|ít\s+ỏi|cao|chặt|lỏng\s+lẻo|ngặt\s+nghèo|mạnh\s+dạn|"
    r"tận\s+tụy|tận\s+tuỵ|nhiệt\s+tình|vô\s+trách\s+nhiệm|thờ\s+ơ|quan\s+liêu|cửa\s+quyền|dũng\s+cảm|"
    r"linh\s+hoạt|bài\s+bản|chuyên\s+nghiệp|đoàn\s+kết|vững\s+chắc|mong\s+manh|rời\s+rạc|chắp\s+vá|"
    r"tiên\s+phong|điển\s+hình|kiểu\s+mẫu|mẫu\s+mực|đủ\s+sức|khó\s+hiểu|đáng\s+kể)(?!\w)",
    re.IGNORECASE,
)
# "..., nên ..." and "cho nên" give a reason; only "nên" behind a subject advises.
_OUGHT: Final = re.compile(
    r"(?<![,;])(?<!\bcho)(?<!\bvậy)(?<!\bbởi)\s+nên\s+(?!đến|nỗi|người)(?=\w)"
)
_PROPOSES: Final = re.compile(
    r"(?<!mức\s)(?<!đơn\s)(?<!văn\sbản\s)(?<!hồ\ssơ\s)(?<!bản\s)(?<!được\s)(?<!bị\s)"
    r"(?<!\w)(?:đề\s+nghị|kiến\s+nghị|đề\s+xuất|kêu\s+gọi)(?!\w)(?!\s+là\s+(?:được|chấp\s+nhận))",
)
# "Cần nâng mức trần": a wish about the rule, not the rule.
_WISHES: Final = re.compile(
    r"(?<!\w)(?:cần|phải|rất\s+cần|cần\s+phải|cần\s+sớm|sớm|xin|mong)\s+(?:sớm\s+|phải\s+|mạnh\s+dạn\s+)?"
    r"(?:nâng|hạ|giảm|tăng|nới|siết|bỏ|sửa|thay\s+đổi|điều\s+chỉnh|xem\s+lại|rà\s+soát|mở\s+rộng|gỡ|tháo\s+gỡ|cho\s+phép)"
    r"\s+(?:mức|tỷ\s+lệ|trần|số|quy\s+định|luật|điều\s+(?!lệ)|ngưỡng|thời\s+hạn|giới\s+hạn|yêu\s+cầu|nghị\s+định)",
)
_NORMATIVE: Final = _any_of(
    "không nên", "cần được", "rất cần", "cần sớm", "cần có cơ chế", "cần thay đổi", "cần sửa",
    "cần xem xét", "cần tính đến", "cần mạnh dạn", "cần nhìn", "cần thiết phải", "đừng", "hãy",
    "đã đến lúc", "phải làm sao", "cần chấn chỉnh",
    "cần khắc phục", "cần rà soát", "cần bỏ", "cần giảm", "cần tăng cường", "cần quan tâm",
)  # fmt: skip
_FORECAST: Final = _any_of(
    "sẽ", "dự kiến", "dự báo", "phấn đấu", "kỳ vọng", "mục tiêu", "đặt mục tiêu", "hướng tới", "sắp tới",
    "trong tương lai", "thời gian tới", "những năm tới", "năm tới", "tháng tới", "có khả năng",
    "nhiều khả năng", "ước đạt", "triển vọng", "tương lai",
)  # fmt: skip
_RULE: Final = _any_of(
    "phải", "không được", "được phép", "được", "bắt buộc", "tối thiểu", "tối đa", "ít nhất",
    "nhiều nhất", "không quá", "không vượt quá", "không dưới", "trở lên", "trở xuống", "quy định",
    "cấm", "bị thu hồi", "có hiệu lực", "hết hiệu lực", "được miễn", "miễn", "áp dụng", "có quyền",
    "có nghĩa vụ", "không có quyền", "không phải", "không cần", "thay thế", "ban hành", "thông qua",
    "chịu trách nhiệm", "căn cứ vào", "tư cách pháp nhân", "đòi hỏi", "ngang nhau", "cho vay", "duy nhất", "chỉ",
    "biểu quyết", "trần", "mức trần", "giới hạn", "bãi bỏ", "có thể", "do", "gồm", "thuộc",
)  # fmt: skip
_LAW: Final = _any_of(
    "luật", "nghị định", "thông tư", "nghị quyết", "quyết định", "điều lệ", "quốc hội", "chính phủ",
    "pháp luật", "theo quy định", "điều khoản", "luật hiện hành", "quy định hiện hành", "văn bản",
)  # fmt: skip
_NATIONAL: Final = _any_of(
    "cả nước", "toàn quốc", "trên phạm vi cả nước", "nước ta", "việt nam", "toàn ngành",
    "liên minh hợp tác xã việt nam", "bộ kế hoạch và đầu tư", "sách trắng", "tổng cục thống kê",
)  # fmt: skip
_TOPIC: Final = _any_of(
    "hợp tác xã", "htx", "liên hiệp hợp tác xã", "liên hiệp htx", "tổ hợp tác", "kinh tế tập thể",
    "thành viên", "xã viên", "vốn điều lệ", "vốn góp", "quỹ chung không chia", "đại hội thành viên",
    "hội đồng quản trị", "ban kiểm soát", "tín dụng nội bộ", "cho vay nội bộ", "h.t.x",
)  # fmt: skip
_CREDIT: Final = re.compile(
    r"^\s*(?:ảnh|nguồn|video|đồ họa|đồ hoạ|clip|bài và ảnh)\s*:", re.IGNORECASE
)
_HEARSAY_NOUN: Final = (
    r"(?:thông\s+tin|tin\s+đồn|lời\s+đồn|tin\s+nhắn|bài\s+đăng|bài\s+viết|đồn\s+đoán|quan\s+niệm|"
    r"suy\s+nghĩ|cách\s+hiểu|cách\s+nói|nhận\s+định|ý\s+kiến|luận\s+điệu|đồn\s+thổi|câu\s+chuyện|"
    r"nội\s+dung|khẳng\s+định|chuyện|điều|lời\s+kể|con\s+số|dòng\s+trạng\s+thái|clip|đoạn\s+video|hiểu)"
)
_FALSE: Final = (
    r"(?:(?:là\s+)?(?:hoàn\s+toàn\s+)?(?:không\s+đúng|không\s+chính\s+xác|chưa\s+chính\s+xác|chưa\s+đúng|"
    r"không\s+phải\s+sự\s+thật|sai\s+sự\s+thật|sai\s+lệch|sai\s+lầm|sai|nhầm\s+lẫn|nhầm|hiểu\s+nhầm|"
    r"hiểu\s+lầm|hiểu\s+sai|thiếu\s+căn\s+cứ|không\s+có\s+căn\s+cứ|vô\s+căn\s+cứ|không\s+có\s+cơ\s+sở|"
    r"thiếu\s+cơ\s+sở|bịa\s+đặt|bịa|không\s+có\s+thật|không\s+tồn\s+tại|đã\s+lỗi\s+thời|"
    r"không\s+còn\s+đúng|trái\s+(?:với\s+)?(?:luật|quy\s+định|thực\s+tế)|"
    r"không\s+phải\s+(?:như\s+)?vậy|không\s+như\s+vậy|ngược\s+lại))"
)
_REBUTTED_INSIDE: Final = re.compile(
    # "Thông tin cho rằng ... là không đúng"
    rf"(?<!\w){_HEARSAY_NOUN}(?!\w).{{0,300}}?(?<!\w){_FALSE}(?!\w)"
    # "Không đúng là ...", "Sai khi nói rằng ...", "bác bỏ ..."
    r"|(?<!\w)(?:bác\s+bỏ|phủ\s+nhận|đính\s+chính|cải\s+chính|phản\s+bác|không\s+có\s+chuyện|"
    r"không\s+hề\s+có\s+(?:chuyện|quy\s+định)|làm\s+gì\s+có\s+chuyện|không\s+có\s+quy\s+định\s+nào|"
    r"lầm\s+tưởng|nhầm\s+tưởng|ngộ\s+nhận|hiểu\s+lầm|hiểu\s+nhầm|hiểu\s+sai|tưởng\s+rằng|cứ\s+tưởng|"
    r"cứ\s+nghĩ|cứ\s+ngỡ|không\s+đúng\s+(?:khi|là|nếu|rằng)|sai\s+(?:khi|nếu)|không\s+phải\s+như|"
    r"chứ\s+không\s+phải\s+như|không\s+như\s+(?:lời|tin|nhiều\s+người)|trái\s+với\s+(?:tin|lời|những\s+gì)|"
    r"khác\s+với\s+(?:tin|lời|những\s+gì|điều|thông\s+tin))(?!\w)",
    re.DOTALL,
)
_RUMOUR: Final = re.compile(
    r"(?<!\w)(?:tin\s+(?:giả|vịt|thất\s+thiệt|sai|bịa)|đồn\s+(?:đoán|thổi)|lời\s+đồn|rỉ\s+tai|tung\s+tin|trang\s+giả\s+mạo|"
    r"kẻ\s+xấu|chớ\s+tin|đừng\s+tin|không\s+(?:nên\s+)?tin\s+(?:chuyện|lời|tin|vào)|(?:trước|bác|bác\s+bỏ)\s+(?:tin|thông\s+tin)|"
    r"trí\s+tưởng\s+tượng|nghĩ\s+sai|hiểu\s+sai|viết\s+nhầm|nói\s+nhầm|cái\s+gọi\s+là|tin\s+đồn)(?!\w)"
    r"|(?<!\w)(?:là|đều|mới\s+là|đã\s+bị)\s+(?:hoàn\s+toàn\s+)?(?:tin\s+)?(?:sai(?:\s+(?:lầm|lệch|luật|sự\s+thật))?|giả|nhầm(?:\s+lẫn)?|bịa(?:\s+đặt)?|"
    r"thiếu\s+(?:căn\s+cứ|cơ\s+sở)|(?:không|chưa)\s+đúng(?:\s+(?:luật|sự\s+thật))?|không\s+chính\s+xác|vô\s+căn\s+cứ|bác(?:\s+bỏ)?|dập\s+tắt)"
    r"[^\w]*$"
    r"|^\W*(?:kiểm\s+chứng|đính\s+chính|cải\s+chính|sai)\s*:"
    r"|(?<!\w)(?:không\s+có|chưa\s+có|không\s+hề\s+có)\s+(?:\w+\s+){1,2}nào(?!\w)|(?<!\w)không\s+có\s+(?:cơ\s+sở|căn\s+cứ|chuyện|việc)(?!\w)",
)  # fmt: skip
"""Signs that the sentence itself marks what it repeats as untrue."""
_REBUTS_PREVIOUS: Final = re.compile(
    r"^\W*(?:(?:tuy\s+nhiên|nhưng|song|thế\s+nhưng|trên\s+thực\s+tế|thực\s+tế|thực\s+ra|về\s+việc\s+này|"
    r"theo\s+[^,.]{2,80}|cơ\s+quan\s+[^,.]{2,80}|đại\s+diện\s+[^,.]{2,80}|ông|bà|vị\s+này)\W+){0,3}"
    r"(?:(?:khẳng\s+định|cho\s+biết|cho\s+rằng|nói\s+rằng|xác\s+nhận)\W+)?"
    rf"(?:(?:toàn\s+bộ\s+)?(?:những\s+|các\s+|mọi\s+)?{_HEARSAY_NOUN}\s+(?:này|đó|trên|ấy|kia|nêu\s+trên|nói\s+trên|"
    r"vừa\s+nêu|như\s+vậy|như\s+thế|lan\s+truyền)|đây|đó|điều\s+này|điều\s+đó|nói\s+như\s+vậy|nói\s+vậy|"
    r"cách\s+hiểu\s+(?:ấy|này|đó|như\s+vậy)|sự\s+thật)"
    rf"[^.!?]{{0,80}}?(?<!\w){_FALSE}(?!\w)"
    r"|^\W*(?:sự\s+thật|thực\s+tế|thực\s+ra)\s+(?:hoàn\s+toàn\s+)?(?:không\s+phải|không\s+như|khác|trái\s+ngược|ngược\s+lại)"
    r"|^\W*(?:không\s+phải\s+(?:như\s+)?vậy|không\s+đúng|sai|hoàn\s+toàn\s+sai|nói\s+vậy\s+là\s+sai)\s*[.!]",
    re.IGNORECASE,
)
_REPORTED: Final = re.compile(
    r"(?<!\w)(?:cho\s+biết|cho\s+hay|nói\s+rằng|cho\s+rằng|khẳng\s+định|chia\s+sẻ|thông\s+tin\s+rằng|"
    r"nhận\s+định|phát\s+biểu|nhấn\s+mạnh|trả\s+lời|giải\s+thích|thừa\s+nhận|tiết\s+lộ|lý\s+giải)(?!\w)",
)
_QUOTE_PAIRS: Final = {"“": "”", "«": "»", '"': '"'}
_OPENS_QUOTE: Final = re.compile("[" + "".join(_QUOTE_PAIRS) + "]")
_TELLS: Final = re.compile(
    r"(?<!không\s)(?<!bất\s)(?<!đáng\s)(?<!chưa\s)(?<!\w)kể(?!\s+(?:từ|cả|trên|đến|tới)(?!\w))(?!\w)",
)
_EXPERIENCE: Final = _any_of(
    "nhớ lại", "kể lại", "hồi đó", "ngày ấy", "hồi ấy", "từng trải", "trải qua", "tâm sự",
    "ký ức", "nhớ mãi", "nhớ như in", "bồi hồi", "hồi mới vào",
)  # fmt: skip
_VAGUE: Final = re.compile(
    r"(?<!\w)(?:một\s+số|nhiều|không\s+ít|có\s+nơi|có\s+người|vài|đôi\s+khi|thường|phần\s+nào)(?!\w)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cues:
    """What was seen in one sentence."""

    first_person: bool
    stance: bool
    evaluation: bool
    normative: bool
    forecast: bool
    experience: bool
    rule: bool
    law: bool
    national: bool
    topic: bool
    figure: bool
    legal: bool
    dated: bool
    words: int


def _cues(sentence: str, found: Extraction) -> _Cues:
    lower = sentence.lower()
    return _Cues(
        first_person=bool(_FIRST_PERSON.search(lower)),
        stance=bool(_STANCE.search(lower)),
        evaluation=bool(_EVALUATION.search(lower)),
        normative=bool(
            _NORMATIVE.search(lower)
            or _OUGHT.search(lower)
            or _PROPOSES.search(lower)
            or _WISHES.search(lower)
        ),
        forecast=bool(_FORECAST.search(lower)),
        experience=bool(_EXPERIENCE.search(lower) or _TELLS.search(lower)),
        rule=bool(_RULE.search(lower)),
        law=bool(_LAW.search(lower)),
        national=bool(_NATIONAL.search(lower)),
        topic=bool(_TOPIC.search(lower)),
        figure=bool(found.quantities),
        legal=bool(found.legal_refs),
        dated=bool(found.dates),
        words=len(sentence.split()),
    )


def _checkability(sentence: str, cues: _Cues) -> Checkability:
    """Decide by the strongest cue; an evaluating sentence stays an opinion whatever it cites."""
    if cues.words < 4 or sentence.rstrip(" ”\"'»)").endswith("?") or _CREDIT.search(sentence):
        return Checkability.UNDERSPECIFIED
    states_rule = cues.rule and (cues.figure or cues.legal or cues.law or cues.topic)
    if cues.stance or (cues.evaluation and not (cues.legal and cues.figure)):
        return Checkability.OPINION
    wishes = _WISHES.search(sentence.lower()) is not None
    if wishes or (cues.normative and not (cues.legal and cues.rule)):
        return Checkability.OPINION
    told = cues.experience and not (cues.legal and cues.rule and not cues.first_person)
    if told or (cues.first_person and not (cues.law or cues.legal)):
        return Checkability.EXPERIENCE
    if cues.forecast and not ((cues.law or cues.legal) and states_rule):
        binding = cues.rule and re.search(
            r"(?<!\w)sẽ\s+(?:bị|phải|không\s+được|được|có\s+hiệu\s+lực|hết\s+hiệu\s+lực|thay|thay\s+thế)(?!\w)",
            sentence,
            re.I,
        )
        if not binding:
            return Checkability.FORECAST
    return _plain(cues)


def _plain(cues: _Cues) -> Checkability:
    """Return whether a sentence without attitude says something definite enough to be checked."""
    definite = cues.figure or cues.legal or cues.dated or cues.national
    if definite or (cues.topic and cues.rule) or cues.law:
        return Checkability.CHECKABLE
    return Checkability.UNDERSPECIFIED


def _worthiness(sentence: str, cues: _Cues, checkability: Checkability) -> float:
    """Return 0..1: how much a wrong version of this sentence would matter to a reader.

    Weights were set by hand so that a rule with a figure ranks over a bare figure, and that over an
    undated event; they order a queue and decide nothing else.
    """
    score = 0.10
    score += 0.20 * cues.figure + 0.20 * cues.legal + 0.15 * cues.rule + 0.10 * cues.law
    score += 0.15 * cues.topic + 0.10 * cues.national + 0.05 * cues.dated
    if checkability is not Checkability.CHECKABLE:
        score *= 0.25
    elif not cues.figure and _VAGUE.search(sentence.lower()):
        score *= 0.6
    return round(min(score, 1.0), 4)


def assess(sentence: str) -> tuple[Checkability, float]:
    """Return what the rules alone say of one sentence: checkability and check-worthiness (0..1)."""
    _, checkability, worthiness = _read_alone(sentence)
    return checkability, worthiness


def assess_all(texts: Sequence[str]) -> list[tuple[Checkability, float]]:
    """Return checkability and check-worthiness of many sentences, each read alone.

    What the rules let through and the trained classifier takes for a judgement is an opinion. A
    sentence with a figure, a date or a document in it is left to the rules: the classifier was
    trained on too few of those to be believed against them.
    """
    read = [_read_alone(text) for text in texts]
    asked = [
        i
        for i, (cues, checkability, _) in enumerate(read)
        if checkability is Checkability.CHECKABLE and not (cues.figure or cues.legal or cues.dated)
    ]
    chances = load_model().probabilities([texts[i] for i in asked])
    opinions = {i for i, chance in zip(asked, chances, strict=True) if chance < THRESHOLD}
    return [
        (Checkability.OPINION, round(worthiness * 0.25, 4)) if i in opinions else (kept, worthiness)
        for i, (_, kept, worthiness) in enumerate(read)
    ]


MAX_CLAIM: Final = 5_000
"""Longest sentence, in characters, that can be a claim; a longer one is no sentence of the press."""
_NO_CUES: Final = _cues("", extract(""))


def _read_alone(sentence: str) -> tuple[_Cues, Checkability, float]:
    if len(sentence) > MAX_CLAIM:
        return _NO_CUES, Checkability.UNDERSPECIFIED, 0.0
    cues = _cues(sentence, extract(sentence))
    checkability = _checkability(sentence, cues)
    return cues, checkability, _worthiness(sentence, cues, checkability)


def _quoted_ranges(text: str) -> list[tuple[int, int]]:
    """Return the spans between quotation marks; one left open ends with its paragraph."""
    ranges, i = [], 0
    while opening := _OPENS_QUOTE.search(text, i):
        i = opening.start()
        closing = _QUOTE_PAIRS[text[i]]
        line_end = text.find("\n", i)
        line_end = len(text) if line_end < 0 else line_end
        end = text.find(closing, i + 1, line_end)
        end = line_end if end < 0 else end
        ranges.append((i, end))
        i = end + 1
    return ranges


def _speech(
    sentence: Sentence,
    following: Sequence[Sentence],
    quoted: Sequence[tuple[int, int]],
    *,
    is_headline: bool,
) -> Speech:
    if len(sentence.text) > MAX_CLAIM:
        return Speech.HEADLINE if is_headline else Speech.OWN_VOICE
    lower = sentence.text.lower()
    if _REBUTTED_INSIDE.search(lower) or _RUMOUR.search(lower):
        return Speech.REBUTTAL
    if any(_REBUTS_PREVIOUS.search(after.text[:MAX_CLAIM]) for after in following[:1]):
        return Speech.REBUTTAL
    if is_headline:
        return Speech.HEADLINE
    length = max(1, sentence.end - sentence.start)
    inside = sum(
        max(0, min(end, sentence.end) - max(start, sentence.start)) for start, end in quoted
    )
    if inside / length > 0.5:
        return Speech.DIRECT_QUOTE
    return Speech.INDIRECT_QUOTE if _REPORTED.search(lower) else Speech.OWN_VOICE


def detect(text: str, *, title_end: int = 0) -> tuple[Claim, ...]:
    """Return every sentence of ``text``, in order, as a claim with its checkability and speech.

    ``text`` is canonical; offsets count its code points. Sentences that begin before ``title_end``
    are headlines. Uncheckable sentences are returned too: nothing is dropped in silence.
    """
    found = sentences(text)
    quoted = _quoted_ranges(text)
    claims = []
    for i, (sentence, (checkability, worthiness)) in enumerate(
        zip(found, assess_all([s.text for s in found]), strict=True)
    ):
        claims.append(
            Claim(
                start=sentence.start,
                end=sentence.end,
                text=sentence.text,
                checkability=checkability,
                check_worthiness=worthiness,
                speech=_speech(
                    sentence, found[i + 1 : i + 2], quoted, is_headline=sentence.start < title_end
                ),
            )
        )
    return tuple(claims)
