"""How many small faults, put into a module one at a time, its own tests find.

Each mutant is one changed place of one module: a comparison, a number, a word, an operator, a
returned value, a dropped statement. It is written into a copy of the repository; only the tests
nearest to the module run there, until the first that fails. A mutant that no test notices is a
survivor and is listed with its line; one that changes nothing that could be observed is named in
``tools/equivalent.toml`` with its reason, and is counted apart.

Mutants are drawn with a seed, so a figure can be had again; the interval is Wilson's of 95 %.
mutmut and cosmic-ray start an interpreter for every mutant, which costs more here than the tests
do: this driver loads the third-party packages once and forks.
"""

from __future__ import annotations

import argparse
import ast
import copy
import json
import math
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
EQUIVALENT: Final = Path(__file__).with_name("equivalent.toml")
_VALUES: Final = "tests/kiemchung/test_values.py"
TARGETS: Final[dict[str, tuple[str, ...]]] = {
    "kiemchung/domain.py": (_VALUES, "tests/kiemchung/test_domain.py"),
    "nlp/quantities.py": (
        "tests/nlp/test_quantities.py", "tests/nlp/test_grammar.py", _VALUES,
    ),
    "models/comparison.py": (
        "tests/models/test_comparison.py", "tests/models/test_comparison_edges.py", _VALUES,
    ),
    "kiemchung/reference/loader.py": (
        "tests/kiemchung/test_reference_edges.py", _VALUES, "tests/kiemchung/test_reference.py",
    ),
    "crawler/ledger.py": (
        "tests/crawler/test_ledger_edges.py", _VALUES, "tests/crawler/test_ledger.py",
    ),
    "kiemchung/store/inbox.py": ("tests/kiemchung/test_inbox_files.py", _VALUES),
}  # fmt: skip
"""The modules whose score is watched, and the tests that are to notice, the fastest first."""

PRELOADED: Final = ("hypothesis", "pyarrow.parquet", "duckdb", "numpy", "lxml.etree")
PLUGINS: Final = ("_hypothesis_pytestplugin", "pytest_timeout")
PROFILE: Final = """
settings.register_profile(
    "mutate", settings.get_profile("kiemchung"), max_examples=30, derandomize=True, database=None
)
settings.load_profile("mutate")
"""
MEMORY: Final = 8 << 30  # a mutant that never stops may not take the machine with it

