"""A store with a week in it, the desk over it, and somebody who has signed in."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from dashboards.app import create_app
from kiemchung.store import Store, open_store
from kiemchung.store.inbox import write_batch
from tests.batches import batch

SECRET = bytes(range(48))
PASSWORD = "mật khẩu đủ dài"
OUTLETS = {"song-hong": "Sông Hồng Tin tức", "pho-nho": "Phố Nhỏ", "nui-cao": "Núi Cao"}


def field(page: str, name: str) -> str:
    """Return the value of the first input called ``name``."""
    match = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert match is not None, f"no field {name} in the page"
    return match[1]


class Person:
    """A browser without scripts."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.page = ""
        self.path = ""

    def get(self, path: str) -> int:
        answer = self.client.get(path)
        self.page, self.path = answer.text, str(answer.url.raw_path, "ascii")
        return answer.status_code

    def post(self, path: str, **fields: object) -> int:
        """Send the form of the page that is open, with its tokens."""
        kept = {
            name: field(self.page, name)
            for name in ("csrf", "token")
            if f'name="{name}"' in self.page
        }
        answer = self.client.post(path, data=kept | {"view": "queue"} | fields)
        self.page, self.path = answer.text, str(answer.url.raw_path, "ascii")
        return answer.status_code

    def sign_in(self, name: str, password: str) -> int:
        self.get("/login")
        return self.post("/login", name=name, password=password)

    def first_item(self, view: str = "flagged") -> int:
        self.get(f"/queue?view={view}")
        match = re.search(r"/item/(\d+)\?", self.page)
        assert match is not None
        return int(match[1])


def enrol(store: Store, name: str, role: str = "reviewer") -> None:
    """Add an account that has already chosen its password."""
    once = store.add_user(name, role=role)
    account = store.authenticate(name, once)
    assert account is not None
    assert store.change_password(account, old=once, new=PASSWORD) == ""


@pytest.fixture(scope="session")
def closed_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a closed store with a week in it, to be copied: a merge takes half a second."""
    folder = tmp_path_factory.mktemp("closed")
    with open_store(folder / "k.duckdb") as opened:
        write_batch(folder / "inbox", batch())
        assert opened.merge_inbox(folder / "inbox")
    return folder


@pytest.fixture
def store(tmp_path: Path, closed_store: Path) -> Iterator[Store]:
    shutil.copytree(closed_store, tmp_path, dirs_exist_ok=True)
    with open_store(tmp_path / "k.duckdb") as opened:
        yield opened


@pytest.fixture
def browser_of(store: Store) -> Iterator[type[Person]]:
    """Makes people, each with cookies of their own."""
    app = create_app(store, secret=SECRET, outlet_names=OUTLETS)
    clients: list[TestClient] = []

    class Local(Person):
        def __init__(self) -> None:
            client = TestClient(app, raise_server_exceptions=False)
            clients.append(client)
            super().__init__(client)

    yield Local
    for client in clients:
        client.close()


@pytest.fixture
def an(store: Store, browser_of: type[Person]) -> Person:
    """A reviewer who has signed in."""
    enrol(store, "an")
    person = browser_of()  # type: ignore[call-arg]
    assert person.sign_in("an", PASSWORD) == 200
    return person
