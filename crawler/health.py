"""Whether an outlet's week looks like its other weeks: alarms against its own history.

A list that dies, freezes or answers with something else, a template that changed, bodies that come
empty or cut, dates and leads that vanish, a host that moved, silence and floods. Counts are set
against the outlet's own last weeks by overdispersed tails, so that small and large outlets are
treated alike, and every alarm says what was seen and what to check. Nothing here is about an
outlet's merit.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final

from crawler.outlets import Expectation
from kiemchung.errors import KiemchungError
from kiemchung.shards import write_bytes_atomically

WEEKS: Final = 12
"""How far back an outlet is its own measure."""
ENOUGH: Final = 4
"""Weeks of history from which on counts are compared; before, the outlet file's expectations."""
RARE: Final = 2e-5
"""The tail below which a share is an alarm: some ten thousand are looked at in a year of 24
outlets, and at most one alarm in a year may be false."""
RARE_COUNT: Final = 3e-5
"""The same for the number of new addresses, of which there is one a week and outlet."""
UNLIKE: Final = 0.01
"""The tail below which a week is less than an outlet file expects."""
CONCENTRATION: Final = 20.0
"""Of the beta-binomial around a past share; 50 fits healthy outlets, less is more patient."""
PERMANENT: Final = frozenset({"not_a_feed", "not_a_listing", "too_many_entries", "bad_redirect"})
FORBIDDEN: Final = ("robots", "challenge", "http_401", "http_402", "http_403", "http_451")
CUT: Final = ("truncated", "unknown_charset", "partial", "binary")
EMPTY: Final = ("no_text", "empty")
_NEW_YEARS: Final = (
    date(2024, 2, 10), date(2025, 1, 29), date(2026, 2, 17), date(2027, 2, 6), date(2028, 1, 26),
    date(2029, 2, 13), date(2030, 2, 3), date(2031, 1, 23), date(2032, 2, 11), date(2033, 1, 31),
    date(2034, 2, 19), date(2035, 2, 8),
)  # fmt: skip
"""First days of the Vietnamese lunar years (astronomical new moons at UTC+7)."""
_NEAR: Final = timedelta(days=17)
_MONTH: Final = re.compile(r"\d{4}[-_/]?\d{1,2}|\d{4,}")


class BadHistoryError(KiemchungError):
    """A file of an outlet's past weeks cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListWeek:
    """One feed, sitemap, listing or search in one week."""

    url: str
    kind: str
    state: str  # of the ledger
    reason: str
    items: int  # -1 unread
    newest: str  # ISO instant of the newest dated entry, empty where unknown
    dated: int  # entries with a sound date
    fingerprint: str  # hash of its set of entries, empty where unread
    new: int  # addresses never seen in earlier runs


@dataclass(frozen=True, slots=True, kw_only=True)
class OutletWeek:
    """One outlet in one week: counts."""

    outlet: str
    week: str  # 2026-W47
    lists: tuple[ListWeek, ...]
    discovered: int
    fetched: int
    unchanged: int
    refused: dict[str, int]
    failed: dict[str, int]
    extracted: int  # pages with an article, about cooperatives or not
    quarantined: dict[str, int]
    title_only: int
    with_lead: int
    without_date: int
    median_characters: int | None
    cooperative: int
    drift: float | None  # median disagreement of selector body and generic body, 0..1
    repeated: int  # bodies equal to another page's of the same outlet
    newest_item: str  # ISO, empty where unknown
    moved_to: str  # host that lists were redirected to for good, empty for none

    @property
    def fresh(self) -> int:
        """Pages that were not known unchanged."""
        return self.discovered - self.unchanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One thing that is not as it was, and what to look at."""

    outlet: str
    kind: str
    message: str
    value: float | None
    expected: str


def near_new_year(day: date) -> bool:
    """Return whether ``day`` stands within 17 days of a lunar new year: hardly anybody writes."""
    return any(abs(day - first) <= _NEAR for first in _NEW_YEARS)


