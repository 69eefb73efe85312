"""Outlet files: one TOML file per outlet, which may inherit a CMS family.

A site changes its template every one to six years, so what is known about it stands in a file
that a person can correct, with the day on which somebody last looked (``verified_on``).

```
name = "song-hong"                  # lower case, digits and hyphens
display = "Sông Hồng Tin tức"
hosts = ["song-hong.example"]       # the first one completes paths such as "/rss/home.rss"
family = "vccorp"                   # optional, from families.toml
feeds = ["/rss/home.rss"]
sitemaps = ["/sitemaps/news-{year}-{month}.xml"]
listings = ["/kinh-te"]
article_pattern = '-\\d+\\.htm$'      # searched in the address without its query
id_pattern = '-(\\d+)\\.htm$'
[selectors]                         # CSS, one or several, first hit wins
title = "h1.detail-title"
[expect]                            # less than that in a week is an alarm
items_per_week = 5
```
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from pathlib import Path
from string import Formatter
from typing import Any, Final
from urllib.parse import quote_plus, urlsplit
from zoneinfo import ZoneInfo

from kiemchung.domain import sha256_hex
from kiemchung.errors import OutletFileError

DEFAULT_ZONE: Final = "Asia/Ho_Chi_Minh"
FAMILIES_FILE: Final = "families.toml"
SHIPPED: Final = Path(__file__).parent / "outlets"
MAX_DELAY_SECONDS: Final = 120.0
"""The longest delay that is honoured; the cap of Common Crawl's news crawler."""

