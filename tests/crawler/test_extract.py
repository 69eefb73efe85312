from __future__ import annotations

import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.extract import Page, extract_page
from crawler.isolate import Extractor, extract_safely, page_from_json, page_to_json
from crawler.outlets import Outlet, Selectors, load_outlets
from kiemchung.errors import PageError

PAGES = Path(__file__).resolve().parents[1] / "data" / "pages"
URL = "https://bao.example/bai-12.html"
OUTLETS = load_outlets()
PARAGRAPHS = (
    "Sáng mồng hai, ba mươi nhà ở xóm Chài rủ nhau ra bãi dọn rong để lấy lối cho thuyền vào bến.",
    "Mỗi nhà một người, làm từ lúc nước rút đến khi nước lên, được chừng bốn trăm mét bãi.",
    "Rong dọn được chở về ủ làm phân, chia đều cho các nhà có vườn ở phía trong đê.",
)


def page(
    body: str = "".join(f"<p>{p}</p>" for p in PARAGRAPHS),
    head: str = "",
    before: str = '<p class="sapo">Bến thuyền bị rong lấp được dọn sạch trong một buổi sáng.</p>',
    title: str = "Xóm Chài dọn bãi đầu năm",
) -> bytes:
    return (
        f'<!doctype html><html lang="vi"><head><meta charset="utf-8"><title>{title}</title>{head}'
        f'</head><body><h1>{title}</h1>{before}<div class="article-content">{body}</div></body></html>'
    ).encode()


def extract(body: bytes, url: str = URL, outlet: Outlet | None = None) -> Page:
    return extract_page(body, url=url, content_type="text/html; charset=utf-8", outlet=outlet)


def reason(body: bytes, url: str = URL, outlet: Outlet | None = None) -> str:
    with pytest.raises(PageError) as caught:
        extract_page(body, url=url, outlet=outlet)
    assert caught.value.where == url
    return caught.value.reason


# -- golden pages ----------------------------------------------------------------------------


@pytest.mark.parametrize("golden", sorted(PAGES.glob("*.json")), ids=lambda p: p.stem)
def test_golden_pages(golden: Path) -> None:
    wanted = json.loads(golden.read_text(encoding="utf-8"))
    outlet = OUTLETS[wanted["outlet"]] if "outlet" in wanted else None
    body = golden.with_suffix(".html").read_bytes()
    if "error" in wanted:
        assert reason(body, wanted["url"], outlet) == wanted["error"]
        return
    found = extract_page(
        body, url=wanted["url"], content_type=wanted["content_type"], outlet=outlet
    )
    values = json.loads(json.dumps(page_to_json(found)))
    assert {key: values[key] for key in wanted["page"]} == wanted["page"]


def f1(found: str, gold: str) -> float:
    words = [Counter(re.findall(r"\w+", text)) for text in (found, gold)]
    common = (words[0] & words[1]).total()
    return 2 * common / (words[0].total() + words[1].total())


@pytest.mark.needs_shared
@pytest.mark.parametrize("with_outlet", [True, False])
def test_a_real_page_against_an_outside_gold(shared: Path, with_outlet: bool) -> None:
    import trafilatura

    body = (shared / "pages" / "vnexpress_2025.html").read_bytes()
    gold = json.loads((shared / "pages" / "vnexpress_2025.gold.json").read_text("utf-8"))["V1"]
    found = extract(
        body, "https://vnexpress.net/a-4954454.html", OUTLETS["vnexpress"] if with_outlet else None
    )
    lead = " ".join(gold["body"]["summary"])
    text = "\n".join(p for s in gold["body"]["sections"] for p in s["paragraphs"])
    assert found.title == gold["title"]
    assert found.lead == lead
    assert found.published_at == datetime.fromisoformat(gold["publishing_date"])
    assert f1(found.body, text) >= 0.97  # the gold keeps a caption in the text, we do not
    generic = trafilatura.extract(body, fast=True, include_comments=False) or ""
    assert f1(found.body, text) >= f1(generic, text)
    assert f1(f"{found.lead} {found.body}", f"{lead} {text}") > f1(generic, f"{lead} {text}") + 0.03
    assert (found.authors_dropped, found.captions_dropped) == (1, 1)
    assert gold["authors"][0] not in found.body
    assert found.noarchive
    assert set(gold["topics"]) <= {t.lower() for t in found.tags}


