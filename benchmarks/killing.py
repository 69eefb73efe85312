"""Weekly runs that can be started often and killed at a chosen stage.

A run is the command ``kiemchung weekly``, in a process group of its own. Starting Python with all
imports takes two seconds, so a server imports once and forks each run; the run's own children (the
crawl, the extraction) are forked in the same way, from the run. They are processes like any others:
what is killed is the whole group, or the main process alone, with SIGKILL. A `Cold` start goes
through a fresh interpreter for the run and for each child instead.

    python benchmarks/killing.py serve      # jobs on stdin, events on stdout, one JSON a line
    python benchmarks/killing.py run JOB
"""

from __future__ import annotations

import ctypes
import functools
import gc
import importlib
import json
import logging
import os
import queue
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
STAGES = (
    "start", "crawl", "extract", "load", "analyse", "judge", "inbox", "open", "merge", "checkpoint",
    "report", "end",
)  # fmt: skip
"""What a run goes through, in order: ``merge`` ends with the commit, ``checkpoint`` with the file
written and the batch discarded, ``end`` with the exit."""
LIMIT = 900.0
CLOCK = "import os, benchmarks.killing as k\nk.set_clock(os.environ.get('KILLS_NOW', ''))\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One start of the weekly command."""

    data: str
    week: str
    site: str  # address of the sample site, which outlives the run
    outlets: tuple[str, ...]
    now: str = ""  # the clock stands at this ISO instant; empty: the machine's own
    file_limit: int = 0  # bytes that a file may have (RLIMIT_FSIZE); 0: no limit
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def out(self) -> Path:
        """Where stdout and stderr of the run go."""
        return Path(f"{self.data}.out")

    def told(self) -> tuple[str, str]:
        """Return what the last start wrote to stdout and to stderr."""
        err = self.out.with_suffix(".err")
        return tuple(p.read_text("utf-8") if p.exists() else "" for p in (self.out, err))  # type: ignore[return-value]


# -- inside the run --------------------------------------------------------------------------


def set_clock(now: str) -> None:
    """Let the clock of this process stand at ``now``; timers go on."""
    if now:
        import time_machine

        time_machine.travel(datetime.fromisoformat(now), tick=False).start()


