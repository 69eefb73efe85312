"""A year of crawl counts of 24 invented outlets, healthy or broken on purpose.

Stricter than Poisson: the counts are gamma-Poisson around a level that wanders, with days of the
week, the lunar new year, shorter holidays unknown to the checks, slumps and rushes, feeds that
hold only their last 20 to 50 entries, sitemaps without dates, months that change a sitemap's
address, single pages that fail, bursts of timeouts and, now and then, one list that fails for a
week while the others answer. The shares are beta-binomial around a rate of the outlet's own; body
lengths and disagreements are drawn page by page, so that their medians carry the noise of small
numbers. Nothing here is taken from the checks: the days of the new year are listed, not computed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np

from crawler.health import ListWeek, OutletWeek
from crawler.outlets import Expectation

LEVELS = (2, 3, 4, 6, 8, 10, 14, 20, 25, 30, 40, 50, 60, 80, 100, 120, 150, 200, 250, 300, 400,
          500, 600, 700)  # fmt: skip
NEW_YEAR = (date(2025, 1, 29), date(2026, 2, 17), date(2027, 2, 6))
SHORT_HOLIDAYS = ((4, 30), (5, 1), (9, 1), (9, 2), (1, 1))
START = date(2025, 3, 3)  # a Monday; a seed starts up to 40 weeks later
DAYS = np.array([1.05, 1.1, 1.1, 1.1, 1.05, 0.75, 0.55])


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One list of an outlet: which share of its articles it names, and how it shows them."""

    url: str
    kind: str
    share: float
    window: int  # entries it holds
    dated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What is constant about an outlet."""

    name: str
    level: float
    spread: float  # of the gamma of a week: its shape
    wander: float
    weekend: float
    holiday: float  # what is left of a day around the new year
    lists: tuple[Series, ...]
    expect: Expectation
    length: float
    length_spread: float
    rates: dict[str, float]
    bad_drift: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One week of an outlet as the crawl saw it, and when it looked."""

    week: OutletWeek
    at: datetime


def _profile(number: int, level: float, r: np.random.Generator) -> Profile:
    name = f"outlet-{number:02d}"
    lists = []
    shape = int(r.integers(0, 5)) if number > 1 else 0
    root = f"http://{name}.example"
    if shape != 3:
        window = int(r.integers(20, 51))
        lists.append(
            Series(url=f"{root}/home.rss", kind="feed", share=1.0, window=window, dated=True)
        )
    if shape in (0, 1, 2):
        for i in range(int(r.integers(1, 4))):
            share = float(r.uniform(0.05, 0.4))
            window = int(r.integers(20, 51))
            lists.append(
                Series(
                    url=f"{root}/s{i}-{'abcd'[i]}.rss",
                    kind="feed",
                    share=share,
                    window=window,
                    dated=bool(r.random() < 0.85),
                )
            )
    if shape in (1, 3):
        lists.append(
            Series(
                url=f"{root}/sitemaps/news-{{month}}.xml",
                kind="sitemap",
                share=1.0,
                window=50_000,
                dated=True,
            )
        )
    if shape in (2, 3):
        lists.append(
            Series(url=f"{root}/sitemap.xml", kind="sitemap", share=1.0, window=50_000, dated=False)
        )
    if shape == 4 and r.random() < 0.6:
        lists.append(
            Series(
                url=f"{root}/tin/",
                kind="listing",
                share=float(r.uniform(0.3, 1)),
                window=30,
                dated=False,
            )
        )
    small = level < 30
    expect = Expectation()
    if level >= 10 and r.random() < 0.5:
        expect = Expectation(items_per_week=int(level * 0.4), lead_rate=0.7)
    lead = float(r.choice([0.98, 0.9, 0.75], p=[0.6, 0.3, 0.1]))
    rates = {
        "title_only": float(r.choice([0.0, 0.02, 0.06, 0.12])),
        "lead": lead,
        "no_date": float(r.choice([0.0, 0.01, 0.04, 0.97], p=[0.5, 0.3, 0.15, 0.05])),
        "repeated": float(r.choice([0.0, 0.01, 0.03])),
        "robots": float(r.choice([0.0, 0.02, 0.05])),
        "http_402": float(r.choice([0.0, 0.0, 0.03])),
        "http_404": float(r.uniform(0.002, 0.02)),
        "timeout": float(r.uniform(0.0, 0.005)),
        "no_text": float(r.uniform(0.0, 0.04)),
        "not_article": float(r.choice([0.0, 0.0, 0.05, 0.2])),
        "truncated": 0.002,
        "unknown_charset": 0.001,
        "cooperative": 0.7 if number % 8 == 5 else float(r.uniform(0.002, 0.04)),
        "unchanged": float(r.uniform(0.0, 0.2)),
    }  # fmt: skip
    return Profile(
        name=name,
        level=level,
        spread=float(r.uniform(4, 15) if small else r.uniform(12, 60)),
        wander=float(r.uniform(0.02, 0.07)),
        weekend=float(r.uniform(0.2, 1.0)),
        holiday=float(r.uniform(0.02, 0.2) if small else r.uniform(0.1, 0.5)),
        lists=tuple(lists),
        expect=replace(expect, lead_rate=min(0.7, lead - 0.05)) if expect.lead_rate else expect,
        length=float(np.exp(r.uniform(np.log(900), np.log(4500)))),
        length_spread=float(r.uniform(0.45, 0.85)),
        rates=rates,
        bad_drift=float(r.uniform(0.02, 0.08)) if r.random() < 0.8 else None,
    )


