"""From a claim and the passages in force to an outcome that can be explained in one line.

Two witnesses are heard. The rules compare the claim with the passage part by part: each quantity
with the quantity of the same unit, subject and role, what is permitted with what is permitted,
organs with organs. The model gives calibrated probabilities for the pair as a whole. The rules find
the differences; without a named difference nothing is refuted, whatever the model says. The
model can hold a soft finding back, and it decides nothing alone.

Precision comes first: a sentence that states no rule, describes one named cooperative, proposes,
judges or denies a rumour is never refuted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Final

from kiemchung.domain import (
    Checkability,
    Difference,
    Distortion,
    Document,
    Evidence,
    Label,
    NeiReason,
    Passage,
    PassageKind,
    Speech,
    Status,
)
from models.comparison import content, tokens
from models.cues import ABSOLUTE, UNBOUNDED, UPPER, any_of, normal
from models.support import doubt
from models.verdict import Verdict, VerdictModel
from nlp.quantities import Bound, DateRelation, DateValue, LegalRef, Quantity, Relation, extract
from nlp.quantities import compare as compare_quantities
from nlp.retrieval import Retrieved


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is said of one claim; the fields are those of a judgement.

    ``differences`` are set for REFUTED only. ``error`` is set if and only if the status is failed.
    """

    status: Status
    label: Label | None
    nei_reason: NeiReason | None
    p_supported: float | None
    p_refuted: float | None
    p_nei: float | None
    flagged: bool
    evidence: tuple[Evidence, ...] = ()
    differences: tuple[Difference, ...] = ()
    error: str = ""


class Stance(StrEnum):
    """What one passage says of the claim."""

    SUPPORTS = "supports"
    REFUTES = "refutes"
    SILENT = "silent"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How the rules read one passage; ``explained``: the claim's quantities it accounts for."""

    passage: Passage
    evidence: Evidence
    stance: Stance
    differences: tuple[Difference, ...] = ()
    explained: frozenset[int] = frozenset()
    contradicted: frozenset[int] = frozenset()
    reason: NeiReason | None = None
    hard: bool = False
    exact: bool = False  # the claim says nearly all that the passage says, and nothing against it
    witness: Passage | None = None  # an earlier version that the claim was held against


# How far a rule finding is trusted beside the model, as a noisy-or. Chosen, not fitted: a value
# aligned by unit, subject and role is as good as arithmetic; the other kinds rest on word lists.
TRUST_HARD: Final = 0.97
TRUST_SOFT: Final = 0.93
TRUST_SILENT: Final = 0.90
VETO: Final = 0.97  # a soft refutation yields to a model this sure of the opposite

# --- words ---------------------------------------------------------------------------------------

