from __future__ import annotations

import http.client
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from crawler.extract import extract_page
from crawler.outlets import load_outlets
from kiemchung.errors import PageError, RecordError
from pipeline.demo.site import OUTLETS, PER_PAGE, SampleSite, build_site, read_articles

FILES = load_outlets()
ARTICLE = '''
title = "Giếng làng thứ {n} được vét lại"
lead = "Sau hai mùa cạn, giếng thứ {n} có nước trong \\"như xưa\\"."
published = {year}-0{month}-14T07:30:00+07:00
section = "Chuyện làng & xóm"
tags = ["giếng làng", "nước sạch"]
captions = ["Miệng giếng thứ {n} sau khi vét."]
{more}
body = """
Ba mươi hộ quanh giếng thứ {n} góp công vét trong hai ngày, mỗi hộ một người, ai bận thì góp gạo.

Bùn vét lên được 4,5 mét khối, chở ra đổ ở bãi ngoài đồng. Thành giếng cũ xếp đá ong vẫn còn vững <b>như trước</b>.

Nước lên lại sau ba ngày. Cả xóm hẹn nhau giữ lệ vét giếng mỗi năm một lần, vào tuần cuối của tháng Giêng.
"""
'''
CHANGED = 'changed_body = """\nGiếng đã có nắp đậy, lòng giếng được kè thêm một vòng đá nữa.\n"""'
FEATURES = {
    "song-hong": ("", "changed"),
    "dong-xanh": ("", "off_topic"),
    "bien-dong-que": ("", "", "", "", "", "", ""),
    "thuong-truong": ("", "wrong_charset_meta"),
    "nui-cao": ("", "disallowed", "no_date", "json_ld_newlines"),
    "pho-nho": ("", "syndicated", "half_page"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("articles")
    for outlet, features in FEATURES.items():
        (root / outlet).mkdir()
        for n, feature in enumerate(features):
            more = f'feature = "{feature}"\n' if feature else ""
            more += CHANGED if feature == "changed" else ""
            text = ARTICLE.format(n=n, month=n + 1, year=2023 if n % 2 else 2025, more=more)
            (root / outlet / f"gieng-{n}.toml").write_text(text, encoding="utf-8")
    return root


@pytest.fixture
def site(folder: Path) -> Iterator[SampleSite]:
    with SampleSite(folder) as served:
        yield served


Answer = tuple[int, http.client.HTTPMessage, bytes]


def get(site: SampleSite, url: str, *, proxy: bool = True, **headers: str) -> Answer:
    """Ask for ``url`` as through a proxy, or directly with a Host header."""
    address = urlsplit(site.address)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request("GET", url if proxy else path, headers={"Host": parts.netloc} | given)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def test_proxy_requests_and_host_headers_get_the_same_page(site: SampleSite) -> None:
    for article in site.articles:
        through, direct = get(site, article.url), get(site, article.url, proxy=False)
        assert through[0] == direct[0] == 200
        assert through[2] == direct[2]


def test_only_loopback_listens_and_only_while_the_context_lasts(folder: Path) -> None:
    with SampleSite(folder) as served:
        address = urlsplit(served.address)
        assert address.hostname == "127.0.0.1"
    with pytest.raises(RuntimeError):
        _ = served.address
    with pytest.raises(OSError, match=r"refused|reset"):
        http.client.HTTPConnection(address.hostname or "", address.port, timeout=2).request(
            "GET", "/"
        )


def test_unknown_hosts_and_paths_are_not_found(site: SampleSite) -> None:
    assert get(site, "http://song-hong.example/khong-co.htm")[0] == 404
    assert get(site, "http://noi-khac.example/")[0] == 404
    assert get(site, "http://song-hong.example/?a=1")[0] == 404
    assert [h.status for h in site.hits] == [404, 404, 404]


def test_parameters_that_count_readers_change_no_page(site: SampleSite) -> None:
    url = site.articles[0].url
    assert get(site, f"{url}?utm_source=rss&utm_medium=home")[2] == get(site, url)[2]


@pytest.mark.parametrize("outlet", sorted(OUTLETS))
def test_robots_forbid_the_internal_folder_only(site: SampleSite, outlet: str) -> None:
    status, _, body = get(site, f"http://{outlet}.example/robots.txt")
    assert status == 200
    assert re.findall(r"^(?:Dis)?allow: .*$", body.decode(), re.M | re.I) == [
        "Disallow: /noi-bo/",
        "Allow: /",
    ]
    assert b"crawl-delay" not in body.lower()


def listed(site: SampleSite, outlet: str) -> list[str]:
    """Return the article addresses that feeds, sitemaps and listings name."""
    found: list[str] = []
    for address in (*FILES[outlet].feeds, *FILES[outlet].sitemaps):
        status, _, body = get(site, address)
        if status == 200:
            text = body.decode("utf-8")
            root = ET.fromstring(re.sub(r"^<\?xml[^>]*\?>", "", text))
            for element in root.iter():
                name = element.tag.rsplit("}", 1)[-1]
                if name == "link":
                    found.append(element.get("href") or element.text or "")
                elif name == "loc":
                    found.append(element.text or "")
    for address in FILES[outlet].listings:
        following = address
        while following:
            body = get(site, following)[2].decode("utf-8")
            here = re.findall(r'<li><a href="([^"]+)"', body)
            assert len(here) <= PER_PAGE
            found += here
            after = re.search(r'class="trang-sau" href="([^"]+)"', body)
            following = f"http://{outlet}.example{after[1]}" if after else ""
    return [u.split("?")[0] for u in found if FILES[outlet].is_article(u)]


@pytest.mark.parametrize("outlet", sorted(OUTLETS))
def test_every_article_is_listed_by_its_outlet(site: SampleSite, outlet: str) -> None:
    own = [a.url for a in site.articles if a.outlet == outlet]
    assert sorted(listed(site, outlet)) == sorted(own)
    assert all(FILES[outlet].is_article(url) for url in own)


def test_the_listing_has_pages(site: SampleSite) -> None:
    first = get(site, "http://bien-dong-que.example/tin-tuc")[2].decode()
    assert 'href="/tin-tuc?trang=2"' in first
    second = get(site, "http://bien-dong-que.example/tin-tuc?trang=2")[2].decode()
    assert second.count("<li>") == 7 - PER_PAGE
    assert "trang-sau" not in second


def test_one_feed_lies_about_its_encoding_and_one_is_dead(site: SampleSite) -> None:
    body = get(site, "http://thuong-truong.example/rss/kinh-te.rss")[2]
    assert body.startswith(b'<?xml version="1.0" encoding="utf-16"?>')
    assert "Giếng làng" in body.decode("utf-8")
    assert get(site, "http://nui-cao.example/rss/cu.rss")[0] == 500
    assert "http://nui-cao.example/rss/cu.rss" in FILES["nui-cao"].feeds


def test_an_unchanged_page_is_not_sent_again(site: SampleSite) -> None:
    url = site.articles[0].url
    status, headers, body = get(site, url)
    tag, modified = headers["ETag"], headers["Last-Modified"]
    assert status == 200
    assert body
    for given in (
        {"If_None_Match": tag},
        {"If_None_Match": f'"x", W/{tag}'},
        {"If_None_Match": "*"},
    ):
        assert get(site, url, **given)[::2] == (304, b"")
    assert get(site, url, If_Modified_Since=modified)[::2] == (304, b"")
    assert get(site, url, If_Modified_Since="Mon, 01 Jan 2001 00:00:00 GMT")[0] == 200
    assert get(site, url, If_Modified_Since="hom qua")[0] == 200
    assert get(site, url, If_None_Match='"x"', If_Modified_Since=modified)[0] == 200


def test_the_changed_article_changes_and_no_other(folder: Path) -> None:
    articles = read_articles(folder)
    before, after = build_site(articles), build_site(articles, changed=True)
    assert before == build_site(articles)  # the same bytes every time
    changed = [a for a in articles if before[a.host, a.path] != after[a.host, a.path]]
    assert [a.feature for a in changed] == ["changed"]
    old, new = (s[changed[0].host, changed[0].path] for s in (before, after))
    assert old.etag != new.etag
    assert old.modified is not None
    assert new.modified == old.modified + timedelta(days=1)
    found = extract_page(new.body, url=changed[0].url, outlet=FILES["song-hong"])
    assert found.body.startswith("Giếng đã có nắp đậy")
    assert found.published_at == changed[0].published


@pytest.mark.parametrize("with_outlet", [True, False])
def test_every_page_gives_back_its_article(folder: Path, with_outlet: bool) -> None:
    articles = read_articles(folder)
    site = build_site(articles)
    for article in articles:
        resource = site[article.host, article.path]
        outlet = FILES[article.outlet] if with_outlet else None
        if article.feature == "half_page":
            with pytest.raises(PageError) as caught:
                extract_page(resource.body, url=article.url, outlet=outlet)
            assert caught.value.reason == "truncated"
            continue
        found = extract_page(
            resource.body, url=article.url, content_type=resource.content_type, outlet=outlet
        )
        assert found.title == article.title
        assert found.lead == article.lead
        assert found.body == "\n".join(article.paragraphs)
        assert found.published_at == article.published
        assert not found.date_conflict
        assert found.canonical_url == article.url
        assert found.language == "vi"
        if with_outlet:
            assert (found.title_method, found.lead_method, found.body_method) == ("selector",) * 3
            assert found.tags == article.tags
            assert found.section == article.section
            assert found.captions_dropped == 1
            assert found.authors_dropped == (0 if article.outlet == "song-hong" else 1)


def test_the_pages_have_the_flaws_they_are_there_for(folder: Path) -> None:
    articles = read_articles(folder)
    site = build_site(articles)

    def body(outlet: str, feature: str) -> bytes:
        found = next(a for a in articles if (a.outlet, a.feature) == (outlet, feature))
        return site[found.host, found.path].body

    wrong = body("thuong-truong", "wrong_charset_meta")
    assert b'charset="iso-8859-1"' in wrong
    assert "Giếng làng" in wrong.decode("utf-8")
    no_date = body("nui-cao", "no_date").decode("utf-8")
    assert not re.search(r"20\d\d-\d\d|\d/20\d\d", no_date)
    old = body("nui-cao", "disallowed")
    assert b"charset=windows-1258" in old
    with pytest.raises(UnicodeDecodeError):
        old.decode("utf-8")
    raw = re.search(r"ld\+json\">(.*?)</script>", old.decode("cp1258"), re.S)
    assert raw is not None
    assert re.search(r'"description": "[^"\\]*\n', raw[1])  # a raw line break inside a string
    assert all("/noi-bo/" in a.path for a in articles if a.feature == "disallowed")
    assert b"noarchive" in body("dong-xanh", "")


# -- article files ---------------------------------------------------------------------------


def test_the_shipped_articles_are_read_and_ordered() -> None:
    articles = read_articles()
    assert len(articles) >= 48
    assert {a.outlet for a in articles} == set(OUTLETS)
    for outlet in OUTLETS:
        days = [a.written for a in articles if a.outlet == outlet]
        assert days == sorted(days, reverse=True)
    assert len({a.url for a in articles}) == len(articles)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "', 'tieu_de = "', "tieu_de: unknown key"),
        ('title = "', 'title = "" # ', "title: is missing"),
        ("published = 2025-01-14T07:30:00+07:00", "published = 2025-01-14", "published:"),
        ("07:30:00+07:00", "07:30:00", "published:"),
        ('tags = ["giếng làng", "nước sạch"]', 'tags = "giếng"', "tags:"),
        ('section = "', 'feature = "la"\nsection = "', "feature: 'la' is unknown"),
        ('section = "', 'feature = "changed"\nsection = "', "changed_body: is missing"),
        ("lead = ", "lead == ", ""),
    ],
)
def test_a_mistake_in_an_article_names_its_file(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = ARTICLE.format(n=0, month=1, year=2025, more="")
    assert old in text
    (tmp_path / "pho-nho").mkdir()
    path = tmp_path / "pho-nho" / "gieng.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(RecordError) as caught:
        read_articles(tmp_path)
    assert caught.value.where == str(path)
    assert caught.value.message.startswith(message)


def test_an_unknown_outlet_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "bao-la").mkdir()
    (tmp_path / "bao-la" / "a.toml").write_text("", encoding="utf-8")
    with pytest.raises(RecordError, match="bao-la"):
        read_articles(tmp_path)


def test_dates_are_those_of_the_files() -> None:
    for article in read_articles():
        assert article.written.utcoffset() == timedelta(hours=7)
        assert article.published is None or isinstance(article.published, datetime)
