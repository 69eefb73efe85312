"""Write `docs/licences.md`: the licence of every package that the program runs with.

Read from the metadata of the installed packages, for the set that `requirements/default.txt` gives
Linux with Python 3.11. A licence that obliges whoever passes the program on (GPL, LGPL, AGPL), and
one that cannot be told, needs a decision with its reason in `DECIDED`; without one nothing is
written.

    python tools/licences.py           write the page
    python tools/licences.py --check   exit 1 when it is not up to date
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Final

from packaging.markers import default_environment
from packaging.requirements import Requirement

ROOT: Final = Path(__file__).resolve().parents[1]
LOCK: Final = ROOT / "requirements" / "default.txt"
PAGE: Final = ROOT / "docs" / "licences.md"
DECIDED: Final[Mapping[str, str]] = {
    "tld": "three licences to choose from; taken under MPL-1.1, and not changed here",
}
"""Package to the reason why a licence that is not plainly permissive may be used."""
_PERMISSIVE: Final = (
    "MIT", "MIT-0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "Apache-2.0", "ISC", "PSF-2.0",
    "Python-2.0", "CNRI-Python", "MPL-2.0", "ZPL-2.1", "Unlicense", "Zlib", "HPND", "CC0-1.0",
)  # fmt: skip
"""MPL-2.0 is among them: it asks for changes of its own files only, and none are made."""
_SPOKEN: Final = (
    (r"apache", "Apache-2.0"),
    (r"mozilla public license 2\.0|mpl[- ]?2", "MPL-2.0"),
    (r"bsd[- ]?2|2-clause bsd|simplified bsd", "BSD-2-Clause"),
    (r"bsd[- ]?3|3-clause bsd|new bsd", "BSD-3-Clause"),
    (r"bsd", "BSD"),
    (r"\bmit\b", "MIT"),
    (r"\bisc\b", "ISC"),
    (r"zpl|zope public", "ZPL-2.1"),
    (r"python software foundation|\bpsf", "PSF-2.0"),
)
_COPYLEFT: Final = re.compile(r"(?i)\bA?L?GPL|affero|lesser general public|general public licen")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package of the set."""

    name: str
    version: str
    licence: str  # an SPDX expression where one can be told


def locked() -> dict[str, str]:
    """Return name and version of the default set on Linux with Python 3.11."""
    environment = {**default_environment(), "sys_platform": "linux", "platform_system": "Linux"}
    environment |= {"os_name": "posix", "python_version": "3.11", "python_full_version": "3.11.7"}
    environment |= {"implementation_name": "cpython", "platform_python_implementation": "CPython"}
    environment |= {"platform_machine": "x86_64"}
    found = {}
    for line in LOCK.read_text(encoding="utf-8").splitlines():
        pinned = re.match(r"[A-Za-z0-9][^\\#]*==[^\\#]*", line)
        if pinned:
            need = Requirement(pinned[0].strip())
            if need.marker is None or need.marker.evaluate(environment):
                found[need.name] = str(need.specifier).removeprefix("==")
    return found


def licence_of(name: str) -> str:
    """Return what the package says of itself, empty where it says nothing that can be told."""
    about = metadata(name)
    if about["License-Expression"]:
        return str(about["License-Expression"])
    classifiers = [c for c in about.get_all("Classifier", []) if c.startswith("License :: ")]
    first_line = (about["License"] or "").strip().splitlines()[:1]
    # A field that is an expression says more than a classifier such as "BSD License".
    for text in [*first_line, *(c.rsplit(" :: ", 1)[1] for c in classifiers)]:
        if permissive(text):
            return str(text)
        if _COPYLEFT.search(text):
            return str(text)
        for pattern, spdx in _SPOKEN:
            if re.search(pattern, text.lower()):
                return spdx
    return ""


def permissive(expression: str) -> bool:
    """Whether every part of an expression is a licence that asks for no more than to be named."""
    parts = re.split(r"\s+(?:AND|OR|WITH)\s+", expression.replace("(", "").replace(")", ""))
    return bool(parts) and all(part in _PERMISSIVE or part == "LLVM-exception" for part in parts)


def packages() -> Iterator[Package]:
    """Yield the set; ends with what is missing where it is not what is installed.

    Raises:
        SystemExit: another version, or none, is installed here.
    """
    for name, version in sorted(locked().items()):
        try:
            installed = str(metadata(name)["Version"])
        except PackageNotFoundError:
            installed = "none"
        if installed != version:
            raise SystemExit(
                f"kiemchung: {name} {version} is locked, {installed} is installed here;"
                " run `make test` with Python 3.11 first"
            )
        yield Package(name=name, version=version, licence=licence_of(name))


def undecided(found: list[Package]) -> list[str]:
    """Return a line for each package whose licence needs a decision and has none."""
    return [
        f"{p.name} {p.version}: {p.licence or 'no licence can be told'}"
        for p in found
        if not permissive(p.licence) and p.name not in DECIDED
    ]


def page(found: list[Package]) -> str:
    """Return the page."""
    kinds = Counter(p.licence for p in found)
    head = [
        "# Licences",
        "",
        "Written by `python tools/licences.py` from the metadata of the locked default set"
        " (`requirements/default.txt`,",
        f"Linux, Python 3.11): {len(found)} packages. kiemchung itself is Apache-2.0.",
        "",
        "| licence | packages |",
        "|---|---|",
        *(f"| {kind} | {n} |" for kind, n in sorted(kinds.items(), key=lambda k: (-k[1], k[0]))),
        "",
        "## Decided by name",
        "",
        "Everything else is permissive, or MPL-2.0, which asks for changes of its own files only.",
        "",
        "| package | licence | decision |",
        "|---|---|---|",
        *(f"| {p.name} | {p.licence} | {DECIDED[p.name]} |" for p in found if p.name in DECIDED),
        "",
        "underthesea 6.8.4 says GPL-3.0 in its own metadata; 9.5.0, the oldest that"
        " `pyproject.toml` takes, says Apache-2.0 and",
        "carries that text, so nothing follows for whoever passes kiemchung on. With an old release"
        " the whole program could be passed",
        "on under the GPL only. PhoBERT's weights are no package: `vinai/phobert-base` is MIT,"
        " base-v2 is AGPL-3.0, which is said",
        "when somebody chooses it. What a wheel bundles in binary form is told in its own files,"
        " not here.",
        "",
        "## All packages",
        "",
        "| package | version | licence |",
        "|---|---|---|",
        *(f"| {p.name} | {p.version} | {p.licence} |" for p in found),
        "",
    ]
    return "\n".join(head)


def main() -> int:
    """Write or check the page; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit 1 when it is not up to date")
    check = parser.parse_args().check
    found = list(packages())
    open_ = undecided(found)
    if open_:
        sys.stderr.write("kiemchung: decide about these in tools/licences.py:\n")
        sys.stderr.write("".join(f"  {line}\n" for line in open_))
        return 1
    text = page(found)
    if check:
        return 0 if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