def alarms(
    now: OutletWeek, history: Sequence[OutletWeek], *, expect: Expectation, at: datetime
) -> tuple[Alarm, ...]:
    """Return what is not in order with the week ``now``; ``history`` is oldest first.

    ``at`` is the aware instant at which the week was looked at, for the age of entries. Counts are
    compared from four weeks of history on; before, with what the outlet file expects, if anything.
    """
    past = list(history[-WEEKS:])
    if down := _unreachable(now):
        return (down, *_moved(now, past))
    found = [*_moved(now, past), *_lists(now, past, at), *identical_lists(now)]
    found += _counts(now, past, expect, at)
    found += _shares(now, past, expect)
    found += _bodies(now, past, expect)
    return tuple(found)


# -- lists -------------------------------------------------------------------------------------


def _broken(row: ListWeek) -> bool:
    return row.state in ("failed", "gone") or (
        row.state == "refused" and row.reason != "list_limit"
    )


def _unreachable(now: OutletWeek) -> Alarm | None:
    if now.lists and all(_broken(row) for row in now.lists) and len(now.lists) > 1:
        reasons = ", ".join(sorted({row.reason for row in now.lists}))
        return Alarm(
            outlet=now.outlet, kind="unreachable", value=0.0, expected="a list that answers",
            message=f"none of {len(now.lists)} lists could be read ({reasons}): open the site in a"
            " browser and correct the outlet file, or ask the outlet",
        )  # fmt: skip
    return None


def _moved(now: OutletWeek, past: Sequence[OutletWeek]) -> Iterator[Alarm]:
    if now.moved_to and not (past and past[-1].moved_to == now.moved_to):
        yield Alarm(
            outlet=now.outlet, kind="moved_host", value=None, expected="its own host",
            message=f"lists now lead to {now.moved_to}: add that host to the outlet file",
        )  # fmt: skip


def _series(url: str) -> str:
    """Return what stays the same of an address that names a month."""
    return _MONTH.sub("#", url)


def _before(row: ListWeek, past: Sequence[OutletWeek]) -> list[ListWeek | None]:
    name = _series(row.url)
    return [next((r for r in week.lists if _series(r.url) == name), None) for week in past]


def _lists(now: OutletWeek, past: Sequence[OutletWeek], at: datetime) -> Iterator[Alarm]:
    for row in now.lists:
        before = _before(row, past)
        last = before[-1] if before else None
        if row.state in ("failed", "gone"):
            passing = row.state == "failed" and row.reason not in PERMANENT
            passing = passing and not row.reason.startswith("http_4")
            again = last is not None and last.state in ("failed", "gone")
            alone = len(now.lists) == 1
            if not passing or again or alone:
                yield Alarm(
                    outlet=now.outlet,
                    kind="unreachable" if alone and passing else "dead_feed",
                    value=None,
                    expected="a readable list",
                    message=f"{row.url} ({row.reason}): open it in a browser and correct the"
                    " outlet file",
                )
        elif row.state == "refused" and row.reason not in ("list_limit", "off_site"):
            if last is None or last.state != "refused":
                yield Alarm(
                    outlet=now.outlet, kind="refused", value=None, expected="leave to read it",
                    message=f"{row.url} may no longer be read ({row.reason}): ask the outlet",
                )  # fmt: skip
        elif row.state == "fetched" and row.items == 0:
            yield Alarm(
                outlet=now.outlet, kind="empty_feed", value=0.0, expected="entries",
                message=f"{row.url} answers without an entry: look whether its address changed",
            )  # fmt: skip
        elif frozen := _frozen(now, row, before, past, at):
            yield frozen


def _frozen(
    now: OutletWeek, row: ListWeek, before: Sequence[ListWeek | None],
    past: Sequence[OutletWeek], at: datetime,
) -> Alarm | None:  # fmt: skip
    """Return an alarm when a list that answers has been silent for too long for its rhythm."""
    if row.new > 0:
        return None
    stamp = row.newest or next((r.newest for r in reversed(before) if r and r.newest), "")
    counts = [
        r.new
        for r, week in zip(before[1:], past[1:], strict=True)
        if r is not None and r.items >= 0 and not near_new_year(_sunday(week.week))
    ]
    if not stamp or len(counts) < ENOUGH - 1:
        return None
    age = (at - datetime.fromisoformat(stamp)).total_seconds() / (7 * 86_400)
    rate = median(counts) * min(age, 8.0)
    if near_new_year(at.date()):
        rate *= 0.1
    by_count = rate > 0 and _count_tail(0, rate, 6.0) < RARE
    by_age = median(counts) >= 8 and not near_new_year(at.date()) and _old(before, past, age * 7)
    if not by_count and not by_age:
        return None
    return Alarm(
        outlet=now.outlet, kind="frozen_feed", value=round(age * 7, 1),
        expected=f"about {median(counts):g} new entries a week",
        message=f"{row.url} answers, but its newest entry is {age * 7:.0f} days old: look whether"
        " the site has a newer feed",
    )  # fmt: skip


