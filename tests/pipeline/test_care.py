"""Whole backups, what status calls wrong, planted personal data, and an article that is withdrawn."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from scrapy import Request

from crawler import archive
from crawler.ledger import Kind, Ledger, Visit
from crawler.middlewares import Refused, ScopeMiddleware
from crawler.run import FetchedPage, fetched_pages, ledger_path
from kiemchung import tombstones
from kiemchung.config import Settings, load_settings
from kiemchung.domain import Batch, Decision, sha256_hex
from kiemchung.errors import KiemchungError, RecordError, StoreError
from kiemchung.store import open_store
from kiemchung.store.inbox import write_batch
from nlp.privacy import MARKS
from nlp.privacy import Kind as Personal
from pipeline import backup, stages
from pipeline.export import export
from pipeline.forget import forget
from pipeline.judging import Judge
from pipeline.runs import plan, sole
from pipeline.status import overview
from pipeline.weekly import (
    Publication,
    Stage,
    choose_outlets,
    make_plan,
    store_path,
    summarise,
    weekly,
)
from pipeline.weeks import parse_week
from tests.batches import NEW_LAW, OLD_LAW, batch
from tests.nlp.test_privacy import PLANTED, lines, planted

ROOT = Path(__file__).resolve().parents[2]
WEEK = parse_week("2026-W40")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *arguments],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Settings:
    """A data folder with a small store, a ledger and an own outlet file."""
    settings = load_settings(data_dir=tmp_path / "var", outlet_dir=tmp_path / "own")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "x.toml").write_text("# một tệp\n", encoding="utf-8")
    with open_store(store_path(settings)) as store:
        write_batch(settings.data_dir / "inbox", batch())
        assert store.merge_inbox(settings.data_dir / "inbox")
        store.add_user("an")
    ledger = Ledger(ledger_path(settings.data_dir))
    ledger.add("2026-W40-x", [Visit(key="k", url="http://a.example/1", outlet="a", kind=Kind.PAGE)])
    ledger.close()
    return settings


def counts(settings: Settings) -> tuple[dict[str, int], int]:
    with open_store(store_path(settings)) as store:
        rows = store.counts()
    ledger = Ledger(ledger_path(settings.data_dir))
    try:
        return rows, len(ledger.visits("2026-W40-x"))
    finally:
        ledger.close()


def test_a_whole_backup_comes_back_and_old_ones_go(data: Settings, tmp_path: Path) -> None:
    before = counts(data)
    history = data.data_dir / "drift" / "2026-W40.json"
    history.parent.mkdir()
    history.write_text("{}", encoding="utf-8")
    folder = tmp_path / "backups"
    at = datetime(2026, 11, 25, 1, 2, 3, tzinfo=UTC)
    made = [
        backup.back_up(data, folder, keep=2, now=at + timedelta(days=n)).path.name for n in range(3)
    ]
    assert [p.name for p in backup.kept(folder)] == made[1:]
    assert sorted(p.name for p in folder.iterdir()) == made[1:]
    last = folder / made[-1]
    assert set(backup.manifest(last)) == {
        "drift/2026-W40.json", "ledger.sqlite", "outlets/x.toml", "store.duckdb",
        "store.duckdb.sha256",
    }  # fmt: skip
    history.unlink()
    assert last.stat().st_mode & 0o077 == 0

    with open_store(store_path(data)) as store:
        store.add_user("binh")
    ledger = Ledger(ledger_path(data.data_dir))
    ledger.add("2026-W40-x", [Visit(key="l", url="http://a.example/2", outlet="a", kind=Kind.PAGE)])
    ledger.close()
    assert data.outlet_dir is not None
    (data.outlet_dir / "x.toml").write_text("# đã đổi\n", encoding="utf-8")
    done = backup.restore(data, last)
    assert set(done) == {"store", "ledger", "outlets", "drift"}
    assert history.read_text(encoding="utf-8") == "{}"
    assert counts(data) == before
    assert (data.outlet_dir / "x.toml").read_text(encoding="utf-8") == "# một tệp\n"
    kept = {p.name for p in (*data.data_dir.iterdir(), *tmp_path.iterdir())}
    for name in ("kiemchung.duckdb", "ledger.sqlite", "own"):
        assert f"{name}.before-restore-1" in kept
    assert set(backup.restore(data, last)) == {"store", "ledger"}  # the files are the same now


def test_a_changed_whole_backup_and_a_running_week_are_refused(
    data: Settings, tmp_path: Path
) -> None:
    last = backup.back_up(data, tmp_path / "backups").path
    run = plan(WEEK, ["a"], "0" * 64, data.data_dir)
    with sole(run), pytest.raises(KiemchungError, match="is being worked on"):
        backup.restore(data, last)
    (last / "outlets" / "x.toml").write_text("# khác\n", encoding="utf-8")
    with pytest.raises(StoreError, match=r"not as the manifest says: outlets/x\.toml"):
        backup.restore(data, last)
    (last / "outlets" / "x.toml").unlink()
    with pytest.raises(StoreError, match="is missing"):
        backup.restore(data, last)
    with pytest.raises(StoreError, match="no backup"):
        backup.restore(data, tmp_path)
    assert not list(data.data_dir.glob("*.before-restore-*"))


def test_a_killed_backup_leaves_nothing_that_looks_like_one(data: Settings, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from pipeline import backup;"
        "from kiemchung.config import load_settings;"
        "backup._hashes = lambda _: os.kill(os.getpid(), signal.SIGKILL);"
        "backup.back_up(load_settings(data_dir=Path(sys.argv[1])), Path(sys.argv[2]))"
    )
    folder = tmp_path / "backups"
    done = subprocess.run(
        [sys.executable, "-c", code, str(data.data_dir), str(folder)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == -9
    assert backup.kept(folder) == []
    assert len(list(folder.iterdir())) == 1
    backup.back_up(data, folder)
    assert len(list(folder.iterdir())) == 1  # and the next one cleans up


# -- status --------------------------------------------------------------------------------------


def test_status_says_what_is_due_and_what_is_wrong(data: Settings, tmp_path: Path) -> None:
    well = overview(data)
    assert (well.store, well.owner, well.wrong) == ("open", None, ())
    assert well.schema >= 5
    assert well.pending == {"2026-W40-x": 1}
    assert well.model.startswith("default ")
    assert any("to be fetched" in line for line in well.due)
    later = overview(data, now=datetime.now(UTC) + timedelta(days=30))
    assert not any("backup" in line for line in later.due)  # nobody has reviewed anything

    with open_store(store_path(data)) as store:
        account = store.authenticate("an", store.reset_password("an"))
        assert account is not None
        key = store.queue(account)[0].mention_key
        store.decide(account, key, Decision.SKIPPED, form_token="s")
        found = overview(data)
        assert found.owner == os.getpid()
        assert any("takes no requests" in line or "in use" in line for line in found.wrong)
    assert any("there is no backup" in line for line in overview(data).due)
    backup.back_up(data, backup.backups_folder(data))
    assert not any("backup" in line for line in overview(data).due)
    assert any("since" in line and "backup" in line for line in overview(
        data, now=datetime.now(UTC) + timedelta(days=30)
    ).due)  # fmt: skip

    quarantine = data.data_dir / "inbox" / "quarantine" / "r"
    quarantine.mkdir(parents=True)
    (data.data_dir / "models" / "mine").mkdir(parents=True)
    (data.data_dir / "models" / "PROMOTED").write_text("mine", encoding="utf-8")
    bad = overview(data)
    assert any("quarantined batch: r" in line for line in bad.wrong)
    assert any(line.startswith("model: ") for line in bad.wrong)
    told = command("status", "--data", str(data.data_dir), "--json")
    assert told.returncode == 2, told.stderr
    assert json.loads(told.stdout)["wrong"]
    store_path(data).write_bytes(b"damaged, and long enough to be looked at")
    assert any("no store" in line for line in overview(data).wrong)


# -- personal data -------------------------------------------------------------------------------

PAGE = (
    "<html lang='vi'><head><title>Hợp tác xã Sen Vàng</title></head><body><article>"
    "<h1>Hợp tác xã Sen Vàng họp đại hội thành viên</h1>"
    "<h2 class='sapo'>Đại hội bàn việc góp vốn của hợp tác xã trong năm nay.</h2>"
    "<div class='article-body'>{}</div></article></body></html>"
)


def texts(folder: Path) -> Iterator[str]:
    """Yield every word that lies in a data folder: shards row by row, all else as it is."""
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            yield json.dumps(pq.read_table(path).to_pylist(), default=str, ensure_ascii=False)
        elif path.is_file():
            yield path.read_bytes().decode("utf-8", "replace")


def words_of_store(path: Path) -> str:
    with open_store(path) as store:
        tables = [r["table_name"] for r in store._read("SELECT table_name FROM duckdb_tables()")]
        return json.dumps(
            {t: store._read(f"SELECT * FROM {t}") for t in tables}, default=str, ensure_ascii=False
        )


def test_planted_personal_data_reaches_neither_store_nor_logs_nor_exports(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = [(k, piece) for k, line in planted() for piece in PLANTED.findall(line)]
    kept = lines("not_personal.txt")
    paragraphs = [PLANTED.sub(r"\1", line) for _, line in planted()] + kept
    body = "".join(f"<p>{p} Hợp tác xã Sen Vàng có 312 thành viên.</p>" for p in paragraphs)
    page = PAGE.format(body + "<p>Nguyễn Văn Ẩn Danh</p>").encode()
    fetched = FetchedPage(
        url="http://a.example/1.html", final_url="http://a.example/1.html", outlet="a", status=200,
        content_type="text/html; charset=utf-8", body=page,
        fetched_at=datetime(2026, 10, 1, tzinfo=UTC), raw_sha256=sha256_hex(page),
    )  # fmt: skip
    settings = load_settings(data_dir=tmp_path / "var")
    run = plan(WEEK, ["a"], "0" * 64, settings.data_dir)
    with caplog.at_level("DEBUG"):
        stages.extract(run, [fetched], {})
        stages.analyse(run, [OLD_LAW, NEW_LAW])
        articles, mentions = stages.read_analysed(run)
        (outcome,) = stages.read_extracted(run)[1]
        some = batch()
        made = Batch(
            run=some.run, articles=tuple(articles), mentions=tuple(mentions), judgements=(),
            passages=some.passages, documents=some.documents,
        )  # fmt: skip
        write_batch(tmp_path / "inbox", made)
        with open_store(store_path(settings)) as store:
            assert store.merge_inbox(tmp_path / "inbox")
            export(store, "jsonl", out=settings.data_dir / "export.jsonl")
    (article,) = articles
    marked = [
        (re.sub(PLANTED, MARKS[Personal(kind)], line), len(PLANTED.findall(line)))
        for kind, line in planted()
    ]
    there = [n for line, n in marked if line in article.body]
    assert len(there) >= 0.95 * len(marked)  # extraction takes a line that ends like a signature
    assert sum(outcome.redactions.values()) >= sum(there) + 1
    assert outcome.redactions["author"] == 1
    everything = "\n".join(texts(settings.data_dir)) + words_of_store(store_path(settings))
    everything += caplog.text
    found = [piece for _, piece in secret if _whole(piece, everything)]
    assert found == []
    assert "Ẩn Danh" not in everything
    for line in kept:
        assert line in article.body
    for mention in mentions:
        assert article.text[mention.start : mention.end] == mention.text


def _whole(piece: str, text: str) -> bool:
    """Whether a piece stands in a text by itself: "ấp 4" may be part of another line of ours."""
    short = len(piece) < 12
    stays = "\n".join(lines("not_personal.txt"))
    return piece in text and not (short and piece.casefold() in stays.casefold())


# -- withdrawn -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def week(week_of_its_own: Callable[[str], Settings]) -> Settings:
    return week_of_its_own("care")


@pytest.mark.slow
def test_a_withdrawn_article_leaves_everything_and_the_sums_match(week: Settings) -> None:
    run = make_plan(WEEK, ["sample"], week)
    with open_store(store_path(week)) as store:
        flag = store.flags()[0]
        article = next(a for a in stages.read_analysed(run)[0] if a.url == flag.url)
        before = store.counts()
    sums = summarise(run, week, stages_run=(), published=True).accounting
    done = forget(week, flag.url, reason="yêu cầu của tác giả", who="an")
    assert done.mentions >= 1
    assert done.shards >= 4
    assert done.records >= 1
    assert done.compacted
    assert done.reports == ("2026-W40",)
    assert forget(week, article.article_id, reason="yêu cầu của tác giả", who="an").shards == 0

    sentence = re.split(r"(?<=[.!?])\s", article.body)[1]
    assert len(sentence) > 30
    for text in (*texts(week.data_dir), words_of_store(store_path(week))):
        assert sentence not in text
        assert article.title not in text
    with open_store(store_path(week)) as store:
        assert store.problems() == []
        counts_now = store.counts()
        assert counts_now["articles"] == before["articles"]
        assert counts_now["flags"] < before["flags"]
        export(store, "jsonl", out=week.data_dir / "flags.jsonl")
    assert flag.mention_id not in (week.data_dir / "flags.jsonl").read_text(encoding="utf-8")

    flags = [p.flags for p in fetched_pages(week.data_dir, run.run_id) if p.url == flag.url]
    assert flags == [("forgotten",)]
    whole = [p for p in fetched_pages(week.data_dir, run.run_id) if not p.flags]
    assert len(whole) > 40  # the records behind it are where they were
    after = summarise(run, week, stages_run=(), published=True).accounting
    assert after.mismatches() == ()
    assert (after.discovered, after.fetched) == (sums.discovered, sums.fetched)
    assert (after.stored, after.quarantined["forgotten"]) == (sums.stored - 1, 1)


@pytest.mark.slow
def test_it_stays_gone_when_the_pages_are_extracted_again(week: Settings) -> None:
    """The page is fetched once more by somebody who does not know: extraction refuses it."""
    if not tombstones.hashes(week.data_dir):  # where this test runs by itself
        with open_store(store_path(week)) as store:
            url = store.flags()[0].url
        forget(week, url, reason="yêu cầu của tác giả", who="an")
    withdrawn = tombstones.hashes(week.data_dir)
    run = make_plan(WEEK, ["sample"], week)
    outlets = choose_outlets(["sample"], week)
    pages = list(fetched_pages(week.data_dir, run.run_id))
    (gone,) = [p for p in pages if tombstones.covers(withdrawn, (p.url,))]
    other = next(p for p in pages if not p.flags and p.outlet == gone.outlet)
    fresh = plan(WEEK, ["fresh"], "0" * 64, week.data_dir)
    again = replace(other, url=gone.url, final_url=gone.url, raw_sha256="1" * 64)
    stages.extract(fresh, [other, again, gone], outlets)
    articles, outcomes = stages.read_extracted(fresh)
    assert [(o.state, o.reason) for o in outcomes[1:]] == [("quarantined", "forgotten")] * 2
    assert [a.url for a in articles] == ([other.url] if outcomes[0].state == "stored" else [])


def test_the_crawl_refuses_a_withdrawn_address_in_every_spelling() -> None:
    withdrawn = frozenset({tombstones.url_hash("http://a.example/bai-1.html")})
    scope = ScopeMiddleware(frozenset({"a.example"}), "http://127.0.0.1:1", (), "", withdrawn)
    for url in ("http://a.example/bai-1.html", "http://A.example:80/bai-1.html?utm_source=x#y"):
        with pytest.raises(Refused, match="refused: forgotten"):
            asyncio.run(scope.process_request(Request(url)))
    asyncio.run(scope.process_request(Request("http://a.example/bai-2.html")))


def test_a_damaged_tombstone_stops_everything(tmp_path: Path) -> None:
    (tmp_path / tombstones.NAME).write_text('{"url_sha256": []}\n', encoding="utf-8")
    with pytest.raises(RecordError, match=r"tombstones\.jsonl:1"):
        tombstones.hashes(tmp_path)


def test_an_overwritten_record_leaves_a_whole_file(tmp_path: Path) -> None:
    from warcio.archiveiterator import ArchiveIterator

    store = archive.Archive(tmp_path, "r")
    at = datetime(2026, 10, 1, tzinfo=UTC)
    places = []
    for number in range(3):
        body = f"<p>bí mật số {number}</p>".encode() * 50
        places.append(
            (*store.write(f"http://a/{number}", 200, [], body, at, sha256_hex(body)), body)
        )
    store.close()
    name, offset, body = places[1]
    before = (tmp_path / name).stat().st_size
    assert archive.forget(tmp_path, name, offset)
    torn = bytearray((tmp_path / name).read_bytes())
    torn[offset : offset + 40] = b"\0" * 40  # killed in the middle of overwriting
    (tmp_path / name).write_bytes(torn)
    assert archive.forget(tmp_path, name, offset)
    assert (tmp_path / name).stat().st_size == before
    with pytest.raises(KiemchungError, match="withdrawn"):
        archive.read(tmp_path, name, offset, sha256_hex(body))
    for other in (places[0], places[2]):
        assert archive.read(tmp_path, other[0], other[1], sha256_hex(other[2])).body == other[2]
    with (tmp_path / name).open("rb") as file:
        kinds = [r.rec_type for r in ArchiveIterator(file)]
    assert kinds == ["warcinfo", "response", "metadata", "response"]
    assert not archive.forget(tmp_path, "gone-00000.warc.gz", 0)


# -- retention -----------------------------------------------------------------------------------


def test_pages_of_an_unfinished_run_are_never_removed(tmp_path: Path) -> None:
    from pipeline.weekly import expire_pages

    settings = load_settings(data_dir=tmp_path, keep_pages_days=7)
    folder = tmp_path / "archive"
    old = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    runs = {}
    for name, finished in (("2026-W01-done", 3), ("2026-W01-open", 2), ("2026-W01-begun", 0)):
        body = b"<p>x</p>"
        store = archive.Archive(folder, name)
        store.write("http://a/1", 200, [], body, datetime.now(UTC), sha256_hex(body))
        store.close()
        os.utime(folder / f"{name}-00000.warc.gz", (old, old))
        runs[name] = tmp_path / "runs" / name
        runs[name].mkdir(parents=True)
        facts = {"run_id": name, "week": "2026-W01", "outlets": [], "config_sha256": "0"}
        (runs[name] / "run.json").write_text(json.dumps(facts), encoding="utf-8")
        for stage in ("extract", "analyse", "judge")[:finished]:
            (runs[name] / stage).mkdir()
            (runs[name] / stage / "stage.json").write_text("[]", encoding="utf-8")
    now = plan(WEEK, ["a"], "0" * 64, tmp_path)
    assert expire_pages(now, settings) == ["2026-W01-done-00000.warc.gz"]
    left = sorted(p.name for p in folder.glob("*.warc.gz"))
    assert left == ["2026-W01-begun-00000.warc.gz", "2026-W01-open-00000.warc.gz"]
    assert archive.expired(folder) == {"2026-W01-done-00000.warc.gz"}
    with pytest.raises(KiemchungError, match="after its time"):
        archive.read(folder, "2026-W01-done-00000.warc.gz", 0, "")
    assert WEEK.sunday > date(2026, 1, 8)


def test_pages_expire_also_where_a_server_merges_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual case: the batch lies in the inbox, and the run does not wait for the server."""
    seen: list[str] = []
    monkeypatch.setattr("pipeline.weekly.publish", lambda *_, **__: Publication(merged=False))
    monkeypatch.setattr(
        "pipeline.weekly.expire_pages", lambda run, _: seen.append(run.run_id) or []
    )
    settings = load_settings(data_dir=tmp_path)
    judge = Judge.load(settings)
    done = weekly(WEEK, outlets=["sample"], settings=settings, only=(Stage.PUBLISH,), judge_=judge)
    assert not done.published
    assert seen == [done.run_id]
