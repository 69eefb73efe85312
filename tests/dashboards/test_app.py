"""The review desk as a browser without scripts sees it."""

from __future__ import annotations

import gzip
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from dashboards.app import create_app
from dashboards.serve import allowed_hosts, secret_of, serve
from kiemchung.domain import Decision, Distortion
from kiemchung.errors import InputError
from kiemchung.store import Store
from kiemchung.store.inbox import waiting, write_batch
from tests.batches import FLAG_CLAIM, NEW_PASSAGE, OLD_PASSAGE, batch
from tests.dashboards.conftest import OUTLETS, PASSWORD, SECRET, Person, enrol, field

ROOT = Path(__file__).resolve().parents[2]


def test_the_queue_lists_claims_with_their_copies_and_counts(an: Person) -> None:
    assert an.get("/queue") == 200
    assert FLAG_CLAIM in an.page
    assert "2 lần xuất hiện" in an.page
    assert "Sông Hồng Tin tức" in an.page
    assert re.search(r"Cần xem lại <span class=\"count\">2<", an.page)
    assert re.search(r"Tất cả <span class=\"count\">42<", an.page)
    # Blind: the waiting list tells nobody what the machine thinks.
    assert "cần xem lại</span>" not in an.page
    assert "95 %" not in an.page
    an.get("/queue?view=flagged")
    assert an.page.count("cần xem lại</span>") == 2
    assert an.get("/queue?week=2026-W40") == 200
    assert FLAG_CLAIM in an.page
    assert an.get("/queue?week=2026-W41") == 200
    assert "Không còn khẳng định nào" in an.page
    assert an.get("/queue?view=nowhere") == 200


def test_long_lists_have_pages(an: Person, store: Store, tmp_path: Path) -> None:
    write_batch(tmp_path / "inbox", batch(week="2026-W41", quiet=130, suffix="b"))
    store.merge_inbox(tmp_path / "inbox")
    an.get("/queue?view=all")
    assert an.page.count('class="claimtext"') == 50
    an.get("/queue?view=all&part=3")
    assert "101–132 trong 132" in an.page
    assert an.get("/queue?view=all&part=0") == 422


def test_an_item_shows_claim_article_day_and_passages_but_no_suggestion(an: Person) -> None:
    key = an.first_item()
    assert an.get(f"/item/{key}?view=queue") == 200
    assert f'<mark class="here">{FLAG_CLAIM}</mark>' in an.page
    assert "Một xã ven sông" in an.page
    assert "30/9/2026</strong> (theo ngày đăng bài)" in an.page
    assert NEW_PASSAGE.text in an.page
    assert NEW_PASSAGE.citation in an.page
    assert "hiệu lực từ 1/7/2024" in an.page
    assert "hiệu lực từ 1/7/2013 đến 30/6/2024" in an.page
    assert OLD_PASSAGE.text.replace("7", "<del>7</del>") in an.page
    assert NEW_PASSAGE.text.replace("5", "<ins>5</ins>").replace(
        "chính thức", "<ins>chính thức</ins>"
    ) in an.page  # fmt: skip
    assert 'rel="noreferrer noopener"' in an.page
    assert "Cũng xuất hiện ở 1 nơi" in an.page
    assert 'data-stage="choose"' in an.page
    for hidden in ("Gợi ý của máy", "95 %", 'class="diff"', "cần xem lại", "câu nói"):
        assert hidden not in an.page, hidden