_NAME: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_HOST: Final = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]*[a-z0-9])?"
)
_SAMPLE_SUFFIX: Final = ".example"  # RFC 2606: never resolves on the public network
_OWN_KEYS: Final = (
    "name", "hosts", "family", "sample", "source", "verified_on", "verified_by",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Selectors:
    """CSS selectors, in the order in which they are tried; those to drop are applied as a whole."""

    title: tuple[str, ...] = ()
    lead: tuple[str, ...] = ()
    body: tuple[str, ...] = ()
    date: tuple[str, ...] = ()
    section: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    author: tuple[str, ...] = ()
    caption: tuple[str, ...] = ()
    related: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a healthy week of this outlet looks like; less than that is an alarm."""

    items_per_week: int | None = None
    median_characters: int | None = None  # of a body
    lead_rate: float | None = None  # share of pages with a lead, 0..1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlet:
    """One outlet, in plain values that survive JSON; nothing about the outlet's merit.

    Feeds, sitemaps, listings and search are whole addresses.
    """

    name: str
    display: str
    hosts: tuple[str, ...]
    sample: bool = False
    family: str = ""
    feeds: tuple[str, ...] = ()
    sitemaps: tuple[str, ...] = ()  # may hold {year}, {month} and {month:02}: sitemaps_of()
    listings: tuple[str, ...] = ()
    search: str = ""  # the outlet's own search, with {query}: searches()
    search_words: tuple[str, ...] = ("hợp tác xã",)
    listing_next: tuple[str, ...] = ()  # CSS: the link to the next page of a listing
    max_listing_pages: int = 10
    max_pages: int | None = None  # asked for in one run; None: the operator's setting
    article_pattern: str = ""
    id_pattern: str = ""  # its first group is the outlet's own article number
    extractor: str = ""  # a function of crawler.extractors, for what no selector can read
    delay: float | None = None  # seconds between two requests; None: the operator's setting
    timezone: str = DEFAULT_ZONE  # of dates that name none
    date_formats: tuple[str, ...] = ()  # strptime, before the general forms: "%m/%d/%Y %I:%M %p"
    encoding: str = ""  # goes before what the server claims, where it fits the bytes
    lead_prefix: tuple[str, ...] = ()  # "(Chinhphu.vn) - "
    selectors: Selectors = field(default_factory=Selectors)
    expect: Expectation = field(default_factory=Expectation)
    source: str = ""  # where the facts of an unverified file come from
    verified_on: str = ""  # YYYY-MM-DD
    verified_by: str = ""
    note: str = ""

    @property
    def zone(self) -> ZoneInfo:
        """The zone of dates that name none."""
        return ZoneInfo(self.timezone)

    def owns(self, url: str) -> bool:
        """Tell whether ``url`` is an http(s) address of one of the outlet's hosts."""
        try:
            parts = urlsplit(url)
            _ = parts.port  # raises where it is no number
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and (parts.hostname or "") in self.hosts

    def is_article(self, url: str) -> bool:
        """Tell whether ``url`` has the shape of an article of this outlet.

        Without a pattern, every address of the outlet that is no front page may be one.
        """
        if not self.owns(url):
            return False
        address = _without_query(url)
        if self.article_pattern:
            return re.search(self.article_pattern, address) is not None
        return urlsplit(address).path.strip("/") != ""

    def article_number(self, url: str) -> str:
        """Return the outlet's own number of the article, empty where the address has none."""
        found = re.search(self.id_pattern, _without_query(url)) if self.id_pattern else None
        if found is None:
            return ""
        return found.group(1) if found.re.groups else found.group()

    def sitemaps_of(self, day: date) -> tuple[str, ...]:
        """Return the sitemaps of the month of ``day``."""
        return tuple(s.format(year=day.year, month=day.month) for s in self.sitemaps)

    def searches(self) -> tuple[str, ...]:
        """Return the address of the outlet's search for each of its search words."""
        if not self.search:
            return ()
        return tuple(self.search.format(query=quote_plus(word)) for word in self.search_words)


def load_outlets(folder: Path | None = None) -> dict[str, Outlet]:
    """Return the shipped outlets and those of ``folder``, by name, in the order of their names.

    A file of ``folder`` replaces the shipped outlet of the same name.

    Raises:
        OutletFileError: a file is no TOML, a key is unknown or of the wrong type, a name, host,
            pattern, selector or zone is missing or wrong; the error names file and key.
    """
    families = _families(SHIPPED)
    outlets, places = _folder(SHIPPED, families)
    if folder is not None:
        if not folder.is_dir():
            raise OutletFileError(
                "no such folder", where=str(folder), remedy="make it, or correct outlet_dir"
            )
        own, own_places = _folder(folder, families | _families(folder))
        outlets |= own
        places |= own_places
    _refuse_shared_hosts(outlets, places)
    return dict(sorted(outlets.items()))


def outlet_sha256(outlet: Outlet) -> str:
    """Return the hash of what an outlet's file says, also through its family.

    Who verified it and when is left out: it changes no page.
    """
    said = {k: v for k, v in asdict(outlet).items() if k not in ("verified_on", "verified_by")}
    return sha256_hex(json.dumps(said, ensure_ascii=False, sort_keys=True, default=str).encode())


def load_outlets_leniently(
    folder: Path | None = None,
) -> tuple[dict[str, Outlet], tuple[OutletFileError, ...]]:
    """Return the outlets whose files are in order, and what is wrong with the others.

    A broken file never stops the others; the shipped outlet of the same name stays.
    """
    broken: list[OutletFileError] = []
    families = _families(SHIPPED)
    outlets: dict[str, Outlet] = {}
    owners: dict[str, str] = {}
    folders = [SHIPPED] if folder is None else [SHIPPED, folder]
    for place in folders:
        try:
            families = families | _families(place)
        except OutletFileError as error:
            broken.append(error)
        for path in sorted(place.glob("*.toml")):
            if path.name == FAMILIES_FILE:
                continue
            try:
                outlet = read_outlet(path, families)
                for host in outlet.hosts:
                    if owners.get(host, outlet.name) != outlet.name:
                        raise _wrong(path, "hosts", f"{host!r} is of {owners[host]!r}")
            except OutletFileError as error:
                broken.append(error)
                continue
            outlets[outlet.name] = outlet
            owners.update(dict.fromkeys(outlet.hosts, outlet.name))
    return dict(sorted(outlets.items())), tuple(broken)


def read_outlet(path: Path, families: Mapping[str, Mapping[str, Any]] | None = None) -> Outlet:
    """Return the outlet of one file; without ``families``, the shipped ones are known.

    Raises:
        OutletFileError: as for ``load_outlets``.
    """
    table = _toml(path)
    _check_keys(table, path)
    base = _families(SHIPPED) if families is None else families
    return _outlet(_inherit(table, base, path), path)


def _without_query(url: str) -> str:
    return url.split("#", 1)[0].split("?", 1)[0]


def _folder(
    folder: Path, families: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Outlet], dict[str, Path]]:
    outlets: dict[str, Outlet] = {}
    places: dict[str, Path] = {}
    for path in sorted(folder.glob("*.toml")):
        if path.name == FAMILIES_FILE:
            continue
        outlet = read_outlet(path, families)
        if outlet.name in places:
            raise _wrong(path, "name", f"{outlet.name!r} is taken by {places[outlet.name].name}")
        outlets[outlet.name] = outlet
        places[outlet.name] = path
    return outlets, places


