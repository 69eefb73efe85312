"""Stages: named outcomes, shards that are made once, and an undated article that is not dated now."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from crawler.run import FetchedPage
from kiemchung.domain import Article, AsOfMethod, Checkability, Judgement, Mention, sha256_hex
from kiemchung.errors import AccountingError, KiemchungError
from kiemchung.shards import write_shard
from pipeline import stages
from pipeline.judging import Judge
from pipeline.reading import mentions
from pipeline.runs import RunPlan, plan
from pipeline.weeks import Week

WEEK = Week(year=2026, number=40)
BODY = (
    "Hợp tác xã Bãi Sậy họp đại hội thành viên vào cuối tuần qua tại nhà văn hóa thôn. "
    "Theo luật hiện hành, hợp tác xã phải có ít nhất 7 thành viên. "
    "Các thành viên bàn việc góp vốn và phương án mua máy sấy cho vụ tới của hợp tác xã."
)
PAGE = (
    "<html lang='vi'><head><title>Hợp tác xã họp</title>"
    "<meta property='article:published_time' content='2025-03-01T08:00:00+07:00'></head>"
    "<body><article><h1>Hợp tác xã họp đại hội thành viên</h1>"
    "<h2 class='sapo'>Đại hội bàn việc góp vốn của hợp tác xã trong năm nay.</h2>"
    "<div class='article-body'><p>{}</p></div></article></body></html>"
)


@pytest.fixture
def run(tmp_path: Path) -> RunPlan:
    return plan(WEEK, ["b", "a", "a"], "0" * 64, tmp_path)


def fetched(body: bytes, name: str = "1", flags: tuple[str, ...] = ()) -> FetchedPage:
    return FetchedPage(
        url=f"http://a.example/{name}.html", final_url=f"http://a.example/{name}.html", outlet="a",
        status=200, content_type="text/html; charset=utf-8", body=body,
        fetched_at=datetime(2026, 10, 1, tzinfo=UTC), raw_sha256=sha256_hex(body), flags=flags,
    )  # fmt: skip


def test_a_run_is_its_arguments_in_any_order(tmp_path: Path) -> None:
    one = plan(WEEK, ["a", "b"], "c", tmp_path)
    assert one.run_id == plan(WEEK, ["b", "a", "b"], "c", tmp_path / "elsewhere").run_id
    assert one.run_id != plan(WEEK, ["a"], "c", tmp_path).run_id
    assert one.run_id != plan(WEEK, ["a", "b"], "d", tmp_path).run_id
    assert one.run_id.startswith("2026-W40-")


@pytest.mark.slow
def test_every_page_ends_in_a_named_state(run: RunPlan) -> None:
    whole = PAGE.format(BODY).encode()
    pages = [
        fetched(whole),
        fetched(b"", "empty"),
        fetched(bytes(range(256)) * 50, "binary"),
        fetched(whole[: len(whole) * 2 // 3], "half"),
        fetched(PAGE.format("Đội bóng đá thắng hai không. " * 20).replace("Hợp tác xã", "Đội bóng")
                .replace("hợp tác xã", "đội bóng").encode(), "sport"),
        fetched(whole, "partial", ("partial",)),
    ]  # fmt: skip
    stages.extract(run, pages, {})
    articles, outcomes = stages.read_extracted(run)
    ends = {o.url.rsplit("/", 1)[-1]: (o.state, o.reason) for o in outcomes}
    assert ends["1.html"] == ("stored", "")
    assert ends["partial.html"] == ("quarantined", "partial")
    assert ends["sport.html"] == ("quarantined", "off_topic")
    assert {ends[f"{n}.html"][0] for n in ("empty", "binary", "half")} == {"quarantined"}
    assert all(reason for state, reason in ends.values() if state != "stored")
    stored, duplicate, quarantined = stages.count_outcomes(outcomes)
    assert stored + duplicate + sum(quarantined.values()) == len(pages)
    assert [a.title for a in articles] == ["Hợp tác xã họp đại hội thành viên"]


@pytest.mark.slow
def test_finished_shards_are_not_made_again(run: RunPlan) -> None:
    pages = [fetched(PAGE.format(BODY + str(n)).encode(), str(n)) for n in range(3)]
    stages.extract(run, pages, {})
    made = {p: p.stat().st_mtime_ns for p in run.stage("extract").glob("*.parquet")}
    (run.stage("extract") / "stage.json").unlink()  # killed before the end
    stages.extract(run, pages, {})
    assert {p: p.stat().st_mtime_ns for p in run.stage("extract").glob("*.parquet")} == made
    stages.extract(run, pages[:2], {})
    assert not set(made) & set(run.stage("extract").glob("*.parquet"))


def test_a_stage_that_has_not_finished_is_said_so(run: RunPlan) -> None:
    with pytest.raises(AccountingError, match="has not finished"):
        stages.read_judged(run)


def test_a_shard_that_is_gone_is_said_so(run: RunPlan) -> None:
    folder = run.stage("judge")
    folder.mkdir(parents=True)
    (folder / "stage.json").write_text('["part-00000-x.parquet"]', encoding="utf-8")
    with pytest.raises(KiemchungError, match="gone"):
        stages.read_stage(folder, Judgement)


def article(published: datetime | None, body: str = BODY, name: str = "a") -> Article:
    return Article(
        article_id=name, outlet="a", url=f"http://a.example/{name}",
        canonical_url=f"http://a.example/{name}", title="Họp", lead="", body=body,
        published_at=published, published_method="x",
        fetched_at=datetime(2026, 10, 1, tzinfo=UTC), raw_sha256="0", title_method="x",
        lead_method="x", body_method="x",
    )  # fmt: skip


@pytest.fixture(scope="module")
def judge() -> Judge:
    from kiemchung.config import load_settings

    return Judge.load(load_settings())


def rule(found: list[Mention]) -> Mention:
    return next(m for m in found if "7 thành viên" in m.text)


def test_the_day_is_the_publication_day_in_viet_nam(judge: Judge) -> None:
    late = datetime(2024, 6, 30, 17, 30, tzinfo=UTC)  # half past midnight on 1 July in Hà Nội
    mention = rule(mentions(article(late), judge.documents, undated=WEEK.sunday))
    assert mention.as_of == date(2024, 7, 1)
    assert judge.judge(mention, run_id="r").flagged
    early = datetime(2024, 6, 30, 16, 30, tzinfo=UTC)
    mention = rule(mentions(article(early), judge.documents, undated=WEEK.sunday))
    assert mention.as_of == date(2024, 6, 30)
    assert judge.judge(mention, run_id="r").label == "SUPPORTED"


def test_a_claim_of_an_undated_article_is_not_judged_by_the_day_of_the_crawl(judge: Judge) -> None:
    mention = rule(mentions(article(None), judge.documents, undated=WEEK.sunday))
    assert mention.as_of_method is AsOfMethod.UNKNOWN
    judgement = judge.judge(mention, run_id="r")
    assert (str(judgement.status), judgement.label, judgement.flagged) == ("abstained", None, False)


def test_an_undated_claim_that_names_its_law_is_judged(judge: Judge) -> None:
    body = "Theo Luật Hợp tác xã năm 2012, hợp tác xã phải có ít nhất 7 thành viên."
    mention = rule(mentions(article(None, body), judge.documents, undated=WEEK.sunday))
    assert mention.as_of_method is AsOfMethod.NAMED_LAW
    assert judge.judge(mention, run_id="r").label == "SUPPORTED"


def test_the_earliest_dated_copy_is_the_original(run: RunPlan, judge: Judge) -> None:
    first = article(datetime(2025, 1, 1, tzinfo=UTC), name="z")
    later = article(datetime(2025, 1, 2, tzinfo=UTC), name="b")
    undated = article(None, name="a")
    write_shard(run.stage("extract") / "1.articles.parquet", [undated, later, first], Article)
    (run.stage("extract") / "stage.json").write_text('["1.articles.parquet"]', encoding="utf-8")
    stages.analyse(run, judge.documents)
    found = {a.article_id: a for a in stages.read_analysed(run)[0]}
    assert found["z"].copied_from == ""
    assert found["b"].copied_from == found["a"].copied_from == "z"
    assert len({a.story_id for a in found.values()}) == 1


def test_ids_do_not_depend_on_the_run(judge: Judge) -> None:
    at = datetime(2025, 1, 1, tzinfo=UTC)
    one = mentions(article(at), judge.documents, undated=WEEK.sunday)
    assert one == mentions(article(at), judge.documents, undated=date(2020, 1, 1))
    checkable = [m for m in one if m.checkability is Checkability.CHECKABLE]
    assert [judge.judge(m, run_id="r").judgement_id for m in checkable] == [
        judge.judge(m, run_id="s").judgement_id for m in checkable
    ]


def test_a_clock_before_the_week_refuses_no_date() -> None:
    week = Week(year=2026, number=40)  # from Monday, 28 September
    wrong, zone, right = (datetime(y, m, d, tzinfo=UTC) for y, m, d in (
        (2001, 1, 1), (2026, 9, 27), (2026, 10, 2)))  # fmt: skip
    assert [stages.clock_was_wrong(at, week) for at in (wrong, zone, right)] == [True, False, False]
    page = FetchedPage(
        url="", final_url="", outlet="", status=200, content_type="", body=b"", fetched_at=wrong,
        raw_sha256="",
    )  # fmt: skip
    assert stages.read_at(page, week).date() == week.sunday
    assert stages.read_at(replace(page, fetched_at=right), week) == right