def profiles(seed: int) -> tuple[Profile, ...]:
    """Return the 24 outlets of a seed, from 2 to 700 articles a week."""
    r = np.random.default_rng([seed, 1])
    return tuple(_profile(i, level, r) for i, level in enumerate(LEVELS))


def _share(r: np.random.Generator, n: int, rate: float, sharpness: float = 50.0) -> int:
    """Return a beta-binomial count: the rate itself jitters from week to week."""
    if n <= 0 or rate <= 0:
        return 0
    return int(r.binomial(n, r.beta(rate * sharpness, (1 - rate) * sharpness)))


def _days(profile: Profile, monday: date) -> np.ndarray:
    weights = DAYS.copy()
    weights[5:] *= profile.weekend
    for i in range(7):
        day = monday + timedelta(days=i)
        if any(-4 <= (day - new).days <= 6 for new in NEW_YEAR):
            weights[i] *= profile.holiday
        elif any(6 < (day - new).days <= 9 for new in NEW_YEAR):
            weights[i] *= 0.6
        elif (day.month, day.day) in SHORT_HOLIDAYS:
            weights[i] *= 0.5
    return weights / DAYS.sum()


def year(profile: Profile, seed: int, weeks: int = 52) -> list[Visit]:
    """Return consecutive healthy weeks of an outlet, from its first crawl on."""
    r = np.random.default_rng([seed, 2, int(profile.name[-2:])])
    monday = START + timedelta(weeks=(seed * 7) % 41)
    walk, length = 0.0, profile.length
    newest: dict[str, datetime] = {}
    shown: dict[str, list[int]] = {s.url: [] for s in profile.lists}
    serial, made = 0, []
    for i in range(weeks):
        walk = 0.97 * walk + r.normal(0, profile.wander)
        length *= float(np.exp(r.normal(0, 0.02)))
        event = r.choice([1.0, 0.5, 1.8], p=[0.96, 0.02, 0.02])
        days = _days(profile, monday)
        mean = profile.level * np.exp(walk) * event * r.gamma(profile.spread, 1 / profile.spread)
        counts = r.poisson(mean * days)
        midnight = datetime(monday.year, monday.month, monday.day, tzinfo=UTC)
        at = midnight + timedelta(days=6, hours=float(r.uniform(13, 23)))
        hours = np.concatenate(
            [24 * d + np.clip(r.normal(6, 4, int(c)), -6, 15) for d, c in enumerate(counts)]
        )
        hours = np.sort(hours[hours < 6 * 24 + 13])
        ids = np.arange(serial, serial + len(hours))
        serial += len(hours)
        found: set[int] = set()
        rows = []
        # The crawl sees every list answer, but for one in 300, and never all of them fail.
        falls = [bool(r.random() < 1 / 300) for _ in profile.lists]
        if all(falls):
            falls[0] = False
        for series, fails in zip(profile.lists, falls, strict=True):
            inside = r.random(len(ids)) < series.share
            mine = [int(x) for x in ids[inside]]
            if len(mine):
                newest[series.url] = midnight + timedelta(hours=float(hours[inside][-1]))
            backlog = i == 0
            before = shown[series.url]
            if backlog:
                old = 300 if series.window > 1000 else series.window
                # Sections share no old articles.
                first = -1 - 1000 * profile.lists.index(series)
                before = [first - x for x in range(old)]
                newest.setdefault(series.url, at - timedelta(days=float(r.uniform(0.1, 12))))
            now = (before + mine)[-series.window :]
            shown[series.url] = now
            new = len(now) if backlog else len(set(now) - set(before))
            found |= {x for x in now if x in set(mine) or backlog}
            url = series.url.replace("{month}", f"{monday.year}-{monday.month}")
            if fails:
                reason = str(r.choice(["timeout", "http_503", "dns", "http_500"]))
                rows.append(_row(url, series.kind, "failed", reason))
                continue
            if new == 0 and r.random() < 0.5:
                rows.append(_row(url, series.kind, "unchanged", ""))
                continue
            stamp = newest[series.url].isoformat() if series.dated else ""
            rows.append(
                ListWeek(
                    url=url,
                    kind=series.kind,
                    state="fetched",
                    reason="",
                    items=len(now),
                    newest=stamp,
                    dated=len(now) if series.dated else 0,
                    fingerprint=_hash(f"{profile.name} {now}"),
                    new=new,
                )
            )
        week = monday.isocalendar()
        made.append(
            Visit(
                week=_pages(profile, f"{week.year}-W{week.week:02d}", rows, len(found), length, r),
                at=at,
            )
        )
        monday += timedelta(weeks=1)
    return made


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _row(url: str, kind: str, state: str, reason: str) -> ListWeek:
    return ListWeek(
        url=url, kind=kind, state=state, reason=reason, items=-1, newest="", dated=0,
        fingerprint="", new=0,
    )  # fmt: skip


