"""The documentation is tested against the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pipeline.cli import app

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
COMMANDS = ROOT / "docs" / "commands.md"


def every_command() -> list[str]:
    group = typer.main.get_command(app)
    found = []
    for name, command in sorted(group.commands.items()):  # type: ignore[attr-defined]
        if command.hidden:
            continue
        inner = getattr(command, "commands", None)
        found += [f"{name} {sub}" for sub in sorted(inner)] if inner else [name]
    return found


@pytest.mark.parametrize("command", every_command())
def test_every_command_has_help_and_is_documented(command: str) -> None:
    done = CliRunner().invoke(app, [*command.split(), "--help"])
    assert done.exit_code == 0
    assert len(done.output) > 80
    assert f"kiemchung {command}" in COMMANDS.read_text(encoding="utf-8")


def test_every_documented_command_exists() -> None:
    known = every_command()
    named = re.findall(r"^### `kiemchung ([a-z ]+?)`", COMMANDS.read_text("utf-8"), re.MULTILINE)
    assert named
    assert sorted(named) == sorted(known)


@pytest.mark.parametrize("page", sorted([README, *(ROOT / "docs").rglob("*.md"),
                                         ROOT / "CONTRIBUTING.md"]), ids=lambda p: p.name)  # fmt: skip
def test_every_local_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} -> {target}"


def test_no_page_names_a_registry_or_an_absolute_path() -> None:
    for page in [README, *(ROOT / "docs").rglob("*.md")]:
        text = page.read_text(encoding="utf-8")
        assert "/work/" not in text, page
        assert "pypi.org" not in text, page
