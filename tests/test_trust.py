"""docs/trust.md names every row of the fault table once, and tests and benchmarks that exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "trust.md"
FAULTS, GOALS = 71, 10
HEADS = {"row": FAULTS, "goal": GOALS}
"""The first word of a table's head, and how many numbered rows its kind has in all."""
NAMED = re.compile(r"`[^`]*(\.py|kiemchung )")
KNOWN = re.compile(r"(?:tests/)?(?P<file>[\w/]+\.py)?(?:::(?P<test>test_\w*)(?P<more>…)?)?")


@cache
def names_in(file: str) -> tuple[str, ...]:
    """Return the names of the test functions of a file below tests/."""
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    found = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return tuple(n.name for n in found if n.name.startswith("test_"))


def rows(page: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the kind (head's first word) and the cells of each row of each table."""
    kind = ""
    for line in page.splitlines():
        if not line.startswith("|"):
            kind = ""
            continue
        cells = [c.strip() for c in line.strip("|").split("|")]
        if not kind:
            kind = cells[0]
        elif not set(line) <= set("|- "):
            yield kind, cells


def unknown(cell: str) -> Iterator[str]:
    """Yield what a cell names between back quotes and is not there.

    Commands are taken word by word; `::` alone goes on in the file before it.
    """
    file = ""
    for word in " ".join(re.findall(r"`([^`]*)`", cell)).split():
        if word.startswith("benchmarks/"):
            if not (ROOT / word).is_file():
                yield f"no benchmark {word}"
            continue
        known = KNOWN.fullmatch(word)
        if known is None or not (known["file"] or known["test"]):
            if ".py" in word or "::" in word:
                yield f"{word} is no file::test"
            continue
        file = known["file"] or file
        if not file or not (ROOT / "tests" / file).is_file():
            yield f"no file tests/{file} for {word}"
            continue
        name = known["test"]
        if name and not known["more"] and name not in names_in(file):
            yield f"no test {name} in {file}"
        begin = [t for t in names_in(file) if name and t.startswith(name)]
        if known["more"] and len(begin) != 1:
            yield f"{name}… begins {len(begin)} tests in {file}"


def problems(page: str) -> list[str]:
    """Return what is wrong with a page, one line each."""
    found: list[str] = []
    seen: dict[str, list[int]] = {kind: [] for kind in HEADS}
    for kind, cells in rows(page):
        number = re.match(r"(\d+) \S", cells[0])
        if kind not in HEADS or number is None or len(cells) != (3 if kind == "row" else 4):
            found.append(f"no row of a table: {cells}")
            continue
        seen[kind].append(int(number[1]))
        where = f"{kind} {number[1]}"
        if not all(cells):
            found.append(f"{where}: an empty cell")
        if not NAMED.search(cells[1]) and not cells[1].startswith("not tested: "):
            found.append(f"{where}: neither a test nor “not tested: …”")
        found += [f"{where}: {text}" for text in unknown(cells[1])]
    for kind, most in HEADS.items():
        if seen[kind] != list(range(1, most + 1)):
            odd = set(range(1, most + 1)).symmetric_difference(seen[kind])
            twice = {n for n in seen[kind] if seen[kind].count(n) > 1}
            found.append(f"{kind}: missing or unknown {sorted(odd)}, doubled {sorted(twice)}")
    return found


def test_every_row_is_there_and_names_what_exists() -> None:
    assert problems(PAGE.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (r"^\| 27 .*\n", "", r"row: missing or unknown \[27\], doubled \[\]"),
        (r"^(\| 27 .*\n)", r"\1\1", r"row: missing or unknown \[\], doubled \[27\]"),
        (r"^\| 71 ", "| 72 ", r"row: missing or unknown \[71, 72\]"),
        (r"^\| 10 flags.*\n", "", r"goal: missing or unknown \[10\]"),
        (r"crawler/test_guard\.py", "crawler/test_gone.py", r"row 2: no file tests/crawler/test_g"),
        (r"::test_ids_are_numbers", "::test_ids_are_words", "row 40: no test test_ids_are_words"),
        (r"::test_any_order…", "::test_some_order…", "row 56: test_some_order… begins 0 tests"),
        (r"::test_any_order…", "::test_…", r"row 56: test_… begins \d+ tests"),
        (r"::test_ids_are_numbers", "::ids_are_numbers", "row 40: .*is no file::test"),
        (r"benchmarks/crash\.py", "benchmarks/crush.py", "row 51: no benchmark benchmarks/crush"),
        (r"^(\| 53 [^|]*\|)[^|]*", r"\1 by hand ", "row 53: neither a test"),
        (r"^(\| 53 [^|]*\|[^|]*\|)[^|]*", r"\1 ", "row 53: an empty cell"),
        (r"tests/pipeline/test_fuzz\.py", "tests/pipeline/test_fuss.py", "goal 4: no file tests/p"),
    ],
)  # fmt: skip
def test_a_spoiled_page_is_told(old: str, new: str, told: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    spoiled = re.sub(old, new, page, count=1, flags=re.MULTILINE)
    assert spoiled != page
    assert any(re.search(told, text) for text in problems(spoiled)), problems(spoiled)
