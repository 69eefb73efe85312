"""Which past decisions a change of the reference base touches."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dashboards.touched import Change, Touched, touched
from kiemchung import reference
from kiemchung.domain import Decision, Passage
from kiemchung.store import DecidedPassage, open_store
from kiemchung.store.inbox import write_batch
from pipeline.cli import app
from tests.batches import batch

BASE = reference.load()
CLAIM = "Mỗi thành viên được góp không quá 30% vốn điều lệ của hợp tác xã."
CAP = next(p for p in BASE.passages if p.passage_id == "coop.capital_cap.2023")


def decided(passage: Passage = CAP, key: int = 7) -> DecidedPassage:
    return DecidedPassage(
        mention_key=key,
        text=CLAIM,
        as_of=date(2025, 3, 1),
        decision=Decision.SUPPORTED,
        passage_id=passage.passage_id,
        sha256=passage.sha256,
        passage_text=passage.text,
    )


def changes(passages: list[Passage], *items: DecidedPassage) -> list[Touched]:
    return touched(items or (decided(),), passages, BASE.documents)


def others() -> list[Passage]:
    return [p for p in BASE.passages if p.passage_id != CAP.passage_id]


def test_the_base_as_it_was_touches_nothing() -> None:
    assert changes(list(BASE.passages)) == []
    assert touched((), BASE.passages, BASE.documents) == []


def test_changed_words_are_shown_before_and_now() -> None:
    new = replace(CAP, text=CAP.text.replace("30%", "35%"))
    (found,) = changes([*others(), new])
    assert (found.change, found.mention_key, found.decision) == (
        Change.CHANGED,
        7,
        Decision.SUPPORTED,
    )
    assert "30%" in found.before
    assert "35%" in found.now


def test_a_changed_validity_counts_as_well() -> None:
    ended = replace(CAP, valid_to=date(2026, 1, 1))
    (found,) = changes([*others(), ended])
    assert found.change is Change.CHANGED
    assert found.before == found.now


def test_a_passage_that_is_gone_is_named() -> None:
    (found,) = changes(others())
    assert (found.change, found.now) == (Change.REMOVED, "")


def test_a_passage_added_since_is_found() -> None:
    newer = replace(CAP, passage_id="coop.capital_cap.2025", text=CAP.text.replace("30%", "40%"))
    (found,) = changes([*BASE.passages, newer])
    assert (found.change, found.passage_id) == (Change.NEW, "coop.capital_cap.2025")
    assert found.before == ""


def test_a_passage_no_longer_on_point_is_named() -> None:
    narrowed = replace(CAP, excludes=(*CAP.excludes, "không quá"))
    held = decided(narrowed)
    (found,) = changes([*others(), narrowed], held)
    assert found.change is Change.NO_LONGER_ON_POINT


def test_each_decision_is_listed_once_in_order() -> None:
    found = changes(others(), decided(key=3), decided(key=9))
    assert [t.mention_key for t in found] == [3, 9]


def test_the_command_lists_decisions_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "var"
    data.mkdir()
    write_batch(data / "inbox", batch())
    with open_store(data / "kiemchung.duckdb") as store:
        store.merge_inbox(data / "inbox")
        account = store.authenticate("an", store.add_user("an", role="reviewer"))
        assert account is not None
        key = store.queue(account, view="flagged")[0].mention_key
        item = store.item(key)
        assert item is not None
        shown = [p.passage.passage_id for p in item.passages if p.on_point]
        store.decide(account, key, Decision.REFUTED, form_token="t", cited_passages=shown[:1])
        held = store.decided_passages()
    assert [d.passage_id for d in held] == shown
    assert {(d.mention_key, d.decision) for d in held} == {(key, Decision.REFUTED)}
    done = CliRunner().invoke(app, ["reference", "reviews", "--data", str(data), "--json"])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    # The batch was judged with passages of its own, none of which the shipped base has.
    assert {r["change"] for r in rows} >= {"removed"}
    assert {r["mention_key"] for r in rows} == {key}
