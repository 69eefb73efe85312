"""The grammar of quantities, dates and legal references, phrase by phrase."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from kiemchung import reference
from kiemchung.domain import AsOfMethod
from nlp.quantities import Bound, Relation, compare, extract
from nlp.timing import claim_day, named_documents

QUANTITIES = [
    ("cần ít nhất 5 thành viên chính thức", "5", "thành viên", "at_least"),
    ("tối thiểu năm thành viên", "5", "thành viên", "at_least"),
    ("từ 50 thành viên trở lên", "50", "thành viên", "at_least"),
    ("không dưới 20 tỷ đồng", "20000000000", "đồng", "at_least"),
    ("không quá 30% vốn điều lệ", "30", "%", "at_most"),
    ("không được vượt quá 20 phần trăm", "20", "%", "at_most"),
    ("tối đa là 05 năm", "5", "năm", "at_most"),
    ("dưới 35% tổng số thành viên", "35", "%", "less_than"),
    ("trên 50% số phiếu", "50", "%", "more_than"),
    ("hơn 31.700 hợp tác xã", "31700", "hợp tác xã", "more_than"),
    ("gần 30.000 HTX", "30000", "hợp tác xã", "about"),
    ("khoảng 5,935 triệu thành viên", "5935000", "thành viên", "about"),
    ("chỉ cần 5 thành viên", "5", "thành viên", "at_least"),
    ("có 12 thành viên", "12", "thành viên", "exact"),
    ("mười lăm thành viên", "15", "thành viên", "exact"),
    ("hai mươi mốt hộ", "21", "hộ", "exact"),
    ("một nghìn hai trăm đại biểu", "1200", "đại biểu", "exact"),
    ("2 triệu rưỡi đồng", "2500000", "đồng", "exact"),
    ("1 tỷ 200 triệu đồng", "1200000000", "đồng", "exact"),
    ("3.600 tỷ đồng", "3600000000000", "đồng", "exact"),
    ("2,5 nghìn tỷ đồng", "2500000000000", "đồng", "exact"),
    ("1.234,5 tỷ đồng", "1234500000000", "đồng", "exact"),
    ("05 (năm) thành viên", "5", "thành viên", "exact"),
    ("1.000 (một nghìn) tỷ đồng", "1000000000000", "đồng", "exact"),
    ("29,378 hợp tác xã", "29378", "hợp tác xã", "exact"),
    ("65,4%", "65.4", "%", "exact"),
    ("tăng 3,5 lần", "3.5", "lần", "exact"),
    ("12,5 ha lúa", "12.5", "ha", "exact"),
    ("từ đủ 18 tuổi", "18", "tuổi", "at_least"),
    ("trong vòng 6 tháng", "6", "tháng", "at_most"),
    ("chậm nhất là 06 tháng", "6", "tháng", "at_most"),
    ("mỗi thành viên có một phiếu biểu quyết", "1", "phiếu", "exact"),
    ("gấp đôi năm ngoái", "2", "lần", "exact"),
]
NO_QUANTITY = [
    "mỗi năm hợp tác xã họp", "năm 2023", "một hợp tác xã ở xã bên", "Điều 9 Luật Hợp tác xã 2023",
    "Nghị định 113/2024/NĐ-CP", "ngày 5/4/2021", "giai đoạn 2021-2025", "Luật số 17/2023/QH15",
]  # fmt: skip
DATES = [
    ("chiều 5/4", "2025-04-05", "2025-04-05", "on"),
    ("ngày 5/4/2021", "2021-04-05", "2021-04-05", "on"),
    ("16.6.2022", "2022-06-16", "2022-06-16", "on"),
    ("ngày 1 tháng 7 năm 2024", "2024-07-01", "2024-07-01", "on"),
    ("tháng 3/2024", "2024-03-01", "2024-03-31", "on"),
    ("quý I/2024", "2024-01-01", "2024-03-31", "on"),
    ("quý 2 năm 2023", "2023-04-01", "2023-06-30", "on"),
    ("6 tháng đầu năm 2024", "2024-01-01", "2024-06-30", "on"),
    ("giai đoạn 2021-2025", "2021-01-01", "2025-12-31", "on"),
    ("cuối năm 2024", "2024-10-01", "2024-12-31", "on"),
    ("năm ngoái", "2024-01-01", "2024-12-31", "on"),
    ("hôm qua", "2025-02-28", "2025-02-28", "on"),
    ("tháng trước", "2025-02-01", "2025-02-28", "on"),
    ("trước ngày 1/7/2024", "2024-07-01", "2024-07-01", "before"),
    ("kể từ ngày 1/7/2024", "2024-07-01", "2024-07-01", "from"),
    ("đến ngày 31/12/2024", "2024-12-31", "2024-12-31", "until"),
]
REFERENCES = [
    ("điểm a khoản 1 Điều 59", "", "59", "1", "a"),
    ("Điều 9 Luật Hợp tác xã 2023", "", "9", "", ""),
    ("Luật số 17/2023/QH15", "17/2023/QH15", "", "", ""),
    ("Nghị quyết số 20-NQ/TW", "20-NQ/TW", "", "", ""),
    ("Nghị định 113/2024/NĐ-CP", "113/2024/NĐ-CP", "", "", ""),
    ("Quyết định 1804/QĐ-TTg", "1804/QĐ-TTg", "", "", ""),
    ("Thông tư 09/2017/TT-BNNPTNT", "09/2017/TT-BNNPTNT", "", "", ""),
    ("khoản 2 Điều 61 của Luật Hợp tác xã số 17/2023/QH15", "17/2023/QH15", "61", "2", ""),
]


@pytest.mark.parametrize(("text", "value", "unit", "bound"), QUANTITIES, ids=lambda x: str(x)[:30])
def test_a_quantity_is_read(text: str, value: str, unit: str, bound: str) -> None:
    (found,) = [q for q in extract(text).quantities if q.unit]
    assert (found.value, found.unit, str(found.bound)) == (Decimal(value), unit, bound)
    assert text[found.start : found.end] == found.text


@pytest.mark.parametrize("text", NO_QUANTITY)
def test_what_is_no_quantity_is_none(text: str) -> None:
    assert extract(text).quantities == ()


def test_a_range_has_two_ends() -> None:
    for text in ("từ 3 đến 15 người", "3-15 người", "3 đến 15 thành viên"):
        (found,) = extract(text).quantities
        assert (found.value, found.upper, found.bound) == (3, 15, Bound.RANGE)


@pytest.mark.parametrize(("text", "first", "last", "relation"), DATES, ids=lambda x: str(x)[:30])
def test_a_date_is_read(text: str, first: str, last: str, relation: str) -> None:
    (found,) = extract(text, published=date(2025, 3, 1)).dates
    assert (found.first.isoformat(), found.last.isoformat()) == (first, last)
    assert str(found.relation) == relation
    assert found.resolved


@pytest.mark.parametrize("text", ["rằm tháng giêng", "mùng 3 Tết", "tháng chạp"])
def test_a_lunar_date_stays_unresolved(text: str) -> None:
    (found,) = extract(text, published=date(2025, 3, 1)).dates
    assert not found.resolved


def test_a_day_that_does_not_exist_is_no_date() -> None:
    assert extract("ngày 31/2/2024").dates == ()


@pytest.mark.parametrize(
    ("text", "number", "article", "clause", "point"), REFERENCES, ids=lambda x: str(x)[:30]
)
def test_a_legal_reference_is_read(
    text: str, number: str, article: str, clause: str, point: str
) -> None:
    (found,) = extract(text).legal_refs
    assert (found.number, found.article, found.clause, found.point) == (
        number,
        article,
        clause,
        point,
    )
    assert found.text == text
    assert not found.anaphoric


@pytest.mark.parametrize(
    "text", ["luật này", "luật mới", "luật cũ", "luật hiện hành", "nghị định nói trên"]
)
def test_a_pointing_reference_says_so(text: str) -> None:
    (found,) = extract(f"Theo {text}, mức trần là 30%.").legal_refs
    assert found.anaphoric


@pytest.mark.parametrize(
    ("one", "other", "relation"),
    [
        ("ít nhất 7 thành viên", "ít nhất 5 thành viên", Relation.CONTRADICTS),
        ("có 12 thành viên", "ít nhất 5 thành viên", Relation.NARROWER),
        ("có 3 thành viên", "ít nhất 5 thành viên", Relation.CONTRADICTS),
        ("tối đa 20%", "không quá 30%", Relation.CONTRADICTS),
        ("gần 30.000 hợp tác xã", "29.378 hợp tác xã", Relation.EQUAL),
        ("hơn 33.000 hợp tác xã", "33.557 hợp tác xã", Relation.EQUAL),
        ("hơn 40.000 hợp tác xã", "33.557 hợp tác xã", Relation.CONTRADICTS),
        ("68 nghìn tỷ đồng", "68.013,075 tỷ đồng", Relation.EQUAL),
        ("2,8 tỷ đồng", "2,839 tỷ đồng", Relation.EQUAL),
        ("2,9 tỷ đồng", "2,839 tỷ đồng", Relation.CONTRADICTS),
        ("12 tháng", "1 năm", Relation.EQUAL),
        ("1 ha", "10.000 m2", Relation.EQUAL),
        ("5 thành viên", "5 hộ", Relation.OTHER_UNIT),
        ("5 thành viên", "5%", Relation.UNRELATED),
        ("từ 3 đến 15 người", "từ 3 đến 25 người", Relation.CONTRADICTS),
    ],
)
def test_quantities_compare_by_meaning(one: str, other: str, relation: Relation) -> None:
    (a,), (b,) = extract(one).quantities, extract(other).quantities
    assert compare(a, b) is relation


DOCUMENTS = reference.load().documents
RULE = "hợp tác xã phải có ít nhất 7 thành viên"


@pytest.mark.parametrize(
    ("sentence", "published", "day", "method"),
    [
        (f"Theo quy định, {RULE}.", "2022-03-01", "2022-03-01", AsOfMethod.PUBLICATION),
        (
            f"Theo Luật Hợp tác xã năm 2012, {RULE}.",
            "2025-03-01",
            "2024-06-30",
            AsOfMethod.NAMED_LAW,
        ),
        (f"Theo Luật số 23/2012/QH13, {RULE}.", "2020-03-01", "2020-03-01", AsOfMethod.NAMED_LAW),
        (f"Luật HTX 2023 quy định {RULE}.", "2023-10-01", "2024-07-01", AsOfMethod.NAMED_LAW),
        (f"Trước ngày 1/7/2024, {RULE}.", "2025-03-01", "2024-06-30", AsOfMethod.NAMED_DATE),
        (f"Từ ngày 1/7/2024, {RULE}.", "2024-03-01", "2024-07-01", AsOfMethod.NAMED_DATE),
        (f"Từ ngày 1/7/2024, {RULE}.", "2025-03-01", "2025-03-01", AsOfMethod.NAMED_DATE),
        (f"Theo luật cũ, {RULE}.", "2025-03-01", "2024-06-30", AsOfMethod.NAMED_LAW),
        (f"Theo luật mới, {RULE}.", "2023-10-01", "2024-07-01", AsOfMethod.NAMED_LAW),
        (
            "Luật Hợp tác xã năm 2012 vẫn còn hiệu lực.",
            "2024-08-12",
            "2024-08-12",
            AsOfMethod.PUBLICATION,
        ),
        (
            "Năm 2022, cả nước có 29.378 hợp tác xã.",
            "2023-04-07",
            "2022-12-31",
            AsOfMethod.NAMED_DATE,
        ),
        (
            "Hợp đồng ký trước ngày 1/9/2023 được gia hạn.",
            "2023-10-05",
            "2023-10-05",
            AsOfMethod.PUBLICATION,
        ),
        (
            "Trước đây cần 7 thành viên, nay chỉ cần 5.",
            "2025-03-01",
            "2025-03-01",
            AsOfMethod.PUBLICATION,
        ),
    ],
)
def test_the_claims_own_words_name_its_day(
    sentence: str, published: str, day: str, method: AsOfMethod
) -> None:
    found = claim_day(sentence, published=date.fromisoformat(published), documents=DOCUMENTS)
    assert (found.day.isoformat(), found.method) == (day, method)


def test_this_law_is_the_one_named_before() -> None:
    found = claim_day(
        f"Theo luật này, {RULE}.",
        published=date(2025, 3, 1),
        documents=DOCUMENTS,
        context="Luật Hợp tác xã năm 2012 đã hết hiệu lực.",
    )
    assert (found.day, found.method) == (date(2024, 6, 30), AsOfMethod.NAMED_LAW)


def test_documents_are_known_by_number_and_by_name_with_year() -> None:
    text = (
        "Luật Hợp tác xã năm 2023 thay Luật số 23/2012/QH13; Luật Đất đai 2024 thì không liên quan."
    )
    assert [d.number for d in named_documents(text, DOCUMENTS)] == ["17/2023/QH15", "23/2012/QH13"]
    assert named_documents("Luật Hợp tác xã có hiệu lực", DOCUMENTS) == ()