def test_first_blind_then_told_then_kept(an: Person, store: Store) -> None:
    key = an.first_item()
    an.get(f"/item/{key}?view=queue")
    assert an.post(f"/item/{key}/choose", decision="SUPPORTED") == 200
    assert 'data-stage="decide"' in an.page
    assert an.path.startswith(f"/item/{key}")
    assert "trái với căn cứ</strong>" in an.page
    assert "95 %" in an.page
    assert re.search(r'<mark class="diff" title="Số liệu">7 thành viên<span', an.page)
    assert re.search(r'<mark class="diff" title="Số liệu">5 thành viên<span', an.page)
    assert "câu không nói <q>chính thức</q>" in an.page
    assert store.reviews() == []
    answer = an.post(
        f"/item/{key}/decide",
        decision="REFUTED",
        cite=[NEW_PASSAGE.passage_id],
        kind=["number", "condition_dropped"],
        note="so với khoản 7",
    )
    assert answer == 200
    assert not an.path.startswith(f"/item/{key}")
    assert "Đã lưu: trái với căn cứ" in an.page
    (review,) = store.reviews()
    assert review.decision is Decision.REFUTED
    assert review.decision_before_model is Decision.SUPPORTED
    assert review.shown_model
    assert review.distortions == (Distortion.NUMBER, Distortion.CONDITION_DROPPED)
    assert review.cited_passages == (NEW_PASSAGE.passage_id,)
    assert review.note == "so với khoản 7"
    assert 0 <= review.seconds < 60
    (row,) = store._read("SELECT opened_from, selected_as, probability FROM review")
    assert row == {"opened_from": "queue", "selected_as": "flag", "probability": 1.0}


def test_the_blind_choice_cannot_be_made_twice(an: Person, store: Store) -> None:
    key = an.first_item()
    an.get(f"/item/{key}")
    old = an.page
    an.post(f"/item/{key}/choose", decision="SUPPORTED")
    an.page = old  # the form of before, once more with another conclusion
    assert an.post(f"/item/{key}/choose", decision="UNCHECKABLE") == 200
    an.get(f"/item/{key}")
    assert "Bạn đã chọn: <strong>phù hợp với căn cứ" in an.page
    account = store.authenticate("an", PASSWORD)
    assert account is not None
    kept = store.blind_choice(account, key)
    assert kept is not None
    assert kept.decision is Decision.SUPPORTED


def test_a_form_sent_twice_counts_once(an: Person, store: Store) -> None:
    key = an.first_item()
    an.get(f"/item/{key}")
    an.post(f"/item/{key}/choose", decision="SUPPORTED")
    form = an.page
    for _ in range(2):
        an.page = form
        assert an.post(f"/item/{key}/decide", decision="SUPPORTED") == 200
    assert len(store.reviews()) == 1


def test_refuted_asks_for_a_passage(an: Person, store: Store) -> None:
    key = an.first_item()
    an.get(f"/item/{key}")
    ticked = re.findall(r'name="cite" value="([^"]*)"[^>]* checked', an.page)
    assert ticked == [NEW_PASSAGE.passage_id]  # the one on point is cited unless taken off
    assert an.post(f"/item/{key}/choose", decision="REFUTED") == 422
    assert "cần ít nhất một căn cứ" in an.page
    assert 'data-stage="choose"' in an.page
    assert an.post(f"/item/{key}/choose", decision="REFUTED", cite=["không có"]) == 422
    an.get(f"/item/{key}")
    cited = [NEW_PASSAGE.passage_id]
    assert an.post(f"/item/{key}/choose", decision="REFUTED", cite=cited) == 200
    assert an.post(f"/item/{key}/decide", decision="REFUTED") == 422
    assert an.post(f"/item/{key}/decide", decision="REFUTED", cite=cited) == 200
    assert len(store.reviews()) == 1


def test_skipping_tells_nothing_and_goes_on(an: Person, store: Store) -> None:
    key = an.first_item()
    an.get(f"/item/{key}")
    assert an.post(f"/item/{key}/choose", decision="SKIPPED") == 200
    assert f"/item/{key}?" not in an.path
    (review,) = store.reviews()
    assert review.decision is Decision.SKIPPED
    assert not review.shown_model
    assert review.decision_before_model is None


def test_undo_leads_back_to_the_item_and_is_a_new_row(an: Person, store: Store) -> None:
    key = an.first_item()
    an.get(f"/item/{key}")
    an.post(f"/item/{key}/choose", decision="SUPPORTED")
    an.post(f"/item/{key}/decide", decision="NOT_ENOUGH_INFO")
    assert an.post("/undo") == 200
    assert an.path.startswith(f"/item/{key}")
    assert [r.undoes for r in store.reviews()] == [None, 1]
    # The suggestion has been seen: the first choice stays the first choice.
    assert 'data-stage="decide"' in an.page
    assert an.post("/undo") == 200
    assert an.path.startswith("/queue")


