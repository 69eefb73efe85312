"""Structured logs: one line an event, as JSON, to a rotated file of the data folder and to stderr.

What a line may hold is fixed by `Facts`: ids, names, counts and times. An address is hashed, and
free text, which only the messages of errors are, loses addresses, mail addresses, long numbers and
long quotations before it is written. So no line holds article text, who concluded what, where
somebody asked from, or a secret.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final, Literal, TypedDict, Unpack

Form = Literal["text", "json"]
OURS: Final = ("kiemchung", "crawler", "nlp", "models", "dashboards", "pipeline")
MAX_BYTES: Final = 10_000_000
KEPT_FILES: Final = 5
MAX_TEXT: Final = 300
_FRAMES: Final = 6

_URL: Final = re.compile(r"\b(?:https?|ftp|file)://[^\s\"'<>)\]]+")
_MAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_NUMBER: Final = re.compile(r"(?<![\w.-])(?:(?:\+84|0)(?:[ .-]?\d){8,11}|\d{9,})(?![\w-])")
_QUOTE: Final = re.compile(r"'[^']{40,}'|\"[^\"]{40,}\"|“[^”]{40,}”|«[^»]{40,}»")
_SECRET: Final = re.compile(
    r"(?i)\b((?:pass(?:word|wd)?|secret|token|authorization)\b\s*[=:]?\s*(?:bearer\s+)?)(\S+)"
)


class Facts(TypedDict, total=False):
    """All that an event may carry beside its time, level and name."""

    run: str  # run id
    week: str
    command: str
    stage: str
    outlet: str
    url: str  # written as its hash
    kind: str  # of an alarm
    state: str
    reason: str
    exit_code: int
    seconds: float
    done: int
    total: int
    count: int
    articles: int
    checkable: int
    judgements: int
    flags: int
    alarms: int
    published: bool
    method: str
    route: str  # the pattern, never the address
    status: int
    version: str


def url_hash(url: str) -> str:
    """Return 16 hex digits by which lines about one address can be found together."""
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def scrub(text: str) -> str:
    """Return ``text`` in one line, without addresses, long numbers, secrets and long quotations."""
    line = " ".join(text.split())
    line = _URL.sub(lambda m: f"url:{url_hash(m[0])}", line)
    line = _MAIL.sub("[mail]", line)
    line = _SECRET.sub(r"\1[secret]", line)
    line = _NUMBER.sub("[number]", line)
    line = _QUOTE.sub("'[…]'", line)
    return line if len(line) <= MAX_TEXT else f"{line[:MAX_TEXT]}…"


def event(
    log: logging.Logger, name: str, level: int = logging.INFO, **facts: Unpack[Facts]
) -> None:
    """Write one event; ``url`` is hashed here, so that no caller can forget it."""
    if not log.isEnabledFor(level):
        return
    kept: dict[str, object] = dict(facts)
    for key, value in kept.items():
        if isinstance(value, float):
            kept[key] = round(value, 4)
        elif isinstance(value, str):
            kept[key] = url_hash(value) if key == "url" else scrub(value)
    log.log(level, name, extra={"event": name, "facts": kept})


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """Return what is written of a record, in its order."""
    name = getattr(record, "event", "")
    found: dict[str, object] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "event": name or "message",
        "logger": record.name,
    }
    if name:
        found |= getattr(record, "facts", {})
    else:
        found["message"] = scrub(record.getMessage())
    if record.exc_info and record.exc_info[0] is not None:
        # The text of an exception may hold what was worked on; where it arose does not.
        frames = traceback.extract_tb(record.exc_info[2])[-_FRAMES:]
        found["error"] = record.exc_info[0].__name__
        found["at"] = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames]
    return found


class JsonFormatter(logging.Formatter):
    """A JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return json.dumps(_fields(record), ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """The same for a person: time, level, event, then ``name=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = _fields(record)
        fields.pop("logger")
        head = [str(fields.pop("time")), str(fields.pop("level")), str(fields.pop("event"))]
        if "message" in fields:
            head[-1] = str(fields.pop("message"))
        return " ".join([*head, *(f"{key}={value}" for key, value in fields.items())])


class SharedFile(RotatingFileHandler):
    """A rotated file that several processes may append to; its lines are whole.

    Lines are appended in one write each. Whoever finds the file full rotates it under a lock of the
    operating system, and whoever writes to a file that was rotated meanwhile opens the new one.
    Where there is no room for a line it is lost, which is told once; it stops nobody.
    """

    def __init__(self, path: Path) -> None:
        self._told = False
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8")
        path.chmod(0o600)

    def _replaced(self) -> bool:
        if self.stream is None:
            return False
        try:
            now = Path(self.baseFilename).stat()
        except FileNotFoundError:
            return True
        opened = os.fstat(self.stream.fileno())
        return (now.st_dev, now.st_ino) != (opened.st_dev, opened.st_ino)

    def emit(self, record: logging.LogRecord) -> None:
        """Write to the file that has the name now."""
        try:
            if self.stream is not None and self._replaced():
                self._drop()
        except OSError:
            self.handleError(record)
        else:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Say once that the file cannot be written; logging would show a traceback each time."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self._drop()
        if not self._told:
            self._told = True
            sys.stderr.write(f"no log file: {error}\n")

    def _open(self) -> TextIOWrapper:
        stream = super()._open()
        with Path(self.baseFilename).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            if file.read(1) not in (b"", b"\n"):
                stream.write("\n")  # a line that was cut for want of room ends here
        return stream

    def _drop(self) -> None:
        """Close the file, which the next line opens again; what could not be written is lost."""
        stream, self.stream = self.stream, None
        if stream is not None:
            with suppress(OSError):
                stream.close()

    def close(self) -> None:
        """Close the file for good."""
        self._drop()
        super().close()

    def doRollover(self) -> None:
        """Rotate, unless another process has just done it."""
        path = Path(self.baseFilename)
        with path.with_name(f".{path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._replaced():
                super().doRollover()
                path.touch()
                path.chmod(0o600)


@contextmanager
def logging_to(
    folder: Path, name: str, *, level: str = "info", form: Form = "text"
) -> Iterator[Path]:
    """Write what our packages log to ``folder/name.jsonl`` while inside, and yield that path.

    stderr gets warnings and errors as text; with ``form="json"`` it gets every line, as JSON, for a
    collector that reads it. A folder that cannot be written to is told once and no reason to stop.
    """
    path = folder / f"{name}.jsonl"
    stderr: logging.Handler = logging.StreamHandler(sys.stderr)
    stderr.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    stderr.setLevel(logging.DEBUG if form == "json" else logging.WARNING)
    handlers = [stderr]
    failure = ""
    try:
        file = SharedFile(path)
        file.setFormatter(JsonFormatter())
        handlers.append(file)
    except OSError as error:
        failure = f"no log file: {error}"
    root = logging.getLogger()
    before = {package: logging.getLogger(package).level for package in OURS}
    for package in OURS:
        logging.getLogger(package).setLevel(level.upper())
    for handler in handlers:
        root.addHandler(handler)
    try:
        if failure:
            logging.getLogger(__name__).warning("%s", failure)
        yield path
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
        for package, kept in before.items():
            logging.getLogger(package).setLevel(kept)
