"""The comparison part by part, on texts small enough to be worked out by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kiemchung.domain import Label, Status
from kiemchung.errors import ModelError
from models import comparison as module
from models import registry
from models.comparison import (
    FEATURES,
    ComparisonModel,
    content,
    features,
    numbers,
    plain_claim,
    plain_numbers,
    side,
    softmax,
    tokens,
    window,
)
from nlp.quantities import extract

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "comparison.json"
"""Claim, evidence and the features that are not 0. The shipped weights were trained on just these
values: where a feature changes on purpose, the model is trained again and the rows are made anew."""


def row(claim: str, evidence: str) -> dict[str, float]:
    return dict(zip(FEATURES, features(claim, evidence).tolist(), strict=True))


def texts(text: str) -> list[str]:
    return [t.text for t in tokens(text)]


@pytest.mark.parametrize(
    "case", json.loads(GOLDEN.read_text("utf-8")), ids=lambda c: c["claim"][:40]
)
def test_features_are_those_that_the_weights_were_trained_on(case: dict[str, Any]) -> None:
    found = row(case["claim"], case["evidence"])
    for name, value in found.items():
        assert value == pytest.approx(case["features"].get(name, 0.0), abs=1e-6), name


# -- tokens ------------------------------------------------------------------------------------


def test_tokens_are_syllables_and_whole_numbers_at_their_places() -> None:
    text = "HTX Bản-Mới có 1.200.000 đồng, 25/3/2024 và 2,5_x"
    found = tokens(text)
    assert [t.text for t in found] == [
        "htx", "bản", "mới", "có", "1200000", "đồng", "25/3/2024", "và", "2,5", "_", "x",
    ]  # fmt: skip
    assert [text[t.start : t.end] for t in found][4] == "1.200.000"
    assert [t.text for t in found if t.number] == ["1200000", "25/3/2024", "2,5"]
    assert [t.text for t in found if t.capital] == ["htx", "bản", "mới"]
    assert texts("1,200 1.2000 12.345,6") == ["1200", "1.2000", "12345,6"]


def test_content_is_neither_grammar_nor_number() -> None:
    assert [t.text for t in content(tokens("Hợp tác xã có 5 hộ và là"))] == [
        "hợp", "tác", "xã", "hộ",
    ]  # fmt: skip


# -- window ------------------------------------------------------------------------------------


def test_a_short_text_is_its_own_window() -> None:
    four = "Một câu. Hai câu. Ba câu. Bốn câu."
    assert window("câu", four) == four
    assert window("câu", "") == ""
    five = "Mưa to. Nắng gắt. Gió lớn. Sương dày. Lúa chín."
    assert window("lúa chín", five) == "Lúa chín."
    assert window("không gì giống", five) == "Mưa to."
    assert window("gió lớn và mưa to", five) == "Mưa to. Gió lớn."  # in their own order
    assert window("gió lớn và mưa to", five, most=1) in ("Gió lớn.", "Mưa to.")
    long = "Lúa chín. " + "Một chữ " * 200 + "."
    assert len(long) > 1_200
    assert window("lúa chín", long) == "Lúa chín."


def test_a_text_of_few_sentences_is_taken_whole_up_to_its_length() -> None:
    for size, whole in ((1_200, True), (1_201, False)):
        text = "Lúa chín. B" + "a" * (size - 11)
        assert len(text) == size
        assert (window("lúa chín", text) == text) is whole


def test_a_window_stops_where_a_sentence_adds_too_little() -> None:
    words = [f"từ{chr(97 + n)}" for n in range(26)]
    claim = " ".join(words)
    most = "C" + " ".join(words[:-1])[1:] + "."
    rest = f"Xa {words[-1]} lạ. Mưa to. Nắng gắt. Gió lớn."
    assert words[-1] not in window(claim, f"{most} {rest}")


# -- runs, anchors and gaps --------------------------------------------------------------------


def test_runs_of_the_claim_that_the_evidence_lacks() -> None:
    claim = tokens("lúa đỏ và tốt bán hết")

    def runs(known: str) -> list[tuple[int, int]]:
        return module._runs_missing(claim, frozenset(known.split()))

    assert runs("lúa đỏ và tốt bán hết") == []
    assert runs("lúa bán hết") == [(1, 4)]  # the word of grammar inside belongs to the run
    assert runs("lúa đỏ và bán hết") == [(3, 4)]
    assert runs("đỏ và tốt bán") == [(0, 1), (5, 6)]
    assert runs("") == [(0, 6)]
    assert module._runs_missing(tokens("lúa không chín"), frozenset(["lúa", "chín"])) == [(1, 2)]
    assert module._runs_missing(tokens("lúa và chín"), frozenset(["lúa", "chín"])) == []


def test_anchors_are_the_nearest_words_with_meaning() -> None:
    claim = tokens("lúa và của chín")
    assert module._anchor(claim, 2, -1) == 0
    assert module._anchor(claim, 1, 1) == 3
    assert module._anchor(claim, 3, 1) == 3
    assert module._anchor(claim, 4, 1) == -1
    assert module._anchor(claim, -1, -1) == -1
    assert module._anchor(tokens("và của"), 0, 1) == -1


def gap(claim: str, evidence: str, left: int, right: int, **given: int) -> list[str] | None:
    near = tokens(evidence)
    place: dict[str, list[int]] = {}
    for j, token in enumerate(near):
        place.setdefault(token.text, []).append(j)
    found = module._gap(tokens(claim), near, place, left, right, **given)
    return None if found is None else [t.text for t in found]


def test_what_the_evidence_has_in_a_gap() -> None:
    assert gap("lúa đỏ chín", "lúa vàng chín", 0, 2) == ["vàng"]
    assert gap("lúa đỏ chín", "lúa a b lúa c chín", 0, 2) == ["c"]  # the shortest
    assert gap("lúa đỏ chín", "chín lúa", 0, 2) is None
    assert gap("lúa đỏ chín", "lúa chín", 0, 2) == []
    far = "lúa a b c d e f g h chín"
    assert gap("lúa đỏ chín", far, 0, 2) == list("abcdefgh")
    assert gap("lúa đỏ chín", far.replace("h", "h i"), 0, 2) is None
    assert gap("lúa đỏ chín", far, 0, 2, reach=8) is None
    assert gap("lúa đỏ", "x lúa a lúa b c d e", 0, -1) == ["b", "c", "d"]
    assert gap("đỏ chín", "a b c d chín e chín", -1, 1) == ["b", "c", "d"]
    assert gap("đỏ chín", "a chín", -1, 1) == ["a"]
    assert gap("đỏ chín", "a b", -1, 1) is None
    assert gap("lúa đỏ", "a b", 0, -1) is None
    assert gap("đỏ", "a b", -1, -1) is None


# -- sequences ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "common", "run"),
    [("", "abc", 0, 0), ("abc", "", 0, 0), ("abc", "abc", 3, 3), ("abc", "axbxc", 3, 1),
     ("abcd", "bcda", 3, 3), ("aab", "ab", 2, 2), ("abab", "baba", 3, 3), ("abc", "xyz", 0, 0),
     ("ab", "aab", 2, 2), ("aa", "a", 1, 1), ("xaby", "zzabzz", 2, 2)],
)  # fmt: skip
def test_common_subsequence_and_run(a: str, b: str, common: int, run: int) -> None:
    assert module._lcs(list(a), list(b)) == common
    assert module._longest_run(list(a), list(b)) == run


# -- negation and opposites --------------------------------------------------------------------


def test_a_negation_covers_three_words() -> None:
    found = module._negated(tokens("không a bán lúa gạo 5 và nhiều"))
    assert [w for w, near in found.items() if near] == ["a", "bán", "lúa"]
    assert not found["gạo"]
    assert {"5", "và"}.isdisjoint(found)
    assert module._negated(tokens("bán lúa không bán"))["bán"]


def negation(claim: str, evidence: str) -> tuple[float, float]:
    return module._negation(tokens(claim), tokens(evidence))


def test_a_negation_counts_where_its_words_stand_in_the_other_text() -> None:
    assert negation("hộ không bán lúa", "hộ bán lúa") == (1.0, 0.0)
    assert negation("hộ bán lúa", "hộ chưa bán lúa") == (0.0, 1.0)
    assert negation("hộ không bán lúa", "hộ không bán lúa") == (0.0, 0.0)
    assert negation("hộ không mua xe", "hộ bán lúa") == (0.0, 0.0)
    assert negation("hộ không bán xe đạp", "hộ bán lúa") == (0.0, 0.0)  # one of three is not half
    assert negation("hộ không bán lúa xe", "hộ bán lúa") == (1.0, 0.0)
    assert negation("hộ không bán xe", "hộ bán lúa") == (1.0, 0.0)  # one of two is
    assert negation("không bán lúa, không mua xe", "bán lúa mua xe") == (2.0, 0.0)
    assert negation("không", "bán lúa") == (0.0, 0.0)


def test_opposites_count_once_a_word_and_not_where_both_stand() -> None:
    def opposites(claim: str, evidence: str) -> float:
        return module._opposites(tokens(claim), tokens(evidence))

    assert opposites("giá tăng", "giá giảm") == opposites("giá giảm", "giá tăng") == 1.0
    assert opposites("giá tăng", "giá tăng giảm") == 0.0
    assert opposites("giá tăng rồi giảm", "giá giảm") == 0.0
    assert opposites("giá tăng", "giá đứng") == 0.0


def test_pairs_and_single_words_are_phrases() -> None:
    assert module._phrases(tokens("hợp tác xã")) == {"hợp", "tác", "xã", "hợp tác", "tác xã"}
    assert module._pairs_of(["a", "b", "c"]) == {"a b", "b c"}


# -- numbers and dates -------------------------------------------------------------------------


def test_bare_numbers_of_dates_and_ranges() -> None:
    assert module._digit_parts(tokens("ngày 05/03/2024 có 007 hộ, 0 xe, 2-3 ha, 1.200 kg")) == [
        "5", "3", "2024", "7", "0", "2", "3", "1200",
    ]  # fmt: skip


WORDS = [
    "một:1",
    "hai:2",
    "ba:3",
    "bốn:4",
    "tư:4",
    "năm:5",
    "sáu:6",
    "bảy:7",
    "bẩy:7",
    "tám:8",
    "chín:9",
    "mười:10",
]


@pytest.mark.parametrize("pair", WORDS)
def test_a_number_in_words_is_not_missing(pair: str) -> None:
    word, digits = pair.split(":")
    found = row(f"làng có {digits} hộ", f"làng có {word} hộ")
    assert found["digits_missing"] == found["digits_missing_whole"] == 0.0
    assert row(f"làng có {digits} hộ", "làng có vài hộ")["digits_missing"] == math.log1p(1)


def test_every_date_of_a_claim_is_looked_at() -> None:
    evidence = "Ngày 5/4/2021 làng họp."
    assert row("Ngày 5/4/2021 làng họp.", evidence)["dates_contradicting"] == 0.0
    both = row("Ngày 5/4/2021 làng họp, ngày 7/4/2021 nghỉ.", evidence)
    assert both["dates_contradicting"] == math.log1p(1)


def test_quantities_are_sorted_by_their_best_relation() -> None:
    def counted(claim: str, evidence: str) -> tuple[int, ...]:
        found = numbers(extract(claim).quantities, extract(evidence).quantities)
        parts = (found.equal, found.contradicting, found.missing, found.other_unit)
        assert found.total == sum(parts)
        return parts

    assert counted("có 5 hộ", "có 5 hộ và 7 hộ") == (1, 0, 0, 0)
    assert counted("có 5 hộ", "có ít nhất 3 hộ") == (1, 0, 0, 0)
    assert counted("có ít nhất 3 hộ", "có 5 hộ") == (1, 0, 0, 0)
    assert counted("có 5 hộ", "có 7 hộ") == (0, 1, 0, 0)
    assert counted("có 5 hộ", "có 5 tấn") == (0, 0, 0, 1)
    assert counted("có 5 hộ", "có 7 tấn") == (0, 0, 1, 0)
    assert counted("có 5 hộ", "không có gì") == (0, 0, 1, 0)
    assert counted("có 5 hộ, 6 tấn", "có 5 hộ, 7 tấn") == (1, 1, 0, 0)


def test_a_day_inside_a_period_is_the_same_date() -> None:
    (month,) = extract("tháng 3/2024").dates
    (day,) = extract("ngày 25/3/2024").dates
    (other,) = extract("ngày 25/4/2024").dates
    assert module._covers_date(month, day)
    assert not module._covers_date(day, month)
    assert not module._covers_date(month, other)
    assert module._same_date(day, day)
    assert not module._same_date(month, day)
    assert not module._same_date(day, replace(day, last=date(2024, 3, 26)))
    assert not module._same_date(day, replace(day, first=date(2024, 3, 24)))


@pytest.mark.parametrize(
    ("written", "plain"),
    [("05 hộ", "5 hộ"), ("30 phần  trăm", "30%"), ("ngày 05/03", "ngày 05/03"), ("0,5 ha", "0,5 ha"),
     ("1.005 hộ", "1.005 hộ"), ("00 hộ", "00 hộ"), ("007", "7"), ("30 phần trămx", "30 phần trămx"),
     ("08:30", "08:30"), ("30 PHẦN TRĂM", "30%"), ("2-05", "2-05")],
)  # fmt: skip
def test_numbers_are_written_plainly(written: str, plain: str) -> None:
    assert plain_numbers(written) == plain


def test_a_claim_is_read_without_its_feeling() -> None:
    assert (
        plain_claim("Thật đáng buồn là có 05 hộ bỏ nghề trồng lúa") == "có 5 hộ bỏ nghề trồng lúa"
    )
    assert plain_claim("có 05 hộ") == "có 5 hộ"


def test_long_texts_are_cut() -> None:
    assert module.MAX_CLAIM == 4_000
    tail = "không bán lúa"
    assert row("lúa " * 1_000 + tail, "bán lúa") == row("lúa " * 1_000, "bán lúa")
    assert side("có 5 hộ") is side("có 5 hộ")


# -- the model ---------------------------------------------------------------------------------


def body(**change: object) -> str:
    wide = len(FEATURES)
    plain: dict[str, object] = {
        "kind": "comparison", "format": 1, "features": list(FEATURES),
        "labels": ["SUPPORTED", "REFUTED", "NOT_ENOUGH_INFO"], "mean": [0.0] * wide,
        "scale": [1.0] * wide, "weights": [[0.0] * wide] * 3, "bias": [3.0, 2.0, 1.0],
        "temperature": 2.0,
    }  # fmt: skip
    return json.dumps(plain | change)


def load(text: str) -> ComparisonModel:
    return ComparisonModel.from_json(
        text, model_id="m", threshold=0.8, abstain_below=0.4, where="f.json"
    )


def test_scores_become_probabilities() -> None:
    made = load(body())
    assert (made.model_id, made.threshold, made.abstain_below) == ("m", 0.8, 0.4)
    assert made.logits("có 5 hộ", "có 7 hộ").tolist() == [3.0, 2.0, 1.0]
    raised = [math.exp(x / 2) for x in (3.0, 2.0, 1.0)]
    wanted = [r / sum(raised) for r in raised]
    assert made.probabilities("có 5 hộ", "có 7 hộ").tolist() == pytest.approx(wanted)
    for claim, evidence in (("", "x"), ("x", ""), (" ", "\n"), ("x", " ")):
        assert made.probabilities(claim, evidence).tolist() == [0.0, 0.0, 1.0]
    assert made.judge("có 5 hộ", "có 7 hộ").label is Label.SUPPORTED
    assert load(body(bias=[1.0, 1.0, 1.0])).judge("a", "b").status is Status.ABSTAINED


def test_features_are_scaled_and_clipped() -> None:
    wide = len(FEATURES)
    at = FEATURES.index("coverage")
    weights = np.zeros((3, wide))
    weights[0, at] = 1.0
    mean = [0.0] * wide
    mean[at] = 0.25
    for scale, wanted in ((0.5, 1.5 + 3.0), (0.001, 6.0 + 3.0)):
        made = load(body(weights=weights.tolist(), mean=mean, scale=[scale] * wide))
        assert made.logits("lúa chín", "lúa chín").tolist() == pytest.approx([wanted, 2.0, 1.0])
    mean[at] = 3.0
    made = load(body(weights=weights.tolist(), mean=mean, scale=[0.001] * wide))
    assert made.logits("lúa chín", "lúa chín")[0] == pytest.approx(-6.0 + 3.0)


def test_weights_are_written_as_they_are_read() -> None:
    made = load(body())
    written = json.loads(made.to_json())
    assert written == json.loads(body())
    assert made.to_json() == json.dumps(written, ensure_ascii=False, indent=1) + "\n"
    assert module._rounded(np.array([1 / 3, 1e-12])) == [0.333333333, 1e-12]


WIDE = len(FEATURES)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "other"}, "made for other features"),
        ({"features": list(FEATURES)[:-1]}, "made for other features"),
        ({"labels": ["REFUTED", "SUPPORTED", "NOT_ENOUGH_INFO"]}, "another label order"),
        ({"mean": [0.0]}, "shapes"),
        ({"scale": [1.0] * (WIDE + 1)}, "shapes"),
        ({"bias": [0.0]}, "shapes"),
        ({"weights": [[0.0] * WIDE] * 2}, "shapes"),
        ({"mean": [float("nan")] * WIDE}, "weights that are not finite"),
        ({"weights": [[float("inf")] * WIDE] * 3}, "weights that are not finite"),
        ({"scale": [0.0] * WIDE}, "a scale or temperature that is not positive"),
        ({"scale": [-1.0] * WIDE}, "a scale or temperature that is not positive"),
        ({"temperature": 0.0}, "a scale or temperature that is not positive"),
        ({"temperature": -1.0}, "a scale or temperature that is not positive"),
        ({"temperature": "x"}, "could not convert"),
        ({"mean": None}, "shapes"),
    ],
)
def test_other_weights_are_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(
        ModelError, match=f"not a comparison model of this program: {words}"
    ) as caught:
        load(body(**change))
    assert caught.value.where == "f.json"
    assert caught.value.remedy == "train it again: python -m models.train comparison --out DIR"


@pytest.mark.parametrize("text", ["{", "[]", "{}", "5"])
def test_what_is_no_model_file_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match="not a comparison model of this program"):
        load(text)


def test_softmax_is_safe_and_sums_to_one() -> None:
    found = softmax(np.array([[1000.0, 1001.0], [0.0, 0.0]]))
    assert found.sum(axis=-1).tolist() == pytest.approx([1.0, 1.0])
    assert found[0, 1] / found[0, 0] == pytest.approx(math.e)
    assert found[1].tolist() == [0.5, 0.5]


def test_a_fault_inside_is_a_failure_and_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    made = load(body())
    monkeypatch.setattr(module, "_features", lambda *sides: dict.fromkeys(FEATURES, math.nan))
    found = made.judge("có 5 hộ", "có 7 hộ")
    assert found.status is Status.FAILED
    with pytest.raises(ModelError, match="are not finite") as caught:
        features("có 5 hộ", "có 7 hộ")
    assert caught.value.where == "comparison"
    assert "coverage" in str(caught.value)


def test_the_shipped_weights_are_for_these_features() -> None:
    found = registry.load(registry.PLAIN)
    assert isinstance(found, ComparisonModel)
    assert found.mean.shape == (len(FEATURES),)
    assert Decimal(str(found.temperature)) > 0
