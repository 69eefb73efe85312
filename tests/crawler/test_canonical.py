from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.canonical import canonical_url, is_home, resolve, same_site
from kiemchung.errors import UnsafeAddressError

ONE = "https://bao.example/tin/lua-mua-12.html"


@pytest.mark.parametrize(
    "spelling",
    [
        "https://bao.example/tin/lua-mua-12.html",
        "HTTPS://BAO.example:443/tin/lua-mua-12.html",
        "https://bao.example./tin/lua-mua-12.html",
        "https://nguoi:mat@bao.example/tin/lua-mua-12.html",
        "https://m.bao.example/tin/lua-mua-12.html",
        "https://amp.bao.example/tin/lua-mua-12.html",
        "https://bao.example/tin/lua-mua-12.html#binh-luan",
        "https://bao.example/tin/lua-mua-12.html?",
        "https://bao.example/tin/lua-mua-12.html?utm_source=rss&utm_medium=home",
        "https://bao.example/tin/lua-mua-12.html?fbclid=IwAR0&gidzl=abc&zarsrc=30",
        "https://bao.example/tin/lua-mua-12.html?amp=1",
        "https://bao.example/tin/lua-mua-12.html?outputType=amp",
        "https://bao.example/tin/lua-mua-12.html/amp",
        "https://bao.example/tin/lua-mua-12.html/amp/",
        "https://bao.example/tin/lua-mua-12.amp.html",
        "https://bao.example/tin/./x/../lua-mua-12.html",
        "https://bao.example/tin/l%75a-mua-12.html",
        "  https://bao.example/tin/lua-mua-12.html\n",
        "https://bao.example/tin/lua-\tmua-12.html",
    ],
)
def test_all_spellings_of_one_article_are_one_address(spelling: str) -> None:
    assert canonical_url(spelling) == ONE


@pytest.mark.parametrize(
    "other",
    [
        "http://bao.example/tin/lua-mua-12.html",  # the scheme decides how it is fetched
        "https://bao.example:8443/tin/lua-mua-12.html",
        "https://www.bao.example/tin/lua-mua-12.html",
        "https://bao.example/tin/lua-mua-12.html?trang=2",
        "https://bao.example/tin%2Flua-mua-12.html",
        "https://bao.example/tin/lua-mua-13.html",
        "https://bao.example/tin/lua-mua-12.html/",
    ],
)
def test_other_articles_keep_their_own_address(other: str) -> None:
    assert canonical_url(other) != ONE


def test_parameters_have_one_order_and_keep_their_values() -> None:
    assert canonical_url("http://a.example/t?b=2&a=1&b=1") == "http://a.example/t?a=1&b=1&b=2"
    assert canonical_url("http://a.example/t?a=") == "http://a.example/t?a="


def test_accents_are_escaped_in_one_way() -> None:
    escaped = "https://a.example/h%E1%BB%A3p-t%C3%A1c"
    assert canonical_url("https://a.example/hợp-tác") == escaped
    assert canonical_url(escaped.replace("%E1%BB%A3", "%e1%bb%a3")) == escaped


def test_a_host_of_two_labels_is_not_mobile() -> None:
    assert canonical_url("https://m.example/a") == "https://m.example/a"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "khong phai",
        "ftp://a.example/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:,x",
        "http://",
        "http:///x",
        "http://[::1",
        "http://a.example:so/x",
        "http://a b.example/",
        "//a/b",
    ],
)
def test_what_is_no_web_address_is_refused(bad: str) -> None:
    with pytest.raises(UnsafeAddressError):
        canonical_url(bad)


@given(st.text(max_size=60), st.text(max_size=40))
@settings(max_examples=200)
def test_twice_is_once(path: str, query: str) -> None:
    url = f"https://m.bao.example/{path}?{query}"
    try:
        once = canonical_url(url)
    except UnsafeAddressError:
        return
    assert canonical_url(once) == once
    assert once.isascii()
    assert once.startswith("https://bao.example/")


def test_links_are_resolved_against_their_page() -> None:
    page = "https://bao.example/muc/bai.html"
    assert resolve(page, "../khac.html?utm_source=x") == "https://bao.example/khac.html"
    assert resolve(page, "//m.bao.example/a") == "https://bao.example/a"
    for link in ("javascript:void(0)", "mailto:a@b.example", "http://[", "tel:0123"):
        assert resolve(page, link) is None


def test_front_pages_are_known() -> None:
    assert is_home("https://bao.example/")
    assert is_home("https://bao.example/index.html")
    assert not is_home("https://bao.example/?p=12")
    assert not is_home(ONE)


def test_sites_are_compared_by_their_last_labels() -> None:
    assert same_site("https://suckhoe.vnexpress.net/a", "https://vnexpress.net/b")
    assert same_site("https://m.dantri.com.vn/a", "https://dantri.com.vn/b")
    assert not same_site("https://bao.com.vn/a", "https://dantri.com.vn/b")
    assert not same_site("https://a.example/", "https://b.example/")
