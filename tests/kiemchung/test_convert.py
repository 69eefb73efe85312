"""Import of codified statutes, and adding one fact."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from kiemchung import reference
from kiemchung.errors import BadReferenceError, RecordError
from kiemchung.reference import convert, loader

ARTICLE = {
    "pd_id": "1.2.LQ.3",
    "title": "Họp tổ",
    "source": "Điều 3 Luật số 99/2030/QH20 Luật Mẫu ngày 01/02/2030 của Quốc hội, "
    "có hiệu lực thi hành kể từ ngày 05/06/2030",
    "text": "(Điều 3 Luật số 99/2030/QH20, có hiệu lực thi hành kể từ ngày 05/06/2030)\n\n"
    "1. Tổ mẫu họp theo [Luật Khác](https://example.org/luat.aspx).\n\n  2.  Họp mỗi năm.\n"
    "(Điều này có nội dung liên quan đến Điều 9.9.LQ.1. Phạm vi; Điều 9.9.LQ.2. Đối tượng)",
}


def write(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    shutil.copytree(loader.SHIPPED, folder)
    return folder


@pytest.fixture
def fact() -> dict[str, Any]:
    lines = (loader.SHIPPED / loader.PASSAGES).read_text(encoding="utf-8").splitlines()
    row: dict[str, Any] = next(
        r for r in map(json.loads, lines) if r["passage_id"] == "coop.board_term.2023"
    )
    return {
        **row,
        "passage_id": "coop.seal.2023",
        "topic": "coop.seal",
        "locator": "Điều 52 khoản 2",
        "citation": "Điều 52 khoản 2 Luật Hợp tác xã số 17/2023/QH15",
        "text": "Hợp tác xã quyết định loại dấu, số lượng, hình thức và nội dung dấu.",
        "cues": [["con dấu", "loại dấu", "dấu của hợp tác xã"], ["quyết định", "tự chọn"]],
        "excludes": [],
        "conditions": [],
    }


def test_an_article_becomes_a_candidate(tmp_path: Path) -> None:
    (found,) = convert.convert_file(write(tmp_path / "law.json", [ARTICLE]))
    assert found.passage_id == "1-2-lq-3"
    assert found.doc_id == "luat-99-2030-qh20"
    assert found.locator == "Điều 3"
    assert found.citation == "Điều 3 Luật số 99/2030/QH20"
    assert found.valid_from == date(2030, 6, 5)
    assert found.valid_to is None
    assert found.text == "1. Tổ mẫu họp theo Luật Khác.\n2. Họp mỗi năm."
    assert found.cues == ()


def test_a_candidate_may_not_ship_before_it_is_read(base: Path, tmp_path: Path) -> None:
    (found,) = convert.convert_file(write(tmp_path / "law.json", [ARTICLE]))
    with (base / loader.PASSAGES).open("ab") as out:
        out.write(convert.to_line(found))
    messages = [p.message for p in reference.check(base)]
    assert any("a fact nobody read may not ship" in m for m in messages)
    assert any("cues are empty" in m for m in messages)
    assert any("is no document" in m for m in messages)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "a JSON list of articles is needed"),
        ([5], "record 1: an object is needed"),
        ([ARTICLE, {}], "record 2: pd_id: text is needed"),
        ([{**ARTICLE, "source": "Điều 3"}], "record 1: source 'Điều 3' names no article"),
        ([{**ARTICLE, "source": ARTICLE["source"].replace("05/06", "31/06")}], "record 1: 'có"),
    ],
)
def test_a_bad_record_is_named(tmp_path: Path, value: object, message: str) -> None:
    with pytest.raises(RecordError) as caught:
        convert.convert_file(write(tmp_path / "law.json", value))
    assert message in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff\x00\x01", b"{", b"[" * 100_000])
def test_a_file_that_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "law.json"
    path.write_bytes(content)
    with pytest.raises(RecordError, match="not JSON in UTF-8"):
        convert.convert_file(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be read"):
        convert.convert_file(tmp_path / "none.json")
    with pytest.raises(BadReferenceError, match="cannot be read"):
        convert.add_fact(tmp_path / "none.json", tmp_path)


@pytest.mark.needs_shared
def test_the_codified_law_imports_whole(shared: Path) -> None:
    found = convert.convert_file(shared / "reference" / "cooperative_law_codified.json")
    assert len(found) == 371
    assert len({p.passage_id for p in found}) == 371
    law = [p for p in found if p.doc_id == "luat-17-2023-qh15"]
    assert len(law) == 115
    assert {p.valid_from for p in law} == {date(2024, 7, 1)}
    assert "luat-17-2023-qh15" in {d.doc_id for d in reference.load().documents}
    assert not any("](http" in p.text or "(Điều này có nội dung" in p.text for p in found)
    (definition,) = [p for p in law if p.locator == "Điều 4"]
    assert "do ít nhất 05 thành viên chính thức" in definition.text


def test_a_sound_fact_is_appended(base: Path, tmp_path: Path, fact: dict[str, Any]) -> None:
    before = (base / loader.PASSAGES).read_bytes()
    added = convert.add_fact(write(tmp_path / "fact.json", fact), base)
    assert added.passage_id == "coop.seal.2023"
    assert (base / loader.PASSAGES).read_bytes().startswith(before)
    assert reference.check(base) == []
    assert reference.load(base).passages[-1] == added


def test_a_file_without_a_last_newline_keeps_its_last_fact(
    base: Path, tmp_path: Path, fact: dict[str, Any]
) -> None:
    path = base / loader.PASSAGES
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    reference.seal(base)
    count = len(reference.load(base).passages)
    convert.add_fact(write(tmp_path / "fact.json", fact), base)
    assert len(reference.load(base).passages) == count + 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"passage_id": "coop.board_term.2023"}, "is taken"),
        ({"valid_from": "1/7/2024"}, "is not written YYYY-MM-DD"),
        ({"checked": "from memory"}, "a fact nobody read may not ship"),
        ({"cues": [["mặt trăng"]]}, "own text is not on point"),
        ({"topic": "coop.board_term"}, "one rule, one topic"),
        ({"doc_id": "luat-khac"}, "is no document"),
    ],
)
def test_an_unsound_fact_leaves_the_base_as_it_was(
    base: Path, tmp_path: Path, fact: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    before = (base / loader.PASSAGES).read_bytes()
    path = write(tmp_path / "fact.json", {**fact, **changes})
    with pytest.raises(BadReferenceError, match=message) as caught:
        convert.add_fact(path, base)
    assert str(path) in caught.value.where
    assert (base / loader.PASSAGES).read_bytes() == before
