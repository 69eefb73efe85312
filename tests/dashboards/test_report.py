"""The weekly report: complete, self-contained, the same on any day."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards import feed
from dashboards.figures import Share
from dashboards.report import (
    account_lines,
    as_dict,
    as_html,
    bounds,
    collect,
    group,
    weekly_report,
)
from kiemchung.domain import Accounting, Decision
from kiemchung.store import Account, Store
from kiemchung.store.corrections import Outcome, add, resolve
from kiemchung.store.inbox import write_batch
from tests.batches import FLAG_CLAIM, NEW_PASSAGE, batch
from tests.dashboards.conftest import OUTLETS, PASSWORD, enrol

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "golden"


def golden(name: str, text: str) -> None:
    if os.environ.get("KIEMCHUNG_UPDATE_GOLDEN"):
        (GOLDEN / name).write_text(text, encoding="utf-8")
    assert text == (GOLDEN / name).read_text(encoding="utf-8"), (
        f"{name} changed; look at it, then run this test with KIEMCHUNG_UPDATE_GOLDEN=1"
    )


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
    golden("report.html", weekly_report(store, "2026-W40", outlet_names=OUTLETS))
    facts = json.dumps(as_dict(collect(store, "2026-W40")), ensure_ascii=False, indent=1)
    golden("report.json", facts + "\n")


def test_it_is_one_page_without_scripts_or_foreign_parts(store: Store) -> None:
    page = weekly_report(store, "2026-W40")
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert not re.search(r"<(link|img|iframe|object|embed)\b", page)
    assert not re.search(r"\ssrc=|@import|url\((?!#)", page)
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


# -- corrections, what refuses, JSON and feed ------------------------------------------------------


def fix_clock(store: Store) -> datetime:
    """Set what the clock wrote to fixed moments of the week, so that the files are the same."""
    start, _ = bounds("2026-W40")
    at = (start + timedelta(days=4, hours=18)).astimezone(UTC)
    with store._writing() as cursor:
        cursor.execute("UPDATE run SET merged_at = ?", [at])
        cursor.execute(
            "UPDATE correction SET received_at = ?, resolved_at ="
            " CASE WHEN resolved_at IS NULL THEN NULL ELSE ?::TIMESTAMPTZ END",
            [at - timedelta(days=2), at - timedelta(days=1)],
        )
    return at


def asked(store: Store) -> Account:
    """Two requests about the first flag, one of them answered."""
    enrol(store, "an")
    account = store.authenticate("an", PASSWORD)
    assert account is not None
    key = store.queue(account, view="flagged")[0].mention_key
    first = add(store, account, key, "Không công bố nguyên văn lời yêu cầu này.")
    add(store, account, key, "Yêu cầu thứ hai.")
    resolve(store, account, first, Outcome.UPHELD, "Câu nói về năm 2022, khi ấy luật cũ.")
    return account


def test_what_was_asked_is_answered_in_the_report_and_what_waits_is_counted(store: Store) -> None:
    asked(store)
    fix_clock(store)
    page = weekly_report(store, "2026-W40", outlet_names=OUTLETS)
    assert "Chúng tôi đã sai ở đâu" in page
    assert "Chúng tôi làm việc thế nào" in page
    assert "Câu nói về năm 2022, khi ấy luật cũ." in page
    assert "<strong>Chúng tôi đã sai</strong> (1/10/2026)" in page
    assert "1 yêu cầu đính chính đang chờ trả lời" in page
    assert "nguyên văn lời yêu cầu" not in page  # who asks may have told more than is public
    # A report of the week before does not know of it; a quarter later it is out of the ledger.
    assert "Câu nói về năm 2022" not in weekly_report(store, "2026-W39")
    facts = as_dict(collect(store, "2026-W40"))["wrong"]
    assert [c["outcome"] for c in facts["corrections"]] == ["upheld"]
    assert facts["open_requests"] == 1
    late = as_dict(collect(store, "2027-W01"))["wrong"]
    assert (late["corrections"], late["open_requests"]) == ([], 1)


def test_pages_that_refuse_quoting_are_counted_not_quoted(store: Store, tmp_path: Path) -> None:
    given_ = batch(week="2026-W41", flags=2, copies=0, quiet=0, suffix="b")
    shut = replace(given_.articles[0], opt_outs=("nosnippet",))
    write_batch(tmp_path / "inbox", replace(given_, articles=(shut, *given_.articles[1:])))
    store.merge_inbox(tmp_path / "inbox")
    found = collect(store, "2026-W41")
    assert (len(found.found), found.withheld) == (1, 1)
    for text in (as_html(found), json.dumps(as_dict(found), ensure_ascii=False)):
        assert shut.url not in text
        assert FLAG_CLAIM not in re.sub(r"</?mark>", "", text)
    assert "1 khẳng định cần xem lại chỉ có ở những trang không cho trích dẫn" in as_html(found)


def test_the_feed_is_the_golden_one_and_keeps_its_guids(store: Store) -> None:
    asked(store)
    at = fix_clock(store)
    where = "https://theodoi.example/bao-cao/"

    def read() -> ElementTree.Element:
        text = feed.as_rss(
            feed.entries(store, public_url=where),
            publisher="Nhóm Theo dõi",
            link="https://kiemchung.example",
            public_url=where,
        )
        golden("feed.xml", text)
        return ElementTree.fromstring(text)

    rss = read()
    channel = rss.find("channel")
    assert channel is not None
    assert rss.get("version") == "2.0"
    for name in ("title", "link", "description"):
        assert channel.findtext(name)
    items = channel.findall("item")
    assert [i.findtext("guid") for i in items] == [
        "urn:kiemchung:report:2026-W40",
        "urn:kiemchung:correction:1",
    ]
    for item in items:
        guid = item.find("guid")
        assert guid is not None
        assert guid.get("isPermaLink") == "false"
        assert parsedate_to_datetime(item.findtext("pubDate") or "") <= at
        assert (item.findtext("link") or "").startswith("https://theodoi.example/bao-cao/2026-W40")
    with store._writing() as cursor:  # written again a day later: the same entries
        cursor.execute("UPDATE run SET merged_at = ?", [at + timedelta(days=1)])
    again = feed.entries(store, public_url=where)
    assert [e.guid for e in again] == [i.findtext("guid") for i in items]


@given(st.text(max_size=60))
def test_a_feed_is_xml_whatever_stands_in_it(text: str) -> None:
    entry = feed.Entry(
        guid="urn:x", title=text, text=text, link="", at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    try:
        encoded = feed.as_rss([entry], link="https://a.example").encode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate would not have got through
        pytest.fail("a letter that no XML file can hold was let through")
    root = ElementTree.fromstring(encoded)
    told = root.findtext("channel/item/title") or ""
    assert set(told) <= set(text) | set("\n")
