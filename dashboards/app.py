"""The review desk: a person reads the claim and the passages, concludes, and only then is told.

Sync endpoints in the thread pool, one worker, because this process owns the store. Every page works
without scripts; htmx swaps the desk after a conclusion, `keys.js` presses the buttons.

Annotations are evaluated here, not kept as strings: FastAPI reads the dependencies of the endpoints
out of them, and those are names of `create_app`.
"""

import gzip
import hashlib
import logging
import secrets
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import jinja2
from fastapi import Depends, FastAPI, Form, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from dashboards import marking, words
from dashboards.security import (
    HEADERS,
    SESSION_COOKIE,
    VISIT_COOKIE,
    SecurityHeaders,
    Tokens,
    foreign_origin,
    local_path,
)
from kiemchung.domain import Decision, Difference, Distortion
from kiemchung.errors import InputError, KiemchungError
from kiemchung.reference.exceptions import charter_decides, exceptions
from kiemchung.store import Account, Item, QueueEntry, ShownPassage, Store
from kiemchung.store.accounts import MIN_PASSWORD
from kiemchung.store.inbox import waiting
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

LOG = logging.getLogger(__name__)
PAGE_LENGTH: Final = 50
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_REFUSED: Final = {
    "wrong": "Mật khẩu đang dùng không đúng.",
    "length": f"Mật khẩu mới cần ít nhất {MIN_PASSWORD} ký tự.",
    "same": "Mật khẩu mới phải khác mật khẩu cũ và khác tên.",
    "repeat": "Hai lần nhập mật khẩu mới không giống nhau.",
}


class NotSignedInError(Exception):
    """The request has no living session."""


class MustChangeError(Exception):
    """The one-time password has to be changed before anything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who asks, with the session token that the forms are bound to."""

    account: Account
    session: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The list that an item was opened from."""

    view: str
    week: str | None

    @property
    def query(self) -> str:
        """Return the part of an address that leads back here."""
        facts = {"view": self.view} | ({"week": self.week} if self.week else {})
        return urlencode(facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asset:
    data: bytes
    packed: bytes
    type: str
    etag: str


def _assets() -> dict[str, _Asset]:
    found = {}
    for entry in (resources.files("dashboards") / "static").iterdir():
        suffix = Path(entry.name).suffix
        if suffix in _TYPES:
            data = entry.read_bytes()
            found[entry.name] = _Asset(
                data=data,
                packed=gzip.compress(data, mtime=0),
                type=_TYPES[suffix],
                etag=f'"{hashlib.sha256(data).hexdigest()[:16]}"',
            )
    return found


def templates() -> jinja2.Environment:
    """Return the environment of the pages: everything is escaped, a missing name is an error."""
    folder = resources.files("dashboards") / "templates"
    sources = {e.name: e.read_text(encoding="utf-8") for e in folder.iterdir()}
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({n: s for n, s in sources.items() if n.endswith(".html")}),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(words=words, Decision=Decision, Distortion=Distortion)
    environment.globals.update(exceptions=exceptions, charter_decides=charter_decides)
    environment.filters.update(
        day=words.day, moment=words.moment, share=words.share, link=words.link, host=words.host
    )
    return environment


class InboxMerger:
    """Merges the inbox every few seconds in a thread of its own."""

    def __init__(self, store: Store, inbox: Path, seconds: float) -> None:
        self._store = store
        self._inbox = inbox
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="inbox", daemon=True)
        self.error = ""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch in hand."""
        self._stop.set()
        self._thread.join(timeout=30)

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                for run_id in self._store.merge_inbox(self._inbox):
                    LOG.info("merged %s", run_id)
                self.error = ""
            except (KiemchungError, OSError) as error:
                self.error = str(error)
                LOG.error("the inbox waits: %s", error)
            self._stop.wait(self._seconds)


