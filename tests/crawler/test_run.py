"""The crawl against a hostile loopback server: manners, caps, named ends, kills and repeats."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import psutil
import pytest

from crawler import archive
from crawler.ledger import Kind, Ledger, Visit
from crawler.outlets import Outlet, load_outlets
from crawler.run import (
    CrawlSummary,
    crawl,
    day_of_run,
    fetched_pages,
    main,
    scrapy_settings,
    summary,
)
from crawler.spider import QUEUE
from kiemchung.config import load_settings
from kiemchung.errors import ConfigError, KiemchungError, PageError
from kiemchung.locks import held
from tests.crawler import hostile

Hostile, text, rss, redirect, PAGE = (
    hostile.Hostile, hostile.text, hostile.rss, hostile.redirect, hostile.PAGE
)  # fmt: skip
RUN = "2026-W40-test"


def outlet(server: Any, **given: Any) -> Outlet:
    return Outlet(
        **(
            {
                "name": "bad",
                "display": "Bad",
                "hosts": ("127.0.0.1",),
                "feeds": (server.url("/rss"),),
                "article_pattern": r"/a\d",
                "delay": 0.0,
            }
            | given
        )
    )


def go(
    server: Any, folder: Path, run: str = RUN, *, timeout: float = 3.0, **given: Any
) -> CrawlSummary:
    settings = load_settings(data_dir=folder, timeout_seconds=timeout, max_body_bytes=1_000_000)
    return crawl(
        [outlet(server, **given)],
        data_dir=folder,
        run_id=run,
        settings=settings,
        allowed_addresses=["127.0.0.1"],
    )


def ends(folder: Path, run: str = RUN) -> dict[str, str]:
    ledger = Ledger(folder / "ledger.sqlite")
    try:
        return {
            v.url.split("/", 3)[-1]: f"{v.state}:{v.reason}".rstrip(":") for v in ledger.visits(run)
        }
    finally:
        ledger.close()


@pytest.mark.slow
def test_every_fault_ends_in_its_named_state(tmp_path: Path) -> None:
    with Hostile() as server:
        u = server.url
        paths = [f"/a{n}" for n in range(1, 20)]
        server.answers |= {
            "/rss": rss(*[u(p) for p in paths], u("/other"), "javascript:alert(1)"),
            "/a1": text(PAGE, ETag='"1"'),
            "/a2": text("gone", 410),
            "/a3": text("error", 500),
            "/a4": hostile.hang(8),
            "/a5": redirect("/a5b1"),
            "/a5b1": redirect("/a5"),
            "/a6": redirect("/a6?1"),
            **{f"/a6?{n}": redirect(f"/a6?{n + 1}") for n in range(1, 12)},
            "/a7": redirect("file:///etc/passwd"),
            "/a8": redirect("http://10.0.0.1/a1"),
            "/a9": redirect("http://elsewhere.example/a1"),
            "/a10": hostile.gzip_bomb,
            "/a11": hostile.cut_gzip,
            "/a12": hostile.short_body,
            "/a13": text("x" * 2_000_000),
            "/a14": text(PAGE, X_Flood="y" * 60_000, Y_Flood="y" * 60_000),
            "/a15": text("no", 403),
            "/a16": redirect("/a16b"),
            "/a16b": text(PAGE),
            "/a17": redirect("http://0x0a000001:1/a1"),
            "/a18": text(PAGE, Content_Encoding="br"),
            "/a19": redirect("http://[::ffff:10.0.0.1]/a1"),
        }
        result = go(server, tmp_path)
    found = ends(tmp_path)
    assert found == {
        "rss": "fetched",
        "a1": "fetched",
        "a2": "gone:http_410",
        "a3": "failed:http_500",
        "a4": "failed:timeout",
        "a5": "failed:redirect_loop",
        "a6": "failed:redirect_loop",
        "a7": "refused:unsafe_address",
        "a8": "refused:unsafe_address",
        "a9": "refused:off_site",
        "a10": "failed:decompression_bomb",
        "a11": "fetched",
        "a12": "fetched",
        "a13": "failed:too_large",
        "a14": found["a14"],
        "a15": "refused:http_403",
        "a16": "fetched",
        "a17": "refused:unsafe_address",
        "a18": "failed:unknown_coding",
        "a19": "refused:unsafe_address",
    }
    assert found["a14"] in ("failed:header_flood", "failed:broken_response", "failed:connection")
    assert "other" not in found
    assert result.discovered == 19
    assert result.pending == 0
    assert result.fetched == 4
    assert sum(result.refused.values()) + sum(result.failed.values()) == 15
    pages = {p.url.rsplit("/", 1)[-1]: p for p in fetched_pages(tmp_path, RUN)}
    assert pages["a1"].body == PAGE.encode()
    assert pages["a11"].flags == pages["a12"].flags == ("truncated",)
    assert pages["a12"].body == b"<html>half"  # what came is kept
    assert pages["a16"].final_url.endswith("/a16b")


@pytest.mark.slow
def test_eight_disallowed_addresses_at_once_and_none_is_fetched(tmp_path: Path) -> None:
    with Hostile() as server:
        paths = [f"/a{n}" for n in range(8)]
        server.answers |= {
            "/robots.txt": text("User-agent: *\nDisallow: /a", kind="text/plain"),
            "/rss": rss(*[server.url(p) for p in paths]),
            **{p: text(PAGE) for p in paths},
        }
        result = go(server, tmp_path)
        assert result.refused == {"robots": 8}
        assert not [p for p in paths if server.hits[p]]
        assert server.hits["/robots.txt"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer",
    [
        text("oops", 503),
        text("slow", 429),
        text("<html>login</html>"),
        hostile.hang(8),
        redirect("/robots.txt"),
    ],
    ids=["503", "429", "html", "hang", "loop"],
)
def test_a_host_whose_robots_cannot_be_read_is_not_crawled(tmp_path: Path, answer: Any) -> None:
    with Hostile({"/robots.txt": answer}) as server:
        server.answers |= {"/rss": rss(server.url("/a1")), "/a1": text(PAGE)}
        result = go(server, tmp_path, timeout=2.0)
        assert server.hits["/rss"] == 0
    assert [f.reason for f in result.feeds] == ["robots_unreachable"]
    assert result.alarms


@pytest.mark.slow
def test_robots_rules_are_read_as_the_standard_says(tmp_path: Path) -> None:
    """Own name before the star, the longest rule wins, 500 KiB are read, a hop away is followed."""
    rules = (
        "\ufeffUser-agent: *\nDisallow: /\n\nUser-agent: Kiemchung\nDisallow: /a1\nAllow: /a12\n"
        "Disallow: /*?print\n# " + "x" * 520_000 + "\nDisallow: /a3\n"
    )
    with Hostile() as server:
        paths = ["/a1", "/a12", "/a2?print", "/a3", "/a4"]
        server.answers |= {
            "/robots.txt": redirect("/moved-robots.txt"),
            "/moved-robots.txt": text(rules, kind="text/plain"),
            "/rss": rss(*[server.url(p) for p in paths]),
            **{p: text(PAGE + p) for p in paths},
        }
        go(server, tmp_path)
        assert [p for p in paths if server.hits[p]] == ["/a12", "/a3", "/a4"]


@pytest.mark.slow
def test_crawl_delay_and_retry_after_are_honoured(tmp_path: Path) -> None:
    with Hostile(
        {"/robots.txt": text("User-agent: *\nCrawl-delay: 1", kind="text/plain")}
    ) as server:
        asked: list[float] = []

        def busy_once(handler: Any) -> None:
            asked.append(time.monotonic())
            (text("later", 429, Retry_After="2") if len(asked) == 1 else text(PAGE))(handler)

        server.answers |= {
            "/rss": rss(server.url("/a1"), server.url("/a2"), server.url("/a3")),
            "/a1": busy_once,
            "/a2": text(PAGE),
            "/a3": text(PAGE),
        }
        result = go(server, tmp_path)
        assert result.fetched == 3
        assert asked[1] - asked[0] >= 1.9
        pages = [t for p, t in server.times if p in ("/a2", "/a3")]
        assert abs(pages[1] - pages[0]) >= 0.9


@pytest.mark.slow
def test_the_same_run_again_fetches_nothing_and_the_next_asks_conditionally(tmp_path: Path) -> None:
    with Hostile() as server:
        changed = {"n": 0}

        def tagged(handler: Any) -> None:
            same = handler.headers.get("If-None-Match") == '"1"'
            (text("", 304) if same else text(PAGE, ETag='"1"'))(handler)

        def moving(handler: Any) -> None:
            text(PAGE + "x" * changed["n"])(handler)

        server.answers |= {
            "/rss": rss(server.url("/a1"), server.url("/a2?utm_source=x"), server.url("/a2"),
                        server.url("/a3")),
            "/a1": tagged, "/a2?utm_source=x": moving, "/a2": moving, "/a3": text(PAGE),
        }  # fmt: skip
        first = go(server, tmp_path)
        assert (first.discovered, first.fetched) == (3, 3)
        hits = server.hits.total()
        assert go(server, tmp_path) == first
        assert server.hits.total() == hits
        changed["n"] = 1
        later = go(server, tmp_path, "2026-W41-test")
        assert (later.fetched, later.unchanged) == (1, 2)
        assert summary(tmp_path, RUN) == first


@pytest.mark.slow
def test_fifteen_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    dice = random.Random(3)
    with Hostile() as server:
        paths = [f"/a{n}" for n in range(200)]
        server.answers |= {"/rss": rss(*[server.url(p) for p in paths])}
        server.answers |= {p: text(PAGE + p) for p in paths}
        go_once = (
            "import sys; from pathlib import Path; from crawler.outlets import Outlet;"
            "from crawler.run import crawl; from kiemchung.config import load_settings;"
            "d = Path(sys.argv[1]); crawl([Outlet(name='bad', display='B', hosts=('127.0.0.1',),"
            "feeds=(sys.argv[2],), article_pattern=r'/a\\d', delay=0.02)], data_dir=d,"
            f"run_id='{RUN}', settings=load_settings(data_dir=d), allowed_addresses=['127.0.0.1'])"
        )
        command = [sys.executable, "-c", go_once, str(tmp_path), server.url("/rss")]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        for _ in range(15):
            child = subprocess.Popen(
                command, env=environment, start_new_session=True, stderr=subprocess.DEVNULL
            )
            time.sleep(dice.uniform(0.5, 1.3))
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        subprocess.run(command, env=environment, check=True)
        assert max(server.hits[p] for p in paths) <= 1 + 15
    result = summary(tmp_path, RUN)
    assert (result.discovered, result.fetched, result.pending) == (200, 200, 0)
    bodies = [p.body for p in fetched_pages(tmp_path, RUN)]
    assert sorted(bodies) == sorted((PAGE + p).encode() for p in paths)


@pytest.mark.slow
def test_a_crawl_ends_with_the_run_that_was_killed_and_the_next_one_waits_for_it(
    tmp_path: Path,
) -> None:
    """Two crawls of one run at once would write into one archive."""
    with Hostile() as server:
        paths = [f"/a{n}" for n in range(40)]
        server.answers |= {"/rss": rss(*[server.url(p) for p in paths])}
        server.answers |= {p: text(PAGE + p) for p in paths}
        code = (
            "import sys; from pathlib import Path; from crawler.outlets import Outlet;"
            "from crawler.run import crawl; from kiemchung.config import load_settings;"
            "d = Path(sys.argv[1]); crawl([Outlet(name='bad', display='B', hosts=('127.0.0.1',),"
            "feeds=(sys.argv[2],), article_pattern=r'/a\\d', delay=0.05)], data_dir=d,"
            f"run_id='{RUN}', settings=load_settings(data_dir=d), allowed_addresses=['127.0.0.1'])"
        )
        command = [sys.executable, "-c", code, str(tmp_path), server.url("/rss")]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        for goal in (3, 12):  # pages asked for when the run alone is killed
            run = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
            deadline = time.monotonic() + 60
            while sum(server.hits[p] > 0 for p in paths) < goal and time.monotonic() < deadline:
                time.sleep(0.01)
            run.kill()
            run.wait()
        subprocess.run(command, env=environment, check=True)
    assert {p.flags for p in fetched_pages(tmp_path, RUN)} == {()}
    bodies = [p.body for p in fetched_pages(tmp_path, RUN)]
    assert sorted(bodies) == sorted((PAGE + p).encode() for p in paths)


def test_a_crawl_that_is_going_on_is_named(tmp_path: Path) -> None:
    with held(tmp_path / ".crawl.lock", what="it"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("crawler.run._ORPHAN_SECONDS", 0.1)
        with pytest.raises(KiemchungError, match=rf"{tmp_path.name} .* process {os.getpid()}"):
            main(tmp_path / "crawl-job.json")


def states(folder: Path, run: str = RUN) -> dict[str, Visit]:
    ledger = Ledger(folder / "ledger.sqlite")
    try:
        return {v.url.split("/", 3)[-1]: v for v in ledger.visits(run)}
    finally:
        ledger.close()


@pytest.mark.slow
def test_a_page_that_moved_is_fetched_under_its_new_address_once(tmp_path: Path) -> None:
    with Hostile() as server:
        server.answers |= {
            "/rss": rss(server.url("/a1"), server.url("/a2"), server.url("/a3")),
            "/a1": redirect("/a3", 301), "/a2": redirect("/a3", 308), "/a3": text(PAGE),
            "/old": redirect("/new", 301), "/new": rss(server.url("/a4")), "/a4": text(PAGE + "4"),
        }  # fmt: skip
        result = go(server, tmp_path, feeds=(server.url("/rss"), server.url("/old")))
        assert server.hits["/a3"] == 1
    found = ends(tmp_path)
    assert found["a1"] == "moved:http_301"
    assert found["a2"] == "moved:http_308"
    assert found["old"] == "moved:http_301"
    assert found["new"] == found["a3"] == found["a4"] == "fetched"
    assert (result.discovered, result.fetched, result.moved) == (2, 2, 2)
    assert result.alarms == ()


@pytest.mark.slow
def test_trouble_that_passes_is_tried_again_at_once_and_in_the_next_run(tmp_path: Path) -> None:
    with Hostile() as server:
        asked: list[str] = []

        def once_bad(handler: Any) -> None:
            asked.append("x")
            (hostile.cut_gzip if len(asked) == 1 else text(PAGE))(handler)

        server.answers |= {
            "/rss": rss(server.url("/a1"), server.url("/a2")),
            "/a1": once_bad, "/a2": text("down", 500),
        }  # fmt: skip
        first = go(server, tmp_path)
        assert server.hits["/a2"] == 2
        pages = list(fetched_pages(tmp_path, RUN))
        assert [(p.body, p.flags) for p in pages] == [(PAGE.encode(), ())]
        assert first.failed == {"http_500": 1}
        # The feed no longer names it; the next run asks for it all the same.
        server.answers |= {"/rss": rss(server.url("/a1")), "/a2": text(PAGE + "2")}
        second = go(server, tmp_path, "2026-W41-test")
    assert ends(tmp_path, "2026-W41-test")["a2"] == "fetched"
    assert second.failed == {}


@pytest.mark.slow
def test_a_host_in_trouble_is_asked_ever_more_slowly_then_left_alone(tmp_path: Path) -> None:
    with Hostile() as server:
        paths = [f"/a{n}" for n in range(12)]
        server.answers |= {"/rss": rss(*[server.url(p) for p in paths])}
        server.answers |= {p: text("down", 503) for p in paths}
        result = go(server, tmp_path)
        times = [t for p, t in server.times if p in paths]
    waits = [b - a for a, b in itertools.pairwise(times)]
    assert 5 <= len(times) <= 5 + QUEUE
    assert all(b >= a * 1.3 for a, b in itertools.pairwise(waits[1:5]))
    assert result.failed["host_down"] >= 5
    assert result.pending == 0


@pytest.mark.slow
def test_no_more_pages_than_the_budget_and_the_newest_first(tmp_path: Path) -> None:
    def item(n: int) -> str:
        return f"<url><loc>/a{n}</loc><lastmod>2026-09-{n + 1:02}T00:00:00Z</lastmod></url>"

    with Hostile() as server:
        body = f"<urlset>{''.join(map(item, range(20)))}<url><loc>/a99</loc>" \
               "<lastmod>2011-01-01T00:00:00Z</lastmod></url></urlset>"  # fmt: skip
        server.answers |= {"/map": text(body, kind="text/xml")}
        server.answers |= {f"/a{n}": text(PAGE + str(n)) for n in range(100)}
        result = go(server, tmp_path, feeds=(), sitemaps=(server.url("/map"),), max_pages=3)
        asked = [p for p, _ in server.times if p.startswith("/a")]
    assert sorted(asked) == ["/a17", "/a18", "/a19"]
    assert (result.discovered, result.fetched, result.refused) == (20, 3, {"page_budget": 17})
    assert [(f.items, f.dated, f.old) for f in result.feeds] == [(21, 21, 1)]
    assert any("page budget" in a for a in result.alarms)


@pytest.mark.slow
def test_a_sitemap_that_says_unchanged_spares_the_request(tmp_path: Path) -> None:
    with Hostile() as server:
        server.answers |= {
            "/map": text("<urlset><url><loc>/a1</loc><lastmod>2026-09-30T00:00:00Z</lastmod></url>"
                         "<url><loc>/a2</loc></url></urlset>", kind="text/xml"),
            "/a1": text(PAGE), "/a2": text(PAGE + "2"),
        }  # fmt: skip
        go(server, tmp_path, feeds=(), sitemaps=(server.url("/map"),))
        later = go(server, tmp_path, "2026-W41-test", feeds=(), sitemaps=(server.url("/map"),))
        assert (server.hits["/a1"], server.hits["/a2"]) == (1, 2)
    assert (later.fetched, later.unchanged) == (0, 2)


@pytest.mark.slow
def test_the_outlets_own_search_is_followed_page_by_page(tmp_path: Path) -> None:
    with Hostile() as server:
        server.answers |= {
            "/tim?q=h%E1%BB%A3p+t%C3%A1c+x%C3%A3": text(
                '<a href="/a1">1</a><a rel="next" href="/tim?p=2">sau</a>'),
            "/tim?p=2": text('<a href="/a2">2</a><a rel="next" href="/tim?p=3">sau</a>'),
            "/tim?p=3": text('<a href="/a3">3</a>'),
            **{f"/a{n}": text(PAGE + str(n)) for n in (1, 2, 3)},
        }  # fmt: skip
        result = go(
            server, tmp_path, feeds=(), search=server.url("/tim?q={query}"), max_listing_pages=2
        )
    assert result.fetched == 2
    found = states(tmp_path)
    assert {v.kind for v in found.values()} == {Kind.PAGE, Kind.SEARCH}
    assert "list_limit" in found["tim?p=2"].flags


@pytest.mark.slow
def test_one_wait_for_all_and_other_hosts_go_on(tmp_path: Path) -> None:
    """A host that asks for three seconds holds up its own pages, and nobody else's."""
    with Hostile() as server:
        asked: list[float] = []

        def busy(handler: Any) -> None:
            asked.append(time.monotonic())
            (text("", 429, Retry_After="3") if len(asked) == 1 else text(PAGE))(handler)

        other = server.base.replace("127.0.0.1", "127.0.0.2")
        server.answers |= {
            "/rss": rss(server.url("/a1")), "/a1": busy,
            "/rss2": rss(*[f"{other}/a{n}" for n in range(2, 9)]),
            **{f"/a{n}": text(PAGE + str(n)) for n in range(2, 9)},
        }  # fmt: skip
        second = Outlet(
            name="b", display="B", hosts=("127.0.0.2",), feeds=(f"{other}/rss2",), delay=0.0,
            article_pattern=r"/a\d",
        )  # fmt: skip
        crawl(
            [outlet(server), second], data_dir=tmp_path, run_id=RUN,
            settings=load_settings(data_dir=tmp_path),
            allowed_addresses=["127.0.0.1", "127.0.0.2"],
        )  # fmt: skip
        others = [t for p, t in server.times if p in {f"/a{n}" for n in range(2, 9)}]
    assert len(others) == 7
    assert max(others) < asked[1]
    assert asked[1] - asked[0] >= 2.9


