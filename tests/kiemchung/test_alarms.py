"""Every alarm that the code can raise has a kind, and every kind an entry for the administrator."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from kiemchung.alarms import KINDS, OTHER, kind_of, outlet_of

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("crawler/run.py", "pipeline/weekly.py", "pipeline/health.py", "pipeline/deliver.py")


def kinds_of_health() -> set[str]:
    """Every ``kind=`` that an `Alarm` or a share of `crawler.health` is made with."""
    tree = ast.parse((ROOT / "crawler" / "health.py").read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "kind":
            found |= {
                leaf.value
                for leaf in ast.walk(node.value)
                if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)
            }
    return found


def as_text(node: ast.JoinedStr) -> str:
    """An f-string with something plausible where its values go."""
    parts = []
    for value in node.values:
        if isinstance(value, ast.Constant):
            parts.append(str(value.value))
        else:
            source = ast.unparse(value)
            parts.append("feed" if "kind" in source else "7")
    return "".join(parts)


def alarm_texts() -> list[str]:
    """Every f-string that is put among the alarms: appended, added, or returned by `alarms`."""
    found = []
    for place in PLACES:
        name = "lines" if place == "pipeline/health.py" else "alarms"
        for node in ast.walk(ast.parse((ROOT / place).read_text(encoding="utf-8"))):
            source = ast.unparse(node) if isinstance(node, ast.stmt | ast.Call) else ""
            if re.match(rf"{name}(\.append\(| \+?= )|def alarms\(", source):
                found += [as_text(n) for n in ast.walk(node) if isinstance(n, ast.JoinedStr)]
    return found


def test_every_kind_of_outlet_health_is_known() -> None:
    found = kinds_of_health()
    assert len(found) >= 15
    assert found <= set(KINDS), found - set(KINDS)


def test_every_alarm_in_the_code_has_a_kind() -> None:
    texts = {t for t in alarm_texts() if t != "feed: 7: 7"}  # the kinds of health, tested above
    assert len(texts) >= 9
    assert not [t for t in texts if kind_of(t) == OTHER]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_in_the_administrators_table(kind: str) -> None:
    text = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    rows = re.findall(rf"^\| `{kind}` \|([^|]+)\|([^|]+)\|$", text, re.MULTILINE)
    assert len(rows) == 1, f"docs/operating.md needs one row: | `{kind}` | meaning | what to do |"
    assert all(len(cell.strip()) > 10 for cell in rows[0])


def test_the_table_names_no_kind_that_is_gone() -> None:
    text = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    section = text.split("## Alarms")[1].split("\n## ")[0]
    named = re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE)
    assert sorted(named) == sorted([*KINDS, OTHER])


@pytest.mark.parametrize(
    ("line", "kind", "outlet"),
    [
        ("dead feed: nui-cao http://x.example/rss (http_500)", "dead_list", "nui-cao"),
        ("dead sitemap: nui-cao http://x.example/s.xml (gone)", "dead_list", "nui-cao"),
        ("page budget used up: song-hong (9 pages left for the next run)", "page_budget",
         "song-hong"),
        ("redesign: song-hong: a body has 90 characters", "redesign", "song-hong"),
        ("dead_feed: song-hong: no answer", "dead_feed", "song-hong"),
        ("12 of 40 pages quarantined: {'truncated': 12}", "pages_quarantined", ""),
        ("3 addresses still pending", "pending", ""),
        ("report not delivered by mail after 3 tries: refused", "not_delivered", ""),
        ("unreadable history: var/health/x.json: no week", "unreadable_history", ""),
        ("something new", OTHER, ""),
    ],
)  # fmt: skip
def test_kind_and_outlet_are_read_back(line: str, kind: str, outlet: str) -> None:
    assert (kind_of(line), outlet_of(line)) == (kind, outlet)
