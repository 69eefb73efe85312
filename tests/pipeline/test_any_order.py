"""Eight weeks into the store in any order, again and together: the same bytes out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiemchung.config import load_settings
from kiemchung.domain import Accounting, AsOfMethod, Batch, Run
from kiemchung.store import open_store
from kiemchung.store.inbox import write_batch
from pipeline import stages
from pipeline.demo.main import WEEK
from pipeline.export import export
from pipeline.judging import Judge
from pipeline.weekly import make_plan

pytestmark = pytest.mark.slow
FORMATS = ("jsonl", "csv", "parquet")
WEEKS = range(8)
ARTICLES = 24


@pytest.fixture(scope="module")
def weeks(finished_week: Path) -> list[Batch]:
    """The sample week as eight, of which each holds half of the one before once more.

    What came again was fetched again, later and with other bytes around the same article; it has
    another story there, and what names no day is about another one.
    """
    own = load_settings(data_dir=finished_week, port=0)
    run = make_plan(WEEK, ["sample"], own)
    articles, mentions = stages.read_analysed(run)
    judged = {j.mention_id: j for j in stages.read_judged(run)}
    flagged = {j.mention_id for j in judged.values() if j.flagged}
    with_flags = {m.article_id for m in mentions if m.mention_id in flagged}
    chosen = sorted((a for a in articles if a.article_id in with_flags),
                    key=lambda a: a.article_id)[:ARTICLES]  # fmt: skip
    judge = Judge.load(own)
    found = []
    for number in WEEKS:
        run_id = f"2026-W{30 + number}-aaaa"
        parts = [a for n, a in enumerate(chosen) if number in (n % 8, (n + 1 + n // 8 % 2) % 8)]
        held = [
            replace(
                a,
                fetched_at=a.fetched_at + timedelta(days=7 * number),
                raw_sha256=f"{number:064d}",
                story_id=f"{a.story_id}-{number}",
                topic_reason=f"tuần {number}",
            )
            for a in parts
        ]
        ids = {a.article_id for a in held}
        said = [
            replace(m, as_of=m.as_of + timedelta(days=number))
            if m.as_of_method is AsOfMethod.UNKNOWN
            else m
            for m in mentions
            if m.article_id in ids
        ]
        found.append(
            Batch(
                run=Run(
                    run_id=run_id,
                    week=f"2026-W{30 + number}",
                    outlets=run.outlets,
                    config_sha256=run.config_sha256,
                    code_version="0",
                    base_version=judge.base_version,
                    model_id=judge.model.model_id,
                    accounting=Accounting(stored=len(held)),
                    alarms=(),
                    health=(),
                ),
                articles=tuple(held),
                mentions=tuple(said),
                judgements=tuple(
                    replace(judged[m.mention_id], run_id=run_id)
                    for m in said
                    if m.mention_id in judged
                ),
                passages=judge.passages,
                documents=judge.documents,
            )
        )
    return found


def exported(weeks: Sequence[Batch], order: Sequence[tuple[int, bool]]) -> dict[str, bytes]:
    """Return the exports after merging in ``order``; True: together with the next one."""
    with TemporaryDirectory() as folder:
        home, found = Path(folder), {}
        with open_store(home / "k.duckdb") as store:
            for number, waits in order:
                write_batch(home / "inbox", weeks[number])
                if not waits:
                    store.merge_inbox(home / "inbox")
            store.merge_inbox(home / "inbox")
            assert store.problems() == []
            for form in FORMATS:
                export(store, form, out=home / form)
                found[form] = (home / form).read_bytes()
        return found


@pytest.fixture(scope="module")
def in_order(weeks: list[Batch]) -> dict[str, bytes]:
    return exported(weeks, [(n, False) for n in WEEKS])


def test_the_weeks_overlap_and_hold_flags(weeks: list[Batch], in_order: dict[str, bytes]) -> None:
    ids = [{a.article_id for a in w.articles} for w in weeks]
    assert sum(bool(a & b) for a, b in itertools.pairwise(ids)) >= 6
    assert in_order["jsonl"].count(b"\n") >= ARTICLES


@pytest.mark.slow(30)
@settings(
    max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    order=st.permutations(list(WEEKS)),
    again=st.lists(st.sampled_from(list(WEEKS)), max_size=3),
    waits=st.lists(st.booleans(), min_size=11, max_size=11),
)
def test_any_order_gives_the_same_bytes(
    weeks: list[Batch],
    in_order: dict[str, bytes],
    order: list[int],
    again: list[int],
    waits: list[bool],
) -> None:
    steps = list(zip([*order, *again], waits, strict=False))
    assert exported(weeks, steps) == in_order


def test_the_last_week_first(weeks: list[Batch], in_order: dict[str, bytes]) -> None:
    assert exported(weeks, [(n, False) for n in reversed(WEEKS)]) == in_order
