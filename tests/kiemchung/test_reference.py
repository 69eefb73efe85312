"""The reference base: what it refuses, what holds on which day, and what ships."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiemchung import reference
from kiemchung.domain import PassageKind
from kiemchung.errors import BadReferenceError
from kiemchung.reference import loader
from kiemchung.reference.cues import CueIndex, bit_set, cue_words, members, plain_view, tokens

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def shipped() -> reference.ReferenceBase:
    return reference.load()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A small sound base: two laws, one rule in two versions, one statistic in two years."""
    wanted = {"coop.min_members", "stat.vca.revenue_mean", "coop.board_size"}
    folder = tmp_path / "base"
    folder.mkdir()
    shutil.copy(loader.SHIPPED / loader.DOCUMENTS, folder / loader.DOCUMENTS)
    lines = (loader.SHIPPED / loader.PASSAGES).read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if json.loads(line)["topic"] in wanted]
    (folder / loader.PASSAGES).write_text("\n".join(kept) + "\n", encoding="utf-8")
    return folder


def rewrite(folder: Path, passage_id: str, edit: Edit, name: str = loader.PASSAGES) -> int:
    """Change the row with this id in place; return its line number."""
    path = folder / name
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for number, row in enumerate(rows, 1):
        if passage_id in (row.get("passage_id"), row.get("doc_id")):
            edit(row)
            text = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)
            path.write_text(text, encoding="utf-8")
            return number
    raise AssertionError(f"{passage_id} is not in {path}")


# -- what ships -------------------------------------------------------------------------------


def test_the_shipped_base_has_no_problem() -> None:
    assert reference.check() == []


def test_the_shipped_base_is_large_enough(shipped: reference.ReferenceBase) -> None:
    assert len(shipped.passages) >= 130
    assert {p.kind for p in shipped.passages} == set(PassageKind)
    assert {p.doc_id for p in shipped.passages} == {d.doc_id for d in shipped.documents}


def test_every_shipped_fact_says_how_it_was_checked(shipped: reference.ReferenceBase) -> None:
    for passage in shipped.passages:
        assert "read in" in passage.checked, passage.passage_id
        assert "memory" not in passage.checked


def test_the_version_names_the_snapshot_and_every_byte(base: Path) -> None:
    before = reference.load(base).version
    assert before.startswith("2026.07+")
    assert len(before) == len("2026.07+") + 12
    rewrite(base, "coop.board_size.2023", lambda row: row.update(checked="read in another copy"))
    assert reference.load(base).version != before


@pytest.mark.parametrize(
    ("topic", "day", "expected"),
    [
        ("coop.min_members", "2013-06-30", []),
        ("coop.min_members", "2013-07-01", ["coop.min_members.2012"]),
        ("coop.min_members", "2024-06-30", ["coop.min_members.2012"]),
        ("coop.min_members", "2024-07-01", ["coop.min_members.2023"]),
        ("coop.capital_cap", "2024-06-30", ["coop.capital_cap.2012"]),
        ("coop.capital_cap", "2024-07-01", ["coop.capital_cap.2023"]),
        ("coop.internal_credit", "2023-08-31", ["coop.internal_credit.2012"]),
        ("coop.internal_credit", "2023-09-01", ["coop.internal_credit.2023"]),
        ("coop.internal_credit", "2024-07-01", ["coop.internal_credit.2024"]),
        ("coop.internal_lending", "2024-06-30", []),
        ("coop.internal_lending", "2024-07-01", ["coop.internal_lending.2023"]),
        ("document.law2023_effect", "2023-06-20", ["document.law2023_effect"]),
        ("stat.mpi.coops", "2022-12-30", ["stat.mpi.coops.2021"]),
        ("stat.mpi.coops", "2022-12-31", ["stat.mpi.coops.2022"]),
    ],
)
def test_what_holds_on_the_days_of_change(
    shipped: reference.ReferenceBase, topic: str, day: str, expected: list[str]
) -> None:
    about = [p for p in shipped.passages if p.topic == topic]
    held = reference.in_force(about, date.fromisoformat(day))
    assert [p.passage_id for p in held] == expected


@given(st.dates(date(2000, 1, 1), date(2040, 1, 1)))
@settings(max_examples=100)
def test_never_two_versions_of_a_rule_at_once(day: date) -> None:
    held = reference.in_force(reference.load().passages, day)
    keys = [(p.topic, p.series) for p in held]
    assert len(keys) == len(set(keys))


@given(st.dates(date(2000, 1, 1), date(2040, 1, 1)))
@settings(max_examples=50)
def test_in_force_is_the_half_open_interval(day: date) -> None:
    passages = reference.load().passages
    held = {p.passage_id for p in reference.in_force(passages, day)}
    for passage in passages:
        last = passage.valid_to - timedelta(days=1) if passage.valid_to else date.max
        assert (passage.passage_id in held) == (passage.valid_from <= day <= last)


