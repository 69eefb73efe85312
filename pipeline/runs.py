"""A run: an ISO week, its outlets and the configuration, and the folder in which it works."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kiemchung import __version__
from kiemchung.domain import digest
from kiemchung.locks import held
from kiemchung.sealed import read_sealed, write_sealed
from pipeline.weeks import Week

AGAIN: Final = "-again-"
"""In the id of a run of open claims that were judged anew, see `pipeline.rejudging`."""
_EARLIER: Final = frozenset({"run_id", "week", "outlets", "config_sha256", "code_version"})
"""What ``run.json`` held before it carried a hash of itself."""


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


def record(
    run: RunPlan, *, settings: Mapping[str, str], outlets: Mapping[str, str]
) -> tuple[str, ...]:
    """Write ``run.json``, so that later commands find the run by its week; return what is odd.

    ``settings`` are those that count and ``outlets`` the hashes of the outlet files. Odd is that
    the run was begun with another outlet file, which stays noted, and that the same outlets were
    run for this week with other settings, which is another run of the same pages.

    Raises:
        DamagedFileError: the ``run.json`` that was there is not as it was written.
    """
    path = run.folder / "run.json"
    odd: list[str] = []
    if path.is_file():
        before = read_run(path)
        odd += before.get("odd", [])
        then = before.get("outlet_files", {})
        odd += [
            f"the run was begun with another file of the outlet {name}"
            for name in sorted(outlets)
            if then.get(name, outlets[name]) != outlets[name]
        ]
    facts = {
        "run_id": run.run_id,
        "week": str(run.week),
        "outlets": list(run.outlets),
        "config_sha256": run.config_sha256,
        "code_version": __version__,
        "settings": dict(settings),
        "outlet_files": dict(outlets),
        "odd": sorted(set(odd)),
    }
    write_sealed(path, facts)
    return (*facts["odd"], *_other_settings(run, settings))


def read_run(path: Path) -> dict[str, Any]:
    """Return the facts of a ``run.json``.

    Raises:
        DamagedFileError: it is not as it was written.
    """
    return read_sealed(
        path,
        remedy="delete it and run that week again with the same arguments: it is made anew",
        earlier=_EARLIER,
    )


def _other_settings(run: RunPlan, settings: Mapping[str, str]) -> list[str]:
    """Return a line for each other run of this week and these outlets: what was set otherwise."""
    found = []
    for path in sorted(run.folder.parent.glob(f"{run.week}-*/run.json")):
        if path.parent == run.folder:
            continue
        other = read_run(path)
        if other["outlets"] != list(run.outlets):
            continue
        then = other.get("settings", {})
        differ = [
            f"{key} was {then.get(key, 'not known')} and is {settings.get(key, 'not known')}"
            for key in sorted({*then, *settings})
            if then.get(key) != settings.get(key)
        ]
        found.append(
            f"the week was run with another configuration before ({other['run_id']}):"
            f" {'; '.join(differ)}"
        )
    return found


@contextmanager
def sole(run: RunPlan) -> Iterator[None]:
    """Hold the run's own lock; a second process on the same run is told who holds it.

    Raises:
        KiemchungError: another process works on this run.
    """
    with held(run.folder / ".lock", what=f"run {run.run_id}"):
        yield
