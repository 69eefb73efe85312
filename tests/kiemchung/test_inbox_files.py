"""The inbox as folders and files alone: written whole, taken over once, refused with a reason."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kiemchung.domain import digest, sha256_hex
from kiemchung.errors import BatchError
from kiemchung.shards import from_table
from kiemchung.store import inbox as module
from kiemchung.store.inbox import (
    MANIFEST,
    TABLES,
    discard,
    folder_name,
    quarantine,
    read_batch,
    take_over,
    waiting,
    write_batch,
)
from tests.batches import batch

GIVEN = batch(flags=1, copies=1, quiet=2)
RUN = GIVEN.run.run_id
AGAIN = "publish that run again; its shards are still there"
SAME = "use the same version of the program on both sides"


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def manifest(folder: Path) -> Any:
    return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))


def put(folder: Path, facts: Any) -> None:
    (folder / MANIFEST).write_text(json.dumps(facts), encoding="utf-8")


def test_a_batch_is_its_tables_and_a_manifest_that_a_person_can_read(tmp_path: Path) -> None:
    folder = write_batch(tmp_path / "new" / "inbox", GIVEN)
    assert folder == tmp_path / "new" / "inbox" / RUN
    assert names(folder) == sorted(["manifest.json", *(f"{t}.parquet" for t in TABLES)])
    held = {
        "run": (GIVEN.run,), "document": GIVEN.documents, "passage": GIVEN.passages,
        "article": GIVEN.articles, "mention": GIVEN.mentions, "judgement": GIVEN.judgements,
    }  # fmt: skip
    assert set(held) == set(TABLES)
    facts = manifest(folder)
    assert facts["format"] == 1
    assert facts["run_id"] == RUN
    for table, rows in held.items():
        path = folder / f"{table}.parquet"
        assert tuple(from_table(pq.read_table(path), TABLES[table])) == rows
        assert facts["files"][table] == {
            "file": path.name, "rows": len(rows), "sha256": sha256_hex(path.read_bytes()),
        }  # fmt: skip
    text = (folder / MANIFEST).read_text(encoding="utf-8")
    assert text == json.dumps(facts, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    found = read_batch(folder)
    assert found.run_id == RUN
    assert found.tables == {t: folder / f"{t}.parquet" for t in TABLES}  # none had to be cast


def test_letters_of_a_run_stand_in_the_manifest_as_they_are(tmp_path: Path) -> None:
    odd = replace(GIVEN, run=replace(GIVEN.run, run_id="tuần 40"))
    folder = write_batch(tmp_path, odd)
    assert folder.name == f"run-{digest('tuần 40')}"
    assert "tuần 40" in (folder / MANIFEST).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("run_id", "kept"),
    [
        ("2026-W40-x", True), ("a", True), ("A.b_c-9", True), ("x" * 100, True),
        ("x" * 101, False), ("", False), (".a", False), ("-a", False), ("_a", False),
        ("a/b", False), ("a b", False), ("a\n", False), ("quarantine", False), ("tuần", False),
    ],
)  # fmt: skip
def test_only_plain_names_become_folders(run_id: str, kept: bool) -> None:
    assert folder_name(run_id) == (run_id if kept else f"run-{digest(run_id)}")


def test_everything_is_on_disk_before_the_name_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is flushed before it is renamed, the inbox after; a reader sees all or nothing."""
    seen: list[tuple[str, list[str]]] = []
    plain = module.fsync_folder

    def note(path: Path) -> None:
        plain(path)
        seen.append((path.name, names(path)))

    monkeypatch.setattr(module, "fsync_folder", note)
    write_batch(tmp_path, GIVEN)
    (temporary, inside), (inbox, there) = seen
    assert temporary == f".tmp-{RUN}-{os.getpid()}"
    assert MANIFEST in inside
    assert inbox == tmp_path.name
    assert there == [RUN]


def test_a_folder_is_flushed_and_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handles = Path("/proc/self/fd")
    if not handles.is_dir():
        pytest.skip("no /proc here")
    done: list[Path] = []
    monkeypatch.setattr(module.os, "fsync", lambda n: done.append((handles / str(n)).readlink()))
    before = len(list(handles.iterdir()))
    module.fsync_folder(tmp_path)
    assert done == [tmp_path]
    assert len(list(handles.iterdir())) == before


