"""Sixty behaviours of hostile servers: a named reason each, nothing private reached, memory kept.

Every behaviour has a loopback address of its own, so that one crawl meets them all side by side and
none is slowed down for another's misdeeds. The addresses 127.0.0.x of the table are let through by
the test; 127.9.9.9 stands for everything private and counts who connects.
"""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from crawler.ledger import Kind, Ledger, Visit
from crawler.outlets import Outlet
from crawler.run import crawl, fetched_pages
from kiemchung.config import load_settings

RUN = "2026-W40-hostile"
PAGE = "<html><body><h1>Hợp tác xã</h1>" + "<p>Nội dung bài viết.</p>" * 20 + "</body></html>"
SECRET = "CANARY-OF-A-LOCAL-FILE"
PRIVATE = "127.9.9.9"
MAX_BODY = 2_000_000
TIMEOUT = 4.0
Send = Callable[[socket.socket, str], None]


def reply(
    body: bytes | str = b"", status: str = "200 OK", *, length: int | None = None,
    close: bool = False, **headers: str,
) -> bytes:  # fmt: skip
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}"]
    if not close:
        lines.append(f"Content-Length: {len(data) if length is None else length}")
    kind = headers.pop("Content_Type", "text/html; charset=utf-8")
    lines += [f"Content-Type: {kind}", "Connection: close"]
    lines += [f"{k.replace('_', '-')}: {v}" for k, v in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + data


def sends(data: bytes) -> Send:
    return lambda s, _: s.sendall(data)


def to(target: str, status: str = "302 Found") -> Send:
    return sends(reply(status=status, Location=target))


def rss(*links: str) -> bytes:
    items = "".join(f"<item><link>{link}</link></item>" for link in links)
    return reply(f"<rss><channel>{items}</channel></rss>", Content_Type="text/xml")


def pieces(first: bytes, piece: bytes, pause: float, times: int) -> Send:
    def send(s: socket.socket, _: str) -> None:
        s.sendall(first)
        for _n in range(times):
            s.sendall(piece)
            time.sleep(pause)

    return send


def silent(s: socket.socket, _: str) -> None:
    time.sleep(TIMEOUT * 2.5)


def reset(s: socket.socket, _: str) -> None:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def counting(first: str) -> Send:
    """A redirect to ever-new addresses."""

    def send(s: socket.socket, path: str) -> None:
        n = int(path.rsplit("n", 1)[1]) if "n" in path else 0
        s.sendall(reply(status=first, Location=f"/a{n}n{n + 1}"))

    return send


def self_feeding(s: socket.socket, path: str) -> None:
    n = int(path.rsplit("-", 1)[1].split(".")[0]) if "-" in path else 0
    maps = "".join(f"<sitemap><loc>/map-{n * 3 + k + 1}.xml</loc></sitemap>" for k in range(3))
    s.sendall(reply(f"<sitemapindex>{maps}</sitemapindex>", Content_Type="text/xml"))


def calendar(s: socket.socket, path: str) -> None:
    n = int(path.rsplit("=", 1)[1]) if "=" in path else 0
    s.sendall(reply(f'<a href="/list?day={n + 1}" rel="next">sau</a>'))


def bomb(times: int) -> bytes:
    data = b"a" * 30_000_000
    for _ in range(times):
        data = gzip.compress(data, 9)
    return data


@dataclass(frozen=True)
class Case:
    """One host: how it answers ``/a1``, and where that address must end."""

    name: str
    send: Send
    end: str  # state:reason, or fetched/FLAG
    where: str = "page"  # page, feed, sitemap, listing or robots
    robots: bytes = reply(status="404 Not Found")


def meta(target: str, seconds: int = 0) -> bytes:
    return reply(f'<meta http-equiv="refresh" content="{seconds}; url={target}"><p>x</p>')


XXE = f'<!DOCTYPE r [<!ENTITY x SYSTEM "{{}}">]><rss><channel><item><link>http://{PRIVATE}:{{}}/a&x;</link></item></channel></rss>'
PARAMETER = '<!DOCTYPE r [<!ENTITY % p SYSTEM "{}"> %p;]><rss/>'
QUADRATIC = (
    f"<!DOCTYPE r [<!ENTITY a '{'a' * 40_000}'>]><rss><channel><item><link>{'&a;' * 40_000}"
    "</link></item></channel></rss>"
)
BILLION = (
    "<!DOCTYPE r [<!ENTITY a 'aaaaaaaaaa'>"
    + "".join(f"<!ENTITY {chr(98 + n)} '{('&' + chr(97 + n) + ';') * 10}'>" for n in range(9))
    + "]><rss><channel><item><link>&j;</link></item></channel></rss>"
)


def cases(port: int, canary: Path) -> list[Case]:
    """Return the table; ``port`` is that of every server, also of the private one."""
    private = f"http://{PRIVATE}:{port}"
    unsafe = "refused:unsafe_address"
    out = "refused:off_site"

    def xml(text: str) -> Send:
        return sends(reply(text, Content_Type="text/xml"))

    return [
        # where a redirect, a refresh or a list may lead
        Case("302 to a private host", to(f"{private}/a1"), unsafe),
        Case("302 to ::1", to(f"http://[::1]:{port}/a1"), unsafe),
        Case("302 to the metadata service", to("http://169.254.169.254/a1"), unsafe),
        Case("302 to a decimal address", to(f"http://{0x7F090909}:{port}/a1"), unsafe),
        Case("302 to a hex address", to(f"http://0x7f090909:{port}/a1"), unsafe),
        Case("302 to an octal address", to(f"http://0177.011.011.011:{port}/a1"), unsafe),
        Case("302 to a short address", to(f"http://127.592137:{port}/a1"), unsafe),
        Case("302 to a mapped address", to(f"http://[::ffff:{PRIVATE}]:{port}/a1"), unsafe),
        Case("302 to a NAT64 address", to("http://[64:ff9b::a00:1]/a1"), unsafe),
        Case("302 to a file", to(f"file://{canary}"), unsafe),
        Case("302 to ftp", to("ftp://127.0.0.1/a1"), unsafe),
        Case("302 to data:", to("data:text/html,x"), unsafe),
        Case("302 with a user name", to(f"http://a@{PRIVATE}:{port}/a1"), unsafe),
        Case("302 to another site", to("http://elsewhere.example/a1"), out),
        Case("301 to a private host", to(f"{private}/a1", "301 Moved"), out),
        Case("301 to a file", to(f"file://{canary}", "301 Moved"), unsafe),
        Case("308 to nonsense", to("http://[", "308 Permanent"), "failed:bad_redirect"),
        Case("302 to nonsense", to("http://[:::/"), "failed:bad_redirect"),
        Case("refresh to a private host", sends(meta(f"{private}/a1")), unsafe),
        Case("refresh to a file", sends(meta(f"file://{canary}")), unsafe),
        Case("refresh after minutes", sends(meta(f"{private}/a1", 300)), "fetched"),
        Case("feed that names a private page", sends(rss(f"{private}/a1")), "fetched", "feed"),
        Case("feed that names a file", sends(rss(f"file://{canary}")), "fetched", "feed"),
        Case("feed that names a script", sends(rss("javascript:alert(1)", "data:,x")), "fetched",
             "feed"),
        Case("sitemap index to a private host", xml(
            f"<sitemapindex><sitemap><loc>{private}/m.xml</loc></sitemap>"
            f"<sitemap><loc>file://{canary}</loc></sitemap></sitemapindex>"), "fetched", "sitemap"),
        Case("listing whose next page is private", sends(reply(
            f'<a rel="next" href="{private}/list">sau</a>')), "fetched", "listing"),
        Case("robots that move to a private host", sends(rss()), "refused:robots_unreachable",
             "feed", reply(status="302 Found", Location=f"{private}/robots.txt")),
        # loops
        Case("302 to itself", to("/a1"), "failed:redirect_loop"),
        Case("301 to itself", to("/a1", "301 Moved"), "failed:redirect_loop"),
        Case("302 to ever-new addresses", counting("302 Found"), "failed:redirect_loop"),
        Case("301 to ever-new addresses", counting("301 Moved"), "moved:http_301"),
        Case("refresh to itself, new each time", lambda s, p: s.sendall(
            meta(f"{p}x")), "failed:redirect_loop"),
        Case("sitemap index that feeds itself", self_feeding, "fetched", "sitemap"),
        Case("calendar without end", calendar, "fetched", "listing"),
        # size
        Case("gzip bomb", sends(reply(bomb(1), Content_Encoding="gzip")),
             "failed:decompression_bomb"),
        Case("gzip bomb in gzip", sends(reply(bomb(2), Content_Encoding="gzip, gzip")),
             "failed:decompression_bomb"),
        Case("gzip in gzip in gzip", sends(reply(bomb(3), Content_Encoding="gzip, gzip, gzip")),
             "failed:decompression_bomb"),
        Case("sitemap bomb", sends(reply(gzip.compress(
            b"<urlset>" + b" " * 60_000_000, 9), Content_Type="application/gzip")),
             "failed:decompression_bomb", "sitemap"),
        Case("announced too large", sends(reply(b"x", length=900_000_000)), "failed:too_large"),
        Case("endless body", pieces(reply(close=True), b"x" * 100_000, 0.0, 400),
             "failed:too_large"),
        Case("header flood", pieces(
            b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"y" * 900 + b"\r\n", 0.0, 177_000),
             "failed:header_flood"),
        Case("one endless header", pieces(
            b"HTTP/1.1 200 OK\r\nX-A: ", b"y" * 5000, 0.0, 500), "failed:"),
        # time
        Case("silence", silent, "failed:timeout"),
        Case("slow drip of the body", pieces(reply(length=9000), b"x", 0.2, 60), "failed:timeout"),
        Case("slow drip of the headers", pieces(
            b"HTTP/1.1 200 OK\r\n", b"X-A: y\r\n", 0.2, 60), "failed:timeout"),
        Case("silent robots", sends(rss()), "refused:robots_unreachable", "feed", b""),
        # broken answers
        Case("short body", sends(reply(b"<html>half", length=5000)), "fetched/truncated"),
        Case("cut gzip", sends(reply(
            gzip.compress(PAGE.encode() * 50)[:-30], Content_Encoding="gzip")),
             "fetched/truncated"),
        Case("body until the end of the connection", sends(reply(PAGE, close=True)),
             "fetched/partial"),
        Case("deflate", sends(reply(zlib.compress(PAGE.encode()), Content_Encoding="deflate")),
             "fetched"),
        Case("gzip that is none", sends(reply(PAGE, Content_Encoding="gzip")), "failed:bad_gzip"),
        Case("unknown coding", sends(reply(PAGE, Content_Encoding="zstd")),
             "failed:unknown_coding"),
        Case("no HTTP at all", sends(b"SSH-2.0-OpenSSH_9.9\r\n"), "failed:"),
        Case("connection reset", reset, "failed:"),
        Case("bad chunks", sends(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n"),
             "fetched/truncated"),
        Case("500", sends(reply(status="500 Oops")), "failed:http_500"),
        Case("429 for an hour", sends(reply(status="429 Slow", Retry_After="3600")),
             "failed:retry_after"),
        Case("410", sends(reply(status="410 Gone")), "gone:http_410"),
        Case("401", sends(reply(status="401 No")), "refused:http_401"),
        Case("451", sends(reply(status="451 Law")), "refused:http_451"),
        Case("status 999", sends(reply(status="999 No")), "failed:http_999"),
        Case("cookie challenge", sends(reply(
            "<script>document.cookie='a=1'; location.reload()</script>")), "refused:challenge"),
        # documents
        Case("external entity, file", xml(XXE.format(f"file://{canary}", port)), "fetched",
             "feed"),
        Case("external entity, http", xml(XXE.format(f"{private}/x.dtd", port)), "fetched",
             "feed"),
        Case("external DTD", xml(f'<!DOCTYPE r SYSTEM "{private}/x.dtd"><rss/>'), "fetched",
             "feed"),
        Case("parameter entity, file", xml(PARAMETER.format(f"file://{canary}")), "fetched",
             "feed"),
        Case("parameter entity, http", xml(PARAMETER.format(f"{private}/x.dtd")), "fetched",
             "feed"),
        Case("billion laughs", xml(BILLION), "fetched", "feed"),
        Case("quadratic entity", xml(QUADRATIC), "fetched", "feed"),
        Case("HTML in place of a feed", sends(reply(PAGE)), "failed:not_a_feed", "feed"),
        Case("empty feed", sends(reply(b"")), "failed:empty_feed", "feed"),
        Case("200,000 nested tags", xml("<rss>" + "<a>" * 200_000), "fetched", "feed"),
        Case("feed of control characters", xml("<rss>\x00\x01<item>" + "\x0b" * 999), "fetched",
             "feed"),
        Case("robots of HTML", sends(rss()), "refused:robots_unreachable", "feed",
             reply("<html>log in</html>")),
        Case("robots 500", sends(rss()), "refused:robots_unreachable", "feed",
             reply(status="500 Oops")),
        Case("robots that refuse all", sends(rss()), "refused:robots", "feed",
             reply("User-agent: *\nDisallow: /", Content_Type="text/plain")),
        Case("robots of 30 MB", sends(rss()), "refused:robots_unreachable", "feed",
             reply("User-agent: *\nDisallow: /b\n" * 1_200_000, Content_Type="text/plain")),
    ]  # fmt: skip


@contextmanager
def served(table: list[tuple[str, Case | None]], port: int) -> Iterator[dict[str, list[str]]]:
    """Serve every case on its own address and yield who asked for what."""
    seen: dict[str, list[str]] = {}
    listeners = []
    over = threading.Event()

    def handle(s: socket.socket, address: str, case: Case | None) -> None:
        with s:
            s.settimeout(15)
            try:
                asked = s.recv(65_536).decode("latin-1").split(" ")
                path = asked[1] if len(asked) > 1 else "?"
                seen.setdefault(address, []).append(path)
                if case is None:
                    s.sendall(reply("private"))
                elif path == "/robots.txt":
                    silent(s, path) if case.robots == b"" else s.sendall(case.robots)
                elif path == "/rss" and case.where == "page":
                    s.sendall(rss(f"http://{address}:{port}/a1"))
                else:
                    case.send(s, path)
            except OSError:
                return

    def listen(listener: socket.socket, address: str, case: Case | None) -> None:
        while not over.is_set():
            try:
                s, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(s, address, case), daemon=True).start()

    for address, case in table:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(64)
        listeners.append(listener)
        threading.Thread(target=listen, args=(listener, address, case), daemon=True).start()
    try:
        yield seen
    finally:
        over.set()
        for listener in listeners:
            listener.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end(visit: Visit) -> str:
    text = str(visit.state) + (f":{visit.reason}" if visit.reason else "")
    return text + (f"/{visit.flags}" if visit.flags and visit.kind is Kind.PAGE else "")


@dataclass(frozen=True)
class Met:
    """What one crawl of the whole table came to."""

    table: list[tuple[str, Case]]
    visits: dict[str, list[Visit]]
    seen: dict[str, list[str]]
    usage: dict[str, float]
    seconds: float
    folder: Path


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> Met:
    folder = tmp_path_factory.mktemp("hostile")
    canary = folder / "canary.txt"
    canary.write_text(f"{SECRET} <p>{SECRET}</p>", encoding="utf-8")
    port = free_port()
    table = [(f"127.0.1.{n}", case) for n, case in enumerate(cases(port, canary), start=1)]
    lists = {"page": "feeds", "feed": "feeds", "sitemap": "sitemaps", "listing": "listings"}
    path = {"page": "/rss", "feed": "/rss", "sitemap": "/map.xml", "listing": "/list"}
    outlets = [
        Outlet(
            name=address.replace(".", "-"), display=case.name, hosts=(address,), delay=0.0,
            article_pattern=r"/a\d",
            **{lists[case.where]: (f"http://{address}:{port}{path[case.where]}",)},  # type: ignore[arg-type]
        )
        for address, case in table
    ]  # fmt: skip
    settings = load_settings(
        data_dir=folder / "data", timeout_seconds=TIMEOUT, max_body_bytes=MAX_BODY
    )
    with served([*table, (PRIVATE, None)], port) as seen:
        begun = time.monotonic()
        crawl(
            outlets, data_dir=folder / "data", run_id=RUN, settings=settings,
            allowed_addresses=[a for a, _ in table],
        )  # fmt: skip
        seconds = time.monotonic() - begun
    ledger = Ledger(folder / "data" / "ledger.sqlite")
    visits: dict[str, list[Visit]] = {}
    for visit in ledger.visits(RUN):
        visits.setdefault(visit.outlet.replace("-", "."), []).append(visit)
    ledger.close()
    usage = json.loads((folder / "data" / "runs" / RUN / "crawl-usage.json").read_text())
    return Met(table=table, visits=visits, seen=seen, usage=usage, seconds=seconds, folder=folder)


@pytest.mark.slow
def test_there_are_sixty_behaviours_and_each_ends_as_it_should(met: Met) -> None:
    assert len(met.table) >= 60
    wrong = []
    for address, case in met.table:
        found = met.visits[address]
        page = case.where == "page"
        first = next(
            v for v in found
            if (v.kind is Kind.PAGE) == page and v.url.endswith(("/a1", "/rss", "/map.xml", "/list"))
        )  # fmt: skip
        if not end(first).startswith(case.end) or (case.end == "fetched" and first.reason):
            wrong.append(f"{case.name}: {end(first)}, not {case.end}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
def test_every_address_has_ended(met: Met) -> None:
    every = [v for several in met.visits.values() for v in several]
    assert {str(v.state) for v in every}.isdisjoint({"discovered", "leased"})
    assert all(v.reason for v in every if v.state in ("failed", "refused", "gone", "moved"))


@pytest.mark.slow
def test_nothing_private_was_reached_and_no_file_read(met: Met) -> None:
    assert PRIVATE not in met.seen
    for page in fetched_pages(met.folder / "data", RUN):
        assert SECRET.encode() not in page.body
    for path in (met.folder / "data").rglob("*"):
        if path.is_file() and path.name != "canary.txt":
            assert SECRET.encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_memory_and_time_stay_within_their_bounds(met: Met) -> None:
    assert met.usage["peak_bytes"] <= 300_000_000
    # All side by side: two tries of the slowest, and the robots of a silent host before them.
    assert met.seconds <= 60


@pytest.mark.slow
def test_loops_are_cut_after_a_few_requests(met: Met) -> None:
    asked = {case.name: len(met.seen[address]) for address, case in met.table}
    assert asked["301 to ever-new addresses"] <= 12
    assert asked["302 to ever-new addresses"] <= 12
    assert asked["calendar without end"] <= 12
    assert asked["sitemap index that feeds itself"] <= 60
    assert asked["302 to itself"] <= 4


@pytest.mark.slow
def test_a_body_that_ended_early_is_asked_for_once_more(met: Met) -> None:
    seen = {case.name: met.seen[address].count("/a1") for address, case in met.table}
    assert seen["short body"] == seen["cut gzip"] == 2
    assert seen["deflate"] == seen["body until the end of the connection"] == 1
