"""The sample week from feeds to store: sums, repeats, interruptions, two at once."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from kiemchung.config import Settings, load_settings
from kiemchung.store import open_store
from kiemchung.store.inbox import write_batch
from pipeline import stages
from pipeline.demo import main as demo
from pipeline.demo.scoring import NEVER_FLAGGED
from pipeline.weekly import Stage, make_plan, store_path, weekly
from tests.batches import batch
from tools import figures

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(data_dir=tmp_path_factory.mktemp("var"), port=0)


@pytest.fixture(scope="module")
def result(settings: Settings) -> demo.Result:
    return demo.run(settings)


def facts(settings: Settings) -> dict[str, Any]:
    with open_store(store_path(settings)) as store:
        flags = [f.mention_id for f in store.flags("2026-W40")]
        return {"counts": dict(store.counts()), "flags": sorted(flags)}


def test_every_address_and_page_ends_in_a_named_state(result: demo.Result) -> None:
    sums = result.summary.accounting
    assert sums.mismatches() == ()
    assert sums.fetched >= 48
    assert sums.pending == 0
    assert sums.refused.get("robots", 0) >= 1
    assert sums.quarantined.get("off_topic", 0) >= 4
    assert result.summary.articles == sums.stored


def test_the_dead_feed_is_an_alarm_and_the_exit_code_says_so(result: demo.Result) -> None:
    assert result.summary.exit_code == 2
    assert any("feed" in alarm for alarm in result.summary.alarms)


def test_the_flags_meet_the_bar_of_the_truth_file(result: demo.Result) -> None:
    score = result.score
    assert score.missing == ()
    assert score.precision is not None
    assert score.precision >= 0.95, score.false_flags
    assert score.recall is not None
    assert score.recall >= 0.80, score.missed
    assert score.pairs >= 8
    assert score.pairs_right == score.pairs, score.pairs_wrong


def test_no_opinion_criticism_praise_or_rebuttal_is_flagged(result: demo.Result) -> None:
    assert result.score.controls >= 40
    assert result.score.control_flags == ()
    assert set(NEVER_FLAGGED) <= set(result.score.by_kind)


def test_every_distortion_kind_is_in_the_sample(result: demo.Result) -> None:
    kinds = {"number", "date", "actor", "negation", "condition_dropped", "exaggeration",
             "merge_split", "out_of_context", "wrong_source", "law_expired"}  # fmt: skip
    assert kinds <= set(result.score.by_kind)


def test_copies_share_a_story_and_claims_in_them_a_claim(
    result: demo.Result, settings: Settings
) -> None:
    run = make_plan(demo.WEEK, ["sample"], settings)
    articles, mentions = stages.read_analysed(run)
    copies = [a for a in articles if a.copied_from]
    assert len(copies) >= 3
    claims: dict[str, set[str]] = {}
    for mention in mentions:
        claims.setdefault(mention.claim_id, set()).add(mention.article_id)
    for copy in copies:
        assert any({copy.article_id, copy.copied_from} <= at for at in claims.values())


def test_mentions_slice_to_their_text(result: demo.Result, settings: Settings) -> None:
    run = make_plan(demo.WEEK, ["sample"], settings)
    articles, mentions = stages.read_analysed(run)
    texts = {a.article_id: a.text for a in articles}
    for mention in mentions:
        assert texts[mention.article_id][mention.start : mention.end] == mention.text


def test_the_same_week_again_changes_nothing(result: demo.Result, settings: Settings) -> None:
    before = facts(settings)
    again = weekly(demo.WEEK, outlets=["sample"], settings=settings)
    assert facts(settings) == before
    assert again.accounting == result.summary.accounting


def test_every_flag_is_derived_again(result: demo.Result, settings: Settings) -> None:
    from pipeline.judging import Judge
    from pipeline.replay import replay

    judge = Judge.load(settings)
    with open_store(store_path(settings)) as store:
        pairs = store.judged_mentions(flagged_only=True)
    assert len(pairs) == result.summary.flags
    for mention, judgement in pairs:
        derived = replay(mention, judgement, judge)
        assert derived.same, derived.differences


def test_a_changed_base_is_noticed_by_replay(result: demo.Result, settings: Settings) -> None:
    import dataclasses

    from pipeline.judging import Judge
    from pipeline.replay import replay

    judge = dataclasses.replace(Judge.load(settings), base_version="another")
    with open_store(store_path(settings)) as store:
        mention, judgement = store.judged_mentions(flagged_only=True)[0]
    assert not replay(mention, judgement, judge).same


def test_the_report_is_one_page_without_script(result: demo.Result) -> None:
    html = Path(result.summary.report).read_text(encoding="utf-8")
    assert "2026-W40" in html
    assert "<script" not in html
    assert "http://" not in html.split("</style>")[0]


@pytest.mark.parametrize("stop_after", [Stage.JUDGE])  # test_kills.py stops all of them
def test_a_week_that_stops_after_a_stage_goes_on(
    stop_after: Stage, result: demo.Result, settings: Settings, tmp_path: Path
) -> None:
    own = load_settings(data_dir=tmp_path)
    order = list(Stage)
    first = order[: order.index(stop_after) + 1]
    weekly(demo.WEEK, outlets=["sample"], settings=own, only=first)
    weekly(demo.WEEK, outlets=["sample"], settings=own)
    assert facts(own)["flags"] == facts(settings)["flags"]


def test_a_second_process_on_the_same_run_is_told_who_holds_it(tmp_path: Path) -> None:
    from kiemchung.errors import KiemchungError
    from pipeline.runs import sole

    own = load_settings(data_dir=tmp_path)
    run = make_plan(demo.WEEK, ["sample"], own)
    with sole(run), pytest.raises(KiemchungError, match=str(os.getpid())), sole(run):
        pass


def test_a_batch_waits_in_the_inbox_while_a_server_owns_the_store(
    result: demo.Result, settings: Settings
) -> None:
    with open_store(store_path(settings)) as owner:
        again = weekly(demo.WEEK, outlets=["sample"], settings=settings)
        assert not again.published
        assert ["process " + str(os.getpid()) in note for note in again.notes] == [True]
        assert owner.merge_inbox(settings.data_dir / "inbox") == [again.run_id]


def test_a_run_reports_on_what_another_left_in_the_inbox(
    result: demo.Result, settings: Settings
) -> None:
    """Another week, whose run found the store taken by this one."""
    write_batch(settings.data_dir / "inbox", batch(week="2026-W12"))
    weekly(demo.WEEK, outlets=["sample"], settings=settings, only=[Stage.PUBLISH])
    assert (settings.data_dir / "reports" / "2026-W12.html").is_file()


def test_a_clock_before_the_week_is_an_alarm(
    result: demo.Result, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "clock_was_wrong", lambda at, week: True)
    alarms = weekly(demo.WEEK, outlets=["sample"], settings=settings, only=()).alarms
    assert ["before week 2026-W40 began" in a for a in alarms if "clock" in a] == [True]


def test_a_taken_port_is_named(settings: Settings) -> None:
    import socket

    from kiemchung.errors import InputError

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"--port {port + 1}"):
            demo.run(load_settings(data_dir=settings.data_dir, port=port))


def test_the_figures_of_the_docs_are_those_of_this_week(result: demo.Result) -> None:
    """What README and docs say of the sample; `tools/figures.py --update demo` after a change."""
    run, stored = figures.read_registry()["demo"], figures.read_stored("demo")
    again = figures.figures_of(run, json.dumps(result.as_dict(), default=str))
    assert figures.compare(run, stored, again) == []
