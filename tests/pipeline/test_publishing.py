"""What leaves the house: only what a person concluded, nothing refused, nothing disputed."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboards.draft import draft
from kiemchung.domain import Decision, Difference, Distortion
from kiemchung.errors import InputError
from kiemchung.store import Account, Store, open_store
from kiemchung.store.decided import (
    OPT_OUTS,
    CitedPassage,
    Decided,
    Published,
    decided,
    publishable,
)
from kiemchung.store.double import Cause, adjudicate, disputes
from kiemchung.store.inbox import write_batch
from kiemchung.tabular import plain_cell
from pipeline.claimreview import RATINGS, claim_review
from pipeline.export import Imprint, export
from tests.batches import FLAG_CLAIM, NEW_PASSAGE, OLD_PASSAGE, OTHER_PASSAGE, batch
from tests.dashboards.conftest import OUTLETS, PASSWORD, enrol
from tests.schema_org import faults

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "golden"
AT = datetime(2026, 10, 5, 2, 30, tzinfo=UTC)
IMPRINT = Imprint(
    publisher="Nhóm Theo dõi", public_url="https://theodoi.example", outlet_names=OUTLETS
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "k.duckdb") as opened:
        write_batch(tmp_path / "inbox", batch())
        opened.merge_inbox(tmp_path / "inbox")
        yield opened


def person(store: Store, name: str = "an", role: str = "reviewer") -> Account:
    enrol(store, name, role)
    account = store.authenticate(name, PASSWORD)
    assert account is not None
    return account


def conclude(
    store: Store,
    who: Account,
    decision: Decision = Decision.REFUTED,
    number: int = 0,
    kinds: tuple[Distortion, ...] = (),
) -> list[int]:
    """Decide every mention of the entry ``number`` of the flags."""
    entry = store.queue(who, view="flagged")[number]
    for key in entry.mention_keys:
        store.decide(
            who,
            key,
            decision,
            form_token=f"{who.name}{key}{decision}",
            cited_passages=[NEW_PASSAGE.passage_id],
            distortions=kinds,
        )
    return list(entry.mention_keys)


def still(published: Published) -> Published:
    """The same at a fixed moment."""
    places = tuple(replace(p, decided_at=AT) for p in published.places)
    return Published(first=places[0], places=places)


def golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("KIEMCHUNG_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), (
        f"{name} changed; look at it, then run this test with KIEMCHUNG_UPDATE_GOLDEN=1"
    )


def test_nothing_is_published_before_a_person_concluded(store: Store, tmp_path: Path) -> None:
    assert decided(store) == []
    for format_ in ("claimreview", "draft"):
        assert export(store, format_, out=tmp_path / "x").rows == 0
        assert (tmp_path / "x").read_text() == ""


def test_all_at_once_are_what_they_are_one_by_one(store: Store) -> None:
    """Passages, their earlier wordings and differences go to the conclusion that they belong to."""
    an = person(store)
    cited = ([NEW_PASSAGE], [OTHER_PASSAGE, NEW_PASSAGE], [])
    for number, entry in enumerate(list(store.queue(an, view="all"))[:9]):
        store.decide(
            an, entry.mention_key, (Decision.REFUTED, Decision.NOT_ENOUGH_INFO)[number % 3 == 2],
            form_token=f"t{number}", cited_passages=[p.passage_id for p in cited[number % 3]],
        )  # fmt: skip
    every = decided(store)
    assert len(every) >= 9
    assert every == [d for e in every for d in decided(store, mention_key=e.mention_key)]
    assert {tuple(p.passage_id for p in d.cited) for d in every} == {
        tuple(p.passage_id for p in passages) for passages in cited
    }
    assert {p.before.passage_id for d in every for p in d.cited if p.before} == {
        OLD_PASSAGE.passage_id
    }
    assert {bool(d.differences) for d in every} == {True, False}


def test_what_was_skipped_or_undone_is_not_concluded(store: Store) -> None:
    an = person(store)
    keys = conclude(store, an, Decision.SKIPPED)
    assert decided(store) == []
    conclude(store, an, Decision.REFUTED)
    assert [d.mention_key for d in decided(store)] == sorted(keys)
    for _ in keys:
        store.undo(an)
    assert decided(store) == []


def test_the_draft_is_the_golden_one_and_holds_only_data(store: Store) -> None:
    conclude(store, person(store))
    (found,) = publishable(decided(store, week="2026-W40")).found
    text = draft(still(found), outlet_names=OUTLETS)
    assert text is not None
    golden("draft.txt", text)
    for told in (FLAG_CLAIM, NEW_PASSAGE.text, NEW_PASSAGE.citation, OLD_PASSAGE.text):
        assert told in text
    assert "hiệu lực từ 1/7/2013 đến 30/6/2024" in text
    assert "“7 thành viên” thành “5 thành viên”" in text
    assert "tin giả" not in text.lower()
    assert "xuyên tạc" not in text.lower()


def test_a_draft_tells_only_the_kinds_that_the_reviewer_named(store: Store) -> None:
    conclude(store, person(store), kinds=(Distortion.CONDITION_DROPPED,))
    (found,) = publishable(decided(store)).found
    text = draft(found)
    assert text is not None
    assert "Bỏ điều kiện: khẳng định không nói “chính thức”." in text
    assert "Số liệu" not in text
    assert "SỬA NHỎ NHẤT" not in text


@pytest.mark.parametrize("decision", [d for d in Decision if d not in ("REFUTED", "SKIPPED")])
def test_only_a_contradiction_becomes_a_draft(store: Store, decision: Decision) -> None:
    conclude(store, person(store), decision)
    (found,) = publishable(decided(store)).found
    assert draft(found) is None
    assert (claim_review(found, IMPRINT) is not None) == (decision in RATINGS)


def test_the_claim_review_is_the_golden_one_and_valid(store: Store) -> None:
    conclude(store, person(store))
    (found,) = publishable(decided(store)).found
    review = claim_review(still(found), IMPRINT)
    assert review is not None
    golden("claimreview.json", json.dumps(review, ensure_ascii=False, indent=1) + "\n")
    assert faults(review) == []
    assert len(review["itemReviewed"]["appearance"]) == 2  # the copy is part of it
    said = json.dumps(review["itemReviewed"], ensure_ascii=False)
    assert "author" not in said  # the claim's author is left out on purpose
    assert "p_refuted" not in said
    assert "ratingValue" not in json.dumps(review)


def test_the_validator_finds_faults() -> None:
    good = json.loads((GOLDEN / "claimreview.json").read_text(encoding="utf-8"))
    assert faults(good) == []
    for name in ("claimReviewed", "itemReviewed", "reviewRating", "@context", "datePublished"):
        assert faults({k: v for k, v in good.items() if k != name}), name
    assert faults(good | {"claimreviewed": "x"})
    assert faults(good | {"datePublished": "2026-10-05"})
    assert faults(good | {"itemReviewed": good["itemReviewed"] | {"datePublished": None}})
    assert faults(good | {"citation": [{"@type": "CreativeWork", "url": "javascript:x"}]})
    assert faults(good | {"citation": []})
    assert faults(good | {"author": {"@type": "Person", "name": "x"}})


links = st.sampled_from(
    ["https://a.example/1", "javascript:alert(1)", "data:text/html,x", "", "http://a b/", "/x"]
)
words = st.text(min_size=1, max_size=20).filter(lambda t: bool(t.strip()))
passages = st.builds(
    CitedPassage,
    passage_id=st.sampled_from(["p1", "p2"]),
    text=words,
    citation=words,
    valid_from=st.dates(date(1990, 1, 1), date(2020, 1, 1)),
    valid_to=st.none() | st.dates(date(2020, 1, 2), date(2026, 1, 1)),
    url=links,
    as_of=st.none(),
)
rows = st.builds(
    Decided,
    mention_key=st.integers(1, 9),
    mention_id=words,
    claim_id=st.sampled_from(["a", "b"]),
    claim=words,
    as_of=st.just(date(2026, 1, 1)),
    outlet=words,
    url=links,
    title=st.text(max_size=10).map(str.strip),
    published_at=st.none() | st.just(AT),
    decision=st.sampled_from([d for d in Decision if d is not Decision.SKIPPED]),
    decided_at=st.just(AT),
    distortions=st.just(()),
    cited=st.lists(passages, max_size=2).map(tuple),
    correction=st.just("") | words,
    differences=st.lists(
        st.builds(Difference, kind=st.sampled_from(Distortion), claim=words, evidence=words),
        max_size=2,
    ).map(tuple),
    opt_outs=st.lists(st.sampled_from([*OPT_OUTS, "noimageai"]), max_size=1).map(tuple),
    disputed=st.booleans(),
)


@settings(max_examples=60)
@given(st.lists(rows, max_size=6))
def test_every_claim_review_is_valid_and_every_conclusion_is_accounted_for(
    given_: list[Decided],
) -> None:
    found = publishable(given_)
    shown = sum(len(p.places) for p in found.found)
    assert shown + found.opted_out + found.disputed == len(given_)
    for published in found.found:
        assert not any(p.refused or p.disputed for p in published.places)
        review = claim_review(published, IMPRINT)
        if review is not None:
            assert faults(review) == []
        text = draft(published)
        assert (text is not None) == (
            published.first.decision is Decision.REFUTED and bool(published.first.cited)
        )
        if text is not None:
            assert "javascript:" not in text.replace(published.first.claim, "")


def test_foreign_text_cannot_add_a_heading_to_a_draft(store: Store) -> None:
    conclude(store, person(store))
    (found,) = publishable(decided(store)).found
    evil = "x\n\nKẾT LUẬN CỦA NGƯỜI DUYỆT (1/1/2026)\nNgười viết nói dối {{ 7 * 7 }}"
    first = replace(found.first, claim=evil, title=evil, outlet=evil)
    text = draft(Published(first=first, places=(first,)))
    assert text is not None
    assert text.count("\nKẾT LUẬN CỦA NGƯỜI DUYỆT") == 1
    assert "{{ 7 * 7 }}" in text  # data, never a template


def test_reviewers_who_differ_hold_a_conclusion_back_until_it_is_adjudicated(
    store: Store, tmp_path: Path
) -> None:
    an, binh = person(store), person(store, "binh")
    conclude(store, an, Decision.REFUTED)
    conclude(store, binh, Decision.SUPPORTED)
    found = publishable(decided(store))
    assert (found.found, found.disputed) == ((), 2)
    done = export(store, "claimreview", out=tmp_path / "a", imprint=IMPRINT)
    assert (done.rows, done.disputed) == (0, 2)
    chi = person(store, "chi", "adjudicator")
    for dispute in disputes(store):
        adjudicate(
            store,
            chi,
            dispute.mention_key,
            Decision.REFUTED,
            cause=Cause.SLIP,
            form_token=f"j{dispute.mention_key}",
            cited_passages=[NEW_PASSAGE.passage_id],
        )
    found = publishable(decided(store))
    assert found.disputed == 0
    assert [p.first.decision for p in found.found] == [Decision.REFUTED]


def test_pages_that_refuse_stay_out_of_every_format(tmp_path: Path) -> None:
    given_ = batch(flags=1, copies=1, quiet=3)
    quiet_page = replace(given_.articles[1], opt_outs=("noarchive",), noarchive=True)
    with open_store(tmp_path / "k.duckdb") as store:
        write_batch(
            tmp_path / "inbox",
            replace(given_, articles=(given_.articles[0], quiet_page, *given_.articles[2:])),
        )
        store.merge_inbox(tmp_path / "inbox")
        conclude(store, person(store))
        for format_ in ("csv", "parquet", "jsonl", "claimreview", "draft"):
            out = tmp_path / format_
            done = export(store, format_, out=out, imprint=IMPRINT)
            assert (done.rows, done.left_out) == (1, 1), format_
            if format_ != "parquet":
                assert quiet_page.url not in out.read_text(encoding="utf-8"), format_
            else:
                assert quiet_page.url not in pq.read_table(out)["url"].to_pylist()


def test_formulas_in_a_claim_come_back_as_they_were(tmp_path: Path) -> None:
    given_ = batch(flags=1, copies=0, quiet=0)
    evil = '=HYPERLINK("http://x";"y")'
    page = replace(given_.articles[0], title=evil)
    shift = len(evil) - len(given_.articles[0].title)
    moved = tuple(replace(m, start=m.start + shift, end=m.end + shift) for m in given_.mentions)
    with open_store(tmp_path / "k.duckdb") as store:
        write_batch(tmp_path / "inbox", replace(given_, articles=(page,), mentions=moved))
        store.merge_inbox(tmp_path / "inbox")
        export(store, "csv", out=tmp_path / "a.csv")
        (row,) = csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text(encoding="utf-8")))
        assert row["title"].startswith("'=")
        assert plain_cell(row["title"]) == evil
        assert float(row["p_refuted"]) == pytest.approx(0.95)
        export(store, "jsonl", out=tmp_path / "a.jsonl")
        assert json.loads((tmp_path / "a.jsonl").read_text())["title"] == evil  # data is data


def test_one_claim_can_be_asked_for(store: Store, tmp_path: Path, capsys: Any) -> None:
    an = person(store)
    conclude(store, an, number=0)
    conclude(store, an, number=1)
    rows = decided(store)
    assert export(store, "draft", out=tmp_path / "a").rows == 2
    done = export(store, "draft", out=None, mention=rows[-1].mention_id)
    assert done.rows == 1
    assert rows[-1].claim in capsys.readouterr().out
    with pytest.raises(InputError, match="concluded"):
        export(store, "draft", out=None, mention="nobody")
    with pytest.raises(InputError, match="mention"):
        export(store, "jsonl", out=None, mention="nobody")
