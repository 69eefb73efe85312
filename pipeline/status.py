"""What there is: runs, how far each came, what lies in the store and in the inbox."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from kiemchung.config import Settings
from kiemchung.errors import StoreError
from kiemchung.store import open_store
from pipeline import stages
from pipeline.weekly import store_path

_STAGES = ("extract", "analyse", "judge")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """How far one run came."""

    run_id: str
    week: str
    outlets: int
    finished: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The state of one data folder."""

    data_dir: str
    runs: tuple[RunState, ...]
    waiting: tuple[str, ...]  # batches in the inbox that no store has merged
    quarantined: tuple[str, ...]
    counts: dict[str, int]
    store: str  # "open", "absent", or why it cannot be read

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for `--json`."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the lines for a terminal."""
        found = [f"{self.data_dir}: store {self.store}"]
        found += [f"  {name} {count}" for name, count in self.counts.items()]
        found += [f"  {r.run_id}: {', '.join(r.finished) or 'not started'}" for r in self.runs]
        found += [f"  waiting in the inbox: {name}" for name in self.waiting]
        found += [f"  quarantined batch: {name}" for name in self.quarantined]
        return found


def overview(settings: Settings) -> Overview:
    """Return the state of the data folder of these settings; nothing is changed."""
    runs = []
    for path in sorted((settings.data_dir / "runs").glob("*/run.json")):
        facts = json.loads(path.read_text(encoding="utf-8"))
        runs.append(
            RunState(
                run_id=facts["run_id"],
                week=facts["week"],
                outlets=len(facts["outlets"]),
                finished=tuple(s for s in _STAGES if stages.complete(path.parent / s)),
            )
        )
    inbox = settings.data_dir / "inbox"
    waiting = sorted(p.parent.name for p in inbox.glob("*/manifest.json"))
    quarantined = sorted(p.name for p in (inbox / "quarantine").glob("*") if p.is_dir())
    counts: dict[str, int] = {}
    path = store_path(settings)
    state = "absent"
    if path.is_file():
        try:
            with open_store(path, wait_seconds=1.0) as store:
                counts = dict(store.counts())
            state = "open"
        except StoreError as error:
            state = str(error)
    return Overview(
        data_dir=str(settings.data_dir),
        runs=tuple(runs),
        waiting=tuple(waiting),
        quarantined=tuple(quarantined),
        counts=counts,
        store=state,
    )
