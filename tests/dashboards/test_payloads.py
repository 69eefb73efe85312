"""Three hundred payloads in every field that foreign text or people can fill: none runs.

The browser is told to ignore the content security policy, so that the escaping alone is on trial; a
second pass over some pages, with the policy, finds no violation of it either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dashboards.app import create_app
from dashboards.report import weekly_report
from dashboards.views import PAGES
from kiemchung.domain import Batch, Decision, OutletHealth, digest
from kiemchung.store import Account, Store, open_store
from kiemchung.store.corrections import Outcome, add, corrections, resolve
from kiemchung.store.inbox import write_batch
from tests.batches import NEW_PASSAGE, batch, flag
from tests.dashboards.chromium import opened, served, sign_in
from tests.dashboards.conftest import PASSWORD, SECRET, enrol
from tests.payloads import LINKS, PAYLOADS

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WEEK = "2026-W40"
COUNT = 300
# Five to a field, so that sixty items carry all of them through every field there is.
TEXTS = tuple(" ".join(PAYLOADS[k : k + 5]) for k in range(0, COUNT, 5))


def poisoned() -> Batch:
    """A flag for each payload, with it in every field of article, claim, passage and difference."""
    plain = batch(week=WEEK, flags=1, copies=0, quiet=0)
    articles, mentions, judgements, passages, health = [], [], [], [], []
    for number, payload in enumerate(TEXTS):
        link = LINKS[number % len(LINKS)]
        claim = f"Luật nói {payload} có 7 thành viên."
        page = replace(
            plain.articles[0],
            article_id=digest("payload", str(number)),
            title=payload,
            lead=payload,
            body=f"{claim}\n\n{payload}",
            url=link + payload,
            canonical_url=link + payload,
            outlet=payload,
            topic_reason=payload,
            story_id=payload,
        )
        start = page.text.index(claim)
        said = replace(
            plain.mentions[0],
            mention_id=digest("said", str(number)),
            article_id=page.article_id,
            claim_id=digest("the same claim"),
            text=claim,
            start=start,
            end=start + len(claim),
        )
        passage = replace(
            NEW_PASSAGE,
            passage_id=payload,
            text=payload,
            citation=payload,
            locator=payload,
            topic=payload,
            unit=payload,
            conditions=(payload,),
            url=link + payload,
            supersedes=TEXTS[number - 1] if number else "",
        )
        judged = flag(said, run_id=plain.run.run_id, p_refuted=0.99)
        judgements.append(
            replace(
                judged,
                model_id=payload,
                base_version=payload,
                evidence=(
                    replace(
                        judged.evidence[0],
                        passage_id=payload,
                        passage_sha256=passage.sha256,
                    ),
                ),
                differences=(replace(judged.differences[0], claim=payload, evidence=payload),),
            )
        )
        articles.append(page)
        mentions.append(said)
        passages.append(passage)
        health.append(
            OutletHealth(
                outlet=payload,
                lists=1,
                lists_read=1,
                discovered=1,
                fetched=1,
                unchanged=0,
                refused=0,
                failed=0,
                articles=1,
                cooperative=1,
                quarantined=0,
                title_only=0,
                with_lead=1,
                without_date=0,
                median_characters=9,
                newest=payload,
                alarms=(payload,),
            )
        )
    evil = TEXTS
    run = replace(
        plain.run,
        outlets=evil,
        alarms=(*evil, *(f"{p}: {p}" for p in evil)),
        model_id=evil[0],
        base_version=evil[1],
        code_version=evil[2],
        health=tuple(health),
        accounting=replace(
            plain.run.accounting,
            refused={p: 1 for p in evil},
            discovered=len(evil),
            quarantined={p: 1 for p in evil},
        ),
    )
    documents = tuple(
        replace(d, title=evil[k], number=evil[k], publisher=evil[k], url=LINKS[k])
        for k, d in enumerate(plain.documents)
    )
    return replace(
        plain,
        run=run,
        articles=tuple(articles),
        mentions=tuple(mentions),
        judgements=tuple(judgements),
        passages=tuple(passages),
        documents=documents,
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("payloads")
    with open_store(folder / "k.duckdb") as opened_:
        given = poisoned()
        write_batch(folder / "inbox", given)
        assert opened_.merge_inbox(folder / "inbox") == [given.run.run_id]
        enrol(opened_, "an", "admin")
        yield opened_


@pytest.fixture(scope="module")
def account(store: Store) -> Account:
    found = store.authenticate("an", PASSWORD)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened() as found:
        yield found


@pytest.fixture(scope="module")
def address(store: Store) -> Iterator[str]:
    with served(create_app(store, secret=SECRET)) as found:
        yield found


class Trial:
    """A page that reports whatever runs in it, now or later."""

    def __init__(self, browser: Any, address: str, *, policy: bool) -> None:
        self.ran: list[str] = []
        self.context = browser.new_context(bypass_csp=not policy)
        self.context.expose_binding("pwn", lambda source: self.ran.append(source["page"].url))
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.page.on("dialog", lambda d: self.ran.append(d.message))
        self.address = address
        self.violations: list[str] = []
        self.page.on(
            "console",
            lambda m: "Content Security Policy" in m.text and self.violations.append(m.text),
        )

    def visit(self, path: str) -> None:
        self.page.goto(self.address + path, wait_until="load")
        assert self.ran == [], (path, self.ran[:3])
        bad = self.page.evaluate(
            """() => [...document.querySelectorAll('a[href], area[href], [src], form[action]')]
            .map(e => [e.tagName, e.getAttribute('href') || e.getAttribute('src')
                       || e.getAttribute('action') || '', e.href || '', e.rel || ''])
            .filter(([tag, raw, whole, rel]) => {
                if (raw.startsWith('/') && !raw.startsWith('//')) return false;
                if (tag !== 'A' || !/^https?:/.test(raw)) return true;
                return !(rel.includes('noreferrer') && rel.includes('noopener'));
            })"""
        )
        assert bad == [], (path, bad[:3])
        handlers = self.page.evaluate(
            """() => [...document.querySelectorAll('*')].filter(
                e => [...e.attributes].some(a => /^on|^style$|^hx-on/i.test(a.name))).length"""
        )
        assert handlers == 0, path


@pytest.fixture(scope="module")
def trial(browser: Any, address: str, store: Store) -> Iterator[Trial]:
    found = Trial(browser, address, policy=False)
    sign_in(found.page, address, "an", PASSWORD)
    yield found
    found.context.close()


def payload_of(store: Store) -> dict[int, str]:
    """Return the payload that each mention carries, which is its article's title."""
    rows = store._read(
        "SELECT m.mention_key, a.title FROM mention AS m JOIN article AS a USING (article_key)"
        " ORDER BY m.mention_key"
    )
    return {r["mention_key"]: r["title"] for r in rows}


