"""A reference base at its edges: every problem in its own words, at its own line, in file order."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from kiemchung.domain import Document, Passage
from kiemchung.errors import BadReferenceError
from kiemchung.reference import loader
from kiemchung.reference.loader import (
    check,
    check_texts,
    load,
    parse_day,
    parse_record,
    seal,
    seal_problems,
)
from tests.batches import NEW_LAW, NEW_PASSAGE, OLD_LAW, OLD_PASSAGE

OLD, NEW = OLD_PASSAGE.passage_id, NEW_PASSAGE.passage_id


def rows(*values: Document | Passage) -> list[dict[str, Any]]:
    return [json.loads(json.dumps(asdict(v), default=str)) for v in values]


def joined(given: list[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(r, ensure_ascii=False) for r in given).encode()


def told(
    documents: list[dict[str, Any]], passages: list[dict[str, Any]], folder: Path = Path("base")
) -> list[str]:
    found = check_texts(joined(documents), joined(passages), folder)
    return [f"{p.where.removeprefix(f'{folder}/')}: {p.message}" for p in found]


def sound() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return rows(OLD_LAW, NEW_LAW), rows(OLD_PASSAGE, NEW_PASSAGE)


def test_a_sound_base_has_no_problem() -> None:
    assert told(*sound()) == []


STATISTIC = {"kind": "statistic", "series": "s", "unit": "hộ", "as_of": "2024-07-01"}
# file, number of the row, what is changed in it, what is said of it
ONE_PROBLEM: list[tuple[str, int, dict[str, Any], str]] = [
    ("documents", 0, {"title": " "}, "title is empty"),
    ("documents", 0, {"kind": ""}, "kind is empty"),
    ("documents", 1, {"publisher": ""}, "publisher is empty"),
    ("documents", 0, {"url": "ftp://a.vn/"}, "url 'ftp://a.vn/' is no http or https address"),
    ("documents", 0, {"url": "https://a@b.vn/"}, "url 'https://a@b.vn/' is no http or https address"),
    ("documents", 1, {"issued": "2024-07-02"}, "issued 2024-07-02, but in force from 2024-07-01"),
    ("documents", 0, {"valid_to": "2013-07-01"}, "valid_to is not later than valid_from"),
    ("passages", 1, {"text": " "}, "text is empty"),
    ("passages", 1, {"citation": ""}, "citation is empty"),
    ("passages", 1, {"checked": " "}, "checked is empty: say how, and on which text"),
    ("passages", 1, {"checked": "from Memory"},
     "checked says 'from Memory': a fact nobody read may not ship"),
    ("passages", 1, {"checked": "theo trí nhớ"},
     "checked says 'theo trí nhớ': a fact nobody read may not ship"),
    ("passages", 1, {"url": "https://nowhere"}, "url 'https://nowhere' is no http or https address"),
    ("passages", 1, {"conditions": ["tự nguyện", "trả tiền"]}, "condition 'trả tiền' is not in the text"),
    ("passages", 1, {"cues": []}, "cues are empty: no claim could ever be on point"),
    ("passages", 1, {"cues": [["thành viên"], []]}, "cues are empty: no claim could ever be on point"),
    ("passages", 1, {"cues": [["thành viên"], ["#~ "]]}, "a cue has no word in it"),
    ("passages", 1, {"cues": [["máy bay"]]},
     "its own text is not on point: cues and text do not fit"),
    ("passages", 1, {"series": "x"}, "only a statistic has a series and an as_of day"),
    ("passages", 1, {"as_of": "2024-07-01"}, "only a statistic has a series and an as_of day"),
    ("passages", 1, {"supersedes": "x"}, "supersedes 'x', which is not there"),
    ("passages", 1, {"valid_to": "2024-07-01"}, "valid_to is not later than valid_from"),
    ("passages", 1, {"doc_id": "x"}, "doc_id 'x' is no document"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "number", "change", "words"), ONE_PROBLEM)
def test_each_problem_is_told_at_its_line(
    name: str, number: int, change: dict[str, Any], words: str
) -> None:
    documents, passages = sound()
    (documents if name == "documents" else passages)[number].update(change)
    found = told(documents, passages)
    assert f"{name}.jsonl:{number + 1}: {words}" in found
    # One change can leave a chain broken as well, but says nothing of other lines of its file.
    assert {f.split(":")[1] for f in found if "topic" not in f} == {str(number + 1)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"series": " "}, "a statistic needs its series"),
        ({"unit": ""}, "a statistic needs its unit"),
        ({"as_of": None}, "a statistic needs its as_of day"),
        ({"as_of": "2024-07-02"}, "as_of 2024-07-02 is later than valid_from"),
        ({}, ""),
    ],
)
def test_a_statistic_needs_series_unit_and_day(change: dict[str, Any], words: str) -> None:
    documents, passages = sound()
    passages[1].update(STATISTIC | {"topic": "other", "supersedes": ""} | change)
    assert told(documents, passages) == ([f"passages.jsonl:2: {words}"] if words else [])


def test_a_passage_keeps_to_its_document() -> None:
    documents, passages = sound()
    passages[0]["valid_to"] = None
    found = told(documents, passages)
    assert "passages.jsonl:1: valid_to is null, but its document ends on 2024-07-01" in found
    passages[0]["valid_to"] = "2024-07-02"
    found = told(documents, passages)
    words = "valid_to 2024-07-02 lies after its document's 2024-07-01"
    assert f"passages.jsonl:1: {words}" in found
    passages[0]["valid_to"] = "2024-07-01"
    passages[0]["valid_from"] = "2013-06-30"
    (early,) = told(documents, passages)
    assert early.startswith("passages.jsonl:1: valid_from 2013-06-30 lies before its document's")
    passages[0]["citation"] += ", hiệu lực theo khoản 2 Điều 115"
    assert told(documents, passages) == []


def test_a_fact_about_a_document_holds_from_its_issue_and_for_ever() -> None:
    documents, passages = sound()
    documents[0]["issued"] = "2012-11-20"
    passages[0] |= {"topic": "document.x", "valid_from": "2012-11-20", "valid_to": None}
    passages[1]["supersedes"] = ""
    assert told(documents, passages) == []
    passages[0]["valid_from"] = "2012-11-19"
    (early,) = told(documents, passages)
    assert "2012-11-19 lies before its document's 2012-11-20" in early


def test_versions_follow_each_other_without_a_gap() -> None:
    documents, passages = sound()
    passages[1]["valid_from"] = "2024-07-02"
    words = f"begins on 2024-07-02, but {OLD!r} ends on 2024-07-01"
    assert told(documents, passages) == [f"passages.jsonl:2: {words}"]
    documents, passages = sound()
    passages[1]["supersedes"] = ""
    words = (
        f"shares its topic 'thanh-vien-toi-thieu' with {OLD!r}, but does not supersede it;"
        " one rule, one topic"
    )
    assert told(documents, passages) == [f"passages.jsonl:2: {words}"]
    passages[1] |= {"topic": "other", "supersedes": OLD}
    assert told(documents, passages) == [f"passages.jsonl:2: supersedes {OLD!r} of another topic"]


def test_repeated_ids_name_the_first_place() -> None:
    documents, passages = sound()
    documents += documents[:1]
    documents += documents[:1]
    where = "base/documents.jsonl:1"
    words = f"doc_id 'luat-23-2012' stands already at {where}"
    assert told(documents, passages) == [f"documents.jsonl:{n}: {words}" for n in (3, 4)]
    documents, passages = sound()
    passages.append(passages[0] | {"topic": "other", "supersedes": ""})
    words = f"passage_id {OLD!r} stands already at base/passages.jsonl:1"
    assert f"passages.jsonl:3: {words}" in told(documents, passages)


def test_problems_stand_in_file_order_and_count_lines_as_numbers() -> None:
    documents, passages = sound()
    many = [passages[0] | {"passage_id": f"p{n}", "topic": f"t{n}", "text": ""} for n in range(12)]
    found = told(documents, many)
    lines = [int(f.split(":")[1]) for f in found if f.endswith("text is empty")]
    assert lines == list(range(1, 13))
    documents[0]["kind"] = ""
    assert told(documents, many)[0].startswith("documents.jsonl:1")


def test_blank_lines_count_and_an_empty_file_is_no_base(tmp_path: Path) -> None:
    documents, passages = sound()
    passages[0]["text"] = ""
    found = check_texts(joined(documents), b"\n\n" + joined(passages), Path("base"))
    assert {p.where for p in found} == {"base/passages.jsonl:3"}
    (empty, *_) = check_texts(joined(documents), b" \n", Path("base"))
    assert (empty.where, empty.message) == (
        "base/passages.jsonl:1", "empty: half a base is worse than none",
    )  # fmt: skip
    missing = check(tmp_path)
    assert [p.where for p in missing] == [str(tmp_path / n) for n in ("documents.jsonl", "passages.jsonl")]  # fmt: skip
    assert {p.message for p in missing} == {"cannot be read: No such file or directory"}


def write(folder: Path, documents: list[dict[str, Any]], passages: list[dict[str, Any]]) -> None:
    (folder / loader.DOCUMENTS).write_bytes(joined(documents))
    (folder / loader.PASSAGES).write_bytes(joined(passages))


def test_loading_refuses_the_first_problem_with_its_remedy(tmp_path: Path) -> None:
    documents, passages = sound()
    passages[0]["valid_to"] = passages[0]["valid_from"]
    write(tmp_path, documents, passages)
    with pytest.raises(BadReferenceError, match="valid_to is not later than valid_from") as caught:
        load(tmp_path)
    assert caught.value.where == f"{tmp_path}/passages.jsonl:1"
    assert caught.value.remedy == "correct that line; docs/reference.md says what each field holds"


def test_the_version_is_made_of_the_newest_snapshot_and_both_files(tmp_path: Path) -> None:
    documents, passages = sound()
    documents[0]["snapshot_as_of"] = "2026-11-02"
    write(tmp_path, documents, passages)
    base = load(tmp_path)
    both = joined(documents) + b"\0" + joined(passages)
    assert base.version == f"2026.11+{hashlib.sha256(both).hexdigest()[:12]}"
    assert (base.documents[1], base.passages) == (NEW_LAW, (OLD_PASSAGE, NEW_PASSAGE))


def test_a_file_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert loader.MAX_BYTES == 64_000_000
    write(tmp_path, *sound())
    size = (tmp_path / loader.PASSAGES).stat().st_size
    monkeypatch.setattr(loader, "MAX_BYTES", size)
    assert check(tmp_path) == []
    monkeypatch.setattr(loader, "MAX_BYTES", size - 1)
    assert f"larger than {size - 1} bytes" in {p.message for p in check(tmp_path)}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[" * 20_000, "not a flat JSON object: nested too deep"),
        (b"\xff", "not a line of JSON in UTF-8"),
        ("[]", "a JSON object is needed, not list"),
        ('{"a": 1, "a": 2}', "a field stands twice"),
        ("{}", "missing: doc_id, number, title"),
    ],
)
def test_a_line_that_is_no_record_says_why(line: str | bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_record(line, Document)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"z": 1, "b": 2}, "unknown field: b, z"),
        ({"text": 5}, "text: text is needed, not 5"),
        ({"cues": "x"}, "cues: a list is needed, not 'x'"),
        ({"cues": [["a", 1]]}, r"cues\[0\]\[1\]: text is needed, not 1"),
        ({"kind": "law"}, "kind: 'law' is none of statute, statistic"),
        ({"valid_to": "1/7/2024"}, "valid_to: '1/7/2024' is not written YYYY-MM-DD"),
        ({"valid_from": None}, "valid_from: text is needed, not None"),
    ],
)
def test_a_value_of_another_type_is_never_converted(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_record(json.dumps(rows(NEW_PASSAGE)[0] | change), Passage)


def test_a_day_is_written_in_one_way() -> None:
    assert parse_day("2024-02-29", "d") == date(2024, 2, 29)
    for wrong in ("2024-2-29", "2024-02-29T00", "20240229", "٢٠٢٤-٠٢-٢٩", " 2024-02-29"):
        with pytest.raises(ValueError, match=r"d: .* is not written YYYY-MM-DD"):
            parse_day(wrong, "d")
    with pytest.raises(ValueError, match="d: '2023-02-29' is no day of the calendar"):
        parse_day("2023-02-29", "d")


def test_a_seal_has_the_form_that_sha256sum_checks(tmp_path: Path) -> None:
    write(tmp_path, *sound())
    assert seal_problems(tmp_path) == []  # an own base need not be sealed
    assert seal(tmp_path) == tmp_path / loader.SUMS
    lines = [
        f"{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}  {name}\n"
        for name in (loader.DOCUMENTS, loader.PASSAGES)
    ]
    assert (tmp_path / loader.SUMS).read_text(encoding="ascii") == "".join(lines)
    assert seal_problems(tmp_path) == []
    assert len(load(tmp_path).passages) == 2


@pytest.mark.parametrize("name", [loader.DOCUMENTS, loader.PASSAGES])
def test_a_sealed_base_takes_no_other_bytes(name: str, tmp_path: Path) -> None:
    write(tmp_path, *sound())
    seal(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b"\n")  # still sound
    (found,) = seal_problems(tmp_path)
    assert found.where == str(tmp_path / name)
    assert found.message.startswith("not the file that was sealed")
    with pytest.raises(BadReferenceError) as caught:
        load(tmp_path)
    assert caught.value.where == str(tmp_path / name)
    (tmp_path / name).unlink()
    (found,) = seal_problems(tmp_path)
    assert found.where == str(tmp_path / name)
    assert found.message.startswith("cannot be read: ")


def test_a_seal_that_was_touched_is_told(tmp_path: Path) -> None:
    write(tmp_path, *sound())
    path = seal(tmp_path)
    path.write_bytes(path.read_bytes() + b"\n")
    (found,) = seal_problems(tmp_path)
    assert (found.where, found.message) == (str(path), "not as it was written")


def test_a_base_that_cannot_be_used_is_not_sealed(tmp_path: Path) -> None:
    documents, passages = sound()
    del documents[0]["title"]
    write(tmp_path, documents, passages)
    with pytest.raises(BadReferenceError, match="title"):
        seal(tmp_path)
    assert not (tmp_path / loader.SUMS).exists()
