"""The reading order: one formula in Python and in SQL, and what its factors do."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiemchung.domain import Difference, Distortion
from kiemchung.priority import (
    HARM,
    HARM_UNKNOWN,
    NOVELTY,
    Novelty,
    harm,
    novelty_of,
    reach,
    urgency,
)
from kiemchung.store import open_store
from kiemchung.store.filters import Filter
from kiemchung.store.inbox import write_batch
from kiemchung.store.outlook import urgency_of
from tests.batches import FLAG_CLAIM, article, batch, flag, mention

DAY = date(2026, 10, 1)


def test_every_kind_of_difference_has_a_weight() -> None:
    assert set(HARM) == set(Distortion)
    assert all(0 < w <= 1 for w in HARM.values())
    assert min(HARM.values()) < HARM_UNKNOWN < max(HARM.values())
    assert set(NOVELTY) == set(Novelty)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (None, Novelty.NEW),
        (DAY - timedelta(days=8), Novelty.RECURRING),
        (DAY - timedelta(days=27), Novelty.RECURRING),
        (DAY - timedelta(days=28), Novelty.RETURNED),
    ],
)
def test_new_recurring_returned(before: date | None, expected: Novelty) -> None:
    assert novelty_of(DAY, before) is expected
    assert novelty_of(None, None) is Novelty.NEW


@given(
    st.floats(0, 1),
    st.sets(st.sampled_from(Distortion)),
    st.integers(1, 500),
    st.sampled_from(Novelty),
)
def test_more_of_anything_is_never_later(
    p: float, kinds: set[Distortion], stories: int, novelty: Novelty
) -> None:
    here = urgency(p_refuted=p, kinds=kinds, stories=stories, novelty=novelty)
    assert here.value == pytest.approx(p * harm(kinds) * reach(stories) * NOVELTY[novelty])
    assert (
        urgency(p_refuted=p, kinds=kinds, stories=stories + 1, novelty=novelty).value >= here.value
    )
    worst = urgency(p_refuted=p, kinds=Distortion, stories=stories, novelty=novelty)
    assert worst.harm == 1.0
    assert worst.value >= here.value
    assert urgency(p_refuted=None, kinds=kinds, stories=stories, novelty=novelty).value == 0.0


def test_the_store_orders_flags_by_the_same_formula(tmp_path: Path) -> None:
    given_ = batch(flags=0, quiet=0)
    articles, mentions, judgements = [], [], []
    kinds = list(Distortion)
    for number in range(30):
        claim = FLAG_CLAIM.replace("hiện hành", f"thứ {number}")
        days = [0] if number % 3 == 0 else [0, 10] if number % 3 == 1 else [0, 40, 41]
        for copy, day in enumerate(days):
            one = article(100 * number + copy, sentences=(claim,))
            assert one.published_at is not None
            one = replace(one, published_at=one.published_at - timedelta(days=day))
            said = mention(one, claim)
            judged = flag(said, run_id=given_.run.run_id, p_refuted=0.81 + (number * 7 % 19) / 100)
            kind = Difference(kind=kinds[number % 10], claim="7 thành viên", evidence="5")
            judged = replace(judged, differences=() if number == 29 else (kind,))
            articles.append(one)
            mentions.append(said)
            judgements.append(judged)
    whole = replace(
        given_,
        run=replace(given_.run),
        articles=tuple(articles), mentions=tuple(mentions), judgements=tuple(judgements),
    )  # fmt: skip
    with open_store(tmp_path / "k.duckdb") as store:
        write_batch(tmp_path / "inbox", whole)
        assert store.merge_inbox(tmp_path / "inbox")
        account = store.authenticate("an", store.add_user("an"))
        assert account is not None
        entries = store.queue(account, view="flagged")
        assert len(entries) == 30
        values = [urgency_of(e).value for e in entries]
        assert values == sorted(values, reverse=True)
        assert len({round(v, 6) for v in values}) > 20
        assert {e.novelty for e in entries} == set(Novelty)
        assert {e.stories for e in entries} == {1, 2, 3}
        # Filters ask about the claim, and the one in use is remembered.
        store.filters.save(account, "lặp lại", Filter(novelty=Novelty.RECURRING))
        assert {e.novelty for e in store.queue(account)} == {Novelty.RECURRING}
        assert len(store.queue(account, view="flagged")) == 30
        store.filters.save(account, "chữ", Filter(words="THỨ 7,", stories=2))
        assert len(store.queue(account)) == 1
        (used,) = [s for s in store.filters.saved(account) if s.in_use]
        assert used.name == "chữ"
        store.filters.use(account, None)
        assert len(store.queue(account)) == 30
        other = store.authenticate("binh", store.add_user("binh"))
        assert other is not None
        store.filters.remove(other, used.key)  # somebody else's stays
        assert len(store.filters.saved(account)) == 2
        store.filters.remove(account, used.key)
        assert [s.name for s in store.filters.saved(account)] == ["lặp lại"]
