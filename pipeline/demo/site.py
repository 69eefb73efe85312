"""The sample week's six outlets, served on loopback: invented articles in six page templates.

The server answers as a proxy (``GET http://song-hong.example/...``) and by ``Host`` header, so
addresses, and with them ids, are the same whatever port it listens on. All pages are made when it
starts, from the article files alone, so that two runs see the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import threading
import tomllib
import unicodedata
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kiemchung.errors import RecordError

ARTICLES: Final = Path(__file__).parent / "articles"
TEMPLATES: Final = Path(__file__).parent / "templates"
OUTLETS: Final[Mapping[str, str]] = {
    "song-hong": "Sông Hồng Tin tức",
    "dong-xanh": "Đồng Xanh Online",
    "bien-dong-que": "Báo Quê Biển",
    "thuong-truong": "Thương Trường Nhật ký",
    "nui-cao": "Núi Cao",
    "pho-nho": "Phố Nhỏ",
}
FEATURES: Final = frozenset(
    {"", "syndicated", "changed", "disallowed", "off_topic", "wrong_charset_meta"}
    | {"json_ld_newlines", "no_date", "half_page"}
)
PER_PAGE: Final = 5  # of a listing
DEAD_FEED: Final = "/rss/cu.rss"
_ROBOTS: Final = "User-agent: *\nDisallow: /noi-bo/\nAllow: /\n"
_LEGACY_BEFORE: Final = datetime(2024, 1, 1, tzinfo=UTC)
"""Núi Cao "changed its system" then: older pages are windows-1258, newer ones declare nothing."""

_KEYS: Final = frozenset(
    {"title", "lead", "published", "section", "tags", "captions", "body", "feature"}
    | {"changed_body"}
)
_WEEKDAYS: Final = ("Thứ Hai", "Thứ Ba", "Thứ Tư", "Thứ Năm", "Thứ Sáu", "Thứ Bảy", "Chủ Nhật")


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleArticle:
    """One article file; ``published`` is None where the page must not show a date."""

    outlet: str
    slug: str
    title: str
    lead: str
    written: datetime  # the file's own date, which orders lists even where the page shows none
    section: str
    tags: tuple[str, ...]
    captions: tuple[str, ...]
    paragraphs: tuple[str, ...]
    changed_paragraphs: tuple[str, ...] = ()
    feature: str = ""

    @property
    def published(self) -> datetime | None:
        """The date that the outlet shows."""
        return None if self.feature == "no_date" else self.written

    @property
    def host(self) -> str:
        """The host that serves the article."""
        return f"{self.outlet}.example"

    @property
    def number(self) -> int:
        """Six digits that follow from the slug alone."""
        return zlib.crc32(self.slug.encode("utf-8")) % 900_000 + 100_000

    @property
    def path(self) -> str:
        """The path of the page, in the shape that the outlet's own addresses have."""
        shapes = {
            "song-hong": f"/{self.slug}-102{self.written:%y%m%d%H%M%S}.htm",
            "dong-xanh": f"/{self.slug}-post{self.number}.html",
            "bien-dong-que": f"/bai/{self.slug}.html",
            "thuong-truong": f"/{self.slug}-{self.number}.html",
            "nui-cao": f"/tin/{self.slug}/{self.number}.html",
            "pho-nho": f"/{self.slug}-d{self.number}.html",
        }
        path = shapes[self.outlet]
        if self.feature != "disallowed":
            return path
        return path.replace("/tin/", "/noi-bo/", 1) if "/tin/" in path else f"/noi-bo{path}"

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{self.host}{self.path}"

    @property
    def section_slug(self) -> str:
        """The section as a piece of a path."""
        return _slug(self.section)

    @property
    def rfc_date(self) -> str:
        """The date as RSS writes it; empty where the outlet shows none."""
        return format_datetime(self.published) if self.published else ""

    @property
    def iso_date(self) -> str:
        """The date as Atom and sitemaps write it; empty where the outlet shows none."""
        return self.published.isoformat() if self.published else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One answer of the server."""

    body: bytes
    content_type: str
    status: int = 200
    modified: datetime | None = None

    @property
    def etag(self) -> str:
        """A strong validator of the body."""
        return f'"{hashlib.sha256(self.body).hexdigest()[:20]}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One request as it was answered."""

    host: str
    path: str
    status: int


# -- article files ---------------------------------------------------------------------------


