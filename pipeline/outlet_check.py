"""The outlet commands: files read, sites looked at, marks written, files drafted."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from crawler.draft import Draft, draft
from crawler.outlets import SHIPPED, Outlet, load_outlets_leniently
from crawler.probe import Probe, probe, write_verified
from kiemchung.config import Settings
from kiemchung.errors import OutletFileError, UnknownOutletError
from pipeline.reading import VIETNAM


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A look at one outlet, and the file into which the mark was written."""

    probe: Probe
    marked: str
    lines: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for `--json`."""
        return asdict(self.probe) | {"sound": self.probe.sound, "marked": self.marked}


def check_files(settings: Settings) -> tuple[list[str], list[str]]:
    """Return the names of the outlets whose files are in order, and what is wrong with others."""
    known, broken = load_outlets_leniently(settings.outlet_dir)
    return sorted(known), [str(error) for error in broken]


def file_of(name: str, settings: Settings) -> Path:
    """Return the file of an outlet: the operator's own, else the shipped one."""
    for folder in filter(None, (settings.outlet_dir, SHIPPED)):
        if (path := folder / f"{name}.toml").is_file():
            return path
    raise OutletFileError(
        f"no file {name}.toml", where=str(settings.outlet_dir or SHIPPED),
        remedy="a file must bear the name of its outlet to be marked",
    )  # fmt: skip


def _proxy(outlet_hosts: Sequence[str], stack: ExitStack) -> str | None:
    if not all(host.endswith(".example") for host in outlet_hosts):
        return None
    from pipeline.demo.site import SampleSite

    return stack.enter_context(SampleSite()).address


def look_at(
    names: Sequence[str], settings: Settings, *, write: bool = False, by: str = ""
) -> list[Looked]:
    """Fetch a list and three articles of each outlet; write the mark where nothing is against it.

    Raises:
        UnknownOutletError: there is no such outlet.
        OutletFileError: the mark cannot be written.
    """
    known, broken = load_outlets_leniently(settings.outlet_dir)
    today = datetime.now(VIETNAM).date()  # the day of the look, which the mark is to hold
    found = []
    for name in names:
        if name not in known:
            why = next((str(e) for e in broken if f"{name}.toml" in str(e)), "")
            raise UnknownOutletError(
                f"no outlet is called {name!r}" + (f": {why}" if why else ""),
                remedy="`kiemchung outlets list` names them",
            )
        outlet: Outlet = known[name]
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="kiemchung-")))
            seen = probe(
                outlet, settings=settings, data_dir=folder, day=today,
                sample_proxy=_proxy(outlet.hosts, stack),
            )  # fmt: skip
        marked = ""
        if write and seen.sound:
            path = file_of(name, settings)
            write_verified(path, day=today, by=by)
            marked = str(path)
        lines = seen.lines()
        if write:
            lines.append(f"  marked in {marked}" if marked else "  not marked")
        found.append(Looked(probe=seen, marked=marked, lines=tuple(lines)))
    return found


def draft_of(url: str, settings: Settings, *, name: str = "") -> Draft:
    """Draft an outlet file from one article.

    Raises:
        PageError: the article could not be fetched or is none.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="kiemchung-")))
        return draft(
            url, settings=settings, data_dir=folder, name=name,
            day=datetime.now(VIETNAM).date(),
            sample_proxy=_proxy([urlsplit(url).hostname or ""], stack),
        )  # fmt: skip