def _pages(
    profile: Profile, week: str, rows: list[ListWeek], fresh: int, length: float,
    r: np.random.Generator,
) -> OutletWeek:  # fmt: skip
    rates = profile.rates
    unchanged = _share(r, fresh, rates["unchanged"])
    discovered = fresh + unchanged
    left = fresh
    refused, failed, quarantined = {}, {}, {}
    burst = float(r.uniform(0.05, 0.12)) if r.random() < 0.02 else 0.0
    for reason in ("robots", "http_402"):
        refused[reason] = _share(r, left, rates[reason])
        left -= refused[reason]
    for reason in ("http_404", "timeout"):
        failed[reason] = _share(r, left, rates[reason] + burst * (reason == "timeout"))
        left -= failed[reason]
    fetched = left
    for reason in ("no_text", "not_article", "truncated", "unknown_charset"):
        quarantined[reason] = _share(r, left, rates[reason])
        left -= quarantined[reason]
    n = left
    title_only = _share(r, n, rates["title_only"])
    topic = float(r.normal(0, 0.08))
    sizes = length * np.exp(r.normal(topic, profile.length_spread, n))
    sizes[:title_only] = 0
    drift = None
    if profile.bad_drift is not None and n:
        pages = r.beta(1.2, 20, n)
        bad = r.random(n) < profile.bad_drift
        pages[bad] = r.uniform(0.3, 1.0, int(bad.sum()))
        drift = round(float(np.median(pages)), 4)
    stamps = [row.newest for row in rows if row.newest]
    return OutletWeek(
        outlet=profile.name, week=week, lists=tuple(rows), discovered=discovered, fetched=fetched,
        unchanged=unchanged, refused={k: v for k, v in refused.items() if v},
        failed={k: v for k, v in failed.items() if v}, extracted=n,
        quarantined={k: v for k, v in quarantined.items() if v}, title_only=title_only,
        with_lead=_share(r, n, rates["lead"]), without_date=_share(r, n, rates["no_date"]),
        median_characters=int(np.median(sizes)) if n else None,
        cooperative=_share(r, n, rates["cooperative"], 40.0), drift=drift,
        repeated=_share(r, n, rates["repeated"]), newest_item=max(stamps, default=""), moved_to="",
    )  # fmt: skip


# --- what breaks ------------------------------------------------------------------------------

Break = Callable[[OutletWeek, OutletWeek], OutletWeek]  # (healthy week, week before) -> broken


def _with_list(week: OutletWeek, at: int, row: ListWeek) -> OutletWeek:
    rows = list(week.lists)
    rows[at] = row
    return replace(week, lists=tuple(rows))


