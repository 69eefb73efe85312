"""Drift: quiet on weeks of one kind, loud on planted shifts; tests against scipy's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, ks_2samp

from models import drift
from models.drift import Counting, Profile, compare, distance, findings, psi, reference

R = np.random.default_rng


def week(
    number: int, stories: int, r: np.random.Generator, *, longer: float = 0.0, topic: float = 0.3,
    abstained: float = 0.2, season: float = 0.0, made_with: str = "m1",
) -> Profile:  # fmt: skip
    """A week of stories with a few claims each, alike within a story as real ones are."""
    counting = Counting()
    level = r.normal(0.0, 0.05)  # every week has its own way
    for story in range(stories):
        own = r.normal(0.0, 0.3)
        law = r.random() < topic + season
        for _ in range(1 + r.poisson(3)):
            counting.add(str(story), {
                "claim_words": float(np.exp(r.normal(2.9 + own + level + longer, 0.35))),
                "speech": "own_voice" if r.random() < 0.7 + own / 5 else "indirect_quote",
                "topic": "von-gop" if law else "thanh-vien",
                "verdict": "abstained" if r.random() < abstained else "NOT_ENOUGH_INFO",
                "p_refuted": float(r.beta(1.5, 6.0)),
            })  # fmt: skip
    year, name = 2025 + number // 52, number % 52 + 1
    return counting.profile(
        week=f"{year}-W{name:02d}", run_id=f"{number}", outlets=("a", "b"), made_with=made_with
    )


def shifted(now: Profile, past: list[Profile]) -> set[str]:
    return {f.measure for f in findings(now, past) if f.shifted}


@pytest.fixture(scope="module")
def year() -> list[Profile]:
    """Forty weeks of one kind, some of them small, with a season that comes and goes."""
    r = R(20_26)
    return [
        week(n, int(r.integers(25, 350)), r, season=0.06 * float(np.sin(n / 52 * 2 * np.pi)))
        for n in range(40)
    ]


def test_weeks_of_one_kind_raise_no_alarm(year: list[Profile]) -> None:
    assert [shifted(year[n], year[:n]) for n in range(40)] == [set()] * 40


@pytest.mark.parametrize(
    ("shift", "measure"),
    [
        ({"longer": 0.5}, "claim_words"),
        ({"topic": 0.75}, "topic"),
        ({"abstained": 0.6}, "verdict"),
    ],
)
def test_a_planted_shift_is_found_and_nothing_else(
    year: list[Profile], shift: dict[str, float], measure: str
) -> None:
    now = week(45, 300, R(1), **shift)  # type: ignore[arg-type]
    assert shifted(now, year) == {measure}
    (found,) = [f for f in findings(now, year) if f.shifted]
    assert found.line().startswith(f"{found.kind}_drift: {measure}: PSI ")
    assert found.moved


def test_a_small_week_claims_nothing(year: list[Profile]) -> None:
    for f in findings(week(45, 40, R(1), longer=1.0), year):
        assert not f.shifted
        assert f.psi is None
        assert "nothing is claimed" in f.why


def test_too_few_weeks_claim_nothing(year: list[Profile]) -> None:
    large = [p for p in year if p.stories["topic"] >= drift.FEWEST]
    now = week(45, 300, R(1), longer=1.0)
    assert all(f.psi is None for f in findings(now, large[:3]))
    assert "claim_words" in shifted(now, large[:6])


def test_another_model_is_no_drift(year: list[Profile]) -> None:
    now = week(45, 300, R(1), abstained=0.8, made_with="m2")
    assert shifted(now, year) == set()
    by_name = {f.measure: f for f in findings(now, year)}
    assert by_name["verdict"].psi is None
    assert by_name["topic"].psi is not None


def test_other_outlets_are_no_reference(year: list[Profile]) -> None:
    now = replace(week(45, 300, R(1), longer=1.0), outlets=("c",))
    assert reference(now, year) == []
    assert shifted(now, year) == set()


def test_the_reference_is_the_last_weeks_and_the_season_a_year_ago() -> None:
    r = R(3)
    every = [week(n, 30, r) for n in range(60)]
    now = week(58, 30, r)  # 2026-W07
    weeks = [p.week for p in reference(now, every)]
    assert weeks[-1] == "2026-W06"
    assert weeks[: -drift.WEEKS] == ["2025-W05", "2025-W06", "2025-W07", "2025-W08", "2025-W09"]
    twice = [*every, replace(every[57], run_id="more", claims=10_000)]
    assert reference(now, twice)[-1].run_id == "more"


def test_weeks_that_swing_need_a_larger_shift() -> None:
    """The same shift is found among steady weeks and not among weeks that do that themselves."""
    r = R(5)
    steady = [week(n, 300, r) for n in range(12)]
    swinging = [week(n, 300, r, topic=(0.1, 0.75)[n % 2]) for n in range(12)]
    now = week(13, 300, r, topic=0.7)
    assert "topic" in shifted(now, steady)
    assert "topic" not in shifted(now, swinging)


def test_a_story_of_many_claims_counts_once() -> None:
    counting = Counting()
    for _ in range(99):
        counting.add("long", {"topic": "a"})
    counting.add("short", {"topic": "b"})
    counting.add("both", {"topic": "a"})
    counting.add("both", {"topic": "b"})
    made = counting.profile(week="2026-W01", run_id="r", outlets=(), made_with="")
    assert made.bins["topic"] == {"a": 1.5, "b": 1.5}
    assert made.stories["topic"] == 3
    assert made.claims == 102
    assert Profile.of(made.as_dict()) == made


@given(st.lists(st.integers(0, 50), min_size=2, max_size=9), st.integers(0, 2**31))
def test_psi_and_distance_are_what_they_are_called(counts: list[int], seed: int) -> None:
    a = np.array(counts, dtype=np.float64)
    b = R(seed).integers(0, 50, len(counts)).astype(np.float64)
    assert psi(a, a) == pytest.approx(0.0)
    assert psi(a, b) >= 0.0
    assert psi(a, b) == pytest.approx(psi(b, a))
    if a.sum() and b.sum():
        one, other = (np.repeat(np.arange(len(x)), x.astype(int)) for x in (a, b))
        assert distance(a, b) == pytest.approx(ks_2samp(one, other).statistic)


def test_psi_of_equal_shares_is_chi_squared() -> None:
    r = R(7)
    p = np.array([0.1, 0.2, 0.3, 0.25, 0.15])
    found = [
        psi(r.multinomial(400, p).astype(float), r.multinomial(4_000, p).astype(float))
        / (1 / 400 + 1 / 4_000)
        for _ in range(2_000)
    ]
    assert np.mean(found) == pytest.approx(4.0, abs=0.3)
    assert np.mean(np.array(found) > chi2.isf(0.05, 4)) == pytest.approx(0.05, abs=0.02)


def test_a_bin_of_only_this_week_is_seen() -> None:
    r = R(9)
    past = [week(n, 200, r) for n in range(8)]
    now = week(9, 200, r)
    bins = {b: v * 0.6 for b, v in now.bins["topic"].items()} | {"dat-dai": 80.0}
    now = replace(now, bins={**now.bins, "topic": bins})
    found = compare(drift.BY_NAME["topic"], now, past)
    assert found.shifted
    assert found.moved[0][0] == "dat-dai"


def test_no_measure_is_of_an_outlet_or_a_person() -> None:
    names = " ".join(m.name for m in drift.MEASURES)
    assert not any(word in names for word in ("outlet", "author", "reviewer", "person", "name"))
