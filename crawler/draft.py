"""Draft an outlet file from one article: what can be read off its pages, with how sure it is."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from crawler.canonical import canonical_url
from crawler.decode import decode
from crawler.extract import Page, extract_page
from crawler.markup import Element, metadata, parse, plain, select
from crawler.outlets import FAMILIES_FILE, SHIPPED, Outlet
from crawler.run import crawl, fetched_pages
from kiemchung.config import Settings
from kiemchung.errors import PageError, UnsafeAddressError

_NUMBERED: Final = re.compile(r"(?P<lead>[-/]|-\w{1,6}?)(?P<number>\d{4,})(?P<end>\.[a-z]{2,5})?$")
_NOT_NAME: Final = re.compile(r"[^a-z0-9]+")
_FEED_TYPES: Final = ("application/rss+xml", "application/atom+xml")
_LEADS: Final = (
    "h2.detail-sapo", "p.sapo", ".sapo", "p.description", ".lead", ".summary", ".post-summary p",
    "h2.main-intro", ".article-summary",
)  # fmt: skip
_DATES: Final = ("time[datetime]", ".date", ".time", ".publish-date", ".detail-time", ".post-date")
_CLASS: Final = re.compile(r"[A-Za-z_][\w-]{2,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """One line of the file: key, value as TOML, and how it was found."""

    key: str
    value: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A drafted file and the page from which it was made."""

    toml: str
    page: Page
    doubts: tuple[str, ...]


def draft(
    url: str,
    *,
    settings: Settings,
    data_dir: Path,
    day: date,
    name: str = "",
    sample_proxy: str | None = None,
    allowed_addresses: Sequence[str] = (),
) -> Draft:
    """Fetch an article, its site's front page and robots.txt, and draft the outlet file.

    Three requests through the guarded crawl into ``data_dir``, a folder of its own; robots.txt is
    obeyed.

    Raises:
        PageError: the article could not be fetched or is none.
        UnsafeAddressError: no http address.
    """
    parts = urlsplit(canonical_url(url))
    host = parts.hostname or ""
    root = f"{parts.scheme}://{parts.netloc}"
    front, robots = f"{root}/", f"{root}/robots.txt"
    year, number, _ = day.isocalendar()
    run_id = f"{year}-W{number:02}-draft"
    site = Outlet(name="draft", display=host, hosts=(host,), sample=host.endswith(".example"))
    crawl(
        [site], data_dir=data_dir, run_id=run_id, settings=settings, sample_proxy=sample_proxy,
        allowed_addresses=allowed_addresses, max_pages=3, pages=(url, front, robots),
    )  # fmt: skip
    got = {p.url: p for p in fetched_pages(data_dir, run_id)}
    article = got.get(url)
    if article is None:
        raise PageError("not_fetched", "the article could not be fetched", where=url)
    page = extract_page(
        article.body, url=article.final_url, content_type=article.content_type,
        fetched_at=article.fetched_at,
    )  # fmt: skip
    tree = parse(decode(article.body, content_type=article.content_type).text)
    home = got.get(front)
    home_tree = None
    if home is not None:
        try:
            home_tree = parse(decode(home.body, content_type=home.content_type).text)
        except PageError:
            home_tree = None
    rules = got[robots].body.decode("utf-8", "replace") if robots in got else ""
    return _drafted(url, host, root, name, page, tree, home_tree, rules)


def _drafted(  # one argument for each thing that was fetched
    url: str, host: str, root: str, name: str, page: Page, tree: Element,
    home: Element | None, rules: str,
) -> Draft:  # fmt: skip
    doubts: list[str] = []
    top = [
        Guess(key="name", value=_text(name or _plain_name(host)), why="from the host"),
        Guess(key="display", value=_text(_display(tree, host)), why="og:site_name, else the host"),
        Guess(key="hosts", value=_list([host]), why="add www. or m. hosts that serve the same"),
    ]
    if host.endswith(".example"):
        top.append(Guess(key="sample", value="true", why="hosts in .example are the sample's"))
    family = _family(tree)
    if family:
        top.append(Guess(key="family", value=_text(family), why="its body selector matches"))
    feeds = _feeds([tree, *([home] if home is not None else [])], root, host)
    sitemaps = [s for s in _sitemaps(rules) if (urlsplit(s).hostname or "") == host]
    if feeds:
        top.append(Guess(key="feeds", value=_list(feeds), why="link rel=alternate"))
    if sitemaps:
        top.append(Guess(key="sitemaps", value=_list(sitemaps), why="named in robots.txt"))
    if not feeds and not sitemaps:
        top.append(Guess(key="listings", value=_list([f"{root}/"]), why="no feed was found"))
        doubts.append("no feed or sitemap is named by the site: the front page is taken for a list")
    pattern, number = _patterns(url)
    if pattern:
        hits = _matches(pattern, home, root)
        why = f"from this address; {hits} links of the front page match"
        top.append(Guess(key="article_pattern", value=_literal(pattern), why=why))
        top.append(Guess(key="id_pattern", value=_literal(number), why="its number"))
        if hits == 0:
            doubts.append("article_pattern matches no link of the front page")
    else:
        doubts.append("the address has no number: write article_pattern yourself")
    selectors = list(_selectors(tree, page, family))
    doubts += [
        f"no selector was found for the {part}"
        for part in ("title", "body")
        if part not in {s.key for s in selectors} and not family
    ]
    if page.published_at is None:
        doubts.append("no date was found on the page")
    lines = [f"# Drafted from {url}", "# Not verified: compare with `kiemchung outlets check`."]
    lines += [f"{g.key} = {g.value}  # {g.why}" for g in top]
    if selectors:
        lines += ["", "[selectors]", *(f"{g.key} = {g.value}  # {g.why}" for g in selectors)]
    text = "\n".join(lines) + "\n"
    tomllib.loads(text)
    return Draft(toml=text, page=page, doubts=tuple(doubts))


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)  # a JSON string is a TOML basic string


