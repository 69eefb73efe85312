"""Judging anew what still waits for a conclusion, after another model came into use.

The open mentions of each run go through the stage "judge" again and come back as a run of their
own in the same week, through the inbox: nothing is changed in place. The run whose judgement
counted before keeps its judgements; which passages and suggestion a reviewer saw stays written
beside every conclusion, and what is concluded is not judged again at all.

A run made here is named by the run before it, by all that judges, and by its mentions. So the same
command does the same, one that was killed goes on, and a second one finds nothing to do. It judges
no more than once: batches that still wait in the inbox are merged first, or waited for. Judging
many takes a while in which people work on; what was concluded or taken in hand meanwhile is left
out of the batch.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from kiemchung.config import Settings
from kiemchung.domain import (
    Accounting,
    Article,
    Judgement,
    Mention,
    Provenance,
    Run,
    digest,
)
from kiemchung.errors import KiemchungError, StoreLockedError
from kiemchung.locks import held
from kiemchung.sealed import read_sealed, write_sealed
from kiemchung.shards import to_table, write_shard
from kiemchung.store import Store, open_store, requests, undecided
from kiemchung.store.inbox import write_tables
from pipeline import stages
from pipeline.code import code_sha256, tool_versions
from pipeline.engines import crew_for
from pipeline.handover import finish, shards_of, tables_of
from pipeline.judging import Judge
from pipeline.publishing import base_tables
from pipeline.reporting import write_report
from pipeline.runs import AGAIN, RunPlan
from pipeline.stages import Progress, silent
from pipeline.verdicts import version_of
from pipeline.weekly import outlet_names, report_path, run_facts, store_path
from pipeline.weeks import parse_week

FOLDER: Final = "rejudged"
ACTION: Final = "open_items"
CLOSED: Final = "closed_items"
FACTS: Final = "source.json"
PART: Final = 2_000  # mentions of a shard
ASK_SECONDS: Final = 600.0
WAIT_SECONDS: Final = 2.0  # for a store that a short command has


@dataclass(frozen=True, slots=True, kw_only=True)
class Again(RunPlan):
    """A run of open mentions, beside the ordinary ones."""

    name: str

    @property
    def run_id(self) -> str:
        """Week, mark and twelve digits of the run before, of what judges and of the mentions."""
        return self.name

    @property
    def folder(self) -> Path:
        """Where it is worked on; removed when its batch is in the inbox."""
        return self.data_dir / FOLDER / self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejudged:
    """What was done: mentions judged anew, in hands or judged so before; flags that moved."""

    runs: tuple[str, ...]
    judged: int
    in_hand: int
    same: int
    gained: int
    lost: int
    merged: bool  # False: a server merges the batches that wait in its inbox

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


# --- taking the open mentions out -----------------------------------------------------------------


def take_out(
    store: Store, data_dir: Path, made_by: undecided.MadeBy, version: str
) -> dict[str, Any]:
    """Write the open mentions into a folder a run; return the runs' ids and the counts.

    Called by the owner of the store: the command itself, or a server that it asked.
    """
    counts = undecided.waiting(store, made_by)
    names = []
    for found in undecided.open_runs(store, made_by):
        ids = [m.mention_id for m in found.mentions]
        name = f"{found.week}{AGAIN}{digest(found.run_id, version, *ids)[:12]}"
        names.append(name)
        _write(data_dir, name, found)
    return {"runs": names, **asdict(counts)}


def _plan(data_dir: Path, name: str, outlets: Sequence[str] = (), config: str = "") -> Again:
    week = parse_week(name.split(AGAIN)[0])
    return Again(
        week=week, outlets=tuple(outlets), config_sha256=config, data_dir=data_dir, name=name
    )


def _write(data_dir: Path, name: str, found: undecided.OpenRun) -> None:
    run = _plan(data_dir, name)
    folder = run.stage("analyse")
    if stages.complete(folder):
        return  # of a command that was killed: the same mentions
    shutil.rmtree(run.folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_sealed(
        run.folder / FACTS,
        {
            "run_id": found.run_id,
            "outlets": list(found.outlets),
            "provenance": asdict(found.provenance),
            "flagged": sorted(found.flagged),
        },
    )
    articles = {a.article_id: a for a in found.articles}
    shards = []
    written: set[str] = set()
    for number, start in enumerate(range(0, len(found.mentions), PART)):
        part = found.mentions[start : start + PART]
        new = list(dict.fromkeys(m.article_id for m in part if m.article_id not in written))
        written.update(new)
        stem = folder / f"part-{number:05d}"
        write_shard(
            stem.with_name(f"{stem.name}.articles.parquet"), [articles[i] for i in new], Article
        )
        write_shard(stem.with_name(f"{stem.name}.mentions.parquet"), part, Mention)
        shards += [stem.with_name(f"{stem.name}.{k}.parquet") for k in ("articles", "mentions")]
    finish(folder, shards)


def handlers(store: Store, settings: Settings) -> dict[str, requests.Handler]:
    """Return what a server does when a command asks it for the open mentions."""

    def answer(facts: Mapping[str, Any]) -> requests.Facts:
        made_by = undecided.MadeBy(**facts["made_by"])
        return take_out(store, settings.data_dir, made_by, str(facts["version"]))

    def closed(facts: Mapping[str, Any]) -> requests.Facts:
        return {"closed": closed_of(store, settings.data_dir, str(facts["run"]))}

    return {ACTION: answer, CLOSED: closed}


def closed_of(store: Store, data_dir: Path, name: str) -> list[str]:
    """Return which mentions of a run taken out before do not wait any more."""
    ids = [
        str(i)
        for table in tables_of(
            _plan(data_dir, name).stage("analyse"), Mention, "mentions", columns=["mention_id"]
        )
        for i in table["mention_id"].to_pylist()
    ]
    return sorted(undecided.closed_since(store, ids))


# --- the command ----------------------------------------------------------------------------------


def rejudge(
    settings: Settings, *, progress: Progress = silent, judge_: Judge | None = None
) -> Rejudged:
    """Judge every open mention with the model in use; return what came of it.

    Raises:
        KiemchungError: another such command runs, or batches of one still wait in the inbox.
        StoreLockedError: the store is held by a process that takes no requests.
        ModelError: the model in use cannot be loaded.
    """
    home = settings.data_dir / FOLDER
    home.mkdir(parents=True, exist_ok=True)
    with held(home / ".lock", what="the judging of open items"):
        loaded = judge_ is None
        judge_ = judge_ or Judge.load(settings)
        told, served = _ask(settings, judge_)
        for stale in (p for p in home.iterdir() if p.is_dir() and p.name not in told["runs"]):
            shutil.rmtree(stale)  # of a killed command whose mentions are other ones now
        judged = gained = lost = 0
        for name in told["runs"]:
            found = _one(settings, judge_, name, progress=progress, alone=not loaded)
            judged, gained, lost = judged + found[0], gained + found[1], lost + found[2]
        merged = not served and _merge(settings, told["runs"])
        for name in told["runs"]:
            shutil.rmtree(home / name)
        return Rejudged(
            runs=tuple(told["runs"]), judged=judged, in_hand=int(told["in_hand"]),
            same=int(told["same"]), gained=gained, lost=lost,
            merged=merged or not told["runs"],
        )  # fmt: skip


def _ask(settings: Settings, judge_: Judge) -> tuple[dict[str, Any], bool]:
    """Return what waits, and whether a server was asked for it."""
    inbox = settings.data_dir / "inbox"
    made_by = undecided.MadeBy(
        model_id=judge_.model.model_id,
        base_version=judge_.base_version,
        threshold=judge_.threshold,
        model_sha256=judge_.model_sha256,
    )
    version = version_of(judge_)
    path = store_path(settings)
    try:
        with open_store(
            path, wait_seconds=WAIT_SECONDS, double_share=settings.double_review_share
        ) as store:
            store.merge_inbox(inbox)  # what was judged and not merged would be judged twice
            return take_out(store, settings.data_dir, made_by, version), False
    except StoreLockedError as error:
        late = sorted(p.name for p in inbox.glob(f"*{AGAIN}*")) if inbox.is_dir() else []
        late += [p.name for p in inbox.glob(f".merging-*{AGAIN}*")] if inbox.is_dir() else []
        if late:
            raise KiemchungError(
                f"{len(late)} batches of open items wait to be merged",
                where=str(inbox),
                remedy="wait until the server has merged them, then start this command again",
            ) from error
        facts = {"made_by": asdict(made_by), "version": version}
        return requests.ask(path, ACTION, facts, pid=error.pid, within=ASK_SECONDS), True


def _one(
    settings: Settings, judge_: Judge, name: str, *, progress: Progress, alone: bool
) -> tuple[int, int, int]:
    """Judge one run's mentions and put its batch into the inbox; return judged, gained, lost."""
    facts = read_sealed(settings.data_dir / FOLDER / name / FACTS, remedy="start the command again")
    run = _plan(settings.data_dir, name, facts["outlets"], settings.sha256())
    spread = not alone and (settings.device == "cpu" or settings.engine == "ray")
    stages.judge(
        run, judge_, progress=progress, crew=crew_for(settings, encoder=True),
        settings=settings if spread else None,
    )  # fmt: skip
    closed = _closed(settings, name)
    before = set(facts["flagged"]) - closed
    now: set[str] = set()
    judged = 0
    for table in _kept(tables_of(run.stage("judge"), Judgement), closed):
        judged += table.num_rows
        now |= set(table.filter(table["flagged"])["mention_id"].to_pylist())
    _publish(run, judge_, Provenance(**facts["provenance"]), settings, closed)
    return judged, len(now - before), len(before - now)


