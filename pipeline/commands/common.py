"""What every command shares: options, output for people and machines, files told by name."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kiemchung.errors import InputError, MissingExtraError, RecordError

if TYPE_CHECKING:
    from datetime import date

    from kiemchung.config import Settings
    from kiemchung.store import Store
    from pipeline.stages import Progress

GROUP: dict[str, Any] = {"no_args_is_help": True, "add_completion": False}
"""How every group of commands behaves."""

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Data = Annotated[Path | None, typer.Option("--data", help="Data folder (default: var).")]
Out = Annotated[Path | None, typer.Option("--out", help="Write here instead of stdout.")]
WeekText = Annotated[str, typer.Option("--week", help="ISO week, for example 2026-W40.")]
OutletNames = Annotated[
    list[str] | None,
    typer.Option("--outlet", help="Outlet name, repeatable; `sample` is the embedded sample week."),
]
Device = Annotated[
    str | None,
    typer.Option("--device", help="cpu, cuda or auto: where an encoder scores (default: cpu)."),
]
Engine = Annotated[
    str | None,
    typer.Option("--engine", help="local, or ray: who analyses and judges (default: local)."),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=0, help="Processes a stage; 0: one a core (default)."),
]


def say(text: str) -> None:
    """Tell the person at the terminal; stdout stays for results."""
    typer.echo(text, err=True)


def emit(value: Any, *, as_json: bool, lines: Sequence[str] = ()) -> None:  # noqa: ANN401
    """Print a result for machines, or for people when stdout is a terminal."""
    if as_json:
        typer.echo(json.dumps(value, ensure_ascii=False, indent=1, default=str))
    elif sys.stdout.isatty():
        for line in lines:
            typer.echo(line)


def settings_for(data: Path | None = None, **given: Any) -> Settings:  # noqa: ANN401
    """Return the settings with what this command was told; ``None`` leaves a setting alone."""
    from kiemchung.config import load_settings

    return load_settings(data_dir=data, **given)


@contextmanager
def output(path: Path | None) -> Iterator[Any]:
    """Yield stdout, or a file that appears whole or not at all."""
    if path is None:
        yield sys.stdout
        return
    import io

    from kiemchung.shards import write_bytes_atomically

    held = io.StringIO()
    yield held
    try:
        write_bytes_atomically(path, held.getvalue().encode("utf-8"))
    except OSError as error:
        raise InputError(
            f"cannot be written: {error}", where=str(path), remedy="give another --out"
        ) from error


def read_file(path: Path) -> bytes:
    """Return the bytes of a file that the person named."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}", where=str(path)) from error


def decode(data: bytes, where: str) -> str:
    """Return UTF-8 text without its byte order mark; ``where`` is named in the error."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecordError(
            f"not UTF-8 text (byte {error.start})", where=where, remedy="save the file as UTF-8"
        ) from error


def parse_day(text: str, where: str) -> date:
    """Return a day written YYYY-MM-DD; ``where`` is named in the error."""
    from datetime import date

    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise RecordError(f"{text!r} is no date", where=where, remedy="write YYYY-MM-DD") from error


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Yield a callback that shows progress on a terminal and a line a stage elsewhere.

    The rate and the estimated end follow from the last minute: what was found done does not count.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:.1f}/s" if speed else "")

    console = Console(stderr=True)
    if not console.is_terminal:
        said: set[str] = set()

        def note(stage: str, done: int, total: int) -> None:
            if stage not in said:
                said.add(stage)
                say(f"kiemchung: {stage} ...")

        yield note
        return
    columns = (
        TextColumn("{task.description:>8}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Bars(*columns, console=console, speed_estimate_period=60) as bars:
        tasks: dict[str, Any] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total or None, completed=done)
            bars.update(tasks[stage], completed=done, total=total or None)

        yield show


def existing_path(data: Path | None) -> Path:
    """Return where the store of a data folder lies; one without a store is a mistake."""
    from pipeline import backup

    return backup.existing_path(settings_for(data))


@contextmanager
def existing_store(data: Path | None) -> Iterator[Store]:
    """Open the store of a data folder; a folder without one is a mistake, not a new store."""
    from kiemchung.store import open_store

    with open_store(existing_path(data)) as store:
        yield store


@contextmanager
def store_to_read(data: Path | None) -> Iterator[Store]:
    """The same for commands that only read: beside a server they are given a copy."""
    from pipeline import backup

    with backup.store_to_read(settings_for(data), told=say) as store:
        yield store


@contextmanager
def train_extra() -> Iterator[None]:
    """Say what to install where a package of the train extra is missing.

    Raises:
        MissingExtraError: names the package.
    """
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(
            f"{error.name} is not installed", remedy="install the train extra; see CONTRIBUTING"
        ) from error
