"""A run: an ISO week, its outlets and the configuration, and the folder in which it works."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kiemchung import __version__
from kiemchung.domain import digest
from kiemchung.locks import held
from kiemchung.shards import write_bytes_atomically
from pipeline.weeks import Week


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What a run is asked to do; the same arguments are the same run."""

    week: Week
    outlets: tuple[str, ...]  # sorted names
    config_sha256: str
    data_dir: Path

    @property
    def run_id(self) -> str:
        """Week and twelve hex digits of outlets and configuration."""
        return f"{self.week}-{digest(*self.outlets, '|', self.config_sha256)[:12]}"

    @property
    def folder(self) -> Path:
        """Where the stages of this run hand over."""
        return self.data_dir / "runs" / self.run_id

    def stage(self, name: str) -> Path:
        """Return the folder of one stage."""
        return self.folder / name


def plan(week: Week, outlets: Sequence[str], config_sha256: str, data_dir: Path) -> RunPlan:
    """Return the plan of a run; the order of ``outlets`` does not matter."""
    return RunPlan(
        week=week,
        outlets=tuple(sorted(set(outlets))),
        config_sha256=config_sha256,
        data_dir=data_dir,
    )


def record(run: RunPlan) -> None:
    """Write ``run.json``, so that later commands find the run by its week."""
    facts = {
        "run_id": run.run_id,
        "week": str(run.week),
        "outlets": list(run.outlets),
        "config_sha256": run.config_sha256,
        "code_version": __version__,
    }
    text = json.dumps(facts, ensure_ascii=False, indent=1, sort_keys=True)
    write_bytes_atomically(run.folder / "run.json", text.encode("utf-8"))


@contextmanager
def sole(run: RunPlan) -> Iterator[None]:
    """Hold the run's own lock; a second process on the same run is told who holds it.

    Raises:
        KiemchungError: another process works on this run.
    """
    with held(run.folder / ".lock", what=f"run {run.run_id}"):
        yield
