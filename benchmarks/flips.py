"""Bit flips in everything that a flag rests on: is each found before anything is shown?

    python benchmarks/flips.py [--flips 200] [--data DIR] [--only KIND …] [--seed N]

One bit of a file is flipped, the program opens it as it does every day, and the file is put back.
An outcome is one of

    refused    an error that names the file; nothing was shown
    told       configuration only: it still reads, as other settings, and the run's hash differs
    aside      of the configuration: a setting that changes no result (folder, port) is another;
               of a ledger's log: the last commits are gone, and what they said is done again
    harmless   all that can be read is the same to the last bit: blanks, comments, unused bytes
    missed     something else was read, and nobody said so

``--data`` is a data folder with a finished sample week; without it one is made. Nothing in it is
changed: the flips are done on a copy. Prints JSON; exit code 1 when one was missed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from crawler.ledger import Ledger  # noqa: E402
from crawler.outlets import SHIPPED as OUTLETS  # noqa: E402
from crawler.outlets import load_outlets, outlet_sha256  # noqa: E402
from crawler.run import fetched_pages, ledger_path  # noqa: E402
from kiemchung import reference  # noqa: E402
from kiemchung.config import Settings, load_settings  # noqa: E402
from kiemchung.errors import KiemchungError  # noqa: E402
from kiemchung.reference import loader  # noqa: E402
from kiemchung.store import open_store  # noqa: E402
from kiemchung.store.inbox import read_batch  # noqa: E402
from models import registry  # noqa: E402
from pipeline import stages  # noqa: E402
from pipeline.analysing import stories_of  # noqa: E402
from pipeline.handover import shards_of  # noqa: E402
from pipeline.runs import RunPlan, read_run  # noqa: E402
from pipeline.weeks import parse_week  # noqa: E402

Read = Callable[[], object]
"""Opens what was flipped as the program does, and returns all that could be shown of it."""
REFUSED: Final = "refused"
TOLD: Final = "told"
ASIDE: Final = "aside"
HARMLESS: Final = "harmless"
MISSED: Final = "missed"
OUTCOMES: Final = (REFUSED, TOLD, ASIDE, HARMLESS, MISSED)
TOML: Final = """# the settings of this machine
data_dir = "var"
contact = "giam-sat@example.org"
delay_seconds = 2.0          # between two requests to one host
max_pages = 2000
max_age_days = 60
flag_threshold = 0.8
double_review_share = 0.1
"""
_ACTS: Final = """
import os, sys
from pathlib import Path
from kiemchung.store import open_store
store = open_store(Path(sys.argv[1]))
for n in range(40):
    if sys.argv[2] == "checkpoint" and n == 20:
        with store._cursor() as cursor:
            cursor.execute("CHECKPOINT")
    with store._writing() as cursor:
        cursor.execute("INSERT INTO setting VALUES (?, ?)", [f"n{n}", "x" * 200])
os._exit(9)  # as a kill does: nothing is closed
"""
_VISITS: Final = """
import os, sys
from pathlib import Path
from crawler.ledger import Kind, Ledger, Visit
ledger = Ledger(Path(sys.argv[1]))
for n in range(40):
    ledger.add("2026-W41-x", [Visit(key=f"https://a.example/{n}", url=f"https://a.example/{n}",
                                    outlet="a", kind=Kind.PAGE)])
