"""The crawler's pure parts: addresses, feeds that lie, gzip that ends early, waits, the ledger."""

from __future__ import annotations

import contextlib
import gzip
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.feeds import parse_listing, parse_xml, strict_date
from crawler.guard import check_url, literal_address
from crawler.middlewares import Refused, gunzip, retry_after, robots_rules
from crawler.outlets import Outlet
from kiemchung.errors import PageError, UnsafeAddressError

NOW = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)
ITEM = "<item><link>{}</link><pubDate>Thu, 01 Oct 2026 08:00:00 +0700</pubDate></item>"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "0.0.0.0", "2130706433",
     "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]",
     "[fe80::1]", "[fd00::1]", "[2002:7f00:1::]", "224.0.0.1", "100.64.0.1", "255.255.255.255"],
)  # fmt: skip
def test_no_private_address_in_any_spelling(host: str) -> None:
    with pytest.raises(UnsafeAddressError):
        check_url(f"http://{host}/x")


@pytest.mark.parametrize("url", ["http://8.8.8.8/", "https://bao.vn/a", "http://a.example:8080/x"])
def test_public_addresses_and_names_pass(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://a.vn/x", "data:text/html,x", "javascript:alert(1)", "", "//a.vn",
     "http://user:pass@a.vn/", "http://user@a.vn/", "http:///x", "gopher://a.vn"],
)  # fmt: skip
def test_other_schemes_and_hidden_hosts_are_refused(url: str) -> None:
    with pytest.raises(UnsafeAddressError):
        check_url(url)


def test_the_allow_list_lets_one_address_through() -> None:
    check_url("http://127.0.0.1:9/x", allowed=["127.0.0.1"])
    with pytest.raises(UnsafeAddressError):
        check_url("http://127.0.0.2:9/x", allowed=["127.0.0.1"])


@given(st.text(max_size=60))
def test_a_host_name_is_an_address_or_none(text: str) -> None:
    found = literal_address(text.encode("ascii", "ignore").decode())
    assert found is None or str(found)
    for url in (text, f"http://{text}", f"http://[{text}"):
        try:
            check_url(url)
        except UnsafeAddressError:
            continue


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "empty"), ("hôm nay", "not_a_date"), ("2026-09-30", "no_time"), ("9999-01-01T00:00:00Z", "out_of_range"),
     ("2026-09-30T08:00:00", "no_zone"), ("9/30/2026 8:00 AM", "not_a_date"),
     ("Wed, 30 Sep 2026 08:00:00 GMT+7", "odd_zone"), ("Wed, 30 Sep 2026 08:00:00", "no_zone"),
     ("Sat, 03 Oct 2026 08:00:00 +0700", "future"), ("12", "not_a_date"), ("03/04/2026", "not_a_date")],
)  # fmt: skip
def test_a_date_that_is_none_is_unknown_with_its_reason(text: str, reason: str) -> None:
    assert strict_date(text, fetched=NOW) == (None, reason)


@pytest.mark.parametrize(
    "text",
    ["Thu, 01 Oct 2026 08:00:00 +0700", "2026-10-01T08:00:00+07:00", "2026-10-01T01:00:00Z",
     "Thu, 01 Oct 2026 01:00:00 GMT", "2026-10-01 08:00:00 +0700"],
)  # fmt: skip
def test_a_date_with_its_zone_is_an_instant(text: str) -> None:
    assert strict_date(text, fetched=NOW)[0] == datetime(2026, 10, 1, 1, 0, tzinfo=UTC)


def urls(body: str | bytes) -> list[str]:
    data = body.encode() if isinstance(body, str) else body
    found = parse_xml(data, base="https://a.vn/rss", fetched=NOW)
    return [e.url for e in found.entries]


def test_rss_atom_rdf_and_sitemaps_are_read() -> None:
    assert urls(f"<rss><channel>{ITEM.format('https://a.vn/1')}</channel></rss>") == [
        "https://a.vn/1"
    ]
    atom = '<feed xmlns="http://www.w3.org/2005/Atom"><entry><link href="/2"/></entry></feed>'
    assert urls(atom) == ["https://a.vn/2"]
    rdf = '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><item><link>/3</link></item></rdf:RDF>'
    assert urls(rdf) == ["https://a.vn/3"]
    assert urls("<urlset><url><loc>https://a.vn/4</loc></url></urlset>") == ["https://a.vn/4"]
    index = parse_xml(
        b"<sitemapindex><sitemap><loc>/m.xml</loc></sitemap></sitemapindex>",
        base="https://a.vn/", fetched=NOW,
    )  # fmt: skip
    assert index.more == ("https://a.vn/m.xml",)


