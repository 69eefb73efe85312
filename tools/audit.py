"""Ask for known vulnerabilities of every locked package, and never call silence an all-clear.

pip-audit says "No known vulnerabilities found" and exits 0 when its source knows nothing at all: it
skips every package. So its words count for nothing here. Each lock is asked for as JSON; every
package that this environment would install has to come back looked at, and two old versions whose
holes are known since years (the canaries) have to come back reported, by the same source in the
same minute. Otherwise nothing was audited, and that is a failure of its own.

    exit 0   every package was looked at, nothing is known against any
    exit 1   vulnerabilities, or findings of bandit that nobody has judged
    exit 3   could not be audited

Run by `make audit` in an environment of its own (`requirements/audit.txt`).
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parents[1]
LOCKS: Final = ("build", "default", "dev", "torch", "audit")
SOURCES: Final = ("pypi", "osv")
CLEAN, FOUND, UNKNOWN = 0, 1, 3
TIMEOUT: Final = 600
CANARIES: Final[Mapping[str, str]] = {"jinja2": "2.4.1", "urllib3": "1.24.1"}
"""Versions with holes that every source of advisories has known since 2019."""
ACCEPTED: Final[Mapping[str, str]] = {}
"""Id of a vulnerability to the reason why it does not concern this program, with the day."""

_CHECKED: Final = "argument lists without a shell, of programs named here or by this interpreter"
_SQL: Final = "put together from constants and numbers; what people give is bound (trust row 38)"
_DRAWN: Final = "draws samples and seeds, no secrets"
JUDGED: Final[Mapping[str, Mapping[str, str]]] = {
    "B101": {"*": "for the type checker; none guards an input"},
    "B104": {"dashboards/serve.py": "compares with that address, does not bind to it"},
    "B106": {"*": "empty, or a token of a tokenizer"},
    "B107": {"*": "empty: the form was sent without it"},
    "B311": {"models/*": _DRAWN},
    "B314": {"tools/run_tests.py": "reads pytest's own report"},
    "B404": {"*": _CHECKED},
    "B405": {"tools/run_tests.py": "reads pytest's own report", "dashboards/feed.py": "writes"},
    "B603": {"*": _CHECKED},
    "B604": {"dashboards/views.py": "an argument called shell that is our Shell"},
    "B607": {"tools/bootstrap.py": "apt-get, as found on the path"},
    "B608": {"kiemchung/store/*": _SQL, "crawler/ledger.py": _SQL},
    "B615": {"models/*": "the id is the operator's choice; the manifest holds the files' hashes"},
    "B701": {"dashboards/draft.py": "plain text, escaped by the page that shows it"},
    "B704": {"dashboards/charts.py": "every value is escaped or a number",
             "dashboards/report.py": "our own style sheet"},
}  # fmt: skip
"""Bandit's findings that were looked at: test, file, why it is none."""


class CouldNotAuditError(Exception):
    """Nobody has looked; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """One known vulnerability of one package."""

    package: str
    version: str
    id: str
    fixed_in: str


def wanted(lock: str) -> dict[str, str]:
    """Return name and version of what a lock installs into this environment."""
    found = {}
    for line in lock.splitlines():
        pinned = re.match(r"[A-Za-z0-9][^\\#]*==[^\\#]*", line)
        if pinned:
            need = Requirement(pinned[0].strip())
            if need.marker is None or need.marker.evaluate():
                found[canonicalize_name(need.name)] = str(need.specifier).removeprefix("==")
    return found


def read_answer(text: str, expected: Mapping[str, str]) -> list[Hole]:
    """Return what pip-audit reports.

    Raises:
        CouldNotAuditError: no JSON, or a package that was skipped, left out or taken for another
            version.
    """
    try:
        rows: list[dict[str, Any]] = json.loads(text)["dependencies"]
        skipped = {canonicalize_name(r["name"]): r["skip_reason"] for r in rows if "vulns" not in r}
        seen = {canonicalize_name(r["name"]): r["version"] for r in rows if "vulns" in r}
        holes = [
            Hole(
                package=r["name"],
                version=r["version"],
                id=v["id"],
                fixed_in=", ".join(v.get("fix_versions") or ()) or "no version",
            )
            for r in rows
            for v in r.get("vulns", ())
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CouldNotAuditError(f"no answer that can be read: {error!r}") from error
    missing = sorted(n for n, v in expected.items() if seen.get(n) != v)
    if missing:
        names = ", ".join(missing[:5]) + (" …" if len(missing) > 5 else "")
        why = next((skipped[n] for n in missing if n in skipped), "left out of the answer")
        raise CouldNotAuditError(
            f"{len(missing)} of {len(expected)} not looked at: {names} ({why})"
        )
    return holes


def ask(program: str, source: str, path: Path, *arguments: str) -> str:
    """Return pip-audit's JSON about one list of requirements.

    Raises:
        CouldNotAuditError: it broke down, or took too long.
    """
    command = [program, "-r", str(path), "-f", "json", "-s", source, "--disable-pip", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CouldNotAuditError(f"{program}: {error}") from error
    if done.returncode not in (0, 1) or not done.stdout.strip():
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise CouldNotAuditError(last[:300])
    return done.stdout


def audit(program: str, source: str, locks: Sequence[Path]) -> list[Hole]:
    """Return the vulnerabilities that ``source`` knows of the locked packages.

    Raises:
        CouldNotAuditError: the source has no advisories, or did not look at every package.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "canary.txt"
        path.write_text("".join(f"{n}=={v}\n" for n, v in CANARIES.items()), encoding="utf-8")
        known = read_answer(ask(program, source, path, "--no-deps"), CANARIES)
    silent = sorted(set(CANARIES) - {canonicalize_name(h.package) for h in known})
    if silent:
        names = ", ".join(f"{n} {CANARIES[n]}" for n in silent)
        raise CouldNotAuditError(f"no advisory data: nothing is reported against {names}")
    holes = []
    for path in locks:
        expected = wanted(path.read_text(encoding="utf-8"))
        if not expected:
            raise CouldNotAuditError(f"{path.name} names no package")
        holes += read_answer(ask(program, source, path, "--require-hashes"), expected)
    return sorted(set(holes), key=lambda h: (h.package, h.id))