def _old(before: Sequence[ListWeek | None], past: Sequence[OutletWeek], days: float) -> bool:
    """Return whether a newest entry of this age is rare for the ages that it had at past visits.

    Predictive tail of an exponential law whose mean was seen n times: (1 + a / (n m)) ** -n.
    """
    ages = [
        max(0.0, (instant_of(w.week) - datetime.fromisoformat(r.newest)).total_seconds() / 86_400)
        for r, w in zip(before, past, strict=True)
        if r is not None and r.newest and r.new > 0
    ]
    if len(ages) < 2 * ENOUGH:
        return False
    n, mean = len(ages), max(0.25, sum(ages) / len(ages))
    return (1 + days / (n * mean)) ** -n < RARE_COUNT and days > 2 * max(ages)


def identical_lists(now: OutletWeek) -> tuple[Alarm, ...]:
    """Return an alarm for feeds of different addresses that hold the same entries.

    Some sites answer any unknown path with their default feed.
    """
    seen: dict[str, str] = {}
    for row in now.lists:
        if row.kind != "feed" or not row.fingerprint or row.items < 5:
            continue
        if row.fingerprint in seen:
            return (
                Alarm(
                    outlet=now.outlet, kind="default_feed", value=None, expected="another feed",
                    message=f"{row.url} holds the same entries as {seen[row.fingerprint]}: one of"
                    " the addresses is probably wrong",
                ),
            )  # fmt: skip
        seen[row.fingerprint] = row.url
    return ()


# -- counts ------------------------------------------------------------------------------------


def _sunday(week: str) -> date:
    year, number = week.split("-W")
    return date.fromisocalendar(int(year), int(number), 7)


def _count_tail(count: int, mean: float, shape: float, *, above: bool = False) -> float:
    """Return the probability of ``count`` or fewer (more, with ``above``) of a gamma-Poisson."""
    from scipy.stats import nbinom

    law = nbinom(shape, shape / (shape + mean))
    return float(law.sf(count - 1) if above else law.cdf(count))


def _shape(counts: Sequence[int], mean: float) -> float:
    """Return how regular past counts were: the shape of the gamma, from 3 (wild) to 12."""
    spread = 1.4826 * median(abs(c - mean) for c in counts)
    over = spread * spread - mean
    return 12.0 if over <= 0 else min(12.0, max(3.0, mean * mean / over))


def _counts(
    now: OutletWeek, past: Sequence[OutletWeek], expect: Expectation, at: datetime
) -> Iterator[Alarm]:
    holiday = near_new_year(at.date())
    counts = [w.fresh for w in past[1:] if not near_new_year(_sunday(w.week))]
    if len(counts) < ENOUGH:
        wanted = expect.items_per_week
        # A feed of 50 entries, all new, shows no more than 50: that is no silence.
        full = any(row.items > 0 and row.new >= row.items for row in now.lists)
        if wanted and not holiday and not full and _count_tail(now.fresh, wanted, 6.0) < UNLIKE:
            yield Alarm(
                outlet=now.outlet, kind="sudden_silence", value=now.fresh,
                expected=f"at least {wanted} a week, says the outlet file",
                message=f"{now.fresh} new addresses: look whether its lists still answer",
            )  # fmt: skip
        return
    mean = float(median(counts))
    shape = _shape(counts, mean)
    typical = f"about {mean:g} a week"
    silent = now.fresh < 0.3 * mean and _count_tail(now.fresh, mean, shape) < RARE_COUNT
    if silent and (not holiday or (now.fresh == 0 and mean >= 50)):
        yield Alarm(
            outlet=now.outlet, kind="sudden_silence", value=now.fresh, expected=typical,
            message=f"{now.fresh} new addresses, {typical} before: look whether its lists still"
            " name everything",
        )  # fmt: skip
    flooded = now.fresh > 4 * mean + 20
    if flooded and _count_tail(now.fresh, mean, shape, above=True) < RARE_COUNT:
        yield Alarm(
            outlet=now.outlet, kind="sudden_flood", value=now.fresh, expected=typical,
            message=f"{now.fresh} new addresses, {typical} before: look whether addresses changed"
            " or article_pattern lets too much through",
        )  # fmt: skip
    always = [w.cooperative for w in past[1:]]
    if now.cooperative == 0 and min(always) > 0 and now.extracted:
        rate = sum(always) / max(1, sum(w.extracted for w in past[1:]))
        if _share_tail(0, now.extracted, rate, above=False) < RARE_COUNT:
            yield Alarm(
                outlet=now.outlet, kind="cooperative_share", value=0.0,
                expected=f"about {rate:.1%} of its articles",
                message=f"none of {now.extracted} articles is about cooperatives: look whether"
                " sections or the topic filter changed",
            )  # fmt: skip


