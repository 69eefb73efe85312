"""Extraction in a child process: a page that takes too long costs itself and nobody else."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Final

from crawler.extract import Page, extract_page
from crawler.outlets import Outlet
from kiemchung.errors import PageError

LIMIT_SECONDS: Final = 10.0
_CONTEXT: Final = multiprocessing.get_context("spawn")


def _serve(pipe: Connection) -> None:
    """Answer pages until the pipe closes; runs in the child."""
    while True:
        try:
            body, url, content_type, outlet = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(extract_page(body, url=url, content_type=content_type, outlet=outlet))
        except PageError as error:
            pipe.send((error.reason, error.message))
        except Exception as error:  # noqa: BLE001  a page must not end the week
            pipe.send(("extractor_error", f"{type(error).__name__}: {error}"))


class Extractor:
    """A child that extracts; used in a ``with``, started at the first page, restarted when killed."""

    def __init__(self, *, limit_seconds: float = LIMIT_SECONDS) -> None:
        self._limit = limit_seconds
        self._child: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None

    def __enter__(self) -> Extractor:
        """Return this extractor; the child starts with the first page."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the child."""
        self._stop()

    def _stop(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._child is not None:
            self._child.join(0.2)
            if self._child.is_alive():
                self._child.kill()
                self._child.join()
        self._child = self._pipe = None

    def _start(self) -> Connection:
        if self._pipe is None or self._child is None or not self._child.is_alive():
            self._stop()
            ours, theirs = _CONTEXT.Pipe()
            child = _CONTEXT.Process(target=_serve, args=(theirs,), daemon=True)
            child.start()
            theirs.close()
            self._child, self._pipe = child, ours
            # The first answer includes the child's imports; they are not the page's fault.
            ours.send((b"", "http://start.example/1", None, None))
            ours.recv()
        return self._pipe

    def extract(
        self,
        body: bytes,
        *,
        url: str,
        content_type: str | None = None,
        outlet: Outlet | None = None,
    ) -> Page:
        """Return the page, as `extract_page` does.

        Raises:
            PageError: its reasons, and ``timeout`` or ``extractor_died`` when the child was lost.
        """
        pipe = self._start()
        try:
            pipe.send((body, url, content_type, outlet))
            if not pipe.poll(self._limit):
                self._stop()
                raise PageError("timeout", f"more than {self._limit:g} s", where=url)
            answer = pipe.recv()
        except (EOFError, OSError) as error:
            self._stop()
            raise PageError("extractor_died", str(error), where=url) from error
        if isinstance(answer, Page):
            return answer
        raise PageError(answer[0], answer[1], where=url)
