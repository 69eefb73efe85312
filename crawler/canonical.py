"""One address for one article: the identity that the ledger and the article ids are made of."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urljoin, urlsplit, urlunsplit

from kiemchung.errors import UnsafeAddressError

_TRACKING_PREFIXES: Final = ("utm_", "pk_", "mtm_", "hsa_")
_TRACKING: Final = frozenset(
    {"fbclid", "gclid", "dclid", "gbraid", "wbraid", "msclkid", "yclid", "twclid", "ttclid"}
    | {"igshid", "igsh", "mc_cid", "mc_eid", "_ga", "_gl", "ref_src", "amp_js_v", "usqp"}
    | {"gidzl", "zarsrc"}  # Zalo
)
_AMP_VALUES: Final = {"amp": None, "outputtype": "amp", "view": "amp"}
_MOBILE_HOST: Final = re.compile(r"^(?:m|mobile|amp)\.(?=[^.]+\.)")
_AMP_PATH: Final = re.compile(r"(?:/amp/?|\.amp)$|(?<=.)\.amp(?=\.html?$)")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_PATH_SAFE: Final = "/:@!$&'()*+,;=~-._"
_ESCAPED_RESERVED: Final = re.compile(r"%(?:2[0-9A-Fa-f]|3[A-Fa-f]|40|5[BbDd])")


def canonical_url(url: str) -> str:
    """Return the one address that stands for all spellings of ``url``.

    Host in lower case, no default port, no user name, no fragment, no tracking parameters
    (``utm_*``, ``fbclid``, Zalo's ``gidzl`` ...), AMP and mobile addresses turned into the plain
    one, percent escapes in one spelling, parameters in one order. The scheme stays: it decides
    how the page is fetched. Applying it twice changes nothing.

    Raises:
        UnsafeAddressError: no host, or a scheme other than http and https.
    """
    try:
        parts = urlsplit(_without_controls(url))
        host = (parts.hostname or "").rstrip(".")
        port = parts.port
    except ValueError as error:
        raise UnsafeAddressError(f"no address: {url[:200]!r}: {error}") from error
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not host:
        raise UnsafeAddressError(
            f"no http address: {url[:200]!r}", remedy="only http and https are fetched"
        )
    netloc = _host(host)
    if port is not None and port != _DEFAULT_PORTS[scheme]:
        netloc = f"{netloc}:{port}"
    return urlunsplit((scheme, netloc, _path(parts.path), _query(parts.query), ""))


def resolve(base: str, link: str) -> str | None:
    """Return the canonical address of ``link`` as found on the page ``base``; None if it has none.

    ``javascript:``, ``data:``, ``mailto:`` and broken addresses have none.
    """
    try:
        return canonical_url(urljoin(base, _without_controls(link)))
    except (UnsafeAddressError, ValueError):
        return None


def is_home(url: str) -> bool:
    """Tell whether ``url`` is the front page of its host."""
    parts = urlsplit(url)
    front = parts.path.strip("/").lower() in ("", "index.html", "index.htm", "index.php", "home")
    return front and not parts.query


def same_site(one: str, other: str) -> bool:
    """Tell whether two addresses are of one site, as far as the last host labels tell.

    Three labels are compared where the host ends in a short second level (``.com.vn``), else two.
    """
    return _site(one) == _site(other)


def _site(url: str) -> str:
    labels = (urlsplit(url).hostname or "").split(".")
    short = len(labels) >= 3 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
    return ".".join(labels[-3:] if short else labels[-2:])


def _without_controls(url: str) -> str:
    # As browsers do: controls and line breaks vanish, an inner space is an escape.
    return re.sub(r"[\x00-\x1f\x7f]+", "", url).strip().replace(" ", "%20")


def _host(host: str) -> str:
    if ":" in host:  # an IPv6 address
        return f"[{host.lower()}]"
    try:
        plain = host.encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise UnsafeAddressError(f"no host name: {host[:200]!r}") from error
    if not re.fullmatch(r"[a-z0-9._-]+", plain):
        raise UnsafeAddressError(f"no host name: {host[:200]!r}")
    return _until_stable(_MOBILE_HOST, plain)


def _until_stable(pattern: re.Pattern[str], text: str) -> str:
    """Remove ``pattern`` until it no longer matches, so that a second call finds nothing."""
    shorter = pattern.sub("", text)
    while shorter != text:
        text, shorter = shorter, pattern.sub("", shorter)
    return text


def _path(path: str) -> str:
    # Reserved characters that came escaped stay escaped: %2F is no path separator.
    pieces = []
    last = 0
    for match in _ESCAPED_RESERVED.finditer(path):
        pieces.append(_requoted(path[last : match.start()]))
        pieces.append(match.group().upper())
        last = match.end()
    pieces.append(_requoted(path[last:]))
    return _until_stable(_AMP_PATH, _without_dots("".join(pieces))) or "/"


def _requoted(text: str) -> str:
    try:
        return quote(unquote(text, errors="strict"), safe=_PATH_SAFE)
    except (UnicodeDecodeError, UnicodeEncodeError):
        escapes = re.sub(r"%[0-9a-fA-F]{2}", lambda m: m.group().upper(), text)
        return quote(escapes, safe=_PATH_SAFE + "%", errors="replace")


def _without_dots(path: str) -> str:
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if len(kept) > 1:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    if path.endswith(("/.", "/..")):
        kept.append("")
    return "/" + "/".join(kept).lstrip("/") if path else ""


def _query(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True, errors="replace")
    kept = [(key, value) for key, value in pairs if not _tracks(key.lower(), value.lower())]
    return urlencode(sorted(kept), errors="replace")


def _tracks(key: str, value: str) -> bool:
    if key in _AMP_VALUES and _AMP_VALUES[key] in (None, value):
        return True
    return key in _TRACKING or key.startswith(_TRACKING_PREFIXES)
