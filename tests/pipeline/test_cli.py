"""The command line's contract: fields, exit codes, and errors that say where and what to do."""

from __future__ import annotations

import errno
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli
from tests.commands import in_this_process

ROOT = Path(__file__).resolve().parents[2]
CLAIM_FIELDS = {
    "start", "end", "text", "checkability", "speech", "status", "label", "p_supported",
    "p_refuted", "p_nei", "flagged", "evidence", "differences",
}  # fmt: skip


def kiemchung(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = in_this_process(*arguments, cwd=cwd)
    assert done.returncode == code, done.stderr
    return done


def started(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """The same in a fresh interpreter without an environment."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(cwd)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == code, done.stderr
    return done


def check(tmp_path: Path, text: str, day: str) -> list[dict[str, Any]]:
    done = kiemchung("check", "--text", text, "--date", day, "--json", cwd=tmp_path)
    claims: list[dict[str, Any]] = json.loads(done.stdout)["claims"]
    return claims


@pytest.mark.slow
def test_check_judges_by_the_law_of_the_day(tmp_path: Path) -> None:
    rows = [
        {"id": "old", "text": "Hợp tác xã phải có ít nhất 7 thành viên.", "date": "2022-03-01"},
        {"id": "new", "text": "Hợp tác xã phải có ít nhất 7 thành viên.", "date": "2025-03-01"},
        {
            "id": 3,
            "text": "Hợp tác xã phải có ít nhất 5 thành viên chính thức.",
            "date": "2025-03-01",
        },
    ]
    file = tmp_path / "in.jsonl"
    file.write_text("\n".join(json.dumps(r, ensure_ascii=False) for r in rows), encoding="utf-8")
    started("check", "--jsonl", str(file), "--out", str(tmp_path / "out.jsonl"), cwd=tmp_path)
    found = [json.loads(x) for x in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert [f["id"] for f in found] == ["old", "new", "3"]
    assert [f["claims"][0]["label"] for f in found] == ["SUPPORTED", "REFUTED", "SUPPORTED"]
    assert [f["claims"][0]["flagged"] for f in found] == [False, True, False]
    claim = found[1]["claims"][0]
    assert set(claim) >= CLAIM_FIELDS
    assert claim["p_supported"] + claim["p_refuted"] + claim["p_nei"] == pytest.approx(1, abs=1e-3)
    assert claim["evidence"][0]["valid_from"] == "2024-07-01"
    assert claim["differences"]
    assert found[0]["claims"][0]["evidence"][0]["valid_to"] == "2024-07-01"


@pytest.mark.slow
def test_offsets_count_the_text_as_given(tmp_path: Path) -> None:
    text = (
        "\ufeffChào.  Hợp\u200b tác xã&nbsp;phải có ít nhất 7 thành vie\u0302n. Xong việc rồi nhé."
    )
    claims = check(tmp_path, text, "2025-03-01")
    for claim in claims:
        assert text[claim["start"] : claim["end"]] == claim["text"]
    assert [c["flagged"] for c in claims].count(True) == 1


@pytest.mark.slow
def test_a_lone_surrogate_and_a_long_run_do_not_stop_a_check(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    rows = [
        '{"id": "a", "text": "H\\ud800TX phải có ít nhất 7 thành viên.", "date": "2025-01-01"}',
        json.dumps({"id": "b", "text": "a1." * 120_000, "date": "2025-01-01"}),
    ]
    file.write_text("\n".join(rows), encoding="utf-8")
    done = kiemchung("check", "--jsonl", str(file), cwd=tmp_path)
    assert [json.loads(x)["id"] for x in done.stdout.splitlines()] == ["a", "b"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["check"], "exactly one"),
        (["check", "--text", "x", "--file", "y"], "exactly one"),
        (["check", "--text", "Có 5 thành viên.", "--date", "1/7/2024"], "YYYY-MM-DD"),
        (["check", "--text", "  "], "no text"),
        (["check", "--file", "none.txt"], "none.txt"),
        (["verdict", "--jsonl", "none.jsonl"], "none.jsonl"),
        (["weekly", "--week", "2026-W54", "--outlet", "sample"], "no week 54"),
        (["weekly", "--week", "soon", "--outlet", "sample"], "2026-W40"),
        (["weekly", "--week", "2026-W40", "--outlet", "nobody"], "'nobody'"),
        (["weekly", "--week", "2026-W40", "--outlet", "sample", "--stage", "x"], "crawl, extract"),
        (["weekly", "--week", "2026-W40"], "--outlet"),
        (["report", "--week", "2026-W40"], "there is no store yet"),
        (["export", "--format", "xml"], "there is no store yet"),
        (["page", "none.html", "--url", "https://x.example/1"], "none.html"),
        (["models", "promote", "../elsewhere"], "no model name"),
    ],
)
def test_a_mistake_is_one_line_with_a_remedy(
    tmp_path: Path, arguments: list[str], part: str
) -> None:
    done = kiemchung(*arguments, cwd=tmp_path, code=1)
    assert done.stderr.startswith("kiemchung: ")
    assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("arguments", [["check"], ["models", "verify", "--json"]])
def test_a_fresh_interpreter_says_the_same(tmp_path: Path, arguments: list[str]) -> None:
    """Most tests here run in this process; a start may make no difference."""
    code = int(arguments == ["check"])
    here = kiemchung(*arguments, cwd=tmp_path, code=code)
    there = started(*arguments, cwd=tmp_path, code=code)
    assert (here.stdout, here.stderr) == (there.stdout, there.stderr)


@pytest.mark.parametrize(
    ("name", "content"),
    [("empty.html", b""), ("binary.html", bytes(range(256)) * 40), ("blank.html", b" \n" * 99)],
)
def test_a_page_that_is_none_is_refused_with_its_reason(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    done = kiemchung("page", name, "--url", "https://x.example/1", "--json", cwd=tmp_path, code=1)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_claims_and_segment_keep_ids_and_offsets(tmp_path: Path) -> None:
    text = "Hợp tác xã phải có ít nhất 5 thành viên. Theo tôi, như thế là quá ít."
    file = tmp_path / "in.jsonl"
    file.write_text(json.dumps({"id": 7, "text": text}, ensure_ascii=False), encoding="utf-8")
    one = json.loads(kiemchung("segment", "--jsonl", str(file), cwd=tmp_path).stdout)
    assert one["id"] == "7"
    assert len(one["sentences"]) == 2
    for sentence in one["sentences"]:
        assert text[sentence["start"] : sentence["end"]] == sentence["text"]
        for word in sentence["words"]:
            assert text[word["start"] : word["end"]] == word["text"]
    assert "Hợp tác xã" in [w["text"] for w in one["sentences"][0]["words"]]
    row = json.loads(kiemchung("claims", "--jsonl", str(file), cwd=tmp_path).stdout)
    assert set(row) == {"id", "check_worthiness", "checkability"}


def test_a_bad_line_of_the_configuration_is_named(tmp_path: Path) -> None:
    (tmp_path / "kiemchung.toml").write_text("potr = 1\n", encoding="utf-8")
    done = kiemchung("outlets", "list", "--json", cwd=tmp_path, code=1)
    assert "kiemchung.toml: potr" in done.stderr


def test_reference_and_models_verify_themselves(tmp_path: Path) -> None:
    summary = json.loads(kiemchung("reference", "check", "--json", cwd=tmp_path).stdout)
    assert summary["problems"] == []
    assert summary["passages"] >= 120
    assert json.loads(kiemchung("models", "verify", "--json", cwd=tmp_path).stdout)["ok"]
    listed = json.loads(kiemchung("models", "list", "--json", cwd=tmp_path).stdout)
    assert listed[0]["promoted"]


def test_a_bad_date_in_the_base_is_named_with_its_line(tmp_path: Path) -> None:
    import shutil

    own = tmp_path / "own"
    shutil.copytree(ROOT / "kiemchung" / "reference" / "data", own)
    lines = (own / "passages.jsonl").read_text("utf-8").splitlines()
    row = json.loads(lines[4]) | {"valid_from": "1/7/2024"}
    lines[4] = json.dumps(row, ensure_ascii=False)
    (own / "passages.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = kiemchung("reference", "check", "--folder", str(own), cwd=tmp_path, code=1)
    assert "passages.jsonl:5" in done.stderr


def test_a_malformed_outlet_file_is_named(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "x.toml").write_text('name = "x"\ndisplay = "X"\nhosts = 3\n', encoding="utf-8")
    done = kiemchung("outlets", "check", "--folder", str(own), cwd=tmp_path, code=1)
    assert "x.toml" in done.stderr
    assert "hosts" in done.stderr


@pytest.mark.slow
def test_verdict_gives_three_probabilities_and_keeps_the_order(tmp_path: Path) -> None:
    rows = [
        {"id": "s", "claim": "Hợp tác xã có ít nhất 5 thành viên.",
         "evidence": "Hợp tác xã phải có ít nhất 5 thành viên."},
        {"id": "r", "claim": "Hợp tác xã có ít nhất 9 thành viên.",
         "evidence": "Hợp tác xã phải có ít nhất 5 thành viên."},
    ]  # fmt: skip
    file = tmp_path / "in.jsonl"
    file.write_text("\n".join(json.dumps(r, ensure_ascii=False) for r in rows), encoding="utf-8")
    done = kiemchung("verdict", "--jsonl", str(file), cwd=tmp_path)
    found = [json.loads(x) for x in done.stdout.splitlines()]
    assert [f["id"] for f in found] == ["s", "r"]
    for row in found:
        assert set(row) == {"id", "status", "label", "p_supported", "p_refuted", "p_nei"}
        total = row["p_supported"] + row["p_refuted"] + row["p_nei"]
        assert total == pytest.approx(1, abs=1e-6)
    assert found[0]["p_supported"] > found[1]["p_supported"]


@pytest.mark.slow
def test_verdict_explains_and_warns_and_works_in_processes(tmp_path: Path) -> None:
    rule = "Hợp tác xã phải có ít nhất 5 thành viên chính thức."
    rows = [
        {"id": "r", "claim": "Hợp tác xã phải có ít nhất 9 thành viên chính thức.", "evidence": rule},
        {"id": "e", "claim": "Hợp tác xã có 9 thành viên.", "evidence": " "},
        {"id": "x", "claim": "Every cooperative shall keep seven members.", "evidence": rule},
    ]  # fmt: skip
    file = tmp_path / "in.jsonl"
    file.write_text("\n".join(json.dumps(r, ensure_ascii=False) for r in rows), encoding="utf-8")
    done = kiemchung("verdict", "--jsonl", str(file), "--explain", cwd=tmp_path)
    told = [json.loads(x) for x in done.stdout.splitlines()]
    assert told[0]["label"] == "REFUTED"
    assert told[0]["faithful"] is True
    assert told[0]["carriers"][0]["claim"] == "9"
    assert told[0]["carriers"][0]["evidence"] == "5"
    assert told[0]["caution"] == ""
    assert "evidence is empty" in told[1]["caution"]
    assert "x: the claim is not in Vietnamese" in done.stderr
    alone = kiemchung("verdict", "--jsonl", str(file), cwd=tmp_path)
    both = kiemchung("verdict", "--jsonl", str(file), "--processes", "2", cwd=tmp_path)
    assert both.stdout == alone.stdout
    assert "e: the evidence is empty" in both.stderr


@pytest.mark.slow
def test_evaluate_measures_gates_on_a_file(tmp_path: Path) -> None:
    # Own pairs: tests/models/test_gates.py and test_evaluation.py.
    file = tmp_path / "pairs.jsonl"
    row = {"claim": "Xã có 5 hộ.", "evidence": "Xã có 5 hộ.", "label": "SUPPORTED"}
    file.write_text(f"{json.dumps(row)}\n{json.dumps(row | {'claim': 'Xã có 6 hộ.'})}\n")
    other = json.loads(
        kiemchung("evaluate", "--jsonl", str(file), "--gates", "--json", cwd=tmp_path).stdout
    )
    assert other["n"] == 2
    assert other["missed"] == []
    file.write_text("")
    empty = kiemchung("evaluate", "--jsonl", str(file), cwd=tmp_path, code=1)
    assert "two pairs at least" in empty.stderr


@pytest.mark.slow
def test_data_construct_tells_a_poor_corpus(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("Chỉ có một câu ở đây thôi.\n", encoding="utf-8")
    done = kiemchung(
        "data", "construct", "--corpus", str(folder), "--out", str(tmp_path / "o"),
        cwd=tmp_path, code=1,
    )  # fmt: skip
    assert "more running text" in done.stderr
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "var/runs/a"),
        OSError(errno.EFBIG, "File too large"),
        sqlite3.OperationalError("database or disk is full"),
    ],
)
def test_a_full_disk_is_one_line_that_says_what_to_do(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full() -> None:
        raise error

    monkeypatch.setattr(cli, "app", full)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "no room on the disk" in line
    assert "make room" in line


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "I/O"), ValueError("full"), sqlite3.OperationalError("no table")]
)
def test_what_is_no_full_disk_is_not_called_one(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise error

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(type(error)):
        cli.main()
