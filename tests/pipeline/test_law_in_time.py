"""Which law was in force decides: the same sentence on two days, through the whole path."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from kiemchung import reference
from kiemchung.config import load_settings
from nlp.retrieval import PassageIndex
from pipeline.checking import check_text
from pipeline.judging import Judge

DATA = Path(__file__).parents[1] / "data"
LABELS = {"SUPPORTED": "S", "REFUTED": "R", "NOT_ENOUGH_INFO": "N", None: "N"}


def lines(name: str) -> list[list[str]]:
    rows = (DATA / name).read_text(encoding="utf-8").split("\n")
    return [row.split(" ¦ ") for row in rows if row and not row.startswith("#")]


PAIRS = lines("law_in_time.txt")


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge.load(load_settings())


def test_there_are_sixty_pairs_around_the_three_days() -> None:
    assert len(PAIRS) >= 60
    for border in (date(2013, 7, 1), date(2023, 9, 1), date(2024, 7, 1)):
        around = [
            days
            for _, *days in PAIRS
            if date.fromisoformat(days[0][:10]) < border <= date.fromisoformat(days[1][:10])
        ]
        assert len(around) >= 8


@pytest.mark.parametrize("pair", PAIRS, ids=lambda p: f"{p[1]}-{p[0][:30]}")
def test_a_sentence_is_judged_by_the_law_of_its_day(pair: list[str], judge: Judge) -> None:
    sentence, *days = pair
    for day in days:
        claims = check_text(sentence, day=date.fromisoformat(day[:10]), judge=judge)["claims"]
        label = next((LABELS[c["label"]] for c in claims if c["label"]), "N")
        flagged = any(c["flagged"] for c in claims)
        assert (label, flagged) == (day[11:], day[11:] == "R"), day


def test_the_passage_that_settles_a_claim_is_found() -> None:
    base = reference.load()
    index = PassageIndex(base.passages, base.documents)
    rows = lines("retrieval_claims.txt")
    found = first = 0
    for topic, _, claim in rows:
        topics = [p.topic for p, _ in index.retrieve(claim, date(2025, 3, 1), k=5).found]
        found += topic in topics
        first += topics[:1] == [topic]
    assert found >= 0.98 * len(rows)
    assert first >= 0.95 * len(rows)


def test_true_claims_are_not_flagged_and_false_ones_not_borne_out(judge: Judge) -> None:
    flagged = found = borne_out = false = 0
    for _, truth, claim in lines("retrieval_claims.txt"):
        claims = check_text(claim, day=date(2025, 3, 1), judge=judge)["claims"]
        hit = any(c["flagged"] for c in claims)
        if truth == "true":
            flagged += hit
        else:
            false += 1
            found += hit
            borne_out += any(c["label"] == "SUPPORTED" for c in claims)
    assert flagged == 0
    assert borne_out <= 0.02 * false
    assert found >= 0.55 * false


def test_a_claim_takes_the_topic_of_its_passage(judge: Judge) -> None:
    sentence = "Hợp tác xã phải có ít nhất 5 thành viên. Trời hôm nay rất đẹp."
    first, second = check_text(sentence, day=date(2025, 3, 1), judge=judge)["claims"]
    assert (first["topic"], second["topic"]) == ("coop.min_members", "")
    assert first["evidence"][0]["conditions"] == ["thành viên chính thức"]
