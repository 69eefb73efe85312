"""The health of a run: the sample's week as rows, its history on disk, its table in the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from crawler.health import read_history, read_week, write_week
from crawler.ledger import Kind, State, Visit
from crawler.outlets import Outlet, load_outlets
from kiemchung.config import Settings
from kiemchung.store import open_store
from pipeline import health
from pipeline.stages import PageOutcome, read_extracted
from pipeline.weekly import accounting, make_plan, report_path, store_path
from pipeline.weeks import parse_week

WEEK = parse_week("2026-W40")


@pytest.fixture(scope="module")
def settings(week_of_its_own: Callable[[str], Settings]) -> Settings:
    return week_of_its_own("health")


@pytest.mark.slow
def test_the_rows_of_a_run_add_up_and_reach_the_store(settings: Settings) -> None:
    run = make_plan(WEEK, ["sample"], settings)
    accounted = accounting(run, settings)
    rows = accounted.health
    assert {r.outlet for r in rows} == {n for n, o in load_outlets().items() if o.sample}
    sums = accounted.sums
    assert sum(r.discovered for r in rows) == sums.discovered
    assert sum(r.fetched for r in rows) == sums.fetched
    assert sum(r.failed for r in rows) == sum(sums.failed.values())
    assert sum(r.refused for r in rows) == sum(sums.refused.values())
    assert sum(r.cooperative for r in rows) == sums.stored + sums.duplicate
    assert all(r.newest and r.median_characters and not r.alarms for r in rows)
    assert accounting(run, settings) == accounted  # looking twice changes nothing
    with open_store(store_path(settings)) as store:
        (stored,) = store.runs("2026-W40")
    assert stored.health == rows
    html = report_path(WEEK, settings).read_text(encoding="utf-8")
    assert "Tình hình thu thập theo nguồn" in html
    assert html.count("<tr", html.index('class="health"'), html.index("</table></div>")) == 7


@pytest.mark.slow
def test_the_next_week_is_set_against_the_weeks_before(settings: Settings) -> None:
    run = make_plan(WEEK, ["sample"], settings)
    folder = health.folder(settings.data_dir)
    now = read_week(folder / "2026-W40" / "song-hong.json")
    for number in range(30, 39):
        write_week(folder, replace(now, week=f"2026-W{number}", with_lead=0, extracted=200))
        write_week(
            folder,
            replace(now, week=f"2026-W{number}", median_characters=90_000, extracted=200),
        )
    _, outcomes = read_extracted(run)
    checked = health.check(run, load_outlets(), outcomes)
    assert any(line.startswith("redesign: song-hong:") for line in checked.lines)
    (folder / "2026-W31" / "song-hong.json").write_text("{", encoding="utf-8")
    checked = health.check(run, load_outlets(), outcomes)
    assert any("unreadable history" in line and "song-hong.json" in line for line in checked.lines)
    assert len(read_history(folder, before="2026-W40")[0]["song-hong"]) == 8


def outcome(n: int, **given: object) -> PageOutcome:
    values: dict[str, object] = {
        "url": f"http://a.vn/{n}", "outlet": "a", "raw_sha256": "x", "state": "stored",
        "reason": "", "article_id": f"{n}", "extracted": True, "cooperative": True,
        "with_lead": True, "characters": 100 * n, "published": f"2026-10-0{n}T00:00:00+00:00",
        "body_sha256": f"{n}",
    }  # fmt: skip
    return PageOutcome(**(values | given))  # type: ignore[arg-type]


def visit(n: int, **given: object) -> Visit:
    values: dict[str, object] = {
        "key": f"http://a.vn/{n}", "url": f"http://a.vn/{n}", "outlet": "a", "kind": Kind.PAGE,
        "state": State.FETCHED,
    }  # fmt: skip
    return Visit(**(values | given))  # type: ignore[arg-type]


def test_a_week_is_counted_from_addresses_and_pages() -> None:
    outlet = Outlet(name="a", display="A", hosts=("a.vn",))
    visits = [
        visit(1), visit(2), visit(3, state=State.UNCHANGED),
        visit(4, state=State.GONE, reason="http_404"),
        visit(5, state=State.REFUSED, reason="robots"),
        visit(6, state=State.MOVED, reason="http_301"),
        visit(7, kind=Kind.FEED, items=5, fresh=2, newest="2026-10-03T00:00:00+00:00"),
        visit(8, kind=Kind.FEED, state=State.REFUSED, reason="off_site",
              final_url="https://b.vn/rss"),
    ]  # fmt: skip
    outcomes = [
        outcome(1, body_sha256="same", drift=0.2), outcome(2, body_sha256="same", drift=0.4),
        outcome(3, state="quarantined", reason="off_topic", cooperative=False, title_only=True,
                characters=0, published="", with_lead=False, body_sha256=""),
        outcome(4, state="quarantined", reason="no_text", extracted=False),
    ]  # fmt: skip
    found = health.outlet_week(outlet, "2026-W40", visits, outcomes)
    assert (found.discovered, found.fetched, found.unchanged) == (5, 2, 1)
    assert (found.failed, found.refused) == ({"http_404": 1}, {"robots": 1})
    assert (found.extracted, found.cooperative, found.title_only) == (3, 2, 1)
    assert (found.with_lead, found.without_date, found.repeated) == (2, 1, 2)
    assert (found.median_characters, found.quarantined) == (150, {"no_text": 1})
    assert found.drift == pytest.approx(0.3)
    assert found.moved_to == "b.vn"
    assert found.newest_item == "2026-10-03T00:00:00+00:00"
    assert [(r.items, r.new) for r in found.lists] == [(5, 2), (-1, 0)]


def test_an_outlet_without_anything_is_a_week_too(tmp_path: Path) -> None:
    outlet = Outlet(name="a", display="A", hosts=("a.vn",))
    found = health.outlet_week(outlet, "2026-W40", [], [])
    assert (found.discovered, found.median_characters, found.drift) == (0, None, None)
    write_week(tmp_path, found)
    assert read_week(tmp_path / "2026-W40" / "a.json") == found
