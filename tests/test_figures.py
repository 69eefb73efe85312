"""The figures of the docs are those of the results, the results those of the program and the models."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import re
import runpy
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import figures

ROOT = Path(__file__).resolve().parents[1]


RUNS = figures.read_registry()
CHEAP = [name for name, run in RUNS.items() if run.cheap]


# -- docs, results, models -------------------------------------------------------------------------


def test_docs_results_and_models_agree() -> None:
    """A figure that was moved, a result older than its model, a page not made anew: each is named."""
    assert figures.check(RUNS).faults == []


def test_every_page_with_measurements_names_figures() -> None:
    named = {q.page.name for page in figures.pages() for q in figures.quotes(page)}
    assert {"README.md", "research.md", "measurements.md", "measurements-model.md"} <= named


@pytest.mark.slow
@pytest.mark.parametrize("name", CHEAP)
def test_a_cheap_figure_is_still_what_its_command_says(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run, stored = RUNS[name], figures.read_stored(name)
    assert stored is not None
    again = figures.figures_of(run, printed(run.command, monkeypatch, tmp_path))
    assert figures.compare(run, stored, again) == []


def printed(command: str, monkeypatch: pytest.MonkeyPatch, scratch: Path) -> str:
    """What a command prints, run in this process: an interpreter for each would cost the most."""
    program, *words = shlex.split(command.format(scratch=scratch, data=""))
    if program == "cat":
        return (ROOT / words[0]).read_text(encoding="utf-8")
    if program == "kiemchung":
        from typer.testing import CliRunner

        from pipeline.cli import app

        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        return done.stdout
    assert program == "python", program
    said = io.StringIO()
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.chdir(ROOT)
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        runpy.run_path(words[0], run_name="__main__")
    return said.getvalue()


@pytest.mark.parametrize("folder", ["default", "plain"])
def test_a_model_card_says_what_the_manifest_says(folder: str) -> None:
    manifest = json.loads((ROOT / "models" / folder / "manifest.json").read_text("utf-8"))
    card = (ROOT / "models" / folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    shown = re.search(r"^## Figures\n(\{.*?^\})$", card, re.MULTILINE | re.DOTALL)
    assert shown
    assert json.loads(shown.group(1)) == manifest["metrics"]
    assert f"P(REFUTED) >= {manifest['threshold']}." in card
    assert card.startswith(f"# {manifest['model_id']}\n")


def test_the_first_of_the_five_trainings_is_the_shipped_model_and_none_was_edited(
    tmp_path: Path,
) -> None:
    seeds = runpy.run_path(str(ROOT / "benchmarks" / "seeds.py"))
    names = [seeds["read"](p)["calibration"]["seed"] for p in sorted(seeds["FOLDER"].glob("*"))]
    assert names == [0, 1, 2, 3, 4]
    first = (seeds["FOLDER"] / "1.json").read_bytes()
    assert first == (ROOT / "models" / "default" / "manifest.json").read_bytes()
    (tmp_path / "1.json").write_bytes(
        first.replace(b'"zero_shot_macro_f1": 0.709', b'"zero_shot_macro_f1": 0.809')
    )
    with pytest.raises(ValueError, match="was changed after it was written"):
        seeds["read"](tmp_path / "1.json")


def test_the_stored_gates_reach_the_floors_of_the_shipped_model() -> None:
    floors = json.loads((ROOT / "models" / "floors.json").read_text(encoding="utf-8"))
    stored = figures.read_stored("gates")
    held = 0
    for figure, place in RUNS["gates"].figures.items():
        parts = place.split("/")
        if parts[0] == "gates" and parts[2] == "value" and parts[1] in floors:
            floor, value = floors[parts[1]], stored.figures[figure]
            last = floor["steps"][-1]
            assert value >= last if floor["higher"] else value <= last, figure
            held += 1
    assert held > 15


# -- the check itself can fail ---------------------------------------------------------------------

PAGE = "Of the sample 59 of 59<!-- figure: demo.flags_right demo.flags --> flags are right, and\n0.908<!-- figure: demo.recall --> is found.\n"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One page and one result of our own."""
    run = RUNS["demo"]
    (tmp_path / "page.md").write_text(PAGE, encoding="utf-8")
    monkeypatch.setattr(figures, "pages", lambda: [tmp_path / "page.md"])
    monkeypatch.setattr(figures, "PAGE", tmp_path / "figures.md")
    values = dict.fromkeys(run.figures, 59.0) | {"recall": 59 / 65}
    figures.store(run, values, tmp_path)
    figures.write({"demo": run}, tmp_path)
    return tmp_path


def faults(world: Path, **changed: Any) -> list[str]:
    run = dataclasses.replace(RUNS["demo"], **changed)
    return figures.check({"demo": run}, world).faults


