"""The item behind the one on the screen is read once the answer is out."""

from __future__ import annotations

import re
import time

import pytest
from fastapi.testclient import TestClient

from dashboards import ahead
from dashboards.app import create_app
from kiemchung.errors import StoreError
from kiemchung.store import Store
from tests.dashboards.conftest import PASSWORD, SECRET, Person, enrol


def kept(store: Store, kind: str) -> set[int]:
    return {k[1] for k in store.facts._kept.answers() if k[0] == kind}  # type: ignore[index]


def test_the_next_item_is_read_behind_the_answer(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(store, "an")
    monkeypatch.setattr(ahead, "SECONDS", 0.3)
    with TestClient(create_app(store, secret=SECRET), raise_server_exceptions=False) as client:
        an = Person(client)
        assert an.sign_in("an", PASSWORD) == 200
        key = an.first_item("queue")
        store.facts.forget()
        assert an.get(f"/item/{key}") == 200
        following = int(re.findall(r'rel="next"[^>]*href="/item/(\d+)', an.page)[0])
        assert kept(store, "item") == {key}  # nobody has waited for it
        for _ in range(100):
            if following in kept(store, "structure"):
                break
            time.sleep(0.05)
        assert {key, following} <= kept(store, "item") & kept(store, "structure")


def test_what_cannot_be_read_is_told_to_whoever_opens_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise StoreError("no")

    monkeypatch.setattr(store.facts, "item", broken)
    ahead.look(store, 1)
    ahead.look(store, None)
