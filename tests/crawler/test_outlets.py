from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path

import pytest

from crawler.isolate import outlet_from_json
from crawler.outlets import SHIPPED, load_outlets, read_outlet
from kiemchung.errors import OutletFileError

GOOD = """
name = "bao-que"
display = "Báo Quê"
hosts = ["bao-que.vn", "m.bao-que.vn"]
"""


def write(folder: Path, text: str, name: str = "bao-que.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_sample_has_six_outlets_and_they_live_under_example() -> None:
    sample = {name: o for name, o in load_outlets().items() if o.sample}
    assert sorted(sample) == [
        "bien-dong-que", "dong-xanh", "nui-cao", "pho-nho", "song-hong", "thuong-truong",
    ]  # fmt: skip
    for name, outlet in sample.items():
        assert outlet.hosts == (f"{name}.example",)
        for address in (*outlet.feeds, *outlet.sitemaps, *outlet.listings):
            assert address.startswith(f"http://{name}.example/")


def test_no_real_outlet_claims_to_be_verified_without_a_name() -> None:
    real = [o for o in load_outlets().values() if not o.sample]
    assert len(real) >= 20
    for outlet in real:
        assert bool(outlet.verified_on) is bool(outlet.verified_by)
        for address in (*outlet.feeds, *outlet.sitemaps, *outlet.listings):
            assert address.startswith("https://")


def test_every_shipped_file_is_named_after_its_outlet() -> None:
    for path in SHIPPED.glob("*.toml"):
        if path.name != "families.toml":
            assert read_outlet(path).name == path.stem


def test_outlets_survive_json() -> None:
    for outlet in load_outlets().values():
        assert outlet_from_json(json.loads(json.dumps(asdict(outlet)))) == outlet


def test_a_family_is_inherited_key_by_key(tmp_path: Path) -> None:
    write(
        tmp_path,
        '[quen]\nfeeds = ["/rss.xml"]\ndelay = 5\n[quen.selectors]\ntitle = "h1"\nbody = [".than"]\n',
        "families.toml",
    )
    write(tmp_path, GOOD + 'family = "quen"\ndelay = 9\n[selectors]\nbody = [".khac"]\n')
    outlet = load_outlets(tmp_path)["bao-que"]
    assert outlet.feeds == ("https://bao-que.vn/rss.xml",)
    assert outlet.delay == 9.0
    assert outlet.selectors.title == ("h1",)
    assert outlet.selectors.body == (".khac",)


def test_an_own_file_replaces_the_shipped_one(tmp_path: Path) -> None:
    write(
        tmp_path,
        'name = "vov"\ndisplay = "VOV của tôi"\nhosts = ["vov.vn"]\n'
        'verified_on = 2026-11-02\nverified_by = "người trực"\n',
        "vov.toml",
    )
    outlet = load_outlets(tmp_path)["vov"]
    assert (outlet.display, outlet.verified_on) == ("VOV của tôi", "2026-11-02")


def test_addresses_of_articles_are_recognised(tmp_path: Path) -> None:
    outlet = read_outlet(
        write(tmp_path, GOOD + "article_pattern = '-\\d+\\.htm$'\nid_pattern = '-(\\d+)\\.htm$'\n")
    )
    assert outlet.is_article("https://bao-que.vn/tin-12.htm?utm_source=rss#a")
    assert outlet.is_article("https://m.bao-que.vn/tin-12.htm")
    assert outlet.article_number("https://bao-que.vn/tin-12.htm?x=-9.htm") == "12"
    for other in (
        "https://khac.vn/tin-12.htm",
        "https://bao-que.vn/tin-tuc",
        "https://bao-que.vn/tin?x=-12.htm",
        "ftp://bao-que.vn/tin-12.htm",
        "https://bao-que.vn:so/tin-12.htm",
        "https://[/tin-12.htm",
    ):
        assert not outlet.is_article(other)


def test_without_a_pattern_a_front_page_is_no_article(tmp_path: Path) -> None:
    outlet = read_outlet(write(tmp_path, GOOD))
    assert outlet.is_article("https://bao-que.vn/bai")
    assert not outlet.is_article("https://bao-que.vn/")
    assert outlet.article_number("https://bao-que.vn/bai-1") == ""


def test_sitemaps_are_filled_in_with_the_month(tmp_path: Path) -> None:
    lines = 'sitemaps = ["/n-{year}-{month}.xml", "/z-{year}-{month:02}.xml", "/s.xml"]\n'
    outlet = read_outlet(write(tmp_path, GOOD + lines))
    assert outlet.sitemaps_of(date(2026, 3, 9)) == (
        "https://bao-que.vn/n-2026-3.xml",
        "https://bao-que.vn/z-2026-03.xml",
        "https://bao-que.vn/s.xml",
    )


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("name = ", "not TOML"),
        ("", "name"),
        ('name = "a"\ndisplay = "A"\n', "hosts"),
        ('name = "a"\nhosts = ["a.vn"]\n', "display"),
        ('name = "Báo Quê"\ndisplay = "A"\nhosts = ["a.vn"]\n', "name"),
        ('name = "sample"\ndisplay = "A"\nhosts = ["a.vn"]\n', "name"),
        ('name = 3\ndisplay = "A"\nhosts = ["a.vn"]\n', "name"),
        (GOOD + 'mau = "đỏ"\n', "mau"),
        (GOOD + 'feeds = "/rss"\n', "feeds"),
        (GOOD + "feeds = [1]\n", "feeds"),
        (GOOD + 'feeds = ["https://noi-khac.vn/rss"]\n', "feeds"),
        (GOOD + 'feeds = ["rss"]\n', "feeds"),
        (GOOD + 'sitemaps = ["/s-{tuan}.xml"]\n', "sitemaps"),
        (GOOD + 'sample = "true"\n', "sample"),
        (GOOD + "sample = true\n", "hosts"),
        (GOOD.replace("bao-que.vn", "bao-que.example"), "hosts"),
        (GOOD.replace('"m.bao-que.vn"', '"https://m.bao-que.vn/"'), "hosts"),
        (GOOD.replace('"m.bao-que.vn"', '"bao-que.vn"'), "hosts"),
        (GOOD.replace('"m.bao-que.vn"', '"10.0.0.1"'), "hosts"),
        (GOOD + "article_pattern = '(\\d+'\n", "article_pattern"),
        (GOOD + "id_pattern = '['\n", "id_pattern"),
        (GOOD + 'timezone = "Asia/Atlantis"\n', "timezone"),
        (GOOD + 'timezone = "../etc"\n', "timezone"),
        (GOOD + "delay = true\n", "delay"),
        (GOOD + "delay = -1\n", "delay"),
        (GOOD + "delay = 9999\n", "delay"),
        (GOOD + "delay = nan\n", "delay"),
        (GOOD + "max_listing_pages = 0\n", "max_listing_pages"),
        (GOOD + "verified_on = 2026-01-02\n", "verified_on"),
        (GOOD + 'verified_by = "tôi"\n', "verified_on"),
        (GOOD + 'verified_on = "2/1/2026"\nverified_by = "tôi"\n', "verified_on"),
        (GOOD + 'family = "khong-co"\n', "family"),
        (GOOD + 'selectors = "h1"\n', "selectors"),
        (GOOD + '[selectors]\ntieu_de = "h1"\n', "selectors.tieu_de"),
        (GOOD + '[selectors]\ntitle = "h1["\n', "selectors.title"),
        (GOOD + "[selectors]\nbody = [3]\n", "selectors.body"),
        (GOOD + 'listing_next = "a:::b"\n', "listing_next"),
        (GOOD + "[expect]\nlead_rate = 1.5\n", "expect.lead_rate"),
        (GOOD + '[expect]\nitems_per_week = "năm"\n', "expect.items_per_week"),
        (GOOD + "[expect]\nitems = 5\n", "expect.items"),
    ],
)
def test_a_mistake_names_the_file_and_the_key(tmp_path: Path, text: str, key: str) -> None:
    write(tmp_path, text)
    with pytest.raises(OutletFileError) as caught:
        load_outlets(tmp_path)
    assert "bao-que.toml" in caught.value.where
    assert caught.value.message.startswith(key)


def test_a_file_that_is_no_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes("display = 'Báo'".encode("utf-16"))
    with pytest.raises(OutletFileError, match="UTF-8"):
        load_outlets(tmp_path)


def test_a_host_belongs_to_one_outlet(tmp_path: Path) -> None:
    write(tmp_path, 'name = "ban-sao"\ndisplay = "A"\nhosts = ["vnexpress.net"]\n')
    with pytest.raises(OutletFileError, match=r"hosts: vnexpress\.net belongs to"):
        load_outlets(tmp_path)


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, GOOD.replace("bao-que.vn", "khac.vn"), "hai.toml")
    with pytest.raises(OutletFileError, match="name: 'bao-que' is taken by"):
        load_outlets(tmp_path)


def test_a_family_file_has_no_hosts(tmp_path: Path) -> None:
    write(tmp_path, '[quen]\nhosts = ["a.vn"]\n', "families.toml")
    with pytest.raises(OutletFileError, match=r"families\.toml: quen\.hosts"):
        load_outlets(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutletFileError, match="khong-co"):
        load_outlets(tmp_path / "khong-co")