def read_articles(folder: Path = ARTICLES) -> tuple[SampleArticle, ...]:
    """Return the articles of ``folder/<outlet>/<slug>.toml``, newest first within each outlet.

    Raises:
        RecordError: a file is no TOML, or a key is missing, unknown or of the wrong type.
    """
    found = []
    for path in sorted(folder.glob("*/*.toml")):
        if path.parent.name not in OUTLETS:
            raise RecordError(
                f"no sample outlet is called {path.parent.name!r}",
                where=str(path),
                remedy=f"known: {', '.join(OUTLETS)}",
            )
        found.append(_read_article(path))
    return tuple(sorted(found, key=lambda a: (a.outlet, -a.written.timestamp(), a.slug)))


def _read_article(path: Path) -> SampleArticle:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecordError(str(error), where=str(path), remedy="correct the TOML") from error
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise RecordError(f"{unknown[0]}: unknown key", where=str(path))
    written = table.get("published")
    if not isinstance(written, datetime) or written.tzinfo is None:
        raise RecordError("published: no date and time with offset", where=str(path))
    feature = table.get("feature", "")
    if feature not in FEATURES:
        raise RecordError(f"feature: {feature!r} is unknown", where=str(path))
    if feature == "changed" and not table.get("changed_body"):
        raise RecordError("changed_body: is missing", where=str(path))
    return SampleArticle(
        outlet=path.parent.name,
        slug=path.stem,
        title=_line(table, "title", path),
        lead=_line(table, "lead", path),
        written=written,
        section=_line(table, "section", path),
        tags=_lines(table, "tags", path),
        captions=_lines(table, "captions", path),
        paragraphs=_paragraphs(_line(table, "body", path)),
        changed_paragraphs=_paragraphs(table.get("changed_body", "")),
        feature=feature,
    )


def _line(table: Mapping[str, Any], key: str, path: Path) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value.strip():
        raise RecordError(f"{key}: is missing or no text", where=str(path))
    return value.strip()


def _lines(table: Mapping[str, Any], key: str, path: Path) -> tuple[str, ...]:
    values = table.get(key, [])
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise RecordError(f"{key}: no list of texts", where=str(path))
    return tuple(values)


def _paragraphs(body: str) -> tuple[str, ...]:
    return tuple(" ".join(p.split()) for p in body.split("\n\n") if p.strip())


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFD", text.lower().replace("đ", "d"))
    return "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in plain if not (
        unicodedata.combining(c))).split())  # fmt: skip


# -- pages -----------------------------------------------------------------------------------


def build_site(
    articles: Sequence[SampleArticle], *, changed: bool = False
) -> dict[tuple[str, str], Resource]:
    """Return every answer by host and path (with its query): pages, lists, feeds, robots.txt."""
    pages = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined
    )
    site: dict[tuple[str, str], Resource] = {}
    for name, display in OUTLETS.items():
        host = f"{name}.example"
        own = [a for a in articles if a.outlet == name]
        site[host, "/robots.txt"] = Resource(
            body=_ROBOTS.encode("ascii"), content_type="text/plain; charset=utf-8"
        )
        for article in own:
            site[host, article.path] = _page(pages, article, own, changed=changed)
        for address, entries, links in _lists(host, own):
            html = pages.get_template("list.html").render(
                display=display, url=f"http://{host}{address}", entries=entries, **links
            )
            site[host, address] = Resource(
                body=html.encode("utf-8"), content_type="text/html; charset=utf-8"
            )
        site |= _feeds(pages, name, display, own)
    return site


