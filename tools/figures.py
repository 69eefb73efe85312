"""Every figure of the docs, the command that gives it, and whether the two still agree.

``docs/figures.toml`` names runs: a command that prints JSON, and in it the figures that the docs
quote. What a run said last lies in ``docs/figures/RUN.json`` with its day, the model it describes
and the hash of the program. In a page a comment behind a figure names it, and nobody sees it:

    59 of 59 flags<!-- figure: demo.flags_right demo.flags -->

The last numbers before the comment are those figures, in this order: rounded as they are written,
a share also in per cent, ``|x`` behind a name for the distance from 1 (an error rate).

    python tools/figures.py                    docs against stored results: what CI asks
    python tools/figures.py --recompute RUN    run it again and compare with what is stored
    python tools/figures.py --update RUN ...   run it and store what it says; "cheap" for all such
    python tools/figures.py --write            put the stored figures into the docs
    python tools/figures.py --list             every figure, its value and where it is quoted

``{data}`` in a command is the development data (--data), ``{scratch}`` an empty folder; of commands
joined by `` && `` the last one's answer counts. ``docs/figures.md`` is made of all this.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
REGISTRY: Final = ROOT / "docs" / "figures.toml"
RESULTS: Final = ROOT / "docs" / "figures"
PAGE: Final = ROOT / "docs" / "figures.md"
MARK: Final = re.compile(r"<!-- figure: ([^>]*?) -->")
NUMBER: Final = re.compile(
    r"(?<![\w.,])(?P<value>-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e-?\d+)?)(?P<percent> ?%)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One command and what the docs take from its answer.

    ``figures`` maps a name to its place in the JSON (``a.b.0``; ``#a.b`` for a length).
    ``tolerance`` is how far a second run may be from the stored one, absolute, 0 unless said.
    A run that is ``cheap`` takes seconds and is repeated by the tests. ``model`` is the folder
    under models/ that the result describes, empty for none.
    """

    name: str
    command: str
    what: str
    figures: Mapping[str, str]
    cheap: bool = False
    model: str = ""
    tolerance: float = 0.0
    exit_codes: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a run said last."""

    command: str
    day: str
    code_sha256: str
    model: str
    model_sha256: str
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A number of a page, its place in the text, and the figure that it is said to be."""

    page: Path
    line: int
    start: int
    end: int
    written: str
    percent: bool
    figure: str
    distance: bool = False  # the page says 1 - x

    @property
    def where(self) -> str:
        """File and line."""
        return f"{self.page.name}:{self.line}"

    def agrees(self, value: float) -> bool:
        """Whether ``value`` rounds to what is written."""
        return as_written(self.shown(value), self.written) == self.written

    def shown(self, value: float) -> float:
        """Return the value in the form of the page: a distance from 1, per cent."""
        value = 1.0 - value if self.distance else value
        return value * 100.0 if self.percent else value


@dataclass(slots=True)
class Report:
    """What is wrong, a line each; ``notes`` are no faults."""

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def as_written(value: float, like: str) -> str:
    """Return ``value`` with as many places as ``like``, and with its commas between thousands."""
    if "e" in like:
        places = len(like.split("e")[0].partition(".")[2])
        return re.sub(r"e-0*", "e-", f"{value:.{places}e}")
    places = len(like.partition(".")[2])
    exact = Decimal(repr(value)).quantize(Decimal(1).scaleb(-places), rounding="ROUND_HALF_EVEN")
    return f"{exact:,}" if "," in like else f"{exact}"


def read_registry(path: Path = REGISTRY) -> dict[str, Run]:
    """Return the runs by name.

    Raises:
        ValueError: a run without command or figures, or with a key that is none.
    """
    found = {}
    for name, body in tomllib.loads(path.read_text(encoding="utf-8"))["run"].items():
        try:
            codes = tuple(body.pop("exit_codes", (0,)))
            found[name] = Run(name=name, exit_codes=codes, **body)
        except TypeError as error:
            raise ValueError(f"{path}: run.{name}: {error}") from error
    return found


def read_stored(run: str, folder: Path = RESULTS) -> Stored | None:
    """Return what a run said last, or None where it was never stored."""
    path = folder / f"{run}.json"
    if not path.is_file():
        return None
    return Stored(**json.loads(path.read_text(encoding="utf-8")))


def pages() -> list[Path]:
    """Return the pages whose figures are watched; `PAGE` is made and not watched.

    A model card is part of its folder's manifest: it is held to that, and never written to.
    """
    return [ROOT / "README.md", *(p for p in sorted((ROOT / "docs").rglob("*.md")) if p != PAGE)]


