"""Exports: inert cells, no whole article, ClaimReview only for what a person concluded."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from kiemchung.config import Settings, load_settings
from kiemchung.errors import InputError
from kiemchung.store import FlagRow, Store, open_store
from pipeline.export import FORMATS, as_csv, export
from pipeline.weekly import store_path


def test_no_flags_is_a_header_and_nothing_else() -> None:
    assert as_csv([], ["a", "b"]) == "a,b\n"


@pytest.fixture(scope="module")
def settings(week_of_its_own: Callable[[str], Settings]) -> Settings:
    return week_of_its_own("export")


@pytest.fixture
def store(settings: Settings) -> Any:
    with open_store(store_path(settings)) as opened:
        yield opened


def flags(store: Store) -> list[FlagRow]:
    return list(store.flags("2026-W40"))


@pytest.mark.slow
def test_every_format_holds_every_flag_of_a_page_that_allows_it(
    store: Store, tmp_path: Path
) -> None:
    refused = {f.mention_id for f in flags(store) if "noarchive" in f.opt_outs}
    wanted = {f.mention_id for f in flags(store)} - refused
    assert wanted
    assert {f.outlet for f in flags(store) if f.mention_id in refused} == {"dong-xanh"}
    done = export(store, "jsonl", out=tmp_path / "a.jsonl")
    assert (done.rows, done.left_out) == (len(wanted), len(refused))
    rows = [json.loads(x) for x in (tmp_path / "a.jsonl").read_text("utf-8").splitlines()]
    assert {r["mention_id"] for r in rows} == wanted
    export(store, "csv", out=tmp_path / "a.csv")
    table = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text("utf-8"))))
    assert {r["mention_id"] for r in table} == wanted
    export(store, "parquet", out=tmp_path / "a.parquet")
    assert set(pq.read_table(tmp_path / "a.parquet")["mention_id"].to_pylist()) == wanted


@pytest.mark.slow
def test_an_export_holds_the_claim_and_never_the_article(store: Store, tmp_path: Path) -> None:
    export(store, "jsonl", out=tmp_path / "a.jsonl")
    for line in (tmp_path / "a.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        assert "body" not in row
        assert (
            max(len(str(v)) for k, v in row.items() if k not in ("evidence", "differences")) < 900
        )
        assert row["evidence"]
        assert row["differences"]
        for passage in row["evidence"]:
            assert passage["citation"]
            assert passage["valid_from"]


@pytest.mark.slow
def test_an_unknown_format_and_parquet_to_a_pipe_are_refused(store: Store) -> None:
    with pytest.raises(InputError, match="jsonl"):
        export(store, "xml", out=None)
    with pytest.raises(InputError, match="--out"):
        export(store, "parquet", out=None)
    assert len(FORMATS) == 5


@pytest.mark.slow
def test_another_week_has_no_flags(store: Store, tmp_path: Path) -> None:
    assert export(store, "jsonl", out=tmp_path / "a.jsonl", week="2026-W41").rows == 0


@pytest.mark.slow
def test_the_overview_says_how_far_each_run_came(settings: Settings) -> None:
    from pipeline.status import overview

    found = overview(settings)
    (run,) = found.runs
    assert run.finished == ("extract", "analyse", "judge")
    assert found.store == "open"
    assert not found.waiting
    with open_store(store_path(settings)):
        assert overview(settings).store != "open"


def test_the_overview_of_an_empty_folder_is_empty(tmp_path: Path) -> None:
    from pipeline.status import overview

    found = overview(load_settings(data_dir=tmp_path))
    assert (found.runs, found.store) == ((), "absent")
    assert found.lines()