def unjudged(report: str) -> list[str]:
    """Return bandit's findings that `JUDGED` says nothing about, a line each."""
    found = []
    for row in json.loads(report)["results"]:
        name = row["filename"].removeprefix("./")
        reasons = JUDGED.get(row["test_id"], {})
        if not any(fnmatch.fnmatch(name, pattern) for pattern in reasons):
            found.append(f"{name}:{row['line_number']}: {row['test_id']} {row['issue_text']}")
    return found


def scan_source(program: str) -> list[str]:
    """Return what bandit finds in our packages and tools and nobody has judged.

    Raises:
        CouldNotAuditError: it broke down, or could not read a file.
    """
    folders = ["kiemchung", "crawler", "nlp", "models", "dashboards", "pipeline", "tools"]
    done = subprocess.run(
        [program, "-q", "-r", *folders, "-f", "json"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    try:
        if json.loads(done.stdout)["errors"]:
            raise CouldNotAuditError(f"bandit: {json.loads(done.stdout)['errors']}")
        return unjudged(done.stdout)
    except (ValueError, KeyError) as error:
        raise CouldNotAuditError(f"bandit: {error!r}") from error


def tool(name: str) -> str:
    """Return the path of a tool of this environment, or of the machine."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.is_file() else shutil.which(name) or name


def main(argv: Sequence[str] | None = None) -> int:
    """Audit the locks and the source; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", action="append", choices=SOURCES, help="of advisories")
    parser.add_argument("--pip-audit", default=tool("pip-audit"), help="the program to ask")
    parser.add_argument("--no-bandit", action="store_true", help="packages only")
    given = parser.parse_args(argv)
    locks = [ROOT / "requirements" / f"{name}.txt" for name in LOCKS]
    say = sys.stdout.write
    codes = []
    for source in given.source or SOURCES:
        try:
            holes = audit(given.pip_audit, source, locks)
        except CouldNotAuditError as error:
            say(f"{source}: could not be audited: {error}\n")
            continue
        open_ = [h for h in holes if h.id not in ACCEPTED]
        for hole in holes:
            why = ACCEPTED.get(hole.id, f"fixed in {hole.fixed_in}")
            say(f"{hole.package} {hole.version}: {hole.id}: {why}\n")
        say(f"{source}: every package was looked at, {len(open_)} vulnerabilities\n")
        codes.append(FOUND if open_ else CLEAN)
        break  # one source that answers whole is enough
    if not codes:
        say("NOT AUDITED: nobody has looked at these packages; ask again where a source answers\n")
        codes.append(UNKNOWN)
    if not given.no_bandit:
        try:
            findings = scan_source(tool("bandit"))
            say("".join(f"{line}\n" for line in findings))
            say(f"bandit: {len(findings)} findings that nobody has judged\n")
            codes.append(FOUND if findings else CLEAN)
        except CouldNotAuditError as error:
            say(f"could not be audited: {error}\n")
            codes.append(UNKNOWN)
    return max(codes)


if __name__ == "__main__":
    raise SystemExit(main())
