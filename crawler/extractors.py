"""Functions for outlets whose pages no selector can read; an outlet file names one.

```
extractor = "dated-address"
```
A function sees the parsed page and gives back what it knows: texts replace what was found by the
general means, a date fills in where the page itself gives none. Fields read so have the method
"outlet". A function that breaks leaves the general fields and the page notes ``extractor_failed``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from crawler.dates import FoundDate
from crawler.markup import Element


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A page as a function sees it."""

    url: str
    root: Element
    meta: Mapping[str, tuple[str, ...]]
    articles: tuple[Mapping[str, Any], ...]  # JSON-LD
    zone: ZoneInfo  # of dates that name none


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a function knows; None leaves a field as it is."""

    title: str | None = None
    lead: str | None = None
    paragraphs: tuple[str, ...] | None = None
    published: FoundDate | None = None


Extract = Callable[[Parsed], Found]

_STAMP: Final = re.compile(
    r"-1[08]\d(?P<y>\d{2})(?P<m>\d{2})(?P<d>\d{2})(?P<H>\d{2})(?P<M>\d{2})(?P<S>\d{2})\d{0,4}\."
)


def dated_address(parsed: Parsed) -> Found:
    """Read the date out of addresses such as ``-102260811153045.htm`` (VCCorp's systems).

    Three digits of the system, then YYMMDDhhmmss, as in saved addresses of baochinhphu.vn (102),
    thanhnien.vn (185) and cafef.vn (188).
    """
    match = _STAMP.search(parsed.url)
    if match is None:
        return Found()
    values = {name: int(text) for name, text in match.groupdict().items()}
    try:
        at = datetime(
            2000 + values["y"], values["m"], values["d"], values["H"], values["M"], values["S"],
            tzinfo=parsed.zone,
        )  # fmt: skip
    except ValueError:  # digits that are no date
        return Found()
    return Found(
        published=FoundDate(
            at=at, precision="second", zone_known=False, method="outlet", raw=match.group()
        )
    )


REGISTRY: Final[Mapping[str, Extract]] = {"dated-address": dated_address}
NAMES: Final = tuple(REGISTRY)
