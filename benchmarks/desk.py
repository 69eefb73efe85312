"""The desk at a million claims: key to next claim, weight of a page, time to usable, search.

    python benchmarks/desk.py [--claims 1000000] [--decisions 100] [--store FILE] [--streamlit]

Real Chromium, real key events. With ``--streamlit`` (``pip install streamlit``; no dependency) the
same page is also built in Streamlit over the same claims, in the same run. Prints JSON.

- choose: the key of the blind choice until the suggestion stands in the page
- decide: the key that keeps it until the next claim stands in the page
- page: bytes over the wire of one item with empty cache, and milliseconds until it can be used
- search: from pressing Enter until the hits stand in the page; and the store's part alone
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import bigstore  # noqa: E402
from dashboards.serve import serve  # noqa: E402
from kiemchung.store import Store, open_store, search  # noqa: E402

PASSWORD = "mật khẩu đủ dài"
QUERIES = (
    "hop tac xa", "thành viên", "vốn điều lệ", "doanh thu ty dong", "hop tac xa nong nghiep 312",
    '"hợp tác xã nông nghiệp"', "so ho tham gia", "quang", "3141", "khanh hoa", "duoc nhung",
)  # fmt: skip

# Waits in the page itself, so that the clock stops when the claim is there and not at a poll.
_WATCH = """
(key) => new Promise((resolve) => {
  const desk = document.querySelector("#desk");
  const was = desk.dataset.item + desk.dataset.stage;
  const began = {at: 0};
  const start = () => { began.at = performance.now(); };
  document.addEventListener("keydown", start, {once: true, capture: true});
  new MutationObserver((_, watcher) => {
    const now = document.querySelector("#desk");
    if (now && now.dataset.item + now.dataset.stage !== was) {
      watcher.disconnect();
      requestAnimationFrame(() => resolve(performance.now() - began.at));
    }
  }).observe(document.querySelector("main"), {childList: true, subtree: true});
  window.ready = true;
})
"""

_WATCH_HEADING = """
window.took = new Promise((resolve) => {
  const was = document.querySelector("h3").textContent;
  let at = 0;
  const start = () => { at = performance.now(); };
  document.addEventListener("keydown", start, {once: true, capture: true});
  new MutationObserver((_, watcher) => {
    const now = document.querySelector("h3");
    if (now && now.textContent !== was) {
      watcher.disconnect();
      requestAnimationFrame(() => resolve(performance.now() - at));
    }
  }).observe(document.body, {childList: true, subtree: true, characterData: true});
});
0
"""

_WATCH_HITS = """
window.took = new Promise((resolve) => {
  const was = document.querySelector("#hits");
  let at = 0;
  const start = () => { at = performance.now(); };
  document.addEventListener("keydown", start, {once: true, capture: true});
  new MutationObserver((_, watcher) => {
    const now = document.querySelector("#hits");
    if (now && now !== was) {
      watcher.disconnect();
      requestAnimationFrame(() => resolve(performance.now() - at));
    }
  }).observe(document.querySelector("main"), {childList: true, subtree: true});
});
0
"""

_USABLE = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"

_STREAMLIT = """
import json, sys
import streamlit as st
claims = st.session_state.setdefault("claims", None)
@st.cache_resource
def load():
    with open(sys.argv[1], encoding="utf-8") as file:
        return json.load(file)
rows = load()
at = st.session_state.setdefault("at", 0)
def decide(label):
    st.session_state.setdefault("done", []).append((rows[st.session_state.at]["key"], label))
    st.session_state.at += 1
row = rows[at]
st.title("Bàn duyệt")
st.markdown(f"**{at + 1} / {len(rows)}**")
st.subheader(row["text"])
left, right = st.columns(2)
left.write(row["passages"])
right.write(row["article"])
for column, (key, label) in zip(st.columns(6), enumerate(
    ["Trái", "Phù hợp", "Chưa đủ", "Mâu thuẫn", "Không kiểm chứng", "Bỏ qua"], 1)):
    column.button(label, on_click=decide, args=(label,), shortcut=str(key), key=f"b{key}")
