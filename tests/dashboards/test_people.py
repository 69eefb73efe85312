"""Several people in the browser: who may what, leases, disagreements, accounts, the trail."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from dashboards.app import create_app
from dashboards.recheck import recheck_when_new
from dashboards.throttle import Throttle, group
from kiemchung import reference
from kiemchung.domain import Decision
from kiemchung.store import Store, open_store
from kiemchung.store.accounts import ROLES
from kiemchung.store.inbox import write_batch
from tests.batches import NEW_PASSAGE, batch
from tests.dashboards.conftest import PASSWORD, SECRET, Person, enrol, field
from tests.dashboards.roles import LEAST


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Every claim of the queue is planned for two."""
    with open_store(tmp_path / "k.duckdb", double_share=1.0) as opened:
        for name in ("mot", "hai"):  # with fewer than two reviewers nothing is planned for two
            opened.add_user(name)
        write_batch(tmp_path / "inbox", batch(flags=3, copies=1, quiet=20))
        opened.merge_inbox(tmp_path / "inbox")
        yield opened


@pytest.fixture
def people(store: Store, browser_of: type[Person]) -> Callable[[str, str], Person]:
    def sign_in(name: str, role: str = "reviewer") -> Person:
        enrol(store, name, role)
        person = browser_of()  # type: ignore[call-arg]
        assert person.sign_in(name, PASSWORD) == 200
        return person

    return sign_in


People = Callable[..., Person]


def decide(person: Person, key: int, decision: str, **more: object) -> int:
    cited = {"cite": [NEW_PASSAGE.passage_id]} if decision == "REFUTED" else {}
    assert person.get(f"/item/{key}?view=queue") == 200
    assert person.post(f"/item/{key}/choose", decision=decision, **cited) == 200
    return person.post(f"/item/{key}/decide", decision=decision, **cited, **more)