def test_any_own_decision_can_be_undone_from_the_list(an: Person, store: Store) -> None:
    keys = []
    for _ in range(2):
        key = an.first_item("queue")
        keys.append(key)
        an.get(f"/item/{key}")
        an.post(f"/item/{key}/choose", decision="SUPPORTED")
        an.post(f"/item/{key}/decide", decision="SUPPORTED")
    an.get("/mine")
    assert an.page.count("Hoàn tác</button>") == 2
    assert an.post("/undo", review=1) == 200
    assert an.path.startswith(f"/item/{keys[0]}")
    an.get("/mine")
    assert an.page.count("Hoàn tác</button>") == 1


def test_others_conclusions_are_hidden_until_one_has_chosen(
    an: Person, store: Store, browser_of: type[Person]
) -> None:
    key = an.first_item()
    an.get(f"/item/{key}")
    an.post(f"/item/{key}/choose", decision="CONFLICTING")
    an.post(f"/item/{key}/decide", decision="CONFLICTING")
    enrol(store, "binh")
    binh = browser_of()  # type: ignore[call-arg]
    binh.sign_in("binh", PASSWORD)
    binh.get(f"/item/{key}")
    assert "Kết luận đang có" not in binh.page
    binh.post(f"/item/{key}/choose", decision="SUPPORTED")
    assert "Kết luận đang có: căn cứ mâu thuẫn nhau (an)" in binh.page


def test_a_reader_reads(store: Store, browser_of: type[Person]) -> None:
    enrol(store, "xem", "reader")
    reader = browser_of()  # type: ignore[call-arg]
    reader.sign_in("xem", PASSWORD)
    key = reader.first_item()
    reader.get(f"/item/{key}")
    assert 'data-stage="read"' in reader.page
    assert 'name="decision"' not in reader.page
    assert reader.post(f"/item/{key}/choose", decision="SUPPORTED") == 403
    assert store.reviews() == []


def test_next_and_previous_walk_through_the_list(an: Person) -> None:
    key = an.first_item("queue")
    seen = [key]
    an.get(f"/item/{key}?view=queue")
    assert 'rel="prev"' not in an.page
    while match := re.search(r'rel="next" data-key="ArrowRight n" href="/item/(\d+)', an.page):
        if int(match[1]) in seen:
            break
        seen.append(int(match[1]))
        an.get(f"/item/{match[1]}?view=queue")
    an.get("/queue")
    assert seen == [int(k) for k in re.findall(r'claimtext" href="/item/(\d+)', an.page)]
    an.get(f"/item/{seen[1]}?view=queue")
    assert f'rel="prev" data-key="ArrowLeft p" href="/item/{seen[0]}?view=queue"' in an.page


def test_when_all_is_done_the_queue_says_so(an: Person, store: Store) -> None:
    account = store.authenticate("an", PASSWORD)
    assert account is not None
    for entry in store.queue(account)[1:]:
        store.decide(account, entry.mention_key, Decision.SUPPORTED, form_token=f"{entry}")
    key = an.first_item("queue")
    an.get(f"/item/{key}")
    an.post(f"/item/{key}/choose", decision="SUPPORTED")
    an.post(f"/item/{key}/decide", decision="SUPPORTED")
    assert an.path.startswith("/queue")
    assert "Không còn khẳng định nào chờ duyệt" in an.page


def test_htmx_gets_the_desk_alone_and_the_new_address(an: Person) -> None:
    key = an.first_item()
    an.get(f"/item/{key}")
    facts = {"csrf": field(an.page, "csrf"), "token": field(an.page, "token")}
    answer = an.client.post(
        f"/item/{key}/choose",
        data=facts | {"decision": "SUPPORTED"},
        headers={"HX-Request": "true"},
    )
    assert answer.status_code == 200
    assert answer.text.lstrip().startswith('<div id="desk" data-stage="decide"')
    assert "<html" not in answer.text
    assert answer.headers["HX-Push-Url"] == f"/item/{key}?view=queue"


