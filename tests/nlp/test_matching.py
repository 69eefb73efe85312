"""The same claim, the same story: what shares a key and what never may."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.matching import (
    CONTAINMENT,
    RESEMBLANCE,
    _Shared,
    claim_key,
    claim_terms,
    content_key,
    fingerprint,
    place,
    stories,
)
from nlp.text import (
    _COOPERATIVE,
    _DOTTED,
    _letter_by_letter,
    _undotted,
    old_style,
    skeleton,
    skeleton_text,
)

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


def _naive(texts: Sequence[str]) -> list[tuple[str, float]]:
    """Every text beside every earlier one: what `place` finds without looking at them all."""
    prints = [fingerprint(t) for t in texts]
    found: list[tuple[str, float]] = []
    first: list[int] = []
    for n, own in enumerate(prints):
        best = (-1, 0.0)
        ours = set(own.sentences.tolist())
        same = [m for m in range(n) if own.whole and prints[m].whole == own.whole]
        for m in range(n):
            theirs = set(prints[m].sentences.tolist())
            smaller = min(len(ours), len(theirs))
            count = len(ours & theirs)
            share = count / smaller if smaller else 0.0
            if count >= min(2, smaller) and share >= CONTAINMENT and share > best[1]:
                best = (m, share)
        if same:
            best = (same[0], 1.0)
        first.append(n if best[0] < 0 else first[best[0]])
        found.append(("" if first[n] == n else str(first[n]), 0.0 if first[n] == n else best[1]))
    return found


_SENTENCES = tuple(
    f"Hợp tác xã số {n} họp đại hội thành viên vào ngày {n + 1} tháng này." for n in range(9)
)


@given(st.lists(st.lists(st.sampled_from(_SENTENCES), max_size=6), max_size=12))
def test_prefix_filtering_finds_what_looking_at_all_pairs_finds(texts: list[list[str]]) -> None:
    # Too short for shingles, so that sentences alone decide.
    joined = [" ".join(t[:2]) if len(t) > 4 else "\n".join(t) for t in texts]
    prints = [replace(fingerprint(t), signature=None) for t in joined]
    places = place([str(n) for n in range(len(joined))], prints)
    assert [(p.copied_from, p.containment) for p in places] == _naive(joined)


def test_a_stock_phrase_in_every_text_costs_no_comparison_with_all() -> None:
    own = [
        "\n".join(f"Câu thứ {k} của bài số {n} nói về vụ mùa năm nay." for k in range(5))
        for n in range(3000)
    ]
    stock = "Mời bạn đọc theo dõi chúng tôi trên các trang mạng."
    prints = [replace(fingerprint(f"{t}\n{stock}"), signature=None) for t in own]
    shared = _Shared([p.sentences for p in prints])
    for n in range(len(prints)):
        shared.add(n)
    assert len(shared._holders) == 1  # the stock phrase; what stands once is not kept
    assert not shared._heads  # and it decides nothing
    assert not any(p.copied_from for p in place([str(n) for n in range(3000)], prints))


@given(st.text(st.sampled_from("HTXhtx.-аСİΣßợáãé Ａ１")))
def test_the_quick_way_to_the_skeleton_is_the_slow_one(text: str) -> None:
    letters, _ = _letter_by_letter(text)
    undotted = _DOTTED.sub(_undotted, old_style(letters))
    assert skeleton_text(text) == skeleton(text).text == _COOPERATIVE.sub("hợp tác xã", undotted)