def _main(week: OutletWeek) -> int:
    return max(range(len(week.lists)), key=lambda i: (week.lists[i].kind == "feed", -i))


def _dead(week: OutletWeek, before: OutletWeek) -> OutletWeek:
    i = _main(week)
    return _with_list(week, i, _row(week.lists[i].url, week.lists[i].kind, "failed", "http_404"))


def _html(week: OutletWeek, before: OutletWeek) -> OutletWeek:
    i = _main(week)
    return _with_list(week, i, _row(week.lists[i].url, week.lists[i].kind, "failed", "not_a_feed"))


def _empty(week: OutletWeek, before: OutletWeek) -> OutletWeek:
    i = _main(week)
    row = _row(week.lists[i].url, week.lists[i].kind, "fetched", "")
    return _with_list(week, i, replace(row, items=0, fingerprint=_hash("")))


def _frozen(week: OutletWeek, before: OutletWeek) -> OutletWeek:
    i = _main(week)
    row = next((x for x in before.lists if x.url == week.lists[i].url), week.lists[i])
    return _with_list(week, i, replace(row, new=0))


def _default(week: OutletWeek, before: OutletWeek) -> OutletWeek:
    feeds = [i for i, row in enumerate(week.lists) if row.kind == "feed"]
    same = _hash("the front page")
    for i in feeds[:2]:
        row = replace(week.lists[i], state="fetched", reason="", fingerprint=same)
        week = _with_list(week, i, replace(row, items=max(row.items, 20)))
    return week


def _generic(week: OutletWeek, before: OutletWeek) -> OutletWeek:
    if week.drift is None:
        return week
    return replace(week, drift=0.62)


def _selectors_gone(week: OutletWeek, before: OutletWeek) -> OutletWeek:
    return replace(week, drift=None)


