"""The comparison of encoders, at the size of a toy: rows, seeds, and nothing trained twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("transformers")
from benchmarks import encoders
from tests.models.toys import toy_pairs


@pytest.mark.slow
def test_a_table_of_two_seeds_that_goes_on_where_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, held = tmp_path / "train.jsonl", tmp_path / "held.jsonl"
    for path, half in ((train, (0, 1, 2, 3, 4, 5)), (held, (6, 7))):
        rows = [
            {"claim": p.claim, "evidence": p.evidence, "label": str(p.label), "group": p.group}
            for p in toy_pairs() if p.group in {f"g{i}" for i in half}
        ]  # fmt: skip
        path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    asked = ["--pairs", str(train), "--held", str(held), "--out", str(tmp_path / "out"),
             "--shape", "1x16", "--epochs", "1", "--threads", "1"]  # fmt: skip
    assert encoders.main([*asked, "--seeds", "1"]) == 0
    assert encoders.main([*asked, "--seeds", "2"]) == 0
    rows = [json.loads(x) for x in (tmp_path / "out" / "runs.jsonl").read_text().splitlines()]
    assert [(r["encoder"], r["seed"]) for r in rows] == [("shape:1x16", 0), ("shape:1x16", 1)]
    assert {r["device"] for r in rows} == {"cpu"} or rows[0]["cuda"]
    assert all(0.0 <= r["macro_f1"] <= 1.0 and r["held"] == 6 for r in rows)
    assert "2 seeds" in capsys.readouterr().out
    again = encoders.measured("shape:1x16", 0, *(encoders.construct.read_pairs(p)
                              for p in (train, held)), encoders.Recipe(epochs=1, threads=1))  # fmt: skip
    assert again["macro_f1"] == rows[0]["macro_f1"]
    with pytest.raises(encoders.InputError, match="stand in both"):
        encoders.main([*asked[:3], str(train), *asked[4:]])
