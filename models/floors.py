"""Floors of the gates: one file, whose steps only ever rise.

```
{"macro_f1": {"higher": true, "steps": [0.85, 0.87]}, "ece": {"higher": false, "steps": [0.09]}}
```
``higher`` says which way is better. A better figure is added as a step; a floor is lowered only
when somebody says why, and the reason stays in the file with the figures before and after.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kiemchung.errors import InputError, ModelError
from kiemchung.shards import write_bytes_atomically

FLOORS: Final = Path(__file__).parent / "floors.json"
PLACES: Final = 3
# Between figure and floor: another processor or library moves a pair that was undecided.
ROOM: Final = 0.01
ROOM_OF_FEW: Final = 0.03
MANY: Final = 500  # cases from which the smaller room is enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One measured figure; ``value`` is None where no pair admits it.

    ``higher`` says whether more is better, ``n`` how many cases the figure rests on. A ``firm``
    figure has no room below it: not one opinion may be flagged.
    """

    name: str
    value: float | None
    n: int
    higher: bool = True
    firm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How one floor was moved; ``before`` is None for a new one."""

    name: str
    before: float | None
    after: float


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        body: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        for name, row in body.items():
            steps = [float(x) for x in row["steps"]]
            order = sorted(steps, reverse=not row["higher"])
            if not steps or steps != order:
                raise ValueError(f"{name}: floors only rise, {steps} does not")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"no floors: {error}", where=str(path), remedy="restore it; add a step, change none"
        ) from error
    return body


def floors(path: Path = FLOORS) -> dict[str, float]:
    """Return the floor (or ceiling) of each gate of the shipped model.

    Raises:
        ModelError: the file is missing, or a later floor of a gate is easier than an earlier one.
    """
    return {name: float(row["steps"][-1]) for name, row in _read(path).items()}


def broken(gates: Sequence[Gate], wanted: Mapping[str, float]) -> list[str]:
    """Return a line for each gate that misses its floor or was not measured."""
    by_name = {g.name: g for g in gates}
    lines = []
    for name, floor in sorted(wanted.items()):
        gate = by_name.get(name)
        if gate is None or gate.value is None:
            lines.append(f"{name}: not measured, the floor is {floor:g}")
        elif (gate.value < floor) if gate.higher else (gate.value > floor):
            side = "below the floor" if gate.higher else "above the ceiling"
            lines.append(f"{name}: {gate.value:.4f} of {gate.n} is {side} {floor:g}")
    return lines


def floor_of(gate: Gate) -> float:
    """Return the floor that a figure would set: the figure less its room, rounded away from it."""
    room = 0.0 if gate.firm else ROOM if gate.n >= MANY else ROOM_OF_FEW
    scale = 10**PLACES
    value = gate.value or 0.0
    if gate.higher:
        return math.floor((value - room) * scale + 1e-9) / scale
    return math.ceil((value + room) * scale - 1e-9) / scale


def update(gates: Sequence[Gate], path: Path = FLOORS, *, lower: str = "") -> tuple[Change, ...]:
    """Raise every floor that the figures pass, add the missing ones, and return what was moved.

    A figure worse than its floor lowers it only with ``lower``, the reason, which is kept in the
    file. A gate that was not measured keeps its floor.

    Raises:
        InputError: a floor would have to be lowered and no reason was given; nothing is written.
        ModelError: the file cannot be used.
    """
    body = _read(path) if path.is_file() else {}
    worse = [
        line
        for line in broken(gates, {n: float(r["steps"][-1]) for n, r in body.items()})
        if "not measured" not in line
    ]
    if worse and not lower.strip():
        raise InputError(
            "floors only rise: " + "; ".join(worse),
            where=str(path),
            remedy="give --lower-floors WHY to lower them, or another model",
        )
    moved = []
    for gate in gates:
        if gate.value is None:
            continue
        new = floor_of(gate)
        row = body.get(gate.name)
        if row is None:
            body[gate.name] = {"higher": gate.higher, "steps": [new]}
            moved.append(Change(name=gate.name, before=None, after=new))
            continue
        old = float(row["steps"][-1])
        if (new > old) if gate.higher else (new < old):
            row["steps"].append(new)
            moved.append(Change(name=gate.name, before=old, after=new))
        elif (gate.value < old) if gate.higher else (gate.value > old):
            lowered = {"from": row["steps"], "to": new, "why": " ".join(lower.split())}
            row["lowered"] = [*row.get("lowered", []), lowered]
            row["steps"] = [new]
            moved.append(Change(name=gate.name, before=old, after=new))
    text = json.dumps(dict(sorted(body.items())), ensure_ascii=False, indent=1) + "\n"
    write_bytes_atomically(path, text.encode("utf-8"))
    return tuple(moved)
