"""Three small weeks of the embedded sample, the reviews beside them, and what must hold after them.

The site grows from week to week: pages of the weeks before are still served (and come back
unchanged), one of them has changed, copies repeat claims of the week before.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import time_machine

from benchmarks.killing import Job, Server, Starter
from crawler.ledger import Kind, Ledger, State
from crawler.run import fetched_pages, ledger_path
from kiemchung.config import Settings, load_settings
from kiemchung.domain import Decision
from kiemchung.store import Store, open_store
from pipeline import stages
from pipeline.demo.site import ARTICLES, SampleSite
from pipeline.export import export
from pipeline.weekly import accounting, make_plan, store_path
from pipeline.weeks import parse_week

OUTLETS = ("pho-nho", "song-hong", "thuong-truong")
WEEKS = {
    "2026-W39": (
        "pho-nho/bon-dieu-hay-nham-ve-htx",
        "song-hong/htx-doi-cho-huong-dan-luat",
        "song-hong/lien-hiep-lua-gao-ba-song",
        "song-hong/so-lieu-htx-cuoi-nhiem-ky",  # its page changes after its first week
        "thuong-truong/htx-mo-cong-ty-con",
        "thuong-truong/suc-khoe-tai-chinh-htx-2024",
    ),
    "2026-W40": (
        "pho-nho/cho-dem-cua-cac-htx-ven-do",  # cut in the middle
        "pho-nho/htx-mo-cong-ty-con-dang-lai",  # a copy
        "pho-nho/phan-luong-quanh-ho-sen",  # about something else
        "pho-nho/suc-khoe-tai-chinh-htx-2024-nhin-lai",  # a copy with one figure changed
        "song-hong/hoi-dap-luat-htx-giao-thoi",
        "song-hong/kiem-toan-htx-nho-lo-lang",
        "thuong-truong/von-gop-htx-co-khi-lang-rao",
    ),
    "2026-W41": (
        "pho-nho/nam-nguoi-tre-lap-htx-tranh-giay",
        "thuong-truong/thue-voi-htx-dieu-can-biet",
    ),
}
FIRST, KILLED, NEXT = WEEKS
CLOCK = {FIRST: "2026-09-25T11:00+00:00", KILLED: "2026-10-02T11:00+00:00",
         NEXT: "2026-10-09T11:00+00:00"}  # fmt: skip
FORMATS = ("jsonl", "csv", "parquet", "claimreview")
REVIEWER, PASSWORD = "an", "mat khau dai cua an 1"
RETURNING = ("suc-khoe-tai-chinh-htx-2024-", "htx-mo-cong-ty-con-")
"""Pages of the first week that others copy in the second."""


def in_memory() -> Path | None:
    """Return a folder in memory: SIGKILL leaves the page cache alone, a disk is only slower."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() else None


class Sites:
    """The sample site of each week, served on loopback for as long as the context lasts."""

    def __init__(self, folder: Path) -> None:
        self._sites: dict[str, SampleSite] = {}
        articles: list[str] = []
        for number, (week, new) in enumerate(WEEKS.items()):
            articles += new
            home = folder / week
            for name in articles:
                target = home / f"{name}.toml"
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ARTICLES / f"{name}.toml", target)
            self._sites[week] = SampleSite(home, changed=number > 0)

    def __enter__(self) -> Sites:
        for site in self._sites.values():
            site.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for site in self._sites.values():
            site.__exit__(None, None, None)

    def job(self, data: Path, week: str, **more: Any) -> Job:  # noqa: ANN401
        """Return the start of ``week`` in the folder ``data``."""
        chosen = {"now": CLOCK[week]} | more
        return Job(
            data=str(data), week=week, site=self._sites[week].address, outlets=OUTLETS, **chosen
        )

    def pages(self, week: str) -> set[str]:
        """Return the addresses of the articles that are served in ``week``."""
        return {a.url for a in self._sites[week].articles}

    def served(self, week: str) -> set[str]:
        """Return the addresses of articles that were asked for and given, whole or unchanged."""
        site = self._sites[week]
        hits = {f"http://{h.host}{h.path}" for h in site.hits if h.status in (200, 304)}
        return hits & self.pages(week)


def settings(data: Path) -> Settings:
    """Return the settings that the runs of a folder have."""
    return load_settings(data_dir=data, delay_seconds=0.0)


@contextmanager
def opened(data: Path) -> Iterator[Store]:
    """The store of a folder, with the clock standing as in the killed week."""
    with (
        time_machine.travel(datetime.fromisoformat(CLOCK[KILLED]), tick=False),
        open_store(store_path(settings(data))) as store,
    ):
        yield store


# -- reviews ---------------------------------------------------------------------------------