def _lists(
    host: str, own: Sequence[SampleArticle]
) -> list[tuple[str, Sequence[SampleArticle], dict[str, str]]]:
    """Return address, entries and neighbours of the front page and of the listing's pages."""
    lists: list[tuple[str, Sequence[SampleArticle], dict[str, str]]] = [
        ("/", own, {"previous": "", "following": ""})
    ]
    count = max(1, -(-len(own) // PER_PAGE))

    def address(number: int) -> str:
        if not 1 <= number <= count:
            return ""
        return "/tin-tuc" if number == 1 else f"/tin-tuc?trang={number}"

    for number in range(1, count + 1):
        part = own[(number - 1) * PER_PAGE : number * PER_PAGE]
        around = {"previous": address(number - 1), "following": address(number + 1)}
        lists.append((address(number), part, around))
    return lists


def _feeds(
    pages: Environment, name: str, display: str, own: Sequence[SampleArticle]
) -> dict[tuple[str, str], Resource]:
    host = f"{name}.example"
    home = f"http://{host}/"
    newest = max((a.written for a in own), default=None)

    def rendered(template: str, content_type: str, **values: str) -> Resource:
        text = pages.get_template(template).render(
            display=display, home=home, entries=own, **values
        )
        return Resource(body=text.encode("utf-8"), content_type=content_type, modified=newest)

    def rss(declared: str = "utf-8", suffix: str = "") -> Resource:
        return rendered("rss.xml", "text/xml", declared=declared, suffix=suffix)

    shapes: dict[str, dict[str, Resource]] = {
        "song-hong": {"/rss/home.rss": rss(suffix="?utm_source=rss&utm_medium=home")},
        "dong-xanh": {"/sitemaps/google-news.xml": rendered("news-sitemap.xml", "application/xml")},
        "bien-dong-que": {},
        "thuong-truong": {"/rss/kinh-te.rss": rss(declared="utf-16")},  # the bytes are UTF-8
        "nui-cao": {
            "/feed.atom": rendered("atom.xml", "application/atom+xml", own=f"{home}feed.atom"),
            DEAD_FEED: Resource(
                body=b"Internal Server Error", content_type="text/plain", status=500
            ),
        },
        "pho-nho": {"/rss/moi-nhat.rss": rss()},
    }
    return {(host, path): resource for path, resource in shapes[name].items()}


def _page(
    pages: Environment, article: SampleArticle, own: Sequence[SampleArticle], *, changed: bool
) -> Resource:
    modified = article.written
    if changed and article.feature == "changed":
        article = replace(article, paragraphs=article.changed_paragraphs)
        modified += timedelta(days=1)
    legacy = article.outlet == "nui-cao" and article.written < _LEGACY_BEFORE
    declared = "windows-1258" if legacy else "" if article.outlet == "nui-cao" else "utf-8"
    if article.feature == "wrong_charset_meta":
        declared = "iso-8859-1"  # what the bytes are not
    html = pages.get_template(f"{article.outlet}.html").render(
        a=article,
        display=OUTLETS[article.outlet],
        source=OUTLETS[article.outlet].removesuffix(" Tin tức"),
        url=article.url,
        path=article.path,
        related=[a for a in own if a.slug != article.slug][:3],
        meta_charset=declared,
        json_ld=_Markup(_json_ld(article, modified)),
        **_dates(article.published),
    )
    if article.feature == "half_page":
        html = _cut(html)
    body = _windows_1258(html) if legacy else html.encode("utf-8")
    unsaid = article.outlet in ("thuong-truong", "nui-cao")  # the header names no charset there
    content_type = "text/html" if unsaid else "text/html; charset=utf-8"
    return Resource(body=body, content_type=content_type, modified=modified)


class _Markup(str):
    """Text that the template takes as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


def _dates(published: datetime | None) -> dict[str, str]:
    """Return the date in the forms that the templates show; all empty without one."""
    if published is None:
        names = ("iso", "iso_basic", "iso_naive", "vi_date", "vi_long_date", "clock_date")
        return dict.fromkeys(names, "")
    weekday = _WEEKDAYS[published.weekday()]
    return {
        "iso": published.isoformat(),
        "iso_basic": published.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "iso_naive": published.strftime("%Y-%m-%dT%H:%M:%S"),
        "vi_date": published.strftime("%d/%m/%Y %H:%M"),
        "vi_long_date": published.strftime(f"{weekday}, %d/%m/%Y, %H:%M (GMT+7)"),
        "clock_date": published.strftime("%H:%M, %d/%m/%Y"),
    }


def _json_ld(article: SampleArticle, modified: datetime) -> str:
    values: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "NewsArticle",
        "headline": article.title,
        "description": article.lead,
        "mainEntityOfPage": {"@type": "WebPage", "@id": article.url},
        "articleSection": article.section,
    }
    if article.published:
        values["datePublished"] = article.published.isoformat()
        values["dateModified"] = modified.isoformat()
    careless = article.outlet == "nui-cao" or article.feature == "json_ld_newlines"
    if careless:
        values["headline"] = article.title.replace("&", "&amp;").replace('"', "&quot;")
        values["description"] = article.lead.replace(", ", ",@@", 1)
    text = json.dumps(values, ensure_ascii=False, indent=1).replace("</", "<\\/")
    return text.replace("@@", "\n") if careless else text  # a raw newline inside a string


def _cut(html: str) -> str:
    """Return the first half of a page, cut inside a tag of its body."""
    middle = html.index("</h1>") + (len(html) - html.index("</h1>")) // 2
    tag = html.find("<", middle)
    return html[: tag + 2] if tag >= 0 else html[:middle]


def _windows_1258(text: str) -> bytes:
    """Encode as windows-1258 does: the vowel with its hat or horn, then the tone as a mark."""
    tones = "\u0300\u0301\u0303\u0309\u0323"
    out: list[str] = []
    for char in text:
        parts = unicodedata.normalize("NFD", char)
        tone = "".join(c for c in parts if c in tones)
        base = unicodedata.normalize("NFC", "".join(c for c in parts if c not in tones))
        out.append(base + tone if tone else char)
    return "".join(out).encode("cp1258", "xmlcharrefreplace")


# -- the server ------------------------------------------------------------------------------


class SampleSite:
    """Serves the sample on 127.0.0.1 while the context lasts.

    ``changed=True`` serves the second version of the article that changes after its first fetch.
    ``hits`` are the requests answered so far, oldest first, the last 100,000 of them.
    """

    def __init__(self, folder: Path | None = None, *, changed: bool = False, port: int = 0) -> None:
        self.articles = read_articles(ARTICLES if folder is None else folder)
        self.hits: deque[Hit] = deque(maxlen=100_000)
        self._port = port
        self._resources = build_site(self.articles, changed=changed)
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """``http://127.0.0.1:PORT``; only while the context lasts."""
        if self._server is None:
            raise RuntimeError("the sample is served inside `with SampleSite() as site:` only")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", self._port), _handler(self._resources, self.hits.append)
        )
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(timeout=5.0)
        self._server = self._thread = None


def _handler(
    resources: Mapping[tuple[str, str], Resource], record: Callable[[Hit], None]
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "sample"
        sys_version = ""
        timeout = 30

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def _answer(self, *, with_body: bool) -> None:
            host, path = self._target()
            resource = resources.get((host, path)) or Resource(
                body="Không tìm thấy trang này.".encode(),
                content_type="text/plain; charset=utf-8",
                status=HTTPStatus.NOT_FOUND,
            )
            fresh = resource.status == HTTPStatus.OK and self._unchanged(resource)
            status = HTTPStatus.NOT_MODIFIED if fresh else HTTPStatus(resource.status)
            record(Hit(host=host, path=path, status=int(status)))
            self.send_response(status)
            if resource.status == HTTPStatus.OK:
                self.send_header("ETag", resource.etag)
                if resource.modified:
                    last = format_datetime(resource.modified.astimezone(UTC), usegmt=True)
                    self.send_header("Last-Modified", last)
            if not fresh:
                self.send_header("Content-Type", resource.content_type)
                self.send_header("Content-Length", str(len(resource.body)))
            self.end_headers()
            if with_body and not fresh:
                self.wfile.write(resource.body)

        def _target(self) -> tuple[str, str]:
            """Return host and path with query, of an absolute-form request or by Host header."""
            try:
                parts = urlsplit(self.path)
                host = parts.hostname or urlsplit(f"//{self.headers.get('Host', '')}").hostname
            except ValueError:
                return "", self.path
            query = f"?{parts.query}" if parts.query else ""
            path = (parts.path or "/") + query
            if (host or "", path) not in resources and "utm_" in query:
                path = parts.path  # as news sites do: what counts readers changes no page
            return (host or "").lower(), path

        def _unchanged(self, resource: Resource) -> bool:
            tags = self.headers.get("If-None-Match")
            if tags is not None:  # RFC 9110: it goes before If-Modified-Since
                given = [t.strip().removeprefix("W/") for t in tags.split(",")]
                return resource.etag in given or "*" in given
            since = self.headers.get("If-Modified-Since")
            if since is None or resource.modified is None:
                return False
            try:
                return resource.modified <= parsedate_to_datetime(since)
            except (ValueError, TypeError):
                return False

        def log_message(self, format: str, *args: object) -> None:
            """Keep stderr for people; the requests are in ``SampleSite.hits``."""

    return Handler