def test_a_writer_clears_up_after_its_like_and_replaces_what_waits(tmp_path: Path) -> None:
    other = tmp_path / ".tmp-2026-W01-other-7"
    left = tmp_path / f".tmp-{RUN}-7"
    for folder in (other, left):
        folder.mkdir(parents=True)
        (folder / "half").write_bytes(b"x")
    write_batch(tmp_path, GIVEN)
    write_batch(tmp_path, replace(GIVEN, articles=GIVEN.articles[:1], mentions=(), judgements=()))
    assert names(tmp_path) == [other.name, RUN]
    assert manifest(tmp_path / RUN)["files"]["article"]["rows"] == 1


def test_nothing_waits_where_there_is_no_inbox(tmp_path: Path) -> None:
    assert take_over(tmp_path / "none") == []
    assert waiting(tmp_path / "none") == 0
    assert take_over(tmp_path) == []


def test_what_was_taken_before_comes_first_and_keeps_its_new_version_waiting(
    tmp_path: Path,
) -> None:
    for run in ("b", "a"):
        write_batch(tmp_path, replace(GIVEN, run=replace(GIVEN.run, run_id=run)))
    (tmp_path / "a file").write_text("no batch", encoding="utf-8")
    (tmp_path / "quarantine" / "bad").mkdir(parents=True)
    (tmp_path / ".tmp-c-1").mkdir()
    assert waiting(tmp_path) == 2
    taken = take_over(tmp_path)
    assert taken == [tmp_path / ".merging-a", tmp_path / ".merging-b"]
    assert waiting(tmp_path) == 2  # not merged yet
    discard(taken[1])
    for run in ("a", "0", "b"):
        write_batch(tmp_path, replace(GIVEN, run=replace(GIVEN.run, run_id=run)))
    assert waiting(tmp_path) == 4
    merging = [tmp_path / f".merging-{run}" for run in ("a", "0", "b")]
    assert take_over(tmp_path) == merging
    assert names(tmp_path) == [
        *sorted(p.name for p in merging), ".tmp-c-1", "a", "a file", "quarantine",
    ]  # fmt: skip
    discard(tmp_path / ".merging-b")
    discard(tmp_path / ".merging-a")
    assert take_over(tmp_path) == [tmp_path / ".merging-0", tmp_path / ".merging-a"]


def test_what_an_owner_left_while_removing_it_is_no_batch(tmp_path: Path) -> None:
    write_batch(tmp_path, GIVEN)
    (taken,) = take_over(tmp_path)
    for name in (f".merged-{RUN}", ".merged-other"):  # killed half way, twice
        (tmp_path / name).mkdir()
        (tmp_path / name / "mention.parquet").write_bytes(b"x")
    assert waiting(tmp_path) == 1
    discard(taken)
    assert names(tmp_path) == [".merged-other"]
    assert waiting(tmp_path) == 0
    assert take_over(tmp_path) == []
    assert names(tmp_path) == []


def test_parts_of_a_table_are_joined_in_order() -> None:
    parts = [pa.table({"n": list(range(a, b))}) for a, b in ((0, 2), (2, 3), (3, 7), (7, 8))]
    found = [t.column("n").to_pylist() for t in module.joined(parts, 3)]
    assert found == [[0, 1, 2], [3, 4, 5, 6], [7]]
    assert [t.num_rows for t in module.joined(parts[:2], 3)] == [3]
    assert list(module.joined([], 3)) == []
    assert module.ROWS_OF_A_GROUP == 10_000


def test_a_batch_that_is_replaced_this_moment_comes_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run in ("a", "b"):
        write_batch(tmp_path, replace(GIVEN, run=replace(GIVEN.run, run_id=run)))
    rename = Path.rename

    def gone(self: Path, target: Path) -> Path:
        if self.name == "a":
            raise FileNotFoundError(self)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", gone)
    assert take_over(tmp_path) == [tmp_path / ".merging-b"]


