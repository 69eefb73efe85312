"""One week from the feeds to the store: the order of the stages, the sums and the exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from crawler import archive
from crawler import run as crawling
from crawler.outlets import Outlet, load_outlets, outlet_sha256
from kiemchung import __version__
from kiemchung.config import Settings
from kiemchung.domain import (
    Accounting,
    Article,
    Judgement,
    Mention,
    OutletHealth,
    Provenance,
    Run,
)
from kiemchung.errors import AccountingError, KiemchungError, StoreLockedError, UnknownOutletError
from kiemchung.shards import remove_leftovers, to_table
from kiemchung.store import insurance, open_store
from kiemchung.store.inbox import write_tables
from pipeline import backfill, drift, health, stages
from pipeline.code import code_sha256, program_version, tool_versions
from pipeline.deliver import alarms as undelivered
from pipeline.deliver import deliver
from pipeline.engines import crew_for
from pipeline.handover import tables_of
from pipeline.judging import Judge
from pipeline.publishing import articles_in_reading_order, base_tables, counts
from pipeline.reading import VIETNAM
from pipeline.reporting import write_report
from pipeline.runs import RunPlan, plan, record, sole
from pipeline.stages import Progress, silent
from pipeline.weeks import Week
from pipeline.workers import crew_of

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
    notes: tuple[str, ...] = ()  # what is worth knowing and no alarm

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
    for name in (n for given in names for n in _named(given, every)):
        if name not in every:
            raise UnknownOutletError(f"no outlet is called {name!r}", remedy=f"known: {known}")
        chosen[name] = every[name]
    if not names:
        chosen = {n: o for n, o in every.items() if o.verified_on and not o.sample}
        if not chosen:
            raise UnknownOutletError(
                "no outlet file is verified yet",
                remedy="name outlets with --outlet, or verify one as CONTRIBUTING says",
            )
    _refuse_mixture(chosen)
    return dict(sorted(chosen.items()))


def _named(name: str, every: Mapping[str, Outlet]) -> list[str]:
    return [n for n, o in every.items() if o.sample] if name == SAMPLE else [name]


def _refuse_mixture(chosen: Mapping[str, Outlet]) -> None:
    if any(o.sample for o in chosen.values()) and not all(o.sample for o in chosen.values()):
        raise UnknownOutletError(
            "the sample's outlets and real ones cannot share a run",
            remedy="run them one after the other",
        )


def outlets_then(
    week: Week, names: Sequence[str], settings: Settings, *, now: bool = False
) -> backfill.Then:
    """Return the outlets of a run of ``week``, as they were then; with ``now`` as they are.

    Raises:
        UnknownOutletError: a name is unknown, or nothing is verified and none is named.
        OutletFileError: what an earlier run kept is missing or damaged.
    """
    if now:
        return backfill.Then(outlets=choose_outlets(names, settings))
    every = load_outlets(settings.outlet_dir)
    wanted = [n for name in names for n in _named(name, every)]
    if not names:
        wanted = list(backfill.verified_then(week, settings.data_dir, every))
    then = backfill.as_of(week, wanted, settings.data_dir, every)
    _refuse_mixture(then.outlets)
    return then


def make_plan(week: Week, outlets: Sequence[str], settings: Settings) -> RunPlan:
    """Return the plan of the run that these arguments mean."""
    chosen = outlets_then(week, outlets, settings).outlets
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
    """The sums of crawl and extraction, what is not in order, and how each outlet did.

    A run that was judged has its alarms of drift among them, see `publish` and `summarise`.
    """

    sums: Accounting
    alarms: tuple[str, ...]
    health: tuple[OutletHealth, ...]


def _crawled(found: crawling.CrawlSummary) -> Accounting:
    """Return the sums of a crawl whose pages nobody has extracted."""
    return Accounting(
        discovered=found.discovered,
        fetched=found.fetched,
        unchanged=found.unchanged,
        refused=dict(found.refused),
        failed=dict(found.failed),
        pending=found.pending,
    )


def accounting(run: RunPlan, settings: Settings) -> Accounted:
    """Return the sums of crawl and extraction, the alarms, and the health of every outlet.

    Raises:
        AccountingError: a sum does not match; nothing is published then.
    """
    crawled = crawling.summary(run.data_dir, run.run_id)
    stored, duplicate, quarantined = stages.count_outcomes(stages.outcomes_of(run))
    sums = replace(_crawled(crawled), stored=stored, duplicate=duplicate, quarantined=quarantined)
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
    moments = (
        at
        for table in tables_of(run.stage("extract"), Article, "articles", columns=["fetched_at"])
        for at in table["fetched_at"].to_pylist()
    )
    early = [at for at in moments if stages.clock_was_wrong(at, run.week)]
    if early:
        alarms.append(
            f"the clock was wrong: {len(early)} articles came on {min(early).date()} by it, before"
            f" week {run.week} began; their dates were held against the week"
        )
    every = load_outlets(settings.outlet_dir)
    known = backfill.of_run(run, every)
    checked = health.check(run, known, stages.outcomes_of(run))
    # A list that failed is named once, by the crawl.
    lists = ("dead_feed", "empty_feed", "unreachable")
    alarms += [line for line in checked.lines if not (crawled.alarms and line.startswith(lists))]
    return Accounted(sums=sums, alarms=tuple(alarms), health=checked.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Whether the run is in the store, and which deliveries of its report failed."""

    merged: bool  # False: another process owns the store; a server merges the run and reports
    waits: str = ""  # who that is, and where the batch lies
    undelivered: tuple[str, ...] = ()
    calibration: tuple[str, ...] = ()  # the alarm of the audited sample
    accounted: Accounted | None = None  # what was read for it, for whoever sums up


