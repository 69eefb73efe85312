"""Worker processes over shards: what is heavy is loaded once in each, and a kill costs one shard.

A job is made once in every worker and called with one task after another; a task names a shard and
the job writes it whole or not at all. So a task may be done again at any time: a worker that dies
is replaced, what it had is handed out anew, and nothing is lost or doubled. Results come in the
order of the tasks, whatever the order in which they were done.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Final, Protocol, TypeVar

from kiemchung.errors import WorkerError

T_contra = TypeVar("T_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")
R = TypeVar("R")
C = TypeVar("C")

FEW: Final = 4
"""Fewer tasks than this are done here: a worker takes a second or two to load what it needs."""
AHEAD: Final = 4  # tasks and results a worker that are held at once
TRIES: Final = 3  # deaths over one task before it is given up
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Job(Protocol[T_contra, R_co]):
    """What a worker does; made once in each and called with one task after another."""

    def __call__(self, task: T_contra, /) -> R_co:
        """Do one task; doing it twice is doing it once."""
        ...

    def close(self) -> None:
        """Give back what the job holds."""
        ...


class Crew(Protocol):
    """Whoever does the tasks: this process, processes beside it, or a cluster."""

    def run(self, make: Callable[[C], Job[T, R]], context: C, tasks: Iterable[T]) -> Iterator[R]:
        """Yield the results of ``make(context)`` over ``tasks``, in the order of the tasks.

        ``make`` is a function of a module, ``context`` and the tasks can be sent to a process.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """Everything in this process."""

    def run(self, make: Callable[[C], Job[T, R]], context: C, tasks: Iterable[T]) -> Iterator[R]:
        """Yield the result of every task."""
        job: Job[T, R] | None = None
        try:
            for task in tasks:
                if job is None:
                    job = make(context)
                yield job(task)
        finally:
            if job is not None:
                job.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """``count`` processes beside this one, none for fewer tasks than `FEW`."""

    count: int

    def run(self, make: Callable[[C], Job[T, R]], context: C, tasks: Iterable[T]) -> Iterator[R]:
        """Yield the results in the order of the tasks.

        Raises:
            WorkerError: one task killed its worker again and again.
        """
        waiting = iter(tasks)
        first = list(islice(waiting, FEW))
        if self.count < 2 or len(first) < FEW:
            yield from Alone().run(make, context, chain(first, waiting))
            return
        with _one_thread():
            pool = _Pool(self.count, make, context)
            try:
                yield from pool.results(chain(first, waiting))
            except BaseException:
                pool.stop()
                raise
            pool.close()


def crew_of(workers: int) -> Crew:
    """Return who works for a setting of ``workers``; 0 is one process a core."""
    count = workers or cores()
    return Processes(count=count) if count > 1 else Alone()


def cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


@dataclass(slots=True, kw_only=True)
class _Worker:
    """One process, the line to it, and the number of the task that it is at."""

    process: BaseProcess
    line: Connection
    task: int = -1


class _Pool:
    """Processes with a line each: one that dies takes nothing with it that others wait for.

    `concurrent.futures.ProcessPoolExecutor` shares its queues, and a worker killed while another
    one starts leaves it waiting for ever (seen on Python 3.11, in `terminate_broken`).
    """

    def __init__(self, count: int, make: Callable[[Any], Job[Any, Any]], context: object) -> None:
        self._count, self._make, self._context = count, make, context
        self._methods = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []

    def _hire(self) -> _Worker:
        ours, theirs = self._methods.Pipe()
        process = self._methods.Process(
            target=_serve, args=(theirs, self._make, self._context), daemon=False
        )
        process.start()
        theirs.close()  # the line ends when the process does
        return _Worker(process=process, line=ours)

    def results(self, tasks: Iterator[Any]) -> Iterator[Any]:
        """Yield the results in order; at most a few tasks and results a worker are held."""
        numbered = enumerate(tasks)
        ready: deque[int] = deque()
        held: dict[int, Any] = {}  # tasks that are not done
        found: dict[int, Any] = {}
        deaths: Counter[int] = Counter()
        turn, more = 0, True
        while True:
            # The next tasks are read while the workers are at theirs.
            while more and len(ready) < self._count and len(held) + len(found) < self._window:
                number, task = next(numbered, (-1, None))
                more = number >= 0
                if more:
                    held[number] = task
                    ready.append(number)
                self._hand_out(ready, held)
            self._hand_out(ready, held)
            while turn in found:
                yield found.pop(turn)
                turn += 1
            busy = [worker for worker in self._workers if worker.task >= 0]
            if not busy:
                if not more and not ready:
                    return
                continue
            for line in wait([worker.line for worker in busy]):
                worker = next(w for w in busy if w.line is line)
                number, worker.task = worker.task, -1
                try:
                    done, value = worker.line.recv()
                except (EOFError, OSError):
                    self._dismiss(worker)
                    deaths[number] += 1
                    if deaths[number] == TRIES:
                        raise WorkerError(
                            f"a worker process died {TRIES} times over the same shard",
                            where=repr(held[number])[:200],
                            remedy="look for the kernel's out-of-memory message, or set"
                            " workers = 1",
                        ) from None
                    ready.appendleft(number)
                    continue
                if not done:
                    raise value
                found[number] = value
                del held[number]

    @property
    def _window(self) -> int:
        return AHEAD * self._count

    def _hand_out(self, ready: deque[int], held: dict[int, Any]) -> None:
        while ready:
            worker = next((w for w in self._workers if w.task < 0), None)
            if worker is None:
                if len(self._workers) == self._count:
                    return
                worker = self._hire()
                self._workers.append(worker)
            worker.task = ready.popleft()
            try:
                worker.line.send(held[worker.task])
            except OSError:  # it died while idle; nobody's fault
                ready.appendleft(worker.task)
                self._dismiss(worker)

    def _dismiss(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.line.close()
        worker.process.join()

    def close(self) -> None:
        """Let every worker finish and leave."""
        for worker in self._workers:
            worker.line.close()
        for worker in self._workers:
            worker.process.join()

    def stop(self) -> None:
        """End the workers now; what they were at is done again the next time."""
        for worker in self._workers:
            worker.process.terminate()
        self.close()


def _serve(line: Connection, make: Callable[[Any], Job[Any, Any]], context: object) -> None:
    """Do what comes over the line until it ends."""
    # Ctrl-C goes to every process of the terminal; the parent alone decides what ends. The child
    # that reads pages inherits this, or its death would be written down as the page's fault.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job: Job[Any, Any] | None = None
    while True:
        try:
            task = line.recv()
        except EOFError:
            break
        try:
            if job is None:
                job = make(context)
            answer = (True, job(task))
        except Exception as error:  # noqa: BLE001  told to the parent, which raises it
            answer = (False, error)
        line.send(answer)
    if job is not None:
        job.close()


def _end_with_parent() -> None:
    """Leave when the parent was killed: nobody waits for what is being done."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let new processes use one thread each: the cores are shared out by processes already."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
