"""The stages on Ray: the same jobs over the same shards, by actors on one machine or many.

An actor loads what is heavy once, as a worker process does; a task writes its shard whole or not at
all into the data folder, which every node sees under the same path. So the bytes are those of the
local engine, and an actor that dies is started again by Ray and does its task again. Plain actors
and no Ray Data: a block of rows would have to be cut and merged where a shard has its name and
place already, and `read_parquet` gives all of a small week to one actor (notes in docs/scale.md).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from kiemchung.config import Settings
from kiemchung.errors import InputError, MissingExtraError, WorkerError
from pipeline.workers import AHEAD, TRIES, Alone, Job, cores

T = TypeVar("T")
R = TypeVar("R")
C = TypeVar("C")

ROOT: Final = Path(__file__).resolve().parents[1]
FEWEST_CPUS: Final = 3
"""What a cluster on this machine says that it has, at least: with two, two actors leave no core to
whoever hands out the work, and it hangs (measured with Ray 2.60)."""
STORE_BYTES: Final = 200_000_000
"""Ray's object store on this machine: tasks are paths, so next to nothing passes through it."""


def import_ray() -> Any:  # noqa: ANN401  an optional package
    """Return the module.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(
            "Ray is not installed",
            where="engine ray",
            remedy="install the extra: pip install '.[scale]', or leave --engine out",
        ) from error
    return ray


class Hand:
    """What an actor does; the local worker process does the same over a pipe."""

    def __init__(self, make: Callable[[Any], Job[Any, Any]], context: object, folder: str) -> None:
        os.chdir(folder)  # paths of the data folder may be relative
        self._job = make(context)

    def do(self, task: object) -> Any:  # noqa: ANN401
        """Do one task."""
        return self._job(task)


@dataclass(frozen=True, slots=True, kw_only=True)
class RayCrew:
    """Actors of a Ray cluster; ``gpus`` of a GPU each, where the encoder scores on one."""

    actors: int  # 0: as many as the cluster has cores, but one
    address: str = ""
    gpus: float = 0.0

    def run(self, make: Callable[[C], Job[T, R]], context: C, tasks: Iterable[T]) -> Iterator[R]:
        """Yield the results in the order of the tasks.

        Raises:
            MissingExtraError: Ray is not installed.
            InputError: no such cluster, or it has no GPU where one is asked for.
            WorkerError: one task killed its actor again and again.
        """
        waiting = list(tasks)
        if not waiting:
            return
        if len(waiting) == 1 and not self.gpus:
            yield from Alone().run(make, context, waiting)
            return
        ray = import_ray()
        self._connect(ray)
        hand = ray.remote(
            num_cpus=1, num_gpus=self.gpus, max_restarts=-1, max_task_retries=TRIES - 1
        )(Hand)
        count = min(self._count(ray), len(waiting))
        actors = [hand.remote(make, context, str(Path.cwd())) for _ in range(count)]
        try:
            yield from _in_order(ray, actors, waiting)
        finally:
            for actor in actors:
                ray.kill(actor)

    def _connect(self, ray: Any) -> None:  # noqa: ANN401
        if ray.is_initialized():
            return
        own = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        variables = {"PYTHONPATH": own, "OMP_NUM_THREADS": "1"}
        given: dict[str, Any] = {"address": self.address}
        if not self.address:
            given = {
                "num_cpus": max(FEWEST_CPUS, (self.actors or cores()) + 1),
                "object_store_memory": STORE_BYTES,
                "include_dashboard": False,
                "address": "local",
            }
        try:
            ray.init(
                **given,
                runtime_env={"env_vars": variables},
                log_to_driver=False,
                logging_level="ERROR",
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InputError(
                f"no Ray cluster: {error}",
                where=f"ray_address {self.address!r}",
                remedy="start it (ray up deploy/ray/cluster.yaml), or leave ray_address empty",
            ) from error

    def _count(self, ray: Any) -> int:  # noqa: ANN401
        has = ray.cluster_resources()
        if self.gpus:
            found = int(has.get("GPU", 0) / self.gpus)
            if not found:
                raise InputError(
                    "the cluster has no GPU",
                    where="device cuda, engine ray",
                    remedy='add a node with one, or set device = "cpu"',
                )
            return found
        return self.actors or max(1, int(has.get("CPU", 1)) - 1)


def _in_order(ray: Any, actors: list[Any], tasks: list[T]) -> Iterator[Any]:  # noqa: ANN401
    """Yield results in the order of the tasks, a few of which are handed out ahead."""
    todo = deque(enumerate(tasks))
    at: dict[Any, tuple[int, Any]] = {}  # what is being done: number of the task, actor
    found: dict[int, Any] = {}
    idle = deque(actors)
    turn = 0
    while turn < len(tasks):
        while todo and idle and todo[0][0] < turn + AHEAD * len(actors):
            number, task = todo.popleft()
            actor = idle.popleft()
            at[actor.do.remote(task)] = (number, actor)
        (done, *_), _ = ray.wait(list(at), num_returns=1)
        number, actor = at.pop(done)
        try:
            found[number] = ray.get(done)
        except ray.exceptions.RayActorError as error:
            raise WorkerError(
                f"an actor died {TRIES} times over the same shard",
                where=repr(tasks[number])[:200],
                remedy="look into Ray's logs of that node; it may be out of memory",
            ) from error
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        idle.append(actor)
        while turn in found:
            yield found.pop(turn)
            turn += 1


def ray_crew(settings: Settings, *, encoder: bool = False) -> RayCrew:
    """Return the crew of these settings; with ``encoder`` a GPU each, where the device is one.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    import_ray()
    on_gpu = encoder and settings.device == "cuda"
    return RayCrew(
        actors=settings.workers, address=settings.ray_address, gpus=1.0 if on_gpu else 0.0
    )
