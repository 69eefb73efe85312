"""The same claim, the same story: what shares a key and what never may."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.matching import claim_key, content_key, stories

BASE = "Hợp tác xã phải có ít nhất 1.000 thành viên, theo Luật Hợp tác xã năm 2023."
PARAGRAPHS = [
    f"Đoạn thứ {n} kể rằng các hộ ở thôn {name} góp {n + 3} triệu đồng để mua giống lúa mới."
    for n, name in enumerate(("Đông", "Đoài", "Nam", "Bắc", "Trung", "Thượng", "Hạ", "Ngoài"))
]
STOCK = "Bạn đọc có ý kiến xin gửi về hộp thư của tòa soạn để được giải đáp kịp thời."


@pytest.mark.parametrize(
    "same",
    [
        BASE.upper(),
        BASE.replace(",", " –"),
        BASE.replace("Hợp tác xã", "HTX"),
        BASE.replace("1.000", "1000"),
        BASE.replace(" ", "  "),
        f"“{BASE}”",
        BASE.replace("Hợp tác xã phải", "H.T.X phải"),
    ],
)
def test_the_look_of_a_claim_does_not_matter(same: str) -> None:
    assert claim_key(same) == claim_key(BASE)


@pytest.mark.parametrize(
    "other",
    [
        BASE.replace("1.000", "1.001"),
        BASE.replace("1.000", "10.00"),
        BASE.replace("phải", "không phải"),
        BASE.replace("ít nhất", "tối đa"),
        BASE.replace("thành viên", "hộ"),
        BASE.replace("2023", "2012"),
        BASE.replace("1.000", "1.000%"),
    ],
)
def test_a_number_a_unit_or_a_negation_makes_another_claim(other: str) -> None:
    assert claim_key(other) != claim_key(BASE)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_numbers_share_a_key_only_when_equal(a: int, b: int) -> None:
    form = "Cả nước có {} hợp tác xã."
    dotted = f"{a:,}".replace(",", ".")
    assert claim_key(form.format(dotted)) == claim_key(form.format(a))
    assert (claim_key(form.format(a)) == claim_key(form.format(b))) == (a == b)


@given(st.text(max_size=80))
def test_keys_never_raise_and_repeat(text: str) -> None:
    assert claim_key(text) == claim_key(text)
    assert content_key(text) == content_key(f" {text} ")


def story(*items: list[str]) -> list[str]:
    places = stories([(str(i), "\n".join(lines)) for i, lines in enumerate(items)])
    return [places[str(i)].copied_from for i in range(len(items))]


def test_a_copy_is_found_exact_cut_wrapped_or_reordered() -> None:
    assert story(PARAGRAPHS, PARAGRAPHS) == ["", "0"]
    assert story(PARAGRAPHS, PARAGRAPHS[:4]) == ["", "0"]
    assert story(PARAGRAPHS, ["Theo Báo bạn.", *PARAGRAPHS, STOCK]) == ["", "0"]
    assert story(PARAGRAPHS, PARAGRAPHS[::-1]) == ["", "0"]


def test_a_copy_of_a_copy_belongs_to_the_first() -> None:
    assert story(PARAGRAPHS, PARAGRAPHS[:5], PARAGRAPHS[1:5]) == ["", "0", "0"]


def test_one_stock_sentence_makes_no_story() -> None:
    other = [p.replace("lúa", "ngô").replace("triệu", "tạ") for p in PARAGRAPHS]
    assert story([*PARAGRAPHS, STOCK], [*other, STOCK]) == ["", ""]


def test_empty_articles_are_nobodys_copies() -> None:
    assert story([], [], ["Ngắn."]) == ["", "", ""]


def test_every_article_has_a_story_and_copies_share_it() -> None:
    items = [(str(n), "\n".join(PARAGRAPHS[n % 3 :])) for n in range(6)]
    places = stories(items)
    assert set(places) == {str(n) for n in range(6)}
    assert len({p.story_id for p in places.values()}) == 1
    assert places == stories(items)