class Elsewhere:
    """Stands in for the sample site: it is served by the harness and outlives the run."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __enter__(self) -> Elsewhere:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Forked:
    """What the run asks of `subprocess`, by fork: the modules are imported already."""

    PIPE, DEVNULL = subprocess.PIPE, subprocess.DEVNULL

    class Popen:
        """A child that goes on in ``main`` of its module."""

        def __init__(self, command: list[str], *, stdin: int | None = None,
                     stdout: int | None = None, stderr: int | None = None, text: bool = False,
                     **_: object) -> None:  # fmt: skip
            module, given = command[2], command[3:]
            null = os.open(os.devnull, os.O_RDWR)
            ours: list[IO[Any] | None] = []
            theirs: list[int] = []
            for number, wanted in enumerate((stdin, stdout, stderr)):
                if wanted == subprocess.PIPE:
                    read, write = os.pipe()
                    child, own = (read, write) if number == 0 else (write, read)
                    mode = ("w" if number == 0 else "r") + ("" if text else "b")
                    ours.append(os.fdopen(own, mode, -1 if text or number == 0 else 0))
                    theirs.append(child)
                else:
                    ours.append(None)
                    theirs.append(null if wanted == subprocess.DEVNULL else number)
            self.stdin, self.stdout, self.stderr = ours
            self.returncode: int | None = None
            self.pid = os.fork()
            if self.pid == 0:
                _become(module, given, theirs)
            for handle in {*theirs, null} - {0, 1, 2}:
                os.close(handle)

        def poll(self) -> int | None:
            """Return the exit code of a child that has ended."""
            if self.returncode is None:
                done, status = os.waitpid(self.pid, os.WNOHANG)
                if done:
                    self.returncode = os.waitstatus_to_exitcode(status)
            return self.returncode

        def wait(self) -> int:
            """Wait for its end."""
            if self.returncode is None:
                self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            return self.returncode

        def kill(self) -> None:
            """End it."""
            if self.poll() is None:
                os.kill(self.pid, signal.SIGKILL)

        def __enter__(self) -> Forked.Popen:
            return self

        def __exit__(self, *_: object) -> None:
            for stream in (self.stdin, self.stdout, self.stderr):
                if stream is not None:
                    stream.close()
            self.wait()


def _become(module: str, given: list[str], handles: list[int]) -> None:
    """Be the child: only the three streams are left of what was open."""
    code = 1
    try:
        for number, handle in enumerate([os.dup(h) for h in handles]):
            os.dup2(handle, number)
        os.closerange(3, 4096)
        # Handlers that came along would close their handles by number, whatever these are by then.
        logging.root.handlers.clear()
        logging._handlerList.clear()  # type: ignore[attr-defined]
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(n, "r" if n == 0 else "w", closefd=False) for n in range(3)
        )
        sys.argv = [module, *given]
        loaded = importlib.import_module(module)
        code = loaded.command(given) if module == "crawler.run" else loaded.main()
    except BaseException:  # noqa: BLE001  told as a fresh interpreter would
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _mark_stages(say: Callable[[str], None]) -> None:
    """Say which stage begins; what the stages do is left as it is."""
    from kiemchung.store import store as stores
    from pipeline import judging, stages, weekly

    def marked(place: Any, name: str, stage: str, after: str = "") -> None:  # noqa: ANN401
        real = getattr(place, name)

        @functools.wraps(real)
        def wrapped(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
            say(stage)
            try:
                return real(*arguments, **named)
            finally:
                if after:
                    say(after)

        setattr(place, name, wrapped)

    marked(weekly, "crawl", "crawl")
    for stage in ("extract", "analyse", "judge"):
        marked(stages, stage, stage)
    marked(judging.Judge, "load", "load")
    marked(weekly, "write_tables", "inbox")
    marked(weekly, "open_store", "open")
    marked(stores.Store, "merge_inbox", "merge")
    marked(stores, "merge", "merge", after="checkpoint")
    marked(weekly, "write_report", "report")
    marked(weekly, "expire_pages", "end")


def work(job: Job, events: int, *, fork_children: bool) -> None:
    """Be one weekly run and exit as it does; stages are told on the file handle ``events``."""
    out = os.open(job.out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    err = os.open(job.out.with_suffix(".err"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for handle, number in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
        os.dup2(handle, number)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(n, "r" if n == 0 else "w", closefd=False) for n in range(3)
    )

    def say(stage: str) -> None:
        os.write(events, json.dumps({"pid": os.getpid(), "stage": stage}).encode() + b"\n")

    say("start")
    if job.file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job.file_limit, resource.RLIM_INFINITY))
    os.environ |= {"KIEMCHUNG_DELAY_SECONDS": "0"} | job.settings
    if fork_children:
        set_clock(job.now)
    import crawler.isolate
    import crawler.run
    from pipeline import cli
    from pipeline.demo import site

    if fork_children:
        crawler.run.subprocess = crawler.isolate.subprocess = Forked  # type: ignore[assignment]
    site.SampleSite = lambda: Elsewhere(job.site)  # type: ignore[assignment,misc]
    _mark_stages(say)
    named = [part for name in job.outlets for part in ("--outlet", name)]
    sys.argv = ["kiemchung", "weekly", "--week", job.week, *named, "--data", job.data, "--json"]
    code = 1
    try:
        cli.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001  told as the interpreter would
        import traceback

        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


# -- the server ------------------------------------------------------------------------------


def warm_up() -> None:
    """Import what a run needs; no thread may be started and no reactor made before the fork.

    onnxruntime is left to the run: its import starts a thread, and takes 0.03 s.
    """
    import prometheus_client  # noqa: F401
    import pyarrow.dataset  # noqa: F401  this and the next take 0.3 s of each run
    import time_machine  # noqa: F401
    import trafilatura  # noqa: F401
    import typer.main

    import crawler.isolate
    import crawler.run
    import crawler.spider  # noqa: F401
    import models.tokenizer  # noqa: F401
    import pipeline.cli
    import pipeline.reporting
    import pipeline.telemetry
    import pipeline.weekly
    from dashboards.report import as_html  # noqa: F401
    from kiemchung.store import audited  # noqa: F401
    from nlp.claims import detect
    from pipeline.demo.site import read_articles

    _import_scrapy()
    # Typer makes all commands anew at each call; what it calls then is this.
    pipeline.cli.app = typer.main.get_command(pipeline.cli.app)  # type: ignore[assignment]
    for article in read_articles()[:3]:  # reads the word tagger and what it brings along
        detect("\n\n".join(article.paragraphs), title_end=0)
    gc.collect()
    gc.freeze()  # else the first collection of a run copies every page of memory


def _import_scrapy() -> None:
    """Import what Scrapy takes by name from its settings: half a second of each crawl."""
    import scrapy.crawler  # noqa: F401
    from scrapy.settings import default_settings

    for name in dir(default_settings):
        value = getattr(default_settings, name)
        for path in [*value, *value.values()] if isinstance(value, dict) else [value]:
            if isinstance(path, str) and path.startswith("scrapy."):
                importlib.import_module(path.rpartition(".")[0])
    assert "twisted.internet.reactor" not in sys.modules


def serve() -> None:
    """Fork a run for every job on stdin; say what becomes of it."""
    warm_up()
    events = os.dup(1)
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans are reaped here
    os.write(events, b'{"ready": true}\n')
    for line in sys.stdin:
        asked = json.loads(line)
        if "reap" in asked:
            while True:
                try:
                    os.waitpid(-1, 0)
                except ChildProcessError:
                    break
            os.write(events, b'{"reaped": true}\n')
            continue
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            work(Job(**asked), events, fork_children=True)
        os.setpgid(pid, pid)
        os.write(events, json.dumps({"pid": pid, "stage": "forked"}).encode() + b"\n")
        _, status = os.waitpid(pid, 0)
        ended = {"pid": pid, "ended": os.waitstatus_to_exitcode(status)}
        os.write(events, json.dumps(ended).encode() + b"\n")


# -- from outside ----------------------------------------------------------------------------


class Starter:
    """Starts runs one after the other and hears how they get on."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._heard: queue.Queue[dict[str, Any]] = queue.Queue()
        self.pid = 0
        self.stage = ""
        self.code: int | None = None
        self.marks: list[tuple[str, float]] = []

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None

        def read(stream: IO[bytes]) -> None:
            for line in stream:
                self._heard.put(json.loads(line) | {"at": time.monotonic()})
            self._heard.put({"closed": True, "at": time.monotonic()})

        self._reader = threading.Thread(target=read, args=(process.stdout,), daemon=True)
        self._reader.start()

    def _next(self, timeout: float) -> dict[str, Any] | None:
        try:
            return self._heard.get(timeout=max(0.0, timeout))
        except queue.Empty:
            return None

    def start(self, job: Job) -> None:
        """Start a run."""
        raise NotImplementedError

    def _begin(self) -> None:
        self.pid, self.stage, self.code, self.marks = 0, "", None, []

    def _take(self, event: dict[str, Any]) -> None:
        if event.get("stage") == "forked" and self.stage:
            return  # the run itself was faster in saying that it has begun
        if "stage" in event and event["pid"] == self.pid:
            self.stage = event["stage"]
            self.marks.append((event["stage"], event["at"]))
        elif "ended" in event and event["pid"] == self.pid:
            self.code = event["ended"]
            self.marks.append(("ended", event["at"]))

    def until(self, stage: str, limit: float = LIMIT) -> bool:
        """Wait until ``stage`` begins; False when the run ends before."""
        return self._until(lambda: self.stage == stage, limit)

    def for_seconds(self, seconds: float) -> bool:
        """Let it go on; False when the run ends before."""
        deadline = time.monotonic() + seconds
        while self.code is None and (event := self._next(deadline - time.monotonic())) is not None:
            self._take(event)
        return self.code is None

    def _until(self, reached: Callable[[], bool], limit: float) -> bool:
        deadline = time.monotonic() + limit
        while self.code is None and not reached():
            event = self._next(deadline - time.monotonic())
            if event is None:
                raise TimeoutError(f"a run hangs at {self.stage or 'its start'}")
            self._take(event)
        return self.code is None

    def end(self, limit: float = LIMIT) -> int:
        """Wait for the end of the run and return its exit code."""
        self._until(lambda: False, limit)
        assert self.code is not None
        return self.code

    def kill(self, *, group: bool = True) -> bool:
        """Kill the run where it stands; False when it had ended by itself."""
        (os.killpg if group else os.kill)(self.pid, signal.SIGKILL)
        return self.end() == -signal.SIGKILL

    def close(self) -> None:
        """End whatever is left, a run that nobody waited for as well."""
        if self.pid and self.code is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._reader is not None:
            self._reader.join(timeout=10)  # the pipe ends with the last process that writes to it
            if not self._reader.is_alive() and self._process.stdout is not None:
                self._process.stdout.close()


