"""One process, one worker: it opens the store, merges the inbox and answers the browser."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import uvicorn

from dashboards import memory
from dashboards.app import create_app
from dashboards.care import Caretaker
from dashboards.merger import Merged
from dashboards.operation import Operation
from kiemchung import __version__, logs, reference
from kiemchung.errors import InputError, StoreError
from kiemchung.store import Store, insurance, open_store
from kiemchung.store.double import DOUBLE_SHARE
from kiemchung.store.requests import Handler

LOG = logging.getLogger(__name__)
LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]", "::1")
_WATCH_SECONDS: Final = 1.0
SWITCH_SECONDS: Final = 0.0005
"""How long one thread keeps the interpreter from another. A request asks the database ten times and
waits for the interpreter after each; beside a merge that was 0.2 s at the usual 5 ms."""


def secret_of(store_path: Path) -> bytes:
    """Return the secret that signs sessions, made once and readable by its owner only.

    It lies beside the store and not in it: a backup shows nobody how to sign a session.
    """
    path = store_path.with_name("session.secret")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        kept = path.read_bytes()
        if len(kept) >= 32:
            return kept
        path.unlink()  # cut short by a full disk or a kill
        return secret_of(store_path)
    with os.fdopen(handle, "wb") as out:
        made = secrets.token_bytes(48)
        out.write(made)
        out.flush()
        os.fsync(out.fileno())
    return made


def allowed_hosts(host: str, server_names: Sequence[str] = ()) -> list[str]:
    """Return the names by which a browser may ask, so that a rebound name is refused.

    ``server_names`` are those that a reverse proxy passes on; with any, a host that is open to the
    network answers to them only.
    """
    if host in ("0.0.0.0", "::", ""):
        if not server_names:
            return ["*"]  # the operator opened it to the network; its names are not known here
        return sorted({*LOOPBACK, *server_names})
    return sorted({*LOOPBACK, host, *server_names})


def serve(
    store_path: Path,
    inbox: Path,
    *,
    host: str,
    port: int,
    outlet_names: Mapping[str, str] | None = None,
    reference_dir: Path | None = None,
    double_share: float = DOUBLE_SHARE,
    merged: Merged | None = None,
    reviews: Path | None = None,
    keep_reviews_days: int = 0,
    requests: Callable[[Store], Mapping[str, Handler]] | None = None,
    operation: Operation | None = None,
) -> None:
    """Serve the review desk until interrupted.

    Ctrl+C and SIGTERM end it in order: requests are finished and the store is closed. What people
    concluded is written to ``reviews`` every day and kept for ``keep_reviews_days``. ``requests``
    gives what commands may ask of the owner beyond a backup and its state.

    Raises:
        InputError: the port is taken or the address is not this machine's.
        StoreLockedError: another process owns the store.
        BadReferenceError: the reference base is not the one that was sealed.
        StoreError: the store cannot be opened, or the database failed and has to be opened anew.
    """
    reference.verify(reference_dir)
    run_as = operation or Operation()
    memory.share_heaps()
    sys.setswitchinterval(SWITCH_SECONDS)
    with (
        _listen(host, port) as listener,
        open_store(store_path, double_share=double_share, desk=True) as store,
    ):
        for problem in store.problems():  # a write-ahead log that was cut short opens in silence
            LOG.error("the store contradicts itself: %s", problem)
        folder = reviews or store_path.with_name("reviews")
        if gone := insurance.lost(store, folder):
            LOG.error("%s", gone)
        caretaker = Caretaker(
            store,
            reviews=folder,
            keep_days=keep_reviews_days,
            extra=requests(store) if requests else None,
        )

        def after_merge(store: Store, run_ids: Sequence[str]) -> None:
            caretaker.merged()
            if merged is not None:
                merged(store, run_ids)

        app = create_app(
            store,
            secret=secret_of(store_path),
            inbox=inbox,
            outlet_names=outlet_names,
            reference_dir=reference_dir,
            allowed_hosts=allowed_hosts(host, run_as.server_names),
            merged=after_merge,
            operation=run_as,
        )
        config = uvicorn.Config(
            app,
            workers=1,
            log_config=None,  # its warnings go where ours go
            log_level="warning",
            access_log=False,  # `dashboards.requests` writes one without addresses of people
            server_header=False,
            timeout_graceful_shutdown=5,
        )
        server = uvicorn.Server(config)
        done = threading.Event()

        def watch() -> None:
            """A database that cannot go on is only cured by closing it."""
            while not done.wait(_WATCH_SECONDS):
                if store.broken:
                    server.should_exit = True
                    return

        watcher = threading.Thread(target=watch, name="watch", daemon=True)
        watcher.start()
        caretaker.start()
        memory.settle()
        logs.event(LOG, "desk_started", version=__version__)
        try:
            # uvicorn raises the signal again when it has ended; the store is still to be closed.
            with _terminating_as_interrupt(), suppress(KeyboardInterrupt):
                server.run(sockets=[listener])
        finally:
            caretaker.stop()
            done.set()
            watcher.join()
            logs.event(LOG, "desk_ended")
        if store.broken:
            raise StoreError(
                f"the database failed: {store.broken}",
                where=str(store_path),
                remedy="make room on the disk and start again; what was acknowledged is kept",
            )


def _listen(host: str, port: int) -> socket.socket:
    """Take the port before the store is opened, so that a taken one is told in plain words."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            remedy=f"stop what listens there, or choose another: --port {port + 1}",
        ) from error


@contextmanager
def _terminating_as_interrupt() -> Iterator[None]:
    """Let SIGTERM unwind the stack as Ctrl+C does, instead of ending the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
