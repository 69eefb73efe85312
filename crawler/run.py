"""One crawl of one run: a child process with the spider, and what the ledger says afterwards.

The reactor runs once a process, and a crash of the crawl must not take the caller with it; so the
crawl is a child that may be killed at any instant and started again with the same call.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from crawler import archive
from crawler.isolate import outlet_from_json
from crawler.ledger import Kind, Ledger, State, Visit
from crawler.outlets import Outlet
from kiemchung import __version__, tombstones
from kiemchung.config import Settings
from kiemchung.errors import ConfigError, KiemchungError, PageError
from kiemchung.locks import held
from kiemchung.shards import write_bytes_atomically

MAX_HOLD: Final = 120.0  # seconds that a Retry-After may make a host wait in one run
_JOB: Final = "crawl-job.json"
_WATCHED: Final = "--with-parent"
_ORPHAN_SECONDS: Final = 10.0  # in which the crawl of a killed run notices that it is alone


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedHealth:
    """How one feed, sitemap or listing did in a run."""

    outlet: str
    kind: str
    url: str
    state: str
    reason: str
    items: int
    newest: str
    dated: int = 0
    old: int = 0
    fresh: int = 0
    fingerprint: str = ""
    final_url: str = ""
    flags: tuple[str, ...] = ()  # gap: nothing of the visit before was left in it


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlSummary:
    """Where the article pages of a run ended, and how its lists did.

    A page that moved counts once, under its new address; one that is gone counts as failed with
    its status (``http_404``, ``http_410``).
    """

    discovered: int
    fetched: int
    unchanged: int
    refused: dict[str, int]
    failed: dict[str, int]
    pending: int
    moved: int
    feeds: tuple[FeedHealth, ...]
    alarms: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedPage:
    """One page as it came; ``flags`` say what is wrong with it, empty for a whole page."""

    url: str
    final_url: str
    outlet: str
    status: int
    content_type: str
    body: bytes
    fetched_at: datetime
    raw_sha256: str
    flags: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


def ledger_path(data_dir: Path) -> Path:
    """Return where the ledger of a data folder lies."""
    return data_dir / "ledger.sqlite"


def crawl(
    outlets: Sequence[Outlet],
    *,
    data_dir: Path,
    run_id: str,
    settings: Settings,
    sample_proxy: str | None = None,
    allowed_addresses: Sequence[str] = (),
    max_pages: int | None = None,
    pages: Sequence[str] = (),
) -> CrawlSummary:
    """Fetch everything that is due in ``run_id`` and return where it ended.

    At most ``max_pages`` pages of an outlet are asked for (the outlet file's own figure, else the
    settings', where it is None); the rest ends as ``refused: page_budget`` and is taken up later.
    ``pages`` are addresses of pages asked for besides those that the lists name, for looking at a
    site; they must belong to one of the outlets.

    The run id begins with its ISO week, which says which month's sitemaps are due.
    ``allowed_addresses`` lets tests reach their own loopback servers; no setting can set it.

    Raises:
        ConfigError: a real outlet, and no contact in the settings.
        KiemchungError: the crawl process broke down; the same call goes on where it stopped.
    """
    real = [o.name for o in outlets if not all(h.endswith(".example") for h in o.hosts)]
    if real and not settings.contact and not allowed_addresses:
        raise ConfigError(
            "no contact is set, and an outlet must be able to reach who crawls it",
            where="kiemchung.toml",
            remedy='write contact = "you@your.org"',
        )
    if any(not o.hosts[0].endswith(".example") for o in outlets) and sample_proxy:
        raise ConfigError("the sample's proxy is for sample outlets only")
    folder = data_dir / "runs" / run_id
    job = {
        "outlets": [asdict(o) for o in outlets],
        "data_dir": str(data_dir),
        "run_id": run_id,
        "delay": settings.delay_seconds,
        "timeout": settings.timeout_seconds,
        "max_body": settings.max_body_bytes,
        "max_pages": max_pages or settings.max_pages,
        "max_age_days": settings.max_age_days,
        "outbound_proxy": settings.proxy,
        "pages": list(pages),
        "agent": (
            f"kiemchung/{__version__} (+{settings.project_url}; {settings.contact or 'sample'})"
        ),
        "proxy": sample_proxy or "",
        "allowed": [*allowed_addresses, *(["127.0.0.1"] if sample_proxy else [])],
    }
    if max_pages is not None:
        # So few are wanted that an outlet file's own figure does not count.
        job["outlets"] = [asdict(replace(o, max_pages=None)) for o in outlets]
    write_bytes_atomically(folder / _JOB, json.dumps(job, ensure_ascii=False).encode("utf-8"))
    code, said = _child(folder / _JOB)
    log = folder / "crawl.log"
    log.write_text(said, encoding="utf-8")
    if code:
        tail = said.strip().splitlines()[-1:] or ["no message"]
        raise KiemchungError(
            f"the crawl process ended with code {code}: {tail[0]}",
            where=str(log),
            remedy="start the same command again; it goes on where it stopped",
        )
    return summary(data_dir, run_id)


def _child(job: Path) -> tuple[int, str]:
    """Run one job in a child; return its exit code and what it wrote to stderr.

    Its stdin stays open for as long as this process lives: the child watches it and ends with us,
    so that a killed run leaves nobody behind who goes on fetching.
    """
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    with subprocess.Popen(
        [sys.executable, "-m", "crawler.run", str(job), _WATCHED],
        env=os.environ | {"PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        said = child.stderr.read() if child.stderr else ""
        return child.wait(), said


def _alarms(feeds: Sequence[FeedHealth], pages: Sequence[Visit]) -> list[str]:
    alarms = []
    for feed in feeds:
        where = f"{feed.outlet} {feed.url}"
        if feed.state in (State.FAILED, State.GONE):
            alarms.append(f"dead {feed.kind}: {where} ({feed.reason})")
        elif feed.state == State.REFUSED and feed.reason != "list_limit":
            alarms.append(f"refused {feed.kind}: {where} ({feed.reason})")
        elif feed.state == State.FETCHED and feed.items == 0:
            alarms.append(f"empty {feed.kind}: {where}")
        if "gap" in feed.flags:
            alarms.append(
                f"missed items: {where} has nothing left of the visit before; crawl it more often"
            )
    unreachable = Counter(p.outlet for p in pages if p.reason == "robots_unreachable")
    alarms += [f"robots unreachable: {name} ({n} pages)" for name, n in sorted(unreachable.items())]
    over = Counter(p.outlet for p in pages if p.reason == "page_budget")
    alarms += [
        f"page budget used up: {name} ({n} pages left for the next run)"
        for name, n in sorted(over.items())
    ]
    return alarms


def summary(data_dir: Path, run_id: str) -> CrawlSummary:
    """Return where the article pages of a run stand now."""
    ledger = Ledger(ledger_path(data_dir))
    try:
        visits = ledger.visits(run_id)
    finally:
        ledger.close()
    pages = [v for v in visits if v.kind is Kind.PAGE and v.state is not State.MOVED]
    lists = tuple(
        FeedHealth(
            outlet=v.outlet,
            kind=str(v.kind),
            url=v.url,
            state=str(v.state),
            reason=v.reason,
            items=v.items,
            newest=v.newest,
            dated=v.dated,
            old=v.old,
            fresh=v.fresh,
            fingerprint=v.fingerprint,
            final_url=v.final_url,
            flags=tuple(f for f in v.flags.split(",") if f),
        )
        for v in visits
        if v.kind is not Kind.PAGE
    )
    states = Counter(p.state for p in pages)
    failed = [p for p in pages if p.state in (State.FAILED, State.GONE)]
    return CrawlSummary(
        discovered=len(pages),
        fetched=states[State.FETCHED],
        unchanged=states[State.UNCHANGED],
        refused=dict(sorted(Counter(p.reason for p in pages if p.state is State.REFUSED).items())),
        failed=dict(sorted(Counter(p.reason for p in failed).items())),
        pending=states[State.DISCOVERED] + states[State.LEASED],
        moved=sum(v.kind is Kind.PAGE and v.state is State.MOVED for v in visits),
        feeds=lists,
        alarms=tuple(_alarms(lists, pages)),
    )


def fetched_pages(data_dir: Path, run_id: str) -> Iterator[FetchedPage]:
    """Yield the pages of a run in a fixed order, one body in memory at a time.

    A record that is damaged comes with an empty body and the flag ``archive_damaged``.
    """
    ledger = Ledger(ledger_path(data_dir))
    try:
        for visit in ledger.each_visit(run_id):
            if visit.kind is Kind.PAGE and visit.state is State.FETCHED:
                yield read_page(data_dir, visit)
    finally:
        ledger.close()


def read_page(data_dir: Path, visit: Visit) -> FetchedPage:
    """Return a page as it came, out of the archive.

    A record that is damaged, or was removed after its time, comes with an empty body and the flag
    ``archive_damaged`` or ``archive_expired``.
    """
    flags = tuple(f for f in visit.flags.split(",") if f)
    try:
        stored = archive.read(data_dir / "archive", visit.warc, visit.warc_offset, visit.raw_sha256)
    except PageError as error:
        stored = archive.Stored(body=b"", headers=())
        flags = (*flags, error.reason)
    return FetchedPage(
        url=visit.url,
        final_url=visit.final_url,
        outlet=visit.outlet,
        status=visit.status,
        content_type=visit.content_type,
        body=stored.body,
        headers=stored.headers,
        fetched_at=datetime.fromisoformat(visit.fetched_at).astimezone(UTC),
        raw_sha256=visit.raw_sha256,
        flags=flags,
    )


# -- the child -------------------------------------------------------------------------------


def scrapy_settings(job: dict[str, Any], outlets: Sequence[Outlet]) -> dict[str, Any]:
    """Return Scrapy's settings of one job: every default that is a hole is closed here."""
    default = float(job["delay"])
    slots = {
        host: {
            "concurrency": 1,
            "delay": default if o.delay is None else o.delay,
            "jitter": 0,
        }
        for o in outlets
        for host in o.hosts
    }
    middlewares = "crawler.middlewares"
    return {
        "USER_AGENT": job["agent"],
        "CONCURRENT_REQUESTS": 8 + 4 * len(outlets),  # no slow host may hold up the others
        "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
        "CONCURRENT_ITEMS": 1,  # a callback yields requests only; 100 tasks a page cost 2 ms
        "DOWNLOAD_DELAY": default,
        "DOWNLOAD_SLOTS": slots,
        "DOWNLOAD_TIMEOUT": job["timeout"],
        "DOWNLOAD_MAXSIZE": job["max_body"],
        "DOWNLOAD_WARNSIZE": 0,
        "DOWNLOAD_VERIFY_CERTIFICATES": True,
        "DOWNLOAD_FAIL_ON_DATALOSS": False,  # kept with a flag, tried again, then quarantined
        "DOWNLOAD_HANDLERS": {
            "file": None,
            "ftp": None,
            "s3": None,
            "data": None,
            "http": "crawler.guard.GuardedHandler",
            "https": "crawler.guard.GuardedHandler",
        },
        "TWISTED_DNS_RESOLVER": "crawler.guard.GuardedResolver",
        "DNSCACHE_ENABLED": True,
        "TELNETCONSOLE_ENABLED": False,
        "REMOTE_CONTROL_ENABLED": False,
        # Both off above; they are not even loaded, which takes half a second of each crawl.
        "EXTENSIONS": {
            "scrapy.extensions.telnet.TelnetConsole": None,
            "scrapy.extensions.remote_control.RemoteControl": None,
        },
        "COOKIES_ENABLED": False,
        "REDIRECT_ENABLED": False,
        "METAREFRESH_ENABLED": False,
        "RETRY_ENABLED": False,
        "COMPRESSION_ENABLED": False,
        "ROBOTSTXT_OBEY": False,  # ours below: the built-in one lets concurrent requests through
        "HTTPPROXY_ENABLED": False,  # the environment does not decide; the settings name a proxy
        "REFERER_ENABLED": False,
        "LOG_LEVEL": "WARNING",
        "DEFAULT_REQUEST_HEADERS": {
            "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.5",
            "Accept-Language": "vi,en;q=0.5",
        },
        "DOWNLOADER_MIDDLEWARES": {
            f"{middlewares}.ScopeMiddleware": 50,
            f"{middlewares}.RobotsMiddleware": 100,
            f"{middlewares}.PaceMiddleware": 150,
            f"{middlewares}.RedirectMiddleware": 560,
            f"{middlewares}.BodyMiddleware": 590,
        },
        "KIEMCHUNG_HOSTS": [h for o in outlets for h in o.hosts],
        "KIEMCHUNG_SAMPLE_PROXY": job["proxy"],
        "KIEMCHUNG_ALLOWED_ADDRESSES": job["allowed"],
        "KIEMCHUNG_PROXY": job.get("outbound_proxy", ""),
        "KIEMCHUNG_MAX_HOLD": MAX_HOLD,
    }


def day_of_run(run_id: str) -> date:
    """Return the last day of the week that a run id begins with."""
    match = re.match(r"(\d{4})-W(\d{2})", run_id)
    if match is None:
        raise ConfigError(f"run id {run_id!r} does not begin with an ISO week")
    return date.fromisocalendar(int(match[1]), int(match[2]), 7)


def peak_bytes() -> int:
    """Return the most memory that this process ever held, in bytes.

    Linux hands ``ru_maxrss`` of a parent on to its child, so its own figure is read where it is.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii"))
        if found:
            return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)


def _end_with_parent() -> None:
    """End this process as soon as the one that started it has gone."""

    def watch() -> None:
        os.read(0, 1)  # nothing is ever written: it returns when the other end closes
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(job_file: Path) -> int:
    """Run the spider of one job in this process.

    Raises:
        KiemchungError: another process crawls this run.
    """
    with held(
        job_file.with_name(".crawl.lock"),
        what=f"the crawl of {job_file.parent.name}",
        wait_seconds=_ORPHAN_SECONDS,
    ):
        return _crawl(job_file)


def _crawl(job_file: Path) -> int:
    from scrapy.crawler import AsyncCrawlerProcess

    from crawler.spider import OutletSpider

    job = json.loads(job_file.read_text(encoding="utf-8"))
    outlets = {o.name: o for o in map(outlet_from_json, job["outlets"])}
    data_dir = Path(job["data_dir"])
    ledger = Ledger(ledger_path(data_dir))
    store = archive.Archive(data_dir / "archive", job["run_id"])
    withdrawn = {"KIEMCHUNG_WITHDRAWN": sorted(tombstones.hashes(data_dir))}
    process = AsyncCrawlerProcess(scrapy_settings(job, list(outlets.values())) | withdrawn)
    crawler = process.create_crawler(OutletSpider)
    process.crawl(
        crawler,
        outlets=outlets,
        ledger=ledger,
        archive=store,
        run_id=job["run_id"],
        day=day_of_run(job["run_id"]),
        max_pages=job["max_pages"],
        max_age_days=job["max_age_days"],
        pages=job["pages"],
    )
    process.start()
    store.close()
    ledger.close()
    used = resource.getrusage(resource.RUSAGE_SELF)
    facts = {
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 3),
        "peak_bytes": peak_bytes(),
    }
    write_bytes_atomically(job_file.with_name("crawl-usage.json"), json.dumps(facts).encode())
    errors = crawler.stats.get_value("log_count/ERROR", 0) if crawler.stats else 0
    return 1 if errors else 0


def command(arguments: Sequence[str]) -> int:
    """Run ``crawler.run JOB [--with-parent]``; a known error is one line on stderr."""
    if _WATCHED in arguments:
        _end_with_parent()
    try:
        return main(Path(arguments[0]))
    except KiemchungError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    raise SystemExit(command(sys.argv[1:]))