def enrol(data: Path) -> None:
    """Make the account of the reviewer."""
    with opened(data) as store:
        once = store.add_user(REVIEWER, role="reviewer")
        account = store.authenticate(REVIEWER, once)
        assert account is not None
        assert store.change_password(account, old=once, new=PASSWORD) == ""


def review(data: Path, wanted: list[str]) -> None:
    """Decide the mentions ``wanted``, each by a form of its own; a second time does nothing."""
    with opened(data) as store:
        conclude(store, wanted)


def conclude(store: Store, wanted: list[str]) -> None:
    """The same in a store that is open."""
    account = store.authenticate(REVIEWER, PASSWORD)
    assert account is not None
    rows = store._read("SELECT mention_id, mention_key FROM mention")
    keys = {r["mention_id"]: r["mention_key"] for r in rows}
    for mention_id in wanted:
        item = store.item(keys[mention_id])
        assert item is not None
        store.decide(
            account,
            item.mention_key,
            Decision.REFUTED,
            form_token=mention_id,
            cited_passages=[p.passage.passage_id for p in item.passages][:1],
        )


def to_review(data: Path) -> tuple[list[str], list[str]]:
    """Return flags of the first week, by mention: of what comes back in the second, and the others.

    A conclusion covers the copies that are there when it is made. So what comes back is concluded
    before the kills, and the rest may be concluded at any moment.
    """
    with opened(data) as store:
        claims = {flag.claim_id: flag for flag in store.flags(FIRST)}
    again = {c for c, f in claims.items() if any(page in f.url for page in RETURNING)}
    ids = {c: f.mention_id for c, f in claims.items()}
    return sorted(ids[c] for c in again), sorted(ids[c] for c in set(claims) - again)


# -- what must hold --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a folder holds after its runs, as far as it may not depend on kills."""

    exports: dict[str, bytes]
    report: dict[str, bytes]
    counts: dict[str, int]
    reviews: tuple[Any, ...]
    pages: frozenset[str]  # that the week holds


def kept_pages(data: Path, week: str) -> tuple[frozenset[str], list[str]]:
    """Return the pages of a week that came or are as known, and what is damaged in the ledger."""
    run = make_plan(parse_week(week), OUTLETS, settings(data))
    ledger = Ledger(ledger_path(data))
    try:
        visits = [v for v in ledger.visits(run.run_id) if v.kind is Kind.PAGE]
        damaged = ledger.check()
    finally:
        ledger.close()
    kept = {v.url.split("?")[0] for v in visits if v.state in (State.FETCHED, State.UNCHANGED)}
    return frozenset(kept), damaged


def outcome(data: Path, out: Path, week: str) -> Outcome:
    """Export what is there and count it."""
    out.mkdir(parents=True, exist_ok=True)
    with opened(data) as store:
        for form in FORMATS:
            export(store, form, out=out / form)
        reviews = tuple(store.reviews())
        counts = store.counts()
    reports = {p: data / "reports" / p for p in (f"{week}.html", f"{week}.json", "feed.xml")}
    return Outcome(
        exports={form: (out / form).read_bytes() for form in FORMATS},
        report={n: p.read_bytes() if p.exists() else b"" for n, p in reports.items()},
        counts=counts,
        reviews=reviews,
        pages=kept_pages(data, week)[0],
    )