@pytest.mark.needs_shared
def test_a_real_page_of_2023_is_the_same_with_and_without_its_outlet_file(shared: Path) -> None:
    body = (shared / "pages" / "vnexpress_2023.html").read_bytes()
    url = "https://vnexpress.net/a-4672302.html"
    found = extract(body, url, OUTLETS["vnexpress"])
    assert found.published_at == datetime.fromisoformat("2023-11-02T19:20:45+07:00")
    assert found.lead.startswith("Bộ trưởng Tài chính")
    assert found.body.startswith("Thông tin trên được")
    assert found.canonical_url.endswith("-4672302.html")
    generic = extract(body, url)
    assert (generic.title, generic.lead, generic.body) == (found.title, found.lead, found.body)


@pytest.mark.needs_shared
@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("dantri_home_2019", "https://dantri.com.vn/"),
        ("dantri_home_2019", "https://dantri.com.vn/xa-hoi.htm"),
        ("vnexpress_en_home_2025", "https://e.vnexpress.net/"),
        ("vnexpress_en_home_2025", "https://e.vnexpress.net/news"),
    ],
)
def test_real_front_pages_are_no_articles(shared: Path, name: str, url: str) -> None:
    assert reason((shared / "pages" / f"{name}.html").read_bytes(), url) == "not_article"


@pytest.mark.needs_shared
def test_every_cut_of_a_real_page_is_seen(shared: Path) -> None:
    body = (shared / "pages" / "vnexpress_2023.html").read_bytes()
    at = [int(len(body) * share) for share in (0.2, 0.35, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 0.97)]
    assert {reason(body[:n], "https://vnexpress.net/a-4672302.html") for n in at} == {"truncated"}


# -- fields ----------------------------------------------------------------------------------


def test_the_plain_page() -> None:
    found = extract(page())
    assert found.title == "Xóm Chài dọn bãi đầu năm"
    assert found.lead == "Bến thuyền bị rong lấp được dọn sạch trong một buổi sáng."
    assert found.body == "\n".join(PARAGRAPHS)
    assert (found.published_at, found.published_method) == (None, "unknown")
    assert not found.noarchive
    assert not found.paywall
    assert not found.date_conflict
    assert not found.encoding_conflict


def test_a_lead_that_the_body_repeats_stands_once() -> None:
    lead = "Bến thuyền bị rong lấp được dọn sạch trong một buổi sáng."
    body = f"<p><b>{lead}</b></p>" + "".join(f"<p>{p}</p>" for p in PARAGRAPHS)
    found = extract(page(body))
    assert found.lead == lead
    assert found.body == "\n".join(PARAGRAPHS)


def test_a_description_that_stands_later_in_the_text_is_not_taken_out() -> None:
    head = f'<meta property="og:description" content="{PARAGRAPHS[2]}">'
    found = extract(page(head=head, before=""))
    assert found.body == "\n".join(PARAGRAPHS)
    assert found.lead == ""


def test_a_description_that_stands_nowhere_else_is_the_lead() -> None:
    head = '<meta property="og:description" content="(BAO) - Chuyện dọn rong &amp; ủ phân ở xóm.">'
    found = extract(page(head=head, before=""))
    assert (found.lead, found.lead_method) == ("Chuyện dọn rong & ủ phân ở xóm.", "og")


def test_the_mark_of_the_outlet_before_a_lead_is_cut_by_its_file() -> None:
    outlet = Outlet(
        name="bao", display="Báo", hosts=("bao.example",), sample=True, lead_prefix=("(Xa xôi) -",)
    )
    before = '<p class="sapo">(Xa xôi) - Bến thuyền đã sạch rong sau một buổi.</p>'
    assert extract(page(before=before), outlet=outlet).lead.startswith("Bến thuyền")
    assert extract(page(before=before)).lead.startswith("(Xa xôi)")  # no name of this site


