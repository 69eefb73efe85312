"""What a run is asked to do is written down, and named when it is another one."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kiemchung.config import Settings, load_settings
from kiemchung.domain import Sentence
from kiemchung.errors import AccountingError, BatchError, ConfigError, DamagedFileError
from kiemchung.shards import to_table, write_shard
from pipeline import stages
from pipeline.handover import shards_of
from pipeline.runs import RunPlan, plan, read_run, record
from pipeline.weeks import parse_week

WEEK = parse_week("2026-W40")


def _run(settings: Settings) -> RunPlan:
    return plan(WEEK, ["b", "a"], settings.sha256(), settings.data_dir)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path, max_pages=2000)


def test_the_same_again_is_nothing_odd(settings: Settings) -> None:
    run = _run(settings)
    for _ in range(2):
        assert record(run, settings=settings.counted(), outlets={"a": "1", "b": "2"}) == ()
    facts = read_run(run.folder / "run.json")
    assert facts["outlets"] == ["a", "b"]
    assert facts["settings"]["max_pages"] == "2000"
    assert not any("secret" in key or "password" in key for key in facts["settings"])


def test_a_run_that_is_resumed_with_another_outlet_file_says_so_for_ever(
    settings: Settings,
) -> None:
    run = _run(settings)
    record(run, settings=settings.counted(), outlets={"a": "1", "b": "2"})
    for _ in range(2):
        odd = record(run, settings=settings.counted(), outlets={"a": "1", "b": "3"})
        assert odd == ("the run was begun with another file of the outlet b",)


def test_the_same_week_with_other_settings_names_each(settings: Settings) -> None:
    record(_run(settings), settings=settings.counted(), outlets={})
    other = settings.model_copy(update={"max_pages": 2001, "flag_threshold": 0.9})
    assert other.sha256() != settings.sha256()
    (line,) = record(_run(other), settings=other.counted(), outlets={})
    assert _run(settings).run_id in line
    assert "max_pages was 2000 and is 2001" in line
    assert "flag_threshold was None and is 0.9" in line
    later = plan(parse_week("2026-W41"), ["a", "b"], other.sha256(), other.data_dir)
    assert record(later, settings=other.counted(), outlets={}) == ()


def test_a_damaged_record_is_named(settings: Settings) -> None:
    run = _run(settings)
    record(run, settings=settings.counted(), outlets={})
    path = run.folder / "run.json"
    path.write_text(path.read_text(encoding="utf-8").replace("2026-W40", "2026-W41"))
    with pytest.raises(DamagedFileError, match=r"run\.json"):
        record(run, settings=settings.counted(), outlets={})


def test_a_configuration_that_is_no_utf8_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kiemchung.toml").write_bytes(b'contact = "\xff"\n')
    with pytest.raises(ConfigError, match=r"kiemchung\.toml.*UTF-8"):
        load_settings()


def test_shards_of_a_version_that_sealed_none_are_sealed_when_they_are_met(tmp_path: Path) -> None:
    sentence = Sentence(start=0, end=3, text="một")
    write_shard(tmp_path / "part.parquet", [sentence], Sentence)
    sink = pa.BufferOutputStream()
    pq.write_table(to_table([sentence], Sentence), sink)
    old = sink.getvalue().to_pybytes()
    (tmp_path / "part.parquet").write_bytes(old)
    (tmp_path / "stage.json").write_text('["part.parquet"]', encoding="utf-8")
    assert stages.made_with(tmp_path) == {}
    assert stages.read_stage(tmp_path, Sentence) == [sentence]
    assert stages.made_with(tmp_path) == {"program": ""}
    (tmp_path / "part.parquet").write_bytes(old)  # once there are seals, none is let off
    with pytest.raises(BatchError, match=r"part\.parquet"):
        stages.read_stage(tmp_path, Sentence)


def test_a_damaged_list_of_shards_is_named(tmp_path: Path) -> None:
    for text in ("[", "{}", "[1]"):
        (tmp_path / "stage.json").write_text(text, encoding="utf-8")
        with pytest.raises(DamagedFileError, match=r"stage\.json"):
            shards_of(tmp_path)
    (tmp_path / "stage.json").write_text('["gone.parquet"]', encoding="utf-8")
    with pytest.raises(AccountingError, match=r"gone\.parquet.*stage\.json"):
        shards_of(tmp_path)
