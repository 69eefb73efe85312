"""Public sets in our form: pinned columns and labels, every row in a named state."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from kiemchung.domain import Label
from kiemchung.errors import InputError, RecordError
from models import adapters
from models.adapters.formats import FORMATS
from models.construct import read_pairs
from pipeline.evaluation import read_set

S, R, N, C = Label.SUPPORTED, Label.REFUTED, Label.NOT_ENOUGH_INFO, Label.CONFLICTING

PINNED = {
    "vifactcheck": {"0": S, "1": R, "2": N},
    "isedsc01": {"SUPPORTED": S, "REFUTED": R, "NEI": N},
    "viwikifc": {"Supports": S, "Refutes": R, "Not_Enough_Information": N},
    "vihallu": {"no": S, "intrinsic": R, "extrinsic": N},
    "vinli": {"entailment": S, "contradiction": R, "neutral": N, "other": "other_label", "-": "no_consensus"},
    "fever": {"SUPPORTS": S, "REFUTES": R, "NOT ENOUGH INFO": N},
    "averitec": {
        "Supported": S,
        "Refuted": R,
        "Not Enough Evidence": N,
        "Conflicting Evidence/Cherrypicking": C,
    },
}  # fmt: skip


def vifactcheck(label: Any, n: int) -> dict[str, Any]:
    return {
        "index": n,
        "Statement": f"Xã có {n} hợp tác xã.",
        "Context": f'Bài dài, có "ngoặc", và\nxuống dòng. Xã có {n + 1} hợp tác xã.',
        "annotation_id": 100 + n,
        "Topic": "KINH TẾ",
        "Author": "a",
        "Url": "u",
        "labels": label,
        "Evidence": f"Xã có {n + 1} hợp tác xã.",
    }


def isedsc01(label: Any, n: int) -> dict[str, Any]:
    return {
        "context": f"Một bài. Huyện có {n} hộ.",
        "claim": f"Huyện có {n} hộ dân.",
        "verdict": label,
        "evidence": None if label == "NEI" else f"Huyện có {n} hộ.",
        "domain": "giao-duc",
    }


def viwikifc(label: Any, n: int) -> dict[str, Any]:
    return {
        "pairID": f"p{n}",
        "evidence": f"Sông dài {n} km.",
        "gold_label": label,
        "link": "l",
        "context": f"Trước. Sông dài {n} km. Sau.",
        "sentenceID": "s",
        "claim": f"Con sông dài {n} km.",
        "annotator_labels": "['x']",
        "title": "Sông",
    }


def vihallu(label: Any, n: int) -> dict[str, Any]:
    return {
        "id": f"h{n}",
        "context": f"Vua lên ngôi năm {n}.",
        "prompt": "Năm nào?",
        "response": f"Năm {n}, vua lên ngôi.",
        "label": label,
    }


def vinli(label: Any, n: int) -> dict[str, Any]:
    return {
        "pairID": f"v{n}",
        "gold_label": label,
        "link": "l",
        "context": "Cả bài báo.",
        "sentence1": f"Giá lúa là {n} đồng.",
        "sentenceID": "s",
        "topic": "t",
        "sentence2": f"Lúa có giá {n} đồng.",
        "annotator_labels": ["x"],
    }


def fever(label: Any, n: int) -> dict[str, Any]:
    return {
        "id": n,
        "label": label,
        "claim": f"Núi cao {n} m.",
        "evidence": [f"Núi ấy cao {n} m.", {"text": "Và rất dốc."}],
    }


def averitec(label: Any, n: int) -> dict[str, Any]:
    return {
        "claim": f"Có {n} người ở đó.",
        "label": label,
        "fact_checking_article": f"bai-{n}",
        "questions": [
            {"question": "Bao nhiêu người?", "answers": [{"answer": f"{n} người.", "answer_type": "Extractive"}]},
            {"question": "Có đúng không?", "answers": [{"answer": "No", "boolean_explanation": "đếm lại"}]},
        ],
    }  # fmt: skip


MADE = {
    "vifactcheck": (vifactcheck, ".csv"),
    "isedsc01": (isedsc01, ".json"),
    "viwikifc": (viwikifc, ".csv"),
    "vihallu": (vihallu, ".csv"),
    "vinli": (vinli, ".jsonl"),
    "fever": (fever, ".jsonl"),
    "averitec": (averitec, ".json"),
}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8-sig", newline="") as out:
            table = csv.DictWriter(out, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n\n" for r in rows), "utf-8")
    elif path.name.startswith("isedsc01"):
        path.write_text(json.dumps({str(900 + n): r for n, r in enumerate(rows)}), "utf-8")
    else:
        path.write_text(json.dumps(rows), "utf-8")
    return path


def test_the_label_maps_are_the_pinned_ones() -> None:
    assert {name: dict(f.labels) for name, f in FORMATS.items()} == PINNED


@pytest.mark.parametrize("name", PINNED)
def test_each_label_of_a_set_becomes_ours_and_every_row_ends_somewhere(
    name: str, tmp_path: Path
) -> None:
    make, ending = MADE[name]
    rows = [make(label, 30 + n) for n, label in enumerate(PINNED[name])]
    if ending == ".csv":
        rows.append(make("", 99))
    else:
        rows.append({k: v for k, v in make("x", 99).items() if k not in ("label", "gold_label", "verdict")})  # fmt: skip
    made = adapters.adapt(write(tmp_path / f"{name}{ending}", rows), name)
    assert made.rows == len(rows) == sum(made.states.values())
    wanted = [label for label in PINNED[name].values() if isinstance(label, Label)]
    assert [p["label"] for p in (*made.pairs, *made.conflicting)] == [str(x) for x in wanted]
    assert made.states["no_label"] == 1
    assert made.states["conflicting"] == len(made.conflicting) == wanted.count(C)
    # Both readers take what is written.
    out = tmp_path / "pairs.jsonl"
    out.write_bytes(b"".join(adapters.lines_of(made.pairs)))
    read = read_pairs(out)
    assert [p.label for p in read] == [x for x in wanted if x is not C]
    assert [(p.claim, p.evidence, p.group) for p in read] == [
        (p["claim"], p["evidence"], p["group"]) for p in made.pairs
    ]
    assert len(read_set(out, "evidence")) == len(read)


def test_claim_and_evidence_are_not_swapped(tmp_path: Path) -> None:
    for name, claim, evidence in (
        ("vifactcheck", "Xã có 30 hợp tác xã.", "Xã có 31 hợp tác xã."),
        ("isedsc01", "Huyện có 30 hộ dân.", "Một bài. Huyện có 30 hộ."),
        ("viwikifc", "Con sông dài 30 km.", "Sông dài 30 km."),
        ("vihallu", "Năm 30, vua lên ngôi.", "Vua lên ngôi năm 30."),
        ("vinli", "Lúa có giá 30 đồng.", "Giá lúa là 30 đồng."),
        ("fever", "Núi cao 30 m.", "Núi ấy cao 30 m.\nVà rất dốc."),
        (
            "averitec",
            "Có 30 người ở đó.",
            "Bao nhiêu người? 30 người.\nCó đúng không? No. đếm lại.",
        ),
    ):
        make, ending = MADE[name]
        path = write(tmp_path / f"{name}{ending}", [make(next(iter(PINNED[name])), 30)])
        (pair,) = adapters.adapt(path, name).pairs
        assert (pair["claim"], pair["evidence"]) == (claim, evidence)
        assert pair["kind"] == name
        assert pair["id"] in {"130", "900", "p30", "h30", "v30", "30", "1"}


def test_rows_of_one_article_are_one_group(tmp_path: Path) -> None:
    rows = [isedsc01("SUPPORTED", 30), isedsc01("REFUTED", 30), isedsc01("NEI", 31)]
    path = write(tmp_path / "isedsc01.json", rows)
    one, two, three = (p["group"] for p in adapters.adapt(path, "isedsc01").pairs)
    assert one == two != three


def test_gold_evidence_or_the_whole_text(tmp_path: Path) -> None:
    path = write(tmp_path / "isedsc01.json", [isedsc01("SUPPORTED", 30), isedsc01("NEI", 31)])
    gold = adapters.adapt(path, "isedsc01", evidence="gold")
    assert (gold.states["pairs"], gold.states["no_evidence"]) == (1, 1)
    assert gold.pairs[0]["context"] == "Một bài. Huyện có 30 hộ."
    path = write(tmp_path / "vifactcheck.csv", [vifactcheck(0, 30)])
    whole = adapters.adapt(path, "vifactcheck", evidence="context")
    assert whole.pairs[0]["evidence"].startswith('Bài dài, có "ngoặc", và\nxuống dòng.')
    # The labels of ViNLI are about the premise, not about the article around it.
    path = write(tmp_path / "vinli.jsonl", [vinli("neutral", 30)])
    with pytest.raises(InputError, match="no evidence of the kind 'context'"):
        adapters.adapt(path, "vinli", evidence="context")
    assert "context" not in adapters.adapt(path, "vinli").pairs[0]


def test_parquet_is_read_as_the_others_are(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [vifactcheck(n % 3, n) for n in range(3)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "dev.parquet")
    made = adapters.adapt(tmp_path / "dev.parquet", "vifactcheck")
    assert made.labels == {"NOT_ENOUGH_INFO": 1, "REFUTED": 1, "SUPPORTED": 1}


@pytest.mark.parametrize(
    ("name", "rows", "place", "why"),
    [
        ("viwikifc.csv", [viwikifc("Supports", 1), viwikifc("supports", 2)], ":3", "unknown label 'supports'"),
        ("vifactcheck.csv", [vifactcheck(0, 1), vifactcheck(3, 2)], ":4", "unknown label '3'"),
        ("vinli.jsonl", [vinli("neutral", 1), vinli("NEI", 2)], ":3", "unknown label 'NEI'"),
        ("averitec.json", [averitec("Supported", 1), averitec("Supports", 2)], "record 2", "unknown label"),
        ("isedsc01.json", [isedsc01("SUPPORTED", 1), isedsc01("0", 2)], "record '901'", "unknown label"),
        ("vihallu.csv", [{"id": 1, "context": "c", "label": "no"}], ":2", "no column 'response'"),
        ("fever.jsonl", [fever("SUPPORTS", 1) | {"evidence": {"a": 1}}], ":1", "another form"),
        ("averitec.json", [averitec("Refuted", 1) | {"questions": [{"question": "?"}]}], "record 1", "another form"),
    ],
)  # fmt: skip
def test_what_is_not_known_names_its_place(
    tmp_path: Path, name: str, rows: list[dict[str, Any]], place: str, why: str
) -> None:
    path = write(tmp_path / name, rows)
    with pytest.raises(RecordError, match=why) as told:
        adapters.adapt(path, name.split(".")[0])
    assert told.value.where.startswith(str(path))
    assert told.value.where.endswith(place)


def test_the_line_of_a_record_counts_the_breaks_inside_cells(tmp_path: Path) -> None:
    path = write(tmp_path / "v.csv", [vifactcheck(0, n) for n in range(3)] + [vifactcheck(9, 3)])
    with pytest.raises(RecordError) as told:
        adapters.adapt(path, "vifactcheck")
    line = int(told.value.where.rsplit(":", 1)[1])
    assert path.read_text("utf-8").split("\n")[line - 1].startswith("3,")


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.csv", b"id,context,prompt,response,label\n1,c\n", "cells"),
        ("a.csv", b"id,context,prompt,response,label\n\xff\xfe,c,p,r,no\n", "cannot be read"),
        ("a.csv", b'id,context,prompt,response,label\n1,"c,p,r,no\n', "cannot be read"),
        ("a.jsonl", b"{", "no JSON"),
        ("a.jsonl", b"[1]\n", "not a record"),
        ("a.json", b"3", "neither a list"),
        ("a.parquet", b"PAR1", "no Parquet"),
        ("a.xlsx", b"", "cannot tell"),
    ],
)
def test_a_broken_file_is_told_by_name(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RecordError, match=why) as told:
        adapters.adapt(path, "vihallu")
    assert str(path) in told.value.where


def test_no_pair_and_no_format_are_told(tmp_path: Path) -> None:
    hidden = [{k: v for k, v in vihallu("no", 1).items() if k != "label"} | {"predict_label": ""}]
    with pytest.raises(InputError, match=r"1 no_label.*predict_label"):
        adapters.adapt(write(tmp_path / "vihallu.csv", hidden), "vihallu")
    ids = [fever("SUPPORTS", 1) | {"evidence": [[[1, 2, "Trang", 0]]]}]
    with pytest.raises(InputError, match=r"1 no_evidence.*page and number"):
        adapters.adapt(write(tmp_path / "fever.jsonl", ids), "fever")
    with pytest.raises(InputError, match="known: vifactcheck"):
        adapters.adapt(tmp_path / "x.csv", "snli")
