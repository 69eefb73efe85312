"""Batches on their way into the store: whole or set aside, never half."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kiemchung.domain import Difference, Distortion, sha256_hex
from kiemchung.errors import BatchError
from kiemchung.store import Store, open_store
from kiemchung.store.inbox import folder_name, read_batch, take_over, waiting, write_batch
from tests.batches import NEW_PASSAGE, batch, mention


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "k.duckdb") as opened:
        yield opened


def manifest(folder: Path) -> dict[str, object]:
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def reseal(folder: Path, table: str) -> None:
    """Make the manifest agree with a file that was changed, as a careless writer would."""
    facts = manifest(folder)
    data = (folder / f"{table}.parquet").read_bytes()
    facts["files"][table]["sha256"] = sha256_hex(data)  # type: ignore[index]
    (folder / "manifest.json").write_text(json.dumps(facts), encoding="utf-8")


def test_a_batch_is_one_folder_with_counts_and_hashes(tmp_path: Path) -> None:
    given = batch()
    folder = write_batch(tmp_path, given)
    assert folder == tmp_path / given.run.run_id
    assert sorted(p.name for p in tmp_path.iterdir()) == [given.run.run_id]
    facts = manifest(folder)
    assert facts["run_id"] == given.run.run_id
    assert facts["files"]["article"]["rows"] == len(given.articles)  # type: ignore[index]
    assert pq.read_metadata(read_batch(folder).tables["judgement"]).num_rows == len(
        given.judgements
    )
    assert waiting(tmp_path) == 1


def test_a_waiting_batch_of_the_same_run_is_replaced_whole(tmp_path: Path, store: Store) -> None:
    write_batch(tmp_path / "inbox", batch(quiet=5))
    write_batch(tmp_path / "inbox", batch(quiet=7))
    assert waiting(tmp_path / "inbox") == 1
    store.merge_inbox(tmp_path / "inbox")
    assert store.counts()["articles"] == len(batch(quiet=7).articles)


def test_left_overs_of_a_killed_writer_are_no_batch(tmp_path: Path, store: Store) -> None:
    inbox = tmp_path / "inbox"
    half = inbox / f".tmp-{batch().run.run_id}-1"
    half.mkdir(parents=True)
    (half / "article.parquet").write_bytes(b"PAR1")
    assert store.merge_inbox(inbox) == []
    write_batch(inbox, batch(quiet=2))
    assert not half.exists()
    assert store.merge_inbox(inbox) == [batch().run.run_id]


@pytest.mark.parametrize("left", [".merged-", "manifest gone"])
def test_killed_while_a_merged_batch_is_removed_nothing_is_set_aside(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    inbox = tmp_path / "inbox"
    folder = write_batch(inbox, batch())
    real = shutil.rmtree

    def killed(path: Path, **named: object) -> None:
        """Remove one file and die, as a kill would."""
        if Path(path).is_dir():
            (Path(path) / "manifest.json").unlink()
            raise SystemExit(left)

    monkeypatch.setattr("kiemchung.store.inbox.shutil.rmtree", killed)
    with pytest.raises(SystemExit):
        store.merge_inbox(inbox)
    monkeypatch.setattr("kiemchung.store.inbox.shutil.rmtree", real)
    assert not folder.exists()
    assert [p.name for p in inbox.iterdir()] == [f".merged-{folder.name}"]
    if left != ".merged-":
        write_batch(inbox, batch())  # the run that was killed is started again
    assert store.merge_inbox(inbox) == ([] if left == ".merged-" else [batch().run.run_id])
    assert list(inbox.iterdir()) == []
    assert store.counts()["runs"] == 1


def test_a_batch_taken_over_and_not_finished_is_merged_before_its_new_version(
    tmp_path: Path, store: Store
) -> None:
    inbox = tmp_path / "inbox"
    write_batch(inbox, batch(quiet=3))
    (taken,) = take_over(inbox)  # and then the owner is killed
    assert taken.name.startswith(".merging-")
    write_batch(inbox, batch(quiet=9))
    assert waiting(inbox) == 2
    run_id = batch().run.run_id
    assert store.merge_inbox(inbox) == [run_id, run_id]
    assert store.counts()["articles"] == len(batch(quiet=9).articles)
    assert list(inbox.iterdir()) == []


def test_no_run_id_leads_out_of_the_inbox(tmp_path: Path, store: Store) -> None:
    for name in ("../../etc", "a/b", "", "..", ".merging-x", "x" * 300, "tuần 40", "quarantine"):
        folder = folder_name(name)
        assert "/" not in folder
        assert not folder.startswith(".")
        assert len(folder) < 120
    odd = batch(quiet=1)
    odd = replace(
        odd,
        run=replace(odd.run, run_id="../x"),
        judgements=tuple(replace(j, run_id="../x") for j in odd.judgements),
    )
    folder = write_batch(tmp_path / "inbox", odd)
    assert folder.parent == tmp_path / "inbox"
    assert store.merge_inbox(tmp_path / "inbox") == ["../x"]


def missing(folder: Path) -> None:
    (folder / "mention.parquet").unlink()


def flipped(folder: Path) -> None:
    path = folder / "article.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(folder: Path) -> None:
    path = folder / "judgement.parquet"
    path.write_bytes(path.read_bytes()[:-40])


def no_parquet(folder: Path) -> None:
    (folder / "passage.parquet").write_bytes(b"<html>404</html>")
    reseal(folder, "passage")


def wrong_count(folder: Path) -> None:
    facts = manifest(folder)
    facts["files"]["mention"]["rows"] += 1  # type: ignore[index]
    (folder / "manifest.json").write_text(json.dumps(facts), encoding="utf-8")


def no_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def broken_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"run_id": "x"', encoding="utf-8")


def half_manifest(folder: Path) -> None:
    facts = manifest(folder)
    del facts["files"]["judgement"]  # type: ignore[attr-defined]
    (folder / "manifest.json").write_text(json.dumps(facts), encoding="utf-8")


def other_format(folder: Path) -> None:
    facts = manifest(folder) | {"format": 99}
    (folder / "manifest.json").write_text(json.dumps(facts), encoding="utf-8")


def other_columns(folder: Path) -> None:
    path = folder / "document.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["url"]), path)
    reseal(folder, "document")


def other_types(folder: Path) -> None:
    path = folder / "mention.parquet"
    table = pq.read_table(path)
    place = table.schema.get_field_index("start")
    words = pa.array(["một"] * table.num_rows)
    pq.write_table(table.set_column(place, "start", words), path)
    reseal(folder, "mention")


def other_run(folder: Path) -> None:
    facts = manifest(folder) | {"run_id": "2026-W01-other"}
    (folder / "manifest.json").write_text(json.dumps(facts), encoding="utf-8")


def unknown_label(folder: Path) -> None:
    path = folder / "judgement.parquet"
    table = pq.read_table(path)
    place = table.schema.get_field_index("label")
    words = pa.array(["TIN"] * table.num_rows)
    pq.write_table(table.set_column(place, "label", words), path)
    reseal(folder, "judgement")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (missing, "missing"),
        (flipped, "SHA-256"),
        (cut, "SHA-256"),
        (no_parquet, "no Parquet"),
        (wrong_count, "rows"),
        (no_manifest, "no manifest"),
        (broken_manifest, "unreadable manifest"),
        (half_manifest, "does not name all tables"),
        (other_format, "format"),
        (other_columns, "columns"),
        (other_types, "column types"),
        (other_run, "manifest.json names"),
        (unknown_label, "CHECK constraint"),
    ],
)
def test_a_damaged_batch_is_set_aside_with_its_reason_and_the_others_are_merged(
    store: Store, tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    inbox = tmp_path / "inbox"
    bad = write_batch(inbox, batch(week="2026-W39", quiet=3))
    good = batch(quiet=3)
    write_batch(inbox, good)
    damage(bad)
    assert store.merge_inbox(inbox) == [good.run.run_id]
    aside = inbox / "quarantine" / bad.name
    assert words in (aside / "reason.txt").read_text(encoding="utf-8")
    assert store.counts()["runs"] == 1
    assert store.problems() == []
    assert store.merge_inbox(inbox) == []  # not tried again
    # The same run once more, whole: merged; a second damaged one gets a folder of its own.
    write_batch(inbox, batch(week="2026-W39", quiet=3))
    assert len(store.merge_inbox(inbox)) == 1
    missing(write_batch(inbox, batch(week="2026-W39", quiet=3)))
    store.merge_inbox(inbox)
    assert (inbox / "quarantine" / f"{bad.name}-2").is_dir()


def test_rows_that_contradict_each_other_are_refused(store: Store, tmp_path: Path) -> None:
    given = batch(quiet=3)
    shifted = replace(given.mentions[0], start=0, end=5)
    stranger = mention(batch(flags=5).articles[4], batch(flags=5).mentions[8].text)
    far = Difference(kind=Distortion.NUMBER, claim="x", evidence="y", start=5, end=2)
    cases = {
        "does not stand at its place": replace(given, mentions=(shifted, *given.mentions[1:])),
        "names an article": replace(given, mentions=(*given.mentions, stranger)),
        "twice in the batch: article": replace(given, articles=given.articles + given.articles[:1]),
        "judged twice": replace(given, judgements=given.judgements + given.judgements[:1]),
        "names a mention": replace(given, mentions=given.mentions[1:]),
        "or a wording of it": replace(
            given, passages=(replace(NEW_PASSAGE, text="khác hẳn"), *given.passages[::2])
        ),
        "names a document": replace(given, documents=given.documents[:1]),
        "belongs to another run": replace(given, run=replace(given.run, run_id="2026-W40-y")),
        "CHECK constraint": replace(
            given,
            judgements=(replace(given.judgements[0], differences=(far,)), *given.judgements[1:]),
        ),
    }
    inbox = tmp_path / "inbox"
    for number, (words, bad) in enumerate(cases.items()):
        write_batch(inbox, bad)
        assert store.merge_inbox(inbox) == [], words
        reasons = list((inbox / "quarantine").glob("*/reason.txt"))
        assert len(reasons) == number + 1
        assert any(words in r.read_text(encoding="utf-8") for r in reasons), words
    assert store.counts()["runs"] == 0
    assert store.counts()["articles"] == 0
    assert store.problems() == []


def test_an_id_never_changes_its_text(store: Store, tmp_path: Path) -> None:
    given = batch(quiet=2)
    write_batch(tmp_path / "inbox", given)
    store.merge_inbox(tmp_path / "inbox")
    flags = store.flags()
    one = given.articles[-1]
    other = replace(one, body=one.body + " Thêm một câu.")
    write_batch(tmp_path / "inbox", replace(given, articles=(*given.articles[:-1], other)))
    assert store.merge_inbox(tmp_path / "inbox") == []
    moved = replace(given.mentions[-1], end=given.mentions[-1].end - 1)
    moved = replace(moved, text=moved.text[:-1])
    write_batch(tmp_path / "inbox", replace(given, mentions=(*given.mentions[:-1], moved)))
    assert store.merge_inbox(tmp_path / "inbox") == []
    reasons = [
        r.read_text(encoding="utf-8") for r in (tmp_path / "inbox").glob("quarantine/*/reason.txt")
    ]
    assert sum("another text" in r for r in reasons) == 1
    assert sum("another place" in r for r in reasons) == 1
    assert store.flags() == flags


def test_a_batch_without_a_claim_is_a_batch(store: Store, tmp_path: Path) -> None:
    given = replace(batch(), articles=(), mentions=(), judgements=(), passages=(), documents=())
    write_batch(tmp_path / "inbox", given)
    assert store.merge_inbox(tmp_path / "inbox") == [given.run.run_id]
    assert store.counts()["runs"] == 1


def test_the_reason_names_file_and_remedy(tmp_path: Path) -> None:
    folder = write_batch(tmp_path, batch(quiet=1))
    missing(folder)
    with pytest.raises(BatchError, match=r"mention\.parquet.*publish that run again"):
        read_batch(folder)


def test_no_inbox_is_an_empty_inbox(store: Store, tmp_path: Path) -> None:
    assert store.merge_inbox(tmp_path / "none") == []
    assert waiting(tmp_path / "none") == 0
