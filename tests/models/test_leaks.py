"""Leaks between parts: all that are planted are found, with their place; none where none is."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kiemchung.errors import RecordError
from models import leaks
from pipeline.cli import app

# What a sentence is made of, enough of it that two are alike by planting only.
SYLLABLES = [a + b for a in ("b", "ch", "d", "kh", "l", "ng", "th", "tr") for b in ("ăm", "oan", "ước", "ịnh", "ằng", "ôi")]  # fmt: skip


def sentence(rnd: random.Random) -> str:
    return " ".join(f"{' '.join(rnd.choices(SYLLABLES, k=3))} ở" for _ in range(5))


def row(rnd: random.Random, **given: Any) -> dict[str, Any]:
    return {
        "claim": sentence(rnd),
        "evidence": f"{sentence(rnd)} {sentence(rnd)}",
        "label": rnd.choice(["SUPPORTED", "REFUTED", "NEI"]),
        **given,
    }


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    return path


def found(*paths: Path, **given: Any) -> leaks.Report:
    return leaks.find([leaks.read_part(p) for p in paths], **given)


def plant(kind: str, rnd: random.Random, old: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return a row that leaks in one way from ``old``."""
    new = row(rnd)
    match kind:
        case "retyped":
            plain = old["claim"].upper().replace("Ở", "O").replace(" ", "\u00a0 ")
            return new | {"claim": plain + "\u200b!"}, "same_claim"
        case "one word":
            words = old["claim"].split()
            words[rnd.randrange(2, 12)] = "thêm"
            return new | {"claim": " ".join(words)}, "near_claim"
        case "article":
            return new | {"context": old["context"].replace(". ", ".\n")}, "same_context"
        case "rewrite":
            words = old["context"].split()
            words[10:12] = ["viết", "lại", "12"]
            return new | {"context": " ".join(words)}, "near_context"
        case "evidence":
            return new | {"evidence": old["evidence"].capitalize()}, "same_evidence"
        case "quoted":
            return new | {"claim": old["evidence"].split(" ở ")[0] + " ở " + " ở ".join(old["evidence"].split(" ở ")[1:5])}, "claim_in_evidence"  # fmt: skip
        case "contradiction":
            other = "REFUTED" if old["label"] != "REFUTED" else "NEI"
            return new | {"claim": old["claim"] + ".", "evidence": old["evidence"], "label": other}, "conflict"  # fmt: skip
        case key:
            return new | {key: old[key]}, f"same_{key}"


PLANTED = ("retyped", "one word", "article", "rewrite", "evidence", "quoted", "contradiction",
           "story", "claim_id", "group")  # fmt: skip


def test_every_planted_leak_is_found_where_it_stands(tmp_path: Path) -> None:
    rnd = random.Random(7)
    ids = iter(range(10**6))

    def sourced() -> dict[str, Any]:
        n = next(ids)
        context = ". ".join(sentence(rnd) for _ in range(6))
        return row(rnd, story=f"s{n}", claim_id=f"c{n}", group=f"g{n}", context=context)

    train = [sourced() for _ in range(150)]
    test = [sourced() for _ in range(150)]
    clean = found(write(tmp_path / "a.jsonl", train), write(tmp_path / "b.jsonl", test))
    assert clean.total == 0, clean.as_dict(limit=2)
    planted: dict[tuple[str, int], int] = {}
    for n, kind in enumerate(PLANTED * 3):
        at, source = n * 5, rnd.randrange(150)
        leaking, name = plant(kind, rnd, train[source])
        test[at] = test[at] | {k: v for k, v in leaking.items() if k not in ("context",) or kind in ("article", "rewrite")}  # fmt: skip
        planted[name, at + 1] = source + 1
    report = found(tmp_path / "a.jsonl", write(tmp_path / "b.jsonl", test))
    told = {
        (x.kind, int(x.where.rsplit(":", 1)[1])): int(x.other.rsplit(":", 1)[1])
        for kind in report.leaks.values()
        for x in kind
    }
    for key, source in planted.items():
        assert told[key] == source, key
    # A contradiction has the same claim and the same evidence as well; nothing else is told.
    more = set(told) - set(planted)
    assert {kind for kind, _ in more} <= {"same_claim", "same_evidence"}
    assert {at for _, at in more} <= {at for kind, at in planted if kind == "conflict"}


