"""The monitor's pages: for whom, with what, the same as their downloads, and the draft."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from dashboards.app import create_app
from dashboards.views import PAGES
from kiemchung.domain import Decision
from kiemchung.store import Store, open_store
from kiemchung.store.corrections import corrections
from kiemchung.store.inbox import write_batch
from kiemchung.tabular import plain_cell
from tests.batches import FLAG_CLAIM, NEW_PASSAGE, batch
from tests.dashboards.conftest import OUTLETS, PASSWORD, SECRET, Person, enrol
from tests.later import later


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, dict[str, Person]]]:
    """Two weeks and one person of each role, signed in; a flag is decided."""
    folder = tmp_path_factory.mktemp("views")
    with open_store(folder / "k.duckdb") as store:
        for number, week in enumerate(("2026-W39", "2026-W40")):
            write_batch(
                folder / "inbox", later(batch(week=week, flags=2 + number, quiet=9), number)
            )
            store.merge_inbox(folder / "inbox")
        app = create_app(store, secret=SECRET, outlet_names=OUTLETS)
        found = {}
        for role in ("reader", "reviewer", "adjudicator"):
            enrol(store, role, role)
            found[role] = Person(TestClient(app, raise_server_exceptions=False))
            assert found[role].sign_in(role, PASSWORD) == 200
        account = store.authenticate("reviewer", PASSWORD)
        assert account is not None
        entry = store.queue(account, view="flagged")[0]
        for key in entry.mention_keys:
            store.decide(
                account,
                key,
                Decision.REFUTED,
                form_token=str(key),
                cited_passages=[NEW_PASSAGE.passage_id],
            )
        yield store, found
        for person in found.values():
            person.client.close()


def decided_key(store: Store) -> int:
    (row,) = store._read("SELECT min(mention_key) AS key FROM current_review")
    return int(row["key"])


def test_nobody_sees_them_without_signing_in(people: tuple[Store, dict[str, Person]]) -> None:
    stranger = TestClient(people[1]["reader"].client.app)
    for path in (
        *(f"/views/{p}" for p in PAGES),
        "/views/volume/volume.csv",
        "/views/claim/1",
        "/views/claim/1/spread.csv",
        "/report/2026-W40",
        "/corrections",
        "/item/1/draft",
        "/item/1/draft.txt",
    ):
        answer = stranger.get(path, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/login")


@pytest.mark.parametrize("page", PAGES)
def test_every_table_of_a_page_downloads_as_it_is_shown(
    people: tuple[Store, dict[str, Person]], page: str
) -> None:
    person = people[1]["adjudicator"]
    assert person.get(f"/views/{page}?week=2026-W40") == 200
    shown = person.page
    assert "style=" not in shown
    links = re.findall(r'href="(/views/[a-z]+/[a-z]+\.csv\?week=2026-W40)"', shown)
    assert links
    assert len(links) == len(set(links))
    for link in links:
        answer = person.client.get(link)
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert "attachment" in answer.headers["content-disposition"]
        assert answer.text.startswith("\ufeff")
        header, *rows = csv.reader(io.StringIO(answer.text[1:]))
        assert rows
        for cell in (*header, *(r[0] for r in rows)):
            assert html.escape(plain_cell(cell), quote=False) in shown.replace("&#34;", '"')
    assert shown.count("<svg") == shown.count('role="img"') >= 1


def test_a_picture_has_its_table_beside_it(people: tuple[Store, dict[str, Person]]) -> None:
    person = people[1]["reader"]
    for page in PAGES:
        person.get(f"/views/{page}")
        for section in re.findall(r'<section class="figure".*?</section>', person.page, re.S):
            if "<svg" in section:
                assert "<table>" in section
                assert 'class="download"' in section


def test_outlets_are_listed_by_name_without_flags(
    people: tuple[Store, dict[str, Person]],
) -> None:
    answer = people[1]["reader"].client.get("/views/content/outlets.csv")
    header, *rows = csv.reader(io.StringIO(answer.text[1:]))
    assert header == ["Nguồn", "Bài", "Câu chuyện", "Khẳng định"]
    assert [r[0] for r in rows] == ["Núi Cao", "Phố Nhỏ", "Sông Hồng Tin tức"]


def test_the_work_of_each_account_is_for_those_who_share_it_out(
    people: tuple[Store, dict[str, Person]],
) -> None:
    assert people[1]["adjudicator"].client.get("/views/work/own.csv").status_code == 200
    for role in ("reader", "reviewer"):
        assert people[1][role].client.get("/views/work/own.csv").status_code == 404
        people[1][role].get("/views/work")
        assert "Phần việc của từng tài khoản" not in people[1][role].page


@pytest.mark.parametrize(
    "path",
    [
        "/views/nothing", "/views/volume?week=2025-W01", "/views/volume/nothing.csv",
        "/views/..%2f..%2fetc/passwd.csv", "/views/claim/0", "/views/claim/999999",
        "/views/claim/99999999999999999999999", "/report/2025-W01", "/report/..%2fx",
        "/views/volume/volume.csv?week=..", "/item/999999/draft", "/item/1/draft.txt",
        "/item/99999999999999999999999/draft.txt",
    ],
)  # fmt: skip
def test_what_is_not_there_is_said_to_be_missing(
    people: tuple[Store, dict[str, Person]], path: str
) -> None:
    assert people[1]["reader"].client.get(path).status_code == 404


def test_an_item_that_is_no_number_is_refused(people: tuple[Store, dict[str, Person]]) -> None:
    assert people[1]["reader"].client.get("/views/claim/x").status_code == 422


def test_a_claim_leads_to_its_places(people: tuple[Store, dict[str, Person]]) -> None:
    store, roles = people
    person = roles["reader"]
    person.get("/views/volume?week=2026-W40")
    match = re.search(r'href="(/views/claim/\d+)"', person.page)
    assert match is not None
    assert person.get(match[1]) == 200
    assert FLAG_CLAIM in person.page
    assert person.page.count("<circle") == len(
        store._read("SELECT 1 FROM mention WHERE text = ?", [FLAG_CLAIM])
    )


def test_the_report_of_a_week_is_shown_at_the_desk_in_vietnamese_always(
    people: tuple[Store, dict[str, Person]],
) -> None:
    person = people[1]["reviewer"]
    person.client.cookies.set("kiemchung_language", "en")
    try:
        assert person.get("/report/2026-W40") == 200
        assert "Trái với căn cứ" in person.page
        assert "Contrary" not in person.page
        assert "<style" not in person.page  # the policy allows files only
        person.get("/views/volume")
        assert "Share of stories" in person.page
    finally:
        person.client.cookies.delete("kiemchung_language")


def test_the_draft_of_a_decided_item(people: tuple[Store, dict[str, Person]]) -> None:
    store, roles = people
    person = roles["reader"]
    key = decided_key(store)
    assert person.get(f"/item/{key}/draft") == 200
    assert NEW_PASSAGE.text in person.page
    answer = person.client.get(f"/item/{key}/draft.txt")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.startswith("BẢN NHÁP")
    (other,) = store._read(
        "SELECT max(mention_key) AS key FROM mention ANTI JOIN current_review USING (mention_key)"
    )
    assert person.get(f"/item/{other['key']}/draft") == 200
    assert "Chưa soạn được" in person.page


def test_a_correction_is_asked_by_reviewers_and_answered_by_adjudicators(
    people: tuple[Store, dict[str, Person]],
) -> None:
    store, roles = people
    key = decided_key(store)
    reader, reviewer, judge = roles["reader"], roles["reviewer"], roles["adjudicator"]
    reader.get("/corrections")
    assert 'name="request"' not in reader.page
    assert reader.post("/corrections", item=key, request="x") == 403
    reviewer.get(f"/corrections?item={key}")
    assert f'value="{key}"' in reviewer.page
    assert reviewer.post("/corrections", item=key, request="Bài đã sửa từ hôm qua.") == 200
    assert "Bài đã sửa từ hôm qua." in reviewer.page
    (asked,) = corrections(store)
    address = f"/corrections/{asked.key}/resolve"
    assert address not in reviewer.page
    assert reviewer.post(address, outcome="upheld", note="x") == 403
    judge.get("/corrections")
    assert address in judge.page
    assert judge.post(address, outcome="upheld", note=" ") == 422
    judge.get("/corrections")
    assert judge.post(address, outcome="nothing", note="x") == 422
    judge.get("/corrections")
    assert judge.post(address, outcome="partly", note="Kết luận nói về bản cũ.") == 200
    assert "Sai một phần" in judge.page
    assert judge.client.post(address, data={"outcome": "upheld", "note": "x"}).status_code == 403
    reviewer.get("/corrections")
    assert reviewer.post("/corrections", item=999999, request="x") == 422
    assert len(corrections(store)) == 1


def test_an_empty_store_has_pages_that_say_so(tmp_path: Path) -> None:
    with open_store(tmp_path / "k.duckdb") as store:
        enrol(store, "an")
        person = Person(TestClient(create_app(store, secret=SECRET)))
        person.sign_in("an", PASSWORD)
        for page in PAGES:
            assert person.get(f"/views/{page}") == 200
            assert "Chưa có dữ liệu." in person.page
        assert person.get("/corrections") == 200
