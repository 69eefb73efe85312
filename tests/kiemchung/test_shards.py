"""Shards: what goes in comes out, and a file is there whole or not at all."""

from __future__ import annotations

import os
import signal
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiemchung import shards
from kiemchung.domain import (
    Accounting,
    Article,
    Difference,
    Distortion,
    Evidence,
    Judgement,
    Label,
    Passage,
    PassageKind,
    Run,
    Status,
)
from kiemchung.errors import BatchError
from kiemchung.shards import from_table, read_shard, to_table, write_bytes_atomically, write_shard

clean = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
share = st.floats(0, 1, allow_nan=False)


@st.composite
def judgements(draw: st.DrawFn) -> Judgement:
    p, q = sorted((draw(share), draw(share)))
    return Judgement(
        judgement_id=draw(clean),
        mention_id=draw(clean),
        run_id=draw(clean),
        model_id=draw(clean),
        base_version=draw(clean),
        threshold=draw(share),
        status=Status.OK,
        label=draw(st.sampled_from(Label)),
        nei_reason=None,
        p_supported=p,
        p_refuted=q - p,
        p_nei=1 - q,
        flagged=False,
        evidence=tuple(
            Evidence(passage_id=draw(clean), passage_sha256="0", rank=i, score=0.5, on_point=True)
            for i in range(draw(st.integers(0, 2)))
        ),
        differences=(
            Difference(kind=draw(st.sampled_from(Distortion)), claim=draw(clean), evidence="x"),
        ),
    )


def article(published: datetime | None) -> Article:
    return Article(
        article_id="a",
        outlet="o",
        url="http://o.example/1",
        canonical_url="http://o.example/1",
        title="Tựa đề",
        lead="",
        body="Thân bài.",
        published_at=published,
        published_method="json-ld",
        fetched_at=datetime(2026, 9, 30, 1, 2, 3, tzinfo=UTC),
        raw_sha256="0" * 64,
        title_method="selector",
        lead_method="none",
        body_method="selector",
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(judgements(), max_size=4))
def test_judgements_survive_the_round_trip(rows: list[Judgement]) -> None:
    assert from_table(to_table(rows, Judgement), Judgement) == rows


def test_times_are_kept_as_instants_and_unknown_stays_unknown() -> None:
    hanoi = datetime(2026, 9, 30, 8, 0, tzinfo=timezone(timedelta(hours=7)))
    rows = [article(hanoi), article(None)]
    back = from_table(to_table(rows, Article), Article)
    assert back[0].published_at == hanoi
    assert back[1].published_at is None


def test_nested_dictionaries_and_dates_survive() -> None:
    run = Run(
        run_id="r",
        week="2026-W40",
        outlets=("a", "b"),
        config_sha256="c",
        code_version="0",
        base_version="v",
        model_id="m",
        accounting=Accounting(discovered=3, fetched=2, refused={"robots": 1}, stored=2),
        alarms=("x",),
    )
    passage = Passage(
        passage_id="p",
        doc_id="d",
        kind=PassageKind.STATUTE,
        locator="Điều 4",
        text="t",
        citation="c",
        valid_from=date(2024, 7, 1),
        valid_to=None,
        url="https://x.example",
        topic="t",
        cues=(("a", "b"), ("c",)),
        as_of=date(2022, 12, 31),
    )
    assert from_table(to_table([run], Run), Run) == [run]
    assert from_table(to_table([passage], Passage), Passage) == [passage]


def test_columns_have_types_that_a_notebook_can_query() -> None:
    schema = shards.arrow_schema(Judgement)
    assert str(schema.field("p_refuted").type) == "double"
    assert schema.field("p_refuted").nullable
    assert not schema.field("flagged").nullable
    assert str(shards.arrow_schema(Article).field("fetched_at").type) == "timestamp[us, tz=UTC]"


def test_an_empty_shard_keeps_its_columns(tmp_path: Path) -> None:
    write_shard(tmp_path / "x.parquet", [], Article)
    assert read_shard(tmp_path / "x.parquet", Article) == []
    assert "title" in pq.read_schema(tmp_path / "x.parquet").names


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"\x00" * 500])
def test_a_damaged_shard_is_named(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(damage)
    with pytest.raises(BatchError, match=r"x\.parquet"):
        read_shard(path, Article)


def test_a_shard_of_another_kind_is_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / "x.parquet", [article(None)], Article)
    with pytest.raises(BatchError, match="Judgement"):
        read_shard(tmp_path / "x.parquet", Judgement)


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    write_bytes_atomically(path, b"old")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_bytes_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_what_a_killed_writer_left_is_removed_and_a_living_ones_file_is_not(
    tmp_path: Path,
) -> None:
    dead = os.fork()
    if dead == 0:
        os._exit(0)
    os.waitpid(dead, 0)
    left = tmp_path / "deep" / f".part.parquet.{dead}.tmp"
    living = tmp_path / f".part.parquet.{os.getpid()}.tmp"
    other = tmp_path / ".notes.tmp"
    left.parent.mkdir()
    for path in (left, living, other):
        path.write_bytes(b"half")
    assert shards.remove_leftovers(tmp_path, below=False) == []
    assert shards.remove_leftovers(tmp_path) == [left]
    assert (left.exists(), living.exists(), other.exists()) == (False, True, True)
    assert shards.remove_leftovers(tmp_path / "nowhere") == []


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("point", ["fsync", "rename", "fsync of the folder"])
def test_killed_while_publishing_a_file_is_old_or_new(
    tmp_path: Path, point: str, after: bool
) -> None:
    path = tmp_path / "export.csv"
    old, new = b"old" * 100_000, b"new" * 100_000
    path.write_bytes(old)
    child = os.fork()
    if child == 0:
        _die_at(point, after=after)
        write_bytes_atomically(path, new)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    renamed = point == "fsync of the folder" or (point == "rename" and after)
    assert path.read_bytes() == (new if renamed else old)
    assert len(shards.remove_leftovers(tmp_path)) == (0 if renamed else 1)
    assert list(tmp_path.iterdir()) == [path]


def _die_at(point: str, *, after: bool) -> None:
    """Let this process kill itself before or after a step of writing; for a forked child."""
    calls = {"fsync": 0, "rename": 0}

    def dying(name: str, real: Any) -> Any:
        def step(*arguments: Any) -> Any:
            calls[name] += 1
            wanted = point.startswith(name) and calls[name] == (2 if "folder" in point else 1)
            if wanted and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*arguments)
            if wanted:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return step

    os.fsync = dying("fsync", os.fsync)
    Path.replace = dying("rename", Path.replace)  # type: ignore[method-assign]
