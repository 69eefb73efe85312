"""Jobs that worker processes can import, for the tests of the workers."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A task: a number, and what befalls the worker that meets it."""

    number: int
    folder: Path
    kills: int = 0  # so many workers die of it
    raises: str = ""
    seconds: float = 0.0


class Notes:
    """Writes a file a task, as a stage writes a shard, and remembers who did it."""

    def __init__(self, folder: Path) -> None:
        (folder / f"made-{os.getpid()}").touch()

    def __call__(self, task: Note, /) -> tuple[int, int]:
        time.sleep(task.seconds)
        if task.raises:
            from kiemchung.errors import RecordError

            raise RecordError(task.raises, where=f"note {task.number}", remedy="none")
        died = len(list(task.folder.glob(f"died-{task.number}-*")))
        if died < task.kills:
            (task.folder / f"died-{task.number}-{died}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        with (task.folder / f"done-{task.number}").open("a", encoding="utf-8") as out:
            out.write(f"{os.getpid()}\n")
        return task.number, os.getpid()

    def close(self) -> None:
        pass


def broken(folder: Path) -> Notes:
    """A job that cannot be made."""
    raise ValueError(f"no job in {folder.name}")