@pytest.mark.slow
def test_lists_with_paging_sitemap_indexes_and_lies(tmp_path: Path) -> None:
    with Hostile() as server:
        u = server.url
        links = "".join(f'<a href="/a{n}">Bài {n}</a>' for n in range(5))
        server.answers |= {
            "/list": text(links + '<a href="/list?2" rel="next">sau</a><a href="/about">x</a>'),
            "/list?2": text('<a href="/a7">Bài</a><a href="/list" rel="next">vòng</a>'),
            "/index": text(
                f"<sitemapindex><sitemap><loc>{u('/index')}</loc></sitemap>"
                f"<sitemap><loc>{u('/map')}</loc></sitemap></sitemapindex>", kind="text/xml"
            ),
            "/map": text(f"<urlset><url><loc>{u('/a9')}</loc></url></urlset>", kind="text/xml"),
            "/html": text(PAGE),
            "/empty": text("", kind="text/xml"),
            "/none": rss(),
            **{f"/a{n}": text(PAGE + str(n)) for n in range(10)},
        }  # fmt: skip
        result = go(
            server, tmp_path, feeds=(u("/html"), u("/empty"), u("/none"), u("/dead")),
            listings=(u("/list"),), sitemaps=(u("/index"),),
        )  # fmt: skip
        assert server.hits["/list"] == 1
        assert server.hits["/index"] == 1
    assert result.fetched == 7
    assert sorted(a.split(":")[0] for a in result.alarms) == ["dead feed"] * 3 + ["empty feed"]
    assert {f.reason for f in result.feeds} == {"", "not_a_feed", "empty_feed", "http_404"}


