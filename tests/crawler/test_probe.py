"""A look at an outlet: what is sound, what is doubtful, the mark, and the drafted file."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from crawler.draft import _patterns, draft
from crawler.extract import extract_page
from crawler.outlets import SHIPPED, Outlet, load_outlets, load_outlets_leniently, read_outlet
from crawler.probe import Probe, Weight, probe, write_verified
from kiemchung.config import load_settings
from kiemchung.errors import OutletFileError, PageError
from pipeline.demo.site import SampleSite
from tests.commands import in_this_process
from tests.crawler import hostile

Hostile, text = hostile.Hostile, hostile.text
ROOT = Path(__file__).resolve().parents[2]
DAY = date(2026, 10, 2)
BODY = "".join(
    f"<p>Đoạn {n}: hợp tác xã Hòa Bình thu mua lúa của các hộ thành viên trong xã theo giá đã"
    " ghi trong hợp đồng và trả tiền trong vòng mười ngày kể từ ngày cân lúa tại kho.</p>"
    for n in range(5)
)


def article(n: int, *, body: str = BODY, date_line: str = "01/10/2026 08:00 (GMT+7)") -> str:
    return (
        f'<html lang="vi"><head><title>Bài {n}</title><meta property="og:site_name"'
        ' content="Báo Thử"><link rel="alternate" type="application/rss+xml" href="/tin.rss">'
        f'</head><body><h1 class="tieu-de">Hợp tác xã Hòa Bình thu mua lúa vụ {n}</h1>'
        f'<span class="date">{date_line}</span>'
        '<h2 class="sapo">Vụ này hợp tác xã mua hết lúa của thành viên theo hợp đồng đã ký.</h2>'
        f'<div class="noi-dung">{body}<p>Bài số {n}.</p></div>'
        '<div class="lien-quan"><a href="/x-1.htm">Tin khác</a></div></body></html>'
    )


def outlet(server: Any, **given: Any) -> Outlet:
    values: dict[str, Any] = {
        "name": "thu", "display": "Báo Thử", "hosts": ("127.0.0.1",), "delay": 0.0,
        "feeds": (server.url("/tin.rss"),), "article_pattern": r"-\d{4}\.htm$",
    }  # fmt: skip
    return Outlet(**(values | given))


def look(server: Any, folder: Path, **given: Any) -> Probe:
    return probe(
        outlet(server, **given), settings=load_settings(data_dir=folder, timeout_seconds=3),
        data_dir=folder, day=DAY, allowed_addresses=["127.0.0.1"],
    )  # fmt: skip


def site() -> Any:
    server = Hostile()
    links = [server.url(f"/lua-{1000 + n}.htm") for n in range(6)]
    server.answers |= {
        "/tin.rss": hostile.rss(*links),
        **{f"/lua-{1000 + n}.htm": text(article(n)) for n in range(6)},
        "/": text("".join(f'<a href="{link}">x</a>' for link in links)),
    }
    return server


def doubts(found: Probe) -> set[tuple[str, str]]:
    return {(str(d.weight), d.field) for d in found.doubts}


@pytest.mark.slow
def test_a_sound_site_shows_what_came_out_of_three_pages(tmp_path: Path) -> None:
    with site() as server:
        found = look(server, tmp_path)
        asked = [p for p, _ in server.times]
    assert found.sound
    assert doubts(found) == set()
    assert len(found.pages) == 3
    assert len([p for p in asked if p.startswith("/lua")]) == 3
    (row,) = found.lists
    assert (row.items, row.dated, row.articles) == (6, 6, 6)
    page = found.pages[0].page
    assert page is not None
    assert page.published_at is not None
    text_ = "\n".join(found.lines())
    assert page.title in text_
    assert "--write" in text_


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"/tin.rss": text("<html>no</html>")}, ("error", "article_pattern")),
        ({"/robots.txt": text("User-agent: *\nDisallow: /", kind="text/plain")},
         ("error", "article_pattern")),
        ({"pages": article(1)}, ("error", "selectors.body")),  # all the same
        ({"each": {"date_line": ""}}, ("error", "selectors.date")),
        ({"each": {"body": "<p>" + "This is English text about farming. " * 30 + "</p>"}},
         ("error", "selectors.body")),
        ({"each": {"date_line": "01/10/2026 08:00"}}, ("warning", "timezone")),
    ],
    ids=["no feed", "robots", "same body", "no date", "English", "no zone"],
)  # fmt: skip
def test_what_is_doubtful_is_named(
    tmp_path: Path, change: dict[str, Any], wanted: tuple[str, str]
) -> None:
    with site() as server:
        pages = [f"/lua-{1000 + n}.htm" for n in range(6)]
        if "pages" in change:
            server.answers |= dict.fromkeys(pages, text(change["pages"]))
        elif "each" in change:
            server.answers |= {p: text(article(n, **change["each"])) for n, p in enumerate(pages)}
        else:
            server.answers |= change
        found = look(server, tmp_path)
    assert wanted in doubts(found)
    assert found.sound == (wanted[0] != "error")


@pytest.mark.slow
def test_a_selector_that_no_longer_matches_and_a_pattern_that_never_did(tmp_path: Path) -> None:
    with site() as server:
        selectors = load_outlets()["vnexpress"].selectors
        found = look(server, tmp_path / "a", selectors=selectors)
        assert ("error", "selectors.title") in doubts(found)
        found = look(server, tmp_path / "b", article_pattern=r"/never/")
        assert ("error", "article_pattern") in doubts(found)
        assert found.pages == ()


@pytest.mark.slow
def test_the_second_list_is_asked_when_the_first_is_dead(tmp_path: Path) -> None:
    with site() as server:
        feeds = (server.url("/dead.rss"), server.url("/tin.rss"))
        found = look(server, tmp_path, feeds=feeds)
    assert found.sound
    assert [x.state for x in found.lists] == ["gone", "fetched"]
    assert doubts(found) == {("warning", "feeds")}


@pytest.mark.slow
def test_every_outlet_of_the_sample_is_sound(tmp_path: Path) -> None:
    for name, sample in load_outlets().items():
        if not sample.sample:
            continue
        with SampleSite() as served:
            found = probe(
                sample, settings=load_settings(data_dir=tmp_path), data_dir=tmp_path / name,
                day=DAY, sample_proxy=served.address,
            )  # fmt: skip
        assert found.sound, (name, found.doubts)
        assert all(d.weight is Weight.WARNING for d in found.doubts)


# -- the mark ----------------------------------------------------------------------------------


def test_the_mark_is_written_and_nothing_else_changes(tmp_path: Path) -> None:
    for source in sorted(SHIPPED.glob("*.toml")):
        if source.name == "families.toml":
            continue
        path = tmp_path / source.name
        shutil.copy(source, path)
        before = path.read_text(encoding="utf-8").splitlines()
        for person in ("Trần Thị Bưởi", "Ngô Văn Mít"):
            write_verified(path, day=DAY, by=person)
        made = read_outlet(path)
        assert (made.verified_on, made.verified_by) == ("2026-10-02", "Ngô Văn Mít")
        after = path.read_text(encoding="utf-8").splitlines()
        left = [x for x in after if not x.startswith("verified_")]
        assert [x for x in before if x in left] == left
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("by", ["", "  ", 'a"b', "a\nb"])
def test_the_mark_needs_a_name(tmp_path: Path, by: str) -> None:
    path = tmp_path / "vov.toml"
    shutil.copy(SHIPPED / "vov.toml", path)
    before = path.read_bytes()
    with pytest.raises(OutletFileError, match="--by"):
        write_verified(path, day=DAY, by=by)
    assert path.read_bytes() == before


def test_a_broken_file_never_stops_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("name = ", encoding="utf-8")
    (tmp_path / "b.toml").write_text('name = "b"\ndisplay = "B"\nhosts = ["vov.vn"]\n', "utf-8")
    (tmp_path / "c.toml").write_text('name = "c"\ndisplay = "C"\nhosts = ["c.vn"]\n', "utf-8")
    (tmp_path / "families.toml").write_text("x = 1\n", encoding="utf-8")
    known, broken = load_outlets_leniently(tmp_path)
    assert set(known) == {*load_outlets(), "c"}
    found = "\n".join(str(e) for e in broken)
    for words in ("a.toml", "b.toml", "vov.vn", "families.toml"):
        assert words in found
    with pytest.raises(OutletFileError):
        load_outlets(tmp_path)


# -- a drafted file ----------------------------------------------------------------------------


def drafted(server: Any, folder: Path, path: str) -> Any:
    return draft(
        server.url(path), settings=load_settings(data_dir=folder, timeout_seconds=3),
        data_dir=folder, day=DAY, allowed_addresses=["127.0.0.1"], name="thu",
    )  # fmt: skip


@pytest.mark.slow
def test_a_drafted_file_reads_the_page_as_it_was_read(tmp_path: Path) -> None:
    with site() as server:
        server.answers["/robots.txt"] = text(
            f"User-agent: *\nDisallow: /x\nSitemap: {server.url('/map.xml')}\n", kind="text/plain"
        )
        made = drafted(server, tmp_path, "/lua-1001.htm")
    for words in (
        'display = "Báo Thử"', "/tin.rss", "/map.xml", r"-\d{3,}\.htm$", "h1.tieu-de", ".sapo",
        "div.noi-dung", "Not verified",
    ):  # fmt: skip
        assert words in made.toml
    assert made.doubts == ()
    # An address of a test server is no host name of an outlet file; the rest is read as it is.
    path = tmp_path / "thu.toml"
    path.write_text(
        made.toml.replace(server.base, "https://thu.vn").replace("127.0.0.1", "thu.vn"), "utf-8"
    )
    read = read_outlet(path)
    assert read.is_article("https://thu.vn/lua-1001.htm")
    page = extract_page(article(1).encode(), url="https://thu.vn/lua-1001.htm", outlet=read)
    assert (page.title, page.lead, page.body) == (
        made.page.title, made.page.lead, made.page.body,
    )  # fmt: skip
    assert (page.title_method, page.lead_method, page.body_method) == ("selector",) * 3


@pytest.mark.slow
def test_what_cannot_be_drafted_is_said(tmp_path: Path) -> None:
    with site() as server:
        server.answers |= {
            "/khong-so": text(article(1).replace('rel="alternate"', "")),
            "/": text(""),
        }
        made = drafted(server, tmp_path / "a", "/khong-so")
        assert len(made.doubts) == 2
        with pytest.raises(PageError, match="could not be fetched"):
            drafted(server, tmp_path / "b", "/none-1.htm")


@pytest.mark.parametrize(
    ("url", "matches", "number"),
    [
        ("https://a.vn/tin-4712345.html", "https://a.vn/khac-4698765.html", "4712345"),
        ("https://a.vn/x/701373.html", "https://a.vn/y/69999.html", "701373"),
        ("https://a.vn/bai-post123456.vnp", "https://a.vn/khac-post98765.vnp", "123456"),
        ("https://a.vn/bai-d410562.html", "https://a.vn/khac-d410561.html", "410562"),
    ],
)
def test_patterns_are_read_off_an_address(url: str, matches: str, number: str) -> None:
    import re

    pattern, of_number = _patterns(url)
    assert re.search(pattern, matches)
    assert not re.search(pattern, "https://a.vn/gioi-thieu.html")
    found = re.search(of_number, url)
    assert found
    assert found[1] == number
    assert _patterns("https://a.vn/gioi-thieu.html") == ("", "")


# -- the commands ------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_commands_look_mark_and_draft(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    shutil.copy(SHIPPED / "pho-nho.toml", own / "pho-nho.toml")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return in_this_process("outlets", *arguments, cwd=ROOT)

    done = run("check", "pho-nho", "--folder", str(own), "--write", "--by", "Lê Na", "--json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert found["sound"]
    assert Path(found["marked"]) == own / "pho-nho.toml"
    assert read_outlet(own / "pho-nho.toml").verified_by == "Lê Na"
    url = next(p["url"] for p in found["pages"] if p["page"])
    made = run("new", url, "--name", "ban-thao", "--out", str(tmp_path / "ban-thao.toml"))
    assert made.returncode == 0, made.stderr
    read = read_outlet(tmp_path / "ban-thao.toml")
    assert read.is_article(url)
    assert read.feeds or read.listings
    (own / "hong.toml").write_text("name = 1", encoding="utf-8")
    broken = run("check", "--folder", str(own), "--json")
    assert broken.returncode == 1
    assert "hong.toml" in json.loads(broken.stdout)["broken"][0]
    assert "no outlet" in run("check", "khong-co").stderr
    assert "contact" in run("check", "vov").stderr  # never the public network without one
