"""A loopback server that behaves as badly as a test asks it to, and remembers who asked for what."""

from __future__ import annotations

import gzip
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

Answer = Callable[[BaseHTTPRequestHandler], None]
PAGE = "<html><body><h1>Hợp tác xã</h1>" + "<p>Nội dung bài viết.</p>" * 20 + "</body></html>"


def text(
    body: str | bytes, status: int = 200, kind: str = "text/html; charset=utf-8", **headers: str
) -> Answer:
    data = body.encode() if isinstance(body, str) else body

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def redirect(target: str, status: int = 302) -> Answer:
    return text("", status, Location=target)


def rss(*urls: str) -> Answer:
    items = "".join(
        f"<item><link>{u}</link><pubDate>Thu, 01 Oct 2026 08:00:00 +0700</pubDate></item>"
        for u in urls
    )
    return text(
        f'<?xml version="1.0"?><rss version="2.0"><channel>{items}</channel></rss>', kind="text/xml"
    )


def hang(seconds: float) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)

    return answer


def drip(seconds: float) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(int(seconds * 10)):
            handler.wfile.write(b"a")
            handler.wfile.flush()
            time.sleep(0.1)

    return answer


def short_body(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(b"<html>half")


def cut_gzip(handler: BaseHTTPRequestHandler) -> None:
    data = gzip.compress(PAGE.encode() * 50)[:-40]
    text(data, Content_Encoding="gzip")(handler)


def gzip_bomb(handler: BaseHTTPRequestHandler) -> None:
    text(gzip.compress(b"a" * 60_000_000), Content_Encoding="gzip")(handler)


class Hostile:
    """Paths to answers; unknown paths are 404."""

    def __init__(self, answers: dict[str, Answer] | None = None) -> None:
        self.answers: dict[str, Answer] = {"/robots.txt": text("", 404), **(answers or {})}
        self.hits: Counter[str] = Counter()
        self.headers: dict[str, dict[str, str]] = {}
        self.times: list[tuple[str, float]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.hits[self.path] += 1
                outer.headers[self.path] = {k.lower(): v for k, v in self.headers.items()}
                outer.times.append((self.path, time.monotonic()))
                answer = outer.answers.get(self.path, text("nothing", 404))
                try:
                    answer(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, *arguments: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)
        self._server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"

    def url(self, path: str) -> str:
        return self.base + path

    def __enter__(self) -> Hostile:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
