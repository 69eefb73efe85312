"""What must not work: every route, every form, every payload."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from argon2 import extract_parameters
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from dashboards import words
from dashboards.app import create_app
from dashboards.security import HEADERS, SESSION_COOKIE, Tokens, local_path
from kiemchung.domain import digest
from kiemchung.store import Store, accounts
from kiemchung.store.inbox import write_batch
from tests.batches import NEW_PASSAGE, batch, flag
from tests.dashboards.conftest import PASSWORD, SECRET, Person, enrol, field
from tests.dashboards.roles import LEAST

OPEN = {"/", "/login", "/health", "/ready", "/metrics", "/static/{name}"}
CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self';"
    " font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def routes(store: Store) -> list[tuple[str, str]]:
    app = create_app(store, secret=SECRET)
    return [
        (method, route.path)
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods)
    ]


def fill(path: str, key: int) -> str:
    return path.replace("{mention_key}", str(key)).replace("{name}", "style.css")


def test_there_are_no_routes_but_ours(store: Store) -> None:
    app = create_app(store, secret=SECRET)
    assert all(isinstance(r, APIRoute) for r in app.routes)  # no /docs, no /openapi.json
    assert {f"{m} {p}" for m, p in routes(store)} == set(LEAST), "name a new route in LEAST"


def test_every_post_without_the_token_is_403_and_changes_nothing(an: Person, store: Store) -> None:
    key = an.first_item()
    posts = [p for m, p in routes(store) if m != "GET"]
    assert len(posts) > 6
    for path in posts:
        for given_ in ({}, {"csrf": ""}, {"csrf": "x" * 64}, {"csrf": "ă"}):
            fields = {"decision": "SUPPORTED", "token": "t", "name": "an", "password": PASSWORD}
            answer = an.client.post(fill(path, key), data=fields | given_, follow_redirects=False)
            assert answer.status_code == 403, path
    assert store.reviews() == []
    assert an.get("/queue") == 200  # nobody was signed out


def test_every_post_from_a_foreign_page_is_403(an: Person, store: Store) -> None:
    key = an.first_item()
    an.get(f"/item/{key}")
    csrf = field(an.page, "csrf")
    for header in (
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        for path in [p for m, p in routes(store) if m != "GET"]:
            answer = an.client.post(fill(path, key), data={"csrf": csrf}, headers=header)
            assert answer.status_code == 403, (path, header)
    answer = an.client.post(
        "/undo",
        headers={
            "x-csrf-token": csrf,
            "origin": "http://testserver",
            "sec-fetch-site": "same-origin",
        },
        follow_redirects=False,
    )
    assert answer.status_code == 303  # the token in a header, from our own page


def test_one_sessions_token_is_worth_nothing_in_another(
    an: Person, store: Store, browser_of: type[Person]
) -> None:
    enrol(store, "binh")
    binh = browser_of()  # type: ignore[call-arg]
    binh.sign_in("binh", PASSWORD)
    binh.get("/queue")
    an.get("/queue")
    assert field(binh.page, "csrf") != field(an.page, "csrf")
    answer = an.client.post("/undo", data={"csrf": field(binh.page, "csrf")})
    assert answer.status_code == 403
    # A form token made for one reviewer is not another's.
    key = an.first_item()
    an.get(f"/item/{key}")
    binh.get(f"/item/{key}")
    assert (
        binh.post(f"/item/{key}/choose", decision="SUPPORTED", token=field(an.page, "token")) == 409
    )


def test_every_route_has_the_headers_also_when_it_refuses(an: Person, store: Store) -> None:
    key = an.first_item()
    assert HEADERS["Content-Security-Policy"] == CSP
    stranger = TestClient(an.client.app, raise_server_exceptions=False)
    paths = [(m, fill(p, key)) for m, p in routes(store)]
    paths += [("GET", "/nowhere"), ("PUT", "/queue"), ("GET", "/item/x"), ("GET", "/static/../x")]
    for client in (an.client, stranger):
        for method, path in paths:
            answer = client.request(method, path, follow_redirects=False)
            for name, value in HEADERS.items():
                assert answer.headers[name] == value, (method, path, name)
            if not path.startswith("/static/"):
                assert answer.headers["cache-control"] == "no-store"
    stranger.close()


def test_an_unforeseen_error_has_the_headers_and_tells_nothing(
    an: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **named: object) -> None:
        raise RuntimeError("bí mật ở dòng 12")

    monkeypatch.setattr(Store, "queue", fail)
    answer = an.client.get("/queue")
    assert answer.status_code == 500
    assert answer.headers["content-security-policy"] == CSP
    assert "bí mật" not in answer.text
    assert "Traceback" not in answer.text


def test_without_an_account_there_is_only_the_sign_in(
    store: Store, browser_of: type[Person]
) -> None:
    stranger = browser_of()  # type: ignore[call-arg]
    for method, path in routes(store):
        if method != "GET" or path in OPEN:
            continue
        answer = stranger.client.get(fill(path, 1), follow_redirects=False)
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/login"), path
        assert "thành viên" not in answer.text
    htmx = stranger.client.get("/queue", headers={"HX-Request": "true"}, follow_redirects=False)
    assert (htmx.status_code, htmx.headers["HX-Redirect"]) == (401, "/login")


def test_the_one_time_password_opens_nothing_but_its_change(
    store: Store, browser_of: type[Person]
) -> None:
    once = store.add_user("an")
    person = browser_of()  # type: ignore[call-arg]
    assert person.sign_in("an", once) == 200
    assert person.path == "/password"
    for path in ("/queue", "/mine", "/item/1"):
        person.get(path)
        assert person.path == "/password"
    token = field(person.page, "csrf")
    answer = person.client.post(
        "/item/1/choose", data={"csrf": token, "decision": "SUPPORTED", "token": "t"}
    )
    assert str(answer.url).endswith("/password")
    assert store.reviews() == []
    person.get("/password")
    assert person.post("/password", old=once, new="a" * 12, again="b" * 12) == 422
    assert person.post("/password", old="x", new=PASSWORD, again=PASSWORD) == 422
    assert person.post("/password", old=once, new="ngắn", again="ngắn") == 422
    before = person.client.cookies[SESSION_COOKIE]
    assert person.post("/password", old=once, new=PASSWORD, again=PASSWORD) == 200
    assert person.path == "/queue"
    assert person.client.cookies[SESSION_COOKIE] != before


def test_cookies_are_strict_and_change_at_the_sign_in(an: Person, store: Store) -> None:
    an.get("/queue")
    planted = an.client.cookies[SESSION_COOKIE]
    an.post("/logout")
    an.client.cookies.clear()
    an.get("/login")
    an.client.cookies.set(SESSION_COOKIE, planted)
    an.page = an.client.get("/login").text
    answer = an.client.post(
        "/login",
        data={"csrf": field(an.page, "csrf"), "name": "an", "password": PASSWORD},
        follow_redirects=False,
    )
    cookies = [
        c for c in answer.headers.get_list("set-cookie") if c.startswith(SESSION_COOKIE + "=")
    ]
    assert len(cookies) == 1
    assert "HttpOnly" in cookies[0]
    assert "samesite=strict" in cookies[0].lower()
    assert planted not in cookies[0]


def test_after_the_sign_out_an_old_cookie_is_worth_nothing(an: Person) -> None:
    an.get("/queue")
    stolen = an.client.cookies[SESSION_COOKIE]
    assert an.post("/logout") == 200
    an.client.cookies.clear()
    an.client.cookies.set(SESSION_COOKIE, stolen)
    an.get("/queue")
    assert an.path.startswith("/login")


def test_a_new_password_ends_the_other_sessions(an: Person, browser_of: type[Person]) -> None:
    other = browser_of()  # type: ignore[call-arg]
    other.sign_in("an", PASSWORD)
    assert other.get("/queue") == 200
    an.get("/password")
    new = PASSWORD + " mới"
    assert an.post("/password", old=PASSWORD, new=new, again=new) == 200
    assert an.path == "/queue"
    other.get("/queue")
    assert other.path.startswith("/login")


def test_forged_cookies_open_nothing(browser_of: type[Person], an: Person) -> None:
    good = an.client.cookies[SESSION_COOKIE]
    token, _, signature = good.rpartition(".")
    stranger = browser_of()  # type: ignore[call-arg]
    for cookie in (token, token + ".", f"x.{signature}", good[:-2] + "xx", "", "a.b.c"):
        stranger.client.cookies.clear()
        stranger.client.cookies.set(SESSION_COOKIE, cookie)
        stranger.get("/queue")
        assert stranger.path.startswith("/login"), cookie
    other = Tokens(bytes(reversed(SECRET)))
    assert other.unsign(good) == ""


def test_unknown_wrong_and_locked_get_the_same_answer(
    store: Store, browser_of: type[Person]
) -> None:
    enrol(store, "an")
    stranger = browser_of()  # type: ignore[call-arg]
    answers = set()
    for name, password in [("an", "sai"), ("không-có", "sai"), ("", ""), ("an' OR 1=1 --", "x")]:
        assert stranger.sign_in(name, password) == 401
        answers.add(stranger.page)
    for _ in range(accounts.MAX_FAILURES):
        stranger.sign_in("an", "sai")
    assert stranger.sign_in("an", PASSWORD) == 401  # locked: the right one is refused, too
    answers.add(stranger.page)
    assert len(answers) == 1
    again = store.reset_password("an")
    assert stranger.sign_in("an", again) == 200


def test_an_unknown_name_costs_the_hash_of_a_known_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(store, "an")
    spent: list[str] = []
    verify = accounts.matches

    def counted(password: str, stored: str) -> bool:
        spent.append(stored)
        return verify(password, stored)

    monkeypatch.setattr(accounts, "matches", counted)
    for name in ("an", "không-có", "", "x" * 10_000):
        assert store.authenticate(name, "sai") is None
    assert len(spent) == 4
    assert len({str(extract_parameters(stored)) for stored in spent}) == 1


def test_a_lock_ends_and_a_success_forgets_failures(store: Store) -> None:
    once = store.add_user("an")
    now = datetime(2026, 10, 1, tzinfo=UTC)
    with store._writing() as cursor:
        for _ in range(accounts.MAX_FAILURES - 1):
            assert accounts.authenticate(cursor, "an", "sai", now=now) is None
        assert accounts.authenticate(cursor, "an", once, now=now) is not None
        for _ in range(accounts.MAX_FAILURES):
            assert accounts.authenticate(cursor, "an", "sai", now=now) is None
        assert accounts.authenticate(cursor, "an", once, now=now + timedelta(minutes=14)) is None
        assert accounts.authenticate(cursor, "an", once, now=now + timedelta(minutes=16))


def test_a_session_runs_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    account = store.authenticate("an", store.add_user("an"))
    assert account is not None
    opened = datetime(2026, 10, 1, tzinfo=UTC)
    clock = [opened]

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return clock[0]

    monkeypatch.setattr("kiemchung.store.people.datetime", Clock)
    token = store.open_session(account)
    for hours, known in ((0, account), (11, account), (13, None)):  # kept in memory meanwhile
        clock[0] = opened + timedelta(hours=hours)
        assert store.session_account(token) == known


def test_somebody_elses_review_is_not_there(
    an: Person, store: Store, browser_of: type[Person]
) -> None:
    key = an.first_item()
    an.get(f"/item/{key}")
    an.post(f"/item/{key}/choose", decision="SUPPORTED")
    an.post(f"/item/{key}/decide", decision="SUPPORTED")
    enrol(store, "binh")
    binh = browser_of()  # type: ignore[call-arg]
    binh.sign_in("binh", PASSWORD)
    binh.get("/queue")
    assert binh.post("/undo", review=1) == 404
    binh.get("/queue")
    assert binh.post("/undo", review=999) == 404
    assert len(store.reviews()) == 1


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil",
        "javascript:alert(1)",
        "/queue\r\nSet-Cookie: x=1", "/item/1/../../x", "/login?next=//evil", "/item/x", "",
        "queue",
        "/item/1@evil", "///evil", "/ queue", "data:text/html,x", "/logout", "/item/", "/\t/evil",
    ],
)  # fmt: skip
def test_the_sign_in_leads_nowhere_else(path: str) -> None:
    assert local_path(path) == "/queue"


@given(st.text(max_size=40))
def test_whatever_is_asked_for_the_way_stays_here(text: str) -> None:
    assert local_path(text).startswith(("/queue", "/mine", "/item/"))
    assert not local_path("/" + text).startswith("//")


def test_our_own_pages_are_led_to_after_the_sign_in(store: Store, browser_of: type[Person]) -> None:
    enrol(store, "an")
    person = browser_of()  # type: ignore[call-arg]
    person.get("/item/1?view=flagged")
    assert person.path.startswith("/login?next=")
    person.post(
        "/login",
        name="AN ",
        password=PASSWORD,
        next=field(person.page, "next").replace("&amp;", "&"),
    )
    assert person.path == "/item/1?view=flagged"


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,<script>1</script>", "ftp://a.b",
        "file:///etc/passwd", "//host/x", "http://", "https:/x", " javascript:1", "java\nscript:1",
        "vbscript:x", "http://[bad", "", "http:x", "\x01javascript:1",
    ],
)  # fmt: skip
def test_other_schemes_are_no_links(address: str) -> None:
    assert words.link(address) == ""


def test_web_addresses_are_links() -> None:
    for address in ("http://a.example/x?y=1&z=2", "https://a.example/%C4%91"):
        assert words.link(address) == address


PAYLOADS = (
    "<script>window.pwned=1</script>",
    '"><img src=x onerror="window.pwned=1">',
    "'><svg/onload=window.pwned=1>",
    "{{ 7*7 }}{% raw %}",
    "</textarea></title><script>window.pwned=1</script>",
)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_foreign_text_is_text(an: Person, store: Store, tmp_path: Path, payload: str) -> None:
    poisoned = batch(week="2026-W50", flags=1, copies=1, quiet=0, suffix="x")
    one = poisoned.articles[0]
    claim = f"Luật nói {payload} có 7 thành viên."
    body = f"{payload}\n\n{claim}"
    one = replace(
        one,
        article_id=digest(payload),
        title=payload,
        lead=payload,
        body=body,
        url="javascript:window.pwned=1",
        outlet=payload,
    )
    said = replace(
        poisoned.mentions[0],
        mention_id=digest("mention", payload),
        article_id=one.article_id,
        text=claim,
        start=one.text.index(claim),
        end=one.text.index(claim) + len(claim),
    )
    bad = replace(NEW_PASSAGE, text=payload, citation=payload, url="javascript:window.pwned=1")
    judged = flag(said, run_id=poisoned.run.run_id)
    judged = replace(
        judged,
        evidence=(replace(judged.evidence[0], passage_sha256=bad.sha256),),
        differences=(replace(judged.differences[0], claim=payload, evidence=payload),),
    )
    write_batch(
        tmp_path / "inbox",
        replace(
            poisoned,
            articles=(one,),
            mentions=(said,),
            judgements=(judged,),
            passages=(bad,),
        ),
    )
    assert store.merge_inbox(tmp_path / "inbox") == [poisoned.run.run_id]
    key = next(
        int(r["mention_key"])
        for r in store._read("SELECT mention_key FROM mention WHERE text = ?", [claim])
    )
    pages = []
    an.get("/queue?view=all&week=2026-W50")
    pages.append(an.page)
    an.get(f"/item/{key}")
    pages.append(an.page)
    an.post(f"/item/{key}/choose", decision="SUPPORTED", note=payload)
    pages.append(an.page)
    an.post(f"/item/{key}/decide", decision="SUPPORTED", note=payload)
    an.get("/mine")
    pages.append(an.page)
    for page in pages:
        assert payload not in page or "<" not in payload
        assert "javascript:" not in page
        assert "<script>" not in page
        assert payload in page or "{{" not in payload  # shown as it is, not worked out
    assert "&lt;" in pages[1] or "<" not in payload