def quotes(page: Path, text: str | None = None) -> Iterator[Quote]:
    """Yield the figures of a page.

    Raises:
        ValueError: a comment with fewer numbers before it than names in it.
    """
    text = page.read_text(encoding="utf-8") if text is None else text
    last = 0
    for mark in MARK.finditer(text):
        begin = max(last, text.rfind("\n\n", 0, mark.start()) + 1)
        names = mark.group(1).split()
        numbers = list(NUMBER.finditer(text, begin, mark.start()))
        line = text.count("\n", 0, mark.start()) + 1
        if len(numbers) < len(names):
            raise ValueError(
                f"{page.name}:{line}: {len(names)} figures are named and only {len(numbers)} "
                "numbers stand before the comment"
            )
        for name, number in zip(names, numbers[len(numbers) - len(names) :], strict=True):
            figure, _, way = name.partition("|")
            if way not in ("", "x"):
                raise ValueError(f"{page.name}:{line}: |{way} is no way to read a figure")
            yield Quote(
                page=page,
                line=line,
                start=number.start("value"),
                end=number.end("value"),
                written=number.group("value"),
                percent=bool(number.group("percent")),
                figure=figure,
                distance=way == "x",
            )
        last = mark.end()


def place(answer: Any, path: str) -> float:  # noqa: ANN401  any JSON
    """Return the figure at ``path``; ``#`` in front asks for the length of what lies there.

    Raises:
        KeyError: nothing lies there, or nothing that is a number.
    """
    found = answer
    for key in path.removeprefix("#").split("/" if "/" in path else "."):
        try:
            found = found[int(key)] if isinstance(found, list) else found[key]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise KeyError(f"nothing at {path!r} (failed at {key!r})") from error
    if path.startswith("#"):
        return float(len(found))
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise KeyError(f"{path!r} is {found!r}, no number")
    return float(found)


def commands_of(run: Run, *, data: Path | None, scratch: Path) -> list[list[str]]:
    """Return the words of a run's commands, with this environment's programs.

    Raises:
        FileNotFoundError: it needs the development data.
    """
    if "{data}" in run.command and data is None:
        raise FileNotFoundError(f"{run.name} needs the development data: --data DIR")
    beside = Path(sys.executable).parent
    found = []
    for command in run.command.format(data=data or "", scratch=scratch).split(" && "):
        program, *rest = shlex.split(command)
        if program == "python":
            program = sys.executable
        elif (beside / program).exists():
            program = str(beside / program)
        found.append([program, *rest])
    return found


def measure(run: Run, *, data: Path | None = None) -> dict[str, float]:
    """Run the commands and return the figures of the last one's answer.

    Raises:
        RuntimeError: one ends with another exit code than the run allows, or a figure is missing.
    """
    printed = ""
    with tempfile.TemporaryDirectory() as scratch:
        for words in commands_of(run, data=data, scratch=Path(scratch)):
            done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode not in run.exit_codes:
                raise RuntimeError(
                    f"{run.name}: exit code {done.returncode}\n{done.stderr[-2000:]}"
                )
            printed = done.stdout
    return figures_of(run, printed)


def figures_of(run: Run, printed: str) -> dict[str, float]:
    """Return the figures of a run from what it printed.

    Raises:
        RuntimeError: that is no JSON, or a figure is not in it.
    """
    try:
        answer = json.loads(printed)
        return {name: place(answer, path) for name, path in run.figures.items()}
    except (ValueError, KeyError) as error:
        raise RuntimeError(f"{run.name}: {error}") from error


def model_sha256(folder: str) -> str:
    """Return the fingerprint of a model folder under models/."""
    body = json.loads((ROOT / "models" / folder / "manifest.json").read_text(encoding="utf-8"))
    return str(body["manifest_sha256"])


