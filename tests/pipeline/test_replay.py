"""Every flag of the sample comes out of the archive again; what is another one now is named."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crawler import archive
from crawler.ledger import Ledger
from crawler.run import ledger_path
from kiemchung.config import Settings
from kiemchung.domain import sha256_hex
from kiemchung.store import open_store
from kiemchung.store.sources import FlagSource, flag_sources
from pipeline import stages
from pipeline.cli import app
from pipeline.code import code_sha256, tool_versions
from pipeline.replay import ARCHIVE, STORED, Replay, Replayer, replay, summary
from pipeline.weekly import store_path

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def settings(week_of_its_own: Callable[[str], Settings]) -> Settings:
    return week_of_its_own("replay")


@pytest.fixture(scope="module")
def flags(settings: Settings) -> list[FlagSource]:
    with open_store(store_path(settings)) as store:
        return flag_sources(store)


@pytest.fixture(scope="module")
def replayer(settings: Settings) -> Replayer:
    return Replayer(settings)


@pytest.fixture
def one(replayer: Replayer) -> Callable[[FlagSource], Replay]:
    """Replays a single flag, also one that was made up."""

    def run(flag: FlagSource) -> Replay:
        (found,) = replayer.run([flag])
        return found

    return run


def test_all_flags_of_the_sample_come_out_the_same_from_the_archive(
    replayer: Replayer, flags: list[FlagSource]
) -> None:
    results = list(replayer.run(flags))
    assert [r.differences for r in results if not r.same] == []
    assert [r.changed for r in results if r.changed] == []
    assert {r.source for r in results} == {ARCHIVE}
    found = summary(results)
    assert found["flags"] == found["same"] == found["from_archive"] == len(flags) >= 55


def test_a_flag_holds_what_it_was_made_of(settings: Settings, flags: list[FlagSource]) -> None:
    with open_store(store_path(settings)) as store:
        rows = {f.mention_id: f for f in store.flags()}
    assert len(rows) == len(flags)
    for flag in flags:
        row = rows[flag.mention.mention_id]
        assert row.code_sha256 == code_sha256()
        assert row.extractor_version == stages.extractor_version()
        assert len(row.model_sha256) == 64
        assert len(row.outlet_sha256) == 64
        assert row.tools == tool_versions()
        assert len(row.raw_sha256) == len(row.config_sha256) == 64
        assert flag.article.text[row.start : row.end] == row.claim
        assert all(len(e.passage_sha256) == 64 for e in row.evidence)
        for difference in row.differences:
            if difference.start >= 0:
                shown = row.claim[difference.start : difference.end]
                assert shown == difference.claim or difference.claim in shown


def test_the_page_of_every_flag_lies_in_the_archive_by_its_digest(
    settings: Settings, flags: list[FlagSource]
) -> None:
    ledger = Ledger(ledger_path(settings.data_dir))
    visits = ledger.pages_of({f.article.raw_sha256 for f in flags})
    ledger.close()
    for (digest, _), visit in visits.items():
        body = archive.read(
            settings.data_dir / "archive", visit.warc, visit.warc_offset, digest
        ).body
        assert sha256_hex(body) == digest


def test_every_difference_is_named(
    one: Callable[[FlagSource], Replay], flags: list[FlagSource]
) -> None:
    flag = flags[0]
    judgement, mention, article = flag.judgement, flag.mention, flag.article
    seen = (
        dataclasses.replace(judgement.evidence[0], passage_sha256="0" * 64),
        *judgement.evidence[1:],
    )
    assert judgement.p_refuted is not None
    assert judgement.p_nei is not None
    changes = {
        "p_refuted": dataclasses.replace(
            flag,
            judgement=dataclasses.replace(
                judgement, p_refuted=judgement.p_refuted - 2e-6, p_nei=judgement.p_nei + 2e-6
            ),
        ),
        "passages": dataclasses.replace(
            flag, judgement=dataclasses.replace(judgement, evidence=seen)
        ),
        "found": dataclasses.replace(
            flag, judgement=dataclasses.replace(judgement, differences=())
        ),
        "reference base": dataclasses.replace(
            flag, judgement=dataclasses.replace(judgement, base_version="2020.01+x")
        ),
        "model": dataclasses.replace(
            flag, judgement=dataclasses.replace(judgement, model_id="another")
        ),
        "mention: as_of": dataclasses.replace(
            flag, mention=dataclasses.replace(mention, as_of=mention.as_of.replace(year=2001))
        ),
        "article: title": dataclasses.replace(
            flag, article=dataclasses.replace(article, title=article.title[:-1] + "?")
        ),
        "span": dataclasses.replace(
            flag, article=dataclasses.replace(article, title=article.title + "?")
        ),
        "page: the ledger knows no page": dataclasses.replace(
            flag, article=dataclasses.replace(article, raw_sha256="f" * 64)
        ),
    }
    for words, changed in changes.items():
        found = one(changed)
        assert not found.same, words
        assert any(line.startswith(words) for line in found.differences), (words, found)


def test_a_difference_below_the_tolerance_is_none(
    one: Callable[[FlagSource], Replay], flags: list[FlagSource]
) -> None:
    judgement = flags[0].judgement
    assert judgement.p_refuted is not None
    near = dataclasses.replace(judgement, p_refuted=judgement.p_refuted - 5e-7)
    assert one(dataclasses.replace(flags[0], judgement=near)).same


def test_what_is_another_one_now_is_told_and_is_no_difference(
    one: Callable[[FlagSource], Replay], flags: list[FlagSource]
) -> None:
    then = dataclasses.replace(
        flags[0].provenance,
        code_sha256="0" * 64,
        extractor_version="0" * 32,
        outlets={flags[0].article.outlet: "0" * 64},
        tools=flags[0].provenance.tools | {"underthesea": "1.0"},
    )
    found = one(dataclasses.replace(flags[0], provenance=then, config_sha256="0" * 64))
    assert found.same
    starts = [line.split(":")[0] for line in found.changed]
    assert starts == [
        "code", "extractor", "configuration", f"outlet file of {flags[0].article.outlet}",
        "underthesea",
    ]  # fmt: skip


def test_other_model_files_under_the_same_name_are_a_difference(
    one: Callable[[FlagSource], Replay], flags: list[FlagSource]
) -> None:
    then = dataclasses.replace(flags[0].provenance, model_sha256="0" * 64)
    found = one(dataclasses.replace(flags[0], provenance=then))
    assert any(line.startswith("model files: 000000000000 then") for line in found.differences)


def test_the_model_of_then_is_used_though_another_is_promoted(
    settings: Settings, flags: list[FlagSource]
) -> None:
    from models import registry

    home = settings.data_dir / "models"
    shutil.copytree(registry.PLAIN, home / "plain")
    (home / "PROMOTED").write_text("plain", encoding="utf-8")
    try:
        (found,) = Replayer(settings).run(flags[:1])
    finally:
        shutil.rmtree(home)
    assert found.same, found.differences
    assert any(line.startswith("model in use:") for line in found.changed)


def test_the_threshold_of_then_is_used(settings: Settings, flags: list[FlagSource]) -> None:
    high = settings.model_copy(update={"flag_threshold": 1.0})
    (found,) = Replayer(high).run(flags[:1])
    assert found.same, found.differences
    assert any(line.startswith("threshold in use:") for line in found.changed)
    assert any(line.startswith("configuration:") for line in found.changed)


def test_a_changed_base_is_noticed(settings: Settings, flags: list[FlagSource]) -> None:
    from pipeline.judging import Judge

    judge = dataclasses.replace(Judge.load(settings), base_version="another")
    found = replay(flags[0].mention, flags[0].judgement, judge)
    assert not found.same
    assert "reference base" in found.differences[0]


# -- the command ------------------------------------------------------------------------------


def _run(settings: Settings, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(
        app, ["replay", *arguments, "--data", str(settings.data_dir)], catch_exceptions=True
    )
    return done.exit_code, done.stdout if done.stdout else str(done.exception)


def test_a_flag_is_found_by_every_name_it_has(settings: Settings, flags: list[FlagSource]) -> None:
    flag = flags[-1]
    names = (
        flag.mention.mention_id, flag.mention.mention_id[:10], flag.judgement.judgement_id,
        str(flag.mention_key),
    )  # fmt: skip
    with open_store(store_path(settings)) as store:
        for name in names:
            found = flag_sources(store, flag=name)
            assert [f.mention_key for f in found if str(f.mention_key) == name] or found == [flag]
        assert flag_sources(store, flag=flag.mention.mention_id[:5]) == []  # too short a beginning
        assert flag_sources(store, week="2026-W41") == []
        assert flag_sources(store, week="2026-W40") == flags
    code, out = _run(settings, str(flag.mention_key), "--json")
    assert code == 0
    (row,) = json.loads(out)
    assert row["mention_id"] == flag.mention.mention_id
    assert row["same"] is True
    assert row["source"] == ARCHIVE


def test_no_flag_no_answer(settings: Settings) -> None:
    assert "no flag has the id" in _run(settings, "nosuchflag")[1]
    assert "exactly one" in _run(settings)[1]
    assert "exactly one" in _run(settings, "x", "--all")[1]


def test_a_damaged_record_is_named_and_the_exit_code_is_1(
    settings: Settings, flags: list[FlagSource]
) -> None:
    ledger = Ledger(ledger_path(settings.data_dir))
    (visit,) = ledger.pages_of({flags[0].article.raw_sha256}).values()
    ledger.close()
    path = settings.data_dir / "archive" / visit.warc
    whole = path.read_bytes()
    data = bytearray(whole)
    data[visit.warc_offset + 60] ^= 1
    path.write_bytes(data)
    try:
        code, out = _run(settings, flags[0].mention.mention_id, "--json")
    finally:
        path.write_bytes(whole)
    (row,) = json.loads(out)
    assert code == 1
    assert row["source"] == STORED
    assert "archive_damaged" in row["differences"][0]
    assert visit.warc in row["differences"][0]


def test_an_expired_page_is_told_and_the_stored_article_replayed(
    week_of_its_own: Callable[[str], Settings],
) -> None:
    settings = week_of_its_own("expired")
    folder = settings.data_dir / "archive"
    names = [p.name for p in folder.glob("*.warc.gz")]
    (folder / "expired.txt").write_text("".join(f"{n}\n" for n in names), encoding="utf-8")
    for name in names:
        (folder / name).unlink()
    code, out = _run(settings, "--all", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["same"] == found["from_stored_article"] == found["flags"] >= 55
    assert all("archive_expired" in r["notes"][0] for r in found["results"])


def test_all_of_a_week(settings: Settings) -> None:
    code, out = _run(settings, "--all", "--week", "2026-W41", "--json")
    assert (code, json.loads(out)["flags"]) == (0, 0)


def test_a_folder_without_a_store_is_a_mistake(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["replay", "all", "--data", str(tmp_path)])
    assert done.exit_code == 1
    assert "no store" in str(done.exception)


# -- what a run is made of ----------------------------------------------------------------------


def test_a_stage_of_another_program_is_not_published(
    week_of_its_own: Callable[[str], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    from kiemchung.errors import AccountingError
    from pipeline.demo import main as demo
    from pipeline.judging import Judge
    from pipeline.weekly import Stage, made_of, make_plan, weekly

    settings = week_of_its_own("other-program")
    run = make_plan(demo.WEEK, ["sample"], settings)
    before = {p.name for p in run.stage("judge").glob("*.parquet")}
    judge = Judge.load(settings)
    assert made_of(run, judge).code_sha256 == code_sha256()
    with pytest.raises(AccountingError, match=r"stage judge .* another model_sha256"):
        made_of(run, dataclasses.replace(judge, model_sha256="0" * 64))
    monkeypatch.setattr("pipeline.weekly.program_version", lambda: "another")
    monkeypatch.setattr("pipeline.handover.program_version", lambda: "another")
    monkeypatch.setattr("pipeline.analysing.text_version", lambda: "another")
    monkeypatch.setattr("pipeline.verdicts.verdict_version", lambda: "another")
    with pytest.raises(AccountingError, match=r"stage analyse .* another program"):
        made_of(run, judge)
    only = (Stage.ANALYSE, Stage.JUDGE)
    weekly(demo.WEEK, outlets=["sample"], settings=settings, only=only, judge_=judge)
    after = {p.name for p in run.stage("judge").glob("*.parquet")}
    assert not before & after  # shards of another program are not taken up
    assert made_of(run, judge).model_sha256 == judge.model_sha256