# -- shares ------------------------------------------------------------------------------------


def _share_tail(count: int, total: int, rate: float, *, above: bool) -> float:
    """Return the beta-binomial probability of ``count`` or more (fewer, without ``above``)."""
    from scipy.stats import betabinom

    rate = min(max(rate, 1e-4), 1 - 1e-4)
    law = betabinom(total, rate * CONCENTRATION, (1 - rate) * CONCENTRATION)
    return float(law.sf(count - 1) if above else law.cdf(count))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    kind: str
    count: int
    total: int
    above: bool
    words: str
    advice: str
    absolute: float | None = None  # a share that is wrong without any history


def _sum(counts: Mapping[str, int], names: Sequence[str]) -> int:
    return sum(counts.get(name, 0) for name in names)


def _of(week: OutletWeek) -> tuple[_Share, ...]:
    empty = _sum(week.quarantined, EMPTY)
    look = "look at one of its pages with `kiemchung outlets check`"
    return (
        _Share(
            kind="empty_bodies", count=week.title_only + empty, total=week.extracted + empty,
            above=True, words="pages without a body", advice=look, absolute=0.6,
        ),
        _Share(
            kind="truncated", count=_sum(week.quarantined, CUT), total=week.fetched, above=True,
            words="pages cut off or in an unknown charset", advice=look, absolute=0.5,
        ),
        _Share(
            kind="redesign", count=week.with_lead, total=week.extracted, above=False,
            words="pages with a lead", advice=f"the template has probably changed; {look}",
        ),
        _Share(
            kind="dates_missing", count=week.without_date, total=week.extracted, above=True,
            words="pages without a date", advice=look,
        ),
        _Share(
            kind="repeated_text", count=week.repeated, total=week.extracted, above=True,
            words="pages with another page's body",
            advice=f"the body selector has probably caught a box; {look}", absolute=0.6,
        ),
        _Share(
            kind="refused", count=_sum(week.refused, FORBIDDEN), total=week.fresh, above=True,
            words="pages that may not be read", advice="ask the outlet; nothing gets round it",
        ),
        _Share(
            kind="unreachable", count=sum(week.failed.values()), total=week.fresh, above=True,
            words="pages that failed", advice="open the site in a browser",
        ),
    )  # fmt: skip


def _shares(now: OutletWeek, past: Sequence[OutletWeek], expect: Expectation) -> Iterator[Alarm]:
    tables = [_of(week) for week in past]
    for place, share in enumerate(_of(now)):
        if share.total == 0:
            continue
        value = share.count / share.total
        wrong = share.absolute is not None and share.total >= 10 and value > share.absolute
        expected = f"at most {share.absolute:.0%}" if share.absolute is not None else ""
        if len(past) >= ENOUGH:
            count = sum(t[place].count for t in tables)
            total = sum(t[place].total for t in tables)
            rate = (count + 0.5) / (total + 1)
            far = value - rate > 0.25 if share.above else rate - value > 0.25
            tail = _share_tail(share.count, share.total, rate, above=share.above) if far else 1.0
            wrong = (wrong and far) or tail < RARE
            expected = f"about {rate:.0%}"
        elif share.kind == "redesign" and expect.lead_rate is not None and share.total >= 10:
            tail = _share_tail(share.count, share.total, expect.lead_rate, above=False)
            wrong = value < expect.lead_rate and tail < UNLIKE
            expected = f"at least {expect.lead_rate:.0%}, says the outlet file"
        if wrong:
            yield Alarm(
                outlet=now.outlet, kind=share.kind, value=round(value, 4), expected=expected,
                message=f"{share.count} of {share.total} {share.words}, {expected} before:"
                f" {share.advice}",
            )  # fmt: skip