@pytest.mark.parametrize(
    ("markup", "field"),
    [
        (
            '<figure><img src="a"><figcaption>Bãi rong lúc nước rút.</figcaption></figure>',
            "captions",
        ),
        ('<p class="Image">Bãi rong lúc nước rút.</p>', "captions"),
        ('<div class="PhotoCMS_Caption"><p>Bãi rong lúc nước rút.</p></div>', "captions"),
        ("<p>Bãi rong lúc nước rút. Ảnh: Mây Trắng</p>", "captions"),
        ('<p><img src="a"></p><p><em>Bãi rong lúc nước rút.</em></p>', "captions"),
        ("<table><tr><td><img src=a></td></tr><tr><td>Bãi rong.</td></tr></table>", "captions"),
        ('<p><a href="/x">Làng bên cũng dọn bãi từ tháng trước</a></p>', "related"),
        ('<p>Xem thêm: <a href="/x">Làng bên dọn bãi</a></p>', "related"),
        (
            '<ul><li><a href="/x">Tin làng bên</a></li><li><a href="/y">Tin bãi</a></li></ul>',
            "related",
        ),
        ('<div class="tin-lien-quan"><p>Làng bên cũng dọn bãi.</p></div>', "related"),
        ('<div type="RelatedOneNews">Làng bên cũng dọn bãi.</div>', "related"),
        ('<div class="author-info">Mây Trắng viết từ xóm Chài</div>', "authors"),
        ('<div id="binh-luan"><p>Làng tôi cũng thế.</p></div>', "comments"),
    ],
)
def test_side_matter_is_dropped_and_counted(markup: str, field: str) -> None:
    first, *rest = (f"<p>{p}</p>" for p in PARAGRAPHS)
    found = extract(page(first + markup + "".join(rest)))
    assert found.body == "\n".join(PARAGRAPHS)
    counts = {
        "captions": found.captions_dropped,
        "related": found.related_dropped,
        "authors": found.authors_dropped,
        "comments": found.comments_dropped,
    }
    assert counts == dict.fromkeys(counts, 0) | {field: 1}


@pytest.mark.parametrize(
    "line",
    [
        '<p style="text-align: right"><strong>Mây Trắng</strong></p>',
        '<p align="right">Mây Trắng</p>',
        "<p><b>Mây Trắng - Gió Lành</b></p>",
        "<p>Bài, ảnh: Mây Trắng</p>",
        "<p>(Theo Báo Quê)</p>",
    ],
)
def test_the_line_that_signs_an_article_is_dropped(line: str) -> None:
    found = extract(page("".join(f"<p>{p}</p>" for p in PARAGRAPHS) + line))
    assert found.body == "\n".join(PARAGRAPHS)
    assert found.authors_dropped == 1


@pytest.mark.parametrize(
    "last",
    [
        "Cả xóm cùng vui.",
        "Theo kế hoạch, đợt dọn bãi sau diễn ra vào rằm tháng Ba và kéo dài hai hôm liền.",
        "Xóm Chài có 30 nhà",
    ],
)
def test_a_last_sentence_is_no_signature(last: str) -> None:
    found = extract(page("".join(f"<p>{p}</p>" for p in (*PARAGRAPHS, last))))
    assert found.body.endswith(last)


def test_bare_text_and_breaks_are_paragraphs() -> None:
    body = (
        f"{PARAGRAPHS[0]}<br/><br>{PARAGRAPHS[1]}<div>{PARAGRAPHS[2]}</div>Hết chuyện <b>ở</b> xóm."
    )
    assert extract(page(body)).body == "\n".join((*PARAGRAPHS, "Hết chuyện ở xóm."))


def test_a_wrapper_is_kept_whatever_its_class_says() -> None:
    body = '<div class="share related">' + "".join(f"<p>{p}</p>" for p in PARAGRAPHS) + "</div>"
    assert extract(page(body)).body == "\n".join(PARAGRAPHS)


def test_words_are_neither_joined_nor_parted() -> None:
    body = "<p>Nhà<span>ông </span><i>Cả</i>&nbsp;có<a href=/x> ba</a> thuyền.</p>"
    text = extract(page(body + "".join(f"<p>{p}</p>" for p in PARAGRAPHS))).body
    assert text.startswith("Nhàông Cả có ba thuyền.\n")