class Server(Starter):
    """Forks every run from one process that has imported everything."""

    def __init__(self) -> None:
        super().__init__()
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), "serve"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        self._listen(self._process)
        if not (self._next(LIMIT) or {}).get("ready"):
            raise RuntimeError("the server of runs does not start")

    def _ask(self, asked: dict[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        self._process.stdin.flush()

    def start(self, job: Job) -> None:
        """Fork a run."""
        self._begin()
        self._ask(asdict(job))
        while not self.pid:
            event = self._next(LIMIT)
            if event is None or "closed" in event:
                raise RuntimeError("the server of runs has ended")
            self.pid = event.get("pid", 0)
            self._take(event)

    def kill(self, *, group: bool = True) -> bool:
        """Kill the run, and wait until all of its group is gone."""
        done = super().kill(group=group)
        if group:
            self._ask({"reap": True})
            while "reaped" not in (self._next(LIMIT) or {"reaped": False}):
                pass
        return done


class Cold(Starter):
    """Every run is a fresh interpreter, and so are its children."""

    def start(self, job: Job) -> None:
        """Start an interpreter."""
        self.close()
        self._begin()
        self._heard = queue.Queue()
        clock = Path(f"{job.data}.clock")
        clock.mkdir(exist_ok=True)
        (clock / "sitecustomize.py").write_text(CLOCK, encoding="utf-8")
        path = os.pathsep.join([str(clock), str(ROOT)])
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), "run", json.dumps(asdict(job))],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": path, "KILLS_NOW": job.now},
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._listen(self._process)

    def _take(self, event: dict[str, Any]) -> None:
        if "closed" in event:  # the pipe closes when the run and its children are gone
            assert self._process is not None
            self.code = self._process.wait()
            self.marks.append(("ended", event["at"]))
        super()._take(event)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.path = [p for p in sys.path if Path(p or ".").resolve() != Path(__file__).parent]
    if sys.argv[1] == "serve":
        serve()
    else:
        given = json.loads(sys.argv[2])
        work(Job(**given | {"outlets": tuple(given["outlets"])}), os.dup(1), fork_children=False)