@dataclass(slots=True)
class Violations:
    """How often each thing that must not happen has happened."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_KINDS, 0))
    told: list[str] = field(default_factory=list)

    def add(self, kind: str, number: int, words: str = "") -> None:
        """Count ``number`` violations."""
        self.counts[kind] += number
        if number:
            self.told.append(f"{kind}: {number} {words}"[:500])


_KINDS = (
    "pages_lost", "pages_without_one_end", "pages_damaged", "sums_wrong", "reviews_lost",
    "reviews_changed", "doubled_rows", "rows_unlike_undisturbed", "exports_unlike_undisturbed",
    "reports_unlike_undisturbed", "batches_left", "batches_quarantined", "files_left",
    "next_runs_failed",
)  # fmt: skip


def _first_difference(ours: bytes, theirs: bytes) -> str:
    """Return the first line that differs, here and undisturbed."""
    pairs = itertools.zip_longest(ours.splitlines(), theirs.splitlines(), fillvalue=b"")
    return next((f"{a[:180]!r} instead of {b[:180]!r}" for a, b in pairs if a != b), "")


def check(data: Path, week: str, found: Outcome, wanted: Outcome, sites: Sites,
          violations: Violations) -> None:  # fmt: skip
    """Count what does not hold in a folder whose run of ``week`` has ended."""
    run = make_plan(parse_week(week), OUTLETS, settings(data))
    kept, damaged = kept_pages(data, week)
    # What a list that has not changed names is not asked for again, so a week need not hold all.
    lost = (wanted.pages | sites.served(week)) - kept
    violations.add("pages_lost", len(lost), str(sorted(lost)))
    pages = list(fetched_pages(data, run.run_id))
    bad = [p.url for p in pages if "archive_damaged" in p.flags]
    violations.add("pages_damaged", len(bad) + len(damaged), str(bad + damaged))
    _, outcomes = stages.read_extracted(run)
    ends = sorted(o.url for o in outcomes)
    odd = set(ends) ^ {p.url for p in pages}
    violations.add("pages_without_one_end", len(odd) + len(ends) - len(set(ends)), str(odd))
    wrong = accounting(run, settings(data)).sums.mismatches()
    violations.add("sums_wrong", len(wrong), str(wrong))
    with opened(data) as store:
        doubled = store.problems()
    violations.add("doubled_rows", len(doubled), str(doubled))
    lost_reviews = [r for r in wanted.reviews if r.mention_id not in {
        f.mention_id for f in found.reviews}]  # fmt: skip
    violations.add("reviews_lost", len(lost_reviews), str(lost_reviews))
    changed = sum(a != b for a, b in zip(found.reviews, wanted.reviews, strict=False))
    more = abs(len(found.reviews) - len(wanted.reviews))
    violations.add("reviews_changed", changed + more, str(found.reviews)[:300])
    unlike = {k: (v, wanted.counts[k]) for k, v in found.counts.items() if v != wanted.counts[k]}
    violations.add("rows_unlike_undisturbed", len(unlike), str(unlike))
    for kind, ours, theirs in (
        ("exports_unlike_undisturbed", found.exports, wanted.exports),
        ("reports_unlike_undisturbed", found.report, wanted.report),
    ):
        names = [n for n in theirs if ours[n] != theirs[n]]
        lines = [_first_difference(ours[n], theirs[n]) for n in names[:1]]
        violations.add(kind, len(names), f"{names} {' '.join(lines)}")
    inbox = data / "inbox"
    left = [p.name for p in inbox.glob("*") if p.name != "quarantine"] if inbox.exists() else []
    violations.add("batches_left", len(left), str(left))
    refused = list((inbox / "quarantine").glob("*"))
    violations.add("batches_quarantined", len(refused), str(refused))
    files = [str(p.relative_to(data)) for p in data.rglob("*.tmp")]
    violations.add("files_left", len(files), str(files))


# -- undisturbed -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Undisturbed:
    """The folder from which every trial starts, and what comes out when nothing is killed."""

    base: Path
    plain: Path  # where the weeks went undisturbed
    later: list[str]  # mentions that are reviewed while the second week is being killed
    wanted: dict[str, Outcome]  # of the weeks that were run there
    seconds: dict[str, float]  # of each stage of the second week


def undisturbed(folder: Path, sites: Sites, starter: Starter) -> Undisturbed:
    """Run the first two weeks without a kill."""
    base, plain = folder / "base", folder / "plain"
    run(starter, sites.job(base, FIRST))
    enrol(base)
    before, later = to_review(base)
    assert len(before) >= 2
    assert len(later) >= 3
    review(base, before)
    shutil.copytree(base, plain)
    review(plain, later)
    run(starter, sites.job(plain, KILLED))
    marks = list(starter.marks)
    seconds: dict[str, float] = {}
    for (stage, at), (_, until) in itertools.pairwise(marks):
        seconds[stage] = seconds.get(stage, 0.0) + until - at
    wanted = {KILLED: outcome(plain, folder / "wanted", KILLED)}
    assert wanted[KILLED].pages == sites.pages(KILLED)
    return Undisturbed(base=base, plain=plain, later=later, wanted=wanted, seconds=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """All that is made once for many disturbances."""

    folder: Path
    sites: Sites
    plain: Undisturbed
    starters: tuple[Server, ...]


def next_wanted(at: Ready) -> Outcome:
    """Return what comes out of the week after, which is run when it is asked for first."""
    plain = at.plain
    if NEXT not in plain.wanted:
        run(at.starters[0], at.sites.job(plain.plain, NEXT))
        plain.wanted[NEXT] = outcome(plain.plain, at.folder / "wanted-next", NEXT)
    return plain.wanted[NEXT]


@contextmanager
def ready(folder: Path, *, servers: int = 1) -> Iterator[Ready]:
    """Serve the sites, start the servers of runs and run the weeks without a kill."""
    starters: list[Server] = []
    try:
        for _ in range(servers):
            starters.append(Server())
        with Sites(folder / "sites") as sites:
            plain = undisturbed(folder, sites, starters[0])
            yield Ready(folder=folder, sites=sites, plain=plain, starters=tuple(starters))
    finally:
        for starter in starters:
            starter.close()


def run(starter: Starter, job: Job) -> int:
    """Run to the end; a run that fails is told with what it said."""
    starter.start(job)
    code = starter.end()
    if code not in (0, 2):
        raise RuntimeError(f"exit code {code}: {job.told()}")
    return code
