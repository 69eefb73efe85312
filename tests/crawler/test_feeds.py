"""Feeds and sitemaps that lie, and large ones that must not cost memory."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import subprocess
import sys
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.feeds import (
    MAX_ENTRIES,
    Entry,
    SubList,
    entry_date,
    parse_listing,
    parse_xml,
    read_xml,
)
from crawler.outlets import Outlet
from kiemchung.errors import PageError

NOW = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)
HANOI = ZoneInfo("Asia/Ho_Chi_Minh")


def sitemap(count: int) -> bytes:
    rows = "".join(
        f"<url><loc>http://a.example/bai-{n}.htm</loc>"
        "<lastmod>2026-09-30T08:00:00+07:00</lastmod></url>"
        for n in range(count)
    )
    return f'<?xml version="1.0"?><urlset>{rows}</urlset>'.encode()


def read(body: bytes) -> list[Entry | SubList]:
    return list(read_xml(body, base="http://a.example/", fetched=NOW))


def peak(body: bytes) -> int:
    tracemalloc.start()
    count = sum(1 for _ in read_xml(body, base="http://a.example/", fetched=NOW))
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count
    return found


@pytest.mark.slow
def test_fifty_thousand_addresses_take_no_more_memory_than_five_thousand() -> None:
    assert len(read(gzip.compress(sitemap(50_000)))) == 50_000
    # Counting every allocation takes long, so of fewer.
    assert peak(sitemap(20_000)) < 2 * peak(sitemap(2_000)) + 500_000


def test_more_than_the_protocol_allows_is_named_after_what_fits() -> None:
    entries = read_xml(sitemap(MAX_ENTRIES + 1), base="http://a.example/", fetched=NOW)
    assert sum(1 for _ in itertools.islice(entries, MAX_ENTRIES)) == MAX_ENTRIES
    with pytest.raises(PageError, match="50000"):
        next(entries)


def test_a_compressed_sitemap_is_read_and_a_broken_one_named() -> None:
    packed = gzip.compress(sitemap(100))
    assert read(packed) == read(sitemap(100))
    for body, reason in ((packed[:-30], "truncated"), (b"\x1f\x8b" + b"x" * 50, "bad_gzip")):
        with pytest.raises(PageError) as caught:
            read(body)
        assert caught.value.reason == reason
    with pytest.raises(PageError) as caught:
        read(gzip.compress(b"<urlset>" + b" " * 60_000_000))
    assert caught.value.reason == "decompression_bomb"


def test_an_index_names_sitemaps_with_the_day_of_their_change() -> None:
    body = (
        b"<sitemapindex><sitemap><loc>/2026-09.xml</loc>"
        b"<lastmod>2026-09-30T00:00:00Z</lastmod></sitemap>"
        b"<sitemap><loc>/2019-01.xml.gz</loc></sitemap></sitemapindex>"
    )
    first, second = read(body)
    assert isinstance(first, SubList)
    assert isinstance(second, SubList)
    assert first.url == "http://a.example/2026-09.xml"
    assert first.modified == datetime(2026, 9, 30, tzinfo=UTC)
    assert second.modified is None


def test_a_news_sitemap_gives_the_day_of_publication_not_of_change() -> None:
    body = (
        b'<urlset xmlns:news="http://www.google.com/schemas/sitemap-news/0.9"><url>'
        b"<loc>http://a.example/b</loc><lastmod>2026-10-01T00:00:00Z</lastmod><news:news>"
        b"<news:publication_date>2026-09-28T09:00:00+07:00</news:publication_date>"
        b"</news:news></url></urlset>"
    )
    (entry,) = read(body)
    assert isinstance(entry, Entry)
    assert entry.published == datetime(2026, 9, 28, 2, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "formats", "want"),
    [
        (
            "9/30/2026 3:15:00 PM",
            ("%m/%d/%Y %I:%M:%S %p",),
            datetime(2026, 9, 30, 8, 15, tzinfo=UTC),
        ),
        ("30/09/2026 15:15", ("%d/%m/%Y %H:%M",), datetime(2026, 9, 30, 8, 15, tzinfo=UTC)),
        ("9/30/2026 3:15:00 PM", (), "not_a_date"),
        ("9/30/2027 3:15:00 PM", ("%m/%d/%Y %I:%M:%S %p",), "not_a_date"),
        ("", ("%d/%m/%Y",), "empty"),
        ("2026-09-30T15:15:00", (), "no_zone"),
        ("2026-12-30T15:15:00Z", (), "future"),
        ("Wed, 30 Sep 2026 15:15:00 GMT+7", (), "odd_zone"),
        ("30 Sep 9999 00:00 +0000", (), "out_of_range"),
        ("Wed, 30 Sep 2026 15:15:00 +0700", (), datetime(2026, 9, 30, 8, 15, tzinfo=UTC)),
    ],
)
def test_a_date_is_read_in_the_outlets_form_or_unknown_with_its_reason(
    text: str, formats: tuple[str, ...], want: datetime | str
) -> None:
    found, reason = entry_date(text, fetched=NOW, zone=HANOI, formats=formats)
    if isinstance(want, str):
        assert (found, reason) == (None, want)
    else:
        assert found == want


FEED = (
    "<rss><channel><title>Tin</title><item><title>Hợp tác xã</title>"
    "<link>http://a.example/1</link></item></channel></rss>"
)


@pytest.mark.parametrize(
    "body",
    [
        FEED.encode(),
        ('<?xml version="1.0" encoding="utf-8"?>' + FEED).encode(),
        ('<?xml version="1.0" encoding="utf-16"?>' + FEED).encode(),  # says so, is not
        b"\xef\xbb\xbf" + FEED.encode(),
        ('<?xml version="1.0" encoding="utf-16"?>' + FEED).encode("utf-16"),
        b"\n\n  " + FEED.encode(),
        FEED.replace("</link>", "</link>\x00\x01").encode(),
        FEED.replace("Tin</title>", "Tin & tức &nbsp; <</title>").encode(),
        FEED.replace("</channel></rss>", "").encode(),  # cut off
        FEED.encode() + b"<trailing",
        FEED.replace("<item>", "<item><!-- " + "x" * 70_000 + " -->").encode(),  # over one piece
    ],
)
def test_a_feed_is_read_in_spite_of_what_is_wrong_with_it(body: bytes) -> None:
    (entry,) = read(body)
    assert isinstance(entry, Entry)
    assert entry.url == "http://a.example/1"
    assert (entry.published, entry.date_reason) == (None, "empty")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty_feed"),
        (b" \n ", "empty_feed"),
        (b"<html><body>x</body></html>", "not_a_feed"),
        (b"<!doctype html><html><p>x</html>", "not_a_feed"),
        (b"plain text", "not_a_feed"),
        (b"<opml><body/></opml>", "not_a_feed"),
        (b"\xff\xfe\x00", "not_a_feed"),
    ],
)
def test_what_is_no_feed_is_named(body: bytes, reason: str) -> None:
    with pytest.raises(PageError) as caught:
        read(body)
    assert caught.value.reason == reason


def test_the_picture_of_a_channel_is_no_entry() -> None:
    body = FEED.replace(
        "<title>Tin</title>", "<image><url>http://a.example/logo.png</url><link>/</link></image>"
    )
    assert [e.url for e in read(body.encode())] == ["http://a.example/1"]


def test_a_broken_address_does_not_lose_the_others() -> None:
    body = FEED.replace("<item>", "<item><link>http://[</link></item><item>", 1)
    assert [e.url for e in read(body.encode())] == ["http://[", "http://a.example/1"]


@given(st.binary(max_size=400), st.integers(0, 400))
def test_no_bytes_make_it_fall_over(noise: bytes, place: int) -> None:
    body = FEED.encode()
    with contextlib.suppress(PageError):  # the one error that it may end in
        read(body[:place] + noise + body[place:])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("filler", "size"),
    # Four million elements kept would be hundreds of megabytes; more of them only take longer.
    [(b" ", 40_000_000), (b"x", 40_000_000), (b"<a/>", 16_000_000), (b"<a>", 40_000_000),
     (b"<url>", 40_000_000)],
)  # fmt: skip
def test_what_is_no_entry_takes_no_memory(filler: bytes, size: int) -> None:
    body = gzip.compress(b"<urlset>" + filler * (size // len(filler)), 1)
    code = (
        "import sys; from datetime import UTC, datetime;"
        "from crawler.feeds import read_xml; from kiemchung.errors import PageError\n"
        "try: print(len(list(read_xml(sys.stdin.buffer.read(), base='http://a/',"
        " fetched=datetime.now(UTC)))))\n"
        "except PageError as error: print(error.reason)\n"
        "from crawler.run import peak_bytes; print(peak_bytes() // 1_000_000)"
    )
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code], input=body, capture_output=True, check=True, cwd=root
    )
    end, megabytes = done.stdout.decode().split()
    assert end in ("0", "too_complex")
    assert int(megabytes) < 120


@given(st.lists(st.integers(0, 10**6), unique=True, max_size=60))
def test_reading_at_once_and_piece_by_piece_is_the_same(numbers: list[int]) -> None:
    rows = "".join(f"<url><loc>http://a.example/{n}</loc></url>" for n in numbers)
    body = f"<urlset>{rows}</urlset>".encode()
    listing = parse_xml(body, base="http://a.example/", fetched=NOW)
    assert [e.url for e in listing.entries] == [f"http://a.example/{n}" for n in numbers]
    assert listing.more == ()


def test_a_search_page_lists_articles_and_its_next_page() -> None:
    outlet = Outlet(
        name="a", display="A", hosts=("a.example",), article_pattern=r"-\d+\.htm",
        listing_next=("a.sau",), search="http://a.example/tim?q={query}",
        search_words=("hợp tác xã", "HTX"),
    )  # fmt: skip
    assert outlet.searches() == (
        "http://a.example/tim?q=h%E1%BB%A3p+t%C3%A1c+x%C3%A3", "http://a.example/tim?q=HTX",
    )  # fmt: skip
    page = '<a href="/bai-1.htm#x">1</a><a href="/gioi-thieu">x</a><a class="sau" href="?p=2">2</a>'
    found = parse_listing(page.encode(), base=outlet.searches()[1], outlet=outlet)
    assert [e.url for e in found.entries] == ["http://a.example/bai-1.htm"]
    assert found.more == ("http://a.example/tim?p=2",)
