"""Marks stand where the offsets say, and no letter is lost on the way."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dashboards.marking import Mark, blocks, evidence_marks, marks, pieces
from kiemchung.domain import Article, Difference, Distortion
from tests.batches import article


def difference(start: int, end: int, evidence: str = "") -> Difference:
    return Difference(kind=Distortion.NUMBER, claim="x", evidence=evidence, start=start, end=end)


def test_marks_are_in_order_and_do_not_overlap() -> None:
    found = marks([difference(8, 12), difference(-1, -1), difference(2, 5), difference(4, 9)])
    assert [(m.start, m.end) for m in found] == [(2, 5), (8, 12)]


@given(
    st.text(min_size=1, max_size=60),
    st.lists(st.tuples(st.integers(-2, 70), st.integers(-2, 70)), max_size=6),
)
def test_pieces_joined_are_the_text(text: str, places: list[tuple[int, int]]) -> None:
    found = marks([difference(a, b) for a, b in places])
    cut = pieces(text, found)
    assert "".join(p.text for p in cut) == text
    assert all(p.text for p in cut)


def test_the_passage_is_marked_at_whole_words() -> None:
    text = "Có ít nhất 5 thành viên; 15 thành viên thì họp đại hội."
    (found,) = evidence_marks(text, [difference(0, 1, "5 Thành  viên")])
    assert text[found.start : found.end] == "5 thành viên"
    assert evidence_marks(text, [difference(0, 1, "thành vi")]) == ()
    assert evidence_marks(text, [difference(0, 1, "")]) == ()
    assert evidence_marks("a (b+c)* d", [difference(0, 1, "(b+c)*")]) != ()


@given(
    title=st.text("abc \n", max_size=12),
    lead=st.text("abc \n", max_size=12),
    body=st.text("abc \n", max_size=40),
    place=st.tuples(st.integers(0, 70), st.integers(1, 20)),
)
def test_blocks_hold_every_letter_and_set_off_the_claim_alone(
    title: str, lead: str, body: str, place: tuple[int, int]
) -> None:
    one: Article = replace(article(1, sentences=("x",)), title=title, lead=lead, body=body)
    whole = one.text
    start = min(place[0], len(whole))
    end = min(start + place[1], len(whole))
    cut = blocks(one, start, end)
    shown = "".join(p.text for b in cut for p in b.pieces)
    assert shown.replace(" ", "") == whole.replace("\n", "").replace(" ", "")
    claimed = "".join(p.text for b in cut for p in b.pieces if p.claim)
    expected = whole[start:end].replace("\n", "").replace(" ", "")
    assert claimed.replace(" ", "") == expected


def test_marks_inside_the_article_are_those_of_the_claim() -> None:
    claim = "Hợp tác xã có 7 thành viên."
    one = article(1, sentences=("Câu đầu.", claim))
    start = one.text.index(claim)
    mark = Mark(start=14, end=26, kind=Distortion.NUMBER)
    (block,) = [b for b in blocks(one, start, start + len(claim), [mark]) if b.has_claim]
    assert [p.text for p in block.pieces if p.kind] == ["7 thành viên"]
    assert block.role == "body"