def _closed(settings: Settings, name: str) -> set[str]:
    path = store_path(settings)
    try:
        with open_store(path, wait_seconds=WAIT_SECONDS) as store:
            return set(closed_of(store, settings.data_dir, name))
    except StoreLockedError as error:
        told = requests.ask(path, CLOSED, {"run": name}, pid=error.pid, within=ASK_SECONDS)
        return {str(i) for i in told["closed"]}


def _kept(tables: Iterable[pa.Table], closed: set[str]) -> Iterator[pa.Table]:
    """Yield the tables without the mentions that do not wait any more."""
    gone = pa.array(sorted(closed), pa.string())
    for table in tables:
        yield table.filter(pc.invert(pc.is_in(table["mention_id"], value_set=gone)))


def _publish(
    run: Again, judge_: Judge, before: Provenance, settings: Settings, closed: set[str]
) -> None:
    """Put the batch into the inbox; its articles and mentions are those that the store has."""
    of_the_base = base_tables(run, judge_)
    provenance = replace(
        before,  # the pages were extracted then, by the program and the outlet files of then
        code_sha256=code_sha256(),
        model_sha256=judge_.model_sha256,
        threshold=judge_.threshold,
        tools=tool_versions(),
    )
    facts = run_facts(run, judge_, provenance, Accounting())  # nothing was fetched for it
    analysed = run.stage("analyse")
    shards_of(analysed)  # all there, or it says which is not
    write_tables(
        settings.data_dir / "inbox",
        run.run_id,
        {
            "run": [to_table([facts], Run)],
            **of_the_base,
            "article": tables_of(analysed, Article, "articles"),
            "mention": _kept(tables_of(analysed, Mention, "mentions"), closed),
            "judgement": _kept(tables_of(run.stage("judge"), Judgement), closed),
        },
    )


def _merge(settings: Settings, names: Sequence[str]) -> bool:
    """Merge the batches and write the reports of their weeks again; a server may have come by."""
    if not names:
        return True
    inbox = settings.data_dir / "inbox"
    try:
        with open_store(
            store_path(settings),
            wait_seconds=WAIT_SECONDS,
            double_share=settings.double_review_share,
        ) as store:
            merged = store.merge_inbox(inbox)
            shown = outlet_names(settings)
            for week in sorted({name.split(AGAIN)[0] for name in names}):
                if report_path(week, settings).is_file():
                    write_report(store, week, settings, outlet_names=shown)
    except StoreLockedError:
        return False
    missing = sorted(set(names) - set(merged))
    if missing:
        raise KiemchungError(
            f"the batch {missing[0]} was not merged",
            where=str(inbox),
            remedy="see the reason file in inbox/quarantine",
        )
    return True
