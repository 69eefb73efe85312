"""The monitor's counts against weeks that were made to be counted, and the corrections ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kiemchung.domain import Decision, Distortion, NeiReason
from kiemchung.errors import InputError
from kiemchung.store import Account, Store, open_store
from kiemchung.store.corrections import (
    MAX_REQUEST,
    Outcome,
    add,
    corrections,
    resolve,
    reversals,
)
from kiemchung.store.inbox import write_batch
from kiemchung.store.monitor import Monitor
from tests.batches import FLAG_CLAIM, NEW_PASSAGE, batch
from tests.dashboards.conftest import PASSWORD, enrol
from tests.later import later

WEEKS = ("2026-W38", "2026-W39", "2026-W40")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Account]]:
    """Three weeks: 1, 2 and 3 flagged claims; the claims of a week come back in the next."""
    folder = tmp_path_factory.mktemp("monitor")
    with open_store(folder / "k.duckdb") as store:
        for number, week in enumerate(WEEKS):
            write_batch(
                folder / "inbox",
                later(batch(week=week, flags=1 + number, copies=1, quiet=7), number),
            )
            store.merge_inbox(folder / "inbox")
        enrol(store, "an", "adjudicator")
        account = store.authenticate("an", PASSWORD)
        assert account is not None
        yield store, account


def decide(store: Store, who: Account, key: int, decision: Decision, token: str) -> None:
    store.decide(
        who,
        key,
        decision,
        form_token=token,
        cited_passages=[NEW_PASSAGE.passage_id],
        distortions=[Distortion.NUMBER],
        seconds=360.0,
    )


def keys_of(store: Store, claim: str) -> list[int]:
    rows = store._read(
        "SELECT mention_key FROM mention WHERE text = ? ORDER BY mention_key", [claim]
    )
    return [r["mention_key"] for r in rows]


def test_stories_are_counted_once_and_set_against_all(kept: tuple[Store, Account]) -> None:
    found = Monitor(kept[0]).volume("2026-W40", weeks=2)
    assert [v.week for v in found] == ["2026-W39", "2026-W40"]
    # Week 40: three flagged articles and a copy, which the batch calls a story of its own.
    assert (found[1].stories, found[1].flagged_stories) == (11, 4)
    assert found[1].articles == 11
    assert found[1].claim_stories == 11


def test_copies_of_a_story_are_one_story(tmp_path: Path) -> None:
    given = batch(flags=1, copies=2, quiet=0)
    same = tuple(replace(a, story_id=given.articles[0].story_id) for a in given.articles)
    with open_store(tmp_path / "k.duckdb") as store:
        write_batch(tmp_path / "inbox", replace(given, articles=same))
        store.merge_inbox(tmp_path / "inbox")
        (found,) = Monitor(store).volume("2026-W40", weeks=9)
        assert (found.articles, found.stories, found.flagged_stories) == (3, 1, 1)


def test_claims_are_new_once_and_recur_afterwards(kept: tuple[Store, Account]) -> None:
    found = Monitor(kept[0]).recurrence("2026-W40", weeks=9)
    assert [(r.flagged_new, r.flagged_recurring) for r in found] == [(1, 0), (1, 1), (1, 2)]
    assert [(r.new, r.recurring) for r in found] == [(8, 0), (1, 8), (1, 9)]
    assert [r.returned for r in found] == [0, 0, 0]
    # A window shows its end alone, but what came before it is not new in it.
    assert Monitor(kept[0]).recurrence("2026-W40", weeks=1) == found[-1:]


def test_an_article_of_two_runs_is_not_a_claim_that_came_back(tmp_path: Path) -> None:
    with open_store(tmp_path / "k.duckdb") as store:
        for week in ("2026-W39", "2026-W40"):
            write_batch(tmp_path / "inbox", batch(week=week, flags=1, copies=0, quiet=0))
            store.merge_inbox(tmp_path / "inbox")
        (only,) = Monitor(store).recurrence("2026-W40", weeks=9)
        assert (only.week, only.new, only.recurring) == ("2026-W39", 1, 0)
        assert Monitor(store).returning("2026-W40") == []


def test_a_claim_returns_when_it_had_been_found_contrary_before_the_week(
    tmp_path: Path,
) -> None:
    past = datetime.now(UTC).date() - timedelta(weeks=3)
    future = datetime.now(UTC).date() + timedelta(weeks=2)
    weeks = [f"{d.isocalendar().year}-W{d.isocalendar().week:02d}" for d in (past, future)]
    with open_store(tmp_path / "k.duckdb") as store:
        enrol(store, "an")
        an = store.authenticate("an", PASSWORD)
        assert an is not None
        for number, week in enumerate(weeks):
            write_batch(
                tmp_path / "inbox", later(batch(week=week, flags=2, copies=0, quiet=0), number)
            )
            store.merge_inbox(tmp_path / "inbox")
            if number == 0:
                decide(store, an, keys_of(store, FLAG_CLAIM)[0], Decision.REFUTED, "t")
        monitor = Monitor(store)
        assert [(r.week, r.returned) for r in monitor.recurrence(weeks[1], weeks=5)] == [
            (weeks[0], 0),
            (weeks[1], 1),
        ]
        found = monitor.returning(weeks[1])
        assert [(r.text == FLAG_CLAIM, r.returned) for r in found] == [(True, True), (False, False)]
        assert (found[0].first_week, found[0].weeks, found[0].stories) == (weeks[0], 2, 2)
        assert found[0].decision is Decision.REFUTED


def test_outlets_have_their_stories_counted_and_nothing_else(kept: tuple[Store, Account]) -> None:
    found = Monitor(kept[0]).outlets("2026-W40")
    assert [o.outlet for o in found] == sorted(o.outlet for o in found)
    assert {o.outlet: (o.stories, o.claims) for o in found} == {
        "nui-cao": (7, 7),
        "pho-nho": (1, 1),
        "song-hong": (3, 3),
    }
    names = set(type(found[0]).__dataclass_fields__)
    assert names == {"outlet", "articles", "stories", "claims"}  # no flags, no share, no rank


def test_coverage_says_what_the_base_could_not_judge_and_why(kept: tuple[Store, Account]) -> None:
    monitor = Monitor(kept[0])
    (now,) = monitor.coverage("2026-W40", weeks=1)
    # Of seven quiet claims: 0, 3 judged; 6 abstained; 1, 2, 4, 5 not found. Three flags are judged.
    assert (now.judged, now.abstained, now.failed) == (5, 1, 0)
    assert now.reasons == {NeiReason.NOT_FOUND: 4}
    assert now.total == 10
    unjudged = monitor.unjudged("2026-W40")
    assert len(unjudged) == 5
    assert [u.stories for u in unjudged] == [1] * 5


def test_topics_kinds_crawl_and_models(kept: tuple[Store, Account]) -> None:
    monitor = Monitor(kept[0])
    (topic,) = monitor.topics("2026-W40")
    assert (topic.claims, topic.flagged) == (6, 3)  # the three flags and the judged quiet ones
    kinds = {k.kind: k.flagged for k in monitor.kinds("2026-W40")}
    assert kinds == {"number": 3, "condition_dropped": 3}
    crawl = monitor.crawl("2026-W40", weeks=9)
    assert [(c.week, c.alarms) for c in crawl] == [(w, 1) for w in WEEKS]
    assert (crawl[-1].discovered, crawl[-1].quarantined) == (15, 0)  # off-topic pages are no fault
    (model,) = monitor.models()
    assert (model.model_id, model.first_week, model.last_week) == ("model-1", *WEEKS[::2])
    assert (model.judged, model.flagged, model.abstained) == (30, 9, 3)


def test_figures_follow_what_people_conclude_and_are_kept_until_then(
    kept: tuple[Store, Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, an = kept
    monitor = Monitor(store)
    before = monitor.volume("2026-W40", weeks=1)[0]
    asked: list[str] = []
    read = Store._read

    def counted(self: Store, query: str, parameters: tuple[object, ...] = ()) -> object:
        asked.append(query)
        return read(self, query, parameters)

    monkeypatch.setattr(Store, "_read", counted)
    assert monitor.volume("2026-W40", weeks=1)[0] == before
    assert all("max(merged_at)" in q for q in asked)  # only whether anything changed
    key = keys_of(store, FLAG_CLAIM)[-1]
    decide(store, an, key, Decision.REFUTED, "figures")
    assert monitor.volume("2026-W40", weeks=1)[0].contrary_stories == before.contrary_stories + 1
    assert {k.kind: k.concluded for k in monitor.kinds("2026-W40")}["number"] == 1
    (model,) = monitor.models()
    assert (model.flags_decided, model.flags_agreed) == (1, 1)
    (load,) = monitor.load(weeks=5)
    assert (load.conclusions, load.reviewers) == (1, 1)
    assert load.hours == pytest.approx(0.1)
    assert [(o.name, o.conclusions) for o in monitor.own_load(load.week)] == [("an", 1)]
    store.undo(an)
    assert monitor.volume("2026-W40", weeks=1)[0] == before


def test_a_claim_is_followed_over_time_and_outlets(kept: tuple[Store, Account]) -> None:
    store, _ = kept
    keys = keys_of(store, FLAG_CLAIM)
    spread = Monitor(store).spread(keys[0])
    assert spread is not None
    assert spread.text == FLAG_CLAIM
    assert sorted(p.mention_key for p in spread.places) == keys
    assert {p.outlet for p in spread.places} == {"song-hong", "pho-nho"}
    days = [p.published_at for p in spread.places]
    assert days == sorted(d for d in days if d is not None)
    assert {p.week for p in spread.places} == set(WEEKS)
    assert Monitor(store).spread(10**9) is None


def test_an_empty_store_has_no_figures(tmp_path: Path) -> None:
    with open_store(tmp_path / "k.duckdb") as store:
        monitor = Monitor(store)
        assert monitor.weeks() == []
        assert monitor.volume("2026-W40", weeks=9) == []
        assert monitor.recurrence("2026-W40", weeks=9) == []
        assert monitor.models() == []
        with pytest.raises(InputError, match="2026-W40"):
            monitor.merged_at("2026-W40")


# -- corrections -----------------------------------------------------------------------------


def test_a_request_is_kept_answered_once_and_in_the_trail(kept: tuple[Store, Account]) -> None:
    store, an = kept
    key = keys_of(store, FLAG_CLAIM)[0]
    number = add(store, an, key, "  Bài đã sửa.  ")
    (asked,) = [c for c in corrections(store) if c.key == number]
    assert (asked.request, asked.outcome, asked.claim) == ("Bài đã sửa.", None, FLAG_CLAIM)
    resolve(store, None, number, Outcome.UPHELD, "Đã xem lại, câu này đúng.")
    (answered,) = [c for c in corrections(store) if c.key == number]
    assert answered.outcome is Outcome.UPHELD
    assert answered.resolved_at is not None
    with pytest.raises(InputError, match="before"):
        resolve(store, an, number, Outcome.DECLINED, "x")
    # As it stood before it was answered, it is open; before it was asked, it is not there.
    (then,) = [c for c in corrections(store, until=answered.resolved_at) if c.key == number]
    assert (then.outcome, then.public_note) == (None, "")
    assert number not in {c.key for c in corrections(store, until=answered.received_at)}
    trail = store._read(
        "SELECT action, account_key FROM audit WHERE subject = ? ORDER BY audit_key",
        [f"correction {number}"],
    )
    assert [(r["action"], r["account_key"]) for r in trail] == [
        ("correction asked", an.key),
        ("correction upheld", None),
    ]


@pytest.mark.parametrize("request_", ["", "   \n", "x" * (MAX_REQUEST + 1)])
def test_a_request_that_says_nothing_or_too_much_is_refused(
    kept: tuple[Store, Account], request_: str
) -> None:
    store, an = kept
    before = len(corrections(store))
    with pytest.raises(InputError):
        add(store, an, keys_of(store, FLAG_CLAIM)[0], request_)
    assert len(corrections(store)) == before


def test_requests_about_nothing_and_by_readers_are_refused(kept: tuple[Store, Account]) -> None:
    store, an = kept
    with pytest.raises(InputError, match="no mention"):
        add(store, an, 10**9, "x")
    with pytest.raises(InputError, match="no correction"):
        resolve(store, an, 10**9, Outcome.UPHELD, "x")
    with pytest.raises(InputError, match="only read"):
        add(store, replace(an, role="reader"), 1, "x")


def test_a_changed_conclusion_is_told_and_a_slip_of_the_same_week_is_not(
    kept: tuple[Store, Account],
) -> None:
    store, an = kept
    first, second = keys_of(store, FLAG_CLAIM)[:2]
    decide(store, an, first, Decision.REFUTED, "r1")
    decide(store, an, second, Decision.SUPPORTED, "s1")
    middle = datetime.now(UTC)
    store.undo(an)
    decide(store, an, second, Decision.REFUTED, "s2")  # changed after the middle
    decide(store, an, first, Decision.SUPPORTED, "r2")  # a slip ...
    store.undo(an)  # ... undone at once
    end = datetime.now(UTC) + timedelta(seconds=1)
    (found,) = reversals(store, middle, end)
    assert (found.mention_key, found.before, found.after) == (
        second,
        Decision.SUPPORTED,
        Decision.REFUTED,
    )
    assert reversals(store, end, end + timedelta(days=7)) == []
    assert reversals(store, middle - timedelta(days=7), middle) == []