def test_a_page_that_fits_has_no_fault(world: Path) -> None:
    assert faults(world) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "59 of 59",
            "58 of 59",
            "page.md:1: demo.flags_right is written as 58, the result says 59",
        ),
        ("59 of 59", "59 of 60", "demo.flags is written as 60"),
        ("0.908", "0.909", "page.md:2: demo.recall is written as 0.909, the result says 0.908"),
        ("0.908", "0.91", ""),
        ("0.908", "90.8 %", ""),
        ("0.908", "90.9 %", "written as 90.9, the result says 90.8"),
        ("demo.recall ", "demo.recal ", "page.md:2: no figure demo.recal"),
    ],
)
def test_a_page_that_parts_from_the_result_is_named(
    world: Path, old: str, new: str, said: str
) -> None:
    assert old in PAGE
    (world / "page.md").write_text(PAGE.replace(old, new, 1), encoding="utf-8")
    found = faults(world)
    assert len(found) == bool(said)
    assert not said or said in found[0]


def test_a_result_that_moved_is_named_and_written_into_the_page(world: Path) -> None:
    figures.store(RUNS["demo"], dict.fromkeys(RUNS["demo"].figures, 57.0) | {"recall": 0.5}, world)
    assert len(faults(world)) == 4  # three numbers, and the page of all figures
    told = figures.write({"demo": RUNS["demo"]}, world)
    assert [t.split(": ", 1)[1] for t in told] == [
        "demo.recall: 0.908 -> 0.500", "demo.flags: 59 -> 57", "demo.flags_right: 59 -> 57",
    ]  # fmt: skip
    assert faults(world) == []


def test_a_result_older_than_its_model_is_named(world: Path) -> None:
    body = json.loads((world / "demo.json").read_text(encoding="utf-8"))
    (world / "demo.json").write_text(json.dumps(body | {"model_sha256": "0" * 64}))
    assert "older than models/default" in faults(world)[0]


def test_a_result_of_another_command_or_of_other_figures_is_named(world: Path) -> None:
    assert "stored by another command" in faults(world, command="kiemchung demo --quick")[0]
    assert "stored with other figures: extra" in faults(
        world, figures=dict(RUNS["demo"].figures) | {"extra": "x"}
    )[0]  # fmt: skip


def test_a_run_that_never_ran_is_named(world: Path) -> None:
    (world / "demo.json").unlink()
    assert "demo: never run" in faults(world)[0]


def test_a_comment_with_too_few_numbers_before_it_names_its_line() -> None:
    text = "One 1.\n\nTwo of two<!-- figure: a.b a.c -->"
    with pytest.raises(ValueError, match=r"p\.md:3: 2 figures are named and only 0 numbers"):
        list(figures.quotes(Path("p.md"), text))


def test_numbers_are_read_as_they_are_written() -> None:
    text = "2,110<!-- figure: a --> pairs, 1.5e-6<!-- figure: b -->, 0.3 %<!-- figure: c -->, error 0.25<!-- figure: d|x -->"
    found = list(figures.quotes(Path("p.md"), text))
    assert [(q.written, q.percent, q.distance) for q in found] == [
        ("2,110", False, False), ("1.5e-6", False, False), ("0.3", True, False), ("0.25", False, True),
    ]  # fmt: skip
    assert [q.agrees(v) for q, v in zip(found, (2110.0, 1.52e-6, 0.003, 0.75), strict=True)] == [
        True
    ] * 4
    assert [q.agrees(v) for q, v in zip(found, (2111.0, 1.6e-6, 0.004, 0.76), strict=True)] == [
        False
    ] * 4


@given(st.floats(min_value=0, max_value=99_999), st.integers(min_value=0, max_value=6))
def test_what_is_written_from_a_value_agrees_with_it_and_not_with_its_neighbour(
    value: float, places: int
) -> None:
    written = figures.as_written(value, f"{0:.{places}f}")
    (quote,) = figures.quotes(Path("p.md"), f"it is {written}<!-- figure: a.b -->")
    assert quote.agrees(value)
    assert not quote.agrees(float(written) + 1.01 * 10.0**-places)


@pytest.mark.parametrize(
    ("path", "value"),
    [("a.b", 3.0), ("list.1", 5.0), ("#list", 2.0), ("with: colon, and. dot/x", 7.0)],
)
def test_a_figure_is_found_at_its_place(path: str, value: float) -> None:
    answer = {"a": {"b": 3}, "list": [4, 5], "with: colon, and. dot": {"x": 7}}
    assert figures.place(answer, path) == value


@pytest.mark.parametrize("path", ["a", "a.c", "list.7", "list.x", "text", "true"])
def test_what_is_no_figure_is_refused(path: str) -> None:
    with pytest.raises(KeyError):
        figures.place({"a": {"b": 3}, "list": [4], "text": "5", "true": True}, path)
