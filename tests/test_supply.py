"""What the program is made of: locked by hash, declared and used, licensed, audited."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import audit, bootstrap, licences

ROOT = Path(__file__).resolve().parents[1]
LOCKS = {p.stem: p for p in sorted((ROOT / "requirements").glob("*.txt"))}
PACKAGES = ("kiemchung", "crawler", "nlp", "models", "dashboards", "pipeline")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NO_IMPORT = {
    "lxml-html-clean": "trafilatura imports it and old pip does not know the extra that asks for it",
    "python-multipart": "fastapi reads forms with it",
    "pytz": "duckdb hands out moments with a time zone by it",
    "tzdata": "zoneinfo reads it where the machine has no time zones",
}
"""Declared, and imported by somebody else on our behalf."""
BY_CHOICE = {"ray"}
"""Imported by a command that says what to install where it is missing."""


def pins(name: str) -> dict[str, set[str]]:
    """Every name of a lock with its versions; several where Pythons differ."""
    found: dict[str, set[str]] = {}
    for block in re.split(r"^(?=[A-Za-z0-9])", LOCKS[name].read_text("utf-8"), flags=re.MULTILINE):
        if "==" in block:
            need = Requirement(block.split("\\")[0].strip())
            found.setdefault(canonicalize_name(need.name), set()).add(str(need.specifier))
    return found


# -- the lock ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_of_a_lock_is_pinned_and_hashed_and_nothing_else_is_in_it(name: str) -> None:
    text = LOCKS[name].read_text(encoding="utf-8")
    lines = [x for x in text.splitlines() if x and not x.startswith("#")]
    pin = re.compile(r"[a-z0-9][a-z0-9.-]*==[0-9][^ ;]*( ; [^\\]+)? \\")
    assert lines
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("    "):
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line), line
        else:
            assert pin.fullmatch(line), line
            assert after.startswith("    --hash="), line
    assert not re.search(r"https?:|--(extra-)?index|--find-links|@ ", text)


def test_every_set_pins_the_same_versions() -> None:
    default, dev, build = pins("default"), pins("dev"), pins("build")
    assert len(default) > 60
    assert {n: dev.get(n) for n in default} == default
    assert all(dev[n] == v for n, v in build.items() if n in dev)


def test_no_cuda_is_in_what_everybody_installs() -> None:
    for name in ("build", "default", "dev", "audit"):
        assert not [n for n in pins(name) if re.match(r"nvidia|cuda|triton|torch$", n)], name
    assert pins("torch") == pins("torch-cuda") | {} or pins("torch")["torch"] == {
        Requirement(bootstrap.TORCH).specifier.__str__()
    }
    cpu = set(re.findall(r"sha256:(\w+)", LOCKS["torch"].read_text("utf-8")))
    cuda = set(re.findall(r"sha256:(\w+)", LOCKS["torch-cuda"].read_text("utf-8")))
    assert not cpu & cuda


def test_the_lock_holds_what_pyproject_asks_for() -> None:
    extras = PROJECT["optional-dependencies"]
    asked = {"default": PROJECT["dependencies"], "dev": [*extras["dev"], *extras["train"]]}
    for name, needs in asked.items():
        locked = pins(name)
        for need in map(Requirement, needs):
            if need.name == "torch":
                locked = locked | pins("torch")
            for version in locked[canonicalize_name(need.name)]:
                assert need.specifier.contains(version.removeprefix("==")), (name, need)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A package of one file, as an index would give it."""
    path = tmp_path / "index" / "tiny-1.0-py3-none-any.whl"
    path.parent.mkdir()
    meta = "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("tiny.py", "ANSWER = 1\n")
        out.writestr("tiny-1.0.dist-info/METADATA", meta)
        out.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
                     "Generator: test\nTag: py3-none-any\n")  # fmt: skip
        out.writestr("tiny-1.0.dist-info/RECORD", "")
    return path


