"""Extraction in a child process: a page that is too slow or too large costs itself, nothing else.

lxml and trafilatura take quadratic time on some pages, and a parser can be crashed. The child gets
ten seconds a page and a limit on memory; when it exceeds either, it is killed and started again.
Parent and child speak JSON with a length before it, never pickle: the child reads hostile pages.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import struct
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from crawler.extract import Page, extract_page
from crawler.outlets import Expectation, Outlet, Selectors
from kiemchung.errors import KiemchungError, PageError

LIMIT_SECONDS: Final = 10.0
START_SECONDS: Final = 60.0
"""For the imports of the child, which take 0.2 s on an idle core."""
MEMORY_BYTES: Final = 700_000_000
"""What a page may add to the address space of the child, which its memory cannot exceed."""
PAGES_PER_CHILD: Final = 2_000
"""A fresh child after so many pages: what a parser leaks or fragments does not add up."""

_LENGTH: Final = struct.Struct(">II")  # bytes of JSON, bytes of the page behind it


class Extractor:
    """A child that extracts pages, started with the first one.

    ```
    with Extractor() as extractor:
        page = extractor.extract(body, url="https://example.org/a-1.html")
    ```
    Not for several threads at once: one extractor each.
    """

    def __init__(self, *, limit_seconds: float = LIMIT_SECONDS) -> None:
        self._limit = limit_seconds
        self._child: subprocess.Popen[bytes] | None = None
        self._pages = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # what was not flushed is of no use to anybody
                    stream.close()

    def extract(
        self,
        body: bytes,
        *,
        url: str,
        content_type: str | None = None,
        outlet: Outlet | None = None,
        fetched_at: datetime | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> Page:
        """Return what ``extract_page`` returns for the same arguments.

        Raises:
            PageError: as ``extract_page``; ``timeout`` after the limit, ``crashed`` where the
                child died, ``out_of_memory`` where it needed too much.
            KiemchungError: the child cannot be started.
        """
        child = self._ready()
        request = {
            "url": url,
            "content_type": content_type,
            "outlet": asdict(outlet) if outlet else None,
            "fetched_at": fetched_at.isoformat() if fetched_at else None,
            "headers": list(headers),
        }
        deadline = time.monotonic() + self._limit
        try:
            _send(child.stdin, request, body)
            answer = _receive(child.stdout, deadline)
        except TimeoutError as error:
            self.close()
            raise PageError("timeout", f"more than {self._limit:g} s", where=url) from error
        except (EOFError, OSError) as error:
            code = child.wait()
            self.close()
            raise PageError("crashed", f"the child ended with code {code}", where=url) from error
        self._pages += 1
        if self._pages >= PAGES_PER_CHILD:
            self.close()
        if "reason" in answer:
            if answer["reason"] == "out_of_memory":
                self.close()
            raise PageError(answer["reason"], answer["message"], where=url)
        return page_from_json(answer["page"])

    def _ready(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is None:
            return self._child
        self.close()
        root = str(Path(__file__).resolve().parents[1])
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        self._child = subprocess.Popen(
            [sys.executable, "-m", "crawler.isolate"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": path},
        )
        self._pages = 0
        try:
            _receive(self._child.stdout, time.monotonic() + START_SECONDS)
        except (TimeoutError, EOFError, OSError) as error:
            self.close()
            raise KiemchungError(
                "the extraction process does not start",
                remedy=f"run `{sys.executable} -m crawler.isolate` to see why",
            ) from error
        return self._child


def extract_safely(
    pages: Iterable[tuple[bytes, str, str | None, Outlet | None]],
    *,
    limit_seconds: float = LIMIT_SECONDS,
) -> Iterator[Page | PageError]:
    """Yield, for each (body, url, content type, outlet), the page or why it is none."""
    with Extractor(limit_seconds=limit_seconds) as extractor:
        for body, url, content_type, outlet in pages:
            try:
                yield extractor.extract(body, url=url, content_type=content_type, outlet=outlet)
            except PageError as error:
                yield error


# -- the wire --------------------------------------------------------------------------------


def _send(stream: IO[bytes] | None, values: Mapping[str, Any], body: bytes = b"") -> None:
    if stream is None:
        raise EOFError
    head = json.dumps(values, ensure_ascii=True).encode("ascii")
    stream.write(_LENGTH.pack(len(head), len(body)) + head)
    stream.write(body)
    stream.flush()


def _receive(stream: IO[bytes] | None, deadline: float) -> dict[str, Any]:
    """Read one message of the child.

    Raises:
        TimeoutError: the deadline (of the monotonic clock) passed first.
        EOFError: the child ended.
    """
    if stream is None:
        raise EOFError
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)

        def exactly(count: int) -> bytes:
            pieces = bytearray()
            while len(pieces) < count:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError
                piece = os.read(stream.fileno(), count - len(pieces))
                if not piece:
                    raise EOFError
                pieces += piece
            return bytes(pieces)

        head, _ = _LENGTH.unpack(exactly(_LENGTH.size))
        values: dict[str, Any] = json.loads(exactly(head))
    return values


def page_to_json(page: Page) -> dict[str, Any]:
    """Return a page as JSON can hold it."""
    values = asdict(page)
    values["published_at"] = page.published_at.isoformat() if page.published_at else None
    return values


def page_from_json(values: Mapping[str, Any]) -> Page:
    """Return the page that ``page_to_json`` was given.

    Raises:
        PageError: ``crashed``, where the child sent something else.
    """
    plain = dict(values)
    try:
        stamp = plain["published_at"]
        plain["published_at"] = datetime.fromisoformat(stamp) if stamp else None
        for key in ("tags", "dates", "opt_outs"):
            plain[key] = tuple(str(v) for v in plain[key])
        return Page(**{f.name: plain[f.name] for f in fields(Page)})
    except (KeyError, TypeError, ValueError) as error:
        raise PageError("crashed", f"no page: {error!r}") from error


def outlet_from_json(values: Mapping[str, Any]) -> Outlet:
    """Return the outlet that ``dataclasses.asdict`` was given, also after JSON made lists of it."""

    def tupled(given: Mapping[str, Any]) -> dict[str, Any]:
        return {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}

    rest = {k: v for k, v in values.items() if k not in ("selectors", "expect")}
    return Outlet(
        **tupled(rest),
        selectors=Selectors(**tupled(values["selectors"])),
        expect=Expectation(**values["expect"]),
    )


# -- the child -------------------------------------------------------------------------------


def main() -> int:
    """Answer requests on stdin until it closes."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not stand between two answers
    import trafilatura  # noqa: F401  the first page is not to pay for the import

    _limit_memory()

    _send(answers, {"ready": True})
    outlets: dict[str, Outlet] = {}
    while len(head := requests.read(_LENGTH.size)) == _LENGTH.size:
        sizes = _LENGTH.unpack(head)
        request = json.loads(requests.read(sizes[0]))
        body = requests.read(sizes[1])
        _send(answers, _answer(request, body, outlets))
    return 0