def _literal(value: str) -> str:
    return f"'{value}'"


def _list(values: Iterable[str]) -> str:
    return f"[{', '.join(_text(v) for v in values)}]"


def _plain_name(host: str) -> str:
    labels = host.removeprefix("www.").split(".")
    return _NOT_NAME.sub("-", labels[0].lower()).strip("-") or "outlet"


def _display(tree: Element, host: str) -> str:
    return next(iter(metadata(tree).get("og:site_name", ())), host)


def _families() -> dict[str, dict[str, Any]]:
    return tomllib.loads((SHIPPED / FAMILIES_FILE).read_text(encoding="utf-8"))


def _family(tree: Element) -> str:
    for name, table in _families().items():
        bodies = table.get("selectors", {}).get("body", ())
        if any(len(plain(e)) > 200 for e in select(tree, bodies)):
            return name
    return ""


def _feeds(trees: Sequence[Element], root: str, host: str) -> list[str]:
    found: dict[str, None] = {}
    for tree in trees:
        for link in tree.iter("link"):
            kind = (link.get("type") or "").lower()
            if "alternate" in (link.get("rel") or "") and kind in _FEED_TYPES and link.get("href"):
                address = urljoin(f"{root}/", link.get("href") or "")
                if (urlsplit(address).hostname or "") == host:
                    found.setdefault(address)
    return list(found)[:5]


def _sitemaps(rules: str) -> list[str]:
    return [m.strip() for m in re.findall(r"(?im)^\s*sitemap:\s*(\S+)", rules)][:5]


def _patterns(url: str) -> tuple[str, str]:
    """Return article_pattern and id_pattern of an address that ends in a number, else nothing."""
    path = urlsplit(url).path
    match = _NUMBERED.search(path)
    if match is None:
        return "", ""
    end = re.escape(match["end"] or "")
    lead = re.escape(match["lead"])
    least = max(3, len(match["number"]) - 2)
    return f"{lead}\\d{{{least},}}{end}$", f"{lead}(\\d{{{least},}}){end}$"


def _matches(pattern: str, home: Element | None, root: str) -> int:
    if home is None:
        return 0
    links = set()
    for anchor in home.iter("a"):
        try:
            links.add(canonical_url(urljoin(f"{root}/", anchor.get("href") or "")))
        except (UnsafeAddressError, ValueError):
            continue
    return sum(re.search(pattern, link.split("?")[0]) is not None for link in links)


# -- selectors ---------------------------------------------------------------------------------


def _selectors(tree: Element, page: Page, family: str) -> Iterator[Guess]:
    known = _families().get(family, {}).get("selectors", {})
    for part, text, tags in (
        ("title", page.title, ("h1", "h2", "div")),
        ("lead", page.lead, ("h2", "p", "div", "strong")),
    ):
        if not text or any(_same(plain(e), text) for e in select(tree, known.get(part, ()))):
            continue
        found = _first(tree, _LEADS, text) if part == "lead" else ""
        found = found or _element_of(tree, text, tags)
        if found:
            yield Guess(key=part, value=_list([found]), why="holds the text that was found")
    if not any(len(plain(e)) > 200 for e in select(tree, known.get("body", ()))):
        found = _container(tree, page.body)
        if found:
            yield Guess(key="body", value=_list([found]), why="smallest with the whole text")
    dates = [s for s in _DATES if any(re.search(r"\d{4}", plain(e) + (e.get("datetime") or ""))
             for e in select(tree, [s]))]  # fmt: skip
    if dates and page.published_method.split("+")[0] not in ("json-ld", "og"):
        yield Guess(key="date", value=_list(dates[:1]), why="holds a date")


def _words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.lower()))


def _same(one: str, other: str) -> bool:
    """Return whether one text is the other, or hardly more than it (a place name before a lead)."""
    have, want = " ".join(one.split()), " ".join(other.split())
    return have == want or (len(want) > 30 and want in have and len(have) < 1.3 * len(want))


def _first(tree: Element, selectors: Sequence[str], text: str) -> str:
    return next((s for s in selectors if any(_same(plain(e), text) for e in select(tree, [s]))), "")


def _name_of(tree: Element, element: Element) -> str:
    """Return the shortest selector of an element that names no other, empty for none."""
    tag = str(element.tag)
    if element.get("id") and _CLASS.fullmatch(element.get("id") or ""):
        return f"{tag}#{element.get('id')}"
    classes = [c for c in (element.get("class") or "").split() if _CLASS.fullmatch(c)]
    options = [f"{tag}.{c}" for c in classes]
    if element.get("itemprop"):
        options.append(f'{tag}[itemprop="{element.get("itemprop")}"]')
    options.append(tag)
    for option in options:
        if sum(1 for _ in select(tree, [option])) == 1:
            return option
    return options[0] if classes else ""


def _element_of(tree: Element, text: str, tags: Sequence[str]) -> str:
    for tag in tags:
        for element in tree.iter(tag):
            if _same(plain(element), text) and (name := _name_of(tree, element)):
                return name
    return ""


def _container(tree: Element, body: str) -> str:
    """Return the selector of the smallest element that holds nearly every word of the body."""
    wanted = _words(body)
    if not wanted:
        return ""
    best: tuple[int, str] | None = None
    for element in tree.iter("div", "article", "section", "main", "td"):
        have = _words(plain(element))
        if sum((wanted & have).values()) < 0.97 * sum(wanted.values()):
            continue
        name = _name_of(tree, element)
        size = sum(have.values())
        if name and (best is None or size <= best[0]):
            best = (size, name)
    return best[1] if best else ""