_COMPARE: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_BINARY: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed place; ``at`` is its line as it stands, ``source`` the module with the change."""

    line: int
    at: str
    change: str
    source: str


def _swapped(node: ast.expr) -> Iterator[ast.expr]:
    """Yield ``node`` with another operator or value in it."""
    if isinstance(node, ast.Compare):
        for number, operator in enumerate(node.ops):
            for other in _COMPARE[type(operator)]:
                changed = copy.deepcopy(node)
                changed.ops[number] = other()
                yield changed
    elif isinstance(node, ast.BoolOp):
        changed_bool = copy.deepcopy(node)
        changed_bool.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield changed_bool
    elif isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        changed_bin = copy.deepcopy(node)
        changed_bin.op = _BINARY[type(node.op)]()
        yield changed_bin
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield copy.deepcopy(node.operand)
    elif isinstance(node, ast.IfExp):
        yield copy.deepcopy(node.body)
        yield copy.deepcopy(node.orelse)
    elif isinstance(node, ast.Constant):
        yield from (ast.Constant(v) for v in _other_values(node.value))


def _other_values(value: object) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield value + 1
    elif isinstance(value, str):
        yield f"XX{value}XX" if value else "XX"
        yield from _with_fewer_ways(value)
    elif isinstance(value, bytes):
        yield value + b"XX"


def _with_fewer_ways(pattern: str) -> Iterator[str]:
    """Yield a regular expression without one of its plain alternatives, three times at most."""
    ways = pattern.split("|")
    plain = [n for n, way in enumerate(ways) if way and not set("()[]{}") & set(way)]
    if len(ways) > 2:
        for number in plain[:: math.ceil(len(plain) / 3) or 1]:
            yield "|".join(ways[:number] + ways[number + 1 :])


def _changed(node: ast.stmt) -> Iterator[ast.stmt]:
    """Yield ``node`` as another statement."""
    if isinstance(node, ast.If | ast.While) and not _for_types(node.test):
        turned = copy.deepcopy(node)
        turned.test = ast.UnaryOp(ast.Not(), turned.test)
        yield turned
    elif isinstance(node, ast.Return) and node.value and not _is(node.value, None):
        yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Raise | ast.AugAssign) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.YieldFrom)
    ):
        yield ast.Pass()
    elif isinstance(node, ast.Break):
        yield ast.Continue()
    elif isinstance(node, ast.Continue):
        yield ast.Break()


def _is(node: ast.expr, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _for_types(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def _places(node: ast.AST, words: bool = True) -> Iterator[tuple[ast.AST, str, int | None]]:
    """Yield parent, field and index of everything that may be changed.

    Annotations and docstrings are left out, and so are the words of a message that is raised: the
    tests ask which error it is and what it names, not how it puts it.
    """
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "type_params", "ctx"}:
            continue
        for number, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST):
                continue
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                continue  # a docstring
            if words or not (isinstance(child, ast.Constant) and isinstance(child.value, str)):
                yield node, name, number
            yield from _places(child, words and not isinstance(child, ast.Raise))


def mutants(source: str) -> list[Mutant]:
    """Return every mutant of a module, in the order of its lines."""
    tree, lines = ast.parse(source), source.splitlines()
    found = []
    for parent, name, number in list(_places(tree)):
        field = getattr(parent, name)
        node = field if number is None else field[number]
        others: list[ast.AST] = []
        if isinstance(parent, ast.JoinedStr) and isinstance(node, ast.Constant):
            others = [ast.Constant(w) for w in _with_fewer_ways(str(node.value))]
        elif isinstance(node, ast.expr):
            others = list(_swapped(node))
        elif isinstance(node, ast.stmt):
            others = list(_changed(node))
        for other in others:
            _put(parent, name, number, other)
            before, after = _shown(node), _shown(other)
            ast.fix_missing_locations(tree)
            line = getattr(node, "lineno", 0)
            at = lines[line - 1].strip()
            found.append(Mutant(line, at, f"{before}  ->  {after}", ast.unparse(tree)))
            _put(parent, name, number, node)
    return sorted(found, key=lambda m: (m.line, m.change))


def _put(parent: ast.AST, name: str, number: int | None, node: ast.AST) -> None:
    if number is None:
        setattr(parent, name, node)
    else:
        getattr(parent, name)[number] = node


def _shown(node: ast.AST) -> str:
    if isinstance(node, ast.If | ast.While):
        return f"{type(node).__name__.lower()} {ast.unparse(node.test)}"
    text = ast.unparse(ast.fix_missing_locations(node)).replace("\n", " ")
    return text if len(text) <= 120 else f"{text[:70]} ... {text[-45:]}"


def drawn(every: Sequence[Mutant], sample: int, seed: int) -> list[Mutant]:
    """Return ``sample`` of them, the same for the same seed, in the order of their lines."""
    if not 0 < sample < len(every):
        return list(every)
    chosen = random.Random(seed).sample(range(len(every)), sample)
    return [every[n] for n in sorted(chosen)]


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, JASA 22 (1927) 209)."""
    if not of:
        return 0.0, 1.0
    z, share = 1.959964, hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return middle - half, middle + half


def copied(folder: Path) -> None:
    """Copy what git knows, and what it does not ignore, into ``folder``.

    Properties run there with fewer examples, and the same ones for every mutant.
    """
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    with (folder / "tests" / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(PROFILE)


def preload() -> None:
    """Import what every mutant would import again; nothing of our own."""
    import importlib

    for name in PRELOADED:
        importlib.import_module(name)
    for name in (*PLUGINS, "pytest"):
        importlib.import_module(name)


def _child(home: Path, tests: Sequence[str], cpu_seconds: int) -> None:
    """Run the tests in ``home`` and leave the process with pytest's exit code."""
    os.setsid()
    os.chdir(home)
    quiet = os.open(home / "mutate.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ["PYTHONPATH"] = str(home)
    sys.path[:] = [str(home), *(p for p in sys.path if Path(p or ".").resolve() != ROOT)]
    os.fsync = lambda fd: None  # type: ignore[assignment,misc]  # nobody pulls the plug here
    code = 70
    try:
        import pytest

        base = f"--basetemp={home / 'tmp'}"
        flags = ["-x", "-q", "-p", "no:cacheprovider", "--no-header", base]
        flags += [f for name in PLUGINS for f in ("-p", name)]
        flags += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of what was loaded before
        code = int(pytest.main([*flags, *tests]))
    except BaseException:  # noqa: BLE001  # the parent reads the log
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(
    home: Path, module: str, tests: Sequence[str], *, cpu_seconds: int, wall: float
) -> tuple[str, float]:
    """Return ``passed``, ``failed``, ``timeout`` or ``broken``, and the seconds of processor."""
    shutil.rmtree(home / "tmp", ignore_errors=True)
    stale = (home / module).parent.glob(f"__pycache__/{Path(module).stem}.*.pyc")
    for compiled in stale:
        compiled.unlink()
    child = os.fork()
    if child == 0:
        _child(home, tests, cpu_seconds)
    until, status, used = time.monotonic() + wall, None, 0.0
    while status is None:
        ended, code, usage = os.wait4(child, os.WNOHANG)
        if ended:
            status, used = code, usage.ru_utime + usage.ru_stime
        elif time.monotonic() > until:
            os.killpg(child, signal.SIGKILL)
            until = math.inf
        else:
            time.sleep(0.02)
    if os.WIFSIGNALED(status):
        return "timeout", used
    code = os.waitstatus_to_exitcode(status)
    return {0: "passed", 1: "failed", 2: "failed", 3: "failed"}.get(code, "broken"), used


def equivalents() -> dict[str, set[tuple[str, str]]]:
    """Return the mutants that nobody could notice: module -> line as it stands and change."""
    found = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))
    return {m: {(e["at"], e["change"]) for e in entries} for m, entries in found.items()}


