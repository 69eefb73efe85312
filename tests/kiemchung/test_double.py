"""Planned double review: drawn by hash, blind everywhere, settled by somebody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kiemchung.domain import Decision
from kiemchung.errors import InputError
from kiemchung.store import Account, Store, open_store
from kiemchung.store.double import Cause, adjudicate, causes, disputes, double_units
from kiemchung.store.inbox import write_batch
from kiemchung.store.outlook import week_samples
from kiemchung.store.people import HIDDEN
from kiemchung.store.reopening import Replaced, marks, reopen, withdraw
from tests.batches import NEW_PASSAGE, batch

CITED = [NEW_PASSAGE.passage_id]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Every claim of the queue is planned for two."""
    with open_store(tmp_path / "k.duckdb", double_share=1.0) as opened:
        staff(opened)
        write_batch(tmp_path / "inbox", batch(flags=3, copies=1, quiet=20))
        opened.merge_inbox(tmp_path / "inbox")
        yield opened


def staff(store: Store) -> None:
    """Two who may review: without them nothing is planned for two."""
    for name in ("mot", "hai"):
        store.add_user(name)


def sign_up(store: Store, name: str, role: str = "reviewer") -> Account:
    account = store.authenticate(name, store.add_user(name, role=role))
    assert account is not None
    return account


def conclude(store: Store, who: Account, key: int, decision: Decision) -> int:
    cited = CITED if decision is Decision.REFUTED else ()
    review = store.decide(
        who, key, decision, form_token=f"{who.name}{key}{decision}", cited_passages=cited
    )
    assert review is not None
    return review


def test_the_share_is_drawn_by_hash_and_a_repeat_draws_the_same(tmp_path: Path) -> None:
    drawn = []
    for folder in ("a", "b"):
        with open_store(tmp_path / folder / "k.duckdb", double_share=0.3) as store:
            staff(store)
            for _ in range(2):
                write_batch(tmp_path / folder, batch(flags=60, copies=0, quiet=0))
                store.merge_inbox(tmp_path / folder)
            rows = store._read("SELECT claim_id, probability FROM double_review ORDER BY ALL")
            drawn.append([(r["claim_id"], r["probability"]) for r in rows])
    assert drawn[0] == drawn[1]
    assert 8 <= len(drawn[0]) <= 30  # 18 expected
    assert len(set(drawn[0])) == len(drawn[0])
    assert {p for _, p in drawn[0]} == {0.3}


def test_one_person_alone_decides_alone(tmp_path: Path) -> None:
    with open_store(tmp_path / "k.duckdb", double_share=1.0) as store:
        an, _ = sign_up(store, "an"), sign_up(store, "xem", "reader")
        for expected in (0, 4):
            write_batch(tmp_path / "inbox", batch(flags=3, copies=1, quiet=0))
            store.merge_inbox(tmp_path / "inbox")
            (row,) = store._read("SELECT count(*) AS n FROM double_review")
            assert row["n"] == expected
            if not expected:
                store.add_user("binh")
        assert len(store.queue(an)) == 3


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, 4)])
def test_the_ends_of_the_share(tmp_path: Path, share: float, expected: int) -> None:
    with open_store(tmp_path / "k.duckdb", double_share=share) as store:
        staff(store)
        write_batch(tmp_path / "inbox", batch(flags=3, copies=1, quiet=0))
        store.merge_inbox(tmp_path / "inbox")
        (row,) = store._read("SELECT count(*) AS n FROM double_review")
        assert row["n"] == expected


def test_what_was_decided_before_is_not_drawn_afterwards(tmp_path: Path) -> None:
    with open_store(tmp_path / "k.duckdb", double_share=0.0) as store:
        write_batch(tmp_path / "inbox", batch(flags=3, copies=1, quiet=0))
        store.merge_inbox(tmp_path / "inbox")
        an = sign_up(store, "an")
        staff(store)
        first = store.queue(an)[0]
        conclude(store, an, first.mention_key, Decision.SUPPORTED)
        store.double_share = 1.0
        write_batch(tmp_path / "inbox", batch(flags=3, copies=1, quiet=0))
        store.merge_inbox(tmp_path / "inbox")
        claims = {r["claim_id"] for r in store._read("SELECT claim_id FROM double_review")}
        assert first.claim_id not in claims
        assert len(claims) == 2
        assert store.flags()[0].decision is Decision.SUPPORTED  # and it still holds