def test_a_batch_set_aside_is_whole_beside_its_reason(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        write_batch(tmp_path, GIVEN)
        (taken,) = take_over(tmp_path)
        aside = quarantine(tmp_path, taken, f"lý do {number}")
        assert aside == tmp_path / "quarantine" / (RUN if number == 1 else f"{RUN}-{number}")
        assert (aside / "reason.txt").read_text(encoding="utf-8") == f"lý do {number}\n"
        assert len(names(aside)) == len(TABLES) + 2
    assert waiting(tmp_path) == 0
    assert take_over(tmp_path) == []


def refused(folder: Path) -> BatchError:
    with pytest.raises(BatchError) as caught:
        read_batch(folder)
    return caught.value


def test_each_refusal_names_file_cause_and_remedy(tmp_path: Path) -> None:
    folder = write_batch(tmp_path, GIVEN)
    whole, facts = (folder / "mention.parquet").read_bytes(), manifest(folder)
    mention, page = str(folder / "mention.parquet"), str(folder / MANIFEST)

    def said() -> tuple[str, str, str]:
        error = refused(folder)
        return error.message.split(":")[0], error.where, error.remedy

    (folder / "mention.parquet").unlink()
    assert said() == ("missing", mention, AGAIN)
    (folder / "mention.parquet").write_bytes(whole[:-1])
    found = refused(folder)
    assert found.message == (
        f"SHA-256 is {sha256_hex(whole[:-1])}, manifest.json says {sha256_hex(whole)}"
    )
    assert (found.where, found.remedy) == (mention, AGAIN)
    (folder / "mention.parquet").write_bytes(whole)
    read_batch(folder)

    changed = json.loads(json.dumps(facts))
    changed["files"]["mention"]["rows"] += 1
    put(folder, changed)
    rows = len(GIVEN.mentions)
    assert said() == (f"{rows} rows, manifest.json says {rows + 1}", mention, AGAIN)
    entry = facts["files"]["mention"]
    for wrong in ({"rows": 1}, {"sha256": "x"}, None, [], entry | {"more": 1}):
        changed["files"]["mention"] = wrong
        put(folder, changed)
        assert said() == (
            "manifest.json has to say file, rows and sha256, and no more", mention, AGAIN
        )  # fmt: skip
    changed["files"]["mention"] = entry | {"file": "mentjon.parquet"}  # one bit
    put(folder, changed)
    assert said() == ("manifest.json says 'mentjon.parquet'", mention, AGAIN)

    for other, words, remedy in (
        ({"format": 2}, "manifest format 2, this program reads 1", SAME),
        ({"run_id": 5}, "the manifest does not name all tables", AGAIN),
        ({"files": []}, "the manifest does not name all tables", AGAIN),
        ({"files": {"run": {}}}, "the manifest does not name all tables", AGAIN),
        ({"files": facts["files"] | {"more": {}}}, "the manifest does not name all tables", AGAIN),
    ):
        put(folder, facts | other)
        assert said() == (words, page, remedy)
    put(folder, facts | {"run_id": "another"})
    error = refused(folder)
    assert error.message == f"the run table holds [{RUN!r}], manifest.json names 'another'"
    assert (error.where, error.remedy) == (str(folder), AGAIN)
    for text in ("{", "[]", '{"run_id": "x"}', "null"):
        (folder / MANIFEST).write_text(text, encoding="utf-8")
        assert said() == ("unreadable manifest", page, "")
    (folder / MANIFEST).unlink()
    assert said() == ("no manifest", page, AGAIN)


def reseal(folder: Path, table: str, written: pa.Table | bytes) -> Path:
    path = folder / f"{table}.parquet"
    if isinstance(written, bytes):
        path.write_bytes(written)
    else:
        pq.write_table(written, path)
    facts = manifest(folder)
    facts["files"][table]["sha256"] = sha256_hex(path.read_bytes())
    put(folder, facts)
    return path


def test_a_sealed_file_of_another_shape_is_refused_and_a_wider_type_is_cast(tmp_path: Path) -> None:
    folder = write_batch(tmp_path, GIVEN)
    plain = pq.read_table(folder / "mention.parquet")
    path = reseal(folder, "mention", b"<html>")
    error = refused(folder)
    assert error.message.startswith("no Parquet: ")
    assert (error.where, error.remedy) == (str(path), AGAIN)
    reseal(folder, "mention", plain.drop_columns(["claim_id"]))
    error = refused(folder)
    assert error.message.startswith("columns [")
    assert "claim_id" in error.message.split("expected")[1]
    assert (error.where, error.remedy) == (str(path), SAME)
    at = plain.schema.get_field_index("start")
    words = pa.array(["một"] * plain.num_rows)
    reseal(folder, "mention", plain.set_column(at, "start", words))
    error = refused(folder)
    assert error.message.startswith("other column types: ")
    assert error.where == str(path)
    short = plain.column("start").cast(pa.int16())
    reseal(folder, "mention", plain.set_column(at, "start", short))
    cast = read_batch(folder).tables["mention"]
    assert isinstance(cast, pa.Table)
    assert cast.schema.types == plain.schema.types
    assert cast.column("start").to_pylist() == plain.column("start").to_pylist()


def test_a_name_in_the_manifest_leads_nowhere(tmp_path: Path) -> None:
    folder = write_batch(tmp_path, GIVEN)
    facts = manifest(folder)
    facts["files"]["mention"]["file"] = "../../etc/passwd"
    put(folder, facts)
    assert refused(folder).where == str(folder / "mention.parquet")