def listening_of_children() -> set[int]:
    """The ports at which any child of this process listens now."""
    ports: set[int] = set()
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            found = child.net_connections(kind="inet")
            ports |= {c.laddr.port for c in found if c.status == psutil.CONN_LISTEN}
    return ports


@pytest.mark.slow
def test_no_port_is_opened_and_no_foreign_header_sent(tmp_path: Path) -> None:
    crawling: list[tuple[int, set[int]]] = []
    with Hostile() as server:
        page = text(PAGE, Set_Cookie="x=1; Path=/")

        def looked_at(handler: BaseHTTPRequestHandler) -> None:
            children = len(psutil.Process().children(recursive=True))
            crawling.append((children, listening_of_children()))
            page(handler)

        links = (server.url("/a1"), server.url("/a2"), server.url("/a3"))
        server.answers |= {"/rss": rss(*links), "/a1": page, "/a2": looked_at, "/a3": page}
        go(server, tmp_path)
        sent = [server.headers[path] for path in ("/a1", "/a2", "/a3")]
    assert all(headers["user-agent"].startswith("kiemchung/") for headers in sent)
    # Each page set a cookie, so all but the first of them could have been sent one.
    assert not any({"cookie", "referer", "authorization"} & set(headers) for headers in sent)
    ((children, ports),) = crawling
    assert children >= 1
    assert ports == set(), "neither telnet nor remote control"