os._exit(9)
"""


@dataclass(slots=True)
class Kind:
    """One kind of file: where bits are flipped, and how the program opens it."""

    name: str
    files: list[Path]
    read: Read
    cut: bool = False
    named: bool = True  # a refusal has to name the file
    keep: list[Path] = field(default_factory=list)  # put back after each flip, besides the file
    told: Callable[[object, object], bool] = lambda before, after: False
    """Whether the program itself says that what was read is another."""
    aside: Callable[[object, object], bool] = lambda before, after: False


def _child(code: str, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )


def _all_rows(path: Path) -> object:
    """Return what the store says of itself, and a sum of every row of every table."""
    with open_store(path) as store, store._cursor() as cursor:
        tables = cursor.execute(
            "SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns()"
            " WHERE database_name = current_database() AND table_name IN"
            " (SELECT table_name FROM duckdb_tables() WHERE NOT temporary) GROUP BY 1 ORDER BY 1"
        ).fetchall()
        return {
            name: cursor.execute(
                f"SELECT count(*), bit_xor(hash({', '.join(columns)})) FROM {name}"
            ).fetchone()
            for name, columns in tables
        }


def _plan(data: Path) -> RunPlan:
    (path,) = (data / "runs").glob("*/run.json")
    facts = read_run(path)
    return RunPlan(
        week=parse_week(facts["week"]),
        outlets=tuple(facts["outlets"]),
        config_sha256=facts["config_sha256"],
        data_dir=data,
    )


def _stages(data: Path) -> object:
    run = _plan(data)
    made = [stages.made_with(run.stage(s)) for s in ("extract", "analyse", "judge")]
    prints = stories_of(shards_of(run.stage("analyse"), "prints"))  # read where copies are sought
    return (
        run, made, prints, stages.read_extracted(run), stages.read_analysed(run),
        stages.read_judged(run),
    )  # fmt: skip


def _pages(data: Path, run_id: str) -> object:
    pages = list(fetched_pages(data, run_id))
    damaged = [p.url for p in pages if "archive_damaged" in p.flags]
    if damaged:
        raise KiemchungError("quarantined as archive_damaged", where=f"archive: {damaged[0]}")
    return pages


def _visits(path: Path) -> object:
    ledger = Ledger(path)
    try:
        runs = [r[0] for r in ledger._db.execute("SELECT DISTINCT run_id FROM visit ORDER BY 1")]
        return ([ledger.visits(run) for run in runs], ledger.rhythms())
    finally:
        ledger.close()


def _earlier(before: object, after: object) -> bool:
    """Whether ``after`` is what the ledger held some commits ago: those are done again."""
    (runs, rhythms), (left, kept) = before, after  # type: ignore[misc]
    known = {visit.key: visit for run in runs for visit in run}
    order = [visit for run in left for visit in run]
    *whole, last = runs
    return (
        rhythms == kept
        and all(known.get(visit.key) == visit for visit in order)
        and left[: len(whole)] == whole
        and (len(left) == len(whole) or set(map(repr, left[-1])) < set(map(repr, last)))
    )


def _killed(folder: Path, name: str, script: str, data: Path, *arguments: str) -> Path:
    home = folder / name
    home.mkdir()
    for path in data.glob(f"{arguments[0]}*"):
        shutil.copy2(path, home / path.name)
    _child(script, str(home / arguments[0]), *arguments[1:])
    return home / arguments[0]


def _settings(folder: Path) -> Settings:
    before = Path.cwd()
    os.chdir(folder)
    try:
        return load_settings()
    finally:
        os.chdir(before)


def kinds(data: Path, folder: Path) -> Iterator[Kind]:
    """Yield what can be flipped; ``data`` is a copy that may be changed."""
    store = data / "kiemchung.duckdb"
    seal = store.with_name(f"{store.name}.seal")
    yield Kind("store", [store], lambda: _all_rows(store), keep=[seal])
    yield Kind("store: its seal", [seal], lambda: _all_rows(store), keep=[store])
    killed = _killed(folder, "killed", _ACTS, data, store.name, "plain")
    beside = list(killed.parent.iterdir())
    log = killed.with_name(f"{killed.name}.wal")
    yield Kind("store after a kill", [killed], lambda: _all_rows(killed), keep=beside)
    yield Kind("log after a kill", [log], lambda: _all_rows(killed), keep=beside)
    yield Kind("log cut short", [log], lambda: _all_rows(killed), cut=True, keep=beside)
    with open_store(store) as opened, opened._writing() as cursor:
        cursor.execute("DROP TABLE article")  # leaves blocks that are not in use
    later = _killed(folder, "later", _ACTS, data, store.name, "checkpoint")
    around = list(later.parent.iterdir())
    yield Kind(
        "store after a checkpoint and a kill", [later], lambda: _all_rows(later), keep=around
    )
    model = folder / "model"
    shutil.copytree(registry.DEFAULT, model)
    yield Kind(
        "model",
        [p for p in sorted(model.iterdir()) if p.is_file()],
        lambda: registry.verify(model),  # what `load` does first
    )
    base = folder / "base"
    shutil.copytree(loader.SHIPPED, base)
    yield Kind("reference base", sorted(base.iterdir()), lambda: reference.load(base))
    run = _plan(data)
    yield Kind(
        "archive",
        sorted((data / "archive").glob("*.warc.gz")),
        lambda: _pages(data, run.run_id),
        named=False,
    )
    shards = [
        p
        for p in sorted(run.folder.rglob("*"))
        if p.suffix == ".parquet" or p.name in ("stage.json", "made_with.json", "run.json")
    ]
    yield Kind("shards of a run", shards, lambda: _stages(data))
    waiting = folder / "waiting"
    _write_batch(data, waiting)
    (batch,) = waiting.iterdir()
    yield Kind("batch in the inbox", sorted(batch.iterdir()), lambda: _batch(batch))
    ledger = ledger_path(data)
    mark = ledger.with_name(f"{ledger.name}.seal")
    yield Kind("ledger", [ledger], lambda: _visits(ledger), keep=[mark])
    crashed = _killed(folder, "crashed", _VISITS, data, ledger.name)
    rest = list(crashed.parent.iterdir())
    yield Kind("ledger after a kill", [crashed], lambda: _visits(crashed), keep=rest)
    yield Kind(
        "ledger's log after a kill",
        [crashed.with_name(f"{crashed.name}-wal")],
        lambda: _visits(crashed),
        keep=rest,
        aside=_earlier,
    )
    (folder / "settings").mkdir()
    toml = folder / "settings" / "kiemchung.toml"
    toml.write_text(TOML, encoding="utf-8")
    yield Kind(
        "configuration",
        [toml],
        lambda: _settings(toml.parent),
        told=lambda a, b: a.sha256() != b.sha256(),  # type: ignore[attr-defined]
        aside=lambda a, b: a.sha256() == b.sha256(),  # type: ignore[attr-defined]
    )
    outlets = folder / "outlets"
    shutil.copytree(OUTLETS, outlets)
    yield Kind(
        "outlet files",
        sorted(outlets.glob("*.toml")),
        lambda: load_outlets(outlets),
        told=lambda a, b: _hashes(a) != _hashes(b),
    )


def _hashes(outlets: Any) -> dict[str, str]:  # noqa: ANN401
    return {name: outlet_sha256(outlet) for name, outlet in outlets.items()}


def _write_batch(data: Path, inbox: Path) -> None:
    from kiemchung.domain import Accounting as Sums
    from kiemchung.domain import Batch, Run
    from kiemchung.store.inbox import write_batch

    run = _plan(data)
    articles, mentions = stages.read_analysed(run)
    made = Run(
        run_id=run.run_id, week=str(run.week), outlets=run.outlets, config_sha256="c",
        code_version="v", base_version="b", model_id="m", accounting=Sums(),
    )  # fmt: skip
    write_batch(
        inbox,
        Batch(
            run=made, articles=tuple(articles), mentions=tuple(mentions),
            judgements=tuple(stages.read_judged(run)), passages=(), documents=(),
        ),
    )  # fmt: skip


def _batch(folder: Path) -> object:
    import pyarrow as pa
    import pyarrow.parquet as pq

    read = read_batch(folder)
    tables = [t if isinstance(t, pa.Table) else pq.read_table(t) for t in read.tables.values()]
    return (read.run_id, [t.to_pylist() for t in tables])


def flip(path: Path, dice: random.Random, *, cut: bool) -> str:
    """Flip one bit of a file, or cut its end off; return what was done."""
    data = bytearray(path.read_bytes())
    if cut:
        left = dice.randrange(len(data))
        path.write_bytes(data[:left])
        return f"{path.name} cut to {left} of {len(data)}"
    place, bit = dice.randrange(len(data)), dice.randrange(8)
    data[place] ^= 1 << bit
    path.write_bytes(data)
    return f"{path.name}: bit {bit} of byte {place} of {len(data)}"


def outcome(kind: Kind, before: object, path: Path) -> tuple[str, str]:
    """Open what was flipped, and say how it ended."""
    try:
        after = kind.read()
    except KiemchungError as error:
        text = str(error)
        known = not kind.named or path.name in text or any(k.name in text for k in kind.keep)
        return (REFUSED, text) if known else (MISSED, f"refused, but names no file: {text}")
    except Exception as error:  # noqa: BLE001  a crash is no answer that helps
        return MISSED, f"{type(error).__name__}: {error}"
    if after == before:
        return HARMLESS, ""
    if kind.told(before, after):
        return TOLD, ""
    return (ASIDE, "") if kind.aside(before, after) else (MISSED, "read as something else")


def measure(kind: Kind, flips: int, dice: random.Random) -> dict[str, Any]:
    """Flip ``flips`` bits of one kind and count the outcomes."""
    held = {path: path.read_bytes() for path in {*kind.files, *kind.keep} if path.is_file()}

    def put_back() -> None:
        for folder in {path.parent for path in held}:
            for path in folder.iterdir():
                if path.is_file() and path not in held and path.name.startswith(_prefixes(held)):
                    path.unlink()  # a log or a seal that came of opening
        for path, data in held.items():
            if not path.is_file() or path.read_bytes() != data:
                path.write_bytes(data)

    before = kind.read()
    put_back()
    counts: Counter[str] = Counter()
    examples: list[str] = []
    seconds = 0.0
    for _ in range(flips):
        path = dice.choice(kind.files)
        what = flip(path, dice, cut=kind.cut)
        began = time.perf_counter()
        end, why = outcome(kind, before, path)
        seconds += time.perf_counter() - began
        counts[end] += 1
        if end == MISSED:
            examples.append(f"{what}: {why}"[:300])
        put_back()
    if kind.read() != before:  # else every refusal might be of the harness's own making
        raise RuntimeError(f"{kind.name}: not as it was after the last flip was taken back")
    put_back()
    return {
        "kind": kind.name,
        "flips": flips,
        **{name: counts[name] for name in OUTCOMES},
        "ms_each": round(1000 * seconds / max(flips, 1), 1),
        "examples": examples[:5],
    }


def _prefixes(held: dict[Path, bytes]) -> tuple[str, ...]:
    return tuple({p.name for p in held if p.suffix in (".duckdb", ".sqlite")}) or ("\0",)


def main() -> int:
    """Run every kind and print the table as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=200)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    dice = random.Random(given.seed)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "data"
        if given.data is None:
            from pipeline.demo import main as demo

            demo.run(load_settings(data_dir=data, port=0))
        else:
            shutil.copytree(given.data, data)
        for kind in kinds(data, folder):
            if given.only and kind.name not in given.only:
                continue
            rows.append(measure(kind, given.flips, dice))
            print(json.dumps(rows[-1], ensure_ascii=False), file=sys.stderr, flush=True)
    total = {n: sum(r[n] for r in rows) for n in ("flips", *OUTCOMES)}
    print(json.dumps({"kinds": rows, "total": total}, indent=1, ensure_ascii=False))
    return 1 if total[MISSED] else 0


if __name__ == "__main__":
    raise SystemExit(main())