@pytest.mark.parametrize(
    ("head", "title", "method"),
    [
        ('<meta property="og:title" content="Xóm Chài dọn bãi đầu năm">', "", "heading"),
        ('<meta property="og:title" content="Dọn bãi - Báo Mẫu"><meta property="og:site_name" '
         'content="Báo Mẫu">', "Dọn bãi", "og"),
        ('<script type="application/ld+json">{"@type":"Article","headline":"Dọn &amp;quot;bãi&amp;'
         'quot;"}</script>', 'Dọn "bãi"', "json-ld"),
    ],
)  # fmt: skip
def test_titles(head: str, title: str, method: str) -> None:
    body = page(head=head, title="Xóm Chài dọn bãi đầu năm")
    if title:  # the heading and the tab are of the site, not of the article
        body = re.sub(rb"<h1>.*?</h1>", b"<h1>Tin trong ng\xc3\xa0y</h1>", body)
        body = re.sub(rb"<title>.*?</title>", b"<title>B\xc3\xa1o</title>", body)
    found = extract(body)
    assert (found.title, found.title_method) == (title or "Xóm Chài dọn bãi đầu năm", method)


# -- date and address ------------------------------------------------------------------------


def ld(**fields: object) -> str:
    node = {"@context": "https://schema.org", "@type": ["NewsArticle"], **fields}
    return f'<script type="application/ld+json">{json.dumps(node)}</script>'


@pytest.mark.parametrize(
    ("head", "at", "method"),
    [
        (ld(datePublished="2024-02-10T07:00:00+07:00"), "2024-02-10T07:00:00+07:00", "json-ld"),
        ('<script type="application/ld+json">{"@graph":[{"@type":"Person"},{"@type":"Article",'
         '"headline":"a\nb","datePublished":"2024-02-10T07:00:00+07:00",}]}</script>',
         "2024-02-10T07:00:00+07:00", "json-ld"),
        ('<script type="application/ld+json">{"@type":"NewsArticle", "headline": "lỗi " ở đây",'
         '"datePublished":"2024-02-10T07:00:00+07:00"}</script>',
         "2024-02-10T07:00:00+07:00", "json-ld"),
        ('<meta property="article:published_time" content="2024-02-10T07:00:00">',
         "2024-02-10T07:00:00+07:00", "og+zone"),
        ('<meta itemprop="datePublished" content="2024-02-10">', "2024-02-10T00:00:00+07:00",
         "meta+zone"),
    ],
)  # fmt: skip
def test_dates_in_the_head(head: str, at: str, method: str) -> None:
    found = extract(page(head=head))
    assert found.published_at == datetime.fromisoformat(at)
    assert found.published_method == method


def test_dates_on_the_page() -> None:
    found = extract(page(before='<time datetime="2024-02-10T07:00:00+07:00">hôm nay</time>'))
    assert (found.published_method, found.date_precision) == ("time", "second")
    found = extract(page(before='<span class="date">Thứ Bảy, 10/02/2024</span>'))
    assert (found.published_method, found.date_precision) == ("text+zone", "day")
    found = extract(page(before='<div class="related"><span class="date">10/02/2024</span></div>'))
    assert found.published_at is None


def test_two_dates_an_hour_apart_are_both_kept() -> None:
    og = '<meta property="article:published_time" content="2024-02-10T08:02:00">'
    found = extract(page(head=og + ld(datePublished="2024-02-10T07:00:00+07:00")))
    assert found.date_conflict
    assert [d.split()[0] for d in found.dates] == ["json-ld", "og"]


@pytest.mark.parametrize("text", ["9999-12-31T00:00:00Z", "2024-13-45", "mới đây", "1970-01-01"])
def test_an_unsound_date_is_unknown(text: str) -> None:
    found = extract(page(head=ld(datePublished=text)))
    assert (found.published_at, found.date_precision) == (None, "unknown")


def test_a_date_after_the_fetch_is_refused() -> None:
    body = page(head=ld(datePublished="2024-02-12T07:00:00+07:00"))
    early = datetime(2024, 2, 10, tzinfo=UTC)
    assert extract_page(body, url=URL, fetched_at=early).published_at is None
    assert extract_page(body, url=URL).published_at is not None


def test_a_deep_json_ld_costs_the_date_only() -> None:
    head = f'<script type="application/ld+json">{"[" * 200_000}</script>'
    assert extract(page(head=head)).published_at is None


