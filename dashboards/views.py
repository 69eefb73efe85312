"""The monitor's views: pictures with their tables beside them, each a CSV as well.

A page is a list of figures; the page and the download are made of the same ones. No outlet and no
person is ranked or scored: outlets have their stories and claims counted, in the order of names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import HTTPException, Query
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup

from dashboards import charts, words
from dashboards.charts import Dot, Series, Table
from dashboards.language import say
from dashboards.report import alarm_text, as_html, collect
from dashboards.shell import Asking, Link, Shell, Visitor, reaches
from kiemchung.domain import Distortion, NeiReason
from kiemchung.store.monitor import Monitor
from kiemchung.store.monitor_rows import Spread
from kiemchung.tabular import BOM, csv_text

WEEKS: Final = 26
WeekQuery = Annotated[str, Query(max_length=8)]
PAGES: Final = ("volume", "content", "coverage", "crawl", "work")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A table, its picture where there is one, and where its rows lead."""

    table: Table
    chart: Markup | None = None
    percent: tuple[int, ...] = ()  # columns that are shares
    paths: tuple[str, ...] = ()  # one for each row, empty for none
    lines: tuple[str, ...] = ()  # instead of a table: sentences


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    shell: Shell
    monitor: Monitor
    who: Visitor
    week: str


