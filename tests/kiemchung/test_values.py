"""Values cannot drift: frozen, slotted, named by keyword; and stored words stay what they are."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
from dataclasses import replace
from datetime import date
from enum import StrEnum
from types import ModuleType

import pytest

from kiemchung import domain
from kiemchung.domain import (
    LABEL_ORDER,
    Accounting,
    Article,
    Difference,
    Distortion,
    Judgement,
    Label,
    Passage,
    Review,
    Run,
    Status,
    digest,
    sha256_hex,
)
from tests.batches import NEW_PASSAGE, OLD_PASSAGE, article, batch, flag, mention

MODULES = (
    "kiemchung.domain", "kiemchung.reference.loader", "kiemchung.store.inbox", "nlp.quantities",
    "crawler.ledger", "models.comparison",
)  # fmt: skip
POSITIONAL = {"_Row", "Token", "Side", "Numbers"}
"""Small tuples with names, made in one place each."""


def own(module: ModuleType) -> list[type]:
    found = [
        v for v in vars(module).values() if isinstance(v, type) and dataclasses.is_dataclass(v)
    ]
    return [v for v in found if v.__module__ == module.__name__]


@pytest.mark.parametrize("name", MODULES)
def test_every_value_is_frozen_slotted_and_named_by_keyword(name: str) -> None:
    found = own(importlib.import_module(name))
    for cls in found:
        params = cls.__dataclass_params__  # type: ignore[attr-defined]
        assert params.frozen, cls
        assert "__slots__" in vars(cls), cls
        if cls.__name__ not in POSITIONAL:
            assert all(f.kw_only for f in dataclasses.fields(cls)), cls


WORDS = {
    "nlp.quantities": {
        "Bound": "exact at_least at_most more_than less_than about range",
        "QuantityKind": "count money percent percentage_point area mass length duration times ordinal age bare",
        "Relation": "equal contradicts narrower wider other_unit unrelated",
    },
    "crawler.ledger": {
        "State": "discovered leased fetched unchanged moved gone refused failed",
        "Kind": "feed sitemap listing search page",
    },
    "kiemchung.domain": {
        "Label": "SUPPORTED REFUTED NOT_ENOUGH_INFO CONFLICTING",
        "Status": "ok abstained failed",
        "NeiReason": "not_found not_in_force insufficient other_series",
        "Checkability": "CHECKABLE OPINION FORECAST EXPERIENCE UNDERSPECIFIED",
        "Speech": "own_voice direct_quote indirect_quote headline rebuttal",
        "PassageKind": "statute statistic",
        "AsOfMethod": "publication named_date named_law unknown",
        "Decision": "REFUTED SUPPORTED NOT_ENOUGH_INFO CONFLICTING UNCHECKABLE SKIPPED",
    },
}
"""As they stand in stores, archives and exports: another word would be another value there."""


@pytest.mark.parametrize("name", WORDS)
def test_stored_words_never_change(name: str) -> None:
    module = importlib.import_module(name)
    for cls, words in WORDS[name].items():
        kind: type[StrEnum] = getattr(module, cls)
        assert {str(v) for v in kind} == set(words.split())
        assert all(v.name == v.value.upper() for v in kind)


def test_the_ten_distortions_are_among_the_stored_words() -> None:
    ten = (
        "number date actor negation condition_dropped exaggeration merge_split out_of_context"
        " wrong_source law_expired"
    )
    assert set(ten.split()) <= {str(d) for d in Distortion}
    assert all(d.name == d.value.upper() for d in Distortion)


def test_probabilities_stand_in_one_order() -> None:
    assert LABEL_ORDER == (Label.SUPPORTED, Label.REFUTED, Label.NOT_ENOUGH_INFO)


def test_hashes_are_those_of_every_machine() -> None:
    assert sha256_hex(b"a") == hashlib.sha256(b"a").hexdigest()
    plain = hashlib.sha256((1).to_bytes(8, "big") + b"a" + (2).to_bytes(8, "big") + "é".encode())
    assert digest("a", "é") == plain.hexdigest()[:32]
    assert digest("\ud800") == hashlib.sha256(b"\0" * 7 + b"\3\xed\xa0\x80").hexdigest()[:32]


def test_the_hash_of_a_passage_is_of_what_is_seen() -> None:
    seen = (NEW_PASSAGE.citation, NEW_PASSAGE.text, "2024-07-01", "")
    assert NEW_PASSAGE.sha256 == hashlib.sha256("\x1f".join(seen).encode()).hexdigest()
    assert OLD_PASSAGE.valid_to is not None
    old = (OLD_PASSAGE.citation, OLD_PASSAGE.text, "2013-07-01", "2024-07-01")
    assert OLD_PASSAGE.sha256 == hashlib.sha256("\x1f".join(old).encode()).hexdigest()
    assert replace(NEW_PASSAGE, checked="khác", topic="khác").sha256 == NEW_PASSAGE.sha256


def test_the_text_of_an_article_has_no_empty_parts() -> None:
    whole = article(1, sentences=("Một câu.",))
    assert whole.text == f"{whole.title}\n\n{whole.lead}\n\n{whole.body}"
    assert replace(whole, lead="").text == f"{whole.title}\n\n{whole.body}"
    assert replace(whole, title="", body="").text == whole.lead


def test_what_is_not_said_is_nothing() -> None:
    """The defaults: nothing is withheld, copied, superseded or undone that nobody named."""

    def defaults(cls: type) -> dict[str, object]:
        found = {}
        for f in dataclasses.fields(cls):
            if f.default is not dataclasses.MISSING:
                found[f.name] = f.default
            elif f.default_factory is not dataclasses.MISSING:
                found[f.name] = f.default_factory()
        return found

    assert defaults(Article) == {
        "noarchive": False, "opt_outs": (), "about_cooperatives": False, "topic_reason": "",
        "story_id": "", "copied_from": "",
    }  # fmt: skip
    assert defaults(Passage) == {
        "excludes": (), "conditions": (), "supersedes": "", "series": "", "unit": "",
        "as_of": None, "checked": "",
    }  # fmt: skip
    assert defaults(Difference) == {"start": -1, "end": -1}
    assert defaults(Judgement) == {"evidence": (), "differences": (), "error": ""}
    assert defaults(Review) == {"undoes": None}
    assert {"alarms": (), "health": ()}.items() <= defaults(Run).items()
    assert defaults(Accounting) == {
        "discovered": 0, "fetched": 0, "unchanged": 0, "refused": {}, "failed": {}, "pending": 0,
        "stored": 0, "duplicate": 0, "quarantined": {},
    }  # fmt: skip
    assert defaults(domain.OutletHealth) == {"alarms": ()}


def test_a_refusal_of_a_judgement_says_what_does_not_fit() -> None:
    found = flag(mention(batch().articles[0], batch().mentions[0].text), run_id="r")
    with pytest.raises(ValueError, match="status abstained with label REFUTED"):
        replace(found, status=Status.ABSTAINED)
    replace(found, p_supported=found.p_supported + 0.0009)  # type: ignore[operator]
    with pytest.raises(ValueError, match="do not sum to 1"):
        replace(found, p_supported=found.p_supported + 0.0011)  # type: ignore[operator]
    with pytest.raises(ValueError, match="do not sum to 1"):
        replace(found, p_nei=None, p_supported=1 - found.p_refuted)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"discovered": 9}, ["discovered 9, but 10 ended in a named state"]),
        ({"stored": 5}, ["fetched 6, but 7 stored, duplicate or quarantined"]),
        ({"refused": {}}, ["discovered 10, but 9 ended in a named state"]),
        ({"failed": {"a": 1, "b": 1}}, ["discovered 10, but 11 ended in a named state"]),
        ({"unchanged": 0}, ["discovered 10, but 9 ended in a named state"]),
        ({"pending": 0}, ["discovered 10, but 9 ended in a named state"]),
        ({"duplicate": 0}, ["fetched 6, but 5 stored, duplicate or quarantined"]),
        ({"quarantined": {}}, ["fetched 6, but 5 stored, duplicate or quarantined"]),
    ],
)
def test_each_part_of_a_sum_counts_once(change: dict[str, object], words: list[str]) -> None:
    good = Accounting(
        discovered=10, fetched=6, unchanged=1, refused={"robots": 1}, failed={"http_404": 1},
        pending=1, stored=4, duplicate=1, quarantined={"empty": 1},
    )  # fmt: skip
    assert list(replace(good, **change).mismatches()) == words  # type: ignore[arg-type]


def test_a_passage_holds_from_its_first_day_to_the_day_before_its_end() -> None:
    from kiemchung.reference.loader import holds, in_force

    for day, held in (
        (date(2013, 6, 30), []), (date(2013, 7, 1), [OLD_PASSAGE]),
        (date(2024, 6, 30), [OLD_PASSAGE]), (date(2024, 7, 1), [NEW_PASSAGE]),
    ):  # fmt: skip
        assert in_force((OLD_PASSAGE, NEW_PASSAGE), day) == held
        assert [p for p in (OLD_PASSAGE, NEW_PASSAGE) if holds(p, day)] == held
