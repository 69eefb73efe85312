"""Strange pages of 1 MB end within the budget; opt-outs, drift and the outlets' own functions."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler import extractors
from crawler.extract import extract_page
from crawler.extractors import Found, Parsed
from crawler.isolate import MEMORY_BYTES, Extractor
from crawler.outlets import Outlet, Selectors, load_outlets
from kiemchung.errors import PageError
from tests.crawler import shapes

URL = "https://a.vn/bai-1.htm"
TEXT = "Hợp tác xã Hòa Bình mua lúa của các hộ thành viên trong xã theo hợp đồng đã ký. " * 6


def page(head: str = "", body: str = "") -> bytes:
    return shapes.page(f'<div class="noi-dung"><p>{TEXT}</p>{body}</div>', head).encode()


@pytest.mark.alone
@pytest.mark.slow
def test_forty_shapes_of_a_megabyte_end_within_the_budget() -> None:
    assert len(shapes.SHAPES) >= 40
    wrong = []
    with Extractor() as extractor:
        for name, make in shapes.SHAPES.items():
            begun = time.monotonic()
            try:
                extractor.extract(make(1_000_000).encode(), url=URL)
            except PageError as error:
                if error.reason in ("timeout", "crashed", "out_of_memory", "extractor_error"):
                    wrong.append(f"{name}: {error.reason}")
            if time.monotonic() - begun > 10:
                wrong.append(f"{name}: {time.monotonic() - begun:.1f} s")
    assert wrong == []


@pytest.mark.slow
def test_nesting_beyond_reason_is_named_and_no_empty_article() -> None:
    for depth in (1_000, 10_000, 100_000):
        body = shapes.page("<div>" * depth + TEXT + "</div>" * depth)
        with Extractor() as extractor, contextlib.suppress(PageError):
            found = extractor.extract(body.encode(), url=URL)
            assert len(found.body) > 300
            continue
        with pytest.raises(PageError, match="inside each other") as caught:
            extract_page(body.encode(), url=URL)
        assert caught.value.reason == "too_complex"


def test_the_child_may_take_what_a_page_may_cost() -> None:
    """Its address space is held to what it had at the start and 700 MB."""
    with Extractor() as extractor:
        child = extractor._ready()
        limits = Path(f"/proc/{child.pid}/limits")
        if not limits.is_file():
            pytest.skip("no /proc here")
        line = next(x for x in limits.read_text().splitlines() if x.startswith("Max address"))
        soft = int(line.split()[3])
    assert MEMORY_BYTES <= soft <= MEMORY_BYTES + 2_500_000_000


# -- opt-outs ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "headers", "wanted"),
    [
        ("", (), ()),
        ('<meta name="robots" content="index,follow,noarchive">', (), ("noarchive",)),
        ('<meta name="googlebot" content="NOARCHIVE, nosnippet">', (), ("noarchive", "nosnippet")),
        ('<meta name="robots" content="noai, noimageai">', (), ("noai", "noimageai")),
        ('<meta name="tdm-reservation" content="1">', (), ("tdm",)),
        ('<meta name="tdm-reservation" content="0">', (), ()),
        ('<meta name="otherbot" content="noarchive">', (), ()),
        ("", (("X-Robots-Tag", "noarchive"),), ("noarchive",)),
        ("", (("x-robots-tag", "googlebot: noarchive, noai"),), ("noai", "noarchive")),
        ("", (("X-Robots-Tag", "otherbot: noarchive"),), ()),
        ("", (("TDM-Reservation", "1"),), ("tdm",)),
        ("", (("TDM-Reservation", "0"),), ()),
        ('<meta name="robots" content="noindex">', (("X-Robots-Tag", "nofollow"),), ()),
    ],
)
def test_what_the_owner_asks_for_is_read(
    head: str, headers: tuple[tuple[str, str], ...], wanted: tuple[str, ...]
) -> None:
    found = extract_page(page(head), url=URL, headers=headers)
    assert found.opt_outs == wanted
    assert found.noarchive == ("noarchive" in wanted)
    with Extractor() as extractor:
        assert extractor.extract(page(head), url=URL, headers=headers).opt_outs == wanted


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_header_is_read_without_falling_over(name: str, value: str) -> None:
    found = extract_page(page(), url=URL, headers=[(name, value), ("X-Robots-Tag", value)])
    assert set(found.opt_outs) <= {"noai", "noarchive", "noimageai", "nosnippet", "tdm"}


# -- drift -------------------------------------------------------------------------------------


def outlet(body: str = "div.noi-dung", **given: object) -> Outlet:
    return Outlet(
        name="a", display="A", hosts=("a.vn",), selectors=Selectors(body=(body,)),
        **given,  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_selector_that_catches_a_box_drifts_and_the_right_one_does_not() -> None:
    box = "".join(
        f"<p>Chuyện {n}: đoàn xã viên đi thăm vườn cam ở huyện bên rồi về kể lại cho nhau"
        " nghe suốt cả buổi chiều bên ấm chè xanh.</p>" for n in range(4)
    )  # fmt: skip
    body = shapes.page(
        f'<div class="noi-dung">{"".join(f"<p>Lần {n}: {TEXT}</p>" for n in range(6))}</div><div class="hop">{box}</div>'
    ).encode()
    right = extract_page(body, url=URL, outlet=outlet())
    wrong = extract_page(body, url=URL, outlet=outlet("div.hop"))
    assert (right.body_method, wrong.body_method) == ("selector", "selector")
    assert right.drift is not None
    assert wrong.drift is not None
    assert right.drift < 0.3 < wrong.drift
    assert extract_page(body, url=URL).drift is None


# -- the outlets' own functions ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://a.vn/bai-102260811153045.htm", datetime(2026, 8, 11, 8, 30, 45, tzinfo=UTC)),
        ("https://a.vn/bai-185230913164000123.htm", datetime(2023, 9, 13, 9, 40, tzinfo=UTC)),
        ("https://a.vn/bai-188260230153045.chn", None),  # 30 February
        ("https://a.vn/bai-4712345.html", None),
        ("https://a.vn/bai.htm", None),
    ],
)  # fmt: skip
def test_a_date_in_the_address_fills_in_where_the_page_has_none(
    url: str, wanted: datetime | None
) -> None:
    found = extract_page(page(), url=url, outlet=outlet(extractor="dated-address"))
    if wanted is None:
        assert (found.published_at, found.published_method) == (None, "unknown")
    else:
        assert found.published_at == wanted
        assert found.published_method == "outlet+zone"
    dated = page('<meta property="article:published_time" content="2026-08-12T08:00:00+07:00">')
    own = extract_page(dated, url=url, outlet=outlet(extractor="dated-address"))
    assert own.published_method == "og"
    assert own.published_at == datetime(2026, 8, 12, 1, tzinfo=UTC)


def test_a_function_replaces_what_it_knows_and_a_broken_one_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def own(parsed: Parsed) -> Found:
        assert parsed.root.xpath("//h1")
        return Found(title="Tựa của hàm", paragraphs=("Đoạn một của hàm. " * 40, "Đoạn hai."))

    def broken(parsed: Parsed) -> Found:
        raise KeyError("datePublished")

    both = {"own": own, "broken": broken}
    monkeypatch.setattr("crawler.extract.REGISTRY", both)
    found = extract_page(page(), url=URL, outlet=outlet(extractor="own"))
    assert (found.title, found.title_method) == ("Tựa của hàm", "outlet")
    assert (found.body, found.body_method) == ("Đoạn một của hàm. " * 40 + "\nĐoạn hai.", "outlet")
    assert found.extractor_failed == ""
    found = extract_page(page(), url=URL, outlet=outlet(extractor="broken"))
    assert "KeyError" in found.extractor_failed
    assert found.body == extract_page(page(), url=URL, outlet=outlet()).body


def test_the_outlets_that_name_a_function_name_one_that_is_there() -> None:
    named = {o.name: o.extractor for o in load_outlets().values() if o.extractor}
    assert set(named.values()) <= set(extractors.NAMES)
    assert "baochinhphu" in named
    assert extractors.REGISTRY["dated-address"] is extractors.dated_address
