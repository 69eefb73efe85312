"""The command line: a contract, so names, flags and JSON fields stay.

The commands stand in `pipeline.commands`; heavy packages are imported inside the command that needs
them, so that `--help` answers at once. Results go to stdout, everything else to stderr; a mistake
ends with one line that names file, line and remedy, and exit code 1.
"""

from __future__ import annotations

import errno
from typing import Final

import typer

from kiemchung import __version__
from kiemchung.errors import DiskFullError, KiemchungError
from pipeline.commands import (
    accounts,
    care,
    choose,
    corrections,
    data,
    desk,
    drift,
    measure,
    models,
    outlets,
    reference,
    runs,
    texts,
    train,
    week,
)
from pipeline.commands.common import GROUP, say

app = typer.Typer(
    help="Set checkable claims about cooperatives beside the law in force on their day.",
    pretty_exceptions_enable=False,
    **GROUP,
)
for group in (week, texts, desk, care, measure, drift):
    app.add_typer(group.app)
app.add_typer(reference.app, name="reference")
app.add_typer(outlets.app, name="outlets")
app.add_typer(models.app, name="models")
app.add_typer(accounts.app, name="user")
app.add_typer(corrections.app, name="corrections")
app.add_typer(train.train_app, name="train")
data.app.add_typer(choose.app)
app.add_typer(data.app, name="data")
app.add_typer(runs.app, name="runs")


@app.command(hidden=True)
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def no_room(error: Exception) -> DiskFullError | None:
    """Return ``error`` in our words where it says that the disk is full, else None.

    SQLite tells it in words only, and calls a file limit an I/O error.
    """
    sqlite = type(error).__module__ == "sqlite3" and (
        "full" in str(error) or "disk I/O error" in str(error)
    )
    if not sqlite and not (isinstance(error, OSError) and error.errno in _NO_ROOM):
        return None
    return DiskFullError(
        f"no room on the disk: {error}",
        where=str(getattr(error, "filename", None) or ""),
        remedy="make room, then start the same command again; it goes on where it stopped",
    )


def main() -> None:
    """Run the command line; a known error is one line on stderr and exit code 1."""
    try:
        app()
    except KiemchungError as error:
        say(f"kiemchung: {error}")
        raise SystemExit(1) from None
    except BrokenPipeError:
        raise SystemExit(1) from None
    except Exception as error:
        known = no_room(error)
        if known is None:
            raise
        say(f"kiemchung: {known}")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        say("kiemchung: interrupted; the same command goes on where it stopped")
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