@pytest.mark.parametrize(
    ("head", "address", "method", "conflict"),
    [
        ("", URL, "url", False),
        ('<link rel="canonical" href="/bai-12.html?utm_source=x">', URL, "link", False),
        ('<link rel="canonical" href="https://m.bao.example/bai-13.html">',
         "https://bao.example/bai-13.html", "link", False),
        ('<meta property="og:url" content="https://bao.example/bai-13.html">',
         "https://bao.example/bai-13.html", "og", False),
        ('<link rel="canonical" href="/bai-12.html"><meta property="og:url" content="/bai-9.html">',
         URL, "link", True),
        ('<link rel="canonical" href="https://bao.example/">', URL, "url", True),
        ('<link rel="canonical" href="https://noi-khac.test/bai-1.html">', URL, "url", True),
        ('<link rel="canonical" href="javascript:void(0)">', URL, "url", False),
    ],
)  # fmt: skip
def test_addresses(head: str, address: str, method: str, conflict: bool) -> None:
    found = extract(page(head=head))
    assert (found.canonical_url, found.canonical_method) == (address, method)
    assert found.canonical_conflict is conflict


def test_a_saved_page_without_a_web_address_is_read() -> None:
    assert extract(page(), url="bai.html").canonical_url == "bai.html"


def test_selectors_that_no_longer_hit_are_replaced_and_it_shows() -> None:
    outlet = Outlet(
        name="cu",
        display="Cũ",
        hosts=("bao.example",),
        sample=True,
        selectors=Selectors(title=("h1.cu",), lead=(".cu",), body=(".cu",)),
    )
    found = extract(page(), outlet=outlet)
    assert found.body == "\n".join(PARAGRAPHS)
    assert (found.title_method, found.lead_method, found.body_method) == (
        "heading",
        "class",
        "container",
    )


# -- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "empty"),
        (b" \n ", "empty"),
        (b"%PDF-1.4 x", "binary"),
        (bytes(range(256)) * 20, "binary"),
        ("Привет мир, это колхоз ".encode("koi8-r") * 40, "unknown_charset"),
        (b"<html><body></body></html>", "no_text"),
        (b"<html><body><p>ok</p></body></html>", "no_text"),
        (b"<p>x</p>" * 30_000 + b"</html>", "too_complex"),
        (b"<html><body " + b"a=1 " * 400 + b"></body></html>", "too_complex"),
        (b"<html><body " + b"a " * 20_000 + b"></body></html>", "too_complex"),
        (b"<div>" * 1_000 + b"x" + b"</div>" * 1_000, "too_complex"),
        (b"<span>" * 300 + b"x</html>", "too_complex"),
        (b"<p>" + b"a" * 10_000_001, "too_large"),
        (page()[:400], "truncated"),
        (page().replace(b"</body></html>", b"").removesuffix(b"</div>"), "truncated"),
        (page()[: page().index(b"</body>")] + b"<scr", "truncated"),
        (page()[: page().index(b"</body>")] + b"<script>var a = '</p>'", "truncated"),
        (page()[: page().index(b"</body>")] + b"<!-- a <p>x</p>", "truncated"),
    ],
)
def test_a_page_that_is_none_ends_in_a_named_state(body: bytes, named: str) -> None:
    assert reason(body) == named


def test_closing_tags_may_be_left_out() -> None:
    body = page().replace(b"</body></html>", b"")
    assert extract(body).body == "\n".join(PARAGRAPHS)


def test_long_attributes_with_signs_in_quotes_are_no_flood() -> None:
    data = "một hai > ba < bốn " * 1_000
    found = extract(page(before=f'<div data-x="{data}"></div>'))
    assert found.body == "\n".join(PARAGRAPHS)


def test_front_pages_and_foreign_shapes_are_no_articles() -> None:
    assert reason(page(), "https://bao.example/") == "not_article"
    outlet = OUTLETS["song-hong"]
    assert reason(page(), "https://song-hong.example/gioi-thieu", outlet) == "not_article"


def test_an_article_about_missing_pages_is_one() -> None:
    body = "".join(f"<p>{p}</p>" for p in PARAGRAPHS * 5)
    found = extract(page(body, title="Vì sao trang không tồn tại lại hiện ra khi mở cổng xã"))
    assert found.title.startswith("Vì sao")


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_noise_inside_a_page_never_escapes_by_another_error(noise: bytes) -> None:
    body = page().replace(b"<h1>", noise + b"<h1>")
    try:
        found = extract_page(body, url=URL)
    except PageError as error:
        assert error.reason  # noqa: PT017  either outcome is right
    else:
        assert found.title


