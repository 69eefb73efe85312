"""Sets, slices and gates at the command line, and the path from text to flag."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kiemchung import reference
from kiemchung.config import load_settings
from kiemchung.domain import Label
from kiemchung.errors import InputError, KiemchungError, RecordError
from models import floors, gates, registry
from models.floors import Gate
from pipeline import evaluation
from pipeline.cli import app
from pipeline.judging import Judge

ROWS = [
    {"claim": "Xã có 5 hộ nghèo.", "evidence": "Xã có 5 hộ nghèo.", "label": "SUPPORTED"},
    {"claim": "Xã có 7 hộ nghèo.", "evidence": "Xã có 5 hộ nghèo.", "label": "REFUTED"},
    {"claim": "Luật cho phép.", "evidence": "Mưa to.", "context": "Bão. " * 200, "label": "NEI"},
]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    return path


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge.load(load_settings())


@pytest.mark.slow
def test_the_shipped_model_holds_the_floors_of_the_whole_path(judge: Judge) -> None:
    found = {g.name: g for g in evaluation.path_gates(judge)}
    assert {name: g.n for name, g in found.items() if name != "law_in_time"} == {
        "opinions_flagged": 200,
        "criticisms_flagged": 200,
        "rebuttals_flagged": 100,
    }
    assert found["law_in_time"].n >= 120
    wanted = {name: floor for name, floor in floors.floors().items() if name in found}
    assert len(wanted) == 4
    assert floors.broken(list(found.values()), wanted) == []


def test_a_flagged_opinion_and_a_wrong_day_are_counted(judge: Judge, tmp_path: Path) -> None:
    (tmp_path / "controls").mkdir()
    rule = "Hợp tác xã phải có ít nhất 7 thành viên."
    (tmp_path / "controls" / "opinion.txt").write_text(
        f"# not an opinion at all\n{rule}\nLuật mới rất nhân văn.\n", "utf-8"
    )
    (tmp_path / "law_in_time.txt").write_text(
        f"{rule} ¦ 2024-06-30 S ¦ 2024-07-01 R\n{rule} ¦ 2024-06-30 R ¦ 2024-07-01 R\n", "utf-8"
    )
    found = {g.name: g for g in evaluation.path_gates(judge, tmp_path)}
    assert (found["opinions_flagged"].value, found["opinions_flagged"].n) == (0.5, 2)
    assert (found["law_in_time"].value, found["law_in_time"].n) == (0.75, 4)
    assert found["criticisms_flagged"].value is None
    (tmp_path / "law_in_time.txt").write_text(f"{rule} ¦ 30/6/2024 S\n", "utf-8")
    with pytest.raises(RecordError, match=r"law_in_time\.txt, sentence 1"):
        evaluation.path_gates(judge, tmp_path)


def test_a_set_takes_its_evidence_from_the_field_that_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "set.jsonl", [ROWS[2], ROWS[2] | {"context": "Nắng."}])
    assert evaluation.read_set(path, "evidence")[0].evidence == "Mưa to."
    first, second = evaluation.read_set(path, "context")
    assert (first.label, second.evidence) == (Label.NOT_ENOUGH_INFO, "Nắng.")
    assert first.group != second.group


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"claim": "a", "evidence": "b", "label": "SUPPORTED"}\n', "two pairs at least"),
        ('{"claim": "a", "evidence": "b", "label": "MAYBE"}\n', r"set\.jsonl:1"),
        ('\n{"claim": "a", "label": "NEI"}\n', r"set\.jsonl:2: not a pair"),
        ("[1]\n", "not a record"),
        ("{\n", "no JSON"),
    ],
)
def test_a_set_that_cannot_be_used_names_its_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(KiemchungError, match=told):
        evaluation.read_set(path, "evidence")
    with pytest.raises(RecordError, match="cannot be read"):
        evaluation.read_set(tmp_path / "none.jsonl", "evidence")


def run(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["evaluate", *arguments, "--json"], catch_exceptions=False)
    body: dict[str, Any] = json.loads(done.stdout)
    return body


def test_several_sets_are_told_apart_and_together(tmp_path: Path) -> None:
    one = written(tmp_path / "one.jsonl", ROWS)
    two = written(tmp_path / "two.jsonl", ROWS[:2] * 3)
    body = run("--jsonl", str(one), "--jsonl", str(two), "--gates")
    assert body["n"] == 9
    assert {name: s["n"] for name, s in body["sets"].items()} == {"one": 3, "two": 6}
    assert body["sets"]["two"]["slices"]["number"]["n"] == 6
    assert body["sets"]["two"]["slices"]["law"] | {"shown": 0} == {
        "name": "law", "n": 0, "labels": [], "macro_f1": None, "recall_refuted": None,
        "shown": 0, "coverage": 0.0,
    }  # fmt: skip
    gap = body["sets"]["two"]["controls"]["gap_to_claim_only"]
    assert body["sets"]["two"]["gates"]["gap_to_claim_only"]["value"] == pytest.approx(gap)
    assert body["missed"] == []  # the floors are those of the own pairs
    assert len(body["risk_coverage"]) == 10
    assert 0.0 <= body["coverage"] <= 1.0


def test_one_set_keeps_the_fields_that_it_always_had(tmp_path: Path) -> None:
    body = run("--jsonl", str(written(tmp_path / "one.jsonl", ROWS)))
    for name in ("n", "macro_f1", "f1", "recall", "accuracy", "answered", "ece", "threshold",
                 "refuted_precision", "refuted_at_threshold", "risk_coverage", "failed"):  # fmt: skip
        assert name in body
    assert "gates" not in body


def test_what_people_read_has_every_figure_and_marks_what_is_missed(tmp_path: Path) -> None:
    pairs = evaluation.read_set(written(tmp_path / "one.jsonl", ROWS), "evidence")
    found = evaluation.measure_set(registry.load_default(), "one", pairs, with_gates=True)
    text = "\n".join(evaluation.table(found))
    for part in ("one", "  number", "precision of shown", "ECE", "50%:", "from the claim alone"):
        assert part in text
    assert "nan" not in text
    lines = evaluation.gate_lines(
        [
            Gate(name="a", value=0.5, n=9),
            Gate(name="b", value=0.5, n=9, higher=False),
            Gate(name="c", value=None, n=0),
        ],
        {"a": 0.6, "b": 0.6, "c": 0.1},
    )
    assert [("MISSED" in line) for line in lines[2:]] == [True, False, True]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--update-floors", "--jsonl", "x"], "own pairs"),
        (["--lower-floors", "because"], "give both"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments: list[str], told: str) -> None:
    with pytest.raises(InputError, match=told):
        CliRunner().invoke(app, ["evaluate", *arguments], catch_exceptions=False)


@pytest.mark.slow(12)
def test_floors_are_raised_and_refused_at_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = gates.own_pairs(reference.load().passages)
    monkeypatch.setattr(gates, "own_pairs", lambda passages: every[::12])
    folder = tmp_path / "data" / "controls"
    folder.mkdir(parents=True)
    (folder / "opinion.txt").write_text("Luật mới rất nhân văn.\n", encoding="utf-8")
    (folder.parent / "law_in_time.txt").write_text(
        "Hợp tác xã phải có ít nhất 7 thành viên. ¦ 2024-06-30 S ¦ 2024-07-01 R\n", "utf-8"
    )
    file = tmp_path / "floors.json"
    plain = str(registry.PLAIN)  # a tenth of the time of the shipped one
    given = ("--floors", str(file), "--controls", str(folder.parent), "--model", plain)
    body = run("--update-floors", *given)
    assert body["missed"] == []
    assert set(body["floors_moved"]) == set(floors.floors(file))
    assert {"opinions_flagged", "law_in_time", "macro_f1_in_number"} <= set(body["gates"])
    raised = json.loads(file.read_text(encoding="utf-8"))
    raised["macro_f1"]["steps"].append(0.999)
    file.write_text(json.dumps(raised), encoding="utf-8")
    with pytest.raises(InputError, match=r"macro_f1: 0\.\d+ of \d+ is below the floor 0\.999"):
        run("--gates", *given)
    with pytest.raises(InputError, match="floors only rise"):
        run("--update-floors", *given)
    moved = run("--update-floors", "--lower-floors", "a test", *given)
    assert list(moved["floors_moved"]) == ["macro_f1"]
