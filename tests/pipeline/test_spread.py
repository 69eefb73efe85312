"""A week by many hands is the same week: bytes of shards, repeats that cost nothing, no old answer."""

from __future__ import annotations

import multiprocessing
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crawler.run import FetchedPage
from kiemchung.config import Settings, load_settings
from kiemchung.domain import Article, Mention, sha256_hex
from kiemchung.errors import AccountingError, WorkerError
from kiemchung.shards import read_shard
from pipeline import analysing, publishing, stages, verdicts
from pipeline.handover import rows_of, shards_of
from pipeline.judging import Judge
from pipeline.remembered import FILE
from pipeline.runs import RunPlan, plan
from pipeline.weeks import Week
from pipeline.workers import Alone, Crew, Processes

WEEK = Week(year=2026, number=40)
CLAIMS = (
    "Theo luật hiện hành, hợp tác xã phải có ít nhất {} thành viên.",
    "Mỗi thành viên góp không quá {} % vốn điều lệ của hợp tác xã.",
    "Hợp tác xã Sen Vàng có {} hộ tham gia trồng sen trên cánh đồng ven đê.",
)
PAGE = (
    "<html lang='vi'><head><title>{title}</title>"
    "<meta property='article:published_time' content='{day}'></head>"
    "<body><article><h1>{title}</h1><h2 class='sapo'>Đại hội bàn việc góp vốn của hợp tác xã.</h2>"
    "<div class='article-body'><p>{body}</p></div></article></body></html>"
)
START = datetime(2025, 3, 20, 8, tzinfo=UTC)


def page(n: int, body: str) -> FetchedPage:
    raw = PAGE.format(
        title=f"Hợp tác xã họp lần {n}", day=(START - timedelta(days=n)).isoformat(), body=body
    ).encode()
    return FetchedPage(
        url=f"http://a.example/{n}.html", final_url=f"http://a.example/{n}.html", outlet="a",
        status=200, content_type="text/html; charset=utf-8", body=raw, fetched_at=START,
        raw_sha256=sha256_hex(raw),
    )  # fmt: skip


def pages() -> list[FetchedPage]:
    texts = [
        " ".join(c.format(n + 2) for c in CLAIMS)
        + f" Ban quản trị báo cáo kết quả của {n + 11} tổ sản xuất trước toàn thể đại hội năm nay."
        for n in range(9)
    ]
    return [page(n, text) for n, text in enumerate([*texts, texts[3]])]  # the last one is a copy


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "PAGES_PER_SHARD", 2)
    monkeypatch.setattr(stages, "MENTIONS_PER_SHARD", 4)


def do(folder: Path, crew: Crew | None, judge: Judge, settings: Settings | None = None) -> RunPlan:
    run = plan(WEEK, ["a"], "0" * 64, folder)
    stages.extract(run, pages(), {}, crew=crew)
    stages.analyse(run, judge.documents, crew=crew)
    stages.judge(run, judge, crew=crew, settings=settings)
    return run


def files(run: RunPlan) -> dict[str, bytes]:
    return {
        p.relative_to(run.folder).as_posix(): p.read_bytes()
        for p in sorted(run.folder.rglob("*"))
        if p.is_file()
    }


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge.load(load_settings())


@pytest.fixture(scope="module")
def alone(judge: Judge, tmp_path_factory: pytest.TempPathFactory) -> RunPlan:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "PAGES_PER_SHARD", 2)
        patch.setattr(stages, "MENTIONS_PER_SHARD", 4)
        return do(tmp_path_factory.mktemp("alone"), Alone(), judge)