def test_the_second_reviewer_meets_the_first_conclusion_nowhere(store: Store) -> None:
    an, binh, quan = sign_up(store, "an"), sign_up(store, "binh"), sign_up(store, "quan", "admin")
    key = store.queue(an)[0].mention_key
    conclude(store, an, key, Decision.CONFLICTING)
    assert key not in {e.mention_key for e in store.queue(an)}  # not oneself twice
    entry = store.queue(binh)[0]
    assert entry.mention_key == key
    assert entry.decision is None
    for view in ("all", "flagged", "decided"):
        assert all(e.decision is None for e in store.queue(binh, view=view))
    item = store.item(key)
    assert item is not None
    assert item.decision is None
    copy = item.copies[0].mention_key
    assert all(c.decision is None for c in item.copies)
    beside = store.item(copy)
    assert beside is not None
    assert all(c.decision is None for c in beside.copies)  # nor in the history of the claim
    assert all(f.decision is None for f in store.flags())
    assert store.week_counts("2026-W40").decisions == {}
    assert store.counts()["decided"] == 0
    for who in (binh, quan):
        rows = [r for r in store.audit_trail(who) if r.action == "concluded"]
        assert [r.after for r in rows] == [HIDDEN]
    assert [r.after for r in store.audit_trail(an) if r.action == "concluded"] == ["CONFLICTING"]


def test_two_who_agree_decide_and_a_third_is_not_asked(store: Store) -> None:
    an, binh, chi = (sign_up(store, n) for n in ("an", "binh", "chi"))
    key = store.queue(an)[0].mention_key
    conclude(store, an, key, Decision.REFUTED)
    conclude(store, binh, key, Decision.REFUTED)
    assert store.flags()[0].decision is Decision.REFUTED
    assert key not in {e.mention_key for e in store.queue(chi)}
    assert disputes(store) == []
    assert store.undo(binh) == key
    assert store.flags()[0].decision is None
    assert store.queue(chi)[0].mention_key == key


def test_a_disagreement_waits_for_an_adjudicator_and_is_settled_once(store: Store) -> None:
    an, binh = sign_up(store, "an"), sign_up(store, "binh")
    judge = sign_up(store, "phan", "adjudicator")
    key = store.queue(an)[0].mention_key
    one = conclude(store, an, key, Decision.REFUTED)
    other = conclude(store, binh, key, Decision.SUPPORTED)
    assert store.flags()[0].decision is None
    assert key not in {e.mention_key for e in store.queue(judge)}
    (dispute,) = disputes(store)
    assert [(o.reviewer, o.decision) for o in dispute.opinions] == [
        ("an", Decision.REFUTED),
        ("binh", Decision.SUPPORTED),
    ]
    facts = {"cause": Cause.OTHER_DAY, "form_token": "j", "cited_passages": CITED}
    with pytest.raises(InputError, match="no adjudicator"):
        adjudicate(store, an, key, Decision.REFUTED, **facts)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="settles nothing"):
        adjudicate(store, judge, key, Decision.SKIPPED, **facts)  # type: ignore[arg-type]
    review = adjudicate(store, judge, key, Decision.REFUTED, reason="ngày", **facts)  # type: ignore[arg-type]
    assert review is not None
    assert adjudicate(store, judge, key, Decision.REFUTED, **facts) is None  # type: ignore[arg-type]
    assert store.flags()[0].decision is Decision.REFUTED
    assert disputes(store) == []
    assert causes(store) == {Cause.OTHER_DAY: 1}
    assert [r.review_id for r in store.reviews()] == [one, other, review]  # nothing was changed
    with pytest.raises(InputError, match="nothing to settle"):
        adjudicate(store, judge, key, Decision.SUPPORTED, cause=Cause.SLIP, form_token="k")
    (unit,) = double_units(store)
    assert unit.final == {"an": "REFUTED", "binh": "SUPPORTED"}  # the judge is no third reviewer
    assert store.undo(judge) == key
    assert store.flags()[0].decision is None
    assert len(disputes(store)) == 1
    assert causes(store) == {}


