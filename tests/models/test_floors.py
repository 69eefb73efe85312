"""Floors rise by themselves and fall only with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiemchung.errors import InputError, ModelError
from models import floors
from models.floors import Change, Gate


def test_floors_only_rise(tmp_path: Path) -> None:
    path = tmp_path / "floors.json"

    def written(steps: list[float], *, higher: bool) -> Path:
        body = {"x": {"higher": higher, "steps": steps}}
        path.write_text(json.dumps(body), encoding="utf-8")
        return path

    assert floors.floors(written([0.5, 0.6], higher=True)) == {"x": 0.6}
    assert floors.floors(written([0.2, 0.1], higher=False)) == {"x": 0.1}
    for steps, higher in (([0.6, 0.5], True), ([0.1, 0.2], False), ([], True)):
        with pytest.raises(ModelError, match="no floors"):
            floors.floors(written(steps, higher=higher))
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(ModelError, match="no floors"):
        floors.floors(path)
    with pytest.raises(ModelError, match="no floors"):
        floors.floors(tmp_path / "none.json")


def test_a_missed_floor_is_told_with_both_figures() -> None:
    found = [
        Gate(name="a", value=0.9, n=10),
        Gate(name="b", value=0.3, n=10, higher=False),
        Gate(name="c", value=None, n=0),
    ]
    assert floors.broken(found, {"a": 0.9, "b": 0.3}) == []
    lines = floors.broken(found, {"a": 0.95, "b": 0.2, "c": 0.1, "d": 0.1})
    assert len(lines) == 4
    assert "a: 0.9000 of 10 is below the floor 0.95" in lines
    assert "b: 0.3000 of 10 is above the ceiling 0.2" in lines
    assert sum("not measured" in line for line in lines) == 2


def _read(path: Path) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return body


def test_a_better_figure_is_a_new_step_and_a_worse_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "floors.json"
    first = [
        Gate(name="f1", value=0.8, n=1000),
        Gate(name="ece", value=0.1, n=1000, higher=False),
        Gate(name="few", value=0.8, n=40),
        Gate(name="none", value=None, n=0),
    ]
    moved = floors.update(first, path)
    assert moved[0] == Change(name="f1", before=None, after=0.79)
    assert floors.floors(path) == {"f1": 0.79, "ece": 0.11, "few": 0.77}
    assert floors.broken(first[:3], floors.floors(path)) == []
    better = [Gate(name="f1", value=0.9, n=1000), Gate(name="ece", value=0.1, n=1000, higher=False)]
    assert floors.update(better, path) == (Change(name="f1", before=0.79, after=0.89),)
    assert _read(path)["f1"]["steps"] == [0.79, 0.89]
    within = [Gate(name="f1", value=0.895, n=1000)]
    assert floors.update(within, path) == ()  # worse, but no worse than the floor allows
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"f1: 0\.7000 of 1000 is below the floor 0\.89"):
        floors.update([Gate(name="f1", value=0.7, n=1000)], path)
    assert path.read_bytes() == before


def test_a_floor_falls_with_a_reason_that_stays(tmp_path: Path) -> None:
    path = tmp_path / "floors.json"
    floors.update([Gate(name="f1", value=0.9, n=1000)], path)
    moved = floors.update([Gate(name="f1", value=0.7, n=1000)], path, lower="another  model")
    assert moved == (Change(name="f1", before=0.89, after=0.69),)
    assert floors.floors(path) == {"f1": 0.69}
    assert _read(path)["f1"]["lowered"] == [{"from": [0.89], "to": 0.69, "why": "another model"}]
    with pytest.raises(InputError, match="only rise"):
        floors.update([Gate(name="f1", value=0.1, n=1000)], path, lower="   ")


def test_a_firm_gate_leaves_no_room(tmp_path: Path) -> None:
    path = tmp_path / "floors.json"
    floors.update([Gate(name="flagged", value=0.0, n=200, higher=False, firm=True)], path)
    one = [Gate(name="flagged", value=1 / 200, n=200, higher=False, firm=True)]
    assert len(floors.broken(one, floors.floors(path))) == 1


@given(st.integers(1, 5000), st.data(), st.booleans(), st.booleans())
def test_a_figure_holds_the_floor_that_it_sets(
    n: int, data: st.DataObject, higher: bool, firm: bool
) -> None:
    value = data.draw(st.integers(0, n)) / n
    gate = Gate(name="x", value=value, n=n, higher=higher, firm=firm)
    floor = floors.floor_of(gate)
    assert floors.broken([gate], {"x": floor}) == []
    assert abs(floor - value) <= 0.031