def _refuse_shared_hosts(outlets: Mapping[str, Outlet], places: Mapping[str, Path]) -> None:
    owners: dict[str, str] = {}
    for name in sorted(outlets):
        for host in outlets[name].hosts:
            if host in owners:
                raise _wrong(
                    places[name],
                    "hosts",
                    f"{host} belongs to {places[owners[host]].name} already",
                    remedy="a host has one outlet: remove it from one of the two files",
                )
            owners[host] = name


def _wrong(path: Path, key: str, message: str, *, remedy: str = "") -> OutletFileError:
    return OutletFileError(f"{key}: {message}", where=str(path), remedy=remedy)


# -- reading ---------------------------------------------------------------------------------


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise OutletFileError(
            f"not TOML: {error}", where=str(path), remedy="correct the line that is named"
        ) from error
    except RecursionError as error:
        raise OutletFileError("not TOML: nested too deep", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise OutletFileError("not UTF-8", where=str(path), remedy="save it as UTF-8") from error
    except OSError as error:
        raise OutletFileError(f"cannot be read: {error.strerror}", where=str(path)) from error


def _families(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / FAMILIES_FILE
    if not path.is_file():
        return {}
    families = _toml(path)
    for name, table in families.items():
        if not isinstance(table, dict):
            raise _wrong(path, name, "is not a table", remedy=f"write [{name}]")
        for key in _OWN_KEYS:
            if key in table:
                raise _wrong(path, f"{name}.{key}", "belongs into an outlet file")
        _check_keys(table, path, prefix=f"{name}.")
    return families


def _inherit(
    table: dict[str, Any], families: Mapping[str, Mapping[str, Any]], path: Path
) -> dict[str, Any]:
    """Return the table on top of its family's; selectors and expectations key by key."""
    name = table.get("family", "")
    if name == "":
        return table
    if not isinstance(name, str) or name not in families:
        known = ", ".join(sorted(families)) or "none"
        raise _wrong(path, "family", f"no family {name!r}", remedy=f"known: {known}")
    merged = dict(families[name]) | table
    for part in ("selectors", "expect"):
        merged[part] = dict(families[name].get(part, {})) | dict(table.get(part, {}))
    return merged


_TEXT_LISTS: Final = frozenset({"hosts", "feeds", "sitemaps", "listings"})
_TEXT_OR_LISTS: Final = frozenset({"date_formats", "lead_prefix", "listing_next", "search_words"})
_WHOLE: Final = frozenset({"max_listing_pages", "max_pages"})
_KEYS: Final = tuple(f.name for f in fields(Outlet))


def _check_keys(table: Mapping[str, Any], path: Path, prefix: str = "") -> None:
    groups = (
        ("", table, _KEYS),
        ("selectors.", table.get("selectors", {}), tuple(f.name for f in fields(Selectors))),
        ("expect.", table.get("expect", {}), tuple(f.name for f in fields(Expectation))),
    )
    for group, given, known in groups:
        if not isinstance(given, dict):
            key = prefix + group.rstrip(".")
            raise _wrong(path, key, "is not a table", remedy=f"write [{key}]")
        for key in given:
            if key not in known:
                raise _wrong(
                    path, prefix + group + key, "unknown key", remedy=f"known: {', '.join(known)}"
                )


def _outlet(table: dict[str, Any], path: Path) -> Outlet:
    for key in ("name", "display", "hosts"):
        if not table.get(key):
            raise _wrong(path, key, "is missing", remedy=f'add a line {key} = "..."')
    values: dict[str, Any] = {
        key: _value(key, given, path)
        for key, given in table.items()
        if key not in ("selectors", "expect")
    }
    values["selectors"] = _selectors(table.get("selectors", {}), path)
    values["expect"] = _expectation(table.get("expect", {}), path)
    _check_name(values["name"], path)
    _check_hosts(values["hosts"], sample=values.get("sample", False), path=path)
    for key in ("feeds", "sitemaps", "listings", "search"):
        if values.get(key):
            values[key] = _addresses(key, values, path)
    _check_patterns(values, path)
    _check_sitemaps(values.get("sitemaps", ()), path)
    _check_search(values.get("search", ""), path)
    if values.get("extractor"):
        _check_extractor(values["extractor"], path)
    _check_zone(values.get("timezone", DEFAULT_ZONE), path)
    if bool(values.get("verified_on")) is not bool(values.get("verified_by")):
        raise _wrong(path, "verified_on", "goes with verified_by", remedy="give both or neither")
    return Outlet(**values)


def _value(key: str, given: Any, path: Path) -> object:  # noqa: ANN401  TOML holds any type
    """Return ``given`` in the type of its field."""
    if key in _TEXT_LISTS:
        if isinstance(given, str):
            raise _wrong(path, key, f"{given!r} is not a list", remedy=f'{key} = ["..."]')
        return _texts(key, given, path)
    if key in _TEXT_OR_LISTS:
        return _texts(key, given, path)
    if key == "sample":
        if not isinstance(given, bool):
            raise _wrong(path, key, f"{given!r} is neither true nor false")
        return given
    if key == "delay":
        return _number(key, given, path, 0.0, MAX_DELAY_SECONDS)
    if key in _WHOLE:
        return int(_number(key, given, path, 1, 10_000))
    if key == "verified_on":
        return _day(key, given, path)
    if not isinstance(given, str):
        raise _wrong(path, key, f"{given!r} is not text", remedy=f'{key} = "..."')
    return given


def _texts(key: str, given: object, path: Path) -> tuple[str, ...]:
    several = [given] if isinstance(given, str) else given
    if not isinstance(several, list) or not all(isinstance(s, str) and s for s in several):
        raise _wrong(path, key, f"{given!r} is not text or a list of texts")
    return tuple(several)


def _number(key: str, given: object, path: Path, low: float, high: float) -> float:
    plain = isinstance(given, int | float) and not isinstance(given, bool)
    if not plain or not low <= given <= high:  # type: ignore[operator]
        raise _wrong(path, key, f"{given!r} is not a number from {low:g} to {high:g}")
    return float(given)  # type: ignore[arg-type]


def _day(key: str, given: object, path: Path) -> str:
    try:
        return date.fromisoformat(str(given)).isoformat()
    except ValueError as error:
        raise _wrong(path, key, f"{given!r} is not a day", remedy="such as 2026-11-24") from error


# -- checks ----------------------------------------------------------------------------------


def _selectors(table: Mapping[str, object], path: Path) -> Selectors:
    found = {key: _texts(f"selectors.{key}", value, path) for key, value in table.items()}
    for key, several in found.items():
        for selector in several:
            _check_css(f"selectors.{key}", selector, path)
    return Selectors(**found)


def _expectation(table: Mapping[str, object], path: Path) -> Expectation:
    values: dict[str, Any] = {}
    for key, given in table.items():
        share = key == "lead_rate"
        number = _number(f"expect.{key}", given, path, 0.0, 1.0 if share else 1e9)
        values[key] = number if share else int(number)
    return Expectation(**values)


def _check_css(key: str, selector: str, path: Path) -> None:
    from cssselect import HTMLTranslator, SelectorError

    try:
        HTMLTranslator().css_to_xpath(selector)
    except SelectorError as error:
        raise _wrong(path, key, f"{selector!r} is no CSS selector: {error}") from error


def _check_name(name: str, path: Path) -> None:
    if not _NAME.fullmatch(name) or name == "sample":
        raise _wrong(
            path,
            "name",
            f"{name!r} is no outlet name",
            remedy='lower case letters, digits and hyphens; "sample" means all of the sample',
        )


def _check_hosts(hosts: tuple[str, ...], *, sample: bool, path: Path) -> None:
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise _wrong(
                path, "hosts", f"{host!r} is no host name", remedy="lower case, no http://, no path"
            )
        if host.endswith(_SAMPLE_SUFFIX) is not sample:
            raise _wrong(
                path,
                "hosts",
                f"{host!r} with sample = {str(sample).lower()}",
                remedy="hosts of the sample, and only those, end in .example",
            )
    if len(set(hosts)) != len(hosts):
        raise _wrong(path, "hosts", "names a host twice")


def _addresses(key: str, values: Mapping[str, Any], path: Path) -> tuple[str, ...] | str:
    """Return whole addresses; a path is one of the first host's."""
    scheme = "http" if values.get("sample") else "https"
    given = values[key]
    whole = []
    for entry in (given,) if isinstance(given, str) else given:
        address = f"{scheme}://{values['hosts'][0]}{entry}" if entry.startswith("/") else entry
        try:
            parts = urlsplit(address)
            known = parts.scheme in ("http", "https") and parts.hostname in values["hosts"]
        except ValueError:
            known = False
        if not known:
            raise _wrong(
                path,
                key,
                f"{entry!r} is no address of this outlet",
                remedy='a path such as "/rss/home.rss", or an address of one of the hosts',
            )
        whole.append(address)
    return whole[0] if isinstance(given, str) else tuple(whole)


def _check_patterns(values: Mapping[str, Any], path: Path) -> None:
    for key in ("article_pattern", "id_pattern"):
        try:
            re.compile(values.get(key, ""))
        except (re.error, OverflowError, RecursionError) as error:  # "a{9999999999}", "((((..."
            raise _wrong(path, key, f"no regular expression: {error}") from error
    for selector in values.get("listing_next", ()):
        _check_css("listing_next", selector, path)


def _check_sitemaps(sitemaps: tuple[str, ...], path: Path) -> None:
    remedy = "{year}, {month} and {month:02} are filled in, nothing else"
    for template in sitemaps:
        _check_places(
            "sitemaps", template, {"year": ("",), "month": ("", "02", "02d")}, path, remedy
        )


def _check_places(
    key: str, template: str, known: Mapping[str, Sequence[str]], path: Path, remedy: str
) -> None:
    """Refuse every place that is not filled in, and widths that would fill the memory."""
    try:
        places = [p for p in Formatter().parse(template) if p[1] is not None]
    except ValueError as error:
        raise _wrong(path, key, f"{template!r}: {error}", remedy=remedy) from error
    for _, name, spec, conversion in places:
        if not name or name not in known or (spec or "") not in known[name] or conversion:
            raise _wrong(path, key, f"{template!r}: no place {{{name}}}", remedy=remedy)


def _check_extractor(name: str, path: Path) -> None:
    from crawler.extractors import NAMES

    if name not in NAMES:
        raise _wrong(path, "extractor", f"no function {name!r}", remedy=f"known: {NAMES}")


def _check_search(template: str, path: Path) -> None:
    remedy = "{query} is filled in, nothing else"
    _check_places("search", template, {"query": ("",)}, path, remedy)
    if template and template.format(query="a") == template:
        raise _wrong(path, "search", "has no place for the word", remedy='such as "/tim?q={query}"')


def _check_zone(name: str, path: Path) -> None:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise _wrong(
            path, "timezone", f"no time zone {name!r}", remedy=f"such as {DEFAULT_ZONE}"
        ) from error