def made_of(run: RunPlan, judge_: Judge) -> Provenance:
    """Return what the run's judgements were made with.

    Raises:
        AccountingError: its claims were found or judged by another program, model or base, or with
            another threshold, than the one that publishes: a flag would name what did not make it.
    """
    now = {
        "program": program_version(),
        "model_sha256": judge_.model_sha256,
        "base_version": judge_.base_version,
        "threshold": judge_.threshold,
    }
    for stage, names in (("analyse", ("program",)), ("judge", tuple(now))):
        then = stages.made_with(run.stage(stage))
        other = [name for name in names if then.get(name) != now[name]]
        if other:
            raise AccountingError(
                f"stage {stage} was run with another {', '.join(other)} than is here now",
                where=str(run.stage(stage)),
                remedy="run the stages analyse and judge of this week again",
            )
    extracted = stages.made_with(run.stage("extract"))
    return Provenance(
        code_sha256=code_sha256(),
        extractor_version=extracted.get("extractor_version", ""),
        model_sha256=judge_.model_sha256,
        threshold=judge_.threshold,
        outlets=extracted.get("outlets", {}),
        tools=tool_versions(),
    )


def run_facts(run: RunPlan, judge_: Judge, provenance: Provenance, sums: Accounting) -> Run:
    """Return what the store keeps of a run that this program has judged."""
    return Run(
        run_id=run.run_id,
        week=str(run.week),
        outlets=run.outlets,
        config_sha256=run.config_sha256,
        code_version=__version__,
        base_version=judge_.base_version,
        model_id=judge_.model.model_id,
        accounting=sums,
        provenance=provenance,
    )


def publish(
    run: RunPlan,
    settings: Settings,
    judge_: Judge,
    *,
    delivering: bool = True,
    odd: Sequence[str] = (),
) -> Publication:
    """Put the run into the inbox, merge it, write its report and deliver it.

    ``odd`` says in which way the configuration is another one; it stands among the run's alarms.
    """
    of_the_base = base_tables(run, judge_)
    accounted = accounting(run, settings)
    provenance = made_of(run, judge_)
    accounted = replace(accounted, alarms=(*accounted.alarms, *drift.check(run, judge_)))
    facts = replace(
        run_facts(run, judge_, provenance, accounted.sums),
        alarms=(*accounted.alarms, *odd),
        health=accounted.health,
    )
    inbox = settings.data_dir / "inbox"
    analysed = run.stage("analyse")
    write_tables(
        inbox,
        run.run_id,
        {
            "run": [to_table([facts], Run)],
            **of_the_base,
            "article": articles_in_reading_order(run),
            "mention": tables_of(analysed, Mention, "mentions"),
            "judgement": tables_of(run.stage("judge"), Judgement),
        },
    )
    try:
        with open_store(
            store_path(settings), wait_seconds=2.0, double_share=settings.double_review_share
        ) as store:
            merged = store.merge_inbox(inbox)
            # Another run may have found the store taken by this one, and left its batch to us.
            others = {r.week for r in store.runs() if r.run_id in merged} - {str(run.week)}
            names = outlet_names(settings)
            insurance.write_daily(
                store,
                settings.data_dir / "reviews",
                day=datetime.now(UTC).astimezone(VIETNAM).date(),  # names a file, changes no result
                keep_days=settings.keep_reviews_days,
            )
            audit = drift.audit_store(store)
            written = write_report(store, str(run.week), settings, outlet_names=names)
            for week in sorted(others):
                write_report(store, week, settings, outlet_names=names)
    except StoreLockedError as error:
        waits = _waiting(run, inbox, error)
        return Publication(merged=False, waits=waits, accounted=accounted)
    if run.run_id not in merged:
        raise KiemchungError(
            "the batch was not merged",
            where=str(inbox),
            remedy="see the reason file in inbox/quarantine",
        )
    # Outside the store: a slow mail server must not keep a reviewer waiting for the lock.
    failed = undelivered(deliver(written, settings)) if delivering else []
    return Publication(
        merged=True,
        undelivered=tuple(failed),
        calibration=(audit.line(),) if audit.drifted else (),
        accounted=accounted,
    )


