"""What machines ask of the desk: alive, ready, metrics; who may, and what it never tells."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from dashboards import ready as readiness
from dashboards.app import create_app
from dashboards.operation import Operation
from dashboards.serve import allowed_hosts
from kiemchung.errors import StoreError
from kiemchung.logs import logging_to
from kiemchung.store import Store
from kiemchung.store.gauges import gauges
from kiemchung.store.inbox import write_batch
from tests.batches import FLAG_CLAIM, NEW_PASSAGE, batch
from tests.dashboards.conftest import PASSWORD, SECRET, Person, enrol

TOKEN = "a-token-of-more-than-16"
HERE = ("127.0.0.1", 50_000)


def client_of(
    store: Store, operation: Operation, *, inbox: Path | None = None, peer: tuple[str, int] = HERE
) -> TestClient:
    app = create_app(store, secret=SECRET, inbox=inbox, operation=operation, merge_seconds=0.05)
    return TestClient(app, client=peer, raise_server_exceptions=False)


def figures(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Parse an exposition with the official parser: name to labels to value."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            assert labels not in found.setdefault(sample.name, {}), "a series twice"
            found[sample.name][labels] = sample.value
    return found


def test_alive_tells_nothing_but_that(store: Store) -> None:
    with client_of(store, Operation()) as client:
        assert client.get("/health").json() == {"status": "ok"}


def test_ready_names_its_checks_and_nothing_else(store: Store, tmp_path: Path) -> None:
    with client_of(store, Operation(), inbox=tmp_path / "inbox") as client:
        answer = client.get("/ready")
        assert answer.status_code == 200
        assert answer.json() == {
            "status": "ok",
            "checks": dict.fromkeys(("store", "schema", "inbox", "disk", "model", "base"), True),
        }


@pytest.mark.parametrize("check", ["store", "schema", "inbox", "disk", "model", "base"])
def test_each_check_fails_for_its_own_cause(
    check: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, base = tmp_path / "model", tmp_path / "base"
    operation = Operation(model_dir=model if check == "model" else None)
    app = create_app(
        store,
        secret=SECRET,
        inbox=tmp_path / "inbox",
        operation=operation,
        reference_dir=base if check == "base" else None,
    )
    model.mkdir()
    base.mkdir()
    if check == "store":
        store.broken = "disk full"
    if check == "schema":
        store._connection.execute("DELETE FROM store.schema_version WHERE number = 1")
    if check == "disk":
        monkeypatch.setattr(readiness, "LEAST_FREE", 1 << 62)
    client = TestClient(app)  # not entered: the inbox thread of that one never begins
    if check == "inbox":
        answer = client.get("/ready")
    else:
        with client:
            answer = client.get("/ready")
            # The inbox thread says by itself that it cannot read the store, a moment later.
            for _ in range(100 if check == "store" else 0):
                if not answer.json()["checks"]["inbox"]:
                    break
                time.sleep(0.1)
                answer = client.get("/ready")
    assert answer.status_code == 503
    failing = {name for name, well in answer.json()["checks"].items() if not well}
    assert failing == ({"store", "schema", "inbox"} if check == "store" else {check})


def test_asking_often_asks_the_store_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(readiness, "answers", lambda s: not asked.append(s))
    with client_of(store, Operation()) as client:
        for _ in range(20):
            client.get("/ready")
    assert len(asked) == 1


WHO_MAY: list[tuple[Operation, tuple[str, int], dict[str, str], int]] = [
    (Operation(), HERE, {}, 404),
    (Operation(metrics="loopback"), HERE, {}, 200),
    (Operation(metrics="loopback"), ("::1", 5), {}, 200),
    (Operation(metrics="loopback"), ("10.0.0.7", 5), {}, 404),
    (Operation(metrics="loopback"), ("testclient", 5), {}, 404),
    # Behind a reverse proxy everybody comes from this machine.
    (Operation(metrics="loopback"), HERE, {"x-forwarded-for": "203.0.113.9"}, 404),
    (Operation(metrics="loopback"), HERE, {"forwarded": "for=203.0.113.9"}, 404),
    (Operation(metrics="loopback"), HERE, {"via": "1.1 proxy"}, 404),
    (Operation(metrics="token", metrics_token=TOKEN), HERE, {}, 404),
    (Operation(metrics="token", metrics_token=TOKEN), HERE,
     {"authorization": f"Bearer {TOKEN}x"}, 404),
    (Operation(metrics="token", metrics_token=""), HERE, {"authorization": "Bearer "}, 404),
    (Operation(metrics="token", metrics_token=TOKEN), ("10.0.0.7", 5),
     {"authorization": f"Bearer {TOKEN}"}, 200),
    (Operation(metrics="off"), HERE, {"authorization": f"Bearer {TOKEN}"}, 404),
]  # fmt: skip


def test_metrics_are_closed_unless_opened(store: Store) -> None:
    for operation, peer, headers, status in WHO_MAY:
        app = create_app(store, secret=SECRET, operation=operation)
        answer = TestClient(app, client=peer).get("/metrics", headers=headers)
        assert answer.status_code == status, (operation, peer, headers)
        assert ("kiemchung_build_info" in answer.text) is (status == 200)


def test_metrics_count_requests_merges_rows_and_alarms(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboards.metrics.KEPT_SECONDS", 0.0)
    inbox = tmp_path / "later"
    enrol(store, "an")
    with client_of(store, Operation(metrics="loopback"), inbox=inbox) as client:
        person = Person(client)
        assert person.sign_in("an", PASSWORD) == 200
        key = person.first_item()
        person.get(f"/item/{key}")
        client.get("/item/999999999")
        client.get("/nowhere")
        client.request("BREW", "/queue")
        write_batch(inbox, batch(week="2026-W41", quiet=3, suffix="b"))
        answer = client.get("/metrics")
        limit = time.monotonic() + 30
        while "kiemchung_merged_runs_total 1.0" not in answer.text and time.monotonic() < limit:
            time.sleep(0.05)
            answer = client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        found = figures(answer.text)
    requests = found["kiemchung_requests_total"]
    item = ("method", "GET"), ("route", "/item/{mention_key}")
    assert requests[*item, ("status", "200")] == 1
    assert requests[*item, ("status", "404")] == 1
    assert requests[("method", "GET"), ("route", "none"), ("status", "404")] == 1
    assert any(("method", "other") in labels for labels in requests)
    assert found["kiemchung_request_seconds_count"][item] == 2
    assert found["kiemchung_request_seconds_bucket"][("le", "+Inf"), *item] == 2
    assert found["kiemchung_merge_seconds_count"][()] == 1
    assert found["kiemchung_merged_runs_total"][()] == 1
    rows = {dict(k)["table"]: v for k, v in found["kiemchung_store_rows"].items()}
    assert rows == store.counts()
    assert found["kiemchung_queue_claims"][()] > 0
    assert found["kiemchung_store_bytes"][()] > 10_000
    assert found["kiemchung_inbox_batches"][(("state", "waiting"),)] == 0
    assert found["kiemchung_ready"][(("check", "store"),)] == 1
    alarms = found["kiemchung_alarms"]
    assert sum(alarms.values()) == sum(len(r.alarms) for r in store.runs("2026-W41"))
    info = found["kiemchung_latest_run_info"]
    assert {dict(k)["week"] for k in info} == {"2026-W41"}


def test_machine_rows_are_counted_once_a_merge_and_peoples_always(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = gauges(store)
    counted = []
    count = Store.counts
    monkeypatch.setattr(Store, "counts", lambda s: counted.append(1) or count(s))
    enrol(store, "an")
    again = gauges(store, first)
    assert counted == []
    assert again.rows == count(store)
    assert again.rows["accounts"] == first.rows["accounts"] + 1
    write_batch(tmp_path / "later", batch(week="2026-W41", quiet=60, suffix="b"))
    store.merge_inbox(tmp_path / "later")
    merged = gauges(store, again)
    assert counted == [1]
    assert merged.rows == count(store)
    assert merged.rows["mentions"] > first.rows["mentions"]
    assert {r.week for r in merged.latest} == {"2026-W41"}


def test_no_claim_passage_account_or_address_is_in_the_metrics(store: Store) -> None:
    enrol(store, "nguyen.van.an")
    with client_of(store, Operation(metrics="loopback")) as client:
        person = Person(client)
        person.sign_in("nguyen.van.an", PASSWORD)
        person.get(f"/item/{person.first_item()}?week=2026-W40&view=flagged")
        client.get("/search?q=hop+tac+xa")
        text = client.get("/metrics").text
    for secret in (FLAG_CLAIM, NEW_PASSAGE.text, "nguyen", "hop+tac", "http://", "testclient"):
        assert secret not in text


def test_a_store_that_fails_is_a_figure_and_no_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("the database failed")

    monkeypatch.setattr("dashboards.metrics.gauges", fail)
    with client_of(store, Operation(metrics="loopback")) as client:
        found = figures(client.get("/metrics").text)
    assert found["kiemchung_store_answers"][()] == 0
    assert "kiemchung_store_rows" not in found
    assert "kiemchung_disk_free_bytes" in found


def test_a_request_is_one_line_without_who_asked_or_for_what(store: Store, tmp_path: Path) -> None:
    enrol(store, "an")
    with (
        logging_to(tmp_path / "logs", "desk") as path,
        client_of(store, Operation(), peer=("203.0.113.9", 5)) as client,
    ):
        person = Person(client)
        person.sign_in("an", PASSWORD)
        person.get("/search?q=bi+mat")
        client.get("/health")
    written = path.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in written.splitlines()]
    assert {"method": "GET", "route": "/search", "status": 200}.items() <= lines[-1].items()
    assert 0 < lines[-1]["seconds"] < 10
    assert {x["route"] for x in lines} == {"/login", "/queue", "/search"}
    for secret in ("203.0.113.9", "bi+mat", PASSWORD, '"an"'):
        assert secret not in written


def test_cookies_can_be_held_to_https_and_names_be_given(store: Store) -> None:
    for forced in (False, True):
        with client_of(store, Operation(secure_cookies=forced)) as client:
            cookie = client.get("/login").headers["set-cookie"]
            assert ("secure" in cookie.lower()) is forced
    assert "desk.example.org" in allowed_hosts("127.0.0.1", ["desk.example.org"])
    assert "*" not in allowed_hosts("0.0.0.0", ["desk.example.org"])
    assert allowed_hosts("0.0.0.0") == ["*"]


def test_calibration_has_a_figure_only_where_enough_was_concluded(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Absent is not nought: a sample that is too small yields a count and nothing else."""
    from models import audited

    with client_of(store, Operation(metrics="loopback")) as client:
        few = figures(client.get("/metrics").text)
    assert few["kiemchung_audited_claims"] == {(): 0.0}
    assert "kiemchung_calibration_error" not in few
    rows = [((0.9, 0.05, 0.05), i % 2, 1.0) for i in range(200)]
    monkeypatch.setattr("dashboards.metrics.audited", lambda _: rows)
    with client_of(store, Operation(metrics="loopback")) as client:
        found = figures(client.get("/metrics").text)
    expected = audited.audit_of(rows)
    assert found["kiemchung_calibration_error"][(("of", "measured"),)] == expected.error
    assert found["kiemchung_calibration_alarm"] == {(): 1.0}