def test_a_party_does_not_settle_its_own_case(store: Store) -> None:
    an, judge = sign_up(store, "an"), sign_up(store, "phan", "adjudicator")
    key = store.queue(an)[0].mention_key
    conclude(store, an, key, Decision.SUPPORTED)
    conclude(store, judge, key, Decision.CONFLICTING)
    with pytest.raises(InputError, match="parties"):
        adjudicate(store, judge, key, Decision.SUPPORTED, cause=Cause.SLIP, form_token="j")


def test_a_withdrawn_conclusion_counts_no_more_and_says_why(store: Store) -> None:
    an, binh = sign_up(store, "an"), sign_up(store, "binh")
    judge = sign_up(store, "phan", "adjudicator")
    key = store.queue(an)[0].mention_key
    review = conclude(store, an, key, Decision.SUPPORTED)
    with pytest.raises(InputError, match="reason"):
        withdraw(store, an, review, "  ")
    with pytest.raises(InputError, match="no such"):
        withdraw(store, binh, review, "không phải của tôi")
    assert withdraw(store, judge, review, "nhầm bài") == key
    with pytest.raises(InputError, match="no such"):
        withdraw(store, an, review, "hai lần")
    mark = marks(store, [review])[review]
    assert (mark.cause, mark.reason, mark.by) == ("withdrawn", "nhầm bài", "phan")
    waiting = store.queue(an)[0]
    assert (waiting.mention_key, waiting.reopened) == (key, "withdrawn")
    assert store.standing_reviews(an) == []
    assert store.audit_trail(judge, most=1)[0].action == "withdrawn"


def test_replaced_evidence_brings_a_decided_claim_back_once(store: Store) -> None:
    an, binh, chi = (sign_up(store, n) for n in ("an", "binh", "chi"))
    key = store.queue(an)[0].mention_key
    for who in (an, binh):
        conclude(store, who, key, Decision.REFUTED)
    change = [Replaced(mention_key=key, reason="điều 4: 5 → 4")]
    assert reopen(store, change) == [key]
    assert store.flags()[0].decision is None
    for who in (an, chi):
        entry = next(e for e in store.queue(who) if e.mention_key == key)
        assert entry.reopened == "evidence_replaced"
    assert reopen(store, change) == []
    for who in (an, chi):
        store.decide(who, key, Decision.SUPPORTED, form_token=f"lại {who.name}")
    assert store.flags()[0].decision is Decision.SUPPORTED
    assert reopen(store, change) == []  # the same change does not open it again
    assert store.flags()[0].decision is Decision.SUPPORTED
    assert reopen(store, [Replaced(mention_key=key, reason="điều 4: 4 → 3")]) == [key]


def test_an_unflagged_claim_comes_back_too(tmp_path: Path) -> None:
    with open_store(tmp_path / "k.duckdb", double_share=0.0) as store:
        write_batch(tmp_path / "inbox", batch(flags=1, copies=0, quiet=40))
        store.merge_inbox(tmp_path / "inbox")
        an = sign_up(store, "an")
        quiet = next(e for e in store.queue(an, view="all") if not e.flagged and not e.sampled)
        conclude(store, an, quiet.mention_key, Decision.SUPPORTED)
        reopen(store, [Replaced(mention_key=quiet.mention_key, reason="thay")])
        assert quiet.mention_key in {e.mention_key for e in store.queue(an)}


def test_a_week_counts_claims_and_weighs_the_sample(tmp_path: Path) -> None:
    with open_store(tmp_path / "k.duckdb", double_share=0.0) as store:
        write_batch(tmp_path / "inbox", batch(flags=2, copies=1, quiet=300))
        store.merge_inbox(tmp_path / "inbox")
        an = sign_up(store, "an")
        flags = store.queue(an, view="flagged")
        conclude(store, an, flags[0].mention_key, Decision.REFUTED)
        sampled = [e for e in store.queue(an) if e.sampled]
        shown = next(e for e in sampled if e.label == "SUPPORTED")
        conclude(store, an, shown.mention_key, Decision.REFUTED)
        conclude(store, an, next(e for e in sampled if e != shown).mention_key, Decision.SUPPORTED)
        (week,) = week_samples(store)
        assert (week.flags, week.flags_decided, week.flags_refuted) == (2, 1, 1)
        assert (week.unflagged, week.drawn) == (300, len(sampled))
        assert week.decided_weights == pytest.approx((20.0, 20.0))
        assert week.refuted_weights == pytest.approx((20.0,))