def test_a_file_with_another_hash_is_refused_and_nothing_is_installed(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "python", lambda: sys.executable)
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    lock = tmp_path / "requirements" / "default.txt"
    lock.parent.mkdir()
    right = hashlib.sha256(wheel.read_bytes()).hexdigest()

    def install(text: str, target: str) -> None:
        lock.write_text(text, encoding="utf-8")
        arguments = [*bootstrap.locked("default"), "--target", str(tmp_path / target)]
        bootstrap.pip(arguments, "the tiny set")

    install(f"tiny==1.0 \\\n    --hash=sha256:{right}\n", "good")
    assert (tmp_path / "good" / "tiny.py").is_file()
    with pytest.raises(SystemExit):
        install(f"tiny==1.0 \\\n    --hash=sha256:{right[:-1]}{'0' if right[-1] != '0' else '1'}\n",
                "altered")  # fmt: skip
    assert "is not the one that the lock names" in capsys.readouterr().out
    assert not (tmp_path / "altered").exists()
    with pytest.raises(SystemExit):
        install("tiny==1.0\n", "bare")  # no fallback to an install without hashes
    assert not (tmp_path / "bare").exists()


def test_the_cpu_build_of_torch_is_told_from_a_cuda_build() -> None:
    cuda = {
        "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl": False,
        "torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl": True,
        "torch-2.13.0-cp311-cp311-macosx_14_0_arm64.whl": False,
        "torch-2.13.0-cp312-cp312-win_amd64.whl": False,
        "": False,
    }
    assert {name: bootstrap.is_cuda_build(name) for name in cuda} == cuda