@pytest.mark.slow
def test_two_processes_write_the_bytes_of_one(alone: RunPlan, judge: Judge, tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    spread = do(tmp_path, Processes(count=2), judge, settings)
    assert len(shards_of(spread.stage("judge"))) >= 4  # so that there was something to share out
    assert files(spread) == files(alone)


@pytest.mark.slow
def test_workers_killed_in_the_middle_of_every_stage_change_no_byte(
    alone: RunPlan, judge: Judge, tmp_path: Path
) -> None:
    killed: dict[str, int] = {}

    def kill_one(stage: str, done: int, total: int) -> None:
        workers = multiprocessing.active_children()
        if workers and stage not in killed:
            killed[stage] = workers[-1].pid or 0
            workers[-1].kill()

    crew = Processes(count=2)
    run = plan(WEEK, ["a"], "0" * 64, tmp_path)
    stages.extract(run, pages(), {}, crew=crew, progress=kill_one)
    stages.analyse(run, judge.documents, crew=crew, progress=kill_one)
    settings = load_settings(data_dir=tmp_path)
    stages.judge(run, judge, crew=crew, settings=settings, progress=kill_one)
    assert set(killed) == {"extract", "analyse", "judge"}
    assert files(run) == files(alone)


def test_stories_and_order(alone: RunPlan) -> None:
    articles = list(rows_of(alone.stage("analyse"), Article, "articles"))
    copies = [a for a in articles if a.copied_from]
    (original,) = [a for a in articles if a.title.endswith("lần 9")]
    assert [a.copied_from for a in copies if a.title.endswith("lần 3")] == [original.article_id]
    assert [a.url for a in articles] == [p.url for p in pages()]  # shards stay those of extract
    (table,) = publishing.articles_in_reading_order(alone)
    assert table["canonical_url"].to_pylist() == [p.url for p in reversed(pages())]


def test_more_articles_than_are_held_come_in_the_same_order(
    alone: RunPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = publishing.articles_in_reading_order(alone)
    monkeypatch.setattr(publishing, "ARTICLES_AT_ONCE", 3)
    parts = list(publishing.articles_in_reading_order(alone))
    assert [p.num_rows for p in parts] == [3, 3, 3, 1]
    assert [row for p in parts for row in p.to_pylist()] == whole.to_pylist()
    assert not list(alone.folder.glob(".articles*"))


def test_judgements_that_are_not_those_of_the_claims_stop_the_run(
    alone: RunPlan, tmp_path: Path
) -> None:
    shutil.copytree(alone.data_dir, tmp_path / "data")
    run = replace(alone, data_dir=tmp_path / "data")
    assert publishing.passages_seen(run) == publishing.passages_seen(alone) != set()
    counted = publishing.counts(run)
    assert counted["articles"] == 10
    assert counted["judgements"] == counted["checkable"] > counted["flags"] > 0
    listed = run.stage("judge") / "stage.json"
    names = listed.read_text(encoding="utf-8")
    shorter = names[: names.rindex(",")] + "]"
    listed.write_text(shorter, encoding="utf-8")
    with pytest.raises(AccountingError, match="differ from"):
        publishing.passages_seen(run)


def forbidden(*_: object, **__: object) -> None:
    raise AssertionError("worked out again")


@pytest.fixture
def again(alone: RunPlan, tmp_path: Path) -> RunPlan:
    """The same pages in another data folder that remembers what was worked out before."""
    shutil.copytree(alone.stage("extract"), tmp_path / "runs" / alone.run_id / "extract")
    shutil.copy(alone.data_dir / FILE, tmp_path / FILE)
    return replace(alone, data_dir=tmp_path)


def test_what_was_worked_out_before_is_not_again(
    again: RunPlan, alone: RunPlan, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((analysing, "mentions"), (analysing, "fingerprint")):
        monkeypatch.setattr(module, name, forbidden)
    monkeypatch.setattr(
        verdicts, "judge_all", lambda judge, mentions, run_id: [forbidden() for _ in mentions]
    )
    stages.analyse(again, judge.documents)
    stages.judge(again, judge)
    assert files(again) == files(alone)


@pytest.mark.parametrize("changed", ["grammar", "documents", "rules", "base", "threshold"])
def test_a_change_meets_no_old_answer(
    again: RunPlan, judge: Judge, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    documents = judge.documents
    reads = changed in ("grammar", "documents")
    if changed == "grammar":
        monkeypatch.setattr(analysing, "text_version", lambda: "another")
    elif changed == "documents":
        documents = (replace(documents[0], title="Luật khác"), *documents[1:])
    elif changed == "rules":
        monkeypatch.setattr(verdicts, "verdict_version", lambda: "another")
    elif changed == "base":
        judge = replace(judge, base_version="another")
    else:
        judge = replace(judge, threshold=0.99)
    asked: list[Mention] = []

    def seen(judge: Judge, mentions: list[Mention], run_id: str) -> object:
        asked.extend(mentions)
        return verdicts_judge_all(judge, mentions, run_id=run_id)

    verdicts_judge_all = verdicts.judge_all
    monkeypatch.setattr(verdicts, "judge_all", seen)
    if reads:
        monkeypatch.setattr(analysing, "mentions", forbidden)
        with pytest.raises(AssertionError, match="worked out again"):
            stages.analyse(again, documents)
        return
    stages.analyse(again, documents)
    stages.judge(again, judge)
    claims = [
        m for m in rows_of(again.stage("analyse"), Mention, "mentions")
        if m.checkability == "CHECKABLE"
    ]  # fmt: skip
    assert {m.text for m in asked} == {m.text for m in claims}


def test_a_worker_that_loads_another_base_says_so(judge: Judge, tmp_path: Path) -> None:
    context = verdicts.JudgeContext(
        run_id="r", settings=load_settings(data_dir=tmp_path), version="another", remembered=None
    )
    with pytest.raises(WorkerError, match="changed while"):
        verdicts.load_job(context)


def test_a_shard_that_was_lost_is_made_again_and_no_other(
    alone: RunPlan, judge: Judge, tmp_path: Path
) -> None:
    shutil.copytree(alone.data_dir, tmp_path / "data")
    run = replace(alone, data_dir=tmp_path / "data")
    # Mentions and fingerprints of a shard are made together.
    lost = [*shards_of(run.stage("analyse"))[1:3], shards_of(run.stage("judge"))[1]]
    kept = {p: p.stat().st_mtime_ns for p in run.folder.rglob("part-*") if p not in lost}
    for path in lost:
        path.unlink()
    stages.analyse(run, judge.documents)
    stages.judge(run, judge)
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    assert files(run) == files(alone)


def test_progress_begins_with_what_is_done_and_ends_with_all(alone: RunPlan, judge: Judge) -> None:
    heard: list[tuple[str, int, int]] = []
    stages.analyse(alone, judge.documents, progress=lambda *step: heard.append(step))
    stages.judge(alone, judge, progress=lambda *step: heard.append(step))
    assert heard[0] == ("analyse", 10, 10)
    assert heard[-1][0] == "judge"
    assert heard[-1][1] == heard[-1][2] > 0
    (shard, *_) = shards_of(alone.stage("analyse"), "mentions")
    assert verdicts.count_checkable(shard) == len(verdicts.checkable(shard)) > 0
    assert read_shard(shard, Mention)