def create_app(
    store: Store,
    *,
    secret: bytes,
    inbox: Path | None = None,
    outlet_names: Mapping[str, str] | None = None,
    allowed_hosts: Sequence[str] = ("*",),
    merge_seconds: float = 3.0,
) -> FastAPI:
    """Return the application over an open store.

    ``outlet_names`` gives the names to show for outlets; without one the outlet's own key is shown.

    Raises:
        InputError: the secret is too short.
    """
    tokens = Tokens(secret)
    pages = templates()
    assets = _assets()
    names = dict(outlet_names or {})
    pages.globals["outlet"] = lambda key: names.get(key, key)
    merger = None if inbox is None else InboxMerger(store, inbox, merge_seconds)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        if merger is not None:
            merger.start()
        yield
        if merger is not None:
            merger.stop()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=life)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts))
    app.add_middleware(SecurityHeaders)  # added last, so it stands outermost

    def page(name: str, status: int = 200, **facts: object) -> HTMLResponse:
        return HTMLResponse(pages.get_template(name).render(**facts), status_code=status)

    def message(status: int, text: str) -> HTMLResponse:
        return page("message.html", status, title="Bàn duyệt", text=text, visitor=None)

    # -- who asks --------------------------------------------------------------------------------

    def session_of(request: Request) -> str:
        return tokens.unsign(request.cookies.get(SESSION_COOKIE, ""))

    def somebody(request: Request) -> Visitor:
        session = session_of(request)
        account = store.session_account(session) if session else None
        if account is None:
            raise NotSignedInError
        return Visitor(account=account, session=session)

    def visitor(request: Request) -> Visitor:
        found = somebody(request)
        if found.account.must_change:
            raise MustChangeError
        return found

    def guarded(request: Request, csrf: Annotated[str, Form()] = "") -> None:
        """Refuse a POST that another site could have sent, before anything else is looked at."""
        given = csrf or request.headers.get("x-csrf-token", "")
        # The sign-in form is bound to the visit, every other one to the session.
        visit = request.cookies.get(VISIT_COOKIE, "")
        bound = visit if request.url.path == "/login" else session_of(request)
        if foreign_origin(request) or not tokens.right_csrf(bound, given):
            raise HTTPException(403, "Biểu mẫu không hợp lệ hoặc đã cũ. Hãy tải lại trang.")

    def reviewer(
        _: Annotated[None, Depends(guarded)], found: Annotated[Visitor, Depends(visitor)]
    ) -> Visitor:
        if not found.account.may_review:
            raise HTTPException(403, "Tài khoản này chỉ được xem.")
        return found

    def place(
        view: Annotated[str, Query(max_length=10)] = "queue",
        week: Annotated[str, Query(max_length=8)] = "",
    ) -> Place:
        return Place(view=view if view in words.VIEWS else "queue", week=week or None)

    def posted_place(
        view: Annotated[str, Form(max_length=10)] = "queue",
        week: Annotated[str, Form(max_length=8)] = "",
    ) -> Place:
        return place(view, week)

    Asking = Annotated[Visitor, Depends(visitor)]
    Reviewing = Annotated[Visitor, Depends(reviewer)]

    # -- mistakes --------------------------------------------------------------------------------

    @app.exception_handler(NotSignedInError)
    def not_signed_in(request: Request, _: Exception) -> Response:
        if request.headers.get("hx-request"):
            return Response(status_code=401, headers={"HX-Redirect": "/login"})
        path = request.url.path
        if request.method != "GET" or path == "/":
            return RedirectResponse("/login", 303)
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse("/login?" + urlencode({"next": local_path(path + query)}), 303)

    @app.exception_handler(MustChangeError)
    def must_change(request: Request, _: Exception) -> Response:
        return RedirectResponse("/password", 303)

    @app.exception_handler(StarletteHTTPException)
    def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, StarletteHTTPException)
        text = {404: "Không có trang này.", 405: "Không dùng được cách gọi này."}
        return message(error.status_code, text.get(error.status_code, str(error.detail)))

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: Exception) -> Response:
        return message(422, "Biểu mẫu thiếu hoặc có giá trị không dùng được.")

    @app.exception_handler(KiemchungError)
    def failed(_: Request, error: Exception) -> Response:
        if isinstance(error, InputError):
            return message(422, "Không lưu được: biểu mẫu có giá trị không dùng được.")
        LOG.error("the store failed: %s", error)
        return message(503, "Kho dữ liệu đang gặp lỗi. Hãy báo cho người vận hành.")

    @app.exception_handler(Exception)
    def unforeseen(_: Request, error: Exception) -> Response:
        answer = message(500, "Có lỗi ngoài dự kiến. Kết luận chưa được lưu.")
        for name, value in HEADERS.items():  # this answer is made outside every middleware
            answer.headers[name] = value
        answer.headers["Cache-Control"] = "no-store"
        return answer

    # -- sign in ---------------------------------------------------------------------------------

    def cookie(request: Request, answer: Response, name: str, value: str) -> None:
        answer.set_cookie(
            name, value, httponly=True, samesite="strict", path="/",
            secure=request.url.scheme == "https",
        )  # fmt: skip

    def login_page(request: Request, next_: str, *, wrong: bool, status: int = 200) -> Response:
        visit = request.cookies.get(VISIT_COOKIE) or _random()
        answer = page(
            "login.html", status, csrf=tokens.csrf(visit), next=next_, wrong=wrong, visitor=None
        )
        cookie(request, answer, VISIT_COOKIE, visit)
        answer.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="strict")
        return answer

    @app.get("/")
    def start() -> Response:
        return RedirectResponse("/queue", 303)

    @app.get("/login")
    def login_form(
        request: Request, next: Annotated[str, Query(max_length=200)] = "/queue"
    ) -> Response:
        try:
            somebody(request)
        except NotSignedInError:
            return login_page(request, local_path(next), wrong=False)
        return RedirectResponse("/queue", 303)

    @app.post("/login", dependencies=[Depends(guarded)])
    def login(
        request: Request,
        name: Annotated[str, Form(max_length=100)] = "",
        password: Annotated[str, Form(max_length=1000)] = "",
        next: Annotated[str, Form(max_length=200)] = "/queue",
    ) -> Response:
        account = store.authenticate(name.strip().lower(), password)
        if account is None:
            return login_page(request, local_path(next), wrong=True, status=401)
        old = session_of(request)
        if old:
            store.close_session(old)
        answer = RedirectResponse(local_path(next), 303)
        cookie(request, answer, SESSION_COOKIE, tokens.sign(store.open_session(account)))
        answer.delete_cookie(VISIT_COOKIE, path="/", httponly=True, samesite="strict")
        return answer

    @app.post("/logout", dependencies=[Depends(guarded)])
    def logout(request: Request) -> Response:
        session = session_of(request)
        if session:
            store.close_session(session)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="strict")
        return answer

    def password_page(who: Visitor, refused_: str, status: int = 200) -> Response:
        return page(
            "password.html",
            status,
            visitor=who,
            csrf=tokens.csrf(who.session),
            refused=_REFUSED.get(refused_, ""),
            minimum=MIN_PASSWORD,
        )

    @app.get("/password")
    def password_form(who: Annotated[Visitor, Depends(somebody)]) -> Response:
        return password_page(who, "")

    @app.post("/password", dependencies=[Depends(guarded)])
    def password(
        request: Request,
        who: Annotated[Visitor, Depends(somebody)],
        old: Annotated[str, Form(max_length=1000)] = "",
        new: Annotated[str, Form(max_length=1000)] = "",
        again: Annotated[str, Form(max_length=1000)] = "",
    ) -> Response:
        if new != again:
            return password_page(who, "repeat", 422)
        wrong = store.change_password(who.account, old=old, new=new)
        if wrong:
            return password_page(who, wrong, 422)
        answer = RedirectResponse("/queue", 303)
        # Every old session has ended, this one too: whoever took it over is out.
        cookie(request, answer, SESSION_COOKIE, tokens.sign(store.open_session(who.account)))
        return answer

    # -- the lists -------------------------------------------------------------------------------

    def entries(who: Visitor, where: Place) -> list[QueueEntry]:
        return store.queue(who.account, view=where.view, week=where.week)

    @app.get("/queue")
    def queue(
        who: Asking,
        where: Annotated[Place, Depends(place)],
        part: Annotated[int, Query(ge=1, le=1000)] = 1,
    ) -> Response:
        found = entries(who, where)
        views = [
            (name, text, len(entries(who, Place(view=name, week=where.week))))
            for name, text in words.VIEWS.items()
        ]
        first = (part - 1) * PAGE_LENGTH
        return page(
            "queue.html",
            visitor=who,
            csrf=tokens.csrf(who.session),
            place=where,
            views=views,
            weeks=store.weeks(),
            entries=found[first : first + PAGE_LENGTH],
            first=first,
            total=len(found),
            part=part,
            more=len(found) > first + PAGE_LENGTH,
        )

    @app.get("/mine")
    def mine(who: Asking) -> Response:
        return page(
            "mine.html",
            visitor=who,
            csrf=tokens.csrf(who.session),
            place=Place(view="decided", week=None),
            reviews=store.standing_reviews(who.account),
        )

    # -- one item --------------------------------------------------------------------------------

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
        found = entries(who, where)
        here = next((n for n, e in enumerate(found) if item.mention_key in e.mention_keys), None)
        choice = store.blind_choice(who.account, item.mention_key)
        may = who.account.may_review
        stage = "read" if not may else "choose" if choice is None else "decide"
        shown = stage != "choose"
        differences = item.judgement.differences if shown and item.judgement else ()
        own = (
            item.decision if item.decision and item.decision.reviewer == who.account.name else None
        )
        return page(
            "item.html" if whole else "desk.html",
            status,
            visitor=who,
            csrf=tokens.csrf(who.session),
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
        where: Annotated[Place, Depends(place)],
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
        where: Annotated[Place, Depends(posted_place)],
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
        following = _following(entries(who, where), mention_key)
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
        where: Annotated[Place, Depends(posted_place)],
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
        following = _following(entries(who, where), mention_key)
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
        where: Annotated[Place, Depends(posted_place)],
        review: Annotated[int | None, Form(ge=1, lt=2**62)] = None,
    ) -> Response:
        key = store.undo(who.account, review)
        if key is None and review is None:
            return RedirectResponse("/queue?" + where.query, 303)  # nothing left to undo
        if key is None:
            # Also for somebody else's review: it is not told apart from one that is not there.
            raise HTTPException(404)
        return RedirectResponse(f"/item/{key}?{where.query}", 303)

    # -- the rest --------------------------------------------------------------------------------

    @app.get("/health")
    def health() -> Response:
        well = not store.broken and (merger is None or not merger.error)
        facts = {"status": "ok" if well else "failing", "waiting": waiting(inbox) if inbox else 0}
        return JSONResponse(facts, status_code=200 if well else 503)

    @app.get("/static/{name}")
    def static(request: Request, name: str) -> Response:
        asset = assets.get(name)
        if asset is None:
            raise HTTPException(404)
        headers = {"ETag": asset.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == asset.etag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(asset.packed, media_type=asset.type, headers=headers)
        return Response(asset.data, media_type=asset.type, headers=headers)

    return app


def _random() -> str:
    return secrets.token_urlsafe(24)


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