_NARRATIVE: Final = any_of(
    "đã", "vừa", "vừa qua", "hiện có", "năm qua", "tuần qua", "tháng qua", "hôm qua", "hôm nay",
    "sáng nay",
    "chiều nay", "diễn ra", "năm ngoái", "mới đây", "đang có", "gần đây", "trong năm", "mùa này",
    "vụ này",
)  # fmt: skip
"""A sentence that tells what happened; without a word of law it states no rule."""
_STRICT_NORM: Final = any_of(
    "phải", "tối thiểu", "tối đa", "ít nhất", "nhiều nhất", "không quá", "không vượt quá",
    "không được",
    "quy định", "luật", "nghị định", "thông tư", "chỉ cần", "bắt buộc", "mức trần", "theo quy định",
    "pháp luật", "nghị quyết",
)  # fmt: skip
_PROPOSED: Final = any_of(
    "đề xuất", "kiến nghị", "đề nghị", "dự thảo", "dự kiến", "phương án", "mong muốn", "mong",
    "hy vọng", "ước gì",
    "giá như", "giá mà", "lẽ ra", "đáng lẽ", "nên chăng", "cần sửa", "nên sửa", "nên nâng",
    "nên giảm", "nên hạ",
    "nên quy định", "nên để", "nên cho", "nên được", "đang cân nhắc", "đang xem xét", "lấy ý kiến",
    "không nên",
)  # fmt: skip
"""What somebody would like the rule to be; counts where it stands before the statement."""
_DISPUTED: Final = any_of(
    "theo tôi", "tôi cho rằng", "tôi nghĩ", "có lẽ", "tin đồn", "đồn", "đồn thổi", "không đúng",
    "sai sự thật",
    "không chính xác", "chưa chính xác", "hiểu lầm", "hiểu nhầm", "nhầm lẫn", "nhầm tưởng",
    "lầm tưởng", "bác bỏ",
    "là sai", "hiểu sai", "phủ nhận", "bịa", "ngộ nhận", "không có chuyện", "làm gì có", "chẳng lẽ",
    "liệu",
    "phải chăng", "hợp lý hơn", "thì hơn", "quá cao", "quá thấp", "quá ít", "quá nhiều", "quá chặt",
    "quá khắt khe",
    "quá rộng", "hợp lý", "vô lý",
)  # fmt: skip
_RULE_FOLLOWS: Final = re.compile(
    r"(?:luật|quy định|pháp luật|nghị định|thông tư)(?:\s\w+){0,6}?\s(?:cho phép|quy định|yêu cầu|"
    r"buộc|cấm|không cho)"
    r"|theo (?:luật|quy định|nghị định|thông tư|pháp luật)"
)
_ABROAD: Final = re.compile(
    r"(?<!\w)(?:Nhật Bản|Hàn Quốc|Thái Lan|Trung Quốc|Đài Loan|Hoa Kỳ|Hà Lan|Đan Mạch|Ấn Độ|"
    r"châu Âu|Châu Âu|Lào|"
    r"Campuchia|Tây Ban Nha|Canada|Israel|Indonesia|Malaysia|Philippines|Singapore|Thụy Điển|Na Uy|"
    r"Phần Lan|"
    r"(?:ở|tại|Ở|Tại|nước|của|như) (?:Đức|Pháp|Mỹ|Ý|Anh|Nga|Úc|Nhật))(?!\w)"
)
_NAMED_ORG: Final = re.compile(
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
_OWN_ORG: Final = re.compile(
    r"(?:hợp tác xã|htx|liên hiệp|tổ hợp tác|tổ)\s+(?:của (?:ông|bà|anh|chị|tôi|chúng tôi|mình|họ|"
    r"gia đình)|"
    r"này|kia|nọ|ấy|chúng tôi|mình)(?!\w)"
)
_PERSON: Final = re.compile(rf"(?<!\w)(?:[Bb]à|[Ôô]ng|[Cc]hị|[Aa]nh)\s+[{UPPER}]")
_ATTRIBUTION: Final = re.compile(
    r"^(?:theo|tại|trao đổi với|trả lời|phát biểu (?:tại|với)|thông tin từ|"
    r"báo cáo của)\s[^,]{3,120},\s*"
    r"|^[^,:]{3,110}?\s(?:cho biết|cho hay|khẳng định|thông tin|nhấn mạnh|giải thích|nêu rõ|lưu ý|"
    r"nói|viết|dẫn)"
    r"(?:\s(?:rằng|là|thêm))?[,:]?\s*",
)
_OLD_BEFORE: Final = re.compile(
    r"(?:thay vì|thay cho|trước đây|trước kia|trước đó|luật cũ|quy định cũ|mức cũ|so với|khác với|"
    r"chứ không(?: phải| còn)?(?: là)?|không còn(?: là)?|không phải(?: là)?|không còn yêu cầu|"
    r"bỏ (?:mức|ngưỡng|trần)|"
    r"luật (?:hợp tác xã |htx )?(?:năm )?2012|năm 2012|giai đoạn trước|trước năm \d{4}|"
    r"trước ngày [\d/.\- ]+,)"
    r"[^,;.]{0,60}$"
)
_OLD_AFTER: Final = re.compile(
    r"^[^,;.]{0,40}?(?:như trước|trước đây|trước kia|như luật cũ|của luật cũ|theo luật cũ|"
    r"như quy định cũ|"
    r"(?:của|theo|như|trong|ở) (?:luật|quy định) (?:hợp tác xã |htx )?(?:cũ|năm 2012|2012|trước)|"
    r"cũ(?!\w))"
)
_FROM_TO: Final = re.compile(
    r"(?<!\w)từ(?:\s(?:mức|ngưỡng|con số|tối thiểu|ít nhất|không quá|tối đa))*\s*$"
)
_TO: Final = re.compile(
    r"^[^;.]{0,40}?(?<!\w)(?:xuống|lên|còn|thành)(?:\s(?:mức|còn|thành|tối thiểu|ít nhất|tối đa|"
    r"không quá))*\s*$"
)
_DENIED: Final = re.compile(
    r"(?:chứ không(?: phải| còn)?(?: là)?|không phải(?: là)?|không còn(?: là)?)\s[^,;.]{0,30}$"
)

_ORG: Final = re.compile(
    r"(?<!\w)(?P<union>liên hiệp(?: các)?(?: hợp tác xã| htx)?)(?!\w)|(?<!\w)(?P<group>tổ hợp tác|"
    r"tổ hợp tác xã|tht)(?!\w)"
    r"|(?<!\w)(?P<firm>doanh nghiệp|công ty)(?!\w)"
    r"|(?<!luật )(?<!liên minh )(?<!liên minh các )(?<!hỗ trợ phát triển )(?<!hỗ trợ )(?<!\w)"
    r"(?P<coop>hợp tác xã|htx)(?!\w)"
)

_CATEGORIES: Final[Mapping[str, tuple[tuple[str, re.Pattern[str]], ...]]] = {
    "cơ quan nhà nước": (
        ("quốc hội", any_of("quốc hội")),
        ("thủ tướng", any_of("thủ tướng", "thủ tướng chính phủ")),
        ("chính phủ", any_of("chính phủ")),
        ("ubnd cấp tỉnh", any_of("ủy ban nhân dân cấp tỉnh", "ubnd cấp tỉnh", "ubnd tỉnh",
        "ủy ban nhân dân tỉnh",
                                 "uỷ ban nhân dân cấp tỉnh", "uỷ ban nhân dân tỉnh")),
        ("ubnd cấp huyện", any_of("ủy ban nhân dân cấp huyện", "ubnd cấp huyện", "ubnd huyện",
        "ủy ban nhân dân huyện",
                                  "uỷ ban nhân dân cấp huyện", "uỷ ban nhân dân huyện",
                                  "phòng tài chính - kế hoạch",
                                  "phòng tài chính-kế hoạch")),
        ("ubnd cấp xã", any_of("ủy ban nhân dân cấp xã", "ubnd cấp xã", "ubnd xã",
        "ủy ban nhân dân xã",
                               "uỷ ban nhân dân cấp xã", "uỷ ban nhân dân xã")),
        ("sở", any_of("sở kế hoạch và đầu tư", "sở tài chính", "sở nông nghiệp")),
        ("liên minh", any_of("liên minh hợp tác xã", "liên minh htx")),
        ("ngân hàng nhà nước", any_of("ngân hàng nhà nước")),
    ),
    "cơ quan của hợp tác xã": (
        ("chủ tịch", any_of("chủ tịch hội đồng quản trị", "chủ tịch hđqt")),
        ("đại hội", any_of("đại hội thành viên", "đại hội toàn thể", "đại hội đại biểu",
        "đại hội xã viên")),
        ("hội đồng quản trị", any_of("hội đồng quản trị", "hđqt")),
        ("ban kiểm soát", any_of("ban kiểm soát", "kiểm soát viên")),
        ("giám đốc", any_of("giám đốc", "tổng giám đốc")),
    ),
    "loại thành viên": (
        ("liên kết không góp vốn", any_of("thành viên liên kết không góp vốn",
        "liên kết không góp vốn")),
        ("liên kết góp vốn", any_of("thành viên liên kết góp vốn", "liên kết góp vốn")),
        ("liên kết", any_of("thành viên liên kết")),
        ("chính thức", any_of("thành viên chính thức")),
        ("người ngoài", any_of("người ngoài", "không phải thành viên", "không phải là thành viên",
        "khách hàng ngoài",
                               "người không phải thành viên", "cá nhân bên ngoài",
                               "tổ chức bên ngoài")),
    ),
}  # fmt: skip

# Negative words that are part of a term or of a bound, and deny nothing.
_TERMS: Final = any_of(
    "quỹ chung không chia", "tài sản chung không chia", "tài sản không chia", "quỹ không chia",
    "liên kết không góp vốn", "thành viên không góp vốn", "không góp vốn", "không quá",
    "không vượt quá",
    "không vượt", "không dưới", "không ít hơn", "không thấp hơn", "không nhiều hơn",
    "không cao hơn", "không hơn",
    "không chỉ", "không những", "không chia", "không ít", "không kể", "không phải ai", "không tính",
    "không tách riêng", "không tách bạch", "không giới hạn", "không hạn chế", "không phân biệt",
    "không thời hạn",
    "không xác định thời hạn", "không kỳ hạn", "không có ngoại lệ", "không ngoại lệ",
    "không bao gồm",
    "có hay không", "hay không", "không cần điều kiện", "không kèm điều kiện", "không có giới hạn",
    "không bị giới hạn", "không bị hạn chế", "không ngừng", "không khống chế", "không có mức trần",
    "không có trần",
)  # fmt: skip
_NEGATIVE: Final = any_of(
    "không được phép", "không được", "không có quyền", "không có", "không phải là", "không phải",
    "không bắt buộc",
    "không nhất thiết", "không cần phải", "không cần", "không thể", "không cho phép", "không bị",
    "không còn", "không", "chưa được", "chưa", "cấm", "nghiêm cấm", "bị cấm",
    "miễn", "được miễn", "khỏi", "không còn được", "phải chấm dứt", "phải dừng", "phải ngừng",
)  # fmt: skip
_DOUBLE: Final = any_of("không thể không", "không phải không", "không được không")
_UNIVERSAL_DENIED: Final = re.compile(
    r"(?:không phải|chưa phải|không|chưa chắc|đâu phải|chưa hẳn)\s+$"
)
_RELAXED: Final = any_of(
    "kể cả", "bất kể", "ngay cả", "cho cả", "mọi người", "người dân", "bất cứ ai", "ai cũng",
    "không cần",
    "không cần điều kiện", "không kèm điều kiện", "vô điều kiện", "dù", "người ngoài",
    "mà không cần",
)  # fmt: skip
_SOURCE_LINK: Final = re.compile(
    r"(?:theo|căn cứ(?: vào)?|quy định (?:tại|ở|trong)|tại|nêu (?:tại|trong)|chiếu theo|dựa (?:vào|"
    r"trên|theo)|"
    r"viện dẫn|trong)\s*(?:quy định (?:tại|của)\s*)?$"
)
_SOURCE_VERB: Final = re.compile(
    r"^[^,.;]{0,50}?(?<!\w)(?:quy định|nêu|yêu cầu|cho phép|cấm|ghi|ấn định|buộc|đặt ra|nói|"
    r"khống chế)(?!\w)"
)
_EFFECT: Final = any_of(
    "hiệu lực", "thi hành", "áp dụng", "chấm dứt", "ban hành", "thông qua", "thay thế", "bắt đầu",
    "kể từ",
    "hết hiệu lực", "hạn", "chậm nhất", "ra đời", "tính đến",
)  # fmt: skip
_PUBLISHERS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
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
_SAME_UNIT: Final = ({"thành viên", "người", "xã viên", "cá nhân", "thành viên chính thức"},)
_FLOORS: Final = frozenset({Bound.AT_LEAST, Bound.MORE_THAN})
_CEILINGS: Final = frozenset({Bound.AT_MOST, Bound.LESS_THAN})


# --- the outcome ---------------------------------------------------------------------------------


def decide(
    text: str,
    *,
    speech: Speech,
    checkability: Checkability,
    retrieved: Retrieved,
    predecessors: Mapping[str, Passage],
    documents: Mapping[str, Document],
    named: Sequence[Document],
    model: VerdictModel,
    threshold: float,
) -> Outcome:
    """Return how the claim ``text`` stands to the passages that were retrieved for its day.

    ``predecessors`` maps a passage id to the version that it superseded; a plain index of all
    passages by their own id serves as well, the link is then read from ``supersedes``.
    ``named`` are the documents that the claim names. A flag needs a CHECKABLE claim that is no
    rebuttal, a passage on point, label REFUTED, P(REFUTED) >= ``threshold`` and a named difference.
    A fault inside ends in status failed with its text; nothing is raised.
    """
    try:
        return _decide(
            text, speech, checkability, retrieved, predecessors, documents, named, model, threshold
        )
    except Exception as error:  # noqa: BLE001  one bad claim must not stop a run, nor pass for a score
        return Outcome(
            status=Status.FAILED,
            label=None,
            nei_reason=None,
            p_supported=None,
            p_refuted=None,
            p_nei=None,
            flagged=False,
            error=f"{type(error).__name__}: {error}"[:500],
        )


def _decide(
    text: str,
    speech: Speech,
    checkability: Checkability,
    retrieved: Retrieved,
    predecessors: Mapping[str, Passage],
    documents: Mapping[str, Document],
    named: Sequence[Document],
    model: VerdictModel,
    threshold: float,
) -> Outcome:
    shown = tuple(evidence for _, evidence in retrieved.found)
    if checkability is not Checkability.CHECKABLE:
        return _abstained(shown)
    on_point = [(p, e) for p, e in retrieved.found if e.on_point]
    if not on_point:
        return Outcome(
            status=Status.OK,
            label=Label.NOT_ENOUGH_INFO,
            nei_reason=retrieved.reason or NeiReason.NOT_FOUND,
            p_supported=0.0,
            p_refuted=0.0,
            p_nei=1.0,
            flagged=False,
            evidence=shown,
        )
    claim = ClaimView.of(text)
    findings = [
        _read(claim, p, e, retrieved.found, predecessors, documents, named) for p, e in on_point
    ]
    best = _choose(findings, claim)
    verdict = model.judge(text, best.passage.text)
    if verdict.status is Status.FAILED:
        raise RuntimeError(f"the model failed: {verdict.error}")
    if best.witness is not None and best.witness.passage_id not in {e.passage_id for e in shown}:
        shown = (*shown, Evidence(passage_id=best.witness.passage_id,
                                  passage_sha256=best.witness.sha256,
                                  rank=len(shown) + 1, score=0.0, on_point=False))  # fmt: skip
    return _settle(best, verdict, shown, speech, threshold)


def _settle(
    best: Finding, verdict: Verdict, shown: tuple[Evidence, ...], speech: Speech, threshold: float
) -> Outcome:
    prior = (verdict.p_supported or 0.0, verdict.p_refuted or 0.0, verdict.p_nei or 0.0)
    if best.stance is Stance.UNCLEAR:
        return replace(_abstained(shown), p_supported=prior[0], p_refuted=prior[1], p_nei=prior[2])
    if best.stance is Stance.REFUTES and not best.hard and prior[0] >= VETO:
        return replace(_abstained(shown), p_supported=prior[0], p_refuted=prior[1], p_nei=prior[2])
    index = {Stance.SUPPORTS: 0, Stance.REFUTES: 1, Stance.SILENT: 2}[best.stance]
    trust = TRUST_SILENT if index == 2 else TRUST_HARD if best.hard else TRUST_SOFT
    p = _noisy_or(prior, index, trust)
    label = (Label.SUPPORTED, Label.REFUTED, Label.NOT_ENOUGH_INFO)[index]
    refuted = label is Label.REFUTED
    flagged = (
        refuted
        and bool(best.differences)
        and p[1] >= threshold
        and speech is not Speech.REBUTTAL
        and best.evidence.on_point
    )
    return Outcome(
        status=Status.OK,
        label=label,
        nei_reason=(best.reason or NeiReason.INSUFFICIENT) if index == 2 else None,
        p_supported=p[0],
        p_refuted=p[1],
        p_nei=p[2],
        flagged=flagged,
        evidence=shown,
        differences=best.differences if refuted else (),
    )


def _noisy_or(prior: Sequence[float], index: int, trust: float) -> tuple[float, float, float]:
    """Return ``prior`` after a second witness for ``index`` who is right with chance ``trust``."""
    rest = 1.0 - prior[index]
    raised = 1.0 - rest * (1.0 - trust)
    out = [
        raised if i == index else (prior[i] / rest * (1.0 - raised) if rest > 0.0 else 0.0)
        for i in range(3)
    ]
    total = sum(out)
    return out[0] / total, out[1] / total, out[2] / total


def _abstained(shown: tuple[Evidence, ...]) -> Outcome:
    return Outcome(
        status=Status.ABSTAINED,
        label=None,
        nei_reason=None,
        p_supported=None,
        p_refuted=None,
        p_nei=None,
        flagged=False,
        evidence=shown,
    )


def _choose(findings: Sequence[Finding], claim: ClaimView) -> Finding:
    """Return the finding that speaks for all: what one passage explains, no other contradicts."""
    explained = frozenset().union(*(f.explained for f in findings))
    refuting = [
        f for f in findings
        if f.stance is Stance.REFUTES and not (f.contradicted and f.contradicted <= explained)
    ]  # fmt: skip
    supporting = [f for f in findings if f.stance is Stance.SUPPORTS]
    exact = [f for f in supporting if f.exact and not claim.stated - f.explained]
    if exact:
        return exact[0]
    if refuting:
        hard = [f for f in refuting if f.hard]
        if supporting and not hard:
            return replace(refuting[0], stance=Stance.UNCLEAR)
        return max(hard or refuting, key=lambda f: (f.evidence.score, -f.evidence.rank))
    if supporting:
        open_ = claim.stated - explained
        if open_:
            return replace(supporting[0], stance=Stance.SILENT, reason=NeiReason.INSUFFICIENT)
        return max(supporting, key=lambda f: (len(f.explained), f.hard, -f.evidence.rank))
    unclear = [f for f in findings if f.stance is Stance.UNCLEAR]
    if unclear:
        return unclear[0]
    other = [f for f in findings if f.reason is NeiReason.OTHER_SERIES]
    return (other or list(findings))[0]


# --- the claim as the rules see it ---------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimView:
    """A claim with what the rules need: its matching view, quantities and the guards."""

    text: str
    view: str
    body: int  # where the statement begins, behind "Theo …," and "… cho biết"
    quantities: tuple[Quantity, ...]
    dates: tuple[DateValue, ...]
    refs: tuple[LegalRef, ...]
    stated: frozenset[int]  # indices of quantities that a rule could settle
    beside: bool  # proposes, judges, denies, asks, speaks of another country
    instance: bool  # tells of one named cooperative or person
    narrative: bool  # tells what happened, without a word of law

    @classmethod
    def of(cls, text: str) -> ClaimView:
        """Return the view of ``text``."""
        found = extract(text)
        view = normal(text)
        head = _ATTRIBUTION.match(view)
        law = bool(_STRICT_NORM.search(view))
        named = bool(_NAMED_ORG.search(text) or _OWN_ORG.search(view)) or bool(
            _PERSON.search(text[head.end() if head else 0 :])
        )
        beside = (
            bool(_DISPUTED.search(view))
            or view.rstrip().endswith("?")
            or bool(_ABROAD.search(text))
            or _proposes(view, found.quantities)
        )
        stated = frozenset(
            i
            for i, q in enumerate(found.quantities)
            if _is_measure(q) and (q.unit or _STEP.search(view[: q.start]))
        )
        return cls(
            text=text,
            view=view,
            body=head.end() if head and head.end() < len(view) * 0.7 else 0,
            quantities=tuple(found.quantities),
            dates=tuple(found.dates),
            refs=tuple(found.legal_refs),
            stated=stated,
            beside=beside,
            instance=named and not (law and _GENERIC.search(view) is not None),
            narrative=bool(_NARRATIVE.search(view)) and not law,
        )

    def words(self, start: int, end: int) -> str:
        """Return the claim's own words at these offsets."""
        return self.text[start:end]


def _proposes(view: str, quantities: Sequence[Quantity]) -> bool:
    """Whether what follows is wished for; a rule cited after the wish is stated all the same."""
    hit = _PROPOSED.search(view)
    if hit is None or _RULE_FOLLOWS.search(view, hit.end()):
        return False
    last = max((q.end for q in quantities if _is_measure(q)), default=len(view))
    return hit.start() < last and not view[: hit.start()].endswith(("mức ", "tỷ lệ ", "con số "))


_GENERIC: Final = any_of(
    "mọi", "tất cả", "các hợp tác xã", "các htx", "mỗi hợp tác xã", "mỗi htx", "theo luật",
    "luật quy định",
    "luật hợp tác xã", "luật htx", "pháp luật quy định",
)  # fmt: skip


# --- reading one passage -------------------------------------------------------------------------


def _read(
    claim: ClaimView,
    passage: Passage,
    evidence: Evidence,
    found: Sequence[tuple[Passage, Evidence]],
    predecessors: Mapping[str, Passage],
    documents: Mapping[str, Document],
    named: Sequence[Document],
) -> Finding:
    if passage.kind is PassageKind.STATISTIC:
        return _statistic(claim, passage, evidence, documents)
    if claim.beside or claim.instance:
        # a proposal, an opinion, a rumour denied, one cooperative's story: never a refutation
        return Finding(
            passage=passage, evidence=evidence, stance=Stance.SILENT, reason=NeiReason.INSUFFICIENT
        )  # fmt: skip
    earlier, later = _versions(passage, predecessors)
    siblings = [
        p for p, e in found
        if p.passage_id != passage.passage_id and (e.on_point or _article(p) & _article(passage))
    ]  # fmt: skip
    amounts = _amounts(claim, passage, earlier, later, siblings)
    differences = list(amounts.differences)
    hard = bool(differences)
    dates, same_days, other_days = _dates(claim, passage)
    if dates:
        differences += dates
        hard = True
    words: list[Difference] = []
    if not claim.narrative:
        words += _polarity(claim, passage)
        words += _opposed(claim, passage)
        words += _actors(claim, passage)
        words += _widened(claim, passage, siblings, amounts)
    if words and not differences:
        other = _other_version(claim, earlier, later)
        if other is not None:
            words = [
                Difference(kind=Distortion.LAW_EXPIRED, claim=d.claim, evidence=d.evidence,
                           start=d.start, end=d.end)
                for d in words[:1]
            ]  # fmt: skip
    differences += [
        d for d in words if (d.start, d.end) not in {(x.start, x.end) for x in differences}
    ]
    if differences:
        return Finding(
            passage=passage,
            evidence=evidence,
            stance=Stance.REFUTES,
            differences=tuple(_once(differences)),
            explained=amounts.explained | same_days,
            contradicted=frozenset() if words else amounts.contradicted | other_days,
            hard=hard or any(d.kind is Distortion.NEGATION for d in differences),
        )
    supported, sure = _supports(claim, passage, amounts)
    if supported and (_one_denies(claim, passage) or doubt(claim.view, normal(passage.text))):
        return Finding(
            passage=passage, evidence=evidence, stance=Stance.UNCLEAR,
            explained=amounts.explained | same_days,
        )  # fmt: skip
    if not supported:
        return Finding(
            passage=passage, evidence=evidence, stance=Stance.SILENT,
            explained=amounts.explained | same_days,
            reason=NeiReason.INSUFFICIENT,
        )  # fmt: skip
    source = _source(claim, passage, documents, named, found)
    if source:
        return Finding(
            passage=passage, evidence=evidence, stance=Stance.REFUTES, differences=(source,),
            explained=amounts.explained, hard=True,
        )  # fmt: skip
    return Finding(
        passage=passage, evidence=evidence, stance=Stance.SUPPORTS,
        explained=amounts.explained | same_days,
        hard=sure, exact=_covers(claim, passage) >= 0.85,
        witness=earlier if amounts.only_old else None,
    )  # fmt: skip


def _article(passage: Passage) -> set[str]:
    """Return the numbers of the articles that a passage is taken from, with its document."""
    return {f"{passage.doc_id} {n}" for n in re.findall(r"[Đđ]iều\s+(\d+)", passage.locator)}


def _once(differences: Iterable[Difference]) -> list[Difference]:
    seen: set[tuple[str, int, int]] = set()
    kept = []
    for difference in differences:
        key = (str(difference.kind), difference.start, difference.end)
        if key not in seen:
            seen.add(key)
            kept.append(difference)
    return kept


def _versions(
    passage: Passage, predecessors: Mapping[str, Passage]
) -> tuple[Passage | None, Passage | None]:
    """Return the version before and the version after, where the base has them."""
    mapped = predecessors.get(passage.passage_id)
    if mapped is not None and mapped.passage_id != passage.passage_id:
        earlier: Passage | None = mapped
    else:
        earlier = predecessors.get(passage.supersedes) if passage.supersedes else None
    later = next((p for p in predecessors.values() if p.supersedes == passage.passage_id), None)
    return earlier, later


def _other_version(
    claim: ClaimView, earlier: Passage | None, later: Passage | None
) -> Passage | None:
    """Return the version with which the claim's words agree, where one does."""
    for version in (earlier, later):
        if version is None:
            continue
        amounts = _amounts(claim, version, None, None, ())
        if (
            not amounts.differences
            and not _polarity(claim, version)
            and not _actors(claim, version)
            and _supports(claim, version, amounts)[0]
        ):
            return version
    return None


# --- quantities ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """How the quantities of the claim stand to one passage."""

    differences: tuple[Difference, ...]
    explained: frozenset[int]
    contradicted: frozenset[int]
    matched: int
    only_old: bool


def _is_measure(quantity: Quantity) -> bool:
    """Whether a quantity can be a rule's value; "1 lần" and a bare number are none."""
    kind = str(quantity.kind)
    whole = quantity.value == quantity.value.to_integral_value()
    return kind != "ordinal" and not (kind == "times" and whole)


def _unit(quantity: Quantity) -> str:
    unit = quantity.unit.lower()
    for family in _SAME_UNIT:
        if unit in family:
            return "thành viên"
    return unit


def _same_kind(a: Quantity, b: Quantity) -> bool:
    if _unit(a) == _unit(b):
        return True
    return compare_quantities(a, b) not in {Relation.OTHER_UNIT, Relation.UNRELATED}


def _subject(view: str, start: int, end: int) -> str:
    """Return whose quantity this is: union, group, firm, coop, or nothing known.

    "… đối với X" right behind it wins; else the nearest organisation named before it that is not
    itself the thing counted; else one named behind it.
    """
    behind = re.match(
        r"(?:(?!\d|;|\.).){0,70}?(?:đối với|với|ở|tại|của|cho)\s+(?:một |mỗi |các )?", view[end:]
    )
    if behind:
        hit = _ORG.match(view, end + behind.end())
        if hit:
            return str(hit.lastgroup)
    before = [h for h in _ORG.finditer(view, 0, start)]
    if before:
        return str(before[-1].lastgroup)
    after = _ORG.search(view, end)
    return str(after.lastgroup) if after else ""


class Role(StrEnum):
    """Whether the claim gives a value as the rule, as the former rule, or denies it."""

    RULE = "rule"
    FORMER = "former"
    DENIED = "denied"


def _role(claim: ClaimView, index: int) -> Role:
    quantity = claim.quantities[index]
    before, after = claim.view[: quantity.start], claim.view[quantity.end :]
    clause = re.split(r"[;.](?=\s)", before)[-1]
    if index + 1 < len(claim.quantities):
        following = claim.quantities[index + 1]
        between = claim.view[quantity.end : following.start]
        if _FROM_TO.search(clause) and _TO.search(between):
            return Role.FORMER
    if _DENIED.search(clause):
        return Role.DENIED
    if _OLD_BEFORE.search(clause) or _OLD_AFTER.search(after):
        return Role.FORMER
    return Role.RULE


def _value_equal(ours: Quantity, theirs: Quantity) -> bool:
    """Whether two values of a rule are the same; a rule is not rounded, but a year is 12 months."""
    if ours.unit and not _same_kind(ours, theirs):
        return False
    if not ours.unit or _unit(ours) == _unit(theirs):
        if theirs.upper is not None and ours.upper is None:
            return ours.value in (theirs.value, theirs.upper)
        return ours.value == theirs.value and (ours.upper is None or ours.upper == theirs.upper)
    return compare_quantities(ours, theirs) is Relation.EQUAL


_NOT_OVER: Final = re.compile(r"(?<!\w)không\s(?:\w+\s){0,6}(?:quá|vượt|hơn|lâu hơn|cao hơn)\s+$")


_AHEAD: Final = re.compile(r"\s+trước(?!\w)")
_BEFOREHAND: Final = re.compile(r"(?<!\w)trước (?:ít nhất|tối thiểu|chậm nhất)?\s*$")
_AMONG: Final = re.compile(r"(?<!\w)(?:trong đó|gồm cả|kể cả)(?!\w)")


def _bounds_clash(claim: ClaimView, ours: Quantity, theirs: Quantity) -> bool:
    if ours.bound in _FLOORS and _NOT_OVER.search(claim.view[: ours.start]):
        return False  # "không kéo dài quá 12 tháng" is a ceiling, however far its parts stand
    if _AHEAD.match(claim.view[ours.end :]) or _BEFOREHAND.search(claim.view[: ours.start]):
        return False  # "trước ít nhất 3 ngày" and "chậm nhất 3 ngày trước" are one deadline
    return (ours.bound in _FLOORS and theirs.bound in _CEILINGS) or (
        ours.bound in _CEILINGS and theirs.bound in _FLOORS
    )


def _amounts(
    claim: ClaimView,
    passage: Passage,
    earlier: Passage | None,
    later: Passage | None,
    siblings: Sequence[Passage],
) -> Amounts:
    theirs = _rule_quantities(passage)
    view = normal(passage.text)
    explained: set[int] = set()
    contradicted: set[int] = set()
    differences: list[Difference] = []
    matched = former = 0
    spread = {_subject(view, q.start, q.end) for q in theirs}
    for index in sorted(claim.stated):
        ours = claim.quantities[index]
        near = [q for q in theirs if _counts(claim, ours, q)]
        if not near:
            continue
        if _tells(claim, index, near):
            if any(compare_quantities(ours, q) in _WITHIN for q in near):
                explained.add(index)  # a case that keeps to the rule leaves nothing open
            continue
        whose = _subject(claim.view, ours.start, ours.end)
        mine = [
            q
            for q in near
            if len(spread) < 2 or not whose or _subject(view, q.start, q.end) == whose
        ]
        if not mine:
            continue
        role = _role(claim, index)
        if role is Role.FORMER and later is not None:
            role = Role.RULE  # the passage is the former rule itself
        if role is Role.DENIED:
            explained.add(index)
            if any(_value_equal(ours, q) for q in mine) and not _old_values(ours, earlier):
                contradicted.add(index)
                differences.append(_number(claim, ours, mine[0], Distortion.NEGATION))
            continue
        if role is Role.FORMER:
            old = _old_values(ours, earlier)
            if (
                earlier is None
                or old
                or any(_value_equal(ours, q) for q in _rule_quantities(earlier))
            ):
                explained.add(index)
                former += 1
                continue
            if any(_value_equal(ours, q) for q in mine):  # given as the former rule, it is today's
                contradicted.add(index)
                differences.append(_number(claim, ours, mine[0], Distortion.LAW_EXPIRED))
                continue
            contradicted.add(index)
            differences.append(
                _number(claim, ours, _rule_quantities(earlier)[0], Distortion.NUMBER)
            )
            continue
        equal = [q for q in mine if _value_equal(ours, q)]
        if equal and not all(_bounds_clash(claim, ours, q) for q in equal):
            explained.add(index)
            matched += 1
            continue
        if equal:
            contradicted.add(index)
            differences.append(_number(claim, ours, equal[0], Distortion.NUMBER, bounds=True))
            continue
        part = matched and _AMONG.search(claim.view[: ours.start])  # "ba loại, trong đó hai ..."
        if part or not _contradicts(ours, mine) or _both_told(claim, ours, mine, later):
            explained.add(index)
            continue
        contradicted.add(index)
        differences.append(
            _number(claim, ours, mine[0], _kind(ours, near, earlier, later, siblings))
        )
    return Amounts(
        differences=tuple(differences),
        explained=frozenset(explained),
        contradicted=frozenset(contradicted),
        matched=matched + former,
        only_old=former > 0 and matched == 0,
    )


_WITHIN: Final = frozenset({Relation.EQUAL, Relation.NARROWER})
_FACT: Final = re.compile(
    r"(?:mới có|hiện có|đang có|mới chỉ(?: có)?|chiếm(?: tới)?|đã có|đã góp|góp được|đạt|có được|"
    r"còn thiếu|thiếu|với)\s+"
    r"(?:khoảng |gần |hơn |trên )?$"
)
_RULE_NEAR: Final = any_of(
    "phải", "cần", "đủ", "tối thiểu", "tối đa", "ít nhất", "nhiều nhất", "không quá", "vượt quá",
    "không vượt", "được",
    "được phép", "cho phép", "quy định", "yêu cầu", "đòi hỏi", "buộc", "chỉ cần", "mới được", "mức",
    "trần", "ngưỡng",
    "giới hạn", "thời hạn", "nhiệm kỳ", "hạn", "luật", "lên tới", "trở lên", "là", "do", "gồm",
    "chậm nhất", "trong",
    "không dưới", "không thấp hơn", "xuống", "lên", "còn", "bằng", "thay vì", "có thể", "trích",
    "loại", "mỗi", "nghị định",
    "tỷ lệ", "định kỳ", "chia làm", "chia thành", "thuế suất", "theo",
)  # fmt: skip


def _tells(claim: ClaimView, index: int, theirs: Sequence[Quantity]) -> bool:
    """Whether a quantity tells of a case ("hiện có 41 thành viên") and gives no rule."""
    ours = claim.quantities[index]
    before = re.split(r"[;:,](?=\s)|\.(?=\s)", claim.view[: ours.start])[-1]
    fact = _FACT.search(before)
    if fact and not re.search(r"(?:được|phải|phép|không được)\s+$", before[: fact.start()]):
        return True
    if ours.bound is not Bound.EXACT or all(q.bound is Bound.EXACT for q in theirs):
        return False
    after = claim.view[ours.end : ours.end + 25]
    return not (_RULE_NEAR.search(before) or _RULE_NEAR.search(after))


_STEP: Final = re.compile(
    r"(?:tối thiểu|ít nhất|tối đa|từ|xuống|lên|còn|là|mức|thay vì)(?:\s(?:còn|là|mức|tới))?\s+$"
)


def _counts(claim: ClaimView, ours: Quantity, theirs: Quantity) -> bool:
    """Whether two quantities measure the same; a bare number takes the unit named before it."""
    if ours.unit:
        return _same_kind(ours, theirs)
    if not _STEP.search(claim.view[: ours.start]) or not theirs.unit:
        return False
    return _unit(theirs) in claim.view[: ours.start] or normal(theirs.unit) in claim.view


def _both_told(
    claim: ClaimView, ours: Quantity, mine: Sequence[Quantity], later: Passage | None
) -> bool:
    """Whether the claim tells the old rule beside the new one, held against the old passage."""
    if later is None or not _old_values(ours, later):
        return False
    return any(_value_equal(q, m) for q in claim.quantities if q is not ours for m in mine)


def _rule_quantities(passage: Passage) -> tuple[Quantity, ...]:
    return tuple(q for q in extract(passage.text).quantities if _is_measure(q))


def _contradicts(ours: Quantity, theirs: Sequence[Quantity]) -> bool:
    """Whether a value given as the rule is another one; "khoảng" and wider ranges are not."""
    if ours.bound is Bound.ABOUT:
        return all(compare_quantities(ours, q) is Relation.CONTRADICTS for q in theirs)
    for q in theirs:
        if ours.upper is not None and q.upper is None and ours.value <= q.value <= ours.upper:
            return False
        if (
            ours.upper is None
            and q.upper is not None
            and ours.bound in _FLOORS | _CEILINGS
            and (q.value <= ours.value <= q.upper)
        ):
            return False  # a narrower limit inside the range may be another case's rule
    return True


def _old_values(ours: Quantity, earlier: Passage | None) -> bool:
    return earlier is not None and any(
        _same_kind(ours, q) and _value_equal(ours, q) for q in _rule_quantities(earlier)
    )


def _kind(
    ours: Quantity,
    near: Sequence[Quantity],
    earlier: Passage | None,
    later: Passage | None,
    siblings: Sequence[Passage],
) -> Distortion:
    if _old_values(ours, earlier) or _old_values(ours, later):
        return Distortion.LAW_EXPIRED
    if any(_value_equal(ours, q) for q in near):
        return Distortion.MERGE_SPLIT
    for sibling in siblings:
        if sibling.kind is PassageKind.STATUTE and _old_values(ours, sibling):
            return Distortion.MERGE_SPLIT
    if ours.unit == "%" and ours.value == 100:
        return Distortion.EXAGGERATION
    return Distortion.NUMBER


_BOUND_WORDS: Final = re.compile(
    r"(?:(?:ít nhất|tối thiểu|tối đa|nhiều nhất|không quá|không vượt quá|không dưới|từ đủ|từ|trên|"
    r"dưới|hơn|chỉ cần|"
    r"chỉ|cần|là)\s+)+$"
)


def _span(view: str, quantity: Quantity, text: str) -> tuple[int, int]:
    """Return the quantity with its bound words and the first letters of what is counted."""
    head = _BOUND_WORDS.search(view[: quantity.start])
    start = head.start() if head else quantity.start
    return start, quantity.end


def _number(
    claim: ClaimView, ours: Quantity, theirs: Quantity, kind: Distortion, *, bounds: bool = False
) -> Difference:
    start, end = (ours.start, ours.end)
    if bounds:
        start, end = _span(claim.view, ours, claim.text)
    return Difference(
        kind=kind, claim=claim.words(start, end), evidence=theirs.text, start=start, end=end
    )


# --- dates ---------------------------------------------------------------------------------------


_DAYS: Final = 10_000  # indices of dates stand behind those of quantities


def _dates(
    claim: ClaimView, passage: Passage
) -> tuple[list[Difference], frozenset[int], frozenset[int]]:
    """Compare the days on which a rule begins or ends; other dates of a claim are its setting.

    Returns the differences, and which of the claim's dates agree and which do not.
    """
    theirs = [d for d in extract(passage.text).dates if d.resolved]
    view = normal(passage.text)
    anchored = [d for d in theirs if _begins(view, d)]
    found: list[Difference] = []
    same: set[int] = set()
    other: set[int] = set()
    for index, ours in enumerate(claim.dates):
        if not ours.resolved or not anchored or not _begins(claim.view, ours):
            continue
        fits = any(ours.first <= d.last and d.first <= ours.last for d in theirs)
        if fits or _day_before(ours, theirs):
            same.add(_DAYS + index)
            continue
        if ours.first <= passage.valid_from <= ours.last:
            continue
        other.add(_DAYS + index)
        found.append(
            Difference(
                kind=Distortion.DATE,
                claim=claim.words(ours.start, ours.end),
                evidence=anchored[0].text,
                start=ours.start,
                end=ours.end,
            )
        )
    return found, frozenset(same), frozenset(other)


def _begins(view: str, day: DateValue) -> bool:
    """Whether a date says from when something holds, and is not merely when something was said."""
    return day.relation is DateRelation.FROM or bool(
        _EFFECT.search(view[max(0, day.start - 60) : day.start])
    )


def _day_before(ours: DateValue, theirs: Sequence[DateValue]) -> bool:
    """ "đến hết ngày 30/6/2024" says the same as "từ ngày 1/7/2024"."""
    return any(abs((ours.last - d.first).days) == 1 and d.first != date.max for d in theirs)


# --- permitted, forbidden ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Denial:
    cue: str
    start: int
    end: int
    predicate: tuple[str, ...]


_NO_ONE: Final = re.compile(
    r"(?<!\w)không (?:một |có )?(?:[^\W\d_]+ ){1,5}nào (?:được phép|được|phải|có quyền|"
    r"có thể)(?!\w)"
)


def _denials(view: str) -> list[_Denial]:
    """Return each negation that denies something, with the syllables that it denies."""
    masked = _TERMS.sub(lambda m: "\x00" * len(m.group()), view)
    masked = _DOUBLE.sub(lambda m: "\x00" * len(m.group()), masked)
    found = []
    for none in _NO_ONE.finditer(masked):
        words = tuple(
            t.text for t in content(tokens(re.split(r"[,;.:]", view[none.end() :])[0]))[:4]
        )
        if words:
            found.append(_Denial("không được", none.start(), none.end(), words))
    masked = _NO_ONE.sub(lambda m: "\x00" * len(m.group()), masked)
    for hit in _NEGATIVE.finditer(masked):
        clause = re.split(r"[,;.:]| nhưng | mà | song | thì ", view[hit.end() :])[0]
        words = tuple(t.text for t in content(tokens(clause))[:6])
        if words[:2] in _LIGHT and len(words) > 3:
            words = words[2:]  # "không được hoạt động tín dụng": the credit is what is denied
        if words:
            found.append(_Denial(hit.group(), hit.start(), hit.end(), words[:4]))
    return found


_LIGHT: Final = (("hoạt", "động"), ("thực", "hiện"), ("tiến", "hành"), ("triển", "khai"))


def _occurrences(view: str, predicate: Sequence[str]) -> list[tuple[int, int]]:
    """Return where the first two syllables of a predicate stand together, function words aside."""
    listed = [t for t in tokens(view)]
    if len(predicate) == 1:
        return [(t.start, t.end) for t in listed if t.text == predicate[0]]
    first, second = predicate[:2]
    found = []
    for i, token in enumerate(listed):
        if token.text != first:
            continue
        for other in listed[i + 1 : i + 3]:
            if other.text == second:
                found.append((token.start, other.end))
                break
    return found


_POSITIVE: Final = any_of(
    "được", "có quyền", "được phép", "phải", "bắt buộc", "có thể", "có nghĩa vụ", "có", "là",
    "cho phép", "buộc",
    "cần", "được quyền", "vẫn được", "thu", "đều", "dùng", "cho", "vẫn", "bị",
)  # fmt: skip


def _polarity(claim: ClaimView, passage: Passage) -> list[Difference]:
    """Find what one side denies and the other states of the same predicate."""
    body, rule = claim.view, normal(passage.text)
    ours, theirs = _denials(body), _denials(rule)
    clear_body, clear_rule = _without_terms(body), _without_terms(rule)
    found: list[Difference] = []
    for denial in theirs:
        if _denied_too(denial, ours) or len(_occurrences(rule, denial.predicate)) > 1:
            continue
        for start, end in _occurrences(body, denial.predicate):
            if start < claim.body or not _stated(clear_body, start, ours, denial):
                continue
            if _STOPPED.match(body, end):
                continue  # "hoạt động ... phải dừng lại" denies it as well
            if _shared_frame(body, rule, denial):
                left = _lead_start(body, start)
                found.append(
                    Difference(
                        kind=Distortion.NEGATION,
                        claim=claim.words(left, end),
                        evidence=_quote(passage.text, denial.start),
                        start=left,
                        end=end,
                    )
                )
                break
    for denial in [d for one in ours for d in _causative(claim.view, one)]:
        if denial.start < claim.body or _denied_too(denial, theirs):
            continue
        if len(_occurrences(body, denial.predicate)) > 1:
            continue
        for start, _ in _occurrences(rule, denial.predicate):
            if not _stated(clear_rule, start, theirs, denial) or not _shared_frame(
                body, rule, denial
            ):
                continue
            stop = _end_of(claim.view, denial)
            found.append(
                Difference(
                    kind=Distortion.NEGATION,
                    claim=claim.words(denial.start, stop),
                    evidence=_quote(passage.text, _lead_start(rule, start)),
                    start=denial.start,
                    end=stop,
                )
            )
            break
    return found[:2]


_STOPPED: Final = re.compile(
    r"[^,;.:]{0,60}?(?<!\w)(?:dừng|chấm dứt|ngừng|bị cấm|bị bãi bỏ|không còn)(?!\w)"
)


def _denied_too(denial: _Denial, others: Sequence[_Denial]) -> bool:
    """Whether the other side denies the same predicate as well."""
    return any(d.predicate[:2] == denial.predicate[:2] for d in others)


def _one_denies(claim: ClaimView, passage: Passage) -> bool:
    """Whether one side denies what the other only mentions: too little to refute, or to support."""
    rule = normal(passage.text)
    ours = [d for d in _denials(claim.view) if d.start >= claim.body]
    theirs = _denials(rule)
    for mine, others, view in ((ours, theirs, rule), (theirs, ours, claim.view)):
        for denial in mine:
            if len(denial.predicate) < 2 or _denied_too(denial, others):
                continue
            for start, _ in _occurrences(view, denial.predicate):
                lead = view[max(0, start - 20) : start]
                if not _under(view, start, others) and not _MASKED.search(lead):
                    return True
    return False


def _under(view: str, start: int, denials: Sequence[_Denial]) -> bool:
    """Whether a negation of the same clause stands within forty letters before ``start``."""
    return any(
        d.end <= start <= d.end + 40 and not re.search(r"[,;.:]| thì ", view[d.end : start])
        for d in denials
    )


def _causative(view: str, denial: _Denial) -> list[_Denial]:
    """Return a denial; of "không cho phép A làm B" also that of each later pair of syllables."""
    if denial.cue not in {"không cho phép", "cấm", "nghiêm cấm"}:
        return [denial]
    clause = re.split(r"[,;.:]", view[denial.end :])[0]
    words = [t.text for t in content(tokens(clause))[:9]]
    return [
        _Denial(denial.cue, denial.start, denial.end, tuple(words[i : i + 2]))
        for i in range(max(1, len(words) - 1))
    ]


_OPPOSED: Final = (
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


def _opposed(claim: ClaimView, passage: Passage) -> list[Difference]:
    """Find a predicate of the claim whose opposite stands in the passage."""
    rule = normal(passage.text)
    for pair in _OPPOSED:
        for one, other in (pair, pair[::-1]):
            ours, theirs = one.search(claim.view, claim.body), other.search(rule)
            if not ours or not theirs or other.search(claim.view) or one.search(rule):
                continue
            if _MASKED.search(claim.view[max(0, ours.start() - 10) : ours.start()]):
                continue
            if _covers(claim, passage) < 0.4:
                continue
            return [
                Difference(
                    kind=Distortion.NEGATION,
                    claim=claim.words(*ours.span()),
                    evidence=passage.text[theirs.start() : theirs.end()],
                    start=ours.start(),
                    end=ours.end(),
                )
            ]
    return []


def _without_terms(view: str) -> str:
    return _TERMS.sub(lambda m: "\x00" * len(m.group()), view)


def _stated(clear: str, start: int, denials: Sequence[_Denial], denial: _Denial) -> bool:
    """Whether the predicate at ``start`` is stated there, and not denied in its turn."""
    if _under(clear, start, denials):
        return False
    lead = re.split(r"[,;.:]", clear[max(0, start - 40) : start])[-1]
    cues = list(_POSITIVE.finditer(lead))
    if not cues:
        return denial.cue == "không" and not _MASKED.search(lead)
    cue = cues[-1]
    before = lead[: cue.start()].rstrip()
    denied = any(m.end() == len(before) for m in _MASKED.finditer(before))
    return not denied and not _MASKED.search(lead[cue.end() :])


def _quote(text: str, start: int) -> str:
    """Return up to eight words of the passage from ``start``, to its next comma."""
    return " ".join(re.split(r"[,;.]", text[start:])[0].split()[:8])


_MASKED: Final = any_of(
    "không", "chưa", "cấm", "miễn", "khỏi", "trừ", "chẳng", "chấm dứt", "dừng", "ngừng", "thôi",
    "bãi bỏ", "hết",
)  # fmt: skip


def _lead_start(view: str, start: int) -> int:
    hits = list(_POSITIVE.finditer(view, max(0, start - 25), start))
    return hits[-1].start() if hits else start


def _end_of(view: str, denial: _Denial) -> int:
    end = denial.end
    for word in denial.predicate[:2]:
        at = view.find(word, end)
        if 0 <= at <= end + 25:
            end = at + len(word)
    return end


def _shared_frame(claim: str, passage: str, denial: _Denial) -> bool:
    """Whether both sentences speak of the same thing beside the predicate itself."""
    ours = {t.text for t in content(tokens(claim))} - set(denial.predicate)
    theirs = {t.text for t in content(tokens(passage))} - set(denial.predicate)
    least = 4 if denial.cue == "không" else 2
    return len(ours & theirs) >= max(least, min(len(ours), len(theirs)) // 4)


# --- actors --------------------------------------------------------------------------------------


def _mentions(view: str, category: str) -> dict[str, tuple[int, int]]:
    """Return the actors of one category with their first place; longer names are taken first."""
    taken = view
    found: dict[str, tuple[int, int]] = {}
    for name, pattern in _CATEGORIES[category]:
        for hit in pattern.finditer(taken):
            found.setdefault(name, hit.span())
        taken = pattern.sub(lambda m: "\x00" * len(m.group()), taken)
    return found


def _actors(claim: ClaimView, passage: Passage) -> list[Difference]:
    """Find an organ, office or kind of member that stands in another's place."""
    body = "\x00" * claim.body + claim.view[claim.body :]
    passage_view = normal(passage.text)
    found = []
    for category in _CATEGORIES:
        ours, theirs = _mentions(body, category), _mentions(passage_view, category)
        if not ours or not theirs or set(ours) & set(theirs):
            continue
        if category == "loại thành viên" and _related(set(ours), set(theirs)):
            continue
        (_, (start, end)) = next(iter(ours.items()))
        (_, (left, right)) = next(iter(theirs.items()))
        if _MASKED.search(claim.view[max(0, start - 12) : start]):
            continue
        found.append(
            Difference(
                kind=Distortion.ACTOR,
                claim=claim.words(start, end),
                evidence=passage.text[left:right],
                start=start,
                end=end,
            )
        )
    return found


def _related(ours: set[str], theirs: set[str]) -> bool:
    return ("liên kết" in ours and any("liên kết" in name for name in theirs)) or (
        "liên kết" in theirs and any("liên kết" in name for name in ours)
    )


# --- conditions and absolutes --------------------------------------------------------------------


def _widened(
    claim: ClaimView, passage: Passage, siblings: Sequence[Passage], amounts: Amounts
) -> list[Difference]:
    """Find a rule that the claim makes absolute or states without its condition."""
    passage_view = normal(passage.text)
    for hit in UNBOUNDED.finditer(claim.view):
        if UNBOUNDED.search(passage_view) or _UNIVERSAL_DENIED.search(claim.view[: hit.start()]):
            continue
        bounded = [q for q in _rule_quantities(passage) if q.bound is not Bound.EXACT]
        if bounded and not amounts.matched:
            return [_wide(claim, hit, bounded[0].text, Distortion.EXAGGERATION)]
    dropped = _dropped(claim.view, passage)
    for hit in ABSOLUTE.finditer(claim.view):
        if hit.group() in passage_view or _UNIVERSAL_DENIED.search(claim.view[: hit.start()]):
            continue
        if dropped and _attaches(claim.view, hit, dropped):
            return [_wide(claim, hit, dropped, Distortion.CONDITION_DROPPED)]
        if amounts.matched and _decisions(claim.view, hit) and _rivals(passage, siblings):
            rival = _rivals(passage, siblings)[0]
            return [_wide(claim, hit, rival.text, Distortion.MERGE_SPLIT)]
        part = _PART.search(passage_view)
        if (
            part
            and not amounts.matched
            and _WHOLE.match(hit.group())
            and _covers(claim, passage) >= 0.3
        ):
            words = passage.text[part.start() : part.end() + 20].strip()
            return [_wide(claim, hit, words, Distortion.EXAGGERATION)]
    if dropped:
        for hit in _RELAXED.finditer(claim.view):
            before = claim.view[max(0, hit.start() - 10) : hit.start()]
            if hit.group() not in passage_view and not _MASKED.search(before):
                return [_wide(claim, hit, dropped, Distortion.CONDITION_DROPPED)]
    return []


_WHOLE: Final = any_of("toàn bộ", "hoàn toàn", "tất cả", "tuyệt đối", "100%")
_PERSONS: Final = re.compile(r"\s*(?:người|ai|cá nhân|tổ chức|đối tượng|thành viên|xã viên)(?!\w)")


def _attaches(view: str, hit: re.Match[str], condition: str) -> bool:
    """Whether the absolute word widens what the condition narrows, and not something beside it."""
    if not normal(condition).startswith(("thành viên", "chỉ đối với thành viên")):
        return not _PERSONS.match(view, hit.end())
    if hit.group() in {"ai cũng", "dù là ai", "không trừ"}:
        return True
    return bool(_PERSONS.match(view, hit.end()))


def _decisions(view: str, hit: re.Match[str]) -> bool:
    """Whether the absolute word stands before what a meeting decides."""
    return bool(
        re.match(
            r"\s*(?:các |những )?(?:quyết định|vấn đề|nội dung|nghị quyết|việc|quyết sách)",
            view[hit.end() :],
        )
    )


def _rivals(passage: Passage, siblings: Sequence[Passage]) -> list[Passage]:
    """Return passages of the same document that give another value of the same measure."""
    mine = _rule_quantities(passage)
    return [
        s for s in siblings
        if s.kind is PassageKind.STATUTE and s.doc_id == passage.doc_id
        and any(
            _same_kind(x, y) and not _value_equal(x, y) for x in _rule_quantities(s) for y in mine
        )
    ]  # fmt: skip


_PART: Final = any_of(
    "một phần", "chỉ", "tối thiểu", "ít nhất", "tối đa", "không quá", "có thể", "trong phạm vi"
)


def _wide(claim: ClaimView, hit: re.Match[str], evidence: str, kind: Distortion) -> Difference:
    return Difference(
        kind=kind, claim=claim.words(hit.start(), hit.end()), evidence=evidence,
        start=hit.start(), end=hit.end(),
    )  # fmt: skip


_DISMISSED: Final = re.compile(
    r"(?<!\w)(?:không kể|bất kể|dù|cho dù|mặc dù|không phân biệt|kể cả|ngay cả khi|"
    r"không cần)\s[^,.;]{2,90}"
)
"""What a claim brushes aside is no condition that it keeps."""


def _dropped(view: str, passage: Passage) -> str:
    """Return a condition of the passage of which the claim has not a trace, or ""."""
    own = {t.text for t in content(tokens(_DISMISSED.sub(" ", view)))}
    for phrase in passage.conditions:
        words = {t.text for t in content(tokens(phrase))}
        if words and len(words & own) / len(words) < 0.75:
            return phrase
    if passage.conditions:
        return ""
    hit = _CONDITION_CLAUSE.search(normal(passage.text))
    if hit is None:
        return ""
    words = {t.text for t in content(tokens(hit.group()))}
    if not words or len(words & own) / len(words) >= 0.5:
        return ""
    return passage.text[hit.start() : hit.end()].strip(" ,.;")


_CONDITION_CLAUSE: Final = re.compile(
    r"(?:(?<!\w)trừ(?: trường hợp| khi)?|với điều kiện|nếu|(?<!\w)chỉ(?: khi)?|khi (?:có|"
    r"được))\s[^,.;]{4,90}"
)


# --- support -------------------------------------------------------------------------------------


def _covers(claim: ClaimView, passage: Passage) -> float:
    """Return the share of the passage's content syllables that the claim repeats."""
    ours = {t.text for t in content(tokens(claim.view))}
    theirs = {t.text for t in content(tokens(passage.text))}
    return len(ours & theirs) / max(1, len(theirs))


def _covered(claim: ClaimView, passage: Passage) -> float:
    """Return the share of the claim's content syllables that the passage has."""
    ours = {t.text for t in content(tokens(claim.view[claim.body :]))} - _LEGAL_WORDS
    theirs = {t.text for t in content(tokens(f"{passage.text} {passage.citation}"))}
    theirs |= {"htx"} if {"hợp", "tác", "xã"} <= theirs else set()
    return len(ours & theirs) / max(1, len(ours))


_LEGAL_WORDS: Final = frozenset(
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


def _supports(claim: ClaimView, passage: Passage, amounts: Amounts) -> tuple[bool, bool]:
    """Return (the passage says it, and says it by a value)."""
    if amounts.matched:
        return _covered(claim, passage) >= 0.3 or _covers(claim, passage) >= 0.3, True
    rules = _rule_quantities(passage)
    dates = extract(passage.text).dates
    if any(o.first <= d.last and d.first <= o.last for o in claim.dates if o.resolved
           for d in dates if d.resolved) and _covered(claim, passage) >= 0.4:  # fmt: skip
        return True, True
    covered = _covered(claim, passage)
    if rules and not claim.stated:
        return covered >= 0.8 and _covers(claim, passage) >= 0.5, False
    if not rules and _covers(claim, passage) >= 0.75:
        return True, False
    return covered >= 0.6 or (covered >= 0.45 and _covers(claim, passage) >= 0.5), False


# --- source --------------------------------------------------------------------------------------


_VALIDITY: Final = re.compile(
    r"(?<!\w)(?:có|hết|còn|mất|nguyên)\s+hiệu\s+lực(?!\w)|(?<!\w)(?:được|bị)\s+(?:thay\s+thế|bãi\s+bỏ)(?!\w)"
)


def _source(
    claim: ClaimView,
    passage: Passage,
    documents: Mapping[str, Document],
    named: Sequence[Document],
    found: Sequence[tuple[Passage, Evidence]],
) -> Difference | None:
    """Return the difference where a true rule is ascribed to a document or article not its own."""
    refs = [r for r in claim.refs if not r.anaphoric]
    if not refs:
        return None
    told = [r for r in refs if _SOURCE_LINK.search(claim.view[: r.start])
            or _SOURCE_VERB.search(claim.view[r.end :])
            or r.start == 0]  # fmt: skip
    ids = {d.doc_id for d in named}
    of_same = {p.doc_id for p, e in found if e.on_point}
    own_words = normal(f"{passage.text} {passage.citation}")
    if _VALIDITY.search(claim.view) or any(_names(r, own_words) for r in told):
        told = []  # the sentence, or the rule itself, speaks of that document
    if told and ids and passage.doc_id not in ids and not ids & of_same:
        ref = told[0]
        return Difference(
            kind=Distortion.WRONG_SOURCE, claim=claim.words(ref.start, ref.end),
            evidence=passage.citation, start=ref.start, end=ref.end,
        )  # fmt: skip
    own = re.findall(r"[Đđ]iều\s+(\d+)", passage.locator)
    for ref in told:
        article = str(ref.article or "")
        if not article or not own or article in own or (ids and passage.doc_id not in ids):
            continue
        elsewhere = {
            n for p, e in found if e.on_point for n in re.findall(r"[Đđ]iều\s+(\d+)", p.locator)
        }
        if article in elsewhere:
            continue
        return Difference(
            kind=Distortion.WRONG_SOURCE, claim=claim.words(ref.start, ref.end),
            evidence=passage.citation, start=ref.start, end=ref.end,
        )  # fmt: skip
    return None


def _names(ref: LegalRef, view: str) -> bool:
    """Return whether a text names the document of a reference, by number or by its year."""
    if ref.number:
        return normal(ref.number) in view
    year = re.search(r"(?:19|20)\d{2}", ref.text)
    return bool(year) and not ref.article and f"năm {year.group()}" in view if year else False


# --- statistics ----------------------------------------------------------------------------------


def _publishers(text: str) -> set[str]:
    view = normal(text)
    return {name for name, pattern in _PUBLISHERS if pattern.search(view)}


def _statistic(
    claim: ClaimView, passage: Passage, evidence: Evidence, documents: Mapping[str, Document]
) -> Finding:
    """Hold a figure against one series; only the same publisher, day and unit can refute it."""
    theirs = _rule_quantities(passage)
    ours = [claim.quantities[i] for i in sorted(claim.stated)]
    document = documents.get(passage.doc_id)
    publisher = f"{document.publisher} {document.title}" if document else ""
    known = _publishers(f"{publisher} {passage.citation} {passage.series} {passage.text}")
    said = _publishers(claim.view)
    other = Finding(
        passage=passage, evidence=evidence, stance=Stance.SILENT, reason=NeiReason.OTHER_SERIES
    )
    silent = replace(other, reason=NeiReason.INSUFFICIENT)
    if claim.beside or not ours:
        return silent
    if said and known and not said & known:
        return other
    years = {d.last.year for d in claim.dates if d.resolved}
    as_of = passage.as_of
    same_year = as_of is not None and as_of.year in years
    if years and as_of is not None and not same_year:
        return other
    if claim.instance:
        return silent
    explained: set[int] = set()
    contradicted: list[tuple[int, Quantity]] = []
    for index in sorted(claim.stated):
        quantity = claim.quantities[index]
        if _NOT_SO.search(claim.view[: quantity.start]):
            return silent
        near = [q for q in theirs if _same_measure(quantity, q)]
        if not near and not quantity.unit:
            bare = [q for q in theirs if _counts(claim, quantity, q)]
            if any(q.value == quantity.value for q in bare):
                explained.add(index)
            continue
        if not near:
            continue
        relations = {compare_quantities(quantity, q) for q in near}
        if relations & {Relation.EQUAL, Relation.WIDER, Relation.NARROWER}:
            explained.add(index)
        elif Relation.CONTRADICTS in relations:
            contradicted.append((index, near[0]))
    if contradicted and (said & known) and same_year and not claim.instance:
        return Finding(
            passage=passage, evidence=evidence, stance=Stance.REFUTES,
            differences=tuple(
                _number(claim, claim.quantities[i], q, Distortion.NUMBER) for i, q in contradicted
            ),
            explained=frozenset(explained), contradicted=frozenset(i for i, _ in contradicted),
            hard=True,
        )  # fmt: skip
    if contradicted:
        return other
    if explained:
        return Finding(
            passage=passage, evidence=evidence, stance=Stance.SUPPORTS,
            explained=frozenset(explained), hard=True,
        )  # fmt: skip
    return silent


_NOT_SO: Final = re.compile(
    r"(?<!\w)(?:không|chưa|chẳng)\s(?:có|phải|phải là|đạt|tới|đến|còn)\s+(?:\w+\s+)?$"
)


def _same_measure(a: Quantity, b: Quantity) -> bool:
    return compare_quantities(a, b) not in {Relation.OTHER_UNIT, Relation.UNRELATED}
