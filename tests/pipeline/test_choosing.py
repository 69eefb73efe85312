"""What to label next, from files and from a store; origin plays no part."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kiemchung.domain import Batch, Decision
from kiemchung.errors import InputError, RecordError
from kiemchung.sealed import read_sealed
from kiemchung.store import Store, open_store
from kiemchung.store.audited import audited
from kiemchung.store.inbox import write_batch
from kiemchung.store.unasked import unasked
from models import registry
from pipeline import choosing
from pipeline.cli import app
from tests.batches import NEW_PASSAGE, batch, judgement


def judged(**given: object) -> Batch:
    """A batch whose unflagged claims had a passage on point."""
    made = batch(**given)  # type: ignore[arg-type]
    by_id = {m.mention_id: m for m in made.mentions}
    return replace(
        made,
        judgements=tuple(
            j if j.flagged or j.label is None
            else judgement(by_id[j.mention_id], run_id=j.run_id, shown=(NEW_PASSAGE,))
            for j in made.judgements
        ),
    )  # fmt: skip


def filled(folder: Path, given: Batch) -> Store:
    store = open_store(folder / "kiemchung.duckdb", double_share=0.0)
    write_batch(folder / "inbox", given)
    assert store.merge_inbox(folder / "inbox")
    return store


def test_what_waits_is_neither_flagged_nor_drawn_nor_decided(tmp_path: Path) -> None:
    with filled(tmp_path, judged(flags=4, copies=2, quiet=40)) as store:
        waiting = unasked(store)
        keys = {u.mention_key for u in waiting}
        assert waiting
        assert len({u.claim_id for u in waiting}) == len(waiting)
        asked = {int(r["mention_key"]) for r in store._read("SELECT mention_key FROM selection")}
        assert asked
        assert not keys & asked
        person = store.authenticate("an", store.add_user("an", role="reviewer"))
        assert person is not None
        store.decide(person, waiting[0].mention_key, Decision.NOT_ENOUGH_INFO, form_token="1")
        left = unasked(store)
        assert {u.claim_id for u in left} == {u.claim_id for u in waiting[1:]}
        assert unasked(store, week="2019-W01") == []


def test_the_same_claims_from_other_outlets_are_chosen_alike(tmp_path: Path) -> None:
    """Outlet, title and address change; what is chosen does not."""
    given = judged(flags=2, copies=1, quiet=40)
    other = replace(
        given,
        articles=tuple(
            replace(a, outlet=f"khac-{i % 3}", url=f"https://khac.example/{i}")
            for i, a in enumerate(given.articles)
        ),
    )
    model = registry.load(registry.PLAIN)
    lists = []
    for name, one in (("a", given), ("b", other)):
        with filled(tmp_path / name, one) as store:
            waiting = choosing.of_store(store, None)
            found = choosing.chosen(
                waiting, model, 8, strategy="cluster", seed=3, random_share=0.25
            )
            lists.append([(r["mention_id"], r["reason"], r["probability"]) for r in found["rows"]])
    assert lists[0] == lists[1]
    assert Counter(reason for _, reason, _ in lists[0]) == {"random": 2, "cluster": 6}
    text = json.dumps(found)
    assert "outlet" not in text
    assert "khac" not in text


def test_pairs_of_a_file_by_the_command(tmp_path: Path) -> None:
    pool, done = tmp_path / "pool.jsonl", tmp_path / "done.jsonl"
    rows = [
        {"id": f"p{i}", "claim": f"Hợp tác xã có {i} thành viên.", "label": "NEI",
         "evidence": "Hợp tác xã do ít nhất 5 thành viên chính thức tự nguyện thành lập."}
        for i in range(1, 31)
    ]  # fmt: skip
    pool.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    done.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows[:10]), "utf-8")
    out = tmp_path / "next.json"
    asked = ["data", "choose", "--jsonl", str(pool), "--labelled", str(done), "--out", str(out),
             "-n", "6", "--strategy", "weighted", "--seed", "2", "--json",
             "--model", str(registry.PLAIN)]  # fmt: skip
    first = CliRunner().invoke(app, asked)
    assert first.exit_code == 0, first.output
    kept = read_sealed(out, remedy="")
    names = [r["id"] for r in kept["rows"]]
    assert len(set(names)) == 6
    assert kept["candidates"] == 20
    assert not {f"p{i}" for i in range(1, 11)} & set(names)
    assert all(0.0 < r["probability"] <= 1.0 for r in kept["rows"])
    again = CliRunner().invoke(app, asked)
    assert json.loads(again.stdout)["rows"] == kept["rows"]


def test_a_pool_that_is_cut_keeps_the_probability_of_the_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting = [
        choosing.Waiting(name=str(i), claim=f"Có {i} hộ.", evidence="Có 5 hộ.", facts={"id": i})
        for i in range(20)
    ]
    monkeypatch.setattr(choosing, "MOST", 10)
    found = choosing.chosen(
        waiting, registry.load(registry.PLAIN), 5, strategy="random", seed=0, random_share=1.0
    )
    assert (found["candidates"], found["scored"]) == (20, 10)
    assert {r["probability"] for r in found["rows"]} == {0.25}  # 5 of 10, of one half


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"claim": "a", "evidence": "b"}\n{"claim": "a"}\n', "utf-8")
    with pytest.raises(RecordError, match=r"bad\.jsonl:2"):
        choosing.read_waiting(bad)
    with pytest.raises(InputError, match="no pair waits"):
        choosing.chosen(
            [], registry.load(registry.PLAIN), 1, strategy="margin", seed=0, random_share=0.2
        )


def test_the_audited_sample_is_what_was_selected_and_concluded(tmp_path: Path) -> None:
    with filled(tmp_path, judged(flags=4, copies=2, quiet=60)) as store:
        assert audited(store) == []
        person = store.authenticate("an", store.add_user("an", role="reviewer"))
        assert person is not None
        queue = store.queue(person)
        drawn = [e for e in queue if e.sampled]
        flagged = [e for e in queue if e.flagged]
        assert drawn
        for number, entry in enumerate([*drawn, flagged[0]]):
            store.decide(
                person, entry.mention_key, Decision.NOT_ENOUGH_INFO, form_token=str(number)
            )
        store.decide(person, flagged[1].mention_key, Decision.UNCHECKABLE, form_token="last")
        rows = audited(store)
        answered = [e for e in drawn if e.p_refuted is not None]  # the others: no probabilities
        assert answered
        assert sorted(w for _, _, w in rows) == [0.05] * len(answered) + [1.0]
        assert {y for _, y, _ in rows} == {2}
        assert all(abs(sum(p) - 1.0) < 1e-9 for p, _, _ in rows)