def test_statistics_keep_publisher_series_unit_and_day(shipped: reference.ReferenceBase) -> None:
    statistics = [p for p in shipped.passages if p.kind is PassageKind.STATISTIC]
    assert len({p.series for p in statistics}) >= 3
    for passage in statistics:
        assert passage.series
        assert passage.unit
        assert passage.as_of == passage.valid_from
        assert str(passage.as_of.year) in passage.text


def test_the_facts_that_nobody_read_are_not_there(shipped: reference.ReferenceBase) -> None:
    texts = " ".join(p.text for p in shipped.passages)
    assert "140.000 tổ hợp tác" not in texts  # targets of Resolution 20: no text was found
    assert not any(p.passage_id == "union.min_members.2012" for p in shipped.passages)
    assert not any("Phòng Tài chính" in p.text for p in shipped.passages)  # the district registrar


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{}", "missing: passage_id"),
        ("[]", "a JSON object is needed, not list"),
        ("null", "a JSON object is needed, not NoneType"),
        ("not json", "not a line of JSON"),
        ('{"passage_id": "a", "passage_id": "b"}', "a field stands twice"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_a_bad_line_is_named(base: Path, line: str, message: str) -> None:
    path = base / loader.PASSAGES
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines, line]) + "\n", encoding="utf-8")
    with pytest.raises(BadReferenceError, match=message) as caught:
        reference.load(base)
    assert caught.value.where == f"{path}:{len(lines) + 1}"
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("valid_from", "1/7/2024", "is not written YYYY-MM-DD"),
        ("valid_from", "2024-02-30", "is no day of the calendar"),
        ("valid_from", "20240701", "is not written YYYY-MM-DD"),
        ("valid_from", None, "text is needed"),
        ("valid_to", "2024-06-01", "valid_to is not later than valid_from"),
        ("text", 5, "text is needed, not 5"),
        ("cues", "hợp tác xã", "a list is needed"),
        ("cues", [["hợp tác xã", 5]], r"cues\[0\]\[1\]: text is needed"),
        ("kind", "rumour", "is none of statute, statistic"),
        ("doc_id", "luat-khac", "'luat-khac' is no document"),
        ("passage_id", "coop.min_members.2012", "stands already at"),
        ("colour", "red", "unknown field: colour"),
    ],
)
def test_a_bad_field_is_named(base: Path, field: str, value: object, message: str) -> None:
    line = rewrite(base, "coop.board_size.2023", lambda row: row.update({field: value}))
    with pytest.raises(BadReferenceError, match=message) as caught:
        reference.load(base)
    assert caught.value.where == f"{base / loader.PASSAGES}:{line}"
    problems = reference.check(base)
    assert any(p.where.endswith(f"{loader.PASSAGES}:{line}") for p in problems)


@pytest.mark.parametrize(
    ("passage_id", "changes", "message"),
    [
        ("coop.board_size.2023", {"cues": []}, "cues are empty"),
        ("coop.board_size.2023", {"cues": [[]]}, "cues are empty"),
        ("coop.board_size.2023", {"cues": [["#"]]}, "a cue has no word"),
        ("coop.board_size.2023", {"cues": [["quỹ chung không chia"]]}, "own text is not on point"),
        ("coop.board_size.2023", {"excludes": ["hội đồng quản trị"]}, "own text is not on point"),
        ("coop.board_size.2023", {"checked": ""}, "checked is empty"),
        ("coop.board_size.2023", {"checked": "from memory"}, "a fact nobody read may not ship"),
        ("coop.board_size.2023", {"checked": "Unverified"}, "a fact nobody read may not ship"),
        ("coop.board_size.2023", {"url": "javascript:alert(1)"}, "no http or https address"),
        ("coop.board_size.2023", {"url": ""}, "no http or https address"),
        ("coop.board_size.2023", {"conditions": ["trừ khi"]}, "is not in the text"),
        ("coop.board_size.2023", {"text": " "}, "text is empty"),
        ("coop.board_size.2023", {"valid_from": "2024-06-30"}, "lies before its document's"),
        ("coop.board_size.2023", {"supersedes": "coop.x"}, "which is not there"),
        ("coop.board_size.2023", {"supersedes": "coop.min_members.2012"}, "of another topic"),
        ("coop.board_size.2023", {"topic": "coop.min_members"}, "one rule, one topic"),
        ("coop.board_size.2023", {"series": "VCA"}, "only a statistic has a series"),
        ("coop.board_size.2023", {"passage_id": "Coop board"}, "use a-z"),
        ("coop.min_members.2012", {"valid_to": None}, "its document ends on 2024-07-01"),
        ("coop.min_members.2012", {"valid_to": "2024-07-02"}, "lies after its document's"),
        ("coop.min_members.2023", {"supersedes": ""}, "does not supersede it"),
        ("stat.vca.revenue_mean.2024", {"series": ""}, "a statistic needs its series"),
        ("stat.vca.revenue_mean.2024", {"as_of": None}, "a statistic needs its as_of day"),
        ("stat.vca.revenue_mean.2024", {"as_of": "2025-01-01"}, "is later than valid_from"),
    ],
)
def test_check_names_each_deeper_problem(
    base: Path, passage_id: str, changes: dict[str, object], message: str
) -> None:
    assert reference.check(base) == []
    line = rewrite(base, passage_id, lambda row: row.update(changes))
    problems = reference.check(base)
    assert any(message in p.message for p in problems), problems
    assert any(p.where == f"{base / loader.PASSAGES}:{line}" for p in problems)