def test_a_stale_or_foreign_form_token_is_refused(an: Person, store: Store) -> None:
    keys = [an.first_item("queue"), an.first_item("flagged")]
    an.get("/queue")
    keys = [int(k) for k in re.findall(r'claimtext" href="/item/(\d+)', an.page)][:2]
    an.get(f"/item/{keys[0]}")
    assert an.post(f"/item/{keys[1]}/choose", decision="SUPPORTED") == 409
    an.get(f"/item/{keys[0]}")
    assert an.post(f"/item/{keys[0]}/decide", decision="SUPPORTED") == 409
    an.get(f"/item/{keys[0]}")
    assert an.post(f"/item/{keys[0]}/choose", decision="SUPPORTED", token="x.y") == 409
    an.get(f"/item/{keys[0]}")
    assert an.post(f"/item/{keys[0]}/choose", decision="FAKE") == 422
    assert store.reviews() == []


@pytest.mark.parametrize("path", ["/item/0", "/item/99999999", f"/item/{2**80}", "/static/no.js"])
def test_what_is_not_there_is_404(an: Person, path: str) -> None:
    assert an.get(path) == 404


NO_IDS = (
    "x", "-1", "1%00", "..%2f..%2fetc", "%2e%2e", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "..%5c..%5cetc",
    "..%252f..%252fetc", "1%2f..%2f2", "1%23x", "1%3fx", "%00", "%0a", "1%0d%0aSet-Cookie:x",
    "1e3", "0x1", "1_000", "+1%2b", "1;2", "1,2", "1%20or%201=1", "'%20or%20'1'='1", "1--",
    "1%2a", "%2a", "null", "None", "NaN", "inf", "true", "[1]", "{1}", "%7b%7b1%7d%7d", "$1", "~root",
    "C:%5c", "file:%2f%2f%2fetc", "%ef%bc%8e%ef%bc%8e", "9" * 40, "%ff%fe",
)  # fmt: skip


def test_ids_are_numbers(an: Person) -> None:
    answers = {part: an.get(f"/item/{part}") for part in NO_IDS}
    assert len(answers) >= 40
    assert {part: code for part, code in answers.items() if code not in (400, 404, 422)} == {}


def test_health_needs_no_account(browser_of: type[Person], store: Store) -> None:
    somebody = browser_of()  # type: ignore[call-arg]
    assert somebody.client.get("/health").json() == {"status": "ok"}
    store.broken = "disk full"  # the process lives and has to be replaced: /ready says so
    assert somebody.client.get("/health").json() == {"status": "ok"}
    answer = somebody.client.get("/ready")
    assert answer.status_code == 503
    assert answer.json()["checks"]["store"] is False


def test_the_inbox_is_merged_while_the_desk_is_open(store: Store, tmp_path: Path) -> None:
    inbox = tmp_path / "later"
    app = create_app(store, secret=SECRET, inbox=inbox, merge_seconds=0.05)
    with TestClient(app):
        write_batch(inbox, batch(week="2026-W41", quiet=3, suffix="b"))
        limit = time.monotonic() + 10
        while waiting(inbox) and time.monotonic() < limit:
            time.sleep(0.02)
        assert store.weeks() == ["2026-W41", "2026-W40"]
    assert not [t for t in threading.enumerate() if t.name == "inbox"]


