"""The weekly report: complete, self-contained, the same on any day."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.report import Share, account_lines, group, weekly_report
from kiemchung.domain import Accounting, Decision
from kiemchung.store import Store
from kiemchung.store.inbox import write_batch
from tests.batches import FLAG_CLAIM, NEW_PASSAGE, batch
from tests.dashboards.conftest import OUTLETS, PASSWORD, enrol

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "golden" / "report.html"


def decide(store: Store, number: int, decision: Decision) -> None:
    account = store.authenticate("an", PASSWORD)
    assert account is not None
    entry = store.queue(account, view="flagged")[number]
    store.decide(
        account,
        entry.mention_key,
        decision,
        form_token=f"t{number}",
        cited_passages=[NEW_PASSAGE.passage_id],
    )


def test_the_page_is_the_golden_one(store: Store) -> None:
    enrol(store, "an")
    decide(store, 0, Decision.REFUTED)
    decide(store, 1, Decision.NOT_ENOUGH_INFO)
    page = weekly_report(store, "2026-W40", outlet_names=OUTLETS)
    if os.environ.get("KIEMCHUNG_UPDATE_GOLDEN"):
        GOLDEN.write_text(page, encoding="utf-8")
    assert page == GOLDEN.read_text(encoding="utf-8"), (
        "the report changed; look at it, then run this test with KIEMCHUNG_UPDATE_GOLDEN=1"
    )


def test_it_is_one_page_without_scripts_or_foreign_parts(store: Store) -> None:
    page = weekly_report(store, "2026-W40")
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert not re.search(r"<(link|img|iframe|object|embed)\b", page)
    assert not re.search(r"\ssrc=|@import|url\(", page)
    assert not re.search(r"\son[a-z]+=", page)
    assert 'lang="vi"' in page
    assert "@media print" in page


def test_it_says_what_was_found_beside_what(store: Store) -> None:
    page = weekly_report(store, "2026-W40", outlet_names=OUTLETS)
    plain = re.sub(r"</?mark>", "", page)
    assert FLAG_CLAIM in plain
    assert NEW_PASSAGE.text in plain
    assert NEW_PASSAGE.citation in page
    assert "hiệu lực từ 1/7/2024" in page
    assert "<mark>7 thành viên</mark>" in page
    assert "<mark>5 thành viên</mark>" in page
    assert "Sông Hồng Tin tức" in page
    assert "Phố Nhỏ" in page  # the copy
    assert page.count('class="flag"') == 2
    assert "gợi ý của máy về" in page  # the caveat
    assert "answers 500" in page  # the alarm
    assert "Từ thứ Hai 28/9/2026 đến Chủ nhật 4/10/2026" in page
    assert "tin giả" not in page.lower()


def test_the_sums_stand_in_the_table(store: Store) -> None:
    sums = batch().run.accounting
    lines = account_lines(sums)
    assert sum(n.count for n in lines[1:] if not n.part and not n.total) == (
        sums.discovered + sums.fetched
    )
    assert [n.count for n in lines if n.total] == [sums.discovered, sums.fetched]
    page = weekly_report(store, "2026-W40")
    for line in lines:
        assert f'<td>{line.text}</td><td class="n">{line.count}</td>' in page
    assert "Phép cộng không khớp" not in page


def test_a_sum_that_does_not_match_is_named(store: Store, tmp_path: Path) -> None:
    given_ = batch(week="2026-W41", flags=0, quiet=1, suffix="b")
    wrong = replace(given_, run=replace(given_.run, accounting=Accounting(discovered=7, fetched=1)))
    write_batch(tmp_path / "inbox", wrong)
    store.merge_inbox(tmp_path / "inbox")
    page = weekly_report(store, "2026-W41")
    assert "Phép cộng không khớp: discovered 7" in page
    assert "Tuần này không có khẳng định nào cần xem lại" in page


def test_a_week_without_a_run_is_said_to_have_none(store: Store) -> None:
    page = weekly_report(store, "2025-W01")
    assert "chưa có lượt chạy nào" in page
    assert 'class="flag"' not in page


def test_what_reviewers_saw_differently_is_told(store: Store) -> None:
    enrol(store, "an")
    assert "Chưa có đính chính nào" in weekly_report(store, "2026-W40")
    decide(store, 0, Decision.SUPPORTED)
    page = weekly_report(store, "2026-W40")
    assert "1 khẳng định từng được máy gợi ý xem lại, nhưng người duyệt kết luận khác" in page
    assert f"{FLAG_CLAIM}”: phù hợp với căn cứ" in page
    assert "0/1 = 0 %" in page


def test_copies_are_one_flag_in_the_report(store: Store) -> None:
    found = group(store.flags("2026-W40"))
    assert [len(f.places) for f in found] == [2, 1]
    assert found[0].flag.p_refuted == 0.95


@pytest.mark.parametrize("payload", ["<script>window.pwned=1</script>", "</style><b>x"])
def test_foreign_text_stays_text(store: Store, tmp_path: Path, payload: str) -> None:
    given_ = batch(week="2026-W41", flags=1, copies=0, quiet=0, suffix="b")
    other = replace(
        given_, run=replace(given_.run, alarms=(payload,), outlets=(payload,), model_id=payload)
    )
    write_batch(tmp_path / "inbox", other)
    store.merge_inbox(tmp_path / "inbox")
    page = weekly_report(store, "2026-W41")
    assert payload not in page
    assert page.count("</style>") == 1


@given(st.integers(0, 50), st.integers(0, 50))
def test_the_interval_holds_the_share(count: int, more: int) -> None:
    share = Share(count=count, of=count + more)
    bounds = share.interval
    if count + more == 0:
        assert bounds is None
        assert str(share) == "chưa có"
        return
    assert bounds is not None
    low, high = bounds
    assert 0 <= low <= count / (count + more) + 1e-12
    assert count / (count + more) - 1e-12 <= high <= 1
    assert low < high


def test_the_interval_is_wilsons() -> None:
    bounds = Share(count=8, of=10).interval
    assert bounds is not None
    # Worked out by hand from the formula with z = 1.96.
    assert bounds[0] == pytest.approx(0.4902, abs=2e-4)
    assert bounds[1] == pytest.approx(0.9433, abs=2e-4)


def test_an_alarm_is_told_in_vietnamese_and_names_its_address() -> None:
    from dashboards.report import alarm_text

    told = alarm_text("dead feed: nui-cao http://nui-cao.example/rss (http_500)")
    assert told == "nguồn tin không đọc được: nui-cao http://nui-cao.example/rss (http_500)"
    assert alarm_text("something else: x") == "something else: x"
