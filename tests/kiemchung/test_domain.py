"""The domain refuses what would let a failure pass for a result."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiemchung import domain
from kiemchung.domain import (
    Accounting,
    Evidence,
    Judgement,
    Label,
    NeiReason,
    Status,
    digest,
)

OK: dict[str, Any] = {
    "judgement_id": "j",
    "mention_id": "m",
    "run_id": "r",
    "model_id": "x",
    "base_version": "b",
    "threshold": 0.9,
    "status": Status.OK,
    "label": Label.REFUTED,
    "nei_reason": None,
    "p_supported": 0.02,
    "p_refuted": 0.95,
    "p_nei": 0.03,
    "flagged": True,
    "evidence": (Evidence(passage_id="p", passage_sha256="0", rank=0, score=1.0, on_point=True),),
}


def test_a_whole_judgement_is_accepted() -> None:
    assert Judgement(**OK).flagged


@pytest.mark.parametrize(
    "change",
    [
        {"label": None},
        {"status": Status.ABSTAINED},
        {"status": Status.FAILED, "error": "x"},
        {"p_refuted": None},
        {"p_refuted": 0.5},
        {"label": Label.SUPPORTED},
        {"evidence": ()},
        {"error": "a failure that calls itself ok"},
        {"status": Status.FAILED, "label": None, "flagged": False, "evidence": ()},
    ],
)
def test_every_other_combination_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Judgement(**(OK | change))


def test_failed_abstained_and_silent_are_three_values() -> None:
    nothing = {"label": None, "p_supported": None, "p_refuted": None, "p_nei": None}
    bare = OK | nothing | {"flagged": False, "evidence": ()}
    failed = Judgement(**(bare | {"status": Status.FAILED, "error": "model file gone"}))
    abstained = Judgement(**(bare | {"status": Status.ABSTAINED}))
    silent = Judgement(
        **(
            OK
            | {"label": Label.NOT_ENOUGH_INFO, "flagged": False, "nei_reason": NeiReason.NOT_FOUND}
        )
    )
    assert len({failed.status, abstained.status, silent.status}) == 3


def test_values_cannot_be_changed_or_extended() -> None:
    judgement = Judgement(**OK)
    with pytest.raises(dataclasses.FrozenInstanceError):
        judgement.flagged = False  # type: ignore[misc]
    with pytest.raises((AttributeError, TypeError)):
        judgement.note = "x"  # type: ignore[attr-defined]


def test_nothing_in_the_domain_scores_a_person_or_an_outlet() -> None:
    named = ("author", "speaker", "person", "byline")
    for value in vars(domain).values():
        if dataclasses.is_dataclass(value):
            fields = {f.name for f in dataclasses.fields(value)}
            assert not [f for f in fields if any(n in f for n in named)], value
            assert not [f for f in fields if "outlet" in f and f not in ("outlet", "outlets")]


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_digests_differ_when_parts_or_their_boundaries_differ(a: list[str], b: list[str]) -> None:
    assert (digest(*a) == digest(*b)) == (a == b)


def test_a_digest_survives_a_lone_surrogate() -> None:
    assert len(digest("\ud800")) == 32


def test_sums_that_match_say_nothing_and_others_say_which() -> None:
    good = Accounting(
        discovered=10, fetched=6, unchanged=1, refused={"robots": 1}, failed={"http_404": 1},
        pending=1, stored=4, duplicate=1, quarantined={"empty": 1},
    )  # fmt: skip
    assert good.mismatches() == ()
    assert "discovered 11" in dataclasses.replace(good, discovered=11).mismatches()[0]
    assert "fetched 6" in dataclasses.replace(good, stored=3).mismatches()[0]
