"""The outlets of then: what a run knew of its outlets, and what a week that is run later uses.

Outlet files are corrected as sites change, outlets come and go. A run therefore keeps the outlets
as it used them: ``outlets.json`` in its folder names them by hash, ``outlets/`` of the data folder
holds each as JSON under its hash. A week that is run when later weeks have been run already is a
backfill: it is given the outlets as the latest run up to that week had them, and of the others
those that a person had verified by then. The clock is not asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Final

from crawler.isolate import outlet_from_json
from crawler.outlets import Outlet
from kiemchung.domain import sha256_hex
from kiemchung.errors import OutletFileError, UnknownOutletError
from kiemchung.sealed import read_sealed, write_sealed
from kiemchung.shards import write_bytes_atomically
from pipeline.runs import RunPlan, read_run
from pipeline.weeks import Week, parse_week

NAME: Final = "outlets.json"
_REMEDY: Final = "restore it from a backup, or give --outlets-now to use the files of today"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRun:
    """Which outlets a run used."""

    run_id: str
    week: Week
    hashes: Mapping[str, str]  # of each outlet, by name
    named: bool  # a person named them; otherwise all that were verified


@dataclass(frozen=True, slots=True, kw_only=True)
class Then:
    """The outlets of a run, and what is to be told about them."""

    outlets: dict[str, Outlet]
    notes: tuple[str, ...] = ()


def _text(outlet: Outlet) -> str:
    return json.dumps(asdict(outlet), ensure_ascii=False, indent=1, sort_keys=True)


def _hash(outlet: Outlet) -> str:
    return sha256_hex(_text(outlet).encode("utf-8"))


def keep(run: RunPlan, outlets: Mapping[str, Outlet], *, named: bool) -> None:
    """Write down which outlets ``run`` uses, as they are used."""
    hashes = {}
    for name, outlet in sorted(outlets.items()):
        hashes[name] = _hash(outlet)
        path = _file(run.data_dir, hashes[name])
        if not path.is_file():
            write_bytes_atomically(path, _text(outlet).encode("utf-8"))
    write_sealed(run.folder / NAME, {"named": named, "outlets": hashes})


def _file(data_dir: Path, sha256: str) -> Path:
    return data_dir / "outlets" / f"{sha256}.json"


def kept_runs(data_dir: Path) -> list[KeptRun]:
    """Return what the runs of a data folder used, by week; runs of an older program kept nothing.

    Raises:
        OutletFileError: a run's file holds something else.
        DamagedFileError: a run's file is not as it was written.
    """
    found = []
    for path in sorted((data_dir / "runs").glob(f"*/{NAME}")):
        try:
            facts = read_sealed(path, remedy=_REMEDY)
            run = KeptRun(
                run_id=path.parent.name,
                week=parse_week(read_run(path.with_name("run.json"))["week"]),
                hashes={str(k): str(v) for k, v in facts["outlets"].items()},
                named=bool(facts["named"]),
            )
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise OutletFileError(
                f"not readable: {error!r}", where=str(path), remedy=_REMEDY
            ) from error
        found.append(run)
    return sorted(found, key=lambda r: (r.week, r.run_id))


def kept_outlets(data_dir: Path, run: KeptRun, names: Sequence[str] = ()) -> dict[str, Outlet]:
    """Return outlets as ``run`` used them, all or those of ``names``.

    Raises:
        OutletFileError: one is missing, or not what its hash says.
    """
    return {n: _read(data_dir, run, n) for n in sorted(names or run.hashes)}


def _read(data_dir: Path, run: KeptRun, name: str) -> Outlet:
    path = _file(data_dir, run.hashes[name])
    try:
        data = path.read_bytes()
    except OSError as error:
        raise OutletFileError(
            f"outlet {name!r} as run {run.run_id} used it is gone", where=str(path), remedy=_REMEDY
        ) from error
    if sha256_hex(data) != run.hashes[name]:
        raise OutletFileError(
            f"outlet {name!r} is not as run {run.run_id} used it", where=str(path), remedy=_REMEDY
        )
    return outlet_from_json(json.loads(data))


def of_run(run: RunPlan, present: Mapping[str, Outlet]) -> dict[str, Outlet]:
    """Return the outlets as ``run`` used them; those of ``present`` where it kept nothing."""
    kept = {k.run_id: k for k in kept_runs(run.data_dir)}.get(run.run_id)
    if kept is None:
        return {n: present[n] for n in run.outlets if n in present}
    return kept_outlets(run.data_dir, kept)


def verified_then(week: Week, data_dir: Path, present: Mapping[str, Outlet]) -> tuple[str, ...]:
    """Return the names of the outlets that a run of ``week`` has where nobody names any.

    A week that was begun has those it began with; a backfill those of the latest run up to its
    week and what was verified between the two; any other all that are verified.

    Raises:
        UnknownOutletError: no outlet was verified by then, or none is at all.
    """
    verified = {n: o for n, o in present.items() if o.verified_on and not o.sample}
    runs = [r for r in kept_runs(data_dir) if not r.named]
    past = [r for r in runs if r.week <= week]
    if past and past[-1].week == week:
        return tuple(past[-1].hashes)
    if not any(r.week > week for r in runs):
        if not verified:
            raise UnknownOutletError(
                "no outlet file is verified yet",
                remedy="name outlets with --outlet, or verify one as CONTRIBUTING says",
            )
        return tuple(sorted(verified))
    since = past[-1].week.sunday if past else date.min
    added = {
        n for n, o in verified.items()
        if since < date.fromisoformat(o.verified_on) <= week.sunday
    }  # fmt: skip
    names = {*(past[-1].hashes if past else ()), *added}
    if not names:
        raise UnknownOutletError(
            f"no outlet was verified by week {week}",
            remedy="name those that it is to be run with by --outlet",
        )
    return tuple(sorted(names))


def as_of(week: Week, names: Sequence[str], data_dir: Path, present: Mapping[str, Outlet]) -> Then:
    """Return the outlets ``names`` as they were in ``week``; with a note for each that differs.

    Where no later week has been run with an outlet, its file as it is now counts. A backfill takes
    it from the latest run up to its week, else from the first one after.

    Raises:
        OutletFileError: what a run kept is missing or damaged.
        UnknownOutletError: there is neither a file nor a run that knew the outlet.
    """
    runs = kept_runs(data_dir)
    chosen: dict[str, Outlet] = {}
    notes = []
    for name in sorted(set(names)):
        having = [r for r in runs if name in r.hashes]
        later = [r for r in having if r.week > week]
        past = [r for r in having if r.week <= week]
        if not later and name in present:
            chosen[name] = present[name]
            continue
        if not having:
            raise UnknownOutletError(
                f"no outlet is called {name!r}", remedy=f"known: {', '.join(sorted(present))}"
            )
        source = past[-1] if past else later[0]
        chosen[name] = _read(data_dir, source, name)
        now = _hash(present[name]) if name in present else ""
        if now != source.hashes[name]:
            changed = "has been changed since" if now else "is gone"
            notes.append(f"outlet {name} as run {source.run_id} knew it; its file {changed}")
    return Then(outlets=chosen, notes=tuple(notes))
