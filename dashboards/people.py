"""Several people at one queue: leases, withdrawal, disagreements and how far people agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Form, HTTPException, Query
from fastapi.responses import RedirectResponse, Response

from dashboards import language
from dashboards.shell import (
    Adjudicating,
    Asking,
    Link,
    PostedPlace,
    ReadingAdjudicator,
    Reviewing,
    Shell,
    Visitor,
    reading_as,
)
from kiemchung.agreement import Alpha, Kappa, alpha_interval, kappas
from kiemchung.domain import Decision, Distortion
from kiemchung.estimates import week_estimate
from kiemchung.store import double, outlook, reopening
from kiemchung.store.double import Cause

_WEEKS_SHOWN: Final = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far the reviewers of the planned sample agree, before and after the suggestion."""

    blind: Alpha
    final: Alpha
    pairs: tuple[Kappa, ...]  # final conclusions
    planned: int  # claims with at least one conclusion


def agreement_of(units: list[double.DoubleUnit]) -> Agreement:
    """Work out the agreement of these units."""
    return Agreement(
        blind=alpha_interval([list(u.blind.values()) for u in units]),
        final=alpha_interval([list(u.final.values()) for u in units]),
        pairs=tuple(kappas([u.final for u in units])),
        planned=len(units),
    )


def add_routes(shell: Shell) -> None:
    """Add /adjudicate, /quality, /withdraw and the sign of life of an open item."""
    app, store, tokens = shell.app, shell.store, shell.tokens
    shell.links.append(Link(path="/adjudicate", key="nav.adjudicate", role="adjudicator"))
    shell.links.append(Link(path="/quality", key="nav.quality", role="reviewer"))

    @app.post("/item/{mention_key}/renew")
    def renew(mention_key: int, who: Reviewing) -> Response:
        """Keep an open claim in hand while its page is being worked on."""
        held = mention_key < 2**62 and store.open_item(who.account, mention_key)
        return Response(status_code=204 if held else 409)

    @app.post("/leave")
    def leave(who: Reviewing, where: PostedPlace) -> Response:
        """Give back what is in hand, so that others need not wait for it."""
        store.leases.release(who.account.key)
        return RedirectResponse("/queue?" + where.query, 303)

    @app.post("/withdraw")
    def withdraw(
        who: Reviewing,
        review: Annotated[int, Form(ge=1, lt=2**62)],
        reason: Annotated[str, Form(min_length=1, max_length=2000)],
    ) -> Response:
        key = reopening.withdraw(store, who.account, review, reason)
        return RedirectResponse(f"/item/{key}", 303)

    @app.get("/adjudicate")
    def disputes(
        who: ReadingAdjudicator, saved: Annotated[str, Query(max_length=20)] = ""
    ) -> Response:
        found = double.disputes(store)
        mine = who.account.name
        return shell.page_for(
            who,
            "disputes.html",
            disputes=[d for d in found if mine not in {o.reviewer for o in d.opinions}],
            own=[d for d in found if mine in {o.reviewer for o in d.opinions}],
            saved=Decision(saved) if saved in Decision.__members__ else None,
        )

    def case(who: Visitor, mention_key: int, *, problem: str = "", status: int = 200) -> Response:
        found = {d.mention_key: d for d in double.disputes(store)}
        item = store.item(mention_key) if mention_key < 2**62 else None
        if item is None or mention_key not in found:
            raise HTTPException(404)
        dispute = found[mention_key]
        return shell.page_for(
            who,
            "dispute.html",
            status,
            item=item,
            dispute=dispute,
            party=who.account.name in {o.reviewer for o in dispute.opinions},
            causes=list(Cause),
            token=tokens.form(who.session, mention_key, "adjudicate"),
            problem=problem,
        )

    @app.get("/adjudicate/{mention_key}")
    def dispute(mention_key: int, who: ReadingAdjudicator) -> Response:
        return case(who, mention_key)

    @app.post("/adjudicate/{mention_key}")
    def settle(
        mention_key: int,
        who: Adjudicating,
        decision: Annotated[Decision, Form()],
        cause: Annotated[Cause, Form()],
        token: Annotated[str, Form(max_length=400)],
        cite: Annotated[list[str] | None, Form(max_length=50)] = None,
        kind: Annotated[list[Distortion] | None, Form(max_length=10)] = None,
        reason: Annotated[str, Form(max_length=2000)] = "",
    ) -> Response:
        seconds = tokens.read_form(token, who.session, mention_key, "adjudicate")
        if seconds is None:
            raise HTTPException(409, language.say("refused.stale"))
        if decision is Decision.REFUTED and not cite:
            return case(who, mention_key, problem=language.say("dispute.needs_passage"), status=422)
        double.adjudicate(
            store,
            who.account,
            mention_key,
            decision,
            cause=cause,
            form_token=token,
            reason=reason,
            distortions=kind or (),
            cited_passages=cite or (),
            seconds=seconds,
        )
        return RedirectResponse(f"/adjudicate?saved={decision}", 303)

    @app.get("/quality")
    def quality(who: Annotated[Visitor, Depends(reading_as("reviewer"))]) -> Response:
        samples = outlook.week_samples(store)[:_WEEKS_SHOWN]
        return shell.page_for(
            who,
            "quality.html",
            agreement=agreement_of(double.double_units(store)),
            share=store.double_share,
            second=double.waiting_for_second(store),
            disputed=len(double.disputes(store)),
            causes=sorted(double.causes(store).items(), key=lambda c: -c[1]),
            weeks=[week_estimate(s) for s in samples],
        )

    @app.get("/item/{mention_key}/place")
    def place(mention_key: int, who: Asking) -> Response:
        """Why an entry stands where it stands; what the machine thinks only after one's choice."""
        entries = store.queue(who.account, view="all")
        place = entries.number_of(mention_key)
        if place is None:
            raise HTTPException(404)
        entry = entries[place]
        blind = who.account.may_review and store.blind_choice(who.account, mention_key) is None
        return shell.page_for(
            who,
            "place.html",
            entry=entry,
            number=place + 1,
            blind=blind,
            urgency=outlook.urgency_of(entry),
        )