def test_a_closed_base_may_be_cited_on_both_sides(tmp_path: Path) -> None:
    rnd = random.Random(1)
    passage = sentence(rnd)
    one, other = row(rnd, evidence=passage), row(rnd, evidence=passage)
    quoting = row(rnd, claim=passage)
    paths = write(tmp_path / "a.jsonl", [one]), write(tmp_path / "b.jsonl", [other, quoting])
    assert {k for k, v in found(*paths).leaks.items() if v} == {
        "same_evidence",
        "claim_in_evidence",
    }
    assert found(*paths, shared_evidence=True).total == 0
    for path, rows in zip(paths, ([one], [other, quoting]), strict=True):
        write(path, [r | {"passages": ["p"]} for r in rows])
    assert found(*paths).total == 0  # the rows of an exported data set say it themselves


def test_a_contradiction_inside_one_part_counts_and_a_repeat_does_not(tmp_path: Path) -> None:
    one = row(random.Random(1), label="SUPPORTED")
    path = write(tmp_path / "a.jsonl", [one, one, one | {"label": "REFUTED"}])
    report = found(path)
    assert {k: [(x.where, x.other) for x in v] for k, v in report.leaks.items() if v} == {
        "conflict": [(f"{path}:3", f"{path}:1")]
    }
    assert report.repeats == {str(path): 2}


def test_withheld_claims_and_missing_texts_are_equal_to_nothing(tmp_path: Path) -> None:
    rows = [{"claim": "", "evidence": "", "label": "NEI"}, {"claim": "…", "evidence": None}]
    assert found(write(tmp_path / "a.jsonl", rows), write(tmp_path / "b.jsonl", rows)).total == 0
    assert found(write(tmp_path / "c.jsonl", []), tmp_path / "b.jsonl").total == 0


def test_three_parts_are_compared_with_all_before_them(tmp_path: Path) -> None:
    rnd = random.Random(5)
    rows = [row(rnd) for _ in range(3)]
    a, b, c = (write(tmp_path / f"{n}.jsonl", [r]) for n, r in zip("abc", rows, strict=True))
    write(c, [rows[0], rows[1] | {"claim": "thế là " + rows[1]["claim"]}])
    report = found(a, b, c, shared_evidence=True)
    assert [(x.where, x.other) for x in report.leaks["same_claim"]] == [(f"{c}:1", f"{a}:1")]
    assert [(x.where, x.other) for x in report.leaks["near_claim"]] == [(f"{c}:2", f"{b}:1")]


@pytest.mark.parametrize("line", ["{", '{"evidence": "x"}', '{"claim": 3}', "[]"])
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"claim": "một"}\n' + line + "\n", "utf-8")
    with pytest.raises(RecordError) as told:
        leaks.read_part(path)
    assert told.value.where == f"{path}:2"
    with pytest.raises(RecordError, match="cannot be read"):
        leaks.read_part(tmp_path / "none.jsonl")


def test_columns_of_other_lengths_are_refused() -> None:
    part = leaks.Part(name="a", where=["a:1"], claims=[], evidence=[""], contexts=[""], labels=[""])
    with pytest.raises(ValueError, match="lengths"):
        leaks.find([part])


def test_the_command_says_where_and_ends_with_one(tmp_path: Path) -> None:
    rnd = random.Random(3)
    rows = [row(rnd) for _ in range(4)]
    a, b = write(tmp_path / "a.jsonl", rows[:2]), write(tmp_path / "b.jsonl", rows[2:])
    done = CliRunner().invoke(app, ["data", "leaks", str(a), str(b), "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["parts"] == {str(a): 2, str(b): 2}
    write(b, [rows[3], rows[1]])
    done = CliRunner().invoke(app, ["data", "leaks", str(a), str(b), "--json"])
    assert done.exit_code == 1
    body = json.loads(done.stdout)
    assert body["leaks"]["same_claim"] == 1
    assert body["where"]["same_claim"] == [[f"{b}:2", f"{a}:2", 1.0]]


@pytest.mark.needs_shared
@pytest.mark.slow
def test_the_development_sets_hold_what_was_written_down(shared: Path) -> None:
    sets = shared / "verdicts"
    report = found(sets / "xnli_vi_dev.jsonl", sets / "xnli_vi_test.jsonl")
    assert {k: len(v) for k, v in report.leaks.items() if v} == {"same_claim": 1, "near_claim": 5}
    report = found(sets / "isedsc01_supported.jsonl", sets / "vifactcheck_dev_a.jsonl")
    assert {k: len(v) for k, v in report.leaks.items() if v} == {"near_context": 2}
