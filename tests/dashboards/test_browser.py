"""The desk in a real Chromium with real key events: whole items without the mouse, Telex on."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from dashboards.app import create_app
from kiemchung.domain import Decision, digest
from kiemchung.store import Store
from kiemchung.store.inbox import write_batch
from tests.batches import NEW_PASSAGE, batch, flag
from tests.dashboards.conftest import OUTLETS, PASSWORD, SECRET, enrol

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WATCH = """
window.violations = [];
document.addEventListener('securitypolicyviolation',
  e => window.violations.push(e.violatedDirective));
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.is_file():
        pytest.skip(f"no Chromium at {CHROMIUM}")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def address(store: Store) -> Iterator[str]:
    """The desk on a free port of the loopback."""
    enrol(store, "an")
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    app = create_app(store, secret=SECRET, outlet_names=OUTLETS)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    limit = time.monotonic() + 20
    while not server.started and time.monotonic() < limit:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=20)
    listener.close()


class Desk:
    """A page with what went wrong in it."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.address = page, address
        self.trouble: list[str] = []
        self.elsewhere: list[str] = []
        page.add_init_script(WATCH)
        page.on("console", lambda m: m.type == "error" and self.trouble.append(m.text))
        page.on("pageerror", lambda e: self.trouble.append(str(e)))
        page.on("request", lambda r: r.url.startswith(address) or self.elsewhere.append(r.url))
        page.set_default_timeout(10_000)

    def sign_in(self) -> None:
        self.page.goto(self.address)
        self.page.fill("[name=name]", "an")
        self.page.fill("[name=password]", PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector(".entries")

    def open(self, path: str) -> None:
        self.page.goto(self.address + path)

    def press(self, key: str) -> None:
        self.page.wait_for_timeout(300)  # the desk is deaf for a moment after each change
        self.page.keyboard.press(key)

    @property
    def item(self) -> int:
        return int(self.page.get_attribute("#desk", "data-item"))

    def wait_stage(self, stage: str) -> None:
        self.page.wait_for_selector(f'#desk[data-stage="{stage}"]')

    def wait_other(self, item: int) -> None:
        self.page.wait_for_selector(f'#desk:not([data-item="{item}"])')

    def check_calm(self) -> None:
        assert self.page.evaluate("window.violations") == []
        assert self.page.evaluate("window.pwned") is None
        assert self.trouble == []
        assert self.elsewhere == []


@pytest.fixture
def desk(chromium: Any, address: str) -> Iterator[Desk]:
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    opened = Desk(context.new_page(), address)
    opened.sign_in()
    yield opened
    context.close()


def test_whole_items_by_key_blind_first_then_kept_changed_and_undone(
    desk: Desk, store: Store
) -> None:
    desk.press("Enter")  # "Bắt đầu duyệt"
    desk.wait_stage("choose")
    first = desk.item
    assert desk.page.locator("mark.diff").count() == 0
    assert desk.page.locator(".suggestion").count() == 0
    desk.press("1")
    desk.wait_stage("decide")
    assert desk.item == first
    assert desk.page.locator(".suggestion").inner_text().startswith("Gợi ý của máy")
    assert desk.page.locator(".claim mark.diff").count() == 1
    assert desk.page.locator(".evidence mark.diff").count() == 2
    desk.press("Enter")  # keep
    desk.wait_other(first)
    second = desk.item
    assert f"/item/{second}" in desk.page.url
    (kept,) = store.reviews()
    assert (kept.decision, kept.decision_before_model) == (Decision.REFUTED, Decision.REFUTED)
    assert kept.cited_passages == (NEW_PASSAGE.passage_id,)
    desk.press("2")
    desk.wait_stage("decide")
    desk.press("3")  # change
    desk.wait_other(second)
    changed = store.reviews()[-1]
    assert changed.decision is Decision.NOT_ENOUGH_INFO
    assert changed.decision_before_model is Decision.SUPPORTED
    desk.press("u")
    desk.page.wait_for_selector(f'#desk[data-item="{second}"]')
    assert [r.undoes for r in store.reviews()] == [None, None, 2]
    desk.check_calm()


def test_next_and_previous_by_letter_and_arrow(desk: Desk) -> None:
    desk.press("Enter")
    desk.wait_stage("choose")
    first = desk.item
    for forth, back in (("n", "p"), ("ArrowRight", "ArrowLeft")):
        desk.press(forth)
        desk.wait_other(first)
        second = desk.item
        desk.press(back)
        desk.wait_other(second)
        assert desk.item == first
    desk.check_calm()


def test_keys_are_ignored_while_typing_composing_holding_and_with_modifiers(
    desk: Desk, store: Store
) -> None:
    desk.press("Enter")
    desk.wait_stage("choose")
    first = desk.item
    desk.page.wait_for_timeout(300)
    send = """options => document.body.dispatchEvent(
        new KeyboardEvent('keydown', {bubbles: true, cancelable: true, ...options}))"""
    for options in (
        {"key": "1", "isComposing": True},
        {"key": "1", "keyCode": 229},
        {"key": "Process", "keyCode": 229},
        {"key": "1", "repeat": True},
        {"key": "1", "ctrlKey": True},
        {"key": "1", "altKey": True},
        {"key": "1", "metaKey": True},
        {"key": "u", "shiftKey": True},
        {"key": "q"},
    ):
        desk.page.evaluate(send, options)
    desk.page.click("details.more summary")
    desk.page.click("textarea[name=note]")
    desk.press("1")
    desk.press("n")
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_timeout(200)
    assert desk.page.input_value("textarea[name=note]") == "1n\n"
    assert desk.page.get_attribute("#desk", "data-stage") == "choose"
    assert desk.item == first
    assert store._read("SELECT * FROM blind_choice") == []
    # The control: the same event without any of that does decide.
    desk.page.evaluate(send, {"key": "2"})
    desk.wait_stage("decide")
    assert desk.page.input_value("textarea[name=note]") == "1n\n"
    assert len(store._read("SELECT * FROM blind_choice WHERE note LIKE '1n%'")) == 1


def test_kinds_passages_copies_note_and_correction_by_key_alone(desk: Desk, store: Store) -> None:
    desk.open("/queue?view=flagged")
    desk.press("Enter")
    desk.wait_stage("choose")
    page = desk.page
    ticked = "boxes => boxes.map(box => box.value)"
    desk.press("7")  # opens the kinds; in there the digits tick
    for key in ("1", "0", "2", "2"):
        page.keyboard.press(key)
    assert page.eval_on_selector_all("[name=kind]:checked", ticked) == ["number", "law_expired"]
    page.keyboard.press("Escape")
    page.keyboard.press("9")
    page.keyboard.press("1")
    page.keyboard.press("5")  # there is no fifth copy: nothing is decided
    assert page.eval_on_selector_all("[name=copies]:checked", ticked) == []
    page.keyboard.press("Escape")
    page.keyboard.press("8")
    page.keyboard.press("1")
    assert page.eval_on_selector_all("[name=cite]:checked", ticked) == []
    page.keyboard.press("1")
    page.keyboard.press("Escape")
    page.keyboard.press("-")
    page.keyboard.type("7 → 5")
    page.keyboard.press("Escape")
    page.keyboard.press("0")
    page.keyboard.type("ghi 123")
    page.keyboard.press("Escape")
    page.keyboard.press("+")
    page.keyboard.type("khong co dau")
    page.keyboard.press("Enter")
    page.wait_for_selector("#found .empty")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert page.get_attribute("#desk", "data-stage") == "choose"
    desk.press("1")
    desk.wait_stage("decide")
    desk.press("Enter")
    page.wait_for_selector(".saved")
    (kept,) = store.reviews()
    assert (kept.note, [str(d) for d in kept.distortions]) == ("ghi 123", ["number", "law_expired"])
    assert store._read("SELECT correction FROM review_correction") == [{"correction": "7 → 5"}]
    assert store._read("SELECT covered FROM review_copy") == [{"covered": False}]
    desk.press("/")
    page.keyboard.type("luat hien hanh")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?*")
    page.fill("main [name=q]", "khong co o dau ca")
    page.keyboard.press("Enter")
    page.wait_for_selector("#hits .empty")
    page.wait_for_url("**/search?q=khong*")
    assert page.locator("#hits").count() == 1
    page.go_back()
    page.wait_for_selector("main [name=q][value='luat hien hanh']")
    assert page.locator("header.top").count() == 1, "a step back shows the whole page"
    desk.check_calm()


def test_a_key_is_caught_where_it_is_chosen_and_works_then(desk: Desk) -> None:
    desk.open("/keys")
    desk.page.focus("#key-next")
    desk.page.keyboard.press("Backspace")
    desk.page.keyboard.press("j")
    desk.page.keyboard.press("F2")
    assert desk.page.input_value("#key-next") == "j F2"
    desk.page.click("main button.main")
    desk.page.wait_for_selector("#key-next[value='j F2']")
    desk.open("/queue")
    desk.press("Enter")
    desk.wait_stage("choose")
    first = desk.item
    desk.press("j")
    desk.wait_other(first)
    desk.check_calm()


def test_a_real_composition_decides_nothing(desk: Desk, store: Store) -> None:
    desk.press("Enter")
    desk.wait_stage("choose")
    desk.page.click("details.more summary")
    desk.page.click("textarea[name=note]")
    session = desk.page.context.new_cdp_session(desk.page)
    for text in ("t", "ti", "tiê", "tiến"):
        session.send(
            "Input.imeSetComposition", {"text": text, "selectionStart": 1, "selectionEnd": 1}
        )
    session.send("Input.insertText", {"text": "tiếng 1"})
    desk.page.wait_for_timeout(200)
    assert desk.page.input_value("textarea[name=note]") == "tiếng 1"
    assert desk.page.get_attribute("#desk", "data-stage") == "choose"
    assert store._read("SELECT * FROM blind_choice") == []


def test_a_key_pressed_twice_in_a_hurry_decides_once(desk: Desk, store: Store) -> None:
    desk.press("Enter")
    desk.wait_stage("choose")
    desk.page.wait_for_timeout(300)
    first = desk.item
    for _ in range(4):
        desk.page.keyboard.press("2")
    desk.wait_stage("decide")
    desk.page.wait_for_timeout(400)
    assert desk.item == first
    assert len(store._read("SELECT * FROM blind_choice")) == 1
    assert store.reviews() == []  # the hurried keys did not confirm what nobody had read
    for _ in range(4):
        desk.page.keyboard.press("Enter")
    desk.wait_other(first)
    desk.page.wait_for_timeout(400)
    assert len(store.reviews()) == 1
    assert len(store._read("SELECT * FROM blind_choice")) == 1
    desk.check_calm()


def test_enter_on_a_tick_box_does_not_decide(desk: Desk, store: Store) -> None:
    desk.press("Enter")
    desk.wait_stage("choose")
    desk.page.focus("input[name=cite]")
    desk.press("Enter")
    desk.page.wait_for_timeout(300)
    assert desk.page.get_attribute("#desk", "data-stage") == "choose"
    desk.press("3")  # digits still work there
    desk.wait_stage("decide")


def test_a_refused_form_is_explained_in_place(desk: Desk, store: Store) -> None:
    desk.press("Enter")
    desk.wait_stage("choose")
    desk.page.uncheck("input[name=cite]:checked")
    desk.press("1")
    desk.page.wait_for_selector(".problem")
    assert "cần ít nhất một căn cứ" in desk.page.inner_text(".problem")
    assert desk.page.get_attribute("#desk", "data-stage") == "choose"


def test_a_session_that_ended_leads_to_the_sign_in(desk: Desk, store: Store) -> None:
    desk.press("Enter")
    desk.wait_stage("choose")
    store.reset_password("an")
    desk.press("2")
    desk.page.wait_for_selector("[name=password]")
    assert desk.page.url.endswith("/login")


def test_it_works_without_scripts(chromium: Any, address: str, store: Store) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    page.fill("[name=name]", "an")
    page.fill("[name=password]", PASSWORD)
    page.click("button.main")
    page.click(".listhead a.button")
    page.click("button[value=SUPPORTED]")
    page.wait_for_selector('#desk[data-stage="decide"]')
    page.click("button.main")
    page.wait_for_selector('#desk[data-stage="choose"]')
    assert len(store.reviews()) == 1
    context.close()


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_sticks_out(desk: Desk, width: int) -> None:
    desk.page.set_viewport_size({"width": width, "height": 740})
    for path in ("/queue", "/queue?view=all", "/mine", "/password"):
        desk.open(path)
        assert desk.page.evaluate("document.documentElement.scrollWidth") <= width, path
    desk.open("/queue")
    desk.page.click(".listhead a.button")
    desk.wait_stage("choose")
    assert desk.page.evaluate("document.documentElement.scrollWidth") <= width
    desk.press("1")
    desk.wait_stage("decide")
    assert desk.page.evaluate("document.documentElement.scrollWidth") <= width
    assert desk.page.locator(".buttons button").count() == 7
    desk.page.emulate_media(media="print")
    assert not desk.page.is_visible(".decide")
    assert desk.page.is_visible(".quote")
    desk.check_calm()


def test_payloads_in_every_field_are_inert(desk: Desk, store: Store, tmp_path: Path) -> None:
    payload = (
        '<script>window.pwned=1</script><img src=x onerror="window.pwned=1">'
        '\'"><svg onload=window.pwned=1><a href="javascript:window.pwned=1">x</a>'
    )
    poisoned = batch(week="2026-W50", flags=1, copies=1, quiet=0, suffix="x")
    claim = f"Luật nói {payload} có 7 thành viên."
    articles, mentions, judgements = [], [], []
    bad = replace(NEW_PASSAGE, text=payload, citation=payload, url="javascript:window.pwned=1")
    for number, old in enumerate(poisoned.articles):
        one = replace(
            old,
            article_id=digest("poison", str(number)),
            title=payload,
            lead=payload,
            body=claim,
            url="javascript:window.pwned=1",
            outlet=payload,
        )
        said = replace(
            poisoned.mentions[0],
            mention_id=digest("poisoned mention", str(number)),
            article_id=one.article_id,
            text=claim,
            start=one.text.index(claim),
            end=one.text.index(claim) + len(claim),
        )
        judged = flag(said, run_id=poisoned.run.run_id, p_refuted=0.99)
        articles.append(one)
        mentions.append(said)
        judgements.append(
            replace(
                judged,
                evidence=(replace(judged.evidence[0], passage_sha256=bad.sha256),),
                differences=(replace(judged.differences[0], claim=payload, evidence=payload),),
            )
        )
    write_batch(
        tmp_path / "inbox",
        replace(
            poisoned,
            articles=tuple(articles),
            mentions=tuple(mentions),
            judgements=tuple(judgements),
            passages=(bad,),
        ),
    )
    assert store.merge_inbox(tmp_path / "inbox") == [poisoned.run.run_id]
    desk.open("/queue?week=2026-W50")
    desk.check_calm()
    desk.press("Enter")
    desk.wait_stage("choose")
    desk.check_calm()
    desk.page.click("details.more summary")
    desk.page.fill("textarea[name=note]", payload)
    desk.page.click("button[value=REFUTED]")
    desk.wait_stage("decide")
    assert payload in desk.page.inner_text(".source")
    desk.check_calm()
    desk.page.click("button[data-key=Enter]")
    desk.page.wait_for_url("**/queue?**")
    desk.open("/mine")
    assert payload in desk.page.inner_text(".entries")
    assert desk.page.locator("a[href^=javascript]").count() == 0
    desk.check_calm()