"""


def enrol(store: Store, name: str) -> None:
    """Add an account that has chosen its password."""
    once = store.add_user(name)
    account = store.authenticate(name, once)
    assert account is not None
    store.change_password(account, old=once, new=PASSWORD)


def _serve(path: Path, port: int) -> None:
    serve(path, path.parent / "inbox", host="127.0.0.1", port=port, double_share=0.0)


@contextmanager
def served(path: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Serve the desk in a process of its own, as `kiemchung serve` does; give address and process.

    In the process of the browser's driver the two would wait for each other's interpreter lock.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(path, port))
    server.start()
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with suppress(OSError):
                if urllib.request.urlopen(address + "/health", timeout=60).status == 200:
                    break
            time.sleep(0.1)
        time.sleep(15)  # it reads the order of the lists first
        yield address, psutil.Process(server.pid)
    finally:
        server.terminate()
        server.join(60)


def sign_in(page: Any, address: str, name: str, password: str) -> None:  # noqa: ANN401
    """Sign in by keyboard: the first field has the focus."""
    page.goto(address + "/login")
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")
    page.wait_for_url("**/queue")


def spread(values: list[float]) -> dict[str, float]:
    """Return p50, p95 and the largest, in milliseconds."""
    ordered = sorted(values)
    return {
        "n": len(ordered),
        "p50": round(statistics.median(ordered), 1),
        "p95": round(ordered[max(int(len(ordered) * 0.95) - 1, 0)], 1),
        "max": round(ordered[-1], 1),
    }


def timed_key(page: Any, key: str) -> float:  # noqa: ANN401
    """Press ``key`` and return the milliseconds until another item or stage stands in the page."""
    page.wait_for_timeout(300)  # keys rest after a swap
    page.evaluate(f"window.took = ({_WATCH})(); 0")
    page.keyboard.press(key)
    return float(page.evaluate("window.took"))


def desk_figures(browser: Any, address: str, decisions: int) -> dict[str, Any]:  # noqa: ANN401
    """Measure one reviewer who decides by key."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(60_000)
    sign_in(page, address, "an", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("#desk")
    chosen, decided = [], []
    for number in range(decisions):
        chosen.append(timed_key(page, "3"))
        decided.append(timed_key(page, "Enter"))
        if number == 0:
            chosen.clear()
            decided.clear()  # the first pays for what is kept afterwards
    cookies = page.context.cookies()
    item = page.url
    weights, usable = [], []
    for _ in range(5):
        context = browser.new_context()
        context.add_cookies(cookies)
        fresh = context.new_page()
        session = context.new_cdp_session(fresh)
        session.send("Network.enable")
        bytes_ = [0.0]
        session.on(
            "Network.loadingFinished",
            lambda event, bytes_=bytes_: bytes_.__setitem__(
                0, bytes_[0] + event["encodedDataLength"]
            ),
        )
        fresh.goto(item, wait_until="networkidle")
        usable.append(float(fresh.evaluate(_USABLE)))
        weights.append(bytes_[0])
        context.close()
    searched = []
    page.goto(address + "/search")
    for number, query in enumerate(QUERIES * 3):
        page.fill("main [name=q]", query)
        page.wait_for_timeout(300)
        page.evaluate(_WATCH_HITS)
        page.keyboard.press("Enter")
        took = float(page.evaluate("window.took"))
        if number:
            searched.append(took)
    opened = []  # nothing cached, but a browser that has been at work, as a monitor's has
    tab = page.context.new_page()
    session = page.context.new_cdp_session(tab)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    for _ in range(12):
        tab.goto(item, wait_until="networkidle")
        opened.append(float(tab.evaluate(_USABLE)))
    tab.close()
    return {
        "choose_ms": spread(chosen),
        "decide_ms": spread(decided),
        "page_kB": round(max(weights) / 1000, 1),
        "usable_ms": spread(opened[2:]),
        "usable_in_a_new_browser_ms": spread(usable),
        "search_ms": spread(searched),
    }


def search_figures(store: Store) -> dict[str, Any]:
    """Measure the store's part of a search, with words drawn from the claims themselves."""
    rnd = random.Random(3)
    outlets = search.outlets(store)
    took = []
    for number in range(120):
        words = " ".join(rnd.choices(bigstore.SYLLABLES, k=rnd.randint(1, 3)))
        text = words if number % 2 else f"hop tac xa {words}"
        query = search.Query(text=text, outlet=rnd.choice(outlets) if number % 5 == 0 else "")
        began = time.perf_counter()
        search.search(store, query)
        took.append((time.perf_counter() - began) * 1000)
    for text in QUERIES * 3:
        began = time.perf_counter()
        search.search(store, search.Query(text=text))
        took.append((time.perf_counter() - began) * 1000)
    return spread(took)


def streamlit_rows(store: Store, decisions: int) -> str:
    """Return what the page in Streamlit shows, as JSON: the claims that the desk shows."""
    account = store.authenticate("an", PASSWORD)
    assert account is not None
    rows = []
    for entry in store.queue(account)[: decisions + 50]:
        item = store.item(entry.mention_key)
        assert item is not None
        rows.append(
            {
                "key": entry.mention_key,
                "text": entry.text,
                "article": item.article.text,
                "passages": [f"{s.passage.text} ({s.passage.citation})" for s in item.passages],
            }
        )
    return json.dumps(rows, ensure_ascii=False)


def streamlit_figures(browser: Any, rows: str, folder: Path, decisions: int) -> dict[str, Any]:  # noqa: ANN401
    """Measure the same claims in Streamlit: claim, passages, article, six buttons with keys."""
    (folder / "rows.json").write_text(rows, encoding="utf-8")
    (folder / "page.py").write_text(_STREAMLIT, encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [
            sys.executable, "-m", "streamlit", "run", str(folder / "page.py"), "--server.port",
            str(port), "--server.headless", "true", "--server.address", "127.0.0.1",
            "--browser.gatherUsageStats", "false", "--global.developmentMode", "false", "--",
            str(folder / "rows.json"),
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(600):  # its first start compiles for half a minute
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        else:
            raise SystemExit("Streamlit did not start within a minute; is it installed?")
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(60_000)
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        weight = [0.0]
        session.on(
            "Network.loadingFinished",
            lambda event: weight.__setitem__(0, weight[0] + event["encodedDataLength"]),
        )
        began = time.perf_counter()
        page.goto(f"http://127.0.0.1:{port}")
        page.wait_for_selector("h3")
        usable = (time.perf_counter() - began) * 1000
        page.wait_for_function("document.querySelectorAll('button').length >= 6")
        page.wait_for_timeout(2000)  # its keys work a while after its buttons stand there
        took = []
        for number in range(decisions):
            page.wait_for_timeout(300)
            page.evaluate(_WATCH_HEADING)
            page.keyboard.press("3")
            value = float(page.evaluate("window.took"))
            if number:
                took.append(value)
        return {
            "decide_ms": spread(took),
            "page_kB": round(weight[0] / 1000, 1),
            "usable_ms": round(usable, 1),
        }
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    """Build or open the store and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--claims", type=int, default=1_000_000)
    parser.add_argument("--decisions", type=int, default=100)
    parser.add_argument("--store", type=Path, help="kept, and used again by the next run")
    parser.add_argument("--streamlit", action="store_true")
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder:
        path = given.store or Path(folder) / "big.duckdb"
        with open_store(path) as store:
            bigstore.fill(store, given.claims, say=True)
            if not store.has_changed_password("an"):
                enrol(store, "an")
            counted = store.counts()["mentions"]
            figures = {"claims": counted, "search_store_ms": search_figures(store)}
            rows = streamlit_rows(store, given.decisions) if given.streamlit else ""
        print(json.dumps(figures), flush=True)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
            )
            with served(path) as (address, process):
                print(json.dumps(desk_figures(browser, address, given.decisions)), flush=True)
                print(json.dumps({"memory_MB": round(process.memory_info().rss / 1e6)}))
            if given.streamlit:
                beside = streamlit_figures(browser, rows, Path(folder), given.decisions)
                print(json.dumps({"streamlit": beside}))
            browser.close()


if __name__ == "__main__":
    main()