def _answer(request: Mapping[str, Any], body: bytes, outlets: dict[str, Outlet]) -> dict[str, Any]:
    given = request["outlet"]
    key = json.dumps(given, sort_keys=True)
    if given and key not in outlets:
        outlets[key] = outlet_from_json(given)
    stamp = request["fetched_at"]
    try:
        page = extract_page(
            body,
            url=request["url"],
            content_type=request["content_type"],
            outlet=outlets[key] if given else None,
            fetched_at=datetime.fromisoformat(stamp) if stamp else None,
            headers=[(str(k), str(v)) for k, v in request["headers"]],
        )
    except PageError as error:
        return {"reason": error.reason, "message": error.message}
    except MemoryError:
        return {"reason": "out_of_memory", "message": f"more than {MEMORY_BYTES} bytes"}
    except Exception as error:  # noqa: BLE001  a page must not end the run; the outcome names it
        return {"reason": "extractor_error", "message": f"{type(error).__name__}: {error}"[:500]}
    return {"page": page_to_json(page)}


def _mapped() -> int:
    """Return the address space that this process has now, in bytes."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):  # no such file on this system
        return 300_000_000
    return pages * os.sysconf("SC_PAGE_SIZE")


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = _mapped() + MEMORY_BYTES
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


if __name__ == "__main__":
    sys.exit(main())