def test_a_changed_lock_installs_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    (tmp_path / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    (tmp_path / "requirements").mkdir()
    before = bootstrap.fingerprint("run")
    (tmp_path / "requirements" / "default.txt").write_text("a==1\n", encoding="utf-8")
    assert bootstrap.fingerprint("run") != before


# -- declared and used ---------------------------------------------------------------------------


def imported() -> set[str]:
    """The top-level names that our packages import, wherever in a file."""
    found = set()
    for path in (p for name in PACKAGES for p in (ROOT / name).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add((node.module or "").split(".")[0])
    return found - set(PACKAGES) - set(sys.stdlib_module_names)


def test_every_import_is_declared() -> None:
    owners = packages_distributions()
    declared = {canonicalize_name(Requirement(d).name) for d in PROJECT["dependencies"]}
    train = {canonicalize_name(Requirement(d).name)
             for d in PROJECT["optional-dependencies"]["train"]}  # fmt: skip
    for name in sorted(imported() - BY_CHOICE):
        of = {canonicalize_name(d) for d in owners.get(name, [name])}
        assert of & (declared | train), f"{name} ({of}) is imported and not declared"


def test_every_declared_package_is_imported() -> None:
    owners = packages_distributions()
    used = {canonicalize_name(d) for name in imported() for d in owners.get(name, [])}
    declared = {canonicalize_name(Requirement(d).name) for d in PROJECT["dependencies"]}
    assert declared - used == set(NO_IMPORT), "declare what is used, say why if nobody imports it"


# -- licences ------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the page is of Python 3.11")
def test_the_licence_page_is_up_to_date() -> None:
    found = list(licences.packages())
    assert licences.undecided(found) == []
    assert (ROOT / "docs" / "licences.md").read_text("utf-8") == licences.page(found), (
        "run `make licences`"
    )


@pytest.mark.parametrize(
    ("says", "fine"),
    [
        ("MIT", True),
        ("Apache-2.0 AND (BSD-3-Clause OR MIT)", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("AGPL-3.0-or-later", False),
        ("MIT AND GPL-3.0-only", False),
        ("LGPL-2.1-or-later", False),
        ("GNU General Public License v3", False),
        ("Business Source License 1.1", False),
        ("", False),
    ],
)
def test_copyleft_and_the_unknown_need_a_decision(says: str, fine: bool) -> None:
    found = [licences.Package(name="x", version="1", licence=says)]
    assert (licences.undecided(found) == []) is fine


def test_a_licence_is_read_from_any_field(monkeypatch: pytest.MonkeyPatch) -> None:
    from email.message import Message

    for field, says, told in (
        ("License-Expression", "AGPL-3.0-only", "AGPL-3.0-only"),
        ("Classifier", "License :: OSI Approved :: GNU General Public License v3 (GPLv3)",
         "GNU General Public License v3 (GPLv3)"),
        ("Classifier", "License :: OSI Approved :: MIT License", "MIT"),
        ("License", "GNU General Public License v3", "GNU General Public License v3"),
        ("License", "The BSD 2-Clause License", "BSD-2-Clause"),
        ("Author", "nobody", ""),
    ):  # fmt: skip
        about = Message()
        about[field] = says
        monkeypatch.setattr(licences, "metadata", lambda name, about=about: about)
        assert licences.licence_of("x") == told


# -- the audit -----------------------------------------------------------------------------------

STAND_IN = """
import json, os, re, sys
mode, path = os.environ["AUDIT_MODE"], sys.argv[sys.argv.index("-r") + 1]
names = re.findall(r"^([a-z0-9.-]+)==([^ ;\\n]+)", open(path).read(), re.M)
canary = path.endswith("canary.txt")
if mode == "crash":
    sys.exit("ConnectionError: no route to the source of advisories")
if mode == "not-json":
    print("No known vulnerabilities found"); sys.exit(0)
rows = []
for name, version in names:
    hole = [{"id": "PYSEC-2019-1", "fix_versions": ["9.9"]}]
    if mode == "skips" or (mode == "skips-one" and name == "duckdb"):
        rows.append({"name": name, "skip_reason": "not found"})
    elif mode == "leaves-out" and name == "duckdb":
        pass
    elif mode == "another-version" and name == "duckdb":
        rows.append({"name": name, "version": "0.1", "vulns": []})
    else:
        found = canary and mode != "empty"
        found = found and not (mode == "half-a-canary" and name == "urllib3")
        found = found or (mode == "hole" and name == "duckdb")
        rows.append({"name": name, "version": version, "vulns": hole if found else []})
print(json.dumps({"dependencies": rows}))
sys.exit(1 if any(r.get("vulns") for r in rows) else 0)
"""


@pytest.mark.parametrize(
    ("mode", "code", "said"),
    [
        ("skips", 3, "could not be audited: 2 of 2 not looked at"),
        ("empty", 3, "no advisory data: nothing is reported against jinja2 2.4.1, urllib3 1.24.1"),
        ("half-a-canary", 3, "no advisory data: nothing is reported against urllib3"),
        ("skips-one", 3, "not looked at: duckdb (not found)"),
        ("leaves-out", 3, "not looked at: duckdb (left out of the answer)"),
        ("another-version", 3, "not looked at: duckdb"),
        ("crash", 3, "no route to the source"),
        ("not-json", 3, "no answer that can be read"),
        ("hole", 1, "duckdb 1.5.6: PYSEC-2019-1: fixed in 9.9"),
        ("clean", 0, "every package was looked at, 0 vulnerabilities"),
    ],
)
def test_only_an_audit_that_looked_at_everything_is_green(
    mode: str,
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Only what this interpreter would install is asked for; the stand-in has no markers to read.
    monkeypatch.setattr(audit, "LOCKS", ("small",))
    monkeypatch.setattr(audit, "ROOT", tmp_path)
    lock = tmp_path / "requirements" / "small.txt"
    lock.parent.mkdir()
    lock.write_text("duckdb==1.5.6 \\\n    --hash=sha256:0\nrich==15.0.0 ; os_name == 'nt' or "
                    "os_name == 'posix' \\\n    --hash=sha256:0\n", encoding="utf-8")  # fmt: skip
    program = tmp_path / "pip-audit"
    program.write_text(f"#!{sys.executable}\n{STAND_IN}", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("AUDIT_MODE", mode)
    arguments = ["--pip-audit", str(program), "--no-bandit", "--source", "pypi"]
    assert audit.main(arguments) == code
    out = capsys.readouterr().out
    assert said in out
    assert ("NOT AUDITED" in out) is (code == 3)


def test_the_audit_expects_what_this_machine_would_install() -> None:
    expected = audit.wanted(LOCKS["default"].read_text(encoding="utf-8"))
    assert expected["duckdb"]
    assert len(expected) > 60
    assert "colorama" not in expected or sys.platform == "win32"


def test_a_finding_of_bandit_is_judged_or_told() -> None:

    def report(test: str, file: str) -> str:
        row = {"test_id": test, "filename": file, "line_number": 3, "issue_text": "…"}
        return json.dumps({"results": [row]})

    assert audit.unjudged(report("B608", "./kiemchung/store/queue.py")) == []
    assert audit.unjudged(report("B608", "dashboards/desk.py")) == ["dashboards/desk.py:3: B608 …"]
    assert audit.unjudged(report("B301", "models/registry.py"))
    for where in audit.JUDGED.values():
        for pattern, reason in where.items():
            assert reason
            assert pattern == "*" or list(ROOT.glob(pattern)), pattern
