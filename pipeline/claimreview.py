"""One conclusion as schema.org ClaimReview (JSON-LD).

The rating is in words only: a number would be a score on a scale that nobody measured. The author
of the claim is left out on purpose; the author of the review is the publisher, where one is set.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from kiemchung.domain import Decision

if TYPE_CHECKING:
    from kiemchung.store.decided import Decided, Published
    from pipeline.export import Imprint

RATINGS: Final = {
    Decision.REFUTED: "Trái với căn cứ được dẫn",
    Decision.SUPPORTED: "Phù hợp với căn cứ được dẫn",
    Decision.CONFLICTING: "Căn cứ mâu thuẫn nhau",
}
"""What is published; not enough to go by, and not checkable, say nothing about the claim."""


def _work(place: Decided) -> dict[str, Any]:
    work: dict[str, Any] = {"@type": "CreativeWork", "url": place.url}
    if place.title:
        work["headline"] = place.title
    if place.published_at is not None:
        work["datePublished"] = place.published_at.isoformat()
    return work


def claim_review(published: Published, imprint: Imprint) -> dict[str, Any] | None:
    """Return the ClaimReview of a conclusion, None for one that is not published."""
    first = published.first
    rating = RATINGS.get(first.decision)
    places = [p for p in published.places if _followable(p.url)]
    if rating is None or not places or not first.cited:
        return None
    dated = [p.published_at for p in places if p.published_at is not None]
    claim: dict[str, Any] = {"@type": "Claim", "appearance": [_work(p) for p in places]}
    if dated:
        claim["datePublished"] = min(dated).isoformat()
    review: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "ClaimReview",
        "identifier": f"urn:kiemchung:claim:{first.claim_id}:{first.mention_id}",
        "claimReviewed": first.claim,
        "datePublished": max(p.decided_at for p in places).isoformat(),
        "inLanguage": "vi",
        "itemReviewed": claim,
        "reviewRating": {"@type": "Rating", "alternateName": rating},
        "citation": [
            {
                "@type": "CreativeWork",
                "name": p.citation,
                "text": p.text,
                "temporalCoverage": f"{p.valid_from}/{_last_day(p.valid_to)}",
            }
            | ({"url": p.url} if _followable(p.url) else {})
            for p in first.cited
        ],
    }
    if imprint.publisher:
        review["author"] = {"@type": "Organization", "name": imprint.publisher}
        if imprint.public_url:
            review["author"]["url"] = imprint.public_url
    return review


def _last_day(end: date | None) -> str:
    """The base keeps the first day without force; an ISO interval names the last day in it."""
    return ".." if end is None else (end - timedelta(days=1)).isoformat()


def _followable(address: str) -> bool:
    from dashboards.words import link

    return bool(link(address))
