"""The same claim, the same story: what shares a key and what never may."""

from __future__ import annotations

import itertools
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.matching import RESEMBLANCE, claim_key, claim_terms, content_key, stories

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


def groups() -> list[list[tuple[str, str]]]:
    """Return the groups of the pair file: a claim, the same in other words, others near it."""
    lines = (Path(__file__).parents[1] / "data/same_claims.txt").read_text(encoding="utf-8")
    found: list[list[tuple[str, str]]] = []
    for line in lines.split("\n"):
        if line.startswith("* "):
            found.append([])
        if line[:2] in ("* ", "= ", "! "):
            found[-1].append((line[0], line[2:]))
    return found


def test_pairs_of_claims_are_matched_by_what_they_say() -> None:
    pairs = right = wrong = missed = 0
    for group in groups():
        for (mark_a, a), (mark_b, b) in itertools.combinations(group, 2):
            if mark_a == mark_b == "!":
                continue  # two other claims may well be the same other claim
            pairs += 1
            same, together = "!" not in (mark_a, mark_b), claim_key(a) == claim_key(b)
            right += same and together
            missed += same and not together
            wrong += together and not same
    assert pairs >= 300
    assert wrong == 0
    assert 2 * right / (2 * right + wrong + missed) >= 0.95


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Đại hội bầu giám đốc.", "Giám đốc bầu đại hội."),
        ("Hợp tác xã được vay.", "Hợp tác xã được cho vay."),
        ("Theo Bộ Tài chính, cả nước có 300 hợp tác xã.", "Cả nước có 300 hợp tác xã."),
        ("Mỗi hợp tác xã nợ 5 tỷ đồng.", "Một hợp tác xã nợ 5 tỷ đồng."),
        ("Năm 2022 tỉnh lập 9 hợp tác xã.", "Năm 2023 tỉnh lập 9 hợp tác xã."),
        ("Có gần 300 hộ.", "Có hơn 300 hộ."),
    ],
)
def test_another_meaning_is_another_claim(a: str, b: str) -> None:
    assert claim_key(a) != claim_key(b)


@given(st.text(max_size=120))
def test_terms_repeat_and_never_raise(text: str) -> None:
    assert claim_terms(text) == claim_terms(text)


WORDS = [
    "ruộng",
    "đồng",
    "mùa",
    "vụ",
    "giống",
    "lúa",
    "phân",
    "bón",
    "hợp",
    "đồng",
    "máy",
    "cày",
    "kho",
    "lạnh",
    "chợ",
    "đầu",
    "mối",
    "xe",
    "tải",
    "thành",
    "viên",
    "góp",
    "vốn",
    "chia",
    "lãi",
    "sổ",
    "sách",
    "đại",
    "hội",
    "bầu",
    "cử",
    "kế",
    "toán",
    "kiểm",
    "soát",
    "giá",
    "cả",
    "thị",
    "trường",
    "xuất",
    "khẩu",
]


def article(seed: int, length: int = 400) -> list[str]:
    random = Random(seed)
    return [f"{random.choice(WORDS)}{random.randrange(40)}" for _ in range(length)]


def test_a_light_rewrite_is_a_copy_though_no_sentence_is_whole() -> None:
    words = article(1)
    rewritten = [f"khác{i}" if i % 25 == 0 else w for i, w in enumerate(words)]
    lines = [[" ".join(w[i : i + 20]) + "." for i in range(0, 400, 20)] for w in (words, rewritten)]
    places = stories([(str(i), "\n".join(body)) for i, body in enumerate(lines)])
    assert places["1"].copied_from == "0"
    assert RESEMBLANCE <= places["1"].containment < 1


def test_a_heavy_rewrite_is_an_article_of_its_own() -> None:
    words = article(2)
    rewritten = [f"khác{i}" if i % 4 == 0 else w for i, w in enumerate(words)]
    texts = [(str(i), " ".join(w)) for i, w in enumerate((words, rewritten))]
    assert stories(texts)["1"].copied_from == ""


def test_many_different_articles_stay_apart() -> None:
    texts = [(str(n), " ".join(article(n, 120))) for n in range(60)]
    assert not [p for p in stories(texts).values() if p.copied_from]