def _waiting(run: RunPlan, inbox: Path, error: StoreLockedError) -> str:
    """Say who owns the store; a server merges its inbox every few seconds, a run once."""
    return (
        f"{error.message}: the batch waits in {inbox / run.run_id}; `kiemchung serve` merges it"
        " by itself, after any other program start this command again"
    )


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
    outlets_now: bool = False,
) -> Summary:
    """Run the stages ``only`` of one week in their order.

    A past week has the outlets of then, see `pipeline.backfill`; with ``outlets_now`` those of now.

    Raises:
        KiemchungError: with what went wrong; the same call goes on where it stopped.
    """
    then = outlets_then(week, outlets, settings, now=outlets_now)
    chosen = then.outlets
    run = plan(week, list(chosen), settings.sha256(), settings.data_dir)
    crew, judges = crew_for(settings), crew_for(settings, encoder=True)
    local = crew_of(settings.workers)  # pages are read where the archive lies
    with sole(run):
        for folder in (
            run.folder,
            settings.data_dir / "reports",
            health.folder(run.data_dir),
            drift.folder(run.data_dir),
        ):
            remove_leftovers(folder)
        remove_leftovers(settings.data_dir, below=False)  # of a seal, where it was being written
        odd = record(
            run,
            settings=settings.counted(),
            outlets={name: outlet_sha256(outlet) for name, outlet in chosen.items()},
        )
        backfill.keep(run, chosen, named=bool(outlets))
        crawled: crawling.CrawlSummary | None = None
        if Stage.CRAWL in only:
            progress("crawl", 0, 0)
            crawled = crawl(run, settings, chosen)
            progress("crawl", crawled.discovered, crawled.discovered)
        if Stage.EXTRACT in only:
            pages = crawling.fetched_pages(run.data_dir, run.run_id)
            total = (crawled or crawling.summary(run.data_dir, run.run_id)).fetched
            stages.extract(run, pages, chosen, total=total, progress=progress, crew=local)
        needs_judge = {Stage.ANALYSE, Stage.JUDGE, Stage.PUBLISH} & set(only)
        loaded = judge_ is None
        if needs_judge and judge_ is None:
            judge_ = Judge.load(settings)
        if Stage.ANALYSE in only and judge_:
            stages.analyse(run, judge_.documents, progress=progress, crew=crew)
        if Stage.JUDGE in only and judge_:
            # A judge that was given exists here only, and one GPU serves one process.
            spread = loaded and (settings.device == "cpu" or settings.engine == "ray")
            own = settings if spread else None
            stages.judge(run, judge_, progress=progress, crew=judges, settings=own)
        published = Publication(merged=False)
        if Stage.PUBLISH in only and judge_:
            progress("publish", 0, 1)
            sample = any(o.sample for o in chosen.values())  # nobody waits for its report
            published = publish(run, settings, judge_, delivering=not sample, odd=odd)
            expire_pages(run, settings)  # a server may merge the run; its pages are not needed
            progress("publish", 1, 1)
        done = summarise(
            run, settings, stages_run=only, published=published.merged,
            accounted=published.accounted,
        )  # fmt: skip
        alarms = (*done.alarms, *odd, *published.calibration, *published.undelivered)
        notes = (*then.notes, *filter(None, [published.waits]))
        return replace(done, alarms=alarms, notes=notes)


def summarise(
    run: RunPlan,
    settings: Settings,
    *,
    stages_run: Sequence[Stage],
    published: bool,
    accounted: Accounted | None = None,
) -> Summary:
    """Return what is on disk of this run; stages that have not run count zero.

    ``accounted`` is what `publish` has just read of it; otherwise it is read here.
    """
    sums, alarms = Accounting(), ()  # type: tuple[Accounting, tuple[str, ...]]
    if accounted is not None:
        sums, alarms = accounted.sums, accounted.alarms
    elif stages.complete(run.stage("extract")):
        accounted = accounting(run, settings)
        sums, alarms = accounted.sums, (*accounted.alarms, *drift.lines_of(run))
    else:
        crawled = crawling.summary(run.data_dir, run.run_id)
        sums, alarms = _crawled(crawled), crawled.alarms
    found = counts(run)
    return Summary(
        run_id=run.run_id,
        week=str(run.week),
        outlets=run.outlets,
        stages=tuple(stages_run),
        accounting=sums,
        articles=found["articles"],
        mentions=found["mentions"],
        checkable=found["checkable"],
        judgements=found["judgements"],
        flags=found["flags"],
        alarms=alarms,
        published=published,
        report=str(report_path(run.week, settings)) if published else "",
    )
