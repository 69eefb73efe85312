"""Command lines as documents and units write them, held against the command line itself."""

from __future__ import annotations

import io
import logging
import re
import shlex
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import click
import typer

from pipeline.cli import app, main


def wrong_with(words: list[str]) -> str:
    """Return what the command line would refuse in ``words`` after `kiemchung`, empty for nothing.

    Options, their values and required arguments are parsed as they would be; nothing is run.
    """
    command: click.Command = typer.main.get_command(app)
    name = "kiemchung"
    rest = list(words)
    while isinstance(inner := getattr(command, "commands", None), dict):
        if not rest or rest[0] not in inner:
            return f"{name} has no command {rest[:1]}"
        name = f"{name} {rest.pop(0)}"
        command = inner[name.split()[-1]]
    try:
        command.make_context(name, rest)
    except (click.ClickException, click.exceptions.Exit) as error:
        return f"{name}: {getattr(error, 'message', error)}"
    except Exception as error:  # noqa: BLE001  typer brings click's errors under names of its own
        return f"{name}: {error}"
    return ""


def kiemchung_calls(line: str) -> list[list[str]]:
    """Return the arguments of every call of `kiemchung` in a line of shell."""
    plain = re.sub(r"\$\(.*?\)", "2026-W40", line)  # what the shell would put there
    found = []
    for part in re.split(r"&&|\|\||;", plain):
        bare = re.sub(r"^\s*(sudo -u \w+ |exec |podman exec \w+ )*", "", part)
        first, *rest = shlex.split(bare, comments=True) or [""]
        if first == "kiemchung" or first.endswith(".venv/bin/kiemchung"):
            found.append(rest)
    return found


def in_this_process(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Do what `kiemchung ARGUMENTS` does in ``cwd``, without the second that a start takes.

    That a fresh interpreter does the same is for the tests that start one.
    """
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    before, log = sys.argv, logging.getLogger()
    handlers, level = list(log.handlers), log.level
    sys.argv = ["kiemchung", *arguments]
    try:
        with chdir(cwd), redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.argv = before
        log.handlers[:] = handlers
        log.setLevel(level)
    number = code if isinstance(code, int) else int(code is not None)
    return subprocess.CompletedProcess(arguments, number, out.getvalue(), err.getvalue())
