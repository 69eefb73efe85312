"""Open claims are judged anew; what people concluded is not touched."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kiemchung.config import Settings
from kiemchung.domain import Decision
from kiemchung.errors import KiemchungError
from kiemchung.store import Store, inbox, open_store, requests
from kiemchung.store.rows import Account
from models import registry
from pipeline import rejudging
from pipeline.cli import app
from pipeline.judging import Judge
from pipeline.runs import AGAIN
from pipeline.weekly import store_path

Again = Callable[[], Settings]


@pytest.fixture
def settings(
    week_of_its_own: Callable[[str], Settings],
) -> Settings:
    made = week_of_its_own("again")
    with open_store(store_path(made)) as store:
        store.merge_inbox(made.data_dir / "inbox")
    return made


@pytest.fixture(scope="module")
def other(finished_week: Path) -> Judge:
    """A judge with another model and a threshold that nothing reaches: no flag is left."""
    from kiemchung.config import load_settings

    found = Judge.load(load_settings(data_dir=finished_week), model_dir=registry.PLAIN)
    return replace(found, threshold=1.0)


def facts(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """Everything that people wrote, and what they saw."""
    with store._cursor() as cursor:
        return {
            table: cursor.execute(f"SELECT * FROM {table} ORDER BY ALL").fetchall()
            for table in ("review", "blind_choice", "review_copy", "review_citation", "account",
                          "audit")
        }  # fmt: skip


def _account(store: Store) -> Account:
    """Return the account of the sample's reviewer."""
    (row,) = store._read("SELECT account_key, name, role FROM account ORDER BY 1 LIMIT 1")
    return Account(key=row["account_key"], name=row["name"], role=row["role"], must_change=False)


def decide_one(settings: Settings) -> str:
    """Conclude the first flag of the queue; return its mention's id."""
    with open_store(store_path(settings)) as store:
        account = _account(store)
        entry = next(e for e in store.queue(account) if e.flagged)
        item = store.item(entry.mention_key)
        assert item is not None
        assert item.judgement is not None
        shown = [e.passage_id for e in item.judgement.evidence][:1]
        store.decide(
            account, entry.mention_key, Decision.REFUTED, form_token="a", cited_passages=shown,
            shown_model=True,
        )  # fmt: skip
        return item.mention.mention_id


def test_open_claims_are_judged_anew_and_decided_ones_stay(
    settings: Settings, other: Judge
) -> None:
    decided = decide_one(settings)
    path = store_path(settings)
    with open_store(path) as store:
        before = facts(store)
        old = {m.mention_id: j for m, j in store.judged_mentions()}
        flags = sum(j.flagged for j in old.values())
    done = rejudging.rejudge(settings, judge_=other)
    with open_store(path) as store:
        now = {m.mention_id: j for m, j in store.judged_mentions()}
        assert facts(store) == before
        assert store.problems() == []
        assert now.keys() == old.keys()
        assert now[decided] == old[decided]
        anew = [i for i in now if now[i].model_id == other.model.model_id]
        assert len(anew) == done.judged > 0
        assert decided not in anew
        assert all(AGAIN in now[i].run_id for i in anew)
        assert sum(j.flagged for j in now.values()) == flags - done.lost + done.gained
        assert done.lost > 0
        assert not any(e.flagged and e.decision is None for e in store.queue(_account(store)))
        saw = {r.mention_id: r.judgement_id for r in store.reviews()}
        assert saw[decided] == old[decided].judgement_id
        runs = store.runs()
    # A second time there is nothing to do, and the store is as it was.
    again = rejudging.rejudge(settings, judge_=other)
    assert again.runs == ()
    assert again.judged == 0
    assert again.same == done.judged
    with open_store(path) as store:
        assert store.runs() == runs
    # And back: the judgements of then have the word again, none is stored twice.
    with open_store(path) as store:
        count = len(store._read("SELECT judgement_id FROM judgement"))
    first = Judge.load(settings)
    back = rejudging.rejudge(settings, judge_=first)
    assert (back.judged, back.gained, back.lost) == (done.judged, done.lost, done.gained)
    with open_store(path) as store:
        assert len(store._read("SELECT judgement_id FROM judgement")) == count
        found = {m.mention_id: j for m, j in store.judged_mentions()}
    assert {i: replace(j, run_id="") for i, j in found.items()} == {
        i: replace(j, run_id="") for i, j in old.items()
    }