def test_a_declared_utf16_that_is_none_is_read_by_its_bytes() -> None:
    body = f"<rss><channel>{ITEM.format('https://a.vn/é')}</channel></rss>"
    lie = '<?xml version="1.0" encoding="utf-16"?>' + body
    assert urls(lie.encode("utf-8")) == ["https://a.vn/é"]
    assert urls(lie.encode("utf-16")) == ["https://a.vn/é"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"", "empty_feed"), (b"  \n", "empty_feed"), (b"<html><body>x</body></html>", "not_a_feed"),
     (b"{}", "not_a_feed"), (b"\x89PNG\r\n", "not_a_feed"), (b"<!doctype html><p>x", "not_a_feed")],
)  # fmt: skip
def test_what_is_no_feed_is_said_so(body: bytes, reason: str) -> None:
    with pytest.raises(PageError) as caught:
        urls(body)
    assert caught.value.reason == reason


def test_entities_read_no_file_and_take_no_time(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary")
    xxe = (
        f'<!DOCTYPE rss [<!ENTITY x SYSTEM "file://{secret}">]>'
        "<rss><channel><item><link>&x;</link></item></channel></rss>"
    )
    assert "canary" not in str(urls(xxe))
    inside = f"<!ENTITY x SYSTEM 'file://{secret}'>"
    for entity in (f'SYSTEM "file://{secret}"', f'"{inside}"'):
        parameter = xxe.replace(
            f'<!ENTITY x SYSTEM "file://{secret}">', f"<!ENTITY % p {entity}> %p;"
        )
        assert "%p;" in parameter
        with contextlib.suppress(PageError):
            assert "canary" not in str(urls(parameter))
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    began = time.process_time()
    bomb = f'<!DOCTYPE rss [<!ENTITY l0 "ha">{laughs}]><rss><item><link>&l9;</link></item></rss>'
    quadratic = f'<!DOCTYPE rss [<!ENTITY a "{"a" * 40_000}">]><rss><item><link>{"&a;" * 40_000}'
    for text in (bomb, f"{quadratic}</link></item></rss>"):
        with contextlib.suppress(PageError):
            urls(text)
    assert time.process_time() - began < 2


def test_robots_of_100_000_rules_are_read_in_time() -> None:
    """As far as they are read: 500 KiB, 30,000 of these."""
    rules = "".join(f"Disallow: /{n:05x}\n" for n in range(100_000))
    began = time.process_time()
    read = robots_rules(f"User-agent: *\nDisallow: /a1\n{rules}".encode())
    assert read is not None
    answers = [read.can_fetch(f"https://a.vn/{p}", "kiemchung") for p in ("a1", "00fff", "zz")]
    assert answers == [False, False, True]
    assert read.can_fetch(f"https://a.vn/{99_999:05x}", "kiemchung")
    assert time.process_time() - began < 5


def test_twenty_thousand_items_are_read() -> None:
    items = "".join(ITEM.format(f"https://a.vn/{n}") for n in range(20_000))
    assert len(urls(f"<rss><channel>{items}</channel></rss>")) == 20_000


def test_a_listing_gives_articles_of_its_own_site_and_the_next_page() -> None:
    outlet = Outlet(name="a", display="A", hosts=("a.vn",), article_pattern=r"-\d+\.html$",
                    listing_next=("a.sau",))  # fmt: skip
    page = (
        '<a href="/x-1.html">1</a><a href="/x-1.html#binh-luan">1</a><a href="/gioi-thieu">x</a>'
        '<a href="javascript:x-2.html">2</a><a href="https://b.vn/x-3.html">3</a>'
        '<a class="sau" href="?trang=2">sau</a>'
    )
    found = parse_listing(page.encode(), base="https://a.vn/tin", outlet=outlet)
    assert [e.url for e in found.entries] == ["https://a.vn/x-1.html"]
    assert found.more == ("https://a.vn/tin?trang=2",)


@given(st.binary(max_size=3000), st.integers(0, 60))
def test_gzip_is_read_whole_or_refused(data: bytes, cut: int) -> None:
    packed = gzip.compress(data)
    assert gunzip(packed, 10_000) == (data, True)
    if 0 < cut < len(packed):
        part, whole = gunzip(packed[:-cut], 10_000)
        assert not whole
        assert data.startswith(part)


def test_a_bomb_is_stopped_at_the_cap() -> None:
    with pytest.raises(Refused) as caught:
        gunzip(gzip.compress(b"a" * 5_000_000), 100_000)
    assert caught.value.reason == "decompression_bomb"


def test_retry_after_is_read_in_both_forms() -> None:
    assert retry_after("120") == 120
    assert retry_after("Wed, 01 Jan 2020 00:00:00 GMT") == 0
    for none in ("", "soon", "-5", "1e9", "99999999"):
        assert retry_after(none) is None
