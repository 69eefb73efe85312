"""A monitor's morning: items reviewed in a real Chromium by keyboard alone, on the demo's store.

    kiemchung demo --no-serve --data var/demo
    python benchmarks/morning.py var/demo [--items 100] [--pictures docs/pictures]

Works on a copy of the store. The mouse is never used: sign-in, list, first look, kinds, passages,
copies, smallest correction, note, second look, undo, search and jump all go by key. Prints how many
items were concluded, how many key presses that took, and what the store holds afterwards; exits
with 1 when they do not agree.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.desk import PASSWORD, enrol, served, sign_in  # noqa: E402
from kiemchung.store import Store, open_store, search  # noqa: E402


class Hands:
    """A person at the keyboard: presses keys, counts them, and never touches the mouse."""

    def __init__(self, page: Any) -> None:  # noqa: ANN401  playwright is not a dependency
        self.page = page
        self.pressed = 0

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.page.keyboard.press(key)
            self.pressed += 1

    def type(self, text: str) -> None:
        """Type into whatever has the focus."""
        self.page.keyboard.type(text)
        self.pressed += len(text)

    def wait(self, selector: str) -> None:
        """Wait until the page shows it, then as long as keys rest after a swap."""
        self.page.wait_for_selector(selector)
        self.page.wait_for_timeout(280)


def picture(page: Any, folder: Path | None, name: str, *, whole: bool = False) -> None:  # noqa: ANN401
    """Keep a picture for the manual."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(folder / f"{name}.png"), full_page=whole)


def item(page: Any) -> int:  # noqa: ANN401
    """Return the key of the item on the page."""
    return int(page.get_attribute("#desk", "data-item"))


def morning(page: Any, items: int, pictures: Path | None) -> tuple[int, int]:  # noqa: ANN401
    """Conclude ``items`` items and return how many stand concluded, and the keys pressed."""
    hands = Hands(page)
    page.goto(page.url.split("/queue")[0] + "/queue?view=all")
    picture(page, pictures, "hang-doi")
    hands.press("Enter")
    hands.wait("#desk")
    done = 0
    while done < items:
        here = item(page)
        stage = page.get_attribute("#desk", "data-stage")
        cited = page.eval_on_selector_all("[name=cite]:checked", "boxes => boxes.length")
        if stage == "choose":
            if done == 0:
                picture(page, pictures, "chon-truoc")
                if page.query_selector("[name=copies]"):
                    hands.press("9", "1", "1", "Escape")
                hands.press("7", "1", "Escape", "-")
                hands.type("7 → 5 thành viên, từ 1/7/2024")
                hands.press("Escape", "0")
                hands.type("so với luật hiện hành 1 2 3")
                hands.press("Escape")
                picture(page, pictures, "phim")
            if done % 10 == 7:
                hands.press("6")  # nobody concludes everything
                hands.wait(f"#desk:not([data-item='{here}'])")
                done += 1
                continue
            hands.press("1" if cited and done % 4 == 0 else "3" if done % 2 else "2")
            hands.wait(f"#desk[data-stage=decide][data-item='{here}']")
            if done == 0:
                picture(page, pictures, "goi-y")
        hands.press("Enter" if done % 5 else "5")
        hands.wait(f"#desk:not([data-item='{here}'])")
        done += 1
        if done == 3:  # a slip: back, and once more
            hands.press("u")
            hands.wait(f"#desk[data-item='{here}']")
            done -= 1
            hands.press("Enter")
            hands.wait(f"#desk:not([data-item='{here}'])")
            done += 1
    hands.press("/")
    hands.type("hop tac xa thanh vien")
    hands.press("Enter")
    page.wait_for_url("**/search?*")
    picture(page, pictures, "tim")
    page.go_back()
    hands.wait("#desk")
    hands.press("g")
    hands.type("2")
    hands.press("Enter")
    hands.wait("#desk")
    page.goto(page.url.split("/item")[0] + "/keys")
    picture(page, pictures, "phim-rieng", whole=True)
    return done, hands.pressed


def main() -> int:
    """Run it and compare what was pressed with what is stored."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("data", type=Path, help="the data folder of the demo")
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--pictures", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "kiemchung.duckdb"
        found = sorted(given.data.glob("*.duckdb"))
        shutil.copyfile(found[0], copy)
        with open_store(copy) as store:
            search.catch_up(store)
            before = len(store.reviews())
            enrol(store, "bientap-sang")
        from playwright.sync_api import sync_playwright

        with served(copy) as (address, _), sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(viewport={"width": 1180, "height": 960})
            page.set_default_timeout(120_000)
            sign_in(page, address, "bientap-sang", PASSWORD)
            began = time.perf_counter()
            done, pressed = morning(page, given.items, given.pictures)
            minutes = (time.perf_counter() - began) / 60
            browser.close()
        with open_store(copy) as store:
            return report(store, before, done, pressed, minutes)


def report(store: Store, before: int, done: int, pressed: int, minutes: float) -> int:
    """Print the figures and return the exit status."""
    acts = store.reviews()[before:]
    undone = [r for r in acts if r.undoes is not None]
    standing = len(acts) - 2 * len(undone)
    print(
        f"{done} items by keyboard alone, {pressed} key presses ({pressed / done:.1f} an item),"
        f" {minutes:.1f} min; stored: {standing} standing, {len(undone)} undone"
    )
    return 0 if standing == done and len(undone) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