def test_killed_in_the_middle_nothing_is_doubled(
    settings: Settings, other: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rejudging, "_merge", killed)
        with pytest.raises(KeyboardInterrupt):
            rejudging.rejudge(settings, judge_=other)
    assert inbox.waiting(settings.data_dir / "inbox") == 1
    decide_one(settings)  # opens the store without merging: the batch is of before the conclusion
    shutil.rmtree(settings.data_dir / "inbox")
    done = rejudging.rejudge(settings, judge_=other)  # one mention less than before
    with open_store(store_path(settings)) as store:
        rows = store._read(
            "SELECT mention_key FROM run_judgement JOIN run USING (run_key)"
            f" WHERE contains(run_id, '{AGAIN}')"
        )
        assert len(rows) == len({r["mention_key"] for r in rows}) == done.judged
        assert store.problems() == []
    assert [p.name for p in (settings.data_dir / rejudging.FOLDER).iterdir()] == [".lock"]


def test_what_is_concluded_meanwhile_is_left_out(
    settings: Settings, other: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided: list[str] = []
    real = rejudging.stages.judge

    def judged(*given: object, **more: object) -> None:
        real(*given, **more)  # type: ignore[arg-type]
        decided.append(decide_one(settings))

    monkeypatch.setattr(rejudging.stages, "judge", judged)
    with open_store(store_path(settings)) as store:
        old = {m.mention_id: j for m, j in store.judged_mentions()}
    done = rejudging.rejudge(settings, judge_=other)
    with open_store(store_path(settings)) as store:
        now = {m.mention_id: j for m, j in store.judged_mentions()}
        assert store.problems() == []
    assert now[decided[0]] == old[decided[0]]
    assert done.judged == sum(j.model_id == other.model.model_id for j in now.values()) > 0
    assert done.judged + 1 <= len(now)


def test_a_server_is_asked_and_merges(settings: Settings, other: Judge) -> None:
    from threading import Event, Thread

    path, stop = store_path(settings), Event()
    with open_store(path) as store:

        def serve() -> None:
            while not stop.wait(0.02):
                requests.serve_once(path, rejudging.handlers(store, settings))

        helper = Thread(target=serve)
        helper.start()
        try:
            # The owner is this very process, which would ask itself: another number stands for it.
            real = requests.ask
            rejudging.requests.ask = lambda *a, **k: real(*a, **(k | {"pid": 1}))  # type: ignore[assignment]
            done = rejudging.rejudge(settings, judge_=other)
            assert not done.merged
            with pytest.raises(KiemchungError, match="wait to be merged"):
                rejudging.rejudge(settings, judge_=other)
            assert store.merge_inbox(settings.data_dir / "inbox") == list(done.runs)
            assert rejudging.rejudge(settings, judge_=other).judged == 0
        finally:
            rejudging.requests.ask = real
            stop.set()
            helper.join()


def test_the_command_says_what_it_did(settings: Settings) -> None:
    home = settings.data_dir / "models"
    shutil.copytree(registry.PLAIN, home / "plain")
    (home / "PROMOTED").write_text("plain", encoding="utf-8")
    done = CliRunner().invoke(app, ["rejudge", "--data", str(settings.data_dir), "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["merged"]
    assert told["judged"] > 0
    with open_store(store_path(settings)) as store:
        assert store.runs()[-1].model_id == registry.verify(registry.PLAIN).model_id
