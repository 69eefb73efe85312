"""The same claims again in other articles: a batch moved to a later week."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from kiemchung.domain import Batch, digest


def later(given: Batch, weeks: int) -> Batch:
    """Return ``given`` with articles of its own, published ``weeks`` weeks later."""
    mark = str(weeks)
    renamed = {a.article_id: digest(a.article_id, mark) for a in given.articles}
    articles = tuple(
        replace(
            a,
            article_id=renamed[a.article_id],
            url=a.url.replace(".html", f"-{weeks}.html"),
            canonical_url=a.canonical_url.replace(".html", f"-{weeks}.html"),
            story_id=digest(a.story_id, mark),
            published_at=None
            if a.published_at is None
            else a.published_at + timedelta(weeks=weeks),
        )
        for a in given.articles
    )
    mentions = tuple(
        replace(m, mention_id=digest(m.mention_id, mark), article_id=renamed[m.article_id])
        for m in given.mentions
    )
    judgements = tuple(
        replace(
            j,
            mention_id=digest(j.mention_id, mark),
            judgement_id=digest(j.judgement_id, mark),
        )
        for j in given.judgements
    )
    return replace(given, articles=articles, mentions=mentions, judgements=judgements)