def test_a_real_outlet_needs_a_contact(tmp_path: Path) -> None:
    real = Outlet(name="r", display="R", hosts=("news.vn",), feeds=("https://news.vn/rss",))
    with pytest.raises(ConfigError, match="contact"):
        crawl([real], data_dir=tmp_path, run_id=RUN, settings=load_settings(data_dir=tmp_path))


def test_the_sample_proxy_never_serves_a_real_outlet(tmp_path: Path) -> None:
    real = Outlet(name="r", display="R", hosts=("news.vn",), feeds=("https://news.vn/rss",))
    settings = load_settings(data_dir=tmp_path, contact="x@example.org")
    with pytest.raises(ConfigError, match="sample"):
        crawl([real], data_dir=tmp_path, run_id=RUN, settings=settings, sample_proxy="http://x:1")


def test_a_crawl_process_that_breaks_down_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"this is no database" * 100)
    with Hostile() as server, pytest.raises(KiemchungError, match="crawl process"):
        go(server, tmp_path)


def test_the_defaults_that_are_holes_are_closed() -> None:
    job = {"delay": 2.0, "timeout": 30.0, "max_body": 1, "agent": "a", "proxy": "", "allowed": []}
    closed = scrapy_settings(job, list(load_outlets().values()))
    assert closed["TELNETCONSOLE_ENABLED"] is closed["REMOTE_CONTROL_ENABLED"] is False
    assert set(closed["EXTENSIONS"].values()) == {None}
    assert closed["DOWNLOAD_VERIFY_CERTIFICATES"] is True
    handlers = closed["DOWNLOAD_HANDLERS"]
    assert {s for s, h in handlers.items() if h is None} == {"file", "ftp", "s3", "data"}
    assert all(slot["concurrency"] == 1 for slot in closed["DOWNLOAD_SLOTS"].values())