def store(run: Run, figures: Mapping[str, float], folder: Path = RESULTS) -> Path:
    """Write what a run said, with all that it depends on."""
    from pipeline.code import code_sha256

    body = {
        "command": run.command,
        "day": datetime.now(UTC).date().isoformat(),
        "code_sha256": code_sha256(),
        "model": run.model,
        "model_sha256": model_sha256(run.model) if run.model else "",
        "figures": dict(figures),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{run.name}.json"
    path.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    return path


def compare(run: Run, stored: Stored, again: Mapping[str, float]) -> list[str]:
    """Return each figure that a second run gives otherwise."""
    return [
        f"{run.name}.{name}: stored {stored.figures.get(name)}, now {value}"
        for name, value in again.items()
        if name not in stored.figures or abs(stored.figures[name] - value) > run.tolerance + 1e-12
    ]


def stale(run: Run, stored: Stored) -> str:
    """Return why a stored result no longer describes what it says, or an empty string."""
    if stored.command != run.command:
        return f"{run.name}: stored by another command: {stored.command}"
    if set(stored.figures) != set(run.figures):
        odd = sorted(set(stored.figures) ^ set(run.figures))
        return f"{run.name}: stored with other figures: {', '.join(odd)}"
    if stored.model != run.model:
        return f"{run.name}: stored for models/{stored.model}"
    if run.model and stored.model_sha256 != model_sha256(run.model):
        return (
            f"{run.name}: of {stored.day}, older than models/{run.model} "
            f"({stored.model_sha256[:12]}, the folder is {model_sha256(run.model)[:12]})"
        )
    return ""


def check(runs: Mapping[str, Run], folder: Path = RESULTS) -> Report:
    """Hold the docs against the stored results, and these against the models they describe."""
    found = Report()
    values: dict[str, float] = {}
    for run in runs.values():
        stored = read_stored(run.name, folder)
        if stored is None:
            found.faults.append(
                f"{run.name}: never run: python tools/figures.py --update {run.name}"
            )
            continue
        if why := stale(run, stored):
            found.faults.append(f"{why}; python tools/figures.py --update {run.name}")
        values |= {f"{run.name}.{name}": value for name, value in stored.figures.items()}
    for page in pages():
        for quote in quotes(page):
            if quote.figure not in values:
                found.faults.append(f"{quote.where}: no figure {quote.figure}")
            elif not quote.agrees(values[quote.figure]):
                now = as_written(quote.shown(values[quote.figure]), quote.written)
                found.faults.append(
                    f"{quote.where}: {quote.figure} is written as {quote.written},"
                    f" the result says {now}"
                )
    if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page_of(runs, folder):
        found.faults.append(f"{PAGE.name} is not what the results give: --write")
    return found


def page_of(runs: Mapping[str, Run], folder: Path = RESULTS) -> str:
    """Return the page of all figures."""
    lines = [
        "# Figures that a command gives again",
        "",
        "Made by `python tools/figures.py --write` from `docs/figures.toml` and `docs/figures/`;",
        "do not edit. What is marked *in the tests* is run again by them; of the rest the last",
        "result is stored with its day, and it must not be older than the model it describes.",
        "`{data}` is the development data, which no user needs.",
    ]
    for run in runs.values():
        stored = read_stored(run.name, folder)
        if stored is None:
            continue
        of = f", models/{run.model} (`{stored.model_sha256[:12]}`)" if run.model else ""
        again = "in the tests" if run.cheap else f"of {stored.day}"
        lines += ["", f"## {run.name}", "", f"{run.what[:1].upper()}{run.what[1:]}{of}; *{again}*."]
        lines += ["", "```", *run.command.split(" && "), "```"]
        lines += ["", "| figure | value |", "|---|---|"]
        known = {name: stored.figures[name] for name in run.figures if name in stored.figures}
        lines += [
            f"| {name} | {f'{value:,.0f}' if value.is_integer() else f'{value:.6g}'} |"
            for name, value in known.items()
        ]
    return "\n".join(lines) + "\n"


def write(runs: Mapping[str, Run], folder: Path = RESULTS) -> list[str]:
    """Put the stored figures into the pages, as they are written there; return what changed."""
    changed = []
    values = {
        f"{name}.{figure}": value
        for name in runs
        if (stored := read_stored(name, folder))
        for figure, value in stored.figures.items()
    }
    for page in pages():
        text = before = page.read_text(encoding="utf-8")
        for quote in sorted(quotes(page, text), key=lambda q: -q.start):
            if quote.figure in values and not quote.agrees(values[quote.figure]):
                now = as_written(quote.shown(values[quote.figure]), quote.written)
                changed.append(f"{quote.where}: {quote.figure}: {quote.written} -> {now}")
                text = text[: quote.start] + now + text[quote.end :]
        if text != before:
            page.write_text(text, encoding="utf-8")
    PAGE.write_text(page_of(runs, folder), encoding="utf-8")
    return changed


def main(argv: Sequence[str] | None = None) -> int:
    """Check, or do what the arguments say; return 1 where doc and result part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", nargs="+", metavar="RUN", default=[])
    parser.add_argument("--recompute", nargs="+", metavar="RUN", default=[])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--data", type=Path)
    given = parser.parse_args(argv)
    sys.path.insert(0, str(ROOT))
    runs = read_registry()
    wanted = given.update + given.recompute
    names = [r.name for r in runs.values() if r.cheap] if wanted == ["cheap"] else wanted
    if unknown := sorted(set(names) - set(runs)):
        parser.error(f"no run {', '.join(unknown)}; there are {', '.join(runs)}")
    parted = []
    for name in names:
        try:
            figures = measure(runs[name], data=given.data)
        except (RuntimeError, FileNotFoundError) as error:
            parted.append(str(error))
            continue
        if given.update:
            print(store(runs[name], figures).relative_to(ROOT), flush=True)
        elif (stored := read_stored(name)) is None:
            parted.append(f"{name}: never stored")
        else:
            parted += compare(runs[name], stored, figures)
    if given.write:
        print("\n".join(write(runs)))
    if given.list:
        places: dict[str, list[str]] = {}
        for page in pages():
            for quote in quotes(page):
                places.setdefault(quote.figure, []).append(quote.where)
        for run in runs.values():
            print(f"{run.name}: {run.command}")
            for name, value in (
                stored.figures if (stored := read_stored(run.name)) else {}
            ).items():
                at = ", ".join(places.get(f"{run.name}.{name}", ["nowhere"]))
                print(f"  {name:32} {value:<12.6g} {at}")
    faults = parted if wanted else [] if given.list else check(runs).faults
    for line in faults:
        print(line, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
