"""Bad input to the verdict model, told in one clear line by every command concerned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kiemchung.errors import KiemchungError
from models import registry
from models.tokenizer import train_files
from pipeline.cli import app

FACT = "Hợp tác xã cần ít nhất 5 thành viên chính thức."
ENGLISH = "The cooperative must have at least seven founding members under the new law of 2023."


def run(*arguments: str) -> tuple[str, str]:
    """Return what was printed and what was said, or the one line of the error."""
    done = CliRunner().invoke(app, list(arguments))
    if isinstance(done.exception, KiemchungError):
        assert "\n" not in str(done.exception)
        return "", str(done.exception)
    assert done.exit_code == 0, done.output
    return done.stdout, done.stderr


def written(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    return str(path)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A checkpoint of another architecture, PhoBERT's tokenizer files beside it."""
    folder = tmp_path / "bert"
    train_files([FACT], folder, size=200)
    (folder / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "command",
    [("verdict", "--jsonl", "PAIRS", "--model"), ("evaluate", "--model"), ("models", "verify", "--name"),
     ("models", "show", "--name")],
)  # fmt: skip
def test_a_checkpoint_is_no_model_for_the_commands_that_want_one(
    command: tuple[str, ...], other: Path, tmp_path: Path
) -> None:
    pairs = written(tmp_path / "p.jsonl", [{"id": "a", "claim": FACT, "evidence": FACT}])
    _, told = run(*(pairs if part == "PAIRS" else part for part in command), str(other))
    assert told.startswith(f"{other}: a checkpoint, and no model of this program yet (")


def test_training_refuses_another_architecture_before_it_reads_anything(
    other: Path, tmp_path: Path
) -> None:
    _, told = run("train", "verdict", "--out", str(tmp_path / "o"), "--encoder", str(other))
    assert "a bert checkpoint; PhoBERT and its kind are roberta" in told
    body = {"model_type": "roberta", "vocab_size": 64_001}
    (other / "config.json").write_text(json.dumps(body), encoding="utf-8")
    _, told = run("train", "verdict", "--out", str(tmp_path / "o"), "--encoder", str(other))
    assert "the embedding 64001 rows: they do not belong together" in told
    _, told = run("train", "verdict", "--out", str(tmp_path / "o"), "--encoder", "./none")
    assert told == "./none: no such folder (give a folder or a hub id)"


PAIRS = [
    {"id": "fine", "claim": FACT, "evidence": FACT},
    {"id": "empty", "claim": FACT, "evidence": "  "},
    {"id": "no claim", "claim": "", "evidence": FACT},
    {"id": "long", "claim": FACT, "evidence": "chữ " * 100_000},
    {"id": "english", "claim": ENGLISH, "evidence": FACT},
    {"id": "english too", "claim": FACT, "evidence": ENGLISH},
]
TOLD = {
    "empty": "the evidence is empty",
    "no claim": "the claim is empty",
    "long": "only the first 60000 of 400000 letters of the evidence were read",
    "english": "the claim is not in Vietnamese",
    "english too": "the evidence is not in Vietnamese",
}


@pytest.mark.parametrize("more", [(), ("--explain",)])
def test_verdict_answers_every_line_and_says_which_mean_little(
    more: tuple[str, ...], tmp_path: Path
) -> None:
    out, told = run("verdict", "--jsonl", written(tmp_path / "p.jsonl", PAIRS), *more)
    rows = {row["id"]: row for row in map(json.loads, out.splitlines())}
    assert list(rows) == [p["id"] for p in PAIRS]
    lines = dict(line.split(": ", 1) for line in told.splitlines())
    assert set(lines) == set(TOLD)
    for name, why in TOLD.items():
        assert lines[name].startswith(why)
        assert rows[name]["status"] != "failed"
        assert rows[name]["label"] != "REFUTED"
        assert rows[name].get("caution", why).startswith(why)
    assert rows["empty"]["label"] == "NOT_ENOUGH_INFO"


def test_evaluate_and_training_count_such_pairs(tmp_path: Path) -> None:
    rows = [p | {"label": "NEI"} for p in PAIRS if p["id"] != "no claim"] * 2
    _, told = run("evaluate", "--jsonl", written(tmp_path / "p.jsonl", rows), "--json")
    lines = [line.split(": ", 1)[1] for line in told.splitlines()]
    assert lines == [
        "2 of 10 pairs, the first is 2: the evidence is empty: nothing can be said",
        "2 of 10 pairs, the first is 3: only the first … of … letters of the evidence were read",
        "2 of 10 pairs, the first is 4: the claim is not in Vietnamese: the model reads no other "
        "language",
        "2 of 10 pairs, the first is 5: the evidence is not in Vietnamese: the model reads no "
        "other language",
    ]
    _, told = run(
        "train", "verdict", "--out", str(tmp_path / "o"), "--encoder", "a/b", "--pairs",
        written(tmp_path / "q.jsonl", [PAIRS[1] | {"label": "NEI", "evidence": ""}]),
    )  # fmt: skip
    assert "q.jsonl:1: not a pair" in told
    _, told = run(
        "train", "verdict", "--out", str(tmp_path / "o"), "--encoder", "a/b", "--pairs",
        str(tmp_path / "none.jsonl"),
    )  # fmt: skip
    assert told == f"{tmp_path / 'none.jsonl'}: no such file of pairs"


def test_check_and_claims_say_that_a_text_is_in_another_language(tmp_path: Path) -> None:
    out, told = run("check", "--text", ENGLISH, "--date", "2025-03-01", "--json")
    assert told.strip() == "--text: not in Vietnamese, so nothing can be found in it"
    assert not any(c["flagged"] for c in json.loads(out)["claims"])
    _, quiet = run("check", "--text", FACT, "--date", "2025-03-01", "--json")
    assert quiet == ""
    file = written(tmp_path / "t.jsonl", [{"id": 7, "text": ENGLISH}])
    _, told = run("claims", "--jsonl", file)
    assert told.strip() == f"{file} id 7: not in Vietnamese, so nothing can be found in it"


def test_a_device_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    file = written(tmp_path / "p.jsonl", PAIRS[:1])
    plain = str(registry.PLAIN)
    _, told = run("verdict", "--jsonl", file, "--device", "cuda", "--model", plain)
    assert told.startswith("--device cuda: this model has no encoder")
    _, told = run("verdict", "--jsonl", file, "--device", "tpu")
    assert told == "--device: no device 'tpu' (one of auto, cpu, cuda)"
    _, told = run("verdict", "--jsonl", file, "--device", "cuda", "--explain")
    assert told.startswith("--explain scores on the CPU")
    _, told = run("judge", "--week", "2026-W40", "--device", "tpu", "--data", str(tmp_path))
    assert "device" in told
