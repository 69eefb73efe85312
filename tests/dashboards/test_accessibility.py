"""Every page under axe: no serious and no critical finding; the report on A4 paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from dashboards.app import create_app
from dashboards.report import weekly_report
from dashboards.views import PAGES
from kiemchung.domain import Decision
from kiemchung.store import Store, open_store
from kiemchung.store.corrections import Outcome, add, corrections, resolve
from kiemchung.store.inbox import write_batch
from tests.batches import NEW_PASSAGE, batch
from tests.dashboards.chromium import opened, served, sign_in
from tests.dashboards.conftest import OUTLETS, PASSWORD, SECRET, enrol
from tests.later import later

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WEEK = "2026-W40"
# A page of one's own is looked at with these in the place of what stands in braces.
EXAMPLES = {"week": [WEEK], "page": list(PAGES)}
# Files, redirects, and the piece of a page that htmx fetches.
NO_PAGES = re.compile(
    r"/static/|/health|/ready|/metrics|\.csv$|\.txt$|^/views$|^/$|^/jump$|/place$"
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("axe")
    with open_store(folder / "k.duckdb") as found:
        for number, week in enumerate(("2026-W39", WEEK)):
            given = later(batch(week=week, flags=8, copies=2, quiet=20), number)
            write_batch(folder / "inbox", given)
            found.merge_inbox(folder / "inbox")
        enrol(found, "an", "admin")
        an = found.authenticate("an", PASSWORD)
        assert an is not None
        first, second = found.queue(an, view="flagged")[:2]
        for entry, decision in ((first, Decision.REFUTED), (second, Decision.SUPPORTED)):
            for key in entry.mention_keys:
                found.choose(
                    an,
                    key,
                    decision,
                    form_token=f"c{key}",
                    cited_passages=[NEW_PASSAGE.passage_id],
                )
                found.decide(
                    an,
                    key,
                    decision,
                    form_token=str(key),
                    cited_passages=[NEW_PASSAGE.passage_id],
                    note="một ghi chú",
                )
        enrol(found, "binh")
        binh = found.authenticate("binh", PASSWORD)
        assert binh is not None
        third = found.queue(an, view="flagged")[2]
        for who, decision in ((an, Decision.REFUTED), (binh, Decision.SUPPORTED)):
            found.decide(
                who,
                third.mention_key,
                decision,
                form_token=f"{who.name} differs",
                cited_passages=[NEW_PASSAGE.passage_id],
            )
        enrol(found, "chi", "admin")
        for said in ("Bài đã sửa.", "Câu này nói về năm 2022."):
            add(found, an, first.mention_key, said)
        resolve(found, an, corrections(found)[-1].key, Outcome.PARTLY, "Đã xem lại.")
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened() as found:
        yield found


def paths(store: Store, app: Any) -> list[str]:
    """Return an address for every page of the application, by its routes."""
    decided = store._read("SELECT min(mention_key) AS k FROM current_review")[0]["k"]
    waiting = store._read(
        "SELECT max(mention_key) AS k FROM mention ANTI JOIN current_review USING (mention_key)"
    )[0]["k"]
    disputed = store._read("SELECT mention_key AS k FROM disputed")[0]["k"]
    examples = EXAMPLES | {"mention_key": [decided, waiting, disputed]}
    found = []
    for route in app.routes:
        if not isinstance(route, APIRoute) or "GET" not in (route.methods or ()):
            continue
        if NO_PAGES.search(route.path):
            continue
        names = re.findall(r"{(\w+)}", route.path)
        unknown = [n for n in names if n not in examples]
        assert not unknown, f"{route.path}: add an example of {unknown} here"
        filled = [route.path]
        for name in names:
            filled = [f.replace(f"{{{name}}}", str(v)) for f in filled for v in examples[name]]
        found += filled
    return [*found, *(f"/queue?view={v}" for v in ("flagged", "all", "decided")), "/nothing"]


def findings(page: Any) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{v['id']} ({v['impact']}): {v['nodes'][0]['html'][:200]}"
        for v in found
        if v["impact"] in ("serious", "critical")
    ]


@pytest.mark.slow(25)
def test_no_page_has_a_serious_finding(browser: Any, store: Store) -> None:
    app = create_app(store, secret=SECRET, outlet_names=OUTLETS)
    wanted = paths(store, app)
    assert len(wanted) > 15
    wrong: dict[str, list[str]] = {}
    with served(app) as address:
        context = browser.new_context(viewport={"width": 1100, "height": 900})
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(address + "/login")
        wrong["/login"] = findings(page)
        sign_in(page, address, "chi", PASSWORD)  # who may see all of them
        for path in wanted:
            page.goto(address + path)
            wrong[path] = findings(page)
            assert page.get_attribute("html", "lang") == "vi", path
            assert page.locator("h1").count() == 1 or path.startswith("/item/"), path
        for code in ("en",):
            context.add_cookies([{"name": "kiemchung_language", "value": code, "url": address}])
            page.goto(address + "/views/volume")
            wrong[f"/views/volume in {code}"] = findings(page)
            assert page.get_attribute("html", "lang") == code
        context.close()
    assert {path: found for path, found in wrong.items() if found} == {}


def test_axe_finds_what_is_wrong(browser: Any) -> None:
    page = browser.new_page()
    page.set_content(
        "<html><body><img src=x><input><p style='color:#ccc'>một dòng chữ nhạt</p></body></html>"
    )
    found = " ".join(findings(page))
    for name in ("image-alt", "label", "color-contrast", "html-has-lang"):
        assert name in found
    page.close()


def test_views_and_report_fit_a_telephone(browser: Any, store: Store) -> None:
    with served(create_app(store, secret=SECRET, outlet_names=OUTLETS)) as address:
        context = browser.new_context(viewport={"width": 360, "height": 740})
        page = context.new_page()
        sign_in(page, address, "an", PASSWORD)
        for path in (*(f"/views/{p}" for p in PAGES), "/corrections", f"/report/{WEEK}",
                     "/views/claim/1", "/item/1/draft"):  # fmt: skip
            page.goto(address + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        context.close()


def test_the_report_prints_on_a4_without_a_cut_table(
    browser: Any, store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    file.write_text(weekly_report(store, WEEK, outlet_names=OUTLETS), encoding="utf-8")
    page = browser.new_page(java_script_enabled=True)
    page.goto(file.as_uri())
    assert findings(page) == []
    # As wide as the paper between its margins: 210 mm less twice 16 mm, at 96 dots an inch.
    page.set_viewport_size({"width": 673, "height": 1000})
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 673
    cut = page.evaluate(
        "[...document.querySelectorAll('table, svg, .wide')].filter("
        "e => e.getBoundingClientRect().right > 673.5).length"
    )
    assert cut == 0
    data = page.pdf(prefer_css_page_size=True)
    boxes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", data)
    assert 2 <= len(boxes) <= 12
    for wide, tall in boxes:  # in points
        assert float(wide) == pytest.approx(595.28, abs=1.5)
        assert float(tall) == pytest.approx(841.89, abs=1.5)
    # No row and no flag is torn in two: they may only begin a page.
    torn = page.evaluate(
        "[...document.querySelectorAll('tr, .flag, svg')].filter("
        "e => getComputedStyle(e).breakInside !== 'avoid').length"
    )
    assert torn == 0
    page.close()
