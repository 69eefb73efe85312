"""One item: a person reads the claim and the passages, concludes, and only then is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from dashboards import ahead, deskview, marking
from dashboards.language import say
from dashboards.lists import entries
from dashboards.shell import AskedPlace, Asking, Place, PostedPlace, Reviewing, Shell, Visitor
from kiemchung.domain import Decision, Distortion, Passage
from kiemchung.store import ChoiceDetails, Item, details


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The fields of the desk's form as they came."""

    decision: Decision | None
    token: str
    cite: tuple[str, ...]
    kinds: tuple[Distortion, ...]
    note: str
    correction: str
    excepted: frozenset[int]  # copies that were listed and are not ticked

    @property
    def fields(self) -> deskview.Fields:
        """Return what goes back into the form when it is shown again."""
        return deskview.Fields(
            decision=self.decision,
            kinds=frozenset(self.kinds),
            cited=frozenset(self.cite),
            note=self.note,
            correction=self.correction,
            excepted=self.excepted,
        )

    @property
    def facts(self) -> dict[str, Any]:
        """Return what the store keeps beside the decision."""
        return {
            "form_token": self.token,
            "distortions": self.kinds,
            "cited_passages": self.cite,
            "note": self.note,
            "correction": self.correction,
            "excepted": self.excepted,
        }


async def sent(
    token: Annotated[str, Form(max_length=400)],
    decision: Annotated[Decision | None, Form()] = None,
    cite: Annotated[list[str] | None, Form(max_length=50)] = None,
    kind: Annotated[list[Distortion] | None, Form(max_length=10)] = None,
    note: Annotated[str, Form(max_length=4000)] = "",
    correction: Annotated[str, Form(max_length=details.MAX_CORRECTION)] = "",
    copies: Annotated[list[int] | None, Form(max_length=details.MAX_COPIES)] = None,
    copies_shown: Annotated[list[int] | None, Form(max_length=details.MAX_COPIES)] = None,
) -> Sent:
    """The fields of the form."""
    return Sent(
        decision=decision,
        token=token,
        cite=tuple(cite or ()),
        kinds=tuple(kind or ()),
        note=note,
        correction=correction,
        excepted=frozenset(copies_shown or ()) - frozenset(copies or ()),
    )


Filled = Annotated[Sent, Depends(sent)]


