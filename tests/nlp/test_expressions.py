"""Four hundred quantities, dates and legal references in sentences, and how quantities compare."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.quantities import Quantity, Relation, compare, extract

FILE = Path(__file__).parents[1] / "data/expressions.txt"
PUBLISHED = date(2025, 3, 1)
CASES = [
    line.split(" ¦ ")
    for line in FILE.read_text(encoding="utf-8").split("\n")
    if line and not line.startswith("#")
]


def shown(sentence: str) -> Counter[str]:
    """Return what is found in ``sentence``, written as the data file writes it."""
    found = extract(sentence, published=PUBLISHED)
    out = []
    for q in found.quantities:
        if q.unit:
            value = format(round(q.value, 2).normalize(), "f")
            if q.upper is not None:
                value += ".." + format(round(q.upper, 2).normalize(), "f")
            out.append(f"q {value} {q.unit.replace(' ', '_')} {q.bound}")
    for d in found.dates:
        span = d.first.isoformat() + ("" if d.first == d.last else f"..{d.last.isoformat()}")
        out.append(f"d {span} {d.relation}" if d.resolved else "d lunar")
    for r in found.legal_refs:
        name = r.name or ("hiến pháp" if r.kind == "hiến pháp" else "")
        document = r.number or (name.replace(" ", "_") + (f":{r.year}" if r.year else "")) or "-"
        out.append(f"l {document} {r.article or '-'} {r.clause or '-'} {r.point or '-'}")
    return Counter(out)


def test_the_set_has_its_size_and_its_score() -> None:
    wanted = right = spurious = 0
    for sentence, expected in CASES:
        want, got = Counter(expected.split(" ; ")), shown(sentence)
        wanted, right = wanted + want.total(), right + (want & got).total()
        spurious += (got - want).total()
    assert wanted >= 400
    assert right >= 0.98 * wanted
    assert spurious <= 0.02 * wanted


@pytest.mark.parametrize("case", CASES[::9], ids=lambda c: c[0][:40])
def test_offsets_lead_to_what_was_read(case: list[str]) -> None:
    found = extract(case[0], published=PUBLISHED)
    spans = []
    for item in (*found.quantities, *found.dates, *found.legal_refs):
        assert case[0][item.start : item.end] == item.text
        assert item.text == item.text.strip()
        spans.append((item.start, item.end))
    spans.sort()
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


@given(st.text(max_size=150))
def test_any_text_can_be_read_and_spans_stay_inside(text: str) -> None:
    found = extract(text, published=PUBLISHED)
    for item in (*found.quantities, *found.dates, *found.legal_refs):
        assert 0 <= item.start < item.end <= len(text)
        assert text[item.start : item.end] == item.text


def one(text: str) -> Quantity:
    (found,) = extract(text).quantities
    return found


def relation(a: str, b: str) -> Relation:
    return compare(one(a), one(b))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("5 thành viên", "năm thành viên", Relation.EQUAL),
        ("05 (năm) thành viên", "5 thành viên", Relation.EQUAL),
        ("2,5 nghìn tỷ đồng", "2.500 tỷ đồng", Relation.EQUAL),
        ("1 tỷ 200 triệu đồng", "1,2 tỷ đồng", Relation.EQUAL),
        ("1.000 ha", "10 km2", Relation.EQUAL),
        ("12 tháng", "1 năm", Relation.EQUAL),
        ("một nửa", "50%", Relation.EQUAL),
        ("3/4 tổng số thành viên", "75%", Relation.EQUAL),
        ("31.700 hợp tác xã", "31.764 hợp tác xã", Relation.CONTRADICTS),
        ("31,7 nghìn hợp tác xã", "31.718 hợp tác xã", Relation.EQUAL),
        ("31.718 hợp tác xã", "31.781 hợp tác xã", Relation.CONTRADICTS),
        ("hơn 31.700 hợp tác xã", "31.718 hợp tác xã", Relation.EQUAL),
        ("khoảng 32.000 hợp tác xã", "31.718 hợp tác xã", Relation.EQUAL),
        ("gần 40.000 hợp tác xã", "31.718 hợp tác xã", Relation.CONTRADICTS),
        ("tối đa 30%", "không quá 30%", Relation.EQUAL),
        ("tối đa 30%", "tối đa 20%", Relation.CONTRADICTS),
        ("tối đa 30%", "tối thiểu 30%", Relation.CONTRADICTS),
        ("25%", "tối đa 30%", Relation.NARROWER),
        ("tối đa 30%", "25%", Relation.WIDER),
        ("35%", "tối đa 30%", Relation.CONTRADICTS),
        ("3-15 thành viên", "từ 3 đến 15 người", Relation.EQUAL),
        ("3-15 thành viên", "7 thành viên", Relation.WIDER),
        ("5 thành viên", "5 ha", Relation.UNRELATED),
        ("5 hợp tác xã", "5 thành viên", Relation.OTHER_UNIT),
        ("2%", "2 điểm phần trăm", Relation.UNRELATED),
        ("100 USD", "100 đồng", Relation.OTHER_UNIT),
    ],
)
def test_quantities_compare_by_meaning(a: str, b: str, expected: Relation) -> None:
    assert relation(a, b) is expected


def written(value: int) -> list[str]:
    """Return ways in which the press writes a whole number."""
    grouped = f"{value:,}".replace(",", ".")
    ways = [grouped, f"{grouped} (bằng chữ)"] if value >= 1000 else [str(value), f"{value:02d}"]
    if value % 1000 == 0 and value:
        ways.append(f"{value // 1000} nghìn")
        ways.append(f"{value // 1000} ngàn")
    if value % 100_000 == 0 and value >= 1_000_000:
        ways.append(f"{Decimal(value) / 1_000_000:f} triệu".replace(".", ","))
    return ways


@given(st.integers(1, 99_000_000), st.sampled_from(["hợp tác xã", "đồng", "hộ", "tấn"]), st.data())
def test_another_format_is_never_a_difference(value: int, unit: str, data: st.DataObject) -> None:
    a, b = (data.draw(st.sampled_from(written(value))) for _ in "ab")
    assert relation(f"{a} {unit}", f"{b} {unit}") is Relation.EQUAL


@given(st.integers(1, 99_000_000), st.sampled_from(["hợp tác xã", "đồng", "hộ", "%"]), st.data())
def test_a_flipped_digit_is_always_a_difference(value: int, unit: str, data: st.DataObject) -> None:
    digits = str(value)
    at = data.draw(st.integers(0, len(digits.rstrip("0")) - 1))
    new = data.draw(st.sampled_from([d for d in "123456789" if d != digits[at]]))
    flipped = int(digits[:at] + new + digits[at + 1 :])
    a, b = f"{value:,} {unit}".replace(",", "."), f"{flipped:,} {unit}".replace(",", ".")
    assert relation(a, b) is Relation.CONTRADICTS


@given(st.integers(1, 99_000), st.integers(1, 99_000))
def test_comparing_is_symmetrical(a: int, b: int) -> None:
    x, y = one(f"hơn {a} hộ"), one(f"{b} hộ")
    mirror = {Relation.NARROWER: Relation.WIDER, Relation.WIDER: Relation.NARROWER}
    forward = compare(x, y)
    assert compare(y, x) is mirror.get(forward, forward)