def test_many_at_once_lose_no_decision(store: Store, an: Person, browser_of: type[Person]) -> None:
    people = [an]
    for name in ("binh", "chi"):
        enrol(store, name)
        person = browser_of()  # type: ignore[call-arg]
        person.sign_in(name, PASSWORD)
        people.append(person)
    mistakes: list[int] = []

    def work(person: Person) -> None:
        key = person.first_item("all")
        for _ in range(5):
            while person.get(f"/item/{key}") == 409:  # in somebody else's hand: the next free one
                found = re.search(r"/item/(\d+)\?", person.page)
                key = int(found[1]) if found else person.first_item("all")
            if 'data-stage="choose"' in person.page:
                mistakes.append(person.post(f"/item/{key}/choose", decision="SUPPORTED"))
            mistakes.append(person.post(f"/item/{key}/decide", decision="SUPPORTED"))

    threads = [threading.Thread(target=work, args=(p,)) for p in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(mistakes) == {200}
    assert len(store.reviews()) == 15
    assert [r.review_id for r in store.reviews()] == list(range(1, 16))
    assert store.problems() == []


def test_a_page_costs_less_than_60_kB(an: Person, store: Store, tmp_path: Path) -> None:
    given = batch(week="2026-W42", flags=1, copies=1, quiet=0, suffix="c")
    words = " ".join(["Bà con xã viên bàn chuyện vụ mới"] * 100)  # 700 words
    grown = tuple(replace(a, body=a.body + "\n\n" + words) for a in given.articles)
    write_batch(tmp_path / "inbox", replace(given, articles=grown))
    store.merge_inbox(tmp_path / "inbox")
    key = an.first_item()
    total = 0
    for path in (f"/item/{key}", "/static/style.css", "/static/keys.js", "/static/htmx.min.js"):
        answer = an.client.get(path)
        assert answer.status_code == 200
        total += int(answer.headers["content-length"])
    assert total < 60_000


def test_static_files_are_packed_and_revalidated(an: Person) -> None:
    packed = an.client.get("/static/htmx.min.js")
    assert packed.headers["content-encoding"] == "gzip"
    assert "htmx" in packed.text
    plain = an.client.get("/static/htmx.min.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(gzip.compress(plain.content)) == packed.content
    again = an.client.get("/static/htmx.min.js", headers={"if-none-match": plain.headers["etag"]})
    assert again.status_code == 304


def test_the_secret_is_made_once_and_belongs_to_its_owner(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "var" / "k.duckdb"
    first = secret_of(path)
    assert len(first) >= 32
    assert secret_of(path) == first
    file = path.with_name("session.secret")
    assert file.stat().st_mode & 0o077 == 0
    file.write_bytes(b"cut")
    assert secret_of(path) != first
    for weak in (b"", b"short", b"x" * 64):
        with pytest.raises(InputError):
            create_app(store, secret=weak)


SERVE = """
import sys
from pathlib import Path
from dashboards.serve import serve
folder = Path(sys.argv[1])
serve(folder / "k.duckdb", folder / "inbox", host="127.0.0.1", port=int(sys.argv[2]))
print("closed")
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_server_ends_in_order_and_leaves_nothing_open(tmp_path: Path, number: int) -> None:
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(tmp_path), str(port)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        limit, answer = time.monotonic() + 30, None
        while answer is None and time.monotonic() < limit:
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/health", timeout=5)
            except httpx.TransportError:
                time.sleep(0.05)
        assert answer is not None
        assert answer.json()["status"] == "ok"
        assert "server" not in answer.headers
        with pytest.raises(InputError, match="cannot listen"):
            serve(tmp_path / "other.duckdb", tmp_path / "inbox", host="127.0.0.1", port=port)
        server.send_signal(number)
        out, _ = server.communicate(timeout=20)
    finally:
        server.kill()
        server.wait()
    assert server.returncode == 0
    assert out == "closed\n"
    assert not (tmp_path / "k.duckdb.wal").exists()
    assert (tmp_path / "k.duckdb.lock").read_text(encoding="ascii") == ""
    assert not (tmp_path / "other.duckdb").exists()


def test_only_known_host_names_are_answered(store: Store) -> None:
    app = create_app(store, secret=SECRET, allowed_hosts=allowed_hosts("127.0.0.1"))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert client.get("/health").status_code == 200
    with TestClient(app, base_url="http://rebound.example") as client:
        answer = client.get("/health")
        assert answer.status_code == 400
        assert "content-security-policy" in answer.headers
    assert allowed_hosts("0.0.0.0") == ["*"]
    assert "desk.example.org" in allowed_hosts("desk.example.org")


def test_outlets_without_a_name_show_their_key(store: Store, an: Person) -> None:
    assert OUTLETS["song-hong"] in an.client.get("/queue?view=all").text
    app = create_app(store, secret=SECRET)
    with TestClient(app) as client:
        person = Person(client)
        person.sign_in("an", PASSWORD)
        person.get("/queue?view=all")
        assert "<span>song-hong</span>" in person.page