def test_the_week_of_a_run_is_read_from_its_id() -> None:
    assert day_of_run("2026-W40-abc").isoformat() == "2026-10-04"
    with pytest.raises(ConfigError, match="ISO week"):
        day_of_run("abc")


def test_a_flipped_byte_in_the_archive_is_found(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from kiemchung.domain import sha256_hex

    store = archive.Archive(tmp_path, "2026-W40-x")
    offsets = [
        store.write(f"http://x.example/{n}", 200, [("Content-Type", "text/html")],
                    f"{PAGE}{n}".encode(), datetime(2026, 10, 1, tzinfo=UTC),
                    sha256_hex(f"{PAGE}{n}".encode()))[1]
        for n in range(3)
    ]  # fmt: skip
    store.close()
    hashes = [sha256_hex(f"{PAGE}{n}".encode()) for n in range(3)]
    for n in (2, 0, 1):
        assert (
            archive.read(tmp_path, store.name, offsets[n], hashes[n]).body == f"{PAGE}{n}".encode()
        )
    data = bytearray((tmp_path / store.name).read_bytes())
    data[offsets[1] + (offsets[2] - offsets[1]) // 2] ^= 1
    (tmp_path / store.name).write_bytes(bytes(data))
    with pytest.raises(PageError, match=r"warc\.gz"):
        archive.read(tmp_path, store.name, offsets[1], hashes[1])
    with pytest.raises(PageError):
        archive.read(tmp_path, store.name, 10**9, hashes[1])


def test_the_job_file_holds_no_more_than_the_crawl_needs(tmp_path: Path) -> None:
    with Hostile() as server:
        server.answers["/rss"] = rss()
        go(server, tmp_path)
    job = json.loads((tmp_path / "runs" / RUN / "crawl-job.json").read_text(encoding="utf-8"))
    assert set(job) == {"outlets", "data_dir", "run_id", "delay", "timeout", "max_body", "agent",
                        "proxy", "allowed", "max_pages", "max_age_days", "outbound_proxy", "pages"}  # fmt: skip
