"""The routes as schemathesis reads them from the application's own OpenAPI schema: no server error.

`test_any_request` knows the forms' tokens and gets past the door; this one asks what a stranger to
the program would, with every kind of value that the schema allows and many that it does not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error

from dashboards.app import create_app
from dashboards.security import SESSION_COOKIE, Tokens
from kiemchung.store import open_store
from kiemchung.store.inbox import write_batch
from tests.batches import batch
from tests.dashboards.conftest import PASSWORD, SECRET, enrol

TOKENS = Tokens(SECRET)
AFTERWARDS = ("/logout",)  # ends the session that the others need
SESSION: list[str] = []  # of the administrator, who reaches every route


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[schemathesis.BaseSchema]:
    folder = tmp_path_factory.mktemp("schema")
    with open_store(folder / "k.duckdb", double_share=0.5) as store:
        enrol(store, "quan", "admin")
        write_batch(folder / "inbox", batch(flags=3, copies=1, quiet=20))
        store.merge_inbox(folder / "inbox")
        account = store.authenticate("quan", PASSWORD)
        assert account is not None
        SESSION[:] = [store.open_session(account)]
        app = create_app(store, secret=SECRET)
        app.openapi_url = "/openapi.json"  # the program tells nobody its schema
        app.setup()
        yield schemathesis.openapi.from_asgi("/openapi.json", app)


def test_no_operation_is_a_server_error(api: schemathesis.BaseSchema) -> None:
    (session,) = SESSION
    asked: Counter[int] = Counter()

    def ask(case: schemathesis.Case) -> None:
        if isinstance(case.body, dict) and "csrf" in case.body:
            case.body["csrf"] = TOKENS.csrf(session)
        answer = case.call(
            cookies={SESSION_COOKIE: TOKENS.sign(session)},
            headers={"x-csrf-token": TOKENS.csrf(session)},
        )
        asked[answer.status_code] += 1
        case.validate_response(answer, checks=[not_a_server_error])

    operations = [found.ok() for found in api.get_all_operations()]
    assert len(operations) > 40
    for operation in operations:
        if operation.path in AFTERWARDS:
            continue

        @settings(
            max_examples=8,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy())
        def many(case: schemathesis.Case) -> None:
            ask(case)

        many()
    assert asked[200] > 50  # the administrator gets past the door
    assert max(asked) < 500
