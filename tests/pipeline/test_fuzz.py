"""20,000 changed and random inputs (a million: benchmarks/fuzz.py), and the faults they found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crawler.feeds import parse_listing
from crawler.outlets import read_outlet
from kiemchung.errors import OutletFileError, RecordError
from nlp.text import MAX_MARKS, canonical
from pipeline.evaluation import read_set
from pipeline.records import parse_line
from tests.fuzzing import LISTING, OUTLET, SURFACES, Surface, check_canonical, corpus, one, run

INPUTS = 20_000


@pytest.mark.slow(20)
def test_no_input_ends_in_anything_but_an_answer_or_an_error_of_ours() -> None:
    found = run(range(INPUTS), seed=2026)
    assert found.faults == {}
    assert sum(found.inputs.values()) == INPUTS
    assert set(found.inputs) == set(SURFACES)
    assert min(found.inputs.values()) > INPUTS / 200
    # Most of what is changed is still read: what is refused at once tests nothing behind the door.
    assert sum(found.refused.values()) < INPUTS / 4


def test_an_input_is_made_of_its_seed_and_number() -> None:
    given = corpus()
    assert one(41, 5, given) == one(41, 5, given)
    assert len({repr(one(n, 5, given)) for n in range(50)}) > 45
    assert {one(n, 5, given, ("feed",))[0] for n in range(5)} == {"feed"}


def test_a_fault_and_a_slow_answer_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(value: str) -> None:
        assert len(value) % 2, "even"

    monkeypatch.setitem(SURFACES, "text", Surface(1, SURFACES["text"].make, check))
    found = run(range(40), seed=1, only=("text",))
    (kind,) = found.faults
    assert kind.startswith("text: AssertionError at test_fuzz.py:")
    monkeypatch.setattr("tests.fuzzing.SECONDS", 0.0)
    monkeypatch.setattr("tests.fuzzing.SECONDS_EACH", 0.0)
    assert "text: slow" in run(range(5), seed=1, only=("text",)).faults


# -- what was found ----------------------------------------------------------------------------


def test_a_letter_that_composition_takes_apart_keeps_no_more_marks_than_others() -> None:
    raw = "\u0958" + "\u0301" * 9
    clean = canonical(raw)
    assert canonical(clean.text).text == clean.text
    assert len(clean.text) == MAX_MARKS + 1
    assert clean.removed == {"excess_marks": 6}
    check_canonical(raw)


@pytest.mark.parametrize("link", ["http://[", "http://[::1", "//[x]/"])
def test_a_listing_with_a_broken_address_is_read(link: str) -> None:
    page = LISTING.replace("/bai-1.html", link).replace("?p=2", link)
    body = page.replace("</body>", '<a href="/bai-2.html">y</a></body>').encode()
    found = parse_listing(body, base="http://song-hong.example/", outlet=OUTLET)
    assert [e.url for e in found.entries if "bai-2" in e.url] == (
        ["http://song-hong.example/bai-2.html"]
        if OUTLET.is_article("http://song-hong.example/bai-2.html")
        else []
    )


@pytest.mark.parametrize("line", ["[" * 100_000, '{"id": ' + "9" * 5000 + "}"])
def test_a_line_that_json_itself_gives_up_is_refused_by_its_place(line: str) -> None:
    with pytest.raises(RecordError, match="f:7: not JSON"):
        parse_line(line, "f:7", ("id",))


def test_a_deeply_nested_pair_is_refused_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(RecordError, match=r"pairs\.jsonl:1"):
        read_set(path, "evidence")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"delay = {'[' * 5000}", "nested too deep"),
        ("article_pattern = 'a{9999999999}'", "article_pattern: no regular expression"),
        ('sitemaps = ["/s-{month:9999999999}.xml"]', "sitemaps: .* no place"),
        ('sitemaps = ["/s-{year.real}.xml"]', "sitemaps: .* no place"),
        ('sitemaps = ["/s-{month!r}.xml"]', "sitemaps: .* no place"),
        ('sitemaps = ["/s-{year[0]}.xml"]', "sitemaps: .* no place"),
        ('sitemaps = ["/s-{year"]', "sitemaps: "),
        ('search = "/tim?q={query:>9999999999}"', "search: .* no place"),
        ('search = "/tim?q={query}&t={year}"', "search: .* no place"),
    ],
)
def test_an_outlet_file_that_breaks_its_readers_is_refused_by_its_key(
    line: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "bao-que.toml"
    head = 'name = "bao-que"\ndisplay = "Báo Quê"\nhosts = ["bao-que.vn"]\n'
    path.write_text(head + line, encoding="utf-8")
    with pytest.raises(OutletFileError, match=words):
        read_outlet(path)


def test_the_corpus_is_our_own_and_whole() -> None:
    given = corpus()
    assert len(given.pages) > 10
    assert len(given.texts) > 500
    assert len(given.outlets) > 20
    assert len(given.feeds) == 3
    assert all(json.loads(line) for line in (*given.documents, *given.passages))
