"""`kiemchung check`: a text and a date in, its claims with evidence out; no crawl and no store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from kiemchung.domain import Checkability, Claim, Evidence, Passage, Status
from kiemchung.reference.exceptions import charter_decides, exceptions
from nlp.claims import detect
from nlp.structure import attribution, claim_kind, parts, resolve
from nlp.text import CanonicalText, canonical, is_undiacritised
from pipeline.judging import Judge
from pipeline.reading import day_of


def evidence_row(evidence: Evidence, passages: Mapping[str, Passage]) -> dict[str, Any]:
    """Return one passage as the contract shows it."""
    passage = passages[evidence.passage_id]
    return {
        "passage_id": passage.passage_id,
        "citation": passage.citation,
        "text": passage.text,
        "valid_from": passage.valid_from.isoformat(),
        "valid_to": passage.valid_to.isoformat() if passage.valid_to else None,
        "url": passage.url,
        "conditions": list(passage.conditions),
        "exceptions": list(exceptions(passage.text)),
        "charter_decides": charter_decides(passage.text),
    }


def _structure(claim: Claim, before: Sequence[Claim], clean: CanonicalText) -> dict[str, Any]:
    """Return kind, parts, speaker and resolved context; offsets as everywhere in the answer."""

    def place(start: int, end: int) -> dict[str, int]:
        first, last = clean.to_source(claim.start + start, claim.start + end)
        return {"start": first, "end": last}

    found = parts(claim.text)
    said = attribution(claim.text)
    return {
        "kind": str(claim_kind(claim.text)),
        "parts": [
            place(p.start, p.end) | {"text": p.text, "subject": p.subject}
            for p in (found if len(found) > 1 else ())
        ],
        "attribution": said
        and place(said.start, said.end)
        | {"verb": said.verb, "role": said.role, "is_direct": said.is_direct},
        "context": [
            place(r.start, r.end)
            | {"text": r.text, "meaning": r.meaning, "sentences_back": r.sentences_back}
            for r in resolve(claim.text, [c.text for c in before])
        ],
    }


def check_text(text: str, *, day: date, judge: Judge, record_id: str = "") -> dict[str, Any]:
    """Return the claims of ``text``, published on ``day``, as the contract of `check` shows them.

    Offsets count code points of ``text`` as given, also where characters were folded away.
    """
    clean = canonical(text)
    claims = detect(clean.text)
    rows = []
    for place, claim in enumerate(claims):
        about = day_of(claims, place, published=day, documents=judge.documents)
        start, end = clean.to_source(claim.start, claim.end)
        row: dict[str, Any] = {
            "start": start,
            "end": end,
            "text": text[start:end],
            "checkability": str(claim.checkability),
            "check_worthiness": claim.check_worthiness,
            "speech": str(claim.speech),
            **_structure(claim, claims[:place], clean),
            "as_of": about.day.isoformat(),
            "as_of_method": str(about.method),
            "status": str(Status.ABSTAINED),
            "label": None,
            "nei_reason": None,
            "p_supported": None,
            "p_refuted": None,
            "p_nei": None,
            "flagged": False,
            "topic": "",
            "evidence": [],
            "differences": [],
        }
        if claim.checkability is Checkability.CHECKABLE:
            found = judge.outcome(
                claim.text, day=about.day, speech=claim.speech, checkability=claim.checkability
            )
            row |= {
                "status": str(found.status),
                "label": str(found.label) if found.label else None,
                "nei_reason": str(found.nei_reason) if found.nei_reason else None,
                "p_supported": found.p_supported,
                "p_refuted": found.p_refuted,
                "p_nei": found.p_nei,
                "flagged": found.flagged,
                "topic": next(
                    (judge.by_id[e.passage_id].topic for e in found.evidence if e.on_point), ""
                ),
                "evidence": [evidence_row(e, judge.by_id) for e in found.evidence],
                "differences": [
                    {"kind": str(d.kind), "claim": d.claim, "evidence": d.evidence}
                    for d in found.differences
                ],
            }
            if found.error:
                row["error"] = found.error
        rows.append(row)
    return {
        "id": record_id,
        "date": day.isoformat(),
        "undiacritised": is_undiacritised(clean.text),
        "removed": clean.removed,
        "claims": rows,
    }