# -- bodies ------------------------------------------------------------------------------------


def _bodies(now: OutletWeek, past: Sequence[OutletWeek], expect: Expectation) -> Iterator[Alarm]:
    look = "the template has probably changed; look at one of its pages"
    lengths = [w.median_characters for w in past if w.median_characters]
    size = now.median_characters
    if size and len(lengths) >= ENOUGH and now.extracted:
        logs = [math.log(n) for n in lengths]
        middle = median(logs)
        spread = 1.4826 * median(abs(x - middle) for x in logs)
        # The median of n log-normal lengths itself has the noise 1.25 sigma / sqrt(n).
        noise = math.hypot(spread, 1.25 * 0.85 / math.sqrt(now.extracted))
        if abs(math.log(size) - middle) > max(math.log(2), 4.5 * noise):
            usual = round(math.exp(middle))
            yield Alarm(
                outlet=now.outlet, kind="redesign", value=size,
                expected=f"about {usual} characters",
                message=f"a body has {size} characters, {usual} before: {look}",
            )  # fmt: skip
    elif size and expect.median_characters and now.extracted >= 10:
        ratio = size / expect.median_characters
        if not 0.5 <= ratio <= 2:
            yield Alarm(
                outlet=now.outlet, kind="redesign", value=size,
                expected=f"about {expect.median_characters} characters, says the outlet file",
                message=f"a body has {size} characters: {look}",
            )  # fmt: skip
    drifts = [w.drift for w in past if w.drift is not None]
    if len(drifts) < ENOUGH or now.extracted < 10:
        return
    usual_drift = median(drifts)
    if now.drift is not None and now.drift > usual_drift + 0.3:
        yield Alarm(
            outlet=now.outlet, kind="redesign", value=now.drift, expected=f"about {usual_drift}",
            message=f"selector and generic body disagree by {now.drift:.0%}: {look}",
        )  # fmt: skip
    elif now.drift is None and all(w.drift is not None for w in past[-2:]):
        yield Alarm(
            outlet=now.outlet, kind="redesign", value=None, expected="a selector that matches",
            message=f"the body selector matched no page: {look}",
        )  # fmt: skip


# -- files -------------------------------------------------------------------------------------


def write_week(folder: Path, week: OutletWeek) -> None:
    """Write ``folder/<week>/<outlet>.json``; the same week again replaces it."""
    text = json.dumps(asdict(week), ensure_ascii=False, indent=1, sort_keys=True)
    write_bytes_atomically(folder / week.week / f"{week.outlet}.json", text.encode("utf-8"))


def read_week(path: Path) -> OutletWeek:
    """Return the week of one file.

    Raises:
        BadHistoryError: it is no such file.
    """
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        lists = tuple(ListWeek(**row) for row in values.pop("lists"))
        week = OutletWeek(lists=lists, **values)
        if (week.week, week.outlet) != (path.parent.name, path.stem):
            raise ValueError(f"it is of {week.outlet} in {week.week}")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadHistoryError(
            f"no week of an outlet: {error}",
            where=str(path),
            remedy="delete it; that week then does not count as history",
        ) from error
    return replace(week)


def read_history(
    folder: Path, *, before: str
) -> tuple[dict[str, list[OutletWeek]], tuple[BadHistoryError, ...]]:
    """Return the weeks before ``before``, by outlet and oldest first, and unreadable files."""
    found: dict[str, list[OutletWeek]] = {}
    bad: list[BadHistoryError] = []
    for path in sorted(folder.glob("*/*.json")):
        if path.parent.name >= before:
            continue
        try:
            week = read_week(path)
        except BadHistoryError as error:
            bad.append(error)
            continue
        found.setdefault(week.outlet, []).append(week)
    return found, tuple(bad)


def instant_of(week: str) -> datetime:
    """Return the last instant of a week at UTC, at which a past week is looked at."""
    return datetime.combine(_sunday(week), datetime.max.time(), UTC)