# -- the child process -----------------------------------------------------------------------


def test_the_child_gives_what_the_function_gives() -> None:
    body = (PAGES / "vccorp-prefix.html").read_bytes()
    url = "https://song-hong.example/xa-dam-say-102240512081500.htm"
    fetched = datetime(2026, 1, 1, tzinfo=UTC)
    with Extractor() as extractor:
        for outlet in (OUTLETS["song-hong"], None):
            found = extractor.extract(body, url=url, outlet=outlet, fetched_at=fetched)
            assert found == extract_page(body, url=url, outlet=outlet, fetched_at=fetched)
        with pytest.raises(PageError) as caught:
            extractor.extract(b"", url=url)
    assert caught.value.reason == "empty"


def test_pages_survive_json() -> None:
    found = extract(page(head=ld(datePublished="2024-02-10T07:00:00+07:00")))
    assert page_from_json(json.loads(json.dumps(page_to_json(found)))) == found
    with pytest.raises(PageError):
        page_from_json({"title": "x"})


@pytest.mark.alone
def test_a_page_that_takes_too_long_costs_itself() -> None:
    slow = page("<p>" + "chữ " * 1_500_000 + "</p>")
    with Extractor(limit_seconds=0.3) as extractor:
        extractor.extract(page(), url=URL)
        started = time.monotonic()
        with pytest.raises(PageError) as caught:
            extractor.extract(slow, url=URL)
        assert time.monotonic() - started < 2.0
        assert extractor.extract(page(), url=URL).body == "\n".join(PARAGRAPHS)
    assert caught.value.reason == "timeout"


def test_a_child_that_dies_is_started_again() -> None:
    with Extractor() as extractor:
        extractor.extract(page(), url=URL)
        child = extractor._child
        assert child is not None
        os.kill(child.pid, signal.SIGSTOP)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        assert extractor.extract(page(), url=URL).title
        assert extractor._child is not child


@pytest.fixture(scope="module")
def child() -> Iterator[Extractor]:
    """One child for many pages, as in a run; starting it takes longer than most pages."""
    with Extractor() as extractor:
        yield extractor


def test_many_pages_in_order_with_their_outcomes() -> None:
    outcomes = list(
        extract_safely(
            [(page(), URL, None, None), (b"", URL, None, None), (page(), URL, None, None)]
        )
    )
    assert [type(o).__name__ for o in outcomes] == ["Page", "PageError", "Page"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "markup",
    [
        "<p>a</p>" * 24_000,
        "a<br>" * 48_000,
        "<li><a href=x>một hai ba bốn năm sáu</a>" * 16_000,
        ("<div class=x>" * 190 + "<p>chữ</p>" + "</div>" * 190) * 120,
        ("<span class=caption>" * 190 + "chữ" + "</span>" * 190) * 120,
        ("<table><tr><td>" * 60 + "chữ<img>" + "</table>" * 60) * 100,
        '<div class="related share"><p>một hai ba bốn năm</p></div>' * 12_000,
        '<time datetime="2024-01-01">1/1/2024</time>' * 16_000,
        "<p>" + "&amp;" * 1_900_000,
        "<p>" + " \u00a0" * 3_000_000,
        "<p>" + "ộ" * 3_000_000,
        "<p>" + "ảnh: " * 1_000_000,
        "<p>" + "a1." * 3_000_000,
        "<p>" + "1/1/2024 " * 1_000_000,
        "<" * 5_000_000,
        "<!--" * 2_000_000,
        '<a "' * 2_000_000,
        "<![CDATA[" * 1_000_000,
        '<meta name="keywords" content="' + "a," * 3_000_000 + '">',
        f'<script type="application/ld+json">{"[{" * 2_000_000}</script>',
    ],
)
@pytest.mark.alone
def test_hostile_pages_end_within_the_limit(markup: str, child: Extractor) -> None:
    body = f"<html><body><h1>Tên</h1>{markup}</body></html>".encode()
    started, reason = time.monotonic(), ""
    try:
        child.extract(body, url=URL)
    except PageError as error:
        reason = error.reason
    assert time.monotonic() - started < 12.0
    assert reason not in ("timeout", "crashed")