def test_every_route_asks_for_its_role(store: Store, people: People) -> None:
    app = create_app(store, secret=SECRET)
    found = {
        f"{method} {route.path}"
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    assert found == set(LEAST), "name the least role of a new route in LEAST"
    persons = {role: people(f"vai-{role}", role) for role in ROLES}
    # The admin's own session would end in the middle: these come last.
    for name, least in sorted(LEAST.items(), key=lambda i: "users" in i[0]):
        if least is None:
            continue
        method, path = name.split(" ")
        filled = path.replace("{mention_key}", "1")
        for role, person in persons.items():
            may = ROLES.index(role) >= ROLES.index(least)
            person.get("/password")
            csrf = field(person.page, "csrf")
            if method == "GET":
                status = person.client.get(filled, follow_redirects=False).status_code
            else:
                answer = person.client.post(filled, data={"csrf": csrf}, follow_redirects=False)
                status = answer.status_code
            assert (status != 403) == may, (name, role, status)
            assert status < 500, (name, role)
    stranger = TestClient(app)
    for name, least in LEAST.items():
        if least is not None and name.startswith("GET"):
            path = name.removeprefix("GET ").replace("{mention_key}", "1")
            answer = stranger.get(path, follow_redirects=False)
            assert (answer.status_code, answer.headers["location"][:6]) == (303, "/login"), name
    stranger.close()


def test_navigation_shows_what_one_may(people: People) -> None:
    for role, links in (("reader", 0), ("reviewer", 1), ("adjudicator", 2), ("admin", 4)):
        person = people(f"vai-{role}", role)
        person.get("/queue")
        named = [p for p in ("/quality", "/adjudicate", "/admin/users", "/admin/audit")
                 if f'href="{p}"' in person.page]  # fmt: skip
        assert len(named) == links, role


def test_two_never_get_the_same_item(store: Store, people: People) -> None:
    an, binh = people("an"), people("binh")
    key = an.first_item("queue")
    assert an.get(f"/item/{key}") == 200
    assert binh.get(f"/item/{key}") == 409
    assert "Đang có người duyệt" in binh.page
    assert 'name="decision"' not in binh.page
    assert "Gợi ý của máy" not in binh.page
    other = int(re.search(r'data-key="Enter n ArrowRight" href="/item/(\d+)', binh.page)[1])  # type: ignore[index]
    assert other != key
    assert binh.get(f"/item/{other}") == 200
    an.get("/queue")
    assert an.post("/leave") == 200
    assert binh.get(f"/item/{key}") == 200
    # An's page of before is still open, but the claim is not in hand any more.
    an.get(f"/item/{key}")
    assert an.path.startswith(f"/item/{key}")
    assert an.client.post(f"/item/{key}/renew").status_code == 403  # no token
    an.get("/queue")
    csrf = field(an.page, "csrf")
    assert an.client.post(f"/item/{key}/renew", data={"csrf": csrf}).status_code == 409
    binh.get(f"/item/{key}")
    csrf = field(binh.page, "csrf")
    assert binh.client.post(f"/item/{key}/renew", data={"csrf": csrf}).status_code == 204


def test_a_conclusion_after_the_lease_ran_out_is_refused_in_plain_words(
    store: Store, people: People
) -> None:
    an, binh = people("an"), people("binh")
    key = an.first_item("queue")
    an.get(f"/item/{key}")
    page = an.page
    account = next(u for u in store.users() if u.name == "an")
    store.leases.release(account.key)  # as after ten minutes
    assert binh.get(f"/item/{key}") == 200
    an.page = page
    assert an.post(f"/item/{key}/choose", decision="SUPPORTED") == 409
    assert "chưa được lưu" in an.page
    assert store.reviews() == []


def test_the_second_reviewer_sees_nothing_of_the_first_on_any_page(
    store: Store, people: People
) -> None:
    an, binh, quan = people("an"), people("binh"), people("quan", "admin")
    key = an.first_item("queue")
    assert decide(an, key, "CONFLICTING") == 200
    for path in (
        "/queue", "/queue?view=all", "/queue?view=flagged", "/queue?view=decided", "/mine",
        f"/item/{key}", f"/item/{key}/place", "/quality", "/plan",
    ):  # fmt: skip
        assert binh.get(path) == 200, path
        # The word stands on the button of the desk; as a result it stands in a chip or a sentence.
        assert 'chip CONFLICTING"' not in binh.page, path
        assert "Kết luận đang có" not in binh.page, path
    binh.get(f"/item/{key}")
    binh.post(f"/item/{key}/choose", decision="SUPPORTED")
    assert "Gợi ý của máy" in binh.page
    assert "Kết luận đang có" not in binh.page  # also with the suggestion before one's eyes
    quan.get("/admin/audit?action=concluded")
    assert "chờ người duyệt thứ hai" in quan.page
    assert "Căn cứ mâu thuẫn nhau" not in quan.page.split("<table>")[1]


def test_a_disagreement_is_adjudicated_with_its_cause(store: Store, people: People) -> None:
    an, binh, phan = people("an"), people("binh"), people("phan", "adjudicator")
    key = an.first_item("queue")
    assert decide(an, key, "REFUTED") == 200
    assert decide(binh, key, "SUPPORTED", note="số khớp") == 200
    phan.get("/adjudicate")
    assert f'href="/adjudicate/{key}"' in phan.page
    assert phan.get(f"/adjudicate/{key}") == 200
    for shown in ("an", "binh", "số khớp", "đọc khác căn cứ", "khác ngày", "khẳng định mơ hồ",
                  "nhầm tay", "căn cứ thiếu"):  # fmt: skip
        assert shown in phan.page
    assert phan.post(f"/adjudicate/{key}", decision="REFUTED", cause="slip") == 422
    assert "cần ít nhất một căn cứ" in phan.page
    assert phan.post(f"/adjudicate/{key}", decision="SUPPORTED") == 422  # without a cause
    phan.get(f"/adjudicate/{key}")
    assert phan.post(f"/adjudicate/{key}", decision="SUPPORTED", cause="bad") == 422
    phan.get(f"/adjudicate/{key}")
    answer = phan.post(
        f"/adjudicate/{key}",
        decision="REFUTED",
        cause="other_day",
        cite=[NEW_PASSAGE.passage_id],
        reason="ngày trong câu",
    )
    assert answer == 200
    assert "Đã phân xử: trái với căn cứ" in phan.page
    assert "Không có mục nào chờ phân xử" in phan.page
    assert store.flags()[0].decision is Decision.REFUTED
    an.get("/quality")
    assert "khác ngày" in an.page
    assert "an – binh" in an.page
    assert phan.get(f"/adjudicate/{key}") == 404
    admin = people("quan", "admin")
    admin.get("/admin/audit?action=adjudicated&name=phan")
    assert "Trái với căn cứ (khác ngày)" in admin.page
    admin.get("/admin/audit?action=concluded&name=phan")
    assert "Không có việc nào" in admin.page


def test_withdrawing_ones_own_and_nobody_elses(store: Store, people: People) -> None:
    an, binh = people("an"), people("binh")
    key = an.first_item("queue")
    decide(an, key, "SUPPORTED")
    binh.get("/queue")
    assert binh.post("/withdraw", review=1, reason="không phải của tôi") == 422
    an.get("/queue")
    assert an.post("/withdraw", review=1, reason="") == 422
    an.get("/queue")
    assert an.post("/withdraw", review=1, reason="đọc nhầm điều") == 200
    assert an.path.startswith(f"/item/{key}")  # and has it in hand again
    an.get("/queue")
    an.post("/leave")
    binh.get("/queue")
    assert "kết luận đã rút" in binh.page


def test_an_administrator_manages_accounts_and_all_of_it_is_written_down(
    store: Store, people: People
) -> None:
    quan, an = people("quan", "admin"), people("an")
    quan.get("/admin/users")
    assert quan.post("/admin/users/add", name="Binh ", role="reader") == 200
    once = re.search(r"<code>([a-z0-9-]+)</code>", quan.page)
    assert once is not None
    assert store.authenticate("binh", once[1]) is not None
    quan.get("/admin/users")
    assert once[1] not in quan.page  # shown once
    for fields, words in (
        ({"name": "binh"}, "Tên này đã có"), ({"name": "Ồ"}, "Tên gồm"),
        ({"name": "x", "role": "root"}, "Không có vai trò"),
    ):  # fmt: skip
        assert quan.post("/admin/users/add", **fields) == 422
        assert words in quan.page
    assert quan.post("/admin/users/role", name="an", role="adjudicator") == 200
    assert an.get("/queue") == 200
    assert an.path.startswith("/login")  # the session of the old role has ended
    assert an.sign_in("an", PASSWORD) == 200
    assert an.get("/adjudicate") == 200
    assert quan.post("/admin/users/active", name="an", active="false") == 200
    an.get("/queue")
    assert an.path.startswith("/login")
    assert an.sign_in("an", PASSWORD) == 401
    assert quan.post("/admin/users/active", name="an", active="true") == 200
    assert an.sign_in("an", PASSWORD) == 200
    assert quan.post("/admin/users/sessions", name="an") == 200
    an.get("/queue")
    assert an.path.startswith("/login")
    assert quan.post("/admin/users/password", name="an") == 200
    assert an.sign_in("an", PASSWORD) == 401
    assert quan.post("/admin/users/password", name="nobody") == 422
    for path, fields in (("role", {"role": "reader"}), ("active", {"active": "false"})):
        assert quan.post(f"/admin/users/{path}", name="quan", **fields) == 422
        assert "người quản trị cuối cùng" in quan.page
    viewer = store.authenticate("quan", PASSWORD)
    assert viewer is not None
    rows = [(r.action, r.subject, r.before, r.after)
            for r in store.audit_trail(viewer, who="quan") if r.action != "signed in"]  # fmt: skip
    assert rows[:6] == [
        ("password reset", "an", "", ""),
        ("sessions ended", "an", "", ""),
        ("account activated", "an", "inactive", "active"),
        ("account deactivated", "an", "active", "inactive"),
        ("role changed", "an", "reviewer", "adjudicator"),
        ("account added", "binh", "", "reader"),
    ]
    assert quan.get("/admin/audit?name=quan&action=role_changed") == 200
    assert quan.page.count("đổi vai trò</td>") == 1
    assert quan.get("/admin/audit?since=2020-01-01&until=2020-01-02") == 200
    assert "Không có việc nào" in quan.page
    assert quan.get("/admin/audit?since=x&until=99999-99&action=nothing") == 200


def test_reasons_of_a_place_do_not_tell_before_one_has_chosen(people: People) -> None:
    an = people("an")
    key = an.first_item("flagged")
    assert an.get(f"/item/{key}/place") == 200
    assert "Số bài độc lập" in an.page
    for hidden in ("95 %", "Mức hại", "Số liệu", "Tích: mức ưu tiên"):
        assert hidden not in an.page
    an.get(f"/item/{key}")
    an.post(f"/item/{key}/choose", decision="SUPPORTED")
    an.get(f"/item/{key}/place")
    for shown in ("95 %", "Số liệu", "× 0.90", "Tích: mức ưu tiên"):
        assert shown in an.page
    assert an.get("/item/99999/place") == 404


def test_the_hour_and_the_filters(store: Store, people: People) -> None:
    an = people("an")
    assert an.get("/plan") == 200
    assert "Chưa đo được nhịp duyệt" in an.page
    account = store.authenticate("an", PASSWORD)
    assert account is not None
    entries = store.queue(account)
    store.decide(account, entries[-1].mention_key, Decision.SUPPORTED, form_token="t", seconds=30)
    assert an.get("/plan?minutes=30") == 200
    assert "30 giây" in an.page
    assert "nhịp chung" in an.page
    assert an.get("/plan?minutes=0") == 422
    an.get("/plan")
    assert an.post("/filters", name="riêng", words="luật mới 1", stories=1) == 200
    assert an.path.startswith("/queue")
    assert "Hàng đợi đang được lọc" in an.page
    assert an.page.count('class="claimtext"') == 1
    assert an.post("/filters/use") == 200
    assert "Hàng đợi đang được lọc" not in an.page
    an.get("/plan")
    assert an.post("/filters/remove", filter=store.filters.saved(account)[0].key) == 200
    an.get("/plan")
    assert an.post("/filters", name=" ", words="x") == 422


def test_a_new_version_of_the_base_reopens_what_rests_on_it(store: Store, tmp_path: Path) -> None:
    base = reference.load()
    assert store.rechecked_version() == ""
    assert recheck_when_new(store, base) == []
    assert store.rechecked_version() == base.version
    store.double_share = 0.0
    cap = next(p for p in base.passages if p.passage_id == "coop.capital_cap.2023")
    one = batch(week="2026-W44", flags=1, copies=0, quiet=0, suffix="c")
    claim = "Mỗi thành viên được góp không quá 20% vốn điều lệ của hợp tác xã."
    from tests.batches import article, flag, mention

    written = article(900, sentences=(claim,))
    said = mention(written, claim)
    judged = flag(said, run_id=one.run.run_id)
    shown = replace(judged.evidence[0], passage_id=cap.passage_id, passage_sha256=cap.sha256)
    document = next(d for d in base.documents if d.doc_id == cap.doc_id)
    write_batch(
        tmp_path / "inbox",
        replace(
            one, articles=(written,), mentions=(said,),
            judgements=(replace(judged, evidence=(shown,), differences=()),),
            passages=(cap,), documents=(document,),
        ),
    )  # fmt: skip
    assert store.merge_inbox(tmp_path / "inbox")
    account = store.authenticate("an", store.add_user("an"))
    assert account is not None
    key = next(e.mention_key for e in store.queue(account) if e.text == claim)
    store.decide(account, key, Decision.REFUTED, form_token="t", cited_passages=[cap.passage_id])
    assert recheck_when_new(store, base) == []
    newer = replace(cap, text=cap.text.replace("30%", "35%"))
    changed = replace(
        base,
        version="2026.12+new",
        passages=tuple(newer if p.passage_id == cap.passage_id else p for p in base.passages),
    )
    assert recheck_when_new(store, changed) == [key]
    assert recheck_when_new(store, changed) == []
    entry = next(e for e in store.queue(account) if e.mention_key == key)
    assert entry.reopened == "evidence_replaced"
    marked = [r for r in store.audit_trail(account) if r.action == "evidence_replaced"]
    assert len(marked) == 1


def test_addresses_are_throttled_beside_accounts(store: Store, browser_of: type[Person]) -> None:
    person = browser_of()  # type: ignore[call-arg]
    enrol(store, "an")
    for number in range(40):
        # Unknown names: no account is locked by it.
        store_answer = person.sign_in(f"nobody{number}", "x")
        assert store_answer == 401
    assert person.sign_in("an", PASSWORD) == 429
    assert "quá nhiều lần" in person.page


def test_a_quarter_of_an_hour_later_an_address_is_heard_again() -> None:
    throttle = Throttle(most=3, seconds=100)
    for moment in (0.0, 10.0, 20.0):
        assert not throttle.blocked("10.0.0.1", now=moment)
        throttle.failed("10.0.0.1", now=moment)
    assert throttle.blocked("10.0.0.1", now=99.0)
    assert not throttle.blocked("10.0.0.2", now=99.0)
    assert not throttle.blocked("10.0.0.1", now=100.5)


def test_one_line_is_one_address() -> None:
    assert group("2001:db8:1:2::5") == group("2001:db8:1:2:ffff::1")
    assert group("2001:db8:1:3::5") != group("2001:db8:1:2::5")
    assert group("::ffff:10.0.0.1") == "10.0.0.1"
    assert group("testclient") == "testclient"
