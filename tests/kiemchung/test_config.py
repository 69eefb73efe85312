"""Settings come from arguments, environment and file, in that order, or are refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiemchung.config import load_settings
from kiemchung.errors import ConfigError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_file_the_defaults_are_polite_and_local() -> None:
    settings = load_settings()
    assert settings.host == "127.0.0.1"
    assert settings.delay_seconds == 2.0
    assert settings.contact == ""


def test_the_order_is_argument_environment_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "kiemchung.toml").write_text("port = 1\ndelay_seconds = 3.0\n", encoding="utf-8")
    assert load_settings().port == 1
    monkeypatch.setenv("KIEMCHUNG_PORT", "2")
    assert load_settings().port == 2
    assert load_settings(port=3).port == 3
    assert load_settings(port=None).port == 2
    assert load_settings().delay_seconds == 3.0


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("potr = 8000", "potr"),
        ("port = 70000", "port"),
        ("delay_seconds = -1", "delay_seconds"),
        ("flag_threshold = 0.2", "flag_threshold"),
        ("port = ", "kiemchung.toml"),
    ],
)
def test_a_mistake_names_the_key(folder: Path, text: str, part: str) -> None:
    (folder / "kiemchung.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=part):
        load_settings()


def test_the_hash_follows_what_can_change_a_result_and_nothing_else() -> None:
    base = load_settings().sha256()
    assert load_settings(port=9, data_dir=Path("elsewhere")).sha256() == base
    assert load_settings(flag_threshold=0.97).sha256() != base
    assert load_settings(reference_dir=Path("own")).sha256() != base