def _boilerplate(week: OutletWeek, before: OutletWeek) -> OutletWeek:
    n = week.extracted
    return replace(week, repeated=n - n // 20, median_characters=611)


def _title_only(week: OutletWeek, before: OutletWeek) -> OutletWeek:
    n = week.extracted
    return replace(week, title_only=n - n // 10, median_characters=0 if n else None)


def _no_text(week: OutletWeek, before: OutletWeek) -> OutletWeek:
    n = week.extracted + week.quarantined.get("no_text", 0)
    kept = week.extracted // 20
    return _scaled(week, kept, {**week.quarantined, "no_text": n - kept})


def _scaled(week: OutletWeek, kept: int, quarantined: dict[str, int]) -> OutletWeek:
    part = kept / week.extracted if week.extracted else 0.0
    return replace(
        week, extracted=kept, quarantined=quarantined, title_only=int(week.title_only * part),
        with_lead=int(week.with_lead * part), without_date=int(week.without_date * part),
        cooperative=int(week.cooperative * part), repeated=int(week.repeated * part),
        median_characters=week.median_characters if kept else None,
        drift=week.drift if kept else None,
    )  # fmt: skip


def _mojibake(week: OutletWeek, before: OutletWeek) -> OutletWeek:
    kept = week.extracted // 5
    lost = week.extracted - kept
    return _scaled(week, kept, {**week.quarantined, "unknown_charset": lost})


def _truncated(week: OutletWeek, before: OutletWeek) -> OutletWeek:
    kept = week.extracted * 2 // 5
    lost = week.extracted - kept
    return _scaled(week, kept, {**week.quarantined, "truncated": lost})


def _silent(week: OutletWeek, before: OutletWeek) -> OutletWeek:
    left = {row.url: row for row in before.lists}
    rows = [replace(left.get(row.url, row), new=row.new // 40) for row in week.lists]
    kept = week.extracted // 40
    week = replace(week, lists=tuple(rows), discovered=week.discovered // 40, fetched=kept)
    return _scaled(replace(week, refused={}, failed={}), kept, {})


def _moved(week: OutletWeek, before: OutletWeek) -> OutletWeek:
    return replace(week, moved_to="new-host.example")


def _flood(week: OutletWeek, before: OutletWeek) -> OutletWeek:
    rows = [replace(row, new=row.new * 8 + 40) for row in week.lists]
    return replace(week, lists=tuple(rows), discovered=week.discovered * 8 + 40)


def _no_lead(week: OutletWeek, before: OutletWeek) -> OutletWeek:
    return replace(week, with_lead=week.extracted // 30)


def _no_dates(week: OutletWeek, before: OutletWeek) -> OutletWeek:
    return replace(week, without_date=week.extracted - week.extracted // 30)


def _halved(week: OutletWeek, before: OutletWeek) -> OutletWeek:
    size = week.median_characters
    return replace(week, median_characters=None if size is None else int(size * 0.3))


def _forbidden(week: OutletWeek, before: OutletWeek) -> OutletWeek:
    n = week.discovered - week.unchanged
    week = replace(week, refused={"http_403": n}, failed={}, fetched=0)
    return _scaled(week, 0, {})


def _down(week: OutletWeek, before: OutletWeek) -> OutletWeek:
    rows = tuple(_row(row.url, row.kind, "failed", "timeout") for row in week.lists)
    week = replace(week, lists=rows, discovered=0, fetched=0, unchanged=0, refused={}, failed={})
    return _scaled(week, 0, {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A way to break an outlet without a word, and the alarm kinds that name it rightly."""

    name: str
    kinds: frozenset[str]
    make: Break
    counted: bool  # by statistics: needs enough articles a week
    applies: Callable[[Profile], bool] = lambda profile: True


def _kinds(*names: str) -> frozenset[str]:
    return frozenset(names)


FAILURES = (
    Failure(name="dead feed", kinds=_kinds("dead_feed"), make=_dead, counted=False),
    Failure(name="HTML instead of a feed", kinds=_kinds("dead_feed"), make=_html, counted=False),
    Failure(name="empty feed", kinds=_kinds("empty_feed"), make=_empty, counted=False),
    Failure(
        name="default feed for any path", kinds=_kinds("default_feed"), make=_default,
        counted=False, applies=lambda p: sum(s.kind == "feed" for s in p.lists) > 1,
    ),
    Failure(name="host moved", kinds=_kinds("moved_host"), make=_moved, counted=False),
    Failure(name="whole outlet down", kinds=_kinds("unreachable"), make=_down, counted=False),
    Failure(name="frozen feed", kinds=_kinds("frozen_feed"), make=_frozen, counted=True),
    Failure(
        name="redesign, generic body", kinds=_kinds("redesign"), make=_generic, counted=True,
        applies=lambda p: p.bad_drift is not None,
    ),
    Failure(
        name="redesign, no selector matches", kinds=_kinds("redesign"), make=_selectors_gone,
        counted=True, applies=lambda p: p.bad_drift is not None,
    ),
    Failure(
        name="redesign, boilerplate body", kinds=_kinds("repeated_text"), make=_boilerplate,
        counted=True,
    ),
    Failure(name="title-only pages", kinds=_kinds("empty_bodies"), make=_title_only, counted=True),
    Failure(name="pages without text", kinds=_kinds("empty_bodies"), make=_no_text, counted=True),
    Failure(name="wrong charset", kinds=_kinds("truncated"), make=_mojibake, counted=True),
    Failure(name="truncated pages", kinds=_kinds("truncated"), make=_truncated, counted=True),
    Failure(
        name="sudden silence", kinds=_kinds("sudden_silence", "frozen_feed"), make=_silent,
        counted=True,
    ),
    Failure(name="sudden flood", kinds=_kinds("sudden_flood"), make=_flood, counted=True),
    Failure(name="lead vanished", kinds=_kinds("redesign"), make=_no_lead, counted=True),
    Failure(
        name="dates vanished", kinds=_kinds("dates_missing"), make=_no_dates, counted=True,
        applies=lambda p: p.rates["no_date"] < 0.5,
    ),
    Failure(name="bodies shrink to 30 %", kinds=_kinds("redesign"), make=_halved, counted=True),
    Failure(name="every page forbidden", kinds=_kinds("refused"), make=_forbidden, counted=True),
)  # fmt: skip


def holiday_near(visit: Visit) -> bool:
    """Return whether the week stands within 17 days of a lunar new year."""
    return any(abs((visit.at.date() - new).days) <= 17 for new in NEW_YEAR)


def break_from(visits: Sequence[Visit], at: int, failure: Failure, weeks: int) -> list[Visit]:
    """Return ``visits`` with the weeks ``at`` to ``at + weeks - 1`` broken."""
    broken = list(visits[: at + weeks])
    for i in range(at, min(at + weeks, len(visits))):
        broken[i] = replace(visits[i], week=failure.make(visits[i].week, broken[i - 1].week))
    return broken
