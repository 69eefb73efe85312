"""One week from the feeds to the store: the order of the stages, the sums and the exit code."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from crawler import archive
from crawler import run as crawling
from crawler.outlets import Outlet, load_outlets
from kiemchung import __version__
from kiemchung.config import Settings
from kiemchung.domain import Accounting, Batch, OutletHealth, Run
from kiemchung.errors import AccountingError, KiemchungError, StoreLockedError, UnknownOutletError
from kiemchung.store import insurance, open_store
from kiemchung.store.inbox import write_batch
from pipeline import health, stages
from pipeline.deliver import alarms as undelivered
from pipeline.deliver import deliver
from pipeline.judging import Judge
from pipeline.reading import VIETNAM
from pipeline.reporting import write_report
from pipeline.runs import RunPlan, plan, record, sole
from pipeline.stages import Progress, silent
from pipeline.weeks import Week

HEALTHY: Final = 0
FAILED: Final = 1
ALARMS: Final = 2
SAMPLE: Final = "sample"


class Stage(StrEnum):
    """The stages in their order."""

    CRAWL = "crawl"
    EXTRACT = "extract"
    ANALYSE = "analyse"
    JUDGE = "judge"
    PUBLISH = "publish"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run did."""

    run_id: str
    week: str
    outlets: tuple[str, ...]
    stages: tuple[str, ...]
    accounting: Accounting
    articles: int
    mentions: int
    checkable: int
    judgements: int
    flags: int
    alarms: tuple[str, ...]
    published: bool
    report: str

    @property
    def exit_code(self) -> int:
        """0 healthy, 2 finished with alarms; a failure is an exception and exit code 1."""
        return ALARMS if self.alarms else HEALTHY


def choose_outlets(names: Sequence[str], settings: Settings) -> dict[str, Outlet]:
    """Return the named outlets; ``sample`` stands for all of the embedded sample.

    Without names: every outlet that a person has verified.

    Raises:
        UnknownOutletError: a name has no outlet file, or nothing is verified and none is named.
    """
    every = load_outlets(settings.outlet_dir)
    known = ", ".join(sorted(every))
    chosen: dict[str, Outlet] = {}
    for name in names:
        if name == SAMPLE:
            chosen.update({n: o for n, o in every.items() if o.sample})
        elif name in every:
            chosen[name] = every[name]
        else:
            raise UnknownOutletError(f"no outlet is called {name!r}", remedy=f"known: {known}")
    if not names:
        chosen = {n: o for n, o in every.items() if o.verified_on and not o.sample}
        if not chosen:
            raise UnknownOutletError(
                "no outlet file is verified yet",
                remedy="name outlets with --outlet, or verify one as CONTRIBUTING says",
            )
    if any(o.sample for o in chosen.values()) and not all(o.sample for o in chosen.values()):
        raise UnknownOutletError(
            "the sample's outlets and real ones cannot share a run",
            remedy="run them one after the other",
        )
    return dict(sorted(chosen.items()))


def make_plan(week: Week, outlets: Sequence[str], settings: Settings) -> RunPlan:
    """Return the plan of the run that these arguments mean."""
    chosen = choose_outlets(outlets, settings)
    return plan(week, list(chosen), settings.sha256(), settings.data_dir)


