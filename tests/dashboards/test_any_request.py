"""Whatever is sent to whatever route, by whomever: an answer in order, never an error of ours.

The requests are drawn from the application's own OpenAPI schema: the names of parameters and
fields are right, so that the values get past the door.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboards.app import create_app
from dashboards.security import SESSION_COOKIE, Tokens
from kiemchung.store import Account, Store, open_store
from kiemchung.store.inbox import write_batch
from tests.batches import NEW_PASSAGE, batch
from tests.dashboards.conftest import PASSWORD, SECRET, enrol

TOKENS = Tokens(SECRET)
ROLES = ("reader", "reviewer", "adjudicator", "admin")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, TestClient]]:
    folder = tmp_path_factory.mktemp("any")
    with open_store(folder / "k.duckdb", double_share=0.5) as store:
        for role in ROLES:
            enrol(store, role, role)
        write_batch(folder / "inbox", batch(flags=3, copies=1, quiet=20))
        store.merge_inbox(folder / "inbox")
        with TestClient(create_app(store, secret=SECRET), raise_server_exceptions=False) as client:
            yield store, client


def operations(client: TestClient) -> list[tuple[str, str, list[str], list[str]]]:
    """Return method, path, query names and form names of every route."""
    schema = client.app.openapi()  # type: ignore[attr-defined]
    found = []
    for path, methods in schema["paths"].items():
        for method, facts in methods.items():
            query = [p["name"] for p in facts.get("parameters", ()) if p["in"] == "query"]
            form: list[str] = []
            content = facts.get("requestBody", {}).get("content", {})
            for body in content.values():
                name = body["schema"].get("$ref", "").rpartition("/")[2]
                form = list(schema["components"]["schemas"].get(name, {}).get("properties", {}))
            found.append((method.upper(), path, query, form))
    return found


VALUES = st.one_of(
    st.text(max_size=30),
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from((
        "", "1", "2", "0", "-1", "true", "false", "queue", "decided", "REFUTED", "SUPPORTED",
        "SKIPPED", "slip", "number", "2026-W40", "2026-10-01", "9999-99-99", "0001-01-01", "NaN",
        "inf", "1e400", "reader", "root", "../../etc/passwd", "' OR 1=1 --", "<script>", "\x00",
        "%00", "x" * 5000, "đ" * 300, NEW_PASSAGE.passage_id, "\ud800".encode(errors="replace").decode(),
    )),
)  # fmt: skip
KEYS = st.one_of(
    st.integers(0, 30).map(str),
    st.sampled_from(("-1", "99999999", str(2**63), str(2**80), "x", "1%00", "..%2f..", "1.5")),
)


def account_of(store: Store, name: str) -> Account:
    user = next(u for u in store.users() if u.name == name)
    return Account(key=user.key, name=user.name, role=user.role, must_change=False)


@given(data=st.data())
@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_request_is_a_server_error(
    office: tuple[Store, TestClient], data: st.DataObject
) -> None:
    store, client = office
    method, path, query, form = data.draw(st.sampled_from(operations(client)))
    session = ""
    client.cookies.clear()
    who = data.draw(st.sampled_from((*ROLES, "")))
    if who:
        session = store.open_session(account_of(store, who))
        client.cookies.set(SESSION_COOKIE, TOKENS.sign(session))
    key = data.draw(KEYS)
    target = path.replace("{mention_key}", key).replace("{name}", data.draw(KEYS))
    for part in ("{", "}"):
        target = target.replace(part, "")
    params = {n: data.draw(VALUES) for n in query if data.draw(st.booleans())}
    fields: dict[str, Any] = {n: data.draw(VALUES) for n in form if data.draw(st.booleans())}
    if data.draw(st.booleans()) or method != "GET":
        fields["csrf"] = TOKENS.csrf(session)
    if "token" in form and key.isdecimal() and len(key) < 10:
        stage = path.rpartition("/")[2] if "/item/" in path else "adjudicate"
        fields["token"] = TOKENS.form(session, int(key), stage)
    sent = data.draw(st.sampled_from((method, method, method, "PUT", "DELETE", "HEAD", "PATCH")))
    answer = client.request(
        sent,
        target,
        params=params,
        data=fields if sent not in ("GET", "HEAD") else None,
        headers={"HX-Request": "true"} if data.draw(st.booleans()) else {},
        follow_redirects=False,
    )
    assert answer.status_code < 500, (who, sent, target, params, fields)
    assert "content-security-policy" in answer.headers
    assert PASSWORD not in answer.text
    # The accounts are needed for the next round, whatever an administrator did to them.
    if who == "admin" and method == "POST":
        for role in ROLES:
            store.set_active(role, True)
            store.set_role(role, role)


def test_the_schema_names_every_route(office: tuple[Store, TestClient]) -> None:
    _, client = office
    found = operations(client)
    assert len(found) > 30
    assert any("cause" in form for _, _, _, form in found)
    assert all(form == [] for method, _, _, form in found if method == "GET")
