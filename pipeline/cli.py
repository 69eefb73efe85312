"""The command line: a contract, so names, flags and JSON fields stay.

The commands stand in `pipeline.commands`; heavy packages are imported inside the command that needs
them, so that `--help` answers at once. Results go to stdout, everything else to stderr; a mistake
ends with one line that names file, line and remedy, and exit code 1.
"""

from __future__ import annotations

import typer

from kiemchung import __version__
from kiemchung.errors import KiemchungError
from pipeline.commands import (
    accounts,
    care,
    corrections,
    desk,
    measure,
    models,
    outlets,
    reference,
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
for group in (week, texts, desk, care, measure):
    app.add_typer(group.app)
app.add_typer(reference.app, name="reference")
app.add_typer(outlets.app, name="outlets")
app.add_typer(models.app, name="models")
app.add_typer(accounts.app, name="user")
app.add_typer(corrections.app, name="corrections")
app.add_typer(train.train_app, name="train")
app.add_typer(train.data_app, name="data")


@app.command(hidden=True)
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run the command line; a known error is one line on stderr and exit code 1."""
    try:
        app()
    except KiemchungError as error:
        say(f"kiemchung: {error}")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        say("kiemchung: interrupted; the same command goes on where it stopped")
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