def crawl(run: RunPlan, settings: Settings, outlets: dict[str, Outlet]) -> crawling.CrawlSummary:
    """Fetch what is due; the sample's outlets are served on loopback for as long as it takes."""
    with ExitStack() as stack:
        proxy = None
        if any(outlet.sample for outlet in outlets.values()):
            from pipeline.demo.site import SampleSite  # the sample is no part of a real run

            proxy = stack.enter_context(SampleSite()).address
        return crawling.crawl(
            list(outlets.values()),
            data_dir=run.data_dir,
            run_id=run.run_id,
            settings=settings,
            sample_proxy=proxy,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounted:
    """The sums of crawl and extraction, what is not in order, and how each outlet did."""

    sums: Accounting
    alarms: tuple[str, ...]
    health: tuple[OutletHealth, ...]


def accounting(run: RunPlan, settings: Settings) -> Accounted:
    """Return the sums of crawl and extraction, the alarms, and the health of every outlet.

    Raises:
        AccountingError: a sum does not match; nothing is published then.
    """
    crawled = crawling.summary(run.data_dir, run.run_id)
    _, outcomes = stages.read_extracted(run)
    stored, duplicate, quarantined = stages.count_outcomes(outcomes)
    sums = Accounting(
        discovered=crawled.discovered,
        fetched=crawled.fetched,
        unchanged=crawled.unchanged,
        refused=dict(crawled.refused),
        failed=dict(crawled.failed),
        pending=crawled.pending,
        stored=stored,
        duplicate=duplicate,
        quarantined=quarantined,
    )
    wrong = sums.mismatches()
    if wrong:
        raise AccountingError(
            "; ".join(wrong),
            where=run.run_id,
            remedy="start the same week again; if the sums still differ, report it with run.json",
        )
    alarms = list(crawled.alarms)
    total = stored + duplicate + sum(n for r, n in quarantined.items() if r != "off_topic")
    broken = {r: n for r, n in quarantined.items() if r not in ("off_topic", "not_article")}
    if total and sum(broken.values()) > 0.2 * total:
        alarms.append(f"{sum(broken.values())} of {total} pages quarantined: {broken}")
    if crawled.pending:
        alarms.append(f"{crawled.pending} addresses still pending")
    every = load_outlets(settings.outlet_dir)
    checked = health.check(run, {n: every[n] for n in run.outlets if n in every}, outcomes)
    # A list that failed is named once, by the crawl.
    lists = ("dead_feed", "empty_feed", "unreachable")
    alarms += [line for line in checked.lines if not (crawled.alarms and line.startswith(lists))]
    return Accounted(sums=sums, alarms=tuple(alarms), health=checked.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Whether the run is in the store, and which deliveries of its report failed."""

    merged: bool  # False: a server owns the store, merges the run and writes its report
    undelivered: tuple[str, ...] = ()


def publish(
    run: RunPlan, settings: Settings, judge_: Judge, *, delivering: bool = True
) -> Publication:
    """Put the run into the inbox, merge it, write its report and deliver it."""
    articles, found = stages.read_analysed(run)
    judgements = stages.read_judged(run)
    checkable = {m.mention_id for m in found if m.checkability == "CHECKABLE"}
    if {j.mention_id for j in judgements} != checkable:
        raise AccountingError(
            f"{len(checkable)} checkable claims, but {len(judgements)} judgements",
            where=run.run_id,
            remedy="run the stages analyse and judge of this week again",
        )
    accounted = accounting(run, settings)
    seen = {e.passage_id for j in judgements for e in j.evidence}
    # The version before a rule is shown beside it, so it travels along.
    seen |= {judge_.by_id[p].supersedes for p in seen if judge_.by_id[p].supersedes}
    passages = tuple(p for p in judge_.passages if p.passage_id in seen)
    needed = {p.doc_id for p in passages}
    batch = Batch(
        run=Run(
            run_id=run.run_id,
            week=str(run.week),
            outlets=run.outlets,
            config_sha256=run.config_sha256,
            code_version=__version__,
            base_version=judge_.base_version,
            model_id=judge_.model.model_id,
            accounting=accounted.sums,
            alarms=accounted.alarms,
            health=accounted.health,
        ),
        articles=tuple(articles),
        mentions=tuple(found),
        judgements=tuple(judgements),
        passages=passages,
        documents=tuple(d for d in judge_.documents if d.doc_id in needed),
    )
    inbox = settings.data_dir / "inbox"
    write_batch(inbox, batch)
    try:
        with open_store(
            store_path(settings), wait_seconds=2.0, double_share=settings.double_review_share
        ) as store:
            merged = store.merge_inbox(inbox)
            insurance.write_daily(
                store,
                settings.data_dir / "reviews",
                day=datetime.now(UTC).astimezone(VIETNAM).date(),  # names a file, changes no result
                keep_days=settings.keep_reviews_days,
            )
            written = write_report(
                store, str(run.week), settings, outlet_names=outlet_names(settings)
            )
    except StoreLockedError:
        return Publication(merged=False)  # the server merges its inbox every few seconds
    if run.run_id not in merged:
        raise KiemchungError(
            "the batch was not merged",
            where=str(inbox),
            remedy="see the reason file in inbox/quarantine",
        )
    # Outside the store: a slow mail server must not keep a reviewer waiting for the lock.
    failed = undelivered(deliver(written, settings)) if delivering else []
    return Publication(merged=True, undelivered=tuple(failed))


def expire_pages(run: RunPlan, settings: Settings) -> list[str]:
    """Remove fetched pages that the operator no longer keeps; return the names of their files.

    Counted back from the end of the run's week, so that a repeat removes no more than the first.
    Pages of runs that are not finished stay.
    """
    if not settings.keep_pages_days:
        return []
    before = run.week.sunday - timedelta(days=settings.keep_pages_days)
    open_runs = [
        p.parent.name
        for p in (settings.data_dir / "runs").glob("*/run.json")
        if not all(stages.complete(p.parent / s) for s in ("extract", "analyse", "judge"))
    ]
    return archive.expire(settings.data_dir / "archive", before=before, keep=open_runs)


def store_path(settings: Settings) -> Path:
    """Return where the store of these settings lies."""
    return settings.data_dir / "kiemchung.duckdb"


def outlet_names(settings: Settings) -> dict[str, str]:
    """Return the display name of every outlet, for pages that people read."""
    return {o.name: o.display for o in load_outlets(settings.outlet_dir).values()}


def report_path(week: Week | str, settings: Settings) -> Path:
    """Return where the report of a week lies."""
    return settings.data_dir / "reports" / f"{week}.html"


def weekly(
    week: Week,
    *,
    outlets: Sequence[str],
    settings: Settings,
    only: Sequence[Stage] = tuple(Stage),
    progress: Progress = silent,
    judge_: Judge | None = None,
) -> Summary:
    """Run the stages ``only`` of one week in their order.

    Raises:
        KiemchungError: with what went wrong; the same call goes on where it stopped.
    """
    chosen = choose_outlets(outlets, settings)
    run = plan(week, list(chosen), settings.sha256(), settings.data_dir)
    with sole(run):
        record(run)
        if Stage.CRAWL in only:
            progress("crawl", 0, 0)
            crawled = crawl(run, settings, chosen)
            progress("crawl", crawled.discovered, crawled.discovered)
        if Stage.EXTRACT in only:
            pages = crawling.fetched_pages(run.data_dir, run.run_id)
            stages.extract(run, pages, chosen, progress=progress)
        needs_judge = {Stage.ANALYSE, Stage.JUDGE, Stage.PUBLISH} & set(only)
        if needs_judge and judge_ is None:
            judge_ = Judge.load(settings)
        if Stage.ANALYSE in only and judge_:
            stages.analyse(run, judge_.documents, progress=progress)
        if Stage.JUDGE in only and judge_:
            stages.judge(run, judge_, progress=progress)
        published = Publication(merged=False)
        if Stage.PUBLISH in only and judge_:
            sample = any(o.sample for o in chosen.values())  # nobody waits for its report
            published = publish(run, settings, judge_, delivering=not sample)
            expire_pages(run, settings)  # a server may merge the run; its pages are not needed
        done = summarise(run, settings, stages_run=only, published=published.merged)
        return replace(done, alarms=(*done.alarms, *published.undelivered))


def summarise(
    run: RunPlan, settings: Settings, *, stages_run: Sequence[Stage], published: bool
) -> Summary:
    """Return what is on disk of this run; stages that have not run count zero."""
    sums, alarms = Accounting(), ()  # type: tuple[Accounting, tuple[str, ...]]
    if stages.complete(run.stage("extract")):
        accounted = accounting(run, settings)
        sums, alarms = accounted.sums, accounted.alarms
    else:
        crawled = crawling.summary(run.data_dir, run.run_id)
        sums = Accounting(
            discovered=crawled.discovered,
            fetched=crawled.fetched,
            unchanged=crawled.unchanged,
            refused=dict(crawled.refused),
            failed=dict(crawled.failed),
            pending=crawled.pending,
        )
        alarms = crawled.alarms
    articles, found = (
        stages.read_analysed(run) if stages.complete(run.stage("analyse")) else ([], [])
    )
    judged = stages.read_judged(run) if stages.complete(run.stage("judge")) else []
    return Summary(
        run_id=run.run_id,
        week=str(run.week),
        outlets=run.outlets,
        stages=tuple(stages_run),
        accounting=sums,
        articles=len(articles),
        mentions=len(found),
        checkable=sum(m.checkability == "CHECKABLE" for m in found),
        judgements=len(judged),
        flags=sum(j.flagged for j in judged),
        alarms=alarms,
        published=published,
        report=str(report_path(run.week, settings)) if published else "",
    )
