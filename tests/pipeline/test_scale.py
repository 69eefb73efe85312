"""The stages on a local Ray cluster of three processes; without Ray, the error that says so."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiemchung.config import load_settings
from kiemchung.errors import InputError, MissingExtraError, RecordError, WorkerError
from pipeline import stages
from pipeline.engines import crew_for
from pipeline.judging import Judge
from pipeline.workers import Alone
from tests.jobs import Note, Notes
from tests.pipeline.test_spread import do, files

HAS_RAY = importlib.util.find_spec("ray") is not None
needs_ray = [
    pytest.mark.slow,
    pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed: pip install '.[scale]'"),
    # Of Ray's own start: sockets and processes that it leaves to the interpreter's end.
    pytest.mark.filterwarnings("ignore"),
]


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_without_ray_the_error_names_the_extra(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, engine="ray")
    with pytest.raises(MissingExtraError, match="not installed") as caught:
        crew_for(settings)
    assert "[scale]" in caught.value.remedy


def test_engine_workers_and_cluster_change_no_result() -> None:
    plain = load_settings()
    for given in ({"engine": "ray"}, {"workers": 7}, {"ray_address": "ray://head:10001"}):
        assert load_settings(**given).sha256() == plain.sha256()


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Ray of this machine, ended with the module."""
    import ray

    yield
    ray.shutdown()


def ray_crew(folder: Path, **given: object) -> object:
    return crew_for(load_settings(data_dir=folder, engine="ray", workers=3, **given))


class TestOnRay:
    pytestmark = needs_ray

    def test_three_actors_write_the_bytes_of_one_process(
        self, cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stages, "PAGES_PER_SHARD", 2)
        monkeypatch.setattr(stages, "MENTIONS_PER_SHARD", 4)
        judge = Judge.load(load_settings(data_dir=tmp_path))
        alone = do(tmp_path / "alone", Alone(), judge)
        settings = load_settings(data_dir=tmp_path / "ray", engine="ray", workers=3)
        spread = do(tmp_path / "ray", crew_for(settings), judge, settings)
        assert len(files(alone)) > 20
        assert files(spread) == files(alone)

    def test_a_killed_actor_loses_and_doubles_nothing(self, cluster: None, tmp_path: Path) -> None:
        tasks = [
            Note(number=n, folder=tmp_path, kills=1 if n in (1, 6) else 0, seconds=0.05)
            for n in range(12)
        ]
        found = list(ray_crew(tmp_path).run(Notes, tmp_path, tasks))  # type: ignore[attr-defined]
        assert [n for n, _ in found] == list(range(12))
        assert len(list(tmp_path.glob("died-*"))) == 2
        done = {p.name: p.read_text(encoding="utf-8") for p in tmp_path.glob("done-*")}
        assert len(done) == 12
        assert all(len(text.splitlines()) == 1 for text in done.values())
        assert str(os.getpid()) not in "".join(done.values())

    def test_errors_come_through_and_an_actor_that_always_dies_is_named(
        self, cluster: None, tmp_path: Path
    ) -> None:
        bad = [Note(number=n, folder=tmp_path, raises="bad" if n == 2 else "") for n in range(4)]
        with pytest.raises(RecordError, match="bad"):
            list(ray_crew(tmp_path).run(Notes, tmp_path, bad))  # type: ignore[attr-defined]
        deadly = [Note(number=n, folder=tmp_path, kills=99 if n == 1 else 0) for n in range(3)]
        with pytest.raises(WorkerError, match="died") as caught:
            list(ray_crew(tmp_path).run(Notes, tmp_path, deadly))  # type: ignore[attr-defined]
        assert "number=1" in caught.value.where

    def test_a_gpu_that_is_not_there_is_said_so(self, cluster: None, tmp_path: Path) -> None:
        import ray

        list(ray_crew(tmp_path).run(Notes, tmp_path, [Note(number=n, folder=tmp_path) for n in range(2)]))  # type: ignore[attr-defined]  # fmt: skip
        if ray.cluster_resources().get("GPU"):
            pytest.skip("there is one here")
        settings = load_settings(data_dir=tmp_path, engine="ray", device="cuda")
        crew = crew_for(settings, encoder=True)
        with pytest.raises(InputError, match="no GPU"):
            list(crew.run(Notes, tmp_path, [Note(number=0, folder=tmp_path)]))
