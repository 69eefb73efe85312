"""Whether a JSON-LD object has the shape of schema.org's ClaimReview: our own reading of it.

Types, the properties that each may have and must have, and what a value must look like. A property
that is not listed is a mistake here, so that a misspelt one is noticed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

Check = Callable[[Any], bool]


def text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def url(value: Any) -> bool:
    if not isinstance(value, str) or re.search(r"\s", value):
        return False
    parts = urlsplit(value)
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def moment(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def language(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]+)*", value) is not None


def interval(value: Any) -> bool:
    day = r"\d{4}-\d{2}-\d{2}"
    return isinstance(value, str) and re.fullmatch(rf"{day}/({day}|\.\.)", value) is not None


def one(*kinds: str) -> Check:
    return lambda value: not faults(value, kinds)


def some(*kinds: str) -> Check:
    return lambda value: (
        isinstance(value, list) and bool(value) and all(not faults(v, kinds) for v in value)
    )


# type -> property -> (must it be there, what it must be)
SHAPES: dict[str, dict[str, tuple[bool, Check]]] = {
    "ClaimReview": {
        "@context": (True, lambda v: v == "https://schema.org"),
        "identifier": (False, text),
        "claimReviewed": (True, text),
        "datePublished": (True, moment),
        "inLanguage": (True, language),
        "itemReviewed": (True, one("Claim")),
        "reviewRating": (True, one("Rating")),
        "citation": (True, some("CreativeWork")),
        "author": (False, one("Organization")),
        "url": (False, url),
    },
    "Claim": {
        "appearance": (True, some("CreativeWork")),
        "firstAppearance": (False, one("CreativeWork")),
        "datePublished": (False, moment),
    },
    "Rating": {"alternateName": (True, text)},
    "CreativeWork": {
        "url": (False, url),
        "headline": (False, text),
        "name": (False, text),
        "text": (False, text),
        "datePublished": (False, moment),
        "temporalCoverage": (False, interval),
    },
    "Organization": {"name": (True, text), "url": (False, url)},
}


def faults(value: Any, kinds: tuple[str, ...] = ("ClaimReview",)) -> list[str]:
    """Return what is wrong with ``value`` as an object of one of ``kinds``; empty when nothing."""
    if not isinstance(value, dict):
        return [f"no object: {value!r}"]
    kind = value.get("@type")
    if kind not in kinds:
        return [f"type {kind!r}, but {' or '.join(kinds)} is expected"]
    shape = SHAPES[kind]
    found = [f"{kind} has no {n}" for n, (must, _) in shape.items() if must and n not in value]
    for name, content in value.items():
        if name == "@type":
            continue
        if name not in shape:
            found.append(f"{kind} has no property {name!r}")
        elif not shape[name][1](content):
            found.append(f"{kind}.{name} is no such value: {content!r}")
    return found
