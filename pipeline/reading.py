"""From text to mentions: canonical text, sentences, claims and the day each is about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from zoneinfo import ZoneInfo

from kiemchung.domain import Article, AsOfMethod, Claim, Document, Mention, digest
from nlp.claims import detect
from nlp.matching import claim_key
from nlp.timing import ClaimDay, claim_day

VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")
_CONTEXT_SENTENCES = 2  # as far back as an anaphor such as "luật này" is resolved


def day_of(
    claims: Sequence[Claim], place: int, *, published: date, documents: Sequence[Document]
) -> ClaimDay:
    """Return the day that ``claims[place]`` is about; the sentences before it resolve anaphors."""
    before = claims[max(0, place - _CONTEXT_SENTENCES) : place]
    return claim_day(
        claims[place].text,
        published=published,
        documents=documents,
        context=" ".join(claim.text for claim in before),
    )


def mentions(article: Article, documents: Sequence[Document], *, undated: date) -> list[Mention]:
    """Return every claim of ``article`` at its place.

    ``undated`` stands in for an unknown publication day. It is used only where the claim names a
    day or a law itself; elsewhere the mention says that its day is unknown.
    """
    text = article.text
    claims = detect(text, title_end=len(article.title))
    known = article.published_at
    published = known.astimezone(VIETNAM).date() if known else undated
    found = []
    for place, claim in enumerate(claims):
        day = day_of(claims, place, published=published, documents=documents)
        unknown = known is None and day.method is AsOfMethod.PUBLICATION
        found.append(
            Mention(
                mention_id=digest(article.article_id, str(claim.start), str(claim.end)),
                article_id=article.article_id,
                claim_id=claim_key(claim.text),
                start=claim.start,
                end=claim.end,
                text=claim.text,
                checkability=claim.checkability,
                check_worthiness=claim.check_worthiness,
                speech=claim.speech,
                as_of=day.day,
                as_of_method=AsOfMethod.UNKNOWN if unknown else day.method,
            )
        )
    return found
