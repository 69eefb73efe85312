"""Two models on sets, on small changes and on a week's articles, as a page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kiemchung.config import Settings, load_settings
from kiemchung.domain import Label
from kiemchung.errors import InputError
from models import registry
from models.construct import Pair
from pipeline import comparing
from pipeline.cli import app
from pipeline.weeks import parse_week
from tests.models.toys import toy_pairs

WEEK = parse_week("2026-W40")


@pytest.fixture(scope="module")
def settings(finished_week: Path) -> Settings:
    return load_settings(data_dir=finished_week, port=0)


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The comparison model with a threshold that nothing reaches."""
    out = tmp_path_factory.mktemp("silent") / "silent"
    manifest = registry.verify(registry.PLAIN)
    files = {n: (registry.PLAIN / n).read_bytes() for n in manifest.files}
    return registry.write(
        out, replace(manifest, threshold=1.0, model_id="comparison-silent"), files
    )


def test_flags_gained_and_lost_on_a_week(settings: Settings, silent: Path) -> None:
    couple = comparing.Couple.load(registry.PLAIN, silent, ("plain", "silent"))
    found = comparing.flags_of_week(couple, settings, WEEK)
    assert found.gained == ()
    assert found.second < found.first
    assert len(found.lost) == found.first - found.second
    assert all(
        c.citation and c.url and c.first.startswith("REFUTED, P(REFUTED) ") for c in found.lost
    )
    back = comparing.Couple.load(silent, registry.PLAIN, ("silent", "plain"))
    other = comparing.flags_of_week(back, settings, WEEK)
    assert [c.claim for c in other.gained] == [c.claim for c in found.lost]
    text = "\n".join(comparing._flag_lines(found, ("plain", "silent")))
    assert f"{len(found.lost)} lost" in text
    assert "### Gained\n\nNone." in text
    assert comparing.plain(found.lost[0].claim) in text


def test_what_is_flagged_is_what_a_run_flags(settings: Settings) -> None:
    from kiemchung.store import open_store
    from pipeline.weekly import store_path

    couple = comparing.Couple.load(registry.DEFAULT, registry.DEFAULT, ("a", "b"))
    found = comparing.flags_of_week(couple, settings, WEEK)
    assert found.gained == found.lost == ()
    with open_store(store_path(settings)) as store:
        assert found.first == len(store.flags(str(WEEK)))


def test_a_week_without_claims_is_told(settings: Settings, silent: Path) -> None:
    couple = comparing.Couple.load(registry.PLAIN, silent, ("plain", "silent"))
    with pytest.raises(InputError, match="2026-W01"):
        comparing.flags_of_week(couple, settings, parse_week("2026-W01"))
    assert comparing.latest_week(settings) == WEEK


def test_the_page_shows_words_and_does_nothing_else() -> None:
    told = comparing.plain("<script>x</script> [a](b) | *c* `d`\n# e")
    assert "<" not in told
    assert "\n" not in told
    for sign in "[]()|*`#":
        assert told.count(sign) == told.count(f"\\{sign}")


def test_the_command_writes_a_page(settings: Settings, silent: Path, tmp_path: Path) -> None:
    rows = [
        {"claim": p.claim, "evidence": p.evidence, "label": str(p.label), "group": p.group}
        for p in toy_pairs()
    ]
    path = tmp_path / "toys.jsonl"
    path.write_text("\n".join(json.dumps(r) for r in rows), encoding="utf-8")
    page = tmp_path / "page.md"
    done = CliRunner().invoke(
        app,
        ["models", "compare", str(registry.PLAIN), str(silent), "--jsonl", str(path), "--data",
         str(settings.data_dir), "--out", str(page), "--processes", "1", "--json"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["sets"]["toys"]["n"] == len(rows)
    assert told["sets"]["toys"]["bootstrap"]["difference"] == 0.0
    assert told["flags"]["week"] == "2026-W40"
    assert told["behaviour"]["negation_leaves_supported"]["first_n"] >= 0
    text = page.read_text(encoding="utf-8")
    for part in ("# plain and silent", "## toys (24 pairs of 8 texts)", "## Behaviour", "### Lost"):
        assert part in text


def test_probes_are_spread_over_all_sets() -> None:
    pairs = [
        Pair(claim=str(i), evidence="", label=Label.SUPPORTED, kind="x", group="g")
        for i in range(1_000)
    ]
    found = comparing._probes(pairs, 200)
    assert len(found) == 200
    assert found[-1].claim == "995"
    assert comparing._probes(pairs, 0) == []