def _table(key: str, columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> Table:
    return Table(
        key=key,
        title=say(f"views.heading.{key}"),
        note=say(f"views.hint.{key}"),
        header=tuple(say(f"views.col.{c}") for c in columns),
        rows=tuple(tuple(_cell(v) for v in row) for row in rows),
    )


def _cell(value: object) -> str | int | float | None:
    return value if value is None or isinstance(value, int | float) else str(value)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _volume(asked: _Asked) -> list[Figure]:
    found = asked.monitor.volume(asked.week, weeks=WEEKS)
    weeks = [v.week for v in found]
    stories = _table(
        "volume",
        ("week", "articles", "stories", "claim_stories", "flagged_stories", "contrary_stories"),
        [
            (v.week, v.articles, v.stories, v.claim_stories, v.flagged_stories, v.contrary_stories)
            for v in found
        ],
    )
    shares = [
        (v.week, _share(v.flagged_stories, v.stories), _share(v.contrary_stories, v.stories))
        for v in found
    ]
    share = _table("share", ("week", "flagged_share", "contrary_share"), shares)
    claims = asked.monitor.recurrence(asked.week, weeks=WEEKS)
    recurrence = _table(
        "recurrence",
        ("week", "new", "recurring", "returned", "flagged_new", "flagged_recurring"),
        [
            (r.week, r.new, r.recurring, r.returned, r.flagged_new, r.flagged_recurring)
            for r in claims
        ],
    )
    back = asked.monitor.returning(asked.week)
    returning = _table(
        "returning",
        ("claim", "state", "first_week", "weeks", "stories", "decision"),
        [
            (
                r.text,
                say("views.returning.returned") if r.returned else say("views.returning.recurring"),
                r.first_week,
                r.weeks,
                r.stories,
                None if r.decision is None else words.DECISIONS[r.decision],
            )
            for r in back
        ],
    )
    return [
        Figure(
            table=share,
            percent=(1, 2),
            chart=charts.columns(
                "share",
                share.title,
                weeks,
                [
                    Series(name=share.header[1], values=tuple(s[1] for s in shares)),
                    Series(name=share.header[2], values=tuple(s[2] for s in shares)),
                ],
                percent=True,
                stacked=False,
            ),
        ),
        Figure(
            table=stories,
            chart=charts.columns(
                "volume",
                stories.title,
                weeks,
                [
                    Series(name=stories.header[2], values=tuple(v.stories for v in found)),
                    Series(name=stories.header[3], values=tuple(v.claim_stories for v in found)),
                ],
                stacked=False,
            ),
        ),
        Figure(
            table=recurrence,
            chart=charts.columns(
                "recurrence",
                recurrence.title,
                [r.week for r in claims],
                [
                    Series(name=recurrence.header[1], values=tuple(r.new for r in claims)),
                    Series(
                        name=say("views.recurrence.before"),
                        values=tuple(max(r.recurring - r.returned, 0) for r in claims),
                    ),
                    Series(name=recurrence.header[3], values=tuple(r.returned for r in claims)),
                ],
            ),
        ),
        Figure(table=returning, paths=tuple(f"/views/claim/{r.mention_key}" for r in back)),
    ]


def _content(asked: _Asked) -> list[Figure]:
    found = asked.monitor.kinds(asked.week)
    kinds = _table(
        "kinds",
        ("kind", "flagged", "concluded"),
        [(words.DISTORTIONS[Distortion(k.kind)], k.flagged, k.concluded) for k in found],
    )
    about = asked.monitor.topics(asked.week)
    topics = _table(
        "topics",
        ("topic", "citation", "claims", "flagged_claims", "contrary"),
        [(t.text, t.citation, t.claims, t.flagged, t.contrary) for t in about],
    )
    read = sorted(asked.monitor.outlets(asked.week), key=lambda o: asked.shell.outlet(o.outlet))
    outlets = _table(
        "outlets",
        ("outlet", "articles", "stories", "claims"),
        [(asked.shell.outlet(o.outlet), o.articles, o.stories, o.claims) for o in read],
    )
    return [
        Figure(
            table=kinds,
            chart=charts.bars(
                "kinds",
                kinds.title,
                [str(r[0]) for r in kinds.rows],
                [
                    Series(name=kinds.header[1], values=tuple(k.flagged for k in found)),
                    Series(name=kinds.header[2], values=tuple(k.concluded for k in found)),
                ],
            ),
        ),
        Figure(
            table=topics,
            chart=charts.bars(
                "topics",
                topics.title,
                [t.text for t in about],
                [
                    Series(name=topics.header[2], values=tuple(t.claims for t in about)),
                    Series(name=topics.header[3], values=tuple(t.flagged for t in about)),
                ],
            ),
        ),
        Figure(
            table=outlets,
            chart=charts.bars(
                "outlets",
                outlets.title,
                [str(r[0]) for r in outlets.rows],
                [Series(name=outlets.header[2], values=tuple(o.stories for o in read))],
            ),
        ),
    ]


def _coverage(asked: _Asked) -> list[Figure]:
    weeks = asked.monitor.coverage(asked.week, weeks=WEEKS)
    now = next((c for c in weeks if c.week == asked.week), None)
    rows: list[tuple[str, int]] = []
    if now is not None:
        rows = [
            (say("views.col.judged"), now.judged),
            *((words.REASONS[reason], now.reasons.get(reason, 0)) for reason in NeiReason),
            (say("views.col.abstained"), now.abstained),
            (say("views.col.failed"), now.failed),
        ]
        if None in now.reasons:
            rows.insert(-2, (say("views.coverage.no_reason"), now.reasons[None]))
    reasons = _table("coverage", ("reason", "count"), rows)
    covered = _table(
        "covered",
        ("week", "count", "judged", "judged_share"),
        [(c.week, c.total, c.judged, _share(c.judged, c.total)) for c in weeks],
    )
    open_ = asked.monitor.unjudged(asked.week)
    unjudged = _table(
        "unjudged",
        ("claim", "reason", "stories"),
        [
            (
                u.text,
                say("views.col.abstained") if u.reason is None else words.REASONS[u.reason],
                u.stories,
            )
            for u in open_
        ],
    )
    return [
        Figure(
            table=reasons,
            chart=charts.bars(
                "coverage",
                reasons.title,
                [name for name, _ in rows],
                [Series(name=reasons.header[1], values=tuple(n for _, n in rows))],
            ),
        ),
        Figure(
            table=covered,
            percent=(3,),
            chart=charts.columns(
                "covered",
                covered.title,
                [c.week for c in weeks],
                [
                    Series(
                        name=covered.header[3],
                        values=tuple(_share(c.judged, c.total) for c in weeks),
                    )
                ],
                percent=True,
            ),
        ),
        Figure(table=unjudged, paths=tuple(f"/views/claim/{u.mention_key}" for u in open_)),
    ]


def _crawl(asked: _Asked) -> list[Figure]:
    found = asked.monitor.crawl(asked.week, weeks=WEEKS)
    crawl = _table(
        "crawl",
        ("week", "discovered", "fetched", "refused", "unfetched", "quarantined", "alarms"),
        [
            (c.week, c.discovered, c.fetched, c.refused, c.failed, c.quarantined, c.alarms)
            for c in found
        ],
    )
    runs = asked.shell.store.runs(asked.week)
    rows = sorted(
        (h for run in runs for h in run.health), key=lambda h: asked.shell.outlet(h.outlet)
    )
    health = _table(
        "health",
        ("outlet", "lists", "discovered", "fetched", "unfetched", "quarantined", "articles",
         "without_date", "newest", "alarms"),
        [
            (
                asked.shell.outlet(h.outlet), f"{h.lists_read}/{h.lists}", h.discovered, h.fetched,
                h.failed, h.quarantined, h.articles, h.without_date, h.newest[:10], len(h.alarms),
            )
            for h in rows
        ],
    )  # fmt: skip
    alarms = tuple(alarm_text(a) for run in runs for a in run.alarms)
    return [
        Figure(
            table=Table(
                key="alarms",
                title=say("views.heading.alarms"),
                note="" if alarms else say("views.alarms.none"),
                header=(say("views.col.alarms"),),
                rows=tuple((a,) for a in alarms),
            ),
            lines=alarms,
        ),
        Figure(
            table=crawl,
            chart=charts.columns(
                "crawl",
                crawl.title,
                [c.week for c in found],
                [
                    Series(
                        name=crawl.header[2],
                        values=tuple(max(c.fetched - c.quarantined, 0) for c in found),
                    ),
                    Series(name=crawl.header[5], values=tuple(c.quarantined for c in found)),
                    Series(name=crawl.header[4], values=tuple(c.failed for c in found)),
                    Series(name=crawl.header[3], values=tuple(c.refused for c in found)),
                ],
            ),
        ),
        Figure(table=health),
    ]


def _work(asked: _Asked) -> list[Figure]:
    found = asked.monitor.load(weeks=WEEKS)
    waiting = len(asked.shell.store.queue(asked.who.account))
    load = Table(
        key="load",
        title=say("views.heading.load"),
        note=say("views.hint.load", waiting=waiting),
        header=tuple(say(f"views.col.{c}") for c in ("week", "conclusions", "reviewers", "hours")),
        rows=tuple((x.week, x.conclusions, x.reviewers, round(x.hours, 1)) for x in found),
    )
    models = asked.monitor.models()
    figures = _table(
        "models",
        ("model", "base", "first", "last", "judged", "flagged", "abstained", "failed",
         "flags_decided", "precision", "sample_decided", "sample_contrary"),
        [
            (
                m.model_id, m.base_version, m.first_week, m.last_week, m.judged, m.flagged,
                m.abstained, m.failed, m.flags_decided, _share(m.flags_agreed, m.flags_decided),
                m.sample_decided, m.sample_contrary,
            )
            for m in models
        ],
    )  # fmt: skip
    made = [
        Figure(
            table=load,
            chart=charts.columns(
                "load",
                load.title,
                [x.week for x in found],
                [Series(name=load.header[1], values=tuple(x.conclusions for x in found))],
            ),
        ),
        Figure(
            table=figures,
            percent=(9,),
            chart=charts.bars(
                "models",
                figures.title,
                [f"{m.model_id} · {m.base_version}" for m in models],
                [
                    Series(
                        name=say("views.col.precision"),
                        values=tuple(_share(m.flags_agreed, m.flags_decided) for m in models),
                    ),
                    Series(
                        name=say("views.col.abstained"),
                        values=tuple(_share(m.abstained, m.judged) for m in models),
                    ),
                ],
                percent=True,
            ),
        ),
    ]
    if reaches(asked.who.account, "adjudicator"):
        own = asked.monitor.own_load(found[-1].week) if found else []
        made.insert(
            1,
            Figure(
                table=_table(
                    "own",
                    ("name", "conclusions", "hours"),
                    [(o.name, o.conclusions, round(o.hours, 1)) for o in own],
                )
            ),
        )
    return made


_MAKERS: Final[dict[str, Callable[[_Asked], list[Figure]]]] = {
    "volume": _volume,
    "content": _content,
    "coverage": _coverage,
    "crawl": _crawl,
    "work": _work,
}


def spread_figure(shell: Shell, spread: Spread) -> Figure:
    """Return where a claim stands, over time and outlets."""
    outlets = sorted({shell.outlet(p.outlet) for p in spread.places})
    table = Table(
        key="spread",
        title=say("views.heading.spread"),
        note=say("views.hint.spread"),
        header=tuple(
            say(f"views.col.{c}") for c in ("day", "outlet", "article", "about", "week", "decision")
        ),
        rows=tuple(
            (
                words.local_day(p.published_at) if p.published_at else say("views.unknown_day"),
                shell.outlet(p.outlet),
                p.title or p.url,
                words.day(p.as_of),
                p.week,
                None if p.decision is None else words.DECISIONS[p.decision],
            )
            for p in spread.places
        ),
    )
    dots = [
        Dot(
            at=p.published_at,
            row=outlets.index(shell.outlet(p.outlet)),
            text=f"{words.local_day(p.published_at)}, {shell.outlet(p.outlet)}: {p.title}",
        )
        for p in spread.places
        if p.published_at is not None
    ]
    return Figure(
        table=table,
        chart=charts.dots("spread", table.title, outlets, dots) if dots else None,
        paths=tuple(f"/item/{p.mention_key}" for p in spread.places),
    )


def _download(table: Table) -> Response:
    return Response(
        BOM + csv_text(table.header, table.rows),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="kiemchung-{table.key}.csv"'},
    )


def add_routes(shell: Shell) -> None:
    """Add /views, the spread of a claim and the report of a week."""
    app, monitor = shell.app, Monitor(shell.store)
    shell.links.append(Link(path="/views", key="nav.views"))

    def asked(who: Visitor, page: str, week: str) -> _Asked:
        weeks = monitor.weeks()
        if page not in _MAKERS or (week and week not in weeks):
            raise HTTPException(404)
        return _Asked(
            shell=shell, monitor=monitor, who=who, week=week or (weeks[0] if weeks else "")
        )

    @app.get("/views")
    def views(_: Asking) -> Response:
        return RedirectResponse("/views/volume", 303)

    @app.get("/views/claim/{mention_key}")
    def claim(mention_key: int, who: Asking) -> Response:
        spread = monitor.spread(mention_key) if 0 < mention_key < 2**62 else None
        if spread is None:
            raise HTTPException(404)
        undated = sum(p.published_at is None for p in spread.places)
        return shell.page_for(
            who,
            "spread.html",
            spread=spread,
            mention_key=mention_key,
            figure_=spread_figure(shell, spread),
            undated=undated,
            number=charts.number,
        )

    @app.get("/views/claim/{mention_key}/spread.csv")
    def claim_csv(mention_key: int, who: Asking) -> Response:
        spread = monitor.spread(mention_key) if 0 < mention_key < 2**62 else None
        if spread is None:
            raise HTTPException(404)
        return _download(spread_figure(shell, spread).table)

    @app.get("/views/{page}")
    def view(page: str, who: Asking, week: WeekQuery = "") -> Response:
        wanted = asked(who, page, week)
        return shell.page_for(
            who,
            "views.html",
            view=page,
            pages=PAGES,
            week=wanted.week,
            weeks=monitor.weeks(),
            figures=_MAKERS[page](wanted) if wanted.week else [],
            number=charts.number,
        )

    @app.get("/views/{page}/{key}.csv")
    def download(page: str, key: str, who: Asking, week: WeekQuery = "") -> Response:
        wanted = asked(who, page, week)
        for figure in _MAKERS[page](wanted) if wanted.week else []:
            if figure.table.key == key:
                return _download(figure.table)
        raise HTTPException(404)

    @app.get("/report/{week}")
    def report(week: str, _: Asking) -> Response:
        if week not in monitor.weeks():
            raise HTTPException(404)
        found = collect(shell.store, week, monitor)
        page = as_html(found, outlet_names=shell.outlet_names, standalone=False)
        return Response(page, media_type="text/html; charset=utf-8")