def add_routes(shell: Shell) -> None:
    """Add /item and what is sent from it."""
    app, store, tokens = shell.app, shell.store, shell.tokens

    def desk(
        who: Visitor,
        item: Item,
        where: Place,
        *,
        template: str,
        saved: Decision | None = None,
        problem: str = "",
        status: int = 200,
        given: Sent | None = None,
        found: Sequence[Passage] = (),
        looked: str = "",
    ) -> HTMLResponse:
        listed = entries(shell, who, where)
        position, previous, following = deskview.around(listed, item.mention_key)
        choice = store.blind_choice(who.account, item.mention_key)
        stage = "read" if not who.account.may_review else "choose" if choice is None else "decide"
        shown = stage != "choose"
        differences = item.judgement.differences if shown and item.judgement else ()
        mine = item.decision and item.decision.reviewer == who.account.name
        if given is not None:
            fields = given.fields
        else:
            beside = ChoiceDetails()
            if choice is not None:
                beside = details.choice_details(store, who.account, item.mention_key)
            fields = deskview.chosen(choice, beside)
        ids = [s.passage.passage_id for s in item.passages if s.on_point]
        extra = details.passages_named(store, deskview.own_ids(item, fields.cited))
        told = details.history(store, item.mention_key)
        answer = shell.page_for(
            who,
            template,
            status,
            token=tokens.form(who.session, item.mention_key, stage),
            place=where,
            item=item,
            stage=stage,
            choice=choice,
            fields=fields,
            # Without its own first choice nobody learns what others concluded, either.
            standing=item.decision if shown or mine else None,
            own=item.decision if mine else None,
            judgement=item.judgement if shown else None,
            blocks=marking.blocks(
                item.article, item.mention.start, item.mention.end, marking.marks(differences)
            ),
            claim=marking.pieces(item.mention.text, marking.marks(differences)),
            structure=deskview.structure_of(store, item),
            passages=deskview.passages(
                item.passages, [*extra, *found], store.facts.successors(ids), differences
            ),
            differences=differences,
            told=told,
            copies=deskview.copies(told, item.mention_key),
            shown_decisions=[
                d for d in told.decisions if shown and (d.settled or d.reviewer == who.account.name)
            ],
            previous=previous,
            following=following,
            position=position,
            total=len(listed),
            saved=saved,
            problem=problem,
            looked=looked,
            results=bool(found),
        )  # fmt: skip
        answer.background = ahead.task(store, following)
        return answer

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
        found = wanted(mention_key)
        if found.decision is None and not store.open_item(who.account, mention_key):
            rest = store.behind(who.account, mention_key, view=where.view, week=where.week)
            following = rest[0] if rest else None
            return shell.page_for(
                who, "taken.html", 409, item=found, place=where, following=following
            )
        return desk(who, found, where, template="item.html", saved=known)

    @app.get("/jump")
    def jump(
        who: Asking, where: AskedPlace, n: Annotated[str, Query(max_length=7)] = ""
    ) -> Response:
        listed = entries(shell, who, where)
        if not listed or not n.isdecimal():
            return RedirectResponse("/queue?" + where.query, 303)
        chosen = listed.slot(min(max(int(n), 1), len(listed)) - 1)
        return RedirectResponse(f"/item/{chosen.mention_key}?{where.query}", 303)

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
        answer = desk(who, wanted(key), where, template="desk.html", saved=saved)
        answer.headers["HX-Push-Url"] = address
        return answer

    def again(
        request: Request, who: Visitor, key: int, where: Place, given: Sent, name: str
    ) -> Response:
        """Show the form once more as it was filled in, with what is wrong."""
        template = "desk.html" if request.headers.get("hx-request") else "item.html"
        text = say(f"problem.{name}")
        return desk(
            who, wanted(key), where, template=template, problem=text, status=422, given=given
        )

    @app.post("/item/{mention_key}/find")
    def find(
        request: Request,
        mention_key: int,
        who: Reviewing,
        where: PostedPlace,
        given: Filled,
        find: Annotated[str, Form(max_length=200)] = "",
    ) -> Response:
        """Look passages up without concluding anything; the form comes back as it was."""
        item = wanted(mention_key)
        found = details.find_passages(store, find, item.mention.as_of)
        template = "found.html" if request.headers.get("hx-request") else "item.html"
        return desk(
            who, item, where, template=template, given=given, found=found, looked=find.strip()
        )

    @app.post("/item/{mention_key}/choose")
    def choose(
        request: Request, mention_key: int, who: Reviewing, where: PostedPlace, given: Filled
    ) -> Response:
        seconds = tokens.read_form(given.token, who.session, mention_key, "choose")
        if seconds is None:
            raise HTTPException(409, say("refused.stale"))
        if given.decision is None:
            raise HTTPException(422, say("refused.invalid"))
        if given.decision is Decision.REFUTED and not given.cite:
            return again(request, who, mention_key, where, given, "cite_needed")
        try:
            if given.decision is Decision.SKIPPED:
                rest = store.behind(who.account, mention_key, view=where.view, week=where.week)
                store.decide(
                    who.account, mention_key, given.decision,
                    opened_from=where.view, seconds=seconds, **given.facts,
                )  # fmt: skip
                following = store.next_item(who.account, rest)
                return go_on(request, who, following, where, given.decision)
            if store.blind_choice(who.account, mention_key) is None:
                store.choose(
                    who.account, mention_key, given.decision, seconds=seconds, **given.facts
                )
        except details.CitationError:
            return again(request, who, mention_key, where, given, "bad_citation")
        return go_on(request, who, mention_key, where, None)

    @app.post("/item/{mention_key}/decide")
    def decide(
        request: Request, mention_key: int, who: Reviewing, where: PostedPlace, given: Filled
    ) -> Response:
        seconds = tokens.read_form(given.token, who.session, mention_key, "decide")
        first = store.blind_choice(who.account, mention_key)
        if seconds is None or first is None:
            raise HTTPException(409, say("refused.stale"))
        if given.decision is None:
            raise HTTPException(422, say("refused.invalid"))
        if given.decision is Decision.REFUTED and not given.cite:
            return again(request, who, mention_key, where, given, "cite_needed")
        rest = store.behind(who.account, mention_key, view=where.view, week=where.week)
        try:
            store.decide(
                who.account, mention_key, given.decision,
                decision_before_model=first.decision, shown_model=True,
                opened_from=where.view, seconds=seconds, **given.facts,
            )  # fmt: skip
        except details.CitationError:
            return again(request, who, mention_key, where, given, "bad_citation")
        return go_on(request, who, store.next_item(who.account, rest), where, given.decision)

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