def keys(store: Store) -> list[int]:
    return list(payload_of(store))


def test_there_are_three_hundred_and_each_runs_where_nothing_is_escaped(trial: Trial) -> None:
    assert len(set(PAYLOADS)) >= COUNT
    # The control: the same browser, a page that escapes nothing, and the first ten payloads.
    page = trial.context.new_page()
    for payload in PAYLOADS[:1] + PAYLOADS[40:41] + PAYLOADS[70:71]:
        page.set_content(f"<body>{payload}</body>")
        page.wait_for_timeout(300)
        assert trial.ran, payload
        trial.ran.clear()
    page.close()


def test_lists_views_and_report_hold_all_of_them(trial: Trial, store: Store) -> None:
    for view in ("queue", "flagged", "all"):
        for part in range(1, 3):
            trial.visit(f"/queue?view={view}&part={part}")
    for page in PAGES:
        trial.visit(f"/views/{page}")
    trial.visit(f"/views/claim/{keys(store)[0]}")
    assert " ".join(PAYLOADS[0].split()) in trial.page.inner_text("table")
    trial.visit(f"/report/{WEEK}")
    shown = trial.page.inner_text("main")
    assert sum(" ".join(p.split()) in " ".join(shown.split()) for p in PAYLOADS[:COUNT]) > 280


@pytest.mark.slow(30)
def test_every_item_before_and_after_the_conclusion(
    trial: Trial, store: Store, account: Account
) -> None:
    for number, (key, payload) in enumerate(payload_of(store).items()):
        if number % 4 == 0:  # blind, as most see it
            trial.visit(f"/item/{key}?view=all")
        facts: dict[str, Any] = {
            "distortions": (),
            "cited_passages": [payload],
            "note": payload,
        }
        store.choose(account, key, Decision.REFUTED, form_token=f"c{key}", **facts)
        store.decide(
            account, key, Decision.REFUTED, form_token=f"d{key}", shown_model=True,
            decision_before_model=Decision.REFUTED, **facts,
        )  # fmt: skip
        trial.visit(f"/item/{key}?view=all")
    for path in ("/mine", "/queue?view=decided", *(f"/views/{p}" for p in PAGES)):
        trial.visit(path)


def test_drafts_and_the_ledger(trial: Trial, store: Store, account: Account) -> None:
    for number, key in enumerate(keys(store)):
        if number % 10 == 0:
            trial.visit(f"/item/{key}/draft")
        add(store, account, key, TEXTS[number])
    trial.visit("/corrections")
    for number, entry in enumerate(reversed(corrections(store))):
        resolve(store, account, entry.key, Outcome.UPHELD, TEXTS[number])
    trial.visit("/corrections")
    trial.visit(f"/report/{WEEK}")


def test_what_stands_in_an_address(trial: Trial, browser: Any, address: str) -> None:
    from urllib.parse import quote

    stranger = Trial(browser, address, policy=False)
    for payload in (*PAYLOADS[:250:50], *LINKS[:5]):
        given = quote(payload, safe="")
        stranger.visit(f"/login?next={given}")
        for path in (f"/queue?view={given[:9]}&week={given[:7]}", f"/views/{given}",
                     f"/report/{given}", f"/corrections?item={given}", f"/item/{given}"):  # fmt: skip
            trial.visit(path)
    stranger.context.close()


def test_the_written_page_without_any_policy(trial: Trial, store: Store, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(weekly_report(store, WEEK), encoding="utf-8")
    trial.page.goto(page.as_uri(), wait_until="load")
    trial.page.wait_for_timeout(300)
    assert trial.ran == []


def test_the_policy_has_nothing_to_forbid(browser: Any, address: str, store: Store) -> None:
    strict = Trial(browser, address, policy=True)
    sign_in(strict.page, address, "an", PASSWORD)
    key = keys(store)[40]
    for path in ("/queue?view=all", f"/item/{key}", "/mine", *(f"/views/{p}" for p in PAGES),
                 f"/views/claim/{key}", "/corrections", f"/item/{key}/draft", f"/report/{WEEK}"):  # fmt: skip
        strict.visit(path)
    assert strict.violations == []
    strict.context.close()