def test_a_gap_between_two_versions_is_named_at_the_later_one(base: Path) -> None:
    earlier = "coop.min_members.2012"
    rewrite(base, earlier, lambda row: row.update(valid_to="2024-06-30"))
    later = rewrite(base, "coop.min_members.2023", lambda row: None)
    (problem,) = reference.check(base)
    assert problem.where == f"{base / loader.PASSAGES}:{later}"
    assert problem.message == f"begins on 2024-07-01, but '{earlier}' ends on 2024-06-30"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"publisher": ""}, "publisher is empty"),
        ({"url": "ftp://vbpl.vn"}, "no http or https address"),
        ({"valid_to": "2024-06-30"}, "valid_to is not later"),
        ({"issued": "2024-07-02"}, "issued 2024-07-02, but in force"),
    ],
)
def test_check_names_a_bad_document(base: Path, changes: dict[str, str], message: str) -> None:
    doc = "luat-17-2023-qh15"
    line = rewrite(base, doc, lambda row: row.update(changes), loader.DOCUMENTS)
    problems = reference.check(base)
    assert any(message in p.message for p in problems), problems
    assert any(p.where == f"{base / loader.DOCUMENTS}:{line}" for p in problems)


def test_an_early_clause_is_allowed_when_it_says_so(base: Path) -> None:
    citation = "Điều 115, hiệu lực theo Điều 114 khoản 2"
    change = {"valid_from": "2023-09-01", "citation": citation}
    rewrite(base, "coop.board_size.2023", lambda row: row.update(change))
    assert reference.check(base) == []


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\x00\x01\x02", b"PK\x03\x04\x00"])
def test_empty_and_binary_files_are_refused(base: Path, content: bytes) -> None:
    (base / loader.PASSAGES).write_bytes(content)
    with pytest.raises(BadReferenceError, match=r"empty|not a line of JSON"):
        reference.load(base)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadReferenceError, match="cannot be read"):
        reference.load(tmp_path / "nowhere")


def test_a_swollen_file_is_refused_unread(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "MAX_BYTES", 100)
    with pytest.raises(BadReferenceError, match="larger than 100 bytes"):
        reference.load(base)


def test_problems_come_in_file_order(base: Path) -> None:
    for name in ("coop.min_members.2012", "coop.board_size.2023"):
        rewrite(base, name, lambda row: row.update(checked=""))
    lines = [int(p.where.rpartition(":")[2]) for p in reference.check(base)]
    assert lines == sorted(lines)
    assert len(lines) >= 2


# -- cues --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cue", "text", "found"),
    [
        ("# thành viên", "ít nhất 5 thành viên", True),
        ("# thành viên", "ít nhất năm thành viên", True),
        ("# thành viên", "ít nhất hai mươi lăm thành viên", True),
        ("# thành viên", "trong năm thành viên họp", False),
        ("# thành viên", "năm 2023 thành viên họp", False),
        ("# thành viên", "các thành viên", False),
        ("# %", "không quá ba mươi phần trăm", True),
        ("# %", "không quá 30%", True),
        ("vốn ~ liên hiệp", "vốn điều lệ của các liên hiệp", True),
        ("vốn ~ liên hiệp", "vốn một hai ba bốn năm sáu bảy liên hiệp", False),
        ("thành viên", "các thành viên", True),
        ("thành viên", "thành viện", False),  # whole words, with their marks
        ("hợp tác xã", "htx nông nghiệp", True),
        ("hợp tác xã", "h.t.x nông nghiệp", True),
    ],
)
def test_a_cue_matches_whole_words_numbers_and_gaps(cue: str, text: str, found: bool) -> None:
    passage = reference.load().passages[0]
    with_cue = type(passage)(**{**_fields(passage), "cues": ((cue,),), "excludes": ()})
    assert bool(CueIndex([with_cue]).on_point(tokens(plain_view(text)))) == found


def _fields(value: object) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}  # type: ignore[attr-defined]


def test_cue_words_keep_the_signs() -> None:
    assert cue_words("# % ~ Hợp tác xã") == ["#", "%", "~", "hợp", "tác", "xã"]


@given(st.sets(st.integers(0, 200)))
@settings(max_examples=100)
def test_bit_sets_give_their_members_back(chosen: set[int]) -> None:
    assert members(bit_set(chosen, 201)) == sorted(chosen)
