"""One item: a person reads the claim and the passages, concludes, and only then is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from dashboards import marking
from dashboards.lists import entries
from dashboards.shell import AskedPlace, Asking, Place, PostedPlace, Reviewing, Shell, Visitor
from kiemchung.domain import Decision, Difference, Distortion
from kiemchung.store import Item, QueueEntry, ShownPassage
from nlp.sentences import sentences
from nlp.structure import (
    Attribution,
    ClaimKind,
    Part,
    Resolved,
    attribution,
    claim_kind,
    parts,
    resolve,
)


def add_routes(shell: Shell) -> None:
    """Add /item and what is sent from it."""
    app, store, tokens = shell.app, shell.store, shell.tokens

    def desk(
        who: Visitor,
        item: Item,
        where: Place,
        *,
        whole: bool,
        saved: Decision | None = None,
        problem: str = "",
        status: int = 200,
    ) -> HTMLResponse:
        found = entries(shell, who, where)
        here = next((n for n, e in enumerate(found) if item.mention_key in e.mention_keys), None)
        choice = store.blind_choice(who.account, item.mention_key)
        may = who.account.may_review
        stage = "read" if not may else "choose" if choice is None else "decide"
        shown = stage != "choose"
        differences = item.judgement.differences if shown and item.judgement else ()
        own = (
            item.decision if item.decision and item.decision.reviewer == who.account.name else None
        )
        return shell.page_for(
            who,
            "item.html" if whole else "desk.html",
            status,
            token=tokens.form(who.session, item.mention_key, stage),
            place=where,
            item=item,
            stage=stage,
            choice=choice,
            # Without its own first choice nobody learns what others concluded, either.
            standing=item.decision if shown or own else None,
            own=own,
            judgement=item.judgement if shown else None,
            blocks=marking.blocks(
                item.article, item.mention.start, item.mention.end, marking.marks(differences)
            ),
            claim=marking.pieces(item.mention.text, marking.marks(differences)),
            structure=_structure(item),
            passages=[(p, _evidence_pieces(p, differences)) for p in item.passages],
            differences=differences,
            previous=found[here - 1].mention_key if here else None,
            following=_following(found, item.mention_key),
            position=None if here is None else here + 1,
            total=len(found),
            saved=saved,
            problem=problem,
        )  # fmt: skip

    def wanted(mention_key: int) -> Item:
        item = store.item(mention_key) if mention_key < 2**62 else None
        if item is None:
            raise HTTPException(404)
        return item

    @app.get("/item/{mention_key}")
    def item(
        mention_key: int,
        who: Asking,
        where: AskedPlace,
        saved: Annotated[str, Query(max_length=20)] = "",
    ) -> Response:
        known = Decision(saved) if saved in Decision.__members__ else None
        return desk(who, wanted(mention_key), where, whole=True, saved=known)

    def go_on(
        request: Request, who: Visitor, key: int | None, where: Place, saved: Decision | None
    ) -> Response:
        """Show the next item: as the desk alone to htmx, else by a redirect."""
        address = "/queue?" + where.query
        if key is not None:
            address = f"/item/{key}?{where.query}"
        if not request.headers.get("hx-request"):
            note = "" if saved is None or key is None else "&" + urlencode({"saved": str(saved)})
            return RedirectResponse(address + note, 303)
        if key is None:
            return Response(status_code=204, headers={"HX-Redirect": address})
        answer = desk(who, wanted(key), where, whole=False, saved=saved)
        answer.headers["HX-Push-Url"] = address
        return answer

    def problem(
        request: Request, who: Visitor, key: int, where: Place, text: str, status: int
    ) -> Response:
        whole = not request.headers.get("hx-request")
        return desk(who, wanted(key), where, whole=whole, problem=text, status=status)

    @app.post("/item/{mention_key}/choose")
    def choose(
        request: Request,
        mention_key: int,
        who: Reviewing,
        where: PostedPlace,
        decision: Annotated[Decision, Form()],
        token: Annotated[str, Form(max_length=400)],
        cite: Annotated[list[str] | None, Form(max_length=50)] = None,
        kind: Annotated[list[Distortion] | None, Form(max_length=10)] = None,
        note: Annotated[str, Form(max_length=4000)] = "",
    ) -> Response:
        seconds = tokens.read_form(token, who.session, mention_key, "choose")
        if seconds is None:
            raise HTTPException(409, "Biểu mẫu đã cũ. Hãy tải lại trang.")
        wanted(mention_key)
        if decision is Decision.REFUTED and not cite:
            text = "Kết luận “trái với căn cứ” cần ít nhất một căn cứ được chọn."
            return problem(request, who, mention_key, where, text, 422)
        facts: dict[str, Any] = {
            "form_token": token,
            "distortions": kind or (),
            "cited_passages": cite or (),
            "note": note,
            "seconds": seconds,
        }
        following = _following(entries(shell, who, where), mention_key)
        if decision is Decision.SKIPPED:
            store.decide(who.account, mention_key, decision, opened_from=where.view, **facts)
            return go_on(request, who, following, where, decision)
        if store.blind_choice(who.account, mention_key) is None:
            store.choose(who.account, mention_key, decision, **facts)
        return go_on(request, who, mention_key, where, None)

    @app.post("/item/{mention_key}/decide")
    def decide(
        request: Request,
        mention_key: int,
        who: Reviewing,
        where: PostedPlace,
        decision: Annotated[Decision, Form()],
        token: Annotated[str, Form(max_length=400)],
        cite: Annotated[list[str] | None, Form(max_length=50)] = None,
        kind: Annotated[list[Distortion] | None, Form(max_length=10)] = None,
        note: Annotated[str, Form(max_length=4000)] = "",
    ) -> Response:
        seconds = tokens.read_form(token, who.session, mention_key, "decide")
        first = store.blind_choice(who.account, mention_key)
        if seconds is None or first is None:
            raise HTTPException(409, "Biểu mẫu đã cũ. Hãy tải lại trang.")
        if decision is Decision.REFUTED and not cite:
            text = "Kết luận “trái với căn cứ” cần ít nhất một căn cứ được chọn."
            return problem(request, who, mention_key, where, text, 422)
        following = _following(entries(shell, who, where), mention_key)
        store.decide(
            who.account,
            mention_key,
            decision,
            form_token=token,
            decision_before_model=first.decision,
            shown_model=True,
            distortions=kind or (),
            cited_passages=cite or (),
            note=note,
            seconds=seconds,
            opened_from=where.view,
        )
        return go_on(request, who, following, where, decision)

    @app.post("/undo")
    def undo(
        who: Reviewing,
        where: PostedPlace,
        review: Annotated[int | None, Form(ge=1, lt=2**62)] = None,
    ) -> Response:
        key = store.undo(who.account, review)
        if key is None and review is None:
            return RedirectResponse("/queue?" + where.query, 303)  # nothing left to undo
        if key is None:
            # Also for somebody else's review: it is not told apart from one that is not there.
            raise HTTPException(404)
        return RedirectResponse(f"/item/{key}?{where.query}", 303)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Structure:
    """How a claim is built, read again from the article whenever it is shown."""

    kind: ClaimKind
    said: Attribution | None
    parts: tuple[Part, ...]
    context: tuple[Resolved, ...]


def _structure(item: Item) -> _Structure:
    text = item.mention.text
    # Paragraphs before the claim hold more than the few sentences that are looked back.
    before = item.article.text[max(0, item.mention.start - 3000) : item.mention.start]
    found = parts(text)
    return _Structure(
        kind=claim_kind(text),
        said=attribution(text),
        parts=found if len(found) > 1 else (),
        context=resolve(text, [s.text for s in sentences(before)]),
    )


def _evidence_pieces(
    shown: ShownPassage, differences: Sequence[Difference]
) -> tuple[marking.Piece, ...]:
    text = shown.passage.text
    found = marking.evidence_marks(text, differences) if shown.on_point else ()
    return marking.pieces(text, found)


def _following(found: Sequence[QueueEntry], mention_key: int) -> int | None:
    """Return what comes after an item: the next entry, else the first other one, else nothing."""
    for number, entry in enumerate(found):
        if mention_key in entry.mention_keys:
            rest = (*found[number + 1 :], *found[:number])
            return rest[0].mention_key if rest else None
    return found[0].mention_key if found else None