def measure(home: Path, module: str, *, sample: int, seed: int, wall: float) -> dict[str, Any]:
    """Draw mutants of ``module``, run its tests over each and count."""
    tests = [t for t in TARGETS[module] if (home / t).is_file()]
    source = (home / module).read_text(encoding="utf-8")
    every = mutants(source)
    known = equivalents().get(module, set())
    # The module as it is, written the way its mutants are.
    (home / module).write_text(ast.unparse(ast.parse(source)), encoding="utf-8")
    state, used = run(home, module, tests, cpu_seconds=600, wall=1800.0)
    if state != "passed":
        log = (home / "mutate.log").read_text(encoding="utf-8", errors="replace")
        raise SystemExit(f"{module}: without a mutant: {state}:\n{log[-3000:]}")
    limit = int(10 + 5 * used)
    counts = dict.fromkeys(("failed", "passed", "timeout", "broken", "equivalent"), 0)
    survivors = []
    for mutant in drawn(every, sample, seed):
        if (mutant.at, mutant.change) in known:
            counts["equivalent"] += 1
            continue
        (home / module).write_text(mutant.source, encoding="utf-8")
        state, _ = run(home, module, tests, cpu_seconds=limit, wall=wall)
        counts[state] += 1
        if state in {"passed", "broken"}:
            survivors.append({"line": mutant.line, "change": mutant.change, "state": state})
            print(f"  {module}:{mutant.line}: {mutant.change}", file=sys.stderr, flush=True)
    (home / module).write_text(source, encoding="utf-8")
    killed = counts["failed"] + counts["timeout"]
    of = killed + counts["passed"] + counts["broken"]
    return {
        "module": module, "tests": tests, "all": len(every), "drawn": of + counts["equivalent"],
        "seed": seed, "killed": killed, "of": of, "score": killed / of if of else 1.0,
        "interval": wilson(killed, of), "baseline_seconds": round(used, 2), **counts,
        "survivors": survivors,
    }  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the modules named, or all; return 1 when one is below the bar."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("modules", nargs="*", default=list(TARGETS), metavar="MODULE")
    parser.add_argument("--sample", type=int, default=60, help="mutants of a module; 0 for all")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--wall", type=float, default=1800.0, help="seconds before one is given up")
    parser.add_argument("--bar", type=float, default=0.85)
    parser.add_argument("--out", type=Path, help="write everything as JSON")
    given = parser.parse_args(argv)
    if unknown := set(given.modules) - set(TARGETS):
        parser.error(f"no tests are named for {sorted(unknown)}; known: {sorted(TARGETS)}")
    preload()
    room = "/dev/shm" if Path("/dev/shm").is_dir() else None
    results = []
    with tempfile.TemporaryDirectory(prefix="mutate-", dir=room) as folder:
        home = Path(folder)
        copied(home)
        compile_all = [sys.executable, "-m", "compileall", "-q", "."]
        subprocess.run(compile_all, cwd=home, check=False)
        for module in given.modules:
            found = measure(home, module, sample=given.sample, seed=given.seed, wall=given.wall)
            results.append(found)
            low, high = found["interval"]
            print(
                f"{module}: {found['killed']} of {found['of']} found ({found['score']:.1%},"
                f" 95 %: {low:.1%} to {high:.1%}), {found['equivalent']} equivalent,"
                f" drawn {found['drawn']} of {found['all']}",
                flush=True,
            )
    if given.out:
        given.out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return int(any(r["score"] < given.bar for r in results))


if __name__ == "__main__":
    raise SystemExit(main())
